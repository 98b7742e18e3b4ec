#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "lang/lexer.h"
#include "lang/literal.h"
#include "lang/parser.h"
#include "lang/utf8.h"

/* The tokens of a text as "kind:text" with spaces between them; "!" behind those that an error was reported for. */
static void print_tokens(struct slice text, struct diagnostics *diagnostics, struct buffer *out)
{
	static const char *const kinds[] = {
		"END",  "BAD",  "UPPER", "LOWER", "STRING", "NUMBER", "DURATION", "case", "each",  "in",   "race",
		"try",  "else", "fail",  "undo",  "after",  "with",   "as",       "left", "right", "true", "false",
		"null", "sleep", "signal",
		"{", "}", "(", ")", "[", "]", ",", ":", "=", "->", "|", "+", "*", ".", "@", "_",
	};
	struct source source = {SLICE("test.flow"), text, 0};
	struct lexer lexer;
	lexer_init(&lexer, &source, 0, (uint32_t)text.size, diagnostics);
	for (struct token token = lexer_next(&lexer); token.kind != TOKEN_END; token = lexer_next(&lexer)) {
		buffer_append_string(out, out->size > 0 ? " " : "");
		buffer_append_string(out, kinds[token.kind]);
		if (token.kind <= TOKEN_DURATION)
			buffer_format(out, ":%.*s", SLICE_ARGS(token_text(&source, token)));
		if (token.faulty)
			buffer_append_string(out, "!");
	}
	assert_int_equal(lexer_next(&lexer).kind, TOKEN_END);
}

static void expect_tokens(const char *text, const char *tokens)
{
	struct diagnostics diagnostics = {0};
	struct buffer out = BUFFER_EMPTY;
	print_tokens(slice_of(text), &diagnostics, &out);
	assert_string_equal(buffer_string(&out), tokens);
	assert_int_equal(diagnostics.error_count, 0);
	buffer_finish(&out);
	diagnostics_finish(&diagnostics);
}

/* The messages, one a line with its offset and size in front. */
static void expect_errors(struct slice text, const char *tokens, const char *errors)
{
	struct diagnostics diagnostics = {0};
	struct buffer out = BUFFER_EMPTY;
	print_tokens(text, &diagnostics, &out);
	assert_string_equal(buffer_string(&out), tokens);
	buffer_clear(&out);
	for (size_t i = 0; i < diagnostics.count; i++)
		buffer_format(&out, "%u+%u %s\n", diagnostics.entries[i]->span.offset,
		              diagnostics.entries[i]->span.size, diagnostics.entries[i]->message);
	assert_string_equal(buffer_string(&out), errors);
	buffer_finish(&out);
	diagnostics_finish(&diagnostics);
}

static void every_kind_of_token_is_read(void **state)
{
	(void)state;
	expect_tokens("", "");
	expect_tokens("{}()[],: =->|+*.@_", "{ } ( ) [ ] , : = -> | + * . @ _");
	expect_tokens("case each in race try else fail undo after with as left right true false null sleep signal",
	              "case each in race try else fail undo after with as left right true false null sleep signal");
	expect_tokens("Split split a1_B process latest limit cases",
	              "UPPER:Split LOWER:split LOWER:a1_B LOWER:process LOWER:latest LOWER:limit LOWER:cases");
	expect_tokens("\"a b\" \"\" 12 1s", "STRING:\"a b\" STRING:\"\" NUMBER:12 DURATION:1s");
	expect_tokens("a=b->c", "LOWER:a = LOWER:b -> LOWER:c");
	expect_tokens("P@3(x)", "UPPER:P @ NUMBER:3 ( LOWER:x )");
	expect_tokens("A.b_", "UPPER:A . LOWER:b_");
}

static void white_space_and_comments_are_skipped(void **state)
{
	(void)state;
	expect_tokens(" a\tb\r\nc # d \xC3\xA9 \"\n#\n# }\ne", "LOWER:a LOWER:b LOWER:c LOWER:e");
	expect_tokens("# only", "");
	expect_tokens("\xEF\xBB\xBF" "a", "LOWER:a");
}

static void numbers_are_those_of_json(void **state)
{
	(void)state;
	expect_tokens("0 -0 7 -12 1.50 1e9 1E+2 -1.5e-3",
	              "NUMBER:0 NUMBER:-0 NUMBER:7 NUMBER:-12 NUMBER:1.50 NUMBER:1e9 NUMBER:1E+2 NUMBER:-1.5e-3");
	expect_tokens("123456789012345678901234567890 1e999999",
	              "NUMBER:123456789012345678901234567890 NUMBER:1e999999");
	expect_tokens("[1,-2]", "[ NUMBER:1 , NUMBER:-2 ]");
	expect_errors(SLICE("12abc"), "NUMBER:12abc!", "0+5 this is not a number\n");
	expect_errors(SLICE("12_"), "NUMBER:12_!", "0+3 a number is written without _\n");
	expect_errors(SLICE("1_000"), "NUMBER:1_000!", "0+5 a number is written without _\n");
	expect_errors(SLICE("007"), "NUMBER:007!", "0+3 a number has no leading zero\n");
	expect_errors(SLICE("-01"), "NUMBER:-01!", "0+3 a number has no leading zero\n");
	expect_errors(SLICE("1. x"), "NUMBER:1.! LOWER:x", "0+2 digits are missing behind the decimal point\n");
	expect_errors(SLICE("1.2.3"), "NUMBER:1.2.3!", "0+5 this is not a number\n");
	expect_errors(SLICE("1.x"), "NUMBER:1.x!", "0+3 digits are missing behind the decimal point\n");
	expect_errors(SLICE("1e"), "NUMBER:1e!", "0+2 this is not a number\n");
	expect_errors(SLICE("1e+"), "NUMBER:1e+!", "0+3 this is not a number\n");
	expect_errors(SLICE("0x10"), "NUMBER:0x10!", "0+4 this is not a number\n");
}

static void durations_are_whole_numbers_with_a_unit(void **state)
{
	(void)state;
	expect_tokens("1ms 30s 5m 2h 7d 0s",
	              "DURATION:1ms DURATION:30s DURATION:5m DURATION:2h DURATION:7d DURATION:0s");
	expect_tokens("30s.x", "DURATION:30s . LOWER:x");
	expect_errors(SLICE("30sec"), "NUMBER:30sec!", "0+5 this is not a duration\n");
	expect_errors(SLICE("30s5"), "NUMBER:30s5!", "0+4 this is not a number\n");
	expect_errors(SLICE("1.5h"), "NUMBER:1.5h!", "0+4 this is not a duration\n");
	expect_errors(SLICE("-5s"), "NUMBER:-5s!", "0+3 this is not a duration\n");
	expect_errors(SLICE("05s"), "NUMBER:05s!", "0+3 this is not a duration\n");
	expect_errors(SLICE("9007199254740992ms"), "DURATION:9007199254740992ms!",
	              "0+18 this duration is longer than the limit of 9007199254740991 ms\n");
	expect_errors(SLICE("99999999999999999999999999d"), "DURATION:99999999999999999999999999d!",
	              "0+27 this duration is longer than the limit of 9007199254740991 ms\n");
}

static void durations_are_counted_in_milliseconds(void **state)
{
	int64_t ms = -1;
	(void)state;
	assert_int_equal(parser_duration(SLICE("250ms"), &ms), 0);
	assert_int_equal(ms, 250);
	assert_int_equal(parser_duration(SLICE("30s"), &ms), 0);
	assert_int_equal(ms, 30000);
	assert_int_equal(parser_duration(SLICE("2h"), &ms), 0);
	assert_int_equal(ms, 7200000);
	assert_int_equal(parser_duration(SLICE("2d"), &ms), 0);
	assert_int_equal(ms, 172800000);
	assert_int_equal(parser_duration(SLICE("9007199254740991ms"), &ms), 0);
	assert_true(ms == DURATION_MAX_MS);
	ms = 1;
	assert_int_equal(parser_duration(SLICE("9007199254740992ms"), &ms), ERR_LIMIT);
	assert_int_equal(parser_duration(SLICE("104249992d"), &ms), ERR_LIMIT);
	assert_int_equal(parser_duration(SLICE("18446744073709551617s"), &ms), ERR_LIMIT);
	assert_int_equal(parser_duration(SLICE(""), &ms), ERR_INVALID);
	assert_int_equal(parser_duration(SLICE("s"), &ms), ERR_INVALID);
	assert_int_equal(parser_duration(SLICE("5"), &ms), ERR_INVALID);
	assert_int_equal(parser_duration(SLICE("5 s"), &ms), ERR_INVALID);
	assert_int_equal(parser_duration(SLICE("5s "), &ms), ERR_INVALID);
	assert_int_equal(parser_duration(SLICE("05s"), &ms), ERR_INVALID);
	assert_int_equal(parser_duration(SLICE("5w"), &ms), ERR_INVALID);
	assert_int_equal(ms, 1);
}

static void strings_are_those_of_json(void **state)
{
	(void)state;
	expect_tokens("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00 # {\"x",
	              "STRING:\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00 # {\" LOWER:x");
	expect_errors(SLICE("\"a\nb"), "STRING:\"a! LOWER:b", "0+2 this string is not closed\n");
	expect_errors(SLICE("\"a\r\nb"), "STRING:\"a! LOWER:b", "0+2 this string is not closed\n");
	expect_errors(SLICE("\"a\\\nb"), "STRING:\"a\\! LOWER:b", "0+3 this string is not closed\n");
	expect_errors(SLICE("\"a\\\""), "STRING:\"a\\\"!", "0+4 this string is not closed\n");
	expect_errors(SLICE("\""), "STRING:\"!", "0+1 this string is not closed\n");
	expect_errors(SLICE("\"\\q\\'\""), "STRING:\"\\q\\'\"!",
	              "1+2 no such escape in a string\n3+2 no such escape in a string\n");
	expect_errors(SLICE("\"\\u12g4\""), "STRING:\"\\u12g4\"!", "1+2 four hexadecimal digits must follow \\u\n");
	expect_errors(SLICE("\"\\u0000\""), "STRING:\"\\u0000\"!", "1+6 a string cannot hold the character \\u0000\n");
	expect_errors(SLICE("\"\\ud800\""), "STRING:\"\\ud800\"!", "1+6 half of a surrogate pair stands alone\n");
	expect_errors(SLICE("\"\\udc00\\ud800\\u0041\""), "STRING:\"\\udc00\\ud800\\u0041\"!",
	              "1+6 half of a surrogate pair stands alone\n7+6 half of a surrogate pair stands alone\n");
	expect_errors(SLICE("\"a\tb\""), "STRING:\"a\tb\"!", "2+1 a control character in a string\n");
	expect_errors(SLICE("\"a\xFF\""), "STRING:\"a\xFF\"!", "2+1 this is not valid UTF-8\n");
	expect_errors(SLICE("\"\xED\xA0\x80\""), "STRING:\"\xED\xA0\x80\"!",
	              "1+1 this is not valid UTF-8\n2+1 this is not valid UTF-8\n3+1 this is not valid UTF-8\n");
}

static void strings_are_unquoted(void **state)
{
	struct arena arena = {0};
	(void)state;
	assert_true(slice_is(parser_unquote(SLICE("\"\""), &arena), ""));
	assert_true(slice_is(parser_unquote(SLICE("\"plain \xC3\xA9\""), &arena), "plain \xC3\xA9"));
	assert_int_equal(arena.used, 0);
	assert_true(slice_is(parser_unquote(SLICE("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), &arena), "\"\\/\b\f\n\r\t"));
	assert_true(slice_is(parser_unquote(SLICE("\"\\u0041\\u00e9\\u20AC\""), &arena), "A\xC3\xA9\xE2\x82\xAC"));
	assert_true(slice_is(parser_unquote(SLICE("\"x\\uD83D\\uDE00y\""), &arena), "x\xF0\x9F\x98\x80y"));
	arena_finish(&arena);
}

static void what_is_no_text_is_refused(void **state)
{
	(void)state;
	expect_errors(((struct slice){"a\0b", 3}), "LOWER:a LOWER:b!",
	              "1+1 the control character U+0000 cannot stand in a source\n");
	expect_errors(SLICE("a # \x01\x01\x7F x\nb"), "LOWER:a LOWER:b!",
	              "4+1 the control character U+0001 cannot stand in a source\n");
	expect_errors(SLICE("\xC2\x85"), "", "0+2 the control character U+0085 cannot stand in a source\n");
	expect_errors(SLICE("a \xFF\xFE\xC0\x80 b"), "LOWER:a LOWER:b!", "2+4 this is not valid UTF-8\n");
	expect_errors(SLICE("# \xE2\x82"), "", "2+2 this is not valid UTF-8\n");
	expect_errors(SLICE("a\xC2\xA0" "b"), "LOWER:a LOWER:b!", "1+2 U+00A0 looks like a space, but is none\n");
}

static void names_are_plain(void **state)
{
	(void)state;
	expect_errors(SLICE("gr\xC3\xB6\xC3\x9F" "e x"), "LOWER:gr\xC3\xB6\xC3\x9F" "e! LOWER:x",
	              "0+7 names are made of A-Z, a-z, 0-9 and _\n");
	expect_errors(SLICE("_x __"), "LOWER:_x! LOWER:__!",
	              "0+2 a name begins with a letter; _ stands alone\n"
	              "3+2 a name begins with a letter; _ stands alone\n");
	expect_errors(SLICE("a-b"), "LOWER:a BAD:-! LOWER:b", "1+1 there is no arithmetic\n");
}

static void slips_are_read_as_what_they_mean(void **state)
{
	(void)state;
	expect_errors(SLICE("a := b"), "LOWER:a =! LOWER:b", "2+2 a value is bound with =\n");
	expect_errors(SLICE("a => b"), "LOWER:a ->! LOWER:b", "2+2 an arrow is written ->\n");
	expect_errors(SLICE("a; b"), "LOWER:a LOWER:b!", "1+1 nothing is ended or separated by \";\"\n");
	expect_errors(SLICE("a // b\nc"), "LOWER:a LOWER:c!", "2+2 comments begin with #\n");
	expect_errors(SLICE("a /* b\n*/ c"), "LOWER:a LOWER:c!", "2+2 comments begin with #\n");
	expect_errors(SLICE("/* b"), "", "0+2 comments begin with #\n");
	expect_errors(SLICE("'b c' d"), "STRING:'b c'! LOWER:d", "0+5 strings stand in double quotes\n");
	expect_errors(SLICE("it's"), "LOWER:it BAD:'! LOWER:s", "2+1 strings stand in double quotes\n");
	expect_errors(SLICE("n-1"), "LOWER:n BAD:-1!", "1+2 there is no arithmetic\n");
	expect_errors(SLICE("n / m"), "LOWER:n BAD:/! LOWER:m", "2+1 there is no arithmetic\n");
	expect_errors(SLICE("n >= m"), "LOWER:n BAD:>=! LOWER:m", "2+2 there is no comparison\n");
	expect_errors(SLICE("n && m"), "LOWER:n BAD:&&! LOWER:m", "2+2 there are no logical operators\n");
	expect_errors(SLICE("$ \xE2\x98\x83"), "BAD:$! BAD:\xE2\x98\x83!",
	              "0+1 the character \"$\" has no meaning here\n"
	              "2+3 the character \"\xE2\x98\x83\" has no meaning here\n");
}

static void only_the_given_part_is_read(void **state)
{
	struct source source = {SLICE("test.flow"), SLICE("ab cd ef"), 0};
	struct lexer lexer;
	(void)state;
	lexer_init(&lexer, &source, 3, 4, NULL);
	struct token token = lexer_next(&lexer);
	assert_int_equal(token.kind, TOKEN_LOWER);
	assert_int_equal(token.offset, 3);
	assert_int_equal(token.size, 1);
	assert_int_equal(lexer_next(&lexer).kind, TOKEN_END);
}

static void a_description_fits_its_room(void **state)
{
	char description[TOKEN_DESCRIPTION_SIZE];
	char text[201];
	(void)state;
	memset(text, '7', 200);
	text[200] = '\0';
	struct source source = {SLICE("test.flow"), slice_of(text), 0};
	token_describe(&source, (struct token){.kind = TOKEN_DURATION, .offset = 0, .size = 200}, description);
	assert_string_equal(description, "the duration 7777777777777777777777777777777777777777...");
	token_describe(&source, (struct token){.kind = TOKEN_UPPER, .offset = 0, .size = 3}, description);
	assert_string_equal(description, "\"777\"");
	token_describe(&source, (struct token){.kind = TOKEN_END, .offset = 200, .size = 0}, description);
	assert_string_equal(description, "the end of the file");
}

static void characters_are_decoded_strictly(void **state)
{
	uint32_t character = 0;
	char bytes[4];
	(void)state;
	for (uint32_t i = 1; i <= 0x10FFFF; i += i < 0x1000 ? 1 : 97) {
		if (i >= 0xD800 && i <= 0xDFFF)
			continue;
		size_t size = utf8_encode(i, bytes);
		assert_int_equal(utf8_decode((struct slice){bytes, size}, &character), size);
		assert_int_equal(character, i);
		assert_int_equal(utf8_decode((struct slice){bytes, size - 1}, &character), 0);
	}
	assert_int_equal(utf8_decode(SLICE("\xC1\xBF"), &character), 0);         /* longer than it need be */
	assert_int_equal(utf8_decode(SLICE("\xE0\x9F\xBF"), &character), 0);     /* so is this */
	assert_int_equal(utf8_decode(SLICE("\xF0\x8F\xBF\xBF"), &character), 0); /* and this */
	assert_int_equal(utf8_decode(SLICE("\xED\xA0\x80"), &character), 0);     /* a surrogate */
	assert_int_equal(utf8_decode(SLICE("\xF4\x90\x80\x80"), &character), 0); /* behind U+10FFFF */
	assert_int_equal(utf8_decode(SLICE("\x80"), &character), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_token_is_read),
		cmocka_unit_test(white_space_and_comments_are_skipped),
		cmocka_unit_test(numbers_are_those_of_json),
		cmocka_unit_test(durations_are_whole_numbers_with_a_unit),
		cmocka_unit_test(durations_are_counted_in_milliseconds),
		cmocka_unit_test(strings_are_those_of_json),
		cmocka_unit_test(strings_are_unquoted),
		cmocka_unit_test(what_is_no_text_is_refused),
		cmocka_unit_test(names_are_plain),
		cmocka_unit_test(slips_are_read_as_what_they_mean),
		cmocka_unit_test(only_the_given_part_is_read),
		cmocka_unit_test(a_description_fits_its_room),
		cmocka_unit_test(characters_are_decoded_strictly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
