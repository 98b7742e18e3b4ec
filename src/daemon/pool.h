/* `pool`: children that live on and speak JSON lines; pool.c chooses among them, pool_child.c speaks to one. */
#ifndef CLUSTERD_DAEMON_POOL_H
#define CLUSTERD_DAEMON_POOL_H

#include "base/arena.h"
#include "daemon/call.h"
#include "daemon/piped.h"

struct pool_call {
	struct call call;
	uint64_t id;               /* what the child knows it by */
	struct pool *pool;
	struct pool_child *child;  /* NULL: waits */
	bool overdue;              /* abandoned, and the grace is over */
	UT_hash_handle by_id;
};

struct pool_child {
	struct pool *pool;
	TAILQ_ENTRY(pool_child) link;
	struct piped *piped;
	char *directory;
	struct pool_call *calls;  /* sent to it and not answered, by id */
	uint32_t abandoned_count; /* of these */
	uint32_t overdue_count;   /* of these: it gets no new calls, and is killed when nothing else is left in it */
	bool ending;              /* gets no new calls, is gone soon */
	bool dismissed;           /* ending because the executor wants it so */
	char *breach;             /* not NULL: killed, for it broke the protocol like that */
	msec idle_since;
	msec kill_at;             /* ending, but still there then */
	bool warned;              /* of an answer that nobody waits for */
	struct buffer complaint;  /* a line of stderr that is not complete */
	msec log_window;          /* since when the lines below were logged */
	uint32_t logged_count;
	uint32_t unlogged_count;
};

/* Of one version of a process. It outlives the definition, so it has its own copy of what it needs. */
struct pool {
	struct executor *executor;
	struct arena arena;
	struct slice key;
	char *name;
	struct slice head;        /* of a call, behind its id: ,"process":"Name","input": */
	const char **words;
	struct process_settings settings; /* files and env only */
	TAILQ_HEAD(, pool_child) children;
	uint32_t child_count;     /* the ending ones too */
	struct call_queue waiting;
	uint32_t waiting_count;
	msec backoff;             /* 0: no child has failed since the last good answer */
	msec next_start;
	UT_hash_handle hh;
};

/* ---- pool_child.c ---- */

int pool_child_start(struct pool *pool, struct pool_child **ret_child, struct error *error);
void pool_child_destroy(struct pool_child *child); /* it has no calls any more */
bool pool_child_takes_calls(const struct pool_child *child);
uint32_t pool_child_load(const struct pool_child *child);
void pool_child_send(struct pool_child *child, struct pool_call *call);
void pool_child_cancel(struct pool_child *child, struct pool_call *call);
/* The grace of a cancelled call is over. */
void pool_child_overdue(struct pool_child *child, struct pool_call *call);
/* Closes its stdin and asks it to end; what has not ended within the grace is killed. */
void pool_child_dismiss(struct pool_child *child);
void pool_child_kill(struct pool_child *child);

/* ---- pool.c, for pool_child.c ---- */

void pool_pump(struct pool *pool); /* there may be room in a child */
void pool_child_gone(struct pool_child *child, const struct child_exit *how);

#endif
