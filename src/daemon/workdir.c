#include "daemon/workdir.h"

#include "base/log.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SWEEP_STEP 128      /* names removed in one turn of the loop */
#define SWEEPS_LAST 100     /* at the end */
#define NAMES_TRIED 1000000 /* for a free one in the trash */

struct workdirs {
	struct loop *loop;
	struct loop_timer *sweep;
	char *root;
	char *cache;
	int root_handle;
	int trash; /* descriptor */
	uint64_t next_work;
	uint64_t next_trash;
	bool moved; /* something was moved into the trash since a look at it began */
	bool warned;
};

/* ---- Emptying the trash ---- */

/* Moves an entry of `directory` into the trash under a free name. 0 or −1 (errno). */
static int discard(struct workdirs *workdirs, int directory, const char *name)
{
	char free_name[32];
	for (int i = 0; i < NAMES_TRIED; i++) {
		snprintf(free_name, sizeof free_name, "%llu", (unsigned long long)workdirs->next_trash++);
		/* Onto an empty directory it may go. */
		if (renameat(directory, name, workdirs->trash, free_name) == 0) {
			workdirs->moved = true;
			return 0;
		}
		if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR && errno != EISDIR)
			return -1;
	}
	return -1;
}

/* Opens a directory whatever its mode is, and makes it one that can be emptied. Never follows a link. −1: it is
 * none. */
static int open_to_empty(int parent, const char *name)
{
	char path[64];
	int handle = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (handle < 0)
		return -1;
	snprintf(path, sizeof path, "/proc/self/fd/%d", handle);
	chmod(path, 0700);
	int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(handle);
	return directory;
}

/* A directory in a directory is moved to the top of the trash when it is not empty: so no tree, however deep, needs
 * recursion. */
static bool remove_inner(struct workdirs *workdirs, int directory, const char *name)
{
	if (unlinkat(directory, name, 0) == 0 || unlinkat(directory, name, AT_REMOVEDIR) == 0)
		return true;
	int inner = open_to_empty(directory, name); /* moving it needs the right to write in it */
	if (inner < 0)
		return false;
	close(inner);
	return discard(workdirs, directory, name) == 0;
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Empties and removes one entry of the trash; takes from `budget`, and returns early when it is used up. False:
 * something in it cannot be removed. */
static bool remove_outer(struct workdirs *workdirs, const char *name, int *budget)
{
	struct dirent *entry;
	bool removable = true;
	--*budget;
	if (unlinkat(workdirs->trash, name, 0) == 0 || unlinkat(workdirs->trash, name, AT_REMOVEDIR) == 0)
		return true;
	int handle = open_to_empty(workdirs->trash, name);
	DIR *directory = handle >= 0 ? fdopendir(handle) : NULL;
	if (directory == NULL) {
		if (handle >= 0)
			close(handle);
		return false;
	}
	while (*budget > 0 && (entry = readdir(directory)) != NULL) {
		if (is_dots(entry->d_name))
			continue;
		--*budget;
		removable = remove_inner(workdirs, dirfd(directory), entry->d_name) && removable;
	}
	closedir(directory);
	return removable && (*budget <= 0 || unlinkat(workdirs->trash, name, AT_REMOVEDIR) == 0);
}

/* True: there is more to do. */
static bool sweep_some(struct workdirs *workdirs, int budget)
{
	struct dirent *entry;
	bool progress = false;
	workdirs->moved = false;
	int handle = openat(workdirs->trash, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = handle >= 0 ? fdopendir(handle) : NULL;
	if (directory == NULL) {
		if (handle >= 0)
			close(handle);
		return false;
	}
	while (budget > 0 && (entry = readdir(directory)) != NULL) {
		if (is_dots(entry->d_name))
			continue;
		if (remove_outer(workdirs, entry->d_name, &budget)) {
			progress = true;
		} else if (!workdirs->warned) {
			workdirs->warned = true;
			log_write(LOG_WARNING, "executor", "cannot remove %s/trash/%s: %s", workdirs->root, entry->d_name,
			          strerror(errno));
		}
	}
	closedir(directory);
	return progress && (budget <= 0 || workdirs->moved);
}

static void on_sweep(void *context)
{
	struct workdirs *workdirs = context;
	if (sweep_some(workdirs, SWEEP_STEP))
		loop_timer_set(workdirs->sweep, loop_now(workdirs->loop) + 1);
}

/* ---- The door ---- */

/* work/ or cache/: what is there is thrown away. */
static int renew(struct workdirs *workdirs, const char *name, struct error *error)
{
	if (discard(workdirs, workdirs->root_handle, name) != 0 && errno != ENOENT)
		return error_set(error, ERR_IO, "cannot empty %s/%s: %s", workdirs->root, name, strerror(errno));
	if (mkdirat(workdirs->root_handle, name, 0700) != 0)
		return error_set(error, ERR_IO, "cannot make %s/%s: %s", workdirs->root, name, strerror(errno));
	return 0;
}

static int open_directories(struct workdirs *workdirs, struct error *error)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	workdirs->root_handle = open(workdirs->root, flags);
	if (workdirs->root_handle < 0)
		return error_set(error, ERR_IO, "cannot open %s: %s", workdirs->root, strerror(errno));
	if (mkdirat(workdirs->root_handle, "trash", 0700) != 0 && errno != EEXIST)
		return error_set(error, ERR_IO, "cannot make %s/trash: %s", workdirs->root, strerror(errno));
	workdirs->trash = openat(workdirs->root_handle, "trash", flags | O_NOFOLLOW);
	if (workdirs->trash < 0)
		return error_set(error, ERR_IO, "cannot open %s/trash: %s", workdirs->root, strerror(errno));
	int result = renew(workdirs, "work", error);
	return result != 0 ? result : renew(workdirs, "cache", error);
}

static void release(struct workdirs *workdirs)
{
	if (workdirs->trash >= 0)
		close(workdirs->trash);
	if (workdirs->root_handle >= 0)
		close(workdirs->root_handle);
	loop_timer_destroy(workdirs->sweep);
	mem_free(workdirs->cache);
	mem_free(workdirs->root);
	mem_free(workdirs);
}

int workdirs_create(struct loop *loop, const char *directory, struct workdirs **ret_workdirs, struct error *error)
{
	char root[PATH_MAX];
	if (mkdir(directory, 0700) != 0 && errno != EEXIST)
		return error_set(error, ERR_IO, "cannot make %s: %s", directory, strerror(errno));
	if (realpath(directory, root) == NULL)
		return error_set(error, ERR_IO, "cannot find %s: %s", directory, strerror(errno));
	struct workdirs *workdirs = mem_zero(sizeof *workdirs);
	workdirs->loop = loop;
	workdirs->root = mem_string(root);
	workdirs->cache = mem_format("%s/cache", root);
	workdirs->root_handle = -1;
	workdirs->trash = -1;
	workdirs->sweep = loop_timer_create(loop, on_sweep, workdirs);
	int result = open_directories(workdirs, error);
	if (result != 0) {
		release(workdirs);
		return result;
	}
	loop_timer_set(workdirs->sweep, loop_now(loop));
	*ret_workdirs = workdirs;
	return 0;
}

void workdirs_destroy(struct workdirs *workdirs)
{
	if (workdirs == NULL)
		return;
	discard(workdirs, workdirs->root_handle, "work");
	discard(workdirs, workdirs->root_handle, "cache");
	workdirs->warned = true; /* children that are being killed may still write: the next start removes that */
	for (int i = 0; i < SWEEPS_LAST && sweep_some(workdirs, SWEEP_STEP); i++)
		;
	release(workdirs);
}

int workdirs_add(struct workdirs *workdirs, char **ret_path, struct error *error)
{
	char *path = mem_format("%s/work/%llu", workdirs->root, (unsigned long long)++workdirs->next_work);
	if (mkdir(path, 0700) != 0) {
		int code = errno == ENOSPC ? ERR_NO_SPACE : ERR_IO;
		int result = error_set(error, code, "cannot make %s: %s", path, strerror(errno));
		mem_free(path);
		return result;
	}
	*ret_path = path;
	return 0;
}

void workdirs_remove(struct workdirs *workdirs, char *take_path)
{
	if (take_path == NULL)
		return;
	if (discard(workdirs, AT_FDCWD, take_path) != 0)
		log_write(LOG_WARNING, "executor", "cannot remove %s: %s", take_path, strerror(errno));
	mem_free(take_path);
	loop_timer_set(workdirs->sweep, loop_now(workdirs->loop));
}

const char *workdirs_cache(const struct workdirs *workdirs)
{
	return workdirs->cache;
}
