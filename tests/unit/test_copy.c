/* Copies: what they say, taking one over, beginning a cluster with one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "catalog_fixture.h"

#include "base/memory.h"
#include "catalog/copy.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void write_index(struct fixture *fixture, uint64_t index)
{
	begin(fixture);
	struct catalog_instance instance = sample_instance(index);
	must(fixture, catalog_instance_insert(fixture->catalog, &instance));
	must(fixture, catalog_meta_set_number(fixture->catalog, "applied_index", index));
	commit(fixture);
}

/* A catalog of another node, up to entry `index`, as a copy; its hash of rows. */
static char *copy_of_another(struct fixture *fixture, uint64_t index, uint64_t *ret_hash)
{
	struct fixture other = {.path = mem_format("%s/other.db", fixture->directory)};
	char *copy = mem_format("%s/in.db", fixture->directory);
	assert_int_equal(catalog_open(other.path, NULL, &other.catalog, &fixture->error), 0);
	for (uint64_t i = 1; i <= index; i++)
		write_index(&other, i);
	begin(&other);
	must(&other, catalog_meta_set_number(other.catalog, "applied_term", 7));
	must(&other, catalog_meta_set_text(other.catalog, "cluster_id", SLICE("c1")));
	must(&other, catalog_meta_set_text(other.catalog, "raft_configuration",
	                                   SLICE("{\"index\":3,\"members\":[{\"id\":9,\"voter\":true}]}")));
	commit(&other);
	if (catalog_copy(other.path, copy, &fixture->error) != 0)
		fail_msg("%s", fixture->error.text);
	must(&other, catalog_hash(other.catalog, ret_hash));
	catalog_close(other.catalog);
	mem_free(other.path);
	return copy;
}

static void install(struct fixture *fixture, const char *copy)
{
	if (catalog_install(copy, fixture->path, 0, &fixture->error) != 0)
		fail_msg("%s", fixture->error.text);
}

static void copy_says_what_it_is(void **state)
{
	struct fixture *fixture = *state;
	struct catalog_facts facts = CATALOG_FACTS_EMPTY;
	struct stat status;
	uint64_t hash, size, bytes_hash, other_hash;
	char *copy = copy_of_another(fixture, 20, &hash);
	assert_int_equal(stat(copy, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(catalog_facts_read(copy, &facts, &fixture->error), 0);
	assert_int_equal(facts.applied_index, 20);
	assert_int_equal(facts.applied_term, 7);
	assert_int_equal(facts.schema_version, CATALOG_SCHEMA_VERSION);
	assert_int_equal(facts.page_size, 4096);
	assert_string_equal(facts.cluster_id, "c1");
	assert_non_null(strstr(buffer_string(&facts.configuration), "\"id\":9"));
	assert_int_equal(catalog_check(copy, &fixture->error), 0);
	assert_int_equal(catalog_file_hash(copy, &size, &bytes_hash, &fixture->error), 0);
	assert_int_equal(size, status.st_size);
	FILE *file = fopen(copy, "r+b");
	fseek(file, -1, SEEK_END);
	fputc('x', file);
	fclose(file);
	assert_int_equal(catalog_file_hash(copy, &size, &other_hash, &fixture->error), 0);
	assert_true(other_hash != bytes_hash);
	catalog_facts_finish(&facts);
	mem_free(copy);
}

static void what_is_no_copy_is_told(void **state)
{
	struct fixture *fixture = *state;
	struct catalog_facts facts = CATALOG_FACTS_EMPTY;
	char *path = mem_format("%s/else.db", fixture->directory);
	assert_int_equal(catalog_facts_read(path, &facts, &fixture->error), ERR_IO); /* none */
	FILE *file = fopen(path, "wb");
	for (int i = 0; i < 10000; i++)
		fputc('x', file);
	fclose(file);
	assert_int_equal(catalog_facts_read(path, &facts, &fixture->error), ERR_CORRUPT);
	assert_int_equal(unlink(path), 0);
	sqlite3 *database;
	assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
	assert_int_equal(sqlite3_exec(database, "CREATE TABLE meta (key, value)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(database);
	assert_int_equal(catalog_facts_read(path, &facts, &fixture->error), ERR_CORRUPT);
	assert_non_null(strstr(fixture->error.text, "not a catalog"));
	outside_run(fixture, "UPDATE meta SET value = value + 1 WHERE key = 'schema_version'");
	assert_int_equal(catalog_facts_read(fixture->path, &facts, &fixture->error), ERR_VERSION);
	catalog_facts_finish(&facts);
	mem_free(path);
}

static void damage_is_found(void **state)
{
	struct fixture *fixture = *state;
	uint64_t hash;
	char *copy = copy_of_another(fixture, 200, &hash);
	FILE *file = fopen(copy, "r+b");
	fseek(file, 0, SEEK_END);
	long pages = ftell(file) / 4096;
	for (long page = 2; page < pages; page++) {
		fseek(file, page * 4096, SEEK_SET);
		for (int i = 0; i < 200; i++)
			fputc(0xEE, file);
	}
	fclose(file);
	assert_int_equal(catalog_check(copy, &fixture->error), ERR_CORRUPT);
	mem_free(copy);
}

static void catalog_becomes_the_copy_while_it_is_open(void **state)
{
	struct fixture *fixture = *state;
	uint64_t hash, mine;
	char *copy = copy_of_another(fixture, 300, &hash);
	for (uint64_t i = 1; i <= 10; i++)
		write_index(fixture, i);
	install(fixture, copy);
	assert_int_equal(catalog_accept(fixture->catalog), 0);
	must(fixture, catalog_hash(fixture->catalog, &mine));
	assert_true(mine == hash);
	assert_false(catalog_foreign_write(fixture->catalog));
	/* And it goes on, with the statements that it has prepared. */
	write_index(fixture, 301);
	assert_false(catalog_foreign_write(fixture->catalog));
	assert_int_equal(outside_number(fixture, "SELECT count(*) FROM pi_instance"), 301);
	/* A smaller one over a larger one, again. */
	mem_free(copy);
	char *other = mem_format("%s/other.db", fixture->directory);
	assert_int_equal(unlink(other), 0);
	mem_free(other);
	copy = copy_of_another(fixture, 5, &hash);
	install(fixture, copy);
	assert_int_equal(catalog_accept(fixture->catalog), 0);
	must(fixture, catalog_hash(fixture->catalog, &mine));
	assert_true(mine == hash);
	write_index(fixture, 6);
	outside_run(fixture, "UPDATE meta SET value = 8 WHERE key = 'applied_index'");
	assert_true(catalog_foreign_write(fixture->catalog)); /* it is still noticed */
	mem_free(copy);
}

static void unaccepted_copy_is_a_foreign_write(void **state)
{
	struct fixture *fixture = *state;
	uint64_t hash;
	char *copy = copy_of_another(fixture, 3, &hash);
	write_index(fixture, 1);
	install(fixture, copy);
	assert_true(catalog_foreign_write(fixture->catalog));
	mem_free(copy);
}

static void installed_copy_is_in_the_file_itself(void **state)
{
	struct fixture *fixture = *state;
	uint64_t hash;
	char *copy = copy_of_another(fixture, 50, &hash);
	write_index(fixture, 1);
	install(fixture, copy);
	char *bare = mem_format("%s/bare.db", fixture->directory);
	FILE *from = fopen(fixture->path, "rb"), *to = fopen(bare, "wb");
	int byte;
	while ((byte = getc(from)) != EOF)
		putc(byte, to);
	fclose(from);
	fclose(to);
	struct fixture other = {.path = bare};
	assert_int_equal(outside_number(&other, "SELECT value FROM meta WHERE key = 'applied_index'"), 50);
	mem_free(bare);
	mem_free(copy);
}

/* A reader of what was there goes on reading that, and the copy is taken over beside it. */
static void readers_keep_what_they_read(void **state)
{
	struct fixture *fixture = *state;
	uint64_t hash, mine;
	char *copy = copy_of_another(fixture, 50, &hash);
	sqlite3_stmt *statement;
	for (uint64_t i = 1; i <= 3; i++)
		write_index(fixture, i);
	sqlite3 *reader = outside_open(fixture, SQLITE_OPEN_READONLY);
	assert_int_equal(sqlite3_exec(reader, "BEGIN", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(reader, "SELECT count(*) FROM pi_instance", -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(statement, 0), 3);
	sqlite3_reset(statement);
	install(fixture, copy);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(statement, 0), 3);
	sqlite3_finalize(statement);
	sqlite3_close(reader);
	assert_int_equal(catalog_accept(fixture->catalog), 0);
	must(fixture, catalog_hash(fixture->catalog, &mine));
	assert_true(mine == hash);
	mem_free(copy);
}

/* A copy that becomes a node's catalog goes into WAL mode at its first opening; what others do then is no write. */
static void copy_that_is_opened_sees_no_foreign_write_in_a_checkpoint(void **state)
{
	struct fixture *fixture = *state;
	struct catalog *catalog;
	uint64_t hash, index = 0;
	bool complete = false;
	char *copy = copy_of_another(fixture, 3, &hash);
	assert_int_equal(catalog_open(copy, NULL, &catalog, &fixture->error), 0);
	assert_int_equal(catalog_checkpoint(copy, &index, &complete, &fixture->error), 0);
	assert_true(complete && index == 3);
	assert_int_equal(catalog_begin(catalog), 0);
	assert_false(catalog_foreign_write(catalog));
	assert_int_equal(catalog_commit(catalog), 0);
	catalog_close(catalog);
	mem_free(copy);
}

static void new_cluster_gives_no_id_twice(void **state)
{
	struct fixture *fixture = *state;
	struct catalog_facts facts = CATALOG_FACTS_EMPTY;
	uint64_t hash, term = 0;
	char *copy = copy_of_another(fixture, 40, &hash);
	struct fixture other = {.path = copy};
	outside_run(&other, "INSERT INTO meta VALUES ('next_instance', 41), ('next_lease', 5), ('last_stamp', 99);"
	                    "INSERT INTO node (id, name, role, address, datacenter, state, generation, tags, cpu, memory, port_low,"
	                    " port_high, eligible) VALUES (9, 'a', 'server', 'h:1', 'd', 'alive', 1, '{}', 1, 1, 1, 1, 1)");
	if (catalog_begin_cluster(copy, "0123456789abcdef0123456789abcdef", 123456789, &term, &fixture->error) != 0)
		fail_msg("%s", fixture->error.text);
	assert_int_equal(catalog_facts_read(copy, &facts, &fixture->error), 0);
	assert_int_equal(facts.applied_index, 40 + CATALOG_SKIPPED_IDS);
	assert_int_equal(facts.applied_term, 7 + CATALOG_SKIPPED_TERMS);
	assert_int_equal(term, facts.applied_term);
	assert_string_equal(facts.cluster_id, "0123456789abcdef0123456789abcdef");
	char *expected = mem_format("{\"index\":%llu,\"members\":[{\"id\":123456789,\"voter\":true}]}",
	                            (unsigned long long)facts.applied_index);
	assert_string_equal(buffer_string(&facts.configuration), expected);
	mem_free(expected);
	expected = mem_format("[[%llu,%llu]]", (unsigned long long)facts.applied_index, (unsigned long long)term);
	char *terms = outside_text(&other, "SELECT value FROM meta WHERE key = 'raft_terms'");
	assert_string_equal(terms, expected);
	mem_free(terms);
	mem_free(expected);
	assert_int_equal(outside_number(&other, "SELECT value FROM meta WHERE key = 'next_instance'"), 41 + CATALOG_SKIPPED_IDS);
	assert_int_equal(outside_number(&other, "SELECT value FROM meta WHERE key = 'next_lease'"), 5 + CATALOG_SKIPPED_IDS);
	assert_int_equal(outside_number(&other, "SELECT value FROM meta WHERE key = 'next_session'"), CATALOG_SKIPPED_IDS);
	assert_int_equal(outside_number(&other, "SELECT value FROM meta WHERE key = 'history_seq'"), CATALOG_SKIPPED_IDS);
	assert_int_equal(outside_number(&other, "SELECT value FROM meta WHERE key = 'last_stamp'"), 99);
	assert_int_equal(outside_number(&other, "SELECT count(*) FROM node"), 0);
	assert_int_equal(outside_number(&other, "SELECT count(*) FROM pi_instance"), 40);
	/* Begun again from the same copy: further on. */
	assert_int_equal(catalog_begin_cluster(copy, "1123456789abcdef0123456789abcdef", 5, &term, &fixture->error), 0);
	assert_int_equal(term, 7 + 2 * CATALOG_SKIPPED_TERMS);
	catalog_facts_finish(&facts);
	mem_free(copy);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(copy_says_what_it_is),
		TEST(what_is_no_copy_is_told),
		TEST(damage_is_found),
		TEST(catalog_becomes_the_copy_while_it_is_open),
		TEST(unaccepted_copy_is_a_foreign_write),
		TEST(installed_copy_is_in_the_file_itself),
		TEST(readers_keep_what_they_read),
		TEST(copy_that_is_opened_sees_no_foreign_write_in_a_checkpoint),
		TEST(new_cluster_gives_no_id_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
