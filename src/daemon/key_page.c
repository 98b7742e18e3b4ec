#include "daemon/key_page.h"

#include "base/memory.h"

void key_page_finish(struct key_page *page)
{
	arena_finish(&page->arena);
	mem_free(page->keys);
	buffer_finish(&page->values);
}

void key_message(Clusterd__Wire__Key *message, char *name, const struct catalog_key *key, size_t size)
{
	clusterd__wire__key__init(message);
	message->key = name;
	message->version = key->version;
	message->created = key->created;
	message->lease = key->lease;
	message->size = (uint32_t)size;
}

void key_page_add(struct key_page *page, const struct catalog_key *key, bool with_value)
{
	Clusterd__Wire__Key *message = arena_alloc(&page->arena, sizeof *message);
	key_message(message, arena_string(&page->arena, key->key), key, key->value.size);
	message->deleted = key->value.data == NULL;
	mem_grow(page->keys, page->capacity, page->count + 1);
	page->keys[page->count++] = message;
	if (with_value)
		buffer_append_slice(&page->values, key->value);
}
