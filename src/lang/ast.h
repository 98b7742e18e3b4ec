/* The syntax tree (LANGUAGE: "Grammar"). All nodes live in the arena of their struct syntax; slices point into the
 * sources or the arena. Siblings stand in arrays with a count; pointers to nodes are never NULL unless it says so.
 *
 * Depth: no node has more than SYNTAX_DEPTH constructs (brackets, prefix and postfix words, operators) around it, so
 * that a tree can be walked by recursive functions. */
#ifndef CLUSTERD_LANG_AST_H
#define CLUSTERD_LANG_AST_H

#include "base/arena.h"
#include "base/slice.h"
#include "lang/diagnostic.h"

#include <stdbool.h>
#include <stdint.h>

#define SYNTAX_DEPTH 256u
#define SYNTAX_SOURCE_SIZE_MAX (1u << 20) /* bytes of one source */

/* A name, label or key where it stands. */
struct syntax_name {
	struct slice text; /* plain UTF-8: a key in quotes without its quotes and escapes */
	struct span span;
};

/* literal, value and const */
enum syntax_value_kind {
	SYNTAX_VALUE_STRING,   /* text: with its quotes, valid JSON as it stands */
	SYNTAX_VALUE_NUMBER,   /* text: valid JSON as it stands */
	SYNTAX_VALUE_DURATION, /* text, duration_ms */
	SYNTAX_VALUE_TRUE,
	SYNTAX_VALUE_FALSE,
	SYNTAX_VALUE_NULL,
	SYNTAX_VALUE_LOWER,    /* text; only as a value of settings */
	SYNTAX_VALUE_UPPER,    /* text; only as a value of settings */
	SYNTAX_VALUE_LIST,     /* items */
	SYNTAX_VALUE_OBJECT,   /* entries; no key twice */
};

struct syntax_value;

struct syntax_entry {
	struct syntax_name key;
	struct syntax_value *value;
};

struct syntax_value {
	enum syntax_value_kind kind;
	struct span span;
	struct slice text; /* as it stands in the source */
	union {
		int64_t duration_ms; /* 0 … DURATION_MAX_MS */
		struct {
			struct syntax_value **items;
			uint32_t item_count;
		};
		struct {
			struct syntax_entry *entries;
			uint32_t entry_count;
		};
	};
};

/* { key = value … }; a key may be there twice: what is allowed depends on what is set. */
struct syntax_setting {
	struct syntax_name key;
	struct syntax_value *value;
	struct span span;
};

struct syntax_settings {
	struct span span; /* with the braces */
	struct syntax_setting *entries;
	uint32_t count;
};

enum syntax_type_kind {
	SYNTAX_TYPE_NAME,   /* name */
	SYNTAX_TYPE_UNIT,   /* () */
	SYNTAX_TYPE_PAIR,   /* parts[0] * parts[1] */
	SYNTAX_TYPE_SUM,    /* parts[0] + parts[1] */
	SYNTAX_TYPE_LIST,   /* [parts[0]] */
	SYNTAX_TYPE_RECORD, /* members, at least one, no name twice */
	SYNTAX_TYPE_CHOICE, /* members: the labels, at least one, no name twice. Only right below `type X =` */
};

struct syntax_type;

struct syntax_member {
	struct syntax_name name;
	struct syntax_type *type;          /* NULL: a label without payload */
	struct syntax_value *default_value; /* NULL: none */
};

struct syntax_type {
	enum syntax_type_kind kind;
	struct span span;
	union {
		struct slice name;
		struct syntax_type *parts[2];
		struct {
			struct syntax_member *members;
			uint32_t member_count;
		};
	};
};

enum syntax_pattern_kind {
	SYNTAX_PATTERN_NAME, /* name */
	SYNTAX_PATTERN_ANY,  /* _ */
	SYNTAX_PATTERN_PAIR, /* (parts[0], parts[1]); (a, b, c) is (a, (b, c)) */
};

struct syntax_pattern {
	enum syntax_pattern_kind kind;
	struct span span;
	union {
		struct slice name;
		struct syntax_pattern *parts[2];
	};
};

/* UPPER ["@" (INT | "latest")] */
enum syntax_version_kind {
	SYNTAX_VERSION_NONE,   /* none is named */
	SYNTAX_VERSION_NUMBER, /* version: 1 … UINT32_MAX */
	SYNTAX_VERSION_LATEST,
};

struct syntax_ref {
	struct span span;
	struct slice name;
	struct span name_span;
	enum syntax_version_kind version_kind;
	uint32_t version;
};

struct syntax_expr;

/* pattern = value [undo undo] */
struct syntax_binding {
	struct span span;
	struct syntax_pattern *pattern;
	struct syntax_expr *value;
	struct syntax_expr *undo; /* NULL: none */
};

struct syntax_block {
	struct span span; /* with the braces */
	struct syntax_binding *bindings;
	uint32_t binding_count;
	struct syntax_expr *result;
};

/* label [pattern] -> expr */
struct syntax_arm {
	struct span span;
	struct syntax_name label;       /* also left, right, true, false; `_` when any is set */
	bool any;                       /* _ -> expr */
	struct syntax_pattern *pattern; /* NULL: none */
	struct syntax_expr *body;
};

/* [pattern =] expr -> expr */
struct syntax_race_arm {
	struct span span;
	struct syntax_pattern *pattern; /* NULL: none */
	struct syntax_expr *contender;
	struct syntax_expr *body;
};

/* [name:] expr; positional ones come first */
struct syntax_arg {
	struct span span;
	struct syntax_name name; /* text.size 0: positional */
	struct syntax_expr *value;
};

/* key: expr of a record */
struct syntax_field {
	struct syntax_name key;
	struct syntax_expr *value;
};

enum syntax_expr_kind {
	SYNTAX_EXPR_LEFT,    /* operand */
	SYNTAX_EXPR_RIGHT,   /* operand */
	SYNTAX_EXPR_FAIL,    /* operand */
	SYNTAX_EXPR_TRY,     /* attempt */
	SYNTAX_EXPR_CASE,    /* choice */
	SYNTAX_EXPR_RACE,    /* race */
	SYNTAX_EXPR_EACH,    /* each */
	SYNTAX_EXPR_MEMBER,  /* member: operand.key */
	SYNTAX_EXPR_WITH,    /* with: operand with {…} */
	SYNTAX_EXPR_AFTER,   /* after: operand after gate */
	SYNTAX_EXPR_AS,      /* as: operand as type */
	SYNTAX_EXPR_NAME,    /* name */
	SYNTAX_EXPR_LITERAL, /* literal: STRING … NULL, never LOWER, UPPER, LIST, OBJECT */
	SYNTAX_EXPR_BLOCK,   /* block */
	SYNTAX_EXPR_CALL,    /* call */
	SYNTAX_EXPR_LABEL,   /* label: Type.label or Type.label(payload) */
	SYNTAX_EXPR_SLEEP,   /* operand: sleep(operand) */
	SYNTAX_EXPR_SIGNAL,  /* signal */
	SYNTAX_EXPR_LIST,    /* list */
	SYNTAX_EXPR_UNIT,    /* () */
	SYNTAX_EXPR_PAIR,    /* parts; (a, b, c) is (a, (b, c)) */
	SYNTAX_EXPR_RECORD,  /* record: at least one field, no key twice */
};

/* An expression in parentheses is the expression itself. */
struct syntax_expr {
	enum syntax_expr_kind kind;
	struct span span;
	union {
		struct syntax_expr *operand;
		struct {
			struct syntax_expr *body;
			struct syntax_pattern *pattern; /* else pattern -> handler; NULL: no else */
			struct syntax_expr *handler;    /* NULL: no else */
		} attempt;
		struct {
			struct syntax_expr *subject;
			struct syntax_arm *arms; /* at least one */
			uint32_t arm_count;
		} choice;
		struct {
			struct syntax_expr *each; /* race each …: a SYNTAX_EXPR_EACH, and no arms; else NULL */
			struct syntax_race_arm *arms;
			uint32_t arm_count;
		} race;
		struct {
			struct syntax_pattern *pattern;
			struct syntax_expr *list;
			uint32_t limit;          /* 0: none given */
			struct span limit_span;  /* of the number */
			struct syntax_block *body;
		} each;
		struct {
			struct syntax_expr *operand;
			struct syntax_name key;
		} member;
		struct {
			struct syntax_expr *operand;
			struct syntax_settings *settings;
		} with;
		struct {
			struct syntax_expr *operand;
			struct syntax_expr *gate;
		} after;
		struct {
			struct syntax_expr *operand;
			struct syntax_type *type;
		} as;
		struct slice name;
		struct syntax_value *literal;
		struct syntax_block *block;
		struct {
			struct syntax_ref ref;
			struct syntax_arg *args;
			uint32_t arg_count;
		} call;
		struct {
			struct syntax_name type;
			struct syntax_name label;
			struct syntax_expr *payload; /* NULL: none */
		} label;
		struct {
			struct syntax_name name; /* plain */
			struct syntax_expr *key; /* NULL: none */
		} signal;
		struct {
			struct syntax_expr **items;
			uint32_t count;
		} list;
		struct syntax_expr *parts[2];
		struct {
			struct syntax_field *fields;
			uint32_t count;
		} record;
	};
};

struct syntax_param {
	struct span span;
	struct syntax_name name;
	struct syntax_type *type;
	struct syntax_value *default_value; /* NULL: none; once one has a default, all further ones have */
};

enum syntax_declaration_kind {
	SYNTAX_TYPE,     /* type name = type */
	SYNTAX_PROCESS,  /* process name(params) -> result [settings] */
	SYNTAX_VARIANT,  /* process name = base settings */
	SYNTAX_WORKFLOW, /* workflow name(params) -> result body */
	SYNTAX_JOB,      /* job name settings */
};

/* `broken`: an error was reported in it; then only kind, span and name (which may be empty) are there to be used. That
 * is so only after the parser has returned ERR_INVALID. */
struct syntax_declaration {
	enum syntax_declaration_kind kind;
	bool broken;
	struct span span; /* from its first to its last token, comments before and after it not included */
	struct syntax_name name;
	struct syntax_type *type;         /* TYPE */
	struct syntax_ref base;           /* VARIANT */
	struct syntax_param *params;      /* PROCESS, WORKFLOW */
	uint32_t param_count;
	struct syntax_type *result;       /* PROCESS, WORKFLOW */
	struct syntax_settings *settings; /* PROCESS (NULL: none), VARIANT, JOB */
	struct syntax_block *body;        /* WORKFLOW */
};

struct syntax_file {
	const struct source *source;
	struct syntax_declaration *declarations; /* in the order of the text */
	uint32_t declaration_count;
};

/* The tree of several sources together. */
struct syntax {
	struct arena arena;
	struct syntax_file *files; /* one for each source, in their order */
	size_t file_count;
};

void syntax_finish(struct syntax *syntax); /* leaves it empty and usable */

#endif
