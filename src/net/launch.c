#include "net/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"
#define KERNEL_SIGSET_SIZE (size_t)8

static const char *variable(char *const *env, const char *name)
{
	size_t length = strlen(name);
	for (; *env != NULL; env++) {
		if (strncmp(*env, name, length) == 0 && (*env)[length] == '=')
			return *env + length + 1;
	}
	return NULL;
}

/* Returns only when it failed, with errno's value. Looks names up as execvp does it, but a file that is neither a program nor has a
 * "#!" line is not given to a shell. */
static int execute(char *const *argv, char *const *env)
{
	char candidate[PATH_MAX];
	int failure = ENOENT;
	if (strchr(argv[0], '/') != NULL) {
		execve(argv[0], argv, env);
		return errno;
	}
	const char *path = variable(env, "PATH");
	if (path == NULL || path[0] == '\0')
		path = DEFAULT_PATH;
	while (argv[0][0] != '\0') {
		int length = (int)strcspn(path, ":");
		const char *place = length > 0 ? path : ".";
		int size = snprintf(candidate, sizeof candidate, "%.*s/%s", length > 0 ? length : 1, place, argv[0]);
		if (size < (int)sizeof candidate) {
			execve(candidate, argv, env);
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

/* In the new process, which shares the caller's memory until it executes: system calls only. */
static int become_command(const struct launch *launch, pid_t parent)
{
	sigset_t none;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1); /* it died before the line above */
	setsid();
	if (launch->directory != NULL && chdir(launch->directory) != 0)
		return errno;
	if (launch->cgroup_entrance >= 0 && write(launch->cgroup_entrance, "0", 1) != 1) {
		/* then the tree of processes alone must do */
	}
	for (int i = 0; i < 3; i++) {
		if (launch->standard[i] >= 0 && dup2(launch->standard[i], i) < 0)
			return errno;
	}
	set_limit(RLIMIT_AS, launch->address_space);
	set_limit(RLIMIT_DATA, launch->data);
	set_limit(RLIMIT_NOFILE, launch->open_files);
	set_limit(RLIMIT_NPROC, launch->processes);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return execute(launch->argv, launch->env);
}

/* vfork: `failure` is written in shared memory. */
__attribute__((noinline)) pid_t launch_start(const struct launch *launch, int *ret_failure)
{
	volatile int failure = 0;
	pid_t parent = getpid();
	pid_t pid = vfork();
	if (pid == 0) {
		failure = become_command(launch, parent);
		_exit(127);
	}
	*ret_failure = pid < 0 ? errno : failure;
	return pid;
}

/* The interpreter that the "#!" line of a script names; "": it has none that can be read. */
static void find_interpreter(int place, const char *program, char *ret_name, size_t size)
{
	char line[256];
	int file = openat(place, program, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t length = file >= 0 ? read(file, line, sizeof line - 1) : -1;
	if (file >= 0)
		close(file);
	line[length > 0 ? length : 0] = '\0';
	char *name = line + 2 + strspn(line[0] == '#' && line[1] == '!' ? line + 2 : "", " \t");
	if (strncmp(line, "#!", 2) != 0)
		ret_name[0] = '\0';
	else
		snprintf(ret_name, size, "%.*s", (int)strcspn(name, " \t\r\n"), name);
}

void launch_describe(char *ret_text, size_t size, const char *program, const char *directory, int failure)
{
	char interpreter[128];
	int place = directory != NULL ? open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC) : AT_FDCWD;
	bool is_there = strchr(program, '/') != NULL && faccessat(place, program, F_OK, 0) == 0;
	if (failure == ENOEXEC) {
		snprintf(ret_text, size,
		         "could not be executed: exec format error: %.150s is neither a program nor has a #! line",
		         program);
	} else if (failure == ENOENT && is_there) {
		find_interpreter(place, program, interpreter, sizeof interpreter);
		if (interpreter[0] != '\0')
			snprintf(ret_text, size,
			         "could not be executed: %.100s: its #! line names %s, which is not there", program,
			         interpreter);
		else
			snprintf(ret_text, size,
			         "could not be executed: %.150s: the loader or a library that it names is not there",
			         program);
	} else if (failure == EACCES && is_there && faccessat(place, program, X_OK, AT_EACCESS) != 0) {
		snprintf(ret_text, size, "could not be executed: %.150s: %s: it is not marked as executable", program,
		         strerror(failure));
	} else {
		snprintf(ret_text, size, "could not be executed: %.150s: %s", program, strerror(failure));
	}
	if (place >= 0)
		close(place);
}

/* All of them, also the two that glibc keeps to itself and its posix_spawn leaves ignored: so not by sigaction. */
void launch_reset_signals(void)
{
	const unsigned long defaults[8] = {0}; /* the kernel's struct sigaction is no larger */
	for (int number = 1; number < NSIG; number++)
		syscall(SYS_rt_sigaction, number, defaults, NULL, KERNEL_SIGSET_SIZE);
}

int launch_open_signals(void)
{
	static const int numbers[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		sigaddset(&set, numbers[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}
