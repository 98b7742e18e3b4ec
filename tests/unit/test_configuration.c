#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"
#include "election/configuration.h"

static struct raft_configuration voters(uint64_t index, uint32_t count)
{
	struct raft_configuration configuration = {.index = index, .count = count};
	for (uint32_t i = 0; i < count; i++)
		configuration.members[i] = (struct raft_member){i + 1, true};
	return configuration;
}

static int change(struct raft_configuration *configuration, enum raft_change_kind kind, uint64_t member)
{
	return configuration_change(configuration, &(struct raft_change){kind, member}, configuration);
}

static void majority_is_of_voters_only(void **state)
{
	struct raft_configuration configuration = voters(1, 3);
	(void)state;
	assert_int_equal(configuration_quorum(&configuration), 2);
	assert_int_equal(change(&configuration, RAFT_ADD_LEARNER, 4), 0);
	assert_int_equal(configuration_quorum(&configuration), 2);
	assert_false(configuration_is_voter(&configuration, 4));
	assert_int_equal(change(&configuration, RAFT_PROMOTE, 4), 0);
	assert_int_equal(configuration_quorum(&configuration), 3);
	assert_int_equal(configuration_quorum(&(struct raft_configuration){0}), 0);
}

static void changes_that_make_no_sense_are_refused(void **state)
{
	struct raft_configuration configuration = voters(1, 1);
	(void)state;
	assert_int_equal(change(&configuration, RAFT_REMOVE, 1), ERR_INVALID);
	assert_int_equal(change(&configuration, RAFT_DEMOTE, 1), ERR_INVALID);
	assert_int_equal(change(&configuration, RAFT_ADD_LEARNER, 0), ERR_INVALID);
	assert_int_equal(change(&configuration, RAFT_ADD_LEARNER, 1), ERR_EXISTS);
	assert_int_equal(change(&configuration, RAFT_PROMOTE, 1), ERR_EXISTS);
	assert_int_equal(change(&configuration, RAFT_PROMOTE, 2), ERR_NOT_FOUND);
	assert_int_equal(change(&configuration, RAFT_REMOVE, 2), ERR_NOT_FOUND);
	assert_int_equal(change(&configuration, RAFT_ADD_LEARNER, 2), 0);
	assert_int_equal(change(&configuration, RAFT_REMOVE, 2), 0);
	assert_int_equal(configuration.count, 1);
}

static void limits_hold(void **state)
{
	struct raft_configuration configuration = voters(1, RAFT_VOTERS_MAX);
	(void)state;
	for (uint64_t id = RAFT_VOTERS_MAX + 1; id <= RAFT_MEMBERS_MAX; id++)
		assert_int_equal(change(&configuration, RAFT_ADD_LEARNER, id), 0);
	assert_int_equal(change(&configuration, RAFT_ADD_LEARNER, 100), ERR_LIMIT);
	assert_int_equal(change(&configuration, RAFT_PROMOTE, RAFT_VOTERS_MAX + 1), ERR_LIMIT);
	assert_int_equal(change(&configuration, RAFT_DEMOTE, 1), 0);
	assert_int_equal(change(&configuration, RAFT_PROMOTE, RAFT_VOTERS_MAX + 1), 0);
	assert_true(configuration_valid(&configuration));
}

static void nonsense_is_not_valid(void **state)
{
	struct raft_configuration configuration = voters(1, 3);
	(void)state;
	assert_true(configuration_valid(&configuration));
	configuration.members[2].id = 1;
	assert_false(configuration_valid(&configuration));
	configuration.members[2].id = 0;
	assert_false(configuration_valid(&configuration));
	configuration = voters(1, RAFT_VOTERS_MAX + 1);
	assert_false(configuration_valid(&configuration));
	configuration.count = RAFT_MEMBERS_MAX + 1;
	assert_false(configuration_valid(&configuration));
	configuration.count = 0;
	assert_false(configuration_valid(&configuration));
}

static void configuration_of_a_cut_entry_counts_no_more(void **state)
{
	struct configurations configurations;
	struct raft_configuration first = voters(0, 3);
	struct raft_configuration second = voters(5, 4);
	struct raft_configuration third = voters(9, 5);
	(void)state;
	configurations_init(&configurations, &first);
	configurations_add(&configurations, &second);
	configurations_add(&configurations, &third);
	assert_true(configurations_may_lead(&configurations, 5));
	configurations_cut_after(&configurations, 8);
	assert_int_equal(configurations_latest(&configurations)->index, 5);
	assert_false(configurations_may_lead(&configurations, 5));
	configurations_committed(&configurations, 7);
	assert_int_equal(configurations.count, 1);
	configurations_cut_after(&configurations, 0);
	assert_int_equal(configurations_latest(&configurations)->index, 5);
	configurations_reset(&configurations, &third);
	assert_int_equal(configurations_latest(&configurations)->count, 5);
	configurations_finish(&configurations);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(majority_is_of_voters_only),
		cmocka_unit_test(changes_that_make_no_sense_are_refused),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(nonsense_is_not_valid),
		cmocka_unit_test(configuration_of_a_cut_entry_counts_no_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
