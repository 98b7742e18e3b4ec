#include "daemon/request.h"

#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "coordinator/topic_schema.h"
#include "coordinator/topics.h"

#include <inttypes.h>

/* Topics: what of them is asked for. Who waits for a topic, or watches one, has changed nothing anywhere: it only waits here. */

#define CATALOG_TOPIC "$catalog"
#define CATALOG_SCHEMA "catalog"

/* --- what may be written ------------------------------------------------------------------------------------------- */

static bool text_fits(const struct request *request, const char *what, const char *text, size_t size_max)
{
	size_t size = strlen(text);
	if (size > size_max)
		request_refuse(request, ERR_LIMIT, "%s may have %zu bytes, not %zu", what, size_max, size);
	else if (!utf8_is_text(slice_of(text)))
		request_refuse(request, ERR_INVALID, "%s is not UTF-8", what);
	else
		return true;
	return false;
}

static bool kind_fits(const struct request *request, Clusterd__Wire__TopicKind kind, bool any)
{
	if ((int)kind < (any ? 0 : 1) || (int)kind >= TOPIC_KIND_END) {
		request_refuse(request, ERR_INVALID, "there is no kind of topics %d", (int)kind);
		return false;
	}
	return true;
}

static bool name_fits(const struct request *request, const char *name)
{
	if (!text_fits(request, "a topic's name", name, TOPIC_NAME_MAX))
		return false;
	if (topic_is_name(slice_of(name)))
		return true;
	request_refuse(request, ERR_INVALID,
	               "\"%s\" cannot be a topic's name: it is not empty, has no blanks, begins without \"$\", and does not end "
	               "in a dot and digits, which name a part",
	               name);
	return false;
}

static bool address_fits(const struct request *request, const char *address)
{
	const char *colon = strrchr(address, ':');
	long long port = 0;
	if (!text_fits(request, "an address", address, TOPIC_ADDRESS_MAX))
		return false;
	if (colon != NULL && colon != address && json_integer(slice_of(colon + 1), 1, 65535, &port) == 0)
		return true;
	request_refuse(request, ERR_INVALID, "\"%s\" is not HOST:PORT", address);
	return false;
}

/* Schemas are kept, and compared, in one form. */
static bool schema_fits(const struct request *request, const char *text, struct buffer *out)
{
	if (!text_fits(request, "a schema", text, TOPIC_SCHEMA_MAX))
		return false;
	topic_schema(slice_of(text), out);
	if (out->size <= TOPIC_SCHEMA_MAX)
		return true;
	request_refuse(request, ERR_LIMIT, "a schema may have %d bytes, not %zu", TOPIC_SCHEMA_MAX, out->size);
	return false;
}

static bool parts_fit(const struct request *request)
{
	const Clusterd__Wire__Publish *body = request->message->publish;
	bool keeper = body->kind == CLUSTERD__WIRE__TOPIC_KIND__TOPIC_KEEPER;
	if (body->partitions > (keeper ? 0 : TOPIC_PARTS_MAX))
		request_refuse(request, ERR_LIMIT, "a %s may have %d partitions, not %u", keeper ? "keeper" : "topic",
		               keeper ? 0 : TOPIC_PARTS_MAX, body->partitions);
	else if (body->part != 0 && body->part >= body->partitions)
		request_refuse(request, ERR_INVALID, "of %u partitions there is no part %u", body->partitions, body->part);
	else
		return true;
	return false;
}

static void request_publish(const struct request *request)
{
	const Clusterd__Wire__Publish *body = request->message->publish;
	struct command command = {.kind = COMMAND_PUBLISH};
	struct buffer schema = BUFFER_EMPTY;
	if (name_fits(request, body->topic) && kind_fits(request, body->kind, false) && parts_fit(request) &&
	    address_fits(request, body->address) && schema_fits(request, body->schema, &schema)) {
		command.publish.topic = slice_of(body->topic);
		command.publish.kind = (enum topic_kind)body->kind;
		command.publish.schema = buffer_slice(&schema);
		command.publish.partitions = body->partitions;
		command.publish.part = body->part;
		command.publish.address = slice_of(body->address);
		command.publish.allocation = body->allocation;
		request_propose(request, &command, ANSWER_PUBLISHED);
	}
	buffer_finish(&schema);
}

static void request_subscribe(const struct request *request)
{
	const Clusterd__Wire__Subscribe *body = request->message->subscribe;
	struct command command = {.kind = COMMAND_SUBSCRIBE};
	struct buffer schema = BUFFER_EMPTY;
	if (text_fits(request, "a topic's name", body->topic, TOPIC_NAME_MAX) && kind_fits(request, body->kind, true) &&
	    schema_fits(request, body->schema, &schema)) {
		topic_split(slice_of(body->topic), &command.subscribe.topic, &command.subscribe.all, &command.subscribe.part);
		command.subscribe.kind = (enum topic_kind)body->kind;
		command.subscribe.schema = buffer_slice(&schema);
		request_propose(request, &command, ANSWER_SUBSCRIBED);
	}
	buffer_finish(&schema);
}

/* --- a topic as a message ------------------------------------------------------------------------------------------ */

struct topic_message {
	Clusterd__Wire__TopicState state;
	Clusterd__Wire__Publication *publications;
	Clusterd__Wire__Publication **list;
	char *name;
};

static void add_publication(struct topic_message *message, const struct publication *from)
{
	Clusterd__Wire__Publication *to = &message->publications[message->state.n_publications];
	clusterd__wire__publication__init(to);
	to->id = from->id;
	to->part = from->part;
	to->address = from->address->data;
	to->session = from->owner->session;
	to->job = from->job;
	to->allocation = from->allocation;
	message->list[message->state.n_publications++] = to;
}

/* So that each in its turn comes first. */
static void turn(Clusterd__Wire__Publication **list, size_t count, uint32_t by)
{
	Clusterd__Wire__Publication **turned = mem_array(count, sizeof(Clusterd__Wire__Publication *));
	for (size_t i = 0; i < count; i++)
		turned[i] = list[(i + by) % count];
	memcpy(list, turned, count * sizeof(Clusterd__Wire__Publication *));
	mem_free(turned);
}

/* `topic` NULL: there is none of this name. `use`: a keeper's next worker comes first. */
static void topic_message_init(struct topic_message *message, struct node *node, struct slice name, const struct topic *topic,
                               bool all, uint32_t part, bool use)
{
	const struct publication *publication;
	*message = (struct topic_message){.name = mem_format("%.*s", SLICE_ARGS(name))};
	clusterd__wire__topic_state__init(&message->state);
	message->state.name = message->name;
	message->state.index = machine_applied_index(node->machine);
	if (topic == NULL)
		return;
	message->publications = mem_array(topic->publication_count, sizeof *message->publications);
	message->list = mem_array(topic->publication_count, sizeof *message->list);
	message->state.id = topic->id;
	message->state.version = topic->version;
	message->state.kind = (Clusterd__Wire__TopicKind)topic->kind;
	message->state.schema = topic->schema->data;
	message->state.partitions = topic->partitions;
	message->state.publications = message->list;
	if (topic->parts == NULL) {
		TAILQ_FOREACH(publication, &topic->publications, in_topic)
			add_publication(message, publication);
	}
	for (uint32_t i = 0; topic->parts != NULL && i < topic->partitions; i++) {
		if (topic->parts[i] != NULL && (all || i == part))
			add_publication(message, topic->parts[i]);
	}
	if (use && topic->kind == TOPIC_KEEPER)
		turn(message->list, message->state.n_publications,
		     machine_topic_turn(node->machine, topic) % topic->publication_count);
}

static void topic_message_finish(struct topic_message *message)
{
	mem_free(message->publications);
	mem_free(message->list);
	mem_free(message->name);
}

static void respond_topic(struct node *node, uint64_t connection, uint32_t stream, struct topic_message *message)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_TOPIC;
	response.topic = &message->state;
	node_respond(node, connection, stream, &response, SLICE(""));
	topic_message_finish(message);
}

/* Every node has the catalog, so what is answered is this one. */
static void catalog_message_init(struct topic_message *message, struct node *node)
{
	*message = (struct topic_message){0};
	clusterd__wire__topic_state__init(&message->state);
	message->publications = mem_array(1, sizeof *message->publications);
	message->list = mem_array(1, sizeof *message->list);
	message->list[0] = message->publications;
	clusterd__wire__publication__init(message->publications);
	message->publications->address = node->address;
	message->state.name = (char *)(uintptr_t)CATALOG_TOPIC;
	message->state.kind = CLUSTERD__WIRE__TOPIC_KIND__TOPIC_SERVICE;
	message->state.schema = (char *)(uintptr_t)CATALOG_SCHEMA;
	message->state.n_publications = 1;
	message->state.publications = message->list;
	message->state.index = machine_applied_index(node->machine);
}

bool request_catalog_topic(const struct request *request)
{
	struct topic_message message;
	if (request->message->body_case == CLUSTERD__WIRE__REQUEST__BODY_LOOKUP_TOPIC &&
	    strcmp(request->message->lookup_topic->topic, CATALOG_TOPIC) == 0) {
		catalog_message_init(&message, request->node);
		respond_topic(request->node, request->connection, request->stream, &message);
		return true;
	}
	if (request->message->body_case == CLUSTERD__WIRE__REQUEST__BODY_SUBSCRIBE &&
	    strcmp(request->message->subscribe->topic, CATALOG_TOPIC) == 0) {
		Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
		Clusterd__Wire__Subscribed body = CLUSTERD__WIRE__SUBSCRIBED__INIT;
		catalog_message_init(&message, request->node);
		body.topic = &message.state;
		response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_SUBSCRIBED;
		response.subscribed = &body;
		node_respond(request->node, request->connection, request->stream, &response, SLICE(""));
		topic_message_finish(&message);
		return true;
	}
	return false;
}

/* --- looking up, watching ------------------------------------------------------------------------------------------ */

/* FNV-1a. Two that collide only wake one another. */
static uint64_t hash_of(struct slice text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < text.size; i++)
		hash = (hash ^ (unsigned char)text.data[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static void wait_for(struct node *node, struct waiter *take_waiter)
{
	waiters_add(node->waiters, take_waiter);
	take_waiter->text = NULL;
}

static void go_on_watch(struct node *node, struct waiter *waiter, bool late)
{
	struct slice name = text_slice(waiter->text);
	const struct topic *topic = machine_topic(node->machine, name);
	struct topic_message message;
	if ((topic != NULL ? topic->version : 0) == waiter->more && !late) {
		wait_for(node, waiter);
		return;
	}
	topic_message_init(&message, node, name, topic, true, 0, false);
	respond_topic(node, waiter->connection, waiter->stream, &message);
}

static void go_on_lookup(struct node *node, struct waiter *waiter, bool late)
{
	struct slice name;
	bool all;
	uint32_t part;
	struct topic_message message;
	topic_split(text_slice(waiter->text), &name, &all, &part);
	const struct topic *topic = machine_topic(node->machine, name);
	if (topic == NULL || !topic_has(topic, all, part)) {
		struct error error;
		if (!late) {
			wait_for(node, waiter);
			return;
		}
		error_set(&error, ERR_TIMEOUT, "nobody has published topic \"%s\" in time", waiter->text->data);
		respond_error(node, waiter->connection, waiter->stream, error.code, slice_of(error.text));
		return;
	}
	topic_message_init(&message, node, name, topic, all, part, true);
	respond_topic(node, waiter->connection, waiter->stream, &message);
}

void topics_go_on(struct node *node, struct waiter *take_waiter, bool late)
{
	if (take_waiter->kind == WAIT_TOPIC)
		go_on_watch(node, take_waiter, late);
	else
		go_on_lookup(node, take_waiter, late);
	text_release(take_waiter->text);
}

static void begin(const struct request *request, enum wait_kind kind, const char *text, struct slice topic, uint64_t version)
{
	struct node *node = request->node;
	struct waiter waiter = {
		.kind = kind,
		.first = hash_of(topic),
		.second = topic.size,
		.connection = request->connection,
		.stream = request->stream,
		.more = version,
		.text = text_create(slice_of(text)),
		.until = MSEC_NEVER,
	};
	if (request->message->timeout_ms != 0)
		waiter.until = node->host->now(node->context) + request->message->timeout_ms;
	topics_go_on(node, &waiter, false);
}

static void request_lookup(const struct request *request)
{
	const Clusterd__Wire__LookupTopic *body = request->message->lookup_topic;
	struct slice name;
	bool all;
	uint32_t part;
	if (!text_fits(request, "a topic's name", body->topic, TOPIC_NAME_MAX))
		return;
	topic_split(slice_of(body->topic), &name, &all, &part);
	const struct topic *topic = machine_topic(request->node->machine, name);
	if (body->wait || (topic != NULL && topic_has(topic, all, part)))
		begin(request, WAIT_LOOKUP, body->topic, name, 0);
	else if (topic == NULL)
		request_refuse(request, ERR_NOT_FOUND, "there is no topic \"%.*s\"", SLICE_ARGS(name));
	else
		request_refuse(request, ERR_NOT_FOUND, "nobody publishes part %u of topic \"%.*s\"", part, SLICE_ARGS(name));
}

static void request_watch(const struct request *request)
{
	const Clusterd__Wire__WatchTopic *body = request->message->watch_topic;
	if (text_fits(request, "a topic's name", body->topic, TOPIC_NAME_MAX))
		begin(request, WAIT_TOPIC, body->topic, slice_of(body->topic), body->version);
}

void topics_changed(struct node *node, const struct effect *effect)
{
	struct slice name = text_slice(effect->key);
	struct waiter waiter;
	uint64_t hash = hash_of(name);
	while (waiters_take(node->waiters, WAIT_TOPIC, hash, name.size, &waiter) ||
	       waiters_take(node->waiters, WAIT_LOOKUP, hash, name.size, &waiter)) {
		mem_grow(node->woken, node->woken_capacity, node->woken_count + 1);
		node->woken[node->woken_count++] = waiter;
	}
}

void topics_sweep(struct node *node)
{
	if (node->leader && node->ready && machine_owned_left(node->machine))
		node_propose(node, &(struct command){.kind = COMMAND_SWEEP}, true);
}

/* --- the door ------------------------------------------------------------------------------------------------------ */

enum answer_form request_topics_form(const Clusterd__Wire__Request *message)
{
	switch (message->body_case) {
	case CLUSTERD__WIRE__REQUEST__BODY_PUBLISH:
		return ANSWER_PUBLISHED;
	case CLUSTERD__WIRE__REQUEST__BODY_SUBSCRIBE:
		return ANSWER_SUBSCRIBED;
	default:
		return ANSWER_PLAIN;
	}
}

bool request_topics_change(const struct request *request)
{
	struct command command = {0};
	switch (request->message->body_case) {
	case CLUSTERD__WIRE__REQUEST__BODY_PUBLISH:
		request_publish(request);
		return true;
	case CLUSTERD__WIRE__REQUEST__BODY_SUBSCRIBE:
		request_subscribe(request);
		return true;
	case CLUSTERD__WIRE__REQUEST__BODY_UNPUBLISH:
		command.kind = COMMAND_UNPUBLISH;
		command.unpublish.publication = request->message->unpublish->publication;
		request_propose(request, &command, ANSWER_PLAIN);
		return true;
	case CLUSTERD__WIRE__REQUEST__BODY_UNSUBSCRIBE:
		command.kind = COMMAND_UNSUBSCRIBE;
		command.unsubscribe.subscription = request->message->unsubscribe->subscription;
		request_propose(request, &command, ANSWER_PLAIN);
		return true;
	default:
		return false;
	}
}

bool request_topics_read(const struct request *request)
{
	switch (request->message->body_case) {
	case CLUSTERD__WIRE__REQUEST__BODY_LOOKUP_TOPIC:
		request_lookup(request);
		return true;
	case CLUSTERD__WIRE__REQUEST__BODY_WATCH_TOPIC:
		request_watch(request);
		return true;
	default:
		return false;
	}
}

/* The topic as it is by now: it may be gone already. */
static void respond_subscribed(struct node *node, const struct waiter *waiter, uint64_t id)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Subscribed body = CLUSTERD__WIRE__SUBSCRIBED__INIT;
	const struct subscription *subscription = machine_subscription(node->machine, id);
	struct topic_message message = {0};
	body.subscription = id;
	if (subscription != NULL && !subscription->topic->ended) {
		const struct topic *topic = subscription->topic;
		topic_message_init(&message, node, text_slice(topic->name), topic, subscription->all, subscription->part, true);
		body.topic = &message.state;
	}
	response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_SUBSCRIBED;
	response.subscribed = &body;
	node_respond(node, waiter->connection, waiter->stream, &response, SLICE(""));
	topic_message_finish(&message);
}

void respond_topics_answer(struct node *node, const struct waiter *waiter, const struct answer *answer)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Published body = CLUSTERD__WIRE__PUBLISHED__INIT;
	if (waiter->more == ANSWER_SUBSCRIBED) {
		respond_subscribed(node, waiter, answer->number);
		return;
	}
	body.publication = answer->number;
	response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_PUBLISHED;
	response.published = &body;
	node_respond(node, waiter->connection, waiter->stream, &response, SLICE(""));
}
