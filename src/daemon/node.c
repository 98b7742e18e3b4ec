#include "daemon/node_internal.h"

#include "base/memory.h"
#include "wire/command.h"

#include <assert.h>
#include <inttypes.h>

/* Entries that tell where calls run wait this long for others to share their sync with: nobody waits for them, and after a
 * crash before it the calls are simply handed out again. */
#define ASSIGNED_DELAY_MS 5
#define APPLY_STRETCH_US 5000
#define BATCH_BYTES (4u << 20) /* a batch takes no more entries once it has so many */
#define HOUSEKEEPING_MS 5000
#define EXPIRING_MS 40 /* from one command that deletes finished instances to the next, while there are more */

void node_fail(struct node *node, const struct error *error)
{
	if (node->failed)
		return;
	node->failed = true;
	node->host->fail(node->context, error);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

int node_create(const struct node_config *config, struct catalog *catalog, const struct node_host *host, void *context,
                struct node **ret_node, struct error *error)
{
	struct node *node = mem_zero(sizeof *node);
	struct raft_config raft = {
		.id = config->id,
		.term = config->term,
		.voted_for = config->voted_for,
		.last_index = config->last_index,
	};
	node->host = host;
	node->context = context;
	node->catalog = catalog;
	STAILQ_INIT(&node->entries);
	int code = machine_create(catalog, &node->machine, error);
	if (code != 0) {
		mem_free(node);
		return code;
	}
	/* A catalog ahead of its log was restored or installed; what the log lacks is in it. */
	uint64_t applied = machine_applied_index(node->machine);
	if (raft.last_index < applied)
		raft.last_index = applied;
	raft_create(&raft, &node->raft);
	node->first_entry = raft.last_index + 1;
	node->committed_seen = applied;
	node->sequencer = sequencer_create();
	node->dispatch = dispatch_create();
	node->waiters = waiters_create();
	node->name = mem_string(config->name);
	node->address = mem_string(config->address);
	node->datacenter = mem_string(config->datacenter);
	node->tags = mem_string(config->tags);
	node->id = config->id;
	node->generation = config->generation;
	node->pool_calls = config->pool_calls;
	node->last_stamp = machine_last_stamp(node->machine);
	node->next_timer = MSEC_NEVER;
	node->next_nonce = 1;
	node_calls_init(node, config->exec_slots);
	*ret_node = node;
	return 0;
}

void node_destroy(struct node *node)
{
	struct entry *entry;
	struct session_seen *session;
	struct session_seen *next;
	if (node == NULL)
		return;
	node_calls_finish(node);
	while ((entry = STAILQ_FIRST(&node->entries)) != NULL) {
		STAILQ_REMOVE_HEAD(&node->entries, link);
		buffer_finish(&entry->body);
		mem_free(entry);
	}
	HASH_ITER(hh, node->sessions, session, next) {
		HASH_DELETE(hh, node->sessions, session);
		mem_free(session);
	}
	waiters_destroy(node->waiters);
	dispatch_destroy(node->dispatch);
	sequencer_destroy(node->sequencer);
	raft_destroy(node->raft);
	machine_destroy(node->machine);
	mem_free(node->name);
	mem_free(node->address);
	mem_free(node->datacenter);
	mem_free(node->tags);
	mem_free(node->assigned);
	mem_free(node->refusal);
	buffer_finish(&node->scratch);
	arena_finish(&node->arena);
	arena_finish(&node->encoding);
	mem_free(node);
}

/* --- the log's end ------------------------------------------------------------------------------------------------- */

bool node_overloaded(const struct node *node)
{
	return node->entry_count > NODE_BACKLOG_ENTRIES || node->entry_bytes > NODE_BACKLOG_BYTES;
}

static void entry_add(struct node *node, struct entry *entry)
{
	if (STAILQ_EMPTY(&node->entries))
		node->first_entry = entry->index;
	STAILQ_INSERT_TAIL(&node->entries, entry, link);
	node->entry_count++;
	node->entry_bytes += entry->body.size;
}

void node_propose(struct node *node, struct command *command, bool urgent)
{
	struct raft_effects effects;
	struct entry *entry = mem_zero(sizeof *entry);
	assert(node->leader);
	uint64_t stamp = (uint64_t)node->host->wall(node->context) << 16;
	node->last_stamp = stamp > node->last_stamp ? stamp : node->last_stamp + 1;
	command->stamp = node->last_stamp;
	command->machine_version = MACHINE_VERSION;
	command_encode(command, &node->encoding, &entry->body);
	arena_reset(&node->encoding);
	entry->index = raft_last_index(node->raft) + 1;
	entry->term = raft_term(node->raft);
	raft_step(node->raft, node->host->now(node->context), &(struct raft_event){.kind = RAFT_APPENDED, .count = 1},
	          &effects);
	entry_add(node, entry);
	if (node->unwritten == NULL)
		node->unwritten = entry;
	node->urgent = node->urgent || urgent;
	node->counts.entries++;
}

/* All that waits goes to the disk as one batch: one write, one sync. */
static void flush_batch(struct node *node)
{
	struct wal_record records[1024];
	size_t count = 0;
	size_t bytes = 0;
	struct entry *entry = node->unwritten;
	for (; entry != NULL && count < sizeof records / sizeof records[0] && bytes < BATCH_BYTES;
	     entry = STAILQ_NEXT(entry, link)) {
		bytes += entry->body.size;
		records[count++] = (struct wal_record){entry->index, entry->term, buffer_slice(&entry->body)};
	}
	if (count == 0)
		return;
	node->unwritten = entry;
	node->urgent = entry != NULL && node->urgent;
	node->disk_busy = true;
	node->counts.batches++;
	node->host->append(node->context, records, count);
}

/* --- Raft ---------------------------------------------------------------------------------------------------------- */

static void announce_node(struct node *node)
{
	struct command command = {
		.kind = COMMAND_NODE,
		.node = {
			.id = node->id,
			.name = slice_of(node->name),
			.role = SLICE("server"),
			.address = slice_of(node->address),
			.datacenter = slice_of(node->datacenter),
			.state = SLICE("alive"),
			.tags = slice_of(node->tags),
			.generation = node->generation,
		},
	};
	node_propose(node, &command, true);
}

static void begin_term(struct node *node)
{
	node_propose(node, &(struct command){.kind = COMMAND_NOOP}, true);
	announce_node(node);
	node->scanning = false;
	node->scan_after = 0;
	node->timers_changed = true;
	node->timers_proposed = false;
	sessions_granted(node);
	flush_batch(node);
}

/* Stamps grow over the whole log (INVARIANTS, 5), also when the clock was set back: what was stamped last must be known
 * before the first entry of the term is. */
static void become_leader(struct node *node)
{
	uint64_t last = raft_last_index(node->raft);
	node->leader = true;
	node->counts.elections++;
	if (last == machine_applied_index(node->machine)) {
		begin_term(node);
		return;
	}
	node->reading_last = true;
	node->host->read(node->context, NODE_READ_LAST, last, last);
}

static void take_last_entry(struct node *node, const struct wal_record *record)
{
	struct command command;
	struct error error = {0};
	if (command_decode(record->body, &node->arena, &command, &error) != 0) {
		error_prefix(&error, "entry %" PRIu64 " of the log", record->index);
		node_fail(node, &error);
		return;
	}
	if (command.stamp > node->last_stamp)
		node->last_stamp = command.stamp;
	arena_reset(&node->arena);
	begin_term(node);
}

static void step_raft(struct node *node, const struct raft_event *event)
{
	struct raft_effects effects;
	raft_step(node->raft, node->host->now(node->context), event, &effects);
	if (effects.save_vote)
		node->host->save_vote(node->context, raft_term(node->raft), raft_voted_for(node->raft));
	if (effects.became_leader)
		become_leader(node);
}

void node_start(struct node *node)
{
	step_raft(node, &(struct raft_event){.kind = RAFT_START});
}

void node_vote_saved(struct node *node)
{
	step_raft(node, &(struct raft_event){.kind = RAFT_VOTE_SAVED});
}

/* Nothing waits for it: only what is to be of a cluster that others begin wishes for it. */
void node_identity_saved(struct node *node)
{
	(void)node;
}

void node_synced(struct node *node, uint64_t index)
{
	node->disk_busy = false;
	step_raft(node, &(struct raft_event){.kind = RAFT_SYNCED, .index = index});
	node->again = true;
}

/* --- apply --------------------------------------------------------------------------------------------------------- */

static int apply_entry(struct node *node, uint64_t index, uint64_t term, struct slice body, struct error *error)
{
	struct command command;
	int code = command_decode(body, &node->arena, &command, error);
	if (code != 0) {
		error_prefix(error, "entry %" PRIu64 " of the log", index);
		return code;
	}
	if (command.stamp > node->last_stamp)
		node->last_stamp = command.stamp;
	code = machine_apply(node->machine, index, term, &command, error);
	arena_reset(&node->arena);
	return code;
}

static void entry_drop_first(struct node *node)
{
	struct entry *entry = STAILQ_FIRST(&node->entries);
	STAILQ_REMOVE_HEAD(&node->entries, link);
	node->entry_count--;
	node->entry_bytes -= entry->body.size;
	node->first_entry = entry->index + 1;
	buffer_finish(&entry->body);
	mem_free(entry);
}

static void after_transaction(struct node *node)
{
	node_effects(node);
	machine_trim(node->machine);
	if (!node->ready && node->leader && machine_applied_index(node->machine) >= node->committed_seen) {
		struct waiter waiter;
		node->ready = true;
		node->scanning = true;
		while (waiters_take(node->waiters, WAIT_READY, 0, 0, &waiter)) {
			buffer_clear(&node->scratch);
			status_print(node, &node->scratch);
			Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
			node->host->respond(node->context, waiter.connection, waiter.stream, &response,
			                    buffer_slice(&node->scratch));
		}
	}
}

/* Applies what is committed and at hand, for about 5 ms at a time, then lets the loop go on (INVARIANTS, 8). */
static void apply_committed(struct node *node)
{
	struct error error = {0};
	uint64_t commit = raft_commit_index(node->raft);
	uint64_t applied = machine_applied_index(node->machine);
	long long begun = node->host->now_us(node->context);
	node->again = false;
	node->committed_seen = commit;
	if (applied >= commit || node->failed)
		return;
	if (node->first_entry > applied + 1) {
		if (!node->reading) {
			node->reading = true;
			node->host->read(node->context, NODE_READ_APPLY, applied + 1, node->first_entry - 1);
		}
		return;
	}
	int code = machine_begin(node->machine, &error);
	while (code == 0 && applied < commit) {
		struct entry *entry = STAILQ_FIRST(&node->entries);
		assert(entry != NULL && entry->index == applied + 1);
		code = apply_entry(node, entry->index, entry->term, buffer_slice(&entry->body), &error);
		entry_drop_first(node);
		applied++;
		if (node->host->now_us(node->context) - begun > APPLY_STRETCH_US)
			break;
	}
	if (code == 0)
		code = machine_commit(node->machine, &error);
	if (code != 0) {
		node_fail(node, &error);
		return;
	}
	node->again = applied < commit;
	after_transaction(node);
}

void node_entries(struct node *node, uint64_t tag, const struct wal_record *records, size_t count)
{
	struct error error = {0};
	if (tag == NODE_READ_LAST && count > 0) {
		node->reading_last = false;
		take_last_entry(node, &records[0]);
		return;
	}
	node->reading = false;
	if (count == 0 || records[0].index != machine_applied_index(node->machine) + 1) {
		error_set(&error, ERR_CORRUPT, "the log lacks entry %" PRIu64 ", which the catalog needs next",
		          machine_applied_index(node->machine) + 1);
		node_fail(node, &error);
		return;
	}
	int code = machine_begin(node->machine, &error);
	for (size_t i = 0; i < count && code == 0; i++)
		code = apply_entry(node, records[i].index, records[i].term, records[i].body, &error);
	if (code == 0)
		code = machine_commit(node->machine, &error);
	if (code != 0) {
		node_fail(node, &error);
		return;
	}
	node->again = true;
	after_transaction(node);
}

/* --- turns --------------------------------------------------------------------------------------------------------- */

static void update_timers(struct node *node)
{
	if (!node->timers_changed)
		return;
	node->timers_changed = false;
	if (catalog_timer_next(node->catalog, &node->next_timer) != 0) {
		struct error error;
		error_set(&error, ERR_IO, "the catalog cannot be read: %s", catalog_error(node->catalog));
		node_fail(node, &error);
	}
}

static void fire_timers(struct node *node)
{
	if (node->timers_proposed || !node->ready || node->next_timer > node->host->wall(node->context))
		return;
	node->timers_proposed = true;
	node_propose(node, &(struct command){.kind = COMMAND_TIMERS}, true);
}

static void housekeeping(struct node *node)
{
	msec now = node->host->now(node->context);
	if (!node->ready || now < node->next_housekeeping)
		return;
	node->next_housekeeping = now + HOUSEKEEPING_MS;
	sessions_keep(node, now);
	msec before = node->host->wall(node->context) - machine_settings(node->machine)->retention;
	if (catalog_finished_before(node->catalog, before) > 0) {
		node_propose(node, &(struct command){.kind = COMMAND_EXPIRE}, true);
		node->next_housekeeping = now + EXPIRING_MS;
	}
}

void node_turn(struct node *node)
{
	if (node->failed)
		return;
	if (node->again && !node->hold)
		apply_committed(node);
	if (node->failed || !node->leader)
		return;
	update_timers(node);
	fire_timers(node);
	housekeeping(node);
	node_calls_scan(node);
	if (node->failed)
		return; /* the catalog could not be read: nothing more is begun */
	node_calls_expire(node);
	node_calls_pump(node);
	if (node->disk_busy)
		return;
	/* Assignments before results: what has returned must have been assigned before, in the log's order too. */
	bool overdue = node->assigned_count > 0 &&
	               node->host->now(node->context) >= node->assigned_since + ASSIGNED_DELAY_MS;
	if (node->urgent || overdue || sequencer_waiting(node->sequencer) > 0)
		node_calls_propose_assigned(node);
	node_calls_propose_results(node);
	if (node->urgent || overdue)
		flush_batch(node);
}

msec node_deadline(const struct node *node)
{
	msec now = node->host->now(node->context);
	msec deadline = dispatch_deadline(node->dispatch);
	if (node->failed)
		return MSEC_NEVER;
	if ((node->again && !node->hold) || node->scanning)
		return now;
	if (node->assigned_count > 0 && !node->disk_busy)
		deadline = msec_earlier(deadline, node->assigned_since + ASSIGNED_DELAY_MS);
	if (node->ready && node->next_timer != MSEC_NEVER && !node->timers_proposed) {
		msec wait = node->next_timer - node->host->wall(node->context);
		deadline = msec_earlier(deadline, now + (wait > 0 ? wait : 0));
	}
	if (node->ready)
		deadline = msec_earlier(deadline, node->next_housekeeping);
	return deadline;
}

void node_hold(struct node *node, bool hold)
{
	node->hold = hold;
}

void node_refuse(struct node *node, const char *reason)
{
	mem_free(node->refusal);
	node->refusal = reason[0] != '\0' ? mem_string(reason) : NULL;
}

void node_drain(struct node *node)
{
	node->draining = true;
}

bool node_quiet(const struct node *node)
{
	return node->draining && !node->disk_busy && node->entry_count == 0 && node->assigned_count == 0 &&
	       dispatch_running(node->dispatch) == 0 && sequencer_waiting(node->sequencer) == 0;
}

bool node_ready(const struct node *node)
{
	return node->ready;
}

uint64_t node_applied_index(const struct node *node)
{
	return machine_applied_index(node->machine);
}

int node_file(struct node *node, struct slice hash, bool *ret_executable, struct buffer *ret_content,
              struct error *error)
{
	int code = catalog_file_read(node->catalog, hash, ret_executable, ret_content);
	if (code != 0)
		return error_set(error, code, "the catalog has no file with the hash %.*s", SLICE_ARGS(hash));
	return 0;
}
