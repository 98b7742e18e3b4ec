/* Suspicions (SWIM, 4.2) whose time falls with independent confirmations (Lifeguard, IV-B). */
#include "membership/gossip_internal.h"

#include "base/memory.h"

#include <assert.h>

/* log10 in thousandths, linear between powers of two: no floating point, the same everywhere. */
static uint64_t log10_milli(uint64_t number)
{
	uint64_t power = 0;
	while (number >> (power + 1) != 0)
		power++;
	uint64_t fraction = ((number - ((uint64_t)1 << power)) * 1000) >> power;
	return (power * 1000 + fraction) * 301 / 1000;
}

/* How far the time has fallen from the longest to the shortest, in thousandths: log(c + 1) / log(k + 1). */
static unsigned fallen(unsigned confirmed, unsigned expected)
{
	static const unsigned table[CONFIRMATIONS_MAX + 1][CONFIRMATIONS_MAX + 1] = {
		{1000, 1000, 1000, 1000},
		{0, 1000, 1000, 1000},
		{0, 631, 1000, 1000},
		{0, 500, 792, 1000},
	};
	assert(expected <= CONFIRMATIONS_MAX && confirmed <= CONFIRMATIONS_MAX);
	return table[expected][confirmed];
}

static void set_time(struct gossip *gossip, struct suspicion *suspicion)
{
	msec span = suspicion->longest - suspicion->shortest;
	msec time = suspicion->longest - span * (msec)fallen(suspicion->confirmed, suspicion->expected) / 1000;
	suspicion->at = suspicion->began + time;
	gossip->suspicion_next = msec_earlier(gossip->suspicion_next, suspicion->at);
}

static void begin(struct gossip *gossip, uint16_t slot, uint64_t from)
{
	const struct gossip_config *settings = &gossip->settings;
	size_t live = gossip->members.live_count + 1;
	uint64_t scale = log10_milli(live);
	if (scale < 1000)
		scale = 1000;
	/* Neither the suspect nor the one that suspects confirms. */
	size_t others = live - 2 < CONFIRMATIONS_MAX ? live - 2 : CONFIRMATIONS_MAX;
	mem_grow(gossip->suspicions, gossip->suspicion_capacity, gossip->suspicion_count + 1);
	record_of(gossip, slot)->suspicion = (uint16_t)gossip->suspicion_count;
	struct suspicion *suspicion = &gossip->suspicions[gossip->suspicion_count++];
	*suspicion = (struct suspicion){
		.slot = slot,
		.expected = (uint8_t)others,
		.from = {from},
		.began = gossip->now,
		.shortest = (msec)((uint64_t)settings->probe_ms * settings->suspicion_min * scale / 1000),
	};
	suspicion->longest = suspicion->shortest * (msec)settings->suspicion_max;
	set_time(gossip, suspicion);
}

/* About 2k of those who hear of a suspicion look for themselves at once, whatever the size of the cluster: what confirms it, or lets
 * the suspect refute it, comes in one round trip instead of several periods. */
static void look_too(struct gossip *gossip, uint16_t slot)
{
	if (random_below(&gossip->random, gossip->members.live_count + 1) < 2 * CONFIRMATIONS_MAX)
		doubt(gossip, slot);
}

void suspect(struct gossip *gossip, uint16_t slot, uint64_t from)
{
	struct record *record = record_of(gossip, slot);
	assert(record->state == GOSSIP_ALIVE && slot != gossip->self);
	members_set_state(&gossip->members, slot, GOSSIP_SUSPECT, 0);
	begin(gossip, slot, from);
	outbox_change(gossip, GOSSIP_SUSPECTED, slot);
	rumour(gossip, slot, false, 0, from);
	if (from == gossip->id)
		gossip->counts.suspicions++;
	else
		look_too(gossip, slot);
}

/* Each independent confirmation is told on, so that all shorten their time (Lifeguard, IV-B). */
void confirm(struct gossip *gossip, uint16_t slot, uint64_t from)
{
	struct suspicion *suspicion = &gossip->suspicions[record_of(gossip, slot)->suspicion];
	if (suspicion->confirmed == suspicion->expected)
		return;
	for (size_t i = 0; i <= suspicion->confirmed; i++)
		if (suspicion->from[i] == from)
			return;
	suspicion->from[++suspicion->confirmed] = from;
	set_time(gossip, suspicion);
	rumour(gossip, slot, false, 0, from);
}

void suspicion_end(struct gossip *gossip, uint16_t slot)
{
	struct record *record = record_of(gossip, slot);
	if (record->suspicion == NO_PLACE)
		return;
	assert(record->suspicion < gossip->suspicion_count && gossip->suspicions[record->suspicion].slot == slot);
	struct suspicion *last = &gossip->suspicions[--gossip->suspicion_count];
	gossip->suspicions[record->suspicion] = *last;
	record_of(gossip, last->slot)->suspicion = record->suspicion;
	record->suspicion = NO_PLACE;
}

void depart(struct gossip *gossip, uint16_t slot, enum gossip_state state, msec since, uint64_t from)
{
	assert(slot != gossip->self && !is_live_state(state));
	suspicion_end(gossip, slot);
	bool was_state = record_of(gossip, slot)->state == state;
	members_set_state(&gossip->members, slot, state, since);
	gossip->next_forget = msec_earlier(gossip->next_forget, since + gossip->settings.dead_grace_ms);
	if (!was_state)
		outbox_change(gossip, state == GOSSIP_LEFT ? GOSSIP_HAS_LEFT : GOSSIP_HAS_FAILED, slot);
	rumour(gossip, slot, false, 0, from);
}

void suspicion_due(struct gossip *gossip)
{
	if (gossip->now < gossip->suspicion_next)
		return;
	for (size_t i = gossip->suspicion_count; i-- > 0;) {
		if (gossip->suspicions[i].at > gossip->now)
			continue;
		gossip->counts.failed++;
		depart(gossip, gossip->suspicions[i].slot, GOSSIP_FAILED, gossip->now, gossip->id);
	}
	gossip->suspicion_next = MSEC_NEVER;
	for (size_t i = 0; i < gossip->suspicion_count; i++)
		gossip->suspicion_next = msec_earlier(gossip->suspicion_next, gossip->suspicions[i].at);
}

void forget(struct gossip *gossip, uint16_t slot, msec certificate_until)
{
	suspicion_end(gossip, slot);
	rumour_end(gossip, slot);
	outbox_change(gossip, GOSSIP_FORGOTTEN, slot);
	members_remove(&gossip->members, slot, certificate_until);
}

/* Members that departed are forgotten after a while. That they are is remembered ten times as long, so that nobody brings them back who
 * has missed that they were gone. */
void forget_due(struct gossip *gossip)
{
	msec grace = gossip->settings.dead_grace_ms;
	if (gossip->now < gossip->next_forget)
		return;
	for (size_t i = gossip->members.departed_count; i-- > 0;)
		if (gossip->now - gossip->members.departed[i].since >= grace)
			forget(gossip, gossip->members.departed[i].slot, gossip->now + 10 * grace);
	gossip->next_forget = MSEC_NEVER;
	for (size_t i = 0; i < gossip->members.departed_count; i++)
		gossip->next_forget = msec_earlier(gossip->next_forget, gossip->members.departed[i].since + grace);
}
