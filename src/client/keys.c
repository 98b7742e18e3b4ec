#include "client/client.h"

#include "base/memory.h"

/* Keys, one request each. */

/* A message with room for its body. */
struct message {
	Clusterd__Wire__Request request;
	union {
		Clusterd__Wire__Put put;
		Clusterd__Wire__Get get;
		Clusterd__Wire__DeleteKey delete_key;
		Clusterd__Wire__ListKeys list;
	};
};

static char *text(const char *string)
{
	return (char *)(uintptr_t)string;
}

static struct slice bytes(const void *value, size_t size)
{
	return (struct slice){value, size};
}

/* What was written, of which only the version matters. */
static int ask_written(struct clusterd_client *client, Clusterd__Wire__Request *request, struct slice payload,
                       bool *ret_held, uint64_t *ret_version, int timeout_ms, struct clusterd_error *error)
{
	struct clusterd_reply *reply;
	int code = request_ask_for(client, request, payload, timeout_ms, CLUSTERD__WIRE__RESPONSE__BODY_WRITTEN, &reply,
	                           error);
	if (code != 0)
		return code;
	if (ret_version != NULL)
		*ret_version = clusterd_reply_version(reply);
	if (ret_held != NULL)
		*ret_held = clusterd_reply_held(reply);
	clusterd_reply_destroy(reply);
	return 0;
}

/* --- put, get, delete ---------------------------------------------------------------------------------------------- */

static void put_message(struct message *message, const char *key, uint64_t lease, uint64_t if_version)
{
	clusterd__wire__request__init(&message->request);
	clusterd__wire__put__init(&message->put);
	message->put.key = text(key);
	message->put.lease = lease;
	message->put.conditional = if_version != CLUSTERD_ALWAYS;
	message->put.version = if_version != CLUSTERD_ALWAYS ? if_version : 0;
	message->request.body_case = CLUSTERD__WIRE__REQUEST__BODY_PUT;
	message->request.put = &message->put;
}

int clusterd_key_put(struct clusterd_client *client, const char *key, const void *value, size_t size, uint64_t lease,
                     uint64_t if_version, uint64_t *ret_version, int timeout_ms, struct clusterd_error *error)
{
	struct message message;
	put_message(&message, key, lease, if_version);
	return ask_written(client, &message.request, bytes(value, size), NULL, ret_version, timeout_ms, error);
}

struct clusterd_request *clusterd_key_put_begin(struct clusterd_client *client, const char *key, const void *value,
                                                size_t size, uint64_t lease, uint64_t if_version, int timeout_ms,
                                                clusterd_done *done, void *context)
{
	struct message message;
	put_message(&message, key, lease, if_version);
	return request_begin_public(client, &message.request, bytes(value, size), timeout_ms, done, context);
}

static void get_message(struct message *message, const char *key)
{
	clusterd__wire__request__init(&message->request);
	clusterd__wire__get__init(&message->get);
	message->get.key = text(key);
	message->request.body_case = CLUSTERD__WIRE__REQUEST__BODY_GET;
	message->request.get = &message->get;
}

int clusterd_key_get(struct clusterd_client *client, const char *key, char **ret_value, size_t *ret_size,
                     uint64_t *ret_version, int timeout_ms, struct clusterd_error *error)
{
	struct message message;
	struct clusterd_reply *reply;
	struct clusterd_key got;
	get_message(&message, key);
	int code = request_ask_for(client, &message.request, SLICE(""), timeout_ms, CLUSTERD__WIRE__RESPONSE__BODY_KEYS,
	                           &reply, error);
	if (code != 0)
		return code;
	if (clusterd_reply_key_count(reply) != 1) {
		struct error failure;
		clusterd_reply_destroy(reply);
		request_unexpected(&failure);
		return client_say(error, &failure);
	}
	clusterd_reply_key(reply, 0, &got);
	if (ret_value != NULL)
		*ret_value = mem_copy(reply->payload.data, reply->payload.size + 1);
	if (ret_size != NULL)
		*ret_size = reply->payload.size;
	if (ret_version != NULL)
		*ret_version = got.version;
	clusterd_reply_destroy(reply);
	return 0;
}

struct clusterd_request *clusterd_key_get_begin(struct clusterd_client *client, const char *key, int timeout_ms,
                                                clusterd_done *done, void *context)
{
	struct message message;
	get_message(&message, key);
	return request_begin_public(client, &message.request, SLICE(""), timeout_ms, done, context);
}

static void delete_message(struct message *message, const char *key, uint64_t if_version)
{
	clusterd__wire__request__init(&message->request);
	clusterd__wire__delete_key__init(&message->delete_key);
	message->delete_key.key = text(key);
	message->delete_key.conditional = if_version != CLUSTERD_ALWAYS;
	message->delete_key.version = if_version != CLUSTERD_ALWAYS ? if_version : 0;
	message->request.body_case = CLUSTERD__WIRE__REQUEST__BODY_DELETE_KEY;
	message->request.delete_key = &message->delete_key;
}

int clusterd_key_delete(struct clusterd_client *client, const char *key, uint64_t if_version, uint64_t *ret_version,
                        int timeout_ms, struct clusterd_error *error)
{
	struct message message;
	delete_message(&message, key, if_version);
	return ask_written(client, &message.request, SLICE(""), NULL, ret_version, timeout_ms, error);
}

struct clusterd_request *clusterd_key_delete_begin(struct clusterd_client *client, const char *key, uint64_t if_version,
                                                   int timeout_ms, clusterd_done *done, void *context)
{
	struct message message;
	delete_message(&message, key, if_version);
	return request_begin_public(client, &message.request, SLICE(""), timeout_ms, done, context);
}

/* --- lists --------------------------------------------------------------------------------------------------------- */

static void list_message(struct message *message, const char *prefix, const char *after, uint32_t limit, bool keys_only)
{
	clusterd__wire__request__init(&message->request);
	clusterd__wire__list_keys__init(&message->list);
	message->list.prefix = text(prefix);
	message->list.after = text(after != NULL ? after : "");
	message->list.limit = limit;
	message->list.keys_only = keys_only;
	message->request.body_case = CLUSTERD__WIRE__REQUEST__BODY_LIST_KEYS;
	message->request.list_keys = &message->list;
}

int clusterd_key_list(struct clusterd_client *client, const char *prefix, const char *after, uint32_t limit,
                      bool keys_only, struct clusterd_reply **ret_reply, int timeout_ms, struct clusterd_error *error)
{
	struct message message;
	list_message(&message, prefix, after, limit, keys_only);
	return request_ask_for(client, &message.request, SLICE(""), timeout_ms, CLUSTERD__WIRE__RESPONSE__BODY_KEYS,
	                       ret_reply, error);
}

struct clusterd_request *clusterd_key_list_begin(struct clusterd_client *client, const char *prefix, const char *after,
                                                 uint32_t limit, bool keys_only, int timeout_ms, clusterd_done *done,
                                                 void *context)
{
	struct message message;
	list_message(&message, prefix, after, limit, keys_only);
	return request_begin_public(client, &message.request, SLICE(""), timeout_ms, done, context);
}

/* --- transactions -------------------------------------------------------------------------------------------------- */

struct clusterd_transaction {
	struct arena arena;
	Clusterd__Wire__Transact message;
	size_t comparison_room;
	size_t write_room;
	size_t otherwise_room;
};

struct clusterd_transaction *clusterd_transaction_create(void)
{
	struct clusterd_transaction *transaction = mem_zero(sizeof *transaction);
	clusterd__wire__transact__init(&transaction->message);
	return transaction;
}

void clusterd_transaction_destroy(struct clusterd_transaction *transaction)
{
	if (transaction == NULL)
		return;
	mem_free(transaction->message.comparisons);
	mem_free(transaction->message.writes);
	mem_free(transaction->message.otherwise);
	arena_finish(&transaction->arena);
	mem_free(transaction);
}

void clusterd_transaction_compare(struct clusterd_transaction *transaction, const char *key, uint64_t version)
{
	Clusterd__Wire__Transact *message = &transaction->message;
	Clusterd__Wire__Comparison *comparison = arena_alloc(&transaction->arena, sizeof *comparison);
	clusterd__wire__comparison__init(comparison);
	comparison->key = arena_string(&transaction->arena, slice_of(key));
	comparison->version = version;
	mem_grow(message->comparisons, transaction->comparison_room, message->n_comparisons + 1);
	message->comparisons[message->n_comparisons++] = comparison;
}

static Clusterd__Wire__Write *write_create(struct clusterd_transaction *transaction, const char *key)
{
	Clusterd__Wire__Write *write = arena_alloc(&transaction->arena, sizeof *write);
	clusterd__wire__write__init(write);
	write->key = arena_string(&transaction->arena, slice_of(key));
	return write;
}

static Clusterd__Wire__Write *put_create(struct clusterd_transaction *transaction, const char *key, const void *value,
                                         size_t size, uint64_t lease)
{
	Clusterd__Wire__Write *write = write_create(transaction, key);
	write->value.data = (uint8_t *)arena_string(&transaction->arena, bytes(value, size));
	write->value.len = size;
	write->lease = lease;
	return write;
}

static Clusterd__Wire__Write *delete_create(struct clusterd_transaction *transaction, const char *key)
{
	Clusterd__Wire__Write *write = write_create(transaction, key);
	write->remove = true;
	return write;
}

static void add_write(struct clusterd_transaction *transaction, Clusterd__Wire__Write *write)
{
	Clusterd__Wire__Transact *message = &transaction->message;
	mem_grow(message->writes, transaction->write_room, message->n_writes + 1);
	message->writes[message->n_writes++] = write;
}

static void add_otherwise(struct clusterd_transaction *transaction, Clusterd__Wire__Write *write)
{
	Clusterd__Wire__Transact *message = &transaction->message;
	mem_grow(message->otherwise, transaction->otherwise_room, message->n_otherwise + 1);
	message->otherwise[message->n_otherwise++] = write;
}

void clusterd_transaction_put(struct clusterd_transaction *transaction, const char *key, const void *value, size_t size,
                              uint64_t lease)
{
	add_write(transaction, put_create(transaction, key, value, size, lease));
}

void clusterd_transaction_delete(struct clusterd_transaction *transaction, const char *key)
{
	add_write(transaction, delete_create(transaction, key));
}

void clusterd_transaction_else_put(struct clusterd_transaction *transaction, const char *key, const void *value,
                                   size_t size, uint64_t lease)
{
	add_otherwise(transaction, put_create(transaction, key, value, size, lease));
}

void clusterd_transaction_else_delete(struct clusterd_transaction *transaction, const char *key)
{
	add_otherwise(transaction, delete_create(transaction, key));
}

static void commit_message(Clusterd__Wire__Request *request, const struct clusterd_transaction *transaction)
{
	clusterd__wire__request__init(request);
	request->body_case = CLUSTERD__WIRE__REQUEST__BODY_TRANSACT;
	request->transact = (Clusterd__Wire__Transact *)(uintptr_t)&transaction->message;
}

int clusterd_transaction_commit(struct clusterd_client *client, const struct clusterd_transaction *transaction,
                                bool *ret_held, uint64_t *ret_version, int timeout_ms, struct clusterd_error *error)
{
	Clusterd__Wire__Request request;
	commit_message(&request, transaction);
	return ask_written(client, &request, SLICE(""), ret_held, ret_version, timeout_ms, error);
}

struct clusterd_request *clusterd_transaction_commit_begin(struct clusterd_client *client,
                                                           const struct clusterd_transaction *transaction,
                                                           int timeout_ms, clusterd_done *done, void *context)
{
	Clusterd__Wire__Request request;
	commit_message(&request, transaction);
	return request_begin_public(client, &request, SLICE(""), timeout_ms, done, context);
}
