/* Raft (Ongaro, "Consensus: Bridging Theory and Practice", 2014), a pure core: events in, effects out; it reads no clock and touches
 * no disk. This version serves a group of one voter: it still counts terms, votes for itself durably before it leads, begins
 * each term with an entry of its own (§6.4), and commits what its disk has (§3.6.2 with a majority of one). */
#ifndef CLUSTERD_ELECTION_RAFT_H
#define CLUSTERD_ELECTION_RAFT_H

#include <stdbool.h>
#include <stdint.h>

struct raft;

enum raft_role { RAFT_FOLLOWER, RAFT_CANDIDATE, RAFT_LEADER };

/* What was durable when the node started. */
struct raft_config {
	uint64_t id;        /* this node; not 0 */
	uint64_t term;
	uint64_t voted_for; /* 0: nobody */
	uint64_t last_index;
};

enum raft_event_kind {
	RAFT_START,      /* the node runs */
	RAFT_VOTE_SAVED, /* the last save_vote is durable */
	RAFT_APPENDED,   /* the leader appended `count` entries after the last one */
	RAFT_SYNCED,     /* all entries up to `index` are durable */
};

struct raft_event {
	enum raft_event_kind kind;
	uint64_t index; /* SYNCED */
	uint64_t count; /* APPENDED */
};

struct raft_effects {
	bool save_vote;     /* make term() and voted_for() durable, then RAFT_VOTE_SAVED, before anything else is sent */
	bool became_leader; /* append the entry that begins the term */
};

int raft_create(const struct raft_config *config, struct raft **ret_raft);
void raft_destroy(struct raft *raft); /* NULL is fine */
void raft_step(struct raft *raft, const struct raft_event *event, struct raft_effects *ret_effects);

enum raft_role raft_role(const struct raft *raft);
uint64_t raft_term(const struct raft *raft);
uint64_t raft_voted_for(const struct raft *raft);
uint64_t raft_last_index(const struct raft *raft);
/* Grows only; all entries up to it are committed. */
uint64_t raft_commit_index(const struct raft *raft);

#endif
