/* choice, type, ref */
#include "lang/parse.h"

static struct syntax_type *type_make(struct parser *p, enum syntax_type_kind kind, uint32_t first)
{
	struct syntax_type *type = arena_alloc(p->arena, sizeof *type);
	type->kind = kind;
	type->span = parse_span(p, first);
	return type;
}

static bool record_member(struct parser *p, void *context)
{
	struct syntax_member member = {0};
	(void)context;
	if (!parse_key(p, "a member's name", &member.name) ||
	    !parse_expect_sign(p, TOKEN_COLON, "\":\" and the member's type", "a member is written name: Type"))
		return false;
	member.type = parse_type(p);
	if (member.type == NULL)
		return false;
	if (parse_accept(p, TOKEN_EQUAL)) {
		member.default_value = parse_const(p);
		if (member.default_value == NULL)
			return false;
	}
	buffer_append(&p->scratch, &member, sizeof member);
	return true;
}

static struct syntax_type *parse_record(struct parser *p)
{
	struct scope scope = parse_begin(p);
	size_t mark = p->scratch.size;
	if (p->at == scope.close) {
		struct diagnostic *diagnostic = parse_unexpected(p, "a member of the record");
		diagnostics_hint(p->diagnostics, diagnostic, "the type of nothing is ()");
	}
	if (!parse_enter(p))
		return NULL;
	parse_items(p, &scope, record_member, NULL);
	parse_leave(p);
	struct syntax_type *type = type_make(p, SYNTAX_TYPE_RECORD, scope.open);
	type->members = parse_collect(p, mark, sizeof *type->members, &type->member_count);
	parse_refuse_twice(p, type->members, type->member_count, sizeof *type->members, "this member");
	return type;
}

/* "[" type "]" or "(" [type] ")" */
static struct syntax_type *parse_enclosed(struct parser *p)
{
	struct scope scope = parse_begin(p);
	bool list = p->tokens[scope.open].kind == TOKEN_BRACKET_OPEN;
	bool unit = !list && p->at == scope.close;
	struct syntax_type *inner = NULL;
	if (!unit) {
		if (!parse_enter(p))
			return NULL;
		inner = parse_type(p);
		parse_leave(p);
	}
	if (inner != NULL && p->at != scope.close) {
		bool comma = parse_kind(p, 0) == TOKEN_COMMA;
		struct diagnostic *diagnostic = parse_unexpected(p, list ? "\"]\"" : "\")\"");
		if (comma)
			diagnostics_hint(p->diagnostics, diagnostic, "a pair's type is written A * B");
	}
	parse_close(p, &scope);
	if (inner == NULL && !unit)
		return NULL;
	if (!list && !unit)
		return inner;
	struct syntax_type *type = type_make(p, list ? SYNTAX_TYPE_LIST : SYNTAX_TYPE_UNIT, scope.open);
	type->parts[0] = inner;
	return type;
}

static struct syntax_type *parse_atom(struct parser *p)
{
	struct syntax_name name;
	switch (parse_kind(p, 0)) {
	case TOKEN_UPPER:
	case TOKEN_LOWER:
		if (!parse_name(p, TOKEN_UPPER, "a type's name", &name))
			return NULL;
		struct syntax_type *type = type_make(p, SYNTAX_TYPE_NAME, p->at - 1);
		type->name = name.text;
		return type;
	case TOKEN_BRACKET_OPEN:
	case TOKEN_PAREN_OPEN:
		return parse_enclosed(p);
	case TOKEN_BRACE_OPEN:
		return parse_record(p);
	default:
		parse_unexpected(p, "a type");
		return NULL;
	}
}

/* Both operators take their right side as long as it goes: `higher` is the production of the left side. */
static struct syntax_type *parse_operator(struct parser *p, enum token_kind operator, enum syntax_type_kind kind,
                                          struct syntax_type *(*higher)(struct parser *),
                                          struct syntax_type *(*self)(struct parser *))
{
	uint32_t first = p->at;
	uint32_t outer = parse_subtree_begin(p);
	struct syntax_type *left = higher(p);
	struct syntax_type *type = left;
	if (left != NULL && parse_kind(p, 0) == operator) {
		struct syntax_type *right = NULL;
		type = NULL;
		if (parse_subtree_wrap(p) && parse_enter(p)) {
			p->at++;
			right = self(p);
			parse_leave(p);
		}
		if (right != NULL) {
			type = type_make(p, kind, first);
			type->parts[0] = left;
			type->parts[1] = right;
		}
	}
	parse_subtree_end(p, outer);
	return type;
}

static struct syntax_type *parse_product(struct parser *p)
{
	return parse_operator(p, TOKEN_STAR, SYNTAX_TYPE_PAIR, parse_atom, parse_product);
}

struct syntax_type *parse_type(struct parser *p)
{
	return parse_operator(p, TOKEN_PLUS, SYNTAX_TYPE_SUM, parse_product, parse_type);
}

/* LOWER ["(" type ")"] */
static bool parse_alternative(struct parser *p)
{
	struct syntax_member label = {0};
	if (!parse_name(p, TOKEN_LOWER, "a label", &label.name))
		return false;
	if (parse_kind(p, 0) == TOKEN_PAREN_OPEN) {
		struct scope scope = parse_begin(p);
		if (!parse_enter(p))
			return false;
		label.type = parse_type(p);
		parse_leave(p);
		if (label.type != NULL && p->at != scope.close)
			parse_unexpected(p, "\")\"");
		parse_close(p, &scope);
	}
	buffer_append(&p->scratch, &label, sizeof label);
	return true;
}

struct syntax_type *parse_type_definition(struct parser *p)
{
	uint32_t first = p->at;
	size_t mark = p->scratch.size;
	bool good = true;
	enum token_kind kind = parse_kind(p, 0);
	bool label = kind == TOKEN_LOWER || token_is_reserved(kind);
	if (kind == TOKEN_UPPER) /* a label with a capital letter */
		label = parse_kind(p, 1) == TOKEN_BAR ||
		        (parse_kind(p, 1) == TOKEN_PAREN_OPEN && parse_touches(p, p->at + 1));
	if (!label)
		return parse_type(p);
	do
		good = parse_alternative(p);
	while (good && parse_accept(p, TOKEN_BAR));

	struct syntax_type *type = type_make(p, SYNTAX_TYPE_CHOICE, first);
	type->members = parse_collect(p, mark, sizeof *type->members, &type->member_count);
	parse_refuse_twice(p, type->members, type->member_count, sizeof *type->members, "this label");
	return good ? type : NULL;
}

bool parse_ref(struct parser *p, struct syntax_ref *ret_ref)
{
	uint32_t first = p->at;
	struct syntax_name name;
	if (!parse_name(p, TOKEN_UPPER, "a process's name", &name))
		return false;
	*ret_ref = (struct syntax_ref){.name = name.text, .name_span = name.span};
	if (parse_accept(p, TOKEN_AT)) {
		ret_ref->version_kind = SYNTAX_VERSION_LATEST;
		if (parse_is_word(p, 0, "latest"))
			p->at++;
		else if (parse_count(p, "a version or \"latest\"", &ret_ref->version))
			ret_ref->version_kind = SYNTAX_VERSION_NUMBER;
		else
			return false;
	}
	ret_ref->span = parse_span(p, first);
	return true;
}
