#include "store/reader.h"

#include <assert.h>

#define CHUNK_SIZE (128u << 10)
#define WINDOW_KEPT (1u << 20) /* a larger window, grown by a large body, is given back */

void reader_start(struct reader *reader, struct fs *fs, struct fs_file *file, const struct segment_header *header,
                  struct place at)
{
	if (reader->window.capacity > WINDOW_KEPT)
		buffer_finish(&reader->window);
	buffer_clear(&reader->window);
	reader->window_offset = 0;
	reader->fs = fs;
	reader->file = file;
	reader->generation = header->generation;
	reader->end = header->size;
	reader->chunk = CHUNK_SIZE;
	reader->at = at;
	reader->problem = NULL;
	reader->damage = false;
}

void reader_finish(struct reader *reader)
{
	buffer_finish(&reader->window);
}

/* 1: the bytes are there; 0: the file ends before; or a negative errno. */
static int fetch(struct reader *reader, uint64_t offset, uint64_t size, const char **ret_data)
{
	struct buffer *window = &reader->window;
	if (offset < reader->window_offset || offset + size > reader->window_offset + window->size) {
		uint64_t wanted = size > reader->chunk ? size : reader->chunk;
		if (wanted > reader->end - offset)
			wanted = reader->end - offset;
		buffer_clear(window);
		char *data = buffer_reserve(window, (size_t)wanted);
		int64_t got = reader->fs->operations->read(reader->file, offset, data, (size_t)wanted);
		if (got < 0)
			return (int)got;
		window->size = (size_t)got;
		reader->window_offset = offset;
		if ((uint64_t)got < size)
			return 0;
	}
	*ret_data = window->data + (offset - reader->window_offset);
	return 1;
}

static int ended(struct reader *reader, const char *problem, bool damage)
{
	reader->problem = problem;
	reader->damage = damage;
	return 0;
}

/* Whether the record follows the one before it. Only a mark begins an epoch. */
static bool follows(const struct reader *reader, const struct record *record)
{
	if (record->synced > record->index)
		return false;
	if (record->kind == RECORD_ENTRY)
		return record->index == reader->at.index && record->epoch == reader->at.epoch;
	return record->index + 1 == reader->at.index && record->epoch >= reader->at.epoch && record->body_size == 0;
}

int reader_next(struct reader *reader, struct record *ret_record, const char **ret_body)
{
	struct record record;
	const char *data;
	assert(reader->at.offset <= reader->end);
	uint64_t room = reader->end - reader->at.offset;
	if (room < RECORD_HEADER_SIZE)
		return ended(reader, "the segment is full", false);
	int result = fetch(reader, reader->at.offset, RECORD_HEADER_SIZE, &data);
	if (result < 0)
		return result;
	if (result == 0)
		return ended(reader, "the file is shorter than it was made", true);
	if (!record_decode(data, reader->generation, &record))
		return ended(reader, "no record with a right checksum", false);
	if (!follows(reader, &record))
		return ended(reader, "the record does not follow the one before it", false);
	if (record.body_size > reader->body_size_max)
		return ended(reader, "the body is larger than the limit body_size_max", true);
	uint64_t size = record_size(record.body_size);
	if (size > room)
		return ended(reader, "the record is longer than the segment", true);
	if (ret_body != NULL) {
		result = fetch(reader, reader->at.offset, size, &data);
		if (result < 0)
			return result;
		if (result == 0)
			return ended(reader, "the file is shorter than it was made", true);
		if (!record_body_matches(&record, reader->generation, data + RECORD_HEADER_SIZE))
			return ended(reader, "the body has a wrong checksum", false);
		*ret_body = data + RECORD_HEADER_SIZE;
	}
	reader->at = (struct place){
		.index = record.index + 1, .offset = reader->at.offset + size, .epoch = record.epoch,
	};
	*ret_record = record;
	return 1;
}
