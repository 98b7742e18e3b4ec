/* The face of the file system that the store works on, so that tests can put one under it that loses unsynced writes, tears
 * the last one, flips bits, and fails: all durability claims are tested through it. Files are named relative to one
 * directory. Functions return 0 or more, or a negative errno. Called from one thread at a time. */
#ifndef CLUSTERD_STORE_FS_H
#define CLUSTERD_STORE_FS_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stdint.h>

struct fs;
struct fs_file; /* open for reading and writing */

struct fs_operations {
	/* create: makes it when it is absent (mode 0600); without, −ENOENT. */
	int (*open)(struct fs *fs, const char *name, bool create, struct fs_file **ret_file);
	void (*close)(struct fs_file *file);
	int64_t (*size)(struct fs_file *file);
	/* All of it, or an error; a short read at the end of the file gives how many bytes there were. */
	int64_t (*read)(struct fs_file *file, uint64_t offset, void *data, size_t size);
	int (*write)(struct fs_file *file, uint64_t offset, const void *data, size_t size);
	int (*allocate)(struct fs_file *file, uint64_t size); /* zeroes to `size`, really written */
	int (*truncate)(struct fs_file *file, uint64_t size);
	int (*sync)(struct fs_file *file);                    /* fdatasync */
	int (*rename)(struct fs *fs, const char *from, const char *to);
	int (*remove)(struct fs *fs, const char *name);
	int (*sync_directory)(struct fs *fs);
	/* Names of the directory, each ended by a NUL, sorted by bytes. */
	int (*list)(struct fs *fs, struct buffer *ret_names);
	int64_t (*free_space)(struct fs *fs); /* bytes that may still be written */
	void (*destroy)(struct fs *fs);
};

struct fs {
	const struct fs_operations *operations;
};

/* The real one, on an existing directory. 0 or a negative errno. */
int fs_posix_create(const char *directory, struct fs **ret_fs);

#endif
