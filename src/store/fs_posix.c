#include "store/fs.h"

#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define NAME_SIZE_MAX 255
#define ZEROES_SIZE (256u << 10)

struct fs_posix {
	struct fs fs;
	int directory;
};

struct fs_file {
	int descriptor;
};

static int directory_of(struct fs *fs)
{
	return ((struct fs_posix *)fs)->directory;
}

/* A plain name of this directory: nothing leads out of it. */
static bool name_allowed(const char *name)
{
	size_t size = strlen(name);
	if (size == 0 || size > NAME_SIZE_MAX || strchr(name, '/') != NULL)
		return false;
	return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int posix_open(struct fs *fs, const char *name, bool create, struct fs_file **ret_file)
{
	int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0);
	if (!name_allowed(name))
		return -EINVAL;
	int descriptor = openat(directory_of(fs), name, flags, 0600);
	if (descriptor < 0)
		return -errno;
	*ret_file = mem_zero(sizeof **ret_file);
	(*ret_file)->descriptor = descriptor;
	return 0;
}

static void posix_close(struct fs_file *file)
{
	close(file->descriptor);
	mem_free(file);
}

static int64_t posix_size(struct fs_file *file)
{
	struct stat status;
	return fstat(file->descriptor, &status) == 0 ? (int64_t)status.st_size : -errno;
}

static int64_t posix_read(struct fs_file *file, uint64_t offset, void *data, size_t size)
{
	size_t done = 0;
	while (done < size) {
		ssize_t got = pread(file->descriptor, (char *)data + done, size - done, (off_t)(offset + done));
		if (got == 0)
			break;
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got > 0)
			done += (size_t)got;
	}
	return (int64_t)done;
}

static int posix_write(struct fs_file *file, uint64_t offset, const void *data, size_t size)
{
	size_t done = 0;
	while (done < size) {
		ssize_t put = pwrite(file->descriptor, (const char *)data + done, size - done, (off_t)(offset + done));
		if (put < 0 && errno != EINTR)
			return -errno;
		if (put > 0)
			done += (size_t)put;
	}
	return 0;
}

/* Zeroes are written, not only reserved (fallocate): the first write into a reserved block changes the file's map of
 * blocks, and the sync after it then has to write that too. */
static int posix_allocate(struct fs_file *file, uint64_t size)
{
	static char zeroes[ZEROES_SIZE];
	int64_t at = posix_size(file);
	if (at < 0)
		return (int)at;
	while ((uint64_t)at < size) {
		uint64_t left = size - (uint64_t)at;
		size_t step = left < ZEROES_SIZE ? (size_t)left : ZEROES_SIZE;
		int result = posix_write(file, (uint64_t)at, zeroes, step);
		if (result < 0)
			return result;
		at += (int64_t)step;
	}
	return 0;
}

static int posix_truncate(struct fs_file *file, uint64_t size)
{
	return ftruncate(file->descriptor, (off_t)size) == 0 ? 0 : -errno;
}

/* Never tried again: after a failure the pages count as clean, and a second call would say that all is well. */
static int posix_sync(struct fs_file *file)
{
	return fdatasync(file->descriptor) == 0 ? 0 : -errno;
}

static int posix_rename(struct fs *fs, const char *from, const char *to)
{
	if (!name_allowed(from) || !name_allowed(to))
		return -EINVAL;
	return renameat(directory_of(fs), from, directory_of(fs), to) == 0 ? 0 : -errno;
}

static int posix_remove(struct fs *fs, const char *name)
{
	if (!name_allowed(name))
		return -EINVAL;
	return unlinkat(directory_of(fs), name, 0) == 0 ? 0 : -errno;
}

static int posix_sync_directory(struct fs *fs)
{
	return fsync(directory_of(fs)) == 0 ? 0 : -errno;
}

static int compare_names(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

static int read_names(DIR *stream, char ***ret_names, size_t *ret_count)
{
	char **names = NULL;
	size_t count = 0;
	size_t capacity = 0;
	struct dirent *entry;
	while (errno = 0, (entry = readdir(stream)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		mem_grow(names, capacity, count + 1);
		names[count++] = mem_string(entry->d_name);
	}
	int result = -errno;
	*ret_names = names;
	*ret_count = count;
	return result;
}

static int posix_list(struct fs *fs, struct buffer *ret_names)
{
	char **names = NULL;
	size_t count = 0;
	/* A descriptor of its own: the position in a directory belongs to the open file. */
	int descriptor = openat(directory_of(fs), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (descriptor < 0)
		return -errno;
	DIR *stream = fdopendir(descriptor);
	if (stream == NULL) {
		int result = -errno;
		close(descriptor);
		return result;
	}
	int result = read_names(stream, &names, &count);
	closedir(stream);
	if (count > 1)
		qsort(names, count, sizeof names[0], compare_names);
	for (size_t i = 0; i < count; i++) {
		if (result == 0)
			buffer_append(ret_names, names[i], strlen(names[i]) + 1);
		mem_free(names[i]);
	}
	mem_free(names);
	return result;
}

static int64_t posix_free_space(struct fs *fs)
{
	struct statvfs status;
	if (fstatvfs(directory_of(fs), &status) < 0)
		return -errno;
	if (status.f_frsize != 0 && status.f_bavail > (uint64_t)INT64_MAX / status.f_frsize)
		return INT64_MAX;
	return (int64_t)(status.f_bavail * status.f_frsize);
}

static void posix_destroy(struct fs *fs)
{
	if (fs == NULL)
		return;
	close(directory_of(fs));
	mem_free(fs);
}

static const struct fs_operations posix_operations = {
	.open = posix_open,
	.close = posix_close,
	.size = posix_size,
	.read = posix_read,
	.write = posix_write,
	.allocate = posix_allocate,
	.truncate = posix_truncate,
	.sync = posix_sync,
	.rename = posix_rename,
	.remove = posix_remove,
	.sync_directory = posix_sync_directory,
	.list = posix_list,
	.free_space = posix_free_space,
	.destroy = posix_destroy,
};

int fs_posix_create(const char *directory, struct fs **ret_fs)
{
	int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (descriptor < 0)
		return -errno;
	struct fs_posix *posix = mem_zero(sizeof *posix);
	posix->fs.operations = &posix_operations;
	posix->directory = descriptor;
	*ret_fs = &posix->fs;
	return 0;
}
