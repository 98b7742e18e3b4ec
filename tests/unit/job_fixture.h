/* Commands about jobs, for tests of the state machine. */
#ifndef CLUSTERD_UNIT_JOB_FIXTURE_H
#define CLUSTERD_UNIT_JOB_FIXTURE_H

#include "machine_fixture.h"

#include "coordinator/jobs.h"

#define NODE_A 11
#define NODE_B 12

void node_is(struct machine_fixture *fixture, uint64_t id, const char *name, const char *state);
void has_nodes(struct machine_fixture *fixture);
void asks(struct machine_fixture *fixture, struct command *command);
/* The id of the first job that is in it; 0: it was refused. */
uint64_t runs(struct machine_fixture *fixture, const char *source);
void places_with(struct machine_fixture *fixture, uint64_t job, uint32_t task, uint64_t node, const uint32_t *ports,
                 size_t port_count);
void places(struct machine_fixture *fixture, uint64_t job, uint32_t task, uint64_t node);
void tells_of(struct machine_fixture *fixture, struct command_allocation change);
void begins(struct machine_fixture *fixture, uint64_t allocation);
void exits(struct machine_fixture *fixture, uint64_t allocation, int code);
void is_lost(struct machine_fixture *fixture, uint64_t allocation);
void stops(struct machine_fixture *fixture, uint64_t job);
void scales(struct machine_fixture *fixture, uint64_t job, uint32_t count);

#endif
