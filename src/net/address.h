/* Addresses as people write them: "HOST:PORT", "[::1]:9189", "/path/of/socket". */
#ifndef CLUSTERD_NET_ADDRESS_H
#define CLUSTERD_NET_ADDRESS_H

#include "base/error.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <stdbool.h>
#include <stdint.h>

#define ADDRESS_TEXT_SIZE 64 /* of address_format */
#define ADDRESS_CHOICES 8    /* addresses of one name that are tried */

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_storage storage;
		struct sockaddr_un local;
	};
	socklen_t size;
};

/* Where a socket's file is. */
struct address_file {
	int directory;  /* descriptor, O_PATH */
	char name[256]; /* in that directory */
};

bool address_is_file(const char *address);
/* Whether it is of the form HOST:PORT; what the host is, if anything, is not looked at. ERR_INVALID. */
int address_check(const char *address, struct error *error);
/* HOST:PORT to addresses, best first. Blocks when HOST is a name. */
int address_resolve(const char *address, bool to_listen, struct address ret_addresses[ADDRESS_CHOICES],
                    size_t *ret_count, struct error *error);
int address_resolve_many(const char *address, bool to_listen, struct address *ret_addresses, size_t room, size_t *ret_count,
                         struct error *error);
/* The same for numbers only ("127.0.0.1:9189", "[::1]:9189"): never blocks. false: it is not such an address. */
bool address_parse(const char *address, struct address *ret_address);
bool address_is_loopback(const struct address *address);
bool address_is_any(const struct address *address); /* 0.0.0.0 or :: */
/* IPv4 within IPv6 (::ffff:127.0.0.1) becomes IPv4. */
void address_simplify(struct address *address);
/* Opens the directory of a socket file; close it when `ret_address` is no longer used. The address may go by the
 * directory's descriptor, since the system takes paths of up to 107 bytes only. */
int address_of_file(const char *path, struct address_file *ret_file, struct address *ret_address, struct error *error);
/* "127.0.0.1:4711", "[::1]:4711", "unix". */
void address_format(const struct address *address, char ret_text[ADDRESS_TEXT_SIZE]);
uint16_t address_port(const struct address *address);

/* A connection to a free port of this host can, when the system picks that very port for its own end, reach itself. */
bool address_is_own_echo(int descriptor);

#endif
