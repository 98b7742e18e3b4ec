/* What the parts of the parser share: a place in the tokens of one declaration, errors, recovery, and the functions for
 * the productions. A production returns its node, or NULL (false) after it has reported why; what then follows is
 * skipped by the list, block or declaration around it, each of which goes on with its next element. What went on after
 * an error may be incomplete: it only serves to find further errors. Private to src/lang. */
#ifndef CLUSTERD_LANG_PARSE_H
#define CLUSTERD_LANG_PARSE_H

#include "lang/ast.h"
#include "lang/brackets.h"
#include "lang/lexer.h"

struct parser {
	const struct source *source;
	struct arena *arena;
	struct diagnostics *diagnostics;
	struct token *tokens;
	uint32_t count;      /* tokens[count] is TOKEN_END */
	uint32_t at;
	uint32_t end;        /* what is parsed ends here: a declaration begins, or the source ends */
	uint32_t quiet;      /* from this token on errors are consequences of one that was reported */
	uint32_t depth;      /* constructs around what is read now */
	uint32_t deepest;    /* see parse_subtree_begin */
	bool failed;         /* an error was found since the declaration began */
	bool end_faulty;     /* an error was reported at the end */
	bool hopeless;       /* too deep: nothing more is reported of it */
	struct buffer scratch; /* a stack of siblings of unknown number */
};

/* --- tokens --- */

/* The kind of the token `ahead` of the one that is next; TOKEN_END from p->end on. */
enum token_kind parse_kind(const struct parser *p, uint32_t ahead);
/* The next token is a name with this text (a contextual word). */
bool parse_is_word(const struct parser *p, uint32_t ahead, const char *word);
bool parse_accept(struct parser *p, enum token_kind kind);
/* Two tokens with nothing between them. */
bool parse_touches(const struct parser *p, uint32_t index);
/* They stand on one line. */
bool parse_same_line(const struct parser *p, uint32_t index);
/* From token `first` to the one before the next. */
struct span parse_span(const struct parser *p, uint32_t first);
struct span parse_token_span(const struct parser *p, uint32_t index);
struct slice parse_token_text(const struct parser *p, uint32_t index);

/* --- errors --- */

/* A name for "%.*s": as much of it as one wants to read. */
#define NAME_SHOWN_MAX 60
#define NAME_ARGS(slice) ((slice).size < NAME_SHOWN_MAX ? (int)(slice).size : NAME_SHOWN_MAX), (slice).data

/* Reports an error at the token `index`, unless one was reported there; p->failed is set anyhow. Returns something that
 * diagnostics_hint and diagnostics_note take. */
struct diagnostic *parse_error(struct parser *p, uint32_t index, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* "expected …, found …" at the next token, with a hint where the token suggests one. */
struct diagnostic *parse_unexpected(struct parser *p, const char *expected);
bool parse_expect(struct parser *p, enum token_kind kind, const char *expected);
/* ":" or "=", whichever `kind` is; the other one is reported and taken for it. */
bool parse_expect_sign(struct parser *p, enum token_kind kind, const char *expected, const char *hint);
/* Names that must differ among siblings: `first` is the first of `count` struct syntax_name, `stride` bytes apart. */
void parse_refuse_twice(struct parser *p, const void *first, uint32_t count, size_t stride, const char *what);

/* --- names --- */

/* LOWER or UPPER; the other one, or a reserved word, is reported and taken. `what`: "a parameter's name". */
bool parse_name(struct parser *p, enum token_kind kind, const char *what, struct syntax_name *ret_name);
bool parse_key(struct parser *p, const char *what, struct syntax_name *ret_key);
/* INT from 1 to UINT32_MAX. */
bool parse_count(struct parser *p, const char *what, uint32_t *ret_count);

/* --- depth --- */

bool parse_enter(struct parser *p);
void parse_leave(struct parser *p);
/* Postfix words and operators go around what was read before them: begin remembers where that starts, wrap counts one
 * construct around all that was read since, end closes it. */
uint32_t parse_subtree_begin(struct parser *p);
bool parse_subtree_wrap(struct parser *p);
void parse_subtree_end(struct parser *p, uint32_t outer);

/* --- siblings --- */

/* What stands between two brackets. Where the second one is missing, what is parsed ends (p->end) where it should
 * be. */
struct scope {
	uint32_t open;
	uint32_t close; /* tokens[open].match */
	uint32_t outer_end;
	bool outer_end_faulty;
};
/* Consumes the opening bracket that is the next token. */
struct scope parse_begin(struct parser *p);
/* The same where it is of this kind; otherwise an error. */
bool parse_open(struct parser *p, enum token_kind kind, const char *expected, struct scope *ret_scope);
/* Goes behind the closing bracket, past whatever is left before it. Due for each scope, unless p->hopeless. */
void parse_close(struct parser *p, const struct scope *scope);
/* Items with commas between them, and the closing bracket. An item that fails is skipped. */
void parse_items(struct parser *p, const struct scope *scope, bool (*item)(struct parser *p, void *context),
                 void *context);
/* After something that began at token `start` failed: goes on to the next token that begins a line (behind start,
 * before close, not inside brackets) and is indented as start is, or that `starts` says yes to; else to close. */
void parse_resync(struct parser *p, uint32_t start, uint32_t close, bool (*starts)(const struct parser *, uint32_t));
/* Moves what was put on p->scratch since it had `mark` bytes into the arena. */
void *parse_collect(struct parser *p, size_t mark, size_t item_size, uint32_t *ret_count);

/* --- productions --- */

struct syntax_type *parse_type(struct parser *p);
/* choice | type */
struct syntax_type *parse_type_definition(struct parser *p);
bool parse_ref(struct parser *p, struct syntax_ref *ret_ref);
/* literal; NULL and nothing reported when the next token is none. */
struct syntax_value *parse_literal(struct parser *p);
struct syntax_value *parse_const(struct parser *p);
struct syntax_settings *parse_settings(struct parser *p, const char *expected);
/* {KEY "=" value} up to token `close`, which stays. */
void parse_settings_entries(struct parser *p, uint32_t close, struct syntax_settings *ret_settings);
struct syntax_pattern *parse_pattern(struct parser *p);
/* What is at `index` is `pattern "="`, right or nearly so. */
bool parse_starts_binding(const struct parser *p, uint32_t index);
struct syntax_block *parse_block(struct parser *p, const char *expected);
/* The name is a word of another language ("let", "if") that block has something to say about. */
bool parse_is_habit(struct slice name);
/* {arm} and {rarm} with their braces. */
bool parse_arms(struct parser *p, struct syntax_arm **ret_arms, uint32_t *ret_count);
bool parse_race_arms(struct parser *p, struct syntax_race_arm **ret_arms, uint32_t *ret_count);
struct syntax_expr *parse_expr(struct parser *p);

#endif
