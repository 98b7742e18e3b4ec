/* Bugs of a cluster that people make, planted by reaching into what the parts of a node say to each other: the linker gives the calls of
 * these functions to the ones here (--wrap). Each is what a line too few would give. */
#include "sim/sim_bugs.h"

#include "coordinator/internal.h"
#include "daemon/node_internal.h"
#include "election/raft_internal.h"
#include "membership/clock.h"

enum sim_plant sim_planted;
struct sim *sim_running;

#define FRESH_MS 3000

/* --- Raft ---------------------------------------------------------------------------------------------------------- */

void __real_raft_step(struct raft *raft, msec now, const struct raft_event *event, struct raft_effects *ret_effects);
void __wrap_raft_step(struct raft *raft, msec now, const struct raft_event *event, struct raft_effects *ret_effects);

static bool is_message(const struct raft_event *event, enum raft_message_kind kind)
{
	return event->kind == RAFT_MESSAGE && event->message->kind == kind;
}

/* Steps in which the leader may find that more is committed. */
static bool may_commit(const struct raft *raft, const struct raft_event *event)
{
	return raft->role == RAFT_LEADER && raft->read_count == 0 &&
	       (event->kind == RAFT_SYNCED || is_message(event, RAFT_APPEND_RESPONSE));
}

static void step_with_old_terms(struct raft *raft, msec now, const struct raft_event *event, struct raft_effects *ret_effects)
{
	uint64_t start = raft->term_start;
	bool lies = may_commit(raft, event);
	if (lies)
		raft->term_start = 1;
	__real_raft_step(raft, now, event, ret_effects);
	if (lies)
		raft->term_start = start;
}

/* Whatever goes before, what the leader sends follows it. */
static void step_without_comparing(struct raft *raft, msec now, const struct raft_event *event,
                                   struct raft_effects *ret_effects)
{
	struct raft_message message = *event->message;
	struct raft_event changed = *event;
	uint64_t term;
	changed.message = &message;
	if (raft_term_at(raft, message.append_request.prev_index, &term) && term <= message.term)
		message.append_request.prev_term = term;
	__real_raft_step(raft, now, &changed, ret_effects);
}

/* A leader that once led believes that it still does. */
static void step_without_asking(struct raft *raft, msec now, const struct raft_event *event,
                                struct raft_effects *ret_effects)
{
	struct raft_event changed = *event;
	msec lease = raft->lease_ms;
	changed.lease = true;
	raft->lease_ms = 20 * raft->election_ms;
	__real_raft_step(raft, now, &changed, ret_effects);
	raft->lease_ms = lease;
}

void __wrap_raft_step(struct raft *raft, msec now, const struct raft_event *event, struct raft_effects *ret_effects)
{
	switch (sim_planted) {
	case PLANT_VOTES_TWICE:
		if (is_message(event, RAFT_VOTE_REQUEST) && raft->role == RAFT_FOLLOWER && !raft->saving)
			raft->voted_for = raft->saved_vote = 0;
		break;
	case PLANT_LEASE_OUTLIVED:
		raft->lease_ms = 20 * raft->election_ms;
		break;
	case PLANT_TWO_CHANGES:
		if (event->kind == RAFT_CHANGE)
			raft->configurations.list[raft->configurations.count - 1].index = 0;
		break;
	case PLANT_OLD_TERM_COMMITTED:
		step_with_old_terms(raft, now, event, ret_effects);
		return;
	case PLANT_PREV_NOT_CHECKED:
		if (is_message(event, RAFT_APPEND_REQUEST)) {
			step_without_comparing(raft, now, event, ret_effects);
			return;
		}
		break;
	case PLANT_READ_UNCONFIRMED:
		if (event->kind == RAFT_READ) {
			step_without_asking(raft, now, event, ret_effects);
			return;
		}
		break;
	default:
		break;
	}
	__real_raft_step(raft, now, event, ret_effects);
}

uint32_t __real_configuration_quorum(const struct raft_configuration *configuration);
uint32_t __wrap_configuration_quorum(const struct raft_configuration *configuration);

uint32_t __wrap_configuration_quorum(const struct raft_configuration *configuration)
{
	uint32_t quorum = __real_configuration_quorum(configuration);
	return sim_planted == PLANT_QUORUM_SMALL && quorum > 1 ? quorum - 1 : quorum;
}

/* --- the node ------------------------------------------------------------------------------------------------------ */

uint64_t __real_replica_applicable(const struct node *node);
uint64_t __wrap_replica_applicable(const struct node *node);

uint64_t __wrap_replica_applicable(const struct node *node)
{
	return sim_planted == PLANT_APPLIED_UNSYNCED ? raft_commit_index(node->raft) : __real_replica_applicable(node);
}

void __real_node_propose(struct node *node, struct command *command, bool urgent);
void __wrap_node_propose(struct node *node, struct command *command, bool urgent);

void __wrap_node_propose(struct node *node, struct command *command, bool urgent)
{
	bool fresh = node->host->now(node->context) - node->leader_since < FRESH_MS;
	if (sim_planted == PLANT_NO_FIRST_ENTRY && command->kind == COMMAND_NOOP)
		return;
	/* The next leader does not know what was answered. */
	if (sim_planted == PLANT_SEQUENCE_FORGOTTEN && fresh && raft_term(node->raft) > 1)
		command->session = 0;
	__real_node_propose(node, command, urgent);
}

void __real_clock_raise(struct clock *clock, uint64_t stamp);
void __wrap_clock_raise(struct clock *clock, uint64_t stamp);

void __wrap_clock_raise(struct clock *clock, uint64_t stamp)
{
	if (sim_planted != PLANT_STAMPS_NOT_HEARD)
		__real_clock_raise(clock, stamp);
}

/* --- calls --------------------------------------------------------------------------------------------------------- */

void __real_node_calls_offer(struct node *node, const struct call *call, uint64_t used);
void __wrap_node_calls_offer(struct node *node, const struct call *call, uint64_t used);

void __wrap_node_calls_offer(struct node *node, const struct call *call, uint64_t used)
{
	struct call forgetful = *call;
	if (sim_planted == PLANT_ATTEMPT_AGAIN && used > 0) {
		used--;
		forgetful.attempt = forgetful.attempt > used ? used : forgetful.attempt;
	}
	__real_node_calls_offer(node, &forgetful, used);
}

/* --- keys and leases ----------------------------------------------------------------------------------------------- */

static bool granting;

void __real_leases_granted(struct node *node);
void __wrap_leases_granted(struct node *node);

void __wrap_leases_granted(struct node *node)
{
	granting = true;
	__real_leases_granted(node);
	granting = false;
}

void __real_lease_clock_grant(struct lease_clock *clock, uint64_t lease, msec ttl, msec now);
void __wrap_lease_clock_grant(struct lease_clock *clock, uint64_t lease, msec ttl, msec now);

/* A new leader takes leases for run out, whose holders kept them alive at the last one. */
void __wrap_lease_clock_grant(struct lease_clock *clock, uint64_t lease, msec ttl, msec now)
{
	__real_lease_clock_grant(clock, lease, sim_planted == PLANT_LEASE_CUT_SHORT && granting ? 1 : ttl, now);
}

bool __real_lease_clock_keep(struct lease_clock *clock, uint64_t lease, msec now);
bool __wrap_lease_clock_keep(struct lease_clock *clock, uint64_t lease, msec now);

/* It is said to be kept alive, and is not. */
bool __wrap_lease_clock_keep(struct lease_clock *clock, uint64_t lease, msec now)
{
	if (sim_planted == PLANT_LEASE_NOT_KEPT)
		return lease_clock_remaining(clock, lease, now) > 0;
	return __real_lease_clock_keep(clock, lease, now);
}

int __real_apply_put(struct machine *machine, const struct command *command, struct answer *ret_answer);
int __wrap_apply_put(struct machine *machine, const struct command *command, struct answer *ret_answer);

int __wrap_apply_put(struct machine *machine, const struct command *command, struct answer *ret_answer)
{
	struct command changed = *command;
	if (sim_planted == PLANT_CONDITION_IGNORED && changed.put.lease != 0)
		changed.put.condition.given = false;
	int code = __real_apply_put(machine, &changed, ret_answer);
	bool given = code == 0 && ret_answer->number == machine->applied_index;
	if (sim_planted == PLANT_TOKEN_AGAIN && given && machine->applied_index % 4 == 0)
		ret_answer->number--;
	return code;
}
