#include "client/stream_frame.h"

#include <endian.h>

#include <xxhash.h>

static void put_u32(char *at, uint32_t value)
{
	value = htole32(value);
	memcpy(at, &value, sizeof value);
}

static uint32_t get_u32(const char *at)
{
	uint32_t value;
	memcpy(&value, at, sizeof value);
	return le32toh(value);
}

static uint64_t get_u64(const char *at)
{
	uint64_t value;
	memcpy(&value, at, sizeof value);
	return le64toh(value);
}

/* Of the header behind the checksum, and then of the body: it need not lie behind the header. */
static uint32_t checksum(const char *head, struct slice body)
{
	XXH64_hash_t seed = XXH3_64bits(head + 4, STREAM_HEADER_SIZE - 4);
	return (uint32_t)XXH3_64bits_withSeed(body.data, body.size, seed);
}

void stream_frame_head(char ret_head[STREAM_HEADER_SIZE], enum stream_frame_type type, uint64_t time, struct slice body)
{
	uint64_t moment = htole64(time);
	put_u32(ret_head + 4, (uint32_t)body.size);
	put_u32(ret_head + 8, (uint32_t)type);
	memcpy(ret_head + 12, &moment, sizeof moment);
	put_u32(ret_head, checksum(ret_head, body));
}

int stream_frame_parse(struct slice input, size_t size_max, struct stream_frame *ret_frame, size_t *ret_size,
                       struct error *error)
{
	*ret_size = STREAM_HEADER_SIZE;
	if (input.size < STREAM_HEADER_SIZE)
		return 0;
	uint32_t size = get_u32(input.data + 4);
	uint32_t type = get_u32(input.data + 8);
	if (type == 0 || type >= STREAM_TYPE_COUNT)
		return error_set(error, ERR_INVALID, "there is no frame of type %u", type);
	if (size > size_max)
		return error_set(error, ERR_LIMIT, "a frame of %u bytes; there may be %zu", size, size_max);
	*ret_size = STREAM_HEADER_SIZE + (size_t)size;
	if (input.size < *ret_size)
		return 0;
	struct slice body = {input.data + STREAM_HEADER_SIZE, size};
	if (get_u32(input.data) != checksum(input.data, body))
		return error_set(error, ERR_CORRUPT, "the checksum of a frame is wrong");
	*ret_frame = (struct stream_frame){(enum stream_frame_type)type, get_u64(input.data + 12), body};
	return 1;
}

static size_t part_head(enum stream_frame_type type)
{
	return type == STREAM_DATA ? STREAM_MESSAGE_HEAD : STREAM_ITEM_HEAD;
}

int stream_parts_check(enum stream_frame_type type, struct slice body, struct error *error)
{
	size_t head = part_head(type);
	size_t at = 0;
	while (at < body.size) {
		size_t left = body.size - at;
		if (left < head || get_u32(body.data + at) > left - head)
			return error_set(error, ERR_CORRUPT, "at byte %zu of a frame a part is cut off", at);
		at += head + get_u32(body.data + at);
	}
	return 0;
}

bool stream_parts_next(enum stream_frame_type type, struct slice *body, struct slice *ret_part, int64_t *ret_count)
{
	size_t head = part_head(type);
	if (body->size < head)
		return false;
	size_t size = get_u32(body->data);
	*ret_count = type == STREAM_DATA ? 1 : (int64_t)get_u64(body->data + 4);
	*ret_part = (struct slice){body->data + head, size};
	body->data += head + size;
	body->size -= head + size;
	return true;
}
