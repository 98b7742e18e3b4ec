#include "daemon/allocations.h"

#include "base/log.h"
#include "base/memory.h"
#include "daemon/allocations_internal.h"
#include "daemon/attachments.h"
#include "daemon/workdir.h"
#include "net/supervisor.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#define LOG_SIZE ((uint64_t)10 << 20)
#define LOG_FILES 3
#define KEPT_MS ((msec)24 * 3600 * 1000)
#define KEPT_BYTES ((uint64_t)1 << 30)
#define COMPLAINT_SIZE 900   /* of stderr, with the report of a call's end */
#define REPORT_AGAIN_MS 5000 /* of an end that nobody has acknowledged */

/* ---- Reports ---- */

static void note(struct task *task)
{
	struct allocations *allocations = task->allocations;
	if (!task->dirty) {
		task->dirty = true;
		TAILQ_INSERT_TAIL(&allocations->dirty, task, link);
	}
	loop_timer_set(allocations->soon, loop_now(allocations->loop));
}

static void report(const struct task *task)
{
	struct buffer output = BUFFER_EMPTY;
	struct buffer text = BUFFER_EMPTY;
	enum task_outcome outcome = TASK_OUTCOME_NONE;
	bool returns = task->state == ALLOCATION_ENDED && !task->lost && task->facts.output != TASK_OUTPUT_NONE;
	if (returns && task->exit_code == 0)
		outcome = task_output_value(task->directory, task->facts.output, task->facts.output_max, &output);
	else if (returns && task->exit_code > 0 && task->text[0] == '\0')
		task_output_complaint(task->directory, task->exit_code, COMPLAINT_SIZE, &text);
	else
		buffer_append_string(&text, task->text);
	const struct allocation_report report = {
		.id = task->id,
		.job = task->facts.job,
		.task = task->facts.task,
		.state = task->state,
		.checked = task->checked,
		.healthy = task->healthy,
		.lost = task->lost,
		.exit_code = task->exit_code,
		.exit_signal = task->exit_signal,
		.text = buffer_slice(&text),
		.started_ms = task->started_ms,
		.ended_ms = task->ended_ms,
		.outcome = outcome,
		.output = buffer_slice(&output),
	};
	task->allocations->handler.report(task->allocations->context, &report);
	buffer_finish(&output);
	buffer_finish(&text);
}

/* The handler may acknowledge what is reported, and so free it, or ask for reports: these are told the next time. */
static void on_soon(void *context)
{
	struct allocations *allocations = context;
	struct task *task;
	size_t count = 0;
	TAILQ_FOREACH (task, &allocations->dirty, link)
		count++;
	for (; count > 0 && (task = TAILQ_FIRST(&allocations->dirty)) != NULL; count--) {
		TAILQ_REMOVE(&allocations->dirty, task, link);
		task->dirty = false;
		report(task);
	}
}

static void on_again(void *context)
{
	struct allocations *allocations = context;
	struct task *task;
	for (task = allocations->tasks; task != NULL; task = task->hh.next) {
		if (task->state == ALLOCATION_ENDED)
			note(task);
	}
	retention_prune(allocations->retention, loop_wall(allocations->loop));
	loop_timer_set(allocations->again, loop_now(allocations->loop) + REPORT_AGAIN_MS);
}

/* ---- One task ---- */

static struct task *find(struct allocations *allocations, uint64_t id)
{
	struct task *task;
	HASH_FIND(hh, allocations->tasks, &id, sizeof id, task);
	return task;
}

static struct task *add(struct allocations *allocations, uint64_t id)
{
	struct task *task = mem_zero(sizeof *task);
	task->id = id;
	task->allocations = allocations;
	task->directory = mem_format("%s/%llu", allocations->directory, (unsigned long long)id);
	task->exit_code = -1;
	HASH_ADD(hh, allocations->tasks, id, sizeof task->id, task);
	return task;
}

static void stand_in_line(struct task *task)
{
	struct allocations *allocations = task->allocations;
	if (task->hold != NULL && !task->wants && allocations->leaving == 0)
		task_starts_add(allocations->starts, &task->start);
}

static void set_forgotten(struct task *task, bool forgotten)
{
	struct allocations *allocations = task->allocations;
	if (task->forgotten == forgotten)
		return;
	task->forgotten = forgotten;
	allocations->leaving += forgotten ? 1 : UINT32_MAX;
	for (task = allocations->tasks; task != NULL && allocations->leaving == 0; task = task->hh.next)
		stand_in_line(task);
}

static void drop(struct task *task)
{
	HASH_DELETE(hh, task->allocations->tasks, task);
	task_starts_done(task->allocations->starts, &task->start);
	task_limits_remove(task->allocations->limits, task->id);
	if (task->dirty)
		TAILQ_REMOVE(&task->allocations->dirty, task, link);
	task_hold_destroy(task->hold);
	health_destroy(task->health);
	loop_timer_destroy(task->timeout);
	supervised_release(task->supervised);
	arena_finish(&task->arena);
	mem_free(task->directory);
	mem_free(task);
}

/* Nobody waits for its end any more. */
static void put_by(struct task *task)
{
	struct allocations *allocations = task->allocations;
	if (!task->put_by)
		retention_add(allocations->retention, task->id, task->directory, loop_wall(allocations->loop));
	set_forgotten(task, false);
	drop(task);
}

static void set_ended(struct task *task)
{
	task->state = ALLOCATION_ENDED;
	task_limits_remove(task->allocations->limits, task->id);
	task_starts_done(task->allocations->starts, &task->start);
	if (task->ended_ms == 0)
		task->ended_ms = loop_wall(task->allocations->loop);
	health_destroy(task->health);
	task->health = NULL;
	loop_timer_destroy(task->timeout);
	task->timeout = NULL;
}

static void take_exit(struct task *task, const struct supervised_exit *how)
{
	task->exit_code = how->code;
	task->exit_signal = how->signal;
	task->lost = how->lost;
	if (how->started_ms != 0)
		task->started_ms = how->started_ms;
	task->ended_ms = how->ended_ms;
	if (task->text[0] == '\0' && how->out_of_memory)
		snprintf(task->text, sizeof task->text, "out of memory%s%s", how->text[0] != '\0' ? ": " : "",
		         how->text);
	else if (task->text[0] == '\0' && how->text[0] == '\0' && how->dropped > 0)
		snprintf(task->text, sizeof task->text, "%llu bytes of its output could not be kept",
		         (unsigned long long)how->dropped);
	else if (task->text[0] == '\0')
		snprintf(task->text, sizeof task->text, "%s", how->text);
	set_ended(task);
}

static void end_without_start(struct task *task, const char *text, bool lost);

static void end_held(struct task *task, const char *why)
{
	task_hold_destroy(task->hold);
	task->hold = NULL;
	end_without_start(task, why, false);
}

static void stop(struct task *task)
{
	if (task->state == ALLOCATION_ENDED || task->stopping)
		return;
	task->stopping = true;
	if (task->hold != NULL) {
		end_held(task, "it was stopped before it was started");
		return;
	}
	if (task->state == ALLOCATION_RUNNING || task->state == ALLOCATION_STARTING) {
		task->state = ALLOCATION_STOPPING;
		note(task);
	}
	health_destroy(task->health);
	task->health = NULL;
	if (task->supervised != NULL)
		supervised_stop(task->supervised);
}

static void stop_because(struct task *task, const char *what, const char *why)
{
	if (task->stopping)
		return;
	snprintf(task->text, sizeof task->text, "%s: %s", what, why);
	task_reason_write(task->directory, task->text);
	stop(task);
}

static void on_timeout(void *context)
{
	struct task *task = context;
	char text[80];
	snprintf(text, sizeof text, "it ran for longer than %lld ms", (long long)task->facts.timeout);
	stop_because(task, "timeout", text);
}

static void on_health(void *context, bool healthy)
{
	struct task *task = context;
	task->checked = true;
	task->healthy = healthy;
	note(task);
}

static void on_unwell(void *context, const char *why)
{
	struct task *task = context;
	task->healthy = false;
	stop_because(task, "unwell", why);
}

/* Its grace would be time for more of it. */
static void on_exceeded(void *context, uint64_t id, const char *what, const char *why)
{
	struct task *task = find(context, id);
	if (task == NULL || task->supervised == NULL)
		return;
	stop_because(task, what, why);
	supervised_kill(task->supervised);
}

static void look_after(struct task *task)
{
	char *work = mem_format("%s/work", task->directory);
	const struct task_limit limit = {task->id, task->pid, work, task->facts.processes, task->facts.disk};
	task_limits_add(task->allocations->limits, &limit);
	mem_free(work);
}

static void on_started(void *context, int pid, msec started_ms)
{
	static const struct health_handler handler = {on_health, on_unwell};
	struct task *task = context;
	struct allocations *allocations = task->allocations;
	msec now = loop_now(allocations->loop);
	msec since = now - (loop_wall(allocations->loop) - started_ms);
	task_starts_done(allocations->starts, &task->start);
	task->pid = pid;
	task->started_ms = started_ms;
	look_after(task);
	if (!task->stopping) {
		task->state = ALLOCATION_RUNNING;
		task->health = health_create(allocations->loop, allocations->children, &task->facts, task->directory,
		                             since, &handler, task);
		if (task->facts.timeout > 0) {
			task->timeout = loop_timer_create(allocations->loop, on_timeout, task);
			loop_timer_set(task->timeout, since + task->facts.timeout);
		}
	}
	note(task);
}

static void on_ended(void *context, const struct supervised_exit *how)
{
	struct task *task = context;
	supervised_release(task->supervised);
	task->supervised = NULL;
	take_exit(task, how);
	if (task->forgotten)
		put_by(task);
	else
		note(task);
}

static const struct supervised_handler supervised_handler = {on_started, on_ended};

/* ---- Starting ---- */

static int execute(struct task *task, const struct allocation_order *order, const char *program, struct error *error)
{
	struct allocations *allocations = task->allocations;
	const struct allocations_options *options = &allocations->options;
	struct arena arena = {0};
	char *work = mem_format("%s/work", task->directory);
	int code = order->argv_count > 0 ? 0 : error_set(error, ERR_INVALID, "there is nothing to execute");
	if (code == 0)
		code = task_make_directories(task->directory, work, error);
	if (code == 0)
		code = task_facts_write(task->directory, order, &task->facts, error);
	if (code == 0)
		code = attachments_place(allocations->attachments, order->files, order->file_count, work, error);
	if (code == 0)
		code = task_place_program(&order->program, program, work, error);
	if (code == 0) {
		const struct supervised_options how = {
			.directory = task->directory,
			.argv = task_words(order->argv, order->argv_count, &arena),
			.env = task_environment(options, order, work, &arena),
			.stop_signal = order->stop_signal,
			.stop_grace = order->stop_grace,
			.cpu = order->cpu,
			.memory = order->memory,
			.processes = 2 * task->facts.processes, /* where it is found to have more than these, it is ended */
			.log_size = options->log_size,
			.log_files = options->log_files,
		};
		code = supervised_start(allocations->supervisors, &how, &supervised_handler, task, &task->supervised,
		                        error);
	}
	arena_finish(&arena);
	mem_free(work);
	return code;
}

/* So that it is known as ended after a restart, too. */
static void end_without_start(struct task *task, const char *text, bool lost)
{
	struct supervised_exit how = {.code = -1, .not_started = true, .lost = lost};
	how.ended_ms = loop_wall(task->allocations->loop);
	snprintf(how.text, sizeof how.text, "%.300s", text);
	mkdir(task->directory, 0700); /* it may have ended before anything was made */
	if (supervised_write_exit(task->directory, &how, NULL) != 0)
		log_write(LOG_WARNING, "jobs", "cannot write down the end of %s", task->directory);
	take_exit(task, &how);
	note(task);
}

/* One that is nowhere to be found any more: reported once, as lost. */
static void report_lost(struct allocations *allocations, uint64_t id, uint64_t job, uint32_t index)
{
	struct task *task = add(allocations, id);
	task->facts.job = job;
	task->facts.task = index;
	task->put_by = true;
	take_exit(task, &(struct supervised_exit){.code = -1, .lost = true, .text = "it is not known here any more"});
	note(task);
}

/* It has ended and was acknowledged; somebody asks again. */
static bool report_kept(struct allocations *allocations, uint64_t id)
{
	char path[PATH_MAX];
	struct supervised_exit how = {.code = -1, .lost = true};
	if (!retention_has(allocations->retention, id, path, sizeof path))
		return false;
	struct task *task = add(allocations, id);
	mem_free(task->directory);
	task->directory = mem_string(path);
	task->put_by = true;
	task_facts_read(path, &task->arena, &task->facts, NULL);
	supervised_read_exit(path, &how);
	task_reason_read(task->directory, task->text, sizeof task->text);
	take_exit(task, &how);
	note(task);
	return true;
}

/* Its turn has come. */
static void begin(void *context, struct task_start *start)
{
	struct task *task = (struct task *)((char *)start - offsetof(struct task, start));
	struct allocations *allocations = context;
	struct task_hold *hold = task->hold;
	struct error error = {0};
	if (allocations->leaving > 0) { /* since it stands in line; it will again */
		task_starts_done(allocations->starts, start);
		return;
	}
	task->hold = NULL;
	if (execute(task, &hold->order, task->program, &error) != 0)
		end_without_start(task, error.text, false);
	else
		note(task);
	task_hold_destroy(hold);
}

void allocations_start(struct allocations *allocations, const struct allocation_order *order)
{
	struct task *task = find(allocations, order->id);
	if (task != NULL) {
		set_forgotten(task, false);
		note(task);
		return;
	}
	if (report_kept(allocations, order->id))
		return;
	if (order->begun) {
		report_lost(allocations, order->id, order->job, order->task);
		return;
	}
	task = add(allocations, order->id);
	char *work = mem_format("%s/work", task->directory);
	task_facts_of(&allocations->options, order, work, &task->arena, &task->facts);
	mem_free(work);
	task->wants = order->program.path.size != 0;
	task->hold = task_hold_create(order);
	note(task);
	stand_in_line(task); /* not while some leave: they may have its ports */
	if (task->wants)
		allocations->handler.want(allocations->context, &task->hold->order.program);
}

/* What it was told to be started with is here, or is not to be had. */
static void supply(struct task *task, const char *path, const char *why)
{
	task->wants = false;
	task->program = path != NULL ? arena_string(&task->arena, slice_of(path)) : NULL;
	if (path != NULL)
		stand_in_line(task);
	else
		end_held(task, why);
}

void allocations_supply(struct allocations *allocations, struct slice hash, const char *path, const char *why)
{
	struct task *next;
	for (struct task *task = allocations->tasks; task != NULL; task = next) {
		next = task->hh.next;
		if (task->hold != NULL && slice_equal(task->hold->order.program.hash, hash))
			supply(task, path, why);
	}
}

/* ---- After a restart ---- */

/* Nothing was ever started in it. Taking the name of the socket keeps whoever is still about to do it from doing it. */
static bool take_never_started(const struct task *task)
{
	char *path = mem_format("%s/control", task->directory);
	int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool exists = file < 0 && errno == EEXIST;
	if (file >= 0)
		close(file);
	mem_free(path);
	return !exists;
}

static void take_up(struct allocations *allocations, uint64_t id)
{
	struct error error;
	struct task *task = add(allocations, id);
	if (task_facts_read(task->directory, &task->arena, &task->facts, &error) != 0)
		log_write(LOG_WARNING, "jobs", "%s", error.text);
	task_reason_read(task->directory, task->text, sizeof task->text);
	task->stopping = task->text[0] != '\0';
	for (int i = 0; i < 2; i++) {
		int code = supervised_adopt(allocations->supervisors, task->directory, &supervised_handler, task,
		                            &task->supervised, &error);
		if (code == 0) {
			if (task->stopping) {
				task->state = ALLOCATION_STOPPING;
				supervised_stop(task->supervised);
			}
			return;
		}
		if (take_never_started(task))
			break;
	}
	end_without_start(task, "the daemon ended before it was started", true);
}

static int take_up_all(struct allocations *allocations, struct error *error)
{
	struct dirent *entry;
	char *end;
	DIR *directory = opendir(allocations->directory);
	if (directory == NULL)
		return error_set(error, ERR_IO, "cannot open %s: %s", allocations->directory, strerror(errno));
	while ((entry = readdir(directory)) != NULL) {
		uint64_t id = strtoull(entry->d_name, &end, 10);
		if (id > 0 && *end == '\0')
			take_up(allocations, id);
	}
	closedir(directory);
	return 0;
}

/* ---- The door ---- */

static void fill_options(struct allocations *allocations, const struct allocations_options *options)
{
	uint32_t cpu;
	uint64_t memory;
	struct allocations_options *own = &allocations->options;
	*own = *options;
	own->node_name = allocations->strings[0] = mem_string(options->node_name != NULL ? options->node_name : "");
	own->address = allocations->strings[1] = mem_string(options->address != NULL ? options->address : "");
	own->socket = allocations->strings[2] = mem_string(options->socket != NULL ? options->socket : "");
	if (own->log_size == 0)
		own->log_size = LOG_SIZE;
	if (own->log_files == 0)
		own->log_files = LOG_FILES;
	if (own->kept == 0)
		own->kept = KEPT_MS;
	if (own->kept_bytes == 0)
		own->kept_bytes = KEPT_BYTES;
	if (own->starts == 0) {
		allocations_capacity(&cpu, &memory);
		own->starts = cpu > 1000 ? cpu / 1000 : 1;
	}
}

static int open_parts(struct allocations *allocations, struct error *error)
{
	char root[PATH_MAX];
	int code = workdirs_create(allocations->loop, allocations->options.directory, &allocations->workdirs, error);
	if (code != 0)
		return code;
	if (realpath(allocations->options.directory, root) == NULL)
		return error_set(error, ERR_IO, "cannot find %s: %s", allocations->options.directory, strerror(errno));
	allocations->directory = mem_string(root);
	allocations->attachments = attachments_create(workdirs_cache(allocations->workdirs), allocations->handler.fetch,
	                                              allocations->context);
	char *ended = mem_format("%s/ended", root);
	code = retention_create(ended, allocations->workdirs, allocations->options.kept,
	                        allocations->options.kept_bytes, loop_wall(allocations->loop), &allocations->retention,
	                        error);
	mem_free(ended);
	if (code == 0)
		code = children_create(allocations->loop, &allocations->children, error);
	if (code == 0)
		code = supervisors_create(allocations->loop, &allocations->supervisors, error);
	if (code == 0)
		code = task_limits_create(allocations->loop, root, on_exceeded, allocations, &allocations->limits, error);
	return code == 0 ? take_up_all(allocations, error) : code;
}

int allocations_create(struct loop *loop, const struct allocations_options *options,
                       const struct allocations_handler *handler, void *context, struct allocations **ret_allocations,
                       struct error *error)
{
	assert(handler->report != NULL && handler->fetch != NULL);
	struct allocations *allocations = mem_zero(sizeof *allocations);
	allocations->loop = loop;
	allocations->handler = *handler;
	allocations->context = context;
	TAILQ_INIT(&allocations->dirty);
	allocations->soon = loop_timer_create(loop, on_soon, allocations);
	allocations->again = loop_timer_create(loop, on_again, allocations);
	fill_options(allocations, options);
	allocations->starts = task_starts_create(loop, allocations->options.starts, begin, allocations);
	int code = open_parts(allocations, error);
	if (code != 0) {
		allocations_destroy(allocations);
		return code;
	}
	loop_timer_set(allocations->again, loop_now(loop) + REPORT_AGAIN_MS);
	*ret_allocations = allocations;
	return 0;
}

void allocations_destroy(struct allocations *allocations)
{
	if (allocations == NULL)
		return;
	while (allocations->tasks != NULL)
		drop(allocations->tasks);
	task_starts_destroy(allocations->starts);
	task_limits_destroy(allocations->limits);
	supervisors_destroy(allocations->supervisors);
	children_destroy(allocations->children);
	attachments_destroy(allocations->attachments);
	retention_destroy(allocations->retention);
	workdirs_destroy(allocations->workdirs);
	loop_timer_destroy(allocations->soon);
	loop_timer_destroy(allocations->again);
	for (size_t i = 0; i < sizeof allocations->strings / sizeof *allocations->strings; i++)
		mem_free(allocations->strings[i]);
	mem_free(allocations->directory);
	mem_free(allocations);
}

void allocations_stop(struct allocations *allocations, uint64_t id)
{
	struct task *task = find(allocations, id);
	if (task == NULL) {
		if (!report_kept(allocations, id))
			report_lost(allocations, id, 0, 0);
		return;
	}
	if (task->state == ALLOCATION_ENDED)
		note(task);
	stop(task);
}

void allocations_acknowledge(struct allocations *allocations, uint64_t id)
{
	struct task *task = find(allocations, id);
	if (task != NULL && task->state == ALLOCATION_ENDED)
		put_by(task);
}

void allocations_report_all(struct allocations *allocations)
{
	for (struct task *task = allocations->tasks; task != NULL; task = task->hh.next)
		note(task);
}

void allocations_keep_only(struct allocations *allocations, const uint64_t *known, size_t count)
{
	struct task *next;
	for (struct task *task = allocations->tasks; task != NULL; task = next) {
		next = task->hh.next;
		if (task_is_among(task->id, known, count))
			continue;
		stop(task);
		if (task->state == ALLOCATION_ENDED)
			put_by(task);
		else
			set_forgotten(task, true);
	}
}
