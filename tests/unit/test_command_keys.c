#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/command.h"

/* Commands of keys and leases, as the log holds them. */

static struct command command_of(enum command_kind kind)
{
	return (struct command){.kind = kind, .machine_version = MACHINE_VERSION, .stamp = (uint64_t)1700000000000 << 16 | 7,
	                        .session = 3, .sequence = 9, .answered_below = 5};
}

static struct command there_and_back(const struct command *command, struct arena *arena)
{
	struct buffer body = BUFFER_EMPTY;
	struct command decoded;
	struct error error = {0};
	command_encode(command, arena, &body);
	if (command_decode(buffer_slice(&body), arena, &decoded, &error) != 0)
		fail_msg("%s", error.text);
	assert_int_equal(decoded.kind, command->kind);
	assert_int_equal(decoded.stamp, command->stamp);
	assert_int_equal(decoded.session, command->session);
	assert_int_equal(decoded.sequence, command->sequence);
	buffer_finish(&body);
	return decoded;
}

static void a_put_comes_back_byte_for_byte(void **state)
{
	struct arena arena = {0};
	struct command command = command_of(COMMAND_PUT);
	(void)state;
	command.put.key = SLICE("config/limit");
	command.put.value = SLICE("\0\xff any bytes");
	command.put.lease = 17;
	command.put.condition = (struct command_condition){true, 12};
	struct command decoded = there_and_back(&command, &arena);
	assert_true(slice_is(decoded.put.key, "config/limit"));
	assert_true(slice_equal(decoded.put.value, command.put.value));
	assert_int_equal(decoded.put.lease, 17);
	assert_true(decoded.put.condition.given);
	assert_int_equal(decoded.put.condition.version, 12);
	arena_finish(&arena);
}

static void an_empty_value_comes_back_as_one(void **state)
{
	struct arena arena = {0};
	struct command command = command_of(COMMAND_PUT);
	(void)state;
	command.put.key = SLICE("k");
	command.put.value = SLICE("");
	struct command decoded = there_and_back(&command, &arena);
	assert_non_null(decoded.put.value.data);
	assert_int_equal(decoded.put.value.size, 0);
	assert_false(decoded.put.condition.given);
	arena_finish(&arena);
}

static void deletions_grants_and_ends_come_back(void **state)
{
	struct arena arena = {0};
	uint64_t leases[2] = {8, 9};
	(void)state;
	struct command command = command_of(COMMAND_DELETE_KEY);
	command.delete_key.key = SLICE("k");
	command.delete_key.condition = (struct command_condition){true, 0};
	struct command decoded = there_and_back(&command, &arena);
	assert_true(slice_is(decoded.delete_key.key, "k"));
	assert_true(decoded.delete_key.condition.given);

	command = command_of(COMMAND_GRANT_LEASE);
	command.grant_lease.ttl = 10000;
	command.grant_lease.owner = SLICE("host:17");
	decoded = there_and_back(&command, &arena);
	assert_int_equal(decoded.grant_lease.ttl, 10000);
	assert_true(slice_is(decoded.grant_lease.owner, "host:17"));

	command = command_of(COMMAND_END_LEASES);
	command.end_leases.leases = leases;
	command.end_leases.count = 2;
	decoded = there_and_back(&command, &arena);
	assert_int_equal(decoded.end_leases.count, 2);
	assert_int_equal(decoded.end_leases.leases[1], 9);
	arena_finish(&arena);
}

static void a_transaction_comes_back_in_order(void **state)
{
	struct arena arena = {0};
	struct command_comparison comparisons[2] = {{SLICE("a"), 3}, {SLICE("b"), 0}};
	struct command_write writes[2] = {{SLICE("a"), false, SLICE("1"), 4}, {SLICE("b"), true, SLICE(""), 0}};
	struct command_write otherwise[1] = {{SLICE("c"), false, SLICE("2"), 0}};
	struct command command = command_of(COMMAND_TRANSACT);
	(void)state;
	command.transact.comparisons = comparisons;
	command.transact.comparison_count = 2;
	command.transact.writes = writes;
	command.transact.write_count = 2;
	command.transact.otherwise = otherwise;
	command.transact.otherwise_count = 1;
	struct command decoded = there_and_back(&command, &arena);
	assert_int_equal(decoded.transact.comparison_count, 2);
	assert_true(slice_is(decoded.transact.comparisons[0].key, "a"));
	assert_int_equal(decoded.transact.comparisons[0].version, 3);
	assert_int_equal(decoded.transact.write_count, 2);
	assert_true(slice_is(decoded.transact.writes[0].value, "1"));
	assert_int_equal(decoded.transact.writes[0].lease, 4);
	assert_true(decoded.transact.writes[1].remove);
	assert_int_equal(decoded.transact.otherwise_count, 1);
	assert_true(slice_is(decoded.transact.otherwise[0].key, "c"));
	arena_finish(&arena);
}

static void refuses(const struct command *command)
{
	struct arena arena = {0};
	struct buffer body = BUFFER_EMPTY;
	struct command decoded;
	struct error error = {0};
	command_encode(command, &arena, &body);
	assert_int_equal(command_decode(buffer_slice(&body), &arena, &decoded, &error), ERR_CORRUPT);
	buffer_finish(&body);
	arena_finish(&arena);
}

static void what_passes_a_limit_is_no_command(void **state)
{
	static char large[KEY_SIZE_MAX + 1];
	static struct command_write many[TRANSACTION_PARTS_MAX + 1];
	(void)state;
	memset(large, 'k', sizeof large);
	struct command command = command_of(COMMAND_PUT);
	command.put.key = SLICE("");
	refuses(&command);
	command.put.key = (struct slice){large, sizeof large};
	refuses(&command);
	command.put.key = SLICE("\xff");
	refuses(&command);
	command.put.key = SLICE("a\0b");
	refuses(&command);
	command = command_of(COMMAND_DELETE_KEY);
	refuses(&command);
	command = command_of(COMMAND_GRANT_LEASE);
	command.grant_lease.ttl = LEASE_TTL_MAX + 1;
	refuses(&command);
	for (size_t i = 0; i <= TRANSACTION_PARTS_MAX; i++)
		many[i] = (struct command_write){.key = SLICE("k")};
	command = command_of(COMMAND_TRANSACT);
	command.transact.writes = many;
	command.transact.write_count = TRANSACTION_PARTS_MAX + 1;
	refuses(&command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_put_comes_back_byte_for_byte),
		cmocka_unit_test(an_empty_value_comes_back_as_one),
		cmocka_unit_test(deletions_grants_and_ends_come_back),
		cmocka_unit_test(a_transaction_comes_back_in_order),
		cmocka_unit_test(what_passes_a_limit_is_no_command),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
