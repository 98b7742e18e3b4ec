#include "sim/linear_internal.h"

#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_LIMIT 10000000u
#define TOLD_BEFORE 8 /* operations of an explanation that could still be put in order */
#define TOLD_AFTER 16

struct linear_history *linear_create(void)
{
	return mem_zero(sizeof(struct linear_history));
}

void linear_destroy(struct linear_history *history)
{
	if (history == NULL)
		return;
	for (size_t i = 0; i < history->count; i++) {
		mem_free((char *)(uintptr_t)history->records[i].operation.key);
		mem_free((char *)(uintptr_t)history->records[i].operation.value);
	}
	mem_free(history->records);
	mem_free(history);
}

size_t linear_add(struct linear_history *history, const struct linear_operation *operation)
{
	mem_grow(history->records, history->capacity, history->count + 1);
	struct linear_record *record = &history->records[history->count];
	*record = (struct linear_record){.operation = *operation};
	record->operation.key = mem_string(operation->key);
	record->operation.value = mem_string(operation->value);
	return history->count++;
}

void linear_return(struct linear_history *history, size_t number, int64_t returned, enum linear_result result,
                   const char *value, uint64_t version)
{
	assert(number < history->count);
	struct linear_operation *operation = &history->records[number].operation;
	assert(operation->result == LINEAR_UNKNOWN && result != LINEAR_UNKNOWN && returned >= operation->invoked);
	operation->returned = returned;
	operation->result = result;
	operation->version = version;
	if (operation->kind == LINEAR_GET)
		operation->value = mem_string(value);
}

void linear_forget(struct linear_history *history, size_t number)
{
	history->records[number].forgotten = true;
}

size_t linear_count(const struct linear_history *history)
{
	size_t count = 0;
	for (size_t i = 0; i < history->count; i++)
		count += !history->records[i].forgotten;
	return count;
}

/* --- by key -------------------------------------------------------------------------------------------------------- */

static bool of_lock(const struct linear_operation *operation)
{
	return operation->kind >= LINEAR_LOCK;
}

static int compare_keys(const struct linear_operation *left, const struct linear_operation *right)
{
	return of_lock(left) != of_lock(right) ? of_lock(left) - of_lock(right) : strcmp(left->key, right->key);
}

static int compare(const void *left_pointer, const void *right_pointer)
{
	const struct linear_operation *left = left_pointer;
	const struct linear_operation *right = right_pointer;
	int order = compare_keys(left, right);
	if (order != 0)
		return order;
	return left->invoked != right->invoked ? (left->invoked > right->invoked) - (left->invoked < right->invoked)
	                                       : (left->returned > right->returned) - (left->returned < right->returned);
}

static bool writes(const struct linear_operation *operation)
{
	return (operation->kind == LINEAR_PUT || operation->kind == LINEAR_CAS || operation->kind == LINEAR_LOCK) &&
	       (operation->result == LINEAR_OK || operation->result == LINEAR_UNKNOWN);
}

/* --- versions of writes whose answer did not come ------------------------------------------------------------------ */

/* For qsort and bsearch. */
static int compare_numbers(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left;
	uint64_t b = *(const uint64_t *)right;
	return (a > b) - (a < b);
}

static bool given(const uint64_t *versions, size_t count, uint64_t version)
{
	return bsearch(&version, versions, count, sizeof version, compare_numbers) != NULL;
}

static bool same_text(const char *left, const char *right)
{
	return left == right || (left != NULL && right != NULL && strcmp(left, right) == 0);
}

/* A version that was read, and that no answered write gave, is of the unanswered write of that value. Of an unanswered write that
 * nobody read nobody knows the version. */
static void fill_in(struct search *search, struct linear_operation *write, const uint64_t *versions, size_t version_count)
{
	uint64_t found = 0;
	bool glimpsed = false; /* some version without its value */
	for (size_t i = 0; i < search->count; i++) {
		const struct linear_operation *other = &search->operations[i];
		bool rival = other != write && writes(other) && other->result == LINEAR_UNKNOWN;
		if (other->kind == LINEAR_CAS && other->result == LINEAR_CONFLICT)
			glimpsed = glimpsed || (other->version != 0 && !given(versions, version_count, other->version));
		if (write->kind == LINEAR_LOCK || other->kind == LINEAR_DELETE || !same_text(other->value, write->value))
			continue;
		if (rival || (other->kind == LINEAR_GET && other->version == 0))
			return; /* either of them: any version will do */
		if (other->kind == LINEAR_GET && !given(versions, version_count, other->version))
			found = found == 0 || found == other->version ? other->version : SEARCH_NOBODYS;
	}
	if (found != 0)
		write->version = found;
	else if (!glimpsed)
		write->version = SEARCH_NOBODYS;
}

static void fill_in_versions(struct search *search)
{
	uint64_t *versions = mem_array(search->count + 1, sizeof *versions);
	size_t count = 0;
	for (size_t i = 0; i < search->count; i++) {
		const struct linear_operation *operation = &search->operations[i];
		if (writes(operation) && operation->result == LINEAR_OK && operation->version != 0)
			versions[count++] = operation->version;
	}
	qsort(versions, count, sizeof *versions, compare_numbers);
	for (size_t i = 0; i < search->count; i++) {
		struct linear_operation *operation = &search->operations[i];
		if (writes(operation) && operation->result == LINEAR_UNKNOWN)
			fill_in(search, operation, versions, count);
	}
	mem_free(versions);
}

/* --- what is said of a broken one ---------------------------------------------------------------------------------- */

static void tell_line(const struct linear_operation *operation, struct buffer *out)
{
	struct linear_operation told = *operation;
	if (told.result == LINEAR_UNKNOWN)
		told.version = 0;
	buffer_append_string(out, "    ");
	linear_print_operation(&told, out);
	buffer_append_char(out, '\n');
}

static void tell_state(const struct linear_operation *writer, bool lock, struct buffer *out)
{
	buffer_append_string(out, lock ? "  then the lock is " : "  then there is ");
	if (writer == NULL)
		buffer_append_string(out, lock ? "free" : "nothing");
	else if (lock)
		buffer_format(out, "held by client %" PRIu64, writer->client);
	else
		buffer_append_string(out, writer->value);
	if (writer != NULL && writer->version != 0 && writer->version != SEARCH_NOBODYS)
		buffer_format(out, " (%" PRIu64 ")", writer->version);
	buffer_append_string(out, ", and none of these can come next:\n");
}

static void explain(const struct search *search, struct buffer *out)
{
	const struct linear_operation *writer = NULL;
	bool *done = mem_array(search->count, sizeof *done);
	int64_t end = LINEAR_NEVER;
	size_t told = 0;
	bool lock = of_lock(search->operations);
	buffer_format(out, "the history of the %s %s (%zu operations) is not linearizable\n", lock ? "lock" : "key",
	              search->operations[0].key, search->count);
	if (search->best_count > 0)
		buffer_format(out, "  %zu operations can be put in order, the last ones being:\n", search->best_count);
	for (size_t i = 0; i < search->best_count; i++) {
		const struct linear_operation *operation = &search->operations[search->best[i]];
		done[search->best[i]] = true;
		bool applies = search_applies(operation, writer, &writer);
		assert(applies); /* the order that was found is one */
		(void)applies;
		if (i + TOLD_BEFORE >= search->best_count)
			tell_line(operation, out);
	}
	tell_state(writer, lock, out);
	for (size_t i = 0; i < search->count; i++) {
		if (!done[i] && search->operations[i].returned < end)
			end = search->operations[i].returned;
	}
	for (size_t i = 0; i < search->count && told < TOLD_AFTER; i++) {
		if (!done[i] && search->operations[i].invoked <= end && search->operations[i].result != LINEAR_UNKNOWN) {
			tell_line(&search->operations[i], out);
			told++;
		}
	}
	mem_free(done);
}

/* --- the door ------------------------------------------------------------------------------------------------------ */

static enum linear_verdict check_key(struct linear_operation *operations, size_t count, uint64_t limit,
                                     struct buffer *explanation)
{
	struct search search = {.operations = operations, .count = count, .limit = limit};
	fill_in_versions(&search);
	enum linear_verdict verdict = search_run(&search);
	if (verdict == LINEAR_BROKEN)
		explain(&search, explanation);
	else if (verdict == LINEAR_UNDECIDED)
		buffer_format(explanation, "%s: undecided after %" PRIu64 " configurations\n", operations[0].key, limit);
	mem_free(search.best);
	return verdict;
}

enum linear_verdict linear_check(const struct linear_history *history, uint64_t configurations, struct buffer *explanation)
{
	struct linear_operation *operations = mem_array(history->count + 1, sizeof *operations);
	enum linear_verdict verdict = LINEAR_HOLDS;
	uint64_t limit = configurations != 0 ? configurations : DEFAULT_LIMIT;
	size_t count = 0;
	for (size_t i = 0; i < history->count; i++) {
		const struct linear_operation *operation = &history->records[i].operation;
		bool says_nothing = operation->kind == LINEAR_GET && operation->result == LINEAR_UNKNOWN;
		if (!history->records[i].forgotten && !says_nothing)
			operations[count++] = *operation;
	}
	qsort(operations, count, sizeof *operations, compare);
	for (size_t first = 0, end = 0; first < count && verdict != LINEAR_BROKEN; first = end) {
		for (end = first + 1; end < count && compare_keys(&operations[first], &operations[end]) == 0;)
			end++;
		enum linear_verdict one = check_key(operations + first, end - first, limit, explanation);
		verdict = one != LINEAR_HOLDS ? one : verdict;
	}
	mem_free(operations);
	return verdict;
}
