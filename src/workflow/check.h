/* The checker: a syntax tree in, definitions and core expressions out, or errors. Its parts, by what they are about:
 *   check.c             declarations: names, parameters, signatures, bodies
 *   check_type.c        type expressions, aliases, when two types are the same
 *   check_constant.c    constants as JSON, defaults
 *   check_settings.h    settings of processes and jobs, in several files
 *   check_scope.c       variables and patterns
 *   check_expression.c  expressions
 *   check_value.c       values that are put together
 *   check_call.c        calls, sleep, signal, after
 *   check_choice.c      case, try, race
 *   check_graph.c       rules about workflows that call one another */
#ifndef CLUSTERD_WORKFLOW_CHECK_H
#define CLUSTERD_WORKFLOW_CHECK_H

#include "lang/ast.h"
#include "workflow/core.h"
#include "workflow/suggest.h"
#include "workflow/unit.h"

#define CHECK_PARAMS_MAX 256u
#define CHECK_TYPE_SIZE_MAX 16384u           /* bytes of a type written out */
#define CHECK_TYPE_DEPTH_MAX 128u            /* as deep as JSON may be */
#define CHECK_SIGNATURES_SIZE_MAX (8u << 20) /* bytes, of all of a unit together */
#define CHECK_DEFAULT_SIZE_MAX (64u << 10)   /* bytes of a default */
#define CHECK_SIGNALS_MAX 64u                /* of a workflow and those it calls */
#define CHECK_NODES_MAX 1000000u             /* core expressions of a unit */

/* A call, or the base of a variant. */
struct link {
	struct link *next;
	struct target target;
	bool guarded; /* passes an arm, an else, an each body or an after */
	struct span span;
};

enum declared_state { DECLARED_NEW, DECLARED_UNDER_WAY, DECLARED_DONE };

/* A process, workflow or job of the unit. */
struct declared {
	UT_hash_handle hh;
	const struct syntax_declaration *syntax;
	uint32_t index;
	enum declared_state state;     /* of its signature */
	bool broken;                   /* its signature is not known */
	uint32_t variant_depth;        /* how many variants it is away from a process that is none */
	struct definition *definition;
	struct variable **params;      /* workflows */
	struct core *body;
	struct link *links;            /* in the order of the source */
	struct link **last_link;
	struct checked_signal *signals; /* in the order in which they are found */
	struct checked_signal **last_signal;
	uint32_t signal_count;
	uint64_t types_hash;           /* of the structure of all types it names */
	/* The registry's: */
	uint64_t own_hash;
	const struct definition *resolved; /* the definition, or the same one registered before */
};

struct checked_signal {
	struct checked_signal *next;
	struct slice name;
	const struct type *type;
	struct span span;
};

struct alias;
struct type_info;
struct type_class;

struct checker {
	struct unit *unit;
	const struct registry *registry;
	const struct attachment *attachments;
	size_t attachment_count;
	struct diagnostics *diagnostics;
	struct arena arena; /* what compiling needs and nobody after it */
	struct declared *declared;
	uint32_t declared_count;
	struct declared *by_name;
	struct alias *aliases;
	struct alias *resolving; /* the innermost one */
	uint32_t type_depth;
	uint32_t variant_depth;
	struct type_info *infos;
	struct type_class *classes;
	uint32_t class_count;
	size_t signatures_size;
	uint32_t suggestion_count;
	uint32_t node_count;
	/* Of the workflow that is being checked: */
	struct declared *current;
	struct variable *visible;
	struct variable **scope; /* the visible ones in order */
	size_t scope_count;
	size_t scope_capacity;
	struct variable **unused;
	size_t unused_count;
	size_t unused_capacity;
	uint32_t guards; /* how many arms, bodies, … are around */
};

/* Checks all; what is wrong is in the diagnostics. `syntax` may have broken declarations. */
void checker_init(struct checker *checker, struct unit *unit, const struct registry *registry,
                  struct diagnostics *diagnostics);
void checker_run(struct checker *checker, const struct syntax *syntax);
void checker_finish(struct checker *checker);

/* What a name stands for: NULL definition when there is nothing of that name, which is reported at the ref. */
struct target check_ref(struct checker *checker, const struct syntax_ref *ref);
void check_link(struct checker *checker, struct declared *from, struct target target, struct span span);
/* One definition's signature; a variant asks for that of its base. */
void check_signature(struct checker *checker, struct declared *declared);
/* "did you mean": as long as not too many were made, since each looks at all names. */
bool check_may_suggest(struct checker *checker);
/* The error for what the language has and this program does not. */
void check_refuse(struct checker *checker, struct span span, const char *what);
/* The first `size` bytes of a span. */
struct span check_head(struct span span, uint32_t size);

/* check_type.c */
extern const struct type check_type_unit, check_type_json, check_type_text, check_type_number, check_type_bool,
	check_type_duration, check_type_failure;
void check_declare_alias(struct checker *checker, const struct syntax_declaration *declaration);
void check_aliases(struct checker *checker);
/* NULL: wrong, and reported. Adds its structure to ->current's types. */
const struct type *check_type(struct checker *checker, const struct syntax_type *syntax);
/* A type by its name: false when nothing declares it. *ret_type NULL: declared, but broken. */
bool check_type_named(struct checker *checker, struct slice name, const struct type **ret_type);
bool check_same(struct checker *checker, const struct type *left, const struct type *right);
const struct type *check_pair_type(struct checker *checker, const struct type *left, const struct type *right);
const struct type *check_sum_type(struct checker *checker, const struct type *left, const struct type *right);
const struct type *check_list_type(struct checker *checker, const struct type *item);
/* A type as a message shows it; long ones are cut. In the checker's arena. */
const char *check_show(struct checker *checker, const struct type *type);
size_t check_type_size(struct checker *checker, const struct type *type);
/* Reports a type that is too large or too deep. True: it is fine. */
bool check_type_fits(struct checker *checker, const struct type *type, struct span span);
void check_suggest_type(struct checker *checker, struct slice name, struct suggestion *suggestion);
void check_types_finish(struct checker *checker);

/* check_constant.c */
/* A constant as JSON text. */
void check_render_value(const struct syntax_value *value, struct buffer *out);
/* A default as it is kept; false: it is not of the type, and that is reported. */
bool check_default(struct checker *checker, const struct syntax_value *value, const struct type *type,
                   struct slice name, struct slice *ret_json);

/* Parameters; `span` is where to say that there are too many. False: something is wrong with them, and reported. ->params stays
 * NULL when there are too many. */
bool check_params(struct checker *checker, struct span span, const struct syntax_param *params, uint32_t count,
                  struct definition *definition);

/* check_process.c */
/* `settings` may be NULL. What is there already (a variant's base) stays unless it is set. */
void check_settings(struct checker *checker, struct declared *declared, const struct syntax_settings *settings);
void check_settings_default(struct process_settings *settings);
/* Names only: of `with`. */
void check_with(struct checker *checker, const struct syntax_settings *settings);

/* check_command.c */
/* What is wrong with a path of `files`; NULL: nothing. */
const char *check_path_fault(struct slice path);

/* check_job.c */
/* The settings of a job, parameters among them. False: what others need of it, type and parameters, is not known. */
bool check_job(struct checker *checker, struct declared *declared);

/* check_scope.c */
struct variable *check_bind(struct checker *checker, struct slice name, struct span span, const struct type *type);
/* Binds the names of a pattern for a value of `type` (NULL: not known). NULL after an error. */
struct core_pattern *check_pattern(struct checker *checker, const struct syntax_pattern *pattern,
                                   const struct type *type);
size_t check_scope_enter(const struct checker *checker);
void check_scope_leave(struct checker *checker, size_t mark);
struct variable *check_variable(struct checker *checker, struct slice name);
/* Warnings about names that nothing used; not given for a workflow that has errors. */
void check_unused(struct checker *checker, bool give);

/* What type an expression must have, and who says so. */
struct expected {
	const struct type *type; /* NULL: none, or not known */
	bool unknown;            /* there is one, but it is not known after an error */
	const char *why;         /* "parameter `a` of `Work`"; NULL: nothing to say */
	struct span span;        /* where; or SPAN_NOWHERE */
};

#define EXPECTED_NONE (&(const struct expected){NULL, false, NULL, {NULL, 0, 0}})
#define EXPECTED_UNKNOWN (&(const struct expected){NULL, true, NULL, {NULL, 0, 0}})

/* check_expression.c */
/* NULL: wrong, and reported. The result has the type that is expected, or the one it has by itself. */
struct core *check_expression(struct checker *checker, const struct syntax_expr *expr,
                              const struct expected *expected);
struct core *check_block(struct checker *checker, const struct syntax_block *block, const struct expected *expected);
/* Whether an expression has a type by itself, without one that is expected. */
bool check_synthesizes(struct checker *checker, const struct syntax_expr *expr);
struct core *check_new(struct checker *checker, enum core_kind kind, const struct type *type, struct span span);
struct core *check_constant(struct checker *checker, const struct type *type, struct slice json, struct span span);
/* The same core, or NULL and an error when its type is not the expected one. */
struct core *check_conform(struct checker *checker, struct core *core, const struct expected *expected);
/* "expected A, found …"; `found` NULL: what has the type `type`. */
void check_mismatch(struct checker *checker, struct span span, const struct expected *expected,
                    const struct type *type, const char *found);
/* "`left` takes the type that is expected of it": NULL. */
struct core *check_needs_type(struct checker *checker, const struct syntax_expr *expr,
                              const struct expected *expected, const char *what);
const char *check_format(struct checker *checker, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Open types and Json: any constant will do. */
bool check_takes_anything(const struct type *type);

/* check_value.c */
struct core *check_list(struct checker *checker, const struct syntax_expr *expr, const struct expected *expected);
struct core *check_pair(struct checker *checker, const struct syntax_expr *expr, const struct expected *expected);
struct core *check_record(struct checker *checker, const struct syntax_expr *expr, const struct expected *expected);
struct core *check_side(struct checker *checker, const struct syntax_expr *expr, const struct expected *expected);
struct core *check_label(struct checker *checker, const struct syntax_expr *expr, const struct expected *expected);
/* What an element of a list, a part of a pair, … is expected to be: Json inside Json. */
struct expected check_part(const struct expected *whole, const struct type *type);
const struct type_member *check_find_member(const struct type *type, struct slice name);
/* Reports a member or label that the type does not have. */
void check_unknown_member(struct checker *checker, const struct type *type, const struct syntax_name *name);

/* check_call.c */
struct core *check_call(struct checker *checker, const struct syntax_expr *expr, const struct expected *expected);
struct core *check_sleep(struct checker *checker, const struct syntax_expr *expr, const struct expected *expected);
struct core *check_signal(struct checker *checker, const struct syntax_expr *expr, const struct expected *expected);
struct core *check_after(struct checker *checker, const struct syntax_expr *expr, const struct expected *expected);
struct checked_signal *check_signal_find(const struct declared *declared, struct slice name);
struct checked_signal *check_signal_add(struct checker *checker, struct declared *declared, struct slice name,
                                        const struct type *type, struct span span);

/* check_choice.c */
struct core *check_case(struct checker *checker, const struct syntax_expr *expr, const struct expected *expected);
struct core *check_try(struct checker *checker, const struct syntax_expr *expr, const struct expected *expected);
struct core *check_race(struct checker *checker, const struct syntax_expr *expr, const struct expected *expected);

/* check_graph.c */
/* Refuses cycles of calls that nothing guards. */
void check_recursion(struct checker *checker);
/* Gives each workflow the signals of those that it calls; one type for each name. */
void check_signals(struct checker *checker);

#endif
