#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct loop *loop;
static struct loop_timer *deadline;
static char directory[4096];

/* What the callbacks heard. */
static int accepted_descriptors[32];
static int accepted_count;
static int stop_at_count;
static char accepted_peer[100];
static char reason[300];
static int closed_count;
static char received[100];
static struct listener *destroy_this;

static void accepted(void *context, int take_descriptor, const char *peer)
{
	(void)context;
	accepted_descriptors[accepted_count++] = take_descriptor;
	snprintf(accepted_peer, sizeof accepted_peer, "%s", peer);
	if (destroy_this != NULL) {
		listener_destroy(destroy_this);
		destroy_this = NULL;
	}
	if (accepted_count >= stop_at_count)
		loop_stop(loop);
}

static void readable(void *context, struct stream *stream, struct buffer *input)
{
	(void)context;
	(void)stream;
	strncat(received, input->data, input->size);
	buffer_consume(input, input->size);
	loop_stop(loop);
}

static void closed(void *context, struct stream *stream, const char *why)
{
	(void)context;
	(void)stream;
	closed_count++;
	snprintf(reason, sizeof reason, "%s", why);
	loop_stop(loop);
}

static const struct stream_handler handler = {.readable = readable, .closed = closed};

static void too_late(void *context)
{
	(void)context;
	fail_msg("the deadline passed");
}

static void run(void)
{
	loop_timer_set(deadline, loop_now(loop) + 20000);
	loop_run(loop);
	loop_timer_set(deadline, MSEC_NEVER);
}

static void stop(void *context)
{
	(void)context;
	loop_stop(loop);
}

static void run_for(msec time)
{
	struct loop_timer *timer = loop_timer_create(loop, stop, NULL);
	loop_timer_set(timer, loop_now(loop) + time);
	run();
	loop_timer_destroy(timer);
}

static int setup(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/clusterd-test-XXXXXX");
	if (mkdtemp(directory) == NULL || loop_create(&loop) != 0)
		return -1;
	deadline = loop_timer_create(loop, too_late, NULL);
	accepted_count = closed_count = 0;
	stop_at_count = 1;
	reason[0] = received[0] = accepted_peer[0] = '\0';
	destroy_this = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < accepted_count; i++)
		close(accepted_descriptors[i]);
	loop_timer_destroy(deadline);
	loop_destroy(loop);
	return rmdir(directory);
}

static struct listener *listen_on(const char *address, uint32_t connections_max)
{
	struct listener *listener;
	struct error error = {0};
	if (listener_create(loop, address, connections_max, accepted, NULL, &listener, &error) != 0)
		fail_msg("%s", error.text);
	return listener;
}

static void assert_refused(const char *address, int code, const char *text)
{
	struct listener *listener;
	struct error error = {0};
	assert_int_equal(listener_create(loop, address, 1, accepted, NULL, &listener, &error), code);
	assert_string_equal(error.text, text);
}

static struct stream *connect_to(const char *address)
{
	struct stream *stream;
	struct error error = {0};
	if (stream_connect(loop, address, &handler, NULL, &stream, &error) != 0)
		fail_msg("%s", error.text);
	return stream;
}

static const char *in_directory(const char *name)
{
	static char path[4096 + 300];
	snprintf(path, sizeof path, "%s/%s", directory, name);
	return path;
}

static struct sockaddr_un socket_address(const char *path)
{
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	assert_true(strlen(path) < sizeof local.sun_path);
	memcpy(local.sun_path, path, strlen(path));
	return local;
}

/* Both ways through one connection. */
static void exchange(const char *address, const char *peer_begins)
{
	struct stream *client = connect_to(address);
	char text[16] = "";
	stream_write(client, "ping", 4); /* before it is connected */
	run();
	assert_int_equal(accepted_count, 1);
	assert_memory_equal(accepted_peer, peer_begins, strlen(peer_begins));
	int server = accepted_descriptors[0];
	assert_int_not_equal(fcntl(server, F_GETFL) & O_NONBLOCK, 0);
	assert_int_not_equal(fcntl(server, F_GETFD) & FD_CLOEXEC, 0);
	while (recv(server, text, sizeof text, MSG_DONTWAIT) != 4)
		run_for(1);
	assert_string_equal(text, "ping");
	assert_int_equal(send(server, "pong", 4, 0), 4);
	run();
	assert_string_equal(received, "pong");
	assert_string_equal(stream_peer(client), address);
	stream_destroy(client);
}

static void connection_by_tcp_carries_bytes_both_ways(void **state)
{
	(void)state;
	struct listener *listener = listen_on("127.0.0.1:0", 10);
	char address[64];
	assert_int_not_equal(listener_port(listener), 0);
	snprintf(address, sizeof address, "127.0.0.1:%u", listener_port(listener));
	exchange(address, "127.0.0.1:");
	int on = 0;
	socklen_t size = sizeof on;
	struct stream *server = stream_create(loop, dup(accepted_descriptors[0]), &handler, NULL);
	assert_int_equal(getsockopt(accepted_descriptors[0], IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
	assert_int_equal(on, 1);
	assert_string_equal(stream_peer(server), accepted_peer);
	assert_int_equal(stream_peer_uid(server), -1);
	stream_destroy(server);
	listener_destroy(listener);
}

static void connection_by_ipv6_carries_bytes_both_ways(void **state)
{
	(void)state;
	struct listener *listener;
	struct error error;
	if (listener_create(loop, "[::1]:0", 10, accepted, NULL, &listener, &error) != 0)
		skip(); /* this host has no IPv6 */
	char address[64];
	snprintf(address, sizeof address, "[::1]:%u", listener_port(listener));
	exchange(address, "[::1]:");
	listener_destroy(listener);
}

static void name_is_tried_at_all_its_addresses(void **state)
{
	(void)state;
	struct listener *listener = listen_on("127.0.0.1:0", 10);
	char address[64];
	snprintf(address, sizeof address, "localhost:%u", listener_port(listener));
	exchange(address, "127.0.0.1:");
	listener_destroy(listener);
}

static void connection_by_a_file_carries_bytes_both_ways(void **state)
{
	(void)state;
	const char *path = in_directory("s");
	struct listener *listener = listen_on(path, 10);
	struct stat status;
	assert_int_equal(listener_port(listener), 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	exchange(path, "unix");
	listener_destroy(listener);
	assert_int_equal(access(path, F_OK), -1);
}

static void socket_has_its_mode_whatever_the_umask(void **state)
{
	(void)state;
	struct stat status;
	mode_t old = umask(0777);
	struct listener *listener = listen_on(in_directory("s"), 10);
	umask(old);
	assert_int_equal(stat(in_directory("s"), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	listener_destroy(listener);
}

static void path_longer_than_the_system_takes_works(void **state)
{
	(void)state;
	char base[sizeof directory];
	strcpy(base, directory);
	for (int i = 0; i < 3; i++) {
		strcat(directory, "/a-directory-with-a-long-name-so-that-the-path-of-its-socket-grows");
		assert_int_equal(mkdir(directory, 0700), 0);
	}
	char path[4096 + 300];
	strcpy(path, in_directory("clusterd.sock"));
	assert_true(strlen(path) > sizeof((struct sockaddr_un *)0)->sun_path);
	struct listener *listener = listen_on(path, 10);
	exchange(path, "unix");
	listener_destroy(listener);
	assert_int_equal(access(path, F_OK), -1);
	while (strcmp(directory, base) != 0) {
		assert_int_equal(rmdir(directory), 0);
		*strrchr(directory, '/') = '\0';
	}
}

/* --- addresses that cannot be */

static void address_that_cannot_be_is_refused_with_the_reason(void **state)
{
	(void)state;
	assert_refused("nowhere", ERR_INVALID, "address \"nowhere\" is neither HOST:PORT nor a path with a slash");
	assert_refused(":9189", ERR_INVALID,
	               "address \":9189\" has no host; all addresses: 0.0.0.0:PORT or [::]:PORT");
	assert_refused("127.0.0.1:", ERR_INVALID,
	               "address \"127.0.0.1:\": the port must be a number from 0 to 65535");
	assert_refused("127.0.0.1:65536", ERR_INVALID,
	               "address \"127.0.0.1:65536\": the port must be a number from 0 to 65535");
	assert_refused("127.0.0.1:-1", ERR_INVALID,
	               "address \"127.0.0.1:-1\": the port must be a number from 0 to 65535");
	assert_refused("::1:9189", ERR_INVALID,
	               "address \"::1:9189\": an IPv6 address is written in brackets, [::1]:9189");
	assert_refused("[::1:9189", ERR_INVALID, "address \"[::1:9189\": expected [HOST]:PORT");
	assert_refused("[]:9189", ERR_INVALID, "address \"[]:9189\": expected [HOST]:PORT");
	assert_refused("/", ERR_INVALID, "address \"/\" names a directory, not a socket");
	assert_refused("/no-such-directory/s", ERR_NOT_FOUND,
	               "directory /no-such-directory: No such file or directory");
}

static void port_that_is_taken_is_refused(void **state)
{
	(void)state;
	struct listener *listener = listen_on("127.0.0.1:0", 1);
	char address[64];
	char text[200];
	snprintf(address, sizeof address, "127.0.0.1:%u", listener_port(listener));
	snprintf(text, sizeof text, "cannot listen on %s: Address already in use", address);
	assert_refused(address, ERR_EXISTS, text);
	listener_destroy(listener);
}

/* --- files of sockets */

static void stale_socket_is_replaced(void **state)
{
	(void)state;
	const char *path = in_directory("s");
	struct sockaddr_un local = socket_address(path);
	int old = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(old, (struct sockaddr *)&local, sizeof local), 0);
	close(old);
	assert_int_equal(access(path, F_OK), 0);
	struct listener *listener = listen_on(path, 10);
	exchange(path, "unix");
	listener_destroy(listener);
}

static void socket_of_a_living_listener_is_left_alone(void **state)
{
	(void)state;
	const char *path = in_directory("s");
	char text[5000];
	struct listener *listener = listen_on(path, 10);
	snprintf(text, sizeof text, "cannot listen on %s: another process does", path);
	assert_refused(path, ERR_EXISTS, text);
	assert_int_equal(access(path, F_OK), 0);
	run_for(1); /* takes the connection that was made to see */
	listener_destroy(listener);
}

static void file_that_is_not_a_socket_is_left_alone(void **state)
{
	(void)state;
	const char *path = in_directory("s");
	char text[5000];
	int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(file);
	snprintf(text, sizeof text, "%s exists and is not a socket", path);
	assert_refused(path, ERR_EXISTS, text);
	assert_int_equal(unlink(path), 0);
}

static void listener_does_not_remove_the_file_of_its_successor(void **state)
{
	(void)state;
	const char *path = in_directory("s");
	struct listener *first = listen_on(path, 10);
	assert_int_equal(unlink(path), 0);
	struct listener *second = listen_on(path, 10);
	listener_destroy(first);
	assert_int_equal(access(path, F_OK), 0);
	listener_destroy(second);
	assert_int_equal(access(path, F_OK), -1);
}

/* --- connecting in vain */

static void refused_connection_is_told_by_closed(void **state)
{
	(void)state;
	struct listener *listener = listen_on("127.0.0.1:0", 10);
	char address[64];
	char text[200];
	snprintf(address, sizeof address, "127.0.0.1:%u", listener_port(listener));
	listener_destroy(listener);
	struct stream *stream = connect_to(address);
	stream_write(stream, "ping", 4);
	assert_int_equal(closed_count, 0);
	run();
	snprintf(text, sizeof text, "cannot connect to %s: Connection refused", address);
	assert_string_equal(reason, text);
	assert_int_equal(closed_count, 1);
	stream_write(stream, "ping", 4);
	run_for(1);
	assert_int_equal(closed_count, 1);
	stream_destroy(stream);
}

static void missing_socket_is_told_by_closed(void **state)
{
	(void)state;
	const char *path = in_directory("s");
	char text[5000];
	struct stream *stream = connect_to(path);
	run();
	snprintf(text, sizeof text, "cannot connect to %s: No such file or directory", path);
	assert_string_equal(reason, text);
	stream_destroy(stream);
}

static void connecting_stream_can_be_destroyed(void **state)
{
	(void)state;
	struct listener *listener = listen_on("127.0.0.1:0", 10);
	char address[64];
	snprintf(address, sizeof address, "127.0.0.1:%u", listener_port(listener));
	stream_destroy(connect_to(address));
	run_for(1);
	assert_int_equal(accepted_count, 0);
	listener_destroy(listener);
}

/* --- limits of a listener */

static void connections_past_the_maximum_wait_until_one_is_released(void **state)
{
	(void)state;
	const char *path = in_directory("s");
	struct listener *listener = listen_on(path, 2);
	struct stream *clients[3];
	for (int i = 0; i < 3; i++)
		clients[i] = connect_to(path);
	stop_at_count = 2;
	run();
	run_for(5);
	assert_int_equal(accepted_count, 2);
	stop_at_count = 3;
	listener_release(listener);
	run();
	assert_int_equal(accepted_count, 3);
	for (int i = 0; i < 3; i++)
		stream_destroy(clients[i]);
	listener_destroy(listener);
}

static int turns;

static void count_turn(void *context)
{
	(void)context;
	turns++;
}

static void listener_without_descriptors_waits_and_does_not_spin(void **state)
{
	(void)state;
	const char *path = in_directory("s");
	struct listener *listener = listen_on(path, 10);
	struct sockaddr_un local = socket_address(path);
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&local, sizeof local), 0);
	struct loop_timer *timer = loop_timer_create(loop, stop, NULL);
	loop_timer_set(timer, loop_now(loop) + 250);
	/* The lowest free number is made the first that is not allowed. */
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	int lowest = dup(client);
	close(lowest);
	struct rlimit tight = {.rlim_cur = (rlim_t)lowest, .rlim_max = limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	turns = 0;
	loop_at_turn_end(loop, count_turn, NULL);
	run();
	setrlimit(RLIMIT_NOFILE, &limit);
	assert_int_equal(accepted_count, 0);
	assert_in_range(turns, 2, 20);
	run();
	assert_int_equal(accepted_count, 1);
	loop_timer_destroy(timer);
	close(client);
	listener_destroy(listener);
}

static void listener_can_be_destroyed_from_inside(void **state)
{
	(void)state;
	const char *path = in_directory("s");
	struct stream *clients[2];
	destroy_this = listen_on(path, 10);
	for (int i = 0; i < 2; i++)
		clients[i] = connect_to(path);
	run();
	assert_int_equal(accepted_count, 1);
	for (int i = 0; i < 2; i++)
		stream_destroy(clients[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(connection_by_tcp_carries_bytes_both_ways),
		TEST(connection_by_ipv6_carries_bytes_both_ways),
		TEST(name_is_tried_at_all_its_addresses),
		TEST(connection_by_a_file_carries_bytes_both_ways),
		TEST(socket_has_its_mode_whatever_the_umask),
		TEST(path_longer_than_the_system_takes_works),
		TEST(address_that_cannot_be_is_refused_with_the_reason),
		TEST(port_that_is_taken_is_refused),
		TEST(stale_socket_is_replaced),
		TEST(socket_of_a_living_listener_is_left_alone),
		TEST(file_that_is_not_a_socket_is_left_alone),
		TEST(listener_does_not_remove_the_file_of_its_successor),
		TEST(refused_connection_is_told_by_closed),
		TEST(missing_socket_is_told_by_closed),
		TEST(connecting_stream_can_be_destroyed),
		TEST(connections_past_the_maximum_wait_until_one_is_released),
		TEST(listener_without_descriptors_waits_and_does_not_spin),
		TEST(listener_can_be_destroyed_from_inside),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
