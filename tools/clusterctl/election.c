#include "command.h"

#include "base/json.h"
#include "base/memory.h"
#include "client/request.h"

#include <inttypes.h>
#include <stdio.h>

/* Who leads, as others see it. */

static void print_leader(enum output_form form, uint64_t token, struct slice value)
{
	struct buffer quoted = BUFFER_EMPTY;
	json_quote(&quoted, value);
	if (form == OUTPUT_TABLE)
		printf("%" PRIu64 " %.*s\n", token, SLICE_ARGS(value));
	else
		printf("{\"token\":%" PRIu64 ",\"value\":%s}\n", token, buffer_string(&quoted));
	fflush(stdout);
	buffer_finish(&quoted);
}

struct observed {
	bool changed;
	bool over;
	struct clusterd_error error;
};

static void queue_changed(void *context, const struct clusterd_key *key, const struct clusterd_error *error)
{
	struct observed *observed = context;
	(void)key;
	observed->changed = true;
	if (error == NULL)
		return;
	observed->over = true;
	observed->error = *error;
}

/* 0: nobody leads, or it is the one that was shown. */
static int show_leader(struct context *context, const char *name, uint64_t *shown, struct clusterd_error *error)
{
	uint64_t token;
	char *value;
	size_t size;
	int code = clusterd_election_leader(client_library(context->client), name, &token, &value, &size, timeout_of(context), error);
	if (code != 0)
		return code == CLUSTERD_ERR_NOT_FOUND ? 0 : code;
	if (token != *shown)
		print_leader(context->form, token, (struct slice){value, size});
	*shown = token;
	clusterd_free(value);
	return 0;
}

/* Each leader, until the watch ends. It looks when the watch knows where it begins, so that no change is missed. */
static int show_leaders(struct context *context, const char *name, const struct clusterd_watch *watch,
                        struct observed *observed, uint64_t *shown, struct clusterd_error *error)
{
	struct clusterd_client *library = client_library(context->client);
	int code = 0;
	while (!observed->over && clusterd_watch_version(watch) == 0)
		clusterd_client_poll(library, CLUSTERD_NO_TIMEOUT);
	while (code == 0 && !observed->over) {
		observed->changed = false;
		code = show_leader(context, name, shown, error);
		if (code != 0 && request_may_pass(code)) {
			observed->changed = true;
			code = 0;
		}
		while (!observed->changed && code == 0)
			clusterd_client_poll(library, CLUSTERD_NO_TIMEOUT);
	}
	return code;
}

static int observe(struct context *context, const char *name, uint64_t *shown, struct clusterd_error *error)
{
	struct clusterd_watch_options options = CLUSTERD_WATCH_OPTIONS;
	struct observed observed;
	char *directory = mem_format("election/%s/", name);
	int code = 0;
	options.key = directory;
	options.prefix = true;
	options.changed = queue_changed;
	options.context = &observed;
	do {
		observed = (struct observed){0};
		struct clusterd_watch *watch = clusterd_watch_create(client_library(context->client), &options);
		code = show_leaders(context, name, watch, &observed, shown, error);
		clusterd_watch_destroy(watch);
	} while (code == 0 && observed.error.code == CLUSTERD_ERR_COMPACTED);
	mem_free(directory);
	if (code == 0)
		*error = observed.error;
	return error->code;
}

int run_observe(struct context *context, const struct arguments *arguments)
{
	struct clusterd_error error;
	uint64_t shown = 0;
	int code = need_client(context);
	if (code != 0)
		return code;
	if (arguments->flags[0] == NULL)
		code = observe(context, arguments->values[0], &shown, &error);
	else
		code = show_leader(context, arguments->values[0], &shown, &error);
	if (code != 0)
		return report_failure(context, &error);
	return shown != 0 ? EXIT_DONE : EXIT_FAILED;
}

int run_resign(struct context *context, const struct arguments *arguments)
{
	struct clusterd_error error;
	int code = need_client(context);
	if (code != 0)
		return code;
	code = clusterd_election_resign(client_library(context->client), arguments->values[0], timeout_of(context), &error);
	return code != 0 ? report_failure(context, &error) : EXIT_DONE;
}
