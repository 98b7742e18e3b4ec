#include "oracle.h"

#include "base/json.h"

struct writer {
	const struct world *world;
	struct arena arena;
	struct random *random;
	struct buffer *out;
	bool unknown;
};

static uint32_t draw(struct writer *writer, uint32_t bound)
{
	return (uint32_t)random_below(writer->random, bound);
}

static void space(struct writer *writer)
{
	static const char *const spaces[] = {"", "", "", "", " ", "\n", "\t ", "\r\n"};
	buffer_append_string(writer->out, spaces[draw(writer, 8)]);
}

/* A string with one of its first characters, if that is a letter, as an escape. */
static void write_string(struct writer *writer, struct slice quoted)
{
	size_t escaped = draw(writer, 3) == 0 ? 1 + draw(writer, 3) : 0;
	for (size_t i = 0; i < quoted.size; i++) {
		char c = quoted.data[i];
		bool letter = (c >= 'a' && c <= 'z') && (i == 0 || quoted.data[i - 1] != '\\');
		if (i == escaped && letter && memchr(quoted.data, '\\', quoted.size) == NULL)
			buffer_format(writer->out, "\\u%04x", (unsigned)c);
		else
			buffer_append_char(writer->out, c);
	}
}

static void write_key(struct writer *writer, struct slice key)
{
	struct buffer quoted = BUFFER_EMPTY;
	json_quote(&quoted, key);
	space(writer);
	write_string(writer, buffer_slice(&quoted));
	space(writer);
	buffer_append_char(writer->out, ':');
	buffer_finish(&quoted);
}

static void write_value(struct writer *writer, const struct plain *value, const struct syntax_type *type);

/* It may be left out: a default fills it in. */
static bool is_default(struct writer *writer, const struct syntax_member *member, const struct plain *value)
{
	struct buffer left = BUFFER_EMPTY;
	struct buffer right = BUFFER_EMPTY;
	if (member->default_value == NULL)
		return false;
	plain_canonical(value, &left);
	plain_canonical(oracle_constant(writer->world, &writer->arena, member->default_value, member->type), &right);
	bool equal = slice_equal(buffer_slice(&left), buffer_slice(&right));
	buffer_finish(&left);
	buffer_finish(&right);
	return equal;
}

static void write_unknown(struct writer *writer, bool *any)
{
	static const char *const members[] = {"\"zz\":1", "\"zy\" : {\"a\":[]}", "\"\\u007az2\":null"};
	if (!writer->unknown || draw(writer, 4) != 0)
		return;
	buffer_append_string(writer->out, *any ? "," : "");
	buffer_append_string(writer->out, members[draw(writer, 3)]);
	*any = true;
	writer->unknown = false; /* the same key may not be there twice */
}

static void write_record(struct writer *writer, const struct plain *value, const struct syntax_type *type)
{
	bool any = false;
	bool unknown = writer->unknown;
	uint32_t first = value->count > 0 ? draw(writer, value->count) : 0;
	buffer_append_char(writer->out, '{');
	for (uint32_t i = 0; i < value->count; i++) {
		uint32_t index = (first + i) % value->count;
		const struct syntax_member *member = &type->members[0];
		while (!slice_equal(member->name.text, value->keys[index]))
			member++;
		if (is_default(writer, member, value->items[index]) && draw(writer, 2) == 0)
			continue;
		write_unknown(writer, &any);
		buffer_append_string(writer->out, any ? "," : "");
		bool outer = writer->unknown;
		writer->unknown = unknown;
		write_key(writer, value->keys[index]);
		write_value(writer, value->items[index], member->type);
		writer->unknown = outer;
		any = true;
	}
	write_unknown(writer, &any);
	writer->unknown = unknown;
	space(writer);
	buffer_append_char(writer->out, '}');
}

static void write_labelled(struct writer *writer, const struct plain *value, const struct syntax_type *type)
{
	const struct syntax_type *payload = NULL;
	if (type->kind == SYNTAX_TYPE_SUM)
		payload = type->parts[slice_is(value->keys[0], "right")];
	for (uint32_t i = 0; type->kind == SYNTAX_TYPE_CHOICE && i < type->member_count; i++)
		if (slice_equal(type->members[i].name.text, value->keys[0]))
			payload = type->members[i].type;
	buffer_append_char(writer->out, '{');
	write_key(writer, value->keys[0]);
	write_value(writer, value->items[0], payload);
	buffer_append_char(writer->out, '}');
}

static void write_items(struct writer *writer, const struct plain *value, const struct syntax_type *type)
{
	buffer_append_char(writer->out, '[');
	for (uint32_t i = 0; i < value->count; i++) {
		buffer_append_string(writer->out, i > 0 ? "," : "");
		write_value(writer, value->items[i], type->parts[type->kind == SYNTAX_TYPE_PAIR ? i : 0]);
	}
	space(writer);
	buffer_append_char(writer->out, ']');
}

static void write_value(struct writer *writer, const struct plain *value, const struct syntax_type *type)
{
	type = world_resolve(writer->world, type);
	space(writer);
	if (value->kind == PLAIN_LEAF && value->text.data[0] == '"')
		write_string(writer, value->text);
	else if (value->kind == PLAIN_LEAF || type->kind == SYNTAX_TYPE_NAME)
		plain_print(value, writer->out);
	else if (type->kind == SYNTAX_TYPE_RECORD)
		write_record(writer, value, type);
	else if (value->kind == PLAIN_OBJECT)
		write_labelled(writer, value, type);
	else
		write_items(writer, value, type);
	space(writer);
}

void oracle_untidy(const struct world *world, const struct plain *value, const struct syntax_type *type, bool unknown,
                   struct random *random, struct buffer *out)
{
	struct writer writer = {.world = world, .random = random, .out = out, .unknown = unknown};
	write_value(&writer, value, type);
	arena_finish(&writer.arena);
}
