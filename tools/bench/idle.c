#include "bench.h"

#include "load.h"
#include "process.h"

#include <math.h>

/* What a node takes while nothing happens. */

#define SETTLE_MS 2000 /* until it has done what it does behind a change: checkpoint, a mark in the log */
#define SLEEPERS 100000
#define IN_FLIGHT 1024

static const struct report_column columns[] = {
	{"resident_mib", "RSS MiB", 1},
	{"private_mib", "own MiB", 1},
	{"cpu_us", "CPU µs", 0},
	{"seconds", "in s", 1},
	{"cpu_percent", "CPU%", 3},
	{"starts_per_s", "starts/s", 0},
};

static void report_quiet(struct bench *bench, const char *name, const struct node *node, double starts_per_s)
{
	pid_t pid = node_pid(node);
	pause_us(SETTLE_MS * 1000);
	double begin_us = clock_us();
	double cpu_begin_us = process_cpu_us(pid);
	pause_us((unsigned)bench->duration * 1000);
	double cpu_us = process_cpu_us(pid) - cpu_begin_us;
	double took_us = clock_us() - begin_us;
	report_row(bench->report, name,
	           (double[]){process_resident_mib(pid), process_private_mib(pid), cpu_us, took_us / 1e6,
	                      cpu_us / took_us * 100, starts_per_s});
}

static int idle_empty(struct bench *bench, const char *name, struct error *error)
{
	struct node *node = NULL;
	int code = bench_start_node(bench, WORKER_NATIVE, NULL, &node, error);
	if (code == 0)
		report_quiet(bench, name, node, NAN);
	bench_end_node(bench, node);
	return code;
}

/* The node of three that takes most. */
static int idle_group(struct bench *bench, const char *name, struct error *error)
{
	struct node *nodes[NODE_GROUP] = {NULL};
	double begun_us[NODE_GROUP];
	double most_us = 0, resident = 0, own = 0;
	int code = bench_start_group(bench, nodes, error);
	if (code == 0) {
		pause_us(SETTLE_MS * 1000);
		double begin_us = clock_us();
		for (int i = 0; i < NODE_GROUP; i++)
			begun_us[i] = process_cpu_us(node_pid(nodes[i]));
		pause_us((unsigned)bench->duration * 1000);
		for (int i = 0; i < NODE_GROUP; i++) {
			pid_t pid = node_pid(nodes[i]);
			most_us = fmax(most_us, process_cpu_us(pid) - begun_us[i]);
			resident = fmax(resident, process_resident_mib(pid));
			own = fmax(own, process_private_mib(pid));
		}
		double took_us = clock_us() - begin_us;
		report_row(bench->report, name,
		           (double[]){resident, own, most_us, took_us / 1e6, most_us / took_us * 100, NAN});
	}
	bench_end_group(bench, nodes);
	return code;
}

static int idle_sleepers(struct bench *bench, const char *name, struct error *error)
{
	struct node *node = NULL;
	struct load_report found;
	int code = bench_start_node(bench, WORKER_NATIVE, NULL, &node, error);
	if (code == 0) {
		struct load_plan plan = {
			.node = node,
			.workflow = "Sleeper",
			.args = SLICE("{\"x\":1}"),
			.in_flight = IN_FLIGHT,
			.detached = true,
			.count = SLEEPERS,
		};
		bench_say(bench, "%s: clusterd is process %d", name, (int)node_pid(node));
		code = load_run(&plan, &found, error);
	}
	if (code == 0)
		report_quiet(bench, name, node, SLEEPERS / found.seconds);
	bench_end_node(bench, node);
	return code;
}

static const struct {
	const char *name;
	int (*run)(struct bench *bench, const char *name, struct error *error);
} scenarios[] = {
	{"idle/empty", idle_empty},
	{"idle/cluster", idle_group},
	{"idle/sleepers-100k", idle_sleepers},
};

int bench_idle(struct bench *bench, struct error *error)
{
	report_group(bench->report, "idle", columns, sizeof columns / sizeof columns[0]);
	for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
		const char *name = scenarios[i].name;
		int code = bench_wants(bench, name) ? scenarios[i].run(bench, name, error) : 0;
		if (code != 0) {
			error_prefix(error, "%s", name);
			return code;
		}
	}
	return 0;
}
