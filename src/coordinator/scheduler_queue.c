/* Whose turn it is. Jobs that have tasks to place lie in the heap of their shape; shapes that may fit somewhere lie in the
 * scheduler's heap, by the first of their jobs. A shape that fits nowhere is blocked until a node gains what it needs. */
#include "coordinator/scheduler_parts.h"

#include "base/memory.h"

#include <assert.h>

static bool job_before(const void *left, const void *right)
{
	const struct job *one = left, *other = right;
	if (one->priority != other->priority)
		return one->priority > other->priority;
	if (one->share != other->share)
		return one->share < other->share;
	if (one->live != other->live)
		return one->live < other->live;
	return one->id < other->id;
}

static void job_moved(void *item, size_t index)
{
	((struct job *)item)->heap_index = index;
}

static bool shape_before(const void *left, const void *right)
{
	const struct shape *one = left, *other = right;
	return job_before(one->jobs.items[0], other->jobs.items[0]);
}

static void shape_moved(void *item, size_t index)
{
	((struct shape *)item)->queue_index = index;
}

void shape_init_heap(struct shape *shape)
{
	shape->jobs.before = job_before;
	shape->jobs.moved = job_moved;
}

void queue_init(struct scheduler *scheduler)
{
	scheduler->queue.before = shape_before;
	scheduler->queue.moved = shape_moved;
}

void queue_finish(struct scheduler *scheduler)
{
	heap_finish(&scheduler->queue);
	heap_finish(&scheduler->delays);
	mem_free(scheduler->blocked);
}

static void unblock(struct scheduler *scheduler, struct shape *shape)
{
	struct shape *last = scheduler->blocked[--scheduler->blocked_count];
	scheduler->blocked[shape->blocked_index] = last;
	last->blocked_index = shape->blocked_index;
	shape->blocked_index = HEAP_OUT;
}

/* In the scheduler's heap, at its place, when it has jobs and is not blocked. */
static void shape_settle(struct scheduler *scheduler, struct shape *shape)
{
	if (shape->queue_index != HEAP_OUT)
		heap_fix(&scheduler->queue, shape->queue_index);
	else if (shape->jobs.size > 0 && shape->blocked_index == HEAP_OUT)
		heap_insert(&scheduler->queue, shape);
}

/* Before its last job goes. */
static void shape_empties(struct scheduler *scheduler, struct shape *shape)
{
	if (shape->queue_index != HEAP_OUT)
		heap_remove(&scheduler->queue, shape->queue_index);
	if (shape->blocked_index != HEAP_OUT)
		unblock(scheduler, shape);
}

bool job_wants(const struct job *job)
{
	if (job->settings == NULL)
		return false;
	if (job_is_system(job))
		return true;
	if (job->settings->group)
		return job->ready > 0 && (job->ready == job->whole || job->ready == job->refused);
	return job->ready > 0;
}

void queue_update(struct scheduler *scheduler, struct job *job)
{
	struct shape *shape = job->shape;
	if (!job_wants(job)) {
		queue_leave(scheduler, job);
		return;
	}
	if (job->heap_index != HEAP_OUT)
		heap_fix(&shape->jobs, job->heap_index);
	else
		heap_insert(&shape->jobs, job);
	shape_settle(scheduler, shape);
}

void queue_leave(struct scheduler *scheduler, struct job *job)
{
	struct shape *shape = job->shape;
	if (job->heap_index == HEAP_OUT)
		return;
	if (shape->jobs.size == 1)
		shape_empties(scheduler, shape);
	heap_remove(&shape->jobs, job->heap_index);
	if (shape->jobs.size > 0)
		shape_settle(scheduler, shape);
}

void queue_wake(struct scheduler *scheduler, struct job *job)
{
	if (job->heap_index == HEAP_OUT || job->shape->blocked_index == HEAP_OUT)
		return;
	unblock(scheduler, job->shape);
	shape_settle(scheduler, job->shape);
}

void scheduler_queue_block(struct scheduler *scheduler, struct shape *shape, uint64_t missing)
{
	assert(shape->queue_index != HEAP_OUT && shape->blocked_index == HEAP_OUT);
	heap_remove(&scheduler->queue, shape->queue_index);
	mem_grow(scheduler->blocked, scheduler->blocked_capacity, scheduler->blocked_count + 1);
	shape->blocked_index = scheduler->blocked_count;
	scheduler->blocked[scheduler->blocked_count++] = shape;
	shape->missing = missing;
}

/* How many tasks of the shape the node may take that it could not take before; no fewer than it does. */
static uint64_t gain_of(const struct scheduler *scheduler, const struct shape *shape, uint32_t slot)
{
	const struct job *job = shape->jobs.items[0];
	if (!bit_get(shape->class->bits, slot))
		return 0;
	if (shape->own && job_is_system(job) && tally(scheduler, job, slot) > 0)
		return 0;
	bool whole = shape->own && job_is_whole(job);
	if (!node_fits(scheduler, &shape->key.request, slot))
		return !whole && preemption_could_help(scheduler, job, slot);
	if (!whole)
		return 1;
	if (job->settings->placement == JOB_RANDOM)
		return tally(scheduler, job, slot) == 0;
	return node_capacity(scheduler, &shape->key.request, slot);
}

void queue_node_gained(struct scheduler *scheduler, uint32_t slot)
{
	for (size_t i = scheduler->blocked_count; i-- > 0;) {
		struct shape *shape = scheduler->blocked[i];
		uint64_t gain = gain_of(scheduler, shape, slot);
		if (gain < shape->missing) {
			shape->missing -= gain;
			continue;
		}
		unblock(scheduler, shape);
		shape_settle(scheduler, shape);
	}
}

void queue_node_preemptible(struct scheduler *scheduler, uint32_t slot)
{
	for (size_t i = scheduler->blocked_count; i-- > 0;) {
		struct shape *shape = scheduler->blocked[i];
		const struct job *job = shape->jobs.items[0];
		if (!bit_get(shape->class->bits, slot) || job_is_whole(job) ||
		    !preemption_could_help(scheduler, job, slot))
			continue;
		unblock(scheduler, shape);
		shape_settle(scheduler, shape);
	}
}

static uint64_t part(int64_t used, int64_t all)
{
	__extension__ typedef unsigned __int128 wide;
	if (used <= 0)
		return 0;
	return all <= 0 ? UINT64_MAX : (uint64_t)(((wide)(uint64_t)used << 32) / (uint64_t)all);
}

void job_update_share(const struct scheduler *scheduler, struct job *job)
{
	uint64_t cpu = part(job->cpu, scheduler->cpu), memory = part(job->memory, scheduler->memory);
	job->share = cpu > memory ? cpu : memory;
}

void queue_reorder(struct scheduler *scheduler)
{
	scheduler->totals_changed = false;
	for (uint32_t i = 0; i < scheduler->job_count; i++) {
		if (scheduler->jobs[i] != NULL)
			job_update_share(scheduler, scheduler->jobs[i]);
	}
	for (uint32_t i = 0; i < scheduler->job_count; i++) {
		const struct job *job = scheduler->jobs[i];
		if (job != NULL && job->heap_index == 0)
			heap_order(&job->shape->jobs);
	}
	heap_order(&scheduler->queue);
}
