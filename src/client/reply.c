#include "client/request.h"

#include <assert.h>

/* What a reply has. */

#define BODY(reply, name) ((reply)->response->body_case == CLUSTERD__WIRE__RESPONSE__BODY_##name)

const char *clusterd_reply_value(const struct clusterd_reply *reply, size_t *ret_size)
{
	if (ret_size != NULL)
		*ret_size = reply->payload.size;
	return reply->payload.data;
}

uint64_t clusterd_reply_version(const struct clusterd_reply *reply)
{
	if (BODY(reply, WRITTEN))
		return reply->response->written->version;
	return BODY(reply, KEYS) ? reply->response->keys->version : 0;
}

bool clusterd_reply_held(const struct clusterd_reply *reply)
{
	return BODY(reply, WRITTEN) && reply->response->written->held;
}

bool clusterd_reply_truncated(const struct clusterd_reply *reply)
{
	return (BODY(reply, KEYS) && reply->response->keys->truncated) ||
	       (BODY(reply, ROWS) && reply->response->rows->truncated);
}

uint64_t clusterd_reply_instance(const struct clusterd_reply *reply)
{
	return BODY(reply, STARTED)    ? reply->response->started->instance
	       : BODY(reply, FINISHED) ? reply->response->finished->instance
	                               : 0;
}

bool clusterd_reply_existed(const struct clusterd_reply *reply)
{
	return BODY(reply, STARTED) && reply->response->started->existed;
}

const char *clusterd_reply_state(const struct clusterd_reply *reply)
{
	return BODY(reply, FINISHED) ? reply->response->finished->state : NULL;
}

const char *clusterd_reply_failure(const struct clusterd_reply *reply)
{
	return BODY(reply, FINISHED) && reply->response->finished->error[0] != '\0' ? reply->response->finished->error
	                                                                            : NULL;
}

uint64_t clusterd_reply_lease(const struct clusterd_reply *reply)
{
	return BODY(reply, LEASE) ? reply->response->lease->id : 0;
}

uint64_t clusterd_reply_ttl_ms(const struct clusterd_reply *reply)
{
	return BODY(reply, LEASE) ? reply->response->lease->ttl_ms : 0;
}

size_t clusterd_reply_column_count(const struct clusterd_reply *reply)
{
	return BODY(reply, ROWS) ? reply->response->rows->n_columns : 0;
}

const char *clusterd_reply_column(const struct clusterd_reply *reply, size_t index)
{
	return index < clusterd_reply_column_count(reply) ? reply->response->rows->columns[index] : NULL;
}

size_t clusterd_reply_key_count(const struct clusterd_reply *reply)
{
	return BODY(reply, KEYS) ? reply->response->keys->n_keys : 0;
}

bool reply_key(const Clusterd__Wire__Key *message, const struct clusterd_reply *reply, size_t *at,
               struct clusterd_key *ret_key)
{
	bool there = message->size <= reply->payload.size - *at;
	*ret_key = (struct clusterd_key){
		.key = message->key,
		.value = there ? reply->payload.data + *at : NULL,
		.value_size = there ? message->size : 0,
		.version = message->version,
		.created = message->created,
		.lease = message->lease,
		.deleted = message->deleted != 0,
	};
	*at += ret_key->value_size;
	return there;
}

void clusterd_reply_key(const struct clusterd_reply *reply, size_t index, struct clusterd_key *ret_key)
{
	size_t at = 0;
	assert(index < clusterd_reply_key_count(reply));
	for (size_t i = 0; i <= index; i++)
		reply_key(reply->response->keys->keys[i], reply, &at, ret_key);
}
