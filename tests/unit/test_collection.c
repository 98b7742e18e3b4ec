#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/clusterd_streams.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A collection and its subscribers in one thread, each with a client of its own, without a cluster. */

struct end {
	struct clusterd_client *client;
	struct clusterd_subscriber *subscriber;
	char text[4000]; /* changes, as they came */
	int64_t counts[256]; /* by the first byte of the item */
	uint64_t frontier;
	int resets;
	int states; /* items of states */
};

static struct clusterd_client *client;
static struct clusterd_collection *collection;
static struct clusterd_publisher_options options;
static struct clusterd_error error;
static struct end ends[2];

static struct clusterd_client *new_client(void)
{
	struct clusterd_client_options known = CLUSTERD_CLIENT_OPTIONS;
	struct clusterd_client *made;
	known.addresses = "127.0.0.1:1";
	assert_int_equal(clusterd_client_create(&known, &made, &error), 0);
	return made;
}

static int set_up(void **state)
{
	(void)state;
	memset(ends, 0, sizeof ends);
	options = (struct clusterd_publisher_options)CLUSTERD_PUBLISHER_OPTIONS;
	options.topic = "c";
	options.unlisted = true;
	client = new_client();
	return 0;
}

static void publish(void)
{
	assert_int_equal(clusterd_collection_create(client, &options, false, 1 << 20, &collection, &error), 0);
}

static int tear_down(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		clusterd_subscriber_destroy(ends[i].subscriber);
		clusterd_client_destroy(ends[i].client);
	}
	clusterd_collection_destroy(collection);
	clusterd_client_destroy(client);
	collection = NULL;
	return 0;
}

static void came(void *context, const struct clusterd_message *message)
{
	struct end *end = context;
	size_t length = strlen(end->text);
	end->counts[*(const unsigned char *)message->data] += message->count;
	end->states += message->state;
	if (!message->state && message->size < 20)
		snprintf(end->text + length, sizeof end->text - length, "%" PRIu64 ":%.*s%+" PRIi64 " ", message->time,
		         (int)message->size, (const char *)message->data, message->count);
}

static void told(void *context, const struct clusterd_subscriber_news *news)
{
	struct end *end = context;
	if (news->event == CLUSTERD_SUBSCRIBER_RESET) {
		end->resets++;
		end->states = 0;
		memset(end->counts, 0, sizeof end->counts);
	}
	if (news->event == CLUSTERD_SUBSCRIBER_FRONTIER)
		end->frontier = news->from;
}

static void subscribe(struct end *end, int wanted)
{
	struct clusterd_subscriber_options known = CLUSTERD_SUBSCRIBER_OPTIONS;
	known.topic = "c";
	known.address = clusterd_publisher_address(clusterd_collection_publisher(collection));
	known.collection = true;
	known.wanted = wanted;
	known.came = came;
	known.told = told;
	known.context = end;
	end->client = new_client();
	assert_int_equal(clusterd_subscriber_create(end->client, &known, &end->subscriber, &error), 0);
}

#define until(condition)                                                       \
	do {                                                                   \
		for (int turns = 0; !(condition); turns++) {                   \
			assert_true(turns < 100000);                           \
			clusterd_client_poll(client, 0);                       \
			for (int i = 0; i < 2; i++) {                          \
				if (ends[i].client != NULL)                    \
					clusterd_client_poll(ends[i].client, 0); \
			}                                                      \
			if (turns > 100)                                       \
				usleep(100);                                   \
		}                                                              \
	} while (0)

static void change(const char *item, int64_t count)
{
	assert_int_equal(clusterd_collection_change(collection, item, strlen(item), count, &error), 0);
}

static void commit(void)
{
	assert_int_equal(clusterd_collection_commit(collection, NULL, &error), 0);
}

static void who_comes_later_gets_the_whole_state_and_then_changes(void **state)
{
	(void)state;
	publish();
	change("a", 2);
	change("b", 1);
	commit();
	change("c", 1); /* not committed: not in the state */
	subscribe(&ends[0], CLUSTERD_STATE_AND_CHANGES);
	until(ends[0].frontier == 1);
	assert_true(ends[0].resets == 1 && ends[0].counts['a'] == 2 && ends[0].counts['b'] == 1 && ends[0].counts['c'] == 0);
	change("b", -1);
	change("a", 1);
	change("a", -1); /* which is nothing */
	commit();
	until(ends[0].frontier == 2);
	assert_string_equal(ends[0].text, "1:c+1 1:b-1 ");
	subscribe(&ends[1], CLUSTERD_STATE_AND_CHANGES);
	until(ends[1].frontier == 2);
	assert_true(ends[1].states == 2 && ends[1].counts['a'] == 2 && ends[1].counts['c'] == 1);
}

static void the_state_or_the_changes_can_be_had_alone(void **state)
{
	(void)state;
	publish();
	change("a", 1);
	commit();
	subscribe(&ends[0], CLUSTERD_STATE);
	subscribe(&ends[1], CLUSTERD_CHANGES);
	until(ends[0].frontier == CLUSTERD_TIME_END && ends[1].frontier == 1);
	change("b", 1);
	commit();
	until(ends[1].frontier == 2);
	assert_true(ends[0].states == 1 && strcmp(ends[0].text, "") == 0);
	assert_true(ends[1].states == 0 && ends[1].resets == 0 && strcmp(ends[1].text, "1:b+1 ") == 0);
}

static void an_empty_state_is_a_state(void **state)
{
	(void)state;
	publish();
	subscribe(&ends[0], CLUSTERD_STATE);
	until(ends[0].frontier == CLUSTERD_TIME_END);
	assert_true(ends[0].resets == 1 && ends[0].states == 0);
}

static void there_are_never_less_than_none_and_never_too_many(void **state)
{
	static char large[2 << 20];
	(void)state;
	publish();
	change("a", 1);
	assert_int_equal(clusterd_collection_change(collection, "a", 1, -2, &error), CLUSTERD_ERR_CONFLICT);
	assert_int_equal(clusterd_collection_change(collection, "b", 1, -1, &error), CLUSTERD_ERR_CONFLICT);
	assert_int_equal(clusterd_collection_change(collection, "a", 1, INT64_MAX, &error), CLUSTERD_ERR_CONFLICT);
	assert_int_equal(clusterd_collection_change(collection, large, sizeof large, 1, &error), CLUSTERD_ERR_LIMIT);
	assert_true(clusterd_collection_count(collection, "a", 1) == 1 && clusterd_collection_count(collection, "b", 1) == 0);
}

static void who_is_behind_gets_the_state_again(void **state)
{
	static char item[100000];
	(void)state;
	options.slow = CLUSTERD_SLOW_DROP;
	options.queue_size = 1 << 20;
	publish();
	subscribe(&ends[0], CLUSTERD_STATE_AND_CHANGES);
	until(ends[0].resets == 1);
	clusterd_subscriber_pause(ends[0].subscriber, true);
	for (int i = 0; i < 300; i++) { /* one goes, one comes */
		item[0] = (char)('A' + i % 26);
		assert_int_equal(clusterd_collection_change(collection, item, sizeof item, 1, &error), 0);
		if (i > 0) {
			item[0] = (char)('A' + (i - 1) % 26);
			assert_int_equal(clusterd_collection_change(collection, item, sizeof item, -1, &error), 0);
		}
		commit();
		clusterd_client_poll(client, 0);
	}
	clusterd_subscriber_pause(ends[0].subscriber, false);
	until(ends[0].frontier == 300);
	assert_true(ends[0].resets > 1);
	for (int i = 0; i < 26; i++)
		assert_int_equal(ends[0].counts['A' + i], i == 299 % 26);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(who_comes_later_gets_the_whole_state_and_then_changes),
		TEST(the_state_or_the_changes_can_be_had_alone),
		TEST(an_empty_state_is_a_state),
		TEST(there_are_never_less_than_none_and_never_too_many),
		TEST(who_is_behind_gets_the_state_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
