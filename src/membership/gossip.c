#include "membership/gossip_internal.h"

#include "base/error.h"
#include "base/memory.h"

#include <assert.h>

static void set_default(msec *value, msec otherwise)
{
	if (*value == 0)
		*value = otherwise;
}

static void set_default_count(uint32_t *value, uint32_t otherwise)
{
	if (*value == 0)
		*value = otherwise;
}

static struct gossip_config settings_of(const struct gossip_config *config)
{
	struct gossip_config settings = *config;
	set_default(&settings.probe_ms, 200);
	set_default(&settings.probe_timeout_ms, settings.probe_ms * 2 / 5);
	set_default(&settings.spread_ms, 100);
	set_default(&settings.exchange_ms, 10000);
	set_default(&settings.rejoin_ms, 500);
	set_default(&settings.reconnect_ms, 2000);
	set_default(&settings.dead_grace_ms, 3600000);
	set_default(&settings.tombstone_ms, 600000);
	set_default(&settings.leave_ms, 1500);
	set_default_count(&settings.indirect, 3);
	set_default_count(&settings.fanout, 3);
	set_default_count(&settings.spread_factor, 4);
	set_default_count(&settings.suspicion_min, 3);
	set_default_count(&settings.suspicion_max, 6);
	settings.name = settings.address = settings.cluster_id = NULL;
	settings.pairs = NULL;
	return settings;
}

static bool settings_valid(const struct gossip_config *settings)
{
	return settings->probe_ms > 0 && settings->probe_timeout_ms > 0 &&
	       settings->probe_timeout_ms < settings->probe_ms && settings->spread_ms > 0 &&
	       settings->exchange_ms > 0 && settings->rejoin_ms > 0 && settings->reconnect_ms > 0 &&
	       settings->dead_grace_ms > 0 && settings->tombstone_ms > 0 && settings->leave_ms > 0 &&
	       settings->indirect <= 16 && settings->fanout <= 16 && settings->spread_factor <= 16 &&
	       settings->suspicion_min <= 100 && settings->suspicion_max <= 100;
}

/* What the node says of itself from the start; NULL: more than it may. */
static struct profile *first_profile(const struct gossip_config *config)
{
	struct gossip_pair pairs[GOSSIP_PAIRS_MAX];
	struct gossip_profile all = {
		.name = slice_of(config->name),
		.address = slice_of(config->address),
		.version = config->pair_count,
		.pairs = pairs,
		.pair_count = config->pair_count,
	};
	if (config->pair_count > GOSSIP_PAIRS_MAX)
		return NULL;
	for (size_t i = 0; i < config->pair_count; i++) {
		pairs[i] = (struct gossip_pair){config->pairs[i].key, config->pairs[i].value, i + 1, false};
		if (!gossip_key_valid(pairs[i].key) || !gossip_value_valid(pairs[i].value))
			return NULL;
		for (size_t j = 0; j < i; j++)
			if (slice_equal(pairs[i].key, pairs[j].key))
				return NULL;
	}
	if (gossip_profile_size(&all) > GOSSIP_PROFILE_SIZE_MAX)
		return NULL;
	return profile_create(config->shared, config->generation, &all);
}

int gossip_create(const struct gossip_config *config, struct gossip **ret_gossip)
{
	struct gossip_config settings = settings_of(config);
	if (config->id == 0 || config->id > GOSSIP_ID_MAX || config->generation == 0 ||
	    config->generation > GOSSIP_ID_MAX || !gossip_name_valid(slice_of(config->name)) ||
	    !gossip_address_valid(slice_of(config->address)) || !gossip_cluster_id_valid(config->cluster_id) ||
	    !settings_valid(&settings))
		return ERR_INVALID;
	struct profile *profile = first_profile(config);
	if (profile == NULL)
		return ERR_LIMIT;
	struct gossip *gossip = mem_zero(sizeof *gossip);
	gossip->id = config->id;
	gossip->generation = config->generation;
	gossip->settings = settings;
	gossip->clock = config->clock;
	gossip->shared = config->shared;
	gossip->random.state = config->seed;
	strcpy(gossip->cluster_id, config->cluster_id);
	members_init(&gossip->members);
	rumours_init(&gossip->rumours);
	gossip->self = members_add(&gossip->members, config->id, profile, 0, true);
	gossip->sequence = random_next(&gossip->random) >> 32;
	gossip->deadline = gossip->next_forget = gossip->suspicion_next = MSEC_NEVER;
	*ret_gossip = gossip;
	return 0;
}

void gossip_destroy(struct gossip *gossip)
{
	if (gossip == NULL)
		return;
	gossip_outbox_finish(gossip);
	newcomer_finish(gossip);
	members_finish(&gossip->members);
	rumours_finish(&gossip->rumours);
	mem_free(gossip->relays);
	mem_free(gossip->suspicions);
	mem_free(gossip->seeds);
	mem_free(gossip->recalled);
	mem_free(gossip);
}

/* --- time ---------------------------------------------------------------------------------------------------------- */

static void start(struct gossip *gossip)
{
	struct random *random = &gossip->random;
	const struct gossip_config *settings = &gossip->settings;
	gossip->started = true;
	gossip->next_probe = gossip->now + (msec)random_below(random, (uint64_t)settings->probe_ms);
	gossip->next_exchange = gossip->now + (msec)random_below(random, (uint64_t)settings->exchange_ms);
	gossip->next_reconnect = gossip->now + (msec)random_below(random, (uint64_t)settings->reconnect_ms);
	gossip->next_spread = gossip->next_rejoin = gossip->now;
	gossip->exchanged_at = gossip->now - FLIGHT_MS;
	rumour(gossip, gossip->self, true, 0, 0);
}

static void put_off(msec *time, msec late)
{
	if (*time != MSEC_NEVER)
		*time += late;
}

/* This node was not run when it should have been. What it waited for others to do meanwhile they may have done: nobody is judged by it,
 * and its own health is what is in doubt (Lifeguard, III). */
static void put_all_off(struct gossip *gossip, msec late)
{
	gossip->counts.pauses++;
	for (size_t i = 0; i < PROBES_MAX; i++) {
		put_off(&gossip->probes[i].indirect_at, late);
		put_off(&gossip->probes[i].ends_at, late);
	}
	for (size_t i = 0; i < gossip->suspicion_count; i++) {
		put_off(&gossip->suspicions[i].began, late);
		put_off(&gossip->suspicions[i].at, late);
	}
	put_off(&gossip->suspicion_next, late);
	for (size_t i = 0; i < FLIGHTS_MAX; i++)
		put_off(&gossip->flights[i].ends_at, late);
	for (size_t i = 0; gossip->claims != NULL && i < CLAIMS_MAX; i++)
		put_off(&gossip->claims[i].ends_at, late);
	if (late >= gossip->settings.probe_ms)
		health_add(gossip, 1);
	if (late > gossip->settings.dead_grace_ms / 2 && !gossip->leaving)
		start_over(gossip);
}

static void look_at_clock(struct gossip *gossip, msec now)
{
	msec late = 0;
	if (gossip->started && gossip->deadline != MSEC_NEVER)
		late = now - (gossip->deadline > gossip->now ? gossip->deadline : gossip->now);
	assert(!gossip->started || now >= gossip->now);
	gossip->now = now;
	if (!gossip->started)
		start(gossip);
	if (late >= gossip->settings.probe_ms / 2)
		put_all_off(gossip, late);
}

static void tick(struct gossip *gossip)
{
	if (gossip->gone)
		return;
	newcomer_due(gossip);
	probe_due(gossip);
	suspicion_due(gossip);
	forget_due(gossip);
	exchange_due(gossip);
	join_due(gossip);
	spread_due(gossip);
	own_due(gossip);
}

static msec tables_deadline(const struct gossip *gossip)
{
	msec deadline = gossip->twin.id != 0 ? gossip->twin.at : MSEC_NEVER;
	for (size_t i = 0; i < PROBES_MAX; i++) {
		const struct probe *probe = &gossip->probes[i];
		if (probe->id != 0)
			deadline = msec_earlier(deadline, probe->indirect ? probe->ends_at : probe->indirect_at);
	}
	for (size_t i = 0; i < gossip->relay_count; i++)
		deadline = msec_earlier(deadline, msec_earlier(gossip->relays[i].nack_at, gossip->relays[i].ends_at));
	for (size_t i = 0; i < FLIGHTS_MAX; i++)
		if (gossip->flights[i].sequence != 0)
			deadline = msec_earlier(deadline, gossip->flights[i].ends_at);
	for (size_t i = 0; gossip->claims != NULL && i < CLAIMS_MAX; i++) {
		const struct claim *claim = &gossip->claims[i];
		if (claim->profile != NULL)
			deadline = msec_earlier(deadline, claim->refused
			                                          ? claim->ends_at
			                                          : msec_earlier(claim->again_at, claim->ends_at));
	}
	return deadline;
}

static msec find_deadline(const struct gossip *gossip)
{
	if (gossip->gone)
		return MSEC_NEVER;
	msec deadline = msec_earlier(tables_deadline(gossip), own_deadline(gossip));
	deadline = msec_earlier(deadline, msec_earlier(gossip->suspicion_next, gossip->next_forget));
	if (gossip->members.live_count > 0) {
		if (gossip->rumours.active > 0)
			deadline = msec_earlier(deadline, gossip->next_spread);
		if (!gossip->leaving)
			deadline = msec_earlier(deadline, msec_earlier(gossip->next_probe, gossip->next_exchange));
	} else if (join_wanted(gossip)) {
		deadline = msec_earlier(deadline, gossip->next_rejoin);
	}
	if (gossip->members.departed_count + gossip->seed_count > 0 && !gossip->leaving)
		deadline = msec_earlier(deadline, gossip->next_reconnect);
	return deadline;
}

/* --- events -------------------------------------------------------------------------------------------------------- */

static void take(struct gossip *gossip, const struct gossip_event *event)
{
	uint16_t slot;
	switch (event->kind) {
	case GOSSIP_TICK:
		tick(gossip);
		break;
	case GOSSIP_DATAGRAM:
	case GOSSIP_EXCHANGE:
		hear(gossip, event);
		break;
	case GOSSIP_EXCHANGE_FAILED:
		exchange_failed(gossip, event->source);
		break;
	case GOSSIP_JOIN:
		join(gossip, event->seeds, event->seed_count);
		break;
	case GOSSIP_LEAVE:
		leave(gossip);
		break;
	case GOSSIP_SET:
		gossip->result = own_set(gossip, event->key, event->value);
		break;
	case GOSSIP_DELETE:
		gossip->result = own_delete(gossip, event->key);
		break;
	case GOSSIP_CLUSTER:
		gossip->result = own_cluster(gossip, event->cluster_id);
		break;
	case GOSSIP_DOUBT:
		slot = members_find(&gossip->members, event->member);
		if (slot != NO_SLOT)
			doubt(gossip, slot);
		break;
	}
}

void gossip_step(struct gossip *gossip, msec now, const struct gossip_event *event, struct gossip_effects *ret_effects)
{
	outbox_begin(gossip);
	gossip->wall = event->wall;
	look_at_clock(gossip, now);
	take(gossip, event);
	gossip->deadline = find_deadline(gossip);
	outbox_end(gossip, ret_effects);
}

msec gossip_deadline(const struct gossip *gossip)
{
	return gossip->deadline;
}
