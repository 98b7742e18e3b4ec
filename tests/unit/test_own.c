/* What a node says of itself: key-values, their versions, how they get to the others. */
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

static int set(uint64_t id, const char *key, const char *value)
{
	fixture_event(&fixture, id,
	              (struct gossip_event){.kind = GOSSIP_SET, .key = slice_of(key), .value = slice_of(value)});
	return fixture.nodes[id].result;
}

static int unset(uint64_t id, const char *key)
{
	fixture_event(&fixture, id, (struct gossip_event){.kind = GOSSIP_DELETE, .key = slice_of(key)});
	return fixture.nodes[id].result;
}

static bool has(uint64_t observer, uint64_t member, const char *key, const char *value)
{
	struct gossip_member found = fixture_member(&fixture, observer, member);
	struct slice is;
	return gossip_value(&found, key, &is) && slice_is(is, value);
}

static bool lacks(uint64_t observer, uint64_t member, const char *key)
{
	struct gossip_member found = fixture_member(&fixture, observer, member);
	struct slice is;
	return !gossip_value(&found, key, &is);
}

static void a_tag_that_is_set_or_deleted_is_so_for_all(void **state)
{
	(void)state;
	fixture_cluster(&fixture, 10);
	assert_int_equal(set(3, "tag.disk", "fast"), 0);
	assert_int_equal(set(3, "tag.rack", "7"), 0);
	fixture_run(&fixture, 1000);
	for (uint64_t id = 1; id <= 10; id++) {
		assert_true(has(id, 3, "tag.disk", "fast"));
		assert_true(has(id, 3, "tag.rack", "7"));
		assert_int_equal(fixture_member(&fixture, id, 3).version, 2);
	}
	assert_int_equal(unset(3, "tag.disk"), 0);
	assert_int_equal(unset(3, "tag.disk"), ERR_NOT_FOUND);
	fixture_run(&fixture, 1000);
	for (uint64_t id = 1; id <= 10; id++) {
		assert_true(lacks(id, 3, "tag.disk"));
		assert_true(has(id, 3, "tag.rack", "7"));
		assert_int_equal(fixture_member(&fixture, id, 3).pair_count, 1);
	}
}

static void setting_what_is_set_changes_nothing(void **state)
{
	(void)state;
	fixture_add(&fixture, 1, 1);
	assert_int_equal(set(1, "a", "1"), 0);
	assert_int_equal(set(1, "a", "1"), 0);
	assert_int_equal(fixture_member(&fixture, 1, 1).version, 1);
	assert_int_equal(fixture.nodes[1].kinds[GOSSIP_UPDATED], 1);
}

static void pairs_are_in_order_of_their_keys(void **state)
{
	(void)state;
	fixture_add(&fixture, 1, 1);
	set(1, "b", "2");
	set(1, "c", "3");
	set(1, "a", "1");
	struct gossip_member member = fixture_member(&fixture, 1, 1);
	assert_int_equal(member.pair_count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(member.pairs[i].key.data[0], "abc"[i]);
}

static void what_is_too_much_is_refused(void **state)
{
	char value[GOSSIP_VALUE_MAX + 2] = "";
	char key[GOSSIP_KEY_MAX + 2] = "";
	(void)state;
	fixture_add(&fixture, 1, 1);
	memset(value, 'v', sizeof value - 1);
	memset(key, 'k', sizeof key - 1);
	assert_int_equal(set(1, "a", value), ERR_LIMIT);
	assert_int_equal(set(1, key, "1"), ERR_INVALID);
	assert_int_equal(set(1, "", "1"), ERR_INVALID);
	assert_int_equal(set(1, "a\nb", "1"), ERR_INVALID);
	value[GOSSIP_VALUE_MAX] = '\0';
	assert_int_equal(set(1, "a", value), 0);
	assert_int_equal(set(1, "b", value), 0);
	assert_int_equal(set(1, "c", value), 0);
	assert_int_equal(set(1, "d", value), ERR_LIMIT); /* all of it must fit in a datagram */
	assert_int_equal(unset(1, "b"), 0);
	assert_int_equal(set(1, "d", value), 0);
}

static void a_member_that_says_all_it_may_fits_in_every_datagram(void **state)
{
	char value[GOSSIP_VALUE_MAX + 1] = "";
	char name[GOSSIP_NAME_MAX + 1] = "";
	(void)state;
	memset(value, 'v', sizeof value - 1);
	memset(name, 'n', sizeof name - 1);
	fixture_cluster(&fixture, 3);
	fixture_add_as(&fixture, 4, GOSSIP_ID_MAX, GOSSIP_ID_MAX, name,
	               "[2001:db8:1111:2222:3333:4444:5555:6666]:65535", NULL);
	for (char key = 'a'; set(4, (char[]){key, '\0'}, value) == 0; key++)
		;
	while (set(4, "x", value) != 0) /* to the last byte */
		value[strlen(value) - 1] = '\0';
	fixture_join(&fixture, 4, 1);
	fixture_run(&fixture, 2000);
	for (uint64_t id = 1; id <= 3; id++)
		assert_true(has(id, GOSSIP_ID_MAX, "x", value));
	assert_true(fixture.nodes[1].largest > 900);
}

static void tombstones_that_take_the_room_go_before_their_time(void **state)
{
	char key[8];
	(void)state;
	fixture_cluster(&fixture, 3);
	for (int i = 0; i < 200; i++) {
		snprintf(key, sizeof key, "k%d", i);
		assert_int_equal(set(2, key, "1"), 0);
		assert_int_equal(unset(2, key), 0);
	}
	assert_int_equal(set(2, "last", "1"), 0);
	fixture_run(&fixture, 1000);
	assert_int_equal(fixture_member(&fixture, 1, 2).version, 401);
	assert_int_equal(fixture_member(&fixture, 1, 2).pair_count, 1);
}

static void a_node_paused_past_the_tombstones_resets_and_converges(void **state)
{
	(void)state;
	fixture.settings.tombstone_ms = 5000;
	fixture_cluster(&fixture, 3);
	set(2, "tag.gone", "1");
	set(2, "tag.stays", "1");
	fixture_run(&fixture, 1000);
	assert_true(has(3, 2, "tag.gone", "1"));
	fixture.nodes[3].paused = true;
	unset(2, "tag.gone");
	fixture_run(&fixture, 20000); /* the tombstone is collected */
	set(2, "tag.new", "1");
	fixture_run(&fixture, 1000);
	assert_true(has(3, 2, "tag.gone", "1"));
	fixture.nodes[3].paused = false;
	fixture_run(&fixture, 15000);
	assert_true(lacks(3, 2, "tag.gone"));
	assert_true(has(3, 2, "tag.stays", "1"));
	assert_true(has(3, 2, "tag.new", "1"));
	assert_int_equal(gossip_counts(fixture.nodes[3].gossip)->resets, 1);
}

static void a_change_that_was_missed_is_asked_for(void **state)
{
	(void)state;
	fixture.settings.exchange_ms = 3600000; /* not by exchange */
	fixture_cluster(&fixture, 3);
	fixture_run(&fixture, 1000);
	fixture.nodes[3].paused = true;
	set(2, "first", "1");
	fixture_run(&fixture, 500); /* told as often as it may be */
	fixture.nodes[3].paused = false;
	set(2, "second", "1");
	fixture_run(&fixture, 2000);
	assert_true(has(3, 2, "second", "1"));
	assert_true(has(3, 2, "first", "1"));
}

static void a_new_generation_starts_its_key_values_anew(void **state)
{
	(void)state;
	fixture_cluster(&fixture, 3);
	set(3, "old", "1");
	set(3, "older", "1");
	fixture_run(&fixture, 1000);
	fixture_kill(&fixture, 3);
	fixture_add(&fixture, 3, 2);
	set(3, "new", "1");
	fixture_join(&fixture, 3, 1);
	fixture_run(&fixture, 1000);
	for (uint64_t id = 1; id <= 3; id++) {
		assert_true(lacks(id, 3, "old"));
		assert_true(has(id, 3, "new", "1"));
	}
}

static void what_a_node_says_from_the_start_its_first_message_tells(void **state)
{
	const struct gossip_pair pairs[] = {{.key = SLICE("role"), .value = SLICE("agent")},
	                                    {.key = SLICE("datacenter"), .value = SLICE("east")}};
	(void)state;
	fixture_add(&fixture, 1, 1);
	fixture.settings.pairs = pairs;
	fixture.settings.pair_count = 2;
	fixture_add(&fixture, 2, 1);
	fixture_join(&fixture, 2, 1);
	fixture_run(&fixture, 100);
	assert_true(has(1, 2, GOSSIP_KEY_ROLE, "agent"));
	assert_true(has(1, 2, GOSSIP_KEY_DATACENTER, "east"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_tag_that_is_set_or_deleted_is_so_for_all),
		TEST(setting_what_is_set_changes_nothing),
		TEST(pairs_are_in_order_of_their_keys),
		TEST(what_is_too_much_is_refused),
		TEST(a_member_that_says_all_it_may_fits_in_every_datagram),
		TEST(tombstones_that_take_the_room_go_before_their_time),
		TEST(a_node_paused_past_the_tombstones_resets_and_converges),
		TEST(a_change_that_was_missed_is_asked_for),
		TEST(a_new_generation_starts_its_key_values_anew),
		TEST(what_a_node_says_from_the_start_its_first_message_tells),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
