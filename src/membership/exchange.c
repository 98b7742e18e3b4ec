/* Comparing all with one member now and then (anti-entropy, Demers et al. 1987). Members are divided into buckets; only those whose hashes
 * differ are listed, so that two that agree say a few kilobytes, however large the cluster. Who answers keeps nothing in mind between
 * two messages. */
#include "membership/gossip_internal.h"

#include "base/memory.h"
#include "membership/mix.h"

#include <assert.h>
#include <stdio.h>

#define YOUNG 5 /* exchanges that follow one another faster after joining */

/* What is in all buckets. */
struct buckets {
	uint32_t count;
	uint64_t hashes[GOSSIP_BUCKETS_MAX];
	uint32_t sizes[GOSSIP_BUCKETS_MAX]; /* of rows, packed */
	bool listed[GOSSIP_BUCKETS_MAX];
};

/* --- rows and buckets ---------------------------------------------------------------------------------------------- */

static uint32_t bucket_of(uint64_t id, uint32_t count)
{
	return (uint32_t)mix(id) & (count - 1);
}

/* A suspicion passes, one way or the other: it makes no difference here. */
static enum gossip_state settled(const struct record *record)
{
	return record->state == GOSSIP_SUSPECT ? GOSSIP_ALIVE : (enum gossip_state)record->state;
}

static struct gossip_row row_of(const struct gossip *gossip, const struct record *record)
{
	struct gossip_row row = {
		.id = record->id,
		.generation = record->profile->generation,
		.incarnation = record->incarnation,
		.state = settled(record),
		.version = record->profile->version,
	};
	msec since = members_since(&gossip->members, (uint16_t)(record - gossip->members.records));
	if (since != 0 && gossip->now > since)
		row.since_ms = (uint64_t)(gossip->now - since);
	return row;
}

static uint64_t hash_row(const struct record *record)
{
	uint64_t hash = mix(record->profile->version ^ (uint64_t)settled(record) << 56);
	hash = mix(hash ^ record->profile->generation) ^ record->incarnation;
	return mix(mix(hash) ^ record->id);
}

static const struct record *sorted_record(const struct gossip *gossip, size_t place)
{
	return record_of(gossip, gossip->members.sorted[place]);
}

static void fill_buckets(const struct gossip *gossip, uint32_t count, struct buckets *buckets)
{
	memset(buckets, 0, sizeof *buckets);
	buckets->count = count;
	for (size_t i = 0; i < gossip->members.count; i++) {
		const struct record *record = sorted_record(gossip, i);
		uint32_t bucket = bucket_of(record->id, count);
		struct gossip_row row = row_of(gossip, record);
		buckets->hashes[bucket] += hash_row(record);
		buckets->sizes[bucket] += (uint32_t)gossip_row_size(&row);
	}
}

static uint32_t bucket_count(const struct gossip *gossip)
{
	uint32_t count = 1;
	while (count < GOSSIP_BUCKETS_MAX && count * 16 < gossip->members.count)
		count *= 2;
	return count;
}

/* --- who asks ------------------------------------------------------------------------------------------------------ */

struct flight *exchange_find(struct gossip *gossip, uint64_t sequence)
{
	for (size_t i = 0; i < FLIGHTS_MAX; i++)
		if (gossip->flights[i].sequence != 0 && gossip->flights[i].sequence == sequence)
			return &gossip->flights[i];
	return NULL;
}

void exchange_end(struct gossip *gossip, struct flight *flight)
{
	(void)gossip;
	*flight = (struct flight){0};
}

void exchange_failed(struct gossip *gossip, const char *address)
{
	for (size_t i = 0; i < FLIGHTS_MAX; i++) {
		if (gossip->flights[i].sequence == 0 || strcmp(gossip->flights[i].address, address) != 0)
			continue;
		gossip->counts.exchanges_failed++;
		exchange_end(gossip, &gossip->flights[i]);
	}
}

/* The same address again: the former one is of no use any more. */
static struct flight *take_flight(struct gossip *gossip, const char *address)
{
	struct flight *unused = NULL;
	for (size_t i = 0; i < FLIGHTS_MAX; i++) {
		struct flight *flight = &gossip->flights[i];
		if (flight->sequence == 0)
			unused = flight;
		else if (strcmp(flight->address, address) == 0)
			return flight;
	}
	return unused;
}

static void put_hashes(struct gossip *gossip, struct gossip_message *message, uint32_t count, uint32_t first)
{
	struct buckets buckets;
	message->bucket_count = count;
	message->first_bucket = first;
	if (first == count)
		return;
	fill_buckets(gossip, count, &buckets);
	message->hash_count = count - first;
	uint64_t *hashes = arena_alloc(&gossip->arena, message->hash_count * sizeof *hashes);
	memcpy(hashes, buckets.hashes + first, message->hash_count * sizeof *hashes);
	message->hashes = hashes;
}

/* Whoever is asked hears first who asks. */
static void put_self(struct gossip *gossip, struct gossip_message *message)
{
	struct packing packing;
	packing_begin(&packing, gossip, message, GOSSIP_PIECE_SIZE);
	packing_add(&packing, gossip->self, true, 0, 0);
	packing_end(&packing);
}

void exchange_begin(struct gossip *gossip, const char *address, bool all)
{
	struct flight *flight = take_flight(gossip, address);
	if (flight == NULL || gossip->exchange_count >= FLIGHTS_MAX)
		return;
	*flight = (struct flight){
		.sequence = ++gossip->sequence,
		.ends_at = gossip->now + FLIGHT_MS,
		.all = all,
	};
	snprintf(flight->address, sizeof flight->address, "%s", address);
	gossip->counts.exchanges++;
	gossip->exchanged_at = gossip->now;
	struct gossip_message *message = outbox_message(gossip, all ? GOSSIP_ASK_ALL : GOSSIP_COMPARE);
	message->sequence = flight->sequence;
	if (!all)
		put_hashes(gossip, message, bucket_count(gossip), 0);
	put_self(gossip, message);
	outbox_exchange(gossip, address, message);
}

void exchange_soon(struct gossip *gossip, uint64_t id)
{
	msec soonest = gossip->exchanged_at + 5 * gossip->settings.probe_ms;
	gossip->reunited = id;
	gossip->next_exchange = msec_earlier(gossip->next_exchange, soonest > gossip->now ? soonest : gossip->now);
}

/* Grows with log2 of the cluster beyond 32 (as memberlist's does): what all members together do grows slower than they do. */
static msec period(struct gossip *gossip)
{
	msec scale = 1;
	for (size_t live = gossip->members.live_count; live > 32; live /= 2)
		scale++;
	msec time = gossip->settings.exchange_ms * scale;
	/* Who has just come has missed what was told while it did: soon, then twice as long each time. */
	if (gossip->young > 0)
		time = time >> gossip->young--;
	return time * 3 / 4 + (msec)random_below(&gossip->random, (uint64_t)time / 2 + 1);
}

void exchange_due(struct gossip *gossip)
{
	for (size_t i = 0; i < FLIGHTS_MAX; i++) {
		if (gossip->flights[i].sequence == 0 || gossip->now < gossip->flights[i].ends_at)
			continue;
		gossip->counts.exchanges_failed++;
		exchange_end(gossip, &gossip->flights[i]);
	}
	if (gossip->now < gossip->next_exchange || gossip->members.live_count == 0 || gossip->leaving)
		return;
	uint16_t slot = gossip->reunited != 0 ? members_find(&gossip->members, gossip->reunited) : NO_SLOT;
	if (slot == NO_SLOT || !is_live_state(record_of(gossip, slot)->state))
		slot = members_random(&gossip->members, &gossip->random);
	gossip->reunited = 0;
	gossip->next_exchange = gossip->now + period(gossip);
	exchange_begin(gossip, record_of(gossip, slot)->profile->address, false);
}

/* --- all members, for who is alone --------------------------------------------------------------------------------- */

static void answer_all(struct gossip *gossip, const struct hearing *hearing)
{
	const struct gossip_message *asked = hearing->message;
	struct gossip_message *message = outbox_message(gossip, GOSSIP_ALL);
	struct packing packing;
	size_t place = members_place(&gossip->members, asked->cursor + 1);
	message->sequence = asked->sequence;
	message->cursor = asked->cursor;
	packing_begin(&packing, gossip, message, GOSSIP_PIECE_SIZE);
	for (; place < gossip->members.count; place++) {
		if (!packing_add(&packing, gossip->members.sorted[place], true, 0, gossip->id))
			break;
		message->cursor = sorted_record(gossip, place)->id;
	}
	message->last = place == gossip->members.count;
	packing_end(&packing);
	outbox_reply(gossip, message);
}

static void hear_all(struct gossip *gossip, const struct hearing *hearing, struct flight *flight)
{
	const struct gossip_message *message = hearing->message;
	if (message->last || message->cursor <= flight->cursor) {
		exchange_end(gossip, flight);
		gossip->young = YOUNG;
		gossip->next_exchange = gossip->now + period(gossip);
		return;
	}
	flight->cursor = message->cursor;
	struct gossip_message *again = outbox_message(gossip, GOSSIP_ASK_ALL);
	again->sequence = flight->sequence;
	again->cursor = flight->cursor;
	outbox_reply(gossip, again);
}

/* --- who is asked -------------------------------------------------------------------------------------------------- */

/* What is wanted, as far as there is room; the rest is named, to be asked for again. */
static size_t put_wanted(struct gossip *gossip, const struct gossip_message *asked, struct gossip_message *message)
{
	struct packing packing;
	size_t at = 0;
	packing_begin(&packing, gossip, message, GOSSIP_PIECE_SIZE);
	for (; at < asked->want_count; at++) {
		uint16_t slot = members_find(&gossip->members, asked->wants[at]);
		if (slot != NO_SLOT && !packing_add(&packing, slot, true, 0, gossip->id))
			break;
	}
	size_t size = packing.size;
	packing_end(&packing);
	if (at == asked->want_count)
		return size;
	message->want_count = asked->want_count - at;
	uint64_t *wants = arena_alloc(&gossip->arena, message->want_count * sizeof *wants);
	memcpy(wants, asked->wants + at, message->want_count * sizeof *wants);
	message->wants = wants;
	return size + message->want_count * GOSSIP_WANT_SIZE;
}

static void put_rows(struct gossip *gossip, struct gossip_message *message, const struct buckets *buckets)
{
	struct gossip_row *rows = arena_alloc(&gossip->arena, gossip->members.count * sizeof *rows);
	size_t count = 0;
	for (size_t i = 0; i < gossip->members.count; i++) {
		const struct record *record = sorted_record(gossip, i);
		if (buckets->listed[bucket_of(record->id, buckets->count)])
			rows[count++] = row_of(gossip, record);
	}
	message->rows = rows;
	message->row_count = count;
}

static void answer_compare(struct gossip *gossip, const struct hearing *hearing)
{
	const struct gossip_message *asked = hearing->message;
	struct buckets buckets;
	if (asked->hash_count == 0 && asked->want_count == 0)
		return;
	struct gossip_message *message = outbox_message(gossip, GOSSIP_DIGEST);
	message->sequence = asked->sequence;
	message->bucket_count = asked->bucket_count;
	size_t size = put_wanted(gossip, asked, message);
	uint32_t *listed = arena_alloc(&gossip->arena, (asked->hash_count + 1) * sizeof *listed);
	uint32_t bucket = asked->first_bucket;
	fill_buckets(gossip, asked->bucket_count, &buckets);
	for (; bucket < asked->bucket_count; bucket++) {
		if (buckets.hashes[bucket] == asked->hashes[bucket - asked->first_bucket])
			continue;
		/* One at least, else nothing would come of it. */
		if (message->listed_count > 0 && size + buckets.sizes[bucket] > GOSSIP_PIECE_SIZE)
			break;
		size += GOSSIP_BUCKET_SIZE + buckets.sizes[bucket];
		buckets.listed[bucket] = true;
		listed[message->listed_count++] = bucket;
	}
	message->buckets = listed;
	message->first_bucket = bucket;
	message->last = bucket == asked->bucket_count;
	if (message->listed_count > 0)
		put_rows(gossip, message, &buckets);
	outbox_reply(gossip, message);
}

/* --- what comes of it ---------------------------------------------------------------------------------------------- */

struct comparison {
	struct gossip *gossip;
	const struct hearing *hearing;
	struct packing packing;
	uint64_t wants[GOSSIP_WANTS_MAX];
	size_t want_count;
	bool cut; /* there was not room for all */
};

static void want_row(struct comparison *comparison, uint64_t id)
{
	if (comparison->want_count == GOSSIP_WANTS_MAX)
		comparison->cut = true;
	else
		comparison->wants[comparison->want_count++] = id;
}

static void push(struct comparison *comparison, uint16_t slot, bool profile, uint64_t base)
{
	if (!packing_add(&comparison->packing, slot, profile, base, comparison->gossip->id))
		comparison->cut = true;
}

static void compare_unknown(struct comparison *comparison, const struct gossip_row *row)
{
	struct gossip *gossip = comparison->gossip;
	if ((is_forgotten(gossip, row->id, row->generation, row->incarnation) &&
	     !may_inquire(gossip, row->id, row->generation, row->state)) ||
	    (!is_live_state(row->state) && !worth_knowing(gossip, row->since_ms)))
		return;
	want_row(comparison, row->id);
}

static void compare_row(struct comparison *comparison, const struct gossip_row *row, uint16_t slot)
{
	struct gossip *gossip = comparison->gossip;
	const struct record *record = record_of(gossip, slot);
	uint64_t generation = record->profile->generation;
	if (row->generation != generation) {
		if (row->generation > generation)
			want_row(comparison, row->id);
		else
			push(comparison, slot, true, 0);
		return;
	}
	const struct gossip_update heard = {
		.id = row->id,
		.generation = row->generation,
		.incarnation = row->incarnation,
		.state = row->state,
		.from = comparison->hearing->message->from,
		.since_ms = row->since_ms,
	};
	merge(gossip, comparison->hearing, &heard);
	bool newer = record->incarnation > row->incarnation || settled(record) > row->state;
	if (record->profile->version > row->version)
		push(comparison, slot, true, row->version);
	else if (newer)
		push(comparison, slot, false, 0);
	if (record->profile->version < row->version)
		want_row(comparison, row->id);
}

/* Both are in ascending order of ids. */
static void compare_all(struct comparison *comparison)
{
	struct gossip *gossip = comparison->gossip;
	const struct gossip_message *digest = comparison->hearing->message;
	bool listed[GOSSIP_BUCKETS_MAX] = {false};
	size_t at = 0;
	for (size_t i = 0; i < digest->listed_count; i++)
		listed[digest->buckets[i]] = true;
	for (size_t i = 0; i < gossip->members.count; i++) {
		uint16_t slot = gossip->members.sorted[i];
		uint64_t id = record_of(gossip, slot)->id;
		for (; at < digest->row_count && digest->rows[at].id < id; at++)
			compare_unknown(comparison, &digest->rows[at]);
		if (at < digest->row_count && digest->rows[at].id == id)
			compare_row(comparison, &digest->rows[at++], slot);
		else if (listed[bucket_of(id, digest->bucket_count)])
			push(comparison, slot, true, 0);
	}
	for (; at < digest->row_count; at++)
		compare_unknown(comparison, &digest->rows[at]);
}

static void hear_digest(struct gossip *gossip, const struct hearing *hearing, struct flight *flight)
{
	const struct gossip_message *digest = hearing->message;
	struct comparison comparison = {.gossip = gossip, .hearing = hearing};
	struct gossip_message *message = outbox_message(gossip, GOSSIP_COMPARE);
	message->sequence = flight->sequence;
	packing_begin(&comparison.packing, gossip, message, GOSSIP_PIECE_SIZE);
	for (size_t i = 0; i < digest->want_count; i++)
		want_row(&comparison, digest->wants[i]);
	compare_all(&comparison);
	packing_end(&comparison.packing);
	/* With no room for all: once more, from here. What has come over does not differ any more. */
	uint32_t first = comparison.cut && digest->listed_count > 0 ? digest->buckets[0] : digest->first_bucket;
	bool over = first == digest->bucket_count && comparison.want_count == 0;
	if (!over || message->update_count > 0) {
		uint64_t *wants = arena_alloc(&gossip->arena, (comparison.want_count + 1) * sizeof *wants);
		memcpy(wants, comparison.wants, comparison.want_count * sizeof *wants);
		message->wants = wants;
		message->want_count = comparison.want_count;
		put_hashes(gossip, message, digest->bucket_count, first);
		outbox_reply(gossip, message);
	}
	if (over)
		exchange_end(gossip, flight);
}

void hear_exchange(struct gossip *gossip, const struct hearing *hearing)
{
	const struct gossip_message *message = hearing->message;
	bool asks = message->kind == GOSSIP_ASK_ALL || message->kind == GOSSIP_COMPARE;
	if (asks) {
		/* A newcomer that was not let in, or not yet, is told nothing of the cluster. */
		if (hearing->sender == NO_SLOT)
			newcomer_refused(gossip, hearing);
		else if (message->kind == GOSSIP_ASK_ALL)
			answer_all(gossip, hearing);
		else
			answer_compare(gossip, hearing);
		return;
	}
	struct flight *flight = exchange_find(gossip, message->sequence);
	if (flight == NULL || flight->all != (message->kind == GOSSIP_ALL))
		return;
	if (++flight->messages > FLIGHT_MESSAGES_MAX) {
		exchange_end(gossip, flight);
		return;
	}
	flight->ends_at = gossip->now + FLIGHT_MS;
	if (message->kind == GOSSIP_ALL)
		hear_all(gossip, hearing, flight);
	else
		hear_digest(gossip, hearing, flight);
}
