#include "workflow/state.h"

#include <assert.h>

/* Taking a JSON value apart reads it; so a step that scans much counts as many reductions. */
#define SCAN_WEIGHT 1024

void reduce_count(struct instance *instance)
{
	instance->reductions++;
}

void reduce_weigh(struct instance *instance, size_t scanned)
{
	instance->reductions += scanned / SCAN_WEIGHT;
}

static const uint32_t *term_operands(const struct frame *frame, const struct term *term)
{
	return &frame->program->operands[term->first];
}

static struct channel subject_channel(struct frame *frame, const struct term *term)
{
	return frame_channel(frame, term->subject);
}

/* Terms that send. */

static void send_constant(struct instance *instance, struct frame *frame, const struct term *term)
{
	struct value value = value_text(instance, frame->program->constants[term->index]);
	state_send(instance, subject_channel(frame, term), value);
}

static void send_object(struct instance *instance, struct frame *frame, const struct term *term)
{
	const uint32_t *operands = term_operands(frame, term);
	uint32_t stride = term->kind == TERM_RECORD_OUT ? 2 : 1;
	uint32_t count = term->count / stride;
	struct object *object = state_object(instance, frame->program, term, count);
	for (uint32_t i = 0; i < count; i++) {
		struct channel part = frame_channel(frame, operands[i * stride + stride - 1]);
		state_link(instance, part, object_part(object, i));
	}
	state_send(instance, subject_channel(frame, term), value_object(object));
}

/* Terms that take. */

static void take_pair(struct instance *instance, struct frame *frame, const struct term *term)
{
	const uint32_t *operands = term_operands(frame, term);
	struct value pair = state_take(instance, subject_channel(frame, term));
	struct object *object = value_as_object(pair);
	if (object != NULL) {
		assert(object->place.cell_count == 2);
		for (uint32_t i = 0; i < 2; i++)
			state_give_part(instance, object, i, frame_channel(frame, operands[i]));
	} else {
		struct json_iterator iterator;
		struct slice key;
		struct slice json;
		bool more;
		assert(json_kind(value_slice(pair)) == JSON_ARRAY);
		json_iterate(&iterator, value_slice(pair));
		for (uint32_t i = 0; i < 2; i++) {
			more = json_next(&iterator, &key, &json);
			assert(more);
			state_send(instance, frame_channel(frame, operands[i]), value_part(pair, json));
		}
		more = json_next(&iterator, &key, &json);
		assert(!more);
		reduce_weigh(instance, pair.size);
	}
	value_release(instance, pair);
}

static void take_member(struct instance *instance, struct frame *frame, const struct term *term)
{
	struct channel to = frame_channel(frame, *term_operands(frame, term));
	struct slice name = frame->program->names[term->index];
	struct value record = state_take(instance, subject_channel(frame, term));
	struct object *object = value_as_object(record);
	if (object != NULL) {
		uint32_t i = 0;
		assert(object->term->kind == TERM_RECORD_OUT);
		while (i < object->place.cell_count && !slice_equal(object_name(object, i), name))
			i++;
		state_give_part(instance, object, i, to);
	} else {
		struct slice json;
		bool found = json_member(value_slice(record), name, &json);
		assert(found);
		state_send(instance, to, value_part(record, json));
		reduce_weigh(instance, record.size);
	}
	value_release(instance, record);
}

/* What a choice chose. */
struct chosen {
	struct slice label;
	bool raw;             /* the label is as it stands between its quotes */
	bool has_payload;
	struct slice payload; /* of a JSON value */
};

static struct chosen choice_of(struct value choice)
{
	struct object *object = value_as_object(choice);
	if (object != NULL) {
		assert(object->term->kind == TERM_SELECT);
		return (struct chosen){.label = object_name(object, 0), .has_payload = object->place.cell_count != 0};
	}
	struct slice json = value_slice(choice);
	struct chosen chosen = {.raw = true};
	struct json_iterator iterator;
	switch (json_kind(json)) {
	case JSON_TRUE:
	case JSON_FALSE:
		chosen.label = json;
		return chosen;
	case JSON_STRING:
		chosen.label = (struct slice){json.data + 1, json.size - 2};
		return chosen;
	default:
		assert(json_kind(json) == JSON_OBJECT);
		json_iterate(&iterator, json);
		chosen.has_payload = json_next(&iterator, &chosen.label, &chosen.payload);
		assert(chosen.has_payload);
		return chosen;
	}
}

static void take_choice(struct instance *instance, struct frame *frame, const struct term *term)
{
	const uint32_t *operands = term_operands(frame, term);
	struct value choice = state_take(instance, subject_channel(frame, term));
	struct object *object = value_as_object(choice);
	struct chosen chosen = choice_of(choice);
	for (uint32_t i = 0;; i += 3) {
		assert(i < term->count); /* every label has an arm */
		if (operands[i] != TERM_ANY_LABEL) {
			struct slice name = frame->program->names[operands[i]];
			if (chosen.raw ? !json_key_equal(chosen.label, name) : !slice_equal(chosen.label, name))
				continue;
		}
		if (operands[i + 1] != TERM_NO_CHANNEL) {
			struct channel to = frame_channel(frame, operands[i + 1]);
			assert(chosen.has_payload);
			if (object != NULL)
				state_give_part(instance, object, 0, to);
			else
				state_send(instance, to, value_part(choice, chosen.payload));
		}
		queue_block(instance, frame, operands[i + 2]);
		break;
	}
	reduce_weigh(instance, choice.size);
	value_release(instance, choice);
}

/* Terms about channels. */

static void copy(struct instance *instance, struct frame *frame, const struct term *term)
{
	const uint32_t *operands = term_operands(frame, term);
	for (uint32_t i = 0; i + 1 < term->count; i++)
		state_share(instance, subject_channel(frame, term), frame_channel(frame, operands[i]));
	state_link(instance, subject_channel(frame, term), frame_channel(frame, operands[term->count - 1]));
}

static void call_composite(struct instance *instance, struct frame *frame, const struct term *term,
                           const struct program *program)
{
	const uint32_t *operands = term_operands(frame, term);
	struct frame *callee = state_frame(instance, program, frame->element);
	assert(term->count == program->param_count);
	for (uint32_t i = 0; i < term->count; i++)
		state_link(instance, frame_channel(frame, operands[i]), frame_channel(callee, i));
	state_link(instance, frame_channel(callee, program->param_count), subject_channel(frame, term));
	queue_block(instance, callee, 0);
}

static void go_after(struct instance *instance, struct frame *frame, const struct term *term)
{
	state_discard(instance, subject_channel(frame, term));
	queue_block(instance, frame, *term_operands(frame, term));
}

/* The subject of a term that takes has something. */
static void communicate(struct instance *instance, struct frame *frame, const struct term *term)
{
	reduce_count(instance);
	switch (term->kind) {
	case TERM_PAIR_IN:
		take_pair(instance, frame, term);
		break;
	case TERM_MEMBER:
		take_member(instance, frame, term);
		break;
	case TERM_CASE:
		take_choice(instance, frame, term);
		break;
	case TERM_EACH:
		each_begin(instance, frame, term);
		break;
	case TERM_AFTER:
		go_after(instance, frame, term);
		break;
	default:
		assert(false);
	}
}

static void release_input(struct instance *instance, struct frame *frame, const struct term *term)
{
	struct cell *cell = state_resolve(instance, subject_channel(frame, term)).cell;
	if (cell->state == CELL_SENT) {
		communicate(instance, frame, term);
		return;
	}
	struct task *task = task_create(instance, frame, term);
	watch_append(&cell->watches, &task->watch);
}

static void release_after(struct instance *instance, struct frame *frame, const struct term *term)
{
	struct task *task = task_create(instance, frame, term);
	task->watch.kind = WATCH_ARGUMENT;
	task->missing = 1;
	if (ground_watch(instance, subject_channel(frame, term), &task->watch)) {
		task->missing = 0;
		queue_task(instance, task);
	}
}

static void release_call(struct instance *instance, struct frame *frame, const struct term *term)
{
	const struct definition *callee = frame->program->callees[term->index];
	if (callee->kind == DEFINITION_PROCESS) {
		calls_release(instance, frame, term);
		return;
	}
	reduce_count(instance);
	call_composite(instance, frame, term, callee->program);
}

static void release_term(struct instance *instance, struct frame *frame, const struct term *term)
{
	switch (term->kind) {
	case TERM_PAIR_IN:
	case TERM_MEMBER:
	case TERM_CASE:
	case TERM_EACH:
		release_input(instance, frame, term);
		return;
	case TERM_AFTER:
		release_after(instance, frame, term);
		return;
	case TERM_CALL:
		release_call(instance, frame, term);
		return;
	case TERM_SLEEP:
	case TERM_SIGNAL:
		calls_release(instance, frame, term);
		return;
	case TERM_ID:
		state_link(instance, subject_channel(frame, term),
		           frame_channel(frame, *term_operands(frame, term)));
		break;
	case TERM_CONSTANT:
		send_constant(instance, frame, term);
		break;
	case TERM_PAIR_OUT:
	case TERM_RECORD_OUT:
	case TERM_LIST_OUT:
	case TERM_SELECT:
		send_object(instance, frame, term);
		break;
	case TERM_COPY:
		copy(instance, frame, term);
		break;
	case TERM_DISCARD:
		state_discard(instance, subject_channel(frame, term));
		break;
	}
	reduce_count(instance);
}

void reduce_block(struct instance *instance, struct frame *frame, uint32_t block)
{
	const struct program *program = frame->program;
	const struct term_block *terms = &program->blocks[block];
	for (uint32_t i = 0; i < terms->count; i++)
		release_term(instance, frame, &program->terms[terms->first + i]);
	frame_end(instance, frame);
}

void reduce_task(struct instance *instance, struct task *task)
{
	if (task->each != NULL) {
		each_go_on(instance, task);
		return;
	}
	communicate(instance, task->frame, task->term);
	task_destroy(instance, task);
}
