#include "base/arena.h"

#include "base/memory.h"

#include <stdalign.h>
#include <stdint.h>

#define BLOCK_SIZE 4096

struct arena_block {
	struct arena_block *next;
	size_t size;
	size_t used;
	alignas(max_align_t) char data[];
};

void arena_finish(struct arena *arena)
{
	struct arena_block *block = arena->blocks;
	while (block != NULL) {
		struct arena_block *next = block->next;
		mem_free(block);
		block = next;
	}
	arena->blocks = NULL;
	arena->used = 0;
}

void arena_reset(struct arena *arena)
{
	struct arena_block *kept = arena->blocks;
	if (kept != NULL && kept->size == BLOCK_SIZE) {
		arena->blocks = kept->next;
		arena_finish(arena);
		kept->next = NULL;
		kept->used = 0;
		arena->blocks = kept;
	} else {
		arena_finish(arena);
	}
}

void *arena_alloc(struct arena *arena, size_t size)
{
	const size_t unit = alignof(max_align_t);
	struct arena_block *block = arena->blocks;
	size = (size + unit - 1) / unit * unit;
	if (block == NULL || block->size - block->used < size) {
		size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
		block = mem_alloc(sizeof *block + room);
		block->size = room;
		block->used = 0;
		block->next = arena->blocks;
		arena->blocks = block;
	}
	void *memory = block->data + block->used;
	block->used += size;
	arena->used += size;
	memset(memory, 0, size);
	return memory;
}

void *arena_try(struct arena *arena, size_t size)
{
	if (arena->limit != 0 && (arena->used > arena->limit || size > arena->limit - arena->used))
		return NULL;
	return arena_alloc(arena, size);
}

char *arena_string(struct arena *arena, struct slice slice)
{
	char *copy = arena_alloc(arena, slice.size + 1);
	if (slice.size != 0)
		memcpy(copy, slice.data, slice.size);
	return copy;
}
