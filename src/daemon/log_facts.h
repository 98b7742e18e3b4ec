/* What the entries of a log say that Raft must know when a node starts: terms, and changes of the configuration. Pure. */
#ifndef CLUSTERD_DAEMON_LOG_FACTS_H
#define CLUSTERD_DAEMON_LOG_FACTS_H

#include "base/arena.h"
#include "base/error.h"
#include "election/raft.h"
#include "store/wal.h"

struct log_facts {
	struct raft_term_run *runs;
	size_t run_count, run_capacity;
	struct raft_configuration *configurations;
	size_t configuration_count, configuration_capacity;
	struct arena arena;
};

#define LOG_FACTS_EMPTY ((struct log_facts){0})

void log_facts_finish(struct log_facts *facts);
/* The next entry, in the order of the log. ERR_ when it cannot be decoded. */
int log_facts_add(struct log_facts *facts, const struct wal_record *record, struct error *error);

#endif
