/* What a subscriber has got of epochs that are not complete yet: it is shown all of an epoch or none. Pure. */
#ifndef CLUSTERD_CLIENT_EPOCHS_H
#define CLUSTERD_CLIENT_EPOCHS_H

#include "client/stream_frame.h"

#include "base/buffer.h"

#include <sys/queue.h>

#define EPOCHS_OPEN_MAX 10000 /* that are not complete, at once */

struct epoch {
	TAILQ_ENTRY(epoch) entry;
	uint64_t time;
	enum stream_frame_type type;
	bool lost;          /* too much to be kept: it is not shown */
	struct buffer body; /* of all its frames */
};

struct epochs {
	TAILQ_HEAD(epoch_list, epoch) list; /* by time */
	uint64_t from;                      /* what is before was shown, or is not to be */
	size_t count;
	size_t held;
	size_t held_max;
};

void epochs_init(struct epochs *epochs, size_t held_max);
void epochs_finish(struct epochs *epochs);
/* What is held is of no use; what is before `from` neither. */
void epochs_start(struct epochs *epochs, uint64_t from);
/* Takes a frame of data or changes whose parts were checked; what is before its begin is left out. ERR_LIMIT: too many are open. */
int epochs_add(struct epochs *epochs, const struct stream_frame *frame, struct error *error);
/* Whether nothing is held of what is before `frontier`. */
bool epochs_are_clear(const struct epochs *epochs, uint64_t frontier);
/* Takes out the first epoch that is before `frontier`, which is the caller's (epoch_destroy); NULL: there is none, and all before it
 * is over. */
struct epoch *epochs_take(struct epochs *epochs, uint64_t frontier);
void epoch_destroy(struct epoch *epoch);

#endif
