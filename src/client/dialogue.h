/* Frames in both directions over a channel: what services and those that call them say to each other. */
#ifndef CLUSTERD_CLIENT_DIALOGUE_H
#define CLUSTERD_CLIENT_DIALOGUE_H

#include "client/channel.h"
#include "client/stream_frame.h"

#include "net/outbox.h"

struct dialogue {
	struct channel *channel; /* NULL: there is none */
	struct buffer input;
	size_t taken; /* of the input */
	struct outbox out;
	struct timer timer; /* what was said is sent with the next turn */
	channel_ready *ready;
	void *context;
	bool deaf; /* nothing is read */
};

/* `ready` is called when it can be read or written, or has something to send: see dialogue_turn. */
void dialogue_begin(struct dialogue *dialogue, struct channel *take_channel, struct buffer *take_input, channel_ready *ready,
                    void *context);
void dialogue_end(struct dialogue *dialogue); /* also one that was zeroed and not begun */
void dialogue_say(struct dialogue *dialogue, enum stream_frame_type type, uint64_t number, struct slice body);
/* Sends, and reads once unless it is deaf. 0, or why it is over. */
int dialogue_turn(struct dialogue *dialogue, uint32_t events, struct error *error);
/* The next frame that has come; it lives until the next call. 1, 0: none is whole, or why it is over. */
int dialogue_next(struct dialogue *dialogue, struct stream_frame *ret_frame, struct error *error);
/* Whether it is to be read; what has come and was not taken is taken with a turn later. */
void dialogue_listen(struct dialogue *dialogue, bool listen);

#endif
