/* What a publisher has said and some subscriber has not got yet: one run of chunks for all of them, in which each has a place of its own.
 * What is said is in memory once, however many are to get it. Pure.
 *
 * Each chunk knows the first epoch of which nothing was said before it: whoever begins at a chunk gets from that epoch on all of each. */
#ifndef CLUSTERD_CLIENT_BACKLOG_H
#define CLUSTERD_CLIENT_BACKLOG_H

#include "client/stream_frame.h"

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/uio.h>

#define BACKLOG_CHUNK_SIZE (128u << 10)

struct backlog_chunk;
TAILQ_HEAD(backlog_run, backlog_chunk);

/* The state of a collection at one moment, as frames; counted. */
struct backlog_state {
	uint32_t holds;
	uint32_t *many; /* of them are in memory */
	struct backlog_run run;
};

struct backlog {
	struct backlog_run run; /* never empty */
	size_t memory;          /* of its chunks */
	size_t kept;            /* so many bytes stay though nobody is to get them */
	uint64_t end;           /* bytes said so far */
	uint64_t frontier;
	uint64_t top;           /* one more than the highest time of data */
	bool open;              /* the last frame is not whole yet */
	enum stream_frame_type type;
	uint64_t time;          /* of that frame */
	size_t begin;           /* in the last chunk */
	struct backlog_chunk *spare;
};

/* Where one subscriber is. What it gets: the rest of a frame that was begun, a state, a frame STREAM_START, the chunks. */
struct backlog_cursor {
	struct backlog_chunk *rest; /* NULL: none */
	size_t rest_at, rest_end;
	struct backlog_state *state; /* NULL: none */
	struct backlog_chunk *state_chunk;
	size_t state_at;
	char note[STREAM_HEADER_SIZE];
	size_t note_at, note_end;
	struct backlog_chunk *chunk;
	size_t at;
};

void backlog_init(struct backlog *backlog, size_t kept);
void backlog_finish(struct backlog *backlog); /* all cursors have left */

/* Adds a message (type STREAM_DATA; `count` is nothing) or an item. `time` is not before the frontier. */
void backlog_add(struct backlog *backlog, enum stream_frame_type type, uint64_t time, struct slice part, int64_t count);
/* Adds a frame STREAM_FRONTIER; `frontier` is not before the one that there is. */
void backlog_advance(struct backlog *backlog, uint64_t frontier);
/* What was added can be read from now on. */
void backlog_seal(struct backlog *backlog);
/* So many bytes of a last frame are not sealed. */
size_t backlog_unsealed(const struct backlog *backlog);
/* The first epoch of which nothing was said. */
uint64_t backlog_next_epoch(const struct backlog *backlog);

/* Puts a cursor (zeroed before) where it gets all of each epoch from `from` on, STREAM_FROM_NOW: from the next one that begins. What is not
 * there any more it misses. Returns the epoch that it begins with, which it gets in a STREAM_START first. */
uint64_t backlog_join(struct backlog *backlog, struct backlog_cursor *cursor, uint64_t from);
void backlog_leave(struct backlog *backlog, struct backlog_cursor *cursor);
/* Bytes of the run that it has not got. */
size_t backlog_lag(const struct backlog *backlog, const struct backlog_cursor *cursor);
/* It gets the rest of its frame and then goes on with the last `keep` bytes or less, with a STREAM_START. Returns that epoch. */
uint64_t backlog_skip(struct backlog *backlog, struct backlog_cursor *cursor, size_t keep);
/* It gets the rest of its frame and then this state (one hold more) and what comes from now on. */
void backlog_restart(struct backlog *backlog, struct backlog_cursor *cursor, struct backlog_state *state);
/* What it gets next, up to `room` parts. */
size_t backlog_parts(const struct backlog_cursor *cursor, struct iovec *parts, size_t room);
/* It got so many bytes of that. */
void backlog_got(struct backlog *backlog, struct backlog_cursor *cursor, size_t size);
bool backlog_has_more(const struct backlog *backlog, const struct backlog_cursor *cursor);

/* One hold. `many` is counted up, and down when it is gone. */
struct backlog_state *backlog_state_create(uint32_t *many);
void backlog_state_add(struct backlog_state *state, struct slice item, int64_t count);
/* No more of them. */
void backlog_state_seal(struct backlog_state *state);
void backlog_state_release(struct backlog_state *state); /* NULL is fine */

#endif
