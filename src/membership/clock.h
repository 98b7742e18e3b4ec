/* A hybrid logical clock (Kulkarni et al. 2014). A stamp is 64 bits: milliseconds since 1970 << 16 | counter, as commands carry them
 * (coordinator/command.h). Stamps of one clock strictly increase, also when the wall clock is set back. The wall clock is an argument.
 * Not shared between threads. */
#ifndef CLUSTERD_MEMBERSHIP_CLOCK_H
#define CLUSTERD_MEMBERSHIP_CLOCK_H

#include "base/time.h"

#include <stdint.h>

#define CLOCK_DRIFT_MS 500 /* default */

struct clock {
	uint64_t last;       /* the highest stamp given out or observed */
	msec drift_ms;       /* a stamp may be so far ahead of the wall clock */
	uint64_t refused;    /* stamps that were further ahead */
	msec ahead_max;      /* the furthest that a refused stamp was ahead, milliseconds */
};

/* `last`: the highest stamp known from before, 0: none. drift_ms 0: the default. */
void clock_init(struct clock *clock, uint64_t last, msec drift_ms);
/* The next stamp: above every one given out or observed before. `wall`: milliseconds since 1970. */
uint64_t clock_next(struct clock *clock, msec wall);
/* A stamp came from elsewhere: later ones of this clock are above it. ERR_LIMIT: it is more than drift_ms ahead of the *physical*
 * clock; it is counted and changes nothing (PROTOCOL, 21). */
int clock_observe(struct clock *clock, uint64_t stamp, msec wall);
/* A stamp that must be followed whatever the wall clock says: of an entry of the log. */
void clock_raise(struct clock *clock, uint64_t stamp);

#endif
