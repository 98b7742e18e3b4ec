#include "lang/utf8.h"

size_t utf8_decode(struct slice text, uint32_t *ret_character)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	if (text.size == 0)
		return 0;
	unsigned char lead = (unsigned char)text.data[0];
	size_t size = lead < 0x80 ? 1 : lead < 0xC0 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF8 ? 4 : 0;
	if (size == 0 || size > text.size)
		return 0;
	uint32_t character = size == 1 ? lead : (uint32_t)lead & (0x7Fu >> size);
	for (size_t i = 1; i < size; i++) {
		unsigned char next = (unsigned char)text.data[i];
		if ((next & 0xC0) != 0x80)
			return 0;
		character = character << 6 | (next & 0x3Fu);
	}
	if (character < least[size] || character > 0x10FFFF || (character >= 0xD800 && character <= 0xDFFF))
		return 0;
	*ret_character = character;
	return size;
}

size_t utf8_encode(uint32_t character, char *ret_bytes)
{
	if (character < 0x80) {
		ret_bytes[0] = (char)character;
		return 1;
	}
	size_t size = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
	for (size_t i = size - 1; i > 0; i--) {
		ret_bytes[i] = (char)(0x80 | (character & 0x3F));
		character >>= 6;
	}
	ret_bytes[0] = (char)((0xF00u >> size & 0xFFu) | character);
	return size;
}

bool utf8_is_control(uint32_t character)
{
	return character < 0x20 || (character >= 0x7F && character <= 0x9F);
}

struct range {
	uint32_t first;
	uint32_t last;
};

static bool in_ranges(uint32_t character, const struct range *ranges, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (character >= ranges[i].first && character <= ranges[i].last)
			return true;
	}
	return false;
}

uint32_t utf8_width(uint32_t character)
{
	/* The large blocks of Unicode's EastAsianWidth W and F, and of its marks: enough to put a caret in place. */
	static const struct range wide[] = {
		{0x1100, 0x115F},   {0x2E80, 0xA4CF},   {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},
		{0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},   {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF},
		{0x20000, 0x3FFFD},
	};
	static const struct range combining[] = {
		{0x0300, 0x036F}, {0x200B, 0x200F}, {0x20D0, 0x20F0}, {0xFE00, 0xFE0F},
	};
	if (character < 0x300)
		return 1;
	if (in_ranges(character, combining, sizeof combining / sizeof combining[0]))
		return 0;
	return in_ranges(character, wide, sizeof wide / sizeof wide[0]) ? 2 : 1;
}

bool utf8_is_bidi_control(uint32_t character)
{
	return (character >= 0x202A && character <= 0x202E) || (character >= 0x2066 && character <= 0x2069);
}
