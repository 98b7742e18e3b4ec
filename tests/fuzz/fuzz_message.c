/* Protobuf messages: the first byte picks the type, the rest is the message. What is decoded must take no more memory
 * than it may, and survive the way there and back. */
#include "base/buffer.h"
#include "proto/log.pb-c.h"
#include "proto/wire.pb-c.h"
#include "wire/message.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const types[] = {
	&clusterd__wire__hello__descriptor,
	&clusterd__wire__welcome__descriptor,
	&clusterd__wire__request__descriptor,
	&clusterd__wire__response__descriptor,
	&clusterd__wire__goodbye__descriptor,
	&clusterd__wire__offer__descriptor,
	&clusterd__wire__assignment__descriptor,
	&clusterd__wire__abandon__descriptor,
	&clusterd__wire__result__descriptor,
	&clusterd__wire__taken__descriptor,
	&clusterd__wire__heartbeat__descriptor,
	&clusterd__wire__error__descriptor,
	&clusterd__wire__register__descriptor,
	&clusterd__wire__start__descriptor,
	&clusterd__wire__signal__descriptor,
	&clusterd__wire__query__descriptor,
	&clusterd__wire__inspect__descriptor,
	&clusterd__wire__registered__descriptor,
	&clusterd__wire__rows__descriptor,
	&clusterd__log__entry__descriptor,
	/* At the end: the first byte of the inputs counts from the beginning. */
	&clusterd__wire__raft_message__descriptor,
	&clusterd__wire__presence__descriptor,
	&clusterd__wire__form__descriptor,
	&clusterd__wire__places__descriptor,
};

static ProtobufCMessage *decode(const ProtobufCMessageDescriptor *type, struct slice bytes, struct arena *arena)
{
	struct error error = {0};
	ProtobufCMessage *message = NULL;
	size_t before = arena->used;
	int code = message_unpack(type, bytes, arena, &message, &error);
	assert(arena->used - before <= MESSAGE_MEMORY(bytes.size, MESSAGE_ELEMENTS_MAX));
	assert(arena->limit == 0);
	if (code != 0) {
		assert(error.code == code && error.text[0] != '\0' && message == NULL);
		assert(code == ERR_INVALID || code == ERR_LIMIT);
		return NULL;
	}
	assert(protobuf_c_message_check(message));
	return message;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	const ProtobufCMessageDescriptor *type = types[data[0] % (sizeof types / sizeof types[0])];
	struct slice bytes = {(const char *)data + 1, size - 1};
	struct arena arena = {0};
	struct buffer first = BUFFER_EMPTY;
	struct buffer second = BUFFER_EMPTY;
	ProtobufCMessage *message = decode(type, bytes, &arena);
	if (message != NULL) {
		ProtobufCMessage *known = NULL;
		int code = message_unpack_known(type, bytes, &arena, &known, NULL);
		assert(code == 0 || code == ERR_VERSION);
		message_append(&first, message);
		ProtobufCMessage *again = decode(type, buffer_slice(&first), &arena);
		assert(again != NULL);
		message_append(&second, again);
		assert(slice_equal(buffer_slice(&first), buffer_slice(&second)));
	}
	arena_finish(&arena);
	buffer_finish(&first);
	buffer_finish(&second);
	return 0;
}
