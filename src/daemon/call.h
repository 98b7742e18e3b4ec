/* What the files of the executor share: calls on their way, and the executor itself. */
#ifndef CLUSTERD_DAEMON_CALL_H
#define CLUSTERD_DAEMON_CALL_H

#include "daemon/attachments.h"
#include "daemon/executor.h"
#include "daemon/workdir.h"
#include "net/child.h"

#include <sys/queue.h>
#include <uthash.h>

enum call_kind { CALL_EXEC, CALL_POOL };

/* One attempt, from executor_start until `finished` or, abandoned, until its child is done with it. The head of
 * `struct exec_call` and `struct pool_call`. */
struct call {
	struct executor *executor;
	struct executor_key key; /* its padding is zero: it is hashed as bytes */
	enum call_kind kind;
	struct text *args;
	bool abandoned;          /* not in by_key any more; `finished` is not called */
	bool dying;              /* in the executor's `dying` */
	char *failure;           /* not NULL: in the executor's `failed`, to be told of by the loop */
	msec kill_at;            /* abandoned: the end of the grace */
	TAILQ_ENTRY(call) waiting; /* in the exec queue, a pool's queue, or `failed` */
	TAILQ_ENTRY(call) grace;   /* in `dying` */
	UT_hash_handle hh;         /* by key */
};

TAILQ_HEAD(call_queue, call);

struct pool;

struct executor {
	struct loop *loop;
	struct children *children;
	struct executor_options options; /* defaults filled in; not its strings */
	char *node_name;
	struct executor_handler handler;
	void *context;
	struct workdirs *workdirs;
	struct attachments *attachments;
	struct call *by_key;        /* those whose end is to be told */
	struct call_queue failed;   /* ended before they began */
	struct call_queue dying;    /* abandoned and running, in the order of kill_at */
	struct loop_timer *turn;    /* soon: failures to tell, starts that had to wait */
	struct loop_timer *wake;    /* the earliest deadline */
	msec wake_at;
	/* exec */
	struct call_queue exec_waiting;
	struct call_queue exec_running;
	uint32_t exec_waiting_count;
	uint32_t exec_running_count; /* the abandoned ones included: they hold their slots until they are gone */
	uint32_t exec_started;       /* in this turn of the loop */
	/* pool */
	struct pool *pools;
	uint64_t next_id;            /* of calls, for the children */
	struct buffer scratch;       /* a pool's key, for a look-up */
};

/* ---- executor.c ---- */

void call_init(struct call *call, struct executor *executor, enum call_kind kind, struct executor_key key,
               struct text *args);
/* Takes the call out of all lists but those of its kind, and lets its arguments go. The memory is the caller's to
 * free. */
void call_forget(struct call *call);
/* Tell of the end, unless abandoned, after call_forget. */
void call_succeed(struct call *call, struct slice value, struct slice metadata);
void call_fail(struct call *call, bool final, struct slice message);
/* The same, from the loop: for what fails inside executor_start. The call is freed afterwards. */
void call_fail_soon(struct call *call, const char *message);
void call_start_grace(struct call *call); /* …_grace_over follows, unless it is forgotten before */
void executor_wake_by(struct executor *executor, msec deadline);
void executor_turn(struct executor *executor); /* wants executor's `turn` to run soon */

/* ---- exec.c ---- */

void exec_submit(struct executor *executor, struct executor_key key, const struct definition *process,
                 struct text *args);
void exec_pump(struct executor *executor); /* starts what waits */
void exec_abandon(struct call *call);
void exec_grace_over(struct call *call);
void exec_destroy_all(struct executor *executor);

/* ---- pool.c ---- */

void pool_submit(struct executor *executor, struct executor_key key, const struct definition *process,
                 struct text *args);
uint32_t pool_room(const struct executor *executor, const struct definition *process);
void pool_abandon(struct call *call);
void pool_grace_over(struct call *call);
/* Starts children whose time has come, ends idle ones; the next deadline of all pools. */
msec pool_tick(struct executor *executor, msec now);
void pool_destroy_all(struct executor *executor);

#endif
