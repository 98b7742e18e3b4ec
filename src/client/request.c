#include "client/client.h"

#include "base/memory.h"
#include "wire/message.h"
#include "wire/request.h"

#include <sys/random.h>

#define RETRY_MS 100         /* when the node does not say when to come back */
#define ANSWER_MARGIN_MS 200 /* the node gives up so much earlier, and says why */

static void send_or_wait(struct clusterd_request *request);
static request_answer session_opened;
static void request_free(struct clusterd_request *request);

int request_unexpected(struct error *error)
{
	return error_set(error, ERR_INVALID, "the node has answered something else than was asked");
}

/* --- replies ------------------------------------------------------------------------------------------------------- */

struct clusterd_reply *clusterd_reply_hold(struct clusterd_reply *reply)
{
	reply->holds++;
	return reply;
}

void clusterd_reply_destroy(struct clusterd_reply *reply)
{
	if (reply == NULL || --reply->holds != 0)
		return;
	buffer_finish(&reply->payload);
	arena_finish(&reply->arena);
	mem_free(reply);
}

static struct clusterd_reply *reply_unpack(const struct frame *frame, struct error *error)
{
	struct clusterd_reply *reply = mem_zero(sizeof *reply);
	ProtobufCMessage *message = NULL;
	reply->holds = 1;
	if (message_unpack(&clusterd__wire__response__descriptor, frame->message, &reply->arena, &message, error) !=
	    0) {
		clusterd_reply_destroy(reply);
		return NULL;
	}
	reply->response = (const Clusterd__Wire__Response *)message;
	buffer_append_slice(&reply->payload, frame->payload);
	buffer_string(&reply->payload);
	return reply;
}

/* --- states of a request ------------------------------------------------------------------------------------------- */

static void expect_answers(struct clusterd_client *client)
{
	link_expect(client->link, client->requests.by_stream != NULL);
}

/* It is awaited no more on its stream. */
static void leave_stream(struct clusterd_request *request)
{
	if (request->stream == 0)
		return;
	HASH_DELETE(hh, request->client->requests.by_stream, request);
	request->stream = 0;
}

static void leave_session(struct clusterd_request *request)
{
	if (request->sequence != 0)
		TAILQ_REMOVE(&request->client->requests.sequenced, request, sequenced);
	request->session = request->sequence = 0;
	request->sends = 0;
}

static void detach(struct clusterd_request *request)
{
	struct requests *requests = &request->client->requests;
	leave_stream(request);
	leave_session(request);
	TAILQ_REMOVE(request->doomed ? &requests->doomed : &requests->open, request, entry);
	timers_set(&request->client->base.timers, &request->timer, MSEC_NEVER);
	expect_answers(request->client);
}

static void request_free(struct clusterd_request *request)
{
	buffer_finish(&request->body);
	buffer_finish(&request->payload);
	mem_free(request);
}

/* The end. */
static void answer(struct clusterd_request *request, struct clusterd_reply *reply, const struct error *error)
{
	struct clusterd_error public = {0};
	detach(request);
	client_say(&public, error);
	if (request->answer != NULL)
		request->answer(request->context, reply, error);
	else if (request->done != NULL)
		request->done(request->context, error == NULL ? reply : NULL, error != NULL ? &public : NULL);
	request_free(request);
}

/* To be told `why` at the end of the turn. */
static void doom(struct clusterd_request *request)
{
	struct requests *requests = &request->client->requests;
	leave_stream(request);
	timers_set(&request->client->base.timers, &request->timer, MSEC_NEVER);
	TAILQ_REMOVE(&requests->open, request, entry);
	TAILQ_INSERT_TAIL(&requests->doomed, request, entry);
	request->doomed = true;
	expect_answers(request->client);
}

void requests_tell(struct clusterd_client *client)
{
	struct clusterd_request *request;
	while ((request = TAILQ_FIRST(&client->requests.doomed)) != NULL) {
		struct error why = request->why;
		answer(request, NULL, &why);
	}
}

static void set_timer(struct clusterd_request *request, msec at)
{
	timers_set(&request->client->base.timers, &request->timer, msec_earlier(at, request->deadline));
}

static void pause_for(struct clusterd_request *request, msec time)
{
	leave_stream(request);
	expect_answers(request->client);
	request->paused = true;
	set_timer(request, request->client->base.now + time);
}

/* What waits for a session waits for the same as the request that opens it. */
static const struct error *reason_to_wait(const struct clusterd_request *request)
{
	const struct clusterd_request *other;
	if (request->why.code != 0 || !request->changes || request->sequence != 0)
		return &request->why;
	TAILQ_FOREACH(other, &request->client->requests.open, entry)
		if (other->answer == session_opened)
			return &other->why;
	return &request->why;
}

static void give_up(struct clusterd_request *request)
{
	const struct link *link = request->client->link;
	const struct error *failure = link_failure(link);
	request->why = *reason_to_wait(request);
	if (request->stream != 0)
		link_send(request->client->link, FRAME_CANCEL, request->stream, NULL, SLICE(""));
	if (request->stream == 0 && !link_is_open(link) && failure->code != 0)
		request->why = *failure;
	else if (request->stream != 0 || request->why.code == 0)
		error_set(&request->why, ERR_TIMEOUT, "no answer from %s in time", link_address(link));
	doom(request);
}

static void time_is_out(void *context)
{
	struct clusterd_request *request = context;
	if (request->client->base.now >= request->deadline) {
		give_up(request);
		return;
	}
	request->paused = false;
	set_timer(request, MSEC_NEVER);
	send_or_wait(request);
}

/* --- sessions ------------------------------------------------------------------------------------------------------ */

void request_session_init(struct request_session *session, struct clusterd_client *client)
{
	*session = (struct request_session){.client = client};
	while (getrandom(session->secret, sizeof session->secret, 0) != (ssize_t)sizeof session->secret) {
		/* So few are always given, but for a signal while the system is not up yet. */
	}
}

static void session_opened(void *context, struct clusterd_reply *reply, const struct error *error)
{
	struct clusterd_client *client = context;
	struct requests *requests = &client->requests;
	struct request_session *own = &requests->own;
	struct clusterd_request *request;
	struct clusterd_request *next;
	struct error failure = {0};
	own->asked = false;
	if (error != NULL)
		failure = *error;
	else if (reply->response->body_case != CLUSTERD__WIRE__RESPONSE__BODY_OPENED)
		request_unexpected(&failure);
	else
		own->id = reply->response->opened->session;
	own->sequence = 0;
	for (request = TAILQ_FIRST(&requests->open); request != NULL; request = next) {
		next = TAILQ_NEXT(request, entry);
		if (request->in != own || !request->changes || request->sequence != 0 || request->paused)
			continue;
		if (failure.code != 0) {
			request->why = failure;
			doom(request);
		} else {
			send_or_wait(request);
		}
	}
}

static void need_session(struct clusterd_client *client)
{
	Clusterd__Wire__Request message = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__OpenSession body = CLUSTERD__WIRE__OPEN_SESSION__INIT;
	if (client->requests.own.asked)
		return;
	client->requests.own.asked = true;
	message.body_case = CLUSTERD__WIRE__REQUEST__BODY_OPEN_SESSION;
	message.open_session = &body;
	request_begin(client, &message, SLICE(""), CLUSTERD_NO_TIMEOUT, session_opened, client);
}

static bool join_session(struct clusterd_request *request)
{
	struct requests *requests = &request->client->requests;
	struct request_session *session = request->in;
	if (request->sequence != 0)
		return true;
	if (session->id == 0) {
		if (session == &requests->own)
			need_session(request->client);
		return false;
	}
	request->session = session->id;
	request->sequence = ++session->sequence;
	TAILQ_INSERT_TAIL(&requests->sequenced, request, sequenced);
	return true;
}

/* The session is gone. What was sent in it for the first time was not carried out, and is sent in another one. true: it is. */
static bool session_is_gone(struct clusterd_request *request)
{
	struct request_session *session = request->in;
	if (session->doubt != NULL) {
		timers_set(&request->client->base.timers, session->doubt, request->client->base.now);
		return false;
	}
	if (session->id == request->session)
		session->id = 0;
	if (request->sends != 1 || request->begun)
		return false;
	leave_stream(request);
	leave_session(request);
	send_or_wait(request);
	return true;
}

/* --- sending ------------------------------------------------------------------------------------------------------- */

static uint64_t answered_below(const struct clusterd_request *request)
{
	const struct clusterd_request *lowest = TAILQ_FIRST(&request->client->requests.sequenced);
	while (lowest->session != request->session)
		lowest = TAILQ_NEXT(lowest, sequenced);
	return lowest->sequence;
}

static uint32_t next_stream(struct requests *requests)
{
	do
		requests->next_stream++;
	while (requests->next_stream == 0 || requests->next_stream == UINT32_MAX);
	return requests->next_stream;
}

static void send_now(struct clusterd_request *request)
{
	struct clusterd_client *client = request->client;
	struct requests *requests = &client->requests;
	struct buffer out = BUFFER_EMPTY;
	Clusterd__Wire__Request head = CLUSTERD__WIRE__REQUEST__INIT;
	msec left = request->deadline == MSEC_NEVER ? 0 : request->deadline - client->base.now;
	left -= left > 2 * ANSWER_MARGIN_MS ? ANSWER_MARGIN_MS : left / 2;
	head.timeout_ms = left > INT32_MAX ? INT32_MAX : (uint32_t)left;
	head.session = request->changes ? request->session : request->in->id;
	head.session_secret = (ProtobufCBinaryData){sizeof request->in->secret, request->in->secret};
	head.sequence = request->sequence;
	head.answered_below = request->changes ? answered_below(request) : 0;
	request->stream = next_stream(requests);
	HASH_ADD(hh, requests->by_stream, stream, sizeof request->stream, request);
	request->sends++;
	/* The fields of two messages of a type, one behind the other, are those of one message. */
	size_t at = frame_reserve(&out);
	message_append(&out, &head.base);
	buffer_append_slice(&out, buffer_slice(&request->body));
	frame_seal(&out, at, FRAME_REQUEST, request->stream, buffer_slice(&request->payload));
	link_send_frame(client->link, buffer_slice(&out));
	link_send_frame(client->link, buffer_slice(&request->payload));
	buffer_finish(&out);
	expect_answers(client);
}

static void send_or_wait(struct clusterd_request *request)
{
	struct clusterd_client *client = request->client;
	if (request->stream != 0 || request->paused || request->doomed)
		return;
	if (!link_is_open(client->link))
		link_want(client->link);
	else if (!request->changes || join_session(request))
		send_now(request);
}

/* --- what the link tells ------------------------------------------------------------------------------------------- */

void requests_connected(struct clusterd_client *client)
{
	struct clusterd_request *request;
	struct clusterd_request *next;
	for (request = TAILQ_FIRST(&client->requests.open); request != NULL; request = next) {
		next = TAILQ_NEXT(request, entry);
		send_or_wait(request);
	}
}

void requests_lost(struct clusterd_client *client, const struct error *error, bool all)
{
	struct requests *requests = &client->requests;
	struct clusterd_request *request;
	struct clusterd_request *next;
	bool hopeless = all && (error->code == ERR_DENIED || error->code == ERR_VERSION);
	for (request = TAILQ_FIRST(&requests->open); request != NULL; request = next) {
		next = TAILQ_NEXT(request, entry);
		bool was_sent = request->stream != 0;
		leave_stream(request);
		if (!hopeless && !(was_sent && (request->once || request->begun)))
			continue;
		request->why = *error;
		doom(request);
	}
	expect_answers(client);
	if (!TAILQ_EMPTY(&requests->open))
		link_want(client->link);
}

void requests_move(struct clusterd_client *client, const struct error *reason)
{
	link_move(client->link, reason);
	requests_lost(client, reason, false);
}

/* This node does not serve: it is asked again elsewhere, with all that was sent to it. */
static void leave_node(struct clusterd_request *request, uint32_t retry_after_ms)
{
	struct error why = request->why;
	pause_for(request, retry_after_ms != 0 ? retry_after_ms : RETRY_MS);
	requests_move(request->client, &why);
}

/* true: it is not over. */
static bool goes_on(struct clusterd_request *request, const Clusterd__Wire__Error *refusal)
{
	switch (refusal->code) {
	case ERR_BUSY:
		pause_for(request, refusal->retry_after_ms != 0 ? refusal->retry_after_ms : RETRY_MS);
		return true;
	case ERR_NOT_LEADER:
		leave_node(request, refusal->retry_after_ms);
		return true;
	case ERR_CLOSED:
		if (request->once)
			return false;
		leave_node(request, refusal->retry_after_ms);
		return true;
	case ERR_EXPIRED:
		return request->changes && session_is_gone(request);
	default:
		return false;
	}
}

static void take_reply(struct clusterd_request *request, struct clusterd_reply *reply)
{
	const Clusterd__Wire__Error *refusal = reply->response->error;
	if (refusal == NULL || refusal->code == 0) {
		if (reply->response->more) {
			request->begun = true;
			if (request->answer != NULL)
				request->answer(request->context, reply, NULL);
		} else {
			answer(request, reply, NULL);
		}
		return;
	}
	error_set(&request->why, refusal->code < 0 ? refusal->code : ERR_INVALID, "%s", refusal->text);
	if (goes_on(request, refusal))
		return;
	struct error why = request->why;
	answer(request, reply, &why);
}

void requests_take_frame(struct clusterd_client *client, const struct frame *frame)
{
	struct clusterd_request *request = NULL;
	struct error error;
	if (frame->type != FRAME_RESPONSE)
		return;
	HASH_FIND(hh, client->requests.by_stream, &frame->stream, sizeof frame->stream, request);
	if (request == NULL)
		return;
	struct clusterd_reply *reply = reply_unpack(frame, &error);
	if (reply == NULL) {
		error_prefix(&error, "%s has sent what is no answer", link_address(client->link));
		requests_move(client, &error);
		return;
	}
	take_reply(request, reply);
	clusterd_reply_destroy(reply);
}

/* --- begin and end ------------------------------------------------------------------------------------------------- */

static struct clusterd_request *begin(struct request_session *session, Clusterd__Wire__Request *message,
                                      struct slice payload, msec timeout_ms, request_answer *answer_call, void *context)
{
	struct clusterd_client *client = session->client;
	struct clusterd_request *request = mem_zero(sizeof *request);
	client_look_at_clock(client);
	request->client = client;
	request->in = session;
	request->answer = answer_call;
	request->context = context;
	request->changes = request_changes_something(message);
	request->once = message->body_case == CLUSTERD__WIRE__REQUEST__BODY_LEAVE;
	request->deadline = client_deadline(client, timeout_ms);
	request->timer = (struct timer){.call = time_is_out, .context = request};
	TAILQ_INSERT_TAIL(&client->requests.open, request, entry);
	if (!request->changes && message->consistency == CLUSTERD__WIRE__CONSISTENCY__CONSISTENCY_LINEARIZABLE)
		message->consistency = client->consistency;
	if (!message_fits(FRAME_REQUEST, &message->base, payload)) {
		error_set(&request->why, ERR_LIMIT,
		          "the request is larger than a frame (%u bytes, %u of them without the value)", FRAME_SIZE_MAX,
		          FRAME_MESSAGE_MAX);
		doom(request);
		return request;
	}
	message_append(&request->body, &message->base);
	buffer_append_slice(&request->payload, payload);
	set_timer(request, MSEC_NEVER);
	if (session->ended) {
		error_set(&request->why, ERR_EXPIRED, "the session has ended");
		doom(request);
		return request;
	}
	send_or_wait(request);
	return request;
}

struct clusterd_request *request_begin(struct clusterd_client *client, Clusterd__Wire__Request *message,
                                       struct slice payload, msec timeout_ms, request_answer *answer_call,
                                       void *context)
{
	return begin(&client->requests.own, message, payload, timeout_ms, answer_call, context);
}

struct clusterd_request *request_begin_in(struct request_session *session, Clusterd__Wire__Request *message,
                                          msec timeout_ms, request_answer *answer_call, void *context)
{
	return begin(session, message, SLICE(""), timeout_ms, answer_call, context);
}

void request_session_end(struct request_session *session, const struct error *why)
{
	struct clusterd_request *request;
	struct clusterd_request *next;
	session->ended = true;
	session->id = 0;
	for (request = TAILQ_FIRST(&session->client->requests.open); request != NULL; request = next) {
		next = TAILQ_NEXT(request, entry);
		if (request->in != session)
			continue;
		request->why = *why;
		doom(request);
	}
}

static void cancel_all(struct request_session *session, struct request_list *list)
{
	struct clusterd_request *request;
	struct clusterd_request *next;
	for (request = TAILQ_FIRST(list); request != NULL; request = next) {
		next = TAILQ_NEXT(request, entry);
		if (request->in == session)
			clusterd_request_cancel(request);
	}
}

/* Nobody waits for the answer of its close: a session that nobody uses ends by itself, some time later. */
void request_session_leave(struct request_session *session)
{
	Clusterd__Wire__Request message = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__CloseSession body = CLUSTERD__WIRE__CLOSE_SESSION__INIT;
	struct requests *requests = &session->client->requests;
	cancel_all(session, &requests->open);
	cancel_all(session, &requests->doomed);
	if (session->id == 0)
		return;
	message.session = session->id;
	message.session_secret = (ProtobufCBinaryData){sizeof session->secret, session->secret};
	message.sequence = session->sequence + 1;
	message.answered_below = message.sequence;
	message.body_case = CLUSTERD__WIRE__REQUEST__BODY_CLOSE_SESSION;
	message.close_session = &body;
	link_send(session->client->link, FRAME_REQUEST, next_stream(requests), &message.base, SLICE(""));
	session->id = 0;
}

struct clusterd_request *request_begin_strictly(struct clusterd_client *client, Clusterd__Wire__Request *message,
                                                msec timeout_ms, request_answer *answer_call, void *context)
{
	Clusterd__Wire__Consistency consistency = client->consistency;
	client->consistency = CLUSTERD__WIRE__CONSISTENCY__CONSISTENCY_LINEARIZABLE;
	struct clusterd_request *request = request_begin(client, message, SLICE(""), timeout_ms, answer_call, context);
	client->consistency = consistency;
	return request;
}

struct clusterd_request *request_begin_public(struct clusterd_client *client, Clusterd__Wire__Request *message,
                                              struct slice payload, msec timeout_ms, clusterd_done *done, void *context)
{
	struct clusterd_request *request = request_begin(client, message, payload, timeout_ms, NULL, context);
	request->done = done;
	return request;
}

void request_prolong(struct clusterd_request *request, msec timeout_ms)
{
	client_look_at_clock(request->client);
	request->deadline = client_deadline(request->client, timeout_ms);
	if (!request->paused && !request->doomed)
		set_timer(request, MSEC_NEVER);
}

void clusterd_request_cancel(struct clusterd_request *request)
{
	if (request == NULL)
		return;
	if (request->stream != 0)
		link_send(request->client->link, FRAME_CANCEL, request->stream, NULL, SLICE(""));
	detach(request);
	request_free(request);
}

void requests_init(struct clusterd_client *client)
{
	struct requests *requests = &client->requests;
	request_session_init(&requests->own, client);
	TAILQ_INIT(&requests->open);
	TAILQ_INIT(&requests->sequenced);
	TAILQ_INIT(&requests->doomed);
}

void requests_finish(struct clusterd_client *client)
{
	struct request_list *lists[] = {&client->requests.open, &client->requests.doomed};
	for (int i = 0; i < 2; i++) {
		struct clusterd_request *request;
		while ((request = TAILQ_FIRST(lists[i])) != NULL) {
			detach(request);
			request_free(request);
		}
	}
}

/* --- waiting for an answer ----------------------------------------------------------------------------------------- */

struct asked {
	bool over;
	struct clusterd_reply *reply;
	struct error error;
};

static void take_answer(void *context, struct clusterd_reply *reply, const struct error *error)
{
	struct asked *asked = context;
	asked->over = true;
	if (reply != NULL)
		asked->reply = clusterd_reply_hold(reply);
	if (error != NULL)
		asked->error = *error;
}

static int ask(struct request_session *session, Clusterd__Wire__Request *message, struct slice payload, int timeout_ms,
               struct clusterd_reply **ret_reply, struct error *error)
{
	struct asked asked = {0};
	int code = client_may_block(session->client, error);
	if (code != 0)
		return code;
	begin(session, message, payload, timeout_ms, take_answer, &asked);
	client_turn_until(session->client, &asked.over, MSEC_NEVER, error);
	*ret_reply = asked.reply;
	*error = asked.error;
	return asked.error.code;
}

int request_ask(struct clusterd_client *client, Clusterd__Wire__Request *message, struct slice payload, int timeout_ms,
                struct clusterd_reply **ret_reply, struct error *error)
{
	return ask(&client->requests.own, message, payload, timeout_ms, ret_reply, error);
}

int request_ask_in(struct request_session *session, Clusterd__Wire__Request *message, int timeout_ms,
                   Clusterd__Wire__Response__BodyCase expected, struct clusterd_reply **ret_reply, struct error *error)
{
	struct clusterd_reply *reply = NULL;
	int code = ask(session, message, SLICE(""), timeout_ms, &reply, error);
	if (code == 0 && expected != CLUSTERD__WIRE__RESPONSE__BODY__NOT_SET && reply->response->body_case != expected)
		code = request_unexpected(error);
	if (code == 0)
		*ret_reply = reply;
	else
		clusterd_reply_destroy(reply);
	return code;
}

int request_ask_for(struct clusterd_client *client, Clusterd__Wire__Request *message, struct slice payload,
                    int timeout_ms, Clusterd__Wire__Response__BodyCase expected, struct clusterd_reply **ret_reply,
                    struct clusterd_error *error)
{
	struct clusterd_reply *reply = NULL;
	struct error failure = {0};
	int code = request_ask(client, message, payload, timeout_ms, &reply, &failure);
	if (code == 0 && reply->response->body_case != expected)
		code = request_unexpected(&failure);
	if (code != 0) {
		clusterd_reply_destroy(reply);
		return client_say(error, &failure);
	}
	*ret_reply = reply;
	return 0;
}

bool request_may_pass(int code)
{
	return code == ERR_TIMEOUT || code == ERR_CLOSED || code == ERR_NOT_LEADER || code == ERR_BUSY ||
	       code == ERR_EXPIRED;
}
