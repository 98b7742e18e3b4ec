#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "job_fixture.h"

#include "base/memory.h"
#include "coordinator/jobs.h"

/* Jobs in the state machine: how they begin, what becomes of their tasks, what nodes have taken. */

#define ONE "job one { type = batch exec = [\"true\"] retries = 1 backoff = 2s }"
#define THREE "job three { type = batch exec = [\"true\"] count = 3 }"
#define WEB "job web { type = service exec = [\"serve\"] count = 2 }"
#define PORTS "job ports { type = service exec = [\"serve\"] ports = [\"http\", \"admin\"] }"

/* --- batch --------------------------------------------------------------------------------------------------------- */

static void batch_job_runs_to_its_end(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, ONE);
	assert_int_equal(job, 1);
	assert_effects(fixture, "job 1 pending");
	places(fixture, job, 0, NODE_A);
	assert_effects(fixture, "placed 1");
	begins(fixture, 1);
	assert_effects(fixture, "job 1 running, told 1");
	exits(fixture, 1, 0);
	assert_effects(fixture, "over 1, job 1 running, job 1 completed");
	assert_tells(fixture, "SELECT state, completed, running, failed, error FROM job", "completed|1|0|0|-");
	assert_tells(fixture, "SELECT state, exit_code, node, attempt FROM allocation", "completed|0|11|1");
}

static void job_of_many_tasks_is_a_row_until_they_are_placed(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, "job many { type = batch exec = [\"true\"] count = 1000000 }");
	assert_tells(fixture, "SELECT count, next_task, (SELECT count(*) FROM allocation) FROM job", "1000000|0|0");
	places(fixture, job, 0, NODE_A);
	assert_tells(fixture, "SELECT count, next_task, (SELECT count(*) FROM allocation) FROM job", "1000000|1|1");
}

static void job_has_completed_when_all_its_tasks_have(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, THREE);
	for (uint32_t task = 0; task < 3; task++)
		places(fixture, job, task, NODE_A);
	exits(fixture, 2, 0);
	exits(fixture, 1, 0);
	assert_tells(fixture, "SELECT state, completed FROM job", "pending|2");
	exits(fixture, 3, 0);
	assert_tells(fixture, "SELECT state, completed FROM job", "completed|3");
}

static void task_that_fails_is_tried_again_after_a_while(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, ONE);
	places(fixture, job, 0, NODE_A);
	exits(fixture, 1, 7);
	assert_tells(fixture, "SELECT task, attempts, failures, due_ms - window_ms FROM job_task", "0|1|1|2000");
	places(fixture, job, 0, NODE_B);
	assert_tells(fixture, "SELECT count(*) FROM job_task", "0");
	exits(fixture, 2, 0);
	assert_tells(fixture, "SELECT state, completed, failed FROM job", "completed|1|1");
	assert_tells(fixture, "SELECT attempt, exit_code FROM allocation ORDER BY id DESC LIMIT 1", "2|0");
}

static void task_that_fails_too_often_fails_the_job(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, ONE);
	places(fixture, job, 0, NODE_A);
	exits(fixture, 1, 7);
	places(fixture, job, 0, NODE_B);
	exits(fixture, 2, 8);
	assert_tells(fixture, "SELECT state, error FROM job",
	             "failed|task 0 has failed 2 times, at last on b: exit code 8");
	assert_tells(fixture, "SELECT count(*) FROM job_task", "0");
}

static void failure_of_one_task_stops_the_others(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, "job three { type = batch exec = [\"true\"] count = 3 retries = 0 }");
	places(fixture, job, 0, NODE_A);
	places(fixture, job, 1, NODE_B);
	exits(fixture, 1, 1);
	assert_tells(fixture, "SELECT state FROM job", "stopping");
	assert_true(allocation_is_unwanted(machine_allocation(fixture->machine, 2)));
	places(fixture, job, 2, NODE_B);
	assert_effects(fixture, "refused 1/2");
	exits(fixture, 2, -1);
	assert_tells(fixture, "SELECT state FROM job", "failed");
	assert_tells(fixture, "SELECT state FROM allocation WHERE id = 2", "stopped");
}

static void lost_task_is_placed_again_and_counts_no_failure(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, "job one { type = batch exec = [\"true\"] retries = 0 }");
	places(fixture, job, 0, NODE_A);
	begins(fixture, 1);
	is_lost(fixture, 1);
	assert_tells(fixture, "SELECT state, lost FROM job", "running|1");
	assert_tells(fixture, "SELECT task, attempts, failures, due_ms FROM job_task", "0|1|0|-");
	places(fixture, job, 0, NODE_B);
	exits(fixture, 2, 0);
	assert_tells(fixture, "SELECT state FROM job", "completed");
}

static void end_that_is_told_twice_counts_once(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, THREE);
	places(fixture, job, 0, NODE_A);
	exits(fixture, 1, 0);
	exits(fixture, 1, 0);
	assert_effects(fixture, "");
	assert_tells(fixture, "SELECT completed FROM job", "1");
	is_lost(fixture, 1);
	assert_tells(fixture, "SELECT completed, lost FROM job", "1|0");
}

/* --- placing ------------------------------------------------------------------------------------------------------- */

static void task_is_never_placed_twice(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, THREE);
	places(fixture, job, 0, NODE_A);
	places(fixture, job, 0, NODE_B);
	assert_effects(fixture, "refused 1/0");
	exits(fixture, 1, 0);
	places(fixture, job, 0, NODE_B);
	assert_effects(fixture, "refused 1/0");
	places(fixture, job, 3, NODE_B);
	assert_effects(fixture, "refused 1/3");
	places(fixture, 99, 0, NODE_B);
	assert_effects(fixture, "refused 99/0");
}

static void task_that_is_skipped_waits(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, THREE);
	places(fixture, job, 2, NODE_A);
	assert_tells(fixture, "SELECT group_concat(task) FROM job_task", "0,1");
	places(fixture, job, 1, NODE_A);
	places(fixture, job, 0, NODE_A);
	assert_tells(fixture, "SELECT count(*), next_task FROM job_task, job", "0|-");
	assert_tells(fixture, "SELECT running, next_task FROM job", "3|3");
}

static void node_that_is_not_there_gets_nothing(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, THREE);
	places(fixture, job, 0, 77);
	assert_effects(fixture, "refused 1/0");
	node_is(fixture, NODE_A, "a", "failed");
	places(fixture, job, 0, NODE_A);
	assert_effects(fixture, "refused 1/0");
	struct command command = {.kind = COMMAND_ELIGIBLE};
	command.eligible.node = NODE_B;
	command.eligible.eligible = false;
	machine_fixture_apply(fixture, &command);
	places(fixture, job, 0, NODE_B);
	assert_effects(fixture, "refused 1/0");
	node_is(fixture, NODE_B, "b", "alive");
	places(fixture, job, 0, NODE_B);
	assert_effects(fixture, "refused 1/0"); /* what a person has set stays when the node comes again */
	assert_tells(fixture, "SELECT name, eligible FROM node ORDER BY id DESC LIMIT 1", "b|0");
}

static void resources_are_never_given_twice(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t cpu = runs(fixture, "job cpu { type = batch exec = [\"true\"] count = 9 cpu = 1.5 }");
	uint64_t memory = runs(fixture, "job memory { type = batch exec = [\"true\"] count = 9 memory = \"600MiB\" }");
	places(fixture, cpu, 0, NODE_A);
	places(fixture, cpu, 1, NODE_A);
	assert_effects(fixture, "refused 1/1");
	places(fixture, memory, 0, NODE_A);
	places(fixture, memory, 1, NODE_A);
	assert_effects(fixture, "refused 2/1");
	exits(fixture, 1, 0);
	places(fixture, cpu, 1, NODE_A);
	assert_effects(fixture, "placed 3");
}

static void ports_are_never_given_twice(void **state)
{
	struct machine_fixture *fixture = *state;
	static const uint32_t first[] = {20000, 20001};
	static const uint32_t overlapping[] = {20002, 20001};
	static const uint32_t same[] = {20002, 20002};
	static const uint32_t outside[] = {20002, 20004};
	static const uint32_t other[] = {20002, 20003};
	has_nodes(fixture);
	uint64_t job = runs(fixture, PORTS);
	scales(fixture, job, 5);
	places_with(fixture, job, 0, NODE_A, first, 2);
	assert_tells(fixture, "SELECT ports FROM allocation", "[20000,20001]");
	places_with(fixture, job, 1, NODE_A, overlapping, 2);
	assert_effects(fixture, "refused 1/1");
	places_with(fixture, job, 1, NODE_A, same, 2);
	assert_effects(fixture, "refused 1/1");
	places_with(fixture, job, 1, NODE_A, outside, 2);
	assert_effects(fixture, "refused 1/1");
	places_with(fixture, job, 1, NODE_A, first, 1);
	assert_effects(fixture, "refused 1/1");
	places_with(fixture, job, 1, NODE_A, other, 2);
	assert_effects(fixture, "placed 2");
	places_with(fixture, job, 2, NODE_B, first, 2);
	assert_effects(fixture, "placed 3");
}

static void system_job_has_one_task_on_a_node(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, "job agent { type = system exec = [\"collect\"] }");
	places(fixture, job, 0, NODE_A);
	places(fixture, job, 1, NODE_A);
	assert_effects(fixture, "refused 1/1");
	places(fixture, job, 1, NODE_B);
	assert_effects(fixture, "placed 2");
	assert_false(allocation_is_unwanted(machine_allocation(fixture->machine, 2)));
}

/* --- services ------------------------------------------------------------------------------------------------------ */

static void service_that_ends_is_begun_again(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, WEB);
	places(fixture, job, 0, NODE_A);
	places(fixture, job, 1, NODE_B);
	begins(fixture, 1);
	exits(fixture, 1, 0);
	assert_tells(fixture, "SELECT state, running FROM job", "running|1");
	assert_tells(fixture, "SELECT task, attempts FROM job_task", "0|1");
}

static void service_of_one_name_is_there_once(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	assert_int_equal(runs(fixture, WEB), 1);
	assert_int_equal(runs(fixture, WEB), 1);
	assert_non_null(strstr(buffer_string(&fixture->text), "\"change\":\"unchanged\""));
	assert_int_equal(runs(fixture, "job web { type = service exec = [\"serve\", \"2\"] count = 3 }"), 1);
	assert_non_null(strstr(buffer_string(&fixture->text), "\"version\":2,\"change\":\"updated\""));
	assert_tells(fixture, "SELECT version, count FROM job", "2|3");
	stops(fixture, 1);
	assert_tells(fixture, "SELECT state FROM job", "stopped");
	assert_int_equal(runs(fixture, WEB), 2);
}

static void stopping_service_makes_room_for_another_of_its_name(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, WEB);
	places(fixture, job, 0, NODE_A);
	begins(fixture, 1);
	stops(fixture, job);
	assert_tells(fixture, "SELECT state FROM job", "stopping");
	assert_int_equal(runs(fixture, WEB), 2);
	assert_int_equal(runs(fixture, WEB), 2);
	exits(fixture, 1, -1);
	assert_tells(fixture, "SELECT group_concat(state) FROM job", "stopped,pending");
}

static void service_is_scaled_down_and_up(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, WEB);
	places(fixture, job, 0, NODE_A);
	places(fixture, job, 1, NODE_B);
	scales(fixture, job, 1);
	assert_true(allocation_is_unwanted(machine_allocation(fixture->machine, 2)));
	assert_false(allocation_is_unwanted(machine_allocation(fixture->machine, 1)));
	scales(fixture, job, 2);
	places(fixture, job, 1, NODE_A); /* it has not ended */
	assert_effects(fixture, "refused 1/1");
	exits(fixture, 2, -1);
	assert_tells(fixture, "SELECT count(*) FROM job_task", "0");
	places(fixture, job, 1, NODE_A);
	assert_effects(fixture, "placed 3");
}

static void allocation_that_is_moved_is_placed_again_at_once(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, WEB);
	places(fixture, job, 0, NODE_A);
	begins(fixture, 1);
	uint64_t id = 1;
	struct command command = {.kind = COMMAND_STOP_ALLOCATIONS};
	command.stop_allocations.ids = &id;
	command.stop_allocations.count = 1;
	machine_fixture_apply(fixture, &command);
	assert_effects(fixture, "told 1");
	exits(fixture, 1, 143);
	assert_tells(fixture, "SELECT state FROM allocation", "stopped");
	assert_tells(fixture, "SELECT failures, due_ms FROM job_task", "0|-");
}

/* --- groups -------------------------------------------------------------------------------------------------------- */

#define GROUP(policy) \
	"job pair { type = batch exec = [\"true\"] count = 2 group = " policy " retries = 1 backoff = 1s }"

static void registers_task(struct machine_fixture *fixture, uint64_t allocation)
{
	tells_of(fixture, (struct command_allocation){.id = allocation, .event = ALLOCATION_EVENT_REGISTERED});
}

static void group_runs_when_all_have_registered(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, GROUP("stop"));
	places(fixture, job, 0, NODE_A);
	places(fixture, job, 1, NODE_B);
	begins(fixture, 1);
	begins(fixture, 2);
	registers_task(fixture, 2);
	registers_task(fixture, 2);
	assert_tells(fixture, "SELECT state FROM job", "pending");
	registers_task(fixture, 1);
	assert_tells(fixture, "SELECT state FROM job", "running");
}

static void group_ends_with_one_of_it(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, GROUP("stop"));
	places(fixture, job, 0, NODE_A);
	places(fixture, job, 1, NODE_B);
	exits(fixture, 1, 3);
	assert_tells(fixture, "SELECT state FROM job", "stopping");
	exits(fixture, 2, -1);
	assert_tells(fixture, "SELECT state, error FROM job",
	             "failed|task 0 has failed 1 time, at last on a: exit code 3");
}

static void registers_itself(struct machine_fixture *fixture, uint64_t allocation)
{
	struct command_allocation change = {.id = allocation, .event = ALLOCATION_EVENT_REGISTERED};
	struct command command = {.kind = COMMAND_ALLOCATIONS};
	command.allocations.changes = &change;
	command.allocations.count = 1;
	asks(fixture, &command);
}

static void group_that_begins_again_registers_again(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, GROUP("restart"));
	places(fixture, job, 0, NODE_A);
	places(fixture, job, 1, NODE_B);
	begins(fixture, 1);
	begins(fixture, 2);
	registers_itself(fixture, 1);
	assert_int_equal(fixture->answer.number, job);
	registers_itself(fixture, 2);
	assert_tells(fixture, "SELECT state FROM job", "running");
	exits(fixture, 1, 3);
	assert_tells(fixture, "SELECT state FROM job", "pending");
	exits(fixture, 2, 143);
	places(fixture, job, 0, NODE_A);
	places(fixture, job, 1, NODE_B);
	registers_itself(fixture, 3);
	assert_tells(fixture, "SELECT state FROM job", "pending");
	registers_itself(fixture, 2);
	assert_int_equal(fixture->answer.code, ERR_NOT_FOUND);
	registers_itself(fixture, 4);
	assert_tells(fixture, "SELECT state FROM job", "running");
}

static void group_is_begun_again_as_a_whole(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, GROUP("restart"));
	places(fixture, job, 0, NODE_A);
	places(fixture, job, 1, NODE_B);
	exits(fixture, 2, 0);
	exits(fixture, 1, 3);
	assert_tells(fixture, "SELECT state, completed FROM job", "pending|0");
	assert_tells(fixture, "SELECT group_concat(task || ':' || failures) FROM job_task", "0:1,1:0");
	places(fixture, job, 0, NODE_A);
	places(fixture, job, 1, NODE_B);
	exits(fixture, 3, 0);
	exits(fixture, 4, 0);
	assert_tells(fixture, "SELECT state, completed FROM job", "completed|2");
}

static void stops_allocation(struct machine_fixture *fixture, uint64_t id)
{
	struct command command = {.kind = COMMAND_STOP_ALLOCATIONS};
	command.stop_allocations.ids = &id;
	command.stop_allocations.count = 1;
	machine_fixture_apply(fixture, &command);
}

static void group_of_which_one_is_stopped_is_begun_again_as_a_whole(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, GROUP("restart"));
	places(fixture, job, 0, NODE_A);
	places(fixture, job, 1, NODE_B);
	registers_itself(fixture, 1);
	registers_itself(fixture, 2);
	assert_tells(fixture, "SELECT state FROM job", "running");
	stops_allocation(fixture, 1);
	exits(fixture, 1, -1);
	assert_tells(fixture, "SELECT state FROM job", "pending");
	assert_tells(fixture, "SELECT stopping FROM allocation WHERE id = 2", "1");
	/* It was told to, and ends as it should: that is no reason not to begin it again. */
	exits(fixture, 2, 0);
	assert_tells(fixture, "SELECT state, completed FROM job", "pending|0");
	assert_tells(fixture, "SELECT state FROM allocation WHERE id = 2", "stopped");
	assert_tells(fixture, "SELECT group_concat(task) FROM job_task", "0,1");
}

/* --- dispatch ------------------------------------------------------------------------------------------------------ */

static void dispatches(struct machine_fixture *fixture, const char *name, const char *args, const char *key)
{
	struct command command = {.kind = COMMAND_DISPATCH_JOB};
	command.dispatch_job.name = slice_of(name);
	command.dispatch_job.args = slice_of(args);
	command.dispatch_job.key = slice_of(key);
	asks(fixture, &command);
}

static void job_is_dispatched_with_arguments(void **state)
{
	struct machine_fixture *fixture = *state;
	registers(fixture, "job resize { type = batch exec = [\"resize\", size] parameters = {size: Number} }");
	dispatches(fixture, "resize", "{\"size\":800}", "k1");
	assert_int_equal(fixture->answer.number, 1);
	dispatches(fixture, "resize", "{\"size\":900}", "k1");
	assert_int_equal(fixture->answer.number, 1);
	assert_true(fixture->answer.existed);
	dispatches(fixture, "resize", "{\"size\":\"big\"}", "");
	assert_int_equal(fixture->answer.code, ERR_TYPE);
	dispatches(fixture, "shrink", "{}", "");
	assert_int_equal(fixture->answer.code, ERR_NOT_FOUND);
	assert_tells(fixture, "SELECT args, key, state FROM job", "{\"size\":800}|k1|pending");
	assert_int_equal(
		runs(fixture, "job resize { type = batch exec = [\"resize\", size] parameters = {size: Number} }"), 0);
	assert_int_equal(fixture->answer.code, ERR_TYPE);
}

static void finished_jobs_go_after_a_while(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, ONE);
	places(fixture, job, 0, NODE_A);
	exits(fixture, 1, 0);
	fixture->now += 8ll * 24 * 3600 * 1000;
	runs(fixture, ONE);
	expires(fixture);
	assert_tells(fixture, "SELECT count(*), (SELECT count(*) FROM allocation) FROM job", "1|0");
}

static void drains(struct machine_fixture *fixture, uint64_t node, enum drain_state state)
{
	struct command command = {.kind = COMMAND_DRAIN};
	command.drain.node = node;
	command.drain.state = state;
	command.drain.within = 1000;
	asks(fixture, &command);
}

static void node_that_is_drained_gets_nothing_and_is_empty_in_the_end(void **state)
{
	struct machine_fixture *fixture = *state;
	has_nodes(fixture);
	uint64_t job = runs(fixture, THREE);
	places(fixture, job, 0, NODE_A);
	drains(fixture, NODE_A, DRAIN_UNDER_WAY);
	assert_tells(fixture, "SELECT drain, drain_until_ms > 0 FROM node ORDER BY id", "draining|1,-|-");
	places(fixture, job, 1, NODE_A);
	assert_effects(fixture, "refused 1/1");
	drains(fixture, NODE_A, DRAIN_DONE);
	assert_tells(fixture, "SELECT drain FROM node ORDER BY id LIMIT 1", "draining");
	node_is(fixture, NODE_A, "a", "alive");
	exits(fixture, 1, 0);
	drains(fixture, NODE_A, DRAIN_DONE);
	assert_tells(fixture, "SELECT drain FROM node ORDER BY id LIMIT 1", "drained");
	places(fixture, job, 1, NODE_A);
	assert_effects(fixture, "refused 1/1");
	drains(fixture, NODE_A, DRAIN_NONE);
	places(fixture, job, 1, NODE_A);
	assert_tells(fixture, "SELECT drain, drain_until_ms, (SELECT count(*) FROM allocation) FROM node ORDER BY id LIMIT 1", "-|-|2");
	drains(fixture, 99, DRAIN_UNDER_WAY);
	assert_int_equal(fixture->answer.code, ERR_NOT_FOUND);
}

static void what_is_told_to_end_says_why(void **state)
{
	struct machine_fixture *fixture = *state;
	const uint64_t first = 1;
	struct command command = {.kind = COMMAND_STOP_ALLOCATIONS};
	has_nodes(fixture);
	uint64_t job = runs(fixture, WEB);
	places(fixture, job, 0, NODE_A);
	command.stop_allocations.ids = &first;
	command.stop_allocations.count = 1;
	command.stop_allocations.reason = SLICE("it makes room for others");
	machine_fixture_apply(fixture, &command);
	exits(fixture, 1, 143);
	assert_tells(fixture, "SELECT state, error FROM allocation", "stopped|it makes room for others");
	assert_tells(fixture, "SELECT task FROM job_task", "0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(batch_job_runs_to_its_end),
		MACHINE_TEST(job_of_many_tasks_is_a_row_until_they_are_placed),
		MACHINE_TEST(job_has_completed_when_all_its_tasks_have),
		MACHINE_TEST(task_that_fails_is_tried_again_after_a_while),
		MACHINE_TEST(task_that_fails_too_often_fails_the_job),
		MACHINE_TEST(failure_of_one_task_stops_the_others),
		MACHINE_TEST(lost_task_is_placed_again_and_counts_no_failure),
		MACHINE_TEST(end_that_is_told_twice_counts_once),
		MACHINE_TEST(task_is_never_placed_twice),
		MACHINE_TEST(task_that_is_skipped_waits),
		MACHINE_TEST(node_that_is_not_there_gets_nothing),
		MACHINE_TEST(resources_are_never_given_twice),
		MACHINE_TEST(ports_are_never_given_twice),
		MACHINE_TEST(system_job_has_one_task_on_a_node),
		MACHINE_TEST(service_that_ends_is_begun_again),
		MACHINE_TEST(service_of_one_name_is_there_once),
		MACHINE_TEST(stopping_service_makes_room_for_another_of_its_name),
		MACHINE_TEST(service_is_scaled_down_and_up),
		MACHINE_TEST(allocation_that_is_moved_is_placed_again_at_once),
		MACHINE_TEST(group_runs_when_all_have_registered),
		MACHINE_TEST(group_ends_with_one_of_it),
		MACHINE_TEST(group_that_begins_again_registers_again),
		MACHINE_TEST(group_is_begun_again_as_a_whole),
		MACHINE_TEST(group_of_which_one_is_stopped_is_begun_again_as_a_whole),
		MACHINE_TEST(job_is_dispatched_with_arguments),
		MACHINE_TEST(finished_jobs_go_after_a_while),
		MACHINE_TEST(node_that_is_drained_gets_nothing_and_is_empty_in_the_end),
		MACHINE_TEST(what_is_told_to_end_says_why),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
