#include "daemon/pool.h"

#include "base/log.h"
#include "base/memory.h"
#include "daemon/output.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 5000

static struct pool_call *pool_call_of(struct call *call)
{
	return (struct pool_call *)call;
}

/* ---- Pools ---- */

static struct slice copy_slice(struct arena *arena, struct slice slice)
{
	return (struct slice){arena_string(arena, slice), slice.size};
}

static void copy_settings(struct pool *pool, const struct process_settings *settings)
{
	struct arena *arena = &pool->arena;
	struct process_file *files = arena_alloc(arena, (settings->file_count + 1) * sizeof *files);
	struct process_variable *env = arena_alloc(arena, (settings->env_count + 1) * sizeof *env);
	pool->words = arena_alloc(arena, (settings->pool_count + 1) * sizeof *pool->words);
	for (uint32_t i = 0; i < settings->pool_count; i++)
		pool->words[i] = arena_string(arena, settings->pool[i].literal);
	for (uint32_t i = 0; i < settings->file_count; i++) {
		files[i].path = copy_slice(arena, settings->files[i].path);
		files[i].hash = copy_slice(arena, settings->files[i].hash);
	}
	for (uint32_t i = 0; i < settings->env_count; i++) {
		env[i].name = copy_slice(arena, settings->env[i].name);
		env[i].value = copy_slice(arena, settings->env[i].value);
	}
	pool->settings.files = files;
	pool->settings.file_count = settings->file_count;
	pool->settings.env = env;
	pool->settings.env_count = settings->env_count;
}

static struct slice key_of(struct buffer *scratch, const struct definition *process)
{
	buffer_clear(scratch);
	buffer_append_slice(scratch, process->name);
	buffer_append_u32(scratch, process->version);
	return buffer_slice(scratch);
}

static struct pool *find_pool(const struct executor *executor, struct slice key)
{
	struct pool *pool;
	HASH_FIND(hh, executor->pools, key.data, key.size, pool);
	return pool;
}

static struct pool *find_or_make_pool(struct executor *executor, const struct definition *process)
{
	struct buffer head = BUFFER_EMPTY;
	struct slice key = key_of(&executor->scratch, process);
	struct pool *pool = find_pool(executor, key);
	if (pool != NULL)
		return pool;
	pool = mem_zero(sizeof *pool);
	pool->executor = executor;
	pool->key = copy_slice(&pool->arena, key);
	pool->name = arena_string(&pool->arena, process->name);
	buffer_format(&head, ",\"process\":\"%s\",\"input\":", pool->name);
	pool->head = copy_slice(&pool->arena, buffer_slice(&head));
	buffer_finish(&head);
	copy_settings(pool, &process->settings);
	TAILQ_INIT(&pool->children);
	TAILQ_INIT(&pool->waiting);
	HASH_ADD_KEYPTR(hh, executor->pools, pool->key.data, pool->key.size, pool);
	return pool;
}

static void destroy_pool(struct pool *pool)
{
	struct executor *executor = pool->executor;
	HASH_DELETE(hh, executor->pools, pool);
	arena_finish(&pool->arena);
	mem_free(pool);
}

/* ---- Starting children ---- */

static void back_off(struct pool *pool)
{
	struct executor *executor = pool->executor;
	msec longer = pool->backoff * 2 < BACKOFF_MAX_MS ? pool->backoff * 2 : BACKOFF_MAX_MS;
	pool->backoff = pool->backoff == 0 ? BACKOFF_FIRST_MS : longer;
	pool->next_start = loop_now(executor->loop) + pool->backoff;
	executor_wake_by(executor, pool->next_start);
}

static struct pool_call *take_waiting(struct pool *pool)
{
	struct call *call = TAILQ_FIRST(&pool->waiting);
	if (call == NULL)
		return NULL;
	TAILQ_REMOVE(&pool->waiting, call, waiting);
	pool->waiting_count--;
	return pool_call_of(call);
}

/* Nothing will come of those that wait: no child is there, and none can be started. */
static void fail_waiting(struct pool *pool, const char *why)
{
	struct pool_call *call;
	while (TAILQ_EMPTY(&pool->children) && (call = take_waiting(pool)) != NULL)
		call_fail_soon(&call->call, why);
}

static bool may_start(const struct pool *pool, msec now)
{
	return pool->child_count < pool->executor->options.pool_children && now >= pool->next_start;
}

static struct pool_child *start_child(struct pool *pool)
{
	struct error error = {0};
	struct pool_child *child;
	if (pool_child_start(pool, &child, &error) != 0) {
		log_write(LOG_WARNING, pool->name, "a pool child cannot be started: %s", error.text);
		back_off(pool);
		fail_waiting(pool, error.text);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&pool->children, child, link);
	pool->child_count++;
	return child;
}

/* The one with the fewest calls; NULL: none has room. */
static struct pool_child *least_loaded(const struct pool *pool)
{
	struct pool_child *best = NULL;
	struct pool_child *child;
	TAILQ_FOREACH(child, &pool->children, link) {
		if (pool_child_takes_calls(child) && (best == NULL || pool_child_load(child) < pool_child_load(best)))
			best = child;
	}
	return best;
}

void pool_pump(struct pool *pool)
{
	struct executor *executor = pool->executor;
	while (!TAILQ_EMPTY(&pool->waiting)) {
		struct pool_child *child = least_loaded(pool);
		bool all_busy = child == NULL || pool_child_load(child) > 0;
		if (all_busy && may_start(pool, loop_now(executor->loop))) {
			struct pool_child *started = start_child(pool);
			child = started != NULL ? started : child;
		}
		if (child == NULL)
			break;
		pool_child_send(child, take_waiting(pool));
	}
	if (!TAILQ_EMPTY(&pool->waiting) && TAILQ_EMPTY(&pool->children))
		executor_wake_by(executor, pool->next_start);
}

/* ---- Their end ---- */

static void describe_end(const struct pool_child *child, const struct child_exit *how, struct buffer *message)
{
	if (child->breach != NULL) {
		buffer_format(message, "the pool child was killed, for it %s", child->breach);
	} else if (how->not_started) {
		output_exit(message, how, SLICE(""));
	} else {
		buffer_append_string(message, "the pool child ended: ");
		output_exit(message, how, piped_complaints(child->piped));
	}
}

static void fail_calls(struct pool_child *child, struct slice message)
{
	while (child->calls != NULL) {
		struct pool_call *call = child->calls;
		HASH_DELETE(by_id, child->calls, call);
		if (call->call.abandoned)
			call_forget(&call->call);
		else
			call_fail(&call->call, false, message);
		mem_free(call);
	}
}

void pool_child_gone(struct pool_child *child, const struct child_exit *how)
{
	struct pool *pool = child->pool;
	struct buffer message = BUFFER_EMPTY;
	describe_end(child, how, &message);
	TAILQ_REMOVE(&pool->children, child, link);
	pool->child_count--;
	if (!child->dismissed) {
		log_write(LOG_WARNING, pool->name, "%s", buffer_string(&message));
		back_off(pool);
	}
	if (how->not_started)
		fail_waiting(pool, buffer_string(&message));
	fail_calls(child, buffer_slice(&message));
	buffer_finish(&message);
	pool_child_destroy(child);
	pool_pump(pool);
}

/* ---- Time ---- */

static uint32_t count_lasting(const struct pool *pool)
{
	uint32_t count = 0;
	struct pool_child *child;
	TAILQ_FOREACH(child, &pool->children, link)
		count += !child->ending;
	return count;
}

/* When something is to be done about it next. */
static msec tick_child(struct pool_child *child, msec now)
{
	const struct executor_options *options = &child->pool->executor->options;
	if (child->ending) {
		if (now >= child->kill_at)
			pool_child_kill(child);
		return child->kill_at;
	}
	if (child->calls != NULL)
		return MSEC_NEVER;
	msec limit = count_lasting(child->pool) == 1 ? options->pool_idle_last : options->pool_idle;
	if (now < child->idle_since + limit)
		return child->idle_since + limit;
	pool_child_dismiss(child);
	return child->kill_at;
}

msec pool_tick(struct executor *executor, msec now)
{
	msec next = MSEC_NEVER;
	struct pool *pool, *following;
	HASH_ITER(hh, executor->pools, pool, following) {
		struct pool_child *child;
		TAILQ_FOREACH(child, &pool->children, link)
			next = msec_earlier(next, tick_child(child, now));
		if (now < pool->next_start)
			next = msec_earlier(next, pool->next_start);
		else if (!TAILQ_EMPTY(&pool->waiting))
			pool_pump(pool);
		else if (TAILQ_EMPTY(&pool->children))
			destroy_pool(pool);
	}
	return next;
}

/* ---- Calls ---- */

void pool_submit(struct executor *executor, struct executor_key key, const struct definition *process,
                 struct text *args)
{
	struct pool *pool = find_or_make_pool(executor, process);
	struct pool_call *call = mem_zero(sizeof *call);
	call_init(&call->call, executor, CALL_POOL, key, args);
	call->pool = pool;
	call->id = ++executor->next_id;
	TAILQ_INSERT_TAIL(&pool->waiting, &call->call, waiting);
	pool->waiting_count++;
	pool_pump(pool);
}

uint32_t pool_room(const struct executor *executor, const struct definition *process)
{
	const struct executor_options *options = &executor->options;
	struct buffer key = BUFFER_EMPTY;
	const struct pool *pool = find_pool(executor, key_of(&key, process));
	uint64_t children = options->pool_children;
	uint64_t taken = 0;
	buffer_finish(&key);
	if (pool != NULL) {
		const struct pool_child *child;
		children = may_start(pool, loop_now(executor->loop)) ? options->pool_children - pool->child_count : 0;
		TAILQ_FOREACH(child, &pool->children, link) {
			if (child->ending || child->overdue_count > 0)
				continue;
			children++;
			taken += pool_child_load(child);
		}
		taken += pool->waiting_count;
	}
	uint64_t places = children * options->pool_depth;
	uint64_t room = places > taken ? places - taken : 0;
	return room < UINT32_MAX ? (uint32_t)room : UINT32_MAX;
}

void pool_abandon(struct call *call)
{
	struct pool_call *abandoned = pool_call_of(call);
	if (abandoned->child == NULL) {
		TAILQ_REMOVE(&abandoned->pool->waiting, call, waiting);
		abandoned->pool->waiting_count--;
		call_forget(call);
		mem_free(call);
		return;
	}
	pool_child_cancel(abandoned->child, abandoned);
	call_start_grace(call);
}

void pool_grace_over(struct call *call)
{
	struct pool_call *overdue = pool_call_of(call);
	pool_child_overdue(overdue->child, overdue);
}

void pool_destroy_all(struct executor *executor)
{
	while (executor->pools != NULL) {
		struct pool *pool = executor->pools;
		struct pool_child *child;
		struct pool_call *call;
		while ((call = take_waiting(pool)) != NULL) {
			call_forget(&call->call);
			mem_free(call);
		}
		while ((child = TAILQ_FIRST(&pool->children)) != NULL) {
			while ((call = child->calls) != NULL) {
				HASH_DELETE(by_id, child->calls, call);
				call_forget(&call->call);
				mem_free(call);
			}
			TAILQ_REMOVE(&pool->children, child, link);
			pool_child_destroy(child);
		}
		destroy_pool(pool);
	}
}
