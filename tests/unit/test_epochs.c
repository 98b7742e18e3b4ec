#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/epochs.h"

static struct epochs epochs;

static int set_up(void **state)
{
	(void)state;
	epochs_init(&epochs, 100);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	epochs_finish(&epochs);
	return 0;
}

static void add(uint64_t time, const char *body)
{
	struct stream_frame frame = {STREAM_DATA, time, slice_of(body)};
	assert_int_equal(epochs_add(&epochs, &frame, NULL), 0);
}

static void takes(uint64_t frontier, uint64_t time, const char *body)
{
	struct epoch *epoch = epochs_take(&epochs, frontier);
	assert_non_null(epoch);
	assert_true(epoch->time == time);
	assert_true(body == NULL ? epoch->lost : slice_is(buffer_slice(&epoch->body), body));
	epoch_destroy(epoch);
}

static void epochs_come_in_order_when_they_are_complete(void **state)
{
	(void)state;
	add(2, "c");
	add(1, "a");
	add(2, "d");
	add(1, "b");
	assert_null(epochs_take(&epochs, 1));
	takes(3, 1, "ab");
	takes(3, 2, "cd");
	assert_null(epochs_take(&epochs, 3));
	assert_true(epochs.from == 3 && epochs.held == 0);
}

static void what_is_before_the_begin_is_left_out(void **state)
{
	(void)state;
	epochs_start(&epochs, 5);
	add(4, "a");
	add(5, "b");
	takes(6, 5, "b");
	assert_null(epochs_take(&epochs, 6));
}

static void a_new_begin_forgets_what_was_held(void **state)
{
	(void)state;
	add(0, "a");
	add(7, "b");
	epochs_start(&epochs, 8);
	assert_null(epochs_take(&epochs, 100));
	assert_true(epochs.held == 0 && epochs.from == 100);
}

static void of_an_epoch_that_is_too_large_nothing_is_shown(void **state)
{
	(void)state;
	add(0, "0123456789012345678901234567890123456789012345678901234567890");
	add(1, "small");
	add(0, "0123456789012345678901234567890123456789012345678901234567890");
	add(0, "more");
	takes(2, 0, NULL);
	takes(2, 1, "small");
	assert_int_equal(epochs.held, 0);
}

static void there_are_not_any_number_of_epochs_open(void **state)
{
	struct stream_frame frame = {STREAM_DATA, 0, SLICE("")};
	struct error error;
	(void)state;
	for (frame.time = 0; frame.time < EPOCHS_OPEN_MAX; frame.time++)
		assert_int_equal(epochs_add(&epochs, &frame, NULL), 0);
	assert_int_equal(epochs_add(&epochs, &frame, &error), ERR_LIMIT);
	assert_string_equal(error.text, "more than 10000 epochs are open at once");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(epochs_come_in_order_when_they_are_complete, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_before_the_begin_is_left_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_new_begin_forgets_what_was_held, set_up, tear_down),
		cmocka_unit_test_setup_teardown(of_an_epoch_that_is_too_large_nothing_is_shown, set_up, tear_down),
		cmocka_unit_test_setup_teardown(there_are_not_any_number_of_epochs_open, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
