/* Nodes and jobs for tests of the scheduler, and what it decides, confirmed as the state machine would. */
#ifndef SCHEDULER_FIXTURE_H
#define SCHEDULER_FIXTURE_H

#include "coordinator/scheduler.h"

#include "base/memory.h"

#define MIB (UINT64_C(1) << 20)

struct fixture {
	struct scheduler *scheduler;
	msec now;
	uint64_t last_allocation; /* ids are given from 1 on */
	struct job_settings *owned[64];
	size_t owned_count;
};

int scheduler_setup(void **state);
int scheduler_teardown(void **state);

/* A node "n<id>" with 4 processors, 1 GiB, and ports from 20000 to 20099, up and eligible. */
struct scheduler_node node_like(uint64_t id);
void node_add(struct fixture *fixture, uint64_t id);
/* Settings with all defaults of a batch job, kept until the end of the test. */
struct job_settings *settings_make(struct fixture *fixture, enum job_type type, enum job_placement placement,
                                   uint32_t count);
void job_add(struct fixture *fixture, uint64_t job, const struct job_settings *settings);

/* The next placement, which must be one; confirmed. Returns its allocation. */
uint64_t place(struct fixture *fixture, const struct job_settings *settings, struct scheduler_placement *ret_placement);
void confirm(struct fixture *fixture, const struct job_settings *settings, const struct scheduler_placement *placement);
bool nothing_next(struct fixture *fixture);
/* Places and confirms all that there is to be placed, and counts by node: ids are small. Returns how many there were. */
uint32_t place_all(struct fixture *fixture, const struct job_settings *settings, uint32_t *counts, size_t nodes);
void nodes_add(struct fixture *fixture, uint64_t count); /* with the ids from 1 on */

#endif
