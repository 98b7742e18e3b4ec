/* Values of the direct evaluation: JSON as a tree that never changes once it is made, in an arena. Each node knows when
 * it is there: from which step of an instance on, as an interval, because a call that is made several times with the
 * same arguments cannot be told from its likes. */
#ifndef CLUSTERD_TESTS_PROPERTY_PLAIN_H
#define CLUSTERD_TESTS_PROPERTY_PLAIN_H

#include "base/arena.h"
#include "base/buffer.h"

#include <stdint.h>

#define STEP_NEVER UINT32_MAX

struct when {
	uint32_t earliest;
	uint32_t latest;
};

enum plain_kind { PLAIN_LEAF, PLAIN_ARRAY, PLAIN_OBJECT };

struct plain {
	enum plain_kind kind;
	struct when when;   /* the outermost constructor; a part may come later, or lie there earlier */
	struct slice text;  /* LEAF: JSON, not an array or object */
	struct slice *keys; /* OBJECT: without quotes and escapes */
	struct plain **items;
	uint32_t count;
};

struct when when_later(struct when left, struct when right);

struct plain *plain_leaf(struct arena *arena, struct slice text, struct when when);
/* With room for `count` items (and keys), to be filled in. */
struct plain *plain_array(struct arena *arena, uint32_t count, struct when when);
struct plain *plain_object(struct arena *arena, uint32_t count, struct when when);
struct plain *plain_quoted(struct arena *arena, struct slice characters, struct when when); /* a string */
struct plain *plain_labelled(struct arena *arena, struct slice label, struct plain *payload, struct when when);
/* Text that json_check accepts; copied. */
struct plain *plain_parse(struct arena *arena, struct slice json, struct when when);
/* The same value, not there before `when`. */
struct plain *plain_raise(struct arena *arena, struct plain *value, struct when when);
/* When all of it is there. */
struct when plain_ground(const struct plain *value);
uint32_t plain_depth(const struct plain *value);
struct plain *plain_member(const struct plain *object, struct slice key); /* NULL: there is none */

/* JSON without white space, leaves as they are. */
void plain_print(const struct plain *value, struct buffer *out);
/* A text that is the same for values that are the same to a reader of JSON: keys sorted, strings quoted in one way. */
void plain_canonical(const struct plain *value, struct buffer *out);

#endif
