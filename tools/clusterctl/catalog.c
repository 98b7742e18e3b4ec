#include "command.h"

#include "base/json.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The catalog as a service: tables, and what changes in them. */

#define FOLLOW_MS 10000 /* one request waits so long for changes */

static const char *const tables[] = {"executor", "job", "allocation", "topic", "publication", "subscription", "member"};
#define TABLE_COUNT (sizeof tables / sizeof tables[0])

/* A page of a table that was listed: changes up to its index are in it. */
struct page {
	const char *table;
	uint64_t last; /* id; UINT64_MAX: to the end */
	uint64_t index;
};

struct catalog_watch {
	struct context *context;
	const char *const *tables;
	size_t table_count;
	struct page *pages;
	size_t page_count;
	size_t page_room;
	uint64_t from;
	uint64_t left; /* lines to be printed */
};

static struct slice bytes_of(ProtobufCBinaryData bytes)
{
	return (struct slice){(const char *)bytes.data, bytes.len};
}

/* --- lists --------------------------------------------------------------------------------------------------------- */

static int ask_page(struct context *context, const char *table, uint64_t after, struct reply *ret_reply)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__CatalogList body = CLUSTERD__WIRE__CATALOG_LIST__INIT;
	body.table = (char *)(uintptr_t)table;
	body.after = after;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_CATALOG_LIST;
	request.catalog_list = &body;
	int code = client_ask(context->client, &request, SLICE(""), ret_reply, &context->error);
	if (code != 0)
		return code;
	if (ret_reply->response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_CATALOG_ROWS)
		return 0;
	reply_finish(ret_reply);
	return error_set(&context->error, ERR_INVALID, "the node has answered something else than was asked");
}

int run_catalog_list(struct context *context, const struct arguments *arguments)
{
	struct buffer rows = BUFFER_EMPTY;
	struct reply reply;
	uint64_t after = 0;
	bool more = true;
	int code = need_client(context);
	if (code != 0)
		return code;
	buffer_append_char(&rows, '[');
	while (more) {
		if (ask_page(context, arguments->values[0], after, &reply) != 0) {
			buffer_finish(&rows);
			return report(context);
		}
		const Clusterd__Wire__CatalogRows *page = reply.response->catalog_rows;
		for (size_t i = 0; i < page->n_rows; i++) {
			if (rows.size > 1)
				buffer_append_char(&rows, ',');
			buffer_append_slice(&rows, bytes_of(page->rows[i]->row));
			after = page->rows[i]->id;
		}
		more = page->truncated && page->n_rows > 0;
		reply_finish(&reply);
	}
	buffer_append_char(&rows, ']');
	output_objects(context->form, buffer_slice(&rows), stdout);
	buffer_finish(&rows);
	return EXIT_DONE;
}

/* --- watches ------------------------------------------------------------------------------------------------------- */

static void print_change(struct catalog_watch *watch, uint64_t index, const char *table, uint64_t id, struct slice row)
{
	if (watch->left == 0)
		return;
	watch->left--;
	printf("{\"index\":%" PRIu64 ",\"table\":\"%s\",\"id\":%" PRIu64 ",\"row\":%.*s}\n", index, table, id,
	       row.size != 0 ? (int)row.size : 4, row.size != 0 ? row.data : "null");
}

/* The state, from which on it watches. */
static int list(struct catalog_watch *watch)
{
	struct reply reply;
	watch->from = 0;
	watch->page_count = 0;
	for (size_t i = 0; i < watch->table_count; i++) {
		uint64_t after = 0;
		bool more = true;
		while (more) {
			int code = ask_page(watch->context, watch->tables[i], after, &reply);
			if (code != 0)
				return code;
			const Clusterd__Wire__CatalogRows *page = reply.response->catalog_rows;
			for (size_t j = 0; j < page->n_rows; j++) {
				after = page->rows[j]->id;
				print_change(watch, page->index, watch->tables[i], after, bytes_of(page->rows[j]->row));
			}
			more = page->truncated && page->n_rows > 0;
			mem_grow(watch->pages, watch->page_room, watch->page_count + 1);
			watch->pages[watch->page_count++] = (struct page){watch->tables[i], more ? after : UINT64_MAX, page->index};
			if (watch->from == 0 || page->index + 1 < watch->from)
				watch->from = page->index + 1;
			reply_finish(&reply);
		}
	}
	return 0;
}

static bool is_new(const struct catalog_watch *watch, const Clusterd__Wire__CatalogChange *change)
{
	for (size_t i = 0; i < watch->page_count; i++) {
		const struct page *page = &watch->pages[i];
		if (strcmp(page->table, change->table) == 0 && change->id <= page->last)
			return change->index > page->index;
	}
	return true;
}

static int follow(struct catalog_watch *watch)
{
	struct context *context = watch->context;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__CatalogWatch body = CLUSTERD__WIRE__CATALOG_WATCH__INIT;
	struct reply reply;
	body.tables = (char **)(uintptr_t)watch->tables;
	body.n_tables = watch->table_count;
	body.from = watch->from;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_CATALOG_WATCH;
	request.catalog_watch = &body;
	client_set_timeout(context->client, FOLLOW_MS);
	int code = client_ask(context->client, &request, SLICE(""), &reply, &context->error);
	if (code != 0)
		return code == ERR_TIMEOUT ? 0 : code;
	const Clusterd__Wire__CatalogChanges *changes = reply.response->catalog_changes;
	if (reply.response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_CATALOG_CHANGES) {
		for (size_t i = 0; i < changes->n_changes; i++) {
			if (is_new(watch, changes->changes[i]))
				print_change(watch, changes->changes[i]->index, changes->changes[i]->table, changes->changes[i]->id,
				             bytes_of(changes->changes[i]->row));
		}
		watch->from = changes->next;
	}
	reply_finish(&reply);
	return 0;
}

int run_catalog_watch(struct context *context, const struct arguments *arguments)
{
	struct catalog_watch watch = {.context = context, .tables = tables, .table_count = TABLE_COUNT, .left = UINT64_MAX};
	bool resumes = arguments->flags[0] != NULL;
	if (arguments->value_count > 0) {
		watch.tables = arguments->values;
		watch.table_count = (size_t)arguments->value_count;
	}
	if (resumes && !parse_number(arguments->flags[0], "an index", &watch.from))
		return EXIT_USAGE;
	if (arguments->flags[1] != NULL && !parse_number(arguments->flags[1], "a count", &watch.left))
		return EXIT_USAGE;
	int code = need_client(context);
	if (code != 0)
		return code;
	if (!resumes)
		code = list(&watch);
	fflush(stdout);
	while (code == 0 && watch.left > 0) {
		code = follow(&watch);
		/* Too much has changed since: it begins anew with the state. */
		if (code == ERR_COMPACTED && !resumes)
			code = list(&watch);
		fflush(stdout);
	}
	mem_free(watch.pages);
	return code == 0 ? EXIT_DONE : report(context);
}
