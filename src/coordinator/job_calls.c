#include "coordinator/internal.h"

#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

/* Calls of processes that a job runs (`job = NAME`). Such a call is never handed out: the command that makes it ready begins its job, and
 * the command in which the job ends gives its result to the call. So an attempt has one job, whoever leads and whatever is told twice
 * (INVARIANTS, 80), and there is nothing to be found out after a change of leader.
 *
 * What a call does to its job is done at once; what a job does to its call waits for the end of the command (job_calls_settle), since the
 * instance may have to be loaded and reduced for it. */

enum news_kind { NEWS_BEGUN, NEWS_RETURNED, NEWS_FAILED };

struct job_news {
	struct call_key of;
	uint64_t attempt;
	enum news_kind kind;
	enum failure_cause cause;
	bool final;
	struct text *value;
	struct job_news *next;
};

static struct job_news *news_add(struct machine *machine, const struct job *job, enum news_kind kind)
{
	struct job_news *news = mem_zero(sizeof *news);
	news->of = job->call.of;
	news->attempt = job->call.attempt;
	news->kind = kind;
	if (machine->job_news_last != NULL)
		machine->job_news_last->next = news;
	else
		machine->job_news = news;
	machine->job_news_last = news;
	return news;
}

static struct job_news *news_take(struct machine *machine)
{
	struct job_news *news = machine->job_news;
	if (news == NULL)
		return NULL;
	machine->job_news = news->next;
	if (machine->job_news == NULL)
		machine->job_news_last = NULL;
	return news;
}

static void news_destroy(struct job_news *news)
{
	text_release(news->value);
	mem_free(news);
}

void job_news_release(struct machine *machine)
{
	struct job_news *news;
	while ((news = news_take(machine)) != NULL)
		news_destroy(news);
}

/* --- what a call does to its job ----------------------------------------------------------------------------------- */

static int set_timer(struct machine *machine, struct call *call, msec wait)
{
	int code = 0;
	if (call->due_ms != 0)
		code = catalog_timer_delete(machine->catalog, call->due_ms, call->owner->id, call->ref);
	call->due_ms = wait > 0 ? machine->now + wait : 0;
	call_dirty(machine, call);
	if (code == 0 && wait > 0)
		code = catalog_timer_insert(machine->catalog, call->due_ms, call->owner->id, call->ref);
	effect_add(machine, EFFECT_TIMERS_CHANGED, call->owner->id);
	return code;
}

void job_link(struct machine *machine, struct job *job)
{
	HASH_ADD(by_call, machine->jobs_by_call, call.of, sizeof job->call.of, job);
}

void job_unlink(struct machine *machine, struct job *job)
{
	struct job *linked;
	HASH_FIND(by_call, machine->jobs_by_call, &job->call.of, sizeof job->call.of, linked);
	if (linked == job)
		HASH_DELETE(by_call, machine->jobs_by_call, job);
}

int job_call_begin(struct machine *machine, struct call *call)
{
	const struct process_settings *settings = &call->process->settings;
	struct buffer args = BUFFER_EMPTY;
	struct job *job;
	call->state = CALL_RUNNING;
	call->attempt = attempt_after(call->attempt, machine->applied_term);
	call->attempts++;
	call->started_ms = 0;
	call->due_ms = 0;
	call->owner->running_count++;
	call_dirty(machine, call);
	/* They were checked against the process, whose parameters are the job's. */
	int fits = definition_accept_args(settings->job, text_slice(call->args), &args, NULL);
	assert(fits == 0);
	const struct job_origin origin = {
		.args = buffer_slice(&args),
		.call = {call->owner->id, call->ref},
		.attempt = call->attempt,
		.form = settings->stdout_form,
	};
	int code = job_create(machine, settings->job, &origin, &job);
	buffer_finish(&args);
	if (code == 0)
		code = history_format(machine, call->owner->id, "job", call->ref, "{\"job\":%" PRIu64 ",\"attempt\":%u}",
		                      job->id, call->attempts);
	return code == 0 && settings->start_timeout > 0 ? set_timer(machine, call, settings->start_timeout) : code;
}

int job_call_end(struct machine *machine, struct call *call)
{
	struct call_key key = {call->owner->id, call->ref};
	struct job *job;
	int code = call->state == CALL_RUNNING && call->due_ms != 0 ? set_timer(machine, call, 0) : 0;
	HASH_FIND(by_call, machine->jobs_by_call, &key, sizeof key, job);
	return code == 0 && job != NULL ? job_stop(machine, job, NULL) : code;
}

/* --- what a job does to its call ----------------------------------------------------------------------------------- */

void job_call_output(struct job *job, const struct command_allocation *change)
{
	if (job->call.of.instance == 0)
		return;
	text_release(job->call.output);
	job->call.good = change->output == OUTPUT_VALUE;
	job->call.cause = change->cause;
	job->call.output = text_create(change->output != OUTPUT_NONE ? change->value : SLICE("its output did not come"));
}

void job_call_begun(struct machine *machine, const struct job *job)
{
	if (job->call.of.instance != 0)
		news_add(machine, job, NEWS_BEGUN);
}

void job_call_finished(struct machine *machine, const struct job *job)
{
	if (job->call.of.instance == 0)
		return;
	bool good = job->state == JOB_COMPLETED && job->call.good;
	struct job_news *news = news_add(machine, job, good ? NEWS_RETURNED : NEWS_FAILED);
	if (job->state == JOB_COMPLETED) {
		news->value = text_hold(job->call.output);
		news->cause = job->call.cause;
	} else if (job->state == JOB_FAILED) {
		news->value = text_hold(job->error);
	} else {
		news->value = text_create(SLICE("its job was stopped"));
		news->final = true;
	}
}

static int settle(struct machine *machine, const struct job_news *news, struct error *error)
{
	struct running *running;
	const struct command_returned returned = {
		.ref = (uint32_t)news->of.ref,
		.attempt = news->attempt,
		.failed = news->kind == NEWS_FAILED,
		.final = news->final,
		.cause = news->cause,
		.value = news->value != NULL ? text_slice(news->value) : SLICE(""),
		.metadata = SLICE(""),
	};
	int code = machine_load(machine, news->of.instance, &running, error);
	if (code != 0 || running == NULL)
		return code;
	if (news->kind != NEWS_BEGUN)
		return running_take(machine, running, &returned, 1, error);
	struct call *call = machine_call(machine, news->of.instance, returned.ref);
	if (call == NULL || call->state != CALL_RUNNING || call->attempt != news->attempt || call->started_ms != 0)
		return 0;
	call->started_ms = machine->now;
	code = set_timer(machine, call, call->process->settings.timeout);
	if (code != 0)
		return error_set(error, code, "the catalog cannot be written: %s", catalog_error(machine->catalog));
	return 0;
}

int job_calls_settle(struct machine *machine, struct error *error)
{
	struct job_news *news;
	int code = 0;
	while (code == 0 && (news = news_take(machine)) != NULL) {
		code = settle(machine, news, error);
		news_destroy(news);
	}
	return code;
}

int job_call_expired(struct machine *machine, struct call *call, struct error *error)
{
	const struct process_settings *settings = &call->process->settings;
	bool started = call->started_ms != 0;
	char text[96];
	snprintf(text, sizeof text, "it %s within its %s of %lld ms", started ? "did not finish" : "was not started",
	         started ? "timeout" : "start_timeout", (long long)(started ? settings->timeout : settings->start_timeout));
	const struct command_returned returned = {
		.ref = call->ref,
		.attempt = call->attempt,
		.failed = true,
		.cause = CAUSE_TIMEOUT,
		.value = slice_of(text),
		.metadata = SLICE(""),
	};
	return running_take(machine, call->owner, &returned, 1, error);
}
