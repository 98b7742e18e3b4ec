#include "daemon/node_internal.h"

#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>

#define REPORT_ELEMENTS 2000 /* of one report, so that it fits into a frame */

struct run *run_find(const struct runner *runner, struct call_id call)
{
	struct run *run;
	struct call_id key = call_key(call);
	HASH_FIND(hh, runner->runs, &key, sizeof key, run);
	return run;
}

struct run *run_create(struct runner *runner, struct call_id call, struct worker *worker)
{
	struct run *run = mem_zero(sizeof *run);
	run->call = call_key(call);
	run->state = RUN_RUNS;
	run->worker = worker;
	HASH_ADD(hh, runner->runs, call, sizeof run->call, run);
	if (worker != NULL) {
		TAILQ_INSERT_TAIL(&worker->runs, run, link);
		worker->running++;
	}
	return run;
}

static size_t kept_bytes(const struct run *run)
{
	return (run->value != NULL ? run->value->size : 0) + (run->metadata != NULL ? run->metadata->size : 0);
}

void run_forget(struct runner *runner, struct run *run)
{
	runner->kept_bytes -= kept_bytes(run);
	if (run->told)
		runner->told_bytes -= kept_bytes(run);
	else if (run->state == RUN_DONE)
		TAILQ_REMOVE(&runner->untold, run, untold_link);
	HASH_DELETE(hh, runner->runs, run);
	if (run->worker != NULL && run->state == RUN_RUNS)
		run->worker->running--;
	if (run->worker != NULL)
		TAILQ_REMOVE(&run->worker->runs, run, link);
	else if (run->state == RUN_WAITS)
		TAILQ_REMOVE(&runner->waiting, run, link);
	text_release(run->value);
	text_release(run->metadata);
	text_release(run->args);
	mem_free(run->process);
	mem_free(run);
}

void runner_init(struct node *node, uint32_t exec_slots, uint32_t pool_calls)
{
	struct runner *runner = &node->runner;
	TAILQ_INIT(&runner->waiting);
	TAILQ_INIT(&runner->untold);
	runner->exec_slots = exec_slots;
	runner->pool_calls = pool_calls;
	runner->next_place = 1;
}

void runner_finish(struct node *node)
{
	struct runner *runner = &node->runner;
	struct run *run;
	struct run *next;
	HASH_ITER(hh, runner->runs, run, next)
		run_forget(runner, run);
	workers_release(runner);
	mem_free(runner->gone);
}

/* --- what the leader is told ---------------------------------------------------------------------------------------- */

/* The call may be forgotten when this returns. */
static void tell_result(struct node *node, const struct call_result *result)
{
	const struct runner *runner = &node->runner;
	if (runner->leader == node->id)
		node_calls_result(node, node->id, result);
	else if (runner->leader != 0)
		frames_send_result(node, runner->leader, result);
}

static void tell_run(struct node *node, struct run *run)
{
	struct runner *runner = &node->runner;
	TAILQ_REMOVE(&runner->untold, run, untold_link);
	run->told = true;
	runner->told_bytes += kept_bytes(run);
	tell_result(node, &(struct call_result){
		.call = run->call,
		.failed = run->failed,
		.final = run->final,
		.value = run->value,
		.metadata = run->metadata,
	});
}

/* So many at once as can be on their way. */
static void tell_results(struct node *node)
{
	struct runner *runner = &node->runner;
	struct run *run;
	while (runner->leader != 0 && (run = TAILQ_FIRST(&runner->untold)) != NULL) {
		bool room = runner->told_bytes == 0 || runner->told_bytes + kept_bytes(run) <= RESULTS_TOLD_MAX;
		if (!room && runner->leader != node->id)
			break;
		tell_run(node, run);
	}
}

void run_done(struct node *node, struct run *run, bool failed, bool final, struct slice value, struct slice metadata)
{
	assert(run->state != RUN_DONE);
	if (run->worker != NULL)
		run->worker->running--;
	run->state = RUN_DONE;
	run->failed = failed;
	run->final = final;
	run->value = text_create(value);
	run->metadata = metadata.size != 0 ? text_create(metadata) : NULL;
	node->runner.kept_bytes += kept_bytes(run);
	TAILQ_INSERT_TAIL(&node->runner.untold, run, untold_link);
	tell_results(node);
}

static void refuse(struct node *node, struct call_id call)
{
	tell_result(node, &(struct call_result){.call = call, .failed = true, .refused = true});
}

static void tell_report(struct node *node, struct node_report *report)
{
	const struct runner *runner = &node->runner;
	report->term = runner->term;
	report->survey = runner->survey;
	report->name = slice_of(node->name);
	report->tags = slice_of(node->tags);
	report->exec_slots = runner->draining ? 0 : runner->exec_slots;
	report->pool_calls = runner->draining ? 0 : runner->pool_calls;
	if (runner->leader == node->id)
		sites_report(node, node->id, report);
	else
		frames_send_report(node, runner->leader, report);
}

/* Puts together what is to be told, in parts of a bounded size. */
struct report_parts {
	struct node *node;
	struct node_report report;
	struct place_report *places;
	struct run_report *runs;
	size_t place_capacity;
	size_t run_capacity;
	size_t elements;
};

static void part_send(struct report_parts *parts, bool more)
{
	parts->report.more = more;
	parts->report.places = parts->places;
	parts->report.runs = parts->runs;
	tell_report(parts->node, &parts->report);
	parts->report.place_count = parts->report.run_count = parts->elements = 0;
}

static void part_room(struct report_parts *parts, size_t elements)
{
	if (parts->elements != 0 && parts->elements + elements > REPORT_ELEMENTS)
		part_send(parts, true);
	parts->elements += elements;
}

static void part_add_place(struct report_parts *parts, struct place_report place)
{
	part_room(parts, 1 + place.offer_count);
	mem_grow(parts->places, parts->place_capacity, parts->report.place_count + 1);
	parts->places[parts->report.place_count++] = place;
}

static void part_add_run(struct report_parts *parts, struct run *run)
{
	part_room(parts, 1);
	mem_grow(parts->runs, parts->run_capacity, parts->report.run_count + 1);
	parts->runs[parts->report.run_count++] =
		(struct run_report){run->call, run->worker != NULL ? run->worker->place : 0};
	run->news = false;
}

static void part_add_worker(struct report_parts *parts, struct worker *worker)
{
	bool takes = worker->connection != 0 && !parts->node->runner.draining;
	part_add_place(parts, (struct place_report){
		.place = worker->place,
		.credit = takes ? worker->credit : 0,
		.offers = worker->offers,
		.offer_count = worker->offer_count,
	});
	worker->changed = false;
}

/* Workers before the calls that they have. */
static void give_report(struct node *node, bool answer)
{
	struct runner *runner = &node->runner;
	struct report_parts parts = {.node = node, .report = {.answer = answer}};
	for (size_t i = 0; i < runner->gone_count && !answer; i++)
		part_add_place(&parts, (struct place_report){.place = runner->gone[i], .gone = true});
	runner->gone_count = 0;
	for (struct worker *worker = runner->workers; worker != NULL; worker = worker->hh.next) {
		if (!answer && !worker->changed)
			continue;
		part_add_worker(&parts, worker);
		for (struct run *run = TAILQ_FIRST(&worker->runs); run != NULL; run = TAILQ_NEXT(run, link)) {
			if (!answer && run->news)
				part_add_run(&parts, run);
		}
	}
	for (struct run *run = runner->runs; answer && run != NULL; run = run->hh.next)
		part_add_run(&parts, run);
	part_send(&parts, false);
	mem_free(parts.places);
	mem_free(parts.runs);
}

/* What the last leader was told this one does not know. */
static void untell_results(struct runner *runner)
{
	TAILQ_INIT(&runner->untold);
	runner->told_bytes = 0;
	for (struct run *run = runner->runs; run != NULL; run = run->hh.next) {
		if (run->state != RUN_DONE)
			continue;
		run->told = false;
		TAILQ_INSERT_TAIL(&runner->untold, run, untold_link);
	}
}

static void tell(struct node *node)
{
	struct runner *runner = &node->runner;
	if (runner->leader == 0 || !(runner->answer_due || runner->changed || runner->lost))
		return;
	bool answer = runner->answer_due;
	bool lost = runner->lost;
	runner->answer_due = runner->changed = runner->lost = false;
	if (answer) {
		give_report(node, true);
		untell_results(runner);
	} else if (lost) {
		tell_report(node, &(struct node_report){.lost = true});
	} else {
		give_report(node, false);
	}
}

/* --- what the leader says ------------------------------------------------------------------------------------------- */

void runner_survey(struct node *node, uint64_t leader, uint64_t term, uint64_t number)
{
	struct runner *runner = &node->runner;
	if (term < runner->term)
		return;
	runner->leader = leader;
	runner->term = term;
	runner->survey = number;
	runner->answer_due = true;
	supply_want(node);
}

void runner_peer_up(struct node *node, uint64_t member)
{
	if (member == node->runner.leader)
		node->runner.lost = true;
}

static const struct definition *definition_of(const struct node *node, struct slice name, uint32_t version)
{
	const struct definition *definition = registry_find(machine_registry(node->machine), name, version);
	return definition != NULL && definition->kind == DEFINITION_PROCESS ? definition : NULL;
}

static void begin_here(struct node *node, const struct call_order *order, const struct definition *definition)
{
	if (definition->settings.exec_count == 0 && definition->settings.pool_count == 0) {
		refuse(node, order->call);
		return;
	}
	run_create(&node->runner, order->call, NULL);
	node->host->call_start(node->context, order->call, definition, order->args);
}

static void wait_for_definition(struct node *node, const struct call_order *order)
{
	struct runner *runner = &node->runner;
	struct run *run = run_create(runner, order->call, NULL);
	run->state = RUN_WAITS;
	run->process = mem_zero(order->process.size + 1);
	memcpy(run->process, order->process.data, order->process.size);
	run->version = order->version;
	run->args = text_hold(order->args);
	run->until = node->host->now(node->context) + (node->agent ? SUPPLY_WAIT_MS : DEFINITION_WAIT_MS);
	TAILQ_INSERT_TAIL(&runner->waiting, run, link);
	if (definition_of(node, order->process, order->version) == NULL)
		supply_want(node);
}

void runner_order(struct node *node, const struct call_order *order)
{
	struct runner *runner = &node->runner;
	if (order->term < runner->term || run_find(runner, order->call) != NULL)
		return; /* of a leader that is none any more (PROTOCOL, 16), or said twice */
	if (runner->draining || HASH_COUNT(runner->runs) >= RUNS_MAX) {
		refuse(node, order->call);
		return;
	}
	if (order->place != 0) {
		struct worker *worker = worker_at(runner, order->place);
		if (worker == NULL || !worker_takes(worker, order->process)) {
			refuse(node, order->call);
			return;
		}
		run_create(runner, order->call, worker);
		worker_send_order(node, worker, order);
		return;
	}
	struct slice missing;
	const struct definition *definition =
		order->definition != NULL ? order->definition : definition_of(node, order->process, order->version);
	if (definition != NULL && supply_is_complete(node, definition, &missing))
		begin_here(node, order, definition);
	else
		wait_for_definition(node, order);
}

static void run_stop(struct node *node, struct run *run)
{
	if (run->state != RUN_RUNS)
		return;
	if (run->worker == NULL)
		node->host->call_abandon(node->context, run->call);
	else
		worker_send_abandon(node, run->worker, run->call);
}

void runner_abandon(struct node *node, struct call_id call)
{
	struct run *run = run_find(&node->runner, call);
	if (run == NULL)
		return;
	run_stop(node, run);
	if (run->state == RUN_DONE && run->worker != NULL)
		worker_send_taken(node, run->worker, call);
	run_forget(&node->runner, run);
}

void runner_close(struct node *node, struct call_id call)
{
	runner_abandon(node, call);
}

/* --- what runs ------------------------------------------------------------------------------------------------------ */

void node_call_finished(struct node *node, struct call_id call, bool failed, bool final, struct slice value,
                        struct slice metadata)
{
	struct run *run = run_find(&node->runner, call);
	if (run != NULL && run->worker == NULL && run->state == RUN_RUNS)
		run_done(node, run, failed, final, value, metadata);
}

void runner_heartbeat(struct node *node, struct call_id call)
{
	const struct runner *runner = &node->runner;
	if (runner->leader == node->id)
		node_calls_heartbeat(node, call);
	else if (runner->leader != 0)
		frames_send_heartbeat(node, runner->leader, call);
}

void node_call_heartbeat(struct node *node, struct call_id call)
{
	runner_heartbeat(node, call);
}

/* Begins what waited for a definition that is there now, refuses what has waited too long. */
static void look_at_waiting(struct node *node, msec now)
{
	struct runner *runner = &node->runner;
	struct slice missing;
	struct run *next;
	for (struct run *run = TAILQ_FIRST(&runner->waiting); run != NULL; run = next) {
		next = TAILQ_NEXT(run, link);
		struct call_order order = {.call = run->call, .args = text_hold(run->args)};
		const struct definition *definition = definition_of(node, slice_of(run->process), run->version);
		bool late = run->until <= now;
		bool here = definition != NULL && supply_is_complete(node, definition, &missing);
		if (here || late)
			run_forget(runner, run);
		if (here)
			begin_here(node, &order, definition);
		else if (late)
			refuse(node, order.call);
		text_release(order.args);
	}
}

bool runner_misses(struct node *node, struct slice *ret_hash)
{
	const struct run *run;
	TAILQ_FOREACH(run, &node->runner.waiting, link) {
		const struct definition *definition = definition_of(node, slice_of(run->process), run->version);
		if (definition != NULL && !supply_is_complete(node, definition, ret_hash))
			return true;
	}
	return false;
}

/* --- turns ---------------------------------------------------------------------------------------------------------- */

void runner_definitions(struct node *node)
{
	node->runner.definitions = true;
}

void runner_drain(struct node *node)
{
	struct runner *runner = &node->runner;
	runner->draining = runner->changed = true;
	for (struct worker *worker = runner->workers; worker != NULL; worker = worker->hh.next)
		worker->changed = true;
}

void runner_turn(struct node *node)
{
	struct runner *runner = &node->runner;
	if (!TAILQ_EMPTY(&runner->waiting)) {
		msec now = node->host->now(node->context);
		if (runner->definitions || TAILQ_FIRST(&runner->waiting)->until <= now)
			look_at_waiting(node, now);
	}
	runner->definitions = false;
	if (runner->away_count > 0)
		workers_expire(node, node->host->now(node->context));
	tell(node);
	tell_results(node);
}

msec runner_deadline(const struct node *node)
{
	const struct runner *runner = &node->runner;
	msec deadline = MSEC_NEVER;
	if (!TAILQ_EMPTY(&runner->waiting))
		deadline = TAILQ_FIRST(&runner->waiting)->until;
	for (const struct worker *worker = runner->away_count > 0 ? runner->workers : NULL; worker != NULL;
	     worker = worker->hh.next) {
		if (worker->connection == 0)
			deadline = msec_earlier(deadline, worker->away_until);
	}
	return deadline;
}

bool node_workers_wait(const struct node *node)
{
	return node_overloaded(node) || node->runner.kept_bytes > RESULTS_KEPT_MAX;
}

bool runner_quiet(const struct node *node)
{
	return node->runner.runs == NULL;
}

uint32_t runner_count(const struct node *node)
{
	return HASH_COUNT(node->runner.runs);
}
