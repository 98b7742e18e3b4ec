#include "daemon/placing_internal.h"
#include "daemon/request.h"

#include "base/json.h"
#include "base/memory.h"
#include "lang/parser.h"

#include <inttypes.h>

/* What running the jobs of some files would change, and where their tasks would go; and why tasks that wait do. Nothing is changed. */

#define TASKS_PLANNED_MAX 1000u /* of one job; of more, these are looked at */

/* --- settings that differ ------------------------------------------------------------------------------------------ */

struct parsed {
	struct source source;
	struct syntax syntax;
	struct diagnostics diagnostics;
	bool whole;
};

static void parse(struct parsed *parsed, struct slice text)
{
	*parsed = (struct parsed){.source = {.text = text}};
	parsed->source.path = SLICE("");
	int code = parser_parse(&parsed->source, 1, &parsed->syntax, &parsed->diagnostics, NULL);
	parsed->whole = code == 0;
	if (code != 0 && code != ERR_INVALID)
		parsed->syntax = (struct syntax){0};
}

static void parsed_finish(struct parsed *parsed)
{
	syntax_finish(&parsed->syntax);
	diagnostics_finish(&parsed->diagnostics);
}

static const struct syntax_settings *settings_of(const struct parsed *parsed)
{
	const struct syntax_file *file = parsed->whole && parsed->syntax.file_count > 0 ? &parsed->syntax.files[0] : NULL;
	return file != NULL && file->declaration_count > 0 ? file->declarations[0].settings : NULL;
}

static struct slice value_of(const struct syntax_settings *settings, struct slice key)
{
	for (uint32_t i = 0; settings != NULL && i < settings->count; i++) {
		if (slice_equal(settings->entries[i].key.text, key))
			return span_text(settings->entries[i].value->span);
	}
	return SLICE("");
}

static void print_value(struct buffer *out, const char *name, struct slice value)
{
	buffer_format(out, ",\"%s\":", name);
	if (value.size != 0)
		json_quote(out, value);
	else
		buffer_append_string(out, "null");
}

static void print_differences(struct buffer *out, const struct syntax_settings *these, const struct syntax_settings *others,
                              bool these_are_old, const char **comma)
{
	for (uint32_t i = 0; these != NULL && i < these->count; i++) {
		struct slice key = these->entries[i].key.text;
		struct slice mine = span_text(these->entries[i].value->span);
		struct slice other = value_of(others, key);
		if (slice_equal(mine, other) || (these_are_old && other.size != 0))
			continue; /* what both have is told with the new ones */
		buffer_format(out, "%s{\"setting\":", *comma);
		json_quote(out, key);
		print_value(out, "old", these_are_old ? mine : other);
		print_value(out, "new", these_are_old ? other : mine);
		buffer_append_char(out, '}');
		*comma = ",";
	}
}

static void print_settings(struct buffer *out, const struct definition *before, const struct definition *after)
{
	struct parsed old;
	struct parsed new;
	const char *comma = "";
	parse(&old, before->source);
	parse(&new, after->source);
	print_differences(out, settings_of(&new), settings_of(&old), false, &comma);
	print_differences(out, settings_of(&old), settings_of(&new), true, &comma);
	parsed_finish(&new);
	parsed_finish(&old);
}

/* --- places -------------------------------------------------------------------------------------------------------- */

static void print_places(const struct node *node, const struct job_settings *settings, struct buffer *out)
{
	struct scheduler_placement *placements = mem_array(TASKS_PLANNED_MAX, sizeof *placements);
	struct buffer why = BUFFER_EMPTY;
	struct scheduler *scheduler = node->placing->scheduler;
	uint32_t tasks = settings->count < TASKS_PLANNED_MAX ? settings->count : TASKS_PLANNED_MAX;
	size_t placed = scheduler != NULL ? scheduler_plan(scheduler, settings, tasks, placements, TASKS_PLANNED_MAX, &why) : 0;
	bool everywhere = settings->type == JOB_SYSTEM;
	buffer_format(out, ",\"tasks\":%zu,\"unplaced\":%zu,\"placements\":[", everywhere ? placed : (size_t)settings->count,
	              everywhere ? (size_t)0 : tasks - placed);
	for (size_t i = 0; i < placed; i++) {
		const struct node_use *use = machine_node(node->machine, placements[i].node);
		buffer_format(out, "%s{\"task\":%u,\"node\":", i > 0 ? "," : "", placements[i].task);
		json_quote(out, use != NULL ? slice_of(use->name) : SLICE(""));
		buffer_format(out, ",\"evicts\":%zu}", placements[i].victim_count);
	}
	buffer_append_string(out, "],\"why\":");
	json_quote(out, buffer_slice(&why));
	buffer_finish(&why);
	mem_free(placements);
}

static void print_job(const struct node *node, const struct definition *definition, struct buffer *out)
{
	const struct job *job =
		definition->job->type != JOB_BATCH ? machine_job_named(node->machine, definition->name) : NULL;
	bool same = job != NULL && job->definition->version == definition->version;
	buffer_append_string(out, "{\"name\":");
	json_quote(out, definition->name);
	buffer_format(out, ",\"version\":%u,\"type\":\"%s\",\"id\":%" PRIu64 ",\"running_version\":%u,\"change\":\"%s\"",
	              definition->version, job_type_name(definition->job->type), job != NULL ? job->id : 0,
	              job != NULL ? job->definition->version : 0, job == NULL ? "started" : same ? "unchanged" : "updated");
	buffer_append_string(out, ",\"settings\":[");
	if (job != NULL && !same)
		print_settings(out, job->definition, definition);
	buffer_append_char(out, ']');
	if (!same)
		print_places(node, definition->job, out);
	buffer_append_char(out, '}');
}

void plan_answer(const struct request *request, const struct registration *registration, struct slice warnings)
{
	struct buffer text = BUFFER_EMPTY;
	uint32_t count = 0;
	buffer_append_string(&text, "{\"jobs\":[");
	for (uint32_t i = 0; i < registration->count; i++) {
		if (registration->entries[i].definition->kind != DEFINITION_JOB)
			continue;
		buffer_append_string(&text, count++ > 0 ? "," : "");
		print_job(request->node, registration->entries[i].definition, &text);
	}
	buffer_append_string(&text, "],\"diagnostics\":");
	json_quote(&text, warnings);
	buffer_append_char(&text, '}');
	if (count == 0)
		request_refuse(request, ERR_NOT_FOUND, "there is no job in what was given");
	else
		respond_text(request, buffer_slice(&text));
	buffer_finish(&text);
}

void request_explain_job(const struct request *request)
{
	struct buffer text = BUFFER_EMPTY;
	struct buffer why = BUFFER_EMPTY;
	const struct scheduler *scheduler = request->node->placing->scheduler;
	uint64_t id = request->message->explain_job->job;
	uint32_t waiting = 0;
	if (scheduler != NULL && machine_job(request->node->machine, id) != NULL) {
		waiting = scheduler_waiting(scheduler, id);
		scheduler_explain(scheduler, id, &why);
	}
	buffer_format(&text, "{\"waiting\":%u,\"why\":", waiting);
	json_quote(&text, buffer_slice(&why));
	buffer_append_char(&text, '}');
	respond_text(request, buffer_slice(&text));
	buffer_finish(&why);
	buffer_finish(&text);
}
