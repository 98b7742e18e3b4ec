/* How a connection that is being made (connect.c) becomes a stream. */
#ifndef CLUSTERD_NET_STREAM_INTERNAL_H
#define CLUSTERD_NET_STREAM_INTERNAL_H

#include "net/stream.h"

struct dial;

/* A stream without a descriptor: what is written waits. */
struct stream *stream_create_unconnected(struct loop *loop, const char *peer, const struct stream_handler *handler,
                                         void *context);
void stream_set_dial(struct stream *stream, struct dial *take_dial);
/* From the loop: the dial is over and is destroyed. */
void stream_connected(struct stream *stream, int take_descriptor);
void stream_not_connected(struct stream *stream, const char *reason);

void dial_destroy(struct dial *dial); /* NULL is fine */

#endif
