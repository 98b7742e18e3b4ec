#include "coordinator/table.h"

#include "base/memory.h"

#include <assert.h>

void table_finish(struct table *table)
{
	mem_free(table->entries);
	*table = (struct table){0};
}

/* Where the key is, or would be put. */
static struct table_entry *find(const struct table *table, uint64_t key)
{
	size_t mask = table->capacity - 1;
	size_t at = (size_t)table_mix(key) & mask;
	while (table->entries[at].used && table->entries[at].key != key)
		at = (at + 1) & mask;
	return &table->entries[at];
}

static void resize(struct table *table, size_t capacity)
{
	struct table old = *table;
	table->entries = mem_array(capacity, sizeof *table->entries);
	table->capacity = capacity;
	for (size_t i = 0; i < old.capacity; i++) {
		if (old.entries[i].used)
			*find(table, old.entries[i].key) = old.entries[i];
	}
	mem_free(old.entries);
}

uint32_t table_get(const struct table *table, uint64_t key, uint32_t none)
{
	if (table->count == 0)
		return none;
	const struct table_entry *entry = find(table, key);
	return entry->used ? entry->value : none;
}

static struct table_entry *make(struct table *table, uint64_t key)
{
	if (4 * (table->count + 1) > 3 * table->capacity)
		resize(table, table->capacity == 0 ? 16 : 2 * table->capacity);
	struct table_entry *entry = find(table, key);
	if (!entry->used) {
		*entry = (struct table_entry){key, 0, 1};
		table->count++;
	}
	return entry;
}

void table_put(struct table *table, uint64_t key, uint32_t value)
{
	make(table, key)->value = value;
}

/* Those behind the gap that would not be found any more move up. */
static void close_gap(struct table *table, size_t gap)
{
	size_t mask = table->capacity - 1;
	for (size_t at = (gap + 1) & mask; table->entries[at].used; at = (at + 1) & mask) {
		size_t home = (size_t)table_mix(table->entries[at].key) & mask;
		if (((at - home) & mask) < ((at - gap) & mask))
			continue;
		table->entries[gap] = table->entries[at];
		gap = at;
	}
	table->entries[gap].used = 0;
}

void table_remove(struct table *table, uint64_t key)
{
	if (table->count == 0)
		return;
	struct table_entry *entry = find(table, key);
	if (!entry->used)
		return;
	close_gap(table, (size_t)(entry - table->entries));
	table->count--;
	if (table->capacity > 16 && 8 * table->count < table->capacity)
		resize(table, table->capacity / 2);
}

uint32_t table_add(struct table *table, uint64_t key, int32_t change)
{
	struct table_entry *entry = make(table, key);
	assert(change >= 0 || entry->value >= (uint32_t)-change);
	entry->value += (uint32_t)change;
	uint32_t sum = entry->value;
	if (sum == 0)
		table_remove(table, key);
	return sum;
}
