/* pi_instance: one row for each PiInstance, and what becomes of it. */
#include "base/memory.h"
#include "catalog/catalog.h"
#include "catalog/statement.h"

#include <assert.h>

/* Retention deletes this many rows of calls and history for each instance it may delete, all together: an instance
 * that has more is deleted in several calls. */
#define EXPIRE_ROWS_PER_INSTANCE 64

/* Pages go back to the file system when they are many and a good part of the file; otherwise new rows will use them. */
#define FREE_PAGES_KEPT 2048
#define FREE_PAGES_SHARE 4

int catalog_instance_insert(struct catalog *catalog, const struct catalog_instance *instance)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_INSTANCE_INSERT, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, instance->id);
	bind_text(statement, 2, instance->key);
	bind_name(statement, 3, instance->process);
	bind_number(statement, 4, instance->version);
	bind_name(statement, 5, instance->state);
	bind_text(statement, 6, instance->args);
	bind_text(statement, 7, instance->result);
	bind_text(statement, 8, instance->error);
	bind_number(statement, 9, (uint64_t)instance->started_ms);
	bind_time(statement, 10, instance->finished_ms);
	bind_number(statement, 11, instance->step);
	bind_number(statement, 12, instance->failing);
	bind_text(statement, 13, instance->limits);
	return statement_run(catalog, statement);
}

/* Returns how many rows it changed, or an ERR_. */
static int update(struct catalog *catalog, enum statement_id id, const struct catalog_instance *instance)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, id, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, instance->id);
	bind_name(statement, 2, instance->state);
	bind_text(statement, 3, instance->result);
	bind_text(statement, 4, instance->error);
	bind_number(statement, 5, instance->step);
	bind_number(statement, 6, instance->failing);
	if (id == STATEMENT_INSTANCE_UPDATE)
		bind_time(statement, 7, instance->finished_ms);
	result = statement_run(catalog, statement);
	return result != 0 ? result : sqlite3_changes(catalog->database);
}

int catalog_instance_update(struct catalog *catalog, const struct catalog_instance *instance)
{
	int changed = 0;
	if (instance->finished_ms == 0)
		changed = update(catalog, STATEMENT_INSTANCE_SAVE, instance);
	if (changed == 0) /* it finishes, or it had finished and goes on */
		changed = update(catalog, STATEMENT_INSTANCE_UPDATE, instance);
	if (changed == 0)
		return error_set(&catalog->error, ERR_NOT_FOUND, "no instance %llu", (unsigned long long)instance->id);
	return changed < 0 ? changed : 0;
}

/* Copies a column to the end of the row buffer; the slice gets its place later, when the buffer no longer moves. */
static struct slice keep(struct catalog *catalog, sqlite3_stmt *statement, int index)
{
	struct slice text = column_text(statement, index);
	if (text.data != NULL) {
		buffer_append_slice(&catalog->row, text);
		buffer_append_char(&catalog->row, '\0');
	}
	return text;
}

static const char *place(struct slice *slice, const char *at)
{
	if (slice->data == NULL)
		return at;
	slice->data = at;
	return at + slice->size + 1;
}

int catalog_instance_read(struct catalog *catalog, uint64_t id, struct catalog_instance *ret_instance)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_INSTANCE_READ, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, id);
	result = statement_row(catalog, statement);
	if (result == 1) {
		/* Copied, so that the statement, and with it a read transaction, does not stay open. */
		buffer_clear(&catalog->row);
		struct catalog_instance row = {
			.id = column_number(statement, 0),
			.key = keep(catalog, statement, 1),
			.version = (uint32_t)column_number(statement, 3),
			.started_ms = (msec)column_number(statement, 8),
			.finished_ms = (msec)column_number(statement, 9),
			.step = (uint32_t)column_number(statement, 10),
			.failing = column_number(statement, 11) != 0,
		};
		row.process = keep(catalog, statement, 2);
		row.state = keep(catalog, statement, 4);
		row.args = keep(catalog, statement, 5);
		row.result = keep(catalog, statement, 6);
		row.error = keep(catalog, statement, 7);
		row.limits = keep(catalog, statement, 12);
		const char *at = place(&row.key, catalog->row.data);
		at = place(&row.process, at);
		at = place(&row.state, at);
		at = place(&row.args, at);
		at = place(&row.result, at);
		at = place(&row.error, at);
		place(&row.limits, at);
		*ret_instance = row;
	}
	statement_end(statement);
	if (result == 0)
		return error_set(&catalog->error, ERR_NOT_FOUND, "no instance %llu", (unsigned long long)id);
	return result < 0 ? result : 0;
}

int catalog_instance_by_key(struct catalog *catalog, struct slice key, uint64_t *ret_id)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_INSTANCE_BY_KEY, &statement);
	if (result != 0)
		return result;
	bind_text(statement, 1, key);
	result = statement_row(catalog, statement);
	if (result == 1)
		*ret_id = column_number(statement, 0);
	statement_end(statement);
	if (result == 0)
		return catalog_refuse(catalog, ERR_NOT_FOUND, "no instance with this key");
	return result < 0 ? result : 0;
}

int catalog_instances_open(struct catalog *catalog, uint64_t after, uint64_t *ret_ids, int count)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_INSTANCES_OPEN, &statement);
	if (result != 0)
		return result;
	assert(count >= 0);
	bind_number(statement, 1, after);
	bind_number(statement, 2, (uint64_t)count);
	int found = 0;
	while ((result = statement_row(catalog, statement)) == 1)
		ret_ids[found++] = column_number(statement, 0);
	statement_end(statement);
	return result < 0 ? result : found;
}

/* --- retention ---------------------------------------------------------------------------------------------------- */

/* Deletes an instance's rows of one table, up to *rows of them, and takes them off *rows. */
static int delete_rows(struct catalog *catalog, enum statement_id id, uint64_t instance, int *rows)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, id, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, instance);
	bind_number(statement, 2, (uint64_t)*rows);
	result = statement_run(catalog, statement);
	if (result == 0)
		*rows -= sqlite3_changes(catalog->database);
	return result;
}

static int delete_instance(struct catalog *catalog, uint64_t id, int *rows)
{
	int result = delete_rows(catalog, STATEMENT_CALLS_DELETE, id, rows);
	if (result == 0 && *rows > 0)
		result = delete_rows(catalog, STATEMENT_HISTORY_DELETE, id, rows);
	if (result != 0 || *rows <= 0)
		return result; /* there may be more of it: the rest goes next time */
	result = catalog_signals_drop(catalog, id);
	if (result != 0)
		return result;
	sqlite3_stmt *statement;
	result = statement_get(catalog, STATEMENT_INSTANCE_DELETE, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, id);
	return statement_run(catalog, statement);
}

/* The instance that finished first: 1, 0 when none finished before `before`, or an ERR_. */
static int first_expired(struct catalog *catalog, msec before, uint64_t *ret_id)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_INSTANCES_EXPIRED, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, (uint64_t)before);
	result = statement_row(catalog, statement);
	if (result == 1)
		*ret_id = column_number(statement, 0);
	statement_end(statement);
	return result;
}

static int ask(struct catalog *catalog, enum statement_id id, uint64_t *ret_value)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, id, &statement);
	if (result != 0)
		return result;
	result = statement_row(catalog, statement);
	*ret_value = result == 1 ? column_number(statement, 0) : 0;
	statement_end(statement);
	return result < 0 ? result : 0;
}

static int return_pages(struct catalog *catalog)
{
	uint64_t pages = 0, free_pages = 0;
	int result = ask(catalog, STATEMENT_FREE_PAGES, &free_pages);
	if (result != 0 || free_pages <= FREE_PAGES_KEPT)
		return result;
	result = ask(catalog, STATEMENT_PAGES, &pages);
	if (result != 0 || free_pages <= pages / FREE_PAGES_SHARE)
		return result;
	sqlite3_stmt *statement;
	result = statement_get(catalog, STATEMENT_VACUUM, &statement);
	return result != 0 ? result : statement_run(catalog, statement);
}

int catalog_instances_expire(struct catalog *catalog, msec before, int count)
{
	int deleted = 0;
	int rows = count > INT32_MAX / EXPIRE_ROWS_PER_INSTANCE ? INT32_MAX : count * EXPIRE_ROWS_PER_INSTANCE;
	while (deleted < count && rows > 0) {
		uint64_t id = 0;
		int result = first_expired(catalog, before, &id);
		if (result < 0)
			return result;
		if (result == 0)
			break;
		result = delete_instance(catalog, id, &rows);
		if (result != 0)
			return result;
		if (rows > 0)
			deleted++;
	}
	int result = return_pages(catalog);
	return result != 0 ? result : deleted;
}

int catalog_finished_before(struct catalog *catalog, msec before)
{
	uint64_t id;
	return first_expired(catalog, before, &id);
}
