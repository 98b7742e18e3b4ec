#include "catalog/copy.h"

#include "base/memory.h"
#include "catalog/catalog.h"
#include "catalog/schema.h"
#include "catalog/statement.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>
#include <xxhash.h>

#define BUSY_TIMEOUT_MS 1000
#define HASH_BYTES (256u << 10)
#define MOVE_PAUSE_MS 20

/* --- out ----------------------------------------------------------------------------------------------------------- */

static int system_failure(struct error *error, const char *action, const char *path)
{
	int cause = errno;
	return error_set(error, cause == ENOSPC || cause == EDQUOT ? ERR_NO_SPACE : ERR_IO, "%s %s: %s", action, path,
	                 strerror(cause));
}

/* All of `from` into `into`, which is open as `to`. */
static int transfer(sqlite3 *from, const char *path, sqlite3 *to, const char *into, struct error *error)
{
	sqlite3_exec(to, "PRAGMA synchronous = FULL", NULL, NULL, NULL);
	sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
	if (backup != NULL) {
		sqlite3_backup_step(backup, -1); /* one read transaction: no writer makes it begin again */
		sqlite3_backup_finish(backup);
	}
	int code = sqlite3_errcode(to);
	if (code == SQLITE_OK)
		return 0;
	int result = sqlite_failure(to, sqlite3_extended_errcode(to), error, "copy", path);
	error_prefix(error, "to %s", into);
	return result;
}

/* Who may read the copy is known before anything is in it. */
static int create_private(const char *path, struct error *error)
{
	int descriptor = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (descriptor < 0)
		return system_failure(error, "create", path);
	close(descriptor);
	return 0;
}

static int back_up(sqlite3 *from, const char *path, const char *copy, struct error *error)
{
	sqlite3 *to;
	int result = create_private(copy, error);
	if (result == 0)
		result = sqlite_open_file(copy, SQLITE_OPEN_READWRITE, NULL, &to, error);
	if (result != 0)
		return result;
	result = transfer(from, path, to, copy, error);
	sqlite3_close(to);
	return result;
}

/* The copy says of itself, as the original does, that it has a WAL. Without one, it opens from a medium that is
 * read-only. */
static int leave_wal(const char *copy, struct error *error)
{
	sqlite3 *database;
	int result = sqlite_open_file(copy, SQLITE_OPEN_READWRITE, NULL, &database, error);
	if (result != 0)
		return result;
	int code = sqlite3_exec(database, "PRAGMA synchronous = FULL; PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
	if (code != SQLITE_OK)
		result = sqlite_failure(database, code, error, "close", copy);
	sqlite3_close(database);
	return result;
}

static int sync_directory_of(const char *path, struct error *error)
{
	const char *slash = strrchr(path, '/');
	char *directory = slash == NULL ? mem_string(".") : mem_format("%.*s", (int)(slash - path + 1), path);
	int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = 0;
	if (descriptor < 0 || fsync(descriptor) != 0)
		result = system_failure(error, "sync directory", directory);
	if (descriptor >= 0)
		close(descriptor);
	mem_free(directory);
	return result;
}

/* What an interrupted copy left; and what a failed one leaves. */
static void remove_copy(const char *copy)
{
	static const char *const suffixes[] = {"", "-journal", "-wal", "-shm"};
	for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
		char *name = mem_format("%s%s", copy, suffixes[i]);
		unlink(name);
		mem_free(name);
	}
}

int catalog_copy(const char *path, const char *destination, struct error *error)
{
	sqlite3 *from;
	int result = sqlite_open_file(path, SQLITE_OPEN_READONLY, NULL, &from, error);
	if (result != 0)
		return result;
	sqlite3_busy_timeout(from, BUSY_TIMEOUT_MS);
	char *copy = mem_format("%s.partial", destination);
	remove_copy(copy);
	result = back_up(from, path, copy, error);
	sqlite3_close(from);
	if (result == 0)
		result = leave_wal(copy, error);
	if (result == 0 && rename(copy, destination) != 0)
		result = system_failure(error, "rename to", destination);
	if (result == 0)
		result = sync_directory_of(destination, error);
	else
		remove_copy(copy);
	mem_free(copy);
	return result;
}

/* --- what it says -------------------------------------------------------------------------------------------------- */

static int ask(sqlite3 *database, const char *sql, const char *key, sqlite3_stmt **ret_statement)
{
	int code = sqlite3_prepare_v2(database, sql, -1, ret_statement, NULL);
	if (code == SQLITE_OK && key != NULL)
		code = sqlite3_bind_text(*ret_statement, 1, key, -1, SQLITE_STATIC);
	return code == SQLITE_OK ? sqlite3_step(*ret_statement) : code;
}

/* The number in the only row; none is 0. */
static int ask_number(sqlite3 *database, const char *sql, const char *key, uint64_t *ret_number)
{
	sqlite3_stmt *statement = NULL;
	int code = ask(database, sql, key, &statement);
	if (code == SQLITE_ROW)
		*ret_number = column_number(statement, 0);
	sqlite3_finalize(statement);
	return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static int ask_text(sqlite3 *database, const char *sql, const char *key, struct buffer *out)
{
	sqlite3_stmt *statement = NULL;
	int code = ask(database, sql, key, &statement);
	if (code == SQLITE_ROW)
		buffer_append_slice(out, column_text(statement, 0));
	sqlite3_finalize(statement);
	return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

#define META "SELECT value FROM meta WHERE key = ?1"

static int read_meta(sqlite3 *database, struct catalog_facts *facts, struct buffer *cluster_id)
{
	int code = ask_number(database, META, "schema_version", &facts->schema_version);
	if (code == SQLITE_OK)
		code = ask_number(database, META, "applied_index", &facts->applied_index);
	if (code == SQLITE_OK)
		code = ask_number(database, META, "applied_term", &facts->applied_term);
	if (code == SQLITE_OK)
		code = ask_text(database, META, "cluster_id", cluster_id);
	if (code == SQLITE_OK)
		code = ask_text(database, META, "raft_configuration", &facts->configuration);
	return code;
}

/* Whether it is a catalog at all is asked first: another database has no such table. */
static int read_facts(sqlite3 *database, const char *path, struct catalog_facts *facts, struct error *error)
{
	struct buffer cluster_id = BUFFER_EMPTY;
	uint64_t application = 0;
	int code = ask_number(database, "PRAGMA application_id", NULL, &application);
	if (code == SQLITE_OK && application != SCHEMA_APPLICATION_ID)
		return error_set(error, ERR_CORRUPT, "%s is not a catalog of clusterd", path);
	if (code == SQLITE_OK)
		code = ask_number(database, "PRAGMA page_size", NULL, &facts->page_size);
	if (code == SQLITE_OK)
		code = read_meta(database, facts, &cluster_id);
	int result = code != SQLITE_OK ? sqlite_failure(database, code, error, "read", path) : 0;
	if (result == 0 && facts->schema_version > CATALOG_SCHEMA_VERSION)
		result = error_set(error, ERR_VERSION,
		                   "%s has a schema of version %" PRIu64 ", this program knows up to version %d", path,
		                   facts->schema_version, CATALOG_SCHEMA_VERSION);
	if (result == 0 && (facts->schema_version < 1 || cluster_id.size >= sizeof facts->cluster_id))
		result = error_set(error, ERR_CORRUPT, "%s is a damaged catalog: its table meta cannot be", path);
	if (result == 0 && cluster_id.size > 0)
		memcpy(facts->cluster_id, cluster_id.data, cluster_id.size);
	buffer_finish(&cluster_id);
	return result;
}

int catalog_facts_read(const char *path, struct catalog_facts *facts, struct error *error)
{
	sqlite3 *database;
	int result = sqlite_open_file(path, SQLITE_OPEN_READONLY, NULL, &database, error);
	if (result != 0)
		return result;
	sqlite3_busy_timeout(database, BUSY_TIMEOUT_MS);
	catalog_facts_finish(facts);
	result = read_facts(database, path, facts, error);
	sqlite3_close(database);
	return result;
}

void catalog_facts_finish(struct catalog_facts *facts)
{
	buffer_finish(&facts->configuration);
	*facts = CATALOG_FACTS_EMPTY;
}

int catalog_file_hash(const char *path, uint64_t *ret_size, uint64_t *ret_hash, struct error *error)
{
	int descriptor = open(path, O_RDONLY | O_CLOEXEC);
	if (descriptor < 0)
		return system_failure(error, "open", path);
	char *bytes = mem_alloc(HASH_BYTES);
	XXH3_state_t *state = XXH3_createState();
	uint64_t size = 0;
	ssize_t count;
	XXH3_64bits_reset(state);
	while ((count = read(descriptor, bytes, HASH_BYTES)) > 0) {
		XXH3_64bits_update(state, bytes, (size_t)count);
		size += (uint64_t)count;
	}
	int result = count < 0 ? system_failure(error, "read", path) : 0;
	uint64_t hash = XXH3_64bits_digest(state);
	XXH3_freeState(state);
	mem_free(bytes);
	close(descriptor);
	if (result != 0)
		return result;
	*ret_size = size;
	*ret_hash = hash != 0 ? hash : 1;
	return 0;
}

int catalog_check(const char *path, struct error *error)
{
	sqlite3 *database;
	struct buffer said = BUFFER_EMPTY;
	int result = sqlite_open_file(path, SQLITE_OPEN_READONLY, NULL, &database, error);
	if (result != 0)
		return result;
	int code = ask_text(database, "PRAGMA quick_check(1)", NULL, &said);
	if (code != SQLITE_OK)
		result = sqlite_failure(database, code, error, "check", path);
	else if (!slice_is(buffer_slice(&said), "ok"))
		result = error_set(error, ERR_CORRUPT, "%s is damaged: %.*s", path, SLICE_ARGS(buffer_slice(&said)));
	sqlite3_close(database);
	buffer_finish(&said);
	return result;
}

/* --- in ------------------------------------------------------------------------------------------------------------ */

/* A reader of what was there before holds frames of the WAL back. They are safe there, since the COMMIT has synced them: it does not
 * matter when they move. */
static int move_all(sqlite3 *database, msec patience)
{
	for (;;) {
		int frames = -1;
		int moved = -1;
		int code = sqlite3_wal_checkpoint_v2(database, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &moved);
		if (code != SQLITE_OK && (code & 0xFF) != SQLITE_BUSY)
			return code;
		if (code == SQLITE_OK && frames >= 0 && moved == frames)
			return SQLITE_OK;
		if (patience <= 0)
			return SQLITE_OK;
		sqlite3_sleep(MOVE_PAUSE_MS);
		patience -= MOVE_PAUSE_MS;
	}
}

int catalog_install(const char *copy, const char *path, msec patience, struct error *error)
{
	sqlite3 *from;
	sqlite3 *to;
	int result = sqlite_open_file(copy, SQLITE_OPEN_READONLY, NULL, &from, error);
	if (result != 0)
		return result;
	result = sqlite_open_file(path, SQLITE_OPEN_READWRITE, NULL, &to, error);
	if (result == 0) {
		sqlite3_busy_timeout(to, BUSY_TIMEOUT_MS);
		sqlite3_db_config(to, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		sqlite3_wal_autocheckpoint(to, 0);
		result = transfer(from, copy, to, path, error);
		int code = result == 0 ? move_all(to, patience) : SQLITE_OK;
		if (code != SQLITE_OK)
			result = sqlite_failure(to, code, error, "checkpoint", path);
		sqlite3_close(to);
	}
	sqlite3_close(from);
	return result;
}

/* --- a new cluster ------------------------------------------------------------------------------------------------- */

/* Whatever meta counts by begins far above what it was; nobody of the old cluster is a member. */
static const char begin_cluster[] =
	"UPDATE meta SET value = value + ?1 WHERE key IN ('applied_index', 'history_seq') OR key GLOB 'next_*';"
	"INSERT OR IGNORE INTO meta (key, value) VALUES"
	" ('applied_index', ?1), ('history_seq', ?1), ('next_instance', ?1), ('next_session', ?1), ('next_unit', ?1),"
	" ('next_job', ?1), ('next_allocation', ?1),"
	" ('applied_term', 0);"
	"UPDATE meta SET value = value + ?2 WHERE key = 'applied_term';"
	"INSERT OR REPLACE INTO meta (key, value) SELECT 'raft_terms', '[[' || i.value || ',' || t.value || ']]'"
	" FROM meta AS i, meta AS t WHERE i.key = 'applied_index' AND t.key = 'applied_term';"
	"INSERT OR REPLACE INTO meta (key, value) SELECT 'raft_configuration',"
	" '{\"index\":' || value || ',\"members\":[{\"id\":' || ?3 || ',\"voter\":true}]}' FROM meta WHERE key = 'applied_index';"
	"INSERT OR REPLACE INTO meta (key, value) VALUES ('cluster_id', ?4);"
	"DELETE FROM node;";

static void bind_named(sqlite3_stmt *statement, const char *name, uint64_t number)
{
	int index = sqlite3_bind_parameter_index(statement, name);
	if (index > 0)
		bind_number(statement, index, number);
}

static int run_all(sqlite3 *database, const char *sql, const char *cluster_id, uint64_t node)
{
	int code = SQLITE_OK;
	while (code == SQLITE_OK && *sql != '\0') {
		sqlite3_stmt *statement = NULL;
		code = sqlite3_prepare_v2(database, sql, -1, &statement, &sql);
		if (code != SQLITE_OK)
			break;
		bind_named(statement, "?1", CATALOG_SKIPPED_IDS);
		bind_named(statement, "?2", CATALOG_SKIPPED_TERMS);
		bind_named(statement, "?3", node);
		int index = sqlite3_bind_parameter_index(statement, "?4");
		if (index > 0)
			bind_text(statement, index, slice_of(cluster_id));
		code = sqlite3_step(statement);
		sqlite3_finalize(statement);
		code = code == SQLITE_DONE ? SQLITE_OK : code;
	}
	return code;
}

int catalog_begin_cluster(const char *path, const char *cluster_id, uint64_t node, uint64_t *ret_term,
                          struct error *error)
{
	sqlite3 *database;
	uint64_t term = 0;
	int result = sqlite_open_file(path, SQLITE_OPEN_READWRITE, NULL, &database, error);
	if (result != 0)
		return result;
	int code = sqlite3_exec(database, "PRAGMA synchronous = FULL; BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (code == SQLITE_OK)
		code = run_all(database, begin_cluster, cluster_id, node);
	if (code == SQLITE_OK)
		code = ask_number(database, META, "applied_term", &term);
	if (code == SQLITE_OK)
		code = sqlite3_exec(database, "COMMIT", NULL, NULL, NULL);
	if (code != SQLITE_OK)
		result = sqlite_failure(database, code, error, "begin a cluster with", path);
	sqlite3_close(database);
	if (result == 0)
		*ret_term = term;
	return result;
}
