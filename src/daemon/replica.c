#include "daemon/cluster.h"

#include "base/memory.h"
#include "daemon/log_facts.h"
#include "wire/command.h"
#include "wire/frame.h"
#include "wire/raft.h"

#include <assert.h>
#include <inttypes.h>

/* The node as a replica: its log, and Raft, whose wishes it carries out. What Raft may not say before it is durable it does not say;
 * here everything is done in the order of its effects. */

#define BATCH_BYTES (4u << 20)   /* a batch for the disk takes no more entries once it has so many */
#define MESSAGE_BYTES (1u << 20) /* nor does a message */
#define CHUNK_BYTES (256u << 10) /* of a snapshot */
#define BACKLOG_SENDS 256        /* batches for one member that wait for the disk */
#define TICKS_AT_ONCE 64
/* A leader is missed after this to twice this, which leaves time for two heartbeats: one may come late, on a busy machine too. A turn a
 * little before the next one is due takes it along: to wake up costs more than to send. */
#define ELECTION_TIMEOUT_MS 250
#define HEARTBEAT_MS 100
#define HEARTBEAT_SLACK_MS 15
/* Applied entries that stay in memory for members that are not far behind. */
#define KEPT_ENTRIES 8192
#define KEPT_BYTES (16u << 20)

/* --- the log's end ------------------------------------------------------------------------------------------------- */

static uint64_t unapplied(const struct node *node)
{
	return raft_last_index(node->raft) - machine_applied_index(node->machine);
}

bool node_overloaded(const struct node *node)
{
	return unapplied(node) > NODE_BACKLOG_ENTRIES || node->unapplied_bytes > NODE_BACKLOG_BYTES;
}

bool node_behind(const struct node *node)
{
	uint64_t applied = machine_applied_index(node->machine);
	uint64_t commit = raft_commit_index(node->raft);
	uint64_t due = commit > applied ? commit - applied : 0;
	return due > NODE_BACKLOG_ENTRIES || (due > 0 && node->unapplied_bytes > NODE_BACKLOG_BYTES);
}

static void keep_entry(struct node *node, uint64_t term, struct buffer take_body, bool configuration)
{
	node->unapplied_bytes += take_body.size;
	tail_append(&node->tail, term, take_body, configuration);
	node->counts.entries++;
}

static struct buffer encode(struct node *node, struct command *command)
{
	struct buffer body = BUFFER_EMPTY;
	command->stamp = clock_next(&node->clock, node->host->wall(node->context));
	command->machine_version = MACHINE_VERSION;
	command_encode(command, &node->encoding, &body);
	arena_reset(&node->encoding);
	return body;
}

void node_propose(struct node *node, struct command *command, bool urgent)
{
	assert(node->leader);
	struct buffer body = encode(node, command);
	/* The entry before the event: what follows from it may already want to send it. */
	keep_entry(node, raft_term(node->raft), body, false);
	node->urgent = node->urgent || urgent;
	replica_step(node, &(struct raft_event){.kind = RAFT_APPENDED, .count = 1});
}

static void append_configuration(struct node *node, const struct raft_configuration *configuration)
{
	struct command_member members[RAFT_MEMBERS_MAX];
	struct command command = {.kind = COMMAND_CONFIGURATION};
	for (uint32_t i = 0; i < configuration->count; i++)
		members[i] = (struct command_member){configuration->members[i].id, configuration->members[i].voter};
	command.configuration.members = members;
	command.configuration.count = configuration->count;
	struct buffer body = encode(node, &command);
	keep_entry(node, raft_term(node->raft), body, true);
	node->urgent = true;
}

void replica_flush(struct node *node)
{
	struct wal_record records[1024];
	size_t count = 0;
	size_t bytes = 0;
	uint64_t index = node->given + 1;
	if (node->disk_busy || node->installing)
		return;
	for (; count < sizeof records / sizeof records[0] && bytes < BATCH_BYTES; index++) {
		const struct tail_entry *entry = tail_at(&node->tail, index);
		if (entry == NULL)
			break;
		bytes += entry->body.size;
		records[count++] = (struct wal_record){entry->index, entry->term, buffer_slice(&entry->body)};
	}
	if (count == 0)
		return;
	node->given = node->batch_last = index - 1;
	node->batch_cuts = node->cuts;
	node->urgent = node->given < raft_last_index(node->raft) && node->urgent;
	node->disk_busy = true;
	node->counts.batches++;
	tail_lend(&node->tail, records[0].index, node->batch_last);
	node->host->append(node->context, records, count);
}

uint64_t replica_applicable(const struct node *node)
{
	uint64_t commit = raft_commit_index(node->raft);
	uint64_t synced = raft_synced_index(node->raft);
	return commit < synced ? commit : synced;
}

void replica_applied(struct node *node)
{
	struct tail *tail = &node->tail;
	uint64_t applied = machine_applied_index(node->machine);
	uint64_t keep = raft_configuration(node->raft)->count > 1 ? KEPT_ENTRIES : 0;
	uint64_t before = applied + 1 > keep ? applied + 1 - keep : 0;
	tail_drop_before(tail, before);
	while (tail->bytes > node->unapplied_bytes + KEPT_BYTES && tail->first <= applied)
		tail_drop_before(tail, tail->first + 1);
}

static void cut(struct node *node, uint64_t last)
{
	assert(last >= machine_applied_index(node->machine));
	/* Of those from before the start only the disk knows. */
	for (uint64_t index = last + 1; index < tail_next(&node->tail); index++) {
		const struct tail_entry *entry = tail_at(&node->tail, index);
		node->unapplied_bytes -= entry != NULL ? entry->body.size : 0;
	}
	tail_cut_after(&node->tail, last);
	if (node->given > last)
		node->given = last;
	node->cuts++;
	node->host->cut(node->context, last);
}

/* --- sending ------------------------------------------------------------------------------------------------------- */

static void send_packed(struct node *node, const struct raft_message *message, const struct raft_outgoing *entries,
                        const struct slice *payload, size_t payload_count)
{
	Clusterd__Wire__RaftMessage *packed = raft_pack(message, entries, &node->encoding);
	packed->stamp = clock_next(&node->clock, node->host->wall(node->context));
	standing_sign(node, packed);
	node->host->peer_send(node->context, message->to, FRAME_RAFT, 0, &packed->base, payload, payload_count);
	arena_reset(&node->encoding);
}

static void send_entries(struct node *node, struct raft_message *message, const struct raft_outgoing *entries,
                         uint32_t count)
{
	struct slice parts[RAFT_MESSAGE_ENTRIES_MAX];
	parts[0] = SLICE("");
	for (uint32_t i = 0; i < count; i++)
		parts[i] = entries[i].body;
	message->append_request.count = count;
	send_packed(node, message, entries, parts, count);
}

static uint32_t collect(const struct node *node, const struct raft_message *message, struct raft_outgoing *entries)
{
	uint32_t count = 0;
	size_t bytes = 0;
	for (; count < message->append_request.count && count < RAFT_MESSAGE_ENTRIES_MAX; count++) {
		const struct tail_entry *entry = tail_at(&node->tail, message->append_request.prev_index + 1 + count);
		if (entry == NULL || (count > 0 && bytes + entry->body.size > MESSAGE_BYTES))
			break;
		bytes += entry->body.size;
		entries[count] = (struct raft_outgoing){entry->term, buffer_slice(&entry->body)};
	}
	return count;
}

static struct backlog *backlog_of(struct node *node, uint64_t member)
{
	struct backlog *backlog;
	HASH_FIND(hh, node->backlogs, &member, sizeof member, backlog);
	if (backlog != NULL)
		return backlog;
	backlog = mem_zero(sizeof *backlog);
	backlog->member = member;
	STAILQ_INIT(&backlog->sends);
	HASH_ADD(hh, node->backlogs, member, sizeof backlog->member, backlog);
	return backlog;
}

static void backlog_pop(struct backlog *backlog)
{
	struct pending_send *first = STAILQ_FIRST(&backlog->sends);
	STAILQ_REMOVE_HEAD(&backlog->sends, link);
	backlog->count--;
	mem_free(first);
}

static void backlog_clear(struct backlog *backlog)
{
	while (!STAILQ_EMPTY(&backlog->sends))
		backlog_pop(backlog);
}

/* So many entries of the first batch went out. */
static void backlog_advance(struct backlog *backlog, const struct raft_outgoing *sent, uint32_t count)
{
	struct raft_append_request *rest = &STAILQ_FIRST(&backlog->sends)->message.append_request;
	rest->prev_index += count;
	rest->prev_term = sent[count - 1].term;
	rest->count -= count;
	if (rest->count == 0)
		backlog_pop(backlog);
}

/* In order: what is in memory goes out, the first that is not is read. */
static void backlog_serve(struct node *node, struct backlog *backlog)
{
	struct raft_outgoing entries[RAFT_MESSAGE_ENTRIES_MAX];
	const struct pending_send *first;
	while ((first = STAILQ_FIRST(&backlog->sends)) != NULL && !backlog->reading) {
		struct raft_message message = first->message;
		const struct raft_append_request *request = &first->message.append_request;
		uint32_t count = collect(node, &message, entries);
		if (!node->leader || message.term != raft_term(node->raft)) {
			backlog_clear(backlog);
		} else if (count == 0) {
			backlog->reading = true;
			node->host->read(node->context, backlog->member, request->prev_index + 1,
			                 request->prev_index + request->count);
		} else {
			send_entries(node, &message, entries, count);
			backlog_advance(backlog, entries, count);
		}
	}
}

/* Batches wait: one that goes out before them would be rejected. */
static bool backlog_waits(const struct node *node, uint64_t member)
{
	struct backlog *backlog;
	HASH_FIND(hh, node->backlogs, &member, sizeof member, backlog);
	return backlog != NULL && backlog->count > 0;
}

/* Its entries are not in memory: they are read, and sent then. Too many that wait: this one gets lost, and is sent again. */
static void backlog_add(struct node *node, const struct raft_message *message)
{
	struct backlog *backlog = backlog_of(node, message->to);
	if (backlog->count >= BACKLOG_SENDS)
		return;
	struct pending_send *pending = mem_zero(sizeof *pending);
	pending->message = *message;
	STAILQ_INSERT_TAIL(&backlog->sends, pending, link);
	backlog->count++;
	backlog_serve(node, backlog);
}

/* What could not be read at once is read next, before what follows it. */
static void backlog_entries(struct node *node, struct backlog *backlog, const struct wal_record *records, size_t count)
{
	struct raft_outgoing entries[RAFT_MESSAGE_ENTRIES_MAX];
	const struct pending_send *first = STAILQ_FIRST(&backlog->sends);
	backlog->reading = false;
	if (first == NULL)
		return;
	struct raft_message message = first->message;
	bool good = node->leader && message.term == raft_term(node->raft) && count > 0 &&
	            records[0].index == message.append_request.prev_index + 1;
	uint32_t ready = 0;
	size_t bytes = 0;
	for (; good && ready < count && ready < message.append_request.count && ready < RAFT_MESSAGE_ENTRIES_MAX; ready++) {
		if (ready > 0 && bytes + records[ready].body.size > MESSAGE_BYTES)
			break;
		bytes += records[ready].body.size;
		entries[ready] = (struct raft_outgoing){records[ready].term, records[ready].body};
	}
	if (ready > 0) {
		send_entries(node, &message, entries, ready);
		backlog_advance(backlog, entries, ready);
	} else {
		backlog_clear(backlog);
	}
	backlog_serve(node, backlog);
}

static void send_chunk(struct node *node, struct raft_message *message)
{
	struct buffer bytes = BUFFER_EMPTY;
	uint64_t left = message->chunk.snapshot->size - message->chunk.offset;
	size_t size = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
	if (node->host->snapshot_read(node->context, message->chunk.offset, size, &bytes) == 0 && bytes.size > 0) {
		struct slice part = buffer_slice(&bytes);
		message->chunk.length = (uint32_t)bytes.size;
		send_packed(node, message, NULL, &part, 1);
	}
	buffer_finish(&bytes);
}

struct sent {
	uint64_t peer;
	uint64_t index;
};

static void send_message(struct node *node, struct raft_message *message, struct sent *sent, size_t *sent_count)
{
	struct raft_outgoing entries[RAFT_MESSAGE_ENTRIES_MAX];
	entries[0] = (struct raft_outgoing){0};
	if (message->kind == RAFT_SNAPSHOT_CHUNK) {
		send_chunk(node, message);
		return;
	}
	if (message->kind != RAFT_APPEND_REQUEST) {
		send_packed(node, message, NULL, NULL, 0);
		return;
	}
	uint32_t wanted = message->append_request.count;
	bool waits = wanted > 0 && backlog_waits(node, message->to);
	uint32_t count = waits ? 0 : collect(node, message, entries);
	if (wanted > 0 && count == 0) {
		backlog_add(node, message);
		return;
	}
	send_entries(node, message, entries, count);
	if (count < wanted)
		sent[(*sent_count)++] = (struct sent){message->to, message->append_request.prev_index + count};
}

/* A step sends at most one batch to each member. */
static void send_messages(struct node *node, const struct raft_effects *effects)
{
	struct sent sent[RAFT_MEMBERS_MAX];
	size_t sent_count = 0;
	for (size_t i = 0; i < effects->message_count; i++) {
		struct raft_message message = effects->messages[i];
		assert(sent_count < RAFT_MEMBERS_MAX);
		send_message(node, &message, sent, &sent_count);
	}
	for (size_t i = 0; i < sent_count; i++)
		replica_step(node, &(struct raft_event){.kind = RAFT_SENT, .peer = sent[i].peer, .index = sent[i].index});
}

/* --- effects ------------------------------------------------------------------------------------------------------- */

/* Stamps grow over the whole log (INVARIANTS, 5), also when the clock was set back: what was stamped last must be known
 * before the first entry of the term is. */
static void become_leader(struct node *node)
{
	uint64_t last = raft_last_index(node->raft);
	node->leader = true;
	node->counts.elections++;
	if (last == machine_applied_index(node->machine) || tail_at(&node->tail, last) != NULL) {
		node_begin_term(node); /* stamps of entries in memory have been seen as they came */
		return;
	}
	node->reading_last = true;
	node->host->read(node->context, NODE_READ_LAST, last, last);
}

static void take_last_entry(struct node *node, const struct wal_record *records, size_t count)
{
	struct command_head head;
	struct error error = {0};
	node->reading_last = false;
	if (!node->leader)
		return;
	if (count == 0 || command_peek(records[0].body, &head) != 0) {
		error_set(&error, ERR_CORRUPT, "the last entry of the log, %" PRIu64 ", cannot be read",
		          raft_last_index(node->raft));
		node_fail(node, &error);
		return;
	}
	clock_raise(&node->clock, head.stamp);
	node_begin_term(node);
}

static void step_down(struct node *node)
{
	struct backlog *backlog, *next;
	HASH_ITER(hh, node->backlogs, backlog, next)
		backlog_clear(backlog);
	node->leader = false;
	node_stepped_down(node);
}

/* What came with the message that was stepped. */
struct incoming {
	const struct raft_message *message;
	const struct slice *bodies;
	struct slice payload;
};

static void take_entries(struct node *node, const struct raft_effects *effects, const struct incoming *incoming)
{
	uint64_t skipped = effects->accept_first - incoming->message->append_request.prev_index - 1;
	for (uint64_t i = 0; i < effects->accept_count; i++) {
		const struct raft_entry *entry = &incoming->message->append_request.entries[skipped + i];
		struct slice from = incoming->bodies[skipped + i];
		struct buffer body = BUFFER_EMPTY;
		struct command_head head;
		assert(effects->accept_first + i == tail_next(&node->tail));
		buffer_append_slice(&body, from);
		if (command_peek(from, &head) == 0)
			clock_raise(&node->clock, head.stamp);
		keep_entry(node, entry->term, body, entry->configuration != NULL);
	}
	node->urgent = true;
}

static void take_snapshot_effects(struct node *node, const struct raft_effects *effects, const struct incoming *incoming)
{
	if (effects->make_snapshot)
		node->host->snapshot_make(node->context);
	if (effects->release_snapshot)
		node->host->snapshot_release(node->context);
	if (effects->write_chunk)
		node->host->chunk_write(node->context, incoming->message->chunk.snapshot, incoming->message->chunk.offset,
		                        incoming->payload);
	if (effects->install_snapshot != NULL) {
		node->installing = true;
		node->cuts++;
		node->host->snapshot_install(node->context, effects->install_snapshot);
	}
}

static int step(struct node *node, const struct raft_event *event, const struct incoming *incoming)
{
	struct raft_effects effects;
	raft_step(node->raft, node->host->now(node->context), event, &effects);
	if (effects.install_snapshot != NULL)
		node_settle(node); /* another one is to write to the catalog */
	if (node->failed)
		return effects.result;
	if (effects.save_vote) {
		node->saving_vote = true;
		node->host->save_vote(node->context, raft_term(node->raft), raft_voted_for(node->raft));
	}
	if (effects.stepped_down)
		step_down(node);
	if (effects.cut)
		cut(node, effects.cut_after);
	if (effects.accept_count > 0)
		take_entries(node, &effects, incoming);
	if (effects.append_configuration != NULL)
		append_configuration(node, effects.append_configuration);
	take_snapshot_effects(node, &effects, incoming);
	/* From here on other steps may follow, so what is the core's is copied. */
	size_t read_count = effects.read_count;
	struct raft_read *reads = read_count > 0 ? mem_copy(effects.reads, read_count * sizeof *reads) : NULL;
	if (effects.message_count > 0)
		send_messages(node, &effects);
	for (size_t i = 0; i < read_count; i++)
		reads_take(node, &reads[i]);
	mem_free(reads);
	if (effects.became_leader)
		become_leader(node);
	node->again = node->again || replica_applicable(node) > node->committed_seen;
	return effects.result;
}

int replica_step(struct node *node, const struct raft_event *event)
{
	return step(node, event, NULL);
}

void replica_turn(struct node *node, msec now)
{
	for (int i = 0; i < TICKS_AT_ONCE && raft_deadline(node->raft) <= now; i++)
		replica_step(node, &(struct raft_event){.kind = RAFT_TICK});
	if (raft_heartbeat_is_near(node->raft, now))
		replica_step(node, &(struct raft_event){.kind = RAFT_TICK});
}

/* --- what comes ---------------------------------------------------------------------------------------------------- */

void node_vote_saved(struct node *node)
{
	node->saving_vote = false;
	replica_step(node, &(struct raft_event){.kind = RAFT_VOTE_SAVED});
	if (node->entering)
		cluster_enter(node);
}

void node_synced(struct node *node, uint64_t index)
{
	(void)index; /* batches are synced whole */
	node->disk_busy = false;
	tail_return(&node->tail);
	replica_step(node, &(struct raft_event){.kind = RAFT_SYNCED, .index = node->batch_last, .cuts = node->batch_cuts});
}

void node_entries(struct node *node, uint64_t tag, const struct wal_record *records, size_t count)
{
	if (tag == NODE_READ_LAST)
		take_last_entry(node, records, count);
	else if (tag != NODE_READ_APPLY)
		backlog_entries(node, backlog_of(node, tag), records, count);
	else
		node_apply_read(node, records, count);
}

void node_compacted(struct node *node, uint64_t index)
{
	if (index > raft_commit_index(node->raft))
		index = raft_commit_index(node->raft);
	if (!node->installing)
		replica_step(node, &(struct raft_event){.kind = RAFT_COMPACTED, .index = index});
}

uint64_t node_needed_index(const struct node *node)
{
	return raft_needed_index(node->raft);
}

void replica_message(struct node *node, uint64_t member, const Clusterd__Wire__RaftMessage *packed, struct slice payload)
{
	struct raft_message message;
	struct error error = {0};
	struct incoming incoming = {.message = &message, .payload = payload};
	/* A founder that took entries before it knows the group would never hear who began it. */
	if (!node->entered || !standing_allows(node, member, packed)) {
		node->counts.messages_refused++;
		return;
	}
	if (packed->stamp != 0)
		clock_observe(&node->clock, packed->stamp, node->host->wall(node->context)); /* too far ahead: it is counted */
	if (raft_unpack(packed, member, node->id, payload, &node->arena, &message, &incoming.bodies, &error) == 0) {
		standing_heard(node, &message);
		step(node, &(struct raft_event){.kind = RAFT_MESSAGE, .message = &message}, &incoming);
	} else {
		node->counts.messages_refused++;
	}
	arena_reset(&node->arena);
}

void node_snapshot_made(struct node *node, const struct raft_snapshot *snapshot)
{
	replica_step(node, &(struct raft_event){.kind = RAFT_SNAPSHOT_READY, .snapshot = snapshot});
}

void node_chunk_written(struct node *node)
{
	replica_step(node, &(struct raft_event){.kind = RAFT_CHUNK_SAVED});
}

void node_snapshot_installed(struct node *node)
{
	struct error error = {0};
	assert(node->installing);
	if (node_load_machine(node, &error) != 0) {
		node_fail(node, &error);
		return;
	}
	node->installing = false;
	tail_reset(&node->tail, machine_applied_index(node->machine) + 1);
	node->given = machine_applied_index(node->machine);
	node->unapplied_bytes = 0;
	replica_step(node, &(struct raft_event){.kind = RAFT_SNAPSHOT_INSTALLED});
	reads_applied(node);
	requests_look_again(node);
	watches_changed_all(node);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

static struct raft_configuration known_configuration(const struct node *node, const struct node_config *config)
{
	const struct machine_configuration *from = machine_configuration(node->machine);
	struct raft_configuration configuration = {.index = from->index, .count = (uint32_t)from->count};
	for (size_t i = 0; i < from->count; i++)
		configuration.members[i] = (struct raft_member){from->members[i].id, from->members[i].voter};
	if (from->count == 0 && config->identity.founder_count > 0 && machine_applied_index(node->machine) > 0) {
		/* A catalog of before groups were written down: a node by itself. */
		configuration.count = 1;
		configuration.members[0] = (struct raft_member){config->id, true};
	}
	return configuration;
}

/* The terms of all entries from the first one of the log on, as far as they are known: applied ones from the catalog, the others from
 * the log itself. */
static size_t known_runs(const struct node *node, const struct node_config *config, struct raft_term_run *runs,
                         uint64_t *ret_base, uint64_t *ret_base_term)
{
	size_t known_count;
	size_t count = 0;
	uint64_t applied = machine_applied_index(node->machine);
	const struct machine_term_run *known = machine_term_runs(node->machine, &known_count);
	uint64_t base = config->first_index > 0 && config->first_index - 1 < applied ? config->first_index - 1 : applied;
	uint64_t base_term = 0;
	if (known_count == 0)
		base = applied;
	else if (base < known[0].first)
		base = known[0].first - 1;
	if (config->last_index < applied)
		base = applied;
	for (size_t i = 0; i < known_count; i++) {
		uint64_t first = known[i].first > base ? known[i].first : base + 1;
		uint64_t end = i + 1 < known_count ? known[i + 1].first : applied + 1;
		if (known[i].first <= base)
			base_term = known[i].term;
		if (first < end)
			runs[count++] = (struct raft_term_run){first, known[i].term};
	}
	if (base == applied)
		base_term = machine_applied_term(node->machine);
	for (size_t i = 0; config->facts != NULL && i < config->facts->run_count; i++) {
		const struct raft_term_run *run = &config->facts->runs[i];
		if (count == 0 || runs[count - 1].term != run->term)
			runs[count++] = *run;
	}
	*ret_base = base;
	*ret_base_term = base_term;
	return count;
}

int replica_create(struct node *node, const struct node_config *config, struct error *error)
{
	size_t fact_runs = config->facts != NULL ? config->facts->run_count : 0;
	size_t fact_configurations = config->facts != NULL ? config->facts->configuration_count : 0;
	struct raft_term_run *runs = mem_array(MACHINE_TERM_RUNS + fact_runs + 1, sizeof *runs);
	struct raft_configuration *configurations = mem_array(1 + fact_configurations, sizeof *configurations);
	uint64_t applied = machine_applied_index(node->machine);
	struct raft_config raft = {
		.election_timeout_ms = ELECTION_TIMEOUT_MS,
		.heartbeat_ms = HEARTBEAT_MS,
		.heartbeat_slack_ms = HEARTBEAT_SLACK_MS,
		.id = config->id,
		.term = config->term,
		.voted_for = config->voted_for,
		/* A catalog ahead of its log was restored or installed; what the log lacks is in it. */
		.last_index = config->last_index > applied ? config->last_index : applied,
		.commit_index = applied,
		.runs = runs,
		.configurations = configurations,
		.configuration_count = 1 + fact_configurations,
		.seed = config->seed,
	};
	raft.run_count = known_runs(node, config, runs, &raft.snapshot_index, &raft.snapshot_term);
	configurations[0] = known_configuration(node, config);
	for (size_t i = 0; i < fact_configurations; i++)
		configurations[1 + i] = config->facts->configurations[i];
	int code = raft_create(&raft, &node->raft);
	mem_free(runs);
	mem_free(configurations);
	if (code != 0)
		return error_set(error, ERR_CORRUPT,
		                 "log (up to entry %" PRIu64 ") and catalog (up to %" PRIu64 ") contradict each other: remove the "
		                 "data directory, and join the cluster anew",
		                 config->last_index, applied);
	tail_init(&node->tail, raft.last_index + 1);
	node->given = raft.last_index;
	node->committed_seen = applied;
	return 0;
}

/* There is no entry yet, and was no message: the group takes the place of the one that was not known. */
int replica_found(struct node *node, struct error *error)
{
	struct node_config config = {
		.id = node->id,
		.term = raft_term(node->raft),
		.voted_for = raft_voted_for(node->raft),
		.identity = node->identity,
		.seed = node->forming_seed,
	};
	if (machine_applied_index(node->machine) > 0 || raft_last_index(node->raft) > 0)
		return 0;
	int code = node_found_group(node, error);
	if (code != 0)
		return code;
	raft_destroy(node->raft);
	node->raft = NULL;
	tail_finish(&node->tail);
	code = replica_create(node, &config, error);
	if (code == 0)
		replica_step(node, &(struct raft_event){.kind = RAFT_START});
	return code;
}

void replica_destroy(struct node *node)
{
	struct backlog *backlog, *next;
	HASH_ITER(hh, node->backlogs, backlog, next) {
		backlog_clear(backlog);
		HASH_DELETE(hh, node->backlogs, backlog);
		mem_free(backlog);
	}
	reads_destroy(node);
	tail_finish(&node->tail);
	raft_destroy(node->raft);
}
