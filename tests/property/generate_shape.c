#include "generator.h"

#include <assert.h>

#define WEIGHT_MAX 24u

static const struct shape basics[] = {
	[SHAPE_JSON] = {.kind = SHAPE_JSON, .name = "Json"},
	[SHAPE_UNIT] = {.kind = SHAPE_UNIT, .name = "()"},
	[SHAPE_TEXT] = {.kind = SHAPE_TEXT, .name = "Text"},
	[SHAPE_NUMBER] = {.kind = SHAPE_NUMBER, .name = "Number"},
	[SHAPE_BOOL] = {.kind = SHAPE_BOOL, .name = "Bool"},
	[SHAPE_DURATION] = {.kind = SHAPE_DURATION, .name = "Duration"},
};

const struct shape *shape_basic(enum shape_kind kind)
{
	assert(kind >= SHAPE_JSON && kind <= SHAPE_DURATION);
	return &basics[kind];
}

static struct shape_member cause_members[] = {{"error", NULL, NULL},
                                              {"timeout", NULL, NULL},
                                              {"type", NULL, NULL},
                                              {"limit", NULL, NULL},
                                              {"raised", NULL, NULL}};
static const struct shape cause = {.kind = SHAPE_CHOICE, .name = "Cause", .members = cause_members, .member_count = 5};
static struct shape_member failure_members[] = {
	{"process", &basics[SHAPE_TEXT], NULL}, {"cause", &cause, NULL}, {"message", &basics[SHAPE_TEXT], NULL}};
static const struct shape failure = {
	.kind = SHAPE_RECORD, .name = "Failure", .members = failure_members, .member_count = 3};

static const struct shape *built_in_shape(struct generator *g)
{
	uint32_t kind = choose(g->choices, 8);
	if (kind < 6)
		return shape_basic(SHAPE_JSON + kind);
	return kind == 6 ? &cause : &failure;
}

const struct shape *shape_compound(struct generator *g, enum shape_kind kind, const struct shape *first,
                                   const struct shape *second)
{
	struct shape *shape = arena_alloc(&g->arena, sizeof *shape);
	shape->kind = kind;
	shape->parts[0] = first;
	shape->parts[1] = second;
	return shape;
}

struct shape *shape_members(struct generator *g, enum shape_kind kind, uint32_t count)
{
	struct shape *shape = arena_alloc(&g->arena, sizeof *shape);
	shape->kind = kind;
	shape->members = arena_alloc(&g->arena, count * sizeof *shape->members);
	shape->member_count = count;
	return shape;
}

/* Basic types in it, written out: the checker has a limit. */
static uint32_t weight(const struct shape *shape)
{
	uint32_t sum = 1;
	for (uint32_t i = 0; i < 2 && shape->parts[i] != NULL; i++)
		sum += weight(shape->parts[i]);
	for (uint32_t i = 0; i < shape->member_count; i++)
		sum += shape->members[i].shape != NULL ? weight(shape->members[i].shape) : 1;
	return sum;
}

static const struct shape *declared_shape(struct generator *g)
{
	if (g->shape_count == 0)
		return shape_basic(SHAPE_TEXT);
	const struct shape *shape = g->shapes[choose(g->choices, g->shape_count)];
	return weight(shape) <= WEIGHT_MAX ? shape : shape_basic(SHAPE_TEXT);
}

static const struct shape *open_shape(struct generator *g)
{
	static const struct shape open[] = {{.kind = SHAPE_OPEN, .name = "Order"},
	                                    {.kind = SHAPE_OPEN, .name = "X"},
	                                    {.kind = SHAPE_OPEN, .name = "Y_2"}};
	return &open[choose(g->choices, 3)];
}

static const struct shape *record_shape(struct generator *g, uint32_t depth)
{
	uint32_t count = 1 + choose(g->choices, 4);
	uint32_t first = choose(g->choices, 8);
	struct shape *shape = shape_members(g, SHAPE_RECORD, count);
	for (uint32_t i = 0; i < count; i++) {
		struct shape_member *member = &shape->members[i];
		member->key = random_key(g, first + i);
		member->shape = shape_random(g, depth - 1);
		if (choose_if(g->choices, 40))
			member->default_text = constant_text(g, member->shape);
	}
	return shape;
}

static const struct shape *choice_shape(struct generator *g, uint32_t depth)
{
	uint32_t count = 1 + choose(g->choices, 4);
	uint32_t first = choose(g->choices, 8);
	struct shape *shape = shape_members(g, SHAPE_CHOICE, count);
	for (uint32_t i = 0; i < count; i++) {
		shape->members[i].key = random_label(g, first + i);
		if (choose_if(g->choices, 60))
			shape->members[i].shape = shape_random(g, depth - 1);
	}
	return shape;
}

const struct shape *shape_random(struct generator *g, uint32_t depth)
{
	uint32_t kind = choose(g->choices, depth == 0 ? 8 : 16);
	const struct shape *first;
	switch (kind) {
	case 0:
	case 1:
		return shape_basic(SHAPE_NUMBER);
	case 2:
		return shape_basic(SHAPE_TEXT);
	case 3:
		return shape_basic(SHAPE_BOOL);
	case 4:
		return open_shape(g);
	case 5:
		return built_in_shape(g);
	case 6:
	case 7:
	case 8:
		return declared_shape(g);
	case 9:
	case 10:
		first = shape_random(g, depth - 1);
		return shape_compound(g, SHAPE_PAIR, first, shape_random(g, depth - 1));
	case 11:
	case 12:
		first = shape_random(g, depth - 1);
		return shape_compound(g, SHAPE_SUM, first, shape_random(g, depth - 1));
	case 13:
	case 14:
		return shape_compound(g, SHAPE_LIST, shape_random(g, depth - 1), NULL);
	default:
		return record_shape(g, depth);
	}
}

static const struct shape_member *same_member(const struct shape *shape, const struct shape_member *as)
{
	for (uint32_t i = 0; i < shape->member_count; i++)
		if (strcmp(shape->members[i].key, as->key) == 0)
			return &shape->members[i];
	return NULL;
}

bool shape_same(const struct shape *left, const struct shape *right)
{
	if (left == right)
		return true;
	if (left->kind != right->kind || left->member_count != right->member_count)
		return false;
	if (left->kind == SHAPE_OPEN)
		return strcmp(left->name, right->name) == 0;
	for (uint32_t i = 0; i < 2 && left->parts[i] != NULL; i++)
		if (!shape_same(left->parts[i], right->parts[i]))
			return false;
	for (uint32_t i = 0; i < left->member_count; i++) {
		const struct shape *mine = left->members[i].shape;
		const struct shape_member *other = same_member(right, &left->members[i]);
		if (other == NULL || (mine == NULL) != (other->shape == NULL))
			return false;
		if (mine != NULL && !shape_same(mine, other->shape))
			return false;
	}
	return true;
}

static void print_member(const struct shape_member *member, bool label, struct buffer *out)
{
	if (label) {
		buffer_append_string(out, member->key);
		if (member->shape == NULL)
			return;
		buffer_append_char(out, '(');
		shape_print(member->shape, out);
		buffer_append_char(out, ')');
		return;
	}
	put_key(NULL, member->key, out);
	buffer_append_string(out, ": ");
	shape_print(member->shape, out);
	if (member->default_text != NULL)
		buffer_format(out, " = %s", member->default_text);
}

static void print_structure(const struct shape *shape, struct buffer *out);

/* As a part of a pair or sum; `tight`: operators of the other kind, or to the left, need brackets. */
static void print_part(const struct shape *shape, bool brackets, struct buffer *out)
{
	brackets = brackets && shape->name == NULL;
	buffer_append_string(out, brackets ? "(" : "");
	shape_print(shape, out);
	buffer_append_string(out, brackets ? ")" : "");
}

static void print_structure(const struct shape *shape, struct buffer *out)
{
	bool sum = shape->kind == SHAPE_SUM;
	enum shape_kind left = shape->parts[0] != NULL ? shape->parts[0]->kind : SHAPE_UNIT;
	enum shape_kind right = shape->parts[1] != NULL ? shape->parts[1]->kind : SHAPE_UNIT;
	switch (shape->kind) {
	case SHAPE_PAIR:
	case SHAPE_SUM:
		print_part(shape->parts[0], left == SHAPE_SUM || (!sum && left == SHAPE_PAIR), out);
		buffer_append_string(out, sum ? " + " : " * ");
		print_part(shape->parts[1], !sum && right == SHAPE_SUM, out);
		break;
	case SHAPE_LIST:
		buffer_append_char(out, '[');
		shape_print(shape->parts[0], out);
		buffer_append_char(out, ']');
		break;
	default:
		assert(shape->kind == SHAPE_RECORD || shape->kind == SHAPE_CHOICE);
		buffer_append_string(out, shape->kind == SHAPE_RECORD ? "{" : "");
		for (uint32_t i = 0; i < shape->member_count; i++) {
			if (i > 0)
				buffer_append_string(out, shape->kind == SHAPE_RECORD ? ", " : " | ");
			print_member(&shape->members[i], shape->kind == SHAPE_CHOICE, out);
		}
		buffer_append_string(out, shape->kind == SHAPE_RECORD ? "}" : "");
	}
}

void shape_print(const struct shape *shape, struct buffer *out)
{
	if (shape->name != NULL)
		buffer_append_string(out, shape->name);
	else
		print_structure(shape, out);
}

const struct shape *shape_name(struct generator *g, const char *name, const struct shape *shape)
{
	struct shape *named = arena_alloc(&g->arena, sizeof *named);
	put(g, "type %s = ", name);
	shape_print(shape, &g->out);
	put(g, "\n");
	g->declarations[g->declaration_count++] = (struct declaration_text){
		CHUNK_TYPES, {arena_string(&g->arena, buffer_slice(&g->out)), g->out.size}};
	buffer_clear(&g->out);
	*named = *shape;
	/* An alias of a built-in or open type stays what it is, by another name. */
	if (named->kind != SHAPE_OPEN)
		named->name = name;
	return named;
}

void shape_declare(struct generator *g)
{
	const struct shape *shape;
	if (g->shape_count == SHAPES_MAX)
		return;
	switch (choose(g->choices, 3)) {
	case 0:
		shape = choice_shape(g, 2);
		break;
	case 1:
		shape = record_shape(g, 2);
		break;
	default:
		shape = shape_random(g, 2);
	}
	shape = shape_name(g, fresh_name(g, "T"), shape);
	g->shapes[g->shape_count++] = shape;
}
