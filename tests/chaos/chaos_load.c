#include "base/error.h"
#include "base/memory.h"
#include "bench/process.h"
#include "chaos_client.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* chaos-load: clients of a cluster that is in trouble, until SIGTERM; what they saw goes into files. */

#define ADDRESSES_MAX 32
#define ENDING_MS 20000

static const char usage[] =
	"usage: chaos-load --address A,B,… --history FILE --started FILE [OPTION…]\n"
	"\n"
	"Puts, gets, compares and swaps, and deletes keys, starts workflows, asking the next node whenever one does not answer.\n"
	"Ends with SIGTERM: what is under way is awaited for some seconds. Over TCP, CLUSTERD_TOKEN has the cluster's token.\n"
	"\n"
	"  --history FILE   what came of operations on keys, for linear-check\n"
	"  --started FILE   a line for each workflow: KEY INSTANCE NUMBER; \"-\" when no answer came\n"
	"  --workflow NAME  with one parameter, a number (default Chaos)\n"
	"  --clients N      for each address (default 3)\n"
	"  --starters N     of workflows, for each address (default 1)\n"
	"  --keys N         used at a time (default 5)\n"
	"  --epoch MS       so long the same ones (default 5000)\n"
	"  --pause MS       between two operations of a client, on average (default 20)\n"
	"  --start-pause MS between two workflows of a starter (default 1000)\n"
	"  --run NAME       begins the names of keys (default c)\n"
	"  --seed N         of what is drawn\n"
	"\n"
	"Exit code 0: all answers were possible ones. 1: one was not. 2: wrong usage.\n";

struct options {
	const char *addresses[ADDRESSES_MAX];
	size_t address_count;
	const char *history, *started;
	uint64_t clients, starters;
	uint64_t keys, epoch, pause, start_pause, seed;
	const char *run, *workflow;
};

static bool take_number(const char *text, uint64_t *ret_number)
{
	char *end;
	errno = 0;
	unsigned long long number = strtoull(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0)
		return false;
	*ret_number = number;
	return true;
}

static bool take_addresses(struct options *options, char *text)
{
	char *address;
	while ((address = strsep(&text, ",")) != NULL) {
		if (*address == '\0' || options->address_count == ADDRESSES_MAX)
			return false;
		options->addresses[options->address_count++] = address;
	}
	return true;
}

static bool take_option(struct options *options, const char *name, char *value)
{
	const struct {
		const char *name;
		uint64_t *number;
		const char **text;
	} rows[] = {
		{"--history", NULL, &options->history},
		{"--started", NULL, &options->started},
		{"--workflow", NULL, &options->workflow},
		{"--clients", &options->clients, NULL},
		{"--starters", &options->starters, NULL},
		{"--keys", &options->keys, NULL},
		{"--epoch", &options->epoch, NULL},
		{"--pause", &options->pause, NULL},
		{"--start-pause", &options->start_pause, NULL},
		{"--run", NULL, &options->run},
		{"--seed", &options->seed, NULL},
	};
	if (strcmp(name, "--address") == 0)
		return take_addresses(options, value);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (strcmp(name, rows[i].name) != 0)
			continue;
		if (rows[i].number != NULL)
			return take_number(value, rows[i].number);
		*rows[i].text = value;
		return true;
	}
	return false;
}

static bool read_options(struct options *options, int count, char **words)
{
	for (int i = 1; i < count; i += 2)
		if (i + 1 >= count || !take_option(options, words[i], words[i + 1]))
			return false;
	return options->address_count > 0 && options->history != NULL && options->started != NULL && options->keys > 0 &&
	       options->epoch > 0;
}

/* --- the run ------------------------------------------------------------------------------------------------------ */

struct crowd {
	struct population population;
	struct client **clients;
	size_t count;
	struct loop_timer *ending;
};

static void end(void *context)
{
	struct crowd *crowd = context;
	if (crowd->population.ending)
		return;
	crowd->population.ending = true;
	for (size_t i = 0; i < crowd->count; i++)
		client_end(crowd->clients[i]);
	loop_timer_set(crowd->ending, loop_now(crowd->population.loop) + ENDING_MS);
	if (crowd->population.busy == 0)
		loop_stop(crowd->population.loop);
}

static void ending_is_over(void *context)
{
	struct crowd *crowd = context;
	loop_stop(crowd->population.loop);
}

static void run(struct crowd *crowd, const struct options *options)
{
	struct population *population = &crowd->population;
	struct loop_signal *term = loop_signal_create(population->loop, SIGTERM, end, crowd);
	struct loop_signal *interrupt = loop_signal_create(population->loop, SIGINT, end, crowd);
	size_t each = (size_t)(options->clients + options->starters);
	crowd->ending = loop_timer_create(population->loop, ending_is_over, crowd);
	crowd->count = each * options->address_count;
	crowd->clients = mem_array(crowd->count, sizeof(struct client *));
	for (size_t i = 0; i < crowd->count; i++)
		crowd->clients[i] = client_create(population, i / each, i % each >= options->clients);
	loop_run(population->loop);
	for (size_t i = 0; i < crowd->count; i++)
		client_destroy(crowd->clients[i]);
	mem_free(crowd->clients);
	loop_timer_destroy(crowd->ending);
	loop_signal_destroy(term);
	loop_signal_destroy(interrupt);
}

static FILE *open_file(const char *path)
{
	FILE *file = fopen(path, "we");
	if (file == NULL)
		fprintf(stderr, "chaos-load: %s: %s\n", path, strerror(errno));
	return file;
}

static int close_file(FILE *file, const char *path)
{
	if (file == NULL)
		return 1;
	bool whole = !ferror(file);
	if (fclose(file) == 0 && whole)
		return 0;
	fprintf(stderr, "chaos-load: %s: %s\n", path, strerror(errno));
	return 1;
}

static int work(const struct options *options)
{
	struct crowd crowd = {.population = {
		.addresses = options->addresses,
		.address_count = options->address_count,
		.history = open_file(options->history),
		.started = open_file(options->started),
		.run = options->run,
		.workflow = options->workflow,
		.keys = (uint32_t)options->keys,
		.epoch = (msec)options->epoch,
		.pause = (msec)options->pause,
		.start_pause = (msec)options->start_pause,
		.random = {options->seed},
	}};
	struct population *population = &crowd.population;
	int code = population->history == NULL || population->started == NULL || loop_create(&population->loop) != 0;
	if (code == 0) {
		population->seen = mem_array(population->keys, sizeof *population->seen);
		run(&crowd, options);
		mem_free(population->seen);
		loop_destroy(population->loop);
		printf("%" PRIu64 " operations answered, %" PRIu64 " with an unknown outcome, %" PRIu64
		       " sessions expired, %" PRIu64 " refusals, %" PRIu64 " connections lost; "
		       "%.0f ms the longest without a change acknowledged\n",
		       population->answered, population->unknown, population->expired, population->refused, population->lost,
		       population->gap_us / 1e3);
	}
	code |= close_file(population->history, options->history);
	code |= close_file(population->started, options->started);
	if (population->problem[0] != '\0') {
		fprintf(stderr, "chaos-load: %s\n", population->problem);
		code = 1;
	}
	return code;
}

int main(int count, char **words)
{
	struct options options = {
		.clients = 3,
		.starters = 1,
		.keys = 5,
		.epoch = 5000,
		.pause = 20,
		.start_pause = 1000,
		.seed = (uint64_t)getpid() << 32 | (uint64_t)clock_us(),
		.run = "c",
		.workflow = "Chaos",
	};
	if (count == 2 && strcmp(words[1], "--help") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	if (!read_options(&options, count, words)) {
		fputs(usage, stderr);
		return 2;
	}
	return work(&options);
}
