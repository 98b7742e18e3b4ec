#include "daemon/waiters.h"

#include "base/memory.h"

#include <assert.h>
#include <string.h>
#include <sys/queue.h>
#include <uthash.h>

struct waiting_for {
	uint64_t kind, first, second;
};

struct item {
	struct waiter waiter;
	struct awaited *awaited;
	struct connected *connected;
	TAILQ_ENTRY(item) by_awaited;
	TAILQ_ENTRY(item) by_connection;
};

TAILQ_HEAD(item_list, item);

struct awaited {
	struct waiting_for key;
	struct item_list items;
	UT_hash_handle hh;
};

struct connected {
	uint64_t connection;
	struct item_list items;
	uint32_t count;
	UT_hash_handle hh;
};

struct waiters {
	struct awaited *awaited;
	struct connected *connected;
	uint32_t count;
	uint32_t watches;
	msec earliest; /* not later than any `until` of them */
	uint32_t prefixes[WAITERS_PREFIX_MAX + 1]; /* how many wait for one of this size */
};

struct waiters *waiters_create(void)
{
	struct waiters *waiters = mem_zero(sizeof *waiters);
	waiters->earliest = MSEC_NEVER;
	return waiters;
}

/* It is to be answered in time. */
static bool is_timed(uint64_t kind)
{
	return kind == WAIT_KEY || kind == WAIT_PREFIX || kind == WAIT_TOPIC || kind == WAIT_LOOKUP ||
	       kind == WAIT_CATALOG;
}

static void count_watch(struct waiters *waiters, const struct waiter *waiter, int change)
{
	if (waiter->kind == WAIT_KEY || waiter->kind == WAIT_PREFIX)
		waiters->watches += (uint32_t)change;
	if (waiter->kind == WAIT_PREFIX)
		waiters->prefixes[waiter->second] += (uint32_t)change;
}

/* What it holds is the caller's. */
static void item_remove(struct waiters *waiters, struct item *item)
{
	struct awaited *awaited = item->awaited;
	struct connected *connected = item->connected;
	TAILQ_REMOVE(&awaited->items, item, by_awaited);
	TAILQ_REMOVE(&connected->items, item, by_connection);
	connected->count--;
	waiters->count--;
	count_watch(waiters, &item->waiter, -1);
	if (TAILQ_EMPTY(&awaited->items)) {
		HASH_DELETE(hh, waiters->awaited, awaited);
		mem_free(awaited);
	}
	if (TAILQ_EMPTY(&connected->items)) {
		HASH_DELETE(hh, waiters->connected, connected);
		mem_free(connected);
	}
	mem_free(item);
}

void waiters_destroy(struct waiters *waiters)
{
	if (waiters == NULL)
		return;
	while (waiters->awaited != NULL) {
		struct item *item = TAILQ_FIRST(&waiters->awaited->items);
		text_release(item->waiter.text);
		item_remove(waiters, item);
	}
	mem_free(waiters);
}

static struct awaited *awaited_find(const struct waiters *waiters, enum wait_kind kind, uint64_t first, uint64_t second)
{
	struct waiting_for key = {(uint64_t)kind, first, second};
	struct awaited *awaited;
	HASH_FIND(hh, waiters->awaited, &key, sizeof key, awaited);
	return awaited;
}

void waiters_add(struct waiters *waiters, const struct waiter *take_waiter)
{
	const struct waiter *waiter = take_waiter;
	struct awaited *awaited = awaited_find(waiters, waiter->kind, waiter->first, waiter->second);
	struct connected *connected;
	assert(waiter->kind != WAIT_PREFIX || waiter->second <= WAITERS_PREFIX_MAX);
	HASH_FIND(hh, waiters->connected, &waiter->connection, sizeof waiter->connection, connected);
	if (awaited == NULL) {
		awaited = mem_zero(sizeof *awaited);
		awaited->key = (struct waiting_for){(uint64_t)waiter->kind, waiter->first, waiter->second};
		TAILQ_INIT(&awaited->items);
		HASH_ADD(hh, waiters->awaited, key, sizeof awaited->key, awaited);
	}
	if (connected == NULL) {
		connected = mem_zero(sizeof *connected);
		connected->connection = waiter->connection;
		TAILQ_INIT(&connected->items);
		HASH_ADD(hh, waiters->connected, connection, sizeof connected->connection, connected);
	}
	struct item *item = mem_zero(sizeof *item);
	item->waiter = *waiter;
	item->awaited = awaited;
	item->connected = connected;
	TAILQ_INSERT_TAIL(&awaited->items, item, by_awaited);
	TAILQ_INSERT_TAIL(&connected->items, item, by_connection);
	connected->count++;
	waiters->count++;
	count_watch(waiters, waiter, 1);
	if (is_timed(waiter->kind))
		waiters->earliest = msec_earlier(waiters->earliest, waiter->until);
}

bool waiters_take(struct waiters *waiters, enum wait_kind kind, uint64_t first, uint64_t second,
                  struct waiter *ret_waiter)
{
	struct awaited *awaited = awaited_find(waiters, kind, first, second);
	if (awaited == NULL)
		return false;
	struct item *item = TAILQ_FIRST(&awaited->items);
	*ret_waiter = item->waiter;
	item_remove(waiters, item);
	return true;
}

bool waiters_take_any(struct waiters *waiters, enum wait_kind kind, struct waiter *ret_waiter)
{
	for (struct awaited *awaited = waiters->awaited; awaited != NULL; awaited = awaited->hh.next) {
		if (awaited->key.kind != (uint64_t)kind)
			continue;
		struct item *item = TAILQ_FIRST(&awaited->items);
		*ret_waiter = item->waiter;
		item_remove(waiters, item);
		return true;
	}
	return false;
}

void waiters_each(struct waiters *waiters, enum wait_kind kind, uint64_t first, uint64_t second,
                  void (*call)(void *context, struct waiter *waiter), void *context)
{
	struct awaited *awaited = awaited_find(waiters, kind, first, second);
	struct item *item;
	if (awaited == NULL)
		return;
	TAILQ_FOREACH(item, &awaited->items, by_awaited)
		call(context, &item->waiter);
}

bool waiters_take_stream(struct waiters *waiters, uint64_t connection, uint32_t stream, struct waiter *ret_waiter)
{
	struct connected *connected;
	struct item *item;
	HASH_FIND(hh, waiters->connected, &connection, sizeof connection, connected);
	if (connected == NULL)
		return false;
	TAILQ_FOREACH(item, &connected->items, by_connection) {
		if (item->waiter.stream == stream) {
			*ret_waiter = item->waiter;
			item_remove(waiters, item);
			return true;
		}
	}
	return false;
}

bool waiters_take_connection(struct waiters *waiters, uint64_t connection, struct waiter *ret_waiter)
{
	struct connected *connected;
	struct item *item;
	HASH_FIND(hh, waiters->connected, &connection, sizeof connection, connected);
	if (connected == NULL)
		return false;
	item = TAILQ_FIRST(&connected->items);
	*ret_waiter = item->waiter;
	item_remove(waiters, item);
	return true;
}

uint32_t waiters_count(const struct waiters *waiters)
{
	return waiters->count;
}

uint32_t waiters_count_connection(const struct waiters *waiters, uint64_t connection)
{
	const struct connected *connected;
	HASH_FIND(hh, waiters->connected, &connection, sizeof connection, connected);
	return connected != NULL ? connected->count : 0;
}

uint32_t waiters_count_watches(const struct waiters *waiters)
{
	return waiters->watches;
}

bool waiters_any_prefix(const struct waiters *waiters, uint64_t size)
{
	return size <= WAITERS_PREFIX_MAX && waiters->prefixes[size] > 0;
}

/* Of those who wait for the same. false: there is no room for more. */
static bool take_late(struct waiters *waiters, struct awaited *awaited, msec now, struct waiter *ret_waiters, size_t count,
                      size_t *taken)
{
	struct item *item = TAILQ_FIRST(&awaited->items);
	while (item != NULL) {
		struct item *next = TAILQ_NEXT(item, by_awaited);
		msec until = item->waiter.until;
		if (until > now) {
			waiters->earliest = msec_earlier(waiters->earliest, until);
		} else if (*taken == count) {
			waiters->earliest = until;
			return false;
		} else {
			ret_waiters[(*taken)++] = item->waiter;
			item_remove(waiters, item); /* with the last one, what they wait for is gone, too */
		}
		item = next;
	}
	return true;
}

size_t waiters_take_late(struct waiters *waiters, msec now, struct waiter *ret_waiters, size_t count)
{
	struct awaited *awaited;
	struct awaited *next;
	size_t taken = 0;
	if (waiters->earliest > now)
		return 0;
	waiters->earliest = MSEC_NEVER;
	HASH_ITER(hh, waiters->awaited, awaited, next) {
		if (is_timed(awaited->key.kind) &&
		    !take_late(waiters, awaited, now, ret_waiters, count, &taken))
			break;
	}
	return taken;
}

msec waiters_deadline(const struct waiters *waiters)
{
	return waiters->earliest;
}
