#include "membership/gossip_internal.h"

#include "base/memory.h"

#include <assert.h>

#define HELD_KEPT 4096 /* bytes of memory that is kept between steps, of each kind */

void outbox_begin(struct gossip *gossip)
{
	for (size_t i = 0; i < gossip->held_count; i++)
		profile_release(gossip->held[i]);
	arena_reset(&gossip->arena);
	if (gossip->held_capacity * sizeof *gossip->held > HELD_KEPT) {
		mem_free(gossip->held);
		gossip->held = NULL;
		gossip->held_capacity = 0;
	}
	if (gossip->change_capacity * sizeof *gossip->changes > HELD_KEPT) {
		mem_free(gossip->changes);
		gossip->changes = NULL;
		gossip->change_capacity = 0;
	}
	gossip->held_count = gossip->datagram_count = gossip->exchange_count = gossip->change_count = 0;
	gossip->want_count = 0;
	gossip->sighted = gossip->conflicted = gossip->left = false;
	gossip->result = 0;
	gossip->stamp = 0;
}

void outbox_end(struct gossip *gossip, struct gossip_effects *ret_effects)
{
	*ret_effects = (struct gossip_effects){
		.result = gossip->result,
		.datagrams = gossip->datagrams,
		.datagram_count = gossip->datagram_count,
		.exchanges = gossip->exchanges,
		.exchange_count = gossip->exchange_count,
		.changes = gossip->changes,
		.change_count = gossip->change_count,
		.sighting = gossip->sighted ? &gossip->sighting : NULL,
		.conflict = gossip->conflicted ? &gossip->conflict : NULL,
		.left = gossip->left,
	};
}

void gossip_outbox_finish(struct gossip *gossip)
{
	outbox_begin(gossip);
	arena_finish(&gossip->arena);
	mem_free(gossip->held);
	mem_free(gossip->datagrams);
	mem_free(gossip->changes);
}

void outbox_hold(struct gossip *gossip, struct profile *profile)
{
	mem_grow(gossip->held, gossip->held_capacity, gossip->held_count + 1);
	gossip->held[gossip->held_count++] = profile_hold(profile);
}

/* One stamp does for all messages of a step: they are of one moment. */
static uint64_t stamp(struct gossip *gossip)
{
	if (gossip->stamp == 0 && gossip->clock != NULL)
		gossip->stamp = clock_next(gossip->clock, gossip->wall);
	return gossip->stamp;
}

struct gossip_message *outbox_message(struct gossip *gossip, enum gossip_message_kind kind)
{
	struct gossip_message *message = arena_alloc(&gossip->arena, sizeof *message);
	const struct profile *profile = record_of(gossip, gossip->self)->profile;
	outbox_hold(gossip, record_of(gossip, gossip->self)->profile);
	message->kind = kind;
	message->protocol = GOSSIP_PROTOCOL;
	memcpy(message->cluster_id, gossip->cluster_id, sizeof message->cluster_id);
	message->from = gossip->id;
	message->generation = gossip->generation;
	message->address = slice_of(profile->address);
	message->stamp = stamp(gossip);
	return message;
}

void outbox_send(struct gossip *gossip, const char *address, const struct gossip_message *message)
{
	mem_grow(gossip->datagrams, gossip->datagram_capacity, gossip->datagram_count + 1);
	gossip->datagrams[gossip->datagram_count++] = (struct gossip_datagram){
		.address = arena_string(&gossip->arena, slice_of(address)),
		.message = message,
	};
	gossip->counts.datagrams_out++;
}

void outbox_exchange(struct gossip *gossip, const char *address, const struct gossip_message *message)
{
	assert(gossip->exchange_count < FLIGHTS_MAX);
	gossip->exchanges[gossip->exchange_count++] = (struct gossip_exchange){
		.address = arena_string(&gossip->arena, slice_of(address)),
		.message = message,
	};
}

/* One at most: a peer that makes two of one message gets the first. */
void outbox_reply(struct gossip *gossip, const struct gossip_message *message)
{
	for (size_t i = 0; i < gossip->exchange_count; i++)
		if (gossip->exchanges[i].reply)
			return;
	assert(gossip->exchange_count <= FLIGHTS_MAX);
	gossip->exchanges[gossip->exchange_count++] = (struct gossip_exchange){.reply = true, .message = message};
}

void member_view(const struct gossip *gossip, uint16_t slot, struct gossip_member *ret_member)
{
	const struct record *record = record_of(gossip, slot);
	const struct profile *profile = record->profile;
	*ret_member = (struct gossip_member){
		.id = record->id,
		.generation = profile->generation,
		.incarnation = record->incarnation,
		.state = (enum gossip_state)record->state,
		.name = profile->name,
		.address = profile->address,
		.version = profile->version,
		.pairs = profile->pairs,
		.pair_count = profile->live_count,
		.since = members_since(&gossip->members, slot),
		.self = slot == gossip->self,
	};
}

void outbox_change(struct gossip *gossip, enum gossip_change_kind kind, uint16_t slot)
{
	mem_grow(gossip->changes, gossip->change_capacity, gossip->change_count + 1);
	struct gossip_change *change = &gossip->changes[gossip->change_count++];
	change->sequence = ++gossip->change_sequence;
	change->kind = kind;
	member_view(gossip, slot, &change->member);
	outbox_hold(gossip, record_of(gossip, slot)->profile);
}

/* --- updates in a message ------------------------------------------------------------------------------------------ */

void packing_begin(struct packing *packing, struct gossip *gossip, struct gossip_message *message, size_t limit)
{
	*packing = (struct packing){.gossip = gossip, .message = message, .limit = limit};
	packing->size = gossip_head_size(message);
	if (message->want_count > 0)
		packing->size += 3 + message->want_count * GOSSIP_WANT_SIZE;
	assert(packing->size < limit);
}

static uint64_t age(const struct gossip *gossip, uint16_t slot)
{
	msec since = members_since(&gossip->members, slot);
	return since != 0 && since < gossip->now ? (uint64_t)(gossip->now - since) : 0;
}

bool packing_add(struct packing *packing, uint16_t slot, bool profile, uint64_t base, uint64_t from)
{
	struct gossip *gossip = packing->gossip;
	const struct record *record = record_of(gossip, slot);
	struct gossip_update update = {
		.id = record->id,
		.generation = record->profile->generation,
		.incarnation = record->incarnation,
		.state = (enum gossip_state)record->state,
	};
	if (update.state == GOSSIP_SUSPECT || update.state == GOSSIP_FAILED)
		update.from = from;
	if (gossip_is_exchange(packing->message->kind))
		update.since_ms = age(gossip, slot);
	if (profile)
		update.profile = profile_since(record->profile, base, &gossip->arena);
	size_t size = gossip_update_size(&update);
	if (packing->size + size > packing->limit || packing->count == GOSSIP_UPDATES_MAX)
		return false;
	packing->size += size;
	if (profile)
		outbox_hold(gossip, record->profile);
	mem_grow(packing->updates, packing->capacity, packing->count + 1);
	packing->updates[packing->count++] = update;
	return true;
}

void packing_end(struct packing *packing)
{
	size_t size = packing->count * sizeof *packing->updates;
	if (packing->count > 0) {
		struct gossip_update *updates = arena_alloc(&packing->gossip->arena, size);
		memcpy(updates, packing->updates, size);
		packing->message->updates = updates;
		packing->message->update_count = packing->count;
	}
	mem_free(packing->updates);
}

void put_certificate(struct gossip *gossip, struct gossip_message *message, const struct certificate *held)
{
	struct gossip_update *update = arena_alloc(&gossip->arena, sizeof *update);
	*update = (struct gossip_update){
		.id = held->id,
		.generation = held->generation,
		.incarnation = held->incarnation,
		.state = held->left ? GOSSIP_LEFT : GOSSIP_FAILED,
		.from = gossip->id,
	};
	message->updates = update;
	message->update_count = 1;
}
