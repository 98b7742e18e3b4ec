#include "daemon/cluster.h"
#include "daemon/request.h"

#include <inttypes.h>

/* Requests about the cluster itself. Those that change the replicated group are the leader's to carry out; each may be asked again. */

static void request_members(const struct request *request)
{
	struct node *node = request->node;
	buffer_clear(&node->scratch);
	cluster_print_members(node, &node->scratch);
	respond_text(request, buffer_slice(&node->scratch));
}

static bool find(const struct request *request, const char *who, struct gossip_member *ret_member)
{
	if (cluster_find(request->node, who, ret_member))
		return true;
	request_refuse(request, ERR_NOT_FOUND, "there is no member %s", who);
	return false;
}

/* Answered when the new configuration is committed; what goes against it is said at once. */
static void change(const struct request *request, enum raft_change_kind kind, uint64_t id, const char *name)
{
	struct node *node = request->node;
	struct raft_event event = {.kind = RAFT_CHANGE, .change = {kind, id}};
	int code = replica_step(node, &event);
	switch (code) {
	case 0:
		request_wait(request, WAIT_CONFIGURATION, raft_configuration(node->raft)->index, 0, 0);
		break;
	case ERR_NOT_FOUND:
		request_refuse(request, code, "%s is not in the replicated group", name);
		break;
	case ERR_EXISTS:
		request_refuse(request, code, "%s has a vote already", name);
		break;
	case ERR_LIMIT:
		request_refuse(request, code, "the group has %d members or %d voters already", RAFT_MEMBERS_MAX, RAFT_VOTERS_MAX);
		break;
	case ERR_INVALID:
		request_refuse(request, code, "%s is the last voter: without it there would be no cluster", name);
		break;
	case ERR_NOT_LEADER:
		request_refuse(request, code, "this node does not lead any more");
		break;
	default:
		request_refuse(request, code, "another change of the group is under way, or %s has not caught up yet", name);
		break;
	}
}

static void request_remove(const struct request *request)
{
	struct gossip_member member;
	if (!find(request, request->message->remove->member, &member))
		return;
	if (gossip_is_live(&member) && !member.self) {
		request_refuse(request, ERR_CONFLICT, "%s is alive: let it leave (clusterctl member leave, asked of that node)",
		               member.name);
		return;
	}
	change(request, RAFT_REMOVE, member.id, member.name);
}

static void request_promote(const struct request *request)
{
	struct gossip_member member;
	if (find(request, request->message->promote->member, &member))
		change(request, RAFT_PROMOTE, member.id, member.name);
}

static void request_transfer(const struct request *request)
{
	struct node *node = request->node;
	struct gossip_member member = {.id = 0};
	const char *who = request->message->transfer->member;
	if (who[0] != '\0' && !find(request, who, &member))
		return;
	/* Another leads than was asked: it has been handed over, and the answer got lost. */
	bool done = who[0] == '\0' && request->message->transfer->from != 0 && request->message->transfer->from != node->id;
	if (done || member.id == node->id) {
		respond_text(request, SLICE(""));
		return;
	}
	int code = replica_step(node, &(struct raft_event){.kind = RAFT_TRANSFER, .peer = member.id});
	node->handing_over = node->handing_over || code == 0;
	if (code == 0)
		request_wait(request, WAIT_LEADER, 0, 0, 0);
	else if (code == ERR_NOT_FOUND)
		request_refuse(request, code, "%s has no vote, and cannot lead", who[0] != '\0' ? who : "nobody else");
	else
		request_refuse(request, code, "leadership cannot be handed over now: come back later");
}

/* Asked of the node that is to leave. Its seat is taken from it by the leader, which hears of it by gossip. */
static void request_leave(const struct request *request)
{
	struct node *node = request->node;
	const struct raft_configuration *configuration = raft_configuration(node->raft);
	uint32_t voters = 0;
	bool votes = false;
	for (uint32_t i = 0; i < configuration->count; i++) {
		voters += configuration->members[i].voter;
		votes = votes || (configuration->members[i].voter && configuration->members[i].id == node->id);
	}
	if (votes && voters == 1) {
		request_refuse(request, ERR_INVALID, "%s is the last voter: without it there would be no cluster", node->name);
		return;
	}
	node->leaving = true;
	respond_text(request, SLICE(""));
}

bool request_cluster(const struct request *request)
{
	switch (request->message->body_case) {
	case CLUSTERD__WIRE__REQUEST__BODY_MEMBERS:
		request_members(request);
		return true;
	case CLUSTERD__WIRE__REQUEST__BODY_LEAVE:
		request_leave(request);
		return true;
	case CLUSTERD__WIRE__REQUEST__BODY_REMOVE:
		request_remove(request);
		return true;
	case CLUSTERD__WIRE__REQUEST__BODY_PROMOTE:
		request_promote(request);
		return true;
	case CLUSTERD__WIRE__REQUEST__BODY_TRANSFER:
		request_transfer(request);
		return true;
	default:
		return false;
	}
}
