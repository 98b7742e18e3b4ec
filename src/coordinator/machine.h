/* The replicated state machine: commands in, catalog rows and effects out.
 *
 * Deterministic: every row, reference and event is a function of (state, command) (INVARIANTS, 1). It reads no clock; time is
 * the command's stamp. Between machine_begin and machine_commit any number of commands are applied in one transaction, with
 * pauses between them, in which effects may be acted on (INVARIANTS, 11).
 *
 * What is in memory is a cache of the catalog: instances that run (their engine's state is rebuilt from the recorded steps
 * when it is needed), open calls of atomic processes, sessions, definitions. */
#ifndef CLUSTERD_COORDINATOR_MACHINE_H
#define CLUSTERD_COORDINATOR_MACHINE_H

#include "base/text.h"
#include "catalog/catalog.h"
#include "coordinator/command.h"
#include "workflow/instance.h"
#include "workflow/registry.h"

#include <sys/queue.h>
#include <uthash.h>

struct machine;

/* Rows of `setting`, with their defaults. Changed by command only. */
struct machine_settings {
	msec retention;          /* retention: of finished instances; default 7 d */
	uint32_t each_window;    /* each_window: default 256 */
	uint32_t reductions_max; /* reductions_max: of one step; default 100,000 */
	uint32_t value_max;      /* value_max: bytes; default 1 MiB */
	msec session_ttl;        /* session_ttl: default 60 s */
	uint32_t instances_cached; /* instances_cached: idle ones kept in memory; default 20,000 */
	uint64_t changes_kept;   /* changes_kept: of keys, for those who watch; default 100,000 */
	uint64_t change_bytes_kept; /* change_bytes_kept: their keys and values; default 64 MiB */
	uint32_t topic_entries;  /* topic_entries: publications and subscriptions in all; default 200,000 */
	uint32_t session_entries; /* session_entries: those of one session; default 10,000 */
	uint32_t voters;         /* voters: so many servers have a vote, if there are so many; default 5 */
};

enum call_state { CALL_READY, CALL_RUNNING, CALL_BACKOFF, CALL_DONE, CALL_FAILED, CALL_CANCELLED };

/* An open call. Rows of pi_call are written from it, once a transaction. */
struct call {
	struct running *owner;
	uint32_t ref;
	enum instance_call_kind kind;
	enum call_state state;
	const struct definition *process; /* atomic processes */
	struct slice name;                /* of the process or signal; points into the definition */
	struct text *args;
	struct text *result;              /* DONE */
	struct text *error;               /* FAILED, or the last attempt's */
	uint32_t attempts;
	uint64_t attempt;
	struct text *node;                /* where it runs */
	uint32_t step;
	msec called_ms;
	msec started_ms;
	msec returned_ms;
	msec due_ms;
	bool dirty;
	LIST_ENTRY(call) dirty_link;
	struct call *prev, *next;         /* in the running instance, by reference */
	struct call_key {
		uint64_t instance;
		uint64_t ref;
	} key;
	UT_hash_handle hh;                /* by key, in the machine */
};

struct lease {
	uint64_t id;
	msec ttl;
	bool ending;             /* has ended; keys of it are left, which the next commands delete */
	UT_hash_handle hh;
};

/* An unfinished instance that is in memory. */
struct running {
	uint64_t id;
	const struct definition *workflow;
	struct instance *engine; /* NULL: not needed so far */
	struct instance_limits limits; /* those of its start: under others its steps would not come out the same */
	struct text *args;
	struct text *error;      /* the first failure, once failing */
	uint32_t step;
	uint32_t running_count;  /* calls in state RUNNING of atomic processes */
	msec started_ms;
	bool failing;
	bool finished;           /* about to be released */
	bool pending;            /* results were posted that no step has taken: they came while it was failing */
	bool dirty;
	struct call *calls, *last_call; /* open ones, and closed ones until they are written */
	struct running *next_dirty;
	struct running *idle_prev, *idle_next; /* those without an open call of an atomic process, oldest first */
	bool idle;
	UT_hash_handle hh;
};

struct answer {
	uint64_t sequence;
	int code;            /* 0 or ERR_ */
	uint64_t number;     /* OPEN_SESSION: its id. START: the instance. Keys: the version that came of it; a condition that
	                        did not hold: the version that the key has, 0 for none. GRANT_LEASE: its id. PUBLISH,
	                        SUBSCRIBE: theirs. Others: 0 */
	bool existed;        /* START: the key was known. TRANSACT: the comparisons held */
	struct text *text;   /* an error's text; REGISTER: JSON of what was registered. NULL: none */
};

enum effect_kind {
	EFFECT_ANSWER,         /* session, sequence, answer (borrowed until the session's next command) */
	EFFECT_CALL_READY,     /* a call of an atomic process waits to be dispatched */
	EFFECT_CALL_WITHDRAWN, /* a call that waited to be dispatched is not to be any more */
	EFFECT_CALL_CLOSED,    /* `attempt` of (instance, ref) is over: its result is committed or no longer wanted */
	EFFECT_CALL_ABANDONED, /* a call that runs is to be stopped */
	EFFECT_FINISHED,       /* the instance is finished: state, result, error */
	EFFECT_GROWN,          /* its history has grown up to `seq` */
	EFFECT_RESULTS_APPLIED, /* the results command of the instance is through */
	EFFECT_SESSION_CLOSED,
	EFFECT_TIMERS_CHANGED,
	EFFECT_REGISTERED,     /* definitions have been added */
	EFFECT_KEY_CHANGED,    /* `key` was put or deleted; `seq` is its version */
	EFFECT_LEASE_GRANTED,
	EFFECT_LEASE_ENDING,   /* it has ended, and keys of it are left */
	EFFECT_LEASE_ENDED,    /* it has ended, and so have its keys */
	EFFECT_JOB_CHANGED,    /* `job`: its state, its count, its version, or what of it waits. It may be over */
	EFFECT_ALLOCATION_PLACED, /* `allocation` of `job`, for `node` */
	EFFECT_ALLOCATION_CHANGED, /* it has started, was checked, or is not wanted any more */
	EFFECT_ALLOCATION_ENDED, /* it is over, and machine_allocation does not know it any more */
	EFFECT_PLACEMENT_REFUSED, /* `task` of `job`: it was not placed at `node` */
	EFFECT_TOPIC_CHANGED,  /* the topic `key` has come or gone, or its publications have changed */
	EFFECT_OWNED_LEFT,     /* something has lost its session or its topic, and COMMAND_SWEEP removes it */
	EFFECT_NODE_CHANGED,   /* `node`: what it has, or whether it may be used */
};

struct effect {
	enum effect_kind kind;
	uint64_t instance;
	uint32_t ref;
	uint64_t attempt;
	uint64_t seq;
	uint64_t session;
	uint64_t sequence;
	struct answer answer;  /* its text is held */
	const char *state;     /* FINISHED, JOB_CHANGED, ALLOCATION_ENDED */
	struct text *result;   /* FINISHED; held, or NULL */
	struct text *error;    /* FINISHED, JOB_CHANGED; held, or NULL */
	struct text *key;      /* KEY_CHANGED, TOPIC_CHANGED; held */
	uint64_t lease;        /* LEASE_… */
	uint64_t job;
	uint64_t allocation;
	uint64_t node;
	uint32_t task;
};

/* Builds the state from the catalog. The handle is borrowed. */
int machine_create(struct catalog *catalog, struct machine **ret_machine, struct error *error);
void machine_destroy(struct machine *machine);

uint64_t machine_applied_index(const struct machine *machine);
uint64_t machine_last_stamp(const struct machine *machine);
const struct machine_settings *machine_settings(const struct machine *machine);
struct registry *machine_registry(struct machine *machine);
/* For a node that has no log: what is registered comes from another node, unit by unit. Units are numbered from 1 on, without a gap. */
uint64_t machine_unit_count(const struct machine *machine);
/* Registers the next unit, with the texts of its row (catalog_unit_read); in a transaction of its own. ERR_INVALID: it cannot be. */
int machine_supply_unit(struct machine *machine, struct slice files, struct slice attachments, struct error *error);
int machine_supply_file(struct machine *machine, struct slice hash, bool executable, struct slice content,
                        struct error *error);
/* The registry, which outlives the machine; nothing else than to destroy the machine may follow. */
struct registry *machine_take_registry(struct machine *machine);
uint64_t machine_history_seq(const struct machine *machine); /* the last one given */

/* Who is in the group as of the applied index (INVARIANTS, 35): index 0, when the group began so; count 0: not known. */
struct machine_configuration {
	uint64_t index;
	size_t count;
	struct command_member members[COMMAND_MEMBERS_MAX];
};
const struct machine_configuration *machine_configuration(const struct machine *machine);
/* From meta.raft_configuration into a cleared one; false: it cannot be. */
bool machine_configuration_parse(struct slice text, struct machine_configuration *configuration);

/* Entries from `first` on have this term, up to the next run. */
struct machine_term_run {
	uint64_t first;
	uint64_t term;
};
#define MACHINE_TERM_RUNS 64 /* the newest are kept */
/* The terms of applied entries, oldest first: none below the first run. */
const struct machine_term_run *machine_term_runs(const struct machine *machine, size_t *ret_count);
uint64_t machine_applied_term(const struct machine *machine);

/* A group begins with these members, in a catalog to which nothing was applied; durable like all transactions. */
int machine_found(struct machine *machine, struct slice cluster_id, const struct command_member *members, size_t count,
                  struct error *error);

/* The catalog is of this cluster from now on, whose log or copy is to come. */
int machine_join(struct machine *machine, struct slice cluster_id, struct error *error);

int machine_begin(struct machine *machine, struct error *error);
/* Applies the command of log entry (index, term). An ERR_ ends the node: the catalog failed, or the entry cannot be. A command
 * that is refused is no error: its answer says so. */
int machine_apply(struct machine *machine, uint64_t index, uint64_t term, const struct command *command,
                  struct error *error);
/* Between two commands of a transaction: what is over is written and put out of memory, and effects may be acted on. What is still
 * going on is written by machine_commit, once, however often it has changed; every function here that reads it sees to that. */
int machine_pause(struct machine *machine, struct error *error);
/* Writes what is dirty, commits. */
int machine_commit(struct machine *machine, struct error *error);
bool machine_is_open(const struct machine *machine); /* a transaction is */

/* The effects of what was applied since machine_effects_done, in order, after machine_pause or machine_commit. */
const struct effect *machine_effects(const struct machine *machine, size_t *ret_count);
void machine_effects_done(struct machine *machine);

/* An unfinished instance, loaded from the catalog when it is not in memory; NULL: none, or finished. Its engine is not
 * loaded. */
int machine_load(struct machine *machine, uint64_t id, struct running **ret_running, struct error *error);
/* In memory only. */
struct running *machine_find(const struct machine *machine, uint64_t id);
struct call *machine_call(const struct machine *machine, uint64_t instance, uint32_t ref);
/* Puts idle instances out of memory down to the setting; does nothing while a transaction is open. */
void machine_trim(struct machine *machine);
uint32_t machine_loaded_count(const struct machine *machine);

/* The state of an instance, running or finished, as it was after step `step` (0: after the last one), made again from its
 * recorded results; for a person. ERR_NOT_FOUND. */
int machine_print_instance(struct machine *machine, uint64_t id, uint32_t step, struct buffer *out, struct error *error);

/* A session's answer that is already known. false: none. ERR_EXPIRED: no such session; a sequence below its answered ones.
 * Returns 1 when there is one, 0 when the sequence is new. */
int machine_session_answer(const struct machine *machine, uint64_t session, uint64_t sequence,
                           const struct answer **ret_answer);
/* Of its secret: SESSION_PROOF_SIZE characters, "" when it has none; NULL: there is no such session. */
const char *machine_session_proof(const struct machine *machine, uint64_t session);
msec machine_session_ttl(const struct machine *machine, uint64_t session); /* its own; 0: the setting's */
/* Every session's id, in ascending order. */
size_t machine_sessions(const struct machine *machine, uint64_t *ret_ids, size_t count);
size_t machine_session_count(const struct machine *machine);
/* Answers that are kept for a session; 0: there is no such session. */
size_t machine_answer_count(const struct machine *machine, uint64_t session);

/* Changes of keys from a version on, as a seq of catalog_changes. 1: found; 0: there are none so far; ERR_COMPACTED: they are not
 * kept any more (those up to machine_compacted are gone); or another ERR_. */
int machine_changes_from(const struct machine *machine, uint64_t version, uint64_t *ret_seq);
uint64_t machine_compacted(const struct machine *machine);

/* What has lost its session or its topic is left: COMMAND_SWEEP removes it. */
bool machine_owned_left(const struct machine *machine);

/* NULL: there is none. */
const struct lease *machine_lease(const struct machine *machine, uint64_t id);
/* Every lease's id, in ascending order. */
size_t machine_leases(const struct machine *machine, uint64_t *ret_ids, size_t count);
size_t machine_lease_count(const struct machine *machine);

#endif
