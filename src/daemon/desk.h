/* Requests about this machine, answered by its host: what its tasks have written. Files are read on a thread of its own. */
#ifndef CLUSTERD_DAEMON_DESK_H
#define CLUSTERD_DAEMON_DESK_H

#include "base/error.h"
#include "daemon/allocations.h"
#include "net/loop.h"
#include "proto/wire.pb-c.h"

struct desk;

/* From the loop, never from inside a call of this door. Borrowed for the call. */
typedef void desk_answer(void *context, uint64_t connection, uint32_t stream, const Clusterd__Wire__Response *response,
                         struct slice payload);

#define DESK_QUEUE_MAX 256        /* requests that wait for the thread; more are answered with `busy` */
#define DESK_PIECE_MAX (1u << 20) /* bytes of output in one answer */

/* `allocations` must outlive it. ERR_IO: the system gives no thread. */
int desk_create(struct loop *loop, struct allocations *allocations, desk_answer *answer, void *context,
                struct desk **ret_desk, struct error *error);
void desk_destroy(struct desk *desk); /* NULL is fine */
/* ERR_BUSY: it is not answered, too many wait. */
int desk_ask(struct desk *desk, uint64_t connection, uint32_t stream, const Clusterd__Wire__Request *request,
             struct slice payload);

#endif
