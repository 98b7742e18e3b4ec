/* What the tests of the log share. The body of an entry is a function of its index and a seed. Include behind cmocka.h. */
#ifndef CLUSTERD_TESTS_WAL_HELPER_H
#define CLUSTERD_TESTS_WAL_HELPER_H

#include "base/memory.h"
#include "base/random.h"
#include "sim/faulty_fs.h"
#include "store/wal.h"

#include <stdio.h>

#define CHECK(call)                                                                                                    \
	do {                                                                                                           \
		struct error *checked_ = &error;                                                                       \
		checked_->text[0] = '\0';                                                                              \
		if ((call) < 0)                                                                                        \
			fail_msg("%s: %s", #call, checked_->text);                                                     \
	} while (0)

static inline void helper_body(struct buffer *body, uint64_t index, uint64_t seed, size_t size)
{
	struct random random = {index * 1000003u + seed};
	buffer_clear(body);
	char *place = buffer_reserve(body, size + sizeof(uint64_t));
	for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
		uint64_t word = random_next(&random);
		memcpy(place + at, &word, sizeof word);
	}
	body->size = size;
}

/* Appends `count` entries behind the last one, of `size` bytes each, term = seed, as one batch. */
static inline int helper_append(struct wal *wal, size_t count, size_t size, uint64_t seed, struct error *error)
{
	struct wal_record *records = mem_array(count, sizeof *records);
	struct buffer *bodies = mem_array(count, sizeof *bodies);
	for (size_t i = 0; i < count; i++) {
		uint64_t index = wal_last_index(wal) + 1 + i;
		helper_body(&bodies[i], index, seed, size);
		records[i] = (struct wal_record){.index = index, .term = seed, .body = buffer_slice(&bodies[i])};
	}
	int result = wal_append(wal, records, count, error);
	for (size_t i = 0; i < count; i++)
		buffer_finish(&bodies[i]);
	mem_free(bodies);
	mem_free(records);
	return result;
}

static inline void helper_expect(const struct wal_record *record, uint64_t index, uint64_t seed, size_t size)
{
	struct buffer body = BUFFER_EMPTY;
	helper_body(&body, index, seed, size);
	assert_int_equal(record->index, index);
	assert_int_equal(record->term, seed);
	assert_int_equal(record->body.size, size);
	assert_true(slice_equal(record->body, buffer_slice(&body)));
	buffer_finish(&body);
}

/* Reads [first, last] one by one, in batches, and compares. */
static inline void helper_expect_range(struct wal *wal, uint64_t first, uint64_t last, uint64_t seed, size_t size)
{
	struct wal_record records[32];
	struct buffer bodies = BUFFER_EMPTY;
	struct error error;
	while (first <= last) {
		buffer_clear(&bodies);
		size_t wanted = last - first < 31 ? last - first + 1 : 32;
		int count = wal_read(wal, first, wanted, SIZE_MAX, records, &bodies, &error);
		if (count <= 0)
			fail_msg("reading entry %llu: %s", (unsigned long long)first, count < 0 ? error.text : "none");
		for (int i = 0; i < count; i++)
			helper_expect(&records[i], first++, seed, size);
	}
	buffer_finish(&bodies);
}

/* How many of the directory's names end so. */
static inline size_t helper_count_files(struct fs *fs, const char *end)
{
	struct buffer names = BUFFER_EMPTY;
	size_t count = 0;
	assert_int_equal(fs->operations->list(fs, &names), 0);
	for (const char *name = names.data; name != NULL && name < names.data + names.size; name += strlen(name) + 1)
		if (strlen(name) >= strlen(end) && strcmp(name + strlen(name) - strlen(end), end) == 0)
			count++;
	buffer_finish(&names);
	return count;
}

#endif
