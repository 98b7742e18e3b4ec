#include "election/raft_internal.h"

void message_refuse(struct raft *raft)
{
	raft->counts.refused++;
}

/* --- can it be? ---------------------------------------------------------------------------------------------------- */

static bool vote_request_can_be(const struct raft_message *message)
{
	const struct raft_vote_request *request = &message->vote_request;
	return request->for_term == message->term + request->pre && request->for_term > 0 &&
	       request->for_term <= RAFT_TERM_MAX && request->last_index <= RAFT_INDEX_MAX &&
	       request->last_term <= message->term;
}

static bool append_can_be(const struct raft_message *message)
{
	const struct raft_append_request *request = &message->append_request;
	uint64_t term = request->prev_term;
	if (request->prev_index > RAFT_INDEX_MAX - request->count || request->commit > RAFT_INDEX_MAX)
		return false;
	if (request->prev_index == 0 && request->prev_term != 0)
		return false;
	if (request->count > 0 && request->entries == NULL)
		return false;
	for (uint32_t i = 0; i < request->count; i++) {
		const struct raft_entry *entry = &request->entries[i];
		if (entry->term < term || entry->term == 0)
			return false;
		if (entry->configuration != NULL && !configuration_valid(entry->configuration))
			return false;
		term = entry->term;
	}
	return term <= message->term;
}

static bool chunk_can_be(const struct raft_message *message)
{
	const struct raft_snapshot_chunk *chunk = &message->chunk;
	const struct raft_snapshot *snapshot = chunk->snapshot;
	return snapshot != NULL && snapshot->id != 0 && snapshot->index > 0 && snapshot->index <= RAFT_INDEX_MAX &&
	       snapshot->term <= message->term && chunk->length > 0 && chunk->offset <= snapshot->size &&
	       chunk->length <= snapshot->size - chunk->offset && snapshot->configuration.index <= snapshot->index &&
	       configuration_valid(&snapshot->configuration);
}

static bool can_be(const struct raft *raft, const struct raft_message *message)
{
	if (message->from == 0 || message->from == raft->id || message->to != raft->id || message->term > RAFT_TERM_MAX)
		return false;
	switch (message->kind) {
	case RAFT_VOTE_REQUEST: return vote_request_can_be(message);
	case RAFT_APPEND_REQUEST: return message->term > 0 && append_can_be(message);
	case RAFT_SNAPSHOT_CHUNK: return message->term > 0 && chunk_can_be(message);
	case RAFT_VOTE_RESPONSE:
	case RAFT_APPEND_RESPONSE:
	case RAFT_HEARTBEAT:
	case RAFT_SNAPSHOT_RESPONSE:
	case RAFT_TIMEOUT_NOW:
	case RAFT_READ_REQUEST:
	case RAFT_READ_RESPONSE: return true;
	}
	return false;
}

/* --- whose is it? -------------------------------------------------------------------------------------------------- */

static bool is_of_leader(enum raft_message_kind kind)
{
	return kind == RAFT_APPEND_REQUEST || kind == RAFT_HEARTBEAT || kind == RAFT_SNAPSHOT_CHUNK ||
	       kind == RAFT_TIMEOUT_NOW;
}

/* A leader of the past hears which term it is; who only missed a vote is left alone. */
static void answer_stale(struct raft *raft, const struct raft_message *message)
{
	raft->counts.stale++;
	if (message->kind != RAFT_APPEND_REQUEST && message->kind != RAFT_HEARTBEAT && message->kind != RAFT_SNAPSHOT_CHUNK)
		return;
	struct raft_message *answer = raft_send(raft, RAFT_APPEND_RESPONSE, message->from);
	answer->append_response.rejected = true;
}

static void step_from_leader(struct raft *raft, const struct raft_message *message)
{
	/* There is one leader a term (§3.4): this is not it. */
	if (raft->role == RAFT_LEADER || (raft->leader != 0 && raft->leader != message->from)) {
		message_refuse(raft);
		return;
	}
	switch (message->kind) {
	case RAFT_APPEND_REQUEST: follower_append(raft, message); break;
	case RAFT_HEARTBEAT: follower_heartbeat(raft, message); break;
	case RAFT_SNAPSHOT_CHUNK: snapshot_chunk(raft, message); break;
	default: election_timeout_now(raft, message); break;
	}
}

static void step_to_leader(struct raft *raft, const struct raft_message *message)
{
	struct progress *peer = find_peer(raft, message->from);
	bool is_append = message->kind == RAFT_APPEND_RESPONSE;
	if (raft->role != RAFT_LEADER || peer == NULL) {
		raft->counts.stale++;
		return;
	}
	uint64_t round = is_append ? message->append_response.round : message->snapshot_response.round;
	if (round > raft->round) {
		message_refuse(raft);
		return;
	}
	peer->heard_at = raft->now;
	if (round > peer->acked_round)
		peer->acked_round = round;
	if (is_append)
		replication_response(raft, peer, &message->append_response);
	else
		snapshot_response(raft, peer, &message->snapshot_response);
}

/* Who is no member any more, or not yet, moves nobody to its term by answering. (As leader it may: that it leads says that there is
 * a configuration with it.) */
static bool may_move_term(const struct raft *raft, const struct raft_message *message)
{
	return is_of_leader(message->kind) || configuration_find(latest(raft), message->from) != NULL;
}

void message_step(struct raft *raft, const struct raft_message *message)
{
	if (!raft->started || !can_be(raft, message)) {
		message_refuse(raft);
		return;
	}
	/* Whether a request to vote moves the term depends on whether it is heeded. */
	if (message->kind == RAFT_VOTE_REQUEST) {
		election_vote_request(raft, message);
		return;
	}
	if (message->term > raft->term) {
		if (!may_move_term(raft, message)) {
			raft->counts.stale++;
			return;
		}
		enter_term(raft, message->term);
		follow(raft, 0);
	}
	if (message->kind == RAFT_VOTE_RESPONSE)
		election_vote_response(raft, message);
	else if (message->term < raft->term)
		answer_stale(raft, message);
	else if (message->kind == RAFT_READ_REQUEST)
		read_request(raft, message);
	else if (message->kind == RAFT_READ_RESPONSE)
		read_response(raft, message);
	else if (is_of_leader(message->kind))
		step_from_leader(raft, message);
	else
		step_to_leader(raft, message);
}
