/* Writes of SQLite's WAL, gathered: a transaction of n pages is one write of the file instead of 2 n. A VFS over another one, for
 * the handle that writes; whoever reads or checkpoints beside it opens the files as ever.
 *
 * What is gathered is written before anybody can want it: behind the last frame of a transaction, before SQLite publishes frames to
 * others (the barrier of the shared memory), and before this handle reads, syncs, truncates or measures the file. */
#ifndef CLUSTERD_CATALOG_WAL_WRITES_H
#define CLUSTERD_CATALOG_WAL_WRITES_H

struct wal_writes;

/* Over the VFS of that name; NULL: the default one. Registered with SQLite until it is destroyed. */
struct wal_writes *wal_writes_create(const char *base);
void wal_writes_destroy(struct wal_writes *writes); /* its files are closed; NULL is fine */
const char *wal_writes_name(const struct wal_writes *writes);
/* SQLite's code of a write that failed when SQLite could not be told; 0: none did. */
int wal_writes_failure(const struct wal_writes *writes);

#endif
