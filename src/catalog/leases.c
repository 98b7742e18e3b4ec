/* lease and lease_key: what keys live only as long as somebody says so. */
#include "catalog/catalog.h"
#include "catalog/statement.h"

int catalog_lease_put(struct catalog *catalog, const struct catalog_lease *lease)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_LEASE_PUT, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, lease->id);
	bind_number(statement, 2, (uint64_t)lease->ttl);
	bind_name(statement, 3, lease->owner);
	bind_number(statement, 4, (uint64_t)lease->granted_ms);
	bind_text(statement, 5, lease->ending ? SLICE("ending") : SLICE("held"));
	return statement_run(catalog, statement);
}

static int change_lease(struct catalog *catalog, enum statement_id statement_id, uint64_t id)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, statement_id, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, id);
	return statement_run(catalog, statement);
}

int catalog_lease_end(struct catalog *catalog, uint64_t id)
{
	return change_lease(catalog, STATEMENT_LEASE_END, id);
}

int catalog_lease_delete(struct catalog *catalog, uint64_t id)
{
	return change_lease(catalog, STATEMENT_LEASE_DELETE, id);
}

int catalog_leases(struct catalog *catalog, int (*each)(void *context, const struct catalog_lease *lease), void *context)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_LEASES, &statement);
	if (result != 0)
		return result;
	while ((result = statement_row(catalog, statement)) == 1) {
		struct catalog_lease lease = {
			.id = column_number(statement, 0),
			.ttl = (msec)column_number(statement, 1),
			.owner = column_text(statement, 2),
			.granted_ms = (msec)column_number(statement, 3),
			.ending = slice_is(column_text(statement, 4), "ending"),
		};
		result = each(context, &lease);
		if (result != 0)
			break;
	}
	statement_end(statement);
	return result;
}

static int change_lease_key(struct catalog *catalog, enum statement_id id, uint64_t lease, struct slice key)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, id, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, lease);
	bind_text(statement, 2, key);
	return statement_run(catalog, statement);
}

int catalog_lease_key_insert(struct catalog *catalog, uint64_t lease, struct slice key)
{
	return change_lease_key(catalog, STATEMENT_LEASE_KEY_INSERT, lease, key);
}

int catalog_lease_key_delete(struct catalog *catalog, uint64_t lease, struct slice key)
{
	return change_lease_key(catalog, STATEMENT_LEASE_KEY_DELETE, lease, key);
}

int catalog_lease_key_first(struct catalog *catalog, uint64_t lease, struct buffer *ret_key)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_LEASE_KEY_FIRST, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, lease);
	result = statement_row(catalog, statement);
	if (result == 1)
		buffer_append_slice(ret_key, column_text(statement, 0));
	statement_end(statement);
	return result;
}
