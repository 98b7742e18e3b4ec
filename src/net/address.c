#include "net/address.h"

#include <netdb.h>
#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOST_SIZE 256

bool address_is_file(const char *address)
{
	return strchr(address, '/') != NULL;
}

/* Takes the port off the end: decimal, up to 65535. */
static int split_port(const char *address, const char *colon, struct error *error)
{
	const char *digits = colon + 1;
	size_t count = strspn(digits, "0123456789");
	if (count == 0 || count > 5 || digits[count] != '\0' || strtoul(digits, NULL, 10) > UINT16_MAX)
		return error_set(error, ERR_INVALID, "address \"%s\": the port must be a number from 0 to 65535",
		                 address);
	return 0;
}

static int split(const char *address, char ret_host[HOST_SIZE], const char **ret_port, struct error *error)
{
	const char *host = address;
	const char *colon = strrchr(address, ':');
	if (colon == NULL)
		return error_set(error, ERR_INVALID, "address \"%s\" is neither HOST:PORT nor a path with a slash",
		                 address);
	size_t size = (size_t)(colon - host);
	if (host[0] == '[') {
		if (size < 3 || host[size - 1] != ']')
			return error_set(error, ERR_INVALID, "address \"%s\": expected [HOST]:PORT", address);
		host++;
		size -= 2;
	} else if (memchr(host, ':', size) != NULL) {
		return error_set(error, ERR_INVALID,
		                 "address \"%s\": an IPv6 address is written in brackets, [::1]:9189", address);
	}
	if (size == 0)
		return error_set(error, ERR_INVALID,
		                 "address \"%s\" has no host; all addresses: 0.0.0.0:PORT or [::]:PORT", address);
	if (size >= HOST_SIZE)
		return error_set(error, ERR_INVALID, "the host of an address is %zu bytes long, the limit is %d", size,
		                 HOST_SIZE - 1);
	memcpy(ret_host, host, size);
	ret_host[size] = '\0';
	*ret_port = colon + 1;
	return split_port(address, colon, error);
}

int address_check(const char *address, struct error *error)
{
	char host[HOST_SIZE];
	const char *port = NULL;
	if (address_is_file(address))
		return error_set(error, ERR_INVALID, "address \"%s\" is a path, not HOST:PORT", address);
	return split(address, host, &port, error);
}

int address_resolve_many(const char *address, bool to_listen, struct address *ret_addresses, size_t room, size_t *ret_count,
                         struct error *error)
{
	char host[HOST_SIZE];
	const char *port = NULL;
	int code = split(address, host, &port, error);
	if (code != 0)
		return code;
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
	struct addrinfo *found;
	hints.ai_flags = AI_NUMERICSERV | (to_listen ? AI_PASSIVE : 0);
	int failure = getaddrinfo(host, port, &hints, &found);
	/* This name needs nobody to look it up (RFC 6761, 6.3); a bare system has no file that knows it. */
	if (failure != 0 && strcmp(host, "localhost") == 0)
		failure = getaddrinfo("127.0.0.1", port, &hints, &found);
	if (failure != 0)
		return error_set(error, ERR_NOT_FOUND, "address \"%s\": %s", address,
		                 failure == EAI_SYSTEM ? strerror(errno) : gai_strerror(failure));
	size_t count = 0;
	for (struct addrinfo *one = found; one != NULL && count < room; one = one->ai_next) {
		struct address *to = &ret_addresses[count++];
		memcpy(&to->storage, one->ai_addr, one->ai_addrlen);
		to->size = one->ai_addrlen;
	}
	freeaddrinfo(found);
	*ret_count = count;
	return 0;
}

int address_resolve(const char *address, bool to_listen, struct address ret_addresses[ADDRESS_CHOICES],
                    size_t *ret_count, struct error *error)
{
	return address_resolve_many(address, to_listen, ret_addresses, ADDRESS_CHOICES, ret_count, error);
}

bool address_parse(const char *address, struct address *ret_address)
{
	char host[HOST_SIZE];
	const char *port = NULL;
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
	struct addrinfo *found;
	if (split(address, host, &port, NULL) != 0)
		return false;
	hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
	if (getaddrinfo(host, port, &hints, &found) != 0)
		return false;
	memcpy(&ret_address->storage, found->ai_addr, found->ai_addrlen);
	ret_address->size = found->ai_addrlen;
	freeaddrinfo(found);
	return true;
}

static const struct sockaddr_in *as_ipv4(const struct address *address)
{
	return address->any.sa_family == AF_INET ? (const struct sockaddr_in *)(const void *)&address->storage : NULL;
}

static const struct sockaddr_in6 *as_ipv6(const struct address *address)
{
	return address->any.sa_family == AF_INET6 ? (const struct sockaddr_in6 *)(const void *)&address->storage : NULL;
}

bool address_is_loopback(const struct address *address)
{
	const struct sockaddr_in *v4 = as_ipv4(address);
	const struct sockaddr_in6 *v6 = as_ipv6(address);
	if (v6 != NULL && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		return v6->sin6_addr.s6_addr[12] == 127;
	return (v4 != NULL && ntohl(v4->sin_addr.s_addr) >> 24 == 127) || (v6 != NULL && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr));
}

bool address_is_any(const struct address *address)
{
	const struct sockaddr_in *v4 = as_ipv4(address);
	const struct sockaddr_in6 *v6 = as_ipv6(address);
	return (v4 != NULL && v4->sin_addr.s_addr == INADDR_ANY) || (v6 != NULL && IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr));
}

void address_simplify(struct address *address)
{
	const struct sockaddr_in6 *v6 = as_ipv6(address);
	if (v6 == NULL || !IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		return;
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = v6->sin6_port};
	memcpy(&v4.sin_addr, v6->sin6_addr.s6_addr + 12, sizeof v4.sin_addr);
	memcpy(&address->storage, &v4, sizeof v4);
	address->size = sizeof v4;
}

int address_of_file(const char *path, struct address_file *ret_file, struct address *ret_address, struct error *error)
{
	struct address_file file;
	struct sockaddr_un *local = &ret_address->local;
	const char *slash = strrchr(path, '/');
	size_t name_size = strlen(slash + 1);
	size_t directory_size = slash == path ? 1 : (size_t)(slash - path);
	char directory[PATH_MAX];
	if (name_size == 0)
		return error_set(error, ERR_INVALID, "address \"%s\" names a directory, not a socket", path);
	if (directory_size >= sizeof directory || name_size >= sizeof file.name)
		return error_set(error, ERR_LIMIT, "the path of a socket is longer than %zu bytes",
		                 sizeof directory - 1);
	memcpy(directory, path, directory_size);
	directory[directory_size] = '\0';
	memcpy(file.name, slash + 1, name_size + 1);
	char by_descriptor[sizeof file.name + 32];
	file.directory = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (file.directory < 0)
		return error_set(error, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "directory %s: %s", directory,
		                 strerror(errno));
	if (strlen(path) >= sizeof local->sun_path) {
		int size =
			snprintf(by_descriptor, sizeof by_descriptor, "/proc/self/fd/%d/%s", file.directory, file.name);
		if ((size_t)size >= sizeof local->sun_path) {
			close(file.directory);
			return error_set(error, ERR_LIMIT, "the name of socket %s is longer than a socket's may be",
			                 path);
		}
		path = by_descriptor;
	}
	memset(local, 0, sizeof *local);
	local->sun_family = AF_UNIX;
	memcpy(local->sun_path, path, strlen(path));
	ret_address->size = sizeof *local;
	*ret_file = file;
	return 0;
}

void address_format(const struct address *address, char ret_text[ADDRESS_TEXT_SIZE])
{
	char host[NI_MAXHOST];
	char port[NI_MAXSERV];
	if (address->any.sa_family == AF_UNIX || address->size < sizeof(struct sockaddr_in) ||
	    getnameinfo(&address->any, address->size, host, sizeof host, port, sizeof port,
	                NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
		strcpy(ret_text, "unix");
		return;
	}
	host[ADDRESS_TEXT_SIZE - 10] = '\0'; /* an interface's name behind the number may be long */
	snprintf(ret_text, ADDRESS_TEXT_SIZE, strchr(host, ':') != NULL ? "[%.54s]:%.6s" : "%.54s:%.6s", host, port);
}

uint16_t address_port(const struct address *address)
{
	if (address->any.sa_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)(const void *)&address->storage)->sin_port);
	if (address->any.sa_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)(const void *)&address->storage)->sin6_port);
	return 0;
}

bool address_is_own_echo(int descriptor)
{
	struct address own = {.size = sizeof own.storage};
	struct address peer = {.size = sizeof peer.storage};
	return getsockname(descriptor, &own.any, &own.size) == 0 &&
	       getpeername(descriptor, &peer.any, &peer.size) == 0 && own.any.sa_family != AF_UNIX &&
	       own.size == peer.size && memcmp(&own.any, &peer.any, own.size) == 0;
}
