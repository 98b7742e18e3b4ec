#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "wire/connection.h"
#include "wire/introduction.h"
#include "wire/message.h"

/* Two nodes greet one another; the test is in between. */
static struct connection_node nodes[2]; /* 0 connects to 1 */
static struct connection_config client_config;
static struct connection_config server_config;
static struct connection *client;
static struct connection *server;
static struct buffer to_server;
static struct buffer to_client;
static struct error error;
static struct secret *secret;
static struct secret *other_secret;

static void draw_nonce(void *context, unsigned char ret_nonce[CONNECTION_NONCE_SIZE])
{
	static unsigned char number;
	(void)context;
	memset(ret_nonce, ++number, CONNECTION_NONCE_SIZE);
}

static int setup(void **state)
{
	(void)state;
	to_server = to_client = BUFFER_EMPTY;
	client = server = NULL;
	error = (struct error){0};
	if (secret_create(SLICE("sixteen bytes or more"), &secret, NULL) != 0 ||
	    secret_create(SLICE("sixteen bytes and more"), &other_secret, NULL) != 0)
		return -1;
	for (uint64_t i = 0; i < 2; i++)
		nodes[i] = (struct connection_node){.id = i + 1,
		                                    .generation = 10 * (i + 1),
		                                    .address = i == 0 ? "h1:1" : "h2:2",
		                                    .secret = secret,
		                                    .nonce = draw_nonce};
	client_config = (struct connection_config){.side = CONNECTION_CLIENT,
	                                           .version_low = PROTOCOL_VERSION,
	                                           .version_high = PROTOCOL_VERSION,
	                                           .cluster_id = "c1",
	                                           .name = "one",
	                                           .token = "",
	                                           .role = CLUSTERD__WIRE__ROLE__ROLE_PEER,
	                                           .node = &nodes[0]};
	server_config = client_config;
	server_config.side = CONNECTION_SERVER;
	server_config.name = "two";
	server_config.token = "a client's, which peers do not need";
	server_config.node = &nodes[1];
	return 0;
}

static void finish(void)
{
	connection_destroy(client);
	connection_destroy(server);
	client = server = NULL;
	buffer_clear(&to_server);
	buffer_clear(&to_client);
}

static int teardown(void **state)
{
	(void)state;
	finish();
	buffer_finish(&to_server);
	buffer_finish(&to_client);
	secret_destroy(secret);
	secret_destroy(other_secret);
	return 0;
}

static void begin(void)
{
	finish();
	client = connection_create(&client_config);
	server = connection_create(&server_config);
	connection_aim(client, 2, false);
	connection_begin(client, &to_server);
}

static enum connection_event next(struct connection *connection, struct buffer *input, struct buffer *out)
{
	struct frame frame;
	size_t size;
	enum connection_event event = connection_next(connection, buffer_slice(input), out, &size, &frame, &error);
	buffer_consume(input, size);
	return event;
}

static enum connection_event server_next(void)
{
	return next(server, &to_server, &to_client);
}

static enum connection_event client_next(void)
{
	return next(client, &to_client, &to_server);
}

static void open_both(void)
{
	begin();
	assert_int_equal(server_next(), CONNECTION_GREETED);
	assert_false(connection_is_open(server));
	assert_int_equal(client_next(), CONNECTION_OPENED);
	assert_int_equal(server_next(), CONNECTION_OPENED);
	assert_int_equal(server_next(), CONNECTION_MORE);
	assert_int_equal(client_next(), CONNECTION_MORE);
}

/* The server refuses the hello, and the client hears it. */
static void assert_server_refuses(enum connection_refusal refusal, int code, const char *text)
{
	begin();
	assert_int_equal(server_next(), CONNECTION_FAILED);
	assert_int_equal(connection_refusal(server), refusal);
	assert_int_equal(error.code, code);
	assert_non_null(strstr(error.text, text));
	assert_int_equal(client_next(), CONNECTION_GOODBYE);
	assert_int_equal(connection_refusal(client), REFUSAL_BY_PEER);
	assert_non_null(strstr(error.text, text));
}

/* The client refuses the welcome, and the server hears it. */
static void assert_client_refuses(enum connection_refusal refusal, int code, const char *text)
{
	begin();
	assert_int_equal(server_next(), CONNECTION_GREETED);
	assert_int_equal(client_next(), CONNECTION_FAILED);
	assert_int_equal(connection_refusal(client), refusal);
	assert_int_equal(error.code, code);
	assert_non_null(strstr(error.text, text));
	assert_int_equal(server_next(), CONNECTION_GOODBYE);
	assert_int_equal(connection_refusal(server), REFUSAL_BY_PEER);
	assert_non_null(strstr(error.text, text));
}

/* --- how it goes */

static void nodes_with_the_same_secret_come_together(void **state)
{
	(void)state;
	open_both();
	assert_int_equal(connection_peer_id(server), 1);
	assert_int_equal(connection_peer_generation(server), 10);
	assert_string_equal(connection_peer_address(server), "h1:1");
	assert_string_equal(connection_peer(server), "one");
	assert_int_equal(connection_peer_id(client), 2);
	assert_int_equal(connection_peer_generation(client), 20);
	assert_string_equal(connection_peer_address(client), "h2:2");
	assert_int_equal(connection_refusal(client), REFUSAL_NONE);
	assert_int_equal(connection_refusal(server), REFUSAL_NONE);
	assert_false(connection_exchanges(server));
}

static void nodes_without_a_secret_come_together(void **state)
{
	(void)state;
	nodes[0].secret = nodes[1].secret = NULL;
	open_both();
}

static void node_without_a_cluster_comes_together_with_any(void **state)
{
	(void)state;
	client_config.cluster_id = "";
	open_both();
	client_config.cluster_id = "c1";
	server_config.cluster_id = "";
	open_both();
}

/* --- who is refused */

static void other_secret_is_refused_by_who_connects(void **state)
{
	(void)state;
	nodes[1].secret = other_secret;
	assert_client_refuses(REFUSAL_PROOF, ERR_DENIED, "does not have the cluster secret of this one");
}

static void secret_on_one_side_only_is_refused(void **state)
{
	(void)state;
	nodes[0].secret = NULL;
	assert_server_refuses(REFUSAL_NO_SECRET, ERR_DENIED,
	                      "the node at h1:1 has no cluster secret, the one at h2:2 has one: give both the same");
	nodes[0].secret = secret;
	nodes[1].secret = NULL;
	assert_server_refuses(REFUSAL_NO_SECRET, ERR_DENIED, "the node at h1:1 has a cluster secret, the one at h2:2 has none");
}

static void other_cluster_is_refused(void **state)
{
	(void)state;
	client_config.cluster_id = "c2";
	assert_server_refuses(REFUSAL_CLUSTER, ERR_CONFLICT, "you look for cluster c2, this is cluster c1");
}

static void other_version_is_refused(void **state)
{
	(void)state;
	client_config.version_low = client_config.version_high = PROTOCOL_VERSION + 1;
	assert_server_refuses(REFUSAL_VERSION, ERR_VERSION, "you speak versions 2 to 2 of the protocol, this node speaks 1 to 1");
}

static void node_that_reaches_itself_is_told_apart_from_a_copy(void **state)
{
	(void)state;
	nodes[1].id = 1;
	assert_server_refuses(REFUSAL_SAME_ID, ERR_CONFLICT, "one of the two runs on a copy of the other's data directory");
	nodes[1] = nodes[0];
	assert_server_refuses(REFUSAL_ITSELF, ERR_CONFLICT, "node 1 has reached itself");
}

static void other_node_at_the_address_is_refused(void **state)
{
	(void)state;
	nodes[1].id = 3;
	assert_client_refuses(REFUSAL_OTHER_NODE, ERR_CONFLICT, "node 2 was to be reached at h2:2, but node 3 is there");
}

static void door_without_peers_refuses_them(void **state)
{
	(void)state;
	server_config.node = NULL;
	assert_server_refuses(REFUSAL_ROLE, ERR_DENIED, "other nodes are not taken here");
}

static void client_shows_its_token_as_before(void **state)
{
	(void)state;
	client_config.role = CLUSTERD__WIRE__ROLE__ROLE_CLIENT;
	finish();
	client = connection_create(&client_config);
	server = connection_create(&server_config);
	connection_begin(client, &to_server);
	assert_int_equal(server_next(), CONNECTION_FAILED);
	assert_int_equal(connection_refusal(server), REFUSAL_TOKEN);
}

/* --- somebody in between */

/* Lets the server's hello or the client's welcome through as `change` makes it: decoded, changed, packed again. */
typedef void change_hello(Clusterd__Wire__Hello *hello, Clusterd__Wire__Introduction *peer);
typedef void change_welcome(Clusterd__Wire__Welcome *welcome, Clusterd__Wire__Introduction *peer);

static void *unpack_front(struct buffer *bytes, struct arena *arena)
{
	struct frame frame;
	size_t size;
	ProtobufCMessage *message;
	assert_int_equal(frame_parse(buffer_slice(bytes), &frame, &size, NULL), 1);
	assert_int_equal(message_unpack(message_of_frame(frame.type), frame.message, arena, &message, NULL), 0);
	return message;
}

static void hello_high(Clusterd__Wire__Hello *hello, Clusterd__Wire__Introduction *peer)
{
	(void)peer;
	hello->version_high++;
}
static void hello_low(Clusterd__Wire__Hello *hello, Clusterd__Wire__Introduction *peer)
{
	(void)peer;
	hello->version_low--;
}
static void hello_cluster(Clusterd__Wire__Hello *hello, Clusterd__Wire__Introduction *peer)
{
	(void)peer;
	hello->cluster_id = (char *)(uintptr_t)"";
}
static void hello_name(Clusterd__Wire__Hello *hello, Clusterd__Wire__Introduction *peer)
{
	(void)peer;
	hello->name = (char *)(uintptr_t)"someone";
}
static void hello_features(Clusterd__Wire__Hello *hello, Clusterd__Wire__Introduction *peer)
{
	(void)peer;
	hello->features ^= 1;
}
static void hello_token(Clusterd__Wire__Hello *hello, Clusterd__Wire__Introduction *peer)
{
	(void)peer;
	hello->token = (char *)(uintptr_t)"token";
}
static void hello_id(Clusterd__Wire__Hello *hello, Clusterd__Wire__Introduction *peer)
{
	(void)hello;
	peer->node = 7;
}
static void hello_generation(Clusterd__Wire__Hello *hello, Clusterd__Wire__Introduction *peer)
{
	(void)hello;
	peer->generation++;
}
static void hello_address(Clusterd__Wire__Hello *hello, Clusterd__Wire__Introduction *peer)
{
	(void)hello;
	peer->address = (char *)(uintptr_t)"h7:1";
}
static void hello_nonce(Clusterd__Wire__Hello *hello, Clusterd__Wire__Introduction *peer)
{
	(void)hello;
	peer->nonce.data[31] ^= 1;
}
static void hello_exchanges(Clusterd__Wire__Hello *hello, Clusterd__Wire__Introduction *peer)
{
	(void)hello;
	peer->exchanges = true;
}

static void changed_hello_is_noticed_by_who_sent_it(void **state)
{
	(void)state;
	static change_hello *const changes[] = {hello_high,       hello_low,     hello_cluster, hello_name,
	                                        hello_features,   hello_token,   hello_id,      hello_generation,
	                                        hello_address,    hello_nonce,   hello_exchanges};
	for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		struct arena arena = {0};
		begin();
		Clusterd__Wire__Hello *hello = unpack_front(&to_server, &arena);
		changes[i](hello, hello->peer);
		buffer_clear(&to_server);
		assert_int_equal(message_frame(&to_server, FRAME_HELLO, 0, &hello->base, SLICE("")), 0);
		assert_int_equal(server_next(), CONNECTION_GREETED);
		assert_int_equal(client_next(), CONNECTION_FAILED);
		assert_int_equal(connection_refusal(client), REFUSAL_PROOF);
		arena_finish(&arena);
	}
}

static void welcome_cluster(Clusterd__Wire__Welcome *welcome, Clusterd__Wire__Introduction *peer)
{
	(void)peer;
	welcome->cluster_id = (char *)(uintptr_t)"";
}
static void welcome_name(Clusterd__Wire__Welcome *welcome, Clusterd__Wire__Introduction *peer)
{
	(void)peer;
	welcome->node = (char *)(uintptr_t)"someone";
}
static void welcome_features(Clusterd__Wire__Welcome *welcome, Clusterd__Wire__Introduction *peer)
{
	(void)peer;
	welcome->features ^= 1;
}
static void welcome_id(Clusterd__Wire__Welcome *welcome, Clusterd__Wire__Introduction *peer)
{
	(void)welcome;
	peer->node = 7;
}
static void welcome_generation(Clusterd__Wire__Welcome *welcome, Clusterd__Wire__Introduction *peer)
{
	(void)welcome;
	peer->generation++;
}
static void welcome_address(Clusterd__Wire__Welcome *welcome, Clusterd__Wire__Introduction *peer)
{
	(void)welcome;
	peer->address = (char *)(uintptr_t)"h7:1";
}
static void welcome_nonce(Clusterd__Wire__Welcome *welcome, Clusterd__Wire__Introduction *peer)
{
	(void)welcome;
	peer->nonce.data[0] ^= 1;
}
static void welcome_proof(Clusterd__Wire__Welcome *welcome, Clusterd__Wire__Introduction *peer)
{
	(void)peer;
	welcome->proof.data[31] ^= 1;
}
static void welcome_short_proof(Clusterd__Wire__Welcome *welcome, Clusterd__Wire__Introduction *peer)
{
	(void)peer;
	welcome->proof.len--;
}
static void welcome_no_proof(Clusterd__Wire__Welcome *welcome, Clusterd__Wire__Introduction *peer)
{
	(void)peer;
	welcome->proof.len = 0;
}

static void changed_welcome_is_noticed(void **state)
{
	(void)state;
	static change_welcome *const changes[] = {welcome_cluster, welcome_name,  welcome_features, welcome_id,
	                                          welcome_generation, welcome_address, welcome_nonce, welcome_proof,
	                                          welcome_short_proof, welcome_no_proof};
	for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		struct arena arena = {0};
		begin();
		assert_int_equal(server_next(), CONNECTION_GREETED);
		Clusterd__Wire__Welcome *welcome = unpack_front(&to_client, &arena);
		changes[i](welcome, welcome->peer);
		buffer_clear(&to_client);
		assert_int_equal(message_frame(&to_client, FRAME_WELCOME, 0, &welcome->base, SLICE("")), 0);
		assert_int_equal(client_next(), CONNECTION_FAILED);
		assert_int_equal(connection_refusal(client), REFUSAL_PROOF);
		arena_finish(&arena);
	}
}

/* Both sides say that they have no secret: then it is the other side's own that is missed. */
static void secret_cannot_be_talked_away(void **state)
{
	(void)state;
	struct arena arena = {0};
	begin();
	Clusterd__Wire__Hello *hello = unpack_front(&to_server, &arena);
	hello->peer->has_secret = false;
	buffer_clear(&to_server);
	assert_int_equal(message_frame(&to_server, FRAME_HELLO, 0, &hello->base, SLICE("")), 0);
	assert_int_equal(server_next(), CONNECTION_FAILED);
	assert_int_equal(connection_refusal(server), REFUSAL_NO_SECRET);
	arena_finish(&arena);
}

static void wrong_proof_is_refused(void **state)
{
	(void)state;
	struct arena arena = {0};
	for (int i = 0; i < 3; i++) {
		begin();
		assert_int_equal(server_next(), CONNECTION_GREETED);
		assert_int_equal(client_next(), CONNECTION_OPENED);
		Clusterd__Wire__Proof *proof = unpack_front(&to_server, &arena);
		if (i == 0)
			proof->proof.data[0] ^= 0x80;
		else
			proof->proof.len -= i == 1 ? 1 : 32;
		buffer_clear(&to_server);
		assert_int_equal(message_frame(&to_server, FRAME_PROOF, 0, &proof->base, SLICE("")), 0);
		assert_int_equal(server_next(), CONNECTION_FAILED);
		assert_int_equal(connection_refusal(server), REFUSAL_PROOF);
		assert_int_equal(client_next(), CONNECTION_GOODBYE);
	}
	arena_finish(&arena);
}

/* Who has no secret sends back what it got: as hello, as proof. */
static void own_words_of_a_node_do_not_convince_it(void **state)
{
	(void)state;
	struct arena arena = {0};
	begin();
	struct connection *reflected = connection_create(&server_config);
	nodes[1].id = 1; /* the hello comes back to a door of the very node */
	assert_int_equal(next(reflected, &to_server, &to_client), CONNECTION_FAILED);
	assert_int_equal(connection_refusal(reflected), REFUSAL_SAME_ID);
	connection_destroy(reflected);
	nodes[1].id = 2;

	begin();
	assert_int_equal(server_next(), CONNECTION_GREETED);
	Clusterd__Wire__Welcome *welcome = unpack_front(&to_client, &arena);
	Clusterd__Wire__Proof proof = CLUSTERD__WIRE__PROOF__INIT;
	proof.proof = welcome->proof; /* the server's own proof */
	assert_int_equal(message_frame(&to_server, FRAME_PROOF, 0, &proof.base, SLICE("")), 0);
	assert_int_equal(server_next(), CONNECTION_FAILED);
	assert_int_equal(connection_refusal(server), REFUSAL_PROOF);
	arena_finish(&arena);
}

static void words_of_an_earlier_connection_do_not_convince(void **state)
{
	(void)state;
	struct buffer hello = BUFFER_EMPTY;
	struct buffer proof = BUFFER_EMPTY;
	begin();
	buffer_append_slice(&hello, buffer_slice(&to_server));
	assert_int_equal(server_next(), CONNECTION_GREETED);
	assert_int_equal(client_next(), CONNECTION_OPENED);
	buffer_append_slice(&proof, buffer_slice(&to_server));
	begin();
	buffer_clear(&to_server);
	buffer_append_slice(&to_server, buffer_slice(&hello));
	buffer_append_slice(&to_server, buffer_slice(&proof));
	assert_int_equal(server_next(), CONNECTION_GREETED);
	assert_int_equal(server_next(), CONNECTION_FAILED);
	assert_int_equal(connection_refusal(server), REFUSAL_PROOF);
	buffer_finish(&hello);
	buffer_finish(&proof);
}

static void nothing_is_taken_before_the_proof(void **state)
{
	(void)state;
	begin();
	assert_int_equal(server_next(), CONNECTION_GREETED);
	frame_append(&to_server, FRAME_RAFT, 0, SLICE(""), SLICE(""));
	assert_int_equal(server_next(), CONNECTION_FAILED);
	assert_non_null(strstr(error.text, "a raft frame came before the proof"));
	assert_int_equal(connection_refusal(server), REFUSAL_MALFORMED);
	begin();
	assert_int_equal(server_next(), CONNECTION_GREETED);
	connection_begin(client, &to_server);
	assert_int_equal(server_next(), CONNECTION_FAILED);
	assert_non_null(strstr(error.text, "a hello frame came before the proof"));
}

static void assert_malformed(Clusterd__Wire__Hello *hello, const char *text)
{
	begin();
	buffer_clear(&to_server);
	assert_int_equal(message_frame(&to_server, FRAME_HELLO, 0, &hello->base, SLICE("")), 0);
	assert_int_equal(server_next(), CONNECTION_FAILED);
	assert_non_null(strstr(error.text, text));
	assert_int_equal(connection_refusal(server), REFUSAL_MALFORMED);
}

static void introduction_that_is_not_of_its_form_is_refused(void **state)
{
	(void)state;
	unsigned char nonce[40] = {0};
	Clusterd__Wire__Hello hello = CLUSTERD__WIRE__HELLO__INIT;
	Clusterd__Wire__Introduction peer = CLUSTERD__WIRE__INTRODUCTION__INIT;
	hello.magic = PROTOCOL_MAGIC;
	hello.version_low = hello.version_high = PROTOCOL_VERSION;
	hello.role = CLUSTERD__WIRE__ROLE__ROLE_PEER;
	assert_malformed(&hello, "a peer that does not introduce itself");
	hello.peer = &peer;
	assert_malformed(&hello, "a peer without id or generation");
	peer.node = 7;
	assert_malformed(&hello, "a peer without id or generation");
	peer.generation = 1;
	assert_malformed(&hello, "a peer with a nonce of 0 bytes, it has 32");
	peer.nonce = (ProtobufCBinaryData){33, nonce};
	assert_malformed(&hello, "a peer with a nonce of 33 bytes, it has 32");
	peer.nonce.len = 32;
	peer.address = (char *)(uintptr_t)"two\nlines:1";
	assert_malformed(&hello, "an address with a control character");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nodes_with_the_same_secret_come_together),
		TEST(nodes_without_a_secret_come_together),
		TEST(node_without_a_cluster_comes_together_with_any),
		TEST(other_secret_is_refused_by_who_connects),
		TEST(secret_on_one_side_only_is_refused),
		TEST(other_cluster_is_refused),
		TEST(other_version_is_refused),
		TEST(node_that_reaches_itself_is_told_apart_from_a_copy),
		TEST(other_node_at_the_address_is_refused),
		TEST(door_without_peers_refuses_them),
		TEST(client_shows_its_token_as_before),
		TEST(changed_hello_is_noticed_by_who_sent_it),
		TEST(changed_welcome_is_noticed),
		TEST(secret_cannot_be_talked_away),
		TEST(wrong_proof_is_refused),
		TEST(own_words_of_a_node_do_not_convince_it),
		TEST(words_of_an_earlier_connection_do_not_convince),
		TEST(nothing_is_taken_before_the_proof),
		TEST(introduction_that_is_not_of_its_form_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
