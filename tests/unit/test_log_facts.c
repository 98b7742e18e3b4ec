#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buffer.h"
#include "daemon/log_facts.h"
#include "wire/command.h"

#include <string.h>

static struct error error;

static int add(struct log_facts *facts, uint64_t index, uint64_t term, struct command *command)
{
	struct arena arena = {0};
	struct buffer body = BUFFER_EMPTY;
	command->machine_version = MACHINE_VERSION;
	command->stamp = index;
	command_encode(command, &arena, &body);
	struct wal_record record = {index, term, buffer_slice(&body)};
	int code = log_facts_add(facts, &record, &error);
	buffer_finish(&body);
	arena_finish(&arena);
	return code;
}

static int add_noop(struct log_facts *facts, uint64_t index, uint64_t term)
{
	return add(facts, index, term, &(struct command){.kind = COMMAND_NOOP});
}

static void a_run_begins_where_the_term_changes(void **ignored)
{
	(void)ignored;
	struct log_facts facts = LOG_FACTS_EMPTY;
	static const uint64_t terms[] = {3, 3, 4, 4, 4, 9};
	for (uint64_t i = 0; i < 6; i++)
		assert_int_equal(add_noop(&facts, 101 + i, terms[i]), 0);
	assert_int_equal(facts.run_count, 3);
	assert_int_equal(facts.runs[0].first, 101);
	assert_int_equal(facts.runs[0].term, 3);
	assert_int_equal(facts.runs[1].first, 103);
	assert_int_equal(facts.runs[2].first, 106);
	assert_int_equal(facts.runs[2].term, 9);
	assert_int_equal(facts.configuration_count, 0);
	log_facts_finish(&facts);
	assert_int_equal(facts.run_count, 0);
}

static void configurations_are_noted_with_their_index(void **ignored)
{
	(void)ignored;
	struct log_facts facts = LOG_FACTS_EMPTY;
	struct command_member members[] = {{7, true}, {8, false}, {UINT64_C(1) << 52, true}};
	struct command command = {.kind = COMMAND_CONFIGURATION};
	command.configuration.members = members;
	command.configuration.count = 3;
	assert_int_equal(add_noop(&facts, 1, 1), 0);
	assert_int_equal(add(&facts, 2, 1, &command), 0);
	members[1].voter = true;
	assert_int_equal(add_noop(&facts, 3, 1), 0);
	assert_int_equal(add(&facts, 4, 2, &command), 0);
	assert_int_equal(facts.configuration_count, 2);
	assert_int_equal(facts.configurations[0].index, 2);
	assert_int_equal(facts.configurations[0].count, 3);
	assert_int_equal(facts.configurations[0].members[1].id, 8);
	assert_false(facts.configurations[0].members[1].voter);
	assert_int_equal(facts.configurations[1].index, 4);
	assert_true(facts.configurations[1].members[1].voter);
	assert_int_equal(facts.configurations[1].members[2].id, UINT64_C(1) << 52);
	log_facts_finish(&facts);
}

static void what_only_looks_like_a_configuration_is_none(void **ignored)
{
	(void)ignored;
	struct log_facts facts = LOG_FACTS_EMPTY;
	struct command command = {.kind = COMMAND_SIGNAL};
	command.signal.instance = 1;
	command.signal.name = SLICE("a");
	command.signal.key = SLICE("null");
	command.signal.value = SLICE("\xc2\x02\x06\x0a\x04\x08\x07\x10\x01");
	assert_int_equal(add(&facts, 1, 1, &command), 0);
	assert_int_equal(facts.configuration_count, 0);
	log_facts_finish(&facts);
}

static void an_entry_that_cannot_be_is_named(void **ignored)
{
	(void)ignored;
	struct log_facts facts = LOG_FACTS_EMPTY;
	struct wal_record record = {17, 1, SLICE("\xff")};
	assert_int_equal(log_facts_add(&facts, &record, &error), ERR_CORRUPT);
	assert_non_null(strstr(error.text, "entry 17"));
	record.body = SLICE("\x08\x01\xc2\x02\x00"); /* a configuration of nobody */
	assert_int_equal(log_facts_add(&facts, &record, &error), ERR_CORRUPT);
	log_facts_finish(&facts);
}

static void terms_that_fall_are_damage(void **ignored)
{
	(void)ignored;
	struct log_facts facts = LOG_FACTS_EMPTY;
	assert_int_equal(add_noop(&facts, 1, 5), 0);
	assert_int_equal(add_noop(&facts, 2, 4), ERR_CORRUPT);
	assert_non_null(strstr(error.text, "entry 2"));
	log_facts_finish(&facts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_run_begins_where_the_term_changes),
		cmocka_unit_test(configurations_are_noted_with_their_index),
		cmocka_unit_test(what_only_looks_like_a_configuration_is_none),
		cmocka_unit_test(an_entry_that_cannot_be_is_named),
		cmocka_unit_test(terms_that_fall_are_damage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
