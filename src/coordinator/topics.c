#include "coordinator/internal.h"

#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>

/* Topics: a topic is there as long as something of it is published, publications and subscriptions belong to the session that made them. */

#define SHOWN_MAX 100 /* bytes of a schema in a text */

/* --- names --------------------------------------------------------------------------------------------------------- */

const char *topic_kind_name(enum topic_kind kind)
{
	static const char *const names[TOPIC_KIND_END] = {
		[TOPIC_STREAM] = "stream",
		[TOPIC_COLLECTION] = "collection",
		[TOPIC_SERVICE] = "service",
		[TOPIC_KEEPER] = "keeper",
	};
	return kind < TOPIC_KIND_END ? names[kind] : NULL;
}

static bool is_digit(char character)
{
	return character >= '0' && character <= '9';
}

/* How many digits stand at its end, behind a dot; 0: none do. */
static size_t part_digits(struct slice text)
{
	size_t digits = 0;
	while (digits < text.size && is_digit(text.data[text.size - 1 - digits]))
		digits++;
	return digits < text.size && text.data[text.size - 1 - digits] == '.' ? digits : 0;
}

void topic_split(struct slice text, struct slice *ret_topic, bool *ret_all, uint32_t *ret_part)
{
	size_t digits = part_digits(text);
	uint64_t part = 0;
	*ret_all = digits == 0;
	*ret_part = 0;
	*ret_topic = text;
	if (digits == 0)
		return;
	for (size_t i = text.size - digits; i < text.size && part <= TOPIC_PARTS_MAX; i++)
		part = part * 10 + (uint64_t)(text.data[i] - '0');
	*ret_part = (uint32_t)part; /* one that is too large is above all that there are */
	ret_topic->size = text.size - digits - 1;
}

bool topic_is_name(struct slice name)
{
	if (name.size == 0 || name.size > TOPIC_NAME_MAX || name.data[0] == '$' || part_digits(name) != 0)
		return false;
	for (size_t i = 0; i < name.size; i++) {
		if ((unsigned char)name.data[i] <= ' ' || name.data[i] == 0x7F)
			return false;
	}
	return true;
}

/* --- finding ------------------------------------------------------------------------------------------------------- */

static struct topic *topic_find(const struct machine *machine, struct slice name)
{
	struct topic *topic;
	HASH_FIND(hh, machine->topics, name.data, name.size, topic);
	return topic;
}

const struct topic *machine_topic(const struct machine *machine, struct slice name)
{
	return topic_find(machine, name);
}

uint32_t machine_topic_turn(struct machine *machine, const struct topic *topic)
{
	return topic_find(machine, text_slice(topic->name))->turned++;
}

const struct subscription *machine_subscription(const struct machine *machine, uint64_t id)
{
	struct subscription *subscription;
	HASH_FIND(hh, machine->subscriptions, &id, sizeof id, subscription);
	return subscription;
}

bool topic_has(const struct topic *topic, bool all, uint32_t part)
{
	return all || (topic->parts != NULL && part < topic->partitions && topic->parts[part] != NULL);
}

/* --- what is refused ----------------------------------------------------------------------------------------------- */

static int shown(struct slice text)
{
	return text.size < SHOWN_MAX ? (int)text.size : SHOWN_MAX;
}

/* May the session own one more? Else `ret_answer` says why not. */
static bool may_own(const struct machine *machine, uint64_t session_id, struct answer *ret_answer)
{
	const struct session *session = session_find(machine, session_id);
	const struct owner *owner = owner_find(machine, session_id);
	uint64_t all = HASH_COUNT(machine->publications) + HASH_COUNT(machine->subscriptions);
	if (session == NULL || session->proof[0] == '\0')
		*ret_answer = answer_error(ERR_DENIED, "session %" PRIu64
		                           " was opened without a secret, and can own neither publications nor subscriptions",
		                           session_id);
	else if (all >= machine->settings.topic_entries)
		*ret_answer = answer_error(ERR_LIMIT,
		                           "there are %" PRIu64 " publications and subscriptions; at most %u are allowed "
		                           "(setting topic_entries)",
		                           all, machine->settings.topic_entries);
	else if (owner != NULL && owner->count >= machine->settings.session_entries)
		*ret_answer = answer_error(ERR_LIMIT,
		                           "session %" PRIu64 " has %u publications and subscriptions; at most %u are "
		                           "allowed (setting session_entries)",
		                           session_id, owner->count, machine->settings.session_entries);
	else
		return true;
	return false;
}

static struct answer answer_kind(const struct topic *topic, enum topic_kind kind)
{
	return answer_error(ERR_CONFLICT, "topic \"%s\" is a %s, not a %s", topic->name->data, topic_kind_name(topic->kind),
	                    topic_kind_name(kind));
}

static struct answer answer_schema(const struct topic *topic, struct slice schema)
{
	struct slice has = text_slice(topic->schema);
	return answer_error(ERR_TYPE, "topic \"%s\" has the schema %.*s, not %.*s", topic->name->data, shown(has), has.data,
	                    shown(schema), schema.data);
}

/* --- publishing ---------------------------------------------------------------------------------------------------- */

static int topic_changed(struct machine *machine, struct topic *topic)
{
	struct effect *effect = effect_add(machine, EFFECT_TOPIC_CHANGED, 0);
	effect->key = text_hold(topic->name);
	topic->version = machine->applied_index;
	return catalog_topic_version(machine->catalog, topic->id, topic->version);
}

/* May this be published of a topic that there is? */
static bool fits(const struct topic *topic, const struct command *command, struct answer *ret_answer)
{
	if (topic->partitions == 0 && topic->kind != TOPIC_KEEPER)
		*ret_answer = answer_error(ERR_EXISTS, "topic \"%s\" already exists: session %" PRIu64 " publishes it",
		                           topic->name->data, TAILQ_FIRST(&topic->publications)->owner->session);
	else if (topic->kind != command->publish.kind)
		*ret_answer = answer_kind(topic, command->publish.kind);
	else if (topic->partitions != command->publish.partitions)
		*ret_answer = answer_error(ERR_CONFLICT, "topic \"%s\" has %u partitions, not %u", topic->name->data,
		                           topic->partitions, command->publish.partitions);
	else if (!slice_equal(text_slice(topic->schema), command->publish.schema))
		*ret_answer = answer_schema(topic, command->publish.schema);
	else if (topic->parts != NULL && topic->parts[command->publish.part] != NULL)
		*ret_answer = answer_error(ERR_EXISTS, "part %u of topic \"%s\" already exists: session %" PRIu64 " publishes it",
		                           command->publish.part, topic->name->data,
		                           topic->parts[command->publish.part]->owner->session);
	else if (topic->publication_count >= TOPIC_PARTS_MAX)
		*ret_answer = answer_error(ERR_LIMIT, "topic \"%s\" has %d publications, and may not have more", topic->name->data,
		                           TOPIC_PARTS_MAX);
	else
		return true;
	return false;
}

static int topic_open(struct machine *machine, const struct command *command, struct topic **ret_topic)
{
	struct topic *topic = topic_create(machine->applied_index, command->publish.topic, command->publish.kind,
	                                   command->publish.schema, command->publish.partitions);
	struct catalog_topic row = {
		.id = topic->id,
		.name = text_slice(topic->name),
		.kind = slice_of(topic_kind_name(topic->kind)),
		.schema = text_slice(topic->schema),
		.partitions = topic->partitions,
		.version = machine->applied_index,
		.created_ms = machine->now,
	};
	HASH_ADD_KEYPTR(hh, machine->topics, topic->name->data, topic->name->size, topic);
	*ret_topic = topic;
	return catalog_topic_put(machine->catalog, &row);
}

static int publication_add(struct machine *machine, struct topic *topic, const struct command *command, uint64_t job)
{
	struct publication *publication = mem_zero(sizeof *publication);
	publication->id = machine->applied_index;
	publication->part = command->publish.part;
	publication->address = text_create(command->publish.address);
	publication->job = job;
	publication->allocation = command->publish.allocation;
	publication->owner = owner_get(machine, command->session);
	publication->owner->count++;
	TAILQ_INSERT_TAIL(&publication->owner->publications, publication, in_owner);
	topic_add_publication(topic, publication);
	HASH_ADD(hh, machine->publications, id, sizeof publication->id, publication);
	struct catalog_publication row = {
		.id = publication->id,
		.topic = topic->id,
		.part = publication->part,
		.session = command->session,
		.address = command->publish.address,
		.job = job,
		.allocation = publication->allocation,
		.published_ms = machine->now,
	};
	return catalog_publication_put(machine->catalog, &row);
}

static int apply_publish(struct machine *machine, const struct command *command, struct answer *ret_answer)
{
	struct topic *topic = topic_find(machine, command->publish.topic);
	const struct allocation *allocation = NULL;
	int code = 0;
	assert(command->publish.partitions == 0 || command->publish.part < command->publish.partitions);
	if (!may_own(machine, command->session, ret_answer))
		return 0;
	if (topic != NULL && !fits(topic, command, ret_answer))
		return 0;
	if (command->publish.allocation != 0) {
		allocation = allocation_find(machine, command->publish.allocation);
		if (allocation == NULL) {
			*ret_answer = answer_error(ERR_NOT_FOUND, "there is no allocation %" PRIu64 " that has not ended",
			                           command->publish.allocation);
			return 0;
		}
	}
	if (topic == NULL)
		code = topic_open(machine, command, &topic);
	if (code == 0)
		code = publication_add(machine, topic, command, allocation != NULL ? allocation->job->id : 0);
	ret_answer->number = machine->applied_index;
	return code == 0 ? topic_changed(machine, topic) : code;
}

int publication_remove(struct machine *machine, struct publication *publication)
{
	struct topic *topic = publication->topic;
	int code = catalog_publication_delete(machine->catalog, publication->id);
	HASH_DELETE(hh, machine->publications, publication);
	TAILQ_REMOVE(&topic->publications, publication, in_topic);
	TAILQ_REMOVE(&publication->owner->publications, publication, in_owner);
	if (topic->parts != NULL)
		topic->parts[publication->part] = NULL;
	topic->publication_count--;
	publication->owner->count--;
	owner_let_go(machine, publication->owner);
	text_release(publication->address);
	mem_free(publication);
	if (code == 0)
		code = topic_changed(machine, topic);
	if (code != 0 || topic->publication_count != 0)
		return code;
	code = catalog_topic_delete(machine->catalog, topic->id);
	HASH_DELETE(hh, machine->topics, topic);
	topic_end(machine, topic);
	return code;
}

static int apply_unpublish(struct machine *machine, const struct command *command, struct answer *ret_answer)
{
	uint64_t id = command->unpublish.publication;
	struct publication *publication;
	HASH_FIND(hh, machine->publications, &id, sizeof id, publication);
	if (publication == NULL || publication->owner->ended) {
		*ret_answer = answer_error(ERR_NOT_FOUND, "there is no publication %" PRIu64, id);
		return 0;
	}
	if (publication->owner->session != command->session) {
		*ret_answer = answer_error(ERR_DENIED, "publication %" PRIu64 " of topic \"%s\" is of session %" PRIu64
		                           ", which alone may end it",
		                           id, publication->topic->name->data, publication->owner->session);
		return 0;
	}
	int code = publication_remove(machine, publication);
	return code == 0 ? owned_sweep(machine) : code;
}

/* --- subscribing --------------------------------------------------------------------------------------------------- */

static struct answer answer_absent(const struct topic *topic, const struct command *command)
{
	struct slice name = command->subscribe.topic;
	if (topic == NULL)
		return answer_error(ERR_NOT_FOUND, "there is no topic \"%.*s\"", SLICE_ARGS(name));
	if (topic->partitions == 0)
		return answer_error(ERR_NOT_FOUND, "topic \"%.*s\" is not divided, and has no part %u", SLICE_ARGS(name),
		                    command->subscribe.part);
	return answer_error(ERR_NOT_FOUND, "nobody publishes part %u of topic \"%.*s\", which has %u partitions",
	                    command->subscribe.part, SLICE_ARGS(name), topic->partitions);
}

static int apply_subscribe(struct machine *machine, const struct command *command, struct answer *ret_answer)
{
	struct topic *topic = topic_find(machine, command->subscribe.topic);
	if (!may_own(machine, command->session, ret_answer))
		return 0;
	if (topic == NULL || !topic_has(topic, command->subscribe.all, command->subscribe.part)) {
		*ret_answer = answer_absent(topic, command);
		return 0;
	}
	if (command->subscribe.kind != TOPIC_ANY && command->subscribe.kind != topic->kind) {
		*ret_answer = answer_kind(topic, command->subscribe.kind);
		return 0;
	}
	if (command->subscribe.schema.size != 0 && !slice_equal(command->subscribe.schema, text_slice(topic->schema))) {
		*ret_answer = answer_schema(topic, command->subscribe.schema);
		return 0;
	}
	struct subscription *subscription = mem_zero(sizeof *subscription);
	subscription->id = machine->applied_index;
	subscription->all = command->subscribe.all;
	subscription->part = command->subscribe.part;
	subscription->owner = owner_get(machine, command->session);
	subscription->owner->count++;
	TAILQ_INSERT_TAIL(&subscription->owner->subscriptions, subscription, in_owner);
	topic_add_subscription(topic, subscription);
	HASH_ADD(hh, machine->subscriptions, id, sizeof subscription->id, subscription);
	struct catalog_subscription row = {
		.id = subscription->id,
		.topic = topic->id,
		.all = subscription->all,
		.part = subscription->part,
		.session = command->session,
		.subscribed_ms = machine->now,
	};
	ret_answer->number = subscription->id;
	return catalog_subscription_put(machine->catalog, &row);
}

int subscription_remove(struct machine *machine, struct subscription *subscription)
{
	struct topic *topic = subscription->topic;
	int code = catalog_subscription_delete(machine->catalog, subscription->id);
	HASH_DELETE(hh, machine->subscriptions, subscription);
	TAILQ_REMOVE(&topic->subscriptions, subscription, in_topic);
	TAILQ_REMOVE(&subscription->owner->subscriptions, subscription, in_owner);
	subscription->owner->count--;
	owner_let_go(machine, subscription->owner);
	mem_free(subscription);
	if (topic->ended && TAILQ_EMPTY(&topic->subscriptions)) {
		heap_remove(&machine->ended_topics, topic->place);
		topic_destroy(topic);
	}
	return code;
}

static int apply_unsubscribe(struct machine *machine, const struct command *command, struct answer *ret_answer)
{
	uint64_t id = command->unsubscribe.subscription;
	struct subscription *subscription;
	HASH_FIND(hh, machine->subscriptions, &id, sizeof id, subscription);
	if (subscription == NULL || subscription->topic->ended || subscription->owner->ended) {
		*ret_answer = answer_error(ERR_NOT_FOUND, "there is no subscription %" PRIu64, id);
		return 0;
	}
	if (subscription->owner->session != command->session) {
		*ret_answer = answer_error(ERR_DENIED, "subscription %" PRIu64 " is of session %" PRIu64
		                           ", which alone may end it",
		                           id, subscription->owner->session);
		return 0;
	}
	return subscription_remove(machine, subscription);
}

int apply_topics(struct machine *machine, const struct command *command, struct answer *ret_answer)
{
	switch (command->kind) {
	case COMMAND_PUBLISH:
		return apply_publish(machine, command, ret_answer);
	case COMMAND_UNPUBLISH:
		return apply_unpublish(machine, command, ret_answer);
	case COMMAND_SUBSCRIBE:
		return apply_subscribe(machine, command, ret_answer);
	case COMMAND_UNSUBSCRIBE:
		return apply_unsubscribe(machine, command, ret_answer);
	default:
		assert(command->kind == COMMAND_SWEEP);
		return owned_sweep(machine);
	}
}
