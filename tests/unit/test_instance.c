/* Instances from outside: whole workflows, results in any order, limits, memory. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "instance_fixture.h"

#include <stdio.h>
#include <stdlib.h>

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct fixture));
	return 0;
}

static int teardown(void **state)
{
	fixture_finish(*state);
	free(*state);
	return 0;
}

/* The running example: R : X → (Y, Z) from Split : X → (A, B), Work : A → Y, Other : B → Z. */
#define R                                                                                                               \
	"process Split(x) process Work(a) process Other(b)"                                                             \
	"workflow R(x) -> o { Call(Split, x; s) ParIn(s; a, b) Call(Work, a; y) Call(Other, b; z) ParOut(o; y, z) }"

static void running_example(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture, R, "R", "{\"x\":21}");
	assert_int_equal(fixture->step.state, INSTANCE_RUNNING);
	assert_string_equal(fixture_calls(fixture), "1 Split {\"x\":21}");
	fixture_return(fixture, 1, "[2,1]");
	assert_string_equal(fixture_calls(fixture), "2 Work {\"a\":2}, 3 Other {\"b\":1}");
	fixture_return(fixture, 2, "\"PbISleptFor2s\"");
	assert_int_equal(fixture->step.state, INSTANCE_RUNNING);
	assert_int_equal(fixture->step.call_count, 0);
	fixture_return(fixture, 3, "\"PcISleptFor1s\"");
	assert_string_equal(fixture_result(fixture), "[\"PbISleptFor2s\",\"PcISleptFor1s\"]");
	assert_int_equal(instance_open_count(fixture->instance), 0);
}

static void several_results_make_one_step(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture, R, "R", "{\"x\":21}");
	fixture_return(fixture, 1, "[2,1]");
	assert_int_equal(fixture_post(fixture, 3, "\"z\""), 0);
	assert_int_equal(fixture_post(fixture, 2, "\"y\""), 0);
	fixture_reduce(fixture);
	assert_string_equal(fixture_result(fixture), "[\"y\",\"z\"]");
}

static void instance_can_start_partly_reduced(void **state)
{
	struct fixture *fixture = *state;
	/* R from A = 1 and B = 2: what Split would have given is an argument. */
	fixture_start(fixture,
	              "process Work(a) process Other(b)"
	              "workflow FromAB(s) -> o { ParIn(s; a, b) Call(Work, a; y) Call(Other, b; z) ParOut(o; y, z) }",
	              "FromAB", "{\"s\":[1,2]}");
	assert_string_equal(fixture_calls(fixture), "1 Work {\"a\":1}, 2 Other {\"b\":2}");
	fixture_return(fixture, 2, "\"z\"");
	fixture_return(fixture, 1, "\"y\"");
	assert_string_equal(fixture_result(fixture), "[\"y\",\"z\"]");
}

static void step_without_results_changes_nothing(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture, R, "R", "{\"x\":21}");
	char *before = mem_string(fixture_print(fixture));
	fixture_reduce(fixture);
	assert_int_equal(fixture->step.state, INSTANCE_RUNNING);
	assert_int_equal(fixture->step.call_count, 0);
	assert_int_equal(fixture->step.reductions, 0);
	assert_string_equal(fixture_print(fixture), before);
	mem_free(before);
}

/* Sums: Pd : X → A ⊕ (B ⊗ G), Pe : B ⊕ A → Y. */

#define SUMS                                                                                                            \
	"process Pd(x) process Pe(s)"                                                                                   \
	"workflow R3(x) -> o { Call(Pd, x; d) WithIn(d;"                                                                \
	"  left a -> { Select(o, left, a) }"                                                                            \
	"  right r -> { ParIn(r; b, g) Select(s, left, b) Call(Pe, s; y) ParOut(p; y, g) Select(o, right, p) }) }"      \
	"workflow R3b(x) -> o { Call(Pd, x; d) WithIn(d;"                                                               \
	"  left a -> { Select(s, right, a) Call(Pe, s; y) Select(o, left, y) }"                                         \
	"  right r -> { Select(o, right, r) }) }"

/* A process that joins strings: Pd by the length of x, Pe by the side it got. */
static void serve(struct fixture *fixture)
{
	while (fixture->step.state == INSTANCE_RUNNING) {
		assert_int_equal(fixture->step.call_count, 1);
		const struct instance_call *call = &fixture->step.calls[0];
		uint32_t ref = call->ref;
		char value[64];
		char json[200];
		if (slice_is(call->process->name, "Pd")) {
			assert_int_equal(sscanf(call->args->data, "{\"x\":\"%60[^\"]", value), 1);
			if (strlen(value) < 3)
				snprintf(json, sizeof json, "{\"left\":\"%sA\"}", value);
			else
				snprintf(json, sizeof json, "{\"right\":[\"%sB\",\"%sC\"]}", value, value);
		} else if (sscanf(call->args->data, "{\"s\":{\"left\":\"%60[^\"]", value) == 1) {
			snprintf(json, sizeof json, "\"%s:L\"", value);
		} else {
			assert_int_equal(sscanf(call->args->data, "{\"s\":{\"right\":\"%60[^\"]", value), 1);
			snprintf(json, sizeof json, "\"%s:R\"", value);
		}
		fixture_return(fixture, ref, json);
	}
}

static void sums_take_either_side(void **state)
{
	static const char *const rows[][3] = {
		{"R3", "{\"x\":\"ab\"}", "{\"left\":\"abA\"}"},
		{"R3", "{\"x\":\"abc\"}", "{\"right\":[\"abcB:L\",\"abcC\"]}"},
		{"R3b", "{\"x\":\"ab\"}", "{\"left\":\"abA:R\"}"},
		{"R3b", "{\"x\":\"abc\"}", "{\"right\":[\"abcB\",\"abcC\"]}"},
	};
	struct fixture *fixture = *state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		fixture_start(fixture, SUMS, rows[i][0], rows[i][1]);
		serve(fixture);
		assert_string_equal(fixture_result(fixture), rows[i][2]);
	}
}

/* Loops. */

#define COUNTDOWN                                                                                                       \
	"process Step(n)"                                                                                               \
	"workflow Countdown(n) -> o { Call(Step, n; s) WithIn(s; left m -> { Call(Countdown, m; o) } right d -> { Id(d, o) }) }"

static void guarded_loop_ends(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture, COUNTDOWN, "Countdown", "{\"n\":3}");
	assert_string_equal(fixture_calls(fixture), "1 Step {\"n\":3}");
	fixture_return(fixture, 1, "{\"left\":2}");
	assert_string_equal(fixture_calls(fixture), "2 Step {\"n\":2}");
	fixture_return(fixture, 2, "{\"left\":1}");
	assert_string_equal(fixture_calls(fixture), "3 Step {\"n\":1}");
	fixture_return(fixture, 3, "{\"right\":\"done\"}");
	assert_string_equal(fixture_result(fixture), "\"done\"");
}

/* Runs a loop of Step calls; from the second turn on it must not grow. */
static void loop_keeps_its_size(struct fixture *fixture, const char *source, const char *args, uint32_t turns)
{
	size_t size = 0;
	fixture_start(fixture, source, "Loop", args);
	for (uint32_t turn = 0; turn < turns; turn++) {
		assert_int_equal(fixture->step.state, INSTANCE_RUNNING);
		assert_int_equal(fixture->step.call_count, 1);
		fixture_return(fixture, fixture->step.calls[0].ref, "{\"left\":7}");
		if (turn == 4)
			size = instance_size(fixture->instance);
		if (turn > 4)
			assert_true(instance_size(fixture->instance) <= size);
	}
	assert_true(size < 4096);
}

static void endless_loop_keeps_a_constant_state(void **state)
{
	loop_keeps_its_size(*state,
	                    "process Step(n) workflow Loop(n) -> o { Call(Step, n; s) WithIn(s;"
	                    "  left m -> { Call(Loop, m; o) } right d -> { Id(d, o) }) }",
	                    "{\"n\":7}", 1000000);
}

static void loop_called_in_the_middle_keeps_a_constant_state(void **state)
{
	loop_keeps_its_size(*state,
	                    "process Step(n) process Last(n)"
	                    "workflow Inner(n) -> o { Call(Step, n; s) WithIn(s;"
	                    "  left m -> { Call(Inner, m; o) } right d -> { Id(d, o) }) }"
	                    "workflow Loop(n) -> o { Call(Inner, n; i) Call(Last, i; l) ListOut(o; l) }",
	                    "{\"n\":7}", 10000);
}

static void channel_that_is_handed_on_keeps_a_constant_state(void **state)
{
	struct fixture *fixture = *state;
	/* k is not there yet in any of the turns. */
	fixture_start(fixture,
	              "process Step(n)"
	              "workflow Inner(n, k) -> o { Call(Step, n; s) WithIn(s;"
	              "  left m -> { Call(Inner, m, k; o) } right d -> { ParOut(o; d, k) }) }"
	              "workflow Loop(n) -> o { Signal(s; k) Call(Inner, n, k; o) }",
	              "Loop", "{\"n\":7}");
	size_t size = 0;
	for (uint32_t ref = 2; ref < 10000; ref++) {
		fixture_return(fixture, ref, "{\"left\":7}");
		if (ref == 10)
			size = instance_size(fixture->instance);
		assert_true(ref <= 10 || instance_size(fixture->instance) <= size);
	}
	fixture_return(fixture, 1, "\"k\"");
	fixture_return(fixture, 10000, "{\"left\":7}");
	fixture_return(fixture, 10001, "{\"right\":1}");
	assert_string_equal(fixture_result(fixture), "[1,\"k\"]");
}

static void structure_made_anew_in_each_turn_keeps_a_constant_state(void **state)
{
	loop_keeps_its_size(*state,
	                    "process Step(n)"
	                    "workflow Loop(acc) -> o { ParIn(acc; n, old) Copy(n; a, b) Call(Step, a; s) WithIn(s;"
	                    "  left m -> { Discard(old) ParOut(next; m, b) Call(Loop, next; o) }"
	                    "  right d -> { Discard(d) ParOut(o; b, old) }) }",
	                    "{\"acc\":[1,2]}", 10000);
}

static void open_channel_in_a_structure_keeps_a_constant_state(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "process Step(n)"
	              "workflow Inner(acc) -> o { ParIn(acc; n, k) Call(Step, n; s) WithIn(s;"
	              "  left m -> { Copy(k; k1, k2) ParOut(pair; k1, m) Copy(pair; p, q) Discard(q) ParIn(p; l, r)"
	              "    Discard(l) ParOut(next; r, k2) Call(Inner, next; o) }"
	              "  right d -> { ParOut(o; d, k) }) }"
	              "workflow Loop(n) -> o { Signal(s; k) ParOut(acc; n, k) Call(Inner, acc; o) }",
	              "Loop", "{\"n\":7}");
	size_t size = 0;
	for (uint32_t ref = 2; ref < 10000; ref++) {
		fixture_return(fixture, ref, "{\"left\":7}");
		if (ref == 10)
			size = instance_size(fixture->instance);
		assert_true(ref <= 10 || instance_size(fixture->instance) <= size);
	}
}

/* Results that are not wanted. */

static void unknown_reference_is_ignored(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture, R, "R", "{\"x\":21}");
	char *before = mem_string(fixture_print(fixture));
	assert_int_equal(fixture_post(fixture, 0, "1"), ERR_NOT_FOUND);
	assert_int_equal(fixture_post(fixture, 2, "1"), ERR_NOT_FOUND);
	assert_int_equal(fixture_post(fixture, UINT32_MAX, "1"), ERR_NOT_FOUND);
	assert_string_equal(fixture_print(fixture), before);
	assert_string_equal(fixture_calls(fixture), "1 Split {\"x\":21}");
	mem_free(before);
}

static void duplicate_result_is_ignored(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture, R, "R", "{\"x\":21}");
	assert_true(instance_call_open(fixture->instance, 1));
	assert_int_equal(fixture_post(fixture, 1, "[2,1]"), 0);
	assert_false(instance_call_open(fixture->instance, 1));
	assert_int_equal(fixture_post(fixture, 1, "[7,7]"), ERR_NOT_FOUND);
	fixture_reduce(fixture);
	assert_int_equal(fixture_post(fixture, 1, "[7,7]"), ERR_NOT_FOUND);
	assert_string_equal(fixture_calls(fixture), "2 Work {\"a\":2}, 3 Other {\"b\":1}");
	fixture_return(fixture, 3, "3");
	fixture_return(fixture, 2, "2");
	for (uint32_t ref = 1; ref <= 4; ref++)
		assert_int_equal(fixture_post(fixture, ref, "7"), ERR_NOT_FOUND);
	fixture_reduce(fixture);
	assert_int_equal(fixture->step.state, INSTANCE_COMPLETED);
	assert_string_equal(fixture_result(fixture), "[2,3]");
}

/* How it ends. */

static void stuck_instance_lists_its_blocked_channels(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "process P(a, b)"
	              "workflow V(a) -> o { Member(a, k; o) }"
	              "workflow W(x) -> o { Call(P, x, y; p) ParIn(z; l, r) Call(V, u; v) Sleep(l; s) Discard(s)"
	              "  After(v; { Discard(p) Id(r, o) }) }",
	              "W", "{\"x\":1}");
	assert_int_equal(fixture->step.state, INSTANCE_STUCK);
	assert_string_equal(fixture_blocked(fixture), "W#1.y is awaited by W#1: Call(P, x, y; p)\n"
	                                              "W#1.z is awaited by W#1: ParIn(z; l, r)\n"
	                                              "W#1.l is awaited by W#1: Sleep(l; s)\n"
	                                              "W#1.v is awaited by W#1: After(v)\n"
	                                              "W#1.u is awaited by V#2: Member(a, k; o)\n"
	                                              "W#1.o is awaited by the result\n");
}

static void waiting_call_keeps_an_instance_from_completing(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture, "process P(a) workflow W() -> o { Out(o, 1) Call(P, a; b) Discard(b) Signal(s; c) Discard(c) }",
	              "W", "{}");
	assert_int_equal(fixture->step.state, INSTANCE_RUNNING);
	fixture_return(fixture, 1, "null");
	assert_int_equal(fixture->step.state, INSTANCE_STUCK);
	assert_string_equal(fixture_blocked(fixture), "W#1.a is awaited by W#1: Call(P, a; b)\n");
}

static void blocked_list_is_bounded(void **state)
{
	struct fixture *fixture = *state;
	struct buffer source = BUFFER_EMPTY;
	buffer_append_string(&source, "workflow W() -> o { ");
	for (int i = 0; i < 60; i++)
		buffer_format(&source, "ParIn(x%d; a%d, b%d) ", i, i, i);
	buffer_append_string(&source, "} workflow V() -> o { Call(W; p) Call(W; q) ParOut(o; p, q) }");
	fixture_start(fixture, buffer_string(&source), "V", "{}");
	const char *blocked = fixture_blocked(fixture);
	size_t lines = 0;
	for (const char *at = blocked; (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	assert_int_equal(lines, 102);
	assert_non_null(strstr(blocked, "and 20 more\n"));
	buffer_finish(&source);
}

static void channels_of_one_name_are_told_apart(void **state)
{
	struct fixture *fixture = *state;
	fixture->set = program_set_parse("workflow W() -> o { ParIn(x; a, b) ParIn(y; c, d) ParIn(z; e, f) }");
	const struct program *program = program_set_find(fixture->set, "W")->program;
	for (uint32_t i = 0; i < program->channel_count; i++) {
		struct slice name = program->channel_names[i];
		if (slice_is(name, "y") || slice_is(name, "z"))
			program->channel_names[i] = SLICE("x");
		else if (!slice_is(name, "x"))
			program->channel_names[i] = (struct slice){NULL, 0};
	}
	fixture_start(fixture, NULL, "W", "{}");
	assert_string_equal(fixture_print(fixture), "stuck\n"
	                                            "inputs\n"
	                                            "  W#1: ParIn(x; c2, c3)\n"
	                                            "  W#1: ParIn(x.1; c5, c6)\n"
	                                            "  W#1: ParIn(x.2; c8, c9)\n");
	assert_non_null(strstr(fixture_blocked(fixture), "W#1.out is awaited by the result\n"));
}

static void print_shortens_what_is_long(void **state)
{
	struct fixture *fixture = *state;
	struct buffer source = BUFFER_EMPTY;
	struct buffer args = BUFFER_EMPTY;
	buffer_append_string(&args, "{\"x\":\"");
	for (int i = 0; i < 150; i++)
		buffer_append_string(&args, "é");
	buffer_append_string(&args, "\"}");
	buffer_append_string(&source, "workflow W(x) -> o { WithIn(y; red -> { } _ -> { }) Select(z, red) ListOut(o; z");
	for (int i = 0; i < 30; i++)
		buffer_format(&source, ", c%d", i);
	buffer_append_string(&source, ") }");
	fixture_start(fixture, buffer_string(&source), "W", buffer_string(&args));
	const char *print = fixture_print(fixture);
	/* 200 bytes would end in the middle of a character. */
	assert_non_null(strstr(print, "é… (302 bytes)\n"));
	assert_non_null(strstr(print, "W#1.c14, … (31 parts))\n"));
	assert_null(strstr(print, "c15"));
	assert_non_null(strstr(print, " = Choice(red)\n"));
	assert_non_null(strstr(print, "WithIn(y; red, _)\n"));
	buffer_finish(&source);
	buffer_finish(&args);
}

static void runaway_is_stopped(void **state)
{
	struct fixture *fixture = *state;
	fixture->limits.reductions = 1000;
	fixture_start(fixture,
	              "process P(x) workflow W(x) -> o { Copy(x; a, b) Call(P, a; p) Discard(p) Call(W, b; o) }", "W",
	              "{\"x\":1}");
	assert_int_equal(fixture->step.state, INSTANCE_RUNAWAY);
	assert_in_range(fixture->step.reductions, 1000, 1010);
	assert_int_equal(fixture->step.call_count, 0);
	assert_int_equal(fixture_post(fixture, 1, "1"), ERR_NOT_FOUND);
	fixture_reduce(fixture);
	assert_int_equal(fixture->step.state, INSTANCE_RUNAWAY);
	assert_int_equal(fixture->step.reductions, 0);
}

static void runaway_after_calls_lets_them_close(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "process P() workflow L(x) -> o { Call(L, x; o) }"
	              "workflow W() -> o { Call(P; a) Call(P; b) After(a; { Call(L, b; o) }) }",
	              "W", "{}");
	fixture_return(fixture, 1, "1");
	assert_int_equal(fixture->step.state, INSTANCE_RUNAWAY);
	assert_int_equal(fixture->step.reductions, 100001);
	assert_int_equal(instance_open_count(fixture->instance), 1);
	fixture_return(fixture, 2, "1");
	assert_int_equal(fixture->step.state, INSTANCE_RUNAWAY);
	assert_int_equal(instance_open_count(fixture->instance), 0);
}

static void scanning_much_json_counts(void **state)
{
	struct fixture *fixture = *state;
	struct buffer args = BUFFER_EMPTY;
	buffer_append_string(&args, "{\"x\":[\"");
	for (int i = 0; i < 20480; i++)
		buffer_append_char(&args, 'x');
	buffer_append_string(&args, "\",1]}");
	fixture_start(fixture, "workflow W(x) -> o { ParIn(x; a, b) Discard(a) Id(b, o) }", "W", buffer_string(&args));
	assert_int_equal(fixture->step.state, INSTANCE_COMPLETED);
	assert_int_equal(fixture->step.reductions, 23);
	buffer_finish(&args);
}

/* Determinism. */

#define WIDE                                                                                                            \
	"process P(x) process Q(x, y) process S(x)"                                                                     \
	"each B(e, k) -> r { Call(Q, e, k; q) Copy(q; a, b) Call(P, a; c) ParOut(r; c, b) }"                            \
	"workflow V(x) -> o { Call(S, x; s) WithIn(s; left l -> { Call(V, l; o) } right r -> { Call(P, r; o) }) }"      \
	"workflow W(x, k) -> o { Copy(k; k1, k2, k3) Each(x, B, k1; l; 3) Call(V, k2; v) Call(V, k3; w)"                \
	"  RecOut(o; l=l, v=v, w=w) }"
#define WIDE_ARGS "{\"x\":[1,2,3,4,5,6,7],\"k\":\"key\"}"

struct posted {
	uint32_t ref;
	bool ends_step;
	const char *json;
};

/* Answers S three times left, then right; everything else with its reference. */
static const char *answer(const struct instance_call *call, uint32_t *turns)
{
	if (call->kind == INSTANCE_CALL_PROCESS && slice_is(call->process->name, "S"))
		return ++*turns % 4 != 0 ? "{\"left\":0}" : "{\"right\":1}";
	return "5";
}

struct recording {
	struct posted posts[256];
	size_t post_count;
	char *prints[256];
	char *calls[256];
	size_t step_count;
};

static void record_step(struct fixture *fixture, struct recording *recording)
{
	assert_in_range(recording->step_count, 0, 255);
	recording->calls[recording->step_count] = mem_string(fixture_calls(fixture));
	recording->prints[recording->step_count++] = mem_string(fixture_print(fixture));
}

/* Runs WIDE to its end, results in an order drawn from the seed. */
static void record(struct fixture *fixture, struct random *random, struct recording *recording)
{
	struct posted open[64];
	size_t open_count = 0;
	uint32_t turns = 0;
	fixture_start(fixture, WIDE, "W", WIDE_ARGS);
	record_step(fixture, recording);
	while (fixture->step.state == INSTANCE_RUNNING) {
		for (uint32_t i = 0; i < fixture->step.call_count; i++)
			open[open_count++] = (struct posted){fixture->step.calls[i].ref, false,
			                                     answer(&fixture->step.calls[i], &turns)};
		uint64_t batch = 1 + random_below(random, 3);
		for (uint64_t i = 0; i < batch && open_count != 0; i++) {
			size_t pick = (size_t)random_below(random, open_count);
			struct posted posted = open[pick];
			open[pick] = open[--open_count];
			assert_int_equal(fixture_post(fixture, posted.ref, posted.json), 0);
			recording->posts[recording->post_count++] = posted;
		}
		recording->posts[recording->post_count - 1].ends_step = true;
		fixture_reduce(fixture);
		record_step(fixture, recording);
	}
	assert_int_equal(fixture->step.state, INSTANCE_COMPLETED);
}

static void recording_finish(struct recording *recording)
{
	for (size_t i = 0; i < recording->step_count; i++) {
		mem_free(recording->prints[i]);
		mem_free(recording->calls[i]);
	}
}

static void instance_is_rebuilt_from_its_steps(void **state)
{
	struct fixture *fixture = *state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct random random = {seed};
		struct recording recording = {0};
		record(fixture, &random, &recording);
		char *result = mem_string(fixture_result(fixture));
		fixture_start(fixture, NULL, "W", WIDE_ARGS);
		size_t step = 0;
		assert_string_equal(fixture_print(fixture), recording.prints[step]);
		for (size_t i = 0; i < recording.post_count; i++) {
			assert_int_equal(fixture_post(fixture, recording.posts[i].ref, recording.posts[i].json), 0);
			if (!recording.posts[i].ends_step)
				continue;
			fixture_reduce(fixture);
			step++;
			assert_string_equal(fixture_calls(fixture), recording.calls[step]);
			assert_string_equal(fixture_print(fixture), recording.prints[step]);
		}
		assert_int_equal(step + 1, recording.step_count);
		assert_string_equal(fixture_result(fixture), result);
		mem_free(result);
		recording_finish(&recording);
	}
}

static void instance_can_be_destroyed_at_any_step(void **state)
{
	struct fixture *fixture = *state;
	for (size_t steps = 0; steps < 40; steps++) {
		fixture_start(fixture, steps == 0 ? WIDE : NULL, "W", WIDE_ARGS);
		for (size_t i = 0; i < steps && fixture->step.state == INSTANCE_RUNNING; i++) {
			uint32_t ref = 1;
			while (!instance_call_open(fixture->instance, ref))
				ref++;
			fixture_return(fixture, ref, "{\"right\":5}");
		}
		instance_destroy(fixture->instance);
		fixture->instance = NULL;
	}
}

/* Memory. */

static void sleeping_instance_is_small(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "process Make(o) process Ship(p)"
	              "workflow W(o, d) -> s { Call(Make, o; m) Sleep(d; w) After(w; { Call(Ship, m; s) }) }",
	              "W", "{\"o\":12345,\"d\":172800000}");
	fixture_return(fixture, 1, "\"made\"");
	assert_int_equal(instance_open_count(fixture->instance), 1);
	assert_true(instance_size(fixture->instance) < 1536);
}

static void completed_instance_holds_its_result_only(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture, COUNTDOWN, "Countdown", "{\"n\":3}");
	for (uint32_t ref = 1; ref < 1000; ref++)
		fixture_return(fixture, ref, "{\"left\":2}");
	fixture_return(fixture, 1000, "{\"right\":\"done\"}");
	assert_string_equal(fixture_print(fixture), "completed\n"
	                                            "outputs\n"
	                                            "  Countdown#1.o = \"done\"\n");
	assert_true(instance_size(fixture->instance) < 1536);
}

static void many_calls_open_and_close_in_any_order(void **state)
{
	enum { CALLS = 5000 };
	struct fixture *fixture = *state;
	struct buffer args = BUFFER_EMPTY;
	struct random random = {42};
	uint32_t *refs = mem_array(CALLS, sizeof *refs);
	buffer_append_string(&args, "{\"x\":[");
	for (uint32_t i = 0; i < CALLS; i++) {
		buffer_append_string(&args, i == 0 ? "0" : ",0");
		refs[i] = i + 1;
	}
	buffer_append_string(&args, "]}");
	fixture->limits.each_window = CALLS;
	fixture_start(fixture,
	              "process P(x) each B(e) -> r { Call(P, e; r) } workflow W(x) -> o { Each(x, B; l) Discard(l) Out(o, 1) }",
	              "W", buffer_string(&args));
	for (uint32_t left = CALLS; left != 0; left--) {
		uint32_t pick = (uint32_t)random_below(&random, left);
		uint32_t ref = refs[pick];
		refs[pick] = refs[left - 1];
		assert_int_equal(instance_open_count(fixture->instance), left);
		fixture_return(fixture, ref, "0");
		assert_int_equal(fixture_post(fixture, ref, "0"), ERR_NOT_FOUND);
	}
	assert_int_equal(fixture->step.state, INSTANCE_COMPLETED);
	mem_free(refs);
	buffer_finish(&args);
}

static void destroying_nothing_is_fine(void **state)
{
	(void)state;
	instance_destroy(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(running_example),
		TEST(several_results_make_one_step),
		TEST(instance_can_start_partly_reduced),
		TEST(step_without_results_changes_nothing),
		TEST(sums_take_either_side),
		TEST(guarded_loop_ends),
		TEST(endless_loop_keeps_a_constant_state),
		TEST(loop_called_in_the_middle_keeps_a_constant_state),
		TEST(channel_that_is_handed_on_keeps_a_constant_state),
		TEST(structure_made_anew_in_each_turn_keeps_a_constant_state),
		TEST(open_channel_in_a_structure_keeps_a_constant_state),
		TEST(unknown_reference_is_ignored),
		TEST(duplicate_result_is_ignored),
		TEST(stuck_instance_lists_its_blocked_channels),
		TEST(waiting_call_keeps_an_instance_from_completing),
		TEST(blocked_list_is_bounded),
		TEST(channels_of_one_name_are_told_apart),
		TEST(print_shortens_what_is_long),
		TEST(runaway_is_stopped),
		TEST(runaway_after_calls_lets_them_close),
		TEST(scanning_much_json_counts),
		TEST(instance_is_rebuilt_from_its_steps),
		TEST(instance_can_be_destroyed_at_any_step),
		TEST(sleeping_instance_is_small),
		TEST(completed_instance_holds_its_result_only),
		TEST(many_calls_open_and_close_in_any_order),
		TEST(destroying_nothing_is_fine),
	};
	return cmocka_run_group_tests_name("instance", tests, NULL, NULL);
}
