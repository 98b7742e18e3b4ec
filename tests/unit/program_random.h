/* Well-formed programs drawn at random, in the notation of program_builder.h, and what their processes answer. What a
 * program gives must depend on neither the order of its terms nor the order in which its calls return. */
#ifndef CLUSTERD_TESTS_PROGRAM_RANDOM_H
#define CLUSTERD_TESTS_PROGRAM_RANDOM_H

#include "base/buffer.h"
#include "base/random.h"
#include "workflow/instance.h"

/* Choices come from `data` as long as there is some, then from the random numbers. */
struct draw {
	const uint8_t *data;
	size_t size;
	struct random random;
};

uint32_t draw_below(struct draw *draw, uint32_t bound);

/* Appends declarations, the last one of them `workflow Main() -> o`. The terms of each block are in an order of their
 * own for each `order`. */
void program_random(struct draw *draw, uint64_t order, struct buffer *out);
/* A result that is a function of what is called with which arguments. */
struct text *program_random_answer(const struct instance_call *call);

#endif
