#include "daemon/attachments.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#define HASH_SIZE_MAX 64
#define CACHE_MAX ((uint64_t)512 << 20) /* bytes kept; past it the least recently used goes */

struct attachment {
	char hash[HASH_SIZE_MAX + 1];
	uint64_t size;
	bool executable;
	UT_hash_handle hh;
};

struct attachments {
	char *cache;
	int directory;
	attachments_fetch *fetch;
	void *context;
	struct attachment *all; /* the least recently used first */
	uint64_t size;
};

struct attachments *attachments_create(const char *cache, attachments_fetch *fetch, void *context)
{
	struct attachments *attachments = mem_zero(sizeof *attachments);
	attachments->cache = mem_string(cache);
	attachments->directory = open(cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	attachments->fetch = fetch;
	attachments->context = context;
	return attachments;
}

static void forget(struct attachments *attachments, struct attachment *attachment)
{
	HASH_DEL(attachments->all, attachment);
	attachments->size -= attachment->size;
	unlinkat(attachments->directory, attachment->hash, 0);
	mem_free(attachment);
}

void attachments_destroy(struct attachments *attachments)
{
	if (attachments == NULL)
		return;
	while (attachments->all != NULL) {
		struct attachment *attachment = attachments->all;
		HASH_DEL(attachments->all, attachment);
		mem_free(attachment);
	}
	if (attachments->directory >= 0)
		close(attachments->directory);
	mem_free(attachments->cache);
	mem_free(attachments);
}

static int io_error(struct error *error, const char *what, const char *name)
{
	int code = errno == ENOSPC || errno == EDQUOT ? ERR_NO_SPACE : ERR_IO;
	return error_set(error, code, "cannot %s %s: %s", what, name, strerror(errno));
}

/* ---- Keeping ---- */

static bool is_hash(struct slice hash)
{
	if (hash.size == 0 || hash.size > HASH_SIZE_MAX)
		return false;
	for (size_t i = 0; i < hash.size; i++) {
		char c = hash.data[i];
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')))
			return false;
	}
	return true;
}

static int write_all(int file, struct slice content)
{
	while (content.size > 0) {
		ssize_t written = write(file, content.data, content.size);
		if (written < 0 && errno != EINTR)
			return -1;
		if (written > 0)
			content = (struct slice){content.data + written, content.size - (size_t)written};
	}
	return 0;
}

static int keep(struct attachments *attachments, struct attachment *attachment, struct slice content,
                struct error *error)
{
	int file = openat(attachments->directory, attachment->hash, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
	if (file < 0)
		return io_error(error, "make", attachment->hash);
	int result = write_all(file, content);
	if (result != 0)
		result = io_error(error, "write", attachment->hash);
	close(file);
	if (result != 0)
		unlinkat(attachments->directory, attachment->hash, 0);
	return result;
}

static int fetch(struct attachments *attachments, struct slice hash, struct attachment **ret_attachment,
                 struct error *error)
{
	struct buffer content = BUFFER_EMPTY;
	struct attachment *attachment = mem_zero(sizeof *attachment);
	memcpy(attachment->hash, hash.data, hash.size);
	int result = attachments->fetch(attachments->context, hash, &attachment->executable, &content, error);
	if (result == 0) {
		attachment->size = content.size;
		result = keep(attachments, attachment, buffer_slice(&content), error);
	}
	buffer_finish(&content);
	if (result != 0) {
		mem_free(attachment);
		return result;
	}
	while (attachments->all != NULL && attachments->size + attachment->size > CACHE_MAX)
		forget(attachments, attachments->all);
	attachments->size += attachment->size;
	HASH_ADD_STR(attachments->all, hash, attachment);
	*ret_attachment = attachment;
	return 0;
}

/* Opens the kept file; when it is not what was kept, it is fetched once more. */
static int open_kept(struct attachments *attachments, struct slice hash, struct attachment **ret_attachment,
                     int *ret_file, struct error *error)
{
	struct stat status;
	struct attachment *attachment = NULL;
	if (!is_hash(hash))
		return error_set(error, ERR_INVALID, "an attachment's hash is malformed");
	HASH_FIND(hh, attachments->all, hash.data, hash.size, attachment);
	for (int try = 0; try < 2; try++) {
		int result = attachment != NULL ? 0 : fetch(attachments, hash, &attachment, error);
		if (result != 0)
			return result;
		int file = openat(attachments->directory, attachment->hash, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (file >= 0 && fstat(file, &status) == 0 && (uint64_t)status.st_size == attachment->size) {
			HASH_DEL(attachments->all, attachment);
			HASH_ADD_STR(attachments->all, hash, attachment);
			*ret_attachment = attachment;
			*ret_file = file;
			return 0;
		}
		if (file >= 0)
			close(file);
		forget(attachments, attachment);
		attachment = NULL;
	}
	return error_set(error, ERR_IO, "the attachment %.*s cannot be kept in %s", SLICE_ARGS(hash), attachments->cache);
}

/* ---- Placing ---- */

/* A plain relative path: no empty part, no "." or "..". */
static bool is_plain_path(struct slice path)
{
	size_t start = 0;
	if (path.size == 0 || path.size >= PATH_MAX || memchr(path.data, '\0', path.size) != NULL)
		return false;
	for (size_t i = 0; i <= path.size; i++) {
		if (i < path.size && path.data[i] != '/')
			continue;
		struct slice part = {path.data + start, i - start};
		if (part.size == 0 || slice_is(part, ".") || slice_is(part, ".."))
			return false;
		start = i + 1;
	}
	return true;
}

static int make_parents(int directory, char *path)
{
	for (char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		int made = mkdirat(directory, path, 0755);
		*slash = '/';
		if (made != 0 && errno != EEXIST)
			return -1;
	}
	return 0;
}

/* Shares the blocks where the file system can (a change of either then copies), else copies the bytes. */
static int copy(int from, int to, uint64_t size)
{
	if (size == 0 || ioctl(to, FICLONE, from) == 0)
		return 0;
	while (size > 0) {
		ssize_t copied = sendfile(to, from, NULL, size);
		if (copied == 0)
			errno = EIO; /* it has become shorter */
		if (copied < 0 && errno == EINTR)
			continue;
		if (copied <= 0)
			return -1;
		size -= (uint64_t)copied;
	}
	return 0;
}

static int place(struct attachments *attachments, const struct process_file *file, int directory, struct error *error)
{
	char path[PATH_MAX];
	struct attachment *attachment = NULL;
	int kept = -1;
	if (!is_plain_path(file->path))
		return error_set(error, ERR_INVALID, "the path of an attachment is not plain and relative: %.*s",
		                 SLICE_ARGS(file->path));
	snprintf(path, sizeof path, "%.*s", SLICE_ARGS(file->path));
	int result = open_kept(attachments, file->hash, &attachment, &kept, error);
	if (result != 0)
		return result;
	mode_t mode = attachment->executable ? 0755 : 0644;
	int made = make_parents(directory, path) != 0 ? -1
	         : openat(directory, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (made < 0 || copy(kept, made, attachment->size) != 0 || fchmod(made, mode) != 0)
		result = io_error(error, "make", path);
	if (made >= 0)
		close(made);
	close(kept);
	return result;
}

int attachments_place(struct attachments *attachments, const struct process_file *files, uint32_t count,
                      const char *directory, struct error *error)
{
	int result = 0;
	if (count == 0)
		return 0;
	int handle = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (handle < 0)
		return io_error(error, "open", directory);
	for (uint32_t i = 0; i < count && result == 0; i++)
		result = place(attachments, &files[i], handle, error);
	close(handle);
	return result;
}
