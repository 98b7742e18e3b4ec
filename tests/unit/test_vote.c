#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "sim/faulty_fs.h"
#include "store/vote.h"

#define VOTE_SIZE 88

static struct error error;

static struct vote_state state_of(uint64_t term, uint64_t voted_for)
{
	return (struct vote_state){
		.term = term, .voted_for = voted_for, .node_id = 11, .cluster_id = "0123456789abcdef0123456789abcdef",
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
	assert_string_equal(state.cluster_id, "0123456789abcdef0123456789abcdef");
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
		cmocka_unit_test(a_leftover_of_another_save_does_no_harm),
		cmocka_unit_test(a_full_disk_keeps_the_old_vote),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
