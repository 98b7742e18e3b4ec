/* The write-ahead log: entries (index, term, body) in segments (PROTOCOL, rules 8 to 10). One thread at a time: the disk
 * thread, once the node runs. Nothing is durable before wal_sync. After an error of write or sync the log refuses all else:
 * the node ends, and recovery decides what is there.
 *
 * Files "log/<first index, 16 hex digits>.seg" hold a header (magic, version, generation, first index, checksum) and records;
 * segments are preallocated and recycled, the first is small. A record carries index, term, size, the index known to be
 * synced when it was written, and an XXH3 checksum seeded with generation and index, so that a record of a recycled
 * segment's former life never passes. */
#ifndef CLUSTERD_STORE_WAL_H
#define CLUSTERD_STORE_WAL_H

#include "base/error.h"
#include "store/fs.h"

#include <stdint.h>

struct wal;

struct wal_record {
	uint64_t index;
	uint64_t term;
	struct slice body;
};

struct wal_options {
	uint64_t segment_size;       /* default 16 MiB */
	uint64_t first_segment_size; /* default 256 KiB */
	uint32_t body_size_max;      /* default 17 MiB; a larger one is ERR_LIMIT when appended, ERR_CORRUPT when read */
	uint32_t spare_segments;     /* kept for recycling; default 2 */
};

/* What opening found. */
struct wal_recovery {
	uint64_t first_index; /* of the entries there are; 1 and last_index 0 in an empty log */
	uint64_t last_index;
	uint64_t last_term;
	uint64_t torn_bytes;  /* cut from the tail; 0: it was clean */
	char torn_file[64];
};

/* Opens the log of a directory, recovers it, rewrites and syncs its tail. Damage at or below an index that some record says
 * was synced is ERR_CORRUPT, with file and offset; above it a torn tail, cut and reported. */
int wal_open(struct fs *fs, const struct wal_options *options, struct wal **ret_wal, struct wal_recovery *ret_recovery,
             struct error *error);
void wal_close(struct wal *wal);

/* Appends consecutive records after the last one (or, in a log that was reset, anywhere): one write as a rule.
 * ERR_NO_SPACE: nothing of the batch is there. */
int wal_append(struct wal *wal, const struct wal_record *records, size_t count, struct error *error);
int wal_sync(struct wal *wal, struct error *error);
/* Writes down that all up to the last record is synced, when the node has been idle since: one small record. */
int wal_mark_synced(struct wal *wal, struct error *error);
uint64_t wal_first_index(const struct wal *wal);
uint64_t wal_last_index(const struct wal *wal);
uint64_t wal_synced_index(const struct wal *wal);
uint64_t wal_size(const struct wal *wal); /* bytes of all segments on disk */

/* Reads entries from `from` on until `body_bytes` of bodies or `count` entries are there, at least one when it exists.
 * Bodies are put into `bodies` and point into it (they move when it grows again: use after the call). Returns how many. */
int wal_read(struct wal *wal, uint64_t from, size_t count, size_t body_bytes, struct wal_record *ret_records,
             struct buffer *bodies, struct error *error);

/* Entries after `last` go (a conflict with a new leader's log); synced before it returns. */
int wal_cut_after(struct wal *wal, uint64_t last, struct error *error);
/* Whole segments whose entries are all ≤ `index` go or are recycled. */
int wal_release(struct wal *wal, uint64_t index, struct error *error);
/* Empties the log so that the next entry is `next` (a snapshot was installed); synced before it returns. */
int wal_reset(struct wal *wal, uint64_t next, struct error *error);
/* Prepares the next segment if it will soon be needed; called when idle. */
int wal_prepare(struct wal *wal, struct error *error);

#endif
