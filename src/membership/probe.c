/* Probing in a round-robin order (SWIM, 4.3), by others when there is no answer (3.1), scaled by local health (Lifeguard, IV-A). */
#include "membership/gossip_internal.h"

#include "base/memory.h"

#include <stdio.h>

void health_add(struct gossip *gossip, int change)
{
	int health = (int)gossip->health + change;
	gossip->health = (uint32_t)(health < 0 ? 0 : health > GOSSIP_HEALTH_MAX ? GOSSIP_HEALTH_MAX : health);
}

static msec scaled(const struct gossip *gossip, msec time)
{
	return time * (msec)(gossip->health + 1);
}

void send_ping(struct gossip *gossip, const char *address, uint64_t target, uint64_t sequence, uint16_t slot)
{
	struct gossip_message *ping = outbox_message(gossip, GOSSIP_PING);
	ping->target = target;
	ping->sequence = sequence;
	spread_with(gossip, address, ping, slot);
}

static void start(struct gossip *gossip, struct probe *probe, uint16_t slot, bool second)
{
	const struct record *record = record_of(gossip, slot);
	*probe = (struct probe){
		.id = record->id,
		.sequence = ++gossip->sequence,
		.indirect_at = gossip->now + scaled(gossip, gossip->settings.probe_timeout_ms),
		.ends_at = gossip->now + scaled(gossip, gossip->settings.probe_ms),
		.second = second,
	};
	gossip->counts.probes++;
	send_ping(gossip, record->profile->address, record->id, probe->sequence, slot);
}

/* Nothing when it is being probed, or too many are. */
void probe_start(struct gossip *gossip, uint16_t slot)
{
	struct probe *unused = NULL;
	for (size_t i = 0; i < PROBES_MAX; i++) {
		struct probe *probe = &gossip->probes[i];
		if (probe->id == record_of(gossip, slot)->id)
			return;
		if (probe->id == 0)
			unused = probe;
	}
	if (unused != NULL)
		start(gossip, unused, slot, false);
}

void doubt(struct gossip *gossip, uint16_t slot)
{
	if (!gossip->leaving && slot != gossip->self && is_live_state(record_of(gossip, slot)->state))
		probe_start(gossip, slot);
}

static void ask_others(struct gossip *gossip, struct probe *probe, uint16_t slot)
{
	const struct record *target = record_of(gossip, slot);
	uint16_t asked[16];
	probe->indirect = true;
	for (uint32_t tries = 0; tries < 4 * gossip->settings.indirect && probe->asked < gossip->settings.indirect;
	     tries++) {
		uint16_t helper = members_random(&gossip->members, &gossip->random);
		bool again = helper == slot || record_of(gossip, helper)->state != GOSSIP_ALIVE;
		for (size_t i = 0; i < probe->asked; i++)
			again = again || asked[i] == helper;
		if (again)
			continue;
		asked[probe->asked++] = helper;
		gossip->counts.indirect++;
		struct gossip_message *request = outbox_message(gossip, GOSSIP_PING_REQUEST);
		outbox_hold(gossip, target->profile);
		request->target = target->id;
		request->target_address = slice_of(target->profile->address);
		request->sequence = probe->sequence;
		spread_with(gossip, record_of(gossip, helper)->profile->address, request, helper);
	}
	/* Once more directly: one of two datagrams may have been lost. */
	send_ping(gossip, target->profile->address, target->id, probe->sequence, slot);
}

/* Nacks that are missing say that it may be this node that is not well (Lifeguard, IV-A). */
static void fail_probe(struct gossip *gossip, struct probe *probe)
{
	uint16_t slot = members_find(&gossip->members, probe->id);
	health_add(gossip, probe->asked > 0 ? (int)(probe->asked - probe->nacks) : 1);
	bool second = probe->second;
	*probe = (struct probe){0};
	if (slot == NO_SLOT || !is_live_state(record_of(gossip, slot)->state))
		return;
	/* In a large cluster every suspicion costs everyone: two attempts before one. */
	if (!second && record_of(gossip, slot)->state == GOSSIP_ALIVE && gossip->members.live_count >= ATTEMPTS_FROM) {
		start(gossip, probe, slot, true);
		return;
	}
	gossip->counts.probes_failed++;
	if (record_of(gossip, slot)->state == GOSSIP_ALIVE)
		suspect(gossip, slot, gossip->id);
	else
		confirm(gossip, slot, gossip->id);
}

static void probes_due(struct gossip *gossip)
{
	for (size_t i = 0; i < PROBES_MAX; i++) {
		struct probe *probe = &gossip->probes[i];
		if (probe->id == 0)
			continue;
		if (gossip->now >= probe->ends_at) {
			fail_probe(gossip, probe);
		} else if (!probe->indirect && gossip->now >= probe->indirect_at) {
			uint16_t slot = members_find(&gossip->members, probe->id);
			if (slot == NO_SLOT || !is_live_state(record_of(gossip, slot)->state))
				*probe = (struct probe){0};
			else
				ask_others(gossip, probe, slot);
		}
	}
}

static void relays_due(struct gossip *gossip)
{
	for (size_t i = gossip->relay_count; i-- > 0;) {
		struct relay *relay = &gossip->relays[i];
		if (gossip->now >= relay->nack_at) {
			struct gossip_message *nack = outbox_message(gossip, GOSSIP_NACK);
			nack->target = relay->target;
			nack->sequence = relay->origin_sequence;
			relay->nack_at = MSEC_NEVER;
			spread_with(gossip, relay->origin_address, nack, NO_SLOT);
		}
		if (gossip->now >= relay->ends_at)
			*relay = gossip->relays[--gossip->relay_count];
	}
}

void probe_due(struct gossip *gossip)
{
	probes_due(gossip);
	relays_due(gossip);
	if (gossip->now < gossip->next_probe || gossip->leaving || gossip->members.live_count == 0)
		return;
	gossip->next_probe = gossip->now + scaled(gossip, gossip->settings.probe_ms);
	probe_start(gossip, members_next_probe(&gossip->members, &gossip->random));
}

/* --- the other side ------------------------------------------------------------------------------------------------ */

void hear_ping(struct gossip *gossip, const struct hearing *hearing)
{
	const struct gossip_message *ping = hearing->message;
	if (ping->target != 0 && ping->target != gossip->id) {
		gossip->counts.refused_stale++;
		return;
	}
	struct gossip_message *ack = outbox_message(gossip, GOSSIP_ACK);
	ack->target = gossip->id;
	ack->sequence = ping->sequence;
	spread_with(gossip, answer_address(gossip, hearing), ack, hearing->sender);
}

void hear_ping_request(struct gossip *gossip, const struct hearing *hearing)
{
	const struct gossip_message *asked = hearing->message;
	address_text address;
	if (gossip->relay_count == RELAYS_MAX) {
		gossip->counts.refused_full++;
		return;
	}
	mem_grow(gossip->relays, gossip->relay_capacity, gossip->relay_count + 1);
	struct relay *relay = &gossip->relays[gossip->relay_count++];
	*relay = (struct relay){
		.sequence = ++gossip->sequence,
		.target = asked->target,
		.origin = asked->from,
		.origin_sequence = asked->sequence,
		.nack_at = gossip->now + gossip->settings.probe_timeout_ms * 4 / 5,
		.ends_at = gossip->now + 2 * gossip->settings.probe_ms,
	};
	snprintf(relay->origin_address, sizeof relay->origin_address, "%s", answer_address(gossip, hearing));
	snprintf(address, sizeof address, "%.*s", SLICE_ARGS(asked->target_address));
	gossip->counts.relayed++;
	send_ping(gossip, address, asked->target, relay->sequence, members_find(&gossip->members, asked->target));
}

static bool ack_probe(struct gossip *gossip, const struct gossip_message *ack)
{
	for (size_t i = 0; i < PROBES_MAX; i++) {
		struct probe *probe = &gossip->probes[i];
		if (probe->id == 0 || probe->sequence != ack->sequence || probe->id != ack->target)
			continue;
		*probe = (struct probe){0};
		gossip->counts.acks++;
		health_add(gossip, -1);
		return true;
	}
	return false;
}

static void ack_relay(struct gossip *gossip, const struct gossip_message *ack)
{
	for (size_t i = 0; i < gossip->relay_count; i++) {
		struct relay *relay = &gossip->relays[i];
		if (relay->sequence != ack->sequence || relay->target != ack->from || ack->target != ack->from)
			continue;
		struct gossip_message *passed = outbox_message(gossip, GOSSIP_ACK);
		passed->target = relay->target;
		passed->sequence = relay->origin_sequence;
		spread_with(gossip, relay->origin_address, passed, NO_SLOT);
		*relay = gossip->relays[--gossip->relay_count];
		return;
	}
}

void hear_ack(struct gossip *gossip, const struct hearing *hearing)
{
	if (!ack_probe(gossip, hearing->message) && !newcomer_ack(gossip, hearing->message))
		ack_relay(gossip, hearing->message);
}

void hear_nack(struct gossip *gossip, const struct hearing *hearing)
{
	const struct gossip_message *nack = hearing->message;
	for (size_t i = 0; i < PROBES_MAX; i++) {
		struct probe *probe = &gossip->probes[i];
		if (probe->id == nack->target && probe->sequence == nack->sequence && probe->nacks < probe->asked)
			probe->nacks++;
	}
}
