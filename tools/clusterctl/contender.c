#include "contender.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RETRY_MS 200

void contender_init(struct contender *contender, struct client *client, const char *kind, const char *name, msec ttl)
{
	*contender = (struct contender){.client = client, .ttl = ttl};
	contender->directory = mem_format("%s/%s/", kind, name);
}

void contender_finish(struct contender *contender)
{
	mem_free(contender->directory);
	mem_free(contender->key);
}

msec contender_deadline(const struct contender *contender)
{
	return contender->kept_ms + contender->ttl;
}

/* --- joining ------------------------------------------------------------------------------------------------------- */

int contender_join(struct contender *contender, struct slice value, struct error *error)
{
	char owner[128] = "";
	size_t length;
	gethostname(owner, sizeof owner - 32);
	owner[sizeof owner - 32] = '\0';
	length = strlen(owner);
	snprintf(owner + length, sizeof owner - length, ":%ld", (long)getpid());
	contender->kept_ms = client_now(contender->client);
	int code = lease_grant(contender->client, contender->ttl, owner, &contender->lease, error);
	if (code != 0)
		return code;
	contender->key = mem_format("%s%020" PRIu64, contender->directory, contender->lease);
	return keys_create(contender->client, contender->key, value, contender->lease, &contender->token, error);
}

/* --- keeping alive ------------------------------------------------------------------------------------------------- */

static int lost(struct contender *contender, const char *reason, struct error *error)
{
	contender->lost = true;
	return error_set(error, ERR_EXPIRED, "%.*s is lost: %s", (int)strlen(contender->directory) - 1, contender->directory,
	                 reason);
}

/* The next keep-alive is due; earlier when the last one was not answered. */
static msec keep_due(const struct contender *contender)
{
	return contender->kept_ms + contender->ttl / 3;
}

static int keep(struct contender *contender, struct error *error)
{
	struct error failure = {0};
	msec now = client_now(contender->client);
	if (now < keep_due(contender))
		return 0;
	/* Before the lease ends: whoever holds on has a third of its time to stop. */
	if (now >= contender_deadline(contender) - contender->ttl / 3)
		return lost(contender, "no keep-alive was answered in time", error);
	client_set_timeout(contender->client, (contender_deadline(contender) - contender->ttl / 3 - now) / 2 + 1);
	msec ttl;
	int code = lease_keep(contender->client, contender->lease, &ttl, &failure);
	if (code == 0)
		contender->kept_ms = now;
	else if (code == ERR_NOT_FOUND)
		return lost(contender, "its lease has ended", error);
	else if (code == ERR_TIMEOUT && !client_interrupted(contender->client))
		client_move(contender->client);
	return 0;
}

/* Waits for changes of what the walk is about for at most until `deadline`, and not past the next keep-alive. Nothing new is no error. */
static int watch(struct contender *contender, struct keys_walk *walk, msec deadline, key_each *each, void *context,
                 struct error *error)
{
	msec now = client_now(contender->client);
	msec until = msec_earlier(deadline, keep_due(contender) > now ? keep_due(contender) : now + RETRY_MS);
	if (until <= now)
		return 0;
	client_set_timeout(contender->client, until - now);
	int code = keys_watch(contender->client, walk, each, context, error);
	if (code == ERR_CLOSED || code == ERR_BUSY || code == ERR_NOT_LEADER)
		client_idle(contender->client, msec_earlier(until, client_now(contender->client) + RETRY_MS));
	return code == ERR_COMPACTED ? code : 0;
}

static void note_end(void *context, const struct key_seen *seen)
{
	bool *ended = context;
	*ended = *ended || seen->deleted;
}

/* --- waiting ------------------------------------------------------------------------------------------------------- */

struct queue {
	const char *directory;
	const char *own;
	bool seen_own;
	uint64_t below;     /* keys created before this one */
	uint64_t nearest;   /* version of the last of them; or of the first of all */
	char *key;
	struct buffer *value;
};

/* Keys of deeper directories are of something else. */
static bool is_place(const struct queue *queue, const char *key)
{
	return strchr(key + strlen(queue->directory), '/') == NULL;
}

static void note_before(void *context, const struct key_seen *seen)
{
	struct queue *queue = context;
	if (strcmp(seen->key, queue->own) == 0 && seen->created == queue->below)
		queue->seen_own = true;
	if (!is_place(queue, seen->key) || seen->created >= queue->below || seen->created <= queue->nearest)
		return;
	queue->nearest = seen->created;
	mem_free(queue->key);
	queue->key = mem_string(seen->key);
}

static void note_first(void *context, const struct key_seen *seen)
{
	struct queue *queue = context;
	if (!is_place(queue, seen->key) || (queue->nearest != 0 && seen->created >= queue->nearest))
		return;
	queue->nearest = seen->created;
	mem_free(queue->key);
	queue->key = mem_string(seen->key);
	buffer_clear(queue->value);
	buffer_append_slice(queue->value, seen->value);
}

static int list_all(struct client *client, struct keys_walk *walk, key_each *each, void *context, struct error *error)
{
	int code = 0;
	while (code == 0 && !walk->listed)
		code = keys_list(client, walk, each, context, error);
	return code;
}

int contender_first(struct client *client, const char *directory, uint64_t *ret_token, char **ret_key,
                    struct buffer *ret_value, uint64_t *ret_from, struct error *error)
{
	struct queue queue = {.directory = directory, .value = ret_value};
	struct keys_walk walk;
	keys_walk_init(&walk, directory, false);
	int code = list_all(client, &walk, note_first, &queue, error);
	*ret_from = walk.from;
	keys_walk_finish(&walk);
	if (code != 0) {
		mem_free(queue.key);
		return code;
	}
	*ret_token = queue.nearest;
	*ret_key = queue.key;
	return 0;
}

/* Waits until the key is not there any more. */
static int await_end(struct contender *contender, const char *key, uint64_t from, msec deadline, struct error *error)
{
	struct keys_walk walk;
	bool ended = false;
	int code = 0;
	keys_walk_init(&walk, key, true);
	walk.from = from;
	while (code == 0 && !ended) {
		code = keep(contender, error);
		if (code == 0)
			code = watch(contender, &walk, deadline, note_end, &ended, error);
		if (code == ERR_COMPACTED) /* what happened to it is not known any more: look at the queue again */
			ended = true;
		if (code == 0 && !ended && client_interrupted(contender->client))
			code = error_set(error, ERR_TIMEOUT, "interrupted");
		if (code == 0 && !ended && client_now(contender->client) >= deadline)
			code = error_set(error, ERR_TIMEOUT, "%.*s is held by others, and the time to wait for it is out",
			                 (int)strlen(contender->directory) - 1, contender->directory);
	}
	keys_walk_finish(&walk);
	return code == ERR_COMPACTED ? 0 : code;
}
/* The last one that was created before this contender's; NULL: it is the first. */
static int find_before(struct contender *contender, char **ret_key, uint64_t *ret_from, struct error *error)
{
	struct queue queue = {.directory = contender->directory, .own = contender->key, .below = contender->token};
	struct keys_walk walk;
	keys_walk_init(&walk, contender->directory, false);
	walk.without_values = true;
	client_set_timeout(contender->client, contender->ttl / 3);
	int code = list_all(contender->client, &walk, note_before, &queue, error);
	*ret_from = walk.from;
	keys_walk_finish(&walk);
	if (code == 0 && !queue.seen_own)
		code = lost(contender, "its key is gone", error);
	if (code == 0)
		*ret_key = queue.key;
	else
		mem_free(queue.key);
	return code;
}

/* What may be over in a moment. */
static bool passes(int code)
{
	return code == ERR_CLOSED || code == ERR_BUSY || code == ERR_NOT_LEADER || code == ERR_TIMEOUT;
}

int contender_await(struct contender *contender, msec deadline, struct error *error)
{
	for (;;) {
		char *before = NULL;
		uint64_t from;
		int code = keep(contender, error);
		if (code == 0)
			code = find_before(contender, &before, &from, error);
		if (code == 0 && before == NULL)
			return 0;
		if (code == 0)
			code = await_end(contender, before, from, deadline, error);
		else if (passes(code) && !client_interrupted(contender->client) && client_now(contender->client) < deadline)
			code = 0;
		mem_free(before);
		if (code != 0)
			return code;
	}
}

static void note_there(void *context, const struct key_seen *seen)
{
	(void)seen;
	*(bool *)context = true;
}

/* Changes of the own key are not known any more: is it still there? */
static int look_again(struct contender *contender, struct keys_walk *walk, struct error *error)
{
	bool there = false;
	struct error failure;
	keys_walk_finish(walk);
	keys_walk_init(walk, contender->key, true);
	client_set_timeout(contender->client, contender->ttl / 3);
	if (keys_list(contender->client, walk, note_there, &there, &failure) != 0)
		return 0; /* asked again, since the walk has not begun */
	return there ? 0 : lost(contender, "its key was deleted", error);
}

int contender_hold(struct contender *contender, msec deadline, struct error *error)
{
	struct keys_walk walk;
	bool ended = false;
	int code = 0;
	keys_walk_init(&walk, contender->key, true);
	walk.from = contender->token + 1;
	while (code == 0 && !client_interrupted(contender->client) && client_now(contender->client) < deadline) {
		code = keep(contender, error);
		if (code == 0)
			code = watch(contender, &walk, deadline, note_end, &ended, error);
		if (code == ERR_COMPACTED)
			code = look_again(contender, &walk, error);
		if (ended)
			code = lost(contender, "its key was deleted", error);
	}
	keys_walk_finish(&walk);
	return code;
}

void contender_leave(struct contender *contender)
{
	struct error error;
	if (contender->lease == 0)
		return;
	client_go_on(contender->client);
	client_set_timeout(contender->client, 1000);
	lease_revoke(contender->client, contender->lease, &error);
	contender->lease = 0;
}
