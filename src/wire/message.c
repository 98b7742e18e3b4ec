#include "wire/message.h"

#include "proto/wire.pb-c.h"

#include <assert.h>
#include <stdint.h>

/* protobuf-c builds lists of all fields before it looks at them closely, and merges messages that are given twice by
 * copying what they hold: fine for what a friend has sent. So the bytes are walked once beforehand, after which it sees
 * only what the checks below let through. */
struct scan {
	struct slice bytes;
	struct error *error;
	size_t element_count;
	bool known_only;
};

enum { FIELDS_MAX = 64 }; /* of one type: as many as `seen` has bits */

/* A field as it lies in the message: offsets of the whole are in scan.bytes. */
struct found {
	size_t at; /* of its tag */
	uint64_t tag;
	unsigned wire_type;
	size_t begin; /* of the value, behind a length if there is one */
	size_t end;
	const ProtobufCFieldDescriptor *field; /* NULL: not known */
};

static int malformed(const struct scan *scan, const ProtobufCMessageDescriptor *type, size_t at, const char *what)
{
	return error_set(scan->error, ERR_INVALID, "%s at byte %zu: %s", type->short_name, at, what);
}

static int bad_field(const struct scan *scan, const ProtobufCMessageDescriptor *type, const struct found *found,
                     const char *what)
{
	return error_set(scan->error, ERR_INVALID, "%s.%s at byte %zu %s", type->short_name, found->field->name,
	                 found->at, what);
}

/* Steps over a varint. false: it does not end within `end`, or is longer than ten bytes. */
static bool varint(const struct scan *scan, size_t *at, size_t end, uint64_t *ret_value)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 70 && *at < end; shift += 7) {
		unsigned char byte = (unsigned char)scan->bytes.data[(*at)++];
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7F) << shift;
		if ((byte & 0x80) == 0) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

/* Well-formed UTF-8 (Unicode, table 3-7) without NUL. */
static bool is_string(struct slice text)
{
	const unsigned char *at = (const unsigned char *)text.data;
	const unsigned char *end = at + text.size;
	while (at < end) {
		unsigned char first = *at++;
		unsigned char low = 0x80;
		unsigned char high = 0xBF;
		int more = first < 0x80 ? 0 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
		if (first == 0 || (first >= 0x80 && first < 0xC2) || first > 0xF4 || end - at < more)
			return false;
		if (first == 0xE0)
			low = 0xA0;
		else if (first == 0xED)
			high = 0x9F;
		else if (first == 0xF0)
			low = 0x90;
		else if (first == 0xF4)
			high = 0x8F;
		for (; more > 0; more--, low = 0x80, high = 0xBF) {
			if (*at < low || *at > high)
				return false;
			at++;
		}
	}
	return true;
}

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *type, uint64_t tag)
{
	return tag <= UINT32_MAX >> 3 ? protobuf_c_message_descriptor_get_field(type, (unsigned)tag) : NULL;
}

/* Reads tag and length, moves `at` behind the field. */
static int next_field(const struct scan *scan, const ProtobufCMessageDescriptor *type, size_t *at, size_t end,
                      struct found *found)
{
	uint64_t key;
	uint64_t length = 0;
	*found = (struct found){.at = *at};
	if (!varint(scan, at, end, &key) || key > UINT32_MAX || key >> 3 == 0 || *at - found->at > 5)
		return malformed(scan, type, found->at, "not a field's tag");
	found->tag = key >> 3;
	found->wire_type = (unsigned)(key & 7);
	found->field = find_field(type, found->tag);
	found->begin = *at;
	switch (found->wire_type) {
	case PROTOBUF_C_WIRE_TYPE_VARINT:
		if (!varint(scan, at, end, &length))
			return malformed(scan, type, found->at, "a number that does not end");
		found->end = *at;
		return 0;
	case PROTOBUF_C_WIRE_TYPE_64BIT:
		length = 8;
		break;
	case PROTOBUF_C_WIRE_TYPE_32BIT:
		length = 4;
		break;
	case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
		if (!varint(scan, at, end, &length) || *at - found->begin > 5)
			return malformed(scan, type, found->at, "a length that does not end");
		found->begin = *at;
		break;
	default:
		return malformed(scan, type, found->at, "a field of a kind that is not used");
	}
	if (length > end - *at)
		return malformed(scan, type, found->at, "the field is longer than what holds it");
	*at += length;
	found->end = *at;
	return 0;
}

static int count_elements(struct scan *scan, const ProtobufCMessageDescriptor *type, size_t count)
{
	scan->element_count += count;
	if (scan->element_count > MESSAGE_ELEMENTS_MAX)
		return error_set(scan->error, ERR_LIMIT, "%s: more than %d elements in one message", type->short_name,
		                 MESSAGE_ELEMENTS_MAX);
	return 0;
}

static unsigned wire_type_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return PROTOBUF_C_WIRE_TYPE_32BIT;
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return PROTOBUF_C_WIRE_TYPE_64BIT;
	default:
		return PROTOBUF_C_WIRE_TYPE_VARINT;
	}
}

/* Numbers of a repeated field behind one another. */
static int scan_packed(struct scan *scan, const ProtobufCMessageDescriptor *type, const struct found *found)
{
	unsigned wire_type = wire_type_of(found->field->type);
	size_t size = found->end - found->begin;
	size_t width = wire_type == PROTOBUF_C_WIRE_TYPE_32BIT ? 4 : 8;
	size_t count = 0;
	size_t at = found->begin;
	uint64_t value;
	if (wire_type != PROTOBUF_C_WIRE_TYPE_VARINT) {
		if (size % width != 0)
			return bad_field(scan, type, found, "is cut off within a number");
		count = size / width;
		at = found->end;
	}
	while (at < found->end) {
		if (!varint(scan, &at, found->end, &value))
			return bad_field(scan, type, found, "is cut off within a number");
		count++;
	}
	/* Without numbers in it, it is not free either: protobuf-c notes where it was. */
	return count_elements(scan, type, count != 0 ? count : 1);
}

/* Notes that a field is there. false: it was already, or another one of its `oneof`. */
static bool see(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field, uint64_t *seen)
{
	uint64_t bit = (uint64_t)1 << (field - type->fields);
	if ((*seen & bit) != 0)
		return false;
	*seen |= bit;
	if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0)
		return true;
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *other = &type->fields[i];
		if ((other->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
		    other->quantifier_offset == field->quantifier_offset)
			*seen |= (uint64_t)1 << i;
	}
	return true;
}

static int scan_unknown(struct scan *scan, const ProtobufCMessageDescriptor *type, const struct found *found)
{
	if (scan->known_only)
		return error_set(scan->error, ERR_VERSION, "%s at byte %zu: field %llu is not known to this version",
		                 type->short_name, found->at, (unsigned long long)found->tag);
	return count_elements(scan, type, 1);
}

static int scan_message(struct scan *scan, const ProtobufCMessageDescriptor *type, size_t begin, size_t end);

static int scan_field(struct scan *scan, const ProtobufCMessageDescriptor *type, const struct found *found,
                      uint64_t *seen)
{
	const ProtobufCFieldDescriptor *field = found->field;
	bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
	unsigned wire_type = wire_type_of(field->type);
	if (repeated && found->wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED && wire_type != found->wire_type)
		return scan_packed(scan, type, found);
	if (found->wire_type != wire_type)
		return bad_field(scan, type, found, "is not of its type");
	if (repeated) {
		int code = count_elements(scan, type, 1);
		if (code != 0)
			return code;
	} else if (!see(type, field, seen)) {
		return bad_field(scan, type, found, "is given twice, or with another that excludes it");
	}
	if (field->type == PROTOBUF_C_TYPE_STRING &&
	    !is_string((struct slice){scan->bytes.data + found->begin, found->end - found->begin}))
		return bad_field(scan, type, found, "is not UTF-8, or contains NUL");
	if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		return scan_message(scan, field->descriptor, found->begin, found->end);
	return 0;
}

/* Goes as deep as types are nested, which is a property of the .proto files: none is recursive. */
static int scan_message(struct scan *scan, const ProtobufCMessageDescriptor *type, size_t begin, size_t end)
{
	uint64_t seen = 0;
	size_t at = begin;
	assert(type->n_fields <= FIELDS_MAX);
	while (at < end) {
		struct found found;
		int code = next_field(scan, type, &at, end, &found);
		if (code == 0)
			code = found.field != NULL ? scan_field(scan, type, &found, &seen)
			                           : scan_unknown(scan, type, &found);
		if (code != 0)
			return code;
	}
	return 0;
}

static void *allocate(void *allocator_data, size_t size)
{
	return arena_try(allocator_data, size);
}

static void release(void *allocator_data, void *memory)
{
	(void)allocator_data; /* with the arena */
	(void)memory;
}

static int unpack(struct scan *scan, const ProtobufCMessageDescriptor *descriptor, struct arena *arena,
                  ProtobufCMessage **ret_message)
{
	struct slice bytes = scan->bytes;
	if (bytes.size > MESSAGE_SIZE_MAX)
		return error_set(scan->error, ERR_LIMIT, "%s of %zu bytes (limit %u)", descriptor->short_name,
		                 bytes.size, MESSAGE_SIZE_MAX);
	int code = scan_message(scan, descriptor, 0, bytes.size);
	if (code != 0)
		return code;
	size_t limit = arena->limit;
	size_t room = MESSAGE_MEMORY(bytes.size, scan->element_count);
	ProtobufCAllocator allocator = {.alloc = allocate, .free = release, .allocator_data = arena};
	if (limit == 0 || limit > arena->used + room)
		arena->limit = arena->used + room;
	ProtobufCMessage *message =
		protobuf_c_message_unpack(descriptor, &allocator, bytes.size, (const uint8_t *)bytes.data);
	arena->limit = limit;
	if (message == NULL)
		return error_set(scan->error, ERR_LIMIT, "%s of %zu bytes takes more memory than it may (limit %zu)",
		                 descriptor->short_name, bytes.size, room);
	*ret_message = message;
	return 0;
}

int message_unpack(const ProtobufCMessageDescriptor *descriptor, struct slice bytes, struct arena *arena,
                   ProtobufCMessage **ret_message, struct error *error)
{
	struct scan scan = {.bytes = bytes, .error = error};
	return unpack(&scan, descriptor, arena, ret_message);
}

int message_unpack_known(const ProtobufCMessageDescriptor *descriptor, struct slice bytes, struct arena *arena,
                         ProtobufCMessage **ret_message, struct error *error)
{
	struct scan scan = {.bytes = bytes, .error = error, .known_only = true};
	return unpack(&scan, descriptor, arena, ret_message);
}

void message_append(struct buffer *out, const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	if (size == 0)
		return;
	size_t packed = protobuf_c_message_pack(message, (uint8_t *)buffer_reserve(out, size));
	assert(packed == size);
	out->size += packed;
}

bool message_fits(enum frame_type type, const ProtobufCMessage *message, struct slice payload)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	return size <= FRAME_MESSAGE_MAX && payload.size <= frame_size_max(type) - size;
}

int message_frame_parts(struct buffer *out, enum frame_type type, uint32_t stream, const ProtobufCMessage *message,
                        const struct slice *payload, size_t payload_count)
{
	size_t size = message != NULL ? protobuf_c_message_get_packed_size(message) : 0;
	if (size > FRAME_MESSAGE_MAX)
		return ERR_LIMIT;
	size_t room = frame_size_max(type) - size;
	for (size_t i = 0; i < payload_count; i++) {
		if (payload[i].size > room)
			return ERR_LIMIT;
		room -= payload[i].size;
	}
	buffer_reserve(out, FRAME_HEADER_SIZE + size);
	size_t at = frame_reserve(out);
	if (size != 0)
		out->size += protobuf_c_message_pack(message, (uint8_t *)buffer_reserve(out, size));
	frame_seal_parts(out, at, type, stream, payload, payload_count);
	return 0;
}

int message_frame_head(struct buffer *out, enum frame_type type, uint32_t stream, const ProtobufCMessage *message,
                       struct slice payload)
{
	return message_frame_parts(out, type, stream, message, &payload, payload.size != 0 ? 1 : 0);
}

int message_frame(struct buffer *out, enum frame_type type, uint32_t stream, const ProtobufCMessage *message,
                  struct slice payload)
{
	int code = message_frame_head(out, type, stream, message, payload);
	if (code == 0)
		buffer_append_slice(out, payload);
	return code;
}

const ProtobufCMessageDescriptor *message_of_frame(enum frame_type type)
{
	switch (type) {
	case FRAME_HELLO:
		return &clusterd__wire__hello__descriptor;
	case FRAME_WELCOME:
		return &clusterd__wire__welcome__descriptor;
	case FRAME_REQUEST:
		return &clusterd__wire__request__descriptor;
	case FRAME_RESPONSE:
		return &clusterd__wire__response__descriptor;
	case FRAME_GOODBYE:
		return &clusterd__wire__goodbye__descriptor;
	case FRAME_OFFER:
		return &clusterd__wire__offer__descriptor;
	case FRAME_ASSIGNMENT:
		return &clusterd__wire__assignment__descriptor;
	case FRAME_ABANDON:
		return &clusterd__wire__abandon__descriptor;
	case FRAME_RESULT:
		return &clusterd__wire__result__descriptor;
	case FRAME_RESULT_TAKEN:
		return &clusterd__wire__taken__descriptor;
	case FRAME_HEARTBEAT:
		return &clusterd__wire__heartbeat__descriptor;
	case FRAME_PROOF:
		return &clusterd__wire__proof__descriptor;
	case FRAME_RAFT:
		return &clusterd__wire__raft_message__descriptor;
	case FRAME_FORWARD:
		return &clusterd__wire__request__descriptor;
	case FRAME_FORWARDED:
		return &clusterd__wire__response__descriptor;
	case FRAME_PRESENCE:
		return &clusterd__wire__presence__descriptor;
	case FRAME_FORM:
		return &clusterd__wire__form__descriptor;
	case FRAME_PLACES:
		return &clusterd__wire__places__descriptor;
	case FRAME_SURVEY:
		return &clusterd__wire__survey__descriptor;
	case FRAME_FETCH:
		return &clusterd__wire__fetch__descriptor;
	case FRAME_FETCHED:
		return &clusterd__wire__fetched__descriptor;
	case FRAME_TASKS:
		return &clusterd__wire__tasks__descriptor;
	case FRAME_TASK_REPORTS:
		return &clusterd__wire__task_reports__descriptor;
	case FRAME_CANCEL:
	case FRAME_EXCHANGE:
	case FRAME_FORWARD_CANCEL:
	case FRAME_SET_BACK:
	case FRAME_TYPE_END:
		break;
	}
	return NULL;
}
