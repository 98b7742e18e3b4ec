/* Bytes that somebody else owns. */
#ifndef CLUSTERD_BASE_SLICE_H
#define CLUSTERD_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
	const char *data;
	size_t size;
};

/* For printf's "%.*s". */
#define SLICE_ARGS(slice) (int)(slice).size, (slice).data
#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})

static inline struct slice slice_of(const char *string)
{
	return (struct slice){string, strlen(string)};
}

static inline bool slice_equal(struct slice left, struct slice right)
{
	return left.size == right.size && (left.size == 0 || memcmp(left.data, right.data, left.size) == 0);
}

static inline bool slice_is(struct slice slice, const char *string)
{
	return slice_equal(slice, slice_of(string));
}

/* Orders by bytes, then by length; as strcmp does. */
static inline int slice_compare(struct slice left, struct slice right)
{
	size_t shorter = left.size < right.size ? left.size : right.size;
	int order = shorter != 0 ? memcmp(left.data, right.data, shorter) : 0;
	if (order != 0)
		return order;
	return left.size < right.size ? -1 : left.size > right.size;
}

#endif
