/* One trial: a program is generated, registered, evaluated, and run several times; all must agree. */
#ifndef CLUSTERD_TESTS_PROPERTY_TRIAL_H
#define CLUSTERD_TESTS_PROPERTY_TRIAL_H

#include "choices.h"
#include "generate.h"

enum verdict {
	VERDICT_FINE,
	VERDICT_TOO_LARGE, /* the evaluation passed its limits: nothing was run */
	VERDICT_WRONG,
};

struct trial {
	struct generated program;
	struct buffer failure; /* what is wrong */
	uint32_t calls;        /* of all runs */
	uint32_t steps;
};

/* `seed` orders the results; the program is drawn from `choices`. To be finished whatever comes of it. */
enum verdict trial_run(struct trial *trial, struct choices *choices, uint64_t seed);
void trial_finish(struct trial *trial);

#endif
