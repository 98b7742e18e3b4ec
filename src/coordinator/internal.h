/* The parts of the state machine, for its own files only:
 *   machine.c   transactions, the switch over commands, settings
 *   sessions.c  sessions and their answers
 *   loading.c   instances between catalog and memory
 *   reducer.c   steps of instances: start, results, timers, signals
 *   ending.c    how instances end: completion, failure, cancellation, retry
 *   keys.c      keys and values, transactions over them, what has changed
 *   leases.c    leases, which keys may be bound to
 *   events.c    history rows and effects
 *   jobs.c      jobs: run, dispatched, scaled, stopped; how they end
 *   allocations.c  tasks placed at nodes, and what became of them
 *   topics.c    topics: published, subscribed to
 *   owned.c     what sessions own, and what goes with them
 *   topic_rows.c  both between catalog and memory
 *   node_use.c  nodes, and what is taken of them
 *   job_runs.c  runs of periodic jobs
 *   job_rows.c  jobs between catalog and memory
 *   job_calls.c  jobs that calls of instances begin, and what those return
 *   group.c     what Raft must find again: configuration, terms */
#ifndef CLUSTERD_COORDINATOR_INTERNAL_H
#define CLUSTERD_COORDINATOR_INTERNAL_H

#include "base/buffer.h"
#include "coordinator/heap.h"
#include "coordinator/jobs.h"
#include "coordinator/machine.h"
#include "coordinator/topics.h"

struct session {
	uint64_t id;
	msec opened_ms;
	msec ttl;               /* 0: the setting's */
	char proof[SESSION_PROOF_SIZE + 1]; /* "": it has no secret */
	uint64_t answered_below;
	struct answer *answers; /* in the order they were given */
	size_t answer_count;
	size_t answer_capacity;
	bool dirty;
	bool closed;
	struct session *next_dirty;
	UT_hash_handle hh;
};

/* What is kept of the changes of keys: rows `first` … `last` of kv_change. */
struct key_changes {
	uint64_t first, last; /* seq; 0: there are none */
	uint64_t first_bytes, last_bytes; /* up to and with them */
	uint64_t last_version;
	uint64_t compacted; /* the version of the last one that is gone; 0: none is */
};

struct machine {
	struct catalog *catalog;
	struct registry *registry;
	struct machine_settings settings;
	struct running *instances;
	struct call *calls; /* of all instances in memory */
	struct running *idle_first, *idle_last;
	struct session *sessions;
	struct lease *leases;
	struct key_changes changes;
	struct job *jobs;
	struct job *jobs_by_name;
	struct job *jobs_by_call;
	struct allocation *allocations;
	struct node_use *nodes;
	struct topic *topics;               /* by name */
	struct publication *publications;
	struct subscription *subscriptions;
	struct owner *owners;
	struct heap ended_owners;           /* sessions that have ended and of which something is left, by id */
	struct heap ended_topics;           /* topics that are gone and to which there are subscriptions, by id */

	uint64_t applied_index;
	uint64_t applied_term;
	uint64_t last_stamp;
	uint64_t next_instance;
	uint64_t next_session;
	uint64_t next_unit;
	uint64_t next_job;
	uint64_t next_allocation;
	uint64_t history_seq;
	struct machine_configuration configuration;
	struct machine_term_run runs[MACHINE_TERM_RUNS];
	size_t run_count;
	struct {
		uint64_t applied_term, next_instance, next_session, next_unit, kv_compacted, next_job, next_allocation;
	} saved; /* what meta holds */

	/* Of the transaction that is open. */
	bool open;
	bool within; /* a command was applied that neither machine_pause nor machine_commit has followed */
	LIST_HEAD(, call) dirty_calls; /* changed since the last pause */
	LIST_HEAD(, call) kept_calls;  /* changed before it, and open: written by the commit */
	struct running *dirty_instances;
	struct running *finished; /* out of the table, released when its calls are written; linked by idle_next */
	struct session *dirty_sessions;
	struct job *dirty_jobs;              /* those that are over are released when they are written */
	struct allocation *dirty_allocations; /* these too */
	struct job_news *job_news, *job_news_last; /* of jobs, for the calls that have begun them; empty between commands */
	struct effect *effects;
	size_t effect_count;
	size_t effect_capacity;
	struct buffer scratch;
	struct buffer detail; /* of history_format */

	/* Of the command that is being applied. */
	msec now;
};

/* sessions.c */
int sessions_load(struct machine *machine, struct error *error);
void sessions_release(struct machine *machine);
int sessions_flush(struct machine *machine);
void session_open(struct machine *machine, const struct command *command);
int session_close(struct machine *machine, uint64_t id);
/* NULL: there is none. */
struct session *session_find(const struct machine *machine, uint64_t id);
/* false: the command is not to be executed; its answer, if any, is among the effects. */
bool session_admit(struct machine *machine, const struct command *command, struct session **ret_session);
/* Records (session may be NULL) and emits the answer; takes its text. */
void session_answer(struct machine *machine, struct session *session, const struct command *command,
                    struct answer take_answer);
struct answer answer_error(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* loading.c */
struct running *running_create(struct machine *machine, uint64_t id, const struct definition *workflow,
                               struct text *args);
void running_destroy(struct machine *machine, struct running *running);
struct call *call_create(struct machine *machine, struct running *running, uint32_t ref, enum instance_call_kind kind);
void call_dirty(struct machine *machine, struct call *call);
void running_dirty(struct machine *machine, struct running *running);
/* Keeps the list of idle instances right after calls were opened or closed. */
void running_note_idle(struct machine *machine, struct running *running);
void running_leave_idle(struct machine *machine, struct running *running);
int machine_flush(struct machine *machine); /* dirty calls and instances into the catalog */
int machine_flush_closed(struct machine *machine); /* those that are over; other calls stay dirty */
int running_need_engine(struct machine *machine, struct running *running, struct error *error);
/* The limits that an instance starts with, and as text in its row. */
struct instance_limits machine_limits(const struct machine *machine);
void limits_print(const struct instance_limits *limits, struct buffer *out);
bool limits_parse(struct slice text, struct instance_limits *ret_limits);

/* reducer.c */
int apply_start(struct machine *machine, const struct command *command, struct answer *ret_answer,
                struct error *error);
int apply_results(struct machine *machine, const struct command *command, struct error *error);
int apply_assigned(struct machine *machine, const struct command *command, struct error *error);
int apply_timers(struct machine *machine, struct error *error);
int apply_signal(struct machine *machine, const struct command *command, struct answer *ret_answer,
                 struct error *error);
/* A call of a process is to be run: by who takes it, or by its job. */
int call_ready(struct machine *machine, struct call *call);
/* What has become of calls of an instance that runs; reduces, and ends it when that is due. */
int running_take(struct machine *machine, struct running *running, const struct command_returned *returned, size_t count,
                 struct error *error);
static inline bool call_has_job(const struct call *call)
{
	return call->kind == INSTANCE_CALL_PROCESS && call->process->settings.job != NULL;
}
/* Puts a result in and closes the call; counts for the next step. */
int call_return(struct machine *machine, struct call *call, struct text *take_result, struct slice metadata);
/* Reduces after results were put in, opens what comes of it, ends the instance when it is done. */
int running_reduce(struct machine *machine, struct running *running, struct error *error);

/* ending.c */
/* The dispatcher is not to hand it out any more, should it wait for that. */
void call_withdraw(struct machine *machine, const struct call *call);
int call_failed(struct machine *machine, struct call *call, const struct command_returned *returned);
/* A failing instance ends when nothing of it runs any more. */
int running_end_if_quiet(struct machine *machine, struct running *running);
int running_finish(struct machine *machine, struct running *running, const char *state, const char *event,
                   struct text *take_result, struct text *take_error);
int apply_cancel(struct machine *machine, const struct command *command, struct answer *ret_answer,
                 struct error *error);
int apply_retry(struct machine *machine, const struct command *command, struct answer *ret_answer,
                struct error *error);

/* keys.c */
int keys_load(struct machine *machine, struct error *error);
int apply_put(struct machine *machine, const struct command *command, struct answer *ret_answer);
int apply_delete_key(struct machine *machine, const struct command *command, struct answer *ret_answer);
int apply_transact(struct machine *machine, const struct command *command, struct answer *ret_answer);
/* Those that are not there have version 0. */
int key_stat(struct machine *machine, struct slice key, struct catalog_key *ret_key);
/* Deletes one that is there. `key` may be in the machine's scratch. */
int key_remove(struct machine *machine, struct slice key, const struct catalog_key *before);
/* Forgets what need not be kept any more, a bounded number of changes; at the end of each command that made some. */
int changes_drop(struct machine *machine);

/* leases.c */
int leases_load(struct machine *machine, struct error *error);
void leases_release(struct machine *machine);
int apply_grant_lease(struct machine *machine, const struct command *command, struct answer *ret_answer);
int apply_end_leases(struct machine *machine, const struct command *command, struct answer *ret_answer);
bool lease_holds(const struct machine *machine, uint64_t id);
/* The key goes from one lease to another; 0: none. */
int lease_rebind(struct machine *machine, struct slice key, uint64_t before, uint64_t after);

/* definitions.c */
int definitions_load(struct machine *machine, struct error *error);
int apply_register(struct machine *machine, const struct command *command, struct answer *ret_answer);

/* What definitions.c does for COMMAND_REGISTER: `ret_registration` is released by the caller when 0 comes back and nothing was refused,
 * which the answer says. */
int register_files(struct machine *machine, const struct command *command, struct registration *ret_registration,
                   struct buffer *ret_diagnostics, struct answer *ret_answer);

/* jobs.c */
int apply_run_jobs(struct machine *machine, const struct command *command, struct answer *ret_answer);
int apply_dispatch_job(struct machine *machine, const struct command *command, struct answer *ret_answer);
int apply_stop_job(struct machine *machine, const struct command *command, struct answer *ret_answer);
int apply_scale_job(struct machine *machine, const struct command *command, struct answer *ret_answer);
struct job *job_find(const struct machine *machine, uint64_t id);
/* What a job begins with. */
struct job_origin {
	struct slice key;  /* empty: none */
	struct slice args; /* accepted; empty: none */
	uint64_t parent;
	struct call_key call; /* instance 0: none */
	uint64_t attempt;
	enum stdout_form form;
};
int job_create(struct machine *machine, const struct definition *definition, const struct job_origin *origin,
               struct job **ret_job);
/* Arguments of a job that is run without any: its parameters' defaults. */
int job_default_args(const struct definition *definition, struct buffer *out, struct error *error);
/* It ends; as JOB_FAILED with a reason, else as JOB_STOPPED. */
int job_stop(struct machine *machine, struct job *job, struct text *take_reason);
/* Ends it when nothing of it is left to do. The job may be out of the table afterwards, and is released by the commit. */
int job_end_if_done(struct machine *machine, struct job *job);
void job_changed(struct machine *machine, struct job *job);

/* job_calls.c */
/* A call of a process that a job runs is ready: its job begins, and it runs. */
int job_call_begin(struct machine *machine, struct call *call);
/* The call is over, or its attempt is: its job ends, should it still run. */
int job_call_end(struct machine *machine, struct call *call);
int job_call_expired(struct machine *machine, struct call *call, struct error *error); /* its timer is due */
void job_link(struct machine *machine, struct job *job); /* it is the job of its call's current attempt */
void job_unlink(struct machine *machine, struct job *job);
void job_call_output(struct job *job, const struct command_allocation *change); /* its task has completed */
void job_call_begun(struct machine *machine, const struct job *job);
void job_call_finished(struct machine *machine, const struct job *job);
/* Tells calls what has become of their jobs; at the end of each command. */
int job_calls_settle(struct machine *machine, struct error *error);
void job_news_release(struct machine *machine);

/* job_runs.c */
int apply_job_due(struct machine *machine, const struct command *command);
int job_run_begin(struct machine *machine, struct job *periodic, const struct definition *definition, struct slice args,
                  struct slice key, struct job **ret_run);
void job_run_link(struct job *periodic, struct job *run);
int job_run_ended(struct machine *machine, struct job *run); /* it may have been the last one of a periodic job that ends */
int job_runs_stop(struct machine *machine, struct job *periodic);

/* allocations.c */
int apply_place(struct machine *machine, const struct command *command);
int apply_allocations(struct machine *machine, const struct command *command, struct answer *ret_answer);
void apply_stop_allocations(struct machine *machine, const struct command *command);
struct allocation *allocation_find(const struct machine *machine, uint64_t id);

/* node_use.c */
void node_use_set(struct machine *machine, const struct catalog_node *row);
struct node_use *node_use_find(const struct machine *machine, uint64_t id);
/* Takes what the allocation asks for; or gives it back. */
void node_use_take(struct node_use *use, struct allocation *allocation);
void node_use_give(struct allocation *allocation);
bool node_use_has_room(const struct node_use *use, const struct job_settings *settings, const uint16_t *ports);
int apply_eligible(struct machine *machine, const struct command *command, struct answer *ret_answer);
int apply_drain(struct machine *machine, const struct command *command, struct answer *ret_answer);
void nodes_release(struct machine *machine);

/* job_rows.c */
int jobs_load(struct machine *machine, struct error *error);
int jobs_flush(struct machine *machine);
void jobs_release(struct machine *machine);
struct job *job_add(struct machine *machine, uint64_t id, const struct definition *definition, uint64_t parent,
                    enum job_state state);
void job_dirty(struct machine *machine, struct job *job);
void allocation_dirty(struct machine *machine, struct allocation *allocation);
struct job_task *task_wait(struct job *job, uint32_t task); /* in memory; attempts and times are the caller's to set */
struct allocation *allocation_add(struct machine *machine, struct job *job, const struct definition *definition,
                                  struct node_use *use, uint64_t id);
bool job_has_name(const struct job *job); /* one of its name at a time */
extern const char *const stdout_form_names[];

/* topics.c */
int apply_topics(struct machine *machine, const struct command *command, struct answer *ret_answer);
/* It goes, and with the last one its topic does. */
int publication_remove(struct machine *machine, struct publication *publication);
int subscription_remove(struct machine *machine, struct subscription *subscription);

/* owned.c */
/* Makes one where there is none. */
struct owner *owner_get(struct machine *machine, uint64_t session);
struct owner *owner_find(const struct machine *machine, uint64_t session);
/* One that owns nothing goes. */
void owner_let_go(struct machine *machine, struct owner *owner);
/* Nothing of it counts any more: what it owns goes with the next sweeps. */
void owner_end(struct machine *machine, uint64_t session);
void topic_end(struct machine *machine, struct topic *topic);
/* Removes what has lost its session or its topic, a bounded number, in an order that the rows alone tell. */
int owned_sweep(struct machine *machine);

/* topic_rows.c */
int topics_load(struct machine *machine, struct error *error);
void topics_release(struct machine *machine);
void topic_add_publication(struct topic *topic, struct publication *publication);
void topic_add_subscription(struct topic *topic, struct subscription *subscription);
struct topic *topic_create(uint64_t id, struct slice name, enum topic_kind kind, struct slice schema, uint32_t partitions);
void topic_destroy(struct topic *topic);

/* group.c */
int group_load(struct machine *machine, struct error *error);
int group_note_term(struct machine *machine, uint64_t index, uint64_t term);
int apply_configuration(struct machine *machine, const struct command *command);

/* events.c */
/* `detail`: the inside of a JSON object, or "". */
int history(struct machine *machine, uint64_t instance, const char *kind, uint32_t ref, struct slice detail);
int history_format(struct machine *machine, uint64_t instance, const char *kind, uint32_t ref, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
struct effect *effect_add(struct machine *machine, enum effect_kind kind, uint64_t instance);
void effects_release(struct machine *machine);

extern const char *const call_state_names[];
enum call_state call_state_parse(struct slice name);

#endif
