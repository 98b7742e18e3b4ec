#include "workflow/definition.h"

#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"

const char *definition_kind_name(enum definition_kind kind)
{
	static const char *const names[] = {"process", "workflow", "job"};
	return names[kind];
}

/* Which parameter a key names; param_count: none. */
static uint32_t find_param(const struct definition *definition, struct slice key)
{
	uint32_t index = 0;
	while (index < definition->param_count && !json_key_equal(key, definition->params[index].name))
		index++;
	return index;
}

static int refuse_unknown(const struct definition *definition, struct slice key, struct error *error)
{
	struct slice shown = utf8_cut(key, 80);
	if (definition->param_count == 0)
		return error_set(error, ERR_TYPE, "`%.*s` takes no arguments, and `%.*s` was given",
		                 SLICE_ARGS(definition->name), SLICE_ARGS(shown));
	struct slice signature = utf8_cut(definition->signature, 200);
	return error_set(error, ERR_TYPE, "`%.*s` has no parameter `%.*s`; it takes %.*s", SLICE_ARGS(definition->name),
	                 SLICE_ARGS(shown), SLICE_ARGS(signature));
}

/* One value for each parameter; data NULL: not given. */
static int take_values(const struct definition *definition, struct slice json, struct slice *values,
                       struct error *error)
{
	struct json_iterator iterator = {.first = true};
	struct slice key;
	struct slice value;
	json_iterate(&iterator, json);
	while (json_next(&iterator, &key, &value)) {
		uint32_t index = find_param(definition, key);
		if (index == definition->param_count)
			return refuse_unknown(definition, key, error);
		values[index] = value;
	}
	return 0;
}

static int append_value(const struct param *param, struct slice value, struct buffer *out, struct error *error)
{
	json_quote(out, param->name);
	buffer_append_char(out, ':');
	if (value.data == NULL) {
		if (!param->has_default)
			return error_set(error, ERR_TYPE, "argument `%.*s` is missing", SLICE_ARGS(param->name));
		buffer_append_slice(out, param->default_json);
		return 0;
	}
	int result = type_accept(param->type, value, TYPE_ARGUMENT, out, error);
	if (result < 0 && error != NULL)
		error_prefix(error, "argument `%.*s`", SLICE_ARGS(param->name));
	return result;
}

int definition_accept_args(const struct definition *definition, struct slice json, struct buffer *out,
                           struct error *error)
{
	size_t before = out->size;
	int result = json_check(json, error);
	if (result < 0)
		return result;
	json = json_trim(json);
	if (json_kind(json) != JSON_OBJECT)
		return error_set(error, ERR_TYPE, "arguments are one JSON object keyed by parameter");
	struct slice *values = mem_array((size_t)definition->param_count + 1, sizeof *values);
	result = take_values(definition, json, values, error);
	buffer_append_char(out, '{');
	for (uint32_t i = 0; result == 0 && i < definition->param_count; i++) {
		if (i > 0)
			buffer_append_char(out, ',');
		result = append_value(&definition->params[i], values[i], out, error);
	}
	buffer_append_char(out, '}');
	if (result < 0)
		out->size = before;
	mem_free(values);
	return result;
}
