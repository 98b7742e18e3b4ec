#include "net/jobs.h"

#include "base/error.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct job_list {
	struct job *first;
	struct job **end; /* where the next is hung */
};

struct jobs {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t given_changed;
	pthread_cond_t done_changed;
	int descriptor;     /* eventfd; counts above 0 while `done` is not empty */
	/* The loop's thread alone looks at these. */
	size_t outstanding; /* given or put by, and not collected */
	struct job *put_by; /* NULL: nothing */
	struct job *ran;    /* here, and not collected; NULL: nothing */

	/* Under the mutex. */
	struct job_list given;
	struct job_list done;
	bool ending;
	bool running;                   /* the thread is at a job */
	void (*drop)(struct job *job);  /* abandoned: the thread cleans up when its job has run */
};

static void list_init(struct job_list *list)
{
	list->first = NULL;
	list->end = &list->first;
}

static void list_add(struct job_list *list, struct job *job)
{
	job->next = NULL;
	*list->end = job;
	list->end = &job->next;
}

static struct job *list_take_first(struct job_list *list)
{
	struct job *job = list->first;
	list->first = job->next;
	if (list->first == NULL)
		list->end = &list->first;
	return job;
}

static void announce(struct jobs *jobs)
{
	uint64_t one = 1;
	ssize_t size = write(jobs->descriptor, &one, sizeof one);
	assert(size == (ssize_t)sizeof one);
	(void)size;
}

static void clean_up(struct jobs *jobs)
{
	pthread_cond_destroy(&jobs->done_changed);
	pthread_cond_destroy(&jobs->given_changed);
	pthread_mutex_destroy(&jobs->mutex);
	close(jobs->descriptor);
	mem_free(jobs);
}

static void *run_jobs(void *argument)
{
	struct jobs *jobs = argument;
	pthread_mutex_lock(&jobs->mutex);
	for (;;) {
		while (jobs->given.first == NULL && !jobs->ending)
			pthread_cond_wait(&jobs->given_changed, &jobs->mutex);
		if (jobs->given.first == NULL)
			break;
		struct job *job = list_take_first(&jobs->given);
		jobs->running = true;
		pthread_mutex_unlock(&jobs->mutex);
		job->run(job);
		pthread_mutex_lock(&jobs->mutex);
		jobs->running = false;
		if (jobs->drop != NULL) {
			pthread_mutex_unlock(&jobs->mutex);
			jobs->drop(job);
			clean_up(jobs);
			return NULL;
		}
		if (jobs->done.first == NULL)
			announce(jobs);
		list_add(&jobs->done, job);
		pthread_cond_signal(&jobs->done_changed);
	}
	pthread_mutex_unlock(&jobs->mutex);
	return NULL;
}

/* Signals are for the loop's thread. */
static int start_thread(struct jobs *jobs, const char *name)
{
	sigset_t all;
	sigset_t before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int result = pthread_create(&jobs->thread, NULL, run_jobs, jobs);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (result == 0)
		pthread_setname_np(jobs->thread, name);
	return result;
}

int jobs_create(const char *name, struct jobs **ret_jobs)
{
	assert(strlen(name) <= 15);
	struct jobs *jobs = mem_zero(sizeof *jobs);
	list_init(&jobs->given);
	list_init(&jobs->done);
	jobs->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (jobs->descriptor < 0) {
		mem_free(jobs);
		return ERR_IO;
	}
	pthread_mutex_init(&jobs->mutex, NULL);
	pthread_cond_init(&jobs->given_changed, NULL);
	pthread_cond_init(&jobs->done_changed, NULL);
	if (start_thread(jobs, name) != 0) {
		clean_up(jobs);
		return ERR_IO;
	}
	*ret_jobs = jobs;
	return 0;
}

void jobs_give(struct jobs *jobs, struct job *job)
{
	jobs->outstanding++;
	pthread_mutex_lock(&jobs->mutex);
	if (jobs->put_by != NULL)
		list_add(&jobs->given, jobs->put_by);
	jobs->put_by = NULL;
	list_add(&jobs->given, job);
	pthread_mutex_unlock(&jobs->mutex);
	pthread_cond_signal(&jobs->given_changed); /* behind the unlocking, or who wakes up would wait for it at once */
}

/* Only beside an idle thread: all that it has done was taken from under the mutex, and what it will do is given under it. So what
 * jobs share is never touched by both at once, and each sees what the other did. */
void jobs_put_by(struct jobs *jobs, struct job *job)
{
	assert(jobs_idle(jobs));
	jobs->outstanding++;
	jobs->put_by = job;
}

void jobs_run_here(struct jobs *jobs)
{
	struct job *job = jobs->put_by;
	if (job == NULL)
		return;
	jobs->put_by = NULL;
	jobs->ran = job;
	job->run(job);
}

int jobs_descriptor(const struct jobs *jobs)
{
	return jobs->descriptor;
}

static void finish(struct jobs *jobs, struct job *job)
{
	jobs->outstanding--;
	job->done(job); /* may free it */
}

void jobs_collect(struct jobs *jobs)
{
	uint64_t count;
	struct job *ran = jobs->ran;
	if (ran != NULL) {
		jobs->ran = NULL;
		finish(jobs, ran);
		if (jobs_idle(jobs))
			return;
	}
	pthread_mutex_lock(&jobs->mutex);
	struct job *job = jobs->done.first;
	list_init(&jobs->done);
	/* Under the mutex, so that no job can be added between the two. */
	ssize_t size = read(jobs->descriptor, &count, sizeof count);
	assert(size == (ssize_t)sizeof count || errno == EAGAIN);
	(void)size;
	pthread_mutex_unlock(&jobs->mutex);
	while (job != NULL) {
		struct job *next = job->next;
		finish(jobs, job);
		job = next;
	}
}

bool jobs_idle(const struct jobs *jobs)
{
	return jobs->outstanding == 0;
}

void jobs_destroy(struct jobs *jobs)
{
	if (jobs == NULL)
		return;
	while (!jobs_idle(jobs)) {
		jobs_run_here(jobs);
		pthread_mutex_lock(&jobs->mutex);
		while (jobs->ran == NULL && jobs->done.first == NULL)
			pthread_cond_wait(&jobs->done_changed, &jobs->mutex);
		pthread_mutex_unlock(&jobs->mutex);
		jobs_collect(jobs);
	}
	pthread_mutex_lock(&jobs->mutex);
	jobs->ending = true;
	pthread_cond_signal(&jobs->given_changed);
	pthread_mutex_unlock(&jobs->mutex);
	pthread_join(jobs->thread, NULL);
	clean_up(jobs);
}

static void drop_all(struct job *job, void (*drop)(struct job *job))
{
	while (job != NULL) {
		struct job *next = job->next;
		drop(job);
		job = next;
	}
}

void jobs_abandon(struct jobs *jobs, void (*drop)(struct job *job))
{
	if (jobs == NULL)
		return;
	assert(jobs->put_by == NULL && jobs->ran == NULL);
	pthread_t thread = jobs->thread;
	pthread_mutex_lock(&jobs->mutex);
	struct job *given = jobs->given.first;
	struct job *done = jobs->done.first;
	bool running = jobs->running;
	list_init(&jobs->given);
	list_init(&jobs->done);
	jobs->ending = true;
	if (running)
		jobs->drop = drop;
	pthread_cond_signal(&jobs->given_changed);
	pthread_mutex_unlock(&jobs->mutex);
	if (running) { /* what is there belongs to the thread now */
		pthread_detach(thread);
	} else {
		pthread_join(thread, NULL);
		clean_up(jobs);
	}
	drop_all(given, drop);
	drop_all(done, drop);
}
