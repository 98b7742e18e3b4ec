/* What a job declares: `job NAME { … }`, checked, with its defaults filled in. Part of a definition (DEFINITION_JOB); lives as long
 * as its unit. Defaults that a setting of the cluster may change one day are filled in when the job is registered, never later, so
 * that a version of a job means the same for ever. */
#ifndef CLUSTERD_WORKFLOW_JOB_H
#define CLUSTERD_WORKFLOW_JOB_H

#include "base/slice.h"
#include "base/time.h"
#include "workflow/definition.h"

#define JOB_COUNT_MAX 1000000u /* allocations of one job */
#define JOB_PORTS_MAX 16u      /* of one allocation */
#define JOB_NODES_MAX 256u     /* that one job is pinned to */
#define JOB_CONSTRAINTS_MAX 32u
#define JOB_PRIORITY_MAX 100u
#define JOB_CPU_MAX 1000000u /* thousandths of a processor */
#define JOB_MEMORY_MIN (UINT64_C(1) << 20) /* bytes */
#define JOB_MEMORY_MAX (UINT64_C(1) << 50)
#define JOB_PROCESSES_MAX 1000000u /* of one task, with their threads */
#define JOB_DELAY_MAX (24 * 3600 * 1000)
#define JOB_CHECK_INTERVAL_MIN 100
#define JOB_CHECK_FAILURES_MAX 1000u
#define JOB_WORKERS_MAX 4096u /* threads of one process */
#define JOB_NAME_SIZE_MAX 64u /* of a port, a node, a tag, a datacenter, a zone */
#define JOB_SCHEDULE_SIZE_MAX 256u
#define JOB_PROGRAM_SIZE_MAX UINT32_MAX /* bytes; a node may take less (program-max) */
#define JOB_PROGRAM_HASH_SIZE 64u       /* hex digits of SHA-256 */
#define JOB_PROGRAM_NODES_MAX 16u

enum job_type {
	JOB_BATCH,    /* each of its `count` tasks runs to an exit code of 0, once */
	JOB_SERVICE,  /* `count` of it run all the time */
	JOB_SYSTEM,   /* one on every node that fits */
	JOB_PERIODIC, /* a batch job that is begun by its schedule */
};

enum job_placement {
	JOB_SPREAD, /* the default of services: where the fewest of this job are, then where most is free */
	JOB_PACK,   /* the default of batch jobs: where the least is left */
	JOB_RANDOM, /* on so many nodes that are not the same one, drawn evenly; as many as there are tasks, or it is refused */
	JOB_PINNED, /* task i on the i-th of `nodes` */
};

/* It is time, and the last one still runs. */
enum job_overlap {
	JOB_OVERLAP_SKIP, /* the default */
	JOB_OVERLAP_ALLOW,
	JOB_OVERLAP_REPLACE,
};

/* One process of a group has ended before its time. */
enum job_group_policy {
	JOB_GROUP_RESTART, /* all of the group are ended, and begun again together, as `retries` says */
	JOB_GROUP_STOP,    /* all of the group are ended, and the job has failed */
};

enum job_check_kind { JOB_CHECK_NONE, JOB_CHECK_EXEC, JOB_CHECK_TCP, JOB_CHECK_HTTP };

struct job_port {
	struct slice name; /* lower case; CLUSTERD_PORT_<NAME> in the environment */
	uint16_t number;   /* 0: a free one of the node's range */
};

struct job_check {
	enum job_check_kind kind;
	struct command_word *exec; /* EXEC; literals */
	uint32_t exec_count;
	uint32_t port;     /* TCP, HTTP: its index in `ports` */
	struct slice path; /* HTTP: begins with "/"; a status of 200 to 399 is well */
	msec interval;     /* default 10 s, at least 100 ms */
	msec timeout;      /* default 2 s */
	uint32_t failures; /* in a row, until it is unwell and is restarted; default 3 */
	msec grace;        /* after its start, failures do not count so long; default 10 s */
};

struct job_tag {           /* on = ["gpu", "zone=b", "!old"] */
	struct slice text; /* as the node has it: "gpu" or "zone=b" */
	bool without;      /* nodes must not have it */
};

/* One that was submitted: kept by its hash on the nodes that need it, beside the log, not in it. */
struct job_program {
	struct slice path;  /* the name of the file in the working directory; empty: there is none */
	struct slice hash;  /* SHA-256 of its bytes, in hex */
	uint64_t size;      /* bytes */
	struct slice *at;   /* nodes that had it first */
	uint32_t at_count;
};

struct job_settings {
	enum job_type type;
	struct command_word *exec; /* at least one word; a parameter's name stands for its value */
	uint32_t exec_count;
	struct process_file *files;
	uint32_t file_count;
	struct job_program program;
	struct process_variable *env;
	uint32_t env_count;
	uint32_t count; /* tasks; SYSTEM: 1, on each node. default 1 */

	enum job_placement placement;
	struct slice *nodes; /* names, ids or hosts; none twice. PINNED: all of them; else only these may be taken */
	uint32_t node_count;
	struct job_tag *on;
	uint32_t on_count;
	struct slice datacenter; /* empty: any */
	uint32_t priority;       /* 1 to 100; default 50. A higher one may put out a lower one when there is no room */
	uint32_t cpu;            /* thousandths of a processor that are set aside; `cpu = 0.5`; default 0: none */
	uint64_t memory;         /* bytes, set aside and not to be exceeded; `memory = "256MiB"`; default 0: no limit */
	uint32_t processes;      /* with their threads, at most; `processes = 100`; default 0: as the node says */
	uint64_t disk;           /* bytes in its working directory, at most; `disk = "1GiB"`; default 0: as the node says */
	struct job_port *ports;
	uint32_t port_count;

	/* BATCH, PERIODIC: further attempts of a task; default 2. SERVICE, SYSTEM: restarts within `retry_window`; default
	 * JOB_UNLIMITED. */
	uint32_t retries;
	msec retry_window;      /* `retries_within`; default 0: for ever */
	msec backoff;           /* default 1 s, doubles */
	msec backoff_max;       /* default 1 min */
	msec timeout;           /* BATCH, PERIODIC: of an attempt; default 0: none */
	int stop_signal;        /* `stop_signal = "TERM"`; default SIGTERM */
	msec stop_grace;        /* from it to SIGKILL; default 10 s */
	struct job_check check; /* `health = {tcp: "http", interval: 5s}`; SERVICE, SYSTEM */

	/* `group = restart | stop`: its tasks are one group (Strymon's worker groups): all are placed and begun together, and the
	 * job runs when all of them have registered. */
	bool group;
	enum job_group_policy group_policy;
	msec register_timeout; /* of the barrier; default 30 s */
	uint32_t workers;      /* threads that each process is told to have; default 1 */

	struct slice schedule; /* PERIODIC: five fields, as cron(5) has them, or "@hourly" … */
	struct slice timezone; /* "Europe/Vienna"; default "UTC" */
	enum job_overlap overlap;
};
#define JOB_UNLIMITED UINT32_MAX

#endif
