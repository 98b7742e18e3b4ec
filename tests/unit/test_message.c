#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "proto/log.pb-c.h"
#include "proto/wire.pb-c.h"
#include "wire/message.h"

#include <stdio.h>

static struct arena arena;
static struct buffer bytes;
static struct error error;
static ProtobufCMessage *message;

static int setup(void **state)
{
	(void)state;
	arena = (struct arena){0};
	bytes = BUFFER_EMPTY;
	memset(&error, 0, sizeof error);
	message = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_finish(&arena);
	buffer_finish(&bytes);
	return 0;
}

static int unpack(const ProtobufCMessageDescriptor *descriptor)
{
	return message_unpack(descriptor, buffer_slice(&bytes), &arena, &message, &error);
}

static void assert_bad(const ProtobufCMessageDescriptor *descriptor, struct slice what, int code, const char *text)
{
	message = NULL;
	assert_int_equal(message_unpack(descriptor, what, &arena, &message, &error), code);
	assert_string_equal(error.text, text);
	assert_null(message);
}

static void append_varint(struct buffer *out, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		buffer_append_char(out, (char)(unsigned char)(value | 0x80));
	buffer_append_char(out, (char)value);
}

/* A field with bytes. */
static void append_field(struct buffer *out, unsigned tag, struct slice value)
{
	append_varint(out, tag << 3 | 2);
	append_varint(out, value.size);
	buffer_append_slice(out, value);
}

#define HELLO (&clusterd__wire__hello__descriptor)
#define QUERY (&clusterd__wire__query__descriptor)

static void message_survives_the_way_there_and_back(void **state)
{
	(void)state;
	char *parameters[] = {(char *)(uintptr_t) "one", (char *)(uintptr_t) "", (char *)(uintptr_t) "drei é 語 😀"};
	Clusterd__Wire__Query query = CLUSTERD__WIRE__QUERY__INIT;
	Clusterd__Wire__Request request = CLUSTERD__WIRE__REQUEST__INIT;
	query.sql = (char *)(uintptr_t) "SELECT 1";
	query.n_parameters = 3;
	query.parameters = parameters;
	query.row_limit = 10;
	request.session = 1ull << 52;
	request.body_case = CLUSTERD__WIRE__REQUEST__BODY_QUERY;
	request.query = &query;
	buffer_append_string(&bytes, "x");
	message_append(&bytes, &request.base);
	buffer_consume(&bytes, 1);
	assert_int_equal(unpack(&clusterd__wire__request__descriptor), 0);
	const Clusterd__Wire__Request *back = (const Clusterd__Wire__Request *)message;
	/* Nothing points into the bytes. */
	memset(bytes.data, 0xFF, bytes.size);
	assert_int_equal(back->session, 1ull << 52);
	assert_int_equal(back->body_case, CLUSTERD__WIRE__REQUEST__BODY_QUERY);
	assert_string_equal(back->query->sql, "SELECT 1");
	assert_int_equal(back->query->n_parameters, 3);
	assert_string_equal(back->query->parameters[0], "one");
	assert_string_equal(back->query->parameters[1], "");
	assert_string_equal(back->query->parameters[2], "drei é 語 😀");
	assert_int_equal(back->query->row_limit, 10);
}

static void empty_message_has_its_defaults(void **state)
{
	(void)state;
	assert_int_equal(unpack(HELLO), 0);
	assert_string_equal(((const Clusterd__Wire__Hello *)message)->name, "");
}

static void empty_message_packs_to_nothing(void **state)
{
	(void)state;
	Clusterd__Wire__Text text = CLUSTERD__WIRE__TEXT__INIT;
	message_append(&bytes, &text.base); /* into a buffer without memory */
	assert_int_equal(bytes.size, 0);
	assert_int_equal(message_frame(&bytes, FRAME_RESPONSE, 1, &text.base, SLICE("")), 0);
	assert_int_equal(bytes.size, FRAME_HEADER_SIZE);
}

static void message_of_a_frame_is_packed_behind_its_header(void **state)
{
	(void)state;
	Clusterd__Wire__Wait wait = CLUSTERD__WIRE__WAIT__INIT;
	struct frame frame;
	size_t size;
	wait.instance = 300;
	assert_int_equal(message_frame(&bytes, FRAME_REQUEST, 5, &wait.base, SLICE("{}")), 0);
	assert_int_equal(frame_parse(buffer_slice(&bytes), &frame, &size, &error), 1);
	assert_int_equal(size, bytes.size);
	assert_int_equal(frame.stream, 5);
	assert_true(slice_equal(frame.message, (struct slice){"\x08\xAC\x02", 3}));
	assert_true(slice_is(frame.payload, "{}"));

	struct buffer head = BUFFER_EMPTY;
	assert_int_equal(message_frame_head(&head, FRAME_REQUEST, 5, &wait.base, SLICE("{}")), 0);
	buffer_append_string(&head, "{}");
	assert_true(slice_equal(buffer_slice(&head), buffer_slice(&bytes)));
	buffer_finish(&head);

	buffer_clear(&bytes);
	assert_int_equal(message_frame(&bytes, FRAME_CANCEL, 5, NULL, SLICE("")), 0);
	assert_int_equal(bytes.size, FRAME_HEADER_SIZE);
}

static void message_too_large_for_a_frame_is_refused_and_nothing_appended(void **state)
{
	(void)state;
	char *block = mem_zero(FRAME_SIZE_MAX + 1);
	Clusterd__Wire__SourceFile file = CLUSTERD__WIRE__SOURCE_FILE__INIT;
	file.text.data = (uint8_t *)block;
	file.text.len = FRAME_MESSAGE_MAX;
	assert_int_equal(message_frame(&bytes, FRAME_REQUEST, 5, &file.base, SLICE("")), ERR_LIMIT);
	file.text.len = 1;
	assert_int_equal(message_frame(&bytes, FRAME_REQUEST, 5, &file.base, (struct slice){block, FRAME_SIZE_MAX}),
	                 ERR_LIMIT);
	assert_int_equal(bytes.size, 0);
	mem_free(block);
}

static void malformed_bytes_are_refused_with_their_place(void **state)
{
	(void)state;
	assert_bad(HELLO, SLICE("\xFF"), ERR_INVALID, "Hello at byte 0: not a field's tag");
	assert_bad(HELLO, SLICE("\x00"), ERR_INVALID, "Hello at byte 0: not a field's tag");
	assert_bad(HELLO, SLICE("\x80\x00"), ERR_INVALID, "Hello at byte 0: not a field's tag");
	assert_bad(HELLO, SLICE("\x88\x80\x80\x80\x80\x00"), ERR_INVALID, "Hello at byte 0: not a field's tag");
	assert_bad(HELLO, SLICE("\x10\xFF"), ERR_INVALID, "Hello at byte 0: a number that does not end");
	assert_bad(HELLO, SLICE("\x10\x01\x18\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"), ERR_INVALID,
	           "Hello at byte 2: a number that does not end");
	assert_bad(HELLO, SLICE("\x22\xFF"), ERR_INVALID, "Hello at byte 0: a length that does not end");
	assert_bad(HELLO, SLICE("\x22\x05" "abcd"), ERR_INVALID,
	           "Hello at byte 0: the field is longer than what holds it");
	assert_bad(HELLO, SLICE("\x22\xFF\xFF\xFF\xFF\x0F" "abcd"), ERR_INVALID,
	           "Hello at byte 0: the field is longer than what holds it");
	assert_bad(HELLO, SLICE("\x0D\x01\x02\x03"), ERR_INVALID,
	           "Hello at byte 0: the field is longer than what holds it");
	assert_bad(HELLO, SLICE("\x13\x14"), ERR_INVALID, "Hello at byte 0: a field of a kind that is not used");
	assert_bad(HELLO, SLICE("\x12\x00"), ERR_INVALID, "Hello.version_low at byte 0 is not of its type");
	assert_bad(HELLO, SLICE("\x20\x00"), ERR_INVALID, "Hello.cluster_id at byte 0 is not of its type");
	/* Deeper: Request{query{sql}}; the place counts from the front of the whole. */
	assert_bad(&clusterd__wire__request__descriptor, SLICE("\x08\x01\x9A\x01\x03\x0A\x02" "x"), ERR_INVALID,
	           "Query at byte 5: the field is longer than what holds it");
}

static void every_cut_of_a_message_is_refused_or_a_message(void **state)
{
	(void)state;
	Clusterd__Wire__Hello hello = CLUSTERD__WIRE__HELLO__INIT;
	hello.magic = 1;
	hello.version_low = 300;
	hello.name = (char *)(uintptr_t) "client";
	message_append(&bytes, &hello.base);
	for (size_t size = 0; size < bytes.size; size++) {
		int code = message_unpack(HELLO, (struct slice){bytes.data, size}, &arena, &message, &error);
		assert_true(code == 0 || code == ERR_INVALID);
	}
}

static void strings_must_be_utf8_without_nul(void **state)
{
	(void)state;
	const struct slice bad[] = {
		SLICE("a\0b"),        SLICE("\x80"),             SLICE("\xC0\x80"),     SLICE("\xC1\xBF"),
		SLICE("\xC3"),        SLICE("\xE0\x9F\xBF"),     SLICE("\xED\xA0\x80"), SLICE("\xEF\xBF"),
		SLICE("\xF0\x8F\xBF\xBF"), SLICE("\xF4\x90\x80\x80"), SLICE("\xF5\x80\x80\x80"), SLICE("\xFF"),
		SLICE("\xE2\x82" "a"),
	};
	const struct slice good[] = {
		SLICE("\x01\x7F"),     SLICE("\xC2\x80"),     SLICE("\xDF\xBF"),         SLICE("\xE0\xA0\x80"),
		SLICE("\xED\x9F\xBF"), SLICE("\xEE\x80\x80"), SLICE("\xF0\x90\x80\x80"), SLICE("\xF4\x8F\xBF\xBF"),
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		buffer_clear(&bytes);
		append_field(&bytes, 5, bad[i]);
		assert_bad(HELLO, buffer_slice(&bytes), ERR_INVALID,
		           "Hello.name at byte 0 is not UTF-8, or contains NUL");
	}
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		buffer_clear(&bytes);
		append_field(&bytes, 5, good[i]);
		assert_int_equal(unpack(HELLO), 0);
	}
}

static void field_given_twice_is_refused(void **state)
{
	(void)state;
	assert_bad(HELLO, SLICE("\x10\x01\x10\x01"), ERR_INVALID,
	           "Hello.version_low at byte 2 is given twice, or with another that excludes it");
	assert_bad(&clusterd__wire__request__descriptor, SLICE("\x52\x00\x5A\x00"), ERR_INVALID,
	           "Request.close_session at byte 2 is given twice, or with another that excludes it");
}

static void field_that_is_not_known_is_skipped_unless_that_is_forbidden(void **state)
{
	(void)state;
	append_field(&bytes, 1000, SLICE("from a later version"));
	append_field(&bytes, 5, SLICE("client"));
	assert_int_equal(unpack(HELLO), 0);
	assert_string_equal(((const Clusterd__Wire__Hello *)message)->name, "client");
	assert_int_equal(message_unpack_known(HELLO, buffer_slice(&bytes), &arena, &message, &error), ERR_VERSION);
	assert_string_equal(error.text, "Hello at byte 0: field 1000 is not known to this version");
	/* Within another message too. */
	struct buffer outer = BUFFER_EMPTY;
	append_field(&outer, 1, SLICE("\x78\x01"));
	const ProtobufCMessageDescriptor *goodbye = &clusterd__wire__goodbye__descriptor;
	assert_int_equal(message_unpack_known(goodbye, buffer_slice(&outer), &arena, &message, &error), ERR_VERSION);
	assert_string_equal(error.text, "Error at byte 2: field 15 is not known to this version");
	buffer_finish(&outer);
}

static void too_many_elements_are_refused_before_anything_is_allocated(void **state)
{
	(void)state;
	for (int i = 0; i < MESSAGE_ELEMENTS_MAX; i++)
		append_field(&bytes, 2, SLICE(""));
	assert_int_equal(unpack(QUERY), 0);
	assert_int_equal(((const Clusterd__Wire__Query *)message)->n_parameters, MESSAGE_ELEMENTS_MAX);
	arena_finish(&arena);
	append_field(&bytes, 2, SLICE(""));
	assert_bad(QUERY, buffer_slice(&bytes), ERR_LIMIT, "Query: more than 10000 elements in one message");
	assert_int_equal(arena.used, 0);
}

static void numbers_are_counted_before_anything_is_allocated(void **state)
{
	(void)state;
	const ProtobufCMessageDescriptor *close_session = &clusterd__log__close_session__descriptor;
	static const char zeros[MESSAGE_ELEMENTS_MAX + 1];
	append_field(&bytes, 1, (struct slice){zeros, MESSAGE_ELEMENTS_MAX});
	assert_int_equal(unpack(close_session), 0);
	assert_int_equal(((const Clusterd__Log__CloseSession *)message)->n_sessions, MESSAGE_ELEMENTS_MAX);
	arena_finish(&arena);
	buffer_clear(&bytes);
	append_field(&bytes, 1, (struct slice){zeros, sizeof zeros});
	assert_bad(close_session, buffer_slice(&bytes), ERR_LIMIT,
	           "CloseSession: more than 10000 elements in one message");
	assert_int_equal(arena.used, 0);
	assert_bad(close_session, SLICE("\x0A\x02\x01\x80"), ERR_INVALID,
	           "CloseSession.sessions at byte 0 is cut off within a number");
}

static void too_many_unknown_fields_are_refused(void **state)
{
	(void)state;
	for (int i = 0; i <= MESSAGE_ELEMENTS_MAX; i++)
		buffer_append(&bytes, "\x78\x01", 2);
	assert_bad(QUERY, buffer_slice(&bytes), ERR_LIMIT, "Query: more than 10000 elements in one message");
	assert_int_equal(arena.used, 0);
}

static void oversize_message_is_refused(void **state)
{
	(void)state;
	struct slice large = {bytes.data, MESSAGE_SIZE_MAX + 1ul};
	assert_bad(QUERY, large, ERR_LIMIT, "Query of 67108865 bytes (limit 67108864)");
}

static void limit_of_the_arena_holds_and_is_left_as_it_was(void **state)
{
	(void)state;
	append_field(&bytes, 1, SLICE("SELECT 1"));
	arena.limit = 16;
	assert_int_equal(unpack(QUERY), ERR_LIMIT);
	assert_int_equal(arena.limit, 16);
	arena.limit = 0;
	assert_int_equal(unpack(QUERY), 0);
	assert_int_equal(arena.limit, 0);
}

/* Calls `visit` for each repeated field of a type and of those within it. */
static void each_repeated(const ProtobufCMessageDescriptor *type, unsigned depth,
                          void (*visit)(const ProtobufCMessageDescriptor *, const ProtobufCFieldDescriptor *))
{
	assert_true(depth < 8); /* or a type is recursive */
	assert_true(type->n_fields <= 64);
	for (unsigned i = 0; i < type->n_fields; i++) {
		if (type->fields[i].label == PROTOBUF_C_LABEL_REPEATED)
			visit(type, &type->fields[i]);
		if (type->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
			each_repeated(type->fields[i].descriptor, depth + 1, visit);
	}
}

static int visited;

/* Texts, messages, packed numbers; not a number. */
static bool has_length(const ProtobufCFieldDescriptor *field)
{
	return field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_BYTES ||
	       field->type == PROTOBUF_C_TYPE_MESSAGE || (field->flags & PROTOBUF_C_FIELD_FLAG_PACKED) != 0;
}

/* The least bytes for the most memory: every field of every element is there, and empty. */
static void decode_small_elements(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field)
{
	struct buffer element = BUFFER_EMPTY;
	int weight = 1; /* elements: those within it count, too */
	visited++;
	if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
		const ProtobufCMessageDescriptor *inner = field->descriptor;
		for (unsigned i = 0; i < inner->n_fields; i++) {
			weight += inner->fields[i].label == PROTOBUF_C_LABEL_REPEATED;
			append_varint(&element, inner->fields[i].id << 3 | (has_length(&inner->fields[i]) ? 2 : 0));
			append_varint(&element, 0);
		}
	}
	buffer_clear(&bytes);
	int count = 5000 / weight;
	for (int i = 0; i < count; i++)
		append_field(&bytes, field->id, buffer_slice(&element));
	if (unpack(type) != 0)
		fail_msg("%s.%s: %s", type->name, field->name, error.text);
	assert_true(arena.used <= MESSAGE_MEMORY(bytes.size, (size_t)(count * weight)));
	arena_finish(&arena);
	buffer_finish(&element);
	bool is_number = field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_BYTES &&
	                 field->type != PROTOBUF_C_TYPE_MESSAGE;
	if (is_number) {
		static const char zeros[5000];
		buffer_clear(&bytes);
		append_field(&bytes, field->id, (struct slice){zeros, sizeof zeros});
		if (unpack(type) != 0)
			fail_msg("%s.%s: %s", type->name, field->name, error.text);
		arena_finish(&arena);
	}
}

static void small_elements_fit_into_the_memory_that_decoding_may_take(void **state)
{
	(void)state;
	visited = 0;
	for (int type = FRAME_HELLO; type < FRAME_TYPE_END; type++) {
		const ProtobufCMessageDescriptor *descriptor = message_of_frame((enum frame_type)type);
		if (descriptor != NULL)
			each_repeated(descriptor, 0, decode_small_elements);
	}
	each_repeated(&clusterd__log__entry__descriptor, 0, decode_small_elements);
	assert_true(visited >= 10);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(message_survives_the_way_there_and_back),
		TEST(empty_message_has_its_defaults),
		TEST(empty_message_packs_to_nothing),
		TEST(message_of_a_frame_is_packed_behind_its_header),
		TEST(message_too_large_for_a_frame_is_refused_and_nothing_appended),
		TEST(malformed_bytes_are_refused_with_their_place),
		TEST(every_cut_of_a_message_is_refused_or_a_message),
		TEST(strings_must_be_utf8_without_nul),
		TEST(field_given_twice_is_refused),
		TEST(field_that_is_not_known_is_skipped_unless_that_is_forbidden),
		TEST(too_many_elements_are_refused_before_anything_is_allocated),
		TEST(numbers_are_counted_before_anything_is_allocated),
		TEST(too_many_unknown_fields_are_refused),
		TEST(oversize_message_is_refused),
		TEST(limit_of_the_arena_holds_and_is_left_as_it_was),
		TEST(small_elements_fit_into_the_memory_that_decoding_may_take),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
