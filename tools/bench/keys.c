#include "bench.h"

#include "base/memory.h"
#include "process.h"
#include "puts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* How many puts of small values, how fast, at what price: of a node of our own, or of a cluster that runs. */

#define VALUE_SIZE 128
#define KEYS_DEFAULT 100000
#define WARM_UP_MS 500
#define NODES_MAX 32

static const uint32_t levels[] = {1, 16, 64, 256};

static const struct report_column columns[] = {
	{"puts_per_s", "puts/s", 0},
	{"p50_ms", "p50 ms", 2},
	{"p99_ms", "p99 ms", 2},
	{"max_ms", "max ms", 1},
	{"gap_ms", "gap ms", 1},           /* the longest time without an answer */
	{"server_cpu_us", "server µs", 1}, /* processor time for each put: of all nodes on this machine; likewise the next ones */
	{"leader_cpu_us", "busiest µs", 1},
	{"load_cpu_us", "load µs", 1},
	{"syncs_per_put", "sync/put", 3},  /* of all nodes that were asked */
	{"entries_per_put", "entry/put", 2},
	{"busy", "busy", 0},
	{"lost", "lost", 0},
};

struct run {
	const char *addresses[NODES_MAX];
	size_t address_count;
	struct status status[NODES_MAX]; /* when measuring begins, or ends */
	double cpu_us[NODES_MAX];        /* the same; then what it cost */
	double syncs, entries;
	bool asked[NODES_MAX];
};

/* A pid says something about a process of this machine only if it is a clusterd. */
static double cpu_of(uint64_t pid)
{
	char path[64];
	char name[32] = "";
	snprintf(path, sizeof path, "/proc/%llu/comm", (unsigned long long)pid);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return 0;
	bool known = fgets(name, sizeof name, file) != NULL && strncmp(name, "clusterd", 8) == 0;
	fclose(file);
	return known ? process_cpu_us((pid_t)pid) : 0;
}

static void mark(void *context, bool end)
{
	struct run *run = context;
	for (size_t i = 0; i < run->address_count; i++) {
		struct status now;
		struct error error;
		if (!end) {
			run->asked[i] = node_status_at(run->addresses[i], &run->status[i], &error) == 0;
			run->cpu_us[i] = run->asked[i] ? cpu_of(run->status[i].pid) : 0;
			continue;
		}
		double cpu = run->asked[i] ? cpu_of(run->status[i].pid) : 0;
		run->cpu_us[i] = cpu > run->cpu_us[i] ? cpu - run->cpu_us[i] : 0;
		if (!run->asked[i] || node_status_at(run->addresses[i], &now, &error) != 0 || now.pid != run->status[i].pid)
			continue;
		run->syncs += (double)(now.log_syncs - run->status[i].log_syncs);
		run->entries += (double)(now.log_entries - run->status[i].log_entries);
	}
}

static double per(double value, double count)
{
	return count > 0 ? value / count : NAN;
}

static void report(struct bench *bench, const char *name, const struct run *run, const struct puts_report *found)
{
	double puts = (double)found->finished;
	double all = 0;
	double busiest = 0;
	for (size_t i = 0; i < run->address_count; i++) {
		all += run->cpu_us[i];
		busiest = run->cpu_us[i] > busiest ? run->cpu_us[i] : busiest;
	}
	const double values[] = {
		puts / found->seconds,
		puts > 0 ? found->p50_us / 1e3 : NAN,
		puts > 0 ? found->p99_us / 1e3 : NAN,
		puts > 0 ? found->max_us / 1e3 : NAN,
		found->gap_us / 1e3,
		all > 0 ? per(all, puts) : NAN,
		busiest > 0 ? per(busiest, puts) : NAN,
		per(found->own_cpu_us, puts),
		per(run->syncs, puts),
		per(run->entries, puts),
		(double)found->busy,
		(double)found->lost,
	};
	_Static_assert(sizeof values / sizeof *values == sizeof columns / sizeof *columns, "a value for each column");
	report_row(bench->report, name, values);
}

/* The addresses, separated by commas; `text` is cut up. */
static int split(char *text, struct run *run, struct error *error)
{
	char *rest = text;
	char *address;
	while ((address = strsep(&rest, ",")) != NULL) {
		if (*address == '\0')
			continue;
		if (run->address_count == NODES_MAX)
			return error_set(error, ERR_LIMIT, "more than %d addresses", NODES_MAX);
		run->addresses[run->address_count++] = address;
	}
	return run->address_count > 0 ? 0 : error_set(error, ERR_INVALID, "--address names no node");
}

static int run_level(struct bench *bench, const char *name, struct run *run, uint32_t connections, struct error *error)
{
	struct puts_report found;
	struct puts_plan plan = {
		.addresses = run->addresses,
		.address_count = run->address_count,
		.connections = connections,
		.keys = bench->keys != 0 ? bench->keys : KEYS_DEFAULT,
		.value_size = VALUE_SIZE,
		.warm_up = bench->duration / 4 > WARM_UP_MS ? bench->duration / 4 : WARM_UP_MS,
		.duration = bench->duration,
		.mark = mark,
		.context = run,
	};
	int code = puts_run(&plan, &found, error);
	if (code == 0)
		report(bench, name, run, &found);
	return code;
}

static int run_own(struct bench *bench, const char *name, uint32_t connections, struct error *error)
{
	struct run run = {.address_count = 1};
	struct node *node = NULL;
	char *directory = bench_node_directory(bench);
	int code = node_start(bench->program, directory, NULL, &node, error);
	if (code == 0) {
		bench_say(bench, "%s: clusterd is process %d", name, (int)node_pid(node));
		run.addresses[0] = node_address(node);
		code = run_level(bench, name, &run, connections, error);
	}
	bench_end_node(bench, node);
	mem_free(directory);
	return code;
}

static int run_others(struct bench *bench, const char *name, uint32_t connections, struct error *error)
{
	struct run run = {.address_count = 0};
	char *text = mem_string(bench->address);
	int code = split(text, &run, error);
	if (code == 0)
		code = run_level(bench, name, &run, connections, error);
	mem_free(text);
	return code;
}

int bench_puts(struct bench *bench, struct error *error)
{
	int code = 0;
	report_group(bench->report, "puts/connections", columns, sizeof columns / sizeof columns[0]);
	for (size_t i = 0; i < sizeof levels / sizeof levels[0] && code == 0; i++) {
		uint32_t connections = bench->connections != 0 ? bench->connections : levels[i];
		char *name = mem_format("puts/%u", connections);
		if (bench_wants(bench, name))
			code = (bench->address != NULL ? run_others : run_own)(bench, name, connections, error);
		if (code != 0)
			error_prefix(error, "%s", name);
		mem_free(name);
		if (bench->connections != 0)
			break;
	}
	return code;
}
