#include "client.h"

#include "base/memory.h"
#include "net/stream.h"
#include "wire/connection.h"
#include "wire/message.h"
#include "wire/request.h"

#include <stdio.h>
#include <unistd.h>

#define RETRY_MS 100      /* when the node does not say when to come back */
#define CONNECT_MS 3000   /* for one of several addresses */
#define PATIENCE_MS 30000 /* without a time limit: for no node that serves */
#define ANSWER_MARGIN_MS 200 /* the node gives up so much earlier, and says why */
#define ADDRESSES_MAX 32

struct client {
	struct client_options options;
	char *addresses[ADDRESSES_MAX];
	size_t address_count;
	size_t at; /* which one is used */
	char *token;
	struct loop *loop;
	struct loop_timer *timer;
	struct stream *stream;
	struct connection *connection;
	struct connection_config config;
	uint32_t stream_id; /* of the current request */
	bool open;
	bool lost;
	bool timed_out;
	bool waiting;
	bool interrupted;
	struct error failure; /* why the connection is lost */

	uint64_t session;
	uint64_t sequence;
	uint32_t sends; /* of the current request */
	uint32_t retry_after_ms; /* said with the last error; 0: nothing */
	Clusterd__Wire__Consistency consistency;

	/* Answers of the current request that nobody took yet. */
	struct reply *replies;
	size_t reply_count;
	size_t reply_capacity;

	client_frame *on_frame;
	client_lost *on_lost;
	void *context;
};

const char *client_address(const struct client *client)
{
	return client->addresses[client->at];
}

void reply_finish(struct reply *reply)
{
	buffer_finish(&reply->payload);
	arena_finish(&reply->arena);
	reply->response = NULL;
}

/* --- the connection ------------------------------------------------------------------------------------------------ */

static void wake(struct client *client)
{
	if (client->waiting)
		loop_stop(client->loop);
}

static void connection_is_lost(struct client *client, int code, const char *reason)
{
	if (client->lost)
		return;
	client->lost = true;
	if (client->failure.code == 0)
		error_set(&client->failure, code, "%s", reason);
	if (client->on_lost != NULL)
		client->on_lost(client->context, client->failure.text);
	wake(client);
}

static void stream_is_closed(void *context, struct stream *stream, const char *reason)
{
	(void)stream;
	connection_is_lost(context, ERR_CLOSED, reason);
}

static void take_response(struct client *client, const struct frame *frame)
{
	struct reply reply = {0};
	ProtobufCMessage *message;
	struct error error;
	if (frame->stream != client->stream_id)
		return;
	if (message_unpack(&clusterd__wire__response__descriptor, frame->message, &reply.arena, &message, &error) != 0) {
		connection_is_lost(client, error.code, error.text);
		return;
	}
	reply.response = (const Clusterd__Wire__Response *)message;
	buffer_append_slice(&reply.payload, frame->payload);
	mem_grow(client->replies, client->reply_capacity, client->reply_count + 1);
	client->replies[client->reply_count++] = reply;
	wake(client);
}

static void take_frame(struct client *client, const struct frame *frame, struct buffer *out)
{
	struct arena arena = {0};
	ProtobufCMessage *message;
	struct error error;
	if (frame->type == FRAME_RESPONSE) {
		take_response(client, frame);
		return;
	}
	if (client->on_frame == NULL)
		return;
	if (connection_unpack(client->connection, frame, &arena, out, &message, &error) == 0)
		client->on_frame(client->context, (int)frame->type, message, frame->payload);
	arena_finish(&arena);
}

static void stream_is_readable(void *context, struct stream *stream, struct buffer *input)
{
	struct client *client = context;
	struct buffer out = BUFFER_EMPTY;
	size_t taken = 0;
	while (!client->lost) {
		struct slice rest = {input->data + taken, input->size - taken};
		struct frame frame;
		size_t size = 0;
		struct error error = {0};
		enum connection_event event = connection_next(client->connection, rest, &out, &size, &frame, &error);
		taken += size;
		if (event == CONNECTION_MORE)
			break;
		if (event == CONNECTION_OPENED) {
			client->open = true;
			wake(client);
		} else if (event == CONNECTION_FRAME) {
			take_frame(client, &frame, &out);
		} else {
			connection_is_lost(client, error.code, error.text);
		}
	}
	buffer_consume(input, client->lost ? input->size : taken);
	if (out.size != 0)
		stream_write(stream, out.data, out.size);
	buffer_finish(&out);
}

static const struct stream_handler stream_handler = {stream_is_readable, stream_is_closed, NULL};

static void time_is_out(void *context)
{
	struct client *client = context;
	client->timed_out = true;
	wake(client);
}

/* Runs the loop until something has come, or the deadline has passed. */
static void wait_for_something(struct client *client, msec deadline)
{
	client->timed_out = client->interrupted;
	if (client->interrupted)
		return;
	loop_timer_set(client->timer, deadline);
	client->waiting = true;
	loop_run(client->loop);
	client->waiting = false;
	loop_timer_set(client->timer, MSEC_NEVER);
	client->timed_out = client->timed_out || client->interrupted;
}

static msec deadline_of(const struct client *client)
{
	return client->options.timeout == MSEC_NEVER ? MSEC_NEVER : loop_now(client->loop) + client->options.timeout;
}

static void disconnect(struct client *client)
{
	stream_destroy(client->stream);
	connection_destroy(client->connection);
	client->stream = NULL;
	client->connection = NULL;
	client->open = false;
}

static int connect_once(struct client *client, msec deadline, struct error *error)
{
	struct buffer out = BUFFER_EMPTY;
	client->lost = false;
	client->failure = (struct error){0};
	int code = stream_connect(client->loop, client_address(client), &stream_handler, client, &client->stream, error);
	if (code != 0)
		return code;
	client->connection = connection_create(&client->config);
	connection_begin(client->connection, &out);
	stream_write(client->stream, out.data, out.size);
	buffer_finish(&out);
	while (!client->open && !client->lost) {
		wait_for_something(client, deadline);
		if (client->timed_out)
			break;
	}
	if (client->open)
		return 0;
	if (!client->lost)
		code = error_set(error, ERR_TIMEOUT, "%s did not answer in time", client_address(client));
	else if (client->failure.code == ERR_DENIED)
		code = error_set(error, ERR_DENIED, "the node at %s refuses: %s", client_address(client), client->failure.text);
	else
		code = error_set(error, ERR_CLOSED, "no node answers at %s: %s", client_address(client), client->failure.text);
	disconnect(client);
	return code;
}

static void next_address(struct client *client)
{
	client->at = (client->at + 1) % client->address_count;
}

/* To the node that was used last, or the first one after it that can be reached. */
static int connect_somewhere(struct client *client, msec deadline, struct error *error)
{
	struct error last = {0};
	if (client->address_count == 1)
		return connect_once(client, deadline, error);
	for (size_t tried = 0; tried < client->address_count; tried++) {
		msec now = loop_now(client->loop);
		if (connect_once(client, msec_earlier(deadline, now + CONNECT_MS), &last) == 0)
			return 0;
		next_address(client);
		if (loop_now(client->loop) >= deadline)
			break;
	}
	int code = last.code == ERR_DENIED ? ERR_DENIED : ERR_CLOSED;
	return error_set(error, code, "none of %zu nodes can be reached; %s", client->address_count, last.text);
}

/* A path that is there is no list. */
static void read_addresses(struct client *client, const char *list)
{
	const char *end;
	if (strchr(list, ',') == NULL || access(list, F_OK) == 0) {
		client->addresses[client->address_count++] = mem_string(list);
		return;
	}
	for (const char *at = list; *at != '\0' && client->address_count < ADDRESSES_MAX; at = *end != '\0' ? end + 1 : end) {
		end = at + strcspn(at, ",");
		if (end > at)
			client->addresses[client->address_count++] = mem_format("%.*s", (int)(end - at), at);
	}
	if (client->address_count == 0)
		client->addresses[client->address_count++] = mem_string(list);
}

static void free_addresses(struct client *client)
{
	for (size_t i = 0; i < client->address_count; i++)
		mem_free(client->addresses[i]);
}

int client_open(const struct client_options *options, struct client **ret_client, struct error *error)
{
	struct client *client = mem_zero(sizeof *client);
	client->options = *options;
	client->token = mem_string(options->token != NULL ? options->token : "");
	read_addresses(client, options->address);
	if (loop_create(&client->loop) != 0) {
		free_addresses(client);
		mem_free(client->token);
		mem_free(client);
		return error_set(error, ERR_IO, "the event loop cannot be made");
	}
	client->timer = loop_timer_create(client->loop, time_is_out, client);
	client->config = (struct connection_config){
		.side = CONNECTION_CLIENT,
		.version_low = PROTOCOL_VERSION,
		.version_high = PROTOCOL_VERSION,
		.cluster_id = "",
		.name = options->name,
		.token = client->token,
		.role = options->role,
	};
	int code = connect_somewhere(client, deadline_of(client), error);
	if (code != 0) {
		client_close(client);
		return code;
	}
	*ret_client = client;
	return 0;
}

static void drop_replies(struct client *client)
{
	for (size_t i = 0; i < client->reply_count; i++)
		reply_finish(&client->replies[i]);
	client->reply_count = 0;
}

/* --- question and answer ------------------------------------------------------------------------------------------- */

static int take_reply(struct client *client, struct reply *ret_reply, struct error *error)
{
	*ret_reply = client->replies[0];
	client->reply_count--;
	memmove(client->replies, client->replies + 1, client->reply_count * sizeof *client->replies);
	const Clusterd__Wire__Error *refusal = ret_reply->response->error;
	if (refusal == NULL || refusal->code == 0)
		return 0;
	int code = refusal->code < 0 ? refusal->code : ERR_INVALID;
	client->retry_after_ms = refusal->retry_after_ms;
	error_set(error, code, "%s", refusal->text);
	reply_finish(ret_reply);
	return code;
}

static int await_reply(struct client *client, msec deadline, struct reply *ret_reply, struct error *error)
{
	while (client->reply_count == 0) {
		if (client->lost)
			return error_set(error, ERR_CLOSED, "the connection to %s was lost: %s", client_address(client),
			                 client->failure.text);
		wait_for_something(client, deadline);
		if (client->timed_out && client->reply_count == 0)
			return error_set(error, ERR_TIMEOUT, "no answer from %s in time", client_address(client));
	}
	return take_reply(client, ret_reply, error);
}

static void send_request(struct client *client, Clusterd__Wire__Request *request, struct slice payload, msec deadline)
{
	msec left = deadline == MSEC_NEVER ? 0 : deadline - loop_now(client->loop);
	drop_replies(client);
	client->stream_id++;
	client->sends++;
	left -= left > 2 * ANSWER_MARGIN_MS ? ANSWER_MARGIN_MS : left / 2;
	request->timeout_ms = left > INT32_MAX ? INT32_MAX : left > 0 ? (uint32_t)left : 0;
	struct buffer out = BUFFER_EMPTY;
	if (message_frame(&out, FRAME_REQUEST, client->stream_id, &request->base, payload) == 0)
		stream_write(client->stream, out.data, out.size);
	buffer_finish(&out);
}

static void pause_a_little(struct client *client, msec time, msec deadline)
{
	client_idle(client, msec_earlier(loop_now(client->loop) + time, deadline));
}

/* One try, over a new connection if need be. What that node cannot do is asked of another one next time. */
static int ask_once(struct client *client, Clusterd__Wire__Request *request, struct slice payload, msec deadline,
                    struct reply *ret_reply, struct error *error)
{
	client->retry_after_ms = 0;
	int code = client->open ? 0 : connect_somewhere(client, deadline, error);
	if (code != 0)
		return code;
	send_request(client, request, payload, deadline);
	code = await_reply(client, deadline, ret_reply, error);
	if (client->lost || code == ERR_CLOSED || code == ERR_NOT_LEADER) {
		disconnect(client);
		next_address(client);
	}
	return code;
}

/* Until there is an answer that is one. */
static int ask(struct client *client, Clusterd__Wire__Request *request, struct slice payload, struct reply *ret_reply,
               struct error *error)
{
	msec begun = loop_now(client->loop);
	msec deadline = deadline_of(client);
	msec patience = deadline == MSEC_NEVER ? begun + PATIENCE_MS : deadline;
	uint32_t lost = 0;
	client->sends = 0;
	for (;;) {
		uint32_t sends = client->sends;
		int code = ask_once(client, request, payload, deadline, ret_reply, error);
		bool was_sent = client->sends > sends;
		bool serves = code != ERR_CLOSED && code != ERR_NOT_LEADER;
		if (serves && code != ERR_BUSY)
			return code;
		/* The node that leaves says goodbye: its word was heard, and is not for another one. */
		if (code == ERR_CLOSED && was_sent && request->body_case == CLUSTERD__WIRE__REQUEST__BODY_LEAVE)
			return code;
		if (code == ERR_CLOSED && was_sent && ++lost < client->address_count)
			continue; /* another node may be there at once */
		msec pause = client->retry_after_ms != 0 ? client->retry_after_ms : RETRY_MS;
		if (serves)
			patience = deadline == MSEC_NEVER ? loop_now(client->loop) + PATIENCE_MS : deadline;
		if (loop_now(client->loop) + pause >= (serves ? deadline : patience))
			return code;
		pause_a_little(client, pause, deadline);
		if (client->interrupted)
			return error_set(error, ERR_TIMEOUT, "interrupted");
		lost = 0;
	}
}

static int need_session(struct client *client, struct error *error)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__OpenSession body = CLUSTERD__WIRE__OPEN_SESSION__INIT;
	struct reply reply;
	if (client->session != 0)
		return 0;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_OPEN_SESSION;
	request.open_session = &body;
	int code = ask(client, &request, SLICE(""), &reply, error);
	if (code != 0)
		return code;
	if (reply.response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_OPENED)
		client->session = reply.response->opened->session;
	reply_finish(&reply);
	return 0;
}

static int ask_in_session(struct client *client, Clusterd__Wire__Request *request, struct slice payload,
                          struct reply *ret_reply, struct error *error)
{
	int code = need_session(client, error);
	if (code != 0)
		return code;
	request->session = client->session;
	request->sequence = ++client->sequence;
	request->answered_below = request->sequence;
	return ask(client, request, payload, ret_reply, error);
}

int client_ask(struct client *client, Clusterd__Wire__Request *request, struct slice payload, struct reply *ret_reply,
               struct error *error)
{
	if (!request_changes_something(request)) {
		if (request->consistency == CLUSTERD__WIRE__CONSISTENCY__CONSISTENCY_LINEARIZABLE)
			request->consistency = client->consistency;
		return ask(client, request, payload, ret_reply, error);
	}
	int code = ask_in_session(client, request, payload, ret_reply, error);
	/* The session has ended before the request was sent for the first time: so it was not carried out. */
	if (code == ERR_EXPIRED && client->sends == 1 && request->body_case != CLUSTERD__WIRE__REQUEST__BODY_CLOSE_SESSION) {
		client->session = 0;
		client->sequence = 0;
		code = ask_in_session(client, request, payload, ret_reply, error);
	}
	return code;
}

int client_next(struct client *client, struct reply *ret_reply, struct error *error)
{
	return await_reply(client, deadline_of(client), ret_reply, error);
}

void client_leave(struct client *client)
{
	struct buffer out = BUFFER_EMPTY;
	if (!client->open || client->lost)
		return;
	frame_append(&out, FRAME_CANCEL, client->stream_id, SLICE(""), SLICE(""));
	stream_write(client->stream, out.data, out.size);
	buffer_finish(&out);
	drop_replies(client);
}

void client_move(struct client *client)
{
	disconnect(client);
	next_address(client);
}

msec client_now(const struct client *client)
{
	return loop_now(client->loop);
}

void client_idle(struct client *client, msec deadline)
{
	do
		wait_for_something(client, deadline);
	while (!client->timed_out);
}

void client_interrupt(struct client *client)
{
	client->interrupted = true;
	wake(client);
}

bool client_interrupted(const struct client *client)
{
	return client->interrupted;
}

void client_go_on(struct client *client)
{
	client->interrupted = false;
}

void client_set_timeout(struct client *client, msec timeout)
{
	client->options.timeout = timeout;
}

void client_set_consistency(struct client *client, Clusterd__Wire__Consistency consistency)
{
	client->consistency = consistency;
}

void client_close(struct client *client)
{
	struct reply reply;
	struct error error;
	if (client == NULL)
		return;
	if (client->session != 0 && client->open && !client->lost) {
		Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
		Clusterd__Wire__CloseSession body = CLUSTERD__WIRE__CLOSE_SESSION__INIT;
		request.body_case = CLUSTERD__WIRE__REQUEST__BODY_CLOSE_SESSION;
		request.close_session = &body;
		client->options.timeout = msec_earlier(client->options.timeout, 1000);
		if (client_ask(client, &request, SLICE(""), &reply, &error) == 0)
			reply_finish(&reply);
	}
	drop_replies(client);
	disconnect(client);
	loop_timer_destroy(client->timer);
	loop_destroy(client->loop);
	mem_free(client->replies);
	free_addresses(client);
	mem_free(client->token);
	mem_free(client);
}

int client_reconnect(struct client *client, struct error *error)
{
	disconnect(client);
	return connect_somewhere(client, deadline_of(client), error);
}

struct loop *client_loop(struct client *client)
{
	return client->loop;
}

void client_on_frame(struct client *client, client_frame *frame, client_lost *lost, void *context)
{
	client->on_frame = frame;
	client->on_lost = lost;
	client->context = context;
}

void client_send(struct client *client, int frame_type, const ProtobufCMessage *message, struct slice payload)
{
	struct buffer out = BUFFER_EMPTY;
	if (client->lost || !client->open)
		return;
	if (message_frame(&out, (enum frame_type)frame_type, 0, message, payload) == 0)
		stream_write(client->stream, out.data, out.size);
	buffer_finish(&out);
}
