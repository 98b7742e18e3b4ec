/* The WAL that an earlier process left, made sure of. */
#ifndef CLUSTERD_CATALOG_WAL_AGAIN_H
#define CLUSTERD_CATALOG_WAL_AGAIN_H

#include <sqlite3.h>

/* Writes again, and syncs, the frames of the WAL that count, as they are. When a sync of them has failed, the system may have what the disk
 * does not, and take it for synced. A checkpoint would move such frames into the file, and after a loss of power the older ones, which are
 * all that the disk has, would be read over them (PROTOCOL, 9, says the same of the log). Before the handle writes anything else; `wal`
 * is open for it. Returns SQLite's code. */
int wal_write_again(sqlite3_file *wal);

#endif
