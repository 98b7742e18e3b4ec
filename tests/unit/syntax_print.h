/* A syntax tree as one line, every construct in parentheses: for tests. */
#ifndef CLUSTERD_TESTS_SYNTAX_PRINT_H
#define CLUSTERD_TESTS_SYNTAX_PRINT_H

#include "base/buffer.h"
#include "lang/ast.h"

static inline void print_text(struct buffer *out, const char *before, struct slice text)
{
	buffer_format(out, "%s%.*s", before, SLICE_ARGS(text));
}

static inline void print_value(struct buffer *out, const struct syntax_value *value)
{
	switch (value->kind) {
	case SYNTAX_VALUE_LIST:
		buffer_append_string(out, "[");
		for (uint32_t i = 0; i < value->item_count; i++) {
			buffer_append_string(out, i > 0 ? " " : "");
			print_value(out, value->items[i]);
		}
		buffer_append_string(out, "]");
		break;
	case SYNTAX_VALUE_OBJECT:
		buffer_append_string(out, "{");
		for (uint32_t i = 0; i < value->entry_count; i++) {
			print_text(out, i > 0 ? " " : "", value->entries[i].key.text);
			buffer_append_string(out, ":");
			print_value(out, value->entries[i].value);
		}
		buffer_append_string(out, "}");
		break;
	case SYNTAX_VALUE_DURATION:
		buffer_format(out, "%lldms", (long long)value->duration_ms);
		break;
	case SYNTAX_VALUE_LOWER:
	case SYNTAX_VALUE_UPPER:
		print_text(out, value->kind == SYNTAX_VALUE_LOWER ? "'" : "''", value->text);
		break;
	default:
		print_text(out, "", value->text);
		break;
	}
}

static inline void print_type(struct buffer *out, const struct syntax_type *type)
{
	switch (type->kind) {
	case SYNTAX_TYPE_NAME:
		buffer_append_slice(out, type->name);
		break;
	case SYNTAX_TYPE_UNIT:
		buffer_append_string(out, "()");
		break;
	case SYNTAX_TYPE_PAIR:
	case SYNTAX_TYPE_SUM:
		buffer_append_string(out, type->kind == SYNTAX_TYPE_PAIR ? "(* " : "(+ ");
		print_type(out, type->parts[0]);
		buffer_append_string(out, " ");
		print_type(out, type->parts[1]);
		buffer_append_string(out, ")");
		break;
	case SYNTAX_TYPE_LIST:
		buffer_append_string(out, "[");
		print_type(out, type->parts[0]);
		buffer_append_string(out, "]");
		break;
	case SYNTAX_TYPE_RECORD:
	case SYNTAX_TYPE_CHOICE:
		buffer_append_string(out, type->kind == SYNTAX_TYPE_RECORD ? "{" : "(|");
		for (uint32_t i = 0; i < type->member_count; i++) {
			const struct syntax_member *member = &type->members[i];
			print_text(out, i > 0 || type->kind == SYNTAX_TYPE_CHOICE ? " " : "", member->name.text);
			if (member->type != NULL) {
				buffer_append_string(out, ":");
				print_type(out, member->type);
			}
			if (member->default_value != NULL) {
				buffer_append_string(out, "=");
				print_value(out, member->default_value);
			}
		}
		buffer_append_string(out, type->kind == SYNTAX_TYPE_RECORD ? "}" : ")");
		break;
	}
}

static inline void print_pattern(struct buffer *out, const struct syntax_pattern *pattern)
{
	switch (pattern->kind) {
	case SYNTAX_PATTERN_NAME:
		buffer_append_slice(out, pattern->name);
		break;
	case SYNTAX_PATTERN_ANY:
		buffer_append_string(out, "_");
		break;
	case SYNTAX_PATTERN_PAIR:
		buffer_append_string(out, "(, ");
		print_pattern(out, pattern->parts[0]);
		buffer_append_string(out, " ");
		print_pattern(out, pattern->parts[1]);
		buffer_append_string(out, ")");
		break;
	}
}

static inline void print_settings(struct buffer *out, const struct syntax_settings *settings)
{
	buffer_append_string(out, "{");
	for (uint32_t i = 0; i < settings->count; i++) {
		print_text(out, i > 0 ? " " : "", settings->entries[i].key.text);
		buffer_append_string(out, "=");
		print_value(out, settings->entries[i].value);
	}
	buffer_append_string(out, "}");
}

static inline void print_expr(struct buffer *out, const struct syntax_expr *expr);

static inline void print_block(struct buffer *out, const struct syntax_block *block)
{
	buffer_append_string(out, "(do");
	for (uint32_t i = 0; i < block->binding_count; i++) {
		buffer_append_string(out, " (= ");
		print_pattern(out, block->bindings[i].pattern);
		buffer_append_string(out, " ");
		print_expr(out, block->bindings[i].value);
		if (block->bindings[i].undo != NULL) {
			buffer_append_string(out, " undo ");
			print_expr(out, block->bindings[i].undo);
		}
		buffer_append_string(out, ")");
	}
	buffer_append_string(out, " ");
	print_expr(out, block->result);
	buffer_append_string(out, ")");
}

static inline void print_ref(struct buffer *out, const struct syntax_ref *ref)
{
	buffer_append_slice(out, ref->name);
	if (ref->version_kind == SYNTAX_VERSION_NUMBER)
		buffer_format(out, "@%u", ref->version);
	if (ref->version_kind == SYNTAX_VERSION_LATEST)
		buffer_append_string(out, "@latest");
}

static inline void print_operand(struct buffer *out, const char *word, const struct syntax_expr *operand)
{
	buffer_format(out, "(%s ", word);
	print_expr(out, operand);
}

static inline void print_arms(struct buffer *out, const struct syntax_expr *expr)
{
	print_operand(out, "case", expr->choice.subject);
	for (uint32_t i = 0; i < expr->choice.arm_count; i++) {
		const struct syntax_arm *arm = &expr->choice.arms[i];
		print_text(out, " (", arm->label.text);
		if (arm->pattern != NULL) {
			buffer_append_string(out, " ");
			print_pattern(out, arm->pattern);
		}
		buffer_append_string(out, " -> ");
		print_expr(out, arm->body);
		buffer_append_string(out, ")");
	}
}

static inline void print_race(struct buffer *out, const struct syntax_expr *expr)
{
	buffer_append_string(out, "(race");
	if (expr->race.each != NULL) {
		buffer_append_string(out, " ");
		print_expr(out, expr->race.each);
	}
	for (uint32_t i = 0; i < expr->race.arm_count; i++) {
		const struct syntax_race_arm *arm = &expr->race.arms[i];
		buffer_append_string(out, " (");
		if (arm->pattern != NULL) {
			print_pattern(out, arm->pattern);
			buffer_append_string(out, " = ");
		}
		print_expr(out, arm->contender);
		buffer_append_string(out, " -> ");
		print_expr(out, arm->body);
		buffer_append_string(out, ")");
	}
}

static inline void print_call(struct buffer *out, const struct syntax_expr *expr)
{
	buffer_append_string(out, "(");
	print_ref(out, &expr->call.ref);
	for (uint32_t i = 0; i < expr->call.arg_count; i++) {
		const struct syntax_arg *arg = &expr->call.args[i];
		buffer_append_string(out, " ");
		if (arg->name.text.size != 0)
			buffer_format(out, "%.*s:", SLICE_ARGS(arg->name.text));
		print_expr(out, arg->value);
	}
}

/* What an expression is, without the ")" that all of these end with. */
static inline void print_compound(struct buffer *out, const struct syntax_expr *expr)
{
	switch (expr->kind) {
	case SYNTAX_EXPR_LEFT:
		print_operand(out, "left", expr->operand);
		break;
	case SYNTAX_EXPR_RIGHT:
		print_operand(out, "right", expr->operand);
		break;
	case SYNTAX_EXPR_FAIL:
		print_operand(out, "fail", expr->operand);
		break;
	case SYNTAX_EXPR_SLEEP:
		print_operand(out, "sleep", expr->operand);
		break;
	case SYNTAX_EXPR_TRY:
		print_operand(out, "try", expr->attempt.body);
		if (expr->attempt.handler != NULL) {
			buffer_append_string(out, " else ");
			print_pattern(out, expr->attempt.pattern);
			buffer_append_string(out, " ");
			print_expr(out, expr->attempt.handler);
		}
		break;
	case SYNTAX_EXPR_CASE:
		print_arms(out, expr);
		break;
	case SYNTAX_EXPR_RACE:
		print_race(out, expr);
		break;
	case SYNTAX_EXPR_EACH:
		buffer_append_string(out, "(each ");
		print_pattern(out, expr->each.pattern);
		buffer_append_string(out, " ");
		print_expr(out, expr->each.list);
		buffer_format(out, " %u ", expr->each.limit);
		print_block(out, expr->each.body);
		break;
	case SYNTAX_EXPR_MEMBER:
		print_operand(out, ".", expr->member.operand);
		print_text(out, " ", expr->member.key.text);
		break;
	case SYNTAX_EXPR_WITH:
		print_operand(out, "with", expr->with.operand);
		buffer_append_string(out, " ");
		print_settings(out, expr->with.settings);
		break;
	case SYNTAX_EXPR_AFTER:
		print_operand(out, "after", expr->after.operand);
		buffer_append_string(out, " ");
		print_expr(out, expr->after.gate);
		break;
	case SYNTAX_EXPR_AS:
		print_operand(out, "as", expr->as.operand);
		buffer_append_string(out, " ");
		print_type(out, expr->as.type);
		break;
	case SYNTAX_EXPR_CALL:
		print_call(out, expr);
		break;
	case SYNTAX_EXPR_LABEL:
		print_text(out, "(label ", expr->label.type.text);
		print_text(out, " ", expr->label.label.text);
		if (expr->label.payload != NULL) {
			buffer_append_string(out, " ");
			print_expr(out, expr->label.payload);
		}
		break;
	case SYNTAX_EXPR_SIGNAL:
		print_text(out, "(signal ", expr->signal.name.text);
		if (expr->signal.key != NULL) {
			buffer_append_string(out, " ");
			print_expr(out, expr->signal.key);
		}
		break;
	case SYNTAX_EXPR_LIST:
		buffer_append_string(out, "(list");
		for (uint32_t i = 0; i < expr->list.count; i++) {
			buffer_append_string(out, " ");
			print_expr(out, expr->list.items[i]);
		}
		break;
	case SYNTAX_EXPR_PAIR:
		print_operand(out, ",", expr->parts[0]);
		buffer_append_string(out, " ");
		print_expr(out, expr->parts[1]);
		break;
	case SYNTAX_EXPR_RECORD:
		buffer_append_string(out, "(record");
		for (uint32_t i = 0; i < expr->record.count; i++) {
			print_text(out, " ", expr->record.fields[i].key.text);
			buffer_append_string(out, ":");
			print_expr(out, expr->record.fields[i].value);
		}
		break;
	default:
		break;
	}
}

static inline void print_expr(struct buffer *out, const struct syntax_expr *expr)
{
	switch (expr->kind) {
	case SYNTAX_EXPR_NAME:
		buffer_append_slice(out, expr->name);
		break;
	case SYNTAX_EXPR_LITERAL:
		print_value(out, expr->literal);
		break;
	case SYNTAX_EXPR_UNIT:
		buffer_append_string(out, "()");
		break;
	case SYNTAX_EXPR_BLOCK:
		print_block(out, expr->block);
		break;
	default:
		print_compound(out, expr);
		buffer_append_string(out, ")");
		break;
	}
}

static inline void print_params(struct buffer *out, const struct syntax_declaration *declaration)
{
	buffer_append_string(out, "(");
	for (uint32_t i = 0; i < declaration->param_count; i++) {
		const struct syntax_param *param = &declaration->params[i];
		print_text(out, i > 0 ? " " : "", param->name.text);
		buffer_append_string(out, ":");
		print_type(out, param->type);
		if (param->default_value != NULL) {
			buffer_append_string(out, "=");
			print_value(out, param->default_value);
		}
	}
	buffer_append_string(out, ") -> ");
	print_type(out, declaration->result);
}

static inline void print_declaration(struct buffer *out, const struct syntax_declaration *declaration)
{
	static const char *const kinds[] = {"type", "process", "variant", "workflow", "job"};
	buffer_format(out, "%s %.*s", kinds[declaration->kind], SLICE_ARGS(declaration->name.text));
	switch (declaration->kind) {
	case SYNTAX_TYPE:
		buffer_append_string(out, " ");
		print_type(out, declaration->type);
		break;
	case SYNTAX_PROCESS:
	case SYNTAX_WORKFLOW:
		print_params(out, declaration);
		break;
	case SYNTAX_VARIANT:
		buffer_append_string(out, " ");
		print_ref(out, &declaration->base);
		break;
	case SYNTAX_JOB:
		break;
	}
	if (declaration->settings != NULL) {
		buffer_append_string(out, " ");
		print_settings(out, declaration->settings);
	}
	if (declaration->body != NULL) {
		buffer_append_string(out, " ");
		print_block(out, declaration->body);
	}
}

#endif
