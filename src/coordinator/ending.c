#include "coordinator/internal.h"

#include "base/json.h"
#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>

/* How calls fail and instances end. A call that has failed for good makes its instance failing: what has not started is
 * cancelled, what runs is awaited, then comes one finishing failure (INVARIANTS, 20). */

static const char *const cause_names[] = {"error", "timeout", "type", "limit", "raised"};

/* --- attempts that failed ------------------------------------------------------------------------------------------ */

/* Doubles from `backoff` up to `backoff_max`, then up to a tenth less, derived from who waits, so that calls that failed together
 * do not come back together. */
static msec backoff_of(const struct call *call)
{
	const struct process_settings *settings = &call->process->settings;
	msec wait = settings->backoff;
	for (uint32_t i = 1; i < call->attempts && wait < settings->backoff_max; i++)
		wait *= 2;
	if (wait > settings->backoff_max)
		wait = settings->backoff_max;
	uint64_t mixed = (call->owner->id * 1000003u + call->ref) * 1000003u + call->attempts;
	mixed = (mixed ^ (mixed >> 29)) * 0xBF58476D1CE4E5B9u;
	return wait - (msec)((mixed >> 32) % (uint64_t)(wait / 10 + 1));
}

static void failure_detail(struct buffer *out, const struct call *call, const struct command_returned *returned)
{
	buffer_clear(out);
	buffer_format(out, "{\"attempt\":%u,\"cause\":\"%s\",\"message\":", call->attempts, cause_names[returned->cause]);
	json_quote(out, returned->value);
}

/* After a change of leader a call may be recorded as running and wait to be handed out again at the same time: whatever its
 * state, nobody is to begin with it any more. */
void call_withdraw(struct machine *machine, const struct call *call)
{
	effect_add(machine, EFFECT_CALL_WITHDRAWN, call->owner->id)->ref = call->ref;
}

static int back_off(struct machine *machine, struct call *call, const struct command_returned *returned)
{
	call->state = CALL_BACKOFF;
	call->due_ms = machine->now + backoff_of(call);
	failure_detail(&machine->scratch, call, returned);
	buffer_format(&machine->scratch, ",\"next_ms\":%lld}", (long long)call->due_ms);
	effect_add(machine, EFFECT_TIMERS_CHANGED, call->owner->id);
	int code = catalog_timer_insert(machine->catalog, call->due_ms, call->owner->id, call->ref);
	if (code != 0)
		return code;
	return history(machine, call->owner->id, "attempt_failed", call->ref, buffer_slice(&machine->scratch));
}

static int cancel_call(struct machine *machine, struct call *call)
{
	int code = 0;
	if (call_has_job(call) && call->state == CALL_RUNNING) {
		call->owner->running_count--;
		code = job_call_end(machine, call);
	} else if (call->kind == INSTANCE_CALL_PROCESS && call->state == CALL_RUNNING) {
		struct effect *effect = effect_add(machine, EFFECT_CALL_ABANDONED, call->owner->id);
		effect->ref = call->ref;
		effect->attempt = call->attempt;
		call->owner->running_count--;
		call_withdraw(machine, call);
	} else if (call->state == CALL_READY) {
		call_withdraw(machine, call);
	} else if (call->due_ms != 0) {
		/* due_ms stays in the row: a retried sleep ends when it was to end. */
		code = catalog_timer_delete(machine->catalog, call->due_ms, call->owner->id, call->ref);
		effect_add(machine, EFFECT_TIMERS_CHANGED, call->owner->id);
	}
	call->state = CALL_CANCELLED;
	call->returned_ms = machine->now;
	call_dirty(machine, call);
	return code;
}

static int cancel_calls(struct machine *machine, struct running *running, bool also_running)
{
	int code = 0;
	for (struct call *call = running->calls; call != NULL && code == 0; call = call->next) {
		bool runs = call->kind == INSTANCE_CALL_PROCESS && call->state == CALL_RUNNING;
		if (call->state < CALL_DONE && (also_running || !runs))
			code = cancel_call(machine, call);
	}
	return code;
}

static int begin_failing(struct machine *machine, struct running *running, const struct call *call,
                         const struct command_returned *returned)
{
	struct buffer *text = &machine->scratch;
	if (running->failing)
		return 0;
	buffer_clear(text);
	buffer_format(text, "%.*s (call %u) failed: ", SLICE_ARGS(call->name), call->ref);
	buffer_append_slice(text, returned->value);
	running->failing = true;
	running->error = text_create(buffer_slice(text));
	running_dirty(machine, running);
	return cancel_calls(machine, running, false);
}

int call_failed(struct machine *machine, struct call *call, const struct command_returned *returned)
{
	struct running *running = call->owner;
	int code = call_has_job(call) ? job_call_end(machine, call) : 0;
	if (code != 0)
		return code;
	if (call->state == CALL_RUNNING)
		running->running_count--;
	text_release(call->error);
	call->error = text_create(returned->value);
	call_dirty(machine, call);
	call_withdraw(machine, call);
	/* An attempt that timed out before it was started has not begun: it counts as one all the same, and its number is used up. */
	if (call->state == CALL_READY) {
		call->attempts++;
		call->attempt = returned->attempt;
	}
	if (!running->failing && !returned->final && call->attempts <= call->process->settings.retries)
		return back_off(machine, call, returned);
	call->state = CALL_FAILED;
	call->returned_ms = machine->now;
	failure_detail(&machine->scratch, call, returned);
	buffer_append_char(&machine->scratch, '}');
	code = history(machine, running->id, "call_failed", call->ref, buffer_slice(&machine->scratch));
	return code != 0 ? code : begin_failing(machine, running, call, returned);
}

int running_end_if_quiet(struct machine *machine, struct running *running)
{
	assert(running->failing);
	if (running->running_count != 0)
		return 0;
	return running_finish(machine, running, "failed", "failed", NULL, text_hold(running->error));
}

/* --- the end ------------------------------------------------------------------------------------------------------- */

int running_finish(struct machine *machine, struct running *running, const char *state, const char *event,
                   struct text *take_result, struct text *take_error)
{
	struct catalog_instance row = {
		.id = running->id,
		.state = slice_of(state),
		.result = take_result != NULL ? text_slice(take_result) : (struct slice){NULL, 0},
		.error = take_error != NULL ? text_slice(take_error) : (struct slice){NULL, 0},
		.finished_ms = machine->now,
		.step = running->step,
	};
	struct effect *effect = effect_add(machine, EFFECT_FINISHED, running->id);
	effect->state = state;
	effect->result = take_result;
	effect->error = take_error;
	int code = cancel_calls(machine, running, true);
	if (code == 0 && running->workflow->signal_count != 0)
		code = catalog_signals_drop(machine->catalog, running->id);
	if (code == 0)
		code = catalog_instance_update(machine->catalog, &row);
	if (code == 0 && take_error != NULL) {
		buffer_clear(&machine->scratch);
		buffer_append_string(&machine->scratch, "{\"message\":");
		json_quote(&machine->scratch, text_slice(take_error));
		buffer_append_char(&machine->scratch, '}');
		code = history(machine, running->id, event, 0, buffer_slice(&machine->scratch));
	} else if (code == 0) {
		code = history(machine, running->id, event, 0, SLICE("{}"));
	}
	/* Out of sight at once; its calls are written, and its memory released, by the flush. */
	running_leave_idle(machine, running);
	HASH_DELETE(hh, machine->instances, running);
	running->finished = true;
	running->idle_next = machine->finished;
	machine->finished = running;
	return code;
}

static int refuse_finished(struct machine *machine, uint64_t id, struct answer *ret_answer)
{
	struct catalog_instance row;
	int code = catalog_instance_read(machine->catalog, id, &row);
	if (code == 0)
		*ret_answer = answer_error(ERR_CONFLICT, "workflow %" PRIu64 " is %.*s", id, SLICE_ARGS(row.state));
	else if (code == ERR_NOT_FOUND)
		*ret_answer = answer_error(ERR_NOT_FOUND, "there is no workflow with the id %" PRIu64, id);
	return code == ERR_NOT_FOUND ? 0 : code;
}

int apply_cancel(struct machine *machine, const struct command *command, struct answer *ret_answer, struct error *error)
{
	struct running *running;
	int code = machine_load(machine, command->cancel.instance, &running, error);
	if (code != 0)
		return code;
	if (running == NULL)
		code = refuse_finished(machine, command->cancel.instance, ret_answer);
	else
		code = running_finish(machine, running, "cancelled", "cancelled", NULL, text_create(SLICE("cancelled")));
	if (code != 0)
		return error_set(error, code, "the catalog failed: %s", catalog_error(machine->catalog));
	return 0;
}

/* --- retry --------------------------------------------------------------------------------------------------------- */

struct reopening {
	struct machine *machine;
	struct running *running;
};

static int reopen_call(void *context, const struct catalog_call *row)
{
	struct reopening *reopening = context;
	struct machine *machine = reopening->machine;
	enum call_state state = call_state_parse(row->state);
	if (state != CALL_FAILED && state != CALL_CANCELLED)
		return 0;
	enum instance_call_kind kind = slice_is(row->kind, "process") ? INSTANCE_CALL_PROCESS
	                               : slice_is(row->kind, "sleep") ? INSTANCE_CALL_SLEEP
	                                                              : INSTANCE_CALL_SIGNAL;
	struct call *call = call_create(machine, reopening->running, row->ref, kind);
	call->args = text_create(row->args);
	call->called_ms = row->called_ms;
	/* An attempt may have been handed out that the row does not know of: it was cancelled before that was recorded. */
	if (kind == INSTANCE_CALL_PROCESS)
		call->attempt = attempt_after(row->attempt, machine->applied_term);
	call->state = CALL_RUNNING;
	call_dirty(machine, call);
	if (kind == INSTANCE_CALL_PROCESS) {
		call->process = registry_find(machine->registry, row->process, row->version);
		assert(call->process != NULL);
		call->name = call->process->name;
		return call_ready(machine, call);
	}
	if (kind == INSTANCE_CALL_SLEEP) {
		call->name = SLICE("sleep");
		call->due_ms = row->due_ms;
		effect_add(machine, EFFECT_TIMERS_CHANGED, reopening->running->id);
		return catalog_timer_insert(machine->catalog, call->due_ms, reopening->running->id, call->ref);
	}
	for (uint32_t i = 0; i < reopening->running->workflow->signal_count; i++) {
		if (slice_equal(reopening->running->workflow->signals[i].name, row->process))
			call->name = reopening->running->workflow->signals[i].name;
	}
	return 0;
}

struct retried {
	const struct definition *workflow;
	struct text *args;
	struct instance_limits limits;
	msec started_ms;
	uint32_t step;
};

/* Reads what is to be retried; ret->workflow NULL: refused, the answer is set. */
static int read_retried(struct machine *machine, uint64_t id, struct retried *ret, struct answer *ret_answer)
{
	struct catalog_instance row;
	ret->workflow = NULL;
	int code = catalog_instance_read(machine->catalog, id, &row);
	if (code == ERR_NOT_FOUND) {
		*ret_answer = answer_error(ERR_NOT_FOUND, "there is no workflow with the id %" PRIu64, id);
		return 0;
	}
	if (code != 0)
		return code;
	if (!slice_is(row.state, "failed")) {
		*ret_answer = answer_error(ERR_CONFLICT, "workflow %" PRIu64 " is %.*s; only a failed one can be retried", id,
		                           SLICE_ARGS(row.state));
		return 0;
	}
	if (row.step == 0) {
		*ret_answer = answer_error(ERR_CONFLICT, "workflow %" PRIu64
		                           " went beyond its limits in its first step, and would again: start it anew", id);
		return 0;
	}
	ret->workflow = registry_find(machine->registry, row.process, row.version);
	assert(ret->workflow != NULL);
	ret->args = text_create(row.args);
	ret->limits = machine_limits(machine);
	limits_parse(row.limits, &ret->limits);
	ret->started_ms = row.started_ms;
	ret->step = row.step;
	return 0;
}

static int reopen(struct machine *machine, uint64_t id, const struct retried *retried, struct running **ret_running)
{
	struct running *running = *ret_running = running_create(machine, id, retried->workflow, retried->args);
	struct catalog_instance row = {.id = id, .state = SLICE("running"), .step = retried->step};
	struct reopening reopening = {machine, running};
	running->started_ms = retried->started_ms;
	running->limits = retried->limits;
	running->step = retried->step;
	int code = catalog_instance_update(machine->catalog, &row);
	if (code == 0)
		code = catalog_calls(machine->catalog, id, CATALOG_CALLS_BY_REF, reopen_call, &reopening);
	return code != 0 ? code : history(machine, id, "retried", 0, SLICE("{}"));
}

int apply_retry(struct machine *machine, const struct command *command, struct answer *ret_answer, struct error *error)
{
	uint64_t id = command->retry.instance;
	struct retried retried;
	struct running *running;
	int code = machine_flush(machine); /* it may have failed a moment ago */
	if (code == 0)
		code = read_retried(machine, id, &retried, ret_answer);
	if (code == 0 && retried.workflow != NULL) {
		code = reopen(machine, id, &retried, &running);
		text_release(retried.args);
	}
	if (code != 0)
		return error_set(error, code, "the catalog failed: %s", catalog_error(machine->catalog));
	if (retried.workflow == NULL)
		return 0;
	/* Results that came while it was failing were kept for the next step. */
	code = running_need_engine(machine, running, error);
	if (code == 0 && running->pending)
		return running_reduce(machine, running, error);
	running_note_idle(machine, running);
	return code;
}
