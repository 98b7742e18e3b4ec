#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/clusterd_streams.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A publisher and its subscribers in one thread, each with a client of its own, without a cluster. */

#define TURNS_MAX 200000

struct end {
	struct clusterd_client *client;
	struct clusterd_subscriber *subscriber;
	char text[4000]; /* what it was told */
	uint64_t messages;
	uint64_t bytes;
	uint64_t frontier;
	uint64_t missed;
	int connected;
	int lost;
	int restarted;
	int failed;
	bool destroys; /* itself, at the first message */
};

static struct clusterd_client *client;
static struct clusterd_publisher *publisher;
static struct clusterd_publisher_options options;
static struct clusterd_error error;
static struct end ends[3];
static const char *token;
static int ready;

static struct clusterd_client *new_client(const char *with_token)
{
	struct clusterd_client_options known = CLUSTERD_CLIENT_OPTIONS;
	struct clusterd_client *made;
	known.addresses = "127.0.0.1:1";
	known.token = with_token;
	assert_int_equal(clusterd_client_create(&known, &made, &error), 0);
	return made;
}

static void told(void *context, const struct clusterd_publisher_news *news)
{
	(void)context;
	ready += news->ready;
}

static int set_up(void **state)
{
	(void)state;
	memset(ends, 0, sizeof ends);
	token = NULL;
	ready = 0;
	options = (struct clusterd_publisher_options)CLUSTERD_PUBLISHER_OPTIONS;
	options.topic = "t";
	options.unlisted = true;
	options.told = told;
	return 0;
}

static void publish(void)
{
	client = new_client(token);
	assert_int_equal(clusterd_publisher_create(client, &options, &publisher, &error), 0);
}

static int tear_down(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		clusterd_subscriber_destroy(ends[i].subscriber);
		clusterd_client_destroy(ends[i].client);
	}
	clusterd_publisher_destroy(publisher);
	clusterd_client_destroy(client);
	publisher = NULL;
	client = NULL;
	return 0;
}

__attribute__((format(printf, 2, 3))) static void note(struct end *end, const char *format, ...)
{
	va_list args;
	size_t length = strlen(end->text);
	va_start(args, format);
	vsnprintf(end->text + length, sizeof end->text - length, format, args);
	va_end(args);
}

static void came(void *context, const struct clusterd_message *message)
{
	struct end *end = context;
	end->messages++;
	end->bytes += message->size;
	if (message->size < 20)
		note(end, "%" PRIu64 ":%.*s ", message->time, (int)message->size, (const char *)message->data);
	if (end->destroys) {
		clusterd_subscriber_destroy(end->subscriber);
		end->subscriber = NULL;
	}
}

static void news_came(void *context, const struct clusterd_subscriber_news *news)
{
	struct end *end = context;
	end->connected += news->event == CLUSTERD_SUBSCRIBER_CONNECTED;
	end->lost += news->event == CLUSTERD_SUBSCRIBER_LOST;
	end->restarted += news->event == CLUSTERD_SUBSCRIBER_RESTARTED;
	if (news->event == CLUSTERD_SUBSCRIBER_FAILED)
		end->failed = news->error->code;
	if (news->event == CLUSTERD_SUBSCRIBER_FRONTIER)
		end->frontier = news->from;
	if (news->event == CLUSTERD_SUBSCRIBER_MISSED) {
		end->missed += news->to - news->from;
		note(end, "missed %" PRIu64 "-%" PRIu64 " ", news->from, news->to);
	}
}

static void subscribe_from(struct end *end, uint64_t from)
{
	struct clusterd_subscriber_options wanted = CLUSTERD_SUBSCRIBER_OPTIONS;
	wanted.topic = "t";
	wanted.address = clusterd_publisher_address(publisher);
	wanted.from = from;
	wanted.came = came;
	wanted.told = news_came;
	wanted.context = end;
	if (end->client == NULL)
		end->client = new_client(token);
	assert_int_equal(clusterd_subscriber_create(end->client, &wanted, &end->subscriber, &error), 0);
}

static void turn(void)
{
	clusterd_client_poll(client, 0);
	for (int i = 0; i < 3; i++) {
		if (ends[i].client != NULL)
			clusterd_client_poll(ends[i].client, 0);
	}
}

#define until(condition)                                       \
	do {                                                   \
		for (int turns = 0; !(condition); turns++) {   \
			assert_true(turns < TURNS_MAX);        \
			turn();                                \
			if (turns > 100)                       \
				usleep(100);                   \
		}                                              \
	} while (0)

static void subscribe(struct end *end)
{
	subscribe_from(end, CLUSTERD_FROM_NOW);
	until(end->connected);
}

static void send_text(uint64_t time, const char *text)
{
	assert_int_equal(clusterd_publisher_send(publisher, time, text, strlen(text), &error), 0);
}

static void advance(uint64_t frontier)
{
	assert_int_equal(clusterd_publisher_advance(publisher, frontier, &error), 0);
}

static size_t subscribers(void)
{
	struct clusterd_publisher_figures figures = CLUSTERD_PUBLISHER_FIGURES;
	clusterd_publisher_figures(publisher, &figures);
	return figures.subscribers;
}

static size_t memory(void)
{
	struct clusterd_publisher_figures figures = CLUSTERD_PUBLISHER_FIGURES;
	clusterd_publisher_figures(publisher, &figures);
	return figures.memory;
}

static void what_is_sent_comes_when_its_epoch_is_complete(void **state)
{
	(void)state;
	publish();
	subscribe(&ends[0]);
	subscribe(&ends[1]);
	until(subscribers() == 2);
	send_text(2, "c");
	send_text(1, "a");
	send_text(2, "d");
	send_text(1, "b");
	advance(2);
	until(ends[0].frontier == 2 && ends[1].frontier == 2);
	assert_string_equal(ends[0].text, "1:a 1:b ");
	advance(CLUSTERD_TIME_END);
	until(ends[0].frontier == CLUSTERD_TIME_END && ends[1].frontier == CLUSTERD_TIME_END);
	assert_string_equal(ends[0].text, "1:a 1:b 2:c 2:d ");
	assert_string_equal(ends[1].text, ends[0].text);
	assert_int_equal(clusterd_publisher_send(publisher, 5, "", 0, &error), CLUSTERD_ERR_INVALID);
}

static void the_first_epoch_of_who_comes_later_is_complete(void **state)
{
	(void)state;
	publish();
	subscribe(&ends[0]);
	until(subscribers() == 1);
	send_text(0, "a");
	advance(1);
	send_text(1, "b");
	subscribe(&ends[1]);
	until(subscribers() == 2);
	send_text(1, "c");
	send_text(2, "d");
	advance(3);
	until(ends[0].frontier == 3 && ends[1].frontier == 3);
	assert_string_equal(ends[0].text, "0:a 1:b 1:c 2:d ");
	assert_string_equal(ends[1].text, "2:d ");
}

static void earlier_epochs_can_be_had_while_they_are_kept(void **state)
{
	(void)state;
	options.kept_size = 1 << 20;
	publish();
	for (uint64_t time = 0; time < 10; time++) {
		send_text(time, "x");
		advance(time + 1);
	}
	subscribe_from(&ends[0], 7);
	until(ends[0].frontier == 10);
	assert_string_equal(ends[0].text, "7:x 8:x 9:x ");
}

/* As many as the queue takes, and the system's buffers, while nobody reads. */
static void fill(struct end *end, const char *block, size_t size, uint64_t epochs)
{
	clusterd_subscriber_pause(end->subscriber, true);
	for (uint64_t time = 0; time < epochs; time++) {
		assert_int_equal(clusterd_publisher_send(publisher, time, block, size, &error), 0);
		advance(time + 1);
		clusterd_client_poll(client, 0);
		assert_true(memory() < (3 << 20));
	}
}

static void who_is_slow_misses_whole_epochs_and_is_told_which(void **state)
{
	static char block[100000];
	(void)state;
	options.slow = CLUSTERD_SLOW_DROP;
	options.queue_size = 1 << 20;
	publish();
	subscribe(&ends[0]);
	until(subscribers() == 1);
	fill(&ends[0], block, sizeof block, 400);
	assert_true(subscribers() == 1);
	clusterd_subscriber_pause(ends[0].subscriber, false);
	until(ends[0].frontier == 400);
	assert_true(ends[0].missed > 0 && ends[0].messages > 0);
	assert_true(ends[0].missed + ends[0].messages == 400);
	assert_true(ends[0].bytes == ends[0].messages * sizeof block);
}

static void who_is_slow_is_disconnected_and_comes_back(void **state)
{
	static char block[100000];
	(void)state;
	options.slow = CLUSTERD_SLOW_DISCONNECT;
	options.queue_size = 1 << 20;
	publish();
	subscribe(&ends[0]);
	until(subscribers() == 1);
	fill(&ends[0], block, sizeof block, 400);
	assert_true(subscribers() == 0);
	clusterd_subscriber_pause(ends[0].subscriber, false);
	until(ends[0].connected == 2 && subscribers() == 1);
	send_text(400, "x");
	advance(401);
	until(ends[0].frontier == 401);
	assert_true(ends[0].missed + ends[0].messages == 401 && ends[0].missed > 0);
}

static void who_is_slow_holds_the_publisher_up(void **state)
{
	static char block[100000];
	uint64_t sent = 0;
	int code = 0;
	(void)state;
	options.queue_size = 1 << 20;
	publish();
	subscribe(&ends[0]);
	until(subscribers() == 1);
	clusterd_subscriber_pause(ends[0].subscriber, true);
	while ((code = clusterd_publisher_send(publisher, sent, block, sizeof block, &error)) == 0) {
		assert_true(sent < 1000 && memory() < (3 << 20));
		advance(++sent);
		clusterd_client_poll(client, 0);
	}
	assert_int_equal(code, CLUSTERD_ERR_BUSY);
	for (int i = 0; i < 1000000; i++) /* which takes nothing, since nothing else bounds it */
		advance(sent + 1 + (uint64_t)i);
	assert_true(memory() < (3 << 20));
	assert_int_equal(clusterd_publisher_wait(publisher, 10, &error), CLUSTERD_ERR_TIMEOUT);
	assert_int_equal(ready, 0);
	clusterd_subscriber_pause(ends[0].subscriber, false);
	until(ready > 0);
	until(ends[0].frontier == sent + 1000000);
	assert_true(ends[0].messages == sent && ends[0].missed == 0);
}

static void others_miss_nothing_when_one_goes(void **state)
{
	char text[10];
	(void)state;
	publish();
	for (int i = 0; i < 3; i++)
		subscribe(&ends[i]);
	until(subscribers() == 3);
	ends[0].destroys = true;
	for (uint64_t time = 0; time < 50; time++) {
		snprintf(text, sizeof text, "%d", (int)time);
		send_text(time, text);
		advance(time + 1);
		turn();
	}
	until(ends[1].frontier == 50 && ends[2].frontier == 50 && subscribers() == 2);
	assert_true(ends[0].messages == 1 && ends[1].messages == 50 && ends[2].messages == 50);
	assert_string_equal(ends[1].text, ends[2].text);
}

static char *stop_publisher(void)
{
	char *address = strdup(clusterd_publisher_address(publisher));
	clusterd_publisher_destroy(publisher);
	publisher = NULL;
	return address;
}

static void a_publisher_that_goes_on_is_followed_from_where_one_was(void **state)
{
	(void)state;
	options.life = 77;
	options.kept_size = 1 << 20;
	publish();
	subscribe(&ends[0]);
	until(subscribers() == 1);
	send_text(0, "a");
	advance(1);
	send_text(1, "half of it");
	until(ends[0].frontier == 1);
	char *address = stop_publisher();
	options.listen = address;
	assert_int_equal(clusterd_publisher_create(client, &options, &publisher, &error), 0);
	send_text(1, "b");
	advance(2);
	until(ends[0].frontier == 2);
	assert_string_equal(ends[0].text, "0:a 1:b ");
	assert_true(ends[0].restarted == 0 && ends[0].missed == 0 && ends[0].lost > 0);
	free(address);
}

static void a_publisher_that_begins_anew_is_told_of(void **state)
{
	(void)state;
	publish();
	subscribe(&ends[0]);
	until(subscribers() == 1);
	send_text(8, "a");
	advance(9);
	until(ends[0].frontier == 9);
	char *address = stop_publisher();
	options.listen = address;
	assert_int_equal(clusterd_publisher_create(client, &options, &publisher, &error), 0);
	until(ends[0].restarted == 1 && subscribers() == 1);
	send_text(0, "b");
	advance(1);
	until(ends[0].frontier == 1);
	assert_string_equal(ends[0].text, "8:a 0:b ");
	free(address);
}

static void without_the_right_token_one_is_refused(void **state)
{
	(void)state;
	token = "0123456789abcdef0123456789abcdef";
	publish();
	ends[0].client = new_client("0123456789abcdef0123456789abcdeg");
	ends[1].client = new_client(NULL);
	for (int i = 0; i < 3; i++)
		subscribe_from(&ends[i], CLUSTERD_FROM_NOW);
	until(ends[0].failed && ends[1].failed && ends[2].connected && subscribers() == 1);
	assert_int_equal(ends[0].failed, CLUSTERD_ERR_DENIED);
	assert_int_equal(ends[1].failed, CLUSTERD_ERR_DENIED);
}

static void without_a_token_nothing_is_published_to_other_machines(void **state)
{
	(void)state;
	client = new_client(NULL);
	options.listen = "0.0.0.0:0";
	assert_int_equal(clusterd_publisher_create(client, &options, &publisher, &error), CLUSTERD_ERR_DENIED);
	options.listen = "nonsense";
	assert_int_equal(clusterd_publisher_create(client, &options, &publisher, &error), CLUSTERD_ERR_INVALID);
}

static int dial(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const char *colon = strrchr(clusterd_publisher_address(publisher), ':');
	int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	address.sin_port = htons((uint16_t)atoi(colon + 1));
	assert_int_equal(connect(descriptor, (struct sockaddr *)&address, sizeof address), 0);
	return descriptor;
}

static void strangers_harm_nobody(void **state)
{
	static char noise[100000];
	int strangers[200];
	(void)state;
	options.subscribers_max = 1;
	publish();
	subscribe(&ends[0]);
	until(subscribers() == 1);
	for (size_t i = 0; i < sizeof noise; i++)
		noise[i] = (char)(i * 7919 >> 3);
	for (int i = 0; i < 200; i++) {
		strangers[i] = dial();
		if (i % 3 == 0)
			send(strangers[i], noise, sizeof noise, MSG_NOSIGNAL | MSG_DONTWAIT);
		else if (i % 3 == 1)
			send(strangers[i], "\0\0\0\0", 4, MSG_NOSIGNAL);
		turn();
	}
	subscribe_from(&ends[1], CLUSTERD_FROM_NOW); /* who is one too many */
	until(ends[1].lost > 0);
	send_text(0, "a");
	advance(1);
	until(ends[0].frontier == 1);
	assert_string_equal(ends[0].text, "0:a ");
	assert_true(subscribers() == 1);
	for (int i = 0; i < 200; i++)
		close(strangers[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_is_sent_comes_when_its_epoch_is_complete),
		TEST(the_first_epoch_of_who_comes_later_is_complete),
		TEST(earlier_epochs_can_be_had_while_they_are_kept),
		TEST(who_is_slow_misses_whole_epochs_and_is_told_which),
		TEST(who_is_slow_is_disconnected_and_comes_back),
		TEST(who_is_slow_holds_the_publisher_up),
		TEST(others_miss_nothing_when_one_goes),
		TEST(a_publisher_that_goes_on_is_followed_from_where_one_was),
		TEST(a_publisher_that_begins_anew_is_told_of),
		TEST(without_the_right_token_one_is_refused),
		TEST(without_a_token_nothing_is_published_to_other_machines),
		TEST(strangers_harm_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
