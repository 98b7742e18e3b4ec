/* Jobs that have one task on each node. Tasks have numbers as those of other jobs: each node has one for as long as it is known. */
#include "coordinator/scheduler_parts.h"

#include "base/memory.h"

#include <assert.h>

static void homes_grow(struct job *job, size_t count)
{
	if (count <= job->home_count)
		return;
	mem_grow(job->homes, job->home_capacity, count);
	for (size_t i = job->home_count; i < count; i++)
		job->homes[i] = (struct home){0, false, 0};
	job->homes_free += count - job->home_count;
	job->home_count = count;
}

void system_assign(struct job *job, uint32_t task, uint64_t node)
{
	uint32_t old = table_get(&job->numbers, node, NO_SLOT);
	if (old == task || task >= JOB_COUNT_MAX)
		return;
	if (old != NO_SLOT)
		system_forget(job, node);
	homes_grow(job, (size_t)task + 1);
	struct home *home = &job->homes[task];
	if (home->assigned)
		table_remove(&job->numbers, home->node);
	else
		job->homes_free--;
	home->assigned = true;
	home->node = node;
	table_put(&job->numbers, node, task);
}

uint32_t system_number(struct job *job, uint64_t node)
{
	uint32_t number = table_get(&job->numbers, node, NO_SLOT);
	if (number != NO_SLOT)
		return number;
	number = (uint32_t)job->home_count;
	if (job->homes_free > 0) {
		for (number = 0; job->homes[number].assigned;)
			number++;
	}
	system_assign(job, number, node);
	return number;
}

void system_forget(struct job *job, uint64_t node)
{
	uint32_t number = table_get(&job->numbers, node, NO_SLOT);
	if (number == NO_SLOT)
		return;
	table_remove(&job->numbers, node);
	job->homes[number] = (struct home){0, false, 0};
	job->homes_free++;
}

void systems_forget(struct scheduler *scheduler, uint32_t node)
{
	struct job *job;
	LIST_FOREACH (job, &scheduler->systems, system) {
		if (tally(scheduler, job, node) == 0)
			system_forget(job, scheduler->nodes[node]->id);
	}
}

void system_finish(struct job *job)
{
	mem_free(job->homes);
	table_finish(&job->numbers);
	job->homes = NULL;
	job->home_count = job->home_capacity = job->homes_free = 0;
}

void system_wait(struct scheduler *scheduler, struct job *job, uint32_t task, msec not_before)
{
	if (task >= JOB_COUNT_MAX)
		return;
	homes_grow(job, (size_t)task + 1);
	job->homes[task].not_before = not_before;
	if (not_before != MSEC_NEVER)
		task_delay(scheduler, job, task, not_before);
}

static const struct home *home_of(const struct job *job, uint64_t node)
{
	uint32_t number = table_get(&job->numbers, node, NO_SLOT);
	if (number != NO_SLOT)
		return &job->homes[number];
	/* The one that system_number would give it. */
	for (size_t i = 0; job->homes_free > 0 && i < job->home_count; i++) {
		if (!job->homes[i].assigned)
			return &job->homes[i];
	}
	return NULL;
}

bool system_lacks(const struct scheduler *scheduler, const struct job *job, uint32_t node)
{
	if (tally(scheduler, job, node) > 0)
		return false;
	const struct home *home = home_of(job, scheduler->nodes[node]->id);
	return home == NULL || home->not_before <= scheduler->now;
}

uint32_t system_waiting(const struct scheduler *scheduler, const struct job *job)
{
	uint32_t waiting = 0, end = scheduler->slot_count;
	const uint64_t *bits = job->shape->class->bits;
	for (uint32_t slot = bits_next(bits, 0, end); slot < end; slot = bits_next(bits, slot + 1, end)) {
		const struct node *node = scheduler->nodes[slot];
		uint32_t number = table_get(&job->numbers, node->id, NO_SLOT);
		bool barred = number != NO_SLOT && job->homes[number].not_before == MSEC_NEVER;
		waiting += node_is_usable(node) && !barred && tally(scheduler, job, slot) == 0;
	}
	return waiting;
}
