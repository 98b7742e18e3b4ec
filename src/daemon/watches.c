#include "daemon/request.h"

#include "base/memory.h"
#include "daemon/key_page.h"

#include <inttypes.h>

/* Watching keys. A watch asks for what has happened from a version on, and is answered once, with a page; who wants more asks again from
 * there. So nothing piles up for a client that does not read, and one that comes back, to this node or another, goes on where it
 * was. Changes are read from kv_change; who waits has seen everything that was there. */

/* For one answer, so that the loop does not stand still for who looks for little in much. */
#define CHANGES_LOOKED_AT 5000
#define BYTES_LOOKED_AT (4u << 20)
#define LATE_AT_ONCE 256

/* FNV-1a, which gives the hashes of all prefixes on the way. Two that collide only wake one another. */
#define HASH_BASIS UINT64_C(0xcbf29ce484222325)

static uint64_t hash_add(uint64_t hash, char byte)
{
	return (hash ^ (unsigned char)byte) * UINT64_C(0x100000001b3);
}

static uint64_t hash_of(struct slice text)
{
	uint64_t hash = HASH_BASIS;
	for (size_t i = 0; i < text.size; i++)
		hash = hash_add(hash, text.data[i]);
	return hash;
}

/* --- one page ------------------------------------------------------------------------------------------------------ */

struct changes {
	struct key_page page;
	struct slice key;
	bool prefix;
	size_t seen;
	uint64_t first_bytes;
	uint64_t version; /* of the last one that was looked at; 0: none was */
	bool more;        /* there are some that were not */
};

static bool matches(const struct changes *changes, struct slice key)
{
	if (!changes->prefix)
		return slice_equal(key, changes->key);
	return key.size >= changes->key.size && slice_equal((struct slice){key.data, changes->key.size}, changes->key);
}

/* Changes of one version are not divided: who goes on from a version must not miss some of it. */
static int look_at(void *context, const struct catalog_change *change)
{
	struct changes *changes = context;
	if (changes->seen == 0)
		changes->first_bytes = change->bytes;
	bool enough = changes->seen >= CHANGES_LOOKED_AT || change->bytes - changes->first_bytes >= BYTES_LOOKED_AT ||
	              changes->page.count >= KEY_PAGE_COUNT || changes->page.values.size >= KEY_PAGE_BYTES;
	if (enough && change->key.version != changes->version) {
		changes->more = true;
		return 1;
	}
	changes->seen++;
	changes->version = change->key.version;
	if (matches(changes, change->key.key))
		key_page_add(&changes->page, &change->key, true);
	return 0;
}

static void respond_changes(struct node *node, const struct waiter *waiter, const struct changes *changes, uint64_t next)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Changes body = CLUSTERD__WIRE__CHANGES__INIT;
	body.changes = changes->page.keys;
	body.n_changes = changes->page.count;
	body.next = next;
	response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_CHANGES;
	response.changes = &body;
	node_respond(node, waiter->connection, waiter->stream, &response,
	                    buffer_slice(&changes->page.values));
}

static void refuse_compacted(struct node *node, const struct waiter *waiter)
{
	struct error error;
	error_set(&error, ERR_COMPACTED,
	          "changes from version %" PRIu64 " on are compacted: those up to %" PRIu64
	          " are not kept any more. List the keys, and watch from that answer's version on",
	          waiter->more, machine_compacted(node->machine));
	node->counts.refused++;
	respond_error(node, waiter->connection, waiter->stream, error.code, slice_of(error.text));
}

/* Answers with what has happened from waiter->more on, or waits for it. */
static void go_on(struct node *node, struct waiter *take_waiter)
{
	struct changes changes = {.key = text_slice(take_waiter->text), .prefix = take_waiter->kind == WAIT_PREFIX};
	uint64_t seq;
	int code = machine_changes_from(node->machine, take_waiter->more, &seq);
	if (code == 1)
		code = catalog_changes(node->catalog, seq, look_at, &changes);
	uint64_t next = changes.more ? changes.version + 1 : machine_applied_index(node->machine) + 1;
	if (code == ERR_COMPACTED) {
		refuse_compacted(node, take_waiter);
	} else if (code < 0) {
		struct error error;
		error_set(&error, ERR_IO, "the catalog cannot be read: %s", catalog_error(node->catalog));
		node_fail(node, &error);
	} else if (changes.page.count > 0 || changes.more) {
		respond_changes(node, take_waiter, &changes, next);
	} else {
		/* It may ask for what is yet to come. */
		take_waiter->more = take_waiter->more > next ? take_waiter->more : next;
		waiters_add(node->waiters, take_waiter);
		take_waiter->text = NULL;
	}
	text_release(take_waiter->text);
	key_page_finish(&changes.page);
}

void request_watch_keys(const struct request *request)
{
	struct node *node = request->node;
	const Clusterd__Wire__WatchKeys *body = request->message->watch_keys;
	struct slice key = slice_of(body->key);
	if ((key.size != 0 || !body->prefix) && !request_key_fits(request, body->key))
		return;
	struct waiter waiter = {
		.kind = body->prefix ? WAIT_PREFIX : WAIT_KEY,
		.first = hash_of(key),
		.second = key.size,
		.connection = request->connection,
		.stream = request->stream,
		.more = body->from != 0 ? body->from : machine_applied_index(node->machine) + 1,
		.text = text_create(key),
		.until = MSEC_NEVER,
	};
	if (request->message->timeout_ms != 0)
		waiter.until = node->host->now(node->context) + request->message->timeout_ms;
	go_on(node, &waiter);
}

static bool is_of_topics(const struct waiter *waiter)
{
	return waiter->kind == WAIT_TOPIC || waiter->kind == WAIT_LOOKUP;
}

/* --- who is to be answered ----------------------------------------------------------------------------------------- */

/* They have seen everything before this change, the first one of theirs. */
static void wake(struct node *node, enum wait_kind kind, uint64_t hash, uint64_t size, uint64_t version)
{
	struct waiter waiter;
	while (waiters_take(node->waiters, kind, hash, size, &waiter)) {
		if (waiter.more < version)
			waiter.more = version;
		mem_grow(node->woken, node->woken_capacity, node->woken_count + 1);
		node->woken[node->woken_count++] = waiter;
	}
}

void watches_changed(struct node *node, const struct effect *effect)
{
	struct slice key = text_slice(effect->key);
	uint64_t hash = HASH_BASIS;
	if (waiters_count_watches(node->waiters) == 0)
		return;
	for (size_t i = 0; i <= key.size; i++) {
		if (waiters_any_prefix(node->waiters, i))
			wake(node, WAIT_PREFIX, hash, i, effect->seq);
		if (i < key.size)
			hash = hash_add(hash, key.data[i]);
	}
	wake(node, WAIT_KEY, hash, key.size, effect->seq);
}

void watches_changed_all(struct node *node)
{
	struct waiter waiter;
	while (waiters_take_any(node->waiters, WAIT_KEY, &waiter) || waiters_take_any(node->waiters, WAIT_PREFIX, &waiter) ||
	       waiters_take_any(node->waiters, WAIT_TOPIC, &waiter) || waiters_take_any(node->waiters, WAIT_LOOKUP, &waiter)) {
		mem_grow(node->woken, node->woken_capacity, node->woken_count + 1);
		node->woken[node->woken_count++] = waiter;
	}
	node->catalog_told = 0; /* who watches the catalog looks again */
	watches_answer(node);
}

void watches_answer(struct node *node)
{
	/* Those that find nothing wait again, which leaves `woken` alone. */
	for (size_t i = 0; i < node->woken_count; i++) {
		if (is_of_topics(&node->woken[i]))
			topics_go_on(node, &node->woken[i], false);
		else
			go_on(node, &node->woken[i]);
	}
	node->woken_count = 0;
}

/* Who waits is answered before it gives up: nothing has come up to now. So it can tell a quiet key from a node that is gone. */
void watches_turn(struct node *node, msec now)
{
	struct waiter late[LATE_AT_ONCE];
	size_t count = waiters_take_late(node->waiters, now, late, LATE_AT_ONCE);
	for (size_t i = 0; i < count; i++) {
		struct changes none = {0};
		if (late[i].kind == WAIT_CATALOG) {
			catalog_watches_late(node, &late[i]);
			continue;
		}
		if (is_of_topics(&late[i])) {
			topics_go_on(node, &late[i], true);
			continue;
		}
		uint64_t next = machine_applied_index(node->machine) + 1; /* had something come before, it would not wait */
		respond_changes(node, &late[i], &none, late[i].more > next ? late[i].more : next);
		text_release(late[i].text);
	}
}
