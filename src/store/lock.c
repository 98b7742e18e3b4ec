#include "store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ORPHAN_TRIES 1000
#define ORPHAN_PAUSE_US 5000

static int cannot(struct error *error, const char *doing, const char *directory)
{
	int code = errno == ENOSPC || errno == EDQUOT ? ERR_NO_SPACE : ERR_IO;
	return error_set(error, code, "cannot %s %s: %s", doing, directory, strerror(errno));
}

/* The name of a new directory is on disk once its parent is; else all that will be synced in it could go with it. */
static int sync_parent(const char *directory, struct error *error)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/..", directory);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = fd < 0 ? -1 : fsync(fd);
	if (result < 0)
		cannot(error, "sync", path);
	if (fd >= 0)
		close(fd);
	return result < 0 ? ERR_IO : 0;
}

static int make_directory(const char *directory, struct error *error)
{
	struct stat status;
	if (strlen(directory) > PATH_MAX - 6)
		return error_set(error, ERR_LIMIT, "the name of the data directory has %zu bytes, more than %d",
		                 strlen(directory), PATH_MAX - 6);
	if (mkdir(directory, 0700) == 0)
		return sync_parent(directory, error);
	/* EROFS: a directory that is there, on a file system that refuses before it looks. */
	if (errno != EEXIST && (errno != EROFS || stat(directory, &status) < 0))
		return cannot(error, "create the directory", directory);
	if (stat(directory, &status) < 0)
		return cannot(error, "use the directory", directory);
	if (!S_ISDIR(status.st_mode))
		return error_set(error, ERR_IO, "cannot use %s: it is not a directory", directory);
	if (faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) < 0)
		return cannot(error, "write in", directory);
	return 0;
}

/* The process id in the file; 0 when it cannot be told. */
static long read_holder(int fd)
{
	char text[32];
	ssize_t size = pread(fd, text, sizeof text - 1, 0);
	if (size <= 0)
		return 0;
	text[size] = '\0';
	long holder = strtol(text, NULL, 10);
	return holder > 0 && holder != LONG_MAX ? holder : 0;
}

/* Over what stands there, and only then cut: on a full disk that needs no room. */
static int write_holder(int fd)
{
	char text[32];
	int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
	ssize_t put = pwrite(fd, text, (size_t)size, 0);
	if (put != size) {
		if (put >= 0)
			errno = ENOSPC;
		return -1;
	}
	return ftruncate(fd, size);
}

/* A process that was killed while it started a child leaves the lock to that child until its exec. */
static bool lock_is_orphan(int fd)
{
	long holder = read_holder(fd);
	int why = errno;
	bool orphan = holder != 0 && kill((pid_t)holder, 0) < 0 && errno == ESRCH;
	errno = why;
	return orphan;
}

static int take(int fd, const char *directory, struct error *error)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int locked = fcntl(fd, F_OFD_SETLK, &lock);
	for (int tries = 0; locked < 0 && tries < ORPHAN_TRIES && lock_is_orphan(fd); tries++) {
		usleep(ORPHAN_PAUSE_US);
		locked = fcntl(fd, F_OFD_SETLK, &lock);
	}
	if (locked < 0) {
		if (errno != EAGAIN && errno != EACCES)
			return cannot(error, "lock", directory);
		long holder = read_holder(fd);
		if (holder == 0)
			return error_set(error, ERR_BUSY, "%s is in use by another process", directory);
		return error_set(error, ERR_BUSY, "%s is in use by process %ld", directory, holder);
	}
	return write_holder(fd) < 0 ? cannot(error, "write in", directory) : 0;
}

int lock_take(const char *directory, int *ret_fd, struct error *error)
{
	char path[PATH_MAX];
	int result = make_directory(directory, error);
	if (result < 0)
		return result;
	snprintf(path, sizeof path, "%s/lock", directory);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return cannot(error, "write in", directory);
	result = take(fd, directory, error);
	if (result < 0) {
		close(fd);
		return result;
	}
	*ret_fd = fd;
	return 0;
}

void lock_release(int fd)
{
	close(fd);
}
