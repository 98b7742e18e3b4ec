/* job, allocation and job_task: what runs because somebody asked for it. */
#include "catalog/catalog.h"
#include "catalog/statement.h"

/* --- jobs ---------------------------------------------------------------------------------------------------------- */

int catalog_job_insert(struct catalog *catalog, const struct catalog_job *job)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_JOB_INSERT, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, job->id);
	bind_text(statement, 2, job->key);
	bind_name(statement, 3, job->name);
	bind_number(statement, 4, job->version);
	bind_name(statement, 5, job->type);
	bind_name(statement, 6, job->state);
	bind_text(statement, 7, job->args);
	bind_text(statement, 8, job->error);
	bind_number(statement, 9, job->count);
	bind_number(statement, 10, job->running);
	bind_number(statement, 11, job->completed);
	bind_number(statement, 12, job->failed);
	bind_number(statement, 13, job->lost);
	bind_time(statement, 14, job->submitted_ms);
	bind_time(statement, 15, job->started_ms);
	bind_time(statement, 16, job->finished_ms);
	bind_number(statement, 17, job->next_task);
	bind_id(statement, 18, job->parent);
	bind_id(statement, 19, job->instance);
	bind_id(statement, 20, job->ref);
	bind_id(statement, 21, job->attempt);
	bind_text(statement, 22, job->output);
	bind_number(statement, 23, job->priority);
	bind_time(statement, 24, job->next_ms);
	return statement_run(catalog, statement);
}

int catalog_job_update(struct catalog *catalog, const struct catalog_job *job)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_JOB_UPDATE, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, job->id);
	bind_number(statement, 2, job->version);
	bind_name(statement, 3, job->state);
	bind_text(statement, 4, job->error);
	bind_number(statement, 5, job->count);
	bind_number(statement, 6, job->running);
	bind_number(statement, 7, job->completed);
	bind_number(statement, 8, job->failed);
	bind_number(statement, 9, job->lost);
	bind_time(statement, 10, job->started_ms);
	bind_time(statement, 11, job->finished_ms);
	bind_number(statement, 12, job->next_task);
	bind_number(statement, 13, job->priority);
	bind_time(statement, 14, job->next_ms);
	return statement_run(catalog, statement);
}

int catalog_job_by_key(struct catalog *catalog, struct slice key, uint64_t *ret_id)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_JOB_BY_KEY, &statement);
	if (result != 0)
		return result;
	bind_text(statement, 1, key);
	result = statement_row(catalog, statement);
	if (result == 1)
		*ret_id = column_number(statement, 0);
	statement_end(statement);
	return result == 1 ? 0 : result == 0 ? ERR_NOT_FOUND : result;
}

/* 1: there is a row, 0: none; or an ERR_. */
static int has_row(struct catalog *catalog, enum statement_id id, uint64_t number)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, id, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, number);
	result = statement_row(catalog, statement);
	statement_end(statement);
	return result;
}

int catalog_job_state(struct catalog *catalog, uint64_t id, struct buffer *ret_state, struct buffer *ret_error)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_JOB_STATE, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, id);
	result = statement_row(catalog, statement);
	if (result == 1) {
		buffer_clear(ret_state);
		buffer_clear(ret_error);
		buffer_append_slice(ret_state, column_text(statement, 0));
		buffer_append_slice(ret_error, column_text(statement, 1));
	}
	statement_end(statement);
	return result;
}

int catalog_jobs_open(struct catalog *catalog, int (*each)(void *context, const struct catalog_job *job), void *context)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_JOBS_OPEN, &statement);
	if (result != 0)
		return result;
	while ((result = statement_row(catalog, statement)) == 1) {
		struct catalog_job job = {
			.id = column_number(statement, 0),
			.key = column_text(statement, 1),
			.name = column_text(statement, 2),
			.version = (uint32_t)column_number(statement, 3),
			.type = column_text(statement, 4),
			.state = column_text(statement, 5),
			.args = column_text(statement, 6),
			.error = column_text(statement, 7),
			.count = (uint32_t)column_number(statement, 8),
			.running = (uint32_t)column_number(statement, 9),
			.completed = (uint32_t)column_number(statement, 10),
			.failed = (uint32_t)column_number(statement, 11),
			.lost = (uint32_t)column_number(statement, 12),
			.submitted_ms = (msec)column_number(statement, 13),
			.started_ms = (msec)column_number(statement, 14),
			.finished_ms = (msec)column_number(statement, 15),
			.next_task = (uint32_t)column_number(statement, 16),
			.parent = column_number(statement, 17),
			.instance = column_number(statement, 18),
			.ref = (uint32_t)column_number(statement, 19),
			.attempt = column_number(statement, 20),
			.output = column_text(statement, 21),
			.priority = (uint32_t)column_number(statement, 22),
			.next_ms = (msec)column_number(statement, 23),
		};
		result = each(context, &job);
		if (result != 0)
			break;
	}
	statement_end(statement);
	return result;
}

/* --- allocations --------------------------------------------------------------------------------------------------- */

int catalog_allocation_put(struct catalog *catalog, const struct catalog_allocation *allocation)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_ALLOCATION_PUT, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, allocation->id);
	bind_number(statement, 2, allocation->job);
	bind_number(statement, 3, allocation->task);
	bind_number(statement, 4, allocation->version);
	bind_number(statement, 5, allocation->node);
	bind_name(statement, 6, allocation->state);
	bind_number(statement, 7, allocation->attempt);
	bind_text(statement, 8, allocation->ports);
	if (allocation->checked)
		bind_number(statement, 9, allocation->healthy);
	else
		bind_id(statement, 9, 0);
	if (allocation->ended) {
		sqlite3_bind_int(statement, 10, allocation->exit_code);
		sqlite3_bind_int(statement, 11, allocation->exit_signal);
	} else {
		bind_id(statement, 10, 0);
		bind_id(statement, 11, 0);
	}
	bind_text(statement, 12, allocation->error);
	bind_time(statement, 13, allocation->placed_ms);
	bind_time(statement, 14, allocation->started_ms);
	bind_time(statement, 15, allocation->finished_ms);
	bind_number(statement, 16, allocation->registered);
	bind_number(statement, 17, allocation->stopping);
	bind_number(statement, 18, allocation->failures);
	bind_time(statement, 19, allocation->window_ms);
	return statement_run(catalog, statement);
}

int catalog_allocations_open(struct catalog *catalog,
                             int (*each)(void *context, const struct catalog_allocation *allocation), void *context)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_ALLOCATIONS_OPEN, &statement);
	if (result != 0)
		return result;
	while ((result = statement_row(catalog, statement)) == 1) {
		struct catalog_allocation row = {
			.id = column_number(statement, 0),
			.job = column_number(statement, 1),
			.task = (uint32_t)column_number(statement, 2),
			.version = (uint32_t)column_number(statement, 3),
			.node = column_number(statement, 4),
			.state = column_text(statement, 5),
			.attempt = (uint32_t)column_number(statement, 6),
			.ports = column_text(statement, 7),
			.checked = sqlite3_column_type(statement, 8) != SQLITE_NULL,
			.healthy = column_number(statement, 8) != 0,
			.error = column_text(statement, 11),
			.placed_ms = (msec)column_number(statement, 12),
			.started_ms = (msec)column_number(statement, 13),
			.registered = column_number(statement, 15) != 0,
			.stopping = column_number(statement, 16) != 0,
			.failures = (uint32_t)column_number(statement, 17),
			.window_ms = (msec)column_number(statement, 18),
		};
		result = each(context, &row);
		if (result != 0)
			break;
	}
	statement_end(statement);
	return result;
}

/* --- tasks that wait ----------------------------------------------------------------------------------------------- */

int catalog_task_put(struct catalog *catalog, const struct catalog_task *task)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_TASK_PUT, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, task->job);
	bind_number(statement, 2, task->task);
	bind_number(statement, 3, task->attempts);
	bind_number(statement, 4, task->failures);
	bind_time(statement, 5, task->window_ms);
	bind_time(statement, 6, task->due_ms);
	return statement_run(catalog, statement);
}

static int delete_tasks(struct catalog *catalog, enum statement_id id, uint64_t job, uint32_t task)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, id, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, job);
	bind_number(statement, 2, task);
	return statement_run(catalog, statement);
}

int catalog_task_delete(struct catalog *catalog, uint64_t job, uint32_t task)
{
	return delete_tasks(catalog, STATEMENT_TASK_DELETE, job, task);
}

int catalog_tasks_delete(struct catalog *catalog, uint64_t job, uint32_t from)
{
	return delete_tasks(catalog, STATEMENT_TASKS_DELETE, job, from);
}

int catalog_tasks(struct catalog *catalog, int (*each)(void *context, const struct catalog_task *task), void *context)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, STATEMENT_TASKS, &statement);
	if (result != 0)
		return result;
	while ((result = statement_row(catalog, statement)) == 1) {
		struct catalog_task task = {
			.job = column_number(statement, 0),
			.task = (uint32_t)column_number(statement, 1),
			.attempts = (uint32_t)column_number(statement, 2),
			.failures = (uint32_t)column_number(statement, 3),
			.window_ms = (msec)column_number(statement, 4),
			.due_ms = (msec)column_number(statement, 5),
		};
		result = each(context, &task);
		if (result != 0)
			break;
	}
	statement_end(statement);
	return result;
}

/* --- retention ----------------------------------------------------------------------------------------------------- */

static int expire(struct catalog *catalog, enum statement_id id, msec before, int count)
{
	sqlite3_stmt *statement;
	int result = statement_get(catalog, id, &statement);
	if (result != 0)
		return result;
	bind_number(statement, 1, (uint64_t)before);
	bind_number(statement, 2, (uint64_t)count);
	result = statement_run(catalog, statement);
	return result == 0 ? sqlite3_changes(catalog->database) : result;
}

int catalog_jobs_expire(struct catalog *catalog, msec before, int count)
{
	if (before <= 0)
		return 0;
	int allocations = expire(catalog, STATEMENT_ALLOCATIONS_EXPIRE, before, count);
	if (allocations < 0)
		return allocations;
	int jobs = expire(catalog, STATEMENT_JOBS_EXPIRE, before, count);
	return jobs < 0 ? jobs : allocations + jobs;
}

int catalog_jobs_finished_before(struct catalog *catalog, msec before)
{
	if (before <= 0)
		return 0;
	int result = has_row(catalog, STATEMENT_ALLOCATION_EXPIRED, (uint64_t)before);
	return result == 0 ? has_row(catalog, STATEMENT_JOB_EXPIRED, (uint64_t)before) : result;
}
