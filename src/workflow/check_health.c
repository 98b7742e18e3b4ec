#include "workflow/check_settings.h"

/* `health = {tcp: "http", interval: 5s}` */

#define HTTP_PATH_SIZE_MAX 1024u

enum {
	ENTRY_EXEC,
	ENTRY_TCP,
	ENTRY_HTTP,
	ENTRY_PATH,
	ENTRY_INTERVAL,
	ENTRY_TIMEOUT,
	ENTRY_FAILURES,
	ENTRY_GRACE,
	ENTRY_COUNT
};

static const char *const entry_names[ENTRY_COUNT] = {"exec",     "tcp",     "http",     "path",
                                                     "interval", "timeout", "failures", "grace"};

static void find_entry(const struct setting_context *context, const struct syntax_entry *entry,
                       const struct syntax_entry **found)
{
	struct suggestion suggestion;
	suggestion_init(&suggestion, entry->key.text);
	for (size_t i = 0; i < ENTRY_COUNT; i++) {
		if (slice_is(entry->key.text, entry_names[i])) {
			found[i] = entry;
			return;
		}
		suggestion_try(&suggestion, slice_of(entry_names[i]));
	}
	struct diagnostic *diagnostic = diagnostics_error(context->checker->diagnostics, entry->key.span,
	                                                  "`health` has no `%.*s`", SLICE_ARGS(entry->key.text));
	if (suggestion.nearest.size != 0)
		diagnostics_hint(context->checker->diagnostics, diagnostic, "did you mean `%.*s`?",
		                 SLICE_ARGS(suggestion.nearest));
	else
		diagnostics_hint(context->checker->diagnostics, diagnostic,
		                 "it has exec, tcp or http, and path, interval, timeout, failures, grace");
}

/* Which of `ports`. */
static void take_port(const struct setting_context *context, const struct syntax_entry *entry, struct job_check *check)
{
	const struct job_settings *job = context->definition->job;
	struct suggestion suggestion;
	struct slice name;
	if (!setting_text(context, &entry->key, entry->value, "the name of a port in quotes", &name))
		return;
	suggestion_init(&suggestion, name);
	for (uint32_t i = 0; i < job->port_count; i++) {
		if (slice_equal(job->ports[i].name, name)) {
			check->port = i;
			return;
		}
		suggestion_try(&suggestion, job->ports[i].name);
	}
	struct diagnostic *diagnostic = diagnostics_error(context->checker->diagnostics, entry->value->span,
	                                                  "`%.*s` has no port `%.*s`",
	                                                  SLICE_ARGS(context->definition->name), SLICE_ARGS(name));
	if (suggestion.nearest.size != 0)
		diagnostics_hint(context->checker->diagnostics, diagnostic, "did you mean `%.*s`?",
		                 SLICE_ARGS(suggestion.nearest));
	else
		diagnostics_hint(context->checker->diagnostics, diagnostic, "ports = [\"%.*s\"] gives it one",
		                 SLICE_ARGS(name));
}

static void take_path(const struct setting_context *context, const struct syntax_entry *entry, struct job_check *check)
{
	const char *due = "a path that begins with /, without spaces, in quotes";
	struct slice path;
	if (!setting_text(context, &entry->key, entry->value, due, &path))
		return;
	bool fine = path.size > 0 && path.size <= HTTP_PATH_SIZE_MAX && path.data[0] == '/';
	for (size_t i = 0; i < path.size && fine; i++)
		fine = (unsigned char)path.data[i] > ' ' && (unsigned char)path.data[i] < 0x7f;
	if (fine)
		check->path = path;
	else
		setting_refuse(context, &entry->key, entry->value, due);
}

/* What it does: exactly one. */
static void take_kind(const struct setting_context *context, const struct syntax_setting *setting,
                      const struct syntax_entry **found, struct job_check *check)
{
	static const enum job_check_kind kinds[] = {JOB_CHECK_EXEC, JOB_CHECK_TCP, JOB_CHECK_HTTP};
	const struct syntax_entry *first = NULL;
	for (size_t i = ENTRY_EXEC; i <= ENTRY_HTTP; i++) {
		if (found[i] == NULL)
			continue;
		if (first != NULL) {
			struct diagnostic *diagnostic = diagnostics_error(context->checker->diagnostics,
			                                                  found[i]->key.span,
			                                                  "`health` is one of exec, tcp and http");
			diagnostics_note(context->checker->diagnostics, diagnostic, first->key.span, "the other one");
		}
		first = found[i];
		check->kind = kinds[i];
		if (i == ENTRY_EXEC)
			setting_command(context, &found[i]->key, found[i]->value, false, &check->exec,
			                &check->exec_count);
		else
			take_port(context, found[i], check);
	}
	if (first == NULL) {
		struct diagnostic *diagnostic = diagnostics_error(context->checker->diagnostics, setting->value->span,
		                                                  "this does not say how health is checked");
		diagnostics_hint(context->checker->diagnostics, diagnostic,
		                 "{tcp: \"http\"}, {http: \"http\", path: \"/up\"} or {exec: [\"./check\"]}");
	}
	if (found[ENTRY_PATH] != NULL && found[ENTRY_HTTP] == NULL)
		diagnostics_error(context->checker->diagnostics, found[ENTRY_PATH]->key.span, "only `http` has a path");
}

static void take_time(const struct setting_context *context, const struct syntax_entry *entry, msec at_least,
                      msec *ret_time)
{
	if (entry != NULL)
		setting_duration(context, &entry->key, entry->value, at_least, JOB_DELAY_MAX, ret_time);
}

void job_health(struct setting_context *context, const struct syntax_setting *setting)
{
	const struct syntax_value *value = setting->value;
	const struct syntax_entry *found[ENTRY_COUNT] = {NULL};
	struct job_check *check = &context->definition->job->check;
	if (value->kind != SYNTAX_VALUE_OBJECT) {
		setting_refuse(context, &setting->key, value,
		               "{tcp: \"http\"}, {http: \"http\", path: \"/up\"} or {exec: [\"./check\"]}");
		return;
	}
	for (uint32_t i = 0; i < value->entry_count; i++)
		find_entry(context, &value->entries[i], found);
	*check = (struct job_check){
		.path = SLICE("/"), .interval = 10 * 1000, .timeout = 2 * 1000, .failures = 3, .grace = 10 * 1000};
	take_kind(context, setting, found, check);
	if (found[ENTRY_PATH] != NULL)
		take_path(context, found[ENTRY_PATH], check);
	take_time(context, found[ENTRY_INTERVAL], JOB_CHECK_INTERVAL_MIN, &check->interval);
	take_time(context, found[ENTRY_TIMEOUT], 1, &check->timeout);
	take_time(context, found[ENTRY_GRACE], 0, &check->grace);
	if (found[ENTRY_FAILURES] != NULL)
		setting_integer(context, &found[ENTRY_FAILURES]->key, found[ENTRY_FAILURES]->value, 1,
		                JOB_CHECK_FAILURES_MAX, &check->failures);
}
