/* Raft (Ongaro, "Consensus: Bridging Theory and Practice", 2014; § are its sections), a pure core: events in, effects out. It reads
 * no clock, draws from a generator that it was given a seed for, and touches no disk and no network.
 *
 * It does not hold what entries say. It knows of each entry its index and term, as runs of equal terms, and of entries that
 * change the configuration also that. Effects say "send the entries first … last to this member"; the host has the bodies.
 *
 * How a host goes about it:
 *   - raft_create with what is durable, one RAFT_START, then an event for each thing that happens, each with the time.
 *   - After each step the effects are carried out, in the order of the fields of struct raft_effects. Writing may take its time:
 *     the core holds back what must not be said before it is durable (votes, grants, acknowledgements), and says it with
 *     RAFT_VOTE_SAVED and RAFT_SYNCED. Messages in effects may be sent at once, AppendEntries before the leader's own sync (§10.2.1).
 *   - RAFT_TICK when raft_deadline has come. A deadline in the past means "at the end of this turn": entries, reads and
 *     acknowledgements of one turn go out together, once. A step sends at most one batch to each member: tick until the
 *     deadline is in the future.
 *   - Messages may be lost, doubled, late and in any order. What a peer sends is never trusted: what cannot be is dropped and
 *     counted. Messages are of this cluster and from whom they claim to be: that is for the host to see to.
 *
 * Times are milliseconds of a monotonic clock. Indices begin with 1; 0 is "none", as is member 0. */
#ifndef CLUSTERD_ELECTION_RAFT_H
#define CLUSTERD_ELECTION_RAFT_H

#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct raft;

enum raft_role { RAFT_FOLLOWER, RAFT_CANDIDATE, RAFT_LEADER, RAFT_PRE_CANDIDATE };

#define RAFT_MEMBERS_MAX 32                /* of a group, learners included */
#define RAFT_VOTERS_MAX 9
#define RAFT_INFLIGHT_MAX 128              /* batches on their way to one member */
#define RAFT_TERM_MAX (((uint64_t)1 << 37) - 1) /* attempts of calls have 37 bits for it; messages with more are refused */
#define RAFT_INDEX_MAX (((uint64_t)1 << 53) - 1)

/* --- configuration ------------------------------------------------------------------------------------------------- */

struct raft_member {
	uint64_t id;
	bool voter; /* false: a learner, which gets all entries and has no vote (§4.2.1) */
};

/* Who is in the group. It takes effect when its entry is in the log, committed or not (§4.1). */
struct raft_configuration {
	uint64_t index; /* of the entry that says so; 0: the group began with it */
	uint32_t count; /* 0: not known yet; such a node waits to be added, and never campaigns */
	struct raft_member members[RAFT_MEMBERS_MAX];
};

enum raft_change_kind {
	RAFT_ADD_LEARNER,
	RAFT_PROMOTE,     /* a learner that has caught up becomes a voter */
	RAFT_DEMOTE,      /* a voter becomes a learner; the leader may demote itself, and then steps down */
	RAFT_REMOVE,      /* a voter or learner goes; the leader may remove itself, and then steps down (§4.2.2) */
};

struct raft_change {
	enum raft_change_kind kind;
	uint64_t member;
};

/* --- the log ------------------------------------------------------------------------------------------------------- */

/* Entries from `first` on have this term, up to the next run. */
struct raft_term_run {
	uint64_t first;
	uint64_t term;
};

/* What the core has to know of an entry in a message. */
struct raft_entry {
	uint64_t term;
	const struct raft_configuration *configuration; /* NULL: it changes none. Its index is set by the core */
};

/* A copy of the state machine as of `index`. */
struct raft_snapshot {
	uint64_t index;
	uint64_t term;
	uint64_t id;   /* two copies as of one index differ in bytes: a transfer is resumed only for the same id; not 0 */
	uint64_t size; /* bytes; not 0 */
	struct raft_configuration configuration; /* as of `index` */
};

/* --- messages ------------------------------------------------------------------------------------------------------ */

enum raft_message_kind {
	RAFT_VOTE_REQUEST,      /* candidate to voters */
	RAFT_VOTE_RESPONSE,
	RAFT_APPEND_REQUEST,    /* leader to members; without entries it is a heartbeat and asks whether prev is there */
	RAFT_APPEND_RESPONSE,   /* to append request, heartbeat, and a snapshot that was installed */
	RAFT_HEARTBEAT,         /* leader to members that are not at their log's end: says nothing of the log */
	RAFT_SNAPSHOT_CHUNK,    /* leader to members whose next entry is gone */
	RAFT_SNAPSHOT_RESPONSE,
	RAFT_TIMEOUT_NOW,       /* leader to the one that shall lead (§3.10) */
	RAFT_READ_REQUEST,      /* member to leader: what must I have applied to answer this read? */
	RAFT_READ_RESPONSE,
};

struct raft_vote_request {
	bool pre;            /* asks whether it would be granted; changes nothing anywhere (§9.6) */
	bool transfer;       /* the leader wanted it: a leader heard lately is no reason to refuse */
	uint64_t for_term;   /* vote: the message's term; pre-vote: that + 1 */
	uint64_t last_index; /* of the candidate's log */
	uint64_t last_term;
};

struct raft_vote_response {
	bool pre;
	bool granted;
	uint64_t for_term; /* of the request */
};

struct raft_append_request {
	uint64_t prev_index;
	uint64_t prev_term;
	uint64_t commit;  /* the leader's */
	uint64_t round;   /* how often the leader has begun to ask whether it still leads; the response has the newest heard */
	uint32_t count;   /* entries prev_index + 1 … prev_index + count */
	/* In messages that come: what the core has to know of them, `count` elements, borrowed for the step. In effects NULL: the host
	 * puts the entries in as they are in its log, terms and configurations with them. */
	const struct raft_entry *entries;
};

struct raft_append_response {
	bool rejected;           /* prev was not there */
	uint64_t accepted;       /* up to here the log is as the leader's … */
	uint64_t match;          /* … and up to here it is durable as well */
	uint64_t round;
	uint64_t rejected_prev;  /* rejected: prev of the request */
	uint64_t hint_index;     /* rejected: nothing after it can match … */
	uint64_t hint_term;      /* … and the term of the entry there */
};

struct raft_heartbeat {
	uint64_t commit; /* not above what this member is known to have */
	uint64_t round;
};

struct raft_snapshot_chunk {
	uint64_t round;
	uint64_t offset;  /* where it begins */
	uint32_t length;  /* bytes it has, > 0. In effects 0: the host puts in as many as are reasonable */
	const struct raft_snapshot *snapshot; /* borrowed: until the next step in effects, for the step in messages that come */
};

struct raft_snapshot_response {
	uint64_t id;
	uint64_t offset; /* bytes that are there: the next chunk begins here */
	uint64_t round;
};

struct raft_read_request {
	uint64_t id;
};

struct raft_read_response {
	uint64_t id;
	uint64_t index;
	bool refused; /* not the leader, or too many reads wait */
};

struct raft_message {
	enum raft_message_kind kind;
	uint64_t from;
	uint64_t to;
	uint64_t term; /* of the sender */
	union {
		struct raft_vote_request vote_request;
		struct raft_vote_response vote_response;
		struct raft_append_request append_request;
		struct raft_append_response append_response;
		struct raft_heartbeat heartbeat;
		struct raft_snapshot_chunk chunk;
		struct raft_snapshot_response snapshot_response;
		struct raft_read_request read_request;
		struct raft_read_response read_response;
	};
};

/* --- life ---------------------------------------------------------------------------------------------------------- */

/* What was durable when the node started, and settings (0: the default). */
struct raft_config {
	uint64_t id;             /* this node; not 0 */
	uint64_t term;
	uint64_t voted_for;      /* 0: nobody */
	uint64_t last_index;     /* of the log, or of the snapshot when the log is empty or behind it */
	uint64_t snapshot_index; /* entries up to it are not in the log, and are in the state machine */
	uint64_t snapshot_term;
	uint64_t commit_index;   /* known to be committed, such as the applied index; 0 when not known */
	/* The terms of the entries snapshot_index + 1 … last_index. None, though there are such entries: nothing is known of them,
	 * and they count as covered by the snapshot. */
	const struct raft_term_run *runs;
	size_t run_count;
	/* The configuration as of the snapshot or of any committed entry, then those that the log has after it, in order. None: this
	 * node is a group by itself. Borrowed for the call. */
	const struct raft_configuration *configurations;
	size_t configuration_count;

	uint64_t seed;               /* of election timeouts: another one on every node and at every start */
	msec election_timeout_ms;    /* at least this long without a leader, at most twice as long, before a pre-vote; 200 */
	msec heartbeat_ms;           /* 40; below the election timeout */
	msec heartbeat_slack_ms;     /* a tick so much before a heartbeat is due sends it; 0; below heartbeat_ms */
	msec lease_ms;               /* a leader heard by a quorum leads so long without asking; below the election timeout by
	                              * what clocks may differ in rate; default 3/4 of it */
	uint32_t batch_entries;      /* in one message; 512 */
	uint32_t window_batches;     /* on their way to one member; 64, at most RAFT_INFLIGHT_MAX */
	uint32_t reads_max;          /* waiting at the leader; 1024 */
	uint64_t promote_lag;        /* a learner lags at most so many entries when it becomes a voter; 1000 */
};

enum raft_event_kind {
	RAFT_START,      /* the node runs */
	RAFT_VOTE_SAVED, /* what the last save_vote wanted is durable */
	RAFT_APPENDED,   /* the leader appended `count` entries of its term after the last one */
	RAFT_SYNCED,     /* all entries up to `index` are durable, with `cuts` cuts and installations carried out before */
	RAFT_TICK,       /* the deadline has come */
	RAFT_MESSAGE,    /* `message` came */
	RAFT_SENT,       /* of the batch just wanted for member `peer` only the entries up to `index` were sent. (When that is known
	                  * too late to say, nothing is lost but time: what is missing is rejected, and sent again.) */
	RAFT_COMPACTED,  /* entries up to `index` are gone from the log; it was committed */
	RAFT_CHANGE,     /* change the configuration as `change` says; the leader only */
	RAFT_TRANSFER,   /* let `peer` lead; 0: the voter that has most. The leader only */
	RAFT_READ,       /* when may a read with the unique `id` be answered? */
	RAFT_SNAPSHOT_READY,     /* make_snapshot is done: `snapshot`, or NULL when it could not be made now. Of no use, and released at
	                          * once, when the log does not go on after it, or its configuration is not known yet (count 0: a node
	                          * that was added and has not applied the entry that says so) */
	RAFT_CHUNK_SAVED,        /* write_chunk is done */
	RAFT_SNAPSHOT_INSTALLED, /* install_snapshot is done and durable */
};

struct raft_event {
	enum raft_event_kind kind;
	uint64_t index; /* SYNCED, SENT, COMPACTED */
	uint64_t count; /* APPENDED */
	uint64_t cuts;  /* SYNCED: 0 where nothing was ever cut */
	uint64_t peer;  /* SENT, TRANSFER */
	uint64_t id;    /* READ: also after a restart none that was used before */
	bool lease;     /* READ: the leader's lease is good enough, when it holds */
	struct raft_change change;            /* CHANGE */
	const struct raft_message *message;   /* MESSAGE: borrowed for the step */
	const struct raft_snapshot *snapshot; /* SNAPSHOT_READY: borrowed for the step */
};

/* A read that may be answered by this node as soon as it has applied the index, or that was refused. */
struct raft_read {
	uint64_t id;
	uint64_t index;
	int result; /* 0; ERR_NOT_LEADER: ask again, elsewhere or later; ERR_BUSY */
};

/* What a step wants. Pointers are the core's and hold until the next step. */
struct raft_effects {
	/* Of RAFT_CHANGE, RAFT_TRANSFER, RAFT_READ: 0; ERR_NOT_LEADER; ERR_BUSY (another change or transfer is under way, the term has
	 * no committed entry yet, the learner has not caught up, too many reads); ERR_EXISTS, ERR_NOT_FOUND (no such member);
	 * ERR_LIMIT (RAFT_MEMBERS_MAX, RAFT_VOTERS_MAX); ERR_INVALID (member 0, the last voter would go). */
	int result;
	/* Make term() and voted_for() durable, then RAFT_VOTE_SAVED. One at a time: the next comes after that at the earliest. */
	bool save_vote;
	/* No longer leader: what was appended and is not committed may come to nothing. Reads have been refused (`reads`). */
	bool stepped_down;
	bool became_leader;  /* append the entry that begins the term, as its first; nothing is committed before it is (§6.4) */
	bool leader_changed; /* raft_leader gives another one */
	/* Entries after `cut_after` go, from the disk too, before anything is written again. Counts as one cut for RAFT_SYNCED. */
	bool cut;
	uint64_t cut_after;
	/* Append these entries of the message that was stepped: accept_count of them, the first has this index. Sync, RAFT_SYNCED. */
	uint64_t accept_first;
	uint64_t accept_count;
	/* Append an entry that holds this configuration, at its index; it is counted already, there is no RAFT_APPENDED for it. */
	const struct raft_configuration *append_configuration;
	/* Make a copy of the state machine, then RAFT_SNAPSHOT_READY. It is kept until release_snapshot. While there is one, entries
	 * after it should stay in the log (raft_needed_index). */
	bool make_snapshot;
	bool release_snapshot;
	/* Write the chunk of the message that was stepped at its offset (0: begin anew, whatever was there), RAFT_CHUNK_SAVED. */
	bool write_chunk;
	/* The chunks are complete: the state machine becomes this, the log empty with index + 1 the next entry, both durable, then
	 * RAFT_SNAPSHOT_INSTALLED. Counts as one cut for RAFT_SYNCED. */
	const struct raft_snapshot *install_snapshot;
	const struct raft_message *messages;
	size_t message_count;
	const struct raft_read *reads;
	size_t read_count;
};

/* 0; ERR_INVALID: what was durable contradicts itself (terms that fall, a log that ends before its snapshot). */
int raft_create(const struct raft_config *config, struct raft **ret_raft);
void raft_destroy(struct raft *raft); /* NULL is fine */
void raft_step(struct raft *raft, msec now, const struct raft_event *event, struct raft_effects *ret_effects);
/* When RAFT_TICK is wanted: MSEC_NEVER, a time, or 0 for "at once". */
msec raft_deadline(const struct raft *raft);
/* Whether a tick would send the next heartbeat, early by no more than heartbeat_slack_ms. */
bool raft_heartbeat_is_near(const struct raft *raft, msec now);

/* --- looking at it ------------------------------------------------------------------------------------------------- */

enum raft_role raft_role(const struct raft *raft);
const char *raft_role_name(enum raft_role role); /* "follower", … */
uint64_t raft_term(const struct raft *raft);
uint64_t raft_voted_for(const struct raft *raft);
uint64_t raft_leader(const struct raft *raft); /* 0: not known */
uint64_t raft_last_index(const struct raft *raft);
uint64_t raft_last_term(const struct raft *raft);
uint64_t raft_synced_index(const struct raft *raft);
/* Grows only; all entries up to it are committed. It may be above what is durable here, never above what is in the log. */
uint64_t raft_commit_index(const struct raft *raft);
/* Whether the term of the entry is known: it is in the log, or it is the last one that the snapshot covers. */
bool raft_term_at(const struct raft *raft, uint64_t index, uint64_t *ret_term);
/* The newest one, committed or not; never NULL. */
const struct raft_configuration *raft_configuration(const struct raft *raft);
uint32_t raft_quorum(const struct raft *raft); /* votes that decide; 0 when no configuration is known */
/* A leader until then without asking; 0: no lease (not leader, not heard, leadership being transferred). */
msec raft_lease_end(const struct raft *raft);
/* Whom leadership is being handed to; 0: nobody. Meanwhile the host should take no new requests. */
uint64_t raft_transferee(const struct raft *raft);
/* The lowest entry that a member being served still needs: compaction should stop below, within reason. */
uint64_t raft_needed_index(const struct raft *raft);

enum raft_progress_state { RAFT_PROBE, RAFT_REPLICATE, RAFT_SNAPSHOT };

struct raft_progress {
	enum raft_progress_state state;
	uint64_t match;
	uint64_t next;
	uint32_t inflight;
	msec heard_at; /* when a response of this term came last */
};

/* How far the leader has come with a member; false: not leader, or no such other member. */
bool raft_progress(const struct raft *raft, uint64_t member, struct raft_progress *ret_progress);

struct raft_counts {
	uint64_t elections;   /* campaigns begun, pre-votes not counted */
	uint64_t pre_votes;
	uint64_t refused;     /* messages that cannot be from a member that works */
	uint64_t stale;       /* messages of an earlier term, or of no member */
	uint64_t cut_off;     /* times that this leader stepped down for want of a quorum */
	uint64_t backtracked; /* rejected appends */
	uint64_t snapshots;   /* installed */
};

const struct raft_counts *raft_counts(const struct raft *raft);

#endif
