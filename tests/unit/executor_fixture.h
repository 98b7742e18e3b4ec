/* An executor with processes made by hand, and what it tells of their calls; for test_executor.c and test_pool.c. */
#ifndef CLUSTERD_TESTS_EXECUTOR_FIXTURE_H
#define CLUSTERD_TESTS_EXECUTOR_FIXTURE_H

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

static inline void keep_log(enum log_level level, const char *module, const char *text)
{
	(void)level;
	snprintf(last_log, sizeof last_log, "%s: %s", module, text);
}

static inline char *copy_of(struct slice slice)
{
	return mem_format("%.*s", SLICE_ARGS(slice));
}

static inline void note_finished(void *context, const struct executor_result *result)
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

static inline void note_heartbeat(void *context, struct executor_key key)
{
	(void)context, (void)key;
	fixture.heartbeats++;
}

static const char script[] = "#!/bin/sh\ncat >/dev/null\necho '\"from the script\"'\necho changed >run.sh\n";

static inline int fetch(void *context, struct slice hash, bool *ret_executable, struct buffer *ret_content,
                        struct error *error)
{
	(void)context;
	fixture.fetches++;
	if (slice_is(hash, "gone"))
		return error_set(error, ERR_NOT_FOUND, "nobody has the attachment %.*s", SLICE_ARGS(hash));
	*ret_executable = slice_is(hash, "script");
	buffer_append_string(ret_content, *ret_executable ? script : "data\n");
	return 0;
}

static inline bool enough_told(const struct fixture *f)
{
	return f->told_count >= f->wanted;
}

static inline int set_up(void **state)
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

static inline void open_executor(void)
{
	static const struct executor_handler handler = {note_finished, note_heartbeat, fetch};
	struct error error = {0};
	if (executor_create(fixture.loop, &fixture.options, &handler, NULL, &fixture.executor, &error) != 0)
		fail_msg("%s", error.text);
}

static inline int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	(void)status, (void)kind, (void)place;
	return remove(path);
}

static inline int tear_down(void **state)
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

static inline void init_process(struct process *process, const char *name)
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
static inline uint32_t set_words(struct process *process, const char *const *words)
{
	uint32_t count = 0;
	for (; words[count] != NULL; count++) {
		bool param = words[count][0] == '$';
		process->words[count].literal = slice_of(words[count]);
		process->words[count].param = param ? words[count][1] - '0' : -1;
	}
	return count;
}

static inline void init_exec(struct process *process, const char *const *words)
{
	init_process(process, "Exec");
	process->definition.settings.exec = process->words;
	process->definition.settings.exec_count = set_words(process, words);
}

static inline void init_shell(struct process *process, const char *commands)
{
	init_exec(process, (const char *const[]){"sh", "-c", commands, NULL});
}

static inline void init_pool(struct process *process, const char *const *words)
{
	init_process(process, "Pool");
	process->definition.settings.pool = process->words;
	process->definition.settings.pool_count = set_words(process, words);
}

/* Gives each line that comes to a shell as $line, the call's id as $id. */
static inline void init_shell_pool(struct process *process, const char *commands)
{
	static char text[4000];
	snprintf(text, sizeof text, "while read -r line; do id=${line#*:}; id=${id%%%%,*}; %s\ndone", commands);
	init_pool(process, (const char *const[]){"sh", "-c", text, NULL});
}

/* ---- Calls ---- */

static inline struct executor_key key_of(uint32_t ref)
{
	return (struct executor_key){.instance = 7, .ref = ref, .attempt = 3};
}

static inline void start_with(uint32_t ref, const struct process *process, const char *args)
{
	struct text *text = text_create(slice_of(args));
	fixture.inside_start = true;
	executor_start(fixture.executor, key_of(ref), &process->definition, text);
	fixture.inside_start = false;
	text_release(text);
}

static inline void start(uint32_t ref, const struct process *process)
{
	start_with(ref, process, "{\"text\":\"t\",\"json\":[1]}");
}

static inline void too_late(void *context)
{
	(void)context;
	loop_stop(fixture.loop);
}

/* Runs the loop until `count` calls have been told of. */
static inline void wait_for(uint32_t count)
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

static inline void look(void *context)
{
	struct wait *wait = context;
	wait->met = wait->done();
	if (wait->met || loop_now(fixture.loop) >= wait->deadline)
		loop_stop(fixture.loop);
	else
		loop_timer_set(wait->timer, loop_now(fixture.loop) + 5);
}

/* Runs the loop until `done` is so. */
static inline void wait_until(bool (*done)(void))
{
	struct wait wait = {.done = done, .deadline = loop_now(fixture.loop) + DEADLINE_MS};
	wait.timer = loop_timer_create(fixture.loop, look, &wait);
	loop_timer_set(wait.timer, loop_now(fixture.loop));
	fixture.wanted = UINT32_MAX;
	loop_run(fixture.loop);
	loop_timer_destroy(wait.timer);
	assert_true(wait.met);
}

static inline void assert_value(uint32_t ref, const char *expected)
{
	const struct outcome *outcome = &fixture.outcomes[ref];
	assert_true(outcome->told);
	if (outcome->failed)
		fail_msg("call %u failed: %s", ref, outcome->value);
	assert_string_equal(outcome->value, expected);
}

static inline void assert_failure(uint32_t ref, const char *expected)
{
	const struct outcome *outcome = &fixture.outcomes[ref];
	assert_true(outcome->told);
	assert_true(outcome->failed);
	assert_string_equal(outcome->value, expected);
}

static inline void assert_failure_with(uint32_t ref, const char *part)
{
	const struct outcome *outcome = &fixture.outcomes[ref];
	assert_true(outcome->told);
	assert_true(outcome->failed);
	if (strstr(outcome->value, part) == NULL)
		fail_msg("\"%s\" does not contain \"%s\"", outcome->value, part);
}

/* One call of one process. */
static inline void run_shell(const char *commands, enum stdout_form form)
{
	struct process process;
	open_executor();
	init_shell(&process, commands);
	process.definition.settings.stdout_form = form;
	start(1, &process);
	wait_for(1);
}

static inline int count_marked(void)
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

static inline bool none_marked(void)
{
	return count_marked() == 0;
}

static inline bool two_marked(void)
{
	return count_marked() >= 2; /* a shim and its command */
}

static inline void wait_until_none_marked(void)
{
	for (int i = 0; i < DEADLINE_MS / 5; i++) {
		if (none_marked())
			return;
		usleep(5000); /* between two looks */
	}
	fail_msg("%d processes are left", count_marked());
}

#define FACT(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
