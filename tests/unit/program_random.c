#include "program_random.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>

#define CHANNELS 24 /* at once in a scope */
#define TERMS 64    /* of a block */
#define DEPTH 3

/* Shapes of values: opaque, or with two parts at most. The shape of a process's result stands in its name. */
enum shape_kind { OPAQUE, PAIR, RECORD, CHOICE, LIST, SHAPE_KINDS };

struct shape {
	enum shape_kind kind;
	enum shape_kind part; /* of both parts, one level only: parts of that have opaque parts */
};

struct channel_drawn {
	uint32_t name;
	struct shape shape;
};

struct scope {
	struct channel_drawn channels[CHANNELS];
	uint32_t count;
	char *terms[TERMS];
	uint32_t term_count;
};

struct workflow_drawn {
	uint32_t param_count;
	struct shape result;
};

struct generator {
	struct draw *draw;
	struct random order;
	struct buffer *out;
	struct buffer bodies; /* of `each`, which come first */
	uint32_t last_name;
	uint32_t last_body;
	uint32_t budget;
	struct workflow_drawn workflows[4];
	uint32_t workflow_count;
};

uint32_t draw_below(struct draw *draw, uint32_t bound)
{
	if (draw->size != 0) {
		draw->size--;
		return *draw->data++ % bound;
	}
	return (uint32_t)random_below(&draw->random, bound);
}

static const struct shape plain = {OPAQUE, OPAQUE};

static struct shape part_of(struct shape shape)
{
	return (struct shape){shape.part, OPAQUE};
}

static bool same(struct shape left, struct shape right)
{
	return left.kind == right.kind && left.part == right.part;
}

static struct shape draw_shape(struct draw *draw)
{
	struct shape shape = {(enum shape_kind)draw_below(draw, SHAPE_KINDS), OPAQUE};
	if (shape.kind != OPAQUE)
		shape.part = (enum shape_kind)draw_below(draw, SHAPE_KINDS);
	return shape;
}

/* JSON of a shape, told apart by the seed. */
static void put_json(struct buffer *out, struct shape shape, struct random *random)
{
	uint64_t count = 2;
	switch (shape.kind) {
	case PAIR:
		buffer_append_char(out, '[');
		put_json(out, part_of(shape), random);
		buffer_append_char(out, ',');
		put_json(out, part_of(shape), random);
		buffer_append_char(out, ']');
		return;
	case RECORD:
		buffer_append_string(out, "{\"a\":");
		put_json(out, part_of(shape), random);
		buffer_append_string(out, ",\"b\":");
		put_json(out, part_of(shape), random);
		buffer_append_char(out, '}');
		return;
	case CHOICE:
		buffer_append_string(out, random_below(random, 2) == 0 ? "{\"left\":" : "{\"right\":");
		put_json(out, part_of(shape), random);
		buffer_append_char(out, '}');
		return;
	case LIST:
		buffer_append_char(out, '[');
		count = random_below(random, 5);
		for (uint64_t i = 0; i < count; i++) {
			if (i != 0)
				buffer_append_char(out, ',');
			put_json(out, part_of(shape), random);
		}
		buffer_append_char(out, ']');
		return;
	default:
		buffer_format(out, "%u", (unsigned)random_below(random, 1000));
	}
}

/* Scopes. */

static void __attribute__((format(printf, 2, 3))) term(struct scope *scope, const char *format, ...)
{
	struct buffer text = BUFFER_EMPTY;
	va_list args;
	va_start(args, format);
	buffer_formatv(&text, format, args);
	va_end(args);
	buffer_string(&text);
	assert(scope->term_count < TERMS);
	scope->terms[scope->term_count++] = text.data;
}

static uint32_t add(struct generator *generator, struct scope *scope, struct shape shape)
{
	assert(scope->count < CHANNELS);
	scope->channels[scope->count++] = (struct channel_drawn){++generator->last_name, shape};
	return generator->last_name;
}

static struct channel_drawn take_at(struct scope *scope, uint32_t index)
{
	struct channel_drawn taken = scope->channels[index];
	scope->channels[index] = scope->channels[--scope->count];
	return taken;
}

static struct channel_drawn take_any(struct generator *generator, struct scope *scope)
{
	return take_at(scope, draw_below(generator->draw, scope->count));
}

/* The first channel of the kind; false: none. */
static bool take_kind(struct scope *scope, enum shape_kind kind, struct channel_drawn *ret_channel)
{
	for (uint32_t i = 0; i < scope->count; i++) {
		if (scope->channels[i].shape.kind == kind) {
			*ret_channel = take_at(scope, i);
			return true;
		}
	}
	return false;
}

/* Writes the terms of a block in the order that was drawn for it. */
static void put_terms(struct generator *generator, struct scope *scope, struct buffer *out)
{
	while (scope->term_count != 0) {
		uint32_t pick = (uint32_t)random_below(&generator->order, scope->term_count);
		char *text = scope->terms[pick];
		scope->terms[pick] = scope->terms[--scope->term_count];
		buffer_format(out, " %s", text);
		mem_free(text);
	}
}

static void draw_terms(struct generator *generator, struct scope *scope, uint32_t depth);

/* All that is left goes into one value on channel `to`. */
static void close_scope(struct scope *scope, const char *to)
{
	struct buffer list = BUFFER_EMPTY;
	buffer_format(&list, "ListOut(%s;", to);
	for (uint32_t i = 0; i < scope->count; i++)
		buffer_format(&list, "%s c%u", i == 0 ? "" : ",", scope->channels[i].name);
	buffer_append_char(&list, ')');
	term(scope, "%s", buffer_string(&list));
	buffer_finish(&list);
	scope->count = 0;
}

/* "{ … }" with the channels given, its value on `to`. */
static char *draw_block(struct generator *generator, const struct channel_drawn *channels, uint32_t count, const char *to,
                        uint32_t depth)
{
	struct scope *scope = mem_zero(sizeof *scope);
	struct buffer text = BUFFER_EMPTY;
	for (uint32_t i = 0; i < count; i++)
		scope->channels[scope->count++] = channels[i];
	draw_terms(generator, scope, depth + 1);
	close_scope(scope, to);
	buffer_append_char(&text, '{');
	put_terms(generator, scope, &text);
	buffer_append_string(&text, " }");
	buffer_string(&text);
	mem_free(scope);
	return text.data;
}

/* Kinds of terms. */

static void draw_call(struct generator *generator, struct scope *scope)
{
	struct shape shape = draw_shape(generator->draw);
	struct channel_drawn x = take_any(generator, scope);
	if (scope->count != 0 && draw_below(generator->draw, 2) == 0) {
		struct channel_drawn y = take_any(generator, scope);
		term(scope, "Call(Two%d%d, c%u, c%u; c%u)", shape.kind, shape.part, x.name, y.name,
		     add(generator, scope, shape));
	} else {
		term(scope, "Call(One%d%d, c%u; c%u)", shape.kind, shape.part, x.name, add(generator, scope, shape));
	}
}

static void draw_constant(struct generator *generator, struct scope *scope)
{
	struct shape shape = draw_shape(generator->draw);
	struct random random = {draw_below(generator->draw, 256)};
	struct buffer json = BUFFER_EMPTY;
	put_json(&json, shape, &random);
	term(scope, "Out(c%u, %s)", add(generator, scope, shape), buffer_string(&json));
	buffer_finish(&json);
}

static void draw_structure(struct generator *generator, struct scope *scope)
{
	static const enum shape_kind kinds[] = {PAIR, RECORD, LIST, CHOICE};
	enum shape_kind kind = kinds[draw_below(generator->draw, 4)];
	struct channel_drawn x = take_any(generator, scope);
	struct channel_drawn y = x;
	if (x.shape.part != OPAQUE) { /* would be too deep to tell its shape */
		term(scope, "Id(c%u, c%u)", x.name, add(generator, scope, x.shape));
		return;
	}
	struct shape shape = {kind, x.shape.kind};
	if (kind != CHOICE) {
		uint32_t i = 0;
		while (i < scope->count && !same(scope->channels[i].shape, x.shape))
			i++;
		if (i == scope->count) {
			kind = shape.kind = CHOICE;
		} else {
			y = take_at(scope, i);
		}
	}
	uint32_t to = add(generator, scope, shape);
	if (kind == PAIR)
		term(scope, "ParOut(c%u; c%u, c%u)", to, x.name, y.name);
	else if (kind == RECORD)
		term(scope, "RecOut(c%u; a=c%u, b=c%u)", to, x.name, y.name);
	else if (kind == LIST)
		term(scope, "ListOut(c%u; c%u, c%u)", to, x.name, y.name);
	else
		term(scope, "Select(c%u, %s, c%u)", to, draw_below(generator->draw, 2) == 0 ? "left" : "right", x.name);
}

static void draw_copy(struct generator *generator, struct scope *scope)
{
	struct channel_drawn x = take_any(generator, scope);
	uint32_t first = add(generator, scope, x.shape);
	term(scope, "Copy(c%u; c%u, c%u)", x.name, first, add(generator, scope, x.shape));
}

static void draw_parts(struct generator *generator, struct scope *scope)
{
	struct channel_drawn x;
	if (draw_below(generator->draw, 2) == 0 && take_kind(scope, PAIR, &x)) {
		uint32_t first = add(generator, scope, part_of(x.shape));
		term(scope, "ParIn(c%u; c%u, c%u)", x.name, first, add(generator, scope, part_of(x.shape)));
	} else if (take_kind(scope, RECORD, &x)) {
		term(scope, "Member(c%u, %s; c%u)", x.name, draw_below(generator->draw, 2) == 0 ? "a" : "b",
		     add(generator, scope, part_of(x.shape)));
	}
}

/* Channels that go into a guarded block; all arms have the same. */
static uint32_t draw_captured(struct generator *generator, struct scope *scope, struct channel_drawn *ret_channels)
{
	uint32_t count = draw_below(generator->draw, 3);
	uint32_t taken = 0;
	while (taken < count && scope->count != 0)
		ret_channels[taken++] = take_any(generator, scope);
	return taken;
}

static void draw_case(struct generator *generator, struct scope *scope, uint32_t depth)
{
	struct channel_drawn captured[4];
	struct channel_drawn x;
	if (!take_kind(scope, CHOICE, &x))
		return;
	uint32_t count = draw_captured(generator, scope, captured);
	char *to = mem_format("c%u", add(generator, scope, plain));
	uint32_t left = ++generator->last_name;
	uint32_t right = ++generator->last_name;
	captured[count] = (struct channel_drawn){left, part_of(x.shape)};
	char *first = draw_block(generator, captured, count + 1, to, depth);
	captured[count].name = right;
	char *second = draw_block(generator, captured, count + 1, to, depth);
	term(scope, "WithIn(c%u; left c%u -> %s right c%u -> %s)", x.name, left, first, right, second);
	mem_free(first);
	mem_free(second);
	mem_free(to);
}

static void draw_after(struct generator *generator, struct scope *scope, uint32_t depth)
{
	struct channel_drawn captured[4];
	struct channel_drawn x = take_any(generator, scope);
	uint32_t count = draw_captured(generator, scope, captured);
	char *to = mem_format("c%u", add(generator, scope, plain));
	char *block = draw_block(generator, captured, count, to, depth);
	term(scope, "After(c%u; %s)", x.name, block);
	mem_free(block);
	mem_free(to);
}

static void draw_each(struct generator *generator, struct scope *scope, uint32_t depth)
{
	struct channel_drawn captured[4];
	struct channel_drawn inner[5];
	struct channel_drawn x;
	if (!take_kind(scope, LIST, &x))
		return;
	uint32_t count = draw_captured(generator, scope, captured);
	struct buffer body = BUFFER_EMPTY;
	uint32_t number = ++generator->last_body;
	inner[0] = (struct channel_drawn){++generator->last_name, part_of(x.shape)};
	buffer_format(&body, "each Body%u(c%u", number, inner[0].name);
	for (uint32_t i = 0; i < count; i++) {
		inner[i + 1] = (struct channel_drawn){++generator->last_name, captured[i].shape};
		buffer_format(&body, ", c%u", inner[i + 1].name);
	}
	char *block = draw_block(generator, inner, count + 1, "r", depth);
	buffer_format(&body, ") -> r %s\n", block);
	buffer_append(&generator->bodies, body.data, body.size);
	buffer_clear(&body);
	buffer_format(&body, "Each(c%u, Body%u", x.name, number);
	for (uint32_t i = 0; i < count; i++)
		buffer_format(&body, ", c%u", captured[i].name);
	buffer_format(&body, "; c%u; %u)", add(generator, scope, (struct shape){LIST, OPAQUE}),
	              draw_below(generator->draw, 3));
	term(scope, "%s", buffer_string(&body));
	buffer_finish(&body);
	mem_free(block);
}

static void draw_composite(struct generator *generator, struct scope *scope)
{
	if (generator->workflow_count == 0)
		return;
	uint32_t number = draw_below(generator->draw, generator->workflow_count);
	const struct workflow_drawn *workflow = &generator->workflows[number];
	struct buffer text = BUFFER_EMPTY;
	buffer_format(&text, "Call(W%u", number);
	for (uint32_t i = 0; i < workflow->param_count; i++) {
		struct channel_drawn x;
		if (!take_kind(scope, OPAQUE, &x)) {
			x.name = ++generator->last_name;
			term(scope, "Out(c%u, %u)", x.name, i);
		}
		buffer_format(&text, ", c%u", x.name);
	}
	buffer_format(&text, "; c%u)", add(generator, scope, plain));
	term(scope, "%s", buffer_string(&text));
	buffer_finish(&text);
}

static void draw_term(struct generator *generator, struct scope *scope, uint32_t depth)
{
	uint32_t choice = draw_below(generator->draw, 16);
	if (scope->count == 0 || choice == 0) {
		draw_constant(generator, scope);
	} else if (choice <= 3) {
		draw_call(generator, scope);
	} else if (choice <= 5) {
		draw_structure(generator, scope);
	} else if (choice == 6) {
		draw_copy(generator, scope);
	} else if (choice <= 8) {
		draw_parts(generator, scope);
	} else if (choice == 9) {
		term(scope, "Discard(c%u)", take_any(generator, scope).name);
	} else if (choice == 10) {
		draw_composite(generator, scope);
	} else if (choice == 11) {
		uint32_t number = ++generator->last_name;
		term(scope, "Signal(s%u; c%u)", number, add(generator, scope, plain));
	} else if (depth < DEPTH) {
		if (choice <= 13)
			draw_case(generator, scope, depth);
		else if (choice == 14)
			draw_each(generator, scope, depth);
		else
			draw_after(generator, scope, depth);
	}
}

static void draw_terms(struct generator *generator, struct scope *scope, uint32_t depth)
{
	uint32_t count = draw_below(generator->draw, 12);
	for (uint32_t i = 0; i < count && generator->budget != 0 && scope->count + 3 < CHANNELS; i++) {
		generator->budget--;
		draw_term(generator, scope, depth);
	}
}

static void draw_workflow(struct generator *generator, const char *name, uint32_t param_count)
{
	struct channel_drawn params[4];
	struct buffer head = BUFFER_EMPTY;
	buffer_format(&head, "workflow %s(", name);
	for (uint32_t i = 0; i < param_count; i++) {
		params[i] = (struct channel_drawn){++generator->last_name, plain};
		buffer_format(&head, "%sc%u", i == 0 ? "" : ", ", params[i].name);
	}
	generator->budget = 40;
	char *block = draw_block(generator, params, param_count, "o", 0);
	buffer_append_slice(generator->out, buffer_slice(&generator->bodies));
	buffer_clear(&generator->bodies);
	buffer_format(generator->out, "%s) -> o %s\n", buffer_string(&head), block);
	mem_free(block);
	buffer_finish(&head);
}

void program_random(struct draw *draw, uint64_t order, struct buffer *out)
{
	struct generator *generator = mem_zero(sizeof *generator);
	generator->draw = draw;
	generator->order.state = order;
	generator->out = out;
	for (int kind = 0; kind < SHAPE_KINDS; kind++)
		for (int part = 0; part < SHAPE_KINDS; part++)
			buffer_format(out, "process One%d%d(x) process Two%d%d(x, y)\n", kind, part, kind, part);
	uint32_t count = draw_below(draw, 3);
	for (uint32_t i = 0; i < count; i++) {
		char name[16] = {'W', (char)('0' + i)};
		struct workflow_drawn workflow = {.param_count = draw_below(draw, 3), .result = plain};
		draw_workflow(generator, name, workflow.param_count);
		generator->workflows[generator->workflow_count++] = workflow;
	}
	draw_workflow(generator, "Main", 0);
	buffer_finish(&generator->bodies);
	mem_free(generator);
}

struct text *program_random_answer(const struct instance_call *call)
{
	struct slice name = call->kind == INSTANCE_CALL_PROCESS ? call->process->name : call->signal;
	struct shape shape = plain;
	struct random random = {0};
	for (size_t i = 0; i < name.size; i++)
		random.state = random_next(&random) + (unsigned char)name.data[i];
	for (size_t i = 0; i < call->args->size; i++)
		random.state = random_next(&random) + (unsigned char)call->args->data[i];
	if (call->kind == INSTANCE_CALL_PROCESS)
		shape = (struct shape){(enum shape_kind)(name.data[3] - '0'), (enum shape_kind)(name.data[4] - '0')};
	struct buffer json = BUFFER_EMPTY;
	put_json(&json, shape, &random);
	struct text *text = text_create(buffer_slice(&json));
	buffer_finish(&json);
	return text;
}
