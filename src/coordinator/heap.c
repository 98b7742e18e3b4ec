#include "coordinator/heap.h"

#include "base/memory.h"

#include <assert.h>

void heap_finish(struct heap *heap)
{
	mem_free(heap->items);
	heap->items = NULL;
	heap->size = heap->capacity = 0;
}

static void put(struct heap *heap, size_t index, void *item)
{
	heap->items[index] = item;
	heap->moved(item, index);
}

static size_t up(struct heap *heap, size_t index)
{
	void *item = heap->items[index];
	for (; index > 0 && heap->before(item, heap->items[(index - 1) / 2]); index = (index - 1) / 2)
		put(heap, index, heap->items[(index - 1) / 2]);
	put(heap, index, item);
	return index;
}

static void down(struct heap *heap, size_t index)
{
	void *item = heap->items[index];
	for (size_t child; (child = 2 * index + 1) < heap->size; index = child) {
		if (child + 1 < heap->size && heap->before(heap->items[child + 1], heap->items[child]))
			child++;
		if (!heap->before(heap->items[child], item))
			break;
		put(heap, index, heap->items[child]);
	}
	put(heap, index, item);
}

void heap_insert(struct heap *heap, void *item)
{
	mem_grow(heap->items, heap->capacity, heap->size + 1);
	heap->items[heap->size++] = item;
	up(heap, heap->size - 1);
}

void heap_fix(struct heap *heap, size_t index)
{
	assert(index < heap->size);
	down(heap, up(heap, index));
}

void heap_remove(struct heap *heap, size_t index)
{
	assert(index < heap->size);
	void *item = heap->items[index], *last = heap->items[--heap->size];
	heap->moved(item, HEAP_OUT);
	if (item == last)
		return;
	put(heap, index, last);
	heap_fix(heap, index);
}

void heap_order(struct heap *heap)
{
	for (size_t i = heap->size / 2; i-- > 0;)
		down(heap, i);
}
