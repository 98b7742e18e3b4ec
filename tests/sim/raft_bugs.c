/* Bugs that people have made in Raft, planted by reaching into the core or by a host that does not keep its part. Each is what
 * a line too few in the core, or a careless host, would give. */
#include "sim/raft_world.h"

#include "election/raft_internal.h"

const char *const planted_names[PLANTED_COUNT] = {
	[PLANTED_NONE] = "none",
	[PLANTED_VOTE_NOT_SAVED] = "vote-not-saved",
	[PLANTED_SYNC_LIES] = "sync-lies",
	[PLANTED_LEADER_COUNTS_UNSYNCED] = "leader-counts-unsynced",
	[PLANTED_OLD_TERM_COMMITTED] = "old-term-committed",
	[PLANTED_LOG_NOT_COMPARED] = "log-not-compared",
	[PLANTED_VOTES_TWICE] = "votes-twice",
	[PLANTED_VOTER_NOT_IDENTIFIED] = "voter-not-identified",
	[PLANTED_LEADER_NOT_RESPECTED] = "leader-not-respected",
	[PLANTED_READ_WITHOUT_ROUND] = "read-without-round",
	[PLANTED_PREV_NOT_CHECKED] = "prev-not-checked",
	[PLANTED_CUT_NOT_DONE] = "cut-not-done",
	[PLANTED_TWO_CHANGES] = "two-changes",
	[PLANTED_CHANGE_TOO_EARLY] = "change-too-early",
	[PLANTED_CONFIGURATION_FORGOTTEN] = "configuration-forgotten",
	[PLANTED_COMMIT_UNCHECKED] = "commit-unchecked",
	[PLANTED_LEASE_TRANSFERRED] = "lease-transferred",
	[PLANTED_PROMISE_FORGOTTEN] = "promise-forgotten",
};

#define LONG_AGO (-1000000000)

/* Steps in which the leader may find that more is committed. Reads that wait would notice the wrong term's start too: not then. */
static bool may_commit(const struct raft *raft, const struct raft_event *event)
{
	return raft->role == RAFT_LEADER && raft->read_count == 0 &&
	       (event->kind == RAFT_SYNCED ||
	        (event->kind == RAFT_MESSAGE && event->message->kind == RAFT_APPEND_RESPONSE));
}

static bool is_vote_request(const struct raft_event *event)
{
	return event->kind == RAFT_MESSAGE && event->message->kind == RAFT_VOTE_REQUEST;
}

void planted_before_step(struct world *world, struct node *node, struct raft_event *event)
{
	struct raft *raft = node->raft;
	switch (world->planted) {
	case PLANTED_VOTES_TWICE:
		if (is_vote_request(event) && raft->role == RAFT_FOLLOWER && !raft->saving)
			raft->voted_for = raft->saved_vote = 0;
		break;
	case PLANTED_LEADER_NOT_RESPECTED:
		if (is_vote_request(event))
			raft->leader_heard = LONG_AGO;
		break;
	case PLANTED_TWO_CHANGES:
		if (event->kind == RAFT_CHANGE)
			raft->configurations.list[raft->configurations.count - 1].index = 0;
		break;
	case PLANTED_CHANGE_TOO_EARLY:
		if (event->kind == RAFT_CHANGE && raft->role == RAFT_LEADER && raft->read_count == 0) {
			world->stash = raft->term_start;
			raft->term_start = 0;
		}
		break;
	case PLANTED_OLD_TERM_COMMITTED:
		world->stash = 0;
		if (may_commit(raft, event)) {
			world->stash = raft->term_start;
			raft->term_start = 1;
		}
		break;
	case PLANTED_LEASE_TRANSFERRED:
		if (event->kind == RAFT_READ) {
			world->stash = raft->transferee;
			raft->transferee = 0;
		}
		break;
	case PLANTED_COMMIT_UNCHECKED:
		if (event->kind == RAFT_MESSAGE && event->message->term == raft->term)
			raft->accepted = raft->log.last_index;
		break;
	default:
		break;
	}
}

void planted_after_step(struct world *world, struct node *node, const struct raft_event *event)
{
	struct raft *raft = node->raft;
	switch (world->planted) {
	case PLANTED_OLD_TERM_COMMITTED:
		if (world->stash != 0)
			raft->term_start = world->stash;
		break;
	case PLANTED_CHANGE_TOO_EARLY:
		if (event->kind == RAFT_CHANGE && raft->role == RAFT_LEADER && raft->term_start == 0)
			raft->term_start = world->stash;
		break;
	case PLANTED_READ_WITHOUT_ROUND:
		for (size_t i = 0; i < raft->peer_count; i++)
			raft->peers[i].acked_round = raft->round + 1;
		break;
	case PLANTED_LEASE_TRANSFERRED:
		raft->lease_forfeited = false;
		if (event->kind == RAFT_READ)
			raft->transferee = world->stash;
		break;
	case PLANTED_PROMISE_FORGOTTEN:
		if (event->kind == RAFT_START)
			raft->leader_heard = LONG_AGO;
		break;
	default:
		break;
	}
}

void planted_delivery(struct world *world, struct node *node, struct raft_message *message)
{
	uint64_t term;
	if (world->planted == PLANTED_VOTER_NOT_IDENTIFIED && message->kind == RAFT_VOTE_RESPONSE && world->node_count > 1)
		message->from = 1 + (node->id + roll(world, world->node_count - 1)) % world->node_count;
	if (world->planted == PLANTED_PREV_NOT_CHECKED && message->kind == RAFT_APPEND_REQUEST &&
	    raft_term_at(node->raft, message->append_request.prev_index, &term) && term <= message->term)
		message->append_request.prev_term = term;
}

void planted_sending(struct world *world, struct raft_message *message)
{
	if (world->planted == PLANTED_LOG_NOT_COMPARED && message->kind == RAFT_VOTE_REQUEST) {
		message->vote_request.last_index = RAFT_INDEX_MAX;
		message->vote_request.last_term = message->term;
	}
}
