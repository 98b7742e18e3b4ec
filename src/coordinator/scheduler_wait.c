/* What waits of a job: ranges of tasks that are due, and a heap of those in backoff. */
#include "coordinator/scheduler_parts.h"

#include "base/memory.h"

#include <assert.h>

/* --- ranges --------------------------------------------------------------------------------------------------------- */

/* The first range that ends behind the task, or at it. */
static size_t range_at(const struct job *job, uint32_t task)
{
	size_t low = 0, high = job->range_count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (job->ranges[middle].to < task)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool task_is_ready(const struct job *job, uint32_t task)
{
	size_t at = range_at(job, task + 1);
	return at < job->range_count && job->ranges[at].from <= task;
}

static void ranges_splice(struct job *job, size_t at, size_t removed, size_t added)
{
	mem_grow(job->ranges, job->range_capacity, job->range_count + added);
	memmove(&job->ranges[at + added], &job->ranges[at + removed],
	        (job->range_count - at - removed) * sizeof *job->ranges);
	job->range_count += added - removed;
}

static void count(struct scheduler *scheduler, struct job *job, int64_t change)
{
	job->ready += (uint32_t)change;
	scheduler->waiting += (uint64_t)change;
}

void tasks_add(struct scheduler *scheduler, struct job *job, uint32_t from, uint32_t to)
{
	if (from >= to)
		return;
	size_t at = range_at(job, from), end = at;
	uint32_t had = 0;
	struct range merged = {from, to};
	for (; end < job->range_count && job->ranges[end].from <= to; end++) {
		had += job->ranges[end].to - job->ranges[end].from;
		if (job->ranges[end].from < merged.from)
			merged.from = job->ranges[end].from;
		if (job->ranges[end].to > merged.to)
			merged.to = job->ranges[end].to;
	}
	ranges_splice(job, at, end - at, 1);
	job->ranges[at] = merged;
	count(scheduler, job, (int64_t)(merged.to - merged.from) - had);
}

static bool range_remove(struct scheduler *scheduler, struct job *job, uint32_t task)
{
	if (!task_is_ready(job, task))
		return false;
	size_t at = range_at(job, task + 1);
	struct range range = job->ranges[at];
	assert(range.from <= task && task < range.to);
	if (range.to - range.from == 1) {
		ranges_splice(job, at, 1, 0);
	} else if (task == range.from) {
		job->ranges[at].from++;
	} else if (task == range.to - 1) {
		job->ranges[at].to--;
	} else {
		ranges_splice(job, at, 0, 1);
		job->ranges[at] = (struct range){range.from, task};
		job->ranges[at + 1] = (struct range){task + 1, range.to};
	}
	count(scheduler, job, -1);
	return true;
}

/* --- delays --------------------------------------------------------------------------------------------------------- */

static bool delay_before(const void *left, const void *right)
{
	const struct job *one = left, *other = right;
	if (one->delays[0].at != other->delays[0].at)
		return one->delays[0].at < other->delays[0].at;
	return one->id < other->id;
}

static void delay_moved(void *item, size_t index)
{
	((struct job *)item)->delay_index = index;
}

void delays_init(struct scheduler *scheduler)
{
	scheduler->delays.before = delay_before;
	scheduler->delays.moved = delay_moved;
}

static bool is_earlier(struct delay left, struct delay right)
{
	return left.at != right.at ? left.at < right.at : left.task < right.task;
}

static void delay_up(struct job *job, size_t index)
{
	struct delay delay = job->delays[index];
	for (; index > 0 && is_earlier(delay, job->delays[(index - 1) / 2]); index = (index - 1) / 2)
		job->delays[index] = job->delays[(index - 1) / 2];
	job->delays[index] = delay;
}

static void delay_remove(struct job *job, size_t index)
{
	struct delay last = job->delays[--job->delay_count];
	if (index == job->delay_count)
		return;
	for (size_t child; (child = 2 * index + 1) < job->delay_count; index = child) {
		if (child + 1 < job->delay_count && is_earlier(job->delays[child + 1], job->delays[child]))
			child++;
		if (!is_earlier(job->delays[child], last))
			break;
		job->delays[index] = job->delays[child];
	}
	job->delays[index] = last;
	delay_up(job, index);
}

/* The job's place among those with tasks in backoff, after its first one may have changed. */
static void delays_update(struct scheduler *scheduler, struct job *job)
{
	if (job->delay_index != HEAP_OUT && job->delay_count > 0)
		heap_fix(&scheduler->delays, job->delay_index);
	else if (job->delay_index == HEAP_OUT && job->delay_count > 0)
		heap_insert(&scheduler->delays, job);
}

/* Before the last one goes: the heap looks at the first of each. */
static void delays_leave(struct scheduler *scheduler, struct job *job)
{
	if (job->delay_index != HEAP_OUT)
		heap_remove(&scheduler->delays, job->delay_index);
}

void task_delay(struct scheduler *scheduler, struct job *job, uint32_t task, msec at)
{
	mem_grow(job->delays, job->delay_capacity, job->delay_count + 1);
	job->delays[job->delay_count++] = (struct delay){at, task};
	delay_up(job, job->delay_count - 1);
	delays_update(scheduler, job);
	if (job_is_system(job))
		return;
	table_put(&scheduler->singles, pair_key(job->slot, task), SINGLE_DELAYED);
	scheduler->waiting++;
}

static void delay_drop(struct scheduler *scheduler, struct job *job, size_t index)
{
	if (job->delay_count == 1)
		delays_leave(scheduler, job);
	if (!job_is_system(job)) {
		table_remove(&scheduler->singles, pair_key(job->slot, job->delays[index].task));
		scheduler->waiting--;
	}
	delay_remove(job, index);
	delays_update(scheduler, job);
}

bool tasks_remove(struct scheduler *scheduler, struct job *job, uint32_t task)
{
	if (range_remove(scheduler, job, task))
		return true;
	if (table_get(&scheduler->singles, pair_key(job->slot, task), NO_SLOT) != SINGLE_DELAYED)
		return false;
	size_t index = 0;
	while (job->delays[index].task != task)
		index++;
	delay_drop(scheduler, job, index);
	return true;
}

void tasks_due(struct scheduler *scheduler, msec now)
{
	struct job *job;
	while ((job = heap_top(&scheduler->delays)) != NULL && job->delays[0].at <= now) {
		uint32_t task = job->delays[0].task;
		delay_drop(scheduler, job, 0);
		if (!job_is_system(job))
			tasks_add(scheduler, job, task, task + 1);
		queue_update(scheduler, job);
		queue_wake(scheduler, job);
	}
}

void tasks_clear(struct scheduler *scheduler, struct job *job)
{
	while (job->delay_count > 0)
		delay_drop(scheduler, job, job->delay_count - 1);
	count(scheduler, job, -(int64_t)job->ready);
	mem_free(job->ranges);
	mem_free(job->delays);
	job->ranges = NULL;
	job->delays = NULL;
	job->range_count = job->range_capacity = job->delay_count = job->delay_capacity = 0;
}
