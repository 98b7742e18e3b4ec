#include "workflow/check_settings.h"

#define SIGNATURE_SHOWN_MAX 160

/* Names. */

static struct target find_job(const struct setting_context *context, struct slice name)
{
	struct target target = {NULL, NULL};
	HASH_FIND(hh, context->checker->by_name, name.data, name.size, target.declared);
	target.definition = target.declared != NULL ? target.declared->definition
	                                            : registry_find(context->checker->registry, name, 0);
	return target;
}

static void report_unknown(const struct setting_context *context, const struct syntax_value *value)
{
	struct checker *checker = context->checker;
	struct suggestion suggestion;
	struct diagnostic *diagnostic = diagnostics_error(checker->diagnostics, value->span, "there is no job `%.*s`",
	                                                  SLICE_ARGS(value->text));
	if (!check_may_suggest(checker))
		return;
	suggestion_init(&suggestion, value->text);
	for (uint32_t i = 0; i < checker->declared_count; i++)
		if (checker->declared[i].definition->kind == DEFINITION_JOB)
			suggestion_try(&suggestion, checker->declared[i].definition->name);
	const struct definition *near = registry_find(checker->registry,
	                                              registry_nearest(checker->registry, value->text), 0);
	if (near != NULL && near->kind == DEFINITION_JOB)
		suggestion_try(&suggestion, near->name);
	if (suggestion.nearest.size != 0)
		diagnostics_hint(checker->diagnostics, diagnostic, "did you mean `%.*s`?",
		                 SLICE_ARGS(suggestion.nearest));
}

/* False: there is none, or what is wrong with it was reported where it is. */
static bool take_job(const struct setting_context *context, const struct syntax_setting *setting, struct target *target)
{
	const struct syntax_value *value = setting->value;
	struct diagnostics *diagnostics = context->checker->diagnostics;
	if (value->kind != SYNTAX_VALUE_LOWER && value->kind != SYNTAX_VALUE_UPPER) {
		struct diagnostic *diagnostic = setting_refuse(context, &setting->key, value,
		                                               "the name of a batch job");
		if (value->kind == SYNTAX_VALUE_STRING)
			diagnostics_hint(diagnostics, diagnostic, "without quotes");
		return false;
	}
	*target = find_job(context, value->text);
	if (target->definition == NULL) {
		report_unknown(context, value);
		return false;
	}
	if (target->definition->kind != DEFINITION_JOB) {
		diagnostics_error(diagnostics, value->span, "`%.*s` is a %s; what a process is bound to is a batch job",
		                  SLICE_ARGS(value->text), definition_kind_name(target->definition->kind));
		return false;
	}
	if (target->declared != NULL)
		check_signature(context->checker, target->declared);
	return target->declared == NULL || !target->declared->broken;
}

/* Whether it can stand for a process. */

static bool check_gives_one(const struct setting_context *context, const struct syntax_setting *setting,
                            const struct definition *definition)
{
	const struct job_settings *job = definition->job;
	struct diagnostics *diagnostics = context->checker->diagnostics;
	struct span span = setting->value->span;
	if (job->type != JOB_BATCH) {
		diagnostics_error(diagnostics, span,
		                  "`%.*s` is no batch job, and a call returns when what it runs has ended",
		                  SLICE_ARGS(definition->name));
		return false;
	}
	if (job->count != 1) {
		diagnostics_error(diagnostics, span, "`%.*s` has %u tasks, and a call gives what one has printed",
		                  SLICE_ARGS(definition->name), job->count);
		return false;
	}
	return true;
}

static const struct param *find_param(const struct definition *definition, struct slice name)
{
	for (uint32_t i = 0; i < definition->param_count; i++)
		if (slice_equal(definition->params[i].name, name))
			return &definition->params[i];
	return NULL;
}

/* By name and type: each of the process's is one of the job's, and those that it has not got have a default. */
static bool check_params_fit(const struct setting_context *context, const struct syntax_setting *setting,
                             const struct definition *job)
{
	const struct definition *process = context->definition;
	struct checker *checker = context->checker;
	size_t errors = checker->diagnostics->error_count;
	for (uint32_t i = 0; i < process->param_count; i++) {
		const struct param *own = &process->params[i];
		const struct param *its = find_param(job, own->name);
		if (its == NULL)
			diagnostics_error(checker->diagnostics, setting->value->span, "`%.*s` has no parameter `%.*s`",
			                  SLICE_ARGS(job->name), SLICE_ARGS(own->name));
		else if (own->type != NULL && !check_same(checker, own->type, its->type))
			diagnostics_error(checker->diagnostics, setting->value->span,
			                  "parameter `%.*s` is %s, and that of `%.*s` is %s", SLICE_ARGS(own->name),
			                  check_show(checker, own->type), SLICE_ARGS(job->name),
			                  check_show(checker, its->type));
	}
	for (uint32_t i = 0; i < job->param_count; i++) {
		struct slice name = job->params[i].name;
		if (job->params[i].has_default || find_param(process, name) != NULL)
			continue;
		struct diagnostic *diagnostic = diagnostics_error(
			checker->diagnostics, setting->value->span,
			"`%.*s` needs an argument for `%.*s`, and `%.*s` has no such parameter", SLICE_ARGS(job->name),
			SLICE_ARGS(name), SLICE_ARGS(process->name));
		if (job->signature.size <= SIGNATURE_SHOWN_MAX)
			diagnostics_hint(checker->diagnostics, diagnostic, "the job is %.*s%.*s", SLICE_ARGS(job->name),
			                 SLICE_ARGS(job->signature));
	}
	return checker->diagnostics->error_count == errors;
}

/* What the job itself says. */
static bool check_own_settings(const struct setting_context *context, const struct syntax_setting *setting)
{
	static const char *const names[] = {"files", "env", "on", "heartbeat"};
	bool fine = true;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const struct syntax_setting *own = settings_get(context, names[i]);
		if (own == NULL)
			continue;
		struct diagnostic *diagnostic = diagnostics_error(context->checker->diagnostics, own->key.span,
		                                                  "a process that a job runs has no `%s`", names[i]);
		diagnostics_note(context->checker->diagnostics, diagnostic, setting->key.span,
		                 "the job's settings count");
		fine = false;
	}
	return fine;
}

bool check_bound_job(const struct setting_context *context, const struct syntax_setting *setting,
                     struct target *ret_target)
{
	struct target target;
	bool fine = check_own_settings(context, setting);
	if (!take_job(context, setting, &target))
		return false;
	fine = check_gives_one(context, setting, target.definition) && fine;
	fine = check_params_fit(context, setting, target.definition) && fine;
	*ret_target = target;
	return fine;
}
