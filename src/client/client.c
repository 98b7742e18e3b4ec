#include "client/client.h"

#include "base/memory.h"

#include <sys/epoll.h>

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#define SILENCE_MS 5000
#define EVENTS_PER_TURN 16

#ifndef CLUSTERD_VERSION
#error "CLUSTERD_VERSION is the version of the project"
#endif

static_assert((int)CLUSTERD_ERR_IO == (int)ERR_IO && (int)CLUSTERD_ERR_EXPIRED == (int)ERR_EXPIRED &&
                      (int)CLUSTERD_ERR_COMPACTED == (int)ERR_COMPACTED,
              "the codes are those of base/error.h");
static_assert(CLUSTERD_ERROR_TEXT >= ERROR_TEXT_SIZE, "a text fits");

/* --- errors, time -------------------------------------------------------------------------------------------------- */

const char *clusterd_code_name(int code)
{
	return error_name(code);
}

const char *clusterd_version(void)
{
	return CLUSTERD_VERSION;
}

void clusterd_free(void *memory)
{
	mem_free(memory);
}

int client_say(struct clusterd_error *error, const struct error *from)
{
	if (from == NULL)
		return 0;
	if (error != NULL) {
		error->code = from->code;
		memcpy(error->text, from->text, sizeof from->text);
	}
	return from->code;
}

msec client_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (msec)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void client_look_at_clock(struct clusterd_client *client)
{
	if (!client->turns)
		client->base.now = client_now();
}

msec client_deadline(const struct clusterd_client *client, msec timeout_ms)
{
	return timeout_ms < 0 ? MSEC_NEVER : client->base.now + timeout_ms;
}

/* --- what the link tells ------------------------------------------------------------------------------------------- */

static void link_opened(void *context)
{
	struct clusterd_client *client = context;
	client->welcomed = true;
	requests_connected(client);
}

static void link_has_frame(void *context, const struct frame *frame)
{
	requests_take_frame(context, frame);
}

static void link_was_lost(void *context, const struct error *error, bool all)
{
	struct clusterd_client *client = context;
	client->welcomed = client->welcomed || all;
	if (!client->welcomed)
		link_want(client->link);
	requests_lost(client, error, all);
}

static const struct link_handler link_handler = {link_opened, link_has_frame, link_was_lost};

/* --- life ---------------------------------------------------------------------------------------------------------- */

/* What a program that was built with an older header does not know of is as if it were not set. */
static struct clusterd_client_options known_options(const struct clusterd_client_options *options)
{
	struct clusterd_client_options known = CLUSTERD_CLIENT_OPTIONS;
	memcpy(&known, options, options->size < sizeof known ? options->size : sizeof known);
	return known;
}

int clusterd_client_create(const struct clusterd_client_options *options, struct clusterd_client **ret_client,
                           struct clusterd_error *error)
{
	struct clusterd_client_options known = known_options(options);
	struct error failure = {0};
	if (known.addresses == NULL || known.addresses[0] == '\0')
		error_set(&failure, ERR_INVALID, "a client needs the address of a node");
	else if (known.consistency < CLUSTERD_LINEARIZABLE || known.consistency > CLUSTERD_LOCAL)
		error_set(&failure, ERR_INVALID, "there is no consistency %d", known.consistency);
	else if (known.silence_ms < 0)
		error_set(&failure, ERR_INVALID, "silence_ms is %d, and must not be negative", known.silence_ms);
	if (failure.code != 0)
		return client_say(error, &failure);
	struct clusterd_client *client = mem_zero(sizeof *client);
	if (link_base_init(&client->base, known.addresses, known.name != NULL ? known.name : "libclusterd",
	                   known.token != NULL ? known.token : "",
	                   known.silence_ms != 0 ? known.silence_ms : SILENCE_MS, &failure) != 0) {
		link_base_finish(&client->base);
		mem_free(client);
		return client_say(error, &failure);
	}
	client->consistency = (Clusterd__Wire__Consistency)known.consistency;
	client->base.now = client_now();
	requests_init(client);
	client->link = link_create(&client->base, CLUSTERD__WIRE__ROLE__ROLE_CLIENT, &link_handler, client);
	*ret_client = client;
	return 0;
}

void clusterd_client_destroy(struct clusterd_client *client)
{
	if (client == NULL)
		return;
	assert(!client->turns && client->users == 0);
	client->base.now = client_now();
	requests_finish(client);
	request_session_leave(&client->requests.own);
	link_destroy(client->link);
	link_base_finish(&client->base);
	mem_free(client);
}

const char *clusterd_client_address(const struct clusterd_client *client)
{
	return link_address(client->link);
}

/* --- turns --------------------------------------------------------------------------------------------------------- */

int clusterd_client_descriptor(const struct clusterd_client *client)
{
	return client->base.epoll;
}

int clusterd_client_timeout_ms(const struct clusterd_client *client)
{
	msec next = timers_next(&client->base.timers);
	if (!TAILQ_EMPTY(&client->requests.doomed) || !link_base_is_idle(&client->base))
		return 0;
	if (next == MSEC_NEVER)
		return -1;
	msec left = next - client_now();
	return left <= 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

void clusterd_client_dispatch(struct clusterd_client *client)
{
	struct epoll_event events[EVENTS_PER_TURN];
	struct timer *timer;
	if (client->turns)
		return;
	client->base.now = client_now();
	client->turns = true;
	int count = epoll_wait(client->base.epoll, events, EVENTS_PER_TURN, 0);
	for (int i = 0; i < count; i++) {
		struct pollee *pollee = events[i].data.ptr;
		pollee->ready(pollee, events[i].events);
	}
	while ((timer = timers_take_due(&client->base.timers, client->base.now)) != NULL)
		timer->call(timer->context);
	requests_tell(client);
	link_base_end_turn(&client->base);
	client->turns = false;
}

/* false: a signal has come. */
static bool wait_for_turn(const struct clusterd_client *client, msec left)
{
	struct pollfd wait = {client->base.epoll, POLLIN, 0};
	int due = clusterd_client_timeout_ms(client);
	int timeout_ms = left > INT32_MAX ? INT32_MAX : left < 0 ? 0 : (int)left;
	if (due >= 0 && due < timeout_ms)
		timeout_ms = due;
	return timeout_ms == 0 || poll(&wait, 1, timeout_ms) >= 0 || errno != EINTR;
}

int clusterd_client_poll(struct clusterd_client *client, int timeout_ms)
{
	if (client->turns)
		return CLUSTERD_ERR_CONFLICT;
	wait_for_turn(client, timeout_ms < 0 ? MSEC_NEVER : timeout_ms);
	clusterd_client_dispatch(client);
	return 0;
}

int client_may_block(const struct clusterd_client *client, struct error *error)
{
	if (!client->turns)
		return 0;
	return error_set(error, ERR_CONFLICT, "what blocks cannot be called from inside a callback of the same client");
}

static int turn(struct clusterd_client *client, const bool *flag, msec deadline, bool patiently, struct error *error)
{
	int code = client_may_block(client, error);
	if (code != 0)
		return code;
	while (!*flag) {
		msec left = deadline == MSEC_NEVER ? MSEC_NEVER : deadline - client_now();
		if (left <= 0)
			return error_set(error, ERR_TIMEOUT, "the time is out");
		bool disturbed = !wait_for_turn(client, left);
		clusterd_client_dispatch(client);
		if (disturbed && !patiently)
			return 0;
	}
	return 0;
}

int client_turn_until(struct clusterd_client *client, const bool *flag, msec deadline, struct error *error)
{
	return turn(client, flag, deadline, true, error);
}

int client_turn_for(struct clusterd_client *client, const bool *flag, msec deadline, struct error *error)
{
	int code = turn(client, flag, deadline, false, error);
	return code == ERR_TIMEOUT ? 0 : code;
}

int clusterd_client_connect(struct clusterd_client *client, int timeout_ms, struct clusterd_error *error)
{
	struct error failure = {0};
	if (link_is_open(client->link))
		return 0;
	client_look_at_clock(client);
	client->welcomed = false;
	link_want(client->link);
	int code = client_turn_until(client, &client->welcomed, client_deadline(client, timeout_ms), &failure);
	client->welcomed = true;
	if (link_is_open(client->link))
		return 0;
	if (link_failure(client->link)->code != 0 && code != ERR_CONFLICT)
		failure = *link_failure(client->link);
	else if (code == ERR_TIMEOUT)
		error_set(&failure, ERR_TIMEOUT, "%s did not answer in time", link_address(client->link));
	if (client->base.address_count > 1 && failure.code == ERR_CLOSED) {
		struct error last = failure;
		error_set(&failure, ERR_CLOSED, "none of %zu nodes can be reached; %s", client->base.address_count,
		          last.text);
	}
	return client_say(error, &failure);
}
