#include "sim/sim_topics.h"

#include "base/memory.h"
#include "sim/sim_audit.h"

#include <inttypes.h>
#include <uthash.h>

/* Who watches a table of the catalog: begins with all of it, then takes each row that has changed, from whichever node it is connected to,
 * and goes on where it was when the connection has broken. Nothing is told twice or in disorder; what it has at the end is the table. */

#define WATCHERS 2
#define LONGEST_MS 2000 /* that a node lets it wait */
static const char *const tables[WATCHERS] = {"publication", "topic"};

struct watched_row {
	uint64_t id;
	uint64_t index; /* of its last change */
	UT_hash_handle hh;
};

struct watcher {
	const char *table;
	struct server *server;
	uint64_t connection; /* 0: none */
	uint32_t stream;     /* 0: nothing is asked */
	msec sent;
	uint64_t from;       /* what it has not been told so far; 0: all of it */
	struct watched_row *rows;
};

static struct watcher watchers[WATCHERS];

static void forget_rows(struct watcher *watcher)
{
	struct watched_row *row;
	struct watched_row *next;
	HASH_ITER (hh, watcher->rows, row, next) {
		HASH_DELETE(hh, watcher->rows, row);
		mem_free(row);
	}
}

static struct watched_row *row_of(struct watcher *watcher, uint64_t id)
{
	struct watched_row *row;
	HASH_FIND(hh, watcher->rows, &id, sizeof id, row);
	return row;
}

static void set_row(struct watcher *watcher, uint64_t id, uint64_t index)
{
	struct watched_row *row = row_of(watcher, id);
	if (row == NULL) {
		row = mem_zero(sizeof *row);
		row->id = id;
		HASH_ADD(hh, watcher->rows, id, sizeof row->id, row);
	}
	row->index = index;
}

static void ask(struct sim *sim, struct watcher *watcher)
{
	Clusterd__Wire__Request message = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__CatalogList list = CLUSTERD__WIRE__CATALOG_LIST__INIT;
	Clusterd__Wire__CatalogWatch watch = CLUSTERD__WIRE__CATALOG_WATCH__INIT;
	char *table = (char *)(uintptr_t)watcher->table;
	if (watcher->from == 0) {
		message.body_case = CLUSTERD__WIRE__REQUEST__BODY_CATALOG_LIST;
		message.catalog_list = &list;
		list.table = table;
	} else {
		message.body_case = CLUSTERD__WIRE__REQUEST__BODY_CATALOG_WATCH;
		message.catalog_watch = &watch;
		message.timeout_ms = LONGEST_MS;
		watch.tables = &table;
		watch.n_tables = 1;
		watch.from = watcher->from;
	}
	watcher->stream = 1 + (uint32_t)(sim->next_connection++ & UINT32_MAX);
	watcher->sent = sim->now;
	watcher->server->touched = true;
	node_request(watcher->server->node, watcher->connection, watcher->stream, &message, SLICE(""));
}

static void take_list(struct sim *sim, struct watcher *watcher, const Clusterd__Wire__CatalogRows *rows)
{
	if (rows->truncated)
		sim_fail(sim, "table %s has more rows than a page", watcher->table);
	forget_rows(watcher);
	for (size_t i = 0; i < rows->n_rows; i++)
		set_row(watcher, rows->rows[i]->id, rows->index);
	watcher->from = rows->index + 1;
}

static void take_changes(struct sim *sim, struct watcher *watcher, const Clusterd__Wire__CatalogChanges *changes)
{
	uint64_t last = watcher->from;
	for (size_t i = 0; i < changes->n_changes; i++) {
		const Clusterd__Wire__CatalogChange *change = changes->changes[i];
		struct watched_row *row = row_of(watcher, change->id);
		if (strcmp(change->table, watcher->table) != 0)
			sim_fail(sim, "who watches %s is told of %s", watcher->table, change->table);
		if (change->index < last || change->index >= changes->next)
			sim_fail(sim, "who watches %s from entry %" PRIu64 " is told of one that changed with entry %" PRIu64
			         " after entry %" PRIu64 ", and is to go on from %" PRIu64, watcher->table, watcher->from,
			         change->index, last, changes->next);
		if (row != NULL && row->index >= change->index)
			sim_fail(sim, "row %" PRIu64 " of %s is told to have changed with entry %" PRIu64 ", and was told before",
			         change->id, watcher->table, change->index);
		last = change->index;
		if (change->row.len != 0) {
			set_row(watcher, change->id, change->index);
		} else if (row != NULL) {
			HASH_DELETE(hh, watcher->rows, row);
			mem_free(row);
		}
	}
	if (changes->next < watcher->from)
		sim_fail(sim, "who watches %s from entry %" PRIu64 " is to go on from %" PRIu64, watcher->table, watcher->from,
		         changes->next);
	watcher->from = changes->next;
}

static void take(struct sim *sim, struct watcher *watcher, const Clusterd__Wire__Response *response)
{
	int code = response->error != NULL ? response->error->code : 0;
	watcher->stream = 0;
	if (code == ERR_COMPACTED) {
		watcher->from = 0;
	} else if (code != 0) {
		bool disk = (code == ERR_IO || code == ERR_NO_SPACE) && (watcher->server->may_break || watcher->server->cut_in_catalog);
		if (code != ERR_BUSY && code != ERR_CLOSED && code != ERR_NOT_LEADER && code != ERR_TIMEOUT && !disk)
			sim_fail(sim, "who watches %s is refused: %s", watcher->table, response->error->text);
	} else if (response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_CATALOG_ROWS) {
		take_list(sim, watcher, response->catalog_rows);
	} else {
		take_changes(sim, watcher, response->catalog_changes);
	}
}

bool watchers_response(struct server *server, uint64_t connection, uint32_t stream, const Clusterd__Wire__Response *response)
{
	for (size_t i = 0; i < WATCHERS; i++) {
		if (watchers[i].connection != connection || connection == 0)
			continue;
		if (watchers[i].stream == stream)
			take(server->sim, &watchers[i], response);
		return true;
	}
	return false;
}

static void forget_connection(struct watcher *watcher)
{
	watcher->server = NULL;
	watcher->connection = 0;
	watcher->stream = 0;
}

static void leave(struct watcher *watcher)
{
	struct server *server = watcher->server;
	uint64_t connection = watcher->connection;
	forget_connection(watcher);
	if (server_answers(server)) {
		server->touched = true;
		node_connection_closed(server->node, connection);
	} else if (server_is_up(server)) {
		server_closes_later(server, connection);
	}
}

static void act(void *subject, uint64_t which, uint64_t unused)
{
	struct sim *sim = subject;
	struct watcher *watcher = &watchers[which];
	(void)unused;
	sim_after(sim, 10 + (msec)sim_below(sim, 500), act, which, 0);
	if (watcher->server == NULL) {
		struct server *server = machines_some(sim);
		if (!server_answers(server))
			return;
		watcher->server = server;
		watcher->connection = sim->next_connection++;
	}
	bool late = watcher->stream != 0 && sim->now - watcher->sent > 2 * LONGEST_MS;
	if (late || (sim_faulty(sim, SIM_CLIENTS) && sim_chance(sim, 1)))
		leave(watcher);
	else if (watcher->stream == 0 && server_answers(watcher->server))
		ask(sim, watcher);
}

void watchers_down(const struct server *server)
{
	for (size_t i = 0; i < WATCHERS; i++) {
		if (watchers[i].server == server)
			forget_connection(&watchers[i]);
	}
}

bool watchers_know(uint64_t index)
{
	for (size_t i = 0; i < WATCHERS; i++) {
		if (watchers[i].from <= index)
			return false;
	}
	return true;
}

void watchers_audit(struct sim *sim, sqlite3 *database)
{
	for (size_t i = 0; i < WATCHERS; i++) {
		char *sql = mem_format("SELECT id FROM %s", watchers[i].table);
		sqlite3_stmt *statement = audit_prepare(sim, database, sql);
		size_t count = 0;
		for (; audit_row(sim, database, statement); count++) {
			uint64_t id = (uint64_t)sqlite3_column_int64(statement, 0);
			if (row_of(&watchers[i], id) == NULL)
				sim_fail(sim, "row %" PRIu64 " of %s is there, and who watches it was never told", id, watchers[i].table);
		}
		if (count != HASH_COUNT(watchers[i].rows))
			sim_fail(sim, "who watches %s has %u rows, and there are %zu", watchers[i].table, HASH_COUNT(watchers[i].rows),
			         count);
		sqlite3_finalize(statement);
		mem_free(sql);
	}
}

void watchers_init(struct sim *sim)
{
	for (uint64_t i = 0; i < WATCHERS; i++) {
		watchers[i].table = tables[i];
		sim_after(sim, (msec)sim_below(sim, 400), act, i, 0);
	}
}

void watchers_finish(void)
{
	for (size_t i = 0; i < WATCHERS; i++)
		forget_rows(&watchers[i]);
}
