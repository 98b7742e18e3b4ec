/* Clients and workers that behave badly, for mischief.sh: mischief SOCKET WHAT [ARGUMENT…]. Prints what the node answered. Nodes that do
 * are in mischief_peer.c. */
#include "client/client.h"
#include "wire/message.h"
#include "mischief_peer.h"

#include "base/memory.h"
#include "wire/connection.h"
#include "wire/message.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* --- bytes --------------------------------------------------------------------------------------------------------- */

static int open_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof address.sun_path) {
		fprintf(stderr, "%s is too long\n", path);
		exit(2);
	}
	strcpy(address.sun_path, path);
	int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (descriptor < 0 || connect(descriptor, (const struct sockaddr *)&address, sizeof address) != 0) {
		fprintf(stderr, "cannot connect to %s: %s\n", path, strerror(errno));
		exit(2);
	}
	return descriptor;
}

static void write_all(int descriptor, const void *data, size_t size)
{
	const char *at = data;
	while (size > 0) {
		ssize_t written = send(descriptor, at, size, MSG_NOSIGNAL);
		if (written <= 0)
			return; /* the node has had enough of it */
		at += written;
		size -= (size_t)written;
	}
}

/* What the node says until it closes, or for two seconds: the text of a goodbye or of a refusing welcome. */
static void print_answer(int descriptor)
{
	struct buffer input = BUFFER_EMPTY;
	struct pollfd poll_descriptor = {.fd = descriptor, .events = POLLIN};
	struct arena arena = {0};
	while (poll(&poll_descriptor, 1, 2000) == 1) {
		ssize_t size = read(descriptor, buffer_reserve(&input, 65536), 65536);
		if (size <= 0)
			break;
		input.size += (size_t)size;
	}
	size_t at = 0;
	struct frame frame;
	size_t size;
	while (frame_parse((struct slice){input.data + at, input.size - at}, &frame, &size, NULL) == 1) {
		ProtobufCMessage *message;
		if (frame.type == FRAME_GOODBYE &&
		    message_unpack(&clusterd__wire__goodbye__descriptor, frame.message, &arena, &message, NULL) == 0)
			printf("goodbye: %s\n", ((Clusterd__Wire__Goodbye *)message)->error->text);
		if (frame.type == FRAME_WELCOME &&
		    message_unpack(&clusterd__wire__welcome__descriptor, frame.message, &arena, &message, NULL) == 0 &&
		    ((Clusterd__Wire__Welcome *)message)->error != NULL)
			printf("refused: %s\n", ((Clusterd__Wire__Welcome *)message)->error->text);
		at += size;
	}
	arena_finish(&arena);
	buffer_finish(&input);
}

static void append_hello(struct buffer *out)
{
	struct connection_config config = {
		.side = CONNECTION_CLIENT,
		.version_low = PROTOCOL_VERSION,
		.version_high = PROTOCOL_VERSION,
		.cluster_id = "",
		.name = "mischief",
		.token = "",
		.role = CLUSTERD__WIRE__ROLE__ROLE_CLIENT,
	};
	struct connection *connection = connection_create(&config);
	connection_begin(connection, out);
	connection_destroy(connection);
}

static void append_status_request(struct buffer *out)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Status status = CLUSTERD__WIRE__STATUS__INIT;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_STATUS;
	request.status = &status;
	message_frame(out, FRAME_REQUEST, 1, &request.base, SLICE(""));
}

static int send_bytes(const char *socket_path, const char *what)
{
	struct buffer out = BUFFER_EMPTY;
	int descriptor = open_socket(socket_path);
	if (strcmp(what, "garbage") == 0) {
		for (int i = 0; i < 100000; i++)
			buffer_append_char(&out, (char)(i * 31 + i / 7));
	} else {
		append_hello(&out);
		size_t frame = out.size;
		append_status_request(&out);
		if (strcmp(what, "checksum") == 0)
			out.data[out.size - 1] ^= 1;
		else if (strcmp(what, "oversize") == 0)
			memset(out.data + frame + 16, 0x7F, 4); /* the size of the payload */
		else if (strcmp(what, "truncated") == 0)
			out.size -= 2;
		else if (strcmp(what, "type") == 0)
			frame_append(&out, FRAME_RESULT, 0, SLICE(""), SLICE("null"));
		else if (strcmp(what, "message") == 0)
			frame_append(&out, FRAME_REQUEST, 2, SLICE("\x0a\xff\xff\xff\xff\x0f"), SLICE(""));
	}
	write_all(descriptor, out.data, out.size);
	if (strcmp(what, "truncated") == 0)
		shutdown(descriptor, SHUT_WR);
	print_answer(descriptor);
	buffer_finish(&out);
	close(descriptor);
	return 0;
}

/* Connections that send nothing, until stdin ends. */
static int hold(const char *socket_path, int count)
{
	struct rlimit limit = {(rlim_t)count + 100, (rlim_t)count + 100};
	char byte;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0; i < count; i++)
		open_socket(socket_path);
	printf("%d connections\n", count);
	fflush(stdout);
	return read(STDIN_FILENO, &byte, 1) < 0;
}

/* --- workers ------------------------------------------------------------------------------------------------------- */

struct bad_worker {
	struct link *link;
	const char *what;
	uint64_t instance, attempt; /* another's call */
	uint32_t ref;
	int taken;
	bool over;
};

static void send_result(struct bad_worker *worker, uint64_t instance, uint32_t ref, uint64_t attempt, struct slice value)
{
	Clusterd__Wire__Result result = CLUSTERD__WIRE__RESULT__INIT;
	result.instance = instance;
	result.ref = ref;
	result.attempt = attempt;
	link_send(worker->link, FRAME_RESULT, 0, &result.base, value);
}

static void take_call(struct bad_worker *worker, const Clusterd__Wire__Assignment *call)
{
	if (strcmp(worker->what, "vanish") == 0) {
		puts("vanished");
		exit(0);
	}
	if (strcmp(worker->what, "type") == 0) {
		send_result(worker, call->instance, call->ref, call->attempt, SLICE("{\"not\": \"a text\"}"));
		return;
	}
	send_result(worker, call->instance, call->ref, call->attempt, SLICE("\"first\""));
	send_result(worker, call->instance, call->ref, call->attempt, SLICE("\"second\""));
}

static void worker_frame(void *context, const struct frame *frame)
{
	struct bad_worker *worker = context;
	struct arena arena = {0};
	ProtobufCMessage *message;
	struct error error;
	if (frame->type == FRAME_RESULT_TAKEN && ++worker->taken == 1 && strcmp(worker->what, "twice") == 0) {
		puts("taken");
		worker->over = true;
	}
	if (frame->type != FRAME_ASSIGNMENT)
		return;
	if (message_unpack(&clusterd__wire__assignment__descriptor, frame->message, &arena, &message, &error) == 0)
		take_call(worker, (const Clusterd__Wire__Assignment *)message);
	arena_finish(&arena);
}

static void worker_lost(void *context, const struct error *error, bool all)
{
	struct bad_worker *worker = context;
	(void)all;
	printf("lost: %s\n", error->text);
	worker->over = true;
}

static void worker_open(void *context)
{
	struct bad_worker *worker = context;
	Clusterd__Wire__Offer offer = CLUSTERD__WIRE__OFFER__INIT;
	Clusterd__Wire__OfferedProcess process = CLUSTERD__WIRE__OFFERED_PROCESS__INIT;
	Clusterd__Wire__OfferedProcess *processes[1] = {&process};
	process.name = (char *)(uintptr_t)(strcmp(worker->what, "foreign") == 0 ? "NobodyElse" : "Nobody");
	offer.processes = processes;
	offer.n_processes = 1;
	offer.credit = 1;
	link_send(worker->link, FRAME_OFFER, 0, &offer.base, SLICE(""));
	if (worker->instance != 0)
		send_result(worker, worker->instance, worker->ref, worker->attempt, SLICE("\"forged\""));
}

static const struct link_handler worker_handler = {worker_open, worker_frame, worker_lost};

/* On a connection as the library makes it, but not as its workers use it. */
static int work(const char *socket_path, const char *what, int argc, char **argv)
{
	struct clusterd_client_options options = CLUSTERD_CLIENT_OPTIONS;
	struct bad_worker worker = {.what = what};
	struct clusterd_client *client;
	struct clusterd_error failure;
	struct error error;
	options.addresses = socket_path;
	options.name = "mischief";
	if (clusterd_client_create(&options, &client, &failure) != 0 || clusterd_client_connect(client, 5000, &failure) != 0) {
		fprintf(stderr, "%s\n", failure.text);
		return 2;
	}
	if (argc >= 3) {
		worker.instance = strtoull(argv[0], NULL, 10);
		worker.ref = (uint32_t)strtoul(argv[1], NULL, 10);
		worker.attempt = strtoull(argv[2], NULL, 10);
	}
	client_look_at_clock(client);
	worker.link = link_create(&client->base, CLUSTERD__WIRE__ROLE__ROLE_WORKER, &worker_handler, &worker);
	link_want(worker.link);
	if (client_turn_until(client, &worker.over, client_deadline(client, 10000), &error) == ERR_TIMEOUT)
		puts("gave up");
	link_destroy(worker.link);
	clusterd_client_destroy(client);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: mischief SOCKET WHAT [ARGUMENT…]\n");
		return 2;
	}
	if (strcmp(argv[2], "peer") == 0 && argc > 3)
		return mischief_peer(argv[1], argv[3], argc - 4, argv + 4);
	if (strcmp(argv[2], "hold") == 0)
		return hold(argv[1], atoi(argv[3]));
	if (strcmp(argv[2], "worker") == 0)
		return work(argv[1], argv[3], argc - 4, argv + 4);
	return send_bytes(argv[1], argv[2]);
}
