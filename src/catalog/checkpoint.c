/* The whole file, from another thread than the loop's: each function opens a connection of its own. */
#include "base/memory.h"
#include "catalog/catalog.h"
#include "catalog/statement.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define BUSY_TIMEOUT_MS 1000

/* --- checkpoint --------------------------------------------------------------------------------------------------- */

static int read_applied_index(sqlite3 *database, uint64_t *ret_index)
{
	sqlite3_stmt *statement;
	int code = sqlite3_prepare_v2(database, "SELECT value FROM meta WHERE key = 'applied_index'", -1, &statement, NULL);
	if (code != SQLITE_OK)
		return code;
	code = sqlite3_step(statement);
	*ret_index = code == SQLITE_ROW ? column_number(statement, 0) : 0;
	sqlite3_finalize(statement); /* and with it the read transaction */
	return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

/* Why the index may be relied on. It is read in a read transaction of its own: the commit that wrote it, and all
 * before, are in frames that the WAL has at that moment. The checkpoint begins later. It takes note of all frames that
 * the WAL has by then (`frames`), syncs the WAL, moves the frames that no reader holds back (`moved`), and syncs the
 * file. When the two are equal, the frames of the index are among them. (Should the writer add frames meanwhile,
 * SQLite leaves the sync of the file to the checkpoint that catches up; until then the WAL is not begun anew, and its
 * frames were synced first. And if the WAL was begun anew in between, then all earlier frames had been moved and
 * synced before.) Either way no loss of power takes the index away.
 *
 * PASSIVE takes no lock that a writer needs, and waits for no reader. */
static int checkpoint(sqlite3 *database, uint64_t *ret_index, bool *ret_complete)
{
	int frames = -1, moved = -1;
	int code = read_applied_index(database, ret_index);
	if (code == SQLITE_OK)
		code = sqlite3_wal_checkpoint_v2(database, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &moved);
	if ((code & 0xFF) == SQLITE_BUSY) { /* another checkpoint, or a lock held for long */
		*ret_complete = false;
		return SQLITE_OK;
	}
	*ret_complete = code == SQLITE_OK && frames >= 0 && moved == frames;
	return code;
}

int catalog_checkpoint(const char *path, uint64_t *ret_applied_index, bool *ret_complete, struct error *error)
{
	sqlite3 *database;
	uint64_t index = 0;
	bool complete = false;
	int result = sqlite_open_file(path, SQLITE_OPEN_READWRITE, NULL, &database, error);
	if (result != 0)
		return result;
	sqlite3_busy_timeout(database, BUSY_TIMEOUT_MS);
	sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	/* Pages pass through on their way, they are not read again. */
	int code = sqlite3_exec(database, "PRAGMA synchronous = NORMAL; PRAGMA cache_size = 16", NULL, NULL, NULL);
	if (code == SQLITE_OK)
		code = checkpoint(database, &index, &complete);
	if (code != SQLITE_OK)
		result = sqlite_failure(database, code, error, "checkpoint", path);
	sqlite3_close(database);
	if (result != 0)
		return result;
	*ret_applied_index = index;
	*ret_complete = complete;
	return 0;
}

/* --- copy --------------------------------------------------------------------------------------------------------- */

static int back_up(sqlite3 *from, const char *path, const char *copy, struct error *error)
{
	sqlite3 *to;
	int result = sqlite_open_file(copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL, &to, error);
	if (result != 0)
		return result;
	sqlite3_exec(to, "PRAGMA synchronous = FULL", NULL, NULL, NULL);
	sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
	if (backup != NULL) {
		sqlite3_backup_step(backup, -1); /* one read transaction: no writer makes it begin again */
		sqlite3_backup_finish(backup);
	}
	int code = sqlite3_errcode(to);
	if (code != SQLITE_OK) {
		result = sqlite_failure(to, sqlite3_extended_errcode(to), error, "copy", path);
		error_prefix(error, "to %s", copy);
	}
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

static int system_failure(struct error *error, const char *action, const char *path)
{
	int cause = errno;
	return error_set(error, cause == ENOSPC || cause == EDQUOT ? ERR_NO_SPACE : ERR_IO, "%s %s: %s", action, path,
	                 strerror(cause));
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
