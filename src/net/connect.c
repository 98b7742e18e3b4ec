/* A connection in the making: the addresses of a name are tried in turn. */
#include "base/memory.h"
#include "net/address.h"
#include "net/stream_internal.h"
#include "net/turn.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

struct dial {
	struct loop *loop;
	struct stream *stream;
	struct loop_watch *watch;
	struct loop_task start; /* no failure is told from inside stream_connect */
	struct address addresses[ADDRESS_CHOICES];
	size_t count;
	size_t next;
	int directory; /* of a socket file; −1: none */
	int descriptor;
	int last_errno;
};

static void abandon_attempt(struct dial *dial)
{
	loop_watch_destroy(dial->watch);
	dial->watch = NULL;
	if (dial->descriptor >= 0)
		close(dial->descriptor);
	dial->descriptor = -1;
}

void dial_destroy(struct dial *dial)
{
	if (dial == NULL)
		return;
	abandon_attempt(dial);
	loop_task_cancel(dial->loop, LOOP_READY, &dial->start);
	if (dial->directory >= 0)
		close(dial->directory);
	mem_free(dial);
}

static void succeeded(struct dial *dial)
{
	int descriptor = dial->descriptor;
	dial->descriptor = -1;
	abandon_attempt(dial);
	stream_connected(dial->stream, descriptor); /* destroys the dial */
}

static void attempt_ready(void *context, bool readable, bool writable);

/* One address. true: it is under way, or has succeeded and the dial is gone. */
static bool attempt(struct dial *dial, const struct address *address)
{
	dial->descriptor = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (dial->descriptor < 0) {
		dial->last_errno = errno;
		return false;
	}
	if (connect(dial->descriptor, &address->any, address->size) == 0) {
		succeeded(dial);
		return true;
	}
	if (errno != EINPROGRESS) {
		dial->last_errno = errno;
		abandon_attempt(dial);
		return false;
	}
	dial->watch = loop_watch_create(dial->loop, dial->descriptor, attempt_ready, dial);
	loop_watch_set(dial->watch, false, true);
	return true;
}

static void try_next(void *context)
{
	struct dial *dial = context;
	while (dial->next < dial->count) {
		if (attempt(dial, &dial->addresses[dial->next++]))
			return;
	}
	const char *reason =
		dial->last_errno == EAGAIN ? "it has too many connections waiting" : strerror(dial->last_errno);
	stream_not_connected(dial->stream, reason); /* destroys the dial */
}

static void attempt_ready(void *context, bool readable, bool writable)
{
	(void)readable;
	(void)writable;
	struct dial *dial = context;
	int failure = 0;
	socklen_t size = sizeof failure;
	getsockopt(dial->descriptor, SOL_SOCKET, SO_ERROR, &failure, &size);
	if (failure == 0 && address_is_own_echo(dial->descriptor))
		failure = ECONNREFUSED;
	if (failure == 0) {
		succeeded(dial);
		return;
	}
	dial->last_errno = failure;
	abandon_attempt(dial);
	try_next(dial);
}

static struct dial *dial_create(struct loop *loop)
{
	struct dial *dial = mem_zero(sizeof *dial);
	dial->loop = loop;
	dial->directory = dial->descriptor = -1;
	dial->start = (struct loop_task){.call = try_next, .context = dial};
	return dial;
}

static struct stream *dial_start(struct dial *dial, const char *name, const struct stream_handler *handler, void *context)
{
	dial->stream = stream_create_unconnected(dial->loop, name, handler, context);
	stream_set_dial(dial->stream, dial);
	loop_task_queue(dial->loop, LOOP_READY, &dial->start);
	return dial->stream;
}

struct stream *stream_connect_to(struct loop *loop, const struct address *addresses, size_t count, const char *name,
                                 const struct stream_handler *handler, void *context)
{
	assert(count > 0 && count <= ADDRESS_CHOICES);
	struct dial *dial = dial_create(loop);
	memcpy(dial->addresses, addresses, count * sizeof *addresses);
	dial->count = count;
	return dial_start(dial, name, handler, context);
}

int stream_connect(struct loop *loop, const char *address, const struct stream_handler *handler, void *context,
                   struct stream **ret_stream, struct error *error)
{
	struct dial *dial = dial_create(loop);
	int code;
	if (address_is_file(address)) {
		struct address_file file = {.directory = -1};
		code = address_of_file(address, &file, &dial->addresses[0], error);
		dial->directory = file.directory;
		dial->count = 1;
	} else {
		code = address_resolve(address, false, dial->addresses, &dial->count, error);
	}
	if (code != 0) {
		dial_destroy(dial);
		return code;
	}
	*ret_stream = dial_start(dial, address, handler, context);
	return 0;
}
