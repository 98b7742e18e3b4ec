#include "client/client.h"
#include "client/clusterd_streams.h"
#include "client/dialogue.h"
#include "client/door.h"
#include "client/finder.h"
#include "client/visit.h"

#include "base/memory.h"

#include <string.h>

/* Calls of a service. They wait for the connection, which is made with the first one; those that were sent when it is lost have failed. */

#define CALLS_DEFAULT 1000
#define RETRY_MS 100
#define CALLS_SIZE (16u << 20) /* bytes of requests that wait to be sent */

struct clusterd_service_call {
	struct clusterd_binding *binding;
	UT_hash_handle hh;
	uint64_t number;
	bool sent;
	struct buffer data; /* until it is sent */
	struct timer timer;
	struct error why; /* it has failed when its timer comes; code 0: its time is out then */
	clusterd_service_answered *answered;
	void *context;
};

struct clusterd_binding {
	struct clusterd_client *client;
	char *topic;
	char *schema;
	bool wait;
	size_t calls_max;
	struct secret *secret;
	struct greeting_config config;
	struct finder *finder;
	char *address; /* NULL: not known */
	bool fixed;    /* the cluster is not asked */
	struct visit *visit;
	struct timer timer; /* to visit again */
	struct dialogue dialogue;
	struct clusterd_service_call *calls; /* by number */
	size_t waiting;                      /* bytes of those that were not sent */
	uint64_t number;
	uint32_t uses;
	bool destroyed;
};

/* --- calls --------------------------------------------------------------------------------------------------------- */

static void call_forget(struct clusterd_service_call *call)
{
	struct clusterd_binding *binding = call->binding;
	timers_set(&binding->client->base.timers, &call->timer, MSEC_NEVER);
	HASH_DELETE(hh, binding->calls, call);
	binding->waiting -= call->data.size;
	buffer_finish(&call->data);
	mem_free(call);
}

static void binding_free(struct clusterd_binding *binding)
{
	mem_free(binding->topic);
	mem_free(binding->schema);
	mem_free(binding->address);
	secret_destroy(binding->secret);
	mem_free(binding);
}

static void binding_release(struct clusterd_binding *binding)
{
	if (--binding->uses == 0 && binding->destroyed)
		binding_free(binding);
}

/* The binding may be gone after it, unless it is held. */
static void call_end(struct clusterd_service_call *call, struct slice data, const struct error *error)
{
	clusterd_service_answered *answered = call->answered;
	void *context = call->context;
	struct clusterd_error public = {0};
	client_say(&public, error);
	call_forget(call);
	if (answered != NULL)
		answered(context, data.data, data.size, error != NULL ? &public : NULL);
}

static void time_is_out(void *context)
{
	struct clusterd_service_call *call = context;
	struct error why = call->why;
	if (why.code == 0)
		error_set(&why, ERR_TIMEOUT, "%s did not answer in time", call->binding->topic);
	call_end(call, SLICE(""), &why);
}

static void call_fail(struct clusterd_service_call *call, const struct error *error)
{
	struct link_base *base = &call->binding->client->base;
	call->why = *error;
	timers_set(&base->timers, &call->timer, base->now);
}

/* They are told with their timers, so that nothing changes under whoever fails them. */
static void fail_all(struct clusterd_binding *binding, bool sent_only, const struct error *error)
{
	struct clusterd_service_call *call;
	struct clusterd_service_call *next;
	HASH_ITER (hh, binding->calls, call, next) {
		if ((call->sent || !sent_only) && call->why.code == 0)
			call_fail(call, error);
	}
}

static void call_send(struct clusterd_service_call *call)
{
	struct clusterd_binding *binding = call->binding;
	dialogue_say(&binding->dialogue, STREAM_REQUEST, call->number, buffer_slice(&call->data));
	binding->waiting -= call->data.size;
	buffer_finish(&call->data);
	call->sent = true;
}

static struct clusterd_service_call *call_find(const struct clusterd_binding *binding, uint64_t number)
{
	struct clusterd_service_call *call;
	HASH_FIND(hh, binding->calls, &number, sizeof number, call);
	return call;
}

/* --- the connection ------------------------------------------------------------------------------------------------ */

static void visit(struct clusterd_binding *binding);

static void lost(struct clusterd_binding *binding, const struct error *error)
{
	struct error why;
	dialogue_end(&binding->dialogue);
	error_set(&why, ERR_CLOSED, "%s: the service was lost, and may have done what was asked: %.300s",
	          binding->topic, error->text);
	fail_all(binding, true, &why);
	if (binding->calls != NULL)
		visit(binding); /* for those that were not sent */
}

static void take_answer(struct clusterd_binding *binding, const struct stream_frame *frame)
{
	struct clusterd_service_call *call = call_find(binding, frame->time);
	struct error why;
	if (call == NULL || call->why.code != 0)
		return; /* it was given up */
	if (frame->type == STREAM_FAILURE)
		error_set(&why, ERR_CONFLICT, "%.*s", (int)(frame->body.size < 400 ? frame->body.size : 400),
		          frame->body.data);
	call_end(call, frame->body, frame->type == STREAM_FAILURE ? &why : NULL);
}

static void binding_ready(void *context, uint32_t events)
{
	struct clusterd_binding *binding = context;
	struct stream_frame frame;
	struct error error = {0};
	int got = dialogue_turn(&binding->dialogue, events, &error);
	binding->uses++;
	while (got == 0 && !binding->destroyed) {
		got = dialogue_next(&binding->dialogue, &frame, &error);
		if (got != 1)
			break;
		got = 0;
		if (frame.type == STREAM_RESPONSE || frame.type == STREAM_FAILURE) {
			take_answer(binding, &frame);
		} else {
			got = ERR_INVALID;
			error_set(&error, ERR_INVALID, "it says what is no answer");
			if (frame.type == STREAM_REFUSAL)
				refusal_read(&frame, &error);
		}
	}
	if (!binding->destroyed && got < 0)
		lost(binding, &error);
	binding_release(binding);
}

static void visited(void *context, const struct greeting *greeting, struct channel *take_channel,
                    struct buffer *take_rest, const struct error *error)
{
	struct clusterd_binding *binding = context;
	struct clusterd_service_call *call;
	struct clusterd_service_call *next;
	struct link_base *base = &binding->client->base;
	(void)greeting;
	binding->visit = NULL;
	if (error != NULL && binding->wait && error->code == ERR_CLOSED) {
		timers_set(&base->timers, &binding->timer, base->now + RETRY_MS);
		return;
	}
	if (error != NULL) {
		fail_all(binding, false, error);
		return;
	}
	dialogue_begin(&binding->dialogue, take_channel, take_rest, binding_ready, binding);
	HASH_ITER (hh, binding->calls, call, next) {
		if (!call->sent && call->why.code == 0)
			call_send(call);
	}
}

static void time_has_come(void *context)
{
	struct clusterd_binding *binding = context;
	if (binding->calls != NULL)
		visit(binding);
}

static bool found(void *context, const struct clusterd_topic *topic, uint32_t part)
{
	(void)context;
	(void)topic;
	(void)part;
	return true;
}

static bool placed(void *context, uint32_t part, const char *address)
{
	struct clusterd_binding *binding = context;
	(void)part;
	mem_free(binding->address);
	binding->address = mem_string(address);
	if (binding->calls != NULL)
		visit(binding);
	return true;
}

static void not_found(void *context, const struct error *error)
{
	struct clusterd_binding *binding = context;
	finder_destroy(binding->finder);
	binding->finder = NULL;
	fail_all(binding, false, error);
}

static const struct finder_handler finder_handler = {found, placed, not_found};

static void visit(struct clusterd_binding *binding)
{
	struct link_base *base = &binding->client->base;
	struct finder_options wanted = {
		.topic = binding->topic,
		.kind = CLUSTERD_TOPIC_SERVICE,
		.schema = binding->schema,
		.wait = binding->wait,
	};
	if (binding->visit != NULL || binding->dialogue.channel != NULL)
		return;
	if (binding->finder == NULL && !binding->fixed)
		binding->finder = finder_create(binding->client, &wanted, &finder_handler, binding);
	if (binding->address != NULL)
		binding->visit = visit_begin(base, binding->address, &binding->config, visited, binding);
}

/* --- for its owner ------------------------------------------------------------------------------------------------- */

int clusterd_service_bind(struct clusterd_client *client, const struct clusterd_binding_options *options,
                          struct clusterd_binding **ret_binding, struct clusterd_error *error)
{
	struct clusterd_binding_options known = CLUSTERD_BINDING_OPTIONS;
	struct secret *secret = NULL;
	struct error failure = {0};
	memcpy(&known, options, options->size < sizeof known ? options->size : sizeof known);
	if (known.topic == NULL || strlen(known.topic) > GREETING_TOPIC_MAX)
		error_set(&failure, ERR_INVALID, "a service has a name of up to %d bytes", GREETING_TOPIC_MAX);
	else if (known.address != NULL)
		address_check(known.address, &failure);
	if (failure.code == 0)
		door_secret(client->base.token, &secret, &failure);
	if (failure.code != 0)
		return client_say(error, &failure);
	struct clusterd_binding *binding = mem_zero(sizeof *binding);
	binding->client = client;
	binding->topic = mem_string(known.topic);
	binding->schema = mem_string(known.schema);
	binding->address = mem_string(known.address);
	binding->fixed = known.address != NULL;
	binding->wait = known.wait;
	binding->calls_max = known.calls_max != 0 ? known.calls_max : CALLS_DEFAULT;
	binding->secret = secret;
	binding->config = (struct greeting_config){
		.topic = binding->topic,
		.kind = CLUSTERD__STREAM__KIND__KIND_SERVICE,
		.schema = binding->fixed && binding->schema != NULL ? binding->schema : "",
		.secret = secret,
		.name = client->base.name,
	};
	binding->timer = (struct timer){.call = time_has_come, .context = binding};
	client->users++;
	*ret_binding = binding;
	return 0;
}

static int check(const struct clusterd_binding *binding, size_t size, struct error *error)
{
	if (size > STREAM_MESSAGE_MAX)
		return error_set(error, ERR_LIMIT, "a request has up to %u bytes, not %zu", STREAM_MESSAGE_MAX, size);
	if (HASH_COUNT(binding->calls) > binding->calls_max)
		return error_set(error, ERR_BUSY, "%zu calls of %s are under way, and no more may be",
		                 binding->calls_max, binding->topic);
	if (binding->waiting > CALLS_SIZE || binding->dialogue.out.size > CALLS_SIZE)
		return error_set(error, ERR_BUSY, "more than %u bytes wait to be sent to %s", CALLS_SIZE,
		                 binding->topic);
	return 0;
}

struct clusterd_service_call *clusterd_service_call_begin(struct clusterd_binding *binding, const void *data,
                                                          size_t size, int timeout_ms,
                                                          clusterd_service_answered *answered, void *context)
{
	struct clusterd_client *client = binding->client;
	struct clusterd_service_call *call = mem_zero(sizeof *call);
	struct error failure;
	client_look_at_clock(client);
	call->binding = binding;
	call->number = ++binding->number;
	call->timer = (struct timer){.call = time_is_out, .context = call};
	call->answered = answered;
	call->context = context;
	HASH_ADD(hh, binding->calls, number, sizeof call->number, call);
	if (check(binding, size, &failure) != 0) {
		call_fail(call, &failure);
		return call;
	}
	buffer_append(&call->data, data, size);
	binding->waiting += size;
	timers_set(&client->base.timers, &call->timer, client_deadline(client, timeout_ms));
	if (binding->dialogue.channel != NULL)
		call_send(call);
	else
		visit(binding);
	return call;
}

void clusterd_service_call_cancel(struct clusterd_service_call *call)
{
	if (call != NULL)
		call_forget(call);
}

struct asked {
	bool done;
	char *data;
	size_t size;
	struct clusterd_error error;
};

static void take_it(void *context, const void *data, size_t size, const struct clusterd_error *error)
{
	struct asked *asked = context;
	asked->done = true;
	if (error != NULL) {
		asked->error = *error;
		return;
	}
	asked->data = mem_alloc(size + 1);
	if (size != 0)
		memcpy(asked->data, data, size);
	asked->data[size] = '\0';
	asked->size = size;
}

int clusterd_service_call(struct clusterd_binding *binding, const void *data, size_t size, char **ret_data,
                          size_t *ret_size, int timeout_ms, struct clusterd_error *error)
{
	struct asked asked = {0};
	struct error failure;
	int code = client_may_block(binding->client, &failure);
	if (code != 0)
		return client_say(error, &failure);
	clusterd_service_call_begin(binding, data, size, timeout_ms, take_it, &asked);
	client_turn_until(binding->client, &asked.done, MSEC_NEVER, &failure);
	if (asked.error.code != 0) {
		if (error != NULL)
			*error = asked.error;
		return asked.error.code;
	}
	if (ret_size != NULL)
		*ret_size = asked.size;
	if (ret_data != NULL)
		*ret_data = asked.data;
	else
		mem_free(asked.data);
	return 0;
}

void clusterd_binding_destroy(struct clusterd_binding *binding)
{
	if (binding == NULL)
		return;
	while (binding->calls != NULL)
		call_forget(binding->calls);
	finder_destroy(binding->finder);
	visit_cancel(binding->visit);
	timers_set(&binding->client->base.timers, &binding->timer, MSEC_NEVER);
	dialogue_end(&binding->dialogue);
	binding->finder = NULL;
	binding->visit = NULL;
	binding->client->users--;
	binding->destroyed = true;
	binding->uses++;
	binding_release(binding);
}
