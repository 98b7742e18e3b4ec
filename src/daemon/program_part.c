#include "daemon/programs_internal.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define ROOM_LEFT ((uint64_t)128 << 20) /* bytes of the disk that a program never takes */

struct part *part_create(struct programs *programs, const char *hash, uint64_t size)
{
	struct part *part = mem_zero(sizeof *part);
	part->path = mem_format("%s/part.%" PRIu64, programs->directory, programs->next_part++);
	part->final_path = program_path(programs, hash);
	part->directory = mem_string(programs->directory);
	memcpy(part->hash, hash, sizeof part->hash);
	part->size = size;
	part->file = -1;
	return part;
}

void part_destroy(struct part *part)
{
	if (part == NULL)
		return;
	if (part->file >= 0) {
		close(part->file);
		unlink(part->path);
	}
	digest_destroy(part->digest);
	mem_free(part->path);
	mem_free(part->final_path);
	mem_free(part->directory);
	mem_free(part);
}

static int fails(const char *what, const struct part *part, struct error *error)
{
	int failure = errno;
	return error_set(error, failure == ENOSPC || failure == EDQUOT ? ERR_NO_SPACE : ERR_IO, "cannot %s %s: %s", what, part->path,
	                 strerror(failure));
}

int part_open(struct part *part, struct error *error)
{
	struct statvfs room;
	if (statvfs(part->directory, &room) == 0 && (uint64_t)room.f_bavail * room.f_frsize < part->size + ROOM_LEFT)
		return error_set(error, ERR_NO_SPACE, "the disk has no room for a program of %" PRIu64 " bytes", part->size);
	part->file = open(part->path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (part->file < 0)
		return fails("make", part, error);
	part->digest = digest_create();
	return 0;
}

/* What is there after a power cut under the name of the program is the program. Its time says later whether anybody has written to it. */
static int become_program(struct part *part, struct error *error)
{
	const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
	if (fchmod(part->file, 0555) != 0 || futimens(part->file, times) != 0 || fsync(part->file) != 0)
		return fails("sync", part, error);
	if (close(part->file) != 0) {
		part->file = -1;
		unlink(part->path);
		return fails("close", part, error);
	}
	part->file = -1;
	int directory = open(part->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool done = rename(part->path, part->final_path) == 0 && directory >= 0 && fsync(directory) == 0;
	int failure = errno;
	if (directory >= 0)
		close(directory);
	errno = failure;
	return done ? 0 : fails("rename", part, error);
}

int part_add(struct part *part, struct slice bytes, struct error *error)
{
	char found[DIGEST_SIZE];
	size_t written = 0;
	while (written < bytes.size) {
		ssize_t size = write(part->file, bytes.data + written, bytes.size - written);
		if (size < 0 && errno != EINTR)
			return fails("write", part, error);
		written += size > 0 ? (size_t)size : 0;
	}
	digest_add(part->digest, bytes);
	part->offset += bytes.size;
	if (part->offset < part->size)
		return 0;
	digest_end(part->digest, found);
	if (strcmp(found, part->hash) != 0)
		return error_set(error, ERR_CORRUPT, "the program has been altered on its way: its SHA-256 is %s, not %s", found,
		                 part->hash);
	return become_program(part, error);
}
