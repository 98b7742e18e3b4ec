#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "node_fixture.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>

/* Keys, leases and those who watch, asked of a node. */

#define CLIENT 1
#define WATCHER 2

static struct node_fixture *fixture;
static uint64_t session;
static uint64_t sequence;

static int setup(void **state)
{
	fixture = mem_zero(sizeof *fixture);
	node_fixture_init(fixture);
	session = node_fixture_open_session(fixture, CLIENT);
	sequence = 0;
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	node_fixture_finish(fixture);
	mem_free(fixture);
	return 0;
}

/* --- asking -------------------------------------------------------------------------------------------------------- */

static void change(Clusterd__Wire__Request *request, struct slice payload)
{
	request->session = session;
	request->sequence = ++sequence;
	request->answered_below = sequence;
	node_fixture_ask(fixture, CLIENT, request, payload);
	node_fixture_settle(fixture);
}

static uint64_t puts_with(const char *key, const char *value, uint64_t lease)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Put body = CLUSTERD__WIRE__PUT__INIT;
	body.key = (char *)(uintptr_t)key;
	body.lease = lease;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_PUT;
	request.put = &body;
	change(&request, slice_of(value));
	return fixture->answered.code == 0 ? fixture->answered.number : 0;
}

static uint64_t puts_key(const char *key, const char *value)
{
	return puts_with(key, value, 0);
}

static uint64_t deletes(const char *key)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__DeleteKey body = CLUSTERD__WIRE__DELETE_KEY__INIT;
	body.key = (char *)(uintptr_t)key;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_DELETE_KEY;
	request.delete_key = &body;
	change(&request, SLICE(""));
	return fixture->answered.code == 0 ? fixture->answered.number : 0;
}

static uint64_t grants(uint64_t ttl)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__GrantLease body = CLUSTERD__WIRE__GRANT_LEASE__INIT;
	body.ttl_ms = ttl;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_GRANT_LEASE;
	request.grant_lease = &body;
	change(&request, SLICE(""));
	return fixture->answered.code == 0 ? fixture->answered.number : 0;
}

static int revokes(uint64_t lease)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__RevokeLease body = CLUSTERD__WIRE__REVOKE_LEASE__INIT;
	body.lease = lease;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_REVOKE_LEASE;
	request.revoke_lease = &body;
	change(&request, SLICE(""));
	return fixture->answered.code;
}

static int keeps(uint64_t lease)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__KeepLease body = CLUSTERD__WIRE__KEEP_LEASE__INIT;
	body.lease = lease;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_KEEP_LEASE;
	request.keep_lease = &body;
	node_fixture_ask(fixture, CLIENT, &request, SLICE(""));
	node_fixture_settle(fixture);
	return fixture->answered.code;
}

static void lists(const char *prefix, const char *after, uint32_t limit)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__ListKeys body = CLUSTERD__WIRE__LIST_KEYS__INIT;
	body.prefix = (char *)(uintptr_t)prefix;
	body.after = (char *)(uintptr_t)after;
	body.limit = limit;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_LIST_KEYS;
	request.list_keys = &body;
	node_fixture_ask(fixture, CLIENT, &request, SLICE(""));
	node_fixture_settle(fixture);
}

static void sets(const char *name, const char *value)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__SetSetting body = CLUSTERD__WIRE__SET_SETTING__INIT;
	body.name = (char *)(uintptr_t)name;
	body.value = (char *)(uintptr_t)value;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_SET_SETTING;
	request.set_setting = &body;
	change(&request, SLICE(""));
}

/* Not settled: whether it was answered is told by how many answers there were. */
static uint32_t watches(const char *key, bool prefix, uint64_t from)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__WatchKeys body = CLUSTERD__WIRE__WATCH_KEYS__INIT;
	body.key = (char *)(uintptr_t)key;
	body.prefix = prefix;
	body.from = from;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_WATCH_KEYS;
	request.watch_keys = &body;
	return node_fixture_ask(fixture, WATCHER, &request, SLICE(""));
}

#define assert_keys(...)                                                                          \
	do {                                                                                      \
		char *expected_ = mem_format(__VA_ARGS__);                                        \
		assert_string_equal(buffer_string(&fixture->answered.keys), expected_);           \
		mem_free(expected_);                                                              \
	} while (0)

/* The watcher is answered by what is done next, beside the answer to that. */
static void must_be_waiting(uint32_t answers)
{
	node_fixture_settle(fixture);
	assert_int_equal(fixture->answered.count, answers);
}

/* --- list ---------------------------------------------------------------------------------------------------------- */

static void list_goes_on_behind_the_last_key(void **state)
{
	(void)state;
	uint64_t a = puts_key("p/a", "1");
	uint64_t b = puts_key("p/b", "");
	uint64_t c = puts_key("p/c", "3");
	puts_key("p", "0");
	puts_key("q", "4");
	lists("p/", "", 2);
	assert_keys("p/a@%" PRIu64 "=1 p/b@%" PRIu64 "=", a, b);
	lists("p/", "p/b", 2);
	assert_keys("p/c@%" PRIu64 "=3", c);
	lists("p/", "p/c", 2);
	assert_keys("%s", "");
	lists("r", "", 0);
	assert_keys("%s", "");
	assert_int_equal(fixture->answered.code, 0);
	assert_int_equal(fixture->answered.number, node_applied_index(fixture->node));
}

/* --- watch --------------------------------------------------------------------------------------------------------- */

static void watch_from_a_version_is_answered_with_all_since(void **state)
{
	(void)state;
	uint64_t first = puts_key("a", "1");
	uint64_t second = puts_key("a", "2");
	puts_key("b", "x");
	uint64_t third = deletes("a");
	watches("a", false, first);
	assert_keys("a@%" PRIu64 "=1 a@%" PRIu64 "=2 a@%" PRIu64 "-", first, second, third);
	assert_int_equal(fixture->answered.number, third + 1);
	watches("a", false, second);
	assert_keys("a@%" PRIu64 "=2 a@%" PRIu64 "-", second, third);
}

static void watch_waits_for_what_is_to_come(void **state)
{
	(void)state;
	puts_key("a", "1");
	uint32_t answers = fixture->answered.count;
	watches("a", false, 0);
	must_be_waiting(answers);
	puts_key("b", "2");
	puts_key("ab", "2");
	assert_int_equal(fixture->answered.count, answers + 2);
	uint64_t version = puts_key("a", "3");
	assert_int_equal(fixture->answered.count, answers + 4);
	assert_int_equal(fixture->answered.body, CLUSTERD__WIRE__RESPONSE__BODY_CHANGES);
	assert_keys("a@%" PRIu64 "=3", fixture->answered.number - 1);
	assert_int_equal(version, fixture->answered.number);
}

static void watch_of_a_prefix_is_woken_by_every_key_below(void **state)
{
	static const char *const prefixes[] = {"", "p", "p/", "p/x"};
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		uint32_t answers = fixture->answered.count;
		watches(prefixes[i], true, 0);
		must_be_waiting(answers);
		if (i > 0) {
			puts_key("o", "1");
			assert_int_equal(fixture->answered.count, ++answers);
		}
		puts_key("p/x", "1");
		assert_int_equal(fixture->answered.count, answers + 2);
		assert_int_equal(fixture->answered.body, CLUSTERD__WIRE__RESPONSE__BODY_CHANGES);
	}
}

static void all_who_watch_the_same_are_answered(void **state)
{
	(void)state;
	uint32_t answers = fixture->answered.count;
	for (int i = 0; i < 10; i++)
		watches(i % 2 == 0 ? "a" : "", i % 2 != 0, 0);
	must_be_waiting(answers);
	puts_key("a", "1");
	assert_int_equal(fixture->answered.count, answers + 11);
}

static void watch_that_is_cancelled_is_not_answered(void **state)
{
	(void)state;
	uint32_t answers = fixture->answered.count;
	uint32_t stream = watches("a", false, 0);
	watches("a", true, 0);
	node_fixture_cancel(fixture, WATCHER, stream);
	node_fixture_close(fixture, WATCHER);
	puts_key("a", "1");
	assert_int_equal(fixture->answered.count, answers + 1);
}

static void changes_of_one_version_are_not_divided(void **state)
{
	(void)state;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Transact body = CLUSTERD__WIRE__TRANSACT__INIT;
	Clusterd__Wire__Write writes[100];
	Clusterd__Wire__Write *pointers[100];
	char keys[100][8];
	uint64_t first = 0;
	size_t seen = 0;
	for (size_t i = 0; i < 100; i++) {
		clusterd__wire__write__init(&writes[i]);
		snprintf(keys[i], sizeof keys[i], "k%zu", i);
		writes[i].key = keys[i];
		pointers[i] = &writes[i];
	}
	body.writes = pointers;
	body.n_writes = 100;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_TRANSACT;
	request.transact = &body;
	for (int i = 0; i < 13; i++) {
		if (i == 1)
			puts_key("other", "1");
		change(&request, SLICE(""));
		assert_int_equal(fixture->answered.code, 0);
		first = first == 0 ? fixture->answered.number : first;
	}
	for (uint64_t from = first; seen < 1300; from = fixture->answered.number) {
		size_t here = 0;
		watches("k", true, from);
		const char *text = buffer_string(&fixture->answered.keys);
		for (const char *at = text; (at = strchr(at, '@')) != NULL; at++)
			here++;
		assert_int_equal(here % 100, 0);
		assert_true(here > 0);
		seen += here;
	}
	assert_int_equal(seen, 1300);
}

static void watch_of_what_is_not_kept_any_more_is_told_so(void **state)
{
	(void)state;
	uint64_t first = puts_key("a", "0");
	sets("changes_kept", "100");
	for (int i = 0; i < 400; i++)
		puts_key("a", "1");
	watches("a", false, first);
	assert_int_equal(fixture->answered.code, ERR_COMPACTED);
	assert_non_null(strstr(fixture->answered.text, "compacted"));
}

static void watch_that_waits_long_loses_nothing_to_what_is_let_go(void **state)
{
	(void)state;
	puts_key("a", "0");
	sets("changes_kept", "100");
	watches("a", false, 0);
	for (int i = 0; i < 400; i++)
		puts_key("b", "1");
	puts_key("a", "2");
	assert_int_equal(fixture->answered.body, CLUSTERD__WIRE__RESPONSE__BODY_CHANGES);
	assert_keys("a@%" PRIu64 "=2", fixture->answered.number - 1);
}

static void watch_is_answered_with_nothing_before_who_asks_gives_up(void **state)
{
	(void)state;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__WatchKeys body = CLUSTERD__WIRE__WATCH_KEYS__INIT;
	puts_key("b", "1");
	body.key = (char *)(uintptr_t)"a";
	request.timeout_ms = 1000;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_WATCH_KEYS;
	request.watch_keys = &body;
	uint32_t answers = fixture->answered.count;
	node_fixture_ask(fixture, WATCHER, &request, SLICE(""));
	node_fixture_pass(fixture, 999);
	assert_int_equal(fixture->answered.count, answers);
	node_fixture_pass(fixture, 1);
	assert_int_equal(fixture->answered.count, answers + 1);
	assert_int_equal(fixture->answered.body, CLUSTERD__WIRE__RESPONSE__BODY_CHANGES);
	assert_keys("%s", "");
	/* From there on nothing is lost. */
	uint64_t next = fixture->answered.number;
	uint64_t version = puts_key("a", "1");
	assert_true(next <= version);
	watches("a", false, next);
	assert_keys("a@%" PRIu64 "=1", version);
}

static void watch_goes_on_after_a_restart(void **state)
{
	(void)state;
	uint64_t first = puts_key("a", "1");
	node_fixture_restart(fixture, true);
	node_fixture_settle(fixture);
	uint64_t second = puts_key("a", "2");
	watches("a", false, first);
	assert_keys("a@%" PRIu64 "=1 a@%" PRIu64 "=2", first, second);
	node_fixture_compare(fixture);
}

/* --- leases -------------------------------------------------------------------------------------------------------- */

static void keys_go_with_their_lease(void **state)
{
	(void)state;
	uint64_t lease = grants(10000);
	puts_with("a", "1", lease);
	puts_with("b", "1", lease);
	puts_key("c", "1");
	node_fixture_pass(fixture, 9999);
	lists("", "", 0);
	assert_non_null(strstr(buffer_string(&fixture->answered.keys), "a@"));
	watches("a", false, 0);
	node_fixture_pass(fixture, 1);
	assert_int_equal(fixture->answered.body, CLUSTERD__WIRE__RESPONSE__BODY_CHANGES);
	assert_keys("a@%" PRIu64 "-", fixture->answered.number - 1);
	lists("", "", 0);
	assert_true(buffer_string(&fixture->answered.keys)[0] == 'c');
	assert_int_equal(puts_with("a", "1", lease), 0);
	assert_int_equal(fixture->answered.code, ERR_NOT_FOUND);
	assert_int_equal(keeps(lease), ERR_NOT_FOUND);
	node_fixture_compare(fixture);
}

static void lease_that_is_kept_alive_does_not_end(void **state)
{
	(void)state;
	uint64_t lease = grants(1000);
	size_t entries = 0;
	puts_with("a", "1", lease);
	for (int i = 0; i < 4; i++) {
		node_fixture_pass(fixture, 900);
		if (i == 0)
			entries = fixture->entry_count;
		assert_int_equal(keeps(lease), 0);
	}
	assert_int_equal(fixture->entry_count, entries); /* keeping alive is not logged */
	node_fixture_pass(fixture, 1000);
	lists("", "", 0);
	assert_keys("%s", "");
}

static void node_that_comes_up_grants_every_lease_its_full_time(void **state)
{
	(void)state;
	uint64_t lease = grants(1000);
	puts_with("a", "1", lease);
	node_fixture_pass(fixture, 900);
	node_fixture_restart(fixture, true);
	node_fixture_settle(fixture);
	node_fixture_pass(fixture, 900);
	session = node_fixture_open_session(fixture, CLIENT);
	sequence = 0;
	lists("", "", 0);
	assert_non_null(strstr(buffer_string(&fixture->answered.keys), "a@"));
	node_fixture_pass(fixture, 1000);
	lists("", "", 0);
	assert_keys("%s", "");
}

static void lease_with_many_keys_ends_in_several_commands(void **state)
{
	char key[16];
	(void)state;
	uint64_t lease = grants(10000);
	for (int i = 0; i < 600; i++) {
		snprintf(key, sizeof key, "k%d", i);
		puts_with(key, "1", lease);
	}
	size_t entries = fixture->entry_count;
	assert_int_equal(revokes(lease), 0);
	assert_int_equal(fixture->entry_count, entries + 3);
	lists("", "", 0);
	assert_keys("%s", "");
	assert_int_equal(revokes(lease), ERR_NOT_FOUND);
	node_fixture_compare(fixture);
}

static void key_belongs_to_the_lease_that_was_given_last(void **state)
{
	(void)state;
	uint64_t first = grants(10000);
	uint64_t second = grants(10000);
	puts_with("a", "1", first);
	puts_with("a", "2", second);
	puts_with("b", "1", first);
	puts_key("b", "2");
	assert_int_equal(revokes(first), 0);
	lists("", "", 0);
	assert_non_null(strstr(buffer_string(&fixture->answered.keys), "=2 b@"));
	assert_int_equal(revokes(second), 0);
	lists("", "", 0);
	assert_true(buffer_string(&fixture->answered.keys)[0] == 'b');
}

static void what_cannot_be_a_lease_is_refused(void **state)
{
	(void)state;
	assert_int_equal(grants(1), 0);
	assert_int_equal(fixture->answered.code, ERR_LIMIT);
	assert_int_equal(grants(UINT64_MAX), 0);
	assert_int_equal(fixture->answered.code, ERR_LIMIT);
	assert_int_equal(keeps(99), ERR_NOT_FOUND);
	assert_int_equal(revokes(99), ERR_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(list_goes_on_behind_the_last_key),
		TEST(watch_from_a_version_is_answered_with_all_since),
		TEST(watch_waits_for_what_is_to_come),
		TEST(watch_of_a_prefix_is_woken_by_every_key_below),
		TEST(all_who_watch_the_same_are_answered),
		TEST(watch_that_is_cancelled_is_not_answered),
		TEST(changes_of_one_version_are_not_divided),
		TEST(watch_of_what_is_not_kept_any_more_is_told_so),
		TEST(watch_that_waits_long_loses_nothing_to_what_is_let_go),
		TEST(watch_is_answered_with_nothing_before_who_asks_gives_up),
		TEST(watch_goes_on_after_a_restart),
		TEST(keys_go_with_their_lease),
		TEST(lease_that_is_kept_alive_does_not_end),
		TEST(node_that_comes_up_grants_every_lease_its_full_time),
		TEST(lease_with_many_keys_ends_in_several_commands),
		TEST(key_belongs_to_the_lease_that_was_given_last),
		TEST(what_cannot_be_a_lease_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
