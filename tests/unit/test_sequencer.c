#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "workflow/sequencer.h"

static int setup(void **state)
{
	*state = sequencer_create();
	return 0;
}

static int teardown(void **state)
{
	sequencer_destroy(*state);
	return 0;
}

static void add(struct sequencer *sequencer, uint64_t instance, uint32_t ref, uint64_t attempt, const char *json)
{
	struct returned returned = {.ref = ref, .attempt = attempt, .outcome = OUTCOME_RETURNED,
	                            .value = text_create(slice_of(json)), .metadata = text_create(SLICE("{}"))};
	sequencer_add(sequencer, instance, &returned);
}

/* The next instance, with this many results; the first one's reference. */
static uint32_t expect_next(struct sequencer *sequencer, uint64_t instance, uint32_t count)
{
	uint64_t next;
	struct returned *returned;
	uint32_t got;
	assert_true(sequencer_next(sequencer, &next, &returned, &got));
	assert_int_equal(next, instance);
	assert_int_equal(got, count);
	return returned[0].ref;
}

static void expect_none(struct sequencer *sequencer)
{
	uint64_t instance;
	struct returned *returned;
	uint32_t count;
	assert_false(sequencer_next(sequencer, &instance, &returned, &count));
}

static void result_is_proposed_at_once(void **state)
{
	expect_none(*state);
	add(*state, 1, 3, 1, "1");
	assert_int_equal(sequencer_waiting(*state), 1);
	assert_int_equal(expect_next(*state, 1, 1), 3);
	assert_int_equal(sequencer_waiting(*state), 0);
	expect_none(*state);
}

static void results_under_way_hold_back_their_own_instance_only(void **state)
{
	add(*state, 1, 1, 1, "1");
	expect_next(*state, 1, 1);
	add(*state, 1, 2, 1, "2");
	add(*state, 2, 1, 1, "1");
	expect_next(*state, 2, 1);
	expect_none(*state);
	assert_int_equal(sequencer_waiting(*state), 1);
	sequencer_applied(*state, 1);
	assert_int_equal(expect_next(*state, 1, 1), 2);
}

static void results_come_ordered_by_reference(void **state)
{
	uint64_t instance;
	struct returned *returned;
	uint32_t count;
	add(*state, 9, 5, 1, "5");
	add(*state, 9, 2, 2, "22");
	add(*state, 9, 2, 1, "21");
	add(*state, 9, 4, 1, "4");
	assert_true(sequencer_next(*state, &instance, &returned, &count));
	assert_int_equal(count, 4);
	assert_true(slice_is(text_slice(returned[0].value), "21"));
	assert_true(slice_is(text_slice(returned[1].value), "22"));
	assert_true(slice_is(text_slice(returned[2].value), "4"));
	assert_true(slice_is(text_slice(returned[3].value), "5"));
}

static void same_attempt_waits_once(void **state)
{
	uint64_t instance;
	struct returned *returned;
	uint32_t count;
	add(*state, 1, 1, 7, "\"first\"");
	add(*state, 1, 1, 7, "\"second\"");
	add(*state, 2, 1, 7, "\"of another instance\"");
	assert_int_equal(sequencer_waiting(*state), 2);
	assert_true(sequencer_next(*state, &instance, &returned, &count));
	assert_int_equal(count, 1);
	assert_true(slice_is(text_slice(returned[0].value), "\"first\""));
	/* No longer waiting: it counts again; the instance ignores it. */
	add(*state, 1, 1, 7, "\"third\"");
	sequencer_applied(*state, 1);
	expect_next(*state, 2, 1);
	expect_next(*state, 1, 1);
}

static void first_instance_to_be_ready_is_served_first(void **state)
{
	for (uint64_t instance = 100; instance > 0; instance--)
		add(*state, instance, 1, 1, "1");
	add(*state, 100, 2, 1, "2");
	expect_next(*state, 100, 2);
	for (uint64_t instance = 99; instance > 0; instance--)
		expect_next(*state, instance, 1);
	expect_none(*state);
}

static void forgotten_instance_waits_no_more(void **state)
{
	add(*state, 1, 1, 1, "1");
	add(*state, 2, 1, 1, "1");
	sequencer_forget(*state, 1);
	assert_int_equal(sequencer_waiting(*state), 1);
	expect_next(*state, 2, 1);
	add(*state, 2, 2, 1, "2");
	sequencer_forget(*state, 2);
	sequencer_applied(*state, 2);
	expect_none(*state);
	assert_int_equal(sequencer_waiting(*state), 0);
	sequencer_forget(*state, 3);
	/* What comes late is proposed once more, and ignored by the reducer. */
	add(*state, 2, 3, 1, "3");
	expect_next(*state, 2, 1);
}

static void clearing_loses_all(void **state)
{
	for (uint64_t instance = 1; instance <= 10; instance++) {
		add(*state, instance, 1, 1, "1");
		add(*state, instance, 2, 1, "1");
	}
	expect_next(*state, 1, 2);
	add(*state, 1, 3, 1, "1");
	sequencer_clear(*state);
	assert_int_equal(sequencer_waiting(*state), 0);
	expect_none(*state);
	add(*state, 1, 1, 1, "1");
	expect_next(*state, 1, 1);
}

static void applied_without_a_command_is_ignored(void **state)
{
	sequencer_applied(*state, 5);
	add(*state, 5, 1, 1, "1");
	sequencer_applied(*state, 5);
	expect_next(*state, 5, 1);
	expect_none(*state);
}

/* Any interleaving: every result is proposed once, never two commands of an instance at a time. */
static void every_result_is_proposed_once(void **state)
{
	enum { INSTANCES = 20, RESULTS = 50 };
	struct random random = {7};
	bool under_way[INSTANCES] = {false};
	uint32_t added[INSTANCES] = {0};
	uint32_t proposed[INSTANCES] = {0};
	for (int turn = 0; turn < 20000; turn++) {
		uint64_t instance = random_below(&random, INSTANCES);
		struct returned *returned;
		uint32_t count;
		switch (random_below(&random, 3)) {
		case 0:
			if (added[instance] < RESULTS)
				add(*state, instance, ++added[instance], 1, "1");
			break;
		case 1:
			if (under_way[instance])
				sequencer_applied(*state, instance);
			under_way[instance] = false;
			break;
		default:
			if (!sequencer_next(*state, &instance, &returned, &count))
				break;
			assert_false(under_way[instance]);
			under_way[instance] = true;
			for (uint32_t i = 0; i < count; i++)
				assert_int_equal(returned[i].ref, ++proposed[instance]);
		}
	}
	for (int i = 0; i < INSTANCES; i++)
		assert_int_equal(proposed[i], RESULTS);
	assert_int_equal(sequencer_waiting(*state), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(result_is_proposed_at_once),
		TEST(results_under_way_hold_back_their_own_instance_only),
		TEST(results_come_ordered_by_reference),
		TEST(same_attempt_waits_once),
		TEST(first_instance_to_be_ready_is_served_first),
		TEST(forgotten_instance_waits_no_more),
		TEST(clearing_loses_all),
		TEST(applied_without_a_command_is_ignored),
		TEST(every_result_is_proposed_once),
	};
	return cmocka_run_group_tests_name("sequencer", tests, NULL, NULL);
}
