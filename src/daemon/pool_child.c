/* The protocol of one child of a pool: a JSON object a line in both directions. */
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/command_line.h"
#include "daemon/output.h"
#include "daemon/pool.h"
#include "net/stream.h"

#include <assert.h>
#include <stdio.h>

#define ENVELOPE_MAX (64u << 10) /* of a line, beside its output: the call's id, metadata */
#define ID_MAX (1LL << 53)
#define EXCERPT_SIZE 80
#define COMPLAINT_MAX 800        /* a longer line of stderr is logged in pieces */
#define COMPLAINTS_PER_SECOND 20

static struct executor *executor_of(const struct pool_child *child)
{
	return child->pool->executor;
}

uint32_t pool_child_load(const struct pool_child *child)
{
	return HASH_CNT(by_id, child->calls);
}

bool pool_child_takes_calls(const struct pool_child *child)
{
	return !child->ending && child->overdue_count == 0
	       && pool_child_load(child) < executor_of(child)->options.pool_depth
	       && piped_queued(child->piped) < STREAM_HIGH_MARK;
}

/* ---- Calls to it ---- */

/* A line may not hold line ends; JSON has them only between its parts. */
static void write_on_one_line(struct pool_child *child, struct slice *parts, size_t count, struct slice *args)
{
	struct buffer copy = BUFFER_EMPTY;
	if (memchr(args->data, '\n', args->size) != NULL || memchr(args->data, '\r', args->size) != NULL) {
		buffer_append_slice(&copy, *args);
		for (size_t i = 0; i < copy.size; i++) {
			if (copy.data[i] == '\n' || copy.data[i] == '\r')
				copy.data[i] = ' ';
		}
		*args = buffer_slice(&copy);
	}
	piped_write(child->piped, parts, count);
	buffer_finish(&copy);
}

void pool_child_send(struct pool_child *child, struct pool_call *call)
{
	char start[40];
	int size = snprintf(start, sizeof start, "{\"call\":%llu", (unsigned long long)call->id);
	struct slice parts[] = {{start, (size_t)size}, child->pool->head, text_slice(call->call.args), SLICE("}\n")};
	call->child = child;
	HASH_ADD(by_id, child->calls, id, sizeof call->id, call);
	write_on_one_line(child, parts, 4, &parts[2]);
	text_release(call->call.args);
	call->call.args = NULL;
}

void pool_child_cancel(struct pool_child *child, struct pool_call *call)
{
	char line[64];
	int size = snprintf(line, sizeof line, "{\"call\":%llu,\"cancel\":true}\n", (unsigned long long)call->id);
	child->abandoned_count++;
	piped_write(child->piped, &(struct slice){line, (size_t)size}, 1);
}

/* ---- Its end ---- */

static void begin_end(struct pool_child *child)
{
	struct executor *executor = executor_of(child);
	if (child->ending)
		return;
	child->ending = true;
	child->kill_at = loop_now(executor->loop) + executor->options.kill_grace;
	piped_finish(child->piped);
	executor_wake_by(executor, child->kill_at);
}

void pool_child_dismiss(struct pool_child *child)
{
	child->dismissed = true;
	begin_end(child);
	piped_terminate(child->piped);
}

void pool_child_kill(struct pool_child *child)
{
	begin_end(child);
	child->kill_at = MSEC_NEVER;
	piped_kill(child->piped);
}

/* It has broken the protocol: no answer of it can be trusted any more. */
static void offend(struct pool_child *child, char *take_breach)
{
	child->breach = take_breach;
	pool_child_kill(child);
}

/* Only calls that were given up are left in it, and it does not let go of them. */
static void kill_when_stuck(struct pool_child *child)
{
	if (child->overdue_count == 0 || pool_child_load(child) > child->abandoned_count)
		return;
	child->dismissed = true;
	pool_child_kill(child);
}

void pool_child_overdue(struct pool_child *child, struct pool_call *call)
{
	call->overdue = true;
	child->overdue_count++;
	kill_when_stuck(child);
}

/* ---- Its answers ---- */

struct answer {
	long long id;      /* −1: none */
	struct slice output;
	struct slice error;
	struct slice retry;
	struct slice heartbeat;
	struct slice metadata;
};

/* Members that the protocol does not know are left alone. False: it is no answer. */
static bool read_answer(struct slice line, struct answer *ret_answer)
{
	struct json_iterator iterator;
	struct slice key, value, id = {0};
	struct answer answer = {.id = -1};
	const struct {
		struct slice name;
		struct slice *place;
	} members[] = {
		{SLICE("call"), &id},           {SLICE("output"), &answer.output},       {SLICE("error"), &answer.error},
		{SLICE("retry"), &answer.retry}, {SLICE("heartbeat"), &answer.heartbeat}, {SLICE("metadata"), &answer.metadata},
	};
	line = json_trim(line);
	if (json_kind(line) != JSON_OBJECT)
		return false;
	json_iterate(&iterator, line);
	while (json_next(&iterator, &key, &value)) {
		for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
			if (json_key_equal(key, members[i].name))
				*members[i].place = value;
		}
	}
	if (id.data == NULL || json_integer(id, 0, ID_MAX, &answer.id) != 0)
		return false;
	*ret_answer = answer;
	return true;
}

/* The call that an answer is for; NULL: nobody waits for it. */
static struct pool_call *find_call(struct pool_child *child, long long id)
{
	struct pool_call *call;
	uint64_t key = (uint64_t)id;
	HASH_FIND(by_id, child->calls, &key, sizeof key, call);
	if (call == NULL && !child->warned) {
		child->warned = true;
		log_write(LOG_WARNING, child->pool->name, "a pool child answered call %lld, which it does not have (any more); "
		          "this is said once", id);
	}
	return call;
}

static void take_call_out(struct pool_child *child, struct pool_call *call)
{
	HASH_DELETE(by_id, child->calls, call);
	child->abandoned_count -= call->call.abandoned;
	child->overdue_count -= call->overdue;
	if (child->calls == NULL) {
		struct executor *executor = executor_of(child);
		child->idle_since = loop_now(executor->loop);
		executor_wake_by(executor, child->idle_since + executor->options.pool_idle);
	}
	kill_when_stuck(child);
}

static void fail_call(struct pool_call *call, const struct answer *answer)
{
	struct buffer message = BUFFER_EMPTY;
	bool final = answer->retry.data != NULL && json_kind(answer->retry) == JSON_FALSE;
	if (json_kind(answer->error) == JSON_STRING)
		json_unquote(&message, answer->error);
	else
		buffer_append_slice(&message, answer->error);
	call_fail(&call->call, final, buffer_slice(&message));
	buffer_finish(&message);
}

static void succeed_call(struct pool_call *call, const struct answer *answer)
{
	uint32_t most = call->call.executor->options.output_max;
	struct buffer message = BUFFER_EMPTY;
	bool has_metadata = answer->metadata.data != NULL && json_kind(answer->metadata) == JSON_OBJECT;
	if (answer->output.size <= most) {
		call_succeed(&call->call, answer->output, has_metadata ? answer->metadata : SLICE(""));
		return;
	}
	buffer_append_string(&message, "answered with more than ");
	output_size(&message, most);
	call_fail(&call->call, false, buffer_slice(&message));
	buffer_finish(&message);
}

static void take_answer(struct pool_child *child, const struct answer *answer)
{
	struct executor *executor = executor_of(child);
	struct pool_call *call = find_call(child, answer->id);
	if (call == NULL)
		return;
	bool ends = answer->output.data != NULL || answer->error.data != NULL;
	if (!ends && answer->heartbeat.data != NULL) {
		if (!call->call.abandoned && executor->handler.heartbeat != NULL)
			executor->handler.heartbeat(executor->context, call->call.key);
		return;
	}
	child->pool->backoff = 0;
	take_call_out(child, call);
	if (call->call.abandoned)
		call_forget(&call->call);
	else if (answer->error.data != NULL)
		fail_call(call, answer);
	else if (answer->output.data != NULL)
		succeed_call(call, answer);
	else
		call_fail(&call->call, false, SLICE("the answer has neither output nor error"));
	mem_free(call);
}

static void take_line(struct pool_child *child, struct slice line)
{
	struct error error;
	struct answer answer;
	struct buffer excerpt = BUFFER_EMPTY;
	if (line.size > 0 && line.data[line.size - 1] == '\r')
		line.size--;
	if (line.size == 0)
		return;
	int result = json_check(line, &error);
	if (result == 0 && read_answer(line, &answer)) {
		take_answer(child, &answer);
		return;
	}
	if (result == 0)
		error_set(&error, ERR_INVALID, "no object with an integer \"call\"");
	output_plain(&excerpt, (struct slice){line.data, line.size < EXCERPT_SIZE ? line.size : EXCERPT_SIZE});
	offend(child, mem_format("printed a line that is no answer (%s): %s", error.text, buffer_string(&excerpt)));
	buffer_finish(&excerpt);
}

static void on_printed(void *context, struct buffer *input)
{
	struct pool_child *child = context;
	size_t line_max = (size_t)executor_of(child)->options.output_max + ENVELOPE_MAX;
	size_t start = 0;
	const char *newline;
	while (child->breach == NULL && start < input->size
	       && (newline = memchr(input->data + start, '\n', input->size - start)) != NULL) {
		struct slice line = {input->data + start, (size_t)(newline - input->data) - start};
		start += line.size + 1;
		take_line(child, line);
	}
	if (child->breach == NULL && input->size - start > line_max)
		offend(child, mem_format("printed a line of more than %zu bytes", line_max));
	buffer_consume(input, child->breach != NULL ? input->size : start);
	pool_pump(child->pool);
}

/* ---- What it complains of ---- */

static void log_complaint(struct pool_child *child, struct slice line)
{
	msec now = loop_now(executor_of(child)->loop);
	struct buffer text = BUFFER_EMPTY;
	if (now - child->log_window >= 1000) {
		if (child->unlogged_count > 0)
			log_write(LOG_INFO, child->pool->name, "(%u more lines on stderr)", child->unlogged_count);
		child->log_window = now;
		child->logged_count = 0;
		child->unlogged_count = 0;
	}
	if (child->logged_count >= COMPLAINTS_PER_SECOND) {
		child->unlogged_count++;
		return;
	}
	child->logged_count++;
	output_plain(&text, line);
	for (size_t i = 0; i < text.size; i++) {
		if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7F)
			text.data[i] = ' ';
	}
	log_write(LOG_INFO, child->pool->name, "%s", buffer_string(&text));
	buffer_finish(&text);
}

static void on_complained(void *context, struct slice bytes)
{
	struct pool_child *child = context;
	struct buffer *line = &child->complaint;
	while (bytes.size > 0) {
		const char *newline = memchr(bytes.data, '\n', bytes.size);
		size_t size = newline != NULL ? (size_t)(newline - bytes.data) : bytes.size;
		size_t room = COMPLAINT_MAX - line->size;
		bool whole = newline != NULL && size <= room;
		size = size < room ? size : room;
		buffer_append(line, bytes.data, size);
		size += whole;
		bytes = (struct slice){bytes.data + size, bytes.size - size};
		if (!whole && line->size < COMPLAINT_MAX)
			continue;
		log_complaint(child, buffer_slice(line));
		buffer_clear(line);
	}
}

/* ---- From the pipes ---- */

static void on_broken(void *context)
{
	begin_end(context); /* it cannot be spoken with any more */
}

static void on_drained(void *context)
{
	struct pool_child *child = context;
	pool_pump(child->pool);
}

static void on_ended(void *context, const struct child_exit *how)
{
	pool_child_gone(context, how); /* destroys it */
}

static const struct piped_handler handler = {on_printed, on_complained, on_broken, on_drained, on_ended};

static int execute(struct pool_child *child, struct error *error)
{
	struct pool *pool = child->pool;
	struct executor *executor = pool->executor;
	const struct process_settings *settings = &pool->settings;
	struct arena arena = {0};
	int result = workdirs_add(executor->workdirs, &child->directory, error);
	if (result == 0)
		result = attachments_place(executor->attachments, settings->files, settings->file_count, child->directory,
		                           error);
	if (result == 0) {
		const struct environment environment = {child->directory, executor->node_name, slice_of(pool->name), NULL,
		                                        settings->env, settings->env_count};
		const struct child_options options = {
			.argv = pool->words,
			.env = command_line_environment(&environment, &arena),
			.directory = child->directory,
		};
		result = piped_start(executor->loop, executor->children, &options, executor->options.stderr_max,
		                     &handler, child, &child->piped, error);
	}
	arena_finish(&arena);
	return result;
}

int pool_child_start(struct pool *pool, struct pool_child **ret_child, struct error *error)
{
	struct pool_child *child = mem_zero(sizeof *child);
	child->pool = pool;
	child->kill_at = MSEC_NEVER;
	child->idle_since = loop_now(pool->executor->loop);
	int result = execute(child, error);
	if (result != 0) {
		pool_child_destroy(child);
		return result;
	}
	*ret_child = child;
	return 0;
}

void pool_child_destroy(struct pool_child *child)
{
	assert(child->calls == NULL);
	piped_destroy(child->piped);
	workdirs_remove(executor_of(child)->workdirs, child->directory);
	buffer_finish(&child->complaint);
	mem_free(child->breach);
	mem_free(child);
}
