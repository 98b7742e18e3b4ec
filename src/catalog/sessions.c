/* session: who speaks to the cluster. */
#include "catalog/catalog.h"
#include "catalog/statement.h"

int catalog_session_put(struct catalog *catalog, uint64_t id, msec opened, uint64_t answered_below,
                        struct slice answers)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_SESSION_PUT, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, id);
	bind_number(statement, 2, (uint64_t)opened);
	bind_number(statement, 3, answered_below);
	bind_name(statement, 4, answers);
	return statement_run(catalog, statement);
}

int catalog_session_delete(struct catalog *catalog, uint64_t id)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_SESSION_DELETE, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, id);
	return statement_run(catalog, statement);
}

int catalog_sessions(struct catalog *catalog,
                     int (*each)(void *context, uint64_t id, msec opened, uint64_t answered_below,
                                 struct slice answers),
                     void *context)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_SESSIONS, &statement);
	if (result != 0)
		return result;
	while ((result = statement_row(catalog, statement)) == 1) {
		result = each(context, column_number(statement, 0), (msec)column_number(statement, 1),
		              column_number(statement, 2), column_text(statement, 3));
		if (result != 0)
			break;
	}
	statement_end(statement);
	return result;
}
