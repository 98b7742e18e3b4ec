/* Lowers checked workflows to π-calculus terms (workflow/program.h). */
#ifndef CLUSTERD_WORKFLOW_COMPILE_H
#define CLUSTERD_WORKFLOW_COMPILE_H

#include "workflow/check.h"

#define COMPILE_CONSTANT_SIZE_MAX (1u << 20) /* bytes of a constant with its defaults filled in */

/* The program of a workflow whose unit has no errors and whose callees have been given their versions (->resolved).
 * NULL: it passes a limit, which is reported. */
struct program *compile_workflow(struct checker *checker, const struct declared *declared);

#endif
