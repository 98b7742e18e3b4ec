/* What each kind of term does when it communicates, alone and with others, whichever side is there first. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "instance_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* Runs both programs of W(): the same terms in the two orders. */
static void both_orders(struct fixture *fixture, const char *one, const char *other, const char *result)
{
	assert_string_equal(fixture_run(fixture, one, "W", "{}"), result);
	assert_string_equal(fixture_run(fixture, other, "W", "{}"), result);
}

/* Input and output. */

static void nothing_is_reduced_where_there_is_nothing(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture, "workflow W() -> o { }", "W", "{}");
	assert_int_equal(fixture->step.state, INSTANCE_STUCK);
	assert_int_equal(fixture->step.reductions, 0);
	assert_string_equal(fixture_print(fixture), "stuck\n");
}

static void constant_is_sent(void **state)
{
	struct fixture *fixture = *state;
	assert_string_equal(fixture_run(fixture, "workflow W() -> o { Out(o, {\"a\": 1.50}) }", "W", "{}"), "{\"a\": 1.50}");
	assert_int_equal(fixture->step.reductions, 1);
}

static void two_communications_run_in_parallel(void **state)
{
	both_orders(*state, "workflow W() -> o { ParOut(o; v, w) Id(d, w) Out(c, 1) Id(c, v) Out(d, 2) }",
	            "workflow W() -> o { Out(d, 2) Id(c, v) Out(c, 1) Id(d, w) ParOut(o; v, w) }", "[1,2]");
}

static void input_is_continued_on_the_channel_that_came(void **state)
{
	struct fixture *fixture = *state;
	/* What waits on c waits on a from now on, and a is what the signal goes out on. */
	fixture_start(fixture,
	              "workflow W() -> o { ParIn(c; l, r) Id(a, c) Signal(s; a) ParOut(o; l, r) }", "W", "{}");
	assert_string_equal(fixture_print(fixture), "running\n"
	                                            "inputs\n"
	                                            "  W#1: ParIn(c; l, r)\n"
	                                            "outputs\n"
	                                            "  W#1.o = Pair(W#1.l, W#1.r)\n"
	                                            "open calls\n"
	                                            "  1 W#1: Signal(\"s\"; a)\n");
	assert_non_null(strstr(fixture_blocked(fixture), "W#1.a is awaited by W#1: ParIn(c; l, r)"));
	fixture_return(fixture, 1, "[1,2]");
	assert_string_equal(fixture_result(fixture), "[1,2]");
}

static void back_to_back_inputs_are_reduced(void **state)
{
	both_orders(*state, "workflow W() -> o { Id(c, o) Id(a, c) Id(x, a) Out(x, \"OHHAI!\") }",
	            "workflow W() -> o { Out(x, \"OHHAI!\") Id(x, a) Id(a, c) Id(c, o) }", "\"OHHAI!\"");
}

static void buffer_takes_before_anybody_reads(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture, "workflow W() -> o { Out(in, 7) Id(in, out) Signal(s; x) ParOut(o; out, x) }", "W", "{}");
	assert_string_equal(fixture_print(fixture), "running\n"
	                                            "outputs\n"
	                                            "  W#1.o = Pair(#2.0, W#1.x)\n"
	                                            "  #2.0 = 7\n"
	                                            "open calls\n"
	                                            "  1 W#1: Signal(\"s\"; x)\n");
}

static void buffer_gives_its_result(void **state)
{
	both_orders(*state, "workflow W() -> o { Id(out, o) Out(in, \"HELLO\") Id(in, out) }",
	            "workflow W() -> o { Id(in, out) Out(in, \"HELLO\") Id(out, o) }", "\"HELLO\"");
}

static void buffer_is_an_alias(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture, "workflow W() -> o { Id(b, o) Id(a, b) Signal(s; a) }", "W", "{}");
	fixture_return(fixture, 1, "{\"left\":null}");
	assert_string_equal(fixture_result(fixture), "{\"left\":null}");
}

/* Pairs. */

static void pair_meets_its_input(void **state)
{
	both_orders(*state,
	            "workflow W() -> o { ParIn(x; l, r) ParOut(x; a, b) Out(a, 1) Out(b, 2) ParOut(o; r, l) }",
	            "workflow W() -> o { ParOut(o; r, l) Out(b, 2) Out(a, 1) ParOut(x; a, b) ParIn(x; l, r) }", "[2,1]");
}

static void nested_pair_on_the_right_is_taken_apart(void **state)
{
	both_orders(*state,
	            "workflow W() -> o { ParIn(x; l, r) ParIn(r; ll, rr) ParOut(x; a, y) Out(a, \"a\") ParOut(y; b, c)"
	            "  Out(b, \"b\") Out(c, \"c\") ListOut(o; l, ll, rr) }",
	            "workflow W() -> o { ListOut(o; l, ll, rr) Out(c, \"c\") Out(b, \"b\") ParOut(y; b, c) Out(a, \"a\")"
	            "  ParOut(x; a, y) ParIn(r; ll, rr) ParIn(x; l, r) }",
	            "[\"a\",\"b\",\"c\"]");
}

static void nested_pair_on_the_left_is_taken_apart(void **state)
{
	both_orders(*state,
	            "workflow W() -> o { ParIn(x; r, l) ParIn(r; ll, rr) ParOut(x; y, a) Out(a, \"a\") ParOut(y; b, c)"
	            "  Out(b, \"b\") Out(c, \"c\") ListOut(o; l, ll, rr) }",
	            "workflow W() -> o { ListOut(o; l, ll, rr) Out(c, \"c\") Out(b, \"b\") ParOut(y; b, c) Out(a, \"a\")"
	            "  ParOut(x; y, a) ParIn(r; ll, rr) ParIn(x; r, l) }",
	            "[\"a\",\"b\",\"c\"]");
}

static void pair_of_a_json_array_is_taken_apart(void **state)
{
	both_orders(*state, "workflow W() -> o { ParIn(x; l, r) Out(x, [ [1, 2] , {\"k\": \"],\"} ]) ParOut(o; r, l) }",
	            "workflow W() -> o { ParOut(o; r, l) Out(x, [ [1, 2] , {\"k\": \"],\"} ]) ParIn(x; l, r) }",
	            "[{\"k\": \"],\"},[1, 2]]");
}

static void pair_is_sent_before_its_parts_are_ground(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "process P(a) process Q(b)"
	              "workflow W() -> o { Signal(s; slow) Out(fast, 1) ParOut(p; slow, fast) ParIn(p; l, r)"
	              "  Call(P, l; x) Call(Q, r; y) ParOut(o; x, y) }",
	              "W", "{}");
	assert_string_equal(fixture_calls(fixture), "1 signal(s) null, 2 Q {\"b\":1}");
	fixture_return(fixture, 1, "\"at last\"");
	assert_string_equal(fixture_calls(fixture), "3 P {\"a\":\"at last\"}");
}

/* Choices. */

#define CASE "WithIn(x; left l -> { ListOut(o; l) } right r -> { ParOut(o; r, r2) Out(r2, 0) })"

static void left_choice_takes_the_left_branch(void **state)
{
	both_orders(*state, "workflow W() -> o { " CASE " Select(x, left, a) Out(a, 1) }",
	            "workflow W() -> o { Out(a, 1) Select(x, left, a) " CASE " }", "[1]");
}

static void right_choice_takes_the_right_branch(void **state)
{
	both_orders(*state, "workflow W() -> o { " CASE " Select(x, right, a) Out(a, 1) }",
	            "workflow W() -> o { Out(a, 1) Select(x, right, a) " CASE " }", "[1,0]");
}

static void json_choice_takes_its_branch(void **state)
{
	both_orders(*state, "workflow W() -> o { " CASE " Out(x, {\"left\" : [1] }) }",
	            "workflow W() -> o { Out(x, {\"left\" : [1] }) " CASE " }", "[[1]]");
	both_orders(*state, "workflow W() -> o { " CASE " Out(x, {\"\\u0072ight\":2}) }",
	            "workflow W() -> o { Out(x, {\"right\":2}) " CASE " }", "[2,0]");
}

#define NESTED                                                                                                          \
	"WithIn(x; left l -> { Select(o, a, l) } right r -> {"                                                          \
	"  WithIn(r; left ll -> { Select(o, b, ll) } right rr -> { Select(o, c, rr) }) })"

static void nested_choice_left(void **state)
{
	both_orders(*state, "workflow W() -> o { " NESTED " Select(x, left, v) Out(v, 1) }",
	            "workflow W() -> o { Out(v, 1) Select(x, left, v) " NESTED " }", "{\"a\":1}");
}

static void nested_choice_right_left(void **state)
{
	both_orders(*state, "workflow W() -> o { " NESTED " Select(x, right, y) Select(y, left, v) Out(v, 1) }",
	            "workflow W() -> o { Out(v, 1) Select(y, left, v) Select(x, right, y) " NESTED " }", "{\"b\":1}");
}

static void nested_choice_right_right(void **state)
{
	both_orders(*state, "workflow W() -> o { " NESTED " Select(x, right, y) Select(y, right, v) Out(v, 1) }",
	            "workflow W() -> o { Out(v, 1) Select(y, right, v) Select(x, right, y) " NESTED " }", "{\"c\":1}");
}

static void label_without_payload_is_chosen(void **state)
{
	const char *source = "workflow W(x) -> o { WithIn(x; red -> { Out(o, 1) } green -> { Out(o, 2) } _ -> { Out(o, 3) }) }";
	struct fixture *fixture = *state;
	assert_string_equal(fixture_run(fixture, source, "W", "{\"x\":\"red\"}"), "1");
	assert_string_equal(fixture_run(fixture, source, "W", "{\"x\":\"gr\\u0065en\"}"), "2");
	assert_string_equal(fixture_run(fixture, source, "W", "{\"x\":\"blue\"}"), "3");
	assert_string_equal(fixture_run(fixture, source, "W", "{\"x\":{\"dark\":[1,2]}}"), "3");
	both_orders(fixture, "workflow W() -> o { WithIn(x; red -> { Out(o, 1) } _ -> { Out(o, 2) }) Select(x, red) }",
	            "workflow W() -> o { Select(x, red) WithIn(x; red -> { Out(o, 1) } _ -> { Out(o, 2) }) }", "1");
}

static void booleans_are_labels(void **state)
{
	const char *source = "workflow W(x) -> o { WithIn(x; true -> { Out(o, 1) } false -> { Out(o, 0) }) }";
	struct fixture *fixture = *state;
	assert_string_equal(fixture_run(fixture, source, "W", "{\"x\":true}"), "1");
	assert_string_equal(fixture_run(fixture, source, "W", "{\"x\":false}"), "0");
}

static void branch_that_is_not_chosen_does_nothing(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "process P(v) process Q(v)"
	              "workflow W(x) -> o { WithIn(x; left l -> { Call(P, l; o) } right r -> { Call(Q, r; o) }) }",
	              "W", "{\"x\":{\"right\":1}}");
	assert_string_equal(fixture_calls(fixture), "1 Q {\"v\":1}");
	fixture_return(fixture, 1, "2");
	assert_string_equal(fixture_result(fixture), "2");
}

/* Records and lists. */

static void member_of_a_record_is_taken(void **state)
{
	both_orders(*state, "workflow W() -> o { Member(x, b; o) RecOut(x; a=p, b=q) Out(p, 1) Out(q, 2) }",
	            "workflow W() -> o { Out(q, 2) Out(p, 1) RecOut(x; a=p, b=q) Member(x, b; o) }", "2");
	both_orders(*state, "workflow W() -> o { Member(x, b; o) Out(x, {\"a\":1, \"b\" : [2] }) }",
	            "workflow W() -> o { Out(x, {\"a\":1, \"b\" : [2] }) Member(x, b; o) }", "[2]");
}

static void calls_of_discarded_members_still_run(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "process P() workflow W() -> o { Call(P; p) Out(q, 2) RecOut(x; a=p, b=q) Member(x, b; o) }", "W",
	              "{}");
	assert_int_equal(fixture->step.state, INSTANCE_RUNNING);
	fixture_return(fixture, 1, "1");
	assert_string_equal(fixture_result(fixture), "2");
}

static void records_and_lists_are_sent(void **state)
{
	struct fixture *fixture = *state;
	assert_string_equal(fixture_run(fixture,
	                                "workflow W(x) -> o { RecOut(o; a=x, b=l, c=e) ListOut(l; p, q) Out(p, 1) Out(q, 2)"
	                                "  ListOut(e;) }",
	                                "W", "{\"x\":\"y\"}"),
	                    "{\"a\":\"y\",\"b\":[1,2],\"c\":[]}");
}

/* Copy, discard, after. */

static void copy_gives_the_value_to_all(void **state)
{
	both_orders(*state, "workflow W() -> o { Copy(x; a, b, c) ListOut(o; a, b, c) Out(x, 1) }",
	            "workflow W() -> o { Out(x, 1) ListOut(o; a, b, c) Copy(x; a, b, c) }", "[1,1,1]");
}

static void copied_parts_are_read_by_all(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "workflow W() -> o { Signal(s; x) Out(k, 5) ParOut(p; x, k) Copy(p; p1, p2) ParIn(p1; a, b)"
	              "  ParIn(p2; c, d) ListOut(o; a, b, c, d) }",
	              "W", "{}");
	fixture_return(fixture, 1, "9");
	assert_string_equal(fixture_result(fixture), "[9,5,9,5]");
}

static void discarded_call_still_runs(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture, "process P(x) workflow W(x) -> o { Call(P, x; p) Discard(p) Out(o, 1) }", "W", "{\"x\":3}");
	assert_string_equal(fixture_calls(fixture), "1 P {\"x\":3}");
	assert_int_equal(fixture->step.state, INSTANCE_RUNNING);
	fixture_return(fixture, 1, "\"unwanted\"");
	assert_string_equal(fixture_result(fixture), "1");
	assert_null(strstr(fixture_print(fixture), "unwanted"));
}

static void after_waits_for_a_ground_value(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "process P() workflow W() -> o { Signal(s; x) Out(k, 5) ParOut(g; k, x) After(g; { Call(P; o) }) }",
	              "W", "{}");
	assert_string_equal(fixture_calls(fixture), "1 signal(s) null");
	assert_string_equal(fixture_blocked(fixture), "W#1.g is awaited by W#1: After(g)\n"
	                                              "W#1.o is awaited by the result\n");
	fixture_return(fixture, 1, "null");
	assert_string_equal(fixture_calls(fixture), "2 P {}");
	assert_string_equal(fixture_run(fixture, "workflow W(g) -> o { After(g; { Out(o, 2) }) }", "W", "{\"g\":[]}"), "2");
}

/* What is not admitted. */

static void input_and_output_that_do_not_fit_are_a_mistake(void **state)
{
	(void)state;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct rlimit none = {0, 0};
		struct fixture fixture = {0};
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGABRT, SIG_DFL);
		fclose(stderr);
		fixture_start(&fixture, "workflow W() -> o { ParIn(x; l, r) Out(x, 1) ParOut(o; l, r) }", "W", "{}");
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void blocked_channel_does_not_hold_up_others(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "process P(c)"
	              "workflow W() -> o { ParIn(x; l, r) Out(c, 1) Call(P, c; p) ListOut(o; l, r, p) }",
	              "W", "{}");
	assert_string_equal(fixture_calls(fixture), "1 P {\"c\":1}");
	fixture_return(fixture, 1, "2");
	assert_int_equal(fixture->step.state, INSTANCE_STUCK);
	assert_string_equal(fixture_blocked(fixture), "W#1.x is awaited by W#1: ParIn(x; l, r)\n"
	                                              "W#1.o is awaited by the result\n");
}

/* Calls of atomic processes. */

static void call_waits_for_its_argument(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "process P(c) workflow W() -> o { Id(a, c) Call(P, c; r) Signal(s; a) Id(r, o) }", "W", "{}");
	assert_string_equal(fixture_print(fixture), "running\n"
	                                            "waiting calls\n"
	                                            "  W#1: Call(P, c; r)\n"
	                                            "open calls\n"
	                                            "  1 W#1: Signal(\"s\"; a)\n");
	fixture_return(fixture, 1, "\"in\"");
	assert_string_equal(fixture_calls(fixture), "2 P {\"c\":\"in\"}");
	assert_string_equal(fixture_print(fixture), "running\n"
	                                            "open calls\n"
	                                            "  2 W#1: Call(P, c; r)\n");
}

static void call_waits_for_all_of_a_value(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "process P(v, w)"
	              "workflow W(w) -> o { Signal(s; a) Signal(t; b) Out(k, 0) ParOut(p; k, q) Select(q, right, l)"
	              "  ListOut(l; a, b) Call(P, p, w; o) }",
	              "W", "{\"w\":true}");
	assert_string_equal(fixture_calls(fixture), "1 signal(s) null, 2 signal(t) null");
	fixture_return(fixture, 2, "\"t\"");
	assert_string_equal(fixture_calls(fixture), "");
	fixture_return(fixture, 1, "\"s\"");
	assert_string_equal(fixture_calls(fixture), "3 P {\"v\":[0,{\"right\":[\"s\",\"t\"]}],\"w\":true}");
}

static void arguments_come_in_any_order(void **state)
{
	static const uint32_t orders[6][3] = {{1, 2, 3}, {1, 3, 2}, {2, 1, 3}, {2, 3, 1}, {3, 1, 2}, {3, 2, 1}};
	struct fixture *fixture = *state;
	for (int i = 0; i < 6; i++) {
		fixture_start(fixture,
		              "process P(a, b, c)"
		              "workflow W() -> o { Call(P, x, y, z; o) Signal(s; x) Signal(s; y) Signal(s; z) }",
		              "W", "{}");
		fixture_return(fixture, orders[i][0], "1");
		fixture_return(fixture, orders[i][1], "1");
		assert_int_equal(fixture->step.call_count, 0);
		fixture_return(fixture, orders[i][2], "1");
		assert_string_equal(fixture_calls(fixture), "4 P {\"a\":1,\"b\":1,\"c\":1}");
	}
}

static void references_follow_the_order_of_release(void **state)
{
	struct fixture *fixture = *state;
	/* B's argument is there before A's, yet A was released before B. */
	fixture_start(fixture,
	              "process A(x) process B(x) process C(x)"
	              "workflow W() -> o { Call(A, a; p) Call(B, b; q) Out(b, 2) Out(a, 1) Call(C, c; r) Signal(s; c)"
	              "  ListOut(o; p, q, r) }",
	              "W", "{}");
	assert_string_equal(fixture_calls(fixture), "1 A {\"x\":1}, 2 B {\"x\":2}, 3 signal(s) null");
	fixture_return(fixture, 3, "3");
	assert_string_equal(fixture_calls(fixture), "4 C {\"x\":3}");
}

static void result_goes_to_its_own_call(void **state)
{
	struct fixture *fixture = *state;
	const char *source = "process P(x) process Q(x)"
	                     "workflow W(a, b) -> o { Call(P, a; p) Call(Q, b; q) ParOut(o; p, q) }";
	fixture_start(fixture, source, "W", "{\"a\":1,\"b\":2}");
	fixture_return(fixture, 1, "\"!IAHHO\"");
	assert_string_equal(fixture_print(fixture), "running\n"
	                                            "outputs\n"
	                                            "  W#1.o = Pair(W#1.p, W#1.q)\n"
	                                            "  W#1.p = \"!IAHHO\"\n"
	                                            "open calls\n"
	                                            "  2 W#1: Call(Q, b; q)\n");
	fixture_start(fixture, source, "W", "{\"a\":1,\"b\":2}");
	fixture_return(fixture, 2, "\"!IAHHO\"");
	assert_string_equal(fixture_print(fixture), "running\n"
	                                            "outputs\n"
	                                            "  W#1.o = Pair(W#1.p, W#1.q)\n"
	                                            "  W#1.q = \"!IAHHO\"\n"
	                                            "open calls\n"
	                                            "  1 W#1: Call(P, a; p)\n");
}

static void result_of_each_shape_is_taken(void **state)
{
	static const struct {
		const char *term;
		const char *posted;
		const char *result;
	} rows[] = {
		{"Id(r, o)", "\"plain\"", "\"plain\""},
		{"ParIn(r; a, b) ParOut(o; b, a)", "[\"1\",[2]]", "[[2],\"1\"]"},
		{"WithIn(r; left a -> { Id(a, o) } right b -> { ListOut(o; b) })", "{\"left\":1}", "1"},
		{"WithIn(r; left a -> { Id(a, o) } right b -> { ListOut(o; b) })", "{\"right\":1}", "[1]"},
		{"Member(r, k; o)", "{\"j\":{\"k\":0},\"k\":1}", "1"},
		{"WithIn(r; yes -> { Out(o, 1) } no -> { Out(o, 0) })", "\"no\"", "0"},
		{"WithIn(r; true -> { Out(o, 1) } false -> { Out(o, 0) })", "true", "1"},
		{"Each(r, B; o)", "[1,2]", "[[1],[2]]"},
		{"Copy(r; a, b) ParOut(o; a, b)", "null", "[null,null]"},
		{"Discard(r) Out(o, 1)", "[]", "1"},
		{"After(r; { Out(o, 1) })", "3", "1"},
	};
	struct fixture *fixture = *state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buffer source = BUFFER_EMPTY;
		buffer_format(&source,
		              "process P() each B(e) -> p { ListOut(p; e) } workflow W() -> o { Call(P; r) %s }",
		              rows[i].term);
		fixture_start(fixture, buffer_string(&source), "W", "{}");
		assert_string_equal(fixture_calls(fixture), "1 P {}");
		fixture_return(fixture, 1, rows[i].posted);
		assert_string_equal(fixture_result(fixture), rows[i].result);
		buffer_finish(&source);
	}
}

static void simple_process_runs_from_start_to_end(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture, "process P(input) workflow W(c) -> r { Call(P, c; r) }", "W", "{\"c\":\"INPUT\"}");
	assert_string_equal(fixture_calls(fixture), "1 P {\"input\":\"INPUT\"}");
	fixture_return(fixture, 1, "\"ResultString\"");
	assert_string_equal(fixture_result(fixture), "\"ResultString\"");
}

static void arguments_are_keyed_in_the_order_of_declaration(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture, "process P(b, a, c) workflow W(x, y, z) -> o { Call(P, z, x, y; o) }", "W",
	              "{ \"x\" : 1e2 , \"y\":[ 1 ] ,\"z\":\"\\u00e9\"}");
	assert_string_equal(fixture_calls(fixture), "1 P {\"b\":\"\\u00e9\",\"a\":1e2,\"c\":[ 1 ]}");
}

static void sleep_and_signal_are_calls(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "workflow W(d, k) -> o { Sleep(d; a) Signal(go, k; b) Signal(stop; c) ListOut(o; a, b, c) }", "W",
	              "{\"d\":60000,\"k\":\"key\"}");
	assert_string_equal(fixture_calls(fixture), "1 sleep 60000, 2 signal(go) \"key\", 3 signal(stop) null");
	assert_int_equal(fixture->step.calls[0].kind, INSTANCE_CALL_SLEEP);
	assert_int_equal(fixture->step.calls[1].kind, INSTANCE_CALL_SIGNAL);
	assert_null(fixture->step.calls[1].process);
}

/* Calls of workflows. */

static void composite_is_there_at_once(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "workflow Same(a) -> b { Id(a, b) }"
	              "workflow W() -> o { Id(x, c) Call(Same, c; o) Signal(s; x) }",
	              "W", "{}");
	assert_string_equal(fixture_calls(fixture), "1 signal(s) null");
	fixture_return(fixture, 1, "\"SOMETHING\"");
	assert_string_equal(fixture_result(fixture), "\"SOMETHING\"");
}

static void composite_body_joins_the_terms(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "process P(x) workflow V(a, b) -> c { ParIn(a; d, e) Call(P, b; f) ListOut(c; d, e, f) }"
	              "workflow W() -> o { Signal(s; x) Signal(t; y) Call(V, x, y; o) }",
	              "W", "{}");
	assert_string_equal(fixture_print(fixture), "running\n"
	                                            "inputs\n"
	                                            "  V#2: ParIn(a; d, e)\n"
	                                            "outputs\n"
	                                            "  W#1.o = List(V#2.d, V#2.e, V#2.f)\n"
	                                            "waiting calls\n"
	                                            "  V#2: Call(P, b; f)\n"
	                                            "open calls\n"
	                                            "  1 W#1: Signal(\"s\"; x)\n"
	                                            "  2 W#1: Signal(\"t\"; y)\n");
}

static void composite_runs_from_start_to_end(void **state)
{
	struct fixture *fixture = *state;
	assert_string_equal(fixture_run(fixture,
	                                "workflow Same(a) -> b { Id(a, b) } workflow W() -> o { Out(c, 1) Call(Same, c; o) }",
	                                "W", "{}"),
	                    "1");
}

static void same_composite_twice_does_not_mix(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "process P(x)"
	              "workflow V(a) -> b { Call(P, a; p) Copy(p; q, r) ParOut(b; q, r) }"
	              "workflow W(x, y) -> o { Call(V, x; v) Call(V, y; w) ParOut(o; v, w) }",
	              "W", "{\"x\":1,\"y\":2}");
	assert_string_equal(fixture_calls(fixture), "1 P {\"x\":1}, 2 P {\"x\":2}");
	fixture_return(fixture, 2, "\"second\"");
	fixture_return(fixture, 1, "\"first\"");
	assert_string_equal(fixture_result(fixture), "[[\"first\",\"first\"],[\"second\",\"second\"]]");
}

static void composites_nest(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "process P(x)"
	              "workflow C(a) -> b { Call(P, a; b) }"
	              "workflow B(a) -> b { Call(C, a; c) ListOut(b; c) }"
	              "workflow A(a) -> b { Call(B, a; c) Call(C, d; e) Out(d, 0) ParOut(b; c, e) }"
	              "workflow W(x) -> o { Call(A, x; o) }",
	              "W", "{\"x\":1}");
	assert_string_equal(fixture_calls(fixture), "1 P {\"x\":0}, 2 P {\"x\":1}");
	fixture_return(fixture, 1, "10");
	fixture_return(fixture, 2, "20");
	assert_string_equal(fixture_result(fixture), "[[20],10]");
}

static void result_of_a_composite_is_used_before_it_ends(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "process P(x) process Q(x)"
	              "workflow V(a) -> b { Copy(a; c, d) Call(P, c; e) ParOut(b; d, e) }"
	              "workflow W(x) -> o { Call(V, x; v) ParIn(v; l, r) Call(Q, l; m) ParOut(o; m, r) }",
	              "W", "{\"x\":1}");
	assert_int_equal(fixture->step.call_count, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_reduced_where_there_is_nothing),
		TEST(constant_is_sent),
		TEST(two_communications_run_in_parallel),
		TEST(input_is_continued_on_the_channel_that_came),
		TEST(back_to_back_inputs_are_reduced),
		TEST(buffer_takes_before_anybody_reads),
		TEST(buffer_gives_its_result),
		TEST(buffer_is_an_alias),
		TEST(pair_meets_its_input),
		TEST(nested_pair_on_the_right_is_taken_apart),
		TEST(nested_pair_on_the_left_is_taken_apart),
		TEST(pair_of_a_json_array_is_taken_apart),
		TEST(pair_is_sent_before_its_parts_are_ground),
		TEST(left_choice_takes_the_left_branch),
		TEST(right_choice_takes_the_right_branch),
		TEST(json_choice_takes_its_branch),
		TEST(nested_choice_left),
		TEST(nested_choice_right_left),
		TEST(nested_choice_right_right),
		TEST(label_without_payload_is_chosen),
		TEST(booleans_are_labels),
		TEST(branch_that_is_not_chosen_does_nothing),
		TEST(member_of_a_record_is_taken),
		TEST(calls_of_discarded_members_still_run),
		TEST(records_and_lists_are_sent),
		TEST(copy_gives_the_value_to_all),
		TEST(copied_parts_are_read_by_all),
		TEST(discarded_call_still_runs),
		TEST(after_waits_for_a_ground_value),
		TEST(input_and_output_that_do_not_fit_are_a_mistake),
		TEST(blocked_channel_does_not_hold_up_others),
		TEST(call_waits_for_its_argument),
		TEST(call_waits_for_all_of_a_value),
		TEST(arguments_come_in_any_order),
		TEST(references_follow_the_order_of_release),
		TEST(result_goes_to_its_own_call),
		TEST(result_of_each_shape_is_taken),
		TEST(simple_process_runs_from_start_to_end),
		TEST(arguments_are_keyed_in_the_order_of_declaration),
		TEST(sleep_and_signal_are_calls),
		TEST(composite_is_there_at_once),
		TEST(composite_body_joins_the_terms),
		TEST(composite_runs_from_start_to_end),
		TEST(same_composite_twice_does_not_mix),
		TEST(composites_nest),
		TEST(result_of_a_composite_is_used_before_it_ends),
	};
	return cmocka_run_group_tests_name("reduction", tests, NULL, NULL);
}
