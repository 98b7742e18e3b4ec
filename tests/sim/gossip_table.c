#include "sim/gossip_world.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SECOND 1000000

static uint32_t up_count(const struct world *world)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < world->node_count; i++)
		count += node_up(world, &world->nodes[i]);
	return count;
}

static void sum(const struct world *world, uint64_t *ret_declared, uint64_t *ret_suspicions)
{
	*ret_declared = *ret_suspicions = 0;
	for (uint32_t i = 0; i < world->node_count; i++) {
		if (world->nodes[i].gossip == NULL)
			continue;
		*ret_declared += gossip_counts(world->nodes[i].gossip)->failed;
		*ret_suspicions += gossip_counts(world->nodes[i].gossip)->suspicions;
	}
}

/* Until all that are up have seen what is watched for, but one. -1: they have not. */
static double wait_for(struct world *world, uint32_t wanted, usec longest, double *ret_first)
{
	usec end = world->now + longest;
	while (world->now < end && world->watch.count < wanted && world->failure[0] == '\0')
		world_run(world, world->now + 20000);
	*ret_first = world->watch.count > 0 ? (double)(world->watch.first - world->watch.since) / SECOND : -1;
	return world->watch.count >= wanted ? (double)(world->watch.last - world->watch.since) / SECOND : -1;
}

static bool measure(uint32_t nodes, uint32_t loss, uint64_t seed, usec quiet)
{
	struct world *world = world_create(seed, nodes + 1, false);
	struct node *last = &world->nodes[nodes]; /* joins later */
	double first, all, joined, ignored;
	uint64_t declared, suspicions, declared_before, suspicions_before;
	world->node_count = nodes;
	world->loss = loss;
	world_fill(world);
	world_run(world, world->now + 5 * SECOND);
	uint64_t bytes = world->counts.bytes + world->counts.exchange_bytes;
	uint64_t datagrams = world->counts.datagrams;
	sum(world, &declared_before, &suspicions_before);
	world_run(world, world->now + quiet);
	sum(world, &declared, &suspicions);
	double seconds = (double)quiet / SECOND * nodes;
	bytes = world->counts.bytes + world->counts.exchange_bytes - bytes;
	datagrams = world->counts.datagrams - datagrams;

	struct node *victim = &world->nodes[nodes / 2];
	world_watch(world, victim, GOSSIP_FAILED);
	node_crash(world, victim);
	all = wait_for(world, nodes - 1, 60 * SECOND, &first);

	world->node_count = nodes + 1;
	last->generation++;
	world_watch(world, last, GOSSIP_ALIVE);
	last->generation--;
	node_start(world, last, 0);
	joined = wait_for(world, nodes - 1, 60 * SECOND, &ignored);
	printf("%6u %5.1f %8.2f %8.2f %8.2f %9.0f %7.1f %11.2f %11.3f %10" PRIu64 "\n", nodes, loss / 10.0, first, all, joined,
	       (double)bytes / seconds, (double)datagrams / seconds,
	       (double)(suspicions - suspicions_before) / seconds * 60, (double)(declared - declared_before) / seconds * 3600,
	       world->counts.largest_datagram);
	fflush(stdout);
	bool well = world->failure[0] == '\0';
	if (!well)
		printf("%s\n", world->failure);
	world_destroy(world);
	return well;
}

int table(const uint32_t *sizes, size_t size_count, uint64_t seed)
{
	static const uint32_t losses[] = {0, 10, 50, 200};
	printf("                 failed seen    join   bytes/s  datagr/s   suspicions  false fail.    largest\n"
	       " nodes loss%%  first s    all s    all s  per node per node  /node/min    /node/hour   datagram\n");
	for (size_t i = 0; i < size_count; i++)
		for (size_t j = 0; j < sizeof losses / sizeof losses[0]; j++)
			if (!measure(sizes[i], losses[j], seed + j, sizes[i] >= 5000 ? 10 * SECOND : 60 * SECOND))
				return 1;
	return 0;
}

int run_plain(uint32_t nodes, uint32_t loss, uint64_t seed, uint32_t seconds)
{
	char why[200] = "";
	struct world *world = world_create(seed, nodes, nodes <= 64);
	usec start = world->now;
	world->loss = loss;
	for (uint32_t i = 0; i < nodes; i++)
		node_start(world, &world->nodes[i], 0);
	usec converged = 0;
	while (world->now < start + (usec)seconds * SECOND && world->failure[0] == '\0') {
		world_run(world, world->now + 50000);
		if (converged == 0 && check_converged(world, why, sizeof why))
			converged = world->now - start;
	}
	uint64_t declared, suspicions;
	sum(world, &declared, &suspicions);
	printf("%u nodes, %u.%u %% loss, %u s: all agree after %.2f s\n", nodes, loss / 10, loss % 10, seconds,
	       (double)converged / SECOND);
	printf("%" PRIu64 " datagrams of at most %" PRIu64 " bytes, %.0f bytes per node and second; %" PRIu64
	       " messages in exchanges, %" PRIu64 " bytes\n",
	       world->counts.datagrams, world->counts.largest_datagram,
	       (double)world->counts.bytes / nodes / seconds, world->counts.exchange_messages,
	       world->counts.exchange_bytes);
	printf("%" PRIu64 " suspicions, %" PRIu64 " wrong failures declared, seen %" PRIu64 " times\n", suspicions, declared,
	       world->counts.false_failures);
	bool well = world->failure[0] == '\0' && converged != 0;
	if (!well)
		printf("%s%s\n", world->failure, converged == 0 ? why : "");
	world_destroy(world);
	return !well;
}

/* 500 nodes start at once, by three that are seeds: no message over its limit (asserted where it is sent), all see all, and what they say
 * of themselves. */
int check_large(uint64_t seed)
{
	char why[200] = "";
	const uint32_t nodes = 500;
	struct world *world = world_create(seed, nodes, false);
	world->loss = 10;
	for (uint32_t i = 0; i < nodes; i++) {
		node_start(world, &world->nodes[i], i < 3 ? 0 : i % 3);
		world_run(world, world->now + 2000);
	}
	usec start = world->now;
	while (world->failure[0] == '\0' && !check_converged(world, why, sizeof why)) {
		if (world->now - start > 60 * (usec)SECOND)
			fail(world, "not all agree: %s", why);
		world_run(world, world->now + 250000);
	}
	printf("%u nodes agree %.2f s after the last one started; largest datagram %" PRIu64 ", largest message %" PRIu64
	       " bytes\n",
	       nodes, (double)(world->now - start) / SECOND, world->counts.largest_datagram,
	       world->counts.largest_message);
	if (world->failure[0] != '\0')
		printf("%s\n", world->failure);
	bool well = world->failure[0] == '\0' && up_count(world) == nodes;
	world_destroy(world);
	return !well;
}

static uint64_t probes(const struct world *world, uint32_t skipped)
{
	uint64_t count = 0;
	for (uint32_t i = 0; i < world->node_count; i++)
		if (i != skipped)
			count += gossip_counts(world->nodes[i].gossip)->probes;
	return count;
}

/* One of five hangs: how often the others probe stays the same, within a factor of two. */
int check_paused(uint64_t seed)
{
	const uint32_t nodes = 5;
	const usec span = 10 * SECOND;
	struct world *world = world_create(seed, nodes, true);
	for (uint32_t i = 0; i < nodes; i++)
		node_start(world, &world->nodes[i], 0);
	world_run(world, world->now + 5 * SECOND);
	uint64_t begin = probes(world, 4);
	world_run(world, world->now + span);
	uint64_t before = probes(world, 4) - begin;
	node_pause(world, &world->nodes[4], 100 * SECOND);
	begin = probes(world, 4);
	world_run(world, world->now + span);
	uint64_t during = probes(world, 4) - begin;
	printf("probes of four nodes in %d s: %" PRIu64 "; while the fifth hangs: %" PRIu64 "\n", (int)(span / SECOND), before,
	       during);
	if (during * 2 < before)
		fail(world, "the others have slowed down");
	if (world->failure[0] != '\0')
		printf("%s\n", world->failure);
	bool well = world->failure[0] == '\0';
	world_destroy(world);
	return !well;
}
