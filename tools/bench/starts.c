#include "bench.h"

#include "base/memory.h"
#include "load.h"
#include "process.h"
#include "worker.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* How long a node takes from its start until it serves: with nothing, with a log that the catalog has not seen, with a
 * long log that it has. */

#define TIMES 5
#define CREDIT 1024
#define IN_FLIGHT 256

static const struct report_column columns[] = {
	{"start_ms", "ready ms", 1},
	{"slowest_ms", "slowest ms", 1},
	{"entries", "entries", 0},
	{"entries_per_s", "entries/s", 0},
	{"log_mib", "log MiB", 1},
	{"resident_mib", "RSS MiB", 1},
};

static const char *const keep_log[] = {"--log-tail", "1000000000", NULL};

/* --- nothing to recover ------------------------------------------------------------------------------------------- */

static int compare_doubles(const void *left, const void *right)
{
	double a = *(const double *)left;
	double b = *(const double *)right;
	return (a > b) - (a < b);
}

static int start_empty(struct bench *bench, const char *name, struct error *error)
{
	double times_ms[TIMES];
	double resident_mib = 0;
	for (size_t i = 0; i < TIMES; i++) {
		struct node *node = NULL;
		int code = bench_start_node(bench, WORKER_NATIVE, NULL, &node, error);
		if (code != 0)
			return code;
		times_ms[i] = node_start_ms(node);
		resident_mib = process_resident_mib(node_pid(node));
		bench_end_node(bench, node);
	}
	qsort(times_ms, TIMES, sizeof *times_ms, compare_doubles);
	report_row(bench->report, name,
	           (double[]){times_ms[TIMES / 2], times_ms[TIMES - 1], 0, NAN, NAN, resident_mib});
	return 0;
}

/* --- with a log --------------------------------------------------------------------------------------------------- */

/* A node does work until its log is so long. */
static int fill_log(struct bench *bench, struct node *node, uint64_t entries, struct status *ret_status,
                    struct error *error)
{
	struct worker *worker = NULL;
	struct load_report found;
	const struct shape *shape = shape_find("steps-3");
	int code = worker_start(node_address(node), "Step", CREDIT, &worker, error);
	if (code == 0) {
		struct load_plan plan = {
			.node = node,
			.workflow = shape->workflow,
			.args = shape->args,
			.in_flight = IN_FLIGHT,
			.until_index = entries,
		};
		code = load_run(&plan, &found, error);
	}
	worker_stop(worker);
	if (code == 0)
		code = node_status(node, ret_status, error);
	if (code == 0)
		bench_say(bench, "  %" PRIu64 " entries after %.1f s", ret_status->last_index, found.seconds);
	return code;
}

static int start_again(struct bench *bench, const char *name, const struct status *before, struct error *error)
{
	char *directory = bench_node_directory(bench);
	struct node *node = NULL;
	struct status status;
	int code = node_start(bench->program, directory, keep_log, &node, error);
	mem_free(directory);
	if (code == 0)
		code = node_status(node, &status, error);
	if (code == 0) {
		double ms = node_start_ms(node);
		double entries = (double)(before->last_index - before->log_first_index + 1);
		double log_mib = (double)before->log_appended_bytes / (1 << 20);
		double resident_mib = process_resident_mib(node_pid(node));
		report_row(bench->report, name,
		           (double[]){ms, ms, entries, entries / ms * 1e3, log_mib, resident_mib});
		/* What it had not committed when it was killed may be lost. */
		if (status.applied_index < before->applied_index)
			report_note(bench->report, name,
			            "it said that it is ready, but had applied %" PRIu64 " of %" PRIu64 " entries",
			            status.applied_index, before->applied_index);
	}
	bench_end_node(bench, node);
	return code;
}

static int start_with_log(struct bench *bench, const char *name, uint64_t entries, bool forget_catalog,
                          struct error *error)
{
	struct node *node = NULL;
	struct status before;
	bench_say(bench, "%s: makes a log of %" PRIu64 " entries", name, entries);
	int code = bench_start_node(bench, WORKER_NATIVE, keep_log, &node, error);
	if (code != 0)
		return code;
	code = fill_log(bench, node, entries, &before, error);
	if (code != 0) {
		bench_end_node(bench, node);
		return code;
	}
	if (forget_catalog) {
		char *directory = bench_node_directory(bench);
		node_kill(node);
		node_forget_catalog(directory);
		mem_free(directory);
	} else {
		node_stop(node);
	}
	return start_again(bench, name, &before, error);
}

static int start_unapplied(struct bench *bench, const char *name, struct error *error)
{
	return start_with_log(bench, name, 100000, true, error);
}

static int start_applied(struct bench *bench, const char *name, struct error *error)
{
	return start_with_log(bench, name, 1000000, false, error);
}

/* --- all of them -------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int (*run)(struct bench *bench, const char *name, struct error *error);
	bool takes_long;
} scenarios[] = {
	{"start/empty", start_empty, false},
	{"start/unapplied-100k", start_unapplied, false},
	{"start/applied-1m", start_applied, true},
};

int bench_starts(struct bench *bench, struct error *error)
{
	report_group(bench->report, "start", columns, sizeof columns / sizeof columns[0]);
	for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
		const char *name = scenarios[i].name;
		if (!bench_wants(bench, name))
			continue;
		if (scenarios[i].takes_long && bench->quick && bench->only == NULL) {
			report_note(bench->report, name, "left out: it takes a minute or more (--quick)");
			continue;
		}
		int code = scenarios[i].run(bench, name, error);
		if (code != 0) {
			error_prefix(error, "%s", name);
			return code;
		}
	}
	return 0;
}
