/* Runs the membership core alone (gossip_world.h).
 *
 *   gossip-sim --nodes N [--loss PERCENT] [--seed S] [--seconds T]   one cluster, and what it cost
 *   gossip-sim --seeds FIRST COUNT [--seconds T]   as many worlds where everything goes wrong; stops at the first that fails
 *   gossip-sim --world SEED [--trace]              one of them
 *   gossip-sim --bugs [NAME…]                      plants bugs and says in which world each is found; fails when one is not
 *   gossip-sim --large, --paused                   500 nodes; one that hangs
 *   gossip-sim --table [NODES…]                    how fast and at what cost, for clusters of 10, 100, 1,000 and 10,000 nodes */
#include "sim/gossip_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct options {
	uint64_t first, count;
	uint32_t nodes, loss, seconds;
	bool traced, worlds, bugs, table, large, paused;
	enum planted planted;
};

static struct world_counts total;

static void add_up(const struct world_counts *counts)
{
	const uint64_t *from = (const uint64_t *)counts;
	uint64_t *to = (uint64_t *)&total;
	for (size_t i = 0; i < sizeof total / sizeof *to; i++)
		to[i] += from[i];
}

static bool run_world(const struct options *options, uint64_t seed, bool quiet)
{
	struct random random = {seed};
	uint32_t nodes = 3 + (uint32_t)random_below(&random, 14);
	struct world *world = world_create(seed, nodes, true);
	world->planted = options->planted;
	world->traced = options->traced;
	bool well = faults_run(world, (usec)options->seconds * 1000000);
	if (!well && !quiet)
		printf("world %" PRIu64 " of %u nodes: %s\n", seed, nodes, world->failure);
	add_up(&world->counts);
	world_destroy(world);
	return well;
}

static int run_worlds(const struct options *options)
{
	for (uint64_t seed = options->first; seed < options->first + options->count; seed++)
		if (!run_world(options, seed, false))
			return 1;
	printf("%" PRIu64 " worlds: %" PRIu64 " steps, %" PRIu64 " datagrams, %" PRIu64 " lost, %" PRIu64
	       " doubled, %" PRIu64 " messages in exchanges\n"
	       "%" PRIu64 " crashes, %" PRIu64 " restarts, %" PRIu64 " leaves, %" PRIu64 " pauses, %" PRIu64
	       " partitions, %" PRIu64 " keys set, %" PRIu64 " deleted\n",
	       options->count, total.steps, total.datagrams, total.lost, total.doubled, total.exchange_messages,
	       total.crashes, total.restarts, total.leaves, total.pauses, total.partitions, total.sets, total.deletes);
	return 0;
}

/* In a process of its own: an assertion of the core may be what finds the bug. */
static bool is_found(const struct options *options, uint64_t seed)
{
	int status;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		fclose(stderr);
		_exit(run_world(options, seed, true) ? 0 : 1);
	}
	return child < 0 || waitpid(child, &status, 0) < 0 || status != 0;
}

static int run_bugs(struct options *options, char **names)
{
	int missed = 0;
	for (int planted = 1; planted < PLANTED_COUNT; planted++) {
		bool wanted = names[0] == NULL;
		for (char **name = names; *name != NULL; name++)
			wanted = wanted || strcmp(*name, planted_names[planted]) == 0;
		if (!wanted)
			continue;
		uint64_t seed = options->first;
		options->planted = (enum planted)planted;
		while (seed < options->first + options->count && !is_found(options, seed))
			seed++;
		bool found = seed < options->first + options->count;
		printf("%-24s %s", planted_names[planted], found ? "found in world " : "NOT FOUND in ");
		printf("%" PRIu64 "%s\n", found ? seed : options->count, found ? "" : " worlds");
		missed += !found;
	}
	return missed > 0;
}

static int run_table(const struct options *options, char **names)
{
	uint32_t sizes[16] = {10, 100, 1000, 10000};
	size_t count = 4;
	if (names[0] != NULL)
		for (count = 0; names[count] != NULL && count < 16; count++)
			sizes[count] = (uint32_t)strtoul(names[count], NULL, 10);
	return table(sizes, count, options->first);
}

static int usage(void)
{
	fprintf(stderr, "usage: gossip-sim --nodes N [--loss PERCENT] [--seed S] [--seconds T]\n"
	                "       gossip-sim --seeds FIRST COUNT | --world SEED [--seconds T] [--trace] [--bug NAME]\n"
	                "       gossip-sim --bugs [NAME…] | --large | --paused | --table [NODES…]\n");
	return 2;
}

/* The argument at `i`, and those that belong to it; how many, 0: it is none. */
static int read_option(struct options *options, int left, char **argv)
{
	const char *name = argv[0];
	const char *value = left > 1 ? argv[1] : "";
	if (strcmp(name, "--seeds") == 0 && left > 2) {
		options->first = strtoull(value, NULL, 10);
		options->count = strtoull(argv[2], NULL, 10);
		options->worlds = true;
		return 3;
	}
	if (strcmp(name, "--trace") == 0)
		return options->traced = true;
	if (strcmp(name, "--bugs") == 0)
		return options->bugs = true;
	if (strcmp(name, "--table") == 0)
		return options->table = true;
	if (strcmp(name, "--large") == 0)
		return options->large = true;
	if (strcmp(name, "--paused") == 0)
		return options->paused = true;
	if (left < 2)
		return 0;
	if (strcmp(name, "--world") == 0) {
		options->first = strtoull(value, NULL, 10);
		options->count = 1;
		options->worlds = true;
	} else if (strcmp(name, "--seed") == 0) {
		options->first = strtoull(value, NULL, 10);
	} else if (strcmp(name, "--nodes") == 0) {
		options->nodes = (uint32_t)strtoul(value, NULL, 10);
	} else if (strcmp(name, "--loss") == 0) {
		options->loss = (uint32_t)(strtod(value, NULL) * 10);
	} else if (strcmp(name, "--seconds") == 0) {
		options->seconds = (uint32_t)strtoul(value, NULL, 10);
	} else if (strcmp(name, "--bug") == 0) {
		for (int planted = 0; planted < PLANTED_COUNT; planted++)
			if (strcmp(value, planted_names[planted]) == 0)
				options->planted = (enum planted)planted;
	} else {
		return 0;
	}
	return 2;
}

int main(int argc, char **argv)
{
	struct options options = {.first = 1, .count = 40, .seconds = 60};
	int i = 1;
	while (i < argc && strncmp(argv[i], "--", 2) == 0) {
		int read = read_option(&options, argc - i, argv + i);
		if (read == 0)
			return usage();
		i += read;
	}
	if (options.bugs)
		return run_bugs(&options, argv + i);
	if (options.table)
		return run_table(&options, argv + i);
	if (options.large)
		return check_large(options.first);
	if (options.paused)
		return check_paused(options.first);
	if (options.worlds)
		return run_worlds(&options);
	if (options.nodes < 2 || options.nodes > 60000)
		return usage();
	return run_plain(options.nodes, options.loss, options.first, options.seconds);
}
