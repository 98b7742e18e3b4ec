/* The parts of Raft, for its own files only:
 *   raft.c           life, events, what is durable, roles
 *   election.c       pre-votes, votes, transfer of leadership
 *   replication.c    the leader's side of the log: sending, answers, commit
 *   follower.c       the other side: accepting, acknowledging
 *   change.c         changes of the configuration
 *   read.c           rounds, read index, lease
 *   snapshot.c       both sides of a snapshot
 *   message.c        what comes: whether it can be, and whose it is
 *   look.c           what others may know
 *   log_terms.c, configuration.c, progress.c   what these are made of */
#ifndef CLUSTERD_ELECTION_RAFT_INTERNAL_H
#define CLUSTERD_ELECTION_RAFT_INTERNAL_H

#include "base/random.h"
#include "election/configuration.h"
#include "election/log_terms.h"
#include "election/progress.h"
#include "election/raft.h"

#define ROUNDS_KEPT 128 /* rounds that the leader remembers the time of */

enum vote { VOTE_NONE, VOTE_GRANTED, VOTE_REFUSED };

/* A read that waits at the leader. */
struct read {
	uint64_t id;
	uint64_t from;  /* who asked */
	uint64_t index; /* 0: the term has no committed entry yet */
	uint64_t round; /* a quorum must have heard this one; 0: the next */
};

/* A snapshot that is coming in. */
struct reception {
	struct raft_snapshot snapshot; /* id 0: none */
	uint64_t received;             /* bytes */
	uint32_t writing;              /* bytes of the chunk being written; 0: none */
	bool installing;
};

struct raft {
	uint64_t id;
	msec election_ms;
	msec heartbeat_ms;
	msec heartbeat_slack_ms;
	msec lease_ms;
	uint32_t batch;
	uint32_t window;
	uint32_t reads_max;
	uint64_t promote_lag;
	struct random random;

	uint64_t term;
	uint64_t voted_for;
	uint64_t saved_term; /* durable */
	uint64_t saved_vote;
	uint64_t saving_term; /* under way */
	uint64_t saving_vote;
	bool saving;

	struct log_terms log;
	struct configurations configurations;
	uint64_t synced_index;
	uint64_t commit_index;
	uint64_t cuts;

	enum raft_role role;
	uint64_t leader;
	bool started;
	msec now;               /* of this step */
	msec leader_heard;      /* when the leader was last heard of; others are refused votes for a while */
	msec election_deadline;

	/* Candidates. */
	enum vote votes[RAFT_MEMBERS_MAX]; /* by place in the latest configuration */
	bool transfer_campaign;
	bool requests_wait;     /* for the own vote to be durable */
	uint64_t grant_waits;   /* the vote for this member, likewise; 0: none */

	/* Followers. */
	uint64_t accepted;      /* up to here the log is as the leader's of this term */
	uint64_t heard_round;
	bool ack_waits;
	struct reception reception;

	/* The leader. */
	uint64_t term_start;    /* index of the first entry of the term */
	struct progress *peers; /* all members but this one */
	size_t peer_count;
	size_t peer_capacity;
	msec heartbeat_at;
	uint64_t round;
	msec round_at[ROUNDS_KEPT];
	struct read *reads;
	size_t read_count;
	size_t read_capacity;
	uint64_t transferee;
	msec transfer_deadline;
	bool lease_forfeited;   /* somebody may have been asked to lead, and may do so at any later time of this term */
	struct raft_snapshot snapshot; /* id 0: none */
	bool snapshot_asked;

	struct raft_effects effects; /* of this step */
	struct raft_message *messages;
	size_t message_count;
	size_t message_capacity;
	struct raft_snapshot sent_snapshot; /* what messages of this step point to */
	struct raft_read *answers;
	size_t answer_count;
	size_t answer_capacity;
	struct raft_counts counts;
};

/* raft.c */
struct raft_message *raft_send(struct raft *raft, enum raft_message_kind kind, uint64_t to);
bool vote_is_durable(const struct raft *raft);
/* The only places where role, term and vote change. */
void enter_term(struct raft *raft, uint64_t term);
void vote_for(struct raft *raft, uint64_t candidate);
void set_role(struct raft *raft, enum raft_role role);
void set_leader(struct raft *raft, uint64_t leader);
void follow(struct raft *raft, uint64_t leader);
void raise_commit(struct raft *raft, uint64_t index);
static inline const struct raft_configuration *latest(const struct raft *raft)
{
	return configurations_latest(&raft->configurations);
}

/* election.c */
void election_timer(struct raft *raft);
void election_timeout(struct raft *raft);
void election_campaign(struct raft *raft, bool transfer);
void election_durable(struct raft *raft);
void election_vote_request(struct raft *raft, const struct raft_message *message);
void election_vote_response(struct raft *raft, const struct raft_message *message);
void election_timeout_now(struct raft *raft, const struct raft_message *message);
int transfer_begin(struct raft *raft, uint64_t peer);
void transfer_tick(struct raft *raft);

/* replication.c */
struct progress *find_peer(struct raft *raft, uint64_t id);
void replication_lead(struct raft *raft);
void replication_members(struct raft *raft);
void replication_tick(struct raft *raft);
bool replication_wants_tick(const struct raft *raft);
void replication_response(struct raft *raft, struct progress *peer, const struct raft_append_response *response);
void replication_commit(struct raft *raft);

/* follower.c */
void follower_append(struct raft *raft, const struct raft_message *message);
void follower_heartbeat(struct raft *raft, const struct raft_message *message);
void follower_heard(struct raft *raft, uint64_t leader, uint64_t round);
void follower_acknowledge(struct raft *raft);

/* change.c */
int change_begin(struct raft *raft, const struct raft_change *change);

/* read.c */
/* Asks all whether this is still the leader: every message from now on carries the new round. */
void round_begin(struct raft *raft);
uint64_t round_heard(const struct raft *raft); /* the newest one that a quorum has heard */
int read_begin(struct raft *raft, uint64_t id, bool lease);
void read_request(struct raft *raft, const struct raft_message *message);
void read_response(struct raft *raft, const struct raft_message *message);
bool reads_want_round(const struct raft *raft);
void reads_advance(struct raft *raft);
void reads_refuse(struct raft *raft);
bool term_is_committed(const struct raft *raft);

/* snapshot.c */
void snapshot_send(struct raft *raft, struct progress *peer, bool heartbeat);
bool snapshot_wants_tick(const struct raft *raft, const struct progress *peer);
void snapshot_ready(struct raft *raft, const struct raft_snapshot *snapshot);
void snapshot_tick(struct raft *raft);
void snapshot_drop(struct raft *raft);
void snapshot_response(struct raft *raft, struct progress *peer, const struct raft_snapshot_response *response);
void snapshot_chunk(struct raft *raft, const struct raft_message *message);
void snapshot_chunk_saved(struct raft *raft);
void snapshot_installed(struct raft *raft);

/* message.c */
void message_step(struct raft *raft, const struct raft_message *message);
/* Drops a message that no member that works would send. */
void message_refuse(struct raft *raft);

#endif
