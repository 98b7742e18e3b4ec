#include "keys.h"

#include "base/memory.h"

#include <string.h>

#define FOLLOW_MS 10000   /* one request waits so long for changes */
#define PATIENCE_MS 30000 /* for a node that answers */
#define RETRY_MS 100

static int unexpected(struct error *error)
{
	return error_set(error, ERR_INVALID, "the node has answered something else than was asked");
}

/* --- one key ------------------------------------------------------------------------------------------------------- */

int keys_create(struct client *client, const char *key, struct slice value, uint64_t lease, uint64_t *ret_version,
                struct error *error)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Put body = CLUSTERD__WIRE__PUT__INIT;
	struct reply reply;
	body.key = (char *)(uintptr_t)key;
	body.lease = lease;
	body.conditional = true;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_PUT;
	request.put = &body;
	int code = client_ask(client, &request, value, &reply, error);
	if (code != 0)
		return code;
	if (reply.response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_WRITTEN)
		*ret_version = reply.response->written->version;
	else
		code = unexpected(error);
	reply_finish(&reply);
	return code;
}

int keys_delete(struct client *client, const char *key, struct error *error)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__DeleteKey body = CLUSTERD__WIRE__DELETE_KEY__INIT;
	struct reply reply;
	body.key = (char *)(uintptr_t)key;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_DELETE_KEY;
	request.delete_key = &body;
	int code = client_ask(client, &request, SLICE(""), &reply, error);
	if (code == 0)
		reply_finish(&reply);
	return code;
}

int keys_get(struct client *client, const char *key, uint64_t *ret_version, struct buffer *ret_value, struct error *error)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Get body = CLUSTERD__WIRE__GET__INIT;
	struct reply reply;
	body.key = (char *)(uintptr_t)key;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_GET;
	request.get = &body;
	int code = client_ask(client, &request, SLICE(""), &reply, error);
	if (code != 0)
		return code;
	if (reply.response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_KEYS && reply.response->keys->n_keys == 1) {
		*ret_version = reply.response->keys->keys[0]->version;
		buffer_append_slice(ret_value, buffer_slice(&reply.payload));
	} else {
		code = unexpected(error);
	}
	reply_finish(&reply);
	return code;
}

/* --- many keys ----------------------------------------------------------------------------------------------------- */

void keys_walk_init(struct keys_walk *walk, const char *prefix, bool exact)
{
	*walk = (struct keys_walk){.prefix = prefix, .exact = exact};
}

void keys_walk_finish(struct keys_walk *walk)
{
	for (size_t i = 0; i < walk->page_count; i++)
		mem_free(walk->pages[i].last);
	mem_free(walk->pages);
	mem_free(walk->after);
}

/* Calls for each key that the walk is about. */
static int tell(struct keys_walk *walk, Clusterd__Wire__Key *const *keys, size_t count, struct slice values,
                bool with_values, bool (*wanted)(const struct keys_walk *walk, const struct key_seen *seen), key_each *each,
                void *context, struct error *error)
{
	size_t at = 0;
	for (size_t i = 0; i < count; i++) {
		size_t size = with_values ? keys[i]->size : 0;
		if (size > values.size - at)
			return unexpected(error);
		struct key_seen seen = {keys[i]->key,     {values.data + at, size}, keys[i]->version,
		                        keys[i]->created, keys[i]->lease,           keys[i]->deleted != 0};
		at += size;
		if (!wanted(walk, &seen))
			continue;
		walk->told++;
		each(context, &seen);
	}
	return 0;
}

static bool is_listed(const struct keys_walk *walk, const struct key_seen *seen)
{
	return !walk->exact || strcmp(seen->key, walk->prefix) == 0;
}

static void note_page(struct keys_walk *walk, const Clusterd__Wire__Keys *keys)
{
	const char *last = keys->n_keys > 0 ? keys->keys[keys->n_keys - 1]->key : walk->prefix;
	walk->listed = !keys->truncated;
	if (walk->page_count == 0)
		walk->from = keys->version + 1;
	mem_grow(walk->pages, walk->page_capacity, walk->page_count + 1);
	walk->pages[walk->page_count++] = (struct keys_page){walk->listed ? NULL : mem_string(last), keys->version};
	mem_free(walk->after);
	walk->after = mem_string(last);
}

int keys_list(struct client *client, struct keys_walk *walk, key_each *each, void *context, struct error *error)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__ListKeys body = CLUSTERD__WIRE__LIST_KEYS__INIT;
	struct reply reply;
	body.prefix = (char *)(uintptr_t)walk->prefix;
	body.after = walk->after != NULL ? walk->after : body.after;
	body.keys_only = walk->without_values;
	body.limit = walk->exact ? 1 : walk->limit;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_LIST_KEYS;
	request.list_keys = &body;
	int code = client_ask(client, &request, SLICE(""), &reply, error);
	if (code != 0)
		return code;
	if (reply.response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_KEYS) {
		const Clusterd__Wire__Keys *keys = reply.response->keys;
		code = tell(walk, keys->keys, keys->n_keys, buffer_slice(&reply.payload), !walk->without_values, is_listed, each,
		            context, error);
		note_page(walk, keys);
		if (walk->exact || (walk->limit != 0 && walk->limit <= keys->n_keys))
			walk->listed = true;
		else if (walk->limit != 0)
			walk->limit -= (uint32_t)keys->n_keys;
	} else {
		code = unexpected(error);
	}
	reply_finish(&reply);
	return code;
}

/* Pages were read one after another: what had happened by then to the keys of a later one, it shows already. */
static bool is_new(const struct keys_walk *walk, const struct key_seen *seen)
{
	for (size_t i = 0; i < walk->page_count; i++) {
		const struct keys_page *page = &walk->pages[i];
		if (walk->exact || page->last == NULL || strcmp(seen->key, page->last) <= 0)
			return seen->version > page->version;
	}
	return true;
}

/* Asked for what comes after a request, a second request would not begin where the first one did. */
static int find_now(struct client *client, struct keys_walk *walk, struct error *error)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__ListKeys body = CLUSTERD__WIRE__LIST_KEYS__INIT;
	struct reply reply;
	body.prefix = (char *)(uintptr_t)walk->prefix;
	body.limit = 1;
	body.keys_only = true;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_LIST_KEYS;
	request.list_keys = &body;
	int code = client_ask(client, &request, SLICE(""), &reply, error);
	if (code != 0)
		return code;
	if (reply.response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_KEYS)
		walk->from = reply.response->keys->version + 1;
	else
		code = unexpected(error);
	reply_finish(&reply);
	return code;
}

int keys_watch(struct client *client, struct keys_walk *walk, key_each *each, void *context, struct error *error)
{
	int code = walk->from == 0 ? find_now(client, walk, error) : 0;
	if (code != 0)
		return code;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__WatchKeys body = CLUSTERD__WIRE__WATCH_KEYS__INIT;
	struct reply reply;
	body.key = (char *)(uintptr_t)walk->prefix;
	body.prefix = !walk->exact;
	body.from = walk->from;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_WATCH_KEYS;
	request.watch_keys = &body;
	code = client_ask(client, &request, SLICE(""), &reply, error);
	if (code == ERR_TIMEOUT && client_interrupted(client))
		client_leave(client);
	else if (code == ERR_TIMEOUT)
		client_move(client); /* it would have said that there is nothing */
	if (code != 0)
		return code;
	if (reply.response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_CHANGES) {
		const Clusterd__Wire__Changes *changes = reply.response->changes;
		code = tell(walk, changes->changes, changes->n_changes, buffer_slice(&reply.payload), true, is_new, each, context,
		            error);
		walk->from = changes->next;
	} else {
		code = unexpected(error);
	}
	reply_finish(&reply);
	return code;
}

static bool may_pass(int code)
{
	return code == ERR_TIMEOUT || code == ERR_CLOSED || code == ERR_NOT_LEADER || code == ERR_BUSY;
}

int keys_follow(struct client *client, struct keys_walk *walk, key_each *each, void *context, struct error *error)
{
	uint64_t told = walk->told;
	msec heard = client_now(client);
	int code = 0;
	client_set_timeout(client, FOLLOW_MS);
	while (walk->told == told && !client_interrupted(client)) {
		code = keys_watch(client, walk, each, context, error);
		if (code != 0 && (!may_pass(code) || client_now(client) - heard >= PATIENCE_MS))
			return code;
		if (code == 0)
			heard = client_now(client);
		else
			client_idle(client, client_now(client) + RETRY_MS);
	}
	return code;
}

/* --- leases -------------------------------------------------------------------------------------------------------- */

int lease_grant(struct client *client, msec ttl, const char *owner, uint64_t *ret_lease, struct error *error)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__GrantLease body = CLUSTERD__WIRE__GRANT_LEASE__INIT;
	struct reply reply;
	body.ttl_ms = (uint64_t)ttl;
	body.owner = (char *)(uintptr_t)owner;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_GRANT_LEASE;
	request.grant_lease = &body;
	int code = client_ask(client, &request, SLICE(""), &reply, error);
	if (code != 0)
		return code;
	if (reply.response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_LEASE)
		*ret_lease = reply.response->lease->id;
	else
		code = unexpected(error);
	reply_finish(&reply);
	return code;
}

int lease_keep(struct client *client, uint64_t lease, msec *ret_ttl, struct error *error)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__KeepLease body = CLUSTERD__WIRE__KEEP_LEASE__INIT;
	struct reply reply;
	body.lease = lease;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_KEEP_LEASE;
	request.keep_lease = &body;
	int code = client_ask(client, &request, SLICE(""), &reply, error);
	if (code != 0)
		return code;
	if (reply.response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_LEASE)
		*ret_ttl = (msec)reply.response->lease->ttl_ms;
	else
		code = unexpected(error);
	reply_finish(&reply);
	return code;
}

int lease_revoke(struct client *client, uint64_t lease, struct error *error)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__RevokeLease body = CLUSTERD__WIRE__REVOKE_LEASE__INIT;
	struct reply reply;
	body.lease = lease;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_REVOKE_LEASE;
	request.revoke_lease = &body;
	int code = client_ask(client, &request, SLICE(""), &reply, error);
	if (code == 0)
		reply_finish(&reply);
	return code;
}
