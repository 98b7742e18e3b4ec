#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/random.h"
#include "coordinator/command.h"
#include "membership/clock.h"

#define WALL 1800000000000

static void a_stamp_is_the_wall_clock_and_a_counter(void **state)
{
	struct clock clock;
	(void)state;
	clock_init(&clock, 0, 0);
	assert_int_equal(stamp_ms(clock_next(&clock, WALL)), WALL);
	assert_int_equal(clock_next(&clock, WALL) & 0xFFFF, 1);
	assert_int_equal(clock_next(&clock, WALL + 1), (uint64_t)(WALL + 1) << 16);
}

static void stamps_strictly_increase_whatever_the_wall_clock_does(void **state)
{
	struct clock clock;
	struct random random = {1};
	uint64_t last = 0;
	msec wall = WALL;
	(void)state;
	clock_init(&clock, 0, 0);
	for (int i = 0; i < 800000; i++) {
		if (random_below(&random, 100) == 0)
			wall += (msec)random_below(&random, 5000) - 2400; /* stepped, back as well */
		if (random_below(&random, 10) == 0)
			clock_observe(&clock, last + random_below(&random, 1000), wall);
		uint64_t stamp = clock_next(&clock, wall);
		assert_true(stamp > last);
		last = stamp;
	}
}

static void more_than_65536_stamps_in_a_millisecond_go_on_into_the_next(void **state)
{
	struct clock clock;
	uint64_t last = 0;
	(void)state;
	clock_init(&clock, 0, 0);
	for (int i = 0; i < 200000; i++) {
		uint64_t stamp = clock_next(&clock, WALL);
		assert_true(stamp > last);
		last = stamp;
	}
	assert_int_equal(stamp_ms(last), WALL + 3);
}

static void a_wall_clock_set_back_two_hours_does_no_harm(void **state)
{
	struct clock clock;
	(void)state;
	clock_init(&clock, 0, 0);
	uint64_t before = clock_next(&clock, WALL);
	assert_int_equal(clock_next(&clock, WALL - 7200000), before + 1);
	assert_int_equal(clock_next(&clock, -5), before + 2);
	/* What peers say is measured against the physical clock, however far the stamps are ahead of it. */
	assert_int_equal(clock_observe(&clock, (uint64_t)(WALL + 1) << 16, WALL - 7200000), ERR_LIMIT);
	assert_true(clock_next(&clock, WALL + 1000) > before);
}

static void after_a_stamp_from_elsewhere_the_next_one_is_larger(void **state)
{
	struct clock clock;
	(void)state;
	clock_init(&clock, 0, 60000);
	uint64_t ahead = (uint64_t)(WALL + 50000) << 16 | 7;
	assert_int_equal(clock_observe(&clock, ahead, WALL), 0);
	assert_int_equal(clock_next(&clock, WALL), ahead + 1);
	assert_int_equal(clock_observe(&clock, 5, WALL), 0); /* from the past: nothing */
	assert_int_equal(clock_next(&clock, WALL), ahead + 2);
}

static void a_stamp_too_far_ahead_is_refused_and_counted(void **state)
{
	struct clock clock;
	(void)state;
	clock_init(&clock, 0, 0);
	uint64_t before = clock_next(&clock, WALL);
	assert_int_equal(clock_observe(&clock, (uint64_t)(WALL + CLOCK_DRIFT_MS) << 16, WALL), 0);
	assert_int_equal(clock_observe(&clock, (uint64_t)(WALL + CLOCK_DRIFT_MS + 1) << 16, WALL), ERR_LIMIT);
	assert_int_equal(clock_observe(&clock, (uint64_t)(WALL + 7200000) << 16, WALL), ERR_LIMIT);
	assert_int_equal(clock_observe(&clock, UINT64_MAX, WALL), ERR_LIMIT);
	assert_int_equal(clock.refused, 3);
	assert_true(clock.ahead_max > 7200000);
	assert_true(clock_next(&clock, WALL) > before);
	assert_true(stamp_ms(clock.last) <= WALL + CLOCK_DRIFT_MS);
}

static void what_the_log_says_is_followed_in_any_case(void **state)
{
	struct clock clock;
	(void)state;
	clock_init(&clock, (uint64_t)WALL << 16, 0);
	clock_raise(&clock, (uint64_t)(WALL + 7200000) << 16);
	assert_int_equal(clock_next(&clock, WALL), ((uint64_t)(WALL + 7200000) << 16) + 1);
	clock_raise(&clock, 1);
	assert_int_equal(clock_next(&clock, WALL), ((uint64_t)(WALL + 7200000) << 16) + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stamp_is_the_wall_clock_and_a_counter),
		cmocka_unit_test(stamps_strictly_increase_whatever_the_wall_clock_does),
		cmocka_unit_test(more_than_65536_stamps_in_a_millisecond_go_on_into_the_next),
		cmocka_unit_test(a_wall_clock_set_back_two_hours_does_no_harm),
		cmocka_unit_test(after_a_stamp_from_elsewhere_the_next_one_is_larger),
		cmocka_unit_test(a_stamp_too_far_ahead_is_refused_and_counted),
		cmocka_unit_test(what_the_log_says_is_followed_in_any_case),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
