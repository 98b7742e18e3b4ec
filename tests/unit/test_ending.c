#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "machine_fixture.h"

/* How instances end: failures, cancellation; and how a failed one goes on. */

static const char source[] =
	"type N = Number\n"
	"process P(x: N) -> N { retries = 0 }\n"
	"process Q(x: N) -> N { retries = 1  backoff = 1s }\n"
	"workflow One(x: N) -> N { P(x) }\n"
	"workflow Stubborn(x: N) -> N { Q(x) }\n"
	"workflow Two(x: N) -> N * N { (P(x), P(x)) }\n"
	"workflow Wide(x: N) -> (N * N) * (N * Text) {\n"
	"  ((P(x), P(x)), (P(x) after sleep(10s), signal(\"word\", \"k\")))\n"
	"}\n"
	"workflow Chain(x: N) -> N * N { (P(x), P(P(x))) }\n";

static struct machine_fixture *prepared(void **state)
{
	registers(*state, source);
	return *state;
}

/* --- failure ------------------------------------------------------------------------------------------------------- */

static void failure_after_the_last_attempt_fails_the_instance(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "Stubborn", "{\"x\":1}");
	fails(fixture, 1, 1, assigns(fixture, 1, 1), "first");
	passes(fixture, 1000);
	uint64_t attempt = assigns(fixture, 1, 1);
	uint64_t seq = last_seq(fixture);
	fails(fixture, 1, 1, attempt, "second");
	assert_string_equal(history_after(fixture, 1, seq), "call_failed 1,failed");
	assert_tells(fixture, "SELECT state, error FROM pi_instance", "failed|Q (call 1) failed: second");
	assert_tells(fixture, "SELECT state, attempts, error FROM pi_call", "failed|2|second");
	assert_null(machine_find(fixture->machine, 1));
}

static void final_failure_needs_no_further_attempt(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "Stubborn", "{\"x\":1}");
	fails_for_good(fixture, 1, 1, assigns(fixture, 1, 1), "never");
	assert_effects(fixture, "closed 1/1:1, withdrawn 1/1, finished 1 failed");
	assert_tells(fixture, "SELECT attempts FROM pi_call", "1");
}

static void failing_instance_waits_for_what_runs_and_fails_once(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "Two", "{\"x\":1}");
	uint64_t one = assigns(fixture, 1, 1);
	uint64_t two = assigns(fixture, 1, 2);
	fails(fixture, 1, 1, one, "broken");
	assert_tells(fixture, "SELECT state, failing FROM pi_instance", "running|1");
	assert_effects(fixture, "closed 1/1:1, withdrawn 1/1");
	uint64_t seq = last_seq(fixture);
	returns(fixture, 1, 2, two, "5");
	assert_string_equal(history_after(fixture, 1, seq), "return 2,failed");
	assert_tells(fixture, "SELECT state, error FROM pi_instance", "failed|P (call 1) failed: broken");
	assert_tells(fixture, "SELECT state FROM pi_call ORDER BY ref", "failed,done");
}

static void first_failure_in_the_log_is_the_one_that_is_told(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "Two", "{\"x\":1}");
	uint64_t one = assigns(fixture, 1, 1);
	uint64_t two = assigns(fixture, 1, 2);
	fails(fixture, 1, 2, two, "this");
	fails(fixture, 1, 1, one, "not this");
	assert_tells(fixture, "SELECT state, error FROM pi_instance", "failed|P (call 2) failed: this");
	assert_tells(fixture, "SELECT count(*) FROM pi_history WHERE kind = 'failed'", "1");
}

static void failing_instance_calls_nothing_more_and_drops_what_waits(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "Wide", "{\"x\":1}");
	assert_tells(fixture, "SELECT ref || ' ' || kind FROM pi_call", "1 process,2 process,3 sleep,4 signal");
	uint64_t one = assigns(fixture, 1, 1);
	fails(fixture, 1, 1, one, "broken");
	assert_effects(fixture, "closed 1/1:1, withdrawn 1/1, withdrawn 1/2, finished 1 failed");
	assert_tells(fixture, "SELECT state FROM pi_call ORDER BY ref", "failed,cancelled,cancelled,cancelled");
	assert_tells(fixture, "SELECT count(*) FROM timer", "0");
}

static void failure_and_result_of_one_command_fail_once(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "Two", "{\"x\":1}");
	uint64_t one = assigns(fixture, 1, 1);
	uint64_t two = assigns(fixture, 1, 2);
	results(fixture, 1,
	        (struct command_returned[]){
	                {.ref = 1, .attempt = one, .failed = true, .value = SLICE("broken")},
	                {.ref = 2, .attempt = two, .value = SLICE("5")},
	        }, 2);
	assert_tells(fixture, "SELECT state FROM pi_instance", "failed");
	assert_tells(fixture, "SELECT kind FROM pi_history WHERE seq > 3 ORDER BY seq", "call_failed,return,failed");
}

static void runaway_is_stopped_and_says_so(void **state)
{
	struct machine_fixture *fixture = *state;
	char text[8192] = "type N = Number\nprocess P() -> N + N\nworkflow I(x: N) -> N { x }\nworkflow W(x: N) -> [N] { [";
	for (int i = 0; i < 200; i++)
		strcat(text, "I(x), ");
	strcat(text, "x] }\nworkflow V(x: N) -> [N] { case P() { right r -> [r]  left p -> [");
	for (int i = 0; i < 200; i++)
		strcat(text, "I(p), ");
	strcat(text, "x] } }\n");
	registers(fixture, text);
	sets(fixture, "reductions_max", "100");
	starts(fixture, "W", "{\"x\":1}");
	assert_effects(fixture, "finished 1 failed");
	assert_tells(fixture, "SELECT state, error FROM pi_instance",
	             "failed|runaway: more than 100 reductions in one step (setting reductions_max)");
	starts(fixture, "V", "{\"x\":1}");
	completes(fixture, 2, 1, "{\"left\":1}");
	assert_effects(fixture, "closed 2/1:1, withdrawn 2/1, finished 2 failed");
	assert_tells(fixture, "SELECT kind FROM pi_history WHERE instance = 2", "start,call,return,runaway");
}

static void retried_runaway_is_stopped_again(void **state)
{
	struct machine_fixture *fixture = *state;
	runaway_is_stopped_and_says_so(state);
	sets(fixture, "reductions_max", "100000"); /* it keeps the limits of its start */
	retries(fixture, 2);
	assert_int_equal(fixture->answer.code, 0);
	assert_effects(fixture, "finished 2 failed");
	assert_string_equal(history_after(fixture, 2, 0), "start,call 1,return 1,runaway,retried,runaway");
	/* One that did not get through its first step has nowhere to go on from. */
	retries(fixture, 1);
	assert_int_equal(fixture->answer.code, ERR_CONFLICT);
}

/* --- retry --------------------------------------------------------------------------------------------------------- */

static void failed_instance_goes_on_where_it_stood(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "Chain", "{\"x\":1}");
	completes(fixture, 1, 1, "10");
	completes(fixture, 1, 2, "20");
	uint64_t failed = assigns(fixture, 1, 3);
	fails(fixture, 1, 3, failed, "broken");
	assert_tells(fixture, "SELECT state FROM pi_instance", "failed");
	uint64_t seq = last_seq(fixture);
	retries(fixture, 1);
	assert_int_equal(fixture->answer.code, 0);
	assert_effects(fixture, "ready 1/3");
	assert_string_equal(history_after(fixture, 1, seq), "retried");
	assert_tells(fixture, "SELECT state, error, finished_ms, failing FROM pi_instance", "running|-|-|0");
	uint64_t again = assigns(fixture, 1, 3);
	assert_true(again > failed + 1);
	returns(fixture, 1, 3, again, "30");
	assert_tells(fixture, "SELECT state, result FROM pi_instance", "completed|[10,30]");
	assert_tells(fixture, "SELECT count(*) FROM pi_history WHERE kind = 'return' GROUP BY ref", "1,1,1");
}

static void results_that_came_while_it_failed_count_after_the_retry(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "Chain", "{\"x\":1}");
	uint64_t one = assigns(fixture, 1, 1);
	uint64_t two = assigns(fixture, 1, 2);
	fails(fixture, 1, 1, one, "broken");
	returns(fixture, 1, 2, two, "20"); /* its follower is not called */
	assert_tells(fixture, "SELECT count(*) FROM pi_call", "2");
	retries(fixture, 1);
	assert_effects(fixture, "ready 1/1, ready 1/3");
	assert_tells(fixture, "SELECT args FROM pi_call WHERE ref = 3", "{\"x\":20}");
	completes(fixture, 1, 1, "10");
	completes(fixture, 1, 3, "30");
	assert_tells(fixture, "SELECT result FROM pi_instance", "[10,30]");
}

static void retried_sleep_ends_when_it_was_to_end(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "Wide", "{\"x\":1}");
	fails(fixture, 1, 1, assigns(fixture, 1, 1), "broken");
	fixture->now += 4000;
	retries(fixture, 1);
	assert_effects(fixture, "ready 1/1, ready 1/2");
	passes(fixture, 5999);
	assert_effects(fixture, "");
	passes(fixture, 1);
	assert_effects(fixture, "ready 1/5");
	signals(fixture, 1, "word", "\"k\"", "\"heard\"");
	completes(fixture, 1, 1, "1");
	completes(fixture, 1, 2, "2");
	completes(fixture, 1, 5, "3");
	assert_tells(fixture, "SELECT result FROM pi_instance", "[[1,2],[3,\"heard\"]]");
}

static void retried_instance_can_fail_again(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	fails(fixture, 1, 1, assigns(fixture, 1, 1), "first");
	retries(fixture, 1);
	fails(fixture, 1, 1, assigns(fixture, 1, 1), "second");
	assert_tells(fixture, "SELECT state, error FROM pi_instance", "failed|P (call 1) failed: second");
	assert_string_equal(history_after(fixture, 1, 0), "start,call 1,call_failed 1,failed,retried,call_failed 1,failed");
}

static void failure_and_retry_in_one_transaction_are_as_in_two(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "Two", "{\"x\":1}");
	uint64_t one = assigns(fixture, 1, 1);
	completes(fixture, 1, 2, "2");
	machine_fixture_begin(fixture);
	fails(fixture, 1, 1, one, "broken");
	retries(fixture, 1);
	machine_fixture_commit(fixture);
	completes(fixture, 1, 1, "1");
	assert_tells(fixture, "SELECT state, result FROM pi_instance", "completed|[1,2]");
}

static void only_a_failed_instance_can_be_retried(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	retries(fixture, 1);
	assert_int_equal(fixture->answer.code, ERR_CONFLICT);
	completes(fixture, 1, 1, "1");
	retries(fixture, 1);
	assert_int_equal(fixture->answer.code, ERR_CONFLICT);
	assert_string_equal(buffer_string(&fixture->text), "workflow 1 is completed; only a failed one can be retried");
	retries(fixture, 2);
	assert_int_equal(fixture->answer.code, ERR_NOT_FOUND);
}

/* --- cancellation -------------------------------------------------------------------------------------------------- */

static void cancellation_stops_what_runs_and_drops_what_waits(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "Wide", "{\"x\":1}");
	assigns(fixture, 1, 1);
	cancels(fixture, 1);
	assert_int_equal(fixture->answer.code, 0);
	assert_effects(fixture, "finished 1 cancelled, abandoned 1/1:1, withdrawn 1/1, withdrawn 1/2");
	assert_tells(fixture, "SELECT state, error FROM pi_instance", "cancelled|cancelled");
	assert_tells(fixture, "SELECT state FROM pi_call ORDER BY ref", "cancelled,cancelled,cancelled,cancelled");
	assert_tells(fixture, "SELECT count(*) FROM timer", "0");
	passes(fixture, 20000);
	assert_effects(fixture, "");
}

static void cancellation_drops_signals_that_nobody_took(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "Wide", "{\"x\":1}");
	signals(fixture, 1, "word", "\"other\"", "\"kept\"");
	assert_tells(fixture, "SELECT count(*) FROM signal", "1");
	cancels(fixture, 1);
	assert_tells(fixture, "SELECT count(*) FROM signal", "0");
}

static void result_after_a_cancellation_changes_nothing(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	uint64_t one = assigns(fixture, 1, 1);
	cancels(fixture, 1);
	returns(fixture, 1, 1, one, "1");
	assert_effects(fixture, "closed 1/1:1");
	assert_tells(fixture, "SELECT i.state, c.state, c.result FROM pi_instance AS i JOIN pi_call AS c ON c.instance = i.id",
	             "cancelled|cancelled|-");
}

static void failing_instance_can_be_cancelled(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "Two", "{\"x\":1}");
	uint64_t one = assigns(fixture, 1, 1);
	assigns(fixture, 1, 2);
	fails(fixture, 1, 1, one, "broken");
	cancels(fixture, 1);
	assert_effects(fixture, "finished 1 cancelled, abandoned 1/2:1, withdrawn 1/2");
	assert_tells(fixture, "SELECT state FROM pi_instance", "cancelled");
}

static void what_has_ended_cannot_be_cancelled(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	completes(fixture, 1, 1, "1");
	cancels(fixture, 1);
	assert_int_equal(fixture->answer.code, ERR_CONFLICT);
	assert_string_equal(buffer_string(&fixture->text), "workflow 1 is completed");
	cancels(fixture, 7);
	assert_int_equal(fixture->answer.code, ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(failure_after_the_last_attempt_fails_the_instance),
		MACHINE_TEST(final_failure_needs_no_further_attempt),
		MACHINE_TEST(failing_instance_waits_for_what_runs_and_fails_once),
		MACHINE_TEST(first_failure_in_the_log_is_the_one_that_is_told),
		MACHINE_TEST(failing_instance_calls_nothing_more_and_drops_what_waits),
		MACHINE_TEST(failure_and_result_of_one_command_fail_once),
		MACHINE_TEST(runaway_is_stopped_and_says_so),
		MACHINE_TEST(retried_runaway_is_stopped_again),
		MACHINE_TEST(failed_instance_goes_on_where_it_stood),
		MACHINE_TEST(results_that_came_while_it_failed_count_after_the_retry),
		MACHINE_TEST(retried_sleep_ends_when_it_was_to_end),
		MACHINE_TEST(retried_instance_can_fail_again),
		MACHINE_TEST(failure_and_retry_in_one_transaction_are_as_in_two),
		MACHINE_TEST(only_a_failed_instance_can_be_retried),
		MACHINE_TEST(cancellation_stops_what_runs_and_drops_what_waits),
		MACHINE_TEST(cancellation_drops_signals_that_nobody_took),
		MACHINE_TEST(result_after_a_cancellation_changes_nothing),
		MACHINE_TEST(failing_instance_can_be_cancelled),
		MACHINE_TEST(what_has_ended_cannot_be_cancelled),
	};
	return cmocka_run_group_tests_name("ending", tests, NULL, NULL);
}
