#include "lang/brackets.h"

#include "base/memory.h"
#include "lang/ast.h"

#include <assert.h>

struct matcher {
	const struct source *source;
	struct token *tokens;
	uint32_t first;
	uint32_t last;
	struct diagnostics *diagnostics;
	bool reported;
	uint32_t place;  /* where a bracket was last reported as missing */
	bool deep;       /* deeper than anything that is parsed */
	uint32_t *stack; /* the opening brackets that are not yet closed */
	size_t count;
	size_t capacity;
	uint32_t open[TOKEN_ANY + 1]; /* how many of each kind are on the stack */
};

static enum token_kind closer_of(enum token_kind open)
{
	return open == TOKEN_BRACE_OPEN   ? TOKEN_BRACE_CLOSE
	       : open == TOKEN_PAREN_OPEN ? TOKEN_PAREN_CLOSE
	                                  : TOKEN_BRACKET_CLOSE;
}

static const char *mark_of(enum token_kind kind)
{
	static const char *const marks[] = {"{", "}", "(", ")", "[", "]"};
	assert(bracket_opens(kind) || bracket_closes(kind));
	return marks[kind - TOKEN_BRACE_OPEN];
}

static void report_missing(struct matcher *m, struct span place, uint32_t open)
{
	enum token_kind kind = m->tokens[open].kind;
	if (m->reported && m->place == place.offset)
		return; /* one at a time */
	m->place = place.offset;
	struct diagnostic *diagnostic =
		diagnostics_error(m->diagnostics, place, "\"%s\" is missing", mark_of(closer_of(kind)));
	diagnostics_note(m->diagnostics, diagnostic, token_span(m->source, m->tokens[open]),
	                 "it would close this \"%s\"", mark_of(kind));
	m->reported = true;
}

static void push(struct matcher *m, uint32_t index)
{
	mem_grow(m->stack, m->capacity, m->count + 1);
	m->stack[m->count++] = index;
	m->open[m->tokens[index].kind]++;
	if (m->count > SYNTAX_DEPTH)
		m->deep = true;
}

static uint32_t pop(struct matcher *m)
{
	uint32_t index = m->stack[--m->count];
	m->open[m->tokens[index].kind]--;
	return index;
}

static uint32_t top(const struct matcher *m)
{
	return m->stack[m->count - 1];
}

static void pair(struct matcher *m, uint32_t open, uint32_t close)
{
	m->tokens[open].match = close;
	m->tokens[close].match = open;
}

static struct span behind(const struct matcher *m, uint32_t index)
{
	return (struct span){m->source, m->tokens[index].offset + m->tokens[index].size, 0};
}

/* A parenthesis or square bracket that nothing closes before `limit`: most likely it should end with the lines that are
 * indented more than its own. */
static uint32_t guess_end(const struct matcher *m, uint32_t open, uint32_t limit)
{
	uint32_t indent = m->tokens[open].indent;
	uint32_t i = open + 1;
	if (m->deep || m->tokens[open].kind == TOKEN_BRACE_OPEN)
		return limit;
	while (i < limit && !(m->tokens[i].begins_line && m->tokens[i].indent <= indent)) {
		if (!bracket_opens(m->tokens[i].kind))
			i++;
		else
			i = m->tokens[i].match + bracket_is_closed(m->tokens, i);
	}
	return i < limit ? i : limit;
}

/* Closes what was popped off the stack at the best place up to `limit`, and reports that; at `limit` itself, where
 * `place` is, only once. */
static void close_missing(struct matcher *m, uint32_t open, uint32_t limit, struct span place, bool *limit_reported)
{
	uint32_t end = guess_end(m, open, limit);
	m->tokens[open].match = end;
	if (end < limit)
		report_missing(m, behind(m, end - 1), open);
	else if (!*limit_reported)
		report_missing(m, place, open);
	*limit_reported = *limit_reported || end == limit;
}

/* A closing bracket that does not fit the last one opened. */
static void close_other(struct matcher *m, uint32_t index)
{
	struct token *close = &m->tokens[index];
	bool reported = false;
	close->match = BRACKET_NONE;
	if (m->count == 0) /* the parser will stumble over it */
		return;
	if (m->open[close->kind - 1] != 0) { /* an outer one: the inner ones are not closed */
		while (closer_of(m->tokens[top(m)].kind) != close->kind)
			close_missing(m, pop(m), index, token_span(m->source, *close), &reported);
		close->faulty = reported;
		pair(m, pop(m), index);
		return;
	}
	uint32_t open = top(m);
	close->faulty = true;
	struct diagnostic *diagnostic =
		diagnostics_error(m->diagnostics, token_span(m->source, *close),
	                          "this \"%s\" does not close the \"%s\"", mark_of(close->kind),
	                          mark_of(m->tokens[open].kind));
	diagnostics_note(m->diagnostics, diagnostic, token_span(m->source, m->tokens[open]), "which was opened here");
	m->reported = true;
	if (index + 1 < m->last && close[1].kind == closer_of(m->tokens[open].kind))
		return; /* it is one too many */
	pair(m, pop(m), index);
}

/* Of braces that do have a partner, the innermost whose partner is indented less than their own line: that is most
 * likely the one that was forgotten. `last` when there is none. */
static uint32_t find_culprit(const struct matcher *m)
{
	for (uint32_t i = m->first; i < m->last; i++) {
		struct token close = m->tokens[i];
		if (close.kind == TOKEN_BRACE_CLOSE && close.match != BRACKET_NONE && close.begins_line &&
		    close.indent < m->tokens[close.match].indent)
			return close.match;
	}
	return m->last;
}

/* What is still open at the end. */
static uint32_t close_rest(struct matcher *m)
{
	bool reported = false;
	uint32_t culprit = find_culprit(m);
	if (culprit != m->last) {
		report_missing(m, behind(m, m->last - 1), culprit);
		reported = true;
	}
	while (m->count > 0)
		close_missing(m, pop(m), m->last, behind(m, m->last - 1), &reported);
	return culprit;
}

uint32_t brackets_match(const struct source *source, struct token *tokens, uint32_t first, uint32_t last,
                        struct diagnostics *diagnostics, bool *ret_reported)
{
	struct matcher m = {
		.source = source, .tokens = tokens, .first = first, .last = last, .diagnostics = diagnostics};
	uint32_t quiet = last;
	for (uint32_t i = first; i < last; i++) {
		enum token_kind kind = tokens[i].kind;
		if (bracket_opens(kind))
			push(&m, i);
		else if (bracket_closes(kind) && m.count > 0 && closer_of(tokens[top(&m)].kind) == kind)
			pair(&m, pop(&m), i);
		else if (bracket_closes(kind))
			close_other(&m, i);
	}
	if (m.count > 0)
		quiet = close_rest(&m);
	mem_free(m.stack);
	*ret_reported = m.reported;
	return quiet;
}
