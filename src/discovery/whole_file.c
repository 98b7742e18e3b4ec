#include "discovery/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 4096

static int read_all(int descriptor, const char *path, size_t size_max, struct buffer *out, struct error *error)
{
	struct stat status;
	ssize_t got;
	if (fstat(descriptor, &status) != 0)
		return error_set(error, ERR_IO, "%s: %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return error_set(error, ERR_INVALID, "%s is not a file", path);
	do {
		got = read(descriptor, buffer_reserve(out, CHUNK), CHUNK);
		if (got < 0)
			return error_set(error, ERR_IO, "%s: %s", path, strerror(errno));
		out->size += (size_t)got;
		if (out->size > size_max)
			return error_set(error, ERR_LIMIT, "%s has more than %zu bytes", path, size_max);
	} while (got > 0);
	return 0;
}

int whole_file_read(const char *path, size_t size_max, struct buffer *out, struct error *error)
{
	int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (descriptor < 0)
		return error_set(error, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path, strerror(errno));
	int code = read_all(descriptor, path, size_max, out, error);
	close(descriptor);
	return code;
}
