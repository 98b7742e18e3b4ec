/* What goes over a data plane: a fixed header, and raw bytes.
 *
 *   offset  size
 *        0     4  checksum: low half of XXH3 of everything after it
 *        4     4  size of what follows the header
 *        8     2  type
 *       10     2  0
 *       12     8  a time, or the number of a request
 *       20        the rest
 *
 * Integers are little-endian. Pure. */
#ifndef CLUSTERD_CLIENT_STREAM_FRAME_H
#define CLUSTERD_CLIENT_STREAM_FRAME_H

#include "base/error.h"
#include "base/slice.h"

#include <stdint.h>

#define STREAM_HEADER_SIZE 20
#define STREAM_MESSAGE_MAX (16u << 20)                    /* one message, item or request */
#define STREAM_FRAME_MAX (STREAM_MESSAGE_MAX + (64u << 10)) /* behind the header */
#define STREAM_GREETING_MAX 4096                          /* before the two know each other */
#define STREAM_TIME_END UINT64_MAX                        /* a frontier: no more data at all */
#define STREAM_FROM_NOW UINT64_MAX

enum stream_frame_type {
	STREAM_HELLO = 1, /* of who connects */
	STREAM_WELCOME,
	STREAM_PROOF,
	STREAM_REFUSAL,   /* of either side, at any time: Refusal; the connection ends */
	STREAM_START,     /* time: from here on epochs are whole; all that is before and was not complete is void */
	STREAM_DATA,      /* messages of one time */
	STREAM_CHANGES,   /* items of one time, with how many more or less of them there are */
	STREAM_FRONTIER,  /* time: nothing more comes that is before */
	STREAM_STATE,     /* items of a collection and how many there are; time: 0 in the first frame of a state, else 1 */
	STREAM_REQUEST,   /* time: its number */
	STREAM_RESPONSE,
	STREAM_FAILURE,   /* a text */
	STREAM_TYPE_COUNT,
};

struct stream_frame {
	enum stream_frame_type type;
	uint64_t time;
	struct slice body;
};

/* The header of a frame whose body follows. */
void stream_frame_head(char ret_head[STREAM_HEADER_SIZE], enum stream_frame_type type, uint64_t time, struct slice body);
/* The first frame of `input`, which it points into. `size_max`: of its body. 1: `ret_size` bytes were one; 0: more bytes have to come, and
 * `ret_size` is how many there must be at least; ERR_CORRUPT, ERR_LIMIT, ERR_INVALID. */
int stream_frame_parse(struct slice input, size_t size_max, struct stream_frame *ret_frame, size_t *ret_size,
                       struct error *error);

/* The parts of a body of STREAM_DATA: each one's size (4) and bytes; of STREAM_CHANGES and STREAM_STATE: size (4), count (8), bytes. */
#define STREAM_MESSAGE_HEAD 4
#define STREAM_ITEM_HEAD 12
/* Whether the body is nothing but whole parts. ERR_CORRUPT. */
int stream_parts_check(enum stream_frame_type type, struct slice body, struct error *error);
/* Takes the first part off a body that was checked. false: there is none. `ret_count`: 1 for a message. */
bool stream_parts_next(enum stream_frame_type type, struct slice *body, struct slice *ret_part, int64_t *ret_count);

#endif
