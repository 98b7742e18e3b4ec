#include "base/memory.h"
#include "election/raft_internal.h"

#include <assert.h>

#define CHUNK_WAITS 4    /* heartbeats without an answer, and a chunk is sent again */
#define INSTALL_WAITS 25 /* … and the whole, when all of it is there: it may have gone down */

/* --- the leader ---------------------------------------------------------------------------------------------------- */

static bool snapshot_is_usable(const struct raft *raft)
{
	return raft->snapshot.id != 0 && raft->snapshot.index >= raft->log.base_index;
}

static bool chunk_is_due(const struct raft *raft, const struct progress *peer)
{
	if (!snapshot_is_usable(raft))
		return false;
	return peer->snapshot_id != raft->snapshot.id || (!peer->chunk_sent && peer->offset < raft->snapshot.size);
}

bool snapshot_wants_tick(const struct raft *raft, const struct progress *peer)
{
	return chunk_is_due(raft, peer);
}

static void send_chunk(struct raft *raft, struct progress *peer)
{
	struct raft_message *message = raft_send(raft, RAFT_SNAPSHOT_CHUNK, peer->id);
	raft->sent_snapshot = raft->snapshot;
	message->chunk = (struct raft_snapshot_chunk){
		.round = raft->round,
		.offset = peer->offset,
		.snapshot = &raft->sent_snapshot,
	};
	peer->chunk_sent = true;
	peer->chunk_waited = 0;
}

static void chunk_again(struct raft *raft, struct progress *peer)
{
	bool complete = peer->offset == raft->snapshot.size;
	if (++peer->chunk_waited < (complete ? INSTALL_WAITS : CHUNK_WAITS))
		return;
	if (complete)
		peer->offset = 0; /* its answer says where it stands */
	peer->chunk_sent = false;
}

void snapshot_send(struct raft *raft, struct progress *peer, bool heartbeat)
{
	if (snapshot_is_usable(raft) && peer->snapshot_id != raft->snapshot.id) {
		peer->snapshot_id = raft->snapshot.id;
		peer->offset = 0;
		peer->chunk_sent = false;
	} else if (snapshot_is_usable(raft) && heartbeat) {
		chunk_again(raft, peer);
	} else if (!snapshot_is_usable(raft) && heartbeat && !raft->snapshot_asked) {
		raft->effects.make_snapshot = raft->snapshot_asked = true;
	}
	if (chunk_is_due(raft, peer)) {
		send_chunk(raft, peer);
	} else if (heartbeat) {
		struct raft_message *message = raft_send(raft, RAFT_HEARTBEAT, peer->id);
		message->heartbeat = (struct raft_heartbeat){
			.commit = peer->match < raft->commit_index ? peer->match : raft->commit_index,
			.round = raft->round,
		};
	}
}

void snapshot_drop(struct raft *raft)
{
	if (raft->snapshot.id == 0)
		return;
	raft->snapshot.id = 0;
	raft->effects.release_snapshot = true;
}

void snapshot_ready(struct raft *raft, const struct raft_snapshot *snapshot)
{
	assert(raft->snapshot_asked);
	raft->snapshot_asked = false;
	if (snapshot == NULL)
		return;
	assert(snapshot->id != 0 && snapshot->size > 0);
	raft->snapshot = *snapshot;
	/* It took too long, and is of no use any more, or not here; or it is of a time before this node knew its group. */
	if (raft->role != RAFT_LEADER || !snapshot_is_usable(raft) || !configuration_valid(&snapshot->configuration))
		snapshot_drop(raft);
	else
		assert(snapshot->index <= raft->commit_index);
}

/* Kept while somebody gets it, and while the log goes on after it. */
void snapshot_tick(struct raft *raft)
{
	bool wanted = false;
	for (size_t i = 0; i < raft->peer_count; i++)
		wanted = wanted || raft->peers[i].state == RAFT_SNAPSHOT;
	if (!wanted || !snapshot_is_usable(raft))
		snapshot_drop(raft);
}

void snapshot_response(struct raft *raft, struct progress *peer, const struct raft_snapshot_response *response)
{
	if (peer->state != RAFT_SNAPSHOT || response->id != peer->snapshot_id || response->id != raft->snapshot.id)
		return;
	if (response->offset > raft->snapshot.size) {
		message_refuse(raft);
		return;
	}
	/* The same again says nothing new, and would double the chunks under way when messages are doubled. */
	if (response->offset == peer->offset)
		return;
	peer->offset = response->offset;
	peer->chunk_sent = false;
	peer->chunk_waited = 0;
}

/* --- the follower -------------------------------------------------------------------------------------------------- */

static void respond(struct raft *raft, uint64_t id, uint64_t offset)
{
	if (raft->role != RAFT_FOLLOWER || raft->leader == 0)
		return;
	struct raft_message *message = raft_send(raft, RAFT_SNAPSHOT_RESPONSE, raft->leader);
	message->snapshot_response = (struct raft_snapshot_response){
		.id = id,
		.offset = offset,
		.round = raft->heard_round,
	};
}

/* What it holds is here already, applied or in the log: nothing to install (§5). */
static bool is_known(const struct raft *raft, const struct raft_snapshot *snapshot)
{
	return snapshot->index <= raft->commit_index || log_terms_match(&raft->log, snapshot->index, snapshot->term);
}

static bool is_same(const struct raft_snapshot *left, const struct raft_snapshot *right)
{
	return left->id == right->id && left->index == right->index && left->term == right->term &&
	       left->size == right->size;
}

void snapshot_chunk(struct raft *raft, const struct raft_message *message)
{
	const struct raft_snapshot_chunk *chunk = &message->chunk;
	struct reception *reception = &raft->reception;
	follower_heard(raft, message->from, chunk->round);
	if (reception->writing != 0)
		return;
	if (reception->installing) {
		respond(raft, reception->snapshot.id, reception->received);
		return;
	}
	if (is_known(raft, chunk->snapshot)) {
		if (chunk->snapshot->index > raft->commit_index)
			raise_commit(raft, chunk->snapshot->index);
		raft->ack_waits = true;
		return;
	}
	if (!is_same(&reception->snapshot, chunk->snapshot)) {
		if (chunk->offset != 0) {
			respond(raft, chunk->snapshot->id, 0);
			return;
		}
		*reception = (struct reception){.snapshot = *chunk->snapshot};
	}
	if (chunk->offset != reception->received) {
		respond(raft, chunk->snapshot->id, reception->received);
		return;
	}
	reception->writing = chunk->length;
	raft->effects.write_chunk = true;
}

void snapshot_chunk_saved(struct raft *raft)
{
	struct reception *reception = &raft->reception;
	assert(reception->writing > 0);
	reception->received += reception->writing;
	reception->writing = 0;
	respond(raft, reception->snapshot.id, reception->received);
	if (reception->received < reception->snapshot.size)
		return;
	if (raft->role != RAFT_FOLLOWER || is_known(raft, &reception->snapshot)) {
		*reception = (struct reception){0};
		return;
	}
	reception->installing = true;
	raft->cuts++;
	raft->effects.install_snapshot = &reception->snapshot;
}

void snapshot_installed(struct raft *raft)
{
	struct reception *reception = &raft->reception;
	const struct raft_snapshot *snapshot = &reception->snapshot;
	assert(reception->installing && snapshot->index > raft->commit_index);
	log_terms_reset(&raft->log, snapshot->index, snapshot->term);
	configurations_reset(&raft->configurations, &snapshot->configuration);
	raft->synced_index = snapshot->index;
	raise_commit(raft, snapshot->index);
	raft->counts.snapshots++;
	raft->ack_waits = true;
	*reception = (struct reception){0};
}
