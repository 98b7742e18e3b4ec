#include "workflow/check_settings.h"

#include "base/json.h"
#include "workflow/quantity.h"

/* How many, and where. */

void job_count(struct setting_context *context, const struct syntax_setting *setting)
{
	setting_integer(context, &setting->key, setting->value, 1, JOB_COUNT_MAX, &context->definition->job->count);
}

void job_placement(struct setting_context *context, const struct syntax_setting *setting)
{
	static const char *const words[] = {"spread", "pack", "random", "pinned", NULL};
	static const enum job_placement values[] = {JOB_SPREAD, JOB_PACK, JOB_RANDOM, JOB_PINNED};
	uint32_t index;
	if (setting_choice(context, &setting->key, setting->value, words, &index))
		context->definition->job->placement = values[index];
}

/* The item of a value that is a list, or stands for a list of one. */
static const struct syntax_value *item_of(const struct syntax_value *value, uint32_t index)
{
	return value->kind == SYNTAX_VALUE_LIST ? value->items[index] : value;
}

/* Longer than what it could be the name of. */
static bool is_name(const struct setting_context *context, const struct syntax_value *value, struct slice name)
{
	if (name.size <= JOB_NAME_SIZE_MAX)
		return true;
	diagnostics_error(context->checker->diagnostics, value->span, "this name has %zu bytes; the limit is %u",
	                  name.size, JOB_NAME_SIZE_MAX);
	return false;
}

void job_nodes(struct setting_context *context, const struct syntax_setting *setting)
{
	struct job_settings *job = context->definition->job;
	struct slice *nodes;
	uint32_t count;
	if (!setting_texts(context, &setting->key, setting->value, "the name of a node, or a list of names, in quotes",
	                   JOB_NODES_MAX, &nodes, &count))
		return;
	if (count == 0) {
		setting_refuse(context, &setting->key, setting->value, "at least one node");
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		const struct syntax_value *item = item_of(setting->value, i);
		uint32_t same = 0;
		while (!slice_equal(nodes[same], nodes[i]))
			same++;
		if (same < i)
			diagnostics_error(context->checker->diagnostics, item->span, "`%.*s` is there twice",
			                  SLICE_ARGS(nodes[i]));
		is_name(context, item, nodes[i]);
	}
	job->nodes = nodes;
	job->node_count = count;
}

static bool take_tag(const struct setting_context *context, const struct syntax_value *value, struct slice text,
                     const struct job_tag *before, uint32_t before_count, struct job_tag *tag)
{
	tag->without = text.data[0] == '!';
	tag->text = (struct slice){text.data + tag->without, text.size - tag->without};
	if (tag->text.size == 0 || tag->text.data[0] == '!' || tag->text.data[0] == '=') {
		diagnostics_error(context->checker->diagnostics, value->span,
		                  "a tag is written \"gpu\" or \"zone=b\", or \"!gpu\" for nodes that do not have it");
		return false;
	}
	for (uint32_t i = 0; i < before_count; i++) {
		if (!slice_equal(before[i].text, tag->text))
			continue;
		if (before[i].without == tag->without)
			diagnostics_error(context->checker->diagnostics, value->span, "`%.*s` is there twice",
			                  SLICE_ARGS(text));
		else
			diagnostics_error(context->checker->diagnostics, value->span,
			                  "no node both has `%.*s` and does not", SLICE_ARGS(tag->text));
		return false;
	}
	return is_name(context, value, tag->text);
}

void job_on(struct setting_context *context, const struct syntax_setting *setting)
{
	struct job_settings *job = context->definition->job;
	struct slice *texts;
	uint32_t count;
	if (!setting_texts(context, &setting->key, setting->value, "a tag, or a list of tags, in quotes",
	                   JOB_CONSTRAINTS_MAX, &texts, &count))
		return;
	job->on = arena_alloc(&context->checker->unit->arena, (count + 1) * sizeof *job->on);
	for (uint32_t i = 0; i < count; i++)
		if (take_tag(context, item_of(setting->value, i), texts[i], job->on, job->on_count,
		             &job->on[job->on_count]))
			job->on_count++;
}

void job_datacenter(struct setting_context *context, const struct syntax_setting *setting)
{
	struct slice name;
	if (!setting_text(context, &setting->key, setting->value, "the name of a datacenter, in quotes", &name))
		return;
	if (name.size == 0)
		setting_refuse(context, &setting->key, setting->value, "the name of a datacenter, in quotes");
	else if (is_name(context, setting->value, name))
		context->definition->job->datacenter = name;
}

/* What it takes there. */

void job_priority(struct setting_context *context, const struct syntax_setting *setting)
{
	setting_integer(context, &setting->key, setting->value, 1, JOB_PRIORITY_MAX,
	                &context->definition->job->priority);
}

void job_cpu(struct setting_context *context, const struct syntax_setting *setting)
{
	const struct syntax_value *value = setting->value;
	uint64_t thousandths;
	if (value->kind == SYNTAX_VALUE_NUMBER &&
	    quantity_decimal(value->text, 1000, JOB_CPU_MAX, true, &thousandths)) {
		context->definition->job->cpu = (uint32_t)thousandths;
		return;
	}
	struct diagnostic *diagnostic = setting_refuse(
		context, &setting->key, value,
		check_format(context->checker, "processors, from 0 to %u, to a thousandth of one", JOB_CPU_MAX / 1000));
	diagnostics_hint(context->checker->diagnostics, diagnostic, "half of one: cpu = 0.5");
}

static void take_bytes(struct setting_context *context, const struct syntax_setting *setting, const char *nothing,
                       uint64_t *ret_bytes)
{
	const struct syntax_value *value = setting->value;
	struct diagnostics *diagnostics = context->checker->diagnostics;
	struct slice text = value->text;
	uint64_t bytes;
	struct diagnostic *diagnostic;
	if (value->kind == SYNTAX_VALUE_STRING && !setting_text(context, &setting->key, value, "bytes", &text))
		return;
	if ((value->kind != SYNTAX_VALUE_STRING && value->kind != SYNTAX_VALUE_NUMBER) ||
	    !quantity_bytes(text, JOB_MEMORY_MAX, &bytes)) {
		diagnostic = setting_refuse(
			context, &setting->key, value,
			"bytes, up to \"1024TiB\": a number, or one with B, KiB, MiB, GiB or TiB in quotes");
		diagnostics_hint(diagnostics, diagnostic, "\"256MiB\", \"1.5GiB\"");
	} else if (bytes != 0 && bytes < JOB_MEMORY_MIN) {
		diagnostic = setting_refuse(context, &setting->key, value,
		                            check_format(context->checker, "at least a MiB, or 0 for %s", nothing));
		if (value->kind == SYNTAX_VALUE_NUMBER)
			diagnostics_hint(diagnostics, diagnostic, "a number is one of bytes; \"%.*sMiB\"?",
			                 SLICE_ARGS(text));
	} else {
		*ret_bytes = bytes;
	}
}

void job_memory(struct setting_context *context, const struct syntax_setting *setting)
{
	take_bytes(context, setting, "no limit", &context->definition->job->memory);
}

void job_disk(struct setting_context *context, const struct syntax_setting *setting)
{
	take_bytes(context, setting, "what the node says", &context->definition->job->disk);
}

void job_processes(struct setting_context *context, const struct syntax_setting *setting)
{
	setting_integer(context, &setting->key, setting->value, 0, JOB_PROCESSES_MAX, &context->definition->job->processes);
}

/* Ports. */

static bool is_port_name(struct slice name)
{
	for (size_t i = 0; i < name.size; i++) {
		char c = name.data[i];
		bool fine = (c >= 'a' && c <= 'z') || (i > 0 && ((c >= '0' && c <= '9') || c == '_'));
		if (!fine)
			return false;
	}
	return name.size > 0 && name.size <= JOB_NAME_SIZE_MAX;
}

/* Adds one, unless it is wrong. */
static void add_port(const struct setting_context *context, struct span span, struct slice name, uint32_t number)
{
	struct job_settings *job = context->definition->job;
	struct diagnostics *diagnostics = context->checker->diagnostics;
	if (!is_port_name(name)) {
		struct diagnostic *diagnostic = diagnostics_error(
			diagnostics, span, "the name of a port is of small letters, digits and _, up to %u",
			JOB_NAME_SIZE_MAX);
		diagnostics_hint(diagnostics, diagnostic, "\"http\" is in the environment as CLUSTERD_PORT_HTTP");
		return;
	}
	for (uint32_t i = 0; i < job->port_count; i++) {
		if (slice_equal(job->ports[i].name, name)) {
			diagnostics_error(diagnostics, span, "port `%.*s` is there twice", SLICE_ARGS(name));
			return;
		}
		if (number != 0 && job->ports[i].number == number) {
			diagnostics_error(diagnostics, span, "port %u is `%.*s` already", number,
			                  SLICE_ARGS(job->ports[i].name));
			return;
		}
	}
	job->ports[job->port_count++] = (struct job_port){unit_keep(context->checker->unit, name), (uint16_t)number};
}

static void take_fixed_port(const struct setting_context *context, const struct syntax_entry *entry)
{
	long long number = 0;
	if (entry->value->kind == SYNTAX_VALUE_NUMBER && json_integer(entry->value->text, 0, 65535, &number) == 0)
		add_port(context, entry->key.span, entry->key.text, (uint32_t)number);
	else
		diagnostics_error(context->checker->diagnostics, entry->value->span,
		                  "a port is a number up to 65535, or 0 for a free one");
}

void job_ports(struct setting_context *context, const struct syntax_setting *setting)
{
	const struct syntax_value *value = setting->value;
	struct job_settings *job = context->definition->job;
	bool fixed = value->kind == SYNTAX_VALUE_OBJECT;
	if (value->kind != SYNTAX_VALUE_LIST && !fixed) {
		setting_refuse(context, &setting->key, value,
		               "names in a list for free ports, [\"http\"], or with their numbers, {http: 8080}");
		return;
	}
	uint32_t count = fixed ? value->entry_count : value->item_count;
	if (!setting_fits(context, &setting->key, value, count, JOB_PORTS_MAX))
		return;
	job->ports = arena_alloc(&context->checker->unit->arena, (count + 1) * sizeof *job->ports);
	for (uint32_t i = 0; i < count; i++) {
		struct slice name;
		if (fixed)
			take_fixed_port(context, &value->entries[i]);
		else if (setting_text(context, &setting->key, value->items[i], "names of ports, in quotes", &name))
			add_port(context, value->items[i]->span, name, 0);
	}
}
