/* A file with an address a line, which somebody replaces or writes to: it is read again and again. Notices of the system (inotify) would
 * come sooner, but not from other machines, and not for every way in which a file is put in the place of another. */
#include "base/memory.h"
#include "discovery/lines.h"
#include "discovery/source.h"
#include "discovery/whole_file.h"

#define FILE_PERIOD_MS 2000
#define FILE_SIZE_MAX (64 * 1024)

struct reading {
	struct job job;
	struct source *source;
	char *path; /* its own: the source may be gone before the disk answers */
	struct places places;
	struct error error;
};

static int check(const char *text, struct error *error)
{
	return text[0] != '\0' ? 0 : error_set(error, ERR_INVALID, "\"file:\" is to be followed by a path");
}

static void read_file(struct job *job)
{
	struct reading *reading = (struct reading *)job;
	struct buffer text = BUFFER_EMPTY;
	if (whole_file_read(reading->path, FILE_SIZE_MAX, &text, &reading->error) == 0 &&
	    lines_read(buffer_slice(&text), &reading->places, &reading->error) != 0)
		error_prefix(&reading->error, "%s", reading->path);
	buffer_finish(&text);
}

static void drop(struct job *job)
{
	mem_free(((struct reading *)job)->path);
	mem_free(job);
}

static void file_was_read(struct job *job)
{
	struct reading *reading = (struct reading *)job;
	if (reading->error.code != 0)
		source_failed(reading->source, &reading->error);
	else
		source_found(reading->source, &reading->places);
	drop(job);
}

static void look(struct source *source)
{
	struct reading *reading = mem_zero(sizeof *reading);
	reading->job.run = read_file;
	reading->job.done = file_was_read;
	reading->source = source;
	reading->path = mem_string(source->text);
	source_give(source, &reading->job);
}

const struct source_kind source_file = {
	"file:", FILE_PERIOD_MS, check, source_opens_nothing, look, source_closes_nothing, drop,
};
