#include "workflow/compile.h"

#include "base/json.h"
#include "workflow/draft.h"

#include <assert.h>

struct compiler {
	struct checker *checker;
	const struct declared *declared;
	uint32_t each_count;
	bool failed; /* reported */
};

#define NO_NAME ((struct slice){NULL, 0})

/* Constants. */

static void render(const struct core *core, struct buffer *out);

static void render_record(const struct core *core, struct buffer *out)
{
	buffer_append_char(out, '{');
	for (uint32_t i = 0; i < core->record.count; i++) {
		if (i > 0)
			buffer_append_char(out, ',');
		json_quote(out, core->record.fields[i].name);
		buffer_append_char(out, ':');
		render(core->record.fields[i].value, out);
	}
	buffer_append_char(out, '}');
}

static void render_items(struct core *const *items, uint32_t count, struct buffer *out)
{
	buffer_append_char(out, '[');
	for (uint32_t i = 0; i < count && out->size <= COMPILE_CONSTANT_SIZE_MAX; i++) {
		if (i > 0)
			buffer_append_char(out, ',');
		render(items[i], out);
	}
	buffer_append_char(out, ']');
}

static void render_choice(const struct core *core, struct buffer *out)
{
	if (core->select.payload == NULL) {
		json_quote(out, core->select.label);
		return;
	}
	buffer_append_char(out, '{');
	json_quote(out, core->select.label);
	buffer_append_char(out, ':');
	render(core->select.payload, out);
	buffer_append_char(out, '}');
}

/* Stops where the limit is passed; the text is not used then. */
static void render(const struct core *core, struct buffer *out)
{
	if (out->size > COMPILE_CONSTANT_SIZE_MAX)
		return;
	switch (core->kind) {
	case CORE_CONSTANT:
		buffer_append_slice(out, core->json);
		break;
	case CORE_PAIR:
		render_items(core->parts, 2, out);
		break;
	case CORE_LIST:
		render_items(core->list.items, core->list.count, out);
		break;
	case CORE_RECORD:
		render_record(core, out);
		break;
	default:
		assert(core->kind == CORE_SELECT);
		render_choice(core, out);
	}
}

static void lower_constant(struct compiler *compiler, struct block_draft *block, const struct core *core, uint32_t out)
{
	struct unit *unit = compiler->checker->unit;
	struct slice json = core->json;
	if (core->kind != CORE_CONSTANT) {
		struct buffer text = BUFFER_EMPTY;
		render(core, &text);
		if (text.size > COMPILE_CONSTANT_SIZE_MAX) {
			diagnostics_error(compiler->checker->diagnostics, core->span,
			                  "this constant takes more than %u bytes as JSON", COMPILE_CONSTANT_SIZE_MAX);
			compiler->failed = true;
			text.size = 0;
		}
		json.data = arena_string(&compiler->checker->arena, buffer_slice(&text));
		json.size = text.size;
		buffer_finish(&text);
	}
	draft_term(block, TERM_CONSTANT, out, draft_constant(block->draft, unit_text(unit, json)),
	           block->draft->operand_count);
}

/* Expressions. lower_to: the value goes out on a channel that is there; lower: on one of its own, which is returned. */

static void lower_to(struct compiler *compiler, struct block_draft *block, const struct core *core, uint32_t out);
static uint32_t lower(struct compiler *compiler, struct block_draft *block, const struct core *core);

/* `channel` is what the pattern takes apart. */
static void lower_pattern(struct block_draft *block, const struct core_pattern *pattern, uint32_t channel)
{
	if (pattern->variable != NULL) {
		draft_bind(block, pattern->variable, channel);
		return;
	}
	size_t first = block->draft->operand_count;
	if (pattern->parts[0] == NULL) {
		draft_term(block, TERM_DISCARD, channel, 0, first);
		return;
	}
	uint32_t parts[2];
	for (int i = 0; i < 2; i++) {
		const struct variable *variable = pattern->parts[i]->variable;
		parts[i] = draft_channel(block->draft, variable != NULL ? variable->name : NO_NAME);
		draft_operand(block->draft, parts[i]);
	}
	draft_term(block, TERM_PAIR_IN, channel, 0, first);
	for (int i = 0; i < 2; i++)
		lower_pattern(block, pattern->parts[i], parts[i]);
}

/* Operands are lowered first, since that adds operands of other terms. */
static void lower_items(struct compiler *compiler, struct block_draft *block, enum term_kind kind, uint32_t index,
                        struct core *const *items, uint32_t count, uint32_t out)
{
	uint32_t *channels = arena_alloc(block->draft->arena, (count + 1) * sizeof *channels);
	for (uint32_t i = 0; i < count; i++)
		channels[i] = lower(compiler, block, items[i]);
	size_t first = block->draft->operand_count;
	for (uint32_t i = 0; i < count; i++)
		draft_operand(block->draft, channels[i]);
	draft_term(block, kind, out, index, first);
}

static void lower_record(struct compiler *compiler, struct block_draft *block, const struct core *core, uint32_t out)
{
	uint32_t *channels = arena_alloc(block->draft->arena, core->record.count * sizeof *channels);
	for (uint32_t i = 0; i < core->record.count; i++)
		channels[i] = lower(compiler, block, core->record.fields[i].value);
	size_t first = block->draft->operand_count;
	for (uint32_t i = 0; i < core->record.count; i++) {
		draft_operand(block->draft, draft_name(block->draft, core->record.fields[i].name));
		draft_operand(block->draft, channels[i]);
	}
	draft_term(block, TERM_RECORD_OUT, out, 0, first);
}

static struct block_draft *lower_arm(struct compiler *compiler, struct draft *draft, const struct core_arm *arm,
                                     uint32_t out, uint32_t *ret_payload)
{
	struct block_draft *block = draft_block(draft);
	*ret_payload = TERM_NO_CHANNEL;
	if (arm->has_payload) {
		*ret_payload = draft_channel(draft, NO_NAME);
		if (arm->pattern != NULL)
			lower_pattern(block, arm->pattern, *ret_payload);
		else
			draft_term(block, TERM_DISCARD, *ret_payload, 0, draft->operand_count);
	}
	lower_to(compiler, block, arm->body, out);
	draft_close(block);
	return block;
}

static void lower_case(struct compiler *compiler, struct block_draft *block, const struct core *core, uint32_t out)
{
	struct draft *draft = block->draft;
	uint32_t count = core->choice.count;
	uint32_t subject = lower(compiler, block, core->choice.subject);
	struct block_draft **arms = arena_alloc(draft->arena, count * sizeof *arms);
	uint32_t *payloads = arena_alloc(draft->arena, count * sizeof *payloads);
	for (uint32_t i = 0; i < count; i++)
		arms[i] = lower_arm(compiler, draft, &core->choice.arms[i], out, &payloads[i]);
	draft_capture(block, arms, count);
	size_t first = draft->operand_count;
	for (uint32_t i = 0; i < count; i++) {
		const struct core_arm *arm = &core->choice.arms[i];
		draft_operand(draft, arm->any ? TERM_ANY_LABEL : draft_name(draft, arm->label));
		draft_operand(draft, payloads[i]);
		draft_operand(draft, arms[i]->index);
	}
	draft_term(block, TERM_CASE, subject, 0, first);
}

static void lower_after(struct compiler *compiler, struct block_draft *block, const struct core *core, uint32_t out)
{
	uint32_t gate = lower(compiler, block, core->after.gate);
	struct block_draft *guarded = draft_block(block->draft);
	lower_to(compiler, guarded, core->after.operand, out);
	draft_close(guarded);
	draft_capture(block, &guarded, 1);
	draft_term1(block, TERM_AFTER, gate, 0, guarded->index);
}

static void lower_each(struct compiler *compiler, struct block_draft *block, const struct core *core, uint32_t out)
{
	struct checker *checker = compiler->checker;
	struct draft body;
	uint32_t list = lower(compiler, block, core->each.list);
	struct buffer name = BUFFER_EMPTY;
	buffer_format(&name, "%.*s/each%u", SLICE_ARGS(compiler->declared->definition->name), ++compiler->each_count);
	draft_init(&body, checker->unit, &checker->arena,
	           (struct slice){arena_string(&checker->unit->arena, buffer_slice(&name)), name.size});
	buffer_finish(&name);
	struct block_draft *root = draft_block(&body);
	uint32_t element = draft_param(&body, NO_NAME);
	uint32_t result = draft_channel(&body, NO_NAME);
	lower_pattern(root, core->each.pattern, element);
	lower_to(compiler, root, core->each.body, result);
	draft_close(root);
	/* The captured channels are the last operands. */
	struct draft *draft = block->draft;
	size_t first = draft_operand(draft, out);
	draft_operand(draft, core->each.limit);
	draft_capture_params(block, root);
	struct program *program = body.full ? NULL : draft_program(&body, result);
	if (program == NULL)
		draft->full = true;
	else
		draft_term(block, TERM_EACH, list, draft_body(draft, program), first);
	draft_finish(&body);
}

static void lower_call(struct compiler *compiler, struct block_draft *block, const struct core *core, uint32_t out)
{
	const struct target *target = &core->call.target;
	const struct definition *callee = target->declared != NULL ? target->declared->resolved : target->definition;
	lower_items(compiler, block, TERM_CALL, draft_callee(block->draft, callee), core->call.args, core->call.count,
	            out);
}

static void lower_bindings(struct compiler *compiler, struct block_draft *block, const struct core *core)
{
	for (uint32_t i = 0; i < core->block.count; i++) {
		const struct core_binding *binding = &core->block.bindings[i];
		lower_pattern(block, binding->pattern, lower(compiler, block, binding->value));
	}
}

static void lower_to(struct compiler *compiler, struct block_draft *block, const struct core *core, uint32_t out)
{
	struct draft *draft = block->draft;
	struct core *const *operand = NULL;
	if (draft->full || compiler->failed)
		return;
	if (core->constant) {
		lower_constant(compiler, block, core, out);
		return;
	}
	switch (core->kind) {
	case CORE_VARIABLE:
		draft_term1(block, TERM_ID, draft_use(block, core->variable), 0, out);
		break;
	case CORE_PAIR:
		lower_items(compiler, block, TERM_PAIR_OUT, 0, core->parts, 2, out);
		break;
	case CORE_RECORD:
		lower_record(compiler, block, core, out);
		break;
	case CORE_LIST:
		lower_items(compiler, block, TERM_LIST_OUT, 0, core->list.items, core->list.count, out);
		break;
	case CORE_SELECT:
		operand = &core->select.payload;
		lower_items(compiler, block, TERM_SELECT, draft_name(draft, core->select.label), operand,
		            *operand != NULL ? 1 : 0, out);
		break;
	case CORE_MEMBER:
		draft_term1(block, TERM_MEMBER, lower(compiler, block, core->member.operand),
		            draft_name(draft, core->member.key), out);
		break;
	case CORE_CASE:
		lower_case(compiler, block, core, out);
		break;
	case CORE_AFTER:
		lower_after(compiler, block, core, out);
		break;
	case CORE_CALL:
		lower_call(compiler, block, core, out);
		break;
	case CORE_EACH:
		lower_each(compiler, block, core, out);
		break;
	case CORE_SLEEP:
		lower_items(compiler, block, TERM_SLEEP, 0, &core->operand, 1, out);
		break;
	case CORE_SIGNAL:
		lower_items(compiler, block, TERM_SIGNAL, draft_name(draft, core->signal.name), &core->signal.key,
		            core->signal.key != NULL ? 1 : 0, out);
		break;
	default:
		assert(core->kind == CORE_BLOCK);
		lower_bindings(compiler, block, core);
		lower_to(compiler, block, core->block.result, out);
	}
}

static uint32_t lower(struct compiler *compiler, struct block_draft *block, const struct core *core)
{
	while (core->kind == CORE_BLOCK) {
		lower_bindings(compiler, block, core);
		core = core->block.result;
	}
	if (core->kind == CORE_VARIABLE)
		return draft_use(block, core->variable);
	uint32_t out = draft_channel(block->draft, NO_NAME);
	lower_to(compiler, block, core, out);
	return out;
}

struct program *compile_workflow(struct checker *checker, const struct declared *declared)
{
	struct compiler compiler = {.checker = checker, .declared = declared};
	const struct definition *definition = declared->definition;
	struct program *program = NULL;
	struct draft draft;
	draft_init(&draft, checker->unit, &checker->arena, definition->name);
	struct block_draft *block = draft_block(&draft);
	for (uint32_t i = 0; i < definition->param_count; i++)
		draft_bind(block, declared->params[i], draft_param(&draft, declared->params[i]->name));
	uint32_t out = draft_channel(&draft, NO_NAME);
	lower_to(&compiler, block, declared->body, out);
	draft_close(block);
	if (draft.full)
		diagnostics_error(checker->diagnostics, declared->syntax->name.span,
		                  "`%.*s` compiles to more than %u terms", SLICE_ARGS(definition->name),
		                  DRAFT_TERMS_MAX);
	else if (!compiler.failed)
		program = draft_program(&draft, out);
	draft_finish(&draft);
	if (program != NULL)
		program_verify(program);
	return program;
}
