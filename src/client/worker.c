#include "client/client.h"

#include "base/memory.h"
#include "wire/message.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

/* A worker draws an id, and gets a receipt with each call: on another connection, to whatever node, it says which calls it has and shows
 * the receipts. A result is kept until a node says that it is committed, and is sent again on each new connection. */

#define CREDIT_MAX 5000 /* nodes take so many calls in an offer */

struct call_key {
	uint64_t instance;
	uint64_t attempt;
	uint64_t ref;
};

struct clusterd_call {
	struct clusterd_worker *worker;
	struct call_key key;
	uint64_t receipt;
	uint64_t timeout_ms;
	uint64_t heartbeat_ms;
	char *process;
	struct buffer arguments; /* terminated */
	void *data;
	bool done;
	bool failed;
	bool final;
	struct buffer value;
	struct buffer metadata;
	UT_hash_handle hh;
};

struct clusterd_worker {
	struct clusterd_client *client;
	struct link *link;
	uint64_t id;
	struct clusterd_offer *offers;
	size_t offer_count;
	uint32_t credit;
	struct clusterd_call *calls; /* those with a result that was not taken among them */
	size_t open;                 /* without a result */
	bool empty;                  /* there are none */
	bool hears;                  /* a call is under way; see clusterd_worker_destroy */
	bool destroyed;
	clusterd_called *called;
	clusterd_abandoned *abandoned;
	clusterd_worker_told *told;
	void *context;
};

/* --- calls --------------------------------------------------------------------------------------------------------- */

static struct clusterd_call *call_find(const struct clusterd_worker *worker, uint64_t instance, uint32_t ref,
                                       uint64_t attempt)
{
	struct call_key key = {instance, attempt, ref};
	struct clusterd_call *call;
	HASH_FIND(hh, worker->calls, &key, sizeof key, call);
	return call;
}

static void call_forget(struct clusterd_call *call)
{
	struct clusterd_worker *worker = call->worker;
	HASH_DELETE(hh, worker->calls, call);
	worker->open -= !call->done;
	worker->empty = worker->calls == NULL;
	buffer_finish(&call->arguments);
	buffer_finish(&call->value);
	buffer_finish(&call->metadata);
	mem_free(call->process);
	mem_free(call);
}

static int send_result(const struct clusterd_call *call)
{
	Clusterd__Wire__Result message = CLUSTERD__WIRE__RESULT__INIT;
	message.instance = call->key.instance;
	message.ref = (uint32_t)call->key.ref;
	message.attempt = call->key.attempt;
	message.receipt = call->receipt;
	message.failed = call->failed;
	message.final = call->final;
	message.metadata.data = (uint8_t *)call->metadata.data;
	message.metadata.len = call->metadata.size;
	return link_send(call->worker->link, FRAME_RESULT, 0, &message.base, buffer_slice(&call->value));
}

static void call_end(struct clusterd_call *call, struct slice value, bool failed, bool final)
{
	call->worker->open -= !call->done;
	call->done = true;
	call->failed = failed;
	call->final = final;
	buffer_append_slice(&call->value, value);
	client_look_at_clock(call->worker->client);
	if (send_result(call) == 0)
		return;
	buffer_clear(&call->value);
	buffer_clear(&call->metadata);
	buffer_append_string(&call->value, "the result is larger than a frame (16 MiB)");
	call->failed = call->final = true;
	send_result(call);
}

void clusterd_call_set_metadata(struct clusterd_call *call, const char *json, size_t size)
{
	buffer_clear(&call->metadata);
	buffer_append(&call->metadata, json, size);
}

void clusterd_call_complete(struct clusterd_call *call, const char *output, size_t size)
{
	call_end(call, (struct slice){output, size}, false, false);
}

void clusterd_call_fail(struct clusterd_call *call, const char *reason, bool final)
{
	call_end(call, slice_of(reason), true, final);
}

void clusterd_call_heartbeat(struct clusterd_call *call)
{
	Clusterd__Wire__Heartbeat message = CLUSTERD__WIRE__HEARTBEAT__INIT;
	message.instance = call->key.instance;
	message.ref = (uint32_t)call->key.ref;
	message.attempt = call->key.attempt;
	link_send(call->worker->link, FRAME_HEARTBEAT, 0, &message.base, SLICE(""));
}

const char *clusterd_call_process(const struct clusterd_call *call)
{
	return call->process;
}

const char *clusterd_call_arguments(const struct clusterd_call *call, size_t *ret_size)
{
	if (ret_size != NULL)
		*ret_size = call->arguments.size;
	return call->arguments.data;
}

uint64_t clusterd_call_instance(const struct clusterd_call *call)
{
	return call->key.instance;
}

uint32_t clusterd_call_reference(const struct clusterd_call *call)
{
	return (uint32_t)call->key.ref;
}

uint64_t clusterd_call_attempt(const struct clusterd_call *call)
{
	return call->key.attempt;
}

uint64_t clusterd_call_timeout_ms(const struct clusterd_call *call)
{
	return call->timeout_ms;
}

uint64_t clusterd_call_heartbeat_ms(const struct clusterd_call *call)
{
	return call->heartbeat_ms;
}

void clusterd_call_set_data(struct clusterd_call *call, void *data)
{
	call->data = data;
}

void *clusterd_call_data(const struct clusterd_call *call)
{
	return call->data;
}

/* --- what the node says -------------------------------------------------------------------------------------------- */

static void take_assignment(struct clusterd_worker *worker, const Clusterd__Wire__Assignment *assignment,
                            struct slice payload)
{
	if (call_find(worker, assignment->instance, assignment->ref, assignment->attempt) != NULL)
		return;
	struct clusterd_call *call = mem_zero(sizeof *call);
	call->worker = worker;
	call->key = (struct call_key){assignment->instance, assignment->attempt, assignment->ref};
	call->receipt = assignment->receipt;
	call->timeout_ms = assignment->timeout_ms;
	call->heartbeat_ms = assignment->heartbeat_ms;
	call->process = mem_string(assignment->process);
	buffer_append_slice(&call->arguments, payload);
	buffer_string(&call->arguments);
	HASH_ADD(hh, worker->calls, key, sizeof call->key, call);
	worker->open++;
	worker->empty = false;
	worker->called(worker->context, call);
}

static void take_abandon(struct clusterd_worker *worker, const Clusterd__Wire__Abandon *abandon)
{
	struct clusterd_call *call = call_find(worker, abandon->instance, abandon->ref, abandon->attempt);
	if (call == NULL)
		return;
	if (!call->done && worker->abandoned != NULL)
		worker->abandoned(worker->context, call);
	/* It may have been answered, or all be destroyed, in the call. */
	if (!worker->destroyed)
		call_forget(call);
}

static void take_taken(struct clusterd_worker *worker, const Clusterd__Wire__Taken *taken)
{
	struct clusterd_call *call = call_find(worker, taken->instance, taken->ref, taken->attempt);
	if (call != NULL && call->done)
		call_forget(call);
}

static void worker_free(struct clusterd_worker *worker)
{
	for (size_t i = 0; i < worker->offer_count; i++) {
		mem_free((char *)(uintptr_t)worker->offers[i].process);
		mem_free((char *)(uintptr_t)worker->offers[i].signature);
	}
	mem_free(worker->offers);
	mem_free(worker);
}

static void take_frame(void *context, const struct frame *frame)
{
	struct clusterd_worker *worker = context;
	const ProtobufCMessageDescriptor *descriptor = message_of_frame(frame->type);
	struct arena arena = {0};
	ProtobufCMessage *message = NULL;
	struct error error;
	if (frame->type != FRAME_ASSIGNMENT && frame->type != FRAME_ABANDON && frame->type != FRAME_RESULT_TAKEN)
		return;
	if (message_unpack(descriptor, frame->message, &arena, &message, &error) != 0) {
		arena_finish(&arena);
		link_move(worker->link, &error);
		return;
	}
	worker->hears = true;
	if (frame->type == FRAME_ASSIGNMENT)
		take_assignment(worker, (const Clusterd__Wire__Assignment *)message, frame->payload);
	else if (frame->type == FRAME_ABANDON)
		take_abandon(worker, (const Clusterd__Wire__Abandon *)message);
	else
		take_taken(worker, (const Clusterd__Wire__Taken *)message);
	worker->hears = false;
	arena_finish(&arena);
	if (worker->destroyed)
		worker_free(worker);
}

/* --- the connection ------------------------------------------------------------------------------------------------ */

static void send_offer(struct clusterd_worker *worker)
{
	Clusterd__Wire__Offer message = CLUSTERD__WIRE__OFFER__INIT;
	struct arena arena = {0};
	message.processes = arena_alloc(&arena, worker->offer_count * sizeof *message.processes);
	for (size_t i = 0; i < worker->offer_count; i++) {
		Clusterd__Wire__OfferedProcess *process = arena_alloc(&arena, sizeof *process);
		clusterd__wire__offered_process__init(process);
		process->name = (char *)(uintptr_t)worker->offers[i].process;
		process->signature = (char *)(uintptr_t)worker->offers[i].signature;
		message.processes[message.n_processes++] = process;
	}
	message.credit = worker->credit;
	message.worker = worker->id;
	message.held = arena_alloc(&arena, (HASH_COUNT(worker->calls) + 1) * sizeof *message.held);
	for (const struct clusterd_call *call = worker->calls; call != NULL && message.n_held < CREDIT_MAX;
	     call = call->hh.next) {
		Clusterd__Wire__Held *held = arena_alloc(&arena, sizeof *held);
		clusterd__wire__held__init(held);
		held->instance = call->key.instance;
		held->ref = (uint32_t)call->key.ref;
		held->attempt = call->key.attempt;
		held->receipt = call->receipt;
		message.held[message.n_held++] = held;
	}
	link_send(worker->link, FRAME_OFFER, 0, &message.base, SLICE(""));
	arena_finish(&arena);
}

static void connected(void *context)
{
	struct clusterd_worker *worker = context;
	send_offer(worker);
	for (const struct clusterd_call *call = worker->calls; call != NULL; call = call->hh.next) {
		if (call->done)
			send_result(call);
	}
	if (worker->told != NULL)
		worker->told(worker->context, NULL);
}

static void lost(void *context, const struct error *error, bool all)
{
	struct clusterd_worker *worker = context;
	struct clusterd_error public;
	(void)all;
	link_want(worker->link);
	client_say(&public, error);
	if (worker->told != NULL)
		worker->told(worker->context, &public);
}

static const struct link_handler handler = {connected, take_frame, lost};

/* --- for its owner ------------------------------------------------------------------------------------------------- */

static int check(const struct clusterd_worker_options *options, struct error *error)
{
	if (options->offer_count == 0 || options->called == NULL)
		return error_set(error, ERR_INVALID,
		                 "a worker offers at least one process, and has a function for its calls");
	if (options->credit == 0 || options->credit > CREDIT_MAX)
		return error_set(error, ERR_LIMIT, "a worker takes 1 to %d calls at once, not %u", CREDIT_MAX,
		                 options->credit);
	return 0;
}

int clusterd_worker_create(struct clusterd_client *client, const struct clusterd_worker_options *options,
                           struct clusterd_worker **ret_worker, struct clusterd_error *error)
{
	struct clusterd_worker_options known = CLUSTERD_WORKER_OPTIONS;
	struct error failure = {0};
	uint64_t id = 0;
	memcpy(&known, options, options->size < sizeof known ? options->size : sizeof known);
	int code = check(&known, &failure);
	if (code == 0 && (getrandom(&id, sizeof id, 0) != (ssize_t)sizeof id || id == 0))
		error_set(&failure, ERR_IO, "the system gives no random numbers: %s", strerror(errno));
	if (failure.code != 0)
		return client_say(error, &failure);
	struct clusterd_worker *worker = mem_zero(sizeof *worker);
	worker->client = client;
	worker->id = id;
	worker->offers = mem_array(known.offer_count, sizeof *worker->offers);
	worker->offer_count = known.offer_count;
	for (size_t i = 0; i < known.offer_count; i++) {
		worker->offers[i].process = mem_string(known.offers[i].process);
		worker->offers[i].signature = mem_string(known.offers[i].signature != NULL ? known.offers[i].signature
		                                                                           : "");
	}
	worker->credit = known.credit;
	worker->empty = true;
	worker->called = known.called;
	worker->abandoned = known.abandoned;
	worker->told = known.told;
	worker->context = known.context;
	client_look_at_clock(client);
	client->users++;
	worker->link = link_create(&client->base, CLUSTERD__WIRE__ROLE__ROLE_WORKER, &handler, worker);
	link_expect(worker->link, true);
	link_want(worker->link);
	*ret_worker = worker;
	return 0;
}

void clusterd_worker_set_credit(struct clusterd_worker *worker, uint32_t credit)
{
	worker->credit = credit < CREDIT_MAX ? credit : CREDIT_MAX;
	if (link_is_open(worker->link))
		send_offer(worker);
}

size_t clusterd_worker_calls(const struct clusterd_worker *worker)
{
	return worker->open;
}

size_t clusterd_worker_results(const struct clusterd_worker *worker)
{
	return HASH_COUNT(worker->calls) - worker->open;
}

int clusterd_worker_drain(struct clusterd_worker *worker, int timeout_ms, struct clusterd_error *error)
{
	struct error failure;
	client_look_at_clock(worker->client);
	clusterd_worker_set_credit(worker, 0);
	int code = client_turn_until(worker->client, &worker->empty, client_deadline(worker->client, timeout_ms),
	                             &failure);
	if (code == ERR_TIMEOUT)
		error_set(&failure, code, "%zu calls were not answered, and %zu results not taken, in time",
		          clusterd_worker_calls(worker), clusterd_worker_results(worker));
	return code != 0 ? client_say(error, &failure) : 0;
}

void clusterd_worker_destroy(struct clusterd_worker *worker)
{
	struct clusterd_call *call;
	struct clusterd_call *next;
	if (worker == NULL)
		return;
	worker->credit = 0;
	if (worker->calls != NULL && link_is_open(worker->link))
		send_offer(worker);
	HASH_ITER (hh, worker->calls, call, next) {
		if (!call->done)
			clusterd_call_fail(call, "its worker was stopped", false);
		call_forget(call);
	}
	link_destroy(worker->link);
	worker->client->users--;
	if (worker->hears)
		worker->destroyed = true;
	else
		worker_free(worker);
}
