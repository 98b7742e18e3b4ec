#include "store/wal_private.h"

#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#define BATCH_KEPT (4u << 20) /* a larger batch buffer is given back */

int wal_error(struct error *error, int64_t result, const char *doing, const char *name)
{
	int number = (int)-result;
	int code = number == ENOSPC || number == EDQUOT ? ERR_NO_SPACE : ERR_IO;
	return error_set(error, code, "cannot %s log/%s: %s", doing, name, strerror(number));
}

int wal_fail(struct wal *wal, struct error *error, int64_t result, const char *doing, const char *name)
{
	wal_error(&wal->failure, result, doing, name);
	wal->failed = true;
	return error_set(error, ERR_IO, "%s", wal->failure.text);
}

int wal_usable(const struct wal *wal, struct error *error)
{
	if (wal->failed)
		return error_set(error, ERR_IO, "the log has failed: %s", wal->failure.text);
	return 0;
}

int wal_damaged(struct error *error, const struct segment *segment, uint64_t offset, const char *format, ...)
{
	struct error reason;
	char name[WAL_NAME_SIZE];
	va_list args;
	va_start(args, format);
	error_setv(&reason, ERR_CORRUPT, format, args);
	va_end(args);
	segment_name(name, segment->header.generation);
	return error_set(error, ERR_CORRUPT, "log/%s is damaged at offset %" PRIu64 ": %s", name, offset, reason.text);
}

static int fail_current(struct wal *wal, struct error *error, int64_t result, const char *doing)
{
	char name[WAL_NAME_SIZE];
	segment_name(name, wal_current(wal)->header.generation);
	return wal_fail(wal, error, result, doing, name);
}

static bool fits(const struct wal *wal, uint64_t size)
{
	return size <= wal_current(wal)->header.size - wal->position;
}

uint64_t wal_first_index(const struct wal *wal)
{
	return wal->segments[0].header.first;
}

uint64_t wal_last_index(const struct wal *wal)
{
	return wal->last;
}

uint64_t wal_synced_index(const struct wal *wal)
{
	return wal->synced;
}

uint64_t wal_index_before(const struct wal *wal, uint64_t bytes)
{
	uint64_t behind = wal->position;
	size_t i = wal->segment_count - 1;
	while (behind < bytes && i > 0)
		behind += wal->segments[--i].header.size;
	return behind < bytes ? 0 : wal->segments[i].header.first - 1;
}

uint64_t wal_size(const struct wal *wal)
{
	uint64_t size = wal->spare_count * wal->options.segment_size + wal->next.size;
	for (size_t i = 0; i < wal->segment_count; i++)
		size += wal->segments[i].header.size;
	return size;
}

int wal_sync(struct wal *wal, struct error *error)
{
	int result = wal_usable(wal, error);
	if (result < 0 || !wal->dirty)
		return result;
	result = wal->fs->operations->sync(wal->file);
	if (result < 0)
		return fail_current(wal, error, result, "sync");
	wal->dirty = false;
	wal->synced = wal->last;
	return 0;
}

/* A mark, at the end of the batch buffer. */
static void append_mark(struct wal *wal, uint32_t epoch)
{
	struct record mark = {.kind = RECORD_MARK, .index = wal->last, .synced = wal->synced, .epoch = epoch};
	record_append(&wal->batch, wal_current(wal)->header.generation, &mark, (struct slice){"", 0});
}

int wal_mark_synced(struct wal *wal, struct error *error)
{
	int result = wal_usable(wal, error);
	if (result < 0 || wal->noted >= wal->synced || !fits(wal, RECORD_HEADER_SIZE))
		return result;
	buffer_clear(&wal->batch);
	append_mark(wal, wal->epoch);
	result = wal->fs->operations->write(wal->file, wal->position, wal->batch.data, wal->batch.size);
	if (result == -ENOSPC || result == -EDQUOT) {
		char name[WAL_NAME_SIZE];
		segment_name(name, wal_current(wal)->header.generation);
		return wal_error(error, result, "write", name); /* the next record covers what there is of it */
	}
	if (result < 0)
		return fail_current(wal, error, result, "write");
	wal->position += wal->batch.size;
	wal->noted = wal->synced;
	wal->dirty = true;
	return 0;
}

/* Zeroes in [from, to) of the last segment. */
static int write_zeroes(struct wal *wal, uint64_t from, uint64_t to)
{
	const size_t step = 64u << 10;
	buffer_clear(&wal->batch);
	memset(buffer_reserve(&wal->batch, step), 0, step);
	while (from < to) {
		size_t size = to - from < step ? (size_t)(to - from) : step;
		int result = wal->fs->operations->write(wal->file, from, wal->batch.data, size);
		if (result < 0)
			return result;
		from += size;
	}
	return 0;
}

int wal_seal(struct wal *wal, uint64_t zero_end, struct error *error)
{
	if (fits(wal, RECORD_HEADER_SIZE) && wal->epoch < UINT32_MAX) {
		buffer_clear(&wal->batch);
		append_mark(wal, wal->epoch + 1);
		int result = wal->fs->operations->write(wal->file, wal->position, wal->batch.data, wal->batch.size);
		if (result < 0)
			return fail_current(wal, error, result, "write");
		wal->position += wal->batch.size;
		wal->epoch++;
		result = write_zeroes(wal, wal->position, zero_end);
		if (result < 0)
			return fail_current(wal, error, result, "write");
	} else {
		wal->position = wal_current(wal)->header.size;
	}
	wal->dirty = true;
	return wal_sync(wal, error);
}

static int check_batch(const struct wal *wal, const struct wal_record *records, size_t count, uint64_t *ret_size,
                       struct error *error)
{
	uint64_t size = 0;
	for (size_t i = 0; i < count; i++) {
		assert(records[i].index == records[0].index + i);
		if (records[i].body.size > wal->options.body_size_max)
			return error_set(error, ERR_LIMIT,
			                 "entry %" PRIu64 " has %zu bytes, more than the log's limit of %" PRIu32,
			                 records[i].index, records[i].body.size, wal->options.body_size_max);
		size += record_size(records[i].body.size);
		if (size > SEGMENT_SIZE_MAX - 2 * SEGMENT_HEADER_SIZE)
			return error_set(error, ERR_LIMIT,
			                 "a batch of the log has more than its limit of %" PRIu64 " bytes",
			                 SEGMENT_SIZE_MAX - 2 * SEGMENT_HEADER_SIZE);
	}
	*ret_size = size;
	return 0;
}

static void build_batch(struct wal *wal, const struct wal_record *records, size_t count)
{
	uint64_t generation = wal_current(wal)->header.generation;
	if (wal->batch.capacity > BATCH_KEPT)
		buffer_finish(&wal->batch);
	buffer_clear(&wal->batch);
	for (size_t i = 0; i < count; i++) {
		struct record record = {
			.kind = RECORD_ENTRY,
			.index = records[i].index,
			.term = records[i].term,
			.synced = wal->synced,
			.epoch = wal->epoch,
		};
		record_append(&wal->batch, generation, &record, records[i].body);
	}
}

static void note_batch(struct wal *wal, const struct wal_record *records, size_t count)
{
	uint64_t offset = wal->position;
	for (size_t i = 0; i < count; i++) {
		struct place place = {.index = records[i].index, .offset = offset, .epoch = wal->epoch};
		segment_note(wal_current(wal), place);
		offset += record_size(records[i].body.size);
	}
	assert(offset == wal->position + wal->batch.size);
}

/* Some of a batch may stand in the file: a mark goes over its beginning, and its epoch makes the rest void. */
static int undo_batch(struct wal *wal, int result, struct error *error)
{
	char name[WAL_NAME_SIZE];
	uint64_t end = wal->position + wal->batch.size;
	segment_name(name, wal_current(wal)->header.generation);
	int sealed = wal_seal(wal, end, error);
	return sealed < 0 ? sealed : wal_error(error, result, "write", name);
}

bool wal_fits(const struct wal *wal, const struct wal_record *records, size_t count)
{
	uint64_t size = 0;
	for (size_t i = 0; i < count; i++)
		size += record_size(records[i].body.size);
	return count > 0 && records[0].index == wal->last + 1 && fits(wal, size);
}

int wal_append(struct wal *wal, const struct wal_record *records, size_t count, struct error *error)
{
	uint64_t size = 0;
	int result = wal_usable(wal, error);
	if (result < 0 || count == 0)
		return result;
	result = check_batch(wal, records, count, &size, error);
	if (result < 0)
		return result;
	if (records[0].index != wal->last + 1) {
		assert(wal->last < wal_first_index(wal));
		result = wal_reset(wal, records[0].index, error);
		if (result < 0)
			return result;
	}
	if (!fits(wal, size)) {
		struct roll roll = {.first = wal->last + 1, .needed = size};
		result = wal_roll(wal, &roll, error);
		if (result < 0)
			return result;
	}
	build_batch(wal, records, count);
	result = wal->fs->operations->write(wal->file, wal->position, wal->batch.data, wal->batch.size);
	if (result == -ENOSPC || result == -EDQUOT)
		return undo_batch(wal, result, error);
	if (result < 0)
		return fail_current(wal, error, result, "write");
	note_batch(wal, records, count);
	wal->position += wal->batch.size;
	wal->last += count;
	wal->noted = wal->synced;
	wal->dirty = true;
	return 0;
}

int wal_cut_after(struct wal *wal, uint64_t last, struct error *error)
{
	int result = wal_usable(wal, error);
	if (result < 0)
		return result;
	assert(last + 1 >= wal_first_index(wal));
	if (last >= wal->last)
		return wal_sync(wal, error);
	/* Small: conflicts come in bursts, and each leaves a segment behind. */
	return wal_roll(wal, &(struct roll){.first = last + 1, .small = true}, error);
}

int wal_reset(struct wal *wal, uint64_t next, struct error *error)
{
	assert(next > 0 && next <= SEGMENT_INDEX_MAX);
	int result = wal_usable(wal, error);
	if (result < 0)
		return result;
	return wal_roll(wal, &(struct roll){.first = next, .small = true, .fresh = true}, error);
}

int wal_release(struct wal *wal, uint64_t index, struct error *error)
{
	int result = wal_usable(wal, error);
	size_t count = 0;
	while (count + 1 < wal->segment_count && wal->segments[count + 1].header.first - 1 <= index)
		count++;
	if (result < 0 || count == 0)
		return result;
	return wal_retire(wal, 0, count, error);
}

void wal_close(struct wal *wal)
{
	if (wal == NULL)
		return;
	if (wal->file != NULL)
		wal->fs->operations->close(wal->file);
	if (wal->old_file != NULL)
		wal->fs->operations->close(wal->old_file);
	roll_draft_close(wal, &wal->next);
	for (size_t i = 0; i < wal->segment_count; i++)
		segment_finish(&wal->segments[i]);
	mem_free(wal->segments);
	mem_free(wal->spares);
	buffer_finish(&wal->batch);
	reader_finish(&wal->reader);
	mem_free(wal);
}
