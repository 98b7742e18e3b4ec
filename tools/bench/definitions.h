/* The processes and workflows that are measured. */
#ifndef BENCH_DEFINITIONS_H
#define BENCH_DEFINITIONS_H

#include "node.h"

#include <stdint.h>

enum worker_kind {
	WORKER_NATIVE, /* connected, in a process of this program */
	WORKER_POOL,   /* a script in Node.js, whose processes the node starts itself */
};

/* A workflow to be measured. */
struct shape {
	const char *name;     /* in scenarios */
	const char *workflow; /* in the source */
	uint32_t steps;
	struct slice args;
};

enum { SHAPE_COUNT = 4 };
extern const struct shape shapes[SHAPE_COUNT];
const struct shape *shape_find(const char *name); /* must be there */

/* Registers all of it. */
int definitions_register(struct node *node, enum worker_kind kind, struct error *error);

#endif
