/* What the leader knows of another member, and what it has sent on trust.
 *
 *   probe      it is not known where the logs agree: one message at a time, until one is accepted
 *   replicate  batches go out one after another without waiting, up to a window; a rejection leads back to probe
 *   snapshot   its next entry is gone: it gets chunks of a snapshot, one at a time */
#ifndef CLUSTERD_ELECTION_PROGRESS_H
#define CLUSTERD_ELECTION_PROGRESS_H

#include "election/raft.h"

struct progress {
	uint64_t id;
	enum raft_progress_state state;
	uint64_t match;        /* durable there */
	uint64_t next;         /* the next entry to send; above match */
	uint64_t commit_sent;
	uint64_t acked_round;
	msec heard_at;
	bool probe_sent;       /* probe: wait for the answer, or the next heartbeat */
	bool asked_to_lead;    /* TimeoutNow went out since the last heartbeat */
	uint64_t snapshot_id;  /* snapshot: of which `offset` counts; 0: none yet */
	uint64_t offset;       /* snapshot: bytes that are there */
	bool chunk_sent;       /* snapshot: wait for the answer … */
	uint32_t chunk_waited; /* … or for so many heartbeats without one */
	uint64_t inflight[RAFT_INFLIGHT_MAX]; /* replicate: the last index of each batch under way, a ring */
	uint32_t inflight_first;
	uint32_t inflight_count;
};

void progress_init(struct progress *progress, uint64_t id, uint64_t next, msec now);
void progress_probe(struct progress *progress, uint64_t next);
void progress_replicate(struct progress *progress, uint64_t next);
void progress_snapshot(struct progress *progress);
/* Entries from next to `last` are on their way. */
void progress_sent(struct progress *progress, uint64_t last);
/* Of the batch that was sent last only the entries up to `last` were. */
void progress_shorten(struct progress *progress, uint64_t last);
/* Entries up to `index` are durable there. */
void progress_acked(struct progress *progress, uint64_t index);

#endif
