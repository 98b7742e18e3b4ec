/* A program while it is made. Channels have numbers that are given anew at the end; variables that are read several
 * times or never get their copy or discard when the block that they are written in is closed. */
#ifndef CLUSTERD_WORKFLOW_DRAFT_H
#define CLUSTERD_WORKFLOW_DRAFT_H

#include "workflow/core.h"
#include "workflow/unit.h"

#define DRAFT_TERMS_MAX 100000u /* of a program */

struct draft_term {
	struct term term;
	bool hollow; /* kept free for the copy or discard of a variable, and not needed */
};

struct draft_terms {
	struct draft_term *list;
	size_t count;
	size_t capacity;
};

/* A variable of an outer block that is read in this one. */
struct capture {
	UT_hash_handle hh;
	struct variable *outer;
	struct variable inner;
	bool closed;
};

struct block_draft {
	struct draft *draft;
	uint32_t index;
	struct draft_terms terms;
	struct draft_terms prologue; /* copies and discards of what is captured */
	struct variable **owned;
	size_t owned_count;
	size_t owned_capacity;
	struct capture *captures;    /* in the order of first use */
};

struct draft_channel {
	struct slice name;
	uint32_t alias; /* the channel that this one turned out to be; itself at first */
	uint32_t final; /* its number in the program */
	bool live;
};

struct draft_index; /* an interned name or callee */

struct draft {
	struct unit *unit;
	struct arena *arena; /* for what does not outlive compiling */
	struct slice name;
	struct block_draft **blocks;
	size_t block_count;
	size_t block_capacity;
	struct draft_channel *channels;
	size_t channel_count;
	size_t channel_capacity;
	uint32_t *operands;
	size_t operand_count;
	size_t operand_capacity;
	struct draft_index *names;
	struct draft_index *callees;
	struct text **constants;
	size_t constant_count;
	size_t constant_capacity;
	struct program **bodies;
	size_t body_count;
	size_t body_capacity;
	uint32_t *params;
	size_t param_count;
	size_t param_capacity;
	uint32_t term_count;
	bool full; /* DRAFT_TERMS_MAX was passed; what is added goes nowhere */
};

void draft_init(struct draft *draft, struct unit *unit, struct arena *arena, struct slice name);
void draft_finish(struct draft *draft);
struct block_draft *draft_block(struct draft *draft);
uint32_t draft_channel(struct draft *draft, struct slice name);
/* A channel that the caller of the program sends on; in their order. */
uint32_t draft_param(struct draft *draft, struct slice name);
uint32_t draft_name(struct draft *draft, struct slice name);
uint32_t draft_callee(struct draft *draft, const struct definition *callee);
uint32_t draft_constant(struct draft *draft, struct text *text);
uint32_t draft_body(struct draft *draft, struct program *body);

/* Adds a term to a block. Its operands were added with draft_operand just before; the first of them is `first`. */
size_t draft_operand(struct draft *draft, uint32_t operand);
void draft_term(struct block_draft *block, enum term_kind kind, uint32_t subject, uint32_t index, size_t first);
void draft_term1(struct block_draft *block, enum term_kind kind, uint32_t subject, uint32_t index, uint32_t operand);

/* Says that a variable is what comes on a channel; its copy or discard will stand here. */
void draft_bind(struct block_draft *block, struct variable *variable, uint32_t channel);
/* The channel for one more reading of a variable, in this block or one that is guarded in it. */
uint32_t draft_use(struct block_draft *block, struct variable *variable);
/* No more readings in this block. */
void draft_close(struct block_draft *block);
/* Connects what guarded blocks, all of them closed, capture: one reading in `outer` for all of them, since one runs. */
void draft_capture(struct block_draft *outer, struct block_draft **guarded, size_t count);
/* The same for block 0 of a program of its own: captured variables become its further parameters; the channels to be
 * given for them are added as operands of `outer`. */
void draft_capture_params(struct block_draft *outer, struct block_draft *body);

/* The program, in the unit's arena; `out` is its output channel. Not when ->full. */
struct program *draft_program(struct draft *draft, uint32_t out);

#endif
