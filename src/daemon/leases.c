#include "daemon/request.h"

#include "base/memory.h"

#include <inttypes.h>

/* Leases as the leader sees them: who is to have one, who has been heard of, which have run out. That is not logged; what comes of it is: a
 * command ends those that have run out (INVARIANTS, 25). A leader that is new grants each its full time again. */

/* --- when they run out --------------------------------------------------------------------------------------------- */

static void grant(struct node *node, uint64_t id)
{
	const struct lease *lease = machine_lease(node->machine, id);
	if (lease != NULL)
		lease_clock_grant(node->leases, id, lease->ending ? 0 : lease->ttl, node->host->now(node->context));
}

void leases_granted(struct node *node)
{
	size_t count = machine_lease_count(node->machine);
	uint64_t *ids = mem_array(count, sizeof *ids);
	count = machine_leases(node->machine, ids, count);
	lease_clock_clear(node->leases);
	for (size_t i = 0; i < count; i++)
		grant(node, ids[i]);
	mem_free(ids);
}

/* One of which keys are left has run out at once: the next command deletes more of them. */
void leases_changed(struct node *node, const struct effect *effect)
{
	if (!node->leader)
		return;
	if (effect->kind == EFFECT_LEASE_ENDED)
		lease_clock_forget(node->leases, effect->lease);
	else
		grant(node, effect->lease);
}

void leases_end(struct node *node)
{
	uint64_t ended[LEASES_ENDED_MAX];
	size_t count = 0;
	msec now = node->host->now(node->context);
	if (!node->ready || now < lease_clock_deadline(node->leases))
		return;
	while (count < LEASES_ENDED_MAX && lease_clock_expired(node->leases, now, &ended[count]))
		count++;
	if (count == 0)
		return;
	struct command command = {.kind = COMMAND_END_LEASES};
	command.end_leases.leases = ended;
	command.end_leases.count = count;
	node_propose(node, &command, true);
}

/* --- requests ------------------------------------------------------------------------------------------------------ */

void request_grant_lease(const struct request *request)
{
	const Clusterd__Wire__GrantLease *body = request->message->grant_lease;
	struct command command = {.kind = COMMAND_GRANT_LEASE};
	if (body->ttl_ms < LEASE_TTL_MIN || body->ttl_ms > LEASE_TTL_MAX) {
		request_refuse(request, ERR_LIMIT, "a lease lives for %d ms to %d ms, not %" PRIu64, LEASE_TTL_MIN, LEASE_TTL_MAX,
		               body->ttl_ms);
		return;
	}
	if (strlen(body->owner) > LEASE_OWNER_MAX) {
		request_refuse(request, ERR_LIMIT, "a lease's owner may have %d bytes, not %zu", LEASE_OWNER_MAX,
		               strlen(body->owner));
		return;
	}
	if (machine_lease_count(request->node->machine) >= NODE_LEASES_MAX) {
		request->node->counts.busy++;
		request_refuse(request, ERR_BUSY, "there are %u leases: those that nobody keeps alive end some time later",
		               NODE_LEASES_MAX);
		return;
	}
	command.grant_lease.ttl = (msec)body->ttl_ms;
	command.grant_lease.owner = slice_of(body->owner);
	request_propose(request, &command, ANSWER_LEASE);
}

void request_revoke_lease(const struct request *request)
{
	struct command command = {.kind = COMMAND_END_LEASES};
	command.end_leases.leases = &request->message->revoke_lease->lease;
	command.end_leases.count = 1;
	request_propose(request, &command, ANSWER_WRITTEN);
}

void request_keep_lease(const struct request *request)
{
	struct node *node = request->node;
	uint64_t id = request->message->keep_lease->lease;
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Lease body = CLUSTERD__WIRE__LEASE__INIT;
	if (!node->leader) {
		request_refuse(request, ERR_NOT_LEADER, "leases are kept alive by the leader, which this node is not");
		return;
	}
	const struct lease *lease = machine_lease(node->machine, id);
	if (lease == NULL || !lease_clock_keep(node->leases, id, node->host->now(node->context))) {
		request_refuse(request, ERR_NOT_FOUND, "there is no lease %" PRIu64 ": it was never granted, or has ended", id);
		return;
	}
	body.id = id;
	body.ttl_ms = (uint64_t)lease->ttl;
	response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_LEASE;
	response.lease = &body;
	node_respond(node, request->connection, request->stream, &response, SLICE(""));
}
