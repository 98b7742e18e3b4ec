#include "daemon/cluster.h"
#include "daemon/consistency.h"
#include "daemon/forward.h"
#include "wire/request.h"

/* The door: what clients ask. */

void request_lead(const struct request *request)
{
	switch (request->message->body_case) {
	case CLUSTERD__WIRE__REQUEST__BODY_EXPLAIN_JOB:
		request_explain_job(request);
		break;
	case CLUSTERD__WIRE__REQUEST__BODY_REMOVE:
	case CLUSTERD__WIRE__REQUEST__BODY_PROMOTE:
	case CLUSTERD__WIRE__REQUEST__BODY_TRANSFER:
		request_cluster(request);
		break;
	default:
		request_change(request);
		break;
	}
}

/* What the leader alone answers: all that changes something, and what it knows without its log. */
static bool is_of_leader(const Clusterd__Wire__Request *message)
{
	switch (message->body_case) {
	case CLUSTERD__WIRE__REQUEST__BODY_OPEN_SESSION:
	case CLUSTERD__WIRE__REQUEST__BODY_KEEP_LEASE:
	case CLUSTERD__WIRE__REQUEST__BODY_REMOVE:
	case CLUSTERD__WIRE__REQUEST__BODY_PROMOTE:
	case CLUSTERD__WIRE__REQUEST__BODY_TRANSFER:
	case CLUSTERD__WIRE__REQUEST__BODY_KEEP_SESSION:
	case CLUSTERD__WIRE__REQUEST__BODY_EXPLAIN_JOB:
		return true;
	default:
		return request_changes_something(message);
	}
}

void request_to_leader(const struct request *request)
{
	if (forward_serves(request->node))
		request_lead(request);
	else
		forward_request(request);
}

/* To who may answer it: the leader, this node when it has applied enough, or this node now. */
static void hand_on(const struct request *request)
{
	if (is_of_leader(request->message)) {
		request_to_leader(request);
		return;
	}
	switch (request->message->body_case) {
	case CLUSTERD__WIRE__REQUEST__BODY_WAIT:
	case CLUSTERD__WIRE__REQUEST__BODY_QUERY:
	case CLUSTERD__WIRE__REQUEST__BODY_WATCH:
	case CLUSTERD__WIRE__REQUEST__BODY_SAVE_SNAPSHOT:
	case CLUSTERD__WIRE__REQUEST__BODY_INSPECT:
	case CLUSTERD__WIRE__REQUEST__BODY_GET:
	case CLUSTERD__WIRE__REQUEST__BODY_LIST_KEYS:
	case CLUSTERD__WIRE__REQUEST__BODY_WATCH_KEYS:
	case CLUSTERD__WIRE__REQUEST__BODY_AWAIT_JOB:
	case CLUSTERD__WIRE__REQUEST__BODY_LOOKUP_TOPIC:
	case CLUSTERD__WIRE__REQUEST__BODY_WATCH_TOPIC:
		if (request->node->agent) /* its catalog says nothing */
			forward_request(request);
		else
			consistency_read(request);
		break;
	case CLUSTERD__WIRE__REQUEST__BODY_READ_OUTPUT:
	case CLUSTERD__WIRE__REQUEST__BODY_BEGIN_EXEC:
	case CLUSTERD__WIRE__REQUEST__BODY_CONTINUE_EXEC:
	case CLUSTERD__WIRE__REQUEST__BODY_UPLOAD_PROGRAM:
	case CLUSTERD__WIRE__REQUEST__BODY_KEEP_PROGRAM:
	case CLUSTERD__WIRE__REQUEST__BODY_READ_PROGRAM:
		request_local(request);
		break;
	case CLUSTERD__WIRE__REQUEST__BODY_CATALOG_LIST:
	case CLUSTERD__WIRE__REQUEST__BODY_CATALOG_WATCH:
		if (request->node->agent)
			forward_request(request);
		else if (request->node->installing)
			consistency_read(request);
		else
			request_read(request);
		break;
	case CLUSTERD__WIRE__REQUEST__BODY_MEMBERS:
	case CLUSTERD__WIRE__REQUEST__BODY_LEAVE:
		request_cluster(request);
		break;
	default:
		request_read(request);
		break;
	}
}

void node_request(struct node *node, uint64_t connection, uint32_t stream, const Clusterd__Wire__Request *message,
                  struct slice payload)
{
	struct request request = {node, connection, stream, message, payload};
	node->counts.requests++;
	if (waiters_count_connection(node->waiters, connection) >= NODE_WAITERS_MAX) {
		node->counts.busy++;
		request_refuse(&request, ERR_BUSY, "%u requests of this connection wait for their answers",
		               NODE_WAITERS_MAX);
		return;
	}
	if (node->agent || !request_catalog_topic(&request))
		hand_on(&request);
}

/* What nobody waits for any more. */
static void forget(struct node *node, const struct waiter *waiter)
{
	if (waiter->kind == WAIT_FORWARDED)
		forward_forget(node, waiter->first);
	else if (waiter->kind == WAIT_READ)
		consistency_forget(node, waiter->first);
	text_release(waiter->text);
}

void node_request_cancelled(struct node *node, uint64_t connection, uint32_t stream)
{
	struct waiter waiter;
	if (waiters_take_stream(node->waiters, connection, stream, &waiter))
		forget(node, &waiter);
}

void requests_dropped(struct node *node, uint64_t connection)
{
	struct waiter waiter;
	while (waiters_take_connection(node->waiters, connection, &waiter))
		forget(node, &waiter);
}
