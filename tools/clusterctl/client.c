#include "client.h"

#include "base/memory.h"
#include "client/client.h"

#define PATIENCE_MS 30000 /* without a time limit: for no node that serves */
#define CLOSE_MS 1000

struct client {
	struct clusterd_client *library;
	struct loop *loop;
	struct loop_watch *watch;    /* the library's descriptor */
	struct loop_timer *due;      /* when the library has something to do */
	struct loop_timer *deadline; /* of what is awaited */
	msec timeout;
	const bool *awaited; /* NULL: nothing */
	bool interrupted;
	bool over_time;

	/* The current request. */
	struct clusterd_request *request; /* NULL: it is over */
	struct error failure;             /* how it ended; code 0: well */
	msec served_ms;                   /* when a node last seemed to serve it */
	bool answered;                    /* there is an answer that nobody took, or it is over */
	struct clusterd_reply **replies;
	size_t reply_count;
	size_t reply_capacity;
};

void reply_finish(struct reply *reply)
{
	clusterd_reply_destroy(reply->held);
	reply->held = NULL;
	reply->response = NULL;
}

/* --- waiting ------------------------------------------------------------------------------------------------------- */

static void give_up_when_none_serves(struct client *client)
{
	struct clusterd_request *request = client->request;
	if (request == NULL || request->deadline != MSEC_NEVER)
		return;
	if (request->why.code == ERR_BUSY || (request->stream != 0 && request->why.code != ERR_NOT_LEADER))
		client->served_ms = loop_now(client->loop);
	if (request->stream != 0 || loop_now(client->loop) - client->served_ms < PATIENCE_MS)
		return;
	client->failure = request->why.code != 0 ? request->why : *link_failure(client->library->link);
	if (client->failure.code == 0)
		error_set(&client->failure, ERR_CLOSED, "no node has answered");
	client->answered = true;
	client->request = NULL;
	clusterd_request_cancel(request);
}

static void dispatch(struct client *client)
{
	clusterd_client_dispatch(client->library);
	give_up_when_none_serves(client);
	if (client->awaited != NULL && *client->awaited)
		loop_stop(client->loop);
}

static void library_is_ready(void *context, bool readable, bool writable)
{
	(void)readable;
	(void)writable;
	dispatch(context);
}

static void library_is_due(void *context)
{
	dispatch(context);
}

static void set_due(void *context)
{
	struct client *client = context;
	int timeout = clusterd_client_timeout_ms(client->library);
	loop_timer_set(client->due, timeout < 0 ? MSEC_NEVER : loop_now(client->loop) + timeout);
}

static void time_is_out(void *context)
{
	struct client *client = context;
	client->over_time = true;
	loop_stop(client->loop);
}

bool client_await(struct client *client, const bool *flag, msec deadline)
{
	client->over_time = false;
	client->awaited = flag;
	loop_timer_set(client->deadline, deadline);
	while (!*flag && !client->interrupted && !client->over_time) {
		set_due(client);
		loop_run(client->loop);
	}
	loop_timer_set(client->deadline, MSEC_NEVER);
	client->awaited = NULL;
	return *flag;
}

void client_idle(struct client *client, msec deadline)
{
	const bool never = false;
	client_await(client, &never, deadline);
}

void client_interrupt(struct client *client)
{
	client->interrupted = true;
	loop_stop(client->loop);
}

bool client_interrupted(const struct client *client)
{
	return client->interrupted;
}

void client_go_on(struct client *client)
{
	client->interrupted = false;
}

msec client_clock(const struct client *client)
{
	return loop_now(client->loop);
}

/* --- question and answer ------------------------------------------------------------------------------------------- */

static void take_answer(void *context, struct clusterd_reply *reply, const struct error *error)
{
	struct client *client = context;
	if (error != NULL)
		client->failure = *error;
	if (error == NULL) {
		mem_grow(client->replies, client->reply_capacity, client->reply_count + 1);
		client->replies[client->reply_count++] = clusterd_reply_hold(reply);
	}
	if (error != NULL || !reply->response->more)
		client->request = NULL;
	client->answered = true;
}

static int await_reply(struct client *client, struct reply *ret_reply, struct error *error)
{
	if (!client_await(client, &client->answered, MSEC_NEVER)) {
		client_leave(client);
		return error_set(error, ERR_TIMEOUT, "interrupted");
	}
	if (client->reply_count == 0) {
		*error = client->failure;
		return client->failure.code;
	}
	struct clusterd_reply *reply = client->replies[0];
	client->reply_count--;
	memmove(client->replies, client->replies + 1, client->reply_count * sizeof(struct clusterd_reply *));
	client->answered = client->reply_count > 0 || client->request == NULL;
	*ret_reply = (struct reply){reply->response, buffer_slice(&reply->payload), reply};
	return 0;
}

void client_leave(struct client *client)
{
	clusterd_request_cancel(client->request);
	client->request = NULL;
	client->answered = true;
	client->failure = (struct error){0};
	for (size_t i = 0; i < client->reply_count; i++)
		clusterd_reply_destroy(client->replies[i]);
	client->reply_count = 0;
}

int client_ask(struct client *client, Clusterd__Wire__Request *request, struct slice payload, struct reply *ret_reply,
               struct error *error)
{
	client_leave(client);
	client->answered = false;
	client->served_ms = loop_now(client->loop);
	client->request = request_begin(client->library, request, payload,
	                                client->timeout == MSEC_NEVER ? CLUSTERD_NO_TIMEOUT : client->timeout, take_answer,
	                                client);
	return await_reply(client, ret_reply, error);
}

int client_next(struct client *client, struct reply *ret_reply, struct error *error)
{
	if (client->request != NULL)
		request_prolong(client->request, client->timeout == MSEC_NEVER ? CLUSTERD_NO_TIMEOUT : client->timeout);
	return await_reply(client, ret_reply, error);
}

void client_set_timeout(struct client *client, msec timeout)
{
	client->timeout = timeout;
}

/* --- open and close ------------------------------------------------------------------------------------------------ */

struct loop *client_loop(struct client *client)
{
	return client->loop;
}

struct clusterd_client *client_library(struct client *client)
{
	return client->library;
}

static int join_loop(struct client *client, struct error *error)
{
	if (loop_create(&client->loop) != 0)
		return error_set(error, ERR_IO, "the event loop cannot be made");
	client->watch = loop_watch_create(client->loop, clusterd_client_descriptor(client->library), library_is_ready, client);
	loop_watch_set(client->watch, true, false);
	client->due = loop_timer_create(client->loop, library_is_due, client);
	client->deadline = loop_timer_create(client->loop, time_is_out, client);
	loop_at_turn_end(client->loop, set_due, client);
	return 0;
}

static int connect_first(struct client *client, struct error *error)
{
	struct clusterd_error failure;
	int timeout = client->timeout > INT32_MAX ? CLUSTERD_NO_TIMEOUT : (int)client->timeout;
	if (clusterd_client_connect(client->library, timeout, &failure) == 0)
		return 0;
	return error_set(error, failure.code, "%s", failure.text);
}

int client_open(const struct client_options *options, struct client **ret_client, struct error *error)
{
	struct clusterd_client_options known = CLUSTERD_CLIENT_OPTIONS;
	struct clusterd_error failure;
	struct client *client = mem_zero(sizeof *client);
	known.addresses = options->address;
	known.token = options->token;
	known.name = options->name;
	known.consistency = (int)options->consistency;
	client->timeout = options->timeout;
	int code = clusterd_client_create(&known, &client->library, &failure);
	if (code != 0)
		error_set(error, code, "%s", failure.text);
	else
		code = join_loop(client, error);
	if (code == 0)
		code = connect_first(client, error);
	if (code != 0)
		client_close(client);
	else
		*ret_client = client;
	return code;
}

/* Waits for the answer: what was done in the session is in the catalog's file then. */
static void close_session(struct client *client)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__CloseSession body = CLUSTERD__WIRE__CLOSE_SESSION__INIT;
	struct reply reply;
	struct error error;
	if (client->library->requests.own.id == 0 || !link_is_open(client->library->link))
		return;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_CLOSE_SESSION;
	request.close_session = &body;
	client->timeout = msec_earlier(client->timeout, CLOSE_MS);
	if (client_ask(client, &request, SLICE(""), &reply, &error) == 0)
		reply_finish(&reply);
	client->library->requests.own.id = 0;
}

void client_close(struct client *client)
{
	if (client == NULL)
		return;
	if (client->loop != NULL) {
		close_session(client);
		client_leave(client);
		loop_forget_turn_end(client->loop, set_due, client);
		loop_timer_destroy(client->due);
		loop_timer_destroy(client->deadline);
		loop_watch_destroy(client->watch);
	}
	clusterd_client_destroy(client->library);
	loop_destroy(client->loop);
	mem_free(client->replies);
	mem_free(client);
}
