#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "job_fixture.h"

void node_is(struct machine_fixture *fixture, uint64_t id, const char *name, const char *state)
{
	struct command command = {.kind = COMMAND_NODE};
	command.node.id = id;
	command.node.name = slice_of(name);
	command.node.role = SLICE("server");
	command.node.address = SLICE("10.0.0.1:9189");
	command.node.datacenter = SLICE("dc1");
	command.node.state = slice_of(state);
	command.node.tags = SLICE("{}");
	command.node.generation = 1;
	command.node.cpu = 2000;
	command.node.memory = UINT64_C(1) << 30;
	command.node.port_low = 20000;
	command.node.port_high = 20003;
	machine_fixture_apply(fixture, &command);
}

void has_nodes(struct machine_fixture *fixture)
{
	node_is(fixture, NODE_A, "a", "alive");
	node_is(fixture, NODE_B, "b", "alive");
}

void asks(struct machine_fixture *fixture, struct command *command)
{
	fixture->session = opens_session(fixture);
	fixture->sequence = fixture->answered_below = 1;
	machine_fixture_apply(fixture, command);
	fixture->session = 0;
	assert_true(fixture->answered);
}

uint64_t runs(struct machine_fixture *fixture, const char *source)
{
	struct command_file file = {SLICE("test.flow"), slice_of(source)};
	struct command command = {.kind = COMMAND_RUN_JOBS};
	command.registering.files = &file;
	command.registering.file_count = 1;
	asks(fixture, &command);
	return fixture->answer.code == 0 ? fixture->answer.number : 0;
}

void places_with(struct machine_fixture *fixture, uint64_t job, uint32_t task, uint64_t node,
                        const uint32_t *ports, size_t port_count)
{
	struct command_placement placement = {job, task, node, ports, port_count};
	struct command command = {.kind = COMMAND_PLACE};
	command.place.placements = &placement;
	command.place.count = 1;
	machine_fixture_apply(fixture, &command);
}

void places(struct machine_fixture *fixture, uint64_t job, uint32_t task, uint64_t node)
{
	places_with(fixture, job, task, node, NULL, 0);
}

void tells_of(struct machine_fixture *fixture, struct command_allocation change)
{
	struct command command = {.kind = COMMAND_ALLOCATIONS};
	command.allocations.changes = &change;
	command.allocations.count = 1;
	machine_fixture_apply(fixture, &command);
}

void begins(struct machine_fixture *fixture, uint64_t allocation)
{
	tells_of(fixture, (struct command_allocation){.id = allocation, .event = ALLOCATION_EVENT_STARTED});
}

void exits(struct machine_fixture *fixture, uint64_t allocation, int code)
{
	tells_of(fixture,
	         (struct command_allocation){.id = allocation, .event = ALLOCATION_EVENT_ENDED, .exit_code = code});
}

void is_lost(struct machine_fixture *fixture, uint64_t allocation)
{
	tells_of(fixture,
	         (struct command_allocation){.id = allocation, .event = ALLOCATION_EVENT_LOST, .exit_code = -1});
}

void stops(struct machine_fixture *fixture, uint64_t job)
{
	struct command command = {.kind = COMMAND_STOP_JOB};
	command.stop_job.job = job;
	asks(fixture, &command);
}

void scales(struct machine_fixture *fixture, uint64_t job, uint32_t count)
{
	struct command command = {.kind = COMMAND_SCALE_JOB};
	command.scale_job.job = job;
	command.scale_job.count = count;
	asks(fixture, &command);
}
