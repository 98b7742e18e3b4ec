/* One connection to a node, for many frames in both directions at once. */
#ifndef BENCH_LINE_H
#define BENCH_LINE_H

#include "base/error.h"
#include "net/loop.h"
#include "proto/wire.pb-c.h"
#include "wire/frame.h"

struct line;

struct line_handler {
	void (*open)(void *context);                              /* from here on frames may be sent */
	void (*frame)(void *context, const struct frame *frame);
	void (*ended)(void *context, const struct error *reason); /* once; nothing comes after it */
};

int line_create(struct loop *loop, const char *address, Clusterd__Wire__Role role, const struct line_handler *handler,
                void *context, struct line **ret_line, struct error *error);
void line_destroy(struct line *line); /* NULL is fine; not from inside a call of the handler */
/* Frames of one turn of the loop go out together. */
void line_send(struct line *line, enum frame_type type, uint32_t stream, const ProtobufCMessage *message,
               struct slice payload);

#endif
