#include "rows.h"

#include "base/memory.h"
#include "process.h"

#include <sqlite3.h>
#include <unistd.h>

#define ROWS_AT_ONCE 10000 /* between looks at the clock */
#define ROWS_MAX 2000000

static const char schema[] =
	"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
	"CREATE TABLE history (seq INTEGER NOT NULL, instance INTEGER NOT NULL, time_ms INTEGER NOT NULL,"
	" kind TEXT NOT NULL, ref INTEGER, detail TEXT, PRIMARY KEY (instance, seq)) STRICT, WITHOUT ROWID;"
	"BEGIN";

static const char insertion[] = "INSERT INTO history VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

static int insert(sqlite3_stmt *statement, sqlite3_int64 seq)
{
	static const char detail[] = "{\"node\":\"bench\",\"attempt\":65537,\"metadata\":{\"ms\":12,\"bytes\":4711}}";
	sqlite3_bind_int64(statement, 1, seq);
	sqlite3_bind_int64(statement, 2, seq / 8);
	sqlite3_bind_int64(statement, 3, 1700000000000 + seq);
	sqlite3_bind_text(statement, 4, "return", 6, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 5, seq % 8);
	sqlite3_bind_text(statement, 6, detail, sizeof detail - 1, SQLITE_STATIC);
	int code = sqlite3_step(statement);
	sqlite3_reset(statement);
	return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int insert_many(sqlite3 *database, msec duration, uint64_t *ret_count, double *ret_seconds)
{
	sqlite3_stmt *statement = NULL;
	sqlite3_int64 rows = 0;
	int code = sqlite3_exec(database, schema, NULL, NULL, NULL);
	double begin_us = clock_us();
	double end_us = begin_us + (double)duration * 1e3;
	if (code == SQLITE_OK)
		code = sqlite3_prepare_v2(database, insertion, sizeof insertion, &statement, NULL);
	while (code == SQLITE_OK && rows < ROWS_MAX && clock_us() < end_us) {
		for (int i = 0; i < ROWS_AT_ONCE && code == SQLITE_OK; i++)
			code = insert(statement, ++rows);
	}
	if (code == SQLITE_OK)
		code = sqlite3_exec(database, "COMMIT", NULL, NULL, NULL);
	*ret_seconds = (clock_us() - begin_us) / 1e6;
	*ret_count = (uint64_t)rows;
	sqlite3_finalize(statement);
	return code;
}

int rows_insert(const char *directory, msec duration, uint64_t *ret_count, double *ret_seconds, struct error *error)
{
	char *path = mem_format("%s/rows.db", directory);
	sqlite3 *database = NULL;
	int code = sqlite3_open(path, &database);
	if (code == SQLITE_OK)
		code = insert_many(database, duration, ret_count, ret_seconds);
	if (code != SQLITE_OK)
		error_set(error, ERR_IO, "%s: %s", path, sqlite3_errmsg(database));
	sqlite3_close(database);
	unlink(path);
	mem_free(path);
	return code == SQLITE_OK ? 0 : ERR_IO;
}

const char *rows_sqlite_version(void)
{
	return sqlite3_libversion();
}
