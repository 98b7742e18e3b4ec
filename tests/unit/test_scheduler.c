#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "scheduler_fixture.h"

/* --- which node ----------------------------------------------------------------------------------------------------- */

static void pack_fills_a_node_before_it_begins_another(void **state)
{
	struct fixture *fixture = *state;
	uint32_t counts[4] = {0};
	struct job_settings *job = settings_make(fixture, JOB_BATCH, JOB_PACK, 6);
	job->cpu = 1000;
	nodes_add(fixture, 3);
	job_add(fixture, 1, job);
	assert_int_equal(place_all(fixture, job, counts, 4), 6);
	uint32_t full = 0, half = 0;
	for (int i = 1; i <= 3; i++) {
		full += counts[i] == 4;
		half += counts[i] == 2;
	}
	assert_int_equal(full, 1);
	assert_int_equal(half, 1);
}

static void pack_of_what_asks_for_nothing_goes_where_the_fewest_are(void **state)
{
	struct fixture *fixture = *state;
	uint32_t counts[4] = {0};
	struct job_settings *job = settings_make(fixture, JOB_BATCH, JOB_PACK, 9);
	nodes_add(fixture, 3);
	job_add(fixture, 1, job);
	assert_int_equal(place_all(fixture, job, counts, 4), 9);
	for (int i = 1; i <= 3; i++)
		assert_int_equal(counts[i], 3);
}

static void spread_takes_where_the_fewest_of_the_job_are(void **state)
{
	struct fixture *fixture = *state;
	uint32_t counts[6] = {0};
	struct job_settings *other = settings_make(fixture, JOB_BATCH, JOB_PACK, 3);
	struct job_settings *job = settings_make(fixture, JOB_SERVICE, JOB_SPREAD, 10);
	other->cpu = 1000;
	job->cpu = 100;
	nodes_add(fixture, 5);
	job_add(fixture, 1, other);
	assert_int_equal(place_all(fixture, other, counts, 6), 3);
	memset(counts, 0, sizeof counts);
	job_add(fixture, 2, job);
	assert_int_equal(place_all(fixture, job, counts, 6), 10);
	for (int i = 1; i <= 5; i++)
		assert_int_equal(counts[i], 2);
}

static void spread_of_many_nodes_is_even(void **state)
{
	struct fixture *fixture = *state;
	static uint32_t counts[501];
	struct job_settings *job = settings_make(fixture, JOB_SERVICE, JOB_SPREAD, 1250);
	job->cpu = 10;
	nodes_add(fixture, 500);
	job_add(fixture, 1, job);
	assert_int_equal(place_all(fixture, job, counts, 501), 1250);
	for (int i = 1; i <= 500; i++)
		assert_in_range(counts[i], 2, 3);
}

static void spread_prefers_the_node_that_has_more_left(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement placement;
	struct job_settings *job = settings_make(fixture, JOB_SERVICE, JOB_SPREAD, 1);
	struct scheduler_node small = node_like(1), large = node_like(2);
	small.cpu = 2000;
	large.cpu = 8000;
	job->cpu = 1000;
	scheduler_node_set(fixture->scheduler, &small);
	scheduler_node_set(fixture->scheduler, &large);
	job_add(fixture, 1, job);
	place(fixture, job, &placement);
	assert_int_equal(placement.node, 2);
}

static void a_node_that_is_down_or_drained_or_unlike_gets_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement placement;
	struct slice tags[2] = {SLICE("gpu"), SLICE("old")};
	struct job_tag on[2] = {{SLICE("gpu"), false}, {SLICE("old"), true}};
	struct job_settings *job = settings_make(fixture, JOB_BATCH, JOB_PACK, 2);
	struct scheduler_node node = node_like(1);
	job->on = on;
	job->on_count = 2;
	job->datacenter = SLICE("dc1");
	scheduler_node_set(fixture->scheduler, &node); /* lacks the tag */
	node = node_like(2);
	node.tags = tags;
	node.tag_count = 2; /* has one that it must not have */
	scheduler_node_set(fixture->scheduler, &node);
	node = node_like(3);
	node.tags = tags;
	node.tag_count = 1;
	node.up = false;
	scheduler_node_set(fixture->scheduler, &node);
	node.id = 4;
	node.up = true;
	node.eligible = false;
	scheduler_node_set(fixture->scheduler, &node);
	node.id = 5;
	node.eligible = true;
	node.datacenter = SLICE("dc2");
	scheduler_node_set(fixture->scheduler, &node);
	job_add(fixture, 1, job);
	assert_true(nothing_next(fixture));
	assert_int_equal(scheduler_waiting(fixture->scheduler, 1), 2);
	node.id = 4;
	node.datacenter = SLICE("dc1");
	scheduler_node_set(fixture->scheduler, &node);
	place(fixture, job, &placement);
	assert_int_equal(placement.node, 4);
	place(fixture, job, &placement);
	assert_int_equal(placement.node, 4);
}

static void only_nodes_that_are_listed_are_taken(void **state)
{
	struct fixture *fixture = *state;
	uint32_t counts[5] = {0};
	struct slice nodes[3] = {SLICE("n2"), SLICE("3"), SLICE("absent")};
	struct job_settings *job = settings_make(fixture, JOB_SERVICE, JOB_SPREAD, 4);
	job->nodes = nodes;
	job->node_count = 3;
	nodes_add(fixture, 4);
	job_add(fixture, 1, job);
	assert_int_equal(place_all(fixture, job, counts, 5), 4);
	assert_int_equal(counts[2], 2);
	assert_int_equal(counts[3], 2);
}

static void a_node_is_filled_and_not_more(void **state)
{
	struct fixture *fixture = *state;
	uint32_t counts[2] = {0};
	struct job_settings *job = settings_make(fixture, JOB_BATCH, JOB_PACK, 100);
	job->cpu = 100;
	job->memory = 200 * MIB;
	nodes_add(fixture, 1);
	job_add(fixture, 1, job);
	assert_int_equal(place_all(fixture, job, counts, 2), 5);
	assert_int_equal(scheduler_waiting(fixture->scheduler, 1), 95);
	scheduler_released(fixture->scheduler, 3);
	assert_int_equal(place_all(fixture, job, counts, 2), 1);
}

/* --- ports ---------------------------------------------------------------------------------------------------------- */

static void a_port_is_given_once_on_a_node(void **state)
{
	struct fixture *fixture = *state;
	uint32_t counts[4] = {0};
	struct job_port ports[1] = {{SLICE("http"), 80}};
	struct job_settings *job = settings_make(fixture, JOB_SERVICE, JOB_PACK, 5);
	job->ports = ports;
	job->port_count = 1;
	nodes_add(fixture, 3);
	job_add(fixture, 1, job);
	assert_int_equal(place_all(fixture, job, counts, 4), 3);
	for (int i = 1; i <= 3; i++)
		assert_int_equal(counts[i], 1);
	scheduler_released(fixture->scheduler, 2);
	assert_int_equal(place_all(fixture, job, counts, 4), 1);
}

static void free_ports_are_of_the_range_and_differ(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement placement;
	struct job_port ports[3] = {{SLICE("a"), 0}, {SLICE("b"), 20002}, {SLICE("c"), 0}};
	struct job_port one[1] = {{SLICE("a"), 0}};
	struct job_settings *job = settings_make(fixture, JOB_BATCH, JOB_PACK, 1);
	struct job_settings *rest = settings_make(fixture, JOB_BATCH, JOB_PACK, 9);
	bool seen[10] = {false};
	struct scheduler_node node = node_like(1);
	node.port_low = 20000;
	node.port_high = 20009;
	scheduler_node_set(fixture->scheduler, &node);
	job->ports = ports;
	job->port_count = 3;
	rest->ports = one;
	rest->port_count = 1;
	job_add(fixture, 1, job);
	place(fixture, job, &placement);
	assert_int_equal(placement.ports[1], 20002);
	for (int i = 0; i < 3; i++) {
		assert_in_range(placement.ports[i], 20000, 20009);
		assert_false(seen[placement.ports[i] - 20000]);
		seen[placement.ports[i] - 20000] = true;
	}
	job_add(fixture, 2, rest);
	for (int i = 0; i < 7; i++) {
		place(fixture, rest, &placement);
		assert_in_range(placement.ports[0], 20000, 20009);
		assert_false(seen[placement.ports[0] - 20000]);
		seen[placement.ports[0] - 20000] = true;
	}
	assert_true(nothing_next(fixture));
	scheduler_released(fixture->scheduler, 1);
	place(fixture, rest, &placement);
	place(fixture, rest, &placement);
	assert_true(nothing_next(fixture));
}

static void a_free_port_rests_before_it_comes_again(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement first, second;
	struct job_port ports[1] = {{SLICE("a"), 0}};
	struct job_settings *job = settings_make(fixture, JOB_BATCH, JOB_PACK, 2);
	nodes_add(fixture, 1);
	job->ports = ports;
	job->port_count = 1;
	job_add(fixture, 1, job);
	scheduler_released(fixture->scheduler, place(fixture, job, &first));
	place(fixture, job, &second);
	assert_int_not_equal(first.ports[0], second.ports[0]);
}

/* --- decisions that cross ------------------------------------------------------------------------------------------- */

static void a_placement_counts_before_it_is_confirmed(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement placement;
	struct job_settings *job = settings_make(fixture, JOB_BATCH, JOB_PACK, 2);
	job->cpu = 3000;
	nodes_add(fixture, 1);
	job_add(fixture, 1, job);
	assert_true(scheduler_next(fixture->scheduler, 0, &placement));
	assert_true(nothing_next(fixture));
	assert_int_equal(scheduler_waiting(fixture->scheduler, 1), 1);
}

static void what_is_refused_waits_again(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement placement;
	struct job_settings *job = settings_make(fixture, JOB_BATCH, JOB_PACK, 1);
	job->cpu = 3000;
	nodes_add(fixture, 1);
	job_add(fixture, 1, job);
	assert_true(scheduler_next(fixture->scheduler, 0, &placement));
	scheduler_refused(fixture->scheduler, 1, 0);
	scheduler_refused(fixture->scheduler, 1, 0);
	assert_int_equal(scheduler_waiting(fixture->scheduler, 1), 1);
	place(fixture, job, &placement);
	assert_int_equal(placement.task, 0);
	assert_true(nothing_next(fixture));
}

static void what_is_written_down_counts_wherever_it_is(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement placement;
	struct job_settings *job = settings_make(fixture, JOB_BATCH, JOB_PACK, 3);
	job->cpu = 4000;
	nodes_add(fixture, 2);
	job_add(fixture, 1, job);
	assert_true(scheduler_next(fixture->scheduler, 0, &placement));
	uint64_t placed_at = placement.node;
	placement.node = 3 - placed_at;
	confirm(fixture, job, &placement); /* elsewhere than it was placed */
	place(fixture, job, &placement);
	assert_int_equal(placement.node, placed_at);
	assert_true(nothing_next(fixture));
	/* A task that waits, placed by somebody else, on a node that nobody knows. */
	placement.task = 2;
	placement.node = 99;
	confirm(fixture, job, &placement);
	assert_int_equal(scheduler_waiting(fixture->scheduler, 1), 0);
	scheduler_released(fixture->scheduler, 3);
	scheduler_released(fixture->scheduler, 1);
	assert_true(nothing_next(fixture));
}

static void a_job_that_is_removed_does_not_wait_and_keeps_what_it_has(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement placement;
	struct job_settings *job = settings_make(fixture, JOB_BATCH, JOB_PACK, 3);
	struct job_settings *other = settings_make(fixture, JOB_BATCH, JOB_PACK, 1);
	job->cpu = other->cpu = 4000;
	nodes_add(fixture, 1);
	job_add(fixture, 1, job);
	place(fixture, job, &placement);
	scheduler_job_remove(fixture->scheduler, 1);
	assert_int_equal(scheduler_waiting(fixture->scheduler, 0), 0);
	job_add(fixture, 2, other);
	assert_true(nothing_next(fixture));
	scheduler_released(fixture->scheduler, 1);
	place(fixture, other, &placement);
	assert_int_equal(placement.job, 2);
}

/* A new version comes while a decision about the old one is on its way. */
static void a_job_that_is_told_anew_crosses_with_what_was_decided(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement first;
	struct scheduler_placement second;
	struct job_settings *job = settings_make(fixture, JOB_BATCH, JOB_PACK, 1);
	struct job_settings *changed = settings_make(fixture, JOB_BATCH, JOB_PACK, 1);
	job->cpu = changed->cpu = 3000;
	nodes_add(fixture, 2);
	job_add(fixture, 1, job);
	assert_true(scheduler_next(fixture->scheduler, 0, &first));
	scheduler_job_remove(fixture->scheduler, 1);
	job_add(fixture, 1, changed);
	assert_true(scheduler_next(fixture->scheduler, 0, &second));
	confirm(fixture, job, &first);
	scheduler_refused(fixture->scheduler, 1, 0); /* the second one */
	assert_true(nothing_next(fixture));
	assert_int_equal(scheduler_waiting(fixture->scheduler, 0), 0);
	/* What nobody confirms does not count for ever. */
	scheduler_released(fixture->scheduler, 1);
	scheduler_job_remove(fixture->scheduler, 1);
	struct job_settings *other = settings_make(fixture, JOB_BATCH, JOB_PACK, 2);
	other->cpu = 4000;
	job_add(fixture, 2, other);
	place(fixture, other, &first);
	place(fixture, other, &second);
}

/* --- whose turn ----------------------------------------------------------------------------------------------------- */

static void the_higher_priority_comes_first(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement placement;
	struct job_settings *low = settings_make(fixture, JOB_BATCH, JOB_PACK, 5);
	struct job_settings *high = settings_make(fixture, JOB_BATCH, JOB_PACK, 3);
	high->priority = 51;
	high->cpu = low->cpu = 1000;
	nodes_add(fixture, 1);
	job_add(fixture, 1, low);
	job_add(fixture, 2, high);
	for (int i = 0; i < 4; i++) {
		place(fixture, i < 3 ? high : low, &placement);
		assert_int_equal(placement.job, i < 3 ? 2 : 1);
	}
	assert_true(nothing_next(fixture));
}

static void equal_jobs_come_to_equal_numbers(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement placement;
	struct job_settings *settings[3];
	int counts[3] = {0};
	nodes_add(fixture, 2);
	for (uint64_t i = 0; i < 3; i++) {
		settings[i] = settings_make(fixture, JOB_BATCH, JOB_PACK, 100);
		settings[i]->memory = 64 * MIB;
		job_add(fixture, i + 1, settings[i]);
	}
	for (int placed = 0; placed < 32; placed++) {
		place(fixture, settings[0], &placement);
		counts[placement.job - 1]++;
		for (int i = 0; i < 3; i++)
			assert_true(counts[i] - counts[(i + 1) % 3] <= 1);
	}
	assert_true(nothing_next(fixture));
}

static void the_smaller_dominant_share_comes_next(void **state)
{
	/* Ghodsi et al., Dominant Resource Fairness, §4.1: 9 processors and 18 GB; A asks for (1, 4), B for (3, 1): A gets 3, B 2. */
	struct fixture *fixture = *state;
	struct scheduler_placement placement;
	struct scheduler_node node = node_like(1);
	struct job_settings *a = settings_make(fixture, JOB_BATCH, JOB_PACK, 100);
	struct job_settings *b = settings_make(fixture, JOB_BATCH, JOB_PACK, 100);
	int counts[2] = {0};
	node.cpu = 9000;
	node.memory = 18 * MIB;
	scheduler_node_set(fixture->scheduler, &node);
	a->cpu = 1000;
	a->memory = 4 * MIB;
	b->cpu = 3000;
	b->memory = MIB;
	job_add(fixture, 1, a);
	job_add(fixture, 2, b);
	while (scheduler_next(fixture->scheduler, 0, &placement)) {
		confirm(fixture, placement.job == 1 ? a : b, &placement);
		counts[placement.job - 1]++;
	}
	assert_int_equal(counts[0], 3);
	assert_int_equal(counts[1], 2);
}

static void one_that_does_not_fit_holds_up_nobody(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement placement;
	struct job_settings *large = settings_make(fixture, JOB_BATCH, JOB_PACK, 1);
	struct job_settings *small = settings_make(fixture, JOB_BATCH, JOB_PACK, 1);
	large->cpu = 5000;
	large->priority = 60;
	nodes_add(fixture, 2);
	job_add(fixture, 1, large);
	job_add(fixture, 2, small);
	place(fixture, small, &placement);
	assert_int_equal(placement.job, 2);
	assert_true(nothing_next(fixture));
	struct scheduler_node node = node_like(1);
	node.cpu = 5000;
	scheduler_node_set(fixture->scheduler, &node);
	place(fixture, large, &placement);
	assert_int_equal(placement.job, 1);
	assert_int_equal(placement.node, 1);
}

static void a_task_in_backoff_comes_when_it_is_time(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement placement;
	struct job_settings *job = settings_make(fixture, JOB_SERVICE, JOB_SPREAD, 3);
	nodes_add(fixture, 1);
	assert_true(scheduler_deadline(fixture->scheduler) == MSEC_NEVER);
	job_add(fixture, 1, job);
	for (int i = 0; i < 3; i++)
		place(fixture, job, &placement);
	scheduler_released(fixture->scheduler, 2);
	scheduler_released(fixture->scheduler, 3);
	scheduler_task_waits(fixture->scheduler, 1, 2, 9000);
	scheduler_task_waits(fixture->scheduler, 1, 1, 5000);
	scheduler_task_waits(fixture->scheduler, 1, 1, 6000);
	assert_int_equal(scheduler_waiting(fixture->scheduler, 1), 2);
	assert_true(nothing_next(fixture));
	assert_int_equal(scheduler_deadline(fixture->scheduler), 6000);
	fixture->now = 5999;
	assert_true(nothing_next(fixture));
	fixture->now = 6000;
	place(fixture, job, &placement);
	assert_int_equal(placement.task, 1);
	assert_int_equal(scheduler_deadline(fixture->scheduler), 9000);
	scheduler_job_remove(fixture->scheduler, 1);
	assert_true(scheduler_deadline(fixture->scheduler) == MSEC_NEVER);
	assert_int_equal(scheduler_waiting(fixture->scheduler, 0), 0);
}

static void a_million_tasks_wait(void **state)
{
	struct fixture *fixture = *state;
	struct scheduler_placement placement;
	struct job_settings *job = settings_make(fixture, JOB_BATCH, JOB_PACK, 1000000);
	job->cpu = 1000;
	job_add(fixture, 1, job);
	assert_true(nothing_next(fixture));
	assert_int_equal(scheduler_waiting(fixture->scheduler, 1), 1000000);
	nodes_add(fixture, 1);
	for (uint32_t i = 0; i < 4; i++) {
		place(fixture, job, &placement);
		assert_int_equal(placement.task, i);
	}
	assert_true(nothing_next(fixture));
	assert_int_equal(scheduler_waiting(fixture->scheduler, 0), 999996);
}

#define FACT(name) cmocka_unit_test_setup_teardown(name, scheduler_setup, scheduler_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(pack_fills_a_node_before_it_begins_another),
		FACT(pack_of_what_asks_for_nothing_goes_where_the_fewest_are),
		FACT(spread_takes_where_the_fewest_of_the_job_are),
		FACT(spread_of_many_nodes_is_even),
		FACT(spread_prefers_the_node_that_has_more_left),
		FACT(a_node_that_is_down_or_drained_or_unlike_gets_nothing),
		FACT(only_nodes_that_are_listed_are_taken),
		FACT(a_node_is_filled_and_not_more),
		FACT(a_port_is_given_once_on_a_node),
		FACT(free_ports_are_of_the_range_and_differ),
		FACT(a_free_port_rests_before_it_comes_again),
		FACT(a_placement_counts_before_it_is_confirmed),
		FACT(what_is_refused_waits_again),
		FACT(what_is_written_down_counts_wherever_it_is),
		FACT(a_job_that_is_removed_does_not_wait_and_keeps_what_it_has),
		FACT(a_job_that_is_told_anew_crosses_with_what_was_decided),
		FACT(the_higher_priority_comes_first),
		FACT(equal_jobs_come_to_equal_numbers),
		FACT(the_smaller_dominant_share_comes_next),
		FACT(one_that_does_not_fit_holds_up_nobody),
		FACT(a_task_in_backoff_comes_when_it_is_time),
		FACT(a_million_tasks_wait),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
