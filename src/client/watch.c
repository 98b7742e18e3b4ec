#include "client/client.h"

#include "base/memory.h"

#include <assert.h>
#include <string.h>

/* A watch asks for what has changed from a version on, again and again. Where the state comes first, it lists keys page by page; what
 * happens meanwhile may show in a later page already, so it is known for each page as of which version it is. */

#define FOLLOW_MS 10000 /* one request waits so long for changes */

struct page {
	char *last; /* key of it; NULL: to the end */
	uint64_t version;
};

struct clusterd_watch {
	struct clusterd_client *client;
	char *key;
	bool prefix;
	bool state;
	bool tells;     /* a call is under way */
	bool destroyed; /* from inside it */
	bool over;
	uint64_t from; /* 0: not known yet */
	char *after;
	struct page *pages;
	size_t page_count;
	size_t page_room;
	struct clusterd_request *request;
	clusterd_changed *changed;
	void *context;
};

static void list(struct clusterd_watch *watch);
static void follow(struct clusterd_watch *watch);

static void watch_free(struct clusterd_watch *watch)
{
	for (size_t i = 0; i < watch->page_count; i++)
		mem_free(watch->pages[i].last);
	mem_free(watch->pages);
	mem_free(watch->after);
	mem_free(watch->key);
	mem_free(watch);
}

/* false: it was destroyed. */
static bool tell(struct clusterd_watch *watch, const struct clusterd_key *key, const struct error *error)
{
	struct clusterd_error public;
	client_say(&public, error);
	watch->tells = true;
	watch->changed(watch->context, key, error != NULL ? &public : NULL);
	watch->tells = false;
	if (watch->destroyed)
		watch_free(watch);
	else
		return true;
	return false;
}

static void end(struct clusterd_watch *watch, const struct error *error)
{
	watch->over = true;
	tell(watch, NULL, error);
}

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
	struct error failure = {0};
	watch->request = NULL;
	if (error == NULL && reply->response->body_case != CLUSTERD__WIRE__RESPONSE__BODY_KEYS)
		request_unexpected(&failure);
	else if (error != NULL && !request_may_pass(error->code))
		failure = *error;
	if (failure.code != 0) {
		end(watch, &failure);
		return;
	}
	if (error != NULL) {
		list(watch);
		return;
	}
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
	if (watch->after != NULL && watch->state)
		list(watch);
	else
		follow(watch);
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
	watch->request = request_begin(watch->client, &message, SLICE(""), CLUSTERD_NO_TIMEOUT, take_page, watch);
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
	struct error failure = {0};
	watch->request = NULL;
	if (error == NULL && reply->response->body_case != CLUSTERD__WIRE__RESPONSE__BODY_CHANGES)
		request_unexpected(&failure);
	else if (error != NULL && !request_may_pass(error->code))
		failure = *error;
	if (failure.code != 0) {
		end(watch, &failure);
		return;
	}
	if (error == NULL) {
		const Clusterd__Wire__Changes *changes = reply->response->changes;
		size_t at = 0;
		for (size_t i = 0; i < changes->n_changes; i++) {
			struct clusterd_key key;
			reply_key(changes->changes[i], reply, &at, &key);
			if (is_wanted(watch, &key) && is_new(watch, &key) && !tell(watch, &key, NULL))
				return;
		}
		watch->from = changes->next > watch->from ? changes->next : watch->from;
	}
	follow(watch);
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
	watch->request = request_begin(watch->client, &message, SLICE(""), FOLLOW_MS, take_changes, watch);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

struct clusterd_watch *clusterd_watch_create(struct clusterd_client *client,
                                             const struct clusterd_watch_options *options)
{
	struct clusterd_watch_options known = CLUSTERD_WATCH_OPTIONS;
	struct clusterd_watch *watch = mem_zero(sizeof *watch);
	memcpy(&known, options, options->size < sizeof known ? options->size : sizeof known);
	assert(known.key != NULL && known.changed != NULL);
	watch->client = client;
	watch->key = mem_string(known.key);
	watch->prefix = known.prefix;
	watch->state = known.state;
	watch->from = known.state ? 0 : known.from;
	watch->changed = known.changed;
	watch->context = known.context;
	client->users++;
	if (watch->from != 0)
		follow(watch);
	else
		list(watch);
	return watch;
}

void clusterd_watch_destroy(struct clusterd_watch *watch)
{
	if (watch == NULL)
		return;
	clusterd_request_cancel(watch->request);
	watch->request = NULL;
	watch->client->users--;
	if (watch->tells)
		watch->destroyed = true;
	else
		watch_free(watch);
}

uint64_t clusterd_watch_version(const struct clusterd_watch *watch)
{
	return watch->from;
}
