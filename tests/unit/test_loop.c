#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/loop.h"
#include "net/turn.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What happened, as letters in order. */
struct trace {
	struct loop *loop;
	char text[64];
};

static struct trace trace;

static void note(char letter)
{
	size_t size = strlen(trace.text);
	assert_true(size + 1 < sizeof trace.text);
	trace.text[size] = letter;
	trace.text[size + 1] = '\0';
}

static void too_late(void *context)
{
	(void)context;
	fail_msg("the deadline passed; so far: %s", trace.text);
}

static int setup(void **state)
{
	(void)state;
	memset(&trace, 0, sizeof trace);
	return loop_create(&trace.loop);
}

static int teardown(void **state)
{
	(void)state;
	loop_destroy(trace.loop);
	return 0;
}

static void run(void)
{
	struct loop_timer *deadline = loop_timer_create(trace.loop, too_late, NULL);
	loop_timer_set(deadline, loop_now(trace.loop) + 10000);
	loop_run(trace.loop);
	loop_timer_destroy(deadline);
}

static void note_a(void *context)
{
	(void)context;
	note('a');
}

static void note_b(void *context)
{
	(void)context;
	note('b');
}

static void stop(void *context)
{
	(void)context;
	note('s');
	loop_stop(trace.loop);
}

static void timers_fire_in_the_order_of_their_deadlines(void **state)
{
	(void)state;
	struct loop_timer *last = loop_timer_create(trace.loop, stop, NULL);
	struct loop_timer *second = loop_timer_create(trace.loop, note_b, NULL);
	struct loop_timer *first = loop_timer_create(trace.loop, note_a, NULL);
	msec now = loop_now(trace.loop);
	loop_timer_set(last, now + 30);
	loop_timer_set(second, now + 20);
	loop_timer_set(first, now + 10);
	run();
	assert_string_equal(trace.text, "abs");
	assert_true(loop_now(trace.loop) >= now + 30);
	loop_timer_destroy(first);
	loop_timer_destroy(second);
	loop_timer_destroy(last);
}

static msec fired_at;

static void note_time(void *context)
{
	(void)context;
	fired_at = loop_now(trace.loop);
	loop_stop(trace.loop);
}

static void timer_never_fires_before_its_deadline(void **state)
{
	(void)state;
	struct loop_timer *timer = loop_timer_create(trace.loop, note_time, NULL);
	for (int i = 0; i < 20; i++) {
		msec deadline = loop_now(trace.loop) + 1 + i % 3;
		loop_timer_set(timer, deadline);
		run();
		assert_true(fired_at >= deadline);
	}
	loop_timer_destroy(timer);
}

static void timer_that_is_disarmed_or_destroyed_does_not_fire(void **state)
{
	(void)state;
	struct loop_timer *disarmed = loop_timer_create(trace.loop, note_a, NULL);
	struct loop_timer *destroyed = loop_timer_create(trace.loop, note_b, NULL);
	struct loop_timer *end = loop_timer_create(trace.loop, stop, NULL);
	msec now = loop_now(trace.loop);
	loop_timer_set(disarmed, now + 1);
	loop_timer_set(destroyed, now + 1);
	loop_timer_set(end, now + 5);
	loop_timer_set(disarmed, MSEC_NEVER);
	loop_timer_destroy(destroyed);
	run();
	assert_string_equal(trace.text, "s");
	loop_timer_destroy(disarmed);
	loop_timer_destroy(end);
}

static void deadline_far_beyond_any_clock_is_accepted(void **state)
{
	(void)state;
	struct loop_timer *far = loop_timer_create(trace.loop, note_a, NULL);
	struct loop_timer *past = loop_timer_create(trace.loop, stop, NULL);
	loop_timer_set(far, MSEC_NEVER - 1);
	loop_timer_set(past, INT64_MIN);
	run();
	assert_string_equal(trace.text, "s");
	loop_timer_destroy(far);
	loop_timer_destroy(past);
}

static void stop_before_run_makes_run_return_at_once(void **state)
{
	(void)state;
	loop_stop(trace.loop);
	run();
	assert_string_equal(trace.text, "");
}

/* --- turns */

static int pipes[2][2];
static struct loop_task flush_task;

static void first_ready(void *context, bool readable, bool writable)
{
	(void)context;
	assert_true(readable);
	assert_false(writable);
	char byte;
	assert_int_equal(read(pipes[0][0], &byte, 1), 1);
	loop_task_queue(trace.loop, LOOP_FLUSH, &flush_task);
	note('1');
}

static void second_ready(void *context, bool readable, bool writable)
{
	(void)context;
	(void)readable;
	(void)writable;
	char byte;
	assert_int_equal(read(pipes[1][0], &byte, 1), 1);
	note('2');
}

static void turn_end(void *context)
{
	(void)context;
	note('e');
	loop_stop(trace.loop);
}

static void turn_end_comes_once_after_all_that_is_ready_and_before_the_flush(void **state)
{
	(void)state;
	flush_task = (struct loop_task){.call = note_a};
	loop_at_turn_end(trace.loop, turn_end, NULL);
	loop_at_turn_end(trace.loop, note_b, NULL);
	struct loop_watch *watches[2];
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe(pipes[i]), 0);
		assert_int_equal(write(pipes[i][1], "x", 1), 1);
		watches[i] = loop_watch_create(trace.loop, pipes[i][0], i == 0 ? first_ready : second_ready, NULL);
		loop_watch_set(watches[i], true, false);
	}
	run();
	if (trace.text[0] == '1')
		assert_string_equal(trace.text, "12eba");
	else
		assert_string_equal(trace.text, "21eba");
	for (int i = 0; i < 2; i++) {
		loop_watch_destroy(watches[i]);
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	loop_forget_turn_end(trace.loop, turn_end, NULL);
	assert_string_equal(trace.text + 2, "eba");
}

static struct loop_task endless;
static int endless_runs;

static void run_again(void *context)
{
	(void)context;
	endless_runs++;
	loop_task_queue(trace.loop, LOOP_READY, &endless);
}

static void task_that_queues_itself_does_not_keep_timers_from_firing(void **state)
{
	(void)state;
	struct loop_timer *timer = loop_timer_create(trace.loop, stop, NULL);
	endless = (struct loop_task){.call = run_again};
	endless_runs = 0;
	loop_task_queue(trace.loop, LOOP_READY, &endless);
	loop_timer_set(timer, loop_now(trace.loop) + 5);
	run();
	assert_string_equal(trace.text, "s");
	assert_true(endless_runs > 1);
	loop_task_cancel(trace.loop, LOOP_READY, &endless);
	loop_timer_destroy(timer);
}

static void watch_can_be_destroyed_from_inside(void *context, bool readable, bool writable)
{
	(void)readable;
	(void)writable;
	struct loop_watch **watch = context;
	note('w');
	loop_watch_destroy(*watch);
	*watch = NULL;
	loop_stop(trace.loop);
}

static void destroyed_watch_is_not_called_again(void **state)
{
	(void)state;
	struct loop_watch *watch;
	assert_int_equal(pipe(pipes[0]), 0);
	watch = loop_watch_create(trace.loop, pipes[0][1], watch_can_be_destroyed_from_inside, &watch);
	loop_watch_set(watch, false, true);
	run();
	assert_string_equal(trace.text, "w");
	assert_null(watch);
	close(pipes[0][0]);
	close(pipes[0][1]);
}

static void signal_is_an_event_of_the_loop(void **state)
{
	(void)state;
	struct loop_signal *event = loop_signal_create(trace.loop, SIGUSR1, stop, NULL);
	raise(SIGUSR1);
	run();
	assert_string_equal(trace.text, "s");
	loop_signal_destroy(event);
}

static void busy_for_20_ms(void *context)
{
	(void)context;
	struct timespec start, now;
	clock_gettime(CLOCK_MONOTONIC, &start);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - start.tv_sec) * 1000000000LL + (now.tv_nsec - start.tv_nsec) < 20000000);
	loop_stop(trace.loop);
}

static void longest_stall_is_the_time_of_a_turn_and_not_of_waiting(void **state)
{
	(void)state;
	struct loop_timer *timer = loop_timer_create(trace.loop, busy_for_20_ms, NULL);
	loop_timer_set(timer, loop_now(trace.loop));
	run();
	long long stall = loop_longest_stall_us(trace.loop);
	assert_in_range(stall, 19000, 5000000);
	assert_int_equal(loop_longest_stall_us(trace.loop), 0);
	struct loop_timer *idle = loop_timer_create(trace.loop, stop, NULL);
	loop_timer_set(idle, loop_now(trace.loop) + 100);
	run();
	assert_in_range(loop_longest_stall_us(trace.loop), 0, 99000);
	loop_timer_destroy(timer);
	loop_timer_destroy(idle);
}

static void clocks_stand_still_within_a_turn(void *context)
{
	(void)context;
	msec now = loop_now(trace.loop);
	msec wall = loop_wall(trace.loop);
	busy_for_20_ms(NULL);
	assert_int_equal(loop_now(trace.loop), now);
	assert_int_equal(loop_wall(trace.loop), wall);
	note('c');
}

static void clock_is_read_once_a_turn(void **state)
{
	(void)state;
	struct loop_timer *timer = loop_timer_create(trace.loop, clocks_stand_still_within_a_turn, NULL);
	msec before = loop_now(trace.loop);
	loop_timer_set(timer, before);
	run();
	assert_string_equal(trace.text, "c");
	assert_true(loop_now(trace.loop) >= before + 20);
	assert_true(loop_wall(trace.loop) > 1500000000000);
	loop_timer_destroy(timer);
}

static struct loop_pause *pause_of_test;
static struct loop_task flush_of_test;

static void note_flush(void *context)
{
	(void)context;
	note('f');
}

static void note_end(void *context)
{
	(void)context;
	note('e');
}

static void ask_for_a_pause(void *context)
{
	(void)context;
	note('a');
	loop_pause_ask(pause_of_test);
	loop_pause_ask(pause_of_test);
	flush_of_test = (struct loop_task){.call = note_flush};
	loop_task_queue(trace.loop, LOOP_FLUSH, &flush_of_test);
}

static void note_work(void *context)
{
	(void)context;
	note('w');
}

static void note_done_and_stop(void *context)
{
	(void)context;
	note('d');
	loop_stop(trace.loop);
}

static void a_pause_lies_between_two_turns_behind_what_was_written(void **state)
{
	(void)state;
	struct loop_timer *timer = loop_timer_create(trace.loop, ask_for_a_pause, NULL);
	pause_of_test = loop_pause_create(trace.loop, note_work, note_done_and_stop, NULL);
	loop_at_turn_end(trace.loop, note_end, NULL);
	loop_timer_set(timer, loop_now(trace.loop));
	run();
	assert_string_equal(trace.text, "aefwde");
	loop_pause_ask(pause_of_test);
	run();
	assert_string_equal(trace.text, "aefwdeewde");
	loop_timer_destroy(timer);
	loop_pause_destroy(pause_of_test);
}

static void destroy_pause_and_stop(void *context)
{
	(void)context;
	note('x');
	loop_pause_ask(pause_of_test);
	loop_pause_destroy(pause_of_test);
	loop_stop(trace.loop);
}

static void a_destroyed_pause_is_not_called_any_more(void **state)
{
	(void)state;
	struct loop_timer *timer = loop_timer_create(trace.loop, destroy_pause_and_stop, NULL);
	pause_of_test = loop_pause_create(trace.loop, note_work, note_done_and_stop, NULL);
	loop_timer_set(timer, loop_now(trace.loop));
	run();
	assert_string_equal(trace.text, "x");
	loop_timer_destroy(timer);
}

static void work_in_a_pause_counts_as_a_stall(void **state)
{
	(void)state;
	struct loop_pause *pause = loop_pause_create(trace.loop, busy_for_20_ms, note_done_and_stop, NULL);
	loop_pause_ask(pause);
	run();
	assert_in_range(loop_longest_stall_us(trace.loop), 19000, 5000000);
	loop_pause_destroy(pause);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(timers_fire_in_the_order_of_their_deadlines),
		TEST(timer_never_fires_before_its_deadline),
		TEST(timer_that_is_disarmed_or_destroyed_does_not_fire),
		TEST(deadline_far_beyond_any_clock_is_accepted),
		TEST(stop_before_run_makes_run_return_at_once),
		TEST(turn_end_comes_once_after_all_that_is_ready_and_before_the_flush),
		TEST(task_that_queues_itself_does_not_keep_timers_from_firing),
		TEST(destroyed_watch_is_not_called_again),
		TEST(signal_is_an_event_of_the_loop),
		TEST(longest_stall_is_the_time_of_a_turn_and_not_of_waiting),
		TEST(clock_is_read_once_a_turn),
		TEST(a_pause_lies_between_two_turns_behind_what_was_written),
		TEST(a_destroyed_pause_is_not_called_any_more),
		TEST(work_in_a_pause_counts_as_a_stall),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
