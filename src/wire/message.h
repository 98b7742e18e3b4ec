/* Protobuf messages to and from bytes. What comes from outside is checked as a whole before any allocation. */
#ifndef CLUSTERD_WIRE_MESSAGE_H
#define CLUSTERD_WIRE_MESSAGE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "wire/frame.h"

#include <protobuf-c/protobuf-c.h>

/* In one message, those of the messages within it included: elements of repeated fields, and unknown fields. */
#define MESSAGE_ELEMENTS_MAX 10000
#define MESSAGE_SIZE_MAX (64u << 20)
/* What decoding takes of the arena at most: for `size` bytes with `count` elements. The last is for short elements,
 * whose structs and pointers take more than four times their bytes. */
#define MESSAGE_MEMORY(size, count) (4 * (size_t)(size) + 4096 + 256 * (size_t)(count))

/* Decodes into `arena`: nothing points into `bytes`. A field given twice that is not repeated, and two of one `oneof`,
 * are refused, and so are strings with NUL or without valid UTF-8. ERR_INVALID: malformed; ERR_LIMIT. The error names
 * the message's type, the field and the byte offset. */
int message_unpack(const ProtobufCMessageDescriptor *descriptor, struct slice bytes, struct arena *arena,
                   ProtobufCMessage **ret_message, struct error *error);
/* The same, but fields that this program does not know, at any depth, are ERR_VERSION: where nothing may be skipped. */
int message_unpack_known(const ProtobufCMessageDescriptor *descriptor, struct slice bytes, struct arena *arena,
                         ProtobufCMessage **ret_message, struct error *error);
/* Packs to the end of `out`. */
void message_append(struct buffer *out, const ProtobufCMessage *message);
/* Whether they make a frame of this type. */
bool message_fits(enum frame_type type, const ProtobufCMessage *message, struct slice payload);
/* Appends a whole frame; `message` may be NULL (none). ERR_LIMIT: message or frame too large, `out` is as before. */
int message_frame(struct buffer *out, enum frame_type type, uint32_t stream, const ProtobufCMessage *message,
                  struct slice payload);
/* The same without the payload itself, which the caller sends right behind it: a large one need not be copied. */
int message_frame_head(struct buffer *out, enum frame_type type, uint32_t stream, const ProtobufCMessage *message,
                       struct slice payload);
/* The same with a payload in parts, which the caller sends behind it. */
int message_frame_parts(struct buffer *out, enum frame_type type, uint32_t stream, const ProtobufCMessage *message,
                        const struct slice *payload, size_t payload_count);
/* What frames of this type hold; NULL: no message. */
const ProtobufCMessageDescriptor *message_of_frame(enum frame_type type);

#endif
