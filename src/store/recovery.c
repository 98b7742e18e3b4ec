/* Opening the log. Of all segments the headers are read, and that each continues the one before it is checked; the last
 * two are read whole. Entries in older ones are checked when they are read. */
#include "store/wal_private.h"

#include "base/memory.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define SEGMENT_SIZE_MIN 4096u
#define SEGMENT_SIZE_DEFAULT (16u << 20)
#define FIRST_SEGMENT_SIZE_DEFAULT (256u << 10)
#define BODY_SIZE_MAX_DEFAULT (17u << 20)
#define SPARE_SEGMENTS_DEFAULT 2
#define SURVEY_CHUNK (256u << 10)
#define COPY_CHUNK (256u << 10)

/* What stands behind the last good record of the last segment. */
struct survey {
	uint64_t synced;   /* the highest that a header there gives */
	uint64_t torn_end; /* where what a torn tail left ends; where it begins when there is none */
};

/* What the walk through the last segment found. */
struct tail {
	uint64_t synced;
	uint64_t last_term; /* when there is an entry */
};

static int set_options(struct wal *wal, const struct wal_options *options, struct error *error)
{
	struct wal_options chosen = options != NULL ? *options : (struct wal_options){0};
	if (chosen.segment_size == 0)
		chosen.segment_size = SEGMENT_SIZE_DEFAULT;
	if (chosen.first_segment_size == 0)
		chosen.first_segment_size = FIRST_SEGMENT_SIZE_DEFAULT;
	if (chosen.body_size_max == 0)
		chosen.body_size_max = BODY_SIZE_MAX_DEFAULT;
	if (chosen.spare_segments == 0)
		chosen.spare_segments = SPARE_SEGMENTS_DEFAULT;
	uint64_t low = chosen.first_segment_size < chosen.segment_size ? chosen.first_segment_size : chosen.segment_size;
	uint64_t high = chosen.first_segment_size > chosen.segment_size ? chosen.first_segment_size : chosen.segment_size;
	if (low < SEGMENT_SIZE_MIN || high > SEGMENT_SIZE_MAX)
		return error_set(error, ERR_LIMIT, "a log segment of %" PRIu64 " bytes: it must be between %u and %" PRIu64,
		                 low < SEGMENT_SIZE_MIN ? low : high, SEGMENT_SIZE_MIN, SEGMENT_SIZE_MAX);
	if (chosen.body_size_max > SEGMENT_SIZE_MAX / 2)
		return error_set(error, ERR_LIMIT, "a limit of %" PRIu32 " bytes for an entry is more than %" PRIu64,
		                 chosen.body_size_max, SEGMENT_SIZE_MAX / 2);
	chosen.segment_size &= ~(uint64_t)(RECORD_ALIGNMENT - 1);
	chosen.first_segment_size &= ~(uint64_t)(RECORD_ALIGNMENT - 1);
	wal->options = chosen;
	wal->reader.body_size_max = chosen.body_size_max;
	return 0;
}

static int read_failed(const struct segment *segment, int64_t result, struct error *error)
{
	char name[WAL_NAME_SIZE];
	segment_name(name, segment->header.generation);
	return wal_error(error, result, "read", name);
}

static int read_header(struct wal *wal, const char *name, uint64_t number, struct segment_header *ret_header,
                       struct error *error)
{
	char bytes[SEGMENT_HEADER_SIZE];
	const char *problem = NULL;
	struct fs_file *file;
	struct segment named = {.header.generation = number};
	int64_t result = wal->fs->operations->open(wal->fs, name, false, &file);
	if (result < 0)
		return wal_error(error, result, "open", name);
	result = wal->fs->operations->read(file, 0, bytes, sizeof bytes);
	wal->fs->operations->close(file);
	if (result < 0)
		return wal_error(error, result, "read", name);
	if ((size_t)result < sizeof bytes)
		return wal_damaged(error, &named, (uint64_t)result, "the file ends within the header of the segment");
	result = segment_header_decode(bytes, ret_header, &problem);
	if (result == ERR_VERSION)
		return error_set(error, ERR_VERSION, "log/%s was written by a version of clusterd unknown to this one", name);
	if (result < 0)
		return wal_damaged(error, &named, 0, "%s", problem);
	if (ret_header->generation != number)
		return wal_damaged(error, &named, 0, "it is the segment %016" PRIx64 " under another name",
		                   ret_header->generation);
	return 0;
}

/* Of full size, and no more than wanted; the others are removed (a half prepared one too). */
static void keep_spare(struct wal *wal, const char *name, uint64_t number)
{
	struct fs_file *file;
	int64_t size = -1;
	if (wal->fs->operations->open(wal->fs, name, false, &file) == 0) {
		size = wal->fs->operations->size(file);
		wal->fs->operations->close(file);
	}
	if (size != (int64_t)wal->options.segment_size || wal->spare_count >= wal->options.spare_segments) {
		wal->fs->operations->remove(wal->fs, name);
		return;
	}
	mem_grow(wal->spares, wal->spare_capacity, wal->spare_count + 1);
	wal->spares[wal->spare_count++] = number;
}

/* All segments by generation, void ones included, and the spares. */
static int list_files(struct wal *wal, struct error *error)
{
	struct buffer names = BUFFER_EMPTY;
	int result = wal->fs->operations->list(wal->fs, &names);
	if (result < 0)
		result = wal_error(error, result, "list", "");
	const char *name = names.data;
	const char *end = names.data != NULL ? names.data + names.size : NULL;
	for (; result == 0 && name < end; name += strlen(name) + 1) {
		struct segment_header header;
		bool is_segment = false;
		uint64_t number = segment_parse_name(name, &is_segment);
		if (number == 0 || number > SEGMENT_INDEX_MAX)
			continue; /* not ours */
		if (number >= wal->next_number)
			wal->next_number = number + 1;
		if (!is_segment) {
			keep_spare(wal, name, number);
			continue;
		}
		result = read_header(wal, name, number, &header, error);
		if (result == 0)
			segments_add(wal, &header);
	}
	buffer_finish(&names);
	return result;
}

/* Takes the segments out that later ones made void. From the last one back, each one's header says which segment it
 * continues; what lies between the two is void, and some of it may be gone already. Nothing older than a segment that is no
 * longer there can be left, for the oldest go first. */
static int drop_void(struct wal *wal, struct error *error)
{
	size_t at = wal->segment_count - 1;
	while (at > 0) {
		const struct segment_header *header = &wal->segments[at].header;
		size_t older = at;
		while (older > 0 && wal->segments[older - 1].header.generation > header->previous)
			older--;
		const struct segment_header *before = older > 0 ? &wal->segments[older - 1].header : NULL;
		if (before != NULL && before->generation != header->previous)
			return wal_damaged(error, &wal->segments[at], 0,
			                   "it continues %016" PRIx64 ".seg, which is missing", header->previous);
		if (before != NULL && before->first >= header->first)
			return wal_damaged(error, &wal->segments[at], 0,
			                   "it begins at entry %" PRIu64 ", not behind the segment it continues",
			                   header->first);
		int result = wal_retire(wal, older, at - older, error);
		if (result < 0 || older == 0)
			return result;
		at = older - 1;
	}
	return 0;
}

/* The last but one, up to where the last begins. */
static int check_whole(struct wal *wal, size_t i, uint64_t *ret_term, struct error *error)
{
	struct segment *segment = &wal->segments[i];
	struct reader *reader = &wal->reader;
	struct fs_file *file;
	char name[WAL_NAME_SIZE];
	int result = 0;
	uint64_t last = wal_segment_last(wal, i);
	segment_name(name, segment->header.generation);
	result = wal->fs->operations->open(wal->fs, name, false, &file);
	if (result < 0)
		return wal_error(error, result, "open", name);
	reader_start(reader, wal->fs, file, &segment->header, segment->places[0]);
	result = 1;
	while (reader->at.index <= last && result > 0) {
		struct record record;
		const char *body;
		struct place at = reader->at;
		result = reader_next(reader, &record, &body);
		if (result < 0)
			result = read_failed(segment, result, error);
		else if (result == 0)
			result = wal_damaged(error, segment, reader->at.offset,
			                     "%s; entry %" PRIu64 ", which was synced, should be there",
			                     reader->problem, reader->at.index);
		else if (record.kind == RECORD_ENTRY)
			*ret_term = record.term;
		if (result > 0)
			segment_note(segment, at);
	}
	wal->fs->operations->close(file);
	return result < 0 ? result : 0;
}

static int walk_tail(struct wal *wal, struct tail *tail, struct error *error)
{
	struct segment *segment = wal_current(wal);
	struct reader *reader = &wal->reader;
	reader_start(reader, wal->fs, wal->file, &segment->header, segment->places[0]);
	for (;;) {
		struct record record;
		const char *body;
		struct place at = reader->at;
		int result = reader_next(reader, &record, &body);
		if (result < 0)
			return read_failed(segment, result, error);
		if (result == 0)
			break;
		segment_note(segment, at);
		if (record.synced > tail->synced)
			tail->synced = record.synced;
		if (record.kind == RECORD_ENTRY)
			tail->last_term = record.term;
	}
	wal->position = reader->at.offset;
	wal->epoch = reader->at.epoch;
	wal->last = reader->at.index - 1;
	if (reader->damage)
		return wal_damaged(error, segment, reader->at.offset, "%s, which no power cut can cause", reader->problem);
	return 0;
}

/* Looks through `size` bytes for headers of this segment's records, `from` being their offset in the file. */
static void survey_bytes(const struct wal *wal, const char *bytes, size_t size, uint64_t from, struct survey *survey)
{
	const struct segment_header *header = &wal_current(wal)->header;
	for (size_t at = 0; at + 8 <= size; at += RECORD_ALIGNMENT) {
		struct record record;
		uint64_t word;
		memcpy(&word, bytes + at, sizeof word);
		if (word == 0)
			continue;
		uint64_t offset = from + at;
		if (header->zeroed && survey->torn_end < offset + 8)
			survey->torn_end = offset + 8;
		if (at < 8 || !record_magic(le64toh(word)) || size - (at - 8) < RECORD_HEADER_SIZE)
			continue;
		if (!record_decode(bytes + at - 8, header->generation, &record))
			continue;
		/* No more entries can stand before it than there is room for: what only looks like a record, within the
		 * body of one, is not believed easily. */
		uint64_t possible = wal->last + 1 + (offset - wal->position) / RECORD_HEADER_SIZE;
		if (record.index > possible || record.synced > record.index)
			continue;
		if (record.synced > survey->synced)
			survey->synced = record.synced;
		uint64_t end = offset - 8 + record_size(record.body_size);
		if (record.epoch >= wal->epoch && survey->torn_end < end)
			survey->torn_end = end < header->size ? end : header->size;
	}
}

static int survey_rest(struct wal *wal, struct survey *survey, struct error *error)
{
	const struct segment *segment = wal_current(wal);
	const size_t overlap = 64; /* so that a header lies whole in one of two chunks */
	char *bytes = mem_alloc(SURVEY_CHUNK);
	int64_t got = SURVEY_CHUNK;
	for (uint64_t offset = wal->position; offset < segment->header.size; offset += SURVEY_CHUNK - overlap) {
		uint64_t left = segment->header.size - offset;
		size_t wanted = left < SURVEY_CHUNK ? (size_t)left : SURVEY_CHUNK;
		got = wal->fs->operations->read(wal->file, offset, bytes, wanted);
		if (got <= 0)
			break;
		survey_bytes(wal, bytes, (size_t)got, offset, survey);
	}
	mem_free(bytes);
	return got < 0 ? read_failed(segment, got, error) : 0;
}

/* The file is as long as it was made, even if somebody cut off some of what was not in use yet. */
static int restore_size(struct wal *wal, struct error *error)
{
	const struct segment *segment = wal_current(wal);
	char name[WAL_NAME_SIZE];
	segment_name(name, segment->header.generation);
	int64_t size = wal->fs->operations->size(wal->file);
	if (size >= 0 && (uint64_t)size < segment->header.size)
		size = wal->fs->operations->allocate(wal->file, segment->header.size);
	return size < 0 ? wal_fail(wal, error, size, "allocate", name) : 0;
}

/* Writes the bytes of [from, position) again, so that the next sync puts on disk what perhaps only the page cache holds
 * (a sync that failed marks pages clean). */
static int rewrite(struct wal *wal, uint64_t from, struct error *error)
{
	const struct segment *segment = wal_current(wal);
	char name[WAL_NAME_SIZE];
	char *bytes = mem_alloc(COPY_CHUNK);
	int64_t result = 0;
	segment_name(name, segment->header.generation);
	while (from < wal->position && result >= 0) {
		size_t size = wal->position - from < COPY_CHUNK ? (size_t)(wal->position - from) : COPY_CHUNK;
		result = wal->fs->operations->read(wal->file, from, bytes, size);
		if (result >= 0 && (size_t)result < size)
			result = -EIO;
		if (result >= 0)
			result = wal->fs->operations->write(wal->file, from, bytes, size);
		from += size;
	}
	mem_free(bytes);
	return result < 0 ? wal_fail(wal, error, result, "write", name) : 0;
}

static int recover_tail(struct wal *wal, struct wal_recovery *recovery, struct error *error)
{
	struct segment *segment = wal_current(wal);
	char name[WAL_NAME_SIZE];
	uint64_t before = segment->header.first - 1; /* the header stands for these */
	struct tail tail = {.synced = before};
	segment_name(name, segment->header.generation);
	int result = wal->fs->operations->open(wal->fs, name, false, &wal->file);
	if (result < 0)
		return wal_error(error, result, "open", name);
	result = walk_tail(wal, &tail, error);
	if (result < 0)
		return result;
	const char *problem = wal->reader.problem;
	struct survey survey = {.synced = tail.synced, .torn_end = wal->position};
	result = survey_rest(wal, &survey, error);
	if (result < 0)
		return result;
	if (survey.synced > wal->last)
		return wal_damaged(error, segment, wal->position,
		                   "%s; entry %" PRIu64 " should be there, and all up to entry %" PRIu64 " was synced",
		                   problem, wal->last + 1, survey.synced);
	if (survey.torn_end > wal->position) {
		recovery->torn_bytes = survey.torn_end - wal->position;
		snprintf(recovery->torn_file, sizeof recovery->torn_file, "log/%s", name);
	}
	if (wal->last > before)
		recovery->last_term = tail.last_term;
	wal->synced = tail.synced;
	result = restore_size(wal, error);
	if (result == 0)
		result = rewrite(wal, segment_place(segment, wal->synced + 1).offset, error);
	if (result == 0)
		result = wal_seal(wal, survey.torn_end, error);
	wal->noted = tail.synced;
	return result;
}

static int recover(struct wal *wal, struct wal_recovery *recovery, struct error *error)
{
	int result = list_files(wal, error);
	if (result < 0)
		return result;
	/* Names that only the cache holds, perhaps. */
	result = wal->fs->operations->sync_directory(wal->fs);
	if (result < 0)
		return wal_error(error, result, "sync the directory", "");
	if (wal->segment_count == 0)
		return wal_roll(wal, &(struct roll){.first = 1, .small = true, .fresh = true}, error);
	result = drop_void(wal, error);
	if (result == 0 && wal->segment_count > 1)
		result = check_whole(wal, wal->segment_count - 2, &recovery->last_term, error);
	if (result == 0)
		result = recover_tail(wal, recovery, error);
	return result;
}

int wal_open(struct fs *fs, const struct wal_options *options, struct wal **ret_wal, struct wal_recovery *ret_recovery,
             struct error *error)
{
	struct wal_recovery recovery = {0};
	struct wal *wal = mem_zero(sizeof *wal);
	wal->fs = fs;
	wal->next_number = 1;
	int result = set_options(wal, options, error);
	if (result == 0)
		result = recover(wal, &recovery, error);
	if (result < 0) {
		wal_close(wal);
		return result;
	}
	recovery.first_index = wal_first_index(wal);
	recovery.last_index = wal->last;
	*ret_recovery = recovery;
	*ret_wal = wal;
	return 0;
}
