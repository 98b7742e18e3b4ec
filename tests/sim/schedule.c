#include "sim/schedule.h"

#include "base/memory.h"

#include <stddef.h>

struct schedule {
	struct schedule_event *heap;
	size_t size;
	size_t capacity;
};

struct schedule *schedule_create(void)
{
	return mem_zero(sizeof(struct schedule));
}

void schedule_destroy(struct schedule *schedule)
{
	mem_free(schedule->heap);
	mem_free(schedule);
}

static bool before(const struct schedule_event *left, const struct schedule_event *right)
{
	return left->at != right->at ? left->at < right->at : left->order < right->order;
}

static void swap(struct schedule_event *left, struct schedule_event *right)
{
	struct schedule_event kept = *left;
	*left = *right;
	*right = kept;
}

void schedule_add(struct schedule *schedule, const struct schedule_event *event)
{
	size_t at = schedule->size++;
	mem_grow(schedule->heap, schedule->capacity, schedule->size);
	schedule->heap[at] = *event;
	for (; at > 0 && before(&schedule->heap[at], &schedule->heap[(at - 1) / 2]); at = (at - 1) / 2)
		swap(&schedule->heap[at], &schedule->heap[(at - 1) / 2]);
}

msec schedule_next(const struct schedule *schedule)
{
	return schedule->size > 0 ? schedule->heap[0].at : MSEC_NEVER;
}

bool schedule_take(struct schedule *schedule, msec now, struct schedule_event *ret_event)
{
	if (schedule_next(schedule) > now)
		return false;
	*ret_event = schedule->heap[0];
	schedule->heap[0] = schedule->heap[--schedule->size];
	for (size_t at = 0;;) {
		size_t child = 2 * at + 1;
		if (child >= schedule->size)
			break;
		if (child + 1 < schedule->size && before(&schedule->heap[child + 1], &schedule->heap[child]))
			child++;
		if (!before(&schedule->heap[child], &schedule->heap[at]))
			break;
		swap(&schedule->heap[child], &schedule->heap[at]);
		at = child;
	}
	return true;
}
