/* A whole node that is told things by clients, workers, its executor, its disk and its clock: requests, offers,
 * results and heartbeats of every kind, some as raw bytes, some put together so that they make sense. It must answer
 * each request once, never end, and be as good as new when all have left: a workflow that is started then comes to
 * its end. */
#include "base/json.h"
#include "base/memory.h"
#include "daemon/node_internal.h"
#include "wire/message.h"

#include <assert.h>

/* Each target is built from one file. */
#include "../unit/node_fixture.c"

#define CONNECTIONS 4
#define STEPS_MAX 200
#define RESTARTS_MAX 3
#define SETTLE_SESSIONS_MS (25 * 3600 * 1000ll) /* longer than session_ttl can be */

/* --- drawing from the input ---------------------------------------------------------------------------------------- */

struct draw {
	const uint8_t *at;
	const uint8_t *end;
};

/* 0 when nothing is left. */
static uint8_t draw_byte(struct draw *draw)
{
	return draw->at < draw->end ? *draw->at++ : 0;
}

static uint64_t draw_bytes_number(struct draw *draw, int count)
{
	uint64_t number = 0;
	for (int i = 0; i < count; i++)
		number = number << 8 | draw_byte(draw);
	return number;
}

/* Small as a rule. */
static uint64_t draw_number(struct draw *draw)
{
	uint8_t byte = draw_byte(draw);
	return byte < 0xE0 ? byte % 32 : draw_bytes_number(draw, byte % 9);
}

static struct slice draw_slice(struct draw *draw, size_t size)
{
	size_t left = (size_t)(draw->end - draw->at);
	struct slice slice = {(const char *)draw->at, size < left ? size : left};
	draw->at += slice.size;
	return slice;
}

static const char *const sources[] = {
	/* 0: what is there from the beginning. */
	"type N = Number\n"
	"type R = {a: N, b: Text = \"x\"}\n"
	"type C = red | green(N)\n"
	"process Split(x: N) -> N * N   { exec = [\"split\", x] retries = 1 backoff = 10ms timeout = 5s }\n"
	"process Left(a: N) -> Text     { pool = [\"left\"] retries = 3 backoff = 0ms heartbeat = 400ms }\n"
	"process Right(b: N) -> Text    { retries = 2 backoff = 1ms start_timeout = 300ms }\n"
	"process Sort(x: N) -> N + Text { exec = [\"sort\", x] retries = 0 }\n"
	"process Fill(r: R) -> R        { heartbeat = 100ms timeout = 1s }\n"
	"process Pick(n: N) -> C\n"
	"process List(x: N) -> [N]      { exec = [\"list\"] start_timeout = 1s }\n"
	"process Double(n: N) -> N      { pool = [\"double\"] }\n"
	"workflow Pair(x: N) -> Text * Text { (a, b) = Split(x)  (Left(a), Right(b)) }\n"
	"workflow Choice(x: N) -> Text { case Sort(x) { left e -> Right(e)  right t -> t } }\n"
	"workflow Loop(x: N) -> Text { case Sort(x) { left m -> Loop(m)  right t -> t } }\n"
	"workflow Each(x: N) -> [N] { each n in List(x) limit 3 { Double(n) } }\n"
	"workflow Wide(x: N) -> [N] { each n in List(x) { Double(n) } }\n"
	"workflow Sleep(x: N) -> Text * Text { (Left(x) after sleep(150ms), Right(x) after sleep(4s)) }\n"
	"workflow Signal(x: N) -> Text * Text { (Left(x), signal(\"word\", \"k\")) }\n"
	"workflow Letters(x: N) -> N * (R * Text) {\n"
	"  a = signal(\"letter\", \"k\") as N\n"
	"  b = signal(\"record\") as R\n"
	"  (a, (b, Right(x)))\n"
	"}\n"
	"workflow Record(r: R, t: Text = \"y\") -> R * Text { (Fill(r), t) }\n"
	"workflow Turns(x: N) -> N * N {\n"
	"  a = signal(\"turn\") as N\n"
	"  c = Double(a)\n"
	"  (c, signal(\"turn\") after c)\n"
	"}\n"
	"workflow Colour(n: N) -> Text { case Pick(n) { red -> Right(1)  green m -> Left(m) } }\n",
	"type N = Number\nprocess Right(b: N) -> Text { retries = 9 }\n",
	"type N = Number\nprocess Right(b: N) -> N { exec = [\"right\"] }\n",
	"type N = Number\nworkflow Pair(x: N) -> N * N { Split(x) }\n",
	"process Told(x: Text) -> Text { exec = [\"./a.sh\", x] files = [\"a.sh\"] timeout = 1ms }\n"
	"workflow Tell(x: Text) -> Text { Told(x) }\n",
	"type N = Number\nworkflow Pass(x: N) -> N { x }\n",
	"workflow Wait(x: Text) -> Text * Text { (Late(x), signal(\"s\")) }\nprocess Late(x: Text) -> Text\n",
	"workflow Long(t: Text) -> Text { t after sleep(9007199254740991ms) }\n",
	"process Slow(x: Text) -> Text { timeout = 9007199254740991ms heartbeat = 9007199254740991ms "
	"start_timeout = 9007199254740991ms retries = 1000000 backoff = 9007199254740991ms backoff_max = 9007199254740991ms }\n"
	"workflow Crawl(x: Text) -> Text { Slow(x) }\n",
	"workflow Bad(x: Text) -> Text { Nothing(x) }\n",
	"workflow (",
	"",
};

/* Names, keys, values, settings, paths, hashes: whatever some string may be. */
static const char *const words[] = {
	"Pair", "Choice", "Loop", "Each", "Wide", "Sleep", "Signal", "Letters", "Record", "Colour", "Tell", "Pass", "Wait", "Long",
	"Crawl", "Split", "Left", "Right", "Sort", "Fill", "Pick", "List", "Double", "Told", "Late", "Slow", "Nothing", "",
	"Turns", "turn",
	"word", "letter", "record", "s", "k", "\"k\"", "null", "1", "{\"a\":1}", "\"s\"", "[]", " 7 ", "\xC3\xBC",
	"(b: N) -> Text", "(x: N) -> N * N", "(n: N) -> N",
	"retention", "each_window", "reductions_max", "value_max", "session_ttl", "instances_cached", "none",
	"1s", "1000", "1024", "100", "7d", "0", "99999999999999999999", "-1", "10m",
	"a.sh", "../a.sh", "x.flow", "y/z.flow", "7e63383214a1e93be678ea7b6b216b22", "zz",
	"SELECT 1", "SELECT ?1",
};

static const char *const values[] = {
	"", "{}", "{\"x\":1}", "{\"x\":21}", "{\"n\":3}", "{\"r\":{\"a\":1}}", "{\"r\":{\"a\":1,\"b\":\"z\"},\"t\":\"q\"}",
	"{\"x\":\"t\"}", "{\"t\":\"t\"}", "{\"x\":1,\"y\":2}", "{\""
	"\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC"
	"\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC"
	"\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC"
	"y\":2}",
	"1", "[1,2]", "\"t\"", "{\"left\":3}", "{\"right\":\"r\"}", "[1,2,3,4,5,6,7,8,9]", "[]", "\"red\"", "{\"green\":2}",
	"{\"a\":5,\"c\":6}", "null", "true", "1e400", "[[[[[[]]]]]]", "\"\\u0000\"", "\xFF", "{", "it failed", "not \xC3 UTF-8",
};

static struct slice draw_word(struct draw *draw)
{
	uint8_t byte = draw_byte(draw);
	if (byte >= 0xF0)
		return draw_slice(draw, draw_byte(draw));
	return slice_of(words[byte % (sizeof words / sizeof words[0])]);
}

static struct slice draw_value(struct draw *draw)
{
	uint8_t byte = draw_byte(draw);
	if (byte >= 0xF0)
		return draw_slice(draw, (size_t)(draw->end - draw->at));
	return slice_of(values[byte % (sizeof values / sizeof values[0])]);
}

static struct slice draw_source(struct draw *draw)
{
	uint8_t byte = draw_byte(draw);
	if (byte >= 0xE0)
		return draw_slice(draw, (size_t)(draw->end - draw->at));
	return slice_of(sources[byte % (sizeof sources / sizeof sources[0])]);
}

/* --- messages by their descriptors --------------------------------------------------------------------------------- */

struct told {
	struct node_fixture fixture;
	uint64_t connections[CONNECTIONS]; /* 0: closed */
	uint64_t next_connection;
	uint64_t next_sequence;
	uint32_t restarts;
	bool disk_waits;  /* it does nothing by itself */
	bool compare;     /* costs as much as all the rest: not each time */
	struct call_id call; /* what a message about a call is about */
	struct arena arena;
};

static void put_varint(struct buffer *out, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		buffer_append_char(out, (char)(unsigned char)(value | 0x80));
	buffer_append_char(out, (char)value);
}

static void put_bytes(struct buffer *out, struct slice bytes)
{
	put_varint(out, bytes.size);
	buffer_append_slice(out, bytes);
}

static void put_fixed32(struct buffer *out, uint32_t value)
{
	buffer_append_u32(out, value);
}

static uint64_t draw_field_number(struct told *told, struct draw *draw, const char *name)
{
	uint8_t byte = draw_byte(draw);
	if (byte >= 0x40)
		return draw_number(draw);
	if (strcmp(name, "session") == 0)
		return 1 + byte % 2;
	if (strcmp(name, "sequence") == 0)
		return told->next_sequence++;
	if (strcmp(name, "ref") == 0)
		return told->call.ref;
	if (strcmp(name, "attempt") == 0)
		return told->call.attempt;
	if (strcmp(name, "instance") == 0 && told->call.instance != 0)
		return told->call.instance;
	return byte % 16;
}

static void draw_message(struct told *told, struct draw *draw, const ProtobufCMessageDescriptor *type,
                         struct buffer *out);

static void draw_field(struct told *told, struct draw *draw, const ProtobufCFieldDescriptor *field, struct buffer *out)
{
	struct buffer inner = BUFFER_EMPTY;
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		put_varint(out, (uint64_t)field->id << 3 | 2);
		put_bytes(out, draw_word(draw));
		break;
	case PROTOBUF_C_TYPE_BYTES:
		put_varint(out, (uint64_t)field->id << 3 | 2);
		put_bytes(out, strcmp(field->name, "text") == 0 ? draw_source(draw) : draw_value(draw));
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		draw_message(told, draw, field->descriptor, &inner);
		put_varint(out, (uint64_t)field->id << 3 | 2);
		put_bytes(out, buffer_slice(&inner));
		break;
	case PROTOBUF_C_TYPE_FIXED32:
		put_varint(out, (uint64_t)field->id << 3 | 5);
		put_fixed32(out, (uint32_t)draw_number(draw));
		break;
	default:
		put_varint(out, (uint64_t)field->id << 3);
		put_varint(out, draw_field_number(told, draw, field->name));
		break;
	}
	buffer_finish(&inner);
}

/* Of a `oneof` one field; of all others what the input says, which is most. */
static void draw_message(struct told *told, struct draw *draw, const ProtobufCMessageDescriptor *type,
                         struct buffer *out)
{
	unsigned choices = 0;
	for (unsigned i = 0; i < type->n_fields; i++)
		choices += (type->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
	unsigned chosen = choices != 0 ? draw_byte(draw) % choices : 0;
	for (unsigned i = 0, choice = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
			if (choice++ == chosen)
				draw_field(told, draw, field, out);
			continue;
		}
		if (field->label != PROTOBUF_C_LABEL_REPEATED) {
			if (strcmp(field->name, "answered_below") != 0 || draw_byte(draw) >= 0xF0)
				draw_field(told, draw, field, out);
			continue;
		}
		/* Words of a start, parameters, files: not many, and often none. */
		for (unsigned count = draw_byte(draw) % 4; count > 0; count--)
			draw_field(told, draw, field, out);
	}
}

/* Bytes as they are, or put together; NULL: no such message. */
static const ProtobufCMessage *take_message(struct told *told, struct draw *draw, const ProtobufCMessageDescriptor *type)
{
	struct buffer bytes = BUFFER_EMPTY;
	struct error error = {0};
	ProtobufCMessage *message = NULL;
	uint8_t how = draw_byte(draw);
	if (told->fixture.call_count > 0)
		told->call = told->fixture.calls[how % told->fixture.call_count].id;
	if (how >= 0xF0)
		buffer_append_slice(&bytes, draw_slice(draw, (size_t)draw_bytes_number(draw, 2)));
	else
		draw_message(told, draw, type, &bytes);
	arena_finish(&told->arena);
	if (message_unpack(type, buffer_slice(&bytes), &told->arena, &message, &error) != 0)
		message = NULL;
	buffer_finish(&bytes);
	told->call = (struct call_id){0};
	return message;
}

/* --- steps --------------------------------------------------------------------------------------------------------- */

static uint64_t *draw_connection(struct told *told, struct draw *draw)
{
	uint64_t *connection = &told->connections[draw_byte(draw) % CONNECTIONS];
	if (*connection == 0)
		*connection = told->next_connection++;
	return connection;
}

static void end_connection(struct told *told, uint64_t *connection)
{
	node_fixture_close(&told->fixture, *connection);
	*connection = 0;
}

static void step_request(struct told *told, struct draw *draw)
{
	uint64_t connection = *draw_connection(told, draw);
	const ProtobufCMessage *message = take_message(told, draw, &clusterd__wire__request__descriptor);
	if (message != NULL)
		node_fixture_ask(&told->fixture, connection, (const Clusterd__Wire__Request *)message, draw_value(draw));
}

static void step_offer(struct told *told, struct draw *draw)
{
	uint64_t *connection = draw_connection(told, draw);
	const ProtobufCMessage *message = take_message(told, draw, &clusterd__wire__offer__descriptor);
	struct error error = {0};
	if (message != NULL && node_worker_offer(told->fixture.node, *connection, (const Clusterd__Wire__Offer *)message,
	                                         &error) != 0)
		end_connection(told, connection);
}

static void step_result(struct told *told, struct draw *draw)
{
	uint64_t *connection = draw_connection(told, draw);
	const ProtobufCMessage *message = take_message(told, draw, &clusterd__wire__result__descriptor);
	struct error error = {0};
	if (message != NULL && node_worker_result(told->fixture.node, *connection, (const Clusterd__Wire__Result *)message,
	                                          draw_value(draw), &error) != 0)
		end_connection(told, connection);
}

static void step_heartbeat(struct told *told, struct draw *draw)
{
	uint64_t connection = *draw_connection(told, draw);
	const ProtobufCMessage *message = take_message(told, draw, &clusterd__wire__heartbeat__descriptor);
	if (message != NULL)
		node_worker_heartbeat(told->fixture.node, connection, (const Clusterd__Wire__Heartbeat *)message);
}

static const char *good_value(const struct handed_out *call)
{
	static const char *const answers[][2] = {
		{"Split", "[1,2]"}, {"Sort", "{\"left\":4}"}, {"Fill", "{\"a\":1}"}, {"Pick", "{\"green\":2}"},
		{"List", "[1,2,3,4,5,6,7]"}, {"Double", "8"},
	};
	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		if (slice_is(text_slice(call->process), answers[i][0]))
			return answers[i][1];
	}
	return "\"text\"";
}

/* A call that was handed out comes back, as it should or in some other way. */
static void step_return(struct told *told, struct draw *draw)
{
	struct node_fixture *fixture = &told->fixture;
	if (fixture->call_count == 0)
		return;
	size_t index = draw_byte(draw) % fixture->call_count;
	uint8_t how = draw_byte(draw);
	uint64_t connection = fixture->calls[index].connection;
	struct slice value = (how & 1) == 0 ? slice_of(good_value(&fixture->calls[index])) : draw_value(draw);
	struct slice metadata = (how & 2) == 0 ? SLICE("") : draw_value(draw);
	if ((how & 4) != 0 && connection == 0)
		node_call_heartbeat(fixture->node, fixture->calls[index].id);
	else if (node_fixture_return(fixture, index, (how & 8) != 0, (how & 16) != 0, value, metadata) != 0)
		node_fixture_fail("a call's own result ends the connection of its worker");
}

static void step_cancel(struct told *told, struct draw *draw)
{
	const struct node_fixture *fixture = &told->fixture;
	if (fixture->request_count == 0)
		return;
	size_t back = draw_byte(draw) % fixture->request_count;
	const struct asked *asked = &fixture->requests[fixture->request_count - 1 - back];
	node_fixture_cancel(&told->fixture, asked->connection, asked->stream);
}

static void step_close(struct told *told, struct draw *draw)
{
	uint64_t *connection = &told->connections[draw_byte(draw) % CONNECTIONS];
	if (*connection != 0)
		end_connection(told, connection);
}

static void step_time(struct told *told, struct draw *draw)
{
	uint8_t how = draw_byte(draw);
	msec time = (msec)draw_bytes_number(draw, how % 5);
	if (how < 0xE0)
		told->fixture.now += time;
	else
		told->fixture.wall_offset += how % 2 == 0 ? time : -time;
}

static void step_disk(struct told *told, struct draw *draw)
{
	uint8_t how = draw_byte(draw);
	if (how < 0x80)
		node_fixture_disk(&told->fixture);
	else
		told->disk_waits = how % 2 == 0;
}

static void step_host(struct told *told, struct draw *draw)
{
	uint8_t how = draw_byte(draw);
	switch (how % 4) {
	case 0:
		node_hold(told->fixture.node, how >= 0x80);
		break;
	case 1:
		node_refuse(told->fixture.node, how >= 0x80 ? "the disk is nearly full" : "");
		break;
	case 2:
		told->fixture.microseconds_step = (how >> 2) * 100;
		break;
	default:
		if (told->restarts++ < RESTARTS_MAX) {
			node_fixture_restart(&told->fixture, how >= 0x80);
			memset(told->connections, 0, sizeof told->connections);
		}
		break;
	}
}

static void forget_frames(struct node_fixture *fixture)
{
	while (fixture->frame_count > 0)
		node_fixture_frame_finish(&fixture->frames[--fixture->frame_count]);
}

/* Another node comes, goes, or says something. */
static void step_peer(struct told *told, struct draw *draw)
{
	struct node *node = told->fixture.node;
	uint8_t how = draw_byte(draw);
	uint64_t member = 8 + how % 2;
	int type = FRAME_RAFT + (how >> 1) % (FRAME_TYPE_END - FRAME_RAFT);
	const ProtobufCMessageDescriptor *descriptor = message_of_frame((enum frame_type)type);
	uint32_t stream = draw_byte(draw) % 8;
	forget_frames(&told->fixture);
	if (how >= 0xE0) {
		node_peer_down(node, member);
	} else if (how >= 0xC0) {
		node_peer_up(node, member);
	} else if (descriptor == NULL) {
		if (type != FRAME_EXCHANGE)
			node_peer_message(node, member, type, stream, NULL, SLICE(""));
	} else {
		const ProtobufCMessage *message = take_message(told, draw, descriptor);
		if (message != NULL)
			node_peer_message(node, member, type, stream, message, draw_value(draw));
	}
}

#define STEP_PEER 0xE0 /* from here on, so that the steps of older inputs stay what they were */

typedef void step_function(struct told *told, struct draw *draw);

static step_function *const steps[] = {
	step_request, step_offer, step_result, step_heartbeat, step_return, step_cancel,
	step_close,   step_time,  step_disk,   step_host,      step_request, step_return,
};

/* A step: what it is, how many bytes it has (two), its bytes. */
static void take_steps(struct told *told, struct draw *input)
{
	for (int i = 0; i < STEPS_MAX && input->at < input->end; i++) {
		uint8_t kind = draw_byte(input);
		size_t size = (size_t)draw_bytes_number(input, 2);
		struct slice bytes = draw_slice(input, size);
		struct draw draw = {(const uint8_t *)bytes.data, (const uint8_t *)bytes.data + bytes.size};
		if (kind >= STEP_PEER)
			step_peer(told, &draw);
		else
			steps[kind % (sizeof steps / sizeof steps[0])](told, &draw);
		if (told->disk_waits)
			node_fixture_turn(&told->fixture);
		else
			node_fixture_settle(&told->fixture);
	}
}

/* --- before and after ---------------------------------------------------------------------------------------------- */

static void prepare(struct told *told)
{
	struct node_fixture *fixture = &told->fixture;
	uint64_t connection = told->connections[0] = told->next_connection++;
	uint64_t session = node_fixture_open_session(fixture, connection);
	node_fixture_open_session(fixture, connection);
	node_fixture_register(fixture, connection, session, told->next_sequence++, sources[0]);
	for (int i = 0; i < 10; i++) {
		const char *args = i == 8 ? "{\"r\":{\"a\":1}}" : i == 9 ? "{\"n\":1}" : "{\"x\":1}";
		node_fixture_start(fixture, connection, session, told->next_sequence++, words[i], args);
	}
	told->connections[1] = told->next_connection++;
	node_fixture_offer(fixture, told->connections[1], "Right", 2);
}

static void check_answered(const struct node_fixture *fixture)
{
	for (size_t i = 0; i < fixture->request_count; i++) {
		const struct asked *asked = &fixture->requests[i];
		if (!asked->over && !asked->may_wait)
			node_fixture_fail("a request of kind %d on stream %u was never answered", asked->body, asked->stream);
	}
}

static void expect_none(struct node_fixture *fixture, const char *name)
{
	long long number = node_fixture_status(fixture, name);
	if (number != 0)
		node_fixture_fail("status still has %lld as %s, though all have left", number, name);
}

static void cancel_instance(struct told *told, uint64_t session, uint64_t instance)
{
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Cancel body = CLUSTERD__WIRE__CANCEL__INIT;
	body.instance = instance;
	request.session = session;
	request.sequence = request.answered_below = told->next_sequence++;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_CANCEL;
	request.cancel = &body;
	node_fixture_ask(&told->fixture, told->connections[0], &request, SLICE(""));
	node_fixture_settle(&told->fixture);
}

/* The slots of the executor may be taken by what was started before. */
static void run_well(struct told *told, uint64_t session)
{
	struct node_fixture *fixture = &told->fixture;
	uint64_t connection = told->connections[0];
	node_fixture_register(fixture, connection, session, told->next_sequence++,
	                      "process Last(x: Text) -> Text { exec = [\"last\"] }\n"
	                      "workflow Ending(x: Text) -> Text * Text { a = Last(x)  (Last(a), a) }\n");
	node_fixture_start(fixture, connection, session, told->next_sequence++, "Ending", "{\"x\":\"y\"}");
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	Clusterd__Wire__Wait wait = CLUSTERD__WIRE__WAIT__INIT;
	wait.instance = fixture->answered.number;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_WAIT;
	request.wait = &wait;
	node_fixture_ask(fixture, connection, &request, SLICE(""));
	for (int i = 0; i < 2; i++) {
		if (fixture->call_count != 1 || !slice_is(text_slice(fixture->calls[0].process), "Last"))
			node_fixture_fail("the last workflow does not get its turn");
		node_fixture_return(fixture, 0, false, false, SLICE("\"z\""), SLICE("{}"));
		node_fixture_settle(fixture);
	}
	if (fixture->answered.number != wait.instance || strcmp(fixture->answered.state, "completed") != 0 ||
	    !slice_is(buffer_slice(&fixture->answered.payload), "[\"z\",\"z\"]"))
		node_fixture_fail("the last workflow does not complete: %s", fixture->answered.text);
}

/* All leave; what they left behind is found by a node that starts, and goes when it is cancelled. */
static void conclude(struct told *told)
{
	struct node_fixture *fixture = &told->fixture;
	node_hold(fixture->node, false);
	node_refuse(fixture->node, "");
	node_fixture_settle(fixture);
	/* Another node may have said that it leads in a later term: nobody hears of it again. */
	for (int i = 0; i < 20 && !fixture->node->ready; i++)
		node_fixture_pass(fixture, 1000);
	check_answered(fixture);
	for (int i = 0; i < CONNECTIONS; i++) {
		if (told->connections[i] != 0)
			end_connection(told, &told->connections[i]);
	}
	node_peer_down(fixture->node, 8);
	node_peer_down(fixture->node, 9);
	node_fixture_settle(fixture);
	expect_none(fixture, "requests_waiting");
	expect_none(fixture, "results_waiting");
	expect_none(fixture, "log_queue");
	if (fixture->node->runner.workers != NULL)
		node_fixture_fail("a worker is remembered, though all have left");
	node_fixture_restart(fixture, true);
	node_fixture_settle(fixture);
	told->connections[0] = told->next_connection++;
	uint64_t session = node_fixture_open_session(fixture, told->connections[0]);
	uint64_t ids[64];
	int count;
	while ((count = catalog_instances_open(fixture->catalog, 0, ids, 64)) > 0) {
		for (int i = 0; i < count; i++)
			cancel_instance(told, session, ids[i]);
	}
	expect_none(fixture, "instances_loaded");
	expect_none(fixture, "calls_waiting");
	expect_none(fixture, "calls_running");
	run_well(told, session);
	end_connection(told, &told->connections[0]);
	for (int i = 0; i < 10 && fixture->node->sessions != NULL; i++)
		node_fixture_pass(fixture, SETTLE_SESSIONS_MS);
	if (fixture->node->sessions != NULL || fixture->node->reports != NULL)
		node_fixture_fail("sessions or results are remembered, though all have left");
	if (told->compare)
		node_fixture_compare(fixture);
	node_drain(fixture->node);
	node_fixture_settle(fixture);
	if (!node_quiet(fixture->node))
		node_fixture_fail("nothing is left to do, and it is not quiet");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct told *told = mem_zero(sizeof *told);
	struct draw input = {data, data + size};
	told->next_connection = 1;
	told->next_sequence = 1;
	told->compare = size % 4 == 0;
	node_fixture_init(&told->fixture);
	prepare(told);
	take_steps(told, &input);
	conclude(told);
	node_fixture_finish(&told->fixture);
	arena_finish(&told->arena);
	mem_free(told);
	return 0;
}
