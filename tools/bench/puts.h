/* The load of keys: connections with one put in flight each, of random keys. A connection that is lost is made again, at the next
 * address, and its put is asked again with the same session and sequence. */
#ifndef BENCH_PUTS_H
#define BENCH_PUTS_H

#include "base/error.h"
#include "base/time.h"

#include <stddef.h>
#include <stdint.h>

#define PUTS_KEY_SIZE 32

struct puts_plan {
	const char *const *addresses; /* connection i begins at address i modulo their number */
	size_t address_count;
	uint32_t connections;
	uint64_t keys;       /* how many different ones */
	uint32_t value_size;
	msec warm_up;        /* nothing of it counts */
	msec duration;
	/* Measuring begins, and ends. */
	void (*mark)(void *context, bool end);
	void *context;
};

struct puts_report {
	uint64_t finished;
	uint64_t busy;      /* answers that said to come back later, or that another node leads */
	uint64_t lost;      /* connections */
	double seconds;
	double p50_us;
	double p99_us;
	double max_us;
	double gap_us;      /* the longest time in which no put was answered */
	double own_cpu_us;  /* of this process */
};

int puts_run(const struct puts_plan *plan, struct puts_report *ret_report, struct error *error);

#endif
