#include "client/door.h"

#include "base/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 128
#define ACCEPTS_PER_TURN 32
#define PAUSE_MS 100 /* when the system has no descriptors left */
#define READ_SIZE 4096

struct stranger {
	struct door *door;
	TAILQ_ENTRY(stranger) entry;
	struct channel *channel;
	struct greeting greeting;
	struct buffer input;
	struct buffer out;
	struct timer timer;
};

struct door {
	struct link_base *base;
	struct greeting_config config;
	struct channel *channel;
	struct secret *secret;
	struct timer pause;
	char *topic;
	char *schema;
	struct buffer address;
	door_guest *guest;
	void *context;
	TAILQ_HEAD(stranger_list, stranger) strangers; /* the longest there first */
	size_t stranger_count;
};

/* --- strangers ----------------------------------------------------------------------------------------------------- */

/* What is left to be said to it is said as far as it goes. */
static void send_off(struct stranger *stranger)
{
	struct door *door = stranger->door;
	if (stranger->channel != NULL)
		channel_flush(stranger->channel, &stranger->out, NULL);
	channel_destroy(stranger->channel);
	timers_set(&door->base->timers, &stranger->timer, MSEC_NEVER);
	TAILQ_REMOVE(&door->strangers, stranger, entry);
	door->stranger_count--;
	buffer_finish(&stranger->input);
	buffer_finish(&stranger->out);
	mem_free(stranger);
}

static void is_late(void *context)
{
	struct stranger *stranger = context;
	struct error error;
	error_set(&error, ERR_TIMEOUT, "no greeting came within %d ms", DOOR_GREETING_MS);
	refusal_append(&stranger->out, &error);
	send_off(stranger);
}

static void let_in(struct stranger *stranger)
{
	struct door *door = stranger->door;
	struct channel *channel = stranger->channel;
	struct buffer rest = stranger->input;
	struct greeting greeting = stranger->greeting;
	struct error error = {0};
	stranger->channel = NULL;
	stranger->input = BUFFER_EMPTY;
	send_off(stranger);
	if (door->guest(door->context, &greeting, channel, &rest, &error) == 0)
		return;
	struct buffer out = BUFFER_EMPTY;
	refusal_append(&out, &error);
	channel_flush(channel, &out, NULL);
	channel_destroy(channel);
	buffer_finish(&out);
	buffer_finish(&rest);
}

static void stranger_ready(void *context, uint32_t events)
{
	struct stranger *stranger = context;
	struct error error;
	size_t taken = 0;
	ssize_t got = 0;
	int code = 0;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
		got = channel_read(stranger->channel, &stranger->input, READ_SIZE, &error);
	if (got > 0) {
		code = greeting_take(&stranger->greeting, buffer_slice(&stranger->input), &taken, &stranger->out,
		                     &error);
		buffer_consume(&stranger->input, taken);
	}
	if (got >= 0 && code == 0)
		code = channel_flush(stranger->channel, &stranger->out, &error);
	if (got < 0 || code != 0)
		send_off(stranger);
	else if (stranger->greeting.open && stranger->out.size == 0)
		let_in(stranger);
	else
		channel_watch(stranger->channel, stranger->out.size != 0 ? EPOLLOUT : EPOLLIN);
}

static void receive(struct door *door, int descriptor)
{
	struct stranger *stranger = mem_zero(sizeof *stranger);
	unsigned char nonce[GREETING_NONCE_SIZE];
	channel_tune(descriptor);
	stranger->door = door;
	stranger->timer = (struct timer){.call = is_late, .context = stranger};
	stranger->channel = channel_create(door->base, descriptor, stranger_ready, stranger);
	TAILQ_INSERT_TAIL(&door->strangers, stranger, entry);
	door->stranger_count++;
	if (channel_draw(nonce, sizeof nonce, NULL) != 0) {
		send_off(stranger);
		return;
	}
	greeting_begin(&stranger->greeting, &door->config, nonce, &stranger->out);
	timers_set(&door->base->timers, &stranger->timer, door->base->now + DOOR_GREETING_MS);
	channel_watch(stranger->channel, EPOLLIN);
	if (door->stranger_count > DOOR_STRANGERS_MAX)
		send_off(TAILQ_FIRST(&door->strangers));
}

/* --- the socket ---------------------------------------------------------------------------------------------------- */

static void listen_again(void *context)
{
	struct door *door = context;
	channel_watch(door->channel, EPOLLIN);
}

static void door_ready(void *context, uint32_t events)
{
	struct door *door = context;
	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int descriptor = accept4(door->channel->descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (descriptor >= 0) {
			receive(door, descriptor);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			channel_watch(door->channel, 0);
			timers_set(&door->base->timers, &door->pause, door->base->now + PAUSE_MS);
			return;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			return;
		}
	}
}

static int listen_at(struct door *door, const struct address *address, const char *text, const char *token,
                     struct error *error)
{
	int on = 1;
	if (token[0] == '\0' && !address_is_loopback(address))
		return error_set(error, ERR_DENIED,
		                 "%s can be reached from other machines: a topic is published there only by clients "
		                 "that have the token of the cluster's clients",
		                 text);
	int descriptor = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (descriptor < 0)
		return error_set(error, ERR_IO, "no socket for %s: %s", text, strerror(errno));
	setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(descriptor, &address->any, address->size) != 0 || listen(descriptor, BACKLOG) != 0) {
		error_set(error, ERR_IO, "%s cannot be listened at: %s", text, strerror(errno));
		close(descriptor);
		return ERR_IO;
	}
	door->channel = channel_create(door->base, descriptor, door_ready, door);
	channel_watch(door->channel, EPOLLIN);
	return 0;
}

int door_advertised(const char *advertise, uint16_t port, struct buffer *ret_address, struct error *error)
{
	const char *colon = strrchr(advertise, ':');
	bool bracketed = advertise[0] == '[';
	bool has_port = colon != NULL && (bracketed ? colon[-1] == ']' : strchr(advertise, ':') == colon);
	buffer_clear(ret_address);
	if (has_port)
		buffer_append_string(ret_address, advertise);
	else if (colon != NULL && !bracketed)
		buffer_format(ret_address, "[%s]:%u", advertise, port);
	else
		buffer_format(ret_address, "%s:%u", advertise, port);
	if (ret_address->size > DOOR_ADDRESS_MAX)
		return error_set(error, ERR_LIMIT, "an address has up to %d bytes, not %zu", DOOR_ADDRESS_MAX,
		                 ret_address->size);
	return address_check(buffer_string(ret_address), error);
}

static int say_where(struct door *door, const char *advertise, struct error *error)
{
	struct address at = {.size = sizeof at.storage};
	char text[ADDRESS_TEXT_SIZE];
	if (getsockname(door->channel->descriptor, &at.any, &at.size) != 0)
		return error_set(error, ERR_IO, "the port is not known: %s", strerror(errno));
	if (advertise != NULL)
		return door_advertised(advertise, address_port(&at), &door->address, error);
	if (address_is_any(&at))
		return error_set(error, ERR_INVALID,
		                 "where it listens is no address that others could connect to: say which one is "
		                 "to be advertised");
	address_format(&at, text);
	buffer_append_string(&door->address, text);
	buffer_string(&door->address);
	return 0;
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

int door_secret(const char *token, struct secret **ret_secret, struct error *error)
{
	*ret_secret = NULL;
	return token[0] == '\0' ? 0 : secret_create(slice_of(token), ret_secret, error);
}

static int check(const struct door_options *options, struct error *error)
{
	size_t size = strlen(options->topic);
	if (size == 0 || size > GREETING_TOPIC_MAX)
		return error_set(error, ERR_LIMIT, "the name of a topic has 1 to %d bytes, not %zu", GREETING_TOPIC_MAX,
		                 size);
	size = strlen(options->schema);
	if (size > GREETING_SCHEMA_MAX)
		return error_set(error, ERR_LIMIT, "a schema has up to %d bytes, not %zu", GREETING_SCHEMA_MAX, size);
	return 0;
}

static int open_it(struct door *door, const struct door_options *options, struct error *error)
{
	const char *listen = options->listen != NULL ? options->listen : DOOR_LISTEN_DEFAULT;
	struct address choices[ADDRESS_CHOICES];
	size_t count;
	int code = check(options, error);
	if (code == 0)
		code = door_secret(options->token, &door->secret, error);
	door->config.life = options->life;
	if (code == 0 && options->life == 0)
		code = channel_draw(&door->config.life, sizeof door->config.life, error);
	if (code == 0)
		code = address_resolve(listen, true, choices, &count, error);
	if (code == 0)
		code = listen_at(door, &choices[0], listen, options->token, error);
	return code != 0 ? code : say_where(door, options->advertise, error);
}

int door_open(struct link_base *base, const struct door_options *options, struct door **ret_door, struct error *error)
{
	struct door *door = mem_zero(sizeof *door);
	door->base = base;
	TAILQ_INIT(&door->strangers);
	door->pause = (struct timer){.call = listen_again, .context = door};
	door->guest = options->guest;
	door->context = options->context;
	int code = open_it(door, options, error);
	if (code != 0) {
		door_close(door);
		return code;
	}
	door->topic = mem_string(options->topic);
	door->schema = mem_string(options->schema);
	door->config.listens = true;
	door->config.topic = door->topic;
	door->config.schema = door->schema;
	door->config.kind = options->kind;
	door->config.secret = door->secret;
	door->config.name = "";
	*ret_door = door;
	return 0;
}

void door_close(struct door *door)
{
	struct stranger *stranger;
	if (door == NULL)
		return;
	while ((stranger = TAILQ_FIRST(&door->strangers)) != NULL)
		send_off(stranger);
	timers_set(&door->base->timers, &door->pause, MSEC_NEVER);
	channel_destroy(door->channel);
	secret_destroy(door->secret);
	buffer_finish(&door->address);
	mem_free(door->topic);
	mem_free(door->schema);
	mem_free(door);
}

const char *door_address(const struct door *door)
{
	return door->address.data;
}

uint64_t door_life(const struct door *door)
{
	return door->config.life;
}
