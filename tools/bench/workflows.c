#include "bench.h"

#include "base/memory.h"
#include "load.h"
#include "process.h"
#include "worker.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* How many workflows, how fast, at what price. */

#define CREDIT 1024
#define LOOPBACK_US 200   /* what a step may cost besides its sync: messages, switches between processes, reductions */
#define WARM_UP_MS 500    /* at least: a script has to be compiled */
#define SYNC_MS 500       /* how long syncs are measured before a workflow that waits for each */
#define PATIENCE 10       /* times the duration: until as many have finished as were in flight */
#define QUICK_CALLS 20000 /* in flight at most, with --quick */

static const uint32_t levels[] = {1, 16, 64, 256};
#define LEVEL_COUNT (sizeof levels / sizeof levels[0])

static const struct report_column columns[] = {
	{"workflows_per_s", "wf/s", 0},
	{"steps_per_s", "steps/s", 0},
	{"p50_ms", "p50 ms", 2},
	{"p99_ms", "p99 ms", 2},
	{"node_cpu_us", "node µs", 1}, /* of its processor time, for each workflow; likewise the next ones */
	{"worker_cpu_us", "worker µs", 1},
	{"load_cpu_us", "load µs", 1},
	{"node_cpu_us_per_step", "µs/step", 1},
	{"node_cpu_percent", "node CPU%", 0},
	{"resident_mib", "RSS MiB", 1},
	{"log_bytes_per_step", "log B/step", 0},
	{"syncs_per_step", "sync/step", 3},
	{"syncs_per_workflow", "sync/wf", 3},
	{"entries_per_workflow", "entry/wf", 1},
	{"floor_ratio", "× floor", 2},
};

struct run {
	struct bench *bench;
	struct node *node;
	struct node *others[NODE_GROUP - 1]; /* of its cluster; NULL: it is alone */
	struct worker *worker; /* NULL: a pool */
	double floor_us; /* what a step costs at least: a sync, as it is around the run, and the loopback */
	/* What it had cost when measuring began, then what it cost. */
	double node_cpu_us;
	double worker_cpu_us;
	double calls;
};

static double nodes_cpu_us(const struct run *run)
{
	double sum = process_cpu_us(node_pid(run->node));
	for (int i = 0; i < NODE_GROUP - 1; i++)
		sum += run->others[i] != NULL ? process_cpu_us(node_pid(run->others[i])) : 0;
	return sum;
}

static void mark(void *context, bool end)
{
	struct run *run = context;
	double node = nodes_cpu_us(run);
	double worker = run->worker != NULL ? process_cpu_us(worker_pid(run->worker))
	                                    : process_descendants_cpu_us(node_pid(run->node));
	double calls = run->worker != NULL ? (double)worker_calls(run->worker) : 0;
	run->node_cpu_us = end ? node - run->node_cpu_us : node;
	run->worker_cpu_us = end ? worker - run->worker_cpu_us : worker;
	run->calls = end ? calls - run->calls : calls;
}

static double per(double value, double count)
{
	return count > 0 ? value / count : NAN;
}

static void report(struct run *run, const char *name, const struct shape *shape, uint32_t in_flight,
                   const struct load_report *found)
{
	double finished = (double)found->finished;
	double steps = run->worker != NULL ? run->calls : finished * shape->steps;
	double syncs = (double)(found->after.log_syncs - found->before.log_syncs);
	double bytes = (double)(found->after.log_appended_bytes - found->before.log_appended_bytes);
	double entries = (double)(found->after.log_entries - found->before.log_entries);
	const double values[] = {
		finished / found->seconds,
		steps / found->seconds,
		finished > 0 ? found->p50_us / 1e3 : NAN,
		finished > 0 ? found->p99_us / 1e3 : NAN,
		per(run->node_cpu_us, finished),
		per(run->worker_cpu_us, finished),
		per(found->own_cpu_us, finished),
		per(run->node_cpu_us, steps),
		run->node_cpu_us / found->seconds / 1e4,
		process_resident_mib(node_pid(run->node)),
		per(bytes, steps),
		per(syncs, steps),
		per(syncs, finished),
		per(entries, finished),
		in_flight == 1 && finished > 0 ? found->p50_us / run->floor_us : NAN,
	};
	_Static_assert(sizeof values / sizeof *values == sizeof columns / sizeof *columns, "a value for each column");
	report_row(run->bench->report, name, values);
	if (finished < in_flight)
		report_note(run->bench->report, name, "only %.0f finished in %.0f s: figures for each are rough",
		            finished, found->seconds);
	if (found->busy != 0)
		report_note(run->bench->report, name, "the node was busy %" PRIu64 " times", found->busy);
}

/* The floor of a workflow that waits for each sync: what a sync takes around it, for it is not always the same. */
static int measure_floor(struct run *run, struct error *error)
{
	double median_us = 0;
	int code = bench_sync_us(run->bench, msec_earlier(run->bench->duration / 4, SYNC_MS), &median_us, error);
	double now_us = median_us + LOOPBACK_US;
	run->floor_us = run->floor_us != 0 ? (run->floor_us + now_us) / 2 : now_us;
	return code;
}

static int run_load(struct run *run, const char *name, const struct shape *shape, uint32_t in_flight,
                    struct error *error)
{
	struct bench *bench = run->bench;
	struct load_report found;
	struct load_plan plan = {
		.node = run->node,
		.workflow = shape->workflow,
		.args = shape->args,
		.in_flight = in_flight,
		.warm_up = bench->duration / 4 > WARM_UP_MS ? bench->duration / 4 : WARM_UP_MS,
		.duration = bench->duration,
		.patience = bench->duration * PATIENCE,
		.mark = mark,
		.context = run,
	};
	bench_say(bench, "%s: clusterd is process %d", name, (int)node_pid(run->node));
	int code = load_run(&plan, &found, error);
	if (code == 0 && in_flight == 1)
		code = measure_floor(run, error);
	if (code == 0)
		report(run, name, shape, in_flight, &found);
	return code;
}

static int run_one(struct bench *bench, const char *name, const struct shape *shape, enum worker_kind kind,
                   uint32_t in_flight, struct error *error)
{
	struct run run = {.bench = bench};
	int code = in_flight == 1 ? measure_floor(&run, error) : 0;
	if (code == 0)
		code = bench_start_node(bench, kind, NULL, &run.node, error);
	if (code == 0 && kind == WORKER_NATIVE)
		code = worker_start(node_address(run.node), "Step", CREDIT, &run.worker, error);
	if (code == 0)
		code = run_load(&run, name, shape, in_flight, error);
	worker_stop(run.worker);
	bench_end_node(bench, run.node);
	if (code != 0)
		error_prefix(error, "%s", name);
	return code;
}

/* Client and worker are connected to one of three nodes, whichever it is. */
static int run_group(struct bench *bench, const char *name, const struct shape *shape, uint32_t in_flight,
                     struct error *error)
{
	struct run run = {.bench = bench};
	struct node *nodes[NODE_GROUP] = {NULL};
	int code = in_flight == 1 ? measure_floor(&run, error) : 0;
	if (code == 0)
		code = bench_start_group(bench, nodes, error);
	run.node = nodes[0];
	for (int i = 1; i < NODE_GROUP; i++)
		run.others[i - 1] = nodes[i];
	if (code == 0)
		code = worker_start(node_address(run.node), "Step", CREDIT, &run.worker, error);
	if (code == 0)
		code = run_load(&run, name, shape, in_flight, error);
	worker_stop(run.worker);
	bench_end_group(bench, nodes);
	if (code != 0)
		error_prefix(error, "%s", name);
	return code;
}

static int run_groups(struct bench *bench, struct error *error)
{
	const struct shape *shape = shape_find("steps-3");
	int code = 0;
	for (size_t i = 0; i < LEVEL_COUNT && code == 0; i++) {
		char *name = mem_format("cluster/%s/%u", shape->name, levels[i]);
		if (bench_wants(bench, name))
			code = run_group(bench, name, shape, levels[i], error);
		mem_free(name);
	}
	return code;
}

static bool node_js_is_there(void)
{
	return system("command -v node >/dev/null 2>&1") == 0; /* as the node will look for it: in PATH */
}

static int run_kind(struct bench *bench, enum worker_kind kind, struct error *error)
{
	const char *prefix = kind == WORKER_POOL ? "pool" : "native";
	bool can = kind != WORKER_POOL || node_js_is_there();
	int code = 0;
	for (size_t i = 0; i < SHAPE_COUNT * LEVEL_COUNT && code == 0; i++) {
		const struct shape *shape = &shapes[i / LEVEL_COUNT];
		uint32_t in_flight = levels[i % LEVEL_COUNT];
		char *name = mem_format("%s/%s/%u", prefix, shape->name, in_flight);
		bool long_one = bench->quick && bench->only == NULL && shape->steps * in_flight > QUICK_CALLS;
		if (long_one)
			report_note(bench->report, name, "left out: it takes its time (--quick)");
		else if (bench_wants(bench, name) && can)
			code = run_one(bench, name, shape, kind, in_flight, error);
		mem_free(name);
	}
	if (!can)
		report_note(bench->report, prefix, "left out: Node.js (node) is not in PATH");
	return code;
}

int bench_workflows(struct bench *bench, struct error *error)
{
	report_group(bench->report, "workflow/in flight", columns, sizeof columns / sizeof columns[0]);
	int code = run_kind(bench, WORKER_NATIVE, error);
	if (code == 0)
		code = run_kind(bench, WORKER_POOL, error);
	if (code == 0)
		code = run_groups(bench, error);
	return code;
}
