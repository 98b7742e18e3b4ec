#include "client/finder.h"

#include "base/memory.h"

#include <string.h>

#define RETRY_MS 200

struct finder {
	struct clusterd_client *client;
	char *topic;
	char *whole; /* without a part */
	char *schema;
	uint32_t part;
	bool is_part;
	int kind;
	bool wait;
	bool found;
	uint64_t subscribed; /* the topic's id; 0: not now */
	uint32_t partitions;
	struct clusterd_session *session;
	struct clusterd_request *request;
	struct clusterd_topic_watch *watch;
	struct timer timer;
	const struct finder_handler *handler;
	void *context;
};

static void fail(struct finder *finder, int code, const char *text)
{
	struct error why = {0};
	error_set(&why, code, "%s", text);
	finder->handler->failed(finder->context, &why);
}

static void try_later(struct finder *finder)
{
	struct link_base *base = &finder->client->base;
	if (finder->request == NULL)
		timers_set(&base->timers, &finder->timer, base->now + RETRY_MS);
}

/* --- where its parts are ------------------------------------------------------------------------------------------- */

/* false: the finder may be gone. */
static bool place(struct finder *finder, const struct clusterd_reply *reply, const struct clusterd_topic *topic)
{
	if (!finder->found) {
		finder->found = true;
		finder->partitions = topic->partitions;
		if (!finder->handler->found(finder->context, topic, finder->part))
			return false;
	} else if (topic->partitions != finder->partitions) {
		fail(finder, ERR_CONFLICT, "the topic is divided into another number of parts than before");
		return false;
	}
	for (size_t i = 0; i < topic->publication_count; i++) {
		struct clusterd_publication publication;
		clusterd_reply_publication(reply, i, &publication);
		if (finder->is_part && publication.part != finder->part)
			continue;
		if (!finder->handler->placed(finder->context, publication.part, publication.address))
			return false;
		if (finder->kind == CLUSTERD_TOPIC_KEEPER)
			break; /* the first one is to be used */
	}
	return true;
}

static void topic_changed(void *context, struct clusterd_reply *reply, const struct clusterd_error *error)
{
	struct finder *finder = context;
	struct clusterd_topic topic;
	if (error != NULL) {
		fail(finder, error->code, error->text);
		return;
	}
	if (!clusterd_reply_topic(reply, &topic))
		return;
	if (topic.id != 0 && topic.id == finder->subscribed) {
		place(finder, reply, &topic);
		return;
	}
	finder->subscribed = 0; /* the subscription went with the topic */
	if (topic.id != 0)
		try_later(finder);
}

/* --- subscribing --------------------------------------------------------------------------------------------------- */

static bool is_for_now(const struct finder *finder, int code)
{
	return code == CLUSTERD_ERR_EXPIRED || (code == CLUSTERD_ERR_NOT_FOUND && (finder->wait || finder->found));
}

static void subscribed(void *context, struct clusterd_reply *reply, const struct clusterd_error *error)
{
	struct finder *finder = context;
	struct clusterd_topic topic = {0};
	finder->request = NULL;
	if (error != NULL && is_for_now(finder, error->code)) {
		/* While it is watched, that tells when it is there again. */
		if (finder->watch == NULL || error->code == CLUSTERD_ERR_EXPIRED)
			try_later(finder);
		return;
	}
	if (error != NULL || !clusterd_reply_topic(reply, &topic)) {
		fail(finder, error != NULL ? error->code : ERR_INVALID,
		     error != NULL ? error->text : "an answer without a topic");
		return;
	}
	finder->subscribed = topic.id;
	if (!place(finder, reply, &topic))
		return;
	if (finder->watch == NULL)
		finder->watch = clusterd_topic_watch_create(finder->client, finder->whole, topic_changed, finder);
}

static void session_changed(void *context, uint64_t id, const struct clusterd_error *error)
{
	struct finder *finder = context;
	if (id != 0)
		return;
	clusterd_request_cancel(finder->request);
	finder->request = NULL;
	clusterd_session_destroy(finder->session);
	finder->session = NULL;
	finder->subscribed = 0;
	if (error->code == CLUSTERD_ERR_EXPIRED)
		try_later(finder);
	else
		fail(finder, error->code, error->text);
}

static void subscribe(struct finder *finder)
{
	if (finder->session == NULL)
		finder->session = clusterd_session_create(finder->client, 0, session_changed, finder);
	finder->request = clusterd_topic_subscribe_begin(finder->session, finder->topic, finder->kind, finder->schema,
	                                                 CLUSTERD_NO_TIMEOUT, subscribed, finder);
}

/* --- looking up ---------------------------------------------------------------------------------------------------- */

/* Which worker of a keeper: each answer has another one first. Nobody subscribes to keepers, since that would be to all of them. */
static void use_worker(struct finder *finder, const struct clusterd_reply *reply)
{
	struct clusterd_topic topic = {0};
	if (!clusterd_reply_topic(reply, &topic) || topic.kind != CLUSTERD_TOPIC_KEEPER)
		fail(finder, ERR_CONFLICT, "the topic is no keeper");
	else if (finder->schema != NULL && strcmp(finder->schema, topic.schema) != 0)
		fail(finder, ERR_TYPE, "the keeper has another schema");
	else
		place(finder, reply, &topic);
}

static void looked_up(void *context, struct clusterd_reply *reply, const struct clusterd_error *error)
{
	struct finder *finder = context;
	bool waits = finder->wait || finder->found;
	finder->request = NULL;
	if (error != NULL && error->code != CLUSTERD_ERR_TIMEOUT && (error->code != CLUSTERD_ERR_NOT_FOUND || !waits))
		fail(finder, error->code, error->text);
	else if (error != NULL)
		try_later(finder);
	else if (finder->kind == CLUSTERD_TOPIC_KEEPER)
		use_worker(finder, reply);
	else
		subscribe(finder);
}

static void time_has_come(void *context)
{
	struct finder *finder = context;
	if (finder->request != NULL)
		return;
	if (finder->kind == CLUSTERD_TOPIC_KEEPER || (finder->wait && !finder->found))
		finder->request = clusterd_topic_lookup_begin(finder->client, finder->topic,
		                                              finder->wait || finder->found, CLUSTERD_NO_TIMEOUT,
		                                              looked_up, finder);
	else
		subscribe(finder);
}

void finder_turn(struct finder *finder)
{
	if (finder->kind == CLUSTERD_TOPIC_KEEPER)
		try_later(finder);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

/* "t.3" is part 3 of "t". */
static void split(struct finder *finder)
{
	const char *dot = strrchr(finder->topic, '.');
	uint32_t part = 0;
	size_t digits = dot != NULL ? strspn(dot + 1, "0123456789") : 0;
	finder->is_part = digits > 0 && digits < 6 && dot != finder->topic && dot[1 + digits] == '\0';
	finder->whole = finder->is_part ? mem_format("%.*s", (int)(dot - finder->topic), finder->topic)
	                                : mem_string(finder->topic);
	for (const char *at = dot; finder->is_part && *++at != '\0';)
		part = 10 * part + (uint32_t)(*at - '0');
	finder->part = part;
}

struct finder *finder_create(struct clusterd_client *client, const struct finder_options *options,
                             const struct finder_handler *handler, void *context)
{
	struct finder *finder = mem_zero(sizeof *finder);
	finder->client = client;
	finder->topic = mem_string(options->topic);
	finder->schema = mem_string(options->schema);
	finder->kind = options->kind;
	finder->wait = options->wait;
	finder->handler = handler;
	finder->context = context;
	finder->timer = (struct timer){.call = time_has_come, .context = finder};
	split(finder);
	timers_set(&client->base.timers, &finder->timer, client->base.now);
	return finder;
}

void finder_destroy(struct finder *finder)
{
	if (finder == NULL)
		return;
	timers_set(&finder->client->base.timers, &finder->timer, MSEC_NEVER);
	clusterd_request_cancel(finder->request);
	clusterd_topic_watch_destroy(finder->watch);
	clusterd_session_destroy(finder->session);
	mem_free(finder->topic);
	mem_free(finder->whole);
	mem_free(finder->schema);
	mem_free(finder);
}
