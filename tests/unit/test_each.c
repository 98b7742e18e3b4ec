/* Elements of an `each`, and the window they run in. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "instance_fixture.h"

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

#define COUNT "process Count(p) each B(e) -> r { Call(Count, e; r) } workflow W(x) -> o { Each(x, B; o) }"
#define COUNT2 "process Count(p) each B(e) -> r { Call(Count, e; r) } workflow W(x) -> o { Each(x, B; o; 2) }"

static void results_are_in_the_order_of_the_list(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture, COUNT, "W", "{\"x\":[\"a\", [2] ,{\"c\":3}]}");
	assert_string_equal(fixture_calls(fixture), "1 Count {\"p\":\"a\"}, 2 Count {\"p\":[2]}, 3 Count {\"p\":{\"c\":3}}");
	fixture_return(fixture, 3, "30");
	fixture_return(fixture, 1, "10");
	assert_int_equal(fixture->step.state, INSTANCE_RUNNING);
	fixture_return(fixture, 2, "20");
	assert_string_equal(fixture_result(fixture), "[10,20,30]");
}

static void empty_list_gives_an_empty_list(void **state)
{
	struct fixture *fixture = *state;
	assert_string_equal(fixture_run(fixture, COUNT, "W", "{\"x\":[ ]}"), "[]");
	assert_string_equal(fixture_run(fixture, "each B(e, k) -> r { ParOut(r; e, k) }"
	                                         "workflow W(k) -> o { ListOut(x;) Each(x, B, k; o) }",
	                                "W", "{\"k\":1}"),
	                    "[]");
}

static void limit_bounds_what_runs_at_once(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture, COUNT2, "W", "{\"x\":[1,2,3,4]}");
	assert_string_equal(fixture_calls(fixture), "1 Count {\"p\":1}, 2 Count {\"p\":2}");
	fixture_return(fixture, 2, "0");
	assert_string_equal(fixture_calls(fixture), "3 Count {\"p\":3}");
	assert_int_equal(fixture_post(fixture, 1, "0"), 0);
	assert_int_equal(fixture_post(fixture, 3, "0"), 0);
	fixture_reduce(fixture);
	assert_string_equal(fixture_calls(fixture), "4 Count {\"p\":4}");
	fixture_return(fixture, 4, "1");
	assert_string_equal(fixture_result(fixture), "[0,0,0,1]");
}

static void window_of_the_limits_holds_where_none_is_given(void **state)
{
	struct fixture *fixture = *state;
	fixture->limits.each_window = 3;
	fixture_start(fixture, COUNT, "W", "{\"x\":[1,2,3,4]}");
	assert_int_equal(fixture->step.call_count, 3);
	fixture_start(fixture, COUNT2, "W", "{\"x\":[1,2,3,4]}");
	assert_int_equal(fixture->step.call_count, 2);
}

static void element_is_at_work_until_its_last_call_returns(void **state)
{
	struct fixture *fixture = *state;
	/* The output is there at once; a discarded call and one inside a composite still run. */
	fixture_start(fixture,
	              "process P(x) process Q(x)"
	              "workflow V(x) -> r { Call(Q, x; r) }"
	              "each B(e) -> r { Copy(e; a, b, c) Call(P, a; p) Discard(p) Call(V, b; q) Discard(q) Id(c, r) }"
	              "workflow W(x) -> o { Each(x, B; o; 1) }",
	              "W", "{\"x\":[1,2]}");
	assert_string_equal(fixture_calls(fixture), "1 P {\"x\":1}, 2 Q {\"x\":1}");
	fixture_return(fixture, 1, "0");
	assert_int_equal(fixture->step.call_count, 0);
	fixture_return(fixture, 2, "0");
	assert_string_equal(fixture_calls(fixture), "3 P {\"x\":2}, 4 Q {\"x\":2}");
	assert_int_equal(fixture_post(fixture, 3, "0"), 0);
	fixture_return(fixture, 4, "0");
	assert_string_equal(fixture_result(fixture), "[1,2]");
}

static void element_is_at_work_until_its_output_is_ground(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "process P(x)"
	              "each B(e, k) -> r { Call(P, e; p) Discard(p) Id(k, r) }"
	              "workflow W(x) -> o { Signal(s; k) Each(x, B, k; o; 1) }",
	              "W", "{\"x\":[1,2]}");
	assert_string_equal(fixture_calls(fixture), "1 signal(s) null, 2 P {\"x\":1}");
	fixture_return(fixture, 2, "0");
	assert_int_equal(fixture->step.call_count, 0);
	fixture_return(fixture, 1, "\"k\"");
	assert_string_equal(fixture_calls(fixture), "3 P {\"x\":2}");
	fixture_return(fixture, 3, "0");
	assert_string_equal(fixture_result(fixture), "[\"k\",\"k\"]");
}

static void element_with_a_guard_that_waits_is_at_work(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "process P(x)"
	              "each B(e, k) -> r { WithIn(k; true -> { Out(u, 1) Call(P, u; p) Discard(p) } false -> { }) Id(e, r) }"
	              "workflow W(x) -> o { Signal(s; k) Each(x, B, k; o; 1) }",
	              "W", "{\"x\":[1,2]}");
	fixture_return(fixture, 1, "true");
	assert_string_equal(fixture_calls(fixture), "2 P {\"x\":1}");
	fixture_return(fixture, 2, "0");
	assert_string_equal(fixture_calls(fixture), "3 P {\"x\":1}");
	fixture_return(fixture, 3, "0");
	assert_string_equal(fixture_result(fixture), "[1,2]");
}

static void captured_values_are_shared_by_all_elements(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "process P(e, k)"
	              "each B(e, k) -> r { ParIn(k; l, m) Discard(m) Call(P, e, l; r) }"
	              "workflow W(x) -> o { Signal(s; a) Out(b, 0) ParOut(k; a, b) Each(x, B, k; o; 2) }",
	              "W", "{\"x\":[1,2,3]}");
	fixture_return(fixture, 1, "7");
	assert_string_equal(fixture_calls(fixture), "2 P {\"e\":1,\"k\":7}, 3 P {\"e\":2,\"k\":7}");
	fixture_return(fixture, 3, "0");
	assert_string_equal(fixture_calls(fixture), "4 P {\"e\":3,\"k\":7}");
}

static void list_of_channels_is_gone_through_before_it_is_ground(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "process Count(p) each B(e) -> r { Call(Count, e; r) }"
	              "workflow W(x) -> o { Signal(s; a) ListOut(l; x, a) Each(l, B; o) }",
	              "W", "{\"x\":1}");
	assert_string_equal(fixture_calls(fixture), "1 signal(s) null, 2 Count {\"p\":1}");
	fixture_return(fixture, 2, "10");
	fixture_return(fixture, 1, "2");
	assert_string_equal(fixture_calls(fixture), "3 Count {\"p\":2}");
	fixture_return(fixture, 3, "20");
	assert_string_equal(fixture_result(fixture), "[10,20]");
}

static void one_each_feeds_the_next_element_by_element(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "process A(p) process C(p) each B(e) -> r { Call(A, e; r) } each D(e) -> r { Call(C, e; r) }"
	              "workflow W(x) -> o { Each(x, B; l) Each(l, D; o) }",
	              "W", "{\"x\":[1,2]}");
	assert_string_equal(fixture_calls(fixture), "1 A {\"p\":1}, 2 A {\"p\":2}");
	fixture_return(fixture, 2, "20");
	assert_string_equal(fixture_calls(fixture), "3 C {\"p\":20}");
	fixture_return(fixture, 1, "10");
	fixture_return(fixture, 3, "200");
	fixture_return(fixture, 4, "100");
	assert_string_equal(fixture_result(fixture), "[100,200]");
}

static void each_nests(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "process P(p, k) each In(e, k) -> r { Call(P, e, k; r) }"
	              "each Out(e) -> r { ParIn(e; l, k) Each(l, In, k; r; 1) }"
	              "workflow W(x) -> o { Each(x, Out; o; 1) }",
	              "W", "{\"x\":[[[1,2],\"a\"],[[3],\"b\"]]}");
	assert_string_equal(fixture_calls(fixture), "1 P {\"p\":1,\"k\":\"a\"}");
	fixture_return(fixture, 1, "10");
	assert_string_equal(fixture_calls(fixture), "2 P {\"p\":2,\"k\":\"a\"}");
	fixture_return(fixture, 2, "20");
	assert_string_equal(fixture_calls(fixture), "3 P {\"p\":3,\"k\":\"b\"}");
	fixture_return(fixture, 3, "30");
	assert_string_equal(fixture_result(fixture), "[[10,20],[30]]");
}

static void discarded_list_still_runs_its_calls(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "process P(p) each B(e) -> r { Copy(e; f, g) Call(P, f; p) ParOut(r; p, g) }"
	              "workflow W(x) -> o { Each(x, B; l; 1) Discard(l) Out(o, 1) }",
	              "W", "{\"x\":[1,2]}");
	fixture_return(fixture, 1, "0");
	assert_int_equal(fixture->step.state, INSTANCE_RUNNING);
	assert_string_equal(fixture_calls(fixture), "2 P {\"p\":2}");
	fixture_return(fixture, 2, "0");
	assert_string_equal(fixture_result(fixture), "1");
}

static void consumer_takes_parts_of_elements_while_others_run(void **state)
{
	struct fixture *fixture = *state;
	fixture_start(fixture,
	              "process P(p) process Q(q)"
	              "each B(e) -> r { Copy(e; f, g) Call(P, f; p) ParOut(r; g, p) }"
	              "each D(e) -> r { ParIn(e; l, m) Call(Q, l; q) ParOut(r; m, q) }"
	              "workflow W(x) -> o { Each(x, B; l) Each(l, D; o) }",
	              "W", "{\"x\":[1,2]}");
	assert_string_equal(fixture_calls(fixture), "1 P {\"p\":1}, 2 P {\"p\":2}, 3 Q {\"q\":1}, 4 Q {\"q\":2}");
	for (uint32_t ref = 4; ref > 0; ref--)
		fixture_return(fixture, ref, ref % 2 == 0 ? "0" : "1");
	assert_string_equal(fixture_result(fixture), "[[1,1],[0,0]]");
}

static void pure_bodies_need_no_calls(void **state)
{
	struct fixture *fixture = *state;
	fixture->limits.each_window = 1;
	assert_string_equal(fixture_run(fixture,
	                                "each B(e, k) -> r { RecOut(r; e=e, k=k) }"
	                                "workflow W(x, k) -> o { Each(x, B, k; o) }",
	                                "W", "{\"x\":[1,2,3],\"k\":[]}"),
	                    "[{\"e\":1,\"k\":[]},{\"e\":2,\"k\":[]},{\"e\":3,\"k\":[]}]");
}

/* "{"x":[7,7,…]}" */
static char *args_of(uint32_t count)
{
	struct buffer args = BUFFER_EMPTY;
	buffer_append_string(&args, "{\"x\":[");
	for (uint32_t i = 0; i < count; i++)
		buffer_append_string(&args, i == 0 ? "7" : ",7");
	buffer_append_string(&args, "]}");
	buffer_string(&args);
	return args.data;
}

static void many_elements_cost_in_proportion(void **state)
{
	enum { COUNT_OF_ELEMENTS = 100000 };
	struct fixture *fixture = *state;
	char *args = args_of(COUNT_OF_ELEMENTS);
	size_t largest = 0;
	uint32_t most = 0;
	fixture_start(fixture, COUNT, "W", args);
	for (uint32_t ref = 1; ref <= COUNT_OF_ELEMENTS; ref++) {
		assert_true(instance_call_open(fixture->instance, ref));
		fixture_return(fixture, ref, "1");
		assert_true(fixture->step.reductions < 16);
		size_t size = instance_size(fixture->instance);
		largest = size > largest ? size : largest;
		uint32_t open = instance_open_count(fixture->instance);
		most = open > most ? open : most;
	}
	assert_int_equal(fixture->step.state, INSTANCE_COMPLETED);
	assert_int_equal(strlen(fixture_result(fixture)), 2 * COUNT_OF_ELEMENTS + 1);
	assert_int_equal(most, 256);
	assert_true(largest < 200 * (size_t)COUNT_OF_ELEMENTS);
	free(args);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(results_are_in_the_order_of_the_list),
		TEST(empty_list_gives_an_empty_list),
		TEST(limit_bounds_what_runs_at_once),
		TEST(window_of_the_limits_holds_where_none_is_given),
		TEST(element_is_at_work_until_its_last_call_returns),
		TEST(element_is_at_work_until_its_output_is_ground),
		TEST(element_with_a_guard_that_waits_is_at_work),
		TEST(captured_values_are_shared_by_all_elements),
		TEST(list_of_channels_is_gone_through_before_it_is_ground),
		TEST(one_each_feeds_the_next_element_by_element),
		TEST(each_nests),
		TEST(discarded_list_still_runs_its_calls),
		TEST(consumer_takes_parts_of_elements_while_others_run),
		TEST(pure_bodies_need_no_calls),
		TEST(many_elements_cost_in_proportion),
	};
	return cmocka_run_group_tests_name("each", tests, NULL, NULL);
}
