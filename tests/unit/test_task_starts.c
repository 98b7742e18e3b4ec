#include "daemon/allocations_internal.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#define DEADLINE_MS 30000

static struct {
	struct loop *loop;
	struct task_starts *starts;
	struct task_start tasks[5];
	int begun;
	int last;
} run;

static void note_begin(void *context, struct task_start *start)
{
	(void)context;
	run.begun++;
	run.last = (int)(start - run.tasks);
	loop_stop(run.loop);
}

static void give_up(void *context)
{
	loop_stop(context);
}

static int setup(void **state)
{
	(void)state;
	memset(&run, 0, sizeof run);
	assert_int_equal(loop_create(&run.loop), 0);
	run.starts = task_starts_create(run.loop, 2, note_begin, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		task_starts_done(run.starts, &run.tasks[i]);
	task_starts_destroy(run.starts);
	loop_destroy(run.loop);
	return 0;
}

static void wait_until_begun(int count)
{
	struct loop_timer *timer = loop_timer_create(run.loop, give_up, run.loop);
	msec deadline = loop_now(run.loop) + DEADLINE_MS;
	loop_timer_set(timer, deadline);
	while (run.begun < count && loop_now(run.loop) < deadline)
		loop_run(run.loop);
	loop_timer_destroy(timer);
	assert_int_equal(run.begun, count);
}

static void add_all(void)
{
	for (int i = 0; i < 5; i++) {
		task_starts_add(run.starts, &run.tasks[i]);
		task_starts_add(run.starts, &run.tasks[i]); /* again: nothing */
	}
}

static void tasks_begin_one_after_the_other_and_not_more_than_the_limit(void **state)
{
	(void)state;
	add_all();
	assert_int_equal(run.begun, 0); /* never from inside of a call */
	wait_until_begun(2);
	assert_int_equal(run.last, 1);
	task_starts_done(run.starts, &run.tasks[0]);
	task_starts_done(run.starts, &run.tasks[0]); /* again: nothing */
	wait_until_begun(3);
	assert_int_equal(run.last, 2);
}

static void task_that_need_not_begin_any_more_leaves_the_line(void **state)
{
	(void)state;
	add_all();
	task_starts_done(run.starts, &run.tasks[1]);
	wait_until_begun(2);
	assert_int_equal(run.last, 2);
}

static void start_that_takes_long_does_not_hold_up_others(void **state)
{
	(void)state;
	add_all();
	wait_until_begun(4); /* nobody says that the first two have begun */
	assert_int_equal(run.last, 3);
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		FACT(tasks_begin_one_after_the_other_and_not_more_than_the_limit),
		FACT(task_that_need_not_begin_any_more_leaves_the_line),
		FACT(start_that_takes_long_does_not_hold_up_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
