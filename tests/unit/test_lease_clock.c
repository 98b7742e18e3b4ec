#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "daemon/lease_clock.h"

static int setup(void **state)
{
	*state = lease_clock_create();
	return 0;
}

static int teardown(void **state)
{
	lease_clock_destroy(*state);
	return 0;
}

static uint64_t expired(struct lease_clock *clock, msec now)
{
	uint64_t lease;
	return lease_clock_expired(clock, now, &lease) ? lease : 0;
}

static void leases_run_out_in_the_order_of_their_times(void **state)
{
	struct lease_clock *clock = *state;
	lease_clock_grant(clock, 1, 3000, 0);
	lease_clock_grant(clock, 2, 1000, 0);
	lease_clock_grant(clock, 3, 2000, 0);
	assert_int_equal(lease_clock_deadline(clock), 1000);
	assert_int_equal(expired(clock, 999), 0);
	assert_int_equal(expired(clock, 2500), 2);
	assert_int_equal(expired(clock, 2500), 3);
	assert_int_equal(expired(clock, 2500), 0);
	assert_int_equal(expired(clock, 3000), 1);
	assert_int_equal(lease_clock_deadline(clock), MSEC_NEVER);
}

static void lease_that_is_kept_lives_on(void **state)
{
	struct lease_clock *clock = *state;
	lease_clock_grant(clock, 1, 1000, 0);
	for (msec now = 500; now < 5000; now += 500) {
		assert_true(lease_clock_keep(clock, 1, now));
		assert_int_equal(expired(clock, now), 0);
		assert_int_equal(lease_clock_remaining(clock, 1, now), 1000);
	}
	assert_int_equal(expired(clock, 5499), 0);
	assert_int_equal(expired(clock, 5500), 1);
}

static void lease_that_has_run_out_cannot_be_kept(void **state)
{
	struct lease_clock *clock = *state;
	lease_clock_grant(clock, 1, 1000, 0);
	assert_false(lease_clock_keep(clock, 1, 1000));
	assert_int_equal(expired(clock, 1000), 1);
	assert_false(lease_clock_keep(clock, 1, 1000));
	assert_false(lease_clock_keep(clock, 2, 0));
	lease_clock_forget(clock, 1);
	assert_int_equal(lease_clock_count(clock), 0);
}

static void lease_that_is_granted_again_has_its_full_time(void **state)
{
	struct lease_clock *clock = *state;
	lease_clock_grant(clock, 1, 1000, 0);
	assert_int_equal(expired(clock, 1000), 1);
	lease_clock_grant(clock, 1, 1000, 1000);
	assert_int_equal(expired(clock, 1999), 0);
	assert_int_equal(expired(clock, 2000), 1);
}

/* Against a table that is searched from end to end. */
static void many_leases_run_out_when_they_should(void **state)
{
	struct lease_clock *clock = *state;
	msec until[200] = {0};
	struct random random = {7};
	for (msec now = 0; now < 20000; now++) {
		uint64_t lease = random_below(&random, 200);
		uint64_t ttl = 100 + lease;
		switch (random_below(&random, 4)) {
		case 0:
			lease_clock_grant(clock, lease + 1, (msec)ttl, now);
			until[lease] = now + (msec)ttl;
			break;
		case 1:
			lease_clock_forget(clock, lease + 1);
			until[lease] = 0;
			break;
		default:
			assert_int_equal(lease_clock_keep(clock, lease + 1, now), until[lease] > now);
			if (until[lease] > now)
				until[lease] = now + (msec)ttl;
			break;
		}
		for (uint64_t gone; (gone = expired(clock, now)) != 0; until[gone - 1] = 0)
			assert_true(until[gone - 1] != 0 && until[gone - 1] <= now);
		for (size_t i = 0; i < 200; i++)
			assert_true(until[i] == 0 || until[i] > now);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(leases_run_out_in_the_order_of_their_times, setup, teardown),
		cmocka_unit_test_setup_teardown(lease_that_is_kept_lives_on, setup, teardown),
		cmocka_unit_test_setup_teardown(lease_that_has_run_out_cannot_be_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(lease_that_is_granted_again_has_its_full_time, setup, teardown),
		cmocka_unit_test_setup_teardown(many_leases_run_out_when_they_should, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
