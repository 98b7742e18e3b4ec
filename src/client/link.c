#include "client/link.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "net/address.h"
#include "net/outbox.h"
#include "wire/connection.h"
#include "wire/message.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define CONNECT_MS 3000 /* for one address */
#define PAUSE_MIN_MS 50 /* when each address has failed */
#define PAUSE_MAX_MS 1000
#define READ_SIZE (64u << 10)
#define TURN_SIZE (1u << 20) /* read in one turn at most */
#define PROBE_STREAM UINT32_MAX

enum link_state {
	LINK_IDLE,   /* nothing is to be done, or a pause */
	LINK_DIALS,  /* connect() is under way */
	LINK_GREETS, /* hello is on its way */
	LINK_OPEN,
};

struct link {
	struct pollee pollee; /* first */
	struct link_base *base;
	const struct link_handler *handler;
	void *context;
	TAILQ_ENTRY(link) entry;
	enum link_state state;
	bool dead;
	bool wanted;
	bool expects;
	size_t at;     /* of the addresses */
	size_t failed; /* how many have, one after another */
	msec pause;
	msec resume_at;                          /* not connected again before */
	struct address choices[ADDRESS_CHOICES]; /* of the address; those not tried yet */
	size_t choice_count;
	size_t choice;
	int directory; /* of a socket's file; −1: none */
	int descriptor;
	uint32_t events;    /* that epoll watches for */
	struct timer timer; /* the end of a pause; or of the time to connect; or of silence */
	msec heard;
	bool probed;
	bool mute; /* nothing was heard since an answer was awaited */
	struct connection_config config;
	struct connection *connection;
	struct buffer input;
	struct outbox outbox;
	struct error failure;
};

/* --- what links share ---------------------------------------------------------------------------------------------- */

static int add_address(struct link_base *base, const char *text, size_t size, struct error *error)
{
	if (base->address_count == LINK_ADDRESSES_MAX)
		return error_set(error, ERR_LIMIT, "there are more than %d addresses", LINK_ADDRESSES_MAX);
	char *address = mem_format("%.*s", (int)size, text);
	base->addresses[base->address_count++] = address;
	return address_is_file(address) ? 0 : address_check(address, error);
}

int link_base_init(struct link_base *base, const char *addresses, const char *name, const char *token, msec silence,
                   struct error *error)
{
	int code = 0;
	*base = (struct link_base){.epoll = -1, .silence = silence};
	TAILQ_INIT(&base->links);
	TAILQ_INIT(&base->graves);
	base->name = mem_string(name);
	base->token = mem_string(token);
	if (strlen(name) > CONNECTION_NAME_MAX)
		return error_set(error, ERR_LIMIT, "the name of the program has more than %d bytes",
		                 CONNECTION_NAME_MAX);
	if (strchr(addresses, ',') == NULL || access(addresses, F_OK) == 0) {
		code = add_address(base, addresses, strlen(addresses), error);
	} else {
		for (const char *at = addresses; code == 0 && *at != '\0'; at += *at == ',') {
			size_t size = strcspn(at, ",");
			if (size != 0)
				code = add_address(base, at, size, error);
			at += size;
		}
		if (code == 0 && base->address_count == 0)
			code = error_set(error, ERR_INVALID, "\"%s\" has no address", addresses);
	}
	if (code != 0)
		return code;
	base->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (base->epoll < 0)
		return error_set(error, ERR_IO, "the system gives no descriptor for epoll: %s", strerror(errno));
	return 0;
}

static void free_buried(struct link_base *base)
{
	struct pollee *pollee;
	while ((pollee = TAILQ_FIRST(&base->graves)) != NULL) {
		TAILQ_REMOVE(&base->graves, pollee, grave);
		mem_free(pollee);
	}
}

void link_base_bury(struct link_base *base, struct pollee *take_pollee)
{
	TAILQ_INSERT_TAIL(&base->graves, take_pollee, grave);
}

void link_base_finish(struct link_base *base)
{
	free_buried(base);
	assert(TAILQ_EMPTY(&base->links));
	timers_finish(&base->timers);
	for (size_t i = 0; i < base->address_count; i++)
		mem_free(base->addresses[i]);
	mem_free(base->name);
	mem_free(base->token);
	if (base->epoll >= 0)
		close(base->epoll);
}

/* --- the descriptor ------------------------------------------------------------------------------------------------ */

static void watch(struct link *link, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = &link->pollee};
	if (link->events == events)
		return;
	epoll_ctl(link->base->epoll, link->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, link->descriptor, &event);
	link->events = events;
}

static void hang_up(struct link *link)
{
	if (link->descriptor >= 0)
		close(link->descriptor); /* which takes it from epoll */
	link->descriptor = -1;
	link->events = 0;
}

static void disconnect(struct link *link)
{
	hang_up(link);
	if (link->directory >= 0)
		close(link->directory);
	link->directory = -1;
	connection_destroy(link->connection);
	link->connection = NULL;
	buffer_finish(&link->input);
	outbox_finish(&link->outbox);
	link->choice_count = link->choice = 0;
	link->state = LINK_IDLE;
	link->probed = link->mute = false;
}

/* Goes to the next address: at once, or after a pause when all have failed. */
static bool next_address(struct link *link)
{
	bool all = ++link->failed >= link->base->address_count;
	link->at = (link->at + 1) % link->base->address_count;
	if (all) {
		link->failed = 0;
		link->pause = link->pause == 0 ? PAUSE_MIN_MS : msec_earlier(2 * link->pause, PAUSE_MAX_MS);
	}
	link->resume_at = link->base->now + (all ? link->pause : 0);
	return all;
}

static void failed(struct link *link, int code, const char *text)
{
	bool was_open = link->state == LINK_OPEN;
	const char *address = link_address(link);
	if (was_open)
		error_set(&link->failure, code, "the connection to %s was lost: %s", address, text);
	else if (code == ERR_DENIED)
		error_set(&link->failure, code, "the node at %s refuses: %s", address, text);
	else if (code == ERR_TIMEOUT)
		error_set(&link->failure, ERR_CLOSED, "%s did not answer in time", address);
	else
		error_set(&link->failure, code == ERR_VERSION ? code : ERR_CLOSED, "no node answers at %s: %s", address,
		          text);
	disconnect(link);
	timers_set(&link->base->timers, &link->timer, MSEC_NEVER);
	bool all = next_address(link);
	link->wanted = false;
	struct error error = link->failure;
	link->handler->lost(link->context, &error, all && !was_open);
}

/* --- connecting ---------------------------------------------------------------------------------------------------- */

static void try_choices(struct link *link, int last_errno);

static void connected(struct link *link)
{
	struct buffer hello = BUFFER_EMPTY;
	int on = 1;
	int idle_s = 30;
	if (!address_is_file(link_address(link))) {
		setsockopt(link->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		setsockopt(link->descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
		setsockopt(link->descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
	}
	link->state = LINK_GREETS;
	link->connection = connection_create(&link->config);
	connection_begin(link->connection, &hello);
	outbox_append(&link->outbox, hello.data, hello.size);
	buffer_finish(&hello);
	watch(link, EPOLLIN);
}

static void dialled(struct link *link)
{
	int failure = 0;
	socklen_t size = sizeof failure;
	getsockopt(link->descriptor, SOL_SOCKET, SO_ERROR, &failure, &size);
	if (failure == 0 && address_is_own_echo(link->descriptor))
		failure = ECONNREFUSED;
	if (failure == 0) {
		connected(link);
		return;
	}
	hang_up(link);
	try_choices(link, failure);
}

static void try_choices(struct link *link, int last_errno)
{
	while (link->choice < link->choice_count) {
		const struct address *address = &link->choices[link->choice++];
		link->descriptor = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (link->descriptor < 0) {
			last_errno = errno;
			continue;
		}
		if (connect(link->descriptor, &address->any, address->size) == 0) {
			connected(link);
			return;
		}
		if (errno == EINPROGRESS) {
			watch(link, EPOLLOUT);
			return;
		}
		last_errno = errno;
		hang_up(link);
	}
	failed(link, ERR_CLOSED, last_errno == EAGAIN ? "it has too many connections waiting" : strerror(last_errno));
}

static void dial(struct link *link)
{
	const char *address = link_address(link);
	struct error error;
	int code;
	link->state = LINK_DIALS;
	link->choice = 0;
	if (address_is_file(address)) {
		struct address_file file = {.directory = -1};
		code = address_of_file(address, &file, &link->choices[0], &error);
		link->directory = file.directory;
		link->choice_count = 1;
	} else {
		code = address_resolve(address, false, link->choices, &link->choice_count, &error);
	}
	timers_set(&link->base->timers, &link->timer, link->base->now + CONNECT_MS);
	if (code == 0)
		try_choices(link, 0);
	else
		failed(link, ERR_CLOSED, error.text);
}

/* --- silence ------------------------------------------------------------------------------------------------------- */

/* A node that has nothing to say and one that is gone look the same: so it is asked something. */
static void probe(struct link *link)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Status body = CLUSTERD__WIRE__STATUS__INIT;
	request.consistency = CLUSTERD__WIRE__CONSISTENCY__CONSISTENCY_LOCAL;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_STATUS;
	request.status = &body;
	link->probed = true;
	link_send(link, FRAME_REQUEST, PROBE_STREAM, &request.base, SLICE(""));
}

static void listen_for(struct link *link)
{
	timers_set(&link->base->timers, &link->timer, link->expects ? link->heard + link->base->silence : MSEC_NEVER);
}

static void time_is_out(void *context)
{
	struct link *link = context;
	msec now = link->base->now;
	switch (link->state) {
	case LINK_IDLE:
		dial(link);
		break;
	case LINK_DIALS:
	case LINK_GREETS:
		failed(link, ERR_TIMEOUT, "");
		break;
	case LINK_OPEN:
		if (now < link->heard + link->base->silence) {
			listen_for(link);
		} else if (!link->probed) {
			probe(link);
			link->heard = now; /* from here on its answer is waited for */
			listen_for(link);
		} else {
			failed(link, ERR_CLOSED, "it is silent");
		}
		break;
	}
}

void link_expect(struct link *link, bool expects)
{
	if (link->expects == expects)
		return;
	link->expects = expects;
	if (link->state != LINK_OPEN)
		return;
	/* Giving up on one answer and asking for another one does not make it less silent. */
	if (expects && !link->mute) {
		link->heard = link->base->now;
		link->mute = true;
	}
	listen_for(link);
}

/* --- reading, writing ---------------------------------------------------------------------------------------------- */

static void opened(struct link *link)
{
	link->state = LINK_OPEN;
	link->failed = 0;
	link->pause = 0;
	link->failure = (struct error){0};
	listen_for(link);
	link->handler->open(link->context);
}

/* What is whole of the input. A call may end the connection; the next one is never made before the next turn. */
static void take_input(struct link *link)
{
	struct buffer out = BUFFER_EMPTY;
	size_t taken = 0;
	struct error error = {0};
	enum connection_event event = CONNECTION_OPENED;
	while (link->connection != NULL && event != CONNECTION_MORE) {
		struct slice rest = {link->input.data + taken, link->input.size - taken};
		struct frame frame;
		size_t size = 0;
		event = connection_next(link->connection, rest, &out, &size, &frame, &error);
		taken += size;
		outbox_append(&link->outbox, out.data, out.size);
		buffer_clear(&out);
		if (event == CONNECTION_OPENED)
			opened(link);
		else if (event == CONNECTION_GOODBYE || event == CONNECTION_FAILED)
			failed(link, error.code, error.text);
		else if (event == CONNECTION_FRAME && frame.stream != PROBE_STREAM)
			link->handler->frame(link->context, &frame);
	}
	buffer_finish(&out);
	if (link->connection != NULL)
		buffer_consume(&link->input, taken);
}

static void readable(struct link *link)
{
	for (size_t turn = 0; turn < TURN_SIZE;) {
		ssize_t got = recv(link->descriptor, buffer_reserve(&link->input, READ_SIZE), READ_SIZE, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (got <= 0) {
			failed(link, ERR_CLOSED, got == 0 ? "the other side closed it" : strerror(errno));
			return;
		}
		link->input.size += (size_t)got;
		link->heard = link->base->now;
		link->probed = link->mute = false;
		turn += (size_t)got;
		take_input(link);
		if (link->connection == NULL || (size_t)got < READ_SIZE)
			return;
	}
}

static void flush(struct link *link)
{
	while (link->outbox.size != 0) {
		ssize_t written = outbox_write(&link->outbox, link->descriptor, true);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			watch(link, EPOLLIN | EPOLLOUT);
			return;
		}
		if (written < 0)
			break; /* what has come is still to be read, and then its end */
	}
	watch(link, EPOLLIN);
}

static void is_ready(struct pollee *pollee, uint32_t events)
{
	struct link *link = (struct link *)pollee;
	if (link->dead || link->descriptor < 0)
		return;
	if (link->state == LINK_DIALS) {
		dialled(link);
		return;
	}
	if (events & EPOLLOUT)
		watch(link, EPOLLIN);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		readable(link);
}

static bool can_flush(const struct link *link)
{
	return link->outbox.size != 0 && (link->events & EPOLLOUT) == 0 &&
	       (link->state == LINK_GREETS || link->state == LINK_OPEN);
}

void link_base_end_turn(struct link_base *base)
{
	struct link *link;
	free_buried(base);
	TAILQ_FOREACH (link, &base->links, entry) {
		if (can_flush(link))
			flush(link);
	}
}

bool link_base_is_idle(const struct link_base *base)
{
	const struct link *link;
	TAILQ_FOREACH (link, &base->links, entry) {
		if (can_flush(link))
			return false;
	}
	return true;
}

int link_send(struct link *link, enum frame_type type, uint32_t stream, const ProtobufCMessage *message,
              struct slice payload)
{
	struct buffer frame = BUFFER_EMPTY;
	int code = message_frame(&frame, type, stream, message, payload);
	if (code == 0)
		link_send_frame(link, buffer_slice(&frame));
	buffer_finish(&frame);
	return code;
}

void link_send_frame(struct link *link, struct slice frame)
{
	if (link->state == LINK_OPEN)
		outbox_append(&link->outbox, frame.data, frame.size);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

struct link *link_create(struct link_base *base, Clusterd__Wire__Role role, const struct link_handler *handler,
                         void *context)
{
	struct link *link = mem_zero(sizeof *link);
	link->pollee.ready = is_ready;
	link->base = base;
	link->handler = handler;
	link->context = context;
	link->directory = link->descriptor = -1;
	link->timer = (struct timer){.call = time_is_out, .context = link};
	outbox_init(&link->outbox);
	link->config = (struct connection_config){
		.side = CONNECTION_CLIENT,
		.version_low = PROTOCOL_VERSION,
		.version_high = PROTOCOL_VERSION,
		.cluster_id = "",
		.name = base->name,
		.token = base->token,
		.role = role,
	};
	TAILQ_INSERT_TAIL(&base->links, link, entry);
	return link;
}

void link_destroy(struct link *link)
{
	if (link == NULL)
		return;
	if (link->state == LINK_OPEN && can_flush(link))
		flush(link); /* what fits */
	disconnect(link);
	timers_set(&link->base->timers, &link->timer, MSEC_NEVER);
	TAILQ_REMOVE(&link->base->links, link, entry);
	link->dead = true;
	link_base_bury(link->base, &link->pollee);
}

void link_want(struct link *link)
{
	if (link->wanted)
		return;
	link->wanted = true;
	if (link->state == LINK_IDLE && link->timer.place == 0)
		timers_set(&link->base->timers, &link->timer, link->resume_at);
}

void link_move(struct link *link, const struct error *reason)
{
	link->failure = *reason;
	disconnect(link);
	link->at = (link->at + 1) % link->base->address_count;
	link->wanted = true;
	link->resume_at = link->base->now;
	timers_set(&link->base->timers, &link->timer, link->resume_at);
}

bool link_is_open(const struct link *link)
{
	return link->state == LINK_OPEN;
}

const char *link_address(const struct link *link)
{
	return link->base->addresses[link->at];
}

const struct error *link_failure(const struct link *link)
{
	return &link->failure;
}
