#include "base/error.h"
#include "base/memory.h"
#include "election/raft_internal.h"

#include <assert.h>

#define DEFAULT_ELECTION_MS 200
#define DEFAULT_HEARTBEAT_MS 40
#define DEFAULT_BATCH 512
#define DEFAULT_WINDOW 64
#define DEFAULT_READS 1024
#define DEFAULT_PROMOTE_LAG 1000

/* --- life ---------------------------------------------------------------------------------------------------------- */

static int log_recover(struct raft *raft, const struct raft_config *config)
{
	uint64_t base = config->snapshot_index;
	if (config->last_index < base)
		return ERR_INVALID;
	if (config->run_count == 0)
		base = config->last_index;
	log_terms_init(&raft->log, base, config->snapshot_term);
	for (size_t i = 0; i < config->run_count; i++) {
		const struct raft_term_run *run = &config->runs[i];
		uint64_t end = i + 1 < config->run_count ? config->runs[i + 1].first : config->last_index + 1;
		if (run->first != raft->log.last_index + 1 || end <= run->first ||
		    run->term < log_terms_last_term(&raft->log))
			return ERR_INVALID;
		log_terms_append(&raft->log, run->term, end - run->first);
	}
	return 0;
}

static int configurations_recover(struct raft *raft, const struct raft_config *config)
{
	struct raft_configuration alone = {.count = 1, .members = {{.id = config->id, .voter = true}}};
	if (config->configuration_count == 0) {
		configurations_init(&raft->configurations, &alone);
		return 0;
	}
	configurations_init(&raft->configurations, &config->configurations[0]);
	for (size_t i = 0; i < config->configuration_count; i++) {
		const struct raft_configuration *configuration = &config->configurations[i];
		if (configuration->count != 0 && !configuration_valid(configuration))
			return ERR_INVALID;
		if (configuration->index > raft->log.last_index)
			return ERR_INVALID;
		if (i > 0 && configuration->index <= config->configurations[i - 1].index)
			return ERR_INVALID;
		if (i > 0)
			configurations_add(&raft->configurations, configuration);
	}
	return 0;
}

static msec or_default(msec value, msec standard)
{
	return value != 0 ? value : standard;
}

static void settings(struct raft *raft, const struct raft_config *config)
{
	raft->election_ms = or_default(config->election_timeout_ms, DEFAULT_ELECTION_MS);
	raft->heartbeat_ms = or_default(config->heartbeat_ms, DEFAULT_HEARTBEAT_MS);
	raft->heartbeat_slack_ms = config->heartbeat_slack_ms;
	raft->lease_ms = or_default(config->lease_ms, raft->election_ms * 3 / 4);
	raft->batch = config->batch_entries != 0 ? config->batch_entries : DEFAULT_BATCH;
	raft->window = config->window_batches != 0 ? config->window_batches : DEFAULT_WINDOW;
	raft->reads_max = config->reads_max != 0 ? config->reads_max : DEFAULT_READS;
	raft->promote_lag = config->promote_lag != 0 ? config->promote_lag : DEFAULT_PROMOTE_LAG;
	assert(raft->heartbeat_ms > 0 && raft->heartbeat_ms < raft->election_ms);
	assert(raft->heartbeat_slack_ms >= 0 && raft->heartbeat_slack_ms < raft->heartbeat_ms);
	assert(raft->lease_ms > 0 && raft->lease_ms < raft->election_ms);
	assert(raft->window <= RAFT_INFLIGHT_MAX);
}

int raft_create(const struct raft_config *config, struct raft **ret_raft)
{
	struct raft *raft = mem_zero(sizeof *raft);
	assert(config->id != 0);
	raft->id = config->id;
	settings(raft, config);
	raft->random.state = config->seed ^ config->id;
	raft->term = raft->saved_term = config->term;
	raft->voted_for = raft->saved_vote = config->voted_for;
	int result = log_recover(raft, config);
	if (result == 0)
		result = configurations_recover(raft, config);
	if (result != 0 || config->commit_index > raft->log.last_index) {
		raft_destroy(raft);
		return ERR_INVALID;
	}
	/* The log may have been durable before the term was. */
	if (raft->term < log_terms_last_term(&raft->log))
		enter_term(raft, log_terms_last_term(&raft->log));
	raft->synced_index = raft->log.last_index;
	raft->commit_index = config->commit_index > config->snapshot_index ? config->commit_index : config->snapshot_index;
	if (raft->configurations.list[0].index > raft->commit_index)
		raft->commit_index = raft->configurations.list[0].index;
	configurations_committed(&raft->configurations, raft->commit_index);
	raft->accepted = raft->commit_index;
	raft->election_deadline = MSEC_NEVER;
	*ret_raft = raft;
	return 0;
}

void raft_destroy(struct raft *raft)
{
	if (raft == NULL)
		return;
	log_terms_finish(&raft->log);
	configurations_finish(&raft->configurations);
	mem_free(raft->peers);
	mem_free(raft->reads);
	mem_free(raft->messages);
	mem_free(raft->answers);
	mem_free(raft);
}

/* --- what changes in few places ------------------------------------------------------------------------------------ */

struct raft_message *raft_send(struct raft *raft, enum raft_message_kind kind, uint64_t to)
{
	assert(to != raft->id);
	mem_grow(raft->messages, raft->message_capacity, raft->message_count + 1);
	struct raft_message *message = &raft->messages[raft->message_count++];
	*message = (struct raft_message){.kind = kind, .from = raft->id, .to = to, .term = raft->term};
	return message;
}

bool vote_is_durable(const struct raft *raft)
{
	return raft->saved_term == raft->term && raft->saved_vote == raft->voted_for;
}

void enter_term(struct raft *raft, uint64_t term)
{
	assert(term > raft->term && term <= RAFT_TERM_MAX);
	raft->term = term;
	raft->voted_for = 0;
	raft->grant_waits = 0;
	raft->heard_round = 0;
	raft->ack_waits = false;
	/* What is committed stands in the log of every later leader (§3.6.3). */
	raft->accepted = raft->commit_index;
}

void vote_for(struct raft *raft, uint64_t candidate)
{
	assert(candidate != 0 && (raft->voted_for == 0 || raft->voted_for == candidate));
	raft->voted_for = candidate;
}

void set_leader(struct raft *raft, uint64_t leader)
{
	if (raft->leader == leader)
		return;
	raft->leader = leader;
	raft->effects.leader_changed = true;
}

void set_role(struct raft *raft, enum raft_role role)
{
	static const bool allowed[4][4] = {
		[RAFT_FOLLOWER] = {[RAFT_PRE_CANDIDATE] = true, [RAFT_CANDIDATE] = true},
		[RAFT_PRE_CANDIDATE] = {[RAFT_FOLLOWER] = true, [RAFT_CANDIDATE] = true, [RAFT_PRE_CANDIDATE] = true},
		[RAFT_CANDIDATE] = {[RAFT_FOLLOWER] = true, [RAFT_LEADER] = true, [RAFT_PRE_CANDIDATE] = true},
		[RAFT_LEADER] = {[RAFT_FOLLOWER] = true},
	};
	assert(allowed[raft->role][role]);
	raft->role = role;
}

/* Follower of `leader`, or of nobody yet when it is 0. */
void follow(struct raft *raft, uint64_t leader)
{
	assert(leader != raft->id);
	if (raft->role == RAFT_LEADER) {
		raft->effects.stepped_down = true;
		reads_refuse(raft);
		snapshot_drop(raft);
		raft->transferee = 0;
		raft->peer_count = 0;
	}
	if (raft->role != RAFT_FOLLOWER) {
		set_role(raft, RAFT_FOLLOWER);
		raft->requests_wait = false;
		election_timer(raft);
	}
	set_leader(raft, leader);
}

void raise_commit(struct raft *raft, uint64_t index)
{
	assert(index > raft->commit_index && index <= raft->log.last_index);
	raft->commit_index = index;
	if (raft->accepted < index)
		raft->accepted = index;
	configurations_committed(&raft->configurations, index);
}

/* --- events -------------------------------------------------------------------------------------------------------- */

static void start(struct raft *raft)
{
	const struct raft_configuration *configuration = latest(raft);
	assert(!raft->started);
	raft->started = true;
	/* Before it went down it may have promised a leader, by answering it, that it would elect no other for a while. */
	raft->leader_heard = raft->now;
	election_timer(raft);
	/* A group that never had another member has nobody to ask, and nobody to wait for. */
	if (configuration->index == 0 && configuration->count == 1 && configuration_is_voter(configuration, raft->id))
		election_campaign(raft, false);
}

static void vote_saved(struct raft *raft)
{
	assert(raft->saving);
	raft->saving = false;
	raft->saved_term = raft->saving_term;
	raft->saved_vote = raft->saving_vote;
	if (vote_is_durable(raft))
		election_durable(raft);
}

static void synced(struct raft *raft, const struct raft_event *event)
{
	/* Of a log that was cut since, or replaced: what it says is about other entries. */
	if (event->cuts != raft->cuts || event->index <= raft->synced_index)
		return;
	assert(event->index <= raft->log.last_index);
	raft->synced_index = event->index;
	raft->ack_waits = true;
	if (raft->role == RAFT_LEADER)
		replication_commit(raft);
}

static void appended(struct raft *raft, uint64_t count)
{
	assert(raft->role == RAFT_LEADER);
	log_terms_append(&raft->log, raft->term, count);
}

static void sent(struct raft *raft, const struct raft_event *event)
{
	struct progress *peer = find_peer(raft, event->peer);
	if (peer != NULL && peer->state == RAFT_REPLICATE)
		progress_shorten(peer, event->index);
}

static void tick(struct raft *raft)
{
	if (!raft->started)
		return;
	if (raft->role == RAFT_LEADER) {
		transfer_tick(raft);
		replication_tick(raft);
	} else if (raft->now >= raft->election_deadline) {
		election_timeout(raft);
	}
}

static void dispatch(struct raft *raft, const struct raft_event *event)
{
	switch (event->kind) {
	case RAFT_START: start(raft); break;
	case RAFT_VOTE_SAVED: vote_saved(raft); break;
	case RAFT_APPENDED: appended(raft, event->count); break;
	case RAFT_SYNCED: synced(raft, event); break;
	case RAFT_TICK: tick(raft); break;
	case RAFT_MESSAGE: message_step(raft, event->message); break;
	case RAFT_SENT: sent(raft, event); break;
	case RAFT_COMPACTED:
		assert(event->index <= raft->commit_index);
		log_terms_compact(&raft->log, event->index);
		break;
	case RAFT_CHANGE: raft->effects.result = change_begin(raft, &event->change); break;
	case RAFT_TRANSFER: raft->effects.result = transfer_begin(raft, event->peer); break;
	case RAFT_READ: raft->effects.result = read_begin(raft, event->id, event->lease); break;
	case RAFT_SNAPSHOT_READY: snapshot_ready(raft, event->snapshot); break;
	case RAFT_CHUNK_SAVED: snapshot_chunk_saved(raft); break;
	case RAFT_SNAPSHOT_INSTALLED: snapshot_installed(raft); break;
	}
}

void raft_step(struct raft *raft, msec now, const struct raft_event *event, struct raft_effects *ret_effects)
{
	raft->now = now;
	raft->effects = (struct raft_effects){0};
	raft->message_count = 0;
	raft->answer_count = 0;
	dispatch(raft, event);
	if (raft->role == RAFT_LEADER)
		reads_advance(raft);
	follower_acknowledge(raft);
	if (!raft->saving && !vote_is_durable(raft)) {
		raft->effects.save_vote = raft->saving = true;
		raft->saving_term = raft->term;
		raft->saving_vote = raft->voted_for;
	}
	assert(raft->commit_index <= raft->log.last_index);
	assert(raft->synced_index <= raft->log.last_index);
	raft->effects.messages = raft->messages;
	raft->effects.message_count = raft->message_count;
	raft->effects.reads = raft->answers;
	raft->effects.read_count = raft->answer_count;
	*ret_effects = raft->effects;
}

bool raft_heartbeat_is_near(const struct raft *raft, msec now)
{
	return raft->started && raft->role == RAFT_LEADER && raft->peer_count > 0 &&
	       raft->heartbeat_at <= now + raft->heartbeat_slack_ms;
}

msec raft_deadline(const struct raft *raft)
{
	if (!raft->started)
		return MSEC_NEVER;
	if (raft->role != RAFT_LEADER)
		return raft->election_deadline;
	if (replication_wants_tick(raft))
		return 0;
	if (raft->peer_count == 0)
		return MSEC_NEVER;
	return raft->transferee != 0 ? msec_earlier(raft->heartbeat_at, raft->transfer_deadline) : raft->heartbeat_at;
}
