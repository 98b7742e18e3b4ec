#include "daemon/request.h"

#include "base/memory.h"
#include "wire/request.h"

#include <inttypes.h>

/* Requests that only read. */

static void request_query(const struct request *request)
{
	const Clusterd__Wire__Query *body = request->message->query;
	struct node_query query = {
		.sql = body->sql,
		.parameters = body->parameters,
		.parameter_count = body->n_parameters,
		.row_limit = body->row_limit,
		.time_limit = body->time_limit_ms,
	};
	node_settle(request->node);
	if (!request->node->failed)
		request->node->host->query(request->node->context, request->connection, request->stream, &query);
}

static void request_save_snapshot(const struct request *request)
{
	if ((request->connection & NODE_PEER_CONNECTION) != 0) {
		request_refuse(request, ERR_UNSUPPORTED,
		               "a copy of the catalog is given by servers only: ask one of them");
		return;
	}
	node_settle(request->node);
	if (!request->node->failed)
		request->node->host->save_snapshot(request->node->context, request->connection, request->stream);
}

static void request_status(const struct request *request)
{
	struct node *node = request->node;
	if (request->message->status->wait_ready && !node->ready) {
		request_wait(request, WAIT_READY, 0, 0, 0);
		return;
	}
	buffer_clear(&node->scratch);
	status_print(node, &node->scratch);
	respond_text(request, buffer_slice(&node->scratch));
}

static void watch(const struct request *request, uint64_t id, uint64_t after)
{
	struct node *node = request->node;
	uint64_t seq = machine_history_seq(node->machine);
	struct waiter waiter = {WAIT_GROWN, id, 0, request->connection, request->stream, after, NULL, 0};
	struct catalog_instance row;
	int code = id != 0 ? catalog_instance_read(node->catalog, id, &row) : 0;
	if (code == ERR_NOT_FOUND) {
		request_refuse(request, ERR_NOT_FOUND, "there is no workflow with the id %" PRIu64, id);
		return;
	}
	if (code == 0 && id != 0 && row.finished_ms != 0) {
		respond_grown(node, &waiter, id, seq, true);
		return;
	}
	if (seq > waiter.more) {
		respond_grown(node, &waiter, id, seq, false);
		waiter.more = seq;
	}
	waiters_add(node->waiters, &waiter);
}

static void request_watch(const struct request *request)
{
	watch(request, request->message->watch->instance, request->message->watch->after);
}

void requests_look_again(struct node *node)
{
	struct waiter *all = NULL;
	size_t count = 0;
	size_t capacity = 0;
	struct waiter waiter;
	while (waiters_take_any(node->waiters, WAIT_FINISHED, &waiter) ||
	       waiters_take_any(node->waiters, WAIT_GROWN, &waiter)) {
		mem_grow(all, capacity, count + 1);
		all[count++] = waiter;
	}
	for (size_t i = 0; i < count; i++) {
		struct request request = {.node = node, .connection = all[i].connection, .stream = all[i].stream};
		if (all[i].kind == WAIT_FINISHED)
			request_await(&request, all[i].first, (enum awaited_form)all[i].more);
		else
			watch(&request, all[i].first, all[i].more);
	}
	mem_free(all);
}

static void request_inspect(const struct request *request)
{
	struct node *node = request->node;
	const Clusterd__Wire__Inspect *body = request->message->inspect;
	struct buffer text = BUFFER_EMPTY;
	struct error error = {0};
	int code = ERR_INVALID;
	if (body->what_case == CLUSTERD__WIRE__INSPECT__WHAT_PROCESS)
		code = inspect_process(node, body->process, &text, &error);
	else if (body->what_case == CLUSTERD__WIRE__INSPECT__WHAT_INSTANCE)
		code = inspect_instance(node, body->instance, &text, &error);
	else
		error_set(&error, ERR_INVALID, "what is to be inspected is not said");
	if (code == 0)
		respond_text(request, buffer_slice(&text));
	else
		request_refuse(request, code, "%s", error.text);
	buffer_finish(&text);
}

/* One that changes something, in a session, or with a sequence of it, that this node did not know: it has found out since that it knew all
 * there was to know. */
static void request_of_unknown_session(const struct request *request)
{
	uint64_t session = request->message->session;
	const struct answer *answer;
	if (machine_session_answer(request->node->machine, session, request->message->sequence, &answer) < 0)
		request_refuse(request, ERR_EXPIRED, "session %" PRIu64 " is unknown or has expired: open a new one", session);
	else
		request_to_leader(request);
}

void request_read(const struct request *request)
{
	const struct answer *answer;
	uint64_t session = request->message->session;
	if (request->node->failed)
		return;
	if (request_changes_something(request->message)) {
		request_of_unknown_session(request);
		return;
	}
	/* Whoever only reads for long keeps its session alive, too. */
	if (session != 0 && machine_session_answer(request->node->machine, session, UINT64_MAX, &answer) >= 0) {
		if (!request_shows_secret(request))
			return;
		session_touch(request->node, session, request->connection);
	}
	switch (request->message->body_case) {
	case CLUSTERD__WIRE__REQUEST__BODY_AWAIT_JOB:
		request_await_job(request);
		break;
	case CLUSTERD__WIRE__REQUEST__BODY_KEEP_SESSION:
		request_keep_session(request);
		break;
	case CLUSTERD__WIRE__REQUEST__BODY_WAIT:
		node_settle(request->node);
		if (!request->node->failed)
			request_await(request, request->message->wait->instance, AWAITED_SETTLED);
		break;
	case CLUSTERD__WIRE__REQUEST__BODY_QUERY:
		request_query(request);
		break;
	case CLUSTERD__WIRE__REQUEST__BODY_STATUS:
		request_status(request);
		break;
	case CLUSTERD__WIRE__REQUEST__BODY_WATCH:
		request_watch(request);
		break;
	case CLUSTERD__WIRE__REQUEST__BODY_SAVE_SNAPSHOT:
		request_save_snapshot(request);
		break;
	case CLUSTERD__WIRE__REQUEST__BODY_INSPECT:
		request_inspect(request);
		break;
	default:
		if (!request_keys_read(request) && !request_topics_read(request) && !request_catalog_read(request))
			request_refuse(request, ERR_UNSUPPORTED, "this node does not know this request");
		break;
	}
}
