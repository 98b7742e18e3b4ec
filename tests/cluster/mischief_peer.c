#include "mischief_peer.h"

#include "base/memory.h"
#include "wire/connection.h"
#include "wire/message.h"
#include "wire/seal.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define SILENT 1000
#define PATIENCE_MS 3000

static int open_socket(const char *address, int type)
{
	const char *colon = strrchr(address, ':');
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (colon != NULL)
		to.sin_port = htons((uint16_t)atoi(colon + 1));
	int descriptor = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	if (descriptor < 0 || connect(descriptor, (const struct sockaddr *)&to, sizeof to) != 0) {
		fprintf(stderr, "cannot connect to %s: %s\n", address, strerror(errno));
		exit(2);
	}
	return descriptor;
}

static void draw_nonce(void *context, unsigned char ret_nonce[CONNECTION_NONCE_SIZE])
{
	(void)context;
	if (getrandom(ret_nonce, CONNECTION_NONCE_SIZE, 0) != CONNECTION_NONCE_SIZE)
		exit(2);
}

struct conversation {
	int descriptor;
	struct connection *connection;
	struct buffer input;
	bool open;
	bool over;
};

static void say(struct conversation *with, const void *data, size_t size)
{
	if (size != 0 && send(with->descriptor, data, size, MSG_NOSIGNAL) < 0)
		with->over = true;
}

static void take_all(struct conversation *with)
{
	struct buffer out = BUFFER_EMPTY;
	enum connection_event event = CONNECTION_FRAME;
	while (event != CONNECTION_MORE) {
		struct frame frame;
		struct error error = {0};
		size_t size;
		event = connection_next(with->connection, buffer_slice(&with->input), &out, &size, &frame, &error);
		buffer_consume(&with->input, size);
		with->open |= event == CONNECTION_OPENED;
		if (event == CONNECTION_GOODBYE || event == CONNECTION_FAILED) {
			printf("%s: %s\n", event == CONNECTION_GOODBYE ? "refused" : "refusing", error.text);
			with->over = true;
		}
	}
	say(with, out.data, out.size);
	buffer_finish(&out);
}

/* Until it is open, or over; for a while when it is open already. */
static void converse(struct conversation *with)
{
	struct pollfd poll_descriptor = {.fd = with->descriptor, .events = POLLIN};
	bool was_open = with->open;
	while (!with->over && with->open == was_open && poll(&poll_descriptor, 1, PATIENCE_MS) == 1) {
		ssize_t size = read(with->descriptor, buffer_reserve(&with->input, 65536), 65536);
		if (size <= 0)
			break;
		with->input.size += (size_t)size;
		take_all(with);
	}
}

static void misbehave(struct conversation *with, const char *what)
{
	struct buffer out = BUFFER_EMPTY;
	if (strcmp(what, "garbage") == 0) {
		for (int i = 0; i < 100000; i++)
			buffer_append_char(&out, (char)(i * 31 + i / 7));
	} else if (strcmp(what, "oversize") == 0) {
		frame_append(&out, FRAME_RAFT, 0, SLICE(""), SLICE(""));
		memset(out.data + 16, 0x7F, 4); /* the size of the payload */
	} else if (strcmp(what, "request") == 0) {
		frame_append(&out, FRAME_REQUEST, 1, SLICE(""), SLICE(""));
	} else if (strcmp(what, "message") == 0) {
		frame_append(&out, FRAME_RAFT, 0, SLICE("\x0a\xff\xff\xff\xff\x0f"), SLICE(""));
	} else {
		puts("open");
		with->over = true;
	}
	say(with, out.data, out.size);
	buffer_finish(&out);
	converse(with);
}

static int greet(const char *address, const char *what, const struct secret *secret, uint64_t id, const char *cluster)
{
	struct connection_node node = {
		.id = id, .generation = 1, .address = "127.0.0.1:1", .secret = secret, .nonce = draw_nonce};
	struct connection_config config = {
		.side = CONNECTION_CLIENT,
		.version_low = PROTOCOL_VERSION,
		.version_high = PROTOCOL_VERSION,
		.cluster_id = cluster,
		.name = "mischief",
		.token = "",
		.role = CLUSTERD__WIRE__ROLE__ROLE_PEER,
		.node = &node,
	};
	struct buffer out = BUFFER_EMPTY;
	struct conversation with = {.descriptor = open_socket(address, SOCK_STREAM), .connection = connection_create(&config)};
	connection_begin(with.connection, &out);
	say(&with, out.data, out.size);
	converse(&with);
	if (with.open && !with.over)
		misbehave(&with, what);
	connection_destroy(with.connection);
	buffer_finish(&out);
	buffer_finish(&with.input);
	close(with.descriptor);
	return 0;
}

/* One of each kind: too short, not of this protocol, without a seal, with another secret's, changed, too long. */
static void send_datagrams(const char *address)
{
	static char zeros[3000];
	struct secret *other = NULL;
	struct buffer out = BUFFER_EMPTY;
	int descriptor = open_socket(address, SOCK_DGRAM);
	secret_create(SLICE("this is not the secret"), &other, NULL);
	send(descriptor, "", 0, 0);
	send(descriptor, "hello", 5, 0);
	send(descriptor, zeros, 100, 0);
	send(descriptor, zeros, sizeof zeros, 0);
	seal_append(&out, NULL, SLICE("hello"));
	send(descriptor, out.data, out.size, 0);
	buffer_clear(&out);
	seal_append(&out, other, SLICE("hello"));
	send(descriptor, out.data, out.size, 0);
	puts("6 datagrams");
	buffer_finish(&out);
	secret_destroy(other);
	close(descriptor);
}

static int hold(const char *address)
{
	struct rlimit limit = {SILENT + 100, SILENT + 100};
	char byte;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0; i < SILENT; i++)
		open_socket(address, SOCK_STREAM);
	printf("%d connections\n", SILENT);
	fflush(stdout);
	return read(STDIN_FILENO, &byte, 1) < 0;
}

int mischief_peer(const char *address, const char *what, int argc, char **argv)
{
	struct secret *secret = NULL;
	struct error error;
	if (strcmp(what, "silent") == 0)
		return hold(address);
	if (strcmp(what, "datagrams") == 0) {
		send_datagrams(address);
		return 0;
	}
	if (argc > 0 && argv[0][0] != '\0' && secret_create(slice_of(argv[0]), &secret, &error) != 0) {
		fprintf(stderr, "%s\n", error.text);
		return 2;
	}
	int code = greet(address, what, secret, argc > 1 ? strtoull(argv[1], NULL, 10) : 4711, argc > 2 ? argv[2] : "");
	secret_destroy(secret);
	return code;
}
