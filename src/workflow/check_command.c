#include "workflow/check_settings.h"

/* Words. */

static bool take_param(const struct setting_context *context, const struct syntax_value *value,
                       struct command_word *word)
{
	const struct definition *definition = context->definition;
	struct suggestion suggestion;
	suggestion_init(&suggestion, value->text);
	for (uint32_t i = 0; i < definition->param_count; i++) {
		if (slice_equal(definition->params[i].name, value->text)) {
			word->param = (int)i;
			return true;
		}
		suggestion_try(&suggestion, definition->params[i].name);
	}
	struct diagnostic *diagnostic = diagnostics_error(context->checker->diagnostics, value->span,
	                                                  "`%.*s` has no parameter `%.*s`",
	                                                  SLICE_ARGS(definition->name), SLICE_ARGS(value->text));
	if (suggestion.nearest.size != 0)
		diagnostics_hint(context->checker->diagnostics, diagnostic, "did you mean `%.*s`?",
		                 SLICE_ARGS(suggestion.nearest));
	else
		diagnostics_hint(context->checker->diagnostics, diagnostic,
		                 "a literal word is written in quotes: \"%.*s\"", SLICE_ARGS(value->text));
	return false;
}

static bool take_word(const struct setting_context *context, const struct syntax_name *key,
                      const struct syntax_value *value, bool params, struct command_word *word)
{
	*word = (struct command_word){.param = -1};
	if (value->kind == SYNTAX_VALUE_LOWER && params)
		return take_param(context, value, word);
	if (value->kind == SYNTAX_VALUE_NUMBER) {
		word->literal = unit_keep(context->checker->unit, value->text);
		return true;
	}
	const char *due = params ? "strings, numbers and names of parameters"
	                  : slice_is(key->text, "pool")
	                          ? "strings and numbers: its children read their inputs from stdin"
	                          : "strings and numbers";
	return setting_text(context, key, value, due, &word->literal);
}

bool setting_command(const struct setting_context *context, const struct syntax_name *key,
                     const struct syntax_value *value, bool params, struct command_word **ret_words,
                     uint32_t *ret_count)
{
	bool fine = true;
	if (value->kind != SYNTAX_VALUE_LIST || value->item_count == 0) {
		struct diagnostic *diagnostic = setting_refuse(context, key, value,
		                                               "a list of words, the program first");
		if (value->kind == SYNTAX_VALUE_STRING)
			diagnostics_hint(context->checker->diagnostics, diagnostic,
			                 "there is no shell unless one is named: [\"sh\", \"-c\", %.*s]",
			                 SLICE_ARGS(value->text));
		return false;
	}
	struct command_word *words = arena_alloc(&context->checker->unit->arena, value->item_count * sizeof *words);
	for (uint32_t i = 0; i < value->item_count; i++)
		fine = take_word(context, key, value->items[i], params, &words[i]) && fine;
	if (!fine)
		return false;
	if (words[0].param < 0 && words[0].literal.size == 0) {
		setting_refuse(context, key, value->items[0], "a program as its first word, and this one is empty");
		return false;
	}
	*ret_words = words;
	*ret_count = value->item_count;
	return true;
}

/* Files. */

/* Relative, and without a way out of the working directory. */
const char *check_path_fault(struct slice path)
{
	if (path.size == 0)
		return "is empty";
	if (path.size > SETTING_PATH_SIZE_MAX)
		return "is longer than 1024 bytes";
	if (path.data[0] == '/')
		return "is not relative to the .flow file";
	for (size_t begin = 0, end = 0; end <= path.size; end++) {
		if (end < path.size && path.data[end] != '/')
			continue;
		struct slice part = {path.data + begin, end - begin};
		if (part.size == 0 || slice_is(part, ".") || slice_is(part, ".."))
			return "has an empty part, `.` or `..` in it";
		begin = end + 1;
	}
	return NULL;
}

static bool take_file(const struct setting_context *context, const struct syntax_name *key,
                      const struct syntax_value *value, struct process_file *file)
{
	struct checker *checker = context->checker;
	if (!setting_text(context, key, value, "a list of paths", &file->path))
		return false;
	const char *fault = check_path_fault(file->path);
	if (fault != NULL) {
		diagnostics_error(checker->diagnostics, value->span, "this path %s", fault);
		return false;
	}
	for (size_t i = 0; i < checker->attachment_count; i++) {
		if (slice_equal(checker->attachments[i].path, file->path)) {
			struct slice hash = checker->attachments[i].hash;
			file->hash.data = arena_string(&checker->unit->arena, hash);
			file->hash.size = hash.size;
			return true;
		}
	}
	diagnostics_error(checker->diagnostics, value->span, "the file `%.*s` was not sent along",
	                  SLICE_ARGS(file->path));
	return false;
}

void setting_files(const struct setting_context *context, const struct syntax_setting *setting,
                   struct process_file **ret_files, uint32_t *ret_count)
{
	const struct syntax_value *value = setting->value;
	if (value->kind != SYNTAX_VALUE_LIST) {
		setting_refuse(context, &setting->key, value, "a list of paths");
		return;
	}
	struct process_file *files = arena_alloc(&context->checker->unit->arena,
	                                         (value->item_count + 1) * sizeof *files);
	uint32_t count = 0;
	for (uint32_t i = 0; i < value->item_count; i++) {
		if (!take_file(context, &setting->key, value->items[i], &files[count]))
			continue;
		uint32_t same = 0;
		while (!slice_equal(files[same].path, files[count].path))
			same++;
		if (same < count)
			diagnostics_error(context->checker->diagnostics, value->items[i]->span, "`%.*s` is there twice",
			                  SLICE_ARGS(files[count].path));
		else
			count++;
	}
	*ret_files = files;
	*ret_count = count;
}

/* Environment. */

void setting_env(const struct setting_context *context, const struct syntax_setting *setting,
                 struct process_variable **ret_env, uint32_t *ret_count)
{
	const struct syntax_value *value = setting->value;
	bool fine = true;
	if (value->kind != SYNTAX_VALUE_OBJECT) {
		setting_refuse(context, &setting->key, value, "{\"NAME\": \"value\", …}");
		return;
	}
	struct process_variable *env = arena_alloc(&context->checker->unit->arena,
	                                           (value->entry_count + 1) * sizeof *env);
	for (uint32_t i = 0; i < value->entry_count; i++) {
		const struct syntax_entry *entry = &value->entries[i];
		struct slice name = entry->key.text;
		env[i].name = unit_keep(context->checker->unit, name);
		if (name.size == 0 || memchr(name.data, '=', name.size) != NULL ||
		    memchr(name.data, '\0', name.size) != NULL) {
			diagnostics_error(context->checker->diagnostics, entry->key.span,
			                  "a variable's name is not empty and has no `=` in it");
			fine = false;
		}
		fine = setting_text(context, &setting->key, entry->value, "strings as values", &env[i].value) && fine;
	}
	if (!fine)
		return;
	*ret_env = env;
	*ret_count = value->entry_count;
}
