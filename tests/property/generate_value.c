#include "generator.h"

#include <assert.h>

/* How a value that is put together stands; what it is when the type has to be said goes behind `as`. */
enum level value_level(const struct shape *shape, struct want want)
{
	bool said = want.mode != SYNTH;
	switch (shape->kind) {
	case SHAPE_OPEN:
	case SHAPE_JSON:
	case SHAPE_LIST:
		return said ? LEVEL_PRIMARY : LEVEL_POSTFIX;
	case SHAPE_SUM:
		return said ? LEVEL_ANY : LEVEL_POSTFIX;
	default:
		return LEVEL_PRIMARY;
	}
}

static struct want deeper(struct want want)
{
	return (struct want){want.mode, LEVEL_ANY, want.depth > 0 ? want.depth - 1 : 0};
}

static void put_as(struct generator *g, const struct shape *shape)
{
	put(g, " as ");
	shape_print(shape, &g->out);
}

/* Under Json every part is checked against Json. */
static void json_value(struct generator *g, struct want want)
{
	const struct shape *json = shape_basic(SHAPE_JSON);
	uint32_t kind = choose(g->choices, want.depth == 0 ? 1 : 4);
	uint32_t count = 1 + choose(g->choices, 3);
	want = deeper(want);
	switch (kind) {
	case 0:
		constant_expression(g, want.depth);
		return;
	case 1:
		put(g, "[");
		for (uint32_t i = 0; i < count; i++) {
			put(g, i > 0 ? ", " : "");
			expression(g, json, want);
		}
		put(g, "]");
		return;
	case 2:
		put(g, "(");
		expression(g, json, want);
		put(g, ", ");
		expression(g, json, want);
		put(g, ")");
		return;
	default:
		put(g, "{");
		for (uint32_t i = 0; i < count; i++) {
			put(g, i > 0 ? ", " : "");
			put_key(g, random_key(g, i), &g->out);
			put(g, ": ");
			expression(g, json, want);
		}
		put(g, "}");
	}
}

static void pair_value(struct generator *g, const struct shape *shape, struct want want)
{
	want = deeper(want);
	put(g, "(");
	expression(g, shape->parts[0], want);
	put(g, ", ");
	expression(g, shape->parts[1], want);
	put(g, choose_if(g->choices, 5) ? ",)" : ")");
}

static void side_value(struct generator *g, const struct shape *shape, struct want want)
{
	uint32_t side = choose(g->choices, 2);
	want = deeper(want);
	put(g, side == 0 ? "left " : "right ");
	expression(g, shape->parts[side], want);
}

/* Without an expected type the first element that has a type by itself says that of all. */
static void list_value(struct generator *g, const struct shape *shape, struct want want)
{
	uint32_t count = choose(g->choices, want.depth == 0 ? 2 : 5);
	const struct shape *item = shape->parts[0];
	if (count == 0 && want.mode == SYNTH) {
		put(g, "[]");
		put_as(g, shape);
		return;
	}
	bool first = item->kind == SHAPE_SUM && choose_if(g->choices, 30) && count > 1;
	put(g, "[");
	for (uint32_t i = 0; i < count; i++) {
		struct want one = deeper(want);
		put(g, i > 0 ? ", " : "");
		if (want.mode == SYNTH && first && i == 0) {
			one.mode = GUIDED;
			side_value(g, item, one);
			continue;
		}
		if (want.mode == SYNTH && i > (uint32_t)first && choose_if(g->choices, 60))
			one.mode = GUIDED;
		expression(g, item, one);
	}
	put(g, count > 0 && choose_if(g->choices, 5) ? ",]" : "]");
}

static void record_value(struct generator *g, const struct shape *shape, struct want want)
{
	uint32_t first = choose(g->choices, shape->member_count);
	bool any = false;
	put(g, "{");
	for (uint32_t i = 0; i < shape->member_count; i++) {
		const struct shape_member *member = &shape->members[(first + i) % shape->member_count];
		bool last = i + 1 == shape->member_count;
		bool may_miss = want.mode == CHECK && member->default_text != NULL && (any || !last);
		if (may_miss && choose_if(g->choices, 60))
			continue;
		put(g, any ? ", " : "");
		put_key(g, member->key, &g->out);
		put(g, ": ");
		expression(g, member->shape, deeper(want));
		any = true;
	}
	put(g, "}");
}

static void choice_value(struct generator *g, const struct shape *shape, struct want want)
{
	const struct shape_member *label = &shape->members[choose(g->choices, shape->member_count)];
	put(g, "%s.%s", shape->name, label->key);
	if (label->shape == NULL)
		return;
	put(g, "(");
	expression(g, label->shape, (struct want){CHECK, LEVEL_ANY, deeper(want).depth});
	put(g, ")");
}

static void said_value(struct generator *g, const struct shape *shape, struct want want)
{
	switch (shape->kind) {
	case SHAPE_OPEN:
		constant_expression(g, want.depth > 1 ? 2 : want.depth);
		break;
	case SHAPE_JSON:
		json_value(g, want);
		break;
	default:
		side_value(g, shape, want);
	}
}

void value(struct generator *g, const struct shape *shape, struct want want)
{
	switch (shape->kind) {
	case SHAPE_OPEN:
	case SHAPE_JSON:
	case SHAPE_SUM:
		if (want.mode != SYNTH) {
			said_value(g, shape, want);
			return;
		}
		put(g, "(");
		said_value(g, shape, (struct want){CHECK, LEVEL_ANY, want.depth});
		put(g, ")");
		put_as(g, shape);
		return;
	case SHAPE_UNIT:
		put(g, choose(g->choices, 2) == 0 ? "()" : "null");
		return;
	case SHAPE_PAIR:
		pair_value(g, shape, want);
		return;
	case SHAPE_LIST:
		list_value(g, shape, want);
		return;
	case SHAPE_RECORD:
		record_value(g, shape, want);
		return;
	case SHAPE_CHOICE:
		choice_value(g, shape, want);
		return;
	default:
		literal(g, shape->kind, &g->out);
	}
}
