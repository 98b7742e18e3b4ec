#include "daemon/node_internal.h"

#include "base/memory.h"
#include "wire/content.h"
#include "wire/frame.h"

#include <inttypes.h>

/* Connected workers of this node. What a worker was given it may answer for as long as the call is open: on this connection, on a
 * later one, through another node, after a restart of all. On a later one it shows the receipt that came with the call, which
 * says that just this worker got it. */

#define OFFERS_MAX 1000
#define HELD_MAX 5000
#define CREDIT_MAX 100000u

static struct worker *worker_of(const struct runner *runner, uint64_t connection)
{
	struct worker *worker;
	HASH_FIND(by_connection, runner->connected, &connection, sizeof connection, worker);
	return worker;
}

struct worker *worker_at(const struct runner *runner, uint64_t place)
{
	struct worker *worker;
	HASH_FIND(hh, runner->workers, &place, sizeof place, worker);
	return worker;
}

/* The leader goes by what it was told last: the worker may have come back since, and want less. */
bool worker_takes(const struct worker *worker, struct slice process)
{
	bool offered = false;
	for (size_t i = 0; i < worker->offer_count && !offered; i++)
		offered = slice_equal(worker->offers[i].process, process);
	return offered && worker->connection != 0 && worker->running < worker->credit;
}

static void offers_release(struct worker *worker)
{
	for (size_t i = 0; i < worker->offer_count; i++) {
		mem_free((char *)(uintptr_t)worker->offers[i].process.data);
		mem_free((char *)(uintptr_t)worker->offers[i].signature.data);
	}
	mem_free(worker->offers);
	worker->offers = NULL;
	worker->offer_count = 0;
}

static void worker_changed(struct runner *runner, struct worker *worker)
{
	worker->changed = true;
	runner->changed = true;
}

static void worker_connect(struct runner *runner, struct worker *worker, uint64_t connection)
{
	worker->connection = connection;
	HASH_ADD(by_connection, runner->connected, connection, sizeof worker->connection, worker);
}

static void worker_disconnect(struct runner *runner, struct worker *worker)
{
	HASH_DELETE(by_connection, runner->connected, worker);
	worker->connection = 0;
}

void workers_release(struct runner *runner)
{
	struct worker *worker;
	struct worker *next;
	HASH_CLEAR(by_connection, runner->connected);
	HASH_ITER(hh, runner->workers, worker, next) {
		HASH_DELETE(hh, runner->workers, worker);
		offers_release(worker);
		mem_free(worker);
	}
}

/* --- receipts ------------------------------------------------------------------------------------------------------- */

static uint64_t receipt_of(const struct node *node, uint64_t worker, struct call_id call)
{
	const uint64_t fields[] = {worker, call.instance, call.ref, call.attempt};
	return content_receipt(slice_of(node->identity.cluster_id), fields, sizeof fields / sizeof fields[0]);
}

static bool receipt_fits(const struct node *node, const struct worker *worker, struct call_id call, uint64_t receipt)
{
	return worker->id != 0 && receipt_of(node, worker->id, call) == receipt;
}

/* --- to workers ----------------------------------------------------------------------------------------------------- */

void worker_send_order(struct node *node, const struct worker *worker, const struct call_order *order)
{
	Clusterd__Wire__Assignment message = CLUSTERD__WIRE__ASSIGNMENT__INIT;
	message.instance = order->call.instance;
	message.ref = order->call.ref;
	message.attempt = order->call.attempt;
	message.version = order->version;
	message.timeout_ms = order->timeout_ms;
	message.heartbeat_ms = order->heartbeat_ms;
	if (worker->id != 0)
		message.receipt = receipt_of(node, worker->id, order->call);
	buffer_clear(&node->scratch);
	buffer_append_slice(&node->scratch, order->process);
	message.process = (char *)(uintptr_t)buffer_string(&node->scratch);
	node->host->send(node->context, worker->connection, FRAME_ASSIGNMENT, &message.base, text_slice(order->args));
}

void worker_send_abandon(struct node *node, const struct worker *worker, struct call_id call)
{
	Clusterd__Wire__Abandon message = CLUSTERD__WIRE__ABANDON__INIT;
	if (worker->connection == 0)
		return;
	message.instance = call.instance;
	message.ref = call.ref;
	message.attempt = call.attempt;
	node->host->send(node->context, worker->connection, FRAME_ABANDON, &message.base, SLICE(""));
}

static void send_taken(struct node *node, uint64_t connection, struct call_id call)
{
	Clusterd__Wire__Taken message = CLUSTERD__WIRE__TAKEN__INIT;
	message.instance = call.instance;
	message.ref = call.ref;
	message.attempt = call.attempt;
	node->host->send(node->context, connection, FRAME_RESULT_TAKEN, &message.base, SLICE(""));
}

void worker_send_taken(struct node *node, const struct worker *worker, struct call_id call)
{
	if (worker->connection != 0)
		send_taken(node, worker->connection, call);
}

/* --- coming --------------------------------------------------------------------------------------------------------- */

static int check_offer(const struct node *node, const Clusterd__Wire__Offer *offer, struct error *error)
{
	if (offer->n_processes > OFFERS_MAX || offer->credit > CREDIT_MAX || offer->n_held > HELD_MAX)
		return error_set(error, ERR_LIMIT,
		                 "an offer may have %d processes, a credit of %u and %d calls, not %zu, %u and %zu", OFFERS_MAX,
		                 CREDIT_MAX, HELD_MAX, offer->n_processes, offer->credit, offer->n_held);
	for (size_t i = 0; i < offer->n_processes; i++) {
		const Clusterd__Wire__OfferedProcess *offered = offer->processes[i];
		const struct definition *definition = registry_find(machine_registry(node->machine), slice_of(offered->name), 0);
		if (definition != NULL && definition->kind != DEFINITION_PROCESS)
			return error_set(error, ERR_INVALID, "%s is a %s; a worker serves processes", offered->name,
			                 definition_kind_name(definition->kind));
	}
	return 0;
}

static struct worker *known_worker(const struct runner *runner, uint64_t id)
{
	struct worker *worker = id != 0 ? runner->workers : NULL;
	while (worker != NULL && worker->id != id)
		worker = worker->hh.next;
	return worker;
}

static struct worker *worker_create(struct runner *runner, uint64_t id)
{
	struct worker *worker = mem_zero(sizeof *worker);
	worker->place = runner->next_place++;
	worker->id = id;
	TAILQ_INIT(&worker->runs);
	HASH_ADD(hh, runner->workers, place, sizeof worker->place, worker);
	return worker;
}

/* What it has of former connections goes on; what it should have and does not was lost on the way. */
static void take_held(struct node *node, struct worker *worker, const Clusterd__Wire__Offer *offer)
{
	struct runner *runner = &node->runner;
	struct run *next;
	for (size_t i = 0; i < offer->n_held; i++) {
		const Clusterd__Wire__Held *held = offer->held[i];
		struct call_id call = {held->instance, held->ref, held->attempt};
		struct run *run = run_find(runner, call);
		if (run == NULL && HASH_COUNT(runner->runs) < RUNS_MAX && receipt_fits(node, worker, call, held->receipt)) {
			run = run_create(runner, call, worker);
			run->news = true;
		}
		if (run != NULL && run->worker == worker)
			run->held = true;
	}
	for (struct run *run = TAILQ_FIRST(&worker->runs); run != NULL; run = next) {
		next = TAILQ_NEXT(run, link);
		bool lost = !run->held && run->state == RUN_RUNS;
		run->held = false;
		if (lost)
			run_done(node, run, true, false, SLICE("it was lost on the way to its worker"), SLICE(""));
	}
}

static struct worker *worker_arrives(struct node *node, uint64_t connection, const Clusterd__Wire__Offer *offer)
{
	struct runner *runner = &node->runner;
	struct worker *worker = known_worker(runner, offer->worker);
	if (worker == NULL)
		worker = worker_create(runner, offer->worker);
	else if (worker->connection != 0)
		worker_disconnect(runner, worker); /* the former connection has not been noticed to be dead */
	else
		runner->away_count--;
	worker_connect(runner, worker, connection);
	take_held(node, worker, offer);
	return worker;
}

int node_worker_offer(struct node *node, uint64_t connection, const Clusterd__Wire__Offer *offer, struct error *error)
{
	struct runner *runner = &node->runner;
	struct worker *worker = worker_of(runner, connection);
	int code = check_offer(node, offer, error);
	if (code != 0)
		return code;
	if (worker == NULL)
		worker = worker_arrives(node, connection, offer);
	offers_release(worker);
	worker->offers = mem_array(offer->n_processes, sizeof *worker->offers);
	worker->offer_count = offer->n_processes;
	for (size_t i = 0; i < offer->n_processes; i++) {
		struct slice process = slice_of(offer->processes[i]->name);
		struct slice signature = slice_of(offer->processes[i]->signature);
		worker->offers[i] = (struct offer){{mem_copy(process.data, process.size), process.size},
		                                   {mem_copy(signature.data, signature.size), signature.size}};
	}
	worker->credit = offer->credit;
	worker_changed(runner, worker);
	return 0;
}

/* --- what they say -------------------------------------------------------------------------------------------------- */

int node_worker_result(struct node *node, uint64_t connection, const Clusterd__Wire__Result *result,
                       struct slice payload, struct error *error)
{
	struct call_id call = {result->instance, result->ref, result->attempt};
	struct slice metadata = {(const char *)result->metadata.data, result->metadata.len};
	struct runner *runner = &node->runner;
	struct worker *worker = worker_of(runner, connection);
	struct run *run = run_find(runner, call);
	if (worker == NULL)
		return error_set(error, ERR_INVALID, "a result came before an offer");
	if (run != NULL && run->worker != worker && run->state != RUN_DONE)
		return error_set(error, ERR_DENIED, "call %u of workflow %" PRIu64 " (attempt %" PRIu64 ") runs elsewhere",
		                 call.ref, call.instance, call.attempt);
	if (run == NULL) {
		if (HASH_COUNT(runner->runs) >= RUNS_MAX || !receipt_fits(node, worker, call, result->receipt)) {
			node->counts.results_ignored++; /* it is over, or it never had it */
			send_taken(node, connection, call);
			return 0;
		}
		run = run_create(runner, call, worker);
	}
	if (run->state != RUN_DONE) /* said twice: the first counts */
		run_done(node, run, result->failed != 0, result->final != 0, payload, metadata);
	return 0;
}

void node_worker_heartbeat(struct node *node, uint64_t connection, const Clusterd__Wire__Heartbeat *heartbeat)
{
	struct call_id call = {heartbeat->instance, heartbeat->ref, heartbeat->attempt};
	const struct worker *worker = worker_of(&node->runner, connection);
	const struct run *run = run_find(&node->runner, call);
	if (worker != NULL && run != NULL && run->worker == worker && run->state == RUN_RUNS)
		runner_heartbeat(node, call);
}

/* --- going ---------------------------------------------------------------------------------------------------------- */

/* What it had has failed: it does not come back. Results that it told stay. */
static void worker_end(struct node *node, struct worker *worker)
{
	struct runner *runner = &node->runner;
	struct run *run;
	while ((run = TAILQ_FIRST(&worker->runs)) != NULL) {
		TAILQ_REMOVE(&worker->runs, run, link);
		run->worker = NULL;
		if (run->state != RUN_DONE)
			run_done(node, run, true, false, SLICE("the connection to its worker was lost"), SLICE(""));
	}
	mem_grow(runner->gone, runner->gone_capacity, runner->gone_count + 1);
	runner->gone[runner->gone_count++] = worker->place;
	runner->changed = true;
	HASH_DELETE(hh, runner->workers, worker);
	offers_release(worker);
	mem_free(worker);
}

void worker_gone(struct node *node, uint64_t connection)
{
	struct runner *runner = &node->runner;
	struct worker *worker = worker_of(runner, connection);
	if (worker == NULL)
		return;
	worker_disconnect(runner, worker);
	if (worker->id == 0 || TAILQ_EMPTY(&worker->runs)) {
		worker_end(node, worker);
		return;
	}
	worker->away_until = node->host->now(node->context) + WORKER_BACK_MS;
	runner->away_count++;
	worker_changed(runner, worker);
}

void workers_expire(struct node *node, msec now)
{
	struct runner *runner = &node->runner;
	struct worker *worker;
	struct worker *next;
	HASH_ITER(hh, runner->workers, worker, next) {
		if (worker->connection == 0 && worker->away_until <= now) {
			runner->away_count--;
			worker_end(node, worker);
		}
	}
}
