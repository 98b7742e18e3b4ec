/* Requests that this node cannot take: they are kept until they were answered, and given to the leader, to another one when that is
 * another; or to the member that they are for. Those that change something may be given twice, which (session, sequence) makes harmless
 * (INVARIANTS, 24); those for a member likewise, by what they say. There they are requests of the connection
 * NODE_PEER_CONNECTION | member. */
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
/* Takes a request for this member, another one than this node: it is answered by it, or refused when it cannot be reached. */
void forward_to(const struct request *request, uint64_t member);
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
