/* Values that are put together: lists, pairs, records, sides of sums, labels of choices. */
#include "workflow/check.h"

struct expected check_part(const struct expected *whole, const struct type *type)
{
	struct expected part = *whole;
	if (whole->type != NULL && whole->type->kind == TYPE_JSON)
		return part;
	part.type = type;
	part.why = NULL;
	return part;
}

struct core *check_list(struct checker *checker, const struct syntax_expr *expr,
                               const struct expected *expected)
{
	struct expected item = *expected;
	if (expected->type != NULL && expected->type->kind == TYPE_LIST) {
		item = check_part(expected, expected->type->parts[0]);
	} else if (expected->type != NULL && expected->type->kind != TYPE_JSON) {
		check_mismatch(checker, expr->span, expected, NULL, "a list");
		item = *EXPECTED_UNKNOWN;
	} else if (expected->type == NULL && !check_synthesizes(checker, expr)) {
		check_needs_type(checker, expr, expected, expr->list.count == 0 ? "`[]`" : "this list");
		item = *EXPECTED_UNKNOWN;
	}
	struct core *core = check_new(checker, CORE_LIST, expected->type, expr->span);
	core->list.items = arena_alloc(&checker->arena, (expr->list.count + 1) * sizeof *core->list.items);
	core->list.count = expr->list.count;
	core->constant = true;
	bool fine = !item.unknown;
	/* The first element that has a type by itself is the guide for all when nothing else is. */
	uint32_t guide = UINT32_MAX;
	for (uint32_t i = 0; i < expr->list.count && fine && item.type == NULL && guide == UINT32_MAX; i++) {
		if (!check_synthesizes(checker, expr->list.items[i]))
			continue;
		guide = i;
		core->list.items[i] = check_expression(checker, expr->list.items[i], EXPECTED_NONE);
		item = *EXPECTED_UNKNOWN;
		if (core->list.items[i] != NULL)
			item = (struct expected){.type = core->list.items[i]->type,
			                         .why = "this element",
			                         .span = expr->list.items[i]->span};
	}
	for (uint32_t i = 0; i < expr->list.count; i++) {
		if (i != guide)
			core->list.items[i] = check_expression(checker, expr->list.items[i], &item);
		fine = fine && core->list.items[i] != NULL;
		core->constant = fine && core->constant && core->list.items[i]->constant;
	}
	if (!fine)
		return NULL;
	if (core->type == NULL)
		core->type = check_list_type(checker, item.type);
	return check_type_fits(checker, core->type, expr->span) ? core : NULL;
}

struct core *check_pair(struct checker *checker, const struct syntax_expr *expr,
                               const struct expected *expected)
{
	struct expected parts[2] = {*expected, *expected};
	if (expected->type != NULL && expected->type->kind == TYPE_PAIR) {
		parts[0] = check_part(expected, expected->type->parts[0]);
		parts[1] = check_part(expected, expected->type->parts[1]);
	} else if (expected->type != NULL && expected->type->kind != TYPE_JSON) {
		check_mismatch(checker, expr->span, expected, NULL, "a pair");
		parts[0] = parts[1] = *EXPECTED_UNKNOWN;
	}
	struct core *core = check_new(checker, CORE_PAIR, expected->type, expr->span);
	core->constant = true;
	bool fine = true;
	for (int i = 0; i < 2; i++) {
		core->parts[i] = check_expression(checker, expr->parts[i], &parts[i]);
		fine = fine && core->parts[i] != NULL;
		core->constant = fine && core->constant && core->parts[i]->constant;
	}
	if (!fine || parts[0].unknown)
		return NULL;
	if (core->type == NULL)
		core->type = check_pair_type(checker, core->parts[0]->type, core->parts[1]->type);
	return check_type_fits(checker, core->type, expr->span) ? core : NULL;
}

const struct type_member *check_find_member(const struct type *type, struct slice name)
{
	for (uint32_t i = 0; i < type->member_count; i++)
		if (slice_equal(type->members[i].name, name))
			return &type->members[i];
	return NULL;
}

void check_unknown_member(struct checker *checker, const struct type *type, const struct syntax_name *name)
{
	struct suggestion suggestion;
	struct diagnostic *diagnostic = diagnostics_error(
		checker->diagnostics, name->span, "%s has no %s `%.*s`", check_show(checker, type),
		type->kind == TYPE_CHOICE ? "label" : "member", SLICE_ARGS(name->text));
	if (!check_may_suggest(checker))
		return;
	suggestion_init(&suggestion, name->text);
	for (uint32_t i = 0; i < type->member_count; i++)
		suggestion_try(&suggestion, type->members[i].name);
	if (suggestion.nearest.size != 0)
		diagnostics_hint(checker->diagnostics, diagnostic, "did you mean `%.*s`?",
		                 SLICE_ARGS(suggestion.nearest));
}

/* Members that are not there take their defaults. */
static bool fill_members(struct checker *checker, const struct syntax_expr *expr, const struct type *type,
                         const bool *given, struct core *core)
{
	bool fine = true;
	for (uint32_t i = 0; i < type->member_count; i++) {
		const struct type_member *member = &type->members[i];
		if (given[i])
			continue;
		if (!member->has_default) {
			diagnostics_error(checker->diagnostics, expr->span, "member `%.*s` is missing",
			                  SLICE_ARGS(member->name));
			fine = false;
		} else if (checker->node_count < CHECK_NODES_MAX) {
			struct core_field *field = &core->record.fields[core->record.count++];
			field->name = member->name;
			field->value = check_constant(checker, member->type, member->default_json, expr->span);
		}
	}
	return fine;
}

static struct core *check_record_of(struct checker *checker, const struct syntax_expr *expr,
                                    const struct expected *expected)
{
	const struct type *type = expected->type;
	struct core *core = check_new(checker, CORE_RECORD, type, expr->span);
	size_t most = (size_t)expr->record.count + type->member_count;
	core->record.fields = arena_alloc(&checker->arena, most * sizeof *core->record.fields);
	bool *given = arena_alloc(&checker->arena, type->member_count);
	bool fine = true;
	core->constant = true;
	for (uint32_t i = 0; i < expr->record.count; i++) {
		const struct syntax_field *from = &expr->record.fields[i];
		const struct type_member *member = check_find_member(type, from->key.text);
		struct expected part = *EXPECTED_UNKNOWN;
		if (member == NULL) {
			check_unknown_member(checker, type, &from->key);
		} else {
			given[member - type->members] = true;
			part = check_part(expected, member->type);
			part.why = check_format(checker, "member `%.*s`", SLICE_ARGS(member->name));
			part.span = SPAN_NOWHERE;
		}
		struct core_field *field = &core->record.fields[core->record.count++];
		field->name = from->key.text;
		field->value = check_expression(checker, from->value, &part);
		fine = fine && member != NULL && field->value != NULL;
		core->constant = fine && core->constant && field->value->constant;
	}
	return fill_members(checker, expr, type, given, core) && fine ? core : NULL;
}

/* A record that makes its own type, or is any JSON. */
static struct core *check_record_free(struct checker *checker, const struct syntax_expr *expr,
                                      const struct expected *expected)
{
	struct type *type = arena_alloc(&checker->unit->arena, sizeof *type);
	struct core *core = check_new(checker, CORE_RECORD, expected->type, expr->span);
	core->record.fields = arena_alloc(&checker->arena, expr->record.count * sizeof *core->record.fields);
	core->record.count = expr->record.count;
	core->constant = true;
	type->kind = TYPE_RECORD;
	type->members = arena_alloc(&checker->unit->arena, expr->record.count * sizeof *type->members);
	type->member_count = expr->record.count;
	bool fine = true;
	for (uint32_t i = 0; i < expr->record.count; i++) {
		struct core_field *field = &core->record.fields[i];
		field->name = expr->record.fields[i].key.text;
		field->value = check_expression(checker, expr->record.fields[i].value, expected);
		fine = fine && field->value != NULL;
		core->constant = fine && core->constant && field->value->constant;
		type->members[i].name = unit_keep(checker->unit, field->name);
		type->members[i].type = fine ? field->value->type : NULL;
	}
	if (!fine || expected->unknown)
		return NULL;
	if (core->type == NULL)
		core->type = type;
	return check_type_fits(checker, core->type, expr->span) ? core : NULL;
}

struct core *check_record(struct checker *checker, const struct syntax_expr *expr,
                                 const struct expected *expected)
{
	if (expected->type != NULL && expected->type->kind == TYPE_RECORD)
		return check_record_of(checker, expr, expected);
	if (expected->type != NULL && expected->type->kind != TYPE_JSON) {
		check_mismatch(checker, expr->span, expected, NULL, "a record");
		return check_record_free(checker, expr, EXPECTED_UNKNOWN);
	}
	return check_record_free(checker, expr, expected);
}

/* left e, right e */
struct core *check_side(struct checker *checker, const struct syntax_expr *expr,
                               const struct expected *expected)
{
	bool left = expr->kind == SYNTAX_EXPR_LEFT;
	struct expected part = *EXPECTED_UNKNOWN;
	if (expected->type != NULL && expected->type->kind == TYPE_SUM)
		part = check_part(expected, expected->type->parts[left ? 0 : 1]);
	else if (expected->type != NULL && expected->type->kind != TYPE_JSON)
		check_mismatch(checker, expr->span, expected, NULL, left ? "`left …`" : "`right …`");
	else
		check_needs_type(checker, expr, expected, left ? "`left`" : "`right`");
	struct core *payload = check_expression(checker, expr->operand, &part);
	if (payload == NULL || part.unknown)
		return NULL;
	struct core *core = check_new(checker, CORE_SELECT, expected->type, expr->span);
	core->select.label = left ? SLICE("left") : SLICE("right");
	core->select.payload = payload;
	core->constant = payload->constant;
	return core;
}

/* The choice type of Type.label; NULL after an error. */
static const struct type *label_type(struct checker *checker, const struct syntax_name *name)
{
	const struct type *type;
	struct suggestion suggestion;
	if (!check_type_named(checker, name->text, &type)) {
		struct diagnostic *diagnostic = diagnostics_error(
			checker->diagnostics, name->span, "no type `%.*s` is declared", SLICE_ARGS(name->text));
		if (!check_may_suggest(checker))
			return NULL;
		check_suggest_type(checker, name->text, &suggestion);
		if (suggestion.nearest.size != 0)
			diagnostics_hint(checker->diagnostics, diagnostic, "did you mean `%.*s`?",
			                 SLICE_ARGS(suggestion.nearest));
		return NULL;
	}
	if (type != NULL && type->kind != TYPE_CHOICE) {
		diagnostics_error(checker->diagnostics, name->span, "`%.*s` is %s, which has no labels",
		                  SLICE_ARGS(name->text), check_show(checker, type));
		return NULL;
	}
	return type;
}

struct core *check_label(struct checker *checker, const struct syntax_expr *expr,
                                const struct expected *expected)
{
	const struct syntax_name *name = &expr->label.label;
	const struct type *type = label_type(checker, &expr->label.type);
	const struct type_member *member = type != NULL ? check_find_member(type, name->text) : NULL;
	struct expected part = *EXPECTED_UNKNOWN;
	bool fine = member != NULL;
	if (type != NULL && member == NULL)
		check_unknown_member(checker, type, name);
	if (member != NULL && member->type != NULL)
		part = (struct expected){
			.type = member->type,
			.why = check_format(checker, "what label `%.*s` carries", SLICE_ARGS(name->text)),
		};
	if (member != NULL && (member->type != NULL) != (expr->label.payload != NULL)) {
		diagnostics_error(checker->diagnostics, expr->span,
		                  member->type != NULL ? "label `%.*s` carries a value: write `%.*s(…)`"
		                                       : "label `%.*s` carries no value: write `%.*s` alone",
		                  SLICE_ARGS(name->text), SLICE_ARGS(name->text));
		fine = false;
	}
	struct core *payload = NULL;
	if (expr->label.payload != NULL) {
		payload = check_expression(checker, expr->label.payload, &part);
		fine = fine && payload != NULL;
	}
	if (!fine)
		return NULL;
	struct core *core = check_new(checker, CORE_SELECT, type, expr->span);
	core->select.label = name->text;
	core->select.payload = payload;
	core->constant = payload == NULL || payload->constant;
	return check_conform(checker, core, expected);
}
