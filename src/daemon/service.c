#include "daemon/service.h"

#include "base/log.h"
#include "base/memory.h"
#include "net/stream.h"
#include "wire/connection.h"
#include "wire/message.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uthash.h>

#define FILE_CHUNK (1u << 20)
#define DESCRIPTORS_ELSEWHERE 384 /* files, children, other nodes */

/* A file on its way to a client. */
struct transfer {
	uint32_t stream;
	int descriptor;
	STAILQ_ENTRY(transfer) link;
};

/* One of the two ways in. */
struct door {
	struct service *service;
	struct listener *listener;
	struct connection_config config;
	uint32_t open;    /* clients that have said hello */
	uint32_t pending; /* connections that have not */
	TAILQ_HEAD(, client) waiting; /* they, the oldest first */
};

struct client {
	uint64_t id;
	struct service *service;
	struct door *door;
	TAILQ_ENTRY(client) link;
	struct stream *stream;
	struct connection *connection;
	msec since;
	bool open;
	bool worker;
	bool ended;
	STAILQ_HEAD(, transfer) transfers;
	UT_hash_handle hh;
};

struct service {
	struct loop *loop;
	struct node *node;
	struct peers *peers;
	struct door tcp;
	struct door local;
	char *cluster_id;
	char *node_name;
	char *token;
	uint32_t connections_max;
	uint32_t pending_max;
	struct client *clients;
	uint64_t next_id;
	bool workers_wait; /* nothing is read of them */
	struct buffer out;
	struct arena arena;
	struct service_counts counts;
};

static struct client *client_find(const struct service *service, uint64_t id)
{
	struct client *client;
	HASH_FIND(hh, service->clients, &id, sizeof id, client);
	return client;
}

/* --- files to clients ---------------------------------------------------------------------------------------------- */

static void transfer_end(struct client *client, struct transfer *transfer)
{
	STAILQ_REMOVE(&client->transfers, transfer, transfer, link);
	close(transfer->descriptor);
	mem_free(transfer);
}

static void respond_now(struct client *client, uint32_t stream, const Clusterd__Wire__Response *response,
                        struct slice payload)
{
	struct buffer *out = &client->service->out;
	buffer_clear(out);
	if (message_frame(out, FRAME_RESPONSE, stream, &response->base, payload) != 0) {
		Clusterd__Wire__Response refusal = CLUSTERD__WIRE__RESPONSE__INIT;
		Clusterd__Wire__Error error = CLUSTERD__WIRE__ERROR__INIT;
		error.code = ERR_LIMIT;
		error.text = (char *)(uintptr_t)"the answer is larger than a frame (16 MiB): ask for less";
		refusal.error = &error;
		message_frame(out, FRAME_RESPONSE, stream, &refusal.base, SLICE(""));
	}
	stream_write(client->stream, out->data, out->size);
}

static void transfer_go_on(struct client *client)
{
	char *chunk = NULL;
	struct transfer *transfer;
	while ((transfer = STAILQ_FIRST(&client->transfers)) != NULL && stream_queued(client->stream) < STREAM_HIGH_MARK) {
		Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
		Clusterd__Wire__Error error = CLUSTERD__WIRE__ERROR__INIT;
		if (chunk == NULL)
			chunk = mem_alloc(FILE_CHUNK);
		ssize_t size = read(transfer->descriptor, chunk, FILE_CHUNK);
		response.more = size > 0;
		if (size < 0) {
			error.code = ERR_IO;
			error.text = (char *)(uintptr_t)"the copy of the catalog cannot be read";
			response.error = &error;
		}
		respond_now(client, transfer->stream, &response, (struct slice){chunk, size > 0 ? (size_t)size : 0});
		if (size <= 0)
			transfer_end(client, transfer);
	}
	mem_free(chunk);
}

void service_send_file(struct service *service, uint64_t connection, uint32_t stream, const char *path)
{
	struct client *client = client_find(service, connection);
	int descriptor = client != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	unlink(path);
	if (client == NULL)
		return;
	if (descriptor < 0) {
		Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
		Clusterd__Wire__Error error = CLUSTERD__WIRE__ERROR__INIT;
		error.code = ERR_IO;
		error.text = (char *)(uintptr_t)"the copy of the catalog cannot be opened";
		response.error = &error;
		respond_now(client, stream, &response, SLICE(""));
		return;
	}
	struct transfer *transfer = mem_zero(sizeof *transfer);
	transfer->stream = stream;
	transfer->descriptor = descriptor;
	STAILQ_INSERT_TAIL(&client->transfers, transfer, link);
	transfer_go_on(client);
}

/* --- connections --------------------------------------------------------------------------------------------------- */

static void client_destroy(struct client *client)
{
	struct service *service = client->service;
	struct transfer *transfer;
	HASH_DELETE(hh, service->clients, client);
	while ((transfer = STAILQ_FIRST(&client->transfers)) != NULL)
		transfer_end(client, transfer);
	if (service->node != NULL)
		node_connection_closed(service->node, client->id);
	if (client->worker)
		service->counts.workers--;
	service->counts.connections--;
	listener_release(client->door->listener);
	if (client->open) {
		client->door->open--;
	} else {
		client->door->pending--;
		TAILQ_REMOVE(&client->door->waiting, client, link);
	}
	connection_destroy(client->connection);
	stream_destroy(client->stream);
	mem_free(client);
}

static void client_closed(void *context, struct stream *stream, const char *reason)
{
	struct client *client = context;
	(void)stream;
	(void)reason;
	client_destroy(client);
}

static void client_drained(void *context, struct stream *stream)
{
	struct client *client = context;
	transfer_go_on(client);
	stream_set_reading(stream, !(client->worker && client->service->workers_wait));
}

/* The connection cannot go on: the peer is told why, and sees the end. */
static void client_end(struct client *client, const struct error *error)
{
	enum connection_refusal refusal = connection_refusal(client->connection);
	client->ended = true;
	client->service->counts.failed++;
	if (refusal != REFUSAL_NONE && client->service->peers != NULL) {
		peers_refused(client->service->peers, refusal, stream_peer(client->stream), error->text);
		return;
	}
	log_write(LOG_INFO, "service", "connection from %s ended: %s", stream_peer(client->stream), error->text);
}

static int take_worker_frame(struct client *client, const struct frame *frame, const ProtobufCMessage *message,
                             struct error *error)
{
	struct service *service = client->service;
	switch (frame->type) {
	case FRAME_OFFER:
		service->counts.workers += !client->worker;
		client->worker = true;
		return node_worker_offer(service->node, client->id, (const Clusterd__Wire__Offer *)message, error);
	case FRAME_RESULT:
		return node_worker_result(service->node, client->id, (const Clusterd__Wire__Result *)message, frame->payload,
		                          error);
	default:
		node_worker_heartbeat(service->node, client->id, (const Clusterd__Wire__Heartbeat *)message);
		return 0;
	}
}

static const ProtobufCMessage *unpack(struct client *client, const struct frame *frame, struct buffer *out,
                                      struct error *error)
{
	ProtobufCMessage *message = NULL;
	if (connection_unpack(client->connection, frame, &client->service->arena, out, &message, error) != 0)
		client_end(client, error);
	return message;
}

static void take_frame(struct client *client, const struct frame *frame, struct buffer *out)
{
	struct service *service = client->service;
	struct error error = {0};
	if (frame->type == FRAME_CANCEL) {
		node_request_cancelled(service->node, client->id, frame->stream);
		return;
	}
	const ProtobufCMessage *message = unpack(client, frame, out, &error);
	if (message == NULL)
		return;
	if (frame->type == FRAME_REQUEST) {
		node_request(service->node, client->id, frame->stream, (const Clusterd__Wire__Request *)message, frame->payload);
	} else if (take_worker_frame(client, frame, message, &error) != 0) {
		connection_fail(client->connection, &error, out);
		client_end(client, &error);
	}
}

/* Hello has been said. false: there is no more to be done with this connection here. */
static bool client_opened(struct client *client, struct buffer *out)
{
	struct service *service = client->service;
	struct door *door = client->door;
	struct error error = {0};
	if (connection_role(client->connection) == CLUSTERD__WIRE__ROLE__ROLE_PEER) {
		struct stream *stream = client->stream;
		struct connection *connection = client->connection;
		client->stream = NULL;
		client->connection = NULL;
		client_destroy(client);
		peers_take(service->peers, stream, connection);
		return false;
	}
	TAILQ_REMOVE(&door->waiting, client, link);
	door->pending--;
	door->open++;
	client->open = true;
	if (door->open > service->connections_max) {
		error_set(&error, ERR_BUSY, "%u clients are connected already, the limit of this node", service->connections_max);
		connection_end(client->connection, &error, 1000, out);
		client_end(client, &error);
	}
	return true;
}

static void client_readable(void *context, struct stream *stream, struct buffer *input)
{
	struct client *client = context;
	struct service *service = client->service;
	struct buffer out = BUFFER_EMPTY;
	size_t taken = 0;
	while (!client->ended) {
		struct slice rest = {input->data + taken, input->size - taken};
		struct frame frame;
		struct error error = {0};
		size_t size = 0;
		enum connection_event event = connection_next(client->connection, rest, &out, &size, &frame, &error);
		taken += size;
		if (out.size != 0) { /* before the answers to what follows */
			stream_write(stream, out.data, out.size);
			buffer_clear(&out);
		}
		if (event == CONNECTION_MORE)
			break;
		if (event == CONNECTION_FRAME) {
			take_frame(client, &frame, &out);
			arena_reset(&service->arena);
		} else if (event == CONNECTION_OPENED) {
			if (!client_opened(client, &out)) {
				buffer_consume(input, taken);
				buffer_finish(&out);
				return;
			}
		} else if (event != CONNECTION_GREETED) {
			client_end(client, &error);
		}
	}
	buffer_consume(input, client->ended ? input->size : taken);
	if (out.size != 0)
		stream_write(stream, out.data, out.size);
	buffer_finish(&out);
	if (client->ended)
		stream_finish(stream);
	else if (stream_queued(stream) > STREAM_HIGH_MARK || (client->worker && service->workers_wait))
		stream_set_reading(stream, false); /* it does not take its answers: it may ask again when it has */
}

static const struct stream_handler client_handler = {client_readable, client_closed, client_drained};

static void client_create(struct door *door, int descriptor)
{
	struct service *service = door->service;
	struct client *client = mem_zero(sizeof *client);
	client->id = service->next_id++;
	client->service = service;
	client->door = door;
	client->since = loop_now(service->loop);
	client->connection = connection_create(&door->config);
	STAILQ_INIT(&client->transfers);
	HASH_ADD(hh, service->clients, id, sizeof client->id, client);
	TAILQ_INSERT_TAIL(&door->waiting, client, link);
	door->pending++;
	service->counts.connections++;
	service->counts.accepted++;
	client->stream = stream_create(service->loop, descriptor, &client_handler, client);
	if (door->pending > service->pending_max) {
		if (service->peers != NULL)
			peers_refused(service->peers, REFUSAL_LATE, "those that have not said hello", "there are too many of them");
		client_destroy(TAILQ_FIRST(&door->waiting));
	}
}

static void accepted(void *context, int take_descriptor, const char *peer)
{
	(void)peer;
	client_create(context, take_descriptor);
}

void service_read_workers(struct service *service, bool reading)
{
	if (service->workers_wait == !reading)
		return;
	service->workers_wait = !reading;
	for (struct client *client = service->clients; client != NULL; client = client->hh.next) {
		if (client->worker && !client->ended)
			stream_set_reading(client->stream, reading && stream_queued(client->stream) <= STREAM_HIGH_MARK);
	}
}

void service_sweep(struct service *service)
{
	struct client *client;
	struct client *next;
	msec now = loop_now(service->loop);
	HASH_ITER(hh, service->clients, client, next) {
		bool late = !client->open && !client->ended && client->since + SERVICE_HELLO_MS < now;
		bool lingering = client->ended && client->since + SERVICE_HELLO_MS < now;
		if (late && service->peers != NULL)
			peers_refused(service->peers, REFUSAL_LATE, stream_peer(client->stream), "it has not said who it is in time");
		if (late || lingering)
			client_destroy(client);
	}
}

/* --- to connections ------------------------------------------------------------------------------------------------ */

void service_respond(struct service *service, uint64_t connection, uint32_t stream,
                     const Clusterd__Wire__Response *response, struct slice payload)
{
	struct client *client = client_find(service, connection);
	if (client != NULL && !client->ended)
		respond_now(client, stream, response, payload);
}

void service_send(struct service *service, uint64_t connection, int frame_type, const ProtobufCMessage *message,
                  struct slice payload)
{
	struct client *client = client_find(service, connection);
	if (client == NULL || client->ended)
		return;
	buffer_clear(&service->out);
	if (message_frame(&service->out, (enum frame_type)frame_type, 0, message, payload) == 0)
		stream_write(client->stream, service->out.data, service->out.size);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

/* Each connection takes a descriptor, and what else the node does needs some. */
static void set_limits(struct service *service, uint32_t connections_max)
{
	struct rlimit limit = {.rlim_cur = RLIM_INFINITY};
	getrlimit(RLIMIT_NOFILE, &limit);
	rlim_t room = limit.rlim_cur > DESCRIPTORS_ELSEWHERE ? limit.rlim_cur - DESCRIPTORS_ELSEWHERE : 0;
	service->pending_max = room / 16 < SERVICE_PENDING_MAX ? (uint32_t)(room / 16) + 1 : SERVICE_PENDING_MAX;
	service->connections_max = connections_max;
	if (room < (rlim_t)2 * (connections_max + service->pending_max)) {
		rlim_t each = room / 2 > service->pending_max ? room / 2 - service->pending_max : 1;
		service->connections_max = (uint32_t)each;
		log_write(LOG_WARNING, "service", "the system allows %llu open files: at most %u connections of clients, not %u",
		          (unsigned long long)limit.rlim_cur, service->connections_max, connections_max);
	}
}

static int door_open(struct service *service, struct door *door, const char *address, const char *token, struct error *error)
{
	door->service = service;
	TAILQ_INIT(&door->waiting);
	door->config = (struct connection_config){
		.side = CONNECTION_SERVER,
		.version_low = PROTOCOL_VERSION,
		.version_high = PROTOCOL_VERSION,
		.cluster_id = service->cluster_id,
		.name = service->node_name,
		.token = token,
	};
	/* One more of each, which is told that there is no room. */
	return listener_create(service->loop, address, service->connections_max + service->pending_max + 2, accepted, door,
	                       &door->listener, error);
}

int service_create(struct loop *loop, const struct service_options *options, struct service **ret_service,
                   struct error *error)
{
	struct service *service = mem_zero(sizeof *service);
	service->loop = loop;
	service->next_id = 1;
	service->cluster_id = mem_string(options->cluster_id);
	service->node_name = mem_string(options->node_name);
	service->token = mem_string(options->token);
	set_limits(service, options->connections_max);
	int code = door_open(service, &service->tcp, options->listen, service->token, error);
	if (code == 0)
		code = door_open(service, &service->local, options->socket_path, "", error);
	if (code != 0) {
		service_destroy(service);
		return code;
	}
	*ret_service = service;
	return 0;
}

void service_set_peers(struct service *service, struct peers *peers)
{
	service->peers = peers;
	service->tcp.config.node = peers != NULL ? peers_self(peers) : NULL;
}

void service_set_cluster(struct service *service, const char *cluster_id)
{
	mem_free(service->cluster_id);
	service->cluster_id = mem_string(cluster_id);
	service->tcp.config.cluster_id = service->local.config.cluster_id = service->cluster_id;
}

void service_set_node(struct service *service, struct node *node)
{
	service->node = node;
}

void service_destroy(struct service *service)
{
	struct client *client;
	struct client *next;
	if (service == NULL)
		return;
	HASH_ITER(hh, service->clients, client, next)
		client_destroy(client);
	listener_destroy(service->tcp.listener);
	listener_destroy(service->local.listener);
	buffer_finish(&service->out);
	arena_finish(&service->arena);
	mem_free(service->cluster_id);
	mem_free(service->node_name);
	mem_free(service->token);
	mem_free(service);
}

uint16_t service_port(const struct service *service)
{
	return listener_port(service->tcp.listener);
}

const struct service_counts *service_counts(const struct service *service)
{
	return &service->counts;
}
