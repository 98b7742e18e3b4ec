/* The load: one connection and one session that keep a number of workflows in flight, each begun when another has
 * ended. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "base/error.h"
#include "base/slice.h"
#include "base/time.h"
#include "node.h"
#include "status.h"

struct load_plan {
	struct node *node;
	const char *workflow;
	struct slice args;
	uint32_t in_flight;
	bool detached;        /* a start is done when it is accepted, not when the workflow has finished */
	/* By time: nothing of the warm-up counts; measuring goes on past `duration`, up to `patience`, until as many
	 * have finished as are in flight. */
	msec warm_up;
	msec duration;
	msec patience;
	/* Or by count: ends when so many have been answered, or when the node's log is so long; 0: does not matter. */
	uint64_t count;
	uint64_t until_index;
	/* Measuring begins, and ends; may be NULL. */
	void (*mark)(void *context, bool end);
	void *context;
};

struct load_report {
	uint64_t finished;
	uint64_t failed;
	uint64_t busy;      /* times that the node asked to come back later */
	double seconds;
	double p50_us;
	double p99_us;
	double own_cpu_us;  /* of this process */
	struct status before;
	struct status after;
};

/* ERR_CLOSED: the node went away. A workflow that fails is ERR_CONFLICT, with its reason. */
int load_run(const struct load_plan *plan, struct load_report *ret_report, struct error *error);

#endif
