/* Numbers by numbers, 16 bytes and a bit each: open addressing with linear probing (Knuth, TAOCP 3, 6.4, algorithms L and R). Nothing
 * depends on the order in which entries lie. */
#ifndef CLUSTERD_COORDINATOR_TABLE_H
#define CLUSTERD_COORDINATOR_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table {
	struct table_entry {
		uint64_t key;
		uint32_t value;
		uint32_t used;
	} * entries;
	size_t capacity; /* 0, or a power of two */
	size_t count;
};

/* A well mixed number for a number (the finalizer of splitmix64). */
static inline uint64_t table_mix(uint64_t key)
{
	key = (key ^ (key >> 30)) * 0xBF58476D1CE4E5B9u;
	key = (key ^ (key >> 27)) * 0x94D049BB133111EBu;
	return key ^ (key >> 31);
}

void table_finish(struct table *table); /* leaves it empty and usable */
/* What is there for the key; `none` when there is nothing. */
uint32_t table_get(const struct table *table, uint64_t key, uint32_t none);
void table_put(struct table *table, uint64_t key, uint32_t value);
void table_remove(struct table *table, uint64_t key); /* nothing there: nothing happens */
/* Adds to the number for the key, which counts as 0 when there is none, and is let go when it comes to 0. Returns the sum. */
uint32_t table_add(struct table *table, uint64_t key, int32_t change);

#endif
