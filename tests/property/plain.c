#include "plain.h"

#include "base/json.h"
#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>

struct when when_later(struct when left, struct when right)
{
	return (struct when){left.earliest > right.earliest ? left.earliest : right.earliest,
	                     left.latest > right.latest ? left.latest : right.latest};
}

struct plain *plain_leaf(struct arena *arena, struct slice text, struct when when)
{
	struct plain *value = arena_alloc(arena, sizeof *value);
	value->kind = PLAIN_LEAF;
	value->text = text;
	value->when = when;
	return value;
}

struct plain *plain_array(struct arena *arena, uint32_t count, struct when when)
{
	struct plain *value = arena_alloc(arena, sizeof *value);
	value->kind = PLAIN_ARRAY;
	value->items = arena_alloc(arena, (count + 1) * sizeof(struct plain *));
	value->count = count;
	value->when = when;
	return value;
}

struct plain *plain_object(struct arena *arena, uint32_t count, struct when when)
{
	struct plain *value = plain_array(arena, count, when);
	value->kind = PLAIN_OBJECT;
	value->keys = arena_alloc(arena, (count + 1) * sizeof *value->keys);
	return value;
}

struct plain *plain_quoted(struct arena *arena, struct slice characters, struct when when)
{
	struct buffer out = BUFFER_EMPTY;
	json_quote(&out, characters);
	struct slice text = {arena_string(arena, buffer_slice(&out)), out.size};
	buffer_finish(&out);
	return plain_leaf(arena, text, when);
}

struct plain *plain_labelled(struct arena *arena, struct slice label, struct plain *payload, struct when when)
{
	if (payload == NULL)
		return plain_quoted(arena, label, when);
	struct plain *value = plain_object(arena, 1, when);
	value->keys[0] = label;
	value->items[0] = payload;
	return value;
}

static struct slice unquoted(struct arena *arena, struct slice string)
{
	struct buffer out = BUFFER_EMPTY;
	json_unquote(&out, string);
	struct slice text = {arena_string(arena, buffer_slice(&out)), out.size};
	buffer_finish(&out);
	return text;
}

static struct plain *parse_checked(struct arena *arena, struct slice json, struct when when)
{
	struct slice text = json_trim(json);
	enum json_kind kind = json_kind(text);
	struct json_iterator iterator;
	struct slice key;
	struct slice item;
	if (kind != JSON_ARRAY && kind != JSON_OBJECT)
		return plain_leaf(arena, text, when);
	uint32_t count = (uint32_t)json_count(text);
	struct plain *value = kind == JSON_ARRAY ? plain_array(arena, count, when) : plain_object(arena, count, when);
	json_iterate(&iterator, text);
	for (uint32_t i = 0; json_next(&iterator, &key, &item); i++) {
		assert(i < count);
		if (kind == JSON_OBJECT)
			value->keys[i] = unquoted(arena, (struct slice){key.data - 1, key.size + 2});
		value->items[i] = parse_checked(arena, item, when);
	}
	return value;
}

struct plain *plain_parse(struct arena *arena, struct slice json, struct when when)
{
	return parse_checked(arena, (struct slice){arena_string(arena, json), json.size}, when);
}

struct plain *plain_raise(struct arena *arena, struct plain *value, struct when when)
{
	struct when later = when_later(value->when, when);
	if (later.earliest == value->when.earliest && later.latest == value->when.latest)
		return value;
	struct plain *copy = arena_alloc(arena, sizeof *copy);
	*copy = *value;
	copy->when = later;
	return copy;
}

struct when plain_ground(const struct plain *value)
{
	struct when when = value->when;
	for (uint32_t i = 0; i < value->count; i++)
		when = when_later(when, plain_ground(value->items[i]));
	return when;
}

uint32_t plain_depth(const struct plain *value)
{
	uint32_t deepest = 0;
	for (uint32_t i = 0; i < value->count; i++) {
		uint32_t depth = plain_depth(value->items[i]);
		deepest = depth > deepest ? depth : deepest;
	}
	return deepest + (value->kind != PLAIN_LEAF);
}

struct plain *plain_member(const struct plain *object, struct slice key)
{
	for (uint32_t i = 0; object->kind == PLAIN_OBJECT && i < object->count; i++)
		if (slice_equal(object->keys[i], key))
			return object->items[i];
	return NULL;
}

void plain_print(const struct plain *value, struct buffer *out)
{
	bool object = value->kind == PLAIN_OBJECT;
	if (value->kind == PLAIN_LEAF) {
		buffer_append_slice(out, value->text);
		return;
	}
	buffer_append_char(out, object ? '{' : '[');
	for (uint32_t i = 0; i < value->count; i++) {
		if (i > 0)
			buffer_append_char(out, ',');
		if (object) {
			json_quote(out, value->keys[i]);
			buffer_append_char(out, ':');
		}
		plain_print(value->items[i], out);
	}
	buffer_append_char(out, object ? '}' : ']');
}

struct entry {
	struct slice key;
	const struct plain *value;
};

static int by_key(const void *left, const void *right)
{
	const struct entry *a = left;
	const struct entry *b = right;
	return slice_compare(a->key, b->key);
}

static void canonical_object(const struct plain *value, struct buffer *out)
{
	struct entry *entries = mem_array((size_t)value->count + 1, sizeof *entries);
	for (uint32_t i = 0; i < value->count; i++)
		entries[i] = (struct entry){value->keys[i], value->items[i]};
	if (value->count > 0)
		qsort(entries, value->count, sizeof *entries, by_key);
	buffer_append_char(out, '{');
	for (uint32_t i = 0; i < value->count; i++) {
		if (i > 0)
			buffer_append_char(out, ',');
		json_quote(out, entries[i].key);
		buffer_append_char(out, ':');
		plain_canonical(entries[i].value, out);
	}
	buffer_append_char(out, '}');
	mem_free(entries);
}

static void canonical_leaf(struct slice text, struct buffer *out)
{
	if (text.data[0] != '"') {
		buffer_append_slice(out, text);
		return;
	}
	struct buffer characters = BUFFER_EMPTY;
	json_unquote(&characters, text);
	json_quote(out, buffer_slice(&characters));
	buffer_finish(&characters);
}

void plain_canonical(const struct plain *value, struct buffer *out)
{
	switch (value->kind) {
	case PLAIN_LEAF:
		canonical_leaf(value->text, out);
		return;
	case PLAIN_OBJECT:
		canonical_object(value, out);
		return;
	case PLAIN_ARRAY:
		break;
	}
	buffer_append_char(out, '[');
	for (uint32_t i = 0; i < value->count; i++) {
		if (i > 0)
			buffer_append_char(out, ',');
		plain_canonical(value->items[i], out);
	}
	buffer_append_char(out, ']');
}
