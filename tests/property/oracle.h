/* What atomic processes and signals give: pure functions of what is called with what, into random values of the declared
 * type. A process whose name begins with Step goes on as long as its first argument, a number, says, and Kids gives numbers
 * smaller than its own: so loops end. */
#ifndef CLUSTERD_TESTS_PROPERTY_ORACLE_H
#define CLUSTERD_TESTS_PROPERTY_ORACLE_H

#include "base/random.h"
#include "plain.h"
#include "world.h"

/* A constant of the language as a value of a type: durations in milliseconds, defaults filled in. */
struct plain *oracle_constant(const struct world *world, struct arena *arena, const struct syntax_value *value,
                              const struct syntax_type *type);
struct plain *oracle_value(const struct world *world, struct arena *arena, const struct syntax_type *type,
                           struct random *random);
/* `args` is the object keyed by parameter. */
struct plain *oracle_answer(const struct world *world, struct arena *arena, const struct syntax_declaration *process,
                            const struct plain *args);
/* Of signal "sig3" with whatever behind the digits: a value of type Sig3. */
const struct syntax_type *oracle_signal_type(const struct world *world, struct slice name);
struct plain *oracle_signal(const struct world *world, struct arena *arena, struct slice name, const struct plain *key);

/* Writes a value as a careless program would: white space, escapes, members left out that have their default, and with
 * `unknown` members that nobody asked for. */
void oracle_untidy(const struct world *world, const struct plain *value, const struct syntax_type *type, bool unknown,
                   struct random *random, struct buffer *out);

#endif
