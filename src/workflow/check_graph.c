#include "workflow/check.h"
#include "workflow/graph.h"

#include "base/memory.h"

#define CYCLE_SHOWN_MAX 8u

/* The graph of the calls inside the unit; processes have none. */
static void graph_of_calls(const struct checker *checker, bool unguarded_only, struct graph *graph)
{
	graph_init(graph, checker->declared_count);
	for (uint32_t i = 0; i < checker->declared_count; i++)
		for (const struct link *link = checker->declared[i].links; link != NULL; link = link->next)
			if (link->target.declared != NULL && !(unguarded_only && link->guarded))
				graph_add(graph, i, link->target.declared->index);
	graph_seal(graph);
}

static const struct link *unguarded_link(const struct declared *from, const struct declared *to)
{
	const struct link *link = from->links;
	while (link->guarded || link->target.declared != to)
		link = link->next;
	return link;
}

static void report_cycle(struct checker *checker, const uint32_t *cycle, uint32_t count)
{
	const struct declared *all = checker->declared;
	struct buffer chain = BUFFER_EMPTY;
	for (uint32_t i = 0; i < count && i < CYCLE_SHOWN_MAX; i++)
		buffer_format(&chain, "%.*s → ", SLICE_ARGS(all[cycle[i]].definition->name));
	if (count > CYCLE_SHOWN_MAX)
		buffer_append_string(&chain, "… → ");
	buffer_append_slice(&chain, all[cycle[0]].definition->name);
	const struct link *link = unguarded_link(&all[cycle[0]], &all[cycle[count > 1 ? 1 : 0]]);
	struct diagnostic *diagnostic = diagnostics_error(checker->diagnostics, link->span,
	                                                  "these calls would never end: %s", buffer_string(&chain));
	diagnostics_hint(checker->diagnostics, diagnostic,
	                 "a cycle of calls has to pass an arm of a `case`, the body of an `each` or an `after`");
	buffer_finish(&chain);
}

void check_recursion(struct checker *checker)
{
	struct graph graph;
	struct components components;
	graph_of_calls(checker, true, &graph);
	components_init(&components, &graph);
	uint32_t *cycle = mem_array((size_t)checker->declared_count + 1, sizeof *cycle);
	for (uint32_t i = 0; i < components.count; i++) {
		uint32_t node = components.members[components.first[i]];
		bool single = components.first[i + 1] - components.first[i] == 1;
		bool own = false;
		for (uint32_t j = graph.first[node]; j < graph.first[node + 1] && !own; j++)
			own = graph.edges[j] == node;
		if (!single || own)
			report_cycle(checker, cycle, graph_cycle(&graph, node, cycle));
	}
	mem_free(cycle);
	components_finish(&components);
	graph_finish(&graph);
}

/* Signals: all workflows of a component, and what they call, run as frames of one instance. */
struct merging {
	struct checker *checker;
	struct declared *first; /* of the component: holds the union while it is made */
};

static void merge_signal(struct merging *merging, struct declared *whose, struct slice name, const struct type *type,
                         struct span span, struct slice from)
{
	struct checker *checker = merging->checker;
	struct checked_signal *there = check_signal_find(merging->first, name);
	if (there == NULL) {
		check_signal_add(checker, merging->first, name, type, span);
		return;
	}
	if (check_same(checker, there->type, type))
		return;
	struct diagnostic *diagnostic = diagnostics_error(
		checker->diagnostics, span, "signal `%.*s` is %s in `%.*s`, but %s in what runs together with it",
		SLICE_ARGS(name), check_show(checker, type), SLICE_ARGS(from), check_show(checker, there->type));
	if (there->span.source != NULL)
		diagnostics_note(checker->diagnostics, diagnostic, there->span, "here");
	diagnostics_hint(checker->diagnostics, diagnostic, "a signal has one type in `%.*s` and all that it calls",
	                 SLICE_ARGS(whose->definition->name));
}

static void merge_callee(struct merging *merging, struct declared *caller, const struct link *link)
{
	const struct definition *callee = link->target.definition;
	for (uint32_t i = 0; i < callee->signal_count; i++)
		merge_signal(merging, caller, callee->signals[i].name, callee->signals[i].type, link->span,
		             callee->name);
}

static void store_signals(struct checker *checker, const struct declared *from, struct definition *definition)
{
	definition->signals = arena_alloc(&checker->unit->arena, (CHECK_SIGNALS_MAX + 1) * sizeof *definition->signals);
	for (const struct checked_signal *signal = from->signals; signal != NULL; signal = signal->next)
		definition->signals[definition->signal_count++] = (struct signal_type){signal->name, signal->type};
}

static void merge_component(struct checker *checker, const struct components *components, uint32_t component)
{
	const uint32_t *members = components->members + components->first[component];
	uint32_t count = components->first[component + 1] - components->first[component];
	struct merging merging = {checker, &checker->declared[members[0]]};
	for (uint32_t i = 1; i < count; i++) {
		struct declared *member = &checker->declared[members[i]];
		for (const struct checked_signal *own = member->signals; own != NULL; own = own->next)
			merge_signal(&merging, member, own->name, own->type, own->span, member->definition->name);
	}
	for (uint32_t i = 0; i < count; i++) {
		struct declared *member = &checker->declared[members[i]];
		for (const struct link *link = member->links; link != NULL; link = link->next)
			if (link->target.declared == NULL || components->of[link->target.declared->index] != component)
				merge_callee(&merging, member, link);
	}
	if (merging.first->signals == NULL)
		return;
	store_signals(checker, merging.first, merging.first->definition);
	for (uint32_t i = 1; i < count; i++) {
		struct definition *definition = checker->declared[members[i]].definition;
		definition->signals = merging.first->definition->signals;
		definition->signal_count = merging.first->definition->signal_count;
	}
}

void check_signals(struct checker *checker)
{
	struct graph graph;
	struct components components;
	graph_of_calls(checker, false, &graph);
	components_init(&components, &graph);
	/* Callees have the smaller numbers, so that theirs are complete. */
	for (uint32_t i = 0; i < components.count; i++)
		merge_component(checker, &components, i);
	components_finish(&components);
	graph_finish(&graph);
}
