/* Ends all processes below this one, which must be a subreaper with SIGCHLD blocked: whatever is below it then
 * sooner or later becomes its child, so that "no child is left" means "nothing is left". */
#ifndef CLUSTERD_NET_DESCENDANTS_H
#define CLUSTERD_NET_DESCENDANTS_H

#include <stdbool.h>
#include <sys/types.h>

#define DESCENDANTS_PATIENCE_MS 10000 /* for what cannot die: stuck in the kernel, or of another user */

typedef void descendants_reaped(void *context, pid_t pid, int status);

/* Collects what has ended; true: no child is left. */
bool descendants_reap(descendants_reaped *reaped, void *context);
/* SIGKILL to all, again and again, until none is left (true) or patience is at its end. */
bool descendants_end(descendants_reaped *reaped, void *context);

#endif
