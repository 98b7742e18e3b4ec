#include "client/channel.h"

#include "base/memory.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

static void is_ready(struct pollee *pollee, uint32_t events)
{
	struct channel *channel = (struct channel *)pollee;
	if (channel->ready != NULL)
		channel->ready(channel->context, events);
}

struct channel *channel_create(struct link_base *base, int take_descriptor, channel_ready *ready, void *context)
{
	struct channel *channel = mem_zero(sizeof *channel);
	channel->pollee.ready = is_ready;
	channel->base = base;
	channel->descriptor = take_descriptor;
	channel->ready = ready;
	channel->context = context;
	return channel;
}

void channel_destroy(struct channel *channel)
{
	if (channel == NULL)
		return;
	close(channel->descriptor); /* which takes it from epoll */
	channel->ready = NULL;
	link_base_bury(channel->base, &channel->pollee);
}

void channel_pass(struct channel *channel, channel_ready *ready, void *context)
{
	channel->ready = ready;
	channel->context = context;
}

void channel_watch(struct channel *channel, uint32_t events)
{
	struct epoll_event event = {.events = events | EPOLLRDHUP, .data.ptr = &channel->pollee};
	if (channel->events == event.events)
		return;
	epoll_ctl(channel->base->epoll, channel->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, channel->descriptor,
	          &event);
	channel->events = event.events;
}

static bool is_only_for_now(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK;
}

ssize_t channel_read(struct channel *channel, struct buffer *input, size_t size, struct error *error)
{
	ssize_t got;
	do
		got = recv(channel->descriptor, buffer_reserve(input, size), size, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0 && is_only_for_now())
		return 0;
	if (got == 0)
		return error_set(error, ERR_CLOSED, "the other side closed the connection");
	if (got < 0)
		return error_set(error, ERR_CLOSED, "the connection was lost: %s", strerror(errno));
	input->size += (size_t)got;
	return got;
}

ssize_t channel_write(struct channel *channel, const struct iovec *parts, size_t count, struct error *error)
{
	struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = count};
	ssize_t written;
	do
		written = sendmsg(channel->descriptor, &message, MSG_NOSIGNAL);
	while (written < 0 && errno == EINTR);
	if (written < 0 && is_only_for_now())
		return 0;
	if (written < 0)
		return error_set(error, ERR_CLOSED, "the connection was lost: %s", strerror(errno));
	return written;
}

int channel_flush(struct channel *channel, struct buffer *out, struct error *error)
{
	while (out->size != 0) {
		struct iovec part = {out->data, out->size};
		ssize_t written = channel_write(channel, &part, 1, error);
		if (written <= 0)
			return (int)written;
		buffer_consume(out, (size_t)written);
	}
	return 0;
}

void channel_tune(int descriptor)
{
	int on = 1;
	int idle_s = 10;
	int between_s = 5;
	setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
	setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, &between_s, sizeof between_s);
}

int channel_draw(void *ret_bytes, size_t size, struct error *error)
{
	if (getrandom(ret_bytes, size, 0) != (ssize_t)size)
		return error_set(error, ERR_IO, "the system gives no random numbers: %s", strerror(errno));
	return 0;
}
