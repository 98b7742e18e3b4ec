#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "election/log_terms.h"

static void terms_of_entries_are_found(void **state)
{
	struct log_terms log;
	uint64_t term;
	(void)state;
	log_terms_init(&log, 10, 2);
	log_terms_append(&log, 2, 3);
	log_terms_append(&log, 5, 1);
	log_terms_append(&log, 9, 4);
	assert_int_equal(log.last_index, 18);
	assert_int_equal(log_terms_last_term(&log), 9);
	assert_true(log_terms_at(&log, 10, &term) && term == 2);
	assert_true(log_terms_at(&log, 13, &term) && term == 2);
	assert_true(log_terms_at(&log, 14, &term) && term == 5);
	assert_true(log_terms_at(&log, 18, &term) && term == 9);
	assert_false(log_terms_at(&log, 9, &term));
	assert_false(log_terms_at(&log, 19, &term));
	assert_int_equal(log.count, 3);
	log_terms_finish(&log);
}

static void place_where_logs_may_agree_goes_back_by_terms(void **state)
{
	struct log_terms log;
	(void)state;
	log_terms_init(&log, 4, 3);
	log_terms_append(&log, 4, 2);
	log_terms_append(&log, 7, 2);
	assert_int_equal(log_terms_last_at_most(&log, 8, 7), 8);
	assert_int_equal(log_terms_last_at_most(&log, 8, 6), 6);
	assert_int_equal(log_terms_last_at_most(&log, 8, 3), 4);
	assert_int_equal(log_terms_last_at_most(&log, 5, 9), 5);
	assert_int_equal(log_terms_last_at_most(&log, 4, 1), 4);
	log_terms_finish(&log);
}

static void snapshot_takes_the_place_of_all(void **state)
{
	struct log_terms log;
	uint64_t term;
	(void)state;
	log_terms_init(&log, 0, 0);
	log_terms_append(&log, 1, 5);
	log_terms_reset(&log, 20, 6);
	assert_int_equal(log.last_index, 20);
	assert_true(log_terms_at(&log, 20, &term) && term == 6);
	assert_false(log_terms_match(&log, 5, 1));
	log_terms_finish(&log);
}

/* Against the plain thing: an array of terms. */
static void any_history_is_as_an_array_of_terms(void **state)
{
	struct random random = {7};
	(void)state;
	for (int round = 0; round < 200; round++) {
		struct log_terms log;
		uint64_t terms[400] = {0};
		uint64_t base = 0, last = 0, top = 1;
		log_terms_init(&log, 0, 0);
		for (int step = 0; step < 60; step++) {
			uint64_t what = random_below(&random, 6);
			if (what < 4 && last < 390) {
				uint64_t count = random_below(&random, 6);
				top += random_below(&random, 2);
				log_terms_append(&log, top, count);
				for (; count > 0; count--)
					terms[++last] = top;
			} else if (what == 4) {
				last = base + random_below(&random, last - base + 1);
				top = terms[last] > 0 ? terms[last] : 1;
				log_terms_cut_after(&log, last);
			} else {
				base += random_below(&random, last - base + 1);
				log_terms_compact(&log, base);
			}
			assert_int_equal(log.last_index, last);
			assert_int_equal(log.base_index, base);
			for (uint64_t i = base; i <= last; i++)
				assert_true(log_terms_match(&log, i, terms[i]));
		}
		log_terms_finish(&log);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(terms_of_entries_are_found),
		cmocka_unit_test(place_where_logs_may_agree_goes_back_by_terms),
		cmocka_unit_test(snapshot_takes_the_place_of_all),
		cmocka_unit_test(any_history_is_as_an_array_of_terms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
