#include "daemon/tail.h"

#include "base/memory.h"

#include <assert.h>

#define FIRST_CAPACITY 64

void tail_init(struct tail *tail, uint64_t next_index)
{
	*tail = (struct tail){.first = next_index};
}

static struct tail_entry **slot(const struct tail *tail, uint64_t index)
{
	return &tail->slots[index & (tail->capacity - 1)];
}

static void entry_free(struct tail_entry *entry)
{
	buffer_finish(&entry->body);
	mem_free(entry);
}

static void let_go(struct tail *tail, struct tail_entry *entry)
{
	tail->bytes -= entry->body.size;
	if (tail->borrowed_first == 0 || entry->index < tail->borrowed_first || entry->index > tail->borrowed_last) {
		entry_free(entry);
		return;
	}
	entry->next_gone = tail->gone;
	tail->gone = entry;
}

static void free_gone(struct tail *tail)
{
	while (tail->gone != NULL) {
		struct tail_entry *entry = tail->gone;
		tail->gone = entry->next_gone;
		entry_free(entry);
	}
}

void tail_finish(struct tail *tail)
{
	tail_return(tail);
	tail_reset(tail, 0);
	mem_free(tail->slots);
	*tail = (struct tail){0};
}

uint64_t tail_next(const struct tail *tail)
{
	return tail->first + tail->count;
}

static void grow(struct tail *tail)
{
	struct tail grown = *tail;
	grown.capacity = tail->capacity != 0 ? tail->capacity * 2 : FIRST_CAPACITY;
	grown.slots = mem_array(grown.capacity, sizeof *grown.slots);
	for (uint64_t index = tail->first; index < tail_next(tail); index++)
		*slot(&grown, index) = *slot(tail, index);
	mem_free(tail->slots);
	*tail = grown;
}

struct tail_entry *tail_append(struct tail *tail, uint64_t term, struct buffer take_body, bool configuration)
{
	struct tail_entry *entry = mem_zero(sizeof *entry);
	entry->index = tail_next(tail);
	entry->term = term;
	entry->body = take_body;
	entry->configuration = configuration;
	if (tail->count == tail->capacity)
		grow(tail);
	*slot(tail, entry->index) = entry;
	tail->count++;
	tail->bytes += take_body.size;
	return entry;
}

struct tail_entry *tail_at(const struct tail *tail, uint64_t index)
{
	if (index < tail->first || index >= tail_next(tail))
		return NULL;
	return *slot(tail, index);
}

void tail_cut_after(struct tail *tail, uint64_t index)
{
	while (tail->count > 0 && tail_next(tail) - 1 > index) {
		let_go(tail, *slot(tail, tail_next(tail) - 1));
		tail->count--;
	}
	if (tail->count == 0 && tail->first > index + 1)
		tail->first = index + 1;
}

void tail_drop_before(struct tail *tail, uint64_t index)
{
	while (tail->count > 0 && tail->first < index) {
		let_go(tail, *slot(tail, tail->first));
		tail->first++;
		tail->count--;
	}
}

void tail_reset(struct tail *tail, uint64_t next_index)
{
	tail_drop_before(tail, tail_next(tail));
	tail->first = next_index;
}

void tail_lend(struct tail *tail, uint64_t first, uint64_t last)
{
	assert(tail->borrowed_first == 0 && first > 0 && tail_at(tail, first) != NULL && tail_at(tail, last) != NULL);
	tail->borrowed_first = first;
	tail->borrowed_last = last;
}

void tail_return(struct tail *tail)
{
	tail->borrowed_first = tail->borrowed_last = 0;
	free_gone(tail);
}
