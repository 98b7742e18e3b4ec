#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "wire/frame.h"

#include <stdio.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static struct buffer out;
static struct frame frame;
static struct error error;
static size_t size;

static int setup(void **state)
{
	(void)state;
	out = BUFFER_EMPTY;
	memset(&error, 0, sizeof error);
	frame_append(&out, FRAME_REQUEST, 7, SLICE("message"), SLICE("payload!"));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buffer_finish(&out);
	return 0;
}

static int parse(void)
{
	return frame_parse(buffer_slice(&out), &frame, &size, &error);
}

static void put(size_t at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		out.data[at + (size_t)i] = (char)(unsigned char)(value >> (8 * i));
}

/* After a change of the rest. */
static void put_checksum(void)
{
	put(0, (uint32_t)XXH3_64bits(out.data + 4, out.size - 4));
}

static void frame_that_was_appended_is_parsed(void **state)
{
	(void)state;
	assert_int_equal(out.size, FRAME_HEADER_SIZE + 15);
	buffer_append_string(&out, "the next one");
	assert_int_equal(parse(), 1);
	assert_int_equal(size, FRAME_HEADER_SIZE + 15);
	assert_int_equal(frame.type, FRAME_REQUEST);
	assert_int_equal(frame.stream, 7);
	assert_true(slice_is(frame.message, "message"));
	assert_true(slice_is(frame.payload, "payload!"));
	assert_ptr_equal(frame.payload.data, out.data + FRAME_HEADER_SIZE + 7);
}

static void bytes_of_a_frame_are_as_documented(void **state)
{
	(void)state;
	static const unsigned char header[16] = {3, 0, 0, 0, 7, 0, 0, 0, 7, 0, 0, 0, 8, 0, 0, 0};
	assert_memory_equal(out.data + 4, header, sizeof header);
	assert_memory_equal(out.data + 20, "messagepayload!", 15);
	uint32_t checksum = (uint32_t)XXH3_64bits(out.data + 4, out.size - 4);
	assert_int_equal((unsigned char)out.data[0], checksum & 0xFF);
	assert_int_equal((unsigned char)out.data[3], checksum >> 24);
}

static void frame_may_be_empty(void **state)
{
	(void)state;
	buffer_clear(&out);
	frame_append(&out, FRAME_CANCEL, 1, SLICE(""), SLICE(""));
	assert_int_equal(parse(), 1);
	assert_int_equal(size, FRAME_HEADER_SIZE);
	assert_int_equal(frame.message.size, 0);
	assert_int_equal(frame.payload.size, 0);
}

static void frame_of_the_largest_size_is_parsed(void **state)
{
	(void)state;
	size_t message_size = FRAME_MESSAGE_MAX;
	char *block = mem_zero(FRAME_SIZE_MAX);
	buffer_clear(&out);
	frame_append(&out, FRAME_RESULT, 0, (struct slice){block, message_size},
	             (struct slice){block, FRAME_SIZE_MAX - message_size});
	assert_int_equal(parse(), 1);
	assert_int_equal(size, FRAME_HEADER_SIZE + FRAME_SIZE_MAX);
	mem_free(block);
}

static void every_cut_of_a_frame_waits_for_the_rest(void **state)
{
	(void)state;
	for (size_t part = 0; part < out.size; part++)
		assert_int_equal(frame_parse((struct slice){out.data, part}, &frame, &size, &error), 0);
}

static void sealed_frame_is_the_same_as_an_appended_one(void **state)
{
	(void)state;
	struct buffer sealed = BUFFER_EMPTY;
	buffer_append_string(&sealed, "before");
	size_t at = frame_reserve(&sealed);
	buffer_append_string(&sealed, "message");
	frame_seal(&sealed, at, FRAME_REQUEST, 7, SLICE("payload!"));
	buffer_append_string(&sealed, "payload!");
	assert_int_equal(sealed.size, 6 + out.size);
	assert_memory_equal(sealed.data + 6, out.data, out.size);
	buffer_finish(&sealed);
}

static void damage_at_any_byte_is_noticed(void **state)
{
	(void)state;
	for (size_t i = 0; i < out.size; i++) {
		out.data[i] ^= 0x10;
		assert_int_not_equal(parse(), 1);
		out.data[i] ^= 0x10;
	}
	assert_int_equal(parse(), 1);
}

static void wrong_checksum_is_refused(void **state)
{
	(void)state;
	put(0, 0x12345678);
	out.data[out.size - 1] = '?';
	uint32_t made = (uint32_t)XXH3_64bits(out.data + 4, out.size - 4);
	char text[200];
	snprintf(text, sizeof text, "request frame of 35 bytes: its checksum is 12345678, its bytes make %08x",
	         (unsigned)made);
	assert_int_equal(parse(), ERR_CORRUPT);
	assert_string_equal(error.text, text);
}

static void unknown_type_is_refused(void **state)
{
	(void)state;
	put(4, 77);
	put_checksum();
	assert_int_equal(parse(), ERR_INVALID);
	assert_string_equal(error.text, "frame of unknown type 77");
	put(4, 0);
	assert_int_equal(parse(), ERR_INVALID);
	assert_string_equal(error.text, "frame of unknown type 0");
	put(4, FRAME_TYPE_END);
	assert_int_equal(parse(), ERR_INVALID);
}

static void another_protocol_is_refused_at_its_first_bytes(void **state)
{
	(void)state;
	assert_int_equal(frame_parse(SLICE("GET / HTTP/1.1\r\nHost: x\r\n"), &frame, &size, &error), ERR_INVALID);
	assert_string_equal(error.text, "frame of unknown type 8239");
}

static void unknown_flags_are_refused(void **state)
{
	(void)state;
	put(4, FRAME_REQUEST | 0x0100u << 16);
	put_checksum();
	assert_int_equal(parse(), ERR_INVALID);
	assert_string_equal(error.text, "request frame with unknown flags 0x0100");
}

static void oversize_message_is_refused_by_its_header_alone(void **state)
{
	(void)state;
	put(12, FRAME_MESSAGE_MAX + 1);
	put(16, 0);
	out.size = FRAME_HEADER_SIZE;
	assert_int_equal(parse(), ERR_LIMIT);
	assert_string_equal(error.text, "request frame with a message of 4194305 bytes (limit 4194304)");
}

static void oversize_frame_is_refused_by_its_header_alone(void **state)
{
	(void)state;
	put(12, 1);
	put(16, FRAME_SIZE_MAX);
	out.size = FRAME_HEADER_SIZE;
	assert_int_equal(parse(), ERR_LIMIT);
	assert_string_equal(error.text, "request frame of 16777217 bytes (limit 16777216)");
	put(16, UINT32_MAX);
	assert_int_equal(parse(), ERR_LIMIT);
	assert_string_equal(error.text, "request frame of 4294967296 bytes (limit 16777216)");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(frame_that_was_appended_is_parsed),
		TEST(bytes_of_a_frame_are_as_documented),
		TEST(frame_may_be_empty),
		TEST(frame_of_the_largest_size_is_parsed),
		TEST(every_cut_of_a_frame_waits_for_the_rest),
		TEST(sealed_frame_is_the_same_as_an_appended_one),
		TEST(damage_at_any_byte_is_noticed),
		TEST(wrong_checksum_is_refused),
		TEST(unknown_type_is_refused),
		TEST(another_protocol_is_refused_at_its_first_bytes),
		TEST(unknown_flags_are_refused),
		TEST(oversize_message_is_refused_by_its_header_alone),
		TEST(oversize_frame_is_refused_by_its_header_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
