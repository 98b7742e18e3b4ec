#include "election/raft.h"

#include "base/memory.h"

#include <assert.h>

struct raft {
	uint64_t id;
	enum raft_role role;
	uint64_t term;
	uint64_t voted_for;
	uint64_t last_index;
	uint64_t synced_index;
	uint64_t commit_index;
	uint64_t term_start; /* index of the first entry of this leader's term */
};

int raft_create(const struct raft_config *config, struct raft **ret_raft)
{
	struct raft *raft = mem_zero(sizeof *raft);
	assert(config->id != 0);
	raft->id = config->id;
	raft->term = config->term;
	raft->voted_for = config->voted_for;
	raft->last_index = raft->synced_index = config->last_index;
	*ret_raft = raft;
	return 0;
}

void raft_destroy(struct raft *raft)
{
	mem_free(raft);
}

static void campaign(struct raft *raft, struct raft_effects *effects)
{
	assert(raft->role == RAFT_FOLLOWER);
	raft->role = RAFT_CANDIDATE;
	raft->term++;
	raft->voted_for = raft->id;
	effects->save_vote = true;
}

static void lead(struct raft *raft, struct raft_effects *effects)
{
	if (raft->role != RAFT_CANDIDATE)
		return;
	raft->role = RAFT_LEADER;
	raft->term_start = raft->last_index + 1;
	effects->became_leader = true;
}

/* A majority of one: what is on this disk is committed, once it reaches into the leader's own term (§3.6.2). */
static void advance_commit(struct raft *raft)
{
	if (raft->role == RAFT_LEADER && raft->synced_index >= raft->term_start && raft->synced_index > raft->commit_index)
		raft->commit_index = raft->synced_index;
	assert(raft->commit_index <= raft->last_index);
}

void raft_step(struct raft *raft, const struct raft_event *event, struct raft_effects *ret_effects)
{
	*ret_effects = (struct raft_effects){0};
	switch (event->kind) {
	case RAFT_START:
		campaign(raft, ret_effects);
		break;
	case RAFT_VOTE_SAVED:
		lead(raft, ret_effects);
		break;
	case RAFT_APPENDED:
		assert(raft->role == RAFT_LEADER);
		raft->last_index += event->count;
		break;
	case RAFT_SYNCED:
		assert(event->index <= raft->last_index);
		if (event->index > raft->synced_index)
			raft->synced_index = event->index;
		advance_commit(raft);
		break;
	}
}

enum raft_role raft_role(const struct raft *raft)
{
	return raft->role;
}

uint64_t raft_term(const struct raft *raft)
{
	return raft->term;
}

uint64_t raft_voted_for(const struct raft *raft)
{
	return raft->voted_for;
}

uint64_t raft_last_index(const struct raft *raft)
{
	return raft->last_index;
}

uint64_t raft_commit_index(const struct raft *raft)
{
	return raft->commit_index;
}
