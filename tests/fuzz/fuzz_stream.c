/* Bytes of a data plane. The first byte says for whom: a door, one that connects (with a token or without), or a subscriber that reads
 * frames. Where bit 2 is set, each frame gets its right checksum, which no chance finds. */
#include "client/epochs.h"
#include "client/greeting.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LISTENS 1
#define REPAIR 2
#define READS 4
#define HAS_TOKEN 8
#define HELD_MAX 10000

static void repair(struct buffer *bytes)
{
	size_t at = 0;
	while (bytes->size - at >= STREAM_HEADER_SIZE) {
		uint32_t size = 0;
		uint32_t type = 0;
		uint64_t time = 0;
		for (unsigned i = 0; i < 4; i++) {
			size |= (uint32_t)(unsigned char)bytes->data[at + 4 + i] << 8 * i;
			type |= (uint32_t)(unsigned char)bytes->data[at + 8 + i] << 8 * i;
		}
		for (unsigned i = 0; i < 8; i++)
			time |= (uint64_t)(unsigned char)bytes->data[at + 12 + i] << 8 * i;
		if (size > bytes->size - at - STREAM_HEADER_SIZE)
			return;
		stream_frame_head(bytes->data + at, (enum stream_frame_type)type, time,
		                  (struct slice){bytes->data + at + STREAM_HEADER_SIZE, size});
		at += STREAM_HEADER_SIZE + size;
	}
}

static void greet(struct slice bytes, unsigned mode)
{
	struct greeting_config config = {.listens = (mode & LISTENS) != 0,
	                                 .topic = "t",
	                                 .kind = CLUSTERD__STREAM__KIND__KIND_STREAM,
	                                 .schema = "",
	                                 .name = ""};
	unsigned char nonce[GREETING_NONCE_SIZE] = "not drawn";
	struct secret *secret = NULL;
	struct greeting greeting;
	struct buffer out = BUFFER_EMPTY;
	struct error error = {0};
	size_t taken;
	if ((mode & HAS_TOKEN) != 0)
		secret_create(SLICE("0123456789abcdef"), &secret, NULL);
	config.secret = secret;
	greeting_begin(&greeting, &config, nonce, &out);
	int code = greeting_take(&greeting, bytes, &taken, &out, &error);
	assert(taken <= bytes.size);
	assert(code == 0 || (error.code == code && error.text[0] != '\0' && !greeting.open));
	assert(!greeting.open || secret == NULL); /* nobody guesses a proof */
	assert(out.size < 4 * STREAM_GREETING_MAX);
	secret_destroy(secret);
	buffer_finish(&out);
}

static void show(struct epoch *epoch)
{
	struct slice rest = buffer_slice(&epoch->body);
	struct slice part;
	int64_t count;
	size_t shown = 0;
	while (stream_parts_next(epoch->type, &rest, &part, &count))
		shown += part.size;
	assert(rest.size == 0 && shown <= epoch->body.size);
	epoch_destroy(epoch);
}

static void read_frames(struct slice bytes)
{
	struct epochs epochs;
	struct stream_frame frame;
	struct epoch *epoch;
	struct error error = {0};
	size_t size;
	epochs_init(&epochs, HELD_MAX);
	while (stream_frame_parse(bytes, STREAM_FRAME_MAX, &frame, &size, &error) == 1) {
		bytes.data += size;
		bytes.size -= size;
		if (frame.type == STREAM_START)
			epochs_start(&epochs, frame.time);
		else if (frame.type == STREAM_FRONTIER)
			while ((epoch = epochs_take(&epochs, frame.time)) != NULL)
				show(epoch);
		else if (frame.type == STREAM_DATA && stream_parts_check(STREAM_DATA, frame.body, &error) == 0)
			epochs_add(&epochs, &frame, &error);
		assert(epochs.held <= HELD_MAX);
	}
	epochs_finish(&epochs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer bytes = BUFFER_EMPTY;
	if (size < 1)
		return 0;
	buffer_append(&bytes, data + 1, size - 1);
	if ((data[0] & REPAIR) != 0)
		repair(&bytes);
	if ((data[0] & READS) != 0)
		read_frames(buffer_slice(&bytes));
	else
		greet(buffer_slice(&bytes), data[0]);
	buffer_finish(&bytes);
	return 0;
}
