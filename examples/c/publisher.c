/* Publishes lines of stdin as the topic NAME, ten of them an epoch, to those that have subscribed; who is slow misses epochs.
 * publisher ADDRESSES NAME SUBSCRIBERS: begins when there are so many. */
#include <clusterd_streams.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void told(void *context, const struct clusterd_publisher_news *news)
{
	size_t *subscribers = context;
	*subscribers = news->subscribers;
	if (news->error != NULL)
		warnx("%s", news->error->text);
}

int main(int argc, char **argv)
{
	struct clusterd_client_options options = CLUSTERD_CLIENT_OPTIONS;
	struct clusterd_publisher_options topic = CLUSTERD_PUBLISHER_OPTIONS;
	struct clusterd_client *client;
	struct clusterd_publisher *publisher;
	struct clusterd_error error;
	char line[4096];
	size_t subscribers = 0;
	uint64_t time = 0;
	int count = 0;
	if (argc != 4)
		errx(2, "usage: publisher ADDRESSES NAME SUBSCRIBERS");
	options.addresses = argv[1];
	options.token = getenv("CLUSTERD_TOKEN");
	topic.topic = argv[2];
	topic.slow = CLUSTERD_SLOW_DROP;
	topic.told = told;
	topic.context = &subscribers;
	if (clusterd_client_create(&options, &client, &error) != 0 ||
	    clusterd_publisher_create(client, &topic, &publisher, &error) != 0)
		errx(1, "%s", error.text);
	while (subscribers < strtoul(argv[3], NULL, 10))
		clusterd_client_poll(client, 1000);
	while (fgets(line, sizeof line, stdin) != NULL) {
		if (clusterd_publisher_send(publisher, time, line, strcspn(line, "\n"), &error) != 0)
			errx(1, "%s", error.text);
		if (++count % 10 == 0)
			clusterd_publisher_advance(publisher, ++time, NULL);
		clusterd_client_poll(client, 0);
	}
	clusterd_publisher_advance(publisher, CLUSTERD_TIME_END, NULL);
	if (clusterd_publisher_flush(publisher, 60000, &error) != 0)
		warnx("%s", error.text);
	clusterd_publisher_destroy(publisher);
	clusterd_client_destroy(client);
	return 0;
}
