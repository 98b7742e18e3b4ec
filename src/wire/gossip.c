#include "wire/gossip.h"

#include "proto/gossip.pb-c.h"
#include "wire/message.h"

#include <assert.h>

#define CLUSTER_BYTES ((GOSSIP_CLUSTER_ID_SIZE - 1) / 2)

static ProtobufCBinaryData to_bytes(struct slice slice)
{
	return (ProtobufCBinaryData){.len = slice.size, .data = (uint8_t *)(uintptr_t)slice.data};
}

static struct slice to_slice(ProtobufCBinaryData data)
{
	return data.len != 0 ? (struct slice){(const char *)data.data, data.len} : SLICE("");
}

/* --- encoding ------------------------------------------------------------------------------------------------------ */

static unsigned hex_value(char digit)
{
	return (unsigned)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

static ProtobufCBinaryData pack_cluster_id(const char *cluster_id, struct arena *arena)
{
	if (cluster_id[0] == '\0')
		return (ProtobufCBinaryData){0};
	uint8_t *bytes = arena_alloc(arena, CLUSTER_BYTES);
	for (size_t i = 0; i < CLUSTER_BYTES; i++)
		bytes[i] = (uint8_t)(hex_value(cluster_id[2 * i]) << 4 | hex_value(cluster_id[2 * i + 1]));
	return (ProtobufCBinaryData){.len = CLUSTER_BYTES, .data = bytes};
}

static Clusterd__Gossip__Profile *encode_profile(const struct gossip_profile *from, struct arena *arena)
{
	Clusterd__Gossip__Profile *profile = arena_alloc(arena, sizeof *profile);
	clusterd__gossip__profile__init(profile);
	profile->name = to_bytes(from->name);
	profile->address = to_bytes(from->address);
	profile->base_version = from->base;
	profile->version = from->version;
	profile->collected = from->collected;
	profile->n_pairs = from->pair_count;
	profile->pairs = arena_alloc(arena, from->pair_count * sizeof *profile->pairs);
	for (size_t i = 0; i < from->pair_count; i++) {
		Clusterd__Gossip__Pair *pair = profile->pairs[i] = arena_alloc(arena, sizeof *pair);
		clusterd__gossip__pair__init(pair);
		pair->key = to_bytes(from->pairs[i].key);
		pair->value = to_bytes(from->pairs[i].value);
		pair->version = from->pairs[i].version;
		pair->deleted = from->pairs[i].deleted;
	}
	return profile;
}

static void encode_updates(const struct gossip_message *from, struct arena *arena, Clusterd__Gossip__Message *message)
{
	message->n_updates = from->update_count;
	message->updates = arena_alloc(arena, from->update_count * sizeof *message->updates);
	for (size_t i = 0; i < from->update_count; i++) {
		const struct gossip_update *update = &from->updates[i];
		Clusterd__Gossip__Update *to = message->updates[i] = arena_alloc(arena, sizeof *to);
		clusterd__gossip__update__init(to);
		to->id = update->id;
		to->generation = update->generation;
		to->incarnation = update->incarnation;
		to->state = (uint32_t)update->state;
		to->from = update->from;
		to->since_ms = update->since_ms;
		if (update->profile != NULL)
			to->profile = encode_profile(update->profile, arena);
	}
}

static void encode_exchange(const struct gossip_message *from, struct arena *arena, Clusterd__Gossip__Message *message)
{
	message->cursor = from->cursor;
	message->last = from->last;
	message->bucket_count = from->bucket_count;
	message->first_bucket = from->first_bucket;
	message->n_hashes = from->hash_count;
	message->hashes = (uint64_t *)(uintptr_t)from->hashes;
	message->n_buckets = from->listed_count;
	message->buckets = (uint32_t *)(uintptr_t)from->buckets;
	message->n_rows = from->row_count;
	message->rows = arena_alloc(arena, from->row_count * sizeof *message->rows);
	for (size_t i = 0; i < from->row_count; i++) {
		const struct gossip_row *row = &from->rows[i];
		Clusterd__Gossip__Row *to = message->rows[i] = arena_alloc(arena, sizeof *to);
		clusterd__gossip__row__init(to);
		to->id = row->id;
		to->generation = row->generation;
		to->incarnation = row->incarnation;
		to->state = (uint32_t)row->state;
		to->version = row->version;
		to->since_ms = row->since_ms;
	}
}

void gossip_encode(const struct gossip_message *message, struct arena *scratch, struct buffer *out)
{
	Clusterd__Gossip__Message packed;
	clusterd__gossip__message__init(&packed);
	packed.kind = (uint32_t)message->kind + 1;
	packed.protocol = message->protocol;
	packed.cluster_id = pack_cluster_id(message->cluster_id, scratch);
	packed.from = message->from;
	packed.generation = message->generation;
	packed.address = to_bytes(message->address);
	packed.stamp = message->stamp;
	packed.sequence = message->sequence;
	packed.target = message->target;
	packed.target_address = to_bytes(message->target_address);
	encode_updates(message, scratch, &packed);
	packed.n_wants = message->want_count;
	packed.wants = (uint64_t *)(uintptr_t)message->wants;
	packed.refusal = (uint32_t)message->refusal;
	packed.holder = message->holder;
	packed.holder_generation = message->holder_generation;
	packed.holder_address = to_bytes(message->holder_address);
	encode_exchange(message, scratch, &packed);
	size_t before = out->size;
	message_append(out, &packed.base);
	assert(gossip_is_exchange(message->kind) || out->size - before <= GOSSIP_DATAGRAM_MAX);
}

/* --- decoding ------------------------------------------------------------------------------------------------------ */

static int decode_cluster_id(ProtobufCBinaryData bytes, char *ret_cluster_id)
{
	static const char digits[] = "0123456789abcdef";
	if (bytes.len != 0 && bytes.len != CLUSTER_BYTES)
		return ERR_INVALID;
	for (size_t i = 0; i < bytes.len; i++) {
		ret_cluster_id[2 * i] = digits[bytes.data[i] >> 4];
		ret_cluster_id[2 * i + 1] = digits[bytes.data[i] & 15];
	}
	ret_cluster_id[2 * bytes.len] = '\0';
	return 0;
}

static const struct gossip_profile *decode_profile(const Clusterd__Gossip__Profile *from, struct arena *arena)
{
	struct gossip_profile *profile = arena_alloc(arena, sizeof *profile);
	struct gossip_pair *pairs = arena_alloc(arena, from->n_pairs * sizeof *pairs);
	for (size_t i = 0; i < from->n_pairs; i++)
		pairs[i] = (struct gossip_pair){to_slice(from->pairs[i]->key), to_slice(from->pairs[i]->value),
		                                from->pairs[i]->version, from->pairs[i]->deleted != 0};
	*profile = (struct gossip_profile){
		.name = to_slice(from->name),
		.address = to_slice(from->address),
		.base = from->base_version,
		.version = from->version,
		.collected = from->collected,
		.pairs = pairs,
		.pair_count = from->n_pairs,
	};
	return profile;
}

/* A number that is no state is made one that gossip_message_valid refuses. */
static enum gossip_state decode_state(uint32_t state)
{
	return state < GOSSIP_STATE_END ? (enum gossip_state)state : GOSSIP_STATE_END;
}

static void decode_updates(const Clusterd__Gossip__Message *from, struct arena *arena, struct gossip_message *message)
{
	struct gossip_update *updates = arena_alloc(arena, from->n_updates * sizeof *updates);
	for (size_t i = 0; i < from->n_updates; i++) {
		const Clusterd__Gossip__Update *update = from->updates[i];
		updates[i] = (struct gossip_update){
			.id = update->id,
			.generation = update->generation,
			.incarnation = update->incarnation,
			.state = decode_state(update->state),
			.from = update->from,
			.since_ms = update->since_ms,
			.profile = update->profile != NULL ? decode_profile(update->profile, arena) : NULL,
		};
	}
	message->updates = updates;
	message->update_count = from->n_updates;
}

static void decode_exchange(const Clusterd__Gossip__Message *from, struct arena *arena, struct gossip_message *message)
{
	struct gossip_row *rows = arena_alloc(arena, from->n_rows * sizeof *rows);
	for (size_t i = 0; i < from->n_rows; i++)
		rows[i] = (struct gossip_row){from->rows[i]->id,          from->rows[i]->generation,
		                              from->rows[i]->incarnation, decode_state(from->rows[i]->state),
		                              from->rows[i]->version,     from->rows[i]->since_ms};
	message->cursor = from->cursor;
	message->last = from->last != 0;
	message->bucket_count = from->bucket_count;
	message->first_bucket = from->first_bucket;
	message->hashes = from->hashes;
	message->hash_count = from->n_hashes;
	message->buckets = from->buckets;
	message->listed_count = from->n_buckets;
	message->rows = rows;
	message->row_count = from->n_rows;
}

static int decode_body(const Clusterd__Gossip__Message *from, struct arena *arena, struct gossip_message *message)
{
	if (from->kind == 0 || from->kind > GOSSIP_MESSAGE_END || from->refusal >= GOSSIP_REFUSED_END)
		return ERR_INVALID;
	message->kind = (enum gossip_message_kind)(from->kind - 1);
	message->stamp = from->stamp;
	message->target = from->target;
	message->target_address = to_slice(from->target_address);
	message->wants = from->wants;
	message->want_count = from->n_wants;
	message->refusal = (enum gossip_refusal)from->refusal;
	message->holder = from->holder;
	message->holder_generation = from->holder_generation;
	message->holder_address = to_slice(from->holder_address);
	decode_updates(from, arena, message);
	decode_exchange(from, arena, message);
	return gossip_message_valid(message) ? 0 : ERR_INVALID;
}

int gossip_decode(struct slice bytes, struct arena *arena, struct gossip_message *ret_message, struct error *error)
{
	ProtobufCMessage *unpacked;
	if (bytes.size > GOSSIP_PIECE_MAX)
		return error_set(error, ERR_LIMIT, "a message of %zu bytes between members (limit %u)", bytes.size,
		                 GOSSIP_PIECE_MAX);
	int code = message_unpack(&clusterd__gossip__message__descriptor, bytes, arena, &unpacked, error);
	if (code != 0)
		return code;
	const Clusterd__Gossip__Message *from = (const Clusterd__Gossip__Message *)unpacked;
	/* Whoever sent it must be named, whatever the rest is. */
	struct gossip_message message = {
		.kind = GOSSIP_SPREAD,
		.protocol = from->protocol,
		.from = from->from,
		.generation = from->generation,
		.address = to_slice(from->address),
		.sequence = from->sequence,
	};
	if (decode_cluster_id(from->cluster_id, message.cluster_id) != 0 || !gossip_message_valid(&message))
		return error_set(error, ERR_INVALID, "a message between members does not say whose it is");
	if (from->protocol != GOSSIP_PROTOCOL) {
		if (from->kind != 0 && from->kind <= GOSSIP_MESSAGE_END)
			message.kind = (enum gossip_message_kind)(from->kind - 1);
		code = error_set(error, ERR_VERSION,
		                 "a member speaks version %u of the gossip protocol, this node version %d",
		                 from->protocol, GOSSIP_PROTOCOL);
	} else if (decode_body(from, arena, &message) != 0) {
		return error_set(error, ERR_INVALID, "a message between members holds what none says");
	}
	*ret_message = message;
	return code;
}
