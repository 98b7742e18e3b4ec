#include "sim/raft_world.h"

#include "base/error.h"
#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>

/* --- logs ---------------------------------------------------------------------------------------------------------- */

uint64_t entries_last(const struct entries *entries)
{
	return entries->base + entries->count;
}

struct entry *entries_at(struct entries *entries, uint64_t index)
{
	assert(index > entries->base && index <= entries_last(entries));
	return &entries->list[index - entries->base - 1];
}

void entries_append(struct entries *entries, const struct entry *entry)
{
	mem_grow(entries->list, entries->capacity, entries->count + 1);
	entries->list[entries->count++] = *entry;
}

void entries_cut_after(struct entries *entries, uint64_t index)
{
	assert(index >= entries->base);
	if (index < entries_last(entries))
		entries->count = index - entries->base;
}

void entries_compact(struct entries *entries, uint64_t index)
{
	if (index <= entries->base)
		return;
	uint64_t gone = index - entries->base;
	entries->base_term = entries_at(entries, index)->term;
	entries->base = index;
	entries->count -= gone;
	for (size_t i = 0; i < entries->count; i++)
		entries->list[i] = entries->list[i + gone];
}

void entries_reset(struct entries *entries, uint64_t index, uint64_t term)
{
	entries->base = index;
	entries->base_term = term;
	entries->count = 0;
}

/* --- the disk ------------------------------------------------------------------------------------------------------ */

static void job_destroy(struct disk_job *job)
{
	mem_free(job->entries);
	mem_free(job);
}

static void schedule_disk(struct world *world, struct node *node, bool vote)
{
	usec at = world->now + 50 + (usec)roll(world, (uint64_t)node->sync_time);
	world_at(world, at, vote ? AT_DISK_VOTE : AT_DISK_LOG, node, 0);
}

static void give_disk(struct world *world, struct node *node, struct disk_job *take_job)
{
	bool vote = take_job->kind == DISK_VOTE;
	struct disk_jobs *jobs = vote ? &node->vote_jobs : &node->log_jobs;
	bool idle = STAILQ_EMPTY(jobs);
	STAILQ_INSERT_TAIL(jobs, take_job, link);
	if (idle)
		schedule_disk(world, node, vote);
}

static struct disk_job *job_create(enum disk_kind kind)
{
	struct disk_job *job = mem_zero(sizeof *job);
	job->kind = kind;
	return job;
}

static void disk_append(struct node *node, const struct disk_job *job, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t index = job->first + i;
		if (index <= entries_last(&node->disk_log)) /* only when a cut was not done */
			*entries_at(&node->disk_log, index) = job->entries[i];
		else
			entries_append(&node->disk_log, &job->entries[i]);
	}
}

static void disk_install(struct node *node, const struct snapshot_made *made)
{
	entries_reset(&node->disk_log, made->snapshot.index, made->snapshot.term);
	node->disk_state = made->state;
	node->disk_commit = made->snapshot.index;
}

/* What the job does to the disk. `count`: of the entries, for a crash halves it. */
static void disk_do(struct world *world, struct node *node, const struct disk_job *job, size_t count)
{
	switch (job->kind) {
	case DISK_APPEND:
		disk_append(node, job, count);
		break;
	case DISK_CUT:
		if (world->planted != PLANTED_CUT_NOT_DONE)
			entries_cut_after(&node->disk_log, job->first);
		break;
	case DISK_INSTALL:
		disk_install(node, job->made);
		break;
	case DISK_CHUNK:
		break;
	case DISK_VOTE:
		if (world->planted != PLANTED_VOTE_NOT_SAVED) {
			node->disk_term = job->term;
			node->disk_vote = job->vote;
		}
		break;
	}
}

static void installed(struct world *world, struct node *node, const struct snapshot_made *made)
{
	node->cuts_done++;
	node->state = made->state;
	entries_reset(&node->log, made->snapshot.index, made->snapshot.term);
	node->writing = made->snapshot.index;
	world->counts.snapshots++;
	host_step(world, node, &(struct raft_event){.kind = RAFT_SNAPSHOT_INSTALLED});
}

static void synced(struct world *world, struct node *node, uint64_t index)
{
	struct raft_event event = {.kind = RAFT_SYNCED, .index = index, .cuts = node->cuts_done};
	host_step(world, node, &event);
}

/* Jobs that lie: what follows from them was told before. */
static bool was_told(const struct world *world, const struct node *node, const struct disk_job *job)
{
	return job->kind == DISK_APPEND &&
	       (world->planted == PLANTED_SYNC_LIES ||
	        (world->planted == PLANTED_LEADER_COUNTS_UNSYNCED && raft_role(node->raft) == RAFT_LEADER));
}

void host_disk_done(struct world *world, struct node *node, bool vote)
{
	struct disk_jobs *jobs = vote ? &node->vote_jobs : &node->log_jobs;
	struct disk_job *job = STAILQ_FIRST(jobs);
	STAILQ_REMOVE_HEAD(jobs, link);
	disk_do(world, node, job, job->count);
	if (!STAILQ_EMPTY(jobs))
		schedule_disk(world, node, vote);
	if (node->state.applied <= raft_synced_index(node->raft) && node->state.applied > node->disk_commit &&
	    chance(world, 1, 4))
		node->disk_commit = node->state.applied;
	switch (job->kind) {
	case DISK_APPEND: synced(world, node, job->first + job->count - 1); break;
	case DISK_CUT: node->cuts_done++; break;
	case DISK_INSTALL: installed(world, node, job->made); break;
	case DISK_CHUNK: host_step(world, node, &(struct raft_event){.kind = RAFT_CHUNK_SAVED}); break;
	case DISK_VOTE: host_step(world, node, &(struct raft_event){.kind = RAFT_VOTE_SAVED}); break;
	}
	job_destroy(job);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

static void crash_disk(struct world *world, struct node *node, struct disk_jobs *jobs)
{
	/* Of what was not synced some may have reached the disk, in order. */
	bool reaches = true;
	struct disk_job *job;
	while ((job = STAILQ_FIRST(jobs)) != NULL) {
		STAILQ_REMOVE_HEAD(jobs, link);
		reaches = reaches && chance(world, 1, 2);
		if (reaches)
			disk_do(world, node, job, job->count > 0 ? roll(world, job->count + 1) : 0);
		else
			world->counts.restarts_with_loss++;
		reaches = reaches && job->count == 0;
		job_destroy(job);
	}
}

void host_crash(struct world *world, struct node *node)
{
	if (node->raft == NULL)
		return;
	world_trace(world, "%" PRIu64 " goes down", node->id);
	crash_disk(world, node, &node->log_jobs);
	crash_disk(world, node, &node->vote_jobs);
	raft_destroy(node->raft);
	node->raft = NULL;
	node->life++;
	node->paused_until = 0;
	node->write_count = node->read_count = 0;
	node->making_snapshot = false;
	node->receiving = 0;
}

static size_t recover_runs(struct node *node, struct raft_term_run *runs)
{
	size_t count = 0;
	for (uint64_t index = node->disk_log.base + 1; index <= entries_last(&node->disk_log); index++) {
		uint64_t term = entries_at(&node->disk_log, index)->term;
		if (count == 0 || runs[count - 1].term != term)
			runs[count++] = (struct raft_term_run){index, term};
	}
	return count;
}

static size_t recover_configurations(struct world *world, struct node *node, struct raft_configuration *list)
{
	size_t count = 1;
	list[0] = node->disk_state.configuration;
	if (world->planted == PLANTED_CONFIGURATION_FORGOTTEN)
		return count;
	for (uint64_t index = node->disk_log.base + 1; index <= entries_last(&node->disk_log); index++) {
		struct entry *entry = entries_at(&node->disk_log, index);
		if (entry->configuration != NULL) {
			list[count] = *entry->configuration;
			list[count++].index = index;
		}
	}
	return count;
}

static void copy_log(struct node *node)
{
	entries_reset(&node->log, node->disk_log.base, node->disk_log.base_term);
	for (size_t i = 0; i < node->disk_log.count; i++)
		entries_append(&node->log, &node->disk_log.list[i]);
}

void host_start(struct world *world, struct node *node)
{
	struct raft_term_run *runs = mem_array(node->disk_log.count + 1, sizeof *runs);
	struct raft_configuration *configurations = mem_array(node->disk_log.count + 1, sizeof *configurations);
	struct raft_config config = {
		.id = node->id,
		.term = node->disk_term,
		.voted_for = node->disk_vote,
		.last_index = entries_last(&node->disk_log),
		.snapshot_index = node->disk_log.base,
		.snapshot_term = node->disk_log.base_term,
		.commit_index = chance(world, 1, 2) ? node->disk_commit : 0,
		.runs = runs,
		.run_count = recover_runs(node, runs),
		.configurations = configurations,
		.configuration_count = recover_configurations(world, node, configurations),
		.seed = random_next(&world->random),
		.batch_entries = (uint32_t)(1 + roll(world, 8)),
		.window_batches = (uint32_t)(1 + roll(world, 8)),
		.reads_max = 16,
		.promote_lag = 10,
	};
	if (config.commit_index > config.last_index)
		config.commit_index = 0;
	int result = raft_create(&config, &node->raft);
	mem_free(runs);
	mem_free(configurations);
	if (result != 0) {
		fail(world, "node %" PRIu64 " cannot start from its disk: %s", node->id, error_name(result));
		return;
	}
	world_trace(world, "%" PRIu64 " starts: term %" PRIu64 ", log %" PRIu64 " to %" PRIu64, node->id, node->disk_term,
	            node->disk_log.base + 1, config.last_index);
	copy_log(node);
	node->state = node->disk_state;
	node->cuts_done = 0;
	node->writing = config.last_index;
	node->commit_seen = raft_commit_index(node->raft);
	node->role_seen = RAFT_FOLLOWER;
	host_step(world, node, &(struct raft_event){.kind = RAFT_START});
}

/* --- effects ------------------------------------------------------------------------------------------------------- */

static struct raft_configuration *keep(struct world *world, const struct raft_configuration *configuration)
{
	mem_grow(world->kept, world->kept_capacity, world->kept_count + 1);
	return world->kept[world->kept_count++] = mem_copy(configuration, sizeof *configuration);
}

/* All entries of the log that the disk has not been given yet. */
static void write_log(struct world *world, struct node *node)
{
	uint64_t last = entries_last(&node->log);
	if (node->writing >= last)
		return;
	struct disk_job *job = job_create(DISK_APPEND);
	job->first = node->writing + 1;
	job->count = last - node->writing;
	job->entries = mem_array(job->count, sizeof *job->entries);
	for (size_t i = 0; i < job->count; i++)
		job->entries[i] = *entries_at(&node->log, job->first + i);
	node->writing = last;
	bool told = was_told(world, node, job);
	give_disk(world, node, job);
	if (told)
		synced(world, node, last);
}

static void append(struct world *world, struct node *node, const struct raft_configuration *configuration)
{
	struct entry entry = {.term = raft_term(node->raft), .payload = world->next_payload++};
	if (configuration != NULL)
		entry.configuration = keep(world, configuration);
	entries_append(&node->log, &entry);
	if (configuration == NULL)
		host_step(world, node, &(struct raft_event){.kind = RAFT_APPENDED, .count = 1});
}

static void take_cut(struct world *world, struct node *node, uint64_t after)
{
	struct disk_job *job = job_create(DISK_CUT);
	world->counts.cuts++;
	if (after < node->state.applied)
		fail(world, "node %" PRIu64 " cuts entries after %" PRIu64 ", and has applied %" PRIu64, node->id, after,
		     node->state.applied);
	else
		entries_cut_after(&node->log, after);
	job->first = after;
	if (node->writing > after)
		node->writing = after;
	give_disk(world, node, job);
}

static void take_entries(struct node *node, const struct raft_effects *effects, const struct raft_event *event)
{
	const struct entry *bodies = (const struct entry *)(uintptr_t)event->id;
	uint64_t first = event->message->append_request.prev_index + 1;
	for (uint64_t i = 0; i < effects->accept_count; i++) {
		assert(effects->accept_first + i == entries_last(&node->log) + 1);
		entries_append(&node->log, &bodies[effects->accept_first - first + i]);
	}
}

static void take_chunk(struct world *world, struct node *node, const struct raft_snapshot_chunk *chunk)
{
	if (chunk->offset == 0) {
		node->receiving = chunk->snapshot->id;
		node->received = 0;
	}
	if (node->receiving != chunk->snapshot->id || chunk->offset != node->received)
		fail(world, "node %" PRIu64 " writes a chunk that does not follow", node->id);
	node->received += chunk->length;
	give_disk(world, node, job_create(DISK_CHUNK));
}

static void install(struct world *world, struct node *node, const struct raft_snapshot *snapshot)
{
	struct disk_job *job = job_create(DISK_INSTALL);
	if (node->receiving != snapshot->id || node->received != snapshot->size) {
		fail(world, "node %" PRIu64 " installs a snapshot that is not all there", node->id);
		mem_free(job);
		return;
	}
	job->made = &world->snapshots[snapshot->id - 1];
	give_disk(world, node, job);
}

static void send_messages(struct world *world, struct node *node, struct raft_message *messages, size_t count)
{
	for (size_t i = 0; i < count && node->raft != NULL; i++) {
		struct raft_message *message = &messages[i];
		if (message->kind == RAFT_APPEND_REQUEST && message->append_request.count > 1 && chance(world, 1, 8)) {
			message->append_request.count = (uint32_t)(1 + roll(world, message->append_request.count - 1));
			struct raft_event event = {.kind = RAFT_SENT, .peer = message->to,
			                           .index = message->append_request.prev_index + message->append_request.count};
			world_send(world, node, message);
			host_step(world, node, &event);
			continue;
		}
		if (message->kind == RAFT_SNAPSHOT_CHUNK) {
			uint64_t left = message->chunk.snapshot->size - message->chunk.offset;
			message->chunk.length = (uint32_t)(left < 200 ? left : 200);
		}
		world_send(world, node, message);
	}
}

static void take_read(struct world *world, struct node *node, const struct raft_read *read)
{
	for (size_t i = 0; i < node->read_count; i++) {
		struct pending_read *pending = &node->reads[i];
		if (pending->id != read->id || pending->index != 0)
			continue;
		if (read->result == 0) {
			/* Nothing need be applied when nothing is committed; then there is nothing to see either. */
			pending->index = read->index != 0 ? read->index : 1;
			if (read->index == 0 && pending->floor > 0)
				fail(world, "a read at index 0");
		} else {
			node->reads[i] = node->reads[--node->read_count];
		}
		return;
	}
}

static void apply(struct world *world, struct node *node)
{
	uint64_t commit = raft_commit_index(node->raft);
	if (commit < node->commit_seen)
		fail(world, "node %" PRIu64 "'s commit index falls", node->id);
	if (commit > node->commit_seen)
		check_commit(world, node, node->commit_seen + 1, commit);
	node->commit_seen = commit;
	while (node->state.applied < commit && world->failure[0] == '\0') {
		uint64_t index = node->state.applied + 1;
		if (index <= node->log.base || index > entries_last(&node->log))
			return; /* a snapshot is being installed */
		struct entry *entry = entries_at(&node->log, index);
		check_applied(world, node, entry);
		node->state.applied = index;
		node->state.applied_term = entry->term;
		node->state.hash = world->committed[index].hash;
		if (entry->configuration != NULL) {
			node->state.configuration = *entry->configuration;
			node->state.configuration.index = index;
		}
	}
}

static void answer_clients(struct world *world, struct node *node)
{
	for (size_t i = 0; i < node->write_count;) {
		struct pending_write *write = &node->writes[i];
		if (write->index > node->state.applied) {
			i++;
			continue;
		}
		if (world->committed[write->index].term == write->term) {
			world->counts.writes++;
			if (write->index > world->floor)
				world->floor = write->index;
		}
		node->writes[i] = node->writes[--node->write_count];
	}
	for (size_t i = 0; i < node->read_count;) {
		struct pending_read read = node->reads[i];
		if (read.index == 0 || read.index > node->state.applied) {
			i++;
			continue;
		}
		node->reads[i] = node->reads[--node->read_count];
		check_read(world, node, &read);
	}
}

static void carry_out(struct world *world, struct node *node, struct raft_effects *effects, const struct raft_event *event)
{
	/* Another step may be made while these are carried out, and the core's memory is its own. */
	struct raft_message *messages = mem_array(effects->message_count + 1, sizeof *messages);
	for (size_t i = 0; i < effects->message_count; i++)
		messages[i] = effects->messages[i];
	struct raft_snapshot snapshot = {0};
	for (size_t i = 0; i < effects->message_count; i++)
		if (messages[i].kind == RAFT_SNAPSHOT_CHUNK) {
			snapshot = *messages[i].chunk.snapshot;
			messages[i].chunk.snapshot = &snapshot;
		}
	if (effects->save_vote) {
		struct disk_job *job = job_create(DISK_VOTE);
		job->term = raft_term(node->raft);
		job->vote = raft_voted_for(node->raft);
		give_disk(world, node, job);
	}
	for (size_t i = 0; i < effects->read_count; i++)
		take_read(world, node, &effects->reads[i]);
	if (effects->cut)
		take_cut(world, node, effects->cut_after);
	if (effects->accept_count > 0)
		take_entries(node, effects, event);
	if (effects->append_configuration != NULL)
		append(world, node, effects->append_configuration);
	if (effects->make_snapshot) {
		node->making_snapshot = true;
		world_at(world, world->now + 1000 + (usec)roll(world, 50000), AT_SNAPSHOT, node, 0);
	}
	if (effects->write_chunk)
		take_chunk(world, node, &event->message->chunk);
	if (effects->install_snapshot != NULL)
		install(world, node, effects->install_snapshot);
	if (effects->became_leader) {
		check_leader(world, node);
		append(world, node, NULL);
	}
	send_messages(world, node, messages, effects->message_count);
	mem_free(messages);
	if (effects->accept_count > 0 || raft_role(node->raft) == RAFT_LEADER)
		write_log(world, node);
}

void host_step(struct world *world, struct node *node, const struct raft_event *event)
{
	struct raft_effects effects;
	struct raft_event changed = *event;
	if (world->failure[0] != '\0')
		return;
	planted_before_step(world, node, &changed);
	raft_step(node->raft, node_clock(world, node), &changed, &effects);
	planted_after_step(world, node, &changed);
	if (raft_role(node->raft) != node->role_seen) {
		node->role_seen = raft_role(node->raft);
		world_trace(world, "%" PRIu64 " is %s of term %" PRIu64, node->id, raft_role_name(node->role_seen),
		            raft_term(node->raft));
	}
	carry_out(world, node, &effects, event);
	if (world->failure[0] == '\0' && node->raft != NULL) {
		apply(world, node);
		if (world->failure[0] == '\0')
			answer_clients(world, node);
	}
}

/* --- snapshots, clients -------------------------------------------------------------------------------------------- */

void host_snapshot_made(struct world *world, struct node *node)
{
	struct raft_event event = {.kind = RAFT_SNAPSHOT_READY};
	struct raft_snapshot snapshot;
	node->making_snapshot = false;
	if (world->snapshot_count < WORLD_SNAPSHOTS_MAX && node->state.applied > 0 && !chance(world, 1, 10)) {
		struct snapshot_made *made = &world->snapshots[world->snapshot_count++];
		made->state = node->state;
		made->snapshot = (struct raft_snapshot){
			.index = node->state.applied,
			.term = node->state.applied_term,
			.id = world->snapshot_count,
			.size = 1 + roll(world, 1000),
			.configuration = node->state.configuration,
		};
		snapshot = made->snapshot;
		event.snapshot = &snapshot;
	}
	host_step(world, node, &event);
}

void host_write(struct world *world, struct node *node)
{
	if (node->raft == NULL || raft_role(node->raft) != RAFT_LEADER || raft_transferee(node->raft) != 0)
		return;
	if (entries_last(&node->log) - raft_commit_index(node->raft) > 200)
		return;
	mem_grow(node->writes, node->write_capacity, node->write_count + 1);
	node->writes[node->write_count++] = (struct pending_write){entries_last(&node->log) + 1, raft_term(node->raft)};
	append(world, node, NULL);
	if (chance(world, 1, 2) && node->raft != NULL)
		write_log(world, node);
}

void host_read(struct world *world, struct node *node, bool lease)
{
	struct raft_event event = {.kind = RAFT_READ, .id = world->next_read++, .lease = lease};
	if (node->raft == NULL)
		return;
	if (node->read_count > 64)
		node->read_count = 0; /* they timed out */
	mem_grow(node->reads, node->read_capacity, node->read_count + 1);
	node->reads[node->read_count++] = (struct pending_read){.id = event.id, .floor = world->floor};
	world->counts.lease_reads += lease;
	host_step(world, node, &event);
}

/* What is applied becomes the state on disk, and the log lets go of it. */
void host_compact(struct world *world, struct node *node)
{
	uint64_t index = node->state.applied;
	if (node->raft == NULL || index > entries_last(&node->disk_log) || index <= node->disk_log.base ||
	    index > raft_synced_index(node->raft) || !STAILQ_EMPTY(&node->log_jobs))
		return;
	if (chance(world, 1, 2) && raft_needed_index(node->raft) <= index)
		return;
	node->disk_state = node->state;
	node->disk_commit = index;
	entries_compact(&node->disk_log, index);
	entries_compact(&node->log, index);
	host_step(world, node, &(struct raft_event){.kind = RAFT_COMPACTED, .index = index});
}
