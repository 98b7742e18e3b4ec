/* session: who speaks to the cluster. */
#include "catalog/catalog.h"
#include "catalog/statement.h"

int catalog_session_put(struct catalog *catalog, const struct catalog_session *session)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_SESSION_PUT, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, session->id);
	bind_number(statement, 2, (uint64_t)session->opened_ms);
	bind_number(statement, 3, session->answered_below);
	bind_name(statement, 4, session->answers);
	bind_time(statement, 5, session->ttl);
	bind_text(statement, 6, session->proof);
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

int catalog_sessions(struct catalog *catalog, int (*each)(void *context, const struct catalog_session *session), void *context)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_SESSIONS, &statement);
	if (result != 0)
		return result;
	while ((result = statement_row(catalog, statement)) == 1) {
		struct catalog_session session = {
			.id = column_number(statement, 0),
			.opened_ms = (msec)column_number(statement, 1),
			.answered_below = column_number(statement, 2),
			.answers = column_text(statement, 3),
			.ttl = (msec)column_number(statement, 4),
			.proof = column_text(statement, 5),
		};
		result = each(context, &session);
		if (result != 0)
			break;
	}
	statement_end(statement);
	return result;
}
