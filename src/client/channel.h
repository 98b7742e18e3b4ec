/* A connection of a data plane in the client's loop: reads, writes, and what wakes it. What the bytes mean is for whoever has it. */
#ifndef CLUSTERD_CLIENT_CHANNEL_H
#define CLUSTERD_CLIENT_CHANNEL_H

#include "client/link.h"

#include "base/buffer.h"
#include "net/address.h"

#include <sys/uio.h>

/* `events`: EPOLLIN, …; the channel may be destroyed from inside. */
typedef void channel_ready(void *context, uint32_t events);

struct channel {
	struct pollee pollee; /* first */
	struct link_base *base;
	int descriptor;
	uint32_t events;
	channel_ready *ready; /* NULL: destroyed in this turn */
	void *context;
};

/* Takes the descriptor, which does not block. */
struct channel *channel_create(struct link_base *base, int take_descriptor, channel_ready *ready, void *context);
void channel_destroy(struct channel *channel); /* closes it; NULL is fine */
/* It belongs to another one from now on. */
void channel_pass(struct channel *channel, channel_ready *ready, void *context);
void channel_watch(struct channel *channel, uint32_t events); /* 0: nothing but its end */
/* Bytes added to `input`, up to `size`; 0: none are there now; ERR_CLOSED. */
ssize_t channel_read(struct channel *channel, struct buffer *input, size_t size, struct error *error);
/* Bytes written; 0: it takes none now; ERR_CLOSED. */
ssize_t channel_write(struct channel *channel, const struct iovec *parts, size_t count, struct error *error);
/* Writes and consumes what it takes. 0 or ERR_CLOSED. */
int channel_flush(struct channel *channel, struct buffer *out, struct error *error);
/* Small frames are not held back, and who only reads notices within a minute that the other's host is gone. */
void channel_tune(int descriptor);
/* Random bytes. ERR_IO. */
int channel_draw(void *ret_bytes, size_t size, struct error *error);

#endif
