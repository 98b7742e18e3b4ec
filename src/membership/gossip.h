/* Who is in the cluster, and what each member says of itself: SWIM (Das, Gupta, Motivala 2002) with Lifeguard (Dadgar, Phillips, Currey
 * 2018), as memberlist has made it common: events in, effects out. It reads no clock, draws from a generator that it was given a seed
 * for, and opens no socket.
 *
 * How a host goes about it:
 *   - gossip_create, then an event for each thing that happens, each with the time. GOSSIP_TICK when gossip_deadline has come; a
 *     deadline in the past means "at the end of this turn".
 *   - After each step the effects are carried out. What they point to is the core's, and holds until the next step.
 *   - Datagrams may be lost, doubled, late and in any order. What comes is never trusted: what cannot be is dropped and counted. That a
 *     message is of who has the cluster's secret is for the host to see to, which seals datagrams (GOSSIP_SEAL_SIZE) and streams.
 *   - An exchange begins with an effect that is not a reply: open a stream to the address (or take one that is open), send the message.
 *     Every message that comes over a stream is a GOSSIP_EXCHANGE event; what answers it is an effect of that very step with `reply`,
 *     one at most, and goes back over the same stream. When the stream cannot be opened, GOSSIP_EXCHANGE_FAILED.
 *   - Watching: take a snapshot with gossip_next and the number gossip_sequence gives; every change after it has a higher number.
 *
 * Two members that say to be the same: the newcomer is told (`conflict`), after the one that is known has answered once more. A
 * newer generation at the same address takes the place of the older one at once; so it does at another address when the older one is not
 * there any more. An older generation never takes the place of a newer one.
 *
 * Times are milliseconds of a monotonic clock (`now`), stamps come of the wall clock. Addresses are "IP:PORT", the advertised ones: what
 * a member listens on is not known here. */
#ifndef CLUSTERD_MEMBERSHIP_GOSSIP_H
#define CLUSTERD_MEMBERSHIP_GOSSIP_H

#include "membership/clock.h"
#include "membership/message.h"

struct gossip;
struct gossip_shared;

#define GOSSIP_MEMBERS_MAX 65000 /* more are refused, and counted */
#define GOSSIP_SEEDS_MAX 64
#define GOSSIP_HEALTH_MAX 8      /* of the local health multiplier; 0 is best */

/* Keys that this project uses. All are texts. */
#define GOSSIP_KEY_ROLE "role"
#define GOSSIP_KEY_DATACENTER "datacenter"
#define GOSSIP_KEY_TAG "tag." /* and its name */
#define GOSSIP_KEY_CPU "cpu" /* thousandths of a processor that it has for tasks */
#define GOSSIP_KEY_MEMORY "memory" /* bytes of them */
#define GOSSIP_KEY_PORTS "ports" /* LOW-HIGH */

struct gossip_config {
	uint64_t id;             /* 1 … GOSSIP_ID_MAX */
	uint64_t generation;     /* 1 … GOSSIP_ID_MAX; higher at each start of the node */
	const char *name;        /* unlike those of others */
	const char *address;     /* as others reach it */
	const char *cluster_id;  /* "": none yet; GOSSIP_CLUSTER says it later */
	const struct gossip_pair *pairs; /* what it says of itself from the start; versions are given here. Borrowed for the call */
	size_t pair_count;
	uint64_t seed;           /* of all that is random: another one on every node and at every start */
	struct clock *clock;     /* the node's; borrowed for life. NULL: messages carry no stamp, and theirs are not observed */
	struct gossip_shared *shared; /* NULL, but for many cores in one process (gossip_shared_create); borrowed for life */

	/* Settings; 0: the default, which is for nodes of one site (round trips below 30 ms). */
	msec probe_ms;           /* 200: a member is probed every so often (SWIM's protocol period), by a node in good health */
	msec probe_timeout_ms;   /* 2/5 of probe_ms: then others are asked to probe it; below probe_ms */
	msec spread_ms;          /* 100: how often updates are sent beside those that ride on probes */
	msec exchange_ms;        /* 10,000: how often all is compared with one member; grows with the logarithm of the cluster */
	msec rejoin_ms;          /* 500: how often seeds are contacted while alone; waits become longer, up to four times */
	msec reconnect_ms;       /* 2,000: how often one failed member or unheard seed is tried (seeds: every tenth time) */
	msec dead_grace_ms;      /* 3,600,000: failed and left members are kept so long, then forgotten */
	msec tombstone_ms;       /* 600,000: deleted keys are kept so long by whose they are */
	msec leave_ms;           /* 1,500: leaving takes this long at most */
	uint32_t indirect;       /* 3: members asked to probe for another */
	uint32_t fanout;         /* 3: members that updates are sent to every spread_ms */
	uint32_t spread_factor;  /* 4: an update is sent at most this × ⌈log10(n + 1)⌉ times by each */
	uint32_t suspicion_min;  /* 3: shortest suspicion = this × max(1, log10 n) × probe_ms (Lifeguard's α) */
	uint32_t suspicion_max;  /* 6: longest = this × shortest (β); independent confirmations shorten it */
};

/* A member as it is known. Pointers hold until the next step. */
struct gossip_member {
	uint64_t id;
	uint64_t generation;
	uint32_t incarnation;
	enum gossip_state state;
	const char *name;
	const char *address;
	uint64_t version;                /* of its pairs */
	const struct gossip_pair *pairs; /* in ascending order of keys, without deleted ones */
	size_t pair_count;
	msec since;                      /* FAILED, LEFT: when (of `now`); else 0 */
	bool self;
};

enum gossip_event_kind {
	GOSSIP_TICK,            /* the deadline has come */
	GOSSIP_DATAGRAM,        /* `message` came from `source` */
	GOSSIP_EXCHANGE,        /* `message` came over a stream */
	GOSSIP_EXCHANGE_FAILED, /* the exchange with `source`, the address of the effect, cannot be had, or its stream broke */
	GOSSIP_JOIN,            /* these are the seeds now; they need not be up, and may be this node itself */
	GOSSIP_LEAVE,           /* tell the others; `left` says when that is done. There is no way back but a new generation */
	GOSSIP_SET,             /* this node's key has this value now */
	GOSSIP_DELETE,          /* it has none now. result: 0, ERR_NOT_FOUND */
	GOSSIP_CLUSTER,         /* this node belongs to cluster_id now. result: 0, ERR_CONFLICT (it belongs to another) */
	GOSSIP_DOUBT,           /* something else (a connection that broke) makes doubt `member`: it is probed next */
};

struct gossip_event {
	enum gossip_event_kind kind;
	msec wall;                            /* milliseconds since 1970, as the wall clock says; all events */
	const struct gossip_message *message; /* DATAGRAM, EXCHANGE: borrowed for the step */
	const char *source;                   /* DATAGRAM, EXCHANGE: where it came from; EXCHANGE_FAILED */
	const char *const *seeds;             /* JOIN */
	size_t seed_count;
	struct slice key;                     /* SET, DELETE */
	struct slice value;                   /* SET */
	const char *cluster_id;               /* CLUSTER */
	uint64_t member;                      /* DOUBT */
};

struct gossip_datagram {
	const char *address;
	const struct gossip_message *message;
};

struct gossip_exchange {
	bool reply;          /* goes back over the stream that the message of this step came by */
	const char *address; /* not reply: who to open a stream to */
	const struct gossip_message *message;
};

enum gossip_change_kind {
	GOSSIP_JOINED,    /* new, or back after it had failed or left, or started anew: its former generation is gone */
	GOSSIP_UPDATED,   /* key-values or address changed, or a suspicion was refuted */
	GOSSIP_SUSPECTED, /* it does not answer; still to be counted as live */
	GOSSIP_HAS_FAILED,
	GOSSIP_HAS_LEFT,
	GOSSIP_FORGOTTEN, /* the dead-node grace is over, or this node starts over after a long pause */
};

struct gossip_change {
	uint64_t sequence; /* 1, 2, … */
	enum gossip_change_kind kind;
	struct gossip_member member; /* as it is after the change; FORGOTTEN: as it was */
};

/* Another cluster than this node's was heard of. A node without a cluster does nothing about it by itself. */
struct gossip_sighting {
	char cluster_id[GOSSIP_CLUSTER_ID_SIZE];
	char address[GOSSIP_ADDRESS_MAX + 1]; /* where it was heard */
};

/* This node cannot be a member as it is: to be said and, as a rule, a reason to stop. The core goes on trying. */
struct gossip_conflict {
	enum gossip_refusal reason;    /* ID, NAME, GENERATION (`generation` is the newest known: start with a higher one), PROTOCOL */
	uint64_t holder;               /* the member that has the id or name */
	uint64_t generation;
	char address[GOSSIP_ADDRESS_MAX + 1]; /* its address */
};

struct gossip_effects {
	int result; /* SET: 0, ERR_INVALID, ERR_LIMIT; others as above */
	const struct gossip_datagram *datagrams;
	size_t datagram_count;
	const struct gossip_exchange *exchanges;
	size_t exchange_count;
	const struct gossip_change *changes;
	size_t change_count;
	const struct gossip_sighting *sighting; /* NULL: none */
	const struct gossip_conflict *conflict; /* NULL: none */
	bool left;                              /* once, after GOSSIP_LEAVE: all that could be done is done */
};

/* 0; ERR_INVALID (id, generation, name, address, cluster id, settings that contradict one another), ERR_LIMIT (pairs). */
int gossip_create(const struct gossip_config *config, struct gossip **ret_gossip);
void gossip_destroy(struct gossip *gossip); /* NULL is fine */
void gossip_step(struct gossip *gossip, msec now, const struct gossip_event *event, struct gossip_effects *ret_effects);
/* When GOSSIP_TICK is wanted: MSEC_NEVER, or a time; in the past for "at once". */
msec gossip_deadline(const struct gossip *gossip);

/* What many cores of one process need to have only once: profiles of members that are equal. For simulations. Destroyed after all
 * cores that use it. */
struct gossip_shared *gossip_shared_create(void);
void gossip_shared_destroy(struct gossip_shared *shared);

/* --- looking at it ------------------------------------------------------------------------------------------------- */

/* All known members, this node and those that failed or left with them. */
bool gossip_find(const struct gossip *gossip, uint64_t id, struct gossip_member *ret_member);
/* A live one if there is one; else one that failed or left. */
bool gossip_find_name(const struct gossip *gossip, const char *name, struct gossip_member *ret_member);
/* The one with the next higher id; 0: the first. false: there is none. */
bool gossip_next(const struct gossip *gossip, uint64_t id, struct gossip_member *ret_member);
/* The value of a member's key; false: it has none. */
bool gossip_value(const struct gossip_member *member, const char *key, struct slice *ret_value);
bool gossip_is_live(const struct gossip_member *member); /* alive or suspect */
uint64_t gossip_sequence(const struct gossip *gossip);   /* of the last change */
const char *gossip_cluster_id(const struct gossip *gossip);
const char *gossip_change_name(enum gossip_change_kind kind); /* "joined", … */

struct gossip_statistics {
	size_t live;        /* alive or suspect, with this node */
	size_t suspect;
	size_t dead;        /* failed or left, not forgotten yet */
	size_t datacenters; /* that live members name */
	uint32_t health;    /* 0 … GOSSIP_HEALTH_MAX: waits and periods are this + 1 times as long (Lifeguard, IV-A) */
};

/* Goes through all members. */
void gossip_statistics(const struct gossip *gossip, struct gossip_statistics *ret_statistics);

struct gossip_counts {
	uint64_t probes;              /* begun */
	uint64_t probes_failed;       /* neither answered nor vouched for by others */
	uint64_t acks;                /* that came in time */
	uint64_t indirect;            /* probes asked of others */
	uint64_t relayed;             /* probes done for others */
	uint64_t suspicions;          /* begun here, of own probes */
	uint64_t refuted;             /* that this node is suspect or failed, refuted by it */
	uint64_t false_suspicions;    /* of others, refuted by them */
	uint64_t failed;              /* members declared failed here, not by others */
	uint64_t datagrams_in;
	uint64_t datagrams_out;
	uint64_t exchanges;           /* begun */
	uint64_t exchanges_failed;    /* could not be had, or had no answer in time */
	uint64_t resets;              /* key-values of a member taken anew since tombstones were missed */
	uint64_t pauses;              /* times that this node was not run for long */
	uint64_t refused_cluster;     /* messages: of another cluster */
	uint64_t refused_protocol;    /* of another version */
	uint64_t refused_malformed;   /* that no member says */
	uint64_t refused_stale;       /* of a former generation, or for one that is not this node */
	uint64_t refused_conflict;    /* of who has a live member's id or name */
	uint64_t refused_forgotten;   /* claims that bring back who was forgotten */
	uint64_t refused_full;        /* GOSSIP_MEMBERS_MAX, or another table is full */
	uint64_t refused_stamps;      /* too far ahead of the wall clock */
};

const struct gossip_counts *gossip_counts(const struct gossip *gossip);

#endif
