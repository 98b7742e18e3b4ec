#include "daemon/node_internal.h"

#include "base/json.h"
#include "base/memory.h"
#include "wire/frame.h"

#include <assert.h>
#include <inttypes.h>

#define SCAN_AT_ONCE 200
#define ASSIGNED_AT_ONCE 1000
/* Of one command: an entry has a bounded number of elements, and no more of them once they have so many bytes. */
#define RESULTS_AT_ONCE 1000
#define RESULTS_BYTES (4u << 20)
#define METADATA_MAX 4096
#define OFFERS_MAX 1000
#define CREDIT_MAX 100000u

/* What a place belongs to: NULL is this machine's executor, else a connected worker. */

void node_calls_init(struct node *node, uint32_t exec_slots)
{
	node->exec_place = dispatch_place_add(node->dispatch, PLACE_EXEC, exec_slots, NULL, NULL);
}

void node_calls_finish(struct node *node)
{
	struct worker *worker;
	struct worker *next_worker;
	struct report *report;
	struct report *next_report;
	struct pool_place *pool;
	struct pool_place *next_pool;
	HASH_ITER(hh, node->workers, worker, next_worker) {
		HASH_DELETE(hh, node->workers, worker);
		mem_free(worker);
	}
	HASH_ITER(hh, node->reports, report, next_report) {
		HASH_DELETE(hh, node->reports, report);
		mem_free(report);
	}
	HASH_ITER(hh, node->pools, pool, next_pool) {
		HASH_DELETE(hh, node->pools, pool);
		mem_free(pool);
	}
}

/* --- handing out --------------------------------------------------------------------------------------------------- */

static void need_pool(struct node *node, const struct definition *process)
{
	struct pool_place *pool;
	if (process->settings.pool_count == 0)
		return;
	HASH_FIND_PTR(node->pools, &process, pool);
	if (pool != NULL)
		return;
	pool = mem_zero(sizeof *pool);
	pool->process = process;
	pool->place = dispatch_place_add(node->dispatch, PLACE_POOL, node->pool_calls, NULL, process);
	HASH_ADD_PTR(node->pools, process, pool);
}

static void offer_call(struct node *node, const struct call *call)
{
	struct call_id id = {call->owner->id, call->ref, attempt_after(call->attempt, raft_term(node->raft))};
	need_pool(node, call->process);
	dispatch_ready(node->dispatch, node->host->now(node->context), id, call->process);
}

void node_calls_ready(struct node *node, uint64_t instance, uint32_t ref)
{
	const struct call *call = machine_call(node->machine, instance, ref);
	if (call != NULL && call->state == CALL_READY)
		offer_call(node, call);
}

void node_calls_stepped_down(struct node *node)
{
	sequencer_clear(node->sequencer);
}

/* A new leader looks at all open instances, some in each turn, and hands out again what no node runs any more: children of this
 * node ended with its former self, and workers have to connect anew. */
void node_calls_scan(struct node *node)
{
	uint64_t ids[SCAN_AT_ONCE];
	struct error error = {0};
	if (!node->scanning || !node->ready)
		return;
	int count = catalog_instances_open(node->catalog, node->scan_after, ids, SCAN_AT_ONCE);
	if (count < 0) {
		error_set(&error, count, "the catalog cannot be read: %s", catalog_error(node->catalog));
		node_fail(node, &error);
		return;
	}
	for (int i = 0; i < count; i++) {
		struct running *running;
		if (machine_load(node->machine, ids[i], &running, &error) != 0) {
			node_fail(node, &error);
			return;
		}
		for (struct call *call = running != NULL ? running->calls : NULL; call != NULL; call = call->next) {
			if (call->kind == INSTANCE_CALL_PROCESS && (call->state == CALL_READY || call->state == CALL_RUNNING))
				offer_call(node, call);
		}
		node->scan_after = ids[i];
	}
	node->scanning = count == SCAN_AT_ONCE;
	machine_trim(node->machine);
}

static void hand_out(struct node *node, const struct assignment *assignment)
{
	const struct call *call = machine_call(node->machine, assignment->call.instance, assignment->call.ref);
	struct worker *worker = dispatch_place_context(assignment->place);
	assert(call != NULL && call->state < CALL_DONE);
	mem_grow(node->assigned, node->assigned_capacity, node->assigned_count + 1);
	if (node->assigned_count == 0)
		node->assigned_since = node->host->now(node->context);
	node->assigned[node->assigned_count++] = (struct command_assignment){
		assignment->call.instance, assignment->call.ref, assignment->call.attempt};
	if (worker == NULL) {
		node->host->call_start(node->context, assignment->call, assignment->process, call->args);
		return;
	}
	Clusterd__Wire__Assignment message = CLUSTERD__WIRE__ASSIGNMENT__INIT;
	message.instance = assignment->call.instance;
	message.ref = assignment->call.ref;
	message.attempt = assignment->call.attempt;
	message.version = assignment->process->version;
	message.timeout_ms = (uint64_t)assignment->process->settings.timeout;
	message.heartbeat_ms = (uint64_t)assignment->process->settings.heartbeat;
	buffer_clear(&node->scratch);
	buffer_append_slice(&node->scratch, assignment->process->name);
	message.process = (char *)(uintptr_t)buffer_string(&node->scratch);
	node->host->send(node->context, worker->connection, FRAME_ASSIGNMENT, &message.base, text_slice(call->args));
}

void node_calls_pump(struct node *node)
{
	struct assignment assignment;
	if (node->draining || !node->ready)
		return;
	while (node->assigned_count < ASSIGNED_AT_ONCE &&
	       dispatch_next(node->dispatch, node->host->now(node->context), &assignment))
		hand_out(node, &assignment);
}

void node_calls_propose_assigned(struct node *node)
{
	if (node->assigned_count == 0)
		return;
	struct command command = {.kind = COMMAND_ASSIGNED};
	command.assigned.node = slice_of(node->name);
	command.assigned.calls = node->assigned;
	command.assigned.count = node->assigned_count;
	node_propose(node, &command, false);
	node->assigned_count = 0;
}

/* --- what comes back ----------------------------------------------------------------------------------------------- */

static void add_failure(struct node *node, struct call_id call, enum failure_cause cause, bool final, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

static void add_failure(struct node *node, struct call_id call, enum failure_cause cause, bool final, const char *format, ...)
{
	struct error text;
	va_list args;
	va_start(args, format);
	error_setv(&text, ERR_INVALID, format, args);
	va_end(args);
	struct returned returned = {
		.ref = call.ref,
		.attempt = call.attempt,
		.outcome = OUTCOME_FAILED,
		.retryable = !final,
		.cause = (uint8_t)cause,
		.value = text_create(slice_of(text.text)),
	};
	sequencer_add(node->sequencer, call.instance, &returned);
}

/* Why metadata cannot be taken; NULL: it can. */
static const char *metadata_fault(struct slice metadata)
{
	if (metadata.size == 0)
		return NULL;
	if (metadata.size > METADATA_MAX)
		return "its metadata is larger than 4096 bytes";
	if (json_check(metadata, NULL) != 0 || json_kind(json_trim(metadata)) != JSON_OBJECT)
		return "its metadata is not a JSON object";
	return NULL;
}

static void take_output(struct node *node, const struct call *call, struct call_id id, struct slice value,
                        struct slice metadata)
{
	struct error error = {0};
	struct buffer accepted = BUFFER_EMPTY;
	uint32_t limit = machine_settings(node->machine)->value_max;
	const char *fault = metadata_fault(metadata);
	if (value.size > limit) {
		add_failure(node, id, CAUSE_LIMIT, false, "its output has %zu bytes; at most %u are allowed (setting value_max)",
		            value.size, limit);
		return;
	}
	if (fault != NULL) {
		add_failure(node, id, CAUSE_TYPE, false, "%s", fault);
		return;
	}
	if (type_accept(call->process->result, value, TYPE_OUTPUT, &accepted, &error) != 0) {
		add_failure(node, id, CAUSE_TYPE, false, "its output is not of the declared type: %s", error.text);
		buffer_finish(&accepted);
		return;
	}
	struct returned returned = {
		.ref = id.ref,
		.attempt = id.attempt,
		.outcome = OUTCOME_RETURNED,
		.value = text_create(buffer_slice(&accepted)),
		.metadata = metadata.size != 0 ? text_create(metadata) : NULL,
	};
	sequencer_add(node->sequencer, id.instance, &returned);
	buffer_finish(&accepted);
}

/* A message of a failure: plain UTF-8 of a bounded size. */
static struct text *message_text(struct slice message)
{
	struct buffer quoted = BUFFER_EMPTY;
	struct buffer plain = BUFFER_EMPTY;
	struct slice cut = {message.data, message.size < METADATA_MAX ? message.size : METADATA_MAX};
	json_quote(&quoted, cut);
	json_unquote(&plain, buffer_slice(&quoted));
	struct text *text = text_create(buffer_slice(&plain));
	buffer_finish(&quoted);
	buffer_finish(&plain);
	return text;
}

/* Returns false when nobody waits for it any more. */
static bool take_result(struct node *node, struct call_id id, bool failed, bool final, struct slice value,
                        struct slice metadata)
{
	const struct call *call = machine_call(node->machine, id.instance, id.ref);
	if (!node->leader || call == NULL || call->state >= CALL_DONE || call->kind != INSTANCE_CALL_PROCESS) {
		node->counts.results_ignored++;
		dispatch_close(node->dispatch, id);
		return false;
	}
	dispatch_reported(node->dispatch, id);
	if (!failed) {
		take_output(node, call, id, value, metadata);
		return true;
	}
	struct returned returned = {
		.ref = id.ref,
		.attempt = id.attempt,
		.outcome = OUTCOME_FAILED,
		.retryable = !final,
		.cause = CAUSE_ERROR,
		.value = message_text(value),
	};
	sequencer_add(node->sequencer, id.instance, &returned);
	return true;
}

void node_call_finished(struct node *node, struct call_id call, bool failed, bool final, struct slice value,
                        struct slice metadata)
{
	take_result(node, call, failed, final, value, metadata);
}

void node_call_heartbeat(struct node *node, struct call_id call)
{
	dispatch_heartbeat(node->dispatch, node->host->now(node->context), call);
}

static void propose_results(struct node *node, uint64_t instance, const struct returned *returned, uint32_t count)
{
	struct command_returned *rows = arena_alloc(&node->arena, count * sizeof *rows);
	for (uint32_t i = 0; i < count; i++) {
		rows[i] = (struct command_returned){
			.ref = returned[i].ref,
			.attempt = returned[i].attempt,
			.failed = returned[i].outcome == OUTCOME_FAILED,
			.final = !returned[i].retryable,
			.cause = (enum failure_cause)returned[i].cause,
			.value = text_slice(returned[i].value),
			.metadata = returned[i].metadata != NULL ? text_slice(returned[i].metadata) : SLICE(""),
		};
	}
	struct command command = {.kind = COMMAND_RESULTS};
	command.results.instance = instance;
	command.results.returned = rows;
	command.results.count = count;
	node_propose(node, &command, true);
	arena_reset(&node->arena);
}

/* How many of these results one command takes. */
static uint32_t command_share(const struct returned *returned, uint32_t count)
{
	size_t bytes = 0;
	uint32_t share = 0;
	for (; share < count && share < RESULTS_AT_ONCE && bytes < RESULTS_BYTES; share++)
		bytes += returned[share].value->size;
	return share;
}

/* Results of an instance that is finished meanwhile are proposed like all others: applying them tells their workers so. */
void node_calls_propose_results(struct node *node)
{
	uint64_t instance;
	struct returned *returned;
	uint32_t count;
	while (sequencer_next(node->sequencer, &instance, &returned, &count)) {
		while (count > 0) {
			uint32_t share = command_share(returned, count);
			propose_results(node, instance, returned, share);
			returned += share;
			count -= share;
		}
	}
}

static struct report *report_find(const struct node *node, struct call_id call)
{
	struct report *report;
	struct call_id key;
	memset(&key, 0, sizeof key);
	key.instance = call.instance;
	key.ref = call.ref;
	key.attempt = call.attempt;
	HASH_FIND(hh, node->reports, &key, sizeof key, report);
	return report;
}

static void send_taken(struct node *node, uint64_t connection, struct call_id call)
{
	Clusterd__Wire__Taken message = CLUSTERD__WIRE__TAKEN__INIT;
	message.instance = call.instance;
	message.ref = call.ref;
	message.attempt = call.attempt;
	node->host->send(node->context, connection, FRAME_RESULT_TAKEN, &message.base, SLICE(""));
}

void node_calls_closed(struct node *node, struct call_id call)
{
	struct report *report = report_find(node, call);
	dispatch_close(node->dispatch, call);
	if (report == NULL)
		return;
	send_taken(node, report->connection, call);
	HASH_DELETE(hh, node->reports, report);
	mem_free(report);
}

static void stop_call(struct node *node, struct call_id call)
{
	struct place *place = dispatch_close(node->dispatch, call);
	if (place == NULL)
		return;
	const struct worker *worker = dispatch_place_context(place);
	if (worker == NULL) {
		node->host->call_abandon(node->context, call);
		return;
	}
	Clusterd__Wire__Abandon message = CLUSTERD__WIRE__ABANDON__INIT;
	message.instance = call.instance;
	message.ref = call.ref;
	message.attempt = call.attempt;
	node->host->send(node->context, worker->connection, FRAME_ABANDON, &message.base, SLICE(""));
}

void node_calls_abandoned(struct node *node, struct call_id call)
{
	stop_call(node, call);
}

/* Calls whose time has run out fail, and what runs of them is stopped. */
void node_calls_expire(struct node *node)
{
	struct call_id id;
	enum expiry expiry;
	const struct definition *process;
	while (dispatch_expired(node->dispatch, node->host->now(node->context), &id, &expiry, &process)) {
		const struct call *call = machine_call(node->machine, id.instance, id.ref);
		if (call == NULL)
			continue;
		if (expiry == EXPIRY_START) {
			struct call_id waiting = {id.instance, id.ref, call->attempt};
			dispatch_close(node->dispatch, id);
			add_failure(node, waiting, CAUSE_TIMEOUT, false,
			            "it was not started within its start_timeout of %lld ms",
			            (long long)process->settings.start_timeout);
			continue;
		}
		stop_call(node, id);
		if (expiry == EXPIRY_HEARTBEAT)
			add_failure(node, id, CAUSE_TIMEOUT, false, "no heartbeat came for %lld ms",
			            (long long)process->settings.heartbeat);
		else
			add_failure(node, id, CAUSE_TIMEOUT, false, "it did not finish within its timeout of %lld ms",
			            (long long)process->settings.timeout);
	}
}

/* --- connected workers --------------------------------------------------------------------------------------------- */

static struct worker *worker_find(const struct node *node, uint64_t connection)
{
	struct worker *worker;
	HASH_FIND(hh, node->workers, &connection, sizeof connection, worker);
	return worker;
}

static int check_offer(const struct node *node, const Clusterd__Wire__Offer *offer, struct error *error)
{
	if (offer->n_processes > OFFERS_MAX || offer->credit > CREDIT_MAX)
		return error_set(error, ERR_LIMIT, "an offer may have %d processes and a credit of %u, not %zu and %u", OFFERS_MAX,
		                 CREDIT_MAX, offer->n_processes, offer->credit);
	for (size_t i = 0; i < offer->n_processes; i++) {
		const Clusterd__Wire__OfferedProcess *offered = offer->processes[i];
		const struct definition *definition = registry_find(machine_registry(node->machine), slice_of(offered->name), 0);
		if (definition != NULL && definition->kind != DEFINITION_PROCESS)
			return error_set(error, ERR_INVALID, "%s is a workflow; a worker serves processes", offered->name);
	}
	return 0;
}

int node_worker_offer(struct node *node, uint64_t connection, const Clusterd__Wire__Offer *offer, struct error *error)
{
	struct worker *worker = worker_find(node, connection);
	int code = check_offer(node, offer, error);
	if (code != 0)
		return code;
	if (worker == NULL) {
		worker = mem_zero(sizeof *worker);
		worker->connection = connection;
		worker->place = dispatch_place_add(node->dispatch, PLACE_WORKER, 0, worker, NULL);
		HASH_ADD(hh, node->workers, connection, sizeof worker->connection, worker);
	}
	struct offer *offers = mem_array(offer->n_processes, sizeof *offers);
	for (size_t i = 0; i < offer->n_processes; i++)
		offers[i] = (struct offer){slice_of(offer->processes[i]->name), slice_of(offer->processes[i]->signature)};
	dispatch_place_offer(node->dispatch, worker->place, offers, offer->n_processes, offer->credit);
	mem_free(offers);
	return 0;
}

int node_worker_result(struct node *node, uint64_t connection, const Clusterd__Wire__Result *result,
                       struct slice payload, struct error *error)
{
	struct call_id call = {result->instance, result->ref, result->attempt};
	struct slice metadata = {(const char *)result->metadata.data, result->metadata.len};
	struct worker *worker = worker_find(node, connection);
	const struct place *place = dispatch_where(node->dispatch, call);
	if (worker == NULL)
		return error_set(error, ERR_INVALID, "a result came before an offer");
	/* It may answer for what it runs itself, or for a call that nobody runs now: it got it before it lost its connection, or
	 * before this node became leader. */
	if (place != NULL && place != worker->place)
		return error_set(error, ERR_DENIED, "call %u of workflow %" PRIu64 " (attempt %" PRIu64 ") runs elsewhere",
		                 call.ref, call.instance, call.attempt);
	if (report_find(node, call) != NULL)
		return 0; /* said twice: the first counts */
	if (!take_result(node, call, result->failed != 0, result->final != 0, payload, metadata)) {
		send_taken(node, connection, call);
		return 0;
	}
	struct report *report = mem_zero(sizeof *report);
	report->call.instance = call.instance;
	report->call.ref = call.ref;
	report->call.attempt = call.attempt;
	report->connection = connection;
	HASH_ADD(hh, node->reports, call, sizeof report->call, report);
	return 0;
}

void node_worker_heartbeat(struct node *node, uint64_t connection, const Clusterd__Wire__Heartbeat *heartbeat)
{
	struct call_id call = {heartbeat->instance, heartbeat->ref, heartbeat->attempt};
	const struct worker *worker = worker_find(node, connection);
	if (worker != NULL && dispatch_where(node->dispatch, call) == worker->place)
		node_call_heartbeat(node, call);
}

void worker_gone(struct node *node, uint64_t connection)
{
	struct worker *worker = worker_find(node, connection);
	struct call_id call;
	if (worker == NULL)
		return;
	while (dispatch_place_remove(node->dispatch, worker->place, &call)) {
		if (report_find(node, call) == NULL)
			add_failure(node, call, CAUSE_ERROR, false, "the connection to its worker was lost");
	}
	HASH_DELETE(hh, node->workers, worker);
	mem_free(worker);
}
