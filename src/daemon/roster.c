#include "daemon/cluster.h"

#include "base/json.h"
#include "base/memory.h"

#include <inttypes.h>

/* The leader's part in membership: gossip is soft state, which enters replicated tables as commands of the leader only (INVARIANTS, 36),
 * and who is written down and never heard of has failed. The replicated group follows it, one change at a time (Raft dissertation §4.1):
 * servers that join get the log as learners, learners that have caught up become voters while there are fewer than the setting `voters`, a
 * voter that stays away is replaced when there is somebody to take its seat, and who has left goes. */

#define RETRY_MS 100        /* after a change that could not be begun now */
#define AWAY_MS 10000       /* a voter that has failed so long loses its seat to a learner */
#define NOTED_AT_ONCE 64    /* rows in one turn */

/* What the leader has proposed of a member. */
struct noted {
	uint64_t id;
	uint64_t generation;
	uint64_t version;
	const char *state;
	UT_hash_handle hh;
};

/* --- rows ---------------------------------------------------------------------------------------------------------- */

/* Suspicion is no state of a row: it comes and goes. */
static const char *row_state(const struct gossip_member *member)
{
	if (gossip_is_live(member))
		return "alive";
	return member->state == GOSSIP_LEFT ? "left" : "failed";
}

static struct noted *noted_find(const struct node *node, uint64_t id)
{
	struct noted *noted;
	HASH_FIND(hh, node->noted, &id, sizeof id, noted);
	return noted;
}

/* What it says of itself is believed as far as it can be. */
static uint64_t number_of(const struct gossip_member *member, const char *key, uint64_t most)
{
	struct slice text = SLICE("");
	long long number = 0;
	if (!gossip_value(member, key, &text) || json_integer(text, 0, (long long)most, &number) != 0)
		return 0;
	return (uint64_t)number;
}

static void ports_of(const struct gossip_member *member, uint32_t *ret_low, uint32_t *ret_high)
{
	struct slice text = SLICE("");
	long long low = 0;
	long long high = 0;
	gossip_value(member, GOSSIP_KEY_PORTS, &text);
	const char *dash = text.size != 0 ? memchr(text.data, '-', text.size) : NULL;
	if (dash == NULL)
		return;
	size_t first = (size_t)(dash - text.data);
	if (json_integer((struct slice){text.data, first}, 1, UINT16_MAX, &low) != 0 ||
	    json_integer((struct slice){dash + 1, text.size - first - 1}, low, UINT16_MAX, &high) != 0)
		return;
	*ret_low = (uint32_t)low;
	*ret_high = (uint32_t)high;
}

static void propose_row(struct node *node, const struct gossip_member *member, const char *state)
{
	struct command command = {.kind = COMMAND_NODE};
	struct buffer tags = BUFFER_EMPTY;
	struct slice role = SLICE("");
	struct slice datacenter = SLICE("");
	gossip_value(member, GOSSIP_KEY_ROLE, &role);
	gossip_value(member, GOSSIP_KEY_DATACENTER, &datacenter);
	cluster_print_tags(&tags, member);
	command.node.id = member->id;
	command.node.name = slice_of(member->name);
	command.node.role = role;
	command.node.address = slice_of(member->address);
	command.node.datacenter = datacenter;
	command.node.state = slice_of(state);
	command.node.tags = buffer_slice(&tags);
	command.node.generation = member->generation;
	command.node.cpu = (uint32_t)number_of(member, GOSSIP_KEY_CPU, UINT32_MAX);
	command.node.memory = number_of(member, GOSSIP_KEY_MEMORY, UINT64_C(1) << 52);
	ports_of(member, &command.node.port_low, &command.node.port_high);
	node_propose(node, &command, true);
	buffer_finish(&tags);
}

static bool note(struct node *node, const struct gossip_member *member)
{
	const char *state = row_state(member);
	struct noted *noted = noted_find(node, member->id);
	if (noted != NULL && noted->generation == member->generation && noted->version == member->version &&
	    noted->state == state)
		return false;
	if (noted == NULL) {
		noted = mem_zero(sizeof *noted);
		noted->id = member->id;
		HASH_ADD(hh, node->noted, id, sizeof noted->id, noted);
	}
	noted->generation = member->generation;
	noted->version = member->version;
	noted->state = state;
	propose_row(node, member, state);
	return true;
}

/* true: all rows are as gossip says. */
static bool note_members(struct node *node)
{
	struct gossip_member member;
	size_t count = 0;
	for (uint64_t id = 0; gossip_next(node->gossip, id, &member); id = member.id) {
		if (note(node, &member) && ++count == NOTED_AT_ONCE)
			return false;
	}
	return true;
}

/* Whom nobody has ever heard of here: it was gone before all who knew it were started anew. */
static void fail_unknown(void *context, const struct catalog_node *row)
{
	struct node *node = context;
	struct gossip_member member;
	struct command command = {.kind = COMMAND_NODE};
	if (!slice_is(row->state, "alive") || gossip_find(node->gossip, row->id, &member))
		return;
	command.node.id = row->id;
	command.node.name = row->name;
	command.node.role = row->role;
	command.node.address = row->address;
	command.node.datacenter = row->datacenter;
	command.node.state = SLICE("failed");
	command.node.tags = row->tags;
	command.node.generation = row->generation;
	command.node.cpu = row->cpu;
	command.node.memory = row->memory;
	command.node.port_low = row->port_low;
	command.node.port_high = row->port_high;
	node_propose(node, &command, true);
}

/* --- the group ----------------------------------------------------------------------------------------------------- */

struct standing {
	const struct raft_member *seat;
	struct gossip_member member;
	bool known;
	bool live;
	bool away;  /* failed for some time, left or forgotten: its seat may go to another */
	bool ready; /* a learner that has caught up */
};

static struct standing standing_of(const struct node *node, const struct raft_member *seat, msec now)
{
	struct standing standing = {.seat = seat};
	struct raft_progress progress;
	standing.known = gossip_find(node->gossip, seat->id, &standing.member);
	standing.live = standing.known && gossip_is_live(&standing.member);
	standing.away = !standing.live && (!standing.known || standing.member.state == GOSSIP_LEFT ||
	                                   now - standing.member.since >= AWAY_MS);
	standing.ready = !seat->voter && standing.live && raft_progress(node->raft, seat->id, &progress) &&
	                 progress.state == RAFT_REPLICATE;
	return standing;
}

/* After a restart of all nodes the others are not known yet: nobody loses a seat before there was time to hear of them. */
static bool may_judge(const struct node *node, msec now)
{
	return now - node->leader_since >= AWAY_MS;
}

static bool change(struct node *node, enum raft_change_kind kind, uint64_t member)
{
	struct raft_event event = {.kind = RAFT_CHANGE, .change = {kind, member}};
	return replica_step(node, &event) == 0;
}

static bool newcomer(const struct node *node, uint64_t *ret_id)
{
	const struct raft_configuration *configuration = raft_configuration(node->raft);
	struct gossip_member member;
	for (uint64_t id = 0; gossip_next(node->gossip, id, &member); id = member.id) {
		bool seated = false;
		for (uint32_t i = 0; i < configuration->count; i++)
			seated = seated || configuration->members[i].id == member.id;
		if (!seated && gossip_is_live(&member) && cluster_is_server(&member) && !member.self) {
			*ret_id = member.id;
			return configuration->count < RAFT_MEMBERS_MAX;
		}
	}
	return false;
}

/* What should change next; false: nothing. */
static bool next_change(const struct node *node, msec now, struct raft_change *ret_change)
{
	const struct raft_configuration *configuration = raft_configuration(node->raft);
	uint32_t wanted = machine_settings(node->machine)->voters;
	uint32_t voters = 0;
	uint32_t present = 0;
	uint64_t ready = 0;
	uint64_t away = 0;
	uint64_t spare = 0;
	for (uint32_t i = 0; i < configuration->count; i++) {
		struct standing standing = standing_of(node, &configuration->members[i], now);
		uint64_t id = standing.seat->id;
		if (id != node->id && standing.known && standing.member.state == GOSSIP_LEFT) {
			*ret_change = (struct raft_change){RAFT_REMOVE, id};
			return true;
		}
		voters += standing.seat->voter;
		present += standing.seat->voter && !standing.away;
		if (standing.ready && ready == 0)
			ready = id;
		if (standing.seat->voter && standing.away && id != node->id)
			away = id;
		if (standing.seat->voter && id != node->id)
			spare = id;
	}
	if (newcomer(node, &ret_change->member)) {
		ret_change->kind = RAFT_ADD_LEARNER;
		return true;
	}
	if (ready != 0 && voters < RAFT_VOTERS_MAX && (voters < wanted || (present < wanted && may_judge(node, now)))) {
		*ret_change = (struct raft_change){RAFT_PROMOTE, ready};
		return true;
	}
	if (voters > wanted && (away != 0 ? may_judge(node, now) : spare != 0)) {
		*ret_change = (struct raft_change){RAFT_DEMOTE, away != 0 ? away : spare};
		return true;
	}
	return false;
}

/* Whether something is to be looked at again though nothing new is heard: a seat that will be lost, a learner that catches up. */
static bool unsettled(const struct node *node, msec now)
{
	const struct raft_configuration *configuration = raft_configuration(node->raft);
	uint32_t wanted = machine_settings(node->machine)->voters;
	uint32_t voters = 0;
	bool learners = false;
	bool absent = false;
	for (uint32_t i = 0; i < configuration->count; i++) {
		struct standing standing = standing_of(node, &configuration->members[i], now);
		voters += standing.seat->voter;
		learners = learners || (!standing.seat->voter && standing.live);
		absent = absent || (standing.seat->voter && !standing.live);
	}
	return learners && (voters < wanted || absent);
}

/* --- when ---------------------------------------------------------------------------------------------------------- */

void roster_turn(struct node *node, msec now)
{
	struct raft_change wish;
	if (!node->roster_changed && now < node->roster_at)
		return;
	node->roster_changed = false;
	node->roster_at = node->roster_judged ? MSEC_NEVER : node->leader_since + AWAY_MS;
	if (!node->roster_judged && may_judge(node, now)) {
		node->roster_judged = catalog_nodes(node->catalog, fail_unknown, node) == 0;
		node->roster_at = node->roster_judged ? MSEC_NEVER : now + RETRY_MS;
	}
	if (!note_members(node) || unsettled(node, now))
		node->roster_at = now + RETRY_MS;
	if (raft_transferee(node->raft) != 0 || !next_change(node, now, &wish))
		return;
	change(node, wish.kind, wish.member); /* what cannot be now is tried again */
	node->roster_at = now + RETRY_MS;
}

msec roster_deadline(const struct node *node)
{
	return node->roster_changed ? 0 : node->roster_at;
}

void roster_changed(struct node *node)
{
	node->roster_changed = true;
}

static void forget(struct node *node)
{
	struct noted *noted;
	struct noted *next;
	HASH_ITER(hh, node->noted, noted, next) {
		HASH_DELETE(hh, node->noted, noted);
		mem_free(noted);
	}
}

/* What earlier leaders have written down is not known here: all is said once more. */
void roster_begin_term(struct node *node)
{
	forget(node);
	node->leader_since = node->host->now(node->context);
	node->roster_changed = true;
	node->roster_judged = false;
}

void roster_destroy(struct node *node)
{
	forget(node);
}
