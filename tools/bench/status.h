/* What a node says of itself (`status`), as far as it is measured. */
#ifndef BENCH_STATUS_H
#define BENCH_STATUS_H

#include "base/error.h"
#include "base/slice.h"

#include <stdint.h>

struct status {
	uint64_t pid;
	uint64_t last_index;
	uint64_t applied_index;
	uint64_t log_entries;
	uint64_t log_batches;
	uint64_t log_syncs;
	uint64_t log_appended_bytes;
	uint64_t log_first_index;
	uint64_t resident_bytes;
	uint64_t checkpoints;
	uint64_t catalog_wal_bytes;
};

/* From the node's JSON. A number that is missing is ERR_INVALID, and named. */
int status_parse(struct slice json, struct status *ret_status, struct error *error);

#endif
