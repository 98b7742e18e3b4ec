/* What makes a definition a new one: its tokens, the structure of the types it names, the content of its files and the
 * versions it is bound to. Definitions that call one another get new versions together. */
#ifndef CLUSTERD_WORKFLOW_FINGERPRINT_H
#define CLUSTERD_WORKFLOW_FINGERPRINT_H

#include "workflow/check.h"
#include "workflow/graph.h"

/* The graph of calls and variants among what is declared; callees have the smaller component numbers. */
void fingerprint_graph(const struct checker *checker, struct graph *graph);
/* Of the members of one component, into their definitions; all that they are bound to outside of it is ->resolved. */
void fingerprint_component(struct checker *checker, const struct components *components, uint32_t component);

#endif
