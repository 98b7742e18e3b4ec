#include "sim/sim.h"

#include "base/memory.h"
#include "daemon/log_facts.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DEFAULT_TICKS 3000
#define START_WALL 1700000000000ll
/* Once nothing fails any more everything must be finished within this time; then history expires. */
#define CALM_LIMIT_MS (5 * 60 * 1000)
#define SPINS_MAX 20000
#define DRAIN_MS 3000
#define BROKEN_RESTARTS_MAX 3

const char *const sim_fault_names[] = {"power", "kill", "stop", "io", "space", "clock", "calls", "workers", "clients", NULL};

const char *const sim_plant_names[PLANT_COUNT] = {
	"none",           "synced-early",  "sync-ignored",   "vote-lost",       "result-astray",
	"catalog-unsynced", "log-rewritten", "entry-repeated", "sequence-renewed",
};

/* --- telling ------------------------------------------------------------------------------------------------------- */

static struct sim *running; /* for an assertion that fails */

void sim_fail(struct sim *sim, const char *format, ...)
{
	va_list args;
	fflush(stdout);
	fprintf(stderr, "seed %" PRIu64 " failed at %lld ms (life %u): ", sim->options.seed, (long long)sim->now, sim->life);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	_exit(1);
}

void sim_trace(const struct sim *sim, const char *format, ...)
{
	va_list args;
	if (!sim->options.trace)
		return;
	fprintf(stderr, "%8lld ", (long long)sim->now);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
}

static void assertion_failed(int number)
{
	signal(number, SIG_DFL);
	sim_fail(running, "an assertion of the program failed (see above)");
}

/* --- chance and time ----------------------------------------------------------------------------------------------- */

uint64_t sim_below(struct sim *sim, uint64_t bound)
{
	return random_below(&sim->random, bound);
}

bool sim_chance(struct sim *sim, uint32_t percent)
{
	return sim_below(sim, 100) < percent;
}

static void add_event(struct sim *sim, uint32_t life, msec delay, schedule_action *action, uint64_t first,
                      uint64_t second)
{
	struct schedule_event event = {sim->now + delay, random_next(&sim->random), life, action, first, second};
	schedule_add(sim->schedule, &event);
}

void sim_after(struct sim *sim, msec delay, schedule_action *action, uint64_t first, uint64_t second)
{
	add_event(sim, sim->life, delay, action, first, second);
}

void sim_after_any(struct sim *sim, msec delay, schedule_action *action, uint64_t first, uint64_t second)
{
	add_event(sim, 0, delay, action, first, second);
}

/* --- the host ------------------------------------------------------------------------------------------------------ */

bool sim_is_up(const struct sim *sim)
{
	return sim->node != NULL && sim->down == UP && !sim->swallow;
}

void sim_go_down(struct sim *sim, enum sim_down how)
{
	static const char *const words[] = {"", "the power goes", "the process is killed", "it stops", "it cannot go on"};
	if (sim->down != UP)
		return;
	sim_trace(sim, "--- %s", words[how]);
	sim->down = how;
	sim->swallow = true;
	if (how == DOWN_POWER || how == DOWN_KILL)
		faulty_vfs_power_off(sim->vfs, SIM_CATALOG);
}

/* The disk or the node has failed: right when that was asked for, and a mistake else. */
void sim_broken(struct sim *sim, const struct error *error)
{
	if (sim->swallow)
		return;
	if (sim->cut_in_catalog || faulty_fs_is_off(sim->log_fs) || faulty_fs_is_off(sim->fs)) {
		sim_go_down(sim, DOWN_POWER);
		return;
	}
	if (!sim->may_break || (error->code != ERR_IO && error->code != ERR_NO_SPACE))
		sim_fail(sim, "the node ended by itself: %s", error->text);
	sim_trace(sim, "failed: %s", error->text);
	sim_go_down(sim, DOWN_BROKEN);
}

/* Every wish of the node comes through here; false: it is not to be carried out, for the process is dead. */
static bool host_enter(struct sim *sim)
{
	if (sim->failed)
		sim_fail(sim, "the node wishes for something after it said that it cannot go on");
	if (sim->swallow)
		return false;
	if (++sim->host_calls == sim->cut_at) {
		sim_go_down(sim, sim->cut_how);
		return false;
	}
	if (node_applied_index(sim->node) > sim->entry_count && sim->options.plant != PLANT_SYNCED_EARLY)
		sim_fail(sim, "entry %" PRIu64 " was applied, but the log is synced up to %" PRIu64 " only",
		         node_applied_index(sim->node), sim->entry_count);
	return true;
}

static msec host_now(void *context)
{
	return ((struct sim *)context)->now;
}

static msec host_wall(void *context)
{
	struct sim *sim = context;
	return START_WALL + sim->now + sim->wall_offset;
}

static long long host_now_us(void *context)
{
	struct sim *sim = context;
	return sim->microseconds += sim->microseconds_step;
}

static void host_append(void *context, const struct wal_record *records, size_t count)
{
	struct sim *sim = context;
	if (!host_enter(sim))
		return;
	for (size_t i = 0; i < count; i++) {
		if (records[i].term < sim->last_term)
			sim_fail(sim, "entry %" PRIu64 " has term %" PRIu64 " after one of term %" PRIu64, records[i].index,
			         records[i].term, sim->last_term);
	}
	disk_give_append(sim, records, count);
}

static void host_read(void *context, uint64_t tag, uint64_t from, uint64_t to)
{
	if (host_enter(context))
		disk_give_read(context, tag, from, to);
}

static void host_save_vote(void *context, uint64_t term, uint64_t voted_for)
{
	struct sim *sim = context;
	if (!host_enter(sim))
		return;
	if (term <= sim->last_term)
		sim_fail(sim, "it votes in term %" PRIu64 " again, of which there may be entries", term);
	disk_give_vote(sim, term, voted_for);
}

static void host_respond(void *context, uint64_t connection, uint32_t stream, const Clusterd__Wire__Response *response,
                         struct slice payload)
{
	if (host_enter(context))
		clients_response(context, connection, stream, response, payload);
}

static void host_send(void *context, uint64_t connection, int frame_type, const ProtobufCMessage *message,
                      struct slice payload)
{
	if (host_enter(context))
		workers_frame(context, connection, frame_type, message, payload);
}

static void host_query(void *context, uint64_t connection, uint32_t stream, const struct node_query *query)
{
	(void)connection;
	(void)stream;
	(void)query;
	sim_fail(context, "a query that nobody asked for");
}

static void host_save_snapshot(void *context, uint64_t connection, uint32_t stream)
{
	(void)connection;
	(void)stream;
	sim_fail(context, "a snapshot that nobody asked for");
}

static void host_call_start(void *context, struct call_id call, const struct definition *process, struct text *args)
{
	if (host_enter(context))
		calls_start(context, call, process, args);
}

static void host_call_abandon(void *context, struct call_id call)
{
	if (host_enter(context))
		calls_abandon(context, call);
}

static void host_status(void *context, struct buffer *out)
{
	(void)context;
	(void)out;
}

static void host_fail(void *context, const struct error *error)
{
	struct sim *sim = context;
	sim_broken(sim, error);
	sim->failed = true;
}

static const struct node_host node_host = {
	.now = host_now,
	.wall = host_wall,
	.now_us = host_now_us,
	.append = host_append,
	.read = host_read,
	.save_vote = host_save_vote,
	.respond = host_respond,
	.send = host_send,
	.query = host_query,
	.save_snapshot = host_save_snapshot,
	.call_start = host_call_start,
	.call_abandon = host_call_abandon,
	.status = host_status,
	.fail = host_fail,
};

/* --- lives --------------------------------------------------------------------------------------------------------- */

static void start(struct sim *sim, uint64_t unused1, uint64_t unused2);

/* The log and the catalog as they were found must agree with what is known to be on disk. */
static void check_found(struct sim *sim)
{
	uint64_t applied = 0;
	if (catalog_meta_number(sim->catalog, "applied_index", &applied) != 0)
		sim_fail(sim, "the catalog cannot be read: %s", catalog_error(sim->catalog));
	if (applied > sim->entry_count)
		sim_fail(sim, "the catalog has entry %" PRIu64 " applied, but the log ends at %" PRIu64, applied, sim->entry_count);
	sim_trace(sim, "found: log up to %" PRIu64 ", applied up to %" PRIu64 ", term %" PRIu64, sim->entry_count, applied,
	          sim->vote.term);
}

static int open_node(struct sim *sim, struct error *error)
{
	struct wal_recovery recovery;
	int code = disk_start(sim, &recovery, error);
	if (code == 0)
		code = catalog_open(SIM_CATALOG, "sim", &sim->catalog, error);
	if (code != 0)
		return code;
	struct log_facts facts = LOG_FACTS_EMPTY;
	uint64_t applied = 0;
	code = catalog_meta_number(sim->catalog, "applied_index", &applied);
	for (uint64_t index = applied + 1; index <= recovery.last_index && code == 0; index++) {
		const struct sim_entry *entry = &sim->entries[index - 1];
		struct wal_record record = {index, entry->term, text_slice(entry->body)};
		code = log_facts_add(&facts, &record, error);
	}
	if (code != 0)
		return code;
	struct node_config config = {
		.name = "node",
		.address = "127.0.0.1:9189",
		.datacenter = "",
		.tags = "{}",
		.id = sim->vote.node_id,
		.term = sim->vote.term,
		.voted_for = sim->vote.voted_for,
		.identity = {.founder_count = 1, .founders = {sim->vote.node_id}},
		.first_index = recovery.first_index,
		.last_index = recovery.last_index,
		.facts = &facts,
		.seed = random_next(&sim->random),
		.exec_slots = SIM_EXEC_SLOTS,
		.pool_calls = SIM_POOL_CALLS,
		.generation = sim->vote.term + 1,
	};
	if (!sim->may_break) {
		check_found(sim);
		if (!sim->expired)
			audit_catalog(sim);
		reference_compare(sim, "after the restart");
	}
	memcpy(config.identity.cluster_id, sim->vote.cluster_id, sizeof config.identity.cluster_id);
	code = node_create(&config, sim->catalog, &node_host, sim, &sim->node, error);
	log_facts_finish(&facts);
	return code;
}

static void bring_down(struct sim *sim)
{
	static const enum faulty_loss losses[] = {FAULTY_LOSE_SOME, FAULTY_LOSE_SOME, FAULTY_LOSE_ALL, FAULTY_LOSE_NOTHING};
	enum sim_down how = sim->down;
	sim->downs[how]++;
	sim->swallow = true;
	node_destroy(sim->node);
	sim->node = NULL;
	catalog_close(sim->catalog);
	sim->catalog = NULL;
	disk_stop(sim);
	faults_withdraw(sim);
	if (how == DOWN_POWER) {
		faulty_fs_crash(sim->fs);
		faulty_fs_crash(sim->log_fs);
		faulty_vfs_power_on(sim->vfs, SIM_CATALOG, losses[sim_below(sim, 4)]);
	} else if (how == DOWN_KILL) {
		faulty_vfs_power_on(sim->vfs, SIM_CATALOG, FAULTY_LOSE_NOTHING);
	}
	calls_down(sim);
	workers_down(sim);
	clients_down(sim);
	sim->down = UP;
	sim_after_any(sim, (msec)sim_below(sim, 400) + 1, start, 0, 0);
}

static void start(struct sim *sim, uint64_t unused1, uint64_t unused2)
{
	struct error error = {0};
	(void)unused1;
	(void)unused2;
	sim->life++;
	sim->swallow = sim->failed = sim->draining = sim->cut_in_catalog = false;
	sim->cut_at = 0;
	sim->microseconds_step = (long long[]){0, 0, 1000, 6000}[sim_below(sim, 4)];
	/* It may come up while the disk still fails. */
	sim->may_break = !sim->calm && (sim->options.faults & SIM_IO) != 0 && sim->restarts_broken < BROKEN_RESTARTS_MAX &&
	                 sim_chance(sim, 10);
	if (sim->may_break)
		faulty_vfs_fail(sim->vfs, (enum faulty_operation)sim_below(sim, FAULTY_OPERATIONS), 1 + sim_below(sim, 60),
		                10 /* SQLITE_IOERR */, sim_chance(sim, 50));
	sim_trace(sim, "--- the node starts (life %u)", sim->life);
	int code = open_node(sim, &error);
	if (code != 0) {
		sim_broken(sim, &error);
		sim->restarts_broken++;
		bring_down(sim);
		return;
	}
	sim->restarts_broken = 0;
	node_start(sim->node);
}

/* --- the run ------------------------------------------------------------------------------------------------------- */

static void turn(struct sim *sim)
{
	if (sim_is_up(sim))
		node_turn(sim->node);
	if (sim_is_up(sim) && sim->draining && (node_quiet(sim->node) || sim->now >= sim->drain_until))
		sim_go_down(sim, DOWN_STOP);
	if (sim->node != NULL && sim->down != UP)
		bring_down(sim);
}

/* Some of the events that are due, then a turn of the node, as its loop does. */
static void step(struct sim *sim)
{
	struct schedule_event event;
	msec next = schedule_next(sim->schedule);
	if (sim->node != NULL)
		next = msec_earlier(next, node_deadline(sim->node));
	if (sim->node != NULL && sim->draining)
		next = msec_earlier(next, sim->drain_until);
	if (next == MSEC_NEVER)
		sim_fail(sim, "nothing will ever happen again");
	if (next > sim->now)
		sim->now = next;
	sim->ticks++;
	for (uint64_t count = 1 + sim_below(sim, 4); count > 0 && schedule_take(sim->schedule, sim->now, &event); count--) {
		if (event.life != 0 && (event.life != sim->life || !sim_is_up(sim)))
			continue;
		event.action(sim, event.first, event.second);
		if (sim->down != UP)
			break;
	}
	turn(sim);
}

static void run_steps(struct sim *sim, bool (*done)(const struct sim *sim), msec limit, const char *what)
{
	msec begun = sim->now;
	msec last = sim->now;
	uint32_t spins = 0;
	while (!done(sim)) {
		step(sim);
		spins = sim->now == last ? spins + 1 : 0;
		last = sim->now;
		if (spins > SPINS_MAX)
			sim_fail(sim, "the node turns without end, though no time passes");
		if (sim->now - begun > limit) {
			audit_end(sim);
			sim_fail(sim, "%s is not over after %lld ms", what, (long long)limit);
		}
	}
}

static bool ticks_over(const struct sim *sim)
{
	return sim->ticks >= sim->options.ticks;
}

static bool empty(const struct sim *sim)
{
	return sim->node != NULL && catalog_finished_before(sim->catalog, MSEC_NEVER) == 0 && clients_done(sim);
}

static void finish_run(struct sim *sim)
{
	sim->calm = true;
	faults_withdraw(sim);
	sim_trace(sim, "--- nothing fails any more");
	run_steps(sim, clients_done, CALM_LIMIT_MS, "what the clients wanted");
	audit_catalog(sim);
	audit_end(sim);
	/* History goes. */
	sim_trace(sim, "--- history expires");
	sim->expired = true;
	clients_settle(sim, "retention", "1s");
	run_steps(sim, empty, CALM_LIMIT_MS, "the expiry of history");
	audit_empty(sim);
	/* It stops as it should, and what it left is what the log says. */
	sim->draining = true;
	sim->drain_until = sim->now + DRAIN_MS;
	node_drain(sim->node);
	turn(sim);
	while (sim->node != NULL)
		step(sim);
	while (sim->node == NULL)
		step(sim);
	reference_compare(sim, "at the end");
	replay_compare(sim);
}

void node_sim_run(const struct sim_options *options)
{
	struct sim *sim = mem_zero(sizeof *sim);
	sim->options = *options;
	if (sim->options.ticks == 0)
		sim->options.ticks = DEFAULT_TICKS;
	sim->random.state = options->seed * 0x9E3779B97F4A7C15u + 1;
	running = sim;
	signal(SIGABRT, assertion_failed);
	sim->schedule = schedule_create();
	sim->vfs = faulty_vfs_create("sim", true, random_next(&sim->random));
	sim->next_connection = 1;
	disk_init(sim);
	reference_init(sim);
	workers_init(sim);
	clients_init(sim);
	faults_init(sim);
	start(sim, 0, 0);
	run_steps(sim, ticks_over, MSEC_NEVER, "the run");
	finish_run(sim);
	printf("seed %" PRIu64 ": %" PRIu64 " workflows, %" PRIu64 " calls, %" PRIu64 " entries, %lld ms; power %" PRIu64
	       ", kill %" PRIu64 ", stop %" PRIu64 ", broken %" PRIu64 "\n",
	       options->seed, sim->next_x, sim->calls_made, sim->entry_count, (long long)sim->now, sim->downs[DOWN_POWER],
	       sim->downs[DOWN_KILL], sim->downs[DOWN_STOP], sim->downs[DOWN_BROKEN]);
	sim->down = UP;
	sim->swallow = true;
	node_destroy(sim->node);
	catalog_close(sim->catalog);
	disk_stop(sim);
	clients_finish(sim);
	workers_finish(sim);
	calls_finish(sim);
	reference_finish(sim);
	disk_finish(sim);
	faulty_vfs_destroy(sim->vfs);
	schedule_destroy(sim->schedule);
	buffer_finish(&sim->scratch);
	mem_free(sim);
}
