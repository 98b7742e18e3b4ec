/* The end of the log in memory: entries that are not applied yet, and applied ones that other members may still want. Indexed;
 * consecutive. Entries that a write to the disk borrows stay in memory until it is done, also when they are cut. Pure. */
#ifndef CLUSTERD_DAEMON_TAIL_H
#define CLUSTERD_DAEMON_TAIL_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stdint.h>

struct tail_entry {
	uint64_t index;
	uint64_t term;
	struct buffer body;
	bool configuration; /* it holds one */
	struct tail_entry *next_gone;
};

struct tail {
	struct tail_entry **slots; /* a ring: the entry of an index is at (index & (capacity - 1)) */
	size_t capacity;
	uint64_t first; /* index of the first one; of the next one when there is none */
	size_t count;
	size_t bytes;   /* of all bodies */
	uint64_t borrowed_first, borrowed_last; /* 0: none */
	struct tail_entry *gone; /* cut or let go while they were borrowed */
};

void tail_init(struct tail *tail, uint64_t next_index);
void tail_finish(struct tail *tail);
uint64_t tail_next(const struct tail *tail); /* index of the entry that is appended next */
/* Takes the body. */
struct tail_entry *tail_append(struct tail *tail, uint64_t term, struct buffer take_body, bool configuration);
struct tail_entry *tail_at(const struct tail *tail, uint64_t index); /* NULL: not in memory */
void tail_cut_after(struct tail *tail, uint64_t index);
void tail_drop_before(struct tail *tail, uint64_t index);
void tail_reset(struct tail *tail, uint64_t next_index);
/* The disk has these until tail_return; one loan at a time. */
void tail_lend(struct tail *tail, uint64_t first, uint64_t last);
void tail_return(struct tail *tail);

#endif
