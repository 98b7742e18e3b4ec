#include "membership/message.h"

#include "base/utf8.h"

#include <assert.h>

/* --- what can be --------------------------------------------------------------------------------------------------- */

static bool is_text(struct slice text, size_t limit)
{
	const char *end = text.data + text.size;
	if (text.size > limit)
		return false;
	for (const char *at = text.data; at < end;) {
		size_t length = utf8_length(at, end);
		if (length == 0 || (length == 1 && ((unsigned char)*at < 0x20 || *at == 0x7F)))
			return false;
		at += length;
	}
	return true;
}

bool gossip_name_valid(struct slice name)
{
	return name.size != 0 && is_text(name, GOSSIP_NAME_MAX);
}

/* Printable ASCII with a port at the end. Whether it leads anywhere only the host can say. */
bool gossip_address_valid(struct slice address)
{
	if (address.size < 3 || address.size > GOSSIP_ADDRESS_MAX)
		return false;
	size_t digits = 0;
	while (digits < address.size && address.data[address.size - 1 - digits] >= '0' &&
	       address.data[address.size - 1 - digits] <= '9')
		digits++;
	if (digits == 0 || digits > 5 || digits + 2 > address.size || address.data[address.size - 1 - digits] != ':')
		return false;
	for (size_t i = 0; i < address.size; i++)
		if (address.data[i] <= 0x20 || address.data[i] >= 0x7F)
			return false;
	return true;
}

bool gossip_cluster_id_valid(const char *cluster_id)
{
	size_t length = strlen(cluster_id);
	return (length == 0 || length == GOSSIP_CLUSTER_ID_SIZE - 1) &&
	       strspn(cluster_id, "0123456789abcdef") == length;
}

bool gossip_key_valid(struct slice key)
{
	return key.size != 0 && is_text(key, GOSSIP_KEY_MAX);
}

bool gossip_value_valid(struct slice value)
{
	return value.size <= GOSSIP_VALUE_MAX;
}

bool gossip_is_exchange(enum gossip_message_kind kind)
{
	return kind >= GOSSIP_ASK_ALL && kind < GOSSIP_MESSAGE_END;
}

static bool is_id(uint64_t id)
{
	return id != 0 && id <= GOSSIP_ID_MAX;
}

static bool profile_valid(const struct gossip_profile *profile)
{
	if (profile->pair_count > GOSSIP_PAIRS_MAX || profile->version > GOSSIP_ID_MAX ||
	    profile->base > profile->version || profile->collected > profile->version)
		return false;
	/* All of a member, or what changed: then who it is is known. */
	if (profile->base == 0 ? !gossip_name_valid(profile->name) || !gossip_address_valid(profile->address)
	                       : profile->name.size != 0 || profile->address.size != 0)
		return false;
	for (size_t i = 0; i < profile->pair_count; i++) {
		const struct gossip_pair *pair = &profile->pairs[i];
		if (!gossip_key_valid(pair->key) || !gossip_value_valid(pair->value) ||
		    pair->version <= profile->base || pair->version > profile->version ||
		    (pair->deleted && pair->value.size != 0))
			return false;
		for (size_t j = 0; j < i; j++)
			if (slice_equal(pair->key, profile->pairs[j].key))
				return false;
	}
	return gossip_profile_size(profile) <= GOSSIP_PROFILE_SIZE_MAX;
}

static bool update_valid(const struct gossip_update *update)
{
	return is_id(update->id) && is_id(update->generation) && (unsigned)update->state < GOSSIP_STATE_END &&
	       update->incarnation <= GOSSIP_INCARNATION_MAX && update->from <= GOSSIP_ID_MAX &&
	       (update->profile == NULL || profile_valid(update->profile));
}

static bool row_valid(const struct gossip_row *row)
{
	return is_id(row->id) && is_id(row->generation) && (unsigned)row->state < GOSSIP_STATE_END &&
	       row->incarnation <= GOSSIP_INCARNATION_MAX && row->version <= GOSSIP_ID_MAX;
}

static bool buckets_valid(const struct gossip_message *message)
{
	uint32_t count = message->bucket_count;
	if (message->kind != GOSSIP_COMPARE && message->kind != GOSSIP_DIGEST)
		return count == 0 && message->hash_count == 0 && message->listed_count == 0 && message->row_count == 0;
	if (count == 0 || count > GOSSIP_BUCKETS_MAX || (count & (count - 1)) != 0 || message->first_bucket > count)
		return false;
	if (message->kind == GOSSIP_COMPARE)
		return message->hash_count == count - message->first_bucket && message->listed_count == 0 &&
		       message->row_count == 0;
	for (size_t i = 0; i < message->listed_count; i++)
		if (message->buckets[i] >= count || (i > 0 && message->buckets[i] <= message->buckets[i - 1]))
			return false;
	return message->hash_count == 0;
}

/* What goes with a kind: whom it is about, where that is. */
static bool target_valid(const struct gossip_message *message)
{
	switch (message->kind) {
	case GOSSIP_PING:
		return message->target <= GOSSIP_ID_MAX && message->target_address.size == 0;
	case GOSSIP_PING_REQUEST:
		return is_id(message->target) && gossip_address_valid(message->target_address);
	case GOSSIP_ACK:
	case GOSSIP_NACK:
		return is_id(message->target) && message->target_address.size == 0;
	default:
		return message->target == 0 && message->target_address.size == 0;
	}
}

static bool refusal_valid(const struct gossip_message *message)
{
	if (message->kind != GOSSIP_REFUSAL)
		return message->refusal == GOSSIP_REFUSED_NONE && message->holder == 0 &&
		       message->holder_address.size == 0;
	return message->refusal > GOSSIP_REFUSED_NONE && message->refusal < GOSSIP_REFUSED_END &&
	       message->holder <= GOSSIP_ID_MAX && message->holder_generation <= GOSSIP_ID_MAX &&
	       (message->holder_address.size == 0 || gossip_address_valid(message->holder_address));
}

bool gossip_message_valid(const struct gossip_message *message)
{
	if ((unsigned)message->kind >= GOSSIP_MESSAGE_END || !gossip_cluster_id_valid(message->cluster_id) ||
	    !is_id(message->from) || !is_id(message->generation) || !gossip_address_valid(message->address))
		return false;
	if (message->update_count > GOSSIP_UPDATES_MAX || message->want_count > GOSSIP_WANTS_MAX ||
	    message->row_count > GOSSIP_ROWS_MAX || message->listed_count > GOSSIP_BUCKETS_MAX ||
	    message->cursor > GOSSIP_ID_MAX)
		return false;
	if (!target_valid(message) || !refusal_valid(message) || !buckets_valid(message))
		return false;
	for (size_t i = 0; i < message->update_count; i++)
		if (!update_valid(&message->updates[i]))
			return false;
	for (size_t i = 0; i < message->want_count; i++)
		if (!is_id(message->wants[i]))
			return false;
	for (size_t i = 0; i < message->row_count; i++)
		if (!row_valid(&message->rows[i]) || (i > 0 && message->rows[i].id <= message->rows[i - 1].id))
			return false;
	return true;
}

/* --- how large it is when packed ----------------------------------------------------------------------------------- */

/* A field's tag and a number. */
static size_t number_size(uint64_t number)
{
	size_t size = 2;
	while (number >= 0x80) {
		number >>= 7;
		size++;
	}
	return number != 0 || size > 2 ? size : 0;
}

/* A field's tag, a length, and so many bytes. */
static size_t bytes_size(size_t size)
{
	size_t length = size < 0x80 ? 1 : size < 0x4000 ? 2 : 3;
	return size != 0 ? 1 + length + size : 0;
}

size_t gossip_head_size(const struct gossip_message *message)
{
	size_t size = number_size(message->kind) + number_size(message->protocol) +
	              bytes_size(strlen(message->cluster_id) / 2);
	size += number_size(message->from) + number_size(message->generation) + bytes_size(message->address.size);
	size += 9 + number_size(message->sequence) + number_size(message->target);
	size += bytes_size(message->target_address.size) + number_size(message->refusal);
	size += 1 + number_size(message->holder) + 1 + number_size(message->holder_generation);
	size += 1 + bytes_size(message->holder_address.size) + 1 + number_size(message->cursor);
	size += 3 + 1 + number_size(message->bucket_count) + 1 + number_size(message->first_bucket);
	return size + 16; /* tags and lengths of what is packed */
}

static size_t pair_size(const struct gossip_pair *pair)
{
	return bytes_size(bytes_size(pair->key.size) + bytes_size(pair->value.size) + number_size(pair->version) +
	                  2 * (size_t)pair->deleted);
}

size_t gossip_profile_size(const struct gossip_profile *profile)
{
	size_t size = bytes_size(profile->name.size) + bytes_size(profile->address.size) + number_size(profile->base) +
	              number_size(profile->version) + number_size(profile->collected);
	for (size_t i = 0; i < profile->pair_count; i++)
		size += pair_size(&profile->pairs[i]);
	return size;
}

size_t gossip_update_size(const struct gossip_update *update)
{
	size_t size = number_size(update->id) + number_size(update->generation) + number_size(update->incarnation) +
	              number_size(update->state) + number_size(update->from) + number_size(update->since_ms);
	if (update->profile != NULL) {
		size_t inner = gossip_profile_size(update->profile);
		size += inner != 0 ? bytes_size(inner) : 2;
	}
	return bytes_size(size);
}

size_t gossip_row_size(const struct gossip_row *row)
{
	return 3 + number_size(row->id) + number_size(row->generation) + number_size(row->incarnation) +
	       number_size(row->state) + number_size(row->version) + number_size(row->since_ms);
}

/* --- names --------------------------------------------------------------------------------------------------------- */

const char *gossip_state_name(enum gossip_state state)
{
	static const char *const names[] = {"alive", "suspect", "failed", "left"};
	assert((unsigned)state < GOSSIP_STATE_END);
	return names[state];
}

const char *gossip_message_name(enum gossip_message_kind kind)
{
	static const char *const names[] = {"ping",    "ping request", "ack", "nack",    "spread",
	                                    "refusal", "ask all",      "all", "compare", "digest"};
	assert((unsigned)kind < GOSSIP_MESSAGE_END);
	return names[kind];
}

const char *gossip_refusal_name(enum gossip_refusal refusal)
{
	static const char *const names[] = {"none", "cluster", "protocol", "id", "name", "generation"};
	assert((unsigned)refusal < GOSSIP_REFUSED_END);
	return names[refusal];
}
