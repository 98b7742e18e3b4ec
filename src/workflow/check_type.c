#include "base/memory.h"
#include "workflow/check.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

/* How deep names and constructs may lie in one another while types are resolved: the recursion's bound. */
#define RESOLVING_DEPTH_MAX 256u
#define SHOWN_SIZE_MAX 120u

enum alias_state { ALIAS_NEW, ALIAS_RESOLVING, ALIAS_DONE };

/* type NAME = … */
struct alias {
	UT_hash_handle hh;
	struct slice name;
	const struct syntax_declaration *declaration;
	enum alias_state state;
	const struct type *type; /* NULL: broken */
	struct alias *outer;     /* that is being resolved and asked for this one */
};

/* Types of one structure are one class, so that comparing them takes no walk. */
struct type_class {
	UT_hash_handle hh;
	uint32_t id;
};

struct type_info {
	UT_hash_handle hh;
	const struct type *type;
	uint32_t class_id;
	uint32_t depth;
	size_t size;   /* of the type written out */
	uint64_t hash; /* of its structure, defaults included */
};

const struct type check_type_unit = {.kind = TYPE_UNIT};
const struct type check_type_json = {.kind = TYPE_JSON};
const struct type check_type_text = {.kind = TYPE_TEXT};
const struct type check_type_number = {.kind = TYPE_NUMBER};
const struct type check_type_bool = {.kind = TYPE_BOOL};
const struct type check_type_duration = {.kind = TYPE_DURATION};

static struct type_member cause_members[] = {
	{.name = {"error", 5}}, {.name = {"timeout", 7}}, {.name = {"type", 4}},
	{.name = {"limit", 5}}, {.name = {"raised", 6}},
};
static const struct type type_cause = {.kind = TYPE_CHOICE, .members = cause_members, .member_count = 5};
static struct type_member failure_members[] = {
	{.name = {"process", 7}, .type = &check_type_text},
	{.name = {"cause", 5}, .type = &type_cause},
	{.name = {"message", 7}, .type = &check_type_text},
};
const struct type check_type_failure = {.kind = TYPE_RECORD, .members = failure_members, .member_count = 3};

static const struct {
	struct slice name;
	const struct type *type;
} built_in[] = {
	{{"Text", 4}, &check_type_text},       {{"Number", 6}, &check_type_number},
	{{"Bool", 4}, &check_type_bool},       {{"Duration", 8}, &check_type_duration},
	{{"Json", 4}, &check_type_json},       {{"Cause", 5}, &type_cause},
	{{"Failure", 7}, &check_type_failure},
};
#define BUILT_IN_COUNT (sizeof built_in / sizeof built_in[0])

static const struct type *find_built_in(struct slice name)
{
	for (size_t i = 0; i < BUILT_IN_COUNT; i++)
		if (slice_equal(built_in[i].name, name))
			return built_in[i].type;
	return NULL;
}

static struct alias *find_alias(struct checker *checker, struct slice name)
{
	struct alias *alias;
	HASH_FIND(hh, checker->aliases, name.data, name.size, alias);
	return alias;
}

/* Structure. */

static int compare_members(const void *left, const void *right)
{
	const struct type_member *const *a = left;
	const struct type_member *const *b = right;
	return slice_compare((*a)->name, (*b)->name);
}

static struct type_info *info_of(struct checker *checker, const struct type *type);

/* What makes the members' part of class and hash: in the order of their names. */
static void add_members(struct checker *checker, const struct type *type, struct type_info *info, struct buffer *key,
                        struct buffer *hashed)
{
	const struct type_member **sorted = mem_array(type->member_count, sizeof *sorted);
	for (uint32_t i = 0; i < type->member_count; i++)
		sorted[i] = &type->members[i];
	if (type->member_count > 0)
		qsort(sorted, type->member_count, sizeof *sorted, compare_members);
	for (uint32_t i = 0; i < type->member_count; i++) {
		const struct type_member *member = sorted[i];
		const struct type_info *inner = member->type != NULL ? info_of(checker, member->type) : NULL;
		buffer_append_u32(key, (uint32_t)member->name.size);
		buffer_append_slice(key, member->name);
		buffer_append_u32(key, inner != NULL ? inner->class_id : UINT32_MAX);
		buffer_append_u32(hashed, (uint32_t)member->name.size);
		buffer_append_slice(hashed, member->name);
		buffer_append_u64(hashed, inner != NULL ? inner->hash : 0);
		buffer_append_u32(hashed, member->has_default ? (uint32_t)member->default_json.size : UINT32_MAX);
		if (member->has_default)
			buffer_append_slice(hashed, member->default_json);
		info->size += member->name.size + 4;
		if (inner != NULL) {
			info->size += inner->size;
			info->depth = inner->depth > info->depth ? inner->depth : info->depth;
		}
	}
	mem_free(sorted);
}

static void add_parts(struct checker *checker, const struct type *type, struct type_info *info, struct buffer *key,
                      struct buffer *hashed)
{
	for (int i = 0; i < 2 && type->parts[i] != NULL; i++) {
		const struct type_info *inner = info_of(checker, type->parts[i]);
		buffer_append_u32(key, inner->class_id);
		buffer_append_u64(hashed, inner->hash);
		info->size += inner->size + 5;
		info->depth = inner->depth > info->depth ? inner->depth : info->depth;
	}
}

static uint32_t class_of(struct checker *checker, struct slice key)
{
	struct type_class *class;
	HASH_FIND(hh, checker->classes, key.data, key.size, class);
	if (class == NULL) {
		class = arena_alloc(&checker->arena, sizeof *class);
		class->id = checker->class_count++;
		HASH_ADD_KEYPTR(hh, checker->classes, arena_string(&checker->arena, key), key.size, class);
	}
	return class->id;
}

static struct type_info *info_of(struct checker *checker, const struct type *type)
{
	struct type_info *info;
	HASH_FIND_PTR(checker->infos, &type, info);
	if (info != NULL)
		return info;
	struct buffer key = BUFFER_EMPTY;
	struct buffer hashed = BUFFER_EMPTY;
	info = arena_alloc(&checker->arena, sizeof *info);
	info->type = type;
	info->size = type->name.size + 8;
	buffer_append_u32(&key, type->kind);
	buffer_append_u32(&hashed, type->kind);
	buffer_append_slice(&key, type->name);
	buffer_append_slice(&hashed, type->name);
	add_parts(checker, type, info, &key, &hashed);
	add_members(checker, type, info, &key, &hashed);
	info->depth++;
	info->class_id = class_of(checker, buffer_slice(&key));
	info->hash = XXH3_64bits(hashed.data, hashed.size);
	HASH_ADD_PTR(checker->infos, type, info);
	buffer_finish(&key);
	buffer_finish(&hashed);
	return info;
}

bool check_same(struct checker *checker, const struct type *left, const struct type *right)
{
	return left == right || info_of(checker, left)->class_id == info_of(checker, right)->class_id;
}

size_t check_type_size(struct checker *checker, const struct type *type)
{
	return info_of(checker, type)->size;
}

bool check_type_fits(struct checker *checker, const struct type *type, struct span span)
{
	const struct type_info *info = info_of(checker, type);
	if (info->size > CHECK_TYPE_SIZE_MAX)
		diagnostics_error(checker->diagnostics, span,
		                  "this type takes about %zu bytes written out; the limit is %u", info->size,
		                  CHECK_TYPE_SIZE_MAX);
	else if (info->depth > CHECK_TYPE_DEPTH_MAX)
		diagnostics_error(checker->diagnostics, span, "this type is nested %u deep; the limit is %u",
		                  info->depth, CHECK_TYPE_DEPTH_MAX);
	else
		return true;
	return false;
}

static struct type *new_type(struct checker *checker, enum type_kind kind)
{
	struct type *type = arena_alloc(&checker->unit->arena, sizeof *type);
	type->kind = kind;
	return type;
}

static const struct type *new_compound(struct checker *checker, enum type_kind kind, const struct type *first,
                                       const struct type *second)
{
	struct type *type = new_type(checker, kind);
	type->parts[0] = first;
	type->parts[1] = second;
	return type;
}

const struct type *check_pair_type(struct checker *checker, const struct type *left, const struct type *right)
{
	return new_compound(checker, TYPE_PAIR, left, right);
}

const struct type *check_sum_type(struct checker *checker, const struct type *left, const struct type *right)
{
	return new_compound(checker, TYPE_SUM, left, right);
}

const struct type *check_list_type(struct checker *checker, const struct type *item)
{
	return new_compound(checker, TYPE_LIST, item, NULL);
}

const char *check_show(struct checker *checker, const struct type *type)
{
	struct buffer out = BUFFER_EMPTY;
	type_print(type, &out);
	if (out.size > SHOWN_SIZE_MAX) {
		out.size = SHOWN_SIZE_MAX;
		while (out.size > 0 && ((unsigned char)out.data[out.size] & 0xC0) == 0x80)
			out.size--;
		buffer_append_string(&out, "…");
	}
	const char *shown = arena_string(&checker->arena, buffer_slice(&out));
	buffer_finish(&out);
	return shown;
}

/* Declarations. */

void check_declare_alias(struct checker *checker, const struct syntax_declaration *declaration)
{
	struct slice name = declaration->name.text;
	if (name.size == 0)
		return;
	if (find_built_in(name) != NULL) {
		diagnostics_error(checker->diagnostics, declaration->name.span, "`%.*s` is built in",
		                  SLICE_ARGS(name));
		return;
	}
	struct alias *first = find_alias(checker, name);
	if (first != NULL) {
		struct diagnostic *diagnostic =
			diagnostics_error(checker->diagnostics, declaration->name.span,
		                          "type `%.*s` is declared twice", SLICE_ARGS(name));
		diagnostics_note(checker->diagnostics, diagnostic, first->declaration->name.span, "here first");
		return;
	}
	struct alias *alias = arena_alloc(&checker->arena, sizeof *alias);
	alias->name = name;
	alias->declaration = declaration;
	alias->state = declaration->broken ? ALIAS_DONE : ALIAS_NEW;
	HASH_ADD_KEYPTR(hh, checker->aliases, alias->name.data, alias->name.size, alias);
}

static void report_cycle(struct checker *checker, struct alias *alias)
{
	struct buffer chain = BUFFER_EMPTY;
	buffer_append_slice(&chain, alias->name);
	/* From the inside out is against the direction of use: put each before what is there. */
	for (struct alias *at = checker->resolving; at != alias && chain.size < 400; at = at->outer) {
		struct buffer longer = BUFFER_EMPTY;
		buffer_format(&longer, "%.*s → %.*s", SLICE_ARGS(at->name), SLICE_ARGS(buffer_slice(&chain)));
		buffer_finish(&chain);
		chain = longer;
	}
	struct diagnostic *diagnostic = diagnostics_error(
		checker->diagnostics, alias->declaration->name.span, "type `%.*s` is made of itself: %.*s → %.*s",
		SLICE_ARGS(alias->name), SLICE_ARGS(alias->name), SLICE_ARGS(buffer_slice(&chain)));
	diagnostics_hint(checker->diagnostics, diagnostic, "types are not recursive; Json holds values of any depth");
	buffer_finish(&chain);
}

static const struct type *resolve(struct checker *checker, const struct syntax_type *syntax);

static const struct type *resolve_alias(struct checker *checker, struct alias *alias)
{
	if (alias->state == ALIAS_RESOLVING) {
		report_cycle(checker, alias);
		return NULL;
	}
	if (alias->state == ALIAS_NEW) {
		alias->state = ALIAS_RESOLVING;
		alias->outer = checker->resolving;
		checker->resolving = alias;
		alias->type = resolve(checker, alias->declaration->type);
		checker->resolving = alias->outer;
		alias->state = ALIAS_DONE;
	}
	return alias->type;
}

void check_aliases(struct checker *checker)
{
	struct alias *alias;
	struct alias *next;
	HASH_ITER(hh, checker->aliases, alias, next)
		resolve_alias(checker, alias);
}

bool check_type_named(struct checker *checker, struct slice name, const struct type **ret_type)
{
	struct alias *alias = find_alias(checker, name);
	*ret_type = alias != NULL ? resolve_alias(checker, alias) : find_built_in(name);
	if (checker->current != NULL && *ret_type != NULL)
		checker->current->types_hash =
			checker->current->types_hash * 31 + info_of(checker, *ret_type)->hash;
	return alias != NULL || *ret_type != NULL;
}

static const struct type *resolve_name(struct checker *checker, struct slice name)
{
	struct alias *alias = find_alias(checker, name);
	if (alias != NULL)
		return resolve_alias(checker, alias);
	const struct type *found = find_built_in(name);
	if (found != NULL)
		return found;
	struct type *open = new_type(checker, TYPE_OPEN);
	open->name = unit_keep(checker->unit, name);
	return open;
}

static const struct type *resolve_members(struct checker *checker, const struct syntax_type *syntax)
{
	struct type *type = new_type(checker, syntax->kind == SYNTAX_TYPE_RECORD ? TYPE_RECORD : TYPE_CHOICE);
	bool fine = true;
	type->members = arena_alloc(&checker->unit->arena, syntax->member_count * sizeof *type->members);
	type->member_count = syntax->member_count;
	for (uint32_t i = 0; i < syntax->member_count; i++) {
		const struct syntax_member *from = &syntax->members[i];
		struct type_member *member = &type->members[i];
		member->name = unit_keep(checker->unit, from->name.text);
		if (from->type == NULL)
			continue;
		member->type = resolve(checker, from->type);
		if (member->type == NULL) {
			fine = false;
		} else if (from->default_value != NULL) {
			member->has_default = check_default(checker, from->default_value, member->type, member->name,
			                                    &member->default_json);
			fine = fine && member->has_default;
		}
	}
	return fine ? type : NULL;
}

static const struct type *resolve_parts(struct checker *checker, const struct syntax_type *syntax)
{
	const struct type *first = resolve(checker, syntax->parts[0]);
	if (syntax->kind == SYNTAX_TYPE_LIST)
		return first != NULL ? check_list_type(checker, first) : NULL;
	const struct type *second = resolve(checker, syntax->parts[1]);
	if (first == NULL || second == NULL)
		return NULL;
	return new_compound(checker, syntax->kind == SYNTAX_TYPE_PAIR ? TYPE_PAIR : TYPE_SUM, first, second);
}

static const struct type *resolve(struct checker *checker, const struct syntax_type *syntax)
{
	const struct type *type = NULL;
	if (checker->type_depth >= RESOLVING_DEPTH_MAX) {
		diagnostics_error(checker->diagnostics, syntax->span, "type names lie more than %u deep in one another",
		                  RESOLVING_DEPTH_MAX);
		return NULL;
	}
	checker->type_depth++;
	switch (syntax->kind) {
	case SYNTAX_TYPE_NAME:
		type = resolve_name(checker, syntax->name);
		break;
	case SYNTAX_TYPE_UNIT:
		type = &check_type_unit;
		break;
	case SYNTAX_TYPE_PAIR:
	case SYNTAX_TYPE_SUM:
	case SYNTAX_TYPE_LIST:
		type = resolve_parts(checker, syntax);
		break;
	case SYNTAX_TYPE_RECORD:
	case SYNTAX_TYPE_CHOICE:
		type = resolve_members(checker, syntax);
		break;
	}
	checker->type_depth--;
	if (type != NULL && !check_type_fits(checker, type, syntax->span))
		return NULL;
	return type;
}

const struct type *check_type(struct checker *checker, const struct syntax_type *syntax)
{
	const struct type *type = resolve(checker, syntax);
	if (checker->current != NULL && type != NULL)
		checker->current->types_hash = checker->current->types_hash * 31 + info_of(checker, type)->hash;
	return type;
}

void check_suggest_type(struct checker *checker, struct slice name, struct suggestion *suggestion)
{
	struct alias *alias;
	struct alias *next;
	suggestion_init(suggestion, name);
	for (size_t i = 0; i < BUILT_IN_COUNT; i++)
		suggestion_try(suggestion, built_in[i].name);
	HASH_ITER(hh, checker->aliases, alias, next)
		suggestion_try(suggestion, alias->name);
}

void check_types_finish(struct checker *checker)
{
	HASH_CLEAR(hh, checker->aliases);
	HASH_CLEAR(hh, checker->infos);
	HASH_CLEAR(hh, checker->classes);
}
