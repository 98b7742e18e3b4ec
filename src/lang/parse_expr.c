/* expr, each, postfix, primary, arg */
#include "lang/parse.h"

#include "lang/parser.h"

static struct syntax_expr *expr_make(struct parser *p, enum syntax_expr_kind kind, uint32_t first)
{
	struct syntax_expr *expr = arena_alloc(p->arena, sizeof *expr);
	expr->kind = kind;
	expr->span = parse_span(p, first);
	return expr;
}

static bool expr_item(struct parser *p, void *context)
{
	(void)context;
	struct syntax_expr *expr = parse_expr(p);
	if (expr == NULL)
		return false;
	buffer_append(&p->scratch, &expr, sizeof expr);
	return true;
}

/* --- calls --- */

struct call_context {
	bool named; /* a named argument was there */
};

static bool call_argument(struct parser *p, void *context)
{
	struct call_context *call = context;
	struct syntax_arg arg = {0};
	uint32_t first = p->at;
	enum token_kind kind = parse_kind(p, 0);
	enum token_kind next = parse_kind(p, 1);
	bool name = kind == TOKEN_LOWER || (token_is_reserved(kind) && next == TOKEN_COLON);
	if (name && (next == TOKEN_COLON || next == TOKEN_EQUAL)) {
		if (!parse_name(p, TOKEN_LOWER, "a parameter's name", &arg.name) ||
		    !parse_expect_sign(p, TOKEN_COLON, "\":\"", "an argument is named with a colon: name: value"))
			return false;
		call->named = true;
	} else if (call->named) {
		struct diagnostic *diagnostic =
			parse_error(p, first, "an argument without a name follows one with a name");
		diagnostics_hint(p->diagnostics, diagnostic, "put those without a name first, or name this one, too");
	}
	arg.value = parse_expr(p);
	if (arg.value == NULL)
		return false;
	arg.span = parse_span(p, first);
	buffer_append(&p->scratch, &arg, sizeof arg);
	return true;
}

/* The arguments, from the opening bracket on. */
static bool parse_args(struct parser *p, struct syntax_arg **ret_args, uint32_t *ret_count)
{
	struct call_context context = {false};
	struct scope scope = parse_begin(p);
	size_t mark = p->scratch.size;
	if (!parse_enter(p))
		return false;
	parse_items(p, &scope, call_argument, &context);
	parse_leave(p);
	*ret_args = parse_collect(p, mark, sizeof **ret_args, ret_count);
	return true;
}

static struct syntax_expr *parse_call(struct parser *p, uint32_t first, struct syntax_ref ref)
{
	struct syntax_arg *args;
	uint32_t arg_count;
	if (parse_kind(p, 0) != TOKEN_PAREN_OPEN || (!parse_touches(p, p->at) && !parse_same_line(p, p->at))) {
		struct diagnostic *diagnostic = parse_error(p, first, "\"%.*s\" is not called", NAME_ARGS(ref.name));
		diagnostics_hint(p->diagnostics, diagnostic, "its arguments follow in parentheses: %.*s(…)",
		                 NAME_ARGS(ref.name));
		return NULL;
	}
	if (!parse_touches(p, p->at)) {
		struct diagnostic *diagnostic = parse_error(p, p->at, "the \"(\" of a call touches the name before it");
		diagnostics_hint(p->diagnostics, diagnostic, "write %.*s(…)", NAME_ARGS(ref.name));
	}
	if (!parse_args(p, &args, &arg_count))
		return NULL;
	struct syntax_expr *expr = expr_make(p, SYNTAX_EXPR_CALL, first);
	expr->call.ref = ref;
	expr->call.args = args;
	expr->call.arg_count = arg_count;
	return expr;
}

/* UPPER "." LOWER ["(" expr ")"], from the dot on */
static struct syntax_expr *parse_label(struct parser *p, uint32_t first, struct syntax_name type)
{
	struct syntax_name label;
	struct syntax_expr *payload = NULL;
	p->at++;
	if (!parse_name(p, TOKEN_LOWER, "a label", &label))
		return NULL;
	bool paren = parse_kind(p, 0) == TOKEN_PAREN_OPEN;
	if (paren && !parse_touches(p, p->at) && parse_same_line(p, p->at)) {
		struct diagnostic *diagnostic =
			parse_error(p, p->at, "the \"(\" of a label touches the name before it");
		diagnostics_hint(p->diagnostics, diagnostic, "write %.*s.%.*s(…)", NAME_ARGS(type.text),
		                 NAME_ARGS(label.text));
	} else if (paren && !parse_touches(p, p->at)) {
		paren = false;
	}
	if (paren) {
		struct scope scope = parse_begin(p);
		if (!parse_enter(p))
			return NULL;
		payload = parse_expr(p);
		parse_leave(p);
		if (payload != NULL && p->at != scope.close) {
			bool comma = parse_kind(p, 0) == TOKEN_COMMA;
			struct diagnostic *diagnostic = parse_unexpected(p, "\")\"");
			if (comma)
				diagnostics_hint(p->diagnostics, diagnostic,
				                 "a label carries one value; a pair is ((a, b))");
		}
		parse_close(p, &scope);
		if (payload == NULL)
			return NULL;
	}
	struct syntax_expr *expr = expr_make(p, SYNTAX_EXPR_LABEL, first);
	expr->label.type = type;
	expr->label.label = label;
	expr->label.payload = payload;
	return expr;
}

static struct syntax_expr *parse_upper(struct parser *p)
{
	uint32_t first = p->at;
	struct syntax_ref ref;
	if (!parse_ref(p, &ref))
		return NULL;
	if (parse_kind(p, 0) == TOKEN_DOT && ref.version_kind == SYNTAX_VERSION_NONE)
		return parse_label(p, first, (struct syntax_name){ref.name, ref.name_span});
	return parse_call(p, first, ref);
}

static struct syntax_expr *parse_lower(struct parser *p)
{
	uint32_t first = p->at++;
	struct slice name = parse_token_text(p, first);
	if (parse_kind(p, 0) == TOKEN_PAREN_OPEN && parse_touches(p, p->at) && !parse_starts_binding(p, p->at) &&
	    !parse_is_habit(name)) {
		struct syntax_arg *args;
		uint32_t arg_count;
		struct diagnostic *diagnostic =
			parse_error(p, first, "the name of a process or workflow begins with a capital letter");
		struct slice tail = {name.data + 1, name.size - 1};
		diagnostics_hint(p->diagnostics, diagnostic, "write %c%.*s(…)", name.data[0] ^ 0x20, NAME_ARGS(tail));
		if (!parse_args(p, &args, &arg_count))
			return NULL;
	}
	struct syntax_expr *expr = expr_make(p, SYNTAX_EXPR_NAME, first);
	expr->name = name;
	return expr;
}

/* "sleep" "(" expr ")" */
static struct syntax_expr *parse_sleep(struct parser *p)
{
	uint32_t first = p->at++;
	struct scope scope;
	if (!parse_open(p, TOKEN_PAREN_OPEN, "\"(\" and a duration: sleep(30s)", &scope) || !parse_enter(p))
		return NULL;
	struct syntax_expr *duration = parse_expr(p);
	parse_leave(p);
	if (duration != NULL && p->at != scope.close)
		parse_unexpected(p, "\")\"");
	parse_close(p, &scope);
	struct syntax_expr *expr = expr_make(p, SYNTAX_EXPR_SLEEP, first);
	expr->operand = duration;
	return duration != NULL ? expr : NULL;
}

/* "signal" "(" STRING ["," expr] ")" */
static struct syntax_expr *parse_signal(struct parser *p)
{
	uint32_t first = p->at++;
	struct syntax_name name;
	struct syntax_expr *key = NULL;
	struct scope scope;
	if (!parse_open(p, TOKEN_PAREN_OPEN, "\"(\" and the signal's name: signal(\"paid\")", &scope))
		return NULL;
	bool good = parse_kind(p, 0) == TOKEN_STRING && parse_key(p, "the signal's name", &name);
	if (!good) {
		struct diagnostic *diagnostic = parse_unexpected(p, "the signal's name");
		diagnostics_hint(p->diagnostics, diagnostic, "it is a string, written out: signal(\"paid\")");
	} else if (parse_accept(p, TOKEN_COMMA) && p->at < scope.close) {
		good = parse_enter(p);
		if (good) {
			key = parse_expr(p);
			good = key != NULL;
			parse_leave(p);
		}
		parse_accept(p, TOKEN_COMMA);
	}
	if (good && p->at != scope.close)
		parse_unexpected(p, "\")\"");
	parse_close(p, &scope);
	struct syntax_expr *expr = expr_make(p, SYNTAX_EXPR_SIGNAL, first);
	if (!good)
		return NULL;
	expr->signal.name = name;
	expr->signal.key = key;
	return expr;
}

/* --- lists, pairs, records --- */

static struct syntax_expr *parse_list(struct parser *p)
{
	struct scope scope = parse_begin(p);
	size_t mark = p->scratch.size;
	if (!parse_enter(p))
		return NULL;
	parse_items(p, &scope, expr_item, NULL);
	parse_leave(p);
	struct syntax_expr *expr = expr_make(p, SYNTAX_EXPR_LIST, scope.open);
	expr->list.items = parse_collect(p, mark, sizeof *expr->list.items, &expr->list.count);
	return expr;
}

/* Each item is one deeper than the one before it: (a, b, c) is (a, (b, c)). */
static bool tuple_item(struct parser *p, void *context)
{
	uint32_t *entered = context;
	if (!parse_enter(p))
		return false;
	(*entered)++;
	return expr_item(p, NULL);
}

static struct syntax_expr *parse_tuple(struct parser *p)
{
	struct scope scope = parse_begin(p);
	uint32_t entered = 0;
	uint32_t count = 0;
	size_t mark = p->scratch.size;
	bool empty = p->at == scope.close;
	parse_items(p, &scope, tuple_item, &entered);
	while (entered-- > 0)
		parse_leave(p);
	struct syntax_expr **items = parse_collect(p, mark, sizeof *items, &count);
	if (empty)
		return expr_make(p, SYNTAX_EXPR_UNIT, scope.open);
	if (count == 0)
		return NULL;
	struct syntax_expr *expr = items[count - 1];
	for (uint32_t i = count - 1; i-- > 0;) {
		struct syntax_expr *pair = expr_make(p, SYNTAX_EXPR_PAIR, scope.open);
		if (i > 0)
			pair->span = span_join(items[i]->span, items[count - 1]->span);
		pair->parts[0] = items[i];
		pair->parts[1] = expr;
		expr = pair;
	}
	return expr;
}

static bool record_field(struct parser *p, void *context)
{
	struct syntax_field field = {0};
	(void)context;
	if (!parse_key(p, "a key", &field.key) ||
	    !parse_expect_sign(p, TOKEN_COLON, "\":\"", "the members of a record are written key: value"))
		return false;
	field.value = parse_expr(p);
	if (field.value == NULL)
		return false;
	buffer_append(&p->scratch, &field, sizeof field);
	return true;
}

static struct syntax_expr *parse_record(struct parser *p)
{
	struct scope scope = parse_begin(p);
	size_t mark = p->scratch.size;
	if (!parse_enter(p))
		return NULL;
	parse_items(p, &scope, record_field, NULL);
	parse_leave(p);
	struct syntax_expr *expr = expr_make(p, SYNTAX_EXPR_RECORD, scope.open);
	expr->record.fields = parse_collect(p, mark, sizeof *expr->record.fields, &expr->record.count);
	parse_refuse_twice(p, expr->record.fields, expr->record.count, sizeof *expr->record.fields, "this key");
	return expr;
}

static struct syntax_expr *parse_braces(struct parser *p)
{
	uint32_t first = p->at;
	if (token_is_key(parse_kind(p, 1)) && parse_kind(p, 2) == TOKEN_COLON)
		return parse_record(p);
	struct syntax_block *block = parse_block(p, "a block");
	struct syntax_expr *expr = expr_make(p, SYNTAX_EXPR_BLOCK, first);
	expr->block = block;
	return block != NULL ? expr : NULL;
}

static struct syntax_expr *parse_primary(struct parser *p)
{
	uint32_t first = p->at;
	switch (parse_kind(p, 0)) {
	case TOKEN_LOWER:
		return parse_lower(p);
	case TOKEN_UPPER:
		return parse_upper(p);
	case TOKEN_BRACE_OPEN:
		return parse_braces(p);
	case TOKEN_BRACKET_OPEN:
		return parse_list(p);
	case TOKEN_PAREN_OPEN:
		return parse_tuple(p);
	case TOKEN_SLEEP:
		return parse_sleep(p);
	case TOKEN_SIGNAL:
		return parse_signal(p);
	case TOKEN_ANY:
		parse_error(p, first, "\"_\" is no value: it only says that one is not wanted");
		return NULL;
	default:
		break;
	}
	struct syntax_value *literal = parse_literal(p);
	if (literal == NULL) {
		parse_unexpected(p, "an expression");
		return NULL;
	}
	struct syntax_expr *expr = expr_make(p, SYNTAX_EXPR_LITERAL, first);
	expr->literal = literal;
	return expr;
}

/* --- postfix --- */

static bool parse_member_key(struct parser *p, struct syntax_name *ret_key)
{
	if (parse_kind(p, 0) != TOKEN_NUMBER)
		return parse_key(p, "a member's name", ret_key);
	struct diagnostic *diagnostic = parse_unexpected(p, "a member's name");
	diagnostics_hint(p->diagnostics, diagnostic, "take a pair apart by binding it: (a, b) = …");
	return false;
}

/* What stands behind the postfix word, which is consumed; goes around `operand`. */
static struct syntax_expr *parse_suffix(struct parser *p, struct syntax_expr *operand, uint32_t first)
{
	struct syntax_expr suffix = {0};
	bool good;
	switch (p->tokens[p->at++].kind) {
	case TOKEN_DOT:
		suffix.kind = SYNTAX_EXPR_MEMBER;
		suffix.member.operand = operand;
		good = parse_member_key(p, &suffix.member.key);
		break;
	case TOKEN_WITH:
		suffix.kind = SYNTAX_EXPR_WITH;
		suffix.with.operand = operand;
		suffix.with.settings = parse_settings(p, "\"{\" and settings");
		good = suffix.with.settings != NULL;
		break;
	case TOKEN_AFTER:
		suffix.kind = SYNTAX_EXPR_AFTER;
		suffix.after.operand = operand;
		suffix.after.gate = parse_primary(p);
		good = suffix.after.gate != NULL;
		break;
	default:
		suffix.kind = SYNTAX_EXPR_AS;
		suffix.as.operand = operand;
		suffix.as.type = parse_type(p);
		good = suffix.as.type != NULL;
		break;
	}
	if (!good)
		return NULL;
	struct syntax_expr *expr = expr_make(p, suffix.kind, first);
	suffix.span = expr->span;
	*expr = suffix;
	return expr;
}

static struct syntax_expr *parse_postfix(struct parser *p)
{
	uint32_t first = p->at;
	uint32_t outer = parse_subtree_begin(p);
	struct syntax_expr *expr = parse_primary(p);
	while (expr != NULL) {
		enum token_kind kind = parse_kind(p, 0);
		if (kind != TOKEN_DOT && kind != TOKEN_WITH && kind != TOKEN_AFTER && kind != TOKEN_AS)
			break;
		if (!parse_subtree_wrap(p) || !parse_enter(p)) {
			expr = NULL;
			break;
		}
		expr = parse_suffix(p, expr, first);
		parse_leave(p);
	}
	parse_subtree_end(p, outer);
	return expr;
}

/* --- expressions that begin with a word --- */

static struct syntax_expr *parse_prefix(struct parser *p, enum syntax_expr_kind kind)
{
	uint32_t first = p->at++;
	struct syntax_expr *operand = parse_expr(p);
	if (operand == NULL)
		return NULL;
	struct syntax_expr *expr = expr_make(p, kind, first);
	expr->operand = operand;
	return expr;
}

static struct syntax_expr *parse_try(struct parser *p)
{
	uint32_t first = p->at++;
	struct syntax_pattern *pattern = NULL;
	struct syntax_expr *handler = NULL;
	struct syntax_expr *body = parse_expr(p);
	if (body == NULL)
		return NULL;
	if (parse_accept(p, TOKEN_ELSE)) {
		if (parse_kind(p, 0) == TOKEN_BRACE_OPEN) {
			struct diagnostic *diagnostic = parse_unexpected(p, "a name for the failure");
			diagnostics_hint(p->diagnostics, diagnostic, "write else failure -> …, or else _ -> …");
			return NULL;
		}
		pattern = parse_pattern(p);
		if (pattern == NULL || !parse_expect(p, TOKEN_ARROW, "\"->\""))
			return NULL;
		handler = parse_expr(p);
		if (handler == NULL)
			return NULL;
	}
	struct syntax_expr *expr = expr_make(p, SYNTAX_EXPR_TRY, first);
	expr->attempt.body = body;
	expr->attempt.pattern = pattern;
	expr->attempt.handler = handler;
	return expr;
}

static struct syntax_expr *parse_case(struct parser *p)
{
	uint32_t first = p->at++;
	struct syntax_arm *arms;
	uint32_t arm_count;
	struct syntax_expr *subject = parse_expr(p);
	if (subject == NULL || !parse_arms(p, &arms, &arm_count))
		return NULL;
	struct syntax_expr *expr = expr_make(p, SYNTAX_EXPR_CASE, first);
	expr->choice.subject = subject;
	expr->choice.arms = arms;
	expr->choice.arm_count = arm_count;
	return expr;
}

static struct syntax_expr *parse_each(struct parser *p)
{
	uint32_t first = p->at++;
	uint32_t limit = 0;
	struct span limit_span = SPAN_NOWHERE;
	struct syntax_pattern *pattern = parse_pattern(p);
	if (pattern == NULL || !parse_expect(p, TOKEN_IN, "\"in\" and a list"))
		return NULL;
	struct syntax_expr *list = parse_expr(p);
	if (list == NULL)
		return NULL;
	if (parse_is_word(p, 0, "limit")) {
		p->at++;
		limit_span = parse_token_span(p, p->at);
		if (!parse_count(p, "how many run at once", &limit))
			return NULL;
	}
	struct syntax_block *body = parse_block(p, "\"{\" and what is done with each");
	if (body == NULL)
		return NULL;
	struct syntax_expr *expr = expr_make(p, SYNTAX_EXPR_EACH, first);
	expr->each.pattern = pattern;
	expr->each.list = list;
	expr->each.limit = limit;
	expr->each.limit_span = limit_span;
	expr->each.body = body;
	return expr;
}

static struct syntax_expr *parse_race(struct parser *p)
{
	uint32_t first = p->at++;
	struct syntax_expr *each = NULL;
	struct syntax_race_arm *arms = NULL;
	uint32_t arm_count = 0;
	if (parse_kind(p, 0) == TOKEN_EACH) {
		if (!parse_enter(p))
			return NULL;
		each = parse_each(p);
		parse_leave(p);
		if (each == NULL)
			return NULL;
	} else if (!parse_race_arms(p, &arms, &arm_count)) {
		return NULL;
	}
	struct syntax_expr *expr = expr_make(p, SYNTAX_EXPR_RACE, first);
	expr->race.each = each;
	expr->race.arms = arms;
	expr->race.arm_count = arm_count;
	return expr;
}

static struct syntax_expr *parse_word(struct parser *p)
{
	switch (parse_kind(p, 0)) {
	case TOKEN_LEFT:
		return parse_prefix(p, SYNTAX_EXPR_LEFT);
	case TOKEN_RIGHT:
		return parse_prefix(p, SYNTAX_EXPR_RIGHT);
	case TOKEN_FAIL:
		return parse_prefix(p, SYNTAX_EXPR_FAIL);
	case TOKEN_TRY:
		return parse_try(p);
	case TOKEN_CASE:
		return parse_case(p);
	case TOKEN_RACE:
		return parse_race(p);
	default:
		return parse_each(p);
	}
}

struct syntax_expr *parse_expr(struct parser *p)
{
	enum token_kind kind = parse_kind(p, 0);
	if (kind != TOKEN_LEFT && kind != TOKEN_RIGHT && kind != TOKEN_FAIL && kind != TOKEN_TRY &&
	    kind != TOKEN_CASE && kind != TOKEN_RACE && kind != TOKEN_EACH)
		return parse_postfix(p);
	if (!parse_enter(p))
		return NULL;
	struct syntax_expr *expr = parse_word(p);
	parse_leave(p);
	return expr;
}
