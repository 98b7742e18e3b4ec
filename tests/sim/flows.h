/* The workflows that the simulator runs, the pure functions that their processes are, and what must come of each. */
#ifndef CLUSTERD_SIM_FLOWS_H
#define CLUSTERD_SIM_FLOWS_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stdint.h>

enum flow {
	FLOW_PAIR,
	FLOW_CHOICE,
	FLOW_LOOP,
	FLOW_EACH,
	FLOW_SLOWLY,  /* an each of sleeps: as many at once as the setting says */
	FLOW_SLEEP,
	FLOW_SIGNAL,
	FLOW_LETTERS, /* two signals of one key, awaited at once */
	FLOW_TURNS,   /* one after the other */
	FLOW_NESTED,
	FLOW_BRITTLE, /* its call fails for good now and then, another one beside it running */
	FLOW_VERSIONED, /* each version doubles a different number of times */
	FLOW_COUNT
};

const char *flow_name(enum flow flow);
uint32_t flow_signal_count(enum flow flow);
const char *flow_signal_name(enum flow flow);
void flow_signal_value(enum flow flow, uint64_t x, uint32_t number, struct buffer *out); /* number: 0, 1, … */

const char *flows_source(void);
void flows_versioned_source(uint32_t depth, struct buffer *out);
uint32_t flows_depth(struct slice source); /* of a version, from its source */

/* The result of a workflow started with {"x":x}. */
void flow_expected(enum flow flow, uint64_t x, uint32_t depth, struct buffer *out);
/* What a process returns for its arguments; false: there is no such process. */
bool flows_compute(struct slice process, struct slice args, struct buffer *out);

#endif
