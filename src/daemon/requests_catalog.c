#include "daemon/request.h"

#include "base/arena.h"
#include "base/memory.h"

#include <inttypes.h>
#include <uthash.h>

/* The catalog as a service: tables as this node has applied them, and what has changed of them from a log index on. As with keys, a watch
 * is answered once, and asks again from where it was; so nothing piles up for who does not read. */

#define PAGE_ROWS 1000
#define PAGE_BYTES (1u << 20)
/* Changes of one index are not divided between answers; when there are more, the whole state is the shorter way. */
#define ROWS_MOST 8000
#define BYTES_MOST (3u << 20)
#define TABLE_BITS 8 /* of `more`: which tables; above them the index */

/* --- what is there ------------------------------------------------------------------------------------------------- */

struct listing {
	struct arena arena;
	Clusterd__Wire__CatalogRow *rows[PAGE_ROWS];
	size_t count;
	size_t limit;
	size_t bytes;
	bool truncated;
};

static ProtobufCBinaryData keep_bytes(struct arena *arena, struct slice bytes)
{
	return (ProtobufCBinaryData){bytes.size, (uint8_t *)arena_string(arena, bytes)};
}

static int list_row(void *context, uint64_t id, struct slice row)
{
	struct listing *listing = context;
	if (listing->count >= listing->limit || listing->bytes >= PAGE_BYTES) {
		listing->truncated = true;
		return 1;
	}
	Clusterd__Wire__CatalogRow *to = arena_alloc(&listing->arena, sizeof *to);
	clusterd__wire__catalog_row__init(to);
	to->id = id;
	to->row = keep_bytes(&listing->arena, row);
	listing->rows[listing->count++] = to;
	listing->bytes += row.size;
	return 0;
}

static bool find_table(const struct request *request, const char *name, enum catalog_table *ret_table)
{
	if (catalog_table_find(slice_of(name), ret_table))
		return true;
	request_refuse(request, ERR_NOT_FOUND,
	               "there is no table \"%.100s\": there are executor, job, allocation, topic, publication, subscription and "
	               "member",
	               name);
	return false;
}

static void request_list(const struct request *request)
{
	const Clusterd__Wire__CatalogList *body = request->message->catalog_list;
	struct listing listing = {.limit = body->limit != 0 && body->limit < PAGE_ROWS ? body->limit : PAGE_ROWS};
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__CatalogRows rows = CLUSTERD__WIRE__CATALOG_ROWS__INIT;
	enum catalog_table table;
	if (!find_table(request, body->table, &table))
		return;
	if (body->after >= INT64_MAX) {
		request_refuse(request, ERR_INVALID, "there are no ids behind %" PRIu64, body->after);
		return;
	}
	node_settle(request->node);
	if (request->node->failed)
		return;
	int code = catalog_rows(request->node->catalog, table, body->after + 1, INT64_MAX, list_row, &listing);
	if (code < 0) {
		request_catalog_fails(request);
	} else {
		rows.rows = listing.rows;
		rows.n_rows = listing.count;
		rows.truncated = listing.truncated;
		rows.index = machine_applied_index(request->node->machine);
		response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_CATALOG_ROWS;
		response.catalog_rows = &rows;
		node_respond(request->node, request->connection, request->stream, &response, SLICE(""));
	}
	arena_finish(&listing.arena);
}

/* --- what has changed ---------------------------------------------------------------------------------------------- */

struct changed_row {
	struct {
		uint64_t table, id;
	} key;
	uint64_t index; /* of its last change */
	UT_hash_handle hh;
};

struct changes {
	struct arena arena;
	struct changed_row *rows; /* in the order of their last change */
	Clusterd__Wire__CatalogChange **list;
	size_t count;
	size_t bytes;
	uint64_t next;
};

static void note_row(struct changes *changes, const struct recent_change *change)
{
	struct changed_row *row;
	struct changed_row key = {.key = {(uint64_t)change->table, change->id}};
	HASH_FIND(hh, changes->rows, &key.key, sizeof key.key, row);
	if (row == NULL) {
		row = arena_alloc(&changes->arena, sizeof *row);
		row->key = key.key;
	} else {
		HASH_DELETE(hh, changes->rows, row);
	}
	row->index = change->index;
	HASH_ADD(hh, changes->rows, key, sizeof row->key, row);
}

/* The rows that have changed from `number` on: enough of them, whole indices. */
static void collect(const struct node *node, uint64_t number, uint64_t tables, struct changes *changes)
{
	uint64_t end = catalog_recent_end(node->catalog);
	uint64_t last = 0;
	changes->next = machine_applied_index(node->machine) + 1;
	for (; number < end; number++) {
		struct recent_change change = catalog_recent_change(node->catalog, number);
		if (HASH_COUNT(changes->rows) >= PAGE_ROWS && change.index != last) {
			changes->next = change.index;
			return;
		}
		last = change.index;
		if ((tables & UINT64_C(1) << change.table) != 0)
			note_row(changes, &change);
	}
}

static int take_row(void *context, uint64_t id, struct slice row)
{
	struct changes *changes = context;
	(void)id;
	changes->list[changes->count]->row = keep_bytes(&changes->arena, row);
	changes->bytes += row.size;
	return 0;
}

/* As they are by now. 1: there is too much. */
static int read_rows(struct node *node, struct changes *changes)
{
	if (HASH_COUNT(changes->rows) > ROWS_MOST)
		return 1;
	changes->list = arena_alloc(&changes->arena, HASH_COUNT(changes->rows) * sizeof(Clusterd__Wire__CatalogChange *));
	for (const struct changed_row *row = changes->rows; row != NULL; row = row->hh.next) {
		Clusterd__Wire__CatalogChange *change = arena_alloc(&changes->arena, sizeof *change);
		enum catalog_table table = (enum catalog_table)row->key.table;
		clusterd__wire__catalog_change__init(change);
		change->index = row->index;
		change->table = (char *)(uintptr_t)catalog_table_name(table);
		change->id = row->key.id;
		changes->list[changes->count] = change;
		int code = catalog_rows(node->catalog, table, row->key.id, row->key.id, take_row, changes);
		if (code < 0)
			return code;
		changes->count++;
		if (changes->bytes > BYTES_MOST)
			return 1;
	}
	return 0;
}

static void respond_changes(struct node *node, const struct waiter *waiter, const struct changes *changes)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__CatalogChanges body = CLUSTERD__WIRE__CATALOG_CHANGES__INIT;
	body.changes = changes->list;
	body.n_changes = changes->count;
	body.next = changes->next;
	response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_CATALOG_CHANGES;
	response.catalog_changes = &body;
	node_respond(node, waiter->connection, waiter->stream, &response, SLICE(""));
}

/* No transaction is open. */
static void go_on(struct node *node, struct waiter *waiter, bool late)
{
	struct changes changes = {0};
	struct error error;
	uint64_t from = waiter->more >> TABLE_BITS;
	uint64_t tables = waiter->more & ((1u << TABLE_BITS) - 1);
	uint64_t number = 0;
	int code = catalog_recent_find(node->catalog, from, &number);
	if (code == 0) {
		collect(node, number, tables, &changes);
		code = read_rows(node, &changes);
	}
	if (changes.next < from)
		changes.next = from; /* it asks for what is yet to come */
	if (code == ERR_COMPACTED || code == 1) {
		error_set(&error, ERR_COMPACTED,
		          "what has changed in the catalog from index %" PRIu64
		          " on is compacted: list the tables, and watch from that answer's index + 1",
		          from);
		respond_error(node, waiter->connection, waiter->stream, error.code, slice_of(error.text));
	} else if (code < 0) {
		error_set(&error, ERR_IO, "the catalog cannot be read: %s", catalog_error(node->catalog));
		node_fail(node, &error);
	} else if (changes.count > 0 || late) {
		respond_changes(node, waiter, &changes);
	} else {
		waiter->more = changes.next << TABLE_BITS | tables;
		waiters_add(node->waiters, waiter);
	}
	HASH_CLEAR(hh, changes.rows);
	arena_finish(&changes.arena);
}

static void request_watch(const struct request *request)
{
	struct node *node = request->node;
	const Clusterd__Wire__CatalogWatch *body = request->message->catalog_watch;
	uint64_t tables = body->n_tables == 0 ? (1u << CATALOG_TABLE_COUNT) - 1 : 0;
	for (size_t i = 0; i < body->n_tables; i++) {
		enum catalog_table table;
		if (!find_table(request, body->tables[i], &table))
			return;
		tables |= UINT64_C(1) << table;
	}
	if (body->from >= UINT64_C(1) << 53) {
		request_refuse(request, ERR_INVALID, "there is no index %" PRIu64, body->from);
		return;
	}
	node_settle(node);
	if (node->failed)
		return;
	uint64_t from = body->from != 0 ? body->from : machine_applied_index(node->machine) + 1;
	struct waiter waiter = {
		.kind = WAIT_CATALOG,
		.connection = request->connection,
		.stream = request->stream,
		.more = from << TABLE_BITS | tables,
		.until = MSEC_NEVER,
	};
	if (request->message->timeout_ms != 0)
		waiter.until = node->host->now(node->context) + request->message->timeout_ms;
	go_on(node, &waiter, false);
}

void catalog_watches_late(struct node *node, struct waiter *waiter)
{
	node_settle(node);
	if (!node->failed)
		go_on(node, waiter, true);
}

void catalog_watches_turn(struct node *node)
{
	struct waiter *all = NULL;
	size_t count = 0;
	size_t capacity = 0;
	struct waiter waiter;
	uint64_t end = catalog_recent_end(node->catalog);
	if (machine_is_open(node->machine) || node->installing || end == node->catalog_told)
		return;
	node->catalog_told = end;
	/* Those that find nothing wait again. */
	while (waiters_take(node->waiters, WAIT_CATALOG, 0, 0, &waiter)) {
		mem_grow(all, capacity, count + 1);
		all[count++] = waiter;
	}
	for (size_t i = 0; i < count && !node->failed; i++)
		go_on(node, &all[i], false);
	mem_free(all);
}

bool request_catalog_read(const struct request *request)
{
	switch (request->message->body_case) {
	case CLUSTERD__WIRE__REQUEST__BODY_CATALOG_LIST:
		request_list(request);
		return true;
	case CLUSTERD__WIRE__REQUEST__BODY_CATALOG_WATCH:
		request_watch(request);
		return true;
	default:
		return false;
	}
}
