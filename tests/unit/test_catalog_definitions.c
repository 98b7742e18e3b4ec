/* What was registered; sessions and nodes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "catalog_fixture.h"

#include <string.h>

static int print_unit(void *context, uint64_t id, struct slice files, struct slice attachments)
{
	buffer_format(context, "%llu %.*s %.*s;", (unsigned long long)id, SLICE_ARGS(files), SLICE_ARGS(attachments));
	return 0;
}

static void units_come_in_the_order_of_their_ids(void **state)
{
	struct fixture *fixture = *state;
	struct buffer seen = BUFFER_EMPTY;
	begin(fixture);
	must(fixture, catalog_unit_insert(fixture->catalog, 2, SLICE("[2]"), SLICE("[]"), 7));
	must(fixture, catalog_unit_insert(fixture->catalog, 1, SLICE("[1]"), SLICE("[{}]"), 7));
	assert_int_equal(catalog_unit_insert(fixture->catalog, 1, SLICE("[1]"), SLICE("[]"), 7), ERR_EXISTS);
	commit(fixture);
	must(fixture, catalog_units(fixture->catalog, print_unit, &seen));
	assert_string_equal(buffer_string(&seen), "1 [1] [{}];2 [2] [];");
	buffer_finish(&seen);
}

static void file_is_kept_byte_for_byte_and_once(void **state)
{
	static const char content[] = "#!/bin/sh\n\0\xFF";
	struct fixture *fixture = *state;
	struct buffer read = BUFFER_EMPTY;
	bool executable = false;
	begin(fixture);
	must(fixture, catalog_file_insert(fixture->catalog, SLICE("abc"), true, SLICE(content)));
	must(fixture, catalog_file_insert(fixture->catalog, SLICE("abc"), false, SLICE("other")));
	must(fixture, catalog_file_insert(fixture->catalog, SLICE("empty"), false, (struct slice){NULL, 0}));
	commit(fixture);
	must(fixture, catalog_file_read(fixture->catalog, SLICE("abc"), &executable, &read));
	assert_true(executable);
	assert_int_equal(read.size, sizeof content - 1);
	assert_memory_equal(read.data, content, read.size);
	must(fixture, catalog_file_read(fixture->catalog, SLICE("empty"), &executable, &read));
	assert_false(executable);
	assert_int_equal(read.size, 0);
	assert_int_equal(catalog_file_read(fixture->catalog, SLICE("none"), &executable, &read), ERR_NOT_FOUND);
	buffer_finish(&read);
}

static void process_has_one_row_for_each_version(void **state)
{
	struct fixture *fixture = *state;
	struct catalog_process process = {
		.name = SLICE("Order"),
		.version = 1,
		.kind = SLICE("workflow"),
		.signature = SLICE("Order : X -> Y"),
		.source = SLICE("workflow Order"),
		.registered_ms = 7,
		.unit = 1,
	};
	begin(fixture);
	must(fixture, catalog_process_insert(fixture->catalog, &process));
	assert_int_equal(catalog_process_insert(fixture->catalog, &process), ERR_EXISTS);
	process.version = 2;
	must(fixture, catalog_process_insert(fixture->catalog, &process));
	commit(fixture);
	assert_int_equal(outside_number(fixture, "SELECT count(*) FROM process WHERE name = 'Order'"), 2);
}

static int print_session(void *context, const struct catalog_session *session)
{
	buffer_format(context, "%llu %lld %llu %.*s %lld %.*s;", (unsigned long long)session->id,
	              (long long)session->opened_ms, (unsigned long long)session->answered_below,
	              SLICE_ARGS(session->answers), (long long)session->ttl, SLICE_ARGS(session->proof));
	return session->id == 3 ? 5 : 0;
}

static void puts_session(struct fixture *fixture, uint64_t id, msec opened, uint64_t below, struct slice answers)
{
	struct catalog_session session = {id, opened, below, answers, 0, {NULL, 0}};
	must(fixture, catalog_session_put(fixture->catalog, &session));
}

static void sessions_are_put_and_deleted(void **state)
{
	struct fixture *fixture = *state;
	struct buffer seen = BUFFER_EMPTY;
	begin(fixture);
	struct catalog_session kept = {3, 12, 6, SLICE("c"), 7000, SLICE("p")};
	puts_session(fixture, 2, 10, 1, SLICE("a"));
	puts_session(fixture, 1, 11, 2, (struct slice){NULL, 0});
	puts_session(fixture, 2, 10, 5, SLICE("b"));
	must(fixture, catalog_session_put(fixture->catalog, &kept));
	puts_session(fixture, 4, 12, 6, SLICE("d"));
	must(fixture, catalog_session_delete(fixture->catalog, 1));
	must(fixture, catalog_session_delete(fixture->catalog, 99));
	commit(fixture);
	assert_int_equal(catalog_sessions(fixture->catalog, print_session, &seen), 5); /* the callback's own answer ends it */
	assert_string_equal(buffer_string(&seen), "2 10 5 b 0 ;3 12 6 c 7000 p;");
	buffer_finish(&seen);
}

static void node_is_replaced_by_its_id(void **state)
{
	struct fixture *fixture = *state;
	struct catalog_node node = {
		.id = 1,
		.name = SLICE("one"),
		.role = SLICE("server"),
		.address = SLICE("127.0.0.1:9189"),
		.state = SLICE("alive"),
		.generation = 1,
		.tags = SLICE("{}"),
	};
	begin(fixture);
	must(fixture, catalog_node_put(fixture->catalog, &node));
	node.state = SLICE("dead");
	node.generation = 2;
	must(fixture, catalog_node_put(fixture->catalog, &node));
	commit(fixture);
	assert_int_equal(outside_number(fixture, "SELECT generation FROM node WHERE state = 'dead'"), 2);
	assert_int_equal(outside_number(fixture, "SELECT count(*) FROM node"), 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(units_come_in_the_order_of_their_ids),
		TEST(file_is_kept_byte_for_byte_and_once),
		TEST(process_has_one_row_for_each_version),
		TEST(sessions_are_put_and_deleted),
		TEST(node_is_replaced_by_its_id),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
