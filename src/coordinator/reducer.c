#include "coordinator/internal.h"

#include "base/json.h"
#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>

#define TIMERS_AT_ONCE 256

static int catalog_failed(struct machine *machine, int code, struct error *error)
{
	if (code == 0)
		return 0;
	return error_set(error, code, "the catalog cannot be written: %s", catalog_error(machine->catalog));
}

/* --- what a step opened -------------------------------------------------------------------------------------------- */

int call_ready(struct machine *machine, struct call *call)
{
	if (call->process->settings.job != NULL)
		return job_call_begin(machine, call);
	call->state = CALL_READY;
	call->due_ms = 0;
	call_dirty(machine, call);
	effect_add(machine, EFFECT_CALL_READY, call->owner->id)->ref = call->ref;
	return 0;
}

static int open_sleep(struct machine *machine, struct call *call)
{
	long long duration = 0;
	int code = json_integer(text_slice(call->args), 0, INT64_MAX / 4, &duration);
	assert(code == 0);
	call->name = SLICE("sleep");
	call->state = CALL_RUNNING;
	call->due_ms = machine->now + duration;
	effect_add(machine, EFFECT_TIMERS_CHANGED, call->owner->id);
	return catalog_timer_insert(machine->catalog, call->due_ms, call->owner->id, call->ref);
}

static struct slice signal_key(const struct call *call)
{
	return text_slice(call->args);
}

/* A signal that came before its wait is taken at once: its value stands in ->result until return_early_signals. */
static int open_signal(struct machine *machine, struct call *call, struct slice name, bool *early)
{
	struct buffer value = BUFFER_EMPTY;
	call->name = name;
	call->state = CALL_RUNNING;
	int code = catalog_signal_pop(machine->catalog, call->owner->id, name, signal_key(call), &value);
	if (code == 0) {
		call->result = text_create(buffer_slice(&value));
		*early = true;
	}
	buffer_finish(&value);
	return code == ERR_NOT_FOUND ? 0 : code;
}

static int return_early_signals(struct machine *machine, struct running *running)
{
	int code = 0;
	for (struct call *call = running->calls; call != NULL && code == 0; call = call->next) {
		if (call->kind != INSTANCE_CALL_SIGNAL || call->state != CALL_RUNNING || call->result == NULL)
			continue;
		struct text *value = call->result;
		call->result = NULL;
		code = call_return(machine, call, value, SLICE(""));
	}
	return code;
}

static int open_call(struct machine *machine, struct running *running, const struct instance_call *opened, bool *early)
{
	struct call *call = call_create(machine, running, opened->ref, opened->kind);
	struct slice name = opened->kind == INSTANCE_CALL_PROCESS  ? opened->process->name
	                    : opened->kind == INSTANCE_CALL_SIGNAL ? opened->signal
	                                                           : SLICE("sleep");
	call->args = text_hold(opened->args);
	call->called_ms = machine->now;
	call_dirty(machine, call);
	int code = opened->kind == INSTANCE_CALL_PROCESS
	                   ? history_format(machine, running->id, "call", call->ref, "{\"process\":\"%.*s\",\"version\":%u}",
	                                    SLICE_ARGS(name), opened->process->version)
	                   : history_format(machine, running->id, "call", call->ref, "{\"process\":\"%s\"}",
	                                    opened->kind == INSTANCE_CALL_SLEEP ? "sleep" : "signal");
	if (code != 0)
		return code;
	switch (opened->kind) {
	case INSTANCE_CALL_PROCESS:
		call->process = opened->process;
		call->name = name;
		return call_ready(machine, call);
	case INSTANCE_CALL_SLEEP:
		return open_sleep(machine, call);
	default:
		return open_signal(machine, call, name, early);
	}
}

static int end_step(struct machine *machine, struct running *running, const struct instance_step *step)
{
	struct buffer *text = &machine->scratch;
	switch (step->state) {
	case INSTANCE_RUNNING:
		return step->call_count == 0 ? history(machine, running->id, "idle", 0, SLICE("{}")) : 0;
	case INSTANCE_COMPLETED:
		return running_finish(machine, running, "completed", "result", instance_result(running->engine), NULL);
	case INSTANCE_STUCK:
		buffer_clear(text);
		buffer_append_string(text, "no result: nothing is running, and these channels are blocked:\n");
		instance_blocked(running->engine, text);
		return running_finish(machine, running, "stuck", "no_result", NULL, text_create(buffer_slice(text)));
	case INSTANCE_RUNAWAY:
		buffer_clear(text);
		buffer_format(text, "runaway: more than %u reductions in one step (setting reductions_max)",
		              running->limits.reductions);
		return running_finish(machine, running, "failed", "runaway", NULL, text_create(buffer_slice(text)));
	case INSTANCE_OVERFLOW:
		buffer_clear(text);
		buffer_format(text, "limit: a value is larger than %u bytes (setting value_max) or nested deeper than %d",
		              running->limits.value_size, JSON_DEPTH);
		return running_finish(machine, running, "failed", "overflow", NULL, text_create(buffer_slice(text)));
	}
	assert(false);
	return 0;
}

/* Takes what a step opened; further steps follow as long as signals that wait are taken at once. */
static int take_steps(struct machine *machine, struct running *running, struct instance_step *step)
{
	for (;;) {
		bool early = false;
		bool failed = step->state == INSTANCE_RUNAWAY || step->state == INSTANCE_OVERFLOW;
		int code = 0;
		if (!failed)
			running->step++;
		for (uint32_t i = 0; i < step->call_count && code == 0 && !failed; i++)
			code = open_call(machine, running, &step->calls[i], &early);
		if (code == 0 && !early)
			return end_step(machine, running, step);
		if (code == 0)
			code = return_early_signals(machine, running);
		if (code != 0)
			return code;
		instance_reduce(running->engine, step);
	}
}

int running_reduce(struct machine *machine, struct running *running, struct error *error)
{
	struct instance_step step;
	running->pending = false;
	instance_reduce(running->engine, &step);
	int code = take_steps(machine, running, &step);
	if (code == 0 && machine_find(machine, running->id) == running)
		running_note_idle(machine, running);
	return catalog_failed(machine, code, error);
}

/* --- start --------------------------------------------------------------------------------------------------------- */

static int start_instance(struct machine *machine, const struct definition *workflow, const struct command *command,
                          uint64_t id)
{
	struct instance_step step;
	struct text *args = text_create(command->start.args);
	struct running *running = running_create(machine, id, workflow, args);
	running->limits = machine_limits(machine);
	buffer_clear(&machine->scratch);
	limits_print(&running->limits, &machine->scratch);
	struct catalog_instance row = {
		.id = id,
		.key = command->start.key.size != 0 ? command->start.key : (struct slice){NULL, 0},
		.process = workflow->name,
		.version = workflow->version,
		.state = SLICE("running"),
		.args = text_slice(args),
		.started_ms = machine->now,
		.step = 1,
		.limits = buffer_slice(&machine->scratch),
	};
	text_release(args);
	int code = catalog_instance_insert(machine->catalog, &row);
	if (code == 0)
		code = history_format(machine, id, "start", 0, "{\"process\":\"%.*s\",\"version\":%u}", SLICE_ARGS(workflow->name),
		                      workflow->version);
	if (code != 0)
		return code;
	instance_create(workflow, running->args, &running->limits, &running->engine, &step);
	code = take_steps(machine, running, &step);
	if (code == 0 && machine_find(machine, id) == running)
		running_note_idle(machine, running);
	return code;
}

int apply_start(struct machine *machine, const struct command *command, struct answer *ret_answer, struct error *error)
{
	struct slice name = command->start.process;
	uint64_t id;
	int code = command->start.key.size != 0 ? catalog_instance_by_key(machine->catalog, command->start.key, &id)
	                                        : ERR_NOT_FOUND;
	if (code == 0) {
		*ret_answer = (struct answer){.number = id, .existed = true};
		return 0;
	}
	if (code != ERR_NOT_FOUND)
		return catalog_failed(machine, code, error);
	const struct definition *workflow = registry_find(machine->registry, name, command->start.version);
	if (workflow == NULL) {
		*ret_answer = answer_error(ERR_NOT_FOUND, "there is no workflow %.*s", SLICE_ARGS(name));
		return 0;
	}
	if (workflow->kind != DEFINITION_WORKFLOW) {
		*ret_answer = answer_error(ERR_INVALID, "%.*s is a %s; only a workflow can be started", SLICE_ARGS(name),
		                           definition_kind_name(workflow->kind));
		return 0;
	}
	id = machine->next_instance++;
	*ret_answer = (struct answer){.number = id};
	return catalog_failed(machine, start_instance(machine, workflow, command, id), error);
}

/* --- results ------------------------------------------------------------------------------------------------------- */

int call_return(struct machine *machine, struct call *call, struct text *take_result, struct slice metadata)
{
	struct running *running = call->owner;
	struct buffer *detail = &machine->scratch;
	assert(call->state < CALL_DONE);
	if (call->kind == INSTANCE_CALL_PROCESS && call->state == CALL_RUNNING)
		running->running_count--;
	int code = 0;
	if (call->kind == INSTANCE_CALL_PROCESS)
		call_withdraw(machine, call);
	if (call_has_job(call))
		code = job_call_end(machine, call);
	if (code == 0 && call->due_ms != 0 && call->state != CALL_READY)
		code = catalog_timer_delete(machine->catalog, call->due_ms, running->id, call->ref);
	call->state = CALL_DONE;
	call->result = take_result;
	call->returned_ms = machine->now;
	call->step = running->step + 1;
	call_dirty(machine, call);
	if (running->engine != NULL) {
		int posted = instance_post(running->engine, call->ref, take_result);
		assert(posted == 0);
	}
	buffer_clear(detail);
	buffer_format(detail, "{\"step\":%u", call->step);
	if (metadata.size != 0) {
		buffer_append_string(detail, ",\"metadata\":");
		buffer_append_slice(detail, metadata);
	}
	buffer_append_char(detail, '}');
	return code != 0 ? code : history(machine, running->id, "return", call->ref, buffer_slice(detail));
}

static void call_over(struct machine *machine, uint64_t instance, uint32_t ref, uint64_t attempt)
{
	struct effect *effect = effect_add(machine, EFFECT_CALL_CLOSED, instance);
	effect->ref = ref;
	effect->attempt = attempt;
}

/* Only of the current attempt, and once: told again while the call waits for its next attempt, it is known. That it could not
 * be started in time is said of a call that does not run, with the number of the attempt that it would have been. */
static bool failure_counts(const struct call *call, const struct command_returned *returned)
{
	if (call->state == CALL_RUNNING)
		return returned->attempt == call->attempt;
	return call->state == CALL_READY && returned->attempt > call->attempt && returned->cause == CAUSE_TIMEOUT;
}

static int take_returned(struct machine *machine, struct running *running, const struct command_returned *returned,
                         bool *posted)
{
	struct call *call = machine_call(machine, running->id, returned->ref);
	call_over(machine, running->id, returned->ref, returned->attempt);
	if (call == NULL || call->state >= CALL_DONE || call->kind != INSTANCE_CALL_PROCESS)
		return 0;
	if (returned->failed)
		return failure_counts(call, returned) ? call_failed(machine, call, returned) : 0;
	if (call->state == CALL_RUNNING && call->attempt != returned->attempt) {
		/* An earlier attempt was faster than the one that runs now. */
		struct effect *effect = effect_add(machine, EFFECT_CALL_ABANDONED, running->id);
		effect->ref = call->ref;
		effect->attempt = call->attempt;
	}
	*posted = true;
	return call_return(machine, call, text_create(returned->value), returned->metadata);
}

int running_take(struct machine *machine, struct running *running, const struct command_returned *returned, size_t count,
                 struct error *error)
{
	bool posted = false;
	int code = running->failing ? 0 : running_need_engine(machine, running, error);
	if (code != 0)
		return code;
	for (size_t i = 0; i < count && code == 0; i++)
		code = take_returned(machine, running, &returned[i], &posted);
	if (code != 0)
		return catalog_failed(machine, code, error);
	if (running->failing)
		return catalog_failed(machine, running_end_if_quiet(machine, running), error);
	return posted ? running_reduce(machine, running, error) : 0;
}

int apply_results(struct machine *machine, const struct command *command, struct error *error)
{
	struct running *running;
	uint64_t id = command->results.instance;
	int code = machine_load(machine, id, &running, error);
	if (code != 0)
		return code;
	effect_add(machine, EFFECT_RESULTS_APPLIED, id);
	if (running == NULL) {
		for (size_t i = 0; i < command->results.count; i++)
			call_over(machine, id, command->results.returned[i].ref, command->results.returned[i].attempt);
		return 0;
	}
	return running_take(machine, running, command->results.returned, command->results.count, error);
}

int apply_assigned(struct machine *machine, const struct command *command, struct error *error)
{
	struct text *node = text_create(command->assigned.node);
	int code = 0;
	for (size_t i = 0; i < command->assigned.count && code == 0; i++) {
		const struct command_assignment *assignment = &command->assigned.calls[i];
		struct running *running;
		code = machine_load(machine, assignment->instance, &running, error);
		if (code != 0)
			break;
		struct call *call = machine_call(machine, assignment->instance, assignment->ref);
		/* One that ran when its node was lost is handed out again without counting as another attempt. */
		bool again = call != NULL && call->state == CALL_RUNNING && assignment->attempt > call->attempt;
		if (call != NULL && call->state == CALL_RUNNING && assignment->attempt == call->attempt) {
			/* It came with its worker to another node. */
			text_release(call->node);
			call->node = text_hold(node);
			call_dirty(machine, call);
			continue;
		}
		if (call == NULL || (call->state != CALL_READY && !again)) {
			struct effect *effect = effect_add(machine, EFFECT_CALL_ABANDONED, assignment->instance);
			effect->ref = assignment->ref;
			effect->attempt = assignment->attempt;
			/* Its number is used up. */
			if (call != NULL && call->state < CALL_DONE && assignment->attempt > call->attempt) {
				call->attempt = assignment->attempt;
				call_dirty(machine, call);
			}
			continue;
		}
		call->state = CALL_RUNNING;
		call->attempt = assignment->attempt;
		call->attempts += !again;
		call->started_ms = machine->now;
		call->due_ms = 0;
		text_release(call->node);
		call->node = text_hold(node);
		running->running_count += !again;
		call_dirty(machine, call);
	}
	text_release(node);
	return code;
}

/* --- timers and signals -------------------------------------------------------------------------------------------- */

static int fire(struct machine *machine, const struct catalog_timer *timer, struct error *error)
{
	struct running *running;
	int code = catalog_timer_delete(machine->catalog, timer->due, timer->instance, timer->ref);
	if (code != 0)
		return catalog_failed(machine, code, error);
	code = machine_load(machine, timer->instance, &running, error);
	if (code != 0 || running == NULL)
		return code;
	struct call *call = machine_call(machine, timer->instance, timer->ref);
	if (call == NULL || call->due_ms != timer->due)
		return 0;
	if (call->kind == INSTANCE_CALL_PROCESS) {
		if (call->state == CALL_BACKOFF)
			return catalog_failed(machine, call_ready(machine, call), error);
		assert(call_has_job(call) && call->state == CALL_RUNNING);
		call->due_ms = 0;
		return job_call_expired(machine, call, error);
	}
	assert(call->kind == INSTANCE_CALL_SLEEP && call->state == CALL_RUNNING);
	call->due_ms = 0;
	code = running_need_engine(machine, running, error);
	if (code != 0)
		return code;
	code = call_return(machine, call, text_create(SLICE("null")), SLICE(""));
	if (code != 0)
		return catalog_failed(machine, code, error);
	return running_reduce(machine, running, error);
}

int apply_timers(struct machine *machine, struct error *error)
{
	struct catalog_timer timers[TIMERS_AT_ONCE];
	int count = catalog_timers_due(machine->catalog, machine->now, timers, TIMERS_AT_ONCE);
	if (count < 0)
		return catalog_failed(machine, count, error);
	int code = 0;
	for (int i = 0; i < count && code == 0; i++)
		code = fire(machine, &timers[i], error);
	effect_add(machine, EFFECT_TIMERS_CHANGED, 0);
	return code;
}

static struct call *waiting_signal(const struct running *running, struct slice name, struct slice key)
{
	struct call *found = NULL;
	for (struct call *call = running->calls; call != NULL; call = call->next) {
		if (call->kind == INSTANCE_CALL_SIGNAL && call->state == CALL_RUNNING && slice_equal(call->name, name) &&
		    slice_equal(signal_key(call), key) && (found == NULL || call->ref < found->ref))
			found = call;
	}
	return found;
}

int apply_signal(struct machine *machine, const struct command *command, struct answer *ret_answer, struct error *error)
{
	struct running *running;
	uint64_t id = command->signal.instance;
	int code = machine_load(machine, id, &running, error);
	if (code != 0)
		return code;
	if (running == NULL) {
		*ret_answer = answer_error(ERR_CONFLICT, "instance %" PRIu64 " is not running", id);
		return 0;
	}
	buffer_clear(&machine->scratch);
	buffer_append_string(&machine->scratch, "{\"name\":");
	json_quote(&machine->scratch, command->signal.name);
	buffer_append_char(&machine->scratch, '}');
	code = history(machine, id, "signal", 0, buffer_slice(&machine->scratch));
	if (code != 0)
		return catalog_failed(machine, code, error);
	struct call *call = running->failing ? NULL : waiting_signal(running, command->signal.name, command->signal.key);
	if (call == NULL) {
		code = catalog_signal_push(machine->catalog, id, command->signal.name, command->signal.key,
		                           machine->history_seq, command->signal.value);
		return catalog_failed(machine, code, error);
	}
	code = running_need_engine(machine, running, error);
	if (code != 0)
		return code;
	code = call_return(machine, call, text_create(command->signal.value), SLICE(""));
	if (code != 0)
		return catalog_failed(machine, code, error);
	return running_reduce(machine, running, error);
}
