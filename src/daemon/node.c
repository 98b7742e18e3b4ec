#include "daemon/cluster.h"

#include "base/memory.h"
#include "base/random.h"
#include "daemon/consistency.h"
#include "daemon/forward.h"
#include "daemon/placing.h"
#include "wire/command.h"

#include <assert.h>
#include <inttypes.h>

/* Entries that tell where calls run wait this long for others to share their sync with: nobody waits for them, and after a
 * crash before it the calls are simply handed out again. */
#define ASSIGNED_DELAY_MS 5
#define APPLY_STRETCH_US 5000
#define HOUSEKEEPING_MS 5000
#define LEASED_SESSIONS_MS 500 /* where sessions have a time to live of their own */
/* A transaction goes on over many turns: what it changes often is written once, and nobody waits for its end (INVARIANTS, 11). It
 * ends when nothing has come for a while, in any case after this time, or with so much in it. */
#define COMMIT_QUIET_MS 50 /* longer than a slow sync, or each of those would end one */
#define COMMIT_MS 1000
#define COMMIT_ENTRIES 16384
#define COMMIT_BYTES (16u << 20)
#define EXPIRING_MS 40 /* from one command that deletes finished instances to the next, while there are more */

void node_fail(struct node *node, const struct error *error)
{
	if (node->failed)
		return;
	node->failed = true;
	node->host->fail(node->context, error);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

int node_load_machine(struct node *node, struct error *error)
{
	struct machine *machine;
	int code = machine_create(node->catalog, &machine, error);
	if (code != 0)
		return code;
	if (node->machine != NULL) { /* what runs here is of its definitions */
		mem_grow(node->former, node->former_capacity, node->former_count + 1);
		node->former[node->former_count++] = machine_take_registry(node->machine);
	}
	machine_destroy(node->machine);
	node->machine = machine;
	runner_definitions(node);
	clock_raise(&node->clock, machine_last_stamp(machine));
	return 0;
}

/* A founder begins with the group that was agreed on, before there is an entry. */
int node_found_group(struct node *node, struct error *error)
{
	const struct node_identity *identity = &node->identity;
	struct command_member members[RAFT_VOTERS_MAX];
	if (identity->cluster_id[0] == '\0' || identity->founder_count == 0 || machine_applied_index(node->machine) > 0 ||
	    machine_configuration(node->machine)->count > 0)
		return 0;
	for (uint32_t i = 0; i < identity->founder_count; i++)
		members[i] = (struct command_member){identity->founders[i], true};
	return machine_found(node->machine, slice_of(identity->cluster_id), members, identity->founder_count, error);
}

/* Sequences of requests to open a session: those of several leaders must not meet in the log (waiters find their answers by them). */
static uint64_t first_nonce(const struct node_config *config)
{
	struct random random = {config->seed ^ config->id ^ config->generation};
	return random_next(&random) % (UINT64_C(1) << 52) + 1;
}

int node_create(const struct node_config *config, struct catalog *catalog, const struct node_host *host, void *context,
                struct node **ret_node, struct error *error)
{
	struct node *node = mem_zero(sizeof *node);
	node->host = host;
	node->context = context;
	node->catalog = catalog;
	node->id = config->id;
	node->agent = config->agent;
	node->identity = config->identity;
	clock_init(&node->clock, 0, 0);
	int code = node_load_machine(node, error);
	if (code == 0)
		code = node_found_group(node, error);
	if (code == 0)
		code = replica_create(node, config, error);
	if (code != 0) {
		machine_destroy(node->machine);
		mem_free(node);
		return code;
	}
	node->sequencer = sequencer_create();
	node->dispatch = dispatch_create();
	node->waiters = waiters_create();
	node->forwarding = forwarding_create();
	node->consistency = consistency_create(config->seed);
	node->leases = lease_clock_create();
	node->placing = placing_create(config->seed);
	node->cpu = config->cpu;
	node->memory = config->memory;
	node->port_low = config->port_low;
	node->port_high = config->port_high;
	node->name = mem_string(config->name);
	node->address = mem_string(config->address);
	node->datacenter = mem_string(config->datacenter);
	node->tags = mem_string(config->tags);
	node->generation = config->generation;
	node->born_term = config->term;
	node->born_index = raft_last_index(node->raft);
	node->next_timer = MSEC_NEVER;
	node->next_nonce = first_nonce(config);
	runner_init(node, config->exec_slots, config->pool_calls);
	sites_init(node);
	code = cluster_create(node, config, error);
	if (code != 0) {
		node_destroy(node);
		return code;
	}
	*ret_node = node;
	return 0;
}

void node_destroy(struct node *node)
{
	struct session_seen *session;
	struct session_seen *next;
	if (node == NULL)
		return;
	node_calls_finish(node);
	runner_finish(node);
	supply_finish(node);
	sites_finish(node);
	cluster_destroy(node);
	replica_destroy(node);
	standings_destroy(node);
	HASH_ITER(hh, node->sessions, session, next) {
		HASH_DELETE(hh, node->sessions, session);
		mem_free(session);
	}
	forwarding_destroy(node->forwarding);
	consistency_destroy(node->consistency);
	waiters_destroy(node->waiters);
	lease_clock_destroy(node->leases);
	placing_destroy(node->placing);
	tasks_finish(node);
	mem_free(node->woken);
	dispatch_destroy(node->dispatch);
	sequencer_destroy(node->sequencer);
	machine_destroy(node->machine);
	for (size_t i = 0; i < node->former_count; i++)
		registry_destroy(node->former[i]);
	mem_free(node->former);
	mem_free(node->name);
	mem_free(node->address);
	mem_free(node->datacenter);
	mem_free(node->tags);
	mem_free(node->refusal);
	buffer_finish(&node->scratch);
	arena_finish(&node->arena);
	arena_finish(&node->encoding);
	mem_free(node);
}

void node_start(struct node *node)
{
	replica_step(node, &(struct raft_event){.kind = RAFT_START});
	cluster_start(node);
}

/* --- who waits ----------------------------------------------------------------------------------------------------- */

static void tell(struct node *node, enum wait_kind kind, uint64_t first)
{
	struct waiter waiter;
	while (waiters_take(node->waiters, kind, first, 0, &waiter)) {
		Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
		node_respond(node, waiter.connection, waiter.stream, &response, SLICE(""));
	}
}

/* --- leading and following ----------------------------------------------------------------------------------------- */

void node_begin_term(struct node *node)
{
	node_propose(node, &(struct command){.kind = COMMAND_NOOP}, true);
	roster_begin_term(node);
	node->timers_changed = true;
	node->timers_proposed = false;
	sessions_granted(node);
	leases_granted(node);
	replica_flush(node);
}

void node_stepped_down(struct node *node)
{
	node->ready = false;
	node_calls_unlead(node);
	placing_unlead(node);
	lease_clock_clear(node->leases);
	waiters_not_leader(node);
	node->handing_over = false;
	tell(node, WAIT_LEADER, 0);
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
	clock_raise(&node->clock, command.stamp);
	code = machine_apply(node->machine, index, term, &command, error);
	arena_reset(&node->arena);
	return code;
}

static void tell_configured(struct node *node)
{
	uint64_t index = machine_configuration(node->machine)->index;
	if (index != node->configuration_told) {
		node->configuration_told = index;
		tell(node, WAIT_CONFIGURATION, index);
	}
}

static void tell_ready(struct node *node)
{
	struct waiter waiter;
	assert(strcmp(status_state(node), STATUS_INACTIVE) != 0);
	while (waiters_take(node->waiters, WAIT_READY, 0, 0, &waiter)) {
		buffer_clear(&node->scratch);
		status_print(node, &node->scratch);
		Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
		node_respond(node, waiter.connection, waiter.stream, &response, buffer_slice(&node->scratch));
	}
}

void node_settle(struct node *node)
{
	struct error error = {0};
	if (node->failed || !machine_is_open(node->machine))
		return;
	if (machine_commit(node->machine, &error) != 0) {
		node_fail(node, &error);
		return;
	}
	machine_trim(node->machine);
}

static msec commit_deadline(const struct node *node)
{
	if (!machine_is_open(node->machine))
		return MSEC_NEVER;
	return msec_earlier(node->open_since + COMMIT_MS, node->open_changed + COMMIT_QUIET_MS);
}

static int open_transaction(struct node *node, struct error *error)
{
	if (machine_is_open(node->machine))
		return 0;
	assert(!node->installing);
	node->open_since = node->host->now(node->context);
	node->open_after = machine_applied_index(node->machine);
	node->open_bytes = 0;
	return machine_begin(node->machine, error);
}

/* Some entries were applied. What follows from them does not wait for the catalog: they are in the logs of most nodes and in this
 * one's, from where the catalog gets them again when it loses them. */
static void after_apply(struct node *node)
{
	struct error error = {0};
	assert(machine_applied_index(node->machine) <= replica_applicable(node));
	node->open_changed = node->host->now(node->context);
	replica_applied(node);
	if (machine_pause(node->machine, &error) != 0) {
		node_fail(node, &error);
		return;
	}
	node_effects(node);
	uint64_t entries = machine_applied_index(node->machine) - node->open_after;
	if (node->hold || entries >= COMMIT_ENTRIES || node->open_bytes >= COMMIT_BYTES)
		node_settle(node);
	if (node->failed)
		return;
	reads_applied(node);
	if (node->failed) /* what was read could not be */
		return;
	tell_configured(node);
	if (!node->ready && node->leader && machine_applied_term(node->machine) == raft_term(node->raft)) {
		node->ready = true;
		node_calls_lead(node);
		placing_lead(node);
		topics_sweep(node);
	}
}

/* Applies what is committed and at hand, for about 5 ms at a time, then lets the loop go on (INVARIANTS, 8). */
static void apply_committed(struct node *node)
{
	struct error error = {0};
	uint64_t commit = replica_applicable(node);
	uint64_t applied = machine_applied_index(node->machine);
	long long begun = node->host->now_us(node->context);
	node->again = false;
	node->committed_seen = commit;
	if (applied >= commit || node->failed)
		return;
	if (tail_at(&node->tail, applied + 1) == NULL) {
		if (!node->reading) {
			uint64_t last = node->tail.first - 1 < commit ? node->tail.first - 1 : commit;
			node->reading = true;
			node->host->read(node->context, NODE_READ_APPLY, applied + 1, last);
		}
		return;
	}
	int code = open_transaction(node, &error);
	while (code == 0 && applied < commit) {
		const struct tail_entry *entry = tail_at(&node->tail, applied + 1);
		assert(entry != NULL && entry->index == applied + 1);
		code = apply_entry(node, entry->index, entry->term, buffer_slice(&entry->body), &error);
		node->unapplied_bytes -= entry->body.size;
		node->open_bytes += entry->body.size;
		applied++;
		if (node->host->now_us(node->context) - begun > APPLY_STRETCH_US)
			break;
	}
	if (code != 0) {
		node_fail(node, &error);
		return;
	}
	node->again = applied < commit;
	after_apply(node);
}

void node_apply_read(struct node *node, const struct wal_record *records, size_t count)
{
	struct error error = {0};
	node->reading = false;
	if (node->installing)
		return;
	if (count == 0 || records[0].index != machine_applied_index(node->machine) + 1) {
		error_set(&error, ERR_CORRUPT, "the log lacks entry %" PRIu64 ", which the catalog needs next",
		          machine_applied_index(node->machine) + 1);
		node_fail(node, &error);
		return;
	}
	int code = open_transaction(node, &error);
	uint64_t applicable = replica_applicable(node);
	for (size_t i = 0; i < count && code == 0 && records[i].index <= applicable; i++) {
		code = apply_entry(node, records[i].index, records[i].term, records[i].body, &error);
		node->open_bytes += records[i].body.size;
	}
	if (code != 0) {
		node_fail(node, &error);
		return;
	}
	node->again = true;
	after_apply(node);
}

/* --- turns --------------------------------------------------------------------------------------------------------- */

static bool applies(const struct node *node)
{
	return node->again && !node->hold && !node->installing && !node->failed;
}

bool node_applies(const struct node *node)
{
	return applies(node) || commit_deadline(node) <= node->host->now(node->context);
}

void node_apply(struct node *node)
{
	if (commit_deadline(node) <= node->host->now(node->context))
		node_settle(node);
	if (applies(node))
		apply_committed(node);
}

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
	bool leased = sessions_keep(node, now);
	node->next_housekeeping = now + (leased ? LEASED_SESSIONS_MS : HOUSEKEEPING_MS);
	msec before = node->host->wall(node->context) - machine_settings(node->machine)->retention;
	if (catalog_finished_before(node->catalog, before) > 0 || catalog_jobs_finished_before(node->catalog, before) > 0) {
		node_propose(node, &(struct command){.kind = COMMAND_EXPIRE}, true);
		node->next_housekeeping = now + EXPIRING_MS;
	}
}

/* Whoever was to lead was not ready in time: this node goes on. */
static void tell_not_handed_over(struct node *node)
{
	struct waiter waiter;
	if (!node->handing_over || raft_transferee(node->raft) != 0)
		return;
	node->handing_over = false;
	while (waiters_take(node->waiters, WAIT_LEADER, 0, 0, &waiter))
		respond_error(node, waiter.connection, waiter.stream, ERR_BUSY,
		              SLICE("leadership was not taken over in time: come back later"));
}

/* What a leader begins by itself. */
static void lead(struct node *node)
{
	tell_not_handed_over(node);
	update_timers(node);
	fire_timers(node);
	housekeeping(node);
	leases_end(node);
	node_calls_scan(node);
	if (!node->failed)
		sites_turn(node);
	if (node->failed)
		return; /* the catalog could not be read: nothing more is begun */
	node_calls_expire(node);
	node_calls_pump(node);
	placing_turn(node);
	if (node->disk_busy)
		return;
	/* Assignments before results: what has returned must have been assigned before, in the log's order too. */
	bool overdue = node->assigned_count > 0 &&
	               node->host->now(node->context) >= node->assigned_since + ASSIGNED_DELAY_MS;
	if (node->urgent || overdue || sequencer_waiting(node->sequencer) > 0)
		node_calls_propose_assigned(node);
	node_calls_propose_results(node);
	if (node->urgent || overdue)
		replica_flush(node);
}

void node_turn(struct node *node)
{
	msec now = node->host->now(node->context);
	if (node->failed)
		return;
	forward_look(node);
	reads_expire(node, now);
	if (!node->failed)
		forward_turn(node);
	if (!node->failed)
		consistency_turn(node);
	if (!node->failed)
		presence_turn(node, now);
	if (!node->failed)
		watches_turn(node, now);
	if (!node->failed)
		catalog_watches_turn(node);
	if (!node->failed)
		runner_turn(node);
	if (!node->failed)
		tasks_turn(node);
	if (!node->failed)
		supply_turn(node, now);
	if (!node->failed && node->leader && !node->installing)
		lead(node);
	if (!node->failed && !node->installing)
		cluster_turn(node, now);
	if (!node->failed)
		replica_turn(node, now);
	if (!node->failed && !node->leader)
		replica_flush(node);
	if (!node->failed && waiters_count(node->waiters) > 0 && node_ready(node))
		tell_ready(node);
}

msec node_deadline(const struct node *node)
{
	msec now = node->host->now(node->context);
	msec deadline = msec_earlier(dispatch_deadline(node->dispatch), runner_deadline(node));
	deadline = msec_earlier(deadline, sites_deadline(node));
	deadline = msec_earlier(deadline, msec_earlier(supply_deadline(node), placing_deadline(node)));
	if (node->failed)
		return MSEC_NEVER;
	if (node->scanning)
		return now;
	deadline = msec_earlier(deadline, raft_deadline(node->raft));
	if (commit_deadline(node) > now) /* else node_applies */
		deadline = msec_earlier(deadline, commit_deadline(node));
	deadline = msec_earlier(deadline, reads_deadline(node));
	deadline = msec_earlier(deadline, forward_deadline(node));
	deadline = msec_earlier(deadline, consistency_deadline(node));
	deadline = msec_earlier(deadline, presence_deadline(node));
	deadline = msec_earlier(deadline, waiters_deadline(node->waiters));
	if (!node->installing)
		deadline = msec_earlier(deadline, cluster_deadline(node));
	if (node->assigned_count > 0 && !node->disk_busy)
		deadline = msec_earlier(deadline, node->assigned_since + ASSIGNED_DELAY_MS);
	if (node->ready && node->next_timer != MSEC_NEVER && !node->timers_proposed) {
		msec wait = node->next_timer - node->host->wall(node->context);
		deadline = msec_earlier(deadline, now + (wait > 0 ? wait : 0));
	}
	if (node->ready)
		deadline = msec_earlier(deadline, msec_earlier(node->next_housekeeping, lease_clock_deadline(node->leases)));
	return deadline;
}

void node_hold(struct node *node, bool hold)
{
	if (hold)
		node_settle(node);
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
	runner_drain(node);
}

bool node_quiet(const struct node *node)
{
	/* What others lead goes on without this node. */
	if (node->draining && !node->leader)
		return !node->disk_busy && runner_quiet(node);
	return node->draining && !node->disk_busy && node->assigned_count == 0 &&
	       raft_last_index(node->raft) == machine_applied_index(node->machine) && runner_quiet(node) &&
	       sequencer_waiting(node->sequencer) == 0;
}

uint64_t node_leader(const struct node *node)
{
	return node->agent ? node->runner.leader : raft_leader(node->raft);
}

uint64_t node_leader_term(const struct node *node)
{
	return node->agent ? node->runner.term : raft_term(node->raft);
}

/* A leader when it has applied an entry of its term; who follows when it has caught up with what it knows to be committed. */
bool node_ready(const struct node *node)
{
	if (node->agent)
		return node->runner.leader != 0 && !node->supply.wants_units;
	if (node->leader || node->installing)
		return node->ready;
	return cluster_leader_name(node)[0] != '\0' && raft_commit_index(node->raft) > 0 &&
	       machine_applied_index(node->machine) >= raft_commit_index(node->raft);
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
