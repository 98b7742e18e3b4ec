#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "catalog_fixture.h"

#include "base/memory.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fixture_setup(void **state)
{
	struct fixture *fixture = mem_zero(sizeof *fixture);
	const char *base = getenv("TMPDIR");
	fixture->directory = mem_format("%s/catalog-XXXXXX", base != NULL ? base : "/tmp");
	if (mkdtemp(fixture->directory) == NULL)
		return -1;
	fixture->path = mem_format("%s/catalog.db", fixture->directory);
	*state = fixture;
	return catalog_open(fixture->path, NULL, &fixture->catalog, &fixture->error);
}

int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;
	catalog_close(fixture->catalog);
	DIR *directory = opendir(fixture->directory);
	for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;)
		unlinkat(dirfd(directory), entry->d_name, 0);
	if (directory != NULL)
		closedir(directory);
	int result = rmdir(fixture->directory);
	mem_free(fixture->directory);
	mem_free(fixture->path);
	mem_free(fixture);
	return result;
}

int must(struct fixture *fixture, int result)
{
	if (result < 0)
		fail_msg("%s: %s", error_name(result), catalog_error(fixture->catalog));
	return result;
}

void begin(struct fixture *fixture)
{
	must(fixture, catalog_begin(fixture->catalog));
}

void commit(struct fixture *fixture)
{
	must(fixture, catalog_commit(fixture->catalog));
}

sqlite3 *outside_open(struct fixture *fixture, int flags)
{
	sqlite3 *database;
	assert_int_equal(sqlite3_open_v2(fixture->path, &database, flags, NULL), SQLITE_OK);
	return database;
}

static sqlite3_stmt *outside_row(sqlite3 *database, const char *sql, bool *ret_row)
{
	sqlite3_stmt *statement;
	if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(database));
	int code = sqlite3_step(statement);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		fail_msg("%s: %s", sql, sqlite3_errmsg(database));
	*ret_row = code == SQLITE_ROW;
	return statement;
}

int64_t outside_number(struct fixture *fixture, const char *sql)
{
	sqlite3 *database = outside_open(fixture, SQLITE_OPEN_READONLY);
	bool row;
	sqlite3_stmt *statement = outside_row(database, sql, &row);
	int64_t number = row ? sqlite3_column_int64(statement, 0) : -1;
	sqlite3_finalize(statement);
	sqlite3_close(database);
	return number;
}

char *outside_text(struct fixture *fixture, const char *sql)
{
	sqlite3 *database = outside_open(fixture, SQLITE_OPEN_READONLY);
	bool row;
	sqlite3_stmt *statement = outside_row(database, sql, &row);
	char *text = row ? mem_string((const char *)sqlite3_column_text(statement, 0)) : NULL;
	sqlite3_finalize(statement);
	sqlite3_close(database);
	return text;
}

void outside_run(struct fixture *fixture, const char *sql)
{
	sqlite3 *database = outside_open(fixture, SQLITE_OPEN_READWRITE);
	if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(database));
	sqlite3_close(database);
}

struct catalog_instance sample_instance(uint64_t id)
{
	return (struct catalog_instance){
		.id = id,
		.process = SLICE("Order"),
		.version = 2,
		.state = SLICE("running"),
		.args = SLICE("{\"n\":21}"),
		.started_ms = 1000,
	};
}

struct catalog_call sample_call(uint64_t instance, uint32_t ref)
{
	return (struct catalog_call){
		.instance = instance,
		.ref = ref,
		.kind = SLICE("process"),
		.process = SLICE("Charge"),
		.version = 1,
		.state = SLICE("ready"),
		.args = SLICE("{\"amount\":12.50}"),
		.called_ms = 1001,
	};
}
