/* One connection with another node: connecting, greeting, frames, the end. */
#include "daemon/peers_internal.h"

#include "base/log.h"
#include "base/memory.h"
#include "wire/message.h"

#include <assert.h>

#define ENDING_MS 2000
#define PATIENCE 2 /* times a stall: the system closes a connection with a host that is gone, when peers_link_due cannot see it */
#define FAILED_QUIET_MS 10000 /* between two lines of the log about peers that break the rules */

#define IN(phase) (1u << (phase))

static const unsigned allowed_moves[LINK_PHASES] = {
	[LINK_WAITING] = IN(LINK_GREETING) | IN(LINK_ENDING),
	[LINK_GREETING] = IN(LINK_OPEN) | IN(LINK_ENDING),
	[LINK_OPEN] = IN(LINK_ENDING),
	[LINK_ENDING] = 0,
};

static void move(struct link *link, enum link_phase to)
{
	assert((allowed_moves[link->phase] & IN(to)) != 0);
	link->phase = to;
}

static void link_free(struct link *link)
{
	loop_timer_destroy(link->timer);
	stream_destroy(link->stream);
	connection_destroy(link->connection);
	buffer_finish(&link->pending);
	mem_free(link->address);
	mem_free(link);
}

void link_destroy(struct link *link)
{
	if (link == NULL)
		return;
	TAILQ_REMOVE(&link->peers->links, link, entry);
	link->doomed = true;
	if (!link->busy)
		link_free(link);
}

/* The owner hears of the end, once. */
static void over(struct link *link, const char *reason)
{
	link->peers->counts.frames_dropped += link->pending_count;
	link->pending_count = 0;
	link->over = true;
	peers_link_over(link, reason);
}

void link_fail(struct link *link, const char *reason)
{
	if (link->phase != LINK_ENDING)
		over(link, reason);
	link_destroy(link);
}

/* What is to be said goes out, then it closes; `cause` is why, for the owner. */
static void finish(struct link *link, const char *reason)
{
	over(link, reason);
	move(link, LINK_ENDING);
	if (link->stream == NULL) {
		link_destroy(link);
		return;
	}
	stream_finish(link->stream);
	loop_timer_set(link->timer, loop_now(link->peers->loop) + ENDING_MS);
}

void link_end(struct link *link, const struct error *cause)
{
	struct buffer *out = &link->peers->out;
	buffer_clear(out);
	if (link->stream != NULL) {
		connection_end(link->connection, cause, 0, out);
		if (out->size != 0)
			stream_write(link->stream, out->data, out->size);
	}
	finish(link, cause->text);
}

/* --- coming in ----------------------------------------------------------------------------------------------------- */

/* The connection is over because of what the other side has done or said; the goodbye is in `out`. */
static void ended_by_peer(struct link *link, enum connection_event event, const struct error *error, struct buffer *out)
{
	struct peers *peers = link->peers;
	enum connection_refusal refusal = connection_refusal(link->connection);
	const char *who = stream_peer(link->stream);
	if (out->size != 0)
		stream_write(link->stream, out->data, out->size);
	if (refusal != REFUSAL_NONE) {
		peers_refused(peers, refusal, who, error->text);
	} else if (event == CONNECTION_FAILED) {
		peers->counts.failed++;
		if (loop_now(peers->loop) >= peers->failed_quiet_until) {
			peers->failed_quiet_until = loop_now(peers->loop) + FAILED_QUIET_MS;
			log_write(LOG_WARNING, "peers", "connection with %s (%s) ended: %s", connection_peer(link->connection),
			          who, error->text);
		}
	}
	finish(link, error->text);
}

static void opened(struct link *link)
{
	move(link, LINK_OPEN);
	link->opened_at = loop_now(link->peers->loop);
	loop_timer_set(link->timer, MSEC_NEVER);
	if (link->pending.size != 0) {
		link->written += link->pending.size;
		stream_write(link->stream, link->pending.data, link->pending.size);
		link->peers->counts.frames_sent += link->pending_count;
	}
	buffer_finish(&link->pending);
	link->pending_count = 0;
	peers_link_open(link);
}

static void take_frame(struct link *link, const struct frame *frame, struct buffer *out)
{
	struct peers *peers = link->peers;
	ProtobufCMessage *message = NULL;
	struct error error = {0};
	peers->counts.frames_received++;
	if (message_of_frame(frame->type) == NULL && frame->message.size != 0) {
		error_set(&error, ERR_INVALID, "a %s frame with a message of %zu bytes, it has none", frame_type_name(frame->type),
		          frame->message.size);
		connection_fail(link->connection, &error, out);
		ended_by_peer(link, CONNECTION_FAILED, &error, out);
		return;
	}
	if (message_of_frame(frame->type) != NULL &&
	    connection_unpack(link->connection, frame, &peers->arena, out, &message, &error) != 0) {
		ended_by_peer(link, CONNECTION_FAILED, &error, out);
		return;
	}
	peers_link_frame(link, frame, message);
}

static bool goes_on(const struct link *link)
{
	return !link->doomed && link->phase != LINK_ENDING;
}

static void take_event(struct link *link, enum connection_event event, const struct frame *frame, struct buffer *out,
                       const struct error *error)
{
	if (event == CONNECTION_GOODBYE || event == CONNECTION_FAILED) {
		ended_by_peer(link, event, error, out);
		return;
	}
	if (out->size != 0)
		stream_write(link->stream, out->data, out->size); /* the proof, before what waits for it */
	buffer_clear(out);
	if (event == CONNECTION_OPENED)
		opened(link);
	else if (event == CONNECTION_FRAME)
		take_frame(link, frame, out);
}

static void link_readable(void *context, struct stream *stream, struct buffer *input)
{
	struct link *link = context;
	struct peers *peers = link->peers;
	struct buffer out = BUFFER_EMPTY;
	enum connection_event event = CONNECTION_FRAME;
	size_t taken = 0;
	(void)stream;
	link->busy = true;
	while (goes_on(link) && event != CONNECTION_MORE) {
		struct slice rest = {input->data + taken, input->size - taken};
		struct frame frame = {0};
		struct error error = {0};
		size_t size = 0;
		event = connection_next(link->connection, rest, &out, &size, &frame, &error);
		taken += size;
		if (event != CONNECTION_MORE)
			take_event(link, event, &frame, &out, &error);
		arena_reset(&peers->arena);
	}
	link->busy = false;
	buffer_consume(input, goes_on(link) ? taken : input->size);
	buffer_finish(&out);
	if (link->doomed)
		link_free(link);
}

static void link_closed(void *context, struct stream *stream, const char *reason)
{
	(void)stream;
	link_fail(context, reason);
}

static void link_drained(void *context, struct stream *stream)
{
	struct link *link = context;
	(void)link;
	stream_set_reading(stream, true); /* only an exchange's reading stops for this */
}

static const struct stream_handler stream_handler = {link_readable, link_closed, link_drained};

/* --- connecting ---------------------------------------------------------------------------------------------------- */

/* Nobody who is not on this machine is talked to without a secret. */
static bool may_connect(const struct peers *peers, const struct address *addresses, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (peers->self.secret == NULL && !address_is_loopback(&addresses[i]))
			return false;
	}
	return true;
}

static void greet(struct link *link, const struct address *addresses, size_t count)
{
	struct peers *peers = link->peers;
	buffer_clear(&peers->out);
	move(link, LINK_GREETING);
	link->stream = stream_connect_to(peers->loop, addresses, count, link->address, &stream_handler, link);
	stream_set_patience(link->stream, peers->stall_ms * PATIENCE);
	link->connection = connection_create(&peers->config);
	connection_aim(link->connection, link->peer != NULL ? link->peer->id : 0, link->exchanges);
	connection_begin(link->connection, &peers->out);
	stream_write(link->stream, peers->out.data, peers->out.size);
}

static void dial(struct link *link)
{
	struct peers *peers = link->peers;
	struct address addresses[ADDRESS_CHOICES];
	struct error error = {0};
	size_t count = 0;
	link->look = false;
	if (link->deadline == MSEC_NEVER)
		link->deadline = loop_now(peers->loop) + peers->connect_ms;
	int code = resolver_find(peers->resolver, link->address, addresses, &count, &error);
	if (code > 0 && !may_connect(peers, addresses, count)) {
		code = error_set(&error, ERR_DENIED,
		                 "%s is not on this machine: other nodes are connected to with a cluster secret only (secret-file)",
		                 link->address);
		peers_refused(peers, REFUSAL_NO_SECRET, link->address, error.text);
	}
	loop_timer_set(link->timer, link->deadline);
	if (code < 0)
		link_fail(link, error.text);
	else if (code > 0)
		greet(link, addresses, count);
}

void link_wake(struct link *link)
{
	if (link->phase != LINK_WAITING || link->hopeless)
		return;
	link->look = true;
	loop_timer_set(link->timer, loop_now(link->peers->loop));
}

/* The former connection of the member is gone; false: and this one with it. */
static bool tell_down(struct link *link)
{
	struct peers *peers = link->peers;
	link->tell_down = false;
	link->busy = true;
	peers->handler->down(peers->context, link->peer->id);
	link->busy = false;
	bool goes = !link->doomed;
	if (!goes)
		link_free(link);
	return goes;
}

static void waited(struct link *link)
{
	if (link->tell_down && !tell_down(link))
		return;
	if (link->hopeless)
		link_fail(link, "there are too many exchanges at once");
	else if (link->look)
		dial(link);
	else
		link_fail(link, "its name was not found in time");
}

static void link_due(void *context)
{
	struct link *link = context;
	struct error late = {0};
	switch (link->phase) {
	case LINK_WAITING:
		waited(link);
		break;
	case LINK_GREETING:
		error_set(&late, ERR_TIMEOUT, "no answer from %s within %lld ms", link->address,
		          (long long)link->peers->connect_ms);
		peers_refused(link->peers, REFUSAL_LATE, link->address, late.text);
		link_end(link, &late);
		break;
	case LINK_OPEN:
		peers_link_due(link);
		break;
	default:
		link_destroy(link);
		break;
	}
}

struct link *link_create(struct peers *peers, const char *address, struct peer *peer, msec dial_at)
{
	struct link *link = mem_zero(sizeof *link);
	link->peers = peers;
	link->peer = peer;
	link->address = mem_string(address);
	link->outgoing = true;
	link->exchanges = peer == NULL;
	link->look = true;
	link->deadline = MSEC_NEVER;
	link->timer = loop_timer_create(peers->loop, link_due, link);
	loop_timer_set(link->timer, dial_at);
	TAILQ_INSERT_TAIL(&peers->links, link, entry);
	return link;
}

struct link *link_take(struct peers *peers, struct stream *take_stream, struct connection *take_connection)
{
	struct link *link = mem_zero(sizeof *link);
	link->peers = peers;
	link->address = mem_string(connection_peer_address(take_connection));
	link->stream = take_stream;
	link->connection = take_connection;
	link->exchanges = connection_exchanges(take_connection);
	link->phase = LINK_OPEN;
	link->opened_at = loop_now(peers->loop);
	link->timer = loop_timer_create(peers->loop, link_due, link);
	TAILQ_INSERT_TAIL(&peers->links, link, entry);
	stream_set_patience(take_stream, peers->stall_ms * PATIENCE);
	stream_set_handler(take_stream, &stream_handler, link);
	return link;
}

/* --- going out ----------------------------------------------------------------------------------------------------- */

bool link_send(struct link *link, enum frame_type type, uint32_t stream, const ProtobufCMessage *message,
               const struct slice *payload, size_t payload_count)
{
	struct buffer *out = &link->peers->out;
	size_t size = 0;
	buffer_clear(out);
	for (size_t i = 0; i < payload_count; i++)
		size += payload[i].size;
	if (link->phase == LINK_ENDING ||
	    message_frame_parts(out, type, stream, message, payload, payload_count) != 0)
		return false;
	size += out->size;
	if (link->phase != LINK_OPEN) {
		if (size > PEERS_PENDING_MAX - link->pending.size)
			return false;
		buffer_append_slice(&link->pending, buffer_slice(out));
		for (size_t i = 0; i < payload_count; i++)
			buffer_append_slice(&link->pending, payload[i]);
		link->pending_count++;
		return true;
	}
	stream_write(link->stream, out->data, out->size);
	stream_write_slices(link->stream, payload, payload_count);
	link->written += size;
	link->peers->counts.frames_sent++;
	return true;
}
