#include "client/client.h"

#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Each contender has a key that is bound to a lease of its own, below a directory of keys; the one whose key was created first has it,
 * each other one waits for the one before it. The version of the key is the fencing token. */

#define TTL_MS 10000

struct clusterd_contender {
	struct clusterd_client *client;
	char *directory; /* ends with '/' */
	char *value;
	size_t value_size;
	struct clusterd_lease *lease;
	char *key;      /* NULL: not known yet */
	uint64_t token; /* version of the key; 0: it is not there yet */
	enum clusterd_standing standing;
	bool settled; /* it does not wait any more */
	bool lost;
	msec ends; /* when it was lost: the end of its lease, as far as it is known */
	struct error why;
	struct clusterd_request *request;
	struct clusterd_watch *watch; /* of the key before it; or of its own, when it holds */
	/* While it looks at the queue. */
	bool seen_own;
	uint64_t nearest;
	char *before;
	uint64_t from;
	clusterd_standing_changed *changed;
	void *context;
};

static void look(struct clusterd_contender *contender, const char *after);

static void let_go(struct clusterd_contender *contender)
{
	clusterd_request_cancel(contender->request);
	clusterd_watch_destroy(contender->watch);
	clusterd_lease_destroy(contender->lease);
	contender->request = NULL;
	contender->watch = NULL;
	contender->lease = NULL;
}

static void lose(struct clusterd_contender *contender, int code, const char *reason)
{
	struct clusterd_error error = {0};
	error_set(&contender->why, code, "%.*s is lost: %s", (int)strlen(contender->directory) - 1,
	          contender->directory, reason);
	client_say(&error, &contender->why);
	contender->ends = client_now() + (msec)clusterd_contender_left_ms(contender);
	let_go(contender);
	contender->standing = CLUSTERD_LOST;
	contender->settled = contender->lost = true;
	if (contender->changed != NULL)
		contender->changed(contender->context, CLUSTERD_LOST, 0, &error);
}

/* --- holding ------------------------------------------------------------------------------------------------------- */

static void own_changed(void *context, const struct clusterd_key *key, const struct clusterd_error *error)
{
	struct clusterd_contender *contender = context;
	if (error != NULL && error->code == ERR_COMPACTED) {
		clusterd_watch_destroy(contender->watch);
		contender->watch = NULL;
		look(contender, NULL);
	} else if (error != NULL) {
		lose(contender, ERR_EXPIRED, error->text);
	} else if (key->deleted) {
		lose(contender, ERR_EXPIRED, "its key was deleted");
	}
}

static void hold(struct clusterd_contender *contender)
{
	struct clusterd_watch_options options = CLUSTERD_WATCH_OPTIONS;
	bool is_new = contender->standing == CLUSTERD_WAITS;
	options.key = contender->key;
	options.from = contender->from;
	options.changed = own_changed;
	options.context = contender;
	contender->watch = clusterd_watch_create(contender->client, &options);
	contender->standing = CLUSTERD_HOLDS;
	contender->settled = true;
	if (is_new && contender->changed != NULL)
		contender->changed(contender->context, CLUSTERD_HOLDS, contender->token, NULL);
}

/* --- waiting ------------------------------------------------------------------------------------------------------- */

static void before_changed(void *context, const struct clusterd_key *key, const struct clusterd_error *error)
{
	struct clusterd_contender *contender = context;
	if (error != NULL && error->code != ERR_COMPACTED) {
		lose(contender, error->code, error->text);
	} else if (error != NULL || key->deleted) {
		clusterd_watch_destroy(contender->watch);
		contender->watch = NULL;
		look(contender, NULL);
	}
}

static void wait_for_before(struct clusterd_contender *contender)
{
	struct clusterd_watch_options options = CLUSTERD_WATCH_OPTIONS;
	options.key = contender->before;
	options.from = contender->from;
	options.changed = before_changed;
	options.context = contender;
	contender->watch = clusterd_watch_create(contender->client, &options);
}

static void note(struct clusterd_contender *contender, const Clusterd__Wire__Key *key)
{
	if (strcmp(key->key, contender->key) == 0 && key->created == contender->token)
		contender->seen_own = true;
	/* Keys of deeper directories are of something else. */
	if (strchr(key->key + strlen(contender->directory), '/') != NULL)
		return;
	if (key->created >= contender->token || key->created <= contender->nearest)
		return;
	contender->nearest = key->created;
	mem_free(contender->before);
	contender->before = mem_string(key->key);
}

static void take_queue(void *context, struct clusterd_reply *reply, const struct error *error)
{
	struct clusterd_contender *contender = context;
	contender->request = NULL;
	if (error != NULL && request_may_pass(error->code)) {
		look(contender, NULL);
		return;
	}
	if (error != NULL || reply->response->body_case != CLUSTERD__WIRE__RESPONSE__BODY_KEYS) {
		lose(contender, error != NULL ? error->code : ERR_INVALID,
		     error != NULL ? error->text : "the node answers something else");
		return;
	}
	const Clusterd__Wire__Keys *keys = reply->response->keys;
	for (size_t i = 0; i < keys->n_keys; i++) {
		if (strncmp(keys->keys[i]->key, contender->directory, strlen(contender->directory)) == 0)
			note(contender, keys->keys[i]);
	}
	if (contender->from == 0)
		contender->from = keys->version + 1;
	if (keys->truncated && keys->n_keys > 0)
		look(contender, keys->keys[keys->n_keys - 1]->key);
	else if (!contender->seen_own)
		lose(contender, ERR_EXPIRED, "its key is gone");
	else if (contender->before == NULL)
		hold(contender);
	else
		wait_for_before(contender);
}

/* The last one that was created before this one's; page by page. Another consistency than the strongest would not do. */
static void look(struct clusterd_contender *contender, const char *after)
{
	Clusterd__Wire__Request message = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__ListKeys body = CLUSTERD__WIRE__LIST_KEYS__INIT;
	if (after == NULL) {
		contender->seen_own = false;
		contender->nearest = contender->from = 0;
		mem_free(contender->before);
		contender->before = NULL;
	}
	body.prefix = contender->directory;
	body.after = after != NULL ? (char *)(uintptr_t)after : body.after;
	body.keys_only = true;
	message.body_case = CLUSTERD__WIRE__REQUEST__BODY_LIST_KEYS;
	message.list_keys = &body;
	contender->request = request_begin_strictly(contender->client, &message, CLUSTERD_NO_TIMEOUT, take_queue,
	                                            contender);
}

/* --- joining ------------------------------------------------------------------------------------------------------- */

static void take_place(void *context, struct clusterd_reply *reply, const struct error *error)
{
	struct clusterd_contender *contender = context;
	contender->request = NULL;
	if (error != NULL) {
		lose(contender, error->code, error->text);
	} else if (reply->response->body_case != CLUSTERD__WIRE__RESPONSE__BODY_WRITTEN) {
		lose(contender, ERR_INVALID, "the node answers something else");
	} else {
		contender->token = reply->response->written->version;
		look(contender, NULL);
	}
}

static void lease_told(void *context, uint64_t lease, const struct clusterd_error *error)
{
	struct clusterd_contender *contender = context;
	Clusterd__Wire__Request message = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Put body = CLUSTERD__WIRE__PUT__INIT;
	if (error != NULL) {
		lose(contender, error->code, error->text);
		return;
	}
	contender->key = mem_format("%s%020" PRIu64, contender->directory, lease);
	body.key = contender->key;
	body.lease = lease;
	body.conditional = true;
	message.body_case = CLUSTERD__WIRE__REQUEST__BODY_PUT;
	message.put = &body;
	contender->request = request_begin(contender->client, &message,
	                                   (struct slice){contender->value, contender->value_size}, CLUSTERD_NO_TIMEOUT,
	                                   take_place, contender);
}

static struct clusterd_contender *contender_create(struct clusterd_client *client, const char *kind,
                                                   const struct clusterd_contender_options *options)
{
	struct clusterd_contender_options known = CLUSTERD_CONTENDER_OPTIONS;
	struct clusterd_contender *contender = mem_zero(sizeof *contender);
	char host[65] = "";
	memcpy(&known, options, options->size < sizeof known ? options->size : sizeof known);
	assert(known.name != NULL);
	contender->client = client;
	contender->directory = mem_format("%s/%s/", kind, known.name);
	contender->value = mem_copy(known.value != NULL ? known.value : "", known.value_size);
	contender->value_size = known.value_size;
	contender->changed = known.changed;
	contender->context = known.context;
	gethostname(host, sizeof host - 1);
	char *owner = mem_format("%s:%ld", host, (long)getpid());
	contender->lease = clusterd_lease_create(client, known.ttl_ms != 0 ? known.ttl_ms : TTL_MS, owner, lease_told,
	                                         contender);
	mem_free(owner);
	client->users++;
	return contender;
}

struct clusterd_contender *clusterd_lock_create(struct clusterd_client *client,
                                                const struct clusterd_contender_options *options)
{
	return contender_create(client, "lock", options);
}

struct clusterd_contender *clusterd_campaign_create(struct clusterd_client *client,
                                                    const struct clusterd_contender_options *options)
{
	return contender_create(client, "election", options);
}

/* --- for its owner ------------------------------------------------------------------------------------------------- */

enum clusterd_standing clusterd_contender_standing(const struct clusterd_contender *contender)
{
	return contender->standing;
}

uint64_t clusterd_contender_token(const struct clusterd_contender *contender)
{
	return contender->standing == CLUSTERD_HOLDS ? contender->token : 0;
}

const char *clusterd_contender_key(const struct clusterd_contender *contender)
{
	return contender->key;
}

uint64_t clusterd_contender_left_ms(const struct clusterd_contender *contender)
{
	msec left = contender->ends - client_now();
	if (contender->lease != NULL)
		return clusterd_lease_left_ms(contender->lease);
	return left > 0 ? (uint64_t)left : 0;
}

int clusterd_contender_wait(struct clusterd_contender *contender, uint64_t *ret_token, int timeout_ms,
                            struct clusterd_error *error)
{
	struct error failure;
	client_look_at_clock(contender->client);
	int code = client_turn_until(contender->client, &contender->settled,
	                             client_deadline(contender->client, timeout_ms), &failure);
	if (code == ERR_TIMEOUT)
		error_set(&failure, code, "%.*s is held by others, and the time to wait for it is out",
		          (int)strlen(contender->directory) - 1, contender->directory);
	if (code != 0)
		return client_say(error, &failure);
	if (contender->standing == CLUSTERD_LOST)
		return client_say(error, &contender->why);
	if (ret_token != NULL)
		*ret_token = contender->token;
	return 0;
}

int clusterd_contender_hold(struct clusterd_contender *contender, int timeout_ms, struct clusterd_error *error)
{
	struct error failure;
	client_look_at_clock(contender->client);
	int code = client_turn_for(contender->client, &contender->lost, client_deadline(contender->client, timeout_ms),
	                           &failure);
	if (code != 0)
		return client_say(error, &failure);
	return contender->lost ? client_say(error, &contender->why) : 0;
}

int clusterd_contender_leave(struct clusterd_contender *contender, int timeout_ms, struct clusterd_error *error)
{
	uint64_t lease = contender->lease != NULL ? clusterd_lease_id(contender->lease) : 0;
	struct error failure;
	if (client_may_block(contender->client, &failure) != 0)
		return client_say(error, &failure);
	int code = lease != 0 ? clusterd_lease_revoke(contender->client, lease, timeout_ms, error) : 0;
	if (!contender->lost) {
		contender->changed = NULL;
		lose(contender, ERR_EXPIRED, "it was given up");
	}
	return code == ERR_NOT_FOUND ? 0 : code;
}

void clusterd_contender_destroy(struct clusterd_contender *contender)
{
	if (contender == NULL)
		return;
	let_go(contender);
	contender->client->users--;
	mem_free(contender->directory);
	mem_free(contender->value);
	mem_free(contender->key);
	mem_free(contender->before);
	mem_free(contender);
}

/* --- who leads ----------------------------------------------------------------------------------------------------- */

struct leader {
	const char *directory;
	uint64_t token; /* 0: nobody */
	char *key;      /* its place in the queue */
	struct buffer value;
	char *after; /* the last key of the page; NULL: there are no more */
};

/* The key that was created first. */
static void find_first(struct leader *leader, const struct clusterd_reply *reply)
{
	struct clusterd_key key;
	size_t count = clusterd_reply_key_count(reply);
	for (size_t i = 0; i < count; i++) {
		clusterd_reply_key(reply, i, &key);
		bool is_place = strncmp(key.key, leader->directory, strlen(leader->directory)) == 0 &&
		                strchr(key.key + strlen(leader->directory), '/') == NULL;
		if (!is_place || (leader->token != 0 && key.created >= leader->token))
			continue;
		leader->token = key.created;
		mem_free(leader->key);
		leader->key = mem_string(key.key);
		buffer_clear(&leader->value);
		buffer_append(&leader->value, key.value, key.value_size);
	}
	mem_free(leader->after);
	leader->after = clusterd_reply_truncated(reply) && count > 0 ? mem_string(key.key) : NULL;
}

static void leader_finish(struct leader *leader)
{
	buffer_finish(&leader->value);
	mem_free(leader->key);
	mem_free(leader->after);
}

static int find_leader(struct clusterd_client *client, const char *name, struct leader *leader, int timeout_ms,
                       struct clusterd_error *error)
{
	char *directory = mem_format("election/%s/", name);
	struct error failure;
	int code;
	*leader = (struct leader){.directory = directory};
	do {
		struct clusterd_reply *reply;
		code = clusterd_key_list(client, directory, leader->after, 0, false, &reply, timeout_ms, error);
		if (code == 0)
			find_first(leader, reply);
		if (code == 0)
			clusterd_reply_destroy(reply);
	} while (code == 0 && leader->after != NULL);
	if (code == 0 && leader->token == 0) {
		error_set(&failure, ERR_NOT_FOUND, "nobody leads in %s", name);
		code = client_say(error, &failure);
	}
	mem_free(directory);
	return code;
}

int clusterd_election_leader(struct clusterd_client *client, const char *name, uint64_t *ret_token, char **ret_value,
                             size_t *ret_size, int timeout_ms, struct clusterd_error *error)
{
	struct leader leader;
	int code = find_leader(client, name, &leader, timeout_ms, error);
	if (code == 0 && ret_token != NULL)
		*ret_token = leader.token;
	if (code == 0 && ret_size != NULL)
		*ret_size = leader.value.size;
	if (code == 0 && ret_value != NULL)
		*ret_value = mem_copy(buffer_string(&leader.value), leader.value.size + 1);
	leader_finish(&leader);
	return code;
}

int clusterd_election_resign(struct clusterd_client *client, const char *name, int timeout_ms, struct clusterd_error *error)
{
	struct leader leader;
	int code = find_leader(client, name, &leader, timeout_ms, error);
	if (code == 0)
		code = clusterd_key_delete(client, leader.key, CLUSTERD_ALWAYS, NULL, timeout_ms, error);
	leader_finish(&leader);
	return code;
}
