/* The write-ahead log: entries (index, term, body) in segments (INVARIANTS, 11 to 16). One thread at a time: once the
 * node runs, whichever runs the disk's jobs (net/jobs.h). Nothing is durable before wal_sync. After an error of write or sync
 * the log refuses all else (ERR_IO "the log has failed: …"): the node ends, and recovery decides what is there. A full disk is
 * no such error.
 *
 * The log has a directory of its own: `fs` is of DIR/log, and nothing else is kept there. "<generation, 16 hex digits>.seg"
 * holds a header (magic, version, generation, the generation it continues, index of its first entry, size, checksum) and
 * records; "….spare" waits to become one. Segments are preallocated and recycled, the first is small. Every new one has a
 * higher generation, that of a recycled file too. A record carries index, term, size, the index known to be synced when it
 * was written, and XXH3 checksums seeded with generation and index, so that a record of a recycled segment's former life
 * never passes.
 *
 * Opening reads the headers of all segments, and the last two segments whole: only the last one can have a torn tail, for
 * the one before is synced before it begins. Damage in older segments is found when wal_read comes by. */
#ifndef CLUSTERD_STORE_WAL_H
#define CLUSTERD_STORE_WAL_H

#include "base/error.h"
#include "store/fs.h"

#include <stdbool.h>
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

/* Opens the log of a directory, recovers it, rewrites and syncs its tail: all that is reported is on disk. Damage at or
 * below an index that some record says was synced is ERR_CORRUPT, with file and offset; above it a torn tail, cut and
 * reported. ERR_VERSION: written by a later version. ERR_LIMIT: options out of range. Options NULL or 0: the defaults. */
int wal_open(struct fs *fs, const struct wal_options *options, struct wal **ret_wal, struct wal_recovery *ret_recovery,
             struct error *error);
/* Writes nothing: wal_sync and wal_mark_synced first, where wanted. NULL is fine. */
void wal_close(struct wal *wal);

/* Appends consecutive records after the last one (or, in an empty log, anywhere): one write as a rule. A batch lies in one
 * segment. ERR_NO_SPACE: nothing of the batch is there, and the log goes on. ERR_LIMIT: a body above body_size_max, or a
 * batch above 1 GiB. */
int wal_append(struct wal *wal, const struct wal_record *records, size_t count, struct error *error);
/* Appending these needs no more than one write: they fit into the segment that there is. */
bool wal_fits(const struct wal *wal, const struct wal_record *records, size_t count);
int wal_sync(struct wal *wal, struct error *error);
/* Writes down up to where all is synced, when no record says so yet (the node has been idle since): one small record, on disk
 * with the next sync or when the system writes it back. */
int wal_mark_synced(struct wal *wal, struct error *error);
uint64_t wal_first_index(const struct wal *wal); /* in an empty log the last index + 1 */
uint64_t wal_last_index(const struct wal *wal);
uint64_t wal_synced_index(const struct wal *wal);
uint64_t wal_size(const struct wal *wal); /* bytes of all segments on disk, spare ones included */
/* The entry that has segments of at least `bytes` behind it, and as few more as whole segments allow; 0: none has. */
uint64_t wal_index_before(const struct wal *wal, uint64_t bytes);

/* Reads entries from `from` on until `body_bytes` of bodies or `count` entries are there, at least one when it exists.
 * Bodies are put into `bodies`, behind what it holds, and point into it (they move when it grows again: use after the call).
 * Returns how many: 0 behind the last entry. ERR_NOT_FOUND: before the first. ERR_CORRUPT: with file and offset. */
int wal_read(struct wal *wal, uint64_t from, size_t count, size_t body_bytes, struct wal_record *ret_records,
             struct buffer *bodies, struct error *error);

/* Entries after `last` go (a conflict with a new leader's log); synced before it returns. `last` is not below the first
 * index − 1. ERR_NO_SPACE, here and in wal_reset: nothing has changed. */
int wal_cut_after(struct wal *wal, uint64_t last, struct error *error);
/* Whole segments whose entries are all ≤ `index` go or are recycled. */
int wal_release(struct wal *wal, uint64_t index, struct error *error);
/* Empties the log so that the next entry is `next` (a snapshot was installed); synced before it returns. */
int wal_reset(struct wal *wal, uint64_t next, struct error *error);
/* Prepares the next segment if it will soon be needed: a step of at most 1 MiB, written and synced. Called after a batch or
 * when idle, again while wal_wants_prepare. ERR_NO_SPACE: not now; the log goes on. */
int wal_prepare(struct wal *wal, struct error *error);
/* The last segment is half full and there is no other to follow it. */
bool wal_wants_prepare(const struct wal *wal);

#endif
