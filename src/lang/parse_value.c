/* literal, value, const, settings */
#include "lang/parse.h"

#include "lang/parser.h"

enum flavour { FLAVOUR_CONST, FLAVOUR_SETTING };

static struct syntax_value *parse_value(struct parser *p, enum flavour flavour);

static struct syntax_value *value_make(struct parser *p, enum syntax_value_kind kind, uint32_t first)
{
	struct syntax_value *value = arena_alloc(p->arena, sizeof *value);
	value->kind = kind;
	value->span = parse_span(p, first);
	value->text = span_text(value->span);
	return value;
}

struct syntax_value *parse_literal(struct parser *p)
{
	enum syntax_value_kind kind;
	switch (parse_kind(p, 0)) {
	case TOKEN_STRING:
		kind = SYNTAX_VALUE_STRING;
		break;
	case TOKEN_NUMBER:
		kind = SYNTAX_VALUE_NUMBER;
		break;
	case TOKEN_DURATION:
		kind = SYNTAX_VALUE_DURATION;
		break;
	case TOKEN_TRUE:
		kind = SYNTAX_VALUE_TRUE;
		break;
	case TOKEN_FALSE:
		kind = SYNTAX_VALUE_FALSE;
		break;
	case TOKEN_NULL:
		kind = SYNTAX_VALUE_NULL;
		break;
	default:
		return NULL;
	}
	p->at++;
	struct syntax_value *value = value_make(p, kind, p->at - 1);
	if (kind == SYNTAX_VALUE_DURATION && parser_duration(value->text, &value->duration_ms) != 0)
		p->failed = true; /* the lexer has reported it */
	return value;
}

struct value_context {
	enum flavour flavour;
};

static bool list_item(struct parser *p, void *context)
{
	struct value_context *list = context;
	struct syntax_value *value = parse_value(p, list->flavour);
	if (value == NULL)
		return false;
	buffer_append(&p->scratch, &value, sizeof value);
	return true;
}

static struct syntax_value *parse_list(struct parser *p, enum flavour flavour)
{
	struct value_context context = {flavour};
	struct scope scope = parse_begin(p);
	size_t mark = p->scratch.size;
	if (!parse_enter(p))
		return NULL;
	parse_items(p, &scope, list_item, &context);
	parse_leave(p);
	struct syntax_value *value = value_make(p, SYNTAX_VALUE_LIST, scope.open);
	value->items = parse_collect(p, mark, sizeof *value->items, &value->item_count);
	return value;
}

static bool object_entry(struct parser *p, void *context)
{
	struct value_context *object = context;
	struct syntax_entry entry = {0};
	if (!parse_key(p, "a key", &entry.key) ||
	    !parse_expect_sign(p, TOKEN_COLON, "\":\"", "between braces a value is written {key: value}"))
		return false;
	entry.value = parse_value(p, object->flavour);
	if (entry.value == NULL)
		return false;
	buffer_append(&p->scratch, &entry, sizeof entry);
	return true;
}

static struct syntax_value *parse_object(struct parser *p, enum flavour flavour)
{
	struct value_context context = {flavour};
	struct scope scope = parse_begin(p);
	size_t mark = p->scratch.size;
	if (!parse_enter(p))
		return NULL;
	parse_items(p, &scope, object_entry, &context);
	parse_leave(p);
	struct syntax_value *value = value_make(p, SYNTAX_VALUE_OBJECT, scope.open);
	value->entries = parse_collect(p, mark, sizeof *value->entries, &value->entry_count);
	parse_refuse_twice(p, value->entries, value->entry_count, sizeof *value->entries, "this key");
	return value;
}

static struct syntax_value *parse_value(struct parser *p, enum flavour flavour)
{
	struct syntax_value *value = parse_literal(p);
	enum token_kind kind = parse_kind(p, 0);
	if (value != NULL)
		return value;
	if (kind == TOKEN_BRACKET_OPEN)
		return parse_list(p, flavour);
	if (kind == TOKEN_BRACE_OPEN)
		return parse_object(p, flavour);
	if (flavour == FLAVOUR_SETTING && (kind == TOKEN_LOWER || kind == TOKEN_UPPER)) {
		p->at++;
		return value_make(p, kind == TOKEN_LOWER ? SYNTAX_VALUE_LOWER : SYNTAX_VALUE_UPPER, p->at - 1);
	}
	struct diagnostic *diagnostic = parse_unexpected(p, flavour == FLAVOUR_CONST ? "a constant" : "a value");
	if (flavour == FLAVOUR_CONST && kind == TOKEN_LOWER)
		diagnostics_hint(p->diagnostics, diagnostic, "a default is written out; text stands in double quotes");
	return NULL;
}

struct syntax_value *parse_const(struct parser *p)
{
	return parse_value(p, FLAVOUR_CONST);
}

static bool starts_setting(const struct parser *p, uint32_t index)
{
	return index + 1 < p->end && token_is_key(p->tokens[index].kind) && p->tokens[index + 1].kind == TOKEN_EQUAL;
}

static bool parse_setting(struct parser *p, struct syntax_setting *ret_setting)
{
	uint32_t first = p->at;
	if (!parse_key(p, "a setting's name", &ret_setting->key) ||
	    !parse_expect_sign(p, TOKEN_EQUAL, "\"=\"", "a setting is written name = value"))
		return false;
	ret_setting->value = parse_value(p, FLAVOUR_SETTING);
	if (ret_setting->value == NULL)
		return false;
	ret_setting->span = parse_span(p, first);
	return true;
}

void parse_settings_entries(struct parser *p, uint32_t close, struct syntax_settings *ret_settings)
{
	size_t mark = p->scratch.size;
	while (p->at < close && !p->hopeless) {
		uint32_t start = p->at;
		struct syntax_setting setting = {0};
		if (parse_setting(p, &setting))
			buffer_append(&p->scratch, &setting, sizeof setting);
		else
			parse_resync(p, start, close, starts_setting);
		if (parse_kind(p, 0) == TOKEN_COMMA) {
			struct diagnostic *diagnostic = parse_error(p, p->at, "settings are not separated by commas");
			diagnostics_hint(p->diagnostics, diagnostic, "leave it out");
			p->at++;
		}
	}
	ret_settings->entries = parse_collect(p, mark, sizeof *ret_settings->entries, &ret_settings->count);
}

struct syntax_settings *parse_settings(struct parser *p, const char *expected)
{
	struct scope scope;
	struct syntax_settings *settings = arena_alloc(p->arena, sizeof *settings);
	if (!parse_open(p, TOKEN_BRACE_OPEN, expected, &scope) || !parse_enter(p))
		return NULL;
	parse_settings_entries(p, scope.close, settings);
	parse_leave(p);
	parse_close(p, &scope);
	settings->span = parse_span(p, scope.open);
	return settings;
}
