/* What peers.c (members), link.c (one connection) and exchanges share. */
#ifndef CLUSTERD_DAEMON_PEERS_INTERNAL_H
#define CLUSTERD_DAEMON_PEERS_INTERNAL_H

#include "daemon/peers.h"

#include "base/random.h"
#include "net/stream.h"

#include <sys/queue.h>
#include <uthash.h>

enum link_phase {
	LINK_WAITING,  /* outgoing: until it is time to connect, or the name is known */
	LINK_GREETING, /* connecting, hello is on its way */
	LINK_OPEN,
	LINK_ENDING,   /* last words are on their way; nobody owns it any more */
	LINK_PHASES,
};

/* One connection with another node. */
struct link {
	TAILQ_ENTRY(link) entry;
	struct peers *peers;
	struct peer *peer;   /* whose frames it carries; NULL: exchanges, or ending */
	struct stream *stream;
	struct connection *connection;
	struct loop_timer *timer;
	enum link_phase phase;
	char *address;       /* of the other side; "" for incoming ones it is what they say */
	bool outgoing;
	bool exchanges;
	bool busy;           /* its input is being taken: it is destroyed when that returns */
	bool doomed;
	bool over;           /* the owner knows, or is being told, that it has ended */
	bool look;           /* WAITING: the timer means that it is to be dialled; else that the name was not found in time */
	bool hopeless;       /* it has failed already, which is told by the timer */
	bool tell_down;      /* the connection before it was up, and nobody has been told that it is gone */
	bool stall_watched;
	msec deadline;       /* WAITING, GREETING: until it must be open; MSEC_NEVER: not dialled yet */
	msec opened_at;
	msec progress_at;    /* when the other side was last seen to take something */
	struct buffer pending; /* frames until it is open */
	uint64_t pending_count;
	uint64_t written;    /* bytes given to the stream */
	uint64_t taken;      /* of them, taken by the system when last looked at */
	uint32_t unanswered; /* exchanges: pieces */
};

/* A member. */
struct peer {
	uint64_t id;
	char *address;       /* "": not known */
	bool wanted;         /* something has been sent to it */
	bool is_up;          /* the handler believes so */
	struct link *out;
	struct link *in;
	uint64_t generation; /* the highest that has connected */
	msec backoff;
	UT_hash_handle hh;
};

TAILQ_HEAD(link_list, link);

struct peers {
	struct loop *loop;
	struct resolver *resolver;
	const struct peers_handler *handler;
	void *context;
	char *cluster_id;
	char *name;
	char *address;
	struct connection_node self;
	struct connection_config config; /* of outgoing connections */
	struct random random;
	uint32_t connections_max;
	msec connect_ms;
	msec answer_ms;
	msec idle_ms;
	msec stall_ms;
	struct peer *members;
	struct link_list links;
	uint32_t incoming_count;  /* of members */
	uint32_t exchanges_in;
	uint32_t exchanges_out;
	bool reading;
	struct buffer out;
	struct arena arena;
	struct peers_counts counts;
	msec quiet_until[REFUSAL_COUNT]; /* for the log */
	uint32_t unsaid[REFUSAL_COUNT];
	msec failed_quiet_until;
};

/* link.c */
struct link *link_create(struct peers *peers, const char *address, struct peer *peer, msec dial_at);
struct link *link_take(struct peers *peers, struct stream *take_stream, struct connection *take_connection);
void link_destroy(struct link *link); /* at once, without a word; NULL is fine */
/* Tells the other side why, lets that go out, then closes. The owner has let go of it, or is told by peers_link_over. */
void link_end(struct link *link, const struct error *cause);
/* It is of no use any more: the owner is told, nothing is said to the other side. */
void link_fail(struct link *link, const char *reason);
void link_wake(struct link *link); /* WAITING: dials soon, from the loop */
/* Queues a frame. false: it is too large or there is no room. */
bool link_send(struct link *link, enum frame_type type, uint32_t stream, const ProtobufCMessage *message,
               const struct slice *payload, size_t payload_count);

/* From link.c to the owner. */
void peers_link_open(struct link *link);
void peers_link_frame(struct link *link, const struct frame *frame, const ProtobufCMessage *message);
/* It has ended, or could not be made. The owner lets go of it; link.c destroys it. */
void peers_link_over(struct link *link, const char *reason);
void peers_link_due(struct link *link); /* OPEN: its timer */

/* exchanges.c, likewise for links that carry exchanges. */
void exchanges_link_open(struct link *link);
void exchanges_link_frame(struct link *link, const struct frame *frame);
void exchanges_link_over(struct link *link);
void exchanges_link_due(struct link *link);

#endif
