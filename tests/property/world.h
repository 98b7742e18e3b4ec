/* The declarations of a program as the parser sees them, for those who walk the syntax tree: names to declarations,
 * types with their aliases taken away. Knows nothing of the checker. */
#ifndef CLUSTERD_TESTS_PROPERTY_WORLD_H
#define CLUSTERD_TESTS_PROPERTY_WORLD_H

#include "base/error.h"
#include "lang/ast.h"
#include "lang/parser.h"

#define WORLD_SOURCES 4

struct world_name;

struct world {
	struct source sources[WORLD_SOURCES];
	struct syntax syntax;
	struct world_name *types;
	struct world_name *callables; /* processes and workflows */
};

/* 0 or ERR_INVALID, then with diagnostics. The texts stay in place. At most WORLD_SOURCES − 1. */
int world_init(struct world *world, const struct slice *texts, uint32_t count, struct buffer *diagnostics);
void world_finish(struct world *world);

/* NULL: there is none. */
const struct syntax_declaration *world_callable(const struct world *world, struct slice name);
/* What the signature of a callable is taken from: itself, or a variant's base. */
const struct syntax_declaration *world_signature(const struct world *world,
                                                 const struct syntax_declaration *declaration);
/* The type that a name stands for; a name that is left is built in or open. NULL gives NULL. */
const struct syntax_type *world_resolve(const struct world *world, const struct syntax_type *type);
const struct syntax_type *world_type(const struct world *world, struct slice name); /* NULL: not declared */

#endif
