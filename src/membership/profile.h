/* What a member says of itself: name, address, versioned key-values. Immutable and counted, so that effects can point to one that has
 * been replaced, and cores of one process can share those that are equal. For the files of this directory only. */
#ifndef CLUSTERD_MEMBERSHIP_PROFILE_H
#define CLUSTERD_MEMBERSHIP_PROFILE_H

#include "base/arena.h"
#include "membership/message.h"

struct gossip_shared;

struct profile {
	uint32_t references;
	uint32_t pair_count; /* all; … */
	uint32_t live_count; /* … first those that are not deleted, by key, then tombstones, by key */
	uint64_t hash;       /* shared: its place */
	uint64_t generation; /* whose versions these are */
	uint64_t version;
	uint64_t collected;
	const char *name; /* terminated */
	const char *address;
	struct profile *next; /* shared: in the same bucket */
	struct gossip_shared *shared;
	struct gossip_pair pairs[]; /* then the texts */
};

/* `all`: a profile with base 0. One reference, the caller's. */
struct profile *profile_create(struct gossip_shared *shared, uint64_t generation, const struct gossip_profile *all);
struct profile *profile_hold(struct profile *profile);
void profile_release(struct profile *profile); /* NULL is fine */

/* What comes of `profile` and a change that begins at or below its version; NULL: it would break a limit. */
struct profile *profile_change(const struct profile *profile, const struct gossip_profile *change);
/* The same without the tombstones that are as old as `version`. */
struct profile *profile_collect(const struct profile *profile, uint64_t version);

/* What a member needs who has version `base` (0: nothing): only what changed, or all when there are tombstones that it may have
 * missed. Points into `profile`, and into `arena`. */
const struct gossip_profile *profile_since(const struct profile *profile, uint64_t base, struct arena *arena);

#endif
