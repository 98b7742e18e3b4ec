#include "store/record.h"

#include "base/error.h"

#include <assert.h>
#include <endian.h>
#include <xxhash.h>

#define SEGMENT_VERSION 1u
#define SEGMENT_ZEROED 1u /* flag */
#define ENTRY_MAGIC 0x45576c63u /* "clWE" */
#define MARK_MAGIC 0x4d576c63u  /* "clWM" */

static const char segment_magic[8] = {'c', 'l', 'W', 'A', 'L', 's', 'e', 'g'};

static void put_u32(char *place, uint32_t value)
{
	value = htole32(value);
	memcpy(place, &value, sizeof value);
}

static void put_u64(char *place, uint64_t value)
{
	value = htole64(value);
	memcpy(place, &value, sizeof value);
}

static uint32_t get_u32(const char *place)
{
	uint32_t value;
	memcpy(&value, place, sizeof value);
	return le32toh(value);
}

static uint64_t get_u64(const char *place)
{
	uint64_t value;
	memcpy(&value, place, sizeof value);
	return le64toh(value);
}

/* The factor is odd, so that for one index every generation has another seed. */
static uint64_t seed(uint64_t generation, uint64_t index)
{
	return generation * 0x9E3779B97F4A7C15u ^ index;
}

static uint64_t header_checksum(const char *bytes, uint64_t generation, uint64_t index)
{
	return XXH3_64bits_withSeed(bytes + 8, RECORD_HEADER_SIZE - 8, seed(generation, index));
}

void segment_header_encode(const struct segment_header *header, char *ret_bytes)
{
	memset(ret_bytes, 0, SEGMENT_HEADER_SIZE);
	memcpy(ret_bytes + 8, segment_magic, sizeof segment_magic);
	put_u32(ret_bytes + 16, SEGMENT_VERSION);
	put_u32(ret_bytes + 20, header->zeroed ? SEGMENT_ZEROED : 0);
	put_u64(ret_bytes + 24, header->generation);
	put_u64(ret_bytes + 32, header->previous);
	put_u64(ret_bytes + 40, header->first);
	put_u64(ret_bytes + 48, header->size);
	put_u64(ret_bytes, XXH3_64bits_withSeed(ret_bytes + 8, SEGMENT_HEADER_SIZE - 8, header->generation));
}

int segment_header_decode(const char *bytes, struct segment_header *ret_header, const char **ret_problem)
{
	struct segment_header header = {
		.generation = get_u64(bytes + 24),
		.previous = get_u64(bytes + 32),
		.first = get_u64(bytes + 40),
		.size = get_u64(bytes + 48),
		.zeroed = (get_u32(bytes + 20) & SEGMENT_ZEROED) != 0,
	};
	*ret_problem = "the header of the segment is damaged";
	if (memcmp(bytes + 8, segment_magic, sizeof segment_magic) != 0)
		return ERR_CORRUPT;
	if (get_u64(bytes) != XXH3_64bits_withSeed(bytes + 8, SEGMENT_HEADER_SIZE - 8, header.generation))
		return ERR_CORRUPT;
	if (get_u32(bytes + 16) != SEGMENT_VERSION)
		return ERR_VERSION;
	*ret_problem = "the header of the segment makes no sense";
	if (header.generation == 0 || header.generation > SEGMENT_INDEX_MAX || header.previous >= header.generation)
		return ERR_CORRUPT;
	if (header.first == 0 || header.first > SEGMENT_INDEX_MAX)
		return ERR_CORRUPT;
	if (header.size < SEGMENT_HEADER_SIZE || header.size > SEGMENT_SIZE_MAX || header.size % RECORD_ALIGNMENT != 0)
		return ERR_CORRUPT;
	*ret_header = header;
	return 0;
}

void record_append(struct buffer *buffer, uint64_t generation, const struct record *record, struct slice body)
{
	assert(body.size <= UINT32_MAX);
	size_t padded = (size_t)record_padded(body.size);
	char *place = buffer_reserve(buffer, RECORD_HEADER_SIZE + padded);
	char *body_place = place + RECORD_HEADER_SIZE;
	if (body.size != 0)
		memcpy(body_place, body.data, body.size);
	memset(body_place + body.size, 0, padded - body.size);
	put_u32(place + 8, record->kind == RECORD_ENTRY ? ENTRY_MAGIC : MARK_MAGIC);
	put_u32(place + 12, (uint32_t)body.size);
	put_u64(place + 16, record->index);
	put_u64(place + 24, record->term);
	put_u64(place + 32, record->synced);
	put_u32(place + 40, record->epoch);
	put_u32(place + 44, 0);
	put_u64(place + 48, XXH3_64bits_withSeed(body_place, padded, seed(generation, record->index)));
	put_u64(place, header_checksum(place, generation, record->index));
	buffer->size += RECORD_HEADER_SIZE + padded;
}

bool record_magic(uint64_t word)
{
	return (uint32_t)word == ENTRY_MAGIC || (uint32_t)word == MARK_MAGIC;
}

bool record_decode(const char *bytes, uint64_t generation, struct record *ret_record)
{
	uint32_t magic = get_u32(bytes + 8);
	uint64_t index = get_u64(bytes + 16);
	if (!record_magic(magic) || get_u64(bytes) != header_checksum(bytes, generation, index))
		return false;
	*ret_record = (struct record){
		.kind = magic == ENTRY_MAGIC ? RECORD_ENTRY : RECORD_MARK,
		.body_size = get_u32(bytes + 12),
		.epoch = get_u32(bytes + 40),
		.index = index,
		.term = get_u64(bytes + 24),
		.synced = get_u64(bytes + 32),
		.body_checksum = get_u64(bytes + 48),
	};
	return true;
}

bool record_body_matches(const struct record *record, uint64_t generation, const char *padded_body)
{
	size_t padded = (size_t)record_padded(record->body_size);
	return XXH3_64bits_withSeed(padded_body, padded, seed(generation, record->index)) == record->body_checksum;
}
