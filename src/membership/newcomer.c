/* Somebody comes with the id or the name of a member that is thought to be live. Before it is told that it cannot, that member must answer
 * once more: it may have crashed a moment ago, and this is its next life at another address. */
#include "membership/gossip_internal.h"

#include "base/memory.h"

#include <stdio.h>

static struct claim *find_claim(struct gossip *gossip, uint64_t id, uint64_t generation)
{
	for (size_t i = 0; gossip->claims != NULL && i < CLAIMS_MAX; i++) {
		struct claim *claim = &gossip->claims[i];
		if (claim->profile != NULL && claim->id == id && claim->profile->generation == generation)
			return claim;
	}
	return NULL;
}

static struct claim *unused_claim(struct gossip *gossip)
{
	if (gossip->claims == NULL)
		gossip->claims = mem_array(CLAIMS_MAX, sizeof *gossip->claims);
	for (size_t i = 0; i < CLAIMS_MAX; i++)
		if (gossip->claims[i].profile == NULL)
			return &gossip->claims[i];
	return NULL;
}

static void drop(struct claim *claim)
{
	profile_release(claim->profile);
	*claim = (struct claim){0};
}

static uint16_t find_namesake(const struct gossip *gossip, uint64_t id, struct slice name)
{
	if (slice_is(name, record_of(gossip, gossip->self)->profile->name))
		return gossip->self;
	for (size_t i = 0; i < gossip->members.live_count; i++) {
		const struct record *record = record_of(gossip, gossip->members.live[i]);
		if (record->id != id && slice_is(name, record->profile->name))
			return gossip->members.live[i];
	}
	return NO_SLOT;
}

static void ask_holder(struct gossip *gossip, const struct claim *claim)
{
	uint16_t slot = members_find(&gossip->members, claim->holder);
	if (slot != NO_SLOT)
		send_ping(gossip, record_of(gossip, slot)->profile->address, claim->holder, claim->sequence, slot);
}

static bool contest(struct gossip *gossip, const struct hearing *hearing, const struct gossip_update *update,
                    enum gossip_refusal reason, uint16_t holder)
{
	struct claim *claim = unused_claim(gossip);
	if (claim == NULL) {
		gossip->counts.refused_full++;
		return true;
	}
	*claim = (struct claim){
		.profile = profile_create(gossip->shared, update->generation, update->profile),
		.id = update->id,
		.incarnation = update->incarnation,
		.request = hearing->message->sequence,
		.reason = reason,
		.holder = record_of(gossip, holder)->id,
		.holder_generation = record_of(gossip, holder)->profile->generation,
		.sequence = ++gossip->sequence,
		.again_at = gossip->now + gossip->settings.probe_timeout_ms,
		.ends_at = gossip->now + 2 * gossip->settings.probe_ms,
	};
	snprintf(claim->source, sizeof claim->source, "%s", hearing->source);
	ask_holder(gossip, claim);
	return true;
}

bool newcomer_waits(struct gossip *gossip, const struct hearing *hearing, const struct gossip_update *update)
{
	if (find_claim(gossip, update->id, update->generation) != NULL)
		return true;
	uint16_t former = members_find(&gossip->members, update->id);
	if (former != NO_SLOT && is_live_state(record_of(gossip, former)->state) &&
	    !slice_is(update->profile->address, record_of(gossip, former)->profile->address))
		return contest(gossip, hearing, update, GOSSIP_REFUSED_ID, former);
	uint16_t namesake = find_namesake(gossip, update->id, update->profile->name);
	if (namesake == NO_SLOT)
		return false;
	if (namesake != gossip->self)
		return contest(gossip, hearing, update, GOSSIP_REFUSED_NAME, namesake);
	gossip->counts.refused_conflict++;
	refuse(gossip, hearing->message, hearing->source, hearing->stream, GOSSIP_REFUSED_NAME,
	       record_of(gossip, gossip->self));
	return true;
}

/* By datagram: its stream may be gone. It asks again, and then is told over the stream, too. */
static void refuse_newcomer(struct gossip *gossip, struct claim *claim)
{
	const struct gossip_message asked = {.kind = GOSSIP_PING, .sequence = claim->request};
	uint16_t holder = members_find(&gossip->members, claim->holder);
	gossip->counts.refused_conflict++;
	claim->refused = true;
	claim->ends_at = gossip->now + VERDICT_MS;
	if (holder != NO_SLOT)
		refuse(gossip, &asked, claim->source, false, claim->reason, record_of(gossip, holder));
}

bool newcomer_refused(struct gossip *gossip, const struct hearing *hearing)
{
	const struct gossip_message *message = hearing->message;
	const struct claim *claim = find_claim(gossip, message->from, message->generation);
	if (claim == NULL || !claim->refused)
		return false;
	uint16_t holder = members_find(&gossip->members, claim->holder);
	if (holder != NO_SLOT)
		refuse(gossip, message, hearing->source, hearing->stream, claim->reason, record_of(gossip, holder));
	return true;
}

static void accept_newcomer(struct gossip *gossip, struct claim *claim)
{
	uint16_t slot = members_find(&gossip->members, claim->id);
	if (slot == NO_SLOT || record_of(gossip, slot)->profile->generation < claim->profile->generation)
		admit(gossip, claim->id, claim->incarnation, profile_hold(claim->profile));
	drop(claim);
}

/* Two with one name that were let in at two places: the one that came later stops. */
void newcomer_compare(struct gossip *gossip, uint16_t slot)
{
	const struct profile *own = record_of(gossip, gossip->self)->profile;
	const struct record *other = record_of(gossip, slot);
	if (strcmp(own->name, other->profile->name) != 0)
		return;
	gossip->counts.refused_conflict++;
	if (own->generation > other->profile->generation ||
	    (own->generation == other->profile->generation && gossip->id > other->id))
		gossip->twin = (struct twin){.id = other->id, .sequence = ++gossip->sequence, .at = gossip->now};
}

static void ask_twin(struct gossip *gossip)
{
	uint16_t slot = members_find(&gossip->members, gossip->twin.id);
	if (slot == NO_SLOT || !is_live_state(record_of(gossip, slot)->state)) {
		gossip->twin = (struct twin){0};
		return;
	}
	gossip->twin.at = gossip->now + gossip->settings.probe_ms;
	send_ping(gossip, record_of(gossip, slot)->profile->address, gossip->twin.id, gossip->twin.sequence, slot);
}

static bool is_twin(struct gossip *gossip, const struct gossip_message *message)
{
	if (gossip->twin.id == 0 || message->from != gossip->twin.id || message->sequence != gossip->twin.sequence)
		return false;
	gossip->twin = (struct twin){0};
	conflict(gossip, GOSSIP_REFUSED_NAME, message->from, message->generation, message->address);
	return true;
}

bool newcomer_ack(struct gossip *gossip, const struct gossip_message *message)
{
	if (is_twin(gossip, message))
		return true;
	for (size_t i = 0; gossip->claims != NULL && i < CLAIMS_MAX; i++) {
		struct claim *claim = &gossip->claims[i];
		if (claim->profile == NULL || claim->refused || claim->sequence != message->sequence ||
		    claim->holder != message->from)
			continue;
		/* The newcomer itself, also reached at the former address. */
		if (claim->reason == GOSSIP_REFUSED_ID && message->generation == claim->profile->generation)
			accept_newcomer(gossip, claim);
		else
			refuse_newcomer(gossip, claim);
		return true;
	}
	return false;
}

void newcomer_due(struct gossip *gossip)
{
	if (gossip->twin.id != 0 && gossip->now >= gossip->twin.at)
		ask_twin(gossip);
	for (size_t i = 0; gossip->claims != NULL && i < CLAIMS_MAX; i++) {
		struct claim *claim = &gossip->claims[i];
		if (claim->profile == NULL)
			continue;
		if (!claim->refused && gossip->now >= claim->again_at) {
			claim->again_at = MSEC_NEVER;
			ask_holder(gossip, claim);
		}
		if (gossip->now < claim->ends_at)
			continue;
		if (claim->refused)
			drop(claim);
		else
			accept_newcomer(gossip, claim);
	}
}

void newcomer_finish(struct gossip *gossip)
{
	for (size_t i = 0; gossip->claims != NULL && i < CLAIMS_MAX; i++)
		drop(&gossip->claims[i]);
	mem_free(gossip->claims);
}
