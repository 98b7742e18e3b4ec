/* One connection to a node, for many frames in both directions at once. */
#ifndef BENCH_LINK_H
#define BENCH_LINK_H

#include "base/error.h"
#include "net/loop.h"
#include "proto/wire.pb-c.h"
#include "wire/frame.h"

struct link;

struct link_handler {
	void (*open)(void *context);                              /* from here on frames may be sent */
	void (*frame)(void *context, const struct frame *frame);
	void (*ended)(void *context, const struct error *reason); /* once; nothing comes after it */
};

int link_create(struct loop *loop, const char *address, Clusterd__Wire__Role role, const struct link_handler *handler,
                void *context, struct link **ret_link, struct error *error);
void link_destroy(struct link *link); /* NULL is fine; not from inside a call of the handler */
/* Frames of one turn of the loop go out together. */
void link_send(struct link *link, enum frame_type type, uint32_t stream, const ProtobufCMessage *message,
               struct slice payload);

#endif
