/* Output of a task, over its files, as if they were one. The name of a file says where it begins; those at the front go meanwhile. */
#include "daemon/allocations_internal.h"
#include "daemon/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_MAX (1u << 20)
#define FILES_MAX 256 /* of one output */
#define TRIES 4       /* looks at the directory, when files go meanwhile */

struct piece {
	uint64_t first;
	uint64_t size;
};

static int order_by_first(const void *left, const void *right)
{
	uint64_t a = ((const struct piece *)left)->first;
	uint64_t b = ((const struct piece *)right)->first;
	return (a > b) - (a < b);
}

/* How many there are, in order. */
static size_t list(int place, const char *name, struct piece pieces[FILES_MAX])
{
	struct dirent *entry;
	struct stat status;
	size_t count = 0;
	size_t length = strlen(name);
	int handle = openat(place, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = handle >= 0 ? fdopendir(handle) : NULL;
	if (directory == NULL)
		return 0;
	while (count < FILES_MAX && (entry = readdir(directory)) != NULL) {
		if (strncmp(entry->d_name, name, length) != 0 || entry->d_name[length] != '.')
			continue;
		if (fstatat(place, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode))
			pieces[count++] = (struct piece){strtoull(entry->d_name + length + 1, NULL, 10),
			                                 (uint64_t)status.st_size};
	}
	closedir(directory);
	if (count > 0)
		qsort(pieces, count, sizeof *pieces, order_by_first);
	return count;
}

/* From `at` on in one file. False: it is not there any more. */
static bool read_piece(int place, const char *name, const struct piece *piece, uint64_t at, size_t size,
                       struct buffer *out)
{
	char file_name[64];
	snprintf(file_name, sizeof file_name, "%s.%" PRIu64, name, piece->first);
	int file = openat(place, file_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (file < 0)
		return false;
	ssize_t got = pread(file, buffer_reserve(out, size), size, (off_t)(at - piece->first));
	close(file);
	out->size += got > 0 ? (size_t)got : 0;
	return got >= 0;
}

static bool try_read(int place, const char *name, int64_t offset, size_t size, struct buffer *out, uint64_t *ret_offset,
                     uint64_t *ret_end)
{
	struct piece pieces[FILES_MAX];
	size_t count = list(place, name, pieces);
	uint64_t first = count > 0 ? pieces[0].first : 0;
	uint64_t end = count > 0 ? pieces[count - 1].first + pieces[count - 1].size : 0;
	uint64_t at = offset < 0 ? (end > size ? end - size : 0) : (uint64_t)offset;
	if (at < first)
		at = first;
	*ret_offset = at;
	*ret_end = end;
	for (size_t i = 0; i < count && size > 0; i++) {
		uint64_t past = pieces[i].first + pieces[i].size;
		if (past <= at)
			continue;
		size_t part = past - at < size ? (size_t)(past - at) : size;
		size_t before = out->size;
		if (pieces[i].first > at || !read_piece(place, name, &pieces[i], at, part, out))
			return out->size > 0;
		at += out->size - before;
		size -= out->size - before;
	}
	return true;
}

int task_output_read(const char *directory, const char *name, int64_t offset, size_t size, struct buffer *ret_output,
                     uint64_t *ret_offset, bool *ret_at_end, struct error *error)
{
	struct buffer out = BUFFER_EMPTY;
	uint64_t end = 0;
	bool done = false;
	int place = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (place < 0)
		return error_set(error, ERR_NOT_FOUND, "there is no output in %s: %s", directory, strerror(errno));
	if (size > READ_MAX)
		size = READ_MAX;
	for (int i = 0; i < TRIES && !done; i++) {
		buffer_clear(&out);
		done = try_read(place, name, offset, size, &out, ret_offset, &end);
	}
	close(place);
	*ret_at_end = *ret_offset + out.size >= end;
	buffer_append_slice(ret_output, buffer_slice(&out));
	buffer_finish(&out);
	return 0;
}

/* All of it; false: it is more than `limit` bytes, or what was first is not kept any more. */
static bool read_all(const char *directory, const char *name, uint64_t limit, struct buffer *out)
{
	bool at_end = false;
	while (!at_end && out->size <= limit) {
		uint64_t offset = 0;
		size_t before = out->size;
		if (task_output_read(directory, name, (int64_t)before, READ_MAX, out, &offset, &at_end, NULL) != 0)
			break;
		if (offset != before)
			return false;
		if (out->size == before)
			break;
	}
	return out->size <= limit;
}

enum task_outcome task_output_value(const char *directory, enum task_output output, uint64_t output_max,
                                    struct buffer *ret_value)
{
	struct buffer printed = BUFFER_EMPTY;
	struct buffer scratch = BUFFER_EMPTY;
	struct error error = {0};
	struct slice value;
	enum task_outcome outcome = TASK_OUTCOME_FAULT;
	if (output > TASK_OUTPUT_UNIT) {
		buffer_append_string(ret_value, "what it returns is to be read in a way that is not known here");
	} else if (output != TASK_OUTPUT_UNIT && !read_all(directory, "stdout", output_max, &printed)) {
		buffer_append_string(ret_value, "printed more than ");
		output_size(ret_value, output_max);
		buffer_append_string(ret_value, " on stdout");
	} else if (output_value((enum stdout_form)(output - TASK_OUTPUT_JSON), buffer_slice(&printed), &scratch, &value,
	                        &error) != 0) {
		buffer_append_string(ret_value, error.text);
	} else {
		buffer_append_slice(ret_value, value);
		outcome = TASK_OUTCOME_VALUE;
	}
	buffer_finish(&printed);
	buffer_finish(&scratch);
	return outcome;
}

void task_output_complaint(const char *directory, int exit_code, size_t size, struct buffer *ret_text)
{
	struct buffer complaints = BUFFER_EMPTY;
	const struct child_exit how = {.code = exit_code};
	uint64_t offset;
	bool at_end;
	task_output_read(directory, "stderr", -1, size, &complaints, &offset, &at_end, NULL);
	output_exit(ret_text, &how, buffer_slice(&complaints));
	buffer_finish(&complaints);
}

int allocations_read_output(struct allocations *allocations, uint64_t id, bool standard_error, int64_t offset,
                            size_t size, struct buffer *ret_output, uint64_t *ret_offset, bool *ret_ended,
                            struct error *error)
{
	char path[PATH_MAX];
	bool at_end;
	bool ended = false;
	int code = allocations_find_output(allocations, id, path, sizeof path, &ended, error);
	if (code == 0)
		code = task_output_read(path, standard_error ? "stderr" : "stdout", offset, size, ret_output,
		                        ret_offset, &at_end, error);
	if (code == 0)
		*ret_ended = ended && at_end;
	return code;
}
