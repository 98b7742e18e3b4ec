#include "client/subscriber.h"

#include "base/memory.h"
#include "client/door.h"

#include <string.h>

/* --- telling ------------------------------------------------------------------------------------------------------- */

static void subscriber_free(struct clusterd_subscriber *subscriber)
{
	finder_destroy(subscriber->finder);
	for (size_t i = 0; i < subscriber->intake_count; i++)
		intake_finish(&subscriber->intakes[i]);
	mem_free(subscriber->intakes);
	secret_destroy(subscriber->secret);
	mem_free((char *)(uintptr_t)subscriber->options.topic);
	mem_free((char *)(uintptr_t)subscriber->options.schema);
	mem_free(subscriber);
}

void subscriber_hold(struct clusterd_subscriber *subscriber)
{
	subscriber->uses++;
}

void subscriber_release(struct clusterd_subscriber *subscriber)
{
	if (--subscriber->uses == 0 && subscriber->destroyed)
		subscriber_free(subscriber);
}

void subscriber_tell(struct clusterd_subscriber *subscriber, struct clusterd_subscriber_news news)
{
	if (subscriber->options.told != NULL && !subscriber->destroyed && !subscriber->failed)
		subscriber->options.told(subscriber->options.context, &news);
}

void subscriber_fail(struct clusterd_subscriber *subscriber, const struct error *error)
{
	struct clusterd_error public;
	client_say(&public, error);
	subscriber_tell(subscriber,
	                (struct clusterd_subscriber_news){.event = CLUSTERD_SUBSCRIBER_FAILED, .error = &public});
	subscriber->failed = true;
}

void subscriber_look_at_frontier(struct clusterd_subscriber *subscriber, bool back)
{
	uint64_t frontier = CLUSTERD_TIME_END;
	for (size_t i = 0; i < subscriber->intake_count; i++) {
		const struct intake *intake = &subscriber->intakes[i];
		uint64_t at = intake->started ? intake->epochs.from : 0;
		frontier = at < frontier ? at : frontier;
	}
	bool moved = frontier > subscriber->frontier;
	if (moved || back)
		subscriber->frontier = frontier;
	if (moved)
		subscriber_tell(subscriber, (struct clusterd_subscriber_news){.event = CLUSTERD_SUBSCRIBER_FRONTIER,
		                                                              .from = frontier});
}

/* --- parts --------------------------------------------------------------------------------------------------------- */

static bool found(void *context, const struct clusterd_topic *topic, uint32_t part)
{
	struct clusterd_subscriber *subscriber = context;
	bool whole = topic->partitions != 0 && strcmp(topic->name, subscriber->options.topic) == 0;
	subscriber->intake_count = whole ? topic->partitions : 1;
	subscriber->intakes = mem_array(subscriber->intake_count, sizeof *subscriber->intakes);
	for (uint32_t i = 0; i < subscriber->intake_count; i++) {
		char *name = whole ? mem_format("%s.%u", topic->name, i) : mem_string(subscriber->options.topic);
		intake_init(&subscriber->intakes[i], subscriber, name, whole ? i : part);
		mem_free(name);
	}
	return true;
}

static bool placed(void *context, uint32_t part, const char *address)
{
	struct clusterd_subscriber *subscriber = context;
	for (size_t i = 0; i < subscriber->intake_count; i++) {
		if (subscriber->intakes[i].part == part)
			intake_place(&subscriber->intakes[i], address);
	}
	return true;
}

static void not_found(void *context, const struct error *error)
{
	struct clusterd_subscriber *subscriber = context;
	subscriber_hold(subscriber);
	subscriber_fail(subscriber, error);
	subscriber_release(subscriber);
}

static const struct finder_handler finder_handler = {found, placed, not_found};

static void find(struct clusterd_subscriber *subscriber)
{
	const struct clusterd_subscriber_options *options = &subscriber->options;
	struct finder_options wanted = {
		.topic = options->topic,
		.kind = options->keeper       ? CLUSTERD_TOPIC_KEEPER
	                : options->collection ? CLUSTERD_TOPIC_COLLECTION
	                                      : CLUSTERD_TOPIC_STREAM,
		.schema = options->schema,
		.wait = options->wait,
	};
	subscriber->finder = finder_create(subscriber->client, &wanted, &finder_handler, subscriber);
}

void subscriber_look_around(struct clusterd_subscriber *subscriber)
{
	if (subscriber->finder != NULL)
		finder_turn(subscriber->finder);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

static int check(const struct clusterd_subscriber_options *options, struct error *error)
{
	if (options->topic == NULL || options->topic[0] == '\0' || options->came == NULL)
		return error_set(error, ERR_INVALID, "a subscriber has a topic, and a function for what comes");
	if (strlen(options->topic) > GREETING_TOPIC_MAX)
		return error_set(error, ERR_LIMIT, "the name of a topic has up to %d bytes, not %zu",
		                 GREETING_TOPIC_MAX, strlen(options->topic));
	if (options->wanted < CLUSTERD_STATE_AND_CHANGES || options->wanted > CLUSTERD_CHANGES)
		return error_set(error, ERR_INVALID, "there is nothing %d to be wanted of a collection",
		                 options->wanted);
	return options->address != NULL ? address_check(options->address, error) : 0;
}

int clusterd_subscriber_create(struct clusterd_client *client, const struct clusterd_subscriber_options *options,
                               struct clusterd_subscriber **ret_subscriber, struct clusterd_error *error)
{
	struct clusterd_subscriber_options known = CLUSTERD_SUBSCRIBER_OPTIONS;
	struct secret *secret = NULL;
	struct error failure = {0};
	memcpy(&known, options, options->size < sizeof known ? options->size : sizeof known);
	if (check(&known, &failure) != 0 || door_secret(client->base.token, &secret, &failure) != 0)
		return client_say(error, &failure);
	struct clusterd_subscriber *subscriber = mem_zero(sizeof *subscriber);
	subscriber->client = client;
	subscriber->secret = secret;
	subscriber->options = known;
	subscriber->options.topic = mem_string(known.topic);
	subscriber->options.schema = mem_string(known.schema);
	subscriber->options.address = NULL;
	subscriber->options.collection = known.collection || known.keeper;
	if (known.held_max == 0)
		subscriber->options.held_max = SUBSCRIBER_HELD_DEFAULT;
	client_look_at_clock(client);
	client->users++;
	if (known.address != NULL) {
		struct clusterd_topic alone = {.name = subscriber->options.topic};
		found(subscriber, &alone, 0);
		placed(subscriber, 0, known.address);
	} else {
		find(subscriber);
	}
	*ret_subscriber = subscriber;
	return 0;
}

void clusterd_subscriber_destroy(struct clusterd_subscriber *subscriber)
{
	if (subscriber == NULL)
		return;
	subscriber->client->users--;
	subscriber->destroyed = true;
	subscriber_hold(subscriber);
	subscriber_release(subscriber);
}

void clusterd_subscriber_pause(struct clusterd_subscriber *subscriber, bool pause)
{
	if (subscriber->paused == pause)
		return;
	subscriber->paused = pause;
	client_look_at_clock(subscriber->client);
	for (size_t i = 0; i < subscriber->intake_count; i++)
		intake_pause(&subscriber->intakes[i], pause);
}

uint64_t clusterd_subscriber_frontier(const struct clusterd_subscriber *subscriber)
{
	return subscriber->frontier;
}
