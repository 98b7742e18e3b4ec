#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "daemon/node_internal.h"
#include "daemon/parked.h"
#include "node_fixture.h"
#include "wire/message.h"

enum { CLIENT = 1, OTHER_CLIENT = 2 };
enum { ALICE = 8, BOB = 9 }; /* the other members */

static const char source[] = "process Work(x: Number) -> Text {}\n"
			     "workflow One(x: Number) -> Text { Work(x) }\n";

struct world {
	struct node_fixture fixture;
	uint64_t session;
	uint64_t sequence;
	struct arena arena;
};

static int setup(void **state)
{
	struct world *world = mem_zero(sizeof *world);
	node_fixture_init_group(&world->fixture);
	world->session = node_fixture_open_session(&world->fixture, CLIENT);
	world->sequence = 1;
	node_fixture_register(&world->fixture, CLIENT, world->session, world->sequence++, source);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;
	node_fixture_finish(&world->fixture);
	arena_finish(&world->arena);
	mem_free(world);
	return 0;
}

static void follow(struct world *world, uint64_t leader, uint64_t term)
{
	node_fixture_follow(&world->fixture, leader, term);
}

/* The node says that both begin anew. */
static void connect_to(struct world *world, uint64_t member)
{
	struct peer_frame frame;
	node_peer_up(world->fixture.node, member);
	assert_true(node_fixture_sent(&world->fixture, FRAME_FORWARD_CANCEL, &frame));
	assert_true(frame.member == member && frame.stream == 0);
	node_fixture_frame_finish(&frame);
	assert_true(node_fixture_sent(&world->fixture, FRAME_FORWARDED, &frame));
	assert_true(frame.member == member && frame.stream == 0);
	node_fixture_frame_finish(&frame);
	node_fixture_settle(&world->fixture);
}

static void disconnect_from(struct world *world, uint64_t member)
{
	node_peer_down(world->fixture.node, member);
	node_fixture_settle(&world->fixture);
}

static void request_start(struct world *world, Clusterd__Wire__Request *request, Clusterd__Wire__Start *body)
{
	clusterd__wire__request__init(request);
	clusterd__wire__start__init(body);
	body->process = (char *)(uintptr_t) "One";
	request->session = world->session;
	request->sequence = world->sequence++;
	request->body_case = CLUSTERD__WIRE__REQUEST__BODY_START;
	request->start = body;
}

static uint32_t ask_start(struct world *world, uint64_t connection, uint32_t timeout_ms)
{
	Clusterd__Wire__Request request;
	Clusterd__Wire__Start body;
	request_start(world, &request, &body);
	request.timeout_ms = timeout_ms;
	uint32_t stream = node_fixture_ask(&world->fixture, connection, &request, SLICE("{\"x\":1}"));
	node_fixture_settle(&world->fixture);
	return stream;
}

static void ask_wait(struct world *world, uint64_t instance, Clusterd__Wire__Consistency consistency)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Wait body = CLUSTERD__WIRE__WAIT__INIT;
	body.instance = instance;
	request.consistency = consistency;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_WAIT;
	request.wait = &body;
	node_fixture_ask(&world->fixture, CLIENT, &request, SLICE(""));
	node_fixture_settle(&world->fixture);
}

/* A request has gone to the member; returns its stream. */
static uint32_t expect_forward(struct world *world, uint64_t member, uint64_t sequence)
{
	struct peer_frame frame;
	ProtobufCMessage *message;
	if (!node_fixture_sent(&world->fixture, FRAME_FORWARD, &frame))
		fail_msg("nothing was forwarded");
	assert_int_equal(frame.member, member);
	assert_int_equal(message_unpack(&clusterd__wire__request__descriptor, buffer_slice(&frame.message),
	                                &world->arena, &message, NULL),
	                 0);
	const Clusterd__Wire__Request *request = (const Clusterd__Wire__Request *)message;
	assert_int_equal(request->session, world->session);
	assert_int_equal(request->sequence, sequence);
	assert_true(slice_is(buffer_slice(&frame.payload), "{\"x\":1}"));
	node_fixture_frame_finish(&frame);
	return frame.stream;
}

static void expect_cancel(struct world *world, uint64_t member, uint32_t stream)
{
	struct peer_frame frame;
	if (!node_fixture_sent(&world->fixture, FRAME_FORWARD_CANCEL, &frame))
		fail_msg("nothing was cancelled");
	assert_int_equal(frame.member, member);
	assert_int_equal(frame.stream, stream);
	node_fixture_frame_finish(&frame);
}

/* Nothing was said but who is there, and nothing asked but what others can run and have to run. */
static void expect_quiet(struct world *world)
{
	for (size_t i = 0; i < world->fixture.frame_count; i++) {
		int type = world->fixture.frames[i].type;
		assert_true(type == FRAME_PRESENCE || type == FRAME_SURVEY || type == FRAME_TASKS);
	}
}

static void answer_started(struct world *world, uint64_t member, uint32_t stream, uint64_t instance)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Started started = CLUSTERD__WIRE__STARTED__INIT;
	started.instance = instance;
	response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_STARTED;
	response.started = &started;
	node_fixture_hear(&world->fixture, member, FRAME_FORWARDED, stream, &response.base, SLICE(""));
	node_fixture_settle(&world->fixture);
}

static void answer_error(struct world *world, uint64_t member, uint32_t stream, int code)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Error error = CLUSTERD__WIRE__ERROR__INIT;
	error.code = code;
	error.text = (char *)(uintptr_t) "no";
	response.error = &error;
	node_fixture_hear(&world->fixture, member, FRAME_FORWARDED, stream, &response.base, SLICE(""));
	node_fixture_settle(&world->fixture);
}

static void assert_started(const struct world *world, uint64_t instance)
{
	assert_int_equal(world->fixture.answered.code, 0);
	assert_int_equal(world->fixture.answered.body, CLUSTERD__WIRE__RESPONSE__BODY_STARTED);
	assert_int_equal(world->fixture.answered.number, instance);
}

static void assert_unanswered(const struct world *world, uint32_t before)
{
	assert_int_equal(world->fixture.answered.count, before);
}

/* --- a node that does not lead --------------------------------------------------------------------------------------- */

static void request_goes_to_the_leader_and_its_answer_back(void **state)
{
	struct world *world = *state;
	follow(world, ALICE, 10);
	connect_to(world, ALICE);
	uint32_t before = world->fixture.answered.count;
	ask_start(world, CLIENT, 0);
	uint32_t stream = expect_forward(world, ALICE, world->sequence - 1);
	assert_unanswered(world, before);
	answer_started(world, ALICE, stream, 4711);
	assert_started(world, 4711);
	answer_started(world, ALICE, stream, 4712); /* said twice: nobody waits for it any more */
	assert_int_equal(world->fixture.answered.number, 4711);
}

static void answer_of_another_member_counts_for_nothing(void **state)
{
	struct world *world = *state;
	follow(world, ALICE, 10);
	connect_to(world, ALICE);
	connect_to(world, BOB);
	uint32_t before = world->fixture.answered.count;
	ask_start(world, CLIENT, 0);
	uint32_t stream = expect_forward(world, ALICE, world->sequence - 1);
	answer_started(world, BOB, stream, 1);
	assert_unanswered(world, before);
	answer_started(world, ALICE, stream, 2);
	assert_started(world, 2);
}

static void request_goes_to_the_next_leader_when_there_is_another(void **state)
{
	struct world *world = *state;
	follow(world, ALICE, 10);
	connect_to(world, ALICE);
	connect_to(world, BOB);
	ask_start(world, CLIENT, 0);
	uint32_t first = expect_forward(world, ALICE, world->sequence - 1);
	follow(world, 0, 11);
	expect_quiet(world); /* it may still be answered */
	follow(world, BOB, 12);
	expect_cancel(world, ALICE, first);
	uint32_t second = expect_forward(world, BOB, world->sequence - 1);
	uint32_t before = world->fixture.answered.count;
	answer_started(world, ALICE, first, 1);
	assert_unanswered(world, before);
	answer_started(world, BOB, second, 2);
	assert_started(world, 2);
}

static void request_is_given_again_when_the_connection_is_new(void **state)
{
	struct world *world = *state;
	follow(world, ALICE, 10);
	connect_to(world, ALICE);
	ask_start(world, CLIENT, 0);
	expect_forward(world, ALICE, world->sequence - 1);
	disconnect_from(world, ALICE);
	expect_quiet(world);
	connect_to(world, ALICE);
	uint32_t stream = expect_forward(world, ALICE, world->sequence - 1);
	answer_started(world, ALICE, stream, 3);
	assert_started(world, 3);
	ask_start(world, CLIENT, 0);
	expect_forward(world, ALICE, world->sequence - 1);
	connect_to(world, ALICE); /* new without a word of the end of the last one */
	expect_forward(world, ALICE, world->sequence - 1);
}

static void leader_that_has_lost_its_answers_is_asked_for_all_of_them_again(void **state)
{
	struct world *world = *state;
	Clusterd__Wire__Response lost = CLUSTERD__WIRE__RESPONSE__INIT;
	follow(world, ALICE, 10);
	connect_to(world, ALICE);
	ask_start(world, CLIENT, 0);
	ask_start(world, CLIENT, 0);
	expect_forward(world, ALICE, world->sequence - 2);
	uint32_t second = expect_forward(world, ALICE, world->sequence - 1);
	answer_started(world, ALICE, second, 5);
	node_fixture_hear(&world->fixture, BOB, FRAME_FORWARDED, 0, &lost.base, SLICE(""));
	expect_quiet(world);
	node_fixture_hear(&world->fixture, ALICE, FRAME_FORWARDED, 0, &lost.base, SLICE(""));
	expect_cancel(world, ALICE, 0);
	uint32_t first = expect_forward(world, ALICE, world->sequence - 2);
	expect_quiet(world);
	answer_started(world, ALICE, first, 6);
	assert_started(world, 6);
}

static void member_that_refuses_is_asked_again_in_another_term_only(void **state)
{
	struct world *world = *state;
	follow(world, ALICE, 10);
	connect_to(world, ALICE);
	ask_start(world, CLIENT, 0);
	uint32_t before = world->fixture.answered.count;
	uint32_t stream = expect_forward(world, ALICE, world->sequence - 1);
	answer_error(world, ALICE, stream, ERR_NOT_LEADER);
	node_fixture_pass(&world->fixture, 1000);
	expect_quiet(world);
	assert_unanswered(world, before);
	follow(world, ALICE, 11);
	stream = expect_forward(world, ALICE, world->sequence - 1);
	answer_error(world, ALICE, stream, ERR_CONFLICT); /* this one is an answer */
	assert_int_equal(world->fixture.answered.code, ERR_CONFLICT);
}

static void request_without_a_leader_waits_and_is_refused_in_the_end(void **state)
{
	struct world *world = *state;
	follow(world, 0, 10);
	uint32_t before = world->fixture.answered.count;
	ask_start(world, CLIENT, 0);
	node_fixture_pass(&world->fixture, PARKED_WAIT_MS - 1);
	assert_unanswered(world, before);
	node_fixture_pass(&world->fixture, 50);
	assert_int_equal(world->fixture.answered.code, ERR_NOT_LEADER);
	assert_int_equal(world->fixture.answered.retry_after_ms, 100);
	expect_quiet(world);
}

static void client_says_how_long_it_waits(void **state)
{
	struct world *world = *state;
	follow(world, 0, 10);
	uint32_t before = world->fixture.answered.count;
	ask_start(world, CLIENT, 300);
	node_fixture_pass(&world->fixture, 290);
	assert_unanswered(world, before);
	node_fixture_pass(&world->fixture, 50);
	assert_int_equal(world->fixture.answered.code, ERR_NOT_LEADER);
	/* The same of a leader that does not answer: it is told that nobody waits any more. */
	follow(world, ALICE, 11);
	connect_to(world, ALICE);
	ask_start(world, CLIENT, 30000);
	uint32_t stream = expect_forward(world, ALICE, world->sequence - 1);
	before = world->fixture.answered.count;
	node_fixture_pass(&world->fixture, 20000);
	assert_unanswered(world, before);
	node_fixture_pass(&world->fixture, 11000);
	assert_int_equal(world->fixture.answered.code, ERR_TIMEOUT);
	expect_cancel(world, ALICE, stream);
}

static void leader_that_takes_its_time_is_waited_for(void **state)
{
	struct world *world = *state;
	follow(world, ALICE, 10);
	connect_to(world, ALICE);
	uint32_t before = world->fixture.answered.count;
	ask_start(world, CLIENT, 0);
	uint32_t stream = expect_forward(world, ALICE, world->sequence - 1);
	node_fixture_pass(&world->fixture, 600 * 1000);
	assert_unanswered(world, before);
	answer_started(world, ALICE, stream, 3);
	assert_started(world, 3);
}

static void client_that_leaves_takes_its_requests_along(void **state)
{
	struct world *world = *state;
	follow(world, ALICE, 10);
	connect_to(world, ALICE);
	uint32_t mine = ask_start(world, CLIENT, 0);
	uint32_t first = expect_forward(world, ALICE, world->sequence - 1);
	ask_start(world, OTHER_CLIENT, 0);
	uint32_t second = expect_forward(world, ALICE, world->sequence - 1);
	node_fixture_cancel(&world->fixture, CLIENT, mine);
	expect_cancel(world, ALICE, first);
	node_fixture_close(&world->fixture, OTHER_CLIENT);
	expect_cancel(world, ALICE, second);
	answer_started(world, ALICE, first, 1);
	answer_started(world, ALICE, second, 2);
	expect_quiet(world);
	assert_int_equal(node_fixture_status(&world->fixture, "requests_waiting"), 0);
}

static void requests_that_wait_have_limits(void **state)
{
	struct world *world = *state;
	struct buffer large = BUFFER_EMPTY;
	Clusterd__Wire__Request request;
	Clusterd__Wire__Start body;
	follow(world, 0, 10);
	for (uint32_t i = 0; i < PARKED_MAX; i++) {
		request_start(world, &request, &body);
		node_fixture_ask(&world->fixture, 1 + i % 2, &request, SLICE("{\"x\":1}"));
	}
	ask_start(world, CLIENT, 0);
	assert_int_equal(world->fixture.answered.code, ERR_BUSY);
	node_fixture_close(&world->fixture, 1);
	node_fixture_close(&world->fixture, 2);
	buffer_reserve(&large, 15u << 20);
	memset(large.data, ' ', large.size = 15u << 20);
	uint32_t before = world->fixture.answered.count;
	for (int i = 0; i < 5; i++) {
		request_start(world, &request, &body);
		node_fixture_ask(&world->fixture, CLIENT, &request, buffer_slice(&large));
	}
	assert_int_equal(world->fixture.answered.count, before + 1);
	assert_int_equal(world->fixture.answered.code, ERR_BUSY);
	buffer_finish(&large);
}

static void what_waited_is_carried_out_when_the_node_leads_itself(void **state)
{
	struct world *world = *state;
	follow(world, ALICE, 10);
	connect_to(world, ALICE);
	ask_start(world, CLIENT, 0);
	uint32_t stream = expect_forward(world, ALICE, world->sequence - 1);
	disconnect_from(world, ALICE);
	ask_start(world, CLIENT, 0);
	connect_to(world, ALICE);
	expect_forward(world, ALICE, world->sequence - 2);
	expect_forward(world, ALICE, world->sequence - 1);
	node_fixture_lead(&world->fixture);
	expect_cancel(world, ALICE, stream);
	assert_started(world, world->fixture.answered.number);
	assert_int_equal(node_fixture_status(&world->fixture, "requests_waiting"), 0);
	node_fixture_compare(&world->fixture);
}

/* Leadership is asked for to be handed over; the answer comes from nobody. */
static void hand_over_that_was_done_is_not_done_once_more(void **state)
{
	struct world *world = *state;
	struct peer_frame frame;
	ProtobufCMessage *message;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Transfer body = CLUSTERD__WIRE__TRANSFER__INIT;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_TRANSFER;
	request.transfer = &body;
	follow(world, ALICE, 10);
	connect_to(world, ALICE);
	connect_to(world, BOB);
	uint32_t before = world->fixture.answered.count;
	node_fixture_ask(&world->fixture, CLIENT, &request, SLICE(""));
	node_fixture_settle(&world->fixture);
	for (uint64_t leader = ALICE; leader <= BOB; leader++) {
		follow(world, leader, 10 + leader);
		assert_true(node_fixture_sent(&world->fixture, FRAME_FORWARD, &frame));
		assert_int_equal(frame.member, leader);
		assert_int_equal(message_unpack(&clusterd__wire__request__descriptor, buffer_slice(&frame.message),
		                                &world->arena, &message, NULL),
		                 0);
		/* BOB is to know that it was ALICE's to do. */
		assert_int_equal(((const Clusterd__Wire__Request *)message)->transfer->from, leader == BOB ? ALICE : 0);
		node_fixture_frame_finish(&frame);
	}
	assert_unanswered(world, before);
	node_fixture_lead(&world->fixture);
	assert_int_equal(world->fixture.answered.count, before + 1);
	assert_int_equal(world->fixture.answered.code, 0);
	assert_int_equal(raft_transferee(world->fixture.node->raft), 0);
}

/* --- a node that leads --------------------------------------------------------------------------------------------- */

static void forward_start(struct world *world, uint64_t member, uint32_t stream, uint64_t sequence, bool wait)
{
	Clusterd__Wire__Request request;
	Clusterd__Wire__Start body;
	request_start(world, &request, &body);
	request.sequence = sequence;
	body.wait = wait;
	node_fixture_hear(&world->fixture, member, FRAME_FORWARD, stream, &request.base, SLICE("{\"x\":1}"));
	node_fixture_settle(&world->fixture);
}

/* What the member was answered; valid until the next one. */
static const Clusterd__Wire__Response *expect_forwarded(struct world *world, uint64_t member, uint32_t stream)
{
	struct peer_frame frame;
	ProtobufCMessage *message;
	if (!node_fixture_sent(&world->fixture, FRAME_FORWARDED, &frame))
		fail_msg("nothing was answered");
	assert_int_equal(frame.member, member);
	assert_int_equal(frame.stream, stream);
	arena_reset(&world->arena);
	assert_int_equal(message_unpack(&clusterd__wire__response__descriptor, buffer_slice(&frame.message),
	                                &world->arena, &message, NULL),
	                 0);
	node_fixture_frame_finish(&frame);
	return (const Clusterd__Wire__Response *)message;
}

static void request_of_another_node_is_carried_out_once(void **state)
{
	struct world *world = *state;
	connect_to(world, ALICE);
	connect_to(world, BOB);
	uint64_t sequence = world->sequence;
	forward_start(world, ALICE, 31, sequence, false);
	const Clusterd__Wire__Response *response = expect_forwarded(world, ALICE, 31);
	assert_int_equal(response->body_case, CLUSTERD__WIRE__RESPONSE__BODY_STARTED);
	uint64_t instance = response->started->instance;
	/* Again, by the same node and by another one that the client has gone to. */
	forward_start(world, ALICE, 32, sequence, false);
	assert_int_equal(expect_forwarded(world, ALICE, 32)->started->instance, instance);
	forward_start(world, BOB, 1, sequence, false);
	assert_int_equal(expect_forwarded(world, BOB, 1)->started->instance, instance);
	node_fixture_compare(&world->fixture);
}

static void hand_over_that_another_node_asks_for_is_answered_when_it_is_done(void **state)
{
	struct world *world = *state;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Transfer body = CLUSTERD__WIRE__TRANSFER__INIT;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_TRANSFER;
	request.transfer = &body;
	connect_to(world, ALICE);
	node_fixture_hear(&world->fixture, ALICE, FRAME_FORWARD, 77, &request.base, SLICE(""));
	node_fixture_settle(&world->fixture);
	expect_quiet(world);
	follow(world, BOB, 10);
	assert_null(expect_forwarded(world, ALICE, 77)->error);
}

static void node_that_does_not_lead_refuses_what_another_forwards(void **state)
{
	struct world *world = *state;
	follow(world, ALICE, 10);
	connect_to(world, ALICE);
	connect_to(world, BOB);
	forward_start(world, BOB, 5, world->sequence, false);
	const Clusterd__Wire__Response *response = expect_forwarded(world, BOB, 5);
	assert_int_equal(response->error->code, ERR_NOT_LEADER);
	assert_int_equal(response->error->leader, ALICE);
	assert_int_equal(response->error->retry_after_ms, 100);
	expect_quiet(world);
}

static void waiters_of_another_node_end_with_its_connection(void **state)
{
	struct world *world = *state;
	connect_to(world, ALICE);
	forward_start(world, ALICE, 1, world->sequence, true);
	forward_start(world, ALICE, 2, world->sequence, true);
	assert_int_equal(node_fixture_status(&world->fixture, "requests_waiting"), 2);
	node_fixture_hear(&world->fixture, ALICE, FRAME_FORWARD_CANCEL, 1, NULL, SLICE(""));
	assert_int_equal(node_fixture_status(&world->fixture, "requests_waiting"), 1);
	disconnect_from(world, ALICE);
	assert_int_equal(node_fixture_status(&world->fixture, "requests_waiting"), 0);
	expect_quiet(world);
	connect_to(world, ALICE);
	forward_start(world, ALICE, 3, world->sequence, true);
	forward_start(world, ALICE, 4, world->sequence, true);
	assert_int_equal(node_fixture_status(&world->fixture, "requests_waiting"), 2);
	node_fixture_hear(&world->fixture, ALICE, FRAME_FORWARD_CANCEL, 0, NULL, SLICE(""));
	assert_int_equal(node_fixture_status(&world->fixture, "requests_waiting"), 0);
}

/* --- sessions ------------------------------------------------------------------------------------------------------ */

static void hear_presence(struct world *world, uint64_t session)
{
	Clusterd__Wire__Presence presence = CLUSTERD__WIRE__PRESENCE__INIT;
	uint64_t sessions[] = {session, 999};
	presence.sessions = sessions;
	presence.n_sessions = 2;
	node_fixture_hear(&world->fixture, ALICE, FRAME_PRESENCE, 0, &presence.base, SLICE(""));
}

static bool session_is_there(struct world *world)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Cancel body = CLUSTERD__WIRE__CANCEL__INIT;
	request.session = world->session;
	request.sequence = world->sequence++;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_CANCEL;
	request.cancel = &body;
	node_fixture_ask(&world->fixture, OTHER_CLIENT, &request, SLICE(""));
	node_fixture_settle(&world->fixture);
	return world->fixture.answered.code != ERR_EXPIRED;
}

static void session_behind_another_node_lives_while_it_is_told_of(void **state)
{
	struct world *world = *state;
	connect_to(world, ALICE);
	node_fixture_close(&world->fixture, CLIENT);
	for (int i = 0; i < 20; i++) {
		node_fixture_pass(&world->fixture, 20000);
		hear_presence(world, world->session);
	}
	/* A request of it keeps it for its time, the connection between the nodes does not. */
	forward_start(world, ALICE, 1, world->sequence, false);
	assert_int_equal(expect_forwarded(world, ALICE, 1)->error, NULL);
	for (int i = 0; i < 8; i++)
		node_fixture_pass(&world->fixture, 10000);
	assert_false(session_is_there(world));
}

static void leader_is_told_of_sessions_whose_clients_are_connected(void **state)
{
	struct world *world = *state;
	struct peer_frame frame;
	ProtobufCMessage *message;
	follow(world, ALICE, 10);
	connect_to(world, ALICE);
	ask_start(world, CLIENT, 0);
	uint32_t told = 0;
	for (int i = 0; i < 9; i++) {
		node_fixture_pass(&world->fixture, 20000);
		while (node_fixture_sent(&world->fixture, FRAME_PRESENCE, &frame)) {
			assert_int_equal(frame.member, ALICE);
			assert_int_equal(message_unpack(&clusterd__wire__presence__descriptor,
			                                buffer_slice(&frame.message), &world->arena, &message, NULL),
			                 0);
			const Clusterd__Wire__Presence *presence = (const Clusterd__Wire__Presence *)message;
			assert_int_equal(presence->n_sessions, 1);
			assert_int_equal(presence->sessions[0], world->session);
			node_fixture_frame_finish(&frame);
			told++;
		}
	}
	assert_in_range(told, 9, 11);
	node_fixture_close(&world->fixture, CLIENT);
	node_fixture_pass(&world->fixture, 100000);
	assert_false(node_fixture_sent(&world->fixture, FRAME_PRESENCE, &frame));
}

static void leader_is_told_at_once_of_a_session_whose_client_has_just_come(void **state)
{
	struct world *world = *state;
	struct peer_frame frame;
	follow(world, ALICE, 10);
	connect_to(world, ALICE);
	node_fixture_close(&world->fixture, CLIENT);
	node_fixture_pass(&world->fixture, 100000);
	while (node_fixture_sent(&world->fixture, FRAME_PRESENCE, &frame))
		node_fixture_frame_finish(&frame);
	ask_start(world, OTHER_CLIENT, 0);
	assert_true(node_fixture_sent(&world->fixture, FRAME_PRESENCE, &frame));
	assert_int_equal(frame.member, ALICE);
	do
		node_fixture_frame_finish(&frame);
	while (node_fixture_sent(&world->fixture, FRAME_PRESENCE, &frame));
	ask_start(world, OTHER_CLIENT, 0);
	assert_false(node_fixture_sent(&world->fixture, FRAME_PRESENCE, &frame));
}

/* --- reads --------------------------------------------------------------------------------------------------------- */

static void read_waits_until_somebody_leads_unless_this_node_alone_is_asked(void **state)
{
	struct world *world = *state;
	uint64_t instance = node_fixture_start(&world->fixture, CLIENT, world->session, world->sequence++, "One",
	                                       "{\"x\":1}");
	follow(world, 0, 10);
	uint32_t before = world->fixture.answered.count;
	ask_wait(world, instance + 1, CLUSTERD__WIRE__CONSISTENCY__CONSISTENCY_LINEARIZABLE);
	node_fixture_pass(&world->fixture, 5000);
	assert_unanswered(world, before);
	ask_wait(world, instance + 1, CLUSTERD__WIRE__CONSISTENCY__CONSISTENCY_LOCAL);
	assert_int_equal(world->fixture.answered.code, ERR_NOT_FOUND);
	node_fixture_pass(&world->fixture, 5050);
	assert_int_equal(world->fixture.answered.count, before + 2);
	assert_int_equal(world->fixture.answered.code, ERR_NOT_LEADER);
	ask_wait(world, instance + 1, CLUSTERD__WIRE__CONSISTENCY__CONSISTENCY_LEADER);
	node_fixture_lead(&world->fixture);
	node_fixture_pass(&world->fixture, 100);
	assert_int_equal(world->fixture.answered.count, before + 3);
	assert_int_equal(world->fixture.answered.code, ERR_NOT_FOUND);
}

static void read_asks_the_leader_what_must_be_applied(void **state)
{
	struct world *world = *state;
	struct node_fixture *fixture = &world->fixture;
	uint64_t instance = node_fixture_start(fixture, CLIENT, world->session, world->sequence++, "One", "{\"x\":1}");
	follow(world, ALICE, 10);
	uint32_t before = fixture->answered.count;
	ask_wait(world, instance + 1, CLUSTERD__WIRE__CONSISTENCY__CONSISTENCY_LINEARIZABLE);
	assert_int_equal(fixture->read_member, ALICE);
	uint64_t first = fixture->read_id;
	assert_unanswered(world, before);
	/* The answer was lost: it is asked for again, under another id. */
	node_fixture_pass(fixture, 1000);
	assert_int_not_equal(fixture->read_id, first);
	assert_unanswered(world, before);
	node_fixture_allow_read(fixture, node_applied_index(fixture->node) + 1);
	node_fixture_pass(fixture, 1000);
	assert_unanswered(world, before); /* there is more than this node has */
	/* Another one leads, and knows of no more. */
	follow(world, BOB, 11);
	ask_wait(world, instance + 2, CLUSTERD__WIRE__CONSISTENCY__CONSISTENCY_LINEARIZABLE);
	assert_int_equal(fixture->read_member, BOB);
	node_fixture_allow_read(fixture, node_applied_index(fixture->node));
	assert_int_equal(fixture->answered.count, before + 1);
	assert_int_equal(fixture->answered.code, ERR_NOT_FOUND);
}

static void what_is_about_the_group_waits_for_the_leader_too(void **state)
{
	struct world *world = *state;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Promote body = CLUSTERD__WIRE__PROMOTE__INIT;
	body.member = (char *)(uintptr_t) "nobody";
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_PROMOTE;
	request.promote = &body;
	follow(world, 0, 10);
	uint32_t before = world->fixture.answered.count;
	node_fixture_ask(&world->fixture, CLIENT, &request, SLICE(""));
	node_fixture_settle(&world->fixture);
	assert_unanswered(world, before);
	node_fixture_lead(&world->fixture);
	assert_int_equal(world->fixture.answered.count, before + 1);
	assert_int_equal(world->fixture.answered.code, ERR_NOT_FOUND);
}

static void who_waits_is_told_what_a_copy_of_the_catalog_has_brought(void **state)
{
	struct world *world = *state;
	struct node_fixture *fixture = &world->fixture;
	uint64_t instance = node_fixture_start(fixture, CLIENT, world->session, world->sequence++, "One", "{\"x\":1}");
	uint64_t other = node_fixture_start(fixture, CLIENT, world->session, world->sequence++, "One", "{\"x\":1}");
	ask_wait(world, instance, CLUSTERD__WIRE__CONSISTENCY__CONSISTENCY_LINEARIZABLE);
	ask_wait(world, other, CLUSTERD__WIRE__CONSISTENCY__CONSISTENCY_LINEARIZABLE);
	uint32_t before = fixture->answered.count;
	struct catalog_instance row;
	node_settle(fixture->node);
	assert_int_equal(catalog_begin(fixture->catalog), 0);
	assert_int_equal(catalog_instance_read(fixture->catalog, instance, &row), 0);
	row.state = SLICE("cancelled");
	row.finished_ms = 1;
	assert_int_equal(catalog_instance_update(fixture->catalog, &row), 0);
	assert_int_equal(catalog_commit(fixture->catalog), 0);
	requests_look_again(fixture->node);
	assert_int_equal(fixture->answered.count, before + 1);
	assert_int_equal(fixture->answered.number, instance);
	assert_string_equal(fixture->answered.state, "cancelled");
	assert_int_equal(node_fixture_status(fixture, "requests_waiting"), 1);
}

/* --- for one member, whoever leads ---------------------------------------------------------------------------------- */

static void ask_output(struct world *world, uint64_t member, uint32_t timeout_ms)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__ReadOutput body = CLUSTERD__WIRE__READ_OUTPUT__INIT;
	body.allocation = 5;
	body.node = member;
	request.timeout_ms = timeout_ms;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_READ_OUTPUT;
	request.read_output = &body;
	node_fixture_ask(&world->fixture, CLIENT, &request, SLICE(""));
	node_fixture_settle(&world->fixture);
}

static uint32_t expect_given(struct world *world, uint64_t member)
{
	struct peer_frame frame;
	if (!node_fixture_sent(&world->fixture, FRAME_FORWARD, &frame))
		fail_msg("nothing was given on");
	assert_int_equal(frame.member, member);
	node_fixture_frame_finish(&frame);
	return frame.stream;
}

static void answer_output(struct world *world, uint64_t member, uint32_t stream)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Output output = CLUSTERD__WIRE__OUTPUT__INIT;
	response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_OUTPUT;
	response.output = &output;
	node_fixture_hear(&world->fixture, member, FRAME_FORWARDED, stream, &response.base, SLICE("hello"));
	node_fixture_settle(&world->fixture);
}

static void assert_output(const struct world *world)
{
	assert_int_equal(world->fixture.answered.code, 0);
	assert_true(slice_is(buffer_slice(&world->fixture.answered.payload), "hello"));
}

static void request_for_a_member_goes_to_it_whoever_leads(void **state)
{
	struct world *world = *state;
	connect_to(world, ALICE);
	connect_to(world, BOB);
	ask_output(world, ALICE, 0); /* this node leads */
	answer_output(world, ALICE, expect_given(world, ALICE));
	assert_output(world);
	follow(world, BOB, 10);
	ask_output(world, ALICE, 0);
	uint32_t stream = expect_given(world, ALICE);
	uint32_t before = world->fixture.answered.count;
	follow(world, ALICE, 11);
	follow(world, 0, 12);
	follow(world, BOB, 13);
	expect_quiet(world);
	answer_output(world, BOB, stream);
	assert_unanswered(world, before);
	answer_output(world, ALICE, stream);
	assert_output(world);
}

static void member_that_is_not_reached_is_tried_and_given_its_request_later(void **state)
{
	struct world *world = *state;
	struct peer_frame frame;
	connect_to(world, ALICE);
	ask_output(world, ALICE, 0);
	expect_given(world, ALICE);
	uint32_t before = world->fixture.answered.count;
	disconnect_from(world, ALICE);
	node_fixture_pass(&world->fixture, 100);
	expect_cancel(world, ALICE, 0); /* to make a connection */
	node_fixture_pass(&world->fixture, 1000);
	expect_cancel(world, ALICE, 0);
	assert_unanswered(world, before);
	while (node_fixture_sent(&world->fixture, FRAME_FORWARD_CANCEL, &frame))
		node_fixture_frame_finish(&frame);
	connect_to(world, ALICE);
	answer_output(world, ALICE, expect_given(world, ALICE));
	assert_output(world);
	/* Nor is it waited for without end. */
	ask_output(world, ALICE, 0);
	disconnect_from(world, ALICE);
	before = world->fixture.answered.count;
	node_fixture_pass(&world->fixture, 4900);
	assert_unanswered(world, before);
	node_fixture_pass(&world->fixture, 300);
	assert_int_equal(world->fixture.answered.code, ERR_TIMEOUT);
}

static void refusal_of_the_member_is_an_answer(void **state)
{
	struct world *world = *state;
	connect_to(world, ALICE);
	ask_output(world, ALICE, 0);
	answer_error(world, ALICE, expect_given(world, ALICE), ERR_NOT_FOUND);
	assert_int_equal(world->fixture.answered.code, ERR_NOT_FOUND);
	ask_output(world, ALICE, 300);
	uint32_t stream = expect_given(world, ALICE);
	node_fixture_pass(&world->fixture, 400);
	assert_int_equal(world->fixture.answered.code, ERR_TIMEOUT);
	expect_cancel(world, ALICE, stream);
}

static void request_for_nobody_is_refused_at_once(void **state)
{
	struct world *world = *state;
	ask_output(world, 4711, 0);
	assert_int_equal(world->fixture.answered.code, ERR_NOT_FOUND);
	ask_output(world, NODE_FIXTURE_SELF, 0);
	assert_int_equal(world->fixture.answered.code, ERR_UNSUPPORTED); /* the fixture is no machine */
	expect_quiet(world);
}

static void request_that_is_for_another_is_not_passed_on_twice(void **state)
{
	struct world *world = *state;
	struct peer_frame frame;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__ReadOutput body = CLUSTERD__WIRE__READ_OUTPUT__INIT;
	connect_to(world, ALICE);
	connect_to(world, BOB);
	body.node = BOB;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_READ_OUTPUT;
	request.read_output = &body;
	node_fixture_hear(&world->fixture, ALICE, FRAME_FORWARD, 3, &request.base, SLICE(""));
	node_fixture_settle(&world->fixture);
	assert_false(node_fixture_sent(&world->fixture, FRAME_FORWARD, &frame));
	assert_true(node_fixture_sent(&world->fixture, FRAME_FORWARDED, &frame));
	assert_true(frame.member == ALICE && frame.stream == 3);
	node_fixture_frame_finish(&frame);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(request_goes_to_the_leader_and_its_answer_back),
		TEST(answer_of_another_member_counts_for_nothing),
		TEST(request_goes_to_the_next_leader_when_there_is_another),
		TEST(request_is_given_again_when_the_connection_is_new),
		TEST(leader_that_has_lost_its_answers_is_asked_for_all_of_them_again),
		TEST(member_that_refuses_is_asked_again_in_another_term_only),
		TEST(request_without_a_leader_waits_and_is_refused_in_the_end),
		TEST(client_says_how_long_it_waits),
		TEST(leader_that_takes_its_time_is_waited_for),
		TEST(client_that_leaves_takes_its_requests_along),
		TEST(requests_that_wait_have_limits),
		TEST(what_waited_is_carried_out_when_the_node_leads_itself),
		TEST(hand_over_that_was_done_is_not_done_once_more),
		TEST(request_of_another_node_is_carried_out_once),
		TEST(hand_over_that_another_node_asks_for_is_answered_when_it_is_done),
		TEST(node_that_does_not_lead_refuses_what_another_forwards),
		TEST(waiters_of_another_node_end_with_its_connection),
		TEST(session_behind_another_node_lives_while_it_is_told_of),
		TEST(leader_is_told_of_sessions_whose_clients_are_connected),
		TEST(leader_is_told_at_once_of_a_session_whose_client_has_just_come),
		TEST(read_asks_the_leader_what_must_be_applied),
		TEST(who_waits_is_told_what_a_copy_of_the_catalog_has_brought),
		TEST(what_is_about_the_group_waits_for_the_leader_too),
		TEST(request_for_a_member_goes_to_it_whoever_leads),
		TEST(member_that_is_not_reached_is_tried_and_given_its_request_later),
		TEST(refusal_of_the_member_is_an_answer),
		TEST(request_for_nobody_is_refused_at_once),
		TEST(request_that_is_for_another_is_not_passed_on_twice),
		TEST(read_waits_until_somebody_leads_unless_this_node_alone_is_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
