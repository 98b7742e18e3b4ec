#include "daemon/network.h"

#include "base/log.h"
#include "base/memory.h"
#include "net/address.h"
#include "net/datagram.h"
#include "wire/seal.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PORT_TRIES 64 /* a free port of TCP may be taken for UDP */

struct network {
	const struct config *config;
	const struct network_handler *handler;
	void *context;
	struct service *service;
	struct resolver *resolver;
	struct peers *peers;
	struct datagram_socket *datagrams;
	struct secret *secret; /* NULL: none */
	char token[SECRET_TOKEN_SIZE]; /* "": none */
	char *listening;       /* HOST:PORT */
	char *address;         /* as others reach it */
	struct buffer out;
	uint64_t sent;
	uint64_t received;
	uint64_t refused[SEAL_REFUSAL_COUNT];
};

/* --- the secret ---------------------------------------------------------------------------------------------------- */

static int read_descriptor(int descriptor, const char *path, struct buffer *out, struct error *error)
{
	struct stat status;
	if (fstat(descriptor, &status) != 0)
		return error_set(error, ERR_IO, "secret file %s: %s", path, strerror(errno));
	if ((status.st_mode & (S_IROTH | S_IWOTH)) != 0)
		return error_set(error, ERR_DENIED,
		                 "secret file %s: everybody on this machine may read or change it: chmod o-rwx %s", path, path);
	ssize_t size = read(descriptor, buffer_reserve(out, SECRET_SIZE_MAX + 64), SECRET_SIZE_MAX + 64);
	if (size < 0)
		return error_set(error, ERR_IO, "secret file %s: %s", path, strerror(errno));
	out->size = (size_t)size;
	return 0;
}

static int read_secret(struct network *network, struct error *error)
{
	const char *path = network->config->secret_file;
	struct buffer text = BUFFER_EMPTY;
	if (path == NULL)
		return 0;
	int descriptor = open(path, O_RDONLY | O_CLOEXEC);
	if (descriptor < 0)
		return error_set(error, ERR_IO, "secret file %s: %s", path, strerror(errno));
	int code = read_descriptor(descriptor, path, &text, error);
	close(descriptor);
	if (code == 0 && secret_create(buffer_slice(&text), &network->secret, error) != 0)
		code = error_prefix(error, "secret file %s", path);
	if (text.capacity != 0)
		explicit_bzero(text.data, text.capacity);
	buffer_finish(&text);
	if (code == 0)
		secret_token(network->secret, network->token);
	return code;
}

/* --- files that others read ---------------------------------------------------------------------------------------- */

/* Replaced as a whole. */
static int write_file(const struct network *network, const char *name, const char *line, mode_t mode, struct error *error)
{
	char *path = mem_format("%s/%s", network->config->data_dir, name);
	char *temporary = mem_format("%s.new", path);
	int code = 0;
	unlink(temporary); /* whatever mode it had */
	int descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (descriptor < 0 || dprintf(descriptor, "%s\n", line) < 0)
		code = errno;
	if (descriptor >= 0 && close(descriptor) != 0)
		code = errno;
	if (code == 0 && rename(temporary, path) != 0)
		code = errno;
	if (code != 0)
		code = error_set(error, code == ENOSPC ? ERR_NO_SPACE : ERR_IO, "cannot write %s: %s", path, strerror(code));
	mem_free(temporary);
	mem_free(path);
	return code;
}

/* Who finds the endpoint finds the token that goes with it. */
static int write_files(const struct network *network, struct error *error)
{
	char *token = mem_format("%s/token", network->config->data_dir);
	int code = 0;
	if (network->secret != NULL)
		code = write_file(network, "token", network->token, 0600, error);
	else if (unlink(token) != 0 && errno != ENOENT)
		code = error_set(error, ERR_IO, "cannot remove %s: %s", token, strerror(errno));
	if (code == 0)
		code = write_file(network, "endpoint", network->listening, 0666, error);
	mem_free(token);
	return code;
}

/* --- addresses ----------------------------------------------------------------------------------------------------- */

static char *with_port(const char *address, uint16_t port)
{
	const char *colon = strrchr(address, ':');
	return mem_format("%.*s:%u", (int)(colon - address), address, port);
}

/* The better one is what more hosts can reach: IPv4 or IPv6 as it listens, not of this link only. */
static bool is_guess(const struct ifaddrs *interface, bool ipv6, struct address *ret_address)
{
	if (interface->ifa_addr == NULL || (interface->ifa_flags & IFF_UP) == 0 || (interface->ifa_flags & IFF_LOOPBACK) != 0)
		return false;
	memset(ret_address, 0, sizeof *ret_address);
	if (interface->ifa_addr->sa_family == AF_INET) {
		memcpy(&ret_address->storage, interface->ifa_addr, sizeof(struct sockaddr_in));
		ret_address->size = sizeof(struct sockaddr_in);
		return true;
	}
	if (!ipv6 || interface->ifa_addr->sa_family != AF_INET6)
		return false;
	memcpy(&ret_address->storage, interface->ifa_addr, sizeof(struct sockaddr_in6));
	ret_address->size = sizeof(struct sockaddr_in6);
	return !IN6_IS_ADDR_LINKLOCAL(&((const struct sockaddr_in6 *)(const void *)&ret_address->storage)->sin6_addr);
}

/* Listening everywhere says nothing about how others get here: the first interface that leads out is taken. */
static int guess_address(struct network *network, bool ipv6, uint16_t port, struct error *error)
{
	struct ifaddrs *interfaces = NULL;
	struct address address;
	char text[ADDRESS_TEXT_SIZE] = "";
	const char *name = "";
	getifaddrs(&interfaces);
	for (const struct ifaddrs *at = interfaces; at != NULL && text[0] == '\0'; at = at->ifa_next) {
		if (is_guess(at, ipv6, &address)) {
			address_format(&address, text);
			name = at->ifa_name;
		}
	}
	if (text[0] != '\0') {
		network->address = with_port(text, port);
		log_write(LOG_INFO, "network", "others are told to reach this node at %s (interface %s); advertise says otherwise",
		          network->address, name);
	}
	if (interfaces != NULL)
		freeifaddrs(interfaces);
	if (network->address == NULL)
		return error_set(error, ERR_INVALID,
		                 "listen is \"%s\", and no interface tells how others reach this node: say it (advertise)",
		                 network->config->listen);
	return 0;
}

static int find_address(struct network *network, struct error *error)
{
	const struct config *config = network->config;
	uint16_t port = service_port(network->service);
	const char *advertise = config->advertise != NULL ? config->advertise : config->listen;
	const char *colon = strrchr(advertise, ':');
	struct address address;
	network->listening = with_port(config->listen, port);
	if (address_parse(advertise, &address) && address_is_any(&address)) {
		if (config->advertise != NULL)
			return error_set(error, ERR_INVALID, "advertise is \"%s\": nobody can reach that", advertise);
		return guess_address(network, address.any.sa_family == AF_INET6, port, error);
	}
	network->address = strcmp(colon, ":0") == 0 ? with_port(advertise, port) : mem_string(advertise);
	return 0;
}

/* --- datagrams ----------------------------------------------------------------------------------------------------- */

static void received(void *context, const struct address *from, struct slice bytes)
{
	struct network *network = context;
	struct slice message;
	char text[ADDRESS_TEXT_SIZE];
	enum seal_refusal refusal = seal_open(network->secret, bytes, &message);
	if (refusal != SEAL_INTACT) {
		network->refused[refusal]++;
		return;
	}
	network->received++;
	address_format(from, text);
	network->handler->datagram(network->context, text, message);
}

void network_datagram(struct network *network, const char *address, struct slice bytes)
{
	struct address addresses[ADDRESS_CHOICES];
	struct error error;
	size_t count;
	assert(bytes.size <= SEAL_MESSAGE_MAX);
	if (resolver_find(network->resolver, address, addresses, &count, &error) <= 0)
		return;
	if (network->secret == NULL && !address_is_loopback(&addresses[0]))
		return;
	buffer_clear(&network->out);
	seal_append(&network->out, network->secret, bytes);
	if (datagram_send(network->datagrams, &addresses[0], buffer_slice(&network->out)))
		network->sent++;
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

/* One port for both. A given one must be free for both, of free ones some are tried. */
static int listen_on_both(struct network *network, struct loop *loop, const struct service_options *options, struct error *error)
{
	const char *colon = strrchr(options->listen, ':');
	bool any_port = strcmp(colon, ":0") == 0;
	int code = ERR_EXISTS;
	for (int i = 0; i < (any_port ? PORT_TRIES : 1) && code == ERR_EXISTS; i++) {
		service_destroy(network->service);
		network->service = NULL;
		code = service_create(loop, options, &network->service, error);
		if (code != 0)
			return code;
		char *address = with_port(options->listen, service_port(network->service));
		code = datagram_open(loop, address, received, network, &network->datagrams, error);
		mem_free(address);
	}
	return code;
}

static void open_peers(struct network *network, struct loop *loop, const struct network_options *options)
{
	struct peers_options peers = {
		.id = options->id,
		.generation = options->generation,
		.cluster_id = options->cluster_id,
		.name = network->config->name,
		.address = network->address,
		.secret = network->secret,
		.seed = options->seed,
	};
	network->resolver = resolver_create(loop);
	network->peers = peers_create(loop, &peers, network->resolver, &network->handler->peers, network->context);
	service_set_peers(network->service, network->peers);
}

int network_open(struct loop *loop, const struct network_options *options, const struct network_handler *handler,
                 void *context, struct network **ret_network, struct error *error)
{
	struct network *network = mem_zero(sizeof *network);
	network->config = options->config;
	network->handler = handler;
	network->context = context;
	struct service_options service = {
		.listen = options->config->listen,
		.socket_path = options->socket_path,
		.cluster_id = options->cluster_id,
		.node_name = options->config->name,
		.token = network->token,
		.connections_max = (uint32_t)options->config->connections,
	};
	int code = read_secret(network, error);
	if (code == 0)
		code = listen_on_both(network, loop, &service, error);
	if (code == 0)
		code = find_address(network, error);
	if (code == 0)
		code = write_files(network, error);
	if (code != 0) {
		network_close(network);
		return code;
	}
	open_peers(network, loop, options);
	*ret_network = network;
	return 0;
}

void network_close(struct network *network)
{
	if (network == NULL)
		return;
	if (network->service != NULL)
		service_set_peers(network->service, NULL);
	peers_destroy(network->peers);
	service_destroy(network->service);
	datagram_close(network->datagrams);
	resolver_destroy(network->resolver);
	secret_destroy(network->secret);
	explicit_bzero(network->token, sizeof network->token);
	buffer_finish(&network->out);
	mem_free(network->listening);
	mem_free(network->address);
	mem_free(network);
}

struct service *network_service(const struct network *network)
{
	return network->service;
}

struct peers *network_peers(const struct network *network)
{
	return network->peers;
}

const char *network_address(const struct network *network)
{
	return network->address;
}

void network_set_cluster(struct network *network, const char *cluster_id)
{
	peers_set_cluster(network->peers, cluster_id);
	service_set_cluster(network->service, cluster_id);
}

static void add_count(struct buffer *out, bool *first, const char *name, uint64_t count)
{
	buffer_format(out, "%s\"%s\":%" PRIu64, *first ? "" : ",", name, count);
	*first = false;
}

void network_status(const struct network *network, struct buffer *out)
{
	const struct peers_counts *peers = peers_counts(network->peers);
	const struct service_counts *service = service_counts(network->service);
	bool first = true;
	buffer_format(out, ",\"connections\":%u,\"workers\":%u,\"connections_failed\":%" PRIu64, service->connections,
	              service->workers, service->failed);
	buffer_format(out, ",\"peers_connected\":%u,\"peers_incoming\":%u", peers->connected, peers->incoming);
	buffer_format(out, ",\"peer_frames_sent\":%" PRIu64 ",\"peer_frames_received\":%" PRIu64 ",\"peer_frames_dropped\":%" PRIu64,
	              peers->frames_sent, peers->frames_received, peers->frames_dropped);
	buffer_format(out, ",\"peers_failed\":%" PRIu64 ",\"peers_stalled\":%" PRIu64 ",\"peers_replaced\":%" PRIu64, peers->failed,
	              peers->stalled, peers->replaced);
	buffer_append_string(out, ",\"handshakes_refused\":{");
	for (int refusal = REFUSAL_NONE + 1; refusal < REFUSAL_COUNT; refusal++)
		add_count(out, &first, connection_refusal_name((enum connection_refusal)refusal), peers->refused[refusal]);
	buffer_format(out, "},\"datagrams_sent\":%" PRIu64 ",\"datagrams_received\":%" PRIu64 ",\"datagrams_refused\":{", network->sent,
	              network->received);
	first = true;
	for (int refusal = SEAL_INTACT + 1; refusal < SEAL_REFUSAL_COUNT; refusal++)
		add_count(out, &first, seal_refusal_name((enum seal_refusal)refusal), network->refused[refusal]);
	buffer_append_char(out, '}');
}
