#include "client/greeting.h"

#include "base/arena.h"
#include "wire/message.h"

static void append_frame(struct buffer *out, enum stream_frame_type type, const ProtobufCMessage *message)
{
	struct buffer body = BUFFER_EMPTY;
	char head[STREAM_HEADER_SIZE];
	message_append(&body, message);
	stream_frame_head(head, type, 0, buffer_slice(&body));
	buffer_append(out, head, sizeof head);
	buffer_append_slice(out, buffer_slice(&body));
	buffer_finish(&body);
}

void refusal_append(struct buffer *out, const struct error *cause)
{
	Clusterd__Stream__Refusal message = CLUSTERD__STREAM__REFUSAL__INIT;
	message.code = cause->code;
	message.text = (char *)(uintptr_t)cause->text;
	append_frame(out, STREAM_REFUSAL, &message.base);
}

void refusal_read(const struct stream_frame *frame, struct error *ret_error)
{
	struct arena arena = {0};
	ProtobufCMessage *message = NULL;
	struct error why;
	if (message_unpack(&clusterd__stream__refusal__descriptor, frame->body, &arena, &message, &why) != 0) {
		*ret_error = why;
	} else {
		const Clusterd__Stream__Refusal *refusal = (const Clusterd__Stream__Refusal *)message;
		bool known = refusal->code < 0 && refusal->code >= ERR_COMPACTED;
		error_set(ret_error, known ? refusal->code : ERR_INVALID, "%s",
		          refusal->text[0] != '\0' ? refusal->text : "the other side refuses, and gives no reason");
	}
	arena_finish(&arena);
}

/* --- proofs -------------------------------------------------------------------------------------------------------- */

/* Of everything that both have said. `listener`: whose proof it is. */
static void prove(const struct greeting *greeting, bool listener, const unsigned char *theirs, const char *topic,
                  unsigned char ret_proof[SECRET_PROOF_SIZE])
{
	const struct greeting_config *config = greeting->config;
	const unsigned char *of_hello = config->listens ? theirs : greeting->nonce;
	const unsigned char *of_welcome = config->listens ? greeting->nonce : theirs;
	struct buffer bytes = BUFFER_EMPTY;
	buffer_append(&bytes, of_hello, GREETING_NONCE_SIZE);
	buffer_append(&bytes, of_welcome, GREETING_NONCE_SIZE);
	buffer_append_u32(&bytes, (uint32_t)config->kind);
	buffer_append_string(&bytes, topic);
	secret_prove(config->secret, listener ? "data plane, who listens" : "data plane, who connects",
	             buffer_slice(&bytes), ret_proof);
	buffer_finish(&bytes);
}

static bool is_proof(ProtobufCBinaryData proof, const unsigned char expected[SECRET_PROOF_SIZE])
{
	return proof.len == SECRET_PROOF_SIZE && secret_equal(proof.data, expected, SECRET_PROOF_SIZE);
}

/* --- each side ----------------------------------------------------------------------------------------------------- */

static const char *kind_name(Clusterd__Stream__Kind kind)
{
	static const char *const names[] = {"nothing", "stream", "collection", "service"};
	return (unsigned)kind < sizeof names / sizeof names[0] ? names[kind] : "something";
}

static int check_hello(const struct greeting_config *config, const Clusterd__Stream__Hello *hello, struct error *error)
{
	if (hello->magic != STREAM_MAGIC)
		return error_set(error, ERR_INVALID, "this is no data plane of clusterd's");
	if (hello->version_low > STREAM_VERSION || hello->version_high < STREAM_VERSION)
		return error_set(error, ERR_VERSION, "here version %d is spoken, there %u to %u", STREAM_VERSION,
		                 hello->version_low, hello->version_high);
	if (hello->nonce.len != GREETING_NONCE_SIZE)
		return error_set(error, ERR_INVALID, "a hello has %d random bytes, not %zu", GREETING_NONCE_SIZE,
		                 hello->nonce.len);
	if (strcmp(hello->topic, config->topic) != 0)
		return error_set(error, ERR_NOT_FOUND, "here is the topic %s, not %.*s", config->topic,
		                 GREETING_TOPIC_MAX, hello->topic);
	if (hello->kind != config->kind)
		return error_set(error, ERR_TYPE, "%s is a %s, not a %s", config->topic, kind_name(config->kind),
		                 kind_name(hello->kind));
	if (hello->schema[0] != '\0' && strcmp(hello->schema, config->schema) != 0)
		return error_set(error, ERR_TYPE, "the schema of %s is %.100s, not %.100s", config->topic,
		                 config->schema, hello->schema);
	return 0;
}

static int take_hello(struct greeting *greeting, const Clusterd__Stream__Hello *hello, struct buffer *out,
                      struct error *error)
{
	const struct greeting_config *config = greeting->config;
	unsigned char proof[SECRET_PROOF_SIZE];
	Clusterd__Stream__Welcome welcome = CLUSTERD__STREAM__WELCOME__INIT;
	int code = check_hello(config, hello, error);
	if (code != 0)
		return code;
	greeting->from = hello->life == 0 || hello->life == config->life ? hello->from : STREAM_FROM_NOW;
	greeting->no_state = hello->no_state != 0;
	greeting->no_changes = hello->no_changes != 0;
	welcome.version = STREAM_VERSION;
	welcome.schema = (char *)(uintptr_t)config->schema;
	welcome.life = config->life;
	welcome.nonce = (ProtobufCBinaryData){GREETING_NONCE_SIZE, greeting->nonce};
	if (config->secret != NULL) {
		prove(greeting, true, hello->nonce.data, config->topic, proof);
		prove(greeting, false, hello->nonce.data, config->topic, greeting->proof_expected);
		welcome.proof = (ProtobufCBinaryData){sizeof proof, proof};
	}
	append_frame(out, STREAM_WELCOME, &welcome.base);
	return 0;
}

static int take_welcome(struct greeting *greeting, const Clusterd__Stream__Welcome *welcome, struct buffer *out,
                        struct error *error)
{
	const struct greeting_config *config = greeting->config;
	unsigned char proof[SECRET_PROOF_SIZE];
	Clusterd__Stream__Proof message = CLUSTERD__STREAM__PROOF__INIT;
	if (welcome->version != STREAM_VERSION)
		return error_set(error, ERR_VERSION, "it speaks version %u, which was not offered", welcome->version);
	if (welcome->nonce.len != GREETING_NONCE_SIZE || strlen(welcome->schema) > GREETING_SCHEMA_MAX)
		return error_set(error, ERR_INVALID, "its welcome is not of the form that it must have");
	if (config->secret == NULL && welcome->proof.len != 0)
		return error_set(error, ERR_DENIED,
		                 "%s asks for the token of the cluster's clients, which is not given here",
		                 config->topic);
	if (config->secret != NULL && welcome->proof.len == 0)
		return error_set(error, ERR_DENIED,
		                 "who publishes %s does not show that it has the token of the cluster's clients",
		                 config->topic);
	if (config->secret != NULL) {
		prove(greeting, true, welcome->nonce.data, config->topic, proof);
		if (!is_proof(welcome->proof, proof))
			return error_set(error, ERR_DENIED, "who publishes %s has another token than this program",
			                 config->topic);
		prove(greeting, false, welcome->nonce.data, config->topic, proof);
		message.proof = (ProtobufCBinaryData){sizeof proof, proof};
	}
	greeting->life = welcome->life;
	memcpy(greeting->schema, welcome->schema, strlen(welcome->schema) + 1);
	append_frame(out, STREAM_PROOF, &message.base);
	greeting->open = true;
	return 0;
}

static int take_proof(struct greeting *greeting, const Clusterd__Stream__Proof *message, struct error *error)
{
	const struct greeting_config *config = greeting->config;
	if (config->secret == NULL && message->proof.len != 0)
		return error_set(error, ERR_DENIED, "%s has no token, and knows none", config->topic);
	if (config->secret != NULL && !is_proof(message->proof, greeting->proof_expected))
		return error_set(error, ERR_DENIED, "%s is for those who have the token of the cluster's clients",
		                 config->topic);
	greeting->open = true;
	return 0;
}

/* --- frames -------------------------------------------------------------------------------------------------------- */

static int take_frame(struct greeting *greeting, const struct stream_frame *frame, struct buffer *out,
                      struct error *error)
{
	bool listens = greeting->config->listens;
	enum stream_frame_type due = !listens ? STREAM_WELCOME : greeting->greeted ? STREAM_PROOF : STREAM_HELLO;
	const ProtobufCMessageDescriptor *descriptor = due == STREAM_HELLO     ? &clusterd__stream__hello__descriptor
	                                               : due == STREAM_WELCOME ? &clusterd__stream__welcome__descriptor
	                                                                       : &clusterd__stream__proof__descriptor;
	struct arena arena = {0};
	ProtobufCMessage *message = NULL;
	if (frame->type == STREAM_REFUSAL) {
		struct error told = {0};
		refusal_read(frame, &told);
		return error_set(error, told.code, "%s", told.text);
	}
	if (frame->type != due)
		return error_set(error, ERR_INVALID, "a frame of type %d where one of type %d is due", (int)frame->type,
		                 (int)due);
	int code = message_unpack(descriptor, frame->body, &arena, &message, error);
	greeting->greeted = true;
	if (code != 0)
		;
	else if (due == STREAM_HELLO)
		code = take_hello(greeting, (const Clusterd__Stream__Hello *)message, out, error);
	else if (due == STREAM_WELCOME)
		code = take_welcome(greeting, (const Clusterd__Stream__Welcome *)message, out, error);
	else
		code = take_proof(greeting, (const Clusterd__Stream__Proof *)message, error);
	arena_finish(&arena);
	return code;
}

int greeting_take(struct greeting *greeting, struct slice input, size_t *ret_size, struct buffer *out,
                  struct error *error)
{
	struct error failure = {0};
	*ret_size = 0;
	while (!greeting->open) {
		struct slice rest = {input.data + *ret_size, input.size - *ret_size};
		struct stream_frame frame = {0};
		size_t size;
		int got = stream_frame_parse(rest, STREAM_GREETING_MAX, &frame, &size, &failure);
		if (got == 0)
			return 0;
		int code = got < 0 ? got : take_frame(greeting, &frame, out, &failure);
		if (code != 0) {
			if (greeting->config->listens && frame.type != STREAM_REFUSAL)
				refusal_append(out, &failure);
			return error_set(error, code, "%s", failure.text);
		}
		*ret_size += size;
	}
	return 0;
}

void greeting_begin(struct greeting *greeting, const struct greeting_config *config,
                    const unsigned char nonce[GREETING_NONCE_SIZE], struct buffer *out)
{
	Clusterd__Stream__Hello hello = CLUSTERD__STREAM__HELLO__INIT;
	*greeting = (struct greeting){.config = config};
	memcpy(greeting->nonce, nonce, GREETING_NONCE_SIZE);
	if (config->listens)
		return;
	hello.magic = STREAM_MAGIC;
	hello.version_low = hello.version_high = STREAM_VERSION;
	hello.topic = (char *)(uintptr_t)config->topic;
	hello.kind = config->kind;
	hello.schema = (char *)(uintptr_t)config->schema;
	hello.nonce = (ProtobufCBinaryData){GREETING_NONCE_SIZE, greeting->nonce};
	hello.name = (char *)(uintptr_t)config->name;
	hello.from = config->from;
	hello.life = config->life;
	hello.no_state = config->no_state;
	hello.no_changes = config->no_changes;
	append_frame(out, STREAM_HELLO, &hello.base);
}
