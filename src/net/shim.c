#include "net/shim.h"

#include "net/cgroup.h"
#include "net/child.h"
#include "net/descendants.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"
#define KERNEL_SIGSET_SIZE (size_t)8

struct shim {
	char **command;
	const char *directory;
	struct child_limits limits;
	bool without_group;
	char cgroup[CGROUP_PATH_SIZE]; /* "": none */
	int cgroup_entrance;           /* −1: none */
	int signals;                   /* signalfd */
	pid_t self;
	pid_t pid;                     /* of the command; 0: not started, or collected */
	struct child_exit exit;
};

static const char *variable(const char *name)
{
	size_t length = strlen(name);
	for (char **entry = environ; *entry != NULL; entry++) {
		if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
			return *entry + length + 1;
	}
	return NULL;
}

/* Returns only when it failed, with errno's value. Without a "/" the name is looked up in the command's own PATH, as
 * execvp does it, but a file that is neither a program nor has a "#!" line is not given to a shell. */
static int execute(char **command)
{
	char candidate[PATH_MAX];
	int failure = ENOENT;
	if (strchr(command[0], '/') != NULL) {
		execve(command[0], command, environ);
		return errno;
	}
	const char *path = variable("PATH");
	if (path == NULL || path[0] == '\0')
		path = DEFAULT_PATH;
	while (command[0][0] != '\0') {
		int length = (int)strcspn(path, ":");
		const char *place = length > 0 ? path : ".";
		int size = snprintf(candidate, sizeof candidate, "%.*s/%s", length > 0 ? length : 1, place, command[0]);
		if (size < (int)sizeof candidate) {
			execve(candidate, command, environ);
			if (errno == EACCES)
				failure = EACCES;
			else if (errno != ENOENT && errno != ENOTDIR)
				return errno;
		}
		if (path[length] == '\0')
			break;
		path += length + 1;
	}
	return failure;
}

static void set_limit(__rlimit_resource_t resource, uint64_t value)
{
	struct rlimit limit;
	if (value == 0 || getrlimit(resource, &limit) != 0)
		return;
	if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > value)
		limit.rlim_max = value;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(resource, &limit);
}

/* In the new process, which shares the shim's memory until it executes: system calls only. */
static int become_command(const struct shim *shim)
{
	sigset_t none;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != shim->self)
		_exit(1); /* the shim died before the line above */
	setsid();
	if (shim->cgroup_entrance >= 0 && write(shim->cgroup_entrance, "0", 1) != 1) {
		/* then the tree of processes alone must do */
	}
	set_limit(RLIMIT_AS, shim->limits.address_space);
	set_limit(RLIMIT_NOFILE, shim->limits.open_files);
	set_limit(RLIMIT_NPROC, shim->limits.processes);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return execute(shim->command);
}

/* vfork: the shim stands still until the command executes or has failed to; `failure` is written in shared memory. */
static __attribute__((noinline)) pid_t start_command(const struct shim *shim, int *ret_failure)
{
	volatile int failure = 0;
	pid_t pid = vfork();
	if (pid == 0) {
		failure = become_command(shim);
		_exit(127);
	}
	*ret_failure = pid < 0 ? errno : failure;
	return pid;
}

static void not_started(struct shim *shim, const char *what, int failure)
{
	const char *hint = "";
	if (what == shim->command[0]) {
		if (failure == ENOENT && strchr(what, '/') != NULL && access(what, F_OK) == 0)
			hint = " (the program that its #! line names)";
		else if (failure == ENOEXEC)
			hint = " (no program, and without a #! line)";
	}
	shim->exit = (struct child_exit){.code = -1, .not_started = true};
	snprintf(shim->exit.text, sizeof shim->exit.text, "could not be executed: %.150s: %s%s", what, strerror(failure),
	         hint);
}

static void note_end(void *context, pid_t pid, int status)
{
	struct shim *shim = context;
	if (pid != shim->pid)
		return;
	shim->pid = 0;
	shim->exit.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	shim->exit.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void end_all(struct shim *shim)
{
	cgroup_kill(shim->cgroup);
	if (!descendants_end(note_end, shim))
		snprintf(shim->exit.text, sizeof shim->exit.text, "processes that it left behind could not be killed");
}

static void terminate(const struct shim *shim)
{
	if (shim->pid > 0)
		kill(-shim->pid, SIGTERM);
}

/* False: the daemon is gone. */
static bool take_order(struct shim *shim)
{
	char order;
	ssize_t size = recv(SHIM_CONTROL, &order, 1, 0);
	if (size < 0 && errno == EINTR)
		return true;
	if (size == 1 && order == SHIM_TERMINATE)
		terminate(shim);
	else if (size == 1 && order == SHIM_KILL)
		end_all(shim);
	return size == 1;
}

static void take_signals(struct shim *shim)
{
	struct signalfd_siginfo info;
	if (read(shim->signals, &info, sizeof info) == (ssize_t)sizeof info && info.ssi_signo != SIGCHLD)
		terminate(shim);
	descendants_reap(note_end, shim);
}

/* Until the command has ended or the daemon has gone. */
static void watch_over(struct shim *shim)
{
	struct pollfd ready[2] = {{.fd = SHIM_CONTROL, .events = POLLIN}, {.fd = shim->signals, .events = POLLIN}};
	while (shim->pid > 0) {
		if (poll(ready, 2, -1) < 0)
			continue;
		if (ready[1].revents != 0)
			take_signals(shim);
		if (ready[0].revents != 0 && !take_order(shim))
			break;
	}
	end_all(shim);
}

/* All of them, also the two that glibc keeps to itself and its posix_spawn leaves ignored: so not by sigaction. */
static void reset_signals(void)
{
	const unsigned long defaults[8] = {0}; /* the kernel's struct sigaction is no larger */
	for (int number = 1; number < NSIG; number++)
		syscall(SYS_rt_sigaction, number, defaults, NULL, KERNEL_SIGSET_SIZE);
}

static int open_signals(void)
{
	static const int numbers[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		sigaddset(&set, numbers[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void run(struct shim *shim)
{
	int failure = 0;
	if (shim->directory[0] != '\0' && chdir(shim->directory) != 0) {
		not_started(shim, shim->directory, errno);
		return;
	}
	shim->cgroup_entrance = -1;
	if (!shim->without_group && cgroup_create(shim->self, shim->cgroup) == 0)
		shim->cgroup_entrance = cgroup_entrance(shim->cgroup);
	shim->pid = start_command(shim, &failure);
	close_range(0, 2, 0); /* the pipes are the command's alone: they end when it and what it started have ended */
	if (shim->cgroup_entrance >= 0)
		close(shim->cgroup_entrance);
	if (failure != 0)
		not_started(shim, shim->pid < 0 ? "a new process" : shim->command[0], failure);
	else
		watch_over(shim);
	descendants_reap(note_end, shim);
	cgroup_remove_patiently(shim->cgroup);
}

void child_shim_main(int argc, char **argv)
{
	if (argc <= SHIM_COMMAND || strcmp(argv[0], SHIM_NAME) != 0 || strcmp(argv[1], SHIM_MARK) != 0)
		return;
	struct shim shim = {.command = argv + SHIM_COMMAND, .directory = argv[SHIM_DIRECTORY], .self = getpid()};
	char *limits = argv[SHIM_LIMITS];
	close_range(SHIM_CONTROL + 1, ~0u, 0);
	fcntl(SHIM_CONTROL, F_SETFD, FD_CLOEXEC);
	setsid();
	prctl(PR_SET_NAME, SHIM_NAME);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	shim.limits.address_space = strtoull(limits, &limits, 10);
	shim.limits.open_files = strtoull(limits + 1, &limits, 10);
	shim.limits.processes = strtoull(limits + 1, &limits, 10);
	shim.without_group = strtoul(limits + 1, &limits, 10) != 0;
	for (char **entry = environ; *entry != NULL; entry++)
		*entry += **entry == SHIM_VARIABLE_PREFIX;
	reset_signals();
	shim.signals = open_signals();
	shim.exit.code = -1;
	if (shim.signals < 0)
		not_started(&shim, "a signal descriptor", errno);
	else
		run(&shim);
	send(SHIM_CONTROL, &shim.exit, sizeof shim.exit, MSG_NOSIGNAL | MSG_DONTWAIT);
	_exit(0);
}
