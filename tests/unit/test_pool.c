#include "executor_fixture.h"

/* ---- pool ---- */

static void pool_child_answers_many_calls(void **state)
{
	struct process pool;
	(void)state;
	open_executor();
	init_shell_pool(&pool, "echo \"{\\\"call\\\":$id,\\\"output\\\":{\\\"pid\\\":$$}}\"");
	assert_int_equal(executor_room(fixture.executor, &pool.definition), 64);
	for (uint32_t i = 0; i < 100; i++)
		start(i, &pool);
	assert_int_equal(executor_room(fixture.executor, &pool.definition), 0);
	wait_for(100);
	for (uint32_t i = 0; i < 100; i++)
		assert_value(i, fixture.outcomes[0].value);
	assert_int_equal(executor_room(fixture.executor, &pool.definition), 64);
}

static void pool_child_reads_the_documented_lines(void **state)
{
	struct process pool;
	(void)state;
	open_executor();
	init_shell_pool(&pool, "echo \"{\\\"call\\\":$id,\\\"output\\\":$line,\\\"metadata\\\":{\\\"tokens\\\":3}}\"");
	start_with(1, &pool, "{\"text\":\n\"a\",\r\n\"json\":1}");
	wait_for(1);
	assert_value(1, "{\"call\":1,\"process\":\"Pool\",\"input\":{\"text\": \"a\",  \"json\":1}}");
	assert_string_equal(fixture.outcomes[1].metadata, "{\"tokens\":3}");
}

static void answers_may_come_in_any_order(void **state)
{
	struct process pool;
	(void)state;
	open_executor();
	init_shell_pool(&pool, "if [ $id = 3 ]; then for i in 3 2 1; do "
	                       "echo \"{\\\"output\\\":$i,\\\"call\\\":$i}\"; done; fi");
	for (uint32_t i = 1; i <= 3; i++)
		start(i, &pool);
	wait_for(3);
	for (uint32_t i = 1; i <= 3; i++)
		assert_int_equal(fixture.outcomes[i].order, 4 - i);
	assert_value(2, "2");
}

static void error_of_a_pool_child_fails_its_call(void **state)
{
	struct process pool;
	(void)state;
	open_executor();
	init_shell_pool(&pool, "case $id in 1) echo '{\"call\":1,\"error\":\"no \\\"x\\\"\",\"retry\":false}';; "
	                       "2) echo '{\"call\":2,\"error\":\"later\"}';; 3) echo '{\"call\":3}';; esac");
	for (uint32_t i = 1; i <= 3; i++)
		start(i, &pool);
	wait_for(3);
	assert_failure(1, "no \"x\"");
	assert_true(fixture.outcomes[1].final);
	assert_failure(2, "later");
	assert_false(fixture.outcomes[2].final);
	assert_failure(3, "the answer has neither output nor error");
}

static void heartbeats_are_passed_on(void **state)
{
	struct process pool;
	(void)state;
	open_executor();
	init_shell_pool(&pool, "for i in 1 2 3; do echo \"{\\\"call\\\":$id,\\\"heartbeat\\\":true}\"; done; "
	                       "echo \"{\\\"call\\\":$id,\\\"output\\\":null}\"");
	start(1, &pool);
	wait_for(1);
	assert_value(1, "null");
	assert_int_equal(fixture.heartbeats, 3);
}

static void busy_pool_grows_to_its_limit_and_spreads_the_calls(void **state)
{
	struct process pool;
	int pids = 0;
	(void)state;
	fixture.options.pool_children = 3;
	open_executor();
	init_shell_pool(&pool, "sleep 0.2; echo \"{\\\"call\\\":$id,\\\"output\\\":$$}\"");
	for (uint32_t i = 0; i < 6; i++)
		start(i, &pool);
	wait_for(6);
	for (uint32_t i = 0; i < 6; i++) {
		int same = 0;
		for (uint32_t k = 0; k < 6; k++)
			same += strcmp(fixture.outcomes[i].value, fixture.outcomes[k].value) == 0;
		assert_int_equal(same, 2);
		pids += same == 2;
	}
	assert_int_equal(pids, 6);
}

static void free_child_is_used_before_another_is_started(void **state)
{
	struct process pool;
	(void)state;
	fixture.options.pool_children = 3;
	open_executor();
	init_shell_pool(&pool, "echo \"{\\\"call\\\":$id,\\\"output\\\":$$}\"");
	for (uint32_t i = 0; i < 5; i++) {
		start(i, &pool);
		wait_for(i + 1);
		assert_value(i, fixture.outcomes[0].value);
	}
}

static void death_of_a_pool_child_fails_its_calls_and_another_follows(void **state)
{
	struct process pool;
	(void)state;
	open_executor();
	init_shell_pool(&pool, "case $line in *die*) echo 'out of luck' >&2; exit 9;; "
	                       "*wait*) ;; *) echo \"{\\\"call\\\":$id,\\\"output\\\":true}\";; esac");
	start(1, &pool);
	start_with(2, &pool, "{\"text\":\"wait\"}");
	start_with(3, &pool, "{\"text\":\"die\"}");
	wait_for(3);
	assert_value(1, "true");
	assert_failure(2, "the pool child ended: exit code 9: out of luck");
	assert_failure(3, "the pool child ended: exit code 9: out of luck");
	msec before = loop_now(fixture.loop);
	start(4, &pool);
	wait_for(4);
	assert_value(4, "true");
	assert_true(loop_now(fixture.loop) >= before + 50); /* not at once */
}

static void backoff_of_a_pool_doubles(void **state)
{
	struct process pool;
	(void)state;
	open_executor();
	init_shell_pool(&pool, "exit 1");
	msec before = loop_now(fixture.loop);
	for (uint32_t i = 0; i < 4; i++) {
		start(i, &pool);
		wait_for(i + 1);
		assert_failure(i, "the pool child ended: exit code 1");
	}
	assert_true(loop_now(fixture.loop) - before >= 700); /* 100 + 200 + 400 */
}

static void pool_that_cannot_be_executed_fails_all_calls(void **state)
{
	struct process pool;
	(void)state;
	fixture.options.pool_depth = 2;
	open_executor();
	init_pool(&pool, (const char *const[]){"no-such-command", NULL});
	for (uint32_t i = 0; i < 5; i++)
		start(i, &pool);
	wait_for(5);
	for (uint32_t i = 0; i < 5; i++)
		assert_failure(i, "could not be executed: no-such-command: No such file or directory");
}

static void line_that_is_no_answer_kills_that_child_only(void **state)
{
	struct process pool, other;
	(void)state;
	open_executor();
	init_shell_pool(&pool, "echo debugging; sleep 1000");
	start(1, &pool);
	init_process(&other, "Other");
	other.definition.settings.pool = other.words;
	other.definition.settings.pool_count = set_words(&other, (const char *const[]){"sh", "-c",
		"read -r line; sleep 0.5; echo '{\"call\":2,\"output\":2}'; read -r line", NULL});
	start(2, &other);
	wait_for(2);
	assert_failure_with(1, "the pool child was killed, for it printed a line that is no answer (");
	assert_failure_with(1, "): debugging");
	assert_value(2, "2");
}

static void line_without_end_kills_the_child(void **state)
{
	struct process pool;
	(void)state;
	fixture.options.output_max = 1000;
	open_executor();
	init_shell_pool(&pool, "while :; do head -c 10000 /dev/zero; done");
	start(1, &pool);
	wait_for(1);
	assert_failure(1, "the pool child was killed, for it printed a line of more than 66536 bytes");
}

static void output_of_a_pool_child_past_the_limit_fails_that_call_only(void **state)
{
	struct process pool;
	(void)state;
	fixture.options.output_max = 1000;
	open_executor();
	init_shell_pool(&pool, "case $id in 1) x=$(head -c 2000 /dev/zero | tr '\\0' 1);; *) x=$$;; esac; "
	                       "echo \"{\\\"call\\\":$id,\\\"output\\\":\\\"$x\\\"}\"");
	start(1, &pool);
	start(2, &pool);
	wait_for(2);
	assert_failure(1, "answered with more than 1000 bytes");
	assert_false(fixture.outcomes[2].failed);
}

static void answers_nobody_waits_for_are_logged_and_dropped(void **state)
{
	struct process pool;
	(void)state;
	open_executor();
	init_shell_pool(&pool, "echo '{\"call\":77,\"output\":0}'; echo \"{\\\"call\\\":$id,\\\"output\\\":1}\"; "
	                       "echo \"{\\\"call\\\":$id,\\\"output\\\":2}\"");
	start(1, &pool);
	wait_for(1);
	assert_value(1, "1");
	assert_string_equal(last_log, "Pool: a pool child answered call 77, which it does not have (any more); "
	                              "this is said once");
	start(2, &pool);
	wait_for(2);
	assert_value(2, "1");
}

static bool warning_is_logged(void)
{
	return strcmp(last_log, "Pool: warning one") == 0;
}

static void stderr_of_a_pool_child_goes_to_the_log(void **state)
{
	struct process pool;
	(void)state;
	open_executor();
	init_shell_pool(&pool, "printf 'warning\\tone\\n' >&2; echo \"{\\\"call\\\":$id,\\\"output\\\":1}\"");
	start(1, &pool);
	wait_until(warning_is_logged);
}

static bool pool_is_free(void)
{
	struct process pool;
	init_pool(&pool, (const char *const[]){"x", NULL});
	return executor_room(fixture.executor, &pool.definition) == 64;
}

static void abandoned_call_is_cancelled_in_its_child(void **state)
{
	struct process pool;
	(void)state;
	open_executor();
	init_shell_pool(&pool, "case $line in *cancel*) echo \"cancelled $id\" >&2;; *answer*) ;; *) continue;; esac; "
	                       "echo \"{\\\"call\\\":$id,\\\"output\\\":1}\"");
	start_with(1, &pool, "{\"text\":\"silence\"}");
	start_with(2, &pool, "{\"text\":\"answer\"}");
	wait_for(1);
	executor_abandon(fixture.executor, key_of(1));
	assert_int_equal(executor_running(fixture.executor), 0);
	assert_false(pool_is_free()); /* its place is taken until it answers */
	wait_until(pool_is_free);
	assert_false(fixture.outcomes[1].told);
	assert_int_equal(count_marked(), 2); /* it lives */
}

static void child_that_does_not_let_go_of_an_abandoned_call_is_killed(void **state)
{
	struct process pool;
	(void)state;
	open_executor();
	init_shell_pool(&pool, "sleep 1000");
	start(1, &pool);
	wait_until(two_marked);
	executor_abandon(fixture.executor, key_of(1));
	wait_until(none_marked);
	assert_int_equal(fixture.told_count, 0);
	init_shell_pool(&pool, "echo \"{\\\"call\\\":$id,\\\"output\\\":1}\"");
	pool.definition.version = 2;
	start(2, &pool);
	wait_for(1);
	assert_value(2, "1");
}

static void abandoned_call_does_not_harm_its_neighbours(void **state)
{
	struct process pool;
	(void)state;
	open_executor();
	/* The second call is answered long after the grace of the first. */
	init_shell_pool(&pool, "[ $id = 2 ] && { sleep 0.6; echo \"{\\\"call\\\":2,\\\"output\\\":2}\"; }");
	start(1, &pool);
	start(2, &pool);
	executor_abandon(fixture.executor, key_of(1));
	wait_for(1);
	assert_value(2, "2");
	wait_until(none_marked); /* then it is killed, for it still has the first */
}

static void waiting_call_of_a_pool_can_be_abandoned(void **state)
{
	struct process pool;
	(void)state;
	fixture.options.pool_depth = 1;
	open_executor();
	init_shell_pool(&pool, "echo \"{\\\"call\\\":$id,\\\"output\\\":$id}\"");
	for (uint32_t i = 1; i <= 3; i++)
		start(i, &pool);
	executor_abandon(fixture.executor, key_of(2));
	wait_for(2);
	assert_value(1, "1");
	assert_value(3, "3");
	assert_false(fixture.outcomes[2].told);
}

static bool one_child_is_left(void)
{
	return count_marked() == 2;
}

static void idle_children_are_ended_the_last_one_later(void **state)
{
	struct process pool;
	(void)state;
	fixture.options.pool_children = 3;
	fixture.options.pool_idle = 50;
	fixture.options.pool_idle_last = 1500;
	open_executor();
	init_shell_pool(&pool, "sleep 0.1; echo \"{\\\"call\\\":$id,\\\"output\\\":1}\"");
	for (uint32_t i = 0; i < 3; i++)
		start(i, &pool);
	wait_for(3);
	msec before = loop_now(fixture.loop);
	wait_until(one_child_is_left);
	wait_until(none_marked);
	assert_true(loop_now(fixture.loop) - before >= 1400);
	start(3, &pool);
	wait_for(4);
	assert_value(3, "1");
}

static void files_and_environment_reach_pool_children(void **state)
{
	struct process pool;
	(void)state;
	open_executor();
	init_shell_pool(&pool, "echo \"{\\\"call\\\":$id,"
	                       "\\\"output\\\":\\\"$(cat data) $CLUSTERD_PROCESS $CLUSTERD_NODE\\\"}\"");
	pool.files[0] = (struct process_file){SLICE("data"), SLICE("data")};
	pool.definition.settings.file_count = 1;
	start(1, &pool);
	memset(&pool, 0xA5, sizeof pool); /* the pool outlives the definition */
	wait_for(1);
	assert_value(1, "\"data Pool node-1\"");
}

static void node_js_child_serves_thousands(void **state)
{
	struct process pool;
	(void)state;
	if (system("command -v node >/dev/null 2>&1") != 0)
		skip();
	open_executor();
	init_pool(&pool, (const char *const[]){"node", "-e",
		"require('readline').createInterface({input: process.stdin}).on('line', line => {"
		"const {call, input} = JSON.parse(line);"
		"process.stdout.write(JSON.stringify({call, output: input.json}) + '\\n') })", NULL});
	for (uint32_t i = 0; i < CALLS_MAX; i++) {
		char args[64];
		snprintf(args, sizeof args, "{\"text\":\"x\",\"json\":%u}", i);
		start_with(i, &pool, args);
	}
	wait_for(CALLS_MAX);
	for (uint32_t i = 0; i < CALLS_MAX; i++) {
		char expected[16];
		snprintf(expected, sizeof expected, "%u", i);
		assert_value(i, expected);
	}
}

int main(int argc, char **argv)
{
	child_shim_main(argc, argv);
	const struct CMUnitTest tests[] = {
		FACT(pool_child_answers_many_calls),
		FACT(pool_child_reads_the_documented_lines),
		FACT(answers_may_come_in_any_order),
		FACT(error_of_a_pool_child_fails_its_call),
		FACT(heartbeats_are_passed_on),
		FACT(busy_pool_grows_to_its_limit_and_spreads_the_calls),
		FACT(free_child_is_used_before_another_is_started),
		FACT(death_of_a_pool_child_fails_its_calls_and_another_follows),
		FACT(backoff_of_a_pool_doubles),
		FACT(pool_that_cannot_be_executed_fails_all_calls),
		FACT(line_that_is_no_answer_kills_that_child_only),
		FACT(line_without_end_kills_the_child),
		FACT(output_of_a_pool_child_past_the_limit_fails_that_call_only),
		FACT(answers_nobody_waits_for_are_logged_and_dropped),
		FACT(stderr_of_a_pool_child_goes_to_the_log),
		FACT(abandoned_call_is_cancelled_in_its_child),
		FACT(child_that_does_not_let_go_of_an_abandoned_call_is_killed),
		FACT(abandoned_call_does_not_harm_its_neighbours),
		FACT(waiting_call_of_a_pool_can_be_abandoned),
		FACT(idle_children_are_ended_the_last_one_later),
		FACT(files_and_environment_reach_pool_children),
		FACT(node_js_child_serves_thousands),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
