/* session and node: who speaks to the cluster, and of whom it consists. */
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

int catalog_nodes(struct catalog *catalog, void (*each)(void *context, const struct catalog_node *node), void *context)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_NODES, &statement);
	if (result != 0)
		return result;
	while ((result = statement_row(catalog, statement)) == 1) {
		struct catalog_node row = {
			.id = column_number(statement, 0),
			.name = column_text(statement, 1),
			.role = column_text(statement, 2),
			.address = column_text(statement, 3),
			.datacenter = column_text(statement, 4),
			.state = column_text(statement, 5),
			.generation = column_number(statement, 6),
			.tags = column_text(statement, 7),
		};
		each(context, &row);
	}
	statement_end(statement);
	return result;
}

int catalog_node_put(struct catalog *catalog, const struct catalog_node *node)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_NODE_PUT, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, node->id);
	bind_name(statement, 2, node->name);
	bind_name(statement, 3, node->role);
	bind_text(statement, 4, node->address);
	bind_text(statement, 5, node->datacenter);
	bind_name(statement, 6, node->state);
	bind_number(statement, 7, node->generation);
	bind_text(statement, 8, node->tags);
	return statement_run(catalog, statement);
}
