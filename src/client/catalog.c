#include "client/watcher.h"

#include "base/memory.h"

#include <assert.h>
#include <string.h>

/* The catalog as a service. A watch asks for what has changed from an index on, again and again. Where the state comes first, it lists
 * tables page by page, of which each says as of which index it is: what a page has already is not told again. */

#define TABLES_MAX 16

static const char *const all_tables[] = {"executor", "job", "allocation", "topic", "publication", "subscription", "member"};
#define TABLE_COUNT (sizeof all_tables / sizeof all_tables[0])

struct page {
	size_t table;
	uint64_t last; /* id; UINT64_MAX: to the end */
	uint64_t index;
};

struct clusterd_catalog_watch {
	struct watcher watcher;
	char *tables[TABLES_MAX];
	size_t table_count;
	bool lists;   /* the state comes first */
	size_t table; /* that is listed */
	uint64_t after; /* id; of that table */
	struct page *pages;
	size_t page_count;
	size_t page_room;
	uint64_t from;  /* 0: not known yet */
	uint64_t known; /* the latest index of a page */
	clusterd_catalog_told *told;
	void *context;
};

static void ask(struct clusterd_catalog_watch *watch);

static void watch_free(struct watcher *watcher)
{
	struct clusterd_catalog_watch *watch = (struct clusterd_catalog_watch *)watcher;
	for (size_t i = 0; i < watch->table_count; i++)
		mem_free(watch->tables[i]);
	mem_free(watch->pages);
	mem_free(watch);
}

/* false: it was destroyed. */
static bool tell(struct clusterd_catalog_watch *watch, const struct clusterd_catalog_change *change,
                 const struct clusterd_error *error)
{
	watcher_tells(&watch->watcher);
	watch->told(watch->context, change, error);
	return watcher_told(&watch->watcher);
}

static void end(struct watcher *watcher, const struct clusterd_error *why)
{
	tell((struct clusterd_catalog_watch *)watcher, NULL, why);
}

/* --- what is there ------------------------------------------------------------------------------------------------- */

static void ask_rows(Clusterd__Wire__Request *message, Clusterd__Wire__CatalogList *body, const char *table, uint64_t after)
{
	clusterd__wire__request__init(message);
	clusterd__wire__catalog_list__init(body);
	body->table = (char *)(uintptr_t)table;
	body->after = after;
	message->body_case = CLUSTERD__WIRE__REQUEST__BODY_CATALOG_LIST;
	message->catalog_list = body;
}

/* The id behind which the next page begins; UINT64_MAX: there is none. */
static uint64_t rows_last(const Clusterd__Wire__CatalogRows *rows)
{
	return rows->truncated && rows->n_rows > 0 ? rows->rows[rows->n_rows - 1]->id : UINT64_MAX;
}

static void take_rows(void *context, struct clusterd_reply *reply, const struct error *error)
{
	struct clusterd_catalog_watch *watch = context;
	if (!watcher_has(&watch->watcher, reply, error, CLUSTERD__WIRE__RESPONSE__BODY_CATALOG_ROWS))
		return;
	const Clusterd__Wire__CatalogRows *rows = reply->response->catalog_rows;
	for (size_t i = 0; i < rows->n_rows; i++) {
		struct clusterd_catalog_change change = {
			.index = rows->index,
			.table = watch->tables[watch->table],
			.id = rows->rows[i]->id,
			.row = (const char *)rows->rows[i]->row.data,
			.row_size = rows->rows[i]->row.len,
			.state = true,
		};
		if (!tell(watch, &change, NULL))
			return;
	}
	mem_grow(watch->pages, watch->page_room, watch->page_count + 1);
	watch->pages[watch->page_count++] = (struct page){watch->table, rows_last(rows), rows->index};
	/* Pages may come from several nodes, of which one has applied less than another. */
	if (watch->from == 0 || rows->index + 1 < watch->from)
		watch->from = rows->index + 1;
	if (rows->index > watch->known)
		watch->known = rows->index;
	watch->after = rows_last(rows);
	if (watch->after == UINT64_MAX) {
		watch->table++;
		watch->after = 0;
	}
	watch->lists = watch->table < watch->table_count;
	ask(watch);
}

static void list(struct clusterd_catalog_watch *watch)
{
	Clusterd__Wire__Request message;
	Clusterd__Wire__CatalogList body;
	ask_rows(&message, &body, watch->tables[watch->table], watch->after);
	watch->watcher.request = request_begin(watch->watcher.client, &message, SLICE(""), CLUSTERD_NO_TIMEOUT, take_rows, watch);
}

int clusterd_catalog_list(struct clusterd_client *client, const char *table, char **ret_json, int timeout_ms,
                          struct clusterd_error *error)
{
	struct buffer rows = BUFFER_EMPTY;
	uint64_t after = 0;
	buffer_append_char(&rows, '[');
	while (after != UINT64_MAX) {
		Clusterd__Wire__Request message;
		Clusterd__Wire__CatalogList body;
		struct clusterd_reply *reply;
		ask_rows(&message, &body, table, after);
		int code = request_ask_for(client, &message, SLICE(""), timeout_ms, CLUSTERD__WIRE__RESPONSE__BODY_CATALOG_ROWS,
		                           &reply, error);
		if (code != 0) {
			buffer_finish(&rows);
			return code;
		}
		const Clusterd__Wire__CatalogRows *page = reply->response->catalog_rows;
		for (size_t i = 0; i < page->n_rows; i++) {
			if (rows.size > 1)
				buffer_append_char(&rows, ',');
			buffer_append(&rows, page->rows[i]->row.data, page->rows[i]->row.len);
		}
		after = rows_last(page);
		clusterd_reply_destroy(reply);
	}
	buffer_append_char(&rows, ']');
	buffer_append_char(&rows, '\0');
	*ret_json = rows.data;
	return 0;
}

/* --- what changes -------------------------------------------------------------------------------------------------- */

static bool is_new(const struct clusterd_catalog_watch *watch, const Clusterd__Wire__CatalogChange *change)
{
	for (size_t i = 0; i < watch->page_count; i++) {
		const struct page *page = &watch->pages[i];
		if (strcmp(watch->tables[page->table], change->table) == 0 && change->id <= page->last)
			return change->index > page->index;
	}
	return true;
}

static void take_changes(void *context, struct clusterd_reply *reply, const struct error *error)
{
	struct clusterd_catalog_watch *watch = context;
	if (!watcher_has(&watch->watcher, reply, error, CLUSTERD__WIRE__RESPONSE__BODY_CATALOG_CHANGES))
		return;
	const Clusterd__Wire__CatalogChanges *changes = reply->response->catalog_changes;
	for (size_t i = 0; i < changes->n_changes; i++) {
		const Clusterd__Wire__CatalogChange *of = changes->changes[i];
		struct clusterd_catalog_change change = {
			.index = of->index,
			.table = of->table,
			.id = of->id,
			.row = of->row.len != 0 ? (const char *)of->row.data : NULL,
			.row_size = of->row.len,
		};
		if (is_new(watch, of) && !tell(watch, &change, NULL))
			return;
	}
	watch->from = changes->next > watch->from ? changes->next : watch->from;
	if (watch->from > watch->known)
		watch->page_count = 0; /* whatever comes now is new */
	ask(watch);
}

static void follow(struct clusterd_catalog_watch *watch)
{
	Clusterd__Wire__Request message = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__CatalogWatch body = CLUSTERD__WIRE__CATALOG_WATCH__INIT;
	body.tables = watch->tables;
	body.n_tables = watch->table_count;
	body.from = watch->from;
	message.body_case = CLUSTERD__WIRE__REQUEST__BODY_CATALOG_WATCH;
	message.catalog_watch = &body;
	watch->watcher.request = request_begin(watch->watcher.client, &message, SLICE(""), WATCHER_FOLLOW_MS, take_changes, watch);
}

static void ask(struct clusterd_catalog_watch *watch)
{
	if (watch->lists)
		list(watch);
	else
		follow(watch);
}

static void ask_again(struct watcher *watcher)
{
	ask((struct clusterd_catalog_watch *)watcher);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

struct clusterd_catalog_watch *clusterd_catalog_watch_create(struct clusterd_client *client,
                                                             const struct clusterd_catalog_watch_options *options)
{
	static const struct watcher_kind kind = {ask_again, end, watch_free};
	struct clusterd_catalog_watch_options known = CLUSTERD_CATALOG_WATCH_OPTIONS;
	struct clusterd_catalog_watch *watch = mem_zero(sizeof *watch);
	memcpy(&known, options, options->size < sizeof known ? options->size : sizeof known);
	assert(known.told != NULL && known.table_count <= TABLES_MAX);
	const char *const *tables = known.table_count != 0 ? known.tables : all_tables;
	watcher_init(&watch->watcher, &kind, client);
	watch->table_count = known.table_count != 0 ? known.table_count : TABLE_COUNT;
	for (size_t i = 0; i < watch->table_count; i++)
		watch->tables[i] = mem_string(tables[i]);
	watch->from = known.from;
	watch->told = known.told;
	watch->context = known.context;
	watch->lists = watch->from == 0;
	ask(watch);
	return watch;
}

void clusterd_catalog_watch_destroy(struct clusterd_catalog_watch *watch)
{
	watcher_destroy((struct watcher *)watch);
}

uint64_t clusterd_catalog_watch_index(const struct clusterd_catalog_watch *watch)
{
	return watch->lists ? 0 : watch->from;
}
