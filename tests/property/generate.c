#include "generator.h"

#include <assert.h>
#include <stdio.h>

void put(struct generator *g, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	buffer_formatv(&g->out, format, args);
	va_end(args);
}

void put_gap(struct generator *g)
{
	static const char *const gaps[] = {" ", "\n\t", "  ", " # \"{[( workflow\n", "\r\n"};
	put(g, "%s", choose_if(g->choices, 15) ? gaps[choose(g->choices, 5)] : " ");
}

const char *fresh_name(struct generator *g, const char *prefix)
{
	char name[24];
	snprintf(name, sizeof name, "%s%u", prefix, ++g->name_count);
	return arena_string(&g->arena, slice_of(name));
}

/* What was written is a declaration. */
static void keep(struct generator *g, enum chunk chunk)
{
	assert(g->declaration_count < DECLARATIONS_MAX);
	struct slice text = {arena_string(&g->arena, buffer_slice(&g->out)), g->out.size};
	g->declarations[g->declaration_count++] = (struct declaration_text){chunk, text};
	buffer_clear(&g->out);
}

/* Signatures. */

static const struct shape *param_shape(struct generator *g)
{
	if (g->variable_count > 0 && choose_if(g->choices, 60))
		return g->variables[choose(g->choices, g->variable_count)].shape;
	return shape_random(g, 1);
}

static void add_params(struct generator *g, struct callable *callable, uint32_t most)
{
	static const char *const names[] = {"x", "y", "z", "w", "limit"};
	bool defaults = false;
	for (uint32_t i = 0; choose_another(g->choices, i, most) && callable->param_count < PARAMS_MAX; i++) {
		struct param_shape *param = &callable->params[callable->param_count];
		param->name = names[callable->param_count++];
		param->shape = param_shape(g);
		defaults = defaults || choose_if(g->choices, 15);
		if (defaults)
			param->default_text = constant_text(g, param->shape);
	}
}

static void put_signature(struct generator *g, const struct callable *callable)
{
	put(g, "%s(", callable->name);
	for (uint32_t i = 0; i < callable->param_count; i++) {
		const struct param_shape *param = &callable->params[i];
		put(g, "%s%s: ", i > 0 ? ", " : "", param->name);
		shape_print(param->shape, &g->out);
		if (param->default_text != NULL)
			put(g, " = %s", param->default_text);
	}
	put(g, ") -> ");
	shape_print(callable->result, &g->out);
}

static struct callable *add_callable(struct generator *g, const char *name, const struct shape *result)
{
	if (g->callable_count == CALLABLES_MAX || g->declaration_count + 2 > DECLARATIONS_MAX)
		return NULL;
	struct callable *callable = &g->callables[g->callable_count++];
	*callable = (struct callable){.name = name, .result = result};
	return callable;
}

/* Into a buffer of its own: a workflow may be half-written. */
static void declare_process(struct generator *g, const struct callable *process)
{
	static const char *const settings[] = {"", " { timeout = 77s }", " {}",
	                                       " { retries = 3 backoff = 1s timeout = 77s }"};
	struct buffer out = g->out;
	g->out = BUFFER_EMPTY;
	put(g, "process ");
	put_signature(g, process);
	put(g, "%s\n", settings[choose(g->choices, 4)]);
	keep(g, CHUNK_PROCESSES);
	buffer_finish(&g->out);
	g->out = out;
}

static struct callable *new_process(struct generator *g, const char *prefix, const struct shape *result)
{
	struct callable *process = add_callable(g, fresh_name(g, prefix), result);
	if (process != NULL)
		add_params(g, process, 3);
	if (process != NULL)
		declare_process(g, process);
	return process;
}

/* The same process with settings of its own. */
static const struct callable *new_variant(struct generator *g, const struct callable *base)
{
	struct callable *variant = add_callable(g, fresh_name(g, "V"), base->result);
	if (variant == NULL)
		return base;
	const char *name = variant->name;
	*variant = *base;
	variant->name = name;
	struct buffer out = g->out;
	g->out = BUFFER_EMPTY;
	put(g, "process %s = %s { timeout = 77s }\n", name, base->name);
	keep(g, CHUNK_PROCESSES);
	buffer_finish(&g->out);
	g->out = out;
	return variant;
}

const struct callable *some_process(struct generator *g, const struct shape *result)
{
	const struct callable *found[CALLABLES_MAX];
	uint32_t count = 0;
	for (uint32_t i = 0; i < g->callable_count; i++)
		if (!g->callables[i].workflow && !g->callables[i].hidden && shape_same(g->callables[i].result, result))
			found[count++] = &g->callables[i];
	if (count == 0 || (count < 4 && choose_if(g->choices, 25)))
		return new_process(g, "P", result);
	const struct callable *process = found[choose(g->choices, count)];
	return choose_if(g->choices, 4) ? new_variant(g, process) : process;
}

/* Workflows. */

static void begin_workflow(struct generator *g, const struct callable *workflow, uint32_t budget)
{
	assert(g->variable_count == 0);
	for (uint32_t i = 0; i < workflow->param_count; i++)
		push_variable(g, workflow->params[i].name, workflow->params[i].shape);
	g->budget = budget;
	put(g, "workflow ");
	put_signature(g, workflow);
	put(g, " {");
	if (choose_if(g->choices, 40))
		put(g, "\n_ = \"mark-%u\"", g->declaration_count);
}

static void end_workflow(struct generator *g)
{
	put(g, "\n}\n");
	keep(g, CHUNK_WORKFLOWS);
	g->variable_count = 0;
}

static void plain_workflow(struct generator *g, const char *name, uint32_t size)
{
	const struct shape *result = shape_random(g, 3);
	uint32_t depth = 2 + choose(g->choices, 4);
	/* Known when the body is done: it must not call itself. */
	struct callable workflow = {.name = name, .result = result, .workflow = true};
	add_params(g, &workflow, 3);
	begin_workflow(g, &workflow, size);
	bindings(g, 9, depth);
	put(g, "\n");
	if (g->budget == 0)
		g->budget = size / 4;
	expression(g, result, (struct want){CHECK, LEVEL_ANY, depth});
	end_workflow(g);
	struct callable *added = add_callable(g, name, result);
	if (added != NULL)
		*added = workflow;
}

/* Loops: a group of workflows that call one another, and themselves, with what is left of a number. */

#define LOOP_PARAM_MAX 2u /* beside the number */

/* What a step gives to go on with: the number that is left, and a value. */
static const struct shape *more_shape(struct generator *g, const struct shape *carried)
{
	const struct shape *number = shape_basic(SHAPE_NUMBER);
	if (choose_if(g->choices, 30)) {
		struct shape *record = shape_members(g, SHAPE_RECORD, 2);
		record->members[0] = (struct shape_member){"n", number, NULL};
		record->members[1] = (struct shape_member){"a", carried, NULL};
		return record;
	}
	return shape_compound(g, SHAPE_PAIR, number, carried);
}

static const struct shape *step_shape(struct generator *g, const struct shape *more)
{
	const struct shape *done = shape_random(g, 1);
	if (g->shape_count == SHAPES_MAX || !choose_if(g->choices, 40))
		return shape_compound(g, SHAPE_SUM, more, done);
	struct shape *choice = shape_members(g, SHAPE_CHOICE, 3);
	choice->members[0] = (struct shape_member){"more", more, NULL};
	choice->members[1] = (struct shape_member){"done", done, NULL};
	choice->members[2] = (struct shape_member){"none", NULL, NULL};
	struct buffer out = g->out;
	g->out = BUFFER_EMPTY;
	const struct shape *named = shape_name(g, fresh_name(g, "S"), choice);
	buffer_finish(&g->out);
	g->out = out;
	return named;
}

static struct callable *number_process(struct generator *g, const char *prefix, const struct shape *result)
{
	struct callable *process = add_callable(g, fresh_name(g, prefix), result);
	if (process == NULL)
		return NULL;
	process->hidden = true;
	process->params[process->param_count++] = (struct param_shape){"n", shape_basic(SHAPE_NUMBER), NULL};
	add_params(g, process, 1);
	declare_process(g, process);
	return process;
}

/* An expression in which the loop may go on. */
static void with_fuel(struct generator *g, const char *fuel, const struct shape *result, uint32_t calls)
{
	g->fuel = fuel;
	g->loop_calls = calls;
	g->budget += 6;
	expression(g, result, (struct want){CHECK, LEVEL_ANY, 3});
	g->fuel = NULL;
}

/* Calls a member of the group straight away, so that loops do go round; in tail position, or wrapped. */
static void go_on(struct generator *g, const char *fuel, const struct shape *result)
{
	const struct callable *found[CALLABLES_MAX];
	uint32_t count = 0;
	for (uint32_t i = 0; i < g->callable_count; i++)
		if (g->callables[i].loop && shape_same(g->callables[i].result, result))
			found[count++] = &g->callables[i];
	if (!choose_if(g->choices, 70)) {
		with_fuel(g, fuel, result, 2);
		return;
	}
	const struct callable *callee = found[choose(g->choices, count)];
	g->fuel = fuel;
	g->loop_calls = 0;
	put(g, "%s", callee->name);
	call_arguments(g, callee, 1);
	g->fuel = NULL;
}

static void step_body(struct generator *g, const struct callable *loop)
{
	const struct shape *more = more_shape(g, param_shape(g));
	const struct shape *subject = step_shape(g, more);
	struct callable *step = number_process(g, "Step", subject);
	uint32_t mark = g->variable_count;
	if (step == NULL) {
		expression(g, loop->result, (struct want){CHECK, LEVEL_ANY, 2});
		return;
	}
	bool sum = subject->kind == SHAPE_SUM;
	put(g, "\ncase %s(n", step->name);
	for (uint32_t i = 1; i < step->param_count; i++) {
		put(g, ", ");
		expression(g, step->params[i].shape, (struct want){CHECK, LEVEL_ANY, 1});
	}
	const char *fuel = fresh_name(g, "fuel");
	const char *carried = fresh_name(g, "carried");
	const char *whole = fresh_name(g, "whole");
	bool record = more->kind == SHAPE_RECORD;
	put(g, ") {\n%s ", sum ? "left" : "more");
	if (record)
		put(g, "%s -> { %s = %s.n %s = %s.a\n", whole, fuel, whole, carried, whole);
	else
		put(g, "(%s, %s) -> {", fuel, carried);
	push_variable(g, fuel, shape_basic(SHAPE_NUMBER));
	push_variable(g, carried, record ? more->members[1].shape : more->parts[1]);
	bindings(g, 1, 2);
	put(g, "\n");
	go_on(g, fuel, loop->result);
	g->variable_count = mark;
	put(g, "\n}\n%s ended -> ", sum ? "right" : "done");
	push_variable(g, "ended", sum ? subject->parts[1] : subject->members[1].shape);
	expression(g, loop->result, (struct want){CHECK, LEVEL_ANY, 2});
	g->variable_count = mark;
	if (!sum) {
		put(g, "\nnone -> ");
		expression(g, loop->result, (struct want){CHECK, LEVEL_ANY, 1});
	}
	put(g, "\n}");
}

/* A tree of calls: one for each smaller number that a process gives. */
static void kids_body(struct generator *g, const struct callable *loop)
{
	const struct shape *number = shape_basic(SHAPE_NUMBER);
	struct callable *kids = number_process(g, "Kids", shape_compound(g, SHAPE_LIST, number, NULL));
	const struct shape *results = shape_compound(g, SHAPE_LIST, loop->result, NULL);
	struct callable *merge = kids != NULL ? add_callable(g, fresh_name(g, "Merge"), loop->result) : NULL;
	if (merge == NULL) {
		expression(g, loop->result, (struct want){CHECK, LEVEL_ANY, 2});
		return;
	}
	merge->hidden = true;
	merge->params[merge->param_count++] = (struct param_shape){"all", results, NULL};
	declare_process(g, merge);
	const char *fuel = fresh_name(g, "fuel");
	put(g, "\n%s(each %s in %s(n", merge->name, fuel, kids->name);
	for (uint32_t i = 1; i < kids->param_count; i++) {
		put(g, ", ");
		expression(g, kids->params[i].shape, (struct want){CHECK, LEVEL_ANY, 1});
	}
	put(g, choose_if(g->choices, 50) ? ") limit 2 { " : ") { ");
	push_variable(g, fuel, number);
	go_on(g, fuel, loop->result);
	put(g, " })");
}

static void loops(struct generator *g)
{
	struct callable *group[2];
	uint32_t count = 1 + choose(g->choices, 2);
	const struct shape *result = shape_random(g, 2);
	if (g->callable_count + 8 > CALLABLES_MAX || g->declaration_count + 12 > DECLARATIONS_MAX)
		return;
	for (uint32_t i = 0; i < count; i++) {
		group[i] = add_callable(g, fresh_name(g, "Loop"), result);
		group[i]->params[group[i]->param_count++] = (struct param_shape){"n", shape_basic(SHAPE_NUMBER), NULL};
		add_params(g, group[i], LOOP_PARAM_MAX);
		group[i]->workflow = true;
		group[i]->loop = true;
	}
	for (uint32_t i = 0; i < count; i++) {
		begin_workflow(g, group[i], 8);
		bindings(g, 1, 2);
		if (choose_if(g->choices, 30))
			kids_body(g, group[i]);
		else
			step_body(g, group[i]);
		end_workflow(g);
	}
	for (uint32_t i = 0; i < count; i++)
		group[i]->loop = false;
}

/* The program. */

static void signals(struct generator *g)
{
	for (uint32_t i = 0; choose_another(g->choices, i, SIGNALS_MAX); i++) {
		static const char *const names[SIGNALS_MAX] = {"Sig0", "Sig1", "Sig2"};
		g->signals[g->signal_count++] = shape_name(g, names[i], shape_random(g, 2));
	}
}

/* Declarations stand in any order. */
static void shuffle(struct generator *g)
{
	if (!choose_if(g->choices, 50))
		return;
	for (uint32_t i = g->declaration_count; i > 1; i--) {
		uint32_t other = i - 1 - choose(g->choices, i);
		struct declaration_text text = g->declarations[i - 1];
		g->declarations[i - 1] = g->declarations[other];
		g->declarations[other] = text;
	}
}

void generate(struct choices *choices, struct generated *ret_generated)
{
	struct generator *g = &(struct generator){.choices = choices, .out = BUFFER_EMPTY};
	*ret_generated = (struct generated){.arrangement = choose(choices, ARRANGEMENT_COUNT)};
	g->versions = ret_generated->arrangement == TWICE;
	for (uint32_t i = 0; choose_another(choices, i, 6); i++)
		shape_declare(g);
	signals(g);
	for (uint32_t i = 0; choose_another(choices, i, 5); i++)
		new_process(g, "P", shape_random(g, 2));
	for (uint32_t i = 0; choose_another(choices, i, 4); i++) {
		if (choose_if(choices, 40))
			loops(g);
		else
			plain_workflow(g, fresh_name(g, "W"), 4 + choose(choices, 12));
	}
	plain_workflow(g, "Main", 8 + choose(choices, 120));
	shuffle(g);
	for (uint32_t i = 0; i < g->declaration_count; i++) {
		const struct declaration_text *text = &g->declarations[i];
		buffer_append_slice(text->chunk == CHUNK_TYPES       ? &ret_generated->types
		                    : text->chunk == CHUNK_PROCESSES ? &ret_generated->processes
		                                                     : &ret_generated->workflows,
		                    text->text);
	}
	buffer_finish(&g->out);
	arena_finish(&g->arena);
}

void generated_finish(struct generated *generated)
{
	buffer_finish(&generated->types);
	buffer_finish(&generated->processes);
	buffer_finish(&generated->workflows);
}
