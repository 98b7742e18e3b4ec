#include "membership/gossip_internal.h"

#include <assert.h>

#define PICKED_MAX 128 /* updates in one datagram */
#define MISFITS_MAX 8  /* that were too large for what room was left */

/* λ·⌈log10(n + 1)⌉ (SWIM, 4.1), as if there were ten members at least: a cluster that is beginning is about to grow. */
uint32_t spread_limit(const struct gossip *gossip)
{
	uint32_t digits = 2;
	for (size_t power = 100; gossip->members.live_count + 2 > power; power *= 10)
		digits++;
	uint32_t limit = gossip->settings.spread_factor * digits;
	return limit < RUMOUR_TOLD_MAX ? limit : RUMOUR_TOLD_MAX - 1;
}

void rumour(struct gossip *gossip, uint16_t slot, bool profile, uint64_t base, uint64_t from)
{
	struct record *record = record_of(gossip, slot);
	if (gossip->quiet && slot != gossip->self)
		return;
	if (record->rumour == NO_PLACE) {
		record->rumour = rumours_add(&gossip->rumours, slot);
		gossip->rumours.list[record->rumour].base = base;
	} else {
		rumours_renew(&gossip->rumours, record->rumour);
	}
	struct rumour *told = &gossip->rumours.list[record->rumour];
	told->from = from;
	if (!profile)
		return;
	if (!told->profile || base < told->base)
		told->base = base;
	told->profile = true;
}

void rumour_end(struct gossip *gossip, uint16_t slot)
{
	struct record *record = record_of(gossip, slot);
	if (record->rumour != NO_PLACE)
		rumours_remove(&gossip->rumours, record->rumour);
	record->rumour = NO_PLACE;
}

/* What is to be told, the least told first. Of itself nobody is told here: good news it has, bad news came first (spread_with). */
static void pack_rumours(struct packing *packing, uint64_t receiver)
{
	struct gossip *gossip = packing->gossip;
	struct rumours *rumours = &gossip->rumours;
	uint16_t picked[PICKED_MAX];
	size_t count = 0;
	size_t misfits = 0;
	uint32_t limit = spread_limit(gossip);
	for (uint32_t told = 0; told < RUMOUR_TOLD_MAX && misfits < MISFITS_MAX && count < PICKED_MAX; told++) {
		for (uint16_t place = rumours->first[told]; place != NO_PLACE; place = rumours->list[place].next) {
			const struct rumour *rumour = &rumours->list[place];
			const struct record *record = record_of(gossip, rumour->slot);
			if (record->id == receiver)
				continue;
			if (packing_add(packing, rumour->slot, rumour->profile, rumour->base, rumour->from))
				picked[count++] = place;
			else
				misfits++;
			if (misfits == MISFITS_MAX || count == PICKED_MAX)
				break;
		}
	}
	for (size_t i = 0; i < count; i++) {
		uint16_t slot = rumours->list[picked[i]].slot;
		if (rumours_told(rumours, picked[i], limit))
			record_of(gossip, slot)->rumour = NO_PLACE;
	}
}

/* Takes the wants of this step along. */
static void pack_wants(struct gossip *gossip, struct gossip_message *message)
{
	if (gossip->want_count == 0)
		return;
	uint64_t *wants = arena_alloc(&gossip->arena, gossip->want_count * sizeof *wants);
	memcpy(wants, gossip->wants, gossip->want_count * sizeof *wants);
	message->wants = wants;
	message->want_count = gossip->want_count;
	gossip->want_count = 0;
}

void spread_with(struct gossip *gossip, const char *address, struct gossip_message *message, uint16_t about)
{
	struct packing packing;
	uint64_t receiver = about != NO_SLOT ? record_of(gossip, about)->id : 0;
	pack_wants(gossip, message);
	packing_begin(&packing, gossip, message, GOSSIP_DATAGRAM_MAX);
	if (about != NO_SLOT && record_of(gossip, about)->state != GOSSIP_ALIVE)
		packing_add(&packing, about, false, 0, gossip->id);
	pack_rumours(&packing, receiver);
	packing_end(&packing);
	outbox_send(gossip, address, message);
}

void spread_due(struct gossip *gossip)
{
	uint16_t told[16];
	size_t count = 0;
	if (gossip->rumours.active == 0 || gossip->members.live_count == 0 || gossip->now < gossip->next_spread)
		return;
	assert(gossip->settings.fanout <= sizeof told / sizeof told[0]);
	gossip->next_spread = gossip->now + gossip->settings.spread_ms;
	for (uint32_t tries = 0; tries < 3 * gossip->settings.fanout && count < gossip->settings.fanout; tries++) {
		uint16_t slot = members_random(&gossip->members, &gossip->random);
		bool again = false;
		for (size_t i = 0; i < count; i++)
			again = again || told[i] == slot;
		if (again)
			continue;
		if (gossip->rumours.active == 0)
			return;
		told[count++] = slot;
		spread_with(gossip, record_of(gossip, slot)->profile->address, outbox_message(gossip, GOSSIP_SPREAD),
		            slot);
	}
}

/* All that is known of who is wanted; a few datagrams at most. */
void answer_wants(struct gossip *gossip, const struct hearing *hearing)
{
	const struct gossip_message *asked = hearing->message;
	size_t at = 0;
	for (int sent = 0; sent < ANSWERS_MAX && at < asked->want_count; sent++) {
		struct gossip_message *message = outbox_message(gossip, GOSSIP_SPREAD);
		struct packing packing;
		packing_begin(&packing, gossip, message, GOSSIP_DATAGRAM_MAX);
		for (; at < asked->want_count; at++) {
			uint16_t slot = members_find(&gossip->members, asked->wants[at]);
			if (slot != NO_SLOT && is_live_state(record_of(gossip, slot)->state) &&
			    !packing_add(&packing, slot, true, 0, gossip->id))
				break;
		}
		bool any = packing.count > 0;
		packing_end(&packing);
		if (!any)
			return;
		outbox_send(gossip, answer_address(gossip, hearing), message);
	}
}
