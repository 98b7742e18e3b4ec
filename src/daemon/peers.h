/* Connections with other nodes (PROTOCOL, 26). Knows no node: what comes is told to a handler.
 *
 * To each member that anything is sent to there is one outgoing connection, made with the first frame and made again whenever it breaks.
 * It carries frames to the member, in order; what the member has to say comes over the member's own. Exchanges of gossip go over
 * connections of their own, to an address whose node need not be known, and are answered on the same connection.
 *
 * All calls of the handler come from the loop, none from inside a function of this file. */
#ifndef CLUSTERD_DAEMON_PEERS_H
#define CLUSTERD_DAEMON_PEERS_H

#include "base/buffer.h"
#include "base/error.h"
#include "daemon/resolver.h"
#include "net/loop.h"
#include "wire/connection.h"

struct peers;
struct stream;

struct peers_handler {
	/* The connection to a member is open: what is sent from now on goes over it, after what was sent since the last `down`. */
	void (*up)(void *context, uint64_t member);
	/* It is not any more, or could not be made: what was sent may be lost. Also without an `up` before. */
	void (*down)(void *context, uint64_t member);
	/* Messages and payloads are borrowed. `message` is NULL for frames without. */
	void (*message)(void *context, uint64_t member, int frame_type, uint32_t stream, const ProtobufCMessage *message,
	                struct slice payload);
	/* A piece of an exchange, from the node at this address. What is to be answered is appended to `reply` (empty: nothing). */
	void (*exchange)(void *context, const char *from, struct slice bytes, struct buffer *reply);
	/* What was given to peers_exchange for this address has not been answered, and will not be. */
	void (*exchange_failed)(void *context, const char *address);
};

struct peers_options {
	uint64_t id;
	uint64_t generation;         /* grows with each start */
	const char *cluster_id;      /* "": none yet */
	const char *name;
	const char *address;         /* HOST:PORT, as others reach this node */
	const struct secret *secret; /* NULL: none, and no peers but on loopback. Must outlive it */
	uint64_t seed;               /* of the waits between attempts to connect */
	uint32_t connections_max;    /* incoming, of members; 0: PEERS_CONNECTIONS_MAX */
	/* Milliseconds; 0: the constants below. */
	msec connect_ms;
	msec answer_ms;
	msec idle_ms;
	msec stall_ms;
};

#define PEERS_CONNECTIONS_MAX 1024
#define PEERS_EXCHANGES_MAX 64       /* incoming connections for exchanges */
#define PEERS_EXCHANGES_OUT_MAX 16   /* outgoing ones; more have failed at once */
#define PEERS_CONNECT_MS 5000        /* to connect and to be greeted */
#define PEERS_ANSWER_MS 5000         /* a piece of an exchange is answered within */
#define PEERS_EXCHANGE_IDLE_MS 10000 /* then its connection is closed by who made it; the other side waits three times as long */
#define PEERS_RETRY_MIN_MS 50        /* between attempts to connect; doubled after each failure */
#define PEERS_RETRY_MAX_MS 1000
#define PEERS_STALL_MS 10000         /* a connection whose peer takes nothing for so long is closed */
#define PEERS_PENDING_MAX (1u << 20) /* bytes kept for a connection that is being made; more are dropped */
#define PEERS_QUEUE_MAX (32u << 20)  /* bytes queued to a member: beyond, Raft's frames, which may be lost, are dropped */

/* `resolver` must outlive it. */
struct peers *peers_create(struct loop *loop, const struct peers_options *options, struct resolver *resolver,
                           const struct peers_handler *handler, void *context);
void peers_destroy(struct peers *peers); /* NULL is fine */
/* This node belongs to a cluster now; connections that are open stay. */
void peers_set_cluster(struct peers *peers, const char *cluster_id);
/* As this node introduces itself; for whoever greets peers that connect. */
const struct connection_node *peers_self(const struct peers *peers);
/* A peer that has connected, been greeted and proved itself: takes both. What it has sent already and nobody consumed comes again. */
void peers_take(struct peers *peers, struct stream *take_stream, struct connection *take_connection);
/* Counts, and logs with a limit on how often, why two nodes did not come together. `who`: for the log. */
void peers_refused(struct peers *peers, enum connection_refusal refusal, const char *who, const char *text);
/* false: frames of members are not read, so that they feel it; until it is true again. */
void peers_set_reading(struct peers *peers, bool reading);

/* From now on the member is reached at this address; "": its connections are closed, nothing is sent to it. */
void peers_address(struct peers *peers, uint64_t member, const char *address);
/* Sends a frame of up to FRAME_PEER_SIZE_MAX, or drops it: the member has no address, or too much waits for it already. */
void peers_send(struct peers *peers, uint64_t member, int frame_type, uint32_t stream, const ProtobufCMessage *message,
                const struct slice *payload, size_t payload_count);
/* A piece of an exchange to whoever is at the address. */
void peers_exchange(struct peers *peers, const char *address, struct slice bytes);

struct peers_counts {
	uint32_t connected; /* members that frames can be sent to now */
	uint32_t incoming;  /* connections that came, exchanges included */
	uint64_t frames_sent;
	uint64_t frames_received;
	uint64_t frames_dropped;
	uint64_t failed;    /* connections that broke the rules after they were open */
	uint64_t stalled;   /* outgoing connections whose peer took nothing any more */
	uint64_t replaced;  /* incoming ones of a member that has connected anew */
	uint64_t refused[REFUSAL_COUNT];
};
const struct peers_counts *peers_counts(const struct peers *peers);

#endif
