#include "store/wal_private.h"

#include "base/memory.h"

#include <assert.h>
#include <errno.h>

#define FILE_ALIGNMENT 4096u
#define PREPARE_STEP (1u << 20) /* so that a batch that waits behind wal_prepare waits a few milliseconds at most */

void roll_draft_close(struct wal *wal, struct draft *draft)
{
	if (draft->file != NULL)
		wal->fs->operations->close(draft->file);
	*draft = (struct draft){0};
}

/* Gives the room back; nothing depends on whether that succeeds. */
static void draft_drop(struct wal *wal, struct draft *draft)
{
	char name[WAL_NAME_SIZE];
	spare_name(name, draft->number);
	roll_draft_close(wal, draft);
	wal->fs->operations->remove(wal->fs, name);
}

/* A full disk is told to the caller, who can make room; any other error may mean that writes get lost. */
static int draft_failed(struct wal *wal, struct draft *draft, int result, const char *doing, struct error *error)
{
	char name[WAL_NAME_SIZE];
	spare_name(name, draft->number);
	draft_drop(wal, draft);
	if (result == -ENOSPC || result == -EDQUOT)
		return wal_error(error, result, doing, name);
	return wal_fail(wal, error, result, doing, name);
}

static int draft_create(struct wal *wal, struct draft *ret_draft, struct error *error)
{
	struct draft draft = {.number = wal->next_number++, .zeroed = true};
	char name[WAL_NAME_SIZE];
	spare_name(name, draft.number);
	int result = wal->fs->operations->open(wal->fs, name, true, &draft.file);
	if (result < 0)
		return draft_failed(wal, &draft, result, "create", error);
	*ret_draft = draft;
	return 0;
}

static int draft_grow(struct wal *wal, struct draft *draft, uint64_t size, struct error *error)
{
	if (draft->size >= size)
		return 0;
	int result = wal->fs->operations->allocate(draft->file, size);
	if (result < 0)
		return draft_failed(wal, draft, result, "allocate", error);
	draft->size = size;
	return 0;
}

/* A recycled file; false when there is none. */
static bool draft_recycle(struct wal *wal, struct draft *ret_draft)
{
	while (wal->spare_count > 0) {
		struct draft draft = {.number = wal->spares[--wal->spare_count], .size = wal->options.segment_size};
		char name[WAL_NAME_SIZE];
		spare_name(name, draft.number);
		if (wal->fs->operations->open(wal->fs, name, false, &draft.file) < 0)
			continue;
		if (wal->fs->operations->size(draft.file) == (int64_t)draft.size) {
			*ret_draft = draft;
			return true;
		}
		draft_drop(wal, &draft);
	}
	return false;
}

static int draft_acquire(struct wal *wal, const struct roll *roll, struct draft *ret_draft, struct error *error)
{
	struct draft draft = {0};
	uint64_t size = roll->small ? wal->options.first_segment_size : wal->options.segment_size;
	uint64_t needed = SEGMENT_HEADER_SIZE + roll->needed;
	if (size < needed)
		size = (needed + FILE_ALIGNMENT - 1) & ~(uint64_t)(FILE_ALIGNMENT - 1);
	if (size == wal->options.segment_size && wal->next.file != NULL) {
		draft = wal->next;
		wal->next = (struct draft){0};
	} else if (size != wal->options.segment_size || !draft_recycle(wal, &draft)) {
		int result = draft_create(wal, &draft, error);
		if (result < 0)
			return result;
	}
	int result = draft_grow(wal, &draft, size, error);
	if (result < 0)
		return result;
	*ret_draft = draft;
	return 0;
}

/* Makes the draft a segment: its header is on disk before its name is, and its name before any record. */
static int draft_enter(struct wal *wal, struct draft *draft, const struct segment_header *header, struct error *error)
{
	const struct fs_operations *operations = wal->fs->operations;
	char bytes[SEGMENT_HEADER_SIZE];
	char from[WAL_NAME_SIZE];
	char to[WAL_NAME_SIZE];
	segment_header_encode(header, bytes);
	spare_name(from, draft->number);
	segment_name(to, header->generation);
	int result = operations->write(draft->file, 0, bytes, sizeof bytes);
	if (result < 0)
		return draft_failed(wal, draft, result, "write", error);
	result = operations->sync(draft->file);
	if (result < 0)
		return draft_failed(wal, draft, result, "sync", error);
	result = operations->rename(wal->fs, from, to);
	if (result < 0)
		return draft_failed(wal, draft, result, "rename", error);
	result = operations->sync_directory(wal->fs);
	if (result < 0) {
		roll_draft_close(wal, draft);
		return wal_fail(wal, error, result, "sync the directory of", to);
	}
	return 0;
}

static int retire_one(struct wal *wal, const struct segment *segment, struct error *error)
{
	char name[WAL_NAME_SIZE];
	char spare[WAL_NAME_SIZE];
	uint64_t generation = segment->header.generation;
	segment_name(name, generation);
	spare_name(spare, generation);
	if (wal->old_file != NULL && wal->old_generation == generation) {
		wal->fs->operations->close(wal->old_file);
		wal->old_file = NULL;
	}
	bool keep = segment->header.size == wal->options.segment_size && wal->spare_count < wal->options.spare_segments;
	int result = keep ? wal->fs->operations->rename(wal->fs, name, spare)
	                  : wal->fs->operations->remove(wal->fs, name);
	if (result < 0)
		return wal_fail(wal, error, result, keep ? "rename" : "remove", name);
	/* On disk before the next one goes, or a crash could leave a gap; and before the file gets another header. */
	result = wal->fs->operations->sync_directory(wal->fs);
	if (result < 0)
		return wal_fail(wal, error, result, "sync the directory of", name);
	if (keep) {
		mem_grow(wal->spares, wal->spare_capacity, wal->spare_count + 1);
		wal->spares[wal->spare_count++] = generation;
	}
	return 0;
}

int wal_retire(struct wal *wal, size_t from, size_t count, struct error *error)
{
	int result = 0;
	size_t done = 0;
	while (done < count && result == 0) {
		result = retire_one(wal, &wal->segments[from + done], error);
		segment_finish(&wal->segments[from + done]);
		done++;
	}
	size_t after = wal->segment_count - from - done;
	memmove(&wal->segments[from], &wal->segments[from + done], after * sizeof wal->segments[0]);
	wal->segment_count -= done;
	return result;
}

/* How many of the segments still count when the next begins at `first`. */
static size_t kept_count(const struct wal *wal, const struct roll *roll)
{
	size_t count = roll->fresh ? 0 : wal->segment_count;
	while (count > 0 && wal->segments[count - 1].header.first >= roll->first)
		count--;
	return count;
}

int wal_roll(struct wal *wal, const struct roll *roll, struct error *error)
{
	struct draft draft;
	/* The new header will say that all before it is on disk. */
	int result = wal->segment_count > 0 ? wal_sync(wal, error) : 0;
	if (result < 0)
		return result;
	result = draft_acquire(wal, roll, &draft, error);
	if (result < 0)
		return result;
	size_t kept = kept_count(wal, roll);
	struct segment_header header = {
		.generation = wal->next_number++,
		.previous = kept > 0 ? wal->segments[kept - 1].header.generation : 0,
		.first = roll->first,
		.size = draft.size,
		.zeroed = draft.zeroed,
	};
	result = draft_enter(wal, &draft, &header, error);
	if (result < 0)
		return result;
	if (wal->file != NULL)
		wal->fs->operations->close(wal->file);
	wal->file = draft.file;
	segments_add(wal, &header);
	wal->position = SEGMENT_HEADER_SIZE;
	wal->epoch = 0;
	wal->dirty = false;
	wal->last = wal->synced = wal->noted = roll->first - 1;
	return wal_retire(wal, kept, wal->segment_count - 1 - kept, error);
}

bool wal_wants_prepare(const struct wal *wal)
{
	if (wal->failed || wal->spare_count > 0 || wal->next.size >= wal->options.segment_size)
		return false;
	return wal->position >= wal_current(wal)->header.size / 2;
}

int wal_prepare(struct wal *wal, struct error *error)
{
	int result = wal_usable(wal, error);
	if (result < 0 || !wal_wants_prepare(wal))
		return result;
	if (wal->next.file == NULL && (result = draft_create(wal, &wal->next, error)) < 0)
		return result;
	uint64_t size = wal->next.size + PREPARE_STEP;
	if (size > wal->options.segment_size)
		size = wal->options.segment_size;
	result = draft_grow(wal, &wal->next, size, error);
	if (result < 0)
		return result;
	/* Now, so that it does not burden the sync of the header. */
	result = wal->fs->operations->sync(wal->next.file);
	if (result < 0)
		return draft_failed(wal, &wal->next, result, "sync", error);
	return 0;
}
