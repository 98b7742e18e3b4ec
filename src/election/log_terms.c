#include "election/log_terms.h"

#include "base/memory.h"

#include <assert.h>
#include <string.h>

void log_terms_init(struct log_terms *log, uint64_t base_index, uint64_t base_term)
{
	*log = (struct log_terms){.base_index = base_index, .base_term = base_term, .last_index = base_index};
}

void log_terms_finish(struct log_terms *log)
{
	mem_free(log->runs);
	*log = (struct log_terms){0};
}

uint64_t log_terms_last_term(const struct log_terms *log)
{
	return log->count > 0 ? log->runs[log->count - 1].term : log->base_term;
}

/* The run that holds the entry. */
static size_t run_of(const struct log_terms *log, uint64_t index)
{
	size_t low = 0;
	size_t high = log->count;
	assert(index > log->base_index && index <= log->last_index);
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (log->runs[middle].first <= index)
			low = middle;
		else
			high = middle;
	}
	return low;
}

bool log_terms_at(const struct log_terms *log, uint64_t index, uint64_t *ret_term)
{
	if (index < log->base_index || index > log->last_index)
		return false;
	*ret_term = index == log->base_index ? log->base_term : log->runs[run_of(log, index)].term;
	return true;
}

bool log_terms_match(const struct log_terms *log, uint64_t index, uint64_t term)
{
	uint64_t have;
	return log_terms_at(log, index, &have) && have == term;
}

uint64_t log_terms_last_at_most(const struct log_terms *log, uint64_t index, uint64_t term)
{
	assert(index >= log->base_index);
	if (index == log->base_index)
		return index;
	for (size_t i = run_of(log, index) + 1; i > 0; i--) {
		if (log->runs[i - 1].term <= term)
			return index;
		index = log->runs[i - 1].first - 1;
	}
	return log->base_index;
}

void log_terms_append(struct log_terms *log, uint64_t term, uint64_t count)
{
	assert(term >= log_terms_last_term(log));
	if (count == 0)
		return;
	if (log->count == 0 || log->runs[log->count - 1].term != term) {
		mem_grow(log->runs, log->capacity, log->count + 1);
		log->runs[log->count++] = (struct raft_term_run){log->last_index + 1, term};
	}
	log->last_index += count;
}

void log_terms_cut_after(struct log_terms *log, uint64_t index)
{
	assert(index >= log->base_index);
	if (index >= log->last_index)
		return;
	while (log->count > 0 && log->runs[log->count - 1].first > index)
		log->count--;
	log->last_index = index;
}

void log_terms_compact(struct log_terms *log, uint64_t index)
{
	assert(index <= log->last_index);
	if (index <= log->base_index)
		return;
	size_t gone = run_of(log, index);
	log->base_term = log->runs[gone].term;
	log->base_index = index;
	uint64_t end = gone + 1 < log->count ? log->runs[gone + 1].first - 1 : log->last_index;
	if (end == index)
		gone++;
	else
		log->runs[gone].first = index + 1;
	log->count -= gone;
	memmove(log->runs, log->runs + gone, log->count * sizeof *log->runs);
}

void log_terms_reset(struct log_terms *log, uint64_t index, uint64_t term)
{
	log->count = 0;
	log->base_index = log->last_index = index;
	log->base_term = term;
}
