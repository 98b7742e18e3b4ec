/* Members' messages as bytes: there and back, limits, what is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "proto/gossip.pb-c.h"
#include "wire/gossip.h"
#include "wire/message.h"

#include <stdio.h>

#define CLUSTER "0123456789abcdef0123456789abcdef"

static struct random random_state;

static uint64_t below(uint64_t bound)
{
	return random_below(&random_state, bound);
}

/* Of any length in bytes when packed. */
static uint64_t number(uint64_t limit)
{
	uint64_t drawn = random_next(&random_state) >> below(64);
	return drawn > limit ? limit : drawn;
}

static uint64_t id(void)
{
	uint64_t drawn = number(GOSSIP_ID_MAX);
	return drawn != 0 ? drawn : 1;
}

static struct slice text(struct arena *arena, size_t most)
{
	size_t size = 1 + below(most);
	char *bytes = arena_alloc(arena, size + 1);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)('a' + below(26));
	return (struct slice){bytes, size};
}

static struct slice address(struct arena *arena)
{
	char *bytes = arena_alloc(arena, GOSSIP_ADDRESS_MAX + 1);
	snprintf(bytes, GOSSIP_ADDRESS_MAX + 1, "%u.%u.%u.%u:%u", (unsigned)below(256), (unsigned)below(256),
	         (unsigned)below(256), (unsigned)below(256), (unsigned)below(65536));
	return slice_of(bytes);
}

static const struct gossip_profile *profile(struct arena *arena)
{
	struct gossip_profile *drawn = arena_alloc(arena, sizeof *drawn);
	struct gossip_pair *pairs = arena_alloc(arena, GOSSIP_PAIRS_MAX * sizeof *pairs);
	drawn->version = 40 + number(GOSSIP_ID_MAX - 40);
	drawn->base = below(2) != 0 ? 1 + below(3) : 0;
	drawn->collected = below(2) != 0 ? number(drawn->version) : 0;
	drawn->name = drawn->base == 0 ? text(arena, GOSSIP_NAME_MAX) : SLICE("");
	drawn->address = drawn->base == 0 ? address(arena) : SLICE("");
	drawn->pairs = pairs;
	for (size_t count = below(GOSSIP_PAIRS_MAX + 1); drawn->pair_count < count; drawn->pair_count++) {
		char *key = arena_alloc(arena, 16);
		snprintf(key, 16, "k%zu", drawn->pair_count);
		struct gossip_pair *pair = &pairs[drawn->pair_count];
		*pair = (struct gossip_pair){.key = slice_of(key), .version = 5 + below(30), .deleted = below(4) == 0};
		pair->value = pair->deleted ? SLICE("") : text(arena, 20);
	}
	return drawn;
}

static struct gossip_update update(struct arena *arena)
{
	struct gossip_update drawn = {
		.id = id(),
		.generation = id(),
		.incarnation = (uint32_t)number(GOSSIP_INCARNATION_MAX),
		.state = (enum gossip_state)below(GOSSIP_STATE_END),
		.from = number(GOSSIP_ID_MAX),
		.since_ms = number(UINT64_MAX),
		.profile = below(2) != 0 ? profile(arena) : NULL,
	};
	return drawn;
}

static void draw_exchange(struct arena *arena, struct gossip_message *message)
{
	message->last = below(2) != 0;
	if (message->kind == GOSSIP_ASK_ALL || message->kind == GOSSIP_ALL) {
		message->cursor = number(GOSSIP_ID_MAX);
		return;
	}
	message->bucket_count = 1u << below(11);
	message->first_bucket = (uint32_t)below(message->bucket_count + 1);
	if (message->kind == GOSSIP_COMPARE) {
		uint64_t *hashes = arena_alloc(arena, message->bucket_count * sizeof *hashes);
		message->hash_count = message->bucket_count - message->first_bucket;
		for (size_t i = 0; i < message->hash_count; i++)
			hashes[i] = random_next(&random_state);
		message->hashes = hashes;
		return;
	}
	uint32_t *buckets = arena_alloc(arena, message->bucket_count * sizeof *buckets);
	for (uint32_t i = 0; i < message->bucket_count; i++)
		if (below(2) != 0)
			buckets[message->listed_count++] = i;
	message->buckets = buckets;
	struct gossip_row *rows = arena_alloc(arena, 200 * sizeof *rows);
	uint64_t last = 0;
	for (size_t count = below(200); message->row_count < count; message->row_count++) {
		last += 1 + below((uint64_t)1 << 40);
		rows[message->row_count] = (struct gossip_row){last,
		                                               id(),
		                                               (uint32_t)number(GOSSIP_INCARNATION_MAX),
		                                               (enum gossip_state)below(GOSSIP_STATE_END),
		                                               number(GOSSIP_ID_MAX),
		                                               number(UINT64_MAX)};
	}
	message->rows = rows;
}

static struct gossip_message draw(struct arena *arena, size_t updates_most)
{
	struct gossip_message message = {
		.kind = (enum gossip_message_kind)below(GOSSIP_MESSAGE_END),
		.protocol = GOSSIP_PROTOCOL,
		.from = id(),
		.generation = id(),
		.address = address(arena),
		.stamp = random_next(&random_state),
		.sequence = number(UINT64_MAX),
	};
	if (below(4) != 0)
		memcpy(message.cluster_id, CLUSTER, sizeof CLUSTER);
	if (message.kind == GOSSIP_PING)
		message.target = number(GOSSIP_ID_MAX);
	if (message.kind == GOSSIP_PING_REQUEST || message.kind == GOSSIP_ACK || message.kind == GOSSIP_NACK)
		message.target = id();
	if (message.kind == GOSSIP_PING_REQUEST)
		message.target_address = address(arena);
	if (message.kind == GOSSIP_REFUSAL) {
		message.refusal = (enum gossip_refusal)(1 + below(GOSSIP_REFUSED_END - 1));
		message.holder = number(GOSSIP_ID_MAX);
		message.holder_generation = number(GOSSIP_ID_MAX);
		message.holder_address = address(arena);
	}
	if (gossip_is_exchange(message.kind))
		draw_exchange(arena, &message);
	struct gossip_update *updates = arena_alloc(arena, updates_most * sizeof *updates);
	for (size_t count = below(updates_most + 1); message.update_count < count; message.update_count++)
		updates[message.update_count] = update(arena);
	message.updates = updates;
	uint64_t *wants = arena_alloc(arena, 16 * sizeof *wants);
	for (size_t count = below(16); message.want_count < count; message.want_count++)
		wants[message.want_count] = id();
	message.wants = wants;
	return message;
}

static size_t bound(const struct gossip_message *message)
{
	size_t size = gossip_head_size(message) + message->want_count * GOSSIP_WANT_SIZE;
	size += message->hash_count * GOSSIP_HASH_SIZE + message->listed_count * GOSSIP_BUCKET_SIZE;
	for (size_t i = 0; i < message->update_count; i++)
		size += gossip_update_size(&message->updates[i]);
	for (size_t i = 0; i < message->row_count; i++)
		size += gossip_row_size(&message->rows[i]);
	return size;
}

static void assert_slices(struct slice left, struct slice right)
{
	assert_true(slice_equal(left, right));
}

static void assert_profiles(const struct gossip_profile *left, const struct gossip_profile *right)
{
	assert_true((left == NULL) == (right == NULL));
	if (left == NULL)
		return;
	assert_slices(left->name, right->name);
	assert_slices(left->address, right->address);
	assert_int_equal(left->base, right->base);
	assert_int_equal(left->version, right->version);
	assert_int_equal(left->collected, right->collected);
	assert_int_equal(left->pair_count, right->pair_count);
	for (size_t i = 0; i < left->pair_count; i++) {
		assert_slices(left->pairs[i].key, right->pairs[i].key);
		assert_slices(left->pairs[i].value, right->pairs[i].value);
		assert_int_equal(left->pairs[i].version, right->pairs[i].version);
		assert_int_equal(left->pairs[i].deleted, right->pairs[i].deleted);
	}
}

static void assert_messages(const struct gossip_message *left, const struct gossip_message *right)
{
	assert_int_equal(left->kind, right->kind);
	assert_string_equal(left->cluster_id, right->cluster_id);
	assert_int_equal(left->from, right->from);
	assert_int_equal(left->generation, right->generation);
	assert_slices(left->address, right->address);
	assert_int_equal(left->stamp, right->stamp);
	assert_int_equal(left->sequence, right->sequence);
	assert_int_equal(left->target, right->target);
	assert_slices(left->target_address, right->target_address);
	assert_int_equal(left->refusal, right->refusal);
	assert_int_equal(left->holder, right->holder);
	assert_int_equal(left->holder_generation, right->holder_generation);
	assert_slices(left->holder_address, right->holder_address);
	assert_int_equal(left->cursor, right->cursor);
	assert_int_equal(left->last, right->last);
	assert_int_equal(left->bucket_count, right->bucket_count);
	assert_int_equal(left->first_bucket, right->first_bucket);
	assert_int_equal(left->update_count, right->update_count);
	assert_int_equal(left->want_count, right->want_count);
	assert_int_equal(left->hash_count, right->hash_count);
	assert_int_equal(left->listed_count, right->listed_count);
	assert_int_equal(left->row_count, right->row_count);
	assert_memory_equal(left->wants, right->wants, left->want_count * sizeof *left->wants);
	if (left->hash_count > 0)
		assert_memory_equal(left->hashes, right->hashes, left->hash_count * sizeof *left->hashes);
	if (left->listed_count > 0)
		assert_memory_equal(left->buckets, right->buckets, left->listed_count * sizeof *left->buckets);
	for (size_t i = 0; i < left->row_count; i++) {
		assert_int_equal(left->rows[i].id, right->rows[i].id);
		assert_int_equal(left->rows[i].generation, right->rows[i].generation);
		assert_int_equal(left->rows[i].incarnation, right->rows[i].incarnation);
		assert_int_equal(left->rows[i].state, right->rows[i].state);
		assert_int_equal(left->rows[i].version, right->rows[i].version);
		assert_int_equal(left->rows[i].since_ms, right->rows[i].since_ms);
	}
	for (size_t i = 0; i < left->update_count; i++) {
		assert_int_equal(left->updates[i].id, right->updates[i].id);
		assert_int_equal(left->updates[i].generation, right->updates[i].generation);
		assert_int_equal(left->updates[i].incarnation, right->updates[i].incarnation);
		assert_int_equal(left->updates[i].state, right->updates[i].state);
		assert_int_equal(left->updates[i].from, right->updates[i].from);
		assert_int_equal(left->updates[i].since_ms, right->updates[i].since_ms);
		assert_profiles(left->updates[i].profile, right->updates[i].profile);
	}
}

static void every_message_comes_back_as_it_was_and_is_no_larger_than_thought(void **state)
{
	struct arena arena = {0};
	struct buffer bytes = BUFFER_EMPTY;
	struct error error;
	size_t kinds[GOSSIP_MESSAGE_END] = {0};
	(void)state;
	for (uint64_t seed = 0; seed < 3000; seed++) {
		random_state.state = seed;
		buffer_clear(&bytes);
		arena_reset(&arena);
		struct gossip_message message = draw(&arena, 20);
		struct gossip_message decoded;
		if (!gossip_is_exchange(message.kind))
			while (message.update_count > 0 && bound(&message) > GOSSIP_DATAGRAM_MAX)
				message.update_count--;
		if (!gossip_message_valid(&message)) /* a profile that is too large */
			continue;
		gossip_encode(&message, &arena, &bytes);
		assert_true(bytes.size <= bound(&message));
		assert_int_equal(gossip_decode(buffer_slice(&bytes), &arena, &decoded, &error), 0);
		assert_messages(&message, &decoded);
		kinds[message.kind]++;
	}
	for (int kind = 0; kind < GOSSIP_MESSAGE_END; kind++)
		assert_true(kinds[kind] > 50);
	buffer_finish(&bytes);
	arena_finish(&arena);
}

/* --- what is refused ----------------------------------------------------------------------------------------------- */

static struct gossip_message good(void)
{
	return (struct gossip_message){.kind = GOSSIP_PING,
	                               .protocol = GOSSIP_PROTOCOL,
	                               .cluster_id = CLUSTER,
	                               .from = 1,
	                               .generation = 1,
	                               .address = SLICE("10.0.0.1:9189")};
}

static int decode(const struct gossip_message *message, struct gossip_message *ret_message, struct error *error)
{
	static struct arena arena;
	struct buffer bytes = BUFFER_EMPTY;
	arena_reset(&arena);
	gossip_encode(message, &arena, &bytes);
	int code = gossip_decode(buffer_slice(&bytes), &arena, ret_message, error);
	buffer_finish(&bytes);
	if (code != 0) {
		assert_int_equal(error->code, code);
		assert_true(error->text[0] != '\0');
	}
	if (code != ERR_VERSION)
		arena_finish(&arena);
	return code;
}

static void what_no_member_says_is_invalid(void **state)
{
	struct gossip_message message = good();
	struct gossip_message decoded;
	struct error error;
	struct gossip_profile all = {.name = SLICE("n"), .address = SLICE("1.2.3.4:5"), .version = 3};
	struct gossip_pair pairs[] = {{.key = SLICE("k"), .version = 1}, {.key = SLICE("k"), .version = 2}};
	struct gossip_update said = {.id = 1, .generation = 1, .profile = &all};
	(void)state;
	assert_int_equal(decode(&message, &decoded, &error), 0);
#define REFUSED(change)                                                            \
	do {                                                                       \
		message = good();                                                  \
		change;                                                            \
		assert_false(gossip_message_valid(&message));                      \
		assert_int_equal(decode(&message, &decoded, &error), ERR_INVALID); \
	} while (0)
	REFUSED(message.from = 0);
	REFUSED(message.from = GOSSIP_ID_MAX + 1);
	REFUSED(message.generation = 0);
	REFUSED(message.address = SLICE("somewhere"));
	REFUSED(message.address = SLICE("10.0.0.1:"));
	REFUSED(message.address = SLICE("10.0.0.1:123456"));
	REFUSED(message.address = SLICE("10. 0.0.1:1"));
	REFUSED(message.target_address = SLICE("10.0.0.1:1"));
	REFUSED(message.kind = GOSSIP_ACK);
	REFUSED(message.refusal = GOSSIP_REFUSED_ID);
	REFUSED(message.bucket_count = 4);
	REFUSED((message.kind = GOSSIP_COMPARE, message.bucket_count = 3));
	REFUSED((message.kind = GOSSIP_COMPARE, message.bucket_count = 4));
	REFUSED((message.kind = GOSSIP_DIGEST, message.bucket_count = 4, message.buckets = (uint32_t[]){1, 1},
	         message.listed_count = 2));
	REFUSED((message.kind = GOSSIP_DIGEST, message.bucket_count = 4, message.buckets = (uint32_t[]){4},
	         message.listed_count = 1));
	REFUSED((message.wants = (uint64_t[]){0}, message.want_count = 1));
	message = good();
	message.updates = &said;
	message.update_count = 1;
	assert_true(gossip_message_valid(&message));
#define REFUSED_UPDATE(change, back)                                               \
	do {                                                                       \
		change;                                                            \
		assert_false(gossip_message_valid(&message));                      \
		assert_int_equal(decode(&message, &decoded, &error), ERR_INVALID); \
		back;                                                              \
	} while (0)
	REFUSED_UPDATE(said.id = 0, said.id = 1);
	REFUSED_UPDATE(said.incarnation = GOSSIP_INCARNATION_MAX + 1, said.incarnation = 0);
	REFUSED_UPDATE(said.state = GOSSIP_STATE_END, said.state = GOSSIP_ALIVE);
	REFUSED_UPDATE(all.name = SLICE(""), all.name = SLICE("n"));
	REFUSED_UPDATE(all.name = SLICE("a\tb"), all.name = SLICE("n"));
	REFUSED_UPDATE(all.name = SLICE("\xff"), all.name = SLICE("n"));
	REFUSED_UPDATE(all.base = 1, all.base = 0);
	REFUSED_UPDATE(all.collected = 4, all.collected = 0);
	REFUSED_UPDATE((all.pairs = pairs, all.pair_count = 2), all.pair_count = 0);
	REFUSED_UPDATE((all.pairs = pairs, all.pair_count = 1, pairs[0].version = 4),
	               (all.pair_count = 0, pairs[0].version = 1));
	REFUSED_UPDATE((all.pairs = pairs, all.pair_count = 1, pairs[0].version = 0),
	               (all.pair_count = 0, pairs[0].version = 1));
	REFUSED_UPDATE((all.pairs = pairs, all.pair_count = 1, pairs[0].deleted = true, pairs[0].value = SLICE("v")),
	               (all.pair_count = 0));
}

static void another_version_says_who_it_is_and_nothing_else(void **state)
{
	struct gossip_message message = good();
	struct gossip_message decoded;
	struct error error;
	(void)state;
	message.protocol = 7;
	message.sequence = 5;
	message.target = 3;
	assert_int_equal(decode(&message, &decoded, &error), ERR_VERSION);
	assert_int_equal(decoded.protocol, 7);
	assert_int_equal(decoded.from, 1);
	assert_int_equal(decoded.sequence, 5);
	assert_int_equal(decoded.kind, GOSSIP_PING);
	assert_int_equal(decoded.target, 0);
}

static void bytes_that_are_no_message_are_refused(void **state)
{
	struct arena arena = {0};
	struct buffer bytes = BUFFER_EMPTY;
	struct gossip_message decoded;
	struct error error;
	(void)state;
	for (uint64_t seed = 0; seed < 20000; seed++) {
		random_state.state = seed;
		buffer_clear(&bytes);
		for (size_t size = below(100); bytes.size < size;)
			buffer_append_char(&bytes, (char)below(256));
		assert_int_not_equal(gossip_decode(buffer_slice(&bytes), &arena, &decoded, &error), 0);
		arena_reset(&arena);
	}
	buffer_reserve(&bytes, GOSSIP_PIECE_MAX + 1);
	memset(bytes.data, 0, GOSSIP_PIECE_MAX + 1);
	bytes.size = GOSSIP_PIECE_MAX + 1;
	assert_int_equal(gossip_decode(buffer_slice(&bytes), &arena, &decoded, &error), ERR_LIMIT);
	buffer_finish(&bytes);
	arena_finish(&arena);
}

/* Cut, and with one bit changed: decoded or refused, never worse. What is decoded is what can be. */
static void damaged_messages_do_no_harm(void **state)
{
	struct arena arena = {0};
	struct arena other = {0};
	struct buffer bytes = BUFFER_EMPTY;
	struct gossip_message decoded;
	struct error error;
	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		random_state.state = seed;
		buffer_clear(&bytes);
		arena_reset(&arena);
		struct gossip_message message = draw(&arena, 3);
		if (!gossip_message_valid(&message) ||
		    (!gossip_is_exchange(message.kind) && bound(&message) > GOSSIP_DATAGRAM_MAX))
			continue;
		gossip_encode(&message, &arena, &bytes);
		for (int i = 0; i < 100; i++) {
			size_t at = below(bytes.size);
			char bit = (char)(1 << below(8));
			bytes.data[at] ^= bit;
			arena_reset(&other);
			if (gossip_decode(buffer_slice(&bytes), &other, &decoded, &error) == 0)
				assert_true(gossip_message_valid(&decoded));
			bytes.data[at] ^= bit;
			gossip_decode((struct slice){bytes.data, at}, &other, &decoded, &error);
		}
	}
	buffer_finish(&bytes);
	arena_finish(&arena);
	arena_finish(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_comes_back_as_it_was_and_is_no_larger_than_thought),
		cmocka_unit_test(what_no_member_says_is_invalid),
		cmocka_unit_test(another_version_says_who_it_is_and_nothing_else),
		cmocka_unit_test(bytes_that_are_no_message_are_refused),
		cmocka_unit_test(damaged_messages_do_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
