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
		placement_unmake(scheduler, slots[count]);
	}
}

size_t scheduler_plan(struct scheduler *scheduler, const struct job_settings *settings, uint32_t tasks,
                      struct scheduler_placement *ret_placements, size_t count)
{
	struct random random = scheduler->random;
	uint64_t placements = scheduler->placements, missing;
	size_t written = 0, begin = scheduler->outbox_count;
	struct job *job = job_open(scheduler, PLANNED_JOB);
	uint32_t notice;
	job_take_settings(scheduler, job, settings);
	if (!job_is_system(job))
		tasks_add(scheduler, job, 0, tasks);
	while (scheduler->outbox_count - begin < count && job_wants(job) &&
	       place_job(scheduler, job, &notice, &missing))
		;
	for (size_t i = begin; i < scheduler->outbox_count && written < count; i++)
		placement_tell(scheduler, scheduler->outbox[i], &ret_placements[written++]);
	undo(scheduler, scheduler->outbox + begin, scheduler->outbox_count - begin);
	scheduler->outbox_count = begin;
	scheduler->random = random;
	scheduler->placements = placements;
	job_close(scheduler, job);
	job_let_go(scheduler, job);
	return written;
}
