#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gossip_fixture.h"

#include "base/error.h"

#include <stdio.h>

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

/* --- joining ------------------------------------------------------------------------------------------------------- */

static void ten_nodes_see_one_another_in_under_a_second(void **state)
{
	(void)state;
	for (uint64_t id = 1; id <= 10; id++)
		fixture_add(&fixture, id, 1);
	for (uint64_t id = 2; id <= 10; id++)
		fixture_join(&fixture, id, 1);
	fixture_run(&fixture, 1000);
	for (uint64_t from = 1; from <= 10; from++)
		for (uint64_t to = 1; to <= 10; to++)
			assert_int_equal(fixture_state(&fixture, from, to), GOSSIP_ALIVE);
}

static void a_node_started_before_its_seed_joins_once_the_seed_is_up(void **state)
{
	(void)state;
	fixture_add(&fixture, 2, 1);
	snprintf(fixture.nodes[1].address, sizeof fixture.nodes[1].address, "10.0.0.1:9189");
	fixture_join(&fixture, 2, 1);
	fixture_run(&fixture, 60000);
	fixture_add(&fixture, 1, 1);
	fixture_run(&fixture, 3000);
	assert_int_equal(fixture_state(&fixture, 1, 2), GOSSIP_ALIVE);
	assert_int_equal(fixture_state(&fixture, 2, 1), GOSSIP_ALIVE);
}

static void a_node_that_is_its_own_seed_is_alone_in_peace(void **state)
{
	(void)state;
	fixture_add(&fixture, 1, 1);
	fixture_join(&fixture, 1, 1);
	fixture_run(&fixture, 10000);
	assert_int_equal(fixture.nodes[1].conflicts, 0);
	assert_int_equal(fixture.nodes[1].datagrams, 0);
}

static void new_seeds_take_the_place_of_the_old_ones(void **state)
{
	(void)state;
	fixture_add(&fixture, 1, 1);
	fixture_add(&fixture, 2, 1);
	const char *nowhere[] = {"10.9.9.9:1"};
	fixture_event(&fixture, 2, (struct gossip_event){.kind = GOSSIP_JOIN, .seeds = nowhere, .seed_count = 1});
	fixture_run(&fixture, 5000);
	assert_int_equal(fixture_state(&fixture, 2, 1), GOSSIP_STATE_END);
	fixture_join(&fixture, 2, 1);
	fixture_run(&fixture, 1000);
	assert_int_equal(fixture_state(&fixture, 2, 1), GOSSIP_ALIVE);
}

static void seeds_that_are_told_of_later_are_contacted_at_once(void **state)
{
	(void)state;
	const char *seeds[] = {"10.0.0.1:9189", "10.0.0.2:9189", "10.9.9.9:1", "10.0.0.3:9189"};
	fixture_cluster(&fixture, 2);
	fixture_event(&fixture, 2, (struct gossip_event){.kind = GOSSIP_JOIN, .seeds = seeds, .seed_count = 3});
	fixture_run(&fixture, 5000);
	fixture_add(&fixture, 3, 1);
	fixture_event(&fixture, 2, (struct gossip_event){.kind = GOSSIP_JOIN, .seeds = seeds, .seed_count = 4});
	fixture_run(&fixture, 1000);
	for (uint64_t from = 1; from <= 3; from++)
		for (uint64_t to = 1; to <= 3; to++)
			assert_int_equal(fixture_state(&fixture, from, to), GOSSIP_ALIVE);
}

static void fifty_changes_are_told_one_by_one_and_none_is_lost(void **state)
{
	(void)state;
	fixture_cluster(&fixture, 4);
	uint64_t before = gossip_sequence(fixture.nodes[1].gossip);
	for (uint64_t generation = 2; generation < 12; generation++) {
		for (uint64_t id = 2; id <= 4; id++) {
			fixture_kill(&fixture, id);
			fixture_add(&fixture, id, generation);
			fixture_join(&fixture, id, 1);
		}
		fixture_run(&fixture, 500);
	}
	assert_true(gossip_sequence(fixture.nodes[1].gossip) >= before + 30);
	assert_int_equal(fixture.nodes[1].sequence, gossip_sequence(fixture.nodes[1].gossip));
	assert_int_equal(fixture.nodes[1].kinds[GOSSIP_JOINED], 33);
}

/* --- addresses ----------------------------------------------------------------------------------------------------- */

static void answers_go_to_the_advertised_address(void **state)
{
	(void)state;
	fixture_add(&fixture, 1, 1);
	fixture_add(&fixture, 2, 1);
	fixture_add(&fixture, 3, 1);
	/* What they listen on is not where they are reached. */
	for (uint64_t id = 1; id <= 3; id++)
		snprintf(fixture.nodes[id].bound, sizeof fixture.nodes[id].bound, "0.0.0.0:%u", (unsigned)id);
	fixture_join(&fixture, 2, 1);
	fixture_join(&fixture, 3, 1);
	fixture_run(&fixture, 10000);
	assert_int_equal(fixture_state(&fixture, 2, 3), GOSSIP_ALIVE);
	assert_int_equal(fixture_state(&fixture, 3, 2), GOSSIP_ALIVE);
	assert_int_equal(fixture.nodes[1].kinds[GOSSIP_SUSPECTED], 0);
	assert_int_equal(gossip_counts(fixture.nodes[2].gossip)->probes_failed, 0);
}

/* --- cluster id ---------------------------------------------------------------------------------------------------- */

static void another_cluster_is_refused_counted_and_named(void **state)
{
	const char *other = "ffffffffffffffffffffffffffffffff";
	(void)state;
	fixture_add(&fixture, 1, 1);
	fixture_add_as(&fixture, 2, 2, 1, NULL, NULL, other);
	fixture_join(&fixture, 2, 1);
	fixture_run(&fixture, 2000);
	assert_int_equal(fixture_state(&fixture, 1, 2), GOSSIP_STATE_END);
	assert_int_equal(fixture_state(&fixture, 2, 1), GOSSIP_STATE_END);
	assert_true(gossip_counts(fixture.nodes[1].gossip)->refused_cluster > 0);
	assert_true(gossip_counts(fixture.nodes[2].gossip)->refused_cluster > 0);
	assert_string_equal(fixture.nodes[2].sighting.cluster_id, FIXTURE_CLUSTER);
	assert_string_equal(fixture.nodes[1].sighting.cluster_id, other);
}

static void a_node_without_cluster_adopts_nothing_and_says_what_it_heard(void **state)
{
	(void)state;
	fixture_add(&fixture, 1, 1);
	fixture_add_as(&fixture, 2, 2, 1, NULL, NULL, "");
	fixture_join(&fixture, 2, 1);
	fixture_run(&fixture, 1000);
	assert_string_equal(gossip_cluster_id(fixture.nodes[2].gossip), "");
	assert_string_equal(fixture.nodes[2].sighting.cluster_id, FIXTURE_CLUSTER);
	assert_int_equal(fixture_state(&fixture, 1, 2), GOSSIP_STATE_END);
	assert_int_equal(fixture_state(&fixture, 2, 1), GOSSIP_STATE_END);
	fixture_event(&fixture, 2, (struct gossip_event){.kind = GOSSIP_CLUSTER, .cluster_id = FIXTURE_CLUSTER});
	assert_int_equal(fixture.nodes[2].result, 0);
	fixture_run(&fixture, 1000);
	assert_int_equal(fixture_state(&fixture, 1, 2), GOSSIP_ALIVE);
	assert_int_equal(fixture_state(&fixture, 2, 1), GOSSIP_ALIVE);
	fixture_event(&fixture, 2,
	              (struct gossip_event){.kind = GOSSIP_CLUSTER, .cluster_id = "ffffffffffffffffffffffffffffffff"});
	assert_int_equal(fixture.nodes[2].result, ERR_CONFLICT);
}

static void founders_know_one_another_before_and_after_they_have_a_cluster(void **state)
{
	(void)state;
	for (uint64_t id = 1; id <= 3; id++)
		fixture_add_as(&fixture, id, id, 1, NULL, NULL, "");
	fixture_join(&fixture, 2, 1);
	fixture_join(&fixture, 3, 1);
	fixture_run(&fixture, 1000);
	assert_int_equal(fixture_state(&fixture, 2, 3), GOSSIP_ALIVE);
	for (uint64_t id = 1; id <= 3; id++) {
		fixture_event(&fixture, id,
		              (struct gossip_event){.kind = GOSSIP_CLUSTER, .cluster_id = FIXTURE_CLUSTER});
		fixture_run(&fixture, 3000); /* the others hear of it much later */
	}
	for (uint64_t id = 1; id <= 3; id++)
		assert_int_equal(fixture.nodes[id].kinds[GOSSIP_SUSPECTED], 0);
}

/* --- life and death ------------------------------------------------------------------------------------------------ */

static void a_killed_node_has_failed_for_all_in_under_two_seconds_once(void **state)
{
	(void)state;
	fixture_cluster(&fixture, 10);
	fixture_kill(&fixture, 5);
	fixture_run(&fixture, 2000);
	for (uint64_t id = 1; id <= 10; id++) {
		if (id == 5)
			continue;
		assert_int_equal(fixture_state(&fixture, id, 5), GOSSIP_FAILED);
		assert_int_equal(fixture.nodes[id].kinds[GOSSIP_HAS_FAILED], 1);
	}
	fixture_run(&fixture, 20000);
	assert_int_equal(fixture.nodes[1].kinds[GOSSIP_HAS_FAILED], 1);
}

static void a_restarted_node_is_live_again_at_once_as_one_entry(void **state)
{
	struct gossip_statistics statistics;
	(void)state;
	fixture_cluster(&fixture, 3);
	fixture_kill(&fixture, 3);
	fixture_run(&fixture, 5000);
	assert_int_equal(fixture_state(&fixture, 1, 3), GOSSIP_FAILED);
	fixture_add(&fixture, 3, 2);
	fixture_join(&fixture, 3, 1);
	fixture_run(&fixture, 500);
	assert_int_equal(fixture_state(&fixture, 2, 3), GOSSIP_ALIVE);
	assert_int_equal(fixture_member(&fixture, 2, 3).generation, 2);
	gossip_statistics(fixture.nodes[2].gossip, &statistics);
	assert_int_equal(statistics.live, 3);
	assert_int_equal(statistics.dead, 0);
}

static void a_restart_that_nobody_noticed_is_a_join_of_the_new_generation(void **state)
{
	(void)state;
	fixture_cluster(&fixture, 3);
	fixture_kill(&fixture, 3);
	fixture_add(&fixture, 3, 2);
	fixture_join(&fixture, 3, 1);
	fixture_run(&fixture, 500);
	assert_int_equal(fixture.nodes[2].kinds[GOSSIP_HAS_FAILED], 0);
	assert_int_equal(fixture.nodes[2].kinds[GOSSIP_JOINED], 3);
	assert_int_equal(fixture_member(&fixture, 2, 3).generation, 2);
}

static void an_older_generation_never_takes_the_place_of_a_newer_one(void **state)
{
	(void)state;
	fixture_cluster(&fixture, 3);
	fixture_kill(&fixture, 3);
	fixture_add(&fixture, 3, 5);
	fixture_join(&fixture, 3, 1);
	fixture_run(&fixture, 500);
	fixture_kill(&fixture, 3);
	fixture_add(&fixture, 3, 4); /* its counter was set back */
	fixture_join(&fixture, 3, 1);
	fixture_run(&fixture, 2000);
	assert_int_equal(fixture_member(&fixture, 2, 3).generation, 5);
	assert_int_equal(fixture.nodes[3].conflict.reason, GOSSIP_REFUSED_GENERATION);
	assert_int_equal(fixture.nodes[3].conflict.generation, 5);
}

static void a_node_that_leaves_is_left_for_all_in_under_two_seconds(void **state)
{
	(void)state;
	fixture_cluster(&fixture, 10);
	fixture_event(&fixture, 4, (struct gossip_event){.kind = GOSSIP_LEAVE});
	fixture_run(&fixture, 2000);
	assert_int_equal(fixture.nodes[4].lefts, 1);
	assert_int_equal(gossip_deadline(fixture.nodes[4].gossip), MSEC_NEVER);
	for (uint64_t id = 1; id <= 10; id++) {
		if (id == 4)
			continue;
		struct gossip_member member = fixture_member(&fixture, id, 4);
		assert_int_equal(member.state, GOSSIP_LEFT);
		assert_string_equal(member.address, "10.0.0.4:9189");
		assert_int_equal(fixture.nodes[id].kinds[GOSSIP_HAS_LEFT], 1);
		assert_int_equal(fixture.nodes[id].kinds[GOSSIP_HAS_FAILED], 0);
	}
}

static void a_node_alone_leaves_at_once(void **state)
{
	(void)state;
	fixture_add(&fixture, 1, 1);
	fixture_event(&fixture, 1, (struct gossip_event){.kind = GOSSIP_LEAVE});
	fixture_run(&fixture, 2000);
	assert_int_equal(fixture.nodes[1].lefts, 1);
}

static void who_left_comes_back_with_a_new_generation_only(void **state)
{
	(void)state;
	fixture_cluster(&fixture, 3);
	fixture_event(&fixture, 3, (struct gossip_event){.kind = GOSSIP_LEAVE});
	fixture_run(&fixture, 2000);
	fixture_kill(&fixture, 3);
	fixture_add(&fixture, 3, 1);
	fixture_join(&fixture, 3, 1);
	fixture_run(&fixture, 2000);
	assert_int_equal(fixture_state(&fixture, 1, 3), GOSSIP_LEFT);
	assert_int_equal(fixture.nodes[3].conflict.reason, GOSSIP_REFUSED_GENERATION);
	fixture_kill(&fixture, 3);
	fixture_add(&fixture, 3, 2);
	fixture_join(&fixture, 3, 1);
	fixture_run(&fixture, 1000);
	assert_int_equal(fixture_state(&fixture, 1, 3), GOSSIP_ALIVE);
}

static void the_dead_are_kept_for_a_while_then_forgotten(void **state)
{
	(void)state;
	fixture.settings.dead_grace_ms = 30000;
	fixture_cluster(&fixture, 3);
	fixture_kill(&fixture, 3);
	fixture_run(&fixture, 20000);
	assert_int_equal(fixture_state(&fixture, 1, 3), GOSSIP_FAILED);
	fixture_run(&fixture, 15000);
	assert_int_equal(fixture_state(&fixture, 1, 3), GOSSIP_STATE_END);
	assert_int_equal(fixture.nodes[1].kinds[GOSSIP_FORGOTTEN], 1);
}

static void who_was_forgotten_is_not_brought_back_by_who_missed_it(void **state)
{
	(void)state;
	fixture.settings.dead_grace_ms = 30000;
	fixture_cluster(&fixture, 4);
	fixture.nodes[4].paused = true;
	fixture_run(&fixture, 3000);
	fixture_kill(&fixture, 3);
	fixture_run(&fixture, 60000);
	assert_int_equal(fixture_state(&fixture, 1, 3), GOSSIP_STATE_END);
	fixture.nodes[4].paused = false;
	fixture_run(&fixture, 10000);
	assert_int_equal(fixture_state(&fixture, 1, 4), GOSSIP_ALIVE);
	assert_int_equal(fixture_state(&fixture, 4, 2), GOSSIP_ALIVE);
	for (uint64_t id = 1; id <= 4; id++)
		if (id != 3)
			assert_int_equal(fixture_state(&fixture, id, 3), GOSSIP_STATE_END);
	assert_int_equal(fixture.nodes[1].kinds[GOSSIP_JOINED], 4); /* three, and the one that came back */
}

/* The clock of a suspended machine may stand still: nothing tells it that it was away. */
static void nor_by_who_does_not_know_that_it_was_away(void **state)
{
	(void)state;
	fixture.settings.dead_grace_ms = 30000;
	fixture_cluster(&fixture, 4);
	for (uint64_t id = 1; id <= 3; id++)
		fixture.cut[id][4] = fixture.cut[4][id] = true;
	fixture.nodes[4].paused = true;
	fixture_run(&fixture, 3000);
	fixture_kill(&fixture, 3);
	fixture_run(&fixture, 60000);
	/* A message of the time before: node 4 says that node 3 is alive. */
	const struct gossip_profile profile = {.name = SLICE("n3"), .address = SLICE("10.0.0.3:9189"), .version = 0};
	const struct gossip_update update = {.id = 3, .generation = 1, .state = GOSSIP_ALIVE, .profile = &profile};
	const struct gossip_message message = {.kind = GOSSIP_SPREAD,
	                                       .protocol = GOSSIP_PROTOCOL,
	                                       .cluster_id = FIXTURE_CLUSTER,
	                                       .from = 2,
	                                       .generation = 1,
	                                       .address = SLICE("10.0.0.2:9189"),
	                                       .updates = &update,
	                                       .update_count = 1};
	fixture_event(&fixture, 1,
	              (struct gossip_event){.kind = GOSSIP_DATAGRAM, .message = &message, .source = "10.0.0.2:9189"});
	fixture_run(&fixture, 3000);
	assert_int_equal(fixture_state(&fixture, 1, 3), GOSSIP_STATE_END);
	assert_int_equal(gossip_counts(fixture.nodes[1].gossip)->refused_forgotten, 1);
}

static void two_halves_that_forgot_one_another_find_together(void **state)
{
	(void)state;
	fixture.settings.dead_grace_ms = 20000;
	fixture_cluster(&fixture, 4);
	for (uint64_t from = 1; from <= 4; from++)
		for (uint64_t to = 1; to <= 4; to++)
			fixture.cut[from][to] = (from <= 2) != (to <= 2);
	fixture_run(&fixture, 60000);
	assert_int_equal(fixture_state(&fixture, 1, 3), GOSSIP_STATE_END);
	memset(fixture.cut, 0, sizeof fixture.cut);
	fixture_run(&fixture, 60000); /* by the seed, which nodes 3 and 4 do not hear */
	for (uint64_t from = 1; from <= 4; from++)
		for (uint64_t to = 1; to <= 4; to++)
			assert_int_equal(fixture_state(&fixture, from, to), GOSSIP_ALIVE);
}

static void a_partition_heals_though_all_have_failed_for_the_other_side(void **state)
{
	(void)state;
	fixture_cluster(&fixture, 6);
	for (uint64_t from = 1; from <= 6; from++)
		for (uint64_t to = 1; to <= 6; to++)
			fixture.cut[from][to] = (from <= 3) != (to <= 3);
	fixture_run(&fixture, 30000);
	assert_int_equal(fixture_state(&fixture, 1, 6), GOSSIP_FAILED);
	memset(fixture.cut, 0, sizeof fixture.cut);
	fixture_run(&fixture, 15000);
	for (uint64_t from = 1; from <= 6; from++)
		for (uint64_t to = 1; to <= 6; to++)
			assert_int_equal(fixture_state(&fixture, from, to), GOSSIP_ALIVE);
}

static void a_node_that_hung_for_a_while_refutes_that_it_failed(void **state)
{
	(void)state;
	fixture_cluster(&fixture, 5);
	fixture.nodes[5].paused = true;
	fixture_run(&fixture, 10000);
	assert_int_equal(fixture_state(&fixture, 1, 5), GOSSIP_FAILED);
	fixture.nodes[5].paused = false;
	fixture_run(&fixture, 3000);
	for (uint64_t id = 1; id <= 5; id++) {
		assert_int_equal(fixture_state(&fixture, id, 5), GOSSIP_ALIVE);
		/* And it has not given up the others, who could not answer it. */
		assert_int_equal(fixture_state(&fixture, 5, id), GOSSIP_ALIVE);
	}
	assert_int_equal(fixture.nodes[5].kinds[GOSSIP_HAS_FAILED], 0);
	assert_int_equal(gossip_counts(fixture.nodes[5].gossip)->pauses, 1);
	assert_true(fixture_member(&fixture, 1, 5).incarnation > 0);
	assert_int_equal(fixture_member(&fixture, 1, 5).generation, 1);
}

/* --- looking ------------------------------------------------------------------------------------------------------- */

static void members_are_gone_through_in_ascending_order(void **state)
{
	struct gossip_member member;
	uint64_t expected[] = {1, 2, 3, 4};
	size_t count = 0;
	(void)state;
	fixture_cluster(&fixture, 4);
	for (uint64_t id = 0; gossip_next(fixture.nodes[3].gossip, id, &member); id = member.id)
		assert_int_equal(member.id, expected[count++]);
	assert_int_equal(count, 4);
	assert_true(gossip_find_name(fixture.nodes[3].gossip, "n2", &member));
	assert_int_equal(member.id, 2);
	assert_false(member.self);
	assert_false(gossip_find_name(fixture.nodes[3].gossip, "n9", &member));
}

static void statistics_match_the_list(void **state)
{
	struct gossip_statistics statistics;
	(void)state;
	fixture_cluster(&fixture, 5);
	for (uint64_t id = 1; id <= 5; id++)
		fixture_event(&fixture, id,
		              (struct gossip_event){.kind = GOSSIP_SET,
		                                    .key = SLICE("datacenter"),
		                                    .value = id <= 2 ? SLICE("east") : SLICE("west")});
	fixture_run(&fixture, 1000);
	gossip_statistics(fixture.nodes[1].gossip, &statistics);
	assert_int_equal(statistics.live, 5);
	assert_int_equal(statistics.datacenters, 2);
	for (uint64_t id = 3; id <= 5; id++)
		fixture_kill(&fixture, id);
	fixture_run(&fixture, 10000);
	gossip_statistics(fixture.nodes[1].gossip, &statistics);
	assert_int_equal(statistics.live, 2);
	assert_int_equal(statistics.dead, 3);
	assert_int_equal(statistics.datacenters, 1);
	assert_int_equal(statistics.suspect, 0);
}

static void nonsense_is_not_a_configuration(void **state)
{
	struct gossip *gossip;
	struct gossip_config good = {.id = 1, .generation = 1, .name = "n", .address = "1.2.3.4:5", .cluster_id = ""};
	struct gossip_config config;
	(void)state;
	assert_int_equal(gossip_create(&good, &gossip), 0);
	gossip_destroy(gossip);
	config = good, config.id = 0;
	assert_int_equal(gossip_create(&config, &gossip), ERR_INVALID);
	config = good, config.generation = GOSSIP_ID_MAX + 1;
	assert_int_equal(gossip_create(&config, &gossip), ERR_INVALID);
	config = good, config.name = "";
	assert_int_equal(gossip_create(&config, &gossip), ERR_INVALID);
	config = good, config.address = "nowhere";
	assert_int_equal(gossip_create(&config, &gossip), ERR_INVALID);
	config = good, config.cluster_id = "abc";
	assert_int_equal(gossip_create(&config, &gossip), ERR_INVALID);
	config = good, config.probe_ms = 100, config.probe_timeout_ms = 100;
	assert_int_equal(gossip_create(&config, &gossip), ERR_INVALID);
}

static void what_no_member_says_is_counted_and_dropped(void **state)
{
	struct gossip_message message = {.kind = GOSSIP_PING,
	                                 .protocol = GOSSIP_PROTOCOL,
	                                 .cluster_id = FIXTURE_CLUSTER,
	                                 .from = 9,
	                                 .generation = 1,
	                                 .address = SLICE("10.0.0.9:9189"),
	                                 .sequence = 7};
	struct gossip_event event = {.kind = GOSSIP_DATAGRAM, .message = &message, .source = "10.0.0.9:9189"};
	struct fixture_node *node = &fixture.nodes[1];
	(void)state;
	fixture_add(&fixture, 1, 1);
	message.from = 0;
	fixture_event(&fixture, 1, event);
	message.from = 9, message.kind = GOSSIP_ASK_ALL; /* not in a datagram */
	fixture_event(&fixture, 1, event);
	assert_int_equal(gossip_counts(node->gossip)->refused_malformed, 2);
	message.kind = GOSSIP_PING, message.target = 5; /* for somebody else, who was here before */
	fixture_event(&fixture, 1, event);
	assert_int_equal(gossip_counts(node->gossip)->refused_stale, 1);
	assert_int_equal(node->datagrams, 1); /* it wants to know who that was; it does not answer the ping */
	message.target = 1, message.protocol = 99;
	fixture_event(&fixture, 1, event);
	assert_int_equal(gossip_counts(node->gossip)->refused_protocol, 1);
}

static void stamps_ride_on_messages_and_far_ones_are_refused(void **state)
{
	struct gossip_message message = {.kind = GOSSIP_PING,
	                                 .protocol = GOSSIP_PROTOCOL,
	                                 .cluster_id = FIXTURE_CLUSTER,
	                                 .from = 2,
	                                 .generation = 1,
	                                 .address = SLICE("10.0.0.2:9189"),
	                                 .sequence = 7};
	struct gossip_event event = {.kind = GOSSIP_DATAGRAM, .message = &message, .source = "10.0.0.2:9189"};
	(void)state;
	fixture_cluster(&fixture, 2);
	struct fixture_node *node = &fixture.nodes[1];
	uint64_t wall = (uint64_t)(fixture.now + fixture.wall_offset);
	message.stamp = (wall + 400) << 16;
	fixture_event(&fixture, 1, event);
	assert_true(node->clock.last > message.stamp); /* observed, and the answer's stamp is above it */
	message.stamp = (wall + 7200000) << 16;
	fixture_event(&fixture, 1, event);
	assert_true(node->clock.last < message.stamp);
	assert_int_equal(gossip_counts(node->gossip)->refused_stamps, 1);
	assert_int_equal(node->clock.refused, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(ten_nodes_see_one_another_in_under_a_second),
		TEST(a_node_started_before_its_seed_joins_once_the_seed_is_up),
		TEST(a_node_that_is_its_own_seed_is_alone_in_peace),
		TEST(new_seeds_take_the_place_of_the_old_ones),
		TEST(seeds_that_are_told_of_later_are_contacted_at_once),
		TEST(fifty_changes_are_told_one_by_one_and_none_is_lost),
		TEST(answers_go_to_the_advertised_address),
		TEST(another_cluster_is_refused_counted_and_named),
		TEST(a_node_without_cluster_adopts_nothing_and_says_what_it_heard),
		TEST(founders_know_one_another_before_and_after_they_have_a_cluster),
		TEST(a_killed_node_has_failed_for_all_in_under_two_seconds_once),
		TEST(a_restarted_node_is_live_again_at_once_as_one_entry),
		TEST(a_restart_that_nobody_noticed_is_a_join_of_the_new_generation),
		TEST(an_older_generation_never_takes_the_place_of_a_newer_one),
		TEST(a_node_that_leaves_is_left_for_all_in_under_two_seconds),
		TEST(a_node_alone_leaves_at_once),
		TEST(who_left_comes_back_with_a_new_generation_only),
		TEST(the_dead_are_kept_for_a_while_then_forgotten),
		TEST(who_was_forgotten_is_not_brought_back_by_who_missed_it),
		TEST(nor_by_who_does_not_know_that_it_was_away),
		TEST(two_halves_that_forgot_one_another_find_together),
		TEST(a_partition_heals_though_all_have_failed_for_the_other_side),
		TEST(a_node_that_hung_for_a_while_refutes_that_it_failed),
		TEST(members_are_gone_through_in_ascending_order),
		TEST(statistics_match_the_list),
		TEST(nonsense_is_not_a_configuration),
		TEST(what_no_member_says_is_counted_and_dropped),
		TEST(stamps_ride_on_messages_and_far_ones_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
