/* The catalog: SQLite, and every SQL statement of the project that changes it. A handle, nothing global. Not
 * thread-safe: the loop's thread. INTERFACE ("The catalog") is the contract of the tables that people read.
 *
 * Functions return 0 or an ERR_ (ERR_IO, ERR_NO_SPACE, ERR_CORRUPT, …) with the text in catalog_error; after an I/O
 * error the node ends: the first one is remembered, and every later call fails with it. Not remembered are ERR_BUSY,
 * ERR_EXISTS (the row's key is taken), ERR_LIMIT and ERR_NOT_FOUND.
 *
 * Slices given are copied by SQLite; slices received are valid until the next call on the same cursor. An absent
 * text is a slice with data NULL and becomes SQL NULL, or '' in a column that cannot be NULL.
 *
 * A callback `each` that returns an int ends the walk with anything but 0, which is then the result. It must not
 * call the function that calls it. */
#ifndef CLUSTERD_CATALOG_CATALOG_H
#define CLUSTERD_CATALOG_CATALOG_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

#define CATALOG_SCHEMA_VERSION 3

struct catalog;

/* Opens the file (made when absent, schema and migrations run), WAL, synchronous=NORMAL, no automatic checkpoint, page
 * size and auto_vacuum=INCREMENTAL set at creation. `vfs`: name of a registered SQLite VFS, NULL for the default one.
 * ERR_VERSION: a newer program made it. ERR_CORRUPT: no database, or one that is not a catalog; it is left as it is. */
int catalog_open(const char *path, const char *vfs, struct catalog **ret_catalog, struct error *error);
void catalog_close(struct catalog *catalog);
const char *catalog_error(const struct catalog *catalog); /* text of the last failure */

/* Writes outside of begin and commit are transactions of their own. ERR_BUSY: somebody else is writing. */
int catalog_begin(struct catalog *catalog);
/* COMMIT. A failure ends the node (nothing after it can be trusted). */
int catalog_commit(struct catalog *catalog);
/* Somebody else wrote to the file since the last call (INVARIANTS, 27). catalog_begin has looked: after it this
 * costs nothing (some nanoseconds); outside of a transaction it is a read of its own (4 µs). */
bool catalog_foreign_write(struct catalog *catalog);
/* After catalog_install: what this program's other connection wrote is taken as it is and is no foreign write. An older schema is
 * brought up to date, as when opening. */
int catalog_accept(struct catalog *catalog);

/* meta: integers and texts. Absent: 0, empty. */
int catalog_meta_number(struct catalog *catalog, const char *key, uint64_t *ret_value);
int catalog_meta_set_number(struct catalog *catalog, const char *key, uint64_t value);
int catalog_meta_text(struct catalog *catalog, const char *key, struct buffer *ret_value);
int catalog_meta_set_text(struct catalog *catalog, const char *key, struct slice value);

/* setting(name, value): what apply reads. */
int catalog_setting_set(struct catalog *catalog, struct slice name, struct slice value);
int catalog_settings(struct catalog *catalog, void (*each)(void *context, struct slice name, struct slice value),
                     void *context);

/* --- definitions -------------------------------------------------------------------------------------------------- */

/* unit(id, files, attachments, registered_ms): what was registered together, as JSON arrays of {path, text} and
 * {path, hash}. */
int catalog_unit_insert(struct catalog *catalog, uint64_t id, struct slice files, struct slice attachments, msec now);
int catalog_units(struct catalog *catalog,
                  int (*each)(void *context, uint64_t id, struct slice files, struct slice attachments), void *context);
/* Both are replaced; ERR_NOT_FOUND. */
int catalog_unit_read(struct catalog *catalog, uint64_t id, struct buffer *ret_files, struct buffer *ret_attachments);
/* file(hash, executable, content): the attachments. Inserting a hash that is there does nothing. */
int catalog_file_insert(struct catalog *catalog, struct slice hash, bool executable, struct slice content);
int catalog_file_read(struct catalog *catalog, struct slice hash, bool *ret_executable, struct buffer *ret_content);

struct catalog_process {
	struct slice name;
	uint32_t version;
	struct slice kind; /* process, workflow */
	struct slice signature;
	struct slice source;
	msec registered_ms;
	uint64_t unit;
};
int catalog_process_insert(struct catalog *catalog, const struct catalog_process *process);

/* --- instances ---------------------------------------------------------------------------------------------------- */

struct catalog_instance {
	uint64_t id;
	struct slice key; /* NULL: none */
	struct slice process;
	uint32_t version;
	struct slice state; /* running, completed, failed, cancelled, stuck */
	struct slice args;
	struct slice result; /* NULL: none */
	struct slice error;  /* NULL: none */
	msec started_ms;
	msec finished_ms; /* 0: not yet (SQL NULL) */
	uint32_t step;    /* reductions made so far */
	bool failing;     /* a call has failed for good, others are awaited */
	struct slice limits; /* what bounds its reduction: the state machine's own text, given when it is inserted */
};
int catalog_instance_insert(struct catalog *catalog, const struct catalog_instance *instance);
/* state, result, error, finished_ms, step, failing. */
int catalog_instance_update(struct catalog *catalog, const struct catalog_instance *instance);
/* ERR_NOT_FOUND. Slices are valid until the next call of this function. */
int catalog_instance_read(struct catalog *catalog, uint64_t id, struct catalog_instance *ret_instance);
/* By key; ERR_NOT_FOUND. */
int catalog_instance_by_key(struct catalog *catalog, struct slice key, uint64_t *ret_id);
/* Ids of unfinished instances above `after`, ascending, up to `count`; returns how many or an ERR_. */
int catalog_instances_open(struct catalog *catalog, uint64_t after, uint64_t *ret_ids, int count);
/* Retention: deletes up to `count` instances that finished before `before`, with their calls, history and signals;
 * oldest first, ties by id. Returns how many or an ERR_. Bounded: at most 64 · count rows of calls and history go at
 * once, so that a large instance takes several calls, and fewer than `count` does not mean that none is left. Gives
 * free pages back, some at a time, also when it deletes nothing. */
int catalog_instances_expire(struct catalog *catalog, msec before, int count);

struct catalog_call {
	uint64_t instance;
	uint32_t ref;
	struct slice kind;    /* process, sleep, signal */
	struct slice process; /* its name; for a signal the signal's name */
	uint32_t version;
	struct slice state; /* ready, running, backoff, done, failed, cancelled */
	struct slice args;
	struct slice result; /* NULL: none */
	struct slice error;  /* NULL: none */
	uint32_t attempts;   /* begun so far */
	uint64_t attempt;    /* number of the current one, 0: none */
	struct slice node;   /* where it runs; NULL */
	uint32_t step;       /* which reduction took its result; 0: none */
	msec called_ms;
	msec started_ms;  /* of the current attempt; 0: NULL */
	msec returned_ms; /* 0: NULL */
	msec due_ms;      /* sleep, backoff: when it goes on; 0: NULL */
};
/* Inserts or replaces the whole row. */
int catalog_call_put(struct catalog *catalog, const struct catalog_call *call);
enum catalog_call_order { CATALOG_CALLS_BY_REF, CATALOG_CALLS_BY_STEP /* step, ref; done ones only */ };
int catalog_calls(struct catalog *catalog, uint64_t instance, enum catalog_call_order order,
                  int (*each)(void *context, const struct catalog_call *call), void *context);

/* 1: some instance finished before `before`; 0: none; or an ERR_. */
int catalog_finished_before(struct catalog *catalog, msec before);

/* History: `detail` is a JSON object. ref 0: of no call (SQL NULL). Values are not repeated: the view pi_event shows
 * those of pi_call and pi_instance beside their events. */
int catalog_history_append(struct catalog *catalog, uint64_t seq, uint64_t instance, msec time, struct slice kind,
                           uint32_t ref, struct slice detail);

/* timer(due_ms, instance, ref): sleeps and backoffs. */
int catalog_timer_insert(struct catalog *catalog, msec due, uint64_t instance, uint32_t ref);
int catalog_timer_delete(struct catalog *catalog, msec due, uint64_t instance, uint32_t ref);
/* The earliest; MSEC_NEVER when there is none. */
int catalog_timer_next(struct catalog *catalog, msec *ret_due);
struct catalog_timer {
	msec due;
	uint64_t instance;
	uint32_t ref;
};
/* Those due at `now`, by (due, instance, ref), up to `count`; returns how many or an ERR_. */
int catalog_timers_due(struct catalog *catalog, msec now, struct catalog_timer *ret_timers, int count);

/* signal(instance, name, key, seq, value): signals that came before their wait, first in first out per (instance, name,
 * key). `key` is JSON text. */
int catalog_signal_push(struct catalog *catalog, uint64_t instance, struct slice name, struct slice key, uint64_t seq,
                        struct slice value);
/* Takes the oldest out; ERR_NOT_FOUND. */
int catalog_signal_pop(struct catalog *catalog, uint64_t instance, struct slice name, struct slice key,
                       struct buffer *ret_value);
int catalog_signals_drop(struct catalog *catalog, uint64_t instance); /* all of an instance */

/* --- sessions ----------------------------------------------------------------------------------------------------- */

struct catalog_session {
	uint64_t id;
	msec opened_ms;
	uint64_t answered_below;
	struct slice answers; /* the state machine's own text */
	msec ttl;             /* 0: NULL */
	struct slice proof;   /* of its secret; NULL: none */
};
int catalog_session_put(struct catalog *catalog, const struct catalog_session *session);
int catalog_session_delete(struct catalog *catalog, uint64_t id);
/* By id. */
int catalog_sessions(struct catalog *catalog, int (*each)(void *context, const struct catalog_session *session), void *context);

/* --- nodes -------------------------------------------------------------------------------------------------------- */

struct catalog_node {
	uint64_t id;
	struct slice name;
	struct slice role;
	struct slice address;
	struct slice datacenter;
	struct slice state;
	uint64_t generation;
	struct slice tags; /* JSON object */
	uint32_t cpu;      /* thousandths of a processor; 0: NULL */
	uint64_t memory;   /* bytes; 0: NULL */
	uint32_t port_low, port_high; /* 0: NULL */
	bool eligible;     /* only read: catalog_node_put leaves it alone, new ones are */
	struct slice drain; /* only read: draining, drained; NULL: neither */
	msec drain_until_ms;
};
int catalog_node_put(struct catalog *catalog, const struct catalog_node *node);
int catalog_node_eligible(struct catalog *catalog, uint64_t id, bool eligible);
int catalog_node_drain(struct catalog *catalog, uint64_t id, struct slice drain, msec until); /* NULL: none */
int catalog_nodes(struct catalog *catalog, void (*each)(void *context, const struct catalog_node *node), void *context);

/* --- keys and leases (keys.c) --------------------------------------------------------------------------------------- */

struct catalog_key {
	struct slice key;
	struct slice value; /* any bytes */
	uint64_t version;   /* log index of its last change */
	uint64_t lease;     /* 0: none */
	uint64_t created;   /* log index of the change that made it */
};
/* 1: found, 0: there is no such key, or an ERR_. In `ret_key` is neither key nor value; the value is appended to `ret_value`. */
int catalog_key_read(struct catalog *catalog, struct slice key, struct catalog_key *ret_key, struct buffer *ret_value);
int catalog_key_stat(struct catalog *catalog, struct slice key, struct catalog_key *ret_key); /* without the value */
int catalog_key_put(struct catalog *catalog, const struct catalog_key *key);
int catalog_key_delete(struct catalog *catalog, struct slice key);
/* Keys that begin with `prefix`, by their bytes, those behind `after` (empty: all). */
int catalog_keys(struct catalog *catalog, struct slice prefix, struct slice after,
                 int (*each)(void *context, const struct catalog_key *key), void *context);

/* kv_change(seq, version, key, lease, created, bytes, value): what happened to keys, of late. */
struct catalog_change {
	uint64_t seq;
	struct catalog_key key; /* value.data NULL: it was deleted */
	uint64_t bytes;
};
int catalog_change_append(struct catalog *catalog, const struct catalog_change *change);
/* From `seq` on, ascending. */
int catalog_changes(struct catalog *catalog, uint64_t seq,
                    int (*each)(void *context, const struct catalog_change *change), void *context);
/* The same without lease, key and value. */
int catalog_change_sizes(struct catalog *catalog, uint64_t seq,
                         int (*each)(void *context, const struct catalog_change *change), void *context);
/* The first and the last one that are kept, without key and value. 1, or 0: there are none. */
int catalog_changes_kept(struct catalog *catalog, struct catalog_change *ret_first, struct catalog_change *ret_last);
/* seq of the first one of `first` … `last` whose version is `version` at least; last + 1: none. */
int catalog_change_find(struct catalog *catalog, uint64_t first, uint64_t last, uint64_t version, uint64_t *ret_seq);
int catalog_changes_delete(struct catalog *catalog, uint64_t before); /* those below that seq */

struct catalog_lease {
	uint64_t id;
	msec ttl;
	struct slice owner;
	msec granted_ms;
	bool ending; /* its keys are being deleted */
};
int catalog_lease_put(struct catalog *catalog, const struct catalog_lease *lease);
int catalog_lease_end(struct catalog *catalog, uint64_t id); /* from now on it is ending */
int catalog_lease_delete(struct catalog *catalog, uint64_t id);
int catalog_leases(struct catalog *catalog, int (*each)(void *context, const struct catalog_lease *lease), void *context);
int catalog_lease_key_insert(struct catalog *catalog, uint64_t lease, struct slice key);
int catalog_lease_key_delete(struct catalog *catalog, uint64_t lease, struct slice key);
/* The first key of a lease. 1: there is one, appended; 0: none; or an ERR_. */
int catalog_lease_key_first(struct catalog *catalog, uint64_t lease, struct buffer *ret_key);

/* --- jobs (jobs.c) ---------------------------------------------------------------------------------------------------- */

struct catalog_job {
	uint64_t id;
	uint64_t parent;  /* the periodic job that it is a run of; 0: NULL */
	uint64_t instance; /* of the call that it was begun by; 0: NULL, and so the next two */
	uint32_t ref;
	uint64_t attempt;
	struct slice output; /* json, text, lines, none; NULL: it returns nothing to a call */
	struct slice key; /* NULL: none */
	struct slice name;
	uint32_t version;
	struct slice type;  /* batch, service, system, periodic */
	struct slice state; /* pending, running, stopping, completed, failed, stopped */
	struct slice args;  /* NULL: none */
	struct slice error; /* NULL: none */
	uint32_t count, running, completed, failed, lost, next_task, priority;
	msec next_ms; /* 0: NULL */
	msec submitted_ms;
	msec started_ms;  /* 0: NULL */
	msec finished_ms; /* 0: NULL */
};
int catalog_job_insert(struct catalog *catalog, const struct catalog_job *job);
/* All but id, key, name, type, args, submitted_ms and the call. */
int catalog_job_update(struct catalog *catalog, const struct catalog_job *job);
int catalog_job_by_key(struct catalog *catalog, struct slice key, uint64_t *ret_id); /* ERR_NOT_FOUND */
/* Of one that there is, whatever its state; both are replaced. 1: found; 0: none; or an ERR_. */
int catalog_job_state(struct catalog *catalog, uint64_t id, struct buffer *ret_state, struct buffer *ret_error);
/* Those that have not finished, by id. */
int catalog_jobs_open(struct catalog *catalog, int (*each)(void *context, const struct catalog_job *job), void *context);

struct catalog_allocation {
	uint64_t id;
	uint64_t job;
	uint32_t task;
	uint32_t version;
	uint64_t node;
	struct slice state; /* placed, running, completed, failed, stopped, lost */
	uint32_t attempt;
	struct slice ports; /* a JSON array; NULL: none */
	bool checked, healthy;
	bool ended;         /* exit_code and exit_signal count */
	int exit_code, exit_signal;
	struct slice error; /* NULL: none */
	msec placed_ms, started_ms, finished_ms;
	bool registered, stopping;
	uint32_t failures;
	msec window_ms;
};
int catalog_allocation_put(struct catalog *catalog, const struct catalog_allocation *allocation);
/* Those that have not finished, by id. */
int catalog_allocations_open(struct catalog *catalog,
                             int (*each)(void *context, const struct catalog_allocation *allocation), void *context);

/* Tasks that wait to be placed again. */
struct catalog_task {
	uint64_t job;
	uint32_t task, attempts, failures;
	msec window_ms, due_ms;
};
int catalog_task_put(struct catalog *catalog, const struct catalog_task *task);
int catalog_task_delete(struct catalog *catalog, uint64_t job, uint32_t task);
int catalog_tasks_delete(struct catalog *catalog, uint64_t job, uint32_t from); /* those from `from` on */
int catalog_tasks(struct catalog *catalog, int (*each)(void *context, const struct catalog_task *task), void *context);
/* Retention: deletes up to `count` allocations that finished before `before`, then up to `count` jobs that did and have none. Returns how
 * many rows or an ERR_. */
int catalog_jobs_expire(struct catalog *catalog, msec before, int count);
/* 1: some job or allocation finished before `before`; 0: none; or an ERR_. */
int catalog_jobs_finished_before(struct catalog *catalog, msec before);

/* --- topics (topics.c) ------------------------------------------------------------------------------------------------ */

struct catalog_topic {
	uint64_t id;
	struct slice name;
	struct slice kind; /* stream, collection, service, keeper */
	struct slice schema;
	uint32_t partitions;
	uint64_t version; /* log index of its last change */
	msec created_ms;
};
int catalog_topic_put(struct catalog *catalog, const struct catalog_topic *topic); /* a new one */
int catalog_topic_version(struct catalog *catalog, uint64_t id, uint64_t version);
int catalog_topic_delete(struct catalog *catalog, uint64_t id);
/* All of these by id. */
int catalog_topics(struct catalog *catalog, int (*each)(void *context, const struct catalog_topic *topic), void *context);

struct catalog_publication {
	uint64_t id;
	uint64_t topic;
	uint32_t part;
	uint64_t session;
	struct slice address;
	uint64_t job;        /* 0: NULL */
	uint64_t allocation; /* 0: NULL */
	msec published_ms;
};
int catalog_publication_put(struct catalog *catalog, const struct catalog_publication *publication); /* a new one */
int catalog_publication_delete(struct catalog *catalog, uint64_t id);
int catalog_publications(struct catalog *catalog,
                         int (*each)(void *context, const struct catalog_publication *publication), void *context);

struct catalog_subscription {
	uint64_t id;
	uint64_t topic;
	bool all;      /* of its parts */
	uint32_t part; /* else */
	uint64_t session;
	msec subscribed_ms;
};
int catalog_subscription_put(struct catalog *catalog, const struct catalog_subscription *subscription); /* a new one */
int catalog_subscription_delete(struct catalog *catalog, uint64_t id);
int catalog_subscriptions(struct catalog *catalog,
                          int (*each)(void *context, const struct catalog_subscription *subscription), void *context);

/* --- as a service (recent.c) ---------------------------------------------------------------------------------------- */

enum catalog_table {
	CATALOG_EXECUTOR,
	CATALOG_JOB,
	CATALOG_ALLOCATION,
	CATALOG_TOPIC,
	CATALOG_PUBLICATION,
	CATALOG_SUBSCRIPTION,
	CATALOG_MEMBER,
	CATALOG_TABLE_COUNT
};
const char *catalog_table_name(enum catalog_table table);
bool catalog_table_find(struct slice name, enum catalog_table *ret_table); /* false: there is none */
/* Rows with ids from `low` to `high`, ascending, each as a JSON object with the names of the columns. */
int catalog_rows(struct catalog *catalog, enum catalog_table table, uint64_t low, uint64_t high,
                 int (*each)(void *context, uint64_t id, struct slice row), void *context);

/* A row was written, or deleted, with this entry of the log or one shortly before it. */
struct recent_change {
	uint64_t index;
	uint64_t id;
	enum catalog_table table;
};
#define CATALOG_RECENT_MAX 65536u /* of them are known */
/* What was written before is not known any more; this entry was applied last. */
void catalog_recent_begin(struct catalog *catalog, uint64_t applied_index);
void catalog_recent_at(struct catalog *catalog, uint64_t index); /* what is written from now on has this index */
/* They are numbered; the last one is the one before this. */
uint64_t catalog_recent_end(const struct catalog *catalog);
/* The number of the first one that has this index at least, or the end. ERR_COMPACTED: some of them are not known any more. */
int catalog_recent_find(const struct catalog *catalog, uint64_t index, uint64_t *ret_number);
/* `number` as catalog_recent_find gave it, up to the end. */
struct recent_change catalog_recent_change(const struct catalog *catalog, uint64_t number);

/* --- the whole file ----------------------------------------------------------------------------------------------- */

/* On a connection of its own, from any one thread: moves WAL frames into the file and syncs it. `ret_applied_index`:
 * the applied index that is in the file for sure when it returns 0; only meaningful when `ret_complete`. Never
 * blocks a writer, waits for no reader. Not complete: a reader holds frames back, or another checkpoint is under
 * way.
 *
 * The WAL begins anew with the first transaction that begins after a checkpoint moved all that was there. Beside a
 * writer that never pauses there is no such moment: when catalog_wal_size has passed a limit, begin no transaction
 * while a checkpoint runs (after one beside the writer, so that little is left to move). */
int catalog_checkpoint(const char *path, uint64_t *ret_applied_index, bool *ret_complete, struct error *error);
uint64_t catalog_wal_size(const struct catalog *catalog); /* bytes in use; the file itself may be longer */
/* XXH3-64 over all rows of all tables in a fixed order: equal on nodes that applied the same log. */
int catalog_hash(struct catalog *catalog, uint64_t *ret_hash);

#endif
