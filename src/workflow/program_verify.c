#include "base/memory.h"
#include "workflow/program.h"

#include <assert.h>
#include <stdlib.h>

/* Linearity: a block leaves a list of channel ends that it uses and does not match itself. A channel whose two ends
 * have met is closed and may not be met again; the branches of a case must leave the same list. */
enum channel_end { END_READ, END_WRITTEN };

struct end {
	uint32_t channel;
	enum channel_end end;
};

struct ends {
	struct end *list;
	size_t count;
	size_t capacity;
};

struct verifier {
	const struct program *program;
	bool *closed;     /* by channel */
	bool *seen_block; /* by block: each is the continuation of one term */
	bool *seen_term;
};

static void add_end(struct verifier *verifier, struct ends *ends, uint32_t channel, enum channel_end end)
{
	assert(channel < verifier->program->channel_count);
	mem_grow(ends->list, ends->capacity, ends->count + 1);
	ends->list[ends->count++] = (struct end){channel, end};
}

static int compare_ends(const void *left, const void *right)
{
	const struct end *a = left;
	const struct end *b = right;
	if (a->channel != b->channel)
		return a->channel < b->channel ? -1 : 1;
	return (int)a->end - (int)b->end;
}

/* Takes out the channels both of whose ends are here. */
static void match_ends(struct verifier *verifier, struct ends *ends)
{
	size_t kept = 0;
	if (ends->count == 0)
		return;
	qsort(ends->list, ends->count, sizeof *ends->list, compare_ends);
	for (size_t i = 0; i < ends->count; i++) {
		struct end end = ends->list[i];
		assert(!verifier->closed[end.channel]);
		if (i + 1 < ends->count && ends->list[i + 1].channel == end.channel) {
			/* Never the same end twice. */
			assert(end.end == END_READ && ends->list[i + 1].end == END_WRITTEN);
			verifier->closed[end.channel] = true;
			i++;
			continue;
		}
		ends->list[kept++] = end;
	}
	ends->count = kept;
}

static void verify_block(struct verifier *verifier, uint32_t block, struct ends *ends);

static void verify_case(struct verifier *verifier, const struct term *term, struct ends *ends)
{
	const struct program *program = verifier->program;
	const uint32_t *operands = program->operands + term->first;
	struct ends first = {NULL, 0, 0};
	assert(term->count > 0 && term->count % 3 == 0);
	for (uint32_t i = 0; i < term->count; i += 3) {
		struct ends branch = {NULL, 0, 0};
		bool any = operands[i] == TERM_ANY_LABEL;
		assert(any || operands[i] < program->name_count);
		assert(!any || (i + 3 == term->count && operands[i + 1] == TERM_NO_CHANNEL));
		for (uint32_t j = 0; !any && j < i; j += 3)
			assert(operands[j] != operands[i]);
		if (operands[i + 1] != TERM_NO_CHANNEL)
			add_end(verifier, &branch, operands[i + 1], END_WRITTEN);
		verify_block(verifier, operands[i + 2], &branch);
		if (i == 0) {
			first = branch;
			continue;
		}
		assert(branch.count == first.count);
		for (size_t j = 0; j < branch.count; j++)
			assert(compare_ends(&branch.list[j], &first.list[j]) == 0);
		mem_free(branch.list);
	}
	for (size_t i = 0; i < first.count; i++)
		add_end(verifier, ends, first.list[i].channel, first.list[i].end);
	mem_free(first.list);
}

static void verify_after(struct verifier *verifier, const struct term *term, struct ends *ends)
{
	struct ends guarded = {NULL, 0, 0};
	assert(term->count == 1);
	verify_block(verifier, verifier->program->operands[term->first], &guarded);
	for (size_t i = 0; i < guarded.count; i++)
		add_end(verifier, ends, guarded.list[i].channel, guarded.list[i].end);
	mem_free(guarded.list);
}

static void verify_each(struct verifier *verifier, const struct term *term, struct ends *ends)
{
	const struct program *program = verifier->program;
	const uint32_t *operands = program->operands + term->first;
	assert(term->count >= 2 && term->index < program->body_count);
	assert(program->bodies[term->index]->param_count == term->count - 1);
	add_end(verifier, ends, operands[0], END_WRITTEN);
	for (uint32_t i = 2; i < term->count; i++)
		add_end(verifier, ends, operands[i], END_READ);
}

static void verify_operands(struct verifier *verifier, const struct term *term, struct ends *ends,
                            enum channel_end end, uint32_t at_least, uint32_t at_most)
{
	assert(term->count >= at_least && term->count <= at_most);
	for (uint32_t i = 0; i < term->count; i++)
		add_end(verifier, ends, verifier->program->operands[term->first + i], end);
}

static void verify_record(struct verifier *verifier, const struct term *term, struct ends *ends)
{
	const uint32_t *operands = verifier->program->operands + term->first;
	assert(term->count % 2 == 0);
	for (uint32_t i = 0; i < term->count; i += 2) {
		assert(operands[i] < verifier->program->name_count);
		add_end(verifier, ends, operands[i + 1], END_READ);
	}
}

/* Terms that send on their subject. */
static void verify_sender(struct verifier *verifier, const struct term *term, struct ends *ends)
{
	const struct program *program = verifier->program;
	add_end(verifier, ends, term->subject, END_WRITTEN);
	switch (term->kind) {
	case TERM_CONSTANT:
		assert(term->index < program->constant_count && term->count == 0);
		break;
	case TERM_PAIR_OUT:
		verify_operands(verifier, term, ends, END_READ, 2, 2);
		break;
	case TERM_RECORD_OUT:
		verify_record(verifier, term, ends);
		break;
	case TERM_SELECT:
	case TERM_SIGNAL:
		assert(term->index < program->name_count);
		verify_operands(verifier, term, ends, END_READ, 0, 1);
		break;
	case TERM_SLEEP:
		verify_operands(verifier, term, ends, END_READ, 1, 1);
		break;
	case TERM_CALL:
		assert(term->index < program->callee_count);
		verify_operands(verifier, term, ends, END_READ, 0, UINT32_MAX);
		break;
	default:
		assert(term->kind == TERM_LIST_OUT);
		verify_operands(verifier, term, ends, END_READ, 0, UINT32_MAX);
	}
}

/* Terms that take from their subject. */
static void verify_taker(struct verifier *verifier, const struct term *term, struct ends *ends)
{
	add_end(verifier, ends, term->subject, END_READ);
	switch (term->kind) {
	case TERM_ID:
		verify_operands(verifier, term, ends, END_WRITTEN, 1, 1);
		break;
	case TERM_PAIR_IN:
		verify_operands(verifier, term, ends, END_WRITTEN, 2, 2);
		break;
	case TERM_MEMBER:
		assert(term->index < verifier->program->name_count);
		verify_operands(verifier, term, ends, END_WRITTEN, 1, 1);
		break;
	case TERM_COPY:
		verify_operands(verifier, term, ends, END_WRITTEN, 2, UINT32_MAX);
		break;
	case TERM_CASE:
		verify_case(verifier, term, ends);
		break;
	case TERM_AFTER:
		verify_after(verifier, term, ends);
		break;
	case TERM_EACH:
		verify_each(verifier, term, ends);
		break;
	default:
		assert(term->kind == TERM_DISCARD && term->count == 0);
	}
}

static bool is_taker(enum term_kind kind)
{
	return kind == TERM_ID || kind == TERM_PAIR_IN || kind == TERM_MEMBER || kind == TERM_COPY ||
	       kind == TERM_DISCARD || kind == TERM_CASE || kind == TERM_AFTER || kind == TERM_EACH;
}

static void verify_block(struct verifier *verifier, uint32_t block, struct ends *ends)
{
	const struct program *program = verifier->program;
	assert(block < program->block_count && !verifier->seen_block[block]);
	verifier->seen_block[block] = true;
	const struct term_block *terms = &program->blocks[block];
	assert(terms->count <= program->term_count && terms->first <= program->term_count - terms->count);
	for (uint32_t i = 0; i < terms->count; i++) {
		const struct term *term = &program->terms[terms->first + i];
		assert(!verifier->seen_term[terms->first + i]);
		verifier->seen_term[terms->first + i] = true;
		assert(term->count <= program->operand_count && term->first <= program->operand_count - term->count);
		if (is_taker(term->kind))
			verify_taker(verifier, term, ends);
		else
			verify_sender(verifier, term, ends);
	}
	match_ends(verifier, ends);
}

void program_verify(const struct program *program)
{
	struct ends ends = {NULL, 0, 0};
	assert(program->block_count > 0 && program->channel_count > program->param_count);
	struct verifier verifier = {
		.program = program,
		.closed = mem_array(program->channel_count, sizeof(bool)),
		.seen_block = mem_array(program->block_count, sizeof(bool)),
		.seen_term = mem_array(program->term_count, sizeof(bool)),
	};
	/* Those who make a frame send the parameters and take the output. */
	for (uint32_t i = 0; i < program->param_count; i++)
		add_end(&verifier, &ends, i, END_WRITTEN);
	add_end(&verifier, &ends, program->param_count, END_READ);
	verify_block(&verifier, 0, &ends);
	assert(ends.count == 0);
	for (uint32_t i = 0; i < program->channel_count; i++)
		assert(verifier.closed[i]);
	for (uint32_t i = 0; i < program->block_count; i++)
		assert(verifier.seen_block[i]);
	for (uint32_t i = 0; i < program->term_count; i++)
		assert(verifier.seen_term[i]);
	mem_free(ends.list);
	mem_free(verifier.closed);
	mem_free(verifier.seen_block);
	mem_free(verifier.seen_term);
	for (uint32_t i = 0; i < program->body_count; i++)
		program_verify(program->bodies[i]);
}
