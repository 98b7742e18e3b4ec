/* The table of members: 36 bytes for each, beside its profile. A member keeps its place (`slot`) while it is known. For the files of this
 * directory only. */
#ifndef CLUSTERD_MEMBERSHIP_MEMBERS_H
#define CLUSTERD_MEMBERSHIP_MEMBERS_H

#include "base/random.h"
#include "membership/profile.h"

#define NO_SLOT UINT16_MAX
#define NO_PLACE UINT16_MAX

struct record {
	uint64_t id; /* 0: the slot is free */
	struct profile *profile;
	uint32_t incarnation;
	uint16_t place;     /* in `live` or `departed`; this node has none */
	uint16_t rumour;    /* in the queue of updates; NO_PLACE: none */
	uint16_t suspicion; /* likewise */
	uint8_t state;      /* enum gossip_state */
};

struct departed {
	uint16_t slot;
	msec since;
};

/* Who was forgotten, and as what: claims that are not newer do not bring it back (Demers et al. 1987: dormant death certificates). */
struct certificate {
	uint64_t id;
	uint64_t generation;
	uint32_t incarnation;
	bool left;
	msec until;
	msec asked_at; /* when it was asked whether it is there after all, since others say so */
};

#define CERTIFICATES_MAX 4096 /* the oldest goes for a newer one */

struct members {
	struct record *records;
	size_t record_count, record_capacity;
	uint16_t free;           /* a free slot, which names the next one in `place` */
	uint16_t *sorted;        /* slots by id */
	size_t count, sorted_capacity;
	uint16_t *live;          /* slots of all that are alive or suspect, but this node's. Before `probed`: had their turn */
	size_t live_count, live_capacity;
	size_t probed;
	struct departed *departed;
	size_t departed_count, departed_capacity;
	struct certificate *certificates; /* a ring */
	size_t certificate_count, certificate_next;
};

void members_init(struct members *members);
void members_finish(struct members *members);
void members_reserve(struct members *members, size_t count);

static inline struct record *members_at(const struct members *members, uint16_t slot)
{
	return &members->records[slot];
}

uint16_t members_find(const struct members *members, uint64_t id); /* NO_SLOT: not known */
/* The place in `sorted` of the first id that is not below. */
size_t members_place(const struct members *members, uint64_t id);
/* A new one, alive; there must be room (GOSSIP_MEMBERS_MAX). `self`: is not in `live`. */
uint16_t members_add(struct members *members, uint64_t id, struct profile *take_profile, uint32_t incarnation, bool self);
/* Changes the state; `since`: of FAILED and LEFT. */
void members_set_state(struct members *members, uint16_t slot, enum gossip_state state, msec since);
msec members_since(const struct members *members, uint16_t slot); /* 0: it is live */
/* Forgets one that is departed, or any; a certificate is kept until `until`, 0: none. */
void members_remove(struct members *members, uint16_t slot, msec until);

/* The next to be probed: each once, in an order drawn anew for each round (SWIM, 4.3); one that joins has its turn in the round under way.
 * NO_SLOT: there is none. */
uint16_t members_next_probe(struct members *members, struct random *random);
uint16_t members_random(const struct members *members, struct random *random); /* live; NO_SLOT: none */

/* NULL: nothing is held against it. */
struct certificate *members_certificate(const struct members *members, uint64_t id, msec now);

#endif
