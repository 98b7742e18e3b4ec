#include "sim/linear_internal.h"

#include "base/memory.h"
#include "base/random.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The search for an order of the operations on one key. Calls and returns lie in a list by time; what has been put in order is
 * lifted out of it. What stands before the first return that is left may come next. Beyond Wing and Gong:
 *   - What only looks, and fits, is put in order at once: it takes nothing from any other order.
 *   - Versions grow, so that of the writes whose version is known only the lowest may come next.
 *   - Operations without an answer are tried last, for most of them need not have happened. Those whose effects cannot be told
 *     apart come in the order of their invocation; and what has been reached with few of them need not be reached with more. */

/* --- what one operation does --------------------------------------------------------------------------------------- */

static bool has_version(const struct linear_operation *writer, uint64_t version)
{
	return writer != NULL && (writer->version == version || writer->version == 0);
}

static bool surely_not(const struct linear_operation *writer, uint64_t version)
{
	return writer == NULL || writer->version == 0 || writer->version != version;
}

static bool get_applies(const struct linear_operation *get, const struct linear_operation *writer)
{
	if (get->result == LINEAR_NONE)
		return writer == NULL;
	return writer != NULL && strcmp(writer->value, get->value) == 0 &&
	       (get->version == 0 || has_version(writer, get->version));
}

static bool cas_applies(const struct linear_operation *cas, const struct linear_operation *writer,
                        const struct linear_operation **ret_writer)
{
	if (cas->result == LINEAR_CONFLICT)
		return (cas->expected == 0 ? writer != NULL : surely_not(writer, cas->expected)) &&
		       (cas->version == 0 || has_version(writer, cas->version));
	*ret_writer = cas;
	return cas->expected == 0 ? writer == NULL : has_version(writer, cas->expected);
}

static bool delete_applies(const struct linear_operation *operation, const struct linear_operation *writer,
                           const struct linear_operation **ret_writer)
{
	bool fits = writer != NULL && (operation->expected == 0 || has_version(writer, operation->expected));
	switch (operation->result) {
	case LINEAR_NONE:
		return writer == NULL;
	case LINEAR_CONFLICT:
		return surely_not(writer, operation->expected);
	case LINEAR_DONE:
		*ret_writer = fits ? NULL : writer;
		return true;
	default:
		*ret_writer = NULL;
		return fits;
	}
}

static bool unlock_applies(const struct linear_operation *unlock, const struct linear_operation *writer,
                           const struct linear_operation **ret_writer)
{
	bool fits = has_version(writer, unlock->expected);
	switch (unlock->result) {
	case LINEAR_NONE:
		return surely_not(writer, unlock->expected);
	case LINEAR_DONE:
		*ret_writer = fits ? NULL : writer;
		return true;
	default:
		*ret_writer = NULL;
		return fits;
	}
}

static bool expire_applies(const struct linear_operation *expire, const struct linear_operation *writer)
{
	if (expire->expected != 0)
		return has_version(writer, expire->expected);
	return writer != NULL && writer->client == expire->client && writer->result == LINEAR_UNKNOWN;
}

bool search_applies(const struct linear_operation *operation, const struct linear_operation *writer,
                    const struct linear_operation **ret_writer)
{
	*ret_writer = writer;
	switch (operation->kind) {
	case LINEAR_GET:
		return get_applies(operation, writer);
	case LINEAR_PUT:
		*ret_writer = operation;
		return true;
	case LINEAR_CAS:
		return cas_applies(operation, writer, ret_writer);
	case LINEAR_DELETE:
		return delete_applies(operation, writer, ret_writer);
	case LINEAR_LOCK:
		if (operation->result == LINEAR_CONFLICT)
			return writer != NULL;
		*ret_writer = operation;
		return writer == NULL;
	case LINEAR_UNLOCK:
		return unlock_applies(operation, writer, ret_writer);
	default:
		*ret_writer = NULL;
		return expire_applies(operation, writer);
	}
}

/* --- configurations seen ------------------------------------------------------------------------------------------- */

/* Unanswered operations that can stand for each other: each can be used at any time from its invocation on. */
enum kin { KIN_PUT, KIN_CREATE, KIN_DELETE, KIN_COUNT, KIN_WINDOW = KIN_COUNT, KIN_NONE };

/* What has been put in order, and what is there then, as 128 bits: two that are not the same do not meet. Without what can stand for
 * each other: of that, how many. */
struct mark {
	uint64_t high, low;
	uint32_t used[KIN_COUNT];
};

struct marks {
	struct mark *slots; /* a power of two; all zero: free */
	size_t size;
	size_t count;
};

static bool is_free(const struct mark *mark)
{
	return (mark->low | mark->high) == 0;
}

static bool dominates(const struct mark *left, const struct mark *right)
{
	for (size_t i = 0; i < KIN_COUNT; i++) {
		if (left->used[i] > right->used[i])
			return false;
	}
	return true;
}

static void marks_put(struct marks *marks, const struct mark *mark)
{
	size_t at = (size_t)mark->low & (marks->size - 1);
	while (!is_free(&marks->slots[at]))
		at = (at + 1) & (marks->size - 1);
	marks->slots[at] = *mark;
}

static void marks_enlarge(struct marks *marks)
{
	struct mark *slots = marks->slots;
	size_t size = marks->size;
	marks->size = size > 0 ? 2 * size : 1024;
	marks->slots = mem_array(marks->size, sizeof *marks->slots);
	for (size_t i = 0; i < size; i++) {
		if (!is_free(&slots[i]))
			marks_put(marks, &slots[i]);
	}
	mem_free(slots);
}

/* False: it was there, or one that is better. */
static bool marks_add(struct marks *marks, const struct mark *mark)
{
	if (2 * (marks->count + 1) > marks->size)
		marks_enlarge(marks);
	for (size_t at = (size_t)mark->low & (marks->size - 1); !is_free(&marks->slots[at]); at = (at + 1) & (marks->size - 1)) {
		const struct mark *slot = &marks->slots[at];
		if (slot->low == mark->low && slot->high == mark->high && dominates(slot, mark))
			return false;
	}
	marks_put(marks, mark);
	marks->count++;
	return true;
}

/* --- the list ------------------------------------------------------------------------------------------------------ */

struct node {
	struct node *next, *previous;
	size_t operation;
	bool is_return;
	int64_t at;
};

struct frame {
	size_t operation;
	const struct linear_operation *writer; /* before it */
	uint64_t version;                      /* before it */
	unsigned int pass;
};

enum pass { PASS_LOOKS, PASS_CHANGES, PASS_UNKNOWN, PASS_END };

struct state {
	struct search *search;
	struct node head;         /* of the list, and its end */
	struct node *nodes;       /* call of operation i: 2i, return: 2i + 1 */
	enum kin *kins;           /* one for each operation */
	struct mark *names;       /* one for each operation, and for what is there */
	struct mark mark;         /* of what has been put in order */
	const struct linear_operation *writer;
	uint64_t version;         /* the highest known one so far */
	const struct linear_operation **ordered; /* with known versions, by these */
	size_t ordered_count;
	size_t ordered_done;
	size_t *kin[KIN_COUNT];   /* by invocation */
	size_t kin_count[KIN_COUNT];
	struct frame *frames;
	size_t depth;
	size_t required;          /* answered operations that are left */
	struct marks seen;
};

static int compare_nodes(const void *left_pointer, const void *right_pointer)
{
	const struct node *left = *(struct node *const *)left_pointer;
	const struct node *right = *(struct node *const *)right_pointer;
	if (left->at != right->at)
		return (left->at > right->at) - (left->at < right->at);
	if (left->is_return != right->is_return)
		return left->is_return - right->is_return;
	return (left > right) - (left < right);
}

static int compare_versions(const void *left, const void *right)
{
	uint64_t a = (*(const struct linear_operation *const *)left)->version;
	uint64_t b = (*(const struct linear_operation *const *)right)->version;
	return (a > b) - (a < b);
}

static bool is_ordered(const struct linear_operation *operation)
{
	bool writes = operation->kind == LINEAR_PUT || operation->kind == LINEAR_CAS || operation->kind == LINEAR_LOCK;
	return writes && (operation->result == LINEAR_OK || operation->result == LINEAR_UNKNOWN) && operation->version != 0 &&
	       operation->version != SEARCH_NOBODYS;
}

/* A write without an answer that nobody has read is like any other such write. What fits one version only has its chance while
 * that is there, and never again. */
static enum kin kin_of(const struct linear_operation *operation)
{
	if (operation->result != LINEAR_UNKNOWN || is_ordered(operation))
		return KIN_NONE;
	switch (operation->kind) {
	case LINEAR_PUT:
		return KIN_PUT;
	case LINEAR_CAS:
		return operation->expected == 0 ? KIN_CREATE : KIN_WINDOW;
	case LINEAR_DELETE:
		return operation->expected == 0 ? KIN_DELETE : KIN_WINDOW;
	case LINEAR_UNLOCK:
		return KIN_WINDOW;
	default:
		return KIN_NONE;
	}
}

static void find_kin(struct state *state, const struct search *search)
{
	bool told_apart = true; /* whose version may be any are not */
	state->kins = mem_array(search->count, sizeof *state->kins);
	for (size_t i = 0; i < KIN_COUNT; i++)
		state->kin[i] = mem_array(search->count, sizeof *state->kin[i]);
	for (size_t i = 0; i < search->count; i++) {
		const struct linear_operation *operation = &search->operations[i];
		if ((operation->kind == LINEAR_PUT || operation->kind == LINEAR_CAS) && operation->version == 0 &&
		    operation->result <= LINEAR_OK)
			told_apart = false;
	}
	for (size_t i = 0; i < search->count; i++) {
		enum kin kin = told_apart ? kin_of(&search->operations[i]) : KIN_NONE;
		state->kins[i] = kin;
		if (kin < KIN_COUNT)
			state->kin[kin][state->kin_count[kin]++] = i;
	}
}

static void build(struct state *state, struct search *search)
{
	size_t count = search->count;
	struct node **sorted = mem_array(2 * count, sizeof(struct node *));
	struct random random = {.state = 1};
	size_t total = 0;
	state->search = search;
	state->nodes = mem_array(2 * count, sizeof *state->nodes);
	state->names = mem_array(2 * count + 1, sizeof *state->names);
	state->ordered = mem_array(count, sizeof(struct linear_operation *));
	state->frames = mem_array(count, sizeof *state->frames);
	for (size_t i = 0; i < 2 * count + 1; i++)
		state->names[i] = (struct mark){.high = random_next(&random), .low = random_next(&random)};
	find_kin(state, search);
	for (size_t i = 0; i < count; i++) {
		const struct linear_operation *operation = &search->operations[i];
		state->nodes[2 * i] = (struct node){.operation = i, .at = operation->invoked};
		state->nodes[2 * i + 1] = (struct node){.operation = i, .is_return = true, .at = operation->returned};
		sorted[total++] = &state->nodes[2 * i];
		if (operation->result != LINEAR_UNKNOWN) {
			sorted[total++] = &state->nodes[2 * i + 1];
			state->required++;
		}
		if (is_ordered(operation))
			state->ordered[state->ordered_count++] = operation;
	}
	qsort(sorted, total, sizeof(struct node *), compare_nodes);
	qsort(state->ordered, state->ordered_count, sizeof(struct linear_operation *), compare_versions);
	struct node *last = &state->head;
	for (size_t i = 0; i < total; i++) {
		last->next = sorted[i];
		sorted[i]->previous = last;
		last = sorted[i];
	}
	last->next = &state->head;
	state->head.previous = last;
	mem_free(sorted);
}

static void finish(struct state *state)
{
	for (size_t i = 0; i < KIN_COUNT; i++)
		mem_free(state->kin[i]);
	mem_free(state->kins);
	mem_free(state->nodes);
	mem_free(state->names);
	mem_free(state->ordered);
	mem_free(state->frames);
	mem_free(state->seen.slots);
}

static void lift(struct node *node)
{
	node->previous->next = node->next;
	node->next->previous = node->previous;
}

static void put_back(struct node *node)
{
	node->previous->next = node;
	node->next->previous = node;
}

/* --- steps --------------------------------------------------------------------------------------------------------- */

/* What leaves everything as it is, whatever is there. */
static bool looks_only(const struct linear_operation *operation)
{
	return operation->kind == LINEAR_GET || operation->result == LINEAR_NONE || operation->result == LINEAR_CONFLICT;
}

static enum pass pass_of(const struct linear_operation *operation)
{
	if (operation->result == LINEAR_UNKNOWN)
		return PASS_UNKNOWN;
	return looks_only(operation) ? PASS_LOOKS : PASS_CHANGES;
}

static struct mark mark_with(const struct state *state, const struct linear_operation *writer)
{
	struct mark mark = state->mark;
	size_t there = state->search->count;
	if (writer != NULL) {
		size_t which = (size_t)(writer - state->search->operations);
		bool alike = state->kins[which] != KIN_NONE && state->kin_count[KIN_PUT] > 0;
		there += 1 + (alike ? state->kin[KIN_PUT][0] : which);
	}
	mark.high ^= state->names[there].high;
	mark.low ^= state->names[there].low;
	return mark;
}

static void toggle(struct state *state, size_t operation, bool used)
{
	enum kin kin = state->kins[operation];
	if (kin < KIN_COUNT) {
		state->mark.used[kin] += used ? 1 : UINT32_MAX;
	} else if (kin == KIN_NONE) {
		state->mark.high ^= state->names[operation].high;
		state->mark.low ^= state->names[operation].low;
	}
}

/* Whether the operation may be next, and leads to where the search has not been. */
static bool may_follow(struct state *state, size_t which, enum pass pass, const struct linear_operation **ret_writer)
{
	const struct linear_operation *operation = &state->search->operations[which];
	if (pass_of(operation) != pass || !search_applies(operation, state->writer, ret_writer))
		return false;
	if (is_ordered(operation) &&
	    (state->ordered[state->ordered_done] != operation || operation->version <= state->version))
		return false;
	if (pass == PASS_LOOKS)
		return true;
	enum kin kin = state->kins[which];
	if (pass == PASS_UNKNOWN && *ret_writer == state->writer)
		return false;
	if (kin < KIN_COUNT && state->kin[kin][state->mark.used[kin]] != which)
		return false;
	toggle(state, which, true);
	struct mark mark = mark_with(state, *ret_writer);
	bool is_new = marks_add(&state->seen, &mark);
	toggle(state, which, false);
	return is_new;
}

static void put_next(struct state *state, size_t which, enum pass pass, const struct linear_operation *writer)
{
	const struct linear_operation *operation = &state->search->operations[which];
	state->frames[state->depth++] = (struct frame){which, state->writer, state->version, pass};
	lift(&state->nodes[2 * which]);
	if (operation->result != LINEAR_UNKNOWN) {
		lift(&state->nodes[2 * which + 1]);
		state->required--;
	}
	if (is_ordered(operation)) {
		state->ordered_done++;
		state->version = operation->version;
	}
	toggle(state, which, true);
	state->writer = writer;
}

static struct frame take_back(struct state *state)
{
	struct frame frame = state->frames[--state->depth];
	const struct linear_operation *operation = &state->search->operations[frame.operation];
	if (operation->result != LINEAR_UNKNOWN) {
		put_back(&state->nodes[2 * frame.operation + 1]);
		state->required++;
	}
	put_back(&state->nodes[2 * frame.operation]);
	if (is_ordered(operation))
		state->ordered_done--;
	toggle(state, frame.operation, false);
	state->writer = frame.writer;
	state->version = frame.version;
	return frame;
}

static void remember_best(struct state *state)
{
	struct search *search = state->search;
	if (search->best == NULL)
		search->best = mem_array(search->count, sizeof *search->best);
	if (state->depth <= search->best_count)
		return;
	for (size_t i = 0; i < state->depth; i++)
		search->best[i] = state->frames[i].operation;
	search->best_count = state->depth;
}

static enum linear_verdict look(struct state *state)
{
	struct node *node = state->head.next;
	unsigned int pass = PASS_LOOKS;
	while (state->required > 0) {
		const struct linear_operation *writer;
		while (pass < PASS_END) {
			if (node == &state->head || node->is_return) {
				pass++;
				node = state->head.next;
			} else if (may_follow(state, node->operation, (enum pass)pass, &writer)) {
				break;
			} else {
				node = node->next;
			}
		}
		if (state->seen.count > state->search->limit)
			return LINEAR_UNDECIDED;
		if (pass < PASS_END) {
			put_next(state, node->operation, (enum pass)pass, writer);
			node = state->head.next;
			pass = PASS_LOOKS;
			continue;
		}
		remember_best(state);
		struct frame frame;
		do {
			if (state->depth == 0)
				return LINEAR_BROKEN;
			frame = take_back(state);
		} while (frame.pass == PASS_LOOKS);
		node = state->nodes[2 * frame.operation].next;
		pass = frame.pass;
	}
	return LINEAR_HOLDS;
}

enum linear_verdict search_run(struct search *search)
{
	struct state state = {0};
	build(&state, search);
	enum linear_verdict verdict = look(&state);
	search->seen = state.seen.count;
	finish(&state);
	return verdict;
}
