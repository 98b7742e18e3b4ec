#include "workflow/state.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>

#define uthash_malloc(size) mem_alloc(size)
#define uthash_free(memory, size) mem_free(memory)
#include <uthash.h>

#define JSON_SHOWN 200 /* bytes of a value */
#define PARTS_SHOWN 16 /* of an object */
#define BLOCKED_SHOWN 100 /* lines */

/* Which one among the channels of the same name each channel of a program is. */
struct namesakes {
	const struct program *program;
	uint32_t *before; /* channels of that name with a lower number */
	UT_hash_handle hh;
};

struct printer {
	struct buffer *out;
	struct namesakes *namesakes; /* of the programs met so far */
};

static int by_name(const void *left, const void *right)
{
	const struct slice *const *first = left;
	const struct slice *const *second = right;
	int order = slice_compare(**first, **second);
	return order != 0 ? order : *first < *second ? -1 : *first > *second;
}

static uint32_t *count_namesakes(const struct program *program)
{
	uint32_t *before = mem_array(program->channel_count, sizeof *before);
	const struct slice **sorted = mem_array(program->channel_count, sizeof *sorted);
	for (uint32_t i = 0; i < program->channel_count; i++)
		sorted[i] = &program->channel_names[i];
	qsort(sorted, program->channel_count, sizeof(struct slice *), by_name);
	for (uint32_t i = 1; i < program->channel_count; i++) {
		if (slice_equal(*sorted[i - 1], *sorted[i]))
			before[sorted[i] - program->channel_names] = before[sorted[i - 1] - program->channel_names] + 1;
	}
	mem_free(sorted);
	return before;
}

static uint32_t namesakes_before(struct printer *printer, const struct program *program, uint32_t index)
{
	struct namesakes *found;
	HASH_FIND_PTR(printer->namesakes, &program, found);
	if (found == NULL) {
		found = mem_zero(sizeof *found);
		found->program = program;
		found->before = count_namesakes(program);
		HASH_ADD_PTR(printer->namesakes, program, found);
	}
	return found->before[index];
}

static void printer_finish(struct printer *printer)
{
	struct namesakes *entry;
	struct namesakes *next;
	HASH_ITER(hh, printer->namesakes, entry, next) {
		HASH_DEL(printer->namesakes, entry);
		mem_free(entry->before);
		mem_free(entry);
	}
}

/* As program_print writes it: the second channel of a name is x.1, the third x.2, … */
static void print_name(struct printer *printer, const struct program *program, uint32_t index)
{
	struct slice name = program->channel_names != NULL ? program->channel_names[index] : (struct slice){NULL, 0};
	if (name.size == 0 && index == program->param_count)
		buffer_append_string(printer->out, "out");
	else if (name.size == 0)
		buffer_format(printer->out, "c%" PRIu32, index);
	else
		buffer_append_slice(printer->out, name);
	uint32_t before = name.size != 0 ? namesakes_before(printer, program, index) : 0;
	if (before != 0)
		buffer_format(printer->out, ".%" PRIu32, before);
}

static void print_frame(struct printer *printer, const struct frame *frame)
{
	buffer_append_slice(printer->out, frame->program->name);
	buffer_format(printer->out, "#%" PRIu64, frame->place.serial);
}

static struct channel resolved(struct channel channel)
{
	while (channel.cell->state == CELL_FORWARD)
		channel = channel.cell->forward;
	return channel;
}

static void print_channel(struct printer *printer, struct channel channel)
{
	channel = resolved(channel);
	uint32_t index = (uint32_t)(channel.cell - place_cells(channel.place));
	if (channel.place->block.kind == BLOCK_FRAME) {
		const struct frame *frame = (const struct frame *)channel.place;
		print_frame(printer, frame);
		buffer_append_char(printer->out, '.');
		print_name(printer, frame->program, index);
	} else {
		buffer_format(printer->out, "#%" PRIu64 ".%" PRIu32, channel.place->serial, index);
	}
}

/* Terms, each on one line: guarded blocks are left out. */

static void print_operands(struct printer *printer, const struct program *program, const struct term *term, uint32_t from,
                           const char *lead)
{
	for (uint32_t i = from; i < term->count; i++) {
		buffer_append_string(printer->out, i == from ? lead : ", ");
		print_name(printer, program, program->operands[term->first + i]);
	}
}

static void print_arms(struct printer *printer, const struct program *program, const struct term *term)
{
	const uint32_t *operands = &program->operands[term->first];
	for (uint32_t i = 0; i < term->count; i += 3) {
		buffer_append_string(printer->out, i == 0 ? "; " : ", ");
		if (operands[i] == TERM_ANY_LABEL)
			buffer_append_char(printer->out, '_');
		else
			buffer_append_slice(printer->out, program->names[operands[i]]);
		if (operands[i + 1] != TERM_NO_CHANNEL) {
			buffer_append_char(printer->out, ' ');
			print_name(printer, program, operands[i + 1]);
		}
	}
}

/* Terms that may wait; the others never do. */
static void print_term(struct printer *printer, const struct frame *frame, const struct term *term)
{
	const struct program *program = frame->program;
	const uint32_t *operands = &program->operands[term->first];
	struct buffer *out = printer->out;
	print_frame(printer, frame);
	buffer_append_string(out, ": ");
	switch (term->kind) {
	case TERM_CALL:
		buffer_format(out, "Call(%.*s", SLICE_ARGS(program->callees[term->index]->name));
		print_operands(printer, program, term, 0, ", ");
		buffer_append_string(out, "; ");
		print_name(printer, program, term->subject);
		break;
	case TERM_SLEEP:
		buffer_append_string(out, "Sleep(");
		print_operands(printer, program, term, 0, "");
		buffer_append_string(out, "; ");
		print_name(printer, program, term->subject);
		break;
	case TERM_SIGNAL:
		buffer_append_string(out, "Signal(");
		json_quote(out, program->names[term->index]);
		print_operands(printer, program, term, 0, ", ");
		buffer_append_string(out, "; ");
		print_name(printer, program, term->subject);
		break;
	case TERM_EACH:
		buffer_append_string(out, "Each(");
		print_name(printer, program, term->subject);
		buffer_format(out, ", %.*s", SLICE_ARGS(program->bodies[term->index]->name));
		print_operands(printer, program, term, 2, ", ");
		buffer_append_string(out, "; ");
		print_name(printer, program, operands[0]);
		if (operands[1] != 0)
			buffer_format(out, "; %" PRIu32, operands[1]);
		break;
	case TERM_CASE:
		buffer_append_string(out, "WithIn(");
		print_name(printer, program, term->subject);
		print_arms(printer, program, term);
		break;
	case TERM_MEMBER:
		buffer_append_string(out, "Member(");
		print_name(printer, program, term->subject);
		buffer_format(out, ", %.*s", SLICE_ARGS(program->names[term->index]));
		print_operands(printer, program, term, 0, "; ");
		break;
	case TERM_PAIR_IN:
		buffer_append_string(out, "ParIn(");
		print_name(printer, program, term->subject);
		print_operands(printer, program, term, 0, "; ");
		break;
	default:
		buffer_append_string(out, "After(");
		print_name(printer, program, term->subject);
	}
	buffer_append_char(out, ')');
}

/* What was sent. */

static void print_json(struct buffer *out, struct slice json)
{
	size_t shown = json.size;
	if (shown > JSON_SHOWN) {
		shown = JSON_SHOWN;
		while (shown > 0 && ((unsigned char)json.data[shown] & 0xC0) == 0x80)
			shown--;
	}
	buffer_append(out, json.data, shown);
	if (shown < json.size)
		buffer_format(out, "… (%zu bytes)", json.size);
}

static const char *object_word(const struct object *object)
{
	switch (object->term->kind) {
	case TERM_PAIR_OUT:
		return "Pair";
	case TERM_RECORD_OUT:
		return "Record";
	case TERM_SELECT:
		return "Choice";
	default:
		return "List";
	}
}

static void print_object(struct printer *printer, struct object *object)
{
	bool named = object->term->kind == TERM_RECORD_OUT || object->term->kind == TERM_SELECT;
	buffer_format(printer->out, "%s(", object_word(object));
	if (object->term->kind == TERM_SELECT && object->place.cell_count == 0)
		buffer_append_slice(printer->out, object_name(object, 0));
	for (uint32_t i = 0; i < object->place.cell_count; i++) {
		if (i != 0)
			buffer_append_string(printer->out, ", ");
		if (i == PARTS_SHOWN) {
			buffer_format(printer->out, "… (%" PRIu32 " parts)", object->place.cell_count);
			break;
		}
		if (named) {
			buffer_append_slice(printer->out, object_name(object, i));
			buffer_append_char(printer->out, '=');
		}
		print_channel(printer, object_part(object, i));
	}
	buffer_append_char(printer->out, ')');
}

static void print_outputs(struct printer *printer, const struct instance *instance)
{
	bool any = false;
	struct place *place;
	TAILQ_FOREACH(place, &instance->places, link) {
		struct cell *cells = place_cells(place);
		for (uint32_t i = 0; i < place->cell_count; i++) {
			if (cells[i].state != CELL_SENT)
				continue;
			buffer_append_string(printer->out, any ? "  " : "outputs\n  ");
			any = true;
			print_channel(printer, (struct channel){place, &cells[i]});
			buffer_append_string(printer->out, " = ");
			struct object *object = value_as_object(cells[i].value);
			if (object != NULL)
				print_object(printer, object);
			else
				print_json(printer->out, value_slice(cells[i].value));
			buffer_append_char(printer->out, '\n');
		}
	}
}

/* Tasks. */

static bool is_call(const struct task *task)
{
	enum term_kind kind = task->term->kind;
	return kind == TERM_CALL || kind == TERM_SLEEP || kind == TERM_SIGNAL;
}

enum section { SECTION_INPUTS, SECTION_EACH, SECTION_WAITING, SECTION_OPEN };

static enum section task_section(const struct task *task)
{
	if (task->each != NULL)
		return SECTION_EACH;
	if (!is_call(task))
		return SECTION_INPUTS;
	return task->state == TASK_OPEN ? SECTION_OPEN : SECTION_WAITING;
}

static void print_tasks(struct printer *printer, const struct instance *instance, enum section section)
{
	static const char *const titles[] = {"inputs", "each", "waiting calls", "open calls"};
	bool any = false;
	const struct task *task;
	TAILQ_FOREACH(task, &instance->tasks, link) {
		if (task_section(task) != section)
			continue;
		if (!any)
			buffer_format(printer->out, "%s\n", titles[section]);
		any = true;
		buffer_append_string(printer->out, "  ");
		if (section == SECTION_OPEN)
			buffer_format(printer->out, "%" PRIu32 " ", task->ref);
		print_term(printer, task->frame, task->term);
		if (section == SECTION_EACH)
			buffer_format(printer->out, ", %" PRIu32 " of %" PRIu32 " begun, %" PRIu32 " at work",
			              task->each->next, task->each->count, task->each->running);
		buffer_append_char(printer->out, '\n');
	}
}

void instance_print(const struct instance *instance, struct buffer *out)
{
	static const char *const states[] = {
		[INSTANCE_RUNNING] = "running", [INSTANCE_COMPLETED] = "completed", [INSTANCE_STUCK] = "stuck",
		[INSTANCE_RUNAWAY] = "runaway", [INSTANCE_OVERFLOW] = "overflow",
	};
	struct printer printer = {.out = out};
	buffer_format(out, "%s\n", states[instance->state]);
	print_tasks(&printer, instance, SECTION_INPUTS);
	print_outputs(&printer, instance);
	print_tasks(&printer, instance, SECTION_EACH);
	print_tasks(&printer, instance, SECTION_WAITING);
	print_tasks(&printer, instance, SECTION_OPEN);
	printer_finish(&printer);
}

/* What is blocked. */

static bool is_ground(struct channel channel)
{
	channel = resolved(channel);
	return channel.cell->state == CELL_SENT && value_ground(channel.cell->value);
}

static void print_blocked(struct printer *printer, struct channel channel, const struct task *task)
{
	print_channel(printer, channel);
	buffer_append_string(printer->out, " is awaited by ");
	if (task != NULL)
		print_term(printer, task->frame, task->term);
	else
		buffer_append_string(printer->out, "the result");
	buffer_append_char(printer->out, '\n');
}

static uint32_t blocked_count(const struct task *task)
{
	if (task->each != NULL || task->state == TASK_OPEN)
		return 0;
	return is_call(task) ? task->term->count : 1;
}

static struct channel blocked_channel(const struct task *task, uint32_t index)
{
	uint32_t operand = is_call(task) ? task->frame->program->operands[task->term->first + index]
	                                 : task->term->subject;
	return frame_channel(task->frame, operand);
}

void instance_blocked(const struct instance *instance, struct buffer *out)
{
	struct printer printer = {.out = out};
	uint32_t lines = 0;
	const struct task *task;
	TAILQ_FOREACH(task, &instance->tasks, link) {
		for (uint32_t i = 0; i < blocked_count(task); i++) {
			struct channel channel = blocked_channel(task, i);
			if (!is_ground(channel) && lines++ < BLOCKED_SHOWN)
				print_blocked(&printer, channel, task);
		}
	}
	struct channel result = frame_channel(instance->root, instance->root->program->param_count);
	if (!instance->result_ground)
		print_blocked(&printer, result, NULL);
	if (lines > BLOCKED_SHOWN)
		buffer_format(out, "and %" PRIu32 " more\n", lines - BLOCKED_SHOWN);
	printer_finish(&printer);
}
