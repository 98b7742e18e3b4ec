/* Files of SQLite in memory, for tests and simulators: any operation can be made to fail, and a loss of power takes
 * what was not synced, all of it or some of its sectors. Deterministic: a seed, no clock, no sleep. Not thread-safe. */
#ifndef CLUSTERD_SIM_FAULTY_VFS_H
#define CLUSTERD_SIM_FAULTY_VFS_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stdint.h>

struct faulty_vfs;

/* Registers it with SQLite as `name`; `by_default`: for all who name none. */
struct faulty_vfs *faulty_vfs_create(const char *name, bool by_default, uint64_t seed);
/* The power of it will never go, which costs less. */
void faulty_vfs_set_reliable(struct faulty_vfs *vfs);
/* It becomes the default one. */
void faulty_vfs_use(struct faulty_vfs *vfs);
void faulty_vfs_destroy(struct faulty_vfs *vfs); /* its files are closed */

enum faulty_operation {
	FAULTY_OPEN,
	FAULTY_READ,
	FAULTY_WRITE,
	FAULTY_TRUNCATE,
	FAULTY_SYNC, /* one that fails forgets what it should have synced, as kernels do: another does not bring it back */
	FAULTY_OPERATIONS
};

/* The `nth` such operation from now on (1: the next) fails with SQLite's `code`, and does nothing; with `lasting`,
 * so do all after it. One wish per operation: a new one replaces the old, nth = 0 withdraws it. */
void faulty_vfs_fail(struct faulty_vfs *vfs, enum faulty_operation operation, uint64_t nth, int code, bool lasting);
uint64_t faulty_vfs_count(const struct faulty_vfs *vfs, enum faulty_operation operation); /* so far, failed ones too */

/* Every operation on files whose names begin with `prefix` fails from now on, so that closing them changes nothing. */
void faulty_vfs_power_off(struct faulty_vfs *vfs, const char *prefix);
enum faulty_loss {
	FAULTY_LOSE_NOTHING, /* only the process died */
	FAULTY_LOSE_SOME,    /* each unsynced sector of 512 bytes is there or not, by chance */
	FAULTY_LOSE_ALL,
};
/* The files, which must be closed by now, as they are found after the power came back. */
void faulty_vfs_power_on(struct faulty_vfs *vfs, const char *prefix, enum faulty_loss loss);

/* Bytes of a file; −1: there is none. */
int64_t faulty_vfs_size(const struct faulty_vfs *vfs, const char *name);
/* Appends up to `size` bytes of it from `offset` on. */
void faulty_vfs_read(const struct faulty_vfs *vfs, const char *name, uint64_t offset, size_t size, struct buffer *out);
/* A durable file with these bytes, which nobody has open; NULL: none. */
void faulty_vfs_put(struct faulty_vfs *vfs, const char *name, const struct buffer *bytes);
/* Overwrites bytes that are on the disk, as damage does. */
void faulty_vfs_damage(struct faulty_vfs *vfs, const char *name, uint64_t offset, const void *data, uint64_t size);

#endif
