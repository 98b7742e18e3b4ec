/* Child processes under a shim (INVARIANTS, 21). The shim is this very program, started again: it is a subreaper, leads a
 * process group, starts the command, passes signals on, and when the command has ended, or the daemon has gone (its control
 * pipe says so, even after SIGKILL), kills whatever is left below it, processes that made sessions of their own included. */
#ifndef CLUSTERD_NET_CHILD_H
#define CLUSTERD_NET_CHILD_H

#include "base/error.h"
#include "net/loop.h"

#include <stdint.h>

/* First in main(): when this process is to be a shim, does not return. */
void child_shim_main(int argc, char **argv);

/* Those of one loop, with the thread that starts them: starting a program holds up who does it until the system has got round to
 * it, which takes a busy machine some tenths of a second. */
struct children;
struct child;

struct child_limits {
	uint64_t address_space; /* bytes; 0: as inherited */
	uint64_t open_files;
	uint64_t processes;
};

struct child_options {
	const char *const *argv;        /* NULL at the end; argv[0] is looked up in the PATH of `env` */
	const char *const *env;         /* "NAME=value", NULL at the end; nothing else is inherited */
	const char *directory;          /* working directory */
	struct child_limits limits;
	bool without_group;             /* no control group, even where one is allowed: the tree of processes must do */
};

/* How it ended. */
struct child_exit {
	int code;            /* exit code; −1: it did not exit by itself */
	int signal;          /* the signal that ended it; 0: none */
	bool not_started;    /* it could not be executed; `text` says why */
	char text[256];
};

typedef void child_exited(void *context, const struct child_exit *how);

/* ERR_IO: the system gives no thread. */
int children_create(struct loop *loop, struct children **ret_children, struct error *error);
/* All that were started have been destroyed. Waits for starts that are under way. NULL is fine. */
void children_destroy(struct children *children);

/* Starts it soon. The three descriptors are the daemon's ends of pipes to stdin, stdout, stderr: the caller's to close.
 * `exited` is called once, when the command has ended and all that it left behind is gone, or it could not be started; never
 * from here. ERR_IO: the system gives no pipes. */
int child_start(struct children *children, const struct child_options *options, child_exited *exited, void *context,
                int ret_descriptors[3], struct child **ret_child, struct error *error);
void child_terminate(struct child *child); /* SIGTERM to its process group */
void child_kill(struct child *child);      /* SIGKILL to all below the shim */
/* Before it has exited: kills all below the shim and forgets it; `exited` is not called. */
void child_destroy(struct child *child);
int child_pid(const struct child *child);  /* of the shim; 0: it has not started yet */

#endif
