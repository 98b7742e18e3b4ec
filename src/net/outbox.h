/* Bytes that wait to be written to a descriptor. */
#ifndef CLUSTERD_NET_OUTBOX_H
#define CLUSTERD_NET_OUTBOX_H

#include "base/slice.h"

#include <sys/queue.h>
#include <sys/types.h>

struct outbox_chunk;

struct outbox {
	TAILQ_HEAD(outbox_chunks, outbox_chunk) chunks;
	size_t size;
};

void outbox_init(struct outbox *outbox);
void outbox_finish(struct outbox *outbox); /* drops all; usable afterwards */
void outbox_append(struct outbox *outbox, const void *data, size_t size);
/* One system call's worth. Bytes written, or −1 with errno. `socket`: never a SIGPIPE. */
ssize_t outbox_write(struct outbox *outbox, int descriptor, bool socket);

#endif
