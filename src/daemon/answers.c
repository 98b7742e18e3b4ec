#include "daemon/request.h"

#include "base/memory.h"
#include "wire/message.h"

#include <inttypes.h>

/* What clients are answered. */

#define RETRY_MS 100

static void respond_to_peer(struct node *node, uint64_t member, uint32_t stream, const Clusterd__Wire__Response *response,
                            struct slice payload)
{
	Clusterd__Wire__Response refusal = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Error error = CLUSTERD__WIRE__ERROR__INIT;
	if (!message_fits(FRAME_RESPONSE, &response->base, payload)) {
		error.code = ERR_LIMIT;
		error.text = (char *)(uintptr_t)"the answer is larger than a frame (16 MiB): ask for less";
		refusal.error = &error;
		response = &refusal;
		payload = SLICE("");
	}
	node->host->peer_send(node->context, member, FRAME_FORWARDED, stream, &response->base, &payload,
	                      payload.size != 0 ? 1 : 0);
}

void node_respond(struct node *node, uint64_t connection, uint32_t stream, const Clusterd__Wire__Response *response,
                  struct slice payload)
{
	if (node->failed)
		return;
	if ((connection & NODE_PEER_CONNECTION) != 0)
		respond_to_peer(node, connection & ~NODE_PEER_CONNECTION, stream, response, payload);
	else
		node->host->respond(node->context, connection, stream, response, payload);
}

void respond_error(struct node *node, uint64_t connection, uint32_t stream, int code, struct slice text)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Error error = CLUSTERD__WIRE__ERROR__INIT;
	struct buffer plain = BUFFER_EMPTY;
	buffer_append_slice(&plain, text);
	error.code = code;
	error.text = (char *)(uintptr_t)buffer_string(&plain);
	error.leader = code == ERR_NOT_LEADER ? node_leader(node) : 0;
	if (code == ERR_BUSY || code == ERR_NOT_LEADER)
		error.retry_after_ms = RETRY_MS;
	response.error = &error;
	node_respond(node, connection, stream, &response, SLICE(""));
	buffer_finish(&plain);
}

void request_refuse(const struct request *request, int code, const char *format, ...)
{
	struct error error;
	va_list args;
	va_start(args, format);
	error_setv(&error, code, format, args);
	va_end(args);
	request->node->counts.refused++;
	respond_error(request->node, request->connection, request->stream, code, slice_of(error.text));
}

void respond_text(const struct request *request, struct slice text)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Text body = CLUSTERD__WIRE__TEXT__INIT;
	response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_TEXT;
	response.text = &body;
	node_respond(request->node, request->connection, request->stream, &response, text);
}

void respond_finished(struct node *node, const struct waiter *waiter, uint64_t instance, const char *state,
                      struct slice result, struct slice error)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Finished body = CLUSTERD__WIRE__FINISHED__INIT;
	struct buffer text = BUFFER_EMPTY;
	buffer_append_slice(&text, error);
	body.instance = instance;
	body.state = (char *)(uintptr_t)state;
	body.error = (char *)(uintptr_t)buffer_string(&text);
	response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_FINISHED;
	response.finished = &body;
	node_respond(node, waiter->connection, waiter->stream, &response, result);
	buffer_finish(&text);
}

void respond_grown(struct node *node, const struct waiter *waiter, uint64_t instance, uint64_t seq, bool finished)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Grown body = CLUSTERD__WIRE__GROWN__INIT;
	body.instance = instance;
	body.seq = seq;
	body.finished = finished;
	response.more = !finished;
	response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_GROWN;
	response.grown = &body;
	node_respond(node, waiter->connection, waiter->stream, &response, SLICE(""));
}

void request_wait(const struct request *request, enum wait_kind kind, uint64_t first, uint64_t second, uint64_t more)
{
	struct waiter waiter = {kind, first, second, request->connection, request->stream, more, NULL, 0};
	waiters_add(request->node->waiters, &waiter);
}

/* Answers with the end of an instance, now or when it comes. */
void request_await(const struct request *request, uint64_t id, enum awaited_form form)
{
	struct node *node = request->node;
	struct catalog_instance row;
	int code = catalog_instance_read(node->catalog, id, &row);
	if (code == ERR_NOT_FOUND) {
		request_refuse(request, ERR_NOT_FOUND, "there is no workflow with the id %" PRIu64, id);
	} else if (code != 0) {
		request_refuse(request, code, "the catalog cannot be read: %s", catalog_error(node->catalog));
	} else if (row.finished_ms == 0) {
		request_wait(request, WAIT_FINISHED, id, 0, form);
	} else {
		struct waiter self = {WAIT_FINISHED, id, 0, request->connection, request->stream, 0, NULL, 0};
		struct buffer state = BUFFER_EMPTY;
		buffer_append_slice(&state, row.state);
		respond_finished(node, &self, id, buffer_string(&state),
		                 row.result.data != NULL ? row.result : SLICE(""),
		                 row.error.data != NULL ? row.error : SLICE(""));
		buffer_finish(&state);
	}
}

/* What was registered, from the JSON that the state machine answered. */
static void respond_registered(struct node *node, const struct waiter *waiter, struct slice json)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Text body = CLUSTERD__WIRE__TEXT__INIT;
	response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_TEXT;
	response.text = &body;
	node_respond(node, waiter->connection, waiter->stream, &response, json);
}

void respond_answer(struct node *node, const struct waiter *waiter, const struct answer *answer)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Started started = CLUSTERD__WIRE__STARTED__INIT;
	struct request request = {.node = node, .connection = waiter->connection, .stream = waiter->stream};
	if (answer->code != 0) {
		respond_error(node, waiter->connection, waiter->stream, answer->code,
		              answer->text != NULL ? text_slice(answer->text) : SLICE(""));
		return;
	}
	if (waiter->more == ANSWER_WRITTEN || waiter->more == ANSWER_LEASE) {
		respond_keys_answer(node, waiter, answer);
		return;
	}
	if (waiter->more == ANSWER_PUBLISHED || waiter->more == ANSWER_SUBSCRIBED) {
		respond_topics_answer(node, waiter, answer);
		return;
	}
	if (answer->text != NULL) {
		respond_registered(node, waiter, text_slice(answer->text));
		return;
	}
	if (waiter->first == 0) {
		respond_opened(node, waiter->connection, waiter->stream, answer->number);
		return;
	}
	if (answer->number != 0 && waiter->more == ANSWER_AWAITED) {
		request_await(&request, answer->number, AWAITED_ANSWER);
		return;
	} else if (answer->number != 0) {
		started.instance = answer->number;
		started.existed = answer->existed;
		response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_STARTED;
		response.started = &started;
	}
	node_respond(node, waiter->connection, waiter->stream, &response, SLICE(""));
}
