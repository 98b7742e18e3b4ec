/* A supervisor for each allocation: a small process (this very program) that starts the command, keeps its output, and writes down how it
 * ended. It outlives the daemon (INVARIANTS: allocations of jobs live on): the daemon finds it again by the allocation's directory. It is
 * a subreaper in a session of its own, and when the command has ended, it kills whatever is left below it; also where the command is ended
 * by a stop, or the supervisor is told to by a signal.
 *
 * Supervisors are forked from the starter, this program started once for each `struct supervisors`: a fork of something that small costs a
 * tenth of starting the program, nothing of it on the loop's thread, and what the program's libraries have set up is shared by them all.
 *
 * The directory of an allocation:
 *   control             Unix socket, mode 0600, there from before the command starts until the directory is removed. Who can connect finds
 *                       the supervisor alive; nothing listens any more: it is gone. So no pid is written down that could be another's one
 *                       day. The name is taken by one supervisor only, so that a command is never started twice.
 *   exit                how it ended, written whole, then renamed to this name: there means ended. It is not synced: it is there after
 *                       the daemon has died, and after the machine has, so has the command ("lost" then)
 *   work/               the command's working directory
 *   stdout.N, stderr.N  output; N is how many bytes were written before those of this file. A file has `log_size` bytes at most, the
 *                       `log_files` newest are kept. Not there: nothing was written
 *
 * Nothing here knows of jobs: that is daemon/allocations.h. */
#ifndef CLUSTERD_NET_SUPERVISOR_H
#define CLUSTERD_NET_SUPERVISOR_H

#include "base/error.h"
#include "base/time.h"
#include "net/loop.h"

#include <stdint.h>

/* First in main(): when this process is to be the starter (and so the supervisors), does not return. */
void supervisor_main(int argc, char **argv);

/* Those of one loop, with their starter and a thread for what blocks. */
struct supervisors;
struct supervised;

/* ERR_IO: the system gives no thread. */
int supervisors_create(struct loop *loop, struct supervisors **ret_supervisors, struct error *error);
/* All handles have been released. NULL is fine. */
void supervisors_destroy(struct supervisors *supervisors);

struct supervised_options {
	const char *directory;   /* of the allocation, absolute; exists, with work/ in it */
	const char *const *argv; /* NULL at the end; argv[0] is looked up in the PATH of `env`, without a "/" */
	/* "NAME=value", NULL at the end; nothing else is inherited. HOME should be work/: what a supervisor that was killed leaves
	 * behind is found by that. */
	const char *const *env;
	int stop_signal;
	msec stop_grace;
	uint32_t cpu; /* thousandths of a processor, as weight; 0: none. cgroup v2 where it is allowed */
	uint64_t
		memory; /* bytes; 0: none. cgroup v2 memory.max where it is allowed, else RLIMIT_DATA of each process */
	uint64_t processes; /* at most so many below it, with their threads: pids.max where that is allowed, else nothing; 0: none */
	uint64_t log_size;  /* bytes of one file, above 0 */
	uint32_t log_files; /* above 0 */
};

struct supervised_exit {
	int code;           /* −1: it did not exit by itself */
	int signal;         /* 0: none */
	bool not_started;   /* `text` says why */
	bool out_of_memory; /* the kernel ended one of its processes for that (memory.events) */
	bool lost; /* the supervisor is gone without having written anything down (the machine was restarted, it was killed) */
	msec started_ms;  /* since 1970; 0: it was not, or not known */
	msec ended_ms;    /* since 1970; 0: not known */
	uint64_t dropped; /* bytes of output that the disk did not take */
	char text[320];   /* for people; may be empty */
};

struct supervised_handler {
	void (*started)(void *context, int pid,
	                msec started_ms); /* of the command; also after supervised_adopt, when it runs */
	void (*ended)(void *context, const struct supervised_exit *how); /* once; the handle may be released in it */
};

/* Starts one; `started` or `ended` comes later, never from here. ERR_IO; ERR_NO_SPACE. */
int supervised_start(struct supervisors *supervisors, const struct supervised_options *options,
                     const struct supervised_handler *handler, void *context, struct supervised **ret_supervised,
                     struct error *error);
/* Takes up one that was started by an earlier life of the daemon; `started` or `ended` comes soon. ERR_NOT_FOUND: nothing was ever started
 * in this directory. */
int supervised_adopt(struct supervisors *supervisors, const char *directory, const struct supervised_handler *handler,
                     void *context, struct supervised **ret_supervised, struct error *error);
/* Its stop signal to all of its group, SIGKILL to everything below it after the grace; by the supervisor itself, so that a stop that was
 * begun goes on without the daemon. Again: nothing. */
void supervised_stop(struct supervised *supervised);
void supervised_kill(struct supervised *supervised); /* SIGKILL at once to all below it */
/* Runs on without a handle. NULL is fine. */
void supervised_release(struct supervised *supervised);

/* Puts the record of an end into a directory in which nothing was ever started, or nobody is left to do it. ERR_IO, ERR_NO_SPACE. */
int supervised_write_exit(const char *directory, const struct supervised_exit *how, struct error *error);
/* ERR_NOT_FOUND: there is none, or none that is whole. */
int supervised_read_exit(const char *directory, struct supervised_exit *ret_how);

#endif
