#include "net/descendants.h"

#include "net/processes.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define QUICK_ROUNDS 4 /* enough for a few daemons; what is still there afterwards is forking: freeze it first */
#define FREEZE_SCANS 64

enum place { UNKNOWN, BELOW, ELSEWHERE }; /* the mark of a process */

static int64_t monotonic_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* __WALL: children whose end is told by another signal than SIGCHLD, too. */
bool descendants_reap(descendants_reaped *reaped, void *context)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG | __WALL);
		if (pid > 0)
			reaped(context, pid, status);
		else if (pid == 0)
			return false;
		else if (errno != EINTR)
			return true;
	}
}

/* Signals the own children in the order in which the kernel lists them, reading little at a time, so that even a
 * process that only forks and exits is met alive. Their ids cannot be reused before this process has collected
 * them. False: this kernel has no such list. */
static bool signal_children(int number)
{
	char text[256];
	ssize_t size;
	pid_t pid = 0;
	int file = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return false;
	while ((size = read(file, text, sizeof text)) > 0) {
		for (ssize_t i = 0; i < size; i++) {
			if (text[i] >= '0' && text[i] <= '9') {
				pid = pid * 10 + (text[i] - '0');
			} else if (pid > 0) {
				kill(pid, number);
				pid = 0;
			}
		}
	}
	close(file);
	return true;
}

/* Walks up to this process or to what is known already, then gives all on the way the same place. The list was not
 * taken in one moment, so it may hold circles: the number of steps is bounded. */
static void place_process(struct processes *processes, struct process *process, pid_t self)
{
	struct process *top = process;
	struct process *next = process;
	for (size_t steps = 0; next != NULL && steps < processes->count; steps++) {
		top = next;
		next = top->mark != UNKNOWN || top->parent == self ? NULL : processes_find(processes, top->parent);
	}
	bool below = top->parent == self || top->mark == BELOW;
	for (next = process; next != top && next->mark == UNKNOWN; next = processes_find(processes, next->parent))
		next->mark = below ? BELOW : ELSEWHERE;
	top->mark = below ? BELOW : ELSEWHERE;
}

/* Stops all that is below this process; how many there are that `before` did not have. */
static size_t freeze(struct processes *processes, const struct processes *before)
{
	pid_t self = getpid();
	size_t fresh = 0;
	signal_children(SIGSTOP);
	processes_list(processes);
	for (size_t i = 0; i < processes->count; i++) {
		struct process *process = &processes->all[i];
		place_process(processes, process, self);
		if (process->mark != BELOW)
			continue;
		kill(process->pid, SIGSTOP);
		const struct process *known = processes_find(before, process->pid);
		fresh += known == NULL || known->mark != BELOW;
	}
	return fresh;
}

/* Who has a stop signal pending does not fork any more: when a look finds nobody new, all stand still, and are
 * killed. */
static void freeze_and_kill(void)
{
	struct processes lists[2] = {{0}, {0}};
	struct processes *last = &lists[0];
	for (int scan = 0; scan < FREEZE_SCANS; scan++) {
		last = &lists[scan % 2];
		if (freeze(last, &lists[(scan + 1) % 2]) == 0)
			break;
	}
	for (size_t i = 0; i < last->count; i++) {
		if (last->all[i].mark == BELOW)
			kill(last->all[i].pid, SIGKILL);
	}
	signal_children(SIGKILL);
	processes_finish(&lists[0]);
	processes_finish(&lists[1]);
}

bool descendants_end(descendants_reaped *reaped, void *context)
{
	int64_t deadline = monotonic_ms() + DESCENDANTS_PATIENCE_MS;
	struct timespec moment = {.tv_nsec = 2000000};
	sigset_t child;
	bool gone;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (int round = 0; !(gone = descendants_reap(reaped, context)) && monotonic_ms() < deadline; round++) {
		bool quick = round < QUICK_ROUNDS && signal_children(SIGKILL);
		if (!quick)
			freeze_and_kill();
		if (!descendants_reap(reaped, context))
			sigtimedwait(&child, NULL, &moment);
	}
	return gone;
}
