#include "wire/connection.h"

#include "base/memory.h"
#include "wire/introduction.h"
#include "wire/message.h"

#include <assert.h>

enum state { AWAIT_HELLO, AWAIT_WELCOME, AWAIT_PROOF, OPEN, ENDED, STATE_COUNT };

#define IN(state) (1u << (state))

static const unsigned allowed_moves[STATE_COUNT] = {
	[AWAIT_HELLO] = IN(AWAIT_PROOF) | IN(OPEN) | IN(ENDED),
	[AWAIT_WELCOME] = IN(OPEN) | IN(ENDED),
	[AWAIT_PROOF] = IN(OPEN) | IN(ENDED),
	[OPEN] = IN(ENDED),
	[ENDED] = 0,
};

struct connection {
	const struct connection_config *config;
	enum state state;
	Clusterd__Wire__Role role;
	uint32_t version;
	uint32_t retry_after_ms;
	uint64_t features;
	uint64_t frame_number; /* of the frame looked at, from 1 */
	uint64_t frame_offset; /* of its first byte in all that came */
	uint64_t next_offset;
	char *peer;
	char *cluster;
	enum connection_refusal refusal;
	/* Peers. */
	uint64_t aimed_at;
	bool exchanges;
	uint64_t peer_id;
	uint64_t peer_generation;
	char *peer_address;
	const struct secret *secret; /* as of hello or welcome */
	struct buffer transcript;    /* what is proved; empty once it is */
};

static void move(struct connection *connection, enum state to)
{
	assert((allowed_moves[connection->state] & IN(to)) != 0);
	connection->state = to;
}

struct connection *connection_create(const struct connection_config *config)
{
	assert(config->version_low <= config->version_high);
	assert(config->side == CONNECTION_SERVER || config->role != CLUSTERD__WIRE__ROLE__ROLE_UNKNOWN);
	assert(config->side == CONNECTION_SERVER || config->role != CLUSTERD__WIRE__ROLE__ROLE_PEER || config->node != NULL);
	struct connection *connection = mem_zero(sizeof *connection);
	connection->config = config;
	connection->state = config->side == CONNECTION_SERVER ? AWAIT_HELLO : AWAIT_WELCOME;
	return connection;
}

void connection_destroy(struct connection *connection)
{
	if (connection == NULL)
		return;
	mem_free(connection->peer);
	mem_free(connection->cluster);
	mem_free(connection->peer_address);
	buffer_finish(&connection->transcript);
	mem_free(connection);
}

/* --- what is sent ------------------------------------------------------------------------------------------------- */

/* None of the messages of this file comes near the limits of a frame. */
static void append(struct buffer *out, enum frame_type type, const ProtobufCMessage *message)
{
	int code = message_frame(out, type, 0, message, SLICE(""));
	assert(code == 0);
}

/* The fields are not const, but packing only reads. */
static char *borrowed(const char *string)
{
	return (char *)(uintptr_t)string;
}

void connection_aim(struct connection *connection, uint64_t node, bool exchanges)
{
	assert(connection->config->role == CLUSTERD__WIRE__ROLE__ROLE_PEER && connection->config->side == CONNECTION_CLIENT);
	connection->aimed_at = node;
	connection->exchanges = exchanges;
}

/* What this node says of itself; the nonce is in `ret_nonce`. */
static void introduce(struct connection *connection, Clusterd__Wire__Introduction *introduction,
                      unsigned char ret_nonce[CONNECTION_NONCE_SIZE])
{
	const struct connection_node *node = connection->config->node;
	clusterd__wire__introduction__init(introduction);
	node->nonce(node->context, ret_nonce);
	connection->secret = node->secret;
	introduction->node = node->id;
	introduction->generation = node->generation;
	introduction->address = borrowed(node->address);
	introduction->nonce = (ProtobufCBinaryData){CONNECTION_NONCE_SIZE, ret_nonce};
	introduction->has_secret = node->secret != NULL;
	introduction->exchanges = connection->exchanges;
}

void connection_begin(struct connection *connection, struct buffer *out)
{
	const struct connection_config *config = connection->config;
	Clusterd__Wire__Hello hello = CLUSTERD__WIRE__HELLO__INIT;
	Clusterd__Wire__Introduction introduction;
	unsigned char nonce[CONNECTION_NONCE_SIZE];
	if (config->side == CONNECTION_SERVER)
		return;
	hello.magic = PROTOCOL_MAGIC;
	hello.version_low = config->version_low;
	hello.version_high = config->version_high;
	hello.cluster_id = borrowed(config->cluster_id);
	hello.name = borrowed(config->name);
	hello.role = config->role;
	hello.features = config->features;
	hello.token = borrowed(config->token);
	if (config->role == CLUSTERD__WIRE__ROLE__ROLE_PEER) {
		introduce(connection, &introduction, nonce);
		hello.peer = &introduction;
		introduction_add_hello(&connection->transcript, &hello);
	}
	append(out, FRAME_HELLO, &hello.base);
}

static void send_welcome(struct connection *connection, Clusterd__Wire__Error *refusal, struct buffer *out)
{
	Clusterd__Wire__Welcome welcome = CLUSTERD__WIRE__WELCOME__INIT;
	Clusterd__Wire__Introduction introduction;
	unsigned char nonce[CONNECTION_NONCE_SIZE];
	unsigned char proof[SECRET_PROOF_SIZE];
	welcome.error = refusal;
	welcome.version = connection->version;
	welcome.cluster_id = borrowed(connection->config->cluster_id);
	welcome.node = borrowed(connection->config->name);
	welcome.features = connection->config->features;
	if (refusal == NULL && connection->role == CLUSTERD__WIRE__ROLE__ROLE_PEER) {
		introduce(connection, &introduction, nonce);
		welcome.peer = &introduction;
		introduction_add_welcome(&connection->transcript, &welcome);
		introduction_prove(connection->secret, INTRODUCTION_WELCOME_LABEL, &connection->transcript, proof, &welcome.proof);
	}
	append(out, FRAME_WELCOME, &welcome.base);
}

void connection_end(struct connection *connection, const struct error *cause, uint32_t retry_after_ms,
                    struct buffer *out)
{
	assert(cause->code < 0);
	if (connection->state == ENDED)
		return;
	Clusterd__Wire__Error reason = CLUSTERD__WIRE__ERROR__INIT;
	Clusterd__Wire__Goodbye goodbye = CLUSTERD__WIRE__GOODBYE__INIT;
	reason.code = cause->code;
	reason.text = borrowed(cause->text);
	reason.retry_after_ms = retry_after_ms;
	goodbye.error = &reason;
	if (connection->state == AWAIT_HELLO)
		send_welcome(connection, &reason, out);
	else
		append(out, FRAME_GOODBYE, &goodbye.base);
	move(connection, ENDED);
}

void connection_fail(struct connection *connection, struct error *error, struct buffer *out)
{
	error_prefix(error, "frame %llu at byte %llu", (unsigned long long)connection->frame_number,
	             (unsigned long long)connection->frame_offset);
	connection_end(connection, error, 0, out);
}

/* --- hello and welcome -------------------------------------------------------------------------------------------- */

/* Names go into logs and onto terminals. */
static int check_name(const char *name, const char *what, struct error *error)
{
	size_t size = strlen(name);
	if (size > CONNECTION_NAME_MAX)
		return error_set(error, ERR_LIMIT, "%s of %zu bytes (limit %d)", what, size, CONNECTION_NAME_MAX);
	for (const char *at = name; *at != '\0'; at++) {
		if ((unsigned char)*at < 0x20 || *at == 0x7F)
			return error_set(error, ERR_INVALID, "%s with a control character", what);
	}
	return 0;
}

/* In a time that does not depend on how much of it is right. */
static bool is_token(const char *given, const char *demanded)
{
	size_t given_size = strlen(given);
	size_t size = strlen(demanded);
	unsigned difference = given_size != size;
	for (size_t i = 0; i < size; i++)
		difference |=
			(unsigned)((unsigned char)given[i < given_size ? i : given_size] ^ (unsigned char)demanded[i]);
	return difference == 0;
}

/* Notes why, and gives the code back. */
static int refused(struct connection *connection, enum connection_refusal refusal, int code)
{
	connection->refusal = refusal;
	return code;
}

static int check_cluster(struct connection *connection, const char *theirs, const char *who, struct error *error)
{
	const char *mine = connection->config->cluster_id;
	int code = check_name(theirs, "a cluster id", error);
	if (code != 0)
		return code;
	if (mine[0] != '\0' && theirs[0] != '\0' && strcmp(mine, theirs) != 0)
		return refused(connection, REFUSAL_CLUSTER,
		               error_set(error, ERR_CONFLICT, "%s cluster %s, this is cluster %s", who, theirs, mine));
	return 0;
}

/* What the other node says of itself, before any proof of it. */
static int accept_introduction(struct connection *connection, const Clusterd__Wire__Introduction *introduction,
                               struct error *error)
{
	const struct connection_node *node = connection->config->node;
	int code = introduction_check(introduction, error);
	if (code == 0)
		code = check_name(introduction->address, "an address", error);
	if (code != 0)
		return code;
	bool same = introduction->node == node->id;
	if (same && introduction->generation == node->generation && strcmp(introduction->address, node->address) == 0)
		return refused(connection, REFUSAL_ITSELF,
		               error_set(error, ERR_CONFLICT, "node %llu has reached itself", (unsigned long long)node->id));
	if (same)
		return refused(connection, REFUSAL_SAME_ID,
		               error_set(error, ERR_CONFLICT,
		                         "the node at %s says to be node %llu, which the one at %s is: one of the two runs on a "
		                         "copy of the other's data directory",
		                         introduction->address, (unsigned long long)node->id, node->address));
	if (introduction->has_secret != (node->secret != NULL))
		return refused(connection, REFUSAL_NO_SECRET,
		               error_set(error, ERR_DENIED,
		                         "the node at %s has %s cluster secret, the one at %s has %s: give both the same (secret-file)",
		                         introduction->address, introduction->has_secret ? "a" : "no", node->address,
		                         introduction->has_secret ? "none" : "one"));
	connection->peer_id = introduction->node;
	connection->peer_generation = introduction->generation;
	connection->peer_address = mem_string(introduction->address);
	return 0;
}

static int wrong_proof(struct connection *connection, struct error *error)
{
	return refused(connection, REFUSAL_PROOF,
	               error_set(error, ERR_DENIED, "the other side does not have the cluster secret of this one (secret-file)"));
}

static int accept_hello(struct connection *connection, const Clusterd__Wire__Hello *hello, struct error *error)
{
	const struct connection_config *config = connection->config;
	if (hello->magic != PROTOCOL_MAGIC)
		return error_set(error, ERR_INVALID,
		                 "the hello's magic is 0x%08x, not 0x%08x: it speaks another protocol",
		                 (unsigned)hello->magic, PROTOCOL_MAGIC);
	if (hello->version_low > hello->version_high)
		return error_set(error, ERR_INVALID, "the hello's versions %u to %u are in the wrong order",
		                 (unsigned)hello->version_low, (unsigned)hello->version_high);
	if (hello->version_low > config->version_high || hello->version_high < config->version_low)
		return refused(connection, REFUSAL_VERSION,
		               error_set(error, ERR_VERSION,
		                         "you speak versions %u to %u of the protocol, this node speaks %u to %u",
		                         (unsigned)hello->version_low, (unsigned)hello->version_high,
		                         (unsigned)config->version_low, (unsigned)config->version_high));
	int code = check_name(hello->name, "a name", error);
	if (code == 0)
		code = check_cluster(connection, hello->cluster_id, "you look for", error);
	if (code != 0)
		return code;
	if (hello->role != CLUSTERD__WIRE__ROLE__ROLE_CLIENT && hello->role != CLUSTERD__WIRE__ROLE__ROLE_WORKER &&
	    hello->role != CLUSTERD__WIRE__ROLE__ROLE_PEER)
		return error_set(error, ERR_INVALID, "the hello's role %d is not known", (int)hello->role);
	bool is_peer = hello->role == CLUSTERD__WIRE__ROLE__ROLE_PEER;
	if (!is_peer && config->token[0] != '\0' && !is_token(hello->token, config->token))
		return refused(connection, REFUSAL_TOKEN,
		               error_set(error, ERR_DENIED, hello->token[0] != '\0' ? "the token is not right"
		                                                                     : "a token is asked for here"));
	if (is_peer && config->node == NULL)
		return refused(connection, REFUSAL_ROLE, error_set(error, ERR_DENIED, "other nodes are not taken here"));
	code = is_peer ? accept_introduction(connection, hello->peer, error) : 0;
	if (code != 0)
		return code;
	connection->exchanges = is_peer && hello->peer->exchanges;
	if (is_peer)
		introduction_add_hello(&connection->transcript, hello);
	connection->version = hello->version_high < config->version_high ? hello->version_high : config->version_high;
	connection->role = hello->role;
	connection->features = hello->features;
	connection->peer = mem_string(hello->name);
	return 0;
}

/* What the other side says for people, as one line without control characters. */
static void take_text(struct error *error, const Clusterd__Wire__Error *from, const char *otherwise)
{
	error_set(error, from != NULL && from->code < 0 ? from->code : ERR_CLOSED, "%s",
	          from != NULL && from->text[0] != '\0' ? from->text : otherwise);
	for (char *at = error->text; *at != '\0'; at++) {
		if ((unsigned char)*at < 0x20 || *at == 0x7F)
			*at = ' ';
	}
}

/* The node that was meant, and has shown that it has the secret. */
static int accept_peer(struct connection *connection, const Clusterd__Wire__Welcome *welcome, struct buffer *out,
                       struct error *error)
{
	Clusterd__Wire__Proof proof = CLUSTERD__WIRE__PROOF__INIT;
	unsigned char bytes[SECRET_PROOF_SIZE];
	int code = accept_introduction(connection, welcome->peer, error);
	if (code != 0)
		return code;
	introduction_add_welcome(&connection->transcript, welcome);
	if (!introduction_is_proof(connection->secret, INTRODUCTION_WELCOME_LABEL, &connection->transcript, &welcome->proof))
		return wrong_proof(connection, error);
	if (connection->aimed_at != 0 && connection->peer_id != connection->aimed_at)
		return refused(connection, REFUSAL_OTHER_NODE,
		               error_set(error, ERR_CONFLICT,
		                         "node %llu was to be reached at %s, but node %llu is there: data directories were swapped, "
		                         "or the address was given to another",
		                         (unsigned long long)connection->aimed_at, connection->peer_address,
		                         (unsigned long long)connection->peer_id));
	introduction_prove(connection->secret, INTRODUCTION_PROOF_LABEL, &connection->transcript, bytes, &proof.proof);
	append(out, FRAME_PROOF, &proof.base);
	buffer_finish(&connection->transcript);
	return 0;
}

static int accept_proof(struct connection *connection, const Clusterd__Wire__Proof *proof, struct error *error)
{
	if (!introduction_is_proof(connection->secret, INTRODUCTION_PROOF_LABEL, &connection->transcript, &proof->proof))
		return wrong_proof(connection, error);
	buffer_finish(&connection->transcript);
	return 0;
}

static int accept_welcome(struct connection *connection, const Clusterd__Wire__Welcome *welcome, struct buffer *out,
                          struct error *error)
{
	const struct connection_config *config = connection->config;
	if (welcome->version < config->version_low || welcome->version > config->version_high)
		return refused(connection, REFUSAL_VERSION,
		               error_set(error, ERR_VERSION, "the node wants version %u of the protocol, this side speaks %u to %u",
		                         (unsigned)welcome->version, (unsigned)config->version_low,
		                         (unsigned)config->version_high));
	int code = check_name(welcome->node, "a name", error);
	if (code == 0)
		code = check_cluster(connection, welcome->cluster_id, "the node belongs to", error);
	if (code == 0 && config->role == CLUSTERD__WIRE__ROLE__ROLE_PEER)
		code = accept_peer(connection, welcome, out, error);
	if (code != 0)
		return code;
	connection->version = welcome->version;
	connection->role = config->role;
	connection->features = welcome->features;
	connection->peer = mem_string(welcome->node);
	connection->cluster = mem_string(welcome->cluster_id);
	return 0;
}

/* --- which frames may come ---------------------------------------------------------------------------------------- */

#define MAY(type) (1u << (type))
_Static_assert(FRAME_TYPE_END < 32, "a bit for each type");

/* Between nodes, on a member's connection: all that begins with FRAME_RAFT but exchanges, which have connections of their own, and what
 * concerns calls. It goes one way only: answers come over the other member's connection. */
#define PEER_FRAMES                                                                                                   \
	((MAY(FRAME_TYPE_END) - MAY(FRAME_RAFT) - MAY(FRAME_EXCHANGE)) | MAY(FRAME_ASSIGNMENT) | MAY(FRAME_ABANDON) | \
	 MAY(FRAME_RESULT) | MAY(FRAME_RESULT_TAKEN) | MAY(FRAME_HEARTBEAT))

/* From whom the connection is with: what a server takes by role, and what those get. Goodbye always. */
static const unsigned server_takes[] = {
	[CLUSTERD__WIRE__ROLE__ROLE_CLIENT] = MAY(FRAME_REQUEST) | MAY(FRAME_CANCEL),
	[CLUSTERD__WIRE__ROLE__ROLE_WORKER] = MAY(FRAME_REQUEST) | MAY(FRAME_CANCEL) | MAY(FRAME_OFFER) |
	                                      MAY(FRAME_RESULT) | MAY(FRAME_HEARTBEAT),
	[CLUSTERD__WIRE__ROLE__ROLE_PEER] = PEER_FRAMES,
};
static const unsigned client_takes[] = {
	[CLUSTERD__WIRE__ROLE__ROLE_CLIENT] = MAY(FRAME_RESPONSE),
	[CLUSTERD__WIRE__ROLE__ROLE_WORKER] = MAY(FRAME_RESPONSE) | MAY(FRAME_ASSIGNMENT) | MAY(FRAME_ABANDON) |
	                                      MAY(FRAME_RESULT_TAKEN),
	[CLUSTERD__WIRE__ROLE__ROLE_PEER] = 0,
};

static const char *role_name(Clusterd__Wire__Role role)
{
	static const char *const names[] = {"nobody", "client", "worker", "peer"};
	return names[role];
}

/* What can be told by the header, before the rest has come. */
static int check_header(const struct connection *connection, const struct frame_header *header, struct error *error)
{
	bool is_server = connection->config->side == CONNECTION_SERVER;
	const char *name = frame_type_name(header->type);
	enum frame_type first = connection->state == AWAIT_PROOF ? FRAME_PROOF : is_server ? FRAME_HELLO : FRAME_WELCOME;
	bool own = header->type == FRAME_HELLO || header->type == FRAME_WELCOME || header->type == FRAME_GOODBYE ||
	           header->type == FRAME_PROOF;
	bool asked = header->type == FRAME_REQUEST || header->type == FRAME_RESPONSE || header->type == FRAME_CANCEL;
	uint64_t size = (uint64_t)header->message_size + header->payload_size;
	if (connection->state != OPEN) {
		if (header->type != first && header->type != FRAME_GOODBYE)
			return error_set(error, ERR_INVALID, "a %s frame came before the %s", name,
			                 frame_type_name(first));
		if (size > HELLO_SIZE_MAX)
			return error_set(error, ERR_LIMIT, "a %s of %llu bytes (limit %d)", name,
			                 (unsigned long long)size, HELLO_SIZE_MAX);
	} else if (header->type != FRAME_GOODBYE) {
		unsigned takes = connection->exchanges ? MAY(FRAME_EXCHANGE)
		                                       : (is_server ? server_takes : client_takes)[connection->role];
		if ((takes & MAY(header->type)) == 0)
			return error_set(error, ERR_INVALID,
			                 is_server ? "a %s may not send a %s frame" : "a %s gets no %s frame",
			                 role_name(connection->role), name);
	}
	if ((own && header->stream != 0) || (asked && header->stream == 0))
		return error_set(error, ERR_INVALID, "a %s frame on stream %u", name, (unsigned)header->stream);
	bool is_bare = header->type == FRAME_CANCEL || header->type == FRAME_FORWARD_CANCEL || header->type == FRAME_SET_BACK;
	if (is_bare && size != 0)
		return error_set(error, ERR_INVALID, "a %s frame with %llu bytes in it", name,
		                 (unsigned long long)size);
	return 0;
}

/* --- coming in ---------------------------------------------------------------------------------------------------- */

/* The frame before the connection is open. */
static int greet(struct connection *connection, const struct frame *frame, struct buffer *out, struct error *error)
{
	struct arena arena = {0};
	ProtobufCMessage *message;
	int code = message_unpack(message_of_frame(frame->type), frame->message, &arena, &message, error);
	if (code == 0 && frame->type == FRAME_HELLO)
		code = accept_hello(connection, (const Clusterd__Wire__Hello *)message, error);
	else if (code == 0 && frame->type == FRAME_PROOF)
		code = accept_proof(connection, (const Clusterd__Wire__Proof *)message, error);
	else if (code == 0)
		code = accept_welcome(connection, (const Clusterd__Wire__Welcome *)message, out, error);
	if (code == 0) {
		bool half = frame->type == FRAME_HELLO && connection->role == CLUSTERD__WIRE__ROLE__ROLE_PEER;
		if (frame->type == FRAME_HELLO)
			send_welcome(connection, NULL, out);
		move(connection, half ? AWAIT_PROOF : OPEN);
	}
	arena_finish(&arena);
	return code;
}

/* The other side's last word: a goodbye, or a welcome that refuses. false: it is neither. */
static bool take_farewell(struct connection *connection, const struct frame *frame, struct error *error)
{
	struct arena arena = {0};
	ProtobufCMessage *message;
	const Clusterd__Wire__Error *reason = NULL;
	bool farewell = frame->type == FRAME_GOODBYE;
	if (!farewell && frame->type != FRAME_WELCOME)
		return false;
	if (message_unpack(message_of_frame(frame->type), frame->message, &arena, &message, NULL) == 0) {
		reason = farewell ? ((const Clusterd__Wire__Goodbye *)message)->error
		                  : ((const Clusterd__Wire__Welcome *)message)->error;
		farewell = farewell || (reason != NULL && reason->code != 0);
	}
	if (farewell) {
		take_text(error, reason, "the other side ends the connection and does not say why");
		connection->retry_after_ms = reason != NULL ? reason->retry_after_ms : 0;
		if (connection->state != OPEN)
			connection->refusal = REFUSAL_BY_PEER;
		move(connection, ENDED);
	}
	arena_finish(&arena);
	return farewell;
}

/* 1: a whole frame that may come now; 0: wait. */
static int take_frame(struct connection *connection, struct slice input, size_t *ret_size, struct frame *ret_frame,
                      struct error *error)
{
	struct frame_header header;
	int code = frame_parse_header(input, &header, error);
	if (code > 0) {
		int refused = check_header(connection, &header, error);
		if (refused != 0)
			return refused;
		code = frame_parse(input, ret_frame, ret_size, error);
	}
	return code;
}

enum connection_event connection_next(struct connection *connection, struct slice input, struct buffer *out,
                                      size_t *ret_size, struct frame *ret_frame, struct error *error)
{
	struct frame frame;
	size_t size = 0;
	*ret_size = connection->state == ENDED ? input.size : 0;
	if (connection->state == ENDED)
		return CONNECTION_MORE;
	if (connection->frame_offset != connection->next_offset || connection->frame_number == 0) {
		connection->frame_offset = connection->next_offset;
		connection->frame_number++;
	}
	int code = take_frame(connection, input, &size, &frame, error);
	if (code == 0)
		return CONNECTION_MORE;
	connection->next_offset += size;
	*ret_size = size;
	if (code > 0 && take_farewell(connection, &frame, error))
		return CONNECTION_GOODBYE;
	bool was_open = connection->state == OPEN;
	if (code > 0)
		code = was_open ? 0 : greet(connection, &frame, out, error);
	if (code < 0) {
		if (!was_open && connection->refusal == REFUSAL_NONE)
			connection->refusal = REFUSAL_MALFORMED;
		connection_fail(connection, error, out);
		return CONNECTION_FAILED;
	}
	if (!was_open)
		return connection->state == OPEN ? CONNECTION_OPENED : CONNECTION_GREETED;
	*ret_frame = frame;
	return CONNECTION_FRAME;
}

int connection_unpack(struct connection *connection, const struct frame *frame, struct arena *arena, struct buffer *out,
                      ProtobufCMessage **ret_message, struct error *error)
{
	const ProtobufCMessageDescriptor *descriptor = message_of_frame(frame->type);
	assert(descriptor != NULL);
	int code = message_unpack(descriptor, frame->message, arena, ret_message, error);
	if (code != 0)
		connection_fail(connection, error, out);
	return code;
}

/* ------------------------------------------------------------------------------------------------------------------ */

bool connection_is_open(const struct connection *connection)
{
	return connection->state == OPEN;
}

uint32_t connection_version(const struct connection *connection)
{
	return connection->version;
}

uint64_t connection_features(const struct connection *connection)
{
	return connection->features;
}

Clusterd__Wire__Role connection_role(const struct connection *connection)
{
	return connection->role;
}

const char *connection_peer(const struct connection *connection)
{
	return connection->peer != NULL ? connection->peer : "";
}

const char *connection_cluster(const struct connection *connection)
{
	return connection->cluster != NULL ? connection->cluster : "";
}

uint32_t connection_retry_after_ms(const struct connection *connection)
{
	return connection->retry_after_ms;
}

uint64_t connection_peer_id(const struct connection *connection)
{
	return connection->peer_id;
}

uint64_t connection_peer_generation(const struct connection *connection)
{
	return connection->peer_generation;
}

const char *connection_peer_address(const struct connection *connection)
{
	return connection->peer_address != NULL ? connection->peer_address : "";
}

bool connection_exchanges(const struct connection *connection)
{
	return connection->exchanges;
}

enum connection_refusal connection_refusal(const struct connection *connection)
{
	return connection->refusal;
}

const char *connection_refusal_name(enum connection_refusal refusal)
{
	static const char *const names[] = {"none",    "malformed", "version",    "cluster", "token",      "role",  "no_secret", "proof",
	                                    "itself",  "same_id",   "other_node", "by_peer", "generation", "late",  "limit"};
	_Static_assert(sizeof names / sizeof names[0] == REFUSAL_COUNT, "each has a name");
	return names[refusal];
}
