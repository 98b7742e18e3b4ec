/* Allocation. It never returns NULL: when there is no memory the process ends with a message, since nothing that
 * a node promises can be kept without it. Every input is bounded before it is stored (limits), so that a peer
 * cannot bring this about. Release with mem_free. */
#ifndef CLUSTERD_BASE_MEMORY_H
#define CLUSTERD_BASE_MEMORY_H

#include <stddef.h>

void *mem_alloc(size_t size);                  /* not cleared */
void *mem_zero(size_t size);                   /* cleared */
void *mem_array(size_t count, size_t size);    /* cleared; the product is checked */
void *mem_resize(void *memory, size_t size);
void *mem_copy(const void *from, size_t size);
char *mem_string(const char *string);          /* a copy; NULL gives NULL */
char *mem_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
void mem_free(void *memory);                   /* NULL is fine */

/* Makes room for `needed` elements in a growing array; doubles. */
#define mem_grow(array, capacity, needed)                                                           \
	do {                                                                                        \
		if ((needed) > (capacity)) {                                                        \
			(capacity) = mem_grown_((capacity), (needed));                              \
			(array) = mem_resize((array), (size_t)(capacity) * sizeof *(array));        \
		}                                                                                   \
	} while (0)
size_t mem_grown_(size_t capacity, size_t needed);

#endif
