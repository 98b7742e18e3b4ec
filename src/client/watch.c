#include "client/watcher.h"

#include "base/memory.h"

#include <assert.h>
#include <string.h>

/* A watch asks for what has changed from a version on, again and again. Where the state comes first, it lists keys page by page; what
 * happens meanwhile may show in a later page already, so it is known for each page as of which version it is. */

struct page {
	char *last; /* key of it; NULL: to the end */
	uint64_t version;
};

struct clusterd_watch {
	struct watcher watcher;
	char *key;
	bool prefix;
	bool state;
	bool lists;    /* what is there, or only where it begins */
	uint64_t from; /* 0: not known yet */
	char *after;
	struct page *pages;
	size_t page_count;
	size_t page_room;
	clusterd_changed *changed;
	void *context;
};

static void watch_free(struct watcher *watcher)
{
	struct clusterd_watch *watch = (struct clusterd_watch *)watcher;
	for (size_t i = 0; i < watch->page_count; i++)
		mem_free(watch->pages[i].last);
	mem_free(watch->pages);
	mem_free(watch->after);
	mem_free(watch->key);
	mem_free(watch);
}

/* false: it was destroyed. */
static bool tell(struct clusterd_watch *watch, const struct clusterd_key *key, const struct clusterd_error *error)
{
	watcher_tells(&watch->watcher);
	watch->changed(watch->context, key, error);
	return watcher_told(&watch->watcher);
}

static void end(struct watcher *watcher, const struct clusterd_error *why)
{
	tell((struct clusterd_watch *)watcher, NULL, why);
}

static void ask(struct clusterd_watch *watch);

static bool is_wanted(const struct clusterd_watch *watch, const struct clusterd_key *key)
{
	return watch->prefix || strcmp(key->key, watch->key) == 0;
}

/* --- what is there ------------------------------------------------------------------------------------------------- */

static void note_page(struct clusterd_watch *watch, const Clusterd__Wire__Keys *keys)
{
	bool last = !watch->prefix || !keys->truncated || keys->n_keys == 0;
	const char *name = keys->n_keys > 0 ? keys->keys[keys->n_keys - 1]->key : watch->key;
	if (watch->page_count == 0)
		watch->from = keys->version + 1;
	mem_grow(watch->pages, watch->page_room, watch->page_count + 1);
	watch->pages[watch->page_count++] = (struct page){last ? NULL : mem_string(name), keys->version};
	mem_free(watch->after);
	watch->after = last ? NULL : mem_string(name);
}

static void take_page(void *context, struct clusterd_reply *reply, const struct error *error)
{
	struct clusterd_watch *watch = context;
	if (!watcher_has(&watch->watcher, reply, error, CLUSTERD__WIRE__RESPONSE__BODY_KEYS))
		return;
	const Clusterd__Wire__Keys *keys = reply->response->keys;
	size_t at = 0;
	for (size_t i = 0; watch->state && i < keys->n_keys; i++) {
		struct clusterd_key key;
		reply_key(keys->keys[i], reply, &at, &key);
		key.state = true;
		if (is_wanted(watch, &key) && !tell(watch, &key, NULL))
			return;
	}
	note_page(watch, keys);
	watch->lists = watch->after != NULL && watch->state;
	ask(watch);
}

/* Without the state it is to be known where it begins: a second request would not begin where a first one did. */
static void list(struct clusterd_watch *watch)
{
	Clusterd__Wire__Request message = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__ListKeys body = CLUSTERD__WIRE__LIST_KEYS__INIT;
	body.prefix = watch->key;
	body.after = watch->after != NULL ? watch->after : body.after;
	body.limit = watch->prefix && watch->state ? 0 : 1;
	body.keys_only = !watch->state;
	message.body_case = CLUSTERD__WIRE__REQUEST__BODY_LIST_KEYS;
	message.list_keys = &body;
	watch->watcher.request = request_begin(watch->watcher.client, &message, SLICE(""), CLUSTERD_NO_TIMEOUT, take_page, watch);
}

/* --- what changes -------------------------------------------------------------------------------------------------- */

static bool is_new(const struct clusterd_watch *watch, const struct clusterd_key *key)
{
	for (size_t i = 0; watch->state && i < watch->page_count; i++) {
		const struct page *page = &watch->pages[i];
		if (page->last == NULL || strcmp(key->key, page->last) <= 0)
			return key->version > page->version;
	}
	return true;
}

static void take_changes(void *context, struct clusterd_reply *reply, const struct error *error)
{
	struct clusterd_watch *watch = context;
	if (!watcher_has(&watch->watcher, reply, error, CLUSTERD__WIRE__RESPONSE__BODY_CHANGES))
		return;
	const Clusterd__Wire__Changes *changes = reply->response->changes;
	size_t at = 0;
	for (size_t i = 0; i < changes->n_changes; i++) {
		struct clusterd_key key;
		reply_key(changes->changes[i], reply, &at, &key);
		if (is_wanted(watch, &key) && is_new(watch, &key) && !tell(watch, &key, NULL))
			return;
	}
	watch->from = changes->next > watch->from ? changes->next : watch->from;
	ask(watch);
}

static void follow(struct clusterd_watch *watch)
{
	Clusterd__Wire__Request message = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__WatchKeys body = CLUSTERD__WIRE__WATCH_KEYS__INIT;
	body.key = watch->key;
	body.prefix = watch->prefix;
	body.from = watch->from;
	message.body_case = CLUSTERD__WIRE__REQUEST__BODY_WATCH_KEYS;
	message.watch_keys = &body;
	watch->watcher.request = request_begin(watch->watcher.client, &message, SLICE(""), WATCHER_FOLLOW_MS, take_changes, watch);
}

static void ask(struct clusterd_watch *watch)
{
	if (watch->lists)
		list(watch);
	else
		follow(watch);
}

static void ask_again(struct watcher *watcher)
{
	ask((struct clusterd_watch *)watcher);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

struct clusterd_watch *clusterd_watch_create(struct clusterd_client *client,
                                             const struct clusterd_watch_options *options)
{
	static const struct watcher_kind kind = {ask_again, end, watch_free};
	struct clusterd_watch_options known = CLUSTERD_WATCH_OPTIONS;
	struct clusterd_watch *watch = mem_zero(sizeof *watch);
	memcpy(&known, options, options->size < sizeof known ? options->size : sizeof known);
	assert(known.key != NULL && known.changed != NULL);
	watcher_init(&watch->watcher, &kind, client);
	watch->key = mem_string(known.key);
	watch->prefix = known.prefix;
	watch->state = known.state;
	watch->from = known.state ? 0 : known.from;
	watch->changed = known.changed;
	watch->context = known.context;
	watch->lists = watch->from == 0;
	ask(watch);
	return watch;
}

void clusterd_watch_destroy(struct clusterd_watch *watch)
{
	watcher_destroy((struct watcher *)watch);
}

uint64_t clusterd_watch_version(const struct clusterd_watch *watch)
{
	return watch->from;
}
