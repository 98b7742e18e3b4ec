#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "job_fixture.h"

/* Periodic jobs, and their runs. */

#define BACKUP(overlap) \
	"job backup { type = periodic schedule = \"0 3 * * *\" parameters = {to: \"disk\"} exec = [\"backup\", to] overlap = " \
	overlap " retries = 0 }"

static void is_due(struct machine_fixture *fixture, uint64_t job, msec due, msec next)
{
	struct command command = {.kind = COMMAND_JOB_DUE};
	command.job_due.job = job;
	command.job_due.version = 1;
	command.job_due.due = due;
	command.job_due.next = next;
	machine_fixture_apply(fixture, &command);
}

static uint64_t dispatches(struct machine_fixture *fixture, const char *name, const char *args, const char *key)
{
	struct command command = {.kind = COMMAND_DISPATCH_JOB};
	command.dispatch_job.name = slice_of(name);
	command.dispatch_job.args = slice_of(args);
	command.dispatch_job.key = slice_of(key);
	asks(fixture, &command);
	return fixture->answer.code == 0 ? fixture->answer.number : 0;
}

#define RUNS "SELECT id, type, state, parent, args FROM job WHERE parent IS NOT NULL ORDER BY id"

static void each_time_is_run_once(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, BACKUP("allow"));
	assert_tells(fixture, "SELECT type, state, count, next_ms FROM job", "periodic|running|0|-");
	is_due(fixture, job, 0, 1000);
	assert_tells(fixture, "SELECT next_ms, (SELECT count(*) FROM job) FROM job", "1000|1");
	is_due(fixture, job, 1000, 2000);
	is_due(fixture, job, 1000, 2000);
	is_due(fixture, job, 0, 2000);
	assert_tells(fixture, RUNS, "2|batch|pending|1|{\"to\":\"disk\"}");
	is_due(fixture, job, 2000, 3000);
	assert_tells(fixture, RUNS, "2|batch|pending|1|{\"to\":\"disk\"},3|batch|pending|1|{\"to\":\"disk\"}");
	places(fixture, 2, 0, NODE_A);
	exits(fixture, 1, 0);
	assert_tells(fixture, "SELECT state FROM job WHERE id = 2", "completed");
	assert_tells(fixture, "SELECT state, next_ms FROM job WHERE id = 1", "running|3000");
}

static void run_is_left_out_while_the_last_one_runs(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, BACKUP("skip"));
	is_due(fixture, job, 0, 1000);
	is_due(fixture, job, 1000, 2000);
	is_due(fixture, job, 2000, 3000);
	assert_tells(fixture, RUNS, "2|batch|pending|1|{\"to\":\"disk\"}");
	assert_tells(fixture, "SELECT next_ms FROM job WHERE id = 1", "3000");
	places(fixture, 2, 0, NODE_A);
	exits(fixture, 1, 0);
	is_due(fixture, job, 3000, 4000);
	assert_tells(fixture, "SELECT count(*) FROM job WHERE parent = 1", "2");
}

static void run_may_take_the_place_of_the_last_one(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, BACKUP("replace"));
	is_due(fixture, job, 0, 1000);
	is_due(fixture, job, 1000, 2000);
	places(fixture, 2, 0, NODE_A);
	begins(fixture, 1);
	is_due(fixture, job, 2000, 3000);
	assert_tells(fixture, "SELECT id, state FROM job WHERE parent = 1", "2|stopping,3|pending");
	is_due(fixture, job, 3000, 4000);
	assert_tells(fixture, "SELECT id, state FROM job WHERE parent = 1", "2|stopping,3|stopped,4|pending");
}

static void run_that_fails_leaves_the_others(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, BACKUP("skip"));
	is_due(fixture, job, 0, 1000);
	is_due(fixture, job, 1000, 2000);
	places(fixture, 2, 0, NODE_A);
	exits(fixture, 1, 3);
	assert_tells(fixture, "SELECT id, state FROM job", "1|running,2|failed");
	is_due(fixture, job, 2000, 3000);
	assert_tells(fixture, "SELECT count(*) FROM job WHERE state = 'pending'", "1");
}

static void it_is_run_now_when_somebody_asks(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	registers(fixture, BACKUP("skip"));
	assert_int_equal(dispatches(fixture, "backup", "{}", ""), 0);
	assert_non_null(strstr(buffer_string(&fixture->text), "has not been begun"));
	runs(fixture, BACKUP("skip"));
	assert_int_equal(dispatches(fixture, "backup", "{\"to\":\"tape\"}", "k"), 2);
	assert_int_equal(dispatches(fixture, "backup", "{}", "k"), 2);
	assert_tells(fixture, RUNS, "2|batch|pending|1|{\"to\":\"tape\"}");
}

static void it_ends_with_its_runs(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, BACKUP("allow"));
	is_due(fixture, job, 0, 1000);
	is_due(fixture, job, 1000, 2000);
	is_due(fixture, job, 2000, 3000);
	places(fixture, 2, 0, NODE_A);
	begins(fixture, 1);
	stops(fixture, job);
	assert_tells(fixture, "SELECT id, state, next_ms FROM job", "1|stopping|-,2|stopping|-,3|stopped|-");
	is_due(fixture, job, 3000, 4000);
	exits(fixture, 1, 143);
	assert_tells(fixture, "SELECT id, state FROM job", "1|stopped,2|stopped,3|stopped");
	runs(fixture, BACKUP("allow"));
	stops(fixture, 4);
	assert_tells(fixture, "SELECT state FROM job WHERE id = 4", "stopped");
}

static void new_schedule_is_computed_anew(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, BACKUP("skip"));
	is_due(fixture, job, 0, 1000);
	assert_int_equal(runs(fixture, BACKUP("allow")), job);
	assert_tells(fixture, "SELECT version, next_ms FROM job", "2|-");
	is_due(fixture, job, 0, 7000); /* of the first version */
	assert_tells(fixture, "SELECT version, next_ms FROM job", "2|-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(each_time_is_run_once),
		MACHINE_TEST(run_is_left_out_while_the_last_one_runs),
		MACHINE_TEST(run_may_take_the_place_of_the_last_one),
		MACHINE_TEST(run_that_fails_leaves_the_others),
		MACHINE_TEST(it_is_run_now_when_somebody_asks),
		MACHINE_TEST(it_ends_with_its_runs),
		MACHINE_TEST(new_schedule_is_computed_anew),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
