#include "workflow/state.h"

#include "base/memory.h"

#include <assert.h>

void *state_alloc(struct instance *instance, size_t size)
{
	instance->size += size;
	return mem_zero(size);
}

void state_free(struct instance *instance, void *memory, size_t size)
{
	assert(instance->size >= size);
	instance->size -= size;
	mem_free(memory);
}

/* Watches. */

void watch_append(struct watch_list *list, struct watch *watch)
{
	watch->next = NULL;
	if (list->last != NULL)
		list->last->next = watch;
	else
		list->first = watch;
	list->last = watch;
}

void watch_concat(struct watch_list *list, struct watch_list *take_other)
{
	if (take_other->first == NULL)
		return;
	if (list->last != NULL)
		list->last->next = take_other->first;
	else
		list->first = take_other->first;
	list->last = take_other->last;
	*take_other = (struct watch_list){NULL, NULL};
}

/* Places. */

static size_t frame_size(uint32_t cell_count)
{
	return sizeof(struct frame) + cell_count * sizeof(struct cell);
}

static size_t object_size(uint32_t cell_count)
{
	return sizeof(struct object) + cell_count * sizeof(struct cell);
}

static void place_init(struct instance *instance, struct place *place, enum block_kind kind, uint32_t cell_count)
{
	place->block.kind = (uint8_t)kind;
	place->serial = ++instance->last_place;
	place->cell_count = cell_count;
	struct cell *cells = place_cells(place);
	for (uint32_t i = 0; i < cell_count; i++)
		cells[i].readers = 1;
	TAILQ_INSERT_TAIL(&instance->places, place, link);
}

struct cell *place_cells(struct place *place)
{
	return place->block.kind == BLOCK_FRAME ? ((struct frame *)place)->cells : ((struct object *)place)->parts;
}

struct frame *state_frame(struct instance *instance, const struct program *program, struct element *element)
{
	struct frame *frame = state_alloc(instance, frame_size(program->channel_count));
	place_init(instance, &frame->place, BLOCK_FRAME, program->channel_count);
	frame->program = program;
	frame->element = element;
	return frame;
}

struct channel frame_channel(struct frame *frame, uint32_t index)
{
	assert(index < frame->place.cell_count);
	return (struct channel){&frame->place, &frame->cells[index]};
}

struct object *state_object(struct instance *instance, const struct program *program, const struct term *term,
                            uint32_t part_count)
{
	struct object *object = state_alloc(instance, object_size(part_count));
	place_init(instance, &object->place, BLOCK_OBJECT, part_count);
	object->place.block.references = 1;
	object->program = program;
	object->term = term;
	return object;
}

struct channel object_part(struct object *object, uint32_t index)
{
	assert(index < object->place.cell_count);
	return (struct channel){&object->place, &object->parts[index]};
}

void state_hold(struct place *place)
{
	place->block.references++;
}

void state_release(struct instance *instance, struct place *place)
{
	assert(place->block.references > 0);
	if (--place->block.references != 0)
		return;
	TAILQ_REMOVE(&instance->places, place, link);
	TAILQ_INSERT_TAIL(&instance->dying, place, link);
}

static void forward_set(struct channel channel, struct channel target)
{
	channel.cell->state = CELL_FORWARD;
	channel.cell->forward = target;
	if (target.place != channel.place)
		state_hold(target.place);
}

static void place_free(struct instance *instance, struct place *place)
{
	struct cell *cells = place_cells(place);
	bool is_object = place->block.kind == BLOCK_OBJECT;
	for (uint32_t i = 0; i < place->cell_count; i++) {
		struct cell *cell = &cells[i];
		if (is_object && !cell->taken)
			state_discard(instance, (struct channel){place, cell});
		if (cell->state == CELL_SENT)
			value_release(instance, cell->value);
		else if (cell->state == CELL_FORWARD && cell->forward.place != place)
			state_release(instance, cell->forward.place);
		else
			assert(cell->state != CELL_OPEN || cell->watches.first == NULL);
	}
	state_free(instance, place, is_object ? object_size(place->cell_count) : frame_size(place->cell_count));
}

void state_sweep(struct instance *instance)
{
	struct place *place;
	while ((place = TAILQ_FIRST(&instance->dying)) != NULL) {
		assert(place->block.references == 0);
		TAILQ_REMOVE(&instance->dying, place, link);
		place_free(instance, place);
	}
}

/* Channels. */

struct channel state_resolve(struct instance *instance, struct channel channel)
{
	/* Path halving (Tarjan and van Leeuwen 1984). */
	while (channel.cell->state == CELL_FORWARD) {
		struct channel next = channel.cell->forward;
		if (next.cell->state != CELL_FORWARD)
			return next;
		struct channel beyond = next.cell->forward;
		forward_set(channel, beyond);
		if (next.place != channel.place)
			state_release(instance, next.place);
		channel = beyond;
	}
	return channel;
}

/* One of those who wrote or read through this very cell has done so. A forward that nobody uses any more is taken away: it
 * would hold its place, and could close a circle of places that hold one another. */
static void used(struct instance *instance, struct channel channel)
{
	struct cell *cell = channel.cell;
	if (cell->state != CELL_FORWARD)
		return;
	assert(cell->readers > 0);
	if (--cell->readers != 0)
		return;
	cell->state = CELL_SPENT;
	if (cell->forward.place != channel.place)
		state_release(instance, cell->forward.place);
}

static void wake(struct instance *instance, struct value value, struct watch *watch)
{
	if (watch->kind == WATCH_TERM)
		queue_task(instance, watch->task);
	else
		ground_sent(instance, value, watch);
}

static void cell_send(struct instance *instance, struct cell *cell, struct value take_value)
{
	assert(cell->state == CELL_OPEN);
	struct watch *watch = cell->watches.first;
	if (cell->readers == 0) {
		assert(watch == NULL);
		cell->state = CELL_SPENT;
		value_release(instance, take_value);
		return;
	}
	cell->state = CELL_SENT;
	cell->value = take_value;
	while (watch != NULL) {
		struct watch *next = watch->next;
		wake(instance, take_value, watch);
		watch = next;
	}
}

static struct value cell_take(struct cell *cell)
{
	assert(cell->state == CELL_SENT && cell->readers > 0);
	if (--cell->readers != 0)
		return value_hold(cell->value);
	cell->state = CELL_SPENT;
	return cell->value;
}

void state_send(struct instance *instance, struct channel channel, struct value take_value)
{
	struct channel target = state_resolve(instance, channel);
	cell_send(instance, target.cell, take_value);
	if (target.cell != channel.cell)
		used(instance, channel);
}

/* Both are open. */
static void join(struct channel from, struct channel to)
{
	bool from_is_older = from.place->serial <= to.place->serial;
	struct channel older = from_is_older ? from : to;
	struct channel newer = from_is_older ? to : from;
	assert(from.cell->state == CELL_OPEN && to.cell->state == CELL_OPEN && from.cell->readers > 0);
	/* Who uses the newer one: its readers but not this link, or its writer, which is this link or not. */
	uint32_t users = from_is_older ? to.cell->readers : from.cell->readers;
	older.cell->readers = from.cell->readers - 1 + to.cell->readers;
	watch_concat(&older.cell->watches, &newer.cell->watches);
	newer.cell->readers = users;
	if (users != 0)
		forward_set(newer, older);
	else
		newer.cell->state = CELL_SPENT;
}

void state_link(struct instance *instance, struct channel from, struct channel to)
{
	struct channel source = state_resolve(instance, from);
	struct channel target = state_resolve(instance, to);
	assert(source.cell != target.cell);
	if (source.cell->state == CELL_SENT)
		cell_send(instance, target.cell, cell_take(source.cell));
	else
		join(source, target);
	if (source.cell != from.cell)
		used(instance, from);
	if (target.cell != to.cell)
		used(instance, to);
}

struct channel state_read_once_more(struct instance *instance, struct channel channel)
{
	struct channel target = state_resolve(instance, channel);
	target.cell->readers++;
	if (target.cell != channel.cell)
		channel.cell->readers++;
	return target;
}

void state_share(struct instance *instance, struct channel from, struct channel to)
{
	state_read_once_more(instance, from);
	state_link(instance, from, to);
}

struct value state_take(struct instance *instance, struct channel channel)
{
	struct channel target = state_resolve(instance, channel);
	struct value value = cell_take(target.cell);
	if (target.cell != channel.cell)
		used(instance, channel);
	return value;
}

void state_discard(struct instance *instance, struct channel channel)
{
	struct channel target = state_resolve(instance, channel);
	struct cell *cell = target.cell;
	assert(cell->readers > 0);
	if (--cell->readers == 0 && cell->state == CELL_SENT) {
		cell->state = CELL_SPENT;
		value_release(instance, cell->value);
	}
	if (target.cell != channel.cell)
		used(instance, channel);
}

void state_give_part(struct instance *instance, struct object *object, uint32_t index, struct channel to)
{
	struct channel part = object_part(object, index);
	assert(!part.cell->taken);
	if (object->place.block.references == 1) {
		part.cell->taken = true;
		state_link(instance, part, to);
	} else {
		state_share(instance, part, to);
	}
}

/* Tasks. */

struct task *task_create(struct instance *instance, struct frame *frame, const struct term *term)
{
	struct task *task = state_alloc(instance, sizeof *task);
	task->frame = frame;
	task->term = term;
	task->serial = ++instance->last_release;
	task->watch.kind = WATCH_TERM;
	task->watch.task = task;
	TAILQ_INSERT_TAIL(&instance->tasks, task, link);
	frame_begin(frame);
	return task;
}

void task_destroy(struct instance *instance, struct task *task)
{
	struct frame *frame = task->frame;
	TAILQ_REMOVE(&instance->tasks, task, link);
	state_free(instance, task, sizeof *task);
	frame_end(instance, frame);
}

void frame_begin(struct frame *frame)
{
	state_hold(&frame->place);
	if (frame->element != NULL)
		frame->element->pending++;
}

void frame_end(struct instance *instance, struct frame *frame)
{
	struct element *element = frame->element;
	state_release(instance, &frame->place);
	if (element != NULL)
		element_end(instance, element);
}

/* The queue. */

static void queue_push(struct instance *instance, struct work work)
{
	struct work_queue *queue = &instance->queue;
	if (queue->count == queue->capacity) {
		size_t capacity = queue->capacity != 0 ? queue->capacity * 2 : 4;
		struct work *entries = mem_alloc(capacity * sizeof *entries);
		for (size_t i = 0; i < queue->count; i++)
			entries[i] = queue->entries[(queue->first + i) & (queue->capacity - 1)];
		mem_free(queue->entries);
		instance->size += (capacity - queue->capacity) * sizeof *entries;
		*queue = (struct work_queue){entries, 0, queue->count, capacity};
	}
	queue->entries[(queue->first + queue->count++) & (queue->capacity - 1)] = work;
}

void queue_task(struct instance *instance, struct task *task)
{
	queue_push(instance, (struct work){.task = task});
}

void queue_block(struct instance *instance, struct frame *frame, uint32_t block)
{
	frame_begin(frame);
	queue_push(instance, (struct work){.frame = frame, .block = block});
}

bool queue_take(struct instance *instance, struct work *ret_work)
{
	struct work_queue *queue = &instance->queue;
	if (queue->count == 0)
		return false;
	*ret_work = queue->entries[queue->first];
	queue->first = (queue->first + 1) & (queue->capacity - 1);
	queue->count--;
	return true;
}
