#include "workflow/suggest.h"

static uint32_t least(uint32_t left, uint32_t right)
{
	return left < right ? left : right;
}

static uint32_t edit_distance(struct slice left, struct slice right)
{
	uint32_t rows[3][SUGGEST_NAME_SIZE_MAX + 1];
	uint32_t *before = rows[0];
	uint32_t *last = rows[1];
	uint32_t *row = rows[2];
	for (uint32_t j = 0; j <= right.size; j++)
		row[j] = j;
	for (uint32_t i = 1; i <= left.size; i++) {
		uint32_t *spare = before;
		before = last;
		last = row;
		row = spare;
		row[0] = i;
		for (uint32_t j = 1; j <= right.size; j++) {
			char a = left.data[i - 1];
			char b = right.data[j - 1];
			row[j] = least(least(last[j], row[j - 1]) + 1, last[j - 1] + (a != b));
			if (i > 1 && j > 1 && a == right.data[j - 2] && left.data[i - 2] == b)
				row[j] = least(row[j], before[j - 2] + 1);
		}
	}
	return row[right.size];
}

void suggestion_init(struct suggestion *suggestion, struct slice wanted)
{
	*suggestion = (struct suggestion){.wanted = wanted};
	/* One edit in a short name, up to three in a long one. */
	if (wanted.size > 0 && wanted.size <= SUGGEST_NAME_SIZE_MAX)
		suggestion->distance = (wanted.size < 5 ? 1 : wanted.size < 10 ? 2 : 3) + 1;
}

void suggestion_try(struct suggestion *suggestion, struct slice candidate)
{
	size_t size = suggestion->wanted.size;
	if (suggestion->distance == 0 || candidate.size == 0 || candidate.size > SUGGEST_NAME_SIZE_MAX)
		return;
	size_t apart = candidate.size > size ? candidate.size - size : size - candidate.size;
	if (apart >= suggestion->distance || slice_equal(candidate, suggestion->wanted))
		return;
	uint32_t distance = edit_distance(suggestion->wanted, candidate);
	/* Nothing in common is not near. */
	if (distance < suggestion->distance && distance < size) {
		suggestion->distance = distance;
		suggestion->nearest = candidate;
	}
}
