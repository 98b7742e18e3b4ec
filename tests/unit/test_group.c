#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "machine_fixture.h"

static void a_configuration_is_written_down_with_its_index(void **state)
{
	struct machine_fixture *fixture = *state;
	const struct command_member members[] = {{3, true}, {900719925474099, false}};
	struct command command = {.kind = COMMAND_CONFIGURATION, .configuration = {members, 2}};
	machine_fixture_apply(fixture, &command);
	uint64_t index = machine_applied_index(fixture->machine);
	machine_fixture_reload(fixture);
	const struct machine_configuration *configuration = machine_configuration(fixture->machine);
	assert_int_equal(configuration->index, index);
	assert_int_equal(configuration->count, 2);
	assert_int_equal(configuration->members[0].id, 3);
	assert_true(configuration->members[0].voter);
	assert_int_equal(configuration->members[1].id, 900719925474099);
	assert_false(configuration->members[1].voter);
}

static void apply_noop(struct machine_fixture *fixture)
{
	machine_fixture_apply(fixture, &(struct command){.kind = COMMAND_NOOP});
}

static void the_terms_of_applied_entries_are_known_again(void **state)
{
	struct machine_fixture *fixture = *state;
	uint64_t first = machine_applied_index(fixture->machine) + 1;
	size_t count;
	fixture->term += 1;
	apply_noop(fixture);
	apply_noop(fixture);
	fixture->term += 4;
	apply_noop(fixture);
	machine_fixture_reload(fixture);
	const struct machine_term_run *runs = machine_term_runs(fixture->machine, &count);
	assert_true(count >= 2);
	assert_int_equal(runs[count - 2].first, first);
	assert_int_equal(runs[count - 2].term, fixture->term - 4);
	assert_int_equal(runs[count - 1].first, first + 2);
	assert_int_equal(runs[count - 1].term, fixture->term);
}

static void only_the_newest_terms_are_kept(void **state)
{
	struct machine_fixture *fixture = *state;
	size_t count;
	for (int i = 0; i < MACHINE_TERM_RUNS + 5; i++) {
		fixture->term++;
		apply_noop(fixture);
	}
	machine_fixture_reload(fixture);
	const struct machine_term_run *runs = machine_term_runs(fixture->machine, &count);
	assert_int_equal(count, MACHINE_TERM_RUNS);
	assert_int_equal(runs[count - 1].first, machine_applied_index(fixture->machine));
	assert_int_equal(runs[0].term, fixture->term - MACHINE_TERM_RUNS + 1);
}

static void a_group_is_founded_in_an_empty_catalog(void **state)
{
	struct machine_fixture *fixture = *state;
	const struct command_member members[] = {{1, true}, {2, true}, {3, true}};
	struct error error = {0};
	assert_int_equal(machine_found(fixture->machine, SLICE("c1"), members, 3, &error), 0);
	machine_fixture_reload(fixture);
	assert_int_equal(machine_configuration(fixture->machine)->index, 0);
	assert_int_equal(machine_configuration(fixture->machine)->count, 3);
	assert_tells(fixture, "SELECT value FROM meta WHERE key = 'cluster_id'", "c1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(a_configuration_is_written_down_with_its_index),
		MACHINE_TEST(the_terms_of_applied_entries_are_known_again),
		MACHINE_TEST(only_the_newest_terms_are_kept),
		MACHINE_TEST(a_group_is_founded_in_an_empty_catalog),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
