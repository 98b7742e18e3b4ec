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
	bool puts;            /* puts of keys, and nothing else */
	const char *address;  /* of nodes that run, HOST:PORT,…, for puts; NULL: one of our own */
	uint32_t connections; /* for puts; 0: several numbers of them */
	uint64_t keys;        /* different ones, for puts; 0: the default */

	const char *directory; /* ours alone, removed at the end */
	struct report *report;
};

bool bench_wants(const struct bench *bench, const char *scenario);
/* A node on an empty directory of its own, that knows the definitions; `arguments` may be NULL. */
int bench_start_node(const struct bench *bench, enum worker_kind kind, const char *const *arguments,
                     struct node **ret_node, struct error *error);
/* Stops it, and removes what it had written; NULL is fine. */
void bench_end_node(const struct bench *bench, struct node *node);
/* The same for a cluster. */
int bench_start_group(const struct bench *bench, struct node *ret_nodes[NODE_GROUP], struct error *error);
void bench_end_group(const struct bench *bench, struct node *nodes[NODE_GROUP]);
char *bench_node_directory(const struct bench *bench); /* of these nodes, one at a time; to be freed */
/* What is being done, for who waits (stderr). */
void bench_say(const struct bench *bench, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What a sync of 1 KiB takes just now: the median of as many as `duration` has room for. */
int bench_sync_us(const struct bench *bench, msec duration, double *ret_median_us, struct error *error);

/* The groups of scenarios. A negative return ends the run: the node or the machine did not do its part. */
int bench_machine(struct bench *bench, struct error *error);
int bench_workflows(struct bench *bench, struct error *error);
int bench_starts(struct bench *bench, struct error *error);
int bench_puts(struct bench *bench, struct error *error);
int bench_idle(struct bench *bench, struct error *error);
void bench_targets(struct bench *bench);

#endif
