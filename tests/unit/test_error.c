#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"

#include <string.h>

static void set_gives_code_and_text(void **state)
{
	(void)state;
	struct error error = {0};
	assert_int_equal(error_set(&error, ERR_BUSY, "%d waiting", 3), ERR_BUSY);
	assert_int_equal(error.code, ERR_BUSY);
	assert_string_equal(error.text, "3 waiting");
}

static void no_error_may_be_asked_for(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, ERR_IO, "unheard"), ERR_IO);
	assert_int_equal(error_prefix(NULL, "unheard %d", 1), 0);
}

static void prefix_keeps_code_and_text(void **state)
{
	(void)state;
	struct error error;
	error_set(&error, ERR_NOT_FOUND, "no file");
	assert_int_equal(error_prefix(&error, "open %s", "x"), ERR_NOT_FOUND);
	assert_string_equal(error.text, "open x: no file");
}

static void long_text_is_cut_and_terminated(void **state)
{
	(void)state;
	struct error error;
	error_set(&error, ERR_INVALID, "%0*d", 2 * ERROR_TEXT_SIZE, 1);
	assert_int_equal(strlen(error.text), ERROR_TEXT_SIZE - 1);
	error_prefix(&error, "%0*d", 2 * ERROR_TEXT_SIZE, 1);
	assert_int_equal(strlen(error.text), ERROR_TEXT_SIZE - 1);
	assert_int_equal(error.code, ERR_INVALID);
}

/* Every place where the cut can fall within a character of two, three or four bytes. */
static void cut_never_splits_a_character(void **state)
{
	(void)state;
	static const char *const characters[] = {"é", "€", "😀"};
	for (size_t kind = 0; kind < 3; kind++) {
		size_t length = strlen(characters[kind]);
		for (int shift = 0; shift < 8; shift++) {
			char text[2 * ERROR_TEXT_SIZE] = "";
			memset(text, 'a', (size_t)shift);
			while (strlen(text) + length < sizeof text - 1)
				strcat(text, characters[kind]);
			struct error error;
			error_set(&error, ERR_INVALID, "%s", text);
			size_t size = strlen(error.text);
			assert_true(size >= ERROR_TEXT_SIZE - 9);
			assert_int_equal((size - (size_t)shift) % length, 0);
			assert_memory_equal(error.text, text, size);
		}
	}
}

static void every_code_has_a_name(void **state)
{
	(void)state;
	assert_string_equal(error_name(0), "done");
	assert_string_equal(error_name(ERR_IO), "input/output error");
	assert_string_equal(error_name(ERR_TYPE), "type");
	assert_string_equal(error_name(ERR_NOT_LEADER), "not leader");
	assert_string_equal(error_name(ERR_UNSUPPORTED), "unsupported");
	assert_string_equal(error_name(ERR_COMPACTED), "compacted");
	assert_string_equal(error_name(ERR_COMPACTED - 1), "unknown error");
	assert_string_equal(error_name(1), "unknown error");
	for (int code = ERR_COMPACTED; code <= 0; code++)
		assert_string_not_equal(error_name(code), "unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_gives_code_and_text),
		cmocka_unit_test(no_error_may_be_asked_for),
		cmocka_unit_test(prefix_keeps_code_and_text),
		cmocka_unit_test(long_text_is_cut_and_terminated),
		cmocka_unit_test(cut_never_splits_a_character),
		cmocka_unit_test(every_code_has_a_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
