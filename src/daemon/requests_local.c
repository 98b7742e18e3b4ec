#include "daemon/cluster.h"
#include "daemon/forward.h"

#include <inttypes.h>
#include <stdio.h>

/* Requests that one machine answers, whoever leads: they go to it, and its host answers them. */

static bool is_there(const struct request *request, uint64_t id)
{
	char digits[24];
	struct gossip_member member;
	snprintf(digits, sizeof digits, "%" PRIu64, id);
	if (forward_reaches(request->node, id))
		return true;
	if (!cluster_find(request->node, digits, &member)) {
		request_refuse(request, ERR_NOT_FOUND, "the node that has it is not of the cluster any more (%s)", digits);
		return false;
	}
	if (member.state == GOSSIP_FAILED || member.state == GOSSIP_LEFT) {
		request_refuse(request, ERR_NOT_FOUND, "the node that has it, %s, is %s", member.name,
		               member.state == GOSSIP_LEFT ? "gone" : "dead");
		return false;
	}
	return true;
}

void request_at(const struct request *request, uint64_t id)
{
	struct node *node = request->node;
	if (id != 0 && id != node->id && (request->connection & NODE_PEER_CONNECTION) != 0)
		request_refuse(request, ERR_CONFLICT, "this node is another one than the one that is meant");
	else if (id != 0 && id != node->id && is_there(request, id))
		forward_to(request, id);
	else if (id != 0 && id != node->id)
		return;
	else if (node->host->local == NULL)
		request_refuse(request, ERR_UNSUPPORTED, "this node runs no tasks");
	else
		node->host->local(node->context, request->connection, request->stream, request->message, request->payload);
}
