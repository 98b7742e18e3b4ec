#include "daemon/variables.h"

#include <stdio.h>
#include <string.h>

void variables_set(struct variables *variables, struct slice name, struct slice value)
{
	size_t place = 0;
	char *text = arena_alloc(variables->arena, name.size + value.size + 2);
	memcpy(text, name.data, name.size);
	text[name.size] = '=';
	memcpy(text + name.size + 1, value.data, value.size);
	while (place < variables->count && strncmp(variables->list[place], text, name.size + 1) != 0)
		place++;
	variables->list[place] = text;
	variables->count += place == variables->count;
}

void variables_set_number(struct variables *variables, const char *name, uint64_t number)
{
	char digits[32];
	snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
	variables_set(variables, slice_of(name), slice_of(digits));
}
