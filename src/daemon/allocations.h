/* The allocations that run on this node: tasks of jobs as processes that outlive the daemon. On the loop's thread; what the group has
 * decided comes in as orders, what happened goes out as reports, again and again until it was acknowledged.
 *
 *   order      → (wait for the turn) → (fetch files) → directory and environment → supervisor → running → (health) → ended
 *   restart of the daemon: what is in its directory is taken up again, and reported */
#ifndef CLUSTERD_DAEMON_ALLOCATIONS_H
#define CLUSTERD_DAEMON_ALLOCATIONS_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"
#include "net/loop.h"
#include "workflow/job.h"

/* The directory of an allocation, DIR/allocations/ID: what net/supervisor.h says, `order` (what must be known after a restart) and `reason`
 * (why it was stopped, when this node wanted it). Acknowledged, it is at DIR/allocations/ended/ID, without its work/, for the output. */
struct allocations;

/* Whether what a task has printed on stdout is a result, and how it is read (enum stdout_form + 1). */
enum task_output { TASK_OUTPUT_NONE, TASK_OUTPUT_JSON, TASK_OUTPUT_TEXT, TASK_OUTPUT_LINES, TASK_OUTPUT_UNIT };

/* What became of that. */
enum task_outcome {
	TASK_OUTCOME_NONE,
	TASK_OUTCOME_VALUE, /* a JSON value */
	TASK_OUTCOME_FAULT, /* why it is none, for a person */
};

/* What the group has decided. Everything that the node needs is in it: agents have no catalog. Kept in the allocation's directory
 * (file `order`, JSON), so that it is known after a restart. Borrowed during the call. */
struct allocation_order {
	uint64_t id;               /* of the allocation, never given twice */
	uint64_t job;
	struct slice job_name;
	uint32_t version;
	uint32_t task;             /* index, from 0 */
	uint32_t count;            /* tasks of the job */
	uint32_t attempt;          /* from 1 on */
	bool begun;                /* the group knows that it has begun: if it is not known here, it is lost */
	const struct slice *argv;
	uint32_t argv_count;
	const struct process_variable *env;
	uint32_t env_count;
	const struct process_file *files;
	uint32_t file_count;
	struct job_program program;
	const struct slice *hosts; /* HOST:PORT of each task of a group, in order of their indices */
	uint32_t host_count;
	const struct job_port *ports; /* with their numbers */
	uint32_t port_count;
	uint32_t cpu;
	uint64_t memory;
	uint64_t processes;        /* with their threads; 0: as the node says */
	uint64_t disk;             /* bytes in work/; 0: as the node says */
	int stop_signal;
	msec stop_grace;
	msec timeout;              /* 0: none */
	struct job_check check;
	uint32_t workers;
	enum task_output output;   /* of a batch job: reported with the end, when the exit code is 0 */
	uint64_t output_max;       /* bytes of it; what has printed more has failed */
};

enum allocation_state {
	ALLOCATION_STARTING,
	ALLOCATION_RUNNING,
	ALLOCATION_STOPPING,
	ALLOCATION_ENDED,
};

struct allocation_report {
	uint64_t id;
	uint64_t job;
	uint32_t task;
	enum allocation_state state;
	bool checked;              /* RUNNING: it has a health check that has answered */
	bool healthy;
	bool lost;                 /* ENDED: nobody knows how */
	int exit_code;             /* ENDED; −1: by a signal, or not started */
	int exit_signal;
	struct slice text;         /* ENDED: why, for a person ("there is no file ./run", "out of memory", "unwell: …"); may be empty */
	msec started_ms;           /* since 1970; 0: it has not */
	msec ended_ms;
	enum task_outcome outcome; /* ENDED with exit code 0, when the order asked for its output */
	struct slice output;
};

struct allocations_handler {
	/* From the loop, never from inside a call of this door. */
	void (*report)(void *context, const struct allocation_report *report);
	/* Content of a file; 0 or ERR_. */
	int (*fetch)(void *context, struct slice hash, bool *ret_executable, struct buffer *ret_content, struct error *error);
	/* A task waits for this program: allocations_supply says where it is, later, never from inside. */
	void (*want)(void *context, const struct job_program *program);
};

struct allocations_options {
	const char *directory;     /* DIR/allocations; made when absent; what is in it is taken up again */
	const char *node_name;     /* CLUSTERD_NODE */
	const char *address;       /* CLUSTERD_ADDRESS: where the local node listens */
	const char *socket;        /* CLUSTERD_SOCKET: its Unix socket */
	uint64_t log_size;         /* of one file; default 10 MiB */
	uint32_t log_files;        /* default 3 */
	msec kept;                 /* the directory of one that ended is kept so long for its logs; default 24 h */
	uint64_t kept_bytes;       /* and all of them together at most; default 1 GiB */
	uint64_t processes;        /* of a task whose order does not say it; 0: no limit */
	uint64_t disk;
	uint32_t starts;           /* so many are being started at once; default: as many as there are processors */
};

int allocations_create(struct loop *loop, const struct allocations_options *options, const struct allocations_handler *handler,
                       void *context, struct allocations **ret_allocations, struct error *error);
/* Everything goes on running. */
void allocations_destroy(struct allocations *allocations);

/* Begins it, once its turn has come and all those have ended that the group does not know any more: it may have been given their ports. One
 * that is known (also as ended) is reported again and nothing else. */
void allocations_start(struct allocations *allocations, const struct allocation_order *order);
/* The program that tasks wait for is in the file `path`, whole, with its executable bit; NULL: it cannot be had, and `why`. */
void allocations_supply(struct allocations *allocations, struct slice hash, const char *path, const char *why);
void allocations_stop(struct allocations *allocations, uint64_t id);  /* it is reported as ended, later; unknown: as lost, at once */
/* The end of it is written down by the group: it is not reported any more. */
void allocations_acknowledge(struct allocations *allocations, uint64_t id);
/* All that are known, ended ones that were not acknowledged too, are reported now (to a new leader). */
void allocations_report_all(struct allocations *allocations);
/* Those that the group does not know (any more) are stopped and forgotten: `known` in ascending order. After a node was declared dead, its
 * work moved and it came back. */
void allocations_keep_only(struct allocations *allocations, const uint64_t *known, size_t count);
uint32_t allocations_running(const struct allocations *allocations);

/* A piece of output, over all rotated files that are left, as if they were one: from `offset` of what was ever written (−1: the last
 * `size` bytes of what is there). `ret_offset`: where what was read begins; it is later than asked for when that is gone.
 * `ret_ended`: nothing more will come after it. ERR_NOT_FOUND. Reading is bounded by `size`, at most 1 MiB. */
int allocations_read_output(struct allocations *allocations, uint64_t id, bool standard_error, int64_t offset, size_t size,
                            struct buffer *ret_output, uint64_t *ret_offset, bool *ret_ended, struct error *error);

/* The directory of one whose command runs, and that command's process. ERR_NOT_FOUND, ERR_CONFLICT (it does not run). */
int allocations_find_process(const struct allocations *allocations, uint64_t id, char *ret_path, size_t size, int *ret_pid,
                             struct error *error);
/* The directory with the output of one, living or kept, for task_output_read on any thread; `ret_ended`: it writes no more.
 * ERR_NOT_FOUND. */
int allocations_find_output(const struct allocations *allocations, uint64_t id, char *ret_path, size_t size, bool *ret_ended,
                            struct error *error);
/* The output `name` (stdout, stderr) in that directory: as allocations_read_output. `ret_at_end`: up to what there is now. No state. */
int task_output_read(const char *directory, const char *name, int64_t offset, size_t size, struct buffer *ret_output,
                     uint64_t *ret_offset, bool *ret_at_end, struct error *error);

/* What this machine has to give: thousandths of processors, bytes. */
void allocations_capacity(uint32_t *ret_cpu, uint64_t *ret_memory);

#endif
