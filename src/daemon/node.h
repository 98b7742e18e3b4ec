/* A node: composes the cores (Raft, the state machine, sequencer, dispatcher) and routes events to effects. It has no I/O of its own:
 * the host carries out what it wishes, on libevent or in a simulator. One thread; none of the host's functions may call
 * back into the node. */
#ifndef CLUSTERD_DAEMON_NODE_H
#define CLUSTERD_DAEMON_NODE_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"
#include "base/time.h"
#include "catalog/catalog.h"
#include "coordinator/dispatch.h"
#include "election/raft.h"
#include "proto/wire.pb-c.h"
#include "store/wal.h"

struct node;
struct log_facts;
struct timetable_zone;
struct allocation_order;
struct allocation_report;

/* One SQL query, for a thread of its own. Strings are borrowed for the call. */
struct node_query {
	const char *sql;
	char **parameters;
	size_t parameter_count;
	uint32_t row_limit;
	msec time_limit;
};

#define NODE_CLUSTER_ID_SIZE 33 /* 32 hex digits and a NUL; "": none yet */

/* What a node must not forget of which cluster it belongs to. Beginning one with others (`expect`): each pledges itself to one
 * cluster, for good, before there is one (PROTOCOL, 24). */
struct node_identity {
	char cluster_id[NODE_CLUSTER_ID_SIZE]; /* that it is of */
	char pledged_id[NODE_CLUSTER_ID_SIZE]; /* that it has promised to be of */
	uint32_t founder_count;                /* of either: who begins it, in ascending order; 0: it has begun elsewhere */
	uint64_t founders[RAFT_VOTERS_MAX];
};

/* Connections of other nodes, for whom this one answers requests: their ids have this bit, and the member's id below. */
#define NODE_PEER_CONNECTION (UINT64_C(1) << 63)

/* What the host asks itself, of other nodes: the connection that it is answered on. */
#define NODE_HOST_CONNECTION (UINT64_C(1) << 62)

/* Tags of readings of the log: for the node itself, or the id of the member that the entries are for. For a member, entries that
 * are gone from the log are none (node_entries with count 0); for the node it is a failure. */
#define NODE_READ_APPLY UINT64_C(0)
#define NODE_READ_LAST UINT64_MAX

static inline bool node_tag_is_member(uint64_t tag)
{
	return tag != NODE_READ_APPLY && tag != NODE_READ_LAST;
}

struct node_host {
	msec (*now)(void *context);            /* monotonic */
	msec (*wall)(void *context);           /* since 1970 */
	long long (*now_us)(void *context);    /* monotonic, not cached: to bound a stretch of work */
	/* Make the records durable, then node_synced. Bodies stay valid until then. One at a time. */
	void (*append)(void *context, const struct wal_record *records, size_t count);
	/* Entries after `last` go from the log: after an append that is under way, before all that is given later. */
	void (*cut)(void *context, uint64_t last);
	/* Read entries `from` … `to` (as many as are reasonable at once), then node_entries with the same tag. One at a time for each
	 * tag. */
	void (*read)(void *context, uint64_t tag, uint64_t from, uint64_t to);
	void (*save_vote)(void *context, uint64_t term, uint64_t voted_for); /* then node_vote_saved */
	void (*respond)(void *context, uint64_t connection, uint32_t stream, const Clusterd__Wire__Response *response,
	                struct slice payload);
	/* A frame to a connected worker. */
	void (*send)(void *context, uint64_t connection, int frame_type, const ProtobufCMessage *message,
	             struct slice payload);
	void (*query)(void *context, uint64_t connection, uint32_t stream, const struct node_query *query);
	void (*save_snapshot)(void *context, uint64_t connection, uint32_t stream);
	/* Calls on this machine. */
	void (*call_start)(void *context, struct call_id call, const struct definition *process, struct text *args);
	void (*call_abandon)(void *context, struct call_id call);

	/* Tasks of jobs on this machine (allocations.h). What is known of each is reported, at once or later: node_task_report. */
	void (*task_start)(void *context, const struct allocation_order *order);
	void (*task_stop)(void *context, uint64_t allocation);
	void (*task_taken)(void *context, uint64_t allocation); /* its end is written down: it may be forgotten */
	/* Those of `known`, in ascending order, and no others are to be here. */
	void (*tasks_keep_only)(void *context, const uint64_t *known, size_t count);

	/* A request about this machine (output of tasks, …): node_respond answers it, later. NULL: no host of such requests. */
	void (*local)(void *context, uint64_t connection, uint32_t stream, const Clusterd__Wire__Request *request,
	              struct slice payload);

	/* Nobody wants the answers of this connection any more. NULL: no host of requests about this machine. */
	void (*closed)(void *context, uint64_t connection);

	/* Other nodes. What is sent to a member may get lost, also when its connection breaks; what arrives does so in order. */
	/* From now on the member is reached at this HOST:PORT; "": it is gone, and so is its connection. */
	void (*peer_address)(void *context, uint64_t member, const char *address);
	/* A frame to a member, over a connection that is made when there is none. The payload is in parts. `message` may be NULL. */
	void (*peer_send)(void *context, uint64_t member, int frame_type, uint32_t stream, const ProtobufCMessage *message,
	                  const struct slice *payload, size_t payload_count);
	void (*datagram_send)(void *context, const char *address, struct slice bytes);
	/* A piece of a gossip exchange to whoever listens at the address (FRAME_EXCHANGE): its answers come as node_exchange. */
	void (*exchange_send)(void *context, const char *address, struct slice bytes);

	/* Copies of the catalog, of which there is one at a time to give and one to take (PROTOCOL, 13). */
	void (*snapshot_make)(void *context);    /* then node_snapshot_made; kept until snapshot_release */
	void (*snapshot_release)(void *context); /* also while it is being made: it is dropped then */
	/* Appends up to `size` bytes from `offset` on; 0 or ERR_. */
	int (*snapshot_read)(void *context, uint64_t offset, size_t size, struct buffer *out);
	/* Writes at `offset` (0: begin anew, whatever was there), then node_chunk_written. */
	void (*chunk_write)(void *context, const struct raft_snapshot *snapshot, uint64_t offset, struct slice bytes);
	/* What was written is whole: the catalog becomes it, the log is emptied so that index + 1 comes next, both durable, after an
	 * append that is under way; then catalog_accept and node_snapshot_installed, both by the host. The node leaves the catalog alone
	 * meanwhile. */
	void (*snapshot_install)(void *context, const struct raft_snapshot *snapshot);
	/* Make this durable, then node_identity_saved. */
	void (*save_identity)(void *context, const struct node_identity *identity);

	/* This node has left the cluster for good, as it was asked to: end the process. */
	void (*left)(void *context);

	/* A time zone by its name, good as long as the node; ERR_NOT_FOUND, or it cannot be read. NULL: knows UTC only. */
	int (*zone)(void *context, struct slice name, struct timetable_zone *ret_zone, struct error *error);

	/* Facts for `status` that only the host has: appends `"name":value` pairs, each after a comma. */
	void (*status)(void *context, struct buffer *out);
	/* The node cannot go on: say why, end the process. */
	void (*fail)(void *context, const struct error *error);
};

struct node_config {
	const char *name;
	const char *address;      /* HOST:PORT, as others reach it */
	const char *datacenter;
	const char *tags;         /* JSON object */
	uint64_t id;
	uint64_t term;            /* the last one voted in */
	uint64_t voted_for;
	struct node_identity identity;
	/* The log: its first and last entry (an empty one: last = first − 1), and what log_facts says of the entries after the catalog's
	 * applied index. Borrowed for the call. */
	uint64_t first_index;
	uint64_t last_index;
	const struct log_facts *facts;
	uint32_t exec_slots;
	uint32_t pool_calls;      /* calls one pool takes at once */
	uint64_t generation;      /* grows with each start */
	uint64_t seed;            /* of all that is random: another one on every node and at every start */
	bool agent;               /* only runs work: has no log and no catalog that counts */
	const char *const *seeds; /* HOST:PORT to join by; borrowed for the call */
	size_t seed_count;
	uint32_t cpu;             /* what tasks of jobs may have: thousandths of a processor */
	uint64_t memory;          /* bytes */
	uint16_t port_low, port_high; /* ports, both included; 0: none */
	uint32_t expect;          /* servers that begin a cluster together; 0, and no seeds: this one is a cluster by itself */
};

#define NODE_BACKLOG_ENTRIES 100000u   /* proposed, not yet applied: more is answered with `busy` */
#define NODE_BACKLOG_BYTES (64u << 20)
/* More is answered with `busy`, too. */
#define NODE_WAITERS_MAX 10000u  /* requests of one connection that wait for their answer */
#define NODE_SESSIONS_MAX 10000u
#define NODE_LEASES_MAX 100000u
#define NODE_ANSWERS_MAX 10000u  /* of one session, which its client does not say it has */

int node_create(const struct node_config *config, struct catalog *catalog, const struct node_host *host, void *context,
                struct node **ret_node, struct error *error);
void node_destroy(struct node *node);
void node_start(struct node *node);

/* From the disk. */
void node_vote_saved(struct node *node);
void node_synced(struct node *node, uint64_t index);
void node_entries(struct node *node, uint64_t tag, const struct wal_record *records, size_t count);
/* The lowest entry that a member still needs: the log should not be let go of from there on, within reason. */
uint64_t node_needed_index(const struct node *node);
void node_compacted(struct node *node, uint64_t index); /* entries up to it are gone from the log */
void node_identity_saved(struct node *node);
void node_snapshot_made(struct node *node, const struct raft_snapshot *snapshot); /* NULL: it could not be made now */
void node_chunk_written(struct node *node);
void node_snapshot_installed(struct node *node);

/* From other nodes, whose identity has been proved. Messages and payloads are borrowed. */
void node_peer_up(struct node *node, uint64_t member);   /* a connection to it is open: what is sent now goes there */
/* It is not any more, or could not be made: what was sent may be lost. Also without node_peer_up before. */
void node_peer_down(struct node *node, uint64_t member);
void node_peer_message(struct node *node, uint64_t member, int frame_type, uint32_t stream,
                       const ProtobufCMessage *message, struct slice payload);
/* Declared dead, or it has left: what it ran is handed out anew. Alive (again): it may run calls. */
void node_member_dead(struct node *node, uint64_t member, const char *name);
void node_member_alive(struct node *node, uint64_t member);
void node_datagram(struct node *node, const char *from, struct slice bytes);
/* A piece of a gossip exchange. What is to be answered is appended to `reply` (empty: nothing). */
void node_exchange(struct node *node, const char *from, struct slice bytes, struct buffer *reply);
void node_exchange_failed(struct node *node, const char *address);
/* From discovery: addresses that may be joined by. Nobody is removed by their absence. */
void node_seeds(struct node *node, const char *const *seeds, size_t count);

/* From connections. Messages and payloads are borrowed. */
void node_request(struct node *node, uint64_t connection, uint32_t stream, const Clusterd__Wire__Request *request,
                  struct slice payload);
void node_request_cancelled(struct node *node, uint64_t connection, uint32_t stream);
void node_connection_closed(struct node *node, uint64_t connection);
/* What the host has to answer (query, save_snapshot): to the connection, or to the node that has forwarded the request. */
void node_respond(struct node *node, uint64_t connection, uint32_t stream, const Clusterd__Wire__Response *response,
                  struct slice payload);
/* 0, or ERR_ with a text: the connection is to be closed with it. */
int node_worker_offer(struct node *node, uint64_t connection, const Clusterd__Wire__Offer *offer, struct error *error);
int node_worker_result(struct node *node, uint64_t connection, const Clusterd__Wire__Result *result,
                       struct slice payload, struct error *error);
void node_worker_heartbeat(struct node *node, uint64_t connection, const Clusterd__Wire__Heartbeat *heartbeat);
/* More results wait than should: nothing is to be read of workers for now. */
bool node_workers_wait(const struct node *node);

/* From this machine's executor. */
void node_call_finished(struct node *node, struct call_id call, bool failed, bool final, struct slice value,
                        struct slice metadata);
void node_call_heartbeat(struct node *node, struct call_id call);
/* A task of a job on this machine: it has begun, was checked, has ended. */
void node_task_report(struct node *node, const struct allocation_report *report);

/* Does what waits: call at the end of each turn of the loop in which anything was given to the node, and when its deadline
 * has come. */
void node_turn(struct node *node);
msec node_deadline(const struct node *node);
/* Applies some of what is committed, for about 5 ms: to be called while node_applies, behind a turn, when all that it said has gone out,
 * for applying takes long, and others wait for what was said. Another turn is to follow at once. */
bool node_applies(const struct node *node);
void node_apply(struct node *node);

/* The catalog's file says what was applied so far: the transaction that is open ends. Before somebody else than the node reads it, and
 * before the node goes down (it need not). */
void node_settle(struct node *node);

/* While it holds, committed entries wait: the host wants no transaction to be open. */
void node_hold(struct node *node, bool hold);

/* Requests that change something are answered with `busy` and this reason; "": they are taken again. */
void node_refuse(struct node *node, const char *reason);

/* No new calls, no new requests; ready to stop when node_quiet. */
void node_drain(struct node *node);
bool node_quiet(const struct node *node);
bool node_ready(const struct node *node);

/* Committed entries wait to be applied, more than it should be: other nodes' messages are better left unread for now. Never because of what
 * others have yet to say, or nodes would wait for one another. */
bool node_behind(const struct node *node);

uint64_t node_applied_index(const struct node *node);
/* Ids of other members that are up, those of these names (or ids) first; how many were written. */
size_t node_others(const struct node *node, const struct slice *names, size_t name_count, uint64_t *ret_ids, size_t most);
/* A job that has not ended is to run the program with this hash. */
bool node_wants_program(const struct node *node, struct slice hash);
/* Content of an attachment. */
int node_file(struct node *node, struct slice hash, bool *ret_executable, struct buffer *ret_content,
              struct error *error);

#endif
