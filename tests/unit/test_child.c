#include "net/child.h"

#include "base/buffer.h"
#include "base/memory.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEADLINE_MS 20000
#define FORKS_MAX 1500

static char program[4096]; /* this test */

/* ---- Commands that this program is when it is started with their name ---- */

/* Never the same process for long: forks, and lets the child go on. */
static _Noreturn void be_comet(void)
{
	for (int i = 0; i < 200000; i++) {
		pid_t pid = fork();
		if (pid > 0)
			_exit(0);
		if (pid < 0)
			i--;
	}
	_exit(0);
}

/* As many processes as fast as it can. */
static _Noreturn void be_bomb(void)
{
	atomic_int *count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	while (atomic_fetch_add(count, 1) < FORKS_MAX) {
		if (fork() == 0)
			setsid();
	}
	for (;;)
		pause();
}

/* ---- Helpers ---- */

struct run {
	struct loop *loop;
	struct children *children;
	struct child *child;
	struct child_exit how;
	int descriptors[3];
	int told;
	int left_when_told; /* processes with the mark at that moment */
	char mark[64];
	bool without_group;
};

static int processes_with(const char *mark)
{
	char path[300];
	char text[8192];
	struct dirent *entry;
	int count = 0;
	DIR *directory = opendir("/proc");
	assert_non_null(directory);
	while ((entry = readdir(directory)) != NULL) {
		snprintf(path, sizeof path, "/proc/%s/environ", entry->d_name);
		int file = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? open(path, O_RDONLY) : -1;
		if (file < 0)
			continue;
		ssize_t size = read(file, text, sizeof text);
		close(file);
		count += size > 0 && memmem(text, (size_t)size, mark, strlen(mark)) != NULL;
	}
	closedir(directory);
	return count;
}

static void note_exit(void *context, const struct child_exit *how)
{
	struct run *run = context;
	run->how = *how;
	run->told++;
	/* The shim itself is told of when it is gone. */
	run->left_when_told = processes_with(run->mark);
	loop_stop(run->loop);
}

static void setup(struct run *run)
{
	static int counter;
	*run = (struct run){.descriptors = {-1, -1, -1}};
	snprintf(run->mark, sizeof run->mark, "CHILD_MARK=%d-%d.", (int)getpid(), ++counter);
	assert_int_equal(loop_create(&run->loop), 0);
	assert_int_equal(children_create(run->loop, &run->children, NULL), 0);
}

static int try_start(struct run *run, const char *const *argv, const struct child_limits *limits, const char *directory,
                     struct error *error)
{
	const char *env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", run->mark, NULL};
	struct child_options options = {.argv = argv, .env = env, .directory = directory};
	options.without_group = run->without_group;
	if (limits != NULL)
		options.limits = *limits;
	return child_start(run->children, &options, note_exit, run, run->descriptors, &run->child, error);
}

static void start(struct run *run, const char *const *argv)
{
	setup(run);
	assert_int_equal(try_start(run, argv, NULL, NULL, NULL), 0);
}

/* As on a machine where control groups are not allowed. */
static void start_without_group(struct run *run, const char *const *argv)
{
	setup(run);
	run->without_group = true;
	assert_int_equal(try_start(run, argv, NULL, NULL, NULL), 0);
}

static void start_shell(struct run *run, const char *script)
{
	start(run, (const char *const[]){"sh", "-c", script, NULL});
}

static void give_up(void *context)
{
	loop_stop(context);
}

static void wait_for_exit(struct run *run)
{
	struct loop_timer *timer = loop_timer_create(run->loop, give_up, run->loop);
	loop_timer_set(timer, loop_now(run->loop) + DEADLINE_MS);
	while (run->told == 0 && loop_now(run->loop) >= 0) {
		loop_run(run->loop);
		if (run->told == 0)
			fail_msg("the child's end was not told within %d ms", DEADLINE_MS);
	}
	loop_timer_destroy(timer);
	assert_int_equal(run->told, 1);
	assert_int_equal(run->left_when_told, 0);
}

static void look_whether_started(void *context)
{
	struct run *run = context;
	if (child_pid(run->child) > 0)
		loop_stop(run->loop);
}

/* As the loop knows. */
static void wait_until_started(struct run *run)
{
	loop_at_turn_end(run->loop, look_whether_started, run);
	if (child_pid(run->child) == 0)
		loop_run(run->loop);
	loop_forget_turn_end(run->loop, look_whether_started, run);
	assert_true(child_pid(run->child) > 0);
}

static void finish(struct run *run)
{
	child_destroy(run->child);
	for (int i = 0; i < 3; i++) {
		if (run->descriptors[i] >= 0)
			close(run->descriptors[i]);
	}
	children_destroy(run->children);
	loop_destroy(run->loop);
}

/* All that comes until the end of the file. */
static const char *read_text(int descriptor, struct buffer *text)
{
	ssize_t size;
	while ((size = read(descriptor, buffer_reserve(text, 4096), 4096)) > 0)
		text->size += (size_t)size;
	assert_int_equal(size, 0);
	return buffer_string(text);
}

static void assert_prints(const char *script, const char *expected)
{
	struct run run;
	struct buffer text = BUFFER_EMPTY;
	start_shell(&run, script);
	wait_for_exit(&run);
	assert_string_equal(read_text(run.descriptors[1], &text), expected);
	assert_int_equal(run.how.code, 0);
	buffer_finish(&text);
	finish(&run);
}

static void wait_until_none(const char *mark)
{
	for (int i = 0; i < DEADLINE_MS / 5; i++) {
		if (processes_with(mark) == 0)
			return;
		usleep(5000); /* between two looks */
	}
	fail_msg("%d processes are left", processes_with(mark));
}

/* Until there are as many as that, the shim among them. */
static void wait_until_many(const char *mark, int count)
{
	for (int i = 0; i < DEADLINE_MS / 5; i++) {
		if (processes_with(mark) >= count)
			return;
		usleep(5000);
	}
	fail_msg("only %d processes came", processes_with(mark));
}

/* ---- Starting and ending ---- */

static void exit_code_is_told(void **state)
{
	(void)state;
	struct run run;
	start_shell(&run, "exit 3");
	wait_for_exit(&run);
	assert_true(child_pid(run.child) > 0);
	assert_int_equal(run.how.code, 3);
	assert_int_equal(run.how.signal, 0);
	assert_false(run.how.not_started);
	finish(&run);
}

static void signal_that_ended_it_is_told(void **state)
{
	(void)state;
	struct run run;
	start_shell(&run, "kill -SEGV $$");
	wait_for_exit(&run);
	assert_int_equal(run.how.code, -1);
	assert_int_equal(run.how.signal, SIGSEGV);
	finish(&run);
}

static void the_three_pipes_are_its_standard_streams(void **state)
{
	(void)state;
	struct run run;
	struct buffer out = BUFFER_EMPTY;
	struct buffer complaints = BUFFER_EMPTY;
	start_shell(&run, "cat; echo complaint >&2");
	assert_int_equal(write(run.descriptors[0], "hello", 5), 5);
	close(run.descriptors[0]);
	run.descriptors[0] = -1;
	wait_for_exit(&run);
	assert_string_equal(read_text(run.descriptors[1], &out), "hello");
	assert_string_equal(read_text(run.descriptors[2], &complaints), "complaint\n");
	buffer_finish(&out);
	buffer_finish(&complaints);
	finish(&run);
}

static void command_that_is_not_there_is_not_started(void **state)
{
	(void)state;
	struct run run;
	start(&run, (const char *const[]){"no-such-command-anywhere", NULL});
	wait_for_exit(&run);
	assert_true(run.how.not_started);
	assert_string_equal(run.how.text, "could not be executed: no-such-command-anywhere: No such file or directory");
	finish(&run);
}

static void directory_that_is_not_there_is_told(void **state)
{
	(void)state;
	struct run run;
	setup(&run);
	assert_int_equal(try_start(&run, (const char *const[]){"true", NULL}, NULL, "/no/such/directory", NULL), 0);
	wait_for_exit(&run);
	assert_true(run.how.not_started);
	assert_non_null(strstr(run.how.text, "/no/such/directory"));
	finish(&run);
}

static void interpreter_that_is_missing_is_named_as_the_cause(void **state)
{
	(void)state;
	struct run run;
	char directory[] = "/tmp/clusterd-test-XXXXXX";
	char script[64];
	assert_non_null(mkdtemp(directory));
	snprintf(script, sizeof script, "%s/script", directory);
	int file = open(script, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	assert_int_equal(write(file, "#!/no/such/shell\n", 17), 17);
	close(file);
	setup(&run);
	assert_int_equal(try_start(&run, (const char *const[]){"./script", NULL}, NULL, directory, NULL), 0);
	wait_for_exit(&run);
	assert_true(run.how.not_started);
	assert_non_null(strstr(run.how.text, "#! line"));
	finish(&run);
	unlink(script);
	rmdir(directory);
}

static void arguments_that_the_system_refuses_are_an_error(void **state)
{
	(void)state;
	struct run run;
	char *word = mem_alloc(200001);
	memset(word, 'x', 200000);
	word[200000] = '\0';
	setup(&run);
	assert_int_equal(try_start(&run, (const char *const[]){"true", word, NULL}, NULL, NULL, NULL), 0);
	mem_free(word);
	wait_for_exit(&run);
	assert_true(run.how.not_started);
	assert_non_null(strstr(run.how.text, "128 KiB"));
	finish(&run);
}

/* ---- What it inherits ---- */

static void environment_is_what_was_given_and_nothing_else(void **state)
{
	(void)state;
	struct run run;
	struct buffer text = BUFFER_EMPTY;
	char expected[200];
	start(&run, (const char *const[]){"env", NULL});
	wait_for_exit(&run);
	snprintf(expected, sizeof expected, "PATH=/usr/local/bin:/usr/bin:/bin\n%s\n", run.mark);
	assert_string_equal(read_text(run.descriptors[1], &text), expected);
	buffer_finish(&text);
	finish(&run);
}

static void no_other_descriptor_is_inherited(void **state)
{
	(void)state;
	int open_on_exec = open("/dev/null", O_RDONLY);
	assert_true(open_on_exec >= 0);
	assert_prints("ls /proc/$$/fd", "0\n1\n2\n");
	close(open_on_exec);
}

static void signals_are_at_their_defaults(void **state)
{
	(void)state;
	struct run run;
	start_shell(&run, "kill -PIPE $$"); /* the loop ignores it */
	wait_for_exit(&run);
	assert_int_equal(run.how.signal, SIGPIPE);
	finish(&run);
	assert_prints("exec grep -E 'Sig(Blk|Ign)' /proc/self/status",
	              "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

static void limits_hold_for_the_command(void **state)
{
	(void)state;
	struct run run;
	struct buffer text = BUFFER_EMPTY;
	struct child_limits limits = {.address_space = 500u << 20, .open_files = 50};
	setup(&run);
	const char *const argv[] = {"sh", "-c", "ulimit -n; ulimit -Hn; ulimit -v", NULL};
	assert_int_equal(try_start(&run, argv, &limits, "/", NULL), 0);
	wait_for_exit(&run);
	assert_string_equal(read_text(run.descriptors[1], &text), "50\n50\n512000\n");
	buffer_finish(&text);
	finish(&run);
}

/* ---- Ending it ---- */

static void terminate_reaches_its_whole_group(void **state)
{
	(void)state;
	struct run run;
	start_shell(&run, "sleep 1000 & sleep 1000; exit 0");
	wait_until_many(run.mark, 4);
	child_terminate(run.child);
	wait_for_exit(&run);
	assert_int_equal(run.how.signal, SIGTERM);
	finish(&run);
}

static void kill_ends_one_that_ignores_terminate(void **state)
{
	(void)state;
	struct run run;
	char ready;
	start_shell(&run, "trap '' TERM; echo; while :; do sleep 1000; done");
	assert_int_equal(read(run.descriptors[1], &ready, 1), 1);
	child_terminate(run.child);
	child_kill(run.child);
	wait_for_exit(&run);
	assert_int_equal(run.how.signal, SIGKILL);
	finish(&run);
}

static void destroy_kills_all_and_tells_nothing(void **state)
{
	(void)state;
	struct run run;
	start_shell(&run, "(setsid sleep 1000 &); sleep 1000");
	wait_until_many(run.mark, 4);
	finish(&run);
	wait_until_none(run.mark);
	assert_int_equal(run.told, 0);
}

static void orders_after_the_end_do_nothing(void **state)
{
	(void)state;
	struct run run;
	start_shell(&run, ":");
	wait_for_exit(&run);
	child_terminate(run.child);
	child_kill(run.child);
	finish(&run);
}

/* ---- What it leaves behind ---- */

static void background_process_is_killed_when_it_ends(void **state)
{
	(void)state;
	struct run run;
	start_without_group(&run, (const char *const[]){"sh", "-c", "sleep 1000 & exit 7", NULL});
	wait_for_exit(&run);
	assert_int_equal(run.how.code, 7);
	finish(&run);
}

#define LEAVE_DAEMON "(setsid sh -c 'trap \"\" TERM HUP INT; sleep 1000' </dev/null >/dev/null 2>&1 &); sleep 0.1"

static void daemon_with_its_own_session_is_killed_when_it_ends(void **state)
{
	(void)state;
	struct run run;
	start_shell(&run, LEAVE_DAEMON);
	wait_for_exit(&run);
	assert_int_equal(run.how.code, 0);
	finish(&run);
	start_without_group(&run, (const char *const[]){"sh", "-c", LEAVE_DAEMON, NULL});
	wait_for_exit(&run);
	assert_int_equal(run.how.code, 0);
	finish(&run);
}

static void orphans_are_collected_while_it_runs(void **state)
{
	(void)state;
	/* Ten orphans that end at once; without a parent that collects them they would stay as zombies for ever. */
	assert_prints("for i in 1 2 3 4 5 6 7 8 9 10; do (true &); done; "
	              "zombies() { for f in /proc/[0-9]*/stat; do read -r line <$f && "
	              "case \"$line\" in *\" Z $PPID \"*) echo z;; esac; "
	              "done 2>/dev/null; }; for i in 1 2 3 4 5 6 7 8 9 10; do "
	              "left=$(zombies); [ -z \"$left\" ] && break; sleep 0.1; done; echo \"<$left>\"",
	              "<>\n");
}

static void comet_of_forks_is_ended(void **state)
{
	(void)state;
	struct run run;
	char script[4200];
	snprintf(script, sizeof script, "'%s' --comet & sleep 0.2", program);
	start_without_group(&run, (const char *const[]){"sh", "-c", script, NULL});
	wait_for_exit(&run);
	assert_int_equal(run.how.text[0], '\0');
	assert_int_equal(processes_with(run.mark), 0);
	finish(&run);
}

static void bomb_of_forks_is_ended(void **state)
{
	(void)state;
	struct run run;
	start_without_group(&run, (const char *const[]){program, "--bomb", NULL});
	wait_until_many(run.mark, 100);
	child_kill(run.child);
	wait_for_exit(&run);
	assert_int_equal(run.how.signal, SIGKILL);
	assert_int_equal(run.how.text[0], '\0');
	finish(&run);
}

static void child_that_is_destroyed_before_it_has_started_leaves_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct run run;
		start_shell(&run, "sleep 1000");
		finish(&run);
		wait_until_none(run.mark);
	}
}

static void child_that_is_killed_before_it_has_started_does_not_run(void **state)
{
	(void)state;
	struct run run;
	start_shell(&run, "sleep 1000");
	child_kill(run.child);
	wait_for_exit(&run);
	assert_int_equal(run.how.signal, SIGKILL);
	finish(&run);
}

static void command_ends_when_its_shim_is_killed(void **state)
{
	(void)state;
	struct run run;
	start_without_group(&run, (const char *const[]){"sleep", "1000", NULL});
	wait_until_many(run.mark, 2);
	wait_until_started(&run);
	kill(child_pid(run.child), SIGKILL);
	while (run.told == 0)
		loop_run(run.loop);
	assert_int_equal(run.how.code, -1);
	assert_int_equal(run.how.signal, SIGKILL);
	assert_string_equal(run.how.text, "its shim was ended by signal 9");
	wait_until_none(run.mark);
	finish(&run);
}

static void nothing_is_left_when_the_daemon_is_killed(void **state)
{
	(void)state;
	struct run run;
	char mark[64];
	snprintf(mark, sizeof mark, "CHILD_MARK=daemon-%d.", (int)getpid());
	pid_t daemon = fork();
	assert_true(daemon >= 0);
	if (daemon == 0) {
		for (int i = 0; i < 3; i++) {
			setup(&run);
			strcpy(run.mark, mark);
			run.without_group = i < 2;
			const char *script = i == 0 ? "(setsid sleep 1000 &); sleep 1000" : "trap '' TERM; sleep 1000; sleep 1000";
			if (try_start(&run, (const char *const[]){"sh", "-c", script, NULL}, NULL, NULL, NULL) != 0)
				_exit(1);
		}
		for (;;)
			pause();
	}
	wait_until_many(mark, 10);
	kill(daemon, SIGKILL);
	assert_int_equal(waitpid(daemon, NULL, 0), daemon);
	wait_until_none(mark);
}

static void many_at_once_are_all_told(void **state)
{
	(void)state;
	enum { COUNT = 40 };
	struct run runs[COUNT];
	struct loop *loop;
	struct children *children;
	assert_int_equal(loop_create(&loop), 0);
	assert_int_equal(children_create(loop, &children, NULL), 0);
	for (int i = 0; i < COUNT; i++) {
		char script[32];
		runs[i] = (struct run){.loop = loop, .children = children, .descriptors = {-1, -1, -1}};
		snprintf(script, sizeof script, "exit %d", i);
		assert_int_equal(try_start(&runs[i], (const char *const[]){"sh", "-c", script, NULL}, NULL, NULL, NULL), 0);
	}
	for (int told = 0; told < COUNT;) {
		loop_run(loop);
		told = 0;
		for (int i = 0; i < COUNT; i++)
			told += runs[i].told;
	}
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(runs[i].how.code, i);
		child_destroy(runs[i].child);
		for (int k = 0; k < 3; k++)
			close(runs[i].descriptors[k]);
	}
	children_destroy(children);
	loop_destroy(loop);
}

int main(int argc, char **argv)
{
	child_shim_main(argc, argv);
	if (argc > 1 && strcmp(argv[1], "--comet") == 0)
		be_comet();
	if (argc > 1 && strcmp(argv[1], "--bomb") == 0)
		be_bomb();
	if (readlink("/proc/self/exe", program, sizeof program - 1) < 0)
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exit_code_is_told),
		cmocka_unit_test(signal_that_ended_it_is_told),
		cmocka_unit_test(the_three_pipes_are_its_standard_streams),
		cmocka_unit_test(command_that_is_not_there_is_not_started),
		cmocka_unit_test(directory_that_is_not_there_is_told),
		cmocka_unit_test(interpreter_that_is_missing_is_named_as_the_cause),
		cmocka_unit_test(arguments_that_the_system_refuses_are_an_error),
		cmocka_unit_test(environment_is_what_was_given_and_nothing_else),
		cmocka_unit_test(no_other_descriptor_is_inherited),
		cmocka_unit_test(signals_are_at_their_defaults),
		cmocka_unit_test(limits_hold_for_the_command),
		cmocka_unit_test(terminate_reaches_its_whole_group),
		cmocka_unit_test(kill_ends_one_that_ignores_terminate),
		cmocka_unit_test(destroy_kills_all_and_tells_nothing),
		cmocka_unit_test(orders_after_the_end_do_nothing),
		cmocka_unit_test(background_process_is_killed_when_it_ends),
		cmocka_unit_test(daemon_with_its_own_session_is_killed_when_it_ends),
		cmocka_unit_test(orphans_are_collected_while_it_runs),
		cmocka_unit_test(comet_of_forks_is_ended),
		cmocka_unit_test(bomb_of_forks_is_ended),
		cmocka_unit_test(child_that_is_destroyed_before_it_has_started_leaves_nothing),
		cmocka_unit_test(child_that_is_killed_before_it_has_started_does_not_run),
		cmocka_unit_test(command_ends_when_its_shim_is_killed),
		cmocka_unit_test(nothing_is_left_when_the_daemon_is_killed),
		cmocka_unit_test(many_at_once_are_all_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
