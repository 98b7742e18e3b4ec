/* A PiInstance: the state of one running workflow, reduced step by step.
 *
 * The same program, arguments and sequence of steps give the same state, the same calls and the same references, always.
 * A step is: post some results, then reduce fully. So an instance is rebuilt by making the same steps again
 * (the catalog keeps each result with the number of its step), and no other form of it is stored.
 *
 * Reduction: a channel on which a term waits for what another sends communicates; when no channel can communicate, calls
 * whose arguments are ground are opened, in the order in which their terms were released, and get the next references
 * (1, 2, …). Values are shared by reference count and never copied byte by byte until a call's arguments are made. */
#ifndef CLUSTERD_WORKFLOW_INSTANCE_H
#define CLUSTERD_WORKFLOW_INSTANCE_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"
#include "base/time.h"
#include "workflow/definition.h"

struct instance;

enum instance_call_kind { INSTANCE_CALL_PROCESS, INSTANCE_CALL_SLEEP, INSTANCE_CALL_SIGNAL };

/* A call that a step opened. Valid until the next function of the instance is called; `args` is held by it. */
struct instance_call {
	enum instance_call_kind kind;
	uint32_t ref;                     /* 1, 2, … */
	const struct definition *process; /* INSTANCE_CALL_PROCESS */
	struct text *args;                /* PROCESS: an object keyed by parameter. SLEEP: milliseconds. SIGNAL: the key, or
	                                     the JSON text null */
	struct slice signal;              /* SIGNAL: its name */
};

enum instance_state {
	INSTANCE_RUNNING,   /* calls are open */
	INSTANCE_COMPLETED, /* the result is ground and no call is open */
	INSTANCE_STUCK,     /* no call is open, and no result: a bug in a definition; see instance_blocked */
	INSTANCE_RUNAWAY,   /* the bound on reductions of one step was passed */
	INSTANCE_OVERFLOW,  /* a value, or all of them together, grew past its limit */
};

/* 0 stands for the default. Part of what makes steps the same: an instance is rebuilt under the limits it was made with. */
struct instance_limits {
	uint32_t reductions;  /* of one step; default 100,000. Taking JSON apart counts one more for each KiB scanned */
	uint32_t each_window; /* elements that one `each` has at work at most; default 256 */
	uint32_t value_size;  /* bytes of one value (arguments, result); default 1 MiB */
	size_t state_size;    /* bytes of all that the instance holds, and of all arguments of one step; default 64 MiB */
};

struct instance_step {
	enum instance_state state;
	const struct instance_call *calls; /* opened by this step, in the order of their references */
	uint32_t call_count;
	uint32_t reductions;               /* done in this step */
};

/* Makes the instance and its first step: parameters are sent, then full reduction. `args` is the object that
 * definition_accept_args made (held). The definition must outlive the instance. */
int instance_create(const struct definition *workflow, struct text *args, const struct instance_limits *limits,
                    struct instance **ret_instance, struct instance_step *ret_step);
void instance_destroy(struct instance *instance);

/* Puts a result on the output channel of a call (held). 0; ERR_NOT_FOUND when the reference is not open: ignored, which is
 * what makes duplicates harmless. Takes effect with the next instance_reduce. In a RUNAWAY or an OVERFLOW calls still close,
 * but nothing more comes of it. */
int instance_post(struct instance *instance, uint32_t ref, struct text *result);
/* The next step. */
void instance_reduce(struct instance *instance, struct instance_step *ret_step);

bool instance_call_open(const struct instance *instance, uint32_t ref);
uint32_t instance_open_count(const struct instance *instance);
/* The result as JSON; one reference, the caller's. Only when COMPLETED. */
struct text *instance_result(struct instance *instance);
/* What cannot go on, for a person: one line for each channel that waits, with the term that waits there. */
void instance_blocked(const struct instance *instance, struct buffer *out);
/* The state, for a person and for tests: pending inputs, outputs, waiting calls, open calls, in a fixed order. The same
 * state prints the same. */
void instance_print(const struct instance *instance, struct buffer *out);
/* Bytes it holds, values that it shares included. */
size_t instance_size(const struct instance *instance);

#endif
