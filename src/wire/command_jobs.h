/* Commands of jobs and allocations as log entries; for command.c only. */
#ifndef CLUSTERD_WIRE_COMMAND_JOBS_H
#define CLUSTERD_WIRE_COMMAND_JOBS_H

#include "base/arena.h"
#include "base/error.h"
#include "coordinator/command.h"
#include "proto/log.pb-c.h"

void command_jobs_encode(const struct command *command, struct arena *arena, Clusterd__Log__Entry *entry);
bool command_jobs_has(const Clusterd__Log__Entry *entry); /* whether it is one of these */
/* ERR_VERSION: it says something that is not known; ERR_CORRUPT: past a limit that was kept when it was proposed. */
int command_jobs_decode(const Clusterd__Log__Entry *entry, struct arena *arena, struct command *command,
                        struct error *error);

#endif
