/* Well-formed UTF-8 (Unicode, table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef CLUSTERD_BASE_UTF8_H
#define CLUSTERD_BASE_UTF8_H

#include "base/slice.h"

#include <stdint.h>

/* Bytes of the well-formed character at `at` (1 … 4), or 0 when there is none. */
static inline size_t utf8_length(const char *at, const char *end)
{
	const unsigned char *byte = (const unsigned char *)at;
	size_t room = (size_t)(end - at);
	if (room == 0)
		return 0;
	if (byte[0] < 0x80)
		return 1;
	size_t length = byte[0] >= 0xF0 ? 4 : byte[0] >= 0xE0 ? 3 : 2;
	if (byte[0] < 0xC2 || byte[0] > 0xF4 || room < length)
		return 0;
	/* Four first bytes narrow the range of the second. */
	unsigned char low = byte[0] == 0xE0 ? 0xA0 : byte[0] == 0xF0 ? 0x90 : 0x80;
	unsigned char high = byte[0] == 0xED ? 0x9F : byte[0] == 0xF4 ? 0x8F : 0xBF;
	if (byte[1] < low || byte[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++) {
		if ((byte[i] & 0xC0) != 0x80)
			return 0;
	}
	return length;
}

/* Well-formed as a whole, and without NUL. */
static inline bool utf8_is_text(struct slice text)
{
	const char *at = text.data;
	const char *end = text.data + text.size;
	while (at < end) {
		size_t length = utf8_length(at, end);
		if (length == 0 || *at == '\0')
			return false;
		at += length;
	}
	return true;
}

/* Writes a scalar value and returns its length. */
static inline size_t utf8_write(uint32_t scalar, char ret_bytes[4])
{
	if (scalar < 0x80) {
		ret_bytes[0] = (char)scalar;
		return 1;
	}
	size_t length = scalar < 0x800 ? 2 : scalar < 0x10000 ? 3 : 4;
	for (size_t i = length - 1; i > 0; i--) {
		ret_bytes[i] = (char)(0x80 | (scalar & 0x3F));
		scalar >>= 6;
	}
	ret_bytes[0] = (char)((0xF00u >> length & 0xF0) | scalar);
	return length;
}

/* The longest beginning of `text`, which is UTF-8, that has at most `size` bytes and ends with a whole character. */
static inline struct slice utf8_cut(struct slice text, size_t size)
{
	if (text.size <= size)
		return text;
	while (size > 0 && ((unsigned char)text.data[size] & 0xC0) == 0x80)
		size--;
	return (struct slice){text.data, size};
}

#endif
