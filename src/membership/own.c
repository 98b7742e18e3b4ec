#include "membership/gossip_internal.h"

#include "base/error.h"

#include <stdio.h>

#define LEAVE_AT_ONCE 16 /* members that are told directly */

void conflict(struct gossip *gossip, enum gossip_refusal reason, uint64_t holder, uint64_t generation,
              struct slice address)
{
	gossip->conflicted = true;
	gossip->conflict = (struct gossip_conflict){.reason = reason, .holder = holder, .generation = generation};
	snprintf(gossip->conflict.address, sizeof gossip->conflict.address, "%.*s", SLICE_ARGS(address));
}

/* --- key-values ---------------------------------------------------------------------------------------------------- */

static void replace_profile(struct gossip *gossip, struct profile *take_profile)
{
	struct record *self = record_of(gossip, gossip->self);
	uint64_t before = self->profile->version;
	profile_release(self->profile);
	self->profile = take_profile;
	if (before == take_profile->version)
		return;
	rumour(gossip, gossip->self, true, before, 0);
	outbox_change(gossip, GOSSIP_UPDATED, gossip->self);
}

static const struct gossip_pair *find_pair(const struct profile *profile, struct slice key)
{
	for (size_t i = 0; i < profile->pair_count; i++)
		if (slice_equal(profile->pairs[i].key, key))
			return &profile->pairs[i];
	return NULL;
}

/* Tombstones up to `version` go; who has missed them is told everything anew. */
static void collect(struct gossip *gossip, uint64_t version)
{
	struct record *self = record_of(gossip, gossip->self);
	size_t kept = 0;
	for (size_t i = 0; i < gossip->grave_count; i++)
		if (gossip->graves[i].version > version)
			gossip->graves[kept++] = gossip->graves[i];
	gossip->grave_count = kept;
	struct profile *collected = profile_collect(self->profile, version);
	if (collected != NULL)
		replace_profile(gossip, collected);
}

static int change(struct gossip *gossip, struct gossip_pair pair)
{
	for (int attempt = 0; attempt < 2; attempt++) {
		const struct profile *profile = record_of(gossip, gossip->self)->profile;
		pair.version = profile->version + 1;
		const struct gossip_profile news = {
			.base = profile->version,
			.version = pair.version,
			.collected = profile->collected,
			.pairs = &pair,
			.pair_count = 1,
		};
		struct profile *changed = profile_change(profile, &news);
		if (changed != NULL) {
			replace_profile(gossip, changed);
			return 0;
		}
		collect(gossip, profile->version); /* tombstones take room: they go before their time */
	}
	return ERR_LIMIT;
}

int own_set(struct gossip *gossip, struct slice key, struct slice value)
{
	if (!gossip_key_valid(key))
		return ERR_INVALID;
	if (!gossip_value_valid(value))
		return ERR_LIMIT;
	const struct gossip_pair *pair = find_pair(record_of(gossip, gossip->self)->profile, key);
	if (pair != NULL && !pair->deleted && slice_equal(pair->value, value))
		return 0;
	return change(gossip, (struct gossip_pair){.key = key, .value = value});
}

int own_delete(struct gossip *gossip, struct slice key)
{
	const struct gossip_pair *pair = find_pair(record_of(gossip, gossip->self)->profile, key);
	if (pair == NULL || pair->deleted)
		return ERR_NOT_FOUND;
	int code = change(gossip, (struct gossip_pair){.key = key, .value = SLICE(""), .deleted = true});
	if (code == 0 && gossip->grave_count < GOSSIP_PAIRS_MAX)
		gossip->graves[gossip->grave_count++] = (struct grave){
			record_of(gossip, gossip->self)->profile->version, gossip->now};
	return code;
}

msec own_deadline(const struct gossip *gossip)
{
	msec deadline = gossip->grave_count > 0 ? gossip->graves[0].at + gossip->settings.tombstone_ms : MSEC_NEVER;
	return gossip->leaving ? msec_earlier(deadline, gossip->leave_ends) : deadline;
}

/* --- what others say of this node ---------------------------------------------------------------------------------- */

static void refute(struct gossip *gossip, uint32_t incarnation)
{
	record_of(gossip, gossip->self)->incarnation = incarnation + 1;
	rumour(gossip, gossip->self, false, 0, 0);
	gossip->counts.refuted++;
	health_add(gossip, 1); /* Lifeguard, IV-A: those who doubt it may be right */
}

void own_claimed(struct gossip *gossip, const struct hearing *hearing, const struct gossip_update *update)
{
	const struct record *self = record_of(gossip, gossip->self);
	struct slice address = update->profile != NULL && update->profile->base == 0 ? update->profile->address
	                                                                             : SLICE("");
	if (update->generation > gossip->generation) {
		bool elsewhere = address.size != 0 && !slice_is(address, self->profile->address);
		gossip->counts.refused_conflict++;
		conflict(gossip, elsewhere ? GOSSIP_REFUSED_ID : GOSSIP_REFUSED_GENERATION, update->id,
		         update->generation, address);
		return;
	}
	if (update->generation < gossip->generation) {
		/* It knows a former life only. */
		if (!hearing->stream)
			rumour(gossip, gossip->self, true, 0, 0);
		return;
	}
	if (gossip->leaving)
		return;
	bool worn_out = update->incarnation == GOSSIP_INCARNATION_MAX; /* what no refutation can be above */
	if (update->state == GOSSIP_LEFT || (worn_out && update->state != GOSSIP_ALIVE))
		conflict(gossip, GOSSIP_REFUSED_GENERATION, update->id, update->generation, SLICE(""));
	else if (update->state != GOSSIP_ALIVE && update->incarnation >= self->incarnation)
		refute(gossip, update->incarnation);
	else if (update->incarnation > self->incarnation)
		record_of(gossip, gossip->self)->incarnation = update->incarnation;
}

void own_refused(struct gossip *gossip, const struct gossip_message *message)
{
	if (exchange_find(gossip, message->sequence) != NULL)
		conflict(gossip, message->refusal, message->holder, message->holder_generation,
		         message->holder_address);
}

int own_cluster(struct gossip *gossip, const char *cluster_id)
{
	if (!gossip_cluster_id_valid(cluster_id) || cluster_id[0] == '\0')
		return ERR_INVALID;
	if (gossip->cluster_id[0] != '\0' && strcmp(gossip->cluster_id, cluster_id) != 0)
		return ERR_CONFLICT;
	memcpy(gossip->cluster_id, cluster_id, sizeof gossip->cluster_id);
	gossip->rejoins = 0;
	gossip->next_rejoin = gossip->now;
	return 0;
}

/* --- leaving ------------------------------------------------------------------------------------------------------- */

void leave(struct gossip *gossip)
{
	struct members *members = &gossip->members;
	if (gossip->leaving)
		return;
	gossip->leaving = true;
	gossip->leave_ends = gossip->now + gossip->settings.leave_ms;
	members_set_state(members, gossip->self, GOSSIP_LEFT, 0);
	outbox_change(gossip, GOSSIP_HAS_LEFT, gossip->self);
	rumour(gossip, gossip->self, false, 0, 0);
	/* The limit of transmissions is for the rest: these here are told at once. */
	size_t first = (size_t)random_below(&gossip->random, members->live_count + 1);
	for (size_t i = 0; i < members->live_count && i < LEAVE_AT_ONCE; i++) {
		uint16_t slot = members->live[(first + i) % members->live_count];
		struct gossip_message *message = outbox_message(gossip, GOSSIP_SPREAD);
		struct packing packing;
		packing_begin(&packing, gossip, message, GOSSIP_DATAGRAM_MAX);
		packing_add(&packing, gossip->self, false, 0, 0);
		packing_end(&packing);
		outbox_send(gossip, record_of(gossip, slot)->profile->address, message);
	}
}

void own_due(struct gossip *gossip)
{
	while (gossip->grave_count > 0 && gossip->graves[0].at + gossip->settings.tombstone_ms <= gossip->now)
		collect(gossip, gossip->graves[0].version);
	if (!gossip->leaving || gossip->gone)
		return;
	bool told = record_of(gossip, gossip->self)->rumour == NO_PLACE || gossip->members.live_count == 0;
	if (told || gossip->now >= gossip->leave_ends)
		gossip->gone = gossip->left = true;
}
