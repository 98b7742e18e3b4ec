/* A child with its three pipes as streams, and the end of what it has complained of. */
#ifndef CLUSTERD_DAEMON_PIPED_H
#define CLUSTERD_DAEMON_PIPED_H

#include "base/buffer.h"
#include "net/child.h"

struct piped;

struct piped_handler {
	/* stdout: consume from the front of `input`, leave the rest. */
	void (*printed)(void *context, struct buffer *input);
	/* More of stderr. May be NULL. */
	void (*complained)(void *context, struct slice bytes);
	/* It has closed stdin or stdout; often its end follows at once. May be NULL. */
	void (*broken)(void *context);
	/* It takes input again (STREAM_LOW_MARK). May be NULL. */
	void (*drained)(void *context);
	/* Called once: it has ended, what it left behind is gone, all that it printed has been shown. Destroy it here
	 * or later; in the other calls it must not be destroyed. */
	void (*ended)(void *context, const struct child_exit *how);
};

/* Errors as child_start. */
int piped_start(struct loop *loop, struct children *children, const struct child_options *options, uint32_t complaints_max,
                const struct piped_handler *handler, void *context, struct piped **ret_piped, struct error *error);
/* Before it has ended: kills all. NULL is fine. */
void piped_destroy(struct piped *piped);
void piped_write(struct piped *piped, const struct slice *slices, size_t count); /* dropped when stdin is closed */
void piped_finish(struct piped *piped); /* closes its stdin when all is written */
size_t piped_queued(const struct piped *piped);
void piped_terminate(struct piped *piped);
void piped_kill(struct piped *piped);
struct slice piped_complaints(const struct piped *piped); /* the last bytes of stderr */

#endif
