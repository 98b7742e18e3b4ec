/* The dispatcher: hands ready calls of atomic processes to places that serve them, and watches over those that run. Pure; the
 * leader's soft state: a new leader fills it again from the catalog and from what the nodes say.
 *
 * A place is whatever runs calls: a node's slots for `exec`, one of its pools, a worker that is connected to it. It takes as many
 * calls at once as it has credit. A call goes to the place that has the smallest part of its credit in use; among equals to the node
 * that runs the fewest calls, and to one that is not the `last`. */
#ifndef CLUSTERD_COORDINATOR_DISPATCH_H
#define CLUSTERD_COORDINATOR_DISPATCH_H

#include "base/slice.h"
#include "base/time.h"
#include "workflow/definition.h"

#include <stdbool.h>
#include <stdint.h>

struct dispatch;
struct place;

struct call_id {
	uint64_t instance;
	uint32_t ref;
	uint64_t attempt;
};

enum place_kind {
	PLACE_EXEC,   /* serves every process that has `exec` */
	PLACE_POOL,   /* serves the one definition it is made for */
	PLACE_WORKER, /* serves what it offers, by name and signature */
};

/* A node that places are on. Borrowed by them. */
struct place_site {
	const struct slice *tags; /* `on` of a process names some of them: "gpu", "zone=b" */
	size_t tag_count;
	uint32_t running;         /* calls that its places run; kept by dispatch */
	bool last;                /* among equals, others are taken before it */
};

struct offer {
	struct slice process;
	struct slice signature; /* empty: whatever is registered */
};

struct dispatch *dispatch_create(void);
void dispatch_destroy(struct dispatch *dispatch);

/* `context` is the caller's; `only` for PLACE_POOL. `site`: of the node whose tags count; NULL for workers, which serve what they
 * offer wherever they are. */
struct place *dispatch_place_add(struct dispatch *dispatch, enum place_kind kind, uint32_t credit, void *context,
                                 const struct definition *only, struct place_site *site);
/* Replaces what a worker offers; the slices are copied. */
void dispatch_place_offer(struct dispatch *dispatch, struct place *place, const struct offer *offers, size_t count,
                          uint32_t credit);
void dispatch_place_credit(struct dispatch *dispatch, struct place *place, uint32_t credit);
/* The place is gone. Calls that run there and have not reported are given one by one: call until it returns false, then the place
 * is released. */
bool dispatch_place_remove(struct dispatch *dispatch, struct place *take_place, struct call_id *ret_call);
void *dispatch_place_context(const struct place *place);
uint32_t dispatch_place_running(const struct place *place);

/* A call is ready. `attempt` is the number its next attempt will have. Known ones are ignored. */
void dispatch_ready(struct dispatch *dispatch, msec now, struct call_id call, const struct definition *process);
/* The next call that is to be handed out, and where; counts against the place's credit from now on. */
struct assignment {
	struct call_id call;
	const struct definition *process;
	struct place *place;
};
bool dispatch_next(struct dispatch *dispatch, msec now, struct assignment *ret_assignment);
/* The attempt runs at this place already, since `elapsed`: it was handed out by another leader, or came back with its worker.
 * Whatever is known of the call is replaced. Its place may have less credit than it runs. */
void dispatch_adopt(struct dispatch *dispatch, msec now, struct call_id call, const struct definition *process,
                    struct place *place, msec elapsed);
/* Whether the call waits or runs, in whatever attempt; its attempt. */
bool dispatch_knows(const struct dispatch *dispatch, uint64_t instance, uint32_t ref, uint64_t *ret_attempt);
/* The attempt is over (its result was committed, or it is no longer wanted), or the call no longer waits. Returns the place
 * where it ran, NULL when it did not run. */
struct place *dispatch_close(struct dispatch *dispatch, struct call_id call);
/* The call, if it waits, no longer does. */
void dispatch_withdraw(struct dispatch *dispatch, uint64_t instance, uint32_t ref);
/* Where the attempt runs; NULL: it does not. */
struct place *dispatch_where(const struct dispatch *dispatch, struct call_id call);
void dispatch_heartbeat(struct dispatch *dispatch, msec now, struct call_id call);
/* It has reported: its deadlines no longer count. */
void dispatch_reported(struct dispatch *dispatch, struct call_id call);

/* When dispatch_expired has something to say; MSEC_NEVER. */
msec dispatch_deadline(const struct dispatch *dispatch);
enum expiry { EXPIRY_START, EXPIRY_FINISH, EXPIRY_HEARTBEAT };
/* The next call whose time ran out. It has no deadline any more, but keeps its place until dispatch_close. */
bool dispatch_expired(struct dispatch *dispatch, msec now, struct call_id *ret_call, enum expiry *ret_expiry,
                      const struct definition **ret_process);

/* Forgets all calls, and their definitions; places stay. */
void dispatch_clear(struct dispatch *dispatch);
uint32_t dispatch_waiting(const struct dispatch *dispatch);
uint32_t dispatch_running(const struct dispatch *dispatch);
/* A process that calls wait for and that no place serves at all: for `status`. Empty: none. */
struct slice dispatch_unserved(const struct dispatch *dispatch);

#endif
