#include "net/stream.h"

#include "base/memory.h"
#include "net/address.h"
#include "net/outbox.h"
#include "net/stream_internal.h"
#include "net/turn.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define WRITE_EARLY (64u << 10)     /* queued in a turn: no need to wait for its end */
#define WRITE_TURN_MAX (4u << 20)   /* then others have their turn */
#define INPUT_SHRINK (256u << 10)   /* a buffer that is this large and mostly empty is given back */

struct stream {
	struct loop *loop;
	struct loop_watch *watch; /* NULL: not connected yet, or the descriptor is closed */
	struct dial *dial;
	const struct stream_handler *handler;
	void *context;
	int descriptor;
	int peer_uid;
	struct buffer input; /* come and not consumed; no memory while it is empty */
	struct outbox outbox;
	struct loop_task flush;
	struct loop_task notify; /* whatever the handler is to hear but not from inside a stream_ call */
	char *peer;
	char *reason;        /* not NULL: `closed` has been called or will be */
	uint32_t callbacks;  /* how many calls of the handler are under way: its memory is needed until they return */
	bool is_socket;
	bool can_read;
	bool can_write;
	bool reading;        /* as the owner wants it */
	bool read_ended;     /* end of file, or an error */
	bool write_ended;    /* an error, or finished */
	bool write_blocked;  /* the system takes no more for now: the watch tells */
	bool finishing;
	bool above_mark;
	bool tell_drained;
	bool tell_again;     /* input was left when reading was switched off */
	bool told_closed;
	bool destroyed;
	msec patience; /* 0: the system's */
};

static void watch_update(struct stream *stream)
{
	if (stream->watch == NULL)
		return;
	/* A pipe's writing end is watched for reading too: that is how an error, its reader's end, is told. */
	bool reading = stream->reading && !stream->read_ended;
	bool writing = stream->write_blocked && !stream->write_ended;
	loop_watch_set(stream->watch, reading, writing);
}

static void close_descriptor(struct stream *stream)
{
	loop_watch_destroy(stream->watch);
	stream->watch = NULL;
	if (stream->descriptor >= 0)
		close(stream->descriptor);
	stream->descriptor = -1;
}

/* The stream has ended, or cannot be written to any more; `closed` follows from the loop. */
static void ended(struct stream *stream, char *take_reason)
{
	if (stream->reason != NULL) {
		mem_free(take_reason);
		return;
	}
	stream->reason = take_reason;
	loop_task_queue(stream->loop, LOOP_READY, &stream->notify);
}

static void write_failed(struct stream *stream, const char *what)
{
	stream->write_ended = true;
	stream->write_blocked = false;
	outbox_finish(&stream->outbox);
	loop_task_cancel(stream->loop, LOOP_FLUSH, &stream->flush);
	watch_update(stream);
	ended(stream, mem_string(what));
}

static void failed(struct stream *stream, char *take_reason)
{
	stream->read_ended = true;
	ended(stream, take_reason);
	write_failed(stream, "");
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static void finish_now(struct stream *stream)
{
	stream->write_ended = true;
	if (stream->is_socket) {
		shutdown(stream->descriptor, SHUT_WR);
	} else {
		stream->read_ended = true;
		close_descriptor(stream);
	}
}

static void drain(struct stream *stream)
{
	size_t written = 0;
	bool blocked = false;
	while (stream->outbox.size != 0 && !blocked) {
		ssize_t taken = outbox_write(&stream->outbox, stream->descriptor, stream->is_socket);
		if (taken < 0 && errno == EINTR)
			continue;
		if (taken < 0 && errno != EAGAIN) {
			write_failed(stream, strerror(errno));
			return;
		}
		written += taken > 0 ? (size_t)taken : 0;
		blocked = taken < 0 || written >= WRITE_TURN_MAX;
	}
	stream->write_blocked = stream->outbox.size != 0;
	watch_update(stream);
	if (stream->above_mark && stream->outbox.size < STREAM_LOW_MARK) {
		stream->above_mark = false;
		stream->tell_drained = true;
		loop_task_queue(stream->loop, LOOP_READY, &stream->notify);
	}
	if (stream->finishing && stream->outbox.size == 0)
		finish_now(stream);
}

static void flush(void *context)
{
	struct stream *stream = context;
	if (stream->watch != NULL && !stream->write_blocked && !stream->write_ended)
		drain(stream);
}

void stream_write_slices(struct stream *stream, const struct slice *slices, size_t count)
{
	assert(stream->can_write && !stream->finishing);
	if (stream->write_ended)
		return;
	for (size_t i = 0; i < count; i++) {
		if (slices[i].size > STREAM_QUEUE_MAX - stream->outbox.size) {
			failed(stream, mem_format("more than %u bytes wait for a peer that does not read them",
			                          STREAM_QUEUE_MAX));
			return;
		}
		outbox_append(&stream->outbox, slices[i].data, slices[i].size);
	}
	if (stream->outbox.size > STREAM_HIGH_MARK)
		stream->above_mark = true;
	if (stream->outbox.size >= WRITE_EARLY)
		flush(stream);
	else
		loop_task_queue(stream->loop, LOOP_FLUSH, &stream->flush);
}

void stream_write(struct stream *stream, const void *data, size_t size)
{
	stream_write_slices(stream, &(struct slice){data, size}, 1);
}

void stream_finish(struct stream *stream)
{
	if (stream->finishing)
		return;
	stream->finishing = true;
	loop_task_queue(stream->loop, LOOP_FLUSH, &stream->flush);
}

size_t stream_queued(const struct stream *stream)
{
	return stream->outbox.size;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* Shows `input` to the handler. `callbacks` is held by the caller. */
static void show_input(struct stream *stream, struct buffer *input)
{
	stream->handler->readable(stream->context, stream, input);
	if (stream->destroyed) {
		buffer_clear(input);
		return;
	}
	if (input != &stream->input && input->size != 0) {
		buffer_append(&stream->input, input->data, input->size);
		buffer_clear(input);
	}
	input = &stream->input;
	if (input->size == 0) {
		buffer_finish(input);
	} else if (input->capacity >= INPUT_SHRINK && input->size < input->capacity / 4) {
		struct buffer smaller = BUFFER_EMPTY;
		buffer_append(&smaller, input->data, input->size);
		buffer_finish(input);
		*input = smaller;
	}
	if (input->size > STREAM_INPUT_MAX)
		failed(stream, mem_format("%zu bytes came that make no whole message (limit %u)", input->size,
		                          STREAM_INPUT_MAX));
}

/* Reads to the end of `input`. false: nothing came. */
static bool read_into(struct stream *stream, struct buffer *input)
{
	char *place = buffer_reserve(input, STREAM_READ_SIZE);
	ssize_t count;
	do
		count = read(stream->descriptor, place, STREAM_READ_SIZE);
	while (count < 0 && errno == EINTR);
	if (count > 0) {
		input->size += (size_t)count;
		return true;
	}
	if (count < 0 && errno == EAGAIN)
		return false;
	stream->read_ended = true;
	if (count == 0)
		ended(stream, mem_string("the peer has closed the connection"));
	else
		failed(stream, mem_string(strerror(errno)));
	watch_update(stream);
	return false;
}

/* Reads once and shows it. false: nothing came. */
static bool read_some(struct stream *stream)
{
	if (stream->input.size >= STREAM_READ_SIZE) {
		if (!read_into(stream, &stream->input))
			return false;
		show_input(stream, &stream->input);
		return true;
	}
	/* Mostly all that came is consumed at once, and the stream needs no memory of its own; what is left takes no
	 * more than its size. */
	struct buffer *scratch = loop_scratch(stream->loop);
	buffer_append(scratch, stream->input.data, stream->input.size);
	if (!read_into(stream, scratch)) {
		buffer_clear(scratch);
		return false;
	}
	buffer_finish(&stream->input);
	show_input(stream, scratch);
	return true;
}

void stream_set_reading(struct stream *stream, bool reading)
{
	if (stream->reading == reading)
		return;
	stream->reading = reading;
	if (reading) {
		stream->tell_again = true;
		loop_task_queue(stream->loop, LOOP_READY, &stream->notify);
	}
	watch_update(stream);
}

/* --- from the loop ------------------------------------------------------------------------------------------------ */

static void hold(struct stream *stream)
{
	stream->callbacks++;
}

static void release(struct stream *stream)
{
	buffer_finish(&stream->input);
	mem_free(stream);
}

static void let_go(struct stream *stream)
{
	if (--stream->callbacks == 0 && stream->destroyed)
		release(stream);
}

static void ready(void *context, bool readable, bool writable)
{
	struct stream *stream = context;
	hold(stream);
	if (writable) {
		stream->write_blocked = false;
		drain(stream);
	} else if (readable && stream->can_read) {
		read_some(stream);
	} else if (readable) {
		failed(stream, mem_string("the reader has closed the pipe"));
	}
	let_go(stream);
}

static void tell_closed(struct stream *stream)
{
	/* A failed write may be known before what the peer has sent last, which perhaps says why it went. */
	if (stream->can_read && stream->reading && !stream->read_ended && stream->watch != NULL && read_some(stream)) {
		if (!stream->destroyed)
			loop_task_queue(stream->loop, LOOP_READY, &stream->notify);
		return;
	}
	if (stream->destroyed)
		return;
	stream->told_closed = true;
	stream->read_ended = true;
	watch_update(stream);
	stream->handler->closed(stream->context, stream, stream->reason);
}

static void notify(void *context)
{
	struct stream *stream = context;
	hold(stream);
	if (stream->tell_again) {
		stream->tell_again = false;
		if (stream->reading && stream->input.size != 0 && !stream->told_closed)
			show_input(stream, &stream->input);
	}
	if (stream->tell_drained && !stream->destroyed) {
		stream->tell_drained = false;
		if (stream->handler->drained != NULL && !stream->write_ended)
			stream->handler->drained(stream->context, stream);
	}
	if (stream->reason != NULL && !stream->told_closed && !stream->destroyed)
		tell_closed(stream);
	let_go(stream);
}

/* --- coming and going --------------------------------------------------------------------------------------------- */

struct stream *stream_create_unconnected(struct loop *loop, const char *peer, const struct stream_handler *handler,
                                         void *context)
{
	struct stream *stream = mem_zero(sizeof *stream);
	stream->loop = loop;
	stream->handler = handler;
	stream->context = context;
	stream->descriptor = -1;
	stream->peer_uid = -1;
	stream->reading = true;
	stream->is_socket = stream->can_read = stream->can_write = true;
	stream->peer = mem_string(peer);
	stream->flush = (struct loop_task){.call = flush, .context = stream};
	stream->notify = (struct loop_task){.call = notify, .context = stream};
	outbox_init(&stream->outbox);
	return stream;
}

void stream_set_dial(struct stream *stream, struct dial *take_dial)
{
	stream->dial = take_dial;
}

/* What is known of the descriptor decides how it is used. */
static void inspect(struct stream *stream)
{
	struct stat status;
	int flags = fcntl(stream->descriptor, F_GETFL);
	assert(flags >= 0);
	fcntl(stream->descriptor, F_SETFL, flags | O_NONBLOCK);
	stream->is_socket = fstat(stream->descriptor, &status) == 0 && S_ISSOCK(status.st_mode);
	if (!stream->is_socket) {
		stream->can_read = (flags & O_ACCMODE) != O_WRONLY;
		stream->can_write = (flags & O_ACCMODE) != O_RDONLY;
		return;
	}
	struct sockaddr_storage own;
	socklen_t size = sizeof own;
	struct ucred peer;
	socklen_t peer_size = sizeof peer;
	const int on = 1;
	if (getsockname(stream->descriptor, (struct sockaddr *)&own, &size) != 0)
		return;
	if (own.ss_family == AF_UNIX) {
		if (getsockopt(stream->descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &peer_size) == 0)
			stream->peer_uid = (int)peer.uid;
		return;
	}
	/* Writes are gathered here already; and a host that has vanished must not be waited for without end. */
	const int idle_s = 60;
	setsockopt(stream->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(stream->descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	setsockopt(stream->descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
}

static void apply_patience(struct stream *stream)
{
	const unsigned patience_ms = (unsigned)stream->patience;
	if (patience_ms != 0 && stream->descriptor >= 0) /* of a Unix socket it is refused, and is not needed */
		setsockopt(stream->descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof patience_ms);
}

void stream_set_patience(struct stream *stream, msec patience)
{
	assert(patience > 0 && patience <= INT_MAX);
	stream->patience = patience;
	apply_patience(stream);
}

static void attach(struct stream *stream, int take_descriptor)
{
	stream->descriptor = take_descriptor;
	inspect(stream);
	apply_patience(stream);
	stream->watch = loop_watch_create(stream->loop, take_descriptor, ready, stream);
	watch_update(stream);
}

struct stream *stream_create(struct loop *loop, int take_descriptor, const struct stream_handler *handler,
                             void *context)
{
	char peer[ADDRESS_TEXT_SIZE] = "pipe";
	struct address address = {.size = sizeof address.storage};
	if (getpeername(take_descriptor, &address.any, &address.size) == 0)
		address_format(&address, peer);
	else if (errno != ENOTSOCK)
		strcpy(peer, "unconnected");
	struct stream *stream = stream_create_unconnected(loop, peer, handler, context);
	attach(stream, take_descriptor);
	return stream;
}

void stream_connected(struct stream *stream, int take_descriptor)
{
	dial_destroy(stream->dial);
	stream->dial = NULL;
	attach(stream, take_descriptor);
	loop_task_queue(stream->loop, LOOP_FLUSH, &stream->flush);
}

void stream_not_connected(struct stream *stream, const char *reason)
{
	failed(stream, mem_format("cannot connect to %s: %s", stream->peer, reason));
	dial_destroy(stream->dial);
	stream->dial = NULL;
}

void stream_destroy(struct stream *stream)
{
	if (stream == NULL)
		return;
	assert(!stream->destroyed);
	dial_destroy(stream->dial);
	close_descriptor(stream);
	loop_task_cancel(stream->loop, LOOP_READY, &stream->notify);
	loop_task_cancel(stream->loop, LOOP_FLUSH, &stream->flush);
	outbox_finish(&stream->outbox);
	mem_free(stream->peer);
	mem_free(stream->reason);
	stream->peer = stream->reason = NULL;
	stream->destroyed = true;
	/* From inside a handler: its input stays until it returns. */
	if (stream->callbacks == 0)
		release(stream);
}

void stream_set_handler(struct stream *stream, const struct stream_handler *handler, void *context)
{
	stream->handler = handler;
	stream->context = context;
	stream->tell_again = true;
	loop_task_queue(stream->loop, LOOP_READY, &stream->notify);
}

void *stream_context(const struct stream *stream)
{
	return stream->context;
}

const char *stream_peer(const struct stream *stream)
{
	return stream->peer;
}

int stream_peer_uid(const struct stream *stream)
{
	return stream->peer_uid;
}
