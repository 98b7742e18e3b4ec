#include "membership/gossip_internal.h"

#include "base/memory.h"

#include <assert.h>
#include <stdio.h>

#define SEEDS_AT_ONCE 3
#define WAIT_FACTOR_MAX 4 /* of the wait between two rounds of contacting seeds */
#define SEED_TURN 10      /* one in so many attempts to reconnect goes to a seed */

static bool is_alone(const struct gossip *gossip)
{
	return gossip->members.live_count == 0;
}

bool join_wanted(const struct gossip *gossip)
{
	return is_alone(gossip) && gossip->seed_count + gossip->recalled_count > 0 && !gossip->leaving;
}

static const char *own_address(const struct gossip *gossip)
{
	return record_of(gossip, gossip->self)->profile->address;
}

void join(struct gossip *gossip, const char *const *seeds, size_t count)
{
	if (count > GOSSIP_SEEDS_MAX)
		count = GOSSIP_SEEDS_MAX;
	mem_free(gossip->seeds);
	gossip->seeds = count > 0 ? mem_array(count, sizeof *gossip->seeds) : NULL;
	gossip->seed_count = 0;
	gossip->seed_next = 0;
	for (size_t i = 0; i < count; i++)
		if (gossip_address_valid(slice_of(seeds[i])))
			snprintf(gossip->seeds[gossip->seed_count++], sizeof *gossip->seeds, "%s", seeds[i]);
	if (is_alone(gossip)) {
		gossip->rejoins = 0;
		gossip->next_rejoin = gossip->now;
	}
}

static msec about(struct gossip *gossip, msec time)
{
	return time * 3 / 4 + (msec)random_below(&gossip->random, (uint64_t)time / 2 + 1);
}

static const char *next_seed(struct gossip *gossip)
{
	size_t place = gossip->seed_next++ % (gossip->seed_count + gossip->recalled_count);
	return place < gossip->seed_count ? gossip->seeds[place] : gossip->recalled[place - gossip->seed_count];
}

static void rejoin(struct gossip *gossip)
{
	size_t count = gossip->seed_count + gossip->recalled_count;
	for (size_t i = 0; i < count && i < SEEDS_AT_ONCE; i++) {
		const char *seed = next_seed(gossip);
		if (strcmp(seed, own_address(gossip)) != 0)
			exchange_begin(gossip, seed, true);
	}
	gossip->rejoins++;
	msec factor = 1 + (msec)gossip->rejoins / 8;
	gossip->next_rejoin = gossip->now +
	                      about(gossip, gossip->settings.rejoin_ms * msec_earlier(factor, WAIT_FACTOR_MAX));
}

static bool is_heard(const struct gossip *gossip, const char *address)
{
	for (size_t i = 0; i < gossip->members.live_count; i++)
		if (strcmp(record_of(gossip, gossip->members.live[i])->profile->address, address) == 0)
			return true;
	return strcmp(own_address(gossip), address) == 0;
}

/* Two parts of a cluster that could not hear one another for a while each think that the other has failed. */
static void reconnect(struct gossip *gossip)
{
	gossip->next_reconnect = gossip->now + about(gossip, gossip->settings.reconnect_ms);
	if (gossip->seed_count > 0 && ++gossip->reconnects % SEED_TURN == 0) {
		const char *seed = gossip->seeds[gossip->seed_next++ % gossip->seed_count];
		if (!is_heard(gossip, seed))
			exchange_begin(gossip, seed, false);
		return;
	}
	if (gossip->members.departed_count == 0)
		return;
	uint16_t slot = gossip->members.departed[random_below(&gossip->random, gossip->members.departed_count)].slot;
	const struct record *record = record_of(gossip, slot);
	if (record->state == GOSSIP_FAILED)
		send_ping(gossip, record->profile->address, record->id, ++gossip->sequence, slot);
}

void join_due(struct gossip *gossip)
{
	if (join_wanted(gossip) && gossip->now >= gossip->next_rejoin)
		rejoin(gossip);
	if (!is_alone(gossip)) {
		gossip->rejoins = 0;
		gossip->recalled_count = 0;
	}
	if (gossip->now >= gossip->next_reconnect && !gossip->leaving)
		reconnect(gossip);
}

void sight(struct gossip *gossip, const char *cluster_id, const char *source)
{
	gossip->sighted = true;
	memcpy(gossip->sighting.cluster_id, cluster_id, sizeof gossip->sighting.cluster_id);
	snprintf(gossip->sighting.address, sizeof gossip->sighting.address, "%s", source);
}

/* After so long a pause that others may have forgotten members, this one included: what is known of them is not worth telling. */
void start_over(struct gossip *gossip)
{
	struct members *members = &gossip->members;
	if (gossip->recalled == NULL)
		gossip->recalled = mem_array(GOSSIP_SEEDS_MAX, sizeof *gossip->recalled);
	gossip->recalled_count = 0;
	for (size_t i = 0; i < members->live_count && i < GOSSIP_SEEDS_MAX; i++)
		snprintf(gossip->recalled[gossip->recalled_count++], sizeof *gossip->recalled, "%s",
		         record_of(gossip, members->live[i])->profile->address);
	while (members->count > 1)
		forget(gossip, members->sorted[members->sorted[0] == gossip->self], 0);
	for (size_t i = 0; i < PROBES_MAX; i++)
		gossip->probes[i] = (struct probe){0};
	record_of(gossip, gossip->self)->incarnation++;
	rumour(gossip, gossip->self, true, 0, 0);
	gossip->rejoins = 0;
	gossip->next_rejoin = gossip->now;
}
