/* The random draws that a program is made of, kept so that it can be made again and made smaller: a list with draws taken
 * out, or set to 0, is a list for another program. So a drawer asks for the simplest thing by 0. */
#ifndef CLUSTERD_TESTS_PROPERTY_CHOICES_H
#define CLUSTERD_TESTS_PROPERTY_CHOICES_H

#include "base/random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct choices {
	uint32_t *values;
	size_t count;
	size_t capacity;
	size_t at;     /* the next one */
	bool recorded; /* past the end there are only zeros; else new ones are drawn and kept */
	struct random random;
};

void choices_init(struct choices *choices, uint64_t seed);
void choices_init_recorded(struct choices *choices, const uint32_t *values, size_t count); /* copies them */
void choices_finish(struct choices *choices);

/* 0 … bound − 1; bound > 0. */
uint32_t choose(struct choices *choices, uint32_t bound);
/* 0 is false. */
bool choose_if(struct choices *choices, uint32_t percent);
/* Whether another one follows the `made` ones, of at most `most`: any number of them is as likely. That asks before each,
 * and not for their number before all, so that one can be taken out. */
bool choose_another(struct choices *choices, uint32_t made, uint32_t most);

#endif
