#include "base/json.h"
#include "lang/parser.h"
#include "workflow/check.h"

#define RETRIES_MAX 1000000
#define PATH_SIZE_MAX 1024u

struct setting_context {
	struct checker *checker;
	const struct definition *definition;
	struct process_settings *settings;
	const struct syntax_setting *exec; /* exec, pool: that which was set here */
	bool backoff_max_set;
};

typedef void setting_apply(struct setting_context *context, const struct syntax_setting *setting);

void check_settings_default(struct process_settings *settings)
{
	*settings = (struct process_settings){
		.timeout = 3600 * 1000,
		.retries = 2,
		.backoff = 1000,
		.backoff_max = 60 * 1000,
	};
}

static struct diagnostic *refuse_value(struct setting_context *context, const struct syntax_value *value,
                                       const struct syntax_setting *setting, const char *due)
{
	return diagnostics_error(context->checker->diagnostics, value->span, "`%.*s` takes %s",
	                         SLICE_ARGS(setting->key.text), due);
}

/* The characters of a string, for as long as the unit lives. False: empty, or not for a path, word or variable. */
static bool take_string(struct setting_context *context, const struct syntax_value *value,
                        const struct syntax_setting *setting, const char *due, struct slice *ret_text)
{
	if (value->kind != SYNTAX_VALUE_STRING) {
		refuse_value(context, value, setting, due);
		return false;
	}
	*ret_text = unit_keep(context->checker->unit, parser_unquote(value->text, &context->checker->unit->arena));
	if (ret_text->size != 0 && memchr(ret_text->data, '\0', ret_text->size) != NULL) {
		refuse_value(context, value, setting, "text without NUL");
		return false;
	}
	return true;
}

/* Commands. */

static bool take_param(struct setting_context *context, const struct syntax_value *value, struct command_word *word)
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
	struct diagnostic *diagnostic =
		diagnostics_error(context->checker->diagnostics, value->span, "`%.*s` has no parameter `%.*s`",
	                          SLICE_ARGS(definition->name), SLICE_ARGS(value->text));
	if (suggestion.nearest.size != 0)
		diagnostics_hint(context->checker->diagnostics, diagnostic, "did you mean `%.*s`?",
		                 SLICE_ARGS(suggestion.nearest));
	else
		diagnostics_hint(context->checker->diagnostics, diagnostic,
		                 "a literal word is written in quotes: \"%.*s\"", SLICE_ARGS(value->text));
	return false;
}

static bool take_word(struct setting_context *context, const struct syntax_value *value,
                      const struct syntax_setting *setting, bool params, struct command_word *word)
{
	*word = (struct command_word){.param = -1};
	if (value->kind == SYNTAX_VALUE_LOWER && params)
		return take_param(context, value, word);
	if (value->kind == SYNTAX_VALUE_NUMBER) {
		word->literal = unit_keep(context->checker->unit, value->text);
		return true;
	}
	return take_string(context, value, setting,
	                   params ? "strings, numbers and names of parameters"
	                          : "strings and numbers: its children read their inputs from stdin",
	                   &word->literal);
}

static void apply_command(struct setting_context *context, const struct syntax_setting *setting)
{
	const struct syntax_value *value = setting->value;
	struct process_settings *settings = context->settings;
	bool exec = slice_is(setting->key.text, "exec");
	if (context->exec != NULL) {
		struct diagnostic *diagnostic =
			diagnostics_error(context->checker->diagnostics, setting->key.span,
		                          "a process has `exec` or `pool`, not both");
		diagnostics_note(context->checker->diagnostics, diagnostic, context->exec->key.span, "the other one");
		return;
	}
	context->exec = setting;
	if (value->kind != SYNTAX_VALUE_LIST || value->item_count == 0) {
		struct diagnostic *diagnostic =
			refuse_value(context, value, setting, "a list of words, the program first");
		if (value->kind == SYNTAX_VALUE_STRING)
			diagnostics_hint(context->checker->diagnostics, diagnostic,
			                 "there is no shell unless one is named: [\"sh\", \"-c\", %.*s]",
			                 SLICE_ARGS(value->text));
		return;
	}
	struct command_word *words = arena_alloc(&context->checker->unit->arena, value->item_count * sizeof *words);
	for (uint32_t i = 0; i < value->item_count; i++)
		if (!take_word(context, value->items[i], setting, exec, &words[i]))
			return;
	if (words[0].param < 0 && words[0].literal.size == 0) {
		refuse_value(context, value->items[0], setting, "a program as its first word, and this one is empty");
		return;
	}
	/* A variant that sets one of them lets go of the other one that its base had. */
	settings->exec_count = settings->pool_count = 0;
	*(exec ? &settings->exec : &settings->pool) = words;
	*(exec ? &settings->exec_count : &settings->pool_count) = value->item_count;
}

/* Files. */

/* Relative, and without a way out of the working directory. */
const char *check_path_fault(struct slice path)
{
	if (path.size == 0)
		return "is empty";
	if (path.size > PATH_SIZE_MAX)
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

static bool take_file(struct setting_context *context, const struct syntax_value *value,
                      const struct syntax_setting *setting, struct process_file *file)
{
	struct checker *checker = context->checker;
	if (!take_string(context, value, setting, "a list of paths", &file->path))
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

static void apply_files(struct setting_context *context, const struct syntax_setting *setting)
{
	const struct syntax_value *value = setting->value;
	if (value->kind != SYNTAX_VALUE_LIST) {
		refuse_value(context, value, setting, "a list of paths");
		return;
	}
	struct process_file *files =
		arena_alloc(&context->checker->unit->arena, (value->item_count + 1) * sizeof *files);
	uint32_t count = 0;
	for (uint32_t i = 0; i < value->item_count; i++) {
		if (!take_file(context, value->items[i], setting, &files[count]))
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
	context->settings->files = files;
	context->settings->file_count = count;
}

/* Times and numbers. */

static bool take_duration(struct setting_context *context, const struct syntax_setting *setting, msec at_least,
                          msec *ret_duration)
{
	const struct syntax_value *value = setting->value;
	if (value->kind != SYNTAX_VALUE_DURATION) {
		struct diagnostic *diagnostic = refuse_value(context, value, setting, "a duration");
		if (value->kind == SYNTAX_VALUE_NUMBER)
			diagnostics_hint(context->checker->diagnostics, diagnostic, "with its unit: %.*ss",
			                 SLICE_ARGS(value->text));
		return false;
	}
	if (value->duration_ms < at_least) {
		refuse_value(context, value, setting, "a duration longer than 0");
		return false;
	}
	*ret_duration = value->duration_ms;
	return true;
}

static void apply_timeout(struct setting_context *context, const struct syntax_setting *setting)
{
	take_duration(context, setting, 1, &context->settings->timeout);
}

static void apply_start_timeout(struct setting_context *context, const struct syntax_setting *setting)
{
	take_duration(context, setting, 0, &context->settings->start_timeout);
}

static void apply_heartbeat(struct setting_context *context, const struct syntax_setting *setting)
{
	take_duration(context, setting, 0, &context->settings->heartbeat);
}

static void apply_backoff(struct setting_context *context, const struct syntax_setting *setting)
{
	take_duration(context, setting, 0, &context->settings->backoff);
}

static void apply_backoff_max(struct setting_context *context, const struct syntax_setting *setting)
{
	context->backoff_max_set = take_duration(context, setting, 0, &context->settings->backoff_max);
}

static void apply_retries(struct setting_context *context, const struct syntax_setting *setting)
{
	long long number = 0;
	if (setting->value->kind != SYNTAX_VALUE_NUMBER ||
	    json_integer(setting->value->text, 0, RETRIES_MAX, &number) < 0) {
		refuse_value(context, setting->value, setting, "an integer from 0 to 1000000");
		return;
	}
	context->settings->retries = (uint32_t)number;
}

/* The rest. */

static void apply_stdout(struct setting_context *context, const struct syntax_setting *setting)
{
	static const char *const forms[] = {"json", "text", "lines", "none"};
	static const enum stdout_form values[] = {STDOUT_JSON, STDOUT_TEXT, STDOUT_LINES, STDOUT_NONE};
	const struct type *result = context->definition->result;
	size_t form = 0;
	while (form < 4 && !(setting->value->kind == SYNTAX_VALUE_LOWER && slice_is(setting->value->text, forms[form])))
		form++;
	if (form == 4) {
		refuse_value(context, setting->value, setting, "json, text, lines or none");
		return;
	}
	context->settings->stdout_form = values[form];
	if (result == NULL || check_takes_anything(result) || values[form] == STDOUT_JSON)
		return;
	bool list = result->kind == TYPE_LIST &&
	            (result->parts[0]->kind == TYPE_TEXT || check_takes_anything(result->parts[0]));
	if ((values[form] == STDOUT_TEXT && result->kind != TYPE_TEXT) || (values[form] == STDOUT_LINES && !list) ||
	    (values[form] == STDOUT_NONE && result->kind != TYPE_UNIT)) {
		static const char *const gives[] = {"", "Text", "[Text]", "()"};
		diagnostics_error(context->checker->diagnostics, setting->value->span,
		                  "`%s` gives %s, but the result of `%.*s` is %s", forms[form], gives[form],
		                  SLICE_ARGS(context->definition->name), check_show(context->checker, result));
	}
}

static void apply_env(struct setting_context *context, const struct syntax_setting *setting)
{
	const struct syntax_value *value = setting->value;
	if (value->kind != SYNTAX_VALUE_OBJECT) {
		refuse_value(context, value, setting, "{NAME: \"value\", …}");
		return;
	}
	struct process_variable *env =
		arena_alloc(&context->checker->unit->arena, (value->entry_count + 1) * sizeof *env);
	for (uint32_t i = 0; i < value->entry_count; i++) {
		const struct syntax_entry *entry = &value->entries[i];
		struct slice name = entry->key.text;
		if (name.size == 0 || memchr(name.data, '=', name.size) != NULL ||
		    memchr(name.data, '\0', name.size) != NULL) {
			diagnostics_error(context->checker->diagnostics, entry->key.span,
			                  "a variable's name is not empty and has no `=` in it");
			return;
		}
		env[i].name = unit_keep(context->checker->unit, name);
		if (!take_string(context, entry->value, setting, "strings as values", &env[i].value))
			return;
	}
	context->settings->env = env;
	context->settings->env_count = value->entry_count;
}

static void apply_on(struct setting_context *context, const struct syntax_setting *setting)
{
	const struct syntax_value *value = setting->value;
	const char *due = "a tag, or a list of tags, in quotes";
	if (value->kind != SYNTAX_VALUE_LIST && value->kind != SYNTAX_VALUE_STRING) {
		refuse_value(context, value, setting, due);
		return;
	}
	uint32_t count = value->kind == SYNTAX_VALUE_LIST ? value->item_count : 1;
	struct slice *tags = arena_alloc(&context->checker->unit->arena, (count + 1) * sizeof *tags);
	for (uint32_t i = 0; i < count; i++) {
		const struct syntax_value *tag = value->kind == SYNTAX_VALUE_LIST ? value->items[i] : value;
		if (!take_string(context, tag, setting, due, &tags[i]))
			return;
		if (tags[i].size == 0) {
			refuse_value(context, tag, setting, due);
			return;
		}
	}
	context->settings->on = tags;
	context->settings->on_count = count;
}

static void apply_refused(struct setting_context *context, const struct syntax_setting *setting)
{
	check_refuse(context->checker, setting->key.span,
	             check_format(context->checker, "`%.*s`", SLICE_ARGS(setting->key.text)));
}

static const struct {
	const char *name;
	setting_apply *apply;
} known[] = {
	{"exec", apply_command},       {"pool", apply_command},   {"job", apply_refused},
	{"files", apply_files},        {"timeout", apply_timeout}, {"start_timeout", apply_start_timeout},
	{"heartbeat", apply_heartbeat}, {"retries", apply_retries}, {"backoff", apply_backoff},
	{"backoff_max", apply_backoff_max}, {"concurrency", apply_refused}, {"stdout", apply_stdout},
	{"env", apply_env},            {"on", apply_on},
};
#define KNOWN_COUNT (sizeof known / sizeof known[0])

/* KNOWN_COUNT: it is not to be applied, which is reported. */
static size_t find_setting(struct checker *checker, const struct syntax_setting *setting,
                           const struct syntax_setting **first)
{
	struct suggestion suggestion;
	suggestion_init(&suggestion, setting->key.text);
	for (size_t i = 0; i < KNOWN_COUNT; i++) {
		if (!slice_is(setting->key.text, known[i].name)) {
			suggestion_try(&suggestion, slice_of(known[i].name));
			continue;
		}
		if (first[i] == NULL) {
			first[i] = setting;
			return i;
		}
		struct diagnostic *diagnostic = diagnostics_error(checker->diagnostics, setting->key.span,
		                                                  "`%s` is set twice", known[i].name);
		diagnostics_note(checker->diagnostics, diagnostic, first[i]->key.span, "here first");
		return KNOWN_COUNT;
	}
	struct diagnostic *diagnostic = diagnostics_error(checker->diagnostics, setting->key.span,
	                                                  "there is no setting `%.*s`", SLICE_ARGS(setting->key.text));
	if (suggestion.nearest.size != 0)
		diagnostics_hint(checker->diagnostics, diagnostic, "did you mean `%.*s`?",
		                 SLICE_ARGS(suggestion.nearest));
	return KNOWN_COUNT;
}

void check_settings(struct checker *checker, struct declared *declared, const struct syntax_settings *settings)
{
	const struct syntax_setting *first[KNOWN_COUNT] = {NULL};
	struct setting_context context = {
		.checker = checker,
		.definition = declared->definition,
		.settings = &declared->definition->settings,
	};
	for (uint32_t i = 0; settings != NULL && i < settings->count; i++) {
		size_t index = find_setting(checker, &settings->entries[i], first);
		if (index < KNOWN_COUNT)
			known[index].apply(&context, &settings->entries[i]);
	}
	struct process_settings *made = context.settings;
	if (made->backoff_max >= made->backoff)
		return;
	if (context.backoff_max_set)
		diagnostics_error(checker->diagnostics, settings->span, "`backoff_max` is shorter than `backoff`");
	made->backoff_max = made->backoff;
}

void check_with(struct checker *checker, const struct syntax_settings *settings)
{
	const struct syntax_setting *first[KNOWN_COUNT] = {NULL};
	for (uint32_t i = 0; i < settings->count; i++)
		find_setting(checker, &settings->entries[i], first);
}
