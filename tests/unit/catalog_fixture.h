/* A catalog in a directory of its own, which is removed at the end. For cmocka_unit_test_setup_teardown. */
#ifndef CLUSTERD_UNIT_CATALOG_FIXTURE_H
#define CLUSTERD_UNIT_CATALOG_FIXTURE_H

#include "catalog/catalog.h"

#include <sqlite3.h>

struct fixture {
	char *directory;
	char *path;
	struct catalog *catalog;
	struct error error;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);

/* A transaction of its own around what is done in between. */
void begin(struct fixture *fixture);
void commit(struct fixture *fixture);
/* Fails the test with the catalog's text when `result` is an ERR_; gives it back otherwise. */
int must(struct fixture *fixture, int result);

/* As somebody outside would: another connection, its first column of its first row (−1 when there is none). */
sqlite3 *outside_open(struct fixture *fixture, int flags);
int64_t outside_number(struct fixture *fixture, const char *sql);
char *outside_text(struct fixture *fixture, const char *sql); /* mem_free; NULL for NULL or no row */
void outside_run(struct fixture *fixture, const char *sql);

struct catalog_instance sample_instance(uint64_t id);
struct catalog_call sample_call(uint64_t instance, uint32_t ref);

#endif
