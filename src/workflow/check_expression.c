#include "workflow/check.h"

#include <inttypes.h>

const char *check_format(struct checker *checker, const char *format, ...)
{
	struct buffer out = BUFFER_EMPTY;
	va_list args;
	va_start(args, format);
	buffer_formatv(&out, format, args);
	va_end(args);
	const char *text = arena_string(&checker->arena, buffer_slice(&out));
	buffer_finish(&out);
	return text;
}

struct core *check_new(struct checker *checker, enum core_kind kind, const struct type *type, struct span span)
{
	if (++checker->node_count == CHECK_NODES_MAX)
		diagnostics_error(checker->diagnostics, span,
		                  "with the defaults filled in there are more than %u expressions in these files",
		                  CHECK_NODES_MAX);
	struct core *core = arena_alloc(&checker->arena, sizeof *core);
	core->kind = kind;
	core->type = type;
	core->span = span;
	return core;
}

struct core *check_constant(struct checker *checker, const struct type *type, struct slice json, struct span span)
{
	struct core *core = check_new(checker, CORE_CONSTANT, type, span);
	core->constant = true;
	core->json = json;
	return core;
}

/* Two open names, or an open one where a declared one is due: perhaps only misspelt. */
static bool hint_open_type(struct checker *checker, struct diagnostic *diagnostic, const struct type *type)
{
	struct suggestion suggestion;
	if (type == NULL || type->kind != TYPE_OPEN || !check_may_suggest(checker))
		return false;
	check_suggest_type(checker, type->name, &suggestion);
	if (suggestion.nearest.size == 0)
		return false;
	diagnostics_hint(checker->diagnostics, diagnostic,
	                 "nothing declares type `%.*s`, so it equals only itself; did you mean `%.*s`?",
	                 SLICE_ARGS(type->name), SLICE_ARGS(suggestion.nearest));
	return true;
}

void check_mismatch(struct checker *checker, struct span span, const struct expected *expected,
                    const struct type *type, const char *found)
{
	struct diagnostic *diagnostic = diagnostics_error(
		checker->diagnostics, span, "expected %s, found %s", check_show(checker, expected->type),
		found != NULL ? found : check_show(checker, type));
	if (expected->why != NULL && expected->span.source != NULL)
		diagnostics_note(checker->diagnostics, diagnostic, expected->span, "%s is %s", expected->why,
		                 check_show(checker, expected->type));
	if (!hint_open_type(checker, diagnostic, type) && !hint_open_type(checker, diagnostic, expected->type) &&
	    expected->why != NULL && expected->span.source == NULL)
		diagnostics_hint(checker->diagnostics, diagnostic, "%s is %s", expected->why,
		                 check_show(checker, expected->type));
}

struct core *check_needs_type(struct checker *checker, const struct syntax_expr *expr,
                              const struct expected *expected, const char *what)
{
	if (expected->unknown)
		return NULL;
	struct diagnostic *diagnostic =
		diagnostics_error(checker->diagnostics, expr->span,
	                          "%s takes the type that is expected of it, and none is expected here", what);
	diagnostics_hint(checker->diagnostics, diagnostic, "say which: … as TYPE");
	return NULL;
}

struct core *check_conform(struct checker *checker, struct core *core, const struct expected *expected)
{
	if (core == NULL || core->type == NULL)
		return NULL;
	if (expected->type == NULL || expected->type->kind == TYPE_JSON ||
	    check_same(checker, core->type, expected->type))
		return core;
	check_mismatch(checker, core->span, expected, core->type, NULL);
	return NULL;
}

bool check_takes_anything(const struct type *type)
{
	return type != NULL && (type->kind == TYPE_OPEN || type->kind == TYPE_JSON);
}

static struct core *check_literal(struct checker *checker, const struct syntax_expr *expr,
                                  const struct expected *expected)
{
	const struct syntax_value *literal = expr->literal;
	const struct type *type = &check_type_unit;
	struct slice json = literal->text;
	switch (literal->kind) {
	case SYNTAX_VALUE_STRING:
		type = &check_type_text;
		break;
	case SYNTAX_VALUE_NUMBER:
		type = &check_type_number;
		break;
	case SYNTAX_VALUE_DURATION:
		type = &check_type_duration;
		json = slice_of(check_format(checker, "%" PRId64, literal->duration_ms));
		break;
	case SYNTAX_VALUE_TRUE:
	case SYNTAX_VALUE_FALSE:
		type = &check_type_bool;
		json = literal->kind == SYNTAX_VALUE_TRUE ? SLICE("true") : SLICE("false");
		break;
	default:
		json = SLICE("null");
	}
	if (check_takes_anything(expected->type))
		type = expected->type;
	return check_conform(checker, check_constant(checker, type, json, expr->span), expected);
}

/* () */
static struct core *check_unit(struct checker *checker, const struct syntax_expr *expr,
                               const struct expected *expected)
{
	const struct type *type = check_takes_anything(expected->type) ? expected->type : &check_type_unit;
	return check_conform(checker, check_constant(checker, type, SLICE("null"), expr->span), expected);
}

static struct core *check_name(struct checker *checker, const struct syntax_expr *expr,
                               const struct expected *expected)
{
	struct variable *variable = check_variable(checker, expr->name);
	if (variable == NULL) {
		struct suggestion suggestion;
		struct diagnostic *diagnostic = diagnostics_error(checker->diagnostics, expr->span,
		                                                  "`%.*s` is not defined", SLICE_ARGS(expr->name));
		suggestion_init(&suggestion, expr->name);
		for (size_t i = 0; check_may_suggest(checker) && i < checker->scope_count && i < 1000; i++)
			suggestion_try(&suggestion, checker->scope[i]->name);
		if (suggestion.nearest.size != 0)
			diagnostics_hint(checker->diagnostics, diagnostic, "did you mean `%.*s`?",
			                 SLICE_ARGS(suggestion.nearest));
		return NULL;
	}
	variable->used = true;
	struct core *core = check_new(checker, CORE_VARIABLE, variable->type, expr->span);
	core->variable = variable;
	return check_conform(checker, core, expected);
}

static struct core *check_member(struct checker *checker, const struct syntax_expr *expr,
                                 const struct expected *expected)
{
	struct core *operand = check_expression(checker, expr->member.operand, EXPECTED_NONE);
	if (operand == NULL)
		return NULL;
	if (operand->type->kind != TYPE_RECORD) {
		diagnostics_error(checker->diagnostics, expr->member.key.span, "%s has no members",
		                  check_show(checker, operand->type));
		return NULL;
	}
	const struct type_member *member = check_find_member(operand->type, expr->member.key.text);
	if (member == NULL) {
		check_unknown_member(checker, operand->type, &expr->member.key);
		return NULL;
	}
	struct core *core = check_new(checker, CORE_MEMBER, member->type, expr->span);
	core->member.operand = operand;
	core->member.key = member->name;
	return check_conform(checker, core, expected);
}

static struct core *check_as(struct checker *checker, const struct syntax_expr *expr,
                             const struct expected *expected)
{
	struct expected said = {.type = check_type(checker, expr->as.type), .why = "the type after `as`"};
	said.unknown = said.type == NULL;
	said.span = expr->as.type->span;
	struct core *operand = check_expression(checker, expr->as.operand, &said);
	if (operand == NULL || said.unknown)
		return NULL;
	/* What checks against Json keeps a type of its own; from here on it is Json. */
	struct core *core = arena_alloc(&checker->arena, sizeof *core);
	*core = *operand;
	core->type = said.type;
	core->span = expr->span;
	return check_conform(checker, core, expected);
}

static struct core *check_each(struct checker *checker, const struct syntax_expr *expr,
                               const struct expected *expected)
{
	struct core *list = check_expression(checker, expr->each.list, EXPECTED_NONE);
	const struct type *item = NULL;
	struct expected result;
	if (list != NULL && list->type->kind == TYPE_LIST)
		item = list->type->parts[0];
	else if (list != NULL)
		diagnostics_error(checker->diagnostics, list->span, "`each` takes a list, and this is %s",
		                  check_show(checker, list->type));
	bool fine = item != NULL;
	if (expected->type != NULL && expected->type->kind != TYPE_LIST && expected->type->kind != TYPE_JSON) {
		check_mismatch(checker, check_head(expr->span, 4), expected, NULL, "the list of results of `each`");
		result = *EXPECTED_UNKNOWN;
		fine = false;
	} else if (expected->type != NULL) {
		result = check_part(expected, expected->type->parts[0]);
	} else {
		result = *expected;
	}
	size_t mark = check_scope_enter(checker);
	checker->guards++;
	struct core_pattern *pattern = check_pattern(checker, expr->each.pattern, item);
	struct core *body = check_block(checker, expr->each.body, &result);
	checker->guards--;
	check_scope_leave(checker, mark);
	if (!fine || pattern == NULL || body == NULL)
		return NULL;
	struct core *core = check_new(checker, CORE_EACH, check_list_type(checker, body->type), expr->span);
	core->each.pattern = pattern;
	core->each.list = list;
	core->each.body = body;
	core->each.limit = expr->each.limit;
	if (expected->type != NULL)
		core->type = expected->type;
	return check_type_fits(checker, core->type, expr->span) ? core : NULL;
}

/* `_ = sleep(d)`, which people write when they mean `… after sleep(d)`. */
static bool delays_nothing(const struct syntax_binding *binding)
{
	const struct syntax_expr *value = binding->value;
	while (value->kind == SYNTAX_EXPR_AFTER || value->kind == SYNTAX_EXPR_AS)
		value = value->kind == SYNTAX_EXPR_AFTER ? value->after.operand : value->as.operand;
	return binding->pattern->kind == SYNTAX_PATTERN_ANY && value->kind == SYNTAX_EXPR_SLEEP;
}

static bool check_binding(struct checker *checker, const struct syntax_binding *from, struct core_binding *binding)
{
	bool fine = true;
	if (delays_nothing(from)) {
		struct diagnostic *diagnostic =
			diagnostics_error(checker->diagnostics, from->span,
		                          "this delays nothing: what else is here does not wait for it");
		diagnostics_hint(checker->diagnostics, diagnostic, "write `… after %.*s` behind what shall wait",
		                 SLICE_ARGS(span_text(from->value->span)));
		fine = false;
	}
	binding->value = check_expression(checker, from->value, EXPECTED_NONE);
	binding->pattern = check_pattern(checker, from->pattern, binding->value != NULL ? binding->value->type : NULL);
	if (from->undo != NULL) {
		check_refuse(checker, from->undo->span, "`undo`");
		check_expression(checker, from->undo,
		                 check_synthesizes(checker, from->undo) ? EXPECTED_NONE : EXPECTED_UNKNOWN);
	}
	return fine && binding->value != NULL && binding->pattern != NULL;
}

struct core *check_block(struct checker *checker, const struct syntax_block *block, const struct expected *expected)
{
	size_t mark = check_scope_enter(checker);
	bool fine = true;
	struct core *core = check_new(checker, CORE_BLOCK, NULL, block->span);
	core->block.bindings = arena_alloc(&checker->arena, (block->binding_count + 1) * sizeof *core->block.bindings);
	core->block.count = block->binding_count;
	for (uint32_t i = 0; i < block->binding_count; i++)
		fine = check_binding(checker, &block->bindings[i], &core->block.bindings[i]) && fine;
	core->block.result = check_expression(checker, block->result, expected);
	check_scope_leave(checker, mark);
	if (!fine || core->block.result == NULL)
		return NULL;
	core->type = core->block.result->type;
	return block->binding_count == 0 ? core->block.result : core;
}

static struct core *check_fail(struct checker *checker, const struct syntax_expr *expr,
                               const struct expected *expected)
{
	check_refuse(checker, check_head(expr->span, 4), "`fail`");
	check_expression(checker, expr->operand,
	                 check_synthesizes(checker, expr->operand) ? EXPECTED_NONE : EXPECTED_UNKNOWN);
	if (expected->type == NULL)
		return check_needs_type(checker, expr, expected, "`fail`");
	return check_new(checker, CORE_REFUSED, expected->type, expr->span);
}

bool check_synthesizes(struct checker *checker, const struct syntax_expr *expr)
{
	bool some = false;
	switch (expr->kind) {
	case SYNTAX_EXPR_LEFT:
	case SYNTAX_EXPR_RIGHT:
	case SYNTAX_EXPR_FAIL:
		return false;
	case SYNTAX_EXPR_SIGNAL:
		return check_signal_find(checker->current, expr->signal.name.text) != NULL;
	case SYNTAX_EXPR_TRY:
		return check_synthesizes(checker, expr->attempt.body);
	case SYNTAX_EXPR_CASE:
		for (uint32_t i = 0; i < expr->choice.arm_count && !some; i++)
			some = check_synthesizes(checker, expr->choice.arms[i].body);
		return some;
	case SYNTAX_EXPR_RACE:
		some = expr->race.each != NULL && check_synthesizes(checker, expr->race.each);
		for (uint32_t i = 0; i < expr->race.arm_count && !some; i++)
			some = check_synthesizes(checker, expr->race.arms[i].body);
		return some;
	case SYNTAX_EXPR_EACH:
		return check_synthesizes(checker, expr->each.body->result);
	case SYNTAX_EXPR_WITH:
		return check_synthesizes(checker, expr->with.operand);
	case SYNTAX_EXPR_AFTER:
		return check_synthesizes(checker, expr->after.operand);
	case SYNTAX_EXPR_BLOCK:
		return check_synthesizes(checker, expr->block->result);
	case SYNTAX_EXPR_LIST:
		for (uint32_t i = 0; i < expr->list.count && !some; i++)
			some = check_synthesizes(checker, expr->list.items[i]);
		return some;
	case SYNTAX_EXPR_PAIR:
		return check_synthesizes(checker, expr->parts[0]) && check_synthesizes(checker, expr->parts[1]);
	case SYNTAX_EXPR_RECORD:
		some = true;
		for (uint32_t i = 0; i < expr->record.count && some; i++)
			some = check_synthesizes(checker, expr->record.fields[i].value);
		return some;
	default:
		return true;
	}
}

/* Only constants stand for an open type: each part of a list, pair or record has to be one. */
static struct core *check_open(struct checker *checker, const struct syntax_expr *expr,
                               const struct expected *expected);

struct core *check_expression(struct checker *checker, const struct syntax_expr *expr,
                              const struct expected *expected)
{
	/* Reported where the limit was passed; what comes after it is not looked at. */
	if (checker->node_count >= CHECK_NODES_MAX)
		return NULL;
	if (expected->type != NULL && expected->type->kind == TYPE_OPEN &&
	    (expr->kind == SYNTAX_EXPR_LIST || expr->kind == SYNTAX_EXPR_PAIR || expr->kind == SYNTAX_EXPR_RECORD))
		return check_open(checker, expr, expected);
	switch (expr->kind) {
	case SYNTAX_EXPR_LEFT:
	case SYNTAX_EXPR_RIGHT:
		return check_side(checker, expr, expected);
	case SYNTAX_EXPR_FAIL:
		return check_fail(checker, expr, expected);
	case SYNTAX_EXPR_TRY:
		return check_try(checker, expr, expected);
	case SYNTAX_EXPR_CASE:
		return check_case(checker, expr, expected);
	case SYNTAX_EXPR_RACE:
		return check_race(checker, expr, expected);
	case SYNTAX_EXPR_EACH:
		return check_each(checker, expr, expected);
	case SYNTAX_EXPR_MEMBER:
		return check_member(checker, expr, expected);
	case SYNTAX_EXPR_WITH:
		check_refuse(checker, expr->with.settings->span, "`with`");
		check_with(checker, expr->with.settings);
		return check_expression(checker, expr->with.operand, expected);
	case SYNTAX_EXPR_AFTER:
		return check_after(checker, expr, expected);
	case SYNTAX_EXPR_AS:
		return check_as(checker, expr, expected);
	case SYNTAX_EXPR_NAME:
		return check_name(checker, expr, expected);
	case SYNTAX_EXPR_LITERAL:
		return check_literal(checker, expr, expected);
	case SYNTAX_EXPR_BLOCK:
		return check_block(checker, expr->block, expected);
	case SYNTAX_EXPR_CALL:
		return check_call(checker, expr, expected);
	case SYNTAX_EXPR_LABEL:
		return check_label(checker, expr, expected);
	case SYNTAX_EXPR_SLEEP:
		return check_sleep(checker, expr, expected);
	case SYNTAX_EXPR_SIGNAL:
		return check_signal(checker, expr, expected);
	case SYNTAX_EXPR_LIST:
		return check_list(checker, expr, expected);
	case SYNTAX_EXPR_UNIT:
		return check_unit(checker, expr, expected);
	case SYNTAX_EXPR_PAIR:
		return check_pair(checker, expr, expected);
	case SYNTAX_EXPR_RECORD:
		return check_record(checker, expr, expected);
	}
	return NULL;
}

static struct core *check_open(struct checker *checker, const struct syntax_expr *expr,
                               const struct expected *expected)
{
	struct expected any = *expected;
	any.type = &check_type_json;
	struct core *core = check_expression(checker, expr, &any);
	if (core == NULL)
		return NULL;
	if (!core->constant) {
		check_mismatch(checker, expr->span, expected, NULL, "a value that is put together");
		return NULL;
	}
	core->type = expected->type;
	return core;
}
