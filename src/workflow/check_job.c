#include "workflow/check_settings.h"

#include <signal.h>

#define BATCH (1u << JOB_BATCH | 1u << JOB_PERIODIC)
#define SERVICE (1u << JOB_SERVICE | 1u << JOB_SYSTEM)
#define PERIODIC (1u << JOB_PERIODIC)
#define COUNTED (BATCH | 1u << JOB_SERVICE)

static const char *const type_names[] = {"batch", "service", "system", "periodic", NULL};

static void apply_type(struct setting_context *context, const struct syntax_setting *setting)
{
	static const enum job_type values[] = {JOB_BATCH, JOB_SERVICE, JOB_SYSTEM, JOB_PERIODIC};
	uint32_t index;
	context->type_unknown = !setting_choice(context, &setting->key, setting->value, type_names, &index);
	if (!context->type_unknown)
		context->definition->job->type = values[index];
}

/* Parameters: `parameters = {input: Text, n: 3}`. A value stands for the type that it looks like, a literal for the type that
 * it has, and is the default. */

static bool as_type(struct setting_context *context, const struct syntax_value *value, struct syntax_type *type,
                    const struct syntax_value **ret_default);

static bool as_list(struct setting_context *context, const struct syntax_value *value, struct syntax_type *type)
{
	const struct syntax_value *no_default = NULL;
	type->kind = SYNTAX_TYPE_LIST;
	if (value->item_count == 1) {
		type->parts[0] = arena_alloc(&context->checker->arena, sizeof *type->parts[0]);
		if (!as_type(context, value->items[0], type->parts[0], &no_default))
			return false;
		if (no_default == NULL)
			return true;
	}
	diagnostics_error(context->checker->diagnostics, value->span, "a list's type is written [Text]");
	return false;
}

static bool as_record(struct setting_context *context, const struct syntax_value *value, struct syntax_type *type)
{
	bool fine = value->entry_count > 0;
	if (!fine)
		diagnostics_error(context->checker->diagnostics, value->span, "a record has at least one member");
	type->kind = SYNTAX_TYPE_RECORD;
	type->members = arena_alloc(&context->checker->arena, (value->entry_count + 1) * sizeof *type->members);
	type->member_count = value->entry_count;
	for (uint32_t i = 0; i < value->entry_count; i++) {
		const struct syntax_value *member_default = NULL;
		struct syntax_member *member = &type->members[i];
		member->name = value->entries[i].key;
		member->type = arena_alloc(&context->checker->arena, sizeof *member->type);
		fine = as_type(context, value->entries[i].value, member->type, &member_default) && fine;
		if (member_default != NULL)
			member->default_value = value->entries[i].value;
	}
	return fine;
}

/* *ret_default: the value itself when it is a literal. */
static bool as_type(struct setting_context *context, const struct syntax_value *value, struct syntax_type *type,
                    const struct syntax_value **ret_default)
{
	static const char *const of_literals[] = {
		[SYNTAX_VALUE_STRING] = "Text",       [SYNTAX_VALUE_NUMBER] = "Number", [SYNTAX_VALUE_TRUE] = "Bool",
		[SYNTAX_VALUE_DURATION] = "Duration", [SYNTAX_VALUE_FALSE] = "Bool",
	};
	*type = (struct syntax_type){.kind = SYNTAX_TYPE_NAME, .span = value->span};
	switch (value->kind) {
	case SYNTAX_VALUE_UPPER:
		type->name = value->text;
		return true;
	case SYNTAX_VALUE_LIST:
		return as_list(context, value, type);
	case SYNTAX_VALUE_OBJECT:
		return as_record(context, value, type);
	case SYNTAX_VALUE_LOWER:
	case SYNTAX_VALUE_NULL: {
		struct diagnostic *diagnostic = diagnostics_error(context->checker->diagnostics, value->span,
		                                                  "this is no type");
		diagnostics_hint(
			context->checker->diagnostics, diagnostic,
			"parameters = {input: Text, n: 3}: types begin with a capital letter, a literal is a default");
		return false;
	}
	default:
		type->name = slice_of(of_literals[value->kind]);
		*ret_default = value;
		return true;
	}
}

static bool take_param(struct setting_context *context, const struct syntax_entry *entry, struct syntax_param *param)
{
	param->span = entry->key.span;
	param->name = entry->key;
	param->type = arena_alloc(&context->checker->arena, sizeof *param->type);
	const struct syntax_value *literal = NULL;
	bool fine = as_type(context, entry->value, param->type, &literal);
	if (literal != NULL)
		param->default_value = entry->value;
	if (parser_is_name(entry->key.text))
		return fine;
	diagnostics_error(context->checker->diagnostics, entry->key.span,
	                  "the name of a parameter begins with a small letter, and is no word of the language");
	return false;
}

static void apply_parameters(struct setting_context *context, const struct syntax_setting *setting)
{
	const struct syntax_value *value = setting->value;
	bool fine = true;
	context->params_broken = true;
	if (value->kind != SYNTAX_VALUE_OBJECT) {
		setting_refuse(context, &setting->key, value, "{name: Type, …}");
		return;
	}
	struct syntax_param *params = arena_alloc(&context->checker->arena, (value->entry_count + 1) * sizeof *params);
	for (uint32_t i = 0; i < value->entry_count; i++)
		fine = take_param(context, &value->entries[i], &params[i]) && fine;
	if (fine)
		context->params_broken = !check_params(context->checker, setting->key.span, params, value->entry_count,
		                                       context->definition);
}

/* What is run. */

static void apply_exec(struct setting_context *context, const struct syntax_setting *setting)
{
	struct job_settings *job = context->definition->job;
	/* Without parameters their names would be told as unknown. */
	if (!context->params_broken)
		setting_command(context, &setting->key, setting->value, true, &job->exec, &job->exec_count);
}

static void apply_files(struct setting_context *context, const struct syntax_setting *setting)
{
	setting_files(context, setting, &context->definition->job->files, &context->definition->job->file_count);
}

static void apply_env(struct setting_context *context, const struct syntax_setting *setting)
{
	setting_env(context, setting, &context->definition->job->env, &context->definition->job->env_count);
}

/* Applied in this order. */
const struct setting_rule job_rules[] = {
	{.name = "type", .apply = apply_type},
	{"parameters", apply_parameters, false, BATCH, "arguments are given to batch jobs as they are dispatched"},
	{.name = "exec", .apply = apply_exec},
	{.name = "files", .apply = apply_files},
	{.name = "program", .apply = job_program},
	{.name = "env", .apply = apply_env},
	{"count", job_count, false, COUNTED, "one of it runs on every node that fits"},
	{"placement", job_placement, false, COUNTED, "one of it runs on every node that fits"},
	{.name = "nodes", .apply = job_nodes},
	{.name = "on", .apply = job_on},
	{.name = "datacenter", .apply = job_datacenter},
	{.name = "priority", .apply = job_priority},
	{.name = "cpu", .apply = job_cpu},
	{.name = "memory", .apply = job_memory},
	{.name = "processes", .apply = job_processes},
	{.name = "disk", .apply = job_disk},
	{.name = "ports", .apply = job_ports},
	{.name = "retries", .apply = job_retries},
	{"retries_within", job_retries_within, false, SERVICE, "all attempts of a task count"},
	{.name = "backoff", .apply = job_backoff},
	{.name = "backoff_max", .apply = job_backoff_max},
	{"timeout", job_timeout, false, BATCH, "it runs until it is stopped; `health` finds one that hangs"},
	{.name = "stop_signal", .apply = job_stop_signal},
	{.name = "stop_grace", .apply = job_stop_grace},
	{"health", job_health, false, SERVICE, "it ends by itself; `timeout` ends an attempt that hangs"},
	{"group", job_group, false, COUNTED, "the nodes that it runs on come and go, and a group begins together"},
	{"register_timeout", job_register_timeout, false, COUNTED, "only a `group` registers"},
	{.name = "workers", .apply = job_workers},
	{"schedule", job_schedule, false, PERIODIC, "only a periodic job is begun by a schedule"},
	{"timezone", job_timezone, false, PERIODIC, "only a periodic job is begun by a schedule"},
	{"overlap", job_overlap, false, PERIODIC, "only a periodic job is begun by a schedule"},
};
const size_t job_rule_count = sizeof job_rules / sizeof job_rules[0];

#define JOB_RULE_COUNT (sizeof job_rules / sizeof job_rules[0])

static void fill_defaults(const struct setting_context *context)
{
	struct job_settings *job = context->definition->job;
	bool ends = job->type == JOB_BATCH || job->type == JOB_PERIODIC;
	job->count = 1;
	job->placement = ends ? JOB_PACK : JOB_SPREAD;
	job->priority = 50;
	job->retries = ends ? 2 : JOB_UNLIMITED;
	job->backoff = 1000;
	job->backoff_max = 60 * 1000;
	job->stop_signal = SIGTERM;
	job->stop_grace = 10 * 1000;
	job->register_timeout = 30 * 1000;
	job->workers = 1;
	if (job->type == JOB_PERIODIC)
		job->timezone = SLICE("UTC");
}

static void check_fits_type(const struct setting_context *context, size_t rule)
{
	const struct syntax_setting *setting = context->found[rule];
	enum job_type type = context->definition->job->type;
	unsigned types = job_rules[rule].types;
	if (types == 0 || context->type_unknown || (types >> type & 1) != 0)
		return;
	struct diagnostic *diagnostic = diagnostics_error(context->checker->diagnostics, setting->key.span,
	                                                  "a %s job has no `%s`: %s", type_names[type],
	                                                  job_rules[rule].name, job_rules[rule].why);
	if (types == PERIODIC)
		diagnostics_hint(context->checker->diagnostics, diagnostic, "type = periodic");
}

/* What does not go together. */

static void need_setting(const struct setting_context *context, const char *name, const char *other)
{
	const struct syntax_setting *setting = settings_get(context, name);
	if (setting != NULL && settings_get(context, other) == NULL)
		diagnostics_error(context->checker->diagnostics, setting->key.span, "`%s` says nothing without `%s`",
		                  name, other);
}

static void check_placement(const struct setting_context *context)
{
	const struct syntax_setting *placement = settings_get(context, "placement");
	const struct syntax_setting *count = settings_get(context, "count");
	struct diagnostics *diagnostics = context->checker->diagnostics;
	struct job_settings *job = context->definition->job;
	if (placement == NULL || (job->node_count == 0 && settings_get(context, "nodes") != NULL))
		return;
	if (job->placement == JOB_PINNED && job->node_count == 0) {
		struct diagnostic *diagnostic = diagnostics_error(
			diagnostics, placement->value->span,
			"`pinned` puts each task on the one of `nodes` that is its own");
		diagnostics_hint(diagnostics, diagnostic, "nodes = [\"node1\", \"node2\"]");
	} else if (job->placement == JOB_PINNED && count == NULL) {
		job->count = job->node_count;
	} else if (job->placement == JOB_PINNED && job->count != job->node_count) {
		diagnostics_error(diagnostics, count->value->span,
		                  "`pinned` puts each task on a node of its own: here are %u tasks, and %u nodes",
		                  job->count, job->node_count);
	} else if (job->placement == JOB_RANDOM && job->node_count != 0 && job->count > job->node_count) {
		diagnostics_error(diagnostics, count->value->span,
		                  "`random` puts each task on another node: here are %u tasks, and %u nodes",
		                  job->count, job->node_count);
	}
}

static void check_periodic(const struct setting_context *context)
{
	const struct definition *definition = context->definition;
	struct diagnostics *diagnostics = context->checker->diagnostics;
	if (context->type_unknown || definition->job->type != JOB_PERIODIC)
		return;
	if (settings_get(context, "schedule") == NULL) {
		struct diagnostic *diagnostic = diagnostics_error(
			diagnostics, settings_get(context, "type")->value->span, "a periodic job has a `schedule`");
		diagnostics_hint(diagnostics, diagnostic, "schedule = \"30 3 * * *\": every day at half past three");
	}
	const struct syntax_setting *parameters = settings_get(context, "parameters");
	for (uint32_t i = 0; !context->params_broken && i < definition->param_count; i++)
		if (!definition->params[i].has_default)
			diagnostics_error(
				diagnostics, parameters->value->entries[i].key.span,
				"parameter `%.*s` of a periodic job needs a default: its schedule gives no arguments",
				SLICE_ARGS(definition->params[i].name));
}

static void check_together(const struct setting_context *context)
{
	const struct syntax_setting *within = settings_get(context, "retries_within");
	struct job_settings *job = context->definition->job;
	if (settings_get(context, "exec") == NULL) {
		struct diagnostic *diagnostic = diagnostics_error(context->checker->diagnostics,
		                                                  context->declared->syntax->name.span,
		                                                  "a job has `exec`: what is run");
		diagnostics_hint(context->checker->diagnostics, diagnostic, "exec = [\"./run.sh\"]");
	}
	need_setting(context, "retries_within", "retries");
	need_setting(context, "register_timeout", "group");
	need_setting(context, "timezone", "schedule");
	need_setting(context, "overlap", "schedule");
	if (within != NULL && settings_get(context, "retries") != NULL && job->retries == JOB_UNLIMITED)
		diagnostics_error(context->checker->diagnostics, within->key.span,
		                  "`retries_within` says nothing where `retries` are unlimited");
	settings_order_backoff(context, job->backoff, &job->backoff_max);
	check_placement(context);
	check_periodic(context);
}

bool check_job(struct checker *checker, struct declared *declared)
{
	const struct syntax_setting *found[JOB_RULE_COUNT] = {NULL};
	struct setting_context context = {
		.checker = checker,
		.declared = declared,
		.definition = declared->definition,
		.rules = job_rules,
		.rule_count = JOB_RULE_COUNT,
		.found = found,
	};
	declared->definition->job = arena_alloc(&checker->unit->arena, sizeof *declared->definition->job);
	settings_find(&context, declared->syntax->settings);
	for (size_t i = 0; i < JOB_RULE_COUNT; i++) {
		if (i == 1)
			fill_defaults(&context);
		if (found[i] == NULL)
			continue;
		settings_apply(&context, i);
		check_fits_type(&context, i);
	}
	check_together(&context);
	return !context.params_broken && !context.type_unknown;
}
