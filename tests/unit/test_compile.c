#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "registry_fixture.h"
#include "workflow/instance.h"

static struct registry_fixture fixture;

static int begin(void **state)
{
	(void)state;
	registry_fixture_init(&fixture);
	return 0;
}

static int end(void **state)
{
	(void)state;
	registry_fixture_finish(&fixture);
	return 0;
}

/* What workflows here call. */
#define CALLED                                                                                                       \
	"process Split(x: X) -> A * B process Work(a: A) -> Y process Other(b: B) -> Z process Two(a: A, b: A) -> Y " \
	"process Is(a: A) -> Bool process Sum(x: X) -> A + B "

/* The program of workflow W. */
static void assert_compiled(const char *workflow, const char *expected)
{
	struct buffer source = BUFFER_EMPTY;
	buffer_format(&source, "%s%s", CALLED, workflow);
	assert_string_equal(registry_fixture_print(&fixture, buffer_string(&source), "W"), expected);
	buffer_finish(&source);
}

static void steps_of_a_block_are_parallel(void **state)
{
	(void)state;
	assert_compiled("workflow W(x: X) -> Y * Z { (a, b) = Split(x) (Work(a), Other(b)) }",
	                "W(x; out)\n"
	                "  Call(Split@1, x; c2)\n"
	                "  ParIn(c2; a, b)\n"
	                "  Call(Work@1, a; c5)\n"
	                "  Call(Other@1, b; c6)\n"
	                "  ParOut(out; c5, c6)\n");
}

static void arms_are_guarded(void **state)
{
	(void)state;
	const char *const source = "process Check(o: Order) -> Valid + Refused\n"
				   "process Pack(v: Valid) -> Parcel\nprocess Repay(r: Refused) -> Refund\n"
				   "workflow Ship(o: Order) -> Parcel + Refund {\n"
				   "  case Check(o) {\n    left  v -> left Pack(v)\n    right r -> right Repay(r)\n  }\n}";
	assert_string_equal(registry_fixture_print(&fixture, source, "Ship"),
	                "Ship(o; out)\n"
	                "  Call(Check@1, o; c2)\n"
	                "  WithIn(c2;\n"
	                "    left v →\n"
	                "      Call(Pack@1, v; c4)\n"
	                "      Select(out, left, c4),\n"
	                "    right r →\n"
	                "      Call(Repay@1, r; c6)\n"
	                "      Select(out, right, c6))\n");
}

static void tail_call_hands_its_output_on(void **state)
{
	(void)state;
	const char *const source = "process Step(n: N) -> N + Done\n"
				   "workflow Countdown(n: N) -> Done { case Step(n) { left m -> Countdown(m)  right d -> d } }";
	assert_string_equal(registry_fixture_print(&fixture, source, "Countdown"),
	                "Countdown(n; out)\n"
	                "  Call(Step@1, n; c2)\n"
	                "  WithIn(c2;\n"
	                "    left m →\n"
	                "      Call(Countdown@1, m; out),\n"
	                "    right d →\n"
	                "      Id(d, out))\n");
}

static void body_of_each_is_a_program(void **state)
{
	(void)state;
	const char *const source =
		"process Count(p: Text) -> Number process Merge(counts: [Number]) -> Summary\n"
		"workflow Report(paths: [Text]) -> Summary { Merge(each p in paths limit 20 { Count(p) }) }";
	assert_string_equal(registry_fixture_print(&fixture, source, "Report"),
	                    "Report(paths; out)\n"
	                    "  Each(paths, Report/each1; c2; 20)\n"
	                    "  Call(Merge@1, c2; out)\n"
	                    "\n"
	                    "Report/each1(p; out)\n"
	                    "  Call(Count@1, p; out)\n");
}

static void value_used_twice_is_copied(void **state)
{
	(void)state;
	assert_compiled("workflow W(a: A) -> Y * A { (Two(a, a), a) }",
	                "W(a; out)\n"
	                "  Copy(a; a.1, a.2, a.3)\n"
	                "  Call(Two@1, a.1, a.2; c2)\n"
	                "  ParOut(out; c2, a.3)\n");
}

static void value_nobody_wants_is_discarded(void **state)
{
	(void)state;
	assert_compiled("workflow W(x: X, u: X) -> A { (a, _) = Split(x) _ = Is(a) a }",
	                "W(x, u; out)\n"
	                "  Discard(u)\n"
	                "  Call(Split@1, x; c3)\n"
	                "  ParIn(c3; a, c5)\n"
	                "  Copy(a; a.1, a.2)\n"
	                "  Discard(c5)\n"
	                "  Call(Is@1, a.1; c6)\n"
	                "  Discard(c6)\n"
	                "  Id(a.2, out)\n");
}

static void value_used_in_some_arms_is_discarded_in_the_others(void **state)
{
	(void)state;
	assert_compiled("workflow W(x: X, a: A, b: A) -> Y { case Sum(x) { left v -> Two(v, a) right _ -> Two(a, a) } }",
	                "W(x, a, b; out)\n"
	                "  Discard(b)\n"
	                "  Call(Sum@1, x; c4)\n"
	                "  WithIn(c4;\n"
	                "    left v →\n"
	                "      Call(Two@1, v, a; out),\n"
	                "    right c6 →\n"
	                "      Copy(a; a.1, a.2)\n"
	                "      Discard(c6)\n"
	                "      Call(Two@1, a.1, a.2; out))\n");
	assert_compiled("workflow W(x: X, a: A, b: A) -> A { case Is(a) { true -> a _ -> b } }",
	                "W(x, a, b; out)\n"
	                "  Discard(x)\n"
	                "  Copy(a; a.1, a.2)\n"
	                "  Call(Is@1, a.1; c4)\n"
	                "  WithIn(c4;\n"
	                "    true →\n"
	                "      Discard(b)\n"
	                "      Id(a.2, out),\n"
	                "    _ →\n"
	                "      Discard(a.2)\n"
	                "      Id(b, out))\n");
}

static void nested_arms_take_one_reading_from_outside(void **state)
{
	(void)state;
	assert_compiled("workflow W(a: A, b: A) -> A { case Is(a) { true -> case Is(b) { true -> a false -> b } "
	                "false -> a } }",
	                "W(a, b; out)\n"
	                "  Copy(a; a.1, a.2)\n"
	                "  Call(Is@1, a.1; c3)\n"
	                "  WithIn(c3;\n"
	                "    true →\n"
	                "      Copy(b; b.1, b.2)\n"
	                "      Call(Is@1, b.1; c5)\n"
	                "      WithIn(c5;\n"
	                "        true →\n"
	                "          Discard(b.2)\n"
	                "          Id(a.2, out),\n"
	                "        false →\n"
	                "          Discard(a.2)\n"
	                "          Id(b.2, out)),\n"
	                "    false →\n"
	                "      Discard(b)\n"
	                "      Id(a.2, out))\n");
}

static void after_guards_the_call_and_its_arguments(void **state)
{
	(void)state;
	assert_compiled("workflow W(x: X, a: A) -> Y { Two(a, { (b, _) = Split(x) b }) after sleep(90s) }",
	                "W(x, a; out)\n"
	                "  Out(c4, 90000)\n"
	                "  Sleep(c4; c3)\n"
	                "  After(c3;\n"
	                "    Call(Split@1, x; c5)\n"
	                "    ParIn(c5; b, c7)\n"
	                "    Discard(c7)\n"
	                "    Call(Two@1, a, b; out))\n");
}

static void each_captures_what_its_body_uses(void **state)
{
	(void)state;
	assert_compiled("workflow W(l: [A], b: A) -> Y * [[Y]] { (Two(b, b), each a in l { each c in [a, b] "
	                "{ Two(c, b) } }) }",
	                "W(l, b; out)\n"
	                "  Copy(b; b.1, b.2, b.3)\n"
	                "  Call(Two@1, b.1, b.2; c3)\n"
	                "  Each(l, W/each1, b.3; c6)\n"
	                "  ParOut(out; c3, c6)\n"
	                "\n"
	                "W/each1(a, b; out)\n"
	                "  Copy(b; b.1, b.2)\n"
	                "  ListOut(c3; a, b.1)\n"
	                "  Each(c3, W/each2, b.2; out)\n"
	                "\n"
	                "W/each2(c, b; out)\n"
	                "  Call(Two@1, c, b; out)\n");
}

static void constants_are_folded(void **state)
{
	(void)state;
	assert_compiled("type L = red | green(Number) process P(r: {a: [Number], b: Text = \"d\", \"c d\": L, e: Json}) -> Y\n"
	                "workflow W() -> Y * (Text + ()) {\n"
	                "  (P({e: [1.50, {\"k\": 2m}], a: [1, 2e3], \"c d\": L.green(4)}), right ()) }",
	                "W(; out)\n"
	                "  Out(c2, {\"e\":[1.50,{\"k\":120000}],\"a\":[1,2e3],\"c d\":{\"green\":4},\"b\":\"d\"})\n"
	                "  Call(P@1, c2; c1)\n"
	                "  Out(c3, {\"right\":null})\n"
	                "  ParOut(out; c1, c3)\n");
}

static void missing_arguments_and_members_take_their_defaults(void **state)
{
	(void)state;
	assert_compiled("process P(n: Number, r: {a: Number, b: Text = \"d\"} = {a: 1}, d: Duration = 3s) -> Y\n"
	                "workflow W(n: Number) -> Y * Y { (P(n), P(d: 4s, n: 5, r: {a: n})) }",
	                "W(n; out)\n"
	                "  Copy(n; n.1, n.2)\n"
	                "  Out(c4, {\"a\":1,\"b\":\"d\"})\n"
	                "  Out(c5, 3000)\n"
	                "  Call(P@1, n.1, c4, c5; c2)\n"
	                "  Out(c7, 5)\n"
	                "  Out(c10, \"d\")\n"
	                "  RecOut(c8; a=n.2, b=c10)\n"
	                "  Out(c11, 4000)\n"
	                "  Call(P@1, c7, c8, c11; c6)\n"
	                "  ParOut(out; c2, c6)\n");
}

static void members_labels_lists_and_signals(void **state)
{
	(void)state;
	assert_compiled("type L = red | green(Number)\n"
	                "workflow W(r: {n: Number, k: Text}) -> [L] { s = signal(\"go\", r.k) as Number\n"
	                "  [L.green(r.n), L.red, L.green(s)] }",
	                "W(r; out)\n"
	                "  Copy(r; r.1, r.2)\n"
	                "  Member(r.1, k; c3)\n"
	                "  Signal(\"go\", c3; s)\n"
	                "  Member(r.2, n; c6)\n"
	                "  Select(c5, green, c6)\n"
	                "  Out(c8, \"red\")\n"
	                "  Select(c9, green, s)\n"
	                "  ListOut(out; c5, c8, c9)\n");
}

static void names_that_are_given_on_make_no_terms(void **state)
{
	(void)state;
	assert_compiled("workflow W(a: A) -> Y { b = a c = { d = b d } Work(c) }",
	                "W(a; out)\n"
	                "  Call(Work@1, a; out)\n");
}

/* The engine runs what the compiler makes. */

struct run {
	struct instance *instance;
	struct instance_step step;
};

static void run_start(struct run *run, const char *source, const char *workflow, const char *args)
{
	static const struct instance_limits limits = {.reductions = 1000, .each_window = 256, .value_size = 1 << 20};
	if (registry_fixture_register(&fixture, source, false) != 0)
		fail_msg("%s", buffer_string(&fixture.text));
	const struct definition *definition = registry_find(fixture.registry, slice_of(workflow), 0);
	struct buffer accepted = BUFFER_EMPTY;
	assert_int_equal(definition_accept_args(definition, slice_of(args), &accepted, NULL), 0);
	struct text *text = text_create(buffer_slice(&accepted));
	assert_int_equal(instance_create(definition, text, &limits, &run->instance, &run->step), 0);
	text_release(text);
	buffer_finish(&accepted);
}

static void run_return(struct run *run, uint32_t ref, const char *json)
{
	struct text *text = text_create(slice_of(json));
	assert_int_equal(instance_post(run->instance, ref, text), 0);
	text_release(text);
	instance_reduce(run->instance, &run->step);
}

static void assert_calls(const struct run *run, const char *expected)
{
	struct buffer out = BUFFER_EMPTY;
	for (uint32_t i = 0; i < run->step.call_count; i++) {
		const struct instance_call *call = &run->step.calls[i];
		struct slice name = call->kind == INSTANCE_CALL_PROCESS ? call->process->name : SLICE("sleep");
		buffer_format(&out, "%s%u %.*s %.*s", i > 0 ? ", " : "", call->ref, SLICE_ARGS(name),
		              SLICE_ARGS(text_slice(call->args)));
	}
	assert_string_equal(buffer_string(&out), expected);
	buffer_finish(&out);
}

static void assert_result(struct run *run, const char *expected)
{
	assert_int_equal(run->step.state, INSTANCE_COMPLETED);
	struct text *result = instance_result(run->instance);
	assert_string_equal(result->data, expected);
	text_release(result);
	instance_destroy(run->instance);
}

static void compiled_workflow_runs(void **state)
{
	(void)state;
	struct run run;
	run_start(&run, CALLED "workflow R(x: X) -> Y * Z { (a, b) = Split(x) (Work(a), Other(b)) }", "R", "{\"x\":21}");
	assert_calls(&run, "1 Split {\"x\":21}");
	run_return(&run, 1, "[2,1]");
	assert_calls(&run, "2 Work {\"a\":2}, 3 Other {\"b\":1}");
	run_return(&run, 3, "\"one\"");
	run_return(&run, 2, "\"two\"");
	assert_result(&run, "[\"two\",\"one\"]");
}

static void compiled_each_runs_with_its_captures(void **state)
{
	(void)state;
	struct run run;
	run_start(&run,
	          CALLED "workflow E(l: [A], k: A) -> [Y] * A { r = each a in l limit 1 { Two(a, k) } (r, k) }", "E",
	          "{\"l\":[1,2],\"k\":9}");
	assert_calls(&run, "1 Two {\"a\":1,\"b\":9}");
	run_return(&run, 1, "\"a\"");
	assert_calls(&run, "2 Two {\"a\":2,\"b\":9}");
	run_return(&run, 2, "\"b\"");
	assert_result(&run, "[[\"a\",\"b\"],9]");
}

static void compiled_loop_ends(void **state)
{
	(void)state;
	struct run run;
	run_start(&run,
	          "process Step(n: N) -> N + Done\n"
	          "workflow C(n: N) -> Done { case Step(n) { left m -> C(m) after sleep(5s) right d -> d } }",
	          "C", "{\"n\":1}");
	assert_calls(&run, "1 Step {\"n\":1}");
	run_return(&run, 1, "{\"left\":0}");
	assert_calls(&run, "2 sleep 5000");
	run_return(&run, 2, "null");
	assert_calls(&run, "3 Step {\"n\":0}");
	run_return(&run, 3, "{\"right\":\"done\"}");
	assert_result(&run, "\"done\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(steps_of_a_block_are_parallel, begin, end),
		cmocka_unit_test_setup_teardown(arms_are_guarded, begin, end),
		cmocka_unit_test_setup_teardown(tail_call_hands_its_output_on, begin, end),
		cmocka_unit_test_setup_teardown(body_of_each_is_a_program, begin, end),
		cmocka_unit_test_setup_teardown(value_used_twice_is_copied, begin, end),
		cmocka_unit_test_setup_teardown(value_nobody_wants_is_discarded, begin, end),
		cmocka_unit_test_setup_teardown(value_used_in_some_arms_is_discarded_in_the_others, begin, end),
		cmocka_unit_test_setup_teardown(nested_arms_take_one_reading_from_outside, begin, end),
		cmocka_unit_test_setup_teardown(after_guards_the_call_and_its_arguments, begin, end),
		cmocka_unit_test_setup_teardown(each_captures_what_its_body_uses, begin, end),
		cmocka_unit_test_setup_teardown(constants_are_folded, begin, end),
		cmocka_unit_test_setup_teardown(missing_arguments_and_members_take_their_defaults, begin, end),
		cmocka_unit_test_setup_teardown(members_labels_lists_and_signals, begin, end),
		cmocka_unit_test_setup_teardown(names_that_are_given_on_make_no_terms, begin, end),
		cmocka_unit_test_setup_teardown(compiled_workflow_runs, begin, end),
		cmocka_unit_test_setup_teardown(compiled_each_runs_with_its_captures, begin, end),
		cmocka_unit_test_setup_teardown(compiled_loop_ends, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
