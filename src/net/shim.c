#include "net/shim.h"

#include "net/cgroup.h"
#include "net/child.h"
#include "net/descendants.h"
#include "net/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct shim {
	char **command;
	const char *directory;
	struct child_limits limits;
	bool without_group;
	char cgroup[CGROUP_PATH_SIZE]; /* "": none */
	int cgroup_entrance;           /* −1: none */
	int signals;                   /* signalfd */
	pid_t self;
	pid_t pid; /* of the command; 0: not started, or collected */
	struct child_exit exit;
};

static void not_started(struct shim *shim, const char *what, int failure)
{
	shim->exit = (struct child_exit){.code = -1, .not_started = true};
	launch_describe(shim->exit.text, sizeof shim->exit.text, what, NULL, failure);
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
	const struct launch launch = {
		.argv = shim->command,
		.env = environ,
		.cgroup_entrance = shim->cgroup_entrance,
		.standard = {-1, -1, -1},
		.address_space = shim->limits.address_space,
		.open_files = shim->limits.open_files,
		.processes = shim->limits.processes,
	};
	shim->pid = launch_start(&launch, &failure);
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
	launch_reset_signals();
	shim.signals = launch_open_signals();
	shim.exit.code = -1;
	if (shim.signals < 0)
		not_started(&shim, "a signal descriptor", errno);
	else
		run(&shim);
	send(SHIM_CONTROL, &shim.exit, sizeof shim.exit, MSG_NOSIGNAL | MSG_DONTWAIT);
	_exit(0);
}
