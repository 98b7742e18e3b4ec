#include "sim/lies.h"

#include "sim/faulty_fs.h"

#include <assert.h>
#include <sqlite3.h>

/* One process makes one kind of mistake: what is lied about is kept once. */

static struct fs_operations lying_operations;
static int (*true_sync)(struct fs_file *file);

static struct fs *lying_fs;

static int sync_and_ignore(struct fs_file *file)
{
	int code = true_sync(file);
	return faulty_fs_is_off(lying_fs) ? code : 0;
}

void lie_about_failed_syncs(struct fs *fs)
{
	lying_operations = *fs->operations;
	true_sync = lying_operations.sync;
	lying_fs = fs;
	lying_operations.sync = sync_and_ignore;
	fs->operations = &lying_operations;
}

static sqlite3_io_methods lying_methods;
static int (*true_open)(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags);

static int sync_nothing(sqlite3_file *file, int flags)
{
	(void)file;
	(void)flags;
	return SQLITE_OK;
}

static int open_to_lie(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	int code = true_open(vfs, name, file, flags, ret_flags);
	if (code == SQLITE_OK) {
		lying_methods = *file->pMethods;
		lying_methods.xSync = sync_nothing;
		file->pMethods = &lying_methods;
	}
	return code;
}

void lie_about_catalog_syncs(const char *name)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(name);
	assert(vfs != NULL);
	true_open = vfs->xOpen;
	vfs->xOpen = open_to_lie;
}
