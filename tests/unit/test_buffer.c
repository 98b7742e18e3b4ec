#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buffer.h"

static void pieces_stand_in_order(void **state)
{
	(void)state;
	struct buffer buffer = BUFFER_EMPTY;
	buffer_append(&buffer, "ab", 2);
	buffer_append_slice(&buffer, SLICE("cd"));
	buffer_append_string(&buffer, "ef");
	buffer_append_char(&buffer, 'g');
	buffer_format(&buffer, "%d", 42);
	assert_string_equal(buffer_string(&buffer), "abcdefg42");
	assert_int_equal(buffer.size, 9);
	buffer_finish(&buffer);
	assert_null(buffer.data);
}

static void empty_buffer_is_an_empty_slice_and_string(void **state)
{
	(void)state;
	struct buffer buffer = BUFFER_EMPTY;
	buffer_append(&buffer, NULL, 0);
	assert_int_equal(buffer_slice(&buffer).size, 0);
	assert_non_null(buffer_slice(&buffer).data);
	assert_string_equal(buffer_string(&buffer), "");
	buffer_finish(&buffer);
	buffer_finish(&buffer);
}

static void zero_bytes_are_kept(void **state)
{
	(void)state;
	struct buffer buffer = BUFFER_EMPTY;
	buffer_append(&buffer, "a\0b", 3);
	assert_true(slice_equal(buffer_slice(&buffer), SLICE("a\0b")));
	buffer_finish(&buffer);
}

static void large_formats_fit(void **state)
{
	(void)state;
	struct buffer buffer = BUFFER_EMPTY;
	buffer_append_string(&buffer, "<");
	buffer_format(&buffer, "%0*d", 10000, 5);
	buffer_append_string(&buffer, ">");
	assert_int_equal(buffer.size, 10002);
	assert_memory_equal(buffer.data + 10000, "5>", 2);
	buffer_finish(&buffer);
}

static void integers_are_little_endian(void **state)
{
	(void)state;
	struct buffer buffer = BUFFER_EMPTY;
	buffer_append_u32(&buffer, 0x01020304u);
	buffer_append_u64(&buffer, 0x1112131415161718u);
	assert_int_equal(buffer.size, 12);
	assert_memory_equal(buffer.data, "\x04\x03\x02\x01\x18\x17\x16\x15\x14\x13\x12\x11", 12);
	buffer_finish(&buffer);
}

static void consume_drops_the_beginning(void **state)
{
	(void)state;
	struct buffer buffer = BUFFER_EMPTY;
	buffer_consume(&buffer, 0);
	buffer_append_string(&buffer, "abcdef");
	buffer_consume(&buffer, 2);
	assert_string_equal(buffer_string(&buffer), "cdef");
	buffer_consume(&buffer, 4);
	assert_int_equal(buffer.size, 0);
	buffer_finish(&buffer);
}

static void clear_keeps_the_memory(void **state)
{
	(void)state;
	struct buffer buffer = BUFFER_EMPTY;
	buffer_append_string(&buffer, "abcdef");
	size_t capacity = buffer.capacity;
	buffer_clear(&buffer);
	assert_int_equal(buffer.size, 0);
	assert_int_equal(buffer.capacity, capacity);
	buffer_finish(&buffer);
}

static void reserved_room_can_be_written(void **state)
{
	(void)state;
	struct buffer buffer = BUFFER_EMPTY;
	buffer_append_string(&buffer, "x");
	memset(buffer_reserve(&buffer, 1000), 'y', 1000);
	buffer.size += 1000;
	assert_int_equal(buffer.size, 1001);
	assert_memory_equal(buffer.data, "xyy", 3);
	buffer_finish(&buffer);
}

static void reserving_nothing_gives_a_place(void **state)
{
	(void)state;
	struct buffer buffer = BUFFER_EMPTY;
	assert_non_null(buffer_reserve(&buffer, 0));
	assert_int_equal(buffer.size, 0);
	buffer_append_string(&buffer, "x");
	assert_ptr_equal(buffer_reserve(&buffer, 0), buffer.data + 1);
	assert_int_equal(buffer.size, 1);
	buffer_finish(&buffer);
}

static void slices_are_ordered_by_bytes_then_length(void **state)
{
	(void)state;
	assert_true(slice_compare(SLICE("a"), SLICE("b")) < 0);
	assert_true(slice_compare(SLICE("b"), SLICE("ab")) > 0);
	assert_true(slice_compare(SLICE("a"), SLICE("ab")) < 0);
	assert_true(slice_compare(SLICE("ab"), SLICE("a")) > 0);
	assert_int_equal(slice_compare(SLICE("ab"), SLICE("ab")), 0);
	assert_int_equal(slice_compare((struct slice){NULL, 0}, SLICE("")), 0);
	assert_true(slice_compare(SLICE("\xff"), SLICE("a")) > 0);
	assert_true(slice_is(SLICE("ab"), "ab"));
	assert_false(slice_is(SLICE("ab"), "abc"));
	assert_true(slice_equal((struct slice){NULL, 0}, SLICE("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_stand_in_order),
		cmocka_unit_test(empty_buffer_is_an_empty_slice_and_string),
		cmocka_unit_test(zero_bytes_are_kept),
		cmocka_unit_test(large_formats_fit),
		cmocka_unit_test(integers_are_little_endian),
		cmocka_unit_test(consume_drops_the_beginning),
		cmocka_unit_test(clear_keeps_the_memory),
		cmocka_unit_test(reserved_room_can_be_written),
		cmocka_unit_test(reserving_nothing_gives_a_place),
		cmocka_unit_test(slices_are_ordered_by_bytes_then_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
