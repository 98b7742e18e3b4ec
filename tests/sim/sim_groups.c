#include "sim/sim_jobs.h"

#include <inttypes.h>

/* What the processes of a group do, as clients of their nodes: they say that they are there, and wait until all are. Only then they go
 * about what they are for. */

#define ACT_MS 250
#define PATIENCE_MS 4000

bool group_kind(const char *kind)
{
	return strcmp(kind, "joins") == 0 || strcmp(kind, "stays") == 0 || strcmp(kind, "mute") == 0;
}

static bool is_mute(const struct sim_task *task)
{
	return strcmp(task->kind, "mute") == 0 && task->task == 0;
}

static void leave(struct server *server, struct sim_task *task)
{
	uint64_t connection = task->group.connection;
	task->group.connection = 0;
	task->group.stream = 0;
	if (connection == 0 || !server_is_up(server))
		return;
	if (!server_answers(server)) {
		server_closes_later(server, connection);
		return;
	}
	server->touched = true;
	node_connection_closed(server->node, connection);
}

static void ask(struct server *server, struct sim_task *task)
{
	Clusterd__Wire__Request message = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__OpenSession open = CLUSTERD__WIRE__OPEN_SESSION__INIT;
	Clusterd__Wire__TaskReady ready = CLUSTERD__WIRE__TASK_READY__INIT;
	Clusterd__Wire__AwaitJob await = CLUSTERD__WIRE__AWAIT_JOB__INIT;
	message.session = task->group.session;
	switch (task->group.step) {
	case JOINING_SESSION:
		message.body_case = CLUSTERD__WIRE__REQUEST__BODY_OPEN_SESSION;
		message.open_session = &open;
		break;
	case JOINING_REGISTERED:
		message.body_case = CLUSTERD__WIRE__REQUEST__BODY_TASK_READY;
		message.task_ready = &ready;
		message.sequence = message.answered_below = 1;
		ready.allocation = task->id;
		task->ran->asked = true;
		break;
	default:
		message.body_case = CLUSTERD__WIRE__REQUEST__BODY_AWAIT_JOB;
		message.await_job = &await;
		await.job = task->job;
		await.running = true;
		break;
	}
	task->group.stream = 1 + (uint32_t)(server->sim->next_connection++ & UINT32_MAX);
	task->group.since = server->sim->now;
	server->touched = true;
	node_request(server->node, task->group.connection, task->group.stream, &message, SLICE(""));
}

static void act(void *subject, uint64_t event, uint64_t unused)
{
	struct sim *sim = subject;
	struct server *server;
	struct sim_task *task = task_of_event(sim, event, &server);
	(void)unused;
	if (task == NULL || !task->alive || task->group.step >= JOINED) {
		if (task != NULL)
			leave(server, task);
		return;
	}
	sim_after(sim, 10 + (msec)sim_below(sim, ACT_MS), act, event, 0);
	if (!server_answers(server))
		return;
	if (task->group.stream != 0 && sim->now - task->group.since > PATIENCE_MS)
		leave(server, task);
	if (task->group.connection == 0)
		task->group.connection = sim->next_connection++;
	if (task->group.stream == 0)
		ask(server, task);
}

void group_begins(struct server *server, struct sim_task *task)
{
	struct sim *sim = server->sim;
	bool unlucky = sim_faulty(sim, SIM_CALLS) && sim_chance(sim, 5);
	task->group.step = JOINING_SESSION;
	if (!is_mute(task))
		sim_after(sim, (msec)sim_below(sim, 400), act, task_event(server, task), 0);
	if (unlucky)
		task_ends_after(server, task, (msec)sim_below(sim, 1000), 3);
}

/* All are there. */
static void joined(struct server *server, struct sim_task *task)
{
	struct sim *sim = server->sim;
	bool unlucky = sim_faulty(sim, SIM_CALLS) && sim_chance(sim, 8);
	task->group.step = JOINED;
	task->ran->joined = true;
	server_trace(server, "task %u of job %" PRIu64 " (allocation %" PRIu64 ") knows that all have registered", task->task, task->job,
	             task->id);
	jobs_check_joined(server, task->ran);
	if (strcmp(task->kind, "joins") == 0)
		task_ends_after(server, task, 50 + (msec)sim_below(sim, 3000), unlucky ? 3 : 0);
	else if (unlucky)
		task_dies_after(server, task, (msec)sim_below(sim, 60000), 11);
}

static void take(struct server *server, struct sim_task *task, const Clusterd__Wire__Response *response)
{
	int code = response->error != NULL ? response->error->code : 0;
	task->group.stream = 0;
	if (code == ERR_EXPIRED) {
		task->group.session = 0;
		task->group.step = JOINING_SESSION;
	} else if (code == ERR_NOT_FOUND) {
		task->group.step = JOINED_NOTHING; /* it is to end, and will be told to */
	} else if (code != 0) {
		leave(server, task);
	} else if (task->group.step == JOINING_SESSION) {
		task->group.session = response->opened->session;
		task->group.step = JOINING_REGISTERED;
	} else if (task->group.step == JOINING_REGISTERED) {
		task->group.step = JOINING_ALL;
	} else if (strcmp(response->finished->state, "running") == 0) {
		if (task->alive)
			joined(server, task);
	} else {
		task->group.step = JOINED_NOTHING;
	}
}

bool groups_response(struct server *server, uint64_t connection, uint32_t stream, const Clusterd__Wire__Response *response)
{
	for (struct sim_task *task = server->tasks; task != NULL; task = task->hh.next) {
		if (task->group.connection != connection || connection == 0)
			continue;
		if (task->group.stream == stream)
			take(server, task, response);
		return true;
	}
	return false;
}

void groups_down(struct server *server)
{
	for (struct sim_task *task = server->tasks; task != NULL; task = task->hh.next) {
		task->group.connection = 0;
		task->group.stream = 0;
	}
}
