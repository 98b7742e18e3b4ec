/* A UDP socket. */
#ifndef CLUSTERD_NET_DATAGRAM_H
#define CLUSTERD_NET_DATAGRAM_H

#include "base/error.h"
#include "base/slice.h"
#include "net/loop.h"

#include <stdint.h>

struct address;
struct datagram_socket;

#define DATAGRAM_SIZE_MAX 2048     /* longer ones are given cut off to this and one byte more, to be refused */
#define DATAGRAMS_PER_TURN 256     /* then others have their turn */

/* `from` and `bytes` are valid during the call only. The socket may not be destroyed from inside. */
typedef void datagram_received(void *context, const struct address *from, struct slice bytes);

/* `address`: HOST:PORT to listen on, resolved blocking; a port other than 0. ERR_EXISTS: somebody has the port; as address_resolve. */
int datagram_open(struct loop *loop, const char *address, datagram_received *received, void *context,
                  struct datagram_socket **ret_socket, struct error *error);
void datagram_close(struct datagram_socket *socket); /* NULL is fine */
/* false: the system did not take it now; it is lost, as any datagram may be. */
bool datagram_send(struct datagram_socket *socket, const struct address *to, struct slice bytes);

#endif
