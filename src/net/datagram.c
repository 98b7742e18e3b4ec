#include "net/datagram.h"

#include "base/memory.h"
#include "net/address.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BATCH 32 /* datagrams taken with one system call */
#define RECEIVE_BUFFER (1 << 20)

struct datagram_socket {
	struct loop *loop;
	struct loop_watch *watch;
	datagram_received *received;
	void *context;
	int descriptor;
	int family;
	char bytes[BATCH][DATAGRAM_SIZE_MAX + 1];
};

/* Takes what is there with one system call. false: nothing more is. */
static bool receive_batch(struct datagram_socket *socket)
{
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH];
	struct address from[BATCH];
	memset(messages, 0, sizeof messages);
	for (size_t i = 0; i < BATCH; i++) {
		parts[i] = (struct iovec){socket->bytes[i], sizeof socket->bytes[i]};
		messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i].storage,
		                                      .msg_namelen = sizeof from[i].storage,
		                                      .msg_iov = &parts[i],
		                                      .msg_iovlen = 1};
	}
	/* An error of an earlier datagram, refused by a host that is not there, comes up here and is of no interest. */
	int count = recvmmsg(socket->descriptor, messages, BATCH, MSG_DONTWAIT, NULL);
	if (count < 0)
		return errno != EAGAIN && errno != EWOULDBLOCK && (errno == EINTR || errno == ECONNREFUSED);
	for (int i = 0; i < count; i++) {
		from[i].size = messages[i].msg_hdr.msg_namelen;
		address_simplify(&from[i]);
		socket->received(socket->context, &from[i], (struct slice){socket->bytes[i], messages[i].msg_len});
	}
	return count == BATCH;
}

static void ready(void *context, bool readable, bool writable)
{
	struct datagram_socket *socket = context;
	(void)writable;
	for (int i = 0; readable && i < DATAGRAMS_PER_TURN / BATCH; i++) {
		if (!receive_batch(socket))
			return;
	}
}

static int open_at(const struct address *address)
{
	const int size = RECEIVE_BUFFER;
	int descriptor = socket(address->any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (descriptor < 0)
		return -1;
	setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	if (bind(descriptor, &address->any, address->size) == 0)
		return descriptor;
	int reason = errno;
	close(descriptor);
	errno = reason;
	return -1;
}

int datagram_open(struct loop *loop, const char *address, datagram_received *received, void *context,
                  struct datagram_socket **ret_socket, struct error *error)
{
	struct address addresses[ADDRESS_CHOICES];
	size_t count = 0;
	int descriptor = -1;
	int code = address_resolve(address, true, addresses, &count, error);
	if (code != 0)
		return code;
	size_t at = 0;
	for (; at < count && descriptor < 0; at++)
		descriptor = open_at(&addresses[at]);
	if (descriptor < 0)
		return error_set(error, errno == EADDRINUSE ? ERR_EXISTS : ERR_IO, "cannot take datagrams on %s: %s", address,
		                 strerror(errno));
	struct datagram_socket *socket = mem_zero(sizeof *socket);
	socket->loop = loop;
	socket->received = received;
	socket->context = context;
	socket->descriptor = descriptor;
	socket->family = addresses[at - 1].any.sa_family;
	socket->watch = loop_watch_create(loop, descriptor, ready, socket);
	loop_watch_set(socket->watch, true, false);
	*ret_socket = socket;
	return 0;
}

void datagram_close(struct datagram_socket *socket)
{
	if (socket == NULL)
		return;
	loop_watch_destroy(socket->watch);
	close(socket->descriptor);
	mem_free(socket);
}

/* An IPv6 socket reaches IPv4 hosts by addresses of this form. */
static void map_to_ipv6(const struct address *from, struct address *ret_to)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)&from->storage;
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = v4->sin_port};
	v6.sin6_addr.s6_addr[10] = v6.sin6_addr.s6_addr[11] = 0xFF;
	memcpy(v6.sin6_addr.s6_addr + 12, &v4->sin_addr, 4);
	memcpy(&ret_to->storage, &v6, sizeof v6);
	ret_to->size = sizeof v6;
}

bool datagram_send(struct datagram_socket *socket, const struct address *to, struct slice bytes)
{
	struct address mapped;
	if (socket->family == AF_INET6 && to->any.sa_family == AF_INET) {
		map_to_ipv6(to, &mapped);
		to = &mapped;
	}
	ssize_t sent;
	do
		sent = sendto(socket->descriptor, bytes.data, bytes.size, MSG_DONTWAIT | MSG_NOSIGNAL, &to->any, to->size);
	while (sent < 0 && (errno == EINTR || errno == ECONNREFUSED));
	return sent == (ssize_t)bytes.size;
}
