/* Evaluates a workflow by walking its syntax tree: no checker, no terms, no channels. Values are JSON trees; processes and
 * signals give what oracle.h says. All that an instance may know of types is left out but for one thing: a record that is
 * expected to be of a type takes that type's defaults. */
#ifndef CLUSTERD_TESTS_PROPERTY_EVALUATE_H
#define CLUSTERD_TESTS_PROPERTY_EVALUATE_H

#include "call_log.h"
#include "world.h"

#define EVALUATION_STEPS_MAX 40000u
#define EVALUATION_CALLS_MAX 1200u
#define EVALUATION_BYTES_MAX (2u << 20) /* of all arguments and results of calls */
#define EVALUATION_DEPTH_MAX 100u       /* of values; JSON ends at 128 */

struct element;

struct evaluation {
	const struct world *world;
	struct arena arena;
	struct call_log *log; /* of a run: also finds out when calls can be made; NULL: there was none so far */
	uint32_t each_window; /* the instance's limit; 0: none */
	struct element *element;
	uint32_t steps;
	uint32_t calls;
	size_t bytes;
	bool too_large;        /* more than one of the limits above: there is no result */
	struct buffer failure; /* what is wrong, a line each */
};

void evaluation_init(struct evaluation *evaluation, const struct world *world);
void evaluation_finish(struct evaluation *evaluation);
/* `args` is an object keyed by parameter, with all of them. */
struct plain *evaluate(struct evaluation *evaluation, struct slice workflow, struct plain *args);

#endif
