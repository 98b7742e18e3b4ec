/* A node on a catalog, a log and a clock in memory, and a host that does what it is told and checks what it is asked
 * for: what the node says must be sayable on the wire, and each request is answered once. At the first thing that does
 * not hold it says what, and aborts. */
#ifndef CLUSTERD_UNIT_NODE_FIXTURE_H
#define CLUSTERD_UNIT_NODE_FIXTURE_H

#include "base/arena.h"
#include "daemon/node.h"
#include "sim/faulty_vfs.h"

/* A call that was handed out and has not been abandoned or answered. */
struct handed_out {
	struct call_id id;
	uint64_t connection; /* 0: this machine's executor */
	struct text *process;
	struct text *args;
	uint64_t receipt;    /* that came with it to a worker */
};

/* A request that was made. */
struct asked {
	uint64_t connection;
	uint32_t stream;
	int body;       /* its body_case */
	bool may_wait;  /* for something that need not come */
	bool over;      /* answered, cancelled, or its connection is closed */
};

/* What was answered last; texts are the fixture's. */
struct answered {
	uint32_t count;  /* of all responses so far */
	int code;
	char text[ERROR_TEXT_SIZE];
	uint32_t retry_after_ms;
	int body;
	uint64_t number; /* session, instance, version, lease; of changes the version to go on from */
	char state[32];  /* FINISHED */
	bool more;
	struct buffer payload;
	struct buffer keys; /* or changes: "a@5=1 b@6-" */
};

/* A frame to another node. */
struct peer_frame {
	uint64_t member;
	int type;
	uint32_t stream;
	struct buffer message, payload;
};

struct log_entry {
	uint64_t term;
	struct text *body;
};

struct node_fixture {
	struct faulty_vfs *vfs;
	struct catalog *catalog;
	struct node *node;
	msec now;
	msec wall_offset;
	long long microseconds;
	long long microseconds_step; /* how slow applying looks: bounds transactions */

	struct log_entry *entries; /* entry i has index i + 1 */
	size_t entry_count;
	size_t entry_capacity;
	size_t synced_count;
	bool syncing;
	uint64_t read_tag;
	uint64_t read_from, read_to; /* wished for; 0: nothing */
	bool voting;
	uint64_t term, voted_for;

	struct handed_out *calls;
	size_t call_count;
	size_t call_capacity;
	struct asked *requests;
	size_t request_count;
	size_t request_capacity;
	uint32_t next_stream;
	struct answered answered;
	uint32_t taken_count; /* results that were said to be taken */
	uint32_t voters;
	bool obeyed;          /* other members agree with what the node says */
	uint64_t leader;      /* another member that leads, and says so now and then; 0: none */
	uint64_t leader_term;
	msec leader_said;
	uint64_t read_member, read_id; /* asked of another member last: what must be applied before a read; 0: none */
	struct raft_message *obeying; /* what the others are about to answer */
	size_t obeying_count;
	size_t obeying_capacity;
	struct peer_frame *frames; /* to other nodes, but Raft's: those that the test has not taken yet, in order */
	size_t frame_count;
	size_t frame_capacity;
	struct arena arena;
};

void node_fixture_init(struct node_fixture *fixture);
void node_fixture_finish(struct node_fixture *fixture);
void node_fixture_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* The node is gone and comes up again; what was not synced is kept or not. */
void node_fixture_restart(struct node_fixture *fixture, bool keep_unsynced);
/* The disk does one thing that it was asked for; false: nothing was. */
bool node_fixture_disk(struct node_fixture *fixture);
void node_fixture_turn(struct node_fixture *fixture);
/* Until nothing is left to do now. */
void node_fixture_settle(struct node_fixture *fixture);
void node_fixture_pass(struct node_fixture *fixture, msec time); /* settles before and after */

/* On a stream of its own, which is returned. */
uint32_t node_fixture_ask(struct node_fixture *fixture, uint64_t connection, const Clusterd__Wire__Request *request,
                          struct slice payload);
void node_fixture_cancel(struct node_fixture *fixture, uint64_t connection, uint32_t stream);
void node_fixture_close(struct node_fixture *fixture, uint64_t connection);
/* The call that was handed out as `index` returns; it is forgotten. From a worker: ERR_ when it ended the connection. */
int node_fixture_return(struct node_fixture *fixture, size_t index, bool failed, bool final, struct slice value,
                        struct slice metadata);

/* Requests that must succeed, settled. */
uint64_t node_fixture_open_session(struct node_fixture *fixture, uint64_t connection);
void node_fixture_register(struct node_fixture *fixture, uint64_t connection, uint64_t session, uint64_t sequence,
                           const char *source);
uint64_t node_fixture_start(struct node_fixture *fixture, uint64_t connection, uint64_t session, uint64_t sequence,
                            const char *workflow, const char *args);
void node_fixture_offer(struct node_fixture *fixture, uint64_t connection, const char *process, uint32_t credit);

/* --- other nodes, played by the test --- */

/* Of groups of three, which members 8 and 9 are of. */
#define NODE_FIXTURE_SELF 7

/* A node of a group of three, which leads: the others agree with all that it says. */
void node_fixture_init_group(struct node_fixture *fixture);
/* A node that keeps no log (agent), of no group. */
void node_fixture_init_agent(struct node_fixture *fixture);
/* From now on another one leads in this term, which is higher than any before; 0: nobody does. */
void node_fixture_follow(struct node_fixture *fixture, uint64_t leader, uint64_t term);
/* The others agree again: the node is elected. */
void node_fixture_lead(struct node_fixture *fixture);
/* The member that was asked says that up to this index must be applied. */
void node_fixture_allow_read(struct node_fixture *fixture, uint64_t index);
/* Takes the next frame of the type out of those that were sent; false: there is none. */
bool node_fixture_sent(struct node_fixture *fixture, int type, struct peer_frame *ret_frame);
void node_fixture_frame_finish(struct peer_frame *frame);
/* The member says so; `message` may be NULL. */
void node_fixture_hear(struct node_fixture *fixture, uint64_t member, int type, uint32_t stream,
                       const ProtobufCMessage *message, struct slice payload);

/* A number of `status`. */
long long node_fixture_status(struct node_fixture *fixture, const char *name);
/* The log applied to an empty catalog, one entry a transaction, gives the same tables. */
void node_fixture_compare(struct node_fixture *fixture);

#endif
