#include "run.h"

#include "base/memory.h"
#include "oracle.h"

#include <assert.h>

#define STEPS_MAX 20000u
#define REDUCTIONS_MAX 20000000u
#define PRINTED_STEPS 60u /* from here on the states of the twins are compared now and then only */

/* How signals come: before anybody waits for them, when everything else is through, or at any time. */
enum arrival { ARRIVAL_EARLY, ARRIVAL_LATE, ARRIVAL_ANY };

struct open {
	uint32_t ref;
	enum arrival arrival;
	struct call_record *record;
	uint32_t index; /* among the calls of the record */
	struct text *answer;
};

struct runner {
	struct run *run;
	struct arena arena;
	struct instance *instance;
	struct instance *twin;
	struct instance_step step;
	uint32_t number; /* of the step */
	struct open *open;
	size_t open_count;
	size_t open_capacity;
	uint32_t last_ref;
	uint32_t style; /* how results are chosen */
	struct buffer print;
	struct buffer twin_print;
};

static uint32_t draw(struct runner *runner, uint32_t bound)
{
	return (uint32_t)random_below(&runner->run->random, bound);
}

static bool wrong(struct runner *runner, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool wrong(struct runner *runner, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	buffer_format(runner->run->failure, "step %u: ", runner->number);
	buffer_formatv(runner->run->failure, format, args);
	buffer_append_char(runner->run->failure, '\n');
	va_end(args);
	return false;
}

/* Calls. */

/* The answer as a worker would give it, then as the system takes it. */
static bool make_answer(struct runner *runner, const struct plain *answer, const struct syntax_type *written,
                        const struct type *type, enum type_strictness strictness, struct text **ret_text)
{
	struct buffer raw = BUFFER_EMPTY;
	struct buffer accepted = BUFFER_EMPTY;
	struct error error = {0};
	if (runner->run->untidy)
		oracle_untidy(runner->run->world, answer, written, strictness == TYPE_OUTPUT, &runner->run->random,
		              &raw);
	else
		plain_print(answer, &raw);
	bool fine = type_accept(type, buffer_slice(&raw), strictness, &accepted, &error) == 0;
	if (!fine)
		wrong(runner, "the result %s is refused: %s", buffer_string(&raw), error.text);
	else
		*ret_text = text_create(buffer_slice(&accepted));
	buffer_finish(&raw);
	buffer_finish(&accepted);
	return fine;
}

/* Arguments are complete and of their types; accepting them again changes nothing. */
static bool check_args(struct runner *runner, const struct instance_call *call)
{
	struct buffer accepted = BUFFER_EMPTY;
	struct error error = {0};
	struct slice args = text_slice(call->args);
	bool fine = definition_accept_args(call->process, args, &accepted, &error) == 0;
	if (!fine)
		wrong(runner, "the arguments of %.*s are refused: %s", SLICE_ARGS(call->process->name), error.text);
	else if (!slice_equal(buffer_slice(&accepted), args))
		fine = wrong(runner, "the arguments of %.*s change when they are accepted: %.*s, then %s",
		             SLICE_ARGS(call->process->name), SLICE_ARGS(args), buffer_string(&accepted));
	buffer_finish(&accepted);
	return fine;
}

static bool open_process(struct runner *runner, const struct instance_call *call, struct open *open)
{
	const struct world *world = runner->run->world;
	const struct syntax_declaration *process = world_callable(world, call->process->name);
	if (process == NULL || process->kind == SYNTAX_WORKFLOW)
		return wrong(runner, "%.*s is no process", SLICE_ARGS(call->process->name));
	if (!check_args(runner, call))
		return false;
	struct plain *args = plain_parse(&runner->arena, text_slice(call->args), (struct when){0, 0});
	open->record = call_log_record(&runner->run->log, call->process->name, args);
	return make_answer(runner, oracle_answer(world, &runner->arena, process, args),
	                   world_signature(world, process)->result, call->process->result, TYPE_OUTPUT, &open->answer);
}

static bool open_signal(struct runner *runner, const struct instance_call *call, struct open *open)
{
	const struct world *world = runner->run->world;
	const struct definition *workflow = runner->run->workflow;
	struct plain *key = plain_parse(&runner->arena, text_slice(call->args), (struct when){0, 0});
	struct buffer callee = BUFFER_EMPTY;
	uint32_t index = 0;
	while (index < workflow->signal_count && !slice_equal(workflow->signals[index].name, call->signal))
		index++;
	if (index == workflow->signal_count)
		return wrong(runner, "signal %.*s is not known to %.*s", SLICE_ARGS(call->signal),
		             SLICE_ARGS(workflow->name));
	buffer_format(&callee, "signal %.*s", SLICE_ARGS(call->signal));
	open->record = call_log_record(&runner->run->log, buffer_slice(&callee), key);
	buffer_finish(&callee);
	open->arrival = draw(runner, 3);
	return make_answer(runner, oracle_signal(world, &runner->arena, call->signal, key),
	                   oracle_signal_type(world, call->signal), workflow->signals[index].type, TYPE_ARGUMENT,
	                   &open->answer);
}

static bool open_call(struct runner *runner, const struct instance_call *call)
{
	struct open open = {.ref = call->ref, .arrival = ARRIVAL_ANY};
	bool fine = true;
	if (call->ref != runner->last_ref + 1)
		return wrong(runner, "call %u follows call %u", call->ref, runner->last_ref);
	runner->last_ref = call->ref;
	if (call->kind == INSTANCE_CALL_PROCESS) {
		fine = open_process(runner, call, &open);
	} else if (call->kind == INSTANCE_CALL_SIGNAL) {
		fine = open_signal(runner, call, &open);
	} else {
		struct plain *duration = plain_parse(&runner->arena, text_slice(call->args), (struct when){0, 0});
		open.record = call_log_record(&runner->run->log, SLICE("sleep"), duration);
		open.answer = text_create(SLICE("null"));
	}
	if (!fine)
		return false;
	open.index = call_record_open(open.record, runner->number);
	mem_grow(runner->open, runner->open_capacity, runner->open_count + 1);
	runner->open[runner->open_count++] = open;
	return true;
}

/* Results. */

/* What is not open is refused, and nothing changes. */
static bool post_refused(struct runner *runner)
{
	uint32_t refs[3] = {0, runner->last_ref + 1 + draw(runner, 100), 1 + draw(runner, runner->last_ref + 1)};
	struct text *text = text_create(SLICE("\"not wanted\""));
	bool fine = true;
	for (uint32_t i = 0; i < 3 && fine; i++) {
		if (instance_call_open(runner->instance, refs[i]))
			continue;
		fine = instance_post(runner->instance, refs[i], text) == ERR_NOT_FOUND;
		if (!fine)
			wrong(runner, "call %u is not open, but takes a result", refs[i]);
	}
	text_release(text);
	return fine;
}

static bool post(struct runner *runner, size_t index)
{
	struct open open = runner->open[index];
	runner->open[index] = runner->open[--runner->open_count];
	bool fine = instance_call_open(runner->instance, open.ref) &&
	            instance_post(runner->instance, open.ref, open.answer) == 0 &&
	            (runner->twin == NULL || instance_post(runner->twin, open.ref, open.answer) == 0);
	if (!fine)
		wrong(runner, "call %u does not take its result", open.ref);
	else if (draw(runner, 4) == 0 && instance_post(runner->instance, open.ref, open.answer) != ERR_NOT_FOUND)
		fine = wrong(runner, "call %u takes a second result", open.ref);
	call_record_return(open.record, open.index, runner->number);
	text_release(open.answer);
	return fine;
}

/* The one to be answered next: what is late waits until only the like of it is left. */
static size_t pick(struct runner *runner)
{
	size_t oldest = 0;
	for (size_t i = 0; i < runner->open_count; i++) {
		if (runner->open[i].arrival == ARRIVAL_EARLY)
			return i;
		if (runner->open[i].ref < runner->open[oldest].ref)
			oldest = i;
	}
	size_t picked = runner->style == 0 ? oldest : draw(runner, (uint32_t)runner->open_count);
	for (size_t i = 0; i < runner->open_count && runner->open[picked].arrival == ARRIVAL_LATE; i++)
		picked = (picked + 1) % runner->open_count;
	return picked;
}

static bool post_group(struct runner *runner)
{
	size_t count = 1;
	if (runner->style == 2)
		count = 1 + draw(runner, (uint32_t)runner->open_count);
	else if (runner->style == 3)
		count = runner->open_count;
	else if (draw(runner, 30) == 0)
		count = 0; /* a step that nothing was posted for */
	bool fine = true;
	for (size_t i = 0; i < count && fine; i++)
		fine = post(runner, pick(runner));
	return fine;
}

/* Steps. */

static bool check_twin(struct runner *runner, const struct instance_step *other)
{
	const struct instance_step *step = &runner->step;
	if (step->state != other->state || step->call_count != other->call_count ||
	    step->reductions != other->reductions)
		return wrong(runner,
		             "made again, the step gives state %d, %u calls, %u reductions instead of %d, %u, %u",
		             other->state, other->call_count, other->reductions, step->state, step->call_count,
		             step->reductions);
	for (uint32_t i = 0; i < step->call_count; i++)
		if (step->calls[i].ref != other->calls[i].ref ||
		    !slice_equal(text_slice(step->calls[i].args), text_slice(other->calls[i].args)))
			return wrong(runner, "made again, the step opens other calls");
	if (runner->number > PRINTED_STEPS && runner->number % 16 != 0)
		return true;
	buffer_clear(&runner->print);
	buffer_clear(&runner->twin_print);
	instance_print(runner->instance, &runner->print);
	instance_print(runner->twin, &runner->twin_print);
	if (!slice_equal(buffer_slice(&runner->print), buffer_slice(&runner->twin_print)))
		return wrong(runner, "made again, the state is\n%s\ninstead of\n%s", buffer_string(&runner->twin_print),
		             buffer_string(&runner->print));
	return true;
}

static bool check_step(struct runner *runner)
{
	struct buffer blocked = BUFFER_EMPTY;
	for (uint32_t i = 0; i < runner->step.call_count; i++)
		if (!open_call(runner, &runner->step.calls[i]))
			return false;
	if (instance_open_count(runner->instance) != runner->open_count)
		return wrong(runner, "%u calls are open instead of %zu", instance_open_count(runner->instance),
		             runner->open_count);
	bool running = runner->open_count > 0;
	if (runner->step.state == (running ? INSTANCE_RUNNING : INSTANCE_COMPLETED))
		return true;
	instance_blocked(runner->instance, &blocked);
	wrong(runner, "%s with %zu open calls; what is blocked:\n%s",
	      runner->step.state == INSTANCE_STUCK       ? "stuck"
	      : runner->step.state == INSTANCE_COMPLETED ? "completed"
	                                                 : "the instance ends",
	      runner->open_count, buffer_string(&blocked));
	buffer_finish(&blocked);
	return false;
}

static bool next_step(struct runner *runner)
{
	struct instance_step other;
	runner->number++;
	if (!post_group(runner))
		return false;
	instance_reduce(runner->instance, &runner->step);
	if (runner->twin != NULL) {
		instance_reduce(runner->twin, &other);
		if (!check_twin(runner, &other))
			return false;
	}
	if (!check_step(runner) || !post_refused(runner))
		return false;
	if (draw(runner, 200) == 0) {
		instance_destroy(runner->twin); /* in the middle of what it does */
		runner->twin = NULL;
	}
	return runner->number < STEPS_MAX || wrong(runner, "no end after %u steps", STEPS_MAX);
}

static bool first_step(struct runner *runner)
{
	const struct instance_limits limits = {.reductions = REDUCTIONS_MAX, .each_window = runner->run->each_window};
	struct instance_step other;
	instance_create(runner->run->workflow, runner->run->args, &limits, &runner->instance, &runner->step);
	instance_create(runner->run->workflow, runner->run->args, &limits, &runner->twin, &other);
	return check_twin(runner, &other) && check_step(runner) && post_refused(runner);
}

bool run_instance(struct run *run)
{
	struct runner runner = {.run = run};
	runner.style = draw(&runner, 4);
	bool fine = first_step(&runner);
	while (fine && runner.step.state == INSTANCE_RUNNING)
		fine = next_step(&runner);
	if (fine)
		run->result = instance_result(runner.instance);
	run->steps = runner.number;
	run->calls = runner.last_ref;
	while (runner.open_count > 0)
		text_release(runner.open[--runner.open_count].answer);
	mem_free(runner.open);
	instance_destroy(runner.instance);
	instance_destroy(runner.twin);
	buffer_finish(&runner.print);
	buffer_finish(&runner.twin_print);
	arena_finish(&runner.arena);
	return fine;
}

void run_finish(struct run *run)
{
	call_log_finish(&run->log);
	text_release(run->result);
	run->result = NULL;
}
