#include "coordinator/internal.h"

#include "base/json.h"
#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>

/* Jobs, allocations and tasks that wait: between the catalog and memory. Those that have not ended are in memory, all of them. */

const char *const job_state_names[] = {
	[JOB_PENDING] = "pending",     [JOB_RUNNING] = "running", [JOB_STOPPING] = "stopping",
	[JOB_COMPLETED] = "completed", [JOB_FAILED] = "failed",   [JOB_STOPPED] = "stopped",
};

const char *const allocation_phase_names[] = {
	[ALLOCATION_PLACED] = "placed", [ALLOCATION_RUNS] = "running",    [ALLOCATION_COMPLETED] = "completed",
	[ALLOCATION_FAILED] = "failed", [ALLOCATION_STOPPED] = "stopped", [ALLOCATION_LOST] = "lost",
};

const char *const stdout_form_names[] = {
	[STDOUT_JSON] = "json", [STDOUT_TEXT] = "text", [STDOUT_LINES] = "lines", [STDOUT_NONE] = "none"};

const char *job_type_name(enum job_type type)
{
	static const char *const names[] = {
		[JOB_BATCH] = "batch", [JOB_SERVICE] = "service", [JOB_SYSTEM] = "system", [JOB_PERIODIC] = "periodic"};
	return names[type];
}

static int name_index(const char *const *names, int count, struct slice name)
{
	for (int i = 0; i < count; i++) {
		if (slice_is(name, names[i]))
			return i;
	}
	return -1;
}

/* --- in memory ----------------------------------------------------------------------------------------------------- */

bool job_has_name(const struct job *job)
{
	return job_kind(job) != JOB_BATCH;
}

struct job *job_add(struct machine *machine, uint64_t id, const struct definition *definition, uint64_t parent,
                    enum job_state state)
{
	struct job *job = mem_zero(sizeof *job);
	job->id = id;
	job->definition = definition;
	job->parent = parent;
	job->state = state;
	HASH_ADD(hh, machine->jobs, id, sizeof job->id, job);
	if (job_has_name(job) && state != JOB_STOPPING)
		HASH_ADD_KEYPTR(by_name, machine->jobs_by_name, definition->name.data, definition->name.size, job);
	return job;
}

static void job_destroy(struct job *job)
{
	struct job_task *waiting;
	struct job_task *next;
	HASH_ITER (hh, job->waiting, waiting, next) {
		HASH_DELETE(hh, job->waiting, waiting);
		mem_free(waiting);
	}
	text_release(job->args);
	text_release(job->error);
	text_release(job->call.output);
	mem_free(job);
}

struct allocation *allocation_add(struct machine *machine, struct job *job, const struct definition *definition,
                                  struct node_use *use, uint64_t id)
{
	struct allocation *allocation = mem_zero(sizeof *allocation);
	allocation->id = id;
	allocation->job = job;
	allocation->definition = definition;
	allocation->node = use->id;
	HASH_ADD(hh, machine->allocations, id, sizeof allocation->id, allocation);
	return allocation;
}

static void allocation_destroy(struct allocation *allocation)
{
	text_release(allocation->exit.error);
	mem_free(allocation);
}

void jobs_release(struct machine *machine)
{
	struct job *job;
	struct job *next_job;
	struct allocation *allocation;
	struct allocation *next;
	while ((allocation = machine->dirty_allocations) != NULL) {
		machine->dirty_allocations = allocation->next_dirty;
		if (allocation_is_over(allocation->phase))
			allocation_destroy(allocation);
	}
	while ((job = machine->dirty_jobs) != NULL) {
		machine->dirty_jobs = job->next_dirty;
		if (job_is_over(job->state))
			job_destroy(job);
	}
	HASH_ITER (hh, machine->jobs, job, next_job) {
		HASH_CLEAR(by_task, job->allocations);
		HASH_DELETE(hh, machine->jobs, job);
		job_destroy(job);
	}
	HASH_CLEAR(by_name, machine->jobs_by_name);
	HASH_CLEAR(by_call, machine->jobs_by_call);
	job_news_release(machine);
	HASH_ITER (hh, machine->allocations, allocation, next) {
		HASH_DELETE(hh, machine->allocations, allocation);
		allocation_destroy(allocation);
	}
	nodes_release(machine);
}

void job_dirty(struct machine *machine, struct job *job)
{
	if (job->dirty)
		return;
	job->dirty = true;
	job->next_dirty = machine->dirty_jobs;
	machine->dirty_jobs = job;
}

void allocation_dirty(struct machine *machine, struct allocation *allocation)
{
	if (allocation->dirty)
		return;
	allocation->dirty = true;
	allocation->next_dirty = machine->dirty_allocations;
	machine->dirty_allocations = allocation;
}

/* --- writing ------------------------------------------------------------------------------------------------------- */

static struct slice text_or_none(const struct text *text)
{
	return text != NULL ? text_slice(text) : (struct slice){0};
}

static int write_job(struct machine *machine, const struct job *job)
{
	struct catalog_job row = {
		.id = job->id,
		.version = job->definition->version,
		.state = slice_of(job_state_names[job->state]),
		.error = text_or_none(job->error),
		.count = job->count,
		.running = job->live,
		.completed = job->completed,
		.failed = job->failed,
		.lost = job->lost,
		.next_task = job->next_task,
		.priority = job->definition->job->priority,
		.next_ms = job->next_ms,
		.started_ms = job->started_ms,
		.finished_ms = job->finished_ms,
	};
	return catalog_job_update(machine->catalog, &row);
}

static int write_allocation(struct machine *machine, const struct allocation *allocation)
{
	uint32_t ports = allocation->definition->job->port_count;
	struct catalog_allocation row = {
		.id = allocation->id,
		.job = allocation->job->id,
		.task = allocation->task,
		.version = allocation->definition->version,
		.node = allocation->node,
		.state = slice_of(allocation_phase_names[allocation->phase]),
		.attempt = allocation->attempt,
		.checked = allocation->checked,
		.healthy = allocation->healthy,
		.ended = allocation->exit.known,
		.exit_code = allocation->exit.code,
		.exit_signal = allocation->exit.signal,
		.error = text_or_none(allocation->exit.error),
		.placed_ms = allocation->placed_ms,
		.started_ms = allocation->started_ms,
		.finished_ms = allocation->exit.at,
		.registered = allocation->registered,
		.stopping = allocation->stopping,
		.failures = allocation->failures,
		.window_ms = allocation->window_ms,
	};
	if (ports > 0) {
		buffer_clear(&machine->scratch);
		for (uint32_t i = 0; i < ports; i++)
			buffer_format(&machine->scratch, "%c%u", i > 0 ? ',' : '[', allocation->ports[i]);
		buffer_append_char(&machine->scratch, ']');
		row.ports = buffer_slice(&machine->scratch);
	}
	return catalog_allocation_put(machine->catalog, &row);
}

int jobs_flush(struct machine *machine)
{
	int code = 0;
	while (machine->dirty_allocations != NULL && code == 0) {
		struct allocation *allocation = machine->dirty_allocations;
		code = write_allocation(machine, allocation);
		machine->dirty_allocations = allocation->next_dirty;
		allocation->dirty = false;
		if (allocation_is_over(allocation->phase))
			allocation_destroy(allocation);
	}
	while (machine->dirty_jobs != NULL && code == 0) {
		struct job *job = machine->dirty_jobs;
		code = write_job(machine, job);
		machine->dirty_jobs = job->next_dirty;
		job->dirty = false;
		if (job_is_over(job->state))
			job_destroy(job);
	}
	return code;
}

/* --- loading ------------------------------------------------------------------------------------------------------- */

static int job_loaded(void *context, const struct catalog_job *row)
{
	struct machine *machine = context;
	const struct definition *definition = registry_find(machine->registry, row->name, row->version);
	int state = name_index(job_state_names, JOB_COMPLETED, row->state);
	int form = row->instance != 0 ? name_index(stdout_form_names, STDOUT_NONE + 1, row->output) : 0;
	if (definition == NULL || definition->kind != DEFINITION_JOB || state < 0 || form < 0)
		return ERR_CORRUPT;
	struct job *job = job_add(machine, row->id, definition, row->parent, (enum job_state)state);
	struct job *periodic = row->parent != 0 ? job_find(machine, row->parent) : NULL;
	if (periodic != NULL)
		job_run_link(periodic, job);
	job->next_ms = row->next_ms;
	job->args = row->args.data != NULL ? text_create(row->args) : NULL;
	job->error = row->error.data != NULL ? text_create(row->error) : NULL;
	job->count = row->count;
	job->next_task = row->next_task;
	job->completed = row->completed;
	job->failed = row->failed;
	job->lost = row->lost;
	job->submitted_ms = row->submitted_ms;
	job->started_ms = row->started_ms;
	job->call.of = (struct call_key){row->instance, row->ref};
	job->call.attempt = row->attempt;
	job->call.form = (enum stdout_form)form;
	if (row->instance != 0 && job->state != JOB_STOPPING)
		job_link(machine, job);
	return 0;
}

static bool parse_ports(struct slice json, uint32_t count, uint16_t *ret_ports)
{
	struct json_iterator iterator;
	struct slice key;
	struct slice value;
	uint32_t found = 0;
	if (count == 0)
		return json.data == NULL;
	if (json.data == NULL || json_check(json, NULL) != 0 || json_kind(json) != JSON_ARRAY)
		return false;
	json_iterate(&iterator, json);
	while (json_next(&iterator, &key, &value)) {
		long long port = 0;
		if (found == count || json_integer(value, 1, 65535, &port) != 0)
			return false;
		ret_ports[found++] = (uint16_t)port;
	}
	return found == count;
}

static int allocation_loaded(void *context, const struct catalog_allocation *row)
{
	struct machine *machine = context;
	struct job *job = job_find(machine, row->job);
	int phase = name_index(allocation_phase_names, ALLOCATION_COMPLETED, row->state);
	if (job == NULL || phase < 0)
		return ERR_CORRUPT;
	const struct definition *definition = registry_find(machine->registry, job->definition->name, row->version);
	if (definition == NULL || definition->kind != DEFINITION_JOB)
		return ERR_CORRUPT;
	struct node_use *use = node_use_find(machine, row->node);
	if (use == NULL) { /* of a cluster that was before this one */
		struct catalog_node gone = {.id = row->node, .name = SLICE("?"), .state = SLICE("failed")};
		node_use_set(machine, &gone);
		use = node_use_find(machine, row->node);
	}
	struct allocation *allocation = allocation_add(machine, job, definition, use, row->id);
	allocation->task = row->task;
	allocation->phase = (enum allocation_phase)phase;
	allocation->attempt = row->attempt;
	allocation->checked = row->checked;
	allocation->healthy = row->healthy;
	allocation->registered = row->registered;
	allocation->stopping = row->stopping;
	allocation->exit.error = row->error.data != NULL ? text_create(row->error) : NULL;
	allocation->failures = row->failures;
	allocation->window_ms = row->window_ms;
	allocation->placed_ms = row->placed_ms;
	allocation->started_ms = row->started_ms;
	if (!parse_ports(row->ports, definition->job->port_count, allocation->ports))
		return ERR_CORRUPT;
	node_use_take(use, allocation);
	HASH_ADD(by_task, job->allocations, task, sizeof allocation->task, allocation);
	job->live++;
	return 0;
}

static int task_loaded(void *context, const struct catalog_task *row)
{
	struct job *job = job_find(context, row->job);
	if (job == NULL)
		return ERR_CORRUPT;
	struct job_task *waiting = task_wait(job, row->task);
	waiting->attempts = row->attempts;
	waiting->failures = row->failures;
	waiting->window_ms = row->window_ms;
	waiting->due_ms = row->due_ms;
	return 0;
}

static void node_loaded(void *context, const struct catalog_node *row)
{
	struct machine *machine = context;
	node_use_set(machine, row);
	struct node_use *use = node_use_find(machine, row->id);
	int drain = row->drain.data != NULL ? name_index(drain_state_names, DRAIN_END, row->drain) : DRAIN_NONE;
	use->eligible = row->eligible;
	use->drain = drain > 0 ? (enum drain_state)drain : DRAIN_NONE;
	use->drain_until = row->drain_until_ms;
}

int jobs_load(struct machine *machine, struct error *error)
{
	int code = catalog_nodes(machine->catalog, node_loaded, machine);
	if (code == 0)
		code = catalog_jobs_open(machine->catalog, job_loaded, machine);
	if (code == 0)
		code = catalog_allocations_open(machine->catalog, allocation_loaded, machine);
	if (code == 0)
		code = catalog_tasks(machine->catalog, task_loaded, machine);
	if (code == ERR_CORRUPT)
		return error_set(error, code,
		                 "the catalog's jobs and allocations do not belong together: restore a snapshot");
	if (code != 0)
		return error_set(error, code, "the jobs cannot be read from the catalog: %s",
		                 catalog_error(machine->catalog));
	return 0;
}
