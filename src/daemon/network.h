/* All that a node has on the network, opened and closed together: the door for clients (service.h), connections with other nodes
 * (peers.h), and datagrams, sealed with the cluster secret (wire/seal.h). TCP and UDP have one port number. */
#ifndef CLUSTERD_DAEMON_NETWORK_H
#define CLUSTERD_DAEMON_NETWORK_H

#include "daemon/config.h"
#include "daemon/peers.h"
#include "daemon/service.h"

struct network;

struct network_handler {
	struct peers_handler peers;
	/* A sealed message came, from "IP:PORT". Borrowed. */
	void (*datagram)(void *context, const char *from, struct slice bytes);
};

struct network_options {
	const struct config *config;
	const char *socket_path;
	uint64_t id;
	uint64_t generation;
	const char *cluster_id; /* "": none yet */
	uint64_t seed;
};

/* Listens; writes DIR/endpoint (the first line is HOST:PORT it listens on) and, with a secret, DIR/token (what clients show, 0600).
 * Nothing is told to the handler before the loop runs. */
int network_open(struct loop *loop, const struct network_options *options, const struct network_handler *handler,
                 void *context, struct network **ret_network, struct error *error);
void network_close(struct network *network); /* NULL is fine */

struct service *network_service(const struct network *network);
struct peers *network_peers(const struct network *network);
const char *network_address(const struct network *network); /* HOST:PORT, as others reach this node */
/* The node belongs to this cluster now. */
void network_set_cluster(struct network *network, const char *cluster_id);
/* Sends a message of up to SEAL_MESSAGE_MAX bytes, or loses it, as when the name is not known yet. */
void network_datagram(struct network *network, const char *address, struct slice bytes);
/* Appends `,"name":value` for `status`. */
void network_status(const struct network *network, struct buffer *out);

#endif
