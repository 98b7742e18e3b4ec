/* kv and kv_change: keys with their values, and what happened to them of late. */
#include "catalog/catalog.h"
#include "catalog/statement.h"

#include "base/utf8.h"

/* What people can read is text, so that they see it; whatever else is a blob. */
static void bind_value(sqlite3_stmt *statement, int index, struct slice value)
{
	if (value.data == NULL)
		sqlite3_bind_null(statement, index);
	else if (utf8_is_text(value))
		bind_text(statement, index, value);
	else
		bind_bytes(statement, index, value);
}

static void bind_key(sqlite3_stmt *statement, const struct catalog_key *key)
{
	bind_text(statement, 1, key->key);
	bind_value(statement, 2, key->value);
	bind_number(statement, 3, key->version);
	bind_id(statement, 4, key->lease);
	bind_number(statement, 5, key->created);
}

static struct catalog_key column_key(sqlite3_stmt *statement)
{
	return (struct catalog_key){
		.key = column_text(statement, 0),
		.value = column_bytes(statement, 1),
		.version = column_number(statement, 2),
		.lease = column_number(statement, 3),
		.created = column_number(statement, 4),
	};
}

int catalog_key_read(struct catalog *catalog, struct slice key, struct catalog_key *ret_key, struct buffer *ret_value)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_KEY_READ, &statement);
	if (result != 0)
		return result;
	bind_text(statement, 1, key);
	result = statement_row(catalog, statement);
	if (result == 1) {
		struct catalog_key found = column_key(statement);
		buffer_append_slice(ret_value, found.value);
		*ret_key = (struct catalog_key){.version = found.version, .lease = found.lease, .created = found.created};
	}
	statement_end(statement);
	return result;
}

int catalog_key_stat(struct catalog *catalog, struct slice key, struct catalog_key *ret_key)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_KEY_STAT, &statement);
	if (result != 0)
		return result;
	bind_text(statement, 1, key);
	result = statement_row(catalog, statement);
	if (result == 1)
		*ret_key = (struct catalog_key){
			.version = column_number(statement, 0),
			.lease = column_number(statement, 1),
			.created = column_number(statement, 2),
		};
	statement_end(statement);
	return result;
}

int catalog_key_put(struct catalog *catalog, const struct catalog_key *key)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_KEY_PUT, &statement);
	if (result != 0)
		return result;
	bind_key(statement, key);
	return statement_run(catalog, statement);
}

int catalog_key_delete(struct catalog *catalog, struct slice key)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_KEY_DELETE, &statement);
	if (result != 0)
		return result;
	bind_text(statement, 1, key);
	return statement_run(catalog, statement);
}

static bool begins_with(struct slice text, struct slice prefix)
{
	return text.size >= prefix.size && slice_equal((struct slice){text.data, prefix.size}, prefix);
}

int catalog_keys(struct catalog *catalog, struct slice prefix, struct slice after,
                 int (*each)(void *context, const struct catalog_key *key), void *context)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_KEYS, &statement);
	if (result != 0)
		return result;
	bind_name(statement, 1, slice_compare(after, prefix) > 0 ? after : prefix);
	while ((result = statement_row(catalog, statement)) == 1) {
		struct catalog_key key = column_key(statement);
		if (!begins_with(key.key, prefix)) {
			result = 0;
			break;
		}
		if (after.size != 0 && slice_equal(key.key, after))
			continue;
		result = each(context, &key);
		if (result != 0)
			break;
	}
	statement_end(statement);
	return result;
}

/* --- changes ------------------------------------------------------------------------------------------------------ */

int catalog_change_append(struct catalog *catalog, const struct catalog_change *change)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_CHANGE_APPEND, &statement);
	if (result != 0)
		return result;
	bind_key(statement, &change->key);
	bind_number(statement, 6, change->seq);
	bind_number(statement, 7, change->bytes);
	return statement_run(catalog, statement);
}

int catalog_changes(struct catalog *catalog, uint64_t seq,
                    int (*each)(void *context, const struct catalog_change *change), void *context)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_CHANGES, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, seq);
	while ((result = statement_row(catalog, statement)) == 1) {
		struct catalog_change change = {
			.key = column_key(statement),
			.seq = column_number(statement, 5),
			.bytes = column_number(statement, 6),
		};
		result = each(context, &change);
		if (result != 0)
			break;
	}
	statement_end(statement);
	return result;
}

static struct catalog_change column_sizes(sqlite3_stmt *statement)
{
	return (struct catalog_change){
		.key.version = column_number(statement, 0),
		.seq = column_number(statement, 1),
		.bytes = column_number(statement, 2),
	};
}

int catalog_change_sizes(struct catalog *catalog, uint64_t seq,
                         int (*each)(void *context, const struct catalog_change *change), void *context)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_CHANGE_SIZES, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, seq);
	while ((result = statement_row(catalog, statement)) == 1) {
		struct catalog_change change = column_sizes(statement);
		result = each(context, &change);
		if (result != 0)
			break;
	}
	statement_end(statement);
	return result;
}

static int read_change(struct catalog *catalog, enum statement_id id, struct catalog_change *ret_change)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, id, &statement);
	if (result != 0)
		return result;
	result = statement_row(catalog, statement);
	if (result == 1)
		*ret_change = column_sizes(statement);
	statement_end(statement);
	return result;
}

int catalog_changes_kept(struct catalog *catalog, struct catalog_change *ret_first, struct catalog_change *ret_last)
{
	int result = read_change(catalog, STATEMENT_CHANGE_FIRST, ret_first);
	return result == 1 ? read_change(catalog, STATEMENT_CHANGE_LAST, ret_last) : result;
}

static int change_version(struct catalog *catalog, uint64_t seq, uint64_t *ret_version)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_CHANGE_VERSION, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, seq);
	result = statement_row(catalog, statement);
	if (result == 1)
		*ret_version = column_number(statement, 0);
	statement_end(statement);
	if (result == 0)
		result = catalog_refuse(catalog, ERR_CORRUPT, "kv_change lacks a row between its first and its last one");
	return result < 0 ? result : 0;
}

int catalog_change_find(struct catalog *catalog, uint64_t first, uint64_t last, uint64_t version, uint64_t *ret_seq)
{
	uint64_t low = first;
	uint64_t high = last + 1;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		uint64_t found = 0;
		int result = change_version(catalog, middle, &found);
		if (result != 0)
			return result;
		if (found < version)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_seq = low;
	return 0;
}

int catalog_changes_delete(struct catalog *catalog, uint64_t before)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_CHANGES_DELETE, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, before);
	return statement_run(catalog, statement);
}
