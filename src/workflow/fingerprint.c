#include "workflow/fingerprint.h"

#include "base/memory.h"
#include "lang/parser.h"
#include "workflow/job.h"

#include <stdlib.h>
#include <xxhash.h>

static void add_slice(struct buffer *content, struct slice slice)
{
	buffer_append_u32(content, (uint32_t)slice.size);
	buffer_append_slice(content, slice);
}

static void add_token(struct slice token, void *context)
{
	add_slice(context, token);
}

static uint64_t own_hash(const struct declared *declared)
{
	const struct definition *definition = declared->definition;
	bool job = definition->kind == DEFINITION_JOB;
	const struct process_file *files = job ? definition->job->files : definition->settings.files;
	uint32_t file_count = job ? definition->job->file_count : definition->settings.file_count;
	struct buffer content = BUFFER_EMPTY;
	parser_visit_tokens(declared->syntax->span, add_token, &content);
	buffer_append_u64(&content, declared->types_hash);
	for (uint32_t i = 0; i < file_count; i++) {
		add_slice(&content, files[i].path);
		add_slice(&content, files[i].hash);
	}
	uint64_t hash = XXH3_64bits(content.data, content.size);
	buffer_finish(&content);
	return hash;
}

void fingerprint_graph(const struct checker *checker, struct graph *graph)
{
	graph_init(graph, checker->declared_count);
	for (uint32_t i = 0; i < checker->declared_count; i++)
		for (const struct link *link = checker->declared[i].links; link != NULL; link = link->next)
			if (link->target.declared != NULL)
				graph_add(graph, i, link->target.declared->index);
	graph_seal(graph);
}

static int compare_names(const void *left, const void *right)
{
	const struct declared *const *a = left;
	const struct declared *const *b = right;
	return slice_compare((*a)->definition->name, (*b)->definition->name);
}

/* What a definition is bound to outside of its component. */
static void add_bound(const struct declared *declared, const struct components *components, struct buffer *content)
{
	for (const struct link *link = declared->links; link != NULL; link = link->next) {
		const struct declared *target = link->target.declared;
		const struct definition *bound = link->target.definition;
		if (target != NULL && components->of[target->index] == components->of[declared->index])
			continue;
		if (target != NULL)
			bound = target->resolved;
		add_slice(content, bound->name);
		buffer_append_u32(content, bound->version);
	}
}

void fingerprint_component(struct checker *checker, const struct components *components, uint32_t component)
{
	uint32_t first = components->first[component];
	uint32_t count = components->first[component + 1] - first;
	struct declared **members = mem_array(count, sizeof *members);
	struct buffer content = BUFFER_EMPTY;
	for (uint32_t i = 0; i < count; i++) {
		members[i] = &checker->declared[components->members[first + i]];
		members[i]->own_hash = own_hash(members[i]);
	}
	/* The order of declaration does not count. */
	qsort(members, count, sizeof *members, compare_names);
	for (uint32_t i = 0; i < count; i++) {
		add_slice(&content, members[i]->definition->name);
		buffer_append_u64(&content, members[i]->own_hash);
		add_bound(members[i], components, &content);
	}
	uint64_t together = XXH3_64bits(content.data, content.size);
	for (uint32_t i = 0; i < count; i++) {
		buffer_clear(&content);
		buffer_append_u64(&content, members[i]->own_hash);
		buffer_append_u64(&content, together);
		members[i]->definition->fingerprint = XXH3_64bits(content.data, content.size);
	}
	buffer_finish(&content);
	mem_free(members);
}
