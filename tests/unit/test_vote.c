#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "sim/faulty_fs.h"
#include "store/vote.h"

#include <endian.h>
#include <xxhash.h>

#define VOTE_SIZE 216
#define VOTE_SIZE_1 88

static struct error error;

static struct vote_state state_of(uint64_t term, uint64_t voted_for)
{
	return (struct vote_state){
		.term = term, .voted_for = voted_for, .node_id = 11, .starts = 3,
		.cluster_id = "0123456789abcdef0123456789abcdef", .pledged_id = "fedcba9876543210fedcba9876543210",
		.founder_count = 3, .founders = {11, 12, UINT64_C(1) << 52},
	};
}

static void expect(struct fs *fs, uint64_t term, uint64_t voted_for)
{
	struct vote_state state = {0};
	if (vote_load(fs, &state, &error) < 0)
		fail_msg("%s", error.text);
	assert_int_equal(state.term, term);
	assert_int_equal(state.voted_for, voted_for);
	assert_int_equal(state.node_id, 11);
	assert_int_equal(state.starts, 3);
	assert_string_equal(state.cluster_id, "0123456789abcdef0123456789abcdef");
	assert_string_equal(state.pledged_id, "fedcba9876543210fedcba9876543210");
	assert_int_equal(state.founder_count, 3);
	assert_int_equal(state.founders[0], 11);
	assert_int_equal(state.founders[2], UINT64_C(1) << 52);
}

static void there_is_no_vote_at_first(void **ignored)
{
	(void)ignored;
	struct fs *fs = faulty_fs_create(1);
	struct vote_state state;
	assert_int_equal(vote_load(fs, &state, &error), ERR_NOT_FOUND);
	fs->operations->destroy(fs);
}

static void what_was_saved_survives_a_power_cut(void **ignored)
{
	(void)ignored;
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct fs *fs = faulty_fs_create(seed);
		for (uint64_t term = 1; term < 5; term++) {
			struct vote_state state = state_of(term, term * 3);
			assert_int_equal(vote_save(fs, &state, &error), 0);
			faulty_fs_crash(fs);
			expect(fs, term, term * 3);
		}
		fs->operations->destroy(fs);
	}
}

static void a_power_cut_leaves_the_old_or_the_new_vote(void **ignored)
{
	(void)ignored;
	unsigned old = 0;
	unsigned new = 0;
	for (uint64_t seed = 0; seed < 300; seed++) {
		struct fs *fs = faulty_fs_create(seed);
		struct vote_state first = state_of(1, 2);
		struct vote_state second = state_of(7, 8);
		struct vote_state state;
		assert_int_equal(vote_save(fs, &first, &error), 0);
		faulty_fs_power_off_at(fs, 1 + seed % 6);
		assert_int_equal(vote_save(fs, &second, &error), ERR_IO);
		faulty_fs_crash(fs);
		assert_int_equal(vote_load(fs, &state, &error), 0);
		expect(fs, state.term, state.term == 1 ? 2 : 8);
		old += state.term == 1;
		new += state.term == 7;
		assert_int_equal(vote_save(fs, &second, &error), 0);
		expect(fs, 7, 8);
		fs->operations->destroy(fs);
	}
	assert_true(old > 0);
	assert_true(new > 0);
}

/* A save that failed at its last step is seen by a process that starts anew: it must not act on it and lose it then. */
static void what_was_loaded_survives_a_power_cut(void **ignored)
{
	(void)ignored;
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct fs *fs = faulty_fs_create(seed);
		struct vote_state first = state_of(1, 2);
		struct vote_state second = state_of(7, 8);
		assert_int_equal(vote_save(fs, &first, &error), 0);
		faulty_fs_fail_sync(fs, 2);
		assert_int_equal(vote_save(fs, &second, &error), ERR_IO);
		expect(fs, 7, 8);
		faulty_fs_crash(fs);
		expect(fs, 7, 8);
		fs->operations->destroy(fs);
	}
}

static void every_flipped_bit_is_damage(void **ignored)
{
	(void)ignored;
	struct fs *fs = faulty_fs_create(1);
	struct vote_state state = state_of(1, 2);
	assert_int_equal(vote_save(fs, &state, &error), 0);
	for (unsigned bit = 0; bit < VOTE_SIZE * 8; bit++) {
		assert_true(faulty_fs_flip(fs, "vote", bit / 8, bit % 8));
		state.term = 99;
		assert_int_equal(vote_load(fs, &state, &error), ERR_CORRUPT);
		assert_int_equal(state.term, 99);
		assert_true(faulty_fs_flip(fs, "vote", bit / 8, bit % 8));
	}
	expect(fs, 1, 2);
	fs->operations->destroy(fs);
}

static void a_file_of_another_size_is_damage(void **ignored)
{
	(void)ignored;
	struct fs *fs = faulty_fs_create(1);
	struct vote_state state = state_of(1, 2);
	char longer[VOTE_SIZE + 5] = {0};
	size_t size;
	assert_int_equal(vote_save(fs, &state, &error), 0);
	memcpy(longer, faulty_fs_bytes(fs, "vote", &size), VOTE_SIZE);
	assert_int_equal(size, VOTE_SIZE);
	faulty_fs_put(fs, "vote", longer, sizeof longer);
	assert_int_equal(vote_load(fs, &state, &error), ERR_CORRUPT);
	for (size = 0; size < VOTE_SIZE; size += 11) {
		faulty_fs_put(fs, "vote", longer, size);
		assert_int_equal(vote_load(fs, &state, &error), ERR_CORRUPT);
	}
	fs->operations->destroy(fs);
}

/* Puts a file of these bytes, with its checksum. */
static void put(struct fs *fs, char *bytes, size_t size)
{
	uint64_t checksum = htole64(XXH3_64bits(bytes, size - 8));
	memcpy(bytes + size - 8, &checksum, 8);
	faulty_fs_put(fs, "vote", bytes, size);
}

static void put_number(char *bytes, size_t place, uint64_t number)
{
	number = htole64(number);
	memcpy(bytes + place, &number, sizeof number);
}

static void a_file_of_version_1_is_read_and_becomes_one_of_version_2(void **ignored)
{
	(void)ignored;
	struct fs *fs = faulty_fs_create(1);
	struct vote_state state;
	char bytes[VOTE_SIZE_1] = "clusvote";
	size_t size;
	put_number(bytes, 8, 1);
	put_number(bytes, 16, 7);
	put_number(bytes, 24, 11);
	put_number(bytes, 32, 11);
	memcpy(bytes + 40, "0123456789abcdef0123456789abcdef", 32);
	put(fs, bytes, sizeof bytes);
	assert_int_equal(vote_load(fs, &state, &error), 0);
	assert_int_equal(state.term, 7);
	assert_int_equal(state.starts, 7);
	assert_int_equal(state.node_id, 11);
	assert_string_equal(state.cluster_id, "0123456789abcdef0123456789abcdef");
	assert_string_equal(state.pledged_id, "");
	assert_int_equal(state.founder_count, 1);
	assert_int_equal(state.founders[0], 11);
	assert_int_equal(vote_save(fs, &state, &error), 0);
	faulty_fs_bytes(fs, "vote", &size);
	assert_int_equal(size, VOTE_SIZE);
	assert_int_equal(vote_load(fs, &state, &error), 0);
	assert_int_equal(state.starts, 7);
	fs->operations->destroy(fs);
}

static void a_file_of_a_later_version_is_refused(void **ignored)
{
	(void)ignored;
	struct fs *fs = faulty_fs_create(1);
	struct vote_state state;
	char bytes[VOTE_SIZE + 64] = "clusvote";
	put_number(bytes, 8, 3);
	put(fs, bytes, sizeof bytes);
	assert_int_equal(vote_load(fs, &state, &error), ERR_VERSION);
	assert_non_null(strstr(error.text, "version 3"));
	fs->operations->destroy(fs);
}

static void more_founders_than_there_may_be_is_damage(void **ignored)
{
	(void)ignored;
	struct fs *fs = faulty_fs_create(1);
	struct vote_state state;
	char bytes[VOTE_SIZE] = "clusvote";
	put_number(bytes, 8, 2);
	put_number(bytes, 128, VOTE_FOUNDERS_MAX + 1);
	put(fs, bytes, sizeof bytes);
	assert_int_equal(vote_load(fs, &state, &error), ERR_CORRUPT);
	fs->operations->destroy(fs);
}

static void a_leftover_of_another_save_does_no_harm(void **ignored)
{
	(void)ignored;
	struct fs *fs = faulty_fs_create(1);
	struct vote_state state = state_of(5, 6);
	char garbage[500];
	memset(garbage, 'x', sizeof garbage);
	faulty_fs_put(fs, "vote.new", garbage, sizeof garbage);
	assert_int_equal(vote_save(fs, &state, &error), 0);
	expect(fs, 5, 6);
	fs->operations->destroy(fs);
}

static void a_full_disk_keeps_the_old_vote(void **ignored)
{
	(void)ignored;
	struct fs *fs = faulty_fs_create(1);
	struct vote_state state = state_of(5, 6);
	assert_int_equal(vote_save(fs, &state, &error), 0);
	faulty_fs_fail_space(fs, 1);
	state.term = 6;
	assert_int_equal(vote_save(fs, &state, &error), ERR_NO_SPACE);
	assert_non_null(strstr(error.text, "No space left"));
	expect(fs, 5, 6);
	fs->operations->destroy(fs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_is_no_vote_at_first),
		cmocka_unit_test(what_was_saved_survives_a_power_cut),
		cmocka_unit_test(a_power_cut_leaves_the_old_or_the_new_vote),
		cmocka_unit_test(what_was_loaded_survives_a_power_cut),
		cmocka_unit_test(every_flipped_bit_is_damage),
		cmocka_unit_test(a_file_of_another_size_is_damage),
		cmocka_unit_test(a_file_of_version_1_is_read_and_becomes_one_of_version_2),
		cmocka_unit_test(a_file_of_a_later_version_is_refused),
		cmocka_unit_test(more_founders_than_there_may_be_is_damage),
		cmocka_unit_test(a_leftover_of_another_save_does_no_harm),
		cmocka_unit_test(a_full_disk_keeps_the_old_vote),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
