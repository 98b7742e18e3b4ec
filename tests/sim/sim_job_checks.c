#include "sim/sim_jobs.h"

#include "base/memory.h"
#include "coordinator/jobs.h"
#include "daemon/node_internal.h"
#include "sim/sim_audit.h"
#include "sim/sim_bugs.h"

#include <inttypes.h>
#include <stdio.h>

#define LATE_MS 10000 /* at most, between clocks, and until what is due has begun */

/* What must hold of jobs: of what really runs, and of what is written down of it. */

/* The catalog that knows most. NULL: no server is up. */
const struct machine *newest_machine(const struct sim *sim)
{
	const struct server *newest = NULL;
	for (uint32_t i = 0; i < sim->server_count; i++) {
		const struct server *server = sim->servers[i];
		if (server_is_up(server) &&
		    (newest == NULL || node_applied_index(server->node) > node_applied_index(newest->node)))
			newest = server;
	}
	return newest != NULL ? newest->node->machine : NULL;
}

/* --- what really runs ---------------------------------------------------------------------------------------------- */

/* Another one of the same task runs: then its node was declared dead, or has lost its memory, before this one was placed. */
static void check_fenced(struct server *server, const struct sim_ran *ran, const struct sim_ran *other)
{
	const struct machine *machine = newest_machine(server->sim);
	if (machine == NULL || machine_allocation(machine, ran->id) == NULL || machine_allocation(machine, other->id) == NULL)
		return;
	server_fail(server, "task %u of job %" PRIu64 " begins as allocation %" PRIu64 ", and is running as %" PRIu64 " on %s", ran->task,
	            ran->job, ran->id, other->id, other->server->name);
}

static void check_ports(struct server *server, const struct sim_ran *ran, const struct sim_ran *other)
{
	for (uint32_t i = 0; i < ran->port_count; i++) {
		for (uint32_t j = 0; j < other->port_count; j++) {
			if (ran->ports[i] == other->ports[j])
				server_fail(server, "allocation %" PRIu64 " begins with port %u, which %" PRIu64 " has", ran->id,
				            ran->ports[i], other->id);
		}
	}
}

void jobs_check_start(struct server *server, const struct sim_ran *ran)
{
	uint32_t cpu = ran->cpu;
	if (ran->server != server)
		server_fail(server, "allocation %" PRIu64 " begins here, and was given to %s", ran->id, ran->server->name);
	if (ran->running || (ran->starts > 0 && !ran->cut))
		server_fail(server, "allocation %" PRIu64 " begins a second time", ran->id);
	for (const struct sim_ran *other = server->sim->ran; other != NULL; other = other->hh.next) {
		if (!other->running)
			continue;
		if (other->job == ran->job && other->task == ran->task)
			check_fenced(server, ran, other);
		if (other->server != server)
			continue;
		check_ports(server, ran, other);
		cpu += other->cpu;
	}
	if (cpu > SIM_CPU)
		server_fail(server, "has %u thousandths of processors, and tasks that were promised %u", SIM_CPU, cpu);
}

/* It was told that all of its group have registered: then all of those that are beside it have asked for that. */
void jobs_check_joined(struct server *server, const struct sim_ran *ran)
{
	const struct machine *machine = newest_machine(server->sim);
	const struct allocation *allocation = machine != NULL ? machine_allocation(machine, ran->id) : NULL;
	if (allocation == NULL || allocation->stopping)
		return; /* what there is now may be another beginning of the group */
	const struct job *job = allocation->job;
	for (allocation = job->allocations; allocation != NULL; allocation = allocation->by_task.next) {
		const struct sim_ran *other = ran_of(server->sim, allocation->id);
		if (other == NULL || !other->asked)
			server_fail(server, "task %u of job %" PRIu64 " is told that all have registered, and task %u has not", ran->task,
			            ran->job, allocation->task);
	}
}

void jobs_check_due(uint64_t job, msec due, uint64_t index)
{
	struct taken_due {
		struct {
			uint64_t job;
			msec due;
		} time;
		uint64_t index;
		UT_hash_handle hh;
	};
	static struct taken_due *all;
	struct taken_due wanted = {.time = {job, due}};
	struct taken_due *taken;
	HASH_FIND(hh, all, &wanted.time, sizeof wanted.time, taken);
	if (taken == NULL) {
		taken = mem_zero(sizeof *taken);
		taken->time = wanted.time;
		taken->index = index;
		HASH_ADD(hh, all, time, sizeof taken->time, taken);
	}
	if (taken->index != index)
		sim_fail(sim_running, "job %" PRIu64 " has run for %lld by entry %" PRIu64 ", and again by entry %" PRIu64, job,
		         (long long)due, taken->index, index);
}

/* --- when all is done ---------------------------------------------------------------------------------------------- */

static const struct server *server_with(const struct sim *sim, uint64_t id)
{
	for (uint32_t i = 0; i < sim->server_count; i++) {
		if (sim->servers[i]->vote.node_id == id)
			return sim->servers[i];
	}
	return NULL;
}

/* NULL: it runs, of the newest version, here and now. */
static const char *allocation_lacks(const struct sim *sim, const struct allocation *allocation)
{
	const struct server *server = server_with(sim, allocation->node);
	if (allocation->phase != ALLOCATION_RUNS)
		return "has an allocation that does not run yet";
	if (allocation_is_unwanted(allocation) || allocation->definition != allocation->job->definition)
		return "has an allocation that is to go";
	if (allocation->definition->job->group && !allocation->registered)
		return "has an allocation that has not registered";
	return server == NULL || !tasks_run(server, allocation->id) ? "has an allocation that does not run" : NULL;
}

static const char *system_lacks(const struct machine *machine, const struct job *job)
{
	for (const struct node_use *use = machine_nodes(machine); use != NULL; use = use->hh.next) {
		const struct allocation *allocation;
		uint32_t count = 0;
		TAILQ_FOREACH (allocation, &use->allocations, of_node)
			count += allocation->job == job;
		if (count != (use->alive && use->eligible))
			return "is not once on each node";
	}
	return NULL;
}

/* Its next time is in the future, and no run of it is under way. */
static const char *periodic_lacks(const struct sim *sim, const struct job *job)
{
	for (uint32_t i = 0; i < sim->server_count; i++) {
		const struct server *server = sim->servers[i];
		if (server_is_up(server) && job->next_ms <= server_wall(server) - LATE_MS)
			return "was due, and nobody has begun it";
	}
	if (job->next_ms == 0)
		return "is never due";
	return !LIST_EMPTY(&job->runs) ? "has a run that has not ended" : NULL;
}

/* NULL: it is as it was asked to be. */
static const char *run_lacks(const struct sim *sim, const struct machine *machine, const struct job_run *run)
{
	const struct job *job = machine_job(machine, run->id);
	const struct allocation *allocation;
	const char *lacks = NULL;
	if (run->shape < SHAPE_FIRST_THAT_STAYS || run->stop_wanted || sim->closing)
		return job != NULL ? "has not ended" : NULL;
	if (job == NULL)
		return "has ended";
	if (run->shape == SHAPE_PERIODIC)
		return periodic_lacks(sim, job);
	if (run->shape == SHAPE_SYSTEM)
		lacks = system_lacks(machine, job);
	else if (job->live != run->count)
		lacks = "has not as many as were asked for";
	for (allocation = job->allocations; allocation != NULL && lacks == NULL; allocation = allocation->by_task.next)
		lacks = allocation_lacks(sim, allocation);
	return lacks;
}

static const struct machine *first_machine(const struct sim *sim)
{
	for (uint32_t i = 0; i < sim->server_count; i++) {
		if (server_stays(sim->servers[i]))
			return sim->servers[i]->node->machine;
	}
	return NULL;
}

/* Something runs that nobody wants. */
static const struct sim_ran *astray(const struct sim *sim, const struct machine *machine)
{
	for (const struct sim_ran *ran = sim->ran; ran != NULL; ran = ran->hh.next) {
		if (ran->running && machine_allocation(machine, ran->id) == NULL)
			return ran;
	}
	return NULL;
}

bool jobs_done(const struct sim *sim)
{
	const struct machine *machine = first_machine(sim);
	for (const struct job_run *run = sim->jobs; run != NULL; run = run->next) {
		if (run_lacks(sim, machine, run) != NULL)
			return false;
	}
	return astray(sim, machine) == NULL;
}

void jobs_explain(struct sim *sim)
{
	const struct machine *machine = newest_machine(sim);
	if (machine == NULL)
		return;
	for (const struct job_run *run = sim->jobs; run != NULL; run = run->next) {
		const char *lacks = run_lacks(sim, machine, run);
		if (run->id == 0)
			sim_fail(sim, "job %s was never acknowledged", run->name);
		if (lacks != NULL)
			sim_fail(sim, "job %s (%" PRIu64 ") %s", run->name, run->id, lacks);
	}
	nodes_explain(sim, machine);
	const struct sim_ran *ran = astray(sim, machine);
	if (ran != NULL)
		sim_fail(sim, "task %u of job %" PRIu64 " runs on %s as allocation %" PRIu64 ", which nobody wants", ran->task, ran->job,
		         ran->server->name, ran->id);
}

/* --- what is written down ------------------------------------------------------------------------------------------ */

static const char *const always[] = {
	"SELECT 'task ' || task || ' of job ' || job || ' has ' || count(*) || ' allocations' FROM allocation"
	" WHERE finished_ms IS NULL GROUP BY job, task HAVING count(*) > 1",
	"SELECT 'task ' || task || ' of job ' || job || ' has completed ' || count(*) || ' times' FROM allocation"
	" WHERE state = 'completed' AND job NOT IN (SELECT id FROM job WHERE name GLOB 'group*')"
	" GROUP BY job, task HAVING count(*) > 1",
	"SELECT 'job ' || id || ' is ' || state || ', and has ' || running || ' allocations that have not ended' FROM job"
	" WHERE finished_ms IS NOT NULL AND running <> 0",
	"SELECT 'job ' || id || ' says that ' || running || ' have not ended, and it is another number' FROM job AS j"
	" WHERE running <> (SELECT count(*) FROM allocation AS a WHERE a.job = j.id AND a.finished_ms IS NULL)",
	"SELECT 'job ' || j.id || ' is a group that runs, and task ' || a.task || ' has not registered' FROM job AS j"
	" JOIN allocation AS a ON a.job = j.id WHERE j.name GLOB 'group*' AND j.state = 'running' AND a.finished_ms IS NULL"
	" AND NOT a.registered",
	"SELECT 'node ' || n.name || ' is drained, and allocation ' || a.id || ' is there' FROM node AS n JOIN allocation AS a"
	" ON a.node = n.id WHERE n.drain = 'drained' AND a.finished_ms IS NULL",
	"SELECT 'job ' || p.id || ' has ' || count(*) || ' runs at once' FROM job AS p JOIN job AS r ON r.parent = p.id"
	" WHERE p.name GLOB 'skip*' AND r.finished_ms IS NULL GROUP BY p.id HAVING count(*) > 1",
	"SELECT 'job ' || p.id || ' has ' || count(*) || ' runs, and none was told to end' FROM job AS p"
	" JOIN job AS r ON r.parent = p.id WHERE p.name GLOB 'replace*' AND r.state IN ('pending', 'running')"
	" GROUP BY p.id HAVING count(*) > 1",
	"SELECT 'job ' || j.id || ' of priority ' || j.priority || ' made room: ' || a.error FROM allocation AS a"
	" JOIN job AS j ON j.id = a.job WHERE a.error GLOB 'it makes room for job *'"
	" AND j.priority + 10 > CAST(substr(a.error, instr(a.error, 'priority ') + 9) AS INTEGER)",
	"SELECT 'allocation ' || a.id || ' is of no job' FROM allocation AS a LEFT JOIN job AS j ON j.id = a.job"
	" WHERE j.id IS NULL",
	"SELECT 'task ' || t.task || ' of job ' || t.job || ' waits, and was placed' FROM job_task AS t JOIN allocation AS a"
	" ON a.job = t.job AND a.task = t.task AND a.finished_ms IS NULL",
	"SELECT 'job ' || j.id || ' has ended, and a task of it waits' FROM job_task AS t JOIN job AS j ON j.id = t.job"
	" WHERE j.finished_ms IS NOT NULL",
	"WITH used AS MATERIALIZED (SELECT allocation.id, node, placed_ms, finished_ms, port.value AS port FROM allocation,"
	" json_each(ports) AS port WHERE ports IS NOT NULL)"
	" SELECT 'allocations ' || a.id || ' and ' || b.id || ' had a port at once' FROM used AS a JOIN used AS b"
	" ON a.node = b.node AND a.port = b.port AND a.id < b.id AND (a.finished_ms IS NULL OR a.finished_ms > b.placed_ms)",
};

void jobs_audit_always(struct sim *sim, sqlite3 *database)
{
	audit_expect_nothing(sim, database, always, sizeof always / sizeof always[0]);
}

static void check_state(struct sim *sim, const struct job_run *run, struct slice state, uint64_t completed)
{
	static const char *const ends[SHAPE_COUNT] = {"completed", "failed",  "completed", "completed", "completed",
	                                              "failed",    "stopped", "stopped",   "stopped",   "stopped"};
	bool runs = run->shape >= SHAPE_FIRST_THAT_STAYS && !run->stopped;
	if (run->shape == SHAPE_FRAGILE && slice_is(state, "failed"))
		return;
	bool stopped = run->stopped && slice_is(state, "stopped");
	if (!stopped && !slice_is(state, runs ? run->count == 0 ? "pending" : "running" : ends[run->shape]) &&
	    !(runs && run->count == 0 && slice_is(state, "running")))
		sim_fail(sim, "job %s (%" PRIu64 ") is %.*s", run->name, run->id, SLICE_ARGS(state));
	if (slice_is(state, "completed") && completed != run->count)
		sim_fail(sim, "job %s (%" PRIu64 ") has completed with %" PRIu64 " of its %u tasks", run->name, run->id, completed,
		         run->count);
}

static void check_jobs(struct sim *sim, sqlite3 *database)
{
	uint64_t count = 0;
	sqlite3_stmt *statement = audit_prepare(sim, database,
		"SELECT name, state, (SELECT count(DISTINCT task) FROM allocation WHERE job = j.id AND state = 'completed')"
		" FROM job AS j WHERE id = ?1");
	for (const struct job_run *run = sim->jobs; run != NULL; run = run->next) {
		sqlite3_bind_int64(statement, 1, (sqlite3_int64)run->id);
		if (!audit_row(sim, database, statement))
			sim_fail(sim, "job %s (%" PRIu64 "), which was acknowledged, is not there", run->name, run->id);
		if (!slice_is(audit_text(statement, 0), run->name))
			sim_fail(sim, "job %" PRIu64 " is not %s", run->id, run->name);
		check_state(sim, run, audit_text(statement, 1), (uint64_t)sqlite3_column_int64(statement, 2));
		sqlite3_reset(statement);
		count++;
	}
	sqlite3_finalize(statement);
	statement = audit_prepare(sim, database, "SELECT count(*) FROM job WHERE parent IS NULL");
	audit_row(sim, database, statement);
	if ((uint64_t)sqlite3_column_int64(statement, 0) != count) /* beside runs of periodic ones */
		sim_fail(sim, "there are %" PRIu64 " jobs, and %" PRIu64 " were begun", (uint64_t)sqlite3_column_int64(statement, 0),
		         count);
	sqlite3_finalize(statement);
}

/* What is said of each allocation is what has happened to it. */
static void check_ran(struct sim *sim, sqlite3 *database)
{
	sqlite3_stmt *statement = audit_prepare(sim, database, "SELECT state, finished_ms IS NULL, job, task FROM allocation"
	                                                       " WHERE id = ?1");
	for (const struct sim_ran *ran = sim->ran; ran != NULL; ran = ran->hh.next) {
		sqlite3_bind_int64(statement, 1, (sqlite3_int64)ran->id);
		if (!audit_row(sim, database, statement))
			sim_fail(sim, "allocation %" PRIu64 " has run on %s, and is not there", ran->id, ran->server->name);
		struct slice state = audit_text(statement, 0);
		bool lost = slice_is(state, "lost");
		if (ran->job != (uint64_t)sqlite3_column_int64(statement, 2) || ran->task != (uint32_t)sqlite3_column_int(statement, 3))
			sim_fail(sim, "allocation %" PRIu64 " was of task %u of job %" PRIu64, ran->id, ran->task, ran->job);
		if (ran->running != (sqlite3_column_int(statement, 1) != 0))
			sim_fail(sim, "allocation %" PRIu64 " is %.*s, and runs or not", ran->id, SLICE_ARGS(state));
		lost = lost || (ran->group && slice_is(state, "stopped")); /* what it had done is done again by all */
		if (slice_is(state, "completed") ? ran->completed != 1 && !ran->cut : ran->completed > 0 && !lost && !ran->cut)
			sim_fail(sim, "allocation %" PRIu64 " is %.*s, and has completed %u times", ran->id, SLICE_ARGS(state),
			         ran->completed);
		sqlite3_reset(statement);
	}
	sqlite3_finalize(statement);
}

void jobs_audit(struct server *server)
{
	sqlite3 *database = audit_open(server);
	jobs_audit_always(server->sim, database);
	check_jobs(server->sim, database);
	check_ran(server->sim, database);
	sqlite3_close(database);
}
