#include "workflow/check.h"

#define SIGNATURE_SHOWN_MAX 160

/* Puts each argument at its parameter. All are looked at, also when the callee is not known or takes none of that
 * name. */
struct call_args {
	const struct definition *callee; /* NULL: not known */
	const struct declared *declared; /* of this unit, or NULL */
	struct core **values;            /* by parameter */
	const struct syntax_arg **given; /* by parameter */
	bool fine;
};

static void hint_signature(struct checker *checker, struct diagnostic *diagnostic, const struct definition *callee)
{
	if (callee->signature.size <= SIGNATURE_SHOWN_MAX)
		diagnostics_hint(checker->diagnostics, diagnostic, "it is %.*s%.*s", SLICE_ARGS(callee->name),
		                 SLICE_ARGS(callee->signature));
}

static void report_unknown_param(struct checker *checker, const struct definition *callee,
                                 const struct syntax_name *name)
{
	struct suggestion suggestion;
	struct diagnostic *diagnostic =
		diagnostics_error(checker->diagnostics, name->span, "`%.*s` has no parameter `%.*s`",
	                          SLICE_ARGS(callee->name), SLICE_ARGS(name->text));
	suggestion_init(&suggestion, name->text);
	for (uint32_t i = 0; i < callee->param_count; i++)
		suggestion_try(&suggestion, callee->params[i].name);
	if (suggestion.nearest.size != 0)
		diagnostics_hint(checker->diagnostics, diagnostic, "did you mean `%.*s`?",
		                 SLICE_ARGS(suggestion.nearest));
	else
		hint_signature(checker, diagnostic, callee);
}

/* The parameter that argument `index` is for; param_count after an error. */
static uint32_t find_param(struct checker *checker, struct call_args *args, const struct syntax_expr *expr,
                           uint32_t index)
{
	const struct syntax_arg *arg = &expr->call.args[index];
	const struct definition *callee = args->callee;
	uint32_t param = 0;
	if (arg->name.text.size != 0) {
		while (param < callee->param_count && !slice_equal(callee->params[param].name, arg->name.text))
			param++;
		if (param == callee->param_count)
			report_unknown_param(checker, callee, &arg->name);
	} else if (index < callee->param_count) {
		param = index;
	} else {
		param = callee->param_count;
		/* Once, at the first that is too many. */
		if (index == callee->param_count) {
			struct diagnostic *diagnostic = diagnostics_error(
				checker->diagnostics, arg->span, "`%.*s` takes %u argument%s", SLICE_ARGS(callee->name),
				callee->param_count, callee->param_count == 1 ? "" : "s");
			hint_signature(checker, diagnostic, callee);
		}
	}
	if (param < callee->param_count && args->given[param] != NULL) {
		struct slice name = callee->params[param].name;
		struct diagnostic *diagnostic = diagnostics_error(checker->diagnostics, arg->span,
		                                                  "`%.*s` is given twice", SLICE_ARGS(name));
		diagnostics_note(checker->diagnostics, diagnostic, args->given[param]->span, "here first");
		param = callee->param_count;
	}
	return param;
}

static void check_arg(struct checker *checker, struct call_args *args, const struct syntax_expr *expr, uint32_t index)
{
	const struct syntax_arg *arg = &expr->call.args[index];
	struct expected expected = *EXPECTED_UNKNOWN;
	uint32_t param = 0;
	if (args->callee != NULL && (param = find_param(checker, args, expr, index)) < args->callee->param_count) {
		const struct param *to = &args->callee->params[param];
		args->given[param] = arg;
		expected.type = to->type;
		expected.unknown = false;
		expected.why = check_format(checker, "parameter `%.*s` of `%.*s`", SLICE_ARGS(to->name),
		                            SLICE_ARGS(args->callee->name));
		if (args->declared != NULL && args->declared->syntax->kind != SYNTAX_VARIANT)
			expected.span = args->declared->syntax->params[param].span;
	}
	struct core *value = check_expression(checker, arg->value, &expected);
	args->fine = args->fine && value != NULL && !expected.unknown;
	if (!expected.unknown)
		args->values[param] = value;
}

/* Parameters that no argument is given for. */
static void fill_args(struct checker *checker, struct call_args *args, const struct syntax_expr *expr)
{
	for (uint32_t i = 0; i < args->callee->param_count; i++) {
		const struct param *param = &args->callee->params[i];
		if (args->given[i] != NULL)
			continue;
		if (param->has_default) {
			args->values[i] = check_constant(checker, param->type, param->default_json, expr->span);
			continue;
		}
		struct diagnostic *diagnostic = diagnostics_error(
			checker->diagnostics, expr->call.ref.span, "`%.*s` needs an argument for `%.*s`",
			SLICE_ARGS(args->callee->name), SLICE_ARGS(param->name));
		hint_signature(checker, diagnostic, args->callee);
		args->fine = false;
	}
}

struct core *check_call(struct checker *checker, const struct syntax_expr *expr, const struct expected *expected)
{
	struct target target = check_ref(checker, &expr->call.ref);
	struct call_args args = {.callee = target.definition, .declared = target.declared, .fine = true};
	if (target.definition != NULL && target.definition->kind == DEFINITION_JOB) {
		struct diagnostic *diagnostic =
			diagnostics_error(checker->diagnostics, expr->call.ref.span, "`%.*s` is a job, and workflows call processes",
		                          SLICE_ARGS(target.definition->name));
		diagnostics_hint(checker->diagnostics, diagnostic, "a process with `job = %.*s` is run by it",
		                 SLICE_ARGS(target.definition->name));
		args.callee = NULL;
	}
	if (target.declared != NULL && target.declared->broken)
		args.callee = NULL;
	if (args.callee != NULL) {
		size_t count = args.callee->param_count;
		args.values = arena_alloc(&checker->arena, (count + 1) * sizeof *args.values);
		args.given = arena_alloc(&checker->arena, (count + 1) * sizeof *args.given);
		check_link(checker, checker->current, target, expr->call.ref.span);
	}
	for (uint32_t i = 0; i < expr->call.arg_count; i++)
		check_arg(checker, &args, expr, i);
	if (args.callee == NULL)
		return NULL;
	fill_args(checker, &args, expr);
	struct core *core = check_new(checker, CORE_CALL, args.callee->result, expr->span);
	core->call.target = target;
	core->call.args = args.values;
	core->call.count = args.callee->param_count;
	core = check_conform(checker, core, expected);
	return args.fine ? core : NULL;
}

struct core *check_sleep(struct checker *checker, const struct syntax_expr *expr, const struct expected *expected)
{
	struct expected duration = {.type = &check_type_duration, .why = "what `sleep` takes"};
	struct core *operand = check_expression(checker, expr->operand, &duration);
	if (operand == NULL)
		return NULL;
	struct core *core = check_new(checker, CORE_SLEEP, &check_type_unit, expr->span);
	core->operand = operand;
	return check_conform(checker, core, expected);
}

struct checked_signal *check_signal_find(const struct declared *declared, struct slice name)
{
	for (struct checked_signal *signal = declared->signals; signal != NULL; signal = signal->next)
		if (slice_equal(signal->name, name))
			return signal;
	return NULL;
}

struct checked_signal *check_signal_add(struct checker *checker, struct declared *declared, struct slice name,
                                        const struct type *type, struct span span)
{
	struct checked_signal *signal = arena_alloc(&checker->arena, sizeof *signal);
	signal->name = name;
	signal->type = type;
	signal->span = span;
	if (++declared->signal_count == CHECK_SIGNALS_MAX + 1)
		diagnostics_error(checker->diagnostics, span,
		                  "`%.*s` and what it calls wait for more than %u different signals",
		                  SLICE_ARGS(declared->definition->name), CHECK_SIGNALS_MAX);
	if (declared->signal_count > CHECK_SIGNALS_MAX)
		return signal;
	*declared->last_signal = signal;
	declared->last_signal = &signal->next;
	return signal;
}

/* NULL after an error. */
static struct core *check_key(struct checker *checker, const struct syntax_expr *expr)
{
	struct core *key = check_expression(checker, expr, EXPECTED_NONE);
	if (key == NULL)
		return NULL;
	if (key->type->kind == TYPE_TEXT || key->type->kind == TYPE_NUMBER || key->type->kind == TYPE_OPEN)
		return key;
	diagnostics_error(checker->diagnostics, key->span, "the key of a signal is a Text or a Number, and this is %s",
	                  check_show(checker, key->type));
	return NULL;
}

struct core *check_signal(struct checker *checker, const struct syntax_expr *expr, const struct expected *expected)
{
	struct slice name = expr->signal.name.text;
	struct checked_signal *signal = check_signal_find(checker->current, name);
	struct core *key = NULL;
	bool fine = true;
	if (expr->signal.key != NULL) {
		key = check_key(checker, expr->signal.key);
		fine = key != NULL;
	}
	if (signal == NULL && expected->type == NULL)
		return check_needs_type(checker, expr, expected, "`signal`");
	if (signal == NULL)
		signal = check_signal_add(checker, checker->current, unit_keep(checker->unit, name), expected->type,
		                          expr->span);
	struct core *core = check_new(checker, CORE_SIGNAL, signal->type, expr->span);
	core->signal.name = signal->name;
	core->signal.key = key;
	if (expected->type != NULL && !check_same(checker, expected->type, signal->type)) {
		struct diagnostic *diagnostic = diagnostics_error(
			checker->diagnostics, expr->span,
			"signal `%.*s` is expected to be %s here, but is %s elsewhere", SLICE_ARGS(name),
			check_show(checker, expected->type), check_show(checker, signal->type));
		diagnostics_note(checker->diagnostics, diagnostic, signal->span, "here");
		diagnostics_hint(checker->diagnostics, diagnostic, "a signal has one type in a workflow");
		return NULL;
	}
	return fine ? core : NULL;
}

struct core *check_after(struct checker *checker, const struct syntax_expr *expr, const struct expected *expected)
{
	checker->guards++;
	struct core *operand = check_expression(checker, expr->after.operand, expected);
	checker->guards--;
	struct core *gate = check_expression(checker, expr->after.gate, EXPECTED_NONE);
	if (operand == NULL || gate == NULL)
		return NULL;
	struct core *core = check_new(checker, CORE_AFTER, operand->type, expr->span);
	core->after.operand = operand;
	core->after.gate = gate;
	return core;
}
