#include "net/child.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "net/cgroup.h"
#include "net/shim.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct child {
	struct loop_watch *watch; /* of `handle`; NULL: it has exited */
	child_exited *exited;
	void *context;
	pid_t pid;
	int handle;  /* pidfd of the shim */
	int control; /* when it closes, the shim kills all below it and exits */
};

/* What is left to do of children that are gone: shims of those that were destroyed before they had exited end by
 * themselves soon; control groups of shims that were killed can be removed when the last process in them has died.
 * Both are tried when the next child comes or goes. Processes belong to the whole program, so the list does too. */
struct remains {
	pid_t pid;
	bool group; /* its control group; false: the shim */
};

static struct {
	struct remains *list;
	size_t count;
	size_t capacity;
} remains;

static bool is_collected(const struct remains *one)
{
	char path[CGROUP_PATH_SIZE];
	if (!one->group)
		return waitpid(one->pid, NULL, WNOHANG) != 0;
	return cgroup_find(one->pid, path) != 0 || cgroup_remove(path) == 0 || errno != EBUSY;
}

static void collect_remains(void)
{
	size_t kept = 0;
	for (size_t i = 0; i < remains.count; i++) {
		if (!is_collected(&remains.list[i]))
			remains.list[kept++] = remains.list[i];
	}
	remains.count = kept;
	if (kept == 0) {
		mem_free(remains.list);
		remains.list = NULL;
		remains.capacity = 0;
	}
}

static void leave_remains(pid_t pid, bool group)
{
	mem_grow(remains.list, remains.capacity, remains.count + 1);
	remains.list[remains.count++] = (struct remains){pid, group};
}

/* ---- Starting ---- */

enum { INPUT, OUTPUT, COMPLAINTS, CONTROL, LINE_COUNT };

/* The daemon's ends and the child's. */
struct lines {
	int ours[LINE_COUNT];
	int theirs[LINE_COUNT];
};

static void close_all(int descriptors[LINE_COUNT])
{
	for (int i = 0; i < LINE_COUNT; i++) {
		if (descriptors[i] >= 0)
			close(descriptors[i]);
	}
}

/* Above the numbers that the child's ends are given, so that none is overwritten before it is moved. */
static int raise_descriptor(int *descriptor)
{
	int raised;
	if (*descriptor >= LINE_COUNT)
		return 0;
	raised = fcntl(*descriptor, F_DUPFD_CLOEXEC, LINE_COUNT);
	if (raised < 0)
		return -1;
	close(*descriptor);
	*descriptor = raised;
	return 0;
}

static int open_lines(struct lines *lines)
{
	int pair[2];
	*lines = (struct lines){{-1, -1, -1, -1}, {-1, -1, -1, -1}};
	for (int i = 0; i < CONTROL; i++) {
		if (pipe2(pair, O_CLOEXEC) != 0)
			return -1;
		lines->ours[i] = pair[i == INPUT];
		lines->theirs[i] = pair[i != INPUT];
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	lines->ours[CONTROL] = pair[0];
	lines->theirs[CONTROL] = pair[1];
	for (int i = 0; i < LINE_COUNT; i++) {
		if (raise_descriptor(&lines->theirs[i]) != 0)
			return -1;
	}
	return 0;
}

static size_t count_strings(const char *const *strings)
{
	size_t count = 0;
	while (strings[count] != NULL)
		count++;
	return count;
}

/* The system's types want char * where nothing is ever changed. */
static char *unconst(const char *string)
{
	union {
		const char *in;
		char *out;
	} same = {string};
	return same.out;
}

static char **shim_argv(const struct child_options *options, char limits[80])
{
	size_t count = count_strings(options->argv);
	char **argv = mem_array(SHIM_COMMAND + count + 1, sizeof *argv);
	snprintf(limits, 80, "%llu,%llu,%llu,%d", (unsigned long long)options->limits.address_space,
	         (unsigned long long)options->limits.open_files, (unsigned long long)options->limits.processes,
	         options->without_group ? 1 : 0);
	argv[0] = unconst(SHIM_NAME);
	argv[1] = unconst(SHIM_MARK);
	argv[SHIM_LIMITS] = limits;
	argv[SHIM_DIRECTORY] = unconst(options->directory != NULL ? options->directory : "");
	for (size_t i = 0; i < count; i++)
		argv[SHIM_COMMAND + i] = unconst(options->argv[i]);
	return argv;
}

/* One block of memory: the array, then the prefixed strings. */
static char **shim_env(const struct child_options *options)
{
	size_t count = count_strings(options->env);
	size_t size = (count + 1) * sizeof(char *);
	for (size_t i = 0; i < count; i++)
		size += strlen(options->env[i]) + 2;
	char **env = mem_alloc(size);
	char *at = (char *)(env + count + 1);
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(options->env[i]) + 1;
		env[i] = at;
		*at++ = SHIM_VARIABLE_PREFIX;
		memcpy(at, options->env[i], length);
		at += length;
	}
	env[count] = NULL;
	return env;
}

/* posix_spawn does not copy the page tables of a large daemon. 0 or errno's value. */
static int spawn(const struct lines *lines, char **argv, char **env, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t set;
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	for (int i = 0; i < LINE_COUNT; i++)
		posix_spawn_file_actions_adddup2(&actions, lines->theirs[i], i);
	sigemptyset(&set);
	posix_spawnattr_setsigmask(&attributes, &set);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	int failure = posix_spawn(ret_pid, "/proc/self/exe", &actions, &attributes, argv, env);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return failure;
}

static int start_shim(const struct child_options *options, const struct lines *lines, pid_t *ret_pid,
                      struct error *error)
{
	char limits[80];
	char **argv = shim_argv(options, limits);
	char **env = shim_env(options);
	int failure = spawn(lines, argv, env, ret_pid);
	mem_free(argv);
	mem_free(env);
	if (failure == E2BIG)
		return error_set(error, ERR_LIMIT, "could not be executed: %s: arguments and environment are larger than the "
		                 "system allows (128 KiB each, about 2 MiB together)", options->argv[0]);
	if (failure != 0)
		return error_set(error, ERR_IO, "could not be executed: %s: %s", options->argv[0], strerror(failure));
	return 0;
}

/* ---- Ending ---- */

/* The shim was killed, so nobody has killed what the command left behind; with a control group it can still be
 * done. */
static void describe_lost_shim(const struct child *child, int status, struct child_exit *how)
{
	int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	char path[CGROUP_PATH_SIZE];
	*how = (struct child_exit){.code = -1, .signal = number != 0 ? number : SIGKILL};
	snprintf(how->text, sizeof how->text, "its shim was ended by signal %d", number);
	if (cgroup_find(child->pid, path) == 0) {
		cgroup_kill(path);
		leave_remains(child->pid, true);
	}
}

static void on_shim_ended(void *context, bool readable, bool writable)
{
	struct child *child = context;
	struct child_exit how;
	int status = 0;
	(void)readable, (void)writable;
	if (waitpid(child->pid, &status, WNOHANG) == 0)
		return;
	ssize_t size = recv(child->control, &how, sizeof how, MSG_DONTWAIT);
	if (size != (ssize_t)sizeof how)
		describe_lost_shim(child, status, &how);
	loop_watch_destroy(child->watch);
	child->watch = NULL;
	close(child->handle);
	close(child->control);
	child->exited(child->context, &how);
}

static void order(const struct child *child, char what)
{
	if (child->watch == NULL)
		return;
	/* A shim that is gone, or has a queue full of such orders, needs no further one. */
	send(child->control, &what, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* ---- The door ---- */

int child_start(struct loop *loop, const struct child_options *options, child_exited *exited, void *context,
                int ret_descriptors[3], struct child **ret_child, struct error *error)
{
	struct lines lines;
	pid_t pid;
	assert(options->argv[0] != NULL && options->env != NULL);
	collect_remains();
	int result = open_lines(&lines);
	if (result != 0)
		result = error_set(error, ERR_IO, "could not be executed: %s: %s", options->argv[0], strerror(errno));
	else
		result = start_shim(options, &lines, &pid, error);
	close_all(lines.theirs);
	if (result != 0) {
		close_all(lines.ours);
		return result;
	}
	int handle = (int)syscall(SYS_pidfd_open, pid, 0);
	if (handle < 0) {
		result = error_set(error, ERR_IO, "could not be watched: %s: %s", options->argv[0], strerror(errno));
		close_all(lines.ours);
		leave_remains(pid, false);
		return result;
	}
	struct child *child = mem_zero(sizeof *child);
	*child = (struct child){.exited = exited, .context = context, .pid = pid};
	child->handle = handle;
	child->control = lines.ours[CONTROL];
	child->watch = loop_watch_create(loop, child->handle, on_shim_ended, child);
	loop_watch_set(child->watch, true, false);
	memcpy(ret_descriptors, lines.ours, 3 * sizeof(int));
	*ret_child = child;
	return 0;
}

void child_terminate(struct child *child)
{
	order(child, SHIM_TERMINATE);
}

void child_kill(struct child *child)
{
	order(child, SHIM_KILL);
}

void child_destroy(struct child *child)
{
	if (child == NULL)
		return;
	if (child->watch != NULL) {
		loop_watch_destroy(child->watch);
		close(child->handle);
		close(child->control);
		leave_remains(child->pid, false);
	}
	collect_remains();
	mem_free(child);
}

int child_pid(const struct child *child)
{
	return child->pid;
}
