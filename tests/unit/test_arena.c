#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"

#include <stdalign.h>
#include <string.h>

static void memory_is_cleared_and_aligned(void **state)
{
	(void)state;
	struct arena arena = {0};
	for (size_t size = 1; size < 300; size++) {
		unsigned char *memory = arena_alloc(&arena, size);
		assert_int_equal((uintptr_t)memory % alignof(max_align_t), 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(memory[i], 0);
		memset(memory, 0xFF, size);
	}
	arena_finish(&arena);
}

static void a_reset_arena_gives_cleared_memory_again(void **state)
{
	(void)state;
	struct arena arena = {0};
	unsigned char *first = arena_alloc(&arena, 100);
	memset(first, 0xFF, 100);
	arena_reset(&arena);
	assert_int_equal(arena.used, 0);
	unsigned char *again = arena_alloc(&arena, 100);
	assert_ptr_equal(again, first); /* the block was kept */
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(again[i], 0);
	arena_alloc(&arena, 1 << 20); /* a block of its own is not kept */
	arena_reset(&arena);
	assert_int_equal(arena.used, 0);
	arena_reset(&arena);
	arena_finish(&arena);
	arena_reset(&arena);
	assert_null(arena.blocks);
}

static void pieces_do_not_overlap(void **state)
{
	(void)state;
	struct arena arena = {0};
	unsigned char *pieces[200];
	for (size_t i = 0; i < 200; i++) {
		pieces[i] = arena_alloc(&arena, i * 10 + 1);
		memset(pieces[i], (int)i, i * 10 + 1);
	}
	for (size_t i = 0; i < 200; i++) {
		assert_int_equal(pieces[i][0], i);
		assert_int_equal(pieces[i][i * 10], i);
	}
	arena_finish(&arena);
}

static void large_pieces_fit(void **state)
{
	(void)state;
	struct arena arena = {0};
	memset(arena_alloc(&arena, 1 << 20), 1, 1 << 20);
	assert_true(arena.used >= 1 << 20);
	arena_finish(&arena);
}

static void past_the_limit_try_gives_nothing(void **state)
{
	(void)state;
	struct arena arena = {.limit = 1000};
	assert_non_null(arena_try(&arena, 600));
	assert_null(arena_try(&arena, 600));
	assert_non_null(arena_try(&arena, 300));
	assert_null(arena_try(&arena, SIZE_MAX));
	assert_non_null(arena_alloc(&arena, 5000));
	assert_null(arena_try(&arena, 1));
	arena_finish(&arena);
	assert_non_null(arena_try(&arena, 600));
	arena_finish(&arena);
}

static void no_limit_means_any_size(void **state)
{
	(void)state;
	struct arena arena = {0};
	assert_non_null(arena_try(&arena, 100000));
	arena_finish(&arena);
}

static void strings_are_terminated_copies(void **state)
{
	(void)state;
	struct arena arena = {0};
	char original[] = "abc";
	char *copy = arena_string(&arena, (struct slice){original, 2});
	original[0] = 'x';
	assert_string_equal(copy, "ab");
	assert_string_equal(arena_string(&arena, (struct slice){NULL, 0}), "");
	arena_finish(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_cleared_and_aligned),
		cmocka_unit_test(a_reset_arena_gives_cleared_memory_again),
		cmocka_unit_test(pieces_do_not_overlap),
		cmocka_unit_test(large_pieces_fit),
		cmocka_unit_test(past_the_limit_try_gives_nothing),
		cmocka_unit_test(no_limit_means_any_size),
		cmocka_unit_test(strings_are_terminated_copies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
