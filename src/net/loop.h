/* The event loop: the only code that calls libevent. One thread. */
#ifndef CLUSTERD_NET_LOOP_H
#define CLUSTERD_NET_LOOP_H

#include "base/time.h"

#include <stdbool.h>

struct loop;
struct loop_timer;
struct loop_watch;

/* ERR_IO: the system gives no descriptor for it. SIGPIPE is ignored from here on, in the whole process (a child that is
 * started inherits that, unless it is undone). */
int loop_create(struct loop **ret_loop);
/* All timers, watches, signals, streams and listeners of the loop must be gone. NULL is fine. */
void loop_destroy(struct loop *loop);
void loop_run(struct loop *loop);  /* until loop_stop; not from inside itself */
void loop_stop(struct loop *loop);
msec loop_now(const struct loop *loop);  /* monotonic; read once a turn, outside of turns at each call */
msec loop_wall(const struct loop *loop); /* since 1970; likewise */
/* Called once at the end of every turn in which something happened, after all that was ready, in the order of
 * registration: where what the turn gathered is sent as one batch. What it writes to streams goes out in that turn. */
void loop_at_turn_end(struct loop *loop, void (*call)(void *context), void *context);
void loop_forget_turn_end(struct loop *loop, void (*call)(void *context), void *context); /* not from inside a call */
/* The longest time since the last call of this function that one turn took, or what was done in a pause, in microseconds. */
long long loop_longest_stall_us(struct loop *loop);

typedef void loop_call(void *context);

/* One-shot; armed with loop_timer_set. */
struct loop_timer *loop_timer_create(struct loop *loop, loop_call *call, void *context);
void loop_timer_destroy(struct loop_timer *timer); /* NULL is fine */
void loop_timer_set(struct loop_timer *timer, msec deadline); /* on loop_now's clock; MSEC_NEVER: disarmed */

/* When both are so, one call for each. A hangup or an error of the descriptor is told as what is being watched for. */
typedef void loop_ready(void *context, bool readable, bool writable);
/* Watches a descriptor that somebody else owns. Level-triggered. Nothing is watched for until loop_watch_set. Destroy
 * it before the descriptor is closed. */
struct loop_watch *loop_watch_create(struct loop *loop, int descriptor, loop_ready *ready, void *context);
void loop_watch_set(struct loop_watch *watch, bool for_reading, bool for_writing);
void loop_watch_destroy(struct loop_watch *watch); /* NULL is fine */

/* Work that holds the loop up for a moment, but costs less than handing it to a thread and back. `work` is called between two
 * turns, when all that the first one wrote has gone out; what it writes to streams goes out in the second one, and it asks for no
 * pause. The second turn follows at once, and in it `done` is called, after what is ready. */
struct loop_pause;
struct loop_pause *loop_pause_create(struct loop *loop, loop_call *work, loop_call *done, void *context);
void loop_pause_ask(struct loop_pause *pause); /* once, behind this turn, or behind the next one when there is none */
void loop_pause_destroy(struct loop_pause *pause); /* NULL is fine; what was asked for is not called any more */

/* A signal as an event of the loop (SIGTERM, SIGHUP, …). */
struct loop_signal;
struct loop_signal *loop_signal_create(struct loop *loop, int number, loop_call *call, void *context);
void loop_signal_destroy(struct loop_signal *signal); /* NULL is fine */

#endif
