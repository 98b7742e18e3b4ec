/* Two that say to be the same. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gossip_fixture.h"

static struct fixture fixture;

static int setup(void **state)
{
	(void)state;
	fixture_init(&fixture);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_finish(&fixture);
	return 0;
}

static void the_same_name_is_refused_and_the_newcomer_told(void **state)
{
	(void)state;
	fixture_cluster(&fixture, 3);
	fixture_add_as(&fixture, 4, 4, 1, "n2", NULL, NULL);
	fixture_join(&fixture, 4, 1);
	fixture_run(&fixture, 3000);
	assert_true(fixture.nodes[4].conflicts > 0);
	assert_int_equal(fixture.nodes[4].conflict.reason, GOSSIP_REFUSED_NAME);
	assert_int_equal(fixture.nodes[4].conflict.holder, 2);
	assert_string_equal(fixture.nodes[4].conflict.address, "10.0.0.2:9189");
	for (uint64_t id = 1; id <= 3; id++) {
		assert_int_equal(fixture_state(&fixture, id, 4), GOSSIP_STATE_END);
		assert_int_equal(fixture_state(&fixture, id, 2), GOSSIP_ALIVE);
		assert_int_equal(fixture.nodes[id].conflicts, 0);
	}
	assert_true(gossip_counts(fixture.nodes[1].gossip)->refused_conflict > 0);
}

static void the_name_of_the_seed_itself_is_refused_at_once(void **state)
{
	(void)state;
	fixture_cluster(&fixture, 2);
	fixture_add_as(&fixture, 4, 4, 1, "n1", NULL, NULL);
	fixture_join(&fixture, 4, 1);
	fixture_run(&fixture, 10);
	assert_int_equal(fixture.nodes[4].conflict.reason, GOSSIP_REFUSED_NAME);
	assert_int_equal(fixture.nodes[4].conflict.holder, 1);
}

static void the_same_id_at_another_address_is_refused_and_the_newcomer_told(void **state)
{
	(void)state;
	fixture_cluster(&fixture, 3);
	fixture_add_as(&fixture, 4, 2, 7, "other", NULL, NULL); /* a newer generation, even */
	fixture_join(&fixture, 4, 1);
	fixture_run(&fixture, 3000);
	assert_int_equal(fixture.nodes[4].conflict.reason, GOSSIP_REFUSED_ID);
	assert_string_equal(fixture.nodes[4].conflict.address, "10.0.0.2:9189");
	assert_string_equal(fixture_member(&fixture, 3, 2).address, "10.0.0.2:9189");
	assert_int_equal(fixture_member(&fixture, 3, 2).generation, 1);
	assert_int_equal(fixture.nodes[2].conflicts, 0);
	assert_int_equal(fixture.nodes[1].kinds[GOSSIP_SUSPECTED], 0);
}

static void the_id_of_the_seed_itself_is_refused_too(void **state)
{
	(void)state;
	fixture_cluster(&fixture, 3);
	fixture_add_as(&fixture, 4, 1, 2, "other", NULL, NULL);
	fixture_join(&fixture, 4, 1);
	fixture_run(&fixture, 1000);
	assert_int_equal(fixture.nodes[4].conflict.reason, GOSSIP_REFUSED_ID);
	assert_int_equal(fixture.nodes[1].conflicts, 0);
}

static void the_same_id_and_generation_elsewhere_is_refused(void **state)
{
	(void)state;
	fixture_cluster(&fixture, 3);
	fixture_add_as(&fixture, 4, 2, 1, NULL, NULL, NULL); /* a copied directory */
	fixture_join(&fixture, 4, 1);
	fixture_run(&fixture, 1000);
	assert_int_equal(fixture.nodes[4].conflict.reason, GOSSIP_REFUSED_ID);
}

static void a_restart_at_another_address_is_let_in_once_the_former_does_not_answer(void **state)
{
	(void)state;
	fixture_cluster(&fixture, 4);
	fixture_kill(&fixture, 2);
	/* At once: nobody has noticed yet that it is gone. */
	fixture_add_as(&fixture, 2, 2, 2, NULL, "10.0.0.99:1234", NULL);
	fixture_join(&fixture, 2, 1);
	fixture_run(&fixture, 3000);
	assert_int_equal(fixture.nodes[2].conflicts, 0);
	for (uint64_t id = 1; id <= 4; id++) {
		assert_int_equal(fixture_state(&fixture, id, 2), GOSSIP_ALIVE);
		assert_string_equal(fixture_member(&fixture, id, 2).address, "10.0.0.99:1234");
		assert_int_equal(fixture_member(&fixture, id, 2).generation, 2);
	}
}

static void the_name_of_one_that_is_gone_is_free(void **state)
{
	(void)state;
	fixture_cluster(&fixture, 3);
	fixture_kill(&fixture, 2);
	fixture_add_as(&fixture, 4, 4, 1, "n2", NULL, NULL);
	fixture_join(&fixture, 4, 1);
	fixture_run(&fixture, 5000);
	assert_int_equal(fixture.nodes[4].conflicts, 0);
	assert_int_equal(fixture_state(&fixture, 1, 4), GOSSIP_ALIVE);
	assert_int_equal(fixture_state(&fixture, 3, 4), GOSSIP_ALIVE);
	struct gossip_member member;
	assert_true(gossip_find_name(fixture.nodes[1].gossip, "n2", &member));
	assert_int_equal(member.id, 4); /* the live one */
}

static void of_two_with_one_name_let_in_at_two_places_the_later_is_told(void **state)
{
	(void)state;
	fixture_cluster(&fixture, 2);
	fixture_add_as(&fixture, 3, 3, 5, "twin", NULL, NULL);
	fixture_add_as(&fixture, 4, 4, 6, "twin", NULL, NULL);
	fixture_join(&fixture, 3, 1);
	fixture_join(&fixture, 4, 2);
	fixture_run(&fixture, 3000);
	assert_true(fixture.nodes[4].conflicts > 0);
	assert_int_equal(fixture.nodes[4].conflict.reason, GOSSIP_REFUSED_NAME);
	assert_int_equal(fixture.nodes[4].conflict.holder, 3);
	assert_int_equal(fixture.nodes[3].conflicts, 0);
}

static void who_was_replaced_while_it_hung_is_told(void **state)
{
	(void)state;
	fixture_cluster(&fixture, 3);
	fixture.nodes[2].paused = true;
	fixture_run(&fixture, 5000);
	fixture_add_as(&fixture, 4, 2, 2, "n2", NULL, NULL); /* the machine was thought to be lost */
	fixture_join(&fixture, 4, 1);
	fixture_run(&fixture, 2000);
	assert_string_equal(fixture_member(&fixture, 1, 2).address, "10.0.0.4:9189");
	fixture.nodes[2].paused = false;
	fixture_run(&fixture, 15000);
	assert_true(fixture.nodes[2].conflicts > 0);
	assert_int_equal(fixture.nodes[2].conflict.generation, 2);
	assert_string_equal(fixture_member(&fixture, 1, 2).address, "10.0.0.4:9189");
	assert_int_equal(fixture.nodes[4].conflicts, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_same_name_is_refused_and_the_newcomer_told),
		TEST(the_name_of_the_seed_itself_is_refused_at_once),
		TEST(the_same_id_at_another_address_is_refused_and_the_newcomer_told),
		TEST(the_id_of_the_seed_itself_is_refused_too),
		TEST(the_same_id_and_generation_elsewhere_is_refused),
		TEST(a_restart_at_another_address_is_let_in_once_the_former_does_not_answer),
		TEST(the_name_of_one_that_is_gone_is_free),
		TEST(of_two_with_one_name_let_in_at_two_places_the_later_is_told),
		TEST(who_was_replaced_while_it_hung_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
