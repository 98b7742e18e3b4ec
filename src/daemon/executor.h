/* Runs calls of atomic processes on this machine: `exec` (a child per call) and `pool` (long-lived children that speak JSON
 * lines), as LANGUAGE ("How a child is run") says. Used by clusterd and by `clusterctl worker run`. On the loop's thread. */
#ifndef CLUSTERD_DAEMON_EXECUTOR_H
#define CLUSTERD_DAEMON_EXECUTOR_H

#include "base/error.h"
#include "base/text.h"
#include "net/loop.h"
#include "workflow/definition.h"

struct executor;

/* Names one attempt of a call. */
struct executor_key {
	uint64_t instance;
	uint32_t ref;
	uint64_t attempt; /* its low 16 bits count the attempts of the call from 1 on: what the child is told */
};
#define EXECUTOR_ATTEMPT_MASK 0xFFFFu

struct executor_result {
	struct executor_key key;
	bool failed;
	bool final;            /* failed: another attempt is of no use ("retry": false) */
	struct slice value;    /* the raw output, not yet checked against the type (stdout as stdout_form says, already turned
	                          into JSON); failed: the message, plain UTF-8 */
	struct slice metadata; /* JSON object, or empty */
};

struct executor_handler {
	void (*finished)(void *context, const struct executor_result *result); /* once for each call started */
	void (*heartbeat)(void *context, struct executor_key key);
	/* Content of an attachment; 0 or ERR_. */
	int (*fetch)(void *context, struct slice hash, bool *ret_executable, struct buffer *ret_content, struct error *error);
};

struct executor_options {
	const char *directory;     /* for working directories and cached attachments; made when absent; emptied at start */
	const char *node_name;     /* CLUSTERD_NODE */
	uint32_t exec_slots;       /* exec children at once */
	uint32_t pool_children;    /* children of one pool at most */
	uint32_t pool_depth;       /* calls that one pool child has at once at most; default 64 */
	uint32_t output_max;       /* bytes of a child's output; default 1 MiB, at most 16 MiB. More: the attempt
	                              fails, the child is killed */
	uint32_t stderr_max;       /* bytes of the end of stderr kept for the message; default 4 KiB */
	msec kill_grace;           /* from SIGTERM to SIGKILL; default 5 s */
	msec pool_idle;            /* then a pool child without calls is ended, unless it is the last; default 60 s */
	msec pool_idle_last;       /* … and then the last one; default 10 min */
};

int executor_create(struct loop *loop, const struct executor_options *options, const struct executor_handler *handler,
                    void *context, struct executor **ret_executor, struct error *error);
/* Kills all children; `finished` is not called any more. */
void executor_destroy(struct executor *executor);
/* true: the process has `exec` or `pool`. */
bool executor_serves(const struct definition *process);
/* How many more calls it would start at once now. */
uint32_t executor_room(const struct executor *executor, const struct definition *process);
/* Starts a call; `args` is held. Errors come by `finished`, never from inside this call. The definition must live on. */
void executor_start(struct executor *executor, struct executor_key key, const struct definition *process,
                    struct text *args);
/* Cancelled or timed out: SIGTERM, after the grace SIGKILL (exec); a pool child gets {"call":…,"cancel":true} and, if it has
 * not answered within the grace, is killed when nothing else runs in it, otherwise the answer is ignored. `finished` is not
 * called for it. Unknown keys are ignored. */
void executor_abandon(struct executor *executor, struct executor_key key);
uint32_t executor_running(const struct executor *executor);

#endif
