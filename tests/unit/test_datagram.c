#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "net/address.h"
#include "net/datagram.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct loop *loop;
static struct loop_timer *deadline;
static struct datagram_socket *sockets[2];
static struct address addresses[2];
static int received_count;
static size_t received_size;
static int turn_count;
static int turn_most;
static int until;
static char from_text[ADDRESS_TEXT_SIZE];

static void received(void *context, const struct address *from, struct slice bytes)
{
	(void)context;
	received_count++;
	turn_count++;
	received_size = bytes.size;
	address_format(from, from_text);
	if (received_count == until)
		loop_stop(loop);
}

static void turn_end(void *context)
{
	(void)context;
	turn_most = turn_count > turn_most ? turn_count : turn_most;
	turn_count = 0;
}

static void too_late(void *context)
{
	(void)context;
	loop_stop(loop);
}

/* A port that was free a moment ago. */
static uint16_t free_port(int family)
{
	struct address own = {.size = sizeof own.storage};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int descriptor = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool bound = bind(descriptor, family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
	                  family == AF_INET ? sizeof v4 : sizeof v6) == 0;
	getsockname(descriptor, &own.any, &own.size);
	close(descriptor);
	return bound ? address_port(&own) : 0;
}

static bool open_socket(int which, const char *host, int family)
{
	char text[64];
	uint16_t port = free_port(family);
	snprintf(text, sizeof text, "%s:%u", host, port);
	if (port == 0 || datagram_open(loop, text, received, NULL, &sockets[which], NULL) != 0)
		return false;
	snprintf(text, sizeof text, "%s:%u", family == AF_INET ? "127.0.0.1" : "[::1]", port);
	return address_parse(text, &addresses[which]);
}

static int setup(void **state)
{
	(void)state;
	sockets[0] = sockets[1] = NULL;
	received_count = turn_count = turn_most = until = 0;
	if (loop_create(&loop) != 0)
		return -1;
	deadline = loop_timer_create(loop, too_late, NULL);
	loop_at_turn_end(loop, turn_end, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	datagram_close(sockets[0]);
	datagram_close(sockets[1]);
	loop_timer_destroy(deadline);
	loop_destroy(loop);
	return 0;
}

static void await(int count)
{
	until = count;
	loop_timer_set(deadline, loop_now(loop) + 10000);
	if (received_count < until)
		loop_run(loop);
	assert_true(received_count >= count);
}

static void datagram_comes_with_the_address_of_who_sent_it(void **state)
{
	(void)state;
	char expected[ADDRESS_TEXT_SIZE];
	assert_true(open_socket(0, "127.0.0.1", AF_INET) && open_socket(1, "127.0.0.1", AF_INET));
	assert_true(datagram_send(sockets[0], &addresses[1], SLICE("hello")));
	await(1);
	assert_int_equal(received_size, 5);
	address_format(&addresses[0], expected);
	assert_string_equal(from_text, expected);
}

static void empty_and_overlong_datagrams_are_told_as_such(void **state)
{
	(void)state;
	char *block = mem_zero(9000);
	assert_true(open_socket(0, "127.0.0.1", AF_INET) && open_socket(1, "127.0.0.1", AF_INET));
	assert_true(datagram_send(sockets[0], &addresses[1], SLICE("")));
	await(1);
	assert_int_equal(received_size, 0);
	assert_true(datagram_send(sockets[0], &addresses[1], (struct slice){block, 9000}));
	await(2);
	assert_int_equal(received_size, DATAGRAM_SIZE_MAX + 1);
	mem_free(block);
}

static void datagrams_to_nobody_disturb_nothing(void **state)
{
	(void)state;
	assert_true(open_socket(0, "127.0.0.1", AF_INET) && open_socket(1, "127.0.0.1", AF_INET));
	datagram_close(sockets[1]);
	assert_true(open_socket(1, "127.0.0.1", AF_INET));
	struct address nobody = addresses[1];
	datagram_close(sockets[1]);
	sockets[1] = NULL;
	for (int i = 0; i < 10; i++)
		datagram_send(sockets[0], &nobody, SLICE("hello")); /* the refusals come back as errors of the socket */
	assert_true(open_socket(1, "127.0.0.1", AF_INET));
	assert_true(datagram_send(sockets[0], &addresses[1], SLICE("hello")));
	assert_true(datagram_send(sockets[1], &addresses[0], SLICE("hello")));
	await(2);
}

static void flood_takes_no_more_than_its_share_of_a_turn(void **state)
{
	(void)state;
	assert_true(open_socket(0, "127.0.0.1", AF_INET) && open_socket(1, "127.0.0.1", AF_INET));
	int sent = 0;
	while (sent < 600 && datagram_send(sockets[0], &addresses[1], SLICE("hello")))
		sent++;
	await(sent < 300 ? sent : 300); /* the system keeps as many as it has room for */
	loop_timer_set(deadline, loop_now(loop) + 20);
	loop_run(loop);
	assert_true(turn_most <= DATAGRAMS_PER_TURN);
}

static void socket_for_all_addresses_speaks_with_ipv4(void **state)
{
	(void)state;
	if (!open_socket(0, "[::]", AF_INET6))
		skip(); /* a system without IPv6 */
	assert_true(open_socket(1, "127.0.0.1", AF_INET));
	assert_true(datagram_send(sockets[0], &addresses[1], SLICE("hello")));
	await(1);
	char to[ADDRESS_TEXT_SIZE];
	snprintf(to, sizeof to, "127.0.0.1:%u", address_port(&addresses[0]));
	assert_string_equal(from_text, to);
	assert_true(address_parse(to, &addresses[0]));
	assert_true(datagram_send(sockets[1], &addresses[0], SLICE("hello")));
	await(2);
	address_format(&addresses[1], to);
	assert_string_equal(from_text, to); /* not as an IPv6 address with an IPv4 one within */
}

static void port_that_is_taken_is_an_error(void **state)
{
	(void)state;
	struct error error = {0};
	char text[ADDRESS_TEXT_SIZE];
	assert_true(open_socket(0, "127.0.0.1", AF_INET));
	address_format(&addresses[0], text);
	assert_int_equal(datagram_open(loop, text, received, NULL, &sockets[1], &error), ERR_EXISTS);
	assert_non_null(strstr(error.text, "cannot take datagrams on 127.0.0.1:"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(datagram_comes_with_the_address_of_who_sent_it),
		TEST(empty_and_overlong_datagrams_are_told_as_such),
		TEST(datagrams_to_nobody_disturb_nothing),
		TEST(flood_takes_no_more_than_its_share_of_a_turn),
		TEST(socket_for_all_addresses_speaks_with_ipv4),
		TEST(port_that_is_taken_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
