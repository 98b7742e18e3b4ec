/* The parts of the checker, for its own files only:
 *   linear.c        histories, taken apart by key, and what is said of a broken one
 *   linear_search.c the search in the history of one key
 *   linear_text.c   histories as text */
#ifndef CLUSTERD_SIM_LINEAR_INTERNAL_H
#define CLUSTERD_SIM_LINEAR_INTERNAL_H

#include "sim/linear.h"

struct linear_record {
	struct linear_operation operation; /* key and value are its own */
	bool forgotten;
};

struct linear_history {
	struct linear_record *records;
	size_t count;
	size_t capacity;
};

/* The version of a write without an answer that nobody has read. */
#define SEARCH_NOBODYS UINT64_MAX

/* Operations of one key, by invocation. Those that write have versions filled in where reads tell them. */
struct search {
	struct linear_operation *operations;
	size_t count;
	uint64_t limit;
	/* What came of it: the longest order found, by numbers of operations, `best_count` of them. */
	size_t *best;
	size_t best_count;
	uint64_t seen;
};

enum linear_verdict search_run(struct search *search);
/* Whether the operation can come next after `writer` (NULL: nothing is there), the operation that made what is there; what
 * is there afterwards. */
bool search_applies(const struct linear_operation *operation, const struct linear_operation *writer,
                    const struct linear_operation **ret_writer);

#endif
