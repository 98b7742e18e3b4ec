/* What the parts of src/net share of the loop: work that is done at a set place of a turn. A turn is: what is ready
 * (descriptors, timers, signals, then LOOP_READY tasks), the calls of loop_at_turn_end, LOOP_FLUSH tasks. LOOP_PAUSE tasks come
 * behind it and belong to no turn. */
#ifndef CLUSTERD_NET_TURN_H
#define CLUSTERD_NET_TURN_H

#include "base/buffer.h"
#include "net/loop.h"

#include <sys/queue.h>

enum loop_phase {
	LOOP_READY, /* in this turn when queued by what is ready, else in the next one, which then comes at once */
	LOOP_FLUSH, /* at the end of this turn; must not call anybody else's code */
	LOOP_PAUSE, /* between this turn and the next one */
	LOOP_PHASES,
};

/* Embedded in what it works for; {0}-ed but for call and context. */
struct loop_task {
	TAILQ_ENTRY(loop_task) link;
	loop_call *call;
	void *context;
	bool queued;
};

void loop_task_queue(struct loop *loop, enum loop_phase phase, struct loop_task *task); /* queued already: nothing */
void loop_task_cancel(struct loop *loop, enum loop_phase phase, struct loop_task *task);

/* One buffer to read into for all streams, so that idle ones need none. Empty between two callbacks. */
struct buffer *loop_scratch(struct loop *loop);

/* For what libevent itself does on the loop. Its callbacks belong to no turn: what they find out is told by a LOOP_READY task. */
struct event_base *loop_base(struct loop *loop);

#endif
