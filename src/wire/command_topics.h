/* Commands of topics as log entries; for command.c only. */
#ifndef CLUSTERD_WIRE_COMMAND_TOPICS_H
#define CLUSTERD_WIRE_COMMAND_TOPICS_H

#include "base/arena.h"
#include "base/error.h"
#include "coordinator/command.h"
#include "proto/log.pb-c.h"

void command_topics_encode(const struct command *command, struct arena *arena, Clusterd__Log__Entry *entry);
bool command_topics_has(const Clusterd__Log__Entry *entry); /* it is one of these */
/* ERR_VERSION: a kind that is not known; ERR_CORRUPT: past a limit that was kept when it was proposed. */
int command_topics_decode(const Clusterd__Log__Entry *entry, struct command *command, struct error *error);

#endif
