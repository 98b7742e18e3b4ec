#include "base/memory.h"
#include "election/raft_internal.h"

#include <assert.h>
#include <string.h>

/* --- members ------------------------------------------------------------------------------------------------------- */

struct progress *find_peer(struct raft *raft, uint64_t id)
{
	for (size_t i = 0; i < raft->peer_count; i++)
		if (raft->peers[i].id == id)
			return &raft->peers[i];
	return NULL;
}

/* The configuration is another one: who is new is begun with, who went is forgotten. */
void replication_members(struct raft *raft)
{
	const struct raft_configuration *configuration = latest(raft);
	size_t kept = 0;
	for (size_t i = 0; i < raft->peer_count; i++)
		if (configuration_find(configuration, raft->peers[i].id) != NULL)
			raft->peers[kept++] = raft->peers[i];
	raft->peer_count = kept;
	for (uint32_t i = 0; i < configuration->count; i++) {
		uint64_t id = configuration->members[i].id;
		if (id == raft->id || find_peer(raft, id) != NULL)
			continue;
		mem_grow(raft->peers, raft->peer_capacity, raft->peer_count + 1);
		progress_init(&raft->peers[raft->peer_count++], id, raft->log.last_index + 1, raft->now);
	}
}

void replication_lead(struct raft *raft)
{
	raft->term_start = raft->log.last_index + 1;
	raft->peer_count = 0;
	raft->round = 0;
	raft->transferee = 0;
	raft->lease_forfeited = false;
	raft->heartbeat_at = raft->now;
	replication_members(raft);
}

/* --- sending ------------------------------------------------------------------------------------------------------- */

static void send_entries(struct raft *raft, const struct progress *peer, uint32_t count)
{
	uint64_t prev_term = 0;
	bool known = log_terms_at(&raft->log, peer->next - 1, &prev_term);
	assert(known && peer->next - 1 + count <= raft->log.last_index);
	struct raft_message *message = raft_send(raft, RAFT_APPEND_REQUEST, peer->id);
	message->append_request = (struct raft_append_request){
		.prev_index = peer->next - 1,
		.prev_term = prev_term,
		.commit = raft->commit_index,
		.round = raft->round,
		.count = count,
	};
}

static uint32_t batch_for(const struct raft *raft, const struct progress *peer)
{
	uint64_t left = raft->log.last_index + 1 - peer->next;
	return left < raft->batch ? (uint32_t)left : raft->batch;
}

static bool may_send_batch(const struct raft *raft, const struct progress *peer)
{
	return peer->next <= raft->log.last_index && peer->inflight_count < raft->window;
}

static bool prev_is_gone(const struct raft *raft, const struct progress *peer)
{
	return peer->next - 1 < raft->log.base_index;
}

static void send_to(struct raft *raft, struct progress *peer, bool heartbeat)
{
	if (peer->state != RAFT_SNAPSHOT && prev_is_gone(raft, peer))
		progress_snapshot(peer);
	if (peer->state == RAFT_SNAPSHOT) {
		snapshot_send(raft, peer, heartbeat);
	} else if (peer->state == RAFT_PROBE) {
		if (peer->probe_sent && !heartbeat)
			return;
		send_entries(raft, peer, 0);
		peer->probe_sent = true;
	} else if (may_send_batch(raft, peer)) {
		uint32_t count = batch_for(raft, peer);
		send_entries(raft, peer, count);
		progress_sent(peer, peer->next - 1 + count);
		peer->commit_sent = raft->commit_index;
	} else if (heartbeat || peer->commit_sent < raft->commit_index) {
		/* Its prev is the last entry sent: if that was lost, this is rejected, and what is missing is sent again. */
		send_entries(raft, peer, 0);
		peer->commit_sent = raft->commit_index;
	}
}

static bool wants_tick(const struct raft *raft, const struct progress *peer)
{
	switch (peer->state) {
	case RAFT_PROBE: return !peer->probe_sent;
	case RAFT_REPLICATE: return may_send_batch(raft, peer) || peer->commit_sent < raft->commit_index;
	case RAFT_SNAPSHOT: return snapshot_wants_tick(raft, peer);
	}
	return false;
}

bool replication_wants_tick(const struct raft *raft)
{
	if (reads_want_round(raft))
		return true;
	for (size_t i = 0; i < raft->peer_count; i++) {
		const struct progress *peer = &raft->peers[i];
		if (wants_tick(raft, peer) || (peer->id == raft->transferee && !peer->asked_to_lead &&
		                               peer->match == raft->log.last_index))
			return true;
	}
	return false;
}

/* The time by which a quorum was heard of last, this leader itself included (§6.2). */
static msec quorum_heard_at(const struct raft *raft)
{
	const struct raft_configuration *configuration = latest(raft);
	msec heard[RAFT_VOTERS_MAX];
	uint32_t count = 0;
	for (uint32_t i = 0; i < configuration->count; i++) {
		if (!configuration->members[i].voter)
			continue;
		struct progress *peer = find_peer((struct raft *)raft, configuration->members[i].id);
		msec at = peer != NULL ? peer->heard_at : raft->now;
		uint32_t place = count++;
		for (; place > 0 && heard[place - 1] < at; place--)
			heard[place] = heard[place - 1];
		heard[place] = at;
	}
	return heard[configuration_quorum(configuration) - 1];
}

void replication_tick(struct raft *raft)
{
	bool heartbeat = raft->now + raft->heartbeat_slack_ms >= raft->heartbeat_at || reads_want_round(raft);
	if (raft->peer_count == 0)
		return;
	if (raft->now - quorum_heard_at(raft) >= raft->election_ms) {
		raft->counts.cut_off++;
		follow(raft, 0);
		return;
	}
	if (heartbeat) {
		round_begin(raft);
		raft->heartbeat_at = raft->now + raft->heartbeat_ms;
		for (size_t i = 0; i < raft->peer_count; i++)
			raft->peers[i].asked_to_lead = false;
	}
	snapshot_tick(raft);
	for (size_t i = 0; i < raft->peer_count; i++)
		send_to(raft, &raft->peers[i], heartbeat);
}

/* --- answers ------------------------------------------------------------------------------------------------------- */

/* Where to probe next: not where the follower's log cannot match, nor where this one has only later terms (§3.3, fast
 * backtracking), and always further back than before. */
static void backtrack(struct raft *raft, struct progress *peer, const struct raft_append_response *response)
{
	uint64_t agreed = response->hint_index;
	if (agreed >= raft->log.base_index && agreed <= raft->log.last_index)
		agreed = log_terms_last_at_most(&raft->log, agreed, response->hint_term);
	uint64_t next = agreed + 1;
	if (next > response->rejected_prev)
		next = response->rejected_prev;
	if (next <= peer->match)
		next = peer->match + 1;
	raft->counts.backtracked++;
	progress_probe(peer, next);
}

static void rejected(struct raft *raft, struct progress *peer, const struct raft_append_response *response)
{
	bool stale = peer->state == RAFT_SNAPSHOT || response->rejected_prev <= peer->match ||
	             (peer->state == RAFT_PROBE && response->rejected_prev != peer->next - 1) ||
	             response->rejected_prev >= peer->next;
	if (!stale)
		backtrack(raft, peer, response);
}

void replication_response(struct raft *raft, struct progress *peer, const struct raft_append_response *response)
{
	if (response->rejected) {
		rejected(raft, peer, response);
		return;
	}
	if (response->accepted > raft->log.last_index || response->match > response->accepted) {
		message_refuse(raft);
		return;
	}
	progress_acked(peer, response->match);
	bool agreed = peer->state == RAFT_PROBE && response->accepted >= peer->next - 1;
	bool installed = peer->state == RAFT_SNAPSHOT && response->accepted >= raft->log.base_index;
	if (agreed || installed)
		progress_replicate(peer, response->accepted + 1);
	replication_commit(raft);
}

/* --- commit -------------------------------------------------------------------------------------------------------- */

static uint64_t durable_at(const struct raft *raft, uint64_t member)
{
	struct progress *peer = find_peer((struct raft *)raft, member);
	return member == raft->id ? raft->synced_index : peer->match;
}

/* The highest entry that a quorum of voters has on disk. The leader counts itself like any other, with what is synced here. */
static uint64_t quorum_durable(const struct raft *raft)
{
	const struct raft_configuration *configuration = latest(raft);
	uint64_t durable[RAFT_VOTERS_MAX];
	uint32_t count = 0;
	for (uint32_t i = 0; i < configuration->count; i++) {
		if (!configuration->members[i].voter)
			continue;
		uint64_t index = durable_at(raft, configuration->members[i].id);
		uint32_t place = count++;
		for (; place > 0 && durable[place - 1] < index; place--)
			durable[place] = durable[place - 1];
		durable[place] = index;
	}
	return durable[configuration_quorum(configuration) - 1];
}

/* It is no voter any more, and that is committed: others are to lead (§4.2.2). They hear first of what is committed. */
static void retire(struct raft *raft)
{
	for (size_t i = 0; i < raft->peer_count; i++)
		if (raft->peers[i].state == RAFT_REPLICATE && !prev_is_gone(raft, &raft->peers[i]))
			send_entries(raft, &raft->peers[i], 0);
	follow(raft, 0);
}

/* An entry is committed by counting only when it is of the own term; those before it are with it (§3.6.2). */
void replication_commit(struct raft *raft)
{
	uint64_t index = quorum_durable(raft);
	if (index < raft->term_start || index <= raft->commit_index)
		return;
	assert(log_terms_match(&raft->log, index, raft->term));
	raise_commit(raft, index);
	if (latest(raft)->index <= index && !configuration_is_voter(latest(raft), raft->id))
		retire(raft);
}
