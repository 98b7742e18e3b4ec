#include "coordinator/internal.h"

#include "base/json.h"
#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>

/* Jobs: how they begin, change and end. What becomes of their tasks is in allocations.c. */

struct job *job_find(const struct machine *machine, uint64_t id)
{
	struct job *job;
	HASH_FIND(hh, machine->jobs, &id, sizeof id, job);
	return job;
}

static struct job *job_named(const struct machine *machine, struct slice name)
{
	struct job *job;
	HASH_FIND(by_name, machine->jobs_by_name, name.data, name.size, job);
	return job;
}

void job_changed(struct machine *machine, struct job *job)
{
	struct effect *effect = effect_add(machine, EFFECT_JOB_CHANGED, 0);
	effect->job = job->id;
	effect->state = job_state_names[job->state];
	if (job_is_over(job->state))
		effect->error = text_hold(job->error);
	job_dirty(machine, job);
}

/* --- beginning ----------------------------------------------------------------------------------------------------- */

static struct slice or_none(struct slice text)
{
	return text.size != 0 ? text : (struct slice){0};
}

int job_create(struct machine *machine, const struct definition *definition, const struct job_origin *origin,
               struct job **ret_job)
{
	const struct job_settings *settings = definition->job;
	struct job *job = job_add(machine, machine->next_job++, definition, origin->parent, JOB_PENDING);
	job->args = origin->args.size != 0 ? text_create(origin->args) : NULL;
	job->call.of = origin->call;
	job->call.attempt = origin->attempt;
	job->call.form = origin->form;
	if (origin->call.instance != 0)
		job_link(machine, job);
	job->count = job_kind(job) == JOB_SYSTEM || job_kind(job) == JOB_PERIODIC ? 0 : settings->count;
	job->submitted_ms = machine->now;
	if (job_kind(job) == JOB_PERIODIC) {
		job->state = JOB_RUNNING;
		job->started_ms = machine->now;
	}
	struct catalog_job row = {
		.id = job->id,
		.key = or_none(origin->key),
		.parent = origin->parent,
		.instance = origin->call.instance,
		.ref = (uint32_t)origin->call.ref,
		.attempt = origin->attempt,
		.output = origin->call.instance != 0 ? slice_of(stdout_form_names[origin->form]) : (struct slice){0},
		.name = definition->name,
		.version = definition->version,
		.type = slice_of(job_type_name(job_kind(job))),
		.state = slice_of(job_state_names[job->state]),
		.args = or_none(origin->args),
		.count = job->count,
		.submitted_ms = job->submitted_ms,
		.started_ms = job->started_ms,
		.priority = settings->priority,
	};
	*ret_job = job;
	job_changed(machine, job);
	return catalog_job_insert(machine->catalog, &row);
}

/* Of a service or system job that runs: tasks of the old version are replaced one by one, which the leader sees to. A periodic job goes by
 * the new one from the next time on. */
static void job_update(struct machine *machine, struct job *job, const struct definition *definition)
{
	bool scaled = job_kind(job) == JOB_SERVICE && job->count != job->definition->job->count;
	job->definition = definition;
	job->next_ms = 0; /* to be computed anew */
	if (job_kind(job) != JOB_SERVICE)
		job->count = 0;
	else if (!scaled)
		job->count = definition->job->count;
	job_changed(machine, job);
}

static const char *const change_names[] = {"unchanged", "updated", "started"};
enum change { CHANGE_NONE, CHANGE_UPDATED, CHANGE_STARTED };

int job_default_args(const struct definition *definition, struct buffer *out, struct error *error)
{
	buffer_clear(out);
	return definition->param_count > 0 ? definition_accept_args(definition, SLICE("{}"), out, error) : 0;
}

static int run_job(struct machine *machine, const struct definition *definition, struct job **ret_job,
                   enum change *ret_change)
{
	struct job *job = definition->job->type == JOB_BATCH ? NULL : job_named(machine, definition->name);
	if (job == NULL) {
		struct buffer args = BUFFER_EMPTY;
		*ret_change = CHANGE_STARTED;
		job_default_args(definition, &args, NULL);
		int code = job_create(machine, definition, &(struct job_origin){.args = buffer_slice(&args)}, ret_job);
		buffer_finish(&args);
		return code;
	}
	*ret_job = job;
	*ret_change = job->definition == definition ? CHANGE_NONE : CHANGE_UPDATED;
	if (job->definition != definition)
		job_update(machine, job, definition);
	return 0;
}

static int run_registered(struct machine *machine, const struct registration *registration, struct slice diagnostics,
                          struct answer *ret_answer)
{
	struct buffer text = BUFFER_EMPTY;
	int code = 0;
	buffer_append_string(&text, "{\"jobs\":[");
	for (uint32_t i = 0, count = 0; i < registration->count && code == 0; i++) {
		const struct definition *definition = registration->entries[i].definition;
		struct job *job;
		enum change change;
		if (definition->kind != DEFINITION_JOB)
			continue;
		code = run_job(machine, definition, &job, &change);
		if (code != 0)
			break;
		buffer_format(&text, "%s{\"id\":%" PRIu64 ",\"name\":", count++ > 0 ? "," : "", job->id);
		json_quote(&text, definition->name);
		buffer_format(&text, ",\"version\":%u,\"change\":\"%s\"}", definition->version, change_names[change]);
		if (ret_answer->number == 0)
			ret_answer->number = job->id;
	}
	buffer_append_string(&text, "],\"diagnostics\":");
	json_quote(&text, diagnostics);
	buffer_append_char(&text, '}');
	ret_answer->text = text_create(buffer_slice(&text));
	buffer_finish(&text);
	return code;
}

/* A job whose parameters have no defaults cannot be run, only dispatched. */
static bool can_run(const struct registration *registration, struct answer *ret_answer)
{
	struct buffer args = BUFFER_EMPTY;
	uint32_t jobs = 0;
	bool good = true;
	for (uint32_t i = 0; i < registration->count && good; i++) {
		const struct definition *definition = registration->entries[i].definition;
		struct error error = {0};
		if (definition->kind != DEFINITION_JOB)
			continue;
		jobs++;
		good = job_default_args(definition, &args, &error) == 0;
		if (!good)
			*ret_answer = answer_error(
				ERR_TYPE, "job %.*s needs arguments (%s): register it, and dispatch it with them",
				SLICE_ARGS(definition->name), error.text);
	}
	if (good && jobs == 0) {
		*ret_answer = answer_error(ERR_NOT_FOUND, "there is no job in what was given");
		good = false;
	}
	buffer_finish(&args);
	return good;
}

int apply_run_jobs(struct machine *machine, const struct command *command, struct answer *ret_answer)
{
	struct registration registration;
	struct buffer diagnostics = BUFFER_EMPTY;
	int code = register_files(machine, command, &registration, &diagnostics, ret_answer);
	if (code == 0 && ret_answer->code == 0) {
		if (can_run(&registration, ret_answer))
			code = run_registered(machine, &registration, buffer_slice(&diagnostics), ret_answer);
		registration_finish(&registration);
	}
	buffer_finish(&diagnostics);
	return code;
}

int apply_dispatch_job(struct machine *machine, const struct command *command, struct answer *ret_answer)
{
	struct slice name = command->dispatch_job.name;
	struct slice key = command->dispatch_job.key;
	struct buffer args = BUFFER_EMPTY;
	struct error refused = {0};
	struct job *job;
	int code = key.size != 0 ? catalog_job_by_key(machine->catalog, key, &ret_answer->number) : ERR_NOT_FOUND;
	if (code != ERR_NOT_FOUND) {
		ret_answer->existed = code == 0;
		return code;
	}
	code = 0;
	const struct definition *definition = registry_find(machine->registry, name, command->dispatch_job.version);
	struct job *periodic = definition != NULL && definition->kind == DEFINITION_JOB &&
	                                       definition->job->type == JOB_PERIODIC
	                               ? job_named(machine, name)
	                               : NULL;
	if (definition == NULL || definition->kind != DEFINITION_JOB)
		*ret_answer = answer_error(ERR_NOT_FOUND, "there is no job %.*s", SLICE_ARGS(name));
	else if (definition->job->type != JOB_BATCH && definition->job->type != JOB_PERIODIC)
		*ret_answer = answer_error(ERR_INVALID,
		                           "job %.*s is of type %s: only a batch or periodic job can be dispatched",
		                           SLICE_ARGS(name), job_type_name(definition->job->type));
	else if (definition->job->type == JOB_PERIODIC && periodic == NULL)
		*ret_answer = answer_error(ERR_CONFLICT, "the periodic job %.*s has not been begun: `clusterctl job run` does",
		                           SLICE_ARGS(name));
	else if (definition_accept_args(definition, command->dispatch_job.args, &args, &refused) != 0)
		*ret_answer = answer_error(ERR_TYPE, "job %.*s: %s", SLICE_ARGS(name), refused.text);
	else {
		code = periodic != NULL ? job_run_begin(machine, periodic, definition, buffer_slice(&args), key, &job)
		                        : job_create(machine, definition,
		                                     &(struct job_origin){.key = key, .args = buffer_slice(&args)}, &job);
		ret_answer->number = job->id;
	}
	buffer_finish(&args);
	return code;
}

/* --- ending -------------------------------------------------------------------------------------------------------- */

/* Of those that wait for another attempt, from `from` on. */
static int forget_waiting(struct machine *machine, struct job *job, uint32_t from)
{
	struct job_task *waiting;
	struct job_task *next;
	bool any = false;
	HASH_ITER (hh, job->waiting, waiting, next) {
		if (waiting->task < from)
			continue;
		HASH_DELETE(hh, job->waiting, waiting);
		mem_free(waiting);
		any = true;
	}
	return any ? catalog_tasks_delete(machine->catalog, job->id, from) : 0;
}

static int job_finish(struct machine *machine, struct job *job, enum job_state state)
{
	assert(job->live == 0 && job->allocations == NULL && job_is_over(state));
	job->state = state;
	job->finished_ms = machine->now;
	job_call_finished(machine, job);
	job_unlink(machine, job);
	job_changed(machine, job);
	HASH_DELETE(hh, machine->jobs, job);
	return job_run_ended(machine, job);
}

int job_end_if_done(struct machine *machine, struct job *job)
{
	if (job->live > 0 || !LIST_EMPTY(&job->runs))
		return 0;
	if (job->state == JOB_STOPPING)
		return job_finish(machine, job, job->error != NULL ? JOB_FAILED : JOB_STOPPED);
	if (job_kind(job) == JOB_BATCH && job->completed >= job->count)
		return job_finish(machine, job, JOB_COMPLETED);
	return 0;
}

int job_stop(struct machine *machine, struct job *job, struct text *take_reason)
{
	assert(!job_is_over(job->state));
	if (job->error == NULL)
		job->error = take_reason;
	else
		text_release(take_reason);
	if (job->state != JOB_STOPPING && job_has_name(job))
		HASH_DELETE(by_name, machine->jobs_by_name, job);
	job_unlink(machine, job);
	job->state = JOB_STOPPING;
	job->next_ms = 0;
	job_changed(machine, job);
	int code = forget_waiting(machine, job, 0);
	bool over = code == 0 && LIST_EMPTY(&job->runs);
	if (code == 0 && !over)
		code = job_runs_stop(machine, job); /* the last of them ends this one, too */
	return over ? job_end_if_done(machine, job) : code;
}

/* NULL: the answer says so. One that has ended is no error for who wants it to end. */
static struct job *job_asked(struct machine *machine, uint64_t id, bool may_be_over, struct answer *ret_answer)
{
	struct job *job = job_find(machine, id);
	struct buffer state = BUFFER_EMPTY;
	struct buffer error = BUFFER_EMPTY;
	if (job != NULL)
		return job;
	int found = jobs_flush(machine); /* it may have ended a moment ago */
	if (found == 0)
		found = catalog_job_state(machine->catalog, id, &state, &error);
	buffer_finish(&state);
	buffer_finish(&error);
	if (found != 1)
		*ret_answer = answer_error(ERR_NOT_FOUND, "there is no job %" PRIu64, id);
	else if (!may_be_over)
		*ret_answer = answer_error(ERR_CONFLICT, "job %" PRIu64 " has ended", id);
	return NULL;
}

int apply_stop_job(struct machine *machine, const struct command *command, struct answer *ret_answer)
{
	struct slice reason = command->stop_job.reason;
	struct job *job = job_asked(machine, command->stop_job.job, true, ret_answer);
	if (job == NULL || job->state == JOB_STOPPING)
		return 0;
	ret_answer->number = job->id;
	return job_stop(machine, job, reason.size != 0 ? text_create(reason) : NULL);
}

int apply_scale_job(struct machine *machine, const struct command *command, struct answer *ret_answer)
{
	uint32_t count = command->scale_job.count;
	struct job *job = job_asked(machine, command->scale_job.job, false, ret_answer);
	if (job == NULL)
		return 0;
	ret_answer->number = job->id;
	if (job_kind(job) != JOB_SERVICE || job->definition->job->group) {
		*ret_answer = answer_error(
			ERR_INVALID, "job %" PRIu64 " is %s: only a service has a number of tasks that can be changed",
			job->id, job->definition->job->group ? "a group" : job_type_name(job_kind(job)));
		return 0;
	}
	job->count = count;
	if (job->next_task > count)
		job->next_task = count;
	job_changed(machine, job);
	return forget_waiting(machine, job, count);
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

const struct job *machine_job(const struct machine *machine, uint64_t id)
{
	return job_find(machine, id);
}

const struct job *machine_job_named(const struct machine *machine, struct slice name)
{
	return job_named(machine, name);
}

const struct job *machine_jobs_named(const struct machine *machine)
{
	return machine->jobs_by_name;
}

/* uthash keeps the order in which they were added: of their ids, at start as later. */
const struct job *machine_jobs(const struct machine *machine)
{
	return machine->jobs;
}
