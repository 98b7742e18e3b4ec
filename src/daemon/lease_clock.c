#include "daemon/lease_clock.h"

#include "base/memory.h"

#include <uthash.h>

/* A heap by the time for which each entry was put where it is. Keeping a lease alive, which is what happens most, only notes its new
 * time: the entry sinks when its turn comes. */

#define NOT_IN_HEAP SIZE_MAX

struct entry {
	uint64_t lease;
	msec ttl;
	msec until;
	msec placed; /* its time in the heap; never later than `until` */
	size_t at;   /* in the heap; NOT_IN_HEAP: it has run out */
	UT_hash_handle hh;
};

struct lease_clock {
	struct entry *entries;
	struct entry **heap;
	size_t count;
	size_t capacity;
};

struct lease_clock *lease_clock_create(void)
{
	return mem_zero(sizeof(struct lease_clock));
}

void lease_clock_clear(struct lease_clock *clock)
{
	struct entry *entry;
	struct entry *next;
	HASH_ITER(hh, clock->entries, entry, next) {
		HASH_DELETE(hh, clock->entries, entry);
		mem_free(entry);
	}
	clock->count = 0;
}

void lease_clock_destroy(struct lease_clock *clock)
{
	if (clock == NULL)
		return;
	lease_clock_clear(clock);
	mem_free(clock->heap);
	mem_free(clock);
}

/* --- the heap ------------------------------------------------------------------------------------------------------ */

static void put_at(struct lease_clock *clock, struct entry *entry, size_t at)
{
	clock->heap[at] = entry;
	entry->at = at;
}

static void rise(struct lease_clock *clock, struct entry *entry)
{
	size_t at = entry->at;
	while (at > 0 && clock->heap[(at - 1) / 2]->placed > entry->placed) {
		put_at(clock, clock->heap[(at - 1) / 2], at);
		at = (at - 1) / 2;
	}
	put_at(clock, entry, at);
}

static void sink(struct lease_clock *clock, struct entry *entry)
{
	size_t at = entry->at;
	for (;;) {
		size_t child = 2 * at + 1;
		if (child + 1 < clock->count && clock->heap[child + 1]->placed < clock->heap[child]->placed)
			child++;
		if (child >= clock->count || clock->heap[child]->placed >= entry->placed)
			break;
		put_at(clock, clock->heap[child], at);
		at = child;
	}
	put_at(clock, entry, at);
}

static void heap_add(struct lease_clock *clock, struct entry *entry)
{
	mem_grow(clock->heap, clock->capacity, clock->count + 1);
	put_at(clock, entry, clock->count++);
	rise(clock, entry);
}

static void heap_remove(struct lease_clock *clock, struct entry *entry)
{
	struct entry *last = clock->heap[--clock->count];
	if (last != entry) {
		put_at(clock, last, entry->at);
		rise(clock, last);
		sink(clock, last);
	}
	entry->at = NOT_IN_HEAP;
}

/* --- leases -------------------------------------------------------------------------------------------------------- */

static struct entry *find(const struct lease_clock *clock, uint64_t lease)
{
	struct entry *entry;
	HASH_FIND(hh, clock->entries, &lease, sizeof lease, entry);
	return entry;
}

void lease_clock_grant(struct lease_clock *clock, uint64_t lease, msec ttl, msec now)
{
	struct entry *entry = find(clock, lease);
	if (entry == NULL) {
		entry = mem_zero(sizeof *entry);
		entry->lease = lease;
		entry->at = NOT_IN_HEAP;
		HASH_ADD(hh, clock->entries, lease, sizeof entry->lease, entry);
	}
	if (entry->at != NOT_IN_HEAP)
		heap_remove(clock, entry);
	entry->ttl = ttl;
	entry->until = now + ttl;
	entry->placed = entry->until;
	heap_add(clock, entry);
}

bool lease_clock_keep(struct lease_clock *clock, uint64_t lease, msec now)
{
	struct entry *entry = find(clock, lease);
	if (entry == NULL || entry->at == NOT_IN_HEAP || entry->until <= now)
		return false;
	entry->until = now + entry->ttl;
	return true;
}

void lease_clock_forget(struct lease_clock *clock, uint64_t lease)
{
	struct entry *entry = find(clock, lease);
	if (entry == NULL)
		return;
	if (entry->at != NOT_IN_HEAP)
		heap_remove(clock, entry);
	HASH_DELETE(hh, clock->entries, entry);
	mem_free(entry);
}

bool lease_clock_expired(struct lease_clock *clock, msec now, uint64_t *ret_lease)
{
	while (clock->count > 0 && clock->heap[0]->placed <= now) {
		struct entry *entry = clock->heap[0];
		if (entry->until <= now) {
			heap_remove(clock, entry);
			*ret_lease = entry->lease;
			return true;
		}
		entry->placed = entry->until;
		sink(clock, entry);
	}
	return false;
}

msec lease_clock_deadline(const struct lease_clock *clock)
{
	return clock->count > 0 ? clock->heap[0]->placed : MSEC_NEVER;
}

msec lease_clock_remaining(const struct lease_clock *clock, uint64_t lease, msec now)
{
	const struct entry *entry = find(clock, lease);
	return entry != NULL && entry->at != NOT_IN_HEAP && entry->until > now ? entry->until - now : 0;
}

size_t lease_clock_count(const struct lease_clock *clock)
{
	return HASH_COUNT(clock->entries);
}
