/* Requests that change something, on a node that cannot take them: they are kept until they were answered, and given to the
 * leader, to another one when that is another. (session, sequence) makes giving them twice harmless (INVARIANTS, 24). On the leader
 * they are requests of the connection NODE_PEER_CONNECTION | member. */
#ifndef CLUSTERD_DAEMON_FORWARD_H
#define CLUSTERD_DAEMON_FORWARD_H

#include "daemon/request.h"

struct forwarding;

struct forwarding *forwarding_create(void);
void forwarding_destroy(struct forwarding *forwarding); /* NULL is fine */

/* Whether this node itself carries out what changes something, now. */
bool forward_serves(const struct node *node);
/* Takes the request: it is answered when a leader has answered it, or none was found in time. */
void forward_request(const struct request *request);
/* Nobody wants the answer any more. */
void forward_forget(struct node *node, uint64_t id);

/* Who leads may have changed; does what follows. Call it after whatever may change it, before entries are applied. */
void forward_look(struct node *node);
void forward_turn(struct node *node);
msec forward_deadline(const struct node *node);

void forward_peer_up(struct node *node, uint64_t member);
void forward_peer_down(struct node *node, uint64_t member);
/* Whether a connection to the member is open. */
bool forward_reaches(const struct node *node, uint64_t member);
/* FRAME_FORWARD, FRAME_FORWARDED, FRAME_FORWARD_CANCEL of a member. */
void forward_message(struct node *node, uint64_t member, int frame_type, uint32_t stream,
                     const ProtobufCMessage *message, struct slice payload);

#endif
