#include "sim/sim.h"

#include "base/memory.h"
#include "wire/frame.h"

#include <inttypes.h>

/* Connected workers. They outlive the node and their connections, and keep a result until it was taken. */

#define KEPT_MAX 64
#define CREDIT_TOP 4

struct worker_call {
	bool used;
	struct call_id id;
	struct text *process;
	struct text *args;
	uint64_t connection; /* through which it came */
	uint64_t receipt;
	bool abandoned;
	bool done;           /* its result is there, and was not taken so far */
	bool failed;
};

struct sim_worker {
	struct server *server; /* that it is connected to; NULL: none */
	uint64_t id;
	uint64_t connection; /* 0: none */
	bool offered;
	bool serves_all;     /* it offers all that there is */
	uint32_t credit;     /* the largest one offered on this connection */
	struct worker_call calls[KEPT_MAX];
};

static const char *const offered_names[] = {"Right", "Even", "List"};

static struct sim_worker *worker_of(struct sim *sim, uint64_t connection)
{
	for (size_t i = 0; i < SIM_WORKERS_COUNT; i++) {
		if (sim->workers[i].connection == connection)
			return &sim->workers[i];
	}
	return NULL;
}

static void forget(struct worker_call *call)
{
	text_release(call->process);
	text_release(call->args);
	*call = (struct worker_call){.used = false};
}

/* The process that it is connected to listens. */
static bool answers(const struct sim_worker *worker)
{
	return worker->server != NULL && server_answers(worker->server);
}

/* --- to the node --------------------------------------------------------------------------------------------------- */

static void offer(struct sim *sim, struct sim_worker *worker)
{
	Clusterd__Wire__OfferedProcess processes[3];
	Clusterd__Wire__OfferedProcess *list[3];
	Clusterd__Wire__Offer message = CLUSTERD__WIRE__OFFER__INIT;
	struct error error = {0};
	Clusterd__Wire__Held held[KEPT_MAX];
	Clusterd__Wire__Held *held_list[KEPT_MAX];
	message.worker = worker->id;
	message.held = held_list;
	for (size_t i = 0; i < KEPT_MAX && !worker->offered; i++) {
		const struct worker_call *call = &worker->calls[i];
		if (!call->used || (call->abandoned && !call->done))
			continue;
		Clusterd__Wire__Held *one = held_list[message.n_held] = &held[message.n_held];
		clusterd__wire__held__init(one);
		one->instance = call->id.instance;
		one->ref = call->id.ref;
		one->attempt = call->id.attempt;
		one->receipt = call->receipt;
		message.n_held++;
	}
	for (size_t i = 0; i < 3; i++) {
		if (!sim->calm && sim_chance(sim, 20))
			continue;
		Clusterd__Wire__OfferedProcess *process = list[message.n_processes] = &processes[message.n_processes];
		clusterd__wire__offered_process__init(process);
		process->name = (char *)(uintptr_t)offered_names[i];
		message.n_processes++;
	}
	message.processes = list;
	message.credit = 1 + (uint32_t)sim_below(sim, CREDIT_TOP);
	if (message.credit > worker->credit)
		worker->credit = message.credit;
	worker->server->touched = true;
	if (node_worker_offer(worker->server->node, worker->connection, &message, &error) != 0)
		sim_fail(sim, "an offer is refused: %s", error.text);
	sim_trace(sim, "worker %" PRIu64 " offers %zu processes to %s", worker->connection, message.n_processes, worker->server->name);
	worker->offered = true;
	worker->serves_all = message.n_processes == 3;
}

static void send_result(struct sim *sim, struct sim_worker *worker, const struct worker_call *call)
{
	Clusterd__Wire__Result message = CLUSTERD__WIRE__RESULT__INIT;
	struct error error = {0};
	struct buffer value = BUFFER_EMPTY;
	message.instance = call->id.instance;
	message.ref = call->id.ref;
	message.attempt = call->id.attempt;
	message.failed = call->failed;
	message.receipt = call->receipt;
	if (call->failed)
		buffer_append_string(&value, "no luck");
	else
		flows_compute(text_slice(call->process), text_slice(call->args), &value);
	sim_trace(sim, "worker %" PRIu64 ": result of %" PRIu64 "/%u attempt %" PRIu64 "%s", worker->connection, call->id.instance,
	          call->id.ref, call->id.attempt, call->failed ? " (failed)" : "");
	worker->server->touched = true;
	int code = node_worker_result(worker->server->node, worker->connection, &message, buffer_slice(&value), &error);
	if (code != 0)
		sim_fail(sim, "a worker's result is refused: %s", error.text);
	buffer_finish(&value);
}

/* A result for a call that another worker has: it must not count. */
static void meddle(struct sim *sim, struct sim_worker *worker)
{
	Clusterd__Wire__Result message = CLUSTERD__WIRE__RESULT__INIT;
	struct error error = {0};
	struct sim_worker *other = &sim->workers[sim_below(sim, SIM_WORKERS_COUNT)];
	const struct worker_call *call = &other->calls[sim_below(sim, KEPT_MAX)];
	if (other == worker || !call->used || call->done || call->abandoned || call->connection != other->connection)
		return;
	message.instance = call->id.instance;
	message.ref = call->id.ref;
	message.attempt = call->id.attempt;
	worker->server->touched = true;
	int code = node_worker_result(worker->server->node, worker->connection, &message, SLICE("\"meddled\""), &error);
	/* Another server does not know who has the call: it drops what comes without a receipt. That it did the audit sees. */
	if (code != ERR_DENIED && other->server == worker->server)
		sim_fail(sim, "a result for another worker's call is not refused");
}

static void finish_call(void *subject, uint64_t which, uint64_t slot_and_attempt)
{
	struct sim *sim = subject;
	struct sim_worker *worker = &sim->workers[which];
	struct worker_call *call = &worker->calls[slot_and_attempt % KEPT_MAX];
	if (!call->used || call->done || call->id.attempt != slot_and_attempt / KEPT_MAX)
		return;
	if (call->abandoned && sim_chance(sim, 50)) {
		forget(call);
		return;
	}
	call->done = true;
	if (answers(worker) && worker->offered)
		send_result(sim, worker, call);
}

static void beat(void *subject, uint64_t which, uint64_t slot_and_attempt)
{
	struct sim *sim = subject;
	struct sim_worker *worker = &sim->workers[which];
	struct worker_call *call = &worker->calls[slot_and_attempt % KEPT_MAX];
	Clusterd__Wire__Heartbeat message = CLUSTERD__WIRE__HEARTBEAT__INIT;
	if (!call->used || call->done || call->id.attempt != slot_and_attempt / KEPT_MAX)
		return;
	message.instance = call->id.instance;
	message.ref = call->id.ref;
	message.attempt = call->id.attempt;
	if (answers(worker))
		node_worker_heartbeat(worker->server->node, worker->connection, &message);
	sim_after(sim, 100, beat, which, slot_and_attempt);
}

/* --- from the node ------------------------------------------------------------------------------------------------- */

static struct worker_call *call_of(struct sim_worker *worker, uint64_t instance, uint32_t ref, uint64_t attempt)
{
	for (size_t i = 0; i < KEPT_MAX; i++) {
		struct worker_call *call = &worker->calls[i];
		if (call->used && call->id.instance == instance && call->id.ref == ref && call->id.attempt == attempt)
			return call;
	}
	return NULL;
}

/* More than its credit may wait, for the node counts a call as over when its result is committed, or when it was
 * abandoned. */
static void check_credit(struct sim *sim, const struct sim_worker *worker)
{
	uint32_t running = 0;
	for (size_t i = 0; i < KEPT_MAX; i++) {
		const struct worker_call *call = &worker->calls[i];
		running += call->used && !call->done && !call->abandoned && call->connection == worker->connection;
	}
	if (running > worker->credit)
		sim_fail(sim, "worker %" PRIu64 " has %u calls, and gave a credit of %u", worker->connection, running,
		         worker->credit);
}

static void take_assignment(struct sim *sim, struct sim_worker *worker, const Clusterd__Wire__Assignment *message,
                            struct slice payload)
{
	uint64_t which = (uint64_t)(worker - sim->workers);
	size_t slot = 0;
	calls_note_attempt(sim, (struct call_id){message->instance, message->ref, message->attempt});
	while (slot < KEPT_MAX && worker->calls[slot].used)
		slot++;
	if (slot == KEPT_MAX) { /* it forgets the oldest ones: nobody has taken them for long */
		slot = sim_below(sim, KEPT_MAX);
		forget(&worker->calls[slot]);
	}
	struct worker_call *call = &worker->calls[slot];
	*call = (struct worker_call){
		.used = true,
		.id = {message->instance, message->ref, message->attempt},
		.process = text_create(slice_of(message->process)),
		.args = text_create(payload),
		.connection = worker->connection,
		.receipt = message->receipt,
	};
	bool faulty = sim_faulty(sim, SIM_CALLS);
	uint64_t identity = message->attempt * KEPT_MAX + slot;
	msec takes = (msec)sim_below(sim, 60);
	sim_trace(sim, "worker %" PRIu64 ": call %" PRIu64 "/%u attempt %" PRIu64 ": %s", worker->connection, call->id.instance,
	          call->id.ref, call->id.attempt, message->process);
	check_credit(sim, worker);
	call->failed = faulty && sim_chance(sim, 8);
	if (faulty && sim_chance(sim, 10))
		takes = (msec)sim_below(sim, 4000);
	if (!faulty || !sim_chance(sim, 3))
		sim_after(sim, takes, finish_call, which, identity);
	if (!faulty || !sim_chance(sim, 3))
		sim_after(sim, 100, beat, which, identity);
}

void workers_frame(struct server *server, uint64_t connection, int frame_type, const ProtobufCMessage *message,
                   struct slice payload)
{
	struct sim *sim = server->sim;
	struct sim_worker *worker = worker_of(sim, connection);
	const Clusterd__Wire__Abandon *abandon = (const Clusterd__Wire__Abandon *)message;
	const Clusterd__Wire__Taken *taken = (const Clusterd__Wire__Taken *)message;
	struct worker_call *call = NULL;
	if (worker == NULL) {
		/* What was on its way to a connection that closed. Only the word that a result was taken may still come. */
		if (frame_type != FRAME_RESULT_TAKEN)
			sim_fail(sim, "a frame of type %d for the connection %" PRIu64 ", which is closed", frame_type, connection);
		return;
	}
	switch (frame_type) {
	case FRAME_ASSIGNMENT:
		take_assignment(sim, worker, (const Clusterd__Wire__Assignment *)message, payload);
		break;
	case FRAME_ABANDON:
		call = call_of(worker, abandon->instance, abandon->ref, abandon->attempt);
		if (call != NULL)
			call->abandoned = true;
		break;
	case FRAME_RESULT_TAKEN:
		call = call_of(worker, taken->instance, taken->ref, taken->attempt);
		if (call != NULL)
			forget(call);
		break;
	default:
		sim_fail(sim, "a frame of type %d for a worker", frame_type);
	}
}

/* --- coming and going ---------------------------------------------------------------------------------------------- */

static void leave(struct sim *sim, struct sim_worker *worker)
{
	uint64_t connection = worker->connection;
	struct server *server = worker->server;
	sim_trace(sim, "worker %" PRIu64 " vanishes", connection);
	sim->counts[COUNT_WORKERS]++;
	worker->connection = 0;
	worker->server = NULL;
	worker->offered = false;
	worker->credit = 0;
	server->touched = true;
	node_connection_closed(server->node, connection);
}

static void act(void *subject, uint64_t which, uint64_t unused)
{
	struct sim *sim = subject;
	struct sim_worker *worker = &sim->workers[which];
	bool faulty = sim_faulty(sim, SIM_WORKERS);
	(void)unused;
	sim_after(sim, 5 + (msec)sim_below(sim, 150), act, which, 0);
	struct server *chosen = worker->server != NULL ? worker->server : machines_some(sim);
	if (!server_answers(chosen))
		return;
	if (worker->server == NULL) {
		worker->server = chosen;
		worker->connection = sim->next_connection++;
		offer(sim, worker);
	} else if (faulty && sim_chance(sim, 4)) {
		leave(sim, worker);
		return;
	} else if ((faulty && sim_chance(sim, 10)) || (sim->calm && !worker->serves_all)) {
		offer(sim, worker);
	}
	for (size_t i = 0; i < KEPT_MAX && answers(worker); i++) {
		if (worker->calls[i].used && worker->calls[i].done && sim_chance(sim, 30))
			send_result(sim, worker, &worker->calls[i]);
	}
	if (faulty && answers(worker) && sim_chance(sim, 30))
		meddle(sim, worker);
}

void workers_init(struct sim *sim)
{
	sim->workers = mem_array(SIM_WORKERS_COUNT, sizeof *sim->workers);
	for (uint64_t i = 0; i < SIM_WORKERS_COUNT; i++) {
		sim->workers[i].id = i + 1;
		sim_after(sim, (msec)sim_below(sim, 300), act, i, 0);
	}
}

void workers_down(struct server *server)
{
	struct sim *sim = server->sim;
	for (size_t i = 0; i < SIM_WORKERS_COUNT; i++) {
		if (sim->workers[i].server != server)
			continue;
		sim->workers[i].server = NULL;
		sim->workers[i].connection = 0;
		sim->workers[i].offered = false;
		sim->workers[i].credit = 0;
	}
}

void workers_finish(struct sim *sim)
{
	for (size_t i = 0; i < SIM_WORKERS_COUNT; i++) {
		for (size_t k = 0; k < KEPT_MAX; k++) {
			if (sim->workers[i].calls[k].used)
				forget(&sim->workers[i].calls[k]);
		}
	}
	mem_free(sim->workers);
}
