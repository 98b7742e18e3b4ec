#include "net/child.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "net/cgroup.h"
#include "net/jobs.h"
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
	struct children *children;
	struct start *start;      /* NULL: it has started */
	struct loop_watch *watch; /* of `handle`; NULL: it has not started, or has exited */
	child_exited *exited;
	void *context;
	pid_t pid;
	int handle;  /* pidfd of the shim */
	int control; /* when it closes, the shim kills all below it and exits; −1: it has exited */
};

/* What is left to do of children that are gone: shims of those that were destroyed before they had exited end by
 * themselves soon; control groups of shims that were killed can be removed when the last process in them has died.
 * Both are tried when the next child comes or goes. */
struct remains {
	pid_t pid;
	bool group; /* its control group; false: the shim */
};

struct children {
	struct loop *loop;
	struct jobs *jobs;
	struct loop_watch *watch;
	struct remains *remains;
	size_t remains_count;
	size_t remains_capacity;
};

static bool is_collected(const struct remains *one)
{
	char path[CGROUP_PATH_SIZE];
	if (!one->group)
		return waitpid(one->pid, NULL, WNOHANG) != 0;
	return cgroup_find(one->pid, path) != 0 || cgroup_remove(path) == 0 || errno != EBUSY;
}

static void collect_remains(struct children *children)
{
	size_t kept = 0;
	for (size_t i = 0; i < children->remains_count; i++) {
		if (!is_collected(&children->remains[i]))
			children->remains[kept++] = children->remains[i];
	}
	children->remains_count = kept;
}

static void leave_remains(struct children *children, pid_t pid, bool group)
{
	mem_grow(children->remains, children->remains_capacity, children->remains_count + 1);
	children->remains[children->remains_count++] = (struct remains){pid, group};
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

/* What the thread needs to start a shim, all of it its own. */
struct start {
	struct job job;
	struct children *children;
	struct child *child; /* NULL: it has been destroyed meanwhile */
	char **argv;
	char **env;
	char limits[80];
	int theirs[LINE_COUNT];
	pid_t pid;
	int failure; /* errno's value; 0: it has started */
};

/* One block of memory: an array with room for `first` more in front, then the strings, each behind a prefix if there is one. */
static char **copy_strings(size_t first, const char *const *strings, char prefix)
{
	size_t count = count_strings(strings);
	size_t size = (first + count + 1) * sizeof(char *);
	for (size_t i = 0; i < count; i++)
		size += strlen(strings[i]) + 2;
	char **copies = mem_alloc(size);
	char *at = (char *)(copies + first + count + 1);
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(strings[i]) + 1;
		copies[first + i] = at;
		if (prefix != '\0')
			*at++ = prefix;
		memcpy(at, strings[i], length);
		at += length;
	}
	copies[first + count] = NULL;
	return copies;
}

static void fill_start(struct start *start, const struct child_options *options)
{
	const struct child_limits *limits = &options->limits;
	snprintf(start->limits, sizeof start->limits, "%llu,%llu,%llu,%d", (unsigned long long)limits->address_space,
	         (unsigned long long)limits->open_files, (unsigned long long)limits->processes,
	         options->without_group ? 1 : 0);
	start->argv = copy_strings(SHIM_COMMAND, options->argv, '\0');
	start->argv[0] = unconst(SHIM_NAME);
	start->argv[1] = unconst(SHIM_MARK);
	start->argv[SHIM_LIMITS] = start->limits;
	start->argv[SHIM_DIRECTORY] = mem_string(options->directory != NULL ? options->directory : "");
	start->env = copy_strings(0, options->env, SHIM_VARIABLE_PREFIX);
}

static void start_release(struct start *start)
{
	close_all(start->theirs);
	mem_free(start->argv[SHIM_DIRECTORY]);
	mem_free(start->argv);
	mem_free(start->env);
	mem_free(start);
}

/* posix_spawn does not copy the page tables of a large daemon, but the calling thread stands still until the shim executes. */
static void run_start(struct job *job)
{
	struct start *start = (struct start *)job;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t set;
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	for (int i = 0; i < LINE_COUNT; i++)
		posix_spawn_file_actions_adddup2(&actions, start->theirs[i], i);
	sigemptyset(&set);
	posix_spawnattr_setsigmask(&attributes, &set);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	start->failure = posix_spawn(&start->pid, "/proc/self/exe", &actions, &attributes, start->argv, start->env);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
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
		leave_remains(child->children, child->pid, true);
	}
}

static void end(struct child *child, const struct child_exit *how)
{
	close(child->control);
	child->control = -1;
	child->exited(child->context, how);
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
	end(child, &how);
}

static void not_started(struct child *child, const char *command, int failure)
{
	struct child_exit how = {.code = -1, .not_started = true};
	if (failure == E2BIG)
		snprintf(how.text, sizeof how.text,
		         "could not be executed: %.100s: arguments and environment are larger than the system allows "
		         "(128 KiB each, about 2 MiB together)", command);
	else
		snprintf(how.text, sizeof how.text, "could not be executed: %.150s: %s", command, strerror(failure));
	end(child, &how);
}

static void start_done(struct job *job)
{
	struct start *start = (struct start *)job;
	struct children *children = start->children;
	struct child *child = start->child;
	if (child != NULL)
		child->start = NULL;
	if (start->failure == 0) {
		int handle = child != NULL ? (int)syscall(SYS_pidfd_open, start->pid, 0) : -1;
		if (handle >= 0) {
			child->pid = start->pid;
			child->handle = handle;
			child->watch = loop_watch_create(children->loop, handle, on_shim_ended, child);
			loop_watch_set(child->watch, true, false);
		} else {
			start->failure = errno;
			leave_remains(children, start->pid, false);
		}
	}
	if (child != NULL && start->failure != 0)
		not_started(child, start->argv[SHIM_COMMAND], start->failure);
	start_release(start);
}

static void order(const struct child *child, char what)
{
	if (child->control < 0)
		return;
	/* A shim that is gone, or has a queue full of such orders, needs no further one. One that is still to start finds it. */
	send(child->control, &what, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* ---- The door ---- */

static void starts_ready(void *context, bool readable, bool writable)
{
	(void)readable, (void)writable;
	jobs_collect(context);
}

int children_create(struct loop *loop, struct children **ret_children, struct error *error)
{
	struct jobs *jobs;
	int code = jobs_create("start", &jobs);
	if (code != 0)
		return error_set(error, code, "the thread that starts children cannot be started");
	struct children *children = mem_zero(sizeof *children);
	children->loop = loop;
	children->jobs = jobs;
	children->watch = loop_watch_create(loop, jobs_descriptor(jobs), starts_ready, jobs);
	loop_watch_set(children->watch, true, false);
	*ret_children = children;
	return 0;
}

void children_destroy(struct children *children)
{
	if (children == NULL)
		return;
	loop_watch_destroy(children->watch);
	jobs_destroy(children->jobs);
	collect_remains(children);
	mem_free(children->remains);
	mem_free(children);
}

int child_start(struct children *children, const struct child_options *options, child_exited *exited, void *context,
                int ret_descriptors[3], struct child **ret_child, struct error *error)
{
	struct lines lines;
	assert(options->argv[0] != NULL && options->env != NULL);
	collect_remains(children);
	if (open_lines(&lines) != 0) {
		int failure = errno;
		close_all(lines.theirs);
		close_all(lines.ours);
		return error_set(error, ERR_IO, "could not be executed: %s: %s", options->argv[0], strerror(failure));
	}
	struct start *start = mem_zero(sizeof *start);
	struct child *child = mem_zero(sizeof *child);
	*child = (struct child){.children = children, .start = start, .exited = exited, .context = context};
	child->control = lines.ours[CONTROL];
	fill_start(start, options);
	start->job.run = run_start;
	start->job.done = start_done;
	start->children = children;
	start->child = child;
	memcpy(start->theirs, lines.theirs, sizeof start->theirs);
	memcpy(ret_descriptors, lines.ours, 3 * sizeof(int));
	*ret_child = child;
	jobs_give(children->jobs, &start->job);
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
	if (child->start != NULL)
		child->start->child = NULL;
	if (child->watch != NULL) {
		loop_watch_destroy(child->watch);
		close(child->handle);
		leave_remains(child->children, child->pid, false);
	}
	if (child->control >= 0)
		close(child->control);
	collect_remains(child->children);
	mem_free(child);
}

int child_pid(const struct child *child)
{
	return child->pid;
}
