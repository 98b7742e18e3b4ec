#include "workflow/check_settings.h"

#include "workflow/timetable.h"

#include <signal.h>

static void take_delay(const struct setting_context *context, const struct syntax_setting *setting, msec at_least,
                       msec *ret_delay)
{
	setting_duration(context, &setting->key, setting->value, at_least, JOB_DELAY_MAX, ret_delay);
}

/* Trying again. */

void job_retries(struct setting_context *context, const struct syntax_setting *setting)
{
	struct job_settings *job = context->definition->job;
	if (setting->value->kind == SYNTAX_VALUE_LOWER && slice_is(setting->value->text, "unlimited"))
		job->retries = JOB_UNLIMITED;
	else if (setting->value->kind == SYNTAX_VALUE_NUMBER)
		setting_integer(context, &setting->key, setting->value, 0, SETTING_RETRIES_MAX, &job->retries);
	else
		setting_refuse(
			context, &setting->key, setting->value,
			check_format(context->checker, "an integer from 0 to %u, or unlimited", SETTING_RETRIES_MAX));
}

void job_retries_within(struct setting_context *context, const struct syntax_setting *setting)
{
	take_delay(context, setting, 1, &context->definition->job->retry_window);
}

void job_backoff(struct setting_context *context, const struct syntax_setting *setting)
{
	take_delay(context, setting, 0, &context->definition->job->backoff);
}

void job_backoff_max(struct setting_context *context, const struct syntax_setting *setting)
{
	take_delay(context, setting, 0, &context->definition->job->backoff_max);
}

/* Ending. */

void job_timeout(struct setting_context *context, const struct syntax_setting *setting)
{
	setting_duration(context, &setting->key, setting->value, 1, DURATION_MAX_MS,
	                 &context->definition->job->timeout);
}

void job_stop_signal(struct setting_context *context, const struct syntax_setting *setting)
{
	static const struct {
		const char *name;
		int number;
	} signals[] = {
		{"TERM", SIGTERM}, {"INT", SIGINT},   {"QUIT", SIGQUIT},   {"HUP", SIGHUP},
		{"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"WINCH", SIGWINCH}, {"KILL", SIGKILL},
	};
	const char *due = "the name of a signal in quotes: TERM, INT, QUIT, HUP, USR1, USR2, WINCH or KILL";
	struct slice name;
	if (!setting_text(context, &setting->key, setting->value, due, &name))
		return;
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
		if (slice_is(name, signals[i].name)) {
			context->definition->job->stop_signal = signals[i].number;
			return;
		}
	}
	struct diagnostic *diagnostic = setting_refuse(context, &setting->key, setting->value, due);
	if (name.size > 3 && memcmp(name.data, "SIG", 3) == 0)
		diagnostics_hint(context->checker->diagnostics, diagnostic, "without SIG");
}

void job_stop_grace(struct setting_context *context, const struct syntax_setting *setting)
{
	take_delay(context, setting, 0, &context->definition->job->stop_grace);
}

/* Groups. */

void job_group(struct setting_context *context, const struct syntax_setting *setting)
{
	static const char *const words[] = {"restart", "stop", NULL};
	static const enum job_group_policy values[] = {JOB_GROUP_RESTART, JOB_GROUP_STOP};
	uint32_t index;
	if (!setting_choice(context, &setting->key, setting->value, words, &index))
		return;
	context->definition->job->group = true;
	context->definition->job->group_policy = values[index];
}

void job_register_timeout(struct setting_context *context, const struct syntax_setting *setting)
{
	take_delay(context, setting, 1, &context->definition->job->register_timeout);
}

void job_workers(struct setting_context *context, const struct syntax_setting *setting)
{
	setting_integer(context, &setting->key, setting->value, 1, JOB_WORKERS_MAX, &context->definition->job->workers);
}

/* Schedules. */

/* A part of a string's characters, where it stands in the source; all of it where escapes make them differ. */
static struct span part_of(const struct syntax_value *string, size_t offset, size_t size)
{
	struct span span = string->span;
	if (memchr(string->text.data, '\\', string->text.size) != NULL || size == 0)
		return span;
	span.offset += (uint32_t)offset + 1;
	span.size = (uint32_t)size;
	return span;
}

void job_schedule(struct setting_context *context, const struct syntax_setting *setting)
{
	const char *due = "five fields in quotes: minute, hour, day of the month, month, day of the week";
	struct diagnostics *diagnostics = context->checker->diagnostics;
	struct timetable schedule;
	struct timetable_fault fault;
	struct slice text;
	if (!setting_text(context, &setting->key, setting->value, due, &text))
		return;
	if (text.size > JOB_SCHEDULE_SIZE_MAX) {
		diagnostics_error(diagnostics, setting->value->span, "this schedule has %zu bytes; the limit is %u",
		                  text.size, JOB_SCHEDULE_SIZE_MAX);
	} else if (!timetable_parse(text, &schedule, &fault)) {
		struct diagnostic *diagnostic = diagnostics_error(
			diagnostics, part_of(setting->value, fault.offset, fault.size), "%s", fault.text);
		if (fault.size == text.size)
			diagnostics_hint(diagnostics, diagnostic, "\"30 3 * * mon-fri\", \"@daily\"");
	} else {
		context->definition->job->schedule = text;
	}
}

/* As the files of the zone database are named: "Europe/Vienna", "Etc/GMT+5". */
static bool is_zone_name(struct slice name)
{
	for (size_t i = 0; i < name.size; i++) {
		char c = name.data[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		bool other = (c >= '0' && c <= '9') || c == '_' || c == '+' || c == '-' || c == '/';
		bool begins = i == 0 || name.data[i - 1] == '/';
		if (!letter && (!other || begins))
			return false;
	}
	return name.size > 0 && name.size <= JOB_NAME_SIZE_MAX && name.data[name.size - 1] != '/';
}

void job_timezone(struct setting_context *context, const struct syntax_setting *setting)
{
	const char *due = "the name of a time zone in quotes: \"UTC\", \"Europe/Vienna\"";
	struct slice name;
	if (!setting_text(context, &setting->key, setting->value, due, &name))
		return;
	if (is_zone_name(name))
		context->definition->job->timezone = name;
	else
		setting_refuse(context, &setting->key, setting->value, due);
}

void job_overlap(struct setting_context *context, const struct syntax_setting *setting)
{
	static const char *const words[] = {"skip", "allow", "replace", NULL};
	static const enum job_overlap values[] = {JOB_OVERLAP_SKIP, JOB_OVERLAP_ALLOW, JOB_OVERLAP_REPLACE};
	uint32_t index;
	if (setting_choice(context, &setting->key, setting->value, words, &index))
		context->definition->job->overlap = values[index];
}
