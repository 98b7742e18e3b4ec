#include "workflow/check_settings.h"

#include <string.h>

/* `program = {path: "solve", sha256: "…", size: 1048576, at: ["node1", "node2"]}`: a program that was submitted. It is not in the
 * log; nodes that need it get it from nodes that have it. */

static const char due[] = "{path: \"solve\", sha256: \"…\", size: 1048576, at: [\"node1\"]}";

static void take_hash(const struct setting_context *context, const struct syntax_entry *entry, struct slice *ret_hash)
{
	struct slice text;
	if (!setting_text(context, &entry->key, entry->value, "64 hex digits in quotes", &text))
		return;
	size_t digits = 0;
	while (digits < text.size && ((text.data[digits] >= '0' && text.data[digits] <= '9') ||
	                              (text.data[digits] >= 'a' && text.data[digits] <= 'f')))
		digits++;
	if (digits == text.size && digits == JOB_PROGRAM_HASH_SIZE)
		*ret_hash = text;
	else
		setting_refuse(context, &entry->key, entry->value, "64 hex digits, in lower case, in quotes");
}

static void take_path(const struct setting_context *context, const struct syntax_entry *entry, struct slice *ret_path)
{
	struct slice text;
	if (!setting_text(context, &entry->key, entry->value, "the name of a file in quotes", &text))
		return;
	const char *fault = check_path_fault(text);
	if (fault == NULL && memchr(text.data, '/', text.size) != NULL)
		fault = "is more than the name of a file";
	if (fault == NULL)
		*ret_path = text;
	else
		diagnostics_error(context->checker->diagnostics, entry->value->span, "this path %s", fault);
}

static void take_entry(const struct setting_context *context, const struct syntax_entry *entry, struct job_program *program)
{
	uint32_t size;
	if (slice_is(entry->key.text, "path"))
		take_path(context, entry, &program->path);
	else if (slice_is(entry->key.text, "sha256"))
		take_hash(context, entry, &program->hash);
	else if (slice_is(entry->key.text, "size")) {
		if (setting_integer(context, &entry->key, entry->value, 1, JOB_PROGRAM_SIZE_MAX, &size))
			program->size = size;
	} else if (slice_is(entry->key.text, "at"))
		setting_texts(context, &entry->key, entry->value, "names of nodes, in quotes", JOB_PROGRAM_NODES_MAX,
		              &program->at, &program->at_count);
	else
		diagnostics_error(context->checker->diagnostics, entry->key.span,
		                  "`program` has path, sha256, size and at, not `%.*s`", SLICE_ARGS(entry->key.text));
}

void job_program(struct setting_context *context, const struct syntax_setting *setting)
{
	const struct syntax_value *value = setting->value;
	struct job_program program = {0};
	size_t before = context->checker->diagnostics->error_count;
	if (value->kind != SYNTAX_VALUE_OBJECT) {
		setting_refuse(context, &setting->key, value, due);
		return;
	}
	for (uint32_t i = 0; i < value->entry_count; i++)
		take_entry(context, &value->entries[i], &program);
	bool whole = program.path.size != 0 && program.hash.size != 0 && program.size != 0;
	if (!whole && context->checker->diagnostics->error_count == before)
		setting_refuse(context, &setting->key, value, due);
	if (whole)
		context->definition->job->program = program;
}
