/* Claims about members. Which of two is newer: generation, then whether it has left, then incarnation, then the worse state (SWIM, 4.2). */
#include "membership/gossip_internal.h"

#include <assert.h>
#include <stdio.h>

/* The same member is asked for once in a period: two nodes that refuse what the other answers must not go on asking. */
void want(struct gossip *gossip, uint64_t id)
{
	if (gossip->want_count == PENDING_WANTS_MAX)
		return;
	for (size_t i = 0; i < RECENT_WANTS; i++)
		if (gossip->recent[i].id == id && gossip->now - gossip->recent[i].at < gossip->settings.probe_ms)
			return;
	gossip->recent[gossip->recent_next++ % RECENT_WANTS] = (struct recent_want){id, gossip->now};
	gossip->wants[gossip->want_count++] = id;
}

bool worth_knowing(const struct gossip *gossip, uint64_t since_ms)
{
	return since_ms < (uint64_t)gossip->settings.dead_grace_ms / 2;
}

bool is_forgotten(const struct gossip *gossip, uint64_t id, uint64_t generation, uint32_t incarnation)
{
	const struct certificate *held = members_certificate(&gossip->members, id, gossip->now);
	if (held == NULL || generation > held->generation)
		return false;
	return generation < held->generation || held->left || incarnation <= held->incarnation;
}

bool may_inquire(const struct gossip *gossip, uint64_t id, uint64_t generation, enum gossip_state state)
{
	const struct certificate *held = members_certificate(&gossip->members, id, gossip->now);
	return held != NULL && !held->left && held->generation == generation && is_live_state(state) &&
	       (held->asked_at == 0 || gossip->now - held->asked_at >= gossip->settings.reconnect_ms);
}

/* Others say that who was forgotten is there: it may be, and not know that it was given up here. It is told, and can refute that. */
static void inquire(struct gossip *gossip, const struct gossip_update *update)
{
	address_text address;
	if (!may_inquire(gossip, update->id, update->generation, update->state))
		return;
	if (update->profile == NULL || update->profile->base != 0) {
		want(gossip, update->id);
		return;
	}
	struct certificate *held = members_certificate(&gossip->members, update->id, gossip->now);
	held->asked_at = gossip->now;
	struct gossip_message *ping = outbox_message(gossip, GOSSIP_PING);
	ping->target = update->id;
	ping->sequence = ++gossip->sequence;
	put_certificate(gossip, ping, held);
	snprintf(address, sizeof address, "%.*s", SLICE_ARGS(update->profile->address));
	outbox_send(gossip, address, ping);
}

static void set_alive(struct gossip *gossip, uint16_t slot)
{
	suspicion_end(gossip, slot);
	members_set_state(&gossip->members, slot, GOSSIP_ALIVE, 0);
}

void admit(struct gossip *gossip, uint64_t id, uint32_t incarnation, struct profile *take_profile)
{
	uint16_t slot = members_find(&gossip->members, id);
	if (slot == NO_SLOT && gossip->members.count >= GOSSIP_MEMBERS_MAX) {
		gossip->counts.refused_full++;
		profile_release(take_profile);
		return;
	}
	if (slot == NO_SLOT) {
		slot = members_add(&gossip->members, id, take_profile, incarnation, false);
	} else {
		struct record *record = record_of(gossip, slot);
		assert(take_profile->generation > record->profile->generation);
		rumour_end(gossip, slot);
		profile_release(record->profile);
		record->profile = take_profile;
		record->incarnation = incarnation;
		set_alive(gossip, slot);
	}
	outbox_change(gossip, GOSSIP_JOINED, slot);
	rumour(gossip, slot, true, 0, 0);
	newcomer_compare(gossip, slot);
}

/* When it departed, as others say; what they say may be anything. */
static msec departed_at(const struct gossip *gossip, const struct gossip_update *update)
{
	uint64_t grace = (uint64_t)gossip->settings.dead_grace_ms;
	return gossip->now - (msec)(update->since_ms < grace ? update->since_ms : grace);
}

/* --- somebody new, or a new generation ----------------------------------------------------------------------------- */

static void merge_new(struct gossip *gossip, const struct hearing *hearing, const struct gossip_update *update)
{
	bool first_hand = update->id == hearing->message->from && update->generation == hearing->message->generation;
	bool departed = !is_live_state(update->state);
	if (is_forgotten(gossip, update->id, update->generation, update->incarnation)) {
		gossip->counts.refused_forgotten++;
		inquire(gossip, update);
		return;
	}
	if (departed && (!hearing->stream || !worth_knowing(gossip, update->since_ms)))
		return;
	if (update->profile == NULL || update->profile->base != 0) {
		want(gossip, update->id);
		return;
	}
	if (first_hand && newcomer_waits(gossip, hearing, update))
		return;
	admit(gossip, update->id, update->incarnation,
	      profile_create(gossip->shared, update->generation, update->profile));
	uint16_t slot = members_find(&gossip->members, update->id);
	if (slot == NO_SLOT)
		return;
	if (update->state == GOSSIP_SUSPECT)
		suspect(gossip, slot, update->from);
	if (departed) {
		depart(gossip, slot, update->state, departed_at(gossip, update), update->from);
		rumour_end(gossip, slot);
	}
}

/* --- somebody known ------------------------------------------------------------------------------------------------ */

static void merge_profile(struct gossip *gossip, uint16_t slot, const struct gossip_profile *news)
{
	struct record *record = record_of(gossip, slot);
	struct profile *known = record->profile;
	struct profile *changed = NULL;
	if (news->base == 0 && !slice_is(news->address, known->address)) {
		gossip->counts.refused_conflict++;
		return;
	}
	if (news->version <= known->version)
		return;
	if (news->base == 0)
		changed = profile_create(gossip->shared, known->generation, news);
	else if (news->base <= known->version)
		changed = profile_change(known, news);
	if (changed == NULL) {
		want(gossip, record->id);
		return;
	}
	gossip->counts.resets += known->version < news->collected;
	record->profile = changed;
	rumour(gossip, slot, true, known->version, 0);
	profile_release(known);
	outbox_change(gossip, GOSSIP_UPDATED, slot);
}

static void merge_alive(struct gossip *gossip, uint16_t slot, const struct gossip_update *update)
{
	struct record *record = record_of(gossip, slot);
	unsigned was = record->state;
	if (update->incarnation <= record->incarnation)
		return;
	record->incarnation = update->incarnation;
	rumour(gossip, slot, false, 0, 0);
	if (was == GOSSIP_ALIVE)
		return;
	set_alive(gossip, slot);
	outbox_change(gossip, was == GOSSIP_FAILED ? GOSSIP_JOINED : GOSSIP_UPDATED, slot);
	gossip->counts.false_suspicions++;
	if (was == GOSSIP_FAILED)
		exchange_soon(gossip, record->id);
}

static void merge_suspect(struct gossip *gossip, uint16_t slot, const struct gossip_update *update)
{
	struct record *record = record_of(gossip, slot);
	if (update->incarnation > record->incarnation) {
		bool was_failed = record->state == GOSSIP_FAILED;
		record->incarnation = update->incarnation;
		set_alive(gossip, slot);
		if (was_failed)
			outbox_change(gossip, GOSSIP_JOINED, slot);
		suspect(gossip, slot, update->from);
	} else if (update->incarnation == record->incarnation && record->state == GOSSIP_ALIVE) {
		suspect(gossip, slot, update->from);
	} else if (update->incarnation == record->incarnation && record->state == GOSSIP_SUSPECT) {
		confirm(gossip, slot, update->from);
	}
}

/* What an exchange says may be old: who was given up elsewhere and is fine here is looked at again. */
static void merge_failed(struct gossip *gossip, const struct hearing *hearing, uint16_t slot,
                         const struct gossip_update *update)
{
	struct record *record = record_of(gossip, slot);
	if (update->incarnation < record->incarnation)
		return;
	if (hearing->stream && is_live_state(record->state)) {
		doubt(gossip, slot);
		return;
	}
	record->incarnation = update->incarnation;
	if (is_live_state(record->state))
		depart(gossip, slot, GOSSIP_FAILED, gossip->now, update->from);
}

void merge(struct gossip *gossip, const struct hearing *hearing, const struct gossip_update *update)
{
	if (update->id == gossip->id) {
		own_claimed(gossip, hearing, update);
		return;
	}
	uint16_t slot = members_find(&gossip->members, update->id);
	if (slot == NO_SLOT || update->generation > record_of(gossip, slot)->profile->generation) {
		merge_new(gossip, hearing, update);
		return;
	}
	const struct record *record = record_of(gossip, slot);
	if (update->generation < record->profile->generation) {
		gossip->counts.refused_stale++;
		return;
	}
	if (update->profile != NULL)
		merge_profile(gossip, slot, update->profile);
	if (record->state == GOSSIP_LEFT)
		return;
	switch (update->state) {
	case GOSSIP_ALIVE:
		merge_alive(gossip, slot, update);
		break;
	case GOSSIP_SUSPECT:
		merge_suspect(gossip, slot, update);
		break;
	case GOSSIP_FAILED:
		merge_failed(gossip, hearing, slot, update);
		break;
	case GOSSIP_LEFT:
		depart(gossip, slot, GOSSIP_LEFT, departed_at(gossip, update), update->from);
		break;
	case GOSSIP_STATE_END:
		assert(false);
	}
}
