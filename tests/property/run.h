/* Runs an instance with results in a random order and in random groups, next to a twin that takes the same steps, and says
 * what is wrong with it. */
#ifndef CLUSTERD_TESTS_PROPERTY_RUN_H
#define CLUSTERD_TESTS_PROPERTY_RUN_H

#include "base/random.h"
#include "call_log.h"
#include "workflow/instance.h"
#include "world.h"

struct run {
	const struct world *world;
	const struct definition *workflow;
	struct text *args;
	struct random random; /* orders the results */
	bool untidy;          /* results are written as a careless program writes them */
	uint32_t each_window; /* 0: the default */
	struct call_log log;
	struct text *result; /* NULL: it did not get there */
	uint32_t steps;
	uint32_t calls;
	struct buffer *failure; /* a line for each thing that is wrong */
};

/* False: see ->failure. */
bool run_instance(struct run *run);
void run_finish(struct run *run);

#endif
