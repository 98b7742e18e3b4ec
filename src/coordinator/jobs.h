/* Jobs and their allocations, as the state machine has them. A job here is one run of a definition (DEFINITION_JOB); an allocation is
 * one attempt of one of its tasks on a node.
 *
 *   job         pending → running → completed | failed
 *               pending, running → stopping → stopped | failed
 *   allocation  placed → running → completed | failed | stopped | lost,      placed → failed | stopped | lost
 *
 * Which node a task gets, the leader's scheduler decides; COMMAND_PLACE is refused for each task where it does not fit what is written
 * down, so that resources and ports are never given twice (INVARIANTS, 79). A task is given to a node only while no other allocation of
 * it has not ended (INVARIANTS, 79a): the end is reported by its node, or the node was declared dead.
 *
 * A job costs what runs of it and what waits for another attempt, not what it has counted: tasks from `next_task` on were never placed. */
#ifndef CLUSTERD_COORDINATOR_JOBS_H
#define CLUSTERD_COORDINATOR_JOBS_H

#include "base/text.h"
#include "workflow/job.h"

#include <sys/queue.h>
#include <uthash.h>

struct machine;

enum job_state { JOB_PENDING, JOB_RUNNING, JOB_STOPPING, JOB_COMPLETED, JOB_FAILED, JOB_STOPPED };
extern const char *const job_state_names[];

enum allocation_phase {
	ALLOCATION_PLACED,
	ALLOCATION_RUNS,
	ALLOCATION_COMPLETED,
	ALLOCATION_FAILED,
	ALLOCATION_STOPPED,
	ALLOCATION_LOST,
};
extern const char *const allocation_phase_names[];

/* A task that was placed before and is to be placed again. Rows of job_task. */
struct job_task {
	uint32_t task;
	uint32_t attempts; /* begun so far */
	uint32_t failures; /* of those that count against `retries` */
	msec window_ms;    /* when the first of them was */
	msec due_ms;       /* not before */
	UT_hash_handle hh; /* by task, in its job */
};

struct node_use;

struct allocation {
	uint64_t id;
	struct job *job;
	const struct definition *definition; /* the version that it runs */
	uint32_t task;
	uint32_t attempt; /* from 1 on */
	uint32_t failures;
	msec window_ms;
	enum allocation_phase phase;
	bool healthy;    /* it runs, and what checks it says so; true where nothing does */
	bool checked;    /* there was an answer of a check */
	bool registered; /* of a group: it has said that it is there */
	bool stopping;   /* it was told to end: by an update, a drain, its group, to make room */
	uint64_t node;
	uint16_t ports[JOB_PORTS_MAX];
	msec placed_ms;
	msec started_ms; /* 0: not yet */
	bool dirty;
	struct allocation *next_dirty;
	struct node_use *use;
	struct { /* how it ended */
		bool known;
		int code;
		int signal;
		struct text *error;
		msec at;
	} exit;
	TAILQ_ENTRY(allocation) of_node;
	UT_hash_handle by_task; /* in its job */
	UT_hash_handle hh;      /* by id, in the machine; those that have not ended */
};
TAILQ_HEAD(allocation_list, allocation);

struct job {
	uint64_t id;
	uint64_t parent;                     /* the periodic job that it is a run of; 0: none */
	const struct definition *definition; /* the version that is to run */
	enum job_state state;
	struct text *args;  /* a JSON object; NULL: none */
	struct text *error; /* why it failed */
	uint32_t count;     /* tasks; system jobs: 0, it is one for each node */
	uint32_t next_task;
	uint32_t live;      /* allocations that have not ended */
	uint32_t completed; /* tasks */
	uint32_t failed;    /* allocations, from here on */
	uint32_t lost;
	msec submitted_ms;
	msec started_ms;
	struct job_task *waiting;
	struct allocation *allocations; /* by task; those that have not ended */
	msec finished_ms;
	bool dirty;
	struct job *next_dirty;
	UT_hash_handle hh;      /* by id; those that have not ended */
	UT_hash_handle by_name; /* services, system and periodic jobs: one of a name */
};

/* A node as it is written down, and what is taken of it. */
struct node_use {
	uint64_t id;
	char *name;
	char *host; /* of its address, without the port */
	bool alive;
	bool eligible;
	uint32_t cpu;    /* thousandths of a processor */
	uint64_t memory; /* bytes */
	uint16_t port_low, port_high;
	uint32_t cpu_taken;
	uint64_t memory_taken;
	unsigned char *ports; /* a bit for each of 65,536; NULL: none is taken */
	struct allocation_list allocations;
	UT_hash_handle hh;
};

const struct job *machine_job(const struct machine *machine, uint64_t id);
const struct job *machine_job_named(const struct machine *machine, struct slice name);
const struct allocation *machine_allocation(const struct machine *machine, uint64_t id);
/* All that have not ended, in the order of their ids; NULL at the end. */
const struct job *machine_jobs(const struct machine *machine);
const struct node_use *machine_node(const struct machine *machine, uint64_t id);
const struct node_use *machine_nodes(const struct machine *machine);

/* A run of a periodic job is a batch job. */
static inline enum job_type job_kind(const struct job *job)
{
	return job->parent != 0 ? JOB_BATCH : job->definition->job->type;
}

static inline bool job_is_over(enum job_state state)
{
	return state >= JOB_COMPLETED;
}

static inline bool allocation_is_over(enum allocation_phase phase)
{
	return phase >= ALLOCATION_COMPLETED;
}

/* Whether its node is to end it. */
static inline bool allocation_is_unwanted(const struct allocation *allocation)
{
	const struct job *job = allocation->job;
	return allocation->stopping || job->state == JOB_STOPPING ||
	       (job_kind(job) != JOB_SYSTEM && allocation->task >= job->count);
}

#endif
