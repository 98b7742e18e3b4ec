#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "coordinator/dispatch.h"

#include "base/memory.h"

/* Definitions are made by hand: the dispatcher looks at names, signatures and settings only. */

struct fixture {
	struct dispatch *dispatch;
	struct definition alpha, beta, pooled, offered;
	struct command_word word;
};

static int setup(void **state)
{
	struct fixture *fixture = mem_zero(sizeof *fixture);
	struct definition *const all[] = {&fixture->alpha, &fixture->beta, &fixture->pooled, &fixture->offered};
	static const char *const names[] = {"Alpha", "Beta", "Pooled", "Offered"};
	fixture->dispatch = dispatch_create();
	for (size_t i = 0; i < 4; i++) {
		all[i]->name = slice_of(names[i]);
		all[i]->signature = SLICE("(x: N) -> N");
		all[i]->settings.timeout = 10000;
	}
	fixture->alpha.settings.exec = fixture->beta.settings.exec = &fixture->word;
	fixture->alpha.settings.exec_count = fixture->beta.settings.exec_count = 1;
	fixture->pooled.settings.pool = &fixture->word;
	fixture->pooled.settings.pool_count = 1;
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	dispatch_destroy(fixture->dispatch);
	mem_free(fixture);
	return 0;
}

static struct call_id call(uint64_t instance)
{
	return (struct call_id){instance, 1, 65537};
}

static void ready(struct fixture *fixture, msec now, uint64_t instance, const struct definition *process)
{
	dispatch_ready(fixture->dispatch, now, call(instance), process);
}

/* The instance whose call is handed out next; 0: none. */
static uint64_t next(struct fixture *fixture, msec now)
{
	struct assignment assignment;
	return dispatch_next(fixture->dispatch, now, &assignment) ? assignment.call.instance : 0;
}

static struct place *worker(struct fixture *fixture, const char *process, const char *signature, uint32_t credit)
{
	struct place *place = dispatch_place_add(fixture->dispatch, PLACE_WORKER, 0, NULL, NULL, NULL);
	struct offer offer = {slice_of(process), slice_of(signature)};
	dispatch_place_offer(fixture->dispatch, place, &offer, 1, credit);
	return place;
}

static bool expired(struct fixture *fixture, msec now, uint64_t *ret_instance, enum expiry *ret_expiry)
{
	struct call_id id;
	const struct definition *process;
	if (!dispatch_expired(fixture->dispatch, now, &id, ret_expiry, &process))
		return false;
	*ret_instance = id.instance;
	return true;
}

/* --- who gets what ------------------------------------------------------------------------------------------------- */

static void calls_are_handed_out_in_order_as_far_as_credit_goes(void **state)
{
	struct fixture *fixture = *state;
	struct place *place = dispatch_place_add(fixture->dispatch, PLACE_EXEC, 2, NULL, NULL, NULL);
	for (uint64_t i = 1; i <= 4; i++)
		ready(fixture, 0, i, &fixture->alpha);
	assert_int_equal(next(fixture, 0), 1);
	assert_int_equal(next(fixture, 0), 2);
	assert_int_equal(next(fixture, 0), 0);
	assert_int_equal(dispatch_waiting(fixture->dispatch), 2);
	assert_int_equal(dispatch_running(fixture->dispatch), 2);
	assert_ptr_equal(dispatch_close(fixture->dispatch, call(2)), place);
	assert_int_equal(next(fixture, 0), 3);
	assert_int_equal(next(fixture, 0), 0);
}

static void definitions_take_turns(void **state)
{
	struct fixture *fixture = *state;
	dispatch_place_add(fixture->dispatch, PLACE_EXEC, 100, NULL, NULL, NULL);
	for (uint64_t i = 1; i <= 3; i++)
		ready(fixture, 0, i, &fixture->alpha);
	for (uint64_t i = 11; i <= 13; i++)
		ready(fixture, 0, i, &fixture->beta);
	static const uint64_t expected[] = {1, 11, 2, 12, 3, 13, 0};
	for (size_t i = 0; i < 7; i++)
		assert_int_equal(next(fixture, 0), expected[i]);
}

static void definition_that_nobody_serves_holds_up_no_other(void **state)
{
	struct fixture *fixture = *state;
	dispatch_place_add(fixture->dispatch, PLACE_EXEC, 100, NULL, NULL, NULL);
	ready(fixture, 0, 1, &fixture->offered);
	ready(fixture, 0, 2, &fixture->alpha);
	assert_int_equal(next(fixture, 0), 2);
	assert_int_equal(next(fixture, 0), 0);
	assert_true(slice_is(dispatch_unserved(fixture->dispatch), "Offered"));
	worker(fixture, "Offered", "", 1);
	assert_int_equal(dispatch_unserved(fixture->dispatch).size, 0);
	assert_int_equal(next(fixture, 0), 1);
}

static void place_with_the_most_room_is_chosen(void **state)
{
	struct fixture *fixture = *state;
	struct assignment assignment;
	struct place *small = worker(fixture, "Offered", "", 2);
	struct place *large = worker(fixture, "Offered", "", 3);
	for (uint64_t i = 1; i <= 5; i++)
		ready(fixture, 0, i, &fixture->offered);
	while (dispatch_next(fixture->dispatch, 0, &assignment))
		assert_true(assignment.place == (assignment.call.instance == 1 ? large : assignment.place));
	assert_int_equal(dispatch_place_running(small), 2);
	assert_int_equal(dispatch_place_running(large), 3);
}

static void pool_serves_its_own_definition_only(void **state)
{
	struct fixture *fixture = *state;
	dispatch_place_add(fixture->dispatch, PLACE_POOL, 1, NULL, &fixture->pooled, NULL);
	ready(fixture, 0, 1, &fixture->alpha);
	ready(fixture, 0, 2, &fixture->pooled);
	assert_int_equal(next(fixture, 0), 2);
	assert_int_equal(next(fixture, 0), 0);
}

static void worker_serves_by_name_and_by_signature_where_it_gives_one(void **state)
{
	struct fixture *fixture = *state;
	worker(fixture, "Offered", "(x: Other) -> N", 1);
	ready(fixture, 0, 1, &fixture->offered);
	assert_int_equal(next(fixture, 0), 0);
	worker(fixture, "Offered", "(x: N) -> N", 1);
	assert_int_equal(next(fixture, 0), 1);
}

static void new_offer_replaces_the_old_one(void **state)
{
	struct fixture *fixture = *state;
	struct place *place = worker(fixture, "Beta", "", 1);
	ready(fixture, 0, 1, &fixture->offered);
	assert_int_equal(next(fixture, 0), 0);
	dispatch_place_offer(fixture->dispatch, place, &(struct offer){SLICE("Offered"), SLICE("")}, 1, 1);
	assert_int_equal(next(fixture, 0), 1);
	ready(fixture, 0, 2, &fixture->beta);
	dispatch_close(fixture->dispatch, call(1));
	assert_int_equal(next(fixture, 0), 0);
}

static void larger_credit_lets_more_run_and_a_smaller_one_takes_nothing_back(void **state)
{
	struct fixture *fixture = *state;
	struct place *place = worker(fixture, "Offered", "", 1);
	struct offer offer = {SLICE("Offered"), SLICE("")};
	for (uint64_t i = 1; i <= 4; i++)
		ready(fixture, 0, i, &fixture->offered);
	assert_int_equal(next(fixture, 0), 1);
	dispatch_place_offer(fixture->dispatch, place, &offer, 1, 3);
	assert_int_equal(next(fixture, 0), 2);
	assert_int_equal(next(fixture, 0), 3);
	dispatch_place_offer(fixture->dispatch, place, &offer, 1, 1);
	dispatch_close(fixture->dispatch, call(1));
	assert_int_equal(next(fixture, 0), 0);
	dispatch_close(fixture->dispatch, call(2));
	dispatch_close(fixture->dispatch, call(3));
	assert_int_equal(next(fixture, 0), 4);
}

/* --- coming and going ---------------------------------------------------------------------------------------------- */

static void call_that_is_known_is_not_taken_twice(void **state)
{
	struct fixture *fixture = *state;
	dispatch_place_add(fixture->dispatch, PLACE_EXEC, 10, NULL, NULL, NULL);
	ready(fixture, 0, 1, &fixture->alpha);
	ready(fixture, 0, 1, &fixture->alpha);
	assert_int_equal(next(fixture, 0), 1);
	ready(fixture, 0, 1, &fixture->alpha);
	assert_int_equal(next(fixture, 0), 0);
}

static void calls_of_a_place_that_is_gone_are_given_one_by_one(void **state)
{
	struct fixture *fixture = *state;
	struct place *place = worker(fixture, "Offered", "", 2);
	struct call_id id;
	for (uint64_t i = 1; i <= 3; i++)
		ready(fixture, 0, i, &fixture->offered);
	assert_int_equal(next(fixture, 0), 1);
	assert_int_equal(next(fixture, 0), 2);
	uint64_t seen = 0;
	while (dispatch_place_remove(fixture->dispatch, place, &id))
		seen += id.instance;
	assert_int_equal(seen, 3);
	assert_int_equal(dispatch_running(fixture->dispatch), 0);
	assert_int_equal(next(fixture, 0), 0);
	assert_true(slice_is(dispatch_unserved(fixture->dispatch), "Offered"));
	worker(fixture, "Offered", "", 1);
	assert_int_equal(next(fixture, 0), 3);
}

static void close_of_another_attempt_does_nothing(void **state)
{
	struct fixture *fixture = *state;
	dispatch_place_add(fixture->dispatch, PLACE_EXEC, 1, NULL, NULL, NULL);
	ready(fixture, 0, 1, &fixture->alpha);
	assert_int_equal(next(fixture, 0), 1);
	struct call_id other = {1, 1, 65536};
	assert_null(dispatch_close(fixture->dispatch, other));
	assert_null(dispatch_where(fixture->dispatch, other));
	assert_non_null(dispatch_where(fixture->dispatch, call(1)));
	assert_int_equal(dispatch_running(fixture->dispatch), 1);
}

static void withdrawn_call_is_not_handed_out(void **state)
{
	struct fixture *fixture = *state;
	dispatch_place_add(fixture->dispatch, PLACE_EXEC, 1, NULL, NULL, NULL);
	ready(fixture, 0, 1, &fixture->alpha);
	ready(fixture, 0, 2, &fixture->alpha);
	dispatch_withdraw(fixture->dispatch, 1, 1);
	assert_int_equal(next(fixture, 0), 2);
	dispatch_withdraw(fixture->dispatch, 2, 1); /* it runs: that is for dispatch_close */
	assert_int_equal(dispatch_running(fixture->dispatch), 1);
	dispatch_withdraw(fixture->dispatch, 9, 1);
}

static void last_call_withdrawn_leaves_an_order_that_still_works(void **state)
{
	struct fixture *fixture = *state;
	dispatch_place_add(fixture->dispatch, PLACE_EXEC, 1, NULL, NULL, NULL);
	ready(fixture, 0, 1, &fixture->alpha);
	ready(fixture, 0, 2, &fixture->beta);
	dispatch_withdraw(fixture->dispatch, 1, 1);
	assert_int_equal(next(fixture, 0), 2);
	ready(fixture, 0, 3, &fixture->alpha);
	assert_int_equal(next(fixture, 0), 0); /* blocked for want of credit */
	dispatch_withdraw(fixture->dispatch, 3, 1);
	dispatch_close(fixture->dispatch, call(2));
	assert_int_equal(next(fixture, 0), 0);
	ready(fixture, 0, 4, &fixture->alpha);
	assert_int_equal(next(fixture, 0), 4);
}

/* --- deadlines ----------------------------------------------------------------------------------------------------- */

static void call_that_is_not_started_in_time_expires_while_it_waits(void **state)
{
	struct fixture *fixture = *state;
	uint64_t instance;
	enum expiry expiry;
	fixture->offered.settings.start_timeout = 500;
	assert_true(dispatch_deadline(fixture->dispatch) == MSEC_NEVER);
	ready(fixture, 100, 1, &fixture->offered);
	assert_int_equal(dispatch_deadline(fixture->dispatch), 600);
	assert_false(expired(fixture, 599, &instance, &expiry));
	assert_true(expired(fixture, 600, &instance, &expiry));
	assert_int_equal(expiry, EXPIRY_START);
	assert_false(expired(fixture, 600, &instance, &expiry)); /* said once */
}

static void started_call_expires_at_its_timeout(void **state)
{
	struct fixture *fixture = *state;
	uint64_t instance;
	enum expiry expiry;
	fixture->alpha.settings.start_timeout = 500;
	dispatch_place_add(fixture->dispatch, PLACE_EXEC, 1, NULL, NULL, NULL);
	ready(fixture, 0, 1, &fixture->alpha);
	assert_int_equal(next(fixture, 400), 1);
	assert_int_equal(dispatch_deadline(fixture->dispatch), 10400);
	assert_true(expired(fixture, 10400, &instance, &expiry));
	assert_int_equal(instance, 1);
	assert_int_equal(expiry, EXPIRY_FINISH);
	assert_non_null(dispatch_where(fixture->dispatch, call(1))); /* it keeps its place until it is closed */
}

static void heartbeats_put_off_one_deadline_and_not_the_other(void **state)
{
	struct fixture *fixture = *state;
	uint64_t instance;
	enum expiry expiry;
	fixture->alpha.settings.heartbeat = 4000;
	dispatch_place_add(fixture->dispatch, PLACE_EXEC, 2, NULL, NULL, NULL);
	ready(fixture, 0, 1, &fixture->alpha);
	ready(fixture, 0, 2, &fixture->alpha);
	next(fixture, 0);
	next(fixture, 0);
	dispatch_heartbeat(fixture->dispatch, 3000, call(1));
	assert_true(expired(fixture, 4000, &instance, &expiry));
	assert_int_equal(instance, 2);
	assert_int_equal(expiry, EXPIRY_HEARTBEAT);
	dispatch_heartbeat(fixture->dispatch, 4500, call(2)); /* too late */
	assert_int_equal(dispatch_deadline(fixture->dispatch), 7000);
	dispatch_heartbeat(fixture->dispatch, 6999, call(1));
	assert_int_equal(dispatch_deadline(fixture->dispatch), 10000);
	assert_true(expired(fixture, 10000, &instance, &expiry));
	assert_int_equal(expiry, EXPIRY_FINISH);
}

static void call_that_has_reported_has_no_deadline(void **state)
{
	struct fixture *fixture = *state;
	dispatch_place_add(fixture->dispatch, PLACE_EXEC, 1, NULL, NULL, NULL);
	ready(fixture, 0, 1, &fixture->alpha);
	next(fixture, 0);
	dispatch_reported(fixture->dispatch, call(1));
	assert_true(dispatch_deadline(fixture->dispatch) == MSEC_NEVER);
	assert_int_equal(dispatch_running(fixture->dispatch), 1);
}

static void deadlines_come_in_order_whatever_the_order_they_were_made_in(void **state)
{
	struct fixture *fixture = *state;
	uint64_t instance = 0;
	enum expiry expiry;
	msec last = 0;
	fixture->offered.settings.start_timeout = 1;
	for (uint64_t i = 0; i < 200; i++)
		ready(fixture, (msec)(i * 7919 % 200), i + 1, &fixture->offered);
	for (uint64_t i = 0; i < 200; i += 3)
		dispatch_withdraw(fixture->dispatch, i + 1, 1);
	while (dispatch_deadline(fixture->dispatch) != MSEC_NEVER) {
		msec deadline = dispatch_deadline(fixture->dispatch);
		assert_true(deadline >= last);
		assert_true(expired(fixture, deadline, &instance, &expiry));
		assert_int_equal((msec)((instance - 1) * 7919 % 200) + 1, deadline);
		last = deadline;
	}
	assert_int_equal(dispatch_waiting(fixture->dispatch), 200 - 67);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(calls_are_handed_out_in_order_as_far_as_credit_goes),
		TEST(definitions_take_turns),
		TEST(definition_that_nobody_serves_holds_up_no_other),
		TEST(place_with_the_most_room_is_chosen),
		TEST(pool_serves_its_own_definition_only),
		TEST(worker_serves_by_name_and_by_signature_where_it_gives_one),
		TEST(new_offer_replaces_the_old_one),
		TEST(larger_credit_lets_more_run_and_a_smaller_one_takes_nothing_back),
		TEST(call_that_is_known_is_not_taken_twice),
		TEST(calls_of_a_place_that_is_gone_are_given_one_by_one),
		TEST(close_of_another_attempt_does_nothing),
		TEST(withdrawn_call_is_not_handed_out),
		TEST(last_call_withdrawn_leaves_an_order_that_still_works),
		TEST(call_that_is_not_started_in_time_expires_while_it_waits),
		TEST(started_call_expires_at_its_timeout),
		TEST(heartbeats_put_off_one_deadline_and_not_the_other),
		TEST(call_that_has_reported_has_no_deadline),
		TEST(deadlines_come_in_order_whatever_the_order_they_were_made_in),
	};
	return cmocka_run_group_tests_name("dispatch", tests, NULL, NULL);
}
