#include "daemon/cluster.h"
#include "daemon/forward.h"

#include "coordinator/jobs.h"

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

static uint64_t node_of(const Clusterd__Wire__Request *message)
{
	switch (message->body_case) {
	case CLUSTERD__WIRE__REQUEST__BODY_READ_OUTPUT:
		return message->read_output->node;
	case CLUSTERD__WIRE__REQUEST__BODY_BEGIN_EXEC:
		return message->begin_exec->node;
	case CLUSTERD__WIRE__REQUEST__BODY_CONTINUE_EXEC:
		return message->continue_exec->node;
	case CLUSTERD__WIRE__REQUEST__BODY_KEEP_PROGRAM:
		return message->keep_program->node;
	case CLUSTERD__WIRE__REQUEST__BODY_READ_PROGRAM:
		return message->read_program->node;
	default:
		return 0; /* the one that is asked */
	}
}

void request_local(const struct request *request)
{
	uint64_t id = node_of(request->message);
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

/* --- what the host wants to know ----------------------------------------------------------------------------------- */

static size_t add_other(const struct node *node, const struct gossip_member *member, uint64_t *ids, size_t count, size_t most)
{
	if (count == most || member->id == node->id || member->state == GOSSIP_FAILED || member->state == GOSSIP_LEFT)
		return count;
	for (size_t i = 0; i < count; i++) {
		if (ids[i] == member->id)
			return count;
	}
	ids[count] = member->id;
	return count + 1;
}

size_t node_others(const struct node *node, const struct slice *names, size_t name_count, uint64_t *ret_ids, size_t most)
{
	struct gossip_member member;
	struct buffer name = BUFFER_EMPTY;
	size_t count = 0;
	for (size_t i = 0; i < name_count; i++) {
		buffer_clear(&name);
		buffer_append_slice(&name, names[i]);
		if (cluster_find(node, buffer_string(&name), &member))
			count = add_other(node, &member, ret_ids, count, most);
	}
	for (uint64_t id = 0; count < most && gossip_next(node->gossip, id, &member); id = member.id)
		count = add_other(node, &member, ret_ids, count, most);
	buffer_finish(&name);
	return count;
}

bool node_wants_program(const struct node *node, struct slice hash)
{
	for (const struct job *job = machine_jobs(node->machine); job != NULL; job = job->hh.next) {
		if (slice_equal(job->definition->job->program.hash, hash))
			return true;
	}
	return false;
}
