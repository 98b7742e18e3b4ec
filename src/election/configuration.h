/* Configurations: who is a member as of which entry. The newest one in the log counts, committed or not (§4.1); when its entry is
 * cut from the log, the one before counts again. */
#ifndef CLUSTERD_ELECTION_CONFIGURATION_H
#define CLUSTERD_ELECTION_CONFIGURATION_H

#include "election/raft.h"

/* The newest one known to be committed, and those that the log has after it. */
struct configurations {
	struct raft_configuration *list;
	size_t count; /* at least 1 */
	size_t capacity;
};

void configurations_init(struct configurations *configurations, const struct raft_configuration *first);
void configurations_finish(struct configurations *configurations);
const struct raft_configuration *configurations_latest(const struct configurations *configurations);
void configurations_add(struct configurations *configurations, const struct raft_configuration *configuration);
void configurations_cut_after(struct configurations *configurations, uint64_t index);
void configurations_committed(struct configurations *configurations, uint64_t index);
void configurations_reset(struct configurations *configurations, const struct raft_configuration *first);
/* Whether the member votes in one of them: in which it does not have to be known yet (§4.2.2). */
bool configurations_may_lead(const struct configurations *configurations, uint64_t member);

/* NULL when it is no member. */
const struct raft_member *configuration_find(const struct raft_configuration *configuration, uint64_t member);
bool configuration_is_voter(const struct raft_configuration *configuration, uint64_t member);
uint32_t configuration_voters(const struct raft_configuration *configuration);
uint32_t configuration_quorum(const struct raft_configuration *configuration);
/* Within the limits, with a voter, nobody twice. */
bool configuration_valid(const struct raft_configuration *configuration);
/* The configuration after the change, or ERR_ as RAFT_CHANGE answers. */
int configuration_change(const struct raft_configuration *configuration, const struct raft_change *change,
                         struct raft_configuration *ret_configuration);

#endif
