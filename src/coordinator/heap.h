/* A binary heap of things that know where they lie in it. */
#ifndef CLUSTERD_COORDINATOR_HEAP_H
#define CLUSTERD_COORDINATOR_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_OUT SIZE_MAX /* the index of what lies in no heap */

struct heap {
	void **items;
	size_t size;
	size_t capacity;
	bool (*before)(const void *left, const void *right); /* a total order */
	void (*moved)(void *item, size_t index);             /* keeps the index; HEAP_OUT when it has left */
};

void heap_finish(struct heap *heap);
static inline void *heap_top(const struct heap *heap) /* NULL: empty */
{
	return heap->size > 0 ? heap->items[0] : NULL;
}
void heap_insert(struct heap *heap, void *item);
void heap_remove(struct heap *heap, size_t index);
void heap_fix(struct heap *heap, size_t index); /* the order of this one may have changed */
void heap_order(struct heap *heap);             /* … of any of them */

#endif
