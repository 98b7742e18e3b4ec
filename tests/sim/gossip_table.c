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

struct row {
	uint32_t trials;
	double first, all, all_worst, join, join_worst; /* seconds; first, all and join are sums */
	double bytes, datagrams, suspicions, failures;  /* per node and second */
	uint64_t largest;
};

static double worse(double left, double right)
{
	return left > right ? left : right;
}

/* A while in which nobody fails. */
static void rest(struct world *world, usec quiet, struct row *row)
{
	uint64_t failures, suspicions, failures_before, suspicions_before;
	uint64_t bytes = world->counts.bytes + world->counts.exchange_bytes;
	uint64_t datagrams = world->counts.datagrams;
	double seconds = (double)quiet / SECOND * world->node_count;
	sum(world, &failures_before, &suspicions_before);
	world_run(world, world->now + quiet);
	sum(world, &failures, &suspicions);
	row->bytes = (double)(world->counts.bytes + world->counts.exchange_bytes - bytes) / seconds;
	row->datagrams = (double)(world->counts.datagrams - datagrams) / seconds;
	row->suspicions = (double)(suspicions - suspicions_before) / seconds;
	row->failures = (double)(failures - failures_before) / seconds;
}

/* One cluster: one node is killed, then one joins. `quiet`: before that, for so long nothing happens. */
static bool try_once(uint32_t nodes, uint32_t loss, uint64_t seed, usec quiet, struct row *row)
{
	struct world *world = world_create(seed, nodes + 1, false);
	struct node *last = &world->nodes[nodes]; /* joins later */
	struct node *victim = &world->nodes[nodes / 2];
	double first, all, joined, ignored;
	world->node_count = nodes;
	world->loss = loss;
	world_fill(world);
	world_run(world, world->now + 2 * SECOND + (usec)roll(world, SECOND));
	if (quiet > 0)
		rest(world, quiet, row);
	world_watch(world, victim, GOSSIP_FAILED);
	node_crash(world, victim);
	all = wait_for(world, nodes - 1, 60 * (usec)SECOND, &first);

	world->node_count = nodes + 1;
	last->generation++;
	world_watch(world, last, GOSSIP_ALIVE);
	last->generation--;
	node_start(world, last, 0);
	joined = wait_for(world, nodes - 1, 60 * (usec)SECOND, &ignored);
	row->trials++;
	row->first += first;
	row->all += all;
	row->join += joined;
	row->all_worst = worse(row->all_worst, all);
	row->join_worst = worse(row->join_worst, joined);
	if (world->counts.largest_datagram > row->largest)
		row->largest = world->counts.largest_datagram;
	if (all < 0 || joined < 0)
		fail(world, "with %u nodes not all have seen it after a minute", nodes);
	bool well = world->failure[0] == '\0';
	if (!well)
		printf("%s\n", world->failure);
	world_destroy(world);
	return well;
}

static bool measure(uint32_t nodes, uint32_t loss, uint64_t seed)
{
	uint32_t trials = nodes <= 30 ? 50 : nodes <= 300 ? 10 : nodes <= 3000 ? 2 : 1;
	usec quiet = (nodes <= 30 ? 1200 : nodes <= 300 ? 300 : nodes <= 3000 ? 60 : 10) * (usec)SECOND;
	struct row row = {0};
	for (uint32_t i = 0; i < trials; i++)
		if (!try_once(nodes, loss, seed + i, i == 0 ? quiet : 0, &row))
			return false;
	printf("%6u %6.1f %7.2f %7.2f %7.2f %7.2f %7.2f %8.0f %8.1f %11.2f %12.3f %8" PRIu64 "\n", nodes, loss / 10.0,
	       row.first / trials, row.all / trials, row.all_worst, row.join / trials, row.join_worst, row.bytes,
	       row.datagrams, row.suspicions * 60, row.failures * 3600, row.largest);
	fflush(stdout);
	return true;
}

int table(const uint32_t *sizes, size_t size_count, uint64_t seed)
{
	static const uint32_t losses[] = {0, 10, 50, 200};
	printf("        loss  failure seen, s by     join seen, s  sent per node, s    suspicions false failed  "
	       "largest\n"
	       " nodes     %%   first     all   worst     all   worst    bytes datagr.    /node/min   /node/hour "
	       "datagram\n");
	for (size_t i = 0; i < size_count; i++)
		for (size_t j = 0; j < sizeof losses / sizeof losses[0]; j++)
			if (!measure(sizes[i], losses[j], seed))
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
	       world->counts.datagrams, world->counts.largest_datagram, (double)world->counts.bytes / nodes / seconds,
	       world->counts.exchange_messages, world->counts.exchange_bytes);
	printf("%" PRIu64 " suspicions, %" PRIu64 " wrong failures declared, seen %" PRIu64 " times\n", suspicions,
	       declared, world->counts.false_failures);
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
	printf("%u nodes agree %.2f s after the last one started; largest datagram %" PRIu64
	       ", largest message %" PRIu64 " bytes\n",
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
	printf("probes of four nodes in %d s: %" PRIu64 "; while the fifth hangs: %" PRIu64 "\n", (int)(span / SECOND),
	       before, during);
	if (during * 2 < before)
		fail(world, "the others have slowed down");
	if (world->failure[0] != '\0')
		printf("%s\n", world->failure);
	bool well = world->failure[0] == '\0';
	world_destroy(world);
	return !well;
}
