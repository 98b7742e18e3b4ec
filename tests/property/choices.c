#include "choices.h"

#include "base/memory.h"

#include <assert.h>

void choices_init(struct choices *choices, uint64_t seed)
{
	*choices = (struct choices){.random = {seed}};
}

void choices_init_recorded(struct choices *choices, const uint32_t *values, size_t count)
{
	*choices = (struct choices){.count = count, .capacity = count, .recorded = true};
	choices->values = mem_array(count + 1, sizeof *values);
	for (size_t i = 0; i < count; i++)
		choices->values[i] = values[i];
}

void choices_finish(struct choices *choices)
{
	mem_free(choices->values);
	*choices = (struct choices){0};
}

uint32_t choose(struct choices *choices, uint32_t bound)
{
	assert(bound > 0);
	if (choices->at < choices->count) {
		uint32_t *value = &choices->values[choices->at++];
		*value %= bound;
		return *value;
	}
	if (choices->recorded)
		return 0;
	mem_grow(choices->values, choices->capacity, choices->count + 1);
	choices->values[choices->count++] = (uint32_t)random_below(&choices->random, bound);
	return choices->values[choices->at++];
}

bool choose_if(struct choices *choices, uint32_t percent)
{
	return choose(choices, 100) >= 100 - percent;
}

bool choose_another(struct choices *choices, uint32_t made, uint32_t most)
{
	return made < most && choose(choices, most + 1 - made) != 0;
}
