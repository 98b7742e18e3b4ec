/* What runs on this node: its executor, its connected workers, the calls they have, and the results that the leader has not taken so
 * far. Every node has one, the leader's own too. For the node's own files.
 *
 *   survey            → the answer: places and calls, then the results that were not taken
 *   order             → the call begins, or waits for its definition, or is refused
 *   result            → kept, and told again to each new leader, until it is taken
 *   nobody surveys    → nothing is told; calls go on */
#ifndef CLUSTERD_DAEMON_RUNNER_H
#define CLUSTERD_DAEMON_RUNNER_H

#include "daemon/call_reports.h"
#include "daemon/node.h"

#include <sys/queue.h>
#include <uthash.h>

/* A worker that has told its id is waited for so long after its connection was lost; then its calls have failed. */
#define WORKER_BACK_MS 3000
/* A definition that was not applied here so far is waited for so long; then the call is refused. */
#define DEFINITION_WAIT_MS 5000
#define SUPPLY_WAIT_MS 60000 /* the same where it has to be fetched, with its files */
#define RESULTS_KEPT_MAX (64u << 20) /* bytes of results that are not taken: workers with more have to wait */
#define RESULTS_TOLD_MAX (16u << 20) /* bytes of results on their way to another node: the next ones follow when they are taken */
#define RUNS_MAX 200000u /* calls of one node; more are refused */

enum run_state {
	RUN_WAITS, /* for its definition */
	RUN_RUNS,
	RUN_DONE,  /* its result is there, and not taken so far */
};

/* An attempt of a call that this node has. */
struct run {
	struct call_id call;   /* the key */
	enum run_state state;
	bool failed;           /* DONE */
	bool final;
	bool told;             /* DONE: to the leader of now */
	bool news;             /* it came with a worker, and the leader does not know */
	bool held;             /* while an offer is looked through: the worker has it */
	struct text *value;
	struct text *metadata;
	struct worker *worker; /* NULL: the executor, or a worker that is gone */
	TAILQ_ENTRY(run) link; /* in its worker, or among those that wait */
	TAILQ_ENTRY(run) untold_link; /* DONE, not told */
	/* WAITS */
	char *process;
	uint32_t version;
	struct text *args;
	msec until;
	UT_hash_handle hh;
};

TAILQ_HEAD(run_list, run);

/* A connected worker, or one that is waited for. */
struct worker {
	uint64_t place;        /* its number; the key */
	uint64_t connection;   /* 0: none */
	uint64_t id;           /* that it drew; 0: it does not come back */
	msec away_until;       /* without a connection */
	struct offer *offers;
	size_t offer_count;
	uint32_t credit;
	uint32_t running;      /* calls that it has, and that are not done */
	bool changed;          /* the leader does not know */
	struct run_list runs;
	UT_hash_handle hh;     /* by place */
	UT_hash_handle by_connection;
};

struct runner {
	struct run *runs;
	struct run_list waiting;
	struct worker *workers;
	struct worker *connected;
	uint64_t next_place;
	uint32_t away_count;
	size_t kept_bytes;     /* of results that are not taken */
	size_t told_bytes;     /* of those that the leader was told */
	struct run_list untold; /* results */
	uint32_t exec_slots;
	uint32_t pool_calls;
	bool draining;

	/* Who wants to know. */
	uint64_t leader;       /* 0: nobody has asked so far */
	uint64_t term;
	uint64_t survey;
	bool answer_due;
	bool changed;          /* something is to be told */
	bool lost;             /* something that was told may be lost */
	bool definitions;      /* there are new ones */
	uint64_t *gone;        /* places */
	size_t gone_count;
	size_t gone_capacity;
};

/* runner.c */
void runner_init(struct node *node, uint32_t exec_slots, uint32_t pool_calls);
void runner_finish(struct node *node);
/* From the leader: of this node, or of another one by its frames. */
void runner_survey(struct node *node, uint64_t leader, uint64_t term, uint64_t number);
void runner_order(struct node *node, const struct call_order *order);
void runner_abandon(struct node *node, struct call_id call);
/* The attempt is over for all: what runs of it is stopped, a result is forgotten. */
void runner_close(struct node *node, struct call_id call);
/* A connection to a member is new: what was sent before may be lost. */
void runner_peer_up(struct node *node, uint64_t member);
void runner_definitions(struct node *node);
/* A file that a call waits for; false: none does. */
bool runner_misses(struct node *node, struct slice *ret_hash);
void runner_drain(struct node *node);
void runner_turn(struct node *node);
msec runner_deadline(const struct node *node);
bool runner_quiet(const struct node *node);
uint32_t runner_count(const struct node *node); /* calls */

/* For workers.c. */
struct run *run_find(const struct runner *runner, struct call_id call);
struct run *run_create(struct runner *runner, struct call_id call, struct worker *worker);
void run_forget(struct runner *runner, struct run *run);
/* Its result is there: it is told, after which `run` may be gone. */
void run_done(struct node *node, struct run *run, bool failed, bool final, struct slice value, struct slice metadata);
void runner_heartbeat(struct node *node, struct call_id call);

/* workers.c */
void worker_gone(struct node *node, uint64_t connection);
void workers_release(struct runner *runner);
/* Those that did not come back in time are gone for good. */
void workers_expire(struct node *node, msec now);
struct worker *worker_at(const struct runner *runner, uint64_t place);
/* Whether it is there, offers the process, and has credit left. */
bool worker_takes(const struct worker *worker, struct slice process);
void worker_send_order(struct node *node, const struct worker *worker, const struct call_order *order);
void worker_send_abandon(struct node *node, const struct worker *worker, struct call_id call);
void worker_send_taken(struct node *node, const struct worker *worker, struct call_id call);

#endif
