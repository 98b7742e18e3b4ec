#include "store/wal_private.h"

#include <assert.h>
#include <inttypes.h>

/* One segment's part of a wal_read. */
struct reading {
	struct wal *wal;
	struct wal_record *records;
	struct buffer *bodies;
	size_t count; /* read so far */
	size_t count_max;
	size_t body_bytes; /* that may still be read */
	bool full;
};

static int open_segment(struct wal *wal, size_t i, struct fs_file **ret_file, struct error *error)
{
	uint64_t generation = wal->segments[i].header.generation;
	char name[WAL_NAME_SIZE];
	if (i + 1 == wal->segment_count) {
		*ret_file = wal->file;
		return 0;
	}
	if (wal->old_file != NULL && wal->old_generation != generation) {
		wal->fs->operations->close(wal->old_file);
		wal->old_file = NULL;
	}
	if (wal->old_file == NULL) {
		segment_name(name, generation);
		int result = wal->fs->operations->open(wal->fs, name, false, &wal->old_file);
		if (result < 0)
			return wal_error(error, result, "open", name);
		wal->old_generation = generation;
	}
	*ret_file = wal->old_file;
	return 0;
}

static int read_failed(const struct segment *segment, int result, struct error *error)
{
	char name[WAL_NAME_SIZE];
	segment_name(name, segment->header.generation);
	return wal_error(error, result, "read", name);
}

/* Moves the reader to entry `from`, noting the places it comes by. */
static int find(struct wal *wal, struct segment *segment, uint64_t from, struct error *error)
{
	struct reader *reader = &wal->reader;
	while (reader->at.index < from) {
		struct record record;
		struct place at = reader->at;
		int result = reader_next(reader, &record, NULL);
		if (result < 0)
			return read_failed(segment, result, error);
		if (result == 0)
			return wal_damaged(error, segment, reader->at.offset, "%s; entry %" PRIu64 " should be there",
			                   reader->problem, reader->at.index);
		segment_note(segment, at);
	}
	return 0;
}

/* Takes entries up to `last` while there is room. */
static int take(struct reading *reading, struct segment *segment, uint64_t last, struct error *error)
{
	struct reader *reader = &reading->wal->reader;
	while (reader->at.index <= last && !reading->full) {
		struct record record;
		const char *body;
		struct place at = reader->at;
		int result = reader_next(reader, &record, &body);
		if (result < 0)
			return read_failed(segment, result, error);
		if (result == 0)
			return wal_damaged(error, segment, reader->at.offset, "%s; entry %" PRIu64 " should be there",
			                   reader->problem, reader->at.index);
		segment_note(segment, at);
		if (record.kind != RECORD_ENTRY)
			continue;
		if (record.body_size > reading->body_bytes && reading->count > 0) {
			reader->at = at;
			reading->full = true;
			break;
		}
		buffer_append(reading->bodies, body, record.body_size);
		reading->records[reading->count++] = (struct wal_record){
			.index = record.index, .term = record.term, .body = {NULL, record.body_size},
		};
		reading->body_bytes -= record.body_size < reading->body_bytes ? record.body_size : reading->body_bytes;
		reading->full = reading->count == reading->count_max || reading->body_bytes == 0;
	}
	return 0;
}

static size_t segment_of(const struct wal *wal, uint64_t index)
{
	size_t low = 0;
	size_t high = wal->segment_count;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (wal->segments[middle].header.first <= index)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static int read_segment(struct reading *reading, size_t i, uint64_t from, struct error *error)
{
	struct wal *wal = reading->wal;
	struct segment *segment = &wal->segments[i];
	struct fs_file *file = NULL;
	int result = open_segment(wal, i, &file, error);
	if (result < 0)
		return result;
	struct place start = segment_place(segment, from);
	bool hinted = wal->hint_generation == segment->header.generation;
	if (hinted && wal->hint.index <= from && wal->hint.index > start.index)
		start = wal->hint;
	reader_start(&wal->reader, wal->fs, file, &segment->header, start);
	result = find(wal, segment, from, error);
	if (result < 0)
		return result;
	result = take(reading, segment, wal_segment_last(wal, i), error);
	wal->hint = wal->reader.at;
	wal->hint_generation = segment->header.generation;
	return result;
}

/* The buffer has stopped growing: the bodies stand in it one behind the other, from `start` on. */
static void place_bodies(struct reading *reading, size_t start)
{
	for (size_t i = 0; i < reading->count; i++) {
		struct slice *body = &reading->records[i].body;
		body->data = body->size > 0 ? reading->bodies->data + start : "";
		start += body->size;
	}
}

int wal_read(struct wal *wal, uint64_t from, size_t count, size_t body_bytes, struct wal_record *ret_records,
             struct buffer *bodies, struct error *error)
{
	struct reading reading = {
		.wal = wal, .records = ret_records, .bodies = bodies, .count_max = count, .body_bytes = body_bytes,
	};
	size_t start = bodies->size;
	int result = wal_usable(wal, error);
	if (result < 0)
		return result;
	if (from < wal_first_index(wal))
		return error_set(error, ERR_NOT_FOUND,
		                 "entry %" PRIu64 " is no longer in the log, which begins at %" PRIu64, from,
		                 wal_first_index(wal));
	if (from > wal->last || count == 0)
		return 0;
	if (count > INT32_MAX)
		reading.count_max = INT32_MAX;
	for (size_t i = segment_of(wal, from); i < wal->segment_count && result == 0 && !reading.full; i++) {
		uint64_t first = wal->segments[i].header.first;
		if (wal_segment_last(wal, i) >= first)
			result = read_segment(&reading, i, from > first ? from : first, error);
	}
	if (result < 0) {
		bodies->size = start;
		return result;
	}
	place_bodies(&reading, start);
	return (int)reading.count;
}
