#include "sim/sim_bugs.h"
#include "sim/sim_jobs.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>

/* The tasks of jobs on a machine, as daemon/allocations.c has them: each is a process that outlives the daemon and ends with the machine's
 * power, and leaves a record of its end. What the daemon knows of one is reported until it was taken. What a task does is the first word of
 * its command:
 *   quick   completes soon        long    completes some seconds later      fails   ends with the exit code 3
 *   slow    takes up to 100 s, as long as something may fail
 *   serves  runs until it is stopped, or by bad luck ends                   deaf    likewise, and only SIGKILL ends it
 * and of a group (sim_groups.c):
 *   joins   registers, then completes    stays   registers, then serves     mute    one of them never registers
 *
 * `sim_ran` knows of each allocation what has really happened, on whichever machine. */

#define REPORT_AGAIN_MS 5000
#define SLOW_STEP_MS 1000
#define MACHINES 32 /* bits of an event's first number that are the machine's */

static struct sim_task *task_of(struct server *server, uint64_t id)
{
	struct sim_task *task;
	HASH_FIND(hh, server->tasks, &id, sizeof id, task);
	return task;
}

static void task_drop(struct server *server, struct sim_task *task)
{
	HASH_DELETE(hh, server->tasks, task);
	mem_free(task);
}

struct sim_ran *ran_of(struct sim *sim, uint64_t id)
{
	struct sim_ran *ran;
	HASH_FIND(hh, sim->ran, &id, sizeof id, ran);
	return ran;
}

static struct sim_ran *ran_need(struct sim *sim, uint64_t id)
{
	struct sim_ran *ran = ran_of(sim, id);
	if (ran == NULL) {
		ran = mem_zero(sizeof *ran);
		ran->id = id;
		HASH_ADD(hh, sim->ran, id, sizeof ran->id, ran);
	}
	return ran;
}

/* --- reports ------------------------------------------------------------------------------------------------------- */

static void report(struct server *server, const struct sim_task *task)
{
	const struct allocation_report report = {
		.id = task->id,
		.job = task->job,
		.task = task->task,
		.state = task->state,
		.lost = task->lost,
		.exit_code = sim_planted == PLANT_CODE_LOST && !task->lost ? 0 : task->code,
		.exit_signal = task->signal,
		.text = slice_of(task->text),
	};
	node_task_report(server->node, &report);
}

static void report_dirty(void *subject, uint64_t unused1, uint64_t unused2)
{
	struct server *server = subject;
	struct sim_task *next;
	(void)unused1;
	(void)unused2;
	server->reports_due = false;
	for (struct sim_task *task = server->tasks; task != NULL; task = next) {
		next = task->hh.next;
		if (!task->dirty)
			continue;
		task->dirty = false;
		report(server, task);
	}
}

static void note(struct server *server, struct sim_task *task)
{
	task->dirty = true;
	if (server->reports_due)
		return;
	server->reports_due = true;
	server_after(server, sim_chance(server->sim, 80) ? 0 : (msec)sim_below(server->sim, 30), report_dirty, 0, 0);
}

static void report_again(void *subject, uint64_t unused1, uint64_t unused2)
{
	struct server *server = subject;
	(void)unused1;
	(void)unused2;
	for (struct sim_task *task = server->tasks; task != NULL; task = task->hh.next) {
		if (task->state == ALLOCATION_ENDED && !task->kept && sim_planted != PLANT_REPORT_ONCE)
			note(server, task);
	}
	server_after(server, REPORT_AGAIN_MS, report_again, 0, 0);
}

static void set_ended(struct server *server, struct sim_task *task)
{
	task->state = ALLOCATION_ENDED;
	if (task->forgotten)
		task->kept = true;
	else
		note(server, task);
}

static void end_unknown(struct server *server, struct sim_task *task, const char *text)
{
	task->exited = task->never = task->lost = true;
	task->code = -1;
	task->text = text;
	set_ended(server, task);
}

/* --- what happens to processes ------------------------------------------------------------------------------------- */

uint64_t task_event(const struct server *server, const struct sim_task *task)
{
	return task->id * MACHINES + server->number;
}

struct sim_task *task_of_event(struct sim *sim, uint64_t event, struct server **ret_server)
{
	*ret_server = sim->servers[event % MACHINES];
	return task_of(*ret_server, event / MACHINES);
}

static bool daemon_knows(const struct server *server)
{
	return server_is_up(server);
}

static void end(struct server *server, struct sim_task *task, int code, int signal)
{
	server_trace(server, "task %u of job %" PRIu64 " (allocation %" PRIu64 ") ends: %d, signal %d", task->task, task->job, task->id,
	             code, signal);
	task->alive = false;
	task->exited = true;
	task->code = code;
	task->signal = signal;
	task->ran->running = false;
	task->ran->completed += code == 0;
	if (daemon_knows(server))
		set_ended(server, task);
}

static void ends(void *subject, uint64_t event, uint64_t code)
{
	struct server *server;
	struct sim_task *task = task_of_event(subject, event, &server);
	if (task != NULL && task->alive)
		end(server, task, (int)code, 0);
}

static void dies(void *subject, uint64_t event, uint64_t signal)
{
	struct server *server;
	struct sim_task *task = task_of_event(subject, event, &server);
	if (task != NULL && task->alive)
		end(server, task, -1, (int)signal);
}

void task_ends_after(struct server *server, struct sim_task *task, msec delay, int code)
{
	sim_after(server->sim, delay, ends, task_event(server, task), (uint64_t)code);
}

void task_dies_after(struct server *server, struct sim_task *task, msec delay, int signal)
{
	sim_after(server->sim, delay, dies, task_event(server, task), (uint64_t)signal);
}

static void tell_stop(struct server *server, struct sim_task *task)
{
	struct sim *sim = server->sim;
	if (!task->alive || task->stop_told)
		return;
	task->stop_told = true;
	if (strcmp(task->kind, "deaf") == 0)
		sim_after(sim, task->grace, dies, task_event(server, task), 9);
	else if (strcmp(task->kind, "joins") == 0 && sim_chance(sim, 50))
		sim_after(sim, 1 + (msec)sim_below(sim, 40), ends, task_event(server, task), 0); /* it ends as it should */
	else
		sim_after(sim, 1 + (msec)sim_below(sim, 40), dies, task_event(server, task), 15);
}

/* So many steps more, but not when nothing fails any more. */
static void goes_on(void *subject, uint64_t event, uint64_t steps)
{
	struct sim *sim = subject;
	if (steps == 0 || sim->calm)
		ends(sim, event, 0);
	else
		sim_after(sim, SLOW_STEP_MS, goes_on, event, steps - 1);
}

static void plan(struct server *server, struct sim_task *task)
{
	struct sim *sim = server->sim;
	bool unlucky = sim_faulty(sim, SIM_CALLS) && sim_chance(sim, 8);
	uint64_t event = task_event(server, task);
	if (group_kind(task->kind))
		group_begins(server, task);
	else if (strcmp(task->kind, "quick") == 0)
		sim_after(sim, (msec)sim_below(sim, 200), ends, event, unlucky ? 3 : 0);
	else if (strcmp(task->kind, "long") == 0)
		sim_after(sim, 1000 + (msec)sim_below(sim, 8000), ends, event, unlucky ? 3 : 0);
	else if (strcmp(task->kind, "slow") == 0)
		sim_after(sim, SLOW_STEP_MS, goes_on, event, sim_below(sim, 100));
	else if (strcmp(task->kind, "fails") == 0)
		sim_after(sim, (msec)sim_below(sim, 50), ends, event, 3);
	else if (unlucky)
		sim_after(sim, (msec)sim_below(sim, 20000), dies, event, 11);
}

static bool forgotten_run(const struct server *server)
{
	for (const struct sim_task *task = server->tasks; task != NULL; task = task->hh.next) {
		if (task->forgotten && task->state != ALLOCATION_ENDED)
			return true;
	}
	return false;
}

static void begins(void *subject, uint64_t event, uint64_t unused)
{
	struct sim *sim = subject;
	struct server *server;
	struct sim_task *task = task_of_event(sim, event, &server);
	(void)unused;
	if (task == NULL || task->never || task->exited)
		return;
	if (sim_faulty(sim, SIM_CALLS) && strcmp(task->kind, "fails") != 0 && sim_chance(sim, 3)) {
		task->text = "it cannot be executed";
		task->exited = true;
		task->code = -1;
		if (daemon_knows(server))
			set_ended(server, task);
		return;
	}
	task->waits = task->waits && forgotten_run(server);
	if (task->waits) {
		sim_after(sim, 1 + (msec)sim_below(sim, 20), begins, event, 0);
		return;
	}
	task->alive = true;
	jobs_check_start(server, task->ran);
	task->ran->running = true;
	task->ran->starts++;
	server_trace(server, "task %u of job %" PRIu64 " (allocation %" PRIu64 ") begins: %s", task->task, task->job, task->id,
	             task->kind);
	plan(server, task);
	if (!daemon_knows(server))
		return;
	if (task->stopping)
		tell_stop(server, task);
	else
		task->state = ALLOCATION_RUNNING;
	note(server, task);
}

/* --- what the node wishes ------------------------------------------------------------------------------------------ */

static struct sim_task *add(struct server *server, uint64_t id)
{
	struct sim_task *task = mem_zero(sizeof *task);
	task->id = id;
	task->code = -1;
	task->text = "";
	HASH_ADD(hh, server->tasks, id, sizeof task->id, task);
	return task;
}

static void take_order(struct server *server, struct sim_task *task, const struct allocation_order *order)
{
	size_t size = order->argv_count > 0 ? order->argv[0].size : 0;
	if (size == 0 || size >= sizeof task->kind)
		server_fail(server, "is to run something that no job has");
	memcpy(task->kind, order->argv[0].data, size);
	task->job = order->job;
	task->task = order->task;
	task->grace = order->stop_grace;
	task->cpu = order->cpu;
	task->port_count = order->port_count;
	for (uint32_t i = 0; i < order->port_count; i++)
		task->ports[i] = order->ports[i].number;
	struct sim_ran *ran = task->ran = ran_need(server->sim, order->id);
	if (ran->starts > 0 && (ran->job != order->job || ran->task != order->task))
		server_fail(server, "allocation %" PRIu64 " is of two tasks", order->id);
	ran->job = order->job;
	ran->task = order->task;
	ran->attempt = order->attempt;
	ran->server = server;
	ran->cpu = order->cpu;
	ran->group = group_kind(task->kind);
	if (group_kind(task->kind) && order->host_count != order->count)
		server_fail(server, "task %u of job %" PRIu64 " is one of %u, and is told where %u are", order->task, order->job,
		            order->count, order->host_count);
	ran->port_count = order->port_count;
	memcpy(ran->ports, task->ports, sizeof ran->ports);
}

void tasks_start(struct server *server, const struct allocation_order *order)
{
	struct sim_task *task = task_of(server, order->id);
	if (task != NULL) {
		task->forgotten = task->kept = false;
		if (sim_planted != PLANT_REPORT_ONCE)
			note(server, task);
		if (sim_planted == PLANT_TASK_AGAIN && task->alive)
			sim_after(server->sim, 1, begins, task_event(server, task), 0);
		return;
	}
	server_trace(server, "is to begin task %u of job %" PRIu64 " (allocation %" PRIu64 ")%s", order->task, order->job, order->id,
	             order->begun ? ", which had begun" : "");
	task = add(server, order->id);
	if (order->begun) {
		task->job = order->job;
		task->task = order->task;
		end_unknown(server, task, "it is not known here any more");
		return;
	}
	take_order(server, task, order);
	task->state = ALLOCATION_STARTING;
	task->waits = forgotten_run(server);
	note(server, task);
	sim_after(server->sim, 1 + (msec)sim_below(server->sim, 40), begins, task_event(server, task), 0);
}

static void stop(struct server *server, struct sim_task *task)
{
	if (task->state == ALLOCATION_ENDED || task->stopping)
		return;
	server_trace(server, "task %u of job %" PRIu64 " (allocation %" PRIu64 ") is stopped", task->task, task->job, task->id);
	task->stopping = true;
	task->state = ALLOCATION_STOPPING;
	note(server, task);
	tell_stop(server, task);
	if (task->waits) {
		task->exited = task->never = true;
		task->text = "it was stopped before it was started";
		task->state = ALLOCATION_ENDED;
	}
}

void tasks_stop(struct server *server, uint64_t id)
{
	struct sim_task *task = task_of(server, id);
	if (task == NULL) {
		end_unknown(server, add(server, id), "it is not known here any more");
		return;
	}
	task->kept = false;
	if (task->state == ALLOCATION_ENDED)
		note(server, task);
	stop(server, task);
}

void tasks_taken(struct server *server, uint64_t id)
{
	struct sim_task *task = task_of(server, id);
	if (task == NULL || task->state != ALLOCATION_ENDED)
		return;
	task->kept = true;
	task->dirty = false;
}

static bool is_among(uint64_t id, const uint64_t *known, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (known[i] == id)
			return true;
	}
	return false;
}

void tasks_keep_only(struct server *server, const uint64_t *known, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		if (known[i - 1] >= known[i])
			server_fail(server, "is told of its tasks in disorder");
	}
	for (struct sim_task *task = server->tasks; task != NULL && sim_planted != PLANT_TASKS_KEPT; task = task->hh.next) {
		if (task->kept || is_among(task->id, known, count))
			continue;
		stop(server, task);
		task->forgotten = true;
		task->kept = task->state == ALLOCATION_ENDED;
	}
}

/* --- lives --------------------------------------------------------------------------------------------------------- */

/* What is in its directory is taken up. */
void tasks_up(struct server *server)
{
	server->reports_due = false;
	for (struct sim_task *task = server->tasks; task != NULL; task = task->hh.next) {
		task->forgotten = task->stopping = task->dirty = false;
		if (task->kept)
			continue;
		if (task->never && !task->exited) {
			end_unknown(server, task, "the daemon ended before it was started");
			continue;
		}
		task->state = task->exited ? ALLOCATION_ENDED : task->alive ? ALLOCATION_RUNNING : ALLOCATION_STARTING;
		note(server, task);
	}
	server_after(server, REPORT_AGAIN_MS, report_again, 0, 0);
}

static void task_loses_power(struct server *server, struct sim_task *task)
{
	struct sim *sim = server->sim;
	bool was = task->alive;
	task->alive = false;
	if (task->ran != NULL) {
		task->ran->running = false;
		task->ran->cut = true;
	}
	/* Nothing of its directory is synced, and the system writes it soon. */
	if (sim_chance(sim, 5)) {
		task_drop(server, task);
		return;
	}
	if (was || (!task->exited && !task->never)) {
		task->exited = task->lost = task->never = true;
		task->code = -1;
		task->text = "nobody knows how it ended";
	}
}

void tasks_down(struct server *server, enum sim_down how)
{
	struct sim_task *next;
	groups_down(server);
	for (struct sim_task *task = server->tasks; task != NULL; task = next) {
		next = task->hh.next;
		if (task->waits && !task->exited)
			task_drop(server, task);
		else if (how == DOWN_POWER)
			task_loses_power(server, task);
		else if (!task->alive && !task->exited && sim_chance(server->sim, 50))
			task->never = true;
	}
}

/* The machine is no more. */
void tasks_gone(struct server *server)
{
	while (server->tasks != NULL) {
		struct sim_task *task = server->tasks;
		if (task->ran != NULL && task->alive) {
			task->ran->running = false;
			task->ran->cut = true;
		}
		task_drop(server, task);
	}
}

bool tasks_run(const struct server *server, uint64_t id)
{
	const struct sim_task *task;
	HASH_FIND(hh, server->tasks, &id, sizeof id, task);
	return task != NULL && task->alive && task->state == ALLOCATION_RUNNING;
}
