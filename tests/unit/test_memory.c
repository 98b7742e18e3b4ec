#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"

#include <string.h>

static void zeroed_memory_is_zero(void **state)
{
	(void)state;
	unsigned char *bytes = mem_zero(1000);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(bytes[i], 0);
	mem_free(bytes);
	uint64_t *words = mem_array(100, sizeof *words);
	for (size_t i = 0; i < 100; i++)
		assert_true(words[i] == 0);
	mem_free(words);
}

static void nothing_may_be_allocated_and_freed(void **state)
{
	(void)state;
	mem_free(mem_alloc(0));
	mem_free(mem_array(0, 8));
	mem_free(mem_copy("", 0));
	mem_free(NULL);
}

static void copies_are_independent(void **state)
{
	(void)state;
	char original[] = "abc";
	char *copy = mem_copy(original, sizeof original);
	char *string = mem_string(original);
	original[0] = 'x';
	assert_string_equal(copy, "abc");
	assert_string_equal(string, "abc");
	mem_free(copy);
	mem_free(string);
	assert_null(mem_string(NULL));
}

static void format_makes_room_for_any_length(void **state)
{
	(void)state;
	char *text = mem_format("%0*d|%s", 5000, 7, "end");
	assert_int_equal(strlen(text), 5004);
	assert_string_equal(text + 4999, "7|end");
	mem_free(text);
}

static void grow_keeps_the_elements(void **state)
{
	(void)state;
	uint32_t *array = NULL;
	size_t capacity = 0;
	for (uint32_t i = 0; i < 1000; i++) {
		mem_grow(array, capacity, (size_t)i + 1);
		assert_true(capacity > i);
		array[i] = i;
	}
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(array[i], i);
	mem_free(array);
}

static void growth_doubles_and_never_overflows(void **state)
{
	(void)state;
	assert_int_equal(mem_grown_(0, 1), 8);
	assert_int_equal(mem_grown_(8, 9), 16);
	assert_int_equal(mem_grown_(8, 100), 128);
	assert_true(mem_grown_(SIZE_MAX / 2 + 1, SIZE_MAX) == SIZE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zeroed_memory_is_zero),
		cmocka_unit_test(nothing_may_be_allocated_and_freed),
		cmocka_unit_test(copies_are_independent),
		cmocka_unit_test(format_makes_room_for_any_length),
		cmocka_unit_test(grow_keeps_the_elements),
		cmocka_unit_test(growth_doubles_and_never_overflows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
