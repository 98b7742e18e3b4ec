/* The node's door: connections of clients and workers over TCP and the Unix socket, speaking frames. Other nodes come in here, too, and
 * are handed on. */
#ifndef CLUSTERD_DAEMON_SERVICE_H
#define CLUSTERD_DAEMON_SERVICE_H

#include "base/error.h"
#include "daemon/node.h"
#include "daemon/peers.h"
#include "net/loop.h"

struct service;

struct service_options {
	const char *listen;       /* HOST:PORT */
	const char *socket_path;
	const char *cluster_id;
	const char *node_name;
	const char *token;        /* what clients show over TCP; "": nothing. The Unix socket's file is only for its owner anyway */
	uint32_t connections_max; /* of clients, through each of the two; fewer when the system gives less descriptors */
};

#define SERVICE_HELLO_MS 10000 /* a connection that has not said hello by then is closed */
/* Connections that have not said hello, through each of the two: beyond, the oldest is closed for a new one. So those who say nothing
 * keep nobody out, neither clients nor other nodes, which have limits of their own (peers.h). */
#define SERVICE_PENDING_MAX 512

int service_create(struct loop *loop, const struct service_options *options, struct service **ret_service,
                   struct error *error);
/* Requests go to this node from now on. */
void service_set_node(struct service *service, struct node *node);
/* Other nodes are taken from now on, over TCP; NULL: not any more. */
void service_set_peers(struct service *service, struct peers *peers);
void service_set_cluster(struct service *service, const char *cluster_id);
void service_destroy(struct service *service); /* NULL is fine */
uint16_t service_port(const struct service *service);
/* false: what workers send is left in the system until it is true again. */
void service_read_workers(struct service *service, bool reading);
/* Closes what has not said hello in time; call now and then. */
void service_sweep(struct service *service);

/* To a connection; nothing happens when it is gone. */
void service_respond(struct service *service, uint64_t connection, uint32_t stream,
                     const Clusterd__Wire__Response *response, struct slice payload);
void service_send(struct service *service, uint64_t connection, int frame_type, const ProtobufCMessage *message,
                  struct slice payload);
/* Sends the file as responses of up to 1 MiB, as fast as the peer takes them, then removes it. */
void service_send_file(struct service *service, uint64_t connection, uint32_t stream, const char *path);

struct service_counts {
	uint32_t connections;
	uint32_t workers;
	uint64_t accepted;
	uint64_t failed; /* ended because the peer broke the rules */
};
const struct service_counts *service_counts(const struct service *service);

#endif
