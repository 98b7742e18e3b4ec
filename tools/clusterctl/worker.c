#include "command.h"

#include "base/json.h"
#include "base/memory.h"
#include "daemon/executor.h"
#include "wire/frame.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <uthash.h>

/* Serves one process from this machine: calls come over the connection, a pool of children does them. Calls go on when the
 * connection is lost, and the next one is told which there are. A result is kept until the node says that it is committed, and is
 * sent again on each new connection. */

#define RECONNECT_MIN_MS 200
#define RECONNECT_MAX_MS 1000 /* nodes wait for calls that a worker has for some seconds */
#define HELD_MAX 5000
#define LEAVE_MS 2000

/* A call that it was given: it runs, or its result was not taken so far. */
struct held {
	struct executor_key key; /* its padding is zero: it is hashed as bytes */
	uint64_t receipt;
	bool done;
	bool failed;
	bool final;
	struct buffer value;
	struct buffer metadata;
	UT_hash_handle hh;
};

struct worker {
	struct context *context;
	struct executor *executor;
	struct loop_signal *signals[2];
	struct definition process;
	const char *name;
	uint64_t id;
	uint32_t slots;
	struct held *held;
	bool lost;
	bool stopping;
	char *directory;
};

static struct held *held_find(const struct worker *worker, uint64_t instance, uint32_t ref, uint64_t attempt)
{
	struct executor_key key;
	struct held *held;
	memset(&key, 0, sizeof key);
	key.instance = instance;
	key.ref = ref;
	key.attempt = attempt;
	HASH_FIND(hh, worker->held, &key, sizeof key, held);
	return held;
}

static void held_forget(struct worker *worker, struct held *held)
{
	HASH_DELETE(hh, worker->held, held);
	buffer_finish(&held->value);
	buffer_finish(&held->metadata);
	mem_free(held);
}

static void send_result(struct worker *worker, const struct held *held)
{
	Clusterd__Wire__Result message = CLUSTERD__WIRE__RESULT__INIT;
	message.instance = held->key.instance;
	message.ref = held->key.ref;
	message.attempt = held->key.attempt;
	message.receipt = held->receipt;
	message.failed = held->failed;
	message.final = held->final;
	message.metadata.data = (uint8_t *)held->metadata.data;
	message.metadata.len = held->metadata.size;
	client_send(worker->context->client, FRAME_RESULT, &message.base, buffer_slice(&held->value));
}

static void call_finished(void *context, const struct executor_result *executed)
{
	struct worker *worker = context;
	struct held *held = held_find(worker, executed->key.instance, executed->key.ref, executed->key.attempt);
	if (held == NULL)
		return;
	held->done = true;
	held->failed = executed->failed;
	held->final = executed->final;
	buffer_append_slice(&held->value, executed->value);
	buffer_append_slice(&held->metadata, executed->metadata);
	send_result(worker, held);
}

static void call_heartbeat(void *context, struct executor_key key)
{
	struct worker *worker = context;
	Clusterd__Wire__Heartbeat message = CLUSTERD__WIRE__HEARTBEAT__INIT;
	message.instance = key.instance;
	message.ref = key.ref;
	message.attempt = key.attempt;
	client_send(worker->context->client, FRAME_HEARTBEAT, &message.base, SLICE(""));
}

static int no_files(void *context, struct slice hash, bool *ret_executable, struct buffer *ret_content, struct error *error)
{
	(void)context;
	(void)hash;
	(void)ret_executable;
	(void)ret_content;
	return error_set(error, ERR_UNSUPPORTED, "a worker's command brings its own files");
}

static const struct executor_handler handler = {call_finished, call_heartbeat, no_files};

static void take_assignment(struct worker *worker, const Clusterd__Wire__Assignment *assignment, struct slice payload)
{
	if (held_find(worker, assignment->instance, assignment->ref, assignment->attempt) != NULL)
		return;
	struct held *held = mem_zero(sizeof *held);
	held->key.instance = assignment->instance;
	held->key.ref = assignment->ref;
	held->key.attempt = assignment->attempt;
	held->receipt = assignment->receipt;
	HASH_ADD(hh, worker->held, key, sizeof held->key, held);
	struct text *args = text_create(payload);
	executor_start(worker->executor, held->key, &worker->process, args);
	text_release(args);
}

static void take_abandon(struct worker *worker, const Clusterd__Wire__Abandon *abandon)
{
	struct held *held = held_find(worker, abandon->instance, abandon->ref, abandon->attempt);
	if (held == NULL)
		return;
	if (!held->done)
		executor_abandon(worker->executor, held->key);
	held_forget(worker, held);
}

static void take_frame(void *context, int frame_type, const ProtobufCMessage *message, struct slice payload)
{
	struct worker *worker = context;
	const Clusterd__Wire__Taken *taken = (const Clusterd__Wire__Taken *)message;
	struct held *held;
	switch (frame_type) {
	case FRAME_ASSIGNMENT:
		take_assignment(worker, (const Clusterd__Wire__Assignment *)message, payload);
		break;
	case FRAME_ABANDON:
		take_abandon(worker, (const Clusterd__Wire__Abandon *)message);
		break;
	case FRAME_RESULT_TAKEN:
		held = held_find(worker, taken->instance, taken->ref, taken->attempt);
		if (held != NULL && held->done)
			held_forget(worker, held);
		if (worker->stopping && worker->held == NULL)
			client_interrupt(worker->context->client);
		break;
	default:
		break;
	}
}

static void connection_lost(void *context, const char *reason)
{
	struct worker *worker = context;
	worker->lost = true;
	if (!worker->stopping)
		fprintf(stderr, "clusterctl: the connection is lost (%s)\n", reason);
	loop_stop(client_loop(worker->context->client));
}

static void asked_to_stop(void *context)
{
	struct worker *worker = context;
	worker->stopping = true;
	client_interrupt(worker->context->client); /* it may be connecting */
	loop_stop(client_loop(worker->context->client));
}

static void offer(struct worker *worker)
{
	Clusterd__Wire__Offer message = CLUSTERD__WIRE__OFFER__INIT;
	Clusterd__Wire__OfferedProcess process = CLUSTERD__WIRE__OFFERED_PROCESS__INIT;
	Clusterd__Wire__OfferedProcess *processes[1] = {&process};
	struct arena arena = {0};
	const struct held *held;
	process.name = (char *)(uintptr_t)worker->name;
	message.processes = processes;
	message.n_processes = 1;
	message.credit = worker->stopping ? 0 : worker->slots;
	message.worker = worker->id;
	message.held = arena_alloc(&arena, HASH_COUNT(worker->held) * sizeof(Clusterd__Wire__Held *));
	for (held = worker->held; held != NULL && message.n_held < HELD_MAX; held = held->hh.next) {
		Clusterd__Wire__Held *one = message.held[message.n_held++] = arena_alloc(&arena, sizeof *one);
		clusterd__wire__held__init(one);
		one->instance = held->key.instance;
		one->ref = held->key.ref;
		one->attempt = held->key.attempt;
		one->receipt = held->receipt;
	}
	client_send(worker->context->client, FRAME_OFFER, &message.base, SLICE(""));
	for (held = worker->held; held != NULL; held = held->hh.next) {
		if (held->done)
			send_result(worker, held);
	}
	arena_finish(&arena);
}

/* What it has not done has failed: it does not come back. The node is to know at once, and what was done. */
static void leave(struct worker *worker)
{
	struct client *client = worker->context->client;
	executor_destroy(worker->executor);
	worker->executor = NULL;
	if (worker->lost || worker->held == NULL)
		return;
	for (struct held *held = worker->held; held != NULL; held = held->hh.next) {
		if (held->done)
			continue;
		held->done = held->failed = true;
		buffer_append_string(&held->value, "its worker was stopped");
	}
	client_go_on(client);
	offer(worker);
	client_idle(client, client_now(client) + LEAVE_MS);
}

static void serve(struct worker *worker)
{
	struct client *client = worker->context->client;
	msec pause = RECONNECT_MIN_MS;
	offer(worker);
	fprintf(stderr, "serving %s, %u calls at once\n", worker->name, worker->slots);
	while (!worker->stopping) {
		if (!worker->lost) {
			loop_run(client_loop(client));
			continue;
		}
		client_idle(client, client_now(client) + pause);
		pause = pause * 2 < RECONNECT_MAX_MS ? pause * 2 : RECONNECT_MAX_MS;
		if (worker->stopping || client_reconnect(client, &worker->context->error) != 0)
			continue;
		pause = RECONNECT_MIN_MS;
		worker->lost = false;
		fprintf(stderr, "connected again\n");
		if (!worker->stopping)
			offer(worker);
	}
	leave(worker);
}

static int worker_open(struct worker *worker, const struct arguments *arguments)
{
	struct executor_options options = {
		.node_name = "worker",
		.exec_slots = worker->slots,
		.pool_children = worker->slots,
		.pool_depth = 1,
	};
	struct command_word *words = mem_array((size_t)arguments->rest_count, sizeof *words);
	for (int i = 0; i < arguments->rest_count; i++)
		words[i] = (struct command_word){slice_of(arguments->rest[i]), -1};
	worker->process.name = slice_of(worker->name);
	worker->process.version = 1;
	worker->process.settings.pool = words;
	worker->process.settings.pool_count = (uint32_t)arguments->rest_count;
	worker->directory = mem_string("/tmp/clusterctl-worker-XXXXXX");
	if (mkdtemp(worker->directory) == NULL)
		return error_set(&worker->context->error, ERR_IO, "cannot make a directory in /tmp: %s", strerror(errno));
	options.directory = worker->directory;
	return executor_create(client_loop(worker->context->client), &options, &handler, worker, &worker->executor,
	                       &worker->context->error);
}

static void worker_close(struct worker *worker)
{
	struct held *held;
	struct held *next;
	executor_destroy(worker->executor);
	loop_signal_destroy(worker->signals[0]);
	loop_signal_destroy(worker->signals[1]);
	HASH_ITER(hh, worker->held, held, next)
		held_forget(worker, held);
	if (worker->directory != NULL)
		rmdir(worker->directory);
	mem_free(worker->directory);
	mem_free(worker->process.settings.pool);
}

int run_worker(struct context *context, const struct arguments *arguments)
{
	struct worker worker = {.context = context, .name = arguments->flags[0]};
	long long slots = sysconf(_SC_NPROCESSORS_ONLN);
	if (worker.name == NULL || arguments->rest_count == 0) {
		fprintf(stderr, "usage: clusterctl worker run -p PROCESS [--slots N] -- COMMAND…\n");
		return EXIT_USAGE;
	}
	if (arguments->flags[1] != NULL && json_integer(slice_of(arguments->flags[1]), 1, 10000, &slots) != 0) {
		fprintf(stderr, "clusterctl: --slots is a number from 1 to 10000\n");
		return EXIT_USAGE;
	}
	worker.slots = (uint32_t)slots;
	if (getrandom(&worker.id, sizeof worker.id, 0) != (ssize_t)sizeof worker.id) {
		fprintf(stderr, "clusterctl: the system gives no random numbers: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	int code = need_client(context, CLUSTERD__WIRE__ROLE__ROLE_WORKER);
	if (code != 0)
		return code;
	struct loop *loop = client_loop(context->client);
	worker.signals[0] = loop_signal_create(loop, SIGTERM, asked_to_stop, &worker);
	worker.signals[1] = loop_signal_create(loop, SIGINT, asked_to_stop, &worker);
	client_on_frame(context->client, take_frame, connection_lost, &worker);
	code = worker_open(&worker, arguments);
	if (code == 0)
		serve(&worker);
	else
		code = report(context);
	worker_close(&worker);
	return code;
}
