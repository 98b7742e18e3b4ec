/* block, pattern, arm, rarm */
#include "lang/parse.h"

static struct syntax_pattern *pattern_make(struct parser *p, enum syntax_pattern_kind kind, struct span span)
{
	struct syntax_pattern *pattern = arena_alloc(p->arena, sizeof *pattern);
	pattern->kind = kind;
	pattern->span = span;
	return pattern;
}

/* Each item is one deeper than the one before it: (a, b, c) is (a, (b, c)). */
static bool pattern_item(struct parser *p, void *context)
{
	uint32_t *entered = context;
	if (!parse_enter(p))
		return false;
	(*entered)++;
	struct syntax_pattern *pattern = parse_pattern(p);
	if (pattern == NULL)
		return false;
	buffer_append(&p->scratch, &pattern, sizeof pattern);
	return true;
}

static struct syntax_pattern *parse_tuple_pattern(struct parser *p)
{
	struct scope scope = parse_begin(p);
	uint32_t entered = 0;
	uint32_t count = 0;
	size_t mark = p->scratch.size;
	if (p->at == scope.close)
		parse_unexpected(p, "a name or \"_\"");
	parse_items(p, &scope, pattern_item, &entered);
	while (entered-- > 0)
		parse_leave(p);
	struct syntax_pattern **items = parse_collect(p, mark, sizeof *items, &count);
	if (count == 0)
		return NULL;
	struct syntax_pattern *pattern = items[count - 1];
	for (uint32_t i = count - 1; i-- > 0;) {
		struct span span = parse_span(p, scope.open);
		if (i > 0)
			span = span_join(items[i]->span, items[count - 1]->span);
		struct syntax_pattern *pair = pattern_make(p, SYNTAX_PATTERN_PAIR, span);
		pair->parts[0] = items[i];
		pair->parts[1] = pattern;
		pattern = pair;
	}
	return pattern;
}

struct syntax_pattern *parse_pattern(struct parser *p)
{
	struct syntax_name name;
	if (parse_accept(p, TOKEN_ANY))
		return pattern_make(p, SYNTAX_PATTERN_ANY, parse_token_span(p, p->at - 1));
	if (parse_kind(p, 0) == TOKEN_PAREN_OPEN)
		return parse_tuple_pattern(p);
	if (!parse_name(p, TOKEN_LOWER, "the name of a value", &name))
		return NULL;
	struct syntax_pattern *pattern = pattern_make(p, SYNTAX_PATTERN_NAME, name.span);
	pattern->name = name.text;
	return pattern;
}

/* The token behind the pattern, or what looks like one, at `index`; p->end when none is there. */
static uint32_t behind_pattern(const struct parser *p, uint32_t index)
{
	if (index >= p->end)
		return p->end;
	enum token_kind kind = p->tokens[index].kind;
	uint32_t next = p->end;
	if (kind == TOKEN_PAREN_OPEN && bracket_is_closed(p->tokens, index))
		next = p->tokens[index].match + 1;
	else if (kind == TOKEN_LOWER || kind == TOKEN_UPPER || kind == TOKEN_ANY || token_is_reserved(kind))
		next = index + 1;
	return next < p->end ? next : p->end;
}

bool parse_starts_binding(const struct parser *p, uint32_t index)
{
	uint32_t next = behind_pattern(p, index);
	return next < p->end && p->tokens[next].kind == TOKEN_EQUAL;
}

static bool starts_arm(const struct parser *p, uint32_t index)
{
	enum token_kind kind = p->tokens[index].kind;
	if (kind != TOKEN_LOWER && kind != TOKEN_UPPER && kind != TOKEN_ANY && !token_is_reserved(kind))
		return false;
	uint32_t next = index + 1;
	if (next < p->end && p->tokens[next].kind != TOKEN_ARROW)
		next = behind_pattern(p, next);
	return next < p->end && p->tokens[next].kind == TOKEN_ARROW;
}

static bool starts_race_arm(const struct parser *p, uint32_t index)
{
	return parse_starts_binding(p, index);
}

static bool parse_binding(struct parser *p, struct syntax_binding *ret_binding)
{
	uint32_t first = p->at;
	ret_binding->pattern = parse_pattern(p);
	if (ret_binding->pattern == NULL || !parse_expect(p, TOKEN_EQUAL, "\"=\""))
		return false;
	ret_binding->value = parse_expr(p);
	if (ret_binding->value == NULL)
		return false;
	if (parse_accept(p, TOKEN_UNDO)) {
		ret_binding->undo = parse_expr(p);
		if (ret_binding->undo == NULL)
			return false;
	}
	ret_binding->span = parse_span(p, first);
	return true;
}

/* Words of other languages that look like a value before what stands behind them. */
static const struct habit {
	const char *word;
	const char *message;
	const char *hint;
	bool skip; /* what follows makes sense without the word */
} habits[] = {
	{"let", "a binding needs no word before it", "write name = …", true},
	{"var", "a binding needs no word before it", "write name = …", true},
	{"val", "a binding needs no word before it", "write name = …", true},
	{"const", "a binding needs no word before it", "write name = …", true},
	{"return", "nothing is returned: the last expression of a block is its value", "leave \"return\" out", true},
	{"await", "nothing is awaited: a step starts as soon as what it needs is there", "leave \"await\" out", true},
	{"if", "there is no \"if\"",
	 "let a process decide, and take its answer apart: case Check(x) { true -> …  false -> … }", false},
	{"switch", "there is no \"switch\"", "write case x { label -> … }", false},
	{"match", "there is no \"match\"", "write case x { label -> … }", false},
	{"for", "there is no \"for\"", "write each item in items { … }", false},
	{"foreach", "there is no \"foreach\"", "write each item in items { … }", false},
	{"while", "there is no \"while\"", "let a workflow call itself from an arm of a case", false},
};

static const struct habit *find_habit(struct slice name)
{
	for (size_t i = 0; i < sizeof habits / sizeof habits[0]; i++) {
		if (slice_is(name, habits[i].word))
			return &habits[i];
	}
	return NULL;
}

bool parse_is_habit(struct slice name)
{
	return find_habit(name) != NULL;
}

/* Something stands behind the block's value. True: it can be read as the next part of the block. */
static bool report_trailing(struct parser *p, uint32_t first, const struct syntax_expr *value)
{
	const struct habit *habit = value->kind == SYNTAX_EXPR_NAME ? find_habit(value->name) : NULL;
	if (habit != NULL) {
		struct diagnostic *diagnostic = parse_error(p, first, "%s", habit->message);
		diagnostics_hint(p->diagnostics, diagnostic, "%s", habit->hint);
		return habit->skip;
	}
	enum token_kind kind = parse_kind(p, 0);
	bool operator = kind == TOKEN_PLUS || kind == TOKEN_STAR || kind == TOKEN_NUMBER;
	if (kind == TOKEN_UNDO) {
		parse_error(p, p->at, "the value of a block cannot be undone: bind it to a name first");
		return false;
	}
	if (kind == TOKEN_EQUAL) {
		struct diagnostic *diagnostic = parse_error(p, p->at, "only a name, _ or a pair of them can be bound");
		diagnostics_note(p->diagnostics, diagnostic, value->span, "this is an expression");
		return false;
	}
	struct diagnostic *diagnostic = parse_unexpected(p, "\"}\" after the value of the block");
	diagnostics_note(p->diagnostics, diagnostic, value->span, "this is the value of the block");
	if (kind == TOKEN_COMMA)
		diagnostics_hint(p->diagnostics, diagnostic, "a record is written {a: a, b: b}, a pair (a, b)");
	else if (diagnostic->hint == NULL && !operator)
		diagnostics_hint(p->diagnostics, diagnostic,
		                 "a block ends with its value; give a name to what comes before: a = …");
	return !operator;
}

static void report_no_value(struct parser *p, uint32_t open, const struct syntax_binding *last)
{
	struct diagnostic *diagnostic = parse_error(p, p->at, "the block has no value");
	diagnostics_note(p->diagnostics, diagnostic, parse_token_span(p, open), "the block begins here");
	if (last == NULL)
		diagnostics_hint(p->diagnostics, diagnostic, "the value of nothing is ()");
	else if (last->pattern->kind == SYNTAX_PATTERN_NAME)
		diagnostics_hint(p->diagnostics, diagnostic, "end it with an expression, \"%.*s\" for instance",
		                 NAME_ARGS(last->pattern->name));
	else
		diagnostics_hint(p->diagnostics, diagnostic, "end it with an expression");
}

static bool refuse_comma(struct parser *p, const char *message, const char *hint)
{
	if (parse_kind(p, 0) != TOKEN_COMMA)
		return false;
	struct diagnostic *diagnostic = parse_error(p, p->at, "%s", message);
	diagnostics_hint(p->diagnostics, diagnostic, "%s", hint);
	p->at++;
	return true;
}

/* A binding, or the value of the block. */
static bool parse_statement(struct parser *p, struct syntax_block *block, struct syntax_binding *ret_binding)
{
	if (!parse_starts_binding(p, p->at)) {
		block->result = parse_expr(p);
		return block->result != NULL;
	}
	*ret_binding = (struct syntax_binding){0};
	if (!parse_binding(p, ret_binding))
		return false;
	buffer_append(&p->scratch, ret_binding, sizeof *ret_binding);
	return !refuse_comma(p, "bindings are not separated by commas",
	                     "leave it out; a record is written {key: value}");
}

static void parse_statements(struct parser *p, const struct scope *scope, struct syntax_block *block)
{
	uint32_t close = scope->close;
	size_t mark = p->scratch.size;
	bool whole = true;
	uint32_t start = p->at;
	struct syntax_binding binding = {0};
	while (p->at < close && !p->hopeless) {
		bool good = true;
		if (block->result != NULL) {
			good = report_trailing(p, start, block->result);
			block->result = NULL;
			whole = false;
		}
		if (good) {
			start = p->at;
			good = parse_statement(p, block, &binding);
		}
		if (!good) {
			parse_resync(p, start, close, parse_starts_binding);
			whole = false;
		}
	}
	if (block->result == NULL && whole && !p->hopeless)
		report_no_value(p, scope->open, binding.pattern != NULL ? &binding : NULL);
	block->bindings = parse_collect(p, mark, sizeof *block->bindings, &block->binding_count);
}

struct syntax_block *parse_block(struct parser *p, const char *expected)
{
	struct scope scope;
	struct syntax_block *block = arena_alloc(p->arena, sizeof *block);
	if (!parse_open(p, TOKEN_BRACE_OPEN, expected, &scope) || !parse_enter(p))
		return NULL;
	parse_statements(p, &scope, block);
	parse_leave(p);
	parse_close(p, &scope);
	block->span = parse_span(p, scope.open);
	return block;
}

static bool parse_arm(struct parser *p, struct syntax_arm *ret_arm)
{
	uint32_t first = p->at;
	enum token_kind kind = parse_kind(p, 0);
	ret_arm->any = kind == TOKEN_ANY;
	if (ret_arm->any || kind == TOKEN_LEFT || kind == TOKEN_RIGHT || kind == TOKEN_TRUE || kind == TOKEN_FALSE) {
		ret_arm->label = (struct syntax_name){parse_token_text(p, p->at), parse_token_span(p, p->at)};
		p->at++;
	} else if (kind == TOKEN_ELSE) {
		struct diagnostic *diagnostic = parse_error(p, first, "the arm for all other labels begins with _");
		diagnostics_hint(p->diagnostics, diagnostic, "write _ -> …");
		p->at++;
	} else if (!parse_name(p, TOKEN_LOWER, "a label", &ret_arm->label)) {
		return false;
	}
	if (parse_kind(p, 0) != TOKEN_ARROW) {
		uint32_t next = behind_pattern(p, p->at);
		if (ret_arm->any || next == p->end || p->tokens[next].kind != TOKEN_ARROW) {
			parse_unexpected(p, ret_arm->any ? "\"->\"" : "a name for what the label carries, or \"->\"");
			return false;
		}
		ret_arm->pattern = parse_pattern(p);
		if (ret_arm->pattern == NULL)
			return false;
	}
	if (!parse_expect(p, TOKEN_ARROW, "\"->\""))
		return false;
	ret_arm->body = parse_expr(p);
	ret_arm->span = parse_span(p, first);
	return ret_arm->body != NULL;
}

static bool parse_race_arm(struct parser *p, struct syntax_race_arm *ret_arm)
{
	uint32_t first = p->at;
	if (parse_starts_binding(p, first)) {
		ret_arm->pattern = parse_pattern(p);
		if (ret_arm->pattern == NULL || !parse_expect(p, TOKEN_EQUAL, "\"=\""))
			return false;
	}
	ret_arm->contender = parse_expr(p);
	if (ret_arm->contender == NULL ||
	    !parse_expect(p, TOKEN_ARROW, "\"->\" and what follows when this comes first"))
		return false;
	ret_arm->body = parse_expr(p);
	ret_arm->span = parse_span(p, first);
	return ret_arm->body != NULL;
}

bool parse_arms(struct parser *p, struct syntax_arm **ret_arms, uint32_t *ret_count)
{
	struct scope scope;
	size_t mark = p->scratch.size;
	if (!parse_open(p, TOKEN_BRACE_OPEN, "\"{\" and the arms of the case", &scope))
		return false;
	if (p->at == scope.close)
		parse_unexpected(p, "an arm: label -> expression");
	while (p->at < scope.close && !p->hopeless) {
		uint32_t start = p->at;
		struct syntax_arm arm = {0};
		if (parse_arm(p, &arm))
			buffer_append(&p->scratch, &arm, sizeof arm);
		else
			parse_resync(p, start, scope.close, starts_arm);
		refuse_comma(p, "arms are not separated by commas", "leave it out");
	}
	*ret_arms = parse_collect(p, mark, sizeof **ret_arms, ret_count);
	parse_close(p, &scope);
	return true;
}

bool parse_race_arms(struct parser *p, struct syntax_race_arm **ret_arms, uint32_t *ret_count)
{
	struct scope scope;
	size_t mark = p->scratch.size;
	if (!parse_open(p, TOKEN_BRACE_OPEN, "\"{\" and the arms of the race, or \"each\"", &scope))
		return false;
	if (p->at == scope.close)
		parse_unexpected(p, "an arm: name = expression -> expression");
	while (p->at < scope.close && !p->hopeless) {
		uint32_t start = p->at;
		struct syntax_race_arm arm = {0};
		if (parse_race_arm(p, &arm))
			buffer_append(&p->scratch, &arm, sizeof arm);
		else
			parse_resync(p, start, scope.close, starts_race_arm);
		refuse_comma(p, "arms are not separated by commas", "leave it out");
	}
	*ret_arms = parse_collect(p, mark, sizeof **ret_arms, ret_count);
	parse_close(p, &scope);
	return true;
}
