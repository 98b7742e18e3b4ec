/* Registers a generated program, and tries what registering promises: the same source gives nothing new, another token
 * gives a new version of what it stands in and of all that is bound to that. */
#ifndef CLUSTERD_TESTS_PROPERTY_REGISTRATION_H
#define CLUSTERD_TESTS_PROPERTY_REGISTRATION_H

#include "base/random.h"
#include "generate.h"
#include "workflow/registry.h"

struct registered_program {
	struct registry *registry;
	const struct definition *workflow; /* Main */
};

/* False: something is wrong, and said. */
bool register_program(struct registered_program *program, const struct generated *generated, struct random *random,
                      struct buffer *failure);
void registered_program_finish(struct registered_program *program);

#endif
