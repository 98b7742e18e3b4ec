#include "net/supervisor.h"

#include "net/cgroup.h"
#include "net/descendants.h"
#include "net/launch.h"
#include "net/rights.h"
#include "net/supervisor_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONTROL_BACKLOG 8
#define LAST_OUTPUT 64  /* chunks taken of each pipe when all is killed: more is of somebody who could not be */
#define RECORD_TRIES 60 /* a second apart, when the disk refuses */

enum { OUT, COMPLAINTS, OUTPUTS };

struct supervisor {
	struct supervisor_order *order; /* NULL: the command has started, nothing of it is needed any more */
	int stop_signal;
	msec stop_grace;
	int listener;
	int connection; /* to the daemon; −1: there is none now */
	bool adopted;   /* the connection is one that was made to `control` */
	int signals;    /* signalfd */
	int record;     /* exit.new */
	pid_t pid;      /* of the command; 0: not started, or collected */
	pid_t first_pid;
	bool stopping;
	bool killed;
	bool haunted; /* something below it could not be killed */
	msec kill_at; /* MSEC_NEVER: not, or done */
	struct output outputs[OUTPUTS];
	char cgroup[CGROUP_PATH_SIZE]; /* "": none */
	struct supervised_exit exit;
};

static msec clock_ms(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (msec)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int supervisor_group(const char *directory, char ret_name[SUPERVISOR_GROUP_SIZE])
{
	struct stat status;
	if (stat(directory, &status) != 0)
		return -1;
	snprintf(ret_name, SUPERVISOR_GROUP_SIZE, "a%llx-%llx", (unsigned long long)status.st_dev,
	         (unsigned long long)status.st_ino);
	return 0;
}

/* ---- The daemon ---- */

static void __attribute__((format(printf, 2, 3))) tell(const struct supervisor *supervisor, const char *format, ...)
{
	char text[SUPERVISOR_MESSAGE_SIZE];
	va_list args;
	va_start(args, format);
	int size = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (size >= (int)sizeof text)
		size = (int)sizeof text - 1;
	if (supervisor->connection >= 0)
		send(supervisor->connection, text, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void tell_running(const struct supervisor *supervisor)
{
	tell(supervisor, SUPERVISOR_RUNNING " %d %" PRId64, (int)supervisor->first_pid, supervisor->exit.started_ms);
}

static void disconnect(struct supervisor *supervisor)
{
	if (supervisor->connection >= 0)
		close(supervisor->connection);
	supervisor->connection = -1;
}

static bool is_of_same_user(int connection)
{
	struct ucred peer;
	socklen_t size = sizeof peer;
	if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
		return false;
	return peer.uid == geteuid() || peer.uid == 0;
}

/* The newest counts: the one before is of a daemon that is gone, or is about to go. */
static void take_connection(struct supervisor *supervisor)
{
	int connection = accept4(supervisor->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (connection < 0)
		return;
	if (!is_of_same_user(connection)) {
		close(connection);
		return;
	}
	disconnect(supervisor);
	supervisor->connection = connection;
	supervisor->adopted = true;
	tell_running(supervisor);
}

/* ---- Ending ---- */

static void note_end(void *context, pid_t pid, int status)
{
	struct supervisor *supervisor = context;
	if (pid != supervisor->pid)
		return;
	supervisor->pid = 0;
	supervisor->exit.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	supervisor->exit.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void end_all(struct supervisor *supervisor)
{
	supervisor->killed = true;
	supervisor->kill_at = MSEC_NEVER;
	cgroup_kill(supervisor->cgroup);
	supervisor->haunted = !descendants_end(note_end, supervisor);
	if (supervisor->haunted)
		snprintf(supervisor->exit.text, sizeof supervisor->exit.text,
		         "processes that it left behind could not be killed");
}

static void stop(struct supervisor *supervisor)
{
	if (supervisor->stopping)
		return;
	supervisor->stopping = true;
	supervisor->kill_at = clock_ms(CLOCK_MONOTONIC) + supervisor->stop_grace;
	if (supervisor->pid > 0)
		kill(-supervisor->pid, supervisor->stop_signal);
}

/* One order. False: there is none. */
static bool take_order(struct supervisor *supervisor)
{
	char text[16];
	ssize_t size = supervisor->connection >= 0 ? recv(supervisor->connection, text, sizeof text - 1, MSG_DONTWAIT)
	                                           : -1;
	if (size < 0 && (errno == EINTR || errno == EAGAIN))
		return false;
	if (size <= 0) {
		disconnect(supervisor);
		return false;
	}
	text[size] = '\0';
	if (strcmp(text, SUPERVISOR_STOP) == 0)
		stop(supervisor);
	else if (strcmp(text, SUPERVISOR_KILL) == 0)
		end_all(supervisor);
	return true;
}

static void take_signals(struct supervisor *supervisor)
{
	struct signalfd_siginfo info;
	while (read(supervisor->signals, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo != SIGCHLD)
			stop(supervisor);
	}
	descendants_reap(note_end, supervisor);
}

/* ---- While it runs ---- */

enum { SIGNALS, CONNECTION, LISTENER, PIPES, WATCHED = PIPES + OUTPUTS };

static int time_left(const struct supervisor *supervisor)
{
	if (supervisor->kill_at == MSEC_NEVER)
		return -1;
	msec left = supervisor->kill_at - clock_ms(CLOCK_MONOTONIC);
	return left <= 0 ? 0 : left < 3600000 ? (int)left : 3600000;
}

static void watch_over(struct supervisor *supervisor)
{
	while (supervisor->pid > 0) {
		struct pollfd ready[WATCHED] = {
			[SIGNALS] = {.fd = supervisor->signals, .events = POLLIN},
			[CONNECTION] = {.fd = supervisor->connection, .events = POLLIN},
			[LISTENER] = {.fd = supervisor->listener, .events = POLLIN},
		};
		for (int i = 0; i < OUTPUTS; i++)
			ready[PIPES + i] = (struct pollfd){.fd = supervisor->outputs[i].pipe, .events = POLLIN};
		if (poll(ready, WATCHED, time_left(supervisor)) < 0)
			continue;
		if (ready[SIGNALS].revents != 0)
			take_signals(supervisor);
		for (int i = 0; i < OUTPUTS; i++) {
			if (ready[PIPES + i].revents != 0)
				output_take(&supervisor->outputs[i]);
		}
		if (ready[CONNECTION].revents != 0)
			take_order(supervisor);
		if (ready[LISTENER].revents != 0)
			take_connection(supervisor);
		if (time_left(supervisor) == 0)
			end_all(supervisor);
	}
	end_all(supervisor);
	for (int i = 0; i < OUTPUTS; i++) {
		for (int chunks = 0; chunks < LAST_OUTPUT && output_take(&supervisor->outputs[i]); chunks++)
			;
	}
}

/* ---- Starting ---- */

/* Takes the name `control` for good. 0, or an errno's value; EEXIST: there is, or was, another one. */
static int take_control(struct supervisor *supervisor)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof address.sun_path, SUPERVISOR_CONTROL ".%d", (int)getpid());
	supervisor->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(address.sun_path);
	mode_t mask = umask(0177);
	bool done = supervisor->listener >= 0 &&
	            bind(supervisor->listener, (struct sockaddr *)&address, sizeof address) == 0 &&
	            listen(supervisor->listener, CONTROL_BACKLOG) == 0;
	int failure = done ? 0 : errno;
	umask(mask);
	/* Under its name it is listened to at once, so that who is refused there knows that nobody is left. */
	if (done && renameat2(AT_FDCWD, address.sun_path, AT_FDCWD, SUPERVISOR_CONTROL, RENAME_NOREPLACE) != 0) {
		failure = errno;
		if (failure == EINVAL) /* a file system that does not know how */
			failure = link(address.sun_path, SUPERVISOR_CONTROL) == 0 ? 0 : errno;
		unlink(address.sun_path);
	}
	return failure;
}

static void unpack(struct supervisor_order *order)
{
	char *at = (char *)(order->pointers + order->argc + order->envc + 2);
	at += strlen(at) + 1; /* the directory */
	for (uint32_t i = 0; i < order->argc + order->envc + 2; i++) {
		bool is_end = i == order->argc || i == order->argc + order->envc + 1;
		order->pointers[i] = is_end ? NULL : at;
		at += is_end ? 0 : strlen(at) + 1;
	}
}

/* Both ends of a pipe for one output; the command's end is the result, −1: there is none. */
static int open_output(struct output *output, const char *name, const struct supervisor_order *order)
{
	int pair[2];
	*output = (struct output){
		.name = name, .pipe = -1, .file = -1, .log_size = order->log_size, .log_files = order->log_files};
	if (pipe2(pair, O_CLOEXEC) != 0)
		return -1;
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	output->pipe = pair[0];
	return pair[1];
}

static void set_limits(struct supervisor *supervisor, struct launch *launch)
{
	const struct supervisor_order *order = supervisor->order;
	char name[SUPERVISOR_GROUP_SIZE];
	if (supervisor_group(".", name) == 0 && cgroup_create_named(name, supervisor->cgroup) == 0)
		launch->cgroup_entrance = cgroup_entrance(supervisor->cgroup);
	if (order->cpu > 0)
		cgroup_weigh(supervisor->cgroup, order->cpu);
	if (order->memory > 0 && !cgroup_limit_memory(supervisor->cgroup, order->memory))
		launch->data = order->memory;
	/* RLIMIT_NPROC would count all that the user has, in whatever task. */
	if (order->processes > 0)
		cgroup_limit_processes(supervisor->cgroup, order->processes);
}

static void not_started(struct supervisor *supervisor, const char *text)
{
	supervisor->exit.not_started = true;
	supervisor->exit.started_ms = 0;
	snprintf(supervisor->exit.text, sizeof supervisor->exit.text, "%s", text);
}

static void start_command(struct supervisor *supervisor)
{
	struct supervisor_order *order = supervisor->order;
	struct launch launch = {.argv = order->pointers,
	                        .env = order->pointers + order->argc + 1,
	                        .directory = "work",
	                        .cgroup_entrance = -1};
	char text[sizeof supervisor->exit.text];
	int failure = 0;
	launch.standard[0] = -1; /* /dev/null, as the starter has it */
	launch.standard[1] = open_output(&supervisor->outputs[OUT], "stdout", order);
	launch.standard[2] = open_output(&supervisor->outputs[COMPLAINTS], "stderr", order);
	if (launch.standard[1] < 0 || launch.standard[2] < 0) {
		snprintf(text, sizeof text, "could not be executed: no pipes for its output: %s", strerror(errno));
		not_started(supervisor, text);
		return;
	}
	set_limits(supervisor, &launch);
	supervisor->exit.started_ms = clock_ms(CLOCK_REALTIME);
	supervisor->pid = launch_start(&launch, &failure);
	supervisor->first_pid = supervisor->pid;
	close(launch.standard[1]);
	close(launch.standard[2]);
	if (launch.cgroup_entrance >= 0)
		close(launch.cgroup_entrance);
	if (failure == 0)
		return;
	launch_describe(text, sizeof text, supervisor->pid < 0 ? "a new process" : launch.argv[0], launch.directory,
	                failure);
	not_started(supervisor, text);
	if (supervisor->pid > 0)
		waitpid(supervisor->pid, NULL, 0);
	supervisor->pid = 0;
}

static void run(struct supervisor *supervisor)
{
	while (take_order(supervisor))
		; /* those that came before it was started */
	if (supervisor->stopping || supervisor->killed) {
		not_started(supervisor, "stopped before it had started");
		return;
	}
	start_command(supervisor);
	munmap(supervisor->order, supervisor->order->size);
	supervisor->order = NULL;
	if (supervisor->exit.not_started)
		return;
	tell_running(supervisor);
	watch_over(supervisor);
}

/* The record is what others go by: it must not be missing because the disk refuses for a while. */
static void write_record(struct supervisor *supervisor)
{
	const struct timespec moment = {.tv_sec = 1};
	supervisor->exit.ended_ms = clock_ms(CLOCK_REALTIME);
	supervisor->exit.out_of_memory = cgroup_was_out_of_memory(supervisor->cgroup);
	for (int i = 0; i < OUTPUTS; i++)
		supervisor->exit.dropped += supervisor->outputs[i].dropped;
	for (int i = 0; i < RECORD_TRIES && exit_record_write(AT_FDCWD, supervisor->record, &supervisor->exit) != 0;
	     i++)
		nanosleep(&moment, NULL);
}

/* ---- The process ---- */

/* What it is to be known by in a list of processes: the end of the directory's path. */
static void show_directory(char *room, const char *directory)
{
	size_t size = strlen(directory);
	if (size > SUPERVISOR_ROOM_SIZE)
		directory += size - SUPERVISOR_ROOM_SIZE;
	memset(room, 0, SUPERVISOR_ROOM_SIZE);
	memcpy(room, directory, strlen(directory));
}

/* Whether it is the one supervisor of this directory, with all that it needs; else the daemon is told why not. */
static bool begin(struct supervisor *supervisor, const char *directory)
{
	if (chdir(directory) != 0) {
		tell(supervisor, SUPERVISOR_FAILED "cannot use %.200s: %s", directory, strerror(errno));
		return false;
	}
	int failure = take_control(supervisor);
	if (failure == EEXIST) {
		tell(supervisor, SUPERVISOR_TAKEN);
		return false;
	}
	if (failure != 0) {
		tell(supervisor, SUPERVISOR_FAILED "cannot make %.200s/" SUPERVISOR_CONTROL ": %s", directory,
		     strerror(failure));
		return false;
	}
	supervisor->record = exit_record_prepare(AT_FDCWD);
	if (supervisor->record >= 0 && supervisor->signals >= 0)
		return true;
	tell(supervisor, SUPERVISOR_FAILED "cannot write in %.200s: %s", directory, strerror(errno));
	unlink(SUPERVISOR_CONTROL);
	return false;
}

/* The order of a file in memory, which is closed. NULL: no memory. */
static struct supervisor_order *open_order(int file)
{
	struct stat status;
	struct supervisor_order *order = MAP_FAILED;
	if (fstat(file, &status) == 0)
		order = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	close(file);
	return order != MAP_FAILED ? order : NULL;
}

static void close_files(struct supervisor *supervisor)
{
	close(supervisor->record);
	close(supervisor->listener);
	for (int i = 0; i < OUTPUTS; i++) {
		if (supervisor->outputs[i].pipe >= 0)
			close(supervisor->outputs[i].pipe);
		if (supervisor->outputs[i].file >= 0)
			close(supervisor->outputs[i].file);
	}
}

/* One order, from its beginning to its record. False: this process is of no use for another one. */
static bool carry_out(struct supervisor *supervisor, int order_file, char *room)
{
	struct supervisor_order *order = open_order(order_file);
	if (order == NULL) {
		tell(supervisor, SUPERVISOR_FAILED "no memory");
		return false;
	}
	supervisor->order = order;
	supervisor->stop_signal = order->stop_signal;
	supervisor->stop_grace = order->stop_grace;
	supervisor->exit.code = -1;
	const char *directory = (const char *)(order->pointers + order->argc + order->envc + 2);
	unpack(order);
	show_directory(room, directory);
	if (!begin(supervisor, directory))
		return false;
	run(supervisor);
	write_record(supervisor);
	bool is_free = !supervisor->stopping && !supervisor->haunted && !supervisor->adopted;
	if (!is_free)
		disconnect(supervisor);
	close_files(supervisor);
	is_free = cgroup_remove_patiently(supervisor->cgroup) && is_free;
	if (supervisor->order != NULL)
		munmap(supervisor->order, supervisor->order->size);
	return is_free && supervisor->connection >= 0;
}

/* Whether it is told to end; that children have, it knows. */
static bool has_signal(const struct supervisor *supervisor)
{
	struct signalfd_siginfo info;
	while (read(supervisor->signals, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo != SIGCHLD)
			return true;
	}
	return false;
}

/* The next order. −1: none will come, or this process is told to end. */
static int wait_for_order(const struct supervisor *supervisor, char *room)
{
	struct pollfd ready[] = {{.fd = supervisor->connection, .events = POLLIN},
	                         {.fd = supervisor->signals, .events = POLLIN}};
	char text[16];
	int order = -1;
	memset(room, 0, SUPERVISOR_ROOM_SIZE);
	if (chdir("/") != 0)
		return -1;
	tell(supervisor, SUPERVISOR_FREE);
	while (order < 0) {
		if (poll(ready, sizeof ready / sizeof *ready, -1) < 0)
			continue;
		if (has_signal(supervisor))
			return -1;
		/* A stop may come behind the end of what it was meant for. */
		if (ready[0].revents != 0 && rights_receive(supervisor->connection, text, sizeof text, &order, 1) <= 0)
			return -1;
	}
	return order;
}

static _Noreturn void supervise(int order_file, int connection, char *room)
{
	struct supervisor supervisor = {.connection = connection};
	launch_reset_signals();
	prctl(PR_SET_NAME, "clusterd-super");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	setsid();
	int signals = launch_open_signals();
	do {
		supervisor = (struct supervisor){.connection = connection,
		                                 .signals = signals,
		                                 .listener = -1,
		                                 .kill_at = MSEC_NEVER,
		                                 .outputs = {{.pipe = -1, .file = -1}, {.pipe = -1, .file = -1}}};
		if (!carry_out(&supervisor, order_file, room))
			break;
		order_file = wait_for_order(&supervisor, room);
	} while (order_file >= 0);
	_exit(0);
}

static void refuse(int connection, int failure)
{
	const struct supervisor nobody = {.connection = connection};
	tell(&nobody, SUPERVISOR_FAILED "no new process: %s", strerror(failure));
}

static void start_one(int order, int connection, char *room)
{
	pid_t pid = fork();
	if (pid == 0) {
		close(STARTER_SOCKET);
		supervise(order, connection, room);
	}
	if (pid < 0)
		refuse(connection, errno);
}

static bool is_passing(int failure)
{
	return failure == EINTR || failure == ENFILE || failure == EMFILE || failure == ENOMEM;
}

void supervisor_main(int argc, char **argv)
{
	int order[2]; /* and the connection */
	char byte;
	ssize_t size;
	if (argc != SUPERVISOR_ROOM + 1 || strcmp(argv[0], SUPERVISOR_NAME) != 0 ||
	    strcmp(argv[1], SUPERVISOR_MARK) != 0 || strlen(argv[SUPERVISOR_ROOM]) != SUPERVISOR_ROOM_SIZE)
		return;
	close_range(STARTER_SOCKET + 1, ~0u, 0);
	fcntl(STARTER_SOCKET, F_SETFD, FD_CLOEXEC);
	setsid();
	prctl(PR_SET_NAME, "clusterd-start");
	launch_reset_signals();
	signal(SIGCHLD, SIG_IGN); /* supervisors are on their own: nobody waits for them */
	while ((size = rights_receive(STARTER_SOCKET, &byte, 1, order, 2)) > 0 || (size < 0 && is_passing(errno))) {
		if (order[0] >= 0 && order[1] >= 0)
			start_one(order[0], order[1], argv[SUPERVISOR_ROOM]);
		for (int i = 0; i < 2; i++) {
			if (order[i] >= 0)
				close(order[i]);
		}
	}
	_exit(0);
}
