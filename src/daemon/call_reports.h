/* What the leader and the runner of a node say to one another about calls. On the leader's own node these structs go from hand
 * to hand; to others they travel as frames (call_frames.c). All pointers are borrowed. */
#ifndef CLUSTERD_DAEMON_CALL_REPORTS_H
#define CLUSTERD_DAEMON_CALL_REPORTS_H

#include "base/text.h"
#include "coordinator/dispatch.h"

/* Leader to runner: run this. */
struct call_order {
	struct call_id call;
	uint64_t term;
	uint64_t place;          /* 0: the executor, else of a connected worker */
	struct slice process;
	uint32_t version;
	uint64_t timeout_ms;
	uint64_t heartbeat_ms;
	const struct definition *definition; /* NULL: to be found by name and version */
	struct text *args;
};

/* Runner to leader: what became of it. */
struct call_result {
	struct call_id call;
	bool failed;
	bool final;              /* failed: another attempt is of no use */
	bool refused;            /* it was not begun: it is to go elsewhere */
	struct text *value;      /* failed: the message, in whatever bytes. NULL: refused */
	struct text *metadata;   /* NULL: none */
};

/* A connected worker of a node. */
struct place_report {
	uint64_t place;          /* its number: not given twice in the life of a node */
	bool gone;
	uint32_t credit;
	const struct offer *offers;
	size_t offer_count;
};

/* A call that a node has: it runs, or its result was not taken so far. */
struct run_report {
	struct call_id call;
	uint64_t place;
};

/* Runner to leader: what the node can run, and what it runs. In answer to a survey all of it, else what has changed. */
struct node_report {
	uint64_t term;           /* of the last survey */
	uint64_t survey;         /* its number */
	bool answer;             /* a part of the answer to it … */
	bool more;               /* … and others follow */
	bool lost;               /* what was told before may be lost: ask again */
	struct slice name;
	struct slice tags;       /* a JSON object */
	uint32_t exec_slots;
	uint32_t pool_calls;
	const struct place_report *places;
	size_t place_count;
	const struct run_report *runs; /* not an answer: those that came with a worker */
	size_t run_count;
};

/* Zero where it has no field, for it is hashed as bytes. */
static inline struct call_id call_key(struct call_id call)
{
	struct call_id key;
	memset(&key, 0, sizeof key);
	key.instance = call.instance;
	key.ref = call.ref;
	key.attempt = call.attempt;
	return key;
}

#endif
