/* The parts of a node, for its own files only:
 *   node.c      life, apply, turns
 *   replica.c   the log and Raft: proposing, batches, messages, snapshots
 *   peering.c   what other nodes say
 *   reads.c     what must have been applied before something may be read
 *   effects.c   what follows a transaction
 *   watches.c   who watches keys
 *   leases.c    leases that run out
 *   request.h   what clients ask, and its files
 *   calls.c     the leader's side of calls: handing out, results, deadlines
 *   sites.c     what the leader knows of nodes
 *   runner.c    what runs on this node
 *   workers.c   workers that are connected to this node
 *   supply.c    definitions and files for nodes that keep no log
 *   call_frames.c  what leader and runners of other nodes say to each other
 *   placing.c   the leader's side of tasks of jobs: where they run, what becomes of them
 *   tenants.c   what nodes are told of them
 *   task_order.c  what a node is told to run of a job
 *   tasks.c     the node's own side of them
 *   presence.c  sessions and connections that are there, here and at other nodes
 *   waiters.c   who waits for what
 *   job_zones.c the time zones of jobs
 *   status.c    what a node says about itself */
#ifndef CLUSTERD_DAEMON_NODE_INTERNAL_H
#define CLUSTERD_DAEMON_NODE_INTERNAL_H

#include "coordinator/machine.h"
#include "daemon/lease_clock.h"
#include "daemon/node.h"
#include "daemon/runner.h"
#include "daemon/sites.h"
#include "daemon/supply.h"
#include "daemon/tail.h"
#include "daemon/waiters.h"
#include "election/raft.h"
#include "membership/gossip.h"
#include "workflow/timetable.h"
#include "workflow/sequencer.h"

#include <sys/queue.h>

#define KNOWN_ADDRESSES_MAX 32 /* of members, from the catalog, to begin with after a restart */

/* A batch for a member, whose entries are being read from the disk. */
struct pending_send {
	struct raft_message message;
	STAILQ_ENTRY(pending_send) link;
};

/* What waits to be sent to a member until its entries have been read. */
struct backlog {
	uint64_t member;
	STAILQ_HEAD(, pending_send) sends;
	uint32_t count;
	bool reading;
	UT_hash_handle hh;
};

/* A read that waits for the leader's word, then for the entry that it named. */
struct pending_read {
	uint64_t id;
	uint64_t index; /* 0: not known yet */
	msec asked_at;
	UT_hash_handle hh;
};

/* A result that another node has sent and that is not yet committed: who is to be told. */
struct report {
	struct call_id call;
	uint64_t member;
	UT_hash_handle hh;
};

/* When a session was last heard of; leader's soft state. */
struct session_seen {
	uint64_t session;
	uint64_t connection; /* keeps it alive while it is open; 0: none */
	msec seen;
	uint64_t ending; /* the term in which this leader has proposed its end; 0: none */
	UT_hash_handle hh;
};

struct node_counts {
	uint64_t requests;
	uint64_t refused;
	uint64_t entries;
	uint64_t batches;
	uint64_t busy;
	uint64_t forwarded;
	uint64_t elections;
	uint64_t results_ignored;
	uint64_t messages_refused; /* of other nodes: what cannot be */
	uint64_t set_back;         /* members that came back with less than they had */
};

struct node {
	const struct node_host *host;
	void *context;
	struct catalog *catalog;
	struct machine *machine;
	struct raft *raft;
	struct sequencer *sequencer;
	struct dispatch *dispatch;
	struct gossip *gossip;
	struct clock clock;         /* stamps what is proposed and said: above all stamps in the log, as far as they are known */
	struct waiters *waiters;
	struct forwarding *forwarding;
	struct consistency *consistency;

	char *name, *address, *datacenter, *tags;
	uint64_t id;
	struct node_identity identity;
	uint64_t generation;
	struct error problem;       /* why this node is of no cluster, for a person; code 0: none */

	/* Membership. */
	char **seeds;               /* addresses to join by, as they were found last */
	size_t seed_count;
	char *known[KNOWN_ADDRESSES_MAX]; /* of members, when this node went down */
	size_t known_count;
	bool saving_identity;
	bool saving_vote;
	bool entering;              /* the cluster, once the vote is saved */
	bool entered;               /* it takes part in the cluster; before, it does not listen to its leader */
	bool leaving;               /* for good */
	bool leave_said;
	bool handing_over;          /* as a request asked: it is answered when another leads, or when that came to nothing */
	msec leave_at;
	uint32_t expect;            /* servers that begin a cluster together; 0: it does not wait for any */
	uint32_t forming_seen;      /* servers that wait for one another, when looked last … */
	msec forming_since;         /* … and since when it has been so many */
	msec forming_at;
	uint32_t pledges;           /* bits: of which founders this node has the pledge */
	uint64_t forming_seed;
	struct noted *noted;        /* roster.c: what the leader has written down of members */
	bool roster_changed;
	bool roster_judged;         /* those that are written down and nobody hears of have failed */
	msec roster_at;
	msec leader_since;
	uint64_t configuration_told; /* index of the newest that is applied */

	/* The log's end: entries that are proposed, being synced, or committed and not yet applied; and some behind, for others. */
	struct tail tail;
	uint64_t given;             /* to the disk: up to this index */
	uint64_t batch_last;        /* of the batch that is at the disk */
	uint64_t batch_cuts;        /* how often the log had been cut when it was given */
	uint64_t cuts;
	size_t unapplied_bytes;     /* of entries in memory */
	bool disk_busy;
	bool reading;
	bool reading_last;          /* the stamp of the log's last entry, before the first one of the term is made */
	bool installing;            /* the catalog is becoming another: nobody may touch it */
	struct backlog *backlogs;   /* of members */
	struct standing *standings; /* likewise */
	uint64_t born_term, born_index; /* of vote and log when this life began */
	struct pending_read *reads; /* in the order in which they were asked */
	uint64_t committed_seen;
	bool leader;
	bool ready;                 /* an entry of the own term was applied */
	bool urgent;                /* something in the batch waits for its sync */
	bool draining;
	bool failed;
	char *refusal;              /* why nothing new is begun; NULL: it is */
	bool hold;                  /* the host wants no transaction to begin */
	bool again;                 /* committed entries wait: apply goes on in the next turn */

	/* The catalog's transaction that is open: entries of many turns. */
	msec open_since;
	msec open_changed;          /* when something was applied last */
	uint64_t open_after;        /* the applied index before it */
	size_t open_bytes;          /* of its entries */

	bool agent;                 /* it only runs calls: it keeps no log, and is of no group */
	struct runner runner;
	struct supply supply;
	struct registry **former;   /* of states that a copy of the leader's has replaced */
	size_t former_count;
	size_t former_capacity;

	/* Assignments made and not yet proposed (each site has its own): they go with the next batch, or soon. */
	size_t assigned_count;
	msec assigned_since;

	/* Leader's soft state. */
	uint64_t scan_after;        /* open instances up to this id have been looked at */
	bool scanning;
	msec next_timer;            /* wall clock */
	bool timers_changed;
	bool timers_proposed;
	msec next_housekeeping;
	struct sites sites;
	struct report *reports;
	struct session_seen *sessions;
	msec next_presence;
	struct lease_clock *leases;
	uint64_t next_nonce;
	struct placing *placing;
	struct {                    /* tasks.c: who hears of the tasks of this node */
		uint64_t leader;    /* 0: nobody so far */
		uint64_t term;
		struct task_report *reports;
		size_t count;
		size_t capacity;
	} tasks;
	uint32_t cpu;               /* what this machine has to give: thousandths of a processor, bytes, ports */
	uint64_t memory;
	uint16_t port_low, port_high;

	/* Who watches keys or topics that have changed in this transaction. */
	struct waiter *woken;
	size_t woken_count;
	size_t woken_capacity;
	uint64_t catalog_told; /* what has changed of the catalog up to this number, who watches it has seen */

	struct node_counts counts;
	struct arena arena;         /* of the command that is being made or decoded */
	struct arena encoding;      /* of the command that is being encoded */
	struct buffer scratch;
};

/* node.c */
void node_fail(struct node *node, const struct error *error);
/* Who leads, as far as this node knows (0: nobody); since which term. */
uint64_t node_leader(const struct node *node);
uint64_t node_leader_term(const struct node *node);
void node_begin_term(struct node *node);   /* this node leads, and knows the last stamp of the log */
void node_stepped_down(struct node *node); /* it does not any more */
/* Entries that were read to be applied. */
void node_apply_read(struct node *node, const struct wal_record *records, size_t count);
int node_found_group(struct node *node, struct error *error);
int node_load_machine(struct node *node, struct error *error); /* the state from the catalog, anew when there was one */

/* standing.c: members that come back with less than they had said to be durable */
void standing_sign(const struct node *node, Clusterd__Wire__RaftMessage *packed);
bool standing_allows(struct node *node, uint64_t member, const Clusterd__Wire__RaftMessage *packed);
void standing_heard(struct node *node, const struct raft_message *message);
void standing_told(struct node *node, uint64_t member); /* that it is such a one */
void standings_destroy(struct node *node);

/* replica.c */
int replica_create(struct node *node, const struct node_config *config, struct error *error);
void replica_destroy(struct node *node);
int replica_found(struct node *node, struct error *error); /* the group begins with the identity's founders */
/* Appends a command to the batch. The stamp, version and index are given here. */
void node_propose(struct node *node, struct command *command, bool urgent);
bool node_overloaded(const struct node *node);
void replica_message(struct node *node, uint64_t member, const Clusterd__Wire__RaftMessage *packed, struct slice payload);
void replica_flush(struct node *node); /* all that waits goes to the disk as one batch, unless one is under way */
void replica_turn(struct node *node, msec now); /* Raft's ticks that are due */
int replica_step(struct node *node, const struct raft_event *event); /* the result of its effects */
uint64_t replica_applicable(const struct node *node); /* entries up to it may be applied */
void replica_applied(struct node *node);              /* lets go of entries that nobody needs in memory */

/* reads.c */
/* When may what is read be answered? node_read_ready follows, at once or later; ids are never used again. */
void node_read(struct node *node, uint64_t id, bool lease);
void reads_take(struct node *node, const struct raft_read *read);
void reads_applied(struct node *node);
void reads_expire(struct node *node, msec now);
msec reads_deadline(const struct node *node);
void reads_destroy(struct node *node);
/* 0: all that was acknowledged before node_read has been applied; ERR_NOT_LEADER: ask again later; ERR_BUSY. */
void node_read_ready(struct node *node, uint64_t id, int result);

/* effects.c */
void node_effects(struct node *node);

/* requests.c */
void requests_dropped(struct node *node, uint64_t connection); /* its requests are not to be answered any more */

/* requests_read.c */
void requests_look_again(struct node *node); /* the catalog has become another: who waits for an instance may have missed it */

/* answers.c */
void respond_error(struct node *node, uint64_t connection, uint32_t stream, int code, struct slice text);
void respond_answer(struct node *node, const struct waiter *waiter, const struct answer *answer);
void respond_finished(struct node *node, const struct waiter *waiter, uint64_t instance, const char *state,
                      struct slice result, struct slice error);
void respond_grown(struct node *node, const struct waiter *waiter, uint64_t instance, uint64_t seq, bool finished);

/* presence.c */
void session_touch(struct node *node, uint64_t id, uint64_t connection); /* it was heard of */
bool session_is_ending(const struct node *node, uint64_t id); /* its end is proposed, in this term */
bool sessions_keep(struct node *node, msec now); /* housekeeping: expiry. Whether some have a time to live of their own */
void waiters_not_leader(struct node *node);      /* what was proposed may come to nothing: whoever waits is to ask again */
void sessions_granted(struct node *node);        /* a new leader grants all their full time */
void presence_turn(struct node *node, msec now); /* a node that does not lead tells the leader who is there */
msec presence_deadline(const struct node *node);
void presence_heard(struct node *node, const Clusterd__Wire__Presence *presence);

/* watches.c */
void watches_changed(struct node *node, const struct effect *effect); /* whoever watches the key is to be answered */
void watches_changed_all(struct node *node); /* the catalog has become another */
void watches_answer(struct node *node);
void watches_turn(struct node *node, msec now); /* those who have waited for long */

/* requests_topics.c */
void topics_changed(struct node *node, const struct effect *effect); /* whoever waits for the topic is to look at it */
/* Answers it, or it waits again; `late`: it is to be answered. */
void topics_go_on(struct node *node, struct waiter *take_waiter, bool late);
void topics_sweep(struct node *node); /* what has lost its session or its topic goes */

/* requests_catalog.c */
void catalog_watches_late(struct node *node, struct waiter *waiter); /* it is to be answered */
void catalog_watches_turn(struct node *node);                        /* those for whom rows may have changed */

/* leases.c */
void leases_changed(struct node *node, const struct effect *effect);
void leases_granted(struct node *node); /* a new leader grants all their full time */
void leases_end(struct node *node);     /* proposes the end of those that have run out */

/* requests_jobs.c */
void jobs_changed(struct node *node, const struct effect *effect); /* whoever waits for it may be answered */

/* calls.c */
void node_calls_finish(struct node *node);
/* This node leads, and has applied all that was committed before; it does not lead any more. */
void node_calls_lead(struct node *node);
void node_calls_unlead(struct node *node);
void node_calls_scan(struct node *node);
void node_calls_ready(struct node *node, uint64_t instance, uint32_t ref);
void node_calls_closed(struct node *node, struct call_id call);
void node_calls_abandoned(struct node *node, struct call_id call);
void node_calls_pump(struct node *node);
void node_calls_expire(struct node *node);
void node_calls_propose_assigned(struct node *node);
void node_calls_propose_results(struct node *node);
/* From the runner of a member. */
void node_calls_result(struct node *node, uint64_t member, const struct call_result *result);
void node_calls_heartbeat(struct node *node, struct call_id call);
/* An open call of an atomic process, loaded when it is not in memory; NULL: it is over, or the node has failed. */
const struct call *node_calls_look(struct node *node, uint64_t instance, uint32_t ref);
/* Whether what a call has given is of its type, and not too large: then it is in `scratch`, as it is carried. ERR_LIMIT, ERR_TYPE. */
int node_calls_accept(struct node *node, const struct call *call, struct slice value, struct error *error);
/* As node_calls_look; NULL also when a job runs it. */
const struct call *node_calls_open(struct node *node, uint64_t instance, uint32_t ref);
/* The call waits to be handed out, with an attempt above `used`. */
void node_calls_offer(struct node *node, const struct call *call, uint64_t used);
/* It is to be written down that it runs there. */
void node_calls_note(struct node *node, struct site *site, struct call_id call);
void node_calls_stop_at(struct node *node, const struct site *site, struct call_id call);

/* call_frames.c */
void frames_send_survey(struct node *node, uint64_t member, uint64_t term, uint64_t number);
void frames_send_order(struct node *node, uint64_t member, const struct call_order *order);
void frames_send_abandon(struct node *node, uint64_t member, struct call_id call);
void frames_send_taken(struct node *node, uint64_t member, struct call_id call);
void frames_send_report(struct node *node, uint64_t member, const struct node_report *report);
void frames_send_result(struct node *node, uint64_t member, const struct call_result *result);
void frames_send_heartbeat(struct node *node, uint64_t member, struct call_id call);
/* A frame of another node that is about calls. */
void frames_take(struct node *node, uint64_t member, int frame_type, const ProtobufCMessage *message,
                 struct slice payload);

/* job_zones.c */
/* What the host knows of a zone; good as long as the node. "UTC" is always known. ERR_NOT_FOUND: it is not. */
int node_zone(const struct node *node, struct slice name, struct timetable_zone *ret_zone, struct error *error);
/* ERR_INVALID: the host does not know the zone of one of the jobs. */
int node_check_zones(const struct node *node, const struct registration *registration, struct error *error);

/* status.c */
#define STATUS_INACTIVE "inactive"
const char *status_state(const struct node *node); /* inactive, primary or secondary; who is ready is not inactive */
void status_print(struct node *node, struct buffer *out);
int inspect_process(struct node *node, const Clusterd__Wire__InspectProcess *what, struct buffer *out,
                    struct error *error);
int inspect_instance(struct node *node, const Clusterd__Wire__InspectInstance *what, struct buffer *out,
                     struct error *error);

#endif
