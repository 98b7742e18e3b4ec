#include "oracle.h"

#include "base/json.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#define FUEL_MAX 5

static const struct when at_once = {0, 0};

static struct slice format(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

static struct slice format(struct arena *arena, const char *format, ...)
{
	struct buffer out = BUFFER_EMPTY;
	va_list args;
	va_start(args, format);
	buffer_formatv(&out, format, args);
	va_end(args);
	struct slice text = {arena_string(arena, buffer_slice(&out)), out.size};
	buffer_finish(&out);
	return text;
}

/* Constants. */

static const struct syntax_member *find_member(const struct syntax_type *type, struct slice name)
{
	for (uint32_t i = 0; i < type->member_count; i++)
		if (slice_equal(type->members[i].name.text, name))
			return &type->members[i];
	return NULL;
}

/* The type of what stands under a key, or as an item, of a value of `type`; NULL: anything. */
static const struct syntax_type *part_type(const struct world *world, const struct syntax_type *type, struct slice key,
                                           uint32_t index)
{
	const struct syntax_member *member;
	type = world_resolve(world, type);
	if (type == NULL)
		return NULL;
	switch (type->kind) {
	case SYNTAX_TYPE_PAIR:
		return type->parts[index];
	case SYNTAX_TYPE_SUM:
		return type->parts[slice_is(key, "right")];
	case SYNTAX_TYPE_LIST:
		return type->parts[0];
	case SYNTAX_TYPE_RECORD:
	case SYNTAX_TYPE_CHOICE:
		member = find_member(type, key);
		return member != NULL ? member->type : NULL;
	default:
		return NULL;
	}
}

static struct plain *constant_object(const struct world *world, struct arena *arena, const struct syntax_value *value,
                                     const struct syntax_type *type)
{
	const struct syntax_type *record = world_resolve(world, type);
	if (record != NULL && record->kind != SYNTAX_TYPE_RECORD)
		record = NULL;
	uint32_t most = value->entry_count + (record != NULL ? record->member_count : 0);
	struct plain *object = plain_object(arena, most, at_once);
	object->count = value->entry_count;
	for (uint32_t i = 0; i < value->entry_count; i++) {
		const struct syntax_entry *entry = &value->entries[i];
		object->keys[i] = entry->key.text;
		object->items[i] = oracle_constant(world, arena, entry->value,
		                                   part_type(world, type, entry->key.text, 0));
	}
	for (uint32_t i = 0; record != NULL && i < record->member_count; i++) {
		const struct syntax_member *member = &record->members[i];
		if (plain_member(object, member->name.text) != NULL)
			continue;
		object->keys[object->count] = member->name.text;
		object->items[object->count++] = oracle_constant(world, arena, member->default_value, member->type);
	}
	return object;
}

struct plain *oracle_constant(const struct world *world, struct arena *arena, const struct syntax_value *value,
                              const struct syntax_type *type)
{
	struct plain *array;
	assert(value != NULL);
	switch (value->kind) {
	case SYNTAX_VALUE_DURATION:
		return plain_leaf(arena, format(arena, "%" PRId64, value->duration_ms), at_once);
	case SYNTAX_VALUE_TRUE:
		return plain_leaf(arena, SLICE("true"), at_once);
	case SYNTAX_VALUE_FALSE:
		return plain_leaf(arena, SLICE("false"), at_once);
	case SYNTAX_VALUE_NULL:
		return plain_leaf(arena, SLICE("null"), at_once);
	case SYNTAX_VALUE_LIST:
		array = plain_array(arena, value->item_count, at_once);
		for (uint32_t i = 0; i < value->item_count; i++)
			array->items[i] = oracle_constant(world, arena, value->items[i],
			                                  part_type(world, type, (struct slice){NULL, 0}, i));
		return array;
	case SYNTAX_VALUE_OBJECT:
		return constant_object(world, arena, value, type);
	default:
		return plain_leaf(arena, value->text, at_once);
	}
}

/* Random values. */

struct drawing {
	const struct world *world;
	struct arena *arena;
	struct random *random;
};

static uint32_t draw(struct drawing *drawing, uint32_t bound)
{
	return (uint32_t)random_below(drawing->random, bound);
}

static struct plain *draw_leaf(struct drawing *drawing, const char *const *texts, uint32_t count)
{
	return plain_leaf(drawing->arena, slice_of(texts[draw(drawing, count)]), at_once);
}

static struct plain *draw_text(struct drawing *drawing)
{
	static const char *const texts[] = {"\"\"",       "\"a\"",   "\"left\"",  "\"two words\"",
	                                    "\"q\\\"q\"", "\"\\n\"", "\"größe\"", "\"\\\\\"",
	                                    "\"b\"",      "\"{\"",   "\"]\"",     "\"1\""};
	return draw_leaf(drawing, texts, sizeof texts / sizeof texts[0]);
}

static struct plain *draw_number(struct drawing *drawing)
{
	static const char *const texts[] = {"0",  "1",  "2",    "3",   "4",  "5",
	                                    "17", "-1", "1.50", "2e3", "-0", "12345678901234567890"};
	return draw_leaf(drawing, texts, sizeof texts / sizeof texts[0]);
}

static struct plain *draw_json(struct drawing *drawing, uint32_t depth)
{
	static const char *const leaves[] = {"null", "true", "false", "0", "{}", "[]", "\"red\"", "12.0"};
	static const char *const keys[] = {"a", "left", "b", "two words"};
	uint32_t count = depth < 2 ? draw(drawing, 3) : 0;
	if (count == 0 || draw(drawing, 2) == 0)
		return plain_parse(drawing->arena, slice_of(leaves[draw(drawing, 8)]), at_once);
	bool object = draw(drawing, 2) == 0;
	struct plain *value = object ? plain_object(drawing->arena, count, at_once)
	                             : plain_array(drawing->arena, count, at_once);
	uint32_t first = draw(drawing, 4);
	for (uint32_t i = 0; i < count; i++) {
		if (object)
			value->keys[i] = slice_of(keys[(first + i) % 4]);
		value->items[i] = draw_json(drawing, depth + 1);
	}
	return value;
}

static struct plain *draw_value(struct drawing *drawing, const struct syntax_type *type, uint32_t depth);

static struct plain *draw_named(struct drawing *drawing, struct slice name)
{
	if (slice_is(name, "Text"))
		return draw_text(drawing);
	if (slice_is(name, "Number"))
		return draw_number(drawing);
	if (slice_is(name, "Bool"))
		return plain_leaf(drawing->arena, draw(drawing, 2) == 0 ? SLICE("true") : SLICE("false"), at_once);
	if (slice_is(name, "Duration"))
		return plain_leaf(drawing->arena, format(drawing->arena, "%u", draw(drawing, 5000)), at_once);
	return draw_json(drawing, 0);
}

static struct plain *draw_list(struct drawing *drawing, const struct syntax_type *item, uint32_t depth)
{
	uint32_t count = draw(drawing, 4);
	if (depth < 2 && draw(drawing, 12) == 0)
		count = draw(drawing, 51);
	else if (depth < 2 && draw(drawing, 3) == 0)
		count = draw(drawing, 8);
	struct plain *value = plain_array(drawing->arena, count, at_once);
	for (uint32_t i = 0; i < count; i++)
		value->items[i] = draw_value(drawing, item, depth + (count > 8 ? 2 : 1));
	return value;
}

static struct plain *draw_record(struct drawing *drawing, const struct syntax_type *type, uint32_t depth)
{
	struct plain *value = plain_object(drawing->arena, type->member_count, at_once);
	for (uint32_t i = 0; i < type->member_count; i++) {
		const struct syntax_member *member = &type->members[i];
		value->keys[i] = member->name.text;
		if (member->default_value != NULL && draw(drawing, 2) == 0)
			value->items[i] = oracle_constant(drawing->world, drawing->arena, member->default_value,
			                                  member->type);
		else
			value->items[i] = draw_value(drawing, member->type, depth + 1);
	}
	return value;
}

static struct plain *draw_value(struct drawing *drawing, const struct syntax_type *type, uint32_t depth)
{
	type = world_resolve(drawing->world, type);
	struct arena *arena = drawing->arena;
	const struct syntax_member *label;
	struct plain *value;
	uint32_t side;
	switch (type->kind) {
	case SYNTAX_TYPE_NAME:
		return draw_named(drawing, type->name);
	case SYNTAX_TYPE_PAIR:
		value = plain_array(arena, 2, at_once);
		for (uint32_t i = 0; i < 2; i++)
			value->items[i] = draw_value(drawing, type->parts[i], depth + 1);
		return value;
	case SYNTAX_TYPE_SUM:
		side = draw(drawing, 2);
		return plain_labelled(arena, side == 0 ? SLICE("left") : SLICE("right"),
		                      draw_value(drawing, type->parts[side], depth + 1), at_once);
	case SYNTAX_TYPE_LIST:
		return draw_list(drawing, type->parts[0], depth);
	case SYNTAX_TYPE_RECORD:
		return draw_record(drawing, type, depth);
	case SYNTAX_TYPE_CHOICE:
		label = &type->members[draw(drawing, type->member_count)];
		return plain_labelled(arena, label->name.text,
		                      label->type != NULL ? draw_value(drawing, label->type, depth + 1) : NULL,
		                      at_once);
	case SYNTAX_TYPE_UNIT:
		break;
	}
	return plain_leaf(arena, SLICE("null"), at_once);
}

struct plain *oracle_value(const struct world *world, struct arena *arena, const struct syntax_type *type,
                           struct random *random)
{
	struct drawing drawing = {world, arena, random};
	return draw_value(&drawing, type, 0);
}

/* Answers. */

static uint64_t hash_of(struct slice name, const struct plain *input)
{
	struct buffer text = BUFFER_EMPTY;
	uint64_t hash = 0xCBF29CE484222325u; /* FNV-1a */
	buffer_append_slice(&text, name);
	buffer_append_char(&text, ' ');
	plain_canonical(input, &text);
	for (size_t i = 0; i < text.size; i++)
		hash = (hash ^ (unsigned char)text.data[i]) * 0x100000001B3u;
	buffer_finish(&text);
	return hash;
}

/* How often a loop that is given this number goes on. */
static uint32_t fuel_of(struct slice text, uint64_t hash)
{
	if (text.size == 1 && text.data[0] >= '0' && text.data[0] <= '0' + FUEL_MAX)
		return (uint32_t)(text.data[0] - '0');
	return text.data[0] == '-' ? 0 : (uint32_t)(hash >> 32) % FUEL_MAX;
}

/* The number that the loop goes on with is the first part of a pair, or the member n. */
static void set_fuel(struct drawing *drawing, struct plain *value, uint32_t fuel)
{
	struct plain *number = plain_leaf(drawing->arena, format(drawing->arena, "%u", fuel), at_once);
	for (uint32_t i = 0; value->kind == PLAIN_OBJECT && i < value->count; i++)
		if (slice_is(value->keys[i], "n"))
			value->items[i] = number;
	if (value->kind == PLAIN_ARRAY)
		value->items[0] = number;
	if (value->kind == PLAIN_LEAF)
		*value = *number;
}

/* The label to go on with is `left` or the first one. */
static struct plain *draw_step(struct drawing *drawing, const struct syntax_type *type, uint32_t fuel)
{
	struct slice label = SLICE("left");
	const struct syntax_type *payload = type->parts[0];
	if (type->kind == SYNTAX_TYPE_CHOICE) {
		label = type->members[0].name.text;
		payload = type->members[0].type;
	}
	if (fuel > 0 && draw(drawing, 8) != 0) {
		struct plain *more = draw_value(drawing, payload, 1);
		set_fuel(drawing, more, fuel - 1 - (fuel > 1 && draw(drawing, 4) == 0));
		return plain_labelled(drawing->arena, label, more, at_once);
	}
	for (;;) {
		struct plain *value = draw_value(drawing, type, 0);
		if (plain_member(value, label) == NULL)
			return value;
	}
}

static struct plain *draw_kids(struct drawing *drawing, uint32_t fuel)
{
	uint32_t count = fuel == 0 ? 0 : draw(drawing, 4);
	struct plain *kids = plain_array(drawing->arena, count, at_once);
	for (uint32_t i = 0; i < count; i++)
		kids->items[i] = plain_leaf(drawing->arena, format(drawing->arena, "%u", draw(drawing, fuel)), at_once);
	return kids;
}

static bool begins_with(struct slice text, const char *beginning)
{
	size_t size = strlen(beginning);
	return text.size >= size && memcmp(text.data, beginning, size) == 0;
}

struct plain *oracle_answer(const struct world *world, struct arena *arena, const struct syntax_declaration *process,
                            const struct plain *args)
{
	const struct syntax_type *type = world_resolve(world, world_signature(world, process)->result);
	uint64_t hash = hash_of(process->name.text, args);
	struct random random = {hash};
	struct drawing drawing = {world, arena, &random};
	if (begins_with(process->name.text, "Step"))
		return draw_step(&drawing, type, fuel_of(args->items[0]->text, hash));
	if (begins_with(process->name.text, "Kids"))
		return draw_kids(&drawing, fuel_of(args->items[0]->text, hash));
	return draw_value(&drawing, type, 0);
}

const struct syntax_type *oracle_signal_type(const struct world *world, struct slice name)
{
	char type[16] = "Sig";
	size_t size = 3;
	while (size < name.size && size < 15 && name.data[size] >= '0' && name.data[size] <= '9') {
		type[size] = name.data[size];
		size++;
	}
	return world_type(world, (struct slice){type, size});
}

struct plain *oracle_signal(const struct world *world, struct arena *arena, struct slice name, const struct plain *key)
{
	struct random random = {hash_of(name, key)};
	return oracle_value(world, arena, oracle_signal_type(world, name), &random);
}
