#include "net/supervisor.h"

#include "base/buffer.h"
#include "base/memory.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEADLINE_MS 30000
#define LOG_SIZE 4096
#define LOG_FILES 3

/* ---- Helpers ---- */

static struct {
	char top[64];
	char directory[80];
	char home[120]; /* in the environment of all that runs in it */
	struct loop *loop;
	struct supervisors *supervisors;
	struct supervised *supervised;
	struct supervised_exit how;
	int started;
	int pid;
	int told;
	msec grace;
	uint64_t memory;
} run;

static int remove_entry(const char *path, const struct stat *status, int flag, struct FTW *place)
{
	(void)status, (void)flag, (void)place;
	return remove(path);
}

static int processes_with(const char *file_name, const char *text)
{
	char path[300];
	static char content[16384];
	struct dirent *entry;
	int count = 0;
	DIR *directory = opendir("/proc");
	assert_non_null(directory);
	while ((entry = readdir(directory)) != NULL) {
		snprintf(path, sizeof path, "/proc/%s/%s", entry->d_name, file_name);
		int file = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? open(path, O_RDONLY) : -1;
		if (file < 0)
			continue;
		ssize_t size = read(file, content, sizeof content);
		close(file);
		count += size > 0 && memmem(content, (size_t)size, text, strlen(text)) != NULL;
	}
	closedir(directory);
	return count;
}

static int commands(void)
{
	return processes_with("environ", run.home);
}

static int supervisors_left(void)
{
	return processes_with("cmdline", run.directory);
}

static void wait_until_count(int (*count)(void), int low, int high)
{
	for (int i = 0; i < DEADLINE_MS / 5; i++) {
		int now = count();
		if (now >= low && now <= high)
			return;
		usleep(5000); /* between two looks */
	}
	fail_msg("%d processes instead of %d to %d", count(), low, high);
}

static void note_started(void *context, int pid, msec started_ms)
{
	(void)context;
	assert_true(started_ms > 0);
	run.started++;
	run.pid = pid;
	loop_stop(run.loop);
}

static void note_ended(void *context, const struct supervised_exit *how)
{
	(void)context;
	run.how = *how;
	run.told++;
	loop_stop(run.loop);
}

static const struct supervised_handler handler = {.started = note_started, .ended = note_ended};

static void open_supervisors(void)
{
	assert_int_equal(loop_create(&run.loop), 0);
	assert_int_equal(supervisors_create(run.loop, &run.supervisors, NULL), 0);
}

static void close_supervisors(void)
{
	supervised_release(run.supervised);
	run.supervised = NULL;
	supervisors_destroy(run.supervisors);
	loop_destroy(run.loop);
}

static int setup(void **state)
{
	char work[100];
	(void)state;
	memset(&run, 0, sizeof run);
	strcpy(run.top, "/tmp/clusterd-test-XXXXXX");
	assert_non_null(mkdtemp(run.top));
	snprintf(run.directory, sizeof run.directory, "%s/one", run.top);
	snprintf(work, sizeof work, "%s/work", run.directory);
	snprintf(run.home, sizeof run.home, "HOME=%s", work);
	assert_int_equal(mkdir(run.directory, 0700), 0);
	assert_int_equal(mkdir(work, 0700), 0);
	run.grace = 10000;
	open_supervisors();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close_supervisors();
	wait_until_count(commands, 0, 0);
	wait_until_count(supervisors_left, 0, 0);
	assert_int_equal(nftw(run.top, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
	return 0;
}

static void try_start(const char *const *argv, struct error *error, int expected)
{
	const char *const env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", run.home, NULL};
	const struct supervised_options options = {
		.directory = run.directory,
		.argv = argv,
		.env = env,
		.stop_signal = SIGTERM,
		.stop_grace = run.grace,
		.memory = run.memory,
		.log_size = LOG_SIZE,
		.log_files = LOG_FILES,
	};
	assert_int_equal(supervised_start(run.supervisors, &options, &handler, NULL, &run.supervised, error), expected);
}

static void start(const char *const *argv)
{
	try_start(argv, NULL, 0);
}

static void start_shell(const char *script)
{
	start((const char *const[]){"sh", "-c", script, NULL});
}

static void give_up(void *context)
{
	loop_stop(context);
}

static void wait_for(const int *counter, const char *what)
{
	struct loop_timer *timer = loop_timer_create(run.loop, give_up, run.loop);
	msec deadline = loop_now(run.loop) + DEADLINE_MS;
	loop_timer_set(timer, deadline);
	while (*counter == 0 && loop_now(run.loop) < deadline)
		loop_run(run.loop);
	loop_timer_destroy(timer);
	if (*counter == 0)
		fail_msg("it was not told as %s within %d ms", what, DEADLINE_MS);
}

static void wait_for_start(void)
{
	wait_for(&run.started, "started");
}

static void wait_for_end(void)
{
	wait_for(&run.told, "ended");
	assert_int_equal(run.told, 1);
	assert_int_equal(commands(), 0);
}

/* As a daemon that dies and comes again. */
static void restart(void)
{
	close_supervisors();
	open_supervisors();
	run.started = 0;
	run.told = 0;
}

static void adopt(void)
{
	assert_int_equal(supervised_adopt(run.supervisors, run.directory, &handler, NULL, &run.supervised, NULL), 0);
}

/* The directory's files of that output, how many there are and of which size together. */
static int output_files(const char *name, uint64_t *ret_size, uint64_t *ret_first)
{
	struct dirent *entry;
	struct stat status;
	char path[400];
	int count = 0;
	*ret_size = 0;
	*ret_first = UINT64_MAX;
	DIR *directory = opendir(run.directory);
	assert_non_null(directory);
	while ((entry = readdir(directory)) != NULL) {
		size_t length = strlen(name);
		if (strncmp(entry->d_name, name, length) != 0 || entry->d_name[length] != '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", run.directory, entry->d_name);
		if (stat(path, &status) != 0)
			continue;
		uint64_t first = strtoull(entry->d_name + length + 1, NULL, 10);
		*ret_first = first < *ret_first ? first : *ret_first;
		*ret_size += (uint64_t)status.st_size;
		count++;
	}
	closedir(directory);
	return count;
}

static void assert_file(const char *name, const char *expected)
{
	char path[120];
	char text[8192];
	snprintf(path, sizeof path, "%s/%s", run.directory, name);
	int file = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(file >= 0);
	ssize_t size = read(file, text, sizeof text - 1);
	close(file);
	assert_true(size >= 0);
	text[size] = '\0';
	assert_string_equal(text, expected);
}

static void write_script(const char *name, const char *content)
{
	char path[120];
	snprintf(path, sizeof path, "%s/work/%s", run.directory, name);
	int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	assert_int_equal(write(file, content, strlen(content)), (ssize_t)strlen(content));
	close(file);
}

/* Until the command has written this name into its directory. */
static int name_is_there(void)
{
	char path[120];
	snprintf(path, sizeof path, "%s/work/ready", run.directory);
	return access(path, F_OK) == 0;
}

/* The supervisor's, from its command's parent. */
static pid_t supervisor_of(int pid)
{
	char path[64];
	char text[512];
	int parent = 0;
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	int file = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(file >= 0);
	ssize_t size = read(file, text, sizeof text - 1);
	close(file);
	text[size > 0 ? size : 0] = '\0';
	assert_int_equal(sscanf(strrchr(text, ')') + 1, " %*c %d", &parent), 1);
	return parent;
}

/* The parent of a command that prints its own, "$PPID". */
static pid_t parent_that_was_printed(void)
{
	char path[120];
	char text[32] = "";
	snprintf(path, sizeof path, "%s/stdout.0", run.directory);
	int file = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(file >= 0);
	assert_true(read(file, text, sizeof text - 1) > 0);
	close(file);
	return (pid_t)atoi(text);
}

/* Another directory: what is started next is in it. */
static void turn_to(const char *name)
{
	char work[100];
	supervised_release(run.supervised);
	run.supervised = NULL;
	run.started = run.told = 0;
	snprintf(run.directory, sizeof run.directory, "%s/%s", run.top, name);
	snprintf(work, sizeof work, "%s/work", run.directory);
	snprintf(run.home, sizeof run.home, "HOME=%s", work);
	assert_int_equal(mkdir(run.directory, 0700), 0);
	assert_int_equal(mkdir(work, 0700), 0);
}

/* It is gone, or only its exit code is left of it. */
static bool process_is_gone(pid_t pid)
{
	char path[64];
	char text[512];
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = file >= 0 ? read(file, text, sizeof text - 1) : -1;
	if (file >= 0)
		close(file);
	text[size > 0 ? size : 0] = '\0';
	const char *end = strrchr(text, ')');
	return end == NULL || strncmp(end, ") Z", 3) == 0;
}

/* ---- Starting and ending ---- */

static void exit_code_is_told_and_written_down(void **state)
{
	struct supervised_exit written;
	(void)state;
	start_shell("exit 3");
	wait_for_end();
	assert_int_equal(run.how.code, 3);
	assert_int_equal(run.how.signal, 0);
	assert_true(run.how.started_ms > 0 && run.how.ended_ms >= run.how.started_ms);
	assert_int_equal(supervised_read_exit(run.directory, &written), 0);
	assert_int_equal(written.code, 3);
	assert_int_equal(written.ended_ms, run.how.ended_ms);
	assert_string_equal(written.text, "");
}

static void supervisor_that_has_ended_its_task_takes_the_next_one(void **state)
{
	(void)state;
	start_shell("echo $PPID; cat /dev/zero | head -c 10000 >&2; exit 3");
	wait_for_end();
	pid_t first = parent_that_was_printed();
	turn_to("two");
	start_shell("echo $PPID; pwd >&2");
	wait_for_end();
	assert_int_equal(run.how.code, 0);
	assert_int_equal(parent_that_was_printed(), first);
	char expected[120];
	snprintf(expected, sizeof expected, "%s/work\n", run.directory);
	assert_file("stderr.0", expected);
	turn_to("three");
	start((const char *const[]){"/not/there", NULL});
	wait_for_end();
	assert_true(run.how.not_started);
	turn_to("four");
	start_shell("echo $PPID; kill -KILL $$");
	wait_for_end();
	assert_int_equal(run.how.signal, SIGKILL);
	assert_int_equal(parent_that_was_printed(), first);
	close_supervisors();
	for (int i = 0; !process_is_gone(first) && i < DEADLINE_MS / 5; i++)
		usleep(5000); /* between two looks */
	assert_true(process_is_gone(first));
	open_supervisors();
}

static void supervisor_that_was_told_to_stop_takes_no_other_task(void **state)
{
	(void)state;
	start_shell("echo $PPID; touch ready; sleep 1000");
	wait_for_start();
	while (!name_is_there())
		usleep(5000); /* between two looks */
	pid_t first = parent_that_was_printed();
	supervised_stop(run.supervised);
	wait_for_end();
	turn_to("two");
	start_shell("echo $PPID");
	wait_for_end();
	assert_int_not_equal(parent_that_was_printed(), first);
}

/* Killed while it has nothing to do: the daemon has another one started. */
static void supervisor_that_is_gone_is_not_missed(void **state)
{
	(void)state;
	start_shell("echo $PPID");
	wait_for_end();
	pid_t first = parent_that_was_printed();
	assert_int_equal(kill(first, SIGKILL), 0);
	turn_to("two");
	start_shell("echo $PPID");
	wait_for_end();
	assert_int_equal(run.how.code, 0);
	assert_int_not_equal(parent_that_was_printed(), first);
}

static void signal_that_ended_it_is_told(void **state)
{
	(void)state;
	start_shell("kill -SEGV $$");
	wait_for_end();
	assert_int_equal(run.how.code, -1);
	assert_int_equal(run.how.signal, SIGSEGV);
}

static void what_was_printed_is_in_files_and_nothing_makes_none(void **state)
{
	uint64_t size;
	uint64_t first;
	(void)state;
	start_shell("pwd; echo $HOME >&2; read -r x || echo none");
	wait_for_end();
	char expected[200];
	snprintf(expected, sizeof expected, "%s/work\nnone\n", run.directory);
	assert_file("stdout.0", expected);
	snprintf(expected, sizeof expected, "%s/work\n", run.directory);
	assert_file("stderr.0", expected);
	assert_int_equal(run.how.dropped, 0);
	restart();
	snprintf(expected, sizeof expected, "%s/two", run.top);
	strcpy(run.directory, expected);
	assert_int_equal(mkdir(run.directory, 0700), 0);
	strcat(expected, "/work");
	assert_int_equal(mkdir(expected, 0700), 0);
	start((const char *const[]){"true", NULL});
	wait_for_end();
	assert_int_equal(run.how.code, 0);
	assert_int_equal(output_files("stdout", &size, &first), 0);
	assert_int_equal(output_files("stderr", &size, &first), 0);
}

static void command_that_cannot_be_executed_is_told_why(void **state)
{
	static const struct {
		const char *command;
		const char *text;
	} cases[] = {
		{"no-such-command", "could not be executed: no-such-command: No such file or directory"},
		{"./nothing", "could not be executed: ./nothing: No such file or directory"},
		{"./noise", "could not be executed: exec format error: ./noise is neither a program nor has a #! line"},
		{"./script", "could not be executed: ./script: its #! line names /no/such/shell, which is not there"},
		{"./plain", "could not be executed: ./plain: Permission denied: it is not marked as executable"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char path[120];
		if (i > 0)
			restart();
		snprintf(run.directory, sizeof run.directory, "%s/%zu", run.top, i);
		assert_int_equal(mkdir(run.directory, 0700), 0);
		snprintf(path, sizeof path, "%s/work", run.directory);
		assert_int_equal(mkdir(path, 0700), 0);
		write_script("noise", "\x01\x02\x03");
		write_script("script", "#! /no/such/shell -e\n");
		write_script("plain", "#!/bin/sh\n");
		snprintf(path, sizeof path, "%s/work/plain", run.directory);
		chmod(path, 0644);
		start((const char *const[]){cases[i].command, NULL});
		wait_for_end();
		assert_true(run.how.not_started);
		assert_int_equal(run.how.code, -1);
		assert_string_equal(run.how.text, cases[i].text);
		assert_int_equal(run.how.started_ms, 0);
	}
}

static void arguments_that_the_system_refuses_are_told(void **state)
{
	(void)state;
	char *word = mem_alloc(200001);
	memset(word, 'x', 200000);
	word[200000] = '\0';
	start((const char *const[]){"true", word, NULL});
	mem_free(word);
	wait_for_end();
	assert_true(run.how.not_started);
	assert_non_null(strstr(run.how.text, "too long"));
}

static void environment_and_descriptors_are_its_own_alone(void **state)
{
	(void)state;
	setenv("SUPERVISOR_SECRET", "x", 1);
	start_shell("echo $SUPERVISOR_SECRET; ls /proc/$$/fd");
	wait_for_end();
	unsetenv("SUPERVISOR_SECRET");
	assert_file("stdout.0", "\n0\n1\n2\n");
}

/* ---- Stopping ---- */

static void stop_is_its_signal_to_all_of_its_group(void **state)
{
	(void)state;
	start_shell("trap 'echo heard; exit 7' TERM; sleep 1000 & touch ready; wait");
	wait_for_start();
	wait_until_count(name_is_there, 1, 1);
	supervised_stop(run.supervised);
	wait_for_end();
	assert_int_equal(run.how.code, 7);
	assert_file("stdout.0", "heard\n");
}

static void one_that_ignores_the_stop_is_killed_after_the_grace(void **state)
{
	(void)state;
	run.grace = 100;
	start_shell("trap '' TERM; touch ready; while :; do sleep 1000; done");
	wait_for_start();
	wait_until_count(name_is_there, 1, 1);
	supervised_stop(run.supervised);
	wait_for_end();
	assert_int_equal(run.how.signal, SIGKILL);
}

static void stop_goes_on_without_the_daemon(void **state)
{
	(void)state;
	run.grace = 200;
	start_shell("trap '' TERM; touch ready; while :; do sleep 1000; done");
	wait_for_start();
	wait_until_count(name_is_there, 1, 1);
	supervised_stop(run.supervised);
	restart();
	wait_until_count(commands, 0, 0);
	adopt();
	wait_for_end();
	assert_int_equal(run.how.signal, SIGKILL);
}

static void kill_ends_it_at_once(void **state)
{
	(void)state;
	start_shell("trap '' TERM; setsid sleep 1000 & sleep 1000");
	wait_for_start();
	supervised_kill(run.supervised);
	wait_for_end();
	assert_int_equal(run.how.signal, SIGKILL);
}

static void one_that_is_stopped_before_it_has_started_ends(void **state)
{
	(void)state;
	start_shell("sleep 1000");
	supervised_stop(run.supervised);
	supervised_stop(run.supervised);
	wait_for_end();
	assert_true(run.how.not_started || run.how.signal == SIGTERM);
}

static void signal_to_the_supervisor_is_a_stop(void **state)
{
	(void)state;
	start((const char *const[]){"sleep", "1000", NULL});
	wait_for_start();
	kill(supervisor_of(run.pid), SIGTERM);
	wait_for_end();
	assert_int_equal(run.how.signal, SIGTERM);
}

static void what_it_leaves_behind_is_killed_when_it_ends(void **state)
{
	(void)state;
	start_shell("(setsid sh -c 'setsid sleep 1000 & sleep 1000' &) ; sleep 1000 & exit 0");
	wait_for_end();
	assert_int_equal(run.how.code, 0);
}

static void bomb_of_forks_is_ended(void **state)
{
	(void)state;
	start_shell("n=0; while [ $n -lt 300 ]; do setsid sleep 1000 & n=$((n+1)); done; touch ready; wait");
	wait_for_start();
	wait_until_count(commands, 100, 1000);
	supervised_kill(run.supervised);
	wait_for_end();
	assert_int_equal(run.how.signal, SIGKILL);
	assert_string_equal(run.how.text, "");
}

/* ---- Output ---- */

static void output_without_end_costs_its_files_and_no_more(void **state)
{
	uint64_t size;
	uint64_t first;
	(void)state;
	start_shell("i=0; while [ $i -lt 40000 ]; do echo 0123456789; i=$((i+1)); done; echo last >&2");
	wait_for_end();
	assert_int_equal(run.how.code, 0);
	assert_in_range(output_files("stdout", &size, &first), 1, LOG_FILES);
	assert_in_range(size, (LOG_FILES - 1) * LOG_SIZE, LOG_FILES * LOG_SIZE);
	assert_int_equal(first % LOG_SIZE, 0);
	assert_int_equal(first + size, 40000 * 11); /* names say where each begins */
	assert_file("stderr.0", "last\n");
}

static void full_disk_neither_blocks_nor_ends_it(void **state)
{
	char path[120];
	(void)state;
	snprintf(path, sizeof path, "%s/full", run.top);
	assert_int_equal(mkdir(path, 0700), 0);
	if (mount("none", path, "tmpfs", 0, "size=64k") != 0)
		skip(); /* not allowed here */
	snprintf(run.directory, sizeof run.directory, "%s/full/one", run.top);
	assert_int_equal(mkdir(run.directory, 0700), 0);
	snprintf(run.home, sizeof run.home, "HOME=%s/work", run.directory);
	assert_int_equal(mkdir(run.home + 5, 0700), 0);
	start_shell("dd if=/dev/zero of=fill bs=1024 count=1000 2>/dev/null; head -c 100000 /dev/zero; rm fill; head "
	            "-c 9000 /dev/zero;"
	            "exit 5");
	wait_for_end();
	assert_int_equal(run.how.code, 5);
	assert_true(run.how.dropped > 0);
	assert_int_equal(umount2(path, MNT_DETACH), 0);
}

/* ---- Restarts ---- */

static void one_that_runs_is_found_again(void **state)
{
	(void)state;
	start_shell("read -r x <../go; exit 4");
	char path[120];
	snprintf(path, sizeof path, "%s/go", run.directory);
	assert_int_equal(mkfifo(path, 0600), 0);
	wait_for_start();
	int pid = run.pid;
	restart();
	adopt();
	wait_for_start();
	assert_int_equal(run.pid, pid);
	int file = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(file, "x\n", 2), 2);
	close(file);
	wait_for_end();
	assert_int_equal(run.how.code, 4);
}

static void one_that_ended_meanwhile_is_told_with_its_code(void **state)
{
	(void)state;
	start_shell("exit 9");
	wait_for_end();
	restart();
	adopt();
	wait_for_end();
	assert_int_equal(run.how.code, 9);
}

static void directory_without_a_start_is_not_found(void **state)
{
	struct error error;
	(void)state;
	assert_int_equal(supervised_adopt(run.supervisors, run.directory, &handler, NULL, &run.supervised, &error),
	                 ERR_NOT_FOUND);
}

static void one_that_runs_is_not_started_again(void **state)
{
	(void)state;
	start_shell("echo started; sleep 1000");
	wait_for_start();
	int pid = run.pid;
	restart();
	start_shell("echo twice; sleep 1000");
	wait_for_start();
	assert_int_equal(run.pid, pid);
	assert_int_equal(commands() <= 2, 1);
	supervised_kill(run.supervised);
	wait_for_end();
	assert_file("stdout.0", "started\n");
}

static void killed_supervisor_is_lost_and_leaves_nothing(void **state)
{
	(void)state;
	start_shell("setsid sleep 1000 & touch ready; sleep 1000");
	wait_for_start();
	wait_until_count(name_is_there, 1, 1);
	wait_until_count(commands, 3, 3);
	kill(supervisor_of(run.pid), SIGKILL);
	wait_for(&run.told, "ended");
	assert_true(run.how.lost);
	assert_int_equal(run.how.code, -1);
	wait_until_count(commands, 0, 0);
}

static void supervisor_that_was_killed_without_a_daemon_is_lost(void **state)
{
	(void)state;
	start_shell("setsid sleep 1000 & touch ready; sleep 1000");
	wait_for_start();
	wait_until_count(commands, 3, 3);
	pid_t supervisor = supervisor_of(run.pid);
	restart();
	kill(supervisor, SIGKILL);
	wait_until_count(supervisors_left, 0, 0);
	adopt();
	wait_for(&run.told, "ended");
	assert_true(run.how.lost);
	wait_until_count(commands, 0, 0);
}

static void record_that_is_not_whole_does_not_count(void **state)
{
	char path[120];
	struct supervised_exit how;
	(void)state;
	const struct supervised_exit written = {.code = 3, .text = "why\nnot"};
	assert_int_equal(supervised_write_exit(run.directory, &written, NULL), 0);
	assert_int_equal(supervised_read_exit(run.directory, &how), 0);
	assert_string_equal(how.text, "why not");
	snprintf(path, sizeof path, "%s/exit", run.directory);
	struct stat status;
	assert_int_equal(stat(path, &status), 0);
	for (off_t size = status.st_size - 1; size >= 0; size--) {
		assert_int_equal(truncate(path, size), 0);
		assert_int_equal(supervised_read_exit(run.directory, &how), ERR_NOT_FOUND);
	}
}

static void starter_that_was_killed_is_started_again(void **state)
{
	(void)state;
	start((const char *const[]){"true", NULL});
	wait_for_end();
	supervised_release(run.supervised);
	run.supervised = NULL;
	char path[120];
	DIR *all = opendir("/proc");
	struct dirent *entry;
	pid_t starter = 0;
	while ((entry = readdir(all)) != NULL) {
		pid_t pid = (pid_t)atoi(entry->d_name);
		char comm[32] = "";
		snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
		int file = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
		if (file < 0)
			continue;
		ssize_t size = read(file, comm, sizeof comm - 1);
		close(file);
		if (size > 0 && strcmp(comm, "clusterd-start\n") == 0 && supervisor_of(pid) == getpid())
			starter = pid;
	}
	closedir(all);
	assert_true(starter > 0);
	kill(starter, SIGKILL);
	snprintf(run.directory, sizeof run.directory, "%s/two", run.top);
	snprintf(path, sizeof path, "%s/work", run.directory);
	assert_int_equal(mkdir(run.directory, 0700), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	run.told = 0;
	start_shell("exit 6");
	wait_for_end();
	assert_int_equal(run.how.code, 6);
}

/* A process like a daemon, with several that run, is killed; all go on, and are found again. */
static void all_go_on_when_the_daemon_is_killed(void **state)
{
	enum { COUNT = 3 };
	(void)state;
	close_supervisors();
	pid_t daemon = fork();
	assert_true(daemon >= 0);
	if (daemon == 0) {
		char directory[60];
		open_supervisors();
		snprintf(directory, sizeof directory, "%.50s", run.directory);
		for (int i = 0; i < COUNT; i++) {
			char path[120];
			snprintf(run.directory, sizeof run.directory, "%s%d", directory, i);
			snprintf(path, sizeof path, "%s/work", run.directory);
			if (mkdir(run.directory, 0700) != 0 || mkdir(path, 0700) != 0)
				_exit(1);
			start((const char *const[]){"sleep", "1000", NULL});
		}
		for (;;)
			loop_run(run.loop);
	}
	wait_until_count(commands, COUNT, COUNT);
	kill(daemon, SIGKILL);
	assert_int_equal(waitpid(daemon, NULL, 0), daemon);
	open_supervisors();
	assert_int_equal(commands(), COUNT);
	for (int i = 0; i < COUNT; i++) {
		char directory[100];
		snprintf(directory, sizeof directory, "%s/one%d", run.top, i);
		run.started = 0;
		run.told = 0;
		assert_int_equal(supervised_adopt(run.supervisors, directory, &handler, NULL, &run.supervised, NULL),
		                 0);
		wait_for_start();
		supervised_stop(run.supervised);
		wait_for(&run.told, "ended");
		assert_int_equal(run.how.signal, SIGTERM);
		supervised_release(run.supervised);
		run.supervised = NULL;
	}
}

/* ---- Many ---- */

enum { MANY = 60 };
static int many_left;

static void note_many(void *context, const struct supervised_exit *how)
{
	struct supervised **supervised = context;
	assert_int_equal(how->code, 0);
	supervised_release(*supervised);
	if (--many_left == 0)
		run.told = 1;
	loop_stop(run.loop);
}

static void many_at_once_are_all_told(void **state)
{
	static struct supervised *all[MANY];
	const struct supervised_handler many = {.ended = note_many};
	(void)state;
	many_left = MANY;
	for (int i = 0; i < MANY; i++) {
		char directory[100];
		char work[120];
		snprintf(directory, sizeof directory, "%s/many%d", run.top, i);
		snprintf(work, sizeof work, "%s/work", directory);
		assert_int_equal(mkdir(directory, 0700), 0);
		assert_int_equal(mkdir(work, 0700), 0);
		const struct supervised_options options = {
			.directory = directory,
			.argv = (const char *const[]){"true", NULL},
			.stop_signal = SIGTERM,
			.env = (const char *const[]){"PATH=/usr/bin:/bin", run.home, NULL},
			.log_size = LOG_SIZE,
			.log_files = 1,
		};
		assert_int_equal(supervised_start(run.supervisors, &options, &many, &all[i], &all[i], NULL), 0);
	}
	wait_for(&run.told, "all ended");
}

int main(int argc, char **argv)
{
	supervisor_main(argc, argv);
#define FACT(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		FACT(exit_code_is_told_and_written_down),
		FACT(supervisor_that_has_ended_its_task_takes_the_next_one),
		FACT(supervisor_that_was_told_to_stop_takes_no_other_task),
		FACT(supervisor_that_is_gone_is_not_missed),
		FACT(signal_that_ended_it_is_told),
		FACT(what_was_printed_is_in_files_and_nothing_makes_none),
		FACT(command_that_cannot_be_executed_is_told_why),
		FACT(arguments_that_the_system_refuses_are_told),
		FACT(environment_and_descriptors_are_its_own_alone),
		FACT(stop_is_its_signal_to_all_of_its_group),
		FACT(one_that_ignores_the_stop_is_killed_after_the_grace),
		FACT(stop_goes_on_without_the_daemon),
		FACT(kill_ends_it_at_once),
		FACT(one_that_is_stopped_before_it_has_started_ends),
		FACT(signal_to_the_supervisor_is_a_stop),
		FACT(what_it_leaves_behind_is_killed_when_it_ends),
		FACT(bomb_of_forks_is_ended),
		FACT(output_without_end_costs_its_files_and_no_more),
		FACT(full_disk_neither_blocks_nor_ends_it),
		FACT(one_that_runs_is_found_again),
		FACT(one_that_ended_meanwhile_is_told_with_its_code),
		FACT(directory_without_a_start_is_not_found),
		FACT(one_that_runs_is_not_started_again),
		FACT(killed_supervisor_is_lost_and_leaves_nothing),
		FACT(supervisor_that_was_killed_without_a_daemon_is_lost),
		FACT(record_that_is_not_whole_does_not_count),
		FACT(starter_that_was_killed_is_started_again),
		FACT(all_go_on_when_the_daemon_is_killed),
		FACT(many_at_once_are_all_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
