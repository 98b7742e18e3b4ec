/* pi_call and pi_history: what an instance called, and what happened to it. Clustered by instance. */
#include "catalog/catalog.h"
#include "catalog/statement.h"

int catalog_call_put(struct catalog *catalog, const struct catalog_call *call)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_CALL_PUT, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, call->instance);
	bind_number(statement, 2, call->ref);
	bind_name(statement, 3, call->process);
	bind_name(statement, 4, call->state);
	bind_text(statement, 5, call->args);
	bind_text(statement, 6, call->result);
	bind_text(statement, 7, call->error);
	bind_number(statement, 8, call->attempts);
	bind_text(statement, 9, call->node);
	bind_number(statement, 10, (uint64_t)call->called_ms);
	bind_time(statement, 11, call->returned_ms);
	bind_name(statement, 12, call->kind);
	bind_number(statement, 13, call->version);
	bind_number(statement, 14, call->attempt);
	bind_number(statement, 15, call->step);
	bind_time(statement, 16, call->started_ms);
	bind_time(statement, 17, call->due_ms);
	return statement_run(catalog, statement);
}

static struct catalog_call call_of(sqlite3_stmt *statement)
{
	return (struct catalog_call){
		.instance = column_number(statement, 0),
		.ref = (uint32_t)column_number(statement, 1),
		.process = column_text(statement, 2),
		.state = column_text(statement, 3),
		.args = column_text(statement, 4),
		.result = column_text(statement, 5),
		.error = column_text(statement, 6),
		.attempts = (uint32_t)column_number(statement, 7),
		.node = column_text(statement, 8),
		.called_ms = (msec)column_number(statement, 9),
		.returned_ms = (msec)column_number(statement, 10),
		.kind = column_text(statement, 11),
		.version = (uint32_t)column_number(statement, 12),
		.attempt = column_number(statement, 13),
		.step = (uint32_t)column_number(statement, 14),
		.started_ms = (msec)column_number(statement, 15),
		.due_ms = (msec)column_number(statement, 16),
	};
}

int catalog_calls(struct catalog *catalog, uint64_t instance, enum catalog_call_order order,
                  int (*each)(void *context, const struct catalog_call *call), void *context)
{
	sqlite3_stmt *statement;
	enum statement_id id = order == CATALOG_CALLS_BY_STEP ? STATEMENT_CALLS_BY_STEP : STATEMENT_CALLS_BY_REF;
	int result = statement_get(catalog, id, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, instance);
	while ((result = statement_row(catalog, statement)) == 1) {
		struct catalog_call call = call_of(statement);
		result = each(context, &call);
		if (result != 0)
			break;
	}
	statement_end(statement);
	return result;
}

int catalog_history_append(struct catalog *catalog, uint64_t seq, uint64_t instance, msec time, struct slice kind,
                           uint32_t ref, struct slice detail)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_HISTORY_APPEND, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, seq);
	bind_number(statement, 2, instance);
	bind_number(statement, 3, (uint64_t)time);
	bind_name(statement, 4, kind);
	if (ref != 0)
		bind_number(statement, 5, ref);
	bind_text(statement, 6, detail);
	return statement_run(catalog, statement);
}
