#include "client/timers.h"

#include "base/memory.h"

void timers_finish(struct timers *timers)
{
	mem_free(timers->heap);
	*timers = (struct timers){0};
}

/* Places are counted from 1: the parent of n is n / 2. */
static void put(struct timers *timers, size_t place, struct timer *timer)
{
	timers->heap[place - 1] = timer;
	timer->place = place;
}

static void rise(struct timers *timers, struct timer *timer)
{
	size_t place = timer->place;
	while (place > 1 && timers->heap[place / 2 - 1]->at > timer->at) {
		put(timers, place, timers->heap[place / 2 - 1]);
		place /= 2;
	}
	put(timers, place, timer);
}

static void sink(struct timers *timers, struct timer *timer)
{
	size_t place = timer->place;
	for (;;) {
		size_t child = 2 * place;
		if (child > timers->count)
			break;
		if (child < timers->count && timers->heap[child]->at < timers->heap[child - 1]->at)
			child++;
		if (timers->heap[child - 1]->at >= timer->at)
			break;
		put(timers, place, timers->heap[child - 1]);
		place = child;
	}
	put(timers, place, timer);
}

static void unset(struct timers *timers, struct timer *timer)
{
	size_t place = timer->place;
	struct timer *last = timers->heap[--timers->count];
	timer->place = 0;
	if (last == timer)
		return;
	put(timers, place, last);
	rise(timers, last);
	sink(timers, last);
}

void timers_set(struct timers *timers, struct timer *timer, msec at)
{
	if (timer->place != 0)
		unset(timers, timer);
	if (at == MSEC_NEVER)
		return;
	timer->at = at;
	mem_grow(timers->heap, timers->capacity, timers->count + 1);
	put(timers, ++timers->count, timer);
	rise(timers, timer);
}

msec timers_next(const struct timers *timers)
{
	return timers->count != 0 ? timers->heap[0]->at : MSEC_NEVER;
}

struct timer *timers_take_due(struct timers *timers, msec now)
{
	struct timer *first = timers->count != 0 ? timers->heap[0] : NULL;
	if (first == NULL || first->at > now)
		return NULL;
	unset(timers, first);
	return first;
}
