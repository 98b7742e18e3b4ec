#include "workflow/type.h"

#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "workflow/type_internal.h"

#include <assert.h>
#include <stdlib.h>

/* What binds tighter may stand inside what binds looser without parentheses. */
enum precedence { PRECEDENCE_CHOICE, PRECEDENCE_SUM, PRECEDENCE_PAIR, PRECEDENCE_ATOM };

struct printer {
	struct buffer *out;
	size_t end; /* of what may be written; a type that shares its parts can be far larger in print than in memory */
};

static void print(const struct printer *printer, const struct type *type, enum precedence least);

static bool is_full(const struct printer *printer)
{
	return printer->out->size > printer->end;
}

/* A KEY: bare when it is a word, else a string. */
static void print_key(const struct printer *printer, struct slice name)
{
	bool word = name.size > 0 && name.data[0] >= 'a' && name.data[0] <= 'z';
	for (size_t i = 0; word && i < name.size; i++) {
		char c = name.data[i];
		word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
	}
	if (word)
		buffer_append_slice(printer->out, name);
	else
		json_quote(printer->out, name);
}

static void print_record(const struct printer *printer, const struct type *type)
{
	buffer_append_char(printer->out, '{');
	for (uint32_t i = 0; i < type->member_count && !is_full(printer); i++) {
		const struct type_member *member = &type->members[i];
		if (i > 0)
			buffer_append_string(printer->out, ", ");
		print_key(printer, member->name);
		buffer_append_string(printer->out, ": ");
		print(printer, member->type, PRECEDENCE_CHOICE);
		if (!member->has_default)
			continue;
		buffer_append_string(printer->out, " = ");
		buffer_append_slice(printer->out, member->default_json);
		if (member->type->kind == TYPE_DURATION)
			buffer_append_string(printer->out, "ms");
	}
	buffer_append_char(printer->out, '}');
}

static void print_labels(const struct printer *printer, const struct type *type)
{
	for (uint32_t i = 0; i < type->member_count && !is_full(printer); i++) {
		const struct type_member *label = &type->members[i];
		if (i > 0)
			buffer_append_string(printer->out, " | ");
		buffer_append_slice(printer->out, label->name);
		if (label->type == NULL)
			continue;
		buffer_append_char(printer->out, '(');
		print(printer, label->type, PRECEDENCE_CHOICE);
		buffer_append_char(printer->out, ')');
	}
}

static enum precedence precedence_of(const struct type *type)
{
	switch (type->kind) {
	case TYPE_CHOICE:
		return PRECEDENCE_CHOICE;
	case TYPE_SUM:
		return PRECEDENCE_SUM;
	case TYPE_PAIR:
		return PRECEDENCE_PAIR;
	default:
		return PRECEDENCE_ATOM;
	}
}

static const char *word_of(const struct type *type)
{
	switch (type->kind) {
	case TYPE_JSON:
		return "Json";
	case TYPE_UNIT:
		return "()";
	case TYPE_TEXT:
		return "Text";
	case TYPE_NUMBER:
		return "Number";
	case TYPE_BOOL:
		return "Bool";
	case TYPE_DURATION:
		return "Duration";
	default:
		return NULL;
	}
}

static void print_composite(const struct printer *printer, const struct type *type)
{
	switch (type->kind) {
	case TYPE_OPEN:
		buffer_append_slice(printer->out, type->name);
		break;
	case TYPE_PAIR:
		print(printer, type->parts[0], PRECEDENCE_ATOM);
		buffer_append_string(printer->out, " * ");
		print(printer, type->parts[1], PRECEDENCE_PAIR);
		break;
	case TYPE_SUM:
		print(printer, type->parts[0], PRECEDENCE_PAIR);
		buffer_append_string(printer->out, " + ");
		print(printer, type->parts[1], PRECEDENCE_SUM);
		break;
	case TYPE_LIST:
		buffer_append_char(printer->out, '[');
		print(printer, type->parts[0], PRECEDENCE_CHOICE);
		buffer_append_char(printer->out, ']');
		break;
	case TYPE_RECORD:
		print_record(printer, type);
		break;
	case TYPE_CHOICE:
		print_labels(printer, type);
		break;
	default:
		assert(word_of(type) != NULL);
		buffer_append_string(printer->out, word_of(type));
	}
}

static void print(const struct printer *printer, const struct type *type, enum precedence least)
{
	if (is_full(printer))
		return;
	bool enclose = precedence_of(type) < least;
	if (enclose)
		buffer_append_char(printer->out, '(');
	print_composite(printer, type);
	if (enclose)
		buffer_append_char(printer->out, ')');
}

void type_print_cut(const struct type *type, size_t size, struct buffer *out)
{
	size_t start = out->size;
	struct printer printer = {out, start + size};
	print(&printer, type, PRECEDENCE_CHOICE);
	if (out->size <= printer.end)
		return;
	out->size = start + utf8_cut((struct slice){out->data + start, out->size - start}, size).size;
	buffer_append_string(out, "…");
}

void type_print(const struct type *type, struct buffer *out)
{
	type_print_cut(type, TYPE_PRINT_SIZE, out);
}

static int compare_names(const void *left, const void *right)
{
	const struct type_member *const *a = left;
	const struct type_member *const *b = right;
	return slice_compare((*a)->name, (*b)->name);
}

const struct type_member **type_sorted_members(const struct type *type)
{
	const struct type_member **members = mem_array(type->member_count, sizeof *members);
	for (uint32_t i = 0; i < type->member_count; i++)
		members[i] = &type->members[i];
	qsort(members, type->member_count, sizeof *members, compare_names);
	return members;
}
