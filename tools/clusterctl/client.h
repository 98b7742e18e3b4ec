/* libclusterd on a libevent loop, for commands: signals, children and timers are awaited beside the cluster. One request after another,
 * each blocking until its answer is there, or until a signal interrupts it. */
#ifndef CLUSTERCTL_CLIENT_H
#define CLUSTERCTL_CLIENT_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/time.h"
#include "client/clusterd.h"
#include "net/loop.h"
#include "proto/wire.pb-c.h"

#include <stdbool.h>

struct client;

struct client_options {
	const char *address; /* HOST:PORT,HOST:PORT,… or the path of a socket */
	const char *name;
	msec timeout;        /* to connect and for each answer; MSEC_NEVER: none */
	const char *token;   /* shown over TCP where the cluster has a secret; NULL: none */
	enum clusterd_consistency consistency; /* of what is read, where a request does not say otherwise */
};

/* An answer; released with reply_finish. */
struct reply {
	const Clusterd__Wire__Response *response;
	struct slice payload; /* a NUL that does not count stands behind it */
	struct clusterd_reply *held;
};
void reply_finish(struct reply *reply);

/* ERR_CLOSED: nobody is there (exit code 3); ERR_DENIED: the token is not right, or missing. */
int client_open(const struct client_options *options, struct client **ret_client, struct error *error);
void client_close(struct client *client); /* closes its session; NULL is fine */

/* Sends and waits for the (first) answer, as libclusterd does: again, and to other nodes, until the time is out. An error in the answer
 * is returned as such. Without a time limit it gives up when no node has served for half a minute. 0: release ret_reply. */
int client_ask(struct client *client, Clusterd__Wire__Request *request, struct slice payload, struct reply *ret_reply,
               struct error *error);
/* The next answer of the last request, whose answers are `more`. */
int client_next(struct client *client, struct reply *ret_reply, struct error *error);
/* Leaves the last request alone: no more answers of it are wanted. */
void client_leave(struct client *client);
void client_set_timeout(struct client *client, msec timeout);
msec client_clock(const struct client *client); /* monotonic */
/* Waits until `*flag` is set by a callback, until `deadline` (MSEC_NEVER: none), or until client_interrupt. true: it is set. */
bool client_await(struct client *client, const bool *flag, msec deadline);
/* Waits until `deadline` or client_interrupt. */
void client_idle(struct client *client, msec deadline);
/* From within a call of the loop (a signal): until client_go_on nobody waits; client_ask gives ERR_TIMEOUT. */
void client_interrupt(struct client *client);
bool client_interrupted(const struct client *client);
void client_go_on(struct client *client);

/* What is awaited by callbacks. They are called while the loop runs: in client_await, client_idle and client_ask. */
struct loop *client_loop(struct client *client);
struct clusterd_client *client_library(struct client *client);

#endif
