/* Commands that clients run beside a task (`allocation exec`): in its working directory and environment, and in its control group where
 * that is allowed. A client asks again and again, each time with what it has for stdin and from where on it wants stdout and stderr: who
 * asks slowly slows the command down, and costs no more than two pieces. Who does not ask any more has gone, and its command is killed. */
#ifndef CLUSTERD_DAEMON_GUESTS_H
#define CLUSTERD_DAEMON_GUESTS_H

#include "base/error.h"
#include "daemon/allocations.h"
#include "net/loop.h"
#include "proto/wire.pb-c.h"

struct guests;

/* From the loop, from inside a call of this door, too. */
typedef void guests_answer(void *context, uint64_t connection, uint32_t stream, const Clusterd__Wire__Response *response,
                           struct slice payload);

#define GUESTS_MAX 16u              /* at once on this machine */
#define GUEST_PIECE_MAX (256u << 10) /* bytes kept of each of stdin, stdout and stderr */
#define GUEST_IDLE_MS 10000         /* nobody has asked for so long: the client has gone */

/* `allocations` must outlive it. ERR_IO. */
int guests_create(struct loop *loop, const struct allocations *allocations, guests_answer *answer, void *context,
                  struct guests **ret_guests, struct error *error);
void guests_destroy(struct guests *guests); /* kills them; NULL is fine */
/* BeginExec, ContinueExec. */
void guests_request(struct guests *guests, uint64_t connection, uint32_t stream, const Clusterd__Wire__Request *request,
                    struct slice payload);
/* The connection that has begun them is closed: they are killed. */
void guests_closed(struct guests *guests, uint64_t connection);

#endif
