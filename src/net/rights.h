/* Messages that take file descriptors to another process, over a local socket of messages (SCM_RIGHTS, unix(7)). */
#ifndef CLUSTERD_NET_RIGHTS_H
#define CLUSTERD_NET_RIGHTS_H

#include <stddef.h>
#include <sys/types.h>

#define RIGHTS_MAX 2 /* descriptors of one message */

/* `text`: not empty. 0, or an errno's value; never blocks. */
int rights_send(int socket, const char *text, const int *descriptors, size_t count);
/* A message with as many descriptors as `count` says, which are the caller's; else all of them are −1. As recvmsg. */
ssize_t rights_receive(int socket, void *ret_text, size_t text_size, int *ret_descriptors, size_t count);

#endif
