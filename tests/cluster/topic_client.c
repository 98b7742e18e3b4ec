/* One client of topics, which says on stdout what has happened, and ends with 1 and a text when it is refused.
 *   publish ADDRESSES TTL NAME KIND SCHEMA HOST:PORT [PARTITIONS PART]   and holds it until it is ended
 *   subscribe ADDRESSES TTL NAME SCHEMA now|wait TIMEOUT                 and holds it until it is ended
 *   watch ADDRESSES NAME                                                 until it is ended
 *   unpublish ADDRESSES PUBLICATION          in a session of its own
 *   steal ADDRESSES SESSION PUBLICATION      in the session of another, which it only knows the number of
 *   many ADDRESSES COUNT                     publishes so many topics, and closes its session
 *   crowd ADDRESSES TTL COUNT NAME           publishes NAME-0, NAME-1, …, says how many it may have, and holds them until it is ended */
#include "client/session.h"

#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 60000

static struct clusterd_client *client;
static bool lost;

static void refuse(const struct clusterd_error *error)
{
	errx(1, "%s: %s", clusterd_code_name(error->code), error->text);
}

static void told(void *context, uint64_t session, const struct clusterd_error *error)
{
	(void)context;
	lost = session == 0;
	if (lost)
		printf("lost: %s\n", error->text);
	fflush(stdout);
}

static void hold(void)
{
	while (!lost)
		clusterd_client_poll(client, 60000);
	exit(3);
}

static int kind_of(const char *name)
{
	static const char *const names[] = {"any", "stream", "collection", "service", "keeper"};
	for (int i = 0; i < 5; i++) {
		if (strcmp(names[i], name) == 0)
			return i;
	}
	errx(2, "there is no kind %s", name);
}

static void publish(char **arguments, int count)
{
	struct clusterd_publish_options options = CLUSTERD_PUBLISH_OPTIONS;
	struct clusterd_session *session = clusterd_session_create(client, strtoull(arguments[0], NULL, 10), told, NULL);
	struct clusterd_error error;
	uint64_t id;
	options.topic = arguments[1];
	options.kind = kind_of(arguments[2]);
	options.schema = arguments[3];
	options.address = arguments[4];
	options.partitions = count > 5 ? (uint32_t)atoi(arguments[5]) : 0;
	options.part = count > 6 ? (uint32_t)atoi(arguments[6]) : 0;
	if (clusterd_topic_publish(session, &options, &id, PATIENCE_MS, &error) != 0)
		refuse(&error);
	printf("published %" PRIu64 " session %" PRIu64 "\n", id, clusterd_session_id(session));
	fflush(stdout);
	hold();
}

static void subscribe(char **arguments)
{
	struct clusterd_session *session = clusterd_session_create(client, strtoull(arguments[0], NULL, 10), told, NULL);
	struct clusterd_reply *reply;
	struct clusterd_topic topic;
	struct clusterd_error error;
	const char *schema = arguments[2][0] != '\0' ? arguments[2] : NULL;
	if (clusterd_topic_subscribe(session, arguments[1], CLUSTERD_TOPIC_ANY, schema, strcmp(arguments[3], "wait") == 0, &reply,
	                             atoi(arguments[4]), &error) != 0)
		refuse(&error);
	printf("subscribed %" PRIu64, clusterd_reply_id(reply));
	if (clusterd_reply_topic(reply, &topic)) {
		printf(" to %s", topic.name);
		for (size_t i = 0; i < topic.publication_count; i++) {
			struct clusterd_publication publication;
			clusterd_reply_publication(reply, i, &publication);
			printf(" %s", publication.address);
		}
	}
	puts("");
	fflush(stdout);
	hold();
}

static void show(void *context, struct clusterd_reply *reply, const struct clusterd_error *error)
{
	struct clusterd_topic topic;
	(void)context;
	if (reply == NULL || !clusterd_reply_topic(reply, &topic))
		refuse(error);
	printf("%s", topic.id != 0 ? "there" : "absent");
	for (size_t i = 0; i < topic.publication_count; i++) {
		struct clusterd_publication publication;
		clusterd_reply_publication(reply, i, &publication);
		printf(" %u@%s", publication.part, publication.address);
	}
	puts("");
	fflush(stdout);
}

static void unpublish(struct clusterd_session *session, const char *publication)
{
	struct clusterd_error error;
	if (clusterd_topic_unpublish(session, strtoull(publication, NULL, 10), PATIENCE_MS, &error) != 0)
		refuse(&error);
	puts("done");
}

static void many(int count)
{
	struct clusterd_session *session = clusterd_session_create(client, 0, NULL, NULL);
	struct clusterd_publish_options options = CLUSTERD_PUBLISH_OPTIONS;
	struct clusterd_error error;
	char name[30];
	options.topic = name;
	options.kind = CLUSTERD_TOPIC_STREAM;
	options.address = "127.0.0.1:1";
	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof name, "many-%d", i);
		if (i + 1 < count)
			clusterd_topic_publish_begin(session, &options, PATIENCE_MS, NULL, NULL);
		else if (clusterd_topic_publish(session, &options, NULL, PATIENCE_MS, &error) != 0)
			refuse(&error);
	}
	if (clusterd_session_close(session, PATIENCE_MS, &error) != 0)
		refuse(&error);
	clusterd_session_destroy(session);
	puts("done");
}

struct crowd {
	int asked;
	int published;
	int refused;
	struct clusterd_error why; /* the last one was refused */
};

static void crowd_grows(void *context, struct clusterd_reply *reply, const struct clusterd_error *error)
{
	struct crowd *crowd = context;
	if (reply != NULL) {
		crowd->published++;
	} else {
		crowd->refused++;
		crowd->why = *error;
	}
}

static void crowd(char **arguments)
{
	struct clusterd_publish_options options = CLUSTERD_PUBLISH_OPTIONS;
	struct clusterd_session *session = clusterd_session_create(client, strtoull(arguments[0], NULL, 10), told, NULL);
	struct crowd crowd = {0};
	int count = atoi(arguments[1]);
	char name[100];
	options.topic = name;
	options.kind = CLUSTERD_TOPIC_STREAM;
	options.address = "127.0.0.1:1";
	while (crowd.published + crowd.refused < count) {
		while (crowd.asked < count && crowd.asked - crowd.published - crowd.refused < 500) {
			snprintf(name, sizeof name, "%s-%d", arguments[2], crowd.asked++);
			clusterd_topic_publish_begin(session, &options, PATIENCE_MS, crowd_grows, &crowd);
		}
		clusterd_client_poll(client, PATIENCE_MS);
	}
	printf("%d published, %d refused: %s\n", crowd.published, crowd.refused, crowd.why.text);
	fflush(stdout);
	hold();
}

int main(int argc, char **argv)
{
	struct clusterd_client_options options = CLUSTERD_CLIENT_OPTIONS;
	struct clusterd_error error;
	if (argc < 4)
		errx(2, "usage: topic_client WHAT ADDRESSES …");
	options.addresses = argv[2];
	options.token = getenv("CLUSTERD_TOKEN");
	if (clusterd_client_create(&options, &client, &error) != 0)
		refuse(&error);
	if (strcmp(argv[1], "publish") == 0 && argc >= 8) {
		publish(argv + 3, argc - 3);
	} else if (strcmp(argv[1], "subscribe") == 0 && argc == 8) {
		subscribe(argv + 3);
	} else if (strcmp(argv[1], "watch") == 0) {
		clusterd_topic_watch_create(client, argv[3], show, NULL);
		hold();
	} else if (strcmp(argv[1], "unpublish") == 0) {
		unpublish(clusterd_session_create(client, 0, NULL, NULL), argv[3]);
	} else if (strcmp(argv[1], "steal") == 0 && argc == 5) {
		struct clusterd_session *session = clusterd_session_create(client, 0, NULL, NULL);
		clusterd_request_cancel(session->request);
		session->request = NULL;
		session->in.id = strtoull(argv[3], NULL, 10);
		session->in.sequence = 1000;
		unpublish(session, argv[4]);
	} else if (strcmp(argv[1], "many") == 0) {
		many(atoi(argv[3]));
	} else if (strcmp(argv[1], "crowd") == 0 && argc == 6) {
		crowd(argv + 3);
	} else {
		errx(2, "topic_client cannot %s", argv[1]);
	}
	return 0;
}
