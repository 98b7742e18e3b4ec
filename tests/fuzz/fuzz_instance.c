/* Well-formed programs drawn from the input: the same value whatever the order of terms and of results, and no way to
 * break the state. The second half of the input orders the results. */
#include "base/memory.h"
#include "workflow/instance.h"

/* Each target is built from one file. */
#include "../unit/program_builder.c"
#include "../unit/program_random.c"

#define OPEN 1024
#define STEPS 2000

struct open {
	uint32_t ref;
	struct text *answer;
};

static uint32_t note_calls(const struct instance_step *step, struct open *open, uint32_t count)
{
	for (uint32_t i = 0; i < step->call_count; i++) {
		assert(count < OPEN);
		open[count++] = (struct open){step->calls[i].ref, program_random_answer(&step->calls[i])};
	}
	return count;
}

/* Runs Main as far as STEPS go; the result, or NULL when it did not get there. */
static struct text *run(const struct definition *workflow, struct draw *draw)
{
	static const struct instance_limits limits = {.each_window = 8};
	struct open open[OPEN];
	struct instance *instance;
	struct instance_step step;
	struct text *args = text_create(SLICE("{}"));
	instance_create(workflow, args, &limits, &instance, &step);
	uint32_t count = note_calls(&step, open, 0);
	for (int i = 0; i < STEPS && step.state == INSTANCE_RUNNING; i++) {
		assert(count == instance_open_count(instance) && count != 0);
		for (uint32_t batch = 1 + draw_below(draw, 3); batch != 0 && count != 0; batch--) {
			uint32_t pick = draw_below(draw, count);
			struct open posted = open[pick];
			open[pick] = open[--count];
			int code = instance_post(instance, posted.ref, posted.answer);
			assert(code == 0);
			code = instance_post(instance, posted.ref, posted.answer);
			assert(code == ERR_NOT_FOUND);
			text_release(posted.answer);
		}
		instance_reduce(instance, &step);
		count = note_calls(&step, open, count);
	}
	/* Every channel is written and read once: nothing can get stuck. */
	assert(step.state != INSTANCE_STUCK);
	while (count != 0)
		text_release(open[--count].answer);
	struct text *result = step.state == INSTANCE_COMPLETED ? instance_result(instance) : NULL;
	struct buffer print = BUFFER_EMPTY;
	instance_print(instance, &print);
	instance_blocked(instance, &print);
	buffer_finish(&print);
	instance_destroy(instance);
	text_release(args);
	return result;
}

static struct text *run_ordered(const uint8_t *data, size_t size, uint64_t order)
{
	struct draw shape = {data, size / 2, {0}};
	struct draw results = {data + size / 2, size - size / 2, {order}};
	struct buffer source = BUFFER_EMPTY;
	program_random(&shape, order, &source);
	struct program_set *set = program_set_parse(buffer_string(&source));
	if (order == 2)
		results.size = 0;
	struct text *result = run(program_set_find(set, "Main"), &results);
	program_set_destroy(set);
	buffer_finish(&source);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text *one = run_ordered(data, size, 1);
	struct text *other = run_ordered(data, size, 2);
	if (one != NULL && other != NULL)
		assert(slice_equal(text_slice(one), text_slice(other)));
	text_release(one);
	text_release(other);
	return 0;
}
