#include "command.h"

#include "base/json.h"
#include "base/memory.h"
#include "daemon/executor.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

/* Serves one process from this machine: libclusterd gets calls and gives results, a pool of children does them. */

#define LEAVE_MS 2000

/* A call that runs. */
struct running {
	struct executor_key key; /* its padding is zero: it is hashed as bytes */
	struct clusterd_call *call;
	UT_hash_handle hh;
};

struct worker {
	struct context *context;
	struct executor *executor;
	struct clusterd_worker *library;
	struct loop_signal *signals[2];
	struct definition process;
	const char *name;
	uint32_t slots;
	struct running *running;
	bool lost;
	char *directory;
};

static struct executor_key key_of(uint64_t instance, uint32_t ref, uint64_t attempt)
{
	struct executor_key key;
	memset(&key, 0, sizeof key);
	key.instance = instance;
	key.ref = ref;
	key.attempt = attempt;
	return key;
}

static struct running *running_find(const struct worker *worker, const struct executor_key *given)
{
	struct executor_key key = key_of(given->instance, given->ref, given->attempt);
	struct running *running;
	HASH_FIND(hh, worker->running, &key, sizeof key, running);
	return running;
}

static void running_forget(struct worker *worker, struct running *running)
{
	HASH_DELETE(hh, worker->running, running);
	mem_free(running);
}

/* --- what the children do ------------------------------------------------------------------------------------------ */

static void call_finished(void *context, const struct executor_result *executed)
{
	struct worker *worker = context;
	struct running *running = running_find(worker, &executed->key);
	if (running == NULL)
		return;
	struct clusterd_call *call = running->call;
	running_forget(worker, running);
	clusterd_call_set_metadata(call, executed->metadata.data, executed->metadata.size);
	if (!executed->failed) {
		clusterd_call_complete(call, executed->value.data, executed->value.size);
		return;
	}
	char *reason = mem_format("%.*s", SLICE_ARGS(executed->value));
	clusterd_call_fail(call, reason, executed->final);
	mem_free(reason);
}

static void call_heartbeat(void *context, struct executor_key key)
{
	const struct running *running = running_find(context, &key);
	if (running != NULL)
		clusterd_call_heartbeat(running->call);
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

/* --- what the cluster wants ---------------------------------------------------------------------------------------- */

static void called(void *context, struct clusterd_call *call)
{
	struct worker *worker = context;
	struct running *running = mem_zero(sizeof *running);
	struct slice arguments;
	arguments.data = clusterd_call_arguments(call, &arguments.size);
	running->key = key_of(clusterd_call_instance(call), clusterd_call_reference(call), clusterd_call_attempt(call));
	running->call = call;
	HASH_ADD(hh, worker->running, key, sizeof running->key, running);
	clusterd_call_set_data(call, running);
	struct text *args = text_create(arguments);
	executor_start(worker->executor, running->key, &worker->process, args);
	text_release(args);
}

static void abandoned(void *context, struct clusterd_call *call)
{
	struct worker *worker = context;
	struct running *running = clusterd_call_data(call);
	executor_abandon(worker->executor, running->key);
	running_forget(worker, running);
}

static void told(void *context, const struct clusterd_error *error)
{
	struct worker *worker = context;
	if (error == NULL && worker->lost)
		fprintf(stderr, "connected again\n");
	else if (error == NULL)
		fprintf(stderr, "serving %s, %u calls at once\n", worker->name, worker->slots);
	else if (!worker->lost)
		fprintf(stderr, "clusterctl: the connection is lost (%s)\n", error->text);
	worker->lost = error != NULL;
}

static void asked_to_stop(void *context)
{
	struct worker *worker = context;
	client_interrupt(worker->context->client);
}

/* --- serving ------------------------------------------------------------------------------------------------------- */

/* What is not done has failed: it does not come back. The cluster is to know that at once, and what was done. */
static void leave(struct worker *worker)
{
	struct running *running;
	struct running *next;
	executor_destroy(worker->executor);
	worker->executor = NULL;
	HASH_ITER (hh, worker->running, running, next) {
		struct clusterd_call *call = running->call;
		running_forget(worker, running);
		clusterd_call_fail(call, "its worker was stopped", false);
	}
	if (!worker->lost)
		clusterd_worker_drain(worker->library, LEAVE_MS, NULL);
}

static int serve(struct worker *worker)
{
	struct context *context = worker->context;
	struct clusterd_worker_options options = CLUSTERD_WORKER_OPTIONS;
	struct clusterd_offer offer = {.process = worker->name};
	struct clusterd_error error;
	options.offers = &offer;
	options.offer_count = 1;
	options.credit = worker->slots;
	options.called = called;
	options.abandoned = abandoned;
	options.told = told;
	options.context = worker;
	if (clusterd_worker_create(client_library(context->client), &options, &worker->library, &error) != 0)
		return report_failure(context, &error);
	client_idle(context->client, MSEC_NEVER);
	leave(worker);
	clusterd_worker_destroy(worker->library);
	return EXIT_DONE;
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
	executor_destroy(worker->executor);
	loop_signal_destroy(worker->signals[0]);
	loop_signal_destroy(worker->signals[1]);
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
	if (arguments->flags[1] != NULL && json_integer(slice_of(arguments->flags[1]), 1, 5000, &slots) != 0) {
		fprintf(stderr, "clusterctl: --slots is a number from 1 to 5000\n");
		return EXIT_USAGE;
	}
	worker.slots = (uint32_t)slots;
	int code = need_client(context);
	if (code != 0)
		return code;
	struct loop *loop = client_loop(context->client);
	worker.signals[0] = loop_signal_create(loop, SIGTERM, asked_to_stop, &worker);
	worker.signals[1] = loop_signal_create(loop, SIGINT, asked_to_stop, &worker);
	code = worker_open(&worker, arguments) == 0 ? serve(&worker) : report(context);
	worker_close(&worker);
	return code;
}
