#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/stream_frame.h"

#include "base/buffer.h"

static void append(struct buffer *out, enum stream_frame_type type, uint64_t time, struct slice body)
{
	char head[STREAM_HEADER_SIZE];
	stream_frame_head(head, type, time, body);
	buffer_append(out, head, sizeof head);
	buffer_append_slice(out, body);
}

static void frames_come_back_as_they_were(void **state)
{
	struct buffer bytes = BUFFER_EMPTY;
	struct stream_frame frame;
	size_t size;
	struct error error;
	(void)state;
	append(&bytes, STREAM_FRONTIER, UINT64_MAX, SLICE(""));
	append(&bytes, STREAM_REQUEST, 7, SLICE("body"));
	assert_int_equal(stream_frame_parse(buffer_slice(&bytes), 100, &frame, &size, &error), 1);
	assert_int_equal(frame.type, STREAM_FRONTIER);
	assert_true(frame.time == UINT64_MAX && frame.body.size == 0 && size == STREAM_HEADER_SIZE);
	buffer_consume(&bytes, size);
	assert_int_equal(stream_frame_parse(buffer_slice(&bytes), 100, &frame, &size, &error), 1);
	assert_true(frame.type == STREAM_REQUEST && frame.time == 7 && slice_is(frame.body, "body"));
	buffer_finish(&bytes);
}

static void a_part_of_a_frame_says_how_much_is_missing(void **state)
{
	struct buffer bytes = BUFFER_EMPTY;
	struct stream_frame frame;
	size_t size;
	(void)state;
	append(&bytes, STREAM_DATA, 1, SLICE("12345"));
	for (size_t some = 0; some < bytes.size; some++) {
		assert_int_equal(stream_frame_parse((struct slice){bytes.data, some}, 100, &frame, &size, NULL), 0);
		assert_int_equal(size, some < STREAM_HEADER_SIZE ? STREAM_HEADER_SIZE : bytes.size);
	}
	buffer_finish(&bytes);
}

static void every_changed_byte_is_noticed(void **state)
{
	struct buffer bytes = BUFFER_EMPTY;
	struct stream_frame frame;
	size_t size;
	(void)state;
	append(&bytes, STREAM_DATA, 1, SLICE("12345"));
	for (size_t i = 0; i < bytes.size; i++) {
		bytes.data[i] ^= 1;
		assert_int_not_equal(stream_frame_parse(buffer_slice(&bytes), 100, &frame, &size, NULL), 1);
		bytes.data[i] ^= 1;
	}
	buffer_finish(&bytes);
}

static void what_is_too_large_is_refused_before_it_has_come(void **state)
{
	struct buffer bytes = BUFFER_EMPTY;
	struct stream_frame frame;
	size_t size;
	struct error error;
	(void)state;
	append(&bytes, STREAM_DATA, 1, SLICE("12345"));
	bytes.size = STREAM_HEADER_SIZE;
	assert_int_equal(stream_frame_parse(buffer_slice(&bytes), 4, &frame, &size, &error), ERR_LIMIT);
	assert_string_equal(error.text, "a frame of 5 bytes; there may be 4");
	buffer_finish(&bytes);
}

static void parts_are_messages_or_items_with_a_count(void **state)
{
	struct slice messages = {"\1\0\0\0a\0\0\0\0\2\0\0\0bc", 15};
	struct slice items = {"\1\0\0\0\376\377\377\377\377\377\377\377x", 13};
	struct slice part;
	int64_t count;
	(void)state;
	assert_int_equal(stream_parts_check(STREAM_DATA, messages, NULL), 0);
	assert_true(stream_parts_next(STREAM_DATA, &messages, &part, &count) && slice_is(part, "a") && count == 1);
	assert_true(stream_parts_next(STREAM_DATA, &messages, &part, &count) && part.size == 0);
	assert_true(stream_parts_next(STREAM_DATA, &messages, &part, &count) && slice_is(part, "bc"));
	assert_false(stream_parts_next(STREAM_DATA, &messages, &part, &count));
	assert_int_equal(stream_parts_check(STREAM_CHANGES, items, NULL), 0);
	assert_true(stream_parts_next(STREAM_CHANGES, &items, &part, &count) && slice_is(part, "x") && count == -2);
}

static void parts_that_are_cut_off_are_noticed(void **state)
{
	struct error error;
	(void)state;
	assert_int_equal(stream_parts_check(STREAM_DATA, (struct slice){"\1\0\0\0a\2\0\0\0b", 10}, &error), ERR_CORRUPT);
	assert_string_equal(error.text, "at byte 5 of a frame a part is cut off");
	assert_int_equal(stream_parts_check(STREAM_DATA, (struct slice){"\377\377\377\377a", 5}, NULL), ERR_CORRUPT);
	assert_int_equal(stream_parts_check(STREAM_STATE, (struct slice){"\0\0\0\0a", 5}, NULL), ERR_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_come_back_as_they_were),
		cmocka_unit_test(a_part_of_a_frame_says_how_much_is_missing),
		cmocka_unit_test(every_changed_byte_is_noticed),
		cmocka_unit_test(what_is_too_large_is_refused_before_it_has_come),
		cmocka_unit_test(parts_are_messages_or_items_with_a_count),
		cmocka_unit_test(parts_that_are_cut_off_are_noticed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
