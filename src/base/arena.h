/* Memory that is released all at once. Start with {0}; release with arena_finish. */
#ifndef CLUSTERD_BASE_ARENA_H
#define CLUSTERD_BASE_ARENA_H

#include "base/slice.h"

#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks;
	size_t used;  /* bytes handed out, all blocks together */
	size_t limit; /* 0: none; past it arena_try gives NULL */
};

void arena_finish(struct arena *arena); /* leaves it empty and usable */
void arena_reset(struct arena *arena);  /* the same, but keeps a block for what comes next */
void *arena_alloc(struct arena *arena, size_t size); /* cleared, aligned for any type; no limit */
void *arena_try(struct arena *arena, size_t size);   /* the same, but NULL past the limit */
char *arena_string(struct arena *arena, struct slice slice); /* a terminated copy */

#endif
