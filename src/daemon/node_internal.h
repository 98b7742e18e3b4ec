/* The parts of a node, for its own files only:
 *   node.c      life, log and apply
 *   effects.c   what follows a transaction
 *   request.h   what clients ask, and its files
 *   calls.c     dispatch, results, workers
 *   presence.c  sessions and connections that are there
 *   waiters.c   who waits for what
 *   status.c    what a node says about itself */
#ifndef CLUSTERD_DAEMON_NODE_INTERNAL_H
#define CLUSTERD_DAEMON_NODE_INTERNAL_H

#include "coordinator/machine.h"
#include "daemon/node.h"
#include "daemon/waiters.h"
#include "election/raft.h"
#include "workflow/sequencer.h"

#include <sys/queue.h>

/* A log entry that is not yet applied. */
struct entry {
	uint64_t index;
	uint64_t term;
	struct buffer body;
	STAILQ_ENTRY(entry) link;
};

/* A connected worker. */
struct worker {
	uint64_t connection;
	struct place *place;
	UT_hash_handle hh;
};

/* A result that a worker has sent and that is not yet committed: who is to be told. */
struct report {
	struct call_id call;
	uint64_t connection;
	UT_hash_handle hh;
};

/* When a session was last heard of; leader's soft state. */
struct session_seen {
	uint64_t session;
	uint64_t connection; /* keeps it alive while it is open; 0: none */
	msec seen;
	UT_hash_handle hh;
};

struct pool_place {
	const struct definition *process;
	struct place *place;
	UT_hash_handle hh;
};

struct node_counts {
	uint64_t requests;
	uint64_t refused;
	uint64_t entries;
	uint64_t batches;
	uint64_t busy;
	uint64_t elections;
	uint64_t results_ignored;
};

struct node {
	const struct node_host *host;
	void *context;
	struct catalog *catalog;
	struct machine *machine;
	struct raft *raft;
	struct sequencer *sequencer;
	struct dispatch *dispatch;
	struct waiters *waiters;

	char *name, *address, *datacenter, *tags;
	uint64_t id;
	uint64_t generation;
	uint32_t pool_calls;

	/* The log's end: entries that are proposed, being synced, or committed and not yet applied. */
	STAILQ_HEAD(, entry) entries;
	uint64_t first_entry;       /* index of the first one; last_index + 1 when there is none */
	size_t entry_count;
	size_t entry_bytes;
	struct entry *unwritten;    /* the first one not given to the disk; NULL: none */
	bool disk_busy;
	bool reading;
	bool reading_last;          /* the stamp of the log's last entry, before the first one of the term is made */
	uint64_t last_stamp;        /* of what was proposed */
	uint64_t committed_seen;
	bool leader;
	bool ready;                 /* an entry of the own term was applied */
	bool urgent;                /* something in the batch waits for its sync */
	bool draining;
	bool failed;
	char *refusal;              /* why nothing new is begun; NULL: it is */
	bool hold;                  /* the host wants no transaction to begin */
	bool again;                 /* committed entries wait: apply goes on in the next turn */

	/* Assignments made and not yet proposed: they go with the next batch, or soon. */
	struct command_assignment *assigned;
	size_t assigned_count;
	size_t assigned_capacity;
	msec assigned_since;

	/* Leader's soft state. */
	uint64_t scan_after;        /* open instances up to this id have been looked at */
	bool scanning;
	msec next_timer;            /* wall clock */
	bool timers_changed;
	bool timers_proposed;
	msec next_housekeeping;
	struct worker *workers;
	struct report *reports;
	struct session_seen *sessions;
	struct pool_place *pools;
	struct place *exec_place;
	uint64_t next_nonce;

	struct node_counts counts;
	struct arena arena;         /* of the command that is being made or decoded */
	struct arena encoding;      /* of the command that is being encoded */
	struct buffer scratch;
};

/* node.c */
/* Appends a command to the batch. The stamp, version and index are given here. */
void node_propose(struct node *node, struct command *command, bool urgent);
bool node_overloaded(const struct node *node);
void node_fail(struct node *node, const struct error *error);

/* effects.c */
void node_effects(struct node *node);

/* answers.c */
void respond_error(struct node *node, uint64_t connection, uint32_t stream, int code, struct slice text);
void respond_answer(struct node *node, const struct waiter *waiter, const struct answer *answer);
void respond_finished(struct node *node, const struct waiter *waiter, uint64_t instance, const char *state,
                      struct slice result, struct slice error);
void respond_grown(struct node *node, const struct waiter *waiter, uint64_t instance, uint64_t seq, bool finished);

/* presence.c */
void session_touch(struct node *node, uint64_t id, uint64_t connection); /* it was heard of */
void sessions_keep(struct node *node, msec now); /* housekeeping: expiry */
void sessions_granted(struct node *node);        /* a new leader grants all their full time */

/* calls.c */
void node_calls_init(struct node *node, uint32_t exec_slots);
void node_calls_finish(struct node *node);
void node_calls_scan(struct node *node);
void node_calls_ready(struct node *node, uint64_t instance, uint32_t ref);
void node_calls_closed(struct node *node, struct call_id call);
void node_calls_abandoned(struct node *node, struct call_id call);
void node_calls_pump(struct node *node);
void node_calls_expire(struct node *node);
void node_calls_propose_assigned(struct node *node);
void node_calls_propose_results(struct node *node);
void worker_gone(struct node *node, uint64_t connection);

/* status.c */
void status_print(struct node *node, struct buffer *out);
int inspect_process(struct node *node, const Clusterd__Wire__InspectProcess *what, struct buffer *out,
                    struct error *error);
int inspect_instance(struct node *node, const Clusterd__Wire__InspectInstance *what, struct buffer *out,
                     struct error *error);

#endif
