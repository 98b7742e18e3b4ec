/* The door of src/lang: source text in, syntax tree (lang/ast.h) and diagnostics (lang/diagnostic.h) out. */
#ifndef CLUSTERD_LANG_PARSER_H
#define CLUSTERD_LANG_PARSER_H

#include "base/error.h"
#include "lang/ast.h"
#include "lang/diagnostic.h"

/* Parses sources into one tree. `sources` and their texts stay in place until the tree and the diagnostics are gone;
 * sources[i].index is i.
 * 0: the tree is complete, to be released with syntax_finish.
 * ERR_INVALID: there are errors, all of them in `diagnostics`. The tree is there too (to be released), with the
 * declarations that have an error marked as broken.
 * ERR_LIMIT: a source is larger than SYNTAX_SOURCE_SIZE_MAX; nothing was looked at, `*ret_syntax` is untouched. */
int parser_parse(const struct source *sources, size_t source_count, struct syntax *ret_syntax,
                 struct diagnostics *diagnostics, struct error *error);

/* Parses a configuration file: the inside of a settings block. `arena` holds what comes out. Results as above, but on
 * ERR_INVALID `*ret_settings` is untouched. */
int parser_parse_settings(const struct source *source, struct arena *arena, struct syntax_settings *ret_settings,
                          struct diagnostics *diagnostics, struct error *error);

/* The tokens of a declaration are what counts of it: comments and white space do not. Calls `visit` with each token's
 * text, in order; the span is one of a tree that was parsed without error. */
void parser_visit_tokens(struct span span, void (*visit)(struct slice token, void *context), void *context);

#define DURATION_MAX_MS ((int64_t)9007199254740991) /* 2^53 − 1: JSON's largest exact integer, some 285,000 years */

/* Milliseconds of a duration as the language writes it: "30s". 0; ERR_INVALID: not a duration; ERR_LIMIT: longer than
 * DURATION_MAX_MS. */
int parser_duration(struct slice text, int64_t *ret_ms);

/* Whether it is a LOWER: a name that is no reserved word. */
bool parser_is_name(struct slice text);

/* The characters of a string as it stands in a source (a valid one, with its quotes), in `arena`: quotes and escapes
 * undone. A string without escapes is a part of `string` itself. */
struct slice parser_unquote(struct slice string, struct arena *arena);

#endif
