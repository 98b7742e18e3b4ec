#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "job_fixture.h"

/* Calls of processes that a job runs. */

static const char source[] =
	"type N = Number\n"
	"job double { type = batch parameters = {x: Number, by: 2} exec = [\"double\", x, by] retries = 0 }\n"
	"process P(x: N) -> N { job = double retries = 1 backoff = 1s timeout = 10s start_timeout = 1m }\n"
	"process Q(x: N) -> N\n"
	"workflow One(x: N) -> N { P(x) }\n"
	"workflow Two(x: N) -> N * N { (P(x), P(x)) }\n"
	"workflow Both(x: N) -> N * N { (P(x), Q(x)) }\n"
	"workflow Chain(x: N) -> N { P(P(x)) }\n";

static struct machine_fixture *prepared(void **state)
{
	has_nodes(*state);
	registers(*state, source);
	return *state;
}

static void prints(struct machine_fixture *fixture, uint64_t allocation, const char *value)
{
	tells_of(fixture, (struct command_allocation){.id = allocation,
	                                              .event = ALLOCATION_EVENT_ENDED,
	                                              .output = OUTPUT_VALUE,
	                                              .value = slice_of(value)});
}

static void call_begins_a_job_with_its_arguments(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":4}");
	assert_tells(fixture, "SELECT id, name, type, state, args, count, instance, ref, output FROM job",
	             "1|double|batch|pending|{\"x\":4,\"by\":2}|1|1|1|json");
	assert_tells(fixture, "SELECT c.state, c.attempts, c.attempt = j.attempt FROM pi_call AS c, job AS j", "running|1|1");
	assert_string_equal(history_after(fixture, 1, 0), "start,call 1,job 1");
}

static void what_the_task_prints_is_the_result(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":4}");
	places(fixture, 1, 0, NODE_A);
	begins(fixture, 1);
	prints(fixture, 1, "8");
	assert_tells(fixture, "SELECT state, result FROM pi_instance", "completed|8");
	assert_tells(fixture, "SELECT state, result, attempts FROM pi_call", "done|8|1");
	assert_tells(fixture, "SELECT state FROM job", "completed");
	assert_tells(fixture, "SELECT count(*) FROM timer", "0");
	prints(fixture, 1, "9");
	assert_tells(fixture, "SELECT result FROM pi_instance", "8");
}

static void result_may_begin_the_next_job(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "Chain", "{\"x\":1}");
	places(fixture, 1, 0, NODE_A);
	prints(fixture, 1, "2");
	assert_tells(fixture, "SELECT id, args, ref FROM job WHERE state = 'pending'", "2|{\"x\":2,\"by\":2}|2");
	places(fixture, 2, 0, NODE_B);
	prints(fixture, 2, "4");
	assert_tells(fixture, "SELECT state, result FROM pi_instance", "completed|4");
}

static void output_that_is_no_value_fails_the_attempt(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	places(fixture, 1, 0, NODE_A);
	tells_of(fixture, (struct command_allocation){.id = 1,
	                                              .event = ALLOCATION_EVENT_ENDED,
	                                              .output = OUTPUT_FAULT,
	                                              .cause = CAUSE_TYPE,
	                                              .value = SLICE("a string where Number is due")});
	assert_tells(fixture, "SELECT state, error, due_ms > 0 FROM pi_call", "backoff|a string where Number is due|1");
	passes(fixture, 1000);
	assert_tells(fixture, "SELECT id, state FROM job", "1|completed,2|pending");
	places(fixture, 2, 0, NODE_A);
	exits(fixture, 2, 0);
	assert_tells(fixture, "SELECT state, error FROM pi_instance", "failed|P (call 1) failed: its output did not come");
}

static void attempt_has_one_job_and_fails_with_it(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	places(fixture, 1, 0, NODE_A);
	exits(fixture, 1, 7);
	assert_tells(fixture, "SELECT state, attempts, error FROM pi_call",
	             "backoff|1|task 0 has failed 1 time, at last on a: exit code 7");
	assert_tells(fixture, "SELECT state FROM job", "failed");
	passes(fixture, 1000);
	assert_tells(fixture, "SELECT count(*), count(DISTINCT attempt) FROM job", "2|2");
	places(fixture, 2, 0, NODE_B);
	exits(fixture, 2, 7);
	assert_tells(fixture, "SELECT state FROM pi_instance", "failed");
	assert_tells(fixture, "SELECT count(*) FROM timer", "0");
}

static void node_that_is_lost_costs_no_attempt(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	places(fixture, 1, 0, NODE_A);
	begins(fixture, 1);
	is_lost(fixture, 1);
	assert_tells(fixture, "SELECT state, attempts FROM pi_call", "running|1");
	places(fixture, 1, 0, NODE_B);
	begins(fixture, 2);
	prints(fixture, 2, "2");
	assert_tells(fixture, "SELECT state, result FROM pi_instance", "completed|2");
	assert_tells(fixture, "SELECT count(*) FROM job", "1");
}

static void cancelled_workflow_stops_its_jobs(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "Two", "{\"x\":1}");
	places(fixture, 1, 0, NODE_A);
	begins(fixture, 1);
	cancels(fixture, 1);
	assert_tells(fixture, "SELECT id, state FROM job", "1|stopping,2|stopped");
	assert_tells(fixture, "SELECT count(*) FROM timer", "0");
	exits(fixture, 1, 143);
	assert_tells(fixture, "SELECT id, state FROM job", "1|stopped,2|stopped");
	assert_tells(fixture, "SELECT state FROM pi_instance", "cancelled");
}

static void timeouts_count_from_the_task_s_start(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	passes(fixture, 30000);
	places(fixture, 1, 0, NODE_A);
	begins(fixture, 1);
	passes(fixture, 9000);
	assert_tells(fixture, "SELECT state FROM pi_call", "running");
	passes(fixture, 1000);
	assert_tells(fixture, "SELECT state, error FROM pi_call", "backoff|it did not finish within its timeout of 10000 ms");
	assert_tells(fixture, "SELECT state FROM job", "stopping");
	passes(fixture, 1000);
	assert_tells(fixture, "SELECT id, state FROM job", "1|stopping,2|pending");
	exits(fixture, 1, 143);
	assert_tells(fixture, "SELECT state, attempts FROM pi_call", "running|2");
	passes(fixture, 60000);
	assert_tells(fixture, "SELECT state, error FROM pi_instance",
	             "failed|P (call 1) failed: it was not started within its start_timeout of 60000 ms");
	assert_tells(fixture, "SELECT id, state FROM job", "1|stopped,2|stopped");
	assert_tells(fixture, "SELECT count(*) FROM timer", "0");
}

static void job_that_is_stopped_fails_its_call_for_good(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	places(fixture, 1, 0, NODE_A);
	begins(fixture, 1);
	stops(fixture, 1);
	exits(fixture, 1, 143);
	assert_tells(fixture, "SELECT state, error FROM pi_instance", "failed|P (call 1) failed: its job was stopped");
}

static void failing_workflow_waits_for_the_job_that_runs(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "Both", "{\"x\":1}");
	places(fixture, 1, 0, NODE_A);
	begins(fixture, 1);
	fails_for_good(fixture, 1, 2, assigns(fixture, 1, 2), "no");
	assert_tells(fixture, "SELECT state FROM pi_instance", "running");
	prints(fixture, 1, "2");
	assert_tells(fixture, "SELECT state, error FROM pi_instance", "failed|Q (call 2) failed: no");
	retries(fixture, 1);
	assert_tells(fixture, "SELECT count(*) FROM job", "1");
	completes(fixture, 1, 2, "3");
	assert_tells(fixture, "SELECT state, result FROM pi_instance", "completed|[2,3]");
}

static void retried_workflow_begins_a_new_job(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "One", "{\"x\":1}");
	places(fixture, 1, 0, NODE_A);
	stops(fixture, 1);
	exits(fixture, 1, 143);
	retries(fixture, 1);
	assert_tells(fixture, "SELECT id, state FROM job", "1|stopped,2|pending");
	places(fixture, 2, 0, NODE_A);
	prints(fixture, 2, "2");
	assert_tells(fixture, "SELECT state, result FROM pi_instance", "completed|2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(call_begins_a_job_with_its_arguments),
		MACHINE_TEST(what_the_task_prints_is_the_result),
		MACHINE_TEST(result_may_begin_the_next_job),
		MACHINE_TEST(output_that_is_no_value_fails_the_attempt),
		MACHINE_TEST(attempt_has_one_job_and_fails_with_it),
		MACHINE_TEST(node_that_is_lost_costs_no_attempt),
		MACHINE_TEST(cancelled_workflow_stops_its_jobs),
		MACHINE_TEST(timeouts_count_from_the_task_s_start),
		MACHINE_TEST(job_that_is_stopped_fails_its_call_for_good),
		MACHINE_TEST(failing_workflow_waits_for_the_job_that_runs),
		MACHINE_TEST(retried_workflow_begins_a_new_job),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
