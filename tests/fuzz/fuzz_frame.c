/* Bytes of a connection: frame_parse on all at once and on pieces, which must find the same; then both sides of
 * connection.h. The first byte is the seed of the pieces' sizes, the second says how to go about it. */
#include "base/random.h"
#include "wire/connection.h"
#include "wire/message.h"

#include <assert.h>

#include <xxhash.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define AS_CLIENT 1  /* else a server */
#define REPAIR 2     /* give each frame its right checksum, which no chance finds */
#define ROLE_SHIFT 2 /* two bits: the client's role */

struct outcome {
	uint64_t digest; /* of all frames */
	unsigned count;
	int code;
};

static void add_frame(struct outcome *outcome, const struct frame *frame)
{
	uint64_t parts[] = {outcome->digest, (uint64_t)frame->type, frame->stream,
	                    XXH3_64bits(frame->message.data, frame->message.size),
	                    XXH3_64bits(frame->payload.data, frame->payload.size)};
	outcome->digest = XXH3_64bits(parts, sizeof parts);
	outcome->count++;
}

/* Takes all whole frames off the front of `input`. */
static void take_frames(struct buffer *input, struct outcome *outcome)
{
	struct frame frame;
	struct error error = {0};
	size_t size;
	while (outcome->code == 0) {
		int code = frame_parse(buffer_slice(input), &frame, &size, &error);
		if (code == 0)
			return;
		if (code < 0) {
			assert(error.code == code && error.text[0] != '\0');
			outcome->code = code;
			return;
		}
		assert(size >= FRAME_HEADER_SIZE && size <= input->size);
		add_frame(outcome, &frame);
		buffer_consume(input, size);
	}
}

static void repair(struct buffer *bytes)
{
	struct frame_header header;
	size_t at = 0;
	while (frame_parse_header((struct slice){bytes->data + at, bytes->size - at}, &header, NULL) == 1) {
		size_t size = FRAME_HEADER_SIZE + (size_t)header.message_size + header.payload_size;
		if (size > bytes->size - at)
			return;
		uint64_t checksum = XXH3_64bits(bytes->data + at + 4, size - 4);
		for (size_t i = 0; i < 4; i++)
			bytes->data[at + i] = (char)(unsigned char)(checksum >> (8 * i));
		at += size;
	}
}

/* What a connection says must be whole frames. */
static void check_output(struct buffer *out)
{
	struct outcome said = {0};
	take_frames(out, &said);
	assert(said.code == 0 && out->size == 0);
}

static bool is_over(enum connection_event event, struct connection *connection, const struct frame *frame,
                    struct buffer *out, struct error *error)
{
	struct arena arena = {0};
	ProtobufCMessage *message;
	if (event == CONNECTION_FRAME && message_of_frame(frame->type) != NULL &&
	    connection_unpack(connection, frame, &arena, out, &message, error) != 0)
		assert(!connection_is_open(connection));
	arena_finish(&arena);
	return event == CONNECTION_GOODBYE || event == CONNECTION_FAILED;
}

static void try_connection(struct slice bytes, struct random *random, const struct connection_config *config)
{
	struct connection *connection = connection_create(config);
	struct buffer input = BUFFER_EMPTY;
	struct buffer out = BUFFER_EMPTY;
	bool over = false;
	connection_begin(connection, &out);
	while (bytes.size != 0 && !over) {
		size_t piece = 1 + random_below(random, bytes.size);
		buffer_append(&input, bytes.data, piece);
		bytes.data += piece;
		bytes.size -= piece;
		enum connection_event event = CONNECTION_FRAME;
		while (event != CONNECTION_MORE && !over) {
			struct frame frame;
			struct error error = {0};
			size_t size;
			event = connection_next(connection, buffer_slice(&input), &out, &size, &frame, &error);
			over = is_over(event, connection, &frame, &out, &error);
			assert(!over || error.text[0] != '\0');
			buffer_consume(&input, size);
		}
	}
	assert(!over || !connection_is_open(connection));
	check_output(&out);
	connection_destroy(connection);
	buffer_finish(&input);
	buffer_finish(&out);
}

/* Without a secret, of which no chance finds a proof; test_introduction has that. */
static void draw_nonce(void *context, unsigned char ret_nonce[CONNECTION_NONCE_SIZE])
{
	(void)context;
	memset(ret_nonce, 1, CONNECTION_NONCE_SIZE);
}

static const struct connection_node node = {.id = 1, .generation = 1, .address = "h:1", .nonce = draw_nonce};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 3)
		return 0;
	struct random random = {data[0]};
	unsigned mode = data[1];
	struct connection_config config = {.side = (mode & AS_CLIENT) != 0 ? CONNECTION_CLIENT : CONNECTION_SERVER,
	                                   .version_low = 1,
	                                   .version_high = 3,
	                                   .cluster_id = "c",
	                                   .name = "name",
	                                   .token = "",
	                                   .node = &node,
	                                   .role = (Clusterd__Wire__Role)(1 + (mode >> ROLE_SHIFT & 3) % 3)};
	struct buffer whole = BUFFER_EMPTY;
	struct buffer pieces = BUFFER_EMPTY;
	struct outcome at_once = {0};
	struct outcome by_pieces = {0};
	buffer_append(&whole, data + 2, size - 2);
	if ((mode & REPAIR) != 0)
		repair(&whole);
	struct slice rest = buffer_slice(&whole);
	try_connection(rest, &random, &config);
	while (rest.size != 0 && by_pieces.code == 0) {
		size_t piece = 1 + random_below(&random, rest.size < 40 ? rest.size : 40);
		buffer_append(&pieces, rest.data, piece);
		rest.data += piece;
		rest.size -= piece;
		take_frames(&pieces, &by_pieces);
	}
	take_frames(&whole, &at_once);
	assert(at_once.digest == by_pieces.digest && at_once.count == by_pieces.count &&
	       at_once.code == by_pieces.code);
	buffer_finish(&whole);
	buffer_finish(&pieces);
	return 0;
}
