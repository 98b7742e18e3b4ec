/* Prints what is published as the topic NAME, each message with its epoch, and where epochs end, until it is over. subscriber ADDRESSES NAME */
#include <clusterd_streams.h>

#include <err.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static void came(void *context, const struct clusterd_message *message)
{
	(void)context;
	printf("%" PRIu64 " %.*s\n", message->time, (int)message->size, (const char *)message->data);
}

static void told(void *context, const struct clusterd_subscriber_news *news)
{
	bool *over = context;
	if (news->event == CLUSTERD_SUBSCRIBER_FAILED)
		errx(1, "%s", news->error->text);
	if (news->event == CLUSTERD_SUBSCRIBER_MISSED)
		printf("missed %" PRIu64 " to %" PRIu64 "\n", news->from, news->to - 1);
	if (news->event == CLUSTERD_SUBSCRIBER_FRONTIER)
		*over = news->from == CLUSTERD_TIME_END;
	if (news->event == CLUSTERD_SUBSCRIBER_LOST)
		warnx("%s", news->error->text); /* and it connects again */
}

int main(int argc, char **argv)
{
	struct clusterd_client_options options = CLUSTERD_CLIENT_OPTIONS;
	struct clusterd_subscriber_options topic = CLUSTERD_SUBSCRIBER_OPTIONS;
	struct clusterd_client *client;
	struct clusterd_subscriber *subscriber;
	struct clusterd_error error;
	bool over = false;
	if (argc != 3)
		errx(2, "usage: subscriber ADDRESSES NAME");
	options.addresses = argv[1];
	options.token = getenv("CLUSTERD_TOKEN");
	topic.topic = argv[2];
	topic.wait = true;
	topic.came = came;
	topic.told = told;
	topic.context = &over;
	if (clusterd_client_create(&options, &client, &error) != 0 ||
	    clusterd_subscriber_create(client, &topic, &subscriber, &error) != 0)
		errx(1, "%s", error.text);
	while (!over)
		clusterd_client_poll(client, 1000);
	clusterd_subscriber_destroy(subscriber);
	clusterd_client_destroy(client);
	return 0;
}
