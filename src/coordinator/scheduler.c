#include "coordinator/scheduler_parts.h"

#include "base/memory.h"

#include <assert.h>

struct scheduler *scheduler_create(uint64_t seed)
{
	struct scheduler *scheduler = mem_zero(sizeof *scheduler);
	scheduler->random.state = seed;
	scheduler->free_allocation = NO_SLOT;
	LIST_INIT(&scheduler->systems);
	TAILQ_INIT(&scheduler->evictions);
	queue_init(scheduler);
	delays_init(scheduler);
	return scheduler;
}

/* --- jobs ----------------------------------------------------------------------------------------------------------- */

struct job *scheduler_job_find(const struct scheduler *scheduler, uint64_t id)
{
	uint32_t slot = table_get(&scheduler->job_slots, id, NO_SLOT);
	return slot != NO_SLOT ? scheduler->jobs[slot] : NULL;
}

struct job *job_open(struct scheduler *scheduler, uint64_t id)
{
	struct job *job = scheduler_job_find(scheduler, id);
	if (job != NULL)
		return job;
	job = mem_zero(sizeof *job);
	job->id = id;
	job->heap_index = job->delay_index = HEAP_OUT;
	if (scheduler->free_job_count > 0) {
		job->slot = scheduler->free_jobs[--scheduler->free_job_count];
	} else {
		mem_grow(scheduler->jobs, scheduler->job_capacity, scheduler->job_count + 1);
		job->slot = scheduler->job_count++;
	}
	scheduler->jobs[job->slot] = job;
	table_put(&scheduler->job_slots, id, job->slot);
	return job;
}

void job_close(struct scheduler *scheduler, struct job *job)
{
	queue_leave(scheduler, job);
	tasks_clear(scheduler, job);
	if (job_is_system(job))
		LIST_REMOVE(job, system);
	if (job->shape != NULL)
		shape_release(scheduler, job->shape);
	mem_free(job->pins);
	job->pins = NULL;
	job->shape = NULL;
	job->settings = NULL;
	job->refused = 0;
}

void job_let_go(struct scheduler *scheduler, struct job *job)
{
	if (job->settings != NULL || job->live > 0)
		return;
	assert(job->heap_index == HEAP_OUT && job->delay_index == HEAP_OUT);
	table_remove(&scheduler->job_slots, job->id);
	scheduler->jobs[job->slot] = NULL;
	mem_grow(scheduler->free_jobs, scheduler->free_job_capacity, scheduler->free_job_count + 1);
	scheduler->free_jobs[scheduler->free_job_count++] = job->slot;
	system_finish(job);
	mem_free(job);
}

void job_take_settings(struct scheduler *scheduler, struct job *job, const struct job_settings *settings)
{
	assert(settings->priority <= JOB_PRIORITY_MAX);
	struct shape *shape = shape_hold(scheduler, settings);
	queue_leave(scheduler, job);
	if (job->settings != NULL && (job->settings->type == JOB_SYSTEM) != (settings->type == JOB_SYSTEM))
		tasks_clear(scheduler, job);
	if (job_is_system(job))
		LIST_REMOVE(job, system);
	if (job->shape != NULL)
		shape_release(scheduler, job->shape);
	mem_free(job->pins);
	job->pins = NULL;
	job->settings = settings;
	job->shape = shape;
	job->priority = settings->priority;
	job->whole = settings->count;
	job->level = 0;
	job->cursor = scheduler->slot_count > 0 ? (uint32_t)random_below(&scheduler->random, scheduler->slot_count) : 0;
	if (job_is_system(job))
		LIST_INSERT_HEAD(&scheduler->systems, job, system);
	job_update_share(scheduler, job);
}

void scheduler_job_add(struct scheduler *scheduler, uint64_t id, const struct job_settings *settings, uint32_t from,
                       uint32_t to)
{
	struct job *job = job_open(scheduler, id);
	if (job->settings != settings)
		job_take_settings(scheduler, job, settings);
	if (to > 0)
		job->whole = to;
	if (!job_is_system(job))
		tasks_add(scheduler, job, from, to);
	queue_update(scheduler, job);
	queue_wake(scheduler, job);
}

void scheduler_task_waits(struct scheduler *scheduler, uint64_t id, uint32_t task, msec not_before)
{
	struct job *job = scheduler_job_find(scheduler, id);
	if (job == NULL || job->settings == NULL)
		return;
	uint32_t placed = table_get(&scheduler->singles, pair_key(job->slot, task), NO_SLOT);
	if (placed != NO_SLOT && placed != SINGLE_DELAYED)
		placement_take_back(scheduler, placed);
	if (job_is_system(job)) {
		system_wait(scheduler, job, task, not_before);
		return;
	}
	tasks_remove(scheduler, job, task);
	task_delay(scheduler, job, task, not_before);
	queue_update(scheduler, job);
}

void scheduler_job_remove(struct scheduler *scheduler, uint64_t id)
{
	struct job *job = scheduler_job_find(scheduler, id);
	if (job == NULL || job->settings == NULL)
		return;
	struct eviction *eviction;
	job_close(scheduler, job);
	job->live++; /* keeps it until the end */
	for (size_t i = scheduler->outbox_head; i < scheduler->outbox_count; i++) {
		uint32_t slot = scheduler->outbox[i];
		if (slot != NO_SLOT && scheduler->allocations[slot].job == job->slot)
			placement_take_back(scheduler, slot);
	}
	TAILQ_FOREACH (eviction, &scheduler->evictions, link) {
		if (eviction->placement_count > 0 && scheduler->allocations[eviction->placements[0]].job == job->slot)
			placement_take_back(scheduler, eviction->placements[0]);
	}
	for (uint32_t slot = 0; slot < scheduler->allocation_count && job->live > 1; slot++) {
		const struct allocation *allocation = &scheduler->allocations[slot];
		if (allocation->job == job->slot && allocation->id == 0)
			placement_take_back(scheduler, slot);
	}
	job->live--;
	job_let_go(scheduler, job);
}

void scheduler_destroy(struct scheduler *scheduler)
{
	if (scheduler == NULL)
		return;
	for (uint32_t i = 0; i < scheduler->job_count; i++) {
		struct job *job = scheduler->jobs[i];
		if (job == NULL)
			continue;
		job_close(scheduler, job);
		system_finish(job);
		mem_free(job);
	}
	mem_free(scheduler->jobs);
	mem_free(scheduler->free_jobs);
	table_finish(&scheduler->job_slots);
	queue_finish(scheduler);
	nodes_finish(scheduler);
	allocations_finish(scheduler);
	mem_free(scheduler);
}

/* --- decisions ------------------------------------------------------------------------------------------------------ */

void placement_tell(const struct scheduler *scheduler, uint32_t slot, struct scheduler_placement *ret_placement)
{
	const struct allocation *allocation = &scheduler->allocations[slot];
	memset(ret_placement, 0, sizeof *ret_placement);
	ret_placement->job = scheduler->jobs[allocation->job]->id;
	ret_placement->task = allocation->task;
	ret_placement->node = scheduler->nodes[allocation->node]->id;
	if (allocation->port_count > 0)
		memcpy(ret_placement->ports, allocation->ports, allocation->port_count * sizeof(uint16_t));
}

bool scheduler_next(struct scheduler *scheduler, msec now, struct scheduler_placement *ret_placement)
{
	scheduler->now = now;
	tasks_due(scheduler, now);
	if (scheduler->totals_changed)
		queue_reorder(scheduler);
	for (;;) {
		struct shape *shape;
		uint64_t missing;
		uint32_t slot = outbox_take(scheduler);
		if (slot != NO_SLOT) {
			placement_tell(scheduler, slot, ret_placement);
			return true;
		}
		shape = heap_top(&scheduler->queue);
		if (shape == NULL)
			return false;
		struct job *job = heap_top(&shape->jobs);
		if (place_job(scheduler, job, &slot, &missing)) {
			job->refused = 0;
			queue_update(scheduler, job);
			if (slot == NO_SLOT)
				continue;
			/* Room that was to come free there without it, and that others wait for, may not be enough now. */
			queue_node_preemptible(scheduler, scheduler->allocations[slot].node);
			placement_tell(scheduler, slot, ret_placement);
			ret_placement->victims = scheduler->victims;
			ret_placement->victim_count = scheduler->allocations[slot].eviction->victim_count;
			return true;
		} else {
			scheduler_queue_block(scheduler, shape, missing);
		}
	}
}

msec scheduler_deadline(const struct scheduler *scheduler)
{
	const struct job *job = heap_top(&scheduler->delays);
	if (scheduler->queue.size > 0 || scheduler->outbox_head < scheduler->outbox_count)
		return 0;
	return job != NULL ? job->delays[0].at : MSEC_NEVER;
}

uint32_t scheduler_waiting(const struct scheduler *scheduler, uint64_t id)
{
	uint64_t waiting = scheduler->waiting;
	const struct job *job = NULL;
	if (id != 0) {
		job = scheduler_job_find(scheduler, id);
		if (job == NULL || job->settings == NULL)
			return 0;
		if (job_is_system(job))
			return system_waiting(scheduler, job);
		return job->ready + (uint32_t)job->delay_count;
	}
	LIST_FOREACH (job, &scheduler->systems, system)
		waiting += system_waiting(scheduler, job);
	return waiting < UINT32_MAX ? (uint32_t)waiting : UINT32_MAX;
}
