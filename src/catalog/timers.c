/* timer and signal: what instances wait for besides calls. */
#include "catalog/catalog.h"
#include "catalog/statement.h"

#include <assert.h>

static int change_timer(struct catalog *catalog, enum statement_id id, msec due, uint64_t instance, uint32_t ref)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, id, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, (uint64_t)due);
	bind_number(statement, 2, instance);
	bind_number(statement, 3, ref);
	return statement_run(catalog, statement);
}

int catalog_timer_insert(struct catalog *catalog, msec due, uint64_t instance, uint32_t ref)
{
	return change_timer(catalog, STATEMENT_TIMER_INSERT, due, instance, ref);
}

int catalog_timer_delete(struct catalog *catalog, msec due, uint64_t instance, uint32_t ref)
{
	return change_timer(catalog, STATEMENT_TIMER_DELETE, due, instance, ref);
}

int catalog_timer_next(struct catalog *catalog, msec *ret_due)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_TIMER_NEXT, &statement);
	if (result != 0)
		return result;
	result = statement_row(catalog, statement);
	if (result >= 0)
		*ret_due = result == 1 ? (msec)column_number(statement, 0) : MSEC_NEVER;
	statement_end(statement);
	return result < 0 ? result : 0;
}

int catalog_timers_due(struct catalog *catalog, msec now, struct catalog_timer *ret_timers, int count)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_TIMERS_DUE, &statement);
	if (result != 0)
		return result;
	assert(count >= 0);
	bind_number(statement, 1, (uint64_t)now);
	bind_number(statement, 2, (uint64_t)count);
	int found = 0;
	while ((result = statement_row(catalog, statement)) == 1)
		ret_timers[found++] = (struct catalog_timer){
			.due = (msec)column_number(statement, 0),
			.instance = column_number(statement, 1),
			.ref = (uint32_t)column_number(statement, 2),
		};
	statement_end(statement);
	return result < 0 ? result : found;
}

int catalog_signal_push(struct catalog *catalog, uint64_t instance, struct slice name, struct slice key, uint64_t seq,
                        struct slice value)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_SIGNAL_PUSH, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, instance);
	bind_name(statement, 2, name);
	bind_name(statement, 3, key);
	bind_number(statement, 4, seq);
	bind_name(statement, 5, value);
	return statement_run(catalog, statement);
}

/* 1: found, 0: none, or an ERR_. */
static int first_signal(struct catalog *catalog, uint64_t instance, struct slice name, struct slice key,
                        uint64_t *ret_seq, struct buffer *ret_value)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_SIGNAL_FIRST, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, instance);
	bind_name(statement, 2, name);
	bind_name(statement, 3, key);
	result = statement_row(catalog, statement);
	if (result == 1) {
		*ret_seq = column_number(statement, 0);
		buffer_clear(ret_value);
		buffer_append_slice(ret_value, column_text(statement, 1));
	}
	statement_end(statement);
	return result;
}

int catalog_signal_pop(struct catalog *catalog, uint64_t instance, struct slice name, struct slice key,
                       struct buffer *ret_value)
{
	uint64_t seq = 0;
	int result = first_signal(catalog, instance, name, key, &seq, ret_value);
	if (result < 0)
		return result;
	if (result == 0)
		return catalog_refuse(catalog, ERR_NOT_FOUND, "no such signal waits");
	sqlite3_stmt *statement;
	result = statement_get(catalog, STATEMENT_SIGNAL_DELETE, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, instance);
	bind_name(statement, 2, name);
	bind_name(statement, 3, key);
	bind_number(statement, 4, seq);
	return statement_run(catalog, statement);
}

int catalog_signals_drop(struct catalog *catalog, uint64_t instance)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_SIGNALS_DROP, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, instance);
	return statement_run(catalog, statement);
}
