#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "net/jobs.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEADLINE_MS 20000

struct work {
	struct job job;
	unsigned number;
	unsigned *ran;         /* counted on the thread */
	unsigned *done;        /* counted on the loop's */
	unsigned seen;         /* what `ran` was */
	unsigned again;        /* give so many more, one after the other, when done */
	struct jobs *jobs;
	bool own;              /* free it when done */
	int gate;              /* wait until this can be read; −1: no gate */
	pthread_t loop;
	bool here;             /* it is to run on the loop's thread */
	bool fine;             /* what run looks at is as it should be */
};

static void run(struct job *base)
{
	struct work *work = (struct work *)base;
	sigset_t blocked;
	char byte;
	bool open = work->gate < 0 || read(work->gate, &byte, 1) == 1;
	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	bool quiet = sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGCHLD) == 1;
	bool here = pthread_equal(work->loop, pthread_self());
	work->fine = open && here == work->here && (here || quiet);
	work->seen = (*work->ran)++;
}

static void done(struct job *base);

static struct work *work_create(struct jobs *jobs, unsigned number, unsigned *ran, unsigned *done_count)
{
	struct work *work = mem_zero(sizeof *work);
	*work = (struct work){
		.job = {.run = run, .done = done}, .number = number, .ran = ran, .done = done_count, .jobs = jobs,
		.own = true, .gate = -1, .loop = pthread_self(),
	};
	return work;
}

static void done(struct job *base)
{
	struct work *work = (struct work *)base;
	assert_true(pthread_equal(work->loop, pthread_self()));
	assert_true(work->fine);
	assert_int_equal(work->seen, work->number);
	assert_int_equal(*work->done, work->number);
	(*work->done)++;
	if (work->again > 0) {
		struct work *next = work_create(work->jobs, work->number + 1, work->ran, work->done);
		next->again = work->again - 1;
		jobs_give(work->jobs, &next->job);
	}
	if (work->own)
		mem_free(work);
}

static bool readable(int fd, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	return poll(&poll_fd, 1, timeout_ms) == 1;
}

static void collect_until_idle(struct jobs *jobs)
{
	while (!jobs_idle(jobs)) {
		assert_true(readable(jobs_descriptor(jobs), DEADLINE_MS));
		jobs_collect(jobs);
	}
}

static void jobs_run_and_are_collected_in_order(void **state)
{
	(void)state;
	struct jobs *jobs;
	unsigned ran = 0;
	unsigned done_count = 0;
	assert_int_equal(jobs_create("test", &jobs), 0);
	assert_true(jobs_idle(jobs));
	for (unsigned i = 0; i < 5000; i++) {
		jobs_give(jobs, &work_create(jobs, i, &ran, &done_count)->job);
		if (i % 100 == 0)
			jobs_collect(jobs);
	}
	collect_until_idle(jobs);
	assert_int_equal(done_count, 5000);
	jobs_destroy(jobs);
}

static void the_descriptor_is_readable_only_when_a_job_is_done(void **state)
{
	(void)state;
	struct jobs *jobs;
	unsigned ran = 0;
	unsigned done_count = 0;
	int gate[2];
	assert_int_equal(pipe(gate), 0);
	assert_int_equal(jobs_create("test", &jobs), 0);
	struct work *work = work_create(jobs, 0, &ran, &done_count);
	work->gate = gate[0];
	jobs_give(jobs, &work->job);
	assert_false(readable(jobs_descriptor(jobs), 0));
	jobs_collect(jobs);
	assert_int_equal(done_count, 0);
	assert_false(jobs_idle(jobs));
	assert_int_equal(write(gate[1], "x", 1), 1);
	assert_true(readable(jobs_descriptor(jobs), DEADLINE_MS));
	assert_false(jobs_idle(jobs));
	jobs_collect(jobs);
	assert_int_equal(done_count, 1);
	assert_true(jobs_idle(jobs));
	assert_false(readable(jobs_descriptor(jobs), 0));
	jobs_destroy(jobs);
	close(gate[0]);
	close(gate[1]);
}

static void destroying_runs_and_collects_what_was_given(void **state)
{
	(void)state;
	struct jobs *jobs;
	unsigned ran = 0;
	unsigned done_count = 0;
	assert_int_equal(jobs_create("test", &jobs), 0);
	for (unsigned i = 0; i < 300; i++)
		jobs_give(jobs, &work_create(jobs, i, &ran, &done_count)->job);
	jobs_destroy(jobs);
	assert_int_equal(ran, 300);
	assert_int_equal(done_count, 300);
}

static void a_done_job_may_give_another_even_while_destroying(void **state)
{
	(void)state;
	struct jobs *jobs;
	unsigned ran = 0;
	unsigned done_count = 0;
	assert_int_equal(jobs_create("test", &jobs), 0);
	struct work *work = work_create(jobs, 0, &ran, &done_count);
	work->again = 50;
	jobs_give(jobs, &work->job);
	jobs_destroy(jobs);
	assert_int_equal(done_count, 51);
}

/* Waits at a gate; all that it uses is its own. */
struct slow {
	struct job job;
	int gate;    /* read before it ends */
	int told[2]; /* written when it begins; when it is dropped */
};

static void run_slow(struct job *base)
{
	struct slow *slow = (struct slow *)base;
	char byte;
	if (write(slow->told[0], "b", 1) == 1 && read(slow->gate, &byte, 1) == 1)
		return;
}

static void never_done(struct job *base)
{
	(void)base;
	fail();
}

static void drop_slow(struct job *base)
{
	int told = ((struct slow *)base)->told[1];
	mem_free(base);
	if (write(told, "d", 1) != 1)
		abort();
}

static void give_slow(struct jobs *jobs, int gate, int began, int dropped)
{
	struct slow *slow = mem_zero(sizeof *slow);
	*slow = (struct slow){.job = {.run = run_slow, .done = never_done}, .gate = gate, .told = {began, dropped}};
	jobs_give(jobs, &slow->job);
}

static void read_byte(int descriptor)
{
	char byte;
	assert_true(readable(descriptor, DEADLINE_MS));
	assert_int_equal(read(descriptor, &byte, 1), 1);
}

static void abandoning_waits_for_no_job(void **state)
{
	(void)state;
	struct jobs *jobs;
	int gate[2];
	int began[2];
	int dropped[2];
	assert_int_equal(pipe(gate) + pipe(began) + pipe(dropped), 0);
	assert_int_equal(jobs_create("test", &jobs), 0);
	for (int i = 0; i < 3; i++)
		give_slow(jobs, gate[0], began[1], dropped[1]);
	read_byte(began[0]);
	jobs_abandon(jobs, drop_slow);
	read_byte(dropped[0]); /* the two that had not begun */
	read_byte(dropped[0]);
	assert_false(readable(dropped[0], 0));
	assert_int_equal(write(gate[1], "x", 1), 1);
	read_byte(dropped[0]); /* the one that had */
	assert_false(readable(began[0], 0));
	/* What has run and was not collected, and nothing at all. */
	assert_int_equal(jobs_create("test", &jobs), 0);
	assert_int_equal(write(gate[1], "x", 1), 1);
	give_slow(jobs, gate[0], began[1], dropped[1]);
	assert_true(readable(jobs_descriptor(jobs), DEADLINE_MS));
	jobs_abandon(jobs, drop_slow);
	read_byte(dropped[0]);
	assert_int_equal(jobs_create("test", &jobs), 0);
	jobs_abandon(jobs, drop_slow);
	jobs_abandon(NULL, drop_slow);
	for (int i = 0; i < 2; i++) {
		close(gate[i]);
		close(began[i]);
		close(dropped[i]);
	}
}

static void one_job_can_be_given_again(void **state)
{
	(void)state;
	struct jobs *jobs;
	unsigned ran = 0;
	unsigned done_count = 0;
	assert_int_equal(jobs_create("test", &jobs), 0);
	struct work *work = work_create(jobs, 0, &ran, &done_count);
	work->own = false;
	for (unsigned i = 0; i < 100; i++) {
		work->number = i;
		jobs_give(jobs, &work->job);
		collect_until_idle(jobs);
	}
	assert_int_equal(done_count, 100);
	mem_free(work);
	jobs_destroy(jobs);
}

static void what_is_put_by_runs_on_the_callers_thread(void **state)
{
	(void)state;
	struct jobs *jobs;
	unsigned ran = 0;
	unsigned done_count = 0;
	assert_int_equal(jobs_create("test", &jobs), 0);
	for (unsigned i = 0; i < 100; i += 2) {
		struct work *work = work_create(jobs, i, &ran, &done_count);
		work->here = true;
		jobs_put_by(jobs, &work->job);
		assert_false(jobs_idle(jobs));
		assert_int_equal(ran, i);
		jobs_run_here(jobs);
		assert_int_equal(ran, i + 1);
		assert_int_equal(done_count, i);
		jobs_collect(jobs);
		assert_int_equal(done_count, i + 1);
		assert_true(jobs_idle(jobs));
		jobs_give(jobs, &work_create(jobs, i + 1, &ran, &done_count)->job);
		collect_until_idle(jobs);
	}
	jobs_run_here(jobs); /* nothing is put by */
	jobs_destroy(jobs);
}

static void what_is_put_by_goes_to_the_thread_before_what_is_given(void **state)
{
	(void)state;
	struct jobs *jobs;
	unsigned ran = 0;
	unsigned done_count = 0;
	assert_int_equal(jobs_create("test", &jobs), 0);
	jobs_put_by(jobs, &work_create(jobs, 0, &ran, &done_count)->job);
	jobs_give(jobs, &work_create(jobs, 1, &ran, &done_count)->job);
	jobs_run_here(jobs);
	collect_until_idle(jobs);
	assert_int_equal(done_count, 2);
	jobs_destroy(jobs);
}

static void what_ran_here_is_done_before_what_was_given_behind_it(void **state)
{
	(void)state;
	struct jobs *jobs;
	unsigned ran = 0;
	unsigned done_count = 0;
	assert_int_equal(jobs_create("test", &jobs), 0);
	struct work *work = work_create(jobs, 0, &ran, &done_count);
	work->here = true;
	jobs_put_by(jobs, &work->job);
	jobs_run_here(jobs);
	jobs_give(jobs, &work_create(jobs, 1, &ran, &done_count)->job);
	assert_true(readable(jobs_descriptor(jobs), DEADLINE_MS));
	jobs_collect(jobs);
	assert_int_equal(done_count, 2);
	jobs_destroy(jobs);
}

static void destroying_runs_what_was_put_by(void **state)
{
	(void)state;
	struct jobs *jobs;
	unsigned ran = 0;
	unsigned done_count = 0;
	assert_int_equal(jobs_create("test", &jobs), 0);
	struct work *work = work_create(jobs, 0, &ran, &done_count);
	work->here = true;
	work->again = 3;
	jobs_put_by(jobs, &work->job);
	jobs_destroy(jobs);
	assert_int_equal(done_count, 4);
}

static void destroying_without_jobs_ends(void **state)
{
	(void)state;
	struct jobs *jobs;
	for (int i = 0; i < 50; i++) {
		assert_int_equal(jobs_create("fifteen-letters", &jobs), 0);
		jobs_destroy(jobs);
	}
	jobs_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jobs_run_and_are_collected_in_order),
		cmocka_unit_test(the_descriptor_is_readable_only_when_a_job_is_done),
		cmocka_unit_test(destroying_runs_and_collects_what_was_given),
		cmocka_unit_test(a_done_job_may_give_another_even_while_destroying),
		cmocka_unit_test(abandoning_waits_for_no_job),
		cmocka_unit_test(one_job_can_be_given_again),
		cmocka_unit_test(what_is_put_by_runs_on_the_callers_thread),
		cmocka_unit_test(what_is_put_by_goes_to_the_thread_before_what_is_given),
		cmocka_unit_test(what_ran_here_is_done_before_what_was_given_behind_it),
		cmocka_unit_test(destroying_runs_what_was_put_by),
		cmocka_unit_test(destroying_without_jobs_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
