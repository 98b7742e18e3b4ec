#include "trial.h"

#include "base/memory.h"
#include "evaluate.h"
#include "oracle.h"
#include "registration.h"
#include "run.h"

#include <assert.h>

#define RUNS 2 /* of each program */

struct subject {
	struct trial *trial;
	struct world world;
	struct random random;
	bool untidy; /* values come as a careless program writes them */
	struct registered_program registered;
	struct plain *args; /* of Main, with all of them */
	struct arena arena;
};

static bool wrong(struct subject *subject, const char *what, struct slice expected, struct slice found)
{
	buffer_format(&subject->trial->failure, "%s\n  evaluated: %.*s\n  found:     %.*s\n", what,
	              SLICE_ARGS(expected), SLICE_ARGS(found));
	return false;
}

/* Main's arguments as somebody starts it, then as the system takes them. */
static bool make_args(struct subject *subject, struct text **ret_args)
{
	struct world *world = &subject->world;
	const struct syntax_declaration *workflow = world_callable(world, SLICE("Main"));
	struct buffer raw = BUFFER_EMPTY;
	struct buffer accepted = BUFFER_EMPTY;
	struct error error = {0};
	subject->args = plain_object(&subject->arena, workflow->param_count, (struct when){0, 0});
	buffer_append_char(&raw, '{');
	for (uint32_t i = 0; i < workflow->param_count; i++) {
		const struct syntax_param *param = &workflow->params[i];
		subject->args->keys[i] = param->name.text;
		if (param->default_value != NULL && random_below(&subject->random, 2) == 0) {
			subject->args->items[i] = oracle_constant(world, &subject->arena, param->default_value,
			                                          param->type);
			continue;
		}
		subject->args->items[i] = oracle_value(world, &subject->arena, param->type, &subject->random);
		buffer_format(&raw, "%s\"%.*s\":", raw.size > 1 ? "," : "", SLICE_ARGS(param->name.text));
		if (subject->untidy)
			oracle_untidy(world, subject->args->items[i], param->type, false, &subject->random, &raw);
		else
			plain_print(subject->args->items[i], &raw);
	}
	buffer_append_char(&raw, '}');
	bool fine = definition_accept_args(subject->registered.workflow, buffer_slice(&raw), &accepted, &error) == 0;
	if (fine)
		*ret_args = text_create(buffer_slice(&accepted));
	else
		buffer_format(&subject->trial->failure, "the arguments %s are refused: %s\n", buffer_string(&raw),
		              error.text);
	buffer_finish(&raw);
	buffer_finish(&accepted);
	return fine;
}

/* To the byte, or as JSON values when results were written carelessly. */
static bool check_result(struct subject *subject, const struct plain *expected, const struct run *run)
{
	struct buffer left = BUFFER_EMPTY;
	struct buffer right = BUFFER_EMPTY;
	struct slice found = text_slice(run->result);
	if (run->untidy) {
		plain_canonical(expected, &left);
		plain_canonical(plain_parse(&subject->arena, found, (struct when){0, 0}), &right);
	} else {
		plain_print(expected, &left);
		buffer_append_slice(&right, found);
	}
	bool fine = slice_equal(buffer_slice(&left), buffer_slice(&right));
	if (!fine)
		wrong(subject, "the results differ", buffer_slice(&left), buffer_slice(&right));
	struct buffer accepted = BUFFER_EMPTY;
	struct error error = {0};
	if (fine && (type_accept(run->workflow->result, found, TYPE_ARGUMENT, &accepted, &error) != 0 ||
	             !slice_equal(buffer_slice(&accepted), found))) {
		buffer_format(&subject->trial->failure, "the result is not of its type: %.*s: %s\n", SLICE_ARGS(found),
		              error.text);
		fine = false;
	}
	buffer_finish(&accepted);
	buffer_finish(&left);
	buffer_finish(&right);
	return fine;
}

/* Evaluates again, now that it is known when each call returned. */
static bool check_run(struct subject *subject, struct run *run)
{
	struct evaluation evaluation;
	evaluation_init(&evaluation, &subject->world);
	evaluation.log = &run->log;
	evaluation.each_window = run->each_window;
	const struct plain *expected = evaluate(&evaluation, SLICE("Main"), subject->args);
	assert(!evaluation.too_large);
	bool fine = check_result(subject, expected, run);
	fine = call_log_check(&run->log, &subject->trial->failure) && fine;
	if (evaluation.failure.size > 0) {
		buffer_append_slice(&subject->trial->failure, buffer_slice(&evaluation.failure));
		fine = false;
	}
	evaluation_finish(&evaluation);
	return fine;
}

static bool run_once(struct subject *subject, struct text *args)
{
	static const uint32_t windows[] = {0, 0, 1, 2, 5};
	struct run run = {
		.world = &subject->world,
		.workflow = subject->registered.workflow,
		.args = args,
		.random = {random_next(&subject->random)},
		.untidy = subject->untidy,
		.each_window = windows[random_below(&subject->random, 5)],
		.failure = &subject->trial->failure,
	};
	bool fine = run_instance(&run) && check_run(subject, &run);
	subject->trial->calls += run.calls;
	subject->trial->steps += run.steps;
	run_finish(&run);
	return fine;
}

static enum verdict run_program(struct subject *subject)
{
	struct evaluation evaluation;
	struct text *args = NULL;
	if (!make_args(subject, &args))
		return VERDICT_WRONG;
	evaluation_init(&evaluation, &subject->world);
	evaluate(&evaluation, SLICE("Main"), subject->args);
	enum verdict verdict = evaluation.too_large ? VERDICT_TOO_LARGE : VERDICT_FINE;
	if (evaluation.failure.size > 0) {
		buffer_append_slice(&subject->trial->failure, buffer_slice(&evaluation.failure));
		verdict = VERDICT_WRONG;
	}
	evaluation_finish(&evaluation);
	for (int i = 0; i < RUNS && verdict == VERDICT_FINE; i++)
		if (!run_once(subject, args))
			verdict = VERDICT_WRONG;
	text_release(args);
	return verdict;
}

enum verdict trial_run(struct trial *trial, struct choices *choices, uint64_t seed)
{
	struct subject subject = {.trial = trial, .random = {seed}};
	enum verdict verdict = VERDICT_WRONG;
	*trial = (struct trial){.failure = BUFFER_EMPTY};
	subject.untidy = random_below(&subject.random, 2) == 0;
	generate(choices, &trial->program);
	const struct slice texts[] = {buffer_slice(&trial->program.types), buffer_slice(&trial->program.processes),
	                              buffer_slice(&trial->program.workflows)};
	if (world_init(&subject.world, texts, 3, &trial->failure) == 0 &&
	    register_program(&subject.registered, &trial->program, &subject.random, &trial->failure))
		verdict = run_program(&subject);
	registered_program_finish(&subject.registered);
	world_finish(&subject.world);
	arena_finish(&subject.arena);
	return verdict;
}

void trial_finish(struct trial *trial)
{
	generated_finish(&trial->program);
	buffer_finish(&trial->failure);
}
