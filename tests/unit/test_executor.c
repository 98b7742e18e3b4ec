#include "executor_fixture.h"

/* ---- exec: arguments and environment ---- */

static void exec_gets_arguments_as_json_on_stdin(void **state)
{
	struct process process;
	(void)state;
	open_executor();
	init_exec(&process, (const char *const[]){"cat", NULL});
	start_with(1, &process, "{\"text\":\"a\\u0041\",\"json\":1.50}");
	wait_for(1);
	assert_value(1, "{\"text\":\"a\\u0041\",\"json\":1.50}");
	assert_int_equal(executor_running(fixture.executor), 0);
}

static void exec_gets_text_as_characters_and_all_else_as_json(void **state)
{
	struct process process;
	(void)state;
	open_executor();
	init_exec(&process, (const char *const[]){"printf", "%s|%s|%s", "a b", "$0", "$1", NULL});
	process.definition.settings.stdout_form = STDOUT_TEXT;
	start_with(1, &process, "{\"text\":\"it's \\\"x\\\"\",\"json\":{\"k\":\"v\"}}");
	wait_for(1);
	assert_value(1, "\"a b|it's \\\"x\\\"|{\\\"k\\\":\\\"v\\\"}\"");
}

static void exec_has_the_documented_environment_only(void **state)
{
	struct process process;
	char expected[1000];
	(void)state;
	setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1);
	open_executor();
	init_exec(&process, (const char *const[]){"env", NULL});
	process.env[1] = (struct process_variable){SLICE("PATH"), SLICE("/bin:/usr/bin")};
	process.definition.settings.env_count = 2;
	process.definition.settings.stdout_form = STDOUT_LINES;
	start(1, &process);
	wait_for(1);
	snprintf(expected, sizeof expected,
	         "[\"PATH=/bin:/usr/bin\",\"HOME=%s/work/1\",\"CLUSTERD_INSTANCE=7\",\"CLUSTERD_CALL=1\","
	         "\"CLUSTERD_ATTEMPT=3\",\"CLUSTERD_PROCESS=Exec\",\"CLUSTERD_NODE=node-1\",\"EXECUTOR_MARK=%s\"]",
	         fixture.directory, fixture.mark);
	assert_value(1, expected);
}

/* ---- exec: files ---- */

static bool work_is_empty(void)
{
	static const char *const places[] = {"work", "trash"};
	bool empty = true;
	for (int i = 0; i < 2; i++) {
		char path[100];
		snprintf(path, sizeof path, "%s/%s", fixture.directory, places[i]);
		DIR *directory = opendir(path);
		struct dirent *entry;
		assert_non_null(directory);
		while ((entry = readdir(directory)) != NULL)
			empty = empty && entry->d_name[0] == '.';
		closedir(directory);
	}
	return empty;
}

static void files_are_fetched_once_and_copied_for_each_call(void **state)
{
	struct process process;
	(void)state;
	open_executor();
	init_exec(&process, (const char *const[]){"./run.sh", NULL});
	process.files[0] = (struct process_file){SLICE("run.sh"), SLICE("script")};
	process.files[1] = (struct process_file){SLICE("lib/deep/data.txt"), SLICE("data")};
	process.definition.settings.file_count = 2;
	for (uint32_t i = 1; i <= 3; i++) {
		start(i, &process);
		wait_for(i);
		assert_value(i, "\"from the script\""); /* which overwrites itself */
	}
	assert_int_equal(fixture.fetches, 2);
	wait_until(work_is_empty);
}

static void files_lie_where_the_definition_says(void **state)
{
	struct process process;
	(void)state;
	open_executor();
	init_exec(&process, (const char *const[]){"cat", "lib/deep/data.txt", NULL});
	process.files[0] = (struct process_file){SLICE("lib/deep/data.txt"), SLICE("data")};
	process.definition.settings.file_count = 1;
	process.definition.settings.stdout_form = STDOUT_TEXT;
	start(1, &process);
	wait_for(1);
	assert_value(1, "\"data\"");
}

static void file_that_nobody_has_fails_the_attempt(void **state)
{
	struct process process;
	(void)state;
	open_executor();
	init_exec(&process, (const char *const[]){"true", NULL});
	process.files[0] = (struct process_file){SLICE("x"), SLICE("gone")};
	process.definition.settings.file_count = 1;
	start(1, &process);
	wait_for(1);
	assert_failure(1, "nobody has the attachment gone");
	assert_int_equal(executor_running(fixture.executor), 0);
	assert_int_equal(executor_room(fixture.executor, &process.definition), 4);
	wait_until(work_is_empty);
}

static void paths_out_of_the_directory_are_refused(void **state)
{
	static const char *const paths[] = {"../x", "/etc/x", "a/../../x", "a//x", "", "./x"};
	struct process process;
	(void)state;
	open_executor();
	for (uint32_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		init_exec(&process, (const char *const[]){"true", NULL});
		process.files[0] = (struct process_file){slice_of(paths[i]), SLICE("data")};
		process.definition.settings.file_count = 1;
		start(i, &process);
		wait_for(i + 1);
		assert_failure_with(i, "not plain and relative");
	}
}

static void whatever_a_child_leaves_in_its_directory_is_removed(void **state)
{
	char outside[100];
	struct stat status;
	(void)state;
	snprintf(outside, sizeof outside, "%s/outside", fixture.directory);
	assert_int_equal(mkdir(outside, 0700), 0);
	strcat(outside, "/kept");
	close(open(outside, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	run_shell("mkdir -p a/b/c; touch a/b/c/f; chmod 500 a/b/c; chmod 0 a/b; ln -s ../../outside link; ln -s / root;"
	          "mkfifo pipe; i=0; while [ $i -lt 400 ]; do : >f$i; i=$((i+1)); done;"
	          "i=0; while [ $i -lt 100 ]; do mkdir d; cd d; i=$((i+1)); done; : >file; echo 1", STDOUT_JSON);
	assert_value(1, "1");
	wait_until(work_is_empty);
	assert_int_equal(stat(outside, &status), 0);
}

static void directory_is_emptied_at_the_start(void **state)
{
	char path[200];
	struct stat status;
	(void)state;
	snprintf(path, sizeof path, "%s/work", fixture.directory);
	assert_int_equal(mkdir(path, 0700), 0);
	strcat(path, "/99");
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof path, "%s/other", fixture.directory);
	assert_int_equal(mkdir(path, 0700), 0);
	open_executor();
	wait_until(work_is_empty);
	assert_int_equal(stat(path, &status), 0);
}

/* ---- exec: output ---- */

static void json_is_trimmed_and_otherwise_untouched(void **state)
{
	(void)state;
	run_shell("printf ' {\"a\" : 1.0e5}\\n\\n'", STDOUT_JSON);
	assert_value(1, "{\"a\" : 1.0e5}");
}

static void stdout_that_is_not_json_fails_the_attempt(void **state)
{
	(void)state;
	run_shell("echo hello", STDOUT_JSON);
	assert_failure_with(1, "stdout is not one JSON value: ");
	assert_false(fixture.outcomes[1].final);
}

static void silence_is_not_json(void **state)
{
	(void)state;
	run_shell(":", STDOUT_JSON);
	assert_failure(1, "nothing was printed on stdout, where one JSON value is due");
}

static void text_loses_one_newline(void **state)
{
	(void)state;
	run_shell("printf 'one\\n\"two\"\\n\\n'", STDOUT_TEXT);
	assert_value(1, "\"one\\n\\\"two\\\"\\n\"");
}

static void bytes_that_are_not_utf8_fail_the_attempt(void **state)
{
	(void)state;
	run_shell("printf 'a\\377'", STDOUT_TEXT);
	assert_failure(1, "stdout is not text: byte 1 is 0xff, which is not UTF-8");
}

static void lines_become_strings(void **state)
{
	(void)state;
	run_shell("printf 'one\\n\\ntwo'", STDOUT_LINES);
	assert_value(1, "[\"one\",\"\",\"two\"]");
}

static void no_lines_are_an_empty_list(void **state)
{
	(void)state;
	run_shell(":", STDOUT_LINES);
	assert_value(1, "[]");
}

static void unwanted_output_is_dropped_however_much_it_is(void **state)
{
	(void)state;
	run_shell("head -c 3000000 /dev/zero", STDOUT_NONE);
	assert_value(1, "null");
}

static void output_past_the_limit_kills_the_child(void **state)
{
	(void)state;
	run_shell("trap '' TERM PIPE; while :; do head -c 100000 /dev/zero; done", STDOUT_TEXT);
	assert_failure(1, "printed more than 1 MiB on stdout");
	assert_true(none_marked());
}

static void output_of_just_the_limit_is_taken(void **state)
{
	(void)state;
	fixture.options.output_max = 100000;
	run_shell("printf '\"'; head -c 99998 /dev/zero | tr '\\0' x; printf '\"'", STDOUT_JSON);
	assert_false(fixture.outcomes[1].failed);
	assert_int_equal(strlen(fixture.outcomes[1].value), 100000);
}

/* ---- exec: how it ends ---- */

static void exit_code_and_stderr_make_the_message(void **state)
{
	(void)state;
	run_shell("echo 'no such order' >&2; exit 3", STDOUT_JSON);
	assert_failure(1, "exit code 3: no such order");
}

static void exit_code_alone_is_a_message_too(void **state)
{
	(void)state;
	run_shell("exit 4", STDOUT_JSON);
	assert_failure(1, "exit code 4");
}

static void signal_is_named(void **state)
{
	(void)state;
	run_shell("echo dying >&2; kill -KILL $$", STDOUT_JSON);
	assert_failure(1, "ended by SIGKILL: dying");
}

static void only_the_end_of_stderr_is_kept(void **state)
{
	(void)state;
	fixture.options.stderr_max = 8;
	run_shell("head -c 5000000 /dev/zero >&2; echo 'x\xc3\xa4\xc3\xa4 end' >&2; exit 1", STDOUT_JSON);
	assert_failure(1, "exit code 1: \xc3\xa4 end"); /* cut behind half a character */
}

static void command_that_is_not_there_fails_the_attempt(void **state)
{
	struct process process;
	(void)state;
	open_executor();
	init_exec(&process, (const char *const[]){"./missing", NULL});
	start(1, &process);
	wait_for(1);
	assert_failure(1, "could not be executed: ./missing: No such file or directory");
}

static void child_need_not_read_its_arguments(void **state)
{
	struct process process;
	char *args = mem_alloc(1000020);
	(void)state;
	snprintf(args, 1000020, "{\"text\":\"%0*d\"}", 1000000, 0);
	open_executor();
	init_exec(&process, (const char *const[]){"echo", "2", NULL});
	start_with(1, &process, args);
	wait_for(1);
	assert_value(1, "2");
	mem_free(args);
}

static void argument_larger_than_the_system_allows_is_explained(void **state)
{
	struct process process;
	char *args = mem_alloc(200020);
	(void)state;
	snprintf(args, 200020, "{\"text\":\"%0*d\"}", 200000, 0);
	open_executor();
	init_exec(&process, (const char *const[]){"echo", "$0", NULL});
	start_with(1, &process, args);
	wait_for(1);
	assert_failure_with(1, "128 KiB");
	mem_free(args);
}

static void call_ends_with_its_command_not_with_its_pipes(void **state)
{
	(void)state;
	run_shell("(setsid sleep 1000 &); echo 1", STDOUT_JSON);
	assert_value(1, "1");
	assert_true(none_marked());
}

static void stdout_closed_early_is_not_the_end(void **state)
{
	(void)state;
	run_shell("echo 5; exec >&- 2>&-; sleep 0.1; exit 6", STDOUT_JSON);
	assert_failure(1, "exit code 6");
}

/* ---- exec: many ---- */

static void calls_past_the_slots_wait_in_order(void **state)
{
	struct process process;
	(void)state;
	fixture.options.exec_slots = 1;
	open_executor();
	init_shell(&process, "echo 1");
	assert_int_equal(executor_room(fixture.executor, &process.definition), 1);
	for (uint32_t i = 0; i < 20; i++)
		start(i, &process);
	assert_int_equal(executor_room(fixture.executor, &process.definition), 0);
	assert_int_equal(executor_running(fixture.executor), 20);
	wait_for(20);
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(fixture.outcomes[i].order, i + 1);
	assert_int_equal(executor_room(fixture.executor, &process.definition), 1);
}

static void slots_run_side_by_side(void **state)
{
	struct process process;
	(void)state;
	fixture.options.exec_slots = 30;
	open_executor();
	/* Each waits for all to have begun. */
	init_shell(&process, "touch \"$HOME/../../$CLUSTERD_CALL.began\"; "
	                     "until [ $(ls \"$HOME/../..\" | grep -c began) = 20 ]; do sleep 0.02; done; echo 1");
	for (uint32_t i = 0; i < 20; i++)
		start(i, &process);
	wait_for(20);
	for (uint32_t i = 0; i < 20; i++)
		assert_value(i, "1");
}

static void waiting_call_can_be_abandoned(void **state)
{
	struct process process;
	(void)state;
	fixture.options.exec_slots = 1;
	open_executor();
	init_shell(&process, "echo 1");
	for (uint32_t i = 0; i < 3; i++)
		start(i, &process);
	executor_abandon(fixture.executor, key_of(1));
	executor_abandon(fixture.executor, key_of(1));
	executor_abandon(fixture.executor, key_of(99));
	wait_for(2);
	assert_false(fixture.outcomes[1].told);
	assert_int_equal(executor_running(fixture.executor), 0);
}

static bool slot_is_free(void)
{
	struct process process;
	init_shell(&process, ":");
	return executor_room(fixture.executor, &process.definition) == fixture.options.exec_slots;
}

static void abandoned_child_that_ignores_terminate_is_killed(void **state)
{
	struct process process;
	(void)state;
	open_executor();
	init_shell(&process, "trap '' TERM; sleep 1000; sleep 1000; sleep 1000");
	start(1, &process);
	wait_until(two_marked);
	executor_abandon(fixture.executor, key_of(1));
	assert_int_equal(executor_running(fixture.executor), 0);
	assert_false(slot_is_free()); /* until it is gone */
	wait_until(slot_is_free);
	assert_true(none_marked());
	assert_int_equal(fixture.told_count, 0);
}

static void failure_can_be_abandoned_before_it_is_told(void **state)
{
	struct process process;
	(void)state;
	open_executor();
	init_shell(&process, ":");
	process.files[0] = (struct process_file){SLICE("x"), SLICE("gone")};
	process.definition.settings.file_count = 1;
	start(1, &process);
	executor_abandon(fixture.executor, key_of(1));
	process.definition.settings.file_count = 0;
	process.definition.settings.stdout_form = STDOUT_NONE;
	start(2, &process);
	wait_for(1);
	assert_false(fixture.outcomes[1].told);
}

/* ---- The end of the executor ---- */

static void destroy_leaves_no_process(void **state)
{
	struct process process, pool;
	(void)state;
	open_executor();
	init_shell(&process, "(setsid sleep 1000 &); sleep 1000");
	init_shell_pool(&pool, "sleep 1000");
	for (uint32_t i = 0; i < 6; i++)
		start(i, i % 2 == 0 ? &process : &pool);
	wait_until(two_marked);
	executor_destroy(fixture.executor);
	fixture.executor = NULL;
	wait_until_none_marked();
	assert_int_equal(fixture.told_count, 0);
}

static void killed_daemon_leaves_no_process(void **state)
{
	struct process process, pool;
	int ready[2];
	char byte;
	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid_t daemon = fork();
	assert_true(daemon >= 0);
	if (daemon == 0) {
		loop_create(&fixture.loop);
		open_executor();
		init_shell(&process, "(setsid sleep 1000 &); sleep 1000");
		init_shell_pool(&pool, "sleep 1000");
		for (uint32_t i = 0; i < 4; i++)
			start(i, i % 2 == 0 ? &process : &pool);
		wait_until(two_marked);
		_exit(write(ready[1], "r", 1) == 1 ? pause() : 1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	kill(daemon, SIGKILL);
	assert_int_equal(waitpid(daemon, NULL, 0), daemon);
	wait_until_none_marked();
}

int main(int argc, char **argv)
{
	child_shim_main(argc, argv);
	const struct CMUnitTest tests[] = {
		FACT(exec_gets_arguments_as_json_on_stdin),
		FACT(exec_gets_text_as_characters_and_all_else_as_json),
		FACT(exec_has_the_documented_environment_only),
		FACT(files_are_fetched_once_and_copied_for_each_call),
		FACT(files_lie_where_the_definition_says),
		FACT(file_that_nobody_has_fails_the_attempt),
		FACT(paths_out_of_the_directory_are_refused),
		FACT(whatever_a_child_leaves_in_its_directory_is_removed),
		FACT(directory_is_emptied_at_the_start),
		FACT(json_is_trimmed_and_otherwise_untouched),
		FACT(stdout_that_is_not_json_fails_the_attempt),
		FACT(silence_is_not_json),
		FACT(text_loses_one_newline),
		FACT(bytes_that_are_not_utf8_fail_the_attempt),
		FACT(lines_become_strings),
		FACT(no_lines_are_an_empty_list),
		FACT(unwanted_output_is_dropped_however_much_it_is),
		FACT(output_past_the_limit_kills_the_child),
		FACT(output_of_just_the_limit_is_taken),
		FACT(exit_code_and_stderr_make_the_message),
		FACT(exit_code_alone_is_a_message_too),
		FACT(signal_is_named),
		FACT(only_the_end_of_stderr_is_kept),
		FACT(command_that_is_not_there_fails_the_attempt),
		FACT(child_need_not_read_its_arguments),
		FACT(argument_larger_than_the_system_allows_is_explained),
		FACT(call_ends_with_its_command_not_with_its_pipes),
		FACT(stdout_closed_early_is_not_the_end),
		FACT(calls_past_the_slots_wait_in_order),
		FACT(slots_run_side_by_side),
		FACT(waiting_call_can_be_abandoned),
		FACT(abandoned_child_that_ignores_terminate_is_killed),
		FACT(failure_can_be_abandoned_before_it_is_told),
		FACT(destroy_leaves_no_process),
		FACT(killed_daemon_leaves_no_process),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
