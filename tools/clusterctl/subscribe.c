#include "command.h"

#include "base/json.h"
#include "client/clusterd_streams.h"

#include <inttypes.h>
#include <poll.h>
#include <string.h>

/* What comes of a topic, line by line. */

struct printer {
	struct context *context;
	bool collection;
	bool over;
	struct clusterd_error error; /* code 0: it has ended by itself */
	struct buffer out;
};

static void print_plainly(struct printer *printer, const struct clusterd_message *message)
{
	if (printer->collection)
		buffer_format(&printer->out, message->state ? "=%" PRIi64 " " : "%+" PRIi64 " ", message->count);
	buffer_append(&printer->out, message->data, message->size);
	buffer_append_char(&printer->out, '\n');
}

static void print_as_json(struct printer *printer, const struct clusterd_message *message)
{
	struct buffer *out = &printer->out;
	buffer_format(out, "{\"time\":%" PRIu64 ",\"part\":%u,", message->time, message->part);
	if (printer->collection)
		buffer_format(out, "\"state\":%s,\"count\":%" PRIi64 ",", message->state ? "true" : "false",
		              message->count);
	buffer_append_string(out, "\"data\":");
	json_quote(out, (struct slice){message->data, message->size});
	buffer_append_string(out, "}\n");
}

static void flush(struct printer *printer)
{
	fwrite(printer->out.data, 1, printer->out.size, stdout);
	fflush(stdout);
	buffer_clear(&printer->out);
}

static void came(void *context, const struct clusterd_message *message)
{
	struct printer *printer = context;
	if (printer->context->form == OUTPUT_TABLE)
		print_plainly(printer, message);
	else
		print_as_json(printer, message);
	if (printer->out.size > (64u << 10))
		flush(printer);
}

static void told(void *context, const struct clusterd_subscriber_news *news)
{
	struct printer *printer = context;
	switch ((enum clusterd_subscriber_event)news->event) {
	case CLUSTERD_SUBSCRIBER_CONNECTED:
		fprintf(stderr, "connected to part %u\n", news->part);
		break;
	case CLUSTERD_SUBSCRIBER_LOST:
		fprintf(stderr, "lost: %s\n", news->error->text);
		break;
	case CLUSTERD_SUBSCRIBER_FRONTIER:
		printer->over = news->from == CLUSTERD_TIME_END;
		break;
	case CLUSTERD_SUBSCRIBER_MISSED:
		fprintf(stderr, "missed %" PRIu64 " to %" PRIu64 " of part %u\n", news->from, news->to - 1, news->part);
		break;
	case CLUSTERD_SUBSCRIBER_RESTARTED:
		fprintf(stderr, "part %u begins anew\n", news->part);
		break;
	case CLUSTERD_SUBSCRIBER_RESET:
		fprintf(stderr, "the state\n");
		break;
	case CLUSTERD_SUBSCRIBER_FAILED:
		printer->error = *news->error;
		printer->over = true;
		break;
	}
}

static bool read_wanted(const char *word, int *ret_wanted)
{
	static const char *const words[] = {"both", "state", "changes"};
	for (int i = 0; i < 3; i++) {
		if (word == NULL || strcmp(word, words[i]) == 0) {
			*ret_wanted = i;
			return true;
		}
	}
	fprintf(stderr, "clusterctl: --want is both, state or changes, not \"%s\"\n", word);
	return false;
}

/* flags: --schema, --wait, … */
static int subscribe(struct context *context, const struct arguments *arguments,
                     struct clusterd_subscriber_options *options)
{
	struct printer printer = {.context = context, .collection = options->collection};
	struct clusterd_subscriber *subscriber;
	int code = need_client(context);
	if (code != 0)
		return code;
	struct clusterd_client *client = client_library(context->client);
	options->topic = arguments->values[0];
	options->schema = arguments->flags[0];
	options->wait = arguments->flags[1] != NULL;
	options->came = came;
	options->told = told;
	options->context = &printer;
	if (clusterd_subscriber_create(client, options, &subscriber, &printer.error) != 0)
		return report_failure(context, &printer.error);
	while (!printer.over && !ferror(stdout)) {
		struct pollfd wait = {clusterd_client_descriptor(client), POLLIN, 0};
		poll(&wait, 1, clusterd_client_timeout_ms(client));
		clusterd_client_dispatch(client);
		if (printer.out.size != 0)
			flush(&printer);
	}
	clusterd_subscriber_destroy(subscriber);
	buffer_finish(&printer.out);
	return printer.error.code != 0 ? report_failure(context, &printer.error) : EXIT_DONE;
}

int run_topic_subscribe(struct context *context, const struct arguments *arguments)
{
	struct clusterd_subscriber_options options = CLUSTERD_SUBSCRIBER_OPTIONS;
	if (arguments->flags[2] != NULL && !parse_number(arguments->flags[2], "--from", &options.from))
		return EXIT_USAGE;
	return subscribe(context, arguments, &options);
}

int run_collection_subscribe(struct context *context, const struct arguments *arguments)
{
	struct clusterd_subscriber_options options = CLUSTERD_SUBSCRIBER_OPTIONS;
	options.collection = true;
	options.keeper = arguments->flags[3] != NULL;
	if (!read_wanted(arguments->flags[2], &options.wanted))
		return EXIT_USAGE;
	return subscribe(context, arguments, &options);
}
