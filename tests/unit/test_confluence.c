/* Random programs: whatever the order of terms and of results, the value is the same, everything ends, nothing is left. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "instance_fixture.h"
#include "program_random.h"
#include "workflow/state.h"

#include <stdlib.h>

struct open {
	uint32_t ref;
	struct text *answer;
};

/* Runs Main to its end; with `random` results come in a random order and some steps take several. */
static char *run(struct fixture *fixture, const char *source, struct random *random)
{
	struct open *open = NULL;
	size_t count = 0;
	size_t capacity = 0;
	fixture_start(fixture, source, "Main", "{}");
	while (fixture->step.state == INSTANCE_RUNNING) {
		mem_grow(open, capacity, count + fixture->step.call_count);
		for (uint32_t i = 0; i < fixture->step.call_count; i++) {
			const struct instance_call *call = &fixture->step.calls[i];
			open[count++] = (struct open){call->ref, program_random_answer(call)};
		}
		assert_int_equal(count, instance_open_count(fixture->instance));
		uint64_t batch = random != NULL ? 1 + random_below(random, 3) : 1;
		for (uint64_t i = 0; i < batch && count != 0; i++) {
			size_t pick = random != NULL ? (size_t)random_below(random, count) : count - 1;
			struct open posted = open[pick];
			open[pick] = open[--count];
			assert_int_equal(instance_post(fixture->instance, posted.ref, posted.answer), 0);
			text_release(posted.answer);
		}
		fixture_reduce(fixture);
	}
	mem_free(open);
	assert_int_equal(fixture->step.state, INSTANCE_COMPLETED);
	return mem_string(fixture_result(fixture));
}

/* Follows what the result is made of; gives how many places that is. Marks by setting ->measured. */
static uint32_t reach(struct place *place, const struct cell *cell)
{
	uint32_t count = 0;
	while (cell->state == CELL_FORWARD) {
		place = cell->forward.place;
		cell = cell->forward.cell;
	}
	if (!place->block.measured) {
		place->block.measured = true;
		count++;
	}
	if (cell->state != CELL_SENT)
		return count;
	struct object *object = value_as_object(cell->value);
	if (object == NULL || object->place.block.measured)
		return count;
	object->place.block.measured = true;
	count++;
	for (uint32_t i = 0; i < object->place.cell_count; i++)
		count += reach(&object->place, &object->parts[i]);
	return count;
}

/* Every place that is still there is one that the result is made of. */
static void nothing_is_left_over(const struct instance *instance)
{
	uint32_t there = 0;
	struct place *place;
	assert_true(TAILQ_EMPTY(&instance->tasks));
	TAILQ_FOREACH(place, &instance->places, link)
		there++;
	struct frame *root = instance->root;
	root->place.block.measured = true;
	assert_int_equal(there, 1 + reach(&root->place, &root->cells[root->program->param_count]));
}

static void value_does_not_depend_on_order(void **state)
{
	struct fixture fixture = {0};
	(void)state;
	for (uint64_t seed = 1; seed <= 400; seed++) {
		char *value = NULL;
		for (uint64_t order = 1; order <= 4; order++) {
			struct draw draw = {.random = {seed}};
			struct random random = {seed * 31 + order};
			struct buffer source = BUFFER_EMPTY;
			program_random(&draw, order, &source);
			char *got = run(&fixture, buffer_string(&source), order == 1 ? NULL : &random);
			nothing_is_left_over(fixture.instance);
			if (value == NULL)
				value = got;
			else
				assert_string_equal(got, value);
			if (got != value)
				mem_free(got);
			buffer_finish(&source);
		}
		mem_free(value);
	}
	fixture_finish(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(value_does_not_depend_on_order),
	};
	return cmocka_run_group_tests_name("confluence", tests, NULL, NULL);
}
