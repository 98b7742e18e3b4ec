#include "base/json_keys.h"

#include "base/json.h"
#include "base/memory.h"

#include <stdlib.h>

#define PAIRWISE_MAX 8 /* keys of an object that are compared each with each */

void json_keys_init(struct json_keys *keys)
{
	keys->keys = keys->first;
	keys->count = 0;
	keys->capacity = JSON_KEYS_INLINE;
	keys->slots = NULL;
	keys->slot_capacity = 0;
	keys->scratch = BUFFER_EMPTY;
	keys->unescaped = (struct arena){0};
}

void json_keys_finish(struct json_keys *keys)
{
	if (keys->keys != keys->first)
		mem_free(keys->keys);
	mem_free(keys->slots);
	buffer_finish(&keys->scratch);
	arena_finish(&keys->unescaped);
}

static uint64_t mix(uint64_t state, uint64_t word)
{
	state = (state ^ word) * 0x9E3779B97F4A7C15u;
	return state ^ (state >> 32);
}

/* Fast on short keys. Collisions can be made by whoever wants to: see is_repeated_in_table. */
static uint64_t hash_of(struct slice key)
{
	uint64_t state = key.size;
	uint64_t word;
	while (key.size >= sizeof word) {
		memcpy(&word, key.data, sizeof word);
		state = mix(state, word);
		key.data += sizeof word;
		key.size -= sizeof word;
	}
	word = 0;
	memcpy(&word, key.data, key.size);
	return mix(mix(state, word), 0);
}

void json_keys_add(struct json_keys *keys, struct slice raw, uint32_t offset)
{
	struct slice plain = raw;
	if (raw.size != 0 && memchr(raw.data, '\\', raw.size) != NULL) {
		buffer_clear(&keys->scratch);
		json_unquote(&keys->scratch, (struct slice){raw.data - 1, raw.size + 2});
		plain.data = arena_string(&keys->unescaped, buffer_slice(&keys->scratch));
		plain.size = keys->scratch.size;
	}
	if (keys->count == keys->capacity && keys->keys == keys->first) {
		keys->capacity *= 2;
		keys->keys = mem_array(keys->capacity, sizeof *keys->keys);
		memcpy(keys->keys, keys->first, sizeof keys->first);
	}
	mem_grow(keys->keys, keys->capacity, keys->count + 1);
	keys->keys[keys->count++] = (struct json_key){plain.data, (uint32_t)plain.size, offset, hash_of(plain)};
}

static bool is_equal(const struct json_key *left, const struct json_key *right)
{
	return left->hash == right->hash && left->size == right->size &&
	       memcmp(left->data, right->data, left->size) == 0;
}

static bool is_repeated_pairwise(const struct json_key *keys, size_t count, uint32_t *ret_offset)
{
	for (size_t i = 1; i < count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (is_equal(&keys[i], &keys[j])) {
				*ret_offset = keys[i].offset;
				return true;
			}
		}
	}
	return false;
}

/* By content, equal keys in the order of the text. */
static int compare_keys(const void *left, const void *right)
{
	const struct json_key *a = left;
	const struct json_key *b = right;
	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	int order = slice_compare((struct slice){a->data, a->size}, (struct slice){b->data, b->size});
	if (order != 0)
		return order;
	return a->offset < b->offset ? -1 : 1;
}

static bool is_repeated_sorted(struct json_key *keys, size_t count, uint32_t *ret_offset)
{
	bool found = false;
	qsort(keys, count, sizeof *keys, compare_keys);
	for (size_t i = 1; i < count; i++) {
		if (is_equal(&keys[i], &keys[i - 1]) && (!found || keys[i].offset < *ret_offset)) {
			*ret_offset = keys[i].offset;
			found = true;
		}
	}
	return found;
}

enum table_answer { TABLE_UNIQUE, TABLE_REPEATED, TABLE_COLLIDES };

/* A hash table with linear probing, at most half full. It gives up when the probes become more than good keys ever
 * need, so that a text of colliding keys costs a sort and not a square. */
static enum table_answer is_repeated_in_table(struct json_keys *all, const struct json_key *keys, size_t count,
                                              uint32_t *ret_offset)
{
	size_t slot_count = 16;
	while (slot_count < count * 2)
		slot_count *= 2;
	mem_grow(all->slots, all->slot_capacity, slot_count);
	memset(all->slots, 0, slot_count * sizeof *all->slots);
	size_t budget = count * 8;
	for (size_t i = 0; i < count; i++) {
		size_t slot = keys[i].hash & (slot_count - 1);
		for (; all->slots[slot] != 0; slot = (slot + 1) & (slot_count - 1)) {
			if (is_equal(&keys[i], &keys[all->slots[slot] - 1])) {
				*ret_offset = keys[i].offset;
				return TABLE_REPEATED;
			}
			if (budget-- == 0)
				return TABLE_COLLIDES;
		}
		all->slots[slot] = (uint32_t)i + 1;
	}
	return TABLE_UNIQUE;
}

bool json_keys_close(struct json_keys *keys, size_t first, uint32_t *ret_offset)
{
	struct json_key *own = keys->keys + first;
	size_t count = keys->count - first;
	keys->count = first;
	if (count <= PAIRWISE_MAX)
		return is_repeated_pairwise(own, count, ret_offset);
	enum table_answer answer = is_repeated_in_table(keys, own, count, ret_offset);
	if (answer == TABLE_COLLIDES)
		return is_repeated_sorted(own, count, ret_offset);
	return answer == TABLE_REPEATED;
}
