/* The environment that a child is executed with (LANGUAGE: "How a child is run"). */
#ifndef CLUSTERD_DAEMON_COMMAND_LINE_H
#define CLUSTERD_DAEMON_COMMAND_LINE_H

#include "base/arena.h"
#include "base/error.h"
#include "daemon/executor.h"

struct environment {
	const char *home;               /* the working directory */
	const char *node;
	struct slice process;
	const struct executor_key *key; /* NULL: of a pool child, which is nobody's in particular */
	const struct process_variable *variables; /* `env`: may replace any of the others */
	uint32_t variable_count;
};

/* "NAME=value", NULL at the end; in the arena. */
const char *const *command_line_environment(const struct environment *environment, struct arena *arena);

#endif
