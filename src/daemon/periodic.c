#include "daemon/placing_internal.h"

#include "base/memory.h"
#include "workflow/timetable.h"

/* Periodic jobs: the leader computes when each is due next, and proposes a run when that time has come. What was missed while nobody led is
 * made up for by one run. The state machine takes each time once (coordinator/job_runs.c). */

#define LOOK_AT_LEAST_MS 20000 /* the wall's clock may be set */

/* What was proposed for a job, until it is applied. */
struct proposed_run {
	uint64_t job;
	uint32_t version;
	msec due;
	UT_hash_handle hh;
};

void periodic_clear(struct placing *placing)
{
	struct proposed_run *run;
	struct proposed_run *next;
	HASH_ITER (hh, placing->runs, run, next) {
		HASH_DELETE(hh, placing->runs, run);
		mem_free(run);
	}
}

/* false: the same was proposed already. */
static bool note_proposed(struct placing *placing, const struct job *job)
{
	struct proposed_run *run;
	HASH_FIND(hh, placing->runs, &job->id, sizeof job->id, run);
	if (run != NULL && run->due == job->next_ms && run->version == job->definition->version)
		return false;
	if (run == NULL) {
		run = mem_zero(sizeof *run);
		run->job = job->id;
		HASH_ADD(hh, placing->runs, job, sizeof run->job, run);
	}
	run->due = job->next_ms;
	run->version = job->definition->version;
	return true;
}

static void forget(struct placing *placing, uint64_t id)
{
	struct proposed_run *run;
	HASH_FIND(hh, placing->runs, &id, sizeof id, run);
	if (run == NULL)
		return;
	HASH_DELETE(hh, placing->runs, run);
	mem_free(run);
}

/* false: the zone is not known here (it was where the job was registered): looked at again some time later. */
static bool time_after(const struct node *node, const struct job_settings *settings, msec after, msec *ret_next)
{
	struct timetable timetable;
	struct timetable_fault fault;
	struct timetable_zone zone;
	if (!timetable_parse(settings->schedule, &timetable, &fault) ||
	    node_zone(node, settings->timezone, &zone, NULL) != 0)
		return false;
	*ret_next = timetable_next(&timetable, &zone, after);
	return true;
}

static void propose(struct node *node, const struct job *job, msec wall)
{
	struct command command = {.kind = COMMAND_JOB_DUE};
	command.job_due.job = job->id;
	command.job_due.version = job->definition->version;
	command.job_due.due = job->next_ms;
	if (time_after(node, job->definition->job, wall, &command.job_due.next) && note_proposed(node->placing, job))
		node_propose(node, &command, true);
}

void periodic_effect(struct node *node, const struct effect *effect)
{
	const struct job *job = machine_job(node->machine, effect->job);
	if (job == NULL)
		forget(node->placing, effect->job);
	else if (job_kind(job) == JOB_PERIODIC)
		node->placing->periodic_at = 0;
}

void periodic_turn(struct node *node)
{
	struct placing *placing = node->placing;
	msec now = node->host->now(node->context);
	msec wall = node->host->wall(node->context);
	if (now < placing->periodic_at)
		return;
	placing->periodic_at = MSEC_NEVER;
	for (const struct job *job = machine_jobs_named(node->machine); job != NULL; job = job->by_name.next) {
		if (job_kind(job) != JOB_PERIODIC || job->state != JOB_RUNNING)
			continue;
		msec wait = job->next_ms - wall;
		if (job->next_ms <= wall)
			propose(node, job, wall);
		if (wait <= 0 || wait > LOOK_AT_LEAST_MS)
			wait = LOOK_AT_LEAST_MS;
		placing->periodic_at = msec_earlier(placing->periodic_at, now + wait);
	}
}
