/* Datagrams between nodes are sealed, so that only what comes from someone with the cluster secret is looked at:
 *
 *   offset  size
 *        0     4  which seal it is: "cls1", or without a secret "clp1"
 *        4    16  HMAC-SHA256 of what follows, cut to 16 bytes; without a secret XXH3 (128 bits) of it, against accidents only
 *       20        the message
 *
 * A sealed datagram that is heard once may be sent again by whoever has heard it. That does no harm: what gossip says of a member carries
 * its generation and incarnation, and older words never take the place of newer ones; an answer must fit a question that is still open. */
#ifndef CLUSTERD_WIRE_SEAL_H
#define CLUSTERD_WIRE_SEAL_H

#include "wire/secret.h"

#define SEAL_SIZE 20
#define SEAL_DATAGRAM_MAX 1232 /* bytes on the wire, seal included: passes every IPv6 path (1,280 − 48) */
#define SEAL_MESSAGE_MAX (SEAL_DATAGRAM_MAX - SEAL_SIZE)

enum seal_refusal {
	SEAL_INTACT,
	SEAL_SIZE_WRONG,  /* shorter than a seal, or longer than a datagram may be */
	SEAL_UNKNOWN,     /* not of this protocol */
	SEAL_NO_SECRET,   /* one of the two sides has a secret, the other has none */
	SEAL_BROKEN,      /* another secret, or changed on the way */
	SEAL_REFUSAL_COUNT,
};

/* Appends the sealed message of up to SEAL_MESSAGE_MAX bytes. `secret` may be NULL: none. */
void seal_append(struct buffer *out, const struct secret *secret, struct slice message);
/* SEAL_INTACT: `ret_message` points into `datagram`. */
enum seal_refusal seal_open(const struct secret *secret, struct slice datagram, struct slice *ret_message);
const char *seal_refusal_name(enum seal_refusal refusal); /* "size", "unknown", … */

#endif
