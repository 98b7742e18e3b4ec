/* Parts of the generator:
 *   generate.c             a program: declarations and their order, signatures, bodies, loops
 *   generate_shape.c       types
 *   generate_constant.c    constants, names, keys
 *   generate_expression.c  expressions of a type
 *   generate_value.c       values that are put together: literals, pairs, records, lists, sides and labels
 *   generate_scope.c       patterns, blocks, what is visible
 *
 * A type is called shape here, so as not to be taken for the type of a checker that is under test. */
#ifndef CLUSTERD_TESTS_PROPERTY_GENERATOR_H
#define CLUSTERD_TESTS_PROPERTY_GENERATOR_H

#include "base/arena.h"
#include "generate.h"

#define SHAPES_MAX 24u
#define CALLABLES_MAX 64u
#define VARIABLES_MAX 96u
#define PARAMS_MAX 5u
#define SIGNALS_MAX 3u
#define DECLARATIONS_MAX 96u

enum shape_kind {
	SHAPE_OPEN,
	SHAPE_JSON,
	SHAPE_UNIT,
	SHAPE_TEXT,
	SHAPE_NUMBER,
	SHAPE_BOOL,
	SHAPE_DURATION,
	SHAPE_PAIR,
	SHAPE_SUM,
	SHAPE_LIST,
	SHAPE_RECORD,
	SHAPE_CHOICE,
};

struct shape;

struct shape_member {
	const char *key;           /* plain */
	const struct shape *shape; /* NULL: a label without payload */
	const char *default_text;  /* as the source writes it; NULL: none */
};

struct shape {
	enum shape_kind kind;
	const char *name; /* of the declaration, or of an open type; NULL: written out */
	const struct shape *parts[2];
	struct shape_member *members;
	uint32_t member_count;
};

struct param_shape {
	const char *name;
	const struct shape *shape;
	const char *default_text;
};

struct callable {
	const char *name;
	struct param_shape params[PARAMS_MAX];
	uint32_t param_count;
	const struct shape *result;
	bool workflow;
	bool loop;   /* of the group whose bodies are being made: to be called with the number that is left only */
	bool hidden; /* its result is not to be had otherwise */
};

struct variable_shape {
	const char *name;
	const struct shape *shape;
	bool used;
};

enum chunk { CHUNK_TYPES, CHUNK_PROCESSES, CHUNK_WORKFLOWS, CHUNK_COUNT };

struct declaration_text {
	enum chunk chunk;
	struct slice text;
};

struct generator {
	struct choices *choices;
	struct arena arena;
	struct buffer out; /* the declaration that is being written */
	const struct shape *shapes[SHAPES_MAX];
	uint32_t shape_count;
	struct callable callables[CALLABLES_MAX];
	uint32_t callable_count;
	struct variable_shape variables[VARIABLES_MAX]; /* the visible ones */
	uint32_t variable_count;
	const struct shape *signals[SIGNALS_MAX];
	uint32_t signal_count;
	struct declaration_text declarations[DECLARATIONS_MAX];
	uint32_t declaration_count;
	uint32_t name_count;
	uint32_t budget;     /* expressions that the body may still have */
	const char *fuel;    /* the number that a loop goes on with; NULL: not here */
	uint32_t loop_calls; /* that the body may still have */
	bool versions;
};

/* What is wanted of an expression. */
enum mode {
	SYNTH,  /* it has the type by itself: nothing around it says one */
	CHECK,  /* the type is said by something that stands in the source */
	GUIDED, /* the type is said by another expression: like CHECK, but records are whole */
};

enum level { LEVEL_ANY, LEVEL_POSTFIX, LEVEL_PRIMARY };

struct want {
	enum mode mode;
	enum level level;
	uint32_t depth; /* levels that it may have below it */
};

/* generate.c */
void put(struct generator *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
void put_gap(struct generator *g); /* white space, maybe a comment */
const char *fresh_name(struct generator *g, const char *prefix);
/* An atomic process with that result, new or there already; NULL: there are too many. */
const struct callable *some_process(struct generator *g, const struct shape *result);

/* generate_shape.c */
const struct shape *shape_basic(enum shape_kind kind);
const struct shape *shape_random(struct generator *g, uint32_t depth);
const struct shape *shape_compound(struct generator *g, enum shape_kind kind, const struct shape *first,
                                   const struct shape *second);
bool shape_same(const struct shape *left, const struct shape *right);
void shape_print(const struct shape *shape, struct buffer *out);
void shape_declare(struct generator *g);
/* Declares `type NAME = …`. */
const struct shape *shape_name(struct generator *g, const char *name, const struct shape *shape);
struct shape *shape_members(struct generator *g, enum shape_kind kind, uint32_t count);

/* generate_constant.c */
void constant(struct generator *g, const struct shape *shape, uint32_t depth, struct buffer *out);
const char *constant_text(struct generator *g, const struct shape *shape);
/* As expression, of nothing but constants. */
void constant_expression(struct generator *g, uint32_t depth);
void literal(struct generator *g, enum shape_kind kind, struct buffer *out);
void put_key(struct generator *g, const char *key, struct buffer *out);
const char *random_key(struct generator *g, uint32_t index);
const char *random_label(struct generator *g, uint32_t index);
const char *random_variable_name(struct generator *g);

/* generate_scope.c */
const struct variable_shape *find_variable(struct generator *g, const struct shape *shape); /* one of that type */
const struct variable_shape *find_kind(struct generator *g, enum shape_kind kind);
void push_variable(struct generator *g, const char *name, const struct shape *shape);
/* Writes a pattern; its names become visible with bind_pending. */
struct pending {
	struct variable_shape variables[8];
	uint32_t count;
};
void pattern(struct generator *g, const struct shape *shape, struct pending *pending);
void bind_pending(struct generator *g, const struct pending *pending);
void bindings(struct generator *g, uint32_t most, uint32_t depth);
void block(struct generator *g, const struct shape *shape, struct want want);

/* generate_expression.c */
void expression(struct generator *g, const struct shape *shape, struct want want);
void call_arguments(struct generator *g, const struct callable *callee, uint32_t depth);

/* generate_value.c */
enum level value_level(const struct shape *shape, struct want want);
void value(struct generator *g, const struct shape *shape, struct want want);

#endif
