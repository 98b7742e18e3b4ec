/* A growing run of bytes. Start with `struct buffer b = {0};` or BUFFER_EMPTY; release with buffer_finish. */
#ifndef CLUSTERD_BASE_BUFFER_H
#define CLUSTERD_BASE_BUFFER_H

#include "base/slice.h"

#include <stdarg.h>
#include <stdint.h>

struct buffer {
	char *data; /* not terminated; see buffer_string */
	size_t size;
	size_t capacity;
};

#define BUFFER_EMPTY ((struct buffer){NULL, 0, 0})

void buffer_finish(struct buffer *buffer); /* leaves it empty and usable */
void buffer_clear(struct buffer *buffer);  /* keeps the memory */
/* Room for `size` more bytes; returns where they go, never NULL. Add what was written to ->size. */
char *buffer_reserve(struct buffer *buffer, size_t size);
void buffer_append(struct buffer *buffer, const void *data, size_t size);
void buffer_append_slice(struct buffer *buffer, struct slice slice);
void buffer_append_string(struct buffer *buffer, const char *string);
void buffer_append_char(struct buffer *buffer, char character);
void buffer_format(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_formatv(struct buffer *buffer, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
/* Little-endian integers. */
void buffer_append_u32(struct buffer *buffer, uint32_t value);
void buffer_append_u64(struct buffer *buffer, uint64_t value);
/* Drops the first `size` bytes. */
void buffer_consume(struct buffer *buffer, size_t size);
/* Terminates with a NUL that is not counted, and returns the text. */
const char *buffer_string(struct buffer *buffer);
struct slice buffer_slice(const struct buffer *buffer);

#endif
