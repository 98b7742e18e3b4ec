#include "client/dialogue.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#define READ_SIZE (128u << 10)

static void time_has_come(void *context)
{
	struct dialogue *dialogue = context;
	dialogue->ready(dialogue->context, 0);
}

static void turn_soon(struct dialogue *dialogue)
{
	struct link_base *base = dialogue->channel->base;
	if (dialogue->timer.place == 0)
		timers_set(&base->timers, &dialogue->timer, base->now);
}

void dialogue_begin(struct dialogue *dialogue, struct channel *take_channel, struct buffer *take_input,
                    channel_ready *ready, void *context)
{
	*dialogue = (struct dialogue){
		.channel = take_channel, .input = *take_input, .ready = ready, .context = context};
	dialogue->timer = (struct timer){.call = time_has_come, .context = dialogue};
	outbox_init(&dialogue->out);
	channel_pass(take_channel, ready, context);
	channel_watch(take_channel, EPOLLIN);
	turn_soon(dialogue);
}

void dialogue_end(struct dialogue *dialogue)
{
	if (dialogue->channel == NULL)
		return;
	timers_set(&dialogue->channel->base->timers, &dialogue->timer, MSEC_NEVER);
	channel_destroy(dialogue->channel);
	dialogue->channel = NULL;
	outbox_finish(&dialogue->out);
	buffer_finish(&dialogue->input);
	dialogue->taken = 0;
}

void dialogue_say(struct dialogue *dialogue, enum stream_frame_type type, uint64_t number, struct slice body)
{
	char head[STREAM_HEADER_SIZE];
	stream_frame_head(head, type, number, body);
	outbox_append(&dialogue->out, head, sizeof head);
	outbox_append(&dialogue->out, body.data, body.size);
	turn_soon(dialogue);
}

static int flush(struct dialogue *dialogue, struct error *error)
{
	while (dialogue->out.size != 0) {
		ssize_t written = outbox_write(&dialogue->out, dialogue->channel->descriptor, true);
		if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (written < 0 && errno != EINTR)
			return error_set(error, ERR_CLOSED, "the connection was lost: %s", strerror(errno));
	}
	channel_watch(dialogue->channel,
	              (dialogue->deaf ? 0u : EPOLLIN) | (dialogue->out.size != 0 ? (uint32_t)EPOLLOUT : 0u));
	return 0;
}

int dialogue_turn(struct dialogue *dialogue, uint32_t events, struct error *error)
{
	int code = flush(dialogue, error);
	if (code == 0 && (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0 && dialogue->deaf)
		return error_set(error, ERR_CLOSED, "the other side closed the connection");
	if (code != 0 || dialogue->deaf || (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) == 0)
		return code;
	ssize_t got = channel_read(dialogue->channel, &dialogue->input, READ_SIZE, error);
	return got < 0 ? (int)got : 0;
}

int dialogue_next(struct dialogue *dialogue, struct stream_frame *ret_frame, struct error *error)
{
	struct slice rest = {dialogue->input.data + dialogue->taken, dialogue->input.size - dialogue->taken};
	size_t size;
	int got = stream_frame_parse(rest, STREAM_MESSAGE_MAX, ret_frame, &size, error);
	if (got == 1) {
		dialogue->taken += size;
	} else if (got == 0) {
		buffer_consume(&dialogue->input, dialogue->taken);
		dialogue->taken = 0;
	}
	return got;
}

void dialogue_listen(struct dialogue *dialogue, bool listen)
{
	if (dialogue->deaf == !listen)
		return;
	dialogue->deaf = !listen;
	turn_soon(dialogue);
}
