#include "command.h"

#include <inttypes.h>

/* The catalog as a service: tables, and what changes in them. */

struct catalog_watch {
	uint64_t left; /* lines to be printed */
	bool over;
	struct clusterd_error error;
};

int run_catalog_list(struct context *context, const struct arguments *arguments)
{
	struct clusterd_error error;
	char *rows;
	int code = need_client(context);
	if (code != 0)
		return code;
	struct clusterd_client *library = client_library(context->client);
	if (clusterd_catalog_list(library, arguments->values[0], &rows, timeout_of(context), &error) != 0)
		return report_failure(context, &error);
	output_objects(context->form, slice_of(rows), stdout);
	clusterd_free(rows);
	return EXIT_DONE;
}

static void print_change(void *of, const struct clusterd_catalog_change *change, const struct clusterd_error *error)
{
	struct catalog_watch *watch = of;
	if (error != NULL)
		watch->error = *error;
	if (error != NULL || watch->left == 0) {
		watch->over = true;
		return;
	}
	watch->left--;
	printf("{\"index\":%" PRIu64 ",\"table\":\"%s\",\"id\":%" PRIu64 ",\"row\":%.*s}\n", change->index, change->table, change->id,
	       change->row != NULL ? (int)change->row_size : 4, change->row != NULL ? change->row : "null");
	watch->over = watch->left == 0;
}

int run_catalog_watch(struct context *context, const struct arguments *arguments)
{
	struct catalog_watch watch = {.left = UINT64_MAX};
	struct clusterd_catalog_watch_options options = CLUSTERD_CATALOG_WATCH_OPTIONS;
	bool again = true;
	options.tables = arguments->values;
	options.table_count = (size_t)arguments->value_count;
	options.told = print_change;
	options.context = &watch;
	if (arguments->flags[0] != NULL && !parse_number(arguments->flags[0], "an index", &options.from))
		return EXIT_USAGE;
	if (arguments->flags[1] != NULL && !parse_number(arguments->flags[1], "a count", &watch.left))
		return EXIT_USAGE;
	int code = need_client(context);
	if (code != 0)
		return code;
	struct clusterd_client *library = client_library(context->client);
	while (again && watch.left > 0) {
		struct clusterd_catalog_watch *watches = clusterd_catalog_watch_create(library, &options);
		watch.over = false;
		watch.error.code = 0;
		while (!watch.over) {
			fflush(stdout);
			clusterd_client_poll(library, CLUSTERD_NO_TIMEOUT);
		}
		clusterd_catalog_watch_destroy(watches);
		/* Too much has changed since: it begins anew with the state. */
		again = watch.error.code == CLUSTERD_ERR_COMPACTED && options.from == 0;
	}
	fflush(stdout);
	return watch.error.code != 0 ? report_failure(context, &watch.error) : EXIT_DONE;
}
