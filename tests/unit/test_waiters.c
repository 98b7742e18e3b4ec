#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/waiters.h"

static int setup(void **state)
{
	*state = waiters_create();
	return 0;
}

static int teardown(void **state)
{
	waiters_destroy(*state);
	return 0;
}

static void add(struct waiters *waiters, enum wait_kind kind, uint64_t first, uint64_t second, uint64_t connection,
                uint32_t stream)
{
	struct waiter waiter = {kind, first, second, connection, stream, 0, NULL, 0};
	waiters_add(waiters, &waiter);
}

/* Connection × 100 + stream of who is taken; 0: nobody. */
static uint64_t take(struct waiters *waiters, enum wait_kind kind, uint64_t first, uint64_t second)
{
	struct waiter waiter;
	if (!waiters_take(waiters, kind, first, second, &waiter))
		return 0;
	assert_int_equal(waiter.kind, kind);
	assert_int_equal(waiter.first, first);
	assert_int_equal(waiter.second, second);
	return waiter.connection * 100 + waiter.stream;
}

static void all_who_wait_for_the_same_are_taken_first_come_first_served(void **state)
{
	struct waiters *waiters = *state;
	add(waiters, WAIT_FINISHED, 5, 0, 1, 10);
	add(waiters, WAIT_FINISHED, 5, 0, 2, 20);
	add(waiters, WAIT_FINISHED, 5, 0, 1, 11);
	assert_int_equal(waiters_count(waiters), 3);
	assert_int_equal(take(waiters, WAIT_FINISHED, 5, 0), 110);
	assert_int_equal(take(waiters, WAIT_FINISHED, 5, 0), 220);
	assert_int_equal(take(waiters, WAIT_FINISHED, 5, 0), 111);
	assert_int_equal(take(waiters, WAIT_FINISHED, 5, 0), 0);
	assert_int_equal(waiters_count(waiters), 0);
}

static void kind_and_both_numbers_tell_what_is_waited_for(void **state)
{
	struct waiters *waiters = *state;
	add(waiters, WAIT_ANSWER, 5, 6, 1, 10);
	assert_int_equal(take(waiters, WAIT_FINISHED, 5, 6), 0);
	assert_int_equal(take(waiters, WAIT_ANSWER, 5, 7), 0);
	assert_int_equal(take(waiters, WAIT_ANSWER, 6, 6), 0);
	assert_int_equal(take(waiters, WAIT_ANSWER, 5, 6), 110);
}

static void closed_connection_takes_all_its_waiters_and_no_others(void **state)
{
	struct waiters *waiters = *state;
	add(waiters, WAIT_FINISHED, 5, 0, 1, 10);
	add(waiters, WAIT_GROWN, 6, 0, 1, 11);
	add(waiters, WAIT_FINISHED, 5, 0, 2, 20);
	struct waiter waiter;
	assert_true(waiters_take_connection(waiters, 1, &waiter));
	assert_int_equal(waiter.stream, 10);
	assert_true(waiters_take_connection(waiters, 1, &waiter));
	assert_int_equal(waiter.kind, WAIT_GROWN);
	assert_false(waiters_take_connection(waiters, 1, &waiter));
	assert_false(waiters_take_connection(waiters, 3, &waiter));
	assert_int_equal(waiters_count(waiters), 1);
	assert_int_equal(take(waiters, WAIT_FINISHED, 5, 0), 220);
	assert_int_equal(take(waiters, WAIT_GROWN, 6, 0), 0);
}

static void cancelled_stream_is_dropped_and_its_neighbours_stay(void **state)
{
	struct waiters *waiters = *state;
	add(waiters, WAIT_FINISHED, 5, 0, 1, 10);
	add(waiters, WAIT_FINISHED, 5, 0, 1, 11);
	add(waiters, WAIT_FINISHED, 5, 0, 2, 10);
	struct waiter waiter;
	assert_true(waiters_take_stream(waiters, 1, 10, &waiter));
	assert_int_equal(waiter.first, 5);
	assert_false(waiters_take_stream(waiters, 1, 99, &waiter));
	assert_false(waiters_take_stream(waiters, 9, 10, &waiter));
	assert_int_equal(take(waiters, WAIT_FINISHED, 5, 0), 111);
	assert_int_equal(take(waiters, WAIT_FINISHED, 5, 0), 210);
}

static void raise_more(void *context, struct waiter *waiter)
{
	*(uint64_t *)context += waiter->connection;
	waiter->more += 1;
}

static void each_reaches_all_and_what_it_changes_stays(void **state)
{
	struct waiters *waiters = *state;
	struct waiter waiter;
	uint64_t sum = 0;
	add(waiters, WAIT_GROWN, 5, 0, 1, 10);
	add(waiters, WAIT_GROWN, 5, 0, 2, 20);
	add(waiters, WAIT_GROWN, 6, 0, 4, 30);
	waiters_each(waiters, WAIT_GROWN, 5, 0, raise_more, &sum);
	waiters_each(waiters, WAIT_GROWN, 5, 0, raise_more, &sum);
	waiters_each(waiters, WAIT_GROWN, 7, 0, raise_more, &sum);
	assert_int_equal(sum, 6);
	assert_true(waiters_take(waiters, WAIT_GROWN, 5, 0, &waiter));
	assert_int_equal(waiter.more, 2);
	assert_true(waiters_take(waiters, WAIT_GROWN, 6, 0, &waiter));
	assert_int_equal(waiter.more, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void watch(struct waiters *waiters, enum wait_kind kind, uint64_t first, uint32_t stream, msec until)
{
	struct waiter waiter = {kind, first, 1, 1, stream, 0, text_create(SLICE("k")), until};
	waiters_add(waiters, &waiter);
}

static void watches_whose_time_is_out_are_taken(void **state)
{
	struct waiters *waiters = *state;
	struct waiter late[8];
	assert_int_equal(waiters_deadline(waiters), MSEC_NEVER);
	watch(waiters, WAIT_KEY, 1, 1, 300);
	watch(waiters, WAIT_KEY, 1, 2, 100);
	watch(waiters, WAIT_PREFIX, 2, 3, 200);
	watch(waiters, WAIT_PREFIX, 3, 4, MSEC_NEVER);
	add(waiters, WAIT_ANSWER, 1, 1, 1, 5);
	assert_int_equal(waiters_deadline(waiters), 100);
	assert_int_equal(waiters_take_late(waiters, 99, late, 8), 0);
	assert_int_equal(waiters_take_late(waiters, 100, late, 8), 1);
	assert_int_equal(late[0].stream, 2);
	text_release(late[0].text);
	assert_int_equal(waiters_deadline(waiters), 200);
	assert_int_equal(waiters_take_late(waiters, 300, late, 1), 1);
	assert_true(waiters_deadline(waiters) <= 300);
	text_release(late[0].text);
	assert_int_equal(waiters_take_late(waiters, 300, late, 8), 1);
	text_release(late[0].text);
	assert_int_equal(waiters_deadline(waiters), MSEC_NEVER);
	assert_int_equal(waiters_count_watches(waiters), 1);
	assert_int_equal(waiters_count(waiters), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_who_wait_for_the_same_are_taken_first_come_first_served),
		TEST(kind_and_both_numbers_tell_what_is_waited_for),
		TEST(closed_connection_takes_all_its_waiters_and_no_others),
		TEST(cancelled_stream_is_dropped_and_its_neighbours_stay),
		TEST(each_reaches_all_and_what_it_changes_stays),
		TEST(watches_whose_time_is_out_are_taken),
	};
	return cmocka_run_group_tests_name("waiters", tests, NULL, NULL);
}
