#include "daemon/command_line.h"
#include "daemon/variables.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

#define OWN_VARIABLES 7
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

/* A Text as its characters, all else as JSON. */
static int param_word(const struct param *param, struct slice args, struct arena *arena, const char **ret_word,
                      struct error *error)
{
	struct slice value;
	struct buffer characters = BUFFER_EMPTY;
	if (!json_member(args, param->name, &value))
		return error_set(error, ERR_INVALID, "the parameter %.*s has no value", SLICE_ARGS(param->name));
	if (param->type->kind == TYPE_TEXT && json_kind(value) == JSON_STRING) {
		json_unquote(&characters, value);
		value = buffer_slice(&characters);
	}
	*ret_word = arena_string(arena, value);
	buffer_finish(&characters);
	return 0;
}

int command_line_words(const struct definition *process, struct slice args, struct arena *arena,
                       const char *const **ret_words, struct error *error)
{
	const struct process_settings *settings = &process->settings;
	const char **words = arena_alloc(arena, (settings->exec_count + 1) * sizeof *words);
	for (uint32_t i = 0; i < settings->exec_count; i++) {
		const struct command_word *word = &settings->exec[i];
		if (word->param < 0) {
			words[i] = arena_string(arena, word->literal);
			continue;
		}
		int result = param_word(&process->params[word->param], args, arena, &words[i], error);
		if (result != 0)
			return result;
	}
	*ret_words = words;
	return 0;
}

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
