#include "coordinator/internal.h"

#include <assert.h>
#include <inttypes.h>

/* Runs of periodic jobs. When one is due, the leader computes, since zones are its machine's; that a time is run once, is decided here:
 * `next_ms` is the one that is due next, and goes on to a later one with each run (INVARIANTS, 81). */

void job_run_link(struct job *periodic, struct job *run)
{
	assert(periodic->definition->job->type == JOB_PERIODIC && periodic->parent == 0);
	run->periodic = periodic;
	LIST_INSERT_HEAD(&periodic->runs, run, of_periodic);
}

int job_run_ended(struct machine *machine, struct job *run)
{
	struct job *periodic = run->periodic;
	if (periodic == NULL)
		return 0;
	LIST_REMOVE(run, of_periodic);
	run->periodic = NULL;
	return job_end_if_done(machine, periodic);
}

int job_runs_stop(struct machine *machine, struct job *periodic)
{
	struct job *next;
	int code = 0;
	for (struct job *run = LIST_FIRST(&periodic->runs); run != NULL && code == 0; run = next) {
		next = LIST_NEXT(run, of_periodic);
		if (run->state != JOB_STOPPING)
			code = job_stop(machine, run, NULL);
	}
	return code;
}

int job_run_begin(struct machine *machine, struct job *periodic, const struct definition *definition, struct slice args,
                  struct slice key, struct job **ret_run)
{
	const struct job_origin origin = {.key = key, .args = args, .parent = periodic->id};
	int code = job_create(machine, definition, &origin, ret_run);
	job_run_link(periodic, *ret_run);
	return code;
}

static int begin_due(struct machine *machine, struct job *periodic)
{
	struct buffer args = BUFFER_EMPTY;
	struct job *run;
	int code = 0;
	enum job_overlap overlap = periodic->definition->job->overlap;
	if (overlap == JOB_OVERLAP_SKIP && !LIST_EMPTY(&periodic->runs))
		return 0;
	if (overlap == JOB_OVERLAP_REPLACE)
		code = job_runs_stop(machine, periodic);
	job_default_args(periodic->definition, &args, NULL); /* all of its parameters have one */
	if (code == 0)
		code = job_run_begin(machine, periodic, periodic->definition, buffer_slice(&args), SLICE(""), &run);
	buffer_finish(&args);
	return code;
}

int apply_job_due(struct machine *machine, const struct command *command)
{
	struct job *periodic = job_find(machine, command->job_due.job);
	if (periodic == NULL || job_kind(periodic) != JOB_PERIODIC || periodic->state != JOB_RUNNING ||
	    periodic->definition->version != command->job_due.version || periodic->next_ms != command->job_due.due)
		return 0; /* it was done, or is another one now */
	int code = command->job_due.due != 0 ? begin_due(machine, periodic) : 0;
	periodic->next_ms = command->job_due.next;
	job_changed(machine, periodic);
	return code;
}
