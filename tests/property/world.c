#include "world.h"

#include "base/memory.h"

#include <assert.h>
#define uthash_malloc(size) mem_alloc(size)
#define uthash_free(memory, size) mem_free(memory)
#include <uthash.h>

struct world_name {
	UT_hash_handle hh;
	const struct syntax_declaration *declaration;
};

static const char built_in[] = "type Cause = error | timeout | type | limit | raised\n"
			       "type Failure = {process: Text, cause: Cause, message: Text}\n";

static void add_name(struct world *world, const struct syntax_declaration *declaration)
{
	struct slice name = declaration->name.text;
	struct world_name *entry = mem_zero(sizeof *entry);
	entry->declaration = declaration;
	if (declaration->kind == SYNTAX_TYPE)
		HASH_ADD_KEYPTR(hh, world->types, name.data, name.size, entry);
	else
		HASH_ADD_KEYPTR(hh, world->callables, name.data, name.size, entry);
}

int world_init(struct world *world, const struct slice *texts, uint32_t count, struct buffer *diagnostics)
{
	struct diagnostics found = {.count = 0};
	struct error error;
	assert(count < WORLD_SOURCES);
	*world = (struct world){.types = NULL};
	world->sources[count] = (struct source){SLICE("built in"), SLICE(built_in), count};
	for (uint32_t i = 0; i < count; i++)
		world->sources[i] = (struct source){SLICE("program.flow"), texts[i], i};
	int result = parser_parse(world->sources, count + 1, &world->syntax, &found, &error);
	diagnostics_render(&found, diagnostics);
	diagnostics_finish(&found);
	for (size_t i = 0; result == 0 && i < world->syntax.file_count; i++)
		for (uint32_t j = 0; j < world->syntax.files[i].declaration_count; j++)
			add_name(world, &world->syntax.files[i].declarations[j]);
	return result;
}

static void finish_names(struct world_name **names)
{
	struct world_name *entry;
	struct world_name *next;
	HASH_ITER (hh, *names, entry, next) {
		HASH_DEL(*names, entry);
		mem_free(entry);
	}
}

void world_finish(struct world *world)
{
	finish_names(&world->types);
	finish_names(&world->callables);
	syntax_finish(&world->syntax);
}

const struct syntax_declaration *world_callable(const struct world *world, struct slice name)
{
	struct world_name *entry;
	HASH_FIND(hh, world->callables, name.data, name.size, entry);
	return entry != NULL ? entry->declaration : NULL;
}

const struct syntax_declaration *world_signature(const struct world *world,
                                                 const struct syntax_declaration *declaration)
{
	while (declaration->kind == SYNTAX_VARIANT)
		declaration = world_callable(world, declaration->base.name);
	return declaration;
}

const struct syntax_type *world_type(const struct world *world, struct slice name)
{
	struct world_name *entry;
	HASH_FIND(hh, world->types, name.data, name.size, entry);
	return entry != NULL ? entry->declaration->type : NULL;
}

const struct syntax_type *world_resolve(const struct world *world, const struct syntax_type *type)
{
	while (type != NULL && type->kind == SYNTAX_TYPE_NAME) {
		const struct syntax_type *named = world_type(world, type->name);
		if (named == NULL)
			break;
		type = named;
	}
	return type;
}
