#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "catalog/wal_writes.h"
#include "faulty_vfs.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

/* A database whose WAL's writes are gathered, on a disk in memory, with a reader beside it that opens it as ever. */

struct place {
	struct faulty_vfs *vfs;
	struct wal_writes *writes;
	sqlite3 *writer;
	sqlite3 *reader;
};

static void run(sqlite3 *database, const char *sql)
{
	char *message = NULL;
	if (sqlite3_exec(database, sql, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s: %s", sql, message);
}

static int64_t ask(sqlite3 *database, const char *sql)
{
	sqlite3_stmt *statement;
	int64_t number = -1;
	assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
	if (sqlite3_step(statement) == SQLITE_ROW)
		number = sqlite3_column_int64(statement, 0);
	assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
	return number;
}

static sqlite3 *open_database(const char *vfs)
{
	sqlite3 *database;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_PRIVATECACHE;
	assert_int_equal(sqlite3_open_v2("./data.db", &database, flags, vfs), SQLITE_OK);
	return database;
}

static int setup(void **state)
{
	struct place *place = mem_zero(sizeof *place);
	place->vfs = faulty_vfs_create("gathered", false, 1);
	place->writes = wal_writes_create("gathered");
	assert_non_null(place->writes);
	place->writer = open_database(wal_writes_name(place->writes));
	run(place->writer, "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
	                   "PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB)");
	place->reader = open_database("gathered");
	*state = place;
	return 0;
}

static int teardown(void **state)
{
	struct place *place = *state;
	sqlite3_close(place->reader);
	sqlite3_close(place->writer);
	wal_writes_destroy(place->writes);
	faulty_vfs_destroy(place->vfs);
	mem_free(place);
	return 0;
}

static void transaction_of_many_pages_is_few_writes(void **state)
{
	struct place *place = *state;
	uint64_t before = faulty_vfs_count(place->vfs, FAULTY_WRITE);
	run(place->writer, "INSERT INTO t VALUES (1, randomblob(40000))");
	assert_int_equal(faulty_vfs_count(place->vfs, FAULTY_WRITE), before + 1);
	assert_int_equal(ask(place->reader, "SELECT length(x) FROM t"), 40000);
	run(place->writer, "INSERT INTO t VALUES (2, randomblob(400000))");
	assert_int_equal(faulty_vfs_count(place->vfs, FAULTY_WRITE), before + 8);
	assert_int_equal(ask(place->reader, "SELECT sum(length(x)) FROM t"), 440000);
}

static void write_that_fails_in_the_middle_fails_the_transaction(void **state)
{
	struct place *place = *state;
	run(place->writer, "INSERT INTO t VALUES (1, randomblob(40000))");
	for (uint64_t nth = 1; nth <= 7; nth++) {
		faulty_vfs_fail(place->vfs, FAULTY_WRITE, nth, SQLITE_IOERR_WRITE, false);
		assert_int_equal(sqlite3_exec(place->writer, "INSERT INTO t VALUES (2, randomblob(400000))", NULL, NULL, NULL) & 0xFF,
		                 SQLITE_IOERR);
		assert_int_equal(ask(place->reader, "SELECT count(*) FROM t"), 1);
		assert_int_equal(ask(place->writer, "SELECT count(*) FROM t"), 1);
	}
	assert_int_equal(wal_writes_failure(place->writes), 0);
	run(place->writer, "INSERT INTO t VALUES (2, randomblob(400000))");
	assert_int_equal(ask(place->reader, "SELECT count(*) FROM t"), 2);
}

static void transaction_that_is_rolled_back_leaves_nothing(void **state)
{
	struct place *place = *state;
	run(place->writer, "PRAGMA cache_size = 10"); /* pages go to the WAL before the end */
	run(place->writer, "BEGIN; INSERT INTO t VALUES (1, randomblob(400000))");
	assert_int_equal(ask(place->writer, "SELECT length(x) FROM t"), 400000);
	assert_int_equal(ask(place->reader, "SELECT count(*) FROM t"), 0);
	run(place->writer, "ROLLBACK");
	run(place->writer, "INSERT INTO t VALUES (1, randomblob(5000))");
	assert_int_equal(ask(place->reader, "SELECT length(x) FROM t"), 5000);
}

/* Two databases, one whose WAL's writes are gathered and one in memory, are told the same. */
static void what_is_read_is_what_was_written(void **state)
{
	struct place *place = *state;
	struct random random = {3};
	sqlite3 *other;
	assert_int_equal(sqlite3_open(":memory:", &other), SQLITE_OK);
	run(other, "CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB)");
	run(place->writer, "PRAGMA cache_size = 20");
	for (int round = 0; round < 400; round++) {
		run(place->writer, "BEGIN");
		run(other, "BEGIN");
		for (uint64_t i = random_below(&random, 8) + 1; i > 0; i--) {
			char sql[200];
			snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO t VALUES (%d, zeroblob(%d) || '%d')",
			         (int)random_below(&random, 40), (int)random_below(&random, 30000), round);
			run(place->writer, sql);
			run(other, sql);
		}
		bool back = random_below(&random, 5) == 0;
		run(place->writer, back ? "ROLLBACK" : "COMMIT");
		run(other, back ? "ROLLBACK" : "COMMIT");
		if (random_below(&random, 30) == 0)
			run(random_below(&random, 2) == 0 ? place->reader : place->writer, "PRAGMA wal_checkpoint(RESTART)");
		if (random_below(&random, 60) == 0) {
			sqlite3_close(place->writer);
			place->writer = open_database(wal_writes_name(place->writes));
			run(place->writer, "PRAGMA cache_size = 20; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0");
		}
		const char *sum = "SELECT sum(id * length(x) + CAST(substr(x, -3) AS INTEGER)) FROM t";
		int64_t expected = ask(other, sum);
		assert_int_equal(ask(place->reader, sum), expected);
		assert_int_equal(ask(place->writer, sum), expected);
	}
	assert_int_equal(ask(place->reader, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
	sqlite3_close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(transaction_of_many_pages_is_few_writes, setup, teardown),
		cmocka_unit_test_setup_teardown(write_that_fails_in_the_middle_fails_the_transaction, setup, teardown),
		cmocka_unit_test_setup_teardown(transaction_that_is_rolled_back_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_read_is_what_was_written, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
