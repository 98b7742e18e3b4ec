/* Characters of UTF-8 text. Private to src/lang. */
#ifndef CLUSTERD_LANG_UTF8_H
#define CLUSTERD_LANG_UTF8_H

#include "base/slice.h"

#include <stdint.h>

/* The character that `text` begins with. Returns its size in bytes; 0 when `text` is empty or does not begin with a
 * whole, shortest-form sequence of a Unicode scalar value (RFC 3629). */
size_t utf8_decode(struct slice text, uint32_t *ret_character);
/* Writes 1 to 4 bytes; returns how many. */
size_t utf8_encode(uint32_t character, char *ret_bytes);
/* Cc of Unicode: U+0000–001F, U+007F–009F. */
bool utf8_is_control(uint32_t character);
/* Columns on a terminal: 0 (combining), 1, or 2 (East Asian wide, emoji). */
uint32_t utf8_width(uint32_t character);
/* Characters that turn the direction of text around, so that what is shown is not what is there. */
bool utf8_is_bidi_control(uint32_t character);

#endif
