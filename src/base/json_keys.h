/* The keys of the objects that are open while a JSON text is checked: finds a key that stands twice in one object.
 * The time is linear, and n log n for keys that were made to collide. */
#ifndef CLUSTERD_BASE_JSON_KEYS_H
#define CLUSTERD_BASE_JSON_KEYS_H

#include "base/arena.h"
#include "base/buffer.h"

#include <stdbool.h>
#include <stdint.h>

struct json_key {
	const char *data; /* escapes undone */
	uint32_t size;
	uint32_t offset; /* in the text that is checked: whoever adds the key says it, and gets it back */
	uint64_t hash;
};

#define JSON_KEYS_INLINE 32

struct json_keys {
	struct json_key *keys; /* of all open objects, outermost first */
	size_t count;
	size_t capacity;
	uint32_t *slots; /* index + 1 of a key; 0: free */
	size_t slot_capacity;
	struct buffer scratch;
	struct arena unescaped;
	struct json_key first[JSON_KEYS_INLINE];
};

void json_keys_init(struct json_keys *keys);
void json_keys_finish(struct json_keys *keys);
/* `raw` is the key as it stands between its quotes, and outlives `keys`. */
void json_keys_add(struct json_keys *keys, struct slice raw, uint32_t offset);
/* Ends the object whose keys are those from index `first` on, and takes them away. True when one of them is there
 * twice: ret_offset is then the second one's. */
bool json_keys_close(struct json_keys *keys, size_t first, uint32_t *ret_offset);

#endif
