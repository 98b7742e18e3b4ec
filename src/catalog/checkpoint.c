/* Moves the WAL into the file, from another thread than the loop's: on a connection of its own. */
#include "catalog/catalog.h"
#include "catalog/statement.h"

#define BUSY_TIMEOUT_MS 1000

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
