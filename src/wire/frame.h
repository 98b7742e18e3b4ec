/* Frames (INVARIANTS, 26): a fixed header, a small protobuf message, a raw payload.
 *
 *   offset  size
 *        0     4  checksum: low half of XXH3 of everything after it, payload included
 *        4     2  type
 *        6     2  flags, 0
 *        8     4  stream: which request an answer belongs to; chosen by who asks, 0 on a connection's own frames
 *       12     4  size of the message
 *       16     4  size of the payload
 *       20        message, payload
 *
 * Integers are little-endian. */
#ifndef CLUSTERD_WIRE_FRAME_H
#define CLUSTERD_WIRE_FRAME_H

#include "base/buffer.h"
#include "base/error.h"

#include <stdint.h>

#define FRAME_HEADER_SIZE 20
#define FRAME_SIZE_MAX (16u << 20) /* message and payload together */
#define FRAME_PEER_SIZE_MAX (17u << 20) /* between nodes: an entry is a little larger than the request it came with */
#define FRAME_MESSAGE_MAX (4u << 20)

enum frame_type {
	FRAME_HELLO = 1,     /* Hello: the first frame of who connects */
	FRAME_WELCOME,       /* Welcome: its answer; with an error, the connection ends */
	FRAME_REQUEST,       /* Request */
	FRAME_RESPONSE,      /* Response, on the request's stream; the last one of a stream unless `more` is set */
	FRAME_CANCEL,        /* the asker no longer wants an answer on this stream; no message */
	FRAME_GOODBYE,       /* Goodbye: why the connection is being closed */
	FRAME_OFFER,         /* Offer: a worker says what it serves and how many calls it may get */
	FRAME_ASSIGNMENT,    /* Assignment; payload: arguments */
	FRAME_ABANDON,       /* Abandon: stop a call, its result is no longer wanted */
	FRAME_RESULT,        /* Result; payload: value or message of a failure */
	FRAME_RESULT_TAKEN,  /* Taken: the result is committed, or of no use; the worker may forget it */
	FRAME_HEARTBEAT,     /* Heartbeat: a call is alive */
	FRAME_PROOF,         /* Proof: a node that connects shows that it has the secret, after the welcome */
	/* Between nodes, whose connection is open: from here on. */
	FRAME_RAFT,          /* RaftMessage; payload: bodies of entries one after another, or a piece of a snapshot */
	FRAME_EXCHANGE,      /* a piece of a gossip exchange; no message, payload: as wire/gossip.h packs it */
	FRAME_FORWARD,       /* Request of a client of the sender, on a stream of the sender's */
	FRAME_FORWARDED,     /* Response to it, on the same stream. On stream 0, empty: what was not answered by now will not be */
	FRAME_FORWARD_CANCEL, /* the asker no longer wants an answer on this stream, 0: on any; no message */
	FRAME_PRESENCE,      /* Presence: sessions and leases that clients of the sender keep alive */
	FRAME_FORM,          /* Form: servers begin a cluster */
	FRAME_PLACES,        /* Places: what the sender can run */
	FRAME_SURVEY,        /* Survey: the leader asks for it */
	FRAME_FETCH,         /* Fetch: a node without a catalog asks for definitions and files */
	FRAME_FETCHED,       /* Fetched: some bytes of them; payload: the bytes */
	FRAME_SET_BACK,      /* the receiver has less than it had said to be durable: nothing is taken from it; no message */
	FRAME_TASKS,         /* Tasks: what the leader wants a node to run of jobs */
	FRAME_TASK_REPORTS,  /* TaskReports: what became of it */
	FRAME_TYPE_END,
};

struct frame {
	enum frame_type type;
	uint32_t stream;
	struct slice message;
	struct slice payload;
};

/* The header alone, checked as far as it can be without the rest. */
struct frame_header {
	uint32_t checksum;
	enum frame_type type;
	uint32_t stream;
	uint32_t message_size;
	uint32_t payload_size;
};

/* "request", …; "type 77" is "unknown". Never NULL. */
const char *frame_type_name(unsigned type);
/* Of message and payload together. */
uint32_t frame_size_max(unsigned type);
/* 1: `input` begins with a header that is well-formed; 0: it is too short; ERR_LIMIT, ERR_INVALID. */
int frame_parse_header(struct slice input, struct frame_header *ret_header, struct error *error);
/* Looks for a whole frame at the front of `input`. 1: there is one, it points into `input` and takes `ret_size` bytes;
 * 0: not yet; ERR_LIMIT, ERR_CORRUPT, ERR_INVALID (type): the connection cannot go on. */
int frame_parse(struct slice input, struct frame *ret_frame, size_t *ret_size, struct error *error);
/* Appends a frame. Its parts must be within the limits. */
void frame_append(struct buffer *out, enum frame_type type, uint32_t stream, struct slice message,
                  struct slice payload);
/* For who puts the message behind the header without a copy: reserves the header in `out`, returns where it stands;
 * frame_seal writes it when the message has been appended. The payload, unless it is empty, must follow the message. */
size_t frame_reserve(struct buffer *out);
void frame_seal(struct buffer *out, size_t at, enum frame_type type, uint32_t stream, struct slice payload);
/* The same with a payload in parts. */
void frame_seal_parts(struct buffer *out, size_t at, enum frame_type type, uint32_t stream, const struct slice *payload,
                      size_t payload_count);

#endif
