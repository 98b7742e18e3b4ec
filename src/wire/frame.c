#include "wire/frame.h"

#include <assert.h>

#define XXH_STATIC_LINKING_ONLY /* the state of a running checksum on the stack */
#include <xxhash.h>

_Static_assert(FRAME_MESSAGE_MAX < FRAME_SIZE_MAX && FRAME_SIZE_MAX <= FRAME_PEER_SIZE_MAX, "a message fits into a frame");

#define CHECKSUM_SIZE 4

static uint32_t get_u32(const char *from)
{
	const unsigned char *bytes = (const unsigned char *)from;
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void put_u32(char *to, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		to[i] = (char)(unsigned char)(value >> (8 * i));
}

const char *frame_type_name(unsigned type)
{
	static const char *const names[] = {
		[FRAME_HELLO] = "hello",           [FRAME_WELCOME] = "welcome",       [FRAME_REQUEST] = "request",
		[FRAME_RESPONSE] = "response",     [FRAME_CANCEL] = "cancel",         [FRAME_GOODBYE] = "goodbye",
		[FRAME_OFFER] = "offer",           [FRAME_ASSIGNMENT] = "assignment", [FRAME_ABANDON] = "abandon",
		[FRAME_RESULT] = "result",         [FRAME_RESULT_TAKEN] = "result taken",
		[FRAME_HEARTBEAT] = "heartbeat",     [FRAME_PROOF] = "proof",
		[FRAME_RAFT] = "raft",             [FRAME_EXCHANGE] = "exchange",     [FRAME_FORWARD] = "forward",
		[FRAME_FORWARDED] = "forwarded",   [FRAME_FORWARD_CANCEL] = "forward cancel",
		[FRAME_PRESENCE] = "presence",     [FRAME_FORM] = "form",             [FRAME_PLACES] = "places",
		[FRAME_SURVEY] = "survey",         [FRAME_FETCH] = "fetch",           [FRAME_FETCHED] = "fetched",
		[FRAME_SET_BACK] = "set back",     [FRAME_TASKS] = "tasks",
		[FRAME_TASK_REPORTS] = "task reports",
	};
	_Static_assert(sizeof names / sizeof names[0] == FRAME_TYPE_END, "each type has a name");
	return type != 0 && type < FRAME_TYPE_END ? names[type] : "unknown";
}

uint32_t frame_size_max(unsigned type)
{
	return type >= FRAME_RAFT ? FRAME_PEER_SIZE_MAX : FRAME_SIZE_MAX;
}

int frame_parse_header(struct slice input, struct frame_header *ret_header, struct error *error)
{
	if (input.size < FRAME_HEADER_SIZE)
		return 0;
	uint32_t type_and_flags = get_u32(input.data + 4);
	uint32_t type = type_and_flags & 0xFFFF;
	uint32_t flags = type_and_flags >> 16;
	uint32_t message_size = get_u32(input.data + 12);
	uint32_t payload_size = get_u32(input.data + 16);
	if (type == 0 || type >= FRAME_TYPE_END)
		return error_set(error, ERR_INVALID, "frame of unknown type %u", (unsigned)type);
	const char *name = frame_type_name(type);
	if (flags != 0)
		return error_set(error, ERR_INVALID, "%s frame with unknown flags 0x%04x", name, (unsigned)flags);
	if (message_size > FRAME_MESSAGE_MAX)
		return error_set(error, ERR_LIMIT, "%s frame with a message of %u bytes (limit %u)", name,
		                 (unsigned)message_size, FRAME_MESSAGE_MAX);
	if (payload_size > frame_size_max(type) - message_size)
		return error_set(error, ERR_LIMIT, "%s frame of %llu bytes (limit %u)", name,
		                 (unsigned long long)message_size + payload_size, (unsigned)frame_size_max(type));
	*ret_header = (struct frame_header){.checksum = get_u32(input.data),
	                                    .type = (enum frame_type)type,
	                                    .stream = get_u32(input.data + 8),
	                                    .message_size = message_size,
	                                    .payload_size = payload_size};
	return 1;
}

int frame_parse(struct slice input, struct frame *ret_frame, size_t *ret_size, struct error *error)
{
	struct frame_header header;
	int code = frame_parse_header(input, &header, error);
	if (code <= 0)
		return code;
	size_t size = FRAME_HEADER_SIZE + (size_t)header.message_size + header.payload_size;
	if (input.size < size)
		return 0;
	uint32_t checksum = (uint32_t)XXH3_64bits(input.data + CHECKSUM_SIZE, size - CHECKSUM_SIZE);
	if (checksum != header.checksum)
		return error_set(error, ERR_CORRUPT, "%s frame of %zu bytes: its checksum is %08x, its bytes make %08x",
		                 frame_type_name(header.type), size, (unsigned)header.checksum, (unsigned)checksum);
	const char *message = input.data + FRAME_HEADER_SIZE;
	*ret_frame = (struct frame){.type = header.type,
	                            .stream = header.stream,
	                            .message = {message, header.message_size},
	                            .payload = {message + header.message_size, header.payload_size}};
	*ret_size = size;
	return 1;
}

size_t frame_reserve(struct buffer *out)
{
	size_t at = out->size;
	buffer_reserve(out, FRAME_HEADER_SIZE);
	out->size += FRAME_HEADER_SIZE;
	return at;
}

static uint32_t checksum_of(struct slice front, const struct slice *payload, size_t payload_count)
{
	if (payload_count == 0)
		return (uint32_t)XXH3_64bits(front.data, front.size);
	XXH3_state_t state;
	XXH3_INITSTATE(&state);
	XXH3_64bits_reset(&state);
	XXH3_64bits_update(&state, front.data, front.size);
	for (size_t i = 0; i < payload_count; i++)
		XXH3_64bits_update(&state, payload[i].data, payload[i].size);
	return (uint32_t)XXH3_64bits_digest(&state);
}

void frame_seal_parts(struct buffer *out, size_t at, enum frame_type type, uint32_t stream, const struct slice *payload,
                      size_t payload_count)
{
	assert(type > 0 && type < FRAME_TYPE_END);
	assert(out->size >= at + FRAME_HEADER_SIZE);
	char *header = out->data + at;
	size_t message_size = out->size - at - FRAME_HEADER_SIZE;
	size_t payload_size = 0;
	for (size_t i = 0; i < payload_count; i++)
		payload_size += payload[i].size;
	assert(message_size <= FRAME_MESSAGE_MAX && payload_size <= frame_size_max(type) - message_size);
	put_u32(header + 4, (uint32_t)type);
	put_u32(header + 8, stream);
	put_u32(header + 12, (uint32_t)message_size);
	put_u32(header + 16, (uint32_t)payload_size);
	struct slice front = {header + CHECKSUM_SIZE, FRAME_HEADER_SIZE - CHECKSUM_SIZE + message_size};
	put_u32(header, checksum_of(front, payload, payload_count));
}

void frame_seal(struct buffer *out, size_t at, enum frame_type type, uint32_t stream, struct slice payload)
{
	frame_seal_parts(out, at, type, stream, &payload, payload.size != 0 ? 1 : 0);
}

void frame_append(struct buffer *out, enum frame_type type, uint32_t stream, struct slice message,
                  struct slice payload)
{
	buffer_reserve(out, FRAME_HEADER_SIZE + message.size + payload.size);
	size_t at = frame_reserve(out);
	buffer_append_slice(out, message);
	frame_seal(out, at, type, stream, payload);
	buffer_append_slice(out, payload);
}
