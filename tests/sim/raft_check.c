#include "sim/raft_world.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void fail(struct world *world, const char *format, ...)
{
	va_list args;
	if (world->failure[0] != '\0')
		return;
	va_start(args, format);
	int at = snprintf(world->failure, sizeof world->failure, "at %.3f ms: ", (double)world->now / 1000);
	vsnprintf(world->failure + at, sizeof world->failure - (size_t)at, format, args);
	va_end(args);
	world_trace(world, "FAILED: %s", world->failure);
}

/* --- election safety, leader completeness -------------------------------------------------------------------------- */

static void check_complete(struct world *world, struct node *node)
{
	for (uint64_t index = node->log.base + 1; index < world->committed_count; index++) {
		const struct committed *committed = &world->committed[index];
		if (committed->seen_in_term >= raft_term(node->raft))
			continue;
		if (index > entries_last(&node->log) || entries_at(&node->log, index)->payload != committed->payload) {
			fail(world, "leader completeness: node %" PRIu64 " leads term %" PRIu64
			     " without entry %" PRIu64 ", which was committed in term %" PRIu64,
			     node->id, raft_term(node->raft), index, committed->seen_in_term);
			return;
		}
	}
}

void check_leader(struct world *world, struct node *node)
{
	uint64_t term = raft_term(node->raft);
	size_t had = world->leader_capacity;
	mem_grow(world->leaders, world->leader_capacity, term + 1);
	for (; had < world->leader_capacity; had++)
		world->leaders[had] = 0;
	if (world->leaders[term] != 0)
		fail(world, "election safety: term %" PRIu64 " has the leaders %" PRIu64 " and %" PRIu64, term,
		     world->leaders[term], node->id);
	world->leaders[term] = node->id;
	world->counts.elections++;
	check_complete(world, node);
}

/* --- commit -------------------------------------------------------------------------------------------------------- */

static bool has_on_disk(struct node *node, uint64_t index, const struct entry *entry)
{
	if (index <= node->disk_log.base)
		return true;
	return index <= entries_last(&node->disk_log) && entries_at(&node->disk_log, index)->payload == entry->payload;
}

/* A leader that commits has a quorum of disks behind it. */
static void check_quorum(struct world *world, struct node *node, uint64_t index)
{
	const struct raft_configuration *configuration = raft_configuration(node->raft);
	uint32_t voters = 0;
	uint32_t have = 0;
	for (uint32_t i = 0; i < configuration->count; i++) {
		if (!configuration->members[i].voter)
			continue;
		voters++;
		have += has_on_disk(&world->nodes[configuration->members[i].id - 1], index, entries_at(&node->log, index));
	}
	if (entries_at(&node->log, index)->term != raft_term(node->raft))
		fail(world, "leader %" PRIu64 " of term %" PRIu64 " commits entry %" PRIu64 " of term %" PRIu64 " by counting", node->id,
		     raft_term(node->raft), index, entries_at(&node->log, index)->term);
	if (have < voters / 2 + 1)
		fail(world, "node %" PRIu64 " commits entry %" PRIu64 " that %u of %u voters have on disk", node->id, index, have,
		     voters);
}

void check_commit(struct world *world, struct node *node, uint64_t from, uint64_t to)
{
	for (uint64_t index = from > node->log.base ? from : node->log.base + 1; index <= to; index++) {
		if (index > entries_last(&node->log))
			return; /* of a snapshot that came */
		const struct entry *entry = entries_at(&node->log, index);
		if (index < world->committed_count) {
			if (world->committed[index].payload != entry->payload || world->committed[index].term != entry->term)
				fail(world, "state machine safety: node %" PRIu64 " commits another entry %" PRIu64
				     " (term %" PRIu64 ") than was committed (term %" PRIu64 ")",
				     node->id, index, entry->term, world->committed[index].term);
			continue;
		}
		mem_grow(world->committed, world->committed_capacity, world->committed_count + 1);
		world->committed[world->committed_count] = (struct committed){
			.term = entry->term,
			.payload = entry->payload,
			.hash = (world->committed[world->committed_count - 1].hash ^ entry->payload) * 0x9E3779B97F4A7C15u,
			.seen_in_term = raft_term(node->raft),
		};
		world->committed_count++;
	}
	if (raft_role(node->raft) == RAFT_LEADER && to > node->log.base && to <= entries_last(&node->log))
		check_quorum(world, node, to);
}

void check_applied(struct world *world, struct node *node, const struct entry *entry)
{
	uint64_t index = node->state.applied + 1;
	uint64_t hash = (node->state.hash ^ entry->payload) * 0x9E3779B97F4A7C15u;
	if (index >= world->committed_count || world->committed[index].payload != entry->payload ||
	    world->committed[index].hash != hash)
		fail(world, "state machine safety: node %" PRIu64 " applies another entry %" PRIu64, node->id, index);
}

/* --- reads --------------------------------------------------------------------------------------------------------- */

/* All clients read the whole state and write unique entries, and the state is a sequence that only grows: so a history is
 * linearizable exactly when no read sees less than what a client knew to be there when the read began. */
void check_read(struct world *world, struct node *node, const struct pending_read *read)
{
	world->counts.reads++;
	if (node->state.applied < read->floor)
		fail(world, "a read at node %" PRIu64 " sees %" PRIu64 " entries, and %" PRIu64 " were known before it began",
		     node->id, node->state.applied, read->floor);
	if (node->state.applied > world->floor)
		world->floor = node->state.applied;
}

/* --- logs ---------------------------------------------------------------------------------------------------------- */

/* Where two logs have the same term at one index, they are the same up to there (§3.5). */
static void check_pair(struct world *world, struct node *left, struct node *right)
{
	uint64_t last = entries_last(&left->log) < entries_last(&right->log) ? entries_last(&left->log)
	                                                                    : entries_last(&right->log);
	uint64_t base = left->log.base > right->log.base ? left->log.base : right->log.base;
	bool same = false;
	for (uint64_t index = last; index > base; index--) {
		const struct entry *one = entries_at(&left->log, index);
		const struct entry *other = entries_at(&right->log, index);
		same = same || one->term == other->term;
		if (same && (one->term != other->term || one->payload != other->payload)) {
			fail(world, "log matching: nodes %" PRIu64 " and %" PRIu64 " differ at entry %" PRIu64, left->id,
			     right->id, index);
			return;
		}
	}
}

void check_logs_match(struct world *world)
{
	for (uint32_t i = 0; i < world->node_count; i++) {
		struct node *node = &world->nodes[i];
		if (node->raft != NULL && world->planted == PLANTED_NONE && raft_counts(node->raft)->refused > 0)
			fail(world, "node %" PRIu64 " refuses a message that a member has sent", node->id);
		for (uint32_t j = i + 1; j < world->node_count; j++)
			check_pair(world, node, &world->nodes[j]);
	}
}

bool check_all_well(struct world *world)
{
	struct node *leader = world_leader(world);
	if (leader == NULL || world->committed_count - 1 < raft_commit_index(leader->raft))
		return false;
	const struct raft_configuration *configuration = raft_configuration(leader->raft);
	for (uint32_t i = 0; i < configuration->count; i++) {
		struct node *node = &world->nodes[configuration->members[i].id - 1];
		if (node->raft == NULL || node->state.applied + 100 < raft_commit_index(leader->raft))
			return false;
		if (raft_leader(node->raft) != leader->id)
			return false;
	}
	return true;
}
