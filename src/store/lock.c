#include "store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int cannot(struct error *error, const char *doing, const char *directory)
{
	int code = errno == ENOSPC || errno == EDQUOT ? ERR_NO_SPACE : ERR_IO;
	return error_set(error, code, "cannot %s %s: %s", doing, directory, strerror(errno));
}

static int make_directory(const char *directory, struct error *error)
{
	struct stat status;
	if (mkdir(directory, 0700) < 0 && errno != EEXIST) {
		/* A directory that is there, on a file system that refuses before it looks. */
		if (errno != EROFS || stat(directory, &status) < 0)
			return cannot(error, "create the directory", directory);
	}
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

static int take(int fd, const char *directory, struct error *error)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
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
	if (snprintf(path, sizeof path, "%s/lock", directory) >= (int)sizeof path)
		return error_set(error, ERR_LIMIT, "the name of the directory has more than %d bytes", PATH_MAX - 6);
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
