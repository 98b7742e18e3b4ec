/* A client of the simulator, for sim_clients.c and sim_answers.c. */
#ifndef CLUSTERD_SIM_SIM_CLIENT_H
#define CLUSTERD_SIM_SIM_CLIENT_H

#include "sim/sim.h"

#include <sys/queue.h>
#include <uthash.h>

#define RUNS_PER_CLIENT 14
#define JOBS_PER_CLIENT 5
#define OPEN_REQUESTS 4
#define REGISTRATIONS 4 /* versions, one after the other, in a run */

enum request_kind {
	REQUEST_START, REQUEST_SIGNAL, REQUEST_CANCEL, REQUEST_RETRY, REQUEST_REGISTER, REQUEST_SETTING,
	/* sim_jobs.c */
	REQUEST_JOB_REGISTER, REQUEST_JOB_RUN, REQUEST_JOB_DISPATCH, REQUEST_JOB_STOP, REQUEST_JOB_SCALE,
	/* sim_nodes.c */
	REQUEST_ELIGIBLE, REQUEST_DRAIN,
};

/* A request that changes something: sent until it is answered, kept until its answer need not be given again. */
struct client_request {
	enum request_kind kind;
	uint64_t sequence;
	struct flow_run *run;
	struct job_run *job;
	struct server *member; /* ELIGIBLE, DRAIN */
	/* SIGNAL: which one. REGISTER: the depth; 0: the flows. SETTING: the value. JOB_SCALE, ELIGIBLE. DRAIN: ms; UINT32_MAX: no more */
	uint32_t number;
	const char *setting;
	const char *text;     /* SETTING: its value, when it is no number */
	bool wait;            /* START: the answer is wanted when it has finished */
	bool sent;            /* on this connection, and not answered since */
	bool ever_sent;
	bool answered;
	uint32_t answer_pending; /* streams that wait for its answer */
	int code;
	struct text *answer;  /* the answer, for comparison: the same request gets the same one again */
	TAILQ_ENTRY(client_request) link;
};

enum pending_kind { PENDING_OPEN, PENDING_REQUEST, PENDING_WAIT, PENDING_WATCH, PENDING_READY };

/* A stream that waits for an answer. */
struct pending {
	uint32_t stream;
	enum pending_kind kind;
	msec since;
	uint64_t sequence;    /* REQUEST */
	struct flow_run *run; /* WAIT, WATCH */
	uint64_t seq;         /* WATCH: the last one told */
	bool waits;           /* REQUEST: it is answered when a workflow has finished */
	TAILQ_ENTRY(pending) link;
};

struct sim_client {
	uint64_t number;
	struct server *server; /* that it is connected to; NULL: none */
	uint64_t connection; /* 0: none */
	uint64_t session;    /* 0: none */
	bool opening;
	uint64_t next_sequence;
	uint64_t answered_below;
	uint32_t runs_wanted;
	uint32_t jobs_wanted;
	uint32_t registrations_wanted;
	uint32_t settings_wanted;
	bool may_desert;
	bool deserted;       /* it left for longer than a session lives */
	uint64_t deserted_below; /* of requests from before that the answers may be known, though the session's end is under way */
	msec away_until;
	msec patience;       /* without an answer for so long it turns to another server; MSEC_NEVER: it waits */
	msec heard;          /* when something was last answered: before that its session was alive */
	msec spoke;          /* when it last asked for the node's status, which keeps its session alive */
	bool reset;          /* its connection is to be closed: answers that still come mean nothing */
	uint32_t prepared;   /* registered: the flows, then the first of the versions */
	TAILQ_HEAD(, client_request) requests;
	TAILQ_HEAD(, pending) pending;
};

/* A key belongs to one instance. */
struct known_key {
	char key[24];
	uint64_t id;
	UT_hash_handle hh;
};

struct client_request *request_add(struct sim_client *client, enum request_kind kind, struct flow_run *run);
struct client_request *request_find(struct sim_client *client, uint64_t sequence);
void request_forget(struct sim_client *client, struct client_request *request);
struct pending *pending_add(struct sim *sim, struct sim_client *client, enum pending_kind kind);
void pending_drop(struct sim_client *client, struct pending *pending);
/* The session has ended: what was not answered goes into a new one. */
void client_session_lost(struct sim *sim, struct sim_client *client);

#endif
