/* Types of the language, and JSON values checked against them (LANGUAGE: "Types and JSON"). Types are immutable, live
 * in the arena of the unit that made them, and have aliases already expanded. */
#ifndef CLUSTERD_WORKFLOW_TYPE_H
#define CLUSTERD_WORKFLOW_TYPE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum type_kind {
	TYPE_OPEN,     /* a name without declaration: equal to itself only; any JSON */
	TYPE_JSON,
	TYPE_UNIT,
	TYPE_TEXT,
	TYPE_NUMBER,
	TYPE_BOOL,
	TYPE_DURATION, /* milliseconds */
	TYPE_PAIR,     /* parts[0] * parts[1] */
	TYPE_SUM,      /* parts[0] + parts[1] */
	TYPE_LIST,     /* parts[0] */
	TYPE_RECORD,   /* members */
	TYPE_CHOICE,   /* members: the labels; type NULL: without payload */
};

struct type_member {
	struct slice name;          /* plain UTF-8, unescaped */
	const struct type *type;
	bool has_default;
	struct slice default_json;  /* JSON text, valid for the type */
};

struct type {
	enum type_kind kind;
	struct slice name;          /* TYPE_OPEN */
	const struct type *parts[2];
	struct type_member *members;
	uint32_t member_count;
};

/* By structure; order of members and labels does not matter, nor do defaults. */
bool type_equal(const struct type *left, const struct type *right);

#define TYPE_PRINT_SIZE (1u << 20)

/* As the language writes it: "A * [Text] + {a: X}". A text past TYPE_PRINT_SIZE bytes is cut and ends with "…": parts
 * that are shared by reference are written each time. */
void type_print(const struct type *type, struct buffer *out);

enum type_strictness {
	TYPE_ARGUMENT, /* arguments, signals, constants: an unknown member is refused */
	TYPE_OUTPUT,   /* a call's output: an unknown member is dropped */
};

#define TYPE_FILL_SIZE (1u << 20) /* bytes that defaults add to one value at most */

/* Checks one JSON text (json_check included) and appends the value as the system carries it: white space around it
 * gone, defaults filled in, unknown members dropped (TYPE_OUTPUT), leaves byte for byte as they were. When nothing is
 * to be changed inside the text is appended as it is. 0; ERR_INVALID (not JSON), ERR_LIMIT (depth, TYPE_FILL_SIZE),
 * ERR_TYPE: the text then says which JSON pointer (nothing for the value itself) holds what instead of which type:
 * "at /lines/3: a string where Number is due". On failure `out` is as before. Accepting again what was accepted
 * gives it unchanged. */
int type_accept(const struct type *type, struct slice json, enum type_strictness strictness, struct buffer *out,
                struct error *error);

#endif
