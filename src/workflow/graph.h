/* Who calls whom. */
#ifndef CLUSTERD_WORKFLOW_GRAPH_H
#define CLUSTERD_WORKFLOW_GRAPH_H

#include <stddef.h>
#include <stdint.h>

/* Start with graph_init; all edges of a node are added before those of the next one; then graph_seal. */
struct graph {
	uint32_t node_count;
	uint32_t *first; /* by node, and one more: where its edges begin */
	uint32_t begun;  /* the node that edges are added to */
	uint32_t *edges;
	size_t edge_count;
	size_t edge_capacity;
};

void graph_init(struct graph *graph, uint32_t node_count);
void graph_finish(struct graph *graph);
void graph_add(struct graph *graph, uint32_t from, uint32_t to);
void graph_seal(struct graph *graph);

/* Strongly connected components (Tarjan 1972, with a stack of its own instead of the machine's). */
struct components {
	uint32_t count;
	uint32_t *of;      /* by node. A component's number is greater than those it has edges to */
	uint32_t *first;   /* by component, and one more: where its nodes begin */
	uint32_t *members; /* ascending in a component */
};

void components_init(struct components *components, const struct graph *graph);
void components_finish(struct components *components);

/* A shortest way from a node back to itself: its nodes in order, `node` first, in `ret_cycle` (room for all nodes).
 * Returns how many; 0: there is none. */
uint32_t graph_cycle(const struct graph *graph, uint32_t node, uint32_t *ret_cycle);

#endif
