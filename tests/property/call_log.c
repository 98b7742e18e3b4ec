#include "call_log.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#define uthash_malloc(size) mem_alloc(size)
#define uthash_free(memory, size) mem_free(memory)
#include <uthash.h>

#define KEY_SHOWN 400

struct call_record {
	UT_hash_handle hh;
	struct buffer key;
	struct opened_call *calls;
	uint32_t call_count;
	size_t call_capacity;
	struct when *expected;
	uint32_t expected_count;
	size_t expected_capacity;
};

void call_log_finish(struct call_log *log)
{
	struct call_record *record;
	struct call_record *next;
	HASH_ITER (hh, log->records, record, next) {
		HASH_DEL(log->records, record);
		buffer_finish(&record->key);
		mem_free(record->calls);
		mem_free(record->expected);
		mem_free(record);
	}
}

struct call_record *call_log_record(struct call_log *log, struct slice callee, const struct plain *input)
{
	struct call_record *record;
	struct buffer key = BUFFER_EMPTY;
	buffer_append_slice(&key, callee);
	buffer_append_char(&key, ' ');
	plain_canonical(input, &key);
	HASH_FIND(hh, log->records, key.data, key.size, record);
	if (record != NULL) {
		buffer_finish(&key);
		return record;
	}
	record = mem_zero(sizeof *record);
	record->key = key;
	HASH_ADD_KEYPTR(hh, log->records, record->key.data, record->key.size, record);
	return record;
}

struct slice call_record_key(const struct call_record *record)
{
	struct slice key = buffer_slice(&record->key);
	return (struct slice){key.data, key.size > KEY_SHOWN ? KEY_SHOWN : key.size};
}

uint32_t call_record_open(struct call_record *record, uint32_t step)
{
	mem_grow(record->calls, record->call_capacity, (size_t)record->call_count + 1);
	record->calls[record->call_count] = (struct opened_call){step, STEP_NEVER};
	return record->call_count++;
}

void call_record_return(struct call_record *record, uint32_t index, uint32_t step)
{
	assert(record->calls[index].returned == STEP_NEVER);
	record->calls[index].returned = step;
}

bool call_record_expect(struct call_record *record, struct when needs, struct when *ret_returned)
{
	struct when returned = {STEP_NEVER, 0};
	mem_grow(record->expected, record->expected_capacity, (size_t)record->expected_count + 1);
	record->expected[record->expected_count++] = needs;
	for (uint32_t i = 0; i < record->call_count; i++) {
		uint32_t step = record->calls[i].returned;
		returned.earliest = step < returned.earliest ? step : returned.earliest;
		returned.latest = step > returned.latest ? step : returned.latest;
	}
	*ret_returned = returned;
	return record->expected_count <= record->call_count;
}

const struct opened_call *call_record_only(const struct call_record *record)
{
	return record->call_count == 1 ? record->calls : NULL;
}

static int by_step(const void *left, const void *right)
{
	const uint32_t *a = left;
	const uint32_t *b = right;
	return *a < *b ? -1 : *a > *b;
}

/* There is a way to say which call is which only if that holds for the sorted steps. */
static bool check_times(const struct call_record *record, struct buffer *failure)
{
	uint32_t count = record->call_count;
	uint32_t *steps = mem_array((size_t)count * 3 + 1, sizeof *steps);
	bool fine = true;
	for (uint32_t i = 0; i < count; i++) {
		steps[i] = record->expected[i].earliest;
		steps[count + i] = record->calls[i].opened;
		steps[2 * count + i] = record->expected[i].latest;
	}
	for (uint32_t i = 0; i < 3; i++)
		qsort(steps + (size_t)i * count, count, sizeof *steps, by_step);
	for (uint32_t i = 0; i < count && fine; i++) {
		uint32_t opened = steps[count + i];
		fine = opened >= steps[i] && opened <= steps[2 * count + i];
		if (!fine)
			buffer_format(failure, "%.*s: opened in step %u, where its arguments are there from %u to %u\n",
			              SLICE_ARGS(call_record_key(record)), opened, steps[i], steps[2 * count + i]);
	}
	mem_free(steps);
	return fine;
}

bool call_log_check(const struct call_log *log, struct buffer *failure)
{
	bool fine = true;
	for (const struct call_record *record = log->records; record != NULL; record = record->hh.next) {
		if (record->call_count == record->expected_count) {
			fine = check_times(record, failure) && fine;
			continue;
		}
		buffer_format(failure, "%.*s: opened %u times instead of %u\n", SLICE_ARGS(call_record_key(record)),
		              record->call_count, record->expected_count);
		fine = false;
	}
	return fine;
}
