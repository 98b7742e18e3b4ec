#include "coordinator/internal.h"

#include "base/json.h"
#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>

/* Instances between catalog and memory. What is in memory is a cache: everything about an unfinished instance can be read
 * again. The engine's state is not stored at all; the recorded results, posted in the steps they were posted in, make
 * it again. */

const char *const call_state_names[] = {"ready", "running", "backoff", "done", "failed", "cancelled"};

enum call_state call_state_parse(struct slice name)
{
	for (int i = 0; i <= CALL_CANCELLED; i++) {
		if (slice_is(name, call_state_names[i]))
			return (enum call_state)i;
	}
	assert(false && "the catalog holds a call in an unknown state");
	return CALL_CANCELLED;
}

static const char *const call_kind_names[] = {"process", "sleep", "signal"};

struct instance_limits machine_limits(const struct machine *machine)
{
	return (struct instance_limits){
		.reductions = machine->settings.reductions_max,
		.each_window = machine->settings.each_window,
		.value_size = machine->settings.value_max,
	};
}

void limits_print(const struct instance_limits *limits, struct buffer *out)
{
	buffer_format(out, "[%u,%u,%u]", limits->reductions, limits->each_window, limits->value_size);
}

bool limits_parse(struct slice text, struct instance_limits *ret_limits)
{
	struct json_iterator numbers;
	struct slice key;
	struct slice number;
	long long value[3];
	size_t count = 0;
	if (text.data == NULL || json_check(text, NULL) != 0 || json_kind(text) != JSON_ARRAY)
		return false;
	json_iterate(&numbers, text);
	while (count < 3 && json_next(&numbers, &key, &number)) {
		if (json_integer(number, 1, UINT32_MAX, &value[count++]) != 0)
			return false;
	}
	if (count != 3)
		return false;
	*ret_limits = (struct instance_limits){
		.reductions = (uint32_t)value[0], .each_window = (uint32_t)value[1], .value_size = (uint32_t)value[2]};
	return true;
}

struct running *running_create(struct machine *machine, uint64_t id, const struct definition *workflow,
                               struct text *args)
{
	struct running *running = mem_zero(sizeof *running);
	running->id = id;
	running->workflow = workflow;
	running->args = text_hold(args);
	running->started_ms = machine->now;
	HASH_ADD(hh, machine->instances, id, sizeof running->id, running);
	return running;
}

static void call_destroy(struct machine *machine, struct call *call)
{
	struct running *running = call->owner;
	HASH_DELETE(hh, machine->calls, call);
	if (call->dirty)
		LIST_REMOVE(call, dirty_link);
	if (call->prev != NULL)
		call->prev->next = call->next;
	else
		running->calls = call->next;
	if (call->next != NULL)
		call->next->prev = call->prev;
	else
		running->last_call = call->prev;
	text_release(call->args);
	text_release(call->result);
	text_release(call->error);
	text_release(call->node);
	mem_free(call);
}

void running_destroy(struct machine *machine, struct running *running)
{
	while (running->calls != NULL)
		call_destroy(machine, running->calls);
	instance_destroy(running->engine);
	text_release(running->args);
	text_release(running->error);
	mem_free(running);
}

struct call *call_create(struct machine *machine, struct running *running, uint32_t ref, enum instance_call_kind kind)
{
	struct call *call = mem_zero(sizeof *call);
	call->owner = running;
	call->ref = ref;
	call->kind = kind;
	call->key = (struct call_key){running->id, ref};
	HASH_ADD(hh, machine->calls, key, sizeof call->key, call);
	call->prev = running->last_call;
	if (running->last_call != NULL)
		running->last_call->next = call;
	else
		running->calls = call;
	running->last_call = call;
	return call;
}

struct call *machine_call(const struct machine *machine, uint64_t instance, uint32_t ref)
{
	struct call_key key = {instance, ref};
	struct call *call;
	HASH_FIND(hh, machine->calls, &key, sizeof key, call);
	return call;
}

void call_dirty(struct machine *machine, struct call *call)
{
	if (call->dirty)
		LIST_REMOVE(call, dirty_link);
	call->dirty = true;
	LIST_INSERT_HEAD(&machine->dirty_calls, call, dirty_link);
}

void running_dirty(struct machine *machine, struct running *running)
{
	if (running->dirty)
		return;
	running->dirty = true;
	running->next_dirty = machine->dirty_instances;
	machine->dirty_instances = running;
}

void running_leave_idle(struct machine *machine, struct running *running)
{
	if (!running->idle)
		return;
	running->idle = false;
	if (running->idle_prev != NULL)
		running->idle_prev->idle_next = running->idle_next;
	else
		machine->idle_first = running->idle_next;
	if (running->idle_next != NULL)
		running->idle_next->idle_prev = running->idle_prev;
	else
		machine->idle_last = running->idle_prev;
	running->idle_prev = running->idle_next = NULL;
}

void running_note_idle(struct machine *machine, struct running *running)
{
	bool idle = true;
	const struct call *call;
	for (call = running->calls; call != NULL && idle; call = call->next)
		idle = call->kind != INSTANCE_CALL_PROCESS || call->state >= CALL_DONE;
	running_leave_idle(machine, running);
	if (!idle)
		return;
	running->idle = true;
	running->idle_prev = machine->idle_last;
	if (machine->idle_last != NULL)
		machine->idle_last->idle_next = running;
	else
		machine->idle_first = running;
	machine->idle_last = running;
}

/* --- writing ------------------------------------------------------------------------------------------------------- */

static struct slice optional(const struct text *text)
{
	return text != NULL ? text_slice(text) : (struct slice){NULL, 0};
}

static int call_flush(struct machine *machine, const struct call *call)
{
	struct catalog_call row = {
		.instance = call->owner->id,
		.ref = call->ref,
		.kind = slice_of(call_kind_names[call->kind]),
		.process = call->name,
		.version = call->process != NULL ? call->process->version : 0,
		.state = slice_of(call_state_names[call->state]),
		.args = optional(call->args),
		.result = optional(call->result),
		.error = optional(call->error),
		.attempts = call->attempts,
		.attempt = call->attempt,
		.node = optional(call->node),
		.step = call->step,
		.called_ms = call->called_ms,
		.started_ms = call->started_ms,
		.returned_ms = call->returned_ms,
		.due_ms = call->due_ms,
	};
	return catalog_call_put(machine->catalog, &row);
}

static int running_flush(struct machine *machine, const struct running *running)
{
	/* Only those that fail are written while unfinished: the step at which they stopped being reduced must be known. */
	struct catalog_instance row = {
		.id = running->id,
		.state = SLICE("running"),
		.error = optional(running->error),
		.step = running->step,
		.failing = running->failing,
	};
	return catalog_instance_update(machine->catalog, &row);
}

/* Closed calls are written and go; open ones stay dirty. */
static int flush_changed_calls(struct machine *machine)
{
	int code = 0;
	struct call *call;
	while ((call = LIST_FIRST(&machine->dirty_calls)) != NULL && code == 0) {
		LIST_REMOVE(call, dirty_link);
		if (call->state < CALL_DONE) {
			assert(!call->owner->finished);
			LIST_INSERT_HEAD(&machine->kept_calls, call, dirty_link);
			continue;
		}
		call->dirty = false;
		code = call_flush(machine, call);
		call_destroy(machine, call);
	}
	return code;
}

static int flush_kept_calls(struct machine *machine)
{
	int code = 0;
	struct call *call;
	while ((call = LIST_FIRST(&machine->kept_calls)) != NULL && code == 0) {
		LIST_REMOVE(call, dirty_link);
		call->dirty = false;
		code = call_flush(machine, call);
	}
	return code;
}

int machine_flush_closed(struct machine *machine)
{
	int code = flush_changed_calls(machine);
	while (machine->dirty_instances != NULL && code == 0) {
		struct running *running = machine->dirty_instances;
		machine->dirty_instances = running->next_dirty;
		running->dirty = false;
		if (!running->finished)
			code = running_flush(machine, running);
	}
	while (machine->finished != NULL && code == 0) {
		struct running *running = machine->finished;
		machine->finished = running->idle_next;
		running_destroy(machine, running);
	}
	return code;
}

int machine_flush(struct machine *machine)
{
	int code = machine_flush_closed(machine);
	return code != 0 ? code : flush_kept_calls(machine);
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

struct call_loader {
	struct machine *machine;
	struct running *running;
	uint32_t last_step;
	struct error *error;
};

static struct text *text_of(struct slice slice)
{
	return slice.data != NULL ? text_create(slice) : NULL;
}

static int call_loaded(void *context, const struct catalog_call *row)
{
	struct call_loader *loader = context;
	struct running *running = loader->running;
	enum call_state state = call_state_parse(row->state);
	if (row->step > loader->last_step)
		loader->last_step = row->step;
	if (state >= CALL_DONE)
		return 0;
	enum instance_call_kind kind = INSTANCE_CALL_PROCESS;
	while (!slice_is(row->kind, call_kind_names[kind]))
		kind++;
	struct call *call = call_create(loader->machine, running, row->ref, kind);
	call->state = state;
	call->args = text_of(row->args);
	call->error = text_of(row->error);
	call->node = text_of(row->node);
	call->attempts = row->attempts;
	call->attempt = row->attempt;
	call->called_ms = row->called_ms;
	call->started_ms = row->started_ms;
	call->due_ms = row->due_ms;
	if (kind == INSTANCE_CALL_PROCESS) {
		call->process = registry_find(loader->machine->registry, row->process, row->version);
		if (call->process == NULL)
			return error_set(loader->error, ERR_CORRUPT,
			                 "call %u of instance %" PRIu64 " is to %.*s@%u, which is not in the catalog", row->ref,
			                 running->id, SLICE_ARGS(row->process), row->version);
		call->name = call->process->name;
		running->running_count += state == CALL_RUNNING;
	} else if (kind == INSTANCE_CALL_SIGNAL) {
		for (uint32_t i = 0; i < running->workflow->signal_count; i++) {
			if (slice_equal(running->workflow->signals[i].name, row->process))
				call->name = running->workflow->signals[i].name;
		}
	} else {
		call->name = SLICE("sleep");
	}
	return 0;
}

static int running_read(struct machine *machine, uint64_t id, struct running **ret_running, struct error *error)
{
	struct catalog_instance row;
	*ret_running = NULL;
	int code = catalog_instance_read(machine->catalog, id, &row);
	if (code == ERR_NOT_FOUND || (code == 0 && !slice_is(row.state, "running")))
		return 0;
	if (code != 0)
		return error_set(error, code, "instance %" PRIu64 " cannot be read: %s", id, catalog_error(machine->catalog));
	const struct definition *workflow = registry_find(machine->registry, row.process, row.version);
	if (workflow == NULL || workflow->kind != DEFINITION_WORKFLOW)
		return error_set(error, ERR_CORRUPT, "instance %" PRIu64 " is of %.*s@%u, which is not in the catalog", id,
		                 SLICE_ARGS(row.process), row.version);
	struct instance_limits limits;
	if (!limits_parse(row.limits, &limits))
		return error_set(error, ERR_CORRUPT, "instance %" PRIu64 " has no limits in the catalog", id);
	struct text *args = text_create(row.args);
	struct running *running = running_create(machine, id, workflow, args);
	running->limits = limits;
	text_release(args);
	running->started_ms = row.started_ms;
	running->failing = row.failing;
	running->error = text_of(row.error);
	uint32_t row_step = row.step;
	struct call_loader loader = {machine, running, 0, error};
	if (error != NULL)
		error->code = 0;
	code = catalog_calls(machine->catalog, id, CATALOG_CALLS_BY_REF, call_loaded, &loader);
	running->step = running->failing || loader.last_step < row_step ? row_step : loader.last_step;
	*ret_running = running;
	if (code != 0 && (error == NULL || error->code == 0))
		return error_set(error, code, "the calls of instance %" PRIu64 " cannot be read: %s", id,
		                 catalog_error(machine->catalog));
	return code;
}

int machine_load(struct machine *machine, uint64_t id, struct running **ret_running, struct error *error)
{
	*ret_running = machine_find(machine, id);
	if (*ret_running != NULL)
		return 0;
	int code = machine_flush(machine);
	if (code != 0)
		return error_set(error, code, "the catalog cannot be written: %s", catalog_error(machine->catalog));
	code = running_read(machine, id, ret_running, error);
	if (code == 0 && *ret_running != NULL)
		running_note_idle(machine, *ret_running);
	return code;
}

struct running *machine_find(const struct machine *machine, uint64_t id)
{
	struct running *running;
	HASH_FIND(hh, machine->instances, &id, sizeof id, running);
	return running;
}

/* --- making the engine's state again ------------------------------------------------------------------------------- */

struct replay {
	uint64_t id;
	struct instance *engine;
	uint32_t step; /* of the results that are being posted; 0: none yet */
	uint32_t steps_made;
	uint32_t steps_wanted;
	struct error *error;
};

static int replay_result(void *context, const struct catalog_call *row)
{
	struct replay *replay = context;
	struct instance_step step;
	if (replay->step != 0 && row->step != replay->step) {
		instance_reduce(replay->engine, &step);
		replay->steps_made++;
	}
	if (replay->steps_made >= replay->steps_wanted)
		return 0;
	replay->step = row->step;
	struct text *result = text_create(row->result);
	int code = instance_post(replay->engine, row->ref, result);
	text_release(result);
	if (code != 0)
		return error_set(replay->error, ERR_CORRUPT,
		                 "instance %" PRIu64 " has a result for call %u, which its workflow does not make in step %u",
		                 replay->id, row->ref, row->step);
	return 0;
}

int running_need_engine(struct machine *machine, struct running *running, struct error *error)
{
	struct instance_step step;
	if (running->engine != NULL)
		return 0;
	int code = machine_flush(machine);
	if (code != 0)
		return error_set(error, code, "the catalog cannot be written: %s", catalog_error(machine->catalog));
	instance_create(running->workflow, running->args, &running->limits, &running->engine, &step);
	struct replay replay = {.id = running->id, .engine = running->engine, .steps_made = 1,
	                        .steps_wanted = UINT32_MAX, .error = error};
	code = catalog_calls(machine->catalog, running->id, CATALOG_CALLS_BY_STEP, replay_result, &replay);
	if (code != 0)
		return code;
	/* Results that came while the instance was failing wait for a step that has not been made. */
	running->pending = replay.step > running->step;
	if (replay.step != 0 && !running->pending) {
		instance_reduce(running->engine, &step);
		replay.steps_made++;
	}
	if (replay.steps_made != running->step)
		return error_set(error, ERR_CORRUPT, "instance %" PRIu64 " has made %u steps, but its results give %u",
		                 running->id, running->step, replay.steps_made);
	return 0;
}

int machine_print_instance(struct machine *machine, uint64_t id, uint32_t step, struct buffer *out, struct error *error)
{
	struct catalog_instance row;
	struct instance_step made;
	struct instance_limits limits;
	int code = machine_flush(machine);
	if (code != 0)
		return error_set(error, code, "the catalog cannot be written: %s", catalog_error(machine->catalog));
	code = catalog_instance_read(machine->catalog, id, &row);
	if (code != 0)
		return error_set(error, code, "there is no workflow with the id %" PRIu64, id);
	const struct definition *workflow = registry_find(machine->registry, row.process, row.version);
	assert(workflow != NULL);
	if (!limits_parse(row.limits, &limits))
		return error_set(error, ERR_CORRUPT, "instance %" PRIu64 " has no limits in the catalog", id);
	struct replay replay = {.id = id, .steps_made = 1, .steps_wanted = step != 0 ? step : UINT32_MAX, .error = error};
	struct text *args = text_create(row.args);
	instance_create(workflow, args, &limits, &replay.engine, &made);
	text_release(args);
	code = catalog_calls(machine->catalog, id, CATALOG_CALLS_BY_STEP, replay_result, &replay);
	if (code == 0 && replay.step != 0 && replay.steps_made < replay.steps_wanted) {
		instance_reduce(replay.engine, &made);
		replay.steps_made++;
	}
	if (code == 0 && step > replay.steps_made)
		code = error_set(error, ERR_NOT_FOUND, "workflow %" PRIu64 " has made %u steps, not %u", id, replay.steps_made,
		                 step);
	if (code == 0)
		instance_print(replay.engine, out);
	instance_destroy(replay.engine);
	return code;
}

/* --- putting out of memory ----------------------------------------------------------------------------------------- */

void machine_trim(struct machine *machine)
{
	if (machine->open)
		return; /* their rows may not be written */
	while (HASH_COUNT(machine->instances) > machine->settings.instances_cached && machine->idle_first != NULL) {
		struct running *running = machine->idle_first;
		running_leave_idle(machine, running);
		HASH_DELETE(hh, machine->instances, running);
		running_destroy(machine, running);
	}
}

uint32_t machine_loaded_count(const struct machine *machine)
{
	return HASH_COUNT(machine->instances);
}
