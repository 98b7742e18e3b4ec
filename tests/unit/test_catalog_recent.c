#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "catalog_fixture.h"

#include "base/buffer.h"

/* Which rows have changed of late, and rows as JSON. */

static void puts_topic(struct fixture *fixture, uint64_t index)
{
	struct catalog_topic topic = {index, SLICE("t"), SLICE("stream"), SLICE("\"s\""), 0, index, 5};
	catalog_recent_at(fixture->catalog, index);
	must(fixture, catalog_topic_put(fixture->catalog, &topic));
}

static uint64_t found(struct fixture *fixture, uint64_t index)
{
	uint64_t number = 0;
	must(fixture, catalog_recent_find(fixture->catalog, index, &number));
	return number;
}

static int note_row(void *context, uint64_t id, struct slice row)
{
	buffer_format(context, "%llu %.*s;", (unsigned long long)id, SLICE_ARGS(row));
	return 0;
}

static void what_is_written_is_found_by_its_index(void **state)
{
	struct fixture *fixture = *state;
	struct buffer rows = BUFFER_EMPTY;
	uint64_t number;
	begin(fixture);
	catalog_recent_begin(fixture->catalog, 10);
	uint64_t first = catalog_recent_end(fixture->catalog);
	puts_topic(fixture, 11);
	puts_topic(fixture, 14);
	must(fixture, catalog_topic_version(fixture->catalog, 11, 14));
	catalog_recent_at(fixture->catalog, 15);
	must(fixture, catalog_topic_delete(fixture->catalog, 14));
	must(fixture, catalog_meta_set_number(fixture->catalog, "applied_index", 15)); /* of no table that is watched */
	commit(fixture);
	assert_int_equal(catalog_recent_end(fixture->catalog), first + 4);
	assert_int_equal(found(fixture, 11), first);
	assert_int_equal(found(fixture, 12), first + 1);
	assert_int_equal(found(fixture, 15), first + 3);
	assert_int_equal(found(fixture, 16), first + 4);
	assert_int_equal(catalog_recent_find(fixture->catalog, 10, &number), ERR_COMPACTED);
	struct recent_change change = catalog_recent_change(fixture->catalog, first + 2);
	assert_int_equal(change.index, 14);
	assert_int_equal(change.id, 11);
	assert_int_equal(change.table, CATALOG_TOPIC);
	must(fixture, catalog_rows(fixture->catalog, CATALOG_TOPIC, 0, 1000, note_row, &rows));
	assert_string_equal(buffer_string(&rows), "11 {\"id\":11,\"name\":\"t\",\"kind\":\"stream\",\"schema\":\"\\\"s\\\"\","
	                                          "\"partitions\":0,\"version\":14,\"created_ms\":5};");
	buffer_clear(&rows);
	must(fixture, catalog_rows(fixture->catalog, CATALOG_TOPIC, 14, 14, note_row, &rows));
	assert_string_equal(buffer_string(&rows), "");
	buffer_finish(&rows);
}

static void node_is_a_member_and_an_executor(void **state)
{
	struct fixture *fixture = *state;
	struct buffer rows = BUFFER_EMPTY;
	struct catalog_node node = {.id = 3, .name = SLICE("n"), .role = SLICE("server"), .state = SLICE("alive"), .cpu = 2000};
	begin(fixture);
	uint64_t first = catalog_recent_end(fixture->catalog);
	must(fixture, catalog_node_put(fixture->catalog, &node));
	commit(fixture);
	assert_int_equal(catalog_recent_end(fixture->catalog), first + 2);
	must(fixture, catalog_rows(fixture->catalog, CATALOG_MEMBER, 0, 1000, note_row, &rows));
	must(fixture, catalog_rows(fixture->catalog, CATALOG_EXECUTOR, 0, 1000, note_row, &rows));
	assert_non_null(strstr(buffer_string(&rows), "\"role\":\"server\""));
	assert_non_null(strstr(buffer_string(&rows), "\"cpu\":2000"));
	buffer_finish(&rows);
}

static void oldest_changes_are_forgotten(void **state)
{
	struct fixture *fixture = *state;
	uint64_t number;
	begin(fixture);
	catalog_recent_begin(fixture->catalog, 0);
	puts_topic(fixture, 1);
	for (uint64_t i = 2; i <= CATALOG_RECENT_MAX + 5; i++) {
		catalog_recent_at(fixture->catalog, i);
		must(fixture, catalog_topic_version(fixture->catalog, 1, i));
	}
	commit(fixture);
	assert_int_equal(catalog_recent_find(fixture->catalog, 5, &number), ERR_COMPACTED);
	assert_int_equal(catalog_recent_change(fixture->catalog, found(fixture, 6)).index, 6);
	assert_int_equal(catalog_recent_end(fixture->catalog) - found(fixture, 6), CATALOG_RECENT_MAX);
}

static void tables_have_names(void **state)
{
	enum catalog_table table;
	(void)state;
	assert_true(catalog_table_find(SLICE("publication"), &table) && table == CATALOG_PUBLICATION);
	assert_false(catalog_table_find(SLICE("meta"), &table));
	assert_string_equal(catalog_table_name(CATALOG_MEMBER), "member");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_written_is_found_by_its_index),
		TEST(node_is_a_member_and_an_executor),
		TEST(oldest_changes_are_forgotten),
		TEST(tables_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
