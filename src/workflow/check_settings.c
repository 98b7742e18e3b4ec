#include "workflow/check_settings.h"

#include "base/json.h"
#include "lang/parser.h"

#include <inttypes.h>

/* Which settings there are. */

static bool has_rule(const struct setting_rule *rules, size_t count, struct slice name)
{
	for (size_t i = 0; i < count; i++)
		if (slice_is(name, rules[i].name))
			return true;
	return false;
}

static void report_unknown(struct setting_context *context, const struct syntax_setting *setting)
{
	struct suggestion suggestion;
	struct diagnostics *diagnostics = context->checker->diagnostics;
	struct slice name = setting->key.text;
	bool job = context->rules == job_rules;
	suggestion_init(&suggestion, name);
	for (size_t i = 0; i < context->rule_count; i++)
		suggestion_try(&suggestion, slice_of(context->rules[i].name));
	struct diagnostic *diagnostic = diagnostics_error(diagnostics, setting->key.span, "there is no setting `%.*s`",
	                                                  SLICE_ARGS(name));
	if (job && has_rule(process_rules, process_rule_count, name))
		diagnostics_hint(diagnostics, diagnostic, "processes have it, jobs do not");
	else if (!job && has_rule(job_rules, job_rule_count, name))
		diagnostics_hint(diagnostics, diagnostic, "jobs have it, processes do not");
	else if (suggestion.nearest.size != 0)
		diagnostics_hint(diagnostics, diagnostic, "did you mean `%.*s`?", SLICE_ARGS(suggestion.nearest));
}

static void find(struct setting_context *context, const struct syntax_setting *setting)
{
	struct diagnostics *diagnostics = context->checker->diagnostics;
	for (size_t i = 0; i < context->rule_count; i++) {
		if (!slice_is(setting->key.text, context->rules[i].name))
			continue;
		if (context->found[i] == NULL) {
			context->found[i] = setting;
			return;
		}
		struct diagnostic *diagnostic = diagnostics_error(diagnostics, setting->key.span, "`%s` is set twice",
		                                                  context->rules[i].name);
		diagnostics_note(diagnostics, diagnostic, context->found[i]->key.span, "here first");
		return;
	}
	report_unknown(context, setting);
}

void settings_find(struct setting_context *context, const struct syntax_settings *settings)
{
	for (uint32_t i = 0; settings != NULL && i < settings->count; i++)
		find(context, &settings->entries[i]);
}

const struct syntax_setting *settings_get(const struct setting_context *context, const char *name)
{
	size_t index = 0;
	while (strcmp(context->rules[index].name, name) != 0)
		index++;
	return context->found[index];
}

void settings_apply(struct setting_context *context, size_t rule)
{
	const struct syntax_setting *setting = context->found[rule];
	if (context->rules[rule].apply != NULL)
		context->rules[rule].apply(context, setting);
	if (context->rules[rule].later)
		check_refuse(context->checker, setting->key.span,
		             check_format(context->checker, "`%.*s`", SLICE_ARGS(setting->key.text)));
}

void settings_order_backoff(const struct setting_context *context, msec backoff, msec *backoff_max)
{
	const struct syntax_setting *set = settings_get(context, "backoff_max");
	if (*backoff_max >= backoff)
		return;
	if (set != NULL && set->value->kind == SYNTAX_VALUE_DURATION && set->value->duration_ms < backoff)
		diagnostics_error(context->checker->diagnostics, set->value->span,
		                  "`backoff_max` is shorter than `backoff`");
	*backoff_max = backoff;
}

/* Values. */

struct diagnostic *setting_refuse(const struct setting_context *context, const struct syntax_name *key,
                                  const struct syntax_value *value, const char *due)
{
	return diagnostics_error(context->checker->diagnostics, value->span, "`%.*s` takes %s", SLICE_ARGS(key->text),
	                         due);
}

bool setting_text(const struct setting_context *context, const struct syntax_name *key,
                  const struct syntax_value *value, const char *due, struct slice *ret_text)
{
	if (value->kind != SYNTAX_VALUE_STRING) {
		struct diagnostic *diagnostic = setting_refuse(context, key, value, due);
		if (value->kind == SYNTAX_VALUE_LOWER || value->kind == SYNTAX_VALUE_UPPER)
			diagnostics_hint(context->checker->diagnostics, diagnostic, "in quotes: \"%.*s\"",
			                 SLICE_ARGS(value->text));
		return false;
	}
	struct slice text = unit_keep(context->checker->unit,
	                              parser_unquote(value->text, &context->checker->unit->arena));
	if (text.size != 0 && memchr(text.data, '\0', text.size) != NULL) {
		setting_refuse(context, key, value, "text without NUL");
		return false;
	}
	*ret_text = text;
	return true;
}

bool setting_fits(const struct setting_context *context, const struct syntax_name *key,
                  const struct syntax_value *value, uint32_t count, uint32_t limit)
{
	if (count <= limit)
		return true;
	diagnostics_error(context->checker->diagnostics, value->span, "`%.*s` has %u of them; the limit is %u",
	                  SLICE_ARGS(key->text), count, limit);
	return false;
}

bool setting_texts(const struct setting_context *context, const struct syntax_name *key,
                   const struct syntax_value *value, const char *due, uint32_t limit, struct slice **ret_texts,
                   uint32_t *ret_count)
{
	bool list = value->kind == SYNTAX_VALUE_LIST;
	uint32_t count = list ? value->item_count : 1;
	bool fine = setting_fits(context, key, value, count, limit);
	if (!fine)
		return false;
	struct slice *texts = arena_alloc(&context->checker->unit->arena, (count + 1) * sizeof *texts);
	for (uint32_t i = 0; i < count; i++) {
		const struct syntax_value *item = list ? value->items[i] : value;
		if (!setting_text(context, key, item, due, &texts[i])) {
			fine = false;
			continue;
		}
		if (texts[i].size == 0)
			setting_refuse(context, key, item, due);
		fine = fine && texts[i].size != 0;
	}
	if (!fine)
		return false;
	*ret_texts = texts;
	*ret_count = count;
	return true;
}

/* As the language writes it, in the largest unit that gives an integer. */
static const char *show_duration(const struct setting_context *context, msec duration)
{
	static const struct {
		msec size;
		const char *name;
	} units[] = {{24 * 3600 * 1000, "d"}, {3600 * 1000, "h"}, {60 * 1000, "m"}, {1000, "s"}, {1, "ms"}};
	size_t unit = 0;
	while (duration % units[unit].size != 0)
		unit++;
	return check_format(context->checker, "%" PRId64 "%s", duration / units[unit].size, units[unit].name);
}

bool setting_duration(const struct setting_context *context, const struct syntax_name *key,
                      const struct syntax_value *value, msec at_least, msec at_most, msec *ret_duration)
{
	if (value->kind != SYNTAX_VALUE_DURATION) {
		struct diagnostic *diagnostic = setting_refuse(context, key, value, "a duration");
		if (value->kind == SYNTAX_VALUE_NUMBER)
			diagnostics_hint(context->checker->diagnostics, diagnostic, "with its unit: %.*ss",
			                 SLICE_ARGS(value->text));
		return false;
	}
	if (value->duration_ms < at_least && at_least == 1) {
		setting_refuse(context, key, value, "a duration longer than 0");
		return false;
	}
	if (value->duration_ms < at_least || value->duration_ms > at_most) {
		bool shorter = value->duration_ms < at_least;
		setting_refuse(context, key, value,
		               check_format(context->checker, "a duration of at %s %s", shorter ? "least" : "most",
		                            show_duration(context, shorter ? at_least : at_most)));
		return false;
	}
	*ret_duration = value->duration_ms;
	return true;
}

bool setting_integer(const struct setting_context *context, const struct syntax_name *key,
                     const struct syntax_value *value, uint32_t low, uint32_t high, uint32_t *ret_number)
{
	long long number = 0;
	if (value->kind != SYNTAX_VALUE_NUMBER || json_integer(value->text, low, high, &number) < 0) {
		setting_refuse(context, key, value,
		               check_format(context->checker, "an integer from %u to %u", low, high));
		return false;
	}
	*ret_number = (uint32_t)number;
	return true;
}

bool setting_choice(const struct setting_context *context, const struct syntax_name *key,
                    const struct syntax_value *value, const char *const *words, uint32_t *ret_index)
{
	struct suggestion suggestion;
	struct buffer due = BUFFER_EMPTY;
	suggestion_init(&suggestion, value->text);
	for (uint32_t i = 0; words[i] != NULL; i++) {
		if (value->kind == SYNTAX_VALUE_LOWER && slice_is(value->text, words[i])) {
			buffer_finish(&due);
			*ret_index = i;
			return true;
		}
		suggestion_try(&suggestion, slice_of(words[i]));
		buffer_format(&due, "%s%s", i == 0 ? "" : words[i + 1] != NULL ? ", " : " or ", words[i]);
	}
	struct diagnostic *diagnostic = setting_refuse(context, key, value, buffer_string(&due));
	for (uint32_t i = 0; words[i] != NULL && value->kind == SYNTAX_VALUE_STRING; i++)
		if (slice_is(parser_unquote(value->text, &context->checker->arena), words[i]))
			diagnostics_hint(context->checker->diagnostics, diagnostic, "without quotes");
	if (value->kind == SYNTAX_VALUE_LOWER && suggestion.nearest.size != 0)
		diagnostics_hint(context->checker->diagnostics, diagnostic, "did you mean `%.*s`?",
		                 SLICE_ARGS(suggestion.nearest));
	buffer_finish(&due);
	return false;
}
