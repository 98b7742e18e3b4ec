#include "daemon/request.h"

/* The door: what clients ask. */

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
	switch (message->body_case) {
	case CLUSTERD__WIRE__REQUEST__BODY_OPEN_SESSION:
	case CLUSTERD__WIRE__REQUEST__BODY_CLOSE_SESSION:
	case CLUSTERD__WIRE__REQUEST__BODY_REGISTER:
	case CLUSTERD__WIRE__REQUEST__BODY_START:
	case CLUSTERD__WIRE__REQUEST__BODY_CANCEL:
	case CLUSTERD__WIRE__REQUEST__BODY_RETRY:
	case CLUSTERD__WIRE__REQUEST__BODY_SIGNAL:
	case CLUSTERD__WIRE__REQUEST__BODY_SET_SETTING:
	case CLUSTERD__WIRE__REQUEST__BODY_PUT:
	case CLUSTERD__WIRE__REQUEST__BODY_DELETE_KEY:
	case CLUSTERD__WIRE__REQUEST__BODY_TRANSACT:
	case CLUSTERD__WIRE__REQUEST__BODY_GRANT_LEASE:
	case CLUSTERD__WIRE__REQUEST__BODY_REVOKE_LEASE:
		request_change(&request);
		break;
	default:
		request_read(&request);
		break;
	}
}

void node_request_cancelled(struct node *node, uint64_t connection, uint32_t stream)
{
	waiters_drop_stream(node->waiters, connection, stream);
}
