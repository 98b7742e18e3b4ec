#include "program_builder.h"

#include "base/arena.h"
#include "base/memory.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>

#define MOST 256     /* of anything in a program */
#define OPERANDS 96  /* of a term */
#define PARAMETERS 16

struct declared {
	struct definition definition;
	bool known;
	struct declared *next;
};

struct body {
	struct slice name;
	struct program *program;
	struct body *next;
};

struct program_set {
	struct arena arena;
	struct declared *declared;
	struct body *bodies;
	struct text **constants;
	size_t constant_count;
	size_t constant_capacity;
	const char *at;
};

/* Words. */

static void skip(struct program_set *set)
{
	for (;;) {
		while (isspace((unsigned char)*set->at))
			set->at++;
		if (*set->at != '#')
			return;
		while (*set->at != '\0' && *set->at != '\n')
			set->at++;
	}
}

static bool take(struct program_set *set, const char *token)
{
	skip(set);
	if (strncmp(set->at, token, strlen(token)) != 0)
		return false;
	set->at += strlen(token);
	return true;
}

static void expect(struct program_set *set, const char *token)
{
	bool there = take(set, token);
	assert(there);
}

static bool word_character(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static struct slice take_word(struct program_set *set)
{
	skip(set);
	const char *start = set->at;
	while (word_character(*set->at))
		set->at++;
	assert(set->at != start);
	return (struct slice){start, (size_t)(set->at - start)};
}

static bool at_word(struct program_set *set)
{
	skip(set);
	return word_character(*set->at);
}

/* Up to the parenthesis that closes the term. */
static struct slice take_json(struct program_set *set)
{
	skip(set);
	const char *start = set->at;
	for (bool quoted = false; quoted || *set->at != ')'; set->at++) {
		assert(*set->at != '\0');
		if (*set->at == '"')
			quoted = !quoted;
		else if (quoted && *set->at == '\\')
			set->at++;
	}
	return (struct slice){start, (size_t)(set->at - start)};
}

/* Programs. */

static struct program *program_create(struct program_set *set, struct slice name)
{
	struct program *program = arena_alloc(&set->arena, sizeof *program);
	program->name = name;
	program->terms = arena_alloc(&set->arena, MOST * sizeof *program->terms);
	program->operands = arena_alloc(&set->arena, MOST * sizeof *program->operands);
	program->blocks = arena_alloc(&set->arena, MOST * sizeof *program->blocks);
	program->names = arena_alloc(&set->arena, MOST * sizeof *program->names);
	program->constants = arena_alloc(&set->arena, MOST * sizeof *program->constants);
	program->callees = arena_alloc(&set->arena, MOST * sizeof *program->callees);
	program->bodies = arena_alloc(&set->arena, MOST * sizeof *program->bodies);
	program->channel_names = arena_alloc(&set->arena, MOST * sizeof *program->channel_names);
	return program;
}

static uint32_t channel_of(struct program *program, struct slice name)
{
	for (uint32_t i = 0; i < program->channel_count; i++) {
		if (slice_equal(program->channel_names[i], name))
			return i;
	}
	assert(program->channel_count < MOST);
	program->channel_names[program->channel_count] = name;
	return program->channel_count++;
}

static uint32_t name_of(struct program *program, struct slice name)
{
	for (uint32_t i = 0; i < program->name_count; i++) {
		if (slice_equal(program->names[i], name))
			return i;
	}
	assert(program->name_count < MOST);
	program->names[program->name_count] = name;
	return program->name_count++;
}

static struct declared *declare(struct program_set *set, struct slice name)
{
	for (struct declared *declared = set->declared; declared != NULL; declared = declared->next) {
		if (slice_equal(declared->definition.name, name))
			return declared;
	}
	struct declared *declared = arena_alloc(&set->arena, sizeof *declared);
	declared->definition.name = name;
	declared->definition.version = 1;
	declared->next = set->declared;
	set->declared = declared;
	return declared;
}

static struct program *body_of(struct program_set *set, struct slice name)
{
	struct body *body = set->bodies;
	while (body != NULL && !slice_equal(body->name, name))
		body = body->next;
	assert(body != NULL);
	return body->program;
}

/* A term while it is read: nested blocks put theirs first. */
struct draft {
	enum term_kind kind;
	uint32_t subject;
	uint32_t index;
	uint32_t operands[OPERANDS];
	uint32_t count;
};

static void operand(struct draft *draft, uint32_t value)
{
	assert(draft->count < OPERANDS);
	draft->operands[draft->count++] = value;
}

static uint32_t take_channel(struct program_set *set, struct program *program)
{
	return channel_of(program, take_word(set));
}

/* "a, b" */
static void take_channels(struct program_set *set, struct program *program, struct draft *draft)
{
	if (!at_word(set))
		return;
	do {
		operand(draft, take_channel(set, program));
	} while (take(set, ","));
}

static uint32_t take_block(struct program_set *set, struct program *program);

static void take_arms(struct program_set *set, struct program *program, struct draft *draft)
{
	while (at_word(set)) {
		struct slice label = take_word(set);
		operand(draft, slice_is(label, "_") ? TERM_ANY_LABEL : name_of(program, label));
		operand(draft, at_word(set) ? take_channel(set, program) : TERM_NO_CHANNEL);
		expect(set, "->");
		operand(draft, take_block(set, program));
	}
}

static void take_fields(struct program_set *set, struct program *program, struct draft *draft)
{
	do {
		operand(draft, name_of(program, take_word(set)));
		expect(set, "=");
		operand(draft, take_channel(set, program));
	} while (take(set, ","));
}

static void take_each(struct program_set *set, struct program *program, struct draft *draft)
{
	struct draft captured = {0};
	draft->subject = take_channel(set, program);
	expect(set, ",");
	draft->index = program->body_count;
	program->bodies[program->body_count++] = body_of(set, take_word(set));
	if (take(set, ","))
		take_channels(set, program, &captured);
	expect(set, ";");
	operand(draft, take_channel(set, program));
	operand(draft, take(set, ";") ? (uint32_t)strtoul(take_word(set).data, NULL, 10) : 0);
	for (uint32_t i = 0; i < captured.count; i++)
		operand(draft, captured.operands[i]);
}

/* "name, a, b; o", the name taken already */
static void take_call(struct program_set *set, struct program *program, struct draft *draft)
{
	if (take(set, ","))
		take_channels(set, program, draft);
	expect(set, ";");
	draft->subject = take_channel(set, program);
}

static const struct {
	const char *word;
	enum term_kind kind;
} words[] = {
	{"Id", TERM_ID},           {"Out", TERM_CONSTANT},   {"ParOut", TERM_PAIR_OUT}, {"RecOut", TERM_RECORD_OUT},
	{"ListOut", TERM_LIST_OUT}, {"Select", TERM_SELECT},  {"ParIn", TERM_PAIR_IN},   {"Member", TERM_MEMBER},
	{"WithIn", TERM_CASE},     {"Copy", TERM_COPY},      {"Discard", TERM_DISCARD}, {"After", TERM_AFTER},
	{"Call", TERM_CALL},       {"Each", TERM_EACH},      {"Sleep", TERM_SLEEP},     {"Signal", TERM_SIGNAL},
};

static enum term_kind kind_of(struct slice word)
{
	size_t i = 0;
	while (i < sizeof words / sizeof words[0] && !slice_is(word, words[i].word))
		i++;
	assert(i < sizeof words / sizeof words[0]);
	return words[i].kind;
}

static uint32_t take_constant(struct program_set *set, struct program *program)
{
	struct text *text = text_create(take_json(set));
	mem_grow(set->constants, set->constant_capacity, set->constant_count + 1);
	set->constants[set->constant_count++] = text;
	program->constants[program->constant_count] = text;
	return program->constant_count++;
}

/* What begins with its subject. */
static void take_rest(struct program_set *set, struct program *program, struct draft *draft)
{
	draft->subject = take_channel(set, program);
	switch (draft->kind) {
	case TERM_ID:
		expect(set, ",");
		operand(draft, take_channel(set, program));
		return;
	case TERM_CONSTANT:
		expect(set, ",");
		draft->index = take_constant(set, program);
		return;
	case TERM_SELECT:
		expect(set, ",");
		draft->index = name_of(program, take_word(set));
		if (take(set, ","))
			operand(draft, take_channel(set, program));
		return;
	case TERM_MEMBER:
		expect(set, ",");
		draft->index = name_of(program, take_word(set));
		expect(set, ";");
		operand(draft, take_channel(set, program));
		return;
	default:
		break;
	}
	if (!take(set, ";"))
		return;
	if (draft->kind == TERM_CASE)
		take_arms(set, program, draft);
	else if (draft->kind == TERM_AFTER)
		operand(draft, take_block(set, program));
	else if (draft->kind == TERM_RECORD_OUT)
		take_fields(set, program, draft);
	else
		take_channels(set, program, draft);
}

static void take_term(struct program_set *set, struct program *program, struct draft *draft)
{
	draft->kind = kind_of(take_word(set));
	expect(set, "(");
	if (draft->kind == TERM_EACH) {
		take_each(set, program, draft);
	} else if (draft->kind == TERM_CALL) {
		draft->index = program->callee_count;
		program->callees[program->callee_count++] = &declare(set, take_word(set))->definition;
		take_call(set, program, draft);
	} else if (draft->kind == TERM_SIGNAL) {
		draft->index = name_of(program, take_word(set));
		take_call(set, program, draft);
	} else if (draft->kind == TERM_SLEEP) {
		operand(draft, take_channel(set, program));
		expect(set, ";");
		draft->subject = take_channel(set, program);
	} else {
		take_rest(set, program, draft);
	}
	expect(set, ")");
}

static uint32_t take_block(struct program_set *set, struct program *program)
{
	struct draft *drafts = NULL;
	size_t capacity = 0;
	uint32_t count = 0;
	uint32_t block = program->block_count++;
	expect(set, "{");
	while (!take(set, "}")) {
		assert(program->block_count < MOST);
		mem_grow(drafts, capacity, count + 1);
		drafts[count] = (struct draft){0};
		take_term(set, program, &drafts[count++]);
	}
	program->blocks[block] = (struct term_block){program->term_count, count};
	for (uint32_t i = 0; i < count; i++) {
		assert(program->term_count < MOST && program->operand_count + drafts[i].count <= MOST);
		program->terms[program->term_count++] = (struct term){
			.kind = drafts[i].kind,
			.subject = drafts[i].subject,
			.index = drafts[i].index,
			.first = program->operand_count,
			.count = drafts[i].count,
		};
		for (uint32_t o = 0; o < drafts[i].count; o++)
			program->operands[program->operand_count++] = drafts[i].operands[o];
	}
	mem_free(drafts);
	return block;
}

static struct program *take_program(struct program_set *set, struct slice name)
{
	struct program *program = program_create(set, name);
	expect(set, "(");
	while (at_word(set)) {
		take_channel(set, program);
		take(set, ",");
	}
	expect(set, ")");
	program->param_count = program->channel_count;
	expect(set, "->");
	take_channel(set, program);
	take_block(set, program);
	return program;
}

static void take_process(struct program_set *set, struct definition *definition)
{
	definition->kind = DEFINITION_PROCESS;
	definition->params = arena_alloc(&set->arena, PARAMETERS * sizeof *definition->params);
	expect(set, "(");
	while (at_word(set)) {
		assert(definition->param_count < PARAMETERS);
		definition->params[definition->param_count++].name = take_word(set);
		take(set, ",");
	}
	expect(set, ")");
}

static void take_workflow(struct program_set *set, struct definition *definition)
{
	definition->kind = DEFINITION_WORKFLOW;
	definition->program = take_program(set, definition->name);
	definition->param_count = definition->program->param_count;
	assert(definition->param_count <= PARAMETERS);
	definition->params = arena_alloc(&set->arena, PARAMETERS * sizeof *definition->params);
	for (uint32_t i = 0; i < definition->param_count; i++)
		definition->params[i].name = definition->program->channel_names[i];
}

struct program_set *program_set_parse(const char *source)
{
	struct program_set *set = mem_zero(sizeof *set);
	set->at = arena_string(&set->arena, slice_of(source));
	while (at_word(set)) {
		struct slice kind = take_word(set);
		struct slice name = take_word(set);
		if (slice_is(kind, "each")) {
			struct body *body = arena_alloc(&set->arena, sizeof *body);
			*body = (struct body){name, take_program(set, name), set->bodies};
			set->bodies = body;
			continue;
		}
		struct declared *declared = declare(set, name);
		assert(!declared->known);
		declared->known = true;
		if (slice_is(kind, "process")) {
			take_process(set, &declared->definition);
		} else {
			assert(slice_is(kind, "workflow"));
			take_workflow(set, &declared->definition);
		}
	}
	assert(*set->at == '\0');
	for (struct declared *declared = set->declared; declared != NULL; declared = declared->next)
		assert(declared->known);
	return set;
}

void program_set_destroy(struct program_set *set)
{
	if (set == NULL)
		return;
	for (size_t i = 0; i < set->constant_count; i++)
		text_release(set->constants[i]);
	mem_free(set->constants);
	arena_finish(&set->arena);
	mem_free(set);
}

const struct definition *program_set_find(const struct program_set *set, const char *name)
{
	const struct declared *declared = set->declared;
	while (declared != NULL && !slice_is(declared->definition.name, name))
		declared = declared->next;
	assert(declared != NULL);
	return &declared->definition;
}
