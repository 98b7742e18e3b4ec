#include "base/memory.h"
#include "workflow/check.h"

struct variable *check_variable(struct checker *checker, struct slice name)
{
	struct variable *variable;
	HASH_FIND(hh, checker->visible, name.data, name.size, variable);
	return variable;
}

struct variable *check_bind(struct checker *checker, struct slice name, struct span span, const struct type *type)
{
	struct variable *there = check_variable(checker, name);
	if (there != NULL) {
		struct diagnostic *diagnostic = diagnostics_error(checker->diagnostics, span,
		                                                  "`%.*s` is bound already", SLICE_ARGS(name));
		diagnostics_note(checker->diagnostics, diagnostic, there->span, "here");
		diagnostics_hint(checker->diagnostics, diagnostic,
		                 "a visible name is not bound again; take another one");
		return NULL;
	}
	struct variable *variable = arena_alloc(&checker->arena, sizeof *variable);
	variable->name = name;
	variable->span = span;
	variable->type = type;
	HASH_ADD_KEYPTR(hh, checker->visible, variable->name.data, variable->name.size, variable);
	mem_grow(checker->scope, checker->scope_capacity, checker->scope_count + 1);
	checker->scope[checker->scope_count++] = variable;
	return variable;
}

size_t check_scope_enter(const struct checker *checker)
{
	return checker->scope_count;
}

void check_scope_leave(struct checker *checker, size_t mark)
{
	while (checker->scope_count > mark) {
		struct variable *variable = checker->scope[--checker->scope_count];
		HASH_DEL(checker->visible, variable);
		if (variable->used)
			continue;
		mem_grow(checker->unused, checker->unused_capacity, checker->unused_count + 1);
		checker->unused[checker->unused_count++] = variable;
	}
}

void check_unused(struct checker *checker, bool give)
{
	for (size_t i = 0; give && i < checker->unused_count; i++) {
		const struct variable *variable = checker->unused[i];
		struct diagnostic *diagnostic = diagnostics_warning(
			checker->diagnostics, variable->span, "`%.*s` is used nowhere", SLICE_ARGS(variable->name));
		if (!variable->param)
			diagnostics_hint(checker->diagnostics, diagnostic, "`_` in its place says that this is meant");
	}
	checker->unused_count = 0;
}

static struct core_pattern *check_pair_pattern(struct checker *checker, const struct syntax_pattern *syntax,
                                               const struct type *type, struct core_pattern *pattern)
{
	const struct type *parts[2] = {NULL, NULL};
	bool fine = true;
	if (type != NULL && type->kind != TYPE_PAIR) {
		struct diagnostic *diagnostic = diagnostics_error(
			checker->diagnostics, syntax->span, "expected a pair, found %s", check_show(checker, type));
		if (type->kind == TYPE_RECORD)
			diagnostics_hint(checker->diagnostics, diagnostic, "members of a record are taken with `.`");
		fine = false;
	} else if (type != NULL) {
		parts[0] = type->parts[0];
		parts[1] = type->parts[1];
	}
	for (int i = 0; i < 2; i++) {
		pattern->parts[i] = check_pattern(checker, syntax->parts[i], parts[i]);
		fine = fine && pattern->parts[i] != NULL;
	}
	return fine ? pattern : NULL;
}

struct core_pattern *check_pattern(struct checker *checker, const struct syntax_pattern *syntax,
                                   const struct type *type)
{
	struct core_pattern *pattern = arena_alloc(&checker->arena, sizeof *pattern);
	if (syntax->kind == SYNTAX_PATTERN_ANY)
		return pattern;
	if (syntax->kind == SYNTAX_PATTERN_PAIR)
		return check_pair_pattern(checker, syntax, type, pattern);
	pattern->variable = check_bind(checker, syntax->name, syntax->span, type);
	return pattern->variable != NULL ? pattern : NULL;
}
