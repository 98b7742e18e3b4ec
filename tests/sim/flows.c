#include "sim/flows.h"

#include "base/json.h"

#include <inttypes.h>
#include <string.h>

/* Enough attempts that only a call that is wanted to fail does. */
#define STUBBORN " retries = 500  backoff = 20ms  backoff_max = 300ms  timeout = 2s "

/* `exec` and `pool` run on the node itself, the rest is offered by connected workers. */
static const char source[] =
	"type N = Number\n"
	"process Split(x: N) -> N * N   { exec = [\"split\", x]" STUBBORN "}\n"
	"process Left(a: N) -> Text     { pool = [\"left\"]" STUBBORN "heartbeat = 400ms }\n"
	"process Right(b: N) -> Text    {" STUBBORN "}\n"
	"process Sort(x: N) -> N + Text { exec = [\"sort\", x]" STUBBORN "}\n"
	"process Even(n: N) -> Text     {" STUBBORN "start_timeout = 300ms }\n"
	"process Down(n: N) -> N + Text { exec = [\"down\", n]" STUBBORN "heartbeat = 500ms }\n"
	"process List(x: N) -> [N]      {" STUBBORN "heartbeat = 300ms }\n"
	"process Double(n: N) -> N      { pool = [\"double\"]" STUBBORN "}\n"
	"process Fragile(x: N) -> Text  { exec = [\"fragile\", x] retries = 1  backoff = 50ms  timeout = 1s  start_timeout = 5s }\n"
	"workflow Pair(x: N) -> Text * Text { (a, b) = Split(x)  (Left(a), Right(b)) }\n"
	"workflow Choice(x: N) -> Text { case Sort(x) { left e -> Even(e)  right t -> t } }\n"
	"workflow Loop(x: N) -> Text { case Down(x) { left m -> Loop(m)  right t -> t } }\n"
	"workflow Each(x: N) -> [N] { each n in List(x) limit 3 { Double(n) } }\n"
	"workflow Slowly(x: N) -> [N] { each n in List(x) { Double(n) after sleep(600ms) } }\n"
	"workflow Sleep(x: N) -> Text * Text { (Left(x) after sleep(150ms), Right(x) after sleep(4s)) }\n"
	"workflow Signal(x: N) -> Text * Text { (Left(x), signal(\"word\", \"k\")) }\n"
	"workflow Letters(x: N) -> N * (N * Text) {\n"
	"  a = signal(\"letter\", \"k\") as N\n"
	"  b = signal(\"letter\", \"k\") as N\n"
	"  (a, (b, Right(x)))\n"
	"}\n"
	"workflow Turns(x: N) -> N * N {\n"
	"  a = signal(\"turn\", \"k\") as N\n"
	"  c = Double(a)\n"
	"  (c, signal(\"turn\", \"k\") after c)\n"
	"}\n"
	"workflow Nested(x: N) -> (Text * Text) * (Text * [N]) { (Pair(x), (Loop(x), each n in List(x) { Double(n) })) }\n"
	"workflow Brittle(x: N) -> Text * Text { (Fragile(x), Right(x)) }\n";

static const char *const names[FLOW_COUNT] = {
	"Pair", "Choice", "Loop", "Each", "Slowly", "Sleep", "Signal", "Letters", "Turns", "Nested", "Brittle", "Versioned",
};

const char *flow_name(enum flow flow)
{
	return names[flow];
}

uint32_t flow_signal_count(enum flow flow)
{
	return flow == FLOW_SIGNAL ? 1 : flow == FLOW_LETTERS || flow == FLOW_TURNS ? 2 : 0;
}

const char *flow_signal_name(enum flow flow)
{
	return flow == FLOW_SIGNAL ? "word" : flow == FLOW_LETTERS ? "letter" : "turn";
}

void flow_signal_value(enum flow flow, uint64_t x, uint32_t number, struct buffer *out)
{
	if (flow == FLOW_SIGNAL)
		buffer_format(out, "\"word %" PRIu64 "\"", x);
	else
		buffer_format(out, "%" PRIu64, 2 * x + number);
}

const char *flows_source(void)
{
	return source;
}

void flows_versioned_source(uint32_t depth, struct buffer *out)
{
	buffer_append_string(out, "type N = Number\nworkflow Versioned(x: N) -> N { ");
	for (uint32_t i = 0; i < depth; i++)
		buffer_append_string(out, "Double(");
	buffer_append_char(out, 'x');
	for (uint32_t i = 0; i < depth; i++)
		buffer_append_char(out, ')');
	buffer_append_string(out, " }\n");
}

uint32_t flows_depth(struct slice text)
{
	uint32_t depth = 0;
	const char *at = text.data;
	const char *end = text.data + text.size;
	while ((at = memmem(at, (size_t)(end - at), "Double(", 7)) != NULL) {
		at += 7;
		depth++;
	}
	return depth;
}

static void append_doubled(struct buffer *out, uint64_t x)
{
	buffer_append_char(out, '[');
	for (uint64_t i = 0; i < x % 9; i++)
		buffer_format(out, "%s%" PRIu64, i > 0 ? "," : "", 2 * (x + i));
	buffer_append_char(out, ']');
}

void flow_expected(enum flow flow, uint64_t x, uint32_t depth, struct buffer *out)
{
	switch (flow) {
	case FLOW_PAIR:
		buffer_format(out, "[\"left %" PRIu64 "\",\"right %" PRIu64 "\"]", x / 10, x % 10);
		break;
	case FLOW_CHOICE:
		buffer_format(out, x % 2 == 0 ? "\"even %" PRIu64 "\"" : "\"odd %" PRIu64 "\"", x);
		break;
	case FLOW_LOOP:
		buffer_format(out, "\"ground %" PRIu64 "\"", x - x % 7);
		break;
	case FLOW_EACH:
	case FLOW_SLOWLY:
		append_doubled(out, x);
		break;
	case FLOW_SLEEP:
		buffer_format(out, "[\"left %" PRIu64 "\",\"right %" PRIu64 "\"]", x, x);
		break;
	case FLOW_SIGNAL:
		buffer_format(out, "[\"left %" PRIu64 "\",\"word %" PRIu64 "\"]", x, x);
		break;
	case FLOW_LETTERS:
		buffer_format(out, "[%" PRIu64 ",[%" PRIu64 ",\"right %" PRIu64 "\"]]", 2 * x, 2 * x + 1, x);
		break;
	case FLOW_TURNS:
		buffer_format(out, "[%" PRIu64 ",%" PRIu64 "]", 4 * x, 2 * x + 1);
		break;
	case FLOW_NESTED:
		buffer_append_char(out, '[');
		flow_expected(FLOW_PAIR, x, 0, out);
		buffer_append_string(out, ",[");
		flow_expected(FLOW_LOOP, x, 0, out);
		buffer_append_char(out, ',');
		append_doubled(out, x);
		buffer_append_string(out, "]]");
		break;
	case FLOW_BRITTLE:
		buffer_format(out, "[\"fragile %" PRIu64 "\",\"right %" PRIu64 "\"]", x, x);
		break;
	case FLOW_VERSIONED:
		buffer_format(out, "%" PRIu64, x << depth);
		break;
	case FLOW_COUNT:
		break;
	}
}

static uint64_t only_argument(struct slice args)
{
	struct json_iterator iterator;
	struct slice key;
	struct slice value;
	long long number = 0;
	json_iterate(&iterator, args);
	if (json_next(&iterator, &key, &value))
		json_integer(value, 0, INT64_MAX, &number);
	return (uint64_t)number;
}

static void compute_list(uint64_t x, struct buffer *out)
{
	buffer_append_char(out, '[');
	for (uint64_t i = 0; i < x % 9; i++)
		buffer_format(out, "%s%" PRIu64, i > 0 ? "," : "", x + i);
	buffer_append_char(out, ']');
}

bool flows_compute(struct slice process, struct slice args, struct buffer *out)
{
	uint64_t x = only_argument(args);
	if (slice_is(process, "Split"))
		buffer_format(out, "[%" PRIu64 ",%" PRIu64 "]", x / 10, x % 10);
	else if (slice_is(process, "Left"))
		buffer_format(out, "\"left %" PRIu64 "\"", x);
	else if (slice_is(process, "Right"))
		buffer_format(out, "\"right %" PRIu64 "\"", x);
	else if (slice_is(process, "Sort"))
		buffer_format(out, x % 2 == 0 ? "{\"left\":%" PRIu64 "}" : "{\"right\":\"odd %" PRIu64 "\"}", x);
	else if (slice_is(process, "Even"))
		buffer_format(out, "\"even %" PRIu64 "\"", x);
	else if (slice_is(process, "Down") && x % 7 > 0)
		buffer_format(out, "{\"left\":%" PRIu64 "}", x - 1);
	else if (slice_is(process, "Down"))
		buffer_format(out, "{\"right\":\"ground %" PRIu64 "\"}", x);
	else if (slice_is(process, "List"))
		compute_list(x, out);
	else if (slice_is(process, "Double"))
		buffer_format(out, "%" PRIu64, 2 * x);
	else if (slice_is(process, "Fragile"))
		buffer_format(out, "\"fragile %" PRIu64 "\"", x);
	else
		return false;
	return true;
}
