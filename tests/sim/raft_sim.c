/* Runs Raft alone in worlds where everything goes wrong (raft_world.h).
 *
 *   raft-sim --seeds FIRST COUNT [--ms N]   as many worlds, each so many virtual milliseconds; stops at the first that fails
 *   raft-sim --seed N [--trace]             one world; a trace to read
 *   raft-sim --bug NAME …                   the same with a bug planted (raft_bugs.c)
 *   raft-sim --bugs [NAME…]                 plants each bug and says in which seed it is found; fails when one is not */
#include "sim/raft_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct options {
	uint64_t first, count;
	usec duration;
	bool traced;
	bool bugs;
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

static bool run_seed(const struct options *options, uint64_t seed, bool quiet)
{
	struct world *world = world_create(seed, options->planted, options->traced);
	bool well = world_run(world, options->duration);
	if (!well && !quiet)
		printf("seed %" PRIu64 ": %s\n", seed, world->failure);
	add_up(&world->counts);
	world_destroy(world);
	return well;
}

static int run_seeds(const struct options *options)
{
	for (uint64_t seed = options->first; seed < options->first + options->count; seed++)
		if (!run_seed(options, seed, false))
			return 1;
	printf("%" PRIu64 " seeds: %" PRIu64 " steps, %" PRIu64 " messages delivered, %" PRIu64 " lost\n"
	       "%" PRIu64 " leaders, %" PRIu64 " writes, %" PRIu64 " reads (%" PRIu64 " asked under a lease)\n"
	       "%" PRIu64 " crashes (%" PRIu64 " writes lost), %" PRIu64 " pauses, %" PRIu64 " partitions\n"
	       "%" PRIu64 " changes and %" PRIu64 " transfers wanted, %" PRIu64 " snapshots installed, %" PRIu64 " logs cut\n",
	       options->count, total.steps, total.delivered, total.lost, total.elections, total.writes, total.reads,
	       total.lease_reads, total.crashes, total.restarts_with_loss, total.pauses, total.partitions, total.changes,
	       total.transfers, total.snapshots, total.cuts);
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
		_exit(run_seed(options, seed, true) ? 0 : 1);
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
		printf("%-24s %s", planted_names[planted], found ? "found in seed " : "NOT FOUND in ");
		printf("%" PRIu64 "%s\n", found ? seed : options->count, found ? "" : " seeds");
		missed += !found;
	}
	return missed > 0;
}

int main(int argc, char **argv)
{
	struct options options = {.first = 1, .count = 100, .duration = 10000000};
	int i = 1;
	for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
		if (strcmp(argv[i], "--seeds") == 0 && i + 2 < argc) {
			options.first = strtoull(argv[i + 1], NULL, 10);
			options.count = strtoull(argv[i + 2], NULL, 10);
			i += 2;
		} else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
			options.first = strtoull(argv[++i], NULL, 10);
			options.count = 1;
		} else if (strcmp(argv[i], "--ms") == 0 && i + 1 < argc) {
			options.duration = strtoll(argv[++i], NULL, 10) * 1000;
		} else if (strcmp(argv[i], "--trace") == 0) {
			options.traced = true;
		} else if (strcmp(argv[i], "--bugs") == 0) {
			options.bugs = true;
		} else if (strcmp(argv[i], "--bug") == 0 && i + 1 < argc) {
			for (int planted = 0; planted < PLANTED_COUNT; planted++)
				if (strcmp(argv[i + 1], planted_names[planted]) == 0)
					options.planted = (enum planted)planted;
			i++;
		} else {
			fprintf(stderr, "usage: raft-sim [--seeds FIRST COUNT | --seed N] [--ms N] [--trace] [--bug NAME] "
			                "[--bugs [NAME…]]\n");
			return 2;
		}
	}
	return options.bugs ? run_bugs(&options, argv + i) : run_seeds(&options);
}
