#include "workflow/check.h"


/* The labels of a sum, a choice type or Bool. */
static uint32_t label_count(const struct type *type)
{
	return type->kind == TYPE_CHOICE ? type->member_count : 2;
}

static struct slice label_name(const struct type *type, uint32_t index)
{
	if (type->kind == TYPE_CHOICE)
		return type->members[index].name;
	if (type->kind == TYPE_BOOL)
		return index == 0 ? SLICE("true") : SLICE("false");
	return index == 0 ? SLICE("left") : SLICE("right");
}

/* NULL: without payload. */
static const struct type *label_payload(const struct type *type, uint32_t index)
{
	if (type->kind == TYPE_CHOICE)
		return type->members[index].type;
	return type->kind == TYPE_SUM ? type->parts[index] : NULL;
}

struct case_check {
	const struct syntax_expr *expr;
	const struct type *type;         /* of what is looked at; NULL: not known */
	const struct syntax_arm **taken; /* by label */
	struct expected expected;        /* of the arms */
	struct core_arm *arms;
	uint32_t guide;                  /* the arm that was checked first and says the type; UINT32_MAX: none */
	bool any;                        /* an arm covers all */
	bool labels_fine;
	bool fine;
};

static void report_unknown_label(struct checker *checker, const struct type *type, const struct syntax_name *label)
{
	struct suggestion suggestion;
	suggestion_init(&suggestion, label->text);
	struct diagnostic *diagnostic =
		diagnostics_error(checker->diagnostics, label->span, "%s has no label `%.*s`",
	                          check_show(checker, type), SLICE_ARGS(label->text));
	for (uint32_t i = 0; i < label_count(type); i++)
		suggestion_try(&suggestion, label_name(type, i));
	if (suggestion.nearest.size != 0)
		diagnostics_hint(checker->diagnostics, diagnostic, "did you mean `%.*s`?",
		                 SLICE_ARGS(suggestion.nearest));
	else if (type->kind != TYPE_CHOICE)
		diagnostics_hint(checker->diagnostics, diagnostic, "its labels are `%.*s` and `%.*s`",
		                 SLICE_ARGS(label_name(type, 0)), SLICE_ARGS(label_name(type, 1)));
}

/* The index of an arm's label; false after an error. */
static bool take_label(struct checker *checker, struct case_check *check, const struct syntax_arm *arm,
                       uint32_t *ret_index)
{
	uint32_t index = 0;
	while (index < label_count(check->type) && !slice_equal(label_name(check->type, index), arm->label.text))
		index++;
	if (index == label_count(check->type)) {
		report_unknown_label(checker, check->type, &arm->label);
		return false;
	}
	if (check->taken[index] != NULL) {
		struct diagnostic *diagnostic = diagnostics_error(
			checker->diagnostics, arm->label.span, "`%.*s` is covered twice", SLICE_ARGS(arm->label.text));
		diagnostics_note(checker->diagnostics, diagnostic, check->taken[index]->label.span, "here first");
		return false;
	}
	check->taken[index] = arm;
	*ret_index = index;
	return true;
}

static void check_arm(struct checker *checker, struct case_check *check, uint32_t index)
{
	const struct syntax_arm *from = &check->expr->choice.arms[index];
	struct core_arm *arm = &check->arms[index];
	const struct type *payload = NULL;
	uint32_t label = 0;
	arm->any = from->any;
	check->any = check->any || from->any;
	arm->label = from->label.text;
	if (from->any && index + 1 < check->expr->choice.arm_count) {
		diagnostics_error(checker->diagnostics, from->label.span, "`_` covers all; nothing can come after it");
		check->fine = false;
	}
	if (!from->any && check->type != NULL) {
		if (!take_label(checker, check, from, &label)) {
			check->labels_fine = false;
			check->fine = false;
		} else {
			payload = label_payload(check->type, label);
			arm->has_payload = payload != NULL;
			if (payload == NULL && from->pattern != NULL) {
				diagnostics_error(checker->diagnostics, from->pattern->span,
				                  "label `%.*s` carries no value", SLICE_ARGS(from->label.text));
				check->fine = false;
			}
		}
	}
	size_t mark = check_scope_enter(checker);
	checker->guards++;
	if (from->pattern != NULL) {
		arm->pattern = check_pattern(checker, from->pattern, payload);
		check->fine = check->fine && arm->pattern != NULL;
	}
	arm->body = check_expression(checker, from->body, &check->expected);
	check->fine = check->fine && arm->body != NULL;
	checker->guards--;
	check_scope_leave(checker, mark);
}

static void check_coverage(struct checker *checker, struct case_check *check)
{
	const struct syntax_arm *last = &check->expr->choice.arms[check->expr->choice.arm_count - 1];
	struct buffer missing = BUFFER_EMPTY;
	uint32_t count = 0;
	for (uint32_t i = 0; i < label_count(check->type); i++) {
		if (check->taken[i] != NULL)
			continue;
		if (++count <= 5)
			buffer_format(&missing, "%s`%.*s`", count > 1 ? ", " : "",
			              SLICE_ARGS(label_name(check->type, i)));
	}
	if (count > 5)
		buffer_format(&missing, " and %u more", count - 5);
	if (count > 0 && !check->any && check->labels_fine) {
		struct span span = check_head(check->expr->span, 4);
		struct diagnostic *diagnostic =
			diagnostics_error(checker->diagnostics, span, "not covered: %s", buffer_string(&missing));
		diagnostics_hint(checker->diagnostics, diagnostic, "add an arm for each, or end with `_ -> …`");
		check->fine = false;
	}
	if (count == 0 && last->any)
		diagnostics_warning(checker->diagnostics, last->label.span, "every label is covered before `_`");
	buffer_finish(&missing);
}

/* When nothing is expected, the first arm that has a type by itself says what all have. */
static void check_guide(struct checker *checker, struct case_check *check)
{
	const struct syntax_arm *arms = check->expr->choice.arms;
	uint32_t guide = 0;
	while (guide < check->expr->choice.arm_count && !check_synthesizes(checker, arms[guide].body))
		guide++;
	if (guide == check->expr->choice.arm_count)
		return;
	check_arm(checker, check, guide);
	check->guide = guide;
	check->expected = *EXPECTED_UNKNOWN;
	if (check->arms[guide].body != NULL)
		check->expected = (struct expected){.type = check->arms[guide].body->type,
		                                    .why = "this arm",
		                                    .span = arms[guide].body->span};
}

struct core *check_case(struct checker *checker, const struct syntax_expr *expr, const struct expected *expected)
{
	struct core *subject = check_expression(checker, expr->choice.subject, EXPECTED_NONE);
	struct case_check check = {.expr = expr, .expected = *expected, .guide = UINT32_MAX};
	check.labels_fine = true;
	check.fine = subject != NULL;
	if (subject != NULL)
		check.type = subject->type;
	if (check.type != NULL && check.type->kind != TYPE_SUM && check.type->kind != TYPE_CHOICE &&
	    check.type->kind != TYPE_BOOL) {
		diagnostics_error(checker->diagnostics, subject->span,
		                  "`case` takes a sum, a choice or a Bool, and this is %s",
		                  check_show(checker, check.type));
		check.type = NULL;
		check.fine = false;
	}
	if (check.type != NULL)
		check.taken = arena_alloc(&checker->arena, label_count(check.type) * sizeof *check.taken);
	check.arms = arena_alloc(&checker->arena, expr->choice.arm_count * sizeof *check.arms);
	if (expected->type == NULL && !expected->unknown)
		check_guide(checker, &check);
	for (uint32_t i = 0; i < expr->choice.arm_count; i++)
		if (i != check.guide)
			check_arm(checker, &check, i);
	if (check.type != NULL)
		check_coverage(checker, &check);
	if (!check.fine || check.expected.type == NULL)
		return NULL;
	struct core *core = check_new(checker, CORE_CASE, check.expected.type, expr->span);
	core->choice.subject = subject;
	core->choice.arms = check.arms;
	core->choice.count = expr->choice.arm_count;
	return core;
}

/* What is refused is checked as far as names and types go, so that all errors are told at once. */
struct core *check_try(struct checker *checker, const struct syntax_expr *expr, const struct expected *expected)
{
	struct expected body = *expected;
	check_refuse(checker, check_head(expr->span, 3), "`try`");
	if (expr->attempt.handler == NULL && expected->type != NULL && expected->type->kind == TYPE_SUM) {
		body = check_part(expected, expected->type->parts[0]);
	} else if (expr->attempt.handler == NULL && expected->type != NULL) {
		if (expected->type->kind != TYPE_JSON)
			check_mismatch(checker, check_head(expr->span, 3), expected, NULL, "a sum with Failure");
		body = check_synthesizes(checker, expr->attempt.body) ? *EXPECTED_NONE : *EXPECTED_UNKNOWN;
	}
	struct core *core = check_expression(checker, expr->attempt.body, &body);
	const struct type *type = expected->type;
	if (type == NULL && core != NULL)
		type = expr->attempt.handler != NULL ? core->type
		                                     : check_sum_type(checker, core->type, &check_type_failure);
	if (expr->attempt.handler != NULL) {
		struct expected handled = *expected;
		if (expected->type == NULL)
			handled = (struct expected){.type = type, .unknown = type == NULL};
		size_t mark = check_scope_enter(checker);
		checker->guards++;
		check_pattern(checker, expr->attempt.pattern, &check_type_failure);
		check_expression(checker, expr->attempt.handler, &handled);
		checker->guards--;
		check_scope_leave(checker, mark);
	}
	return type != NULL ? check_new(checker, CORE_REFUSED, type, expr->span) : NULL;
}

static const struct type *check_race_arm(struct checker *checker, const struct syntax_race_arm *arm,
                                         const struct expected *expected)
{
	size_t mark = check_scope_enter(checker);
	/* `d = signal("decision") -> d`: the signal has the type of what follows, which is not looked for here. */
	struct core *contender =
		check_expression(checker, arm->contender,
	                         check_synthesizes(checker, arm->contender) ? EXPECTED_NONE : EXPECTED_UNKNOWN);
	checker->guards++;
	if (arm->pattern != NULL)
		check_pattern(checker, arm->pattern, contender != NULL ? contender->type : NULL);
	struct core *body = check_expression(checker, arm->body, expected);
	checker->guards--;
	check_scope_leave(checker, mark);
	return body != NULL ? body->type : NULL;
}

struct core *check_race(struct checker *checker, const struct syntax_expr *expr, const struct expected *expected)
{
	const struct type *type = expected->type;
	check_refuse(checker, check_head(expr->span, 4), "`race`");
	if (expr->race.each != NULL) {
		struct expected list = *expected;
		if (type != NULL)
			list.type = check_list_type(checker, type);
		struct core *each = check_expression(checker, expr->race.each, &list);
		if (type == NULL && each != NULL)
			type = each->type->parts[0];
	}
	for (uint32_t i = 0; i < expr->race.arm_count; i++) {
		struct expected arm = *expected;
		if (type != NULL)
			arm.type = type;
		else if (!check_synthesizes(checker, expr->race.arms[i].body))
			arm = *EXPECTED_UNKNOWN;
		const struct type *found = check_race_arm(checker, &expr->race.arms[i], &arm);
		if (type == NULL)
			type = found;
	}
	return type != NULL ? check_new(checker, CORE_REFUSED, type, expr->span) : NULL;
}
