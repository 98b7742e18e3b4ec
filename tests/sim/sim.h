/* The parts of the simulator, for its own files only:
 *   simulation.c   a run from its beginning to its end, the clock
 *   sim_tell.c     traces, and what is said of a failure
 *   sim_server.c   a server: its lives, what its host does
 *   sim_disk.c     its log and its vote on a disk that fails
 *   sim_snapshot.c copies of its catalog
 *   sim_log.c      logs as the simulation knows them
 *   sim_net.c      connections between servers
 *   sim_checks.c   what must hold of all servers together
 *   sim_bugs.c, sim_job_bugs.c  mistakes planted into the program
 *   sim_faults.c   what goes wrong, and when
 *   sim_calls.c    calls on the servers' machines
 *   sim_workers.c  connected workers
 *   sim_clients.c  clients: what they want, and send
 *   sim_answers.c  clients: what they are told
 *   sim_keys.c     clients of keys and locks
 *   sim_machines.c  machines that come, go, and are lost
 *   sim_jobs.h      jobs: sim_tasks.c, sim_groups.c, sim_jobs.c, sim_nodes.c, sim_job_checks.c
 *   sim_topics.h   topics: sim_topics.c, sim_topic_checks.c
 *   sim_audit.c    what a catalog must say
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
#include "sim/schedule.h"
#include "sim/simulation.h"
#include "store/vote.h"
#include "store/wal.h"

#define SIM_CATALOG "catalog.db"
#define SIM_CLIENTS_MAX 6
#define SIM_WORKERS_COUNT 3
#define SIM_EXEC_SLOTS 4
#define SIM_POOL_CALLS 3
#define SIM_SERVERS_MAX 12
#define SIM_CLUSTER_ID "00000000000000000000000000000007"

/* How a server goes down next. */
enum sim_down { UP, DOWN_POWER, DOWN_KILL, DOWN_STOP, DOWN_BROKEN };

/* What is counted, and told at the end. */
enum sim_count {
	COUNT_POWER, COUNT_KILL, COUNT_STOP, COUNT_BROKEN, COUNT_IO, COUNT_SPACE, COUNT_SLOW, COUNT_PAUSE, COUNT_CLOCK,
	COUNT_DRIFT, COUNT_TORN, COUNT_UNSYNCED, COUNT_FLIPPED, COUNT_JOINED, COUNT_LEFT, COUNT_LOST_MACHINES, COUNT_HANDED_OVER,
	COUNT_COPIES, COUNT_INSTALLED, COUNT_PARTITION, COUNT_LOST, COUNT_LATE, COUNT_DOUBLED, COUNT_REORDERED, COUNT_BREAK,
	COUNT_LEADERS, COUNT_MESSAGES, COUNT_DATAGRAMS, COUNT_WORKERS, COUNT_CLIENTS, COUNT_COUNT
};
extern const char *const sim_count_names[COUNT_COUNT];

/* A log: entries base + 1 … base + count. */
struct sim_entry {
	uint64_t term;
	struct text *body; /* shared by all logs that have it */
};

struct sim_log {
	uint64_t base;
	struct sim_entry *list;
	size_t count;
	size_t capacity;
};

struct disk_job;
struct sim_call;
struct sim_client;
struct sim_worker;
struct sim_reference;
struct sim_keys;
struct sim_topics;
struct sim_known;
struct sim_net;
struct sim_ring;
struct attempt_seen;
struct job_run;
struct known_key;
struct sim_ran;
struct sim_task;

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

/* A machine with a disk, and the process on it. */
struct server {
	struct sim *sim;
	uint32_t number;
	uint64_t id;
	char name[16];
	char address[24];
	char vfs_name[16];

	/* The process. */
	struct node *node;
	struct catalog *catalog;
	uint32_t life;
	enum sim_down down;
	bool swallow;          /* the process is dead, though its code still runs: nothing of it has an effect */
	bool gone;             /* it will not start again */
	bool damaged;          /* a bit of its log or vote is not what was written, which may not have been noticed */
	bool failed;           /* it has said that it cannot go on */
	bool draining;
	bool touched;          /* something was given to the node: it takes a turn */
	msec drain_until;
	msec due;              /* of the node's deadline, in the world's time */
	msec paused_until;
	uint64_t host_calls;
	uint64_t cut_at;       /* host call in which the power goes or the process dies; 0: none */
	enum sim_down cut_how;
	bool cut_in_catalog;   /* an operation of SQLite is to fail because the power goes */
	bool may_break;        /* errors of the disk have been asked for */
	uint32_t restarts_broken;

	/* Its clocks. */
	msec clock_offset;     /* monotonic: another one at each start */
	int64_t drift;         /* per million */
	msec wall_offset;
	long long microseconds;
	long long microseconds_step; /* how slow applying looks: bounds batches */

	/* The disk. */
	struct fs *fs;
	struct fs *log_fs;
	struct faulty_vfs *vfs;
	struct wal *wal;
	struct vote_state vote;  /* as it was last given to the disk */
	struct vote_state vote_saved; /* as it was last said to be on it */
	struct disk_job *jobs;
	bool disk_works;
	msec slow_until;
	uint64_t wal_at_checkpoint; /* size of the catalog's WAL */
	struct sim_log log;      /* as the node has given it to the disk */
	struct sim_log durable;  /* what was synced, as it was written */
	uint64_t cutting;        /* entries after this one are being cut off, and may be there or not; UINT64_MAX: no cut */
	bool releases;           /* the log is let go of after checkpoints */
	uint64_t installing;     /* a copy as of this entry is becoming the catalog, and may have; 0: none */

	/* Copies of the catalog. */
	uint64_t making;         /* number of the one that is made or kept; 0: none */
	uint64_t next_copy;
	struct buffer incoming;  /* what has come of the one that is taken */

	/* What runs on it. */
	struct sim_call **calls;
	size_t call_count;
	size_t call_capacity;

	struct sim_task *tasks;  /* of jobs, on the machine */
	bool reports_due;
	bool ineligible;         /* it was asked to have no tasks, or may have been */
	bool emptied;            /* likewise, to be drained */

	/* What the checks know of it. */
	uint64_t checked;      /* entries applied, up to here they are what all others apply */
	uint64_t led_term;
	uint64_t configuration; /* index of the newest in this life */
};

struct sim {
	struct sim_options options;
	struct random random;
	struct schedule *schedule;
	msec now;
	uint64_t ticks;
	bool calm;             /* nothing fails any more */
	bool expired;          /* history may be gone */
	bool closing;          /* services and system jobs are to end */
	bool sessions_short;   /* sessions may expire whenever a client does not reach a leader */

	struct server *servers[SIM_SERVERS_MAX];
	uint32_t server_count;
	uint32_t founder_count;
	uint64_t founders[RAFT_VOTERS_MAX];
	bool forms;            /* the founders find one another by themselves */
	char cluster_id[NODE_CLUSTER_ID_SIZE]; /* ""; it has not begun yet */
	struct sim_net *net;
	msec trouble_pause;    /* between two faults, at most */

	/* What the checks know. */
	struct sim_log committed;
	uint64_t *committed_in;  /* by index − 1: a term in which it was committed, none of it earlier */
	size_t committed_in_capacity;
	struct sim_known *known; /* entries by index and term */
	uint64_t *leaders;     /* by term */
	size_t leader_capacity;
	struct sim_reference *reference;

	/* The world. */
	struct attempt_seen *attempts;
	struct sim_worker *workers;
	struct sim_client *clients;
	uint32_t client_count;
	uint32_t rate;         /* how eager they are to start workflows, in percent */
	struct flow_run *runs;
	struct known_key *keys;
	struct job_run *jobs;
	struct sim_ran *ran;   /* allocations, as they have really gone */
	bool nodes_busy;       /* somebody asks for something of a node */
	struct sim_keys *keyed;
	struct sim_topics *topics;
	uint64_t next_connection;
	uint64_t next_x;
	struct buffer scratch;

	/* For the last line. */
	uint64_t counts[COUNT_COUNT];
	uint64_t calls_made, operations;
	struct sim_ring *ring;
};

/* sim_tell.c */
void tell_begin(struct sim *sim);
void tell_finish(struct sim *sim);
void sim_fail(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
void server_fail(struct server *server, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
void sim_trace_(struct sim *sim, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* What happens, for a person; costs nothing when nobody wants to know. */
#define sim_traces(sim) ((sim)->ring != NULL)
#define sim_trace(sim, ...) (sim_traces(sim) ? sim_trace_((sim), "", __VA_ARGS__) : (void)0)
#define server_trace(server, ...) (sim_traces((server)->sim) ? sim_trace_((server)->sim, (server)->name, __VA_ARGS__) : (void)0)

/* simulation.c */
static inline uint64_t sim_below(struct sim *sim, uint64_t bound)
{
	return random_below(&sim->random, bound);
}

static inline bool sim_chance(struct sim *sim, uint32_t percent)
{
	return random_below(&sim->random, 100) < percent;
}

void sim_after(struct sim *sim, msec delay, schedule_action *action, uint64_t first, uint64_t second);
/* By the process of a server, in this life of it, or (…_any) whatever becomes of it. Not while it is paused. */
void server_after(struct server *server, msec delay, schedule_action *action, uint64_t first, uint64_t second);
void server_after_any(struct server *server, msec delay, schedule_action *action, uint64_t first, uint64_t second);
/* Its process does not listen now, and finds out later that nobody waits at the connection any more. */
void server_closes_later(struct server *server, uint64_t connection);
static inline bool sim_faulty(const struct sim *sim, enum sim_fault fault)
{
	return !sim->calm && (sim->options.faults & (unsigned int)fault) != 0;
}

/* sim_server.c */
struct server *server_create(struct sim *sim, uint32_t number);
void server_destroy(struct server *server);
void server_start(struct server *server);
bool server_is_up(const struct server *server);    /* there is a process */
bool server_answers(const struct server *server);  /* and it is not paused */
void server_go_down(struct server *server, enum sim_down how); /* now: what the code still does has no effect */
void server_broken(struct server *server, const struct error *error);
void server_turn(struct server *server);
void server_drain(struct server *server, msec time);
msec server_now(const struct server *server);
msec server_wall(const struct server *server);

/* sim_log.c */
uint64_t log_last(const struct sim_log *log);
const struct sim_entry *log_at(const struct sim_log *log, uint64_t index); /* NULL: it has none */
void log_append(struct sim_log *log, uint64_t term, struct text *body);    /* holds the body */
void log_cut(struct sim_log *log, uint64_t last);
void log_reset(struct sim_log *log, uint64_t base);
void log_copy(struct sim_log *to, const struct sim_log *from);
void log_finish(struct sim_log *log);
/* What all entries of this index and term say. */
struct text *known_body(struct sim *sim, const struct wal_record *record);
void known_finish(struct sim *sim);

/* sim_disk.c */
void disk_init(struct server *server);
void disk_finish(struct server *server);
int disk_start(struct server *server, struct wal_recovery *ret_recovery, struct error *error);
void disk_stop(struct server *server);
/* Before the node runs: the catalog is ahead of the log, or of another history. */
int disk_empty_log(struct server *server, uint64_t applied, struct wal_recovery *recovery, struct error *error);
void disk_turn(struct server *server);
void disk_use(struct server *server); /* files that are opened by their name alone are this server's from now on */
void disk_give_append(struct server *server, const struct wal_record *records, size_t count);
void disk_give_cut(struct server *server, uint64_t last);
void disk_give_read(struct server *server, uint64_t tag, uint64_t from, uint64_t to);
void disk_give_vote(struct server *server, uint64_t term, uint64_t voted_for);
void disk_give_identity(struct server *server, const struct node_identity *identity);

/* A copy becomes the catalog, the log begins after it. */
void disk_give_install(struct server *server, const char *path, uint64_t index);

/* sim_snapshot.c */
void snapshot_make(struct server *server);
void snapshot_release(struct server *server);
int snapshot_read(struct server *server, uint64_t offset, size_t size, struct buffer *out);
void snapshot_write(struct server *server, const struct raft_snapshot *snapshot, uint64_t offset, struct slice bytes);
void snapshot_install(struct server *server, const struct raft_snapshot *snapshot);
void snapshot_down(struct server *server);

/* sim_net.c */
void net_init(struct sim *sim);
void net_finish(struct sim *sim);
void net_address(struct server *server, uint64_t member, const char *address);
void net_send(struct server *server, uint64_t member, int frame_type, uint32_t stream, const ProtobufCMessage *message,
              const struct slice *payload, size_t payload_count);
void net_datagram(struct server *server, const char *address, struct slice bytes);
void net_exchange(struct server *server, const char *address, struct slice bytes);
void net_server_down(struct server *server, bool silently); /* silently: the others find out by themselves */
void net_block(struct sim *sim, uint32_t from, uint32_t to, bool blocked);
void net_heal(struct sim *sim);
void net_break_some(struct sim *sim);
void net_trouble(struct sim *sim, uint32_t loss, uint32_t lateness); /* per thousand */

/* sim_checks.c */
void checks_turn(struct server *server); /* after each turn of a node */
void checks_applied(struct server *server);
void checks_restarted(struct server *server);

/* sim_faults.c */
void faults_init(struct sim *sim);
void faults_withdraw(struct server *server);
void faults_end(struct sim *sim);

/* sim_machines.c */
void machines_init(struct sim *sim);
void machines_trouble(struct sim *sim, unsigned int kind);
void machines_calm(struct sim *sim);
void machines_lost(struct server *server);   /* with its disks: another machine takes its place */
void machines_left(struct server *server);
uint32_t machines_present(const struct sim *sim);
struct server *machines_some(struct sim *sim);
bool server_stays(const struct server *server); /* it is not gone */

/* sim_calls.c */
void calls_start(struct server *server, struct call_id call, const struct definition *process, struct text *args);
void calls_abandon(struct server *server, struct call_id call);
void calls_down(struct server *server);
void calls_finish(struct sim *sim);
/* Each attempt is handed out once, whatever happens to the nodes. */
void calls_note_attempt(struct sim *sim, struct call_id call);

/* sim_workers.c */
void workers_init(struct sim *sim);
void workers_finish(struct sim *sim);
void workers_frame(struct server *server, uint64_t connection, int frame_type, const ProtobufCMessage *message,
                   struct slice payload);
void workers_down(struct server *server);

/* sim_clients.c */
void clients_init(struct sim *sim);
void clients_finish(struct sim *sim);
void clients_down(struct server *server);
bool clients_done(const struct sim *sim);
void clients_settle(struct sim *sim, const char *setting, const char *value); /* a last setting, in calm */
/* sim_answers.c */
void clients_response(struct server *server, uint64_t connection, uint32_t stream, const Clusterd__Wire__Response *response,
                      struct slice payload);

/* sim_keys.c */
void keys_init(struct sim *sim);
void keys_finish(struct sim *sim);
void keys_down(struct server *server);
void keys_tempt(struct server *leader, msec time); /* others do not hear it for so long */
bool keys_done(const struct sim *sim);
void keys_check(struct sim *sim); /* of all that was seen */
/* false: the connection is another one's. */
bool keys_response(struct server *server, uint64_t connection, uint32_t stream, const Clusterd__Wire__Response *response,
                   struct slice payload);

/* sim_audit.c */
/* What holds at any moment between transactions. */
void audit_catalog(struct server *server);
/* And what holds when all is done. */
void audit_end(struct server *server);
void audit_empty(struct server *server); /* after retention */

/* sim_replay.c */
void reference_init(struct sim *sim);
void reference_finish(struct sim *sim);
/* Brings the reference to where the catalog of the server is, and compares the two; when the reference is ahead, `thoroughly` makes
 * another one. */
void reference_compare(struct server *server, bool thoroughly, const char *when);
/* The whole log into fresh catalogs, in other batches. */
void replay_compare(struct sim *sim);

#endif
