#include "sim/gossip_world.h"

#include <stdio.h>
#include <string.h>

#define SETTLE 90000000 /* microseconds: after all faults have stopped, so long until everyone agrees at most */

static struct node *anyone(struct world *world)
{
	return &world->nodes[roll(world, world->node_count)];
}

static void crash(struct world *world)
{
	struct node *node = anyone(world);
	if (node->gossip == NULL)
		return;
	world->counts.crashes++;
	node_crash(world, node);
}

static void restart(struct world *world, struct node *node)
{
	if ((node->gossip != NULL && !node->left) || node->gone)
		return;
	if (node->gossip != NULL)
		node_crash(world, node);
	if (roll(world, 4) == 0)
		node->port = 1 + (node->port + 1) % 65000;
	memset(node->values, 0, sizeof node->values);
	node->disturbed_at = world->now;
	world->counts.restarts++;
	/* By some other, which need not be up. */
	uint32_t other = (uint32_t)roll(world, world->node_count - 1);
	node_start(world, node, other < node->index ? other : other + 1);
}

static void leave(struct world *world)
{
	struct node *node = anyone(world);
	if (!node_up(world, node))
		return;
	struct gossip_event event = {.kind = GOSSIP_LEAVE};
	world->counts.leaves++;
	node_event(world, node, &event);
	node->left = true; /* nobody has to see it any more */
	node->disturbed_at = world->now;
}

static void pause(struct world *world)
{
	struct node *node = anyone(world);
	usec most = roll(world, 6) == 0 ? 2 * world->settings.dead_grace_ms * 1000 : 5000000;
	if (!node_up(world, node))
		return;
	world->counts.pauses++;
	node_pause(world, node, (usec)roll(world, (uint64_t)most));
}

static void partition(struct world *world)
{
	world->counts.partitions++;
	for (uint32_t i = 0; i < world->node_count; i++) {
		world->nodes[i].part = (uint32_t)roll(world, 2);
		world->nodes[i].disturbed_at = world->now;
	}
}

static void heal(struct world *world)
{
	for (uint32_t i = 0; i < world->node_count; i++) {
		if (world->nodes[i].part != 0)
			for (uint32_t j = 0; j < world->node_count; j++)
				world->nodes[j].disturbed_at = world->now;
		world->nodes[i].part = 0;
	}
}

static void change_key(struct world *world)
{
	struct node *node = anyone(world);
	size_t place = (size_t)roll(world, sizeof node->values / sizeof node->values[0]);
	char key[16];
	if (!node_up(world, node))
		return;
	snprintf(key, sizeof key, "tag.%zu", place);
	struct gossip_event event = {.kind = GOSSIP_DELETE, .key = slice_of(key)};
	if (roll(world, 3) != 0) {
		world->counts.sets++;
		snprintf(node->values[place], sizeof node->values[place], "v%u", (unsigned)roll(world, 1000000));
		event.kind = GOSSIP_SET;
		event.value = slice_of(node->values[place]);
	} else {
		world->counts.deletes++;
		node->values[place][0] = '\0';
	}
	node_event(world, node, &event);
}

static void fault(struct world *world)
{
	switch (roll(world, 12)) {
	case 0:
		crash(world);
		break;
	case 1:
	case 2:
	case 3:
		restart(world, anyone(world));
		break;
	case 4:
		if (roll(world, 2) == 0)
			leave(world);
		break;
	case 5:
		pause(world);
		break;
	case 6:
		if (roll(world, 2) == 0)
			partition(world);
		break;
	case 7:
		heal(world);
		break;
	case 8:
		world->loss = (uint32_t)roll(world, 3) == 0 ? (uint32_t)roll(world, 400) : 10;
		world->delay_max = 500 + (usec)roll(world, 40000);
		world->doubling = (uint32_t)roll(world, 100);
		break;
	default:
		change_key(world);
		break;
	}
}

/* As discovery would: where the others are now. */
static void tell_seeds(struct world *world)
{
	char addresses[3][GOSSIP_ADDRESS_MAX + 1];
	const char *seeds[3];
	size_t count = 0;
	for (uint32_t i = 0; i < world->node_count && count < 3; i++)
		if (node_up(world, &world->nodes[i])) {
			node_address(&world->nodes[i], addresses[count]);
			seeds[count] = addresses[count];
			count++;
		}
	for (uint32_t i = 0; i < world->node_count; i++) {
		struct gossip_event event = {.kind = GOSSIP_JOIN, .seeds = seeds, .seed_count = count};
		if (node_up(world, &world->nodes[i]))
			node_event(world, &world->nodes[i], &event);
	}
}

/* The network is whole again last: that others were told of while they could not be heard must be enough. */
static void stop_faults(struct world *world)
{
	usec longest = world->now;
	world->loss = world->doubling = 0;
	world->delay_max = 500;
	for (uint32_t i = 0; i < world->node_count; i++) {
		restart(world, &world->nodes[i]);
		if (world->nodes[i].paused_until > longest)
			longest = world->nodes[i].paused_until;
	}
	world_run(world, longest);
	for (uint32_t i = 0; i < world->node_count; i++)
		restart(world, &world->nodes[i]);
	tell_seeds(world);
	world_run(world, world->now + (usec)roll(world, 5000000));
	heal(world);
}

bool faults_run(struct world *world, usec duration)
{
	char why[200] = "";
	usec end = world->now + duration;
	world->settings.dead_grace_ms = 20000;
	world->settings.tombstone_ms = 5000;
	for (uint32_t i = 0; i < world->node_count; i++) {
		world->nodes[i].disturbed_at = world->now;
		world->nodes[i].gone = i >= 2 && roll(world, 4) == 0;
		node_start(world, &world->nodes[i], i == 0 ? 1 : 0);
	}
	while (world->now < end && world->failure[0] == '\0') {
		world_run(world, world->now + (usec)roll(world, 1500000));
		fault(world);
	}
	if (world->failure[0] == '\0')
		stop_faults(world);
	world->calm = true;
	end = world->now + SETTLE;
	while (world->failure[0] == '\0' && !check_converged(world, why, sizeof why)) {
		if (world->now >= end)
			fail(world, "not all agree: %s", why);
		world_run(world, world->now + 500000);
	}
	return world->failure[0] == '\0';
}
