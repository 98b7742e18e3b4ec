/* Requests that are put aside until they can go on. They are packed: what they were read into is gone by then. */
#ifndef CLUSTERD_DAEMON_PARKED_H
#define CLUSTERD_DAEMON_PARKED_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/time.h"
#include "proto/wire.pb-c.h"

#include <uthash.h>

struct parked {
	uint64_t id;
	uint64_t connection; /* who asked, and where the answer goes */
	uint32_t stream;
	struct buffer bytes; /* the message, then the payload */
	size_t message_size;
	msec deadline;   /* the asker waits until then; MSEC_NEVER: it does not say */
	msec until;      /* it waits for somebody to take it no longer than this; MSEC_NEVER: somebody has it */
	msec again;      /* when it is tried again though nothing has happened; MSEC_NEVER */
	uint64_t member; /* whom it was given to; 0: nobody */
	bool refused;    /* by that member in that term */
	uint64_t target; /* it is for this member, whoever leads; 0: for the leader */
	uint64_t first;  /* whom it was given to at first */
	uint32_t attempt;
	UT_hash_handle hh;
};

/* Zeroed and with `next` MSEC_NEVER: none. */
struct parking {
	struct parked *items; /* in the order in which they came */
	size_t count;
	size_t size; /* bytes of all */
	msec next;   /* not before this time is one of them due */
};

#define PARKED_MAX 10000u
#define PARKED_BYTES_MAX (64u << 20)
#define PARKED_WAIT_MS 10000 /* for somebody to take it, when the asker does not say how long it waits */

/* Puts it aside under this id, which no other has. NULL: there are too many, `error` (ERR_BUSY) says so. */
struct parked *parked_add(struct parking *parking, uint64_t id, uint64_t connection, uint32_t stream,
                          const Clusterd__Wire__Request *request, struct slice payload, msec now, struct error *error);
struct parked *parked_find(const struct parking *parking, uint64_t id); /* or NULL */
/* Out of the parking, still whole; parked_destroy releases it. */
void parked_take(struct parking *parking, struct parked *parked);
void parked_destroy(struct parked *parked);
void parked_clear(struct parking *parking);
/* The message, in the arena; NULL with an error when it cannot be read. The payload points into `parked`. */
const Clusterd__Wire__Request *parked_read(const struct parked *parked, struct arena *arena, struct slice *ret_payload,
                                           struct error *error);
/* Nobody has it yet: its clock runs, if it does not already. */
void parked_waits(struct parking *parking, struct parked *parked, msec now);
/* Somebody has it. */
void parked_rests(struct parked *parked);
/* It is tried again then. */
void parked_again(struct parking *parking, struct parked *parked, msec at);
/* After all that were due have been looked at: when to look again, some time later at the earliest. */
void parking_looked(struct parking *parking, msec now);

#endif
