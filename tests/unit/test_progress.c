#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "election/progress.h"

static void batches_are_freed_by_what_is_durable(void **state)
{
	struct progress progress;
	(void)state;
	progress_init(&progress, 2, 1, 0);
	progress_replicate(&progress, 1);
	for (uint64_t last = 10; last <= RAFT_INFLIGHT_MAX * 10; last += 10)
		progress_sent(&progress, last);
	assert_int_equal(progress.inflight_count, RAFT_INFLIGHT_MAX);
	progress_acked(&progress, 25);
	assert_int_equal(progress.match, 25);
	assert_int_equal(progress.inflight_count, RAFT_INFLIGHT_MAX - 2);
	progress_acked(&progress, 20); /* late */
	assert_int_equal(progress.match, 25);
	progress_sent(&progress, RAFT_INFLIGHT_MAX * 10 + 10); /* the ring goes round */
	progress_acked(&progress, RAFT_INFLIGHT_MAX * 10 + 10);
	assert_int_equal(progress.inflight_count, 0);
}

static void a_batch_that_was_cut_short_goes_on_where_it_ended(void **state)
{
	struct progress progress;
	(void)state;
	progress_init(&progress, 2, 1, 0);
	progress_replicate(&progress, 1);
	progress_shorten(&progress, 5); /* nothing was sent: nothing happens */
	assert_int_equal(progress.next, 1);
	progress_sent(&progress, 10);
	progress_shorten(&progress, 4);
	assert_int_equal(progress.next, 5);
	progress_acked(&progress, 4);
	assert_int_equal(progress.inflight_count, 0);
}

static void acknowledgement_beyond_what_was_sent_moves_on(void **state)
{
	struct progress progress;
	(void)state;
	progress_init(&progress, 2, 3, 0);
	progress_acked(&progress, 8);
	assert_int_equal(progress.next, 9);
	progress_probe(&progress, 9);
	assert_int_equal(progress.state, RAFT_PROBE);
	progress_snapshot(&progress);
	assert_int_equal(progress.state, RAFT_SNAPSHOT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batches_are_freed_by_what_is_durable),
		cmocka_unit_test(a_batch_that_was_cut_short_goes_on_where_it_ended),
		cmocka_unit_test(acknowledgement_beyond_what_was_sent_moves_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
