/* A value is ground when it is JSON, or an object whose parts are ground. An object is looked into only when somebody waits
 * for it, and once, however many wait and however often it is shared: it then counts its parts that are missing, watches
 * each of them, and tells those who wait when none is missing any more. */
#include "workflow/state.h"

#include <assert.h>

struct watch *watch_create(struct instance *instance, enum watch_kind kind)
{
	struct watch *watch = state_alloc(instance, sizeof *watch);
	watch->kind = (uint8_t)kind;
	watch->allocated = true;
	return watch;
}

bool value_ground(struct value value)
{
	const struct object *object = value_as_object(value);
	return object == NULL || object->ground == GROUND_YES;
}

static void object_watch(struct instance *instance, struct object *object, struct watch *watch)
{
	watch_append(&object->watches, watch);
	if (object->ground != GROUND_UNKNOWN)
		return;
	object->ground = GROUND_PENDING;
	/* It watches its parts: it has to stay until they are ground. */
	state_hold(&object->place);
	object->next = instance->unexpanded;
	instance->unexpanded = object;
}

void ground_sent(struct instance *instance, struct value value, struct watch *watch)
{
	if (value_ground(value))
		watch_append(&instance->fired, watch);
	else
		object_watch(instance, value_as_object(value), watch);
}

bool ground_watch(struct instance *instance, struct channel channel, struct watch *watch)
{
	struct cell *cell = state_resolve(instance, channel).cell;
	if (cell->state == CELL_OPEN) {
		watch_append(&cell->watches, watch);
		return false;
	}
	assert(cell->state == CELL_SENT);
	if (value_ground(cell->value))
		return true;
	object_watch(instance, value_as_object(cell->value), watch);
	return false;
}

static void object_ground(struct instance *instance, struct object *object)
{
	object->ground = GROUND_YES;
	watch_concat(&instance->fired, &object->watches);
	state_release(instance, &object->place);
}

static bool part_ground(struct instance *instance, struct object *object, uint32_t index)
{
	const struct cell *cell = state_resolve(instance, object_part(object, index)).cell;
	return cell->state == CELL_SENT && value_ground(cell->value);
}

static void expand(struct instance *instance, struct object *object)
{
	for (uint32_t i = 0; i < object->place.cell_count; i++) {
		if (part_ground(instance, object, i))
			continue;
		struct watch *watch = watch_create(instance, WATCH_OBJECT);
		watch->object = object;
		object->missing++;
		bool ground = ground_watch(instance, object_part(object, i), watch);
		assert(!ground);
	}
	if (object->missing == 0)
		object_ground(instance, object);
}

static void fire(struct instance *instance, struct watch *watch)
{
	switch ((enum watch_kind)watch->kind) {
	case WATCH_ARGUMENT: {
		struct task *task = watch->task;
		assert(task->missing > 0);
		if (--task->missing != 0)
			break;
		if (task->term->kind == TERM_AFTER)
			queue_task(instance, task);
		else
			calls_ready(instance, task);
		break;
	}
	case WATCH_OBJECT:
		if (--watch->object->missing == 0)
			object_ground(instance, watch->object);
		break;
	case WATCH_ELEMENT:
		element_ground(instance, watch->element);
		return; /* it may be gone, and the watch in it */
	case WATCH_RESULT:
		instance->result_ground = true;
		break;
	case WATCH_TERM:
		assert(false);
	}
	if (watch->allocated)
		state_free(instance, watch, sizeof *watch);
}

void ground_settle(struct instance *instance)
{
	for (;;) {
		struct watch *watch = instance->fired.first;
		if (watch != NULL) {
			instance->fired.first = watch->next;
			if (watch->next == NULL)
				instance->fired.last = NULL;
			fire(instance, watch);
			continue;
		}
		struct object *object = instance->unexpanded;
		if (object == NULL)
			return;
		instance->unexpanded = object->next;
		expand(instance, object);
	}
}
