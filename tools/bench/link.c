#include "link.h"

#include "base/memory.h"
#include "net/stream.h"
#include "wire/connection.h"
#include "wire/message.h"

#include <stdlib.h>

struct link {
	struct stream *stream;
	struct connection *connection;
	struct connection_config config;
	const struct link_handler *handler;
	void *context;
	struct buffer out;
	bool ended;
};

static void end(struct link *link, const struct error *reason)
{
	if (link->ended)
		return;
	link->ended = true;
	link->handler->ended(link->context, reason);
}

static void stream_is_closed(void *context, struct stream *stream, const char *reason)
{
	struct error error;
	(void)stream;
	error_set(&error, ERR_CLOSED, "the connection was lost: %s", reason);
	end(context, &error);
}

static void stream_is_readable(void *context, struct stream *stream, struct buffer *input)
{
	struct link *link = context;
	struct buffer out = BUFFER_EMPTY;
	size_t taken = 0;
	while (!link->ended) {
		struct slice rest = {input->data + taken, input->size - taken};
		struct frame frame;
		struct error error = {0};
		size_t size = 0;
		enum connection_event event = connection_next(link->connection, rest, &out, &size, &frame, &error);
		taken += size;
		if (event == CONNECTION_MORE)
			break;
		if (event == CONNECTION_OPENED)
			link->handler->open(link->context);
		else if (event == CONNECTION_FRAME)
			link->handler->frame(link->context, &frame);
		else
			end(link, &error);
	}
	buffer_consume(input, link->ended ? input->size : taken);
	if (out.size != 0)
		stream_write(stream, out.data, out.size);
	buffer_finish(&out);
}

static const struct stream_handler stream_handler = {stream_is_readable, stream_is_closed, NULL};

int link_create(struct loop *loop, const char *address, Clusterd__Wire__Role role, const struct link_handler *handler,
                void *context, struct link **ret_link, struct error *error)
{
	struct link *link = mem_zero(sizeof *link);
	link->handler = handler;
	link->context = context;
	const char *token = getenv("CLUSTERD_TOKEN");
	link->config = (struct connection_config){
		.side = CONNECTION_CLIENT,
		.version_low = PROTOCOL_VERSION,
		.version_high = PROTOCOL_VERSION,
		.cluster_id = "",
		.name = "clusterd-bench",
		.token = token != NULL ? token : "",
		.role = role,
	};
	int code = stream_connect(loop, address, &stream_handler, link, &link->stream, error);
	if (code != 0) {
		mem_free(link);
		return code;
	}
	link->connection = connection_create(&link->config);
	connection_begin(link->connection, &link->out);
	stream_write(link->stream, link->out.data, link->out.size);
	*ret_link = link;
	return 0;
}

void link_destroy(struct link *link)
{
	if (link == NULL)
		return;
	stream_destroy(link->stream);
	connection_destroy(link->connection);
	buffer_finish(&link->out);
	mem_free(link);
}

void link_send(struct link *link, enum frame_type type, uint32_t stream, const ProtobufCMessage *message,
               struct slice payload)
{
	if (link->ended)
		return;
	buffer_clear(&link->out);
	if (message_frame(&link->out, type, stream, message, payload) == 0)
		stream_write(link->stream, link->out.data, link->out.size);
}
