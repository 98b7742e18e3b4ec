#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "machine_fixture.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>

/* Keys: conditions, versions, transactions, what is kept of changes. */

/* --- commands ------------------------------------------------------------------------------------------------------ */

static const struct command_condition always = {false, 0};
static const struct command_condition absent = {true, 0};

static struct machine_fixture *with_session(void **state)
{
	struct machine_fixture *fixture = *state;
	fixture->session = opens_session(fixture);
	return fixture;
}

static void asks(struct machine_fixture *fixture, struct command *command)
{
	fixture->sequence++;
	fixture->answered_below = fixture->sequence;
	machine_fixture_apply(fixture, command);
	assert_true(fixture->open || fixture->answered);
}

static uint64_t puts_if(struct machine_fixture *fixture, const char *key, const char *value, uint64_t lease,
                        struct command_condition condition)
{
	struct command command = {.kind = COMMAND_PUT};
	command.put.key = slice_of(key);
	command.put.value = slice_of(value);
	command.put.lease = lease;
	command.put.condition = condition;
	asks(fixture, &command);
	return fixture->answer.code == 0 ? fixture->answer.number : 0;
}

static uint64_t puts_key(struct machine_fixture *fixture, const char *key, const char *value)
{
	return puts_if(fixture, key, value, 0, always);
}

static uint64_t deletes_if(struct machine_fixture *fixture, const char *key, struct command_condition condition)
{
	struct command command = {.kind = COMMAND_DELETE_KEY};
	command.delete_key.key = slice_of(key);
	command.delete_key.condition = condition;
	asks(fixture, &command);
	return fixture->answer.code == 0 ? fixture->answer.number : 0;
}

static void transacts(struct machine_fixture *fixture, const char *key, uint64_t version,
                      const struct command_write *writes, size_t write_count, const struct command_write *otherwise,
                      size_t otherwise_count)
{
	struct command_comparison comparison = {slice_of(key), version};
	struct command command = {.kind = COMMAND_TRANSACT};
	command.transact.comparisons = &comparison;
	command.transact.comparison_count = 1;
	command.transact.writes = writes;
	command.transact.write_count = write_count;
	command.transact.otherwise = otherwise;
	command.transact.otherwise_count = otherwise_count;
	asks(fixture, &command);
}

/* --- put, delete --------------------------------------------------------------------------------------------------- */

static void version_of_a_key_is_the_index_of_its_last_change(void **state)
{
	struct machine_fixture *fixture = with_session(state);
	uint64_t first = puts_key(fixture, "a", "1");
	assert_int_equal(first, machine_applied_index(fixture->machine));
	uint64_t second = puts_key(fixture, "a", "2");
	assert_int_equal(second, first + 1);
	char *expected = mem_format("a|2|%" PRIu64 "|-|%" PRIu64, second, first);
	assert_tells(fixture, "SELECT key, value, version, lease, created FROM kv", expected);
	mem_free(expected);
}

static void condition_that_does_not_hold_changes_nothing_and_tells_the_version(void **state)
{
	struct machine_fixture *fixture = with_session(state);
	uint64_t version = puts_if(fixture, "a", "1", 0, absent);
	assert_int_not_equal(version, 0);
	assert_int_equal(puts_if(fixture, "a", "2", 0, absent), 0);
	assert_int_equal(fixture->answer.code, ERR_CONFLICT);
	assert_int_equal(fixture->answer.number, version);
	assert_int_equal(puts_if(fixture, "a", "2", 0, (struct command_condition){true, version + 1}), 0);
	assert_int_equal(fixture->answer.code, ERR_CONFLICT);
	assert_int_equal(puts_if(fixture, "b", "2", 0, (struct command_condition){true, version}), 0);
	assert_int_equal(fixture->answer.code, ERR_CONFLICT);
	assert_int_equal(fixture->answer.number, 0);
	assert_tells(fixture, "SELECT key, value FROM kv", "a|1");
	assert_tells(fixture, "SELECT count(*) FROM kv_change", "1");
	assert_int_not_equal(puts_if(fixture, "a", "2", 0, (struct command_condition){true, version}), 0);
	assert_tells(fixture, "SELECT key, value FROM kv", "a|2");
}

static void key_that_comes_again_has_a_higher_version_and_begins_anew(void **state)
{
	struct machine_fixture *fixture = with_session(state);
	uint64_t first = puts_key(fixture, "a", "1");
	uint64_t gone = deletes_if(fixture, "a", (struct command_condition){true, first});
	assert_true(gone > first);
	uint64_t again = puts_if(fixture, "a", "1", 0, absent);
	assert_true(again > gone);
	char *expected = mem_format("%" PRIu64 "|%" PRIu64, again, again);
	assert_tells(fixture, "SELECT version, created FROM kv", expected);
	mem_free(expected);
}

static void deleting_what_is_not_there_is_refused(void **state)
{
	struct machine_fixture *fixture = with_session(state);
	assert_int_equal(deletes_if(fixture, "a", always), 0);
	assert_int_equal(fixture->answer.code, ERR_NOT_FOUND);
	assert_int_equal(deletes_if(fixture, "a", (struct command_condition){true, 5}), 0);
	assert_int_equal(fixture->answer.code, ERR_CONFLICT);
	assert_tells(fixture, "SELECT count(*) FROM kv_change", "0");
}

static void answer_to_a_put_is_given_again(void **state)
{
	struct machine_fixture *fixture = with_session(state);
	uint64_t version = puts_if(fixture, "a", "1", 0, absent);
	struct command command = {.kind = COMMAND_PUT};
	command.put.key = SLICE("a");
	command.put.value = SLICE("1");
	command.put.condition = absent;
	machine_fixture_apply(fixture, &command);
	assert_true(fixture->answered);
	assert_int_equal(fixture->answer.code, 0);
	assert_int_equal(fixture->answer.number, version);
	assert_tells(fixture, "SELECT count(*) FROM kv_change", "1");
}

static void values_are_text_where_people_can_read_them(void **state)
{
	struct machine_fixture *fixture = with_session(state);
	struct command command = {.kind = COMMAND_PUT};
	puts_key(fixture, "a", "gr\xc3\xbc\xc3\x9f");
	puts_key(fixture, "b", "");
	command.put.key = SLICE("c");
	command.put.value = SLICE("\xff");
	asks(fixture, &command);
	command.put.key = SLICE("d");
	command.put.value = SLICE("a\0b");
	asks(fixture, &command);
	assert_tells(fixture, "SELECT key, typeof(value), length(CAST(value AS BLOB)) FROM kv ORDER BY key",
	             "a|text|6,b|text|0,c|blob|1,d|blob|3");
}

/* --- transactions -------------------------------------------------------------------------------------------------- */

static void transaction_writes_all_at_one_version(void **state)
{
	struct machine_fixture *fixture = with_session(state);
	struct command_write writes[3] = {{SLICE("b"), false, SLICE("2"), 0},
	                                  {SLICE("a"), true, SLICE(""), 0},
	                                  {SLICE("nothing"), true, SLICE(""), 0}};
	uint64_t version = puts_key(fixture, "a", "1");
	transacts(fixture, "a", version, writes, 3, NULL, 0);
	assert_int_equal(fixture->answer.code, 0);
	assert_true(fixture->answer.existed);
	assert_int_equal(fixture->answer.number, version + 1);
	assert_tells(fixture, "SELECT key, value FROM kv ORDER BY key", "b|2");
	assert_tells(fixture, "SELECT seq, key, value, version - (SELECT min(version) FROM kv_change) FROM kv_change ORDER BY seq",
	             "1|a|1|0,2|b|2|1,3|a|-|1");
}

static void transaction_whose_comparison_fails_takes_the_other_branch(void **state)
{
	struct machine_fixture *fixture = with_session(state);
	struct command_write writes[1] = {{SLICE("b"), false, SLICE("2"), 0}};
	struct command_write otherwise[1] = {{SLICE("c"), false, SLICE("3"), 0}};
	transacts(fixture, "a", 7, writes, 1, otherwise, 1);
	assert_int_equal(fixture->answer.code, 0);
	assert_false(fixture->answer.existed);
	assert_tells(fixture, "SELECT key, value FROM kv ORDER BY key", "c|3");
	transacts(fixture, "a", 0, writes, 1, otherwise, 1);
	assert_true(fixture->answer.existed);
	assert_tells(fixture, "SELECT key, value FROM kv ORDER BY key", "b|2,c|3");
}

/* --- what is kept of changes --------------------------------------------------------------------------------------- */

static void changes_beyond_what_is_kept_go_and_say_how_far(void **state)
{
	struct machine_fixture *fixture = with_session(state);
	uint64_t seq;
	uint64_t first = puts_key(fixture, "a", "0");
	assert_int_equal(machine_changes_from(fixture->machine, first, &seq), 1);
	assert_int_equal(seq, 1);
	assert_int_equal(machine_changes_from(fixture->machine, first + 1, &seq), 0);
	fixture->sequence++;
	sets(fixture, "changes_kept", "100");
	for (int i = 0; i < 500; i++)
		puts_key(fixture, "a", "1");
	assert_true(machine_compacted(fixture->machine) >= first);
	assert_int_equal(machine_changes_from(fixture->machine, machine_compacted(fixture->machine), &seq), ERR_COMPACTED);
	assert_int_equal(machine_changes_from(fixture->machine, machine_compacted(fixture->machine) + 1, &seq), 1);
	assert_tells(fixture, "SELECT count(*) BETWEEN 100 AND 357, max(seq) FROM kv_change", "1|501");
	assert_tells(fixture, "SELECT min(version) > (SELECT value FROM meta WHERE key = 'kv_compacted') FROM kv_change", "1");
}

static void large_changes_go_earlier_but_never_the_last(void **state)
{
	struct machine_fixture *fixture = with_session(state);
	char *value = mem_zero(600001);
	memset(value, 'v', 600000);
	fixture->sequence++;
	sets(fixture, "change_bytes_kept", "1048576");
	for (int i = 0; i < 4; i++)
		puts_key(fixture, "a", value);
	mem_free(value);
	assert_tells(fixture, "SELECT count(*), max(seq) FROM kv_change", "2|4");
}

static void change_is_found_by_its_version_among_many(void **state)
{
	struct machine_fixture *fixture = with_session(state);
	uint64_t versions[50];
	uint64_t seq;
	for (int i = 0; i < 50; i++) {
		versions[i] = puts_key(fixture, "a", "1");
		for (int j = 0; j < i % 3; j++)
			machine_fixture_apply(fixture, &(struct command){.kind = COMMAND_NOOP});
	}
	for (uint64_t i = 0; i < 50; i++) {
		assert_int_equal(machine_changes_from(fixture->machine, versions[i], &seq), 1);
		assert_int_equal(seq, i + 1);
	}
	assert_int_equal(machine_changes_from(fixture->machine, versions[2] + 1, &seq), 1);
	assert_int_equal(seq, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(version_of_a_key_is_the_index_of_its_last_change),
		MACHINE_TEST(condition_that_does_not_hold_changes_nothing_and_tells_the_version),
		MACHINE_TEST(key_that_comes_again_has_a_higher_version_and_begins_anew),
		MACHINE_TEST(deleting_what_is_not_there_is_refused),
		MACHINE_TEST(answer_to_a_put_is_given_again),
		MACHINE_TEST(values_are_text_where_people_can_read_them),
		MACHINE_TEST(transaction_writes_all_at_one_version),
		MACHINE_TEST(transaction_whose_comparison_fails_takes_the_other_branch),
		MACHINE_TEST(changes_beyond_what_is_kept_go_and_say_how_far),
		MACHINE_TEST(large_changes_go_earlier_but_never_the_last),
		MACHINE_TEST(change_is_found_by_its_version_among_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
