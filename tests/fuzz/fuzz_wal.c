/* A directory of arbitrary files is opened as a log. The input: how many files (one byte: 1 to 4, and in its high bits whether
 * checksums are made right), then for each the size (2 bytes) of its contents; what follows is the contents. The files are
 * named as segments 1, 2, …. Wants the library of the faulty file system, for its files in memory. */
#include "base/memory.h"
#include "sim/faulty_fs.h"
#include "store/record.h"
#include "store/wal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define FILES_MAX 4u
#define FILE_SIZE_MAX (32u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct wal_options options = {
	.segment_size = 16384, .first_segment_size = 4096, .body_size_max = 8192, .spare_segments = 1,
};

static uint64_t get(const char *bytes, size_t size)
{
	uint64_t value = 0;
	for (size_t i = 0; i < size; i++)
		value |= (uint64_t)(unsigned char)bytes[i] << (8 * i);
	return value;
}

/* Writes what stands there as a header again, so that the fuzzer gets behind the checksums; the magic word too. */
static void mend_header(char *bytes, size_t size, uint64_t generation)
{
	if (size < SEGMENT_HEADER_SIZE)
		return;
	uint64_t previous = get(bytes + 32, 8) % (generation + 1);
	struct segment_header header = {
		.generation = generation,
		.previous = previous < generation ? previous : generation - 1,
		.first = get(bytes + 40, 8),
		.size = get(bytes + 48, 8) % (2 * FILE_SIZE_MAX), /* a shorter file is made whole */
		.zeroed = (bytes[20] & 1) != 0,
	};
	segment_header_encode(&header, bytes);
}

/* The same for records, one behind the other as far as their sizes lead. */
static void mend_records(char *bytes, size_t size, uint64_t generation)
{
	struct buffer buffer = BUFFER_EMPTY;
	size_t at = SEGMENT_HEADER_SIZE;
	while (at + RECORD_HEADER_SIZE <= size) {
		char *place = bytes + at;
		uint32_t body_size = (uint32_t)get(place + 12, 4);
		struct record record = {
			.kind = (place[8] & 8) != 0 ? RECORD_MARK : RECORD_ENTRY,
			.index = get(place + 16, 8),
			.term = get(place + 24, 8),
			.synced = get(place + 32, 8),
			.epoch = (uint32_t)get(place + 40, 4),
		};
		if (record_size(body_size) > size - at)
			break;
		buffer_clear(&buffer);
		record_append(&buffer, generation, &record, (struct slice){place + RECORD_HEADER_SIZE, body_size});
		memcpy(place, buffer.data, buffer.size);
		at += buffer.size;
	}
	buffer_finish(&buffer);
}

static void put_files(struct fs *fs, const uint8_t *data, size_t size)
{
	bool mend = (data[0] & 0x80) != 0;
	size_t count = 1 + data[0] % FILES_MAX;
	size_t at = 1 + 2 * count;
	for (size_t i = 0; i < count && at <= size; i++) {
		size_t wanted = (size_t)data[1 + 2 * i] | (size_t)data[2 + 2 * i] << 8;
		size_t there = size - at < wanted ? size - at : wanted;
		char *contents = mem_zero(FILE_SIZE_MAX);
		char name[32];
		if (there > FILE_SIZE_MAX)
			there = FILE_SIZE_MAX;
		memcpy(contents, data + at, there);
		at += there;
		if (mend) {
			mend_header(contents, FILE_SIZE_MAX, i + 1);
			mend_records(contents, there, i + 1);
		}
		snprintf(name, sizeof name, "%016zx.seg", i + 1);
		/* Mended ones are as long as they should be, mostly; of the others every length is tried. */
		size_t whole = mend ? (size_t)get(contents + 48, 8) : there;
		faulty_fs_put(fs, name, contents, whole > FILE_SIZE_MAX || whole < there ? there : whole);
		mem_free(contents);
	}
}

static void read_all(struct wal *wal)
{
	struct wal_record records[16];
	struct buffer bodies = BUFFER_EMPTY;
	struct error error;
	uint64_t next = wal_first_index(wal);
	int count = 0;
	for (; next <= wal_last_index(wal); next += (uint64_t)count) {
		buffer_clear(&bodies);
		count = wal_read(wal, next, 16, 4096, records, &bodies, &error);
		assert(count > 0 || count == ERR_CORRUPT);
		if (count < 0)
			break;
		for (int i = 0; i < count; i++) {
			assert(records[i].index == next + (uint64_t)i);
			assert(records[i].body.size <= options.body_size_max);
		}
	}
	buffer_finish(&bodies);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fs *fs;
	struct wal *wal;
	struct wal_recovery recovery;
	struct error error;
	if (size == 0 || size < 1 + 2 * (1 + (size_t)data[0] % FILES_MAX))
		return 0;
	fs = faulty_fs_create(1);
	put_files(fs, data, size);
	int result = wal_open(fs, &options, &wal, &recovery, &error);
	if (result == 0) {
		read_all(wal);
		/* It can be worked with, and what is added is there the next time. */
		struct wal_record record = {.index = recovery.last_index + 1, .term = 9, .body = SLICE("added")};
		result = wal_append(wal, &record, 1, &error);
		assert(result == 0);
		result = wal_sync(wal, &error);
		assert(result == 0);
		wal_close(wal);
		faulty_fs_crash(fs);
		result = wal_open(fs, &options, &wal, &recovery, &error);
		assert(result == 0 || result == ERR_CORRUPT);
		if (result == 0) {
			assert(recovery.last_index == record.index && recovery.last_term == 9);
			wal_close(wal);
		}
	} else {
		assert(result == ERR_CORRUPT || result == ERR_VERSION);
	}
	fs->operations->destroy(fs);
	return 0;
}
