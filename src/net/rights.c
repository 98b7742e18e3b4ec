#include "net/rights.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(RIGHTS_MAX * sizeof(int))];
};

int rights_send(int socket, const char *text, const int *descriptors, size_t count)
{
	union control control;
	struct iovec data = {(void *)(uintptr_t)text, strlen(text)};
	struct msghdr message = {.msg_iov = &data,
	                         .msg_iovlen = 1,
	                         .msg_control = &control,
	                         .msg_controllen = CMSG_SPACE(count * sizeof(int))};
	assert(count > 0 && count <= RIGHTS_MAX);
	memset(&control, 0, sizeof control);
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(&control.header), descriptors, count * sizeof(int));
	return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) > 0 ? 0 : errno;
}

ssize_t rights_receive(int socket, void *ret_text, size_t text_size, int *ret_descriptors, size_t count)
{
	union control control;
	struct iovec data = {ret_text, text_size};
	struct msghdr message = {.msg_iov = &data,
	                         .msg_iovlen = 1,
	                         .msg_control = &control,
	                         .msg_controllen = sizeof control};
	assert(count > 0 && count <= RIGHTS_MAX);
	for (size_t i = 0; i < count; i++)
		ret_descriptors[i] = -1;
	ssize_t size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *header = size > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (header != NULL && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(count * sizeof(int)))
		memcpy(ret_descriptors, CMSG_DATA(header), count * sizeof(int));
	return size;
}
