#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/json_keys.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <limits.h>
#include <stdio.h>
#include <time.h>

static void accepts(const char *text)
{
	struct error error = {0};
	if (json_check(slice_of(text), &error) != 0)
		fail_msg("%s refused: %s", text, error.text);
}

static void refuses_slice(struct slice text, int code, const char *why)
{
	struct error error = {0};
	/* A copy of the exact size, so that reading past the end is seen by the sanitizer. */
	char *copy = mem_copy(text.data, text.size);
	int result = json_check((struct slice){copy, text.size}, &error);
	mem_free(copy);
	if (result == 0)
		fail_msg("%.*s was accepted", SLICE_ARGS(text));
	assert_int_equal(result, code);
	assert_int_equal(error.code, code);
	assert_string_equal(error.text, why);
}

static void refuses(const char *text, const char *why)
{
	refuses_slice(slice_of(text), ERR_INVALID, why);
}

static void every_kind_of_value_is_accepted(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"null", "true", "false", "0", "-0", "10", "-1.5", "1e5", "1E+5", "1.25e-10", "123456789012345678901234567890",
		"\"\"", "\"a\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u0041\\ud83d\\ude00\\uFFFF\"", "[]", "{}", "[ ]", "{ }",
		"[1,2]", "[[],[[]],{}]", "{\"a\":1,\"b\":{\"a\":2}}", " \t\r\n{ \"a\" : [ 1 , 2 ] } \n",
		"\"twenty characters and more of plain text\"", "\"\x7f\"",
	};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		accepts(texts[i]);
}

static void malformed_text_is_refused_with_place_and_cause(void **state)
{
	(void)state;
	refuses("", "byte 0: a value is due, not the end of the text");
	refuses("  ", "byte 2: a value is due, not the end of the text");
	refuses("[1,]", "byte 3: a value is due, not ']'");
	refuses("[1 2]", "byte 3: a comma or ] is due, not '2'");
	refuses("[1", "byte 2: a comma or ] is due, not the end of the text");
	refuses("[1}", "byte 2: a comma or ] is due, not '}'");
	refuses("{\"a\":1,}", "byte 7: a key in double quotes is due, not '}'");
	refuses("{\"a\" 1}", "byte 5: a colon is due, not '1'");
	refuses("{\"a\":}", "byte 5: a value is due, not '}'");
	refuses("{\"a\":1 \"b\":2}", "byte 7: a comma or } is due, not '\"'");
	refuses("{a:1}", "byte 1: a key in double quotes is due, not 'a'");
	refuses("{1:1}", "byte 1: a key in double quotes is due, not '1'");
	refuses("]", "byte 0: a value is due, not ']'");
	refuses("1 2", "byte 2: the end of the text is due, not '2'");
	refuses("nul", "byte 0: a value is due, not 'n'");
	refuses("truer", "byte 4: the end of the text is due, not 'r'");
	refuses("'a'", "byte 0: a value is due, not '''");
	refuses("\xEF\xBB\xBF" "1", "byte 0: a value is due, not byte 0xef");
	refuses("/**/1", "byte 0: a value is due, not '/'");
	refuses("\v1", "byte 0: a value is due, not byte 0x0b");
	refuses("NaN", "byte 0: a value is due, not 'N'");
	refuses_slice((struct slice){NULL, 0}, ERR_INVALID, "byte 0: a value is due, not the end of the text");
	refuses_slice((struct slice){"1\0", 2}, ERR_INVALID, "byte 1: the end of the text is due, not byte 0x00");
}

static void malformed_numbers_are_refused(void **state)
{
	(void)state;
	refuses("01", "byte 1: the end of the text is due, not '1'");
	refuses("-", "byte 1: a digit is due, not the end of the text");
	refuses("-a", "byte 1: a digit is due, not 'a'");
	refuses("+1", "byte 0: a value is due, not '+'");
	refuses(".5", "byte 0: a value is due, not '.'");
	refuses("1.", "byte 2: a digit is due, not the end of the text");
	refuses("1.e5", "byte 2: a digit is due, not 'e'");
	refuses("1e", "byte 2: a digit is due, not the end of the text");
	refuses("1e+", "byte 3: a digit is due, not the end of the text");
	refuses("0x10", "byte 1: the end of the text is due, not 'x'");
}

static void malformed_strings_are_refused(void **state)
{
	(void)state;
	refuses("\"abc", "byte 4: the string begun at byte 0 has no end");
	refuses("\"abc\\\"", "byte 6: the string begun at byte 0 has no end");
	refuses("\"a\nb\"", "byte 2: control character 0x0a in a string; an escape is due");
	refuses("\"0123456789abcdef\x1f\"", "byte 17: control character 0x1f in a string; an escape is due");
	refuses("\"\\x\"", "byte 2: one of \" \\ / b f n r t u after \\ is due, not 'x'");
	refuses("\"\\", "byte 2: one of \" \\ / b f n r t u after \\ is due, not the end of the text");
	refuses("\"\\u12g4\"", "byte 1: four hex digits are due after \\u");
	refuses("\"\\u12", "byte 1: four hex digits are due after \\u");
	refuses_slice((struct slice){"\"\0\"", 3}, ERR_INVALID,
	              "byte 1: control character 0x00 in a string; an escape is due");
	refuses_slice((struct slice){"\"\\\0\"", 4}, ERR_INVALID,
	              "byte 2: one of \" \\ / b f n r t u after \\ is due, not byte 0x00");
}

/* Strings are read by the word: each byte of it must count, whatever stands beside it. */
static void every_byte_of_a_string_is_looked_at(void **state)
{
	(void)state;
	for (size_t length = 1; length < 20; length++) {
		for (size_t at = 1; at <= length; at++) {
			for (int byte = 0; byte < 256; byte++) {
				char text[24];
				memset(text, byte % 2 != 0 ? ' ' : '~', sizeof text);
				text[0] = text[length + 1] = '"';
				text[at] = (char)byte;
				bool good = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
				assert_int_equal(json_check((struct slice){text, length + 2}, NULL), good ? 0 : ERR_INVALID);
			}
		}
	}
}

static void zero_characters_and_lone_surrogates_are_refused(void **state)
{
	(void)state;
	refuses("\"a\\u0000\"", "byte 2: \\u0000 is refused");
	refuses("\"\\ud83d\"", "byte 1: a lone surrogate \\ud83d is refused");
	refuses("\"\\ude00\"", "byte 1: a lone surrogate \\ude00 is refused");
	refuses("\"\\ud83dxxxxxx\"", "byte 1: a lone surrogate \\ud83d is refused");
	refuses("\"\\ud83d\\u0041\"", "byte 1: a lone surrogate \\ud83d is refused");
	refuses("\"\\ud83d\\ud83d\\ude00\"", "byte 1: a lone surrogate \\ud83d is refused");
	refuses("\"\\ud83d\\udbff\"", "byte 1: a lone surrogate \\ud83d is refused");
	refuses("\"\\ud83d\\ue000\"", "byte 1: a lone surrogate \\ud83d is refused");
	refuses("\"\\ud83d\\n1234\"", "byte 1: a lone surrogate \\ud83d is refused");
	accepts("\"\\uD83D\\uDE00\\ud7ff\\ue000\"");
}

static void utf8_is_strict(void **state)
{
	(void)state;
	accepts("\"é€😀\"");
	accepts("\"\xC2\x80 \xDF\xBF \xE0\xA0\x80 \xED\x9F\xBF \xEE\x80\x80 \xEF\xBF\xBF \xF0\x90\x80\x80 \xF4\x8F\xBF\xBF\"");
	static const char *const bad[] = {
		"\x80",             "\xBF",         "\xC0\x80",         "\xC1\xBF",     "\xC2",             "\xC2\x41",
		"\xE0\x80\x80",     "\xE0\x9F\xBF", "\xED\xA0\x80",     "\xED\xBF\xBF", "\xE2\x82",         "\xE2\x82\x41",
		"\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xF0\x9F\x98", "\xFE", "\xFF",
		"\xF0\x9F\x41\x80",
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct buffer text = BUFFER_EMPTY;
		char why[80];
		buffer_format(&text, "\"0123456789%s\"", bad[i]);
		snprintf(why, sizeof why, "byte 11: 0x%02x begins no UTF-8 character", (unsigned char)bad[i][0]);
		refuses_slice(buffer_slice(&text), ERR_INVALID, why);
		buffer_finish(&text);
	}
}

static void nested(struct buffer *text, size_t depth, bool objects)
{
	buffer_clear(text);
	for (size_t i = 0; i < depth; i++)
		buffer_append_string(text, objects ? "{\"a\":" : "[");
	buffer_append_string(text, "0");
	for (size_t i = 0; i < depth; i++)
		buffer_append_char(text, objects ? '}' : ']');
}

static void depth_is_limited(void **state)
{
	(void)state;
	struct buffer text = BUFFER_EMPTY;
	nested(&text, JSON_DEPTH, false);
	assert_int_equal(json_check(buffer_slice(&text), NULL), 0);
	nested(&text, JSON_DEPTH, true);
	assert_int_equal(json_check(buffer_slice(&text), NULL), 0);
	nested(&text, JSON_DEPTH + 1, false);
	refuses_slice(buffer_slice(&text), ERR_LIMIT, "byte 128: nested deeper than the limit of 128");
	nested(&text, JSON_DEPTH + 1, true);
	refuses_slice(buffer_slice(&text), ERR_LIMIT, "byte 640: nested deeper than the limit of 128");
	nested(&text, 1000000, false);
	refuses_slice(buffer_slice(&text), ERR_LIMIT, "byte 128: nested deeper than the limit of 128");
	buffer_finish(&text);
}

static void duplicate_keys_are_refused(void **state)
{
	(void)state;
	refuses("{\"a\":1,\"a\":2}", "byte 7: the key \"a\" stands twice in one object");
	refuses("{\"a\":1,\"\\u0061\":2}", "byte 7: the key \"\\u0061\" stands twice in one object");
	refuses("{\"\\u00e9\":1,\"é\":2}", "byte 12: the key \"é\" stands twice in one object");
	refuses("{\"\":1,\"\":2}", "byte 6: the key \"\" stands twice in one object");
	refuses("[{\"b\":{\"x\":1,\"y\":2,\"x\":3}}]", "byte 19: the key \"x\" stands twice in one object");
	refuses("{\"a\":{\"b\":1},\"b\":2,\"a\":3}", "byte 19: the key \"a\" stands twice in one object");
	accepts("{\"a\":{\"a\":{\"a\":1}},\"b\":[{\"a\":1},{\"a\":2}]}");
	accepts("{\"a\":1,\"A\":2,\"a \":3,\"\":4}");
	accepts("{\"a\\\"b\":1,\"a\\\\b\":2}");
}

static void duplicates_are_found_among_many_keys(void **state)
{
	(void)state;
	for (unsigned count = 2; count < 300; count = count * 3 / 2 + 1) {
		struct buffer text = BUFFER_EMPTY;
		buffer_append_char(&text, '{');
		for (unsigned i = 0; i < count; i++)
			buffer_format(&text, "%s\"key %u\":{\"key %u\":%u}", i > 0 ? "," : "", i, i, i);
		buffer_append_char(&text, '}');
		assert_int_equal(json_check(buffer_slice(&text), NULL), 0);
		for (unsigned i = 0; i < count; i++) {
			char why[100];
			text.size--;
			size_t offset = text.size + 1;
			buffer_format(&text, ",\"\\u006bey %u\":0}", i);
			snprintf(why, sizeof why, "byte %zu: the key \"\\u006bey %u\" stands twice in one object", offset, i);
			refuses_slice(buffer_slice(&text), ERR_INVALID, why);
			text.size = offset - 1;
			buffer_append_char(&text, '}');
		}
		buffer_finish(&text);
	}
}

static void long_key_is_cut_in_the_message(void **state)
{
	(void)state;
	struct buffer text = BUFFER_EMPTY;
	struct error error;
	buffer_append_string(&text, "{\"");
	for (int i = 0; i < 500; i++)
		buffer_append_string(&text, "é");
	buffer_append_string(&text, "\":1,\"");
	for (int i = 0; i < 500; i++)
		buffer_append_string(&text, "é");
	buffer_append_string(&text, "\":1}");
	assert_int_equal(json_check(buffer_slice(&text), &error), ERR_INVALID);
	assert_non_null(strstr(error.text, "éé… stands twice"));
	buffer_finish(&text);
}

/* Keys whose hashes are all the same, as if somebody had made them for the hash that is used. */
static void colliding_keys_do_not_take_quadratic_time(void **state)
{
	(void)state;
	const uint32_t count = 300000;
	struct buffer texts = BUFFER_EMPTY;
	struct json_keys keys;
	uint32_t offset;
	for (uint32_t i = 0; i < count; i++)
		buffer_format(&texts, "%08u", i);
	for (int repeated = 0; repeated < 2; repeated++) {
		json_keys_init(&keys);
		for (uint32_t i = 0; i < count; i++)
			json_keys_add(&keys, (struct slice){texts.data + (size_t)i * 8, 8}, i);
		json_keys_add(&keys, (struct slice){texts.data, 7}, count - 1); /* the beginning of another key */
		if (repeated)
			json_keys_add(&keys, (struct slice){texts.data + 800, 8}, count);
		for (size_t i = 0; i < keys.count; i++)
			keys.keys[i].hash = 7;
		clock_t start = clock();
		bool found = json_keys_close(&keys, 0, &offset);
		/* 300000² / 2 comparisons would take minutes. */
		assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 10);
		assert_int_equal(found, repeated);
		if (repeated)
			assert_int_equal(offset, count);
		json_keys_finish(&keys);
	}
	buffer_finish(&texts);
}

static void trim_and_kind_see_past_white_space(void **state)
{
	(void)state;
	assert_true(slice_is(json_trim(SLICE(" \n[1 ]\t\r ")), "[1 ]"));
	assert_true(slice_is(json_trim(SLICE("1")), "1"));
	assert_int_equal(json_kind(SLICE(" null")), JSON_NULL);
	assert_int_equal(json_kind(SLICE("false")), JSON_FALSE);
	assert_int_equal(json_kind(SLICE("true")), JSON_TRUE);
	assert_int_equal(json_kind(SLICE("-1")), JSON_NUMBER);
	assert_int_equal(json_kind(SLICE("\"1\"")), JSON_STRING);
	assert_int_equal(json_kind(SLICE("[]")), JSON_ARRAY);
	assert_int_equal(json_kind(SLICE("\n{}")), JSON_OBJECT);
}

static void walk_gives_elements_as_they_are(void **state)
{
	(void)state;
	struct json_iterator iterator;
	struct slice key, value;
	json_iterate(&iterator, SLICE(" [ 1 , \"a]\\\"\\\\\" , [ 2, [ ] ],{\"x\":\"}\"} , null]"));
	static const char *const elements[] = {"1", "\"a]\\\"\\\\\"", "[ 2, [ ] ]", "{\"x\":\"}\"}", "null"};
	for (size_t i = 0; i < 5; i++) {
		assert_true(json_next(&iterator, NULL, &value));
		assert_true(slice_is(value, elements[i]));
	}
	assert_false(json_next(&iterator, NULL, &value));
	assert_false(json_next(&iterator, NULL, &value));
	json_iterate(&iterator, SLICE("{ \"a\\n\" : 1.5 ,\"\":{ }}"));
	assert_true(json_next(&iterator, &key, &value));
	assert_true(slice_is(key, "a\\n"));
	assert_true(slice_is(value, "1.5"));
	assert_true(json_next(&iterator, &key, &value));
	assert_true(slice_is(key, ""));
	assert_true(slice_is(value, "{ }"));
	assert_false(json_next(&iterator, &key, &value));
}

static void elements_are_counted(void **state)
{
	(void)state;
	assert_int_equal(json_count(SLICE("[ ]")), 0);
	assert_int_equal(json_count(SLICE("{}")), 0);
	assert_int_equal(json_count(SLICE("[[1,2,3],4]")), 2);
	assert_int_equal(json_count(SLICE(" {\"a\":[1,2],\"b\":3,\"c\":4} ")), 3);
}

static void members_are_found_by_plain_name(void **state)
{
	(void)state;
	struct slice object = SLICE("{\"a\":{\"b\":1},\"\\u0062\":2,\"x\\/y\":3}");
	struct slice value = SLICE("untouched");
	assert_true(json_member(object, SLICE("a"), &value));
	assert_true(slice_is(value, "{\"b\":1}"));
	assert_true(json_member(object, SLICE("b"), &value));
	assert_true(slice_is(value, "2"));
	assert_true(json_member(object, SLICE("x/y"), &value));
	assert_true(slice_is(value, "3"));
	assert_false(json_member(object, SLICE("c"), &value));
	assert_true(slice_is(value, "3"));
	assert_false(json_member(SLICE("{}"), SLICE(""), &value));
}

static void keys_are_compared_with_escapes_undone(void **state)
{
	(void)state;
	assert_true(json_key_equal(SLICE(""), SLICE("")));
	assert_true(json_key_equal(SLICE("abc"), SLICE("abc")));
	assert_false(json_key_equal(SLICE("abc"), SLICE("ab")));
	assert_false(json_key_equal(SLICE("ab"), SLICE("abc")));
	assert_true(json_key_equal(SLICE("a\\tb\\u00e9\\ud83d\\ude00"), SLICE("a\tbé😀")));
	assert_false(json_key_equal(SLICE("a\\tb"), SLICE("a\t")));
	assert_false(json_key_equal(SLICE("a\\t"), SLICE("a\tb")));
	assert_false(json_key_equal(SLICE("a\\u00e9"), SLICE("a\xC3")));
	assert_false(json_key_equal(SLICE("a\\n"), SLICE("a\\n")));
}

static void assert_unquoted(const char *string, const char *plain)
{
	struct buffer out = BUFFER_EMPTY;
	json_unquote(&out, slice_of(string));
	assert_string_equal(buffer_string(&out), plain);
	buffer_finish(&out);
}

static void unquote_undoes_every_escape(void **state)
{
	(void)state;
	assert_unquoted("\"\"", "");
	assert_unquoted("\"plain é\"", "plain é");
	assert_unquoted("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t");
	assert_unquoted("\"a\\u0041\\u00e9\\u20AC\\uD83D\\ude00z\"", "aAé€😀z");
	assert_unquoted("\"\\uffff\\u07ff\\u0800\"", "\xEF\xBF\xBF\xDF\xBF\xE0\xA0\x80");
}

static void assert_quoted(struct slice plain, const char *string)
{
	struct buffer out = BUFFER_EMPTY;
	json_quote(&out, plain);
	assert_string_equal(buffer_string(&out), string);
	assert_int_equal(json_check(buffer_slice(&out), NULL), 0);
	buffer_finish(&out);
}

static void quote_escapes_what_must_be(void **state)
{
	(void)state;
	assert_quoted(SLICE(""), "\"\"");
	assert_quoted((struct slice){NULL, 0}, "\"\"");
	assert_quoted(SLICE("a/é😀\x7f"), "\"a/é😀\x7f\"");
	assert_quoted(SLICE("\"\\\b\f\n\r\t\x01\x1f"), "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\"");
}

static void quote_replaces_what_is_no_text(void **state)
{
	(void)state;
	assert_quoted(SLICE("a\0b"), "\"a\xEF\xBF\xBD" "b\"");
	assert_quoted(SLICE("a\xFF\xC3"), "\"a\xEF\xBF\xBD\xEF\xBF\xBD\"");
	assert_quoted(SLICE("\xC3("), "\"\xEF\xBF\xBD(\"");
	assert_quoted(SLICE("\xED\xA0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

static void quote_then_unquote_gives_the_same(void **state)
{
	(void)state;
	struct buffer plain = BUFFER_EMPTY;
	struct buffer quoted = BUFFER_EMPTY;
	struct buffer again = BUFFER_EMPTY;
	for (uint32_t scalar = 1; scalar < 0x110000; scalar += scalar < 0x3000 ? 1 : 251) {
		char bytes[4];
		if (scalar >= 0xD800 && scalar <= 0xDFFF)
			continue;
		size_t size = utf8_write(scalar, bytes);
		assert_int_equal(utf8_length(bytes, bytes + size), size);
		buffer_append(&plain, bytes, size);
	}
	json_quote(&quoted, buffer_slice(&plain));
	assert_int_equal(json_check(buffer_slice(&quoted), NULL), 0);
	json_unquote(&again, buffer_slice(&quoted));
	assert_true(slice_equal(buffer_slice(&plain), buffer_slice(&again)));
	buffer_finish(&plain);
	buffer_finish(&quoted);
	buffer_finish(&again);
}

static void integers_are_read_exactly(void **state)
{
	(void)state;
	long long number = 5;
	assert_int_equal(json_integer(SLICE(" 42 "), 0, 100, &number), 0);
	assert_true(number == 42);
	assert_int_equal(json_integer(SLICE("9223372036854775807"), 0, LLONG_MAX, &number), 0);
	assert_true(number == LLONG_MAX);
	assert_int_equal(json_integer(SLICE("-9223372036854775808"), LLONG_MIN, 0, &number), 0);
	assert_true(number == LLONG_MIN);
	assert_int_equal(json_integer(SLICE("-0"), 0, 0, &number), 0);
	assert_true(number == 0);
	number = 7;
	static const char *const bad[] = {"101",  "-1", "1.0",  "1e2",    "9223372036854775808", "99999999999999999999",
	                                  "null", "[]", "\"1\"", "true", "-"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(json_integer(slice_of(bad[i]), 0, 100, &number), ERR_INVALID);
	assert_int_equal(json_integer(SLICE("-9223372036854775809"), LLONG_MIN, LLONG_MAX, &number), ERR_INVALID);
	assert_true(number == 7);
}

static void cut_text_ends_with_a_whole_character(void **state)
{
	(void)state;
	assert_true(slice_is(utf8_cut(SLICE("abc"), 3), "abc"));
	assert_true(slice_is(utf8_cut(SLICE("abc"), 2), "ab"));
	assert_true(slice_is(utf8_cut(SLICE("aé€"), 2), "a"));
	assert_true(slice_is(utf8_cut(SLICE("aé€"), 3), "aé"));
	assert_true(slice_is(utf8_cut(SLICE("aé€"), 5), "aé"));
	assert_true(slice_is(utf8_cut(SLICE("€"), 1), ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_value_is_accepted),
		cmocka_unit_test(malformed_text_is_refused_with_place_and_cause),
		cmocka_unit_test(malformed_numbers_are_refused),
		cmocka_unit_test(malformed_strings_are_refused),
		cmocka_unit_test(every_byte_of_a_string_is_looked_at),
		cmocka_unit_test(zero_characters_and_lone_surrogates_are_refused),
		cmocka_unit_test(utf8_is_strict),
		cmocka_unit_test(depth_is_limited),
		cmocka_unit_test(duplicate_keys_are_refused),
		cmocka_unit_test(duplicates_are_found_among_many_keys),
		cmocka_unit_test(long_key_is_cut_in_the_message),
		cmocka_unit_test(colliding_keys_do_not_take_quadratic_time),
		cmocka_unit_test(trim_and_kind_see_past_white_space),
		cmocka_unit_test(walk_gives_elements_as_they_are),
		cmocka_unit_test(elements_are_counted),
		cmocka_unit_test(members_are_found_by_plain_name),
		cmocka_unit_test(keys_are_compared_with_escapes_undone),
		cmocka_unit_test(unquote_undoes_every_escape),
		cmocka_unit_test(quote_escapes_what_must_be),
		cmocka_unit_test(quote_replaces_what_is_no_text),
		cmocka_unit_test(quote_then_unquote_gives_the_same),
		cmocka_unit_test(integers_are_read_exactly),
		cmocka_unit_test(cut_text_ends_with_a_whole_character),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
