/* Expressions after checking: names are resolved, missing arguments and members filled in, types known. What compile.c
 * lowers to terms. Everything lives in the arena of the checker. */
#ifndef CLUSTERD_WORKFLOW_CORE_H
#define CLUSTERD_WORKFLOW_CORE_H

#include "lang/diagnostic.h"
#include "workflow/definition.h"

#include <uthash.h>

struct block_draft;

/* A name that was bound: a parameter, or by a pattern. */
struct variable {
	UT_hash_handle hh; /* among the visible ones */
	struct slice name;
	struct span span;
	const struct type *type; /* NULL: not known after an error */
	bool used;
	bool param;
	/* The compiler's: */
	struct block_draft *block; /* that the channel is written in */
	uint32_t channel;
	uint32_t *uses; /* channels on which it is read */
	size_t use_count;
	size_t use_capacity;
	size_t slot; /* of its copy or discard among the terms of the block */
};

struct core_pattern {
	struct variable *variable;      /* a name */
	struct core_pattern *parts[2];  /* a pair; no variable and no parts: _ */
};

enum core_kind {
	CORE_VARIABLE,
	CORE_CONSTANT,
	CORE_PAIR,
	CORE_RECORD,
	CORE_LIST,
	CORE_SELECT,
	CORE_MEMBER,
	CORE_CASE,
	CORE_AFTER,
	CORE_CALL,
	CORE_EACH,
	CORE_SLEEP,
	CORE_SIGNAL,
	CORE_BLOCK,
	CORE_REFUSED, /* has a type, but cannot be compiled: an error was reported */
};

struct core;

struct core_field {
	struct slice name;
	struct core *value;
};

struct core_arm {
	struct slice label;
	bool any;
	bool has_payload;
	struct core_pattern *pattern; /* NULL: the payload is not wanted */
	struct core *body;
};

struct core_binding {
	struct core_pattern *pattern;
	struct core *value;
};

/* What a call, or a variant, is bound to. */
struct declared;
struct target {
	struct declared *declared;           /* of the unit; else NULL */
	const struct definition *definition; /* of the unit or registered before; NULL: there is none */
};

struct core {
	enum core_kind kind;
	bool constant; /* nothing but constants in it */
	const struct type *type;
	struct span span;
	union {
		struct variable *variable;
		struct slice json; /* CONSTANT */
		struct core *parts[2]; /* PAIR */
		struct {
			struct core_field *fields;
			uint32_t count;
		} record;
		struct {
			struct core **items;
			uint32_t count;
		} list;
		struct {
			struct slice label;
			struct core *payload; /* NULL: none */
		} select;
		struct {
			struct core *operand;
			struct slice key;
		} member;
		struct {
			struct core *subject;
			struct core_arm *arms;
			uint32_t count;
		} choice;
		struct {
			struct core *operand;
			struct core *gate;
		} after;
		struct {
			struct target target;
			struct core **args; /* one for each parameter */
			uint32_t count;
		} call;
		struct {
			struct core_pattern *pattern;
			struct core *list;
			struct core *body;
			uint32_t limit;
		} each;
		struct core *operand; /* SLEEP */
		struct {
			struct slice name;
			struct core *key; /* NULL: none */
		} signal;
		struct {
			struct core_binding *bindings;
			uint32_t count;
			struct core *result;
		} block;
	};
};

#endif
