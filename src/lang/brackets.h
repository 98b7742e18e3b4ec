/* Which bracket closes which, found before anything is parsed: a bracket that is missing is reported once, with the one
 * that it belongs to, and the parser always knows where what it reads ends. Private to src/lang. */
#ifndef CLUSTERD_LANG_BRACKETS_H
#define CLUSTERD_LANG_BRACKETS_H

#include "lang/lexer.h"

#define BRACKET_NONE UINT32_MAX

/* For tokens [first, last) sets ->match: of an opening bracket the index of the token that closes it, or, when that is
 * missing, of the token before which it is missing, as far as that can be told (at most `last`); of a closing bracket
 * the one it closes, or BRACKET_NONE. tokens[last] exists. Brackets opened between an opening bracket and its ->match
 * are closed there, too.
 * Returns the index from which on what the parser finds is likely a consequence of what was reported: `last` when
 * nothing is. */
uint32_t brackets_match(const struct source *source, struct token *tokens, uint32_t first, uint32_t last,
                        struct diagnostics *diagnostics, bool *ret_reported);

static inline bool bracket_opens(enum token_kind kind)
{
	return kind == TOKEN_BRACE_OPEN || kind == TOKEN_PAREN_OPEN || kind == TOKEN_BRACKET_OPEN;
}

static inline bool bracket_closes(enum token_kind kind)
{
	return kind == TOKEN_BRACE_CLOSE || kind == TOKEN_PAREN_CLOSE || kind == TOKEN_BRACKET_CLOSE;
}

/* True when tokens[open].match is a bracket that is really there. */
static inline bool bracket_is_closed(const struct token *tokens, uint32_t open)
{
	const struct token *close = &tokens[tokens[open].match];
	return bracket_closes(close->kind) && close->match == open;
}

#endif
