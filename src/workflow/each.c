/* TERM_EACH. The list of outputs is sent at once, its parts still open; elements get their frames as the window allows. */
#include "workflow/state.h"

#include <assert.h>

static const uint32_t *each_operands(const struct task *task)
{
	return &task->frame->program->operands[task->term->first];
}

static void element_start(struct instance *instance, struct task *task)
{
	struct each *each = task->each;
	const struct program *body = task->frame->program->bodies[task->term->index];
	const uint32_t *operands = each_operands(task);
	struct element *element = state_alloc(instance, sizeof *element);
	element->each = each;
	element->index = each->next++;
	element->watch.kind = WATCH_ELEMENT;
	element->watch.element = element;
	LIST_INSERT_HEAD(&each->elements, element, link);
	each->running++;

	struct frame *frame = state_frame(instance, body, element);
	struct object *list = value_as_object(each->list);
	if (list != NULL) {
		state_give_part(instance, list, element->index, frame_channel(frame, 0));
	} else {
		struct slice key;
		struct slice json;
		bool more = json_next(&each->iterator, &key, &json);
		assert(more);
		state_send(instance, frame_channel(frame, 0), value_part(each->list, json));
	}
	assert(body->param_count == task->term->count - 1);
	for (uint32_t i = 1; i < body->param_count; i++)
		state_share(instance, frame_channel(task->frame, operands[1 + i]), frame_channel(frame, i));

	struct channel out = object_part(each->out, element->index);
	state_link(instance, frame_channel(frame, body->param_count), out);
	state_read_once_more(instance, out); /* the element itself, until it is ground */
	element->pending = 1;
	bool ground = ground_watch(instance, out, &element->watch);
	assert(!ground);
	queue_block(instance, frame, 0);
	reduce_count(instance);
}

static void each_end(struct instance *instance, struct task *task)
{
	struct each *each = task->each;
	const uint32_t *operands = each_operands(task);
	for (uint32_t i = 2; i < task->term->count; i++)
		state_discard(instance, frame_channel(task->frame, operands[i]));
	value_release(instance, each->list);
	state_release(instance, &each->out->place);
	state_free(instance, each, sizeof *each);
	task->each = NULL;
	task_destroy(instance, task);
}

void each_begin(struct instance *instance, struct frame *frame, const struct term *term)
{
	struct task *task = task_create(instance, frame, term);
	struct each *each = state_alloc(instance, sizeof *each);
	const uint32_t *operands = &frame->program->operands[term->first];
	uint32_t limit = operands[1];
	task->each = each;
	each->task = task;
	each->window = limit != 0 && limit < instance->limits.each_window ? limit : instance->limits.each_window;
	each->list = state_take(instance, frame_channel(frame, term->subject));
	struct object *list = value_as_object(each->list);
	if (list != NULL) {
		each->count = list->place.cell_count;
	} else {
		struct slice json = value_slice(each->list);
		assert(json_kind(json) == JSON_ARRAY);
		each->count = (uint32_t)json_count(json);
		json_iterate(&each->iterator, json);
		reduce_weigh(instance, json.size);
	}
	each->out = state_object(instance, frame->program, term, each->count);
	state_hold(&each->out->place);
	state_send(instance, frame_channel(frame, operands[0]), value_object(each->out));
	each_go_on(instance, task);
}

void each_go_on(struct instance *instance, struct task *task)
{
	struct each *each = task->each;
	each->queued = false;
	while (each->next < each->count && each->running < each->window &&
	       instance->reductions <= instance->limits.reductions)
		element_start(instance, task);
	if (each->running == 0)
		each_end(instance, task);
}

void element_ground(struct instance *instance, struct element *element)
{
	state_discard(instance, object_part(element->each->out, element->index));
	element_end(instance, element);
}

void element_end(struct instance *instance, struct element *element)
{
	assert(element->pending > 0);
	if (--element->pending != 0)
		return;
	struct each *each = element->each;
	LIST_REMOVE(element, link);
	state_free(instance, element, sizeof *element);
	each->running--;
	if (each->queued || (each->next == each->count && each->running != 0))
		return;
	each->queued = true;
	queue_task(instance, each->task);
}

void each_destroy(struct instance *instance, struct each *each)
{
	struct element *element;
	while ((element = LIST_FIRST(&each->elements)) != NULL) {
		LIST_REMOVE(element, link);
		state_free(instance, element, sizeof *element);
	}
	state_free(instance, each, sizeof *each);
}
