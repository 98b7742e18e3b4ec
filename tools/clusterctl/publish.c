#include "command.h"

#include "base/memory.h"
#include "client/clusterd_streams.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Lines of stdin become messages of a topic, or changes of a collection: "+item", "-item". What comes together is one epoch. */

#define READ_SIZE (64u << 10)
#define LINE_MAX_SIZE (16u << 20)

struct feeder {
	struct context *context;
	struct clusterd_client *client;
	struct clusterd_publisher *publisher;
	struct clusterd_collection *collection; /* NULL: a stream */
	struct buffer input;
	uint64_t time;
	bool listed;
	bool ended;       /* nothing more comes from stdin */
	bool open;        /* something of an epoch was sent */
	bool blocked;     /* a subscriber is slow */
	uint64_t awaited; /* subscribers that have to be there first */
	bool failed;
	struct clusterd_error error;
};

static void told(void *context, const struct clusterd_publisher_news *news)
{
	struct feeder *feeder = context;
	if (news->listed && !feeder->listed) {
		feeder->listed = true;
		fprintf(stderr, "published at %s\n", clusterd_publisher_address(feeder->publisher));
	}
	if (news->ready)
		feeder->blocked = false;
	if (news->subscribers >= feeder->awaited)
		feeder->awaited = 0;
	if (news->error != NULL && !feeder->listed) {
		feeder->error = *news->error;
		feeder->failed = true;
	}
}

/* --- lines --------------------------------------------------------------------------------------------------------- */

static int change(struct feeder *feeder, struct slice line)
{
	struct slice item = {line.data + 1, line.size - 1};
	bool more = line.data[0] == '+';
	if (!more && line.data[0] != '-') {
		feeder->error.code = CLUSTERD_ERR_INVALID;
		snprintf(feeder->error.text, sizeof feeder->error.text,
		         "a line that does not begin with + or -, and the item behind it: \"%.*s\"",
		         line.size < 100 ? (int)line.size : 100, line.data);
		return CLUSTERD_ERR_INVALID;
	}
	return clusterd_collection_change(feeder->collection, item.data, item.size, more ? 1 : -1, &feeder->error);
}

static int take_line(struct feeder *feeder, struct slice line)
{
	if (feeder->collection == NULL)
		return clusterd_publisher_send(feeder->publisher, feeder->time, line.data, line.size, &feeder->error);
	return line.size == 0 ? 0 : change(feeder, line);
}

static int end_epoch(struct feeder *feeder)
{
	if (feeder->collection != NULL)
		return clusterd_collection_commit(feeder->collection, NULL, &feeder->error);
	return clusterd_publisher_advance(feeder->publisher, ++feeder->time, &feeder->error);
}

/* Whole lines; at the end of the input also what has no line end. */
static void take_lines(struct feeder *feeder)
{
	size_t taken = 0;
	int code = 0;
	while (taken < feeder->input.size) {
		const char *begin = feeder->input.data + taken;
		size_t left = feeder->input.size - taken;
		const char *newline = memchr(begin, '\n', left);
		if (newline == NULL && !feeder->ended)
			break;
		size_t size = newline != NULL ? (size_t)(newline - begin) : left;
		code = take_line(feeder, (struct slice){begin, size});
		if (code != 0)
			break;
		taken += size + (newline != NULL);
		feeder->open = true;
	}
	if (feeder->open && code == 0) {
		code = end_epoch(feeder);
		feeder->open = code != 0;
	}
	buffer_consume(&feeder->input, taken);
	feeder->blocked = code == CLUSTERD_ERR_BUSY;
	feeder->failed = feeder->failed || (code != 0 && !feeder->blocked);
}

static void read_input(struct feeder *feeder)
{
	ssize_t got = read(STDIN_FILENO, buffer_reserve(&feeder->input, READ_SIZE), READ_SIZE);
	if (got < 0 && errno == EINTR)
		return;
	if (got <= 0)
		feeder->ended = true;
	else
		feeder->input.size += (size_t)got;
	if (feeder->input.size > LINE_MAX_SIZE + READ_SIZE &&
	    memchr(feeder->input.data, '\n', feeder->input.size) == NULL) {
		feeder->error.code = CLUSTERD_ERR_LIMIT;
		snprintf(feeder->error.text, sizeof feeder->error.text, "a line of more than 16 MiB");
		feeder->failed = true;
	}
}

/* --- the turns ----------------------------------------------------------------------------------------------------- */

static void feed(struct feeder *feeder)
{
	while (!feeder->failed && !(feeder->ended && feeder->input.size == 0 && !feeder->open)) {
		bool may_take = feeder->listed && !feeder->blocked && feeder->awaited == 0;
		struct pollfd waits[2] = {{clusterd_client_descriptor(feeder->client), POLLIN, 0},
		                          {may_take && !feeder->ended ? STDIN_FILENO : -1, POLLIN, 0}};
		bool waiting = may_take && feeder->ended;
		poll(waits, 2, waiting ? 0 : clusterd_client_timeout_ms(feeder->client));
		clusterd_client_dispatch(feeder->client);
		if ((waits[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
			read_input(feeder);
		if (may_take && !feeder->failed)
			take_lines(feeder);
	}
}

static bool read_slow(const char *word, int *ret_slow)
{
	static const char *const words[] = {"block", "drop", "disconnect"};
	for (int i = 0; i < 3; i++) {
		if (word == NULL || strcmp(word, words[i]) == 0) {
			*ret_slow = i;
			return true;
		}
	}
	fprintf(stderr, "clusterctl: --slow is block, drop or disconnect, not \"%s\"\n", word);
	return false;
}

static bool read_partition(const char *word, struct clusterd_publisher_options *options)
{
	unsigned part;
	unsigned parts;
	char rest;
	if (word == NULL)
		return true;
	if (sscanf(word, "%u/%u%c", &part, &parts, &rest) == 2 && part < parts && parts <= 1024) {
		options->partition = part;
		options->partitions = parts;
		return true;
	}
	fprintf(stderr, "clusterctl: --partition is N/M, part N of M, from 0 on, not \"%s\"\n", word);
	return false;
}

static uint64_t own_allocation(void)
{
	const char *word = getenv("CLUSTERD_ALLOCATION");
	return word != NULL ? strtoull(word, NULL, 10) : 0;
}

static int finish(struct feeder *feeder)
{
	struct context *context = feeder->context;
	int code = EXIT_DONE;
	if (!feeder->failed)
		clusterd_publisher_advance(feeder->publisher, CLUSTERD_TIME_END, NULL);
	if (feeder->failed || clusterd_publisher_flush(feeder->publisher, timeout_of(context), &feeder->error) != 0)
		code = report_failure(context, &feeder->error);
	if (feeder->collection != NULL)
		clusterd_collection_destroy(feeder->collection);
	else
		clusterd_publisher_destroy(feeder->publisher);
	buffer_finish(&feeder->input);
	return code;
}

/* flags: --slow, --schema, --listen, --advertise, --subscribers */
static int publish(struct context *context, const struct arguments *arguments,
                   struct clusterd_publisher_options *options, bool collection, bool keeper)
{
	struct feeder feeder = {.context = context};
	options->topic = arguments->values[0];
	options->schema = arguments->flags[1];
	options->listen = arguments->flags[2];
	options->advertise = arguments->flags[3];
	options->allocation = own_allocation();
	options->told = told;
	options->context = &feeder;
	if (!read_slow(arguments->flags[0], &options->slow) ||
	    (arguments->flags[4] != NULL && !parse_number(arguments->flags[4], "--subscribers", &feeder.awaited)))
		return EXIT_USAGE;
	int code = need_client(context);
	if (code != 0)
		return code;
	feeder.client = client_library(context->client);
	if (collection) {
		code = clusterd_collection_create(feeder.client, options, keeper, 0, &feeder.collection, &feeder.error);
		feeder.publisher = code == 0 ? clusterd_collection_publisher(feeder.collection) : NULL;
	} else {
		code = clusterd_publisher_create(feeder.client, options, &feeder.publisher, &feeder.error);
	}
	if (code != 0)
		return report_failure(context, &feeder.error);
	feed(&feeder);
	return finish(&feeder);
}

int run_topic_publish(struct context *context, const struct arguments *arguments)
{
	struct clusterd_publisher_options options = CLUSTERD_PUBLISHER_OPTIONS;
	if (!read_partition(arguments->flags[5], &options))
		return EXIT_USAGE;
	return publish(context, arguments, &options, false, false);
}

int run_collection_publish(struct context *context, const struct arguments *arguments)
{
	struct clusterd_publisher_options options = CLUSTERD_PUBLISHER_OPTIONS;
	return publish(context, arguments, &options, true, arguments->flags[5] != NULL);
}
