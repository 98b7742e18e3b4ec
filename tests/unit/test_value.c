/* Values as JSON, their limits, and what deep or shared ones cost. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/json.h"
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

static void json_goes_through_byte_for_byte(void **state)
{
	static const char *const values[] = {
		"1.0", "-0", "1E+2", "0.10", "123456789012345678901234567890", "\"\\u00e9\\/\"", "\"\"", "null", "true",
		"[ 1 ,2]", "{\"b\": 1,\"a\" :2}",
	};
	struct fixture *fixture = *state;
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		struct buffer args = BUFFER_EMPTY;
		buffer_format(&args, "{\"x\":%s}", values[i]);
		fixture_start(fixture, "process P(v) workflow W(x) -> o { Call(P, x; o) }", "W", buffer_string(&args));
		struct buffer call = BUFFER_EMPTY;
		buffer_format(&call, "1 P {\"v\":%s}", values[i]);
		assert_string_equal(fixture_calls(fixture), buffer_string(&call));
		fixture_return(fixture, 1, values[i]);
		assert_string_equal(fixture_result(fixture), values[i]);
		buffer_finish(&args);
		buffer_finish(&call);
	}
}

static void objects_are_written_as_the_language_says(void **state)
{
	static const char *const rows[][2] = {
		{"ParOut(o; x, y) Out(y, 2)", "[1,2]"},
		{"ListOut(o; x)", "[1]"},
		{"ListOut(o; x, y, z) Out(y, 2) Out(z, 3)", "[1,2,3]"},
		{"RecOut(o; a=x, b=y) Out(y, 2)", "{\"a\":1,\"b\":2}"},
		{"Select(o, left, x)", "{\"left\":1}"},
		{"Discard(x) Select(o, red)", "\"red\""},
		{"Discard(x) ListOut(o;)", "[]"},
		{"Select(o, a, p) Select(p, b, q) ListOut(q; x, r) ListOut(r;)", "{\"a\":{\"b\":[1,[]]}}"},
	};
	struct fixture *fixture = *state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buffer source = BUFFER_EMPTY;
		buffer_format(&source, "workflow W(x) -> o { %s }", rows[i][0]);
		assert_string_equal(fixture_run(fixture, buffer_string(&source), "W", "{\"x\":1}"), rows[i][1]);
		buffer_finish(&source);
	}
}

static void parts_of_json_are_parts_of_the_same_text(void **state)
{
	struct fixture *fixture = *state;
	size_t size = 100000;
	struct buffer args = BUFFER_EMPTY;
	buffer_append_string(&args, "{\"x\":[\"");
	memset(buffer_reserve(&args, size), 'a', size);
	args.size += size;
	buffer_append_string(&args, "\",1]}");
	fixture_start(fixture,
	              "workflow W(x) -> o { Copy(x; a, b, c, d) ParIn(a; p, q) ParIn(b; r, s) Discard(q) Discard(s)"
	              "  Signal(t; y) ListOut(o; p, r, c, d, y) }",
	              "W", buffer_string(&args));
	assert_true(instance_size(fixture->instance) < size + 4096);
	buffer_finish(&args);
}

static void value_is_dropped_when_its_last_reader_has_it(void **state)
{
	struct fixture *fixture = *state;
	size_t size = 100000;
	struct buffer json = BUFFER_EMPTY;
	buffer_append_char(&json, '"');
	memset(buffer_reserve(&json, size), 'a', size);
	json.size += size;
	buffer_append_char(&json, '"');
	fixture_start(fixture,
	              "process A() process B(x) workflow W() -> o { Call(A; a) Copy(a; b, c) Call(B, b; d) Call(B, c; e)"
	              "  ParOut(o; d, e) }",
	              "W", "{}");
	fixture_return(fixture, 1, buffer_string(&json));
	assert_int_equal(fixture->step.call_count, 2);
	fixture_return(fixture, 2, "1");
	assert_true(instance_size(fixture->instance) < 4096);
	buffer_finish(&json);
}

/* Limits. */

static void arguments_may_be_as_large_as_the_limit(void **state)
{
	const char *source = "process P(v) workflow W(x) -> o { Call(P, x; o) }";
	struct fixture *fixture = *state;
	fixture->limits.value_size = (uint32_t)strlen("{\"v\":\"123456789\"}");
	fixture_start(fixture, source, "W", "{\"x\":\"123456789\"}");
	assert_int_equal(fixture->step.state, INSTANCE_RUNNING);
	assert_int_equal(fixture->step.call_count, 1);
	fixture_start(fixture, source, "W", "{\"x\":\"1234567890\"}");
	assert_int_equal(fixture->step.state, INSTANCE_OVERFLOW);
	assert_int_equal(fixture->step.call_count, 0);
}

static void result_may_be_as_large_as_the_limit(void **state)
{
	const char *source = "workflow W(x) -> o { Copy(x; a, b) RecOut(o; k=a, l=b) }";
	struct fixture *fixture = *state;
	fixture->limits.value_size = (uint32_t)strlen("{\"k\":12,\"l\":12}");
	assert_string_equal(fixture_run(fixture, source, "W", "{\"x\":12}"), "{\"k\":12,\"l\":12}");
	fixture_start(fixture, NULL, "W", "{\"x\":123}");
	assert_int_equal(fixture->step.state, INSTANCE_OVERFLOW);
	assert_string_equal(fixture_result(fixture), "");
}

static void every_smaller_limit_is_passed(void **state)
{
	static const char source[] = "workflow W(x) -> o { RecOut(o; a=p, b=q, c=s) Select(p, left, x) ParOut(q; y, z)"
	                             "  Out(y, \"y\") ListOut(z; v) Select(v, red) ListOut(s;) }";
	static const char result[] = "{\"a\":{\"left\":[12]},\"b\":[\"y\",[\"red\"]],\"c\":[]}";
	struct fixture *fixture = *state;
	for (uint32_t size = 1; size < sizeof result - 1; size++) {
		fixture->limits.value_size = size;
		fixture_start(fixture, source, "W", "{\"x\":[12]}");
		assert_int_equal(fixture->step.state, INSTANCE_OVERFLOW);
	}
	fixture->limits.value_size = sizeof result - 1;
	assert_string_equal(fixture_run(fixture, source, "W", "{\"x\":[12]}"), result);
}

static void doubling_by_copies_is_bounded(void **state)
{
	struct fixture *fixture = *state;
	struct buffer source = BUFFER_EMPTY;
	buffer_append_string(&source, "workflow W(x0) -> o { ");
	for (int i = 0; i < 60; i++)
		buffer_format(&source, "Copy(x%d; a%d, b%d) ParOut(x%d; a%d, b%d) ", i, i, i, i + 1, i, i);
	buffer_append_string(&source, "Id(x60, o) }");
	fixture_start(fixture, buffer_string(&source), "W", "{\"x0\":1}");
	assert_int_equal(fixture->step.state, INSTANCE_OVERFLOW);
	assert_true(fixture->step.reductions < 200);
	assert_true(instance_size(fixture->instance) < 65536);
	buffer_finish(&source);
}

/* A JSON array of `depth` levels, and `pairs` pairs around it. */
static enum instance_state nest(struct fixture *fixture, uint32_t depth, uint32_t pairs, bool as_argument)
{
	struct buffer source = BUFFER_EMPTY;
	struct buffer args = BUFFER_EMPTY;
	buffer_format(&source, "process P(v) workflow W(x0) -> o { ");
	for (uint32_t i = 0; i < pairs; i++)
		buffer_format(&source, "ListOut(x%u; x%u) ", i + 1, i);
	buffer_format(&source, as_argument ? "Call(P, x%u; o) }" : "Id(x%u, o) }", pairs);
	buffer_append_string(&args, "{\"x0\":");
	for (uint32_t i = 0; i < depth; i++)
		buffer_append_char(&args, '[');
	for (uint32_t i = 0; i < depth; i++)
		buffer_append_char(&args, ']');
	buffer_append_char(&args, '}');
	fixture_start(fixture, buffer_string(&source), "W", buffer_string(&args));
	buffer_finish(&source);
	buffer_finish(&args);
	return fixture->step.state;
}

static void value_may_be_as_deep_as_json_may(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(nest(fixture, JSON_DEPTH - 1, 0, true), INSTANCE_RUNNING);
	assert_int_equal(nest(fixture, JSON_DEPTH - 1, 1, false), INSTANCE_COMPLETED);
	assert_int_equal(nest(fixture, JSON_DEPTH - 1, 2, false), INSTANCE_OVERFLOW);
	assert_int_equal(nest(fixture, JSON_DEPTH - 1, 1, true), INSTANCE_OVERFLOW);
	assert_int_equal(nest(fixture, 1, JSON_DEPTH - 1, false), INSTANCE_COMPLETED);
	assert_int_equal(nest(fixture, 1, JSON_DEPTH, false), INSTANCE_OVERFLOW);
	assert_int_equal(nest(fixture, 100, 27, true), INSTANCE_RUNNING);
	assert_int_equal(nest(fixture, 100, 28, true), INSTANCE_OVERFLOW);
}

static void brackets_in_strings_are_no_depth(void **state)
{
	struct fixture *fixture = *state;
	struct buffer args = BUFFER_EMPTY;
	buffer_append_string(&args, "{\"x\":\"\\\"");
	for (int i = 0; i < 1000; i++)
		buffer_append_char(&args, '[');
	buffer_append_string(&args, "\\\\\"}");
	fixture_start(fixture, "process P(v) workflow W(x) -> o { Call(P, x; o) }", "W", buffer_string(&args));
	assert_int_equal(fixture->step.state, INSTANCE_RUNNING);
	buffer_finish(&args);
}

/* Deep values. */

#define BUILD                                                                                                           \
	"process Step(n)"                                                                                               \
	"workflow Build(n, acc) -> o { Call(Step, n; s) WithIn(s;"                                                      \
	"  left m -> { Out(one, 1) ParOut(p; acc, one) Call(Build, m, p; o) }"                                          \
	"  right d -> { End(acc, d; o) }) }"

#define DEEP 200000

static void build(struct fixture *fixture, const char *end)
{
	const char *source = BUILD;
	const char *hole = strstr(source, "End(acc, d; o)");
	struct buffer text = BUFFER_EMPTY;
	buffer_append(&text, source, (size_t)(hole - source));
	buffer_append_string(&text, end);
	buffer_append_string(&text, hole + strlen("End(acc, d; o)"));
	fixture->limits.state_size = (size_t)1 << 30;
	fixture_start(fixture, buffer_string(&text), "Build", "{\"n\":0,\"acc\":0}");
	for (uint32_t ref = 1; ref < DEEP; ref++)
		fixture_return(fixture, ref, "{\"left\":0}");
	fixture_return(fixture, DEEP, "{\"right\":\"end\"}");
	buffer_finish(&text);
}

static void deep_result_is_too_deep(void **state)
{
	struct fixture *fixture = *state;
	build(fixture, "Discard(d) Id(acc, o)");
	assert_int_equal(fixture->step.state, INSTANCE_OVERFLOW);
	/* A pair that waits costs some hundred bytes, not a frame. */
	assert_true(instance_size(fixture->instance) < DEEP * (size_t)300);
}

static void deep_value_is_dropped_as_a_whole(void **state)
{
	struct fixture *fixture = *state;
	build(fixture, "Discard(acc) Id(d, o)");
	assert_string_equal(fixture_result(fixture), "\"end\"");
	assert_true(instance_size(fixture->instance) < 4096);
}

static void deep_value_is_found_ground(void **state)
{
	struct fixture *fixture = *state;
	build(fixture, "After(acc; { Id(d, o) })");
	assert_string_equal(fixture_result(fixture), "\"end\"");
	assert_true(instance_size(fixture->instance) < 4096);
}

static void state_as_a_whole_is_bounded(void **state)
{
	struct fixture *fixture = *state;
	fixture->limits.state_size = 100000;
	fixture_start(fixture,
	              "process Step(n) workflow Build(n, acc) -> o { Call(Step, n; s) WithIn(s;"
	              "  left m -> { Copy(m; k, l) ParOut(p; acc, k) Call(Build, l, p; o) }"
	              "  right d -> { Discard(d) Id(acc, o) }) }",
	              "Build", "{\"n\":0,\"acc\":0}");
	uint32_t ref = 0;
	while (fixture->step.state == INSTANCE_RUNNING)
		fixture_return(fixture, ++ref, "{\"left\":\"0123456789012345678901234567890123456789012345678901234567890\"}");
	assert_int_equal(fixture->step.state, INSTANCE_OVERFLOW);
	assert_in_range(ref, 100, 1000);
}

static void arguments_of_one_step_are_bounded_together(void **state)
{
	struct fixture *fixture = *state;
	struct buffer args = BUFFER_EMPTY;
	fixture->limits.state_size = 60000;
	buffer_append_string(&args, "{\"k\":\"");
	for (int i = 0; i < 1000; i++)
		buffer_append_char(&args, 'k');
	buffer_append_string(&args, "\",\"x\":[");
	for (int i = 0; i < 80; i++)
		buffer_append_string(&args, i == 0 ? "0" : ",0");
	buffer_append_string(&args, "]}");
	fixture_start(fixture,
	              "process P(e, k) each B(e, k) -> r { Call(P, e, k; r) } workflow W(k, x) -> o { Each(x, B, k; o) }",
	              "W", buffer_string(&args));
	assert_int_equal(fixture->step.state, INSTANCE_OVERFLOW);
	fixture->limits.each_window = 10;
	fixture_start(fixture, NULL, "W", buffer_string(&args));
	assert_int_equal(fixture->step.state, INSTANCE_RUNNING);
	buffer_finish(&args);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(json_goes_through_byte_for_byte),
		TEST(objects_are_written_as_the_language_says),
		TEST(parts_of_json_are_parts_of_the_same_text),
		TEST(value_is_dropped_when_its_last_reader_has_it),
		TEST(arguments_may_be_as_large_as_the_limit),
		TEST(result_may_be_as_large_as_the_limit),
		TEST(every_smaller_limit_is_passed),
		TEST(doubling_by_copies_is_bounded),
		TEST(value_may_be_as_deep_as_json_may),
		TEST(brackets_in_strings_are_no_depth),
		TEST(deep_result_is_too_deep),
		TEST(deep_value_is_dropped_as_a_whole),
		TEST(deep_value_is_found_ground),
		TEST(state_as_a_whole_is_bounded),
		TEST(arguments_of_one_step_are_bounded_together),
	};
	return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
