/* How two programs come to know each other on a data plane, before anything else is said: who connects says what it wants (Hello), who
 * listens answers (Welcome), and each shows that it has the token of the cluster's clients without saying it: HMAC-SHA256 of what both
 * have drawn. Pure: bytes go in, bytes to be sent come out. */
#ifndef CLUSTERD_CLIENT_GREETING_H
#define CLUSTERD_CLIENT_GREETING_H

#include "client/stream_frame.h"

#include "base/buffer.h"
#include "proto/stream.pb-c.h"
#include "wire/secret.h"

#define GREETING_NONCE_SIZE 32
#define GREETING_TOPIC_MAX 255
#define GREETING_SCHEMA_MAX 2048
#define STREAM_MAGIC 0x74736c63u
#define STREAM_VERSION 1

/* What one side says and asks for. Must outlive the greeting; strings are never NULL. */
struct greeting_config {
	bool listens;
	const char *topic;
	Clusterd__Stream__Kind kind;
	const char *schema;          /* who connects: that it expects, "": any */
	const struct secret *secret; /* NULL: none, and none is asked for */
	uint64_t life;               /* of who listens; of who connects: whose `from` is one of, 0: of any */
	const char *name;            /* of the program that connects, for people */
	uint64_t from;
	bool no_state;
	bool no_changes;
};

/* What was learned. */
struct greeting {
	const struct greeting_config *config;
	unsigned char nonce[GREETING_NONCE_SIZE];
	unsigned char proof_expected[SECRET_PROOF_SIZE];
	bool greeted; /* hello or welcome has come */
	bool open;    /* of the other side: */
	uint64_t life;
	uint64_t from;
	bool no_state;
	bool no_changes;
	char schema[GREETING_SCHEMA_MAX + 1];
};

/* `nonce`: bytes that nobody can foretell and that never come twice. What is to be sent first is appended to `out`. */
void greeting_begin(struct greeting *greeting, const struct greeting_config *config,
                    const unsigned char nonce[GREETING_NONCE_SIZE], struct buffer *out);
/* Takes frames off the front of `input`, `ret_size` bytes in all, until it is open; what is behind that is for others. What is to be sent
 * is appended to `out`, with an error too, when the other side is to hear of it. ERR_DENIED, ERR_TYPE, ERR_NOT_FOUND, ERR_VERSION,
 * ERR_INVALID, …: the connection is of no use. */
int greeting_take(struct greeting *greeting, struct slice input, size_t *ret_size, struct buffer *out, struct error *error);

/* A frame STREAM_REFUSAL, and what is in it. */
void refusal_append(struct buffer *out, const struct error *cause);
void refusal_read(const struct stream_frame *frame, struct error *ret_error);

#endif
