#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "node_fixture.h"

/* A node that comes up again with more in its log than in its catalog. */

static const char source[] =
	"type N = Number\n"
	"workflow Still(x: N) -> N { x after sleep(1m) }\n";

enum { CLIENT = 1 };

static int setup(void **state)
{
	struct node_fixture *fixture = mem_zero(sizeof *fixture);
	node_fixture_init(fixture);
	uint64_t session = node_fixture_open_session(fixture, CLIENT);
	node_fixture_register(fixture, CLIENT, session, 1, source);
	node_fixture_start(fixture, CLIENT, session, 2, "Still", "{\"x\":1}");
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	node_fixture_finish(*state);
	mem_free(*state);
	return 0;
}

static void ask_to_open(struct node_fixture *fixture)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__OpenSession body = CLUSTERD__WIRE__OPEN_SESSION__INIT;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_OPEN_SESSION;
	request.open_session = &body;
	node_fixture_ask(fixture, CLIENT, &request, SLICE(""));
}

static void ask_to_wait(struct node_fixture *fixture, uint64_t instance)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Wait body = CLUSTERD__WIRE__WAIT__INIT;
	body.instance = instance;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_WAIT;
	request.wait = &body;
	node_fixture_ask(fixture, CLIENT, &request, SLICE(""));
}

/* Written, and not applied when it goes down. */
static void leave_an_entry(struct node_fixture *fixture)
{
	size_t before = fixture->entry_count;
	ask_to_open(fixture);
	node_fixture_turn(fixture);
	assert_true(fixture->entry_count > before);
}

static void stamps_grow_when_the_clock_was_set_back_meanwhile(void **state)
{
	struct node_fixture *fixture = *state;
	leave_an_entry(fixture);
	fixture->wall_offset -= 3600 * 1000;
	node_fixture_restart(fixture, true);
	node_fixture_settle(fixture);
	assert_true(node_ready(fixture->node));
	node_fixture_compare(fixture);
}

static void nothing_is_read_before_the_log_is_applied(void **state)
{
	struct node_fixture *fixture = *state;
	leave_an_entry(fixture);
	node_fixture_restart(fixture, true);
	uint32_t before = fixture->answered.count;
	ask_to_wait(fixture, 1);
	assert_int_equal(fixture->answered.count, before);
	assert_int_equal(node_fixture_status(fixture, "requests_waiting"), 1);
	node_fixture_pass(fixture, 70000);
	assert_int_equal(fixture->answered.code, 0);
	assert_string_equal(fixture->answered.state, "completed");
}

static void timer_that_is_due_waits_quietly_until_the_node_is_ready(void **state)
{
	struct node_fixture *fixture = *state;
	fixture->now += 70000;
	node_fixture_restart(fixture, true);
	node_fixture_turn(fixture); /* fails when the node turns without end */
	while (!node_ready(fixture->node) && node_fixture_disk(fixture))
		node_fixture_turn(fixture);
	assert_true(node_ready(fixture->node));
	ask_to_wait(fixture, 1);
	node_fixture_settle(fixture);
	assert_string_equal(fixture->answered.state, "completed");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(stamps_grow_when_the_clock_was_set_back_meanwhile),
		TEST(nothing_is_read_before_the_log_is_applied),
		TEST(timer_that_is_due_waits_quietly_until_the_node_is_ready),
	};
	return cmocka_run_group_tests_name("restart", tests, NULL, NULL);
}
