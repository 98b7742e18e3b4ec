/* A file system in memory that fails as disks do, by a seed.
 *
 * What is written is seen at once (the page cache) and is on disk after a sync, or earlier, a sector of 512 bytes at a time,
 * as it pleases the seed. When the power goes each sector that is not synced is kept or lost by itself, and one of the last
 * write may be torn in the middle; names made, changed or removed since the last sync of the directory are kept or lost too.
 * A sync that fails leaves the sectors clean but not on disk: reads still show them, later syncs succeed without them. */
#ifndef CLUSTERD_SIM_FAULTY_FS_H
#define CLUSTERD_SIM_FAULTY_FS_H

#include "store/fs.h"

#define FAULTY_SECTOR_SIZE 512u

struct fs *faulty_fs_create(uint64_t seed);

/* The power goes now and comes back: what survived is there, open files are dead (−EIO; close them all the same), and
 * everything that was to fail works again. */
void faulty_fs_crash(struct fs *fs);

/* Sectors that were not synced when the power went. */
struct faulty_losses {
	uint64_t lost;
	uint64_t torn;
};
void faulty_fs_losses(struct fs *fs, struct faulty_losses *losses); /* adds those since it was asked last */

/* The power goes in the middle of the `operations`th changing operation from now (1: the next; 0: never); from then on all
 * fail with −EIO, until faulty_fs_crash. */
void faulty_fs_power_off_at(struct fs *fs, uint64_t operations);
bool faulty_fs_is_off(const struct fs *fs);
uint64_t faulty_fs_operations(const struct fs *fs); /* changing ones so far */

/* The `nth` sync of a file or the directory from now fails with −EIO (1: the next; 0: none). What it should have written is
 * lost in part. A failed sync of the directory leaves its names unsynced. */
void faulty_fs_fail_sync(struct fs *fs, uint64_t nth);
/* From the `nth` write or allocation on all fail with −ENOSPC, the first after a part of it (1: the next; 0: none). */
void faulty_fs_fail_space(struct fs *fs, uint64_t nth);
/* Bytes of all files together; beyond it −ENOSPC. 0: no limit. */
void faulty_fs_set_capacity(struct fs *fs, uint64_t bytes);
/* The cache forgets clean sectors: reads show what is on disk. */
void faulty_fs_evict(struct fs *fs);

/* Damage, on disk and in the cache; false when there is no such file or byte. */
bool faulty_fs_flip(struct fs *fs, const char *name, uint64_t offset, unsigned bit);
bool faulty_fs_overwrite(struct fs *fs, const char *name, uint64_t offset, const void *data, size_t size);
/* Cuts a file short, at once. */
bool faulty_fs_shorten(struct fs *fs, const char *name, uint64_t size);
bool faulty_fs_remove(struct fs *fs, const char *name);
/* A durable file with these bytes. */
void faulty_fs_put(struct fs *fs, const char *name, const void *data, size_t size);
/* What reads would show; NULL when there is no such file. Good until the next call. */
const char *faulty_fs_bytes(struct fs *fs, const char *name, size_t *ret_size);

#endif
