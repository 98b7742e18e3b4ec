/* Jobs in the simulator, for its own files only:
 *   sim_tasks.c   the processes of their tasks on each machine
 *   sim_groups.c  what those of a group do, until all have registered
 *   sim_jobs.c    clients that want them, and what they are told
 *   sim_nodes.c   nodes that are drained, or are to get nothing
 *   sim_job_checks.c  what must hold of them */
#ifndef CLUSTERD_SIM_SIM_JOBS_H
#define CLUSTERD_SIM_SIM_JOBS_H

#include "daemon/allocations.h"
#include "sim/sim.h"
#include "workflow/job.h"

#include <sqlite3.h>
#include <uthash.h>

struct client_request;
struct sim_client;

#define SIM_CPU 4000u /* of each machine */
#define SIM_MEMORY (UINT64_C(1) << 30)
#define SIM_PORT_LOW 20000
#define SIM_PORT_HIGH 20015

/* An allocation as it has really gone. */
struct sim_ran {
	uint64_t id;
	uint64_t job;
	uint32_t task;
	uint32_t attempt;
	struct server *server;
	bool running;
	bool cut;           /* its machine lost its power, or is gone: what it left may be gone too */
	bool group;
	bool asked;         /* of a group: it has asked to be registered */
	bool joined;        /* and was told that all have */
	uint32_t starts;
	uint32_t completed; /* with an exit code of 0 */
	uint32_t cpu;
	uint32_t port_count;
	uint16_t ports[JOB_PORTS_MAX];
	UT_hash_handle hh;
};

/* What a member of a group waits for. */
enum joining { JOINING_SESSION, JOINING_REGISTERED, JOINING_ALL, JOINED, JOINED_NOTHING };

/* A task on a machine. */
struct sim_task {
	uint64_t id;
	uint64_t job;
	uint32_t task;
	char kind[8];
	struct sim_ran *ran;
	enum allocation_state state; /* as the daemon has it */
	bool alive;                  /* there is a process */
	bool waits;                  /* for forgotten ones to end; there is nothing of it on the disk */
	bool never;                  /* there will be none: who was to begin it died before */
	bool exited;                 /* there is a record of the end */
	bool stop_told;              /* to its supervisor */
	bool stopping;
	bool forgotten;
	bool kept;                   /* its end was taken: only its output is kept */
	bool lost;
	bool dirty;
	int code;
	int signal;
	const char *text;
	msec grace;
	uint32_t cpu;
	uint32_t port_count;
	uint16_t ports[JOB_PORTS_MAX];
	struct { /* its process, as a client of the node */
		enum joining step;
		uint64_t connection; /* 0: none */
		uint64_t session;
		uint32_t stream;     /* that is to be answered; 0: none */
		msec since;
	} group;
	UT_hash_handle hh;
};

enum job_shape {
	SHAPE_BATCH,      /* from a file */
	SHAPE_BRITTLE,    /* its tasks fail */
	SHAPE_DISPATCHED, /* registered, and dispatched with a key */
	SHAPE_GROUP,      /* begun again when one of it fails */
	SHAPE_FRAGILE,    /* a group that ends with the first that fails */
	SHAPE_MUTE,       /* a group of which one never registers */
	SHAPE_SERVICE,
	SHAPE_JOINT,      /* a service that is a group */
	SHAPE_SYSTEM,
	SHAPE_PERIODIC,
	SHAPE_COUNT
};
#define SHAPE_FIRST_THAT_STAYS SHAPE_SERVICE

/* A job that a client wants to run. */
struct job_run {
	enum job_shape shape;
	uint64_t client;
	char name[16];
	char key[24];        /* DISPATCHED */
	const char *kind;    /* what its tasks do */
	const char *overlap; /* PERIODIC */
	const char *needs;   /* further settings */
	uint32_t count;
	uint32_t written;    /* its `count`, as its text has it */
	uint32_t edition;    /* of its text */
	uint64_t id;         /* 0: nothing was acknowledged */
	bool registered;     /* DISPATCHED */
	bool busy;           /* a request about it is on its way */
	bool stop_wanted;
	bool stop_sent;
	bool stopped;        /* acknowledged */
	uint32_t changes;    /* to be made: scaled, or another edition */
	struct job_run *next;
};

/* sim_tasks.c */
void tasks_start(struct server *server, const struct allocation_order *order);
void tasks_stop(struct server *server, uint64_t id);
void tasks_taken(struct server *server, uint64_t id);
void tasks_keep_only(struct server *server, const uint64_t *known, size_t count);
void tasks_up(struct server *server);
void tasks_down(struct server *server, enum sim_down how);
void tasks_gone(struct server *server);
bool tasks_run(const struct server *server, uint64_t id);
struct sim_ran *ran_of(struct sim *sim, uint64_t id); /* NULL: it has never been begun */

void task_ends_after(struct server *server, struct sim_task *task, msec delay, int code);
void task_dies_after(struct server *server, struct sim_task *task, msec delay, int signal);
uint64_t task_event(const struct server *server, const struct sim_task *task);
/* NULL: nothing of it is left. */
struct sim_task *task_of_event(struct sim *sim, uint64_t event, struct server **ret_server);

/* sim_groups.c */
bool group_kind(const char *kind);
void group_begins(struct server *server, struct sim_task *task); /* its process has begun */
void groups_down(struct server *server);
/* false: the connection is another one's. */
bool groups_response(struct server *server, uint64_t connection, uint32_t stream,
                     const Clusterd__Wire__Response *response);

/* sim_nodes.c: asked for by one client, so that what was asked last counts. */
bool nodes_want(struct sim *sim, struct sim_client *client);
bool nodes_wait(const struct sim *sim, const struct sim_client *client);
void nodes_fill(const struct client_request *request, Clusterd__Wire__Request *message);
void nodes_answer(struct sim *sim, const struct client_request *request, int code);
void nodes_explain(struct sim *sim, const struct machine *machine);

/* sim_jobs.c */
/* Something about a job; false: nothing. */
bool jobs_want(struct sim *sim, struct sim_client *client);
bool jobs_wait(const struct sim *sim, const struct sim_client *client); /* for an acknowledgement */
void jobs_fill(struct sim *sim, const struct client_request *request, Clusterd__Wire__Request *message);
void jobs_answer(struct sim *sim, const struct client_request *request, const Clusterd__Wire__Response *response,
                 struct slice payload);
void jobs_finish(struct sim *sim);

/* sim_job_checks.c */
void jobs_check_start(struct server *server, const struct sim_ran *ran); /* it is about to run */
void jobs_check_joined(struct server *server, const struct sim_ran *ran); /* it was told that all of its group have registered */
const struct machine *newest_machine(const struct sim *sim); /* NULL: no server is up */
/* The command of this index has taken a time of a periodic job, which no other one may. */
void jobs_check_due(uint64_t job, msec due, uint64_t index);
bool jobs_done(const struct sim *sim);
void jobs_explain(struct sim *sim); /* fails with what is not done */
void jobs_audit(struct server *server); /* when all is done */
void jobs_audit_always(struct sim *sim, sqlite3 *database); /* what holds at any moment between transactions */

#endif
