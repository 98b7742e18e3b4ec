#include "client/visit.h"

#include "base/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE 4096

struct visit {
	struct link_base *base;
	const struct greeting_config *config;
	char *address;
	struct address choices[ADDRESS_CHOICES];
	size_t choice_count;
	size_t choice;
	struct channel *channel; /* NULL: not begun */
	bool connected;
	struct greeting greeting;
	struct buffer input;
	struct buffer out;
	struct timer timer; /* its begin, or its end */
	visit_done *done;
	void *context;
};

static void visit_free(struct visit *visit)
{
	timers_set(&visit->base->timers, &visit->timer, MSEC_NEVER);
	channel_destroy(visit->channel);
	buffer_finish(&visit->input);
	buffer_finish(&visit->out);
	mem_free(visit->address);
	mem_free(visit);
}

static void end(struct visit *visit, const struct error *error)
{
	visit_done *done = visit->done;
	void *context = visit->context;
	struct greeting greeting = visit->greeting;
	struct channel *channel = error == NULL ? visit->channel : NULL;
	struct buffer rest = error == NULL ? visit->input : BUFFER_EMPTY;
	struct error why = {0};
	if (error == NULL) {
		visit->channel = NULL;
		visit->input = BUFFER_EMPTY;
	} else {
		error_set(&why, error->code, "%s: %s", visit->address, error->text);
	}
	visit_free(visit);
	done(context, &greeting, channel, &rest, error == NULL ? NULL : &why);
}

/* --- greeting ------------------------------------------------------------------------------------------------------ */

static void greet(struct visit *visit, uint32_t events)
{
	struct error error;
	size_t taken = 0;
	ssize_t got = 0;
	int code = 0;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
		got = channel_read(visit->channel, &visit->input, READ_SIZE, &error);
	if (got > 0) {
		code = greeting_take(&visit->greeting, buffer_slice(&visit->input), &taken, &visit->out, &error);
		buffer_consume(&visit->input, taken);
	}
	if (got >= 0 && code == 0)
		code = channel_flush(visit->channel, &visit->out, &error);
	if (got < 0 || code != 0)
		end(visit, &error);
	else if (visit->greeting.open && visit->out.size == 0)
		end(visit, NULL);
	else
		channel_watch(visit->channel, visit->out.size != 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* --- connecting ---------------------------------------------------------------------------------------------------- */

static void visit_ready(void *context, uint32_t events);

static bool dial(struct visit *visit, const struct address *address, int *ret_errno)
{
	int descriptor = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (descriptor >= 0 && (connect(descriptor, &address->any, address->size) == 0 || errno == EINPROGRESS)) {
		visit->channel = channel_create(visit->base, descriptor, visit_ready, visit);
		channel_watch(visit->channel, EPOLLOUT);
		return true;
	}
	*ret_errno = errno;
	if (descriptor >= 0)
		close(descriptor);
	return false;
}

static void dial_next(struct visit *visit, int last_errno)
{
	struct error error;
	channel_destroy(visit->channel);
	visit->channel = NULL;
	while (visit->choice < visit->choice_count) {
		if (dial(visit, &visit->choices[visit->choice++], &last_errno))
			return;
	}
	error_set(&error, ERR_CLOSED, "it cannot be connected to: %s", strerror(last_errno));
	end(visit, &error);
}

static void visit_ready(void *context, uint32_t events)
{
	struct visit *visit = context;
	int failure = 0;
	socklen_t size = sizeof failure;
	if (visit->connected) {
		greet(visit, events);
		return;
	}
	getsockopt(visit->channel->descriptor, SOL_SOCKET, SO_ERROR, &failure, &size);
	if (failure == 0 && address_is_own_echo(visit->channel->descriptor))
		failure = ECONNREFUSED;
	if (failure != 0) {
		dial_next(visit, failure);
		return;
	}
	visit->connected = true;
	channel_tune(visit->channel->descriptor);
	greet(visit, 0);
}

static void time_is_out(void *context)
{
	struct visit *visit = context;
	struct error error = {0};
	unsigned char nonce[GREETING_NONCE_SIZE];
	if (visit->channel != NULL) {
		error_set(&error, ERR_TIMEOUT, "no answer within %d ms", VISIT_MS);
		end(visit, &error);
		return;
	}
	timers_set(&visit->base->timers, &visit->timer, visit->base->now + VISIT_MS);
	if (channel_draw(nonce, sizeof nonce, &error) == 0 &&
	    address_resolve(visit->address, false, visit->choices, &visit->choice_count, &error) == 0) {
		greeting_begin(&visit->greeting, visit->config, nonce, &visit->out);
		dial_next(visit, 0);
	} else {
		end(visit, &error);
	}
}

struct visit *visit_begin(struct link_base *base, const char *address, const struct greeting_config *config,
                          visit_done *done, void *context)
{
	struct visit *visit = mem_zero(sizeof *visit);
	visit->base = base;
	visit->config = config;
	visit->address = mem_string(address);
	visit->done = done;
	visit->context = context;
	visit->timer = (struct timer){.call = time_is_out, .context = visit};
	timers_set(&base->timers, &visit->timer, base->now);
	return visit;
}

void visit_cancel(struct visit *visit)
{
	if (visit != NULL)
		visit_free(visit);
}
