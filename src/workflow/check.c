#include "workflow/check.h"

#include "base/memory.h"

#define SUGGESTIONS_MAX 50u     /* of a unit */
#define VARIANT_DEPTH_MAX 64u   /* variants of variants */

bool check_may_suggest(struct checker *checker)
{
	return checker->suggestion_count < SUGGESTIONS_MAX && ++checker->suggestion_count > 0;
}

void check_refuse(struct checker *checker, struct span span, const char *what)
{
	diagnostics_error(checker->diagnostics, span, "%s is not supported by this version of clusterd", what);
}

struct span check_head(struct span span, uint32_t size)
{
	if (span.size > size)
		span.size = size;
	return span;
}

/* Names. */

static enum definition_kind kind_of(const struct syntax_declaration *syntax)
{
	return syntax->kind == SYNTAX_WORKFLOW ? DEFINITION_WORKFLOW
	       : syntax->kind == SYNTAX_JOB    ? DEFINITION_JOB
	                                       : DEFINITION_PROCESS;
}

static void declare(struct checker *checker, const struct syntax_declaration *syntax)
{
	struct slice name = syntax->name.text;
	struct declared *there;
	if (name.size == 0)
		return;
	HASH_FIND(hh, checker->by_name, name.data, name.size, there);
	if (there != NULL) {
		struct diagnostic *diagnostic = diagnostics_error(checker->diagnostics, syntax->name.span,
		                                                  "`%.*s` is declared twice", SLICE_ARGS(name));
		diagnostics_note(checker->diagnostics, diagnostic, there->syntax->name.span, "%s, here first",
		                 definition_kind_name(kind_of(there->syntax)));
		return;
	}
	struct declared *declared = &checker->declared[checker->declared_count];
	struct definition *definition = arena_alloc(&checker->unit->arena, sizeof *definition);
	definition->kind = kind_of(syntax);
	definition->name = unit_keep(checker->unit, name);
	definition->source = span_text(syntax->span);
	declared->syntax = syntax;
	declared->index = checker->declared_count++;
	declared->definition = definition;
	declared->last_link = &declared->links;
	declared->last_signal = &declared->signals;
	if (syntax->broken) {
		declared->broken = true;
		declared->state = DECLARED_DONE;
	}
	HASH_ADD_KEYPTR(hh, checker->by_name, definition->name.data, definition->name.size, declared);
}

static void declare_all(struct checker *checker, const struct syntax *syntax)
{
	size_t count = 0;
	for (size_t i = 0; i < syntax->file_count; i++)
		count += syntax->files[i].declaration_count;
	checker->declared = arena_alloc(&checker->arena, (count + 1) * sizeof *checker->declared);
	for (size_t i = 0; i < syntax->file_count; i++) {
		for (uint32_t j = 0; j < syntax->files[i].declaration_count; j++) {
			const struct syntax_declaration *declaration = &syntax->files[i].declarations[j];
			if (declaration->kind == SYNTAX_TYPE)
				check_declare_alias(checker, declaration);
			else
				declare(checker, declaration);
		}
	}
}

static void report_unknown(struct checker *checker, const struct syntax_ref *ref)
{
	struct suggestion suggestion;
	const struct type *type;
	struct diagnostic *diagnostic =
		diagnostics_error(checker->diagnostics, ref->name_span, "there is no process or workflow `%.*s`",
	                          SLICE_ARGS(ref->name));
	if (check_type_named(checker, ref->name, &type)) {
		diagnostics_hint(checker->diagnostics, diagnostic, "`%.*s` is a type", SLICE_ARGS(ref->name));
		return;
	}
	if (!check_may_suggest(checker))
		return;
	suggestion_init(&suggestion, ref->name);
	for (uint32_t i = 0; i < checker->declared_count; i++)
		suggestion_try(&suggestion, checker->declared[i].definition->name);
	suggestion_try(&suggestion, registry_nearest(checker->registry, ref->name));
	if (suggestion.nearest.size != 0)
		diagnostics_hint(checker->diagnostics, diagnostic, "did you mean `%.*s`?",
		                 SLICE_ARGS(suggestion.nearest));
}

static struct target find_version(struct checker *checker, const struct syntax_ref *ref)
{
	struct target target = {NULL, registry_find(checker->registry, ref->name, ref->version)};
	if (target.definition != NULL)
		return target;
	const struct definition *newest = registry_find(checker->registry, ref->name, 0);
	struct declared *declared;
	HASH_FIND(hh, checker->by_name, ref->name.data, ref->name.size, declared);
	if (newest == NULL && declared != NULL)
		diagnostics_error(checker->diagnostics, ref->span,
		                  "`%.*s` has no version %u: it is declared here for the first time",
		                  SLICE_ARGS(ref->name), ref->version);
	else if (newest != NULL)
		diagnostics_error(checker->diagnostics, ref->span, "`%.*s` has no version %u; the newest is %u",
		                  SLICE_ARGS(ref->name), ref->version, newest->version);
	else
		report_unknown(checker, ref);
	return target;
}

struct target check_ref(struct checker *checker, const struct syntax_ref *ref)
{
	struct target target = {NULL, NULL};
	if (ref->version_kind == SYNTAX_VERSION_NUMBER)
		return find_version(checker, ref);
	if (ref->version_kind == SYNTAX_VERSION_LATEST)
		check_refuse(checker, ref->span, "`@latest`");
	HASH_FIND(hh, checker->by_name, ref->name.data, ref->name.size, target.declared);
	target.definition = target.declared != NULL ? target.declared->definition
	                                            : registry_find(checker->registry, ref->name, 0);
	if (target.definition == NULL)
		report_unknown(checker, ref);
	return target;
}

void check_link(struct checker *checker, struct declared *from, struct target target, struct span span)
{
	struct link *link = arena_alloc(&checker->arena, sizeof *link);
	link->target = target;
	link->guarded = checker->guards > 0;
	link->span = span;
	*from->last_link = link;
	from->last_link = &link->next;
}

/* Signatures. */

static bool check_param(struct checker *checker, const struct syntax_param *from, struct definition *definition,
                        uint32_t index)
{
	struct param *param = &definition->params[index];
	param->name = unit_keep(checker->unit, from->name.text);
	param->type = check_type(checker, from->type);
	for (uint32_t i = 0; i < index; i++) {
		if (!slice_equal(definition->params[i].name, param->name))
			continue;
		diagnostics_error(checker->diagnostics, from->name.span, "parameter `%.*s` is there twice",
		                  SLICE_ARGS(param->name));
		return false;
	}
	if (param->type == NULL)
		return false;
	if (from->default_value != NULL)
		param->has_default = check_default(checker, from->default_value, param->type, param->name,
		                                   &param->default_json);
	return from->default_value == NULL || param->has_default;
}

bool check_params(struct checker *checker, struct span span, const struct syntax_param *params, uint32_t count,
                  struct definition *definition)
{
	bool fine = true;
	if (count > CHECK_PARAMS_MAX) {
		diagnostics_error(checker->diagnostics, span, "`%.*s` has %u parameters; the limit is %u",
		                  SLICE_ARGS(definition->name), count, CHECK_PARAMS_MAX);
		return false;
	}
	definition->params = arena_alloc(&checker->unit->arena, (count + 1) * sizeof *definition->params);
	definition->param_count = count;
	for (uint32_t i = 0; i < count; i++)
		fine = check_param(checker, &params[i], definition, i) && fine;
	return fine;
}

static bool check_type_of(struct checker *checker, const struct syntax_declaration *syntax,
                          struct definition *definition)
{
	bool fine = check_params(checker, syntax->name.span, syntax->params, syntax->param_count, definition);
	if (definition->params == NULL)
		return false;
	definition->result = check_type(checker, syntax->result);
	return fine && definition->result != NULL;
}

/* False: together they are too large, which is reported once. */
static bool write_signature(struct checker *checker, struct declared *declared)
{
	struct definition *definition = declared->definition;
	const struct type *result = definition->result;
	size_t size = (result != NULL ? check_type_size(checker, result) : 0) + 8;
	for (uint32_t i = 0; i < definition->param_count; i++)
		size += definition->params[i].name.size + check_type_size(checker, definition->params[i].type) + 4;
	bool fitted = checker->signatures_size <= CHECK_SIGNATURES_SIZE_MAX;
	checker->signatures_size += size;
	if (checker->signatures_size > CHECK_SIGNATURES_SIZE_MAX) {
		if (fitted)
			diagnostics_error(checker->diagnostics, declared->syntax->name.span,
			                  "up to here the signatures written out take more than %u bytes",
			                  CHECK_SIGNATURES_SIZE_MAX);
		return false;
	}
	struct buffer out = BUFFER_EMPTY;
	buffer_append_char(&out, '(');
	for (uint32_t i = 0; i < definition->param_count; i++) {
		buffer_format(&out, "%s%.*s: ", i > 0 ? ", " : "", SLICE_ARGS(definition->params[i].name));
		type_print(definition->params[i].type, &out);
	}
	buffer_append_string(&out, result != NULL ? ") -> " : ")");
	if (result != NULL)
		type_print(result, &out);
	definition->signature.data = arena_string(&checker->unit->arena, buffer_slice(&out));
	definition->signature.size = out.size;
	buffer_finish(&out);
	return true;
}

/* A variant has its base's signature and settings. */
static bool take_base(struct checker *checker, struct declared *declared)
{
	const struct syntax_ref *ref = &declared->syntax->base;
	struct definition *definition = declared->definition;
	struct target base = check_ref(checker, ref);
	if (base.definition == NULL)
		return false;
	if (base.definition->kind != DEFINITION_PROCESS) {
		diagnostics_error(checker->diagnostics, ref->span, "`%.*s` is a %s; only processes have variants",
		                  SLICE_ARGS(ref->name), definition_kind_name(base.definition->kind));
		return false;
	}
	if (base.declared != NULL && base.declared->state == DECLARED_UNDER_WAY) {
		diagnostics_error(checker->diagnostics, ref->span, "`%.*s` is a variant of itself",
		                  SLICE_ARGS(definition->name));
		return false;
	}
	if (base.declared != NULL && checker->variant_depth < VARIANT_DEPTH_MAX) {
		checker->variant_depth++;
		check_signature(checker, base.declared);
		checker->variant_depth--;
		declared->variant_depth = base.declared->variant_depth + 1;
	}
	if (checker->variant_depth == VARIANT_DEPTH_MAX || declared->variant_depth > VARIANT_DEPTH_MAX) {
		diagnostics_error(checker->diagnostics, ref->span, "variants of variants, more than %u deep",
		                  VARIANT_DEPTH_MAX);
		return false;
	}
	if (base.declared != NULL && base.declared->broken)
		return false;
	check_link(checker, declared, base, ref->span);
	definition->params = base.definition->params;
	definition->param_count = base.definition->param_count;
	definition->result = base.definition->result;
	definition->settings = base.definition->settings;
	return true;
}

/* What its signature is made of, and settings. */
static bool check_parts(struct checker *checker, struct declared *declared)
{
	const struct syntax_declaration *syntax = declared->syntax;
	struct definition *definition = declared->definition;
	if (syntax->kind == SYNTAX_JOB)
		return check_job(checker, declared);
	if (syntax->kind != SYNTAX_VARIANT)
		check_settings_default(&definition->settings);
	bool fine = syntax->kind == SYNTAX_VARIANT ? take_base(checker, declared)
	                                           : check_type_of(checker, syntax, definition);
	/* Without parameters or base their names would be told as unknown. */
	if (syntax->kind != SYNTAX_WORKFLOW && (fine || definition->params != NULL))
		check_settings(checker, declared, syntax->settings);
	return fine;
}

void check_signature(struct checker *checker, struct declared *declared)
{
	struct declared *outer = checker->current;
	if (declared->state != DECLARED_NEW)
		return;
	declared->state = DECLARED_UNDER_WAY;
	checker->current = declared;
	bool fine = check_parts(checker, declared);
	declared->broken = !fine || !write_signature(checker, declared);
	declared->state = DECLARED_DONE;
	checker->current = outer;
}

/* Bodies. */

static void check_body(struct checker *checker, struct declared *declared)
{
	const struct syntax_declaration *syntax = declared->syntax;
	const struct definition *definition = declared->definition;
	size_t errors = checker->diagnostics->error_count;
	if (syntax->broken || syntax->param_count > CHECK_PARAMS_MAX)
		return;
	checker->current = declared;
	declared->params = arena_alloc(&checker->arena, (definition->param_count + 1) * sizeof *declared->params);
	for (uint32_t i = 0; i < definition->param_count; i++) {
		const struct param *param = &definition->params[i];
		if (check_variable(checker, param->name) != NULL)
			continue;
		declared->params[i] = check_bind(checker, param->name, syntax->params[i].name.span, param->type);
		declared->params[i]->param = true;
	}
	struct expected expected = {
		.type = definition->result,
		.unknown = definition->result == NULL,
		.why = check_format(checker, "the result of `%.*s`", SLICE_ARGS(definition->name)),
		.span = syntax->result->span,
	};
	declared->body = check_block(checker, syntax->body, &expected);
	check_scope_leave(checker, 0);
	check_unused(checker, checker->diagnostics->error_count == errors);
	checker->current = NULL;
}

void checker_init(struct checker *checker, struct unit *unit, const struct registry *registry,
                  struct diagnostics *diagnostics)
{
	*checker = (struct checker){.unit = unit, .registry = registry, .diagnostics = diagnostics};
}

void checker_run(struct checker *checker, const struct syntax *syntax)
{
	declare_all(checker, syntax);
	check_aliases(checker);
	for (uint32_t i = 0; i < checker->declared_count; i++)
		check_signature(checker, &checker->declared[i]);
	for (uint32_t i = 0; i < checker->declared_count; i++)
		if (checker->declared[i].syntax->kind == SYNTAX_WORKFLOW)
			check_body(checker, &checker->declared[i]);
	check_recursion(checker);
	check_signals(checker);
}

void checker_finish(struct checker *checker)
{
	HASH_CLEAR(hh, checker->by_name);
	HASH_CLEAR(hh, checker->visible);
	check_types_finish(checker);
	mem_free(checker->scope);
	mem_free(checker->unused);
	arena_finish(&checker->arena);
}
