#include "daemon/executor.h"

#include "base/memory.h"
#include "daemon/call.h"

#include <assert.h>

#define POOL_DEPTH 64
#define OUTPUT_MAX (1u << 20)
#define OUTPUT_LARGEST (16u << 20)
#define STDERR_MAX (4u << 10)
#define KILL_GRACE_MS 5000
#define POOL_IDLE_MS 60000
#define POOL_IDLE_LAST_MS 600000

/* ---- Calls ---- */

void call_init(struct call *call, struct executor *executor, enum call_kind kind, struct executor_key key,
               struct text *args)
{
	call->executor = executor;
	call->kind = kind;
	call->key.instance = key.instance;
	call->key.ref = key.ref;
	call->key.attempt = key.attempt;
	call->args = text_hold(args);
	HASH_ADD(hh, executor->by_key, key, sizeof call->key, call);
}

void call_forget(struct call *call)
{
	struct executor *executor = call->executor;
	if (!call->abandoned)
		HASH_DELETE(hh, executor->by_key, call);
	if (call->dying)
		TAILQ_REMOVE(&executor->dying, call, grace);
	if (call->failure != NULL)
		TAILQ_REMOVE(&executor->failed, call, waiting);
	mem_free(call->failure);
	call->failure = NULL;
	call->dying = false;
	call->abandoned = true;
	text_release(call->args);
	call->args = NULL;
}

static void tell(struct call *call, const struct executor_result *result)
{
	struct executor *executor = call->executor;
	bool abandoned = call->abandoned;
	call_forget(call);
	if (!abandoned)
		executor->handler.finished(executor->context, result);
}

void call_succeed(struct call *call, struct slice value, struct slice metadata)
{
	tell(call, &(struct executor_result){.key = call->key, .value = value, .metadata = metadata});
}

void call_fail(struct call *call, bool final, struct slice message)
{
	tell(call, &(struct executor_result){.key = call->key, .failed = true, .final = final, .value = message});
}

void call_fail_soon(struct call *call, const char *message)
{
	call->failure = mem_string(message);
	TAILQ_INSERT_TAIL(&call->executor->failed, call, waiting);
	executor_turn(call->executor);
}

static void tell_failures(struct executor *executor)
{
	struct call *call;
	while ((call = TAILQ_FIRST(&executor->failed)) != NULL) {
		char *message = call->failure;
		TAILQ_REMOVE(&executor->failed, call, waiting);
		call->failure = NULL;
		call_fail(call, false, slice_of(message));
		mem_free(message);
		mem_free(call);
	}
}

/* ---- Time ---- */

void executor_wake_by(struct executor *executor, msec deadline)
{
	if (deadline >= executor->wake_at)
		return;
	executor->wake_at = deadline;
	loop_timer_set(executor->wake, deadline);
}

void executor_turn(struct executor *executor)
{
	loop_timer_set(executor->turn, loop_now(executor->loop));
}

static void on_turn(void *context)
{
	struct executor *executor = context;
	executor->exec_started = 0;
	tell_failures(executor);
	exec_pump(executor);
}

static void on_wake(void *context)
{
	struct executor *executor = context;
	msec now = loop_now(executor->loop);
	struct call *call;
	executor->wake_at = MSEC_NEVER;
	while ((call = TAILQ_FIRST(&executor->dying)) != NULL && call->kill_at <= now) {
		TAILQ_REMOVE(&executor->dying, call, grace);
		call->dying = false;
		if (call->kind == CALL_EXEC)
			exec_grace_over(call);
		else
			pool_grace_over(call);
	}
	executor_wake_by(executor, pool_tick(executor, now));
	if ((call = TAILQ_FIRST(&executor->dying)) != NULL)
		executor_wake_by(executor, call->kill_at);
}

/* It stays until its child is done with it, but not for longer than the grace. */
void call_start_grace(struct call *call)
{
	struct executor *executor = call->executor;
	call->dying = true;
	call->kill_at = loop_now(executor->loop) + executor->options.kill_grace;
	TAILQ_INSERT_TAIL(&executor->dying, call, grace);
	executor_wake_by(executor, call->kill_at);
}

/* ---- The door ---- */

static void fill_defaults(struct executor_options *options)
{
	if (options->exec_slots == 0)
		options->exec_slots = 1;
	if (options->pool_children == 0)
		options->pool_children = 1;
	if (options->pool_depth == 0)
		options->pool_depth = POOL_DEPTH;
	if (options->output_max == 0)
		options->output_max = OUTPUT_MAX;
	if (options->output_max > OUTPUT_LARGEST)
		options->output_max = OUTPUT_LARGEST;
	if (options->stderr_max == 0)
		options->stderr_max = STDERR_MAX;
	if (options->kill_grace == 0)
		options->kill_grace = KILL_GRACE_MS;
	if (options->pool_idle == 0)
		options->pool_idle = POOL_IDLE_MS;
	if (options->pool_idle_last == 0)
		options->pool_idle_last = POOL_IDLE_LAST_MS;
}

int executor_create(struct loop *loop, const struct executor_options *options, const struct executor_handler *handler,
                    void *context, struct executor **ret_executor, struct error *error)
{
	struct workdirs *workdirs;
	struct children *children;
	assert(handler->finished != NULL && handler->fetch != NULL);
	int result = children_create(loop, &children, error);
	if (result != 0)
		return result;
	result = workdirs_create(loop, options->directory, &workdirs, error);
	if (result != 0) {
		children_destroy(children);
		return result;
	}
	struct executor *executor = mem_zero(sizeof *executor);
	executor->loop = loop;
	executor->options = *options;
	executor->node_name = mem_string(options->node_name != NULL ? options->node_name : "");
	fill_defaults(&executor->options);
	executor->handler = *handler;
	executor->context = context;
	executor->workdirs = workdirs;
	executor->children = children;
	executor->attachments = attachments_create(workdirs_cache(workdirs), handler->fetch, context);
	TAILQ_INIT(&executor->failed);
	TAILQ_INIT(&executor->dying);
	TAILQ_INIT(&executor->exec_waiting);
	TAILQ_INIT(&executor->exec_running);
	executor->turn = loop_timer_create(loop, on_turn, executor);
	executor->wake = loop_timer_create(loop, on_wake, executor);
	executor->wake_at = MSEC_NEVER;
	*ret_executor = executor;
	return 0;
}

void executor_destroy(struct executor *executor)
{
	struct call *call;
	if (executor == NULL)
		return;
	exec_destroy_all(executor);
	pool_destroy_all(executor);
	while ((call = TAILQ_FIRST(&executor->failed)) != NULL) {
		call_forget(call);
		mem_free(call);
	}
	assert(executor->by_key == NULL && TAILQ_EMPTY(&executor->dying));
	loop_timer_destroy(executor->turn);
	loop_timer_destroy(executor->wake);
	attachments_destroy(executor->attachments);
	children_destroy(executor->children);
	workdirs_destroy(executor->workdirs);
	buffer_finish(&executor->scratch);
	mem_free(executor->node_name);
	mem_free(executor);
}

bool executor_serves(const struct definition *process)
{
	return process->kind == DEFINITION_PROCESS
	       && (process->settings.exec_count > 0 || process->settings.pool_count > 0);
}

uint32_t executor_room(const struct executor *executor, const struct definition *process)
{
	uint32_t taken = executor->exec_running_count + executor->exec_waiting_count;
	if (process->settings.pool_count > 0)
		return pool_room(executor, process);
	return taken < executor->options.exec_slots ? executor->options.exec_slots - taken : 0;
}

void executor_start(struct executor *executor, struct executor_key key, const struct definition *process,
                    struct text *args)
{
	assert(executor_serves(process));
	if (process->settings.pool_count > 0)
		pool_submit(executor, key, process, args);
	else
		exec_submit(executor, key, process, args);
}

void executor_abandon(struct executor *executor, struct executor_key key)
{
	struct executor_key bytes;
	struct call *call;
	memset(&bytes, 0, sizeof bytes);
	bytes.instance = key.instance;
	bytes.ref = key.ref;
	bytes.attempt = key.attempt;
	HASH_FIND(hh, executor->by_key, &bytes, sizeof bytes, call);
	if (call == NULL)
		return;
	if (call->failure != NULL) {
		call_forget(call);
		mem_free(call);
		return;
	}
	HASH_DELETE(hh, executor->by_key, call);
	call->abandoned = true;
	if (call->kind == CALL_EXEC)
		exec_abandon(call);
	else
		pool_abandon(call);
}

uint32_t executor_running(const struct executor *executor)
{
	return HASH_COUNT(executor->by_key);
}
