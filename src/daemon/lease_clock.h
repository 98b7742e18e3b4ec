/* When leases run out: the leader's soft state, which is not replicated. Pure: time is an argument. */
#ifndef CLUSTERD_DAEMON_LEASE_CLOCK_H
#define CLUSTERD_DAEMON_LEASE_CLOCK_H

#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lease_clock;

struct lease_clock *lease_clock_create(void);
void lease_clock_destroy(struct lease_clock *clock); /* NULL is fine */
void lease_clock_clear(struct lease_clock *clock);

/* From now on it has its full time; a known one begins it anew. */
void lease_clock_grant(struct lease_clock *clock, uint64_t lease, msec ttl, msec now);
/* It was heard of: its full time from now. false: there is none, or it has run out. */
bool lease_clock_keep(struct lease_clock *clock, uint64_t lease, msec now);
void lease_clock_forget(struct lease_clock *clock, uint64_t lease);
/* One that has run out; it is not given again, and cannot be kept any more. false: none. */
bool lease_clock_expired(struct lease_clock *clock, msec now, uint64_t *ret_lease);
/* At this time one may have run out; MSEC_NEVER. Not later than that is so. */
msec lease_clock_deadline(const struct lease_clock *clock);
/* ms; 0: it has run out, or there is none. */
msec lease_clock_remaining(const struct lease_clock *clock, uint64_t lease, msec now);
size_t lease_clock_count(const struct lease_clock *clock);

#endif
