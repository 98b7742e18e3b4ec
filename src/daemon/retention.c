/* Directories of tasks that have ended and were acknowledged: kept for their output, for a time, and never more than so much. */
#include "daemon/allocations_internal.h"

#include "base/log.h"
#include "base/memory.h"
#include "daemon/workdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEPT_COUNT 2000           /* directories */
#define DIRECTORY_COST (16 << 10) /* bytes that one takes beside its output */

struct kept {
	uint64_t id;
	msec ended_ms;
	uint64_t size;
};

struct retention {
	char *directory;
	struct workdirs *workdirs;
	msec kept_for;
	uint64_t size_max;
	uint64_t size;
	struct kept *all; /* the oldest first, from `first` on */
	size_t first;
	size_t count;
	size_t capacity;
};

static uint64_t directory_size(const char *path)
{
	struct dirent *entry;
	struct stat status;
	uint64_t size = DIRECTORY_COST;
	DIR *directory = opendir(path);
	if (directory == NULL)
		return size;
	while ((entry = readdir(directory)) != NULL) {
		if (fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(status.st_mode))
			size += (uint64_t)status.st_size;
	}
	closedir(directory);
	return size;
}

static void push(struct retention *retention, struct kept one)
{
	if (retention->first > KEPT_COUNT) {
		memmove(retention->all, retention->all + retention->first,
		        (retention->count - retention->first) * sizeof *retention->all);
		retention->count -= retention->first;
		retention->first = 0;
	}
	mem_grow(retention->all, retention->capacity, retention->count + 1);
	retention->all[retention->count++] = one;
	retention->size += one.size;
}

static char *path_of(const struct retention *retention, uint64_t id)
{
	return mem_format("%s/%llu", retention->directory, (unsigned long long)id);
}

void retention_prune(struct retention *retention, msec now)
{
	while (retention->first < retention->count) {
		const struct kept *oldest = &retention->all[retention->first];
		if (now - oldest->ended_ms < retention->kept_for && retention->size <= retention->size_max &&
		    retention->count - retention->first <= KEPT_COUNT)
			break;
		retention->size -= oldest->size;
		retention->first++;
		workdirs_remove(retention->workdirs, path_of(retention, oldest->id));
	}
}

void retention_add(struct retention *retention, uint64_t id, const char *directory, msec now)
{
	char *work = mem_format("%s/work", directory);
	char *path = path_of(retention, id);
	if (rmdir(work) != 0 && errno == ENOTEMPTY)
		workdirs_remove(retention->workdirs, work);
	else
		mem_free(work);
	if (rename(directory, path) == 0)
		push(retention, (struct kept){id, now, directory_size(path)});
	else
		log_write(LOG_WARNING, "jobs", "cannot move %s to %s: %s", directory, path, strerror(errno));
	mem_free(path);
	retention_prune(retention, now);
}

bool retention_has(const struct retention *retention, uint64_t id, char *ret_path, size_t size)
{
	snprintf(ret_path, size, "%s/%llu", retention->directory, (unsigned long long)id);
	return access(ret_path, F_OK) == 0;
}

static int order_by_end(const void *left, const void *right)
{
	const struct kept *a = left;
	const struct kept *b = right;
	return a->ended_ms != b->ended_ms ? (a->ended_ms > b->ended_ms) - (a->ended_ms < b->ended_ms)
	                                  : (a->id > b->id) - (a->id < b->id);
}

static void look_through(struct retention *retention, DIR *directory, msec now)
{
	struct dirent *entry;
	struct stat status;
	while ((entry = readdir(directory)) != NULL) {
		uint64_t id = strtoull(entry->d_name, NULL, 10);
		if (id == 0)
			continue;
		char *path = path_of(retention, id);
		if (stat(path, &status) == 0)
			push(retention, (struct kept){id, (msec)status.st_mtime * 1000, directory_size(path)});
		mem_free(path);
	}
	if (retention->count > 0)
		qsort(retention->all, retention->count, sizeof *retention->all, order_by_end);
	retention_prune(retention, now);
}

int retention_create(const char *directory, struct workdirs *workdirs, msec kept, uint64_t kept_bytes, msec now,
                     struct retention **ret_retention, struct error *error)
{
	DIR *handle = mkdir(directory, 0700) == 0 || errno == EEXIST ? opendir(directory) : NULL;
	if (handle == NULL)
		return error_set(error, ERR_IO, "cannot make %s: %s", directory, strerror(errno));
	struct retention *retention = mem_zero(sizeof *retention);
	retention->directory = mem_string(directory);
	retention->workdirs = workdirs;
	retention->kept_for = kept;
	retention->size_max = kept_bytes;
	look_through(retention, handle, now);
	closedir(handle);
	*ret_retention = retention;
	return 0;
}

void retention_destroy(struct retention *retention)
{
	if (retention == NULL)
		return;
	mem_free(retention->directory);
	mem_free(retention->all);
	mem_free(retention);
}
