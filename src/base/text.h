/* An immutable run of bytes with a reference count: a JSON value on its way through engine, catalog and wire without
 * being copied. Not shared between threads. */
#ifndef CLUSTERD_BASE_TEXT_H
#define CLUSTERD_BASE_TEXT_H

#include "base/slice.h"

#include <stdint.h>

struct text {
	uint32_t references;
	uint32_t size;
	char data[]; /* `size` bytes and a NUL */
};

struct text *text_create(struct slice slice);      /* one reference, the caller's */
struct text *text_hold(struct text *text);         /* one more; returns it; NULL gives NULL */
void text_release(struct text *text);              /* one less; NULL is fine */
static inline struct slice text_slice(const struct text *text)
{
	return (struct slice){text->data, text->size};
}

#endif
