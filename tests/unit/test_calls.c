#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "call_messages.h"

/* How a leader hands out calls to other nodes, and what it does when they or leaders change. */

static const char source[] =
	"process Run(x: Number) -> Text { exec = [\"run\"]  retries = 1  backoff = 10ms }\n"
	"process Tagged(x: Number) -> Text { exec = [\"run\"]  on = [\"gpu\", \"zone=b\"] }\n"
	"process Work(x: Number) -> Text { }\n"
	"workflow One(x: Number) -> Text { Run(x) }\n"
	"workflow Picky(x: Number) -> Text { Tagged(x) }\n"
	"workflow Away(x: Number) -> Text { Work(x) }\n";

enum { CLIENT = 1, WORKER = 2, LEFT = 8, RIGHT = 9 };

struct world {
	struct node_fixture fixture;
	struct arena arena;
	uint64_t session;
	uint64_t sequence;
};

/* The node leads; it has 3 slots of its own. */
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

static uint64_t start(struct world *world, const char *workflow)
{
	return node_fixture_start(&world->fixture, CLIENT, world->session, world->sequence++, workflow, "{\"x\":1}");
}

static struct slice state_of(struct world *world, uint64_t instance)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Wait body = CLUSTERD__WIRE__WAIT__INIT;
	uint32_t before = world->fixture.answered.count;
	body.instance = instance;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_WAIT;
	request.wait = &body;
	uint32_t stream = node_fixture_ask(&world->fixture, CLIENT, &request, SLICE(""));
	node_fixture_settle(&world->fixture);
	if (world->fixture.answered.count != before)
		return slice_of(world->fixture.answered.state);
	node_fixture_cancel(&world->fixture, CLIENT, stream);
	return SLICE("running");
}

static void assert_state(struct world *world, uint64_t instance, const char *state)
{
	struct slice found = state_of(world, instance);
	if (!slice_is(found, state))
		fail_msg("workflow %llu is %.*s, not %s", (unsigned long long)instance, SLICE_ARGS(found), state);
}

static uint64_t term_of(const struct world *world)
{
	return world->fixture.term;
}

/* The last time that the member was asked. */
static uint64_t expect_survey(struct world *world, uint64_t member)
{
	struct peer_frame frame;
	uint64_t number = 0;
	while (node_fixture_sent(&world->fixture, FRAME_SURVEY, &frame)) {
		ProtobufCMessage *message;
		assert_int_equal(message_unpack(&clusterd__wire__survey__descriptor, buffer_slice(&frame.message), &world->arena,
		                                &message, NULL),
		                 0);
		const Clusterd__Wire__Survey *survey = (const Clusterd__Wire__Survey *)message;
		if (frame.member == member && survey->term == term_of(world))
			number = survey->number;
		node_fixture_frame_finish(&frame);
	}
	assert_int_not_equal(number, 0);
	return number;
}

struct told {
	const char *name;
	const char *tags;
	uint32_t slots;
	uint64_t worker;            /* the number of its place; 0: none */
	const struct call_id *call; /* that it runs; NULL: none */
	uint64_t call_place;
};

static void hear_answer(struct world *world, uint64_t member, uint64_t survey, bool answer, struct told told)
{
	Clusterd__Wire__Places places = CLUSTERD__WIRE__PLACES__INIT;
	Clusterd__Wire__Place place = CLUSTERD__WIRE__PLACE__INIT;
	Clusterd__Wire__Place *place_list[] = {&place};
	Clusterd__Wire__PlaceOffer offer = CLUSTERD__WIRE__PLACE_OFFER__INIT;
	Clusterd__Wire__PlaceOffer *offer_list[] = {&offer};
	Clusterd__Wire__Run run = CLUSTERD__WIRE__RUN__INIT;
	Clusterd__Wire__Run *run_list[] = {&run};
	places.term = term_of(world);
	places.survey = survey;
	places.answer = answer;
	places.node = (char *)(uintptr_t)told.name;
	places.tags = (char *)(uintptr_t)(told.tags != NULL ? told.tags : "{}");
	places.exec_slots = places.pool_calls = told.slots;
	places.places = place_list;
	places.offers = offer_list;
	places.runs = run_list;
	if (told.worker != 0) {
		places.n_places = places.n_offers = 1;
		place.id = offer.place = told.worker;
		place.credit = 1;
		offer.name = (char *)(uintptr_t) "Work";
	}
	if (told.call != NULL) {
		places.n_runs = 1;
		run.instance = told.call->instance;
		run.ref = told.call->ref;
		run.attempt = told.call->attempt;
		run.place = told.call_place;
	}
	node_fixture_hear(&world->fixture, member, FRAME_PLACES, 0, &places.base, SLICE(""));
	node_fixture_settle(&world->fixture);
}

/* The member can be heard, is asked, and answers. */
static uint64_t comes(struct world *world, uint64_t member, struct told told)
{
	node_peer_up(world->fixture.node, member);
	node_fixture_settle(&world->fixture);
	uint64_t survey = expect_survey(world, member);
	hear_answer(world, member, survey, true, told);
	return survey;
}

static struct call_id expect_order(struct world *world, uint64_t member)
{
	const Clusterd__Wire__Assignment *order = (const Clusterd__Wire__Assignment *)expect_frame(
		&world->fixture, member, FRAME_ASSIGNMENT, &world->arena, NULL, 0);
	assert_int_equal(order->term, term_of(world));
	return (struct call_id){order->instance, order->ref, order->attempt};
}

static void expect_taken(struct world *world, uint64_t member)
{
	expect_frame(&world->fixture, member, FRAME_RESULT_TAKEN, &world->arena, NULL, 0);
}

static void leads_again(struct world *world)
{
	node_fixture_follow(&world->fixture, RIGHT, world->fixture.term + 3);
	node_fixture_lead(&world->fixture);
}

/* --- places of other nodes ------------------------------------------------------------------------------------------ */

static void idle_node_is_preferred_to_the_leader_itself(void **state)
{
	struct world *world = *state;
	comes(world, LEFT, (struct told){.name = "left", .slots = 3});
	uint64_t id = start(world, "One");
	struct call_id call = expect_order(world, LEFT);
	assert_int_equal(world->fixture.call_count, 0);
	hear_result(&world->fixture, LEFT, call, false, false, "\"done\"");
	expect_taken(world, LEFT);
	assert_state(world, id, "completed");
	node_fixture_compare(&world->fixture);
}

static void load_is_spread_over_nodes(void **state)
{
	struct world *world = *state;
	comes(world, LEFT, (struct told){.name = "left", .slots = 3});
	comes(world, RIGHT, (struct told){.name = "right", .slots = 3});
	for (int i = 0; i < 9; i++)
		start(world, "One");
	for (int i = 0; i < 3; i++) {
		struct peer_frame frame;
		uint64_t members = 0;
		for (int k = 0; k < 2; k++) {
			assert_true(node_fixture_sent(&world->fixture, FRAME_ASSIGNMENT, &frame));
			members += frame.member;
			node_fixture_frame_finish(&frame);
		}
		assert_int_equal(members, LEFT + RIGHT);
	}
	assert_int_equal(world->fixture.call_count, 3);
}

static void process_goes_to_the_nodes_that_have_its_tags(void **state)
{
	struct world *world = *state;
	comes(world, LEFT, (struct told){.name = "left", .slots = 3, .tags = "{\"gpu\":\"a100\",\"zone\":\"a\"}"});
	start(world, "Picky");
	expect_no_frame(&world->fixture, FRAME_ASSIGNMENT);
	comes(world, RIGHT, (struct told){.name = "right", .slots = 3, .tags = "{\"gpu\":\"\",\"zone\":\"b\"}"});
	expect_order(world, RIGHT);
	assert_int_equal(world->fixture.call_count, 0);
}

static void worker_of_another_node_is_given_calls(void **state)
{
	struct world *world = *state;
	uint64_t id = start(world, "Away");
	comes(world, LEFT, (struct told){.name = "left", .worker = 5});
	struct call_id call = expect_order(world, LEFT);
	start(world, "Away"); /* beyond its credit */
	expect_no_frame(&world->fixture, FRAME_ASSIGNMENT);
	hear_result(&world->fixture, LEFT, call, false, false, "\"done\"");
	assert_state(world, id, "completed");
	expect_order(world, LEFT);
}

static void nothing_is_handed_out_to_a_node_before_it_has_answered(void **state)
{
	struct world *world = *state;
	start(world, "Away");
	node_peer_up(world->fixture.node, LEFT);
	node_fixture_settle(&world->fixture);
	uint64_t survey = expect_survey(world, LEFT);
	hear_answer(world, LEFT, survey, false, (struct told){.name = "left", .worker = 5});
	hear_answer(world, LEFT, survey + 1, true, (struct told){.name = "left", .worker = 5});
	expect_no_frame(&world->fixture, FRAME_ASSIGNMENT);
	node_fixture_pass(&world->fixture, 1000);
	survey = expect_survey(world, LEFT); /* asked again */
	hear_answer(world, LEFT, survey, true, (struct told){.name = "left", .worker = 5});
	expect_order(world, LEFT);
}

static void refused_call_is_handed_out_again_as_another_attempt(void **state)
{
	struct world *world = *state;
	comes(world, LEFT, (struct told){.name = "left", .slots = 3});
	start(world, "One");
	struct call_id call = expect_order(world, LEFT);
	hear_result(&world->fixture, LEFT, call, true, true, "");
	expect_no_frame(&world->fixture, FRAME_ASSIGNMENT);
	node_fixture_pass(&world->fixture, 300);
	assert_true(expect_order(world, LEFT).attempt > call.attempt);
}

static void cancelled_call_is_stopped_where_it_runs(void **state)
{
	struct world *world = *state;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Cancel body = CLUSTERD__WIRE__CANCEL__INIT;
	comes(world, LEFT, (struct told){.name = "left", .slots = 3});
	body.instance = start(world, "One");
	expect_order(world, LEFT);
	request.session = world->session;
	request.sequence = world->sequence++;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_CANCEL;
	request.cancel = &body;
	node_fixture_ask(&world->fixture, CLIENT, &request, SLICE(""));
	node_fixture_settle(&world->fixture);
	expect_frame(&world->fixture, LEFT, FRAME_ABANDON, &world->arena, NULL, 0);
}

/* --- nodes come and go ---------------------------------------------------------------------------------------------- */

static void call_of_a_node_that_is_declared_dead_is_handed_out_again_at_once(void **state)
{
	struct world *world = *state;
	comes(world, LEFT, (struct told){.name = "left", .slots = 3});
	uint64_t id = start(world, "One");
	struct call_id call = expect_order(world, LEFT);
	node_peer_down(world->fixture.node, LEFT);
	node_fixture_pass(&world->fixture, 2000);
	assert_int_equal(world->fixture.call_count, 0);
	node_member_dead(world->fixture.node, LEFT, "left");
	node_fixture_settle(&world->fixture);
	assert_int_equal(world->fixture.call_count, 1);
	assert_true(world->fixture.calls[0].id.attempt > call.attempt);
	/* It did not count as an attempt that failed: one retry is still there. */
	node_fixture_return(&world->fixture, 0, true, false, SLICE("no"), SLICE(""));
	node_fixture_pass(&world->fixture, 20);
	assert_int_equal(world->fixture.call_count, 1);
	node_fixture_return(&world->fixture, 0, false, false, SLICE("\"yes\""), SLICE(""));
	assert_state(world, id, "completed");
}

static void call_of_a_node_that_is_not_heard_waits_ten_seconds(void **state)
{
	struct world *world = *state;
	comes(world, LEFT, (struct told){.name = "left", .slots = 3});
	start(world, "One");
	expect_order(world, LEFT);
	node_peer_down(world->fixture.node, LEFT);
	node_fixture_pass(&world->fixture, 9900);
	assert_int_equal(world->fixture.call_count, 0);
	node_fixture_pass(&world->fixture, 200);
	assert_int_equal(world->fixture.call_count, 1);
}

static void call_goes_on_after_its_node_was_not_heard_for_a_while(void **state)
{
	struct world *world = *state;
	comes(world, LEFT, (struct told){.name = "left", .slots = 3});
	uint64_t id = start(world, "One");
	struct call_id call = expect_order(world, LEFT);
	node_peer_down(world->fixture.node, LEFT);
	node_fixture_pass(&world->fixture, 4000);
	comes(world, LEFT, (struct told){.name = "left", .slots = 3, .call = &call});
	node_fixture_pass(&world->fixture, 20000);
	expect_no_frame(&world->fixture, FRAME_ASSIGNMENT);
	expect_no_frame(&world->fixture, FRAME_ABANDON);
	assert_int_equal(world->fixture.call_count, 0);
	hear_result(&world->fixture, LEFT, call, false, false, "\"done\"");
	assert_state(world, id, "completed");
}

static void call_that_got_lost_on_its_way_is_handed_out_again(void **state)
{
	struct world *world = *state;
	comes(world, LEFT, (struct told){.name = "left", .slots = 3});
	start(world, "One");
	struct call_id call = expect_order(world, LEFT);
	comes(world, LEFT, (struct told){.name = "left", .slots = 3});
	assert_true(expect_order(world, LEFT).attempt > call.attempt);
}

static void worker_takes_its_call_along_to_another_node(void **state)
{
	struct world *world = *state;
	uint64_t right = comes(world, RIGHT, (struct told){.name = "right", .slots = 1});
	comes(world, LEFT, (struct told){.name = "left", .worker = 5});
	uint64_t id = start(world, "Away");
	struct call_id call = expect_order(world, LEFT);
	node_member_dead(world->fixture.node, LEFT, "left");
	node_fixture_pass(&world->fixture, 1000);
	hear_answer(world, RIGHT, right, false,
	            (struct told){.name = "right", .slots = 1, .worker = 6, .call = &call, .call_place = 6});
	node_fixture_pass(&world->fixture, 10000);
	expect_no_frame(&world->fixture, FRAME_ASSIGNMENT);
	hear_result(&world->fixture, RIGHT, call, false, false, "\"done\"");
	assert_state(world, id, "completed");
	node_fixture_compare(&world->fixture);
}

static void failure_from_where_the_call_is_not_any_more_does_not_count(void **state)
{
	struct world *world = *state;
	uint64_t right = comes(world, RIGHT, (struct told){.name = "right", .slots = 1});
	comes(world, LEFT, (struct told){.name = "left", .worker = 5});
	uint64_t id = start(world, "Away");
	struct call_id call = expect_order(world, LEFT);
	hear_answer(world, RIGHT, right, false,
	            (struct told){.name = "right", .slots = 1, .worker = 6, .call = &call, .call_place = 6});
	expect_frame(&world->fixture, LEFT, FRAME_ABANDON, &world->arena, NULL, 0);
	hear_result(&world->fixture, LEFT, call, true, false, "the connection to its worker was lost");
	expect_taken(world, LEFT);
	hear_result(&world->fixture, RIGHT, call, false, false, "\"done\"");
	assert_state(world, id, "completed");
}

/* --- leaders change ------------------------------------------------------------------------------------------------- */

static void new_leader_hears_nodes_before_it_hands_out(void **state)
{
	struct world *world = *state;
	comes(world, LEFT, (struct told){.name = "left", .slots = 3});
	uint64_t id = start(world, "One");
	struct call_id call = expect_order(world, LEFT);
	leads_again(world);
	uint64_t survey = expect_survey(world, LEFT);
	assert_int_equal(world->fixture.call_count, 0);
	hear_answer(world, LEFT, survey, true, (struct told){.name = "left", .slots = 3, .call = &call});
	node_fixture_pass(&world->fixture, 15000);
	assert_int_equal(world->fixture.call_count, 0);
	expect_no_frame(&world->fixture, FRAME_ASSIGNMENT);
	hear_result(&world->fixture, LEFT, call, false, false, "\"done\"");
	assert_state(world, id, "completed");
	node_fixture_compare(&world->fixture);
}

static void call_that_was_handed_out_and_not_written_down_goes_on(void **state)
{
	struct world *world = *state;
	comes(world, LEFT, (struct told){.name = "left", .worker = 5});
	uint64_t id = start(world, "Away");
	struct call_id call = expect_order(world, LEFT);
	call.attempt++; /* as another leader could have handed it out */
	leads_again(world);
	uint64_t survey = expect_survey(world, LEFT);
	hear_answer(world, LEFT, survey, true, (struct told){.name = "left", .worker = 5, .call = &call, .call_place = 5});
	node_fixture_pass(&world->fixture, 15000);
	expect_no_frame(&world->fixture, FRAME_ASSIGNMENT);
	hear_result(&world->fixture, LEFT, call, false, false, "\"done\"");
	assert_state(world, id, "completed");
	node_fixture_compare(&world->fixture);
}

static void call_of_a_node_that_died_with_the_former_leader_waits_for_its_death(void **state)
{
	struct world *world = *state;
	comes(world, LEFT, (struct told){.name = "left", .slots = 3});
	start(world, "One");
	expect_order(world, LEFT);
	node_fixture_pass(&world->fixture, 20); /* it is written down */
	node_peer_down(world->fixture.node, LEFT);
	leads_again(world);
	node_fixture_pass(&world->fixture, 3000);
	assert_int_equal(world->fixture.call_count, 0);
	node_member_dead(world->fixture.node, LEFT, "left");
	node_fixture_settle(&world->fixture);
	assert_int_equal(world->fixture.call_count, 1);
}

static void result_for_a_call_that_is_not_in_memory_is_taken(void **state)
{
	struct world *world = *state;
	comes(world, LEFT, (struct told){.name = "left", .slots = 3});
	uint64_t id = start(world, "One");
	struct call_id call = expect_order(world, LEFT);
	node_fixture_restart(&world->fixture, true);
	node_fixture_lead(&world->fixture);
	node_peer_up(world->fixture.node, LEFT);
	hear_result(&world->fixture, LEFT, call, false, false, "\"done\"");
	assert_state(world, id, "completed");
	assert_int_equal(world->fixture.call_count, 0);
}

static void call_of_no_use_is_stopped_where_it_is_found(void **state)
{
	struct world *world = *state;
	struct call_id call = {77, 1, 9};
	comes(world, LEFT, (struct told){.name = "left", .slots = 3, .call = &call});
	expect_frame(&world->fixture, LEFT, FRAME_ABANDON, &world->arena, NULL, 0);
	hear_result(&world->fixture, LEFT, call, false, false, "\"done\"");
	expect_taken(world, LEFT);
}

static void calls_of_this_node_go_on_when_it_leads_again(void **state)
{
	struct world *world = *state;
	uint64_t id = start(world, "One");
	assert_int_equal(world->fixture.call_count, 1);
	uint64_t attempt = world->fixture.calls[0].id.attempt;
	leads_again(world);
	assert_int_equal(world->fixture.call_count, 1);
	assert_int_equal(world->fixture.calls[0].id.attempt, attempt);
	node_fixture_return(&world->fixture, 0, false, false, SLICE("\"done\""), SLICE(""));
	assert_state(world, id, "completed");
}

static void result_that_came_while_nobody_led_counts(void **state)
{
	struct world *world = *state;
	uint64_t id = start(world, "One");
	node_fixture_follow(&world->fixture, RIGHT, world->fixture.term + 3);
	node_fixture_return(&world->fixture, 0, false, false, SLICE("\"done\""), SLICE(""));
	node_fixture_lead(&world->fixture);
	assert_state(world, id, "completed");
	assert_int_equal(world->fixture.call_count, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(idle_node_is_preferred_to_the_leader_itself),
		TEST(load_is_spread_over_nodes),
		TEST(process_goes_to_the_nodes_that_have_its_tags),
		TEST(worker_of_another_node_is_given_calls),
		TEST(nothing_is_handed_out_to_a_node_before_it_has_answered),
		TEST(refused_call_is_handed_out_again_as_another_attempt),
		TEST(cancelled_call_is_stopped_where_it_runs),
		TEST(call_of_a_node_that_is_declared_dead_is_handed_out_again_at_once),
		TEST(call_of_a_node_that_is_not_heard_waits_ten_seconds),
		TEST(call_goes_on_after_its_node_was_not_heard_for_a_while),
		TEST(call_that_got_lost_on_its_way_is_handed_out_again),
		TEST(worker_takes_its_call_along_to_another_node),
		TEST(failure_from_where_the_call_is_not_any_more_does_not_count),
		TEST(new_leader_hears_nodes_before_it_hands_out),
		TEST(call_that_was_handed_out_and_not_written_down_goes_on),
		TEST(call_of_a_node_that_died_with_the_former_leader_waits_for_its_death),
		TEST(result_for_a_call_that_is_not_in_memory_is_taken),
		TEST(call_of_no_use_is_stopped_where_it_is_found),
		TEST(calls_of_this_node_go_on_when_it_leads_again),
		TEST(result_that_came_while_nobody_led_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
