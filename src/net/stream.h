/* Byte streams: TCP, Unix sockets and pipes, read into a buffer and written from a queue, never blocking the loop. */
#ifndef CLUSTERD_NET_STREAM_H
#define CLUSTERD_NET_STREAM_H

#include "base/buffer.h"
#include "base/error.h"
#include "net/loop.h"

#include <stdint.h>

struct stream;

struct stream_handler {
	/* Bytes came; consume what is complete from the front of `input` (buffer_consume once a call), leave the rest:
	 * it comes again with more behind it. `input` is valid during the call only. The stream may be destroyed from
	 * inside. */
	void (*readable)(void *context, struct stream *stream, struct buffer *input);
	/* The peer closed, or an error (text in `reason`). Called once, not from inside a stream_ call; destroy it here
	 * or later. What had come before is delivered first. After the peer closed its side, what is queued still goes
	 * out. */
	void (*closed)(void *context, struct stream *stream, const char *reason);
	/* The queue for writing has fallen below the low mark after it was above the high mark. May be NULL. */
	void (*drained)(void *context, struct stream *stream);
};

#define STREAM_HIGH_MARK (4u << 20) /* bytes queued for writing: stop producing */
#define STREAM_LOW_MARK (1u << 20)
#define STREAM_QUEUE_MAX (64u << 20) /* queued for a peer that does not read: past it the stream is closed */
#define STREAM_INPUT_MAX (18u << 20) /* come and not consumed (a frame fits): past it the stream is closed */
#define STREAM_READ_SIZE (64u << 10) /* bytes read of one stream in one turn of the loop at most */

/* Takes the descriptor (socket or one end of a pipe), makes it non-blocking. */
struct stream *stream_create(struct loop *loop, int take_descriptor, const struct stream_handler *handler,
                             void *context);
void stream_destroy(struct stream *stream); /* closes; unsent bytes are lost; NULL is fine */
/* Queues bytes; all that a turn of the loop queues goes out together at its end (writev), or earlier past 64 KiB. When
 * the stream has failed they are dropped: `closed` tells. */
void stream_write(struct stream *stream, const void *data, size_t size);
void stream_write_slices(struct stream *stream, const struct slice *slices, size_t count);
/* Closes the writing side when the queue is empty; nothing may be written afterwards. The writing end of a pipe is
 * closed as a whole: `closed` is not called any more unless it fails before that. */
void stream_finish(struct stream *stream);
size_t stream_queued(const struct stream *stream); /* bytes not yet taken by the system */
/* false: bytes are left in the system until it is true again; that is how a fast peer is slowed down. What the handler
 * had not consumed is then shown to it again. While it is false, nobody notices that the peer closes. */
void stream_set_reading(struct stream *stream, bool reading);
/* Somebody else takes it over; what the former handler has not consumed is shown to the new one, not from inside this call. */
void stream_set_handler(struct stream *stream, const struct stream_handler *handler, void *context);
/* TCP: it fails when the other host has not acknowledged what was sent for so long (its network or power is gone). */
void stream_set_patience(struct stream *stream, msec patience);
void *stream_context(const struct stream *stream);
/* "127.0.0.1:4711", "unix", "pipe"; the address given to stream_connect; for messages. */
const char *stream_peer(const struct stream *stream);
/* Of the other side of a Unix socket; −1 elsewhere. */
int stream_peer_uid(const struct stream *stream);

/* Connects; `stream_handler.closed` tells when it could not; what is written meanwhile is queued. Address: "HOST:PORT"
 * (numeric, "[::1]:9189", or name; a name is resolved blocking, so only tools use names) or a path with a slash ("DIR/socket"). Errors
 * here are of the address only: ERR_INVALID, ERR_NOT_FOUND (no such host), ERR_LIMIT (file name too long). */
int stream_connect(struct loop *loop, const char *address, const struct stream_handler *handler, void *context,
                   struct stream **ret_stream, struct error *error);
/* The same with addresses that are resolved (1 … ADDRESS_CHOICES), tried in turn. `name`: for messages. */
struct address;
struct stream *stream_connect_to(struct loop *loop, const struct address *addresses, size_t count, const char *name,
                                 const struct stream_handler *handler, void *context);

struct listener;
/* A new connection: the callee takes the descriptor. */
typedef void listener_accepted(void *context, int take_descriptor, const char *peer);
/* "HOST:PORT" or a path with a slash ("DIR/socket") (a stale socket file is replaced, mode 0600). At most `connections_max` accepted and
 * not yet given back with listener_release: more wait in the backlog. ERR_EXISTS: somebody listens there already, or
 * the file is not a socket; others as stream_connect, and ERR_IO. */
int listener_create(struct loop *loop, const char *address, uint32_t connections_max, listener_accepted *accepted,
                    void *context, struct listener **ret_listener, struct error *error);
void listener_destroy(struct listener *listener); /* removes its socket file; NULL is fine */
void listener_release(struct listener *listener); /* one accepted connection is gone */
uint16_t listener_port(const struct listener *listener); /* 0 for a Unix socket */

#endif
