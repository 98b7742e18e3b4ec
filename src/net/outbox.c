#include "net/outbox.h"

#include "base/memory.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <assert.h>
#include <string.h>

/* Most answers are small: the first chunk is one that malloc has at hand. Those that follow it are larger and larger. */
#define CHUNK_FIRST 960
#define CHUNK_FACTOR 8
#define CHUNK_MAX (64 << 10)
#define CHUNKS_PER_WRITE 32

struct outbox_chunk {
	TAILQ_ENTRY(outbox_chunk) link;
	size_t capacity;
	size_t begin; /* written up to here */
	size_t end;
	char data[];
};

void outbox_init(struct outbox *outbox)
{
	TAILQ_INIT(&outbox->chunks);
	outbox->size = 0;
}

static void drop_first(struct outbox *outbox)
{
	struct outbox_chunk *chunk = TAILQ_FIRST(&outbox->chunks);
	TAILQ_REMOVE(&outbox->chunks, chunk, link);
	mem_free(chunk);
}

void outbox_finish(struct outbox *outbox)
{
	while (!TAILQ_EMPTY(&outbox->chunks))
		drop_first(outbox);
	outbox->size = 0;
}

static struct outbox_chunk *add_chunk(struct outbox *outbox, size_t needed)
{
	const struct outbox_chunk *last = TAILQ_LAST(&outbox->chunks, outbox_chunks);
	size_t capacity = last == NULL ? CHUNK_FIRST : last->capacity * CHUNK_FACTOR;
	if (capacity > CHUNK_MAX)
		capacity = CHUNK_MAX;
	if (capacity < needed)
		capacity = needed;
	struct outbox_chunk *chunk = mem_alloc(sizeof *chunk + capacity);
	chunk->capacity = capacity;
	chunk->begin = chunk->end = 0;
	TAILQ_INSERT_TAIL(&outbox->chunks, chunk, link);
	return chunk;
}

void outbox_append(struct outbox *outbox, const void *data, size_t size)
{
	const char *from = data;
	struct outbox_chunk *chunk = TAILQ_LAST(&outbox->chunks, outbox_chunks);
	outbox->size += size;
	if (chunk != NULL && size != 0) {
		size_t room = chunk->capacity - chunk->end;
		size_t part = size < room ? size : room;
		memcpy(chunk->data + chunk->end, from, part);
		chunk->end += part;
		from += part;
		size -= part;
	}
	if (size != 0) {
		chunk = add_chunk(outbox, size);
		memcpy(chunk->data, from, size);
		chunk->end = size;
	}
}

static void consume(struct outbox *outbox, size_t size)
{
	assert(size <= outbox->size);
	outbox->size -= size;
	while (size != 0) {
		struct outbox_chunk *chunk = TAILQ_FIRST(&outbox->chunks);
		size_t there = chunk->end - chunk->begin;
		if (size < there) {
			chunk->begin += size;
			return;
		}
		size -= there;
		drop_first(outbox);
	}
}

ssize_t outbox_write(struct outbox *outbox, int descriptor, bool socket)
{
	struct iovec parts[CHUNKS_PER_WRITE];
	size_t count = 0;
	struct outbox_chunk *chunk;
	TAILQ_FOREACH(chunk, &outbox->chunks, link) {
		if (count == CHUNKS_PER_WRITE)
			break;
		parts[count++] = (struct iovec){chunk->data + chunk->begin, chunk->end - chunk->begin};
	}
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
	ssize_t written = socket ? sendmsg(descriptor, &message, MSG_NOSIGNAL)
	                         : writev(descriptor, parts, (int)count);
	if (written > 0)
		consume(outbox, (size_t)written);
	return written;
}
