#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/clusterd.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "wire/connection.h"
#include "wire/message.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Nodes that are not nodes, in the same thread: what they do wrong, the client has to live with. */

enum manner {
	ANSWERS,
	SAYS_GARBAGE,      /* instead of a welcome */
	GARBLES,           /* a welcome, and then no frames */
	CLOSES,            /* at once */
	CLOSES_ONCE_ASKED, /* the first time that something is changed */
	IS_SILENT,         /* not even a welcome */
	IS_MUTE,           /* a welcome, and no word after it */
	LEADS_NOT,
	IS_BUSY,          /* the first three times */
	FORGETS_SESSIONS, /* the first one */
	ANSWERS_ELSE,     /* than was asked */
};

struct fake {
	int listener;
	int descriptor;
	enum manner manner;
	char address[40];
	struct connection_config config;
	struct connection *connection;
	struct buffer input;
	int welcomed;
	int asked; /* changes */
	int sessions;
	uint64_t session;
	uint64_t sequence; /* of the last change */
	char key[40];
};

static struct fake fakes[2];
static struct clusterd_client *client;
static struct clusterd_error error;

static void fake_start(struct fake *fake, enum manner manner)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	*fake = (struct fake){.manner = manner, .descriptor = -1};
	fake->config = (struct connection_config){.side = CONNECTION_SERVER,
	                                          .version_low = PROTOCOL_VERSION,
	                                          .version_high = PROTOCOL_VERSION,
	                                          .cluster_id = "c",
	                                          .name = "fake",
	                                          .token = ""};
	fake->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fake->listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(fake->listener, 16), 0);
	assert_int_equal(getsockname(fake->listener, (struct sockaddr *)&address, &size), 0);
	snprintf(fake->address, sizeof fake->address, "127.0.0.1:%u", ntohs(address.sin_port));
}

static void fake_hang_up(struct fake *fake)
{
	if (fake->descriptor >= 0)
		close(fake->descriptor);
	fake->descriptor = -1;
	connection_destroy(fake->connection);
	fake->connection = NULL;
	buffer_finish(&fake->input);
}

static void fake_stop(struct fake *fake)
{
	fake_hang_up(fake);
	if (fake->listener > 0)
		close(fake->listener);
	fake->listener = -1;
}

static void fake_send(struct fake *fake, const void *data, size_t size)
{
	if (size != 0)
		assert_int_equal(send(fake->descriptor, data, size, MSG_NOSIGNAL), size);
}

static void fake_respond(struct fake *fake, uint32_t stream, Clusterd__Wire__Response *response, int code)
{
	struct buffer out = BUFFER_EMPTY;
	Clusterd__Wire__Error refusal = CLUSTERD__WIRE__ERROR__INIT;
	if (code != 0) {
		refusal.code = code;
		refusal.text = (char *)(uintptr_t) "no, it said";
		refusal.retry_after_ms = 1;
		response->error = &refusal;
	}
	assert_int_equal(message_frame(&out, FRAME_RESPONSE, stream, &response->base, SLICE("")), 0);
	fake_send(fake, out.data, out.size);
	buffer_finish(&out);
}

static void fake_answer_put(struct fake *fake, uint32_t stream, const Clusterd__Wire__Request *request)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Written written = CLUSTERD__WIRE__WRITTEN__INIT;
	fake->asked++;
	fake->session = request->session;
	fake->sequence = request->sequence;
	snprintf(fake->key, sizeof fake->key, "%s", request->put->key);
	written.version = 4711;
	response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_WRITTEN;
	response.written = &written;
	if (fake->manner == CLOSES_ONCE_ASKED && fake->asked == 1)
		fake_hang_up(fake);
	else if (fake->manner == LEADS_NOT)
		fake_respond(fake, stream, &response, ERR_NOT_LEADER);
	else if (fake->manner == IS_BUSY && fake->asked <= 3)
		fake_respond(fake, stream, &response, ERR_BUSY);
	else if (fake->manner == FORGETS_SESSIONS && request->session == 1)
		fake_respond(fake, stream, &response, ERR_EXPIRED);
	else if (fake->manner == ANSWERS_ELSE)
		fake_respond(fake, stream, &(Clusterd__Wire__Response)CLUSTERD__WIRE__RESPONSE__INIT, 0);
	else
		fake_respond(fake, stream, &response, 0);
}

static void fake_take(struct fake *fake, const struct frame *frame)
{
	struct arena arena = {0};
	struct buffer out = BUFFER_EMPTY;
	ProtobufCMessage *message;
	struct error failure;
	if (frame->type != FRAME_REQUEST || fake->manner == IS_MUTE)
		return;
	assert_int_equal(connection_unpack(fake->connection, frame, &arena, &out, &message, &failure), 0);
	const Clusterd__Wire__Request *request = (const Clusterd__Wire__Request *)message;
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Opened opened = CLUSTERD__WIRE__OPENED__INIT;
	if (request->body_case == CLUSTERD__WIRE__REQUEST__BODY_OPEN_SESSION) {
		opened.session = (uint64_t)++fake->sessions;
		response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_OPENED;
		response.opened = &opened;
		fake_respond(fake, frame->stream, &response, 0);
	} else if (request->body_case == CLUSTERD__WIRE__REQUEST__BODY_PUT) {
		fake_answer_put(fake, frame->stream, request);
	} else if (request->body_case != CLUSTERD__WIRE__REQUEST__BODY_CLOSE_SESSION) {
		fake_respond(fake, frame->stream, &response, 0);
	}
	arena_finish(&arena);
	buffer_finish(&out);
}

static void fake_accept(struct fake *fake)
{
	int descriptor = accept4(fake->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (descriptor < 0)
		return;
	fake_hang_up(fake);
	fake->descriptor = descriptor;
	fake->connection = connection_create(&fake->config);
	if (fake->manner == SAYS_GARBAGE)
		fake_send(fake, "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", 41);
	if (fake->manner == CLOSES)
		fake_hang_up(fake);
}

static void fake_turn(struct fake *fake)
{
	struct buffer out = BUFFER_EMPTY;
	if (fake->listener <= 0)
		return;
	fake_accept(fake);
	if (fake->descriptor < 0 || fake->manner == IS_SILENT)
		return;
	ssize_t got = recv(fake->descriptor, buffer_reserve(&fake->input, 65536), 65536, 0);
	if (got == 0 || (got < 0 && errno != EAGAIN)) {
		fake_hang_up(fake);
		return;
	}
	fake->input.size += got > 0 ? (size_t)got : 0;
	enum connection_event event = CONNECTION_OPENED;
	while (fake->connection != NULL && event != CONNECTION_MORE && fake->manner != SAYS_GARBAGE) {
		struct frame frame;
		size_t size = 0;
		struct error failure = {0};
		event = connection_next(fake->connection, buffer_slice(&fake->input), &out, &size, &frame, &failure);
		fake_send(fake, out.data, out.size);
		buffer_clear(&out);
		fake->welcomed += event == CONNECTION_OPENED;
		if (event == CONNECTION_OPENED && fake->manner == GARBLES)
			fake_send(fake, "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\21\22\23\24\25\26\27\30", 24);
		if (event == CONNECTION_FRAME)
			fake_take(fake, &frame);
		if (fake->connection != NULL)
			buffer_consume(&fake->input, size);
	}
	buffer_finish(&out);
}

/* --- the client ---------------------------------------------------------------------------------------------------- */

struct outcome {
	int calls;
	int code;
	uint64_t version;
	char text[CLUSTERD_ERROR_TEXT];
};

static void done(void *context, struct clusterd_reply *reply, const struct clusterd_error *why)
{
	struct outcome *outcome = context;
	outcome->calls++;
	outcome->code = why != NULL ? why->code : 0;
	outcome->version = reply != NULL ? clusterd_reply_version(reply) : 0;
	snprintf(outcome->text, sizeof outcome->text, "%s", why != NULL ? why->text : "");
	/* What blocks is refused here. */
	assert_int_equal(clusterd_key_put(client, "k", "", 0, 0, CLUSTERD_ALWAYS, NULL, 1000, NULL),
	                 CLUSTERD_ERR_CONFLICT);
}

static void turn(void)
{
	struct pollfd wait = {clusterd_client_descriptor(client), POLLIN, 0};
	int timeout = clusterd_client_timeout_ms(client);
	poll(&wait, 1, timeout < 0 || timeout > 2 ? 2 : timeout);
	clusterd_client_dispatch(client);
	fake_turn(&fakes[0]);
	fake_turn(&fakes[1]);
}

static void begin(enum manner first, enum manner second)
{
	struct clusterd_client_options options = CLUSTERD_CLIENT_OPTIONS;
	char addresses[100];
	fake_start(&fakes[0], first);
	fake_start(&fakes[1], second);
	snprintf(addresses, sizeof addresses, "%s,%s", fakes[0].address, fakes[1].address);
	options.addresses = addresses;
	options.silence_ms = 60;
	assert_int_equal(clusterd_client_create(&options, &client, &error), 0);
}

static int teardown(void **state)
{
	(void)state;
	clusterd_client_destroy(client);
	client = NULL;
	fake_stop(&fakes[0]);
	fake_stop(&fakes[1]);
	return 0;
}

static struct outcome put(int timeout_ms)
{
	struct outcome outcome = {0};
	clusterd_key_put_begin(client, "the/key", "value", 5, 0, CLUSTERD_ALWAYS, timeout_ms, done, &outcome);
	assert_int_equal(outcome.calls, 0); /* never from inside */
	while (outcome.calls == 0)
		turn();
	return outcome;
}

/* The second node is asked, and answers. */
static void assert_second_answers(enum manner first)
{
	begin(first, ANSWERS);
	struct outcome outcome = put(20000);
	assert_int_equal(outcome.code, 0);
	assert_int_equal(outcome.version, 4711);
	assert_int_equal(outcome.calls, 1);
	assert_int_equal(fakes[1].asked, 1);
	assert_string_equal(fakes[1].key, "the/key");
}

static void node_that_says_garbage_is_left(void **state)
{
	(void)state;
	assert_second_answers(SAYS_GARBAGE);
}

static void node_that_garbles_is_left(void **state)
{
	(void)state;
	assert_second_answers(GARBLES);
	assert_true(fakes[0].welcomed >= 1);
}

static void node_that_closes_is_left(void **state)
{
	(void)state;
	assert_second_answers(CLOSES);
}

static void node_that_says_no_welcome_is_left(void **state)
{
	(void)state;
	assert_second_answers(IS_SILENT);
}

static void node_that_says_nothing_more_is_left(void **state)
{
	(void)state;
	assert_second_answers(IS_MUTE);
	assert_int_equal(fakes[0].welcomed, 1);
}

static void node_without_a_leader_is_left(void **state)
{
	(void)state;
	assert_second_answers(LEADS_NOT);
	assert_int_equal(fakes[0].asked, 1);
}

static void request_is_sent_again_with_its_session_and_sequence(void **state)
{
	(void)state;
	assert_second_answers(CLOSES_ONCE_ASKED);
	assert_int_equal(fakes[0].asked, 1);
	assert_int_equal(fakes[0].session, fakes[1].session);
	assert_int_equal(fakes[0].sequence, fakes[1].sequence);
	assert_int_equal(fakes[1].sessions, 0);
}

static void busy_node_is_asked_again(void **state)
{
	(void)state;
	begin(IS_BUSY, CLOSES);
	assert_int_equal(put(20000).code, 0);
	assert_int_equal(fakes[0].asked, 4);
	assert_int_equal(fakes[0].sequence, 1);
}

static void request_of_a_session_that_is_gone_goes_into_another(void **state)
{
	(void)state;
	begin(FORGETS_SESSIONS, CLOSES);
	assert_int_equal(put(20000).code, 0);
	assert_int_equal(fakes[0].sessions, 2);
	assert_int_equal(fakes[0].session, 2);
}

static void time_runs_out(void **state)
{
	(void)state;
	begin(IS_SILENT, IS_SILENT);
	struct outcome outcome = put(50);
	assert_int_equal(outcome.code, CLUSTERD_ERR_TIMEOUT);
	assert_non_null(strstr(outcome.text, "no answer from 127.0.0.1:"));
}

static void mute_node_is_left_by_many_short_requests(void **state)
{
	(void)state;
	struct outcome outcome = {.code = CLUSTERD_ERR_TIMEOUT};
	begin(IS_MUTE, ANSWERS);
	for (int tries = 0; tries < 200 && outcome.code == CLUSTERD_ERR_TIMEOUT; tries++) {
		outcome = (struct outcome){0};
		clusterd_key_get_begin(client, "the/key", 100, done, &outcome); /* less than twice its silence */
		while (outcome.calls == 0)
			turn();
	}
	assert_int_equal(outcome.code, 0);
}

static void nobody_there_is_said_when_the_time_is_out(void **state)
{
	(void)state;
	begin(CLOSES, CLOSES);
	struct outcome outcome = put(50);
	assert_int_equal(outcome.code, CLUSTERD_ERR_CLOSED);
	assert_non_null(strstr(outcome.text, "no node answers at 127.0.0.1:"));
}

static void refused_token_ends_it(void **state)
{
	(void)state;
	begin(ANSWERS, ANSWERS);
	fakes[0].config.token = fakes[1].config.token = "secret";
	assert_int_equal(put(CLUSTERD_NO_TIMEOUT).code, CLUSTERD_ERR_DENIED);
}

static void another_answer_than_was_asked_is_no_answer(void **state)
{
	(void)state;
	begin(ANSWERS_ELSE, CLOSES);
	struct outcome outcome = put(20000);
	assert_int_equal(outcome.code, 0); /* the reply has nothing */
	assert_int_equal(outcome.version, 0);
}

static void request_larger_than_a_frame_is_refused(void **state)
{
	static char large[17 << 20];
	struct outcome outcome = {0};
	(void)state;
	begin(ANSWERS, ANSWERS);
	clusterd_key_put_begin(client, "k", large, sizeof large, 0, CLUSTERD_ALWAYS, 1000, done, &outcome);
	assert_int_equal(outcome.calls, 0);
	assert_int_equal(clusterd_client_timeout_ms(client), 0);
	turn();
	assert_int_equal(outcome.code, CLUSTERD_ERR_LIMIT);
}

static void cancelled_request_is_not_told(void **state)
{
	struct outcome outcome = {0};
	(void)state;
	begin(ANSWERS, ANSWERS);
	struct clusterd_request *request = clusterd_key_put_begin(client, "first", "", 0, 0, CLUSTERD_ALWAYS, 20000,
	                                                          done, &outcome);
	turn();
	clusterd_request_cancel(request);
	assert_int_equal(put(20000).code, 0);
	assert_int_equal(outcome.calls, 0);
}

static void many_are_under_way_at_once(void **state)
{
	static struct outcome outcomes[200];
	(void)state;
	begin(CLOSES_ONCE_ASKED, ANSWERS);
	memset(outcomes, 0, sizeof outcomes);
	for (int i = 0; i < 200; i++)
		clusterd_key_put_begin(client, "k", "", 0, 0, CLUSTERD_ALWAYS, 20000, done, &outcomes[i]);
	for (int finished = 0; finished < 200;) {
		turn();
		finished = 0;
		for (int i = 0; i < 200; i++)
			finished += outcomes[i].calls;
	}
	assert_int_equal(fakes[1].asked, 200);
	assert_int_equal(fakes[1].sequence, 200);
	assert_int_equal(fakes[1].session, 1);
}

static void options_are_checked(void **state)
{
	struct clusterd_client_options options = CLUSTERD_CLIENT_OPTIONS;
	(void)state;
	assert_int_equal(clusterd_client_create(&options, &client, &error), CLUSTERD_ERR_INVALID);
	options.addresses = "here";
	assert_int_equal(clusterd_client_create(&options, &client, &error), CLUSTERD_ERR_INVALID);
	options.addresses = ",,";
	assert_int_equal(clusterd_client_create(&options, &client, &error), CLUSTERD_ERR_INVALID);
	options.addresses = "127.0.0.1:1";
	options.consistency = 3;
	assert_int_equal(clusterd_client_create(&options, &client, &error), CLUSTERD_ERR_INVALID);
	/* A program that knew fewer of them. */
	options.size = offsetof(struct clusterd_client_options, consistency);
	assert_int_equal(clusterd_client_create(&options, &client, &error), 0);
	assert_int_equal(clusterd_client_timeout_ms(client), -1);
}

static void what_is_under_way_goes_with_the_client(void **state)
{
	struct outcome outcome = {0};
	(void)state;
	begin(IS_MUTE, IS_MUTE);
	clusterd_key_put_begin(client, "k", "", 0, 0, CLUSTERD_ALWAYS, CLUSTERD_NO_TIMEOUT, done, &outcome);
	while (fakes[0].welcomed == 0)
		turn();
	clusterd_client_destroy(client);
	client = NULL;
	assert_int_equal(outcome.calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(node_that_says_garbage_is_left, teardown),
		cmocka_unit_test_teardown(node_that_garbles_is_left, teardown),
		cmocka_unit_test_teardown(node_that_closes_is_left, teardown),
		cmocka_unit_test_teardown(node_that_says_no_welcome_is_left, teardown),
		cmocka_unit_test_teardown(node_that_says_nothing_more_is_left, teardown),
		cmocka_unit_test_teardown(node_without_a_leader_is_left, teardown),
		cmocka_unit_test_teardown(request_is_sent_again_with_its_session_and_sequence, teardown),
		cmocka_unit_test_teardown(busy_node_is_asked_again, teardown),
		cmocka_unit_test_teardown(request_of_a_session_that_is_gone_goes_into_another, teardown),
		cmocka_unit_test_teardown(time_runs_out, teardown),
		cmocka_unit_test_teardown(mute_node_is_left_by_many_short_requests, teardown),
		cmocka_unit_test_teardown(nobody_there_is_said_when_the_time_is_out, teardown),
		cmocka_unit_test_teardown(refused_token_ends_it, teardown),
		cmocka_unit_test_teardown(another_answer_than_was_asked_is_no_answer, teardown),
		cmocka_unit_test_teardown(request_larger_than_a_frame_is_refused, teardown),
		cmocka_unit_test_teardown(cancelled_request_is_not_told, teardown),
		cmocka_unit_test_teardown(many_are_under_way_at_once, teardown),
		cmocka_unit_test_teardown(options_are_checked, teardown),
		cmocka_unit_test_teardown(what_is_under_way_goes_with_the_client, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
