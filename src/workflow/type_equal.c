/* Equality of types. Types share their parts, so that a few lines of declarations can mean a type whose full tree has
 * 2^100 nodes; small ones are compared plainly, and for the others pairs that were compared once are remembered in
 * classes (Hopcroft and Karp 1971), so that there are never more comparisons than nodes. */
#include "base/arena.h"
#include "base/memory.h"
#include "workflow/type_internal.h"

#include <uthash.h>

#define PLAIN_COMPARISONS 512

struct node {
	const struct type *type;
	struct node *parent; /* towards the one that stands for its class; itself at the end */
	UT_hash_handle hh;
};

struct comparison {
	uint32_t count;
	struct node *nodes;
	struct arena arena;
};

static bool is_equal(struct comparison *comparison, const struct type *left, const struct type *right);

static struct node *class_of(struct comparison *comparison, const struct type *type)
{
	struct node *node;
	HASH_FIND_PTR(comparison->nodes, &type, node);
	if (node == NULL) {
		node = arena_alloc(&comparison->arena, sizeof *node);
		node->type = type;
		node->parent = node;
		HASH_ADD_PTR(comparison->nodes, type, node);
	}
	while (node->parent != node) {
		node->parent = node->parent->parent;
		node = node->parent;
	}
	return node;
}

/* True when the two are known, or from now on taken, to be of one class: should they differ after all, the whole
 * comparison ends with false, and the class with it. */
static bool is_known(struct comparison *comparison, const struct type *left, const struct type *right)
{
	if (++comparison->count <= PLAIN_COMPARISONS)
		return false;
	struct node *left_class = class_of(comparison, left);
	struct node *right_class = class_of(comparison, right);
	if (left_class == right_class)
		return true;
	right_class->parent = left_class;
	return false;
}

static bool is_equal_member(struct comparison *comparison, const struct type_member *left,
                            const struct type_member *right)
{
	if (!slice_equal(left->name, right->name))
		return false;
	if (left->type == NULL || right->type == NULL)
		return left->type == right->type;
	return is_equal(comparison, left->type, right->type);
}

static bool is_same_order(const struct type *left, const struct type *right)
{
	for (uint32_t i = 0; i < left->member_count; i++) {
		if (!slice_equal(left->members[i].name, right->members[i].name))
			return false;
	}
	return true;
}

static bool are_members_equal(struct comparison *comparison, const struct type *left, const struct type *right)
{
	uint32_t count = left->member_count;
	bool equal = true;
	if (count != right->member_count)
		return false;
	if (is_same_order(left, right)) {
		for (uint32_t i = 0; equal && i < count; i++)
			equal = is_equal_member(comparison, &left->members[i], &right->members[i]);
		return equal;
	}
	const struct type_member **left_members = type_sorted_members(left);
	const struct type_member **right_members = type_sorted_members(right);
	for (uint32_t i = 0; equal && i < count; i++)
		equal = is_equal_member(comparison, left_members[i], right_members[i]);
	mem_free(left_members);
	mem_free(right_members);
	return equal;
}

static bool is_equal(struct comparison *comparison, const struct type *left, const struct type *right)
{
	if (left == right)
		return true;
	if (left->kind != right->kind)
		return false;
	switch (left->kind) {
	case TYPE_OPEN:
		return slice_equal(left->name, right->name);
	case TYPE_PAIR:
	case TYPE_SUM:
		return is_known(comparison, left, right) ||
		       (is_equal(comparison, left->parts[0], right->parts[0]) &&
		        is_equal(comparison, left->parts[1], right->parts[1]));
	case TYPE_LIST:
		return is_known(comparison, left, right) || is_equal(comparison, left->parts[0], right->parts[0]);
	case TYPE_RECORD:
	case TYPE_CHOICE:
		return is_known(comparison, left, right) || are_members_equal(comparison, left, right);
	default:
		return true;
	}
}

bool type_equal(const struct type *left, const struct type *right)
{
	struct comparison comparison = {0};
	bool equal = is_equal(&comparison, left, right);
	HASH_CLEAR(hh, comparison.nodes);
	arena_finish(&comparison.arena);
	return equal;
}
