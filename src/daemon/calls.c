#include "daemon/node_internal.h"

#include "base/json.h"
#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>

#define SCAN_AT_ONCE 200
#define ASSIGNED_AT_ONCE 1000
/* Of one command: an entry has a bounded number of elements, and no more of them once they have so many bytes. */
#define RESULTS_AT_ONCE 1000
#define RESULTS_BYTES (4u << 20)
#define METADATA_MAX 4096

void node_calls_finish(struct node *node)
{
	struct report *report;
	struct report *next_report;
	HASH_ITER(hh, node->reports, report, next_report) {
		HASH_DELETE(hh, node->reports, report);
		mem_free(report);
	}
	node->assigned_count = 0;
}

void node_calls_lead(struct node *node)
{
	node->scanning = true;
	node->scan_after = 0;
	sites_lead(node);
}

void node_calls_unlead(struct node *node)
{
	sites_unlead(node);
	sequencer_clear(node->sequencer);
	node_calls_finish(node);
	node->scanning = false;
}

/* --- handing out --------------------------------------------------------------------------------------------------- */

const struct call *node_calls_look(struct node *node, uint64_t instance, uint32_t ref)
{
	struct error error = {0};
	struct running *running;
	const struct call *call = machine_call(node->machine, instance, ref);
	if (call == NULL && machine_find(node->machine, instance) == NULL) {
		if (machine_load(node->machine, instance, &running, &error) != 0) {
			node_fail(node, &error);
			return NULL;
		}
		call = machine_call(node->machine, instance, ref);
	}
	return call != NULL && call->state < CALL_DONE && call->kind == INSTANCE_CALL_PROCESS ? call : NULL;
}

const struct call *node_calls_open(struct node *node, uint64_t instance, uint32_t ref)
{
	const struct call *call = node_calls_look(node, instance, ref);
	return call != NULL && call->process->settings.job == NULL ? call : NULL;
}

void node_calls_offer(struct node *node, const struct call *call, uint64_t used)
{
	uint64_t last = call->attempt > used ? call->attempt : used;
	struct call_id id = {call->owner->id, call->ref, attempt_after(last, raft_term(node->raft))};
	if (call->process->settings.pool_count > 0)
		sites_need_pool(node, call->process);
	dispatch_ready(node->dispatch, node->host->now(node->context), id, call->process);
}

void node_calls_ready(struct node *node, uint64_t instance, uint32_t ref)
{
	const struct call *call = machine_call(node->machine, instance, ref);
	if (call != NULL && call->state == CALL_READY)
		node_calls_offer(node, call, 0);
}

/* A new leader looks at all open instances, some in each turn. */
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
			if (call->kind != INSTANCE_CALL_PROCESS || call->process->settings.job != NULL)
				continue;
			if (call->state == CALL_READY)
				node_calls_offer(node, call, 0);
			else if (call->state == CALL_RUNNING)
				sites_recorded(node, call);
		}
		node->scan_after = ids[i];
	}
	node->scanning = count == SCAN_AT_ONCE;
	machine_trim(node->machine);
}

void node_calls_note(struct node *node, struct site *site, struct call_id call)
{
	mem_grow(site->assigned, site->assigned_capacity, site->assigned_count + 1);
	if (node->assigned_count == 0)
		node->assigned_since = node->host->now(node->context);
	site->assigned[site->assigned_count++] = (struct command_assignment){call.instance, call.ref, call.attempt};
	node->assigned_count++;
}

static void hand_out(struct node *node, const struct assignment *assignment)
{
	const struct call *call = machine_call(node->machine, assignment->call.instance, assignment->call.ref);
	const struct spot *spot = dispatch_place_context(assignment->place);
	const struct definition *process = assignment->process;
	assert(call != NULL && call->state < CALL_DONE);
	node_calls_note(node, spot->site, assignment->call);
	struct call_order order = {
		.call = assignment->call,
		.term = raft_term(node->raft),
		.place = spot->place,
		.process = process->name,
		.version = process->version,
		.timeout_ms = (uint64_t)process->settings.timeout,
		.heartbeat_ms = (uint64_t)process->settings.heartbeat,
		.definition = process,
		.args = call->args,
	};
	if (spot->site->own)
		runner_order(node, &order);
	else
		frames_send_order(node, spot->site->member, &order);
}

void node_calls_pump(struct node *node)
{
	struct assignment assignment;
	if (!node->ready || !node->sites.settled)
		return;
	while (node->assigned_count < ASSIGNED_AT_ONCE &&
	       dispatch_next(node->dispatch, node->host->now(node->context), &assignment))
		hand_out(node, &assignment);
}

void node_calls_propose_assigned(struct node *node)
{
	struct site *site;
	if (node->assigned_count == 0)
		return;
	TAILQ_FOREACH(site, &node->sites.all, link) {
		if (site->assigned_count == 0)
			continue;
		struct command command = {.kind = COMMAND_ASSIGNED};
		command.assigned.node = slice_of(site->name);
		command.assigned.calls = site->assigned;
		command.assigned.count = site->assigned_count;
		node_propose(node, &command, false);
		site->assigned_count = 0;
	}
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
	if (metadata.size > METADATA_MAX)
		return "its metadata is larger than 4096 bytes";
	if (json_check(metadata, NULL) != 0 || json_kind(json_trim(metadata)) != JSON_OBJECT)
		return "its metadata is not a JSON object";
	return NULL;
}

int node_calls_accept(struct node *node, const struct call *call, struct slice value, struct error *error)
{
	uint32_t limit = machine_settings(node->machine)->value_max;
	if (value.size > limit)
		return error_set(error, ERR_LIMIT, "its output has %zu bytes; at most %u are allowed (setting value_max)",
		                 value.size, limit);
	buffer_clear(&node->scratch);
	int code = type_accept(call->process->result, value, TYPE_OUTPUT, &node->scratch, error);
	if (code != 0)
		error_prefix(error, "its output is not of the declared type");
	return code != 0 ? ERR_TYPE : 0;
}

static void take_output(struct node *node, const struct call *call, struct call_id id, struct text *value,
                        struct text *metadata)
{
	struct error error = {0};
	struct buffer *accepted = &node->scratch;
	const char *fault = metadata != NULL ? metadata_fault(text_slice(metadata)) : NULL;
	int code = node_calls_accept(node, call, text_slice(value), &error);
	if (code == ERR_LIMIT) {
		add_failure(node, id, CAUSE_LIMIT, false, "%s", error.text);
		return;
	}
	if (fault != NULL) {
		add_failure(node, id, CAUSE_TYPE, false, "%s", fault);
		return;
	}
	if (code != 0) {
		add_failure(node, id, CAUSE_TYPE, false, "%s", error.text);
		return;
	}
	bool same = slice_equal(buffer_slice(accepted), text_slice(value));
	struct returned returned = {
		.ref = id.ref,
		.attempt = id.attempt,
		.outcome = OUTCOME_RETURNED,
		.value = same ? text_hold(value) : text_create(buffer_slice(accepted)),
		.metadata = text_hold(metadata),
	};
	sequencer_add(node->sequencer, id.instance, &returned);
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

static struct report *report_find(const struct node *node, struct call_id call)
{
	struct report *report;
	struct call_id key = call_key(call);
	HASH_FIND(hh, node->reports, &key, sizeof key, report);
	return report;
}

/* Its node may forget what it has of the call. */
static void give_back(struct node *node, uint64_t member, struct call_id call)
{
	if (member == node->id)
		runner_close(node, call);
	else
		frames_send_taken(node, member, call);
}

/* Notes who is to be told when the result is committed. false: it is known already. */
static bool report_add(struct node *node, uint64_t member, struct call_id call)
{
	struct report *report = report_find(node, call);
	if (report != NULL) {
		report->member = member;
		return false;
	}
	report = mem_zero(sizeof *report);
	report->call = call_key(call);
	report->member = member;
	HASH_ADD(hh, node->reports, call, sizeof report->call, report);
	return true;
}

/* A failure counts from where the attempt is: its worker may have taken it elsewhere. */
static bool comes_from_elsewhere(const struct node *node, uint64_t member, struct call_id call)
{
	const struct place *place = dispatch_where(node->dispatch, call);
	return place != NULL && ((const struct spot *)dispatch_place_context(place))->site->member != member;
}

void node_calls_result(struct node *node, uint64_t member, const struct call_result *result)
{
	struct call_id id = result->call;
	if (!node->sites.leading)
		return; /* it is told again to who leads */
	if (result->refused) {
		sites_refused(node, id);
		return;
	}
	const struct call *call = node_calls_open(node, id.instance, id.ref);
	if (node->failed)
		return;
	if (call == NULL || (result->failed && comes_from_elsewhere(node, member, id))) {
		node->counts.results_ignored++;
		if (call == NULL)
			dispatch_close(node->dispatch, id);
		give_back(node, member, id);
		return;
	}
	if (member != node->id && !report_add(node, member, id))
		return;
	dispatch_reported(node->dispatch, id);
	if (!result->failed) {
		take_output(node, call, id, result->value, result->metadata);
		return;
	}
	struct returned returned = {
		.ref = id.ref,
		.attempt = id.attempt,
		.outcome = OUTCOME_FAILED,
		.retryable = !result->final,
		.cause = CAUSE_ERROR,
		.value = message_text(text_slice(result->value)),
	};
	sequencer_add(node->sequencer, id.instance, &returned);
}

void node_calls_heartbeat(struct node *node, struct call_id call)
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

void node_calls_closed(struct node *node, struct call_id call)
{
	struct report *report = node->reports != NULL ? report_find(node, call) : NULL;
	dispatch_close(node->dispatch, call);
	sites_forget(node, call);
	if (report != NULL) {
		frames_send_taken(node, report->member, call);
		HASH_DELETE(hh, node->reports, report);
		mem_free(report);
	}
	runner_close(node, call);
}

void node_calls_stop_at(struct node *node, const struct site *site, struct call_id call)
{
	if (site->own)
		runner_abandon(node, call);
	else
		frames_send_abandon(node, site->member, call);
}

static void stop_call(struct node *node, struct call_id call)
{
	const struct place *place = dispatch_close(node->dispatch, call);
	if (place != NULL)
		node_calls_stop_at(node, ((const struct spot *)dispatch_place_context(place))->site, call);
}

void node_calls_abandoned(struct node *node, struct call_id call)
{
	stop_call(node, call);
	sites_forget(node, call);
	runner_abandon(node, call);
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
			dispatch_close(node->dispatch, id);
			if (id.attempt <= call->attempt)
				id.attempt = attempt_after(call->attempt, raft_term(node->raft));
			add_failure(node, id, CAUSE_TIMEOUT, false,
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
