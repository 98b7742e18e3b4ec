#include "daemon/command_line.h"
#include "daemon/variables.h"

#include <stdio.h>
#include <stdlib.h>

#define OWN_VARIABLES 7
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

const char *const *command_line_environment(const struct environment *environment, struct arena *arena)
{
	const char *path = getenv("PATH");
	size_t most = OWN_VARIABLES + environment->variable_count;
	struct variables variables = {.arena = arena, .list = arena_alloc(arena, (most + 1) * sizeof(char *))};
	variables_set(&variables, SLICE("PATH"), slice_of(path != NULL ? path : DEFAULT_PATH));
	variables_set(&variables, SLICE("HOME"), slice_of(environment->home));
	if (environment->key != NULL) {
		variables_set_number(&variables, "CLUSTERD_INSTANCE", environment->key->instance);
		variables_set_number(&variables, "CLUSTERD_CALL", environment->key->ref);
		variables_set_number(&variables, "CLUSTERD_ATTEMPT", environment->key->attempt & EXECUTOR_ATTEMPT_MASK);
	}
	variables_set(&variables, SLICE("CLUSTERD_PROCESS"), environment->process);
	variables_set(&variables, SLICE("CLUSTERD_NODE"), slice_of(environment->node));
	for (uint32_t i = 0; i < environment->variable_count; i++)
		variables_set(&variables, environment->variables[i].name, environment->variables[i].value);
	return variables.list;
}
