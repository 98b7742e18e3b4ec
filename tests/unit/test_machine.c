#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "machine_fixture.h"

/* Transactions, settings, keys, sessions, definitions, and what is put out of memory. */

static const char source[] =
	"type N = Number\n"
	"process P(x: N) -> N { retries = 0 }\n"
	"workflow One(x: N) -> N { P(x) }\n"
	"workflow Sleep(x: N) -> N { P(x) after sleep(10s) }\n"
	"workflow Each(ns: [N]) -> [N] { each n in ns { P(n) } }\n";

static struct machine_fixture *prepared(void **state)
{
	registers(*state, source);
	return *state;
}

/* --- transactions -------------------------------------------------------------------------------------------------- */

static uint64_t hash_of(struct machine_fixture *fixture)
{
	uint64_t hash;
	assert_int_equal(catalog_hash(fixture->catalog, &hash), 0);
	return hash;
}

static uint64_t hash_of_a_day(struct machine_fixture *fixture, int batch)
{
	for (int i = 0; i < 24; i++) {
		uint64_t id = 1 + (uint64_t)i / 4;
		fixture->sequence = 1 + (uint64_t)i;
		if (batch > 0 && i % batch == 0)
			machine_fixture_begin(fixture);
		switch (i % 4) {
		case 0:
			starts(fixture, i % 8 == 0 ? "One" : "Sleep", "{\"x\":1}");
			break;
		case 1:
			assigns_attempt(fixture, id, 1, 65537);
			break;
		case 2:
			returns(fixture, id, 1, 65537, "5");
			break;
		default:
			cancels(fixture, id);
			break;
		}
		if (fixture->open && (i % batch == batch - 1 || i == 23))
			machine_fixture_commit(fixture);
		fixture->now++;
	}
	return hash_of(fixture);
}

static void batches_do_not_change_what_the_tables_say(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	void *others[4] = {NULL};
	fixture->session = opens_session(fixture);
	uint64_t hash = hash_of_a_day(fixture, 1);
	assert_tells(fixture, "SELECT state, count(*) FROM pi_instance GROUP BY state", "cancelled|3,completed|3");
	static const int batches[] = {2, 5, 24};
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal((fixture->cold ? machine_setup_cold : machine_setup)(&others[i]), 0);
		struct machine_fixture *other = others[i];
		prepared(&others[i]);
		other->session = opens_session(other);
		assert_true(hash_of_a_day(other, batches[i]) == hash);
		machine_teardown(&others[i]);
	}
}

static void machine_can_be_given_up_in_a_transaction(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	uint64_t session = opens_session(fixture);
	opens_session(fixture);
	starts(fixture, "One", "{\"x\":1}");
	machine_fixture_begin(fixture);
	machine_fixture_apply(fixture, &(struct command){.kind = COMMAND_OPEN_SESSION});
	closes_session(fixture, session);
	starts(fixture, "One", "{\"x\":1}");
	cancels(fixture, 1);
}

static void applied_index_and_stamp_are_those_of_the_last_command(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	uint64_t index = machine_applied_index(fixture->machine);
	fixture->term = 9;
	fixture->now += 1000;
	machine_fixture_apply(fixture, &(struct command){.kind = COMMAND_NOOP});
	machine_fixture_reload(fixture);
	assert_int_equal(machine_applied_index(fixture->machine), index + 1);
	assert_true(machine_last_stamp(fixture->machine) == (uint64_t)fixture->now << 16);
	assert_tells(fixture, "SELECT value FROM meta WHERE key = 'applied_term'", "9");
}

static void history_is_numbered_without_gaps(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	for (int i = 0; i < 3; i++) {
		uint64_t id = starts(fixture, "One", "{\"x\":1}");
		completes(fixture, id, 1, "1");
	}
	assert_tells(fixture, "SELECT count(*), min(seq), max(seq), count(DISTINCT seq) FROM pi_history", "12|1|12|12");
}

/* --- keys, definitions, settings ----------------------------------------------------------------------------------- */

static void key_starts_once(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	uint64_t id = starts_with_key(fixture, "One", "{\"x\":1}", "monday");
	assert_false(fixture->answer.existed);
	assert_int_equal(starts_with_key(fixture, "One", "{\"x\":2}", "monday"), id);
	assert_true(fixture->answer.existed);
	completes(fixture, id, 1, "1");
	assert_int_equal(starts_with_key(fixture, "Sleep", "{\"x\":3}", "monday"), id);
	assert_true(starts_with_key(fixture, "One", "{\"x\":4}", "tuesday") != id);
	assert_tells(fixture, "SELECT count(*) FROM pi_instance", "2");
}

static void start_of_what_is_no_workflow_is_refused(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "Nothing", "{}");
	assert_int_equal(fixture->answer.code, ERR_NOT_FOUND);
	starts(fixture, "P", "{\"x\":1}");
	assert_int_equal(fixture->answer.code, ERR_INVALID);
	assert_tells(fixture, "SELECT count(*) FROM pi_instance", "0");
}

static void instance_keeps_the_version_it_was_started_with(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	starts(fixture, "Sleep", "{\"x\":1}");
	registers(fixture, "type N = Number\nworkflow Sleep(x: N) -> N { x }\n");
	starts(fixture, "Sleep", "{\"x\":2}");
	assert_tells(fixture, "SELECT version, state FROM pi_instance", "1|running,2|completed");
	passes(fixture, 10000);
	completes(fixture, 1, 2, "5");
	assert_tells(fixture, "SELECT version, result FROM pi_instance", "1|5,2|2");
}

static void same_content_registered_again_is_no_new_version(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	registers(fixture, source);
	assert_int_equal(fixture->answer.code, 0);
	assert_tells(fixture, "SELECT count(*), max(version) FROM process", "4|1");
	assert_tells(fixture, "SELECT count(*) FROM unit", "1");
}

static void what_cannot_be_registered_changes_nothing(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	registers(fixture, "workflow W(x: Text) -> Text { Missing(x) }\n");
	assert_int_equal(fixture->answer.code, ERR_INVALID);
	assert_tells(fixture, "SELECT count(*) FROM unit", "1");
}

static void settings_are_checked_and_kept(void **state)
{
	struct machine_fixture *fixture = *state;
	sets(fixture, "each_window", "7");
	sets(fixture, "retention", "2h");
	assert_int_equal(fixture->answer.code, 0);
	sets(fixture, "each_window", "0");
	assert_int_equal(fixture->answer.code, ERR_INVALID);
	sets(fixture, "each_window", "many");
	assert_int_equal(fixture->answer.code, ERR_INVALID);
	sets(fixture, "colour", "7");
	assert_int_equal(fixture->answer.code, ERR_NOT_FOUND);
	machine_fixture_reload(fixture);
	assert_int_equal(machine_settings(fixture->machine)->each_window, 7);
	assert_int_equal(machine_settings(fixture->machine)->retention, 7200000);
}

static void instance_keeps_the_limits_it_was_started_with(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	sets(fixture, "each_window", "2");
	starts(fixture, "Each", "{\"ns\":[1,2,3,4,5]}");
	assert_effects(fixture, "ready 1/1, ready 1/2");
	sets(fixture, "each_window", "5");
	completes(fixture, 1, 1, "10");
	assert_effects(fixture, "closed 1/1:1, withdrawn 1/1, ready 1/3");
	starts(fixture, "Each", "{\"ns\":[1,2,3,4,5]}");
	assert_effects(fixture, "ready 2/1, ready 2/2, ready 2/3, ready 2/4, ready 2/5");
}

/* --- sessions ------------------------------------------------------------------------------------------------------ */

static void request_told_again_is_answered_again_and_done_once(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	fixture->session = opens_session(fixture);
	fixture->sequence = 1;
	assert_int_equal(starts(fixture, "One", "{\"x\":1}"), 1);
	assert_int_equal(starts(fixture, "One", "{\"x\":1}"), 1);
	assert_false(fixture->answer.existed);
	fixture->sequence = 2;
	assert_int_equal(starts(fixture, "One", "{\"x\":1}"), 2);
	fixture->sequence = 3;
	cancels(fixture, 99);
	fixture->sequence = 1;
	assert_int_equal(starts(fixture, "One", "{\"x\":1}"), 1); /* in any order */
	fixture->sequence = 3;
	cancels(fixture, 1); /* whatever it is now: the answer is the first one's */
	assert_int_equal(fixture->answer.code, ERR_NOT_FOUND);
	assert_string_equal(buffer_string(&fixture->text), "there is no workflow with the id 99");
	assert_tells(fixture, "SELECT count(*) FROM pi_instance WHERE state = 'running'", "2");
}

static void sessions_do_not_share_their_sequences(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	uint64_t one = opens_session(fixture);
	uint64_t two = opens_session(fixture);
	assert_true(one != two);
	fixture->sequence = 1;
	fixture->session = one;
	assert_int_equal(starts(fixture, "One", "{\"x\":1}"), 1);
	fixture->session = two;
	assert_int_equal(starts(fixture, "One", "{\"x\":1}"), 2);
}

static void request_of_an_unknown_session_is_never_executed(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	fixture->session = 12345;
	fixture->sequence = 1;
	starts(fixture, "One", "{\"x\":1}");
	assert_int_equal(fixture->answer.code, ERR_EXPIRED);
	assert_tells(fixture, "SELECT count(*) FROM pi_instance", "0");
}

static void request_of_a_closed_session_is_never_executed(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	uint64_t session = opens_session(fixture);
	closes_session(fixture, session);
	fixture->session = session;
	fixture->sequence = 1;
	starts(fixture, "One", "{\"x\":1}");
	assert_int_equal(fixture->answer.code, ERR_EXPIRED);
	assert_tells(fixture, "SELECT count(*) FROM pi_instance", "0");
	assert_true(opens_session(fixture) > session);
}

static void answers_that_the_client_has_are_forgotten(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	uint64_t session = fixture->session = opens_session(fixture);
	for (fixture->sequence = 1; fixture->sequence <= 4; fixture->sequence++) {
		fixture->answered_below = fixture->sequence > 2 ? fixture->sequence - 1 : 0;
		starts(fixture, "One", "{\"x\":1}");
	}
	fixture->answered_below = 0;
	fixture->sequence = 2;
	starts(fixture, "One", "{\"x\":1}");
	assert_int_equal(fixture->answer.code, ERR_EXPIRED);
	fixture->sequence = 3;
	assert_int_equal(starts(fixture, "One", "{\"x\":1}"), 3);
	machine_fixture_reload(fixture);
	const struct answer *answer;
	assert_int_equal(machine_session_answer(fixture->machine, session, 2, &answer), ERR_EXPIRED);
	assert_int_equal(machine_session_answer(fixture->machine, session, 4, &answer), 1);
	assert_int_equal(answer->number, 4);
	assert_int_equal(machine_session_answer(fixture->machine, session, 5, &answer), 0);
	assert_tells(fixture, "SELECT count(*) FROM pi_instance", "4");
}

static void session_opened_and_closed_in_one_transaction_leaves_nothing(void **state)
{
	struct machine_fixture *fixture = *state;
	machine_fixture_begin(fixture);
	machine_fixture_apply(fixture, &(struct command){.kind = COMMAND_OPEN_SESSION});
	closes_session(fixture, 1);
	machine_fixture_commit(fixture);
	assert_tells(fixture, "SELECT count(*) FROM session", "0");
	assert_int_equal(opens_session(fixture), 2);
}

/* --- out of memory, and out of the catalog ------------------------------------------------------------------------- */

static void idle_instances_are_put_out_of_memory_and_come_back(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	sets(fixture, "instances_cached", "100");
	machine_fixture_begin(fixture);
	for (int i = 0; i < 150; i++)
		starts(fixture, "Sleep", "{\"x\":1}");
	machine_fixture_commit(fixture);
	assert_true(machine_loaded_count(fixture->machine) <= 100);
	assert_null(machine_find(fixture->machine, 1)); /* the oldest first */
	passes(fixture, 10000);
	assert_tells(fixture, "SELECT count(*) FROM pi_call WHERE ref = 2 AND state = 'ready'", "150");
	for (uint64_t id = 1; id <= 150; id++)
		completes(fixture, id, 2, "7");
	assert_tells(fixture, "SELECT count(*) FROM pi_instance WHERE state = 'completed' AND result = '7'", "150");
	assert_int_equal(machine_loaded_count(fixture->machine), 0);
}

static void instances_that_call_stay_in_memory(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	sets(fixture, "instances_cached", "100");
	machine_fixture_begin(fixture);
	for (int i = 0; i < 120; i++)
		starts(fixture, "One", "{\"x\":1}");
	machine_fixture_commit(fixture);
	assert_int_equal(machine_loaded_count(fixture->machine), 120);
}

static void finished_instances_expire_when_they_are_old(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	sets(fixture, "retention", "10s");
	starts_with_key(fixture, "One", "{\"x\":1}", "monday");
	completes(fixture, 1, 1, "1");
	starts(fixture, "One", "{\"x\":1}");
	fixture->now += 10000;
	expires(fixture);
	assert_tells(fixture, "SELECT count(*) FROM pi_instance", "2");
	fixture->now += 1;
	expires(fixture);
	assert_tells(fixture, "SELECT id, state FROM pi_instance", "2|running");
	assert_tells(fixture, "SELECT DISTINCT instance FROM pi_history", "2");
	assert_tells(fixture, "SELECT DISTINCT instance FROM pi_call", "2");
	/* Its key is free again; its id is not. */
	assert_int_equal(starts_with_key(fixture, "One", "{\"x\":1}", "monday"), 3);
}

static void instance_that_ends_and_expires_in_one_transaction_leaves_nothing(void **state)
{
	struct machine_fixture *fixture = prepared(state);
	sets(fixture, "retention", "1s");
	starts(fixture, "One", "{\"x\":1}");
	uint64_t attempt = assigns(fixture, 1, 1);
	machine_fixture_begin(fixture);
	returns(fixture, 1, 1, attempt, "1");
	fixture->now += 2000;
	expires(fixture);
	machine_fixture_commit(fixture);
	assert_tells(fixture, "SELECT count(*) FROM pi_instance", "0");
	assert_tells(fixture, "SELECT count(*) FROM pi_call", "0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(batches_do_not_change_what_the_tables_say),
		MACHINE_TEST(machine_can_be_given_up_in_a_transaction),
		MACHINE_TEST(applied_index_and_stamp_are_those_of_the_last_command),
		MACHINE_TEST(history_is_numbered_without_gaps),
		MACHINE_TEST(key_starts_once),
		MACHINE_TEST(start_of_what_is_no_workflow_is_refused),
		MACHINE_TEST(instance_keeps_the_version_it_was_started_with),
		MACHINE_TEST(same_content_registered_again_is_no_new_version),
		MACHINE_TEST(what_cannot_be_registered_changes_nothing),
		MACHINE_TEST(settings_are_checked_and_kept),
		MACHINE_TEST(instance_keeps_the_limits_it_was_started_with),
		MACHINE_TEST(request_told_again_is_answered_again_and_done_once),
		MACHINE_TEST(sessions_do_not_share_their_sequences),
		MACHINE_TEST(request_of_an_unknown_session_is_never_executed),
		MACHINE_TEST(request_of_a_closed_session_is_never_executed),
		MACHINE_TEST(answers_that_the_client_has_are_forgotten),
		MACHINE_TEST(session_opened_and_closed_in_one_transaction_leaves_nothing),
		MACHINE_TEST(idle_instances_are_put_out_of_memory_and_come_back),
		cmocka_unit_test_setup_teardown(instances_that_call_stay_in_memory, machine_setup, machine_teardown),
		MACHINE_TEST(finished_instances_expire_when_they_are_old),
		MACHINE_TEST(instance_that_ends_and_expires_in_one_transaction_leaves_nothing),
	};
	return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
