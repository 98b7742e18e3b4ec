/* Commands as the bodies of log entries (proto/log.proto). */
#ifndef CLUSTERD_WIRE_COMMAND_H
#define CLUSTERD_WIRE_COMMAND_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "coordinator/command.h"

/* Appends the encoded command. What it needs meanwhile is in `scratch`, the caller's to reset. */
void command_encode(const struct command *command, struct arena *scratch, struct buffer *out);
/* Decodes into `arena`; slices of the command point into the arena. ERR_VERSION: a command or a machine version that this
 * program does not know; ERR_CORRUPT: not an entry. */
int command_decode(struct slice body, struct arena *arena, struct command *ret_command, struct error *error);

/* What can be told of an entry without decoding it. */
struct command_head {
	uint64_t stamp;
	bool configuration;
};

/* 0; ERR_CORRUPT. Allocates nothing; costs as much as there are fields, not bytes. */
int command_peek(struct slice body, struct command_head *ret_head);

#endif
