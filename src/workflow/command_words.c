#include "workflow/command_words.h"

#include "base/buffer.h"
#include "base/json.h"

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

int command_words(const struct definition *definition, const struct command_word *exec, uint32_t count, struct slice args,
                       struct arena *arena, const char *const **ret_words, struct error *error)
{
	const char **words = arena_alloc(arena, (count + 1) * sizeof *words);
	for (uint32_t i = 0; i < count; i++) {
		const struct command_word *word = &exec[i];
		if (word->param < 0) {
			words[i] = arena_string(arena, word->literal);
			continue;
		}
		int result = param_word(&definition->params[word->param], args, arena, &words[i], error);
		if (result != 0)
			return result;
	}
	*ret_words = words;
	return 0;
}
