#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "call_messages.h"

/* What runs on a node that does not lead, as its leader sees it. */

static const char source[] =
	"process Here(x: Number) -> Text { exec = [\"here\"] }\n"
	"process Pooled(x: Number) -> Text { pool = [\"pooled\"] }\n"
	"process Work(x: Number) -> Text { }\n";

enum { CLIENT = 1, WORKER = 2, WORKER_AGAIN = 3, LEADER = 8, OTHER = 9, WORKER_ID = 77 };

struct world {
	struct node_fixture fixture;
	struct arena arena;
	uint64_t term;
	uint64_t survey;
	uint64_t session;
};

static int setup(void **state)
{
	struct world *world = mem_zero(sizeof *world);
	node_fixture_init_group(&world->fixture);
	world->session = node_fixture_open_session(&world->fixture, CLIENT);
	node_fixture_register(&world->fixture, CLIENT, world->session, 1, source);
	world->term = world->fixture.term + 5;
	node_fixture_follow(&world->fixture, LEADER, world->term);
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

static const Clusterd__Wire__Places *expect_places(struct world *world)
{
	return (const Clusterd__Wire__Places *)expect_frame(&world->fixture, LEADER, FRAME_PLACES, &world->arena, NULL, 0);
}

static const Clusterd__Wire__Result *expect_result(struct world *world, uint64_t member, char payload[static 100])
{
	return (const Clusterd__Wire__Result *)expect_frame(&world->fixture, member, FRAME_RESULT, &world->arena, payload, 100);
}

static const Clusterd__Wire__Places *survey(struct world *world)
{
	struct peer_frame frame;
	while (node_fixture_sent(&world->fixture, FRAME_PLACES, &frame))
		node_fixture_frame_finish(&frame);
	hear_survey(&world->fixture, LEADER, world->term, ++world->survey);
	const Clusterd__Wire__Places *places = expect_places(world);
	assert_int_equal(places->term, world->term);
	assert_int_equal(places->survey, world->survey);
	assert_true(places->answer && !places->more);
	return places;
}

static void order(struct world *world, struct call_id call, const char *process, uint64_t place)
{
	hear_order(&world->fixture, LEADER, world->term, call, process, 1, place);
}

static void offer_as(struct world *world, uint64_t connection, uint64_t id, const struct call_id *call, uint64_t receipt)
{
	Clusterd__Wire__Offer offer = CLUSTERD__WIRE__OFFER__INIT;
	Clusterd__Wire__OfferedProcess offered = CLUSTERD__WIRE__OFFERED_PROCESS__INIT;
	Clusterd__Wire__OfferedProcess *list[] = {&offered};
	Clusterd__Wire__Held held = CLUSTERD__WIRE__HELD__INIT;
	Clusterd__Wire__Held *held_list[] = {&held};
	struct error error = {0};
	offered.name = (char *)(uintptr_t) "Work";
	offer.processes = list;
	offer.n_processes = 1;
	offer.credit = 3;
	offer.worker = id;
	offer.held = held_list;
	if (call != NULL) {
		held.instance = call->instance;
		held.ref = call->ref;
		held.attempt = call->attempt;
		held.receipt = receipt;
		offer.n_held = 1;
	}
	assert_int_equal(node_worker_offer(world->fixture.node, connection, &offer, &error), 0);
	node_fixture_settle(&world->fixture);
}

static int says(struct world *world, uint64_t connection, struct call_id call, uint64_t receipt, const char *value)
{
	Clusterd__Wire__Result result = CLUSTERD__WIRE__RESULT__INIT;
	struct error error = {0};
	result.instance = call.instance;
	result.ref = call.ref;
	result.attempt = call.attempt;
	result.receipt = receipt;
	int code = node_worker_result(world->fixture.node, connection, &result, slice_of(value), &error);
	node_fixture_settle(&world->fixture);
	return code;
}

/* --- what it tells -------------------------------------------------------------------------------------------------- */

static void survey_is_answered_with_all_that_can_be_run(void **state)
{
	struct world *world = *state;
	offer_as(world, WORKER, 0, NULL, 0);
	expect_no_frame(&world->fixture, FRAME_PLACES);
	const Clusterd__Wire__Places *places = survey(world);
	assert_string_equal(places->node, "node");
	assert_int_equal(places->exec_slots, 3);
	assert_int_equal(places->pool_calls, 2);
	assert_int_equal(places->n_places, 1);
	assert_int_equal(places->places[0]->credit, 3);
	assert_int_equal(places->n_offers, 1);
	assert_string_equal(places->offers[0]->name, "Work");
	assert_int_equal(places->n_runs, 0);
}

static void changes_are_told_as_they_come(void **state)
{
	struct world *world = *state;
	survey(world);
	offer_as(world, WORKER, 0, NULL, 0);
	const Clusterd__Wire__Places *places = expect_places(world);
	assert_true(!places->answer && places->n_places == 1 && !places->places[0]->gone);
	uint64_t place = places->places[0]->id;
	node_fixture_close(&world->fixture, WORKER);
	node_fixture_settle(&world->fixture);
	places = expect_places(world);
	assert_true(places->n_places == 1 && places->places[0]->gone && places->places[0]->id == place);
	node_drain(world->fixture.node);
	node_fixture_settle(&world->fixture);
	places = expect_places(world);
	assert_true(places->exec_slots == 0 && places->pool_calls == 0);
	expect_no_frame(&world->fixture, FRAME_PLACES);
}

static void many_workers_are_told_of_in_parts(void **state)
{
	struct world *world = *state;
	size_t count = 0;
	for (uint64_t i = 0; i < 2500; i++)
		offer_as(world, 100 + i, 0, NULL, 0);
	hear_survey(&world->fixture, LEADER, world->term, 1);
	bool more = true;
	while (more) {
		const Clusterd__Wire__Places *places = expect_places(world);
		count += places->n_places;
		assert_int_equal(places->n_offers, places->n_places);
		more = places->more != 0;
		arena_finish(&world->arena);
	}
	assert_int_equal(count, 2500);
	expect_no_frame(&world->fixture, FRAME_PLACES);
}

/* --- what it runs --------------------------------------------------------------------------------------------------- */

static void result_is_told_and_kept_until_it_is_taken(void **state)
{
	struct world *world = *state;
	struct node_fixture *fixture = &world->fixture;
	struct call_id call = {40, 2, 9};
	char payload[100];
	survey(world);
	order(world, call, "Here", 0);
	assert_int_equal(fixture->call_count, 1);
	assert_int_equal(fixture->calls[0].connection, 0);
	node_fixture_return(fixture, 0, false, false, SLICE("\"done\""), SLICE("{\"cost\":1}"));
	const Clusterd__Wire__Result *result = expect_result(world, LEADER, payload);
	assert_true(result->instance == 40 && result->ref == 2 && result->attempt == 9 && !result->failed);
	assert_string_equal(payload, "\"done\"");
	/* Another leader is told again, after what it asked for. */
	node_fixture_follow(fixture, OTHER, ++world->term);
	hear_survey(fixture, OTHER, world->term, 1);
	const Clusterd__Wire__Places *places =
		(const Clusterd__Wire__Places *)expect_frame(fixture, OTHER, FRAME_PLACES, &world->arena, NULL, 0);
	assert_int_equal(places->n_runs, 1);
	expect_result(world, OTHER, payload);
	assert_string_equal(payload, "\"done\"");
	hear_taken(fixture, OTHER, call);
	hear_survey(fixture, OTHER, world->term, 2);
	expect_no_frame(fixture, FRAME_RESULT);
}

static void order_of_a_former_leader_is_not_followed(void **state)
{
	struct world *world = *state;
	survey(world);
	node_fixture_follow(&world->fixture, OTHER, world->term + 1);
	hear_survey(&world->fixture, OTHER, world->term + 1, 1);
	order(world, (struct call_id){40, 2, 9}, "Here", 0);
	hear_order(&world->fixture, OTHER, world->term, (struct call_id){40, 2, 9}, "Here", 1, 0);
	assert_int_equal(world->fixture.call_count, 0);
	hear_survey(&world->fixture, LEADER, world->term, 9);
	hear_order(&world->fixture, OTHER, world->term + 1, (struct call_id){40, 2, 9}, "Here", 1, 0);
	assert_int_equal(world->fixture.call_count, 1);
}

static void order_said_twice_is_followed_once(void **state)
{
	struct world *world = *state;
	survey(world);
	order(world, (struct call_id){40, 2, 9}, "Pooled", 0);
	order(world, (struct call_id){40, 2, 9}, "Pooled", 0);
	assert_int_equal(world->fixture.call_count, 1);
}

static void abandoned_call_is_stopped_and_forgotten(void **state)
{
	struct world *world = *state;
	struct call_id call = {40, 2, 9};
	survey(world);
	order(world, call, "Here", 0);
	hear_abandon(&world->fixture, LEADER, call);
	assert_int_equal(world->fixture.call_count, 0);
	assert_int_equal(survey(world)->n_runs, 0);
}

static void order_for_an_unknown_process_waits_for_it_and_is_refused_in_the_end(void **state)
{
	struct world *world = *state;
	struct node_fixture *fixture = &world->fixture;
	char payload[100];
	survey(world);
	order(world, (struct call_id){40, 2, 9}, "Later", 0);
	assert_int_equal(fixture->call_count, 0);
	assert_int_equal(survey(world)->n_runs, 1);
	expect_no_frame(fixture, FRAME_RESULT);
	node_fixture_pass(fixture, 5000);
	assert_true(expect_result(world, LEADER, payload)->refused);
	assert_int_equal(survey(world)->n_runs, 0);
}

static void node_that_stops_refuses(void **state)
{
	struct world *world = *state;
	char payload[100];
	survey(world);
	node_drain(world->fixture.node);
	order(world, (struct call_id){40, 2, 9}, "Here", 0);
	assert_int_equal(world->fixture.call_count, 0);
	assert_true(expect_result(world, LEADER, payload)->refused);
	assert_true(node_quiet(world->fixture.node));
}

/* --- workers -------------------------------------------------------------------------------------------------------- */

static struct call_id given(struct world *world, uint64_t id)
{
	struct call_id call = {40, 2, 9};
	offer_as(world, WORKER, id, NULL, 0);
	order(world, call, "Work", survey(world)->places[0]->id);
	assert_int_equal(world->fixture.call_count, 1);
	assert_int_equal(world->fixture.calls[0].connection, WORKER);
	return call;
}

/* As when it has come back, and wants less, while more was on its way to it. */
static void worker_gets_no_more_than_it_has_credit_for_and_nothing_else(void **state)
{
	struct world *world = *state;
	char payload[100];
	given(world, WORKER_ID);
	uint64_t place = survey(world)->places[0]->id;
	order(world, (struct call_id){41, 2, 9}, "Work", place);
	order(world, (struct call_id){42, 2, 9}, "Work", place);
	assert_int_equal(world->fixture.call_count, 3);
	order(world, (struct call_id){43, 2, 9}, "Work", place);
	assert_int_equal(world->fixture.call_count, 3);
	assert_true(expect_result(world, LEADER, payload)->refused);
	assert_int_equal(says(world, WORKER, (struct call_id){41, 2, 9}, 0, "\"done\""), 0);
	assert_false(expect_result(world, LEADER, payload)->refused);
	order(world, (struct call_id){44, 2, 9}, "Play", place);
	assert_int_equal(world->fixture.call_count, 3);
	assert_true(expect_result(world, LEADER, payload)->refused);
	order(world, (struct call_id){45, 2, 9}, "Work", place);
	assert_int_equal(world->fixture.call_count, 4);
}

static void call_of_a_worker_that_vanishes_has_failed(void **state)
{
	struct world *world = *state;
	char payload[100];
	given(world, 0);
	node_fixture_close(&world->fixture, WORKER);
	node_fixture_settle(&world->fixture);
	assert_true(expect_result(world, LEADER, payload)->failed);
	assert_string_equal(payload, "the connection to its worker was lost");
}

static void worker_that_comes_back_goes_on_with_its_calls(void **state)
{
	struct world *world = *state;
	char payload[100];
	struct call_id call = given(world, WORKER_ID);
	node_fixture_close(&world->fixture, WORKER);
	node_fixture_pass(&world->fixture, 2000);
	expect_no_frame(&world->fixture, FRAME_RESULT);
	offer_as(world, WORKER_AGAIN, WORKER_ID, &call, 0);
	node_fixture_pass(&world->fixture, 5000);
	expect_no_frame(&world->fixture, FRAME_RESULT);
	assert_int_equal(says(world, WORKER_AGAIN, call, 0, "\"done\""), 0);
	assert_false(expect_result(world, LEADER, payload)->failed);
}

static void worker_that_comes_back_without_its_calls_has_lost_them(void **state)
{
	struct world *world = *state;
	char payload[100];
	given(world, WORKER_ID);
	offer_as(world, WORKER_AGAIN, WORKER_ID, NULL, 0);
	assert_true(expect_result(world, LEADER, payload)->failed);
	node_fixture_close(&world->fixture, WORKER);
	assert_int_equal(survey(world)->n_places, 1);
}

static void worker_that_does_not_come_back_in_time_has_failed(void **state)
{
	struct world *world = *state;
	char payload[100];
	given(world, WORKER_ID);
	node_fixture_close(&world->fixture, WORKER);
	node_fixture_pass(&world->fixture, 3000);
	assert_true(expect_result(world, LEADER, payload)->failed);
	assert_int_equal(survey(world)->n_places, 0);
}

/* The node is started anew, and knows nothing of what it had handed out. */
static void restart(struct world *world)
{
	node_fixture_restart(&world->fixture, true);
	node_fixture_follow(&world->fixture, LEADER, ++world->term);
	world->survey = 0;
	survey(world);
}

static void call_that_a_worker_brings_along_is_told_of(void **state)
{
	struct world *world = *state;
	struct call_id call = given(world, WORKER_ID);
	uint64_t receipt = world->fixture.calls[0].receipt;
	restart(world);
	offer_as(world, WORKER, WORKER_ID, &call, receipt);
	const Clusterd__Wire__Places *places = expect_places(world);
	assert_true(!places->answer && places->n_places == 1 && places->n_runs == 1);
	assert_true(places->runs[0]->instance == 40 && places->runs[0]->attempt == 9);
	assert_int_equal(places->runs[0]->place, places->places[0]->id);
	assert_int_equal(survey(world)->n_runs, 1);
}

static void call_that_another_worker_had_is_not_told_of(void **state)
{
	struct world *world = *state;
	struct call_id call = given(world, WORKER_ID);
	uint64_t receipt = world->fixture.calls[0].receipt;
	restart(world);
	offer_as(world, WORKER, WORKER_ID + 1, &call, receipt);
	assert_int_equal(expect_places(world)->n_runs, 0);
}

static void result_with_a_receipt_counts_after_a_restart_and_without_does_not(void **state)
{
	struct world *world = *state;
	struct call_id call = given(world, WORKER_ID);
	uint64_t receipt = world->fixture.calls[0].receipt;
	char payload[100];
	restart(world);
	offer_as(world, WORKER, WORKER_ID, NULL, 0);
	assert_int_equal(says(world, WORKER, call, receipt + 1, "\"forged\""), 0);
	expect_no_frame(&world->fixture, FRAME_RESULT);
	assert_int_equal(says(world, WORKER, (struct call_id){41, 2, 9}, receipt, "\"another\""), 0);
	expect_no_frame(&world->fixture, FRAME_RESULT);
	assert_int_equal(says(world, WORKER, call, receipt, "\"done\""), 0);
	assert_false(expect_result(world, LEADER, payload)->failed);
	assert_string_equal(payload, "\"done\"");
}

static size_t count_frames(struct node_fixture *fixture, int type)
{
	struct peer_frame frame;
	size_t count = 0;
	for (; node_fixture_sent(fixture, type, &frame); count++)
		node_fixture_frame_finish(&frame);
	return count;
}

static void workers_wait_while_too_much_is_kept(void **state)
{
	enum { COUNT = 70, SIZE = 1 << 20 };
	struct world *world = *state;
	struct node_fixture *fixture = &world->fixture;
	char *value = mem_zero(SIZE);
	memset(value, '1', SIZE - 1);
	offer_as(world, WORKER, WORKER_ID, NULL, 0);
	uint64_t place = survey(world)->places[0]->id;
	for (uint64_t i = 1; i <= COUNT; i++) {
		assert_int_equal(node_workers_wait(fixture->node), i > 65);
		order(world, (struct call_id){i, 1, 9}, "Work", place);
		assert_int_equal(says(world, WORKER, (struct call_id){i, 1, 9}, 0, value), 0);
	}
	assert_true(node_workers_wait(fixture->node));
	/* No more are on their way at once than fit into the connection; each that is taken lets another one follow. */
	assert_int_equal(count_frames(fixture, FRAME_RESULT), 16);
	survey(world);
	assert_int_equal(count_frames(fixture, FRAME_RESULT), 16);
	for (uint64_t i = 1; i <= COUNT; i++)
		hear_taken(fixture, LEADER, (struct call_id){i, 1, 9});
	assert_int_equal(count_frames(fixture, FRAME_RESULT), COUNT - 16);
	assert_false(node_workers_wait(fixture->node));
	assert_int_equal(fixture->taken_count, COUNT);
	mem_free(value);
}

static void worker_cannot_answer_for_what_the_executor_runs(void **state)
{
	struct world *world = *state;
	struct call_id call = {40, 2, 9};
	survey(world);
	offer_as(world, WORKER, WORKER_ID, NULL, 0);
	order(world, call, "Here", 0);
	assert_int_equal(says(world, WORKER, call, 0, "\"mine\""), ERR_DENIED);
	expect_no_frame(&world->fixture, FRAME_RESULT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(survey_is_answered_with_all_that_can_be_run),
		TEST(changes_are_told_as_they_come),
		TEST(many_workers_are_told_of_in_parts),
		TEST(result_is_told_and_kept_until_it_is_taken),
		TEST(order_of_a_former_leader_is_not_followed),
		TEST(order_said_twice_is_followed_once),
		TEST(abandoned_call_is_stopped_and_forgotten),
		TEST(order_for_an_unknown_process_waits_for_it_and_is_refused_in_the_end),
		TEST(node_that_stops_refuses),
		TEST(worker_gets_no_more_than_it_has_credit_for_and_nothing_else),
		TEST(call_of_a_worker_that_vanishes_has_failed),
		TEST(worker_that_comes_back_goes_on_with_its_calls),
		TEST(worker_that_comes_back_without_its_calls_has_lost_them),
		TEST(worker_that_does_not_come_back_in_time_has_failed),
		TEST(call_that_a_worker_brings_along_is_told_of),
		TEST(call_that_another_worker_had_is_not_told_of),
		TEST(result_with_a_receipt_counts_after_a_restart_and_without_does_not),
		TEST(workers_wait_while_too_much_is_kept),
		TEST(worker_cannot_answer_for_what_the_executor_runs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
