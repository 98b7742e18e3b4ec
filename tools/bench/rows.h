/* What SQLite does by itself. */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include "base/error.h"
#include "base/time.h"

#include <stdint.h>

/* Inserts rows like those of pi_history for about so long, in one transaction, in a database: a file in `directory`. */
int rows_insert(const char *directory, msec duration, uint64_t *ret_count, double *ret_seconds, struct error *error);
const char *rows_sqlite_version(void);

#endif
