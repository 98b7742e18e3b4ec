/* What supervised.c (in the daemon) and supervisor.c (the starter and what it forks) agree upon. */
#ifndef CLUSTERD_NET_SUPERVISOR_INTERNAL_H
#define CLUSTERD_NET_SUPERVISOR_INTERNAL_H

#include "net/supervisor.h"

#include <stddef.h>

/* The starter's command line: name, mark, room for what a supervisor is to be known by in a list of processes. */
#define SUPERVISOR_NAME "clusterd-supervisor"
#define SUPERVISOR_MARK "--supervise-1"
#define SUPERVISOR_ROOM 2
#define SUPERVISOR_ROOM_SIZE 160

/* Descriptor of the starter's end of a socket pair that keeps message boundaries. A message is one byte with two descriptors: the order
 * (a file in memory) and the supervisor's end of the connection to the daemon. When it is closed the starter exits. */
#define STARTER_SOCKET 3

/* The order: this, then room for the pointers, then strings with their NULs: the directory, the arguments, the environment. Made and read
 * by the same program. */
struct supervisor_order {
	uint64_t size; /* of all */
	uint32_t argc;
	uint32_t envc;
	int stop_signal;
	uint32_t cpu;
	uint32_t log_files;
	msec stop_grace;
	uint64_t memory;
	uint64_t processes;
	uint64_t log_size;
	char *pointers[]; /* argc + 1 + envc + 1 */
};

/* Between a supervisor and whichever daemon there is, also one of another version: text, a message each.
 *
 * One that has ended well tells the daemon that has had it started, on the connection that it was given, that it is free: its record is
 * written, nothing is left below it. It waits there for another order, SUPERVISOR_NEXT with one descriptor, for as long as the daemon keeps
 * the connection. A fork, and the pages of it that are copied, cost more than what most small commands do. */
#define SUPERVISOR_CONTROL "control"
#define SUPERVISOR_STOP "stop"
#define SUPERVISOR_KILL "kill"
#define SUPERVISOR_RUNNING "running" /* "running PID STARTED_MS", at first */
#define SUPERVISOR_FREE "free"
#define SUPERVISOR_NEXT "next"
#define SUPERVISOR_TAKEN "taken"     /* another one is there already */
#define SUPERVISOR_FAILED "failed "  /* and why; nothing was started */
#define SUPERVISOR_MESSAGE_SIZE 400

/* ---- idle_supervisors.c ---- */

struct idle_supervisors;
struct idle_supervisors *idle_supervisors_create(struct loop *loop);
void idle_supervisors_destroy(struct idle_supervisors *idle);
/* The connection of one that has said that it is free. */
void idle_supervisors_add(struct idle_supervisors *idle, int take_connection);
/* Gives the order to one of them. Its connection, the caller's; −1: there is none. Should it be gone, that is seen by its connection. */
int idle_supervisors_take(struct idle_supervisors *idle, int order);

/* ---- exit_record.c ---- */

#define EXIT_RECORD_SIZE 512
#define EXIT_RECORD_FRESH "exit.new"
#define EXIT_RECORD "exit"

/* Makes exit.new in `place` (a directory's descriptor, or AT_FDCWD), with its room on the disk, so that a full one does not matter later.
 * Its descriptor, or −1. */
int exit_record_prepare(int place);
/* Fills it and gives it its name. 0 or −1. */
int exit_record_write(int place, int file, const struct supervised_exit *how);

/* ---- supervisor_output.c ---- */

struct output {
	const char *name; /* of the files, before the dot */
	int pipe;         /* −1: at its end */
	int file;         /* −1: none is open */
	int failure;      /* errno's value of the last loss */
	uint64_t size;    /* written so far, to all files */
	uint64_t dropped; /* in all */
	uint64_t unsaid;  /* of these, those that no file tells of yet */
	uint64_t log_size;
	uint32_t log_files;
};

/* Takes what is there, up to a buffer full. False: nothing, or the pipe is at its end. Files are of the current directory. */
bool output_take(struct output *output);

/* The name of the control group of what runs in this directory. */
#define SUPERVISOR_GROUP_SIZE 64
int supervisor_group(const char *directory, char ret_name[SUPERVISOR_GROUP_SIZE]);

#endif
