#include "election/raft_internal.h"

enum raft_role raft_role(const struct raft *raft)
{
	return raft->role;
}

const char *raft_role_name(enum raft_role role)
{
	static const char *const names[] = {
		[RAFT_FOLLOWER] = "follower",
		[RAFT_CANDIDATE] = "candidate",
		[RAFT_LEADER] = "leader",
		[RAFT_PRE_CANDIDATE] = "pre-candidate",
	};
	return names[role];
}

uint64_t raft_term(const struct raft *raft)
{
	return raft->term;
}

uint64_t raft_voted_for(const struct raft *raft)
{
	return raft->voted_for;
}

uint64_t raft_leader(const struct raft *raft)
{
	return raft->leader;
}

uint64_t raft_last_index(const struct raft *raft)
{
	return raft->log.last_index;
}

uint64_t raft_last_term(const struct raft *raft)
{
	return log_terms_last_term(&raft->log);
}

uint64_t raft_synced_index(const struct raft *raft)
{
	return raft->synced_index;
}

uint64_t raft_commit_index(const struct raft *raft)
{
	return raft->commit_index;
}

bool raft_term_at(const struct raft *raft, uint64_t index, uint64_t *ret_term)
{
	return log_terms_at(&raft->log, index, ret_term);
}

const struct raft_configuration *raft_configuration(const struct raft *raft)
{
	return latest(raft);
}

uint32_t raft_quorum(const struct raft *raft)
{
	return configuration_quorum(latest(raft));
}

uint64_t raft_transferee(const struct raft *raft)
{
	return raft->transferee;
}

uint64_t raft_needed_index(const struct raft *raft)
{
	uint64_t needed = raft->log.last_index + 1;
	for (size_t i = 0; i < raft->peer_count; i++) {
		const struct progress *peer = &raft->peers[i];
		uint64_t wants = peer->state != RAFT_SNAPSHOT ? peer->match + 1
		                 : raft->snapshot.id != 0     ? raft->snapshot.index + 1
		                                              : needed;
		if (wants < needed)
			needed = wants;
	}
	return needed;
}

bool raft_progress(const struct raft *raft, uint64_t member, struct raft_progress *ret_progress)
{
	struct progress *peer = raft->role == RAFT_LEADER ? find_peer((struct raft *)raft, member) : NULL;
	if (peer == NULL)
		return false;
	*ret_progress = (struct raft_progress){peer->state, peer->match, peer->next, peer->inflight_count, peer->heard_at};
	return true;
}

const struct raft_counts *raft_counts(const struct raft *raft)
{
	return &raft->counts;
}
