#include "daemon/request.h"

#include "base/memory.h"
#include "daemon/key_page.h"

#include <inttypes.h>

/* Keys and leases: what of them is asked for. */

/* --- what may be written ------------------------------------------------------------------------------------------- */

bool request_key_fits(const struct request *request, const char *key)
{
	size_t size = strlen(key);
	if (size != 0 && size <= KEY_SIZE_MAX)
		return true;
	if (size == 0)
		request_refuse(request, ERR_INVALID, "a key is not empty");
	else
		request_refuse(request, ERR_LIMIT, "a key may have %d bytes, not %zu", KEY_SIZE_MAX, size);
	return false;
}

static bool value_fits(const struct request *request, size_t size)
{
	uint32_t limit = machine_settings(request->node->machine)->value_max;
	if (size <= limit)
		return true;
	request_refuse(request, ERR_LIMIT, "the value has %zu bytes; at most %u are allowed (setting value_max)", size, limit);
	return false;
}

static void request_put(const struct request *request)
{
	const Clusterd__Wire__Put *body = request->message->put;
	struct command command = {.kind = COMMAND_PUT};
	if (!request_key_fits(request, body->key) || !value_fits(request, request->payload.size))
		return;
	command.put.key = slice_of(body->key);
	command.put.value = request->payload.data != NULL ? request->payload : SLICE("");
	command.put.lease = body->lease;
	command.put.condition = (struct command_condition){body->conditional != 0, body->version};
	request_propose(request, &command, ANSWER_WRITTEN);
}

static void request_delete(const struct request *request)
{
	const Clusterd__Wire__DeleteKey *body = request->message->delete_key;
	struct command command = {.kind = COMMAND_DELETE_KEY};
	if (!request_key_fits(request, body->key))
		return;
	command.delete_key.key = slice_of(body->key);
	command.delete_key.condition = (struct command_condition){body->conditional != 0, body->version};
	request_propose(request, &command, ANSWER_WRITTEN);
}

/* --- transactions -------------------------------------------------------------------------------------------------- */

/* Each key once: of two writes at one version nobody could tell which is the later. */
static bool writes_fit(const struct request *request, Clusterd__Wire__Write *const *writes, size_t count)
{
	if (count > TRANSACTION_PARTS_MAX) {
		request_refuse(request, ERR_LIMIT, "a transaction may have %d writes, not %zu", TRANSACTION_PARTS_MAX, count);
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		if (!request_key_fits(request, writes[i]->key) || !value_fits(request, writes[i]->value.len))
			return false;
		for (size_t j = 0; j < i; j++) {
			if (strcmp(writes[i]->key, writes[j]->key) == 0) {
				request_refuse(request, ERR_INVALID, "a transaction writes key \"%.100s\" twice", writes[i]->key);
				return false;
			}
		}
	}
	return true;
}

static struct command_write *writes_of(Clusterd__Wire__Write *const *messages, size_t count)
{
	struct command_write *writes = mem_array(count, sizeof *writes);
	for (size_t i = 0; i < count; i++)
		writes[i] = (struct command_write){
			.key = slice_of(messages[i]->key),
			.remove = messages[i]->remove != 0,
			.value = {(const char *)messages[i]->value.data, messages[i]->value.len},
			.lease = messages[i]->lease,
		};
	return writes;
}

static bool comparisons_fit(const struct request *request)
{
	const Clusterd__Wire__Transact *body = request->message->transact;
	if (body->n_comparisons > TRANSACTION_PARTS_MAX) {
		request_refuse(request, ERR_LIMIT, "a transaction may have %d comparisons, not %zu", TRANSACTION_PARTS_MAX,
		               body->n_comparisons);
		return false;
	}
	for (size_t i = 0; i < body->n_comparisons; i++) {
		if (!request_key_fits(request, body->comparisons[i]->key))
			return false;
	}
	return true;
}

static void request_transact(const struct request *request)
{
	const Clusterd__Wire__Transact *body = request->message->transact;
	struct command command = {.kind = COMMAND_TRANSACT};
	if (!comparisons_fit(request) || !writes_fit(request, body->writes, body->n_writes) ||
	    !writes_fit(request, body->otherwise, body->n_otherwise))
		return;
	struct command_comparison *comparisons = mem_array(body->n_comparisons, sizeof *comparisons);
	for (size_t i = 0; i < body->n_comparisons; i++)
		comparisons[i] =
			(struct command_comparison){slice_of(body->comparisons[i]->key), body->comparisons[i]->version};
	struct command_write *writes = writes_of(body->writes, body->n_writes);
	struct command_write *otherwise = writes_of(body->otherwise, body->n_otherwise);
	command.transact.comparisons = comparisons;
	command.transact.comparison_count = body->n_comparisons;
	command.transact.writes = writes;
	command.transact.write_count = body->n_writes;
	command.transact.otherwise = otherwise;
	command.transact.otherwise_count = body->n_otherwise;
	request_propose(request, &command, ANSWER_WRITTEN);
	mem_free(comparisons);
	mem_free(writes);
	mem_free(otherwise);
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

static void respond(const struct request *request, const Clusterd__Wire__Response *response, struct slice payload)
{
	node_respond(request->node, request->connection, request->stream, response, payload);
}

void request_catalog_fails(const struct request *request)
{
	struct error error;
	error_set(&error, ERR_IO, "the catalog cannot be read: %s", catalog_error(request->node->catalog));
	node_fail(request->node, &error);
}

static void respond_keys(const struct request *request, Clusterd__Wire__Key **keys, size_t count, bool truncated,
                         struct slice payload)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Keys body = CLUSTERD__WIRE__KEYS__INIT;
	body.keys = keys;
	body.n_keys = count;
	body.truncated = truncated;
	body.version = machine_applied_index(request->node->machine);
	response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_KEYS;
	response.keys = &body;
	respond(request, &response, payload);
}

static void request_get(const struct request *request)
{
	char *name = request->message->get->key;
	struct catalog_key key;
	struct buffer value = BUFFER_EMPTY;
	Clusterd__Wire__Key message;
	Clusterd__Wire__Key *messages[1] = {&message};
	int code = catalog_key_read(request->node->catalog, slice_of(name), &key, &value);
	if (code < 0) {
		request_catalog_fails(request);
	} else if (code == 0) {
		request_refuse(request, ERR_NOT_FOUND, "there is no key \"%.200s\"", name);
	} else {
		key_message(&message, name, &key, value.size);
		respond_keys(request, messages, 1, false, buffer_slice(&value));
	}
	buffer_finish(&value);
}

struct listing {
	struct key_page page;
	size_t limit;
	bool keys_only;
	bool truncated;
};

static int list_key(void *context, const struct catalog_key *key)
{
	struct listing *listing = context;
	if (listing->page.count >= listing->limit || listing->page.values.size >= KEY_PAGE_BYTES) {
		listing->truncated = true;
		return 1;
	}
	key_page_add(&listing->page, key, !listing->keys_only);
	return 0;
}

static void request_list(const struct request *request)
{
	const Clusterd__Wire__ListKeys *body = request->message->list_keys;
	struct listing listing = {.limit = KEY_PAGE_COUNT, .keys_only = body->keys_only != 0};
	if (body->limit != 0 && body->limit < KEY_PAGE_COUNT)
		listing.limit = body->limit;
	int code = catalog_keys(request->node->catalog, slice_of(body->prefix), slice_of(body->after), list_key, &listing);
	if (code < 0)
		request_catalog_fails(request);
	else
		respond_keys(request, listing.page.keys, listing.page.count, listing.truncated,
		             buffer_slice(&listing.page.values));
	key_page_finish(&listing.page);
}

/* --- the door ------------------------------------------------------------------------------------------------------ */

enum answer_form request_keys_form(const Clusterd__Wire__Request *message)
{
	switch (message->body_case) {
	case CLUSTERD__WIRE__REQUEST__BODY_PUT:
	case CLUSTERD__WIRE__REQUEST__BODY_DELETE_KEY:
	case CLUSTERD__WIRE__REQUEST__BODY_TRANSACT:
	case CLUSTERD__WIRE__REQUEST__BODY_REVOKE_LEASE:
		return ANSWER_WRITTEN;
	case CLUSTERD__WIRE__REQUEST__BODY_GRANT_LEASE:
		return ANSWER_LEASE;
	default:
		return ANSWER_PLAIN;
	}
}

bool request_keys_change(const struct request *request)
{
	switch (request->message->body_case) {
	case CLUSTERD__WIRE__REQUEST__BODY_PUT:
		request_put(request);
		return true;
	case CLUSTERD__WIRE__REQUEST__BODY_DELETE_KEY:
		request_delete(request);
		return true;
	case CLUSTERD__WIRE__REQUEST__BODY_TRANSACT:
		request_transact(request);
		return true;
	case CLUSTERD__WIRE__REQUEST__BODY_GRANT_LEASE:
		request_grant_lease(request);
		return true;
	case CLUSTERD__WIRE__REQUEST__BODY_REVOKE_LEASE:
		request_revoke_lease(request);
		return true;
	default:
		return false;
	}
}

bool request_keys_read(const struct request *request)
{
	switch (request->message->body_case) {
	case CLUSTERD__WIRE__REQUEST__BODY_GET:
		request_get(request);
		return true;
	case CLUSTERD__WIRE__REQUEST__BODY_LIST_KEYS:
		request_list(request);
		return true;
	case CLUSTERD__WIRE__REQUEST__BODY_WATCH_KEYS:
		request_watch_keys(request);
		return true;
	case CLUSTERD__WIRE__REQUEST__BODY_KEEP_LEASE:
		request_keep_lease(request);
		return true;
	default:
		return false;
	}
}

void respond_keys_answer(struct node *node, const struct waiter *waiter, const struct answer *answer)
{
	Clusterd__Wire__Response response = CLUSTERD__WIRE__RESPONSE__INIT;
	Clusterd__Wire__Written written = CLUSTERD__WIRE__WRITTEN__INIT;
	Clusterd__Wire__Lease granted = CLUSTERD__WIRE__LEASE__INIT;
	if (waiter->more == ANSWER_LEASE) {
		const struct lease *lease = machine_lease(node->machine, answer->number);
		granted.id = answer->number;
		granted.ttl_ms = lease != NULL ? (uint64_t)lease->ttl : 0;
		response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_LEASE;
		response.lease = &granted;
	} else {
		written.version = answer->number;
		written.held = answer->existed;
		response.body_case = CLUSTERD__WIRE__RESPONSE__BODY_WRITTEN;
		response.written = &written;
	}
	node_respond(node, waiter->connection, waiter->stream, &response, SLICE(""));
}
