/* What is done with the disk beside the loop: appending to the log, votes and reading the log on the disk thread; checkpoints of the
 * catalog on a thread of their own, since a batch of the log must not wait behind megabytes of them. A small batch is written and
 * synced by the loop's own thread, behind its turn, as long as syncs are short. */
#ifndef CLUSTERD_DAEMON_DISK_H
#define CLUSTERD_DAEMON_DISK_H

#include "base/buffer.h"
#include "base/error.h"
#include "net/loop.h"
#include "store/vote.h"
#include "store/wal.h"

struct disk;

/* All functions are called on the loop's thread. */
struct disk_handler {
	void (*synced)(void *context, uint64_t index);
	void (*vote_saved)(void *context);
	void (*identity_saved)(void *context);
	/* The records are lent for the call. */
	void (*entries)(void *context, uint64_t tag, const struct wal_record *records, size_t count);
	/* `complete`: everything that was in the WAL has been moved. */
	void (*checkpointed)(void *context, bool complete);
	/* Entries from here on should stay in the log, if that can be. */
	uint64_t (*needed)(void *context);
	/* Entries up to `index` are gone from the log. */
	void (*compacted)(void *context, uint64_t index);
	/* disk_install is done. */
	void (*installed)(void *context);
	void (*failed)(void *context, const struct error *error);
};

#define DISK_TAIL_BYTES (UINT64_C(64) << 20)
#define DISK_LOG_BYTES_MAX (UINT64_C(256) << 20) /* then who is behind gets a copy of the catalog */

struct disk_options {
	const char *directory;   /* the data directory */
	const char *catalog_path;
	uint64_t log_tail;       /* entries kept in the log behind the checkpoint, … */
	uint64_t tail_bytes;     /* … up to so many bytes of segments; 0: DISK_TAIL_BYTES */
	uint64_t log_bytes_max;  /* so long may the log become for the sake of a member that is behind; 0: DISK_LOG_BYTES_MAX */
};

/* Opens (makes) the log and the vote file; recovery is through when it returns. */
int disk_open(const struct disk_options *options, struct disk **ret_disk, struct vote_state *ret_vote,
              struct wal_recovery *ret_recovery, struct error *error);
/* From now on the log belongs to the disk's jobs. The handler is called in turns of the loop and by disk_close. */
int disk_run(struct disk *disk, struct loop *loop, const struct disk_handler *handler, void *context,
             struct error *error);
/* What was given is carried out first, and nobody is told (an installation may stop between catalog and log: see data_dir.c). NULL is
 * fine. */
void disk_close(struct disk *disk);

/* Before disk_run, by the caller's thread. */
/* Durable when it returns 0. */
int disk_keep(struct disk *disk, const struct vote_state *state, struct error *error);
/* Empties the log so that `next` comes next; durable when it returns 0. */
int disk_reset(struct disk *disk, uint64_t next, struct error *error);
/* Each entry above `after`, in order. Ends with what is not 0 of `each`. */
int disk_scan(struct disk *disk, uint64_t after,
              int (*each)(void *context, const struct wal_record *record, struct error *error), void *context,
              struct error *error);

void disk_append(struct disk *disk, const struct wal_record *records, size_t count);
/* Entries after `last` go: after what was appended before, ahead of what is given later. */
void disk_cut(struct disk *disk, uint64_t last);
/* `may_be_gone`: entries before the log's first are none, and no failure. */
void disk_read(struct disk *disk, uint64_t tag, uint64_t from, uint64_t to, bool may_be_gone);
void disk_save_vote(struct disk *disk, uint64_t term, uint64_t voted_for);
/* Of `identity` the ids of clusters and the founders. */
void disk_save_identity(struct disk *disk, const struct vote_state *identity);
/* Moves the catalog's WAL into its file and lets go of the log that is covered. One at a time: more are ignored. */
void disk_checkpoint(struct disk *disk);
/* The catalog becomes the copy in the file `path`, which must be one (catalog_copy_check) and as of entry `index`, and the log is
 * emptied, so that index + 1 comes next: in this order, both durable, when checkpoints and what was given before are through. */
void disk_install(struct disk *disk, const char *path, uint64_t index);
/* Called now and then: writes down what is synced when nothing was appended since the last call. */
void disk_idle(struct disk *disk);
bool disk_wants_idle(const struct disk *disk); /* it has something to do when it is called again */

const char *disk_cluster_id(const struct disk *disk); /* that the vote file says, or will when what was given is done */
uint64_t disk_log_size(const struct disk *disk);      /* bytes */
uint64_t disk_log_first(const struct disk *disk);     /* index */
uint64_t disk_syncs(const struct disk *disk);
uint64_t disk_bytes(const struct disk *disk);         /* bodies appended */
int64_t disk_free_space(struct disk *disk);           /* bytes; below 0: not known */
bool disk_checkpointing(const struct disk *disk);
uint64_t disk_checkpoints(const struct disk *disk);   /* completed */

#endif
