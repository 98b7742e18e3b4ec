#include "line.h"

#include "base/memory.h"
#include "net/stream.h"
#include "wire/connection.h"
#include "wire/message.h"

#include <stdlib.h>

struct line {
	struct stream *stream;
	struct connection *connection;
	struct connection_config config;
	const struct line_handler *handler;
	void *context;
	struct buffer out;
	bool ended;
};

static void end(struct line *line, const struct error *reason)
{
	if (line->ended)
		return;
	line->ended = true;
	line->handler->ended(line->context, reason);
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
	struct line *line = context;
	struct buffer out = BUFFER_EMPTY;
	size_t taken = 0;
	while (!line->ended) {
		struct slice rest = {input->data + taken, input->size - taken};
		struct frame frame;
		struct error error = {0};
		size_t size = 0;
		enum connection_event event = connection_next(line->connection, rest, &out, &size, &frame, &error);
		taken += size;
		if (event == CONNECTION_MORE)
			break;
		if (event == CONNECTION_OPENED)
			line->handler->open(line->context);
		else if (event == CONNECTION_FRAME)
			line->handler->frame(line->context, &frame);
		else
			end(line, &error);
	}
	buffer_consume(input, line->ended ? input->size : taken);
	if (out.size != 0)
		stream_write(stream, out.data, out.size);
	buffer_finish(&out);
}

static const struct stream_handler stream_handler = {stream_is_readable, stream_is_closed, NULL};

int line_create(struct loop *loop, const char *address, Clusterd__Wire__Role role, const struct line_handler *handler,
                void *context, struct line **ret_line, struct error *error)
{
	struct line *line = mem_zero(sizeof *line);
	line->handler = handler;
	line->context = context;
	const char *token = getenv("CLUSTERD_TOKEN");
	line->config = (struct connection_config){
		.side = CONNECTION_CLIENT,
		.version_low = PROTOCOL_VERSION,
		.version_high = PROTOCOL_VERSION,
		.cluster_id = "",
		.name = "clusterd-bench",
		.token = token != NULL ? token : "",
		.role = role,
	};
	int code = stream_connect(loop, address, &stream_handler, line, &line->stream, error);
	if (code != 0) {
		mem_free(line);
		return code;
	}
	line->connection = connection_create(&line->config);
	connection_begin(line->connection, &line->out);
	stream_write(line->stream, line->out.data, line->out.size);
	*ret_line = line;
	return 0;
}

void line_destroy(struct line *line)
{
	if (line == NULL)
		return;
	stream_destroy(line->stream);
	connection_destroy(line->connection);
	buffer_finish(&line->out);
	mem_free(line);
}

void line_send(struct line *line, enum frame_type type, uint32_t stream, const ProtobufCMessage *message,
               struct slice payload)
{
	if (line->ended)
		return;
	buffer_clear(&line->out);
	if (message_frame(&line->out, type, stream, message, payload) == 0)
		stream_write(line->stream, line->out.data, line->out.size);
}
