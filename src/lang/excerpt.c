#include "lang/excerpt.h"

#include "lang/utf8.h"

#define REPLACEMENT "\xEF\xBF\xBD"
#define ELLIPSIS "\xE2\x80\xA6"

/* One character of a line as it is shown. */
struct cell {
	size_t size;        /* bytes in the source */
	uint32_t width;     /* columns */
	struct slice shown; /* for a tab: empty, `width` spaces */
};

static struct cell cell_at(struct slice rest)
{
	uint32_t character = 0;
	size_t size = utf8_decode(rest, &character);
	if (size == 1 && character == '\t')
		return (struct cell){1, EXCERPT_TAB, {NULL, 0}};
	if (size == 0 || utf8_is_control(character) || utf8_is_bidi_control(character))
		return (struct cell){size == 0 ? 1 : size, 1, SLICE(REPLACEMENT)};
	return (struct cell){size, utf8_width(character), {rest.data, size}};
}

static struct slice rest_of(struct slice text, size_t offset)
{
	return (struct slice){text.data + offset, text.size - offset};
}

static void append_repeated(struct buffer *out, char character, size_t count)
{
	memset(buffer_reserve(out, count), character, count);
	out->size += count;
}

static void append_cell(struct buffer *out, struct cell cell)
{
	if (cell.shown.size == 0)
		append_repeated(out, ' ', cell.width);
	else
		buffer_append_slice(out, cell.shown);
}

void excerpt_append_plain(struct slice text, struct buffer *out)
{
	for (size_t offset = 0; offset < text.size;) {
		struct cell cell = cell_at(rest_of(text, offset));
		append_cell(out, cell);
		offset += cell.size;
	}
}

/* The line a span begins on, without its end of line. */
static struct slice line_of(struct span span, size_t *ret_offset)
{
	struct slice text = span.source->text.size != 0 ? span.source->text : SLICE("");
	const char *newline = memrchr(text.data, '\n', span.offset);
	const char *first = newline != NULL ? newline + 1 : text.data;
	const char *place = text.data + span.offset;
	const char *last = memchr(place, '\n', text.size - span.offset);
	if (last == NULL)
		last = text.data + text.size;
	if (last > first && last[-1] == '\r')
		last--;
	*ret_offset = (size_t)((place < last ? place : last) - first);
	return (struct slice){first, (size_t)(last - first)};
}

/* Where in the line to begin, so that the caret is in view: of a long line `before` columns to its left stay. */
static size_t window_start(struct slice line, size_t caret, uint32_t before)
{
	uint32_t width = 0;
	size_t start = caret;
	size_t near = caret;
	while (start > 0 && width <= EXCERPT_WIDTH - before) {
		size_t previous = start - 1;
		while (previous > 0 && start - previous < 4 && ((unsigned char)line.data[previous] & 0xC0) == 0x80)
			previous--;
		struct cell cell = cell_at(rest_of(line, previous));
		width += cell.width > 0 ? cell.width : 1;
		start = previous;
		if (width <= before)
			near = start;
	}
	return start == 0 && width <= EXCERPT_WIDTH - before ? 0 : near;
}

void excerpt_append(struct span span, uint32_t gutter, struct buffer *out)
{
	size_t caret;
	uint32_t number;
	uint32_t column;
	struct slice line = line_of(span, &caret);
	size_t caret_end = caret + span.size;
	size_t offset = window_start(line, caret, EXCERPT_WIDTH / 3);
	uint32_t shown = 0;
	uint32_t indent = 0;
	uint32_t marked = 0;

	span_position(span, &number, &column);
	buffer_format(out, "  %*u | ", (int)gutter, number);
	if (offset > 0) {
		buffer_append_string(out, ELLIPSIS);
		indent++;
	}
	while (offset < line.size && shown < EXCERPT_WIDTH) {
		struct cell cell = cell_at(rest_of(line, offset));
		append_cell(out, cell);
		if (offset < caret)
			indent += cell.width;
		else if (offset < caret_end)
			marked += cell.width;
		shown += cell.width > 0 ? cell.width : 1; /* a run of marks must end, too */
		offset += cell.size;
	}
	if (offset < line.size)
		buffer_append_string(out, ELLIPSIS);
	buffer_append_char(out, '\n');
	append_repeated(out, ' ', gutter + 2);
	buffer_append_string(out, " | ");
	append_repeated(out, ' ', indent);
	append_repeated(out, '^', marked == 0 ? 1 : marked);
	buffer_append_char(out, '\n');
}
