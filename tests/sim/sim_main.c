#include "sim/simulation.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* clusterd-sim: runs seeds, each in a process of its own. */

static const char usage[] =
	"usage: clusterd-sim [--seed N] [--seeds COUNT] [--nodes N] [--seconds N | --ticks N] [--operations N]\n"
	"                    [--faults LIST] [--plant NAME] [--trace | --tail N]\n"
	"       clusterd-sim --bite COUNT [--seed N]\n"
	"\n"
	"  --seed N        the first seed (1)\n"
	"  --seeds COUNT   how many seeds, one after the other (1)\n"
	"  --nodes N       servers: 1 to 7, or mix: 1, 3 or 5, as the seed says (3)\n"
	"  --seconds N     how long things go wrong, in virtual time (600)\n"
	"  --ticks N       the same in events (3000 for one node)\n"
	"  --operations N  and so many operations on keys, at least (1000 for several nodes, unless it is said how long)\n"
	"  --faults LIST   what goes wrong, of power,kill,stop,io,space,clock,calls,workers,clients,partition,net,pause,slow,\n"
	"                  members,flip; or none (all)\n"
	"  --plant NAME    a mistake to be made, to see that it is found\n"
	"  --trace         tell on stderr what happens\n"
	"  --tail N        of what happened before a failure, tell so much (40)\n"
	"  --bite COUNT    make each mistake in up to COUNT seeds: each must be found. With --nodes: those of several servers.\n"
	"                  With --plant: that one\n"
	"\n"
	"Exit code 0: all that must hold held. 1: it did not; the seed says where. 2: wrong usage.\n"
	"\n"
	"  clusterd-sim --seed 7 --trace\n";

struct arguments {
	struct sim_options options;
	uint64_t seeds;
	uint64_t bite;
	bool several; /* servers were asked for */
	uint32_t tail;
};

static void refuse(const char *what)
{
	fprintf(stderr, "clusterd-sim: %s\n%s", what, usage);
	exit(2);
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);
	if (*text == '\0' || *end != '\0')
		refuse("a number is wanted");
	return value;
}

static uint32_t nodes_of(const char *text)
{
	uint64_t nodes = strcmp(text, "mix") == 0 ? 0 : number(text);
	if (nodes > SIM_NODES_MAX || (nodes == 0 && strcmp(text, "mix") != 0))
		refuse("1 to 7 nodes are possible");
	return (uint32_t)nodes;
}

static unsigned int faults_of(const char *list)
{
	unsigned int faults = 0;
	if (strcmp(list, "none") == 0)
		return 0;
	while (*list != '\0') {
		size_t size = strcspn(list, ",");
		size_t i = 0;
		while (sim_fault_names[i] != NULL &&
		       (strlen(sim_fault_names[i]) != size || strncmp(sim_fault_names[i], list, size) != 0))
			i++;
		if (sim_fault_names[i] == NULL)
			refuse("an unknown fault");
		faults |= 1u << i;
		list += size + (list[size] == ',');
	}
	return faults;
}

static enum sim_plant plant_of(const char *name)
{
	for (int i = 0; i < PLANT_COUNT; i++) {
		if (strcmp(sim_plant_names[i], name) == 0)
			return (enum sim_plant)i;
	}
	refuse("an unknown plant");
	return PLANT_NONE;
}

static void parse(int count, char **words, struct arguments *ret)
{
	*ret = (struct arguments){.options = {.seed = 1, .nodes = 3, .faults = SIM_ALL}, .seeds = 1, .tail = 40};
	for (int i = 1; i < count; i++) {
		const char *word = words[i];
		const char *value = i + 1 < count ? words[i + 1] : "";
		if (strcmp(word, "--help") == 0) {
			fputs(usage, stdout);
			exit(0);
		}
		if (strcmp(word, "--trace") == 0) {
			ret->options.trace = true;
			continue;
		}
		i++;
		if (strcmp(word, "--seed") == 0)
			ret->options.seed = number(value);
		else if (strcmp(word, "--seeds") == 0)
			ret->seeds = number(value);
		else if (strcmp(word, "--nodes") == 0)
			ret->several = (ret->options.nodes = nodes_of(value)) != 1;
		else if (strcmp(word, "--seconds") == 0)
			ret->options.duration_ms = 1000 * (int64_t)number(value);
		else if (strcmp(word, "--tail") == 0)
			ret->tail = (uint32_t)number(value);
		else if (strcmp(word, "--ticks") == 0)
			ret->options.ticks = number(value);
		else if (strcmp(word, "--operations") == 0)
			ret->options.operations = number(value);
		else if (strcmp(word, "--faults") == 0)
			ret->options.faults = faults_of(value);
		else if (strcmp(word, "--plant") == 0)
			ret->options.plant = plant_of(value);
		else if (strcmp(word, "--bite") == 0)
			ret->bite = number(value);
		else
			refuse("an unknown option");
	}
}

/* In a process of its own, for it ends at the first thing that is wrong. true: all held. */
static bool run_seed(const struct sim_options *options, bool quiet)
{
	int status = 0;
	fflush(stdout);
	pid_t child = fork();
	if (child < 0) {
		perror("clusterd-sim: fork");
		exit(3);
	}
	if (child == 0) {
		if (quiet && (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL))
			_exit(3);
		simulation_run(options);
		fflush(stdout);
		exit(0);
	}
	if (waitpid(child, &status, 0) != child)
		exit(3);
	if (WIFSIGNALED(status))
		fprintf(stderr, "seed %" PRIu64 " ended with signal %d\n", options->seed, WTERMSIG(status));
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The same run fails again: this time with what happened before. */
static void tell_again(const struct arguments *arguments)
{
	struct sim_options options = arguments->options;
	if (!options.trace && arguments->tail > 0) {
		options.tail = arguments->tail;
		if (run_seed(&options, false))
			fprintf(stderr, "seed %" PRIu64 " does NOT fail again: a run does not follow from its seed alone\n", options.seed);
	}
	fprintf(stderr, "to see it: clusterd-sim --seed %" PRIu64 " --nodes ", options.seed);
	if (options.nodes == 0)
		fprintf(stderr, "mix --trace\n");
	else
		fprintf(stderr, "%u --trace\n", options.nodes);
}

/* Those of one server and those of several, and of the former those that several servers could hide. */
static bool concerns(enum sim_plant plant, bool several)
{
	bool both = plant == PLANT_SYNCED_EARLY || plant == PLANT_SYNC_IGNORED || plant == PLANT_VOTE_LOST ||
	            plant == PLANT_SEQUENCE_RENEWED;
	return both || (plant >= PLANT_FIRST_OF_SEVERAL) == several;
}

/* Every planted mistake is found. */
static int bite(const struct arguments *arguments)
{
	int missed = 0;
	for (int plant = PLANT_NONE + 1; plant < PLANT_COUNT; plant++) {
		bool named = arguments->options.plant == (enum sim_plant)plant;
		if (!named && (arguments->options.plant != PLANT_NONE || !concerns((enum sim_plant)plant, arguments->several)))
			continue;
		struct sim_options options = arguments->options;
		uint64_t tried = 0;
		bool held = true;
		options.plant = (enum sim_plant)plant;
		options.nodes = arguments->several ? options.nodes : 1;
		for (; tried < arguments->bite && held; tried++) {
			options.seed = arguments->options.seed + tried;
			held = run_seed(&options, true);
		}
		printf("%-22s %s after %" PRIu64 " seeds\n", sim_plant_names[plant], held ? "NOT found" : "found", tried);
		missed += held;
	}
	return missed == 0 ? 0 : 1;
}

int main(int count, char **words)
{
	/* Memory that was given back would only be asked for again. */
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	mallopt(M_TOP_PAD, 16 << 20);
	struct arguments arguments;
	int failed = 0;
	parse(count, words, &arguments);
	if (arguments.bite > 0)
		return bite(&arguments);
	uint64_t first = arguments.options.seed;
	for (uint64_t seed = first; seed < first + arguments.seeds; seed++) {
		arguments.options.seed = seed;
		if (!run_seed(&arguments.options, false)) {
			failed++;
			tell_again(&arguments);
		}
	}
	if (arguments.seeds > 1)
		printf("%" PRIu64 " seeds, %d failed\n", arguments.seeds, failed);
	return failed == 0 ? 0 : 1;
}
