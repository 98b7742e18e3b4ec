/* A world for Raft alone: several cores on a virtual clock, with disks that lose what is not synced, a network that loses, delays,
 * doubles and reorders, clocks that drift, and a state machine that is a chain of hashes. Its parts:
 *   raft_world.c    the clock, what happens when, the network
 *   raft_host.c     one node: carries out the core's effects on memory and disk
 *   raft_faults.c   what goes wrong, and what clients and operators want
 *   raft_check.c    what must hold, looked at after every step
 *   raft_bugs.c     bugs planted, to see that the checks bite
 *   raft_sim.c      the program */
#ifndef CLUSTERD_SIM_RAFT_WORLD_H
#define CLUSTERD_SIM_RAFT_WORLD_H

#include "base/buffer.h"
#include "base/random.h"
#include "election/raft.h"

#include <sys/queue.h>

#define WORLD_NODES_MAX 7
#define WORLD_SNAPSHOTS_MAX 4096

typedef int64_t usec; /* virtual microseconds */

enum planted {
	PLANTED_NONE,
	PLANTED_VOTE_NOT_SAVED,
	PLANTED_SYNC_LIES,
	PLANTED_LEADER_COUNTS_UNSYNCED,
	PLANTED_OLD_TERM_COMMITTED,
	PLANTED_LOG_NOT_COMPARED,
	PLANTED_VOTES_TWICE,
	PLANTED_VOTER_NOT_IDENTIFIED,
	PLANTED_LEADER_NOT_RESPECTED,
	PLANTED_READ_WITHOUT_ROUND,
	PLANTED_PREV_NOT_CHECKED,
	PLANTED_CUT_NOT_DONE,
	PLANTED_TWO_CHANGES,
	PLANTED_CHANGE_TOO_EARLY,
	PLANTED_CONFIGURATION_FORGOTTEN,
	PLANTED_COMMIT_UNCHECKED,
	PLANTED_LEASE_TRANSFERRED,
	PLANTED_PROMISE_FORGOTTEN,
	PLANTED_COUNT,
};

extern const char *const planted_names[PLANTED_COUNT];

struct entry {
	uint64_t term;
	uint64_t payload; /* unlike all others */
	struct raft_configuration *configuration; /* NULL: none; owned by the world, kept until its end */
};

/* A log, in memory or on disk: entries base + 1 … base + count. */
struct entries {
	uint64_t base;
	uint64_t base_term;
	struct entry *list;
	size_t count;
	size_t capacity;
};

uint64_t entries_last(const struct entries *entries);
struct entry *entries_at(struct entries *entries, uint64_t index);
void entries_append(struct entries *entries, const struct entry *entry);
void entries_cut_after(struct entries *entries, uint64_t index);
void entries_compact(struct entries *entries, uint64_t index);
void entries_reset(struct entries *entries, uint64_t index, uint64_t term);

/* The state machine. */
struct state {
	uint64_t applied;
	uint64_t applied_term;
	uint64_t hash;
	struct raft_configuration configuration;
};

struct snapshot_made {
	struct raft_snapshot snapshot;
	struct state state;
};

enum disk_kind { DISK_APPEND, DISK_CUT, DISK_INSTALL, DISK_CHUNK, DISK_VOTE };

struct disk_job {
	enum disk_kind kind;
	uint64_t first;        /* APPEND: index of the first entry; CUT: the last that stays */
	struct entry *entries;
	size_t count;
	uint64_t term;         /* VOTE */
	uint64_t vote;
	const struct snapshot_made *made; /* INSTALL */
	STAILQ_ENTRY(disk_job) link;
};

STAILQ_HEAD(disk_jobs, disk_job);

struct pending_write {
	uint64_t index, term;
};

struct pending_read {
	uint64_t id;
	uint64_t floor; /* what the read must at least see */
	uint64_t index; /* wait until this is applied; 0: no answer yet */
};

struct node {
	uint64_t id;
	struct raft *raft; /* NULL: down */
	uint32_t life;
	usec paused_until;
	msec clock_offset;
	int64_t clock_rate; /* per million */
	usec sync_time;     /* a sync takes up to this */

	/* Memory. */
	struct entries log;
	struct state state;
	uint64_t commit_seen;
	struct disk_jobs log_jobs, vote_jobs;
	uint64_t cuts_done;
	uint64_t writing;   /* the last entry given to the disk */
	struct pending_write *writes;
	size_t write_count, write_capacity;
	struct pending_read *reads;
	size_t read_count, read_capacity;
	uint64_t receiving; /* snapshot id */
	uint64_t received;  /* bytes of it that are as they should be */
	bool making_snapshot;
	enum raft_role role_seen;

	/* Disk. */
	uint64_t disk_term, disk_vote;
	struct entries disk_log;
	struct state disk_state; /* as of disk_log.base */
	uint64_t disk_commit;    /* known to be committed when it was written; not always used */
};

struct committed {
	uint64_t term;
	uint64_t payload;
	uint64_t hash;         /* of the state after it */
	uint64_t seen_in_term; /* of the first node that had it committed */
};

struct happening;
struct flight; /* a message on its way */

struct world {
	uint64_t seed;
	struct random random;
	enum planted planted;
	bool traced;
	uint64_t stash;  /* a bug's */
	usec now;
	uint64_t sequence;
	struct happening *heap;
	size_t heap_count, heap_capacity;

	struct node nodes[WORLD_NODES_MAX];
	uint32_t node_count;
	uint32_t first_voters;
	struct raft_configuration first_configuration;
	struct raft_configuration **kept; /* configurations in entries */
	size_t kept_count, kept_capacity;

	/* The network. */
	bool blocked[WORLD_NODES_MAX + 1][WORLD_NODES_MAX + 1];
	uint32_t loss, doubling, slow; /* per thousand */
	uint32_t writing; /* of 18: how much of what clients want is writing; the rest is reading */
	bool calm;

	struct snapshot_made snapshots[WORLD_SNAPSHOTS_MAX];
	size_t snapshot_count;

	/* What must hold. */
	struct committed *committed; /* by index */
	size_t committed_count, committed_capacity;
	uint64_t *leaders; /* by term */
	size_t leader_capacity;
	uint64_t floor;    /* what some client was told is there */
	uint64_t next_payload, next_read;
	char failure[512]; /* empty: all holds */

	/* What happened, to see that something did. */
	struct world_counts {
		uint64_t steps, delivered, lost, elections, writes, reads, lease_reads, crashes, pauses, partitions, changes,
			transfers, snapshots, cuts, restarts_with_loss, cut_off;
	} counts;
};

/* raft_world.c */
struct world *world_create(uint64_t seed, enum planted planted, bool traced);
void world_destroy(struct world *world);
/* Runs faults for `duration`, then lets all be well and waits for the group to be. False: `failure` says why. */
bool world_run(struct world *world, usec duration);
void world_at(struct world *world, usec at, int kind, struct node *node, uint64_t value);
void world_send(struct world *world, struct node *node, const struct raft_message *message);
uint64_t roll(struct world *world, uint64_t bound);
bool chance(struct world *world, uint64_t in, uint64_t of);
void world_trace(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
msec node_clock(const struct world *world, const struct node *node);
enum { AT_DELIVER = 1, AT_DISK_LOG, AT_DISK_VOTE, AT_RESTART, AT_FAULT, AT_CLIENT, AT_SNAPSHOT, AT_HEAL, AT_READ };

/* raft_host.c */
void host_start(struct world *world, struct node *node);
void host_crash(struct world *world, struct node *node);
void host_step(struct world *world, struct node *node, const struct raft_event *event);
void host_disk_done(struct world *world, struct node *node, bool vote);
void host_snapshot_made(struct world *world, struct node *node);
void host_write(struct world *world, struct node *node);
void host_read(struct world *world, struct node *node, bool lease);
void host_compact(struct world *world, struct node *node);

/* raft_faults.c */
void faults_begin(struct world *world);
void faults_next(struct world *world);
void clients_next(struct world *world);
void heal(struct world *world);
struct node *world_leader(struct world *world); /* of the highest term; NULL: none */

/* raft_check.c */
void fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
void check_leader(struct world *world, struct node *node);
void check_commit(struct world *world, struct node *node, uint64_t from, uint64_t to);
void check_applied(struct world *world, struct node *node, const struct entry *entry);
void check_read(struct world *world, struct node *node, const struct pending_read *read);
void check_logs_match(struct world *world);
bool check_all_well(struct world *world); /* every node that should has everything */

/* raft_bugs.c: where a bug can be planted */
void planted_before_step(struct world *world, struct node *node, struct raft_event *event);
void planted_after_step(struct world *world, struct node *node, const struct raft_event *event);
void planted_delivery(struct world *world, struct node *node, struct raft_message *message);
void planted_sending(struct world *world, struct raft_message *message);

#endif
