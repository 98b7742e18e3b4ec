/* What would be decided: it is decided, and undone. */
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
                      struct scheduler_placement *ret_placements, size_t count)
{
	struct random random = scheduler->random;
	uint64_t placements = scheduler->placements;
	size_t written = 0, begin = scheduler->outbox_count;
	struct job *job = job_open(scheduler, PLANNED_JOB);
	job_take_settings(scheduler, job, settings);
	if (!job_is_system(job))
		tasks_add(scheduler, job, 0, tasks);
	while (scheduler->outbox_count - begin < count && decide(scheduler, job))
		;
	for (size_t i = begin; i < scheduler->outbox_count && written < count; i++) {
		const struct eviction *eviction = scheduler->allocations[scheduler->outbox[i]].eviction;
		placement_tell(scheduler, scheduler->outbox[i], &ret_placements[written]);
		ret_placements[written++].victim_count = eviction != NULL ? eviction->victim_count : 0;
	}
	undo(scheduler, scheduler->outbox + begin, scheduler->outbox_count - begin);
	scheduler->outbox_count = begin;
	scheduler->random = random;
	scheduler->placements = placements;
	job_close(scheduler, job);
	job_let_go(scheduler, job);
	return written;
}
