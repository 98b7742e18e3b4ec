/* The parts of the membership core, for its own files (and simulations that plant bugs) only:
 *   gossip.c      life, events, what is due, pauses
 *   hearing.c     messages that come: whether they may be, whose they are
 *   outbox.c      effects: messages, changes, what they point to
 *   merge.c       claims about members: which is newer, what comes of it
 *   newcomer.c    those that have somebody's id or name
 *   probe.c       probing, for itself and for others; local health
 *   suspicion.c   suspicions and failures
 *   spread.c      what is told with each datagram
 *   exchange.c    comparing all with one member
 *   join.c        seeds, failed members that may be back, other clusters
 *   own.c         this node's key-values, refutation, leaving
 *   look.c        what others may know
 *   members.c, profile.c, rumours.c   what these are made of */
#ifndef CLUSTERD_MEMBERSHIP_GOSSIP_INTERNAL_H
#define CLUSTERD_MEMBERSHIP_GOSSIP_INTERNAL_H

#include "base/arena.h"
#include "base/random.h"
#include "membership/gossip.h"
#include "membership/members.h"
#include "membership/rumours.h"

#define PROBES_MAX 8        /* under way at once */
#define RELAYS_MAX 64       /* probes for others */
#define ATTEMPTS_FROM 64    /* so many other members, and two probes must fail before one is suspect */
#define CONFIRMATIONS_MAX 3 /* independent ones that shorten a suspicion (Lifeguard's K) */
#define CLAIMS_MAX 8
#define FLIGHTS_MAX 4       /* exchanges under way */
#define PENDING_WANTS_MAX 16 /* in one step */
#define RECENT_WANTS 32     /* that are not repeated for a while */
#define ANSWERS_MAX 4       /* datagrams with what was wanted, for one message */
#define FLIGHT_MESSAGES_MAX 1024
#define FLIGHT_MS 3000      /* without an answer for so long an exchange has failed */
#define VERDICT_MS 5000     /* who was refused is told again for so long */

typedef char address_text[GOSSIP_ADDRESS_MAX + 1];

struct probe {
	uint64_t id; /* 0: free */
	uint64_t sequence;
	msec indirect_at;
	msec ends_at;
	uint32_t asked, nacks;
	bool indirect;  /* others have been asked */
	bool second;    /* the first attempt failed */
};

struct relay {
	uint64_t sequence; /* of the ping; 0: free */
	uint64_t target;
	uint64_t origin;
	uint64_t origin_sequence;
	address_text origin_address;
	msec nack_at; /* MSEC_NEVER: sent */
	msec ends_at;
};

struct suspicion {
	uint16_t slot;
	uint8_t expected;  /* independent confirmations */
	uint8_t confirmed;
	uint64_t from[CONFIRMATIONS_MAX + 1]; /* who suspects: the first, then those that confirm */
	msec began, at;
	msec shortest, longest;
};

/* Somebody new who has the id or the name of a live member: that one is asked whether it is there. */
struct claim {
	struct profile *profile; /* NULL: free */
	uint64_t id;
	uint32_t incarnation;
	address_text source;
	uint64_t request;   /* sequence of the newcomer's message */
	enum gossip_refusal reason;
	bool refused;
	uint64_t holder;
	uint64_t holder_generation;
	uint64_t sequence;  /* of the pings to the holder */
	msec again_at;      /* MSEC_NEVER: has been asked twice */
	msec ends_at;       /* of waiting for it, or of remembering that the newcomer was refused */
};

/* A member with this node's name, that came earlier: when it answers, this node is one too many. */
struct twin {
	uint64_t id; /* 0: none */
	uint64_t sequence;
	msec at;     /* when it is asked next */
};

struct flight {
	uint64_t sequence; /* 0: free */
	address_text address;
	msec ends_at;
	uint32_t messages;
	uint64_t cursor;
	bool all;          /* of one who is alone */
};

struct grave {
	uint64_t version; /* of a tombstone of this node's */
	msec at;
};

struct recent_want {
	uint64_t id;
	msec at;
};

struct gossip {
	/* What does not change. */
	uint64_t id;
	uint64_t generation;
	struct gossip_config settings; /* numbers only */
	struct clock *clock;
	struct gossip_shared *shared;

	struct random random;
	char cluster_id[GOSSIP_CLUSTER_ID_SIZE];
	struct members members;
	struct rumours rumours;
	uint16_t self; /* slot */
	uint64_t sequence;
	uint64_t change_sequence;
	uint32_t health;
	bool started, leaving, gone;
	bool quiet;        /* what is learned now everybody else knows */
	uint64_t reunited; /* a failed member that is back: the next exchange is with it; 0: none */
	msec exchanged_at;

	struct probe probes[PROBES_MAX];
	struct relay *relays;
	size_t relay_count, relay_capacity;
	struct suspicion *suspicions;
	size_t suspicion_count, suspicion_capacity;
	struct claim *claims; /* CLAIMS_MAX, or NULL */
	struct twin twin;
	struct flight flights[FLIGHTS_MAX];
	address_text *seeds;
	size_t seed_count, seed_next;
	address_text *recalled; /* after a long pause: who was there before */
	size_t recalled_count;
	struct grave graves[GOSSIP_PAIRS_MAX];
	size_t grave_count;
	struct recent_want recent[RECENT_WANTS];
	size_t recent_next;

	/* When what is due; in the past: at once. MSEC_NEVER: not. */
	msec next_probe, next_spread, next_exchange, next_rejoin, next_reconnect, next_forget, suspicion_next, leave_ends;
	uint32_t rejoins, reconnects;
	uint32_t young; /* exchanges that still follow one another faster, since this node has just come */
	msec deadline; /* of all */

	/* Of this step. */
	msec now, wall;
	uint64_t stamp;
	struct arena arena;
	struct profile **held;
	size_t held_count, held_capacity;
	struct gossip_datagram *datagrams;
	size_t datagram_count, datagram_capacity;
	struct gossip_exchange exchanges[FLIGHTS_MAX + 1];
	size_t exchange_count;
	struct gossip_change *changes;
	size_t change_count, change_capacity;
	uint64_t wants[PENDING_WANTS_MAX]; /* of who has sent the message of this step */
	size_t want_count;
	struct gossip_sighting sighting;
	struct gossip_conflict conflict;
	bool sighted, conflicted, left;
	int result;

	struct gossip_counts counts;
};

/* A message that was let in. */
struct hearing {
	const struct gossip_message *message;
	const char *source;
	bool stream;
	uint16_t sender; /* slot, when it is known with this generation; else NO_SLOT */
};

static inline struct record *record_of(const struct gossip *gossip, uint16_t slot)
{
	return members_at(&gossip->members, slot);
}

static inline bool is_live_state(unsigned state)
{
	return state == GOSSIP_ALIVE || state == GOSSIP_SUSPECT;
}

/* hearing.c */
void hear(struct gossip *gossip, const struct gossip_event *event);
/* Where to answer: the address the sender advertises when it is known, else where the message came from. */
const char *answer_address(const struct gossip *gossip, const struct hearing *hearing);
void refuse(struct gossip *gossip, const struct gossip_message *message, const char *source, bool stream,
            enum gossip_refusal reason, const struct record *holder);

/* outbox.c */
void outbox_begin(struct gossip *gossip);
void outbox_end(struct gossip *gossip, struct gossip_effects *ret_effects);
void gossip_outbox_finish(struct gossip *gossip);
/* A message of this step, with its head. */
struct gossip_message *outbox_message(struct gossip *gossip, enum gossip_message_kind kind);
void outbox_send(struct gossip *gossip, const char *address, const struct gossip_message *message);
void outbox_exchange(struct gossip *gossip, const char *address, const struct gossip_message *message);
void outbox_reply(struct gossip *gossip, const struct gossip_message *message);
void outbox_change(struct gossip *gossip, enum gossip_change_kind kind, uint16_t slot);
void outbox_hold(struct gossip *gossip, struct profile *profile);
void member_view(const struct gossip *gossip, uint16_t slot, struct gossip_member *ret_member);

/* Fills a message with updates up to a size. */
struct packing {
	struct gossip *gossip;
	struct gossip_message *message;
	size_t size, limit;
	struct gossip_update *updates;
	size_t count, capacity;
};

void packing_begin(struct packing *packing, struct gossip *gossip, struct gossip_message *message, size_t limit);
/* What is known of a member; `base`: with key-values after this version. false: no room. */
bool packing_add(struct packing *packing, uint16_t slot, bool profile, uint64_t base, uint64_t from);
void packing_end(struct packing *packing);

/* The only update of a message: as what somebody was forgotten. */
void put_certificate(struct gossip *gossip, struct gossip_message *message, const struct certificate *held);

/* merge.c */
void merge(struct gossip *gossip, const struct hearing *hearing, const struct gossip_update *update);
/* What is said is let in, whoever else has its name: a newcomer, or a new generation of somebody. Takes the profile. */
void admit(struct gossip *gossip, uint64_t id, uint32_t incarnation, struct profile *take_profile);
void want(struct gossip *gossip, uint64_t id);
/* Whether a departed member that was seen so long ago is still worth knowing. */
bool worth_knowing(const struct gossip *gossip, uint64_t since_ms);
bool is_forgotten(const struct gossip *gossip, uint64_t id, uint64_t generation, uint32_t incarnation);
/* Whether who was forgotten, and is there as others say, can be asked; not too often. */
bool may_inquire(const struct gossip *gossip, uint64_t id, uint64_t generation, enum gossip_state state);

/* newcomer.c */
/* Whether somebody live stands against it: then that one is asked, and the newcomer is let in or told later. */
bool newcomer_waits(struct gossip *gossip, const struct hearing *hearing, const struct gossip_update *update);
/* The newcomer was refused a moment ago: tell it again. */
bool newcomer_refused(struct gossip *gossip, const struct hearing *hearing);
bool newcomer_ack(struct gossip *gossip, const struct gossip_message *message);
/* Whether one that was let in elsewhere has this node's name. */
void newcomer_compare(struct gossip *gossip, uint16_t slot);
void newcomer_due(struct gossip *gossip);
void newcomer_finish(struct gossip *gossip);

/* probe.c */
void probe_due(struct gossip *gossip);
void probe_start(struct gossip *gossip, uint16_t slot);
void doubt(struct gossip *gossip, uint16_t slot);
void hear_ping(struct gossip *gossip, const struct hearing *hearing);
void hear_ping_request(struct gossip *gossip, const struct hearing *hearing);
void hear_ack(struct gossip *gossip, const struct hearing *hearing);
void hear_nack(struct gossip *gossip, const struct hearing *hearing);
void health_add(struct gossip *gossip, int change);
void send_ping(struct gossip *gossip, const char *address, uint64_t target, uint64_t sequence, uint16_t slot);

/* suspicion.c */
void suspect(struct gossip *gossip, uint16_t slot, uint64_t from);
void confirm(struct gossip *gossip, uint16_t slot, uint64_t from);
void suspicion_end(struct gossip *gossip, uint16_t slot);
void suspicion_due(struct gossip *gossip);
void depart(struct gossip *gossip, uint16_t slot, enum gossip_state state, msec since, uint64_t from);
void forget_due(struct gossip *gossip);
void forget(struct gossip *gossip, uint16_t slot, msec certificate_until);

/* spread.c */
void rumour(struct gossip *gossip, uint16_t slot, bool profile, uint64_t base, uint64_t from);
void rumour_end(struct gossip *gossip, uint16_t slot);
void spread_due(struct gossip *gossip);
/* Fills up a datagram with what is to be told and with wants, and sends it. `about`: first of all, what this node holds of it when it is
 * not well (the buddy system, Lifeguard, IV-C); NO_SLOT: nothing. */
void spread_with(struct gossip *gossip, const char *address, struct gossip_message *message, uint16_t about);
void answer_wants(struct gossip *gossip, const struct hearing *hearing);
uint32_t spread_limit(const struct gossip *gossip);

/* exchange.c */
void exchange_due(struct gossip *gossip);
void exchange_begin(struct gossip *gossip, const char *address, bool all);
/* With a member that was thought to have failed, and may know others that were. */
void exchange_soon(struct gossip *gossip, uint64_t id);
void exchange_failed(struct gossip *gossip, const char *address);
void exchange_end(struct gossip *gossip, struct flight *flight);
struct flight *exchange_find(struct gossip *gossip, uint64_t sequence);
void hear_exchange(struct gossip *gossip, const struct hearing *hearing);

/* join.c */
void join(struct gossip *gossip, const char *const *seeds, size_t count);
void join_due(struct gossip *gossip);
bool join_wanted(const struct gossip *gossip);
void sight(struct gossip *gossip, const char *cluster_id, const char *source);
void start_over(struct gossip *gossip);

/* own.c */
int own_set(struct gossip *gossip, struct slice key, struct slice value);
int own_delete(struct gossip *gossip, struct slice key);
void own_due(struct gossip *gossip);
msec own_deadline(const struct gossip *gossip);
void own_claimed(struct gossip *gossip, const struct hearing *hearing, const struct gossip_update *update);
void own_refused(struct gossip *gossip, const struct gossip_message *message);
int own_cluster(struct gossip *gossip, const char *cluster_id);
void leave(struct gossip *gossip);
void conflict(struct gossip *gossip, enum gossip_refusal reason, uint64_t holder, uint64_t generation,
              struct slice address);

#endif
