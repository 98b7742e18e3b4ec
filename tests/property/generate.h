/* Random well-typed programs as source text: types, processes, and workflows of which `Main` is the one to run. The
 * checker has to accept every one. */
#ifndef CLUSTERD_TESTS_PROPERTY_GENERATE_H
#define CLUSTERD_TESTS_PROPERTY_GENERATE_H

#include "base/buffer.h"
#include "choices.h"

/* How the declarations are registered. */
enum arrangement {
	TOGETHER,   /* one unit */
	TWICE,      /* types and processes first, then all together; calls may name version 1 of a process */
	ONE_BY_ONE, /* types and processes, then types and workflows: processes are found in the registry */
	ARRANGEMENT_COUNT,
};

struct generated {
	enum arrangement arrangement;
	struct buffer types;
	struct buffer processes;
	struct buffer workflows;
};

void generate(struct choices *choices, struct generated *ret_generated);
void generated_finish(struct generated *generated);

#endif
