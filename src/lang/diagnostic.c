#include "lang/diagnostic.h"

#include "base/memory.h"
#include "lang/excerpt.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct slice span_text(struct span span)
{
	if (span.source == NULL)
		return (struct slice){"", 0};
	return (struct slice){span.source->text.data + span.offset, span.size};
}

struct span span_join(struct span first, struct span last)
{
	assert(first.source == last.source && last.offset + last.size >= first.offset);
	return (struct span){first.source, first.offset, last.offset + last.size - first.offset};
}

void span_position(struct span span, uint32_t *ret_line, uint32_t *ret_column)
{
	uint32_t line = 1;
	uint32_t column = 1;
	struct slice text = span.source != NULL ? span.source->text : (struct slice){"", 0};
	const char *line_start = text.data;
	const char *place = text.data + span.offset;
	assert(span.offset <= text.size);
	while (line_start < place) {
		const char *end = memchr(line_start, '\n', (size_t)(place - line_start));
		if (end == NULL)
			break;
		line_start = end + 1;
		line++;
	}
	for (; line_start < place; line_start++)
		column += ((unsigned char)*line_start & 0xC0) != 0x80; /* the first byte of a character */
	*ret_line = line;
	*ret_column = column;
}

void diagnostics_finish(struct diagnostics *diagnostics)
{
	arena_finish(&diagnostics->arena);
	mem_free(diagnostics->entries);
	*diagnostics = (struct diagnostics){0};
}

static const char *format_text(struct diagnostics *diagnostics, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));
static const char *format_text(struct diagnostics *diagnostics, const char *format, va_list args)
{
	va_list again;
	va_copy(again, args);
	int length = vsnprintf(NULL, 0, format, args);
	assert(length >= 0);
	char *text = arena_alloc(&diagnostics->arena, (size_t)length + 1);
	vsnprintf(text, (size_t)length + 1, format, again);
	va_end(again);
	return text;
}

struct diagnostic *diagnostics_addv(struct diagnostics *diagnostics, enum severity severity, struct span span,
                                    const char *format, va_list args)
{
	size_t *made = severity == SEVERITY_ERROR ? &diagnostics->error_count : &diagnostics->warning_count;
	if (++*made > DIAGNOSTICS_KEPT_MAX)
		return &diagnostics->spare;

	struct diagnostic *diagnostic = arena_alloc(&diagnostics->arena, sizeof *diagnostic);
	diagnostic->severity = severity;
	diagnostic->span = span;
	diagnostic->order = (uint32_t)diagnostics->count;
	diagnostic->message = format_text(diagnostics, format, args);
	mem_grow(diagnostics->entries, diagnostics->capacity, diagnostics->count + 1);
	diagnostics->entries[diagnostics->count++] = diagnostic;
	return diagnostic;
}

struct diagnostic *diagnostics_error(struct diagnostics *diagnostics, struct span span, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	struct diagnostic *diagnostic = diagnostics_addv(diagnostics, SEVERITY_ERROR, span, format, args);
	va_end(args);
	return diagnostic;
}

struct diagnostic *diagnostics_warning(struct diagnostics *diagnostics, struct span span, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	struct diagnostic *diagnostic = diagnostics_addv(diagnostics, SEVERITY_WARNING, span, format, args);
	va_end(args);
	return diagnostic;
}

void diagnostics_hint(struct diagnostics *diagnostics, struct diagnostic *diagnostic, const char *format, ...)
{
	va_list args;
	if (diagnostic == &diagnostics->spare)
		return;
	va_start(args, format);
	diagnostic->hint = format_text(diagnostics, format, args);
	va_end(args);
}

void diagnostics_note(struct diagnostics *diagnostics, struct diagnostic *diagnostic, struct span span,
                      const char *format, ...)
{
	va_list args;
	if (diagnostic == &diagnostics->spare)
		return;
	va_start(args, format);
	diagnostic->note = format_text(diagnostics, format, args);
	diagnostic->note_span = span;
	va_end(args);
}

/* By place: what belongs to no place first. */
static int compare_places(const void *left, const void *right)
{
	const struct diagnostic *a = *(struct diagnostic *const *)left;
	const struct diagnostic *b = *(struct diagnostic *const *)right;
	int64_t index_a = a->span.source != NULL ? (int64_t)a->span.source->index : -1;
	int64_t index_b = b->span.source != NULL ? (int64_t)b->span.source->index : -1;
	if (index_a != index_b)
		return index_a < index_b ? -1 : 1;
	if (a->span.offset != b->span.offset)
		return a->span.offset < b->span.offset ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

static uint32_t digits_of(uint32_t number)
{
	uint32_t digits = 1;
	while (number >= 10) {
		number /= 10;
		digits++;
	}
	return digits;
}

static uint32_t gutter_of(struct span span)
{
	uint32_t line;
	uint32_t column;
	if (span.source == NULL)
		return 1;
	span_position(span, &line, &column);
	return digits_of(line);
}

static void render_place(struct span span, const char *kind, const char *text, struct buffer *out)
{
	uint32_t line;
	uint32_t column;
	if (span.source != NULL) {
		span_position(span, &line, &column);
		excerpt_append_plain(span.source->path, out);
		buffer_format(out, ":%u:%u: ", line, column);
	}
	buffer_format(out, "%s: ", kind);
	excerpt_append_plain(slice_of(text), out);
	buffer_append_char(out, '\n');
}

static void render_one(const struct diagnostic *diagnostic, struct buffer *out)
{
	uint32_t gutter = gutter_of(diagnostic->span);
	if (diagnostic->note != NULL && gutter_of(diagnostic->note_span) > gutter)
		gutter = gutter_of(diagnostic->note_span);
	const char *kind = diagnostic->severity == SEVERITY_ERROR ? "error" : "warning";

	render_place(diagnostic->span, kind, diagnostic->message, out);
	if (diagnostic->span.source != NULL)
		excerpt_append(diagnostic->span, gutter, out);
	if (diagnostic->note != NULL) {
		render_place(diagnostic->note_span, "note", diagnostic->note, out);
		if (diagnostic->note_span.source != NULL)
			excerpt_append(diagnostic->note_span, gutter, out);
	}
	if (diagnostic->hint != NULL) {
		buffer_format(out, "  %*s = hint: ", (int)gutter, "");
		excerpt_append_plain(slice_of(diagnostic->hint), out);
		buffer_append_char(out, '\n');
	}
}

static void render_rest(size_t errors, size_t warnings, struct buffer *out)
{
	if (errors == 0 && warnings == 0)
		return;
	buffer_append_string(out, "\nand ");
	if (errors != 0)
		buffer_format(out, "%zu more error%s", errors, errors == 1 ? "" : "s");
	if (errors != 0 && warnings != 0)
		buffer_append_string(out, " and ");
	if (warnings != 0)
		buffer_format(out, "%zu more warning%s", warnings, warnings == 1 ? "" : "s");
	buffer_append_char(out, '\n');
}

void diagnostics_render(const struct diagnostics *diagnostics, struct buffer *out)
{
	size_t room = DIAGNOSTICS_SHOWN_MAX;
	size_t errors = diagnostics->error_count < room ? diagnostics->error_count : room;
	size_t warnings = diagnostics->warning_count < room - errors ? diagnostics->warning_count : room - errors;
	size_t errors_shown = 0;
	size_t warnings_shown = 0;
	if (diagnostics->count == 0)
		return;

	struct diagnostic **sorted = mem_copy(diagnostics->entries, diagnostics->count * sizeof *sorted);
	qsort(sorted, diagnostics->count, sizeof *sorted, compare_places);
	for (size_t i = 0; i < diagnostics->count; i++) {
		bool is_error = sorted[i]->severity == SEVERITY_ERROR;
		if (is_error ? errors_shown == errors : warnings_shown == warnings)
			continue;
		if (errors_shown + warnings_shown > 0)
			buffer_append_char(out, '\n');
		render_one(sorted[i], out);
		if (is_error)
			errors_shown++;
		else
			warnings_shown++;
	}
	mem_free(sorted);
	render_rest(diagnostics->error_count - errors_shown, diagnostics->warning_count - warnings_shown, out);
}
