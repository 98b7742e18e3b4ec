#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "wire/seal.h"

static struct secret *one;
static struct secret *other;
static struct buffer datagram;

static int setup(void **state)
{
	(void)state;
	datagram = BUFFER_EMPTY;
	if (secret_create(SLICE("sixteen bytes or more"), &one, NULL) != 0)
		return -1;
	return secret_create(SLICE("sixteen bytes and more"), &other, NULL);
}

static int teardown(void **state)
{
	(void)state;
	secret_destroy(one);
	secret_destroy(other);
	buffer_finish(&datagram);
	return 0;
}

static enum seal_refusal opened(const struct secret *secret)
{
	struct slice message;
	return seal_open(secret, buffer_slice(&datagram), &message);
}

static void message_comes_out_as_it_was_put_in(void **state)
{
	(void)state;
	struct slice message;
	for (int sealed = 0; sealed < 2; sealed++) {
		const struct secret *secret = sealed ? one : NULL;
		buffer_clear(&datagram);
		seal_append(&datagram, secret, SLICE("hello"));
		assert_int_equal(datagram.size, SEAL_SIZE + 5);
		assert_int_equal(seal_open(secret, buffer_slice(&datagram), &message), SEAL_INTACT);
		assert_true(slice_is(message, "hello"));
	}
}

static void largest_message_makes_the_largest_datagram(void **state)
{
	(void)state;
	char *block = mem_zero(SEAL_MESSAGE_MAX);
	seal_append(&datagram, one, (struct slice){block, SEAL_MESSAGE_MAX});
	assert_int_equal(datagram.size, 1232);
	assert_int_equal(opened(one), SEAL_INTACT);
	buffer_append_char(&datagram, '\0');
	assert_int_equal(opened(one), SEAL_SIZE_WRONG);
	mem_free(block);
}

static void every_changed_bit_is_noticed(void **state)
{
	(void)state;
	for (int sealed = 0; sealed < 2; sealed++) {
		const struct secret *secret = sealed ? one : NULL;
		buffer_clear(&datagram);
		seal_append(&datagram, secret, SLICE("hello"));
		for (size_t i = 0; i < 8 * datagram.size; i++) {
			datagram.data[i / 8] = (char)(datagram.data[i / 8] ^ (1 << i % 8));
			assert_int_not_equal(opened(secret), SEAL_INTACT);
			datagram.data[i / 8] = (char)(datagram.data[i / 8] ^ (1 << i % 8));
		}
		assert_int_equal(opened(secret), SEAL_INTACT);
	}
}

static void cut_and_lengthened_datagrams_are_refused(void **state)
{
	(void)state;
	seal_append(&datagram, one, SLICE("hello"));
	buffer_append_char(&datagram, 'x');
	assert_int_equal(opened(one), SEAL_BROKEN);
	datagram.size -= 2;
	assert_int_equal(opened(one), SEAL_BROKEN);
	for (datagram.size = 0; datagram.size < SEAL_SIZE; datagram.size++)
		assert_int_equal(opened(one), SEAL_SIZE_WRONG);
}

static void each_reason_is_told_apart(void **state)
{
	(void)state;
	seal_append(&datagram, one, SLICE("hello"));
	assert_int_equal(opened(other), SEAL_BROKEN);
	assert_int_equal(opened(NULL), SEAL_NO_SECRET);
	buffer_clear(&datagram);
	seal_append(&datagram, NULL, SLICE("hello"));
	assert_int_equal(opened(one), SEAL_NO_SECRET);
	buffer_clear(&datagram);
	buffer_append_string(&datagram, "anything else that may come along here");
	assert_int_equal(opened(one), SEAL_UNKNOWN);
	assert_int_equal(opened(NULL), SEAL_UNKNOWN);
	assert_string_equal(seal_refusal_name(SEAL_NO_SECRET), "no_secret");
}

/* Who has no secret cannot pass a plain datagram off as a sealed one, nor turn one into the other. */
static void seal_does_not_depend_on_its_mark_alone(void **state)
{
	(void)state;
	seal_append(&datagram, NULL, SLICE("hello"));
	memcpy(datagram.data, "cls1", 4);
	assert_int_equal(opened(one), SEAL_BROKEN);
	buffer_clear(&datagram);
	seal_append(&datagram, one, SLICE("hello"));
	memcpy(datagram.data, "clp1", 4);
	assert_int_equal(opened(NULL), SEAL_BROKEN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(message_comes_out_as_it_was_put_in),
		TEST(largest_message_makes_the_largest_datagram),
		TEST(every_changed_bit_is_noticed),
		TEST(cut_and_lengthened_datagrams_are_refused),
		TEST(each_reason_is_told_apart),
		TEST(seal_does_not_depend_on_its_mark_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
