#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "peers_fixture.h"

#include "base/memory.h"
#include "net/stream.h"
#include "wire/message.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct instance a;
static struct instance b;
static struct instance c;

static struct secret *secret_of(const char *text)
{
	struct secret *secret = NULL;
	assert_int_equal(secret_create(slice_of(text), &secret, NULL), 0);
	return secret;
}

static void start_two(void)
{
	instance_init(&a, 1);
	instance_init(&b, 2);
	instance_start(&a, 0);
	instance_start(&b, 0);
	peers_address(a.peers, 2, b.address);
}

static void stop_two(void)
{
	instance_stop(&a);
	instance_stop(&b);
}

static bool is_up(const void *context)
{
	return ((const struct instance *)context)->ups > 0;
}

static bool is_down(const void *context)
{
	return ((const struct instance *)context)->downs > 0;
}

static bool b_heard(const void *context)
{
	return b.heard_count >= *(const size_t *)context;
}

static void await_b(size_t count)
{
	run_until(b_heard, &count);
}

static uint16_t port_of(const struct instance *instance)
{
	return (uint16_t)atoi(strrchr(instance->address, ':') + 1);
}

/* The other end of a connection, spoken by the test. */
struct rogue {
	struct connection_node node;
	struct connection_config config;
	struct connection *connection;
	struct listener *listener;
	struct stream *stream;
	bool open;
	bool closed;
	char last_words[300];
};

static struct rogue rogue;

static void rogue_nonce(void *context, unsigned char ret_nonce[CONNECTION_NONCE_SIZE])
{
	static unsigned char number;
	(void)context;
	memset(ret_nonce, ++number, CONNECTION_NONCE_SIZE);
}

static void rogue_readable(void *context, struct stream *stream, struct buffer *input)
{
	(void)context;
	struct buffer out = BUFFER_EMPTY;
	enum connection_event event = CONNECTION_FRAME;
	while (event != CONNECTION_MORE) {
		struct frame frame;
		struct error error;
		size_t size;
		event = connection_next(rogue.connection, buffer_slice(input), &out, &size, &frame, &error);
		buffer_consume(input, size);
		rogue.open |= event == CONNECTION_OPENED;
		if (event == CONNECTION_GOODBYE)
			snprintf(rogue.last_words, sizeof rogue.last_words, "%.299s", error.text);
	}
	if (out.size != 0)
		stream_write(stream, out.data, out.size);
	buffer_finish(&out);
}

static void rogue_closed(void *context, struct stream *stream, const char *reason)
{
	(void)context;
	(void)stream;
	(void)reason;
	rogue.closed = true;
}

static const struct stream_handler rogue_handler = {rogue_readable, rogue_closed, NULL};

static void rogue_init(enum connection_side side, uint64_t id)
{
	memset(&rogue, 0, sizeof rogue);
	rogue.node = (struct connection_node){.id = id, .generation = 1, .address = "127.0.0.1:1", .nonce = rogue_nonce};
	rogue.config = (struct connection_config){.side = side,
	                                          .version_low = PROTOCOL_VERSION,
	                                          .version_high = PROTOCOL_VERSION,
	                                          .cluster_id = "",
	                                          .name = "rogue",
	                                          .token = "",
	                                          .role = CLUSTERD__WIRE__ROLE__ROLE_PEER,
	                                          .node = &rogue.node};
}

static bool rogue_is_open(const void *context)
{
	(void)context;
	return rogue.open;
}

static bool rogue_is_closed(const void *context)
{
	(void)context;
	return rogue.closed;
}

static void rogue_connect(const struct instance *to, uint64_t id)
{
	struct buffer out = BUFFER_EMPTY;
	struct error error;
	rogue_init(CONNECTION_CLIENT, id);
	assert_int_equal(stream_connect(fixture_loop, to->address, &rogue_handler, NULL, &rogue.stream, &error), 0);
	rogue.connection = connection_create(&rogue.config);
	connection_begin(rogue.connection, &out);
	stream_write(rogue.stream, out.data, out.size);
	buffer_finish(&out);
	run_until(rogue_is_open, NULL);
}

/* Greets who connects, and does nothing more. */
static void rogue_accepted(void *context, int take_descriptor, const char *peer)
{
	(void)context;
	(void)peer;
	assert_null(rogue.stream);
	rogue.connection = connection_create(&rogue.config);
	rogue.stream = stream_create(fixture_loop, take_descriptor, &rogue_handler, NULL);
}

static void rogue_listen(uint64_t id, char ret_address[64])
{
	struct error error;
	rogue_init(CONNECTION_SERVER, id);
	assert_int_equal(listener_create(fixture_loop, "127.0.0.1:0", 1, rogue_accepted, NULL, &rogue.listener, &error), 0);
	snprintf(ret_address, 64, "127.0.0.1:%u", listener_port(rogue.listener));
}

static void rogue_finish(void)
{
	stream_destroy(rogue.stream);
	connection_destroy(rogue.connection);
	listener_destroy(rogue.listener);
}

/* --- frames */

static void frames_come_in_the_order_in_which_they_were_sent(void **state)
{
	(void)state;
	start_two();
	for (uint32_t i = 0; i < 500; i++) /* before there is a connection */
		instance_send(&a, &b, FRAME_PLACES, i, "x");
	run_until(is_up, &a);
	for (uint32_t i = 500; i < 1000; i++)
		instance_send(&a, &b, i % 2 == 0 ? FRAME_RAFT : FRAME_FORWARD_CANCEL, i, "");
	await_b(1000);
	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(b.heard[i].stream, i);
		assert_int_equal(b.heard[i].member, 1);
	}
	assert_int_equal(peers_counts(a.peers)->frames_sent, 1000);
	assert_int_equal(peers_counts(b.peers)->frames_received, 1000);
	assert_int_equal(peers_counts(a.peers)->connected, 1);
	assert_int_equal(peers_counts(b.peers)->incoming, 1);
	assert_int_equal(peers_counts(b.peers)->connected, 0);
	stop_two();
}

static void payload_in_parts_arrives_whole(void **state)
{
	(void)state;
	char *block = mem_zero(6u << 20);
	struct slice parts[3] = {{block, 6u << 20}, {block, 6u << 20}, {block, (5u << 20) - 100}};
	start_two();
	instance_send(&a, &b, FRAME_PLACES, 1, "x");
	run_until(is_up, &a);
	peers_send(a.peers, 2, FRAME_RAFT, 7, NULL, parts, 3);
	await_b(2);
	assert_int_equal(b.heard[1].size, (17u << 20) - 100);
	parts[2].size += 101; /* more than a frame between nodes may have */
	peers_send(a.peers, 2, FRAME_RAFT, 8, NULL, parts, 3);
	instance_send(&a, &b, FRAME_PLACES, 9, "x");
	await_b(3);
	assert_int_equal(b.heard[2].stream, 9);
	assert_int_equal(peers_counts(a.peers)->frames_dropped, 1);
	stop_two();
	mem_free(block);
}

static void member_without_an_address_gets_nothing(void **state)
{
	(void)state;
	start_two();
	instance_send(&b, &a, FRAME_PLACES, 1, "x");
	assert_int_equal(peers_counts(b.peers)->frames_dropped, 1);
	peers_address(a.peers, 2, "");
	instance_send(&a, &b, FRAME_PLACES, 1, "x");
	assert_int_equal(peers_counts(a.peers)->frames_dropped, 1);
	stop_two();
}

static void member_that_is_gone_is_told_nothing_more(void **state)
{
	(void)state;
	start_two();
	instance_send(&a, &b, FRAME_PLACES, 1, "x");
	await_b(1);
	peers_address(a.peers, 2, "");
	assert_int_equal(peers_counts(a.peers)->connected, 0);
	instance_send(&a, &b, FRAME_PLACES, 2, "x");
	run_for(50);
	assert_int_equal(b.heard_count, 1);
	assert_int_equal(peers_counts(b.peers)->incoming, 0);
	stop_two();
}

static void name_of_a_host_is_looked_up(void **state)
{
	(void)state;
	char address[64];
	start_two();
	snprintf(address, sizeof address, "localhost:%u", port_of(&b));
	peers_address(a.peers, 2, address);
	instance_send(&a, &b, FRAME_PLACES, 1, "x");
	await_b(1);
	stop_two();
}

static bool went_down_again(const void *context)
{
	(void)context;
	return a.downs >= 2;
}

static void lost_connection_is_made_again(void **state)
{
	(void)state;
	start_two();
	uint16_t port = port_of(&b);
	instance_send(&a, &b, FRAME_PLACES, 1, "x");
	run_until(is_up, &a);
	await_b(1);
	instance_stop(&b);
	run_until(is_down, &a);
	run_until(went_down_again, NULL); /* a try that failed */
	assert_int_equal(peers_counts(a.peers)->connected, 0);
	instance_init(&b, 2);
	b.options.generation = 2;
	instance_start(&b, port);
	a.ups = 0;
	run_until(is_up, &a);
	instance_send(&a, &b, FRAME_PLACES, 3, "x");
	await_b(1);
	assert_int_equal(b.heard[0].stream, 3);
	stop_two();
}

static void member_is_reached_at_its_new_address(void **state)
{
	(void)state;
	start_two();
	instance_send(&a, &b, FRAME_PLACES, 1, "x");
	run_until(is_up, &a);
	await_b(1);
	instance_stop(&b);
	instance_init(&b, 2);
	instance_start(&b, 0);
	a.ups = 0;
	peers_address(a.peers, 2, b.address);
	run_until(is_up, &a);
	assert_int_equal(a.downs, 1);
	stop_two();
}

static void member_that_comes_back_is_not_kept_waiting(void **state)
{
	(void)state;
	start_two();
	uint16_t port = port_of(&b);
	instance_send(&a, &b, FRAME_PLACES, 1, "x");
	await_b(1);
	instance_stop(&b);
	run_until(is_down, &a);
	instance_init(&b, 2);
	instance_start(&b, port);
	peers_address(b.peers, 1, a.address);
	instance_send(&b, &a, FRAME_PLACES, 1, "x");
	a.ups = 0;
	run_until(is_up, &a);
	stop_two();
}

static bool c_has_come(const void *context)
{
	(void)context;
	return a.downs > 0 && a.ups > 1;
}

/* As after a loss of power, when the system here has not noticed yet that nobody is there any more. */
static void connection_with_a_former_life_is_given_up_when_the_next_one_comes(void **state)
{
	(void)state;
	char address[64];
	start_two();
	instance_stop(&b);
	rogue_listen(2, address); /* it stays open whatever comes */
	peers_address(a.peers, 2, address);
	instance_send(&a, &b, FRAME_PLACES, 1, "x");
	run_until(is_up, &a);
	instance_init(&c, 2);
	c.options.generation = 2;
	instance_start(&c, 0);
	peers_address(c.peers, 1, a.address);
	instance_send(&c, &a, FRAME_PLACES, 1, "x");
	run_until(is_down, &a);
	peers_address(a.peers, 2, c.address);
	run_until(c_has_come, NULL);
	instance_stop(&a);
	instance_stop(&c);
	rogue_finish();
}

static void nothing_is_read_while_it_is_switched_off(void **state)
{
	(void)state;
	start_two();
	peers_set_reading(b.peers, false);
	instance_send(&a, &b, FRAME_PLACES, 1, "x");
	run_until(is_up, &a);
	instance_send(&a, &b, FRAME_PLACES, 2, "x");
	run_for(50);
	assert_true(b.heard_count <= 1);
	peers_set_reading(b.peers, true);
	await_b(2);
	peers_set_reading(b.peers, false);
	instance_send(&a, &b, FRAME_PLACES, 3, "x");
	run_for(50);
	assert_int_equal(b.heard_count, 2);
	peers_set_reading(b.peers, true);
	await_b(3);
	stop_two();
}

/* --- who is let in */

struct refusal {
	const struct instance *instance;
	enum connection_refusal why;
};

static bool is_refused(const void *context)
{
	const struct refusal *refusal = context;
	return peers_counts(refusal->instance->peers)->refused[refusal->why] > 0;
}

static void await_refusal(const struct instance *instance, enum connection_refusal why)
{
	struct refusal refusal = {instance, why};
	run_until(is_refused, &refusal);
}

/* Neither gets through to the other; each counts its reason. */
static void assert_refused(enum connection_refusal by_a, enum connection_refusal by_b)
{
	instance_send(&a, &b, FRAME_PLACES, 1, "x");
	run_until(is_down, &a);
	await_refusal(&a, by_a);
	await_refusal(&b, by_b);
	assert_int_equal(a.ups, 0);
	assert_int_equal(b.heard_count, 0);
	assert_int_equal(peers_counts(b.peers)->incoming, 0);
}

static void same_secret_opens(void **state)
{
	(void)state;
	struct secret *secret = secret_of("sixteen bytes or more");
	instance_init(&a, 1);
	instance_init(&b, 2);
	a.options.secret = b.options.secret = secret;
	a.options.cluster_id = ""; /* has none yet */
	instance_start(&a, 0);
	instance_start(&b, 0);
	peers_address(a.peers, 2, b.address);
	instance_send(&a, &b, FRAME_PLACES, 1, "x");
	await_b(1);
	assert_int_equal(a.ups, 1);
	stop_two();
	secret_destroy(secret);
}

static void other_secret_is_refused(void **state)
{
	(void)state;
	struct secret *one = secret_of("sixteen bytes or more");
	struct secret *other = secret_of("sixteen bytes and more");
	instance_init(&a, 1);
	instance_init(&b, 2);
	a.options.secret = one;
	b.options.secret = other;
	instance_start(&a, 0);
	instance_start(&b, 0);
	peers_address(a.peers, 2, b.address);
	assert_refused(REFUSAL_PROOF, REFUSAL_BY_PEER);
	stop_two();
	secret_destroy(one);
	secret_destroy(other);
}

static void secret_on_one_side_only_is_refused(void **state)
{
	(void)state;
	struct secret *secret = secret_of("sixteen bytes or more");
	instance_init(&a, 1);
	instance_init(&b, 2);
	a.options.secret = secret;
	instance_start(&a, 0);
	instance_start(&b, 0);
	peers_address(a.peers, 2, b.address);
	assert_refused(REFUSAL_BY_PEER, REFUSAL_NO_SECRET);
	stop_two();
	secret_destroy(secret);
}

static void other_cluster_is_refused(void **state)
{
	(void)state;
	instance_init(&a, 1);
	instance_init(&b, 2);
	b.options.cluster_id = "c2";
	instance_start(&a, 0);
	instance_start(&b, 0);
	peers_address(a.peers, 2, b.address);
	assert_refused(REFUSAL_BY_PEER, REFUSAL_CLUSTER);
	stop_two();
}

static void cluster_that_was_joined_counts_from_then_on(void **state)
{
	(void)state;
	instance_init(&a, 1);
	instance_init(&b, 2);
	a.options.cluster_id = b.options.cluster_id = "";
	instance_start(&a, 0);
	instance_start(&b, 0);
	peers_address(a.peers, 2, b.address);
	instance_send(&a, &b, FRAME_PLACES, 1, "x");
	await_b(1);
	peers_set_cluster(a.peers, "c1");
	peers_set_cluster(b.peers, "c2");
	service_set_cluster(b.service, "c2");
	instance_send(&a, &b, FRAME_PLACES, 2, "x");
	await_b(2); /* what is open stays */
	peers_address(a.peers, 2, "");
	peers_address(a.peers, 2, b.address);
	a.ups = a.downs = 0;
	b.heard_count = 0;
	run_for(50); /* until b has noticed the end of the former connection */
	assert_refused(REFUSAL_BY_PEER, REFUSAL_CLUSTER);
	stop_two();
}

static void other_node_at_the_address_is_refused(void **state)
{
	(void)state;
	start_two();
	peers_address(a.peers, 3, b.address);
	b.options.id = 3; /* to instance_send */
	assert_refused(REFUSAL_OTHER_NODE, REFUSAL_BY_PEER);
	stop_two();
}

static void copy_of_a_node_is_refused(void **state)
{
	(void)state;
	instance_init(&a, 1);
	instance_init(&b, 1);
	instance_start(&a, 0);
	instance_start(&b, 0);
	b.options.id = 2;
	peers_address(a.peers, 2, b.address);
	assert_refused(REFUSAL_BY_PEER, REFUSAL_SAME_ID);
	stop_two();
}

static void nobody_elsewhere_is_talked_to_without_a_secret(void **state)
{
	(void)state;
	start_two();
	peers_address(a.peers, 2, "192.0.2.1:9189");
	instance_send(&a, &b, FRAME_PLACES, 1, "x");
	run_until(is_down, &a);
	assert_true(peers_counts(a.peers)->refused[REFUSAL_NO_SECRET] > 0);
	stop_two();
}

static bool b_replaced(const void *context)
{
	(void)context;
	return peers_counts(b.peers)->replaced > 0;
}

static void newest_connection_of_a_member_counts(void **state)
{
	(void)state;
	start_two();
	instance_send(&a, &b, FRAME_PLACES, 1, "x");
	await_b(1);
	instance_init(&c, 1); /* the same node, started again */
	c.options.generation = 2;
	instance_start(&c, 0);
	peers_address(c.peers, 2, b.address);
	peers_address(b.peers, 1, c.address);
	instance_send(&c, &b, FRAME_PLACES, 2, "x");
	run_until(b_replaced, NULL);
	await_b(2);
	await_refusal(&b, REFUSAL_GENERATION); /* a tries again */
	assert_int_equal(peers_counts(b.peers)->incoming, 1);
	instance_send(&c, &b, FRAME_PLACES, 3, "x");
	await_b(3);
	instance_stop(&c);
	stop_two();
}

static void more_members_than_there_may_be_are_refused(void **state)
{
	(void)state;
	instance_init(&a, 1);
	instance_init(&b, 2);
	instance_init(&c, 3);
	b.options.connections_max = 1;
	instance_start(&a, 0);
	instance_start(&b, 0);
	instance_start(&c, 0);
	peers_address(a.peers, 2, b.address);
	peers_address(c.peers, 2, b.address);
	instance_send(&a, &b, FRAME_PLACES, 1, "x");
	await_b(1);
	instance_send(&c, &b, FRAME_PLACES, 1, "x");
	run_until(is_down, &c);
	await_refusal(&b, REFUSAL_LIMIT);
	assert_int_equal(b.heard_count, 1);
	instance_send(&a, &b, FRAME_PLACES, 2, "x");
	await_b(2);
	instance_stop(&c);
	stop_two();
}

/* --- exchanges */

static bool a_exchanged(const void *context)
{
	return strcmp(a.exchanged, context) == 0;
}

static bool a_failed(const void *context)
{
	return strcmp(a.failed, context) == 0;
}

static void piece_is_answered_on_the_same_connection(void **state)
{
	(void)state;
	start_two();
	b.reply = "pong";
	peers_exchange(a.peers, b.address, SLICE("ping"));
	run_until(a_exchanged, "pong;");
	peers_exchange(a.peers, b.address, SLICE("more"));
	run_until(a_exchanged, "pong;pong;");
	assert_string_equal(b.exchanged, "ping;more;");
	assert_int_equal(peers_counts(b.peers)->incoming, 1);
	assert_string_equal(a.failed, "");
	stop_two();
}

static bool b_is_alone(const void *context)
{
	(void)context;
	return b.exchanged[0] != '\0' && peers_counts(b.peers)->incoming == 0;
}

static void connection_that_is_not_used_is_closed(void **state)
{
	(void)state;
	instance_init(&a, 1);
	instance_init(&b, 2);
	a.options.idle_ms = 20;
	instance_start(&a, 0);
	instance_start(&b, 0);
	peers_exchange(a.peers, b.address, SLICE("ping"));
	run_until(b_is_alone, NULL);
	run_for(10);
	assert_string_equal(b.exchanged, "ping;");
	assert_string_equal(a.exchanged, ""); /* nothing was answered, which is no failure */
	assert_string_equal(a.failed, "");
	stop_two();
}

static void exchange_with_nobody_fails(void **state)
{
	(void)state;
	char expected[80];
	start_two();
	snprintf(expected, sizeof expected, "%s;", b.address);
	char address[64];
	strcpy(address, b.address);
	instance_stop(&b);
	peers_exchange(a.peers, address, SLICE("ping"));
	assert_string_equal(a.failed, ""); /* not from inside the call */
	run_until(a_failed, expected);
	instance_stop(&a);
}

static void exchange_with_itself_fails(void **state)
{
	(void)state;
	char expected[80];
	start_two();
	snprintf(expected, sizeof expected, "%s;", a.address);
	peers_exchange(a.peers, a.address, SLICE("ping"));
	run_until(a_failed, expected);
	await_refusal(&a, REFUSAL_ITSELF);
	stop_two();
}

static bool all_failed(const void *context)
{
	(void)context;
	size_t count = 0;
	for (const char *at = a.failed; *at != '\0'; at++)
		count += *at == ';';
	return count == 4;
}

static void more_exchanges_than_there_may_be_fail(void **state)
{
	(void)state;
	struct secret *secret = secret_of("sixteen bytes or more");
	instance_init(&a, 1);
	a.options.secret = secret;
	a.options.connect_ms = 15000;
	instance_start(&a, 0);
	for (int i = 0; i < PEERS_EXCHANGES_OUT_MAX + 4; i++) {
		char address[64];
		snprintf(address, sizeof address, "192.0.2.%d:9189", i + 1); /* nobody has these (RFC 5737) */
		peers_exchange(a.peers, address, SLICE("ping"));
	}
	run_until(all_failed, NULL);
	assert_non_null(strstr(a.failed, "192.0.2.20:9189;"));
	instance_stop(&a);
	secret_destroy(secret);
}

static void exchanges_are_no_messages_of_a_member(void **state)
{
	(void)state;
	start_two();
	instance_send(&a, &b, FRAME_PLACES, 1, "x");
	await_b(1);
	b.reply = "pong";
	peers_exchange(a.peers, b.address, SLICE("ping"));
	run_until(a_exchanged, "pong;");
	instance_send(&a, &b, FRAME_PLACES, 2, "x");
	await_b(2);
	assert_int_equal(peers_counts(b.peers)->replaced, 0);
	stop_two();
}

/* --- those who do not keep to the rules */

static bool b_has_two(const void *context)
{
	(void)context;
	return peers_counts(b.peers)->incoming == 2;
}

/* These bytes end the connection of the one who sends them, and nobody else's. */
static void assert_ends_its_connection(struct slice bytes, const char *last_words)
{
	start_two();
	instance_send(&a, &b, FRAME_PLACES, 1, "x");
	await_b(1);
	rogue_connect(&b, 7);
	run_until(b_has_two, NULL);
	stream_write(rogue.stream, bytes.data, bytes.size);
	run_until(rogue_is_closed, NULL);
	assert_non_null(strstr(rogue.last_words, last_words));
	assert_int_equal(peers_counts(b.peers)->failed, 1);
	assert_int_equal(peers_counts(b.peers)->incoming, 1);
	instance_send(&a, &b, FRAME_PLACES, 2, "x");
	await_b(2);
	assert_int_equal(b.heard[1].member, 1);
	assert_int_equal(a.downs, 0);
	rogue_finish();
	stop_two();
}

static void garbage_ends_its_connection(void **state)
{
	(void)state;
	assert_ends_its_connection(SLICE("this is no frame at all, but it is long enough"), "frame 3 at byte");
}

static void frame_that_no_peer_sends_ends_its_connection(void **state)
{
	(void)state;
	struct buffer bytes = BUFFER_EMPTY;
	frame_append(&bytes, FRAME_REQUEST, 1, SLICE(""), SLICE(""));
	assert_ends_its_connection(buffer_slice(&bytes), "a peer may not send a request frame");
	buffer_finish(&bytes);
}

static void damaged_frame_ends_its_connection(void **state)
{
	(void)state;
	struct buffer bytes = BUFFER_EMPTY;
	frame_append(&bytes, FRAME_RAFT, 0, SLICE(""), SLICE("entries"));
	bytes.data[bytes.size - 1] ^= 1;
	assert_ends_its_connection(buffer_slice(&bytes), "its checksum is");
	buffer_finish(&bytes);
}

static void malformed_message_ends_its_connection(void **state)
{
	(void)state;
	struct buffer bytes = BUFFER_EMPTY;
	frame_append(&bytes, FRAME_RAFT, 0, SLICE("\x0a\xff\xff\xff\xff\x0f"), SLICE(""));
	assert_ends_its_connection(buffer_slice(&bytes), "RaftMessage");
	buffer_clear(&bytes);
	fixture_teardown(state);
	fixture_setup(state);
	frame_append(&bytes, FRAME_FORWARD_CANCEL, 1, SLICE("x"), SLICE(""));
	assert_ends_its_connection(buffer_slice(&bytes), "a forward cancel frame with 1 bytes in it");
	buffer_finish(&bytes);
}

static void frame_that_is_too_large_ends_its_connection_by_its_header(void **state)
{
	(void)state;
	struct buffer bytes = BUFFER_EMPTY;
	frame_append(&bytes, FRAME_RAFT, 0, SLICE(""), SLICE(""));
	memcpy(bytes.data + 16, "\x01\x00\x10\x01", 4); /* 17 MiB and 1 */
	assert_ends_its_connection(buffer_slice(&bytes), "raft frame of 17825793 bytes (limit 17825792)");
	buffer_finish(&bytes);
}

#define SILENT 300

static void those_who_say_nothing_keep_nobody_out(void **state)
{
	(void)state;
	static struct stream *silent[SILENT];
	struct error error;
	start_two();
	rogue_init(CONNECTION_CLIENT, 7);
	for (int i = 0; i < SILENT; i++)
		assert_int_equal(stream_connect(fixture_loop, b.address, &rogue_handler, NULL, &silent[i], &error), 0);
	instance_send(&a, &b, FRAME_PLACES, 1, "x");
	await_b(1);
	for (int i = 0; i < SILENT; i++)
		stream_destroy(silent[i]);
	stop_two();
}

static void node_that_does_not_answer_is_given_up(void **state)
{
	(void)state;
	char address[64];
	instance_init(&a, 1);
	a.options.connect_ms = 50;
	instance_start(&a, 0);
	int mute = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof own;
	assert_int_equal(bind(mute, (struct sockaddr *)&own, size), 0);
	assert_int_equal(listen(mute, 5), 0); /* the system connects, nobody is there */
	getsockname(mute, (struct sockaddr *)&own, &size);
	snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(own.sin_port));
	instance_init(&b, 2);
	peers_address(a.peers, 2, address);
	instance_send(&a, &b, FRAME_PLACES, 1, "x");
	run_until(is_down, &a);
	assert_true(peers_counts(a.peers)->refused[REFUSAL_LATE] > 0);
	assert_int_equal(peers_counts(a.peers)->frames_dropped, 1);
	instance_stop(&a);
	close(mute);
}

static void peer_that_takes_nothing_is_closed_and_memory_stays_bounded(void **state)
{
	(void)state;
	char *block = mem_zero(1 << 20);
	struct slice part = {block, 1 << 20};
	instance_init(&a, 1);
	instance_init(&b, 2);
	a.options.stall_ms = 1000;
	instance_start(&a, 0);
	instance_start(&b, 0);
	peers_set_reading(b.peers, false);
	peers_address(a.peers, 2, b.address);
	instance_send(&a, &b, FRAME_PLACES, 1, "x");
	run_until(is_up, &a);
	/* The system takes some tens of MiB, then no more: when that is so, at most 33 MiB wait here, and all else is dropped. */
	for (int full = 0; full < 3 && a.downs == 0;) {
		uint64_t before = peers_counts(a.peers)->frames_dropped;
		for (int i = 0; i < 40; i++)
			peers_send(a.peers, 2, FRAME_RAFT, 0, NULL, &part, 1);
		run_for(20);
		full = peers_counts(a.peers)->frames_dropped - before >= 40 ? full + 1 : 0;
	}
	uint64_t dropped = peers_counts(a.peers)->frames_dropped;
	instance_send(&a, &b, FRAME_PLACES, 2, "x"); /* others still go */
	assert_int_equal(peers_counts(a.peers)->frames_dropped, dropped);
	run_until(is_down, &a); /* seen here, or by the system, which has a patience of its own */
	assert_true(peers_counts(a.peers)->stalled <= 1);
	stop_two();
	mem_free(block);
}

static void exchange_that_is_not_answered_fails(void **state)
{
	(void)state;
	char address[64];
	char expected[80];
	instance_init(&a, 1);
	a.options.answer_ms = 50;
	instance_start(&a, 0);
	rogue_listen(7, address);
	snprintf(expected, sizeof expected, "%s;", address);
	peers_exchange(a.peers, address, SLICE("ping"));
	run_until(rogue_is_open, NULL);
	run_until(a_failed, expected);
	rogue_finish();
	instance_stop(&a);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(frames_come_in_the_order_in_which_they_were_sent),
		TEST(payload_in_parts_arrives_whole),
		TEST(member_without_an_address_gets_nothing),
		TEST(member_that_is_gone_is_told_nothing_more),
		TEST(name_of_a_host_is_looked_up),
		TEST(lost_connection_is_made_again),
		TEST(member_is_reached_at_its_new_address),
		TEST(member_that_comes_back_is_not_kept_waiting),
		TEST(connection_with_a_former_life_is_given_up_when_the_next_one_comes),
		TEST(nothing_is_read_while_it_is_switched_off),
		TEST(same_secret_opens),
		TEST(other_secret_is_refused),
		TEST(secret_on_one_side_only_is_refused),
		TEST(other_cluster_is_refused),
		TEST(cluster_that_was_joined_counts_from_then_on),
		TEST(other_node_at_the_address_is_refused),
		TEST(copy_of_a_node_is_refused),
		TEST(nobody_elsewhere_is_talked_to_without_a_secret),
		TEST(newest_connection_of_a_member_counts),
		TEST(more_members_than_there_may_be_are_refused),
		TEST(piece_is_answered_on_the_same_connection),
		TEST(connection_that_is_not_used_is_closed),
		TEST(exchange_with_nobody_fails),
		TEST(exchange_with_itself_fails),
		TEST(more_exchanges_than_there_may_be_fail),
		TEST(exchanges_are_no_messages_of_a_member),
		TEST(garbage_ends_its_connection),
		TEST(frame_that_no_peer_sends_ends_its_connection),
		TEST(damaged_frame_ends_its_connection),
		TEST(malformed_message_ends_its_connection),
		TEST(frame_that_is_too_large_ends_its_connection_by_its_header),
		TEST(those_who_say_nothing_keep_nobody_out),
		TEST(node_that_does_not_answer_is_given_up),
		TEST(peer_that_takes_nothing_is_closed_and_memory_stays_bounded),
		TEST(exchange_that_is_not_answered_fails),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
