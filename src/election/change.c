#include "base/error.h"
#include "election/raft_internal.h"

/* A learner that lags would hold up every commit for which its vote is needed (§4.2.1). */
static bool has_caught_up(struct raft *raft, uint64_t member)
{
	const struct progress *peer = find_peer(raft, member);
	return peer != NULL && peer->state == RAFT_REPLICATE && peer->match + raft->promote_lag >= raft->log.last_index;
}

/* One server at a time, so that the majorities before and after overlap; and only after an entry of the own term is committed,
 * since an uncommitted change of an earlier leader may come to life again otherwise (§4.1, and its correction). */
int change_begin(struct raft *raft, const struct raft_change *change)
{
	struct raft_configuration configuration;
	if (raft->role != RAFT_LEADER)
		return ERR_NOT_LEADER;
	if (!term_is_committed(raft) || latest(raft)->index > raft->commit_index || raft->transferee != 0)
		return ERR_BUSY;
	int result = configuration_change(latest(raft), change, &configuration);
	if (result != 0)
		return result;
	if (change->kind == RAFT_PROMOTE && !has_caught_up(raft, change->member))
		return ERR_BUSY;
	log_terms_append(&raft->log, raft->term, 1);
	configuration.index = raft->log.last_index;
	configurations_add(&raft->configurations, &configuration);
	replication_members(raft);
	raft->effects.append_configuration = latest(raft);
	return 0;
}
