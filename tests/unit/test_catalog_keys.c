#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "catalog_fixture.h"

#include "base/memory.h"

#include <stdio.h>

/* Rows of keys, their changes and leases. */

static void put(struct fixture *fixture, struct slice key, struct slice value, uint64_t version)
{
	struct catalog_key row = {.key = key, .value = value, .version = version, .created = version};
	must(fixture, catalog_key_put(fixture->catalog, &row));
}

struct seen {
	struct buffer text;
	int limit;
};

static int note_key(void *context, const struct catalog_key *key)
{
	struct seen *seen = context;
	buffer_format(&seen->text, "%.*s=%.*s;", SLICE_ARGS(key->key), SLICE_ARGS(key->value));
	return --seen->limit == 0;
}

static void lists(struct fixture *fixture, struct slice prefix, struct slice after, int limit, const char *expected)
{
	struct seen seen = {.limit = limit};
	int result = must(fixture, catalog_keys(fixture->catalog, prefix, after, note_key, &seen));
	assert_int_equal(result, limit > 0 && seen.limit == 0);
	assert_string_equal(buffer_string(&seen.text), expected);
	buffer_finish(&seen.text);
}

static void keys_are_listed_by_their_bytes_from_a_prefix_on(void **state)
{
	struct fixture *fixture = *state;
	put(fixture, SLICE("b"), SLICE("1"), 1);
	put(fixture, SLICE("a/\xc3\xbc"), SLICE("2"), 2);
	put(fixture, SLICE("a/z"), SLICE("3"), 3);
	put(fixture, SLICE("a/"), SLICE("4"), 4);
	put(fixture, SLICE("a"), SLICE("5"), 5);
	put(fixture, SLICE("A"), SLICE("6"), 6);
	lists(fixture, SLICE(""), SLICE(""), 0, "A=6;a=5;a/=4;a/z=3;a/\xc3\xbc=2;b=1;");
	lists(fixture, SLICE("a/"), SLICE(""), 0, "a/=4;a/z=3;a/\xc3\xbc=2;");
	lists(fixture, SLICE("a/"), SLICE("a/"), 0, "a/z=3;a/\xc3\xbc=2;");
	lists(fixture, SLICE("a/"), SLICE("a/y"), 1, "a/z=3;");
	lists(fixture, SLICE("a/"), SLICE("A"), 0, "a/=4;a/z=3;a/\xc3\xbc=2;");
	lists(fixture, SLICE("a/"), SLICE("b"), 0, "");
	lists(fixture, SLICE("c"), SLICE(""), 0, "");
}

static void value_comes_back_byte_for_byte_whatever_it_is(void **state)
{
	struct fixture *fixture = *state;
	static const struct slice values[] = {
		{"", 0}, {"text", 4}, {"\0", 1}, {"a\0b", 3}, {"\xff\xfe", 2}, {"\xc3\xbc", 2}, {"12", 2},
	};
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		struct catalog_key found;
		struct buffer value = BUFFER_EMPTY;
		put(fixture, SLICE("k"), values[i], i + 1);
		assert_int_equal(must(fixture, catalog_key_read(fixture->catalog, SLICE("k"), &found, &value)), 1);
		assert_true(slice_equal(buffer_slice(&value), values[i]));
		assert_int_equal(found.version, i + 1);
		assert_int_equal(found.lease, 0);
		buffer_finish(&value);
	}
	assert_int_equal(outside_number(fixture, "SELECT count(*) FROM kv"), 1);
}

static void key_that_is_not_there_is_no_error(void **state)
{
	struct fixture *fixture = *state;
	struct catalog_key found;
	struct buffer value = BUFFER_EMPTY;
	assert_int_equal(must(fixture, catalog_key_stat(fixture->catalog, SLICE("k"), &found)), 0);
	assert_int_equal(must(fixture, catalog_key_read(fixture->catalog, SLICE("k"), &found, &value)), 0);
	assert_int_equal(must(fixture, catalog_key_delete(fixture->catalog, SLICE("k"))), 0);
	buffer_finish(&value);
}

static void change(struct fixture *fixture, uint64_t seq, uint64_t version, const char *value)
{
	struct catalog_change row = {.seq = seq, .bytes = seq * 10};
	row.key = (struct catalog_key){.key = SLICE("k"), .version = version, .created = 1};
	if (value != NULL)
		row.key.value = slice_of(value);
	must(fixture, catalog_change_append(fixture->catalog, &row));
}

static int note_change(void *context, const struct catalog_change *change)
{
	struct seen *seen = context;
	if (change->key.value.data == NULL)
		buffer_format(&seen->text, "%d:deleted;", (int)change->seq);
	else
		buffer_format(&seen->text, "%d:%.*s;", (int)change->seq, SLICE_ARGS(change->key.value));
	return --seen->limit == 0;
}

static void changes_are_found_by_version_and_go_from_the_front(void **state)
{
	struct fixture *fixture = *state;
	struct catalog_change first = {0};
	struct catalog_change last = {0};
	struct seen seen = {.limit = 0};
	uint64_t seq;
	assert_int_equal(must(fixture, catalog_changes_kept(fixture->catalog, &first, &last)), 0);
	change(fixture, 1, 5, "");
	change(fixture, 2, 5, NULL);
	change(fixture, 3, 9, "x");
	change(fixture, 4, 12, "y");
	assert_int_equal(must(fixture, catalog_changes_kept(fixture->catalog, &first, &last)), 1);
	assert_int_equal(first.seq, 1);
	assert_int_equal(last.seq, 4);
	assert_int_equal(last.key.version, 12);
	assert_int_equal(last.bytes, 40);
	static const uint64_t found[][2] = {{1, 1}, {5, 1}, {6, 3}, {9, 3}, {10, 4}, {12, 4}, {13, 5}};
	for (size_t i = 0; i < sizeof found / sizeof found[0]; i++) {
		must(fixture, catalog_change_find(fixture->catalog, 1, 4, found[i][0], &seq));
		assert_int_equal(seq, found[i][1]);
	}
	must(fixture, catalog_changes_delete(fixture->catalog, 2));
	must(fixture, catalog_changes(fixture->catalog, 1, note_change, &seen));
	assert_string_equal(buffer_string(&seen.text), "2:deleted;3:x;4:y;");
	assert_int_equal(must(fixture, catalog_changes_kept(fixture->catalog, &first, &last)), 1);
	assert_int_equal(first.seq, 2);
	buffer_finish(&seen.text);
}

static int note_lease(void *context, const struct catalog_lease *lease)
{
	struct seen *seen = context;
	buffer_format(&seen->text, "%d %lld %.*s%s;", (int)lease->id, (long long)lease->ttl, SLICE_ARGS(lease->owner),
	              lease->ending ? " ends" : "");
	return 0;
}

static void leases_have_keys_of_their_own(void **state)
{
	struct fixture *fixture = *state;
	struct seen seen = {.limit = 0};
	struct buffer key = BUFFER_EMPTY;
	must(fixture, catalog_lease_put(fixture->catalog, &(struct catalog_lease){.id = 7, .ttl = 1000, .owner = SLICE("a")}));
	must(fixture, catalog_lease_put(fixture->catalog, &(struct catalog_lease){.id = 3, .ttl = 2000, .granted_ms = 1}));
	must(fixture, catalog_lease_key_insert(fixture->catalog, 7, SLICE("z")));
	must(fixture, catalog_lease_key_insert(fixture->catalog, 7, SLICE("y")));
	must(fixture, catalog_lease_key_insert(fixture->catalog, 7, SLICE("y")));
	assert_int_equal(must(fixture, catalog_lease_key_first(fixture->catalog, 3, &key)), 0);
	assert_int_equal(must(fixture, catalog_lease_key_first(fixture->catalog, 7, &key)), 1);
	assert_string_equal(buffer_string(&key), "y");
	must(fixture, catalog_lease_key_delete(fixture->catalog, 7, SLICE("y")));
	buffer_clear(&key);
	assert_int_equal(must(fixture, catalog_lease_key_first(fixture->catalog, 7, &key)), 1);
	assert_string_equal(buffer_string(&key), "z");
	must(fixture, catalog_lease_end(fixture->catalog, 7));
	must(fixture, catalog_leases(fixture->catalog, note_lease, &seen));
	assert_string_equal(buffer_string(&seen.text), "3 2000 ;7 1000 a ends;");
	must(fixture, catalog_lease_delete(fixture->catalog, 7));
	assert_int_equal(outside_number(fixture, "SELECT count(*) FROM lease"), 1);
	buffer_finish(&seen.text);
	buffer_finish(&key);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keys_are_listed_by_their_bytes_from_a_prefix_on),
		TEST(value_comes_back_byte_for_byte_whatever_it_is),
		TEST(key_that_is_not_there_is_no_error),
		TEST(changes_are_found_by_version_and_go_from_the_front),
		TEST(leases_have_keys_of_their_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
