#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "call_messages.h"
#include "wire/content.h"

/* Definitions and files on their way to a node that keeps no log. */

#define UNIT "[[{\"path\":\"t.flow\",\"text\":\"process Tool(x: Number) -> Text { exec = [\\\"./t.sh\\\"] files = [\\\"t.sh\\\"] }\"}]," \
	     "[{\"path\":\"t.sh\",\"hash\":\"%s\"}]]"
#define SCRIPT "#!/bin/sh\necho tool\n"

enum { CLIENT = 1, LEADER = 8 };

struct world {
	struct node_fixture fixture;
	struct arena arena;
	char hash[CONTENT_HASH_SIZE];
};

static int setup_agent(void **state)
{
	struct world *world = mem_zero(sizeof *world);
	node_fixture_init_agent(&world->fixture);
	content_hash(SLICE(SCRIPT), world->hash);
	*state = world;
	return 0;
}

static int setup_server(void **state)
{
	struct world *world = mem_zero(sizeof *world);
	node_fixture_init_group(&world->fixture);
	uint64_t session = node_fixture_open_session(&world->fixture, CLIENT);
	node_fixture_register(&world->fixture, CLIENT, session, 1, "process Here(x: Number) -> Text { exec = [\"here\"] }\n");
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

/* --- a server is asked ---------------------------------------------------------------------------------------------- */

static const Clusterd__Wire__Fetched *fetch(struct world *world, uint64_t unit, const char *hash, uint64_t offset, char *payload,
                                            size_t size)
{
	Clusterd__Wire__Fetch fetch = CLUSTERD__WIRE__FETCH__INIT;
	fetch.unit = unit;
	fetch.hash = (char *)(uintptr_t)hash;
	fetch.offset = offset;
	node_fixture_hear(&world->fixture, LEADER, FRAME_FETCH, 0, &fetch.base, SLICE(""));
	return (const Clusterd__Wire__Fetched *)expect_frame(&world->fixture, LEADER, FRAME_FETCHED, &world->arena, payload, size);
}

static void server_gives_what_is_registered(void **state)
{
	struct world *world = *state;
	char payload[1000];
	const Clusterd__Wire__Fetched *fetched = fetch(world, 1, "", 0, payload, sizeof payload);
	assert_true(!fetched->missing && fetched->unit == 1 && fetched->size == strlen(payload));
	assert_non_null(strstr(payload, "process Here(x: Number)"));
	char rest[1000];
	fetch(world, 1, "", 7, rest, sizeof rest);
	assert_string_equal(rest, payload + 7);
	assert_true(fetch(world, 1, "", 1000000, rest, sizeof rest)->size == strlen(payload));
	assert_string_equal(rest, "");
	assert_true(fetch(world, 2, "", 0, NULL, 0)->missing);
	assert_true(fetch(world, UINT64_MAX, "", UINT64_MAX, NULL, 0)->missing);
	assert_true(fetch(world, 0, "no such hash", 0, NULL, 0)->missing);
}

/* --- an agent asks -------------------------------------------------------------------------------------------------- */

static void expect_fetch(struct world *world, uint64_t unit, const char *hash, uint64_t offset)
{
	const Clusterd__Wire__Fetch *asked =
		(const Clusterd__Wire__Fetch *)expect_frame(&world->fixture, LEADER, FRAME_FETCH, &world->arena, NULL, 0);
	assert_int_equal(asked->unit, unit);
	assert_string_equal(asked->hash, hash);
	assert_int_equal(asked->offset, offset);
}

static void hear_fetched(struct world *world, uint64_t unit, const char *hash, uint64_t offset, uint64_t size, const char *piece)
{
	Clusterd__Wire__Fetched fetched = CLUSTERD__WIRE__FETCHED__INIT;
	fetched.unit = unit;
	fetched.hash = (char *)(uintptr_t)hash;
	fetched.offset = offset;
	fetched.size = size;
	fetched.missing = piece == NULL;
	fetched.executable = true;
	node_fixture_hear(&world->fixture, LEADER, FRAME_FETCHED, 0, &fetched.base, slice_of(piece != NULL ? piece : ""));
	node_fixture_settle(&world->fixture);
}

static void order(struct world *world, uint64_t attempt)
{
	hear_order(&world->fixture, LEADER, 3, (struct call_id){40, 2, attempt}, "Tool", 1, 0);
}

/* The leader asks what it can run, it asks for definitions, and gets them all. */
static void gets_definitions(struct world *world)
{
	char *unit = mem_format(UNIT, world->hash);
	hear_survey(&world->fixture, LEADER, 3, 1);
	assert_false(node_ready(world->fixture.node));
	expect_fetch(world, 1, "", 0);
	hear_fetched(world, 1, "", 0, strlen(unit), unit);
	expect_fetch(world, 2, "", 0);
	hear_fetched(world, 2, "", 0, 0, NULL);
	assert_true(node_ready(world->fixture.node));
	mem_free(unit);
}

static void agent_begins_a_call_when_it_has_its_files(void **state)
{
	struct world *world = *state;
	gets_definitions(world);
	order(world, 9);
	assert_int_equal(world->fixture.call_count, 0);
	expect_fetch(world, 0, world->hash, 0);
	hear_fetched(world, 0, world->hash, 0, strlen(SCRIPT), "#!/bin/sh\n");
	expect_fetch(world, 0, world->hash, 10);
	hear_fetched(world, 0, world->hash, 10, strlen(SCRIPT), "echo tool\n");
	assert_int_equal(world->fixture.call_count, 1);
	order(world, 10);
	assert_int_equal(world->fixture.call_count, 2);
	expect_no_frame(&world->fixture, FRAME_FETCH);
}

static void agent_keeps_what_it_has_over_a_restart(void **state)
{
	struct world *world = *state;
	gets_definitions(world);
	order(world, 9);
	hear_fetched(world, 0, world->hash, 0, strlen(SCRIPT), SCRIPT);
	node_fixture_restart(&world->fixture, true);
	struct peer_frame frame;
	while (node_fixture_sent(&world->fixture, FRAME_FETCH, &frame))
		node_fixture_frame_finish(&frame);
	hear_survey(&world->fixture, LEADER, 3, 2);
	expect_fetch(world, 2, "", 0);
	hear_fetched(world, 2, "", 0, 0, NULL);
	order(world, 9);
	assert_int_equal(world->fixture.call_count, 1);
}

static void content_that_is_not_of_its_hash_is_not_taken(void **state)
{
	struct world *world = *state;
	gets_definitions(world);
	order(world, 9);
	expect_fetch(world, 0, world->hash, 0);
	hear_fetched(world, 0, world->hash, 0, 5, "rm -r");
	assert_int_equal(world->fixture.call_count, 0);
	expect_no_frame(&world->fixture, FRAME_FETCH);
	node_fixture_pass(&world->fixture, 1000);
	expect_fetch(world, 0, world->hash, 0);
	hear_fetched(world, 0, world->hash, 0, strlen(SCRIPT), SCRIPT);
	assert_int_equal(world->fixture.call_count, 1);
}

static void what_was_not_asked_for_is_not_taken(void **state)
{
	struct world *world = *state;
	hear_survey(&world->fixture, LEADER, 3, 1);
	expect_fetch(world, 1, "", 0);
	hear_fetched(world, 2, "", 0, 4, "[[],");
	hear_fetched(world, 1, "", 4, 9, "[[],");
	hear_fetched(world, 0, world->hash, 0, 9, "[[],");
	node_fixture_pass(&world->fixture, 1000);
	expect_fetch(world, 1, "", 0);
	hear_fetched(world, 1, "", 0, UINT64_MAX, "[[],"); /* too large */
	node_fixture_pass(&world->fixture, 1000);
	expect_no_frame(&world->fixture, FRAME_FETCH);
}

static void unit_that_is_none_changes_nothing(void **state)
{
	static const char *const texts[] = {"[", "{}", "[]", "[[1],[]]", "[[],7]", "[[{\"path\":7}],[{}]]"};
	struct world *world = *state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		hear_survey(&world->fixture, LEADER, 3, i + 1);
		expect_fetch(world, 1, "", 0);
		hear_fetched(world, 1, "", 0, strlen(texts[i]), texts[i]);
		expect_no_frame(&world->fixture, FRAME_FETCH);
	}
	gets_definitions(world);
}

static void lost_question_is_asked_again(void **state)
{
	struct world *world = *state;
	hear_survey(&world->fixture, LEADER, 3, 1);
	expect_fetch(world, 1, "", 0);
	node_fixture_pass(&world->fixture, 1000);
	expect_fetch(world, 1, "", 0);
}

int main(void)
{
#define AGENT(name) cmocka_unit_test_setup_teardown(name, setup_agent, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(server_gives_what_is_registered, setup_server, teardown),
		AGENT(agent_begins_a_call_when_it_has_its_files),
		AGENT(agent_keeps_what_it_has_over_a_restart),
		AGENT(content_that_is_not_of_its_hash_is_not_taken),
		AGENT(what_was_not_asked_for_is_not_taken),
		AGENT(unit_that_is_none_changes_nothing),
		AGENT(lost_question_is_asked_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
