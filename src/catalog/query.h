/* Reading beside the node: one statement, on a read-only connection of its own, bounded in time, rows and bytes.
 * From any one thread. */
#ifndef CLUSTERD_CATALOG_QUERY_H
#define CLUSTERD_CATALOG_QUERY_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

#define QUERY_ROWS_DEFAULT 100000u
#define QUERY_TIME_DEFAULT 10000 /* ms */
#define QUERY_SIZE_MAX (12u << 20) /* bytes of the rows as JSON */

struct query_reader; /* keeps its connection and prepared statements */

int query_reader_open(const char *catalog_path, struct query_reader **ret_reader, struct error *error);
void query_reader_close(struct query_reader *reader);

struct query_result {
	struct buffer columns; /* names, each ended by a NUL */
	uint32_t column_count;
	struct buffer rows;    /* a JSON array of arrays. Texts are JSON strings, blobs strings of hex digits */
	uint32_t row_count;
	bool truncated;        /* a limit on rows or bytes was reached */
};

/* ERR_INVALID: not exactly one statement, not a reading one, or SQL's own error; ERR_TIMEOUT. 0 limits: the
 * defaults. */
int query_run(struct query_reader *reader, const char *sql, const char *const *parameters, uint32_t parameter_count,
              uint32_t row_limit, msec time_limit, struct query_result *ret_result, struct error *error);
void query_result_finish(struct query_result *result);

#endif
