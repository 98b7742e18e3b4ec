#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "machine_fixture.h"

#include <stdlib.h>

/* Steps of instances: what a command does to calls, history and effects. The rows of the reducer are those of the paper's engine:
 * results posted, then updates of the instance, assignments and events. */

static const char source[] =
	"type N = Number\n"
	"process Split(x: N) -> N * N { retries = 0 }\n"
	"process Left(a: N) -> Text { retries = 2  backoff = 1s  start_timeout = 1s }\n"
	"process Right(b: N) -> Text { retries = 0 }\n"
	"workflow R(x: N) -> Text * Text { (a, b) = Split(x)  (Left(a), Right(b)) }\n"
	"workflow One(x: N) -> Text { Left(x) }\n"
	"workflow Sleep(x: N) -> Text { Left(x) after sleep(10s) }\n"
	"workflow Nap(x: N) -> Text { Left(x) after sleep(0ms) }\n"
	"workflow Signal(x: N) -> Text { signal(\"word\", \"k\") }\n"
	"workflow Both(x: N) -> Text * Text { (signal(\"word\", \"k\"), signal(\"word\", \"k\")) }\n"
	"workflow Each(ns: [N]) -> [Text] { each n in ns { Left(n) } }\n";

static struct machine_fixture *prepared(void **state)
{
	registers(*state, source);
	return *state;
}

/* --- rows of the reducer ------------------------------------------------------------------------------------------- */

static void new_instance_opens_its_first_call(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	assert_int_equal(starts(fixture, "R", "{\"x\":21}"), 1);
	assert_effects(fixture, "ready 1/1");
	assert_string_equal(history_after(fixture, 1, 0), "start,call 1");
	assert_tells(fixture, "SELECT state, step FROM pi_instance", "running|1");
	assert_tells(fixture, "SELECT ref, process, state, args FROM pi_call", "1|Split|ready|{\"x\":21}");
}

static void result_that_two_calls_wait_for_opens_both(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "R", "{\"x\":21}");
	uint64_t attempt = assigns(fixture, 1, 1);
	uint64_t seq = last_seq(fixture);
	returns(fixture, 1, 1, attempt, "[2,1]");
	assert_effects(fixture, "closed 1/1:1, withdrawn 1/1, ready 1/2, ready 1/3");
	assert_string_equal(history_after(fixture, 1, seq), "return 1,call 2,call 3");
	assert_tells(fixture, "SELECT ref, state, args, result, step FROM pi_call",
	             "1|done|{\"x\":21}|[2,1]|2,2|ready|{\"a\":2}|-|0,3|ready|{\"b\":1}|-|0");
}

static void result_that_opens_nothing_is_recorded_and_the_instance_is_idle(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "R", "{\"x\":21}");
	completes(fixture, 1, 1, "[2,1]");
	uint64_t attempt = assigns(fixture, 1, 2);
	uint64_t seq = last_seq(fixture);
	returns(fixture, 1, 2, attempt, "\"left\"");
	assert_effects(fixture, "closed 1/2:1, withdrawn 1/2");
	assert_string_equal(history_after(fixture, 1, seq), "return 2,idle");
}

static void last_result_finishes_the_instance_once(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "R", "{\"x\":21}");
	completes(fixture, 1, 1, "[2,1]");
	completes(fixture, 1, 2, "\"left\"");
	uint64_t attempt = assigns(fixture, 1, 3);
	uint64_t seq = last_seq(fixture);
	fixture->now += 5;
	returns(fixture, 1, 3, attempt, "\"right\"");
	assert_effects(fixture, "closed 1/3:1, withdrawn 1/3, finished 1 completed");
	assert_string_equal(history_after(fixture, 1, seq), "return 3,result");
	assert_tells(fixture, "SELECT state, result, error, finished_ms - started_ms FROM pi_instance",
	             "completed|[\"left\",\"right\"]|-|5");
	assert_null(machine_find(fixture->machine, 1));
}

static void results_of_one_command_are_reduced_in_one_step(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "R", "{\"x\":21}");
	completes(fixture, 1, 1, "[2,1]");
	uint64_t left = assigns(fixture, 1, 2);
	uint64_t right = assigns(fixture, 1, 3);
	uint64_t seq = last_seq(fixture);
	results(fixture, 1, (struct command_returned[]){{.ref = 2, .attempt = left, .value = SLICE("\"l\"")},
	                                                {.ref = 3, .attempt = right, .value = SLICE("\"r\"")}}, 2);
	assert_string_equal(history_after(fixture, 1, seq), "return 2,return 3,result");
	assert_tells(fixture, "SELECT step FROM pi_call ORDER BY ref", "2,3,3");
}

static void metadata_lands_on_the_return(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	uint64_t attempt = assigns(fixture, 1, 1);
	results(fixture, 1, &(struct command_returned){.ref = 1, .attempt = attempt, .value = SLICE("\"v\""),
	                                               .metadata = SLICE("{\"cost\":3}")}, 1);
	assert_tells(fixture, "SELECT detail FROM pi_history WHERE kind = 'return'", "{\"step\":2,\"metadata\":{\"cost\":3}}");
}

/* --- what comes twice, late, or for nothing ------------------------------------------------------------------------ */

static void second_result_of_a_call_changes_nothing(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "R", "{\"x\":21}");
	completes(fixture, 1, 1, "[2,1]");
	uint64_t attempt = assigns(fixture, 1, 2);
	returns(fixture, 1, 2, attempt, "\"first\"");
	uint64_t seq = last_seq(fixture);
	returns(fixture, 1, 2, attempt, "\"second\"");
	assert_effects(fixture, "closed 1/2:1");
	assert_int_equal(last_seq(fixture), seq);
	assert_tells(fixture, "SELECT result FROM pi_call WHERE ref = 2", "\"first\"");
}

static void result_after_the_end_changes_nothing_and_neighbours_go_on(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	starts(fixture, "One", "{\"x\":2}");
	uint64_t attempt = assigns(fixture, 1, 1);
	returns(fixture, 1, 1, attempt, "\"first\"");
	uint64_t seq = last_seq(fixture);
	returns(fixture, 1, 1, attempt, "\"second\"");
	assert_effects(fixture, "closed 1/1:1");
	assert_int_equal(last_seq(fixture), seq);
	completes(fixture, 2, 1, "\"other\"");
	assert_tells(fixture, "SELECT result FROM pi_instance ORDER BY id", "\"first\",\"other\"");
}

static void result_for_no_instance_at_all_changes_nothing(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	uint64_t seq = last_seq(fixture);
	returns(fixture, 99, 1, 65537, "1");
	assert_effects(fixture, "closed 99/1:1");
	assert_int_equal(last_seq(fixture), seq);
}

static void success_of_an_earlier_attempt_counts_and_stops_the_later_one(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	uint64_t first = assigns(fixture, 1, 1);
	fails(fixture, 1, 1, first, "the connection was lost");
	passes(fixture, 1000);
	assigns(fixture, 1, 1);
	returns(fixture, 1, 1, first, "\"late\"");
	assert_effects(fixture, "closed 1/1:1, abandoned 1/1:2, withdrawn 1/1, finished 1 completed");
	assert_tells(fixture, "SELECT result FROM pi_instance", "\"late\"");
}

static void success_while_the_call_backs_off_counts_and_takes_its_timer(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	uint64_t first = assigns(fixture, 1, 1);
	fails(fixture, 1, 1, first, "the connection was lost");
	returns(fixture, 1, 1, first, "\"late\"");
	assert_tells(fixture, "SELECT state FROM pi_instance", "completed");
	assert_tells(fixture, "SELECT count(*) FROM timer", "0");
}

static void failure_of_an_earlier_attempt_does_not_count(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	uint64_t first = assigns(fixture, 1, 1);
	fails(fixture, 1, 1, first, "no");
	passes(fixture, 1000);
	assigns(fixture, 1, 1);
	uint64_t seq = last_seq(fixture);
	fails_for_good(fixture, 1, 1, first, "no, really");
	assert_effects(fixture, "closed 1/1:1");
	assert_int_equal(last_seq(fixture), seq);
	assert_tells(fixture, "SELECT state, attempts FROM pi_call", "running|2");
}

static void failure_told_twice_counts_once(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	uint64_t first = assigns(fixture, 1, 1);
	fails(fixture, 1, 1, first, "no");
	uint64_t seq = last_seq(fixture);
	fails(fixture, 1, 1, first, "no"); /* while it backs off */
	assert_int_equal(last_seq(fixture), seq);
	passes(fixture, 1000);
	fails_for_good(fixture, 1, 1, first, "no"); /* while it waits to be handed out */
	assert_int_equal(last_seq(fixture), seq);
	assert_tells(fixture, "SELECT state, attempts FROM pi_call", "ready|1");
	assert_tells(fixture, "SELECT count(*) FROM timer", "0");
}

static void result_of_a_call_that_waits_to_be_handed_out_again_takes_it_back(void **state)
{
	/* A new leader hands out again what its catalog says is running; then a worker brings the old attempt's result. */
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	uint64_t old = assigns(fixture, 1, 1);
	fixture->term = 2;
	returns(fixture, 1, 1, old, "\"kept\"");
	assert_effects(fixture, "closed 1/1:1, withdrawn 1/1, finished 1 completed");
}

/* --- handing out --------------------------------------------------------------------------------------------------- */

static void assignment_is_recorded(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	fixture->now += 7;
	assigns(fixture, 1, 1);
	assert_effects(fixture, "");
	assert_tells(fixture, "SELECT state, node, attempts, attempt, started_ms - called_ms FROM pi_call",
	             "running|node|1|65537|7");
}

static void call_that_ran_on_a_lost_node_is_assigned_again_without_counting(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	assigns(fixture, 1, 1);
	fixture->term = 2;
	assigns(fixture, 1, 1);
	assert_effects(fixture, "");
	assert_tells(fixture, "SELECT state, attempts, attempt FROM pi_call", "running|1|131074");
}

static void call_that_came_to_another_node_with_its_worker_is_recorded_there(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	struct command command = {.kind = COMMAND_ASSIGNED};
	starts(fixture, "One", "{\"x\":1}");
	struct command_assignment assignment = {1, 1, assigns(fixture, 1, 1)};
	fixture->now += 7;
	command.assigned.node = SLICE("other");
	command.assigned.calls = &assignment;
	command.assigned.count = 1;
	machine_fixture_apply(fixture, &command);
	assert_effects(fixture, "");
	assert_tells(fixture, "SELECT state, node, attempts, attempt, started_ms - called_ms FROM pi_call",
	             "running|other|1|65537|0");
}

static void assignment_of_a_call_that_is_done_is_abandoned(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	uint64_t first = assigns(fixture, 1, 1);
	returns(fixture, 1, 1, first, "\"v\"");
	assigns_attempt(fixture, 1, 1, first + 1);
	assert_effects(fixture, "abandoned 1/1:2");
	assert_tells(fixture, "SELECT state, attempt FROM pi_call", "done|65537");
}

static void number_of_an_abandoned_attempt_is_used_up(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	uint64_t first = assigns(fixture, 1, 1);
	fails(fixture, 1, 1, first, "no");
	assigns_attempt(fixture, 1, 1, first + 1); /* handed out by a leader that did not know of the failure so far */
	assert_effects(fixture, "abandoned 1/1:2");
	passes(fixture, 1000);
	assert_int_equal(assigns(fixture, 1, 1), first + 2);
}

/* The call is done, but not written so far: it counts as one that is not there. */
static void assignment_after_the_result_is_the_same_in_one_transaction_and_in_two(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "R", "{\"x\":21}");
	uint64_t first = assigns(fixture, 1, 1);
	machine_fixture_begin(fixture);
	returns(fixture, 1, 1, first, "[2,1]");
	assigns_attempt(fixture, 1, 1, first + 1);
	machine_fixture_commit(fixture);
	assert_tells(fixture, "SELECT state, attempt, attempts FROM pi_call WHERE ref = 1", "done|65537|1");
}

static void call_that_is_not_started_in_time_has_had_an_attempt(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	fails_to_start(fixture, 1, 1, attempt_after(0, 1));
	assert_tells(fixture, "SELECT state, attempts, error FROM pi_call", "backoff|1|late");
	passes(fixture, 1000);
	assert_effects(fixture, "ready 1/1");
	assert_tells(fixture, "SELECT attempt, attempts FROM pi_call", "65537|1");
}

/* The next leader says so too, or its worker has come elsewhere with it and it expires there once more. */
static void timeout_that_is_told_twice_does_not_count_against_the_next_attempt(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	uint64_t first = assigns(fixture, 1, 1);
	times_out(fixture, 1, 1, first);
	passes(fixture, 1000);
	assert_tells(fixture, "SELECT state, attempts FROM pi_call", "ready|1");
	times_out(fixture, 1, 1, first);
	assert_tells(fixture, "SELECT state, attempts FROM pi_call", "ready|1");
	assert_int_equal(assigns(fixture, 1, 1), first + 1);
	assert_tells(fixture, "SELECT state, attempt, attempts FROM pi_call", "running|65538|2");
}

static void call_that_twice_is_not_started_in_time_is_told_so_twice(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	fails_to_start(fixture, 1, 1, attempt_after(0, 1));
	passes(fixture, 1000);
	fails_to_start(fixture, 1, 1, attempt_after(0, 1));
	assert_tells(fixture, "SELECT state, attempts FROM pi_call", "ready|1");
	fails_to_start(fixture, 1, 1, attempt_after(0, 1) + 1);
	assert_tells(fixture, "SELECT state, attempts FROM pi_call", "backoff|2");
}

static void attempts_are_numbered_upwards_whatever_the_terms(void **state)
{
	(void)state;
	assert_int_equal(attempt_after(0, 1), 1u << 16 | 1);
	assert_int_equal(attempt_after(1u << 16 | 1, 1), 1u << 16 | 2);
	assert_int_equal(attempt_after(1u << 16 | 1, 2), 2u << 16 | 2);
	for (uint64_t last = 1u << 16 | 0xFFF0; last < (1u << 16 | 0xFFFF) + 20;) {
		uint64_t next = attempt_after(last, 1);
		assert_true(next > last);
		last = next;
	}
}

/* --- attempts and timers ------------------------------------------------------------------------------------------- */

static void failed_attempt_waits_then_is_ready_again(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	uint64_t first = assigns(fixture, 1, 1);
	fails(fixture, 1, 1, first, "no \"luck\"");
	assert_effects(fixture, "closed 1/1:1, withdrawn 1/1");
	assert_tells(fixture, "SELECT state, error FROM pi_call", "backoff|no \"luck\"");
	assert_tells(fixture, "SELECT json_extract(detail, '$.attempt', '$.cause', '$.message') FROM pi_history"
	             " WHERE kind = 'attempt_failed'", "[1,\"error\",\"no \\\"luck\\\"\"]");
	passes(fixture, 800);
	assert_effects(fixture, "");
	passes(fixture, 200);
	assert_effects(fixture, "ready 1/1");
	assert_tells(fixture, "SELECT state, due_ms FROM pi_call", "ready|-");
}

static void waits_double_and_lose_a_tenth_at_most(void **state)
{
	struct machine_fixture *fixture = *state;
	registers(fixture, "process P() -> Text { retries = 5  backoff = 1s  backoff_max = 3s }\nworkflow W() -> Text { P() }\n");
	starts(fixture, "W", "{}");
	static const msec limits[] = {1000, 2000, 3000, 3000};
	for (size_t i = 0; i < 4; i++) {
		fails(fixture, 1, 1, assigns(fixture, 1, 1), "no");
		msec wait = strtoll(tells(fixture, "SELECT due_ms FROM pi_call"), NULL, 10) - fixture->now;
		assert_in_range(wait, limits[i] - limits[i] / 10, limits[i]);
		passes(fixture, 3000);
	}
}

static void sleep_ends_when_it_is_due_and_not_before(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "Sleep", "{\"x\":1}");
	assert_effects(fixture, "");
	assert_tells(fixture, "SELECT kind, state FROM pi_call", "sleep|running");
	passes(fixture, 9999);
	assert_effects(fixture, "");
	passes(fixture, 1);
	assert_effects(fixture, "ready 1/2");
	assert_tells(fixture, "SELECT state, result FROM pi_call WHERE ref = 1", "done|null");
	assert_tells(fixture, "SELECT count(*) FROM timer", "0");
}

static void timers_fire_a_bounded_number_at_once_in_the_order_they_are_due(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	machine_fixture_begin(fixture);
	for (int i = 0; i < 300; i++)
		starts(fixture, "Nap", "{\"x\":1}");
	machine_fixture_commit(fixture);
	passes(fixture, 1);
	assert_tells(fixture, "SELECT count(*), min(instance) FROM timer", "44|257");
	passes(fixture, 0);
	assert_tells(fixture, "SELECT count(*) FROM timer", "0");
}

/* --- signals ------------------------------------------------------------------------------------------------------- */

static void signal_goes_to_who_waits_for_its_name_and_key(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "Signal", "{\"x\":1}");
	signals(fixture, 1, "word", "\"other\"", "\"not this\"");
	assert_tells(fixture, "SELECT state FROM pi_instance", "running");
	signals(fixture, 1, "word", "\"k\"", "\"this\"");
	assert_effects(fixture, "finished 1 completed");
	assert_tells(fixture, "SELECT result FROM pi_instance", "\"this\"");
	assert_tells(fixture, "SELECT count(*) FROM signal", "0");
}

static void signals_before_their_wait_are_kept_in_order(void **state)
{
	struct machine_fixture *fixture = *state;
	registers(fixture, "process P(x: Text) -> Text\n"
	                   "workflow W(x: Text) -> Text * Text {\n"
	                   "  p = P(x)\n"
	                   "  (signal(\"word\", \"k\") after p, signal(\"word\", \"k\") after p)\n"
	                   "}\n");
	starts(fixture, "W", "{\"x\":\"a\"}");
	signals(fixture, 1, "word", "\"k\"", "\"one\"");
	signals(fixture, 1, "word", "\"k\"", "\"two\"");
	assert_tells(fixture, "SELECT value FROM signal ORDER BY seq", "\"one\",\"two\"");
	completes(fixture, 1, 1, "\"done\"");
	assert_tells(fixture, "SELECT state, result FROM pi_instance", "completed|[\"one\",\"two\"]");
	assert_tells(fixture, "SELECT count(*) FROM signal", "0");
}

static void signal_is_taken_by_the_wait_that_was_opened_first(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "Both", "{\"x\":1}");
	signals(fixture, 1, "word", "\"k\"", "\"one\"");
	assert_tells(fixture, "SELECT ref, state FROM pi_call", "1|done,2|running");
	signals(fixture, 1, "word", "\"k\"", "\"two\"");
	assert_tells(fixture, "SELECT result FROM pi_instance", "[\"one\",\"two\"]");
}

static void signal_to_a_finished_instance_is_refused(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "Signal", "{\"x\":1}");
	signals(fixture, 1, "word", "\"k\"", "\"this\"");
	uint64_t seq = last_seq(fixture);
	signals(fixture, 1, "word", "\"k\"", "\"that\"");
	assert_int_equal(fixture->answer.code, ERR_CONFLICT);
	assert_int_equal(last_seq(fixture), seq);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(new_instance_opens_its_first_call),
		MACHINE_TEST(result_that_two_calls_wait_for_opens_both),
		MACHINE_TEST(result_that_opens_nothing_is_recorded_and_the_instance_is_idle),
		MACHINE_TEST(last_result_finishes_the_instance_once),
		MACHINE_TEST(results_of_one_command_are_reduced_in_one_step),
		MACHINE_TEST(metadata_lands_on_the_return),
		MACHINE_TEST(second_result_of_a_call_changes_nothing),
		MACHINE_TEST(result_after_the_end_changes_nothing_and_neighbours_go_on),
		MACHINE_TEST(result_for_no_instance_at_all_changes_nothing),
		MACHINE_TEST(success_of_an_earlier_attempt_counts_and_stops_the_later_one),
		MACHINE_TEST(success_while_the_call_backs_off_counts_and_takes_its_timer),
		MACHINE_TEST(failure_of_an_earlier_attempt_does_not_count),
		MACHINE_TEST(failure_told_twice_counts_once),
		MACHINE_TEST(result_of_a_call_that_waits_to_be_handed_out_again_takes_it_back),
		MACHINE_TEST(assignment_is_recorded),
		MACHINE_TEST(call_that_ran_on_a_lost_node_is_assigned_again_without_counting),
		MACHINE_TEST(call_that_came_to_another_node_with_its_worker_is_recorded_there),
		MACHINE_TEST(assignment_of_a_call_that_is_done_is_abandoned),
		MACHINE_TEST(number_of_an_abandoned_attempt_is_used_up),
		MACHINE_TEST(assignment_after_the_result_is_the_same_in_one_transaction_and_in_two),
		MACHINE_TEST(call_that_is_not_started_in_time_has_had_an_attempt),
		MACHINE_TEST(timeout_that_is_told_twice_does_not_count_against_the_next_attempt),
		MACHINE_TEST(call_that_twice_is_not_started_in_time_is_told_so_twice),
		cmocka_unit_test(attempts_are_numbered_upwards_whatever_the_terms),
		MACHINE_TEST(failed_attempt_waits_then_is_ready_again),
		MACHINE_TEST(waits_double_and_lose_a_tenth_at_most),
		MACHINE_TEST(sleep_ends_when_it_is_due_and_not_before),
		MACHINE_TEST(timers_fire_a_bounded_number_at_once_in_the_order_they_are_due),
		MACHINE_TEST(signal_goes_to_who_waits_for_its_name_and_key),
		MACHINE_TEST(signals_before_their_wait_are_kept_in_order),
		MACHINE_TEST(signal_is_taken_by_the_wait_that_was_opened_first),
		MACHINE_TEST(signal_to_a_finished_instance_is_refused),
	};
	return cmocka_run_group_tests_name("reducer", tests, NULL, NULL);
}
