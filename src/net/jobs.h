/* A thread that runs jobs in the order they were given: the disk thread, the readers' thread. The loop's thread gives jobs and
 * takes back those that are done when the descriptor becomes readable. While the thread has none, the loop's may run one itself:
 * never two at once, and each sees what those before it did. */
#ifndef CLUSTERD_NET_JOBS_H
#define CLUSTERD_NET_JOBS_H

#include <stdbool.h>

struct jobs;

/* By the caller, part of a larger struct; it must live until `done` was called. */
struct job {
	void (*run)(struct job *job);  /* on the thread, or here */
	void (*done)(struct job *job); /* on the loop's thread, in order; may free the job and give new ones */
	struct job *next;              /* private */
};

/* `name`: of the thread, up to 15 characters. ERR_IO: the system gave no thread or descriptor. */
int jobs_create(const char *name, struct jobs **ret_jobs);
/* Waits until what was given has run; `done` is called for each, and what it gives runs too. NULL is fine. */
void jobs_destroy(struct jobs *jobs);
/* The same without waiting for anything: for jobs that may take longer than anybody wants to. `done` is called for none of them, `drop` for
 * each that was not collected: here, but for the one that the thread is at, which is dropped there when it has run. So a job must use
 * nothing but what is its own. Nothing may be put by. */
void jobs_abandon(struct jobs *jobs, void (*drop)(struct job *job));
void jobs_give(struct jobs *jobs, struct job *job);
/* A job that takes no longer than waking the thread is put by, when jobs_idle, for jobs_run_here. What is given before that call
 * sends it to the thread first, so that the order stays. */
void jobs_put_by(struct jobs *jobs, struct job *job);
/* Runs on the caller's thread, the loop's, what was put by and has not gone to the thread. jobs_collect calls its `done`. */
void jobs_run_here(struct jobs *jobs);
/* Readable when jobs are done on the thread. */
int jobs_descriptor(const struct jobs *jobs);
/* Calls `done` of all that are done. */
void jobs_collect(struct jobs *jobs);
bool jobs_idle(const struct jobs *jobs); /* none given that was not collected */

#endif
