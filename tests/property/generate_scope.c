#include "generator.h"

#include <assert.h>

static bool visible(const struct generator *g, const char *name)
{
	for (uint32_t i = 0; i < g->variable_count; i++)
		if (strcmp(g->variables[i].name, name) == 0)
			return true;
	return false;
}

static bool is_pending(const struct pending *pending, const char *name)
{
	for (uint32_t i = 0; i < pending->count; i++)
		if (strcmp(pending->variables[i].name, name) == 0)
			return true;
	return false;
}

/* One among those that `fits` marks; half of the time one that is not used so far. */
static const struct variable_shape *pick(struct generator *g, const bool *fits, uint32_t count, uint32_t fresh)
{
	bool prefer = fresh > 0 && choose_if(g->choices, 50);
	uint32_t left;
	if (count == 0)
		return NULL;
	left = choose(g->choices, prefer ? fresh : count);
	for (uint32_t i = g->variable_count; i-- > 0;) {
		if (!fits[i] || (prefer && g->variables[i].used))
			continue;
		if (left-- > 0)
			continue;
		g->variables[i].used = true;
		return &g->variables[i];
	}
	assert(false);
	return NULL;
}

const struct variable_shape *find_variable(struct generator *g, const struct shape *shape)
{
	bool fits[VARIABLES_MAX];
	uint32_t count = 0;
	uint32_t fresh = 0;
	for (uint32_t i = 0; i < g->variable_count; i++) {
		fits[i] = shape_same(g->variables[i].shape, shape);
		count += fits[i];
		fresh += fits[i] && !g->variables[i].used;
	}
	return pick(g, fits, count, fresh);
}

const struct variable_shape *find_kind(struct generator *g, enum shape_kind kind)
{
	bool fits[VARIABLES_MAX];
	uint32_t count = 0;
	uint32_t fresh = 0;
	for (uint32_t i = 0; i < g->variable_count; i++) {
		fits[i] = g->variables[i].shape->kind == kind;
		count += fits[i];
		fresh += fits[i] && !g->variables[i].used;
	}
	return pick(g, fits, count, fresh);
}

void push_variable(struct generator *g, const char *name, const struct shape *shape)
{
	if (g->variable_count < VARIABLES_MAX)
		g->variables[g->variable_count++] = (struct variable_shape){name, shape, false};
}

/* A name that is neither visible nor pending. */
static const char *free_name(struct generator *g, const struct pending *pending)
{
	for (uint32_t i = 0; i < 20; i++) {
		const char *name = random_variable_name(g);
		if (!visible(g, name) && !is_pending(pending, name))
			return name;
	}
	return fresh_name(g, "var");
}

void pattern(struct generator *g, const struct shape *shape, struct pending *pending)
{
	bool full = pending->count == 8 || g->variable_count + 8 >= VARIABLES_MAX;
	if (shape->kind == SHAPE_PAIR && choose_if(g->choices, 50)) {
		put(g, "(");
		pattern(g, shape->parts[0], pending);
		put(g, ", ");
		/* (a, b, c) is (a, (b, c)) */
		if (shape->parts[1]->kind == SHAPE_PAIR && choose_if(g->choices, 40)) {
			pattern(g, shape->parts[1]->parts[0], pending);
			put(g, ", ");
			pattern(g, shape->parts[1]->parts[1], pending);
		} else {
			pattern(g, shape->parts[1], pending);
		}
		put(g, choose_if(g->choices, 5) ? ",)" : ")");
		return;
	}
	/* `_ = sleep(d)` is an error, so what may be a sleep gets a name. */
	if (full || (shape->kind != SHAPE_UNIT && choose_if(g->choices, 10))) {
		put(g, "%s", full && shape->kind == SHAPE_UNIT ? fresh_name(g, "var") : "_");
		return;
	}
	const char *name = free_name(g, pending);
	put(g, "%s", name);
	pending->variables[pending->count++] = (struct variable_shape){name, shape, false};
}

void bind_pending(struct generator *g, const struct pending *pending)
{
	for (uint32_t i = 0; i < pending->count; i++)
		push_variable(g, pending->variables[i].name, pending->variables[i].shape);
}

/* Something that gives new values to go on with. */
static const struct shape *binding_shape(struct generator *g)
{
	uint32_t kind = choose(g->choices, 12);
	if (kind < 2)
		return shape_compound(g, SHAPE_LIST, shape_random(g, 1), NULL);
	if (kind == 2)
		return shape_basic(SHAPE_UNIT); /* a sleep */
	if (kind == 3 && g->signal_count > 0)
		return g->signals[choose(g->choices, g->signal_count)];
	if (kind < 9 && g->callable_count > 0) {
		const struct callable *callable = &g->callables[choose(g->choices, g->callable_count)];
		if (!callable->loop)
			return callable->result;
	}
	return shape_random(g, 2);
}

void bindings(struct generator *g, uint32_t most, uint32_t depth)
{
	for (uint32_t i = 0; choose_another(g->choices, i, most); i++) {
		struct pending pending = {.count = 0};
		const struct shape *shape = binding_shape(g);
		put(g, "\n");
		pattern(g, shape, &pending);
		put(g, " =");
		put_gap(g);
		expression(g, shape, (struct want){SYNTH, LEVEL_ANY, depth});
		bind_pending(g, &pending);
	}
}

void block(struct generator *g, const struct shape *shape, struct want want)
{
	uint32_t mark = g->variable_count;
	put(g, "{");
	put_gap(g);
	bindings(g, 2, want.depth);
	put(g, "\n");
	want.level = LEVEL_ANY;
	expression(g, shape, want);
	put_gap(g);
	put(g, "}");
	g->variable_count = mark;
}
