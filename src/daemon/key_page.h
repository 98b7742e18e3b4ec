/* Keys, or changes of keys, as they go into one answer: messages, and the values behind one another as its payload. Start with {0}. */
#ifndef CLUSTERD_DAEMON_KEY_PAGE_H
#define CLUSTERD_DAEMON_KEY_PAGE_H

#include "base/arena.h"
#include "catalog/catalog.h"
#include "proto/wire.pb-c.h"

/* Beyond these an answer takes no more, unless it belongs to what is there. */
#define KEY_PAGE_COUNT 1000
#define KEY_PAGE_BYTES (1u << 20) /* of values */

struct key_page {
	struct arena arena;
	Clusterd__Wire__Key **keys;
	size_t count;
	size_t capacity;
	struct buffer values;
};

void key_page_finish(struct key_page *page);
/* A copy. A key whose value is NULL is one that was deleted. */
void key_page_add(struct key_page *page, const struct catalog_key *key, bool with_value);
/* `name` is borrowed. */
void key_message(Clusterd__Wire__Key *message, char *name, const struct catalog_key *key, size_t size);

#endif
