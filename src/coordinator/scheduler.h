/* The scheduler: which node runs which task of which job. Pure; the leader's soft state, filled anew from the catalog by each leader.
 *
 * It knows nodes (what they have), jobs (what their tasks ask for, and how many wait), and allocations (what is taken). What it
 * decides is only proposed: the state machine checks it once more against what is written down (two decisions may cross), so that
 * ports and resources are never given twice.
 *
 * Feasible is a node that is eligible and up, has the tags, is in the data centre, is among the job's nodes, and has cpu, memory and
 * ports left. Among feasible ones the best score counts:
 *   PACK    the part of cpu and memory that is in use afterwards, the higher the better (best fit, as Borg and Nomad pack)
 *   SPREAD  the fewest allocations of the job, then the lower part in use
 *   RANDOM  one that has none of the job, drawn evenly
 * A job that has many tasks does not look at all nodes for each: it looks at a sample of feasible ones (power of two choices and
 * more; Sparrow, Nomad's limit), which is what makes 5,000 nodes cheap. A job for which few nodes are feasible finds them
 * nevertheless: a full look before it is said that nothing fits.
 *
 * Jobs wait in the order of their priority; among those of one priority the one with the smallest dominant share of the cluster
 * (Ghodsi et al., Dominant Resource Fairness, §4) comes next, by tasks where nobody asks for resources. One for which nothing fits
 * does not hold up others, and is looked at again when something that matters to it has changed.
 *
 * Preemption: a task of priority p that fits nowhere may put out allocations of priority ≤ p − 10, the fewest and lowest, on one node;
 * never of a system job: of the nodes those where the highest victim is the lowest, of them the one with the fewest. The victims are
 * told first; the place is kept for the task until they are gone. Groups and RANDOM put nobody out, and nobody goes for the sake of free
 * port numbers. */
#ifndef CLUSTERD_COORDINATOR_SCHEDULER_H
#define CLUSTERD_COORDINATOR_SCHEDULER_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/random.h"
#include "base/slice.h"
#include "workflow/job.h"

struct scheduler;

struct scheduler_node {
	uint64_t id;
	struct slice name;
	struct slice host; /* of its address, without the port */
	struct slice datacenter;
	const struct slice *tags;
	size_t tag_count;
	uint32_t cpu;                 /* thousandths of a processor */
	uint64_t memory;              /* bytes */
	uint16_t port_low, port_high; /* the range of free ports, both included; 0: none */
	bool eligible;                /* `node eligibility`, and not draining */
	bool up;
};

/* `seed` for what is drawn. */
struct scheduler *scheduler_create(uint64_t seed);
void scheduler_destroy(struct scheduler *scheduler);

/* Makes it known, or replaces what is known of it; everything is copied. Allocations on it stay. */
void scheduler_node_set(struct scheduler *scheduler, const struct scheduler_node *node);
void scheduler_node_remove(struct scheduler *scheduler, uint64_t id); /* its allocations must have been released */

/* Tasks `from` to `to` − 1 of the job wait, in addition to those that wait already. `settings` is borrowed until scheduler_job_remove.
 * Replacements of lost tasks wait with scheduler_task_waits. `not_before`: a task in backoff is not looked at earlier. A system job
 * waits for every feasible node by itself; its tasks are numbers that nodes have for as long as they are known. After one was
 * released its node is without it until `not_before`; MSEC_NEVER: for good. What is placed as a group waits as a whole, too: it is
 * looked at when as many tasks wait and are due as the last `to` says, or `count` when there was none. */
void scheduler_job_add(struct scheduler *scheduler, uint64_t job, const struct job_settings *settings, uint32_t from,
                       uint32_t to);
void scheduler_task_waits(struct scheduler *scheduler, uint64_t job, uint32_t task, msec not_before);
/* Nothing of it waits any more, and placements that are not confirmed are taken back: one that is written down nevertheless comes with
 * scheduler_allocated. Its allocations stay until they are released. */
void scheduler_job_remove(struct scheduler *scheduler, uint64_t job);

/* An allocation that is written down: counts against its node, whatever is left of it, also where the node is not known. Its task no
 * longer waits: a new leader tells allocations first, then what waits. `ports`: as many as the job has. Known ones are ignored. */
struct scheduler_allocation {
	uint64_t id;
	uint64_t job;
	uint32_t task;
	uint64_t node;
	const uint16_t *ports;
};
void scheduler_allocated(struct scheduler *scheduler, const struct scheduler_allocation *allocation,
                         const struct job_settings *settings);
/* It has ended and everything of it is gone. */
void scheduler_released(struct scheduler *scheduler, uint64_t allocation);

/* The next decision; false: none now. A placement counts against its node at once, until it is confirmed by scheduler_allocated with
 * the same job and task, or taken back by scheduler_refused (the state machine did not take it; the task waits again). */
struct scheduler_placement {
	uint64_t job;
	uint32_t task;
	uint64_t node;
	uint16_t ports[JOB_PORTS_MAX];
	const uint64_t
		*victims;    /* allocations to be stopped first: the placement itself comes once they were released */
	size_t victim_count; /* 0: place it now */
};
bool scheduler_next(struct scheduler *scheduler, msec now, struct scheduler_placement *ret_placement);
void scheduler_refused(struct scheduler *scheduler, uint64_t job, uint32_t task);
/* A group is placed whole or not at all: its tasks come one after another from scheduler_next, never a part of them. */

/* When scheduler_next may have something, if nothing else happens; 0: now; MSEC_NEVER. */
msec scheduler_deadline(const struct scheduler *scheduler);
uint32_t scheduler_waiting(const struct scheduler *scheduler, uint64_t job); /* 0: all jobs together */

/* Why nothing of the job is placed, for a person: how many nodes are left out by what, one line for each reason, the most frequent
 * first ("3 of 5 nodes: memory: 512 MiB asked, at most 200 MiB free"); what would help. Appended as plain text; empty when nothing of
 * it waits. */
void scheduler_explain(const struct scheduler *scheduler, uint64_t job, struct buffer *out);

/* Whether the job could be placed at all on the nodes that are known, however little they have left now: 0; ERR_CONFLICT when RANDOM
 * asks for more different nodes than suit it, ERR_NOT_FOUND when PINNED names one that is none. Nodes that are down or not eligible
 * count: they may come back. To be asked before a job is begun, by a leader that knows the nodes. */
int scheduler_check(struct scheduler *scheduler, const struct job_settings *settings, uint32_t tasks,
                    struct error *error);

/* Where `job plan` says that tasks would run: what scheduler_next would decide if the job were added now, with nothing changed that
 * could be seen; those that wait already keep waiting. At most `count` are written, and their number returned; the rest finds no
 * place, and why is appended to `ret_why` (NULL: it is not asked). Ports are those that would be given. Where others would have to go
 * first, `victim_count` says how many, and `victims` is NULL. */
size_t scheduler_plan(struct scheduler *scheduler, const struct job_settings *settings, uint32_t tasks,
                      struct scheduler_placement *ret_placements, size_t count, struct buffer *ret_why);

#endif
