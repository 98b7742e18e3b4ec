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
#include "proto/wire.pb-c.h"
#include "store/wal.h"

struct node;

/* One SQL query, for a thread of its own. Strings are borrowed for the call. */
struct node_query {
	const char *sql;
	char **parameters;
	size_t parameter_count;
	uint32_t row_limit;
	msec time_limit;
};

struct node_host {
	msec (*now)(void *context);            /* monotonic */
	msec (*wall)(void *context);           /* since 1970 */
	long long (*now_us)(void *context);    /* monotonic, not cached: to bound a stretch of work */
	/* Make the records durable, then node_synced. Bodies stay valid until then. One at a time. */
	void (*append)(void *context, const struct wal_record *records, size_t count);
	/* Read entries `from` … `to` (as many as are reasonable at once), then node_entries. */
	void (*read)(void *context, uint64_t from, uint64_t to);
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
	uint64_t last_index;      /* of the log */
	uint32_t exec_slots;
	uint32_t pool_calls;      /* calls one pool takes at once */
	uint64_t generation;      /* grows with each start */
};

#define NODE_BACKLOG_ENTRIES 100000u   /* proposed, not yet applied: more is answered with `busy` */
#define NODE_BACKLOG_BYTES (64u << 20)
/* More is answered with `busy`, too. */
#define NODE_WAITERS_MAX 10000u  /* requests of one connection that wait for their answer */
#define NODE_SESSIONS_MAX 10000u
#define NODE_ANSWERS_MAX 10000u  /* of one session, which its client does not say it has */

int node_create(const struct node_config *config, struct catalog *catalog, const struct node_host *host, void *context,
                struct node **ret_node, struct error *error);
void node_destroy(struct node *node);
void node_start(struct node *node);

/* From the disk. */
void node_vote_saved(struct node *node);
void node_synced(struct node *node, uint64_t index);
void node_entries(struct node *node, const struct wal_record *records, size_t count);

/* From connections. Messages and payloads are borrowed. */
void node_request(struct node *node, uint64_t connection, uint32_t stream, const Clusterd__Wire__Request *request,
                  struct slice payload);
void node_request_cancelled(struct node *node, uint64_t connection, uint32_t stream);
void node_connection_closed(struct node *node, uint64_t connection);
/* 0, or ERR_ with a text: the connection is to be closed with it. */
int node_worker_offer(struct node *node, uint64_t connection, const Clusterd__Wire__Offer *offer, struct error *error);
int node_worker_result(struct node *node, uint64_t connection, const Clusterd__Wire__Result *result,
                       struct slice payload, struct error *error);
void node_worker_heartbeat(struct node *node, uint64_t connection, const Clusterd__Wire__Heartbeat *heartbeat);

/* From this machine's executor. */
void node_call_finished(struct node *node, struct call_id call, bool failed, bool final, struct slice value,
                        struct slice metadata);
void node_call_heartbeat(struct node *node, struct call_id call);

/* Does what waits: call at the end of each turn of the loop in which anything was given to the node, and when its deadline
 * has come. */
void node_turn(struct node *node);
msec node_deadline(const struct node *node);

/* While it holds, committed entries wait: the host wants no transaction to begin. */
void node_hold(struct node *node, bool hold);

/* Requests that change something are answered with `busy` and this reason; "": they are taken again. */
void node_refuse(struct node *node, const char *reason);

/* No new calls, no new requests; ready to stop when node_quiet. */
void node_drain(struct node *node);
bool node_quiet(const struct node *node);
bool node_ready(const struct node *node);

uint64_t node_applied_index(const struct node *node);
/* Content of an attachment. */
int node_file(struct node *node, struct slice hash, bool *ret_executable, struct buffer *ret_content,
              struct error *error);

#endif
