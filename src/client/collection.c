#include "client/publisher.h"

#include "base/memory.h"

#include <uthash.h>

/* A multiset, which is changed in epochs. Who comes gets all of it as of the last complete epoch, and what changes after it; whoever is
 * behind gets all of it again. The state as frames is made once for all that come between two epochs. */

#define STATE_MAX_DEFAULT (256u << 20)
#define STATES_MAX 4 /* under way at once, of different epochs */

struct item {
	UT_hash_handle hh;
	TAILQ_ENTRY(item) entry; /* of those that change in this epoch */
	int64_t count;
	int64_t change;
	bool changes;
	size_t size;
	char data[];
};

struct clusterd_collection {
	struct clusterd_publisher *publisher;
	struct item *items;
	TAILQ_HEAD(item_list, item) changed;
	size_t size; /* of all items */
	size_t size_max;
	size_t change_size; /* of those that change, as they are sent */
	uint64_t time;
	struct backlog_state *state; /* as of now; NULL: not made */
	uint32_t states;             /* that are in memory */
};

/* --- the state ----------------------------------------------------------------------------------------------------- */

static struct backlog_state *make_state(void *context)
{
	struct clusterd_collection *collection = context;
	if (collection->state == NULL) {
		if (collection->states >= STATES_MAX)
			return NULL;
		collection->state = backlog_state_create(&collection->states);
		for (const struct item *item = collection->items; item != NULL; item = item->hh.next) {
			if (item->count != 0)
				backlog_state_add(collection->state, (struct slice){item->data, item->size},
				                  item->count);
		}
		backlog_state_seal(collection->state);
	}
	collection->state->holds++;
	return collection->state;
}

static void forget_state(struct clusterd_collection *collection)
{
	backlog_state_release(collection->state);
	collection->state = NULL;
}

/* --- items --------------------------------------------------------------------------------------------------------- */

static struct item *item_find(const struct clusterd_collection *collection, const void *data, size_t size)
{
	struct item *item;
	HASH_FIND(hh, collection->items, data, size, item);
	return item;
}

static struct item *item_add(struct clusterd_collection *collection, const void *data, size_t size)
{
	struct item *item = mem_alloc(sizeof *item + size);
	memset(item, 0, sizeof *item);
	item->size = size;
	if (size != 0)
		memcpy(item->data, data, size);
	HASH_ADD(hh, collection->items, data, size, item);
	collection->size += sizeof *item + size;
	return item;
}

static void item_forget(struct clusterd_collection *collection, struct item *item)
{
	HASH_DELETE(hh, collection->items, item);
	collection->size -= sizeof *item + item->size;
	mem_free(item);
}

static int check(const struct clusterd_collection *collection, const struct item *item, size_t size, int64_t count,
                 struct error *error)
{
	int64_t there = item != NULL ? item->count + item->change : 0;
	int64_t sum;
	if (size > STREAM_MESSAGE_MAX)
		return error_set(error, ERR_LIMIT, "an item has up to %u bytes, not %zu", STREAM_MESSAGE_MAX, size);
	if (__builtin_add_overflow(there, count, &sum) || sum < 0)
		return error_set(error, ERR_CONFLICT, "there are %lld of the item, which cannot become %lld more",
		                 (long long)there, (long long)count);
	if (item == NULL && collection->size + sizeof *item + size > collection->size_max)
		return error_set(error, ERR_LIMIT, "the collection would have more than %zu bytes",
		                 collection->size_max);
	return 0;
}

int clusterd_collection_change(struct clusterd_collection *collection, const void *data, size_t size, int64_t count,
                               struct clusterd_error *error)
{
	struct item *item = item_find(collection, data, size);
	struct error failure;
	int code = check(collection, item, size, count, &failure);
	if (code != 0)
		return client_say(error, &failure);
	if (count == 0)
		return 0;
	if (item == NULL)
		item = item_add(collection, data, size);
	item->change += count;
	if (!item->changes) {
		item->changes = true;
		collection->change_size += size + STREAM_ITEM_HEAD;
		TAILQ_INSERT_TAIL(&collection->changed, item, entry);
	}
	return 0;
}

int clusterd_collection_commit(struct clusterd_collection *collection, uint64_t *ret_time, struct clusterd_error *error)
{
	struct clusterd_publisher *publisher = collection->publisher;
	struct item *item;
	struct error failure;
	int code = publisher_make_room(publisher, collection->change_size, &failure);
	if (code != 0)
		return client_say(error, &failure);
	if (ret_time != NULL)
		*ret_time = collection->time;
	while ((item = TAILQ_FIRST(&collection->changed)) != NULL) {
		TAILQ_REMOVE(&collection->changed, item, entry);
		if (item->change != 0)
			publisher_put(publisher, collection->time, (struct slice){item->data, item->size},
			              item->change);
		item->count += item->change;
		item->change = 0;
		item->changes = false;
		if (item->count == 0)
			item_forget(collection, item);
	}
	collection->change_size = 0;
	forget_state(collection);
	return publisher_advance(publisher, ++collection->time, NULL);
}

int64_t clusterd_collection_count(const struct clusterd_collection *collection, const void *data, size_t size)
{
	const struct item *item = item_find(collection, data, size);
	return item != NULL ? item->count + item->change : 0;
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

int clusterd_collection_create(struct clusterd_client *client, const struct clusterd_publisher_options *options,
                               bool keeper, size_t size_max, struct clusterd_collection **ret_collection,
                               struct clusterd_error *error)
{
	struct clusterd_collection *collection = mem_zero(sizeof *collection);
	struct error failure = {0};
	TAILQ_INIT(&collection->changed);
	collection->size_max = size_max != 0 ? size_max : STATE_MAX_DEFAULT;
	int code = publisher_create(client, options, keeper ? CLUSTERD_TOPIC_KEEPER : CLUSTERD_TOPIC_COLLECTION,
	                            make_state, collection, &collection->publisher, &failure);
	if (code != 0) {
		mem_free(collection);
		return client_say(error, &failure);
	}
	*ret_collection = collection;
	return 0;
}

struct clusterd_publisher *clusterd_collection_publisher(const struct clusterd_collection *collection)
{
	return collection->publisher;
}

void clusterd_collection_destroy(struct clusterd_collection *collection)
{
	struct item *item;
	struct item *next;
	if (collection == NULL)
		return;
	clusterd_publisher_destroy(collection->publisher);
	forget_state(collection);
	HASH_ITER (hh, collection->items, item, next)
		item_forget(collection, item);
	mem_free(collection);
}
