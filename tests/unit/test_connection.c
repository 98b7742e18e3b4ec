#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "wire/connection.h"
#include "wire/message.h"

/* Two ends, and the bytes on their way. */
static struct connection_config server_config;
static struct connection_config client_config;
static struct connection *server;
static struct connection *client;
static struct buffer to_server;
static struct buffer to_client;
static struct frame frame;
static struct error error;

static int setup(void **state)
{
	(void)state;
	server_config = (struct connection_config){.side = CONNECTION_SERVER,
	                                           .version_low = PROTOCOL_VERSION,
	                                           .version_high = PROTOCOL_VERSION,
	                                           .cluster_id = "c1",
	                                           .name = "node-1",
	                                           .token = "",
	                                           .features = 6};
	client_config = server_config;
	client_config.side = CONNECTION_CLIENT;
	client_config.cluster_id = "";
	client_config.name = "clusterctl";
	client_config.features = 3;
	client_config.role = CLUSTERD__WIRE__ROLE__ROLE_CLIENT;
	server = client = NULL;
	to_server = to_client = BUFFER_EMPTY;
	memset(&error, 0, sizeof error);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	connection_destroy(server);
	connection_destroy(client);
	buffer_finish(&to_server);
	buffer_finish(&to_client);
	return 0;
}

static enum connection_event server_next(void)
{
	size_t size;
	enum connection_event event =
		connection_next(server, buffer_slice(&to_server), &to_client, &size, &frame, &error);
	buffer_consume(&to_server, size);
	return event;
}

static enum connection_event client_next(void)
{
	size_t size;
	enum connection_event event =
		connection_next(client, buffer_slice(&to_client), &to_server, &size, &frame, &error);
	buffer_consume(&to_client, size);
	return event;
}

static void create(void)
{
	server = connection_create(&server_config);
	client = connection_create(&client_config);
	connection_begin(server, &to_client);
	connection_begin(client, &to_server);
}

static void open_both(void)
{
	create();
	assert_int_equal(server_next(), CONNECTION_OPENED);
	assert_int_equal(client_next(), CONNECTION_OPENED);
}

/* The server refuses, both know why. */
static void assert_server_refuses(int code, const char *text)
{
	assert_int_equal(server_next(), CONNECTION_FAILED);
	assert_int_equal(error.code, code);
	assert_string_equal(error.text, text);
	memset(&error, 0, sizeof error);
	assert_int_equal(client_next(), CONNECTION_GOODBYE);
	assert_int_equal(error.code, code);
	assert_string_equal(error.text, text);
	assert_false(connection_is_open(server));
	assert_false(connection_is_open(client));
	assert_int_equal(server_next(), CONNECTION_MORE);
	assert_int_equal(client_next(), CONNECTION_MORE);
}

static void send_hello(uint32_t magic, uint32_t low, uint32_t high, const char *name, int role)
{
	Clusterd__Wire__Hello hello = CLUSTERD__WIRE__HELLO__INIT;
	hello.magic = magic;
	hello.version_low = low;
	hello.version_high = high;
	hello.name = (char *)(uintptr_t)name;
	hello.role = (Clusterd__Wire__Role)role;
	assert_int_equal(message_frame(&to_server, FRAME_HELLO, 0, &hello.base, SLICE("")), 0);
}

/* --- opening */

static void hello_and_welcome_open_the_connection_and_tell_who_is_there(void **state)
{
	(void)state;
	create();
	assert_int_equal(to_client.size, 0);
	assert_int_equal(client_next(), CONNECTION_MORE);
	assert_false(connection_is_open(server));
	assert_int_equal(server_next(), CONNECTION_OPENED);
	assert_true(connection_is_open(server));
	assert_string_equal(connection_peer(server), "clusterctl");
	assert_int_equal(connection_role(server), CLUSTERD__WIRE__ROLE__ROLE_CLIENT);
	assert_int_equal(connection_features(server), 3);
	assert_int_equal(client_next(), CONNECTION_OPENED);
	assert_string_equal(connection_peer(client), "node-1");
	assert_string_equal(connection_cluster(client), "c1");
	assert_int_equal(connection_features(client), 6);
	assert_int_equal(connection_version(client), PROTOCOL_VERSION);
	assert_int_equal(connection_version(server), PROTOCOL_VERSION);
	assert_int_equal(server_next(), CONNECTION_MORE);
}

static void highest_common_version_is_taken(void **state)
{
	(void)state;
	server_config.version_low = 2;
	server_config.version_high = 5;
	client_config.version_low = 1;
	client_config.version_high = 4;
	open_both();
	assert_int_equal(connection_version(server), 4);
	assert_int_equal(connection_version(client), 4);
}

static void versions_without_overlap_are_refused(void **state)
{
	(void)state;
	client_config.version_low = 2;
	client_config.version_high = 3;
	create();
	assert_server_refuses(ERR_VERSION, "frame 1 at byte 0: you speak versions 2 to 3 of the protocol, this node "
	                                   "speaks 1 to 1");
}

static void another_cluster_is_refused(void **state)
{
	(void)state;
	client_config.cluster_id = "c2";
	create();
	assert_server_refuses(ERR_CONFLICT, "frame 1 at byte 0: you look for cluster c2, this is cluster c1");
}

static void node_without_a_cluster_takes_any(void **state)
{
	(void)state;
	server_config.cluster_id = "";
	client_config.cluster_id = "c2";
	open_both();
}

static void token_is_demanded_where_one_is_set(void **state)
{
	(void)state;
	server_config.token = "secret";
	client_config.token = "secrets";
	create();
	assert_server_refuses(ERR_DENIED, "frame 1 at byte 0: the token is not right");
	connection_destroy(server);
	connection_destroy(client);
	client_config.token = "";
	create();
	assert_server_refuses(ERR_DENIED, "frame 1 at byte 0: a token is asked for here");
	connection_destroy(server);
	connection_destroy(client);
	client_config.token = "secret";
	open_both();
}

static void wrong_magic_is_refused(void **state)
{
	(void)state;
	create();
	buffer_clear(&to_server);
	send_hello(0x12345678, 1, 1, "x", CLUSTERD__WIRE__ROLE__ROLE_CLIENT);
	assert_server_refuses(ERR_INVALID,
	                      "frame 1 at byte 0: the hello's magic is 0x12345678, not 0x64736c63: it speaks "
	                      "another protocol");
}

static void role_that_is_not_known_is_refused(void **state)
{
	(void)state;
	create();
	buffer_clear(&to_server);
	send_hello(PROTOCOL_MAGIC, 1, 1, "x", 0);
	assert_server_refuses(ERR_INVALID, "frame 1 at byte 0: the hello's role 0 is not known");
	connection_destroy(server);
	connection_destroy(client);
	create();
	buffer_clear(&to_server);
	send_hello(PROTOCOL_MAGIC, 1, 1, "x", 1000);
	assert_server_refuses(ERR_INVALID, "frame 1 at byte 0: the hello's role 1000 is not known");
}

static void versions_in_the_wrong_order_are_refused(void **state)
{
	(void)state;
	create();
	buffer_clear(&to_server);
	send_hello(PROTOCOL_MAGIC, 2, 1, "x", CLUSTERD__WIRE__ROLE__ROLE_CLIENT);
	assert_server_refuses(ERR_INVALID, "frame 1 at byte 0: the hello's versions 2 to 1 are in the wrong order");
}

static void name_that_would_spoil_a_log_is_refused(void **state)
{
	(void)state;
	client_config.name = "two\nlines";
	create();
	assert_server_refuses(ERR_INVALID, "frame 1 at byte 0: a name with a control character");
	connection_destroy(server);
	connection_destroy(client);
	char name[CONNECTION_NAME_MAX + 2];
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	client_config.name = name;
	create();
	assert_server_refuses(ERR_LIMIT, "frame 1 at byte 0: a name of 256 bytes (limit 255)");
}

static void hello_that_is_malformed_is_refused(void **state)
{
	(void)state;
	create();
	buffer_clear(&to_server);
	frame_append(&to_server, FRAME_HELLO, 0, SLICE("\x22\x05" "abc"), SLICE(""));
	assert_server_refuses(ERR_INVALID,
	                      "frame 1 at byte 0: Hello at byte 0: the field is longer than what holds it");
}

static void large_hello_is_refused_by_its_header(void **state)
{
	(void)state;
	char *block = mem_zero(1 << 20);
	create();
	buffer_clear(&to_server);
	frame_append(&to_server, FRAME_HELLO, 0, (struct slice){block, 1 << 20}, SLICE(""));
	to_server.size = FRAME_HEADER_SIZE;
	assert_server_refuses(ERR_LIMIT, "frame 1 at byte 0: a hello of 1048576 bytes (limit 4096)");
	mem_free(block);
}

/* --- order and kinds */

static void frame_before_the_hello_is_refused(void **state)
{
	(void)state;
	create();
	buffer_clear(&to_server);
	frame_append(&to_server, FRAME_REQUEST, 1, SLICE(""), SLICE(""));
	assert_server_refuses(ERR_INVALID, "frame 1 at byte 0: a request frame came before the hello");
}

static void frame_before_the_welcome_is_refused(void **state)
{
	(void)state;
	create();
	frame_append(&to_client, FRAME_RESPONSE, 1, SLICE(""), SLICE(""));
	assert_int_equal(client_next(), CONNECTION_FAILED);
	assert_int_equal(error.code, ERR_INVALID);
	assert_string_equal(error.text, "frame 1 at byte 0: a response frame came before the welcome");
	/* The server gets hello, then goodbye. */
	assert_int_equal(server_next(), CONNECTION_OPENED);
	assert_int_equal(server_next(), CONNECTION_GOODBYE);
	assert_string_equal(error.text, "frame 1 at byte 0: a response frame came before the welcome");
}

static void second_hello_is_refused(void **state)
{
	(void)state;
	open_both();
	connection_begin(client, &to_server);
	assert_server_refuses(ERR_INVALID, "frame 2 at byte 45: a client may not send a hello frame");
}

static void draw_nonce(void *context, unsigned char ret_nonce[CONNECTION_NONCE_SIZE])
{
	static unsigned char number;
	(void)context;
	memset(ret_nonce, ++number, CONNECTION_NONCE_SIZE);
}

static const struct connection_node one_node = {.id = 1, .generation = 1, .address = "h1:1", .nonce = draw_nonce};
static const struct connection_node other_node = {.id = 2, .generation = 1, .address = "h2:1", .nonce = draw_nonce};

static void open_peers(bool exchanges)
{
	client_config.role = CLUSTERD__WIRE__ROLE__ROLE_PEER;
	client_config.node = &one_node;
	server_config.node = &other_node;
	server = connection_create(&server_config);
	client = connection_create(&client_config);
	connection_aim(client, 2, exchanges);
	connection_begin(client, &to_server);
	assert_int_equal(server_next(), CONNECTION_GREETED);
	assert_int_equal(client_next(), CONNECTION_OPENED);
	assert_int_equal(server_next(), CONNECTION_OPENED);
}

/* Which frames get through, one letter for each type from hello on: y, n. */
static void accepted_types(Clusterd__Wire__Role role, bool exchanges, bool by_server, char ret_letters[FRAME_TYPE_END])
{
	client_config.role = role;
	for (int type = FRAME_HELLO; type < FRAME_TYPE_END; type++) {
		bool own = type == FRAME_HELLO || type == FRAME_WELCOME || type == FRAME_GOODBYE || type == FRAME_PROOF;
		if (role == CLUSTERD__WIRE__ROLE__ROLE_PEER)
			open_peers(exchanges);
		else
			open_both();
		frame_append(by_server ? &to_server : &to_client, (enum frame_type)type, own ? 0 : 9, SLICE(""),
		             SLICE(""));
		enum connection_event event = by_server ? server_next() : client_next();
		ret_letters[type - 1] = event == CONNECTION_FRAME ? 'y' : event == CONNECTION_GOODBYE ? 'g' : 'n';
		connection_destroy(server);
		connection_destroy(client);
		server = client = NULL;
		buffer_clear(&to_server);
		buffer_clear(&to_client);
	}
	ret_letters[FRAME_TYPE_END - 1] = '\0';
}

static void role_decides_which_frames_may_come(void **state)
{
	(void)state;
	char letters[FRAME_TYPE_END];
	/* hello, welcome, request, response, cancel, goodbye, offer, assignment, abandon, result, taken, heartbeat, proof; from raft on:
	 * exchange is the second of them */
	accepted_types(CLUSTERD__WIRE__ROLE__ROLE_CLIENT, false, true, letters);
	assert_string_equal(letters, "nnynygnnnnnnn" "nnnnnnnnnnnnnn");
	accepted_types(CLUSTERD__WIRE__ROLE__ROLE_WORKER, false, true, letters);
	assert_string_equal(letters, "nnynygynnynyn" "nnnnnnnnnnnnnn");
	accepted_types(CLUSTERD__WIRE__ROLE__ROLE_PEER, false, true, letters);
	assert_string_equal(letters, "nnnnngnyyyyyn" "ynyyyyyyyyyyyy");
	accepted_types(CLUSTERD__WIRE__ROLE__ROLE_PEER, true, true, letters);
	assert_string_equal(letters, "nnnnngnnnnnnn" "nynnnnnnnnnnnn");
	accepted_types(CLUSTERD__WIRE__ROLE__ROLE_CLIENT, false, false, letters);
	assert_string_equal(letters, "nnnyngnnnnnnn" "nnnnnnnnnnnnnn");
	accepted_types(CLUSTERD__WIRE__ROLE__ROLE_WORKER, false, false, letters);
	assert_string_equal(letters, "nnnyngnyynynn" "nnnnnnnnnnnnnn");
	accepted_types(CLUSTERD__WIRE__ROLE__ROLE_PEER, false, false, letters);
	assert_string_equal(letters, "nnnnngnnnnnnn" "nnnnnnnnnnnnnn");
	accepted_types(CLUSTERD__WIRE__ROLE__ROLE_PEER, true, false, letters);
	assert_string_equal(letters, "nnnnngnnnnnnn" "nynnnnnnnnnnnn");
}

static void frame_that_the_role_forbids_is_named(void **state)
{
	(void)state;
	open_both();
	frame_append(&to_server, FRAME_RESULT, 0, SLICE(""), SLICE(""));
	assert_server_refuses(ERR_INVALID, "frame 2 at byte 45: a client may not send a result frame");
}

static void client_names_what_a_server_may_not_send(void **state)
{
	(void)state;
	open_both();
	frame_append(&to_client, FRAME_ASSIGNMENT, 0, SLICE(""), SLICE(""));
	assert_int_equal(client_next(), CONNECTION_FAILED);
	assert_non_null(strstr(error.text, ": a client gets no assignment frame"));
}

static void streams_are_for_requests_and_their_answers(void **state)
{
	(void)state;
	open_both();
	frame_append(&to_server, FRAME_REQUEST, 0, SLICE(""), SLICE(""));
	assert_server_refuses(ERR_INVALID, "frame 2 at byte 45: a request frame on stream 0");
	connection_destroy(server);
	connection_destroy(client);
	create();
	buffer_clear(&to_server);
	frame_append(&to_server, FRAME_HELLO, 3, SLICE(""), SLICE(""));
	assert_server_refuses(ERR_INVALID, "frame 1 at byte 0: a hello frame on stream 3");
}

static void cancel_holds_nothing(void **state)
{
	(void)state;
	open_both();
	frame_append(&to_server, FRAME_CANCEL, 3, SLICE("x"), SLICE("y"));
	assert_server_refuses(ERR_INVALID, "frame 2 at byte 45: a cancel frame with 2 bytes in it");
}

/* --- frames, in pieces and damaged */

static void frames_come_one_by_one_from_bytes_that_come_one_by_one(void **state)
{
	(void)state;
	struct buffer all = BUFFER_EMPTY;
	int frames = 0;
	open_both();
	frame_append(&all, FRAME_REQUEST, 1, SLICE("first"), SLICE(""));
	frame_append(&all, FRAME_CANCEL, 1, SLICE(""), SLICE(""));
	frame_append(&all, FRAME_REQUEST, 2, SLICE("third"), SLICE("payload"));
	for (size_t i = 0; i < all.size; i++) {
		buffer_append_char(&to_server, all.data[i]);
		enum connection_event event = server_next();
		if (event == CONNECTION_FRAME)
			frames++;
		else
			assert_int_equal(event, CONNECTION_MORE);
	}
	assert_int_equal(frames, 3);
	assert_int_equal(frame.stream, 2);
	assert_int_equal(to_server.size, 0);
	buffer_finish(&all);
}

static void damaged_frame_ends_the_connection_with_its_place(void **state)
{
	(void)state;
	open_both();
	frame_append(&to_server, FRAME_REQUEST, 1, SLICE("first"), SLICE(""));
	frame_append(&to_server, FRAME_REQUEST, 2, SLICE("second"), SLICE(""));
	to_server.data[to_server.size - 1] ^= 1;
	assert_int_equal(server_next(), CONNECTION_FRAME);
	assert_int_equal(server_next(), CONNECTION_FAILED);
	assert_int_equal(error.code, ERR_CORRUPT);
	assert_memory_equal(error.text, "frame 3 at byte 70: request frame of 26 bytes: its checksum is ", 62);
	assert_int_equal(client_next(), CONNECTION_GOODBYE);
	assert_int_equal(error.code, ERR_CORRUPT);
}

static void another_protocol_gets_a_refusal(void **state)
{
	(void)state;
	create();
	buffer_clear(&to_server);
	buffer_append_string(&to_server, "GET / HTTP/1.1\r\nHost: node\r\n\r\n");
	assert_server_refuses(ERR_INVALID, "frame 1 at byte 0: frame of unknown type 8239");
}

static void message_that_is_malformed_ends_the_connection_with_its_place(void **state)
{
	(void)state;
	struct arena arena = {0};
	ProtobufCMessage *message;
	open_both();
	frame_append(&to_server, FRAME_REQUEST, 4, SLICE("\x08\x01\x52"), SLICE(""));
	assert_int_equal(server_next(), CONNECTION_FRAME);
	assert_int_equal(connection_unpack(server, &frame, &arena, &to_client, &message, &error), ERR_INVALID);
	assert_string_equal(error.text, "frame 2 at byte 45: Request at byte 2: a length that does not end");
	assert_int_equal(client_next(), CONNECTION_GOODBYE);
	assert_string_equal(error.text, "frame 2 at byte 45: Request at byte 2: a length that does not end");
	assert_int_equal(server_next(), CONNECTION_MORE);
	arena_finish(&arena);
}

static void message_of_a_frame_is_unpacked_by_its_type(void **state)
{
	(void)state;
	struct arena arena = {0};
	ProtobufCMessage *message;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	open_both();
	request.sequence = 77;
	assert_int_equal(message_frame(&to_server, FRAME_REQUEST, 4, &request.base, SLICE("")), 0);
	assert_int_equal(server_next(), CONNECTION_FRAME);
	assert_int_equal(connection_unpack(server, &frame, &arena, &to_client, &message, &error), 0);
	assert_ptr_equal(message->descriptor, &clusterd__wire__request__descriptor);
	assert_int_equal(((const Clusterd__Wire__Request *)message)->sequence, 77);
	arena_finish(&arena);
}

/* --- ending */

static void goodbye_tells_why_and_when_to_come_back(void **state)
{
	(void)state;
	struct error cause = {ERR_BUSY, "the node is being stopped"};
	open_both();
	connection_end(server, &cause, 1500, &to_client);
	connection_end(server, &cause, 1500, &to_client); /* once is enough */
	assert_int_equal(client_next(), CONNECTION_GOODBYE);
	assert_int_equal(error.code, ERR_BUSY);
	assert_string_equal(error.text, "the node is being stopped");
	assert_int_equal(connection_retry_after_ms(client), 1500);
	assert_int_equal(to_client.size, 0);
}

static void what_comes_after_the_end_is_ignored(void **state)
{
	(void)state;
	struct error cause = {ERR_BUSY, "the node is being stopped"};
	open_both();
	connection_end(server, &cause, 0, &to_client);
	frame_append(&to_server, FRAME_REQUEST, 1, SLICE("late"), SLICE(""));
	buffer_append_string(&to_server, "and what is no frame at all");
	assert_int_equal(server_next(), CONNECTION_MORE);
	assert_int_equal(to_server.size, 0);
}

static void server_can_refuse_before_the_hello(void **state)
{
	(void)state;
	struct error cause = {ERR_BUSY, "too many connections (limit 2)"};
	create();
	connection_end(server, &cause, 100, &to_client);
	assert_int_equal(server_next(), CONNECTION_MORE);
	assert_int_equal(client_next(), CONNECTION_GOODBYE);
	assert_int_equal(error.code, ERR_BUSY);
	assert_string_equal(error.text, "too many connections (limit 2)");
	assert_int_equal(connection_retry_after_ms(client), 100);
}

static void goodbye_of_a_stranger_is_shown_without_control_characters(void **state)
{
	(void)state;
	Clusterd__Wire__Error reason = CLUSTERD__WIRE__ERROR__INIT;
	Clusterd__Wire__Goodbye goodbye = CLUSTERD__WIRE__GOODBYE__INIT;
	create();
	reason.code = 5; /* not a code of an error */
	reason.text = (char *)(uintptr_t) "bad\x1B[2Jnews\n";
	goodbye.error = &reason;
	assert_int_equal(message_frame(&to_client, FRAME_GOODBYE, 0, &goodbye.base, SLICE("")), 0);
	assert_int_equal(client_next(), CONNECTION_GOODBYE);
	assert_int_equal(error.code, ERR_CLOSED);
	assert_string_equal(error.text, "bad [2Jnews ");
}

static void goodbye_without_a_reason_is_one_too(void **state)
{
	(void)state;
	open_both();
	frame_append(&to_client, FRAME_GOODBYE, 0, SLICE("\xFF"), SLICE(""));
	assert_int_equal(client_next(), CONNECTION_GOODBYE);
	assert_int_equal(error.code, ERR_CLOSED);
	assert_string_equal(error.text, "the other side ends the connection and does not say why");
}

static void welcome_with_a_version_that_was_not_offered_is_refused(void **state)
{
	(void)state;
	Clusterd__Wire__Welcome welcome = CLUSTERD__WIRE__WELCOME__INIT;
	create();
	welcome.version = 9;
	assert_int_equal(message_frame(&to_client, FRAME_WELCOME, 0, &welcome.base, SLICE("")), 0);
	assert_int_equal(client_next(), CONNECTION_FAILED);
	assert_int_equal(error.code, ERR_VERSION);
	assert_string_equal(error.text, "frame 1 at byte 0: the node wants version 9 of the protocol, this side speaks "
	                                "1 to 1");
}

static void welcome_of_another_cluster_is_refused(void **state)
{
	(void)state;
	Clusterd__Wire__Welcome welcome = CLUSTERD__WIRE__WELCOME__INIT;
	client_config.cluster_id = "c1";
	create();
	welcome.version = 1;
	welcome.cluster_id = (char *)(uintptr_t) "c7";
	assert_int_equal(message_frame(&to_client, FRAME_WELCOME, 0, &welcome.base, SLICE("")), 0);
	assert_int_equal(client_next(), CONNECTION_FAILED);
	assert_int_equal(error.code, ERR_CONFLICT);
	assert_string_equal(error.text, "frame 1 at byte 0: the node belongs to cluster c7, this is cluster c1");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(hello_and_welcome_open_the_connection_and_tell_who_is_there),
		TEST(highest_common_version_is_taken),
		TEST(versions_without_overlap_are_refused),
		TEST(another_cluster_is_refused),
		TEST(node_without_a_cluster_takes_any),
		TEST(token_is_demanded_where_one_is_set),
		TEST(wrong_magic_is_refused),
		TEST(role_that_is_not_known_is_refused),
		TEST(versions_in_the_wrong_order_are_refused),
		TEST(name_that_would_spoil_a_log_is_refused),
		TEST(hello_that_is_malformed_is_refused),
		TEST(large_hello_is_refused_by_its_header),
		TEST(frame_before_the_hello_is_refused),
		TEST(frame_before_the_welcome_is_refused),
		TEST(second_hello_is_refused),
		TEST(role_decides_which_frames_may_come),
		TEST(frame_that_the_role_forbids_is_named),
		TEST(client_names_what_a_server_may_not_send),
		TEST(streams_are_for_requests_and_their_answers),
		TEST(cancel_holds_nothing),
		TEST(frames_come_one_by_one_from_bytes_that_come_one_by_one),
		TEST(damaged_frame_ends_the_connection_with_its_place),
		TEST(another_protocol_gets_a_refusal),
		TEST(message_that_is_malformed_ends_the_connection_with_its_place),
		TEST(message_of_a_frame_is_unpacked_by_its_type),
		TEST(goodbye_tells_why_and_when_to_come_back),
		TEST(what_comes_after_the_end_is_ignored),
		TEST(server_can_refuse_before_the_hello),
		TEST(goodbye_of_a_stranger_is_shown_without_control_characters),
		TEST(goodbye_without_a_reason_is_one_too),
		TEST(welcome_with_a_version_that_was_not_offered_is_refused),
		TEST(welcome_of_another_cluster_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
