#include "workflow/state.h"

#include "base/memory.h"

#include <assert.h>

#define REDUCTIONS_DEFAULT 100000u
#define EACH_WINDOW_DEFAULT 256u
#define VALUE_SIZE_DEFAULT (1u << 20)
#define STATE_SIZE_DEFAULT ((size_t)64 << 20)

#define QUEUE_KEPT 8 /* entries of the queue that are kept between steps */

static struct instance_limits limits_filled(const struct instance_limits *limits)
{
	struct instance_limits filled = {0};
	if (limits != NULL)
		filled = *limits;
	if (filled.reductions == 0)
		filled.reductions = REDUCTIONS_DEFAULT;
	if (filled.each_window == 0)
		filled.each_window = EACH_WINDOW_DEFAULT;
	if (filled.value_size == 0)
		filled.value_size = VALUE_SIZE_DEFAULT;
	if (filled.state_size == 0)
		filled.state_size = STATE_SIZE_DEFAULT;
	return filled;
}

static void settle(struct instance *instance)
{
	ground_settle(instance);
	state_sweep(instance);
}

static bool within_limits(struct instance *instance)
{
	if (instance->reductions > instance->limits.reductions)
		instance->state = INSTANCE_RUNAWAY;
	else if (instance_size(instance) > instance->limits.state_size)
		instance->state = INSTANCE_OVERFLOW;
	return instance->state == INSTANCE_RUNNING;
}

/* Until no channel can communicate. */
static void communicate(struct instance *instance)
{
	struct work work;
	settle(instance);
	while (within_limits(instance) && queue_take(instance, &work)) {
		if (work.task != NULL)
			reduce_task(instance, work.task);
		else
			reduce_block(instance, work.frame, work.block);
		settle(instance);
	}
}

static struct channel result_channel(const struct instance *instance)
{
	return frame_channel(instance->root, instance->root->program->param_count);
}

/* The whole of a text that is there already, if that is the result. */
static struct text *result_text(const struct instance *instance, struct value value)
{
	if (value_as_object(value) != NULL)
		return NULL;
	struct text *text = ((struct leaf *)value.block)->text;
	return text->size == value.size && value.size <= instance->limits.value_size ? text_hold(text) : NULL;
}

static void complete(struct instance *instance)
{
	struct channel channel = state_resolve(instance, result_channel(instance));
	instance->result = result_text(instance, channel.cell->value);
	if (instance->result == NULL) {
		struct buffer json = BUFFER_EMPTY;
		if (value_render(instance, channel, 0, &json) == 0)
			instance->result = text_create(buffer_slice(&json));
		buffer_finish(&json);
	}
	instance->state = instance->result != NULL ? INSTANCE_COMPLETED : INSTANCE_OVERFLOW;
}

static void conclude(struct instance *instance)
{
	if (instance->open_live != 0)
		return;
	if (instance->result_ground && instance->waiting_count == 0)
		complete(instance);
	else
		instance->state = INSTANCE_STUCK;
}

static void step(struct instance *instance, struct instance_step *ret_step)
{
	instance->reductions = 0;
	if (instance->state == INSTANCE_RUNNING)
		communicate(instance);
	if (instance->state == INSTANCE_RUNNING && calls_open(instance) != 0)
		instance->state = INSTANCE_OVERFLOW;
	if (instance->state == INSTANCE_RUNNING) {
		state_sweep(instance);
		conclude(instance);
	}
	if (instance->state == INSTANCE_RUNAWAY || instance->state == INSTANCE_OVERFLOW)
		calls_forget(instance);
	if (instance->queue.count == 0 && instance->queue.capacity > QUEUE_KEPT) {
		mem_free(instance->queue.entries);
		instance->queue = (struct work_queue){0};
	}
	mem_free(instance->ready);
	instance->ready = NULL;
	instance->ready_count = instance->ready_capacity = 0;
	*ret_step = (struct instance_step){
		.state = instance->state,
		.calls = instance->calls,
		.call_count = instance->call_count,
		.reductions = instance->reductions < UINT32_MAX ? (uint32_t)instance->reductions : UINT32_MAX,
	};
}

static void send_parameters(struct instance *instance, struct text *args)
{
	const struct definition *workflow = instance->workflow;
	struct value all = value_text(instance, args);
	struct json_iterator iterator;
	struct slice key;
	struct slice json;
	json_iterate(&iterator, json_trim(text_slice(args)));
	for (uint32_t i = 0; i < workflow->param_count; i++) {
		bool more = json_next(&iterator, &key, &json);
		assert(more && json_key_equal(key, workflow->params[i].name));
		state_send(instance, frame_channel(instance->root, i), value_part(all, json));
	}
	value_release(instance, all);
}

int instance_create(const struct definition *workflow, struct text *args, const struct instance_limits *limits,
                    struct instance **ret_instance, struct instance_step *ret_step)
{
	assert(workflow->kind == DEFINITION_WORKFLOW && workflow->program->param_count == workflow->param_count);
	struct instance *instance = mem_zero(sizeof *instance);
	instance->size = sizeof *instance;
	instance->workflow = workflow;
	instance->limits = limits_filled(limits);
	instance->state = INSTANCE_RUNNING;
	TAILQ_INIT(&instance->places);
	TAILQ_INIT(&instance->dying);
	TAILQ_INIT(&instance->tasks);
	instance->root = state_frame(instance, workflow->program, NULL);
	state_hold(&instance->root->place);
	send_parameters(instance, args);
	instance->result_watch.kind = WATCH_RESULT;
	bool ground = ground_watch(instance, result_channel(instance), &instance->result_watch);
	assert(!ground);
	queue_block(instance, instance->root, 0);
	*ret_instance = instance;
	step(instance, ret_step);
	return 0;
}

static void watches_free(struct instance *instance, struct watch *watch)
{
	while (watch != NULL) {
		struct watch *next = watch->next;
		if (watch->allocated)
			state_free(instance, watch, sizeof *watch);
		watch = next;
	}
}

/* Without regard to who refers to it: everything goes. Places themselves stay, for values refer to them. */
static void place_empty(struct instance *instance, struct place *place)
{
	struct cell *cells = place_cells(place);
	for (uint32_t i = 0; i < place->cell_count; i++) {
		if (cells[i].state == CELL_OPEN)
			watches_free(instance, cells[i].watches.first);
		else if (cells[i].state == CELL_SENT && value_as_object(cells[i].value) == NULL)
			value_release(instance, cells[i].value);
	}
	if (place->block.kind == BLOCK_OBJECT)
		watches_free(instance, ((struct object *)place)->watches.first);
}

static void task_end(struct instance *instance, struct task *task)
{
	TAILQ_REMOVE(&instance->tasks, task, link);
	if (task->each != NULL) {
		if (value_as_object(task->each->list) == NULL)
			value_release(instance, task->each->list);
		each_destroy(instance, task->each);
	}
	mem_free(task);
}

void instance_destroy(struct instance *instance)
{
	if (instance == NULL)
		return;
	struct place *place;
	struct task *task;
	/* Looking at channels shortens chains of forwards, and may have let go of a place since the last step was settled. */
	state_sweep(instance);
	/* Before the tasks: watches in the lists of a place may be parts of them. */
	TAILQ_FOREACH(place, &instance->places, link)
		place_empty(instance, place);
	while ((task = TAILQ_FIRST(&instance->tasks)) != NULL)
		task_end(instance, task);
	while ((place = TAILQ_FIRST(&instance->places)) != NULL) {
		TAILQ_REMOVE(&instance->places, place, link);
		mem_free(place);
	}
	calls_forget(instance);
	text_release(instance->result);
	mem_free(instance->queue.entries);
	mem_free(instance->ready);
	mem_free(instance->open);
	mem_free(instance);
}

int instance_post(struct instance *instance, uint32_t ref, struct text *result)
{
	struct task *task = calls_find(instance, ref);
	if (task == NULL)
		return ERR_NOT_FOUND;
	calls_forget(instance);
	calls_return(instance, task, result);
	settle(instance);
	return 0;
}

void instance_reduce(struct instance *instance, struct instance_step *ret_step)
{
	calls_forget(instance);
	step(instance, ret_step);
}

bool instance_call_open(const struct instance *instance, uint32_t ref)
{
	return calls_find(instance, ref) != NULL;
}

uint32_t instance_open_count(const struct instance *instance)
{
	return instance->open_live;
}

struct text *instance_result(struct instance *instance)
{
	assert(instance->state == INSTANCE_COMPLETED);
	return text_hold(instance->result);
}

size_t instance_size(const struct instance *instance)
{
	return instance->size + instance->queue.capacity * sizeof *instance->queue.entries +
	       instance->open_capacity * sizeof *instance->open + instance->ready_capacity * sizeof(struct task *) +
	       instance->call_count * sizeof *instance->calls;
}
