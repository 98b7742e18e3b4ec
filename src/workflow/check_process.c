#include "workflow/check_settings.h"

#include "lang/parser.h"

void check_settings_default(struct process_settings *settings)
{
	*settings = (struct process_settings){
		.timeout = 3600 * 1000,
		.retries = 2,
		.backoff = 1000,
		.backoff_max = 60 * 1000,
	};
}

static struct process_settings *settings_of(const struct setting_context *context)
{
	return &context->definition->settings;
}

/* What runs it: `exec`, `pool` or `job`. */

/* Another of them stands before this one: reported, and false. */
static bool is_only_runner(const struct setting_context *context, const struct syntax_setting *setting)
{
	static const char *const runners[] = {"exec", "pool", "job"};
	const struct syntax_setting *first = setting;
	for (size_t i = 0; i < sizeof runners / sizeof runners[0]; i++) {
		const struct syntax_setting *other = settings_get(context, runners[i]);
		if (other != NULL && other->key.span.offset < first->key.span.offset)
			first = other;
	}
	if (first == setting)
		return true;
	struct diagnostic *diagnostic = diagnostics_error(context->checker->diagnostics, setting->key.span,
	                                                  "a process has `%.*s` or `%.*s`, not both",
	                                                  SLICE_ARGS(first->key.text), SLICE_ARGS(setting->key.text));
	diagnostics_note(context->checker->diagnostics, diagnostic, first->key.span, "the other one");
	return false;
}

/* A variant that sets one of them lets go of the one that its base had. */
static void forget_runner(struct process_settings *settings)
{
	settings->exec_count = settings->pool_count = 0;
	settings->job = NULL;
}

static void apply_command(struct setting_context *context, const struct syntax_setting *setting)
{
	struct process_settings *settings = settings_of(context);
	bool exec = slice_is(setting->key.text, "exec");
	struct command_word *words;
	uint32_t count;
	if (!is_only_runner(context, setting) ||
	    !setting_command(context, &setting->key, setting->value, exec, &words, &count))
		return;
	forget_runner(settings);
	*(exec ? &settings->exec : &settings->pool) = words;
	*(exec ? &settings->exec_count : &settings->pool_count) = count;
}

static void apply_job(struct setting_context *context, const struct syntax_setting *setting)
{
	struct process_settings *settings = settings_of(context);
	struct target target;
	if (!is_only_runner(context, setting) || !check_bound_job(context, setting, &target))
		return;
	forget_runner(settings);
	settings->job = target.definition;
	if (settings_get(context, "retries") == NULL)
		settings->retries = 0; /* the job has its own */
	check_link(context->checker, context->declared, target, setting->value->span);
}

/* How it is run. */

static void apply_files(struct setting_context *context, const struct syntax_setting *setting)
{
	setting_files(context, setting, &settings_of(context)->files, &settings_of(context)->file_count);
}

static void apply_env(struct setting_context *context, const struct syntax_setting *setting)
{
	setting_env(context, setting, &settings_of(context)->env, &settings_of(context)->env_count);
}

static void apply_on(struct setting_context *context, const struct syntax_setting *setting)
{
	setting_texts(context, &setting->key, setting->value, "a tag, or a list of tags, in quotes", UINT32_MAX,
	              &settings_of(context)->on, &settings_of(context)->on_count);
}

static void apply_stdout(struct setting_context *context, const struct syntax_setting *setting)
{
	static const char *const forms[] = {"json", "text", "lines", "none", NULL};
	static const enum stdout_form values[] = {STDOUT_JSON, STDOUT_TEXT, STDOUT_LINES, STDOUT_NONE};
	const struct type *result = context->definition->result;
	uint32_t form = 0;
	if (!setting_choice(context, &setting->key, setting->value, forms, &form))
		return;
	settings_of(context)->stdout_form = values[form];
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

/* How long, and how often. */

static void take_time(const struct setting_context *context, const struct syntax_setting *setting, msec at_least,
                      msec *ret_time)
{
	setting_duration(context, &setting->key, setting->value, at_least, DURATION_MAX_MS, ret_time);
}

static void apply_timeout(struct setting_context *context, const struct syntax_setting *setting)
{
	take_time(context, setting, 1, &settings_of(context)->timeout);
}

static void apply_start_timeout(struct setting_context *context, const struct syntax_setting *setting)
{
	take_time(context, setting, 0, &settings_of(context)->start_timeout);
}

static void apply_heartbeat(struct setting_context *context, const struct syntax_setting *setting)
{
	take_time(context, setting, 0, &settings_of(context)->heartbeat);
}

static void apply_backoff(struct setting_context *context, const struct syntax_setting *setting)
{
	take_time(context, setting, 0, &settings_of(context)->backoff);
}

static void apply_backoff_max(struct setting_context *context, const struct syntax_setting *setting)
{
	take_time(context, setting, 0, &settings_of(context)->backoff_max);
}

static void apply_retries(struct setting_context *context, const struct syntax_setting *setting)
{
	setting_integer(context, &setting->key, setting->value, 0, SETTING_RETRIES_MAX, &settings_of(context)->retries);
}

const struct setting_rule process_rules[] = {
	{.name = "exec", .apply = apply_command},
	{.name = "pool", .apply = apply_command},
	{.name = "job", .apply = apply_job},
	{.name = "files", .apply = apply_files},
	{.name = "timeout", .apply = apply_timeout},
	{.name = "start_timeout", .apply = apply_start_timeout},
	{.name = "heartbeat", .apply = apply_heartbeat},
	{.name = "retries", .apply = apply_retries},
	{.name = "backoff", .apply = apply_backoff},
	{.name = "backoff_max", .apply = apply_backoff_max},
	{.name = "concurrency", .later = true},
	{.name = "stdout", .apply = apply_stdout},
	{.name = "env", .apply = apply_env},
	{.name = "on", .apply = apply_on},
};
const size_t process_rule_count = sizeof process_rules / sizeof process_rules[0];

#define PROCESS_RULE_COUNT (sizeof process_rules / sizeof process_rules[0])

void check_settings(struct checker *checker, struct declared *declared, const struct syntax_settings *settings)
{
	const struct syntax_setting *found[PROCESS_RULE_COUNT] = {NULL};
	struct setting_context context = {
		.checker = checker,
		.declared = declared,
		.definition = declared->definition,
		.rules = process_rules,
		.rule_count = PROCESS_RULE_COUNT,
		.found = found,
	};
	settings_find(&context, settings);
	for (size_t i = 0; i < PROCESS_RULE_COUNT; i++)
		if (found[i] != NULL)
			settings_apply(&context, i);
	settings_order_backoff(&context, settings_of(&context)->backoff, &settings_of(&context)->backoff_max);
}

void check_with(struct checker *checker, const struct syntax_settings *settings)
{
	const struct syntax_setting *found[PROCESS_RULE_COUNT] = {NULL};
	struct setting_context context = {
		.checker = checker, .rules = process_rules, .rule_count = PROCESS_RULE_COUNT, .found = found};
	settings_find(&context, settings);
}
