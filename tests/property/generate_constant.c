#include "generator.h"

#include "base/json.h"

#include <assert.h>
#include <ctype.h>

static const char *const reserved[] = {"case", "each", "in",   "race",  "try",  "else",  "fail", "undo",  "after",
                                       "with", "as",   "left", "right", "true", "false", "null", "sleep", "signal"};

static bool is_reserved(const char *word)
{
	for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
		if (strcmp(word, reserved[i]) == 0)
			return true;
	return false;
}

/* Neighbours differ, so that those of one record do. */
const char *random_key(struct generator *g, uint32_t index)
{
	static const char *const keys[] = {"a",    "b",     "n", "name",  "each", "two words",
	                                   "left", "größe", "c", "limit", "q\"q"};
	(void)g;
	return keys[index % 11];
}

const char *random_label(struct generator *g, uint32_t index)
{
	static const char *const labels[] = {"red", "green", "more", "done", "type", "job",
	                                     "l1",  "r_2",   "in2",  "blue", "limit"};
	(void)g;
	return labels[index % 11];
}

const char *random_variable_name(struct generator *g)
{
	static const char *const odd[] = {"limit", "type", "job", "process", "workflow", "latest", "lefty", "x_1"};
	char name[8] = "a";
	if (choose_if(g->choices, 6))
		return odd[choose(g->choices, 8)];
	name[0] = (char)('a' + choose(g->choices, 26));
	if (choose_if(g->choices, 30))
		name[1] = (char)('0' + choose(g->choices, 10));
	return arena_string(&g->arena, slice_of(name));
}

static bool is_plain_key(const char *key)
{
	if (is_reserved(key))
		return true;
	bool plain = islower((unsigned char)key[0]) != 0;
	for (const char *at = key; *at != '\0'; at++)
		plain = plain && (unsigned char)*at < 0x80 && (isalnum((unsigned char)*at) || *at == '_');
	return plain;
}

/* `g` NULL: always in the same way. */
void put_key(struct generator *g, const char *key, struct buffer *out)
{
	if (is_plain_key(key) && (g == NULL || !choose_if(g->choices, 10)))
		buffer_append_string(out, key);
	else
		json_quote(out, slice_of(key));
}

void literal(struct generator *g, enum shape_kind kind, struct buffer *out)
{
	static const char *const numbers[] = {"0",  "1",    "2",   "3",  "4",      "12",
	                                      "-7", "2.50", "1e3", "-0", "0.1E+2", "12345678901234567890"};
	static const char *const texts[] = {"\"\"",        "\"a\"",         "\"red\"",
	                                    "\"\\u0041\"", "\"q\\\"q # \"", "\"größe\"",
	                                    "\"\\\\\"",    "\"\\/ {\"",     "\"\\ud83d\\ude00\"",
	                                    "\"left\"",    "\"\\n\\t\"",    "\"]\""};
	static const char *const durations[] = {"0s", "1ms", "30s", "2m", "1h", "3d"};
	switch (kind) {
	case SHAPE_NUMBER:
		buffer_append_string(out, numbers[choose(g->choices, 12)]);
		break;
	case SHAPE_TEXT:
		buffer_append_string(out, texts[choose(g->choices, 12)]);
		break;
	case SHAPE_BOOL:
		buffer_append_string(out, choose(g->choices, 2) == 0 ? "true" : "false");
		break;
	case SHAPE_DURATION:
		buffer_append_string(out, durations[choose(g->choices, 6)]);
		break;
	default:
		buffer_append_string(out, "null");
	}
}

/* Any constant, as open types and Json take it. */
static void any_constant(struct generator *g, uint32_t depth, struct buffer *out)
{
	static const char *const keys[] = {"a", "null", "two words"};
	uint32_t kind = choose(g->choices, depth == 0 ? 5 : 7);
	uint32_t count;
	if (kind < 5) {
		literal(g, SHAPE_UNIT + kind, out);
		return;
	}
	count = choose(g->choices, 4);
	buffer_append_char(out, kind == 5 ? '[' : '{');
	for (uint32_t i = 0; i < count; i++) {
		buffer_append_string(out, i > 0 ? ", " : "");
		if (kind == 6) {
			put_key(g, keys[i], out);
			buffer_append_string(out, ": ");
		}
		any_constant(g, depth - 1, out);
	}
	buffer_append_char(out, kind == 5 ? ']' : '}');
}

static void constant_record(struct generator *g, const struct shape *shape, uint32_t depth, struct buffer *out)
{
	bool any = false;
	buffer_append_char(out, '{');
	for (uint32_t i = 0; i < shape->member_count; i++) {
		const struct shape_member *member = &shape->members[i];
		if (member->default_text != NULL && !choose_if(g->choices, 40))
			continue;
		buffer_append_string(out, any ? ", " : "");
		put_key(g, member->key, out);
		buffer_append_string(out, ": ");
		constant(g, member->shape, depth, out);
		any = true;
	}
	buffer_append_char(out, '}');
}

static void constant_list(struct generator *g, const struct shape *item, uint32_t depth, struct buffer *out)
{
	uint32_t count = depth == 0 ? 0 : choose(g->choices, 4);
	buffer_append_char(out, '[');
	for (uint32_t i = 0; i < count; i++) {
		buffer_append_string(out, i > 0 ? ", " : "");
		constant(g, item, depth - 1, out);
	}
	buffer_append_string(out, count > 0 && choose_if(g->choices, 10) ? ",]" : "]");
}

void constant(struct generator *g, const struct shape *shape, uint32_t depth, struct buffer *out)
{
	uint32_t side;
	switch (shape->kind) {
	case SHAPE_OPEN:
	case SHAPE_JSON:
		any_constant(g, depth, out);
		break;
	case SHAPE_PAIR:
		buffer_append_char(out, '[');
		constant(g, shape->parts[0], depth, out);
		buffer_append_string(out, ", ");
		constant(g, shape->parts[1], depth, out);
		buffer_append_char(out, ']');
		break;
	case SHAPE_SUM:
		side = choose(g->choices, 2);
		buffer_append_string(out, side == 0 ? "{left: " : "{right: ");
		constant(g, shape->parts[side], depth, out);
		buffer_append_char(out, '}');
		break;
	case SHAPE_LIST:
		constant_list(g, shape->parts[0], depth, out);
		break;
	case SHAPE_RECORD:
		constant_record(g, shape, depth, out);
		break;
	case SHAPE_CHOICE:
		side = choose(g->choices, shape->member_count);
		if (shape->members[side].shape == NULL) {
			buffer_format(out, "\"%s\"", shape->members[side].key);
			break;
		}
		buffer_append_char(out, '{');
		put_key(g, shape->members[side].key, out);
		buffer_append_string(out, ": ");
		constant(g, shape->members[side].shape, depth, out);
		buffer_append_char(out, '}');
		break;
	case SHAPE_DURATION:
		/* Milliseconds are a duration, too, where a constant is due. */
		if (choose_if(g->choices, 30)) {
			buffer_append_string(out, "1500");
			break;
		}
		literal(g, shape->kind, out);
		break;
	default:
		literal(g, shape->kind, out);
	}
}

const char *constant_text(struct generator *g, const struct shape *shape)
{
	struct buffer out = BUFFER_EMPTY;
	constant(g, shape, 2, &out);
	const char *text = arena_string(&g->arena, buffer_slice(&out));
	buffer_finish(&out);
	return text;
}

void constant_expression(struct generator *g, uint32_t depth)
{
	uint32_t kind = choose(g->choices, depth == 0 ? 6 : 9);
	uint32_t count = kind < 6 ? 0 : choose(g->choices, 3);
	switch (kind) {
	case 5:
		put(g, "()");
		return;
	case 6:
		put(g, "[");
		for (uint32_t i = 0; i < count; i++) {
			put(g, i > 0 ? ", " : "");
			constant_expression(g, depth - 1);
		}
		put(g, "]");
		return;
	case 7:
		put(g, "{a: ");
		constant_expression(g, depth - 1);
		put(g, ", \"b c\": ");
		constant_expression(g, depth - 1);
		put(g, "}");
		return;
	case 8:
		put(g, "(");
		constant_expression(g, depth - 1);
		put(g, ", ");
		constant_expression(g, depth - 1);
		put(g, ")");
		return;
	default:
		literal(g, SHAPE_UNIT + kind, &g->out);
	}
}
