/* The table of members against a plain one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "membership/gossip.h"
#include "membership/members.h"

#include <stdio.h>

#define IDS 60

static struct profile *profile(uint64_t generation)
{
	const struct gossip_profile all = {.name = SLICE("n"), .address = SLICE("1.2.3.4:5")};
	return profile_create(NULL, generation, &all);
}

struct plain {
	bool known;
	enum gossip_state state;
	msec since;
};

static void compare(const struct members *members, const struct plain *plain)
{
	size_t count = 0;
	size_t live = 0;
	uint64_t last = 0;
	for (uint64_t id = 2; id < IDS; id++) {
		uint16_t slot = members_find(members, id);
		assert_true((slot != NO_SLOT) == plain[id].known);
		if (slot == NO_SLOT)
			continue;
		const struct record *record = members_at(members, slot);
		bool is_live = record->state == GOSSIP_ALIVE || record->state == GOSSIP_SUSPECT;
		assert_int_equal(record->state, plain[id].state);
		assert_int_equal(members_since(members, slot), is_live ? 0 : plain[id].since);
		if (is_live)
			assert_int_equal(members->live[record->place], slot);
		else
			assert_int_equal(members->departed[record->place].slot, slot);
		count++;
		live += is_live;
	}
	assert_int_equal(members->count, count + 1);
	assert_int_equal(members->live_count, live);
	assert_int_equal(members->departed_count, count - live);
	assert_true(members->probed <= members->live_count);
	for (size_t i = 0; i < members->count; i++) {
		assert_true(members_at(members, members->sorted[i])->id > last);
		last = members_at(members, members->sorted[i])->id;
	}
}

static void it_is_as_a_plain_table_after_anything(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 30; seed++) {
		struct random random = {seed};
		struct members members;
		struct plain plain[IDS] = {{0}};
		members_init(&members);
		members_add(&members, 1, profile(1), 0, true);
		for (int i = 0; i < 600; i++) {
			uint64_t id = 2 + random_below(&random, IDS - 2);
			uint16_t slot = members_find(&members, id);
			if (random_below(&random, 3) == 0)
				members_next_probe(&members, &random);
			if (slot == NO_SLOT) {
				members_add(&members, id, profile(1), 0, false);
				plain[id] = (struct plain){.known = true, .state = GOSSIP_ALIVE};
			} else if (random_below(&random, 4) == 0) {
				members_remove(&members, slot, 0);
				plain[id].known = false;
			} else {
				plain[id].state = (enum gossip_state)random_below(&random, GOSSIP_STATE_END);
				plain[id].since = i + 1;
				members_set_state(&members, slot, plain[id].state, i + 1);
			}
			compare(&members, plain);
		}
		members_finish(&members);
	}
}

static void each_has_its_turn_once_in_a_round(void **state)
{
	struct members members;
	struct random random = {5};
	(void)state;
	members_init(&members);
	assert_int_equal(members_next_probe(&members, &random), NO_SLOT);
	assert_int_equal(members_random(&members, &random), NO_SLOT);
	for (uint64_t id = 1; id <= 20; id++)
		members_add(&members, id, profile(1), 0, false);
	for (int round = 0; round < 50; round++) {
		bool seen[30] = {false};
		for (int i = 0; i < 20; i++) {
			uint16_t slot = members_next_probe(&members, &random);
			assert_false(seen[slot]);
			seen[slot] = true;
		}
	}
	/* Who joins in the middle of a round has its turn in it. */
	for (int i = 0; i < 10; i++)
		members_next_probe(&members, &random);
	uint16_t slot = members_add(&members, 99, profile(1), 0, false);
	bool seen = false;
	for (int i = 0; i < 11; i++)
		seen = members_next_probe(&members, &random) == slot || seen;
	assert_true(seen);
	members_finish(&members);
}

static void certificates_are_of_the_newest_and_end(void **state)
{
	struct members members;
	(void)state;
	members_init(&members);
	members_add(&members, 1, profile(1), 0, true);
	for (uint64_t generation = 1; generation <= 3; generation++) {
		uint16_t slot = members_add(&members, 7, profile(generation), 4, false);
		members_set_state(&members, slot, GOSSIP_FAILED, 10);
		members_remove(&members, slot, 1000);
	}
	assert_int_equal(members_certificate(&members, 7, 500)->generation, 3);
	assert_int_equal(members_certificate(&members, 7, 500)->incarnation, 4);
	assert_null(members_certificate(&members, 7, 1000));
	assert_null(members_certificate(&members, 8, 500));
	/* There is room for so many. */
	for (int i = 0; i < CERTIFICATES_MAX; i++) {
		uint16_t slot = members_add(&members, 100 + (uint64_t)i, profile(1), 0, false);
		members_remove(&members, slot, 1000);
	}
	assert_null(members_certificate(&members, 7, 500));
	assert_non_null(members_certificate(&members, 100, 500));
	members_finish(&members);
}

/* --- profiles ------------------------------------------------------------------------------------------------------ */

static struct profile *three(void)
{
	const struct gossip_pair pairs[] = {{SLICE("c"), SLICE("3"), 3, false},
	                                    {SLICE("a"), SLICE("1"), 1, false},
	                                    {SLICE("b"), SLICE(""), 5, true}};
	const struct gossip_profile all = {.name = SLICE("n"),
	                                   .address = SLICE("1.2.3.4:5"),
	                                   .version = 5,
	                                   .collected = 0,
	                                   .pairs = pairs,
	                                   .pair_count = 3};
	return profile_create(NULL, 1, &all);
}

static void a_change_since_a_version_is_what_is_newer(void **state)
{
	struct arena arena = {0};
	struct profile *profile = three();
	(void)state;
	assert_int_equal(profile->live_count, 2);
	assert_int_equal(profile->pairs[0].key.data[0], 'a');
	const struct gossip_profile *change = profile_since(profile, 3, &arena);
	assert_int_equal(change->base, 3);
	assert_int_equal(change->pair_count, 1);
	assert_true(change->pairs[0].deleted);
	assert_int_equal(change->name.size, 0);
	change = profile_since(profile, 0, &arena);
	assert_int_equal(change->base, 0);
	assert_int_equal(change->pair_count, 3);
	change = profile_since(profile, 9, &arena); /* it has more than there is */
	assert_int_equal(change->base, 5);
	assert_int_equal(change->pair_count, 0);
	profile_release(profile);
	arena_finish(&arena);
}

static void who_may_have_missed_a_tombstone_gets_all(void **state)
{
	struct arena arena = {0};
	struct profile *profile = three();
	struct profile *collected = profile_collect(profile, 5);
	(void)state;
	assert_int_equal(collected->pair_count, 2);
	assert_int_equal(collected->version, 5);
	assert_int_equal(profile_since(collected, 4, &arena)->base, 0);
	assert_int_equal(profile_since(collected, 5, &arena)->base, 5);
	profile_release(profile);
	profile_release(collected);
	arena_finish(&arena);
}

static void changes_are_merged_key_by_key(void **state)
{
	struct profile *profile = three();
	const struct gossip_pair pairs[] = {{SLICE("a"), SLICE("old"), 1, false}, {SLICE("d"), SLICE("4"), 7, false}};
	const struct gossip_profile change = {.base = 2, .version = 7, .collected = 5, .pairs = pairs, .pair_count = 2};
	struct profile *changed = profile_change(profile, &change);
	(void)state;
	assert_int_equal(changed->version, 7);
	assert_int_equal(changed->collected, 5);
	assert_int_equal(changed->pair_count, 3); /* the tombstone is collected */
	assert_true(slice_is(changed->pairs[0].value, "1"));
	assert_true(slice_is(changed->pairs[2].value, "4"));
	assert_string_equal(changed->name, "n");
	profile_release(profile);
	profile_release(changed);
}

static void a_change_that_would_be_too_much_is_none(void **state)
{
	struct gossip_pair pairs[GOSSIP_PAIRS_MAX];
	char keys[GOSSIP_PAIRS_MAX][8];
	struct profile *profile = three();
	(void)state;
	for (size_t i = 0; i < GOSSIP_PAIRS_MAX; i++) {
		snprintf(keys[i], sizeof keys[i], "k%zu", i);
		pairs[i] = (struct gossip_pair){slice_of(keys[i]), SLICE("v"), 6, false};
	}
	const struct gossip_profile change = {.base = 5, .version = 6, .pairs = pairs, .pair_count = GOSSIP_PAIRS_MAX};
	assert_null(profile_change(profile, &change));
	profile_release(profile);
}

static void equal_ones_are_shared_and_let_go(void **state)
{
	struct gossip_shared *shared = gossip_shared_create();
	struct profile *many[3000];
	(void)state;
	for (size_t i = 0; i < 3000; i++) {
		char name[16];
		snprintf(name, sizeof name, "n%zu", i / 2);
		const struct gossip_profile all = {.name = slice_of(name), .address = SLICE("1.2.3.4:5")};
		many[i] = profile_create(shared, 1, &all);
		if (i % 2 == 1)
			assert_ptr_equal(many[i], many[i - 1]);
		else if (i > 0)
			assert_ptr_not_equal(many[i], many[i - 1]);
	}
	for (size_t i = 0; i < 3000; i++)
		profile_release(many[i]);
	gossip_shared_destroy(shared); /* asserts that none is left */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_as_a_plain_table_after_anything),
		cmocka_unit_test(each_has_its_turn_once_in_a_round),
		cmocka_unit_test(certificates_are_of_the_newest_and_end),
		cmocka_unit_test(a_change_since_a_version_is_what_is_newer),
		cmocka_unit_test(who_may_have_missed_a_tombstone_gets_all),
		cmocka_unit_test(changes_are_merged_key_by_key),
		cmocka_unit_test(a_change_that_would_be_too_much_is_none),
		cmocka_unit_test(equal_ones_are_shared_and_let_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
