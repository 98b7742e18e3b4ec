/* What members say to one another, as structs; wire/gossip.h packs them. Slices and arrays are borrowed.
 *
 * A datagram is one message of at most GOSSIP_DATAGRAM_MAX bytes when packed. An exchange (anti-entropy) is a chain of messages over a
 * stream: each is answered by at most one, of about GOSSIP_PIECE_SIZE bytes at most. */
#ifndef CLUSTERD_MEMBERSHIP_MESSAGE_H
#define CLUSTERD_MEMBERSHIP_MESSAGE_H

#include "base/slice.h"
#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GOSSIP_PROTOCOL 1 /* a message of another version is refused */

#define GOSSIP_ID_MAX (((uint64_t)1 << 53) - 1) /* ids and generations are 1 … this */
#define GOSSIP_INCARNATION_MAX ((uint32_t)1 << 31)
#define GOSSIP_CLUSTER_ID_SIZE 33               /* 32 lower-case hex digits and a NUL; "": none yet */
#define GOSSIP_NAME_MAX 64                      /* bytes; UTF-8 without control characters */
#define GOSSIP_ADDRESS_MAX 64                   /* "IP:PORT", "[IP]:PORT" */
#define GOSSIP_PAIRS_MAX 32                     /* of one member, deleted ones included */
#define GOSSIP_KEY_MAX 64
#define GOSSIP_VALUE_MAX 256
#define GOSSIP_PROFILE_SIZE_MAX 900             /* of all that a member says of itself, packed: it fits in a datagram */

#define GOSSIP_SEALED_MAX 1200                  /* of a datagram on the network, with what seals it … */
#define GOSSIP_SEAL_SIZE 32                     /* … which takes this much at most … */
#define GOSSIP_DATAGRAM_MAX (GOSSIP_SEALED_MAX - GOSSIP_SEAL_SIZE) /* … so that a packed message has this much */
#define GOSSIP_PIECE_SIZE (64u << 10)           /* of an exchange; one message may be larger by one bucket at most */
#define GOSSIP_PIECE_MAX (4u << 20)             /* what is longer is not even looked at */
#define GOSSIP_UPDATES_MAX 4096                 /* in one message; likewise the following */
#define GOSSIP_ROWS_MAX 65536
#define GOSSIP_WANTS_MAX 512
#define GOSSIP_BUCKETS_MAX 1024

/* Worse is higher: of two claims with the same incarnation the worse one counts (SWIM, 4.2). */
enum gossip_state { GOSSIP_ALIVE, GOSSIP_SUSPECT, GOSSIP_FAILED, GOSSIP_LEFT, GOSSIP_STATE_END };

/* One of a member's key-values. Each change takes the next number of the member's own version counter. */
struct gossip_pair {
	struct slice key;
	struct slice value;
	uint64_t version;
	bool deleted; /* a tombstone: the value is empty */
};

/* Who a member is and what it says of itself. */
struct gossip_profile {
	struct slice name;    /* empty: this is only what changed since `base`; known are name and address */
	struct slice address; /* advertised */
	uint64_t base;        /* pairs changed after this version are here; 0: all, and what is not here is gone */
	uint64_t version;     /* of the last change */
	uint64_t collected;   /* tombstones up to this version may be missing: who has less needs all */
	const struct gossip_pair *pairs;
	size_t pair_count;
};

/* A claim about a member: (generation, incarnation, state), in this order, says which of two is newer. */
struct gossip_update {
	uint64_t id;
	uint64_t generation;
	uint32_t incarnation;
	enum gossip_state state;
	uint64_t from;  /* SUSPECT, FAILED: who says so, for independent confirmations (Lifeguard, IV-B) */
	uint64_t since_ms; /* FAILED, LEFT in exchanges: so long ago */
	const struct gossip_profile *profile; /* NULL: nothing new in it */
};

/* What the sender of a digest has of a member. */
struct gossip_row {
	uint64_t id;
	uint64_t generation;
	uint32_t incarnation;
	enum gossip_state state; /* suspect counts as alive */
	uint64_t version;
	uint64_t since_ms;
};

enum gossip_refusal {
	GOSSIP_REFUSED_NONE,
	GOSSIP_REFUSED_CLUSTER,  /* of another cluster; cluster_id of the message says which one this is */
	GOSSIP_REFUSED_PROTOCOL, /* of another version of the protocol */
	GOSSIP_REFUSED_ID,       /* a live member at another address has the id */
	GOSSIP_REFUSED_NAME,     /* a live member has the name */
	GOSSIP_REFUSED_GENERATION, /* the id is known with a newer generation */
	GOSSIP_REFUSED_END,
};

enum gossip_message_kind {
	/* Datagrams. Each may carry updates and wants. */
	GOSSIP_PING,         /* to `target` (0: whoever is there): answer with ACK and the same sequence */
	GOSSIP_PING_REQUEST, /* ping `target` at target_address for me; ACK when it answers, NACK when it is late */
	GOSSIP_ACK,          /* `target` answered */
	GOSSIP_NACK,         /* it has not answered yet, but the one who was asked is well (Lifeguard, IV-A) */
	GOSSIP_SPREAD,       /* nothing but updates and wants */
	GOSSIP_REFUSAL,      /* also in exchanges */
	/* Exchanges. */
	GOSSIP_ASK_ALL,      /* who is alone: give me all members with ids above `cursor` */
	GOSSIP_ALL,          /* they, in ascending order, up to `cursor`; `last`: that was all */
	GOSSIP_COMPARE,      /* hashes of my buckets from `first_bucket` on; updates and wants of what was compared before */
	GOSSIP_DIGEST,       /* rows of all members in `buckets`, which differ; go on at `first_bucket` when not `last`;
	                      * updates that were wanted; `wants`: those for which there was no room */
	GOSSIP_MESSAGE_END,
};

struct gossip_message {
	enum gossip_message_kind kind;
	uint32_t protocol;
	char cluster_id[GOSSIP_CLUSTER_ID_SIZE];
	uint64_t from;
	uint64_t generation;
	struct slice address; /* the sender's, advertised */
	uint64_t stamp;       /* of the sender's hybrid clock (clock.h); 0: it has none */
	uint64_t sequence;    /* of the ping, or of the exchange; what answers has the same */

	uint64_t target;
	struct slice target_address;

	const struct gossip_update *updates;
	size_t update_count;
	const uint64_t *wants; /* ids of members of which the receiver shall send all it has */
	size_t want_count;

	enum gossip_refusal refusal;
	uint64_t holder;             /* REFUSAL for id, name, generation: who has it … */
	uint64_t holder_generation;
	struct slice holder_address; /* … and where */

	uint64_t cursor;
	bool last;
	uint32_t bucket_count; /* all that the sender divides members into; a power of two */
	uint32_t first_bucket;
	const uint64_t *hashes; /* of the buckets from first_bucket on */
	size_t hash_count;
	const uint32_t *buckets;
	size_t listed_count;
	const struct gossip_row *rows;
	size_t row_count;
};

/* Whether it can be what a member says: known kinds and states, texts within limits, ids that are ids. Says nothing of what is true. */
bool gossip_message_valid(const struct gossip_message *message);
bool gossip_is_exchange(enum gossip_message_kind kind); /* false: goes as a datagram */
bool gossip_name_valid(struct slice name);
bool gossip_address_valid(struct slice address);
bool gossip_cluster_id_valid(const char *cluster_id); /* "" is fine */
bool gossip_key_valid(struct slice key);
bool gossip_value_valid(struct slice value); /* any bytes, up to the limit */

/* Upper bounds of what these take when packed. */
size_t gossip_head_size(const struct gossip_message *message); /* all but updates, wants, hashes, buckets and rows */
size_t gossip_profile_size(const struct gossip_profile *profile);
size_t gossip_update_size(const struct gossip_update *update);
size_t gossip_row_size(const struct gossip_row *row);
#define GOSSIP_WANT_SIZE 8u
#define GOSSIP_HASH_SIZE 8u
#define GOSSIP_BUCKET_SIZE 2u

const char *gossip_state_name(enum gossip_state state);             /* "alive", … */
const char *gossip_message_name(enum gossip_message_kind kind);     /* "ping", … */
const char *gossip_refusal_name(enum gossip_refusal refusal);       /* "cluster", … */

#endif
