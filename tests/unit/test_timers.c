#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/timers.h"

#include "base/random.h"

#define COUNT 500

static void they_come_in_order_whatever_is_set_and_unset(void **state)
{
	static struct timer timers[COUNT];
	struct timers heap = {0};
	struct random random = {7};
	(void)state;
	for (int i = 0; i < 5 * COUNT; i++) {
		struct timer *timer = &timers[random_below(&random, COUNT)];
		timers_set(&heap, timer,
		           random_below(&random, 4) == 0 ? MSEC_NEVER : (msec)random_below(&random, 1000));
	}
	size_t set = 0;
	for (int i = 0; i < COUNT; i++)
		set += timers[i].place != 0;
	assert_int_equal(heap.count, set);
	assert_null(timers_take_due(&heap, -1));
	msec last = 0;
	for (struct timer *timer; (timer = timers_take_due(&heap, 1000)) != NULL; set--) {
		assert_true(timer->at >= last);
		assert_int_equal(timer->place, 0);
		last = timer->at;
	}
	assert_int_equal(set, 0);
	assert_int_equal(timers_next(&heap), MSEC_NEVER);
	timers_finish(&heap);
}

static void one_that_is_not_due_stays(void **state)
{
	struct timer timer = {0};
	struct timers heap = {0};
	(void)state;
	timers_set(&heap, &timer, 10);
	assert_null(timers_take_due(&heap, 9));
	timers_set(&heap, &timer, 12);
	assert_int_equal(timers_next(&heap), 12);
	assert_null(timers_take_due(&heap, 11));
	assert_ptr_equal(timers_take_due(&heap, 12), &timer);
	assert_null(timers_take_due(&heap, 12));
	timers_finish(&heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_come_in_order_whatever_is_set_and_unset),
		cmocka_unit_test(one_that_is_not_due_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
