#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "catalog_fixture.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOBODY 65534

static void reopen(struct fixture *fixture)
{
	catalog_close(fixture->catalog);
	fixture->catalog = NULL;
	if (catalog_open(fixture->path, NULL, &fixture->catalog, &fixture->error) != 0)
		fail_msg("%s", fixture->error.text);
}

static void refused(struct fixture *fixture, int code, const char *words)
{
	catalog_close(fixture->catalog);
	fixture->catalog = NULL;
	assert_int_equal(catalog_open(fixture->path, NULL, &fixture->catalog, &fixture->error), code);
	assert_null(fixture->catalog);
	assert_non_null(strstr(fixture->error.text, words));
}

static void new_file_has_the_documented_form(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(outside_number(fixture, "PRAGMA page_size"), 4096);
	assert_int_equal(outside_number(fixture, "PRAGMA auto_vacuum"), 2);
	assert_int_equal(outside_number(fixture, "PRAGMA application_id"), 0x636C7374);
	char *mode = outside_text(fixture, "PRAGMA journal_mode");
	assert_string_equal(mode, "wal");
	mem_free(mode);
	assert_int_equal(outside_number(fixture, "SELECT value FROM meta WHERE key = 'schema_version'"),
	                 CATALOG_SCHEMA_VERSION);
}

/* INTERFACE, "The catalog": these columns, in this order; more may follow. */
static void tables_begin_with_the_promised_columns(void **state)
{
	static const char *const promises[][2] = {
		{"meta", "key,value"},
		{"process", "name,version,kind,signature,source,registered_ms"},
		{"pi_instance", "id,key,process,version,state,args,result,error,started_ms,finished_ms"},
		{"pi_call", "instance,ref,process,state,args,result,error,attempts,node,called_ms,returned_ms"},
		{"pi_history", "seq,instance,time_ms,kind,ref,detail"},
		{"node", "id,name,role,address,datacenter,state,generation,tags"},
		{"setting", "name,value"},
		{"session", "id,opened_ms,answered_below,answers"},
		{"timer", "due_ms,instance,ref"},
		{"unit", "id,files,attachments,registered_ms"},
		{"file", "hash,executable,content"},
		{"signal", "instance,name,key,seq,value"},
		{"kv", "key,value,version,lease"},
		{"kv_change", "seq,version,key,lease,created,bytes,value"},
		{"lease", "id,ttl_ms,owner,granted_ms,state"},
		{"lease_key", "lease,key"},
		{"pi_event", "seq,instance,time_ms,kind,ref,process,args,result,error,detail"},
	};
	struct fixture *fixture = *state;
	for (size_t i = 0; i < sizeof promises / sizeof promises[0]; i++) {
		char *sql = mem_format("SELECT group_concat(name) FROM (SELECT name FROM pragma_table_info('%s') ORDER BY cid)",
		                       promises[i][0]);
		char *columns = outside_text(fixture, sql);
		assert_non_null(columns);
		if (strncmp(columns, promises[i][1], strlen(promises[i][1])) != 0)
			fail_msg("%s has %s", promises[i][0], columns);
		mem_free(columns);
		mem_free(sql);
	}
}

static void what_was_committed_is_there_after_opening_again(void **state)
{
	struct fixture *fixture = *state;
	struct buffer text = BUFFER_EMPTY;
	uint64_t number;
	begin(fixture);
	must(fixture, catalog_meta_set_number(fixture->catalog, "applied_index", 7));
	must(fixture, catalog_meta_set_number(fixture->catalog, "applied_index", 9007199254740993));
	must(fixture, catalog_meta_set_number(fixture->catalog, "all_bits", UINT64_MAX));
	must(fixture, catalog_meta_set_text(fixture->catalog, "cluster_id", SLICE("abc")));
	commit(fixture);
	reopen(fixture);
	must(fixture, catalog_meta_number(fixture->catalog, "applied_index", &number));
	assert_true(number == 9007199254740993);
	must(fixture, catalog_meta_number(fixture->catalog, "all_bits", &number));
	assert_true(number == UINT64_MAX);
	must(fixture, catalog_meta_text(fixture->catalog, "cluster_id", &text));
	assert_true(slice_is(buffer_slice(&text), "abc"));
	must(fixture, catalog_meta_number(fixture->catalog, "absent", &number));
	assert_true(number == 0);
	must(fixture, catalog_meta_text(fixture->catalog, "absent", &text));
	assert_int_equal(text.size, 0);
	assert_int_equal(catalog_meta_number(fixture->catalog, "cluster_id", &number), ERR_CORRUPT);
	buffer_finish(&text);
}

static void what_was_not_committed_is_gone(void **state)
{
	struct fixture *fixture = *state;
	uint64_t number;
	begin(fixture);
	must(fixture, catalog_meta_set_number(fixture->catalog, "applied_index", 7));
	assert_int_equal(outside_number(fixture, "SELECT value FROM meta WHERE key = 'applied_index'"), -1);
	reopen(fixture);
	must(fixture, catalog_meta_number(fixture->catalog, "applied_index", &number));
	assert_true(number == 0);
}

static void file_of_a_newer_program_is_refused_with_both_versions(void **state)
{
	struct fixture *fixture = *state;
	outside_run(fixture, "UPDATE meta SET value = 12345 WHERE key = 'schema_version'");
	refused(fixture, ERR_VERSION, "version 12345, this program knows up to version 3");
}

static void database_of_somebody_else_is_refused_and_left_alone(void **state)
{
	struct fixture *fixture = *state;
	catalog_close(fixture->catalog);
	fixture->catalog = NULL;
	unlink(fixture->path);
	sqlite3 *database = outside_open(fixture, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
	assert_int_equal(sqlite3_exec(database, "CREATE TABLE theirs (a)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(database);
	refused(fixture, ERR_CORRUPT, "not a catalog");
	assert_int_equal(outside_number(fixture, "SELECT count(*) FROM sqlite_schema"), 1);
	char *mode = outside_text(fixture, "PRAGMA journal_mode");
	assert_string_equal(mode, "delete");
	mem_free(mode);
}

static void file_that_is_no_database_is_corrupt(void **state)
{
	struct fixture *fixture = *state;
	catalog_close(fixture->catalog);
	fixture->catalog = NULL;
	FILE *file = fopen(fixture->path, "w");
	assert_non_null(file);
	for (int i = 0; i < 1000; i++)
		fputs("this is not a database. ", file);
	fclose(file);
	refused(fixture, ERR_CORRUPT, "not a database");
}

static void directory_that_is_missing_is_an_io_error(void **state)
{
	struct fixture *fixture = *state;
	struct catalog *catalog = NULL;
	char *path = mem_format("%s/absent/catalog.db", fixture->directory);
	assert_int_equal(catalog_open(path, NULL, &catalog, &fixture->error), ERR_IO);
	assert_non_null(strstr(fixture->error.text, "absent/catalog.db"));
	assert_non_null(strstr(fixture->error.text, "No such file"));
	assert_null(catalog);
	mem_free(path);
}

static void file_that_is_not_writable_is_an_io_error(void **state)
{
	struct fixture *fixture = *state;
	catalog_close(fixture->catalog);
	fixture->catalog = NULL;
	assert_int_equal(chmod(fixture->path, 0400), 0);
	bool root = geteuid() == 0; /* permissions do not bind root */
	if (root) {
		assert_int_equal(chown(fixture->directory, NOBODY, NOBODY), 0);
		assert_int_equal(chown(fixture->path, NOBODY, NOBODY), 0);
		assert_int_equal(seteuid(NOBODY), 0);
	}
	int result = catalog_open(fixture->path, NULL, &fixture->catalog, &fixture->error);
	if (root)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(result, ERR_IO);
	if (strstr(fixture->error.text, "not writable") == NULL)
		fail_msg("%s", fixture->error.text);
}

static void foreign_write_is_noticed_once(void **state)
{
	struct fixture *fixture = *state;
	assert_false(catalog_foreign_write(fixture->catalog));
	for (int i = 0; i < 3; i++) {
		begin(fixture);
		must(fixture, catalog_meta_set_number(fixture->catalog, "applied_index", (uint64_t)i));
		assert_false(catalog_foreign_write(fixture->catalog));
		commit(fixture);
		assert_false(catalog_foreign_write(fixture->catalog));
	}
	must(fixture, catalog_meta_set_number(fixture->catalog, "alone", 1)); /* a transaction by itself */
	assert_false(catalog_foreign_write(fixture->catalog));
	outside_run(fixture, "UPDATE meta SET value = 99 WHERE key = 'applied_index'");
	assert_true(catalog_foreign_write(fixture->catalog));
	assert_false(catalog_foreign_write(fixture->catalog));
	outside_run(fixture, "UPDATE meta SET value = 98 WHERE key = 'applied_index'");
	begin(fixture);
	assert_true(catalog_foreign_write(fixture->catalog));
	assert_false(catalog_foreign_write(fixture->catalog));
	commit(fixture);
}

static void reading_and_checkpoints_are_no_foreign_writes(void **state)
{
	struct fixture *fixture = *state;
	uint64_t index;
	bool complete;
	begin(fixture);
	must(fixture, catalog_meta_set_number(fixture->catalog, "applied_index", 1));
	commit(fixture);
	assert_int_equal(outside_number(fixture, "SELECT value FROM meta WHERE key = 'applied_index'"), 1);
	assert_int_equal(catalog_checkpoint(fixture->path, &index, &complete, &fixture->error), 0);
	assert_false(catalog_foreign_write(fixture->catalog));
	begin(fixture); /* begins the WAL anew */
	must(fixture, catalog_meta_set_number(fixture->catalog, "applied_index", 2));
	commit(fixture);
	assert_false(catalog_foreign_write(fixture->catalog));
}

static void writer_beside_us_is_answered_busy_and_may_go_on_later(void **state)
{
	struct fixture *fixture = *state;
	sqlite3 *other = outside_open(fixture, SQLITE_OPEN_READWRITE);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(catalog_begin(fixture->catalog), ERR_BUSY);
	assert_non_null(strstr(catalog_error(fixture->catalog), "locked"));
	assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(other);
	begin(fixture);
	commit(fixture);
	assert_false(catalog_foreign_write(fixture->catalog));
}

static void names_that_mean_something_to_sqlite_are_names_of_files(void **state)
{
	struct fixture *fixture = *state;
	struct catalog *catalog;
	char here[4096];
	assert_non_null(getcwd(here, sizeof here));
	assert_int_equal(chdir(fixture->directory), 0);
	int result = catalog_open(":memory:", NULL, &catalog, &fixture->error);
	if (result == 0)
		catalog_close(catalog);
	int there = access(":memory:", F_OK);
	assert_int_equal(chdir(here), 0);
	assert_int_equal(result, 0);
	assert_int_equal(there, 0);
}

static void note_setting(void *context, struct slice name, struct slice value)
{
	buffer_format(context, "%.*s=%.*s;", SLICE_ARGS(name), SLICE_ARGS(value));
}

static void settings_come_in_the_order_of_their_names(void **state)
{
	struct fixture *fixture = *state;
	struct buffer seen = BUFFER_EMPTY;
	begin(fixture);
	must(fixture, catalog_setting_set(fixture->catalog, SLICE("retention"), SLICE("1 d")));
	must(fixture, catalog_setting_set(fixture->catalog, SLICE("each_window"), SLICE("256")));
	must(fixture, catalog_setting_set(fixture->catalog, SLICE("retention"), SLICE("7 d")));
	commit(fixture);
	must(fixture, catalog_settings(fixture->catalog, note_setting, &seen));
	assert_string_equal(buffer_string(&seen), "each_window=256;retention=7 d;");
	buffer_finish(&seen);
}

static void wal_size_is_known_from_the_first_moment(void **state)
{
	struct fixture *fixture = *state;
	begin(fixture);
	must(fixture, catalog_meta_set_number(fixture->catalog, "applied_index", 1));
	commit(fixture);
	uint64_t before = catalog_wal_size(fixture->catalog);
	assert_true(before > 4096);
	struct catalog *second;
	begin(fixture); /* somebody is at it: it is not emptied */
	assert_int_equal(catalog_open(fixture->path, NULL, &second, &fixture->error), 0);
	assert_true(catalog_wal_size(second) >= before);
	catalog_close(second);
	commit(fixture);
	assert_int_equal(catalog_open(fixture->path, NULL, &second, &fixture->error), 0);
	assert_int_equal(catalog_wal_size(second), 0);
	catalog_close(second);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(new_file_has_the_documented_form),
		TEST(tables_begin_with_the_promised_columns),
		TEST(what_was_committed_is_there_after_opening_again),
		TEST(what_was_not_committed_is_gone),
		TEST(file_of_a_newer_program_is_refused_with_both_versions),
		TEST(database_of_somebody_else_is_refused_and_left_alone),
		TEST(file_that_is_no_database_is_corrupt),
		TEST(directory_that_is_missing_is_an_io_error),
		TEST(file_that_is_not_writable_is_an_io_error),
		TEST(foreign_write_is_noticed_once),
		TEST(reading_and_checkpoints_are_no_foreign_writes),
		TEST(writer_beside_us_is_answered_busy_and_may_go_on_later),
		TEST(names_that_mean_something_to_sqlite_are_names_of_files),
		TEST(settings_come_in_the_order_of_their_names),
		TEST(wal_size_is_known_from_the_first_moment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
