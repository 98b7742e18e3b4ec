/* Which term each entry of the log has, without the entries: runs of equal terms. A log sees few leaders, so that this stays
 * small however long the log is. Everything up to base_index is gone, covered by a snapshot; its own term is still known. */
#ifndef CLUSTERD_ELECTION_LOG_TERMS_H
#define CLUSTERD_ELECTION_LOG_TERMS_H

#include "election/raft.h"

#include <stddef.h>

struct log_terms {
	uint64_t base_index;
	uint64_t base_term;
	uint64_t last_index;        /* ≥ base_index */
	struct raft_term_run *runs; /* the first begins at base_index + 1, terms increase */
	size_t count;
	size_t capacity;
};

void log_terms_init(struct log_terms *log, uint64_t base_index, uint64_t base_term);
void log_terms_finish(struct log_terms *log);

uint64_t log_terms_last_term(const struct log_terms *log);
/* Whether the term of the entry is known: base_index ≤ index ≤ last_index. */
bool log_terms_at(const struct log_terms *log, uint64_t index, uint64_t *ret_term);
/* The entry is there (or was, at the base) and has this term. */
bool log_terms_match(const struct log_terms *log, uint64_t index, uint64_t term);
/* The last entry up to `index` whose term is at most `term`: where logs that differ at `index` may still agree. The base when
 * there is none above it. base_index ≤ index ≤ last_index. */
uint64_t log_terms_last_at_most(const struct log_terms *log, uint64_t index, uint64_t term);

/* `term` is not below the last one. */
void log_terms_append(struct log_terms *log, uint64_t term, uint64_t count);
/* Entries after `index` go; base_index ≤ index. */
void log_terms_cut_after(struct log_terms *log, uint64_t index);
/* Entries up to `index` go, index ≤ last_index; nothing happens when they are gone already. */
void log_terms_compact(struct log_terms *log, uint64_t index);
/* A snapshot takes the place of everything. */
void log_terms_reset(struct log_terms *log, uint64_t index, uint64_t term);

#endif
