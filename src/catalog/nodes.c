/* node: the members, as the leader has written them down. */
#include "catalog/catalog.h"
#include "catalog/statement.h"

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
			.cpu = (uint32_t)column_number(statement, 8),
			.memory = column_number(statement, 9),
			.port_low = (uint32_t)column_number(statement, 10),
			.port_high = (uint32_t)column_number(statement, 11),
			.eligible = column_number(statement, 12) != 0,
			.drain = column_text(statement, 13),
			.drain_until_ms = (msec)column_number(statement, 14),
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
	bind_id(statement, 9, node->cpu);
	bind_id(statement, 10, node->memory);
	bind_id(statement, 11, node->port_low);
	bind_id(statement, 12, node->port_high);
	return statement_run(catalog, statement);
}

int catalog_node_eligible(struct catalog *catalog, uint64_t id, bool eligible)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_NODE_ELIGIBLE, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, id);
	bind_number(statement, 2, eligible);
	return statement_run(catalog, statement);
}

int catalog_node_drain(struct catalog *catalog, uint64_t id, struct slice drain, msec until)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_NODE_DRAIN, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, id);
	bind_text(statement, 2, drain);
	bind_time(statement, 3, until);
	return statement_run(catalog, statement);
}
