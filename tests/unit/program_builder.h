/* Programs for tests, written as program.h writes terms:
 *
 *   process Split(x)
 *   each Body(e, k) -> r {
 *     Call(Count, e, k; r)
 *   }
 *   workflow R(x, k) -> o {
 *     Call(Split, x; s)
 *     ParIn(s; a, b)
 *     WithIn(a; left m -> { Id(m, y) } right -> { Out(y, 1) } _ -> { … })
 *     Each(b, Body, k; l; 2)
 *     ParOut(o; y, l)
 *   }
 *
 * Channels come to be where they are first written down. What is called may be declared later; bodies of `each` are
 * declared before. Mistakes are asserted. "#" begins a comment. */
#ifndef CLUSTERD_TESTS_PROGRAM_BUILDER_H
#define CLUSTERD_TESTS_PROGRAM_BUILDER_H

#include "workflow/definition.h"

struct program_set;

/* The source is copied. */
struct program_set *program_set_parse(const char *source);
void program_set_destroy(struct program_set *set);
/* A process or workflow; asserts that there is one. */
const struct definition *program_set_find(const struct program_set *set, const char *name);

#endif
