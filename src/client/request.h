/* Requests of a client: sent until they are answered, to whatever node is there; in a session, when they change something. The one
 * way in which anything is asked, by the library and by the tools that are built on it. */
#ifndef CLUSTERD_CLIENT_REQUEST_H
#define CLUSTERD_CLIENT_REQUEST_H

#include "client/clusterd.h"
#include "client/link.h"

#include "base/arena.h"
#include "base/buffer.h"

#include <uthash.h>

struct clusterd_reply {
	uint32_t holds;
	const Clusterd__Wire__Response *response;
	struct buffer payload; /* terminated */
	struct arena arena;
};

/* An answer. `error`: NULL, or why there is none, or what the node has refused; then `reply` may be NULL. After a reply whose `more` is set
 * it is called again; otherwise the request is over, and gone when this returns. */
typedef void request_answer(void *context, struct clusterd_reply *reply, const struct error *error);

#define SESSION_SECRET_SIZE 16

/* In which what changes something is carried out once. The client's own is opened when it is needed, and anew when it has ended; one of a
 * clusterd_session is opened by that, and what is asked in it fails when it has ended. */
struct request_session {
	struct clusterd_client *client;
	uint64_t id;       /* 0: none */
	uint64_t sequence; /* that was given last */
	bool asked;        /* an own one: it is being opened */
	bool ended;        /* for good */
	struct timer *doubt; /* of a clusterd_session: due when a node has said that it has ended */
	unsigned char secret[SESSION_SECRET_SIZE];
};

struct clusterd_request {
	struct clusterd_client *client;
	struct request_session *in;
	TAILQ_ENTRY(clusterd_request) entry;     /* of all */
	TAILQ_ENTRY(clusterd_request) sequenced; /* of those with a sequence, by it */
	UT_hash_handle hh;                       /* by stream */
	uint32_t stream;                         /* on which an answer is awaited; 0: on none */
	bool paused;                             /* to be sent again when its timer says so */
	bool changes;
	bool once;      /* not to be sent again when its connection was lost */
	bool begun;     /* some answers have come */
	bool doomed;    /* `why` is to be told */
	uint32_t sends; /* in this session */
	uint64_t session;
	uint64_t sequence;  /* 0: none yet */
	struct buffer body; /* Request, packed, but for what is added when it is sent */
	struct buffer payload;
	msec deadline;
	struct timer timer;
	request_answer *answer;
	void *context;
	clusterd_done *done; /* of the public face */
	struct error why;    /* it was not answered so far; code 0: no reason */
};

TAILQ_HEAD(request_list, clusterd_request);

struct requests {
	struct request_list open;
	struct request_list sequenced;
	struct request_list doomed;
	struct clusterd_request *by_stream;
	uint32_t next_stream;
	struct request_session own;
};

void requests_init(struct clusterd_client *client);
void requests_finish(struct clusterd_client *client); /* nobody is told */
/* What the client's link tells. */
void requests_connected(struct clusterd_client *client);
void requests_lost(struct clusterd_client *client, const struct error *error, bool all);
void requests_take_frame(struct clusterd_client *client, const struct frame *frame);
/* The node is of no use: all is asked of the next one. */
void requests_move(struct clusterd_client *client, const struct error *reason);
/* Tells those that have failed. At the end of a turn. */
void requests_tell(struct clusterd_client *client);

/* `message` has its body, and the consistency where it is not the client's. Never NULL, never answers from inside. `timeout_ms`:
 * CLUSTERD_NO_TIMEOUT or how long. */
struct clusterd_request *request_begin(struct clusterd_client *client, Clusterd__Wire__Request *message,
                                       struct slice payload, msec timeout_ms, request_answer *answer, void *context);
/* The same in a session, which goes later than the request. */
struct clusterd_request *request_begin_in(struct request_session *session, Clusterd__Wire__Request *message,
                                          msec timeout_ms, request_answer *answer, void *context);
void request_session_init(struct request_session *session, struct clusterd_client *client);
/* What is asked in it has failed. */
void request_session_end(struct request_session *session, const struct error *why);
/* Nobody is told of what is asked in it, and it is closed, if that can be said right away. */
void request_session_leave(struct request_session *session);
/* Reads as of now whatever the client's consistency is. */
struct clusterd_request *request_begin_strictly(struct clusterd_client *client, Clusterd__Wire__Request *message,
                                                msec timeout_ms, request_answer *answer, void *context);
/* The same for the public face: the last answer goes to `done`. */
struct clusterd_request *request_begin_public(struct clusterd_client *client, Clusterd__Wire__Request *message,
                                              struct slice payload, msec timeout_ms, clusterd_done *done,
                                              void *context);
/* Its time counts from now. */
void request_prolong(struct clusterd_request *request, msec timeout_ms);
/* Begins, and waits for the (first) answer, which is the caller's. With an error the reply may be there, too: the caller's. */
int request_ask(struct clusterd_client *client, Clusterd__Wire__Request *message, struct slice payload, int timeout_ms,
                struct clusterd_reply **ret_reply, struct error *error);
/* For the public face: only a reply with this body is one, and an error has none. */
int request_ask_for(struct clusterd_client *client, Clusterd__Wire__Request *message, struct slice payload,
                    int timeout_ms, Clusterd__Wire__Response__BodyCase expected, struct clusterd_reply **ret_reply,
                    struct clusterd_error *error);
int request_ask_in(struct request_session *session, Clusterd__Wire__Request *message, int timeout_ms,
                   Clusterd__Wire__Response__BodyCase expected, struct clusterd_reply **ret_reply, struct error *error);
/* Whether what failed so may succeed some time later, without anything being done about it. */
bool request_may_pass(int code);
/* The key of a reply, whose value is at `at` of its payload, which moves behind it. false: without a value. */
bool reply_key(const Clusterd__Wire__Key *message, const struct clusterd_reply *reply, size_t *at,
               struct clusterd_key *ret_key);
/* Nothing of the kind was asked. */
int request_unexpected(struct error *error);

#endif
