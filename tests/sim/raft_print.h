/* Messages of Raft as a line that a person can read; for traces. */
#ifndef CLUSTERD_SIM_RAFT_PRINT_H
#define CLUSTERD_SIM_RAFT_PRINT_H

#include "base/buffer.h"
#include "election/raft.h"

/* "1 → 2 term 3 append prev 4/2 +2 commit 3 round 5", no end of line. */
void raft_print_message(struct buffer *out, const struct raft_message *message);
/* "1 2 3 +4": voters, then learners with a plus. */
void raft_print_configuration(struct buffer *out, const struct raft_configuration *configuration);

#endif
