#include "membership/selector.h"

#include "base/memory.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

/* A node that may be picked. */
struct candidate {
	uint64_t id;
	struct slice datacenter;
	size_t place; /* drawn */
	size_t rank;  /* among those of its data centre, by place */
	bool local;   /* of the local data centre */
};

static const char *const level_names[] = {
	[SELECTOR_NONE] = "none",
	[SELECTOR_ONE] = "one",
	[SELECTOR_TWO] = "two",
	[SELECTOR_THREE] = "three",
	[SELECTOR_QUORUM] = "quorum",
	[SELECTOR_LOCAL_QUORUM] = "local_quorum",
	[SELECTOR_EACH_QUORUM] = "each_quorum",
	[SELECTOR_ALL] = "all",
};

static int compare_sizes(size_t left, size_t right)
{
	return left < right ? -1 : left > right;
}

static int by_datacenter(const void *left, const void *right)
{
	const struct candidate *a = left;
	const struct candidate *b = right;
	int order = slice_compare(a->datacenter, b->datacenter);
	return order != 0 ? order : compare_sizes(a->place, b->place);
}

/* Other data centres first; each of them once before one comes twice. */
static int by_spread(const void *left, const void *right)
{
	const struct candidate *a = left;
	const struct candidate *b = right;
	if (a->local != b->local)
		return a->local ? 1 : -1;
	int order = compare_sizes(a->rank, b->rank);
	return order != 0 ? order : compare_sizes(a->place, b->place);
}

/* All but the local node in a drawn order, with places. */
static size_t draw(const struct selector_node *nodes, size_t count, uint64_t local_id, struct slice local_datacenter,
                   struct random *random, struct candidate *candidates)
{
	size_t drawn = 0;
	for (size_t i = 0; i < count; i++) {
		if (nodes[i].id == local_id)
			continue;
		size_t place = (size_t)random_below(random, drawn + 1);
		candidates[drawn] = candidates[place];
		candidates[place] = (struct candidate){.id = nodes[i].id,
		                                       .datacenter = nodes[i].datacenter,
		                                       .local = slice_equal(nodes[i].datacenter, local_datacenter)};
		drawn++;
	}
	for (size_t i = 0; i < drawn; i++)
		candidates[i].place = i;
	return drawn;
}

/* Sorts by data centre, and numbers those of each. */
static void rank(struct candidate *candidates, size_t count)
{
	qsort(candidates, count, sizeof *candidates, by_datacenter);
	for (size_t i = 1; i < count; i++)
		if (slice_equal(candidates[i].datacenter, candidates[i - 1].datacenter))
			candidates[i].rank = candidates[i - 1].rank + 1;
}

/* Of each data centre its quorum; the local node counts as one that has said yes. */
static size_t pick_quorums(const struct candidate *candidates, size_t count, bool others, uint64_t *ret_ids)
{
	size_t picked = 0;
	for (size_t first = 0, next; first < count; first = next) {
		for (next = first + 1; next < count && candidates[next].rank != 0; next++)
			;
		size_t size = next - first;
		size_t quorum = candidates[first].local ? (size + 1) / 2 : others ? size / 2 + 1 : 0;
		for (size_t i = 0; i < quorum; i++)
			ret_ids[picked++] = candidates[first + i].id;
	}
	return picked;
}

int selector_pick(enum selector_level level, uint64_t local_id, struct slice local_datacenter,
                  const struct selector_node *nodes, size_t count, struct random *random, uint64_t *ret_ids,
                  size_t *ret_count, struct selector_shortage *ret_shortage, struct error *error)
{
	if ((unsigned)level >= SELECTOR_LEVEL_END)
		return error_set(error, ERR_INVALID, "there is no consistency level %d", (int)level);
	struct candidate *candidates = mem_array(count + 1, sizeof *candidates);
	size_t live = draw(nodes, count, local_id, local_datacenter, random, candidates);
	size_t required = 0;
	int code = 0;
	switch (level) {
	case SELECTOR_ONE:
	case SELECTOR_TWO:
	case SELECTOR_THREE:
		required = (size_t)(level - SELECTOR_ONE) + 1;
		rank(candidates, live);
		qsort(candidates, live, sizeof *candidates, by_spread);
		break;
	case SELECTOR_QUORUM:
		required = (live + 1) / 2;
		break;
	case SELECTOR_ALL:
		required = live;
		break;
	default:
		break;
	}
	if (required > live) {
		if (ret_shortage != NULL)
			*ret_shortage = (struct selector_shortage){.live = live, .required = required};
		code = error_set(error, ERR_BUSY, "level %s needs %zu other nodes, %zu are live", level_names[level],
		                 required, live);
	} else if (level == SELECTOR_LOCAL_QUORUM || level == SELECTOR_EACH_QUORUM) {
		rank(candidates, live);
		*ret_count = pick_quorums(candidates, live, level == SELECTOR_EACH_QUORUM, ret_ids);
	} else {
		for (size_t i = 0; i < required; i++)
			ret_ids[i] = candidates[i].id;
		*ret_count = required;
	}
	mem_free(candidates);
	return code;
}

const char *selector_level_name(enum selector_level level)
{
	assert((unsigned)level < SELECTOR_LEVEL_END);
	return level_names[level];
}

int selector_level_parse(struct slice name, enum selector_level *ret_level)
{
	for (int level = 0; level < SELECTOR_LEVEL_END; level++) {
		if (slice_is(name, level_names[level])) {
			*ret_level = (enum selector_level)level;
			return 0;
		}
	}
	return ERR_NOT_FOUND;
}
