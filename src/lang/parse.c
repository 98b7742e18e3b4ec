#include "lang/parse.h"

#include "base/memory.h"
#include "lang/literal.h"
#include "lang/parser.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum token_kind parse_kind(const struct parser *p, uint32_t ahead)
{
	return ahead < p->end - p->at ? p->tokens[p->at + ahead].kind : TOKEN_END;
}

bool parse_is_word(const struct parser *p, uint32_t ahead, const char *word)
{
	return parse_kind(p, ahead) == TOKEN_LOWER && slice_is(parse_token_text(p, p->at + ahead), word);
}

bool parse_accept(struct parser *p, enum token_kind kind)
{
	if (parse_kind(p, 0) != kind)
		return false;
	p->at++;
	return true;
}

bool parse_touches(const struct parser *p, uint32_t index)
{
	return index > 0 && p->tokens[index - 1].offset + p->tokens[index - 1].size == p->tokens[index].offset;
}

bool parse_same_line(const struct parser *p, uint32_t index)
{
	uint32_t before = p->tokens[index - 1].offset;
	return memchr(p->source->text.data + before, '\n', p->tokens[index].offset - before) == NULL;
}

struct span parse_token_span(const struct parser *p, uint32_t index)
{
	if (index < p->end)
		return token_span(p->source, p->tokens[index]);
	uint32_t offset = index > 0 ? p->tokens[index - 1].offset + p->tokens[index - 1].size : 0;
	return (struct span){p->source, offset, 0};
}

struct slice parse_token_text(const struct parser *p, uint32_t index)
{
	return token_text(p->source, p->tokens[index]);
}

struct span parse_span(const struct parser *p, uint32_t first)
{
	struct span span = parse_token_span(p, first);
	if (p->at > first)
		span = span_join(span, parse_token_span(p, p->at - 1));
	return span;
}

/* False: nothing is to be said about this token any more. */
static bool may_report(struct parser *p, uint32_t index)
{
	p->failed = true;
	bool *faulty = index < p->end ? &p->tokens[index].faulty : &p->end_faulty;
	if (p->hopeless || index >= p->quiet || *faulty)
		return false;
	*faulty = true;
	return true;
}

struct diagnostic *parse_error(struct parser *p, uint32_t index, const char *format, ...)
{
	va_list args;
	if (!may_report(p, index))
		return &p->diagnostics->spare;
	va_start(args, format);
	struct diagnostic *diagnostic =
		diagnostics_addv(p->diagnostics, SEVERITY_ERROR, parse_token_span(p, index), format, args);
	va_end(args);
	return diagnostic;
}

static const char *hint_for(const struct parser *p)
{
	switch (parse_kind(p, 0)) {
	case TOKEN_PLUS:
	case TOKEN_STAR:
		return "there is no arithmetic: let a process compute it";
	case TOKEN_NUMBER:
		if (parse_token_text(p, p->at).data[0] == '-')
			return "there is no arithmetic: let a process compute it";
		return NULL;
	case TOKEN_ELSE:
		return "else belongs to a try: try … else failure -> …";
	case TOKEN_UNDO:
		return "undo stands behind a binding: room = Book(o) undo Cancel(room)";
	default:
		return NULL;
	}
}

struct diagnostic *parse_unexpected(struct parser *p, const char *expected)
{
	char found[TOKEN_DESCRIPTION_SIZE];
	const char *description = "the next declaration";
	if (p->at < p->end || p->end == p->count)
		description = token_describe(p->source, p->tokens[p->at], found);
	if (p->at < p->end && bracket_closes(p->tokens[p->at].kind) && p->tokens[p->at].match == BRACKET_NONE)
		return parse_error(p, p->at, "%s closes nothing", description);

	struct diagnostic *diagnostic = parse_error(p, p->at, "expected %s, found %s", expected, description);
	const char *hint = hint_for(p);
	if (hint != NULL)
		diagnostics_hint(p->diagnostics, diagnostic, "%s", hint);
	return diagnostic;
}

bool parse_expect(struct parser *p, enum token_kind kind, const char *expected)
{
	if (parse_accept(p, kind))
		return true;
	parse_unexpected(p, expected);
	return false;
}

bool parse_expect_sign(struct parser *p, enum token_kind kind, const char *expected, const char *hint)
{
	enum token_kind other = kind == TOKEN_COLON ? TOKEN_EQUAL : TOKEN_COLON;
	if (parse_accept(p, kind))
		return true;
	bool confused = parse_kind(p, 0) == other;
	struct diagnostic *diagnostic = parse_unexpected(p, expected);
	if (confused) {
		diagnostics_hint(p->diagnostics, diagnostic, "%s", hint);
		p->at++;
		if (p->at < p->end)
			p->tokens[p->at].faulty = true; /* it may be of the kind that the other sign asks for */
	}
	return confused;
}

static int compare_names(const void *left, const void *right)
{
	const struct syntax_name *a = *(const struct syntax_name *const *)left;
	const struct syntax_name *b = *(const struct syntax_name *const *)right;
	int order = slice_compare(a->text, b->text);
	if (order != 0)
		return order;
	return a->span.offset < b->span.offset ? -1 : a->span.offset > b->span.offset;
}

void parse_refuse_twice(struct parser *p, const void *first, uint32_t count, size_t stride, const char *what)
{
	if (count < 2 || p->hopeless)
		return;
	const struct syntax_name **names = mem_array(count, sizeof *names);
	for (uint32_t i = 0; i < count; i++)
		names[i] = (const void *)((const char *)first + i * stride);
	qsort(names, count, sizeof *names, compare_names);
	for (uint32_t i = 1; i < count; i++) {
		if (!slice_equal(names[i - 1]->text, names[i]->text))
			continue;
		struct diagnostic *diagnostic =
			diagnostics_error(p->diagnostics, names[i]->span, "%s stands here twice", what);
		diagnostics_note(p->diagnostics, diagnostic, names[i - 1]->span, "it is here already");
		p->failed = true;
	}
	mem_free(names);
}

/* The name with its first letter in the other case, cut where it gets unreadable. */
static void other_case(struct slice name, char *ret_text, size_t size)
{
	snprintf(ret_text, size, "%.*s", name.size < size ? (int)name.size : (int)size - 1, name.data);
	ret_text[0] = (char)(ret_text[0] ^ 0x20);
}

bool parse_name(struct parser *p, enum token_kind kind, const char *what, struct syntax_name *ret_name)
{
	enum token_kind found = parse_kind(p, 0);
	char other[TOKEN_DESCRIPTION_SIZE];
	if (found != TOKEN_LOWER && found != TOKEN_UPPER && !token_is_reserved(found)) {
		parse_unexpected(p, what);
		return false;
	}
	struct slice text = parse_token_text(p, p->at);
	if (token_is_reserved(found)) {
		struct diagnostic *diagnostic = parse_error(p, p->at, "\"%.*s\" is a reserved word; expected %s",
		                                            NAME_ARGS(text), what);
		if (kind == TOKEN_LOWER)
			diagnostics_hint(p->diagnostics, diagnostic, "choose another name, \"%.*s_\" for instance",
			                 NAME_ARGS(text));
	} else if (found != kind) {
		struct diagnostic *diagnostic = parse_error(p, p->at, "%s begins with a %s letter", what,
		                                            kind == TOKEN_UPPER ? "capital" : "small");
		other_case(text, other, sizeof other);
		diagnostics_hint(p->diagnostics, diagnostic, "write \"%s\"", other);
	}
	*ret_name = (struct syntax_name){text, parse_token_span(p, p->at)};
	p->at++;
	return true;
}

bool parse_key(struct parser *p, const char *what, struct syntax_name *ret_key)
{
	enum token_kind kind = parse_kind(p, 0);
	if (!token_is_key(kind) && kind != TOKEN_UPPER) {
		parse_unexpected(p, what);
		return false;
	}
	struct slice text = parse_token_text(p, p->at);
	if (kind == TOKEN_UPPER) {
		struct diagnostic *diagnostic =
			parse_error(p, p->at, "%s begins with a small letter, or stands in quotes", what);
		diagnostics_hint(p->diagnostics, diagnostic, "write \"%.*s\" with the quotes", NAME_ARGS(text));
	}
	if (kind == TOKEN_STRING)
		text = parser_unquote(text, p->arena);
	*ret_key = (struct syntax_name){text, parse_token_span(p, p->at)};
	p->at++;
	return true;
}

bool parse_count(struct parser *p, const char *what, uint32_t *ret_count)
{
	uint64_t count = 0;
	if (parse_kind(p, 0) != TOKEN_NUMBER) {
		parse_unexpected(p, what);
		return false;
	}
	struct slice text = parse_token_text(p, p->at);
	for (size_t i = 0; literal_is_int(text) && i < text.size && count <= UINT32_MAX; i++)
		count = count * 10 + (uint64_t)(text.data[i] - '0');
	if (count == 0 || count > UINT32_MAX) {
		parse_error(p, p->at, "expected %s: a whole number from 1 to %u", what, UINT32_MAX);
		return false;
	}
	*ret_count = (uint32_t)count;
	p->at++;
	return true;
}

static bool too_deep(struct parser *p)
{
	parse_error(p, p->at, "this is nested deeper than the limit of %u levels", SYNTAX_DEPTH);
	p->hopeless = true;
	return false;
}

bool parse_enter(struct parser *p)
{
	if (p->hopeless || p->depth == SYNTAX_DEPTH)
		return too_deep(p);
	p->depth++;
	if (p->depth > p->deepest)
		p->deepest = p->depth;
	return true;
}

void parse_leave(struct parser *p)
{
	assert(p->depth > 0);
	p->depth--;
}

uint32_t parse_subtree_begin(struct parser *p)
{
	uint32_t outer = p->deepest;
	p->deepest = p->depth;
	return outer;
}

bool parse_subtree_wrap(struct parser *p)
{
	if (p->hopeless || p->deepest == SYNTAX_DEPTH)
		return too_deep(p);
	p->deepest++;
	return true;
}

void parse_subtree_end(struct parser *p, uint32_t outer)
{
	if (outer > p->deepest)
		p->deepest = outer;
}

struct scope parse_begin(struct parser *p)
{
	uint32_t open = p->at++;
	struct scope scope = {open, p->tokens[open].match, p->end, p->end_faulty};
	assert(scope.close <= p->end);
	if (!bracket_is_closed(p->tokens, open)) {
		p->end = scope.close;
		p->end_faulty = true;
	}
	return scope;
}

bool parse_open(struct parser *p, enum token_kind kind, const char *expected, struct scope *ret_scope)
{
	if (parse_kind(p, 0) != kind) {
		parse_unexpected(p, expected);
		return false;
	}
	*ret_scope = parse_begin(p);
	return true;
}

void parse_close(struct parser *p, const struct scope *scope)
{
	assert(p->at <= scope->close);
	p->end = scope->outer_end;
	p->end_faulty = scope->outer_end_faulty;
	p->at = scope->close + bracket_is_closed(p->tokens, scope->open);
}

/* The next comma that separates items, or `close`. */
static void skip_item(struct parser *p, uint32_t start, uint32_t close)
{
	uint32_t i = start;
	while (i < close && (i < p->at || p->tokens[i].kind != TOKEN_COMMA))
		i = bracket_opens(p->tokens[i].kind) && p->tokens[i].match > i ? p->tokens[i].match : i + 1;
	p->at = i < close ? i : close;
}

void parse_items(struct parser *p, const struct scope *scope, bool (*item)(struct parser *p, void *context),
                 void *context)
{
	enum token_kind kind = p->tokens[scope->open].kind;
	const char *expected = kind == TOKEN_PAREN_OPEN     ? "\",\" or \")\""
	                       : kind == TOKEN_BRACKET_OPEN ? "\",\" or \"]\""
	                                                    : "\",\" or \"}\"";
	while (p->at < scope->close && !p->hopeless) {
		uint32_t start = p->at;
		if (!item(p, context))
			skip_item(p, start, scope->close);
		if (p->at < scope->close && !parse_accept(p, TOKEN_COMMA))
			parse_unexpected(p, expected);
	}
	parse_close(p, scope);
}

void parse_resync(struct parser *p, uint32_t start, uint32_t close, bool (*starts)(const struct parser *, uint32_t))
{
	struct token first = p->tokens[start];
	uint32_t i = start;
	while (i < close) {
		struct token token = p->tokens[i];
		if (i > start && i >= p->at && token.begins_line &&
		    ((first.begins_line && token.indent == first.indent) || starts(p, i)))
			break;
		i = bracket_opens(token.kind) && token.match > i ? token.match : i + 1;
	}
	p->at = i < close && !p->hopeless ? i : close;
}

void *parse_collect(struct parser *p, size_t mark, size_t item_size, uint32_t *ret_count)
{
	size_t size = p->scratch.size - mark;
	assert(size % item_size == 0);
	void *items = NULL;
	if (size != 0) {
		items = arena_alloc(p->arena, size);
		memcpy(items, p->scratch.data + mark, size);
	}
	p->scratch.size = mark;
	*ret_count = (uint32_t)(size / item_size);
	return items;
}
