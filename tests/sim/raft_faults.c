#include "sim/raft_world.h"

#include "base/error.h"

#include <inttypes.h>
#include <string.h>

struct node *world_leader(struct world *world)
{
	struct node *leader = NULL;
	for (uint32_t i = 0; i < world->node_count; i++) {
		struct node *node = &world->nodes[i];
		if (node->raft != NULL && raft_role(node->raft) == RAFT_LEADER &&
		    (leader == NULL || raft_term(node->raft) > raft_term(leader->raft)))
			leader = node;
	}
	return leader;
}

static struct node *anyone(struct world *world)
{
	return &world->nodes[roll(world, world->node_count)];
}

/* More often than not the leader: there it hurts. */
static struct node *victim(struct world *world)
{
	struct node *leader = world_leader(world);
	return leader != NULL && chance(world, 1, 2) ? leader : anyone(world);
}

/* --- the network --------------------------------------------------------------------------------------------------- */

static void cut_off(struct world *world, const struct node *node, bool incoming, bool outgoing)
{
	for (uint32_t id = 1; id <= world->node_count; id++) {
		world->blocked[id][node->id] |= incoming;
		world->blocked[node->id][id] |= outgoing;
	}
}

static void split(struct world *world)
{
	uint64_t sides = roll(world, 1u << world->node_count);
	for (uint32_t from = 1; from <= world->node_count; from++)
		for (uint32_t to = 1; to <= world->node_count; to++)
			if ((sides >> (from - 1) & 1) != (sides >> (to - 1) & 1))
				world->blocked[from][to] = true;
}

/* Two do not hear one another, and all others hear both. */
static void part(struct world *world, const struct node *one, const struct node *other)
{
	if (one != NULL)
		world->blocked[one->id][other->id] = world->blocked[other->id][one->id] = true;
}

static void partition(struct world *world)
{
	world->counts.partitions++;
	switch (roll(world, 7)) {
	case 5:
	case 6: part(world, world_leader(world), anyone(world)); break;
	case 0: cut_off(world, victim(world), true, true); break;
	case 1: cut_off(world, victim(world), true, false); break;
	case 2: cut_off(world, victim(world), false, true); break;
	case 3: split(world); break;
	case 4:
		for (int i = 0; i < 4; i++)
			world->blocked[anyone(world)->id][anyone(world)->id] = true;
		break;
	}
	world_trace(world, "a partition");
	world_at(world, world->now + 50000 + (usec)roll(world, 2000000), AT_HEAL, NULL, 0);
}

static void weather(struct world *world)
{
	world->loss = chance(world, 1, 2) ? 0 : (uint32_t)roll(world, 250);
	world->doubling = chance(world, 1, 2) ? 0 : (uint32_t)roll(world, 200);
	world->slow = chance(world, 1, 2) ? 0 : (uint32_t)roll(world, 200);
}

/* --- nodes --------------------------------------------------------------------------------------------------------- */

static void crash(struct world *world, struct node *node)
{
	if (node->raft == NULL)
		return;
	world->counts.crashes++;
	host_crash(world, node);
	world_at(world, world->now + 1000 + (usec)roll(world, chance(world, 1, 2) ? 20000 : 1500000), AT_RESTART, node, 0);
}

static void pause_node(struct world *world, struct node *node)
{
	world->counts.pauses++;
	world_trace(world, "%" PRIu64 " stands still", node->id);
	node->paused_until = world->now + (usec)roll(world, chance(world, 1, 2) ? 50000 : 1500000);
	/* Clients find it before anything else does when it goes on. */
	world_at(world, node->paused_until, AT_READ, node, 0);
	world_at(world, node->paused_until, AT_READ, node, 1);
}

static void step(struct world *world, struct node *node, struct raft_event event, uint64_t *count)
{
	if (node == NULL || node->raft == NULL || node->paused_until > world->now)
		return;
	*count += 1;
	host_step(world, node, &event);
}

static void change(struct world *world)
{
	struct node *leader = world_leader(world);
	struct node *node = anyone(world);
	if (leader == NULL)
		return;
	const struct raft_configuration *configuration = raft_configuration(leader->raft);
	enum raft_change_kind kind = RAFT_ADD_LEARNER;
	uint32_t voters = 0;
	for (uint32_t i = 0; i < configuration->count; i++)
		voters += configuration->members[i].voter;
	for (uint32_t i = 0; i < configuration->count; i++) {
		if (configuration->members[i].id != node->id)
			continue;
		if (!configuration->members[i].voter)
			kind = chance(world, 4, 5) ? RAFT_PROMOTE : RAFT_REMOVE;
		else
			kind = chance(world, 1, 2) ? RAFT_REMOVE : RAFT_DEMOTE;
	}
	if ((kind == RAFT_REMOVE || kind == RAFT_DEMOTE) && voters <= 2 && chance(world, 4, 5))
		return;
	step(world, leader, (struct raft_event){.kind = RAFT_CHANGE, .change = {kind, node->id}}, &world->counts.changes);
}

static void transfer(struct world *world)
{
	struct node *leader = world_leader(world);
	uint64_t to = chance(world, 1, 4) ? 0 : anyone(world)->id;
	step(world, leader, (struct raft_event){.kind = RAFT_TRANSFER, .peer = to}, &world->counts.transfers);
	if (leader == NULL || !chance(world, 1, 3))
		return;
	/* It does not hear who leads after it, and its clients go on asking. */
	cut_off(world, leader, true, false);
	world_at(world, world->now + (usec)roll(world, 300000), AT_HEAL, NULL, 0);
	for (int i = 0; i < 20; i++)
		world_at(world, world->now + (usec)roll(world, 250000), AT_READ, leader, 1);
}

/* --- one after another --------------------------------------------------------------------------------------------- */

void faults_begin(struct world *world)
{
	weather(world);
	/* Where little is written, one that was cut off has a log as good as the others' for longer. */
	world->writing = (uint32_t)(chance(world, 1, 3) ? 1 : 1 + roll(world, 10));
	world_at(world, (usec)(300000 + roll(world, 300000)), AT_FAULT, NULL, 0);
	world_at(world, 200000, AT_CLIENT, NULL, 0);
}

void faults_next(struct world *world)
{
	if (world->calm)
		return;
	switch (roll(world, 12)) {
	case 0: weather(world); break;
	case 1:
	case 2: partition(world); break;
	case 3:
	case 4: crash(world, victim(world)); break;
	case 5:
		for (uint32_t i = 0; i < world->node_count; i++)
			if (chance(world, 1, 2))
				crash(world, &world->nodes[i]);
		break;
	case 6: pause_node(world, victim(world)); break;
	case 7:
	case 8:
	case 9:
		for (uint64_t i = 1 + roll(world, 3); i > 0; i--)
			change(world);
		break;
	case 10: transfer(world); break;
	case 11: anyone(world)->sync_time = (usec)(chance(world, 1, 4) ? 200000 : 1000 + roll(world, 8000)); break;
	}
	world_at(world, world->now + 1000 + (usec)roll(world, chance(world, 1, 3) ? 20000 : 400000), AT_FAULT, NULL, 0);
}

void clients_next(struct world *world)
{
	struct node *node = anyone(world);
	if (node->raft != NULL && node->paused_until <= world->now) {
		uint64_t what = roll(world, 20);
		if (what < world->writing) {
			for (uint64_t i = roll(world, 6); i > 0 && node->raft != NULL; i--)
				host_write(world, node);
		} else if (what < 19) {
			host_read(world, node, chance(world, 1, 2));
		} else if (node->state.applied > node->disk_log.base + 20) {
			host_compact(world, node);
		}
	}
	world_at(world, world->now + 500 + (usec)roll(world, 8000), AT_CLIENT, NULL, 0);
}

void heal(struct world *world)
{
	world_trace(world, "all faults end");
	world->calm = true;
	memset(world->blocked, 0, sizeof world->blocked);
	for (uint32_t i = 0; i < world->node_count; i++) {
		struct node *node = &world->nodes[i];
		node->sync_time = 2000;
		if (node->raft == NULL)
			host_start(world, node);
	}
}
