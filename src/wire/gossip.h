/* Messages of members (membership/message.h) as bytes (proto/gossip.proto). */
#ifndef CLUSTERD_WIRE_GOSSIP_H
#define CLUSTERD_WIRE_GOSSIP_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "membership/message.h"

/* Appends the packed message: of a datagram at most GOSSIP_DATAGRAM_MAX bytes, of an exchange what fits in a frame. What it needs
 * meanwhile is in `scratch`, the caller's to reset. */
void gossip_encode(const struct gossip_message *message, struct arena *scratch, struct buffer *out);
/* Unpacks into `arena`, to which all of the message points: nothing points into `bytes`. What it gives is gossip_message_valid.
 * ERR_INVALID: malformed; ERR_LIMIT: longer or more than allowed; ERR_VERSION: of another version of the protocol (who sent it
 * and what kind it is are in `ret_message` even so, all else is empty: give it to the core, which counts and answers). */
int gossip_decode(struct slice bytes, struct arena *arena, struct gossip_message *ret_message, struct error *error);

#endif
