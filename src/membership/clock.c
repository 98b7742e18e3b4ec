#include "membership/clock.h"

#include "base/error.h"

#include <assert.h>

void clock_init(struct clock *clock, uint64_t last, msec drift_ms)
{
	assert(drift_ms >= 0);
	*clock = (struct clock){.last = last, .drift_ms = drift_ms != 0 ? drift_ms : CLOCK_DRIFT_MS};
}

/* A wall clock before 1970 is one that was never set. */
static uint64_t stamp_of(msec wall)
{
	return wall > 0 ? (uint64_t)wall << 16 : 0;
}

uint64_t clock_next(struct clock *clock, msec wall)
{
	uint64_t physical = stamp_of(wall);
	/* 2¹⁶ stamps in one millisecond count on into the next one. */
	clock->last = physical > clock->last ? physical : clock->last + 1;
	return clock->last;
}

int clock_observe(struct clock *clock, uint64_t stamp, msec wall)
{
	msec ahead = (msec)(stamp >> 16) - (wall > 0 ? wall : 0);
	if (ahead > clock->drift_ms) {
		clock->refused++;
		if (ahead > clock->ahead_max)
			clock->ahead_max = ahead;
		return ERR_LIMIT;
	}
	clock_raise(clock, stamp);
	return 0;
}

void clock_raise(struct clock *clock, uint64_t stamp)
{
	if (stamp > clock->last)
		clock->last = stamp;
}
