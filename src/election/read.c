#include "base/error.h"
#include "base/memory.h"
#include "election/raft_internal.h"

bool term_is_committed(const struct raft *raft)
{
	return raft->role == RAFT_LEADER && raft->commit_index >= raft->term_start;
}

/* --- rounds -------------------------------------------------------------------------------------------------------- */

/* Needs nobody to decide. */
static bool decides_alone(const struct raft *raft)
{
	return configuration_quorum(latest(raft)) == 1 && configuration_is_voter(latest(raft), raft->id);
}

void round_begin(struct raft *raft)
{
	raft->round++;
	raft->round_at[raft->round % ROUNDS_KEPT] = raft->now;
	for (size_t i = 0; i < raft->read_count; i++)
		if (raft->reads[i].round == 0)
			raft->reads[i].round = raft->round;
}

uint64_t round_heard(const struct raft *raft)
{
	const struct raft_configuration *configuration = latest(raft);
	uint64_t rounds[RAFT_VOTERS_MAX];
	uint32_t count = 0;
	for (uint32_t i = 0; i < configuration->count; i++) {
		if (!configuration->members[i].voter)
			continue;
		struct progress *peer = find_peer((struct raft *)raft, configuration->members[i].id);
		uint64_t round = peer != NULL ? peer->acked_round : raft->round;
		uint32_t place = count++;
		for (; place > 0 && rounds[place - 1] < round; place--)
			rounds[place] = rounds[place - 1];
		rounds[place] = round;
	}
	return rounds[configuration_quorum(configuration) - 1];
}

msec raft_lease_end(const struct raft *raft)
{
	if (raft->role != RAFT_LEADER || raft->transferee != 0 || raft->lease_forfeited)
		return 0;
	if (decides_alone(raft))
		return MSEC_NEVER;
	uint64_t heard = round_heard(raft);
	if (heard == 0 || raft->round - heard >= ROUNDS_KEPT)
		return 0;
	/* Counted from when it was asked: those who answered elect no other for an election timeout after they heard it. */
	return raft->round_at[heard % ROUNDS_KEPT] + raft->lease_ms;
}

/* --- reads --------------------------------------------------------------------------------------------------------- */

static void answer(struct raft *raft, const struct read *read, int result)
{
	if (read->from != raft->id) {
		struct raft_message *message = raft_send(raft, RAFT_READ_RESPONSE, read->from);
		message->read_response = (struct raft_read_response){
			.id = read->id,
			.index = read->index,
			.refused = result != 0,
		};
		return;
	}
	mem_grow(raft->answers, raft->answer_capacity, raft->answer_count + 1);
	raft->answers[raft->answer_count++] = (struct raft_read){read->id, read->index, result};
}

bool reads_want_round(const struct raft *raft)
{
	return raft->read_count > 0 && raft->reads[raft->read_count - 1].round == 0;
}

/* Answers the reads that a quorum's answers have confirmed this leader for, in the order in which they came. */
void reads_advance(struct raft *raft)
{
	size_t done = 0;
	if (raft->read_count == 0 || !term_is_committed(raft))
		return;
	uint64_t heard = round_heard(raft);
	for (; done < raft->read_count; done++) {
		struct read *read = &raft->reads[done];
		if (read->round == 0 || read->round > heard)
			break;
		if (read->index == 0)
			read->index = raft->commit_index;
		answer(raft, read, 0);
	}
	raft->read_count -= done;
	for (size_t i = 0; i < raft->read_count; i++) {
		raft->reads[i] = raft->reads[i + done];
		if (raft->reads[i].index == 0)
			raft->reads[i].index = raft->commit_index;
	}
}

void reads_refuse(struct raft *raft)
{
	for (size_t i = 0; i < raft->read_count; i++)
		answer(raft, &raft->reads[i], ERR_NOT_LEADER);
	raft->read_count = 0;
}

/* A read at the leader, for itself or for another. */
static int add(struct raft *raft, uint64_t id, uint64_t from, bool lease)
{
	struct read read = {.id = id, .from = from};
	if (term_is_committed(raft)) {
		read.index = raft->commit_index;
		if (decides_alone(raft) || (lease && raft->now < raft_lease_end(raft))) {
			answer(raft, &read, 0);
			return 0;
		}
	}
	if (raft->read_count == raft->reads_max)
		return ERR_BUSY;
	mem_grow(raft->reads, raft->read_capacity, raft->read_count + 1);
	raft->reads[raft->read_count++] = read;
	if (raft->peer_count == 0)
		round_begin(raft); /* nobody to ask, only the term's first commit to wait for */
	return 0;
}

int read_begin(struct raft *raft, uint64_t id, bool lease)
{
	if (raft->role == RAFT_LEADER)
		return add(raft, id, raft->id, lease);
	if (raft->role != RAFT_FOLLOWER || raft->leader == 0)
		return ERR_NOT_LEADER;
	raft_send(raft, RAFT_READ_REQUEST, raft->leader)->read_request.id = id;
	return 0;
}

void read_request(struct raft *raft, const struct raft_message *message)
{
	uint64_t id = message->read_request.id;
	if (raft->role == RAFT_LEADER && add(raft, id, message->from, false) == 0)
		return;
	answer(raft, &(struct read){.id = id, .from = message->from}, ERR_BUSY);
}

void read_response(struct raft *raft, const struct raft_message *message)
{
	const struct raft_read_response *response = &message->read_response;
	struct read read = {.id = response->id, .from = raft->id, .index = response->index};
	/* Anyone may say that it does not lead; an index counts from the leader alone. */
	if (!response->refused && message->from != raft->leader) {
		raft->counts.stale++;
		return;
	}
	answer(raft, &read, response->refused ? ERR_NOT_LEADER : 0);
}
