/* A client of a cluster: one connection to one of its nodes, requests one after another, blocking until the answer is there. When
 * the node is lost, or cannot serve, the next one is asked. */
#ifndef CLUSTERCTL_CLIENT_H
#define CLUSTERCTL_CLIENT_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/time.h"
#include "net/loop.h"
#include "proto/wire.pb-c.h"

#include <stdbool.h>

struct client;

struct client_options {
	const char *address; /* HOST:PORT,HOST:PORT,… or the path of a socket */
	const char *name;
	Clusterd__Wire__Role role;
	msec timeout;        /* to connect and for each answer; MSEC_NEVER: none */
	const char *token;   /* shown over TCP where the cluster has a secret; NULL: none */
};

/* An answer; released with reply_finish. */
struct reply {
	const Clusterd__Wire__Response *response;
	struct buffer payload;
	struct arena arena;
};
void reply_finish(struct reply *reply);

/* ERR_CLOSED: nobody is there (exit code 3); ERR_DENIED: the token is not right, or missing. */
int client_open(const struct client_options *options, struct client **ret_client, struct error *error);
void client_close(struct client *client); /* closes its session; NULL is fine */

/* Sends and waits for the (first) answer. An error in the answer is returned as such. `busy` and `not leader` are tried again until
 * the time is out, when the node said to come back, and so is a lost connection, at the next node. A request that changes something
 * gets a session and a sequence, and is sent again with the same ones: it is carried out once. 0: release ret_reply. */
int client_ask(struct client *client, Clusterd__Wire__Request *request, struct slice payload, struct reply *ret_reply,
               struct error *error);
/* The next answer of the last request, whose answers are `more`. */
int client_next(struct client *client, struct reply *ret_reply, struct error *error);
/* Leaves the last request alone: no more answers of it are wanted. */
void client_leave(struct client *client);
void client_set_timeout(struct client *client, msec timeout);
/* Of what is read from now on, where a request does not say otherwise. */
void client_set_consistency(struct client *client, Clusterd__Wire__Consistency consistency);
/* Where it is connected, or was last. */
const char *client_address(const struct client *client);
/* The node that it is connected to is of no use: the next one is asked from now on. */
void client_move(struct client *client);
msec client_now(const struct client *client); /* monotonic */
/* Waits until `deadline` (MSEC_NEVER: for ever), or until client_interrupt. */
void client_idle(struct client *client, msec deadline);
/* From within a call of the loop (a signal): until client_go_on nobody waits; client_ask gives ERR_TIMEOUT. */
void client_interrupt(struct client *client);
bool client_interrupted(const struct client *client);
void client_go_on(struct client *client);

/* For a conversation that is not question and answer (workers). */
struct loop *client_loop(struct client *client);
typedef void client_frame(void *context, int frame_type, const ProtobufCMessage *message, struct slice payload);
typedef void client_lost(void *context, const char *reason);
void client_on_frame(struct client *client, client_frame *frame, client_lost *lost, void *context);
/* After the connection was lost: one try at each address. */
int client_reconnect(struct client *client, struct error *error);
void client_send(struct client *client, int frame_type, const ProtobufCMessage *message, struct slice payload);

#endif
