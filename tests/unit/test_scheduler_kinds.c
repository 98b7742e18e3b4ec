#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "scheduler_fixture.h"

/* --- kinds ---------------------------------------------------------------------------------------------------------- */

static void random_takes_nodes_that_differ(void **state)
{
	struct fixture *fixture = *state;
	uint32_t counts[11] = {0};
	struct job_settings *job = settings_make(fixture, JOB_BATCH, JOB_RANDOM, 10);
	nodes_add(fixture, 10);
	job_add(fixture, 1, job);
	assert_int_equal(place_all(fixture, job, counts, 11), 10);
	for (int i = 1; i <= 10; i++)
		assert_int_equal(counts[i], 1);
}

static void random_is_drawn_evenly(void **state)
{
	struct fixture *fixture = *state;
	uint32_t counts[11] = {0};
	struct job_settings *job = settings_make(fixture, JOB_BATCH, JOB_RANDOM, 3);
	nodes_add(fixture, 10);
	for (uint64_t i = 1; i <= 1000; i++) {
		job_add(fixture, i, job);
		assert_int_equal(place_all(fixture, job, counts, 11), 3);
	}
	for (int i = 1; i <= 10; i++)
		assert_in_range(counts[i], 240, 360);
}

static void random_of_more_than_there_are_is_placed_nowhere(void **state)
{
	struct fixture *fixture = *state;
	uint32_t counts[5] = {0};
	struct job_settings *job = settings_make(fixture, JOB_BATCH, JOB_RANDOM, 4);
	nodes_add(fixture, 3);
	job_add(fixture, 1, job);
	assert_true(nothing_next(fixture));
	assert_int_equal(scheduler_waiting(fixture->scheduler, 1), 4);
	node_add(fixture, 4);
	assert_int_equal(place_all(fixture, job, counts, 5), 4);
}

static void pinned_goes_where_it_is_told(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement placement;
	struct slice nodes[3] = {SLICE("n3"), SLICE("1"), SLICE("n4")};
	struct job_settings *job = settings_make(fixture, JOB_SERVICE, JOB_PINNED, 3);
	job->nodes = nodes;
	job->node_count = 3;
	job->cpu = 3000;
	nodes_add(fixture, 3);
	job_add(fixture, 1, job);
	place(fixture, job, &placement);
	assert_int_equal(placement.task, 0);
	assert_int_equal(placement.node, 3);
	place(fixture, job, &placement);
	assert_int_equal(placement.task, 1);
	assert_int_equal(placement.node, 1);
	assert_true(nothing_next(fixture));
	node_add(fixture, 4);
	place(fixture, job, &placement);
	assert_int_equal(placement.task, 2);
	assert_int_equal(placement.node, 4);
}

static void a_host_stands_for_its_node_and_a_name_goes_before_it(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement placement;
	struct slice nodes[2] = {SLICE("alpha"), SLICE("beta")};
	struct scheduler_node node = node_like(3);
	struct job_settings *job = settings_make(fixture, JOB_SERVICE, JOB_PINNED, 2);
	job->nodes = nodes;
	job->node_count = 2;
	node.host = SLICE("alpha");
	scheduler_node_set(fixture->scheduler, &node);
	node = node_like(4);
	node.name = SLICE("alpha");
	node.host = SLICE("beta");
	scheduler_node_set(fixture->scheduler, &node);
	node = node_like(2);
	node.host = SLICE("beta");
	scheduler_node_set(fixture->scheduler, &node);
	job_add(fixture, 1, job);
	place(fixture, job, &placement);
	assert_int_equal(placement.node, 4);
	place(fixture, job, &placement);
	assert_int_equal(placement.node, 2);
}

static void a_group_is_placed_whole_or_not_at_all(void **state)
{
	struct fixture *fixture = *state;
	uint32_t counts[4] = {0};
	struct scheduler_placement placement;
	struct job_settings *job = settings_make(fixture, JOB_BATCH, JOB_PACK, 5);
	struct job_settings *other = settings_make(fixture, JOB_BATCH, JOB_PACK, 1);
	job->group = true;
	job->cpu = other->cpu = 2000;
	nodes_add(fixture, 2);
	job_add(fixture, 1, job);
	assert_true(nothing_next(fixture));
	job_add(fixture, 2, other);
	place(fixture, other, &placement);
	assert_int_equal(placement.job, 2);
	node_add(fixture, 3);
	assert_int_equal(place_all(fixture, job, counts, 4), 5);
	/* It comes again when all of it waits, and no sooner. */
	for (uint64_t id = 2; id <= 6; id++) {
		assert_true(nothing_next(fixture));
		scheduler_released(fixture->scheduler, id);
		scheduler_task_waits(fixture->scheduler, 1, (uint32_t)id - 2, 2000);
	}
	assert_true(nothing_next(fixture));
	fixture->now = 2000;
	assert_int_equal(place_all(fixture, job, counts, 4), 5);
}

static void a_group_has_as_many_as_the_job_was_begun_with(void **state)
{
	struct fixture *fixture = *state;
	uint32_t counts[3] = {0};
	struct job_settings *job = settings_make(fixture, JOB_BATCH, JOB_PACK, 1);
	job->group = true;
	nodes_add(fixture, 2);
	scheduler_job_add(fixture->scheduler, 1, job, 0, 4);
	assert_int_equal(place_all(fixture, job, counts, 3), 4);
	scheduler_released(fixture->scheduler, 1);
	scheduler_task_waits(fixture->scheduler, 1, 0, 0);
	assert_true(nothing_next(fixture));
}

static void what_was_refused_of_a_group_follows_alone(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement placement;
	struct job_settings *job = settings_make(fixture, JOB_BATCH, JOB_PACK, 3);
	job->group = true;
	nodes_add(fixture, 2);
	job_add(fixture, 1, job);
	place(fixture, job, &placement);
	place(fixture, job, &placement);
	assert_true(scheduler_next(fixture->scheduler, 0, &placement));
	scheduler_refused(fixture->scheduler, 1, placement.task);
	place(fixture, job, &placement);
	assert_true(nothing_next(fixture));
}

static void a_system_job_has_one_on_each_node_that_fits(void **state)
{
	struct fixture *fixture = *state;
	uint32_t counts[6] = {0};
	struct job_settings *job = settings_make(fixture, JOB_SYSTEM, JOB_SPREAD, 1);
	struct job_settings *other = settings_make(fixture, JOB_BATCH, JOB_PACK, 1);
	struct scheduler_placement placement;
	struct scheduler_node small = node_like(4);
	job->cpu = 500;
	other->cpu = 4000;
	small.cpu = 400;
	node_add(fixture, 1);
	job_add(fixture, 2, other);
	place(fixture, other, &placement);
	node_add(fixture, 2);
	scheduler_node_set(fixture->scheduler, &small);
	job_add(fixture, 1, job);
	assert_int_equal(place_all(fixture, job, counts, 6), 1);
	assert_int_equal(counts[2], 1);
	assert_int_equal(scheduler_waiting(fixture->scheduler, 1), 2);
	node_add(fixture, 5);
	assert_int_equal(place_all(fixture, job, counts, 6), 1);
	assert_int_equal(counts[5], 1);
	scheduler_released(fixture->scheduler, 1);
	assert_int_equal(place_all(fixture, job, counts, 6), 1);
	assert_int_equal(counts[1], 1);
	assert_int_equal(scheduler_waiting(fixture->scheduler, 1), 1);
}

static void a_node_of_a_system_job_waits_out_its_backoff(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement first, second, again;
	struct job_settings *job = settings_make(fixture, JOB_SYSTEM, JOB_SPREAD, 1);
	nodes_add(fixture, 2);
	job_add(fixture, 1, job);
	uint64_t allocation = place(fixture, job, &first);
	place(fixture, job, &second);
	assert_int_not_equal(first.task, second.task);
	assert_int_not_equal(first.node, second.node);
	scheduler_released(fixture->scheduler, allocation);
	scheduler_task_waits(fixture->scheduler, 1, first.task, 5000);
	assert_true(nothing_next(fixture));
	assert_int_equal(scheduler_deadline(fixture->scheduler), 5000);
	fixture->now = 5000;
	allocation = place(fixture, job, &again);
	assert_int_equal(again.task, first.task);
	assert_int_equal(again.node, first.node);
	/* And it can be kept away from a node. */
	scheduler_released(fixture->scheduler, allocation);
	scheduler_task_waits(fixture->scheduler, 1, first.task, MSEC_NEVER);
	assert_true(nothing_next(fixture));
	assert_true(scheduler_deadline(fixture->scheduler) == MSEC_NEVER);
	assert_int_equal(scheduler_waiting(fixture->scheduler, 0), 0);
}

static void a_new_leader_goes_on_with_what_is_written_down(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement placement = {.job = 1, .task = 4, .node = 2};
	struct job_settings *job = settings_make(fixture, JOB_SYSTEM, JOB_SPREAD, 1);
	confirm(fixture, job, &placement); /* before its node, before its job */
	nodes_add(fixture, 2);
	job_add(fixture, 1, job);
	place(fixture, job, &placement);
	assert_int_equal(placement.node, 1);
	assert_int_not_equal(placement.task, 4);
	assert_true(nothing_next(fixture));
	scheduler_released(fixture->scheduler, 1);
	scheduler_task_waits(fixture->scheduler, 1, 4, 0);
	place(fixture, job, &placement);
	assert_int_equal(placement.node, 2);
	assert_int_equal(placement.task, 4);
}

static void the_same_seed_gives_the_same_decisions(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement one, other;
	struct job_settings *job = settings_make(fixture, JOB_BATCH, JOB_RANDOM, 100);
	struct scheduler *second = scheduler_create(7);
	for (uint64_t id = 1; id <= 200; id++) {
		struct scheduler_node node = node_like(id);
		scheduler_node_set(fixture->scheduler, &node);
		scheduler_node_set(second, &node);
	}
	scheduler_job_add(fixture->scheduler, 1, job, 0, 100);
	scheduler_job_add(second, 1, job, 0, 100);
	for (int i = 0; i < 100; i++) {
		assert_true(scheduler_next(fixture->scheduler, 0, &one));
		assert_true(scheduler_next(second, 0, &other));
		assert_memory_equal(&one, &other, sizeof one);
	}
	scheduler_destroy(second);
}

static void a_plan_is_what_comes_and_changes_nothing(void **state)
{
	struct fixture *fixture = *state;
	static const enum job_placement placements[] = {JOB_PACK, JOB_SPREAD, JOB_RANDOM};
	struct scheduler_placement planned[40], again[40], placement;
	struct job_port ports[2] = {{SLICE("a"), 0}, {SLICE("b"), 0}};
	nodes_add(fixture, 30);
	for (uint64_t id = 1; id <= 12; id++) {
		struct job_settings *job = settings_make(fixture, JOB_BATCH, placements[id % 3], 20);
		job->cpu = 500;
		job->memory = 64 * MIB;
		job->ports = ports;
		job->port_count = 2;
		job->group = id % 2 == 0;
		size_t count = scheduler_plan(fixture->scheduler, job, 20, planned, 40, NULL);
		assert_int_equal(scheduler_plan(fixture->scheduler, job, 20, again, 40, NULL), count);
		assert_memory_equal(planned, again, count * sizeof *planned);
		job_add(fixture, id, job);
		for (size_t i = 0; i < count; i++) {
			planned[i].job = id;
			place(fixture, job, &placement);
			assert_memory_equal(&planned[i], &placement, sizeof placement);
		}
		assert_true(nothing_next(fixture));
	}
}

static void it_is_told_why_nothing_fits(void **state)
{
	struct fixture *fixture = *state;
	struct buffer out = BUFFER_EMPTY;
	struct scheduler_placement placement;
	struct slice tags[1] = {SLICE("gpu")};
	struct job_tag on[1] = {{SLICE("gpu"), false}};
	struct job_settings *job = settings_make(fixture, JOB_BATCH, JOB_PACK, 4);
	struct job_settings *other = settings_make(fixture, JOB_BATCH, JOB_PACK, 1);
	struct scheduler_node node;
	job->on = on;
	job->on_count = 1;
	job->memory = 512 * MIB;
	job_add(fixture, 1, job);
	scheduler_explain(fixture->scheduler, 1, &out);
	assert_string_equal(buffer_string(&out), "There is no node yet that could run it.\n");
	for (uint64_t id = 1; id <= 5; id++) {
		node = node_like(id);
		node.tags = tags;
		node.tag_count = id != 4;
		node.memory = id * 200 * MIB / 3;
		node.up = id != 5;
		scheduler_node_set(fixture->scheduler, &node);
	}
	assert_true(nothing_next(fixture));
	buffer_clear(&out);
	scheduler_explain(fixture->scheduler, 1, &out);
	assert_string_equal(buffer_string(&out), "3 of 5 nodes: memory: 512 MiB asked, at most 200 MiB free\n"
	                                         "1 of 5 nodes: down\n"
	                                         "1 of 5 nodes: tags: without \"gpu\"\n"
	                                         "What would help: more nodes, or asking for less memory.\n");
	job_add(fixture, 2, other);
	place(fixture, other, &placement);
	buffer_clear(&out);
	scheduler_explain(fixture->scheduler, 2, &out);
	assert_string_equal(buffer_string(&out), "");
	buffer_finish(&out);
}

static void it_is_told_what_whole_jobs_wait_for(void **state)
{
	struct fixture *fixture = *state;
	struct buffer out = BUFFER_EMPTY;
	struct slice nodes[2] = {SLICE("n1"), SLICE("n9")};
	struct scheduler_placement placement;
	struct job_settings *random = settings_make(fixture, JOB_BATCH, JOB_RANDOM, 3);
	struct job_settings *pinned = settings_make(fixture, JOB_BATCH, JOB_PINNED, 2);
	struct job_settings *group = settings_make(fixture, JOB_BATCH, JOB_PACK, 3);
	nodes_add(fixture, 2);
	job_add(fixture, 1, random);
	assert_true(nothing_next(fixture));
	scheduler_explain(fixture->scheduler, 1, &out);
	assert_string_equal(buffer_string(&out), "3 tasks go to as many different nodes; 2 could take one.\n");
	pinned->nodes = nodes;
	pinned->node_count = 2;
	job_add(fixture, 2, pinned);
	place(fixture, pinned, &placement);
	buffer_clear(&out);
	scheduler_explain(fixture->scheduler, 2, &out);
	assert_ptr_equal(
		strstr(buffer_string(&out), "Task 1 is to run on \"n9\", which is not a node of this cluster.\n"),
		out.data);
	group->group = true;
	scheduler_job_add(fixture->scheduler, 3, group, 1, 3);
	buffer_clear(&out);
	scheduler_explain(fixture->scheduler, 3, &out);
	assert_string_equal(buffer_string(&out), "The group is begun when all of its 3 tasks wait; 2 do.\n");
	buffer_clear(&out);
	scheduler_task_waits(fixture->scheduler, 2, 0, 99999);
	scheduler_job_remove(fixture->scheduler, 2);
	buffer_finish(&out);
}

static void what_could_never_be_placed_is_told_at_once(void **state)
{
	struct fixture *fixture = *state;
	struct error error = {0};
	struct slice nodes[2] = {SLICE("n1"), SLICE("n9")};
	struct scheduler_node node = node_like(3);
	struct job_settings *random = settings_make(fixture, JOB_BATCH, JOB_RANDOM, 4);
	struct job_settings *pinned = settings_make(fixture, JOB_BATCH, JOB_PINNED, 2);
	nodes_add(fixture, 3);
	node.up = false; /* it may come back */
	scheduler_node_set(fixture->scheduler, &node);
	assert_int_equal(scheduler_check(fixture->scheduler, random, 3, &error), 0);
	assert_int_equal(scheduler_check(fixture->scheduler, random, 4, &error), ERR_CONFLICT);
	assert_string_equal(error.text,
	                    "4 tasks are to run on as many different nodes, but only 3 of the 3 nodes of this cluster "
	                    "suit them: ask for fewer tasks, or add nodes");
	random->cpu = 4001;
	assert_int_equal(scheduler_check(fixture->scheduler, random, 1, &error), ERR_CONFLICT);
	pinned->nodes = nodes;
	pinned->node_count = 2;
	assert_int_equal(scheduler_check(fixture->scheduler, pinned, 2, &error), ERR_NOT_FOUND);
	assert_string_equal(error.text, "task 1 is to run on \"n9\", which is not a node of this cluster");
	nodes[1] = SLICE("n3");
	assert_int_equal(scheduler_check(fixture->scheduler, pinned, 2, &error), 0);
}

#define FACT(name) cmocka_unit_test_setup_teardown(name, scheduler_setup, scheduler_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(random_takes_nodes_that_differ),
		FACT(random_is_drawn_evenly),
		FACT(random_of_more_than_there_are_is_placed_nowhere),
		FACT(pinned_goes_where_it_is_told),
		FACT(a_host_stands_for_its_node_and_a_name_goes_before_it),
		FACT(a_group_is_placed_whole_or_not_at_all),
		FACT(a_group_has_as_many_as_the_job_was_begun_with),
		FACT(what_was_refused_of_a_group_follows_alone),
		FACT(a_system_job_has_one_on_each_node_that_fits),
		FACT(a_node_of_a_system_job_waits_out_its_backoff),
		FACT(a_new_leader_goes_on_with_what_is_written_down),
		FACT(it_is_told_why_nothing_fits),
		FACT(it_is_told_what_whole_jobs_wait_for),
		FACT(what_could_never_be_placed_is_told_at_once),
		FACT(a_plan_is_what_comes_and_changes_nothing),
		FACT(the_same_seed_gives_the_same_decisions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
