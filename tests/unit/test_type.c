#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/json.h"
#include "workflow/type.h"

#include <stdio.h>

/* ---- types, made in one arena that each test starts and finishes ---- */

static struct arena arena;

static int begin(void **state)
{
	(void)state;
	arena = (struct arena){0};
	return 0;
}

static int end(void **state)
{
	(void)state;
	arena_finish(&arena);
	return 0;
}

static const struct type *composite(enum type_kind kind, const struct type *first, const struct type *second)
{
	struct type *type = arena_alloc(&arena, sizeof *type);
	type->kind = kind;
	type->parts[0] = first;
	type->parts[1] = second;
	return type;
}

static const struct type *plain(enum type_kind kind)
{
	return composite(kind, NULL, NULL);
}

static const struct type *open_type(const char *name)
{
	struct type *type = arena_alloc(&arena, sizeof *type);
	type->name = slice_of(arena_string(&arena, slice_of(name)));
	return type;
}

static const struct type *with_members(enum type_kind kind, size_t count, const struct type_member *members)
{
	struct type *type = arena_alloc(&arena, sizeof *type);
	type->kind = kind;
	type->member_count = (uint32_t)count;
	type->members = arena_alloc(&arena, count * sizeof *members);
	for (size_t i = 0; i < count; i++)
		type->members[i] = members[i];
	return type;
}

static struct type_member member(const char *name, const struct type *type)
{
	return (struct type_member){.name = slice_of(arena_string(&arena, slice_of(name))), .type = type};
}

static struct type_member filled(const char *name, const struct type *type, const char *default_json)
{
	struct type_member result = member(name, type);
	result.has_default = true;
	result.default_json = slice_of(arena_string(&arena, slice_of(default_json)));
	return result;
}

#define MEMBERS(...)                                                                         \
	sizeof((struct type_member[]){__VA_ARGS__}) / sizeof(struct type_member),            \
		(struct type_member[])                                                       \
	{                                                                                    \
		__VA_ARGS__                                                                  \
	}
#define RECORD(...) with_members(TYPE_RECORD, MEMBERS(__VA_ARGS__))
#define CHOICE(...) with_members(TYPE_CHOICE, MEMBERS(__VA_ARGS__))
#define TEXT plain(TYPE_TEXT)
#define NUMBER plain(TYPE_NUMBER)
#define PAIR(a, b) composite(TYPE_PAIR, a, b)
#define SUM(a, b) composite(TYPE_SUM, a, b)
#define LIST(a) composite(TYPE_LIST, a, NULL)

/* ---- what is expected ---- */

static void prints(const struct type *type, const char *expected)
{
	struct buffer out = BUFFER_EMPTY;
	type_print(type, &out);
	assert_string_equal(buffer_string(&out), expected);
	buffer_finish(&out);
}

static void accepts_as(const struct type *type, enum type_strictness strictness, const char *json, const char *expected)
{
	struct buffer out = BUFFER_EMPTY;
	struct buffer again = BUFFER_EMPTY;
	struct error error = {0};
	buffer_append_string(&out, "before ");
	if (type_accept(type, slice_of(json), strictness, &out, &error) != 0)
		fail_msg("%s refused: %s", json, error.text);
	assert_memory_equal(out.data, "before ", 7);
	buffer_consume(&out, 7);
	assert_string_equal(buffer_string(&out), expected);
	assert_int_equal(type_accept(type, buffer_slice(&out), TYPE_ARGUMENT, &again, NULL), 0);
	assert_true(slice_equal(buffer_slice(&out), buffer_slice(&again)));
	buffer_finish(&out);
	buffer_finish(&again);
}

static void accepts(const struct type *type, const char *json)
{
	accepts_as(type, TYPE_ARGUMENT, json, json);
	accepts_as(type, TYPE_OUTPUT, json, json);
}

static void refuses_as(const struct type *type, enum type_strictness strictness, const char *json, int code,
                       const char *why)
{
	struct buffer out = BUFFER_EMPTY;
	struct error error = {0};
	buffer_append_string(&out, "before");
	int result = type_accept(type, slice_of(json), strictness, &out, &error);
	if (result == 0)
		fail_msg("%s was accepted as %s", json, buffer_string(&out));
	assert_string_equal(error.text, why);
	assert_int_equal(result, code);
	assert_int_equal(error.code, code);
	assert_string_equal(buffer_string(&out), "before");
	assert_int_equal(type_accept(type, slice_of(json), strictness, &out, NULL), code);
	buffer_finish(&out);
}

static void refuses(const struct type *type, const char *json, const char *why)
{
	refuses_as(type, TYPE_ARGUMENT, json, ERR_TYPE, why);
	refuses_as(type, TYPE_OUTPUT, json, ERR_TYPE, why);
}

/* ---- equality ---- */

static void types_are_equal_by_structure(void **state)
{
	(void)state;
	assert_true(type_equal(TEXT, TEXT));
	assert_false(type_equal(TEXT, NUMBER));
	assert_true(type_equal(open_type("A"), open_type("A")));
	assert_false(type_equal(open_type("A"), open_type("B")));
	assert_false(type_equal(open_type("A"), plain(TYPE_JSON)));
	assert_true(type_equal(PAIR(TEXT, LIST(NUMBER)), PAIR(TEXT, LIST(NUMBER))));
	assert_false(type_equal(PAIR(TEXT, NUMBER), PAIR(NUMBER, TEXT)));
	assert_false(type_equal(PAIR(TEXT, NUMBER), SUM(TEXT, NUMBER)));
	assert_false(type_equal(LIST(TEXT), LIST(NUMBER)));
	assert_false(type_equal(PAIR(TEXT, PAIR(TEXT, TEXT)), PAIR(PAIR(TEXT, TEXT), TEXT)));
}

static void order_of_members_does_not_matter(void **state)
{
	(void)state;
	const struct type *type = RECORD(member("a", TEXT), member("b", NUMBER), member("c", LIST(TEXT)));
	assert_true(type_equal(type, RECORD(member("c", LIST(TEXT)), member("a", TEXT), member("b", NUMBER))));
	assert_false(type_equal(type, RECORD(member("c", LIST(TEXT)), member("a", NUMBER), member("b", TEXT))));
	assert_false(type_equal(type, RECORD(member("a", TEXT), member("b", NUMBER))));
	assert_false(type_equal(type, RECORD(member("a", TEXT), member("b", NUMBER), member("d", LIST(TEXT)))));
	assert_true(type_equal(RECORD(member("a", TEXT)), RECORD(filled("a", TEXT, "\"x\""))));
}

static void order_of_labels_does_not_matter(void **state)
{
	(void)state;
	const struct type *type = CHOICE(member("a", NULL), member("b", TEXT));
	assert_true(type_equal(type, CHOICE(member("b", TEXT), member("a", NULL))));
	assert_false(type_equal(type, CHOICE(member("b", NULL), member("a", TEXT))));
	assert_false(type_equal(type, CHOICE(member("a", plain(TYPE_UNIT)), member("b", TEXT))));
	assert_false(type_equal(type, RECORD(member("a", TEXT), member("b", TEXT))));
}

/* Each level uses the one below it twice: 2^200 leaves. */
static const struct type *doubled(const struct type *type, int levels, bool copied, bool swapped)
{
	for (int i = 0; i < levels; i++) {
		const struct type *other = type;
		if (copied) {
			struct type *copy = arena_alloc(&arena, sizeof *copy);
			*copy = *type;
			other = copy;
		}
		type = swapped ? RECORD(member("y", other), member("x", type))
		               : RECORD(member("x", type), member("y", other));
	}
	return type;
}

static void types_that_share_parts_are_compared_in_no_time(void **state)
{
	(void)state;
	const struct type *type = doubled(TEXT, 200, false, false);
	assert_true(type_equal(type, doubled(TEXT, 200, false, true)));
	assert_true(type_equal(type, doubled(TEXT, 200, true, true)));
	assert_true(type_equal(doubled(TEXT, 200, true, true), type));
	assert_false(type_equal(type, doubled(NUMBER, 200, true, false)));
	assert_false(type_equal(type, doubled(TEXT, 199, false, false)));
}

/* ---- print ---- */

static void print_gives_what_the_language_reads(void **state)
{
	(void)state;
	const struct type *a = open_type("A"), *b = open_type("B"), *c = open_type("C");
	prints(a, "A");
	prints(plain(TYPE_UNIT), "()");
	prints(plain(TYPE_JSON), "Json");
	prints(plain(TYPE_BOOL), "Bool");
	prints(plain(TYPE_DURATION), "Duration");
	prints(PAIR(a, PAIR(b, c)), "A * B * C");
	prints(PAIR(PAIR(a, b), c), "(A * B) * C");
	prints(SUM(a, SUM(b, c)), "A + B + C");
	prints(SUM(SUM(a, b), c), "(A + B) + C");
	prints(SUM(PAIR(a, b), PAIR(b, c)), "A * B + B * C");
	prints(PAIR(SUM(a, b), c), "(A + B) * C");
	prints(LIST(SUM(a, LIST(TEXT))), "[A + [Text]]");
	prints(SUM(PAIR(a, LIST(TEXT)), RECORD(member("a", open_type("X")))), "A * [Text] + {a: X}");
}

static void print_gives_members_labels_and_defaults(void **state)
{
	(void)state;
	prints(RECORD(member("a", TEXT), filled("case", NUMBER, "1.50"), member("A b", SUM(TEXT, NUMBER))),
	       "{a: Text, case: Number = 1.50, \"A b\": Text + Number}");
	prints(RECORD(filled("t", plain(TYPE_DURATION), "1500")), "{t: Duration = 1500ms}");
	prints(RECORD(member("", TEXT), member("é\n", TEXT)), "{\"\": Text, \"é\\n\": Text}");
	const struct type *choice = CHOICE(member("none", NULL), member("some", PAIR(TEXT, NUMBER)));
	prints(choice, "none | some(Text * Number)");
	prints(LIST(choice), "[none | some(Text * Number)]");
	prints(PAIR(choice, TEXT), "(none | some(Text * Number)) * Text");
}

static void print_of_a_vast_type_is_cut(void **state)
{
	(void)state;
	struct buffer out = BUFFER_EMPTY;
	type_print(doubled(TEXT, 200, false, false), &out);
	assert_int_equal(out.size, TYPE_PRINT_SIZE + 3);
	assert_memory_equal(out.data + out.size - 3, "…", 3);
	buffer_finish(&out);
}

/* ---- accept ---- */

static void leaves_are_accepted_by_kind(void **state)
{
	(void)state;
	accepts(TEXT, "\"a\\u0062\"");
	accepts(NUMBER, "-1.50e+3");
	accepts(plain(TYPE_BOOL), "true");
	accepts(plain(TYPE_BOOL), "false");
	accepts(plain(TYPE_UNIT), "null");
	refuses(TEXT, "1", "a number where Text is due");
	refuses(NUMBER, "\"1\"", "a string where Number is due");
	refuses(plain(TYPE_BOOL), "null", "null where Bool is due");
	refuses(plain(TYPE_UNIT), "{}", "an object where () is due");
	refuses(TEXT, "[]", "an array where Text is due");
	refuses(TEXT, "true", "true where Text is due");
}

static void open_types_take_anything(void **state)
{
	(void)state;
	static const char *const texts[] = {"null", "1", "\"x\"", "[1, {\"a\" :[]}]", "{\"z\":0}"};
	for (size_t i = 0; i < 5; i++) {
		accepts(open_type("A"), texts[i]);
		accepts(plain(TYPE_JSON), texts[i]);
	}
}

static void durations_are_whole_milliseconds(void **state)
{
	(void)state;
	const struct type *duration = plain(TYPE_DURATION);
	accepts(duration, "0");
	accepts(duration, "9007199254740991");
	refuses(duration, "-1", "-1 where Duration is due (whole milliseconds, 0 to 9007199254740991)");
	refuses(duration, "1.0", "1.0 where Duration is due (whole milliseconds, 0 to 9007199254740991)");
	refuses(duration, "9007199254740992",
	        "9007199254740992 where Duration is due (whole milliseconds, 0 to 9007199254740991)");
	refuses(duration, "\"1s\"", "a string where Duration is due (whole milliseconds)");
}

static void white_space_around_goes_and_inside_stays(void **state)
{
	(void)state;
	const struct type *type = RECORD(member("a", LIST(NUMBER)), member("b", PAIR(TEXT, TEXT)));
	accepts_as(type, TYPE_ARGUMENT, " \n{ \"b\" : [\"x\" ,\t\"y\"],\"a\": [ 1,2 ]\n} ",
	           "{ \"b\" : [\"x\" ,\t\"y\"],\"a\": [ 1,2 ]\n}");
	accepts_as(NUMBER, TYPE_ARGUMENT, " 1 ", "1");
}

static void what_is_no_json_is_refused(void **state)
{
	(void)state;
	refuses_as(TEXT, TYPE_OUTPUT, "\"a", ERR_INVALID, "byte 2: the string begun at byte 0 has no end");
	refuses_as(TEXT, TYPE_OUTPUT, "", ERR_INVALID, "byte 0: a value is due, not the end of the text");
}

static void pairs_are_arrays_of_two(void **state)
{
	(void)state;
	const struct type *pair = PAIR(TEXT, PAIR(NUMBER, plain(TYPE_UNIT)));
	accepts(pair, "[\"a\",[1, null]]");
	refuses(pair, "[\"a\",1,null]", "at /1: a number where Number * () is due (an array of two)");
	refuses(pair, "[\"a\"]", "an array of 1 where Text * Number * () is due (an array of two)");
	refuses(pair, "[]", "an array of 0 where Text * Number * () is due (an array of two)");
	refuses(pair, "[\"a\",[1,null,[]]]", "at /1: an array of 3 where Number * () is due (an array of two)");
	refuses(pair, "[\"a\",[1,null],[]]", "an array of 3 where Text * Number * () is due (an array of two)");
	refuses(pair, "[\"a\",[1,1]]", "at /1/1: a number where () is due");
}

static void lists_take_any_number(void **state)
{
	(void)state;
	accepts(LIST(NUMBER), "[]");
	accepts(LIST(NUMBER), "[ ]");
	accepts(LIST(LIST(NUMBER)), "[[1],[],[2 , 3]]");
	refuses(LIST(NUMBER), "[1,2,3,\"4\"]", "at /3: a string where Number is due");
	refuses(RECORD(member("lines", LIST(NUMBER))), "{\"lines\":[1,2,3,\"4\"]}",
	        "at /lines/3: a string where Number is due");
	refuses(LIST(NUMBER), "{}", "an object where [Number] is due");
}

static void sums_are_objects_of_one_side(void **state)
{
	(void)state;
	const struct type *sum = SUM(TEXT, NUMBER);
	accepts(sum, "{\"left\":\"a\"}");
	accepts(sum, "{ \"right\" : 1 }");
	accepts(sum, "{\"lef\\u0074\":\"a\"}");
	refuses(sum, "{\"left\":1}", "at /left: a number where Text is due");
	refuses(sum, "{\"right\":\"a\"}", "at /right: a string where Number is due");
	refuses(sum, "\"a\"", "a string where Text + Number is due ({\"left\": …} or {\"right\": …})");
	refuses(sum, "{}", "an object where Text + Number is due (an object of one member, the label)");
	refuses(sum, "{\"left\":\"a\",\"right\":1}",
	        "an object where Text + Number is due (an object of one member, the label)");
	refuses(sum, "{\"lft\":\"a\"}", "unknown label \"lft\" of Text + Number; known: left, right");
}

static void choices_are_labels_with_or_without_payload(void **state)
{
	(void)state;
	const struct type *choice = CHOICE(member("none", NULL), member("some", TEXT), member("unit", plain(TYPE_UNIT)));
	accepts(choice, "\"none\"");
	accepts(choice, "\"n\\u006fne\"");
	accepts(choice, "{\"some\":\"x\"}");
	accepts(choice, "{\"unit\":null}");
	refuses(choice, "\"more\"", "unknown label \"more\"; known: none, some, unit");
	refuses(choice, "{\"more\":1}", "unknown label \"more\"; known: none, some, unit");
	refuses(choice, "\"some\"", "label \"some\" of none | some(Text) | unit(()) lacks its payload");
	refuses(choice, "{\"none\":null}",
	        "label \"none\" of none | some(Text) | unit(()) has no payload: the label alone is due");
	refuses(choice, "{\"some\":1}", "at /some: a number where Text is due");
	refuses(choice, "1", "a number where none | some(Text) | unit(()) is due (\"label\" or {\"label\": …})");
	refuses(choice, "{}",
	        "an object where none | some(Text) | unit(()) is due (an object of one member, the label)");
	refuses(choice, "{\"some\":\"x\",\"more\":1}",
	        "an object where none | some(Text) | unit(()) is due (an object of one member, the label)");
}

static void members_may_come_in_any_order(void **state)
{
	(void)state;
	const struct type *type = RECORD(member("a", TEXT), member("b", NUMBER), member("c d", TEXT));
	accepts(type, "{\"a\":\"\",\"b\":1,\"c d\":\"\"}");
	accepts(type, "{\"c\\u0020d\":\"\",\"b\":1,\"a\":\"\"}");
	refuses(type, "{\"c d\":\"\",\"b\":\"1\",\"a\":\"\"}", "at /b: a string where Number is due");
	refuses(type, "[]", "an array where {a: Text, b: Number, \"c d\": Text} is due");
}

static void missing_member_is_an_error(void **state)
{
	(void)state;
	const struct type *inner = RECORD(member("b", TEXT), member("c", TEXT));
	refuses(inner, "{\"c\":\"\"}", "member \"b\" of {b: Text, c: Text} is missing");
	refuses(inner, "{}", "member \"b\" of {b: Text, c: Text} is missing");
	refuses(RECORD(member("a", inner)), "{\"a\":{\"b\":\"\"}}", "at /a: member \"c\" of {b: Text, c: Text} is missing");
}

static void unknown_member_is_refused_in_arguments(void **state)
{
	(void)state;
	const struct type *type = RECORD(member("a", NUMBER));
	refuses_as(type, TYPE_ARGUMENT, "{\"a\":1,\"z\":2}", ERR_TYPE, "unknown member \"z\" of {a: Number}");
	refuses_as(LIST(type), TYPE_ARGUMENT, "[{\"a\":1},{\"z\":2,\"a\":1}]", ERR_TYPE,
	           "at /1: unknown member \"z\" of {a: Number}");
}

static void unknown_members_are_dropped_from_outputs(void **state)
{
	(void)state;
	const struct type *type = RECORD(member("a", NUMBER), member("b", NUMBER));
	accepts_as(type, TYPE_OUTPUT, "{\"x\":0,\"a\":1,\"b\":2}", "{\"a\":1,\"b\":2}");
	accepts_as(type, TYPE_OUTPUT, "{\"a\":1,\"x\":[{\"y\":\"}\"}],\"b\":2}", "{\"a\":1,\"b\":2}");
	accepts_as(type, TYPE_OUTPUT, "{\"a\":1,\"b\":2,\"x\":0}", "{\"a\":1,\"b\":2}");
	accepts_as(type, TYPE_OUTPUT, "{ \"x\" : 0 , \"y\" : 0 , \"a\" : 1 , \"z\" : 0 , \"b\" : 2 , \"w\" : 0 }",
	           "{\"a\" : 1,\"b\" : 2}");
	accepts_as(with_members(TYPE_RECORD, 0, NULL), TYPE_OUTPUT, "{\"x\":0, \"y\":1}", "{}");
	accepts_as(LIST(type), TYPE_OUTPUT, "[ {\"a\":1, \"b\":2} , {\"a\":1,\"x\":0,\"b\":2} , {\"b\":2, \"a\":1} ]",
	           "[ {\"a\":1, \"b\":2} , {\"a\":1,\"b\":2} , {\"b\":2, \"a\":1} ]");
}

static void defaults_are_filled_in(void **state)
{
	(void)state;
	const struct type *type = RECORD(member("a", NUMBER), filled("b", TEXT, "\"x\""), filled("c d", NUMBER, "1.50"));
	accepts_as(type, TYPE_ARGUMENT, "{\"a\":1}", "{\"a\":1,\"b\":\"x\",\"c d\":1.50}");
	accepts_as(type, TYPE_ARGUMENT, "{\"c d\":2, \"a\":1}", "{\"c d\":2, \"a\":1,\"b\":\"x\"}");
	accepts_as(type, TYPE_OUTPUT, "{\"a\":1,\"y\":0}", "{\"a\":1,\"b\":\"x\",\"c d\":1.50}");
	accepts(type, "{\"a\":1, \"b\":\"y\", \"c d\":2}");
	const struct type *all = RECORD(filled("a", NUMBER, "1"), filled("b", NUMBER, "2"));
	accepts_as(all, TYPE_ARGUMENT, "{ }", "{\"a\":1,\"b\":2}");
	accepts_as(all, TYPE_OUTPUT, "{\"x\":0}", "{\"a\":1,\"b\":2}");
	accepts_as(all, TYPE_OUTPUT, "{\"x\":0,\"b\":3}", "{\"b\":3,\"a\":1}");
	refuses(type, "{\"b\":\"y\"}",
	        "member \"a\" of {a: Number, b: Text = \"x\", \"c d\": Number = 1.50} is missing");
}

static void defaults_are_filled_in_at_every_depth(void **state)
{
	(void)state;
	const struct type *inner = RECORD(filled("a", NUMBER, "1"));
	const struct type *choice = CHOICE(member("none", NULL), member("some", inner));
	const struct type *type = RECORD(member("list", LIST(inner)), member("pair", PAIR(inner, inner)),
	                                 member("sum", SUM(NUMBER, inner)), member("choice", choice));
	accepts_as(type, TYPE_OUTPUT,
	           "{\"list\":[{},{\"a\":2},{\"x\":{}}],\"pair\":[{}, {}],\"sum\":{\"right\":{ }}, \"choice\":{\"some\":{}}}",
	           "{\"list\":[{\"a\":1},{\"a\":2},{\"a\":1}],\"pair\":[{\"a\":1}, {\"a\":1}],"
	           "\"sum\":{\"right\":{\"a\":1}}, \"choice\":{\"some\":{\"a\":1}}}");
}

static void defaults_of_defaults_are_filled_in(void **state)
{
	(void)state;
	const struct type *inner = RECORD(filled("a", NUMBER, "1"));
	const struct type *middle = RECORD(filled("i", inner, "{}"), filled("j", LIST(inner), "[ {}, {\"a\":5} ]"));
	accepts_as(RECORD(filled("m", middle, " {} ")), TYPE_ARGUMENT, "{}",
	           "{\"m\":{\"i\":{\"a\":1},\"j\":[ {\"a\":1}, {\"a\":5} ]}}");
}

static void defaults_cannot_blow_a_value_up(void **state)
{
	(void)state;
	const struct type *type = RECORD(filled("a", NUMBER, "1"));
	for (int i = 0; i < 60; i++)
		type = RECORD(filled("x", type, "{}"), filled("y", type, "{}"));
	refuses_as(type, TYPE_ARGUMENT, "{}", ERR_LIMIT, "defaults add more to the value than the limit of 1048576 bytes");
	char kilobyte[1027] = "\"";
	memset(kilobyte + 1, 'x', 1024);
	kilobyte[1025] = '"';
	struct buffer json = BUFFER_EMPTY;
	buffer_append_string(&json, "[{}");
	for (int i = 0; i < 2000; i++)
		buffer_append_string(&json, ",{}");
	buffer_append_string(&json, "]");
	refuses_as(LIST(RECORD(filled("a", TEXT, kilobyte))), TYPE_OUTPUT, buffer_string(&json), ERR_LIMIT,
	           "defaults add more to the value than the limit of 1048576 bytes");
	buffer_finish(&json);
}

static void defaults_cannot_make_a_value_too_deep(void **state)
{
	(void)state;
	const struct type *type = NUMBER;
	for (int i = 0; i < 128; i++)
		type = RECORD(filled("a", type, i == 0 ? "1" : "{}"));
	struct buffer out = BUFFER_EMPTY;
	struct error error;
	assert_int_equal(type_accept(type, SLICE("{}"), TYPE_ARGUMENT, &out, &error), 0);
	assert_int_equal(json_check(buffer_slice(&out), NULL), 0);
	buffer_finish(&out);
	type = RECORD(filled("a", type, "{}"));
	refuses_as(type, TYPE_ARGUMENT, "{}", ERR_LIMIT,
	           "with its defaults filled in: byte 640: nested deeper than the limit of 128");
}

static void pointer_is_escaped(void **state)
{
	(void)state;
	refuses(RECORD(member("a/b", RECORD(member("~", RECORD(member("\n\"", TEXT)))))),
	        "{\"a\\/b\":{\"~\":{\"\\n\\\"\":1}}}", "at /a~1b/~0/\\n\\\": a number where Text is due");
	refuses(RECORD(member("", TEXT)), "{\"\":1}", "at /: a number where Text is due");
}

static void long_texts_are_cut_in_the_message(void **state)
{
	(void)state;
	struct buffer name = BUFFER_EMPTY;
	struct buffer json = BUFFER_EMPTY;
	struct error error;
	for (int i = 0; i < 500; i++)
		buffer_append_string(&name, "é");
	const struct type *type = RECORD(member(buffer_string(&name), RECORD(member("end", NUMBER))));
	buffer_format(&json, "{\"%s\":{\"end\":\"\"}}", buffer_string(&name));
	assert_int_equal(type_accept(type, buffer_slice(&json), TYPE_OUTPUT, &name, &error), ERR_TYPE);
	assert_non_null(strstr(error.text, "at /éé"));
	assert_non_null(strstr(error.text, "é…é"));
	assert_non_null(strstr(error.text, "é/end: a string where Number is due"));
	assert_int_equal(type_accept(type, SLICE("1"), TYPE_OUTPUT, &name, &error), ERR_TYPE);
	assert_non_null(strstr(error.text, "a number where {\"éé"));
	assert_non_null(strstr(error.text, "é… is due"));
	type = with_members(TYPE_RECORD, 0, NULL);
	assert_int_equal(type_accept(type, buffer_slice(&json), TYPE_ARGUMENT, &name, &error), ERR_TYPE);
	assert_non_null(strstr(error.text, "unknown member \"éé"));
	assert_non_null(strstr(error.text, "é\" of {}"));
	buffer_finish(&name);
	buffer_finish(&json);
}

/* Records and choices past the number of members that are looked through one by one. */
static const struct type *numbered(enum type_kind kind, unsigned count)
{
	struct type *type = arena_alloc(&arena, sizeof *type);
	type->kind = kind;
	type->member_count = count;
	type->members = arena_alloc(&arena, count * sizeof *type->members);
	for (unsigned i = 0; i < count; i++) {
		char name[20];
		snprintf(name, sizeof name, "m%u", i);
		type->members[i] = member(name, kind == TYPE_RECORD ? NUMBER : NULL);
	}
	return type;
}

static void many_members_are_found_in_any_order(void **state)
{
	(void)state;
	for (unsigned count = 1; count < 400; count = count * 2 + 1) {
		struct buffer json = BUFFER_EMPTY;
		const struct type *type = numbered(TYPE_RECORD, count);
		buffer_append_char(&json, '{');
		for (unsigned i = 0; i < count; i++) {
			unsigned key = i % 2 != 0 ? count - 1 - i / 2 : i / 2;
			buffer_format(&json, "%s\"%s%u\":%u", i > 0 ? ", " : "", i % 3 == 0 ? "\\u006d" : "m", key, key);
		}
		buffer_append_char(&json, '}');
		accepts(type, buffer_string(&json));
		json.size--;
		buffer_append_string(&json, ",\"n\":0}");
		struct buffer out = BUFFER_EMPTY;
		assert_int_equal(type_accept(type, buffer_slice(&json), TYPE_ARGUMENT, &out, NULL), ERR_TYPE);
		assert_int_equal(type_accept(type, buffer_slice(&json), TYPE_OUTPUT, &out, NULL), 0);
		assert_int_equal(json_count(buffer_slice(&out)), count);
		buffer_finish(&out);
		buffer_finish(&json);
	}
}

static void many_labels_are_found_and_listed_in_part(void **state)
{
	(void)state;
	const struct type *type = numbered(TYPE_CHOICE, 300);
	struct buffer out = BUFFER_EMPTY;
	struct error error;
	accepts(type, "\"m0\"");
	accepts(type, "\"m299\"");
	accepts(type, "\"m1\\u0030\"");
	assert_int_equal(type_accept(type, SLICE("\"m300\""), TYPE_OUTPUT, &out, &error), ERR_TYPE);
	assert_non_null(strstr(error.text, "unknown label \"m300\"; known: m0, m1, m2"));
	assert_non_null(strstr(error.text, ", … (300 in all)"));
	buffer_finish(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(types_are_equal_by_structure, begin, end),
		cmocka_unit_test_setup_teardown(order_of_members_does_not_matter, begin, end),
		cmocka_unit_test_setup_teardown(order_of_labels_does_not_matter, begin, end),
		cmocka_unit_test_setup_teardown(types_that_share_parts_are_compared_in_no_time, begin, end),
		cmocka_unit_test_setup_teardown(print_gives_what_the_language_reads, begin, end),
		cmocka_unit_test_setup_teardown(print_gives_members_labels_and_defaults, begin, end),
		cmocka_unit_test_setup_teardown(print_of_a_vast_type_is_cut, begin, end),
		cmocka_unit_test_setup_teardown(leaves_are_accepted_by_kind, begin, end),
		cmocka_unit_test_setup_teardown(open_types_take_anything, begin, end),
		cmocka_unit_test_setup_teardown(durations_are_whole_milliseconds, begin, end),
		cmocka_unit_test_setup_teardown(white_space_around_goes_and_inside_stays, begin, end),
		cmocka_unit_test_setup_teardown(what_is_no_json_is_refused, begin, end),
		cmocka_unit_test_setup_teardown(pairs_are_arrays_of_two, begin, end),
		cmocka_unit_test_setup_teardown(lists_take_any_number, begin, end),
		cmocka_unit_test_setup_teardown(sums_are_objects_of_one_side, begin, end),
		cmocka_unit_test_setup_teardown(choices_are_labels_with_or_without_payload, begin, end),
		cmocka_unit_test_setup_teardown(members_may_come_in_any_order, begin, end),
		cmocka_unit_test_setup_teardown(missing_member_is_an_error, begin, end),
		cmocka_unit_test_setup_teardown(unknown_member_is_refused_in_arguments, begin, end),
		cmocka_unit_test_setup_teardown(unknown_members_are_dropped_from_outputs, begin, end),
		cmocka_unit_test_setup_teardown(defaults_are_filled_in, begin, end),
		cmocka_unit_test_setup_teardown(defaults_are_filled_in_at_every_depth, begin, end),
		cmocka_unit_test_setup_teardown(defaults_of_defaults_are_filled_in, begin, end),
		cmocka_unit_test_setup_teardown(defaults_cannot_blow_a_value_up, begin, end),
		cmocka_unit_test_setup_teardown(defaults_cannot_make_a_value_too_deep, begin, end),
		cmocka_unit_test_setup_teardown(pointer_is_escaped, begin, end),
		cmocka_unit_test_setup_teardown(long_texts_are_cut_in_the_message, begin, end),
		cmocka_unit_test_setup_teardown(many_members_are_found_in_any_order, begin, end),
		cmocka_unit_test_setup_teardown(many_labels_are_found_and_listed_in_part, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
