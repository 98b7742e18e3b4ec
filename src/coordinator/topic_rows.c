#include "coordinator/internal.h"

#include "base/memory.h"

/* Topics between catalog and memory. */

/* --- parts --------------------------------------------------------------------------------------------------------- */

struct topic *topic_create(uint64_t id, struct slice name, enum topic_kind kind, struct slice schema, uint32_t partitions)
{
	struct topic *topic = mem_zero(sizeof *topic);
	topic->id = id;
	topic->name = text_create(name);
	topic->kind = kind;
	topic->schema = text_create(schema);
	topic->partitions = partitions;
	topic->place = HEAP_OUT;
	if (partitions != 0) {
		topic->parts = mem_array(partitions, sizeof(struct publication *));
		for (uint32_t i = 0; i < partitions; i++)
			topic->parts[i] = NULL;
	}
	TAILQ_INIT(&topic->publications);
	TAILQ_INIT(&topic->subscriptions);
	return topic;
}

void topic_destroy(struct topic *topic)
{
	text_release(topic->name);
	text_release(topic->schema);
	mem_free(topic->parts);
	mem_free(topic);
}

void topic_add_publication(struct topic *topic, struct publication *publication)
{
	publication->topic = topic;
	TAILQ_INSERT_TAIL(&topic->publications, publication, in_topic);
	topic->publication_count++;
	if (topic->parts != NULL)
		topic->parts[publication->part] = publication;
}

void topic_add_subscription(struct topic *topic, struct subscription *subscription)
{
	subscription->topic = topic;
	TAILQ_INSERT_TAIL(&topic->subscriptions, subscription, in_topic);
}

/* --- loading ------------------------------------------------------------------------------------------------------- */

/* Topics by id, as long as they are loaded: rows of the others name them so. */
struct known {
	uint64_t id;
	struct topic *topic;
	UT_hash_handle hh;
};

struct loading {
	struct machine *machine;
	struct known *topics;
};

static void know(struct loading *loading, struct topic *topic)
{
	struct known *known = mem_zero(sizeof *known);
	known->id = topic->id;
	known->topic = topic;
	HASH_ADD(hh, loading->topics, id, sizeof known->id, known);
}

static struct topic *known_topic(const struct loading *loading, uint64_t id)
{
	struct known *known;
	HASH_FIND(hh, loading->topics, &id, sizeof id, known);
	return known != NULL ? known->topic : NULL;
}

static enum topic_kind kind_parse(struct slice text)
{
	enum topic_kind kind = TOPIC_STREAM;
	while (kind < TOPIC_KIND_END && !slice_is(text, topic_kind_name(kind)))
		kind++;
	return kind;
}

static int topic_loaded(void *context, const struct catalog_topic *row)
{
	struct loading *loading = context;
	enum topic_kind kind = kind_parse(row->kind);
	if (kind == TOPIC_KIND_END || row->partitions > TOPIC_PARTS_MAX)
		return ERR_CORRUPT;
	struct topic *topic = topic_create(row->id, row->name, kind, row->schema, row->partitions);
	topic->version = row->version;
	HASH_ADD_KEYPTR(hh, loading->machine->topics, topic->name->data, topic->name->size, topic);
	know(loading, topic);
	return 0;
}

static int publication_loaded(void *context, const struct catalog_publication *row)
{
	struct loading *loading = context;
	struct topic *topic = known_topic(loading, row->topic);
	if (topic == NULL || (topic->parts != NULL && (row->part >= topic->partitions || topic->parts[row->part] != NULL)))
		return ERR_CORRUPT;
	struct publication *publication = mem_zero(sizeof *publication);
	publication->id = row->id;
	publication->part = row->part;
	publication->address = text_create(row->address);
	publication->job = row->job;
	publication->allocation = row->allocation;
	publication->owner = owner_get(loading->machine, row->session);
	publication->owner->count++;
	TAILQ_INSERT_TAIL(&publication->owner->publications, publication, in_owner);
	topic_add_publication(topic, publication);
	HASH_ADD(hh, loading->machine->publications, id, sizeof publication->id, publication);
	return 0;
}

static int subscription_loaded(void *context, const struct catalog_subscription *row)
{
	struct loading *loading = context;
	struct topic *topic = known_topic(loading, row->topic);
	if (topic == NULL) {
		/* Its topic is gone, and it is to go. */
		topic = topic_create(row->topic, SLICE(""), TOPIC_ANY, SLICE(""), 0);
		know(loading, topic);
		topic->ended = true;
		heap_insert(&loading->machine->ended_topics, topic);
	}
	struct subscription *subscription = mem_zero(sizeof *subscription);
	subscription->id = row->id;
	subscription->all = row->all;
	subscription->part = row->part;
	subscription->owner = owner_get(loading->machine, row->session);
	subscription->owner->count++;
	TAILQ_INSERT_TAIL(&subscription->owner->subscriptions, subscription, in_owner);
	topic_add_subscription(topic, subscription);
	HASH_ADD(hh, loading->machine->subscriptions, id, sizeof subscription->id, subscription);
	return 0;
}

static bool owner_before(const void *left, const void *right)
{
	return ((const struct owner *)left)->session < ((const struct owner *)right)->session;
}

static void owner_moved(void *item, size_t index)
{
	((struct owner *)item)->place = index;
}

static bool topic_before(const void *left, const void *right)
{
	return ((const struct topic *)left)->id < ((const struct topic *)right)->id;
}

static void topic_moved(void *item, size_t index)
{
	((struct topic *)item)->place = index;
}

/* Sessions are there already: what has none is to go. */
static void end_owners(struct machine *machine)
{
	for (struct owner *owner = machine->owners; owner != NULL; owner = owner->hh.next) {
		if (session_find(machine, owner->session) == NULL)
			owner_end(machine, owner->session);
	}
}

int topics_load(struct machine *machine, struct error *error)
{
	struct loading loading = {.machine = machine};
	struct known *known;
	struct known *next;
	machine->ended_owners = (struct heap){.before = owner_before, .moved = owner_moved};
	machine->ended_topics = (struct heap){.before = topic_before, .moved = topic_moved};
	int code = catalog_topics(machine->catalog, topic_loaded, &loading);
	if (code == 0)
		code = catalog_publications(machine->catalog, publication_loaded, &loading);
	if (code == 0)
		code = catalog_subscriptions(machine->catalog, subscription_loaded, &loading);
	HASH_ITER(hh, loading.topics, known, next) {
		HASH_DELETE(hh, loading.topics, known);
		mem_free(known);
	}
	if (code == 0)
		end_owners(machine);
	else
		error_set(error, code, "the topics cannot be read from the catalog: %s", catalog_error(machine->catalog));
	return code;
}

/* --- release ------------------------------------------------------------------------------------------------------- */

void topics_release(struct machine *machine)
{
	struct topic *topic;
	struct topic *next_topic;
	struct publication *publication;
	struct publication *next_publication;
	struct subscription *subscription;
	struct subscription *next_subscription;
	struct owner *owner;
	struct owner *next_owner;
	HASH_ITER(hh, machine->publications, publication, next_publication) {
		HASH_DELETE(hh, machine->publications, publication);
		text_release(publication->address);
		mem_free(publication);
	}
	HASH_ITER(hh, machine->subscriptions, subscription, next_subscription) {
		HASH_DELETE(hh, machine->subscriptions, subscription);
		mem_free(subscription);
	}
	HASH_ITER(hh, machine->topics, topic, next_topic) {
		HASH_DELETE(hh, machine->topics, topic);
		topic_destroy(topic);
	}
	for (size_t i = 0; i < machine->ended_topics.size; i++)
		topic_destroy(machine->ended_topics.items[i]);
	HASH_ITER(hh, machine->owners, owner, next_owner) {
		HASH_DELETE(hh, machine->owners, owner);
		mem_free(owner);
	}
	heap_finish(&machine->ended_owners);
	heap_finish(&machine->ended_topics);
}
