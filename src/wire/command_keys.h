/* Commands of keys and leases as log entries; for command.c only. */
#ifndef CLUSTERD_WIRE_COMMAND_KEYS_H
#define CLUSTERD_WIRE_COMMAND_KEYS_H

#include "base/arena.h"
#include "base/error.h"
#include "coordinator/command.h"
#include "proto/log.pb-c.h"

void command_keys_encode(const struct command *command, struct arena *arena, Clusterd__Log__Entry *entry);
/* ERR_VERSION: not one of these; ERR_CORRUPT: past a limit that was kept when it was proposed. */
int command_keys_decode(const Clusterd__Log__Entry *entry, struct arena *arena, struct command *command,
                        struct error *error);

#endif
