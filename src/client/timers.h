/* What is due when: a heap of timers that belong to others. */
#ifndef CLUSTERD_CLIENT_TIMERS_H
#define CLUSTERD_CLIENT_TIMERS_H

#include "base/time.h"

#include <stddef.h>

typedef void timer_call(void *context);

/* By the owner, zeroed but for these two. Must be unset before it goes. */
struct timer {
	timer_call *call;
	void *context;
	msec at;
	size_t place; /* in the heap, from 1; 0: not set */
};

struct timers {
	struct timer **heap;
	size_t count;
	size_t capacity;
};

void timers_finish(struct timers *timers);
void timers_set(struct timers *timers, struct timer *timer, msec at); /* MSEC_NEVER: unset */
msec timers_next(const struct timers *timers);                        /* MSEC_NEVER: none is set */
/* The earliest one, unset now; NULL: none is due. */
struct timer *timers_take_due(struct timers *timers, msec now);

#endif
