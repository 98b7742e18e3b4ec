/* Compiled π-calculus terms: what a workflow is underneath.
 *
 * A program is an array of terms over numbered channels. An instance of a program takes a fresh block of channel numbers
 * (a frame); channel i of the program is then block base + i, so that no name is ever made of strings and nothing can be
 * captured. Channels 0 … param_count − 1 are the parameters, channel param_count is the output.
 *
 * Terms are those of the proofs-as-processes reading of classical linear logic (Abramsky 1994; Bellin and Scott 1994), with
 * tensors and sums of any arity instead of two. A term with a guarded continuation has it as blocks: a block is a set
 * of terms that are put in parallel when it is released. Every channel is written once and read once; TERM_COPY and
 * TERM_DISCARD are the explicit structural rules.
 *
 *   written                       kind            meaning
 *   Id(i, o)                      TERM_ID         forward: what comes on i goes out on o
 *   Out(o, const)                 TERM_CONSTANT   send the constant on o
 *   ParOut(o; a, b)               TERM_PAIR_OUT   send the pair of channels a and b on o
 *   RecOut(o; k=a, …)             TERM_RECORD_OUT send the record of channels on o
 *   ListOut(o; a, …)              TERM_LIST_OUT   send the list of channels on o
 *   Select(o, label, a)           TERM_SELECT     send the choice `label` of channel a on o (no a: without payload)
 *   ParIn(c; a, b)                TERM_PAIR_IN    take a pair on c: its parts continue as a and b
 *   Member(c, k; a)               TERM_MEMBER     take a record on c, its member k continues as a, the rest is discarded
 *   WithIn(c; l₁ a₁ → K₁, …)      TERM_CASE       take a choice on c, continue with the chosen branch only
 *   Copy(c; a, b, …)              TERM_COPY       what comes on c continues as each of a, b, …
 *   Discard(c)                    TERM_DISCARD    (PEW's Devour as far as a result nobody wants goes)
 *   After(g; K)                   TERM_AFTER      when g is ground, continue with K
 *   Call(P, a, …; o)              TERM_CALL       atomic: when all arguments are ground, open a call whose result goes out
 *                                                 on o. Composite: a fresh frame of its program joins, at once
 *   Each(c, body, a, …; o; n)     TERM_EACH       take a list on c; for each element a fresh frame of the body, at most n
 *                                                 at once; the list of their outputs goes out on o, in index order
 *   Sleep(d; o), Signal(name, k; o) TERM_SLEEP, TERM_SIGNAL   calls that the engine serves itself
 *
 * `left` and `right` are labels. `true` and `false` are labels without payload as far as TERM_CASE goes.
 */
#ifndef CLUSTERD_WORKFLOW_PROGRAM_H
#define CLUSTERD_WORKFLOW_PROGRAM_H

#include "base/buffer.h"
#include "base/slice.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

enum term_kind {
	TERM_ID,         /* subject = i; operands: o */
	TERM_CONSTANT,   /* subject = o; index: constant */
	TERM_PAIR_OUT,   /* subject = o; operands: a, b */
	TERM_RECORD_OUT, /* subject = o; operands: (name index, channel) pairs */
	TERM_LIST_OUT,   /* subject = o; operands: channels */
	TERM_SELECT,     /* subject = o; index: name; operands: none or one channel */
	TERM_PAIR_IN,    /* subject = c; operands: a, b */
	TERM_MEMBER,     /* subject = c; index: name; operands: a */
	TERM_CASE,       /* subject = c; operands: (name index or TERM_ANY_LABEL, payload channel or TERM_NO_CHANNEL,
	                    block) triples; TERM_ANY_LABEL only as the last */
	TERM_COPY,       /* subject = c; operands: two or more channels */
	TERM_DISCARD,    /* subject = c */
	TERM_AFTER,      /* subject = g; operands: block; g is used up */
	TERM_CALL,       /* subject = o; index: callee; operands: argument channels, one for each parameter */
	TERM_EACH,       /* subject = c; index: body (of ->bodies); operands: o, limit (0: none given), then the captured
	                    channels. Body program: parameter 0 is the element, then the captured ones. Captured channels
	                    are shared by all elements (copied) */
	TERM_SLEEP,      /* subject = o; operands: d (a Duration). The result is unit */
	TERM_SIGNAL,     /* subject = o; index: name; operands: none, or the channel of the key; see signal_types */
};

#define TERM_NO_CHANNEL UINT32_MAX
#define TERM_ANY_LABEL UINT32_MAX

struct term {
	enum term_kind kind;
	uint32_t subject;
	uint32_t index;
	uint32_t first; /* operands[first … first + count) */
	uint32_t count;
};

/* terms[first … first + count) */
struct term_block {
	uint32_t first;
	uint32_t count;
};

struct definition;

struct program {
	struct slice name;          /* for printing: "R", or "R/each1" for a body */
	uint32_t param_count;
	uint32_t channel_count;     /* parameters, output and all inner ones */
	struct term *terms;
	uint32_t term_count;
	uint32_t *operands;
	uint32_t operand_count;
	struct term_block *blocks;  /* blocks[0] is the program itself; the others are guarded */
	uint32_t block_count;
	struct slice *names;        /* labels, record keys, signal names: plain UTF-8 */
	uint32_t name_count;
	struct text **constants;    /* JSON */
	uint32_t constant_count;
	const struct definition **callees;
	uint32_t callee_count;
	struct program **bodies;    /* of TERM_EACH */
	uint32_t body_count;
	struct slice *channel_names; /* what the source calls channel i; empty where it has no name; may be NULL */
};

/* Prints as the table above writes it, one parallel term a line, guarded blocks indented, bodies after it. */
void program_print(const struct program *program, struct buffer *out);
/* Asserts that every index is in range, every channel is written and read once on each path, and blocks nest. Called on
 * everything the compiler makes. */
void program_verify(const struct program *program);

#endif
