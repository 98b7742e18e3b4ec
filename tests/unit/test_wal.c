#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "wal_helper.h"

#include <errno.h>

static const struct wal_options small = {.segment_size = 16384, .first_segment_size = 4096, .body_size_max = 10000};

static struct fs *fs;
static struct wal *wal;
static struct wal_recovery recovery;
static struct error error;

static int setup(void **state)
{
	(void)state;
	fs = faulty_fs_create(7);
	wal = NULL;
	return wal_open(fs, &small, &wal, &recovery, &error);
}

static int teardown(void **state)
{
	(void)state;
	wal_close(wal);
	fs->operations->destroy(fs);
	return 0;
}

static void reopen(void)
{
	wal_close(wal);
	wal = NULL;
	CHECK(wal_open(fs, &small, &wal, &recovery, &error));
}

static void an_empty_log_begins_at_one(void **state)
{
	(void)state;
	struct wal_record record;
	struct buffer bodies = BUFFER_EMPTY;
	assert_int_equal(recovery.first_index, 1);
	assert_int_equal(recovery.last_index, 0);
	assert_int_equal(recovery.torn_bytes, 0);
	assert_int_equal(wal_first_index(wal), 1);
	assert_int_equal(wal_last_index(wal), 0);
	assert_int_equal(wal_read(wal, 1, 1, 100, &record, &bodies, &error), 0);
	reopen();
	assert_int_equal(recovery.first_index, 1);
	assert_int_equal(recovery.last_index, 0);
}

static void entries_are_read_back_after_reopening(void **state)
{
	(void)state;
	CHECK(helper_append(wal, 10, 33, 3, &error));
	CHECK(wal_sync(wal, &error));
	helper_expect_range(wal, 1, 10, 3, 33);
	reopen();
	assert_int_equal(recovery.last_index, 10);
	assert_int_equal(recovery.last_term, 3);
	assert_int_equal(recovery.torn_bytes, 0);
	assert_int_equal(wal_synced_index(wal), 10);
	helper_expect_range(wal, 1, 10, 3, 33);
}

static void empty_bodies_are_kept(void **state)
{
	(void)state;
	CHECK(helper_append(wal, 5, 0, 1, &error));
	reopen();
	helper_expect_range(wal, 1, 5, 1, 0);
}

static void a_batch_is_one_write(void **state)
{
	(void)state;
	uint64_t before = faulty_fs_operations(fs);
	CHECK(helper_append(wal, 20, 50, 1, &error));
	assert_int_equal(faulty_fs_operations(fs), before + 1);
	CHECK(wal_sync(wal, &error));
	assert_int_equal(faulty_fs_operations(fs), before + 2);
}

static void what_fits_is_appended_with_one_write_and_what_does_not_is_known_before(void **state)
{
	(void)state;
	static const char body[100];
	struct wal_record record = {.index = 1, .term = 1, .body = {body, sizeof body}};
	bool fitted = wal_fits(wal, &record, 1);
	assert_true(fitted);
	while (fitted) {
		uint64_t before = faulty_fs_operations(fs);
		CHECK(wal_append(wal, &record, 1, &error));
		assert_int_equal(faulty_fs_operations(fs), before + 1);
		record.index++;
		fitted = wal_fits(wal, &record, 1);
	}
	assert_int_equal(helper_count_files(fs, ".seg"), 1);
	CHECK(wal_append(wal, &record, 1, &error));
	assert_int_equal(helper_count_files(fs, ".seg"), 2);
	assert_false(wal_fits(wal, &record, 1)); /* it is not the next one */
}

static void synced_index_follows_sync_alone(void **state)
{
	(void)state;
	CHECK(helper_append(wal, 3, 10, 1, &error));
	assert_int_equal(wal_last_index(wal), 3);
	assert_int_equal(wal_synced_index(wal), 0);
	CHECK(wal_sync(wal, &error));
	assert_int_equal(wal_synced_index(wal), 3);
}

static void the_first_segment_is_small_and_others_follow(void **state)
{
	(void)state;
	size_t size;
	assert_non_null(faulty_fs_bytes(fs, "0000000000000002.seg", &size));
	assert_int_equal(size, 4096);
	for (int i = 0; i < 400; i++)
		CHECK(helper_append(wal, 1, 100, 1, &error));
	assert_true(helper_count_files(fs, ".seg") >= 4);
	assert_true(wal_size(wal) >= 4096 + 3 * 16384);
	reopen();
	assert_int_equal(recovery.last_index, 400);
	helper_expect_range(wal, 1, 400, 1, 100);
}

static void a_batch_larger_than_a_segment_gets_one_of_its_size(void **state)
{
	(void)state;
	CHECK(helper_append(wal, 2, 100, 1, &error));
	CHECK(helper_append(wal, 6, 9000, 1, &error));
	CHECK(helper_append(wal, 1, 9000, 1, &error));
	reopen();
	assert_int_equal(recovery.last_index, 9);
	helper_expect_range(wal, 1, 2, 1, 100);
	helper_expect_range(wal, 3, 9, 1, 9000);
}

static void reading_stops_at_each_of_its_limits(void **state)
{
	(void)state;
	struct wal_record records[100];
	struct buffer bodies = BUFFER_EMPTY;
	for (int i = 0; i < 50; i++)
		CHECK(helper_append(wal, 2, 100, 1, &error));
	assert_int_equal(wal_read(wal, 1, 7, SIZE_MAX, records, &bodies, &error), 7);
	assert_int_equal(wal_read(wal, 1, 100, 450, records, &bodies, &error), 4);
	assert_int_equal(wal_read(wal, 1, 100, 500, records, &bodies, &error), 5);
	assert_int_equal(wal_read(wal, 1, 100, 0, records, &bodies, &error), 1);
	assert_int_equal(wal_read(wal, 1, 100, 99, records, &bodies, &error), 1);
	assert_int_equal(wal_read(wal, 1, 100, SIZE_MAX, records, &bodies, &error), 100);
	for (uint64_t i = 0; i < 100; i++)
		helper_expect(&records[i], i + 1, 1, 100);
	assert_int_equal(wal_read(wal, 91, 100, SIZE_MAX, records, &bodies, &error), 10);
	assert_int_equal(wal_read(wal, 101, 100, SIZE_MAX, records, &bodies, &error), 0);
	assert_int_equal(wal_read(wal, 1, 0, SIZE_MAX, records, &bodies, &error), 0);
	buffer_finish(&bodies);
}

static void bodies_stand_behind_what_the_buffer_held(void **state)
{
	(void)state;
	struct wal_record records[4];
	struct buffer bodies = BUFFER_EMPTY;
	CHECK(helper_append(wal, 4, 20, 1, &error));
	buffer_append_string(&bodies, "before");
	assert_int_equal(wal_read(wal, 2, 3, SIZE_MAX, records, &bodies, &error), 3);
	assert_int_equal(bodies.size, 6 + 3 * 20);
	assert_memory_equal(bodies.data, "before", 6);
	helper_expect(&records[2], 4, 1, 20);
	buffer_finish(&bodies);
}

static void any_entry_is_found_from_anywhere(void **state)
{
	(void)state;
	struct wal_options options = {.segment_size = 256 << 10, .first_segment_size = 64 << 10};
	struct random random = {5};
	wal_close(wal);
	CHECK(wal_open(fs, &options, &wal, &recovery, &error));
	for (int i = 0; i < 300; i++)
		CHECK(helper_append(wal, 30, 40, 1, &error));
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 500; i++) {
			uint64_t from = 1 + random_below(&random, 9000);
			helper_expect_range(wal, from, from + 2 < 9000 ? from + 2 : 9000, 1, 40);
		}
		wal_close(wal);
		CHECK(wal_open(fs, &options, &wal, &recovery, &error));
	}
}

static void too_large_a_body_is_refused_with_both_sizes(void **state)
{
	(void)state;
	assert_int_equal(helper_append(wal, 1, 10001, 1, &error), ERR_LIMIT);
	assert_non_null(strstr(error.text, "10001"));
	assert_non_null(strstr(error.text, "10000"));
	assert_int_equal(wal_last_index(wal), 0);
	CHECK(helper_append(wal, 1, 10000, 1, &error));
}

static void a_stored_body_above_the_limit_is_damage_not_a_torn_tail(void **state)
{
	(void)state;
	struct wal_options options = small;
	options.body_size_max = 100;
	CHECK(helper_append(wal, 1, 200, 1, &error));
	wal_close(wal);
	wal = NULL;
	assert_int_equal(wal_open(fs, &options, &wal, &recovery, &error), ERR_CORRUPT);
	assert_non_null(strstr(error.text, "body_size_max"));
}

static void options_out_of_range_are_refused(void **state)
{
	(void)state;
	struct wal *other = NULL;
	struct wal_options options = {.segment_size = 100};
	assert_int_equal(wal_open(fs, &options, &other, &recovery, &error), ERR_LIMIT);
	options = (struct wal_options){.segment_size = UINT64_C(2) << 30};
	assert_int_equal(wal_open(fs, &options, &other, &recovery, &error), ERR_LIMIT);
	options = (struct wal_options){.body_size_max = UINT32_MAX};
	assert_int_equal(wal_open(fs, &options, &other, &recovery, &error), ERR_LIMIT);
	assert_null(other);
}

static void what_was_cut_stays_cut(void **state)
{
	(void)state;
	CHECK(helper_append(wal, 10, 30, 1, &error));
	CHECK(wal_sync(wal, &error));
	CHECK(wal_cut_after(wal, 6, &error));
	assert_int_equal(wal_last_index(wal), 6);
	faulty_fs_crash(fs);
	reopen();
	assert_int_equal(recovery.last_index, 6);
	assert_int_equal(recovery.last_term, 1);
	CHECK(helper_append(wal, 1, 30, 2, &error));
	reopen();
	assert_int_equal(recovery.last_index, 7);
	assert_int_equal(recovery.last_term, 2);
	helper_expect_range(wal, 1, 6, 1, 30);
	helper_expect_range(wal, 7, 7, 2, 30);
}

static void a_cut_reaches_back_over_segments(void **state)
{
	(void)state;
	for (int i = 0; i < 400; i++)
		CHECK(helper_append(wal, 1, 100, 1, &error));
	CHECK(wal_cut_after(wal, 50, &error));
	CHECK(helper_append(wal, 1, 100, 2, &error));
	CHECK(wal_cut_after(wal, 5, &error));
	assert_int_equal(helper_count_files(fs, ".seg"), 2);
	CHECK(helper_append(wal, 1, 100, 3, &error));
	reopen();
	assert_int_equal(recovery.first_index, 1);
	assert_int_equal(recovery.last_index, 6);
	helper_expect_range(wal, 1, 5, 1, 100);
	helper_expect_range(wal, 6, 6, 3, 100);
}

static void a_cut_may_leave_nothing(void **state)
{
	(void)state;
	CHECK(helper_append(wal, 10, 30, 1, &error));
	CHECK(wal_cut_after(wal, 0, &error));
	assert_int_equal(wal_first_index(wal), 1);
	assert_int_equal(wal_last_index(wal), 0);
	reopen();
	assert_int_equal(recovery.first_index, 1);
	assert_int_equal(recovery.last_index, 0);
	assert_int_equal(helper_count_files(fs, ".seg"), 1);
}

static void a_reset_log_begins_where_it_was_told(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++)
		CHECK(helper_append(wal, 1, 100, 1, &error));
	CHECK(wal_reset(wal, 1000, &error));
	assert_int_equal(wal_first_index(wal), 1000);
	assert_int_equal(wal_last_index(wal), 999);
	faulty_fs_crash(fs);
	reopen();
	assert_int_equal(recovery.first_index, 1000);
	assert_int_equal(recovery.last_index, 999);
	CHECK(helper_append(wal, 3, 100, 2, &error));
	helper_expect_range(wal, 1000, 1002, 2, 100);
	CHECK(wal_reset(wal, 10, &error));
	assert_int_equal(wal_first_index(wal), 10);
	reopen();
	assert_int_equal(recovery.first_index, 10);
}

static void an_empty_log_takes_any_index(void **state)
{
	(void)state;
	struct wal_record record = {.index = 77, .term = 5, .body = SLICE("seventy-seven")};
	CHECK(wal_append(wal, &record, 1, &error));
	assert_int_equal(wal_first_index(wal), 77);
	assert_int_equal(wal_last_index(wal), 77);
	reopen();
	assert_int_equal(recovery.first_index, 77);
	assert_int_equal(recovery.last_index, 77);
}

static void released_segments_go_and_come_back_as_others(void **state)
{
	(void)state;
	struct wal_record record;
	struct buffer bodies = BUFFER_EMPTY;
	for (int i = 0; i < 1000; i++)
		CHECK(helper_append(wal, 1, 100, 1, &error));
	CHECK(wal_release(wal, 700, &error));
	uint64_t first = wal_first_index(wal);
	assert_in_range(first, 2, 701);
	assert_int_equal(helper_count_files(fs, ".spare"), 2);
	assert_int_equal(wal_read(wal, first - 1, 1, 1, &record, &bodies, &error), ERR_NOT_FOUND);
	helper_expect_range(wal, first, 1000, 1, 100);
	CHECK(helper_append(wal, 90, 100, 1, &error));
	CHECK(helper_append(wal, 90, 100, 1, &error));
	assert_int_equal(helper_count_files(fs, ".spare"), 0);
	reopen();
	assert_int_equal(recovery.first_index, first);
	assert_int_equal(recovery.last_index, 1180);
	helper_expect_range(wal, first, 1180, 1, 100);
	buffer_finish(&bodies);
}

static void an_entry_is_found_that_has_so_much_behind_it(void **state)
{
	(void)state;
	uint64_t before = UINT64_MAX;
	assert_int_equal(wal_index_before(wal, 1), 0);
	for (int i = 0; i < 1000; i++)
		CHECK(helper_append(wal, 1, 100, 1, &error));
	for (uint64_t bytes = 1; bytes < wal_size(wal); bytes += 500) {
		uint64_t index = wal_index_before(wal, bytes);
		assert_true(index <= before && index < 1000);
		/* Between it and the end there are at least so many bytes, headers and all; and no more than a segment too many. */
		if (index > 0)
			assert_true((1000 - index) * 100 <= bytes + small.segment_size);
		before = index;
	}
	assert_true(before < 200);
	assert_int_equal(wal_index_before(wal, UINT64_MAX), 0);
}

static void the_last_segment_is_not_released(void **state)
{
	(void)state;
	CHECK(helper_append(wal, 10, 30, 1, &error));
	CHECK(wal_release(wal, 1000, &error));
	assert_int_equal(wal_first_index(wal), 1);
	helper_expect_range(wal, 1, 10, 1, 30);
}

/* Equal sizes, so that a former record stands exactly where the next one would. */
static void records_of_a_former_life_never_pass(void **state)
{
	(void)state;
	for (uint64_t life = 1; life < 30; life++) {
		CHECK(helper_append(wal, 100, 100, life, &error));
		CHECK(wal_release(wal, wal_last_index(wal), &error));
		CHECK(wal_sync(wal, &error));
	}
	CHECK(helper_append(wal, 100, 100, 30, &error));
	CHECK(helper_append(wal, 3, 100, 31, &error));
	uint64_t last = wal_last_index(wal);
	reopen();
	assert_int_equal(recovery.last_index, last);
	assert_int_equal(recovery.last_term, 31);
	assert_int_equal(recovery.torn_bytes, 0);
}

static void spare_files_without_segments_are_no_danger(void **state)
{
	(void)state;
	for (int i = 0; i < 300; i++)
		CHECK(helper_append(wal, 1, 100, 1, &error));
	CHECK(wal_release(wal, 299, &error));
	assert_int_not_equal(helper_count_files(fs, ".spare"), 0);
	wal_close(wal);
	for (unsigned i = 1; i < 40; i++) {
		char name[32];
		snprintf(name, sizeof name, "%016x.seg", i);
		faulty_fs_remove(fs, name);
	}
	CHECK(wal_open(fs, &small, &wal, &recovery, &error));
	assert_int_equal(recovery.last_index, 0);
	for (int i = 0; i < 100; i++)
		CHECK(helper_append(wal, 1, 100, 2, &error));
	reopen();
	assert_int_equal(recovery.last_index, 100);
	assert_int_equal(recovery.last_term, 2);
}

static void after_a_failed_sync_the_log_refuses_everything(void **state)
{
	(void)state;
	struct wal_record record;
	struct buffer bodies = BUFFER_EMPTY;
	CHECK(helper_append(wal, 3, 30, 1, &error));
	faulty_fs_fail_sync(fs, 1);
	assert_int_equal(wal_sync(wal, &error), ERR_IO);
	assert_non_null(strstr(error.text, "cannot sync log/"));
	assert_int_equal(wal_sync(wal, &error), ERR_IO);
	assert_non_null(strstr(error.text, "the log has failed: cannot sync log/"));
	assert_int_equal(helper_append(wal, 1, 1, 1, &error), ERR_IO);
	assert_int_equal(wal_mark_synced(wal, &error), ERR_IO);
	assert_int_equal(wal_cut_after(wal, 1, &error), ERR_IO);
	assert_int_equal(wal_release(wal, 1, &error), ERR_IO);
	assert_int_equal(wal_reset(wal, 9, &error), ERR_IO);
	assert_int_equal(wal_prepare(wal, &error), ERR_IO);
	assert_int_equal(wal_read(wal, 1, 1, 1, &record, &bodies, &error), ERR_IO);
	assert_int_equal(wal_synced_index(wal), 0);
	buffer_finish(&bodies);
}

static void a_batch_that_finds_no_room_leaves_nothing(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct fs *disk = faulty_fs_create(seed);
		struct wal *log;
		CHECK(wal_open(disk, &small, &log, &recovery, &error));
		CHECK(helper_append(log, 3, 200, 1, &error));
		CHECK(wal_sync(log, &error));
		faulty_fs_fail_space(disk, 1);
		/* The undoing needs to write too, and cannot: the log fails. */
		assert_int_equal(helper_append(log, 5, 200, 2, &error), ERR_IO);
		wal_close(log);
		faulty_fs_crash(disk);
		CHECK(wal_open(disk, &small, &log, &recovery, &error));
		assert_in_range(recovery.last_index, 3, 8);
		wal_close(log);
		disk->operations->destroy(disk);
	}
}

/* A file system under the faulty one that refuses a single write, after a part of it. */
struct once_full {
	struct fs fs;
	struct fs_operations operations;
};

static bool refuse_next;

static int write_once_full(struct fs_file *file, uint64_t offset, const void *data, size_t size)
{
	const struct fs_operations *below = fs->operations;
	if (!refuse_next)
		return below->write(file, offset, data, size);
	refuse_next = false;
	below->write(file, offset, data, size - size / 4);
	return -ENOSPC;
}

static int open_once_full(struct fs *once, const char *name, bool create, struct fs_file **ret_file)
{
	(void)once;
	return fs->operations->open(fs, name, create, ret_file);
}

static int list_once_full(struct fs *once, struct buffer *ret_names)
{
	(void)once;
	return fs->operations->list(fs, ret_names);
}

static int sync_directory_once_full(struct fs *once)
{
	(void)once;
	return fs->operations->sync_directory(fs);
}

static void an_undone_batch_does_not_come_back(void **state)
{
	(void)state;
	CHECK(helper_append(wal, 3, 200, 1, &error));
	CHECK(wal_sync(wal, &error));
	wal_close(wal);
	wal = NULL;
	struct once_full once = {.operations = *fs->operations};
	once.operations.write = write_once_full;
	once.operations.open = open_once_full;
	once.operations.list = list_once_full;
	once.operations.sync_directory = sync_directory_once_full;
	once.fs.operations = &once.operations;
	struct wal *log;
	CHECK(wal_open(&once.fs, &small, &log, &recovery, &error));
	refuse_next = true;
	assert_int_equal(helper_append(log, 5, 200, 2, &error), ERR_NO_SPACE);
	assert_int_equal(wal_last_index(log), 3);
	/* Records 5 and 6 of the undone batch may stand behind this one, in place: it has the same size as the mark and
	 * record 4 had together, or less. */
	CHECK(helper_append(log, 1, 200 - 56, 3, &error));
	CHECK(wal_sync(log, &error));
	wal_close(log);
	CHECK(wal_open(fs, &small, &wal, &recovery, &error));
	assert_int_equal(recovery.last_index, 4);
	assert_int_equal(recovery.last_term, 3);
	helper_expect_range(wal, 4, 4, 3, 200 - 56);
}

static void a_full_disk_refuses_a_segment_and_the_log_goes_on(void **state)
{
	(void)state;
	faulty_fs_set_capacity(fs, 10000);
	int result = 0;
	uint64_t count = 0;
	while ((result = helper_append(wal, 1, 100, 1, &error)) == 0)
		count++;
	assert_int_equal(result, ERR_NO_SPACE);
	assert_non_null(strstr(error.text, "No space left"));
	assert_int_equal(wal_last_index(wal), count);
	assert_int_equal(helper_count_files(fs, ".spare"), 0);
	faulty_fs_set_capacity(fs, 0);
	CHECK(helper_append(wal, 1, 100, 1, &error));
	reopen();
	assert_int_equal(recovery.last_index, count + 1);
	helper_expect_range(wal, 1, count + 1, 1, 100);
}

static void a_prepared_segment_is_ready_when_it_is_needed(void **state)
{
	(void)state;
	assert_false(wal_wants_prepare(wal));
	CHECK(wal_prepare(wal, &error));
	assert_int_equal(helper_count_files(fs, ".spare"), 0);
	while (!wal_wants_prepare(wal))
		CHECK(helper_append(wal, 1, 100, 1, &error));
	while (wal_wants_prepare(wal))
		CHECK(wal_prepare(wal, &error));
	assert_int_equal(helper_count_files(fs, ".spare"), 1);
	faulty_fs_set_capacity(fs, 4096 + 16384);
	for (int i = 0; i < 50; i++)
		CHECK(helper_append(wal, 1, 100, 1, &error));
	assert_int_equal(helper_count_files(fs, ".spare"), 0);
	assert_int_equal(helper_count_files(fs, ".seg"), 2);
}

static void a_half_prepared_segment_is_removed_at_the_next_start(void **state)
{
	(void)state;
	struct wal_options options = {.segment_size = 3 << 20, .first_segment_size = 4096};
	wal_close(wal);
	CHECK(wal_open(fs, &options, &wal, &recovery, &error));
	while (!wal_wants_prepare(wal))
		CHECK(helper_append(wal, 1, 100, 1, &error));
	CHECK(wal_prepare(wal, &error));
	assert_int_equal(helper_count_files(fs, ".spare"), 1);
	assert_true(wal_wants_prepare(wal));
	wal_close(wal);
	CHECK(wal_open(fs, &options, &wal, &recovery, &error));
	assert_int_equal(helper_count_files(fs, ".spare"), 0);
}

static void the_mark_is_written_once(void **state)
{
	(void)state;
	CHECK(helper_append(wal, 3, 30, 1, &error));
	CHECK(wal_sync(wal, &error));
	uint64_t before = faulty_fs_operations(fs);
	CHECK(wal_mark_synced(wal, &error));
	CHECK(wal_mark_synced(wal, &error));
	assert_int_equal(faulty_fs_operations(fs), before + 1);
	CHECK(wal_sync(wal, &error));
	CHECK(helper_append(wal, 3, 30, 1, &error));
	reopen();
	assert_int_equal(recovery.last_index, 6);
	helper_expect_range(wal, 1, 6, 1, 30);
}

static void a_log_without_room_for_the_mark_goes_on(void **state)
{
	(void)state;
	/* 4096 − 64 − k · 56 bytes of empty records fill the first segment. */
	CHECK(helper_append(wal, 71, 0, 1, &error));
	CHECK(wal_sync(wal, &error));
	for (int i = 0; i < 3; i++) {
		CHECK(wal_mark_synced(wal, &error));
		reopen();
		assert_int_equal(recovery.last_index, 71);
	}
	CHECK(helper_append(wal, 5, 0, 1, &error));
	reopen();
	assert_int_equal(recovery.last_index, 76);
}

static void the_default_options_hold(void **state)
{
	(void)state;
	struct fs *disk = faulty_fs_create(1);
	struct wal *log;
	CHECK(wal_open(disk, NULL, &log, &recovery, &error));
	assert_int_equal(wal_size(log), 256 << 10);
	CHECK(helper_append(log, 1, 10, 1, &error));
	CHECK(helper_append(log, 1, 300 << 10, 1, &error));
	assert_int_equal(wal_size(log), (256 << 10) + (16 << 20));
	wal_close(log);
	disk->operations->destroy(disk);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_empty_log_begins_at_one),
		TEST(entries_are_read_back_after_reopening),
		TEST(empty_bodies_are_kept),
		TEST(a_batch_is_one_write),
		TEST(what_fits_is_appended_with_one_write_and_what_does_not_is_known_before),
		TEST(synced_index_follows_sync_alone),
		TEST(the_first_segment_is_small_and_others_follow),
		TEST(a_batch_larger_than_a_segment_gets_one_of_its_size),
		TEST(reading_stops_at_each_of_its_limits),
		TEST(bodies_stand_behind_what_the_buffer_held),
		TEST(any_entry_is_found_from_anywhere),
		TEST(too_large_a_body_is_refused_with_both_sizes),
		TEST(a_stored_body_above_the_limit_is_damage_not_a_torn_tail),
		TEST(options_out_of_range_are_refused),
		TEST(what_was_cut_stays_cut),
		TEST(a_cut_reaches_back_over_segments),
		TEST(a_cut_may_leave_nothing),
		TEST(a_reset_log_begins_where_it_was_told),
		TEST(an_empty_log_takes_any_index),
		TEST(released_segments_go_and_come_back_as_others),
		TEST(an_entry_is_found_that_has_so_much_behind_it),
		TEST(the_last_segment_is_not_released),
		TEST(records_of_a_former_life_never_pass),
		TEST(spare_files_without_segments_are_no_danger),
		TEST(after_a_failed_sync_the_log_refuses_everything),
		TEST(a_batch_that_finds_no_room_leaves_nothing),
		TEST(an_undone_batch_does_not_come_back),
		TEST(a_full_disk_refuses_a_segment_and_the_log_goes_on),
		TEST(a_prepared_segment_is_ready_when_it_is_needed),
		TEST(a_half_prepared_segment_is_removed_at_the_next_start),
		TEST(the_mark_is_written_once),
		TEST(a_log_without_room_for_the_mark_goes_on),
		TEST(the_default_options_hold),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
