/* Output of a command, on its way from a pipe into files of a bounded size. Whatever the disk says, the pipe is emptied: a command is
 * never held up or ended because of its log. */
#include "net/supervisor_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NOTE_SIZE 160
#define NAME_SIZE 40

static char chunk[32 << 10]; /* of all outputs: there is one thread */

static void file_name(const struct output *output, uint64_t first, char ret_name[NAME_SIZE])
{
	snprintf(ret_name, NAME_SIZE, "%s.%" PRIu64, output->name, first);
}

/* Files are full when another one begins, so that the names of all are known. */
static bool open_file(struct output *output)
{
	char name[NAME_SIZE];
	uint64_t first = output->size - output->size % output->log_size;
	uint64_t kept = (uint64_t)output->log_files * output->log_size;
	if (output->file >= 0)
		return true;
	if (first >= kept) {
		file_name(output, first - kept, name);
		unlink(name);
	}
	file_name(output, first, name);
	output->file = open(name, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	return output->file >= 0;
}

/* How much of it is kept; less: the disk takes no more of it. */
static size_t write_some(struct output *output, const char *data, size_t size)
{
	size_t kept = 0;
	while (kept < size) {
		uint64_t room = output->log_size - output->size % output->log_size;
		size_t part = size - kept < room ? size - kept : (size_t)room;
		ssize_t written = open_file(output) ? write(output->file, data + kept, part) : -1;
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0) {
			output->failure = errno;
			break;
		}
		kept += (size_t)written;
		output->size += (uint64_t)written;
		if (output->size % output->log_size == 0) {
			close(output->file);
			output->file = -1;
		}
	}
	return kept;
}

static void keep(struct output *output, const char *data, size_t size)
{
	if (output->unsaid > 0) {
		char note[NOTE_SIZE];
		int length = snprintf(note, sizeof note,
		                      "\n[clusterd: %" PRIu64 " bytes of output are lost here: %s]\n", output->unsaid,
		                      strerror(output->failure));
		if (write_some(output, note, (size_t)length) == (size_t)length)
			output->unsaid = 0;
	}
	size_t kept = output->unsaid == 0 ? write_some(output, data, size) : 0;
	output->dropped += size - kept;
	output->unsaid += size - kept;
}

bool output_take(struct output *output)
{
	if (output->pipe < 0)
		return false;
	ssize_t size = read(output->pipe, chunk, sizeof chunk);
	if (size < 0 && errno == EINTR)
		return true;
	if (size < 0 && errno == EAGAIN)
		return false;
	if (size <= 0) {
		close(output->pipe);
		output->pipe = -1;
		return false;
	}
	keep(output, chunk, (size_t)size);
	return true;
}
