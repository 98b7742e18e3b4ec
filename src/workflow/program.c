#include "workflow/program.h"

#include "base/json.h"
#include "base/memory.h"
#include "workflow/definition.h"

#include <uthash.h>

/* How often a name of the source was given to a channel so far. */
struct name_use {
	UT_hash_handle hh;
	struct slice name;
	uint32_t count;
};

struct printer {
	const struct program *program;
	struct buffer *out;
	char **names; /* of channels */
};

/* Names that the printer makes itself: out, c7. */
static bool looks_generated(struct slice name)
{
	if (slice_is(name, "out"))
		return true;
	if (name.size < 2 || name.data[0] != 'c')
		return false;
	for (size_t i = 1; i < name.size; i++)
		if (name.data[i] < '0' || name.data[i] > '9')
			return false;
	return true;
}

/* The second channel of the same source name (a copy, or the variable of another arm) is x.1, the third x.2, … */
static char *name_source(struct name_use **uses, struct slice name)
{
	const char *mark = looks_generated(name) ? "'" : "";
	struct name_use *use;
	HASH_FIND(hh, *uses, name.data, name.size, use);
	if (use != NULL)
		return mem_format("%.*s%s.%u", SLICE_ARGS(name), mark, use->count++);
	use = mem_zero(sizeof *use);
	use->name = name;
	use->count = 1;
	HASH_ADD_KEYPTR(hh, *uses, use->name.data, use->name.size, use);
	return mem_format("%.*s%s", SLICE_ARGS(name), mark);
}

static char **name_channels(const struct program *program)
{
	char **names = mem_array(program->channel_count, sizeof *names);
	struct name_use *uses = NULL;
	for (uint32_t i = 0; i < program->channel_count; i++) {
		struct slice name = {NULL, 0};
		if (program->channel_names != NULL)
			name = program->channel_names[i];
		if (name.size != 0)
			names[i] = name_source(&uses, name);
		else if (i == program->param_count)
			names[i] = mem_string("out");
		else
			names[i] = mem_format("c%u", i);
	}
	struct name_use *use;
	struct name_use *next;
	HASH_ITER(hh, uses, use, next) {
		HASH_DEL(uses, use);
		mem_free(use);
	}
	return names;
}

static bool is_plain_key(struct slice key)
{
	for (size_t i = 0; i < key.size; i++) {
		char c = key.data[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
		if (!letter && !(i > 0 && c >= '0' && c <= '9'))
			return false;
	}
	return key.size != 0;
}

static void print_key(struct printer *printer, uint32_t index)
{
	struct slice key = printer->program->names[index];
	if (is_plain_key(key))
		buffer_append_slice(printer->out, key);
	else
		json_quote(printer->out, key);
}

static void print_channel(struct printer *printer, uint32_t channel)
{
	buffer_append_string(printer->out, printer->names[channel]);
}

/* "a, b": the operands from `from` on; `first_lead` stands before the first one. */
static void print_channels(struct printer *printer, const struct term *term, uint32_t from, const char *first_lead)
{
	const uint32_t *operands = printer->program->operands + term->first;
	for (uint32_t i = from; i < term->count; i++) {
		buffer_append_string(printer->out, i == from ? first_lead : ", ");
		print_channel(printer, operands[i]);
	}
}

static void print_block(struct printer *printer, uint32_t block, uint32_t indent);

static void print_indent(struct printer *printer, uint32_t indent)
{
	for (uint32_t i = 0; i < indent; i++)
		buffer_append_string(printer->out, "  ");
}

static void print_case(struct printer *printer, const struct term *term, uint32_t indent)
{
	const uint32_t *operands = printer->program->operands + term->first;
	buffer_append_string(printer->out, "WithIn(");
	print_channel(printer, term->subject);
	buffer_append_string(printer->out, ";\n");
	for (uint32_t i = 0; i < term->count; i += 3) {
		print_indent(printer, indent + 1);
		if (operands[i] == TERM_ANY_LABEL)
			buffer_append_char(printer->out, '_');
		else
			print_key(printer, operands[i]);
		if (operands[i + 1] != TERM_NO_CHANNEL) {
			buffer_append_char(printer->out, ' ');
			print_channel(printer, operands[i + 1]);
		}
		buffer_append_string(printer->out, " →\n");
		print_block(printer, operands[i + 2], indent + 2);
		buffer_append_string(printer->out, i + 3 < term->count ? ",\n" : ")");
	}
}

static void print_record(struct printer *printer, const struct term *term)
{
	const uint32_t *operands = printer->program->operands + term->first;
	buffer_append_string(printer->out, "RecOut(");
	print_channel(printer, term->subject);
	for (uint32_t i = 0; i < term->count; i += 2) {
		buffer_append_string(printer->out, i == 0 ? "; " : ", ");
		print_key(printer, operands[i]);
		buffer_append_char(printer->out, '=');
		print_channel(printer, operands[i + 1]);
	}
	buffer_append_char(printer->out, ')');
}

static void print_call(struct printer *printer, const struct term *term)
{
	const struct definition *callee = printer->program->callees[term->index];
	buffer_format(printer->out, "Call(%.*s", SLICE_ARGS(callee->name));
	if (callee->version != 0)
		buffer_format(printer->out, "@%u", callee->version);
	print_channels(printer, term, 0, ", ");
	buffer_append_string(printer->out, "; ");
	print_channel(printer, term->subject);
	buffer_append_char(printer->out, ')');
}

static void print_each(struct printer *printer, const struct term *term)
{
	const uint32_t *operands = printer->program->operands + term->first;
	buffer_append_string(printer->out, "Each(");
	print_channel(printer, term->subject);
	buffer_append_string(printer->out, ", ");
	buffer_append_slice(printer->out, printer->program->bodies[term->index]->name);
	print_channels(printer, term, 2, ", ");
	buffer_append_string(printer->out, "; ");
	print_channel(printer, operands[0]);
	if (operands[1] != 0)
		buffer_format(printer->out, "; %u", operands[1]);
	buffer_append_char(printer->out, ')');
}

/* What has a result that goes out on the subject, and inputs before it. */
static void print_served(struct printer *printer, const struct term *term)
{
	if (term->kind == TERM_SLEEP) {
		buffer_append_string(printer->out, "Sleep(");
		print_channels(printer, term, 0, "");
	} else {
		buffer_append_string(printer->out, "Signal(");
		json_quote(printer->out, printer->program->names[term->index]);
		print_channels(printer, term, 0, ", ");
	}
	buffer_append_string(printer->out, "; ");
	print_channel(printer, term->subject);
	buffer_append_char(printer->out, ')');
}

/* Kind(subject; operands). */
static void print_plain(struct printer *printer, const struct term *term)
{
	static const char *const kinds[] = {
		[TERM_ID] = "Id",          [TERM_CONSTANT] = "Out",   [TERM_PAIR_OUT] = "ParOut",
		[TERM_LIST_OUT] = "ListOut", [TERM_SELECT] = "Select", [TERM_PAIR_IN] = "ParIn",
		[TERM_MEMBER] = "Member",  [TERM_COPY] = "Copy",      [TERM_DISCARD] = "Discard",
	};
	buffer_format(printer->out, "%s(", kinds[term->kind]);
	print_channel(printer, term->subject);
	const char *lead = "; ";
	if (term->kind == TERM_ID || term->kind == TERM_SELECT)
		lead = ", ";
	if (term->kind == TERM_CONSTANT) {
		buffer_append_string(printer->out, ", ");
		buffer_append_slice(printer->out, text_slice(printer->program->constants[term->index]));
	}
	if (term->kind == TERM_MEMBER || term->kind == TERM_SELECT) {
		buffer_append_string(printer->out, ", ");
		print_key(printer, term->index);
	}
	print_channels(printer, term, 0, lead);
	buffer_append_char(printer->out, ')');
}

static void print_term(struct printer *printer, const struct term *term, uint32_t indent)
{
	switch (term->kind) {
	case TERM_CASE:
		print_case(printer, term, indent);
		break;
	case TERM_AFTER:
		buffer_append_string(printer->out, "After(");
		print_channel(printer, term->subject);
		buffer_append_string(printer->out, ";\n");
		print_block(printer, printer->program->operands[term->first], indent + 1);
		buffer_append_char(printer->out, ')');
		break;
	case TERM_CALL:
		print_call(printer, term);
		break;
	case TERM_EACH:
		print_each(printer, term);
		break;
	case TERM_RECORD_OUT:
		print_record(printer, term);
		break;
	case TERM_SLEEP:
	case TERM_SIGNAL:
		print_served(printer, term);
		break;
	default:
		print_plain(printer, term);
	}
}

/* Without the end of the last line, so that the caller can close its bracket there. */
static void print_block(struct printer *printer, uint32_t block, uint32_t indent)
{
	const struct term_block *terms = &printer->program->blocks[block];
	for (uint32_t i = 0; i < terms->count; i++) {
		if (i > 0)
			buffer_append_char(printer->out, '\n');
		print_indent(printer, indent);
		print_term(printer, &printer->program->terms[terms->first + i], indent);
	}
}

void program_print(const struct program *program, struct buffer *out)
{
	struct printer printer = {program, out, name_channels(program)};
	buffer_append_slice(out, program->name);
	buffer_append_char(out, '(');
	for (uint32_t i = 0; i < program->param_count; i++) {
		buffer_append_string(out, i > 0 ? ", " : "");
		print_channel(&printer, i);
	}
	buffer_append_string(out, "; ");
	print_channel(&printer, program->param_count);
	buffer_append_string(out, ")\n");
	print_block(&printer, 0, 1);
	buffer_append_char(out, '\n');
	for (uint32_t i = 0; i < program->channel_count; i++)
		mem_free(printer.names[i]);
	mem_free(printer.names);
	for (uint32_t i = 0; i < program->body_count; i++) {
		buffer_append_char(out, '\n');
		program_print(program->bodies[i], out);
	}
}
