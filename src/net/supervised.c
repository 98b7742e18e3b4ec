/* The daemon's side of supervisors. A handle has one connection, made with the supervisor or to it; when that breaks, the directory says
 * what to think of it: how it ended, or that the supervisor can be reached again, or that it is lost. */
#include "net/supervisor.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "net/cgroup.h"
#include "net/jobs.h"
#include "net/rights.h"
#include "net/strays.h"
#include "net/supervisor_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_TRIES 3 /* when starter or supervisor have died before the command was started */
#define STARTER_END_MS 1000
#define LOOK_AGAIN_MS 100 /* a supervisor that does not get round to taking connections */

struct supervised {
	struct supervisors *supervisors;
	char *directory;
	struct supervised_handler handler;
	void *context;
	struct loop_timer *soon; /* then its directory is looked at; NULL: never needed */
	struct loop_watch *watch;
	int connection; /* −1: none */
	int theirs;     /* the supervisor's end, until it is sent; else −1 */
	int order;      /* as long as it may have to be sent again; else −1 */
	int starts;
	bool waiting; /* in supervisors->waiting */
	bool running; /* told as started */
	bool stopped;
	bool killed;
	struct lost *lost; /* being cleaned up after */
	TAILQ_ENTRY(supervised) link;
};

TAILQ_HEAD(supervised_queue, supervised);

struct supervisors {
	struct loop *loop;
	struct jobs *jobs;
	struct loop_watch *jobs_watch;
	int starter; /* −1: there is none */
	struct loop_watch *starter_watch;
	pid_t pid;
	struct starting *starting;       /* one is being started */
	struct supervised_queue waiting; /* for the starter to take them */
	struct idle_supervisors *idle;
};

static void look(struct supervised *supervised);
static void pump(struct supervisors *supervisors);

/* ---- The end ---- */

static void disconnect(struct supervised *supervised)
{
	loop_watch_destroy(supervised->watch);
	supervised->watch = NULL;
	if (supervised->connection >= 0)
		close(supervised->connection);
	supervised->connection = -1;
}

static void close_order(struct supervised *supervised)
{
	if (supervised->theirs >= 0)
		close(supervised->theirs);
	if (supervised->order >= 0)
		close(supervised->order);
	supervised->theirs = -1;
	supervised->order = -1;
}

static void leave_queue(struct supervised *supervised)
{
	if (supervised->waiting)
		TAILQ_REMOVE(&supervised->supervisors->waiting, supervised, link);
	supervised->waiting = false;
}

static void tell_end(struct supervised *supervised, const struct supervised_exit *how)
{
	disconnect(supervised);
	close_order(supervised);
	leave_queue(supervised);
	supervised->handler.ended(supervised->context, how);
}

static void tell_not_started(struct supervised *supervised, const char *why)
{
	struct supervised_exit how = {.code = -1, .not_started = true};
	snprintf(how.text, sizeof how.text, "could not be executed: %.280s", why);
	tell_end(supervised, &how);
}

/* What it has left behind is ended first, on the thread. */
struct lost {
	struct job job;
	struct supervised *supervised; /* NULL: released meanwhile */
	char *directory;
};

static void clean_up_lost(struct job *job)
{
	struct lost *lost = (struct lost *)job;
	strays_end(lost->directory);
}

static void lost_done(struct job *job)
{
	struct lost *lost = (struct lost *)job;
	struct supervised *supervised = lost->supervised;
	mem_free(lost->directory);
	mem_free(lost);
	if (supervised == NULL)
		return;
	supervised->lost = NULL;
	tell_end(supervised, &(struct supervised_exit){
				     .code = -1,
				     .lost = true,
				     .text = "its supervisor is gone: it was killed, or the machine was restarted"});
}

static void lose(struct supervised *supervised)
{
	struct lost *lost = mem_zero(sizeof *lost);
	lost->job.run = clean_up_lost;
	lost->job.done = lost_done;
	lost->directory = mem_string(supervised->directory);
	lost->supervised = supervised;
	supervised->lost = lost;
	jobs_give(supervised->supervisors->jobs, &lost->job);
}

/* ---- The connection ---- */

/* Its connection goes on, without the handle: it has ended, and waits for another order. */
static void take_free(struct supervised *supervised)
{
	int connection = supervised->connection;
	loop_watch_destroy(supervised->watch);
	supervised->watch = NULL;
	supervised->connection = -1;
	idle_supervisors_add(supervised->supervisors->idle, connection);
}

static void order(const struct supervised *supervised, const char *what)
{
	if (supervised->connection >= 0)
		send(supervised->connection, what, strlen(what), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void take_running(struct supervised *supervised, const char *text)
{
	int pid;
	long long started_ms;
	close_order(supervised);
	if (supervised->running || sscanf(text, SUPERVISOR_RUNNING " %d %lld", &pid, &started_ms) != 2)
		return;
	supervised->running = true;
	if (supervised->handler.started != NULL)
		supervised->handler.started(supervised->context, pid, started_ms);
}

static void on_connection(void *context, bool readable, bool writable)
{
	struct supervised *supervised = context;
	char text[SUPERVISOR_MESSAGE_SIZE + 1];
	(void)readable, (void)writable;
	ssize_t size = recv(supervised->connection, text, sizeof text - 1, MSG_DONTWAIT);
	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	text[size > 0 ? size : 0] = '\0';
	if (strcmp(text, SUPERVISOR_FREE) == 0) {
		take_free(supervised);
		look(supervised);
	} else if (size <= 0 || strcmp(text, SUPERVISOR_TAKEN) == 0) {
		disconnect(supervised);
		look(supervised);
	} else if (strncmp(text, SUPERVISOR_FAILED, strlen(SUPERVISOR_FAILED)) == 0) {
		tell_not_started(supervised, text + strlen(SUPERVISOR_FAILED));
	} else {
		take_running(supervised, text);
	}
}

static void attach(struct supervised *supervised, int take_connection)
{
	supervised->connection = take_connection;
	supervised->watch = loop_watch_create(supervised->supervisors->loop, take_connection, on_connection,
	                                      supervised);
	loop_watch_set(supervised->watch, true, false);
	if (supervised->stopped)
		order(supervised, SUPERVISOR_STOP);
	if (supervised->killed)
		order(supervised, SUPERVISOR_KILL);
}

/* A descriptor, or −1 with errno: ECONNREFUSED: nobody is left there; ENOENT: nobody was ever there. The path of a socket has 107 bytes,
 * so it goes by the directory's descriptor. */
static int connect_control(const char *directory)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int place = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int connection = place >= 0 ? socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
	snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" SUPERVISOR_CONTROL, place);
	if (connection >= 0 && connect(connection, (struct sockaddr *)&address, sizeof address) != 0) {
		int failure = errno;
		close(connection);
		connection = -1;
		errno = failure;
	}
	int failure = errno;
	if (place >= 0)
		close(place);
	errno = failure;
	return connection;
}

static void on_soon(void *context)
{
	look(context);
}

static void look_later(struct supervised *supervised, msec delay)
{
	struct loop *loop = supervised->supervisors->loop;
	if (supervised->soon == NULL)
		supervised->soon = loop_timer_create(loop, on_soon, supervised);
	loop_timer_set(supervised->soon, loop_now(loop) + delay);
}

static int send_again(struct supervised *supervised);

static void look(struct supervised *supervised)
{
	struct supervised_exit how;
	if (supervised_read_exit(supervised->directory, &how) == 0) {
		tell_end(supervised, &how);
		return;
	}
	int connection = connect_control(supervised->directory);
	int failure = errno;
	if (connection >= 0)
		attach(supervised, connection);
	else if (supervised_read_exit(supervised->directory, &how) == 0) /* it has ended in between */
		tell_end(supervised, &how);
	else if (failure == ECONNREFUSED)
		lose(supervised);
	else if (failure != ENOENT && failure != ENOTDIR)
		look_later(supervised, LOOK_AGAIN_MS);
	else if (supervised->order < 0)
		lose(supervised); /* its directory is gone */
	else if (supervised->starts >= START_TRIES || send_again(supervised) != 0)
		tell_not_started(supervised, "the process that is to start it dies again and again");
}

/* ---- The starter ---- */

struct starting {
	struct job job;
	struct supervisors *supervisors;
	pid_t before; /* to be collected first; 0: none */
	pid_t pid;
	int ours;
	int theirs;
	int failure;
};

/* posix_spawn holds up its caller until the program has been started. */
static void run_starting(struct job *job)
{
	struct starting *starting = (struct starting *)job;
	posix_spawn_file_actions_t actions;
	char name[] = SUPERVISOR_NAME;
	char mark[] = SUPERVISOR_MARK;
	char room[SUPERVISOR_ROOM_SIZE + 1];
	char *argv[] = {name, mark, room, NULL};
	char *env[] = {NULL};
	memset(room, ' ', SUPERVISOR_ROOM_SIZE);
	room[SUPERVISOR_ROOM_SIZE] = '\0';
	if (starting->before > 0)
		waitpid(starting->before, NULL, 0);
	if (starting->failure != 0)
		return;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, starting->theirs, STARTER_SOCKET);
	for (int i = 0; i < 3; i++)
		posix_spawn_file_actions_addopen(&actions, i, "/dev/null", O_RDWR, 0);
	starting->failure = posix_spawn(&starting->pid, "/proc/self/exe", &actions, NULL, argv, env);
	posix_spawn_file_actions_destroy(&actions);
	close(starting->theirs);
}

/* It died: what it had not taken is looked after by the connections that it has closed. */
static void starter_gone(struct supervisors *supervisors)
{
	loop_watch_destroy(supervisors->starter_watch);
	supervisors->starter_watch = NULL;
	close(supervisors->starter);
	supervisors->starter = -1;
	kill(supervisors->pid, SIGKILL);
	pump(supervisors);
}

static void on_starter(void *context, bool readable, bool writable)
{
	struct supervisors *supervisors = context;
	char byte;
	if (readable && recv(supervisors->starter, &byte, 1, MSG_DONTWAIT) <= 0 && errno != EAGAIN && errno != EINTR) {
		starter_gone(supervisors);
		return;
	}
	if (writable)
		pump(supervisors);
}

static void fail_waiting(struct supervisors *supervisors, int failure)
{
	struct supervised_queue failed = TAILQ_HEAD_INITIALIZER(failed);
	struct supervised *supervised;
	char text[120];
	snprintf(text, sizeof text, "no new process: %s", strerror(failure));
	TAILQ_CONCAT(&failed, &supervisors->waiting, link);
	while ((supervised = TAILQ_FIRST(&failed)) != NULL) {
		TAILQ_REMOVE(&failed, supervised, link);
		supervised->waiting = false;
		tell_not_started(supervised, text);
	}
}

static void starting_done(struct job *job)
{
	struct starting *starting = (struct starting *)job;
	struct supervisors *supervisors = starting->supervisors;
	int failure = starting->failure;
	supervisors->starting = NULL;
	if (failure != 0 && starting->ours >= 0)
		close(starting->ours);
	if (failure == 0) {
		supervisors->starter = starting->ours;
		supervisors->pid = starting->pid;
		supervisors->starter_watch = loop_watch_create(supervisors->loop, starting->ours, on_starter,
		                                               supervisors);
	}
	mem_free(starting);
	if (failure != 0)
		fail_waiting(supervisors, failure);
	else
		pump(supervisors);
}

static void start_starter(struct supervisors *supervisors)
{
	int pair[2] = {-1, -1};
	struct starting *starting = mem_zero(sizeof *starting);
	/* A failure is told by the job's end, like any other: never from inside of a call. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		starting->failure = errno;
	starting->job.run = run_starting;
	starting->job.done = starting_done;
	starting->supervisors = supervisors;
	starting->before = supervisors->pid;
	starting->ours = pair[0];
	starting->theirs = -1;
	if (starting->failure == 0) {
		/* Above the number that it becomes. */
		starting->theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, STARTER_SOCKET + 1);
		starting->failure = starting->theirs < 0 ? errno : 0;
		close(pair[1]);
	}
	supervisors->pid = 0;
	supervisors->starting = starting;
	jobs_give(supervisors->jobs, &starting->job);
}

/* 0, or an errno's value. */
static int send_order(struct supervisors *supervisors, const struct supervised *supervised)
{
	const int descriptors[2] = {supervised->order, supervised->theirs};
	return rights_send(supervisors->starter, "s", descriptors, 2);
}

/* Hands over what waits, as far as the starter takes it. */
static void pump(struct supervisors *supervisors)
{
	struct supervised *supervised;
	if (supervisors->starter < 0) {
		if (supervisors->starting == NULL && !TAILQ_EMPTY(&supervisors->waiting))
			start_starter(supervisors);
		return;
	}
	while ((supervised = TAILQ_FIRST(&supervisors->waiting)) != NULL) {
		int failure = send_order(supervisors, supervised);
		if (failure == EINTR)
			continue;
		if (failure == EAGAIN || failure == ETOOMANYREFS)
			break;
		if (failure != 0) {
			starter_gone(supervisors);
			return;
		}
		leave_queue(supervised);
		close(supervised->theirs);
		supervised->theirs = -1;
	}
	loop_watch_set(supervisors->starter_watch, true, supervised != NULL);
}

/* ---- Starting ---- */

static size_t strings_size(const char *const *strings, uint32_t *ret_count)
{
	size_t size = 0;
	uint32_t count = 0;
	for (; strings[count] != NULL; count++)
		size += strlen(strings[count]) + 1;
	*ret_count = count;
	return size;
}

static void append_strings(struct buffer *buffer, const char *const *strings)
{
	for (; *strings != NULL; strings++)
		buffer_append(buffer, *strings, strlen(*strings) + 1);
}

/* A file in memory. −1 with errno. */
static int write_order(const struct supervised_options *options)
{
	struct buffer buffer = BUFFER_EMPTY;
	struct supervisor_order head = {
		.stop_signal = options->stop_signal,
		.stop_grace = options->stop_grace,
		.cpu = options->cpu,
		.memory = options->memory,
		.processes = options->processes,
		.log_size = options->log_size,
		.log_files = options->log_files,
	};
	size_t size = strings_size(options->argv, &head.argc) + strings_size(options->env, &head.envc) +
	              strlen(options->directory) + 1;
	size_t pointers = ((size_t)head.argc + head.envc + 2) * sizeof(char *);
	head.size = sizeof head + pointers + size;
	buffer_append(&buffer, &head, sizeof head);
	memset(buffer_reserve(&buffer, pointers), 0, pointers);
	buffer.size += pointers;
	buffer_append(&buffer, options->directory, strlen(options->directory) + 1);
	append_strings(&buffer, options->argv);
	append_strings(&buffer, options->env);
	assert(buffer.size == head.size);
	int file = memfd_create("order", MFD_CLOEXEC);
	if (file >= 0 && write(file, buffer.data, buffer.size) != (ssize_t)buffer.size) {
		int failure = errno;
		close(file);
		file = -1;
		errno = failure;
	}
	buffer_finish(&buffer);
	return file;
}

/* 0, or −1 with errno. */
static int send_again(struct supervised *supervised)
{
	int pair[2];
	int idle = supervised->starts == 0 ? idle_supervisors_take(supervised->supervisors->idle, supervised->order) : -1;
	if (idle >= 0) {
		supervised->starts++;
		attach(supervised, idle);
		return 0;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
		return -1;
	supervised->starts++;
	supervised->theirs = pair[1];
	attach(supervised, pair[0]);
	supervised->waiting = true;
	TAILQ_INSERT_TAIL(&supervised->supervisors->waiting, supervised, link);
	pump(supervised->supervisors);
	return 0;
}

static struct supervised *create(struct supervisors *supervisors, const char *directory,
                                 const struct supervised_handler *handler, void *context)
{
	struct supervised *supervised = mem_zero(sizeof *supervised);
	supervised->supervisors = supervisors;
	supervised->directory = mem_string(directory);
	supervised->handler = *handler;
	supervised->context = context;
	supervised->connection = -1;
	supervised->theirs = -1;
	supervised->order = -1;
	return supervised;
}

/* ---- The door ---- */

static void jobs_ready(void *context, bool readable, bool writable)
{
	(void)readable, (void)writable;
	jobs_collect(context);
}

int supervisors_create(struct loop *loop, struct supervisors **ret_supervisors, struct error *error)
{
	struct jobs *jobs;
	int code = jobs_create("supervise", &jobs);
	if (code != 0)
		return error_set(error, code, "the thread that looks after supervisors cannot be started");
	struct supervisors *supervisors = mem_zero(sizeof *supervisors);
	supervisors->loop = loop;
	supervisors->jobs = jobs;
	supervisors->jobs_watch = loop_watch_create(loop, jobs_descriptor(jobs), jobs_ready, jobs);
	loop_watch_set(supervisors->jobs_watch, true, false);
	supervisors->starter = -1;
	supervisors->idle = idle_supervisors_create(loop);
	TAILQ_INIT(&supervisors->waiting);
	*ret_supervisors = supervisors;
	return 0;
}

/* What it was given it still forks; then it exits by itself. */
static void end_starter(pid_t pid)
{
	struct pollfd ended = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
	if (ended.fd < 0 || poll(&ended, 1, STARTER_END_MS) != 1)
		kill(pid, SIGKILL);
	if (ended.fd >= 0)
		close(ended.fd);
	waitpid(pid, NULL, 0);
}

void supervisors_destroy(struct supervisors *supervisors)
{
	if (supervisors == NULL)
		return;
	assert(TAILQ_EMPTY(&supervisors->waiting));
	idle_supervisors_destroy(supervisors->idle);
	loop_watch_destroy(supervisors->jobs_watch);
	jobs_destroy(supervisors->jobs);
	loop_watch_destroy(supervisors->starter_watch);
	if (supervisors->starter >= 0)
		close(supervisors->starter);
	if (supervisors->pid > 0)
		end_starter(supervisors->pid);
	mem_free(supervisors);
}

int supervised_start(struct supervisors *supervisors, const struct supervised_options *options,
                     const struct supervised_handler *handler, void *context, struct supervised **ret_supervised,
                     struct error *error)
{
	assert(options->argv[0] != NULL && options->directory[0] == '/' && options->log_size > 0 &&
	       options->log_files > 0);
	assert(handler->ended != NULL);
	struct supervised *supervised = create(supervisors, options->directory, handler, context);
	supervised->order = write_order(options);
	if (supervised->order < 0 || send_again(supervised) != 0) {
		int failure = errno;
		supervised_release(supervised);
		return error_set(error, failure == ENOSPC ? ERR_NO_SPACE : ERR_IO, "could not be executed: %.200s: %s",
		                 options->argv[0], strerror(failure));
	}
	*ret_supervised = supervised;
	return 0;
}

int supervised_adopt(struct supervisors *supervisors, const char *directory, const struct supervised_handler *handler,
                     void *context, struct supervised **ret_supervised, struct error *error)
{
	int place = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool known = place >= 0 && (faccessat(place, EXIT_RECORD, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
	                            faccessat(place, SUPERVISOR_CONTROL, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
	if (place >= 0)
		close(place);
	if (!known)
		return error_set(error, ERR_NOT_FOUND, "nothing was ever started in %s", directory);
	*ret_supervised = create(supervisors, directory, handler, context);
	look_later(*ret_supervised, 0);
	return 0;
}

void supervised_stop(struct supervised *supervised)
{
	if (supervised->stopped)
		return;
	supervised->stopped = true;
	order(supervised, SUPERVISOR_STOP);
}

void supervised_kill(struct supervised *supervised)
{
	if (supervised->killed)
		return;
	supervised->killed = true;
	order(supervised, SUPERVISOR_KILL);
}

void supervised_release(struct supervised *supervised)
{
	if (supervised == NULL)
		return;
	if (supervised->lost != NULL)
		supervised->lost->supervised = NULL;
	disconnect(supervised);
	close_order(supervised);
	leave_queue(supervised);
	loop_timer_destroy(supervised->soon);
	mem_free(supervised->directory);
	mem_free(supervised);
}
