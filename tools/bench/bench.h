/* One run: what it was asked for, where it works, what it has found. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "base/error.h"
#include "base/time.h"
#include "definitions.h"
#include "node.h"
#include "report.h"

#include <stdbool.h>

struct bench {
	/* Options. */
	const char *program; /* clusterd */
	const char *only;    /* a pattern of scenarios' names; NULL: all */
	msec duration;       /* of one measurement */
	bool quick;
	bool check;
	enum report_format format;

	const char *directory; /* ours alone, removed at the end */
	struct report *report;
	double fdatasync_us;   /* of this machine, 1 KiB */
};

bool bench_wants(const struct bench *bench, const char *scenario);
/* A node on an empty directory of its own, whose path the caller frees; with the definitions when they are wanted (−1: not). */
int bench_start_node(const struct bench *bench, const char *const *arguments, struct node **ret_node,
                     char **ret_directory, struct error *error);
/* What is being done, for who waits (stderr). */
void bench_say(const struct bench *bench, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The groups of scenarios. A negative return ends the run: the node or the machine did not do its part. */
int bench_machine(struct bench *bench, struct error *error);
int bench_workflows(struct bench *bench, struct error *error);
int bench_starts(struct bench *bench, struct error *error);
int bench_idle(struct bench *bench, struct error *error);
void bench_targets(struct bench *bench);

#endif
