/* Commands: what the log holds and the state machine applies. Slices are borrowed. */
#ifndef CLUSTERD_COORDINATOR_COMMAND_H
#define CLUSTERD_COORDINATOR_COMMAND_H

#include "base/slice.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

/* The version of the state machine that this program is. */
#define MACHINE_VERSION 1

enum command_kind {
	COMMAND_NOOP,          /* the first entry of a term */
	COMMAND_OPEN_SESSION,
	COMMAND_CLOSE_SESSION, /* closed by the client, or expired */
	COMMAND_REGISTER,
	COMMAND_START,
	COMMAND_RESULTS,       /* PEW's ReduceRequest: the results that waited for one instance */
	COMMAND_ASSIGNED,      /* calls that were handed to a node */
	COMMAND_TIMERS,
	COMMAND_CANCEL,
	COMMAND_RETRY,
	COMMAND_SIGNAL,
	COMMAND_SET_SETTING,
	COMMAND_EXPIRE,
	COMMAND_NODE,
	COMMAND_CONFIGURATION, /* who is in the group: Raft's, and written down by the state machine */
	COMMAND_PUT,
	COMMAND_DELETE_KEY,
	COMMAND_TRANSACT,
	COMMAND_GRANT_LEASE,
	COMMAND_END_LEASES,    /* revoked, expired, or more of the keys of those that end */
	COMMAND_RUN_JOBS,      /* as COMMAND_REGISTER, and the jobs among the definitions are to run */
	COMMAND_DISPATCH_JOB,  /* one run of a batch job, with arguments */
	COMMAND_STOP_JOB,
	COMMAND_SCALE_JOB,
	COMMAND_PLACE,         /* tasks that the leader's scheduler has found a node for */
	COMMAND_ALLOCATIONS,   /* what nodes have said of theirs */
	COMMAND_STOP_ALLOCATIONS, /* they are to end, and their tasks to be placed again */
	COMMAND_ELIGIBLE,      /* whether a node gets tasks */
	COMMAND_DRAIN,         /* a node is to be emptied, is empty, or is used again */
	COMMAND_JOB_DUE,       /* the time of a periodic job has come, or is known now */
	COMMAND_PUBLISH,
	COMMAND_UNPUBLISH,
	COMMAND_SUBSCRIBE,
	COMMAND_UNSUBSCRIBE,
	COMMAND_SWEEP,         /* more of what has lost its session or its topic */
};

#define COMMAND_MEMBERS_MAX 32 /* of a group */

/* Of the replicated group; a learner has no vote. */
struct command_member {
	uint64_t id;
	bool voter;
};

#define KEY_SIZE_MAX 1024        /* bytes of a key, which is UTF-8 without NUL and not empty */
#define TRANSACTION_PARTS_MAX 128 /* comparisons; and writes of each branch */
#define LEASES_ENDED_MAX 1000    /* in one command */
#define LEASE_TTL_MIN 500        /* ms */
#define LEASE_TTL_MAX (24 * 3600 * 1000)
#define LEASE_OWNER_MAX 256      /* bytes */
#define PLACEMENTS_MAX 256       /* in one command; changes of allocations too */
#define ALLOCATION_PORTS_MAX 16  /* of one */
#define ALLOCATION_TEXT_MAX 1024 /* bytes of why it ended */
#define SESSION_PROOF_SIZE 64    /* what is kept of a session's secret: bytes, hex digits */
#define SESSION_TTL_MIN 1000     /* ms */
#define SESSION_TTL_MAX (24 * 3600 * 1000)
#define TOPIC_NAME_MAX 200       /* bytes */
#define TOPIC_SCHEMA_MAX 4096    /* bytes */
#define TOPIC_ADDRESS_MAX 300    /* bytes */
#define TOPIC_PARTS_MAX 1024     /* of a topic; and publications of a keeper */

/* Why a call failed (LANGUAGE: Cause). */
enum failure_cause { CAUSE_ERROR, CAUSE_TIMEOUT, CAUSE_TYPE, CAUSE_LIMIT, CAUSE_RAISED, CAUSE_END };

struct command_file {
	struct slice path;
	struct slice text;
};

struct command_attachment {
	struct slice path;
	struct slice hash;
	bool executable;
	struct slice content;
};

struct command_returned {
	uint32_t ref;
	uint64_t attempt;      /* that ran; or that was not started in time, and would have run */
	bool failed;
	bool final;
	enum failure_cause cause;
	struct slice value;    /* JSON; failed: the message */
	struct slice metadata; /* a JSON object, or empty */
};

struct command_assignment {
	uint64_t instance;
	uint32_t ref;
	uint64_t attempt;
};

/* What a key must be like. */
struct command_condition {
	bool given;
	uint64_t version; /* 0: it must not be there */
};

struct command_comparison {
	struct slice key;
	uint64_t version; /* 0: it is not there */
};

struct command_write {
	struct slice key;
	bool remove;
	struct slice value;
	uint64_t lease; /* 0: none */
};

enum drain_state { DRAIN_NONE, DRAIN_UNDER_WAY, DRAIN_DONE, DRAIN_END };
#define DRAIN_WITHIN_MAX (30ll * 24 * 3600 * 1000) /* ms */

struct command_placement {
	uint64_t job;
	uint32_t task;
	uint64_t node;
	const uint32_t *ports; /* one for each that the job declares */
	size_t port_count;
};

enum command_allocation_event {
	ALLOCATION_EVENT_STARTED,
	ALLOCATION_EVENT_CHECKED,    /* `healthy` */
	ALLOCATION_EVENT_REGISTERED, /* of a group: it has said that it is there */
	ALLOCATION_EVENT_ENDED,
	ALLOCATION_EVENT_LOST,       /* its node was declared dead, or does not know it */
	ALLOCATION_EVENT_END,
};

enum command_output { OUTPUT_NONE, OUTPUT_VALUE, OUTPUT_FAULT, OUTPUT_END };

struct command_allocation {
	uint64_t id;
	enum command_allocation_event event;
	bool healthy;
	int exit_code;     /* −1: it did not exit by itself */
	int exit_signal;   /* 0: none */
	struct slice text; /* why it ended, for people; may be empty */
	enum command_output output; /* ENDED, with exit code 0, of a job that a call began: what the call returns */
	enum failure_cause cause;   /* OUTPUT_FAULT */
	struct slice value;         /* JSON of the process's type; OUTPUT_FAULT: a message */
};

/* How the data of a topic is spoken. */
enum topic_kind { TOPIC_ANY, TOPIC_STREAM, TOPIC_COLLECTION, TOPIC_SERVICE, TOPIC_KEEPER, TOPIC_KIND_END };

struct command {
	enum command_kind kind;
	uint32_t machine_version;
	uint64_t stamp;          /* hybrid logical clock: ms << 16 | counter; strictly increasing over the log */
	uint64_t session;        /* 0: the node itself */
	uint64_t sequence;
	uint64_t answered_below;
	union {
		struct {
			msec ttl;           /* 0: it lives as long as a connection it is used on, and for the setting session_ttl */
			struct slice proof; /* SESSION_PROOF_SIZE; empty: it has no secret, and owns nothing */
		} open_session;
		struct {
			const uint64_t *sessions;
			size_t count;
		} close_session;
		struct {
			const struct command_file *files;
			size_t file_count;
			const struct command_attachment *attachments;
			size_t attachment_count;
		} registering;
		struct {
			struct slice process;
			uint32_t version;
			struct slice key; /* empty: none */
			struct slice args;
		} start;
		struct {
			uint64_t instance;
			const struct command_returned *returned;
			size_t count;
		} results;
		struct {
			struct slice node;
			const struct command_assignment *calls;
			size_t count;
		} assigned;
		struct {
			uint64_t instance;
		} cancel, retry;
		struct {
			uint64_t instance;
			struct slice name;
			struct slice key;
			struct slice value;
		} signal;
		struct {
			struct slice name;
			struct slice value;
		} set_setting;
		struct {
			uint64_t id;
			struct slice name, role, address, datacenter, state, tags;
			uint64_t generation;
			uint32_t cpu;    /* thousandths of a processor that tasks may have */
			uint64_t memory; /* bytes of them */
			uint32_t port_low, port_high; /* 0: it gives no ports */
		} node;
		struct {
			const struct command_member *members; /* at most COMMAND_MEMBERS_MAX */
			size_t count;
		} configuration;
		struct {
			struct slice key;
			struct slice value;
			uint64_t lease;
			struct command_condition condition;
		} put;
		struct {
			struct slice key;
			struct command_condition condition;
		} delete_key;
		struct {
			const struct command_comparison *comparisons;
			size_t comparison_count;
			const struct command_write *writes; /* when all comparisons hold */
			size_t write_count;
			const struct command_write *otherwise;
			size_t otherwise_count;
		} transact;
		struct {
			msec ttl;
			struct slice owner; /* for people */
		} grant_lease;
		struct {
			const uint64_t *leases;
			size_t count;
		} end_leases;
		struct {
			struct slice name;
			uint32_t version; /* 0: the newest */
			struct slice args;
			struct slice key; /* empty: none */
		} dispatch_job;
		struct {
			uint64_t job;
			struct slice reason; /* not empty: it has failed, and why */
		} stop_job;
		struct {
			uint64_t job;
			uint32_t count;
		} scale_job;
		struct {
			const struct command_placement *placements;
			size_t count;
		} place;
		struct {
			const struct command_allocation *changes;
			size_t count;
		} allocations;
		struct {
			const uint64_t *ids;
			size_t count;
			struct slice reason; /* for people; may be empty */
		} stop_allocations;
		struct {
			uint64_t node;
			bool eligible;
		} eligible;
		struct {
			uint64_t node;
			enum drain_state state;
			msec within; /* UNDER_WAY: how long batch tasks may go on */
		} drain;
		struct {
			uint64_t job;
			uint32_t version; /* of the schedule that was looked at */
			msec due;         /* 0: only `next` is set */
			msec next;
		} job_due;
		struct {
			struct slice topic;
			enum topic_kind kind;
			struct slice schema;  /* as topic_schema writes it */
			uint32_t partitions;  /* 0: it is not divided */
			uint32_t part;
			struct slice address;
			uint64_t allocation;  /* 0: none */
		} publish;
		struct {
			uint64_t publication;
		} unpublish;
		struct {
			struct slice topic;
			bool all;
			uint32_t part;       /* not all of it */
			enum topic_kind kind; /* TOPIC_ANY: any */
			struct slice schema; /* empty: any */
		} subscribe;
		struct {
			uint64_t subscription;
		} unsubscribe;
	};
};

static inline msec stamp_ms(uint64_t stamp)
{
	return (msec)(stamp >> 16);
}

/* The number of the attempt after `last`: the term of the leader that hands it out, and a counter of the call. Always above
 * `last`, also when more than 65535 attempts were made. */
static inline uint64_t attempt_after(uint64_t last, uint64_t term)
{
	uint64_t next = term << 16 | ((last + 1) & 0xFFFF);
	return next > last ? next : last + 1;
}

#endif
