#include "workflow/state.h"

#include "base/memory.h"

#include <assert.h>

static size_t leaf_size(const struct text *text)
{
	return sizeof(struct leaf) + sizeof *text + text->size + 1;
}

struct value value_text(struct instance *instance, struct text *text)
{
	struct leaf *leaf = mem_zero(sizeof *leaf);
	instance->size += leaf_size(text);
	leaf->block.references = 1;
	leaf->block.kind = BLOCK_TEXT;
	leaf->text = text_hold(text);
	return (struct value){&leaf->block, 0, text->size};
}

struct value value_object(struct object *take_object)
{
	return (struct value){&take_object->place.block, 0, 0};
}

static struct leaf *value_leaf(struct value value)
{
	assert(value.block->kind == BLOCK_TEXT);
	return (struct leaf *)value.block;
}

struct value value_part(struct value whole, struct slice part)
{
	const struct text *text = value_leaf(whole)->text;
	assert(part.data >= text->data && part.data + part.size <= text->data + text->size);
	whole.block->references++;
	return (struct value){whole.block, (uint32_t)(part.data - text->data), (uint32_t)part.size};
}

struct value value_hold(struct value value)
{
	value.block->references++;
	return value;
}

void value_release(struct instance *instance, struct value value)
{
	if (value.block->kind == BLOCK_OBJECT) {
		state_release(instance, (struct place *)value.block);
		return;
	}
	struct leaf *leaf = value_leaf(value);
	assert(leaf->block.references > 0);
	if (--leaf->block.references != 0)
		return;
	instance->size -= leaf_size(leaf->text);
	text_release(leaf->text);
	mem_free(leaf);
}

struct object *value_as_object(struct value value)
{
	return value.block->kind == BLOCK_OBJECT ? (struct object *)value.block : NULL;
}

struct slice value_slice(struct value value)
{
	return (struct slice){value_leaf(value)->text->data + value.offset, value.size};
}

struct slice object_name(const struct object *object, uint32_t index)
{
	const struct term *term = object->term;
	assert(term->kind == TERM_SELECT || term->kind == TERM_RECORD_OUT);
	uint32_t name = term->kind == TERM_SELECT ? term->index
	                                          : object->program->operands[term->first + 2 * index];
	return object->program->names[name];
}

static uint32_t json_depth(struct slice json)
{
	uint32_t depth = 0;
	uint32_t deepest = 0;
	bool quoted = false;
	for (size_t i = 0; i < json.size; i++) {
		char c = json.data[i];
		if (quoted) {
			if (c == '\\')
				i++;
			else if (c == '"')
				quoted = false;
		} else if (c == '"') {
			quoted = true;
		} else if (c == '[' || c == '{') {
			if (++depth > deepest)
				deepest = depth;
		} else if (c == ']' || c == '}') {
			depth--;
		}
	}
	return deepest;
}

/* Whether the slice may stand `depth` containers deep. */
static bool depth_fits(struct value value, uint32_t depth)
{
	uint32_t room = JSON_DEPTH - depth;
	if (value.size <= 2 * room) /* a level takes two characters */
		return true;
	struct leaf *leaf = value_leaf(value);
	if (!leaf->block.measured) {
		uint32_t measured = json_depth(text_slice(leaf->text));
		leaf->block.depth = measured < UINT8_MAX ? (uint8_t)measured : UINT8_MAX;
		leaf->block.measured = true;
	}
	return leaf->block.depth <= room || json_depth(value_slice(value)) <= room;
}

/* Appends; false when the limit is passed. */
static bool put(const struct instance *instance, struct buffer *out, struct slice slice)
{
	if (slice.size > instance->limits.value_size || out->size > instance->limits.value_size - slice.size)
		return false;
	buffer_append_slice(out, slice);
	return true;
}

static bool put_name(const struct instance *instance, struct buffer *out, struct slice name)
{
	json_quote(out, name);
	return out->size <= instance->limits.value_size;
}

/* What stands before part `index`, or after the last part. */
static bool put_between(const struct instance *instance, struct buffer *out, const struct object *object, uint32_t index)
{
	bool last = index == object->place.cell_count;
	switch (object->term->kind) {
	case TERM_SELECT:
		if (last)
			return put(instance, out, SLICE("}"));
		return put(instance, out, SLICE("{")) && put_name(instance, out, object_name(object, index)) &&
		       put(instance, out, SLICE(":"));
	case TERM_RECORD_OUT:
		if (!put(instance, out, index == 0 ? SLICE("{") : last ? SLICE("}") : SLICE(",")))
			return false;
		if (last)
			return index != 0 || put(instance, out, SLICE("}"));
		return put_name(instance, out, object_name(object, index)) && put(instance, out, SLICE(":"));
	default:
		if (!put(instance, out, index == 0 ? SLICE("[") : last ? SLICE("]") : SLICE(",")))
			return false;
		return !last || index != 0 || put(instance, out, SLICE("]"));
	}
}

struct rendering {
	struct object *object;
	uint32_t next;
};

/* Appends JSON, or finds that the value has parts: ret_object then is what to go into. */
static bool render_one(struct instance *instance, struct channel channel, uint32_t depth, struct buffer *out,
                       struct object **ret_object)
{
	const struct cell *cell = state_resolve(instance, channel).cell;
	assert(cell->state == CELL_SENT);
	struct object *object = value_as_object(cell->value);
	*ret_object = NULL;
	if (object == NULL)
		return depth_fits(cell->value, depth) && put(instance, out, value_slice(cell->value));
	if (object->term->kind == TERM_SELECT && object->place.cell_count == 0)
		return put_name(instance, out, object_name(object, 0));
	*ret_object = object;
	return depth < JSON_DEPTH;
}

int value_render(struct instance *instance, struct channel channel, uint32_t depth, struct buffer *out)
{
	struct rendering stack[JSON_DEPTH];
	uint32_t height = 0;
	struct object *inner;
	if (!render_one(instance, channel, depth, out, &inner))
		return ERR_LIMIT;
	for (;;) {
		if (inner != NULL)
			stack[height++] = (struct rendering){inner, 0};
		if (height == 0)
			return 0;
		struct rendering *top = &stack[height - 1];
		if (!put_between(instance, out, top->object, top->next))
			return ERR_LIMIT;
		inner = NULL;
		if (top->next == top->object->place.cell_count) {
			height--;
			continue;
		}
		struct channel part = object_part(top->object, top->next++);
		if (!render_one(instance, part, depth + height, out, &inner))
			return ERR_LIMIT;
	}
}
