#include "workflow/registry.h"

#include "base/memory.h"
#include "base/utf8.h"
#include "lang/parser.h"
#include "workflow/check.h"
#include "workflow/compile.h"
#include "workflow/fingerprint.h"
#include "workflow/suggest.h"
#include "workflow/unit.h"

#include <uthash.h>

/* All versions of one name: version v is versions[v − 1]. */
struct named {
	UT_hash_handle hh;
	struct slice name;
	const struct definition **versions;
	size_t count;
	size_t capacity;
};

struct registry {
	struct named *names;
	struct unit *units; /* the last one first */
};

int registry_create(struct registry **ret_registry)
{
	*ret_registry = mem_zero(sizeof **ret_registry);
	return 0;
}

void registry_destroy(struct registry *registry)
{
	struct named *named;
	struct named *next;
	if (registry == NULL)
		return;
	HASH_ITER(hh, registry->names, named, next) {
		HASH_DEL(registry->names, named);
		mem_free(named->versions);
		mem_free(named);
	}
	while (registry->units != NULL) {
		struct unit *unit = registry->units;
		registry->units = unit->next;
		unit_destroy(unit);
	}
	mem_free(registry);
}

static struct named *find_named(const struct registry *registry, struct slice name)
{
	struct named *named;
	HASH_FIND(hh, registry->names, name.data, name.size, named);
	return named;
}

const struct definition *registry_find(const struct registry *registry, struct slice name, uint32_t version)
{
	const struct named *named = find_named(registry, name);
	if (named == NULL || version > named->count)
		return NULL;
	return named->versions[version == 0 ? named->count - 1 : version - 1];
}

struct slice registry_nearest(const struct registry *registry, struct slice name)
{
	struct suggestion suggestion;
	struct named *named;
	struct named *next;
	suggestion_init(&suggestion, name);
	HASH_ITER(hh, registry->names, named, next)
		suggestion_try(&suggestion, named->name);
	return suggestion.nearest;
}

static void add_definition(struct registry *registry, const struct definition *definition)
{
	struct named *named = find_named(registry, definition->name);
	if (named == NULL) {
		named = mem_zero(sizeof *named);
		named->name = definition->name;
		HASH_ADD_KEYPTR(hh, registry->names, named->name.data, named->name.size, named);
	}
	mem_grow(named->versions, named->capacity, named->count + 1);
	named->versions[named->count++] = definition;
}

/* Versions. */

/* All members of a component are what was registered before, or all are new. */
static void resolve_component(struct checker *checker, const struct components *components, uint32_t component)
{
	bool same = true;
	for (uint32_t i = components->first[component]; i < components->first[component + 1]; i++) {
		struct declared *declared = &checker->declared[components->members[i]];
		declared->resolved = registry_find(checker->registry, declared->definition->name, 0);
		same = same && declared->resolved != NULL &&
		       declared->resolved->fingerprint == declared->definition->fingerprint;
	}
	for (uint32_t i = components->first[component]; !same && i < components->first[component + 1]; i++) {
		struct declared *declared = &checker->declared[components->members[i]];
		declared->definition->version = declared->resolved != NULL ? declared->resolved->version + 1 : 1;
		declared->resolved = declared->definition;
	}
}

static void resolve_versions(struct checker *checker)
{
	struct graph graph;
	struct components components;
	fingerprint_graph(checker, &graph);
	components_init(&components, &graph);
	for (uint32_t i = 0; i < components.count; i++) {
		fingerprint_component(checker, &components, i);
		resolve_component(checker, &components, i);
	}
	components_finish(&components);
	graph_finish(&graph);
}

static bool is_new(const struct declared *declared)
{
	return declared->resolved == declared->definition;
}

static void compile_all(struct checker *checker)
{
	for (uint32_t i = 0; i < checker->declared_count; i++) {
		struct declared *declared = &checker->declared[i];
		if (declared->definition->kind == DEFINITION_WORKFLOW && is_new(declared))
			declared->definition->program = compile_workflow(checker, declared);
	}
}

/* Registering. */

static int report(const struct diagnostics *found, struct buffer *diagnostics, struct error *error)
{
	struct buffer text = BUFFER_EMPTY;
	diagnostics_render(found, &text);
	if (diagnostics != NULL)
		buffer_append_slice(diagnostics, buffer_slice(&text));
	int result = 0;
	if (found->error_count > 0) {
		const char *end = memchr(text.data, '\n', text.size);
		struct slice line = {text.data, end != NULL ? (size_t)(end - text.data) : text.size};
		line = utf8_cut(line, 300);
		if (found->error_count == 1)
			result = error_set(error, ERR_INVALID, "%.*s", SLICE_ARGS(line));
		else
			result = error_set(error, ERR_INVALID, "%zu errors; the first: %.*s", found->error_count,
			                   SLICE_ARGS(line));
	}
	buffer_finish(&text);
	return result;
}

static int check_size(const struct source_file *files, size_t file_count, struct error *error)
{
	size_t size = 0;
	for (size_t i = 0; i < file_count; i++) {
		if (files[i].text.size > REGISTRY_SOURCE_SIZE_MAX - size)
			return error_set(error, ERR_LIMIT, "the files together are larger than %u bytes",
			                 REGISTRY_SOURCE_SIZE_MAX);
		size += files[i].text.size;
	}
	return 0;
}

static void fill_registration(const struct checker *checker, struct registration *registration)
{
	registration->entries = mem_array((size_t)checker->declared_count + 1, sizeof *registration->entries);
	registration->count = checker->declared_count;
	for (uint32_t i = 0; i < checker->declared_count; i++) {
		registration->entries[i].definition = checker->declared[i].resolved;
		registration->entries[i].is_new = is_new(&checker->declared[i]);
		registration->new_count += registration->entries[i].is_new;
	}
}

/* The unit has no errors: makes its definitions known. Takes the unit. */
static void keep_unit(struct registry *registry, struct unit *take_unit, bool dry_run,
                      struct registration *registration)
{
	if (registration->new_count == 0) {
		unit_destroy(take_unit);
		return;
	}
	if (dry_run) {
		registration->unit = take_unit;
		return;
	}
	take_unit->next = registry->units;
	registry->units = take_unit;
	for (uint32_t i = 0; i < registration->count; i++)
		if (registration->entries[i].is_new)
			add_definition(registry, registration->entries[i].definition);
}

static int check_unit(struct registry *registry, struct unit *unit, const struct attachment *attachments,
                      size_t attachment_count, struct registration *registration, struct buffer *diagnostics,
                      struct error *error)
{
	struct syntax syntax;
	struct diagnostics found = {.count = 0};
	struct checker checker;
	int result = parser_parse(unit->sources, unit->source_count, &syntax, &found, error);
	if (result == ERR_LIMIT) {
		diagnostics_finish(&found);
		return result;
	}
	checker_init(&checker, unit, registry, &found);
	checker.attachments = attachments;
	checker.attachment_count = attachment_count;
	checker_run(&checker, &syntax);
	if (found.error_count == 0) {
		resolve_versions(&checker);
		compile_all(&checker);
	}
	result = report(&found, diagnostics, error);
	if (result == 0)
		fill_registration(&checker, registration);
	checker_finish(&checker);
	syntax_finish(&syntax);
	diagnostics_finish(&found);
	return result;
}

int registry_register(struct registry *registry, const struct source_file *files, size_t file_count,
                      const struct attachment *attachments, size_t attachment_count, bool dry_run,
                      struct registration *ret_registration, struct buffer *diagnostics, struct error *error)
{
	struct registration registration = {.count = 0};
	int result = check_size(files, file_count, error);
	if (result < 0)
		return result;
	struct unit *unit = unit_create(files, file_count);
	result = check_unit(registry, unit, attachments, attachment_count, &registration, diagnostics, error);
	if (result < 0) {
		unit_destroy(unit);
		return result;
	}
	keep_unit(registry, unit, dry_run, &registration);
	*ret_registration = registration;
	return 0;
}

void registration_finish(struct registration *registration)
{
	mem_free(registration->entries);
	unit_destroy(registration->unit);
	*registration = (struct registration){.count = 0};
}

/* Attachments. */

/* One that is listed already; the key is its text. */
struct path {
	UT_hash_handle hh;
};

/* Paths that would be refused are left to registry_register, which says so. */
static void add_path(struct slice path, struct arena *arena, struct path **paths, struct buffer *out)
{
	struct path *there;
	HASH_FIND(hh, *paths, path.data, path.size, there);
	if (there != NULL || check_path_fault(path) != NULL || memchr(path.data, '\0', path.size) != NULL)
		return;
	struct path *added = arena_alloc(arena, sizeof *added);
	HASH_ADD_KEYPTR(hh, *paths, path.data, path.size, added);
	buffer_append_slice(out, path);
	buffer_append_char(out, '\0');
}

static void add_paths(const struct syntax_declaration *declaration, struct arena *arena, struct path **paths,
                      struct buffer *out)
{
	bool runs = declaration->kind == SYNTAX_PROCESS || declaration->kind == SYNTAX_VARIANT ||
	            declaration->kind == SYNTAX_JOB;
	if (!runs || declaration->settings == NULL)
		return;
	for (uint32_t i = 0; i < declaration->settings->count; i++) {
		const struct syntax_setting *setting = &declaration->settings->entries[i];
		if (!slice_is(setting->key.text, "files") || setting->value->kind != SYNTAX_VALUE_LIST)
			continue;
		for (uint32_t j = 0; j < setting->value->item_count; j++)
			if (setting->value->items[j]->kind == SYNTAX_VALUE_STRING)
				add_path(parser_unquote(setting->value->items[j]->text, arena), arena, paths, out);
	}
}

int registry_attachments(const struct source_file *files, size_t file_count, struct buffer *ret_paths,
                         struct buffer *diagnostics, struct error *error)
{
	struct syntax syntax;
	struct diagnostics found = {.count = 0};
	struct path *paths = NULL;
	int result = check_size(files, file_count, error);
	if (result < 0)
		return result;
	struct unit *unit = unit_create(files, file_count);
	result = parser_parse(unit->sources, unit->source_count, &syntax, &found, error);
	if (result == 0)
		for (size_t i = 0; i < syntax.file_count; i++)
			for (uint32_t j = 0; j < syntax.files[i].declaration_count; j++)
				add_paths(&syntax.files[i].declarations[j], &unit->arena, &paths, ret_paths);
	if (result != ERR_LIMIT) {
		result = report(&found, diagnostics, error);
		syntax_finish(&syntax);
	}
	HASH_CLEAR(hh, paths);
	diagnostics_finish(&found);
	unit_destroy(unit);
	return result;
}
