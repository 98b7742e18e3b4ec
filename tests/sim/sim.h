/* The parts of the simulator, for its own files only:
 *   node_sim.c     the clock, the node's lives, what its host does
 *   sim_disk.c     the log and the vote on a disk that fails
 *   sim_faults.c   what goes wrong, and when
 *   sim_calls.c    calls on the node's machine
 *   sim_workers.c  connected workers
 *   sim_clients.c  clients: what they want, and send
 *   sim_answers.c  clients: what they are told
 *   sim_audit.c    what the catalog must say
 *   sim_replay.c   the same log applied in other ways */
#ifndef CLUSTERD_SIM_SIM_H
#define CLUSTERD_SIM_SIM_H

#include "base/buffer.h"
#include "base/random.h"
#include "catalog/catalog.h"
#include "coordinator/machine.h"
#include "daemon/node.h"
#include "sim/faulty_fs.h"
#include "sim/faulty_vfs.h"
#include "sim/flows.h"
#include "sim/node_sim.h"
#include "sim/schedule.h"
#include "store/vote.h"
#include "store/wal.h"

#define SIM_CATALOG "catalog.db"
#define SIM_REFERENCE "reference.db"
#define SIM_CLIENTS_COUNT 3
#define SIM_WORKERS_COUNT 3
#define SIM_EXEC_SLOTS 4
#define SIM_POOL_CALLS 3

/* How the node goes down next. */
enum sim_down { UP, DOWN_POWER, DOWN_KILL, DOWN_STOP, DOWN_BROKEN };

/* An entry of the log that was synced, as the disk was given it. */
struct sim_entry {
	uint64_t term;
	struct text *body;
};

struct disk_job;
struct sim_call;
struct sim_client;
struct sim_worker;
struct sim_reference;
struct attempt_seen;
struct known_key;

/* A workflow that a client wants to run. `x` is unlike that of all others. */
struct flow_run {
	enum flow flow;
	uint64_t x;
	uint64_t client;
	char key[24];        /* empty: none */
	uint64_t id;         /* 0: no start was acknowledged */
	bool cancel_wanted;
	bool cancel_sent;
	bool cancelled;      /* acknowledged */
	bool ended;          /* its end was told, and cannot change */
	bool failed;         /* it was told to have failed: it is to be retried */
	bool busy;           /* a request about it is on its way */
	uint32_t signals;    /* acknowledged */
	struct flow_run *next;
};

struct sim {
	struct sim_options options;
	struct random random;
	struct schedule *schedule;
	msec now;
	msec wall_offset;
	long long microseconds;
	long long microseconds_step; /* how slow applying looks: bounds batches */
	uint64_t ticks;
	bool calm;             /* nothing fails any more */
	bool expired;          /* history may be gone */

	/* The node's life. */
	struct node *node;
	struct catalog *catalog;
	uint32_t life;
	enum sim_down down;
	bool swallow;          /* the process is dead, though its code still runs: nothing of it has an effect */
	bool failed;           /* it has said that it cannot go on */
	bool draining;
	msec drain_until;
	uint64_t host_calls;
	uint64_t cut_at;       /* host call in which the power goes or the process dies; 0: none */
	enum sim_down cut_how;
	bool cut_in_catalog;   /* an operation of SQLite is to fail because the power goes */
	bool may_break;        /* errors of the disk have been asked for */
	uint32_t restarts_broken;

	/* The disk. */
	struct fs *fs;
	struct fs *log_fs;
	struct faulty_vfs *vfs;
	struct wal *wal;
	struct vote_state vote;
	struct disk_job *jobs;
	bool disk_works;
	struct sim_entry *entries; /* entry i has index i + 1 */
	uint64_t entry_count;
	uint64_t entry_capacity;
	uint64_t last_term;
	bool releases;         /* the log is let go of after checkpoints */

	/* The world. */
	struct sim_call **calls;
	size_t call_count;
	size_t call_capacity;
	struct attempt_seen *attempts;
	struct sim_worker *workers;
	struct sim_client *clients;
	uint32_t rate;         /* how eager they are to start workflows, in percent */
	struct flow_run *runs;
	struct known_key *keys;
	uint64_t next_connection;
	uint64_t next_x;
	struct sim_reference *reference;
	struct buffer scratch;

	/* For the last line. */
	uint64_t downs[DOWN_BROKEN + 1];
	uint64_t calls_made, retries, finished;
};

/* node_sim.c */
void sim_fail(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
void sim_trace(const struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint64_t sim_below(struct sim *sim, uint64_t bound);
bool sim_chance(struct sim *sim, uint32_t percent);
/* In this life of the node, or (…_any) whatever becomes of it. */
void sim_after(struct sim *sim, msec delay, schedule_action *action, uint64_t first, uint64_t second);
void sim_after_any(struct sim *sim, msec delay, schedule_action *action, uint64_t first, uint64_t second);
bool sim_is_up(const struct sim *sim);
void sim_go_down(struct sim *sim, enum sim_down how); /* now: what the code still does has no effect */
void sim_broken(struct sim *sim, const struct error *error);

/* sim_disk.c */
void disk_init(struct sim *sim);
void disk_finish(struct sim *sim);
int disk_start(struct sim *sim, struct wal_recovery *ret_recovery, struct error *error);
void disk_stop(struct sim *sim);
void disk_give_append(struct sim *sim, const struct wal_record *records, size_t count);
void disk_give_read(struct sim *sim, uint64_t tag, uint64_t from, uint64_t to);
void disk_give_vote(struct sim *sim, uint64_t term, uint64_t voted_for);

/* sim_faults.c */
void faults_init(struct sim *sim);
void faults_withdraw(struct sim *sim);

/* sim_calls.c */
void calls_start(struct sim *sim, struct call_id call, const struct definition *process, struct text *args);
void calls_abandon(struct sim *sim, struct call_id call);
void calls_down(struct sim *sim);
void calls_finish(struct sim *sim);
/* Each attempt is handed out once, whatever happens to the node. */
void calls_note_attempt(struct sim *sim, struct call_id call);

/* sim_workers.c */
void workers_init(struct sim *sim);
void workers_finish(struct sim *sim);
void workers_frame(struct sim *sim, uint64_t connection, int frame_type, const ProtobufCMessage *message,
                   struct slice payload);
void workers_down(struct sim *sim);

/* sim_clients.c */
void clients_init(struct sim *sim);
void clients_finish(struct sim *sim);
void clients_down(struct sim *sim);
bool clients_done(const struct sim *sim);
void clients_settle(struct sim *sim, const char *setting, const char *value); /* a last setting, in calm */
/* sim_answers.c */
void clients_response(struct sim *sim, uint64_t connection, uint32_t stream, const Clusterd__Wire__Response *response,
                      struct slice payload);

/* sim_audit.c */
/* What holds at any moment between transactions. */
void audit_catalog(struct sim *sim);
/* And what holds when all is done. */
void audit_end(struct sim *sim);
void audit_empty(struct sim *sim); /* after retention */

/* sim_replay.c */
void reference_init(struct sim *sim);
void reference_finish(struct sim *sim);
/* Brings the reference to where the catalog is, and compares the two. */
void reference_compare(struct sim *sim, const char *when);
/* The whole log into fresh catalogs, in other batches. */
void replay_compare(struct sim *sim);

#endif
