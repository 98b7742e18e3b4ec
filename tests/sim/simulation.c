#include "sim/sim_jobs.h"
#include "sim/pages.h"
#include "sim/sim_bugs.h"
#include "sim/sim_topics.h"

#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

/* A run from its beginning to its end. */

#define DEFAULT_TICKS 3000           /* of one server */
#define DEFAULT_DURATION_MS 600000   /* of several */
#define DEFAULT_OPERATIONS 1000      /* of several: where almost all fails it takes them longer */
#define LONGEST_MS (6 * DEFAULT_DURATION_MS)
/* Once nothing fails any more everything must be finished within this time; then history expires. */
#define CALM_LIMIT_MS (5 * 60 * 1000)
#define SPINS_MAX 20000
#define DRAIN_MS 3000
#define SMALL_PAGE 1024

const char *const sim_fault_names[] = {"power",   "kill",    "stop",      "io",  "space", "clock", "calls",
                                       "workers", "clients", "partition", "net", "pause", "slow",
                                       "members", "flip",    NULL};

const char *const sim_plant_names[PLANT_COUNT] = {
	"none",           "synced-early",  "sync-ignored",   "vote-lost",       "result-astray",
	"catalog-unsynced", "log-rewritten", "entry-repeated", "sequence-renewed",
	"votes-twice", "old-term-committed", "prev-not-checked", "quorum-small", "two-changes", "no-first-entry",
	"read-unconfirmed", "lease-outlived", "applied-unsynced", "stamps-not-heard", "copy-without-sessions",
	"sequence-forgotten", "attempt-again", "lease-cut-short", "lease-not-kept", "condition-ignored",
	"token-again", "report-once", "stop-untold", "tasks-kept", "task-again", "code-lost",
	"group-unknown", "barrier-early", "group-alone", "late-group-kept", "drain-forgotten", "due-twice", "overlap-ignored",
	"equals-put-out", "room-twice", "session-cut-short", "owned-kept", "secret-not-asked", "lookup-old",
	"watch-gap",
};

/* --- what is to happen --------------------------------------------------------------------------------------------- */

static void add_event(struct sim *sim, struct server *server, uint32_t life, msec delay, schedule_action *action,
                      uint64_t first, uint64_t second)
{
	struct schedule_event event = {sim->now + delay, random_next(&sim->random), server, life, action, first, second};
	schedule_add(sim->schedule, &event);
}

void sim_after(struct sim *sim, msec delay, schedule_action *action, uint64_t first, uint64_t second)
{
	add_event(sim, NULL, 0, delay, action, first, second);
}

void server_after(struct server *server, msec delay, schedule_action *action, uint64_t first, uint64_t second)
{
	add_event(server->sim, server, server->life, delay, action, first, second);
}

void server_after_any(struct server *server, msec delay, schedule_action *action, uint64_t first, uint64_t second)
{
	add_event(server->sim, server, 0, delay, action, first, second);
}

static void close_connection(void *subject, uint64_t connection, uint64_t unused)
{
	struct server *server = subject;
	(void)unused;
	node_connection_closed(server->node, connection);
}

void server_closes_later(struct server *server, uint64_t connection)
{
	server_after(server, 1, close_connection, connection, 0);
}

/* --- time ---------------------------------------------------------------------------------------------------------- */

static msec next_time(const struct sim *sim)
{
	msec next = schedule_next(sim->schedule);
	for (uint32_t i = 0; i < sim->server_count; i++) {
		const struct server *server = sim->servers[i];
		msec due = server->due;
		if (due != MSEC_NEVER && due < server->paused_until)
			due = server->paused_until;
		next = msec_earlier(next, due);
	}
	return next;
}

static void carry_out(struct sim *sim, const struct schedule_event *event)
{
	struct server *server = event->server;
	if (server == NULL) {
		event->action(sim, event->first, event->second);
		return;
	}
	if (event->life != 0 && (event->life != server->life || !server_is_up(server)))
		return;
	if (server->paused_until > sim->now) {
		struct schedule_event later = *event;
		later.at = server->paused_until;
		schedule_add(sim->schedule, &later);
		return;
	}
	server->touched = true;
	event->action(server, event->first, event->second);
}

/* A process that has done nothing for a while finds a lot to do in its first turn. */
static bool one_wakes(const struct sim *sim)
{
	for (uint32_t i = 0; i < sim->server_count; i++) {
		if (sim->servers[i]->paused_until == sim->now)
			return true;
	}
	return false;
}

/* Some of the events that are due, then turns of the nodes, as their loops do. */
static void step(struct sim *sim)
{
	struct schedule_event event;
	msec next = next_time(sim);
	if (next == MSEC_NEVER)
		sim_fail(sim, "nothing will ever happen again");
	if (next > sim->now)
		sim->now = next;
	sim->ticks++;
	uint64_t count = one_wakes(sim) ? 64 : 1 + sim_below(sim, 4);
	for (; count > 0 && schedule_take(sim->schedule, sim->now, &event); count--) {
		carry_out(sim, &event);
		if (event.server != NULL && event.server->down != UP)
			break;
	}
	for (uint32_t i = 0; i < sim->server_count; i++) {
		struct server *server = sim->servers[i];
		bool due = server->touched || server->due <= sim->now;
		if ((due && server->paused_until <= sim->now) || server->down != UP)
			server_turn(server);
	}
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
		if (spins > SPINS_MAX * sim->server_count)
			sim_fail(sim, "the nodes turn without end, though no time passes");
		if (sim->now - begun > limit) {
			for (uint32_t i = 0; i < sim->server_count && sim->calm; i++) {
				if (server_is_up(sim->servers[i]))
					audit_end(sim->servers[i]);
			}
			if (sim->calm)
				jobs_explain(sim);
			if (sim->calm)
				topics_explain(sim);
			sim_fail(sim, "%s is not over after %lld ms", what, (long long)limit);
		}
	}
}

static bool trouble_over(const struct sim *sim)
{
	if (sim->operations < sim->options.operations)
		return false;
	return sim->options.ticks > 0 ? sim->ticks >= sim->options.ticks : sim->now >= sim->options.duration_ms;
}

static bool all_up(const struct sim *sim)
{
	for (uint32_t i = 0; i < sim->server_count; i++) {
		if (server_stays(sim->servers[i]) && (!server_is_up(sim->servers[i]) || sim->servers[i]->damaged))
			return false;
	}
	return true;
}

static struct server *first_of(const struct sim *sim)
{
	uint32_t i = 0;
	while (!server_stays(sim->servers[i]))
		i++;
	return sim->servers[i];
}

/* Each has stopped since, and is there again: not all of them at the same time. */
static bool all_again(const struct sim *sim, const uint32_t *lives)
{
	for (uint32_t i = 0; i < sim->server_count; i++) {
		if (server_stays(sim->servers[i]) && sim->servers[i]->life == lives[i])
			return false;
	}
	return all_up(sim);
}

/* All servers are there, and know all that any of them knows. */
static bool converged(const struct sim *sim)
{
	if (!all_up(sim))
		return false;
	for (uint32_t i = 0; i < sim->server_count; i++) {
		const struct server *server = sim->servers[i];
		if (!server_stays(server))
			continue;
		if (!node_ready(server->node) || node_applied_index(server->node) != log_last(&first_of(sim)->durable) ||
		    log_last(&server->durable) != log_last(&server->log))
			return false;
	}
	return true;
}

static bool all_done(const struct sim *sim)
{
	return clients_done(sim) && keys_done(sim) && topics_done(sim) && converged(sim) && jobs_done(sim);
}

static bool empty(const struct sim *sim)
{
	if (!all_done(sim))
		return false;
	for (uint32_t i = 0; i < sim->server_count; i++) {
		if (server_stays(sim->servers[i]) && (catalog_finished_before(sim->servers[i]->catalog, MSEC_NEVER) != 0 ||
		                                     catalog_jobs_finished_before(sim->servers[i]->catalog, MSEC_NEVER) != 0))
			return false;
	}
	return true;
}

static void compare_all(struct sim *sim, const char *when)
{
	for (uint32_t i = 0; i < sim->server_count; i++) {
		if (server_stays(sim->servers[i]))
			reference_compare(sim->servers[i], true, when);
	}
}

static void finish_run(struct sim *sim)
{
	sim->calm = true;
	faults_end(sim);
	sim_trace(sim, "--- nothing fails any more");
	run_steps(sim, all_done, CALM_LIMIT_MS, "what the clients wanted");
	compare_all(sim, "when all is done");
	audit_catalog(first_of(sim));
	audit_end(first_of(sim));
	jobs_audit(first_of(sim));
	topics_audit(first_of(sim));
	keys_check(sim);
	/* What runs all the time is stopped. */
	sim->closing = true;
	run_steps(sim, all_done, CALM_LIMIT_MS, "the end of all jobs");
	jobs_audit(first_of(sim));
	/* History goes. */
	sim_trace(sim, "--- history expires");
	sim->expired = true;
	clients_settle(sim, "retention", "1s");
	run_steps(sim, empty, CALM_LIMIT_MS, "the expiry of history");
	audit_empty(first_of(sim));
	/* They stop as they should, and what they left is what the log says. */
	uint32_t lives[SIM_SERVERS_MAX];
	for (uint32_t i = 0; i < sim->server_count; i++) {
		lives[i] = sim->servers[i]->life;
		server_drain(sim->servers[i], DRAIN_MS);
	}
	while (!all_again(sim, lives))
		step(sim);
	compare_all(sim, "at the end");
	if (sim->founder_count == 1 || sim->options.seed % 8 == 0)
		replay_compare(sim);
}

/* --- the whole ----------------------------------------------------------------------------------------------------- */

static void tell_summary(const struct sim *sim)
{
	printf("seed %" PRIu64 ": %u node%s, %" PRIu64 " workflows, %" PRIu64 " calls, %" PRIu64 " operations, %" PRIu64
	       " entries, %lld ms;",
	       sim->options.seed, sim->founder_count, sim->founder_count > 1 ? "s" : "", sim->next_x, sim->calls_made,
	       sim->operations, log_last(&sim->committed), (long long)sim->now);
	for (size_t i = 0; i < COUNT_COUNT; i++) {
		if (sim->counts[i] > 0)
			printf(" %s %" PRIu64, sim_count_names[i], sim->counts[i]);
	}
	printf("\n");
}

static void prepare(struct sim *sim, const struct sim_options *options)
{
	sim->options = *options;
	sim->random.state = options->seed * 0x9E3779B97F4A7C15u + 1;
	sim->founder_count = options->nodes != 0 ? options->nodes : (uint32_t[]){1, 3, 3, 5}[sim_below(sim, 4)];
	assert(sim->founder_count <= SIM_NODES_MAX);
	if (options->ticks == 0 && options->duration_ms == 0) {
		sim->options.ticks = sim->founder_count == 1 ? DEFAULT_TICKS : 0;
		sim->options.duration_ms = DEFAULT_DURATION_MS;
		if (options->operations == 0 && sim->founder_count > 1)
			sim->options.operations = DEFAULT_OPERATIONS;
	}
	sim_planted = options->plant;
	/* Small pages, but for some seeds, and for one node, whose catalog is the matter. */
	pages_set_size(sim->founder_count > 1 && options->seed % 8 != 0 ? SMALL_PAGE : 0);
	sim->schedule = schedule_create();
	sim->next_connection = 1;
	sim->forms = sim->founder_count > 1 && sim_chance(sim, 50);
	if (!sim->forms)
		memcpy(sim->cluster_id, SIM_CLUSTER_ID, sizeof SIM_CLUSTER_ID);
	for (uint32_t i = 0; i < sim->founder_count; i++)
		sim->founders[i] = 1000 * (i + 1) + sim_below(sim, 1000);
	for (uint32_t i = 0; i < sim->founder_count; i++)
		sim->servers[sim->server_count++] = server_create(sim, i);
}

void simulation_run(const struct sim_options *options)
{
	struct sim *sim = sim_running = mem_zero(sizeof *sim);
	prepare(sim, options);
	tell_begin(sim);
	net_init(sim);
	reference_init(sim);
	workers_init(sim);
	clients_init(sim);
	keys_init(sim);
	topics_init(sim);
	faults_init(sim);
	machines_init(sim);
	for (uint32_t i = 0; i < sim->server_count; i++)
		server_start(sim->servers[i]);
	run_steps(sim, trouble_over, sim->options.operations > 0 ? LONGEST_MS : MSEC_NEVER, "what the clients of keys are to do");
	finish_run(sim);
	tell_summary(sim);
	calls_finish(sim);
	for (uint32_t i = 0; i < sim->server_count; i++)
		server_destroy(sim->servers[i]);
	clients_finish(sim);
	keys_finish(sim);
	topics_finish(sim);
	workers_finish(sim);
	reference_finish(sim);
	net_finish(sim);
	log_finish(&sim->committed);
	mem_free(sim->committed_in);
	known_finish(sim);
	tell_finish(sim);
	schedule_destroy(sim->schedule);
	mem_free(sim->leaders);
	buffer_finish(&sim->scratch);
	mem_free(sim);
}
