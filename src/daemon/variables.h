/* The environment of a child while it is put together: "NAME=value" texts in an arena. */
#ifndef CLUSTERD_DAEMON_VARIABLES_H
#define CLUSTERD_DAEMON_VARIABLES_H

#include "base/arena.h"
#include "base/slice.h"

#include <stdint.h>

struct variables {
	struct arena *arena;
	const char **list;
	size_t count;
};

/* A later one of the same name replaces an earlier one. The list has room. */
void variables_set(struct variables *variables, struct slice name, struct slice value);
void variables_set_number(struct variables *variables, const char *name, uint64_t number);

#endif
