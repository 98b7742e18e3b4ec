#include "base/error.h"
#include "election/raft_internal.h"

#include <assert.h>
#include <string.h>

/* --- candidates ---------------------------------------------------------------------------------------------------- */

void election_timer(struct raft *raft)
{
	uint64_t spread = random_below(&raft->random, (uint64_t)raft->election_ms + 1);
	raft->election_deadline = raft->now + raft->election_ms + (msec)spread;
}

static void count_vote(struct raft *raft, uint64_t voter, enum vote vote)
{
	const struct raft_configuration *configuration = latest(raft);
	const struct raft_member *member = configuration_find(configuration, voter);
	/* Each member counts once, however often it answers; learners and others do not. */
	if (member != NULL && member->voter)
		raft->votes[member - configuration->members] = vote;
}

static uint32_t votes_that_are(const struct raft *raft, enum vote vote)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < latest(raft)->count; i++)
		count += raft->votes[i] == vote;
	return count;
}

static void request_votes(struct raft *raft, bool pre)
{
	const struct raft_configuration *configuration = latest(raft);
	for (uint32_t i = 0; i < configuration->count; i++) {
		if (!configuration->members[i].voter || configuration->members[i].id == raft->id)
			continue;
		struct raft_message *message = raft_send(raft, RAFT_VOTE_REQUEST, configuration->members[i].id);
		message->vote_request = (struct raft_vote_request){
			.pre = pre,
			.transfer = !pre && raft->transfer_campaign,
			.for_term = pre ? raft->term + 1 : raft->term,
			.last_index = raft->log.last_index,
			.last_term = log_terms_last_term(&raft->log),
		};
	}
}

static void lead(struct raft *raft)
{
	assert(vote_is_durable(raft) && raft->voted_for == raft->id);
	assert(raft->leader == 0);
	set_role(raft, RAFT_LEADER);
	set_leader(raft, raft->id);
	raft->effects.became_leader = true;
	replication_lead(raft);
}

/* Candidate or pre-candidate: is it decided? */
static void count_up(struct raft *raft)
{
	uint32_t quorum = configuration_quorum(latest(raft));
	uint32_t voters = configuration_voters(latest(raft));
	if (votes_that_are(raft, VOTE_GRANTED) >= quorum) {
		if (raft->role == RAFT_PRE_CANDIDATE)
			election_campaign(raft, false);
		else
			lead(raft);
	} else if (votes_that_are(raft, VOTE_REFUSED) > voters - quorum) {
		follow(raft, 0);
	}
}

/* Asks first whether it would be elected, so that one that cannot be does not disturb others with its terms (§9.6). */
static void pre_vote(struct raft *raft)
{
	if (raft->term == RAFT_TERM_MAX)
		return;
	set_role(raft, RAFT_PRE_CANDIDATE);
	raft->counts.pre_votes++;
	memset(raft->votes, 0, sizeof raft->votes);
	count_vote(raft, raft->id, VOTE_GRANTED);
	request_votes(raft, true);
	count_up(raft);
}

void election_campaign(struct raft *raft, bool transfer)
{
	raft->counts.elections++;
	set_role(raft, RAFT_CANDIDATE);
	set_leader(raft, 0);
	enter_term(raft, raft->term + 1);
	vote_for(raft, raft->id);
	memset(raft->votes, 0, sizeof raft->votes);
	raft->transfer_campaign = transfer;
	raft->requests_wait = true;
	election_timer(raft);
}

void election_timeout(struct raft *raft)
{
	set_leader(raft, 0);
	raft->requests_wait = false;
	election_timer(raft);
	if (raft->reception.installing)
		return;
	if (configurations_may_lead(&raft->configurations, raft->id))
		pre_vote(raft);
	else
		raft->election_deadline = MSEC_NEVER; /* no voter: it can only wait to be heard from */
}

/* Term and vote are on disk: what waited for that may be said. */
void election_durable(struct raft *raft)
{
	if (raft->grant_waits != 0) {
		struct raft_message *message = raft_send(raft, RAFT_VOTE_RESPONSE, raft->grant_waits);
		message->vote_response = (struct raft_vote_response){.granted = true, .for_term = raft->term};
		raft->grant_waits = 0;
	}
	if (raft->role == RAFT_CANDIDATE && raft->requests_wait) {
		raft->requests_wait = false;
		count_vote(raft, raft->id, VOTE_GRANTED);
		request_votes(raft, false);
		count_up(raft);
	}
}

void election_vote_response(struct raft *raft, const struct raft_message *message)
{
	const struct raft_vote_response *response = &message->vote_response;
	enum raft_role role = response->pre ? RAFT_PRE_CANDIDATE : RAFT_CANDIDATE;
	uint64_t for_term = response->pre ? raft->term + 1 : raft->term;
	if (raft->role != role || response->for_term != for_term || raft->requests_wait) {
		raft->counts.stale++;
		return;
	}
	count_vote(raft, message->from, response->granted ? VOTE_GRANTED : VOTE_REFUSED);
	count_up(raft);
}

/* --- voters -------------------------------------------------------------------------------------------------------- */

/* A leader was heard so lately that nobody has a reason to campaign: also what the leader's lease rests on (§6.4.1, §4.2.3). */
static bool leader_is_recent(const struct raft *raft)
{
	return raft->role == RAFT_LEADER || raft->now < raft->leader_heard + raft->election_ms;
}

static bool log_is_up_to_date(const struct raft *raft, const struct raft_vote_request *request)
{
	uint64_t last_term = log_terms_last_term(&raft->log);
	return request->last_term > last_term ||
	       (request->last_term == last_term && request->last_index >= raft->log.last_index);
}

static void answer_vote(struct raft *raft, const struct raft_message *message, bool granted)
{
	struct raft_message *answer = raft_send(raft, RAFT_VOTE_RESPONSE, message->from);
	answer->vote_response = (struct raft_vote_response){
		.pre = message->vote_request.pre,
		.granted = granted,
		.for_term = message->vote_request.for_term,
	};
}

void election_vote_request(struct raft *raft, const struct raft_message *message)
{
	const struct raft_vote_request *request = &message->vote_request;
	bool wanted = (request->transfer && !request->pre) || !leader_is_recent(raft);
	if (request->pre) {
		answer_vote(raft, message,
		            wanted && request->for_term > raft->term && log_is_up_to_date(raft, request));
		return;
	}
	if (message->term < raft->term) {
		answer_vote(raft, message, false);
		return;
	}
	if (!wanted)
		return;
	if (message->term > raft->term) {
		enter_term(raft, message->term);
		follow(raft, 0);
	}
	if (raft->role != RAFT_FOLLOWER || (raft->voted_for != 0 && raft->voted_for != message->from) ||
	    !log_is_up_to_date(raft, request)) {
		answer_vote(raft, message, false);
		return;
	}
	vote_for(raft, message->from);
	election_timer(raft);
	raft->grant_waits = message->from;
	if (vote_is_durable(raft))
		election_durable(raft);
}

/* --- transfer of leadership (§3.10) -------------------------------------------------------------------------------- */

void election_timeout_now(struct raft *raft, const struct raft_message *message)
{
	if (raft->role != RAFT_FOLLOWER || raft->leader != message->from || raft->reception.installing ||
	    !configurations_may_lead(&raft->configurations, raft->id) || raft->term == RAFT_TERM_MAX) {
		raft->counts.stale++;
		return;
	}
	election_campaign(raft, true);
}

static uint64_t best_voter(const struct raft *raft)
{
	const struct progress *best = NULL;
	for (size_t i = 0; i < raft->peer_count; i++) {
		const struct progress *peer = &raft->peers[i];
		if (configuration_is_voter(latest(raft), peer->id) && (best == NULL || peer->match > best->match))
			best = peer;
	}
	return best != NULL ? best->id : 0;
}

int transfer_begin(struct raft *raft, uint64_t peer)
{
	if (raft->role != RAFT_LEADER)
		return ERR_NOT_LEADER;
	if (raft->transferee != 0)
		return ERR_BUSY;
	if (peer == 0)
		peer = best_voter(raft);
	if (peer == raft->id)
		return ERR_INVALID;
	if (!configuration_is_voter(latest(raft), peer))
		return ERR_NOT_FOUND;
	raft->transferee = peer;
	raft->transfer_deadline = raft->now + raft->election_ms;
	find_peer(raft, peer)->asked_to_lead = false;
	return 0;
}

void transfer_tick(struct raft *raft)
{
	if (raft->transferee == 0)
		return;
	struct progress *peer = find_peer(raft, raft->transferee);
	if (peer == NULL || raft->now >= raft->transfer_deadline) {
		raft->transferee = 0;
	} else if (peer->match == raft->log.last_index && !peer->asked_to_lead) {
		peer->asked_to_lead = true;
		raft->lease_forfeited = true;
		raft_send(raft, RAFT_TIMEOUT_NOW, peer->id);
	}
}
