#include "election/raft_internal.h"

#include <assert.h>

/* A sign of life of the leader of this term. */
void follower_heard(struct raft *raft, uint64_t leader, uint64_t round)
{
	if (raft->role != RAFT_FOLLOWER)
		follow(raft, leader);
	set_leader(raft, leader);
	raft->leader_heard = raft->now;
	election_timer(raft);
	if (round > raft->heard_round) {
		raft->heard_round = round;
		raft->ack_waits = true;
	}
}

static uint64_t durable(const struct raft *raft)
{
	return raft->accepted < raft->synced_index ? raft->accepted : raft->synced_index;
}

/* Says how far the log is the leader's and durable, once for all that came in this step. Never before the term is durable. */
void follower_acknowledge(struct raft *raft)
{
	if (!raft->ack_waits || raft->role != RAFT_FOLLOWER || raft->leader == 0 || !vote_is_durable(raft))
		return;
	raft->ack_waits = false;
	struct raft_message *message = raft_send(raft, RAFT_APPEND_RESPONSE, raft->leader);
	message->append_response = (struct raft_append_response){
		.accepted = raft->accepted,
		.match = durable(raft),
		.round = raft->heard_round,
	};
}

static void learn_commit(struct raft *raft, uint64_t commit)
{
	if (commit > raft->accepted)
		commit = raft->accepted;
	if (commit > raft->commit_index)
		raise_commit(raft, commit);
}

void follower_heartbeat(struct raft *raft, const struct raft_message *message)
{
	follower_heard(raft, message->from, message->heartbeat.round);
	raft->ack_waits = true;
	learn_commit(raft, message->heartbeat.commit);
}

/* Tells the leader where to look instead: the last place up to prev where the logs may still agree, by their terms. */
static void reject(struct raft *raft, const struct raft_message *message)
{
	const struct raft_append_request *request = &message->append_request;
	uint64_t last = raft->log.last_index;
	uint64_t hint = request->prev_index < last ? request->prev_index : last;
	uint64_t term = 0;
	if (hint >= raft->log.base_index) {
		hint = log_terms_last_at_most(&raft->log, hint, request->prev_term);
		log_terms_at(&raft->log, hint, &term);
	}
	struct raft_message *answer = raft_send(raft, RAFT_APPEND_RESPONSE, message->from);
	answer->append_response = (struct raft_append_response){
		.rejected = true,
		.round = raft->heard_round,
		.rejected_prev = request->prev_index,
		.hint_index = hint,
		.hint_term = term,
	};
}

static void cut_after(struct raft *raft, uint64_t index)
{
	assert(index >= raft->commit_index);
	log_terms_cut_after(&raft->log, index);
	configurations_cut_after(&raft->configurations, index);
	if (raft->synced_index > index)
		raft->synced_index = index;
	raft->cuts++;
	raft->effects.cut = true;
	raft->effects.cut_after = index;
}

/* Entries prev + 1 + skipped … are new: those that stand in their way go. */
static void accept(struct raft *raft, const struct raft_append_request *request, uint32_t skipped)
{
	uint64_t first = request->prev_index + 1 + skipped;
	if (first <= raft->log.last_index)
		cut_after(raft, first - 1);
	raft->effects.accept_first = first;
	raft->effects.accept_count = request->count - skipped;
	for (uint32_t i = skipped; i < request->count; i++) {
		const struct raft_entry *entry = &request->entries[i];
		log_terms_append(&raft->log, entry->term, 1);
		if (entry->configuration != NULL) {
			struct raft_configuration configuration = *entry->configuration;
			configuration.index = raft->log.last_index;
			configurations_add(&raft->configurations, &configuration);
		}
	}
	assert(raft->log.last_index == request->prev_index + request->count);
}

/* How many of the entries are there already; false: one contradicts what is committed, or what the leader itself has sent. */
static bool count_known(const struct raft *raft, const struct raft_append_request *request, uint32_t *ret_known)
{
	for (uint32_t i = 0; i < request->count; i++) {
		uint64_t index = request->prev_index + 1 + i;
		if (index < raft->log.base_index || log_terms_match(&raft->log, index, request->entries[i].term))
			continue;
		*ret_known = i;
		return index > raft->accepted;
	}
	*ret_known = request->count;
	return true;
}

void follower_append(struct raft *raft, const struct raft_message *message)
{
	const struct raft_append_request *request = &message->append_request;
	uint64_t end = request->prev_index + request->count;
	uint32_t known;
	follower_heard(raft, message->from, request->round);
	if (raft->reception.installing)
		return;
	/* Below the base nothing is known, and it is committed: it matches. */
	if (request->prev_index >= raft->log.base_index &&
	    !log_terms_match(&raft->log, request->prev_index, request->prev_term)) {
		if (request->prev_index <= raft->accepted)
			message_refuse(raft);
		else
			reject(raft, message);
		return;
	}
	if (!count_known(raft, request, &known)) {
		message_refuse(raft);
		return;
	}
	if (known < request->count)
		accept(raft, request, known);
	else
		raft->ack_waits = true;
	if (raft->accepted < end)
		raft->accepted = end;
	learn_commit(raft, request->commit);
}
