#include "coordinator/internal.h"

#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>

/* Allocations: tasks that were given to a node, what has become of them, and what becomes of their tasks then. */

struct allocation *allocation_find(const struct machine *machine, uint64_t id)
{
	struct allocation *allocation;
	HASH_FIND(hh, machine->allocations, &id, sizeof id, allocation);
	return allocation;
}

const struct allocation *machine_allocation(const struct machine *machine, uint64_t id)
{
	return allocation_find(machine, id);
}

static struct job_task *task_waiting(const struct job *job, uint32_t task)
{
	struct job_task *waiting;
	HASH_FIND(hh, job->waiting, &task, sizeof task, waiting);
	return waiting;
}

static struct allocation *task_allocation(const struct job *job, uint32_t task)
{
	struct allocation *allocation;
	HASH_FIND(by_task, job->allocations, &task, sizeof task, allocation);
	return allocation;
}

static void emit(struct machine *machine, enum effect_kind kind, const struct allocation *allocation)
{
	struct effect *effect = effect_add(machine, kind, 0);
	effect->job = allocation->job->id;
	effect->allocation = allocation->id;
	effect->node = allocation->node;
	effect->task = allocation->task;
	effect->state = allocation_phase_names[allocation->phase];
}

/* --- placing ------------------------------------------------------------------------------------------------------- */

struct job_task *task_wait(struct job *job, uint32_t task)
{
	struct job_task *waiting = mem_zero(sizeof *waiting);
	waiting->task = task;
	HASH_ADD(hh, job->waiting, task, sizeof waiting->task, waiting);
	return waiting;
}

static int wait_write(struct machine *machine, const struct job *job, const struct job_task *waiting)
{
	struct catalog_task row = {
		.job = job->id,
		.task = waiting->task,
		.attempts = waiting->attempts,
		.failures = waiting->failures,
		.window_ms = waiting->window_ms,
		.due_ms = waiting->due_ms,
	};
	return catalog_task_put(machine->catalog, &row);
}

/* Tasks before this one that were never placed wait from now on like others. */
static int reach_task(struct machine *machine, struct job *job, uint32_t task)
{
	int code = 0;
	for (; job->next_task < task && code == 0; job->next_task++) {
		/* The job was made smaller, and larger again, before that one has ended. */
		if (task_allocation(job, job->next_task) == NULL)
			code = wait_write(machine, job, task_wait(job, job->next_task));
	}
	return code;
}

static bool runs_on(const struct job *job, const struct node_use *use)
{
	const struct allocation *allocation;
	TAILQ_FOREACH (allocation, &use->allocations, of_node) {
		if (allocation->job == job)
			return true;
	}
	return false;
}

/* Whether the task is one to be placed, and what the job says of nodes that only the state machine can tell for sure. */
static bool may_place(const struct job *job, uint32_t task, const struct node_use *use)
{
	if (job->state == JOB_STOPPING || job_kind(job) == JOB_PERIODIC || task_allocation(job, task) != NULL)
		return false;
	if (job_kind(job) == JOB_SYSTEM) /* its tasks are numbers that the scheduler has given to nodes */
		return task < JOB_COUNT_MAX && !runs_on(job, use);
	if (task >= job->count)
		return false;
	if (task < job->next_task ? task_waiting(job, task) == NULL : task - job->next_task > PLACEMENTS_MAX)
		return false;
	return job->definition->job->placement != JOB_RANDOM || !runs_on(job, use);
}

static int place(struct machine *machine, struct job *job, uint32_t task, struct node_use *use, const uint16_t *ports)
{
	int code = job_kind(job) == JOB_SYSTEM ? 0 : reach_task(machine, job, task);
	struct job_task *waiting = task_waiting(job, task);
	if (code != 0)
		return code;
	struct allocation *allocation = allocation_add(machine, job, job->definition, use, machine->next_allocation++);
	allocation->task = task;
	allocation->attempt = 1;
	allocation->phase = ALLOCATION_PLACED;
	allocation->placed_ms = machine->now;
	for (uint32_t i = 0; i < job->definition->job->port_count; i++)
		allocation->ports[i] = ports[i];
	if (waiting != NULL) {
		allocation->attempt = waiting->attempts + 1;
		allocation->failures = waiting->failures;
		allocation->window_ms = waiting->window_ms;
		HASH_DELETE(hh, job->waiting, waiting);
		mem_free(waiting);
		code = catalog_task_delete(machine->catalog, job->id, task);
	} else if (job->next_task <= task) {
		job->next_task = task + 1;
	}
	HASH_ADD(by_task, job->allocations, task, sizeof allocation->task, allocation);
	job->live++;
	node_use_take(use, allocation);
	allocation_dirty(machine, allocation);
	job_dirty(machine, job);
	emit(machine, EFFECT_ALLOCATION_PLACED, allocation);
	return code;
}

static int try_to_place(struct machine *machine, const struct command_placement *placement)
{
	uint16_t ports[JOB_PORTS_MAX] = {0};
	struct job *job = job_find(machine, placement->job);
	struct node_use *use = node_use_find(machine, placement->node);
	bool fits = job != NULL && use != NULL && use->alive && use->eligible && use->drain == DRAIN_NONE &&
	            placement->port_count == job->definition->job->port_count;
	for (size_t i = 0; fits && i < placement->port_count; i++) {
		fits = placement->ports[i] <= UINT16_MAX;
		ports[i] = (uint16_t)placement->ports[i];
	}
	if (fits && may_place(job, placement->task, use) && node_use_has_room(use, job->definition->job, ports))
		return place(machine, job, placement->task, use, ports);
	struct effect *effect = effect_add(machine, EFFECT_PLACEMENT_REFUSED, 0);
	effect->job = placement->job;
	effect->task = placement->task;
	effect->node = placement->node;
	return 0;
}

int apply_place(struct machine *machine, const struct command *command)
{
	int code = 0;
	for (size_t i = 0; i < command->place.count && code == 0; i++)
		code = try_to_place(machine, &command->place.placements[i]);
	return code;
}

/* --- what becomes of a task ---------------------------------------------------------------------------------------- */

static msec backoff(const struct job_settings *settings, uint32_t failures)
{
	msec delay = settings->backoff;
	for (uint32_t i = 1; i < failures && delay < settings->backoff_max; i++)
		delay *= 2;
	return delay < settings->backoff_max ? delay : settings->backoff_max;
}

static int task_again(struct machine *machine, struct job *job, const struct allocation *ended, msec delay)
{
	if (job_kind(job) != JOB_SYSTEM && ended->task >= job->next_task)
		return 0; /* the job was made smaller meanwhile: it counts as never placed */
	struct job_task *waiting = task_wait(job, ended->task);
	waiting->attempts = ended->attempt;
	waiting->failures = ended->failures;
	waiting->window_ms = ended->window_ms;
	waiting->due_ms = delay > 0 ? machine->now + delay : 0;
	return wait_write(machine, job, waiting);
}

static struct text *failure_text(const struct allocation *ended, const char *node)
{
	struct buffer text = BUFFER_EMPTY;
	buffer_format(&text, "task %u has failed %u time%s, at last on %s: ", ended->task, ended->failures,
	              ended->failures == 1 ? "" : "s", node);
	if (ended->exit.error != NULL)
		buffer_append_slice(&text, text_slice(ended->exit.error));
	else if (ended->exit.signal != 0)
		buffer_format(&text, "signal %d", ended->exit.signal);
	else
		buffer_format(&text, "exit code %d", ended->exit.code);
	struct text *reason = text_create(buffer_slice(&text));
	buffer_finish(&text);
	return reason;
}

/* Counts one more failure against `retries`; false: it was one too many. */
static bool count_failure(struct machine *machine, struct allocation *ended)
{
	const struct job_settings *settings = ended->definition->job;
	if (ended->window_ms == 0 ||
	    (settings->retry_window > 0 && machine->now - ended->window_ms > settings->retry_window)) {
		ended->window_ms = machine->now;
		ended->failures = 0;
	}
	ended->failures++;
	return settings->retries == JOB_UNLIMITED || ended->failures <= settings->retries;
}

/* The others of the group are ended too, and begun again with it: also those that had completed. */
static int group_ends(struct machine *machine, struct job *job, uint32_t ended)
{
	struct allocation *other;
	struct allocation *next;
	int code = 0;
	HASH_ITER (by_task, job->allocations, other, next) {
		if (other->stopping)
			continue;
		other->stopping = true;
		allocation_dirty(machine, other);
		emit(machine, EFFECT_ALLOCATION_CHANGED, other);
	}
	if (job->state == JOB_RUNNING) {
		job->state = JOB_PENDING; /* until all have registered once more */
		job_changed(machine, job);
	}
	for (uint32_t task = 0; task < job->next_task && job->completed > 0 && code == 0; task++) {
		if (task == ended || task_allocation(job, task) != NULL || task_waiting(job, task) != NULL)
			continue;
		job->completed--;
		code = wait_write(machine, job, task_wait(job, task));
	}
	return code;
}

static int task_failed(struct machine *machine, struct job *job, struct allocation *ended, const char *node)
{
	const struct job_settings *settings = ended->definition->job;
	bool again = count_failure(machine, ended);
	if (!again || (settings->group && settings->group_policy == JOB_GROUP_STOP))
		return job_stop(machine, job, failure_text(ended, node));
	int code = settings->group ? group_ends(machine, job, ended->task) : 0;
	return code == 0 ? task_again(machine, job, ended, backoff(settings, ended->failures)) : code;
}

static int task_ended(struct machine *machine, struct allocation *ended, const char *node,
                      const struct command_allocation *change)
{
	struct job *job = ended->job;
	int code;
	if (job->state == JOB_STOPPING)
		return 0;
	switch (ended->phase) {
	case ALLOCATION_COMPLETED:
		job_call_output(job, change);
		job->completed++;
		return 0;
	case ALLOCATION_FAILED:
		return task_failed(machine, job, ended, node);
	case ALLOCATION_LOST:
		code = ended->definition->job->group ? group_ends(machine, job, ended->task) : 0;
		return code == 0 ? task_again(machine, job, ended, 0) : code;
	default:
		if (job_kind(job) != JOB_SYSTEM && ended->task >= job->count)
			return 0;
		code = ended->definition->job->group ? group_ends(machine, job, ended->task) : 0;
		return code == 0 ? task_again(machine, job, ended, 0) : code;
	}
}

/* --- what nodes say ------------------------------------------------------------------------------------------------ */

/* A batch job runs to an exit code of 0; what else ends was not asked to. Of a group that begins anew nothing is done, however it ends. */
static enum allocation_phase phase_of_end(const struct allocation *allocation, const struct command_allocation *change)
{
	if (change->event == ALLOCATION_EVENT_LOST)
		return ALLOCATION_LOST;
	bool anew = allocation->stopping && allocation->definition->job->group;
	if (job_kind(allocation->job) == JOB_BATCH && change->exit_code == 0 && !anew)
		return ALLOCATION_COMPLETED;
	return allocation_is_unwanted(allocation) ? ALLOCATION_STOPPED : ALLOCATION_FAILED;
}

static int allocation_ends(struct machine *machine, struct allocation *allocation,
                           const struct command_allocation *change)
{
	struct job *job = allocation->job;
	const char *node = allocation->use->name;
	allocation->phase = phase_of_end(allocation, change);
	allocation->exit.known = change->event == ALLOCATION_EVENT_ENDED;
	allocation->exit.code = change->exit_code;
	allocation->exit.signal = change->exit_signal;
	if (change->text.size != 0) { /* else why it was told to */
		text_release(allocation->exit.error);
		allocation->exit.error = text_create(change->text);
	}
	allocation->exit.at = machine->now;
	node_use_give(allocation);
	HASH_DELETE(by_task, job->allocations, allocation);
	HASH_DELETE(hh, machine->allocations, allocation);
	assert(job->live > 0);
	job->live--;
	job->failed += allocation->phase == ALLOCATION_FAILED;
	job->lost += allocation->phase == ALLOCATION_LOST;
	allocation_dirty(machine, allocation);
	emit(machine, EFFECT_ALLOCATION_ENDED, allocation);
	int code = task_ended(machine, allocation, node, change);
	if (code != 0 || job_is_over(job->state))
		return code;
	job_changed(machine, job);
	return job_end_if_done(machine, job);
}

static void job_begins(struct machine *machine, struct job *job)
{
	if (job->state != JOB_PENDING)
		return;
	job->state = JOB_RUNNING;
	job->started_ms = machine->now;
	job_call_begun(machine, job);
	job_changed(machine, job);
}

static void note_registered(struct machine *machine, struct allocation *allocation)
{
	struct job *job = allocation->job;
	const struct allocation *other;
	uint32_t registered = 0;
	if (allocation->registered)
		return;
	allocation->registered = true;
	for (other = job->allocations; other != NULL; other = other->by_task.next)
		registered += other->registered;
	if (registered == job->count)
		job_begins(machine, job);
}

static int apply_change(struct machine *machine, const struct command_allocation *change)
{
	struct allocation *allocation = allocation_find(machine, change->id);
	if (allocation == NULL)
		return 0; /* told twice */
	switch (change->event) {
	case ALLOCATION_EVENT_STARTED:
		if (allocation->phase == ALLOCATION_PLACED) {
			allocation->phase = ALLOCATION_RUNS;
			allocation->started_ms = machine->now;
			if (!allocation->definition->job->group)
				job_begins(machine, allocation->job);
		}
		break;
	case ALLOCATION_EVENT_CHECKED:
		allocation->checked = true;
		allocation->healthy = change->healthy;
		break;
	case ALLOCATION_EVENT_REGISTERED:
		note_registered(machine, allocation);
		break;
	default:
		return allocation_ends(machine, allocation, change);
	}
	allocation_dirty(machine, allocation);
	emit(machine, EFFECT_ALLOCATION_CHANGED, allocation);
	return 0;
}

int apply_allocations(struct machine *machine, const struct command *command, struct answer *ret_answer)
{
	int code = 0;
	if (command->session != 0 && command->allocations.count > 0) { /* a task itself has said it */
		uint64_t id = command->allocations.changes[0].id;
		const struct allocation *allocation = allocation_find(machine, id);
		if (allocation == NULL)
			*ret_answer = answer_error(ERR_NOT_FOUND, "there is no allocation %" PRIu64 " that runs", id);
		else
			ret_answer->number = allocation->job->id;
	}
	for (size_t i = 0; i < command->allocations.count && code == 0; i++)
		code = apply_change(machine, &command->allocations.changes[i]);
	return code;
}

void apply_stop_allocations(struct machine *machine, const struct command *command)
{
	for (size_t i = 0; i < command->stop_allocations.count; i++) {
		struct allocation *allocation = allocation_find(machine, command->stop_allocations.ids[i]);
		if (allocation == NULL || allocation->stopping)
			continue;
		allocation->stopping = true;
		if (command->stop_allocations.reason.size != 0 && allocation->exit.error == NULL)
			allocation->exit.error = text_create(command->stop_allocations.reason);
		allocation_dirty(machine, allocation);
		emit(machine, EFFECT_ALLOCATION_CHANGED, allocation);
	}
}
