#include "catalog/catalog.h"

#include "base/memory.h"
#include "catalog/schema.h"
#include "catalog/statement.h"
#include "catalog/wal_again.h"
#include "catalog/wal_writes.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#define PAGE_SIZE 4096
#define CACHE_SIZE_KIB 32768
#define BUSY_TIMEOUT_MS 100 /* for the short locks of readers that recover or begin; a writer besides us is a fault */
#define WAL_HEADER_SIZE 32
#define WAL_FRAME_HEADER_SIZE 24
#define WAL_SIZE_KEPT 67108864 /* a WAL that has grown past this is cut back when it begins anew */

#define STRING_(x) #x
#define STRING(x) STRING_(x)

/* --- opening ------------------------------------------------------------------------------------------------------ */

static int run(struct catalog *catalog, const char *sql, const char *action)
{
	int code = sqlite3_exec(catalog->database, sql, NULL, NULL, NULL);
	return code == SQLITE_OK ? 0 : catalog_failure(catalog, code, action);
}

/* The first column of the only row. */
static int ask_number(struct catalog *catalog, const char *sql, int64_t *ret_value)
{
	sqlite3_stmt *statement;
	int code = sqlite3_prepare_v2(catalog->database, sql, -1, &statement, NULL);
	if (code != SQLITE_OK)
		return catalog_failure(catalog, code, "read");
	code = sqlite3_step(statement);
	int result = code == SQLITE_ROW ? 0 : catalog_failure(catalog, code, "read");
	if (result == 0)
		*ret_value = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return result;
}

/* Which schema the file has; 0: it is empty. Nothing is written before this is known, for the file may be somebody
 * else's. */
static int find_version(struct catalog *catalog, int64_t *ret_version)
{
	int64_t application = 0, objects = 0;
	const char *path = sqlite3_db_filename(catalog->database, "main");
	int result = ask_number(catalog, "PRAGMA application_id", &application);
	if (result == 0)
		result = ask_number(catalog, "SELECT count(*) FROM sqlite_schema", &objects);
	if (result != 0)
		return result;
	if (objects == 0 && application == 0) {
		*ret_version = 0;
		return 0;
	}
	if (application != SCHEMA_APPLICATION_ID)
		return error_set(&catalog->error, ERR_CORRUPT, "open %s: it is a database, but not a catalog of clusterd",
		                 path);
	int64_t version = 0;
	result = ask_number(catalog, "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'schema_version'", &version);
	if (result != 0)
		return result;
	if (version < 1)
		return error_set(&catalog->error, ERR_CORRUPT, "open %s: its schema version is %" PRId64, path, version);
	if (version > CATALOG_SCHEMA_VERSION)
		return error_set(&catalog->error, ERR_VERSION,
		                 "open %s: its schema has version %" PRId64 ", this program knows up to version %d", path,
		                 version, CATALOG_SCHEMA_VERSION);
	*ret_version = version;
	return 0;
}

static int migrate(struct catalog *catalog, int64_t version)
{
	if (version == CATALOG_SCHEMA_VERSION)
		return 0;
	int result = run(catalog, "BEGIN IMMEDIATE", "migrate");
	if (result == 0 && version == 0)
		result = run(catalog, "PRAGMA application_id = " STRING(SCHEMA_APPLICATION_ID), "migrate");
	while (result == 0 && version < CATALOG_SCHEMA_VERSION)
		result = run(catalog, schema_migration((int)++version), "migrate");
	if (result == 0)
		result = catalog_meta_set_number(catalog, "schema_version", CATALOG_SCHEMA_VERSION);
	if (result == 0)
		result = run(catalog, "COMMIT", "migrate");
	return result;
}

static int use_wal(struct catalog *catalog)
{
	sqlite3_stmt *statement;
	int code = sqlite3_prepare_v2(catalog->database, "PRAGMA journal_mode = WAL", -1, &statement, NULL);
	if (code == SQLITE_OK) {
		code = sqlite3_step(statement);
		bool on = code == SQLITE_ROW && sqlite3_stricmp((const char *)sqlite3_column_text(statement, 0), "wal") == 0;
		/* The row comes before the file says so: only the end of the statement is its success. */
		if (on)
			code = sqlite3_step(statement);
		int finished = sqlite3_finalize(statement);
		if (on && code == SQLITE_DONE && finished == SQLITE_OK)
			return 0;
		if (code == SQLITE_ROW || code == SQLITE_DONE)
			code = finished != SQLITE_OK ? finished : SQLITE_CANTOPEN;
	}
	return catalog_failure(catalog, code, "turn on the WAL of");
}

static int note_wal_size(void *context, sqlite3 *database, const char *name, int frames)
{
	(void)database;
	(void)name;
	struct catalog *catalog = context;
	catalog->wal_size = frames == 0 ? 0
	                                : WAL_HEADER_SIZE + (uint64_t)frames * (WAL_FRAME_HEADER_SIZE + catalog->page_size);
	return SQLITE_OK;
}

/* NULL: there is none so far. */
static sqlite3_file *wal_file(const struct catalog *catalog)
{
	sqlite3_file *file = NULL;
	int code = sqlite3_file_control(catalog->database, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
	return code == SQLITE_OK && file != NULL && file->pMethods != NULL ? file : NULL;
}

static void find_wal_size(struct catalog *catalog)
{
	sqlite3_file *file = wal_file(catalog);
	sqlite3_int64 size = 0;
	if (file != NULL && file->pMethods->xFileSize(file, &size) == SQLITE_OK)
		catalog->wal_size = (uint64_t)size;
}

/* What an earlier process left of the WAL goes into the file, and out of the WAL, both durably. It may be in the system's memory
 * only: a sync of it that failed is not made up for by another one. Were it left there, its beginning, which is on the disk, would
 * hide what is moved into the file when the power goes before the WAL begins anew: so it is written again first. Somebody who reads
 * meanwhile is not waited for. */
static int empty_wal(struct catalog *catalog)
{
	sqlite3_file *file = wal_file(catalog);
	find_wal_size(catalog);
	if (catalog->wal_size == 0)
		return 0;
	int code = wal_write_again(file);
	if (code != SQLITE_OK)
		return catalog_failure(catalog, code, "write again the WAL of");
	sqlite3_busy_timeout(catalog->database, 0);
	code = sqlite3_wal_checkpoint_v2(catalog->database, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_busy_timeout(catalog->database, BUSY_TIMEOUT_MS);
	if ((code & 0xFF) == SQLITE_BUSY)
		return 0;
	file = wal_file(catalog);
	if (code == SQLITE_OK && file != NULL)
		code = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
	if (code != SQLITE_OK)
		return catalog_failure(catalog, code, "empty the WAL of");
	catalog->wal_size = 0;
	return 0;
}

static int set_up(struct catalog *catalog)
{
	int64_t version = 0, page_size = 0;
	if (sqlite3_db_readonly(catalog->database, "main") != 0)
		return error_set(&catalog->error, ERR_IO, "open %s: the file is not writable",
		                 sqlite3_db_filename(catalog->database, "main"));
	/* What secure_delete costs buys nothing: whoever can read the free pages can read the others. */
	int result = run(catalog,
	                 "PRAGMA cache_size = -" STRING(CACHE_SIZE_KIB) ";"
	                 "PRAGMA temp_store = MEMORY;"
	                 "PRAGMA mmap_size = 0;"
	                 "PRAGMA secure_delete = OFF;"
	                 "PRAGMA foreign_keys = OFF;"
	                 "PRAGMA recursive_triggers = OFF;",
	                 "set up");
	if (result == 0)
		result = find_version(catalog, &version);
	if (result == 0 && version == 0) /* an empty file takes these on, no other does */
		result = run(catalog, "PRAGMA page_size = " STRING(PAGE_SIZE) "; PRAGMA auto_vacuum = INCREMENTAL", "set up");
	if (result == 0)
		result = use_wal(catalog);
	if (result == 0)
		result = run(catalog,
		             "PRAGMA synchronous = NORMAL;"
		             "PRAGMA journal_size_limit = " STRING(WAL_SIZE_KEPT) ";",
		             "set up");
	if (result == 0)
		result = ask_number(catalog, "PRAGMA page_size", &page_size);
	if (result == 0)
		result = empty_wal(catalog);
	if (result != 0)
		return result;
	catalog->page_size = (uint32_t)page_size;
	sqlite3_update_hook(catalog->database, recent_row_written, &catalog->recent);
	sqlite3_wal_hook(catalog->database, note_wal_size, catalog); /* and so no automatic checkpoint */
	result = migrate(catalog, version);
	/* A read in WAL mode, so that what is noted is what it sees from now on: a file that was not in it looks another one after. */
	if (result == 0)
		result = ask_number(catalog, "SELECT count(*) FROM meta", &version);
	catalog_note_version(catalog);
	return result;
}

int catalog_open(const char *path, const char *vfs, struct catalog **ret_catalog, struct error *error)
{
	sqlite3 *database;
	struct wal_writes *writes = wal_writes_create(vfs);
	if (writes == NULL)
		return error_set(error, ERR_NOT_FOUND, "open %s: SQLite has no VFS \"%s\"", path, vfs != NULL ? vfs : "");
	int result = sqlite_open_file(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, wal_writes_name(writes), &database,
	                              error);
	if (result != 0) {
		wal_writes_destroy(writes);
		return result;
	}
	struct catalog *catalog = mem_zero(sizeof *catalog);
	catalog->database = database;
	catalog->writes = writes;
	sqlite3_busy_timeout(database, BUSY_TIMEOUT_MS);
	result = set_up(catalog);
	if (result != 0) {
		result = error_set(error, result, "%s", catalog->error.text);
		catalog->failed = result;
		catalog_close(catalog);
		return result;
	}
	*ret_catalog = catalog;
	return 0;
}

void catalog_close(struct catalog *catalog)
{
	if (catalog == NULL)
		return;
	/* The last connection that closes moves the WAL into the file; but not past a failure. */
	if (catalog->failed != 0)
		sqlite3_db_config(catalog->database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	for (int i = 0; i < STATEMENT_COUNT; i++)
		sqlite3_finalize(catalog->statements[i]);
	int code = sqlite3_close(catalog->database);
	assert(code == SQLITE_OK);
	wal_writes_destroy(catalog->writes);
	buffer_finish(&catalog->row);
	mem_free(catalog->recent.ring);
	mem_free(catalog);
}

const char *catalog_error(const struct catalog *catalog)
{
	return catalog->error.text;
}

/* --- transactions ------------------------------------------------------------------------------------------------- */

int catalog_begin(struct catalog *catalog)
{
	sqlite3_stmt *statement;
	assert(!catalog->in_transaction);
	int result = statement_get(catalog, STATEMENT_BEGIN, &statement);
	if (result != 0)
		return result;
	int code = sqlite3_step(statement);
	if (code != SQLITE_DONE) {
		result = catalog_failure(catalog, code, "begin a transaction in");
		sqlite3_reset(statement);
		return result;
	}
	sqlite3_reset(statement);
	unsigned int before = catalog->data_version;
	catalog_note_version(catalog);
	if (catalog->data_version != before)
		catalog->foreign_write = true;
	catalog->in_transaction = true;
	return 0;
}

int catalog_commit(struct catalog *catalog)
{
	sqlite3_stmt *statement;
	assert(catalog->failed != 0 || catalog->in_transaction);
	int result = statement_get(catalog, STATEMENT_COMMIT, &statement);
	if (result != 0)
		return result;
	int code = sqlite3_step(statement);
	if (code == SQLITE_DONE && wal_writes_failure(catalog->writes) != 0)
		code = wal_writes_failure(catalog->writes);
	if (code != SQLITE_DONE) {
		result = catalog_failure(catalog, code, "commit to");
		catalog->failed = result; /* whatever it was */
	}
	sqlite3_reset(statement);
	catalog->in_transaction = false;
	catalog_note_version(catalog);
	return result;
}

bool catalog_foreign_write(struct catalog *catalog)
{
	/* Within a transaction nobody else can write, and its beginning has looked. Outside, a read makes SQLite look. */
	if (!catalog->in_transaction) {
		sqlite3_stmt *statement;
		unsigned int before = catalog->data_version;
		if (statement_get(catalog, STATEMENT_PROBE, &statement) == 0) {
			statement_row(catalog, statement);
			statement_end(statement);
			catalog_note_version(catalog);
			if (catalog->data_version != before)
				catalog->foreign_write = true;
		}
	}
	bool seen = catalog->foreign_write;
	catalog->foreign_write = false;
	return seen;
}

int catalog_accept(struct catalog *catalog)
{
	int64_t version = 0;
	assert(!catalog->in_transaction);
	if (catalog->failed != 0)
		return catalog->failed;
	int result = find_version(catalog, &version);
	if (result == 0 && version == 0)
		result = error_set(&catalog->error, ERR_CORRUPT, "the catalog is empty");
	if (result == 0)
		result = migrate(catalog, version);
	if (result != 0) {
		catalog->failed = result;
		return result;
	}
	find_wal_size(catalog);
	catalog_note_version(catalog);
	catalog->foreign_write = false;
	return 0;
}

uint64_t catalog_wal_size(const struct catalog *catalog)
{
	return catalog->wal_size;
}

/* --- meta and settings -------------------------------------------------------------------------------------------- */

int catalog_meta_number(struct catalog *catalog, const char *key, uint64_t *ret_value)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_META_GET, &statement);
	if (result != 0)
		return result;
	bind_text(statement, 1, slice_of(key));
	result = statement_row(catalog, statement);
	if (result == 1 && sqlite3_column_type(statement, 0) != SQLITE_INTEGER)
		result = error_set(&catalog->error, ERR_CORRUPT, "meta.%s is not an integer", key);
	if (result >= 0)
		*ret_value = result == 1 ? column_number(statement, 0) : 0;
	statement_end(statement);
	return result < 0 ? result : 0;
}

int catalog_meta_set_number(struct catalog *catalog, const char *key, uint64_t value)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_META_SET, &statement);
	if (result != 0)
		return result;
	bind_text(statement, 1, slice_of(key));
	bind_number(statement, 2, value);
	return statement_run(catalog, statement);
}

int catalog_meta_text(struct catalog *catalog, const char *key, struct buffer *ret_value)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_META_GET, &statement);
	if (result != 0)
		return result;
	bind_text(statement, 1, slice_of(key));
	result = statement_row(catalog, statement);
	if (result >= 0)
		buffer_clear(ret_value);
	if (result == 1)
		buffer_append_slice(ret_value, column_text(statement, 0));
	statement_end(statement);
	return result < 0 ? result : 0;
}

int catalog_meta_set_text(struct catalog *catalog, const char *key, struct slice value)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_META_SET, &statement);
	if (result != 0)
		return result;
	bind_text(statement, 1, slice_of(key));
	bind_name(statement, 2, value);
	return statement_run(catalog, statement);
}

int catalog_setting_set(struct catalog *catalog, struct slice name, struct slice value)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_SETTING_SET, &statement);
	if (result != 0)
		return result;
	bind_name(statement, 1, name);
	bind_name(statement, 2, value);
	return statement_run(catalog, statement);
}

int catalog_settings(struct catalog *catalog, void (*each)(void *context, struct slice name, struct slice value),
                     void *context)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_SETTINGS, &statement);
	if (result != 0)
		return result;
	while ((result = statement_row(catalog, statement)) == 1)
		each(context, column_text(statement, 0), column_text(statement, 1));
	statement_end(statement);
	return result;
}
