#include "membership/profile.h"

#include "base/memory.h"
#include "membership/gossip.h"
#include "membership/mix.h"

#include <assert.h>
#include <stdlib.h>

struct gossip_shared {
	struct profile **buckets;
	size_t bucket_count; /* a power of two */
	size_t count;
};

static uint64_t hash_bytes(uint64_t hash, const char *bytes, size_t size)
{
	for (; size >= 8; bytes += 8, size -= 8) {
		uint64_t word;
		memcpy(&word, bytes, 8);
		hash = mix(hash ^ word);
	}
	uint64_t rest = size;
	for (size_t i = 0; i < size; i++)
		rest = rest << 8 | (unsigned char)bytes[i];
	return mix(hash ^ rest);
}

static uint64_t hash_profile(const struct profile *profile)
{
	uint64_t hash = mix(profile->generation ^ mix(profile->version ^ mix(profile->collected)));
	hash = hash_bytes(hash, profile->name, strlen(profile->name));
	hash = hash_bytes(hash, profile->address, strlen(profile->address));
	for (size_t i = 0; i < profile->pair_count; i++) {
		hash = hash_bytes(hash, profile->pairs[i].key.data, profile->pairs[i].key.size);
		hash = hash_bytes(hash ^ profile->pairs[i].version, profile->pairs[i].value.data,
		                  profile->pairs[i].value.size);
	}
	return hash;
}

static bool equal(const struct profile *left, const struct profile *right)
{
	if (left->hash != right->hash || left->generation != right->generation || left->version != right->version ||
	    left->collected != right->collected || left->pair_count != right->pair_count ||
	    left->live_count != right->live_count || strcmp(left->name, right->name) != 0 ||
	    strcmp(left->address, right->address) != 0)
		return false;
	for (size_t i = 0; i < left->pair_count; i++)
		if (left->pairs[i].version != right->pairs[i].version ||
		    !slice_equal(left->pairs[i].key, right->pairs[i].key) ||
		    !slice_equal(left->pairs[i].value, right->pairs[i].value))
			return false;
	return true;
}

struct gossip_shared *gossip_shared_create(void)
{
	struct gossip_shared *shared = mem_zero(sizeof *shared);
	shared->bucket_count = 1024;
	shared->buckets = mem_array(shared->bucket_count, sizeof(struct profile *));
	return shared;
}

void gossip_shared_destroy(struct gossip_shared *shared)
{
	if (shared == NULL)
		return;
	assert(shared->count == 0);
	mem_free(shared->buckets);
	mem_free(shared);
}

static void grow(struct gossip_shared *shared)
{
	size_t count = 2 * shared->bucket_count;
	struct profile **buckets = mem_array(count, sizeof(struct profile *));
	for (size_t i = 0; i < shared->bucket_count; i++) {
		for (struct profile *profile = shared->buckets[i], *next; profile != NULL; profile = next) {
			next = profile->next;
			profile->next = buckets[profile->hash & (count - 1)];
			buckets[profile->hash & (count - 1)] = profile;
		}
	}
	mem_free(shared->buckets);
	shared->buckets = buckets;
	shared->bucket_count = count;
}

/* The one that is equal, or this one, which is known from now on. */
static struct profile *share(struct gossip_shared *shared, struct profile *profile)
{
	profile->hash = hash_profile(profile);
	struct profile **bucket = &shared->buckets[profile->hash & (shared->bucket_count - 1)];
	for (struct profile *other = *bucket; other != NULL; other = other->next) {
		if (equal(other, profile)) {
			mem_free(profile);
			return profile_hold(other);
		}
	}
	profile->shared = shared;
	profile->next = *bucket;
	*bucket = profile;
	if (++shared->count > shared->bucket_count)
		grow(shared);
	return profile;
}

static void unshare(struct profile *profile)
{
	struct gossip_shared *shared = profile->shared;
	struct profile **link = &shared->buckets[profile->hash & (shared->bucket_count - 1)];
	while (*link != profile)
		link = &(*link)->next;
	*link = profile->next;
	shared->count--;
}

static int compare_pairs(const void *left, const void *right)
{
	const struct gossip_pair *a = left;
	const struct gossip_pair *b = right;
	if (a->deleted != b->deleted)
		return a->deleted ? 1 : -1;
	return slice_compare(a->key, b->key);
}

static const char *put(char **at, const char *bytes, size_t size)
{
	char *copy = *at;
	if (size != 0)
		memcpy(copy, bytes, size);
	copy[size] = '\0';
	*at += size + 1;
	return copy;
}

struct profile *profile_create(struct gossip_shared *shared, uint64_t generation, const struct gossip_profile *all)
{
	size_t count = all->pair_count;
	size_t size = sizeof(struct profile) + count * sizeof(struct gossip_pair) + all->name.size + all->address.size +
	              2;
	for (size_t i = 0; i < count; i++)
		size += all->pairs[i].key.size + all->pairs[i].value.size + 2;
	struct profile *profile = mem_zero(size);
	char *at = (char *)&profile->pairs[count];
	profile->references = 1;
	profile->pair_count = (uint32_t)count;
	profile->generation = generation;
	profile->version = all->version;
	profile->collected = all->collected;
	profile->name = put(&at, all->name.data, all->name.size);
	profile->address = put(&at, all->address.data, all->address.size);
	for (size_t i = 0; i < count; i++) {
		const struct gossip_pair *from = &all->pairs[i];
		profile->pairs[i] = (struct gossip_pair){
			.key = {put(&at, from->key.data, from->key.size), from->key.size},
			.value = {put(&at, from->value.data, from->value.size), from->value.size},
			.version = from->version,
			.deleted = from->deleted,
		};
		profile->live_count += !from->deleted;
	}
	qsort(profile->pairs, count, sizeof *profile->pairs, compare_pairs);
	return shared != NULL ? share(shared, profile) : profile;
}

struct profile *profile_hold(struct profile *profile)
{
	profile->references++;
	return profile;
}

void profile_release(struct profile *profile)
{
	if (profile == NULL || --profile->references > 0)
		return;
	if (profile->shared != NULL)
		unshare(profile);
	mem_free(profile);
}

static struct gossip_profile all_of(const struct profile *profile)
{
	return (struct gossip_profile){
		.name = slice_of(profile->name),
		.address = slice_of(profile->address),
		.version = profile->version,
		.collected = profile->collected,
		.pairs = profile->pairs,
		.pair_count = profile->pair_count,
	};
}

static size_t find(const struct gossip_pair *pairs, size_t count, struct slice key)
{
	size_t at = 0;
	while (at < count && !slice_equal(pairs[at].key, key))
		at++;
	return at;
}

struct profile *profile_change(const struct profile *profile, const struct gossip_profile *change)
{
	struct gossip_pair pairs[2 * GOSSIP_PAIRS_MAX];
	size_t count = 0;
	assert(change->base <= profile->version && change->pair_count <= GOSSIP_PAIRS_MAX);
	for (size_t i = 0; i < profile->pair_count; i++)
		if (!profile->pairs[i].deleted || profile->pairs[i].version > change->collected)
			pairs[count++] = profile->pairs[i];
	for (size_t i = 0; i < change->pair_count; i++) {
		size_t at = find(pairs, count, change->pairs[i].key);
		if (at == count)
			pairs[count++] = change->pairs[i];
		else if (pairs[at].version < change->pairs[i].version)
			pairs[at] = change->pairs[i];
	}
	struct gossip_profile all = all_of(profile);
	all.pairs = pairs;
	all.pair_count = count;
	all.version = change->version > profile->version ? change->version : profile->version;
	all.collected = change->collected > profile->collected ? change->collected : profile->collected;
	if (count > GOSSIP_PAIRS_MAX || gossip_profile_size(&all) > GOSSIP_PROFILE_SIZE_MAX)
		return NULL;
	return profile_create(profile->shared, profile->generation, &all);
}

struct profile *profile_collect(const struct profile *profile, uint64_t version)
{
	struct gossip_profile change = {.base = profile->version, .version = profile->version, .collected = version};
	return profile_change(profile, &change);
}

const struct gossip_profile *profile_since(const struct profile *profile, uint64_t base, struct arena *arena)
{
	struct gossip_profile *change = arena_alloc(arena, sizeof *change);
	*change = all_of(profile);
	if (base == 0 || base < profile->collected)
		return change;
	struct gossip_pair *pairs = arena_alloc(arena, profile->pair_count * sizeof *pairs);
	change->name = change->address = SLICE("");
	change->base = base < profile->version ? base : profile->version;
	change->pairs = pairs;
	change->pair_count = 0;
	for (size_t i = 0; i < profile->pair_count; i++)
		if (profile->pairs[i].version > base)
			pairs[change->pair_count++] = profile->pairs[i];
	return change;
}
