#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "lang/diagnostic.h"

#include <stdio.h>

static struct span span_in(const struct source *source, uint32_t offset, uint32_t size)
{
	return (struct span){source, offset, size};
}

/* Renders and lets go. */
static void expect_rendered(struct diagnostics *diagnostics, const char *text)
{
	struct buffer out = BUFFER_EMPTY;
	diagnostics_render(diagnostics, &out);
	assert_string_equal(buffer_string(&out), text);
	buffer_finish(&out);
	diagnostics_finish(diagnostics);
}

/* One error with the message "wrong" at a place of a text. */
static void expect_excerpt(struct slice text, uint32_t offset, uint32_t size, const char *rendered)
{
	struct source source = {SLICE("a.flow"), text, 0};
	struct diagnostics diagnostics = {0};
	diagnostics_error(&diagnostics, span_in(&source, offset, size), "wrong");
	expect_rendered(&diagnostics, rendered);
}

static void nothing_is_rendered_when_there_is_nothing(void **state)
{
	struct diagnostics diagnostics = {0};
	(void)state;
	expect_rendered(&diagnostics, "");
}

static void an_error_shows_its_line_and_a_caret(void **state)
{
	(void)state;
	expect_excerpt(SLICE("one\ntwo three\nfour"), 8, 5,
	               "a.flow:2:5: error: wrong\n"
	               "  2 | two three\n"
	               "    |     ^^^^^\n");
	expect_excerpt(SLICE("one"), 0, 3, "a.flow:1:1: error: wrong\n  1 | one\n    | ^^^\n");
	expect_excerpt(SLICE("one"), 3, 0, "a.flow:1:4: error: wrong\n  1 | one\n    |    ^\n");
	expect_excerpt(SLICE("one\n"), 3, 1, "a.flow:1:4: error: wrong\n  1 | one\n    |    ^\n");
	expect_excerpt(SLICE("one\n"), 4, 0, "a.flow:2:1: error: wrong\n  2 | \n    | ^\n");
	expect_excerpt(SLICE(""), 0, 0, "a.flow:1:1: error: wrong\n  1 | \n    | ^\n");
	expect_excerpt((struct slice){NULL, 0}, 0, 0, "a.flow:1:1: error: wrong\n  1 | \n    | ^\n");
	expect_excerpt(SLICE("a\r\nb\r\n"), 3, 1, "a.flow:2:1: error: wrong\n  2 | b\n    | ^\n");
}

static void a_span_of_several_lines_is_marked_in_its_first(void **state)
{
	(void)state;
	expect_excerpt(SLICE("a {\n  b\n}"), 2, 7, "a.flow:1:3: error: wrong\n  1 | a {\n    |   ^\n");
}

static void tabs_and_wide_characters_keep_the_caret_in_place(void **state)
{
	(void)state;
	expect_excerpt(SLICE("\ta\tb"), 3, 1,
	               "a.flow:1:4: error: wrong\n"
	               "  1 |     a    b\n"
	               "    |          ^\n");
	expect_excerpt(SLICE("\xC3\xA4\xC3\xA4 b"), 5, 1,
	               "a.flow:1:4: error: wrong\n"
	               "  1 | \xC3\xA4\xC3\xA4 b\n"
	               "    |    ^\n");
	expect_excerpt(SLICE("\xE6\x97\xA5\xE6\x9C\xAC b"), 3, 3,
	               "a.flow:1:2: error: wrong\n"
	               "  1 | \xE6\x97\xA5\xE6\x9C\xAC b\n"
	               "    |   ^^\n");
	expect_excerpt(SLICE("e\xCC\x81 b"), 4, 1,
	               "a.flow:1:4: error: wrong\n"
	               "  1 | e\xCC\x81 b\n"
	               "    |   ^\n");
}

static void what_disturbs_a_terminal_is_replaced(void **state)
{
	struct source source = {SLICE("a\x1B[2J.flow"), SLICE("a\x1B[2Jb\xFF\xE2\x80\xAE" "c"), 0};
	struct diagnostics diagnostics = {0};
	(void)state;
	diagnostics_error(&diagnostics, span_in(&source, 10, 1), "wrong \x07 here");
	expect_rendered(&diagnostics, "a\xEF\xBF\xBD[2J.flow:1:9: error: wrong \xEF\xBF\xBD here\n"
	                              "  1 | a\xEF\xBF\xBD[2Jb\xEF\xBF\xBD\xEF\xBF\xBD" "c\n"
	                              "    |         ^\n");
}

static void a_long_line_is_cut_around_the_caret(void **state)
{
	char text[1000];
	struct buffer out = BUFFER_EMPTY;
	(void)state;
	memset(text, 'a', sizeof text);
	text[500] = 'X';
	buffer_append_string(&out, "a.flow:1:501: error: wrong\n  1 | \xE2\x80\xA6");
	for (int i = 0; i < 33; i++)
		buffer_append_string(&out, "a");
	buffer_append_string(&out, "X");
	for (int i = 0; i < 66; i++)
		buffer_append_string(&out, "a");
	buffer_append_string(&out, "\xE2\x80\xA6\n    | ");
	for (int i = 0; i < 34; i++)
		buffer_append_string(&out, " ");
	buffer_append_string(&out, "^\n");
	expect_excerpt((struct slice){text, sizeof text}, 500, 1, buffer_string(&out));

	buffer_clear(&out);
	buffer_append_string(&out, "a.flow:1:1: error: wrong\n  1 | ");
	for (int i = 0; i < 100; i++)
		buffer_append_string(&out, "a");
	buffer_append_string(&out, "\xE2\x80\xA6\n    | ");
	for (int i = 0; i < 100; i++)
		buffer_append_string(&out, "^");
	buffer_append_string(&out, "\n");
	expect_excerpt((struct slice){text, sizeof text}, 0, 500, buffer_string(&out));
	buffer_finish(&out);
}

static void hint_and_note_follow_in_one_gutter(void **state)
{
	struct source source = {SLICE("a.flow"), SLICE("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk"), 0};
	struct diagnostics diagnostics = {0};
	(void)state;
	struct diagnostic *error = diagnostics_error(&diagnostics, span_in(&source, 20, 1), "%s", "late");
	diagnostics_hint(&diagnostics, error, "write %d", 1);
	diagnostics_hint(&diagnostics, error, "write %d", 2);
	diagnostics_note(&diagnostics, error, span_in(&source, 0, 1), "early");
	struct diagnostic *warning = diagnostics_warning(&diagnostics, SPAN_NOWHERE, "no place");
	diagnostics_note(&diagnostics, warning, SPAN_NOWHERE, "none either");
	expect_rendered(&diagnostics, "warning: no place\n"
	                              "note: none either\n"
	                              "\n"
	                              "a.flow:11:1: error: late\n"
	                              "  11 | k\n"
	                              "     | ^\n"
	                              "a.flow:1:1: note: early\n"
	                              "   1 | a\n"
	                              "     | ^\n"
	                              "     = hint: write 2\n");
}

static void order_is_by_source_and_place(void **state)
{
	struct source first = {SLICE("z.flow"), SLICE("abc"), 0};
	struct source second = {SLICE("a.flow"), SLICE("abc"), 1};
	struct diagnostics diagnostics = {0};
	(void)state;
	diagnostics_error(&diagnostics, span_in(&second, 0, 1), "4");
	diagnostics_error(&diagnostics, span_in(&first, 2, 1), "3");
	diagnostics_warning(&diagnostics, span_in(&first, 0, 1), "1");
	diagnostics_error(&diagnostics, span_in(&first, 0, 1), "2");
	expect_rendered(&diagnostics, "z.flow:1:1: warning: 1\n  1 | abc\n    | ^\n\n"
	                              "z.flow:1:1: error: 2\n  1 | abc\n    | ^\n\n"
	                              "z.flow:1:3: error: 3\n  1 | abc\n    |   ^\n\n"
	                              "a.flow:1:1: error: 4\n  1 | abc\n    | ^\n");
}

static void fifty_are_shown_and_the_rest_is_counted(void **state)
{
	struct diagnostics diagnostics = {0};
	struct buffer out = BUFFER_EMPTY;
	(void)state;
	for (int i = 0; i < 20; i++)
		diagnostics_warning(&diagnostics, SPAN_NOWHERE, "w");
	for (int i = 0; i < 49; i++)
		diagnostics_error(&diagnostics, SPAN_NOWHERE, "e");
	buffer_append_string(&out, "warning: w\n");
	for (int i = 0; i < 49; i++)
		buffer_append_string(&out, "\nerror: e\n");
	buffer_append_string(&out, "\nand 19 more warnings\n");
	expect_rendered(&diagnostics, buffer_string(&out));

	buffer_clear(&out);
	for (int i = 0; i < 51; i++)
		diagnostics_error(&diagnostics, SPAN_NOWHERE, "e");
	diagnostics_warning(&diagnostics, SPAN_NOWHERE, "w");
	for (int i = 0; i < 50; i++)
		buffer_append_string(&out, i > 0 ? "\nerror: e\n" : "error: e\n");
	buffer_append_string(&out, "\nand 1 more error and 1 more warning\n");
	expect_rendered(&diagnostics, buffer_string(&out));
	buffer_finish(&out);
}

static void many_are_counted_but_not_kept(void **state)
{
	struct diagnostics diagnostics = {0};
	(void)state;
	for (uint32_t i = 0; i < DIAGNOSTICS_KEPT_MAX + 500; i++)
		diagnostics_warning(&diagnostics, SPAN_NOWHERE, "w");
	struct diagnostic *last = diagnostics_warning(&diagnostics, SPAN_NOWHERE, "w");
	diagnostics_hint(&diagnostics, last, "lost");
	diagnostics_note(&diagnostics, last, SPAN_NOWHERE, "lost");
	assert_ptr_equal(last, &diagnostics.spare);
	assert_null(last->hint);
	assert_int_equal(diagnostics.count, DIAGNOSTICS_KEPT_MAX);
	assert_int_equal(diagnostics.warning_count, DIAGNOSTICS_KEPT_MAX + 501);
	struct diagnostic *error = diagnostics_error(&diagnostics, SPAN_NOWHERE, "an error has its place");
	assert_ptr_not_equal(error, &diagnostics.spare);
	diagnostics_finish(&diagnostics);
}

static void spans_are_joined_and_located(void **state)
{
	struct source source = {SLICE("a.flow"), SLICE("a\n\xC3\xA4\tbc"), 0};
	uint32_t line;
	uint32_t column;
	(void)state;
	struct span span = span_join(span_in(&source, 0, 1), span_in(&source, 5, 1));
	assert_int_equal(span.offset, 0);
	assert_int_equal(span.size, 6);
	assert_int_equal(span_text(span).size, 6);
	span_position(span_in(&source, 6, 1), &line, &column);
	assert_int_equal(line, 2);
	assert_int_equal(column, 4);
	span_position(SPAN_NOWHERE, &line, &column);
	assert_int_equal(line, 1);
	assert_int_equal(column, 1);
	assert_int_equal(span_text(SPAN_NOWHERE).size, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_rendered_when_there_is_nothing),
		cmocka_unit_test(an_error_shows_its_line_and_a_caret),
		cmocka_unit_test(a_span_of_several_lines_is_marked_in_its_first),
		cmocka_unit_test(tabs_and_wide_characters_keep_the_caret_in_place),
		cmocka_unit_test(what_disturbs_a_terminal_is_replaced),
		cmocka_unit_test(a_long_line_is_cut_around_the_caret),
		cmocka_unit_test(hint_and_note_follow_in_one_gutter),
		cmocka_unit_test(order_is_by_source_and_place),
		cmocka_unit_test(fifty_are_shown_and_the_rest_is_counted),
		cmocka_unit_test(many_are_counted_but_not_kept),
		cmocka_unit_test(spans_are_joined_and_located),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
