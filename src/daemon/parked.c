#include "daemon/parked.h"

#include "base/memory.h"
#include "wire/message.h"

#define LOOK_MS 20 /* not more often than so are all of them looked at */

struct parked *parked_add(struct parking *parking, uint64_t id, uint64_t connection, uint32_t stream,
                          const Clusterd__Wire__Request *request, struct slice payload, msec now, struct error *error)
{
	if (parking->count >= PARKED_MAX) {
		error_set(error, ERR_BUSY, "%u requests wait to be taken: come back later", PARKED_MAX);
		return NULL;
	}
	struct parked *parked = mem_zero(sizeof *parked);
	message_append(&parked->bytes, &request->base);
	parked->message_size = parked->bytes.size;
	if (parking->size + parked->message_size + payload.size > PARKED_BYTES_MAX) {
		error_set(error, ERR_BUSY,
		          "the requests that wait to be taken have %zu bytes; with this one it would be more than %u",
		          parking->size, PARKED_BYTES_MAX);
		parked_destroy(parked);
		return NULL;
	}
	buffer_append_slice(&parked->bytes, payload);
	parked->id = id;
	parked->connection = connection;
	parked->stream = stream;
	parked->deadline = request->timeout_ms != 0 ? now + request->timeout_ms : MSEC_NEVER;
	parked->until = MSEC_NEVER;
	parked->again = MSEC_NEVER;
	HASH_ADD(hh, parking->items, id, sizeof parked->id, parked);
	parking->count++;
	parking->size += parked->bytes.size;
	parking->next = msec_earlier(parking->next, parked->deadline);
	return parked;
}

struct parked *parked_find(const struct parking *parking, uint64_t id)
{
	struct parked *parked;
	HASH_FIND(hh, parking->items, &id, sizeof id, parked);
	return parked;
}

void parked_take(struct parking *parking, struct parked *parked)
{
	HASH_DELETE(hh, parking->items, parked);
	parking->count--;
	parking->size -= parked->bytes.size;
}

void parked_destroy(struct parked *parked)
{
	buffer_finish(&parked->bytes);
	mem_free(parked);
}

void parked_clear(struct parking *parking)
{
	while (parking->items != NULL) {
		struct parked *parked = parking->items;
		parked_take(parking, parked);
		parked_destroy(parked);
	}
}

const Clusterd__Wire__Request *parked_read(const struct parked *parked, struct arena *arena, struct slice *ret_payload,
                                           struct error *error)
{
	ProtobufCMessage *message;
	struct slice bytes = {parked->bytes.data, parked->message_size};
	if (message_unpack(&clusterd__wire__request__descriptor, bytes, arena, &message, error) != 0)
		return NULL;
	*ret_payload = (struct slice){parked->bytes.data + parked->message_size,
	                              parked->bytes.size - parked->message_size};
	return (const Clusterd__Wire__Request *)message;
}

void parked_waits(struct parking *parking, struct parked *parked, msec now)
{
	if (parked->until == MSEC_NEVER)
		parked->until = parked->deadline != MSEC_NEVER ? parked->deadline : now + PARKED_WAIT_MS;
	parking->next = msec_earlier(parking->next, parked->until);
}

void parked_rests(struct parked *parked)
{
	parked->until = MSEC_NEVER;
	parked->again = MSEC_NEVER;
}

void parked_again(struct parking *parking, struct parked *parked, msec at)
{
	parked->again = at;
	parking->next = msec_earlier(parking->next, at);
}

void parking_looked(struct parking *parking, msec now)
{
	msec next = MSEC_NEVER;
	for (const struct parked *parked = parking->items; parked != NULL; parked = parked->hh.next) {
		next = msec_earlier(next, parked->deadline);
		next = msec_earlier(next, parked->until);
		next = msec_earlier(next, parked->again);
	}
	parking->next = next < now + LOOK_MS ? now + LOOK_MS : next;
}
