/* The line of a source that a span points to, as it is shown to a person. Private to src/lang. */
#ifndef CLUSTERD_LANG_EXCERPT_H
#define CLUSTERD_LANG_EXCERPT_H

#include "base/buffer.h"
#include "lang/diagnostic.h"

#define EXCERPT_WIDTH 100u /* columns of a line that are shown at most */
#define EXCERPT_TAB 4u     /* a tab is shown as this many spaces */

/* Appends two lines, "  12 | …" and "     |   ^^^", with the number right-aligned in `gutter` columns. A span over
 * several lines is underlined to the end of its first; of a long line the part around the caret is shown. */
void excerpt_append(struct span span, uint32_t gutter, struct buffer *out);
/* Appends text with everything that would disturb a terminal as U+FFFD. */
void excerpt_append_plain(struct slice text, struct buffer *out);

#endif
