#include "workflow/draft.h"

#include "base/memory.h"

#include <assert.h>

struct draft_index {
	UT_hash_handle hh;
	struct slice name;
	const struct definition *callee;
	uint32_t index;
};

void draft_init(struct draft *draft, struct unit *unit, struct arena *arena, struct slice name)
{
	*draft = (struct draft){.unit = unit, .arena = arena, .name = name};
}

static void finish_block(struct block_draft *block)
{
	struct capture *capture;
	struct capture *next;
	for (size_t i = 0; i < block->owned_count; i++) {
		mem_free(block->owned[i]->uses);
		block->owned[i]->uses = NULL;
	}
	HASH_ITER(hh, block->captures, capture, next)
		mem_free(capture->inner.uses);
	HASH_CLEAR(hh, block->captures);
	mem_free(block->owned);
	mem_free(block->terms.list);
	mem_free(block->prologue.list);
}

void draft_finish(struct draft *draft)
{
	for (size_t i = 0; i < draft->block_count; i++)
		finish_block(draft->blocks[i]);
	HASH_CLEAR(hh, draft->names);
	HASH_CLEAR(hh, draft->callees);
	mem_free(draft->blocks);
	mem_free(draft->channels);
	mem_free(draft->operands);
	mem_free(draft->constants);
	mem_free(draft->bodies);
	mem_free(draft->params);
}

struct block_draft *draft_block(struct draft *draft)
{
	struct block_draft *block = arena_alloc(draft->arena, sizeof *block);
	mem_grow(draft->blocks, draft->block_capacity, draft->block_count + 1);
	block->draft = draft;
	block->index = (uint32_t)draft->block_count;
	draft->blocks[draft->block_count++] = block;
	return block;
}

uint32_t draft_channel(struct draft *draft, struct slice name)
{
	uint32_t channel = (uint32_t)draft->channel_count;
	mem_grow(draft->channels, draft->channel_capacity, draft->channel_count + 1);
	draft->channels[draft->channel_count++] = (struct draft_channel){.name = name, .alias = channel};
	return channel;
}

uint32_t draft_param(struct draft *draft, struct slice name)
{
	mem_grow(draft->params, draft->param_capacity, draft->param_count + 1);
	draft->params[draft->param_count] = draft_channel(draft, name);
	return draft->params[draft->param_count++];
}

uint32_t draft_name(struct draft *draft, struct slice name)
{
	struct draft_index *entry;
	HASH_FIND(hh, draft->names, name.data, name.size, entry);
	if (entry != NULL)
		return entry->index;
	entry = arena_alloc(draft->arena, sizeof *entry);
	entry->name = unit_keep(draft->unit, name);
	entry->index = HASH_COUNT(draft->names);
	HASH_ADD_KEYPTR(hh, draft->names, entry->name.data, entry->name.size, entry);
	return entry->index;
}

uint32_t draft_callee(struct draft *draft, const struct definition *callee)
{
	struct draft_index *entry;
	HASH_FIND_PTR(draft->callees, &callee, entry);
	if (entry != NULL)
		return entry->index;
	entry = arena_alloc(draft->arena, sizeof *entry);
	entry->callee = callee;
	entry->index = HASH_COUNT(draft->callees);
	HASH_ADD_PTR(draft->callees, callee, entry);
	return entry->index;
}

uint32_t draft_constant(struct draft *draft, struct text *text)
{
	mem_grow(draft->constants, draft->constant_capacity, draft->constant_count + 1);
	draft->constants[draft->constant_count] = text;
	return (uint32_t)draft->constant_count++;
}

uint32_t draft_body(struct draft *draft, struct program *body)
{
	mem_grow(draft->bodies, draft->body_capacity, draft->body_count + 1);
	draft->bodies[draft->body_count] = body;
	return (uint32_t)draft->body_count++;
}

size_t draft_operand(struct draft *draft, uint32_t operand)
{
	mem_grow(draft->operands, draft->operand_capacity, draft->operand_count + 1);
	draft->operands[draft->operand_count] = operand;
	return draft->operand_count++;
}

static struct draft_term *add_term(struct draft *draft, struct draft_terms *terms)
{
	if (draft->term_count == DRAFT_TERMS_MAX) {
		draft->full = true;
		return NULL;
	}
	draft->term_count++;
	mem_grow(terms->list, terms->capacity, terms->count + 1);
	terms->list[terms->count] = (struct draft_term){.hollow = false};
	return &terms->list[terms->count++];
}

static void set_term(struct draft *draft, struct draft_term *to, enum term_kind kind, uint32_t subject, uint32_t index,
                     size_t first)
{
	to->hollow = false;
	to->term = (struct term){kind, subject, index, (uint32_t)first, (uint32_t)(draft->operand_count - first)};
}

void draft_term(struct block_draft *block, enum term_kind kind, uint32_t subject, uint32_t index, size_t first)
{
	struct draft_term *term = add_term(block->draft, &block->terms);
	if (term != NULL)
		set_term(block->draft, term, kind, subject, index, first);
}

void draft_term1(struct block_draft *block, enum term_kind kind, uint32_t subject, uint32_t index, uint32_t operand)
{
	draft_term(block, kind, subject, index, draft_operand(block->draft, operand));
}

/* Variables. */

void draft_bind(struct block_draft *block, struct variable *variable, uint32_t channel)
{
	struct draft_term *term = add_term(block->draft, &block->terms);
	variable->block = block;
	variable->channel = channel;
	if (block->draft->channels[channel].name.size == 0)
		block->draft->channels[channel].name = variable->name;
	mem_grow(block->owned, block->owned_capacity, block->owned_count + 1);
	block->owned[block->owned_count++] = variable;
	if (term == NULL)
		return;
	term->hollow = true;
	variable->slot = block->terms.count - 1;
}

static struct variable *localise(struct block_draft *block, struct variable *variable)
{
	struct capture *capture;
	if (variable->block == block)
		return variable;
	HASH_FIND_PTR(block->captures, &variable, capture);
	if (capture == NULL) {
		capture = arena_alloc(block->draft->arena, sizeof *capture);
		capture->outer = variable;
		capture->inner.name = variable->name;
		capture->inner.block = block;
		HASH_ADD_PTR(block->captures, outer, capture);
	}
	return &capture->inner;
}

uint32_t draft_use(struct block_draft *block, struct variable *variable)
{
	struct variable *local = localise(block, variable);
	uint32_t channel = draft_channel(block->draft, variable->name);
	mem_grow(local->uses, local->use_capacity, local->use_count + 1);
	local->uses[local->use_count++] = channel;
	return channel;
}

/* What a variable that is read `use_count` times needs: a discard, nothing, or a copy, as `term`. */
static void connect(struct draft *draft, struct variable *variable, struct draft_term *term)
{
	size_t first = draft->operand_count;
	if (variable->use_count == 1) {
		draft->channels[variable->uses[0]].alias = variable->channel;
		term->hollow = true;
		return;
	}
	for (size_t i = 0; i < variable->use_count; i++)
		draft_operand(draft, variable->uses[i]);
	set_term(draft, term, variable->use_count == 0 ? TERM_DISCARD : TERM_COPY, variable->channel, 0, first);
}

void draft_close(struct block_draft *block)
{
	for (size_t i = 0; i < block->owned_count && !block->draft->full; i++)
		connect(block->draft, block->owned[i], &block->terms.list[block->owned[i]->slot]);
}

static void connect_capture(struct block_draft *block, struct variable *inner)
{
	struct draft_term *term = add_term(block->draft, &block->prologue);
	if (term != NULL)
		connect(block->draft, inner, term);
}

void draft_capture(struct block_draft *outer, struct block_draft **guarded, size_t count)
{
	struct draft *draft = outer->draft;
	for (size_t i = 0; i < count; i++) {
		struct capture *capture;
		struct capture *next;
		HASH_ITER(hh, guarded[i]->captures, capture, next) {
			struct variable *variable = capture->outer;
			if (capture->closed || draft->full)
				continue;
			uint32_t channel = draft_use(outer, variable);
			for (size_t j = 0; j < count; j++) {
				struct variable none = {.name = variable->name, .channel = channel};
				struct capture *same;
				HASH_FIND_PTR(guarded[j]->captures, &variable, same);
				if (same != NULL) {
					same->closed = true;
					same->inner.channel = channel;
				}
				connect_capture(guarded[j], same != NULL ? &same->inner : &none);
			}
		}
	}
}

void draft_capture_params(struct block_draft *outer, struct block_draft *body)
{
	struct capture *capture;
	struct capture *next;
	HASH_ITER(hh, body->captures, capture, next) {
		capture->inner.channel = draft_param(body->draft, capture->outer->name);
		connect_capture(body, &capture->inner);
		draft_operand(outer->draft, draft_use(outer, capture->outer));
	}
}

/* The program. */

static uint32_t resolve(struct draft *draft, uint32_t channel)
{
	uint32_t end = channel;
	while (draft->channels[end].alias != end)
		end = draft->channels[end].alias;
	while (channel != end) {
		uint32_t next = draft->channels[channel].alias;
		draft->channels[channel].alias = end;
		channel = next;
	}
	return end;
}

/* Calls `change` for each channel of a term. */
static void each_channel(struct draft *draft, struct term *term, void (*change)(struct draft *, uint32_t *))
{
	uint32_t *operands = term->count != 0 ? draft->operands + term->first : NULL;
	change(draft, &term->subject);
	switch (term->kind) {
	case TERM_RECORD_OUT:
		for (uint32_t i = 1; i < term->count; i += 2)
			change(draft, &operands[i]);
		break;
	case TERM_CASE:
		for (uint32_t i = 1; i < term->count; i += 3)
			if (operands[i] != TERM_NO_CHANNEL)
				change(draft, &operands[i]);
		break;
	case TERM_AFTER:
		break;
	case TERM_EACH:
		for (uint32_t i = 0; i < term->count; i++)
			if (i != 1)
				change(draft, &operands[i]);
		break;
	default:
		for (uint32_t i = 0; i < term->count; i++)
			change(draft, &operands[i]);
	}
}

static void mark_live(struct draft *draft, uint32_t *channel)
{
	*channel = resolve(draft, *channel);
	draft->channels[*channel].live = true;
}

static void renumber(struct draft *draft, uint32_t *channel)
{
	*channel = draft->channels[*channel].final;
}

static void copy_terms(struct program *program, const struct draft_terms *terms)
{
	for (size_t i = 0; i < terms->count; i++)
		if (!terms->list[i].hollow)
			program->terms[program->term_count++] = terms->list[i].term;
}

static void copy_blocks(struct draft *draft, struct program *program)
{
	program->terms = arena_alloc(&draft->unit->arena, (draft->term_count + 1) * sizeof *program->terms);
	program->blocks = arena_alloc(&draft->unit->arena, draft->block_count * sizeof *program->blocks);
	program->block_count = (uint32_t)draft->block_count;
	for (size_t i = 0; i < draft->block_count; i++) {
		program->blocks[i].first = program->term_count;
		copy_terms(program, &draft->blocks[i]->prologue);
		copy_terms(program, &draft->blocks[i]->terms);
		program->blocks[i].count = program->term_count - program->blocks[i].first;
	}
}

static void number_channels(struct draft *draft, struct program *program, uint32_t out)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < program->term_count; i++)
		each_channel(draft, &program->terms[i], mark_live);
	for (size_t i = 0; i < draft->param_count; i++)
		draft->channels[draft->params[i]].final = count++;
	draft->channels[out].final = count++;
	for (size_t i = 0; i < draft->param_count; i++)
		draft->channels[draft->params[i]].live = false;
	draft->channels[out].live = false;
	for (size_t i = 0; i < draft->channel_count; i++)
		if (draft->channels[i].live)
			draft->channels[i].final = count++;
	program->param_count = (uint32_t)draft->param_count;
	program->channel_count = count;
	program->channel_names = arena_alloc(&draft->unit->arena, count * sizeof *program->channel_names);
	for (size_t i = 0; i < draft->channel_count; i++)
		if (draft->channels[i].live)
			program->channel_names[draft->channels[i].final] = draft->channels[i].name;
	for (size_t i = 0; i < draft->param_count; i++)
		program->channel_names[i] = draft->channels[draft->params[i]].name;
	for (uint32_t i = 0; i < program->term_count; i++)
		each_channel(draft, &program->terms[i], renumber);
}

static void *copy_array(struct draft *draft, const void *array, size_t count, size_t size)
{
	void *copy = arena_alloc(&draft->unit->arena, (count + 1) * size);
	if (count != 0)
		memcpy(copy, array, count * size);
	return copy;
}

static void copy_tables(struct draft *draft, struct program *program)
{
	struct draft_index *entry;
	struct draft_index *next;
	program->name_count = HASH_COUNT(draft->names);
	program->names = arena_alloc(&draft->unit->arena, (program->name_count + 1) * sizeof *program->names);
	HASH_ITER(hh, draft->names, entry, next)
		program->names[entry->index] = entry->name;
	program->callee_count = HASH_COUNT(draft->callees);
	program->callees = arena_alloc(&draft->unit->arena, (program->callee_count + 1) * sizeof *program->callees);
	HASH_ITER(hh, draft->callees, entry, next)
		program->callees[entry->index] = entry->callee;
	program->constant_count = (uint32_t)draft->constant_count;
	program->constants = copy_array(draft, draft->constants, draft->constant_count, sizeof *draft->constants);
	program->body_count = (uint32_t)draft->body_count;
	program->bodies = copy_array(draft, draft->bodies, draft->body_count, sizeof *draft->bodies);
}

struct program *draft_program(struct draft *draft, uint32_t out)
{
	struct program *program = arena_alloc(&draft->unit->arena, sizeof *program);
	assert(!draft->full);
	program->name = draft->name;
	copy_blocks(draft, program);
	number_channels(draft, program, out);
	program->operand_count = (uint32_t)draft->operand_count;
	program->operands = copy_array(draft, draft->operands, draft->operand_count, sizeof *draft->operands);
	copy_tables(draft, program);
	return program;
}
