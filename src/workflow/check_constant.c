#include "base/json.h"
#include "workflow/check.h"

#include <inttypes.h>

static void render_list(const struct syntax_value *value, struct buffer *out)
{
	buffer_append_char(out, '[');
	for (uint32_t i = 0; i < value->item_count; i++) {
		if (i > 0)
			buffer_append_char(out, ',');
		check_render_value(value->items[i], out);
	}
	buffer_append_char(out, ']');
}

static void render_object(const struct syntax_value *value, struct buffer *out)
{
	buffer_append_char(out, '{');
	for (uint32_t i = 0; i < value->entry_count; i++) {
		if (i > 0)
			buffer_append_char(out, ',');
		json_quote(out, value->entries[i].key.text);
		buffer_append_char(out, ':');
		check_render_value(value->entries[i].value, out);
	}
	buffer_append_char(out, '}');
}

void check_render_value(const struct syntax_value *value, struct buffer *out)
{
	switch (value->kind) {
	case SYNTAX_VALUE_STRING:
	case SYNTAX_VALUE_NUMBER:
		buffer_append_slice(out, value->text);
		break;
	case SYNTAX_VALUE_LOWER:
	case SYNTAX_VALUE_UPPER:
		json_quote(out, value->text);
		break;
	case SYNTAX_VALUE_DURATION:
		buffer_format(out, "%" PRId64, value->duration_ms);
		break;
	case SYNTAX_VALUE_TRUE:
		buffer_append_string(out, "true");
		break;
	case SYNTAX_VALUE_FALSE:
		buffer_append_string(out, "false");
		break;
	case SYNTAX_VALUE_NULL:
		buffer_append_string(out, "null");
		break;
	case SYNTAX_VALUE_LIST:
		render_list(value, out);
		break;
	case SYNTAX_VALUE_OBJECT:
		render_object(value, out);
		break;
	}
}

bool check_default(struct checker *checker, const struct syntax_value *value, const struct type *type,
                   struct slice name, struct slice *ret_json)
{
	struct buffer written = BUFFER_EMPTY;
	struct buffer accepted = BUFFER_EMPTY;
	struct error error = {0};
	bool fine = false;
	check_render_value(value, &written);
	/* Before it is checked, too: what is filled in may be larger than what is written. */
	if (written.size <= CHECK_DEFAULT_SIZE_MAX &&
	    type_accept(type, buffer_slice(&written), TYPE_ARGUMENT, &accepted, &error) < 0) {
		struct diagnostic *diagnostic =
			diagnostics_error(checker->diagnostics, value->span, "this is no default for `%.*s`: %s",
		                          SLICE_ARGS(name), error.text);
		diagnostics_hint(checker->diagnostics, diagnostic, "`%.*s` is %s", SLICE_ARGS(name),
		                 check_show(checker, type));
	} else if (written.size > CHECK_DEFAULT_SIZE_MAX || accepted.size > CHECK_DEFAULT_SIZE_MAX) {
		diagnostics_error(checker->diagnostics, value->span,
		                  "this default takes %zu bytes as JSON; the limit is %u",
		                  written.size > accepted.size ? written.size : accepted.size, CHECK_DEFAULT_SIZE_MAX);
	} else {
		fine = true;
		ret_json->data = arena_string(&checker->unit->arena, buffer_slice(&accepted));
		ret_json->size = accepted.size;
	}
	buffer_finish(&written);
	buffer_finish(&accepted);
	return fine;
}
