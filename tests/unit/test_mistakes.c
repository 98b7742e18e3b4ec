#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "lang/parser.h"
#include "mistakes.h"

static void mistake_is_explained(void **state)
{
	const struct mistake *mistake = *state;
	struct source source = {SLICE("a.flow"), slice_of(mistake->source), 0};
	struct diagnostics diagnostics = {0};
	struct syntax syntax = {0};
	struct buffer out = BUFFER_EMPTY;
	assert_int_equal(parser_parse(&source, 1, &syntax, &diagnostics, NULL), ERR_INVALID);
	diagnostics_render(&diagnostics, &out);
	assert_string_equal(buffer_string(&out), mistake->rendered);
	buffer_finish(&out);
	syntax_finish(&syntax);
	diagnostics_finish(&diagnostics);
}

int main(void)
{
	static struct CMUnitTest tests[sizeof mistakes / sizeof mistakes[0]];
	for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
		struct mistake *mistake = mem_copy(&mistakes[i], sizeof mistakes[i]);
		tests[i] = (struct CMUnitTest){mistake->name, mistake_is_explained, NULL, NULL, mistake};
	}
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++)
		mem_free(tests[i].initial_state);
	return failed;
}
