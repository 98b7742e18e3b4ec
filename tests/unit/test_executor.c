#include "daemon/executor.h"

#include "base/log.h"
#include "base/memory.h"
#include "net/child.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEADLINE_MS 20000
#define CALLS_MAX 4096

/* ---- An executor with what it tells ---- */

struct outcome {
	bool told;
	bool failed;
	bool final;
	uint32_t order; /* 1: the first to be told */
	char *value;
	char *metadata;
};

struct fixture {
	struct loop *loop;
	struct executor *executor;
	struct executor_options options;
	char directory[64];
	char mark[64]; /* NAME=value in the environment of each child */
	struct outcome outcomes[CALLS_MAX]; /* by ref */
	uint32_t told_count;
	uint32_t heartbeats;
	uint32_t fetches;
	bool inside_start;
	bool (*enough)(const struct fixture *fixture);
	uint32_t wanted;
};

static struct fixture fixture;
static char last_log[1200];

static void keep_log(enum log_level level, const char *module, const char *text)
{
	(void)level;
	snprintf(last_log, sizeof last_log, "%s: %s", module, text);
}

static char *copy_of(struct slice slice)
{
	return mem_format("%.*s", SLICE_ARGS(slice));
}

static void note_finished(void *context, const struct executor_result *result)
{
	struct outcome *outcome = &fixture.outcomes[result->key.ref];
	(void)context;
	assert_false(fixture.inside_start);
	assert_false(outcome->told);
	outcome->told = true;
	outcome->failed = result->failed;
	outcome->final = result->final;
	outcome->value = copy_of(result->value);
	outcome->metadata = copy_of(result->metadata);
	outcome->order = ++fixture.told_count;
	if (fixture.enough(&fixture))
		loop_stop(fixture.loop);
}

static void note_heartbeat(void *context, struct executor_key key)
{
	(void)context, (void)key;
	fixture.heartbeats++;
}

static const char script[] = "#!/bin/sh\ncat >/dev/null\necho '\"from the script\"'\necho changed >run.sh\n";

static int fetch(void *context, struct slice hash, bool *ret_executable, struct buffer *ret_content, struct error *error)
{
	(void)context;
	fixture.fetches++;
	if (slice_is(hash, "gone"))
		return error_set(error, ERR_NOT_FOUND, "nobody has the attachment %.*s", SLICE_ARGS(hash));
	*ret_executable = slice_is(hash, "script");
	buffer_append_string(ret_content, *ret_executable ? script : "data\n");
	return 0;
}

static bool enough_told(const struct fixture *f)
{
	return f->told_count >= f->wanted;
}

static int set_up(void **state)
{
	static int counter;
	(void)state;
	memset(&fixture, 0, sizeof fixture);
	strcpy(fixture.directory, "/tmp/clusterd-executor-XXXXXX");
	if (mkdtemp(fixture.directory) == NULL)
		return -1;
	snprintf(fixture.mark, sizeof fixture.mark, "%d-%d.", (int)getpid(), ++counter);
	fixture.options = (struct executor_options){
		.directory = fixture.directory, .node_name = "node-1", .exec_slots = 4, .pool_children = 1,
		.kill_grace = 200,
	};
	fixture.enough = enough_told;
	log_set_sink(keep_log);
	last_log[0] = '\0';
	return loop_create(&fixture.loop);
}

static void open_executor(void)
{
	static const struct executor_handler handler = {note_finished, note_heartbeat, fetch};
	struct error error = {0};
	if (executor_create(fixture.loop, &fixture.options, &handler, NULL, &fixture.executor, &error) != 0)
		fail_msg("%s", error.text);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	(void)status, (void)kind, (void)place;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	executor_destroy(fixture.executor);
	loop_destroy(fixture.loop);
	for (int i = 0; i < CALLS_MAX; i++) {
		mem_free(fixture.outcomes[i].value);
		mem_free(fixture.outcomes[i].metadata);
	}
	log_set_sink(NULL);
	nftw(fixture.directory, remove_one, 20, FTW_DEPTH | FTW_PHYS);
	return 0;
}

/* ---- Processes ---- */

static const struct type text_type = {.kind = TYPE_TEXT};
static const struct type json_type = {.kind = TYPE_JSON};

#define WORDS_MAX 8

struct process {
	struct definition definition;
	struct command_word words[WORDS_MAX];
	struct param params[2];
	struct process_variable env[2];
	struct process_file files[2];
};

static void init_process(struct process *process, const char *name)
{
	*process = (struct process){0};
	process->definition.kind = DEFINITION_PROCESS;
	process->definition.name = slice_of(name);
	process->definition.version = 1;
	process->params[0] = (struct param){.name = SLICE("text"), .type = &text_type};
	process->params[1] = (struct param){.name = SLICE("json"), .type = &json_type};
	process->definition.params = process->params;
	process->definition.param_count = 2;
	process->env[0] = (struct process_variable){SLICE("EXECUTOR_MARK"), slice_of(fixture.mark)};
	process->definition.settings.env = process->env;
	process->definition.settings.env_count = 1;
	process->definition.settings.files = process->files;
}

/* Words; "$0", "$1": the parameters. */
static uint32_t set_words(struct process *process, const char *const *words)
{
	uint32_t count = 0;
	for (; words[count] != NULL; count++) {
		bool param = words[count][0] == '$';
		process->words[count].literal = slice_of(words[count]);
		process->words[count].param = param ? words[count][1] - '0' : -1;
	}
	return count;
}

static void init_exec(struct process *process, const char *const *words)
{
	init_process(process, "Exec");
	process->definition.settings.exec = process->words;
	process->definition.settings.exec_count = set_words(process, words);
}

static void init_shell(struct process *process, const char *commands)
{
	init_exec(process, (const char *const[]){"sh", "-c", commands, NULL});
}

static void init_pool(struct process *process, const char *const *words)
{
	init_process(process, "Pool");
	process->definition.settings.pool = process->words;
	process->definition.settings.pool_count = set_words(process, words);
}

/* Gives each line that comes to a shell as $line, the call's id as $id. */
static void init_shell_pool(struct process *process, const char *commands)
{
	static char text[4000];
	snprintf(text, sizeof text, "while read -r line; do id=${line#*:}; id=${id%%%%,*}; %s\ndone", commands);
	init_pool(process, (const char *const[]){"sh", "-c", text, NULL});
}

/* ---- Calls ---- */

static struct executor_key key_of(uint32_t ref)
{
	return (struct executor_key){.instance = 7, .ref = ref, .attempt = 3};
}

static void start_with(uint32_t ref, const struct process *process, const char *args)
{
	struct text *text = text_create(slice_of(args));
	fixture.inside_start = true;
	executor_start(fixture.executor, key_of(ref), &process->definition, text);
	fixture.inside_start = false;
	text_release(text);
}

static void start(uint32_t ref, const struct process *process)
{
	start_with(ref, process, "{\"text\":\"t\",\"json\":[1]}");
}

static void too_late(void *context)
{
	(void)context;
	loop_stop(fixture.loop);
}

/* Runs the loop until `count` calls have been told of. */
static void wait_for(uint32_t count)
{
	struct loop_timer *timer = loop_timer_create(fixture.loop, too_late, NULL);
	loop_timer_set(timer, loop_now(fixture.loop) + DEADLINE_MS);
	fixture.wanted = count;
	if (fixture.told_count < count)
		loop_run(fixture.loop);
	loop_timer_destroy(timer);
	if (fixture.told_count < count)
		fail_msg("only %u of %u calls were told of", fixture.told_count, count);
}

struct wait {
	struct loop_timer *timer;
	bool (*done)(void);
	msec deadline;
	bool met;
};

static void look(void *context)
{
	struct wait *wait = context;
	wait->met = wait->done();
	if (wait->met || loop_now(fixture.loop) >= wait->deadline)
		loop_stop(fixture.loop);
	else
		loop_timer_set(wait->timer, loop_now(fixture.loop) + 5);
}

/* Runs the loop until `done` is so. */
static void wait_until(bool (*done)(void))
{
	struct wait wait = {.done = done, .deadline = loop_now(fixture.loop) + DEADLINE_MS};
	wait.timer = loop_timer_create(fixture.loop, look, &wait);
	loop_timer_set(wait.timer, loop_now(fixture.loop));
	fixture.wanted = UINT32_MAX;
	loop_run(fixture.loop);
	loop_timer_destroy(wait.timer);
	assert_true(wait.met);
}

static void assert_value(uint32_t ref, const char *expected)
{
	const struct outcome *outcome = &fixture.outcomes[ref];
	assert_true(outcome->told);
	if (outcome->failed)
		fail_msg("call %u failed: %s", ref, outcome->value);
	assert_string_equal(outcome->value, expected);
}

static void assert_failure(uint32_t ref, const char *expected)
{
	const struct outcome *outcome = &fixture.outcomes[ref];
	assert_true(outcome->told);
	assert_true(outcome->failed);
	assert_string_equal(outcome->value, expected);
}

static void assert_failure_with(uint32_t ref, const char *part)
{
	const struct outcome *outcome = &fixture.outcomes[ref];
	assert_true(outcome->told);
	assert_true(outcome->failed);
	if (strstr(outcome->value, part) == NULL)
		fail_msg("\"%s\" does not contain \"%s\"", outcome->value, part);
}

/* One call of one process. */
static void run_shell(const char *commands, enum stdout_form form)
{
	struct process process;
	open_executor();
	init_shell(&process, commands);
	process.definition.settings.stdout_form = form;
	start(1, &process);
	wait_for(1);
}

static int count_marked(void)
{
	char path[300];
	char text[16384];
	struct dirent *entry;
	int count = 0;
	DIR *directory = opendir("/proc");
	while ((entry = readdir(directory)) != NULL) {
		snprintf(path, sizeof path, "/proc/%s/environ", entry->d_name);
		int file = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? open(path, O_RDONLY) : -1;
		if (file < 0)
			continue;
		ssize_t size = read(file, text, sizeof text);
		close(file);
		count += size > 0 && memmem(text, (size_t)size, fixture.mark, strlen(fixture.mark)) != NULL;
	}
	closedir(directory);
	return count;
}

static bool none_marked(void)
{
	return count_marked() == 0;
}

static bool two_marked(void)
{
	return count_marked() >= 2; /* a shim and its command */
}

static void wait_until_none_marked(void)
{
	for (int i = 0; i < DEADLINE_MS / 5; i++) {
		if (none_marked())
			return;
		usleep(5000); /* between two looks */
	}
	fail_msg("%d processes are left", count_marked());
}

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
	         "[\"PATH=/bin:/usr/bin\",\"HOME=%s/work/1\",\"CLUSTERD_INSTANCE=7\",\"CLUSTERD_CALL=1\",\"CLUSTERD_ATTEMPT=3\","
	         "\"CLUSTERD_PROCESS=Exec\",\"CLUSTERD_NODE=node-1\",\"EXECUTOR_MARK=%s\"]", fixture.directory, fixture.mark);
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
	init_shell_pool(&pool, "if [ $id = 3 ]; then for i in 3 2 1; do echo \"{\\\"output\\\":$i,\\\"call\\\":$i}\"; done; fi");
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
	assert_string_equal(last_log, "Pool: a pool child answered call 77, which it does not have (any more); this is said once");
	start(2, &pool);
	wait_for(2);
	assert_value(2, "1");
}

static void stderr_of_a_pool_child_goes_to_the_log(void **state)
{
	struct process pool;
	(void)state;
	open_executor();
	init_shell_pool(&pool, "printf 'warning\\tone\\n' >&2; sleep 0.1; echo \"{\\\"call\\\":$id,\\\"output\\\":1}\"");
	start(1, &pool);
	wait_for(1);
	assert_string_equal(last_log, "Pool: warning one");
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
	assert_true(loop_now(fixture.loop) - before < 1400);
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
	init_shell_pool(&pool, "echo \"{\\\"call\\\":$id,\\\"output\\\":\\\"$(cat data) $CLUSTERD_PROCESS $CLUSTERD_NODE\\\"}\"");
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

#define FACT(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
