/* Source text → tokens. Private to src/lang. */
#ifndef CLUSTERD_LANG_LEXER_H
#define CLUSTERD_LANG_LEXER_H

#include "base/buffer.h"
#include "lang/diagnostic.h"

enum token_kind {
	TOKEN_END,
	TOKEN_BAD, /* an error was reported for it */
	TOKEN_UPPER,
	TOKEN_LOWER,
	TOKEN_STRING,
	TOKEN_NUMBER,
	TOKEN_DURATION,
	/* reserved words */
	TOKEN_CASE,
	TOKEN_EACH,
	TOKEN_IN,
	TOKEN_RACE,
	TOKEN_TRY,
	TOKEN_ELSE,
	TOKEN_FAIL,
	TOKEN_UNDO,
	TOKEN_AFTER,
	TOKEN_WITH,
	TOKEN_AS,
	TOKEN_LEFT,
	TOKEN_RIGHT,
	TOKEN_TRUE,
	TOKEN_FALSE,
	TOKEN_NULL,
	TOKEN_SLEEP,
	TOKEN_SIGNAL,
	/* marks */
	TOKEN_BRACE_OPEN,
	TOKEN_BRACE_CLOSE,
	TOKEN_PAREN_OPEN,
	TOKEN_PAREN_CLOSE,
	TOKEN_BRACKET_OPEN,
	TOKEN_BRACKET_CLOSE,
	TOKEN_COMMA,
	TOKEN_COLON,
	TOKEN_EQUAL,
	TOKEN_ARROW,
	TOKEN_BAR,
	TOKEN_PLUS,
	TOKEN_STAR,
	TOKEN_DOT,
	TOKEN_AT,
	TOKEN_ANY, /* _ */
};

#define TOKEN_RESERVED_FIRST TOKEN_CASE
#define TOKEN_RESERVED_LAST TOKEN_SIGNAL

struct token {
	enum token_kind kind;
	uint32_t offset;
	uint32_t size;
	uint32_t match;  /* brackets: see lang/brackets.h */
	uint32_t indent; /* of its line, in bytes */
	bool begins_line;
	bool faulty;     /* an error was reported at it: none is worth reporting there any more */
};

struct lexer {
	const struct source *source;
	struct diagnostics *diagnostics; /* NULL: errors are not reported */
	uint32_t at;
	uint32_t end;
	uint32_t line; /* where the line begins */
	uint32_t indent;
};

/* Reads a part of a source; the text up to `end` is at most SYNTAX_SOURCE_SIZE_MAX. */
void lexer_init(struct lexer *lexer, const struct source *source, uint32_t begin, uint32_t end,
                struct diagnostics *diagnostics);
/* The next token; TOKEN_END at the end, again and again. A malformed string, number or duration is reported and
 * given as what it was meant to be, so that what follows it is read as usual. `faulty` when it, or what was skipped
 * before it, had an error. */
struct token lexer_next(struct lexer *lexer);

struct span token_span(const struct source *source, struct token token);
struct slice token_text(const struct source *source, struct token token);
static inline bool token_is_reserved(enum token_kind kind)
{
	return kind >= TOKEN_RESERVED_FIRST && kind <= TOKEN_RESERVED_LAST;
}
/* A name, a reserved word or a string. */
static inline bool token_is_key(enum token_kind kind)
{
	return kind == TOKEN_LOWER || kind == TOKEN_STRING || token_is_reserved(kind);
}

#define TOKEN_DESCRIPTION_SIZE 64
/* As a message speaks of it: "\"case\"", "the number 12", "a string". Returns `description`. */
const char *token_describe(const struct source *source, struct token token,
                           char description[TOKEN_DESCRIPTION_SIZE]);

#endif
