/* The protocol of one connection, for both sides: hello and welcome, which frames may come, and how it ends. Between nodes
 * (role peer) each side also proves that it has the cluster secret; nothing else is taken before. Pure: bytes go in,
 * frames and bytes to send come out.
 *
 *   do {
 *           event = connection_next(connection, rest of the input, out, &size, &frame, &error);
 *           taken += size;
 *           … CONNECTION_FRAME: do what it asks …
 *           … CONNECTION_GOODBYE, CONNECTION_FAILED: send `out`, finish the stream (what still comes is ignored) …
 *   } while (event != CONNECTION_MORE);
 *   send `out`, consume `taken`
 */
#ifndef CLUSTERD_WIRE_CONNECTION_H
#define CLUSTERD_WIRE_CONNECTION_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "proto/wire.pb-c.h"
#include "wire/frame.h"
#include "wire/secret.h"

#define PROTOCOL_MAGIC 0x64736c63u
#define PROTOCOL_VERSION 1
/* Frames before the connection is open: nobody knows yet who the other is. */
#define HELLO_SIZE_MAX 4096
#define CONNECTION_NAME_MAX 255 /* bytes of a name, a cluster id, an address */
#define CONNECTION_NONCE_SIZE 32

enum connection_side { CONNECTION_SERVER, CONNECTION_CLIENT };

/* This node, as it introduces itself to others. May change while connections are open: it counts as of their hello. */
struct connection_node {
	uint64_t id;
	uint64_t generation;         /* grows with each start of the node */
	const char *address;         /* HOST:PORT, as others reach it; never NULL */
	const struct secret *secret; /* NULL: none, and none is asked for */
	/* Bytes that nobody can foretell and that never come twice. */
	void (*nonce)(void *context, unsigned char ret_nonce[CONNECTION_NONCE_SIZE]);
	void *context;
};

/* Shared by many connections; must outlive them. Strings are never NULL. */
struct connection_config {
	enum connection_side side;
	uint32_t version_low; /* of the protocol; both are PROTOCOL_VERSION but in tests and for later versions */
	uint32_t version_high;
	const char *cluster_id; /* client: "" any; server: "" none yet, accepts any */
	const char *name;       /* of the node; client: for people */
	const char *token;      /* client: presented; server: demanded, "" none is */
	uint64_t features;      /* what this side can do; each side learns the other's */
	Clusterd__Wire__Role role; /* client: as what it connects */
	const struct connection_node *node; /* role peer: who connects; server: NULL, peers are not taken here */
};

/* Why two do not come together, to be counted. */
enum connection_refusal {
	REFUSAL_NONE,
	REFUSAL_MALFORMED,  /* not this protocol, or not as it must be */
	REFUSAL_VERSION,
	REFUSAL_CLUSTER,    /* of another cluster */
	REFUSAL_TOKEN,
	REFUSAL_ROLE,       /* no peers at this door */
	REFUSAL_NO_SECRET,  /* one of the two has a secret, the other has none */
	REFUSAL_PROOF,      /* the proof is wrong: another secret, or somebody in between */
	REFUSAL_ITSELF,     /* a node has reached itself */
	REFUSAL_SAME_ID,    /* another node that says to be this one: a copy of its data directory */
	REFUSAL_OTHER_NODE, /* at this address is another node than the one that was meant */
	REFUSAL_BY_PEER,    /* the other side refuses, for reasons that it counts */
	/* Of whoever has the connections. */
	REFUSAL_GENERATION, /* a former life of a node that is known in a later one */
	REFUSAL_LATE,       /* hello or proof did not come in time */
	REFUSAL_LIMIT,      /* more than there may be */
	REFUSAL_COUNT,
};
const char *connection_refusal_name(enum connection_refusal refusal); /* "cluster", "same_id", … */

enum connection_event {
	CONNECTION_MORE,    /* nothing whole is there: bytes have to come first */
	CONNECTION_GREETED, /* server: a peer's hello is answered, its proof is still to come; nothing to be done */
	CONNECTION_OPENED,  /* hello and welcome agree: requests may go out */
	CONNECTION_FRAME,   /* one for the caller; points into `input` */
	CONNECTION_GOODBYE, /* the other side ends the connection, `error` says why */
	CONNECTION_FAILED,  /* the other side broke the rules, or the two do not fit: `error` says how and where */
};

struct connection;

struct connection *connection_create(const struct connection_config *config);
void connection_destroy(struct connection *connection); /* NULL is fine */
/* Client, role peer, before connection_begin: which node is meant (0: whoever is there), and whether it is for exchanges only. */
void connection_aim(struct connection *connection, uint64_t node, bool exchanges);
/* What is sent first: the client's hello; nothing for a server. */
void connection_begin(struct connection *connection, struct buffer *out);
/* Takes at most one frame off the front of `input`, `ret_size` bytes (set with every event). What is to be sent
 * (welcome, goodbye) is appended to `out`; `ret_frame` is set with CONNECTION_FRAME, `error` with the last two. After
 * these two, or after connection_end, it takes all that comes and gives CONNECTION_MORE. */
enum connection_event connection_next(struct connection *connection, struct slice input, struct buffer *out,
                                      size_t *ret_size, struct frame *ret_frame, struct error *error);
/* Decodes the message of the frame that connection_next has just given. On an error the connection has failed: the
 * goodbye is in `out`. */
int connection_unpack(struct connection *connection, const struct frame *frame, struct arena *arena, struct buffer *out,
                      ProtobufCMessage **ret_message, struct error *error);
/* Ends it from this side: a goodbye, or, when the hello has not been answered, a welcome that refuses. `cause` has code
 * and text; `retry_after_ms`: when to come back, 0: no word of it. Ended already: nothing. */
void connection_end(struct connection *connection, const struct error *cause, uint32_t retry_after_ms,
                    struct buffer *out);
/* The same for what is wrong with the last frame; puts its kind and place before the text of `error`. */
void connection_fail(struct connection *connection, struct error *error, struct buffer *out);

bool connection_is_open(const struct connection *connection);
/* Known once it is open. */
uint32_t connection_version(const struct connection *connection);
uint64_t connection_features(const struct connection *connection); /* of the other side */
Clusterd__Wire__Role connection_role(const struct connection *connection);
const char *connection_peer(const struct connection *connection);    /* name of the other side; "" before */
const char *connection_cluster(const struct connection *connection); /* the client's: as the server said; "" before */
/* Peers, likewise; proved when there is a secret. */
uint64_t connection_peer_id(const struct connection *connection);
uint64_t connection_peer_generation(const struct connection *connection);
const char *connection_peer_address(const struct connection *connection); /* as it says that others reach it */
bool connection_exchanges(const struct connection *connection);           /* it is for exchanges only */
/* Why it failed before it was open; else REFUSAL_NONE. */
enum connection_refusal connection_refusal(const struct connection *connection);
/* From a goodbye or a refusing welcome: when to come back; 0: it did not say. */
uint32_t connection_retry_after_ms(const struct connection *connection);

#endif
