#include "coordinator/topic_schema.h"

#include "base/json.h"
#include "base/memory.h"
#include "lang/parser.h"

#include <stdlib.h>

/* --- printing ------------------------------------------------------------------------------------------------------ */

static void print(const struct syntax_type *type, struct buffer *out);

static int compare_members(const void *left, const void *right)
{
	const struct syntax_member *a = left;
	const struct syntax_member *b = right;
	return slice_compare(a->name.text, b->name.text);
}

static void print_members(const struct syntax_type *type, struct buffer *out)
{
	bool record = type->kind == SYNTAX_TYPE_RECORD;
	struct syntax_member *sorted = mem_array(type->member_count, sizeof *sorted);
	memcpy(sorted, type->members, type->member_count * sizeof *sorted);
	qsort(sorted, type->member_count, sizeof *sorted, compare_members);
	for (uint32_t i = 0; i < type->member_count; i++) {
		if (i > 0)
			buffer_append_string(out, record ? ", " : " | ");
		if (!record || parser_is_name(sorted[i].name.text))
			buffer_append_slice(out, sorted[i].name.text);
		else
			json_quote(out, sorted[i].name.text);
		if (sorted[i].type == NULL)
			continue;
		buffer_append_string(out, record ? ": " : "(");
		print(sorted[i].type, out);
		if (!record)
			buffer_append_char(out, ')');
	}
	mem_free(sorted);
}

/* Both operators take their right side as long as it goes, and * goes before +. */
static void print_part(const struct syntax_type *type, bool enclosed, struct buffer *out)
{
	if (enclosed)
		buffer_append_char(out, '(');
	print(type, out);
	if (enclosed)
		buffer_append_char(out, ')');
}

static bool is_operator(const struct syntax_type *type)
{
	return type->kind == SYNTAX_TYPE_PAIR || type->kind == SYNTAX_TYPE_SUM;
}

static void print(const struct syntax_type *type, struct buffer *out)
{
	switch (type->kind) {
	case SYNTAX_TYPE_NAME:
		if (slice_is(type->name, "Failure"))
			buffer_append_string(out, "{cause: Cause, message: Text, process: Text}");
		else
			buffer_append_slice(out, type->name);
		break;
	case SYNTAX_TYPE_UNIT:
		buffer_append_string(out, "()");
		break;
	case SYNTAX_TYPE_PAIR:
		print_part(type->parts[0], is_operator(type->parts[0]), out);
		buffer_append_string(out, " * ");
		print_part(type->parts[1], type->parts[1]->kind == SYNTAX_TYPE_SUM, out);
		break;
	case SYNTAX_TYPE_SUM:
		print_part(type->parts[0], type->parts[0]->kind == SYNTAX_TYPE_SUM, out);
		buffer_append_string(out, " + ");
		print_part(type->parts[1], false, out);
		break;
	case SYNTAX_TYPE_LIST:
		buffer_append_char(out, '[');
		print(type->parts[0], out);
		buffer_append_char(out, ']');
		break;
	case SYNTAX_TYPE_RECORD:
		buffer_append_char(out, '{');
		print_members(type, out);
		buffer_append_char(out, '}');
		break;
	case SYNTAX_TYPE_CHOICE:
		print_members(type, out);
		break;
	}
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

/* Appends the type; false, and `out` as it was: the text is none. */
static bool append_type(struct slice text, struct buffer *out)
{
	struct buffer declaration = BUFFER_EMPTY;
	struct syntax syntax;
	struct diagnostics diagnostics = {0};
	struct error error;
	bool is_type = false;
	buffer_append_string(&declaration, "type S = ");
	buffer_append_slice(&declaration, text);
	struct source source = {SLICE("schema"), buffer_slice(&declaration), 0};
	int code = parser_parse(&source, 1, &syntax, &diagnostics, &error);
	if (code == 0 && syntax.files[0].declaration_count == 1 && syntax.files[0].declarations[0].kind == SYNTAX_TYPE) {
		is_type = true;
		print(syntax.files[0].declarations[0].type, out);
	}
	if (code != ERR_LIMIT)
		syntax_finish(&syntax);
	diagnostics_finish(&diagnostics);
	buffer_finish(&declaration);
	return is_type;
}

/* Where the comma is that ends what begins at `from`, or the end. SIZE_MAX: brackets or quotes do not match. */
static size_t argument_end(struct slice text, size_t from)
{
	int depth = 0;
	bool quoted = false;
	for (size_t i = from; i < text.size; i++) {
		char character = text.data[i];
		if (quoted) {
			if (character == '\\')
				i++;
			quoted = character != '"';
		} else if (character == '"') {
			quoted = true;
		} else if (character == '(' || character == '[' || character == '{') {
			depth++;
		} else if (character == ')' || character == ']' || character == '}') {
			depth--;
		} else if (character == ',' && depth == 0) {
			return i;
		}
		if (depth < 0)
			return SIZE_MAX;
	}
	return depth == 0 && !quoted ? text.size : SIZE_MAX;
}

/* "WORD(TYPE, …)", WORD in small letters. */
static bool append_wrapped(struct slice text, struct buffer *out)
{
	size_t size = out->size;
	size_t word = 0;
	while (word < text.size && text.data[word] >= 'a' && text.data[word] <= 'z')
		word++;
	struct slice inside = json_trim((struct slice){text.data + word, text.size - word});
	if (word == 0 || inside.size < 2 || inside.data[0] != '(' || inside.data[inside.size - 1] != ')')
		return false;
	buffer_append(out, text.data, word);
	buffer_append_char(out, '(');
	inside = (struct slice){inside.data + 1, inside.size - 2};
	for (size_t at = 0; at <= inside.size;) {
		size_t end = argument_end(inside, at);
		if (at > 0)
			buffer_append_string(out, ", ");
		if (end == SIZE_MAX || !append_type((struct slice){inside.data + at, end - at}, out)) {
			out->size = size;
			return false;
		}
		at = end + 1;
	}
	buffer_append_char(out, ')');
	return true;
}

void topic_schema(struct slice text, struct buffer *out)
{
	struct slice trimmed = json_trim(text);
	if (trimmed.size == 0 || append_wrapped(trimmed, out) || append_type(trimmed, out))
		return;
	buffer_append_slice(out, trimmed);
}
