#include "command.h"

#include "base/json.h"
#include "base/memory.h"
#include "daemon/executor.h"
#include "wire/frame.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

/* Serves one process from this machine: calls come over the connection, a pool of children does them. A result is kept until
 * the node says that it is committed, and is sent again after the connection was lost. */

#define RECONNECT_MIN_MS 200
#define RECONNECT_MAX_MS 5000

struct result {
	struct executor_key key;
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
	uint32_t slots;
	struct result *results;
	bool lost;
	bool stopping;
	char *directory;
};

static void send_result(struct worker *worker, const struct result *result)
{
	Clusterd__Wire__Result message = CLUSTERD__WIRE__RESULT__INIT;
	message.instance = result->key.instance;
	message.ref = result->key.ref;
	message.attempt = result->key.attempt;
	message.failed = result->failed;
	message.final = result->final;
	message.metadata.data = (uint8_t *)result->metadata.data;
	message.metadata.len = result->metadata.size;
	client_send(worker->context->client, FRAME_RESULT, &message.base, buffer_slice(&result->value));
}

static void call_finished(void *context, const struct executor_result *executed)
{
	struct worker *worker = context;
	struct result *result = mem_zero(sizeof *result);
	result->key.instance = executed->key.instance;
	result->key.ref = executed->key.ref;
	result->key.attempt = executed->key.attempt;
	result->failed = executed->failed;
	result->final = executed->final;
	buffer_append_slice(&result->value, executed->value);
	buffer_append_slice(&result->metadata, executed->metadata);
	HASH_ADD(hh, worker->results, key, sizeof result->key, result);
	send_result(worker, result);
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

static void forget_result(struct worker *worker, const Clusterd__Wire__Taken *taken)
{
	struct executor_key key;
	struct result *result;
	memset(&key, 0, sizeof key);
	key.instance = taken->instance;
	key.ref = taken->ref;
	key.attempt = taken->attempt;
	HASH_FIND(hh, worker->results, &key, sizeof key, result);
	if (result == NULL)
		return;
	HASH_DELETE(hh, worker->results, result);
	buffer_finish(&result->value);
	buffer_finish(&result->metadata);
	mem_free(result);
}

static void take_frame(void *context, int frame_type, const ProtobufCMessage *message, struct slice payload)
{
	struct worker *worker = context;
	if (frame_type == FRAME_ASSIGNMENT) {
		const Clusterd__Wire__Assignment *assignment = (const Clusterd__Wire__Assignment *)message;
		struct executor_key key = {assignment->instance, assignment->ref, assignment->attempt};
		struct text *args = text_create(payload);
		executor_start(worker->executor, key, &worker->process, args);
		text_release(args);
	} else if (frame_type == FRAME_ABANDON) {
		const Clusterd__Wire__Abandon *abandon = (const Clusterd__Wire__Abandon *)message;
		executor_abandon(worker->executor, (struct executor_key){abandon->instance, abandon->ref, abandon->attempt});
	} else if (frame_type == FRAME_RESULT_TAKEN) {
		forget_result(worker, (const Clusterd__Wire__Taken *)message);
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
	loop_stop(client_loop(worker->context->client));
}

static void offer(struct worker *worker)
{
	Clusterd__Wire__Offer message = CLUSTERD__WIRE__OFFER__INIT;
	Clusterd__Wire__OfferedProcess process = CLUSTERD__WIRE__OFFERED_PROCESS__INIT;
	Clusterd__Wire__OfferedProcess *processes[1] = {&process};
	process.name = (char *)(uintptr_t)worker->name;
	message.processes = processes;
	message.n_processes = 1;
	message.credit = worker->slots;
	client_send(worker->context->client, FRAME_OFFER, &message.base, SLICE(""));
	for (const struct result *result = worker->results; result != NULL; result = result->hh.next)
		send_result(worker, result);
}

static int serve(struct worker *worker)
{
	msec pause = RECONNECT_MIN_MS;
	offer(worker);
	fprintf(stderr, "serving %s, %u calls at once\n", worker->name, worker->slots);
	for (;;) {
		if (!worker->lost)
			loop_run(client_loop(worker->context->client));
		if (worker->stopping)
			return EXIT_DONE;
		if (!worker->lost)
			continue;
		usleep((useconds_t)pause * 1000);
		pause = pause * 2 < RECONNECT_MAX_MS ? pause * 2 : RECONNECT_MAX_MS;
		if (client_reconnect(worker->context->client, &worker->context->error) != 0)
			continue;
		pause = RECONNECT_MIN_MS;
		worker->lost = false;
		fprintf(stderr, "connected again\n");
		offer(worker);
	}
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
	struct result *result;
	struct result *next;
	executor_destroy(worker->executor);
	loop_signal_destroy(worker->signals[0]);
	loop_signal_destroy(worker->signals[1]);
	HASH_ITER(hh, worker->results, result, next) {
		HASH_DELETE(hh, worker->results, result);
		buffer_finish(&result->value);
		buffer_finish(&result->metadata);
		mem_free(result);
	}
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
	int code = need_client(context, CLUSTERD__WIRE__ROLE__ROLE_WORKER);
	if (code != 0)
		return code;
	struct loop *loop = client_loop(context->client);
	worker.signals[0] = loop_signal_create(loop, SIGTERM, asked_to_stop, &worker);
	worker.signals[1] = loop_signal_create(loop, SIGINT, asked_to_stop, &worker);
	client_on_frame(context->client, take_frame, connection_lost, &worker);
	code = worker_open(&worker, arguments) == 0 ? serve(&worker) : report(context);
	worker_close(&worker);
	return code;
}
