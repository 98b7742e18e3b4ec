#include "bench.h"

#include <math.h>
#include <stdio.h>

/* What clusterd is to reach on a machine of two cores. */

static const struct target {
	const char *scenario;
	const char *key;
	const char *what;
	bool at_least; /* else at most */
	double limit;
	const char *of; /* a scenario: `limit` times what that one reached; NULL: `limit` itself */
} targets[] = {
	{"native/steps-3/64", "workflows_per_s", "workflows/s", true, 5000, NULL},
	{"native/steps-3/64", "node_cpu_us", "node's µs for each", false, 200, NULL},
	{"native/steps-3/1", "floor_ratio", "p50 / (sync + 0.2 ms)", false, 4, NULL},
	{"pool/steps-3/64", "workflows_per_s", "workflows/s", true, 3000, NULL},
	{"start/empty", "start_ms", "ready ms", false, 50, NULL},
	{"start/unapplied-100k", "start_ms", "ready ms", false, 3000, NULL},
	{"start/applied-1m", "start_ms", "ready ms", false, 2000, NULL},
	{"idle/empty", "resident_mib", "RSS MiB", false, 10, NULL},
	{"idle/empty", "cpu_percent", "CPU%", false, 0.05, NULL}, /* 0.0 when printed with one decimal */
	{"idle/sleepers-100k", "resident_mib", "RSS MiB", false, 200, NULL},
	{"cluster/steps-3/64", "workflows_per_s", "of one node's workflows/s", true, 0.5, "native/steps-3/64"},
	{"idle/cluster", "resident_mib", "RSS MiB", false, 15, NULL},
	{"idle/cluster", "cpu_percent", "CPU%", false, 0.5, NULL},
};

void bench_targets(struct bench *bench)
{
	report_group(bench->report, "target", NULL, 0);
	for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
		const struct target *target = &targets[i];
		double value = report_value(bench->report, target->scenario, target->key);
		if (target->of != NULL)
			value /= report_value(bench->report, target->of, target->key);
		bool met = target->at_least ? value >= target->limit : value <= target->limit;
		char limit[32];
		snprintf(limit, sizeof limit, "%s %g", target->at_least ? "≥" : "≤", target->limit);
		report_check(bench->report, target->scenario, target->what, value, limit,
		             isnan(value) ? "not measured" : met ? "met" : "MISSED");
	}
}
