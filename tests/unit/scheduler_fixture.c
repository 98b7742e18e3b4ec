#include "scheduler_fixture.h"

#include <stdarg.h>
#include <stdio.h>
#include <setjmp.h>
#include <cmocka.h>

int scheduler_setup(void **state)
{
	struct fixture *fixture = mem_zero(sizeof *fixture);
	fixture->scheduler = scheduler_create(7);
	fixture->now = 1000;
	*state = fixture;
	return 0;
}

int scheduler_teardown(void **state)
{
	struct fixture *fixture = *state;
	scheduler_destroy(fixture->scheduler);
	for (size_t i = 0; i < fixture->owned_count; i++)
		mem_free(fixture->owned[i]);
	mem_free(fixture);
	return 0;
}

struct scheduler_node node_like(uint64_t id)
{
	static char names[8][16];
	char *name = names[id % 8];
	int size = snprintf(name, sizeof names[0], "n%u", (unsigned)id);
	return (struct scheduler_node){
		.id = id,
		.name = {name, (size_t)size},
		.datacenter = SLICE("dc1"),
		.cpu = 4000,
		.memory = 1024 * MIB,
		.port_low = 20000,
		.port_high = 20099,
		.eligible = true,
		.up = true,
	};
}

void node_add(struct fixture *fixture, uint64_t id)
{
	struct scheduler_node node = node_like(id);
	scheduler_node_set(fixture->scheduler, &node);
}

struct job_settings *settings_make(struct fixture *fixture, enum job_type type, enum job_placement placement,
                                   uint32_t count)
{
	struct job_settings *settings = mem_zero(sizeof *settings);
	settings->type = type;
	settings->placement = placement;
	settings->count = count;
	settings->priority = 50;
	assert_true(fixture->owned_count < sizeof fixture->owned / sizeof *fixture->owned);
	fixture->owned[fixture->owned_count++] = settings;
	return settings;
}

void job_add(struct fixture *fixture, uint64_t job, const struct job_settings *settings)
{
	scheduler_job_add(fixture->scheduler, job, settings, 0, settings->count);
}

void confirm(struct fixture *fixture, const struct job_settings *settings, const struct scheduler_placement *placement)
{
	struct scheduler_allocation allocation = {
		.id = ++fixture->last_allocation,
		.job = placement->job,
		.task = placement->task,
		.node = placement->node,
		.ports = placement->ports,
	};
	scheduler_allocated(fixture->scheduler, &allocation, settings);
}

uint64_t place(struct fixture *fixture, const struct job_settings *settings, struct scheduler_placement *ret_placement)
{
	assert_true(scheduler_next(fixture->scheduler, fixture->now, ret_placement));
	assert_int_equal(ret_placement->victim_count, 0);
	confirm(fixture, settings, ret_placement);
	return fixture->last_allocation;
}

bool nothing_next(struct fixture *fixture)
{
	struct scheduler_placement placement;
	return !scheduler_next(fixture->scheduler, fixture->now, &placement);
}

uint32_t place_all(struct fixture *fixture, const struct job_settings *settings, uint32_t *counts, size_t nodes)
{
	struct scheduler_placement placement;
	uint32_t placed = 0;
	while (scheduler_next(fixture->scheduler, fixture->now, &placement)) {
		assert_int_equal(placement.victim_count, 0);
		assert_true(placement.node < nodes);
		counts[placement.node]++;
		confirm(fixture, settings, &placement);
		placed++;
	}
	return placed;
}

void nodes_add(struct fixture *fixture, uint64_t count)
{
	for (uint64_t id = 1; id <= count; id++)
		node_add(fixture, id);
}
