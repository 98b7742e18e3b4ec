#include "membership/gossip_internal.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>

bool gossip_find(const struct gossip *gossip, uint64_t id, struct gossip_member *ret_member)
{
	uint16_t slot = members_find(&gossip->members, id);
	if (slot == NO_SLOT)
		return false;
	member_view(gossip, slot, ret_member);
	return true;
}

bool gossip_find_name(const struct gossip *gossip, const char *name, struct gossip_member *ret_member)
{
	uint16_t found = NO_SLOT;
	for (size_t i = 0; i < gossip->members.count; i++) {
		uint16_t slot = gossip->members.sorted[i];
		if (strcmp(record_of(gossip, slot)->profile->name, name) != 0)
			continue;
		if (found == NO_SLOT || is_live_state(record_of(gossip, slot)->state))
			found = slot;
		if (is_live_state(record_of(gossip, slot)->state))
			break;
	}
	if (found == NO_SLOT)
		return false;
	member_view(gossip, found, ret_member);
	return true;
}

bool gossip_next(const struct gossip *gossip, uint64_t id, struct gossip_member *ret_member)
{
	size_t place = id < GOSSIP_ID_MAX ? members_place(&gossip->members, id + 1) : gossip->members.count;
	if (place >= gossip->members.count)
		return false;
	member_view(gossip, gossip->members.sorted[place], ret_member);
	return true;
}

bool gossip_value(const struct gossip_member *member, const char *key, struct slice *ret_value)
{
	for (size_t i = 0; i < member->pair_count; i++) {
		if (slice_is(member->pairs[i].key, key)) {
			*ret_value = member->pairs[i].value;
			return true;
		}
	}
	return false;
}

bool gossip_is_live(const struct gossip_member *member)
{
	return is_live_state(member->state);
}

uint64_t gossip_sequence(const struct gossip *gossip)
{
	return gossip->change_sequence;
}

const char *gossip_cluster_id(const struct gossip *gossip)
{
	return gossip->cluster_id;
}

const char *gossip_change_name(enum gossip_change_kind kind)
{
	static const char *const names[] = {"joined", "updated", "suspect", "failed", "left", "forgotten"};
	assert((unsigned)kind < sizeof names / sizeof names[0]);
	return names[kind];
}

static int compare_slices(const void *left, const void *right)
{
	return slice_compare(*(const struct slice *)left, *(const struct slice *)right);
}

void gossip_statistics(const struct gossip *gossip, struct gossip_statistics *ret_statistics)
{
	struct slice *datacenters = mem_array(gossip->members.count, sizeof *datacenters);
	size_t named = 0;
	struct gossip_statistics statistics = {.health = gossip->health, .suspect = gossip->suspicion_count};
	for (size_t i = 0; i < gossip->members.count; i++) {
		struct gossip_member member;
		member_view(gossip, gossip->members.sorted[i], &member);
		if (!gossip_is_live(&member)) {
			statistics.dead++;
			continue;
		}
		statistics.live++;
		named += gossip_value(&member, GOSSIP_KEY_DATACENTER, &datacenters[named]);
	}
	qsort(datacenters, named, sizeof *datacenters, compare_slices);
	for (size_t i = 0; i < named; i++)
		statistics.datacenters += i == 0 || !slice_equal(datacenters[i], datacenters[i - 1]);
	mem_free(datacenters);
	*ret_statistics = statistics;
}

const struct gossip_counts *gossip_counts(const struct gossip *gossip)
{
	return &gossip->counts;
}
