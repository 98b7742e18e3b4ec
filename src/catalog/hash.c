/* A hash over what the catalog says, whatever its pages look like. */
#include "catalog/catalog.h"
#include "catalog/statement.h"

#include <assert.h>
#include <xxhash.h>

/* Every table, with the order of its primary key. */
static const char *const tables[] = {
	"SELECT * FROM meta ORDER BY key",
	"SELECT * FROM setting ORDER BY name",
	"SELECT * FROM unit ORDER BY id",
	"SELECT hash, executable, content FROM file ORDER BY hash",
	"SELECT * FROM process ORDER BY name, version",
	"SELECT * FROM pi_instance ORDER BY id",
	"SELECT * FROM pi_call ORDER BY instance, ref",
	"SELECT * FROM pi_history ORDER BY instance, seq",
	"SELECT * FROM timer ORDER BY due_ms, instance, ref",
	"SELECT * FROM signal ORDER BY instance, name, key, seq",
	"SELECT * FROM session ORDER BY id",
	"SELECT * FROM node ORDER BY id",
	"SELECT * FROM kv ORDER BY key",
	"SELECT * FROM kv_change ORDER BY seq",
	"SELECT * FROM lease ORDER BY id",
	"SELECT * FROM lease_key ORDER BY lease, key",
	"SELECT * FROM job ORDER BY id",
	"SELECT * FROM allocation ORDER BY id",
	"SELECT * FROM job_task ORDER BY job, task",
	"SELECT * FROM topic ORDER BY id",
	"SELECT * FROM publication ORDER BY id",
	"SELECT * FROM subscription ORDER BY id",
};

static void hash_number(XXH3_state_t *state, uint64_t number)
{
	unsigned char bytes[8];
	for (int i = 0; i < 8; i++)
		bytes[i] = (unsigned char)(number >> (8 * i));
	XXH3_64bits_update(state, bytes, sizeof bytes);
}

/* Type, size and bytes, so that no two different rows give the same sequence of bytes. */
static void hash_column(XXH3_state_t *state, sqlite3_stmt *statement, int index)
{
	int type = sqlite3_column_type(statement, index);
	hash_number(state, (uint64_t)type);
	if (type == SQLITE_INTEGER) {
		hash_number(state, column_number(statement, index));
	} else if (type != SQLITE_NULL) {
		const void *data = sqlite3_column_blob(statement, index);
		size_t size = (size_t)sqlite3_column_bytes(statement, index);
		hash_number(state, size);
		if (size != 0)
			XXH3_64bits_update(state, data, size);
	}
}

static int hash_table(struct catalog *catalog, const char *sql, XXH3_state_t *state)
{
	sqlite3_stmt *statement;
	int code = sqlite3_prepare_v2(catalog->database, sql, -1, &statement, NULL);
	if (code != SQLITE_OK)
		return catalog_failure(catalog, code, "hash");
	int columns = sqlite3_column_count(statement);
	uint64_t rows = 0;
	int result;
	while ((result = statement_row(catalog, statement)) == 1) {
		for (int i = 0; i < columns; i++)
			hash_column(state, statement, i);
		rows++;
	}
	hash_number(state, rows);
	sqlite3_finalize(statement);
	return result;
}

int catalog_hash(struct catalog *catalog, uint64_t *ret_hash)
{
	if (catalog->failed != 0)
		return catalog->failed;
	XXH3_state_t *state = XXH3_createState();
	assert(state != NULL);
	XXH3_64bits_reset(state);
	int result = 0;
	for (size_t i = 0; i < sizeof tables / sizeof tables[0] && result == 0; i++)
		result = hash_table(catalog, tables[i], state);
	if (result == 0)
		*ret_hash = XXH3_64bits_digest(state);
	XXH3_freeState(state);
	return result;
}
