#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "scheduler_fixture.h"

/* One allocation of a job of its own, on the node that has room for it. */
static uint64_t occupy(struct fixture *fixture, uint64_t job, uint32_t priority, uint32_t cpu)
{
	struct scheduler_placement placement;
	struct job_settings *settings = settings_make(fixture, JOB_BATCH, JOB_PACK, 1);
	settings->priority = priority;
	settings->cpu = cpu;
	job_add(fixture, job, settings);
	return place(fixture, settings, &placement);
}

static struct job_settings *wants(struct fixture *fixture, uint64_t job, uint32_t priority, uint32_t cpu)
{
	struct job_settings *settings = settings_make(fixture, JOB_BATCH, JOB_PACK, 1);
	settings->priority = priority;
	settings->cpu = cpu;
	job_add(fixture, job, settings);
	return settings;
}

static void a_task_waits_for_the_one_it_puts_out(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement placement;
	nodes_add(fixture, 1);
	uint64_t low = occupy(fixture, 1, 40, 4000);
	struct job_settings *high = wants(fixture, 2, 50, 1000);
	assert_true(scheduler_next(fixture->scheduler, 0, &placement));
	assert_int_equal(placement.job, 2);
	assert_int_equal(placement.victim_count, 1);
	assert_int_equal(placement.victims[0], low);
	assert_true(nothing_next(fixture));
	scheduler_released(fixture->scheduler, low);
	place(fixture, high, &placement);
	assert_int_equal(placement.job, 2);
	assert_true(nothing_next(fixture));
}

static void nobody_is_put_out_who_is_less_than_ten_below(void **state)
{
	struct fixture *fixture = *state;
	nodes_add(fixture, 1);
	occupy(fixture, 1, 41, 4000);
	wants(fixture, 2, 50, 1000);
	assert_true(nothing_next(fixture));
}

static void nobody_is_put_out_where_there_is_room(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement placement;
	nodes_add(fixture, 1);
	occupy(fixture, 1, 10, 4000);
	node_add(fixture, 2);
	struct job_settings *high = wants(fixture, 2, 90, 1000);
	place(fixture, high, &placement);
	assert_int_equal(placement.node, 2);
}

static void a_system_job_is_never_put_out(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement placement;
	struct job_settings *system = settings_make(fixture, JOB_SYSTEM, JOB_SPREAD, 1);
	system->priority = 1;
	system->cpu = 4000;
	nodes_add(fixture, 1);
	job_add(fixture, 1, system);
	place(fixture, system, &placement);
	wants(fixture, 2, 90, 1000);
	assert_true(nothing_next(fixture));
}

static void the_lowest_go_and_no_more_than_have_to(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement placement;
	nodes_add(fixture, 1);
	occupy(fixture, 1, 30, 2000);
	uint64_t small = occupy(fixture, 2, 10, 500);
	uint64_t large = occupy(fixture, 3, 10, 1500);
	(void)small;
	wants(fixture, 4, 60, 1500);
	assert_true(scheduler_next(fixture->scheduler, 0, &placement));
	assert_int_equal(placement.victim_count, 1);
	assert_int_equal(placement.victims[0], large);
}

static void the_node_is_taken_where_the_least_is_lost(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement placement;
	node_add(fixture, 1);
	occupy(fixture, 1, 20, 4000);
	node_add(fixture, 2);
	uint64_t lower = occupy(fixture, 2, 10, 4000);
	node_add(fixture, 3);
	occupy(fixture, 3, 10, 2000);
	occupy(fixture, 4, 10, 2000);
	wants(fixture, 5, 60, 4000);
	assert_true(scheduler_next(fixture->scheduler, 0, &placement));
	assert_int_equal(placement.node, 2);
	assert_int_equal(placement.victim_count, 1);
	assert_int_equal(placement.victims[0], lower);
}

static void who_has_the_port_is_put_out(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement placement;
	struct job_port ports[1] = {{SLICE("http"), 80}};
	struct job_settings *low = settings_make(fixture, JOB_SERVICE, JOB_SPREAD, 1);
	struct job_settings *high = settings_make(fixture, JOB_SERVICE, JOB_SPREAD, 1);
	low->ports = high->ports = ports;
	low->port_count = high->port_count = 1;
	high->priority = 70;
	nodes_add(fixture, 1);
	job_add(fixture, 1, low);
	uint64_t holder = place(fixture, low, &placement);
	occupy(fixture, 2, 10, 1000);
	job_add(fixture, 3, high);
	assert_true(scheduler_next(fixture->scheduler, 0, &placement));
	assert_int_equal(placement.victim_count, 1);
	assert_int_equal(placement.victims[0], holder);
	scheduler_released(fixture->scheduler, holder);
	place(fixture, high, &placement);
	assert_int_equal(placement.ports[0], 80);
}

static void the_place_is_kept_until_the_victims_are_gone(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement placement;
	nodes_add(fixture, 1);
	uint64_t one = occupy(fixture, 1, 10, 2000), other = occupy(fixture, 2, 10, 2000);
	struct job_settings *high = wants(fixture, 3, 50, 4000);
	assert_true(scheduler_next(fixture->scheduler, 0, &placement));
	assert_int_equal(placement.victim_count, 2);
	scheduler_released(fixture->scheduler, one);
	struct job_settings *other_job = wants(fixture, 4, 50, 1000);
	assert_true(nothing_next(fixture));
	scheduler_released(fixture->scheduler, other);
	place(fixture, high, &placement);
	assert_int_equal(placement.job, 3);
	scheduler_released(fixture->scheduler, fixture->last_allocation);
	place(fixture, other_job, &placement);
}

static void a_place_that_is_lost_is_looked_for_again(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement placement;
	struct scheduler_node node = node_like(1);
	nodes_add(fixture, 1);
	uint64_t low = occupy(fixture, 1, 10, 4000);
	struct job_settings *high = wants(fixture, 2, 50, 4000);
	assert_true(scheduler_next(fixture->scheduler, 0, &placement));
	node.up = false;
	scheduler_node_set(fixture->scheduler, &node);
	assert_int_equal(scheduler_waiting(fixture->scheduler, 2), 1);
	assert_true(nothing_next(fixture));
	scheduler_released(fixture->scheduler, low);
	assert_true(nothing_next(fixture));
	node_add(fixture, 2);
	place(fixture, high, &placement);
	assert_int_equal(placement.node, 2);
}

static void a_plan_says_how_many_would_go(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement planned[4], placement;
	nodes_add(fixture, 1);
	occupy(fixture, 1, 10, 2000);
	occupy(fixture, 2, 10, 2000);
	struct job_settings *high = settings_make(fixture, JOB_BATCH, JOB_PACK, 4);
	high->priority = 50;
	high->cpu = 2000;
	assert_int_equal(scheduler_plan(fixture->scheduler, high, 4, planned, 4, NULL), 2);
	assert_int_equal(planned[0].victim_count, 1);
	assert_int_equal(planned[1].victim_count, 1);
	assert_true(nothing_next(fixture));
	job_add(fixture, 3, high);
	for (int i = 0; i < 2; i++) {
		assert_true(scheduler_next(fixture->scheduler, 0, &placement));
		assert_int_equal(placement.victim_count, 1);
	}
	assert_true(nothing_next(fixture));
}

#define FACT(name) cmocka_unit_test_setup_teardown(name, scheduler_setup, scheduler_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(a_task_waits_for_the_one_it_puts_out),
		FACT(nobody_is_put_out_who_is_less_than_ten_below),
		FACT(nobody_is_put_out_where_there_is_room),
		FACT(a_system_job_is_never_put_out),
		FACT(the_lowest_go_and_no_more_than_have_to),
		FACT(the_node_is_taken_where_the_least_is_lost),
		FACT(who_has_the_port_is_put_out),
		FACT(the_place_is_kept_until_the_victims_are_gone),
		FACT(a_place_that_is_lost_is_looked_for_again),
		FACT(a_plan_says_how_many_would_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
