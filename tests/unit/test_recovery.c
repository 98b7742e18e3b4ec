#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "wal_helper.h"

#include <inttypes.h>

#define RECORD_HEADER 56
#define SEGMENT_HEADER 64
#define INDEX_MAX 60000

static const struct wal_options small = {
	.segment_size = 16384, .first_segment_size = 4096, .body_size_max = 6000, .spare_segments = 2,
};

static struct wal_recovery recovery;
static struct error error;

/* What the log may hold: entries first … last, of which those up to `synced` must be there. */
struct model {
	struct fs *fs;
	struct wal *wal;
	struct random random;
	uint64_t seed;
	uint64_t first_low; /* the log begins within these two: releases need not last */
	uint64_t first_high;
	uint64_t synced;
	uint64_t last;
	uint64_t term;
	/* Of each entry. */
	uint64_t terms[INDEX_MAX];
	uint32_t sizes[INDEX_MAX];
	/* An operation under way when the power went: a cut, or a reset, may have been done. */
	bool cutting;
	uint64_t cut_last;
	bool resetting;
	uint64_t reset_next;
};

static uint64_t below(struct model *model, uint64_t bound)
{
	return random_below(&model->random, bound);
}

static void model_verify_entries(struct model *model)
{
	struct wal_record records[64];
	struct buffer bodies = BUFFER_EMPTY;
	uint64_t next = wal_first_index(model->wal);
	while (next <= wal_last_index(model->wal)) {
		buffer_clear(&bodies);
		int count = wal_read(model->wal, next, 64, 1 + below(model, 20000), records, &bodies, &error);
		if (count <= 0)
			fail_msg("seed %" PRIu64 ": reading %" PRIu64 ": %s", model->seed, next,
			         count < 0 ? error.text : "none");
		for (int i = 0; i < count; i++, next++)
			helper_expect(&records[i], next, model->terms[next], model->sizes[next]);
	}
	buffer_finish(&bodies);
}

/* After a successful wal_open: what is there is what may be there, and is now durable. */
static void model_accept(struct model *model)
{
	uint64_t first = wal_first_index(model->wal);
	uint64_t last = wal_last_index(model->wal);
	bool was_reset = model->resetting && first == model->reset_next && last == first - 1;
	bool was_cut = model->cutting && last == model->cut_last;
	if (!was_reset && !was_cut && (last < model->synced || last > model->last))
		fail_msg("seed %" PRIu64 ": last %" PRIu64 ", synced %" PRIu64 ", appended %" PRIu64, model->seed, last,
		         model->synced, model->last);
	if (!was_reset && (first < model->first_low || first > model->first_high))
		fail_msg("seed %" PRIu64 ": first %" PRIu64 " is not in %" PRIu64 "…%" PRIu64, model->seed, first,
		         model->first_low, model->first_high);
	assert_int_equal(wal_synced_index(model->wal), last);
	model->first_low = first;
	if (was_reset)
		model->first_high = first;
	model->synced = model->last = last;
	model->cutting = model->resetting = false;
	model_verify_entries(model);
}

/* Opens, through any number of power cuts in the middle of it. */
static void model_reopen(struct model *model)
{
	for (int attempt = 0;; attempt++) {
		if (attempt < 3 && below(model, 3) == 0)
			faulty_fs_power_off_at(model->fs, 1 + below(model, 12));
		int result = wal_open(model->fs, &small, &model->wal, &recovery, &error);
		if (result == 0)
			break;
		if (!faulty_fs_is_off(model->fs))
			fail_msg("seed %" PRIu64 ": %s: %s", model->seed, error_name(result), error.text);
		faulty_fs_crash(model->fs);
	}
	faulty_fs_power_off_at(model->fs, 0);
	model_accept(model);
}

static int model_append(struct model *model)
{
	struct wal_record records[20];
	struct buffer bodies[20] = {{0}};
	size_t count = 1 + below(model, below(model, 4) == 0 ? 20 : 3);
	uint32_t size_max = below(model, 20) == 0 ? 6001 : below(model, 3) == 0 ? 1500 : 80;
	uint64_t synced = model->synced;
	for (size_t i = 0; i < count; i++) {
		uint64_t index = wal_last_index(model->wal) + 1 + i;
		assert_true(index < INDEX_MAX);
		model->terms[index] = model->term;
		model->sizes[index] = (uint32_t)below(model, size_max);
		helper_body(&bodies[i], index, model->term, model->sizes[index]);
		records[i] = (struct wal_record){.index = index, .term = model->term, .body = buffer_slice(&bodies[i])};
	}
	int result = wal_append(model->wal, records, count, &error);
	model->last = records[count - 1].index; /* perhaps, when it failed */
	model->synced = wal_synced_index(model->wal);
	assert_true(model->synced >= synced);
	for (size_t i = 0; i < count; i++)
		buffer_finish(&bodies[i]);
	return result;
}

static int model_cut(struct model *model)
{
	uint64_t first = wal_first_index(model->wal);
	uint64_t last = wal_last_index(model->wal);
	uint64_t span = last - (first - 1);
	uint64_t back = below(model, 4) == 0 ? below(model, span + 1) : below(model, span < 8 ? span + 1 : 8);
	model->cutting = true;
	model->cut_last = last - back;
	/* What is cut may be gone, synced or not; what is not cut may not have been synced before. */
	int result = wal_cut_after(model->wal, model->cut_last, &error);
	if (result == 0) {
		model->cutting = false;
		model->last = model->synced = model->cut_last;
		model->term++;
	}
	return result;
}

static int model_reset(struct model *model)
{
	model->resetting = true;
	model->reset_next = wal_last_index(model->wal) + 1 + below(model, 50);
	if (below(model, 3) == 0)
		model->reset_next = 1 + below(model, wal_last_index(model->wal) + 1);
	int result = wal_reset(model->wal, model->reset_next, &error);
	if (result == 0) {
		model->resetting = false;
		model->first_low = model->first_high = model->reset_next;
		model->last = model->synced = model->reset_next - 1;
		model->term++;
	}
	return result;
}

static int model_release(struct model *model)
{
	uint64_t first = wal_first_index(model->wal);
	uint64_t index = first + below(model, wal_last_index(model->wal) - first + 2);
	if (index + 1 > model->first_high)
		model->first_high = index + 1;
	return wal_release(model->wal, index, &error);
}

static int model_step(struct model *model)
{
	int result = 0;
	uint64_t choice = below(model, 100);
	if (choice < 50) {
		result = model_append(model);
	} else if (choice < 80) {
		result = wal_sync(model->wal, &error);
		if (result == 0)
			model->synced = wal_last_index(model->wal);
	} else if (choice < 86) {
		result = wal_mark_synced(model->wal, &error);
	} else if (choice < 90) {
		result = model_cut(model);
	} else if (choice < 91) {
		result = model_reset(model);
	} else if (choice < 94) {
		result = model_release(model);
	} else {
		result = wal_prepare(model->wal, &error);
	}
	return result;
}

static struct model *model_create(uint64_t seed)
{
	struct model *model = mem_zero(sizeof *model);
	model->seed = seed;
	model->random.state = seed * 77;
	model->fs = faulty_fs_create(seed);
	model->first_low = model->first_high = 1;
	model->term = 1;
	model_reopen(model);
	return model;
}

static void model_destroy(struct model *model)
{
	wal_close(model->wal);
	model->fs->operations->destroy(model->fs);
	mem_free(model);
}

/* Works until something goes wrong, at most `steps`. */
static void model_work(struct model *model, uint64_t steps)
{
	int result = 0;
	while (steps-- > 0 && result == 0)
		result = model_step(model);
	if (result < 0 && result != ERR_IO)
		fail_msg("seed %" PRIu64 ": %s: %s", model->seed, error_name(result), error.text);
}

static void power_cuts_lose_nothing_that_was_synced(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 400; seed++) {
		struct model *model = model_create(seed);
		for (int life = 0; life < 8; life++) {
			faulty_fs_power_off_at(model->fs, 1 + below(model, 120));
			model_work(model, 150);
			wal_close(model->wal);
			faulty_fs_crash(model->fs);
			model_reopen(model);
		}
		model_destroy(model);
	}
}

static void a_killed_process_loses_nothing(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct model *model = model_create(seed);
		for (int life = 0; life < 8; life++) {
			model_work(model, below(model, 60));
			uint64_t last = wal_last_index(model->wal);
			wal_close(model->wal);
			CHECK(wal_open(model->fs, &small, &model->wal, &recovery, &error));
			assert_int_equal(wal_last_index(model->wal), last);
			assert_int_equal(recovery.torn_bytes, 0);
			model_accept(model);
			/* What the process took over is on disk, synced before or not. */
			if (below(model, 2) == 0) {
				wal_close(model->wal);
				faulty_fs_crash(model->fs);
				model_reopen(model);
				assert_int_equal(wal_last_index(model->wal), last);
			}
		}
		model_destroy(model);
	}
}

static void what_a_failed_sync_left_in_the_cache_is_written_again(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct model *model = model_create(seed);
		for (int life = 0; life < 6; life++) {
			faulty_fs_fail_sync(model->fs, 1 + below(model, 20));
			model_work(model, 150);
			faulty_fs_fail_sync(model->fs, 0);
			wal_close(model->wal);
			if (below(model, 3) == 0)
				faulty_fs_evict(model->fs);
			/* Recovery's own sync fails, too. */
			if (below(model, 3) == 0) {
				faulty_fs_fail_sync(model->fs, 1 + below(model, 3));
				if (wal_open(model->fs, &small, &model->wal, &recovery, &error) == 0)
					wal_close(model->wal);
				faulty_fs_fail_sync(model->fs, 0);
			}
			CHECK(wal_open(model->fs, &small, &model->wal, &recovery, &error));
			model_accept(model);
			uint64_t last = wal_last_index(model->wal);
			wal_close(model->wal);
			faulty_fs_crash(model->fs);
			model_reopen(model);
			assert_int_equal(wal_last_index(model->wal), last);
		}
		model_destroy(model);
	}
}

static void a_full_disk_never_harms_the_log(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct model *model = model_create(seed);
		for (int life = 0; life < 6; life++) {
			int result = 0;
			faulty_fs_set_capacity(model->fs, 5000 + below(model, 100000));
			for (int i = 0; i < 100 && result != ERR_IO; i++) {
				result = model_step(model);
				if (result == ERR_NO_SPACE) {
					/* Whatever it was, it was not done. */
					model->last = wal_last_index(model->wal);
					model->synced = wal_synced_index(model->wal);
					model->cutting = model->resetting = false;
					if (below(model, 10) == 0)
						model_verify_entries(model);
				}
			}
			assert_int_not_equal(result, ERR_IO);
			if (below(model, 2) == 0)
				faulty_fs_set_capacity(model->fs, 0);
			wal_close(model->wal);
			faulty_fs_crash(model->fs);
			faulty_fs_set_capacity(model->fs, 0);
			model_reopen(model);
		}
		model_destroy(model);
	}
}

/* Damage. */

static const char *file_name(unsigned number)
{
	static char names[4][32];
	static unsigned next;
	char *name = names[next++ % 4];
	snprintf(name, sizeof names[0], "%016x.seg", number);
	return name;
}

/* Opens and reads all there is: 0, or the first error. */
static int open_and_read(struct fs *fs)
{
	struct wal *wal;
	struct wal_record records[50];
	struct buffer bodies = BUFFER_EMPTY;
	int result = wal_open(fs, &small, &wal, &recovery, &error);
	if (result < 0)
		return result;
	uint64_t next = wal_first_index(wal);
	while (result >= 0 && next <= wal_last_index(wal)) {
		buffer_clear(&bodies);
		result = wal_read(wal, next, 50, SIZE_MAX, records, &bodies, &error);
		next += result > 0 ? (uint64_t)result : 0;
	}
	buffer_finish(&bodies);
	wal_close(wal);
	return result < 0 ? result : 0;
}

/* The end of what was written: nothing but zeroes behind it. */
static uint64_t written_end(struct fs *fs, const char *name)
{
	size_t size;
	const char *bytes = faulty_fs_bytes(fs, name, &size);
	assert_non_null(bytes);
	while (size > 0 && bytes[size - 1] == '\0')
		size--;
	return (size + 7) / 8 * 8;
}

static struct fs *log_with_a_mark(uint64_t seed, size_t entries)
{
	struct fs *fs = faulty_fs_create(seed);
	struct wal *wal;
	CHECK(wal_open(fs, &small, &wal, &recovery, &error));
	for (size_t i = 0; i < entries; i++) {
		CHECK(helper_append(wal, 1, 1 + i % 40, 1, &error));
		CHECK(wal_sync(wal, &error));
	}
	CHECK(wal_mark_synced(wal, &error));
	CHECK(wal_sync(wal, &error));
	wal_close(wal);
	return fs;
}

static void every_flipped_byte_below_the_mark_is_found(void **state)
{
	(void)state;
	struct fs *fs = log_with_a_mark(1, 20);
	const char *name = file_name(2);
	uint64_t end = written_end(fs, name) - RECORD_HEADER;
	assert_true(end > SEGMENT_HEADER + 20 * RECORD_HEADER);
	for (uint64_t offset = 0; offset < end; offset++) {
		unsigned bit = (unsigned)(offset * 5 % 8);
		assert_true(faulty_fs_flip(fs, name, offset, bit));
		int result = open_and_read(fs);
		if (result != ERR_CORRUPT)
			fail_msg("a flip at %" PRIu64 " gives %d", offset, result);
		assert_non_null(strstr(error.text, name));
		unsigned long long named;
		const char *at = strstr(error.text, "offset ");
		assert_non_null(at);
		assert_int_equal(sscanf(at, "offset %llu", &named), 1);
		assert_true(named <= offset);
		assert_true(offset < named + RECORD_HEADER + 40 || named == 0);
		assert_true(faulty_fs_flip(fs, name, offset, bit));
	}
	assert_int_equal(open_and_read(fs), 0);
	assert_int_equal(recovery.last_index, 20);
	fs->operations->destroy(fs);
}

static void a_flipped_bit_in_any_earlier_segment_is_found(void **state)
{
	(void)state;
	struct fs *fs = log_with_a_mark(1, 700);
	struct random random = {3};
	unsigned segments = 0;
	uint64_t ends[20] = {0}; /* before an open adds marks of its own */
	for (unsigned number = 1; number < 20; number++) {
		size_t size;
		if (faulty_fs_bytes(fs, file_name(number), &size) != NULL)
			ends[number] = written_end(fs, file_name(number)) - RECORD_HEADER;
	}
	for (unsigned number = 1; number < 20; number++) {
		uint64_t end = ends[number];
		if (end == 0)
			continue;
		segments++;
		for (int i = 0; i < 100; i++) {
			uint64_t offset = random_below(&random, end);
			assert_true(faulty_fs_flip(fs, file_name(number), offset, 3));
			int result = open_and_read(fs);
			if (result != ERR_CORRUPT)
				fail_msg("a flip in %s at %" PRIu64 " gives %d", file_name(number), offset, result);
			assert_non_null(strstr(error.text, file_name(number)));
			assert_non_null(strstr(error.text, "offset "));
			assert_true(faulty_fs_flip(fs, file_name(number), offset, 3));
		}
	}
	assert_true(segments >= 4);
	assert_int_equal(open_and_read(fs), 0);
	assert_int_equal(recovery.last_index, 700);
	fs->operations->destroy(fs);
}

static void a_lost_sector_below_the_mark_is_found(void **state)
{
	(void)state;
	struct fs *fs = log_with_a_mark(1, 30);
	static const char zeroes[512];
	char saved[512];
	size_t size;
	uint64_t end = written_end(fs, file_name(2)) - RECORD_HEADER;
	for (uint64_t offset = 0; offset + 512 <= end; offset += 512) {
		memcpy(saved, faulty_fs_bytes(fs, file_name(2), &size) + offset, 512);
		assert_true(faulty_fs_overwrite(fs, file_name(2), offset, zeroes, 512));
		assert_int_equal(open_and_read(fs), ERR_CORRUPT);
		assert_true(faulty_fs_overwrite(fs, file_name(2), offset, saved, 512));
	}
	assert_int_equal(open_and_read(fs), 0);
	fs->operations->destroy(fs);
}

static void damage_above_the_mark_is_a_torn_tail_and_reported(void **state)
{
	(void)state;
	struct fs *fs = log_with_a_mark(1, 10);
	struct wal *wal;
	CHECK(wal_open(fs, &small, &wal, &recovery, &error));
	uint64_t start = written_end(fs, file_name(2));
	CHECK(helper_append(wal, 3, 100, 2, &error));
	wal_close(wal);
	assert_true(faulty_fs_flip(fs, file_name(2), start + RECORD_HEADER + 104 + 20, 1));
	CHECK(wal_open(fs, &small, &wal, &recovery, &error));
	assert_int_equal(recovery.last_index, 11);
	assert_int_equal(recovery.torn_bytes, 2 * (RECORD_HEADER + 104));
	assert_non_null(strstr(recovery.torn_file, file_name(2)));
	helper_expect_range(wal, 11, 11, 2, 100);
	wal_close(wal);
	/* Said once. */
	CHECK(wal_open(fs, &small, &wal, &recovery, &error));
	assert_int_equal(recovery.last_index, 11);
	assert_int_equal(recovery.torn_bytes, 0);
	wal_close(wal);
	fs->operations->destroy(fs);
}

/* A good record behind a broken one, where the next but one will end. */
static void a_record_behind_a_torn_one_never_comes_back(void **state)
{
	(void)state;
	struct fs *fs = log_with_a_mark(1, 10);
	struct wal *wal;
	CHECK(wal_open(fs, &small, &wal, &recovery, &error));
	uint64_t start = written_end(fs, file_name(2));
	CHECK(helper_append(wal, 1, 200, 2, &error));
	CHECK(helper_append(wal, 1, 200, 2, &error));
	wal_close(wal);
	char stale[RECORD_HEADER + 200];
	size_t size;
	memcpy(stale, faulty_fs_bytes(fs, file_name(2), &size) + start + RECORD_HEADER + 200, sizeof stale);
	assert_true(faulty_fs_flip(fs, file_name(2), start + 3, 1));
	CHECK(wal_open(fs, &small, &wal, &recovery, &error));
	assert_int_equal(recovery.last_index, 10);
	CHECK(helper_append(wal, 1, 200 - RECORD_HEADER, 3, &error));
	wal_close(wal);
	/* As if the zeroes written over it had not reached the disk. */
	assert_true(faulty_fs_overwrite(fs, file_name(2), start + RECORD_HEADER + 200, stale, sizeof stale));
	CHECK(wal_open(fs, &small, &wal, &recovery, &error));
	assert_int_equal(recovery.last_index, 11);
	assert_int_equal(recovery.last_term, 3);
	wal_close(wal);
	fs->operations->destroy(fs);
}

static void a_missing_segment_is_found(void **state)
{
	(void)state;
	struct fs *fs = log_with_a_mark(1, 900);
	unsigned present[20];
	unsigned count = 0;
	size_t size;
	for (unsigned number = 1; number < 20; number++)
		if (faulty_fs_bytes(fs, file_name(number), &size) != NULL)
			present[count++] = number;
	assert_true(count >= 4);
	assert_true(faulty_fs_remove(fs, file_name(present[1])));
	assert_int_equal(open_and_read(fs), ERR_CORRUPT);
	assert_non_null(strstr(error.text, "missing"));
	assert_non_null(strstr(error.text, file_name(present[1])));
	fs->operations->destroy(fs);
}

static void a_segment_under_another_name_is_found(void **state)
{
	(void)state;
	struct fs *fs = log_with_a_mark(1, 10);
	assert_int_equal(fs->operations->rename(fs, file_name(2), file_name(7)), 0);
	assert_int_equal(open_and_read(fs), ERR_CORRUPT);
	assert_non_null(strstr(error.text, "another name"));
	fs->operations->destroy(fs);
}

static void a_file_cut_short_within_its_records_is_damage(void **state)
{
	(void)state;
	for (uint64_t cut = 1; cut < 400; cut += 7) {
		struct fs *fs = log_with_a_mark(1, 10);
		uint64_t end = written_end(fs, file_name(2));
		assert_true(faulty_fs_shorten(fs, file_name(2), end - cut));
		assert_int_equal(open_and_read(fs), ERR_CORRUPT);
		assert_non_null(strstr(error.text, file_name(2)));
		fs->operations->destroy(fs);
	}
}

static void a_file_cut_short_behind_its_records_is_made_whole(void **state)
{
	(void)state;
	struct fs *fs = log_with_a_mark(1, 10);
	size_t size;
	assert_true(faulty_fs_shorten(fs, file_name(2), 4096 - 20));
	assert_int_equal(open_and_read(fs), 0);
	assert_int_equal(recovery.last_index, 10);
	assert_non_null(faulty_fs_bytes(fs, file_name(2), &size));
	assert_int_equal(size, 4096);
	fs->operations->destroy(fs);
}

static void files_that_are_not_the_logs_are_left_alone(void **state)
{
	(void)state;
	struct fs *fs = log_with_a_mark(1, 10);
	faulty_fs_put(fs, "readme", "x", 1);
	faulty_fs_put(fs, "0000000000000009.seg.bak", "x", 1);
	faulty_fs_put(fs, "000000000000000A.seg", "x", 1);
	faulty_fs_put(fs, "0000000000000000.seg", "x", 1);
	assert_int_equal(open_and_read(fs), 0);
	assert_int_equal(recovery.last_index, 10);
	assert_int_equal(helper_count_files(fs, ""), 5);
	fs->operations->destroy(fs);
}

static void an_empty_segment_file_is_damage(void **state)
{
	(void)state;
	struct fs *fs = log_with_a_mark(1, 10);
	faulty_fs_put(fs, file_name(9), "", 0);
	assert_int_equal(open_and_read(fs), ERR_CORRUPT);
	assert_non_null(strstr(error.text, file_name(9)));
	fs->operations->destroy(fs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(power_cuts_lose_nothing_that_was_synced),
		cmocka_unit_test(a_killed_process_loses_nothing),
		cmocka_unit_test(what_a_failed_sync_left_in_the_cache_is_written_again),
		cmocka_unit_test(a_full_disk_never_harms_the_log),
		cmocka_unit_test(every_flipped_byte_below_the_mark_is_found),
		cmocka_unit_test(a_flipped_bit_in_any_earlier_segment_is_found),
		cmocka_unit_test(a_lost_sector_below_the_mark_is_found),
		cmocka_unit_test(damage_above_the_mark_is_a_torn_tail_and_reported),
		cmocka_unit_test(a_record_behind_a_torn_one_never_comes_back),
		cmocka_unit_test(a_missing_segment_is_found),
		cmocka_unit_test(a_segment_under_another_name_is_found),
		cmocka_unit_test(a_file_cut_short_within_its_records_is_damage),
		cmocka_unit_test(a_file_cut_short_behind_its_records_is_made_whole),
		cmocka_unit_test(files_that_are_not_the_logs_are_left_alone),
		cmocka_unit_test(an_empty_segment_file_is_damage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
