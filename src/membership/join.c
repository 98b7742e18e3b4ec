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

static bool is_heard(const struct gossip *gossip, const char *address)
{
	for (size_t i = 0; i < gossip->members.live_count; i++)
		if (strcmp(record_of(gossip, gossip->members.live[i])->profile->address, address) == 0)
			return true;
	return strcmp(own_address(gossip), address) == 0;
}

/* Who has others already looks for those that it does not hear, the ones first that it was not told of before. */
static void contact_unheard(struct gossip *gossip, address_text *known, size_t known_count)
{
	size_t contacted = 0;
	for (int told_before = 0; told_before < 2; told_before++) {
		for (size_t i = 0; i < gossip->seed_count && contacted < SEEDS_AT_ONCE; i++) {
			size_t at = 0;
			while (at < known_count && strcmp(known[at], gossip->seeds[i]) != 0)
				at++;
			if ((at < known_count) != (told_before == 1) || is_heard(gossip, gossip->seeds[i]))
				continue;
			exchange_begin(gossip, gossip->seeds[i], false);
			contacted++;
		}
	}
}

void join(struct gossip *gossip, const char *const *seeds, size_t count)
{
	address_text *known = gossip->seeds;
	size_t known_count = gossip->seed_count;
	if (count > GOSSIP_SEEDS_MAX)
		count = GOSSIP_SEEDS_MAX;
	gossip->seeds = count > 0 ? mem_array(count, sizeof *gossip->seeds) : NULL;
	gossip->seed_count = 0;
	gossip->seed_next = 0;
	for (size_t i = 0; i < count; i++)
		if (gossip_address_valid(slice_of(seeds[i])))
			snprintf(gossip->seeds[gossip->seed_count++], sizeof *gossip->seeds, "%s", seeds[i]);
	if (is_alone(gossip)) {
		gossip->rejoins = 0;
		gossip->next_rejoin = gossip->now;
	} else if (!gossip->leaving) {
		contact_unheard(gossip, known, known_count);
	}
	mem_free(known);
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

/* Two parts of a cluster that could not hear one another for a while each think that the other has failed. */
static void reconnect(struct gossip *gossip)
{
	gossip->next_reconnect = gossip->now + about(gossip, gossip->settings.reconnect_ms);
	if (gossip->seed_count > 0 && ++gossip->reconnects % SEED_TURN == 0) {
		for (size_t i = 0; i < gossip->seed_count; i++) {
			const char *seed = gossip->seeds[gossip->seed_next++ % gossip->seed_count];
			if (is_heard(gossip, seed))
				continue;
			exchange_begin(gossip, seed, false);
			break;
		}
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
