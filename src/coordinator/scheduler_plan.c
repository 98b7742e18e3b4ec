/* What would be decided: it is decided, and undone; and what never could be. */
#include "coordinator/scheduler_parts.h"

#include "base/memory.h"

#include <assert.h>

#define PLANNED_JOB UINT64_MAX /* no job has this id */

/* In the opposite order, so that each node looks for ports where it did before. */
static void undo(struct scheduler *scheduler, const uint32_t *slots, size_t count)
{
	while (count-- > 0) {
		const struct allocation *allocation = &scheduler->allocations[slots[count]];
		scheduler->nodes[allocation->node]->port_next = allocation->port_next_before;
		if (allocation->eviction != NULL)
			eviction_undo(scheduler, slots[count]);
		placement_unmake(scheduler, slots[count]);
	}
}

/* What comes next, at the end of the outbox. */
static bool decide(struct scheduler *scheduler, struct job *job)
{
	uint64_t missing;
	uint32_t notice;
	if (!job_wants(job) || !place_job(scheduler, job, &notice, &missing))
		return false;
	if (notice != NO_SLOT)
		outbox_add(scheduler, notice);
	return true;
}

size_t scheduler_plan(struct scheduler *scheduler, const struct job_settings *settings, uint32_t tasks,
                      struct scheduler_placement *ret_placements, size_t count, struct buffer *ret_why)
{
	struct random random = scheduler->random;
	uint64_t placements = scheduler->placements;
	size_t written = 0, begin = scheduler->outbox_count;
	struct job *job = job_open(scheduler, PLANNED_JOB);
	job_take_settings(scheduler, job, settings);
	if (!job_is_system(job))
		tasks_add(scheduler, job, 0, tasks);
	job->whole = tasks;
	while (scheduler->outbox_count - begin < count && decide(scheduler, job))
		;
	for (size_t i = begin; i < scheduler->outbox_count && written < count; i++) {
		const struct eviction *eviction = scheduler->allocations[scheduler->outbox[i]].eviction;
		placement_tell(scheduler, scheduler->outbox[i], &ret_placements[written]);
		ret_placements[written++].victim_count = eviction != NULL ? eviction->victim_count : 0;
	}
	if (ret_why != NULL)
		scheduler_explain(scheduler, PLANNED_JOB, ret_why);
	undo(scheduler, scheduler->outbox + begin, scheduler->outbox_count - begin);
	scheduler->outbox_count = begin;
	scheduler->random = random;
	scheduler->placements = placements;
	job_close(scheduler, job);
	job_let_go(scheduler, job);
	return written;
}

static uint32_t nodes_that_suit(const struct scheduler *scheduler, const struct shape *shape)
{
	const struct request *request = &shape->key.request;
	uint32_t count = 0, end = scheduler->slot_count;
	const uint64_t *bits = shape->class->bits;
	for (uint32_t slot = bits_next(bits, 0, end); slot < end; slot = bits_next(bits, slot + 1, end)) {
		const struct node *node = scheduler->nodes[slot];
		count += node->cpu >= request->cpu && node->memory >= request->memory;
	}
	return count;
}

static bool is_known(const struct scheduler *scheduler, struct slice name)
{
	for (uint32_t slot = 0; slot < scheduler->slot_count; slot++) {
		const struct node *node = scheduler->nodes[slot];
		if (node != NULL && node->known && node_is_named(node, name))
			return true;
	}
	return false;
}

int scheduler_check(struct scheduler *scheduler, const struct job_settings *settings, uint32_t tasks,
                    struct error *error)
{
	if (settings->type == JOB_SYSTEM)
		return 0;
	for (uint32_t i = 0; settings->placement == JOB_PINNED && i < settings->node_count; i++) {
		if (!is_known(scheduler, settings->nodes[i]))
			return error_set(error, ERR_NOT_FOUND,
			                 "task %u is to run on \"%.*s\", which is not a node of this cluster", i,
			                 SLICE_ARGS(settings->nodes[i]));
	}
	if (settings->placement != JOB_RANDOM)
		return 0;
	struct shape *shape = shape_hold(scheduler, settings);
	uint32_t suit = nodes_that_suit(scheduler, shape);
	shape_release(scheduler, shape);
	if (tasks <= suit)
		return 0;
	return error_set(error, ERR_CONFLICT,
	                 "%u tasks are to run on as many different nodes, but only %u of the %u nodes of this cluster "
	                 "suit them: ask "
	                 "for fewer tasks, or add nodes",
	                 tasks, suit, scheduler->known_nodes);
}
