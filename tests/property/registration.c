#include "registration.h"

#include "base/memory.h"
#include "world.h"

#include <assert.h>

#define NAMES_MAX 128u

/* A unit: the texts of the files that are registered together. */
struct texts {
	struct buffer files[3];
	uint32_t count;
};

static void texts_finish(struct texts *texts)
{
	for (uint32_t i = 0; i < texts->count; i++)
		buffer_finish(&texts->files[i]);
}

static void add_text(struct texts *texts, const struct buffer *text)
{
	struct buffer *copy = &texts->files[texts->count++];
	*copy = BUFFER_EMPTY;
	buffer_append_slice(copy, buffer_slice(text));
}

/* One file of several. */
static void join(struct texts *texts)
{
	for (uint32_t i = 1; i < texts->count; i++) {
		buffer_append_slice(&texts->files[0], buffer_slice(&texts->files[i]));
		buffer_finish(&texts->files[i]);
	}
	texts->count = 1;
}

static bool do_register(struct registry *registry, const struct texts *texts, bool dry_run,
                        struct registration *ret_registration, struct buffer *failure)
{
	struct source_file files[3];
	struct buffer diagnostics = BUFFER_EMPTY;
	struct error error = {0};
	for (uint32_t i = 0; i < texts->count; i++)
		files[i] = (struct source_file){SLICE("program.flow"), buffer_slice(&texts->files[i])};
	int code = registry_register(registry, files, texts->count, NULL, 0, dry_run, ret_registration, &diagnostics,
	                             &error);
	if (code != 0)
		buffer_format(failure, "registering gives %s:\n%s\n", error_name(code),
		              diagnostics.size > 0 ? buffer_string(&diagnostics) : error.text);
	buffer_finish(&diagnostics);
	return code == 0;
}

static void verify(const struct program *program)
{
	program_verify(program);
	for (uint32_t i = 0; i < program->body_count; i++)
		verify(program->bodies[i]);
}

/* Programs are linear and print. */
static bool check_programs(const struct registration *registration, struct buffer *failure)
{
	struct buffer print = BUFFER_EMPTY;
	bool fine = true;
	for (uint32_t i = 0; i < registration->count && fine; i++) {
		const struct definition *definition = registration->entries[i].definition;
		if ((definition->program == NULL) != (definition->kind == DEFINITION_PROCESS)) {
			buffer_format(failure, "%.*s has no program\n", SLICE_ARGS(definition->name));
			fine = false;
		} else if (definition->program != NULL) {
			verify(definition->program);
			buffer_clear(&print);
			program_print(definition->program, &print);
			fine = print.size > definition->name.size;
			if (!fine)
				buffer_format(failure, "%.*s prints as nothing\n", SLICE_ARGS(definition->name));
		}
	}
	buffer_finish(&print);
	return fine;
}

static bool register_new(struct registry *registry, const struct texts *texts, struct buffer *failure)
{
	struct registration registration = {.count = 0};
	if (!do_register(registry, texts, false, &registration, failure))
		return false;
	bool fine = check_programs(&registration, failure);
	registration_finish(&registration);
	return fine;
}

/* White space and comments do not count. */
static bool register_again(struct registry *registry, const struct texts *texts, struct buffer *failure)
{
	struct registration registration = {.count = 0};
	struct texts spaced = {.count = texts->count};
	for (uint32_t i = 0; i < texts->count; i++) {
		spaced.files[i] = BUFFER_EMPTY;
		buffer_append_string(&spaced.files[i], "# the same\n");
		for (size_t j = 0; j < texts->files[i].size; j++) {
			char c = texts->files[i].data[j];
			buffer_append_string(&spaced.files[i], c == '\n' ? "\n\t # }\n" : (char[]){c, '\0'});
		}
	}
	bool fine = do_register(registry, texts, false, &registration, failure);
	uint32_t new_count = registration.new_count;
	registration_finish(&registration);
	if (fine && new_count == 0) {
		fine = do_register(registry, &spaced, false, &registration, failure);
		new_count = registration.new_count;
		registration_finish(&registration);
	}
	texts_finish(&spaced);
	if (new_count != 0)
		buffer_format(failure, "registering the same again gives %u new versions\n", new_count);
	return fine && new_count == 0;
}

/* Another token. */

struct mark {
	uint32_t file;
	size_t offset; /* of a character to be changed */
};

/* One of the places where the generator has left something to change. */
static bool find_mark(const struct texts *texts, struct random *random, struct mark *ret_mark)
{
	static const struct slice signs[] = {{"\"mark-", 6}, {"= 77s", 5}};
	uint64_t count = 0;
	for (uint32_t i = 0; i < texts->count; i++)
		for (size_t j = 0; j + 6 < texts->files[i].size; j++)
			for (uint32_t k = 0; k < 2; k++)
				if (memcmp(texts->files[i].data + j, signs[k].data, signs[k].size) == 0 &&
				    random_below(random, ++count) == 0)
					*ret_mark = (struct mark){i, j + 3};
	return count > 0;
}

/* The names of what is declared, and of what each is bound to. */
struct reaching {
	const struct world *world;
	const struct syntax_declaration *declarations[NAMES_MAX];
	bool reached[NAMES_MAX]; /* bound to what has changed, or that itself */
	uint32_t count;
};

/* Tokens that name a process or workflow: `Name(` and, in a variant, what stands behind `=`. */
struct binding_search {
	struct reaching *reaching;
	struct slice before;
	struct slice last;
	bool found;
};

static void search_token(struct slice token, void *context)
{
	struct binding_search *search = context;
	for (uint32_t i = 0; i < search->reaching->count; i++) {
		if (!search->reaching->reached[i])
			continue;
		struct slice name = search->reaching->declarations[i]->name.text;
		bool called = slice_is(token, "(") && slice_equal(search->last, name);
		bool base = slice_is(search->before, "=") && slice_equal(search->last, name) && slice_is(token, "{");
		search->found = search->found || called || base;
	}
	search->before = search->last;
	search->last = token;
}

static uint32_t reach_all(struct reaching *reaching)
{
	uint32_t total = 1;
	for (bool more = true; more;) {
		more = false;
		for (uint32_t i = 0; i < reaching->count; i++) {
			struct binding_search search = {.reaching = reaching};
			if (reaching->reached[i])
				continue;
			parser_visit_tokens(reaching->declarations[i]->span, search_token, &search);
			if (!search.found)
				continue;
			reaching->reached[i] = more = true;
			total++;
		}
	}
	return total;
}

/* How many definitions get a new version when what stands at the mark changes. */
static uint32_t count_reached(const struct texts *texts, struct mark mark)
{
	struct world world;
	struct buffer diagnostics = BUFFER_EMPTY;
	struct slice slices[3];
	struct reaching reaching = {.world = &world};
	for (uint32_t i = 0; i < texts->count; i++)
		slices[i] = buffer_slice(&texts->files[i]);
	int code = world_init(&world, slices, texts->count, &diagnostics);
	assert(code == 0);
	for (uint32_t i = 0; i < texts->count; i++) {
		const struct syntax_file *file = &world.syntax.files[i];
		for (uint32_t j = 0; j < file->declaration_count; j++) {
			const struct syntax_declaration *declaration = &file->declarations[j];
			if (declaration->kind == SYNTAX_TYPE)
				continue;
			assert(reaching.count < NAMES_MAX);
			reaching.reached[reaching.count] = i == mark.file && declaration->span.offset <= mark.offset &&
			                                   mark.offset <
			                                           declaration->span.offset + declaration->span.size;
			reaching.declarations[reaching.count++] = declaration;
		}
	}
	uint32_t total = reach_all(&reaching);
	world_finish(&world);
	buffer_finish(&diagnostics);
	return total;
}

/* On trial: nothing is kept of it. */
static bool register_changed(struct registry *registry, struct texts *texts, struct random *random,
                             struct buffer *failure)
{
	struct registration registration = {.count = 0};
	struct mark mark = {0, 0};
	if (!find_mark(texts, random, &mark))
		return true;
	uint32_t expected = count_reached(texts, mark);
	char *character = &texts->files[mark.file].data[mark.offset];
	*character = *character == '7' ? '8' : 'i';
	bool fine = do_register(registry, texts, true, &registration, failure);
	if (fine && registration.new_count != expected) {
		buffer_format(failure,
		              "after a change at byte %zu of file %u there are %u new versions instead of %u\n",
		              mark.offset, mark.file, registration.new_count, expected);
		fine = false;
	}
	registration_finish(&registration);
	return fine;
}

bool register_program(struct registered_program *program, const struct generated *generated, struct random *random,
                      struct buffer *failure)
{
	struct texts first = {.count = 0};
	struct texts all = {.count = 0};
	registry_create(&program->registry);
	add_text(&first, &generated->types);
	add_text(&first, &generated->processes);
	add_text(&all, &generated->types);
	if (generated->arrangement != ONE_BY_ONE)
		add_text(&all, &generated->processes);
	add_text(&all, &generated->workflows);
	if (random_below(random, 2) == 0)
		join(&all);
	bool fine = generated->arrangement == TOGETHER || register_new(program->registry, &first, failure);
	fine = fine && register_new(program->registry, &all, failure) &&
	       register_again(program->registry, &all, failure) &&
	       register_changed(program->registry, &all, random, failure);
	program->workflow = registry_find(program->registry, SLICE("Main"), 0);
	texts_finish(&first);
	texts_finish(&all);
	return fine;
}

void registered_program_finish(struct registered_program *program)
{
	registry_destroy(program->registry);
	program->registry = NULL;
}
