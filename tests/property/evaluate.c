#include "evaluate.h"

#include "base/memory.h"
#include "oracle.h"

#include <assert.h>
#include <inttypes.h>

/* A name and its value. */
struct bound {
	const struct bound *next;
	struct slice name;
	struct plain *value;
};

/* Where an expression stands: what is visible, and from when on it is at work. */
struct scope {
	const struct bound *names;
	struct when when;
};

/* An element of an `each` that is being evaluated. */
struct element {
	struct element *outer;
	uint32_t first; /* step in which the first of its calls was opened */
	uint32_t last;  /* step that took the last result */
};

static struct plain *eval(struct evaluation *evaluation, const struct syntax_expr *expr,
                          const struct syntax_type *expected, struct scope scope);

void evaluation_init(struct evaluation *evaluation, const struct world *world)
{
	*evaluation = (struct evaluation){.world = world, .failure = BUFFER_EMPTY};
}

void evaluation_finish(struct evaluation *evaluation)
{
	arena_finish(&evaluation->arena);
	buffer_finish(&evaluation->failure);
}

static struct plain *null_value(struct evaluation *evaluation)
{
	return plain_leaf(&evaluation->arena, SLICE("null"), (struct when){0, 0});
}

static struct plain *wrong(struct evaluation *evaluation, const char *what, struct slice name)
{
	if (!evaluation->too_large)
		buffer_format(&evaluation->failure, "the evaluation finds %s: %.*s\n", what, SLICE_ARGS(name));
	return null_value(evaluation);
}

/* Names. */

static void bind(struct evaluation *evaluation, struct scope *scope, struct slice name, struct plain *value)
{
	struct bound *bound = arena_alloc(&evaluation->arena, sizeof *bound);
	*bound = (struct bound){scope->names, name, value};
	scope->names = bound;
}

static void bind_pattern(struct evaluation *evaluation, struct scope *scope, const struct syntax_pattern *pattern,
                         struct plain *value)
{
	switch (pattern->kind) {
	case SYNTAX_PATTERN_ANY:
		return;
	case SYNTAX_PATTERN_NAME:
		bind(evaluation, scope, pattern->name, value);
		return;
	case SYNTAX_PATTERN_PAIR:
		break;
	}
	if (value->kind != PLAIN_ARRAY || value->count != 2) {
		wrong(evaluation, "a pattern for what is no pair", span_text(pattern->span));
		value = plain_array(&evaluation->arena, 2, value->when);
		value->items[0] = value->items[1] = null_value(evaluation);
	}
	for (uint32_t i = 0; i < 2; i++)
		bind_pattern(evaluation, scope, pattern->parts[i],
		             plain_raise(&evaluation->arena, value->items[i], value->when));
}

static struct plain *eval_name(struct evaluation *evaluation, struct slice name, struct scope scope)
{
	for (const struct bound *bound = scope.names; bound != NULL; bound = bound->next)
		if (slice_equal(bound->name, name))
			return plain_raise(&evaluation->arena, bound->value, scope.when);
	return wrong(evaluation, "an unbound name", name);
}

/* Calls. */

static bool within_limits(struct evaluation *evaluation, const struct plain *input, const struct plain *output)
{
	struct buffer text = BUFFER_EMPTY;
	plain_print(input, &text);
	plain_print(output, &text);
	evaluation->bytes += text.size;
	buffer_finish(&text);
	if (++evaluation->calls > EVALUATION_CALLS_MAX || evaluation->bytes > EVALUATION_BYTES_MAX ||
	    plain_depth(input) > EVALUATION_DEPTH_MAX)
		evaluation->too_large = true;
	return !evaluation->too_large;
}

static void note_element(struct evaluation *evaluation, const struct call_record *record)
{
	const struct opened_call *only = call_record_only(record);
	for (struct element *element = evaluation->element; only != NULL && element != NULL; element = element->outer) {
		element->first = only->opened < element->first ? only->opened : element->first;
		element->last = only->returned > element->last ? only->returned : element->last;
	}
}

/* What the call gives, and from when on. */
static struct plain *call(struct evaluation *evaluation, struct slice callee, struct plain *input, struct plain *output,
                          struct scope scope)
{
	struct when returned = {0, 0};
	if (!within_limits(evaluation, input, output) || evaluation->log == NULL)
		return output;
	struct call_record *record = call_log_record(evaluation->log, callee, input);
	if (!call_record_expect(record, when_later(scope.when, plain_ground(input)), &returned))
		return output; /* call_log_check tells it */
	note_element(evaluation, record);
	struct buffer text = BUFFER_EMPTY;
	plain_print(output, &text);
	output = plain_parse(&evaluation->arena, buffer_slice(&text), returned);
	/* Everything in it is there at once. */
	buffer_finish(&text);
	return output;
}

/* Parameter → its argument, defaults filled in. */
static struct plain *eval_args(struct evaluation *evaluation, const struct syntax_expr *expr,
                               const struct syntax_declaration *signature, struct scope scope)
{
	struct plain *args = plain_object(&evaluation->arena, signature->param_count, scope.when);
	for (uint32_t i = 0; i < signature->param_count; i++)
		args->keys[i] = signature->params[i].name.text;
	for (uint32_t i = 0; i < expr->call.arg_count; i++) {
		const struct syntax_arg *arg = &expr->call.args[i];
		uint32_t param = i;
		if (arg->name.text.size != 0)
			for (param = 0; !slice_equal(args->keys[param], arg->name.text); param++)
				assert(param + 1 < signature->param_count);
		args->items[param] = eval(evaluation, arg->value, signature->params[param].type, scope);
	}
	for (uint32_t i = 0; i < signature->param_count; i++) {
		const struct syntax_param *param = &signature->params[i];
		if (args->items[i] == NULL)
			args->items[i] = oracle_constant(evaluation->world, &evaluation->arena, param->default_value,
			                                 param->type);
	}
	return args;
}

static struct plain *eval_block(struct evaluation *evaluation, const struct syntax_block *block,
                                const struct syntax_type *expected, struct scope scope);

static struct plain *eval_workflow(struct evaluation *evaluation, const struct syntax_declaration *workflow,
                                   struct plain *args, struct when when)
{
	struct scope scope = {NULL, when};
	for (uint32_t i = 0; i < args->count; i++)
		bind(evaluation, &scope, args->keys[i], args->items[i]);
	return eval_block(evaluation, workflow->body, workflow->result, scope);
}

static struct plain *eval_call(struct evaluation *evaluation, const struct syntax_expr *expr, struct scope scope)
{
	const struct syntax_declaration *callee = world_callable(evaluation->world, expr->call.ref.name);
	if (callee == NULL)
		return wrong(evaluation, "a call of nothing", expr->call.ref.name);
	struct plain *args = eval_args(evaluation, expr, world_signature(evaluation->world, callee), scope);
	if (evaluation->too_large)
		return null_value(evaluation);
	if (callee->kind == SYNTAX_WORKFLOW)
		return eval_workflow(evaluation, callee, args, scope.when);
	struct plain *output = oracle_answer(evaluation->world, &evaluation->arena, callee, args);
	return call(evaluation, callee->name.text, args, output, scope);
}

static struct plain *eval_signal(struct evaluation *evaluation, const struct syntax_expr *expr, struct scope scope)
{
	struct buffer callee = BUFFER_EMPTY;
	struct slice name = expr->signal.name.text;
	struct plain *key = null_value(evaluation);
	if (expr->signal.key != NULL)
		key = eval(evaluation, expr->signal.key, NULL, scope);
	struct plain *output = oracle_signal(evaluation->world, &evaluation->arena, name, key);
	buffer_format(&callee, "signal %.*s", SLICE_ARGS(name));
	output = call(evaluation, buffer_slice(&callee), key, output, scope);
	buffer_finish(&callee);
	return output;
}

static struct plain *eval_sleep(struct evaluation *evaluation, const struct syntax_expr *expr, struct scope scope)
{
	struct plain *duration = eval(evaluation, expr->operand, NULL, scope);
	return call(evaluation, SLICE("sleep"), duration, null_value(evaluation), scope);
}

/* Choices and repetition. */

static const struct syntax_arm *find_arm(const struct syntax_expr *expr, const struct plain *subject)
{
	struct slice label = subject->text;
	if (subject->kind == PLAIN_OBJECT)
		label = subject->keys[0];
	else if (label.data[0] == '"')
		label = (struct slice){label.data + 1, label.size - 2};
	for (uint32_t i = 0; i < expr->choice.arm_count; i++) {
		const struct syntax_arm *arm = &expr->choice.arms[i];
		if (arm->any || slice_equal(arm->label.text, label))
			return arm;
	}
	return NULL;
}

static struct plain *eval_case(struct evaluation *evaluation, const struct syntax_expr *expr,
                               const struct syntax_type *expected, struct scope scope)
{
	struct plain *subject = eval(evaluation, expr->choice.subject, NULL, scope);
	if (evaluation->too_large || subject->kind == PLAIN_ARRAY)
		return wrong(evaluation, "no choice in a case", span_text(expr->span));
	const struct syntax_arm *arm = find_arm(expr, subject);
	if (arm == NULL)
		return wrong(evaluation, "a label without an arm", span_text(expr->span));
	struct scope inner = {scope.names, when_later(scope.when, subject->when)};
	if (arm->pattern != NULL)
		bind_pattern(evaluation, &inner, arm->pattern,
		             plain_raise(&evaluation->arena, subject->items[0], inner.when));
	return plain_raise(&evaluation->arena, eval(evaluation, arm->body, expected, inner), inner.when);
}

static void check_window(struct evaluation *evaluation, const struct syntax_expr *expr, const struct element *elements,
                         uint32_t count, uint32_t window)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t together = 0;
		for (uint32_t j = 0; j < count; j++)
			together += elements[j].first <= elements[i].first && elements[i].first < elements[j].last;
		if (together <= window)
			continue;
		buffer_format(&evaluation->failure, "%u bodies at once in step %u where %u are allowed: %.*s\n",
		              together, elements[i].first, window, SLICE_ARGS(span_text(expr->span)));
		return;
	}
}

static struct plain *eval_each(struct evaluation *evaluation, const struct syntax_expr *expr,
                               const struct syntax_type *expected, struct scope scope)
{
	struct plain *list = eval(evaluation, expr->each.list, NULL, scope);
	const struct syntax_type *type = world_resolve(evaluation->world, expected);
	uint32_t window = evaluation->each_window;
	struct when when = when_later(scope.when, list->when);
	if (evaluation->too_large || list->kind != PLAIN_ARRAY)
		return wrong(evaluation, "an each over no list", span_text(expr->span));
	if (expr->each.limit != 0 && (window == 0 || expr->each.limit < window))
		window = expr->each.limit;
	struct when begin = when;
	if (window != 0 && window < list->count)
		begin.latest = STEP_NEVER;
	struct plain *results = plain_array(&evaluation->arena, list->count, when);
	struct element *elements = arena_alloc(&evaluation->arena, (list->count + 1) * sizeof *elements);
	for (uint32_t i = 0; i < list->count; i++) {
		struct scope inner = {scope.names, begin};
		elements[i] = (struct element){evaluation->element, STEP_NEVER, 0};
		evaluation->element = &elements[i];
		bind_pattern(evaluation, &inner, expr->each.pattern,
		             plain_raise(&evaluation->arena, list->items[i], when));
		struct plain *result = eval_block(
			evaluation, expr->each.body,
			type != NULL && type->kind == SYNTAX_TYPE_LIST ? type->parts[0] : NULL, inner);
		results->items[i] = plain_raise(&evaluation->arena, result, begin);
		evaluation->element = elements[i].outer;
	}
	if (window != 0 && evaluation->log != NULL && !evaluation->too_large)
		check_window(evaluation, expr, elements, list->count, window);
	return results;
}

static struct plain *eval_after(struct evaluation *evaluation, const struct syntax_expr *expr,
                                const struct syntax_type *expected, struct scope scope)
{
	struct plain *gate = eval(evaluation, expr->after.gate, NULL, scope);
	struct scope inner = {scope.names, when_later(scope.when, plain_ground(gate))};
	return plain_raise(&evaluation->arena, eval(evaluation, expr->after.operand, expected, inner), inner.when);
}

static struct plain *eval_block(struct evaluation *evaluation, const struct syntax_block *block,
                                const struct syntax_type *expected, struct scope scope)
{
	for (uint32_t i = 0; i < block->binding_count && !evaluation->too_large; i++) {
		const struct syntax_binding *binding = &block->bindings[i];
		bind_pattern(evaluation, &scope, binding->pattern, eval(evaluation, binding->value, NULL, scope));
	}
	return eval(evaluation, block->result, expected, scope);
}

/* Values that are put together. */

static struct plain *eval_record(struct evaluation *evaluation, const struct syntax_expr *expr,
                                 const struct syntax_type *expected, struct scope scope)
{
	const struct syntax_type *type = world_resolve(evaluation->world, expected);
	uint32_t member_count = type != NULL && type->kind == SYNTAX_TYPE_RECORD ? type->member_count : 0;
	struct plain *record = plain_object(&evaluation->arena, expr->record.count + member_count, scope.when);
	record->count = 0;
	for (uint32_t i = 0; i < expr->record.count; i++) {
		const struct syntax_field *field = &expr->record.fields[i];
		const struct syntax_type *part = NULL;
		for (uint32_t j = 0; j < member_count; j++)
			if (slice_equal(type->members[j].name.text, field->key.text))
				part = type->members[j].type;
		record->keys[i] = field->key.text;
		record->items[i] = eval(evaluation, field->value, part, scope);
		record->count++;
	}
	for (uint32_t i = 0; i < member_count; i++) {
		const struct syntax_member *member = &type->members[i];
		if (plain_member(record, member->name.text) != NULL)
			continue;
		record->keys[record->count] = member->name.text;
		record->items[record->count++] = oracle_constant(evaluation->world, &evaluation->arena,
		                                                 member->default_value, member->type);
	}
	return record;
}

static struct plain *eval_items(struct evaluation *evaluation, struct syntax_expr *const *items, uint32_t count,
                                const struct syntax_type *expected, struct scope scope)
{
	const struct syntax_type *type = world_resolve(evaluation->world, expected);
	struct plain *array = plain_array(&evaluation->arena, count, scope.when);
	for (uint32_t i = 0; i < count; i++) {
		const struct syntax_type *part = NULL;
		if (type != NULL && type->kind == SYNTAX_TYPE_LIST)
			part = type->parts[0];
		else if (type != NULL && type->kind == SYNTAX_TYPE_PAIR)
			part = type->parts[i];
		array->items[i] = eval(evaluation, items[i], part, scope);
	}
	return array;
}

static struct plain *eval_side(struct evaluation *evaluation, const struct syntax_expr *expr,
                               const struct syntax_type *expected, struct scope scope)
{
	bool left = expr->kind == SYNTAX_EXPR_LEFT;
	const struct syntax_type *type = world_resolve(evaluation->world, expected);
	const struct syntax_type *part = type != NULL && type->kind == SYNTAX_TYPE_SUM ? type->parts[!left] : NULL;
	struct plain *payload = eval(evaluation, expr->operand, part, scope);
	return plain_labelled(&evaluation->arena, left ? SLICE("left") : SLICE("right"), payload, scope.when);
}

static struct plain *eval_label(struct evaluation *evaluation, const struct syntax_expr *expr, struct scope scope)
{
	const struct syntax_type *part = NULL;
	struct syntax_type named = {.kind = SYNTAX_TYPE_NAME, .name = expr->label.type.text};
	const struct syntax_type *type = world_resolve(evaluation->world, &named);
	for (uint32_t i = 0; i < type->member_count; i++)
		if (slice_equal(type->members[i].name.text, expr->label.label.text))
			part = type->members[i].type;
	struct plain *payload = NULL;
	if (expr->label.payload != NULL)
		payload = eval(evaluation, expr->label.payload, part, scope);
	return plain_labelled(&evaluation->arena, expr->label.label.text, payload, scope.when);
}

static struct plain *eval_member(struct evaluation *evaluation, const struct syntax_expr *expr, struct scope scope)
{
	struct plain *record = eval(evaluation, expr->member.operand, NULL, scope);
	struct plain *member = plain_member(record, expr->member.key.text);
	if (member == NULL)
		return wrong(evaluation, "no member of that name", expr->member.key.text);
	return plain_raise(&evaluation->arena, member, record->when);
}

static struct plain *eval(struct evaluation *evaluation, const struct syntax_expr *expr,
                          const struct syntax_type *expected, struct scope scope)
{
	if (++evaluation->steps > EVALUATION_STEPS_MAX)
		evaluation->too_large = true;
	if (evaluation->too_large)
		return null_value(evaluation);
	switch (expr->kind) {
	case SYNTAX_EXPR_LEFT:
	case SYNTAX_EXPR_RIGHT:
		return eval_side(evaluation, expr, expected, scope);
	case SYNTAX_EXPR_CASE:
		return eval_case(evaluation, expr, expected, scope);
	case SYNTAX_EXPR_EACH:
		return eval_each(evaluation, expr, expected, scope);
	case SYNTAX_EXPR_MEMBER:
		return eval_member(evaluation, expr, scope);
	case SYNTAX_EXPR_AFTER:
		return eval_after(evaluation, expr, expected, scope);
	case SYNTAX_EXPR_AS:
		return eval(evaluation, expr->as.operand, expr->as.type, scope);
	case SYNTAX_EXPR_NAME:
		return eval_name(evaluation, expr->name, scope);
	case SYNTAX_EXPR_LITERAL:
		return plain_raise(&evaluation->arena,
		                   oracle_constant(evaluation->world, &evaluation->arena, expr->literal, NULL),
		                   scope.when);
	case SYNTAX_EXPR_BLOCK:
		return eval_block(evaluation, expr->block, expected, scope);
	case SYNTAX_EXPR_CALL:
		return eval_call(evaluation, expr, scope);
	case SYNTAX_EXPR_LABEL:
		return eval_label(evaluation, expr, scope);
	case SYNTAX_EXPR_SLEEP:
		return eval_sleep(evaluation, expr, scope);
	case SYNTAX_EXPR_SIGNAL:
		return eval_signal(evaluation, expr, scope);
	case SYNTAX_EXPR_LIST:
		return eval_items(evaluation, expr->list.items, expr->list.count, expected, scope);
	case SYNTAX_EXPR_UNIT:
		return plain_leaf(&evaluation->arena, SLICE("null"), scope.when);
	case SYNTAX_EXPR_PAIR:
		return eval_items(evaluation, expr->parts, 2, expected, scope);
	case SYNTAX_EXPR_RECORD:
		return eval_record(evaluation, expr, expected, scope);
	default:
		return wrong(evaluation, "what the language leaves out", span_text(expr->span));
	}
}

struct plain *evaluate(struct evaluation *evaluation, struct slice workflow, struct plain *args)
{
	struct plain *result = eval_workflow(evaluation, world_callable(evaluation->world, workflow), args,
	                                     (struct when){0, 0});
	if (!evaluation->too_large && plain_depth(result) > EVALUATION_DEPTH_MAX)
		evaluation->too_large = true;
	return result;
}
