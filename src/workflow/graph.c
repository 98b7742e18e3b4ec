#include "workflow/graph.h"

#include "base/memory.h"

#include <assert.h>

#define NONE UINT32_MAX

void graph_init(struct graph *graph, uint32_t node_count)
{
	*graph = (struct graph){.node_count = node_count};
	graph->first = mem_array((size_t)node_count + 1, sizeof *graph->first);
}

void graph_finish(struct graph *graph)
{
	mem_free(graph->first);
	mem_free(graph->edges);
}

void graph_add(struct graph *graph, uint32_t from, uint32_t to)
{
	assert(from >= graph->begun && from < graph->node_count && to < graph->node_count);
	while (graph->begun < from)
		graph->first[++graph->begun] = (uint32_t)graph->edge_count;
	mem_grow(graph->edges, graph->edge_capacity, graph->edge_count + 1);
	graph->edges[graph->edge_count++] = to;
}

void graph_seal(struct graph *graph)
{
	while (graph->begun < graph->node_count)
		graph->first[++graph->begun] = (uint32_t)graph->edge_count;
}

struct search {
	const struct graph *graph;
	struct components *components;
	uint32_t *index; /* order of discovery, by node; NONE: not yet */
	uint32_t *low;
	uint32_t *edge;  /* the next one to follow, by node */
	uint32_t *open;  /* nodes without a component */
	uint32_t open_count;
	uint32_t *path;
	uint32_t path_count;
	uint32_t found;
};

static void enter(struct search *search, uint32_t node)
{
	search->index[node] = search->low[node] = search->found++;
	search->edge[node] = search->graph->first[node];
	search->open[search->open_count++] = node;
	search->path[search->path_count++] = node;
}

static void leave(struct search *search, uint32_t node)
{
	search->path_count--;
	if (search->path_count > 0) {
		uint32_t outer = search->path[search->path_count - 1];
		if (search->low[node] < search->low[outer])
			search->low[outer] = search->low[node];
	}
	if (search->low[node] != search->index[node])
		return;
	uint32_t member;
	do {
		member = search->open[--search->open_count];
		search->components->of[member] = search->components->count;
	} while (member != node);
	search->components->count++;
}

static void visit(struct search *search, uint32_t root)
{
	enter(search, root);
	while (search->path_count > 0) {
		uint32_t node = search->path[search->path_count - 1];
		if (search->edge[node] == search->graph->first[node + 1]) {
			leave(search, node);
			continue;
		}
		uint32_t next = search->graph->edges[search->edge[node]++];
		if (search->index[next] == NONE)
			enter(search, next);
		else if (search->components->of[next] == NONE && search->index[next] < search->low[node])
			search->low[node] = search->index[next];
	}
}

static void list_members(struct components *components, uint32_t node_count)
{
	components->first = mem_array((size_t)components->count + 1, sizeof *components->first);
	components->members = mem_array(node_count != 0 ? node_count : 1, sizeof *components->members);
	for (uint32_t i = 0; i < node_count; i++)
		components->first[components->of[i] + 1]++;
	for (uint32_t i = 0; i < components->count; i++)
		components->first[i + 1] += components->first[i];
	uint32_t *next = mem_copy(components->first, ((size_t)components->count + 1) * sizeof *next);
	for (uint32_t i = 0; i < node_count; i++)
		components->members[next[components->of[i]]++] = i;
	mem_free(next);
}

void components_init(struct components *components, const struct graph *graph)
{
	size_t count = graph->node_count != 0 ? graph->node_count : 1;
	struct search search = {.graph = graph, .components = components};
	*components = (struct components){.of = mem_array(count, sizeof *components->of)};
	search.index = mem_array(count, sizeof *search.index);
	search.low = mem_array(count, sizeof *search.low);
	search.edge = mem_array(count, sizeof *search.edge);
	search.open = mem_array(count, sizeof *search.open);
	search.path = mem_array(count, sizeof *search.path);
	for (uint32_t i = 0; i < graph->node_count; i++)
		search.index[i] = components->of[i] = NONE;
	for (uint32_t i = 0; i < graph->node_count; i++)
		if (search.index[i] == NONE)
			visit(&search, i);
	list_members(components, graph->node_count);
	mem_free(search.index);
	mem_free(search.low);
	mem_free(search.edge);
	mem_free(search.open);
	mem_free(search.path);
}

void components_finish(struct components *components)
{
	mem_free(components->of);
	mem_free(components->first);
	mem_free(components->members);
}

/* Breadth first, along the edges. */
uint32_t graph_cycle(const struct graph *graph, uint32_t node, uint32_t *ret_cycle)
{
	uint32_t *before = mem_array(graph->node_count, sizeof *before);
	uint32_t *queue = mem_array(graph->node_count, sizeof *queue);
	uint32_t head = 0;
	uint32_t tail = 0;
	uint32_t last = NONE;
	for (uint32_t i = 0; i < graph->node_count; i++)
		before[i] = NONE;
	queue[tail++] = node;
	while (head < tail && last == NONE) {
		uint32_t at = queue[head++];
		for (uint32_t i = graph->first[at]; i < graph->first[at + 1] && last == NONE; i++) {
			uint32_t next = graph->edges[i];
			if (next == node) {
				last = at;
			} else if (before[next] == NONE) {
				before[next] = at;
				queue[tail++] = next;
			}
		}
	}
	uint32_t count = 0;
	for (uint32_t at = last; at != NONE; at = before[at])
		ret_cycle[count++] = at;
	for (uint32_t i = 0; i < count / 2; i++) {
		uint32_t swapped = ret_cycle[i];
		ret_cycle[i] = ret_cycle[count - 1 - i];
		ret_cycle[count - 1 - i] = swapped;
	}
	mem_free(before);
	mem_free(queue);
	return count;
}
