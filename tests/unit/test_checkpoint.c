/* The whole file: checkpoint, copy, hash. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "catalog_fixture.h"

#include "base/memory.h"
#include "catalog/copy.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void write_index(struct fixture *fixture, uint64_t index)
{
	begin(fixture);
	struct catalog_instance instance = sample_instance(index);
	must(fixture, catalog_instance_insert(fixture->catalog, &instance));
	must(fixture, catalog_meta_set_number(fixture->catalog, "applied_index", index));
	commit(fixture);
}

static void checkpoint(struct fixture *fixture, uint64_t *ret_index, bool *ret_complete)
{
	if (catalog_checkpoint(fixture->path, ret_index, ret_complete, &fixture->error) != 0)
		fail_msg("%s", fixture->error.text);
}

/* What the file says when its WAL is taken away. */
static int64_t index_without_wal(struct fixture *fixture)
{
	char *bare = mem_format("%s/bare.db", fixture->directory);
	FILE *from = fopen(fixture->path, "rb"), *to = fopen(bare, "wb");
	char bytes[4096];
	size_t size;
	assert_true(from != NULL && to != NULL);
	while ((size = fread(bytes, 1, sizeof bytes, from)) > 0)
		assert_int_equal(fwrite(bytes, 1, size, to), size);
	fclose(from);
	fclose(to);
	struct fixture other = {.path = bare};
	int64_t index = outside_number(&other, "SELECT value FROM meta WHERE key = 'applied_index'");
	assert_int_equal(unlink(bare), 0);
	mem_free(bare);
	return index;
}

static void complete_checkpoint_has_its_index_in_the_file(void **state)
{
	struct fixture *fixture = *state;
	uint64_t index = 0;
	bool complete = false;
	for (uint64_t i = 1; i <= 20; i++)
		write_index(fixture, i);
	checkpoint(fixture, &index, &complete);
	assert_true(complete);
	assert_true(index == 20);
	assert_int_equal(index_without_wal(fixture), 20);
	checkpoint(fixture, &index, &complete); /* nothing to do is complete as well */
	assert_true(complete && index == 20);
}

static void wal_begins_anew_after_a_complete_checkpoint(void **state)
{
	struct fixture *fixture = *state;
	uint64_t index;
	bool complete;
	for (uint64_t i = 1; i <= 20; i++)
		write_index(fixture, i);
	uint64_t before = catalog_wal_size(fixture->catalog);
	checkpoint(fixture, &index, &complete);
	write_index(fixture, 21);
	assert_true(catalog_wal_size(fixture->catalog) < before / 2);
}

static void reader_that_stays_makes_the_checkpoint_incomplete(void **state)
{
	struct fixture *fixture = *state;
	uint64_t index;
	bool complete;
	write_index(fixture, 1);
	sqlite3 *reader = outside_open(fixture, SQLITE_OPEN_READONLY);
	sqlite3_stmt *statement;
	assert_int_equal(sqlite3_prepare_v2(reader, "SELECT * FROM meta", -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW); /* and it reads on some day */
	for (uint64_t i = 2; i <= 10; i++)
		write_index(fixture, i);
	checkpoint(fixture, &index, &complete);
	assert_false(complete);
	sqlite3_finalize(statement);
	sqlite3_close(reader);
	checkpoint(fixture, &index, &complete);
	assert_true(complete && index == 10);
}

static void checkpoint_of_no_file_is_an_error(void **state)
{
	struct fixture *fixture = *state;
	uint64_t index = 77;
	bool complete = true;
	assert_int_equal(catalog_checkpoint("/nonexistent/catalog.db", &index, &complete, &fixture->error), ERR_IO);
	assert_true(index == 77 && complete);
}

/* --- beside a writer ---------------------------------------------------------------------------------------------- */

struct beside {
	const char *path;
	atomic_bool stop;
	int failures;
	int rounds;
};

static void *checkpoint_again_and_again(void *argument)
{
	struct beside *beside = argument;
	uint64_t last = 0;
	while (!atomic_load(&beside->stop)) {
		uint64_t index;
		bool complete;
		struct error error;
		if (catalog_checkpoint(beside->path, &index, &complete, &error) != 0 || index < last)
			beside->failures++;
		last = index;
		beside->rounds++;
	}
	return NULL;
}

static void checkpoints_beside_a_writer_disturb_nobody(void **state)
{
	struct fixture *fixture = *state;
	struct beside beside = {.path = fixture->path};
	pthread_t thread;
	uint64_t index;
	bool complete;
	assert_int_equal(pthread_create(&thread, NULL, checkpoint_again_and_again, &beside), 0);
	for (uint64_t i = 1; i <= 500; i++) {
		write_index(fixture, i);
		assert_false(catalog_foreign_write(fixture->catalog));
	}
	atomic_store(&beside.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(beside.failures, 0);
	checkpoint(fixture, &index, &complete);
	assert_true(complete && index == 500);
	assert_int_equal(index_without_wal(fixture), 500);
}

/* --- copy --------------------------------------------------------------------------------------------------------- */

static void copy_is_the_same_catalog(void **state)
{
	struct fixture *fixture = *state;
	char *path = mem_format("%s/copy.db", fixture->directory);
	struct catalog *copy;
	uint64_t hash, hash_of_copy;
	for (uint64_t i = 1; i <= 50; i++)
		write_index(fixture, i);
	for (int round = 0; round < 2; round++) { /* the second takes the first one's place */
		write_index(fixture, 51 + (uint64_t)round);
		begin(fixture); /* a transaction that is under way is not in it */
		must(fixture, catalog_meta_set_number(fixture->catalog, "applied_index", 1000));
		if (catalog_copy(fixture->path, path, &fixture->error) != 0)
			fail_msg("%s", fixture->error.text);
		must(fixture, catalog_meta_set_number(fixture->catalog, "applied_index", 51 + (uint64_t)round));
		commit(fixture);
	}
	char *mode = outside_text(&(struct fixture){.path = path}, "PRAGMA journal_mode");
	assert_string_equal(mode, "delete"); /* one file, that opens anywhere */
	mem_free(mode);
	assert_int_equal(outside_number(&(struct fixture){.path = path}, "PRAGMA auto_vacuum"), 2);
	assert_int_equal(catalog_open(path, NULL, &copy, &fixture->error), 0);
	must(fixture, catalog_hash(fixture->catalog, &hash));
	must(fixture, catalog_hash(copy, &hash_of_copy));
	assert_true(hash == hash_of_copy);
	catalog_close(copy);
	mem_free(path);
}

static void what_an_interrupted_copy_left_is_replaced(void **state)
{
	struct fixture *fixture = *state;
	char *path = mem_format("%s/copy.db", fixture->directory);
	char *partial = mem_format("%s.partial", path);
	FILE *file = fopen(partial, "w");
	assert_non_null(file);
	fputs("half of something", file);
	fclose(file);
	assert_int_equal(catalog_copy(fixture->path, path, &fixture->error), 0);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_not_equal(access(partial, F_OK), 0);
	mem_free(path);
	mem_free(partial);
}

static void copy_to_nowhere_is_an_error_and_leaves_nothing(void **state)
{
	struct fixture *fixture = *state;
	char *path = mem_format("%s/absent/copy.db", fixture->directory);
	assert_int_equal(catalog_copy(fixture->path, path, &fixture->error), ERR_IO);
	assert_non_null(strstr(fixture->error.text, "absent/copy.db"));
	mem_free(path);
	assert_int_equal(catalog_copy(fixture->path, fixture->directory, &fixture->error), ERR_IO); /* a directory is there */
	path = mem_format("%s.partial", fixture->directory);
	assert_int_not_equal(access(path, F_OK), 0);
	mem_free(path);
}

/* --- hash --------------------------------------------------------------------------------------------------------- */

static uint64_t hash_of(struct fixture *fixture)
{
	uint64_t hash = 0;
	must(fixture, catalog_hash(fixture->catalog, &hash));
	return hash;
}

static void every_table_and_column_changes_the_hash(void **state)
{
	static const char *const changes[] = {
		"INSERT INTO meta VALUES ('a', 1)",
		"UPDATE meta SET value = '1' WHERE key = 'a'",
		"INSERT INTO setting VALUES ('a', 'b')",
		"INSERT INTO unit VALUES (1, '[]', '[]', 5)",
		"INSERT INTO file VALUES ('a', 0, x'00')",
		"INSERT INTO file VALUES ('b', 0, x'')",
		"INSERT INTO process VALUES ('p', 1, 'process', 's', 't', 1, 1)",
		"INSERT INTO pi_instance VALUES (1, NULL, 'p', 1, 'running', '', NULL, NULL, 1, NULL, 0, 0, 0)",
		"UPDATE pi_instance SET key = ''",
		"UPDATE pi_instance SET args = NULL, result = ''",
		"INSERT INTO pi_call VALUES (1, 1, 'p', 'ready', NULL, NULL, NULL, 0, NULL, 1, NULL, 'process', 1, 0, 0, NULL, NULL)",
		"INSERT INTO pi_history VALUES (1, 1, 1, 'start', NULL, '{}')",
		"INSERT INTO timer VALUES (1, 1, 1)",
		"INSERT INTO signal VALUES (1, 'n', 'k', 1, 'v')",
		"UPDATE signal SET name = 'nk', key = ''",
		"INSERT INTO session (id, opened_ms, answered_below, answers) VALUES (1, 1, 1, '')",
		"INSERT INTO node (id, name, role, state, generation, eligible) VALUES (1, 'n', 'server', 'alive', 1, 1)",
		"UPDATE node SET eligible = 0",
		("INSERT INTO job (id, name, version, type, state, count, running, completed, failed, lost, submitted_ms, next_task)"
	         " VALUES (1, 'j', 1, 'batch', 'pending', 1, 0, 0, 0, 0, 1, 0)"),
		"UPDATE job SET parent = 7",
		"INSERT INTO allocation VALUES (1, 1, 0, 1, 1, 'placed', 1, NULL, NULL, NULL, NULL, NULL, 1, NULL, NULL, 0, 0, 0, NULL)",
		"UPDATE allocation SET window_ms = 1",
		"INSERT INTO job_task VALUES (1, 0, 1, 0, NULL, NULL)",
		"INSERT INTO kv VALUES ('k', 'v', 3, NULL, 3)",
		"UPDATE kv SET value = CAST(value AS BLOB)",
		"INSERT INTO kv_change VALUES (1, 3, 'k', NULL, 3, 2, 'v')",
		"UPDATE kv_change SET value = NULL",
		"INSERT INTO lease VALUES (4, 10000, '', 1, 'held')",
		"INSERT INTO lease_key VALUES (4, 'k')",
		"INSERT INTO topic VALUES (1, 't', 'stream', '', 0, 1, 1)",
		"INSERT INTO publication VALUES (1, 1, 0, 1, 'a:1', NULL, NULL, 1)",
		"INSERT INTO subscription VALUES (1, 1, NULL, 1, 1)",
	};
	struct fixture *fixture = *state;
	uint64_t hash = hash_of(fixture);
	assert_true(hash == hash_of(fixture));
	for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		outside_run(fixture, changes[i]);
		uint64_t next = hash_of(fixture);
		if (next == hash)
			fail_msg("not in the hash: %s", changes[i]);
		hash = next;
	}
	/* A table that is added needs a line above. */
	assert_int_equal(outside_number(fixture, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'"), 22);
}

static void hash_does_not_depend_on_how_rows_came_there(void **state)
{
	struct fixture *fixture = *state;
	for (uint64_t i = 1; i <= 30; i++)
		write_index(fixture, i);
	uint64_t hash = hash_of(fixture);
	begin(fixture);
	for (uint64_t i = 30; i >= 1; i--) {
		struct catalog_instance instance = sample_instance(1000 + i);
		must(fixture, catalog_instance_insert(fixture->catalog, &instance));
		instance.finished_ms = 1;
		must(fixture, catalog_instance_update(fixture->catalog, &instance));
	}
	commit(fixture);
	assert_true(hash_of(fixture) != hash);
	begin(fixture);
	assert_int_equal(catalog_instances_expire(fixture->catalog, 2, 100), 30);
	commit(fixture);
	assert_true(hash_of(fixture) == hash);
	outside_run(fixture, "VACUUM");
	assert_true(hash_of(fixture) == hash);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(complete_checkpoint_has_its_index_in_the_file),
		TEST(wal_begins_anew_after_a_complete_checkpoint),
		TEST(reader_that_stays_makes_the_checkpoint_incomplete),
		TEST(checkpoint_of_no_file_is_an_error),
		TEST(checkpoints_beside_a_writer_disturb_nobody),
		TEST(copy_is_the_same_catalog),
		TEST(what_an_interrupted_copy_left_is_replaced),
		TEST(copy_to_nowhere_is_an_error_and_leaves_nothing),
		TEST(every_table_and_column_changes_the_hash),
		TEST(hash_does_not_depend_on_how_rows_came_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
