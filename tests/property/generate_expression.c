#include "generator.h"

#include <assert.h>

enum form {
	FORM_VALUE,
	FORM_VARIABLE,
	FORM_PROCESS,
	FORM_WORKFLOW,
	FORM_LOOP,
	FORM_MEMBER,
	FORM_CASE,
	FORM_EACH,
	FORM_AFTER,
	FORM_BLOCK,
	FORM_AS,
	FORM_SIGNAL,
	FORM_SLEEP,
	FORM_COUNT,
};

static struct want deeper(struct want want, enum mode mode, enum level level)
{
	return (struct want){mode, level, want.depth > 0 ? want.depth - 1 : 0};
}

/* Calls. */

static void argument(struct generator *g, const struct callable *callee, uint32_t param, uint32_t depth)
{
	if (callee->loop && param == 0)
		put(g, "%s", g->fuel);
	else
		expression(g, callee->params[param].shape, (struct want){CHECK, LEVEL_ANY, depth});
}

/* Some by position, then the others by name in any order; what has a default may be left out. */
void call_arguments(struct generator *g, const struct callable *callee, uint32_t depth)
{
	uint32_t count = callee->param_count;
	uint32_t by_name = choose_if(g->choices, 30) ? choose(g->choices, count + 1) : 0;
	uint32_t positional = count - by_name;
	bool any = false;
	put(g, "(");
	for (uint32_t i = 0; i < positional; i++) {
		if (by_name == 0 && callee->params[i].default_text != NULL && choose_if(g->choices, 50))
			break;
		put(g, any ? ", " : "");
		argument(g, callee, i, depth);
		any = true;
	}
	uint32_t first = by_name > 0 ? choose(g->choices, by_name) : 0;
	for (uint32_t i = 0; i < by_name; i++) {
		uint32_t param = positional + (first + i) % by_name;
		if (callee->params[param].default_text != NULL && choose_if(g->choices, 50))
			continue;
		put(g, "%s%s: ", any ? ", " : "", callee->params[param].name);
		argument(g, callee, param, depth);
		any = true;
	}
	put(g, any && choose_if(g->choices, 5) ? ",)" : ")");
}

static const struct callable *find_callable(struct generator *g, const struct shape *result, enum form form)
{
	const struct callable *found[CALLABLES_MAX];
	uint32_t count = 0;
	for (uint32_t i = 0; i < g->callable_count; i++) {
		const struct callable *callable = &g->callables[i];
		if (callable->workflow && callable->loop == (form == FORM_LOOP) && shape_same(callable->result, result))
			found[count++] = callable;
	}
	return count > 0 ? found[choose(g->choices, count)] : NULL;
}

static bool call_form(struct generator *g, const struct shape *shape, struct want want, enum form form)
{
	const struct callable *callee;
	if (form == FORM_PROCESS)
		callee = some_process(g, shape);
	else
		callee = find_callable(g, shape, form);
	if (callee == NULL)
		return false;
	if (form == FORM_LOOP)
		g->loop_calls--;
	put(g, "%s%s", callee->name, g->versions && !callee->workflow && choose_if(g->choices, 30) ? "@1" : "");
	call_arguments(g, callee, want.depth > 0 ? want.depth - 1 : 0);
	return true;
}

/* Choices. */

static const struct shape *subject_shape(struct generator *g)
{
	static const enum shape_kind kinds[] = {SHAPE_CHOICE, SHAPE_SUM, SHAPE_BOOL};
	uint32_t first = choose(g->choices, 3);
	for (uint32_t i = 0; i < 3; i++) {
		const struct variable_shape *variable = find_kind(g, kinds[(first + i) % 3]);
		if (variable != NULL && choose_if(g->choices, 60))
			return variable->shape;
	}
	for (uint32_t i = 0; i < g->shape_count; i++) {
		const struct shape *shape = g->shapes[(first + i) % g->shape_count];
		if (shape->kind == SHAPE_CHOICE && choose_if(g->choices, 70))
			return shape;
	}
	if (choose_if(g->choices, 50))
		return shape_basic(SHAPE_BOOL);
	const struct shape *left = shape_random(g, 1);
	return shape_compound(g, SHAPE_SUM, left, shape_random(g, 1));
}

static const char *label_of(const struct shape *shape, uint32_t index, const struct shape **ret_payload)
{
	*ret_payload = NULL;
	if (shape->kind == SHAPE_BOOL)
		return index == 0 ? "true" : "false";
	*ret_payload = shape->kind == SHAPE_SUM ? shape->parts[index] : shape->members[index].shape;
	if (shape->kind == SHAPE_SUM)
		return index == 0 ? "left" : "right";
	return shape->members[index].key;
}

static void arm(struct generator *g, const char *label, const struct shape *payload, const struct shape *shape,
                struct want want)
{
	struct pending pending = {.count = 0};
	uint32_t mark = g->variable_count;
	put(g, "\n%s ", label);
	if (payload != NULL && choose_if(g->choices, 85)) {
		pattern(g, payload, &pending);
		put(g, " ");
	}
	put(g, "->");
	put_gap(g);
	bind_pending(g, &pending);
	expression(g, shape, want);
	g->variable_count = mark;
}

static void case_form(struct generator *g, const struct shape *shape, struct want want)
{
	const struct shape *subject = subject_shape(g);
	uint32_t count = subject->kind == SHAPE_CHOICE ? subject->member_count : 2;
	uint32_t first = choose(g->choices, count);
	bool any = choose_if(g->choices, 15);
	uint32_t covered = any ? choose(g->choices, count + 1) : count;
	struct want one = deeper(want, want.mode, LEVEL_ANY);
	put(g, "case ");
	expression(g, subject, deeper(want, SYNTH, LEVEL_ANY));
	put(g, " {");
	for (uint32_t i = 0; i < covered; i++) {
		const struct shape *payload;
		const char *label = label_of(subject, (first + i) % count, &payload);
		arm(g, label, payload, shape, one);
		/* The first one has said the type. */
		if (one.mode == SYNTH && choose_if(g->choices, 60))
			one.mode = GUIDED;
	}
	if (any)
		arm(g, "_", NULL, shape, one);
	put(g, "\n}");
}

/* The others. */

static void each_form(struct generator *g, const struct shape *shape, struct want want)
{
	struct pending pending = {.count = 0};
	const struct variable_shape *variable = find_kind(g, SHAPE_LIST);
	uint32_t mark = g->variable_count;
	uint32_t limit = choose_if(g->choices, 50) ? 1 + choose(g->choices, 6) : 0;
	const struct shape *list = variable != NULL && choose_if(g->choices, 60)
	                                   ? variable->shape
	                                   : shape_compound(g, SHAPE_LIST, shape_random(g, 1), NULL);
	put(g, "each ");
	pattern(g, list->parts[0], &pending);
	put(g, " in ");
	expression(g, list, deeper(want, SYNTH, LEVEL_ANY));
	if (limit > 0)
		put(g, " limit %u", limit);
	put(g, " ");
	bind_pending(g, &pending);
	block(g, shape->kind == SHAPE_JSON ? shape : shape->parts[0], want);
	g->variable_count = mark;
}

static const struct shape_member *member_of(const struct shape *record, const struct shape *shape)
{
	for (uint32_t i = 0; i < record->member_count; i++)
		if (shape_same(record->members[i].shape, shape))
			return &record->members[i];
	return NULL;
}

static bool member_form(struct generator *g, const struct shape *shape, struct want want)
{
	const struct shape *record = NULL;
	for (uint32_t i = g->variable_count; i-- > 0 && record == NULL;)
		if (g->variables[i].shape->kind == SHAPE_RECORD && member_of(g->variables[i].shape, shape) != NULL)
			record = g->variables[i].shape;
	for (uint32_t i = 0; i < g->shape_count && record == NULL; i++)
		if (g->shapes[i]->kind == SHAPE_RECORD && member_of(g->shapes[i], shape) != NULL)
			record = g->shapes[i];
	if (record == NULL)
		return false;
	expression(g, record, deeper(want, SYNTH, LEVEL_POSTFIX));
	/* No point touches a number. */
	char last = g->out.data[g->out.size - 1];
	put(g, last >= '0' && last <= '9' ? " ." : ".");
	put_key(g, member_of(record, shape)->key, &g->out);
	return true;
}

static bool signal_form(struct generator *g, const struct shape *shape, struct want want)
{
	static const enum shape_kind keys[] = {SHAPE_NUMBER, SHAPE_TEXT};
	uint32_t index = 0;
	while (index < g->signal_count && !shape_same(g->signals[index], shape))
		index++;
	if (index == g->signal_count)
		return false;
	put(g, "signal(\"sig%u%s\"", index, index == 1 ? " \\u00e9 \\\"" : "");
	if (choose_if(g->choices, 50)) {
		put(g, ", ");
		expression(g, shape_basic(keys[choose(g->choices, 2)]), deeper(want, SYNTH, LEVEL_ANY));
	}
	put(g, ")");
	/* The first type that is expected of a signal is that of all, with its defaults: so it is always the same one. */
	if (want.mode != CHECK || shape != g->signals[index])
		put(g, " as %s", g->signals[index]->name);
	return true;
}

static void after_form(struct generator *g, const struct shape *shape, struct want want)
{
	const struct shape *gate = g->variable_count > 0 ? g->variables[choose(g->choices, g->variable_count)].shape
	                                                 : shape_random(g, 1);
	expression(g, shape, deeper(want, want.mode, LEVEL_POSTFIX));
	put(g, " after ");
	expression(g, gate, deeper(want, SYNTH, LEVEL_PRIMARY));
}

static void as_form(struct generator *g, const struct shape *shape, struct want want)
{
	expression(g, shape, deeper(want, CHECK, LEVEL_POSTFIX));
	put(g, " as ");
	shape_print(shape, &g->out);
}

/* Json takes whatever has a type. */
static const struct variable_shape *any_variable(struct generator *g, const struct shape *shape, struct want want)
{
	if (shape->kind == SHAPE_JSON && want.mode != SYNTH && g->variable_count > 0 && choose_if(g->choices, 50)) {
		struct variable_shape *variable = &g->variables[choose(g->choices, g->variable_count)];
		variable->used = true;
		return variable;
	}
	return find_variable(g, shape);
}

static bool may_be(const struct generator *g, const struct shape *shape, struct want want, enum form form)
{
	if (form <= FORM_VARIABLE)
		return true;
	if (g->budget == 0 || want.depth == 0)
		return false;
	switch (form) {
	case FORM_EACH:
		return shape->kind == SHAPE_LIST || (shape->kind == SHAPE_JSON && want.mode != SYNTH);
	case FORM_SLEEP:
		return shape->kind == SHAPE_UNIT;
	case FORM_LOOP:
		return g->fuel != NULL && g->loop_calls > 0;
	default:
		return true;
	}
}

static uint32_t weight_of(const struct generator *g, const struct shape *shape, struct want want, enum form form)
{
	static const uint8_t weights[FORM_COUNT] = {
		[FORM_VALUE] = 6,  [FORM_VARIABLE] = 8, [FORM_PROCESS] = 7, [FORM_WORKFLOW] = 5, [FORM_LOOP] = 5,
		[FORM_MEMBER] = 2, [FORM_CASE] = 4,     [FORM_EACH] = 9,    [FORM_AFTER] = 2,    [FORM_BLOCK] = 2,
		[FORM_AS] = 1,     [FORM_SIGNAL] = 5,   [FORM_SLEEP] = 6,
	};
	if (!may_be(g, shape, want, form))
		return 0;
	/* Constants are less interesting than what is made of them. */
	if (form == FORM_VALUE && shape->parts[0] == NULL && shape->members == NULL)
		return 2;
	return weights[form];
}

static enum form pick_form(struct generator *g, const struct shape *shape, struct want want)
{
	uint32_t sum = 0;
	for (uint32_t form = 0; form < FORM_COUNT; form++)
		sum += weight_of(g, shape, want, form);
	uint32_t drawn = choose(g->choices, sum);
	for (uint32_t form = 0; form < FORM_COUNT; form++) {
		uint32_t weight = weight_of(g, shape, want, form);
		if (drawn < weight)
			return form;
		drawn -= weight;
	}
	return FORM_VALUE;
}

static enum level form_level(const struct shape *shape, struct want want, enum form form)
{
	switch (form) {
	case FORM_VALUE:
		return value_level(shape, want);
	case FORM_CASE:
	case FORM_EACH:
		return LEVEL_ANY;
	case FORM_MEMBER:
	case FORM_AFTER:
	case FORM_AS:
	case FORM_SIGNAL:
		return LEVEL_POSTFIX;
	default:
		return LEVEL_PRIMARY;
	}
}

/* False: there is nothing for it, and nothing was written. */
static bool write_form(struct generator *g, const struct shape *shape, struct want want, enum form form)
{
	const struct variable_shape *variable;
	switch (form) {
	case FORM_VARIABLE:
		variable = any_variable(g, shape, want);
		if (variable == NULL)
			return false;
		put(g, "%s", variable->name);
		return true;
	case FORM_PROCESS:
	case FORM_WORKFLOW:
	case FORM_LOOP:
		return call_form(g, shape, want, form);
	case FORM_MEMBER:
		return member_form(g, shape, want);
	case FORM_SIGNAL:
		return signal_form(g, shape, want);
	case FORM_CASE:
		case_form(g, shape, want);
		return true;
	case FORM_EACH:
		each_form(g, shape, want);
		return true;
	case FORM_AFTER:
		after_form(g, shape, want);
		return true;
	case FORM_BLOCK:
		block(g, shape, deeper(want, want.mode, LEVEL_ANY));
		return true;
	case FORM_AS:
		as_form(g, shape, want);
		return true;
	case FORM_SLEEP:
		put(g, "sleep(");
		expression(g, shape_basic(SHAPE_DURATION), deeper(want, CHECK, LEVEL_ANY));
		put(g, ")");
		return true;
	default:
		return false;
	}
}

void expression(struct generator *g, const struct shape *shape, struct want want)
{
	enum form form = pick_form(g, shape, want);
	size_t start = g->out.size;
	if (g->budget > 0)
		g->budget--;
	bool brackets = form_level(shape, want, form) < want.level || choose_if(g->choices, 3);
	put(g, brackets ? "(" : "");
	bool written = write_form(g, shape, want, form);
	if (!written && form != FORM_PROCESS && may_be(g, shape, want, FORM_PROCESS) && choose_if(g->choices, 60))
		written = write_form(g, shape, want, FORM_PROCESS);
	if (!written) {
		g->out.size = start;
		brackets = value_level(shape, want) < want.level;
		put(g, brackets ? "(" : "");
		value(g, shape, want);
	}
	put(g, brackets ? ")" : "");
}
