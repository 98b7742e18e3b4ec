#include "base/buffer.h"

#include "base/memory.h"

#include <assert.h>
#include <stdio.h>

void buffer_finish(struct buffer *buffer)
{
	mem_free(buffer->data);
	*buffer = BUFFER_EMPTY;
}

void buffer_clear(struct buffer *buffer)
{
	buffer->size = 0;
}

char *buffer_reserve(struct buffer *buffer, size_t size)
{
	assert(size < SIZE_MAX - buffer->size);
	size_t needed = buffer->size + size;
	mem_grow(buffer->data, buffer->capacity, needed != 0 ? needed : 1);
	return buffer->data + buffer->size;
}

void buffer_append(struct buffer *buffer, const void *data, size_t size)
{
	if (size == 0)
		return;
	memcpy(buffer_reserve(buffer, size), data, size);
	buffer->size += size;
}

void buffer_append_slice(struct buffer *buffer, struct slice slice)
{
	buffer_append(buffer, slice.data, slice.size);
}

void buffer_append_string(struct buffer *buffer, const char *string)
{
	buffer_append(buffer, string, strlen(string));
}

void buffer_append_char(struct buffer *buffer, char character)
{
	buffer_append(buffer, &character, 1);
}

void buffer_formatv(struct buffer *buffer, const char *format, va_list args)
{
	va_list again;
	va_copy(again, args);
	int length = vsnprintf(NULL, 0, format, args);
	assert(length >= 0);
	char *place = buffer_reserve(buffer, (size_t)length + 1);
	vsnprintf(place, (size_t)length + 1, format, again);
	va_end(again);
	buffer->size += (size_t)length;
}

void buffer_format(struct buffer *buffer, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	buffer_formatv(buffer, format, args);
	va_end(args);
}

void buffer_append_u32(struct buffer *buffer, uint32_t value)
{
	unsigned char bytes[4];
	for (int i = 0; i < 4; i++)
		bytes[i] = (unsigned char)(value >> (8 * i));
	buffer_append(buffer, bytes, sizeof bytes);
}

void buffer_append_u64(struct buffer *buffer, uint64_t value)
{
	buffer_append_u32(buffer, (uint32_t)value);
	buffer_append_u32(buffer, (uint32_t)(value >> 32));
}

void buffer_consume(struct buffer *buffer, size_t size)
{
	assert(size <= buffer->size);
	if (size == 0)
		return;
	buffer->size -= size;
	memmove(buffer->data, buffer->data + size, buffer->size);
}

const char *buffer_string(struct buffer *buffer)
{
	*buffer_reserve(buffer, 1) = '\0';
	return buffer->data;
}

struct slice buffer_slice(const struct buffer *buffer)
{
	return (struct slice){buffer->data != NULL ? buffer->data : "", buffer->size};
}
