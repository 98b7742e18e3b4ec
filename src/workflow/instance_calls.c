#include "workflow/state.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>

/* Operands of TERM_CALL, TERM_SLEEP and TERM_SIGNAL are their arguments. */
static struct channel argument(const struct task *task, uint32_t index)
{
	return frame_channel(task->frame, task->frame->program->operands[task->term->first + index]);
}

void calls_release(struct instance *instance, struct frame *frame, const struct term *term)
{
	struct task *task = task_create(instance, frame, term);
	task->watch.kind = WATCH_ARGUMENT;
	instance->waiting_count++;
	struct watch *watch = &task->watch;
	for (uint32_t i = 0; i < term->count; i++) {
		if (watch == NULL) {
			watch = watch_create(instance, WATCH_ARGUMENT);
			watch->task = task;
		}
		if (!ground_watch(instance, argument(task, i), watch)) {
			task->missing++;
			watch = NULL;
		}
	}
	if (watch != NULL && watch->allocated)
		state_free(instance, watch, sizeof *watch);
	if (task->missing == 0)
		calls_ready(instance, task);
}

void calls_ready(struct instance *instance, struct task *task)
{
	task->state = TASK_READY;
	mem_grow(instance->ready, instance->ready_capacity, instance->ready_count + 1);
	instance->ready[instance->ready_count++] = task;
}

static int by_release(const void *left, const void *right)
{
	const struct task *const *first = left;
	const struct task *const *second = right;
	return (*first)->serial < (*second)->serial ? -1 : (*first)->serial > (*second)->serial;
}

static int render_argument(struct instance *instance, const struct task *task, uint32_t index, uint32_t depth,
                           struct buffer *out)
{
	return value_render(instance, argument(task, index), depth, out);
}

static int render_arguments(struct instance *instance, const struct task *task, const struct definition *process,
                            struct buffer *out)
{
	assert(process->param_count == task->term->count);
	buffer_append_char(out, '{');
	for (uint32_t i = 0; i < process->param_count; i++) {
		if (i != 0)
			buffer_append_char(out, ',');
		json_quote(out, process->params[i].name);
		buffer_append_char(out, ':');
		int code = render_argument(instance, task, i, 1, out);
		if (code != 0)
			return code;
	}
	buffer_append_char(out, '}');
	return out->size <= instance->limits.value_size ? 0 : ERR_LIMIT;
}

/* Fills in what the call is, its arguments as JSON. */
static int call_describe(struct instance *instance, const struct task *task, struct buffer *scratch,
                         struct instance_call *ret_call)
{
	const struct program *program = task->frame->program;
	struct instance_call call = {0};
	int code = 0;
	buffer_clear(scratch);
	switch (task->term->kind) {
	case TERM_CALL:
		call.kind = INSTANCE_CALL_PROCESS;
		call.process = program->callees[task->term->index];
		code = render_arguments(instance, task, call.process, scratch);
		break;
	case TERM_SLEEP:
		call.kind = INSTANCE_CALL_SLEEP;
		code = render_argument(instance, task, 0, 0, scratch);
		break;
	default:
		assert(task->term->kind == TERM_SIGNAL);
		call.kind = INSTANCE_CALL_SIGNAL;
		call.signal = program->names[task->term->index];
		if (task->term->count != 0)
			code = render_argument(instance, task, 0, 0, scratch);
		else
			buffer_append_string(scratch, "null");
	}
	if (code != 0)
		return code;
	call.args = text_create(buffer_slice(scratch));
	*ret_call = call;
	return 0;
}

static void call_opened(struct instance *instance, struct task *task, struct instance_call *call)
{
	for (uint32_t i = 0; i < task->term->count; i++)
		state_discard(instance, argument(task, i));
	call->ref = task->ref = ++instance->last_ref;
	task->state = TASK_OPEN;
	instance->waiting_count--;
	if (instance->open_live == 0)
		instance->open_count = 0;
	mem_grow(instance->open, instance->open_capacity, instance->open_count + 1);
	instance->open[instance->open_count++] = (struct open_call){task->ref, task};
	instance->open_live++;
	reduce_count(instance);
}

int calls_open(struct instance *instance)
{
	if (instance->ready_count == 0)
		return 0;
	struct buffer scratch = BUFFER_EMPTY;
	size_t opened_size = 0;
	int code = 0;
	qsort(instance->ready, instance->ready_count, sizeof *instance->ready, by_release);
	instance->calls = mem_array(instance->ready_count, sizeof *instance->calls);
	for (size_t i = 0; i < instance->ready_count; i++) {
		struct instance_call *call = &instance->calls[instance->call_count];
		code = call_describe(instance, instance->ready[i], &scratch, call);
		if (code != 0)
			break;
		instance->call_count++;
		call_opened(instance, instance->ready[i], call);
		opened_size += call->args->size;
		if (opened_size > instance->limits.state_size) {
			code = ERR_LIMIT;
			break;
		}
	}
	buffer_finish(&scratch);
	instance->ready_count = 0;
	return code;
}

void calls_forget(struct instance *instance)
{
	for (uint32_t i = 0; i < instance->call_count; i++)
		text_release(instance->calls[i].args);
	mem_free(instance->calls);
	instance->calls = NULL;
	instance->call_count = 0;
}

/* The entry of a reference, or where it would stand. */
static size_t open_position(const struct instance *instance, uint32_t ref)
{
	size_t low = 0;
	size_t high = instance->open_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (instance->open[middle].ref < ref)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct task *calls_find(const struct instance *instance, uint32_t ref)
{
	size_t position = open_position(instance, ref);
	if (position == instance->open_count || instance->open[position].ref != ref)
		return NULL;
	return instance->open[position].task;
}

/* Drops the entries that have returned once they are the most. */
static void open_compact(struct instance *instance)
{
	if (instance->open_live * (size_t)2 > instance->open_count || instance->open_count < 8)
		return;
	size_t kept = 0;
	for (size_t i = 0; i < instance->open_count; i++) {
		if (instance->open[i].task != NULL)
			instance->open[kept++] = instance->open[i];
	}
	instance->open_count = kept;
}

void calls_return(struct instance *instance, struct task *task, struct text *result)
{
	struct open_call *entry = &instance->open[open_position(instance, task->ref)];
	assert(entry->task == task);
	entry->task = NULL;
	instance->open_live--;
	open_compact(instance);
	state_send(instance, frame_channel(task->frame, task->term->subject), value_text(instance, result));
	task_destroy(instance, task);
}
