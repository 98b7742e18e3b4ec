/* The file that says how a command ended: three lines, of which the last one says that it is whole. */
#include "net/supervisor_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FORM "clusterd-exit-1 %d %d %d %d %" PRId64 " %" PRId64 " %" PRIu64 "\n"
#define FORM_READ "clusterd-exit-1 %d %d %d %d %" SCNd64 " %" SCNd64 " %" SCNu64 "\n%n"

int exit_record_prepare(int place)
{
	char room[EXIT_RECORD_SIZE];
	int file = openat(place, EXIT_RECORD_FRESH, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	memset(room, ' ', sizeof room);
	if (file >= 0 && pwrite(file, room, sizeof room, 0) != (ssize_t)sizeof room) {
		int failure = errno;
		close(file);
		errno = failure;
		return -1;
	}
	return file;
}

int exit_record_write(int place, int file, const struct supervised_exit *how)
{
	char text[EXIT_RECORD_SIZE];
	char line[sizeof how->text];
	snprintf(line, sizeof line, "%s", how->text);
	for (char *at = line; *at != '\0'; at++) {
		if (*at == '\n')
			*at = ' ';
	}
	int size = snprintf(text, sizeof text, FORM "%s\n.\n", how->code, how->signal, how->not_started,
	                    how->out_of_memory, how->started_ms, how->ended_ms, how->dropped, line);
	if (pwrite(file, text, (size_t)size, 0) != size || ftruncate(file, size) != 0)
		return -1;
	return renameat(place, EXIT_RECORD_FRESH, place, EXIT_RECORD);
}

int supervised_write_exit(const char *directory, const struct supervised_exit *how, struct error *error)
{
	int place = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int file = place >= 0 ? exit_record_prepare(place) : -1;
	int result = 0;
	if (file < 0 || exit_record_write(place, file, how) != 0)
		result = error_set(error, errno == ENOSPC || errno == EDQUOT ? ERR_NO_SPACE : ERR_IO,
		                   "cannot write %s/exit: %s", directory, strerror(errno));
	if (file >= 0)
		close(file);
	if (place >= 0)
		close(place);
	return result;
}

static bool parse(const char *text, struct supervised_exit *ret_how)
{
	struct supervised_exit how = {0};
	int not_started = 0;
	int out_of_memory = 0;
	int at = 0;
	if (sscanf(text, FORM_READ, &how.code, &how.signal, &not_started, &out_of_memory, &how.started_ms,
	           &how.ended_ms, &how.dropped, &at) != 7 ||
	    at == 0)
		return false;
	/* An empty line is white space to sscanf. */
	const char *line = strchr(text, '\n');
	const char *end = line != NULL ? strchr(line + 1, '\n') : NULL;
	if (end == NULL || strcmp(end, "\n.\n") != 0)
		return false;
	line++;
	how.not_started = not_started != 0;
	how.out_of_memory = out_of_memory != 0;
	snprintf(how.text, sizeof how.text, "%.*s", (int)(end - line), line);
	*ret_how = how;
	return true;
}

int supervised_read_exit(const char *directory, struct supervised_exit *ret_how)
{
	char text[EXIT_RECORD_SIZE + 1];
	int place = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int file = place >= 0 ? openat(place, EXIT_RECORD, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
	ssize_t size = file >= 0 ? pread(file, text, sizeof text - 1, 0) : -1;
	if (file >= 0)
		close(file);
	if (place >= 0)
		close(place);
	text[size > 0 ? size : 0] = '\0';
	return size > 0 && parse(text, ret_how) ? 0 : ERR_NOT_FOUND;
}
